//! Certificates of the secure listeners.
//!
//! A server that was given no certificate makes its own at first start: a private CA, which is trusted once on each
//! machine that plays, and a leaf below it, which is renewed freely ([`development::ensure`]). An operator's own
//! `server.pem` in the same place is used as it is and never touched ([`certificate`]).

mod authority;
pub mod certificate;
mod chain;
pub mod challenge;
pub mod ciphers;
pub mod clients;
pub mod cluster;
pub mod config;
pub mod csr;
pub mod development;
pub mod expiry;
mod files;
pub mod import;
pub mod inspect;
mod issue;
mod key;
mod outgoing;
pub mod password;
mod pbe;
pub mod pem;
mod pfx;
pub mod selection;
mod staple;
pub mod start_log;
pub mod store;
pub mod trust;
pub mod versions;
pub mod warning;
pub mod watch;

use std::io;
use std::path::PathBuf;

pub use certificate::{Identity, KeyKind, Source, Summary};
pub use ciphers::CipherList;
pub use clients::{Authorities, ClientCertificates};
pub use config::{Settings, server_config, server_config_for};
pub use development::{Certificate, Origin, Renewal, Wanted};
pub use issue::KeyAlgorithm;
pub use outgoing::client_config;
pub use password::PasswordSource;
pub use selection::{Asked, Selection};
pub use start_log::StartLog;
pub use store::{Secured, Store};
pub use versions::{ProtocolRange, Version};
pub use warning::Warning;
pub use watch::Watch;

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
    #[error("{path} holds no private key; expected a block -----BEGIN PRIVATE KEY-----")]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is encrypted and there is no password.
    #[error(
        "the private key in {path} is encrypted and no password is configured; \
         configure one, or remove the encryption with `openssl pkey -in {path}`"
    )]
    NoPassword {
        /// The file.
        path: PathBuf,
    },
    /// The password does not open the key.
    #[error("the configured password does not open the private key in {path}; correct the password")]
    WrongPassword {
        /// The file.
        path: PathBuf,
    },
    /// The key is in a form that is not read here.
    #[error(
        "the private key in {path} has a format that is not supported: {detail}; \
         convert it with `openssl pkey -aes-256-cbc -in {path} -out key.pem`"
    )]
    UnsupportedKey {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The password could not be found.
    #[error("cannot read the password of the private key from {source_name}: {detail}")]
    Password {
        /// Where it should be.
        source_name: String,
        /// What went wrong.
        detail: String,
    },
    /// Several certificates, and nothing says which one is for clients that name no host.
    #[error("{count} certificates and no default domain; set DefaultDomain to a name that one of them covers")]
    NoDefaultDomain {
        /// How many there are.
        count: usize,
    },
    /// The file of authorities for clients' certificates is of no use.
    #[error("{path} cannot be used to verify clients: {detail}; expected certificates of authorities")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        detail: String,
    },
    /// Others than the owner may read the key, and warnings are errors.
    #[error("{path} holds a private key and is readable by group or others (mode {mode:04o}); run `chmod 600 {path}`")]
    KeyReadable {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// No certificate at all.
    #[error("no certificate is configured; expected at least one")]
    NoIdentity,
    /// No certificate covers the default domain.
    #[error("no certificate covers the default domain {domain:?}; they cover {covered}")]
    DefaultDomainNotCovered {
        /// The domain.
        domain: String,
        /// What is covered.
        covered: String,
    },
    /// A protocol version is misspelled or no longer possible.
    #[error("{attribute}={value:?}: expected one of {expected}")]
    ProtocolVersion {
        /// The setting.
        attribute: &'static str,
        /// As written.
        value: String,
        /// What is possible.
        expected: &'static str,
    },
    /// The lowest version is above the highest.
    #[error("MinProtocolVersion {min} is above MaxProtocolVersion {max}; exchange or remove one of them")]
    ProtocolRange {
        /// The lowest.
        min: Version,
        /// The highest.
        max: Version,
    },
    /// The cipher list does not follow the grammar.
    #[error("cipher list {list:?}: {detail}")]
    CipherSyntax {
        /// As written.
        list: String,
        /// What was wrong.
        detail: String,
    },
    /// The cipher list leaves nothing.
    #[error("cipher list {list:?} selects no supported suite; supported are {supported}")]
    NoCipher {
        /// As written.
        list: String,
        /// What is there.
        supported: String,
    },
    /// The key is weaker than the cipher list's security level.
    #[error(
        "the certificate's key ({key}) is too weak for @SECLEVEL={level}; expected RSA {rsa} or a curve of {curve} bits at least"
    )]
    SecurityLevel {
        /// The key.
        key: KeyKind,
        /// The level.
        level: u8,
        /// Bits that RSA needs.
        rsa: usize,
        /// Bits that a curve needs.
        curve: usize,
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
    /// An authority without its key.
    #[error(
        "the key of the authority {ca} is missing: {ca_key}; \
         restore it, or remove {ca} so that a new authority is made (clients must then trust that one)"
    )]
    NoAuthorityKey {
        /// The authority's certificate.
        ca: PathBuf,
        /// Where the key should be.
        ca_key: PathBuf,
    },
    /// An authority with name constraints was asked for, and there is one without.
    #[error(
        "the authority {ca} has no name constraints, and clients may trust it already; \
         make one that has them in another state folder, with --state-dir"
    )]
    AuthorityUnlimited {
        /// The authority's certificate.
        ca: PathBuf,
    },
    /// An authority with name constraints cannot issue for every name.
    #[error(
        "the name constraints of the authority {ca} exclude {name:?}, so that every client would refuse the certificate; \
         make an authority for it in another state folder, with --state-dir"
    )]
    NameExcluded {
        /// The name.
        name: String,
        /// The authority's certificate.
        ca: PathBuf,
    },
    /// The authority of a cluster would end before the certificate.
    #[error(
        "the authority {ca} ends in fewer than {days} days; give the certificate fewer with --days, \
         or make an authority in another folder and give every server a certificate of it"
    )]
    AuthorityEnds {
        /// The authority's certificate.
        ca: PathBuf,
        /// Days of life that the certificate was to have.
        days: u32,
    },
    /// Nodes need an authority.
    #[error("{folder} has no root.pem; make the cluster's authority with `lampyris cert cluster init --dir {folder}`")]
    NoCluster {
        /// The cluster's folder.
        folder: PathBuf,
    },
    /// No certificate that could be trusted.
    #[error(
        "{path} holds no authority and no certificate that is its own issuer; \
         trusting another one has no effect: give the ca.pem of the authority that issued it"
    )]
    NoAnchor {
        /// The file.
        path: PathBuf,
    },
    /// The file is not PKCS#12.
    #[error(
        "{path} is not a PKCS#12 file: {detail}; \
         expected what Windows exports as .pfx or `openssl pkcs12 -export` writes"
    )]
    NotPfx {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        detail: String,
    },
    /// The file is PKCS#12 of a kind that is not read here.
    #[error(
        "{path} has {detail}, which is not supported; convert it with `openssl pkcs12 -in {path} -nodes -out server.pem`"
    )]
    UnsupportedPfx {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The file needs a password and none was given.
    #[error("{path} has a password; name its source with --password env:NAME or --password file:PATH")]
    NoPfxPassword {
        /// The file.
        path: PathBuf,
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
