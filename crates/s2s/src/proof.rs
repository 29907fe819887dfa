//! Showing that one knows the secret without telling it.

use std::fmt;

use aws_lc_rs::hmac;

use crate::NONCE_BYTES;

/// Bytes of a proof.
pub(crate) const PROOF_BYTES: usize = 32;
/// Separates this key from any other use of the operator's secret.
const DERIVATION_SALT: &[u8] = b"lampyris s2s v1";
const GAME: &[u8] = b"game server";
const MASTER: &[u8] = b"master";

/// The key of an installation's links.
#[derive(Clone)]
pub struct Key(hmac::Key);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// The random numbers of one link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nonces {
    pub(crate) game: [u8; NONCE_BYTES],
    pub(crate) master: [u8; NONCE_BYTES],
}

impl Key {
    /// The key that belongs to the secret that all servers of an installation share. The secret should have 32 random
    /// bytes; it is stretched to a key, not hardened against guessing.
    #[must_use]
    pub fn derive(secret: &[u8]) -> Self {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, DERIVATION_SALT), secret);
        Self(hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref()))
    }

    /// What a game server with this registration shows.
    pub(crate) fn of_game(&self, nonces: &Nonces, registration: &[u8]) -> [u8; PROOF_BYTES] {
        self.sign(GAME, nonces, registration)
    }

    /// What the Master shows.
    pub(crate) fn of_master(&self, nonces: &Nonces) -> [u8; PROOF_BYTES] {
        self.sign(MASTER, nonces, &[])
    }

    pub(crate) fn is_of_game(&self, nonces: &Nonces, registration: &[u8], proof: &[u8]) -> bool {
        self.verify(GAME, nonces, registration, proof)
    }

    pub(crate) fn is_of_master(&self, nonces: &Nonces, proof: &[u8]) -> bool {
        self.verify(MASTER, nonces, &[], proof)
    }

    fn sign(&self, who: &[u8], nonces: &Nonces, rest: &[u8]) -> [u8; PROOF_BYTES] {
        let tag = hmac::sign(&self.0, &message(who, nonces, rest));
        let mut proof = [0; PROOF_BYTES];
        proof.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        proof
    }

    /// In constant time.
    fn verify(&self, who: &[u8], nonces: &Nonces, rest: &[u8], proof: &[u8]) -> bool {
        hmac::verify(&self.0, &message(who, nonces, rest), proof).is_ok()
    }
}

/// Nothing but `rest` varies in length, so that no two messages have the same bytes.
fn message(who: &[u8], nonces: &Nonces, rest: &[u8]) -> Vec<u8> {
    [who, &nonces.game, &nonces.master, rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCES: Nonces = Nonces { game: [1; NONCE_BYTES], master: [2; NONCE_BYTES] };

    #[test]
    fn a_proof_is_good_for_its_key_its_end_its_link_and_its_registration_only() {
        let key = Key::derive(b"secret");
        let proof = key.of_game(&NONCES, b"me");
        assert!(key.is_of_game(&NONCES, b"me", &proof));
        assert!(!Key::derive(b"other").is_of_game(&NONCES, b"me", &proof));
        assert!(!key.is_of_game(&NONCES, b"you", &proof));
        assert!(!key.is_of_game(&Nonces { master: [3; NONCE_BYTES], ..NONCES }, b"me", &proof));
        assert!(!key.is_of_game(&Nonces { game: [3; NONCE_BYTES], ..NONCES }, b"me", &proof));
        assert!(!key.is_of_game(&NONCES, b"me", &[]));
        assert!(!key.is_of_master(&NONCES, &key.of_game(&NONCES, b"")), "a proof cannot be sent back");
        assert!(key.is_of_master(&NONCES, &key.of_master(&NONCES)));
    }

    #[test]
    fn a_key_does_not_print_itself() {
        assert_eq!(format!("{:?}", Key::derive(b"secret")), "Key");
    }
}
