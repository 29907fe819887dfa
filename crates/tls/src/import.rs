//! Turning what an operator was given into the files that a listener reads: a `.pfx`, or PEM files in whatever order.

use std::io;
use std::path::Path;

use rustls::crypto::CryptoProvider;
use rustls_pki_types::PrivateKeyDer;
use zeroize::Zeroizing;

use crate::certificate::{Source, blocks, private_key};
use crate::files::{self, Access};
use crate::key::KeyError;
use crate::{Identity, PasswordSource, TlsError, pem, pfx};

pub use pfx::{PFX_BYTES_AT_MOST, PFX_ENTRIES_AT_MOST};

/// A certificate chain in order, and its key without encryption.
#[derive(Debug)]
pub struct Imported {
    identity: Identity,
    chain_pem: String,
    key_pem: Zeroizing<String>,
}

/// Reads a PKCS#12 file. Of several keys the first is taken that belongs to one of the certificates.
///
/// # Errors
/// If the file cannot be read or opened, or no key in it belongs to a certificate.
pub fn from_pfx(
    path: &Path,
    password: Option<&PasswordSource>,
    provider: &CryptoProvider,
) -> Result<Imported, TlsError> {
    let bytes = Zeroizing::new(read(path)?);
    let text = password.map(PasswordSource::read).transpose()?;
    let contents = pfx::open(&bytes, text.as_ref().map_or("", |text| text.as_str())).map_err(|error| {
        let path = path.to_owned();
        match error {
            KeyError::WrongPassword | KeyError::NoPassword if password.is_none() => TlsError::NoPfxPassword { path },
            KeyError::WrongPassword | KeyError::NoPassword => TlsError::WrongPassword { path },
            KeyError::Unsupported(detail) => TlsError::UnsupportedPfx { path, detail },
            KeyError::Damaged(detail) => TlsError::NotPfx { path, detail },
        }
    })?;
    let chain = contents.certificates.iter().map(|one| pem::encode("CERTIFICATE", one)).collect::<String>();
    let mut problem = TlsError::NoKey { path: path.to_owned() };
    for key in &contents.keys {
        match Imported::of(&chain, key, path, provider) {
            Ok(imported) => return Ok(imported),
            Err(error) => problem = error,
        }
    }
    Err(problem)
}

/// Reads certificate and key from one PEM file or two.
///
/// # Errors
/// As [`Identity::load_from`].
pub fn from_pem(source: &Source<'_>, provider: &CryptoProvider) -> Result<Imported, TlsError> {
    let certificates = Zeroizing::new(read(source.certificate)?);
    let key_path = source.key.unwrap_or(source.certificate);
    let key_file = Zeroizing::new(read(key_path)?);
    let key = private_key(&blocks(&key_file, key_path)?, key_path, source.password, &mut Vec::new())?;
    let certificates = crate::certificate::certificates(&certificates, source.certificate)?;
    let chain = certificates.iter().map(|one| pem::encode("CERTIFICATE", one)).collect::<String>();
    Imported::of(&chain, &key, source.certificate, provider)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let not_found = || io::Error::from(io::ErrorKind::NotFound);
    files::read(path)?.ok_or_else(|| TlsError::Unreadable { path: path.to_owned(), source: not_found() })
}

impl Imported {
    fn of(chain: &str, key: &PrivateKeyDer<'_>, path: &Path, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let label = match key {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        let key_pem = Zeroizing::new(pem::encode(label, key.secret_der()));
        let file = Zeroizing::new(format!("{chain}{}", key_pem.as_str()));
        let source = Source { certificate: path, key: None, password: None };
        let identity = Identity::parse(file.as_bytes(), &source, provider)?;
        let chain_pem = identity.chain().iter().map(|one| pem::encode("CERTIFICATE", one)).collect();
        Ok(Self { identity, chain_pem, key_pem })
    }

    /// The chain, and what the operator should know of it.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Writes chain and key to one file that the owner alone may read.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), TlsError> {
        let file = Zeroizing::new(format!("{}{}", self.chain_pem, self.key_pem.as_str()));
        files::write(path, file.as_bytes(), Access::Private)
    }

    /// Writes chain and key to a file each.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn write_apart(&self, certificate: &Path, key: &Path) -> Result<(), TlsError> {
        files::write(key, self.key_pem.as_bytes(), Access::Private)?;
        files::write(certificate, self.chain_pem.as_bytes(), Access::Public)
    }
}
