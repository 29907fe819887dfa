//! Key exchange and payload encryption (transports.md, section 7).
//!
//! | part | what |
//! | --- | --- |
//! | group | the 768-bit prime of RFC 2409, section 6.1 (Oakley group 1), generator 22 |
//! | exponents | 160 bits |
//! | public keys, shared secret | big-endian, without leading zeros |
//! | key | SHA-256 of the shared secret, or a pre-shared secret of 32 bytes as it is |
//! | cipher | AES-256-CBC, zero initialization vector for every message, PKCS7 padding |
//!
//! The clients fix all of this. The zero vector makes equal beginnings of messages visible and there is no
//! authentication, so it hides passwords and tokens from a passive listener and no more: TLS is the answer to the rest.

use aws_lc_rs::cipher::{
    AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::iv::FixedLength;
use crypto_bigint::modular::ConstMontyForm;
use crypto_bigint::{U192, U768, const_monty_params};
use zeroize::{Zeroize, Zeroizing};

const_monty_params!(
    Oakley1,
    U768,
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74\
     020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437\
     4fe1356d6d51c245e485b576625e7ec6f44c42e9a63a3620ffffffffffffffff",
    "The prime that every client computes with."
);

type Element = ConstMontyForm<Oakley1, { U768::LIMBS }>;

const GENERATOR: U768 = U768::from_u8(22);

/// Length of a private exponent: what the clients draw.
pub const EXPONENT_BYTES: usize = 20;
const EXPONENT_BITS: u32 = 160;

/// Longest public key and shared secret: the size of the prime.
pub const PUBLIC_KEY_BYTES: usize = 96;

/// Length of an AES-256 key and so of a pre-shared secret.
pub const KEY_BYTES: usize = 32;

const BLOCK_BYTES: usize = 16;

/// Why there is no cipher, or no plain text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// More bytes than the prime has.
    #[error("expected a public key of at most {PUBLIC_KEY_BYTES} bytes, found {0} bytes")]
    KeyTooLong(usize),
    /// 0, 1, p - 1 and everything from p on: keys that make the shared secret known to everyone.
    #[error("expected a public key above 1 and below prime - 1, found one outside")]
    WeakKey,
    /// A pre-shared secret of another length.
    #[error("expected a secret of {KEY_BYTES} bytes, found {0} bytes")]
    SecretLength(usize),
    /// Not whole cipher blocks.
    #[error("expected cipher text of whole blocks of {BLOCK_BYTES} bytes, found {0} bytes")]
    BlockLength(usize),
    /// The padding makes no sense: the peer has another key.
    #[error("cipher text does not decrypt with this connection's key")]
    Padding,
    /// The cryptography library refused its own parameters.
    #[error("the cipher failed")]
    Cipher,
}

/// One side of a key exchange that waits for the other side's public key.
pub struct KeyExchange {
    exponent: U192,
    public_key: Vec<u8>,
}

impl KeyExchange {
    /// Begins an exchange with fresh random bytes as the private exponent.
    #[must_use]
    pub fn new(exponent: &[u8; EXPONENT_BYTES]) -> Self {
        let mut padded = Zeroizing::new([0; U192::BYTES]);
        if let Some(low) = padded.last_chunk_mut() {
            *low = *exponent;
        }
        let exponent = U192::from_be_slice(padded.as_slice());
        Self { exponent, public_key: minimal_bytes(&power(&GENERATOR, &exponent)).to_vec() }
    }

    /// What to send to the other side.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Ends the exchange with the other side's public key.
    ///
    /// # Errors
    /// The key is too long or one of the known weak ones.
    pub fn finish(self, peer_public_key: &[u8]) -> Result<PayloadCipher, CryptoError> {
        let peer = parse_public_key(peer_public_key)?;
        let shared = Zeroizing::new(power(&peer, &self.exponent));
        PayloadCipher::from_shared_secret(&minimal_bytes(&shared))
    }

    /// The server's whole part: takes the client's public key, gives the own one and the cipher of the connection.
    ///
    /// Costs two exponentiations, about a third of a millisecond.
    ///
    /// # Errors
    /// The key is too long or one of the known weak ones; nothing was computed by then.
    pub fn respond(
        exponent: &[u8; EXPONENT_BYTES],
        client_public_key: &[u8],
    ) -> Result<(Vec<u8>, PayloadCipher), CryptoError> {
        parse_public_key(client_public_key)?;
        let exchange = Self::new(exponent);
        let public_key = exchange.public_key.clone();
        Ok((public_key, exchange.finish(client_public_key)?))
    }
}

impl Drop for KeyExchange {
    fn drop(&mut self) {
        self.exponent.zeroize();
    }
}

impl std::fmt::Debug for KeyExchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyExchange").finish_non_exhaustive()
    }
}

/// Constant time in base and exponent.
fn power(base: &U768, exponent: &U192) -> U768 {
    Element::new(base).pow_bounded_exp(exponent, EXPONENT_BITS).retrieve()
}

fn parse_public_key(bytes: &[u8]) -> Result<U768, CryptoError> {
    let minimal = without_leading_zeros(bytes);
    let mut padded = [0; PUBLIC_KEY_BYTES];
    let Some(low) = PUBLIC_KEY_BYTES.checked_sub(minimal.len()).and_then(|start| padded.get_mut(start..)) else {
        return Err(CryptoError::KeyTooLong(minimal.len()));
    };
    low.copy_from_slice(minimal);
    let key = U768::from_be_slice(&padded);
    let last = <Oakley1 as crypto_bigint::modular::ConstMontyParams<{ U768::LIMBS }>>::PARAMS
        .modulus()
        .as_ref()
        .wrapping_sub(&U768::ONE);
    if key <= U768::ONE || key >= last { Err(CryptoError::WeakKey) } else { Ok(key) }
}

fn minimal_bytes(number: &U768) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(without_leading_zeros(number.to_be_bytes().as_slice()).to_vec())
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

/// The cipher of one connection: encrypts and decrypts message bodies, that is what follows `F3` and the type byte.
pub struct PayloadCipher(Box<Keys>);

/// Expanded once, because the key schedule costs as much as several blocks.
struct Keys {
    encrypting: PaddedBlockEncryptingKey,
    decrypting: PaddedBlockDecryptingKey,
}

impl PayloadCipher {
    /// The cipher after a key exchange; `secret` without leading zeros.
    fn from_shared_secret(secret: &[u8]) -> Result<Self, CryptoError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        key.copy_from_slice(digest(&SHA256, secret).as_ref());
        Self::from_key(&key)
    }

    /// The cipher from the secret that a token carries: its bytes are the key.
    ///
    /// # Errors
    /// The secret is not of [`KEY_BYTES`].
    pub fn from_pre_shared(secret: &[u8]) -> Result<Self, CryptoError> {
        let key = secret.try_into().map_err(|_| CryptoError::SecretLength(secret.len()))?;
        Self::from_key(key)
    }

    fn from_key(key: &[u8; KEY_BYTES]) -> Result<Self, CryptoError> {
        let unbound = || UnboundCipherKey::new(&AES_256, key).map_err(|_| CryptoError::Cipher);
        Ok(Self(Box::new(Keys {
            encrypting: PaddedBlockEncryptingKey::cbc_pkcs7(unbound()?).map_err(|_| CryptoError::Cipher)?,
            decrypting: PaddedBlockDecryptingKey::cbc_pkcs7(unbound()?).map_err(|_| CryptoError::Cipher)?,
        })))
    }

    /// How many bytes [`PayloadCipher::encrypt`] makes of `plain_len`.
    #[must_use]
    pub const fn encrypted_len(plain_len: usize) -> usize {
        (plain_len / BLOCK_BYTES + 1) * BLOCK_BYTES
    }

    /// Appends the cipher text of `plain` to `out`.
    ///
    /// # Errors
    /// [`CryptoError::Cipher`] only; `out` is then as it was before.
    pub fn encrypt(&self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CryptoError> {
        let start = out.len();
        out.reserve(Self::encrypted_len(plain.len()));
        out.extend_from_slice(plain);
        let context = EncryptionContext::Iv128(FixedLength::from([0; BLOCK_BYTES]));
        let done = self.0.encrypting.less_safe_encrypt(&mut Tail { out, start }, context);
        if done.is_err() {
            out.truncate(start);
            return Err(CryptoError::Cipher);
        }
        Ok(())
    }

    /// Appends the plain text of `encrypted` to `out`.
    ///
    /// # Errors
    /// Not whole blocks, or another key; `out` is then as it was before.
    pub fn decrypt(&self, encrypted: &[u8], out: &mut Vec<u8>) -> Result<(), CryptoError> {
        if encrypted.is_empty() || !encrypted.len().is_multiple_of(BLOCK_BYTES) {
            return Err(CryptoError::BlockLength(encrypted.len()));
        }
        let start = out.len();
        out.extend_from_slice(encrypted);
        let context = DecryptionContext::Iv128(FixedLength::from([0; BLOCK_BYTES]));
        let plain =
            out.get_mut(start..).and_then(|tail| self.0.decrypting.decrypt(tail, context).ok()).map(|p| p.len());
        out.truncate(start.saturating_add(plain.unwrap_or_default()));
        plain.map(|_| ()).ok_or(CryptoError::Padding)
    }
}

impl std::fmt::Debug for PayloadCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PayloadCipher").finish_non_exhaustive()
    }
}

/// The end of a buffer, so that the library pads and encrypts in place behind what is already there.
struct Tail<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl AsMut<[u8]> for Tail<'_> {
    fn as_mut(&mut self) -> &mut [u8] {
        self.out.get_mut(self.start..).unwrap_or_default()
    }
}

impl<'b> Extend<&'b u8> for Tail<'_> {
    fn extend<I: IntoIterator<Item = &'b u8>>(&mut self, bytes: I) {
        self.out.extend(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{bytes, text, vectors};
    use proptest::prelude::*;

    fn prime() -> U768 {
        *<Oakley1 as crypto_bigint::modular::ConstMontyParams<{ U768::LIMBS }>>::PARAMS.modulus().as_ref()
    }

    fn encrypted(cipher: &PayloadCipher, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        cipher.encrypt(plain, &mut out).unwrap();
        out
    }

    fn decrypted(cipher: &PayloadCipher, encrypted: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut out = Vec::new();
        cipher.decrypt(encrypted, &mut out)?;
        Ok(out)
    }

    #[test]
    fn the_group_is_that_of_the_captures() {
        let group = &vectors("transport-encryption.json")["group"];
        assert_eq!(prime().to_be_bytes().as_slice(), bytes(&group["prime"]));
        assert_eq!(group["generator"], 22);
    }

    #[test]
    fn captured_exchanges_give_the_captured_keys_and_messages() {
        let file = vectors("transport-encryption.json");
        let exchanges = file["exchanges"].as_array().unwrap();
        assert!(exchanges.len() >= 6);
        for exchange in exchanges {
            let name = text(&exchange["capture"]);
            let exponent: [u8; EXPONENT_BYTES] = bytes(&exchange["serverPrivateExponent"]).try_into().unwrap();
            let client_key = bytes(&exchange["clientPublicKey"]);
            let (public_key, cipher) = KeyExchange::respond(&exponent, &client_key).unwrap();
            assert_eq!(public_key, bytes(&exchange["serverPublicKey"]), "{name}");
            let padded = [vec![0, 0], client_key].concat();
            assert!(KeyExchange::respond(&exponent, &padded).is_ok(), "{name}: zero-padded key");

            let plain = bytes(&exchange["clientPlaintext"][0]);
            let captured = bytes(&exchange["encryptedMessages"][0]["ciphertext"]);
            assert_eq!(decrypted(&cipher, &captured).unwrap(), plain, "{name}");
            assert_eq!(encrypted(&cipher, &plain), captured, "{name}");
            let from_server = bytes(&exchange["encryptedMessages"][1]["ciphertext"]);
            let plain = decrypted(&cipher, &from_server).unwrap();
            assert_eq!(encrypted(&cipher, &plain), from_server, "{name}");

            let by_key = PayloadCipher::from_pre_shared(&bytes(&exchange["aes256Key"])).unwrap();
            assert_eq!(decrypted(&by_key, &captured).unwrap(), decrypted(&cipher, &captured).unwrap(), "{name}");
        }
    }

    #[test]
    fn a_pre_shared_secret_is_the_key_itself() {
        let case = &vectors("transport-encryption.json")["presharedSecret"];
        let cipher = PayloadCipher::from_pre_shared(&bytes(&case["secret"])).unwrap();
        assert_eq!(encrypted(&cipher, &bytes(&case["plaintext"])), bytes(&case["ciphertext"]));
        for wrong in [31, 33] {
            assert_eq!(PayloadCipher::from_pre_shared(&vec![7; wrong]).unwrap_err(), CryptoError::SecretLength(wrong));
        }
    }

    #[test]
    fn captured_sessions_decrypt_with_their_keys() {
        let file = vectors("authonce.json");
        let mut checked = 0;
        for run in file["runs"].as_array().unwrap() {
            let mut ciphers = std::collections::HashMap::new();
            for step in run["steps"].as_array().unwrap() {
                if step["key"].is_string() {
                    ciphers.insert(text(&step["conn"]), PayloadCipher::from_pre_shared(&bytes(&step["key"])).unwrap());
                }
                let (Some(plain), Some(cipher)) =
                    (step["message"]["plaintext"].as_str(), ciphers.get(text(&step["conn"])))
                else {
                    continue;
                };
                let wire = bytes(&step["hex"]);
                let head = if wire[0] == 0xFB { 9 } else { 2 };
                assert_eq!(decrypted(cipher, &wire[head..]).unwrap(), bytes(&plain.into()), "{}", text(&run["name"]));
                assert_eq!(encrypted(cipher, &bytes(&plain.into())), &wire[head..], "{}", text(&run["name"]));
                checked += 1;
            }
        }
        assert!(checked >= 4, "{checked}");
    }

    #[test]
    fn weak_and_oversized_public_keys_are_refused() {
        let be = |number: U768| number.to_be_bytes().as_slice().to_vec();
        let last = prime().wrapping_sub(&U768::ONE);
        for weak in [vec![], vec![0; 96], vec![0, 1], be(last), be(prime()), vec![0xFF; 96]] {
            assert_eq!(KeyExchange::respond(&[9; 20], &weak).unwrap_err(), CryptoError::WeakKey, "{weak:02x?}");
        }
        assert_eq!(KeyExchange::respond(&[9; 20], &[1; 97]).unwrap_err(), CryptoError::KeyTooLong(97));
        for fine in [vec![2], be(last.wrapping_sub(&U768::ONE))] {
            assert!(KeyExchange::respond(&[9; 20], &fine).is_ok());
        }
    }

    #[test]
    fn cipher_text_that_is_not_ours_is_refused_and_leaves_the_buffer_alone() {
        let cipher = PayloadCipher::from_pre_shared(&[1; 32]).unwrap();
        let mut out = b"before".to_vec();
        for length in [0, 1, 15, 17] {
            assert_eq!(cipher.decrypt(&vec![0; length], &mut out), Err(CryptoError::BlockLength(length)));
        }
        let other = PayloadCipher::from_pre_shared(&[2; 32]).unwrap();
        assert_eq!(cipher.decrypt(&encrypted(&other, b"hello"), &mut out), Err(CryptoError::Padding));
        assert_eq!(out, b"before");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn both_sides_of_an_exchange_understand_each_other(
            client: [u8; 20], server: [u8; 20], plain in prop::collection::vec(any::<u8>(), 0..200)
        ) {
            prop_assume!(client != [0; 20] && server != [0; 20]);
            let exchange = KeyExchange::new(&client);
            let (server_key, server_cipher) = KeyExchange::respond(&server, exchange.public_key()).unwrap();
            let client_cipher = exchange.finish(&server_key).unwrap();
            let mut wire = b"head".to_vec();
            client_cipher.encrypt(&plain, &mut wire).unwrap();
            prop_assert_eq!(wire.len(), 4 + PayloadCipher::encrypted_len(plain.len()));
            prop_assert_eq!(decrypted(&server_cipher, &wire[4..]).unwrap(), plain);
        }
    }
}
