//! The certificate that a server makes for itself.
//!
//! | file below the state folder | what | mode |
//! | --- | --- | --- |
//! | `certs/server.pem` | leaf and its key; or the operator's own | 0600 |
//! | `certs/ca.pem` | the CA, for clients to trust | 0644 |
//! | `ca/ca.key` | the CA's key, apart from what is served and copied | 0600 |
//!
//! [`ensure`] is for the start of a server without configuration, [`make`] for the operator's command.

mod order;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;

use crate::authority::AuthorityFiles;
use crate::certificate::Source;
use crate::files::{self, Access};
use crate::issue::{DAY, KeyAlgorithm, LEAF_LIFETIME, Leaf};
use crate::{Identity, PasswordSource, Summary, TlsError};

pub use order::{LONGEST_DAYS, Made, Order, Place, SUGGESTED_DAYS, make};

/// A leaf with less time left than this is renewed.
const RENEW_BELOW: Duration = Duration::from_secs(14 * DAY.as_secs());
/// Most names and addresses that a renewed leaf has.
const MAX_ALTERNATIVES: usize = 100;

/// What the leaf has to cover besides `localhost` and the loopback addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The machine's own host name; the CA is named after it.
    pub host: String,
    /// Further DNS names.
    pub names: Vec<String>,
    /// Addresses of the machine.
    pub addresses: Vec<IpAddr>,
}

/// The certificate to serve.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Chain and key.
    pub identity: Identity,
    /// Where it came from.
    pub origin: Origin,
    /// The served file.
    pub server_pem: PathBuf,
    /// The CA that clients are to trust; `None` beside an operator's own certificate.
    pub ca_pem: Option<PathBuf>,
}

/// How the certificate came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// First start: CA and leaf are new.
    Made,
    /// From an earlier start.
    Kept,
    /// Issued again by the same CA.
    Renewed(Renewal),
    /// Not issued by our CA: the operator's own.
    Operator,
}

/// Why a leaf was renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It has expired or soon will.
    Expiring,
    /// A name or an address of the machine is not covered.
    NotCovered,
}

impl fmt::Display for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expiring => "fewer than 14 days remain",
            Self::NotCovered => "it does not cover every name and address of this machine",
        })
    }
}

impl Wanted {
    /// Every DNS name, without doubles; host names compare without case.
    fn all_names(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for name in [self.host.as_str(), "localhost"].into_iter().chain(self.names.iter().map(String::as_str)) {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            if !name.is_empty() && name.is_ascii() && !all.contains(&name) {
                all.push(name);
            }
        }
        all
    }

    /// Every address, without doubles.
    fn all_addresses(&self) -> Vec<IpAddr> {
        let mut all: Vec<IpAddr> = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        for address in &self.addresses {
            if !all.contains(address) {
                all.push(*address);
            }
        }
        all
    }

    /// The same, and what `earlier` covers: names asked for once are not lost when a certificate is renewed. They are
    /// not kept without end, since a machine may have many addresses in its life.
    fn and_those_of(&self, earlier: &Summary) -> Self {
        let mut all = self.clone();
        if self.all_names().len() + self.all_addresses().len() + earlier.names.len() + earlier.addresses.len()
            <= MAX_ALTERNATIVES
        {
            all.names.extend(earlier.names.iter().cloned());
            all.addresses.extend(earlier.addresses.iter().copied());
        }
        all
    }

    /// What the authority is called.
    fn authority_name(&self) -> String {
        let host = self.all_names().into_iter().next().unwrap_or_default();
        format!("Lampyris local CA {host}")
    }

    fn are_covered_by(&self, summary: &Summary) -> bool {
        self.all_names().iter().all(|name| summary.names.iter().any(|have| have.eq_ignore_ascii_case(name)))
            && self.all_addresses().iter().all(|address| summary.addresses.contains(address))
    }
}

/// The certificate in `state`, made or renewed if need be. The password is for an operator's own key.
///
/// # Errors
/// If files cannot be read, written or used; the text says which and what to do.
pub fn ensure(
    state: &Path,
    wanted: &Wanted,
    password: Option<&PasswordSource>,
    now: SystemTime,
    provider: &CryptoProvider,
) -> Result<Certificate, TlsError> {
    let store = Store::below(state);
    let Some(bytes) = files::read(&store.server_pem)? else {
        return store.issue(wanted, KeyAlgorithm::default(), now, Origin::Made, provider);
    };
    let source = Source { certificate: &store.server_pem, key: None, password };
    let identity = Identity::parse(&bytes, &source, provider)?;
    let ours = match identity.leaf() {
        Some(leaf) => store.authority.has_issued(leaf)?,
        None => false,
    };
    if !ours {
        return Ok(store.certificate(identity, Origin::Operator));
    }
    let Some(reason) = renewal(&identity.summary, wanted, now) else {
        return Ok(store.certificate(identity, Origin::Kept));
    };
    let ca_key = &store.authority.key;
    if files::read(ca_key)?.is_none() {
        return Err(TlsError::NoCaKey { ca_key: ca_key.clone(), leaf: store.server_pem, reason });
    }
    let algorithm = KeyAlgorithm::like(identity.summary.key);
    store.issue(&wanted.and_those_of(&identity.summary), algorithm, now, Origin::Renewed(reason), provider)
}

fn renewal(summary: &Summary, wanted: &Wanted, now: SystemTime) -> Option<Renewal> {
    if summary.not_after < now + RENEW_BELOW {
        Some(Renewal::Expiring)
    } else if !wanted.are_covered_by(summary) {
        Some(Renewal::NotCovered)
    } else {
        None
    }
}

struct Store {
    server_pem: PathBuf,
    authority: AuthorityFiles,
}

impl Store {
    fn below(state: &Path) -> Self {
        let certs = state.join("certs");
        Self {
            server_pem: certs.join("server.pem"),
            authority: AuthorityFiles { certificate: certs.join("ca.pem"), key: state.join("ca").join("ca.key") },
        }
    }

    fn certificate(self, identity: Identity, origin: Origin) -> Certificate {
        let ca_pem = (origin != Origin::Operator).then_some(self.authority.certificate);
        Certificate { identity, origin, server_pem: self.server_pem, ca_pem }
    }

    fn issue(
        self,
        wanted: &Wanted,
        algorithm: KeyAlgorithm,
        now: SystemTime,
        origin: Origin,
        provider: &CryptoProvider,
    ) -> Result<Certificate, TlsError> {
        let (names, addresses) = (wanted.all_names(), wanted.all_addresses());
        let leaf =
            Leaf { names: &names, addresses: &addresses, uris: &[], lifetime: LEAF_LIFETIME, is_client_too: false };
        let authority = self.authority.load_or_make(&wanted.authority_name(), None, LEAF_LIFETIME, now)?;
        let pem = authority.issue(&leaf, algorithm, now)?.pem();
        files::write(&self.server_pem, pem.as_bytes(), Access::Private)?;
        let source = Source { certificate: &self.server_pem, key: None, password: None };
        let identity = Identity::parse(pem.as_bytes(), &source, provider)?;
        Ok(self.certificate(identity, origin))
    }
}

#[cfg(test)]
mod tests;
