//! Asking an authority for a certificate (PKCS#10, RFC 2986).

use std::net::IpAddr;
use std::path::Path;

use rcgen::KeyPair;
use zeroize::Zeroizing;

use crate::certificate::{blocks, private_key};
use crate::files::{self, Access};
use crate::issue::{self, KeyAlgorithm, LEAF_LIFETIME, Leaf};
use crate::{PasswordSource, TlsError};

/// A request, to be handed to the authority.
#[derive(Clone, Debug)]
pub struct Request {
    /// It, as PEM.
    pub pem: String,
    /// Whether the key was made just now.
    pub is_key_new: bool,
}

/// Makes a request for names and addresses with the key in `key_file`, which is made if it is not there.
///
/// # Errors
/// If the file cannot be read, used or written.
pub fn request(
    key_file: &Path,
    password: Option<&PasswordSource>,
    algorithm: KeyAlgorithm,
    names: &[String],
    addresses: &[IpAddr],
) -> Result<Request, TlsError> {
    let leaf = Leaf { names, addresses, uris: &[], lifetime: LEAF_LIFETIME, is_client_too: false };
    let Some(bytes) = files::read(key_file)?.map(Zeroizing::new) else {
        let key = algorithm.generate()?;
        let pem = issue::make_request(&leaf, &key)?;
        let key_pem = Zeroizing::new(key.serialize_pem());
        files::write(key_file, key_pem.as_bytes(), Access::Private)?;
        return Ok(Request { pem, is_key_new: true });
    };
    let key = private_key(&blocks(&bytes, key_file)?, key_file, password, &mut Vec::new())?;
    let unusable = |error: rcgen::Error| TlsError::Unusable { path: key_file.to_owned(), detail: error.to_string() };
    let key = KeyPair::try_from(&key).map_err(unusable)?;
    Ok(Request { pem: issue::make_request(&leaf, &key)?, is_key_new: false })
}
