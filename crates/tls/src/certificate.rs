//! Reading a `server.pem`: certificate chain and private key in one file, in any order.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

use crate::{TlsError, files};

const UTF8_BOM: &[u8] = b"\xEF\xBB\xBF";

/// A certificate chain with its private key, leaf first.
#[derive(Clone)]
pub struct Identity {
    pub(crate) certified: Arc<CertifiedKey>,
    pub(crate) summary: Summary,
}

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// DNS names it covers.
    pub names: Vec<String>,
    /// Addresses it covers.
    pub addresses: Vec<IpAddr>,
    /// Its subject.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// First moment at which it is no longer valid.
    pub not_after: SystemTime,
}

impl Identity {
    /// Reads a PEM file. The leaf is the certificate that belongs to the key, wherever it stands in the file.
    ///
    /// # Errors
    /// If the file cannot be read, or has no certificate, no key, or no pair of them that belongs together.
    pub fn load(path: &Path, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let bytes = files::read(path)?.ok_or_else(|| TlsError::Unreadable {
            path: path.to_owned(),
            source: std::io::ErrorKind::NotFound.into(),
        })?;
        Self::parse(&bytes, path, provider)
    }

    pub(crate) fn parse(bytes: &[u8], path: &Path, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let mut chain = certificates(bytes, path)?;
        let key = PrivateKeyDer::from_pem_slice(without_bom(bytes)).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsError::NoKey { path: path.to_owned() },
            other => TlsError::NotPem { path: path.to_owned(), detail: other.to_string() },
        })?;
        let unusable = |detail: String| TlsError::Unusable { path: path.to_owned(), detail };
        let key = provider.key_provider.load_private_key(key).map_err(|error| unusable(error.to_string()))?;
        let leaf = chain
            .iter()
            .position(|certificate| CertifiedKey::new(vec![certificate.clone()], Arc::clone(&key)).keys_match().is_ok())
            .ok_or_else(|| TlsError::KeyMismatch { path: path.to_owned() })?;
        let leaf = chain.remove(leaf);
        let summary = Summary::of(&leaf).map_err(unusable)?;
        chain.insert(0, leaf);
        Ok(Self { certified: Arc::new(CertifiedKey::new(chain, key)), summary })
    }

    /// What the leaf says of itself.
    #[must_use]
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    pub(crate) fn leaf(&self) -> Option<&CertificateDer<'static>> {
        self.certified.cert.first()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("summary", &self.summary).finish_non_exhaustive()
    }
}

impl Summary {
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
        let mut names = Vec::new();
        let mut addresses = Vec::new();
        for extension in parsed.extensions() {
            let ParsedExtension::SubjectAlternativeName(alternatives) = extension.parsed_extension() else { continue };
            for name in &alternatives.general_names {
                match name {
                    GeneralName::DNSName(name) => names.push((*name).to_owned()),
                    GeneralName::IPAddress(octets) => addresses.extend(address(octets)),
                    _ => {}
                }
            }
        }
        let seconds = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
        Ok(Self {
            names,
            addresses,
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            not_after: UNIX_EPOCH + Duration::from_secs(seconds),
        })
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(octets.into());
    }
    <[u8; 16]>::try_from(octets).ok().map(IpAddr::from)
}

/// Whether `leaf` carries `ca`'s signature.
pub(crate) fn is_issued_by(leaf: &CertificateDer<'_>, ca: &CertificateDer<'_>) -> bool {
    let (Ok((_, leaf)), Ok((_, ca))) = (X509Certificate::from_der(leaf), X509Certificate::from_der(ca)) else {
        return false;
    };
    leaf.issuer() == ca.subject() && leaf.verify_signature(Some(ca.public_key())).is_ok()
}

/// Whether `certificate` is for the key of this subject public key info.
pub(crate) fn is_for_key(certificate: &CertificateDer<'_>, public_key_info: &[u8]) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| parsed.public_key().raw == public_key_info)
}

/// The certificates of a PEM file, in its order; at least one.
pub(crate) fn certificates(bytes: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(without_bom(bytes))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::NotPem { path: path.to_owned(), detail: error.to_string() })?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(found)
}

/// Editors of other systems put a mark in front, with which the PEM parser silently misses the first block.
fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(UTF8_BOM).unwrap_or(bytes)
}
