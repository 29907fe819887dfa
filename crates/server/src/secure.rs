//! TLS of the listeners: which certificates each one has, and what its new connections use.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use lampyris_tls::{
    Certificate, Identity, Origin, PasswordSource, Selection, Settings, Source, StartLog, TlsError, Wanted,
    server_config_for,
};
use rustls::ServerConfig;

use crate::net::bind::BoundAddress;
use crate::{Addresses, CertificateFiles, HostName, Listener, Options, StartError, Tls, TlsFiles, host};

/// TLS of one listener. New connections take what is current; those that are open keep what they began with.
#[derive(Clone)]
pub(crate) struct ListenerTls(Arc<ArcSwap<ServerConfig>>);

impl ListenerTls {
    fn new(config: Arc<ServerConfig>) -> Self {
        Self(Arc::new(ArcSwap::new(config)))
    }

    /// What a new connection uses.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.0.load_full()
    }
}

impl fmt::Debug for ListenerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListenerTls")
    }
}

/// What the secure listeners have.
#[derive(Debug)]
pub(crate) struct Secured {
    /// The server's own certificate, if a listener uses it.
    pub(crate) own: Option<Certificate>,
    /// By listener.
    pub(crate) listeners: Vec<Option<Loaded>>,
}

/// The certificates of a listener, read and checked.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) tls: ListenerTls,
    selection: Arc<Selection>,
    settings: Settings,
    default_domain: Option<String>,
    /// Their files, in the order of the selection.
    paths: Vec<std::path::PathBuf>,
}

/// Reads every certificate. What is wrong is told of all listeners at once; no listener does without.
pub(crate) fn load(options: &Options) -> Result<Secured, StartError> {
    let is_own = |listener: &Listener| matches!(listener.tls, Some(Tls::Own));
    let own = options.listeners.iter().any(is_own).then(|| load_own(options)).transpose()?;
    let mut errors = Vec::new();
    let mut listeners: Vec<Option<Loaded>> = Vec::with_capacity(options.listeners.len());
    for (index, listener) in options.listeners.iter().enumerate() {
        // One configuration for all listeners that want the same: tickets of one are good at the others.
        let earlier = options.listeners.iter().take(index).position(|other| same(&other.tls, &listener.tls));
        let loaded = match (&listener.tls, &own, earlier) {
            (None, ..) => Ok(None),
            (Some(_), _, Some(earlier)) => Ok(listeners.get(earlier).cloned().flatten()),
            (Some(Tls::Own), own, None) => own.as_ref().map(load_single).transpose(),
            (Some(Tls::Files(files)), ..) => load_files(files).map(Some),
        };
        listeners.push(loaded.unwrap_or_else(|error| {
            errors.push(at(listener, &error));
            None
        }));
    }
    if errors.is_empty() { Ok(Secured { own, listeners }) } else { Err(StartError::Listeners(errors)) }
}

fn same(one: &Option<Tls>, other: &Option<Tls>) -> bool {
    match (one, other) {
        (Some(Tls::Own), Some(Tls::Own)) => true,
        (Some(Tls::Files(one)), Some(Tls::Files(other))) => {
            one.certificates == other.certificates
                && one.default_domain == other.default_domain
                && one.settings.versions == other.settings.versions
                && one.settings.ciphers.written() == other.settings.ciphers.written()
        }
        _ => false,
    }
}

fn at(listener: &Listener, error: &TlsError) -> String {
    let place = listener.place.as_ref().map_or_else(String::new, |place| format!("{place}: "));
    format!("{place}the secure listener {} cannot start: {error}", listener.node.label)
}

fn load_own(options: &Options) -> Result<Certificate, TlsError> {
    let mut wanted = Wanted { host: host::name(), names: Vec::new(), addresses: host::interface_addresses() };
    let bound = options.listeners.iter().flat_map(|listener| &listener.bind);
    for ip in bound.filter(|ip| !ip.is_unspecified()) {
        if !wanted.addresses.contains(ip) {
            wanted.addresses.push(*ip);
        }
    }
    if let Addresses::OfListeners { public_ip, public_host } = &options.addresses {
        wanted.addresses.extend(*public_ip);
        if let HostName::Fixed(name) = public_host {
            match name.parse() {
                Ok(ip) => wanted.addresses.push(ip),
                Err(_) => wanted.names.push(name.clone()),
            }
        }
    }
    let provider = lampyris_tls::config::provider();
    let (password, now) = (PasswordSource::of_environment(), SystemTime::now());
    let state = &options.state_dir;
    let certificate = lampyris_tls::development::ensure(state, &wanted, password.as_ref(), now, &provider)?;
    log_own(&certificate);
    Ok(certificate)
}

fn log_own(certificate: &Certificate) {
    let summary = certificate.identity.summary();
    let left = summary.not_after.duration_since(SystemTime::now()).unwrap_or_default();
    let (path, days) = (certificate.server_pem.display(), left.as_secs() / (24 * 60 * 60));
    match certificate.origin {
        Origin::Made => tracing::info!(%path, days, "made a certificate and a CA for it"),
        Origin::Kept => tracing::info!(%path, days, "using the certificate of an earlier start"),
        Origin::Renewed(reason) => tracing::info!(%path, days, "renewed the certificate, because {reason}"),
        Origin::Operator => tracing::info!(%path, days, issuer = %summary.issuer, "using the operator's certificate"),
    }
    // Our own certificates have no faults, only a CA that is not sent.
    if certificate.origin == Origin::Operator {
        log_warnings(&certificate.identity, &certificate.server_pem);
    }
    log_expired(&certificate.identity, &certificate.server_pem);
}

fn log_warnings(identity: &Identity, path: &Path) {
    for warning in identity.warnings() {
        tracing::warn!(path = %path.display(), "{warning}");
    }
}

fn log_expired(identity: &Identity, path: &Path) {
    if identity.summary().not_after <= SystemTime::now() {
        let path = path.display();
        tracing::error!(%path, "the certificate has expired: clients will refuse secure connections; replace it");
    }
}

fn load_single(certificate: &Certificate) -> Result<Loaded, TlsError> {
    let selection = Arc::new(Selection::single(certificate.identity.clone()));
    let default_domain = certificate.identity.summary().names.first().cloned();
    loaded(selection, Settings::default(), default_domain, vec![certificate.server_pem.clone()])
}

fn load_files(files: &TlsFiles) -> Result<Loaded, TlsError> {
    let provider = lampyris_tls::config::provider();
    let mut identities = Vec::with_capacity(files.certificates.len());
    for CertificateFiles { certificate, key, password } in &files.certificates {
        let key = (key != certificate).then_some(key.as_path());
        let source = Source { certificate, key, password: password.as_ref() };
        let identity = Identity::load_from(&source, &provider)?;
        log_warnings(&identity, certificate);
        log_expired(&identity, certificate);
        identities.push(identity);
    }
    let selection = Arc::new(Selection::new(identities, files.default_domain.as_deref())?);
    let paths = files.certificates.iter().map(|files| files.certificate.clone()).collect();
    loaded(selection, files.settings.clone(), files.default_domain.clone(), paths)
}

fn loaded(
    selection: Arc<Selection>,
    settings: Settings,
    default_domain: Option<String>,
    paths: Vec<std::path::PathBuf>,
) -> Result<Loaded, TlsError> {
    let tls = ListenerTls::new(server_config_for(Arc::clone(&selection), &settings)?);
    Ok(Loaded { tls, selection, settings, default_domain, paths })
}

/// Tells what each secure listener has, in the lines that operators search for.
pub(crate) fn log_listeners(options: &Options, addresses: &[BoundAddress], secured: &Secured) {
    let mut told = Vec::new();
    for bound in addresses {
        let index = bound.listener.0;
        let (Some(listener), Some(Some(loaded))) = (options.listeners.get(index), secured.listeners.get(index)) else {
            continue;
        };
        let (ip, port) = (bound.address.ip(), bound.address.port());
        let address = if ip.is_unspecified() { format!("*:{port}") } else { bound.address.to_string() };
        // Every address is one listener to operators, though IPv4 and IPv6 have a socket each.
        if !told.contains(&address) {
            log_listener(listener, loaded, &address);
            told.push(address);
        }
    }
}

fn log_listener(listener: &Listener, loaded: &Loaded, address: &str) {
    // A label that was written for these lines holds the address already.
    let (address, role) = listener.node.label.rsplit_once("::").unwrap_or((address, &listener.node.label));
    let identities = loaded.selection.identities();
    let covers = |identity: &Identity| {
        let names = &identity.summary().names;
        loaded.default_domain.as_ref().is_some_and(|domain| names.iter().any(|name| name.eq_ignore_ascii_case(domain)))
    };
    let default = identities.iter().position(covers).unwrap_or_default();
    let mut order: Vec<_> = identities.iter().zip(&loaded.paths).collect();
    if default < order.len() {
        order.swap(0, default);
    }
    for (number, (identity, path)) in order.into_iter().enumerate() {
        let summary = identity.summary();
        let default_domain = loaded.default_domain.as_deref().unwrap_or_default();
        let log = StartLog { address, role, path, default_domain, summary, settings: &loaded.settings };
        let [ssl, ciphers, certificate, domain, details] = log.lines();
        if number == 0 {
            tracing::info!("{ssl}");
            tracing::info!("{ciphers}");
        }
        tracing::info!("{certificate}");
        if number == 0 {
            tracing::info!("{domain}");
        }
        tracing::info!("{details}");
    }
}
