//! TLS of the listeners: which certificates each one has, and what its new connections use.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use lampyris_engine::ListenerId;
use lampyris_tls::store::{CertificateFiles, Plan, PlanError, Serving};
use lampyris_tls::{
    Certificate, Identity, Origin, PasswordSource, Secured, Settings, StartLog, Store, TlsError, Wanted,
};
use rustls::server::ResolvesServerCert;

use crate::net::bind::BoundAddress;
use crate::{Addresses, HostName, Listener, Options, StartError, Tls, host};

/// What the secure listeners have.
#[derive(Debug)]
pub(crate) struct SecureListeners {
    /// The server's own certificate, if a listener uses it.
    pub(crate) own: Option<Certificate>,
    pub(crate) store: Arc<Store>,
    /// Their places in the store, by listener.
    places: Vec<Option<usize>>,
    /// The places of the listeners of game servers.
    s2s_places: Vec<Option<usize>>,
}

impl SecureListeners {
    /// TLS of a listener, if it is secure.
    pub(crate) fn of(&self, listener: ListenerId) -> Option<Arc<Secured>> {
        let place = self.places.get(listener.0).copied().flatten()?;
        self.store.listeners().get(place).cloned()
    }

    /// TLS of a listener of game servers, if it is secure.
    pub(crate) fn of_s2s(&self, index: usize) -> Option<Arc<Secured>> {
        let place = self.s2s_places.get(index).copied().flatten()?;
        self.store.listeners().get(place).cloned()
    }
}

/// Reads every certificate. What is wrong is told of all listeners at once; no listener does without.
///
/// With `challenges` every listener answers an authority that asks in a handshake.
pub(crate) fn load(
    options: &Options,
    challenges: Option<&Arc<dyn ResolvesServerCert>>,
) -> Result<SecureListeners, StartError> {
    let is_own = |listener: &Listener| matches!(listener.tls, Some(Tls::Own));
    let own = options.listeners.iter().any(is_own).then(|| load_own(options)).transpose()?;
    let (mut plans, mut planned) = (Vec::new(), Vec::new());
    let mut places = Vec::with_capacity(options.listeners.len());
    for listener in &options.listeners {
        let plan = listener.tls.as_ref().and_then(|tls| plan(listener, tls, own.as_ref(), challenges));
        places.push(plan.is_some().then_some(plans.len()));
        if let Some(plan) = plan {
            plans.push(plan);
            planned.push((listener.place.as_ref(), &listener.node.label));
        }
    }
    let mut place = plans.len()..;
    let of_servers = options.s2s.listeners.iter();
    let s2s_places = of_servers.clone().map(|listener| listener.tls.as_ref().and_then(|_| place.next())).collect();
    plans.extend(plans_for_servers(options));
    let secure_ones = of_servers.filter(|listener| listener.tls.is_some());
    planned.extend(secure_ones.map(|listener| (listener.place.as_ref(), &listener.label)));
    let told = |errors: Vec<PlanError>| {
        let of_listener =
            |error: &PlanError| planned.get(error.index).map(|planned| at(*planned, &error.error.to_string()));
        StartError::Listeners(errors.iter().filter_map(of_listener).collect())
    };
    let store = Arc::new(Store::load(plans, options.strict).map_err(told)?);
    log_warnings(&store, own.as_ref());
    Ok(SecureListeners { own, store, places, s2s_places })
}

/// What a listener's certificates are to be.
pub(crate) fn plan(
    listener: &Listener,
    tls: &Tls,
    own: Option<&Certificate>,
    challenges: Option<&Arc<dyn ResolvesServerCert>>,
) -> Option<Plan> {
    let (certificates, default_domain, settings) = match tls {
        Tls::Own => {
            let path = own?.server_pem.clone();
            let password = PasswordSource::of_environment();
            (vec![CertificateFiles { certificate: path.clone(), key: path, password }], None, Settings::default())
        }
        Tls::Files(files) => (files.certificates.clone(), files.default_domain.clone(), files.settings.clone()),
    };
    let settings = Settings { challenges: challenges.cloned(), ..settings };
    Some(Plan { listener: listener.node.label.clone(), certificates, default_domain, settings })
}

/// What the listeners of game servers are to have, in their order.
pub(crate) fn plans_for_servers(options: &Options) -> impl Iterator<Item = Plan> {
    options.s2s.listeners.iter().filter_map(|listener| {
        // Game servers are no authority that asks in a handshake.
        listener.tls.as_ref().map(|files| Plan {
            listener: listener.label.clone(),
            certificates: files.certificates.clone(),
            default_domain: files.default_domain.clone(),
            settings: files.settings.clone(),
        })
    })
}

fn at((place, label): (Option<&String>, &String), error: &str) -> String {
    let place = place.map_or_else(String::new, |place| format!("{place}: "));
    format!("{place}the secure listener {label} cannot start: {error}")
}

/// Sees to a certificate that the server made for itself before it ends; the store takes what is made.
pub(crate) fn renewal(options: &Options, secure: &SecureListeners) -> impl FnMut(&Path) -> bool + Send + 'static {
    let (state, wanted) = (options.state_dir.clone(), wanted(options));
    let made = secure.own.as_ref().filter(|own| own.origin != Origin::Operator).map(|own| own.server_pem.clone());
    move |path| {
        if made.as_deref() != Some(path) {
            return false;
        }
        let (provider, now) = (lampyris_tls::config::provider(), SystemTime::now());
        match lampyris_tls::development::ensure(&state, &wanted, None, now, &provider) {
            Ok(certificate) => {
                log_own(&certificate);
                true
            }
            Err(error) => {
                tracing::error!("cannot renew the server's own certificate: {error}");
                false
            }
        }
    }
}

fn wanted(options: &Options) -> Wanted {
    let mut wanted = Wanted { host: host::host_name(), names: Vec::new(), addresses: host::interface_addresses() };
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
    wanted
}

fn load_own(options: &Options) -> Result<Certificate, TlsError> {
    let wanted = wanted(options);
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
}

/// Warns of each file once, whatever listeners share it.
fn log_warnings(store: &Store, own: Option<&Certificate>) {
    // Our own certificates have no faults, only a CA that is not sent.
    let is_made = |path: &Path| own.is_some_and(|own| own.origin != Origin::Operator && own.server_pem == path);
    let mut told: Vec<CertificateFiles> = Vec::new();
    for secured in store.listeners() {
        for (files, identity) in secured.serving().certificates() {
            if told.contains(files) || is_made(&files.certificate) {
                continue;
            }
            for warning in identity.warnings() {
                tracing::warn!(path = %files.certificate.display(), "{warning}");
            }
            told.push(files.clone());
        }
    }
}

/// Tells what each secure listener has, in the lines that operators search for.
pub(crate) fn log_listeners(options: &Options, addresses: &[BoundAddress], secure: &SecureListeners) {
    let mut told = Vec::new();
    for bound in addresses {
        let (Some(listener), Some(secured)) = (options.listeners.get(bound.listener.0), secure.of(bound.listener))
        else {
            continue;
        };
        let (ip, port) = (bound.address.ip(), bound.address.port());
        let address = if ip.is_unspecified() { format!("*:{port}") } else { bound.address.to_string() };
        // Every address is one listener to operators, though IPv4 and IPv6 have a socket each.
        if !told.contains(&address) {
            log_listener(listener, &secured.serving(), &address);
            told.push(address);
        }
    }
}

fn log_listener(listener: &Listener, serving: &Serving, address: &str) {
    // A label that was written for these lines holds the address already.
    let (address, role) = listener.node.label.rsplit_once("::").unwrap_or((address, &listener.node.label));
    let default = serving.selection().default_identity().map(|identity| identity.summary().fingerprint);
    let first_name = |identity: &Identity| identity.summary().names.first().cloned();
    let default_domain = serving.plan().default_domain.clone();
    let default_domain =
        default_domain.or_else(|| serving.selection().default_identity().and_then(first_name)).unwrap_or_default();
    let mut certificates: Vec<_> = serving.certificates().collect();
    certificates.sort_by_key(|(_, identity)| Some(identity.summary().fingerprint) != default);
    for (number, (files, identity)) in certificates.into_iter().enumerate() {
        let (path, summary, settings) = (&files.certificate, identity.summary(), &serving.plan().settings);
        let log = StartLog { address, role, path, default_domain: &default_domain, summary, settings };
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
