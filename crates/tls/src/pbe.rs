//! Encryption by password, as private keys and PKCS#12 files have it.
//!
//! | scheme | key from the password | cipher |
//! | --- | --- | --- |
//! | PBES2 (RFC 8018) | PBKDF2, scrypt | AES-CBC, 3DES-CBC |
//! | of PKCS#12 (RFC 7292, appendix C) | appendix B.2, with SHA-1 | 3DES-CBC, RC2-CBC |
//! | PBES1 (RFC 8018, section 6.1) | PBKDF1, with MD5 or SHA-1 | DES-CBC, RC2-CBC |
//!
//! The lower two are what Windows and OpenSSL before 3.0 write. They are only ever read.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, KeyIvInit};
use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY};
use cbc::Decryptor;
use des::{Des, TdesEde2, TdesEde3};
use md5::{Digest as _, Md5};
use pkcs8::der::asn1::AnyRef;
use pkcs8::der::{Reader as _, SliceReader, Tag};
use pkcs8::pkcs5::{EncryptionScheme, Error as Pkcs5Error};
use pkcs8::spki::AlgorithmIdentifierRef;
use rc2::Rc2;
use zeroize::Zeroizing;

use crate::key::KeyError;

/// Most rounds of a derivation: some seconds of work.
pub(crate) const ROUNDS_AT_MOST: u32 = 10_000_000;
const PBES2: &str = "1.2.840.113549.1.5.13";
/// What PBKDF1 gives: 8 bytes of key and 8 of initialization vector.
const PBKDF1_HALF: usize = 8;
/// Length of an initialization vector of DES and RC2.
const IV_LENGTH: usize = 8;

/// What a derived key is for (RFC 7292, appendix B.3).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

/// The elements of a SEQUENCE or SET.
pub(crate) fn elements(constructed: AnyRef<'_>) -> Result<Vec<AnyRef<'_>>, KeyError> {
    let damaged = |error: pkcs8::der::Error| KeyError::Damaged(error.to_string());
    let mut reader = SliceReader::new(constructed.value()).map_err(damaged)?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        found.push(reader.decode().map_err(damaged)?);
    }
    Ok(found)
}

/// Decrypts what was encrypted under an `AlgorithmIdentifier`, which is a DER element always. One wrong password of 256
/// leaves a padding that looks right, so what is no element was opened with the wrong one.
pub(crate) fn decrypt(algorithm: AnyRef<'_>, password: &str, content: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let clear = decipher(algorithm, password, content)?;
    if AnyRef::try_from(clear.as_slice()).is_ok() { Ok(clear) } else { Err(KeyError::WrongPassword) }
}

fn decipher(algorithm: AnyRef<'_>, password: &str, content: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let algorithm: AlgorithmIdentifierRef<'_> =
        algorithm.decode_as().map_err(|error: pkcs8::der::Error| KeyError::Damaged(error.to_string()))?;
    let name = algorithm.oid.to_string();
    if name == PBES2 {
        return decrypt_pbes2(algorithm, password, content);
    }
    let (salt, rounds) = parameters(algorithm.parameters)?;
    let mut buffer = Zeroizing::new(content.to_vec());
    let of_pkcs12 = |length| {
        let derive = |purpose, length| derive(&SHA1_FOR_LEGACY_USE_ONLY, password, salt, purpose, rounds, length);
        (derive(Purpose::Key, length), derive(Purpose::Iv, IV_LENGTH))
    };
    let length = match name.as_str() {
        "1.2.840.113549.1.12.1.3" => open::<Decryptor<TdesEde3>>(of_pkcs12(24), &mut buffer),
        "1.2.840.113549.1.12.1.4" => open::<Decryptor<TdesEde2>>(of_pkcs12(16), &mut buffer),
        "1.2.840.113549.1.12.1.5" => open::<Decryptor<Rc2>>(of_pkcs12(16), &mut buffer),
        "1.2.840.113549.1.12.1.6" => open::<Decryptor<Rc2>>(of_pkcs12(5), &mut buffer),
        "1.2.840.113549.1.5.3" => open::<Decryptor<Des>>(pbkdf1(md5, password, salt, rounds), &mut buffer),
        "1.2.840.113549.1.5.6" => open::<Decryptor<Rc2>>(pbkdf1(md5, password, salt, rounds), &mut buffer),
        "1.2.840.113549.1.5.10" => open::<Decryptor<Des>>(pbkdf1(sha1, password, salt, rounds), &mut buffer),
        "1.2.840.113549.1.5.11" => open::<Decryptor<Rc2>>(pbkdf1(sha1, password, salt, rounds), &mut buffer),
        other => return Err(KeyError::Unsupported(format!("the encryption scheme {other}"))),
    };
    buffer.truncate(length.ok_or(KeyError::WrongPassword)?);
    Ok(buffer)
}

fn decrypt_pbes2(
    algorithm: AlgorithmIdentifierRef<'_>,
    password: &str,
    content: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let scheme = EncryptionScheme::try_from(algorithm)
        .map_err(|error| KeyError::Unsupported(format!("PBES2 with parameters that are not known ({error})")))?;
    let rounds = scheme.pbes2().and_then(|pbes2| pbes2.kdf.pbkdf2()).map(|pbkdf2| pbkdf2.iteration_count);
    if rounds.is_some_and(|rounds| rounds > ROUNDS_AT_MOST) {
        return Err(too_many_rounds());
    }
    match scheme.decrypt(password, content) {
        Ok(clear) => Ok(Zeroizing::new(clear)),
        Err(Pkcs5Error::DecryptFailed) => Err(KeyError::WrongPassword),
        Err(error) => Err(KeyError::Unsupported(error.to_string())),
    }
}

fn too_many_rounds() -> KeyError {
    KeyError::Unsupported(format!("more than {ROUNDS_AT_MOST} rounds of its derivation"))
}

/// Salt and rounds of the older schemes.
fn parameters(parameters: Option<AnyRef<'_>>) -> Result<(&[u8], u32), KeyError> {
    let damaged = || KeyError::Damaged("expected salt and rounds beside the encryption scheme".to_owned());
    let elements = elements(parameters.ok_or_else(damaged)?)?;
    let [salt, rounds] = elements.as_slice() else { return Err(damaged()) };
    if salt.header().tag() != Tag::OctetString {
        return Err(damaged());
    }
    Ok((salt.value(), read_rounds(*rounds)?))
}

/// A number of rounds within the limit.
pub(crate) fn read_rounds(number: AnyRef<'_>) -> Result<u32, KeyError> {
    let rounds: u32 = number.decode_as().map_err(|_| too_many_rounds())?;
    if (1..=ROUNDS_AT_MOST).contains(&rounds) { Ok(rounds) } else { Err(too_many_rounds()) }
}

type KeyAndIv = (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>);

/// Decrypts in place; `None` if the padding is wrong, as it is after a wrong password.
fn open<M: BlockModeDecrypt + KeyIvInit>((key, iv): KeyAndIv, content: &mut [u8]) -> Option<usize> {
    M::new_from_slices(&key, &iv).ok()?.decrypt_padded::<Pkcs7>(content).ok().map(<[u8]>::len)
}

fn md5(bytes: &[u8]) -> Vec<u8> {
    Md5::digest(bytes).to_vec()
}

fn sha1(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
}

/// PBKDF1 (RFC 8018, section 5.1).
fn pbkdf1(hash: fn(&[u8]) -> Vec<u8>, password: &str, salt: &[u8], rounds: u32) -> KeyAndIv {
    let mut derived = Zeroizing::new([password.as_bytes(), salt].concat());
    for _ in 0..rounds {
        derived = Zeroizing::new(hash(&derived));
    }
    let bytes = |from| Zeroizing::new(derived.iter().copied().skip(from).take(PBKDF1_HALF).collect());
    (bytes(0), bytes(PBKDF1_HALF))
}

/// The derivation of PKCS#12 (RFC 7292, appendix B.2).
pub(crate) fn derive(
    hash: &'static digest::Algorithm,
    password: &str,
    salt: &[u8],
    purpose: Purpose,
    rounds: u32,
    length: usize,
) -> Zeroizing<Vec<u8>> {
    let block = hash.block_len();
    let text = Zeroizing::new(password.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect::<Vec<_>>());
    let mut input = Zeroizing::new([repeated(salt, block), repeated(&text, block)].concat());
    let diversifier = vec![purpose as u8; block];
    let mut derived = Zeroizing::new(Vec::new());
    while derived.len() < length {
        let mut turn = Zeroizing::new([diversifier.as_slice(), &input].concat());
        for _ in 0..rounds {
            turn = Zeroizing::new(digest::digest(hash, &turn).as_ref().to_vec());
        }
        derived.extend_from_slice(&turn);
        input.chunks_exact_mut(block).for_each(|chunk| add_and_one(chunk, &turn));
    }
    derived.truncate(length);
    derived
}

/// As often as needed to fill whole blocks.
fn repeated(bytes: &[u8], block: usize) -> Vec<u8> {
    bytes.iter().copied().cycle().take(bytes.len().div_ceil(block) * block).collect()
}

/// Adds the summand, repeated, and one to a number whose first byte is the highest.
fn add_and_one(number: &mut [u8], summand: &[u8]) {
    let summand = Zeroizing::new(summand.iter().copied().cycle().take(number.len()).collect::<Vec<_>>());
    let mut carry = 1;
    for (digit, more) in number.iter_mut().zip(summand.iter()).rev() {
        let [high, low] = (u16::from(*digit) + u16::from(*more) + carry).to_be_bytes();
        (*digit, carry) = (low, u16::from(high));
    }
}
