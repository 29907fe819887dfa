//! A private authority in two files: its certificate, which is for everybody, and its key, which is for nobody else.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rcgen::{KeyPair, PublicKeyData as _};
use rustls_pki_types::CertificateDer;
use x509_parser::extensions::{GeneralName, GeneralSubtree};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::certificate::{certificates, is_for_key, is_issued_by};
use crate::files::{self, Access};
use crate::issue::{self, KeyAlgorithm, Leaf, Made};
use crate::{Summary, TlsError};

/// Where an authority is.
#[derive(Clone, Debug)]
pub(crate) struct AuthorityFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// An authority that can sign.
pub(crate) struct Authority {
    pub(crate) certificate: CertificateDer<'static>,
    certificate_pem: String,
    key: KeyPair,
    /// Whether it was made just now, so that nobody trusts it yet.
    pub(crate) is_new: bool,
}

impl AuthorityFiles {
    /// The certificate alone, if it is there.
    pub(crate) fn certificate(&self) -> Result<Option<CertificateDer<'static>>, TlsError> {
        let Some(bytes) = files::read(&self.certificate)? else { return Ok(None) };
        Ok(certificates(&bytes, &self.certificate)?.into_iter().next())
    }

    /// Whether the certificate is by this authority.
    pub(crate) fn has_issued(&self, certificate: &CertificateDer<'_>) -> Result<bool, TlsError> {
        Ok(self.certificate()?.is_some_and(|authority| is_issued_by(certificate, &authority)))
    }

    /// The authority of earlier times; a new one if there is none, or when the old one would end within `lifetime`,
    /// the life of the next leaf.
    pub(crate) fn load_or_make(
        &self,
        name: &str,
        only: Option<&Leaf<'_>>,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Authority, TlsError> {
        let Some(bytes) = files::read(&self.certificate)? else { return self.make(name, only, now) };
        let Some(certificate) = self.certificate()? else { return self.make(name, only, now) };
        let Some(key) = files::read(&self.key)? else {
            return Err(TlsError::NoAuthorityKey { ca: self.certificate.clone(), ca_key: self.key.clone() });
        };
        let mismatch = || TlsError::CaMismatch { ca: self.certificate.clone(), ca_key: self.key.clone() };
        let key = std::str::from_utf8(&key).ok().and_then(|pem| KeyPair::from_pem(pem).ok()).ok_or_else(mismatch)?;
        if !is_for_key(&certificate, &key.subject_public_key_info()) {
            return Err(mismatch());
        }
        let unusable = |detail| TlsError::Unusable { path: self.certificate.clone(), detail };
        if Summary::of(&certificate).map_err(unusable)?.not_after < now + lifetime {
            return self.make(name, only, now);
        }
        let certificate_pem = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Authority { certificate, certificate_pem, key, is_new: false })
    }

    fn make(&self, name: &str, only: Option<&Leaf<'_>>, now: SystemTime) -> Result<Authority, TlsError> {
        let Made { certificate_pem, key } = issue::make_ca(name, only, now)?;
        for (file, access) in [(&self.key, Access::Private), (&self.certificate, Access::Public)] {
            if let Some(folder) = file.parent() {
                files::make_folder(folder, access)?;
            }
        }
        files::write(&self.key, key.serialize_pem().as_bytes(), Access::Private)?;
        files::write(&self.certificate, certificate_pem.as_bytes(), Access::Public)?;
        let certificate = certificates(certificate_pem.as_bytes(), &self.certificate)?.into_iter().next();
        let certificate = certificate.ok_or_else(|| TlsError::NoCertificate { path: self.certificate.clone() })?;
        Ok(Authority { certificate, certificate_pem, key, is_new: true })
    }
}

impl Authority {
    /// Whether it will still be valid after that time.
    pub(crate) fn lasts(&self, lifetime: Duration, now: SystemTime) -> bool {
        Summary::of(&self.certificate).is_ok_and(|summary| summary.not_after >= now + lifetime)
    }

    pub(crate) fn issue(&self, leaf: &Leaf<'_>, algorithm: KeyAlgorithm, now: SystemTime) -> Result<Made, TlsError> {
        issue::make_leaf(Some((&self.certificate_pem, &self.key)), leaf, algorithm, now)
    }

    /// The first name of the leaf that the authority's name constraints exclude, if it has any.
    pub(crate) fn excluded<'a>(&self, leaf: &Leaf<'a>) -> Option<&'a str> {
        let (_, parsed) = X509Certificate::from_der(&self.certificate).ok()?;
        let permitted = parsed.name_constraints().ok()??.value.permitted_subtrees.as_ref()?;
        let covers = |name: &str, tree: &GeneralSubtree<'_>| match tree.base {
            GeneralName::DNSName(parent) => {
                let rest = name.to_ascii_lowercase().strip_suffix(&parent.to_ascii_lowercase()).map(str::to_owned);
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            _ => false,
        };
        leaf.names.iter().map(String::as_str).find(|name| !permitted.iter().any(|tree| covers(name, tree)))
    }

    pub(crate) fn pem(&self) -> &str {
        &self.certificate_pem
    }
}
