//! Whom this machine trusts, and where a chain ends.

use std::fs;
use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Details;
use crate::certificate::is_issued_by;
use crate::trust::LAYOUTS;

/// The files that systems make of all the authorities that they trust.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];
/// Longest way from a leaf to its root that is followed.
const MAX_CHAIN: usize = 10;

/// Authorities that are trusted.
#[derive(Clone, Debug, Default)]
pub struct Anchors {
    public: Vec<CertificateDer<'static>>,
    private: Vec<CertificateDer<'static>>,
}

/// Where a chain ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// At an authority that systems and browsers bring along.
    Public,
    /// At one that was added on this machine.
    Private {
        /// Its subject.
        authority: String,
    },
    /// At one that is not trusted here.
    Untrusted {
        /// Its subject.
        authority: String,
    },
    /// At the leaf, which is its own issuer and is not trusted here.
    SelfSigned,
    /// Before its end: an issuer is missing that could be fetched.
    Incomplete {
        /// Who is missing.
        issuer: String,
        /// Where its certificate is.
        location: String,
    },
}

impl Trust {
    /// Whether a client on this machine that uses the system's store trusts the chain.
    #[must_use]
    pub const fn is_trusted(&self) -> bool {
        matches!(self, Self::Public | Self::Private { .. })
    }
}

impl Anchors {
    /// Those of the system's store. What an administrator has added there is private.
    #[must_use]
    pub fn of_system() -> Self {
        let folders = LAYOUTS.iter().filter_map(|layout| fs::read_dir(layout.folder).ok());
        let files = folders.flat_map(|folder| folder.flatten().map(|entry| entry.path()));
        let private = files.flat_map(|path| read(&path)).collect::<Vec<_>>();
        let mut public =
            BUNDLES.iter().map(|path| read(Path::new(path))).find(|all| !all.is_empty()).unwrap_or_default();
        public.retain(|certificate| !private.contains(certificate));
        Self { public, private }
    }

    /// Trusts these besides.
    #[must_use]
    pub fn with_private(mut self, certificates: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        self.private.extend(certificates);
        self
    }

    /// Where the chain ends that begins with the first certificate. The others may stand in any order.
    #[must_use]
    pub fn trust(&self, chain: &[CertificateDer<'_>]) -> Trust {
        let Some(leaf) = chain.first() else { return Trust::Untrusted { authority: String::new() } };
        let mut current = leaf;
        for _ in 0..MAX_CHAIN {
            if let Some(anchor) = anchor(current, &self.private) {
                return Trust::Private { authority: subject(anchor) };
            }
            if anchor(current, &self.public).is_some() {
                return Trust::Public;
            }
            if is_issued_by(current, current) {
                break;
            }
            let Some(issuer) = chain.iter().find(|candidate| is_issued_by(current, candidate)) else {
                return missing(current);
            };
            current = issuer;
        }
        if current == leaf { Trust::SelfSigned } else { Trust::Untrusted { authority: subject(current) } }
    }
}

/// The certificate itself or its issuer, whichever is among the anchors.
fn anchor<'a>(
    certificate: &CertificateDer<'_>,
    anchors: &'a [CertificateDer<'static>],
) -> Option<&'a CertificateDer<'static>> {
    anchors.iter().find(|anchor| *anchor == certificate || is_issued_by(certificate, anchor))
}

fn read(path: &Path) -> Vec<CertificateDer<'static>> {
    let Ok(bytes) = fs::read(path) else { return Vec::new() };
    CertificateDer::pem_slice_iter(&bytes).flatten().collect()
}

fn subject(certificate: &CertificateDer<'_>) -> String {
    X509Certificate::from_der(certificate).map(|(_, parsed)| parsed.subject().to_string()).unwrap_or_default()
}

fn missing(certificate: &CertificateDer<'_>) -> Trust {
    let Ok(details) = Details::of(certificate) else { return Trust::Untrusted { authority: String::new() } };
    let issuer = details.summary.issuer;
    match details.issuer_location {
        Some(location) => Trust::Incomplete { issuer, location },
        None => Trust::Untrusted { authority: issuer },
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::inspect::{Client, Finding, Severity, report};
    use crate::issue::{KeyAlgorithm, Leaf, make_ca, make_leaf};

    #[test]
    fn d11_what_a_public_authority_issued_may_live_for_398_days() {
        let now = SystemTime::now();
        let ca = make_ca("public", None, now).unwrap();
        let names = ["play.example.org".to_owned()];
        let issue = |days: u64| {
            let lifetime = Duration::from_secs(days * 24 * 60 * 60);
            let leaf = Leaf { names: &names, addresses: &[], uris: &[], lifetime, is_client_too: false };
            let made = make_leaf(Some((&ca.certificate_pem, &ca.key)), &leaf, KeyAlgorithm::P256, now).unwrap();
            CertificateDer::from_pem_slice(made.certificate_pem.as_bytes()).unwrap()
        };
        let authority = CertificateDer::from_pem_slice(ca.certificate_pem.as_bytes()).unwrap();
        let anchors = Anchors { public: vec![authority.clone()], private: Vec::new() };
        let judge = |days| report(&[issue(days)], Some("play.example.org"), &anchors, now);
        let good = judge(397);
        assert_eq!(good.trust, Trust::Public);
        assert!(good.verdicts.is_empty() && good.opinions.iter().all(|opinion| opinion.opens), "{good:?}");
        let long = judge(500);
        let verdict = &long.verdicts[0];
        assert_eq!((verdict.finding, verdict.severity), (Finding::LongLife, Severity::Error));
        assert!(verdict.remedy.starts_with("lampyris cert csr --name play.example.org"), "{}", verdict.remedy);
        let chrome = long.opinions.iter().find(|opinion| opinion.client == Client::Chrome).unwrap();
        assert!(!chrome.opens && chrome.says.contains("ERR_CERT_VALIDITY_TOO_LONG"), "{chrome:?}");
        // What an administrator adds is private, though the system lists it with the others.
        let both = anchors.with_private([authority]);
        assert_eq!(both.trust(&[issue(397)]), Trust::Private { authority: subject(&both.public[0]) });
    }
}
