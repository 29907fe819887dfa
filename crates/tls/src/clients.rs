//! Certificates that clients show.
//!
//! Game clients have none, so nobody is asked for one unless the operator says so: a file of authorities alone does
//! not mean that clients are to be verified against it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};

use crate::{TlsError, certificate, config, files, pem};

/// Label of a revocation list.
const REVOCATIONS: &str = "X509 CRL";
/// File of revocation lists that is used if it stands beside that of the authorities.
const REVOCATIONS_FILE: &str = "crl.pem";

/// Whether clients must show a certificate.
#[derive(Clone, Debug, Default)]
pub enum ClientCertificates {
    /// Nobody is asked for one.
    #[default]
    Ignored,
    /// Whoever shows one must have it from these authorities.
    Optional(Authorities),
    /// Everybody must show one that these authorities issued.
    Required(Authorities),
}

/// Who may issue clients' certificates.
#[derive(Clone)]
pub struct Authorities(Arc<Read>);

/// What their files hold.
struct Read {
    path: PathBuf,
    certificates: Vec<CertificateDer<'static>>,
    revocations: Vec<CertificateRevocationListDer<'static>>,
}

impl Authorities {
    /// The certificates of a PEM file, and the revocation lists in it and in `crl.pem` beside it.
    ///
    /// # Errors
    /// If a file cannot be read, or has no certificate or a damaged one.
    pub fn load(path: &Path) -> Result<Self, TlsError> {
        let not_found = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let bytes =
            files::read(path)?.ok_or_else(|| TlsError::Unreadable { path: path.to_owned(), source: not_found() })?;
        let mut revocations = revocation_lists(&bytes, path)?;
        let beside = revocations_beside(path);
        if let Some(bytes) = files::read(&beside)? {
            revocations.extend(revocation_lists(&bytes, &beside)?);
        }
        let certificates = certificate::certificates(&bytes, path)?;
        Ok(Self(Arc::new(Read { path: path.to_owned(), certificates, revocations })))
    }

    /// Their file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Everything that decides, as bytes.
    pub(crate) fn contents(&self) -> impl Iterator<Item = &[u8]> {
        let certificates = self.0.certificates.iter().map(AsRef::as_ref);
        certificates.chain(self.0.revocations.iter().map(AsRef::as_ref))
    }

    /// Their certificates, to check others against.
    pub(crate) fn roots(&self) -> Result<Arc<RootCertStore>, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in &self.0.certificates {
            roots.add(certificate.clone()).map_err(|error| self.unusable(&error))?;
        }
        Ok(Arc::new(roots))
    }

    /// Their lists of revoked certificates.
    pub(crate) fn revocations(&self) -> &[CertificateRevocationListDer<'static>] {
        &self.0.revocations
    }

    pub(crate) fn unusable(&self, detail: &impl ToString) -> TlsError {
        TlsError::Authorities { path: self.0.path.clone(), detail: detail.to_string() }
    }

    fn verifier(&self, required: bool) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let mut builder = WebPkiClientVerifier::builder_with_provider(self.roots()?, config::provider());
        if !self.0.revocations.is_empty() {
            // A list of one authority must not shut out the clients of another.
            builder = builder.with_crls(self.0.revocations.iter().cloned()).allow_unknown_revocation_status();
        }
        if !required {
            builder = builder.allow_unauthenticated();
        }
        builder.build().map_err(|error| self.unusable(&error))
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorities")
            .field("path", &self.0.path)
            .field("certificates", &self.0.certificates.len())
            .field("revocations", &self.0.revocations.len())
            .finish()
    }
}

impl ClientCertificates {
    /// Who is accepted, if somebody is asked.
    pub(crate) const fn authorities(&self) -> Option<&Authorities> {
        match self {
            Self::Ignored => None,
            Self::Optional(authorities) | Self::Required(authorities) => Some(authorities),
        }
    }

    /// The same, as the files say now.
    pub(crate) fn read_again(&self) -> Result<Self, TlsError> {
        Ok(match self {
            Self::Ignored => Self::Ignored,
            Self::Optional(authorities) => Self::Optional(Authorities::load(authorities.path())?),
            Self::Required(authorities) => Self::Required(Authorities::load(authorities.path())?),
        })
    }

    pub(crate) fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        match self {
            Self::Ignored => Ok(WebPkiClientVerifier::no_client_auth()),
            Self::Optional(authorities) => authorities.verifier(false),
            Self::Required(authorities) => authorities.verifier(true),
        }
    }
}

/// The file of revocation lists that belongs to a file of authorities.
pub(crate) fn revocations_beside(authorities: &Path) -> PathBuf {
    authorities.with_file_name(REVOCATIONS_FILE)
}

fn revocation_lists(bytes: &[u8], path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let blocks =
        pem::blocks(bytes).map_err(|error| TlsError::NotPem { path: path.to_owned(), detail: error.to_string() })?;
    let lists = blocks.iter().filter(|block| block.label == REVOCATIONS);
    Ok(lists.map(|block| CertificateRevocationListDer::from(block.content.to_vec())).collect())
}
