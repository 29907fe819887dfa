//! Reading certificate chain and private key, in one file or two, in any order.

use std::fmt;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use rustls::SignatureAlgorithm;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};
use x509_parser::public_key::PublicKey;
use zeroize::Zeroizing;

use crate::key::{self, KeyError};
use crate::pem::{self, Block};
use crate::{PasswordSource, TlsError, Warning, chain, files, staple};

/// Permissions that let others than the owner read.
const READABLE_BY_OTHERS: u32 = 0o044;
/// Permissions as opposed to the kind of a file.
const PERMISSIONS: u32 = 0o7777;

/// Where certificate and key are.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// File with the chain.
    pub certificate: &'a Path,
    /// File with the key; `None` if it is the same one.
    pub key: Option<&'a Path>,
    /// Password of the key.
    pub password: Option<&'a PasswordSource>,
}

/// A certificate chain with its private key, leaf first.
#[derive(Clone)]
pub struct Identity {
    pub(crate) certified: Arc<CertifiedKey>,
    pub(crate) summary: Summary,
    warnings: Vec<Warning>,
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
    /// The common name of its subject; some clients fall back to it when there are no other names.
    pub common_name: Option<String>,
    /// Who issued it.
    pub issuer: String,
    /// Kind and size of its key.
    pub key: KeyKind,
    /// First moment at which it is valid.
    pub not_before: SystemTime,
    /// First moment at which it is no longer valid.
    pub not_after: SystemTime,
    /// SHA-256 over the certificate.
    pub fingerprint: [u8; 32],
}

/// Kind and size of a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA.
    Rsa {
        /// Bits of the modulus.
        bits: usize,
    },
    /// A curve of NIST.
    Ecdsa {
        /// Bits of the curve.
        bits: usize,
    },
    /// Ed25519 or another kind without sizes.
    Other,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
            Self::Ecdsa { bits } => write!(f, "ECDSA P-{bits}"),
            Self::Other => f.write_str("Ed25519"),
        }
    }
}

impl Identity {
    /// Reads a PEM file whose key is not encrypted. The leaf is the certificate that belongs to the key, wherever it
    /// stands in the file.
    ///
    /// # Errors
    /// If the file cannot be read, or has no certificate, no key, or no pair of them that belongs together.
    pub fn load(path: &Path, provider: &CryptoProvider) -> Result<Self, TlsError> {
        Self::load_from(&Source { certificate: path, key: None, password: None }, provider)
    }

    /// Reads certificate and key from one file or two.
    ///
    /// # Errors
    /// As [`Self::load`], and if the key cannot be decrypted.
    pub fn load_from(source: &Source<'_>, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let existing = |path: &Path| {
            let not_found = || std::io::Error::from(std::io::ErrorKind::NotFound);
            files::read(path)?.ok_or_else(|| TlsError::Unreadable { path: path.to_owned(), source: not_found() })
        };
        let certificate = existing(source.certificate)?;
        let key = source.key.map(existing).transpose()?.map(Zeroizing::new);
        Self::assemble(&certificate, key.as_ref().map(|bytes| bytes.as_slice()), source, provider)
    }

    /// Reads what stood in the file of `source`.
    pub(crate) fn parse(bytes: &[u8], source: &Source<'_>, provider: &CryptoProvider) -> Result<Self, TlsError> {
        Self::assemble(bytes, None, source, provider)
    }

    fn assemble(
        certificate_file: &[u8],
        key_file: Option<&[u8]>,
        source: &Source<'_>,
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        let path = source.certificate;
        let key_path = source.key.unwrap_or(path);
        let mut blocks = blocks(certificate_file, path)?;
        let mut warnings = unused_blocks(&blocks);
        let mut certificates = certificates_of(&blocks, path)?;
        if let Some(key_file) = key_file {
            blocks = self::blocks(key_file, key_path)?;
        }
        let key = private_key(&blocks, key_path, source.password, &mut warnings)?;
        let unusable = |path: &Path, detail: String| TlsError::Unusable { path: path.to_owned(), detail };
        let load = provider.key_provider.load_private_key(key);
        let key = load.map_err(|error| unusable(key_path, error.to_string()))?;
        let leaf = certificates
            .iter()
            .position(|certificate| CertifiedKey::new(vec![certificate.clone()], Arc::clone(&key)).keys_match().is_ok())
            .ok_or_else(|| TlsError::KeyMismatch { path: path.to_owned() })?;
        let leaf = certificates.remove(leaf);
        let summary = Summary::of(&leaf).map_err(|detail| unusable(path, detail))?;
        if key.algorithm() == SignatureAlgorithm::ED25519 {
            warnings.push(Warning::Ed25519);
        }
        warnings.extend(usage_warnings(&leaf));
        warnings.extend(permission_warning(key_path));
        let staple = match staple::read(path, &leaf, SystemTime::now())? {
            Some(Err(detail)) => {
                warnings.push(Warning::StapleUnusable { path: staple::path_beside(path), detail });
                None
            }
            found => found.and_then(Result::ok),
        };
        let has_authority = is_issued_beside(&leaf, path);
        let (chain, of_chain) = chain::order(leaf, certificates);
        let is_known = |warning: &Warning| has_authority && matches!(warning, Warning::MissingIntermediate { .. });
        warnings.extend(of_chain.into_iter().filter(|warning| !is_known(warning)));
        let certified = CertifiedKey { ocsp: staple, ..CertifiedKey::new(chain, key) };
        Ok(Self { certified: Arc::new(certified), summary, warnings })
    }

    /// What the leaf says of itself.
    #[must_use]
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// What the operator should know of the files.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The chain as it is sent, leaf first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    /// The OCSP response that is sent with the certificate.
    #[must_use]
    pub fn staple(&self) -> Option<&[u8]> {
        self.certified.ocsp.as_deref()
    }

    /// Everything that clients are sent, as bytes.
    pub(crate) fn contents(&self) -> impl Iterator<Item = &[u8]> {
        self.certified.cert.iter().map(AsRef::as_ref).chain(self.certified.ocsp.as_deref())
    }

    pub(crate) fn leaf(&self) -> Option<&CertificateDer<'static>> {
        self.certified.cert.first()
    }
}

pub(crate) fn blocks(bytes: &[u8], path: &Path) -> Result<Vec<Block>, TlsError> {
    pem::blocks(bytes).map_err(|error| TlsError::NotPem { path: path.to_owned(), detail: error.to_string() })
}

/// The first private key of the file.
pub(crate) fn private_key(
    blocks: &[Block],
    path: &Path,
    password: Option<&PasswordSource>,
    warnings: &mut Vec<Warning>,
) -> Result<rustls_pki_types::PrivateKeyDer<'static>, TlsError> {
    let mut keys = blocks.iter().filter(|block| key::is_private_key(&block.label));
    let block = keys.next().ok_or_else(|| TlsError::NoKey { path: path.to_owned() })?;
    match keys.count() {
        0 => {}
        unused => warnings.push(Warning::ExtraKeys { unused }),
    }
    let text = match password {
        Some(password) if key::is_encrypted(block) => Some(password.read()?),
        Some(_) => {
            warnings.push(Warning::PasswordUnused);
            None
        }
        None => None,
    };
    let path = path.to_owned();
    key::decode(block, text.as_ref().map(|text| text.as_str())).map_err(|error| match error {
        KeyError::NoPassword => TlsError::NoPassword { path },
        KeyError::WrongPassword => TlsError::WrongPassword { path },
        KeyError::Unsupported(detail) => TlsError::UnsupportedKey { path, detail },
        KeyError::Damaged(detail) => {
            TlsError::NotPem { path, detail: format!("the private key of line {} is damaged: {detail}", block.line) }
        }
    })
}

fn is_certificate(label: &str) -> bool {
    matches!(label, "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE")
}

fn unused_blocks(blocks: &[Block]) -> Vec<Warning> {
    // Curve parameters stand in front of the keys that old tools made; the key repeats them.
    let known = |label: &str| is_certificate(label) || key::is_private_key(label) || label == "EC PARAMETERS";
    let unused = blocks.iter().filter(|block| !known(&block.label));
    unused.map(|block| Warning::IgnoredBlock { label: block.label.clone(), line: block.line }).collect()
}

fn usage_warnings(leaf: &CertificateDer<'_>) -> Vec<Warning> {
    let Ok((_, parsed)) = X509Certificate::from_der(leaf) else { return Vec::new() };
    let mut warnings = Vec::new();
    if let Ok(Some(usage)) = parsed.key_usage()
        && !usage.value.digital_signature()
    {
        warnings.push(Warning::NoDigitalSignature);
    }
    if let Ok(Some(usage)) = parsed.extended_key_usage()
        && !usage.value.server_auth
        && !usage.value.any
    {
        warnings.push(Warning::NoServerAuth);
    }
    warnings
}

fn permission_warning(path: &Path) -> Option<Warning> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & PERMISSIONS;
    (mode & READABLE_BY_OTHERS != 0).then(|| Warning::KeyReadable { path: path.to_owned(), mode })
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("summary", &self.summary).finish_non_exhaustive()
    }
}

impl Summary {
    /// The fingerprint as browsers show it.
    #[must_use]
    pub fn fingerprint_text(&self) -> String {
        self.fingerprint.map(|byte| format!("{byte:02X}")).join(":")
    }

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
        let moment = |at: i64| UNIX_EPOCH + Duration::from_secs(u64::try_from(at).unwrap_or(0));
        let common_name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let key = match parsed.public_key().parsed() {
            Ok(key @ PublicKey::RSA(_)) => KeyKind::Rsa { bits: key.key_size() },
            // The point of P-521 fills whole bytes.
            Ok(key @ PublicKey::EC(_)) => {
                KeyKind::Ecdsa { bits: if key.key_size() == 528 { 521 } else { key.key_size() } }
            }
            _ => KeyKind::Other,
        };
        let mut fingerprint = [0; 32];
        fingerprint.iter_mut().zip(digest(&SHA256, certificate).as_ref()).for_each(|(to, from)| *to = *from);
        Ok(Self {
            names,
            addresses,
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            common_name: common_name.map(str::to_owned),
            key,
            not_before: moment(parsed.validity().not_before.timestamp()),
            not_after: moment(parsed.validity().not_after.timestamp()),
            fingerprint,
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

/// Whether the leaf in `path` comes from the private authority whose certificate is beside it, for clients to trust.
fn is_issued_beside(leaf: &CertificateDer<'_>, path: &Path) -> bool {
    let ca_pem = path.with_file_name("ca.pem");
    let Ok(Some(bytes)) = files::read(&ca_pem) else { return false };
    certificates(&bytes, &ca_pem).is_ok_and(|authorities| authorities.iter().any(|ca| is_issued_by(leaf, ca)))
}

/// Whether `certificate` is for the key of this subject public key info.
pub(crate) fn is_for_key(certificate: &CertificateDer<'_>, public_key_info: &[u8]) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| parsed.public_key().raw == public_key_info)
}

/// The certificates of a PEM file, in its order; at least one.
///
/// # Errors
/// If `bytes` are not PEM, hold no certificate, or one that is damaged. The path is for the message.
pub fn certificates(bytes: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates_of(&blocks(bytes, path)?, path)
}

fn certificates_of(blocks: &[Block], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let mut found = Vec::new();
    for block in blocks.iter().filter(|block| is_certificate(&block.label)) {
        let damaged = |detail: String| TlsError::NotPem {
            path: path.to_owned(),
            detail: format!("the certificate of line {} is damaged: {detail}", block.line),
        };
        let (behind, _) = X509Certificate::from_der(&block.content).map_err(|error| damaged(error.to_string()))?;
        // OpenSSL appends its trust settings to the certificate under this label.
        if !behind.is_empty() && block.label != "TRUSTED CERTIFICATE" {
            return Err(damaged(format!("{} bytes behind its end", behind.len())));
        }
        let length = block.content.len() - behind.len();
        found.push(CertificateDer::from(block.content.iter().copied().take(length).collect::<Vec<_>>()));
    }
    if found.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(found)
}
