//! Which of several certificates a client gets.
//!
//! The name that the client asks for decides: a certificate for exactly that name, else one with a wildcard for its
//! first label, else that of the default domain. Clients that dial an address send no name and get the default. Among
//! certificates of equal standing the first one decides whose key the client's signature schemes allow, so that RSA
//! and ECDSA certificates for the same name can stand side by side.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::{Identity, TlsError};

/// The certificates of a listener, to be shared with the TLS library.
#[derive(Debug)]
pub struct Selection {
    identities: Vec<Identity>,
    /// Names in lower case, wildcards with their star, each with its certificates in the order of the configuration.
    by_name: HashMap<String, Vec<usize>>,
    default: Vec<usize>,
    asked: Arc<Asked>,
}

/// What clients asked for. Listeners keep it when their certificates are exchanged.
#[derive(Debug, Default)]
pub struct Asked {
    sni_misses: AtomicU64,
    without_name: AtomicU64,
    without_scheme: AtomicU64,
}

impl Asked {
    /// Handshakes with a name that no certificate covers (`tls_sni_miss_total`); they got the default.
    #[must_use]
    pub fn sni_misses(&self) -> u64 {
        self.sni_misses.load(Ordering::Relaxed)
    }

    /// Handshakes without a name; they got the default.
    #[must_use]
    pub fn without_name(&self) -> u64 {
        self.without_name.load(Ordering::Relaxed)
    }

    /// Handshakes refused because the client's signature schemes allow none of the keys.
    #[must_use]
    pub fn without_scheme(&self) -> u64 {
        self.without_scheme.load(Ordering::Relaxed)
    }
}

impl Selection {
    /// Several certificates. With more than one the default domain must be given, and one of them must cover it.
    ///
    /// # Errors
    /// If there are none, or the default domain is missing or covered by none.
    pub fn new(identities: Vec<Identity>, default_domain: Option<&str>) -> Result<Self, TlsError> {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, identity) in identities.iter().enumerate() {
            for name in names(identity) {
                by_name.entry(name.to_ascii_lowercase()).or_default().push(index);
            }
        }
        let default = match (default_domain.filter(|domain| !domain.is_empty()), identities.len()) {
            (_, 0) => return Err(TlsError::NoIdentity),
            (None, 1) => vec![0],
            (None, count) => return Err(TlsError::NoDefaultDomain { count }),
            (Some(domain), _) => find(&by_name, domain).map(<[usize]>::to_vec).ok_or_else(|| {
                let covered = identities.iter().flat_map(names).collect::<Vec<_>>().join(", ");
                TlsError::DefaultDomainNotCovered { domain: domain.to_owned(), covered }
            })?,
        };
        Ok(Self { identities, by_name, default, asked: Arc::default() })
    }

    /// The one certificate, whatever name the client asks for.
    #[must_use]
    pub fn single(identity: Identity) -> Self {
        let by_name = names(&identity).map(|name| (name.to_ascii_lowercase(), vec![0])).collect();
        Self { identities: vec![identity], by_name, default: vec![0], asked: Arc::default() }
    }

    /// Goes on counting where another selection was replaced.
    #[must_use]
    pub fn counting_in(self, asked: Arc<Asked>) -> Self {
        Self { asked, ..self }
    }

    /// The certificates, in the order of the configuration.
    #[must_use]
    pub fn identities(&self) -> &[Identity] {
        &self.identities
    }

    /// The certificate for clients that name no host.
    #[must_use]
    pub fn default_identity(&self) -> Option<&Identity> {
        self.default.first().and_then(|index| self.identities.get(*index))
    }

    /// What clients asked for.
    #[must_use]
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    fn candidates(&self, name: Option<&str>) -> &[usize] {
        let counter = match name {
            Some(name) => match find(&self.by_name, name) {
                Some(found) => return found,
                None => &self.asked.sni_misses,
            },
            None => &self.asked.without_name,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        &self.default
    }
}

impl ResolvesServerCert for Selection {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let candidates = self.candidates(hello.server_name());
        let usable = |index: &usize| {
            let certified = &self.identities.get(*index)?.certified;
            certified.key.choose_scheme(hello.signature_schemes()).map(|_| Arc::clone(certified))
        };
        let mut all = candidates.iter().chain(&self.default);
        all.clone().find_map(usable).or_else(|| {
            self.asked.without_scheme.fetch_add(1, Ordering::Relaxed);
            // The library then says what is wrong: without a certificate it would only say that access is denied.
            Some(Arc::clone(&self.identities.get(*all.next()?)?.certified))
        })
    }
}

/// Names that a certificate covers; the common name counts only where there is no other.
fn names(identity: &Identity) -> impl Iterator<Item = &str> {
    let summary = identity.summary();
    let common = summary.common_name.as_deref().filter(|_| summary.names.is_empty());
    summary.names.iter().map(String::as_str).chain(common)
}

fn find<'a>(by_name: &'a HashMap<String, Vec<usize>>, name: &str) -> Option<&'a [usize]> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let wildcard = || name.split_once('.').and_then(|(_, parent)| by_name.get(&format!("*.{parent}")));
    by_name.get(&name).or_else(wildcard).map(Vec::as_slice)
}
