//! Certificates for development as an operator orders them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;

use super::{Store, Wanted};
use crate::certificate::certificates;
use crate::files::{self, Access};
use crate::inspect::Details;
use crate::issue::{self, DAY, KeyAlgorithm, Leaf};
use crate::{Summary, TlsError};

/// Longest life that is suggested: what browsers once allowed, and a little less.
pub const SUGGESTED_DAYS: u32 = 397;
/// Longest life that is made: Apple's systems accept no longer one.
pub const LONGEST_DAYS: u32 = 825;

/// What to make.
#[derive(Clone, Debug)]
pub struct Order {
    /// DNS names. Without any, and without addresses, those of the certificate that is there.
    pub names: Vec<String>,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
    /// What is covered besides.
    pub machine: Wanted,
    /// The kind of key.
    pub key: KeyAlgorithm,
    /// Days of life.
    pub days: u32,
    /// Whether the certificate is its own issuer.
    pub is_self_signed: bool,
    /// Whether the authority is limited to the names.
    pub has_name_constraints: bool,
}

/// Where things are.
#[derive(Clone, Debug)]
pub struct Place {
    /// The state folder, which has the authority.
    pub state: PathBuf,
    /// The folder of `server.pem`; `None` = the one of the state folder.
    pub certs: Option<PathBuf>,
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// Certificate and key.
    pub server_pem: PathBuf,
    /// What clients are to trust: the authority, or the certificate without its key.
    pub trust: PathBuf,
    /// Whether that is new, so that nobody trusts it yet.
    pub is_trust_new: bool,
    /// The key of the authority.
    pub authority_key: Option<PathBuf>,
    /// Where the certificate went that was there before and that this authority had not issued.
    pub set_aside: Option<PathBuf>,
    /// What the certificate says.
    pub summary: Summary,
}

/// Makes a certificate. One from the same authority is replaced; another one is set aside, since its key may exist
/// nowhere else.
///
/// # Errors
/// If files cannot be read or written, or the authority's key is missing.
pub fn make(place: &Place, order: &Order, now: SystemTime) -> Result<Made, TlsError> {
    let store = Store::below(&place.state);
    let own_folder = store.server_pem.parent().map(Path::to_owned).unwrap_or_default();
    let folder = place.certs.clone().unwrap_or_else(|| own_folder.clone());
    let server_pem = folder.join("server.pem");
    let existed = files::read(&server_pem)?.is_some();
    let earlier = leaf_of(&server_pem)?;
    let is_ours = match &earlier {
        Some(certificate) => {
            store.authority.has_issued(certificate)?
                || leaf_of(&folder.join("server.crt"))?.as_ref() == Some(certificate)
        }
        None => false,
    };
    let wanted = order.wanted(earlier.as_ref().filter(|_| is_ours));
    let (names, addresses) = (wanted.all_names(), wanted.all_addresses());
    let lifetime = Duration::from_secs(DAY.as_secs() * u64::from(order.days));
    let leaf = Leaf { names: &names, addresses: &addresses, uris: &[], lifetime, is_client_too: false };
    let (made, trust, is_trust_new) = if order.is_self_signed {
        let made = issue::make_leaf(None, &leaf, order.key, now)?;
        let trust = (folder.join("server.crt"), made.certificate_pem.clone());
        (made, trust, true)
    } else {
        let only = order.has_name_constraints.then_some(&leaf);
        let authority = store.authority.load_or_make(&order.machine.authority_name(), only, lifetime, now)?;
        let is_limited = Details::of(&authority.certificate).is_ok_and(|ca| ca.has_critical_name_constraints);
        if order.has_name_constraints && !is_limited {
            return Err(TlsError::AuthorityUnlimited { ca: store.authority.certificate });
        }
        if let Some(name) = authority.excluded(&leaf) {
            return Err(TlsError::NameExcluded { name: name.to_owned(), ca: store.authority.certificate });
        }
        let trust = (folder.join("ca.pem"), authority.pem().to_owned());
        (authority.issue(&leaf, order.key, now)?, trust, authority.is_new)
    };
    files::make_folder(&folder, Access::Public)?;
    let set_aside = if existed && !is_ours { Some(files::keep_aside(&server_pem)?) } else { None };
    files::write(&server_pem, made.pem().as_bytes(), Access::Private)?;
    let (trust, trust_pem) = trust;
    files::write(&trust, trust_pem.as_bytes(), Access::Public)?;
    let summary = certificates(made.certificate_pem.as_bytes(), &server_pem)?.first().map(Summary::of);
    let unusable = |detail| TlsError::Unusable { path: server_pem.clone(), detail };
    let summary = summary.unwrap_or_else(|| Err(String::new())).map_err(unusable)?;
    let authority_key = (!order.is_self_signed).then_some(store.authority.key);
    Ok(Made { server_pem, trust, is_trust_new, authority_key, set_aside, summary })
}

/// The first certificate of a file; `None` if there is no such file, or no certificate in it.
fn leaf_of(path: &Path) -> Result<Option<CertificateDer<'static>>, TlsError> {
    let Some(bytes) = files::read(path)? else { return Ok(None) };
    Ok(certificates(&bytes, path).ok().and_then(|all| all.into_iter().next()))
}

impl Order {
    /// Everything that the leaf is to cover. Names that are asked for come first: the first is its common name.
    fn wanted(&self, earlier: Option<&CertificateDer<'_>>) -> Wanted {
        let mut wanted = Wanted {
            host: String::new(),
            names: self.names.clone(),
            addresses: self.addresses.iter().chain(&self.machine.addresses).copied().collect(),
        };
        if self.names.is_empty()
            && self.addresses.is_empty()
            && let Some(Ok(summary)) = earlier.map(Summary::of)
        {
            wanted.names = summary.names;
            wanted.addresses.extend(summary.addresses);
        }
        wanted.host = wanted.names.first().cloned().unwrap_or_else(|| self.machine.host.clone());
        wanted.names.extend(self.machine.names.iter().cloned());
        wanted.names.push(self.machine.host.clone());
        wanted
    }
}
