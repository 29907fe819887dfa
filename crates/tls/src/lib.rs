//! Certificates of the secure listeners.
//!
//! A server that was given no certificate makes its own at first start: a private CA, which is trusted once on each
//! machine that plays, and a leaf below it, which is renewed freely ([`development::ensure`]). An operator's own
//! `server.pem` in the same place is used as it is and never touched.

pub mod certificate;
pub mod config;
pub mod development;
mod files;
mod issue;

use std::io;
use std::path::PathBuf;

pub use certificate::{Identity, Summary};
pub use config::server_config;
pub use development::{Certificate, Origin, Renewal, Wanted};

/// Why there is no usable certificate. Each text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file or folder could not be read.
    #[error("cannot read {path}: {source}; give the server's user the right to read it")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder could not be written.
    #[error("cannot write {path}: {source}; give the server's user the right to write there")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not PEM, or a block of it is damaged.
    #[error("{path} is not a PEM file: {detail}; expected text blocks that start with -----BEGIN")]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        detail: String,
    },
    /// No certificate in the file.
    #[error("{path} holds no certificate; expected a block -----BEGIN CERTIFICATE-----")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// No private key in the file.
    #[error("{path} holds no private key; expected a block -----BEGIN PRIVATE KEY----- that is not encrypted")]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// None of the certificates belongs to the key.
    #[error("{path}: the private key belongs to none of the certificates in the file; put the matching pair there")]
    KeyMismatch {
        /// The file.
        path: PathBuf,
    },
    /// The certificate or the key is of a kind that TLS cannot use here.
    #[error("{path}: {detail}; expected an X.509 certificate with an RSA, ECDSA or Ed25519 key")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        detail: String,
    },
    /// The leaf must be renewed and its CA's key is gone.
    #[error(
        "{leaf} must be renewed ({reason}), but the key of its CA is missing: {ca_key}; \
         restore it, or remove {leaf} so that a new CA is made (clients must then trust the new ca.pem)"
    )]
    NoCaKey {
        /// The leaf.
        leaf: PathBuf,
        /// Where the key should be.
        ca_key: PathBuf,
        /// Why the leaf must be renewed.
        reason: Renewal,
    },
    /// The CA's certificate and key do not fit together.
    #[error("{ca} and {ca_key} do not belong together; restore the right pair, or remove both and make a new CA")]
    CaMismatch {
        /// The CA's certificate.
        ca: PathBuf,
        /// The CA's key.
        ca_key: PathBuf,
    },
    /// Making a certificate failed.
    #[error("cannot make a certificate: {0}")]
    Making(#[from] rcgen::Error),
    /// The TLS library refused the configuration.
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] rustls::Error),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes: {0}")]
    Random(getrandom::Error),
}
