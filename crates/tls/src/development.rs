//! The certificate that a server makes for itself.
//!
//! | file below the state folder | what | mode |
//! | --- | --- | --- |
//! | `certs/server.pem` | leaf and its key; or the operator's own | 0600 |
//! | `certs/ca.pem` | the CA, for clients to trust | 0644 |
//! | `ca/ca.key` | the CA's key, apart from what is served and copied | 0600 |

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{KeyPair, PublicKeyData as _};
use rustls::crypto::CryptoProvider;
use rustls_pki_types::CertificateDer;

use crate::certificate::Source;
use crate::certificate::{certificates, is_for_key, is_issued_by};
use crate::files::{self, Access};
use crate::issue::{LEAF_LIFETIME, make_ca, make_leaf};
use crate::{Identity, PasswordSource, Summary, TlsError};

/// A leaf with less time left than this is renewed.
const RENEW_BELOW: Duration = Duration::from_secs(14 * 24 * 60 * 60);

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
        let ca = store.usable_ca(wanted, now)?;
        return store.issue(&ca, wanted, now, Origin::Made, provider);
    };
    let source = Source { certificate: &store.server_pem, key: None, password };
    let identity = Identity::parse(&bytes, &source, provider)?;
    let ca_certificate = store.ca_certificate()?;
    let ours = match (&ca_certificate, identity.leaf()) {
        (Some(ca), Some(leaf)) => is_issued_by(leaf, ca),
        _ => false,
    };
    if !ours {
        return Ok(store.certificate(identity, Origin::Operator));
    }
    let Some(reason) = renewal(&identity.summary, wanted, now) else {
        return Ok(store.certificate(identity, Origin::Kept));
    };
    if files::read(&store.ca_key)?.is_none() {
        return Err(TlsError::NoCaKey { leaf: store.server_pem, ca_key: store.ca_key, reason });
    }
    let ca = store.usable_ca(wanted, now)?;
    store.issue(&ca, wanted, now, Origin::Renewed(reason), provider)
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
    ca_pem: PathBuf,
    ca_key: PathBuf,
}

/// A CA that can sign.
struct SigningCa {
    certificate_pem: String,
    key: KeyPair,
}

impl Store {
    fn below(state: &Path) -> Self {
        let certs = state.join("certs");
        Self {
            server_pem: certs.join("server.pem"),
            ca_pem: certs.join("ca.pem"),
            ca_key: state.join("ca").join("ca.key"),
        }
    }

    fn certificate(self, identity: Identity, origin: Origin) -> Certificate {
        let ca_pem = (origin != Origin::Operator).then_some(self.ca_pem);
        Certificate { identity, origin, server_pem: self.server_pem, ca_pem }
    }

    fn ca_certificate(&self) -> Result<Option<CertificateDer<'static>>, TlsError> {
        let Some(bytes) = files::read(&self.ca_pem)? else { return Ok(None) };
        Ok(certificates(&bytes, &self.ca_pem)?.into_iter().next())
    }

    /// The CA of earlier starts; a new one at first start, and when the old one would end before its next leaf.
    fn usable_ca(&self, wanted: &Wanted, now: SystemTime) -> Result<SigningCa, TlsError> {
        let (Some(certificate), Some(key)) = (self.ca_certificate()?, files::read(&self.ca_key)?) else {
            return self.new_ca(wanted, now);
        };
        let mismatch = || TlsError::CaMismatch { ca: self.ca_pem.clone(), ca_key: self.ca_key.clone() };
        let key = std::str::from_utf8(&key).ok().and_then(|pem| KeyPair::from_pem(pem).ok()).ok_or_else(mismatch)?;
        if !is_for_key(&certificate, &key.subject_public_key_info()) {
            return Err(mismatch());
        }
        let summary =
            Summary::of(&certificate).map_err(|detail| TlsError::Unusable { path: self.ca_pem.clone(), detail })?;
        if summary.not_after < now + LEAF_LIFETIME {
            return self.new_ca(wanted, now);
        }
        let bytes = files::read(&self.ca_pem)?.unwrap_or_default();
        let certificate_pem = String::from_utf8_lossy(&bytes).into_owned();
        Ok(SigningCa { certificate_pem, key })
    }

    fn new_ca(&self, wanted: &Wanted, now: SystemTime) -> Result<SigningCa, TlsError> {
        let host = wanted.all_names().into_iter().next().unwrap_or_default();
        let ca = make_ca(&host, now)?;
        for (file, access) in [(&self.ca_key, Access::Private), (&self.ca_pem, Access::Public)] {
            if let Some(folder) = file.parent() {
                files::make_folder(folder, access)?;
            }
        }
        files::write(&self.ca_key, ca.key.serialize_pem().as_bytes(), Access::Private)?;
        files::write(&self.ca_pem, ca.certificate_pem.as_bytes(), Access::Public)?;
        Ok(SigningCa { certificate_pem: ca.certificate_pem, key: ca.key })
    }

    fn issue(
        self,
        ca: &SigningCa,
        wanted: &Wanted,
        now: SystemTime,
        origin: Origin,
        provider: &CryptoProvider,
    ) -> Result<Certificate, TlsError> {
        let pem = make_leaf(&ca.certificate_pem, &ca.key, &wanted.all_names(), &wanted.all_addresses(), now)?;
        files::write(&self.server_pem, pem.as_bytes(), Access::Private)?;
        let source = Source { certificate: &self.server_pem, key: None, password: None };
        let identity = Identity::parse(pem.as_bytes(), &source, provider)?;
        Ok(self.certificate(identity, origin))
    }
}

#[cfg(test)]
mod tests;
