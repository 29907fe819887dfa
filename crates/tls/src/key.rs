//! Private keys in every form that operators have.
//!
//! | label | form |
//! | --- | --- |
//! | `PRIVATE KEY` | PKCS#8 (RFC 5958) |
//! | `RSA PRIVATE KEY` | PKCS#1 (RFC 8017) |
//! | `EC PRIVATE KEY` | SEC1 (RFC 5915) |
//! | `ENCRYPTED PRIVATE KEY` | PKCS#8 with the schemes of [`pbe`] |
//! | the middle two with `Proc-Type: 4,ENCRYPTED` | RFC 1421 headers; key from MD5 over password and salt |

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, KeyIvInit};
use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use des::TdesEde3;
use md5::{Digest as _, Md5};
use pkcs8::der::asn1::AnyRef;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use x509_parser::asn1_rs::{self, FromDer as _};
use zeroize::Zeroizing;

use crate::pbe;
use crate::pem::Block;

/// Bytes of the initialization vector that salt the traditional derivation.
const SALT_LEN: usize = 8;

/// Decrypts in place, by password, salt and initialization vector, and returns how many bytes remain.
type Decrypt = fn(&[u8], &[u8], &[u8], &mut [u8]) -> Option<usize>;

/// Why a block gave no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyError {
    NoPassword,
    WrongPassword,
    Unsupported(String),
    Damaged(String),
}

/// Whether a block with this label holds a private key.
pub(crate) fn is_private_key(label: &str) -> bool {
    label.ends_with("PRIVATE KEY")
}

/// Whether reading this block takes a password.
pub(crate) fn is_encrypted(block: &Block) -> bool {
    block.label == "ENCRYPTED PRIVATE KEY" || header(block, "Proc-Type").is_some_and(|kind| kind.contains("ENCRYPTED"))
}

pub(crate) fn decode(block: &Block, password: Option<&str>) -> Result<PrivateKeyDer<'static>, KeyError> {
    let content = if is_encrypted(block) {
        let password = password.ok_or(KeyError::NoPassword)?;
        if block.label == "ENCRYPTED PRIVATE KEY" {
            return Ok(pkcs8_key(&decrypt_pkcs8(&block.content, password)?));
        }
        decrypt_traditional(block, password)?
    } else {
        block.content.clone()
    };
    match block.label.as_str() {
        "PRIVATE KEY" => Ok(pkcs8_key(&content)),
        "RSA PRIVATE KEY" => Ok(PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(content.to_vec()))),
        "EC PRIVATE KEY" => Ok(PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(content.to_vec()))),
        other => Err(KeyError::Unsupported(format!("a block {other:?}"))),
    }
}

fn pkcs8_key(content: &[u8]) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(content.to_vec()))
}

fn decrypt_pkcs8(content: &[u8], password: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let damaged = || KeyError::Damaged("expected an encryption scheme and what it encrypted".to_owned());
    let parts = pbe::elements(AnyRef::try_from(content).map_err(|_| damaged())?)?;
    let [algorithm, encrypted] = parts.as_slice() else { return Err(damaged()) };
    pbe::decrypt(*algorithm, password, encrypted.value())
}

/// Opens a key that was encrypted with OpenSSL's traditional headers (RFC 1421 `DEK-Info`).
fn decrypt_traditional(block: &Block, password: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let info = header(block, "DEK-Info").ok_or_else(|| KeyError::Damaged("no DEK-Info line".to_owned()))?;
    let (name, iv) = info.split_once(',').unwrap_or((info, ""));
    let iv = hex(iv.trim()).ok_or_else(|| KeyError::Damaged(format!("DEK-Info {info:?}: expected NAME,HEX")))?;
    let decrypt: Decrypt = match name.trim() {
        "AES-128-CBC" => decrypt_cbc::<Decryptor<Aes128>>,
        "AES-192-CBC" => decrypt_cbc::<Decryptor<Aes192>>,
        "AES-256-CBC" => decrypt_cbc::<Decryptor<Aes256>>,
        "DES-EDE3-CBC" => decrypt_cbc::<Decryptor<TdesEde3>>,
        other => return Err(KeyError::Unsupported(format!("the encryption {other:?}"))),
    };
    let salt = iv.get(..SALT_LEN).ok_or_else(|| KeyError::Damaged(format!("DEK-Info {info:?}: salt too short")))?;
    let mut content = block.content.clone();
    let length = decrypt(password.as_bytes(), salt, &iv, &mut content).ok_or(KeyError::WrongPassword)?;
    content.truncate(length);
    match asn1_rs::Sequence::from_der(&content) {
        Ok(([], _)) => Ok(content),
        _ => Err(KeyError::WrongPassword),
    }
}

fn decrypt_cbc<M: BlockModeDecrypt + KeyIvInit>(
    password: &[u8],
    salt: &[u8],
    iv: &[u8],
    content: &mut [u8],
) -> Option<usize> {
    let key = derive(password, salt, M::key_size());
    let mode = M::new_from_slices(&key, iv).ok()?;
    mode.decrypt_padded::<Pkcs7>(content).ok().map(<[u8]>::len)
}

/// `D1 = MD5(password, salt)`, `Dn = MD5(Dn-1, password, salt)`; the key is the first bytes of `D1 D2 ...`.
fn derive(password: &[u8], salt: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(length + Md5::output_size()));
    let mut previous = Zeroizing::new(Vec::new());
    while key.len() < length {
        let digest = Md5::new().chain_update(previous.as_slice()).chain_update(password).chain_update(salt).finalize();
        previous = Zeroizing::new(digest.to_vec());
        key.extend_from_slice(&previous);
    }
    key.truncate(length);
    key
}

fn header<'a>(block: &'a Block, name: &str) -> Option<&'a str> {
    block.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}
