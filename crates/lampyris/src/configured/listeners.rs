//! Listeners, their routes, and their TLS.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lampyris_config::{
    ClientCertificate, Config, HttpSettings, ListenAddress, ListenerKind, ProxyProtocol, TcpSettings, TlsVersion,
    Value as _, read_file,
};
use lampyris_server::engine::{
    Applications, Choice, ListenerConfig, ListenerLimits, Path as UrlPath, Pattern, Route, Service,
};
use lampyris_server::{CertificateFiles, Listener, Proxies, SocketSettings, Tls, TlsFiles};
use lampyris_tls::{
    Authorities, CipherList, ClientCertificates, PasswordSource, ProtocolRange, Settings, TlsError, Warning,
};

use super::{bytes, or_never, s2s};

/// The unit of the limits of unsent data.
const BUFFER_BYTES: usize = 4096;
/// Longest policy file.
const POLICY_BYTES_AT_MOST: usize = 64 << 10;

/// What every listener is read with.
struct Context<'a> {
    config: &'a Config,
    applications: &'a Applications,
    folder: &'a Path,
}

/// Every listener that leads to an application which is loaded, or that needs none.
pub(super) fn read(
    config: &Config,
    applications: &Applications,
    folder: &Path,
    errors: &mut Vec<String>,
) -> Vec<Listener> {
    let context = Context { config, applications, folder };
    let mut listeners = Vec::new();
    for written in &config.instance.listeners {
        match context.listener(written) {
            Ok(Some(listener)) => listeners.push(listener),
            Ok(None) => {}
            Err(texts) => errors.extend(texts.into_iter().map(|text| format!("{}: {text}", written.place))),
        }
    }
    listeners
}

impl Context<'_> {
    fn listener(&self, written: &lampyris_config::Listener) -> Result<Option<Listener>, Vec<String>> {
        let Some(service) = self.service(written).map_err(|text| vec![text])? else { return Ok(None) };
        let limits = self.limits(written);
        let label = self.label(written, &service);
        let tls = match &written.tls {
            Some(tls) => Some(Tls::Files(tls_files(tls, &label)?)),
            None => None,
        };
        let common = &written.common;
        let buffer = |size: u32| (size > 0).then(|| bytes(size));
        let sockets = SocketSettings {
            no_delay: match &written.kind {
                ListenerKind::Tcp(settings) | ListenerKind::TcpS2S(settings) => settings.disable_nagle,
                ListenerKind::Http { settings, .. } | ListenerKind::WebSocketS2S(settings) => settings.disable_nagle,
                ListenerKind::Udp | ListenerKind::Policy(_) => true,
            },
            receive_buffer_bytes: buffer(common.recv_buffer_size),
            send_buffer_bytes: buffer(common.send_buffer_size),
        };
        let bind = match common.ip_address {
            ListenAddress::Every => Vec::new(),
            ListenAddress::Ip(ip) => vec![ip],
        };
        let strict_transport = match &written.kind {
            ListenerKind::Http { settings, .. } => settings.strict_transport_security.map(|time| time.get()),
            _ => None,
        };
        let proxies = proxies(&written.kind);
        let node = ListenerConfig { label, port: written.port.0, service, limits, proxies, strict_transport };
        Ok(Some(Listener { bind, node, tls, sockets, place: Some(written.place.to_string()) }))
    }

    /// What is served there; `None` if nothing that is loaded.
    fn service(&self, written: &lampyris_config::Listener) -> Result<Option<Service>, String> {
        let place = &written.place;
        let common = &written.common;
        let choice = || self.choice(common.override_application.as_deref(), common.default_application.as_deref());
        let service = match &written.kind {
            ListenerKind::Udp => choice().map(Service::Udp),
            // Servers do not come to workers.
            _ if s2s::for_servers(self.config, written).is_some() => return Ok(None),
            ListenerKind::Tcp(settings) => {
                let policy = settings.policy_file.as_ref().map(|path| self.policy(path)).transpose()?;
                choice().map(|choice| Service::Tcp { choice, policy })
            }
            ListenerKind::Http { routes, .. } => {
                let secure = written.tls.is_some() || self.is_behind_proxy(written);
                let routes: Vec<_> = routes.iter().filter_map(|route| self.route(route)).collect();
                let serves = routes.iter().any(|route| route.path.web_socket || route.answers_probes);
                serves.then_some(Service::WebSocket { secure, routes })
            }
            ListenerKind::Policy(settings) => {
                let path = settings.policy_file.as_deref().unwrap_or_default();
                Some(Service::Policy(self.policy(path)?))
            }
            ListenerKind::TcpS2S(_) | ListenerKind::WebSocketS2S(_) => return Ok(None),
        };
        if service.is_none() {
            let names = self.applications.loaded.iter().map(|application| application.name.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            tracing::info!("{place}: not opened: it leads to no application that is loaded ({names})");
        }
        Ok(service)
    }

    /// Whether a proxy that ends TLS stands before a port.
    fn is_behind_proxy(&self, written: &lampyris_config::Listener) -> bool {
        let instance = &self.config.instance;
        let own = instance.listeners.iter().flat_map(|listener| &listener.secure_ports);
        let is_listed = instance.secure_ports.iter().chain(own).any(|secure| secure.0 == written.port);
        if is_listed {
            tracing::info!(
                "{}: port {} is a SecurePort: its clients come through a proxy that ends TLS, and are told wss addresses",
                written.place,
                written.port.0
            );
        }
        is_listed
    }

    /// Which applications clients get; `None` if the one that is written for all of them is not loaded.
    fn choice(&self, always: Option<&str>, otherwise: Option<&str>) -> Option<Choice> {
        let loaded = |name: &str| self.applications.loaded.iter().find(|application| application.name == name);
        let role = |name: &str| loaded(name).map(|application| application.role);
        let otherwise = otherwise.and_then(role);
        match always {
            Some(name) => Some(Choice { always: Some(role(name)?), otherwise }),
            None => Some(Choice { always: None, otherwise }),
        }
    }

    fn route(&self, written: &lampyris_config::Route) -> Option<Route> {
        let settings = &written.settings;
        let is_web_socket = settings.peer_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("WebSocket"));
        let choice = self.choice(settings.override_application.as_deref(), settings.default_application.as_deref());
        // A probe needs no application.
        let choice = if settings.ping && !is_web_socket { Some(Choice::default()) } else { choice };
        let ping_after = settings.ping_every.map(|time| time.get()).filter(|time| !time.is_zero());
        let path = UrlPath { pattern: Pattern::new(&settings.url), web_socket: is_web_socket, ping_after };
        Some(Route { path, choice: choice?, answers_probes: settings.ping })
    }

    fn limits(&self, written: &lampyris_config::Listener) -> ListenerLimits {
        let (instance, common) = (&self.config.instance.settings, &written.common);
        let defaults = ListenerLimits::default();
        let unsent = |writes: u32, buffers: u32| bytes(writes.saturating_add(buffers)).saturating_mul(BUFFER_BYTES);
        let (inactivity, queued_bytes, close_grace) = match &written.kind {
            ListenerKind::Tcp(settings) | ListenerKind::TcpS2S(settings) => {
                let TcpSettings { max_pending_writes, max_queued_buffers, disconnect_timeout, .. } = settings;
                let unsent = unsent(*max_pending_writes, *max_queued_buffers);
                (settings.inactivity_timeout.get(), unsent, or_never(disconnect_timeout.get()))
            }
            ListenerKind::Http { settings, .. } | ListenerKind::WebSocketS2S(settings) => {
                let HttpSettings { max_pending_writes, max_queued_buffers, .. } = settings;
                let unsent = unsent(*max_pending_writes, *max_queued_buffers);
                (settings.inactivity_timeout.get(), unsent, defaults.close_grace)
            }
            ListenerKind::Policy(settings) => {
                (settings.inactivity_timeout.get(), defaults.queued_bytes, defaults.close_grace)
            }
            ListenerKind::Udp => (Duration::MAX, bytes(instance.max_queued_data_per_peer), defaults.close_grace),
        };
        let app_data = common.app_data_inactivity_timeout.or(instance.app_data_inactivity_timeout);
        let message = |own: Option<u32>| bytes(own.unwrap_or(instance.max_message_size));
        ListenerLimits {
            inbound_message_bytes: message(common.max_inbound_message_size),
            outbound_message_bytes: message(common.max_outbound_message_size),
            queued_bytes,
            inactivity: or_never(inactivity),
            app_data_inactivity: app_data.map_or(Duration::MAX, |time| or_never(time.get())),
            close_grace,
        }
    }

    /// The name that is written, or the application; a port with several has the kind of listener.
    fn label(&self, written: &lampyris_config::Listener, service: &Service) -> String {
        if let ListenerKind::Http { settings: HttpSettings { name: Some(name), .. }, .. } = &written.kind {
            return name.clone();
        }
        let choices: Vec<Choice> = match service {
            Service::Udp(choice) | Service::Tcp { choice, .. } => vec![*choice],
            Service::WebSocket { routes, .. } => {
                routes.iter().filter(|route| route.path.web_socket).map(|route| route.choice).collect()
            }
            Service::Policy(_) => return "policy".to_owned(),
        };
        let mut names: Vec<&str> = Vec::new();
        for role in choices.into_iter().filter_map(|choice| self.applications.usual(choice)) {
            let name = self.applications.loaded.iter().find(|application| application.role == role);
            names.extend(name.map(|application| application.name.as_str()).filter(|name| !names.contains(name)));
        }
        if names.is_empty() { written.port.0.to_string() } else { names.join("+") }
    }

    /// A policy file, from the folder of the deployment or that of the configuration.
    fn policy(&self, written: &str) -> Result<bytes::Bytes, String> {
        let relative = PathBuf::from(written.replace('\\', "/"));
        let places = [self.folder.join("..").join(&relative), self.folder.join(&relative)];
        let read = places.iter().find_map(|path| read_file(path).ok());
        let Some(file) = read else {
            let [first, second] = places.map(|path| path.display().to_string());
            return Err(format!("the policy file {written} is neither at {first} nor at {second}"));
        };
        if file.bytes.len() > POLICY_BYTES_AT_MOST {
            let (path, length) = (file.path.display(), file.bytes.len());
            return Err(format!("{path} has {length} bytes; expected a policy of at most {POLICY_BYTES_AT_MOST}"));
        }
        Ok(file.bytes.into())
    }
}

/// Who stands before a listener and is believed.
fn proxies(kind: &ListenerKind) -> Proxies {
    let (protocol, trusted) = match kind {
        ListenerKind::Tcp(settings) | ListenerKind::TcpS2S(settings) => {
            (settings.proxy_protocol, &settings.trusted_proxies)
        }
        ListenerKind::Http { settings, .. } | ListenerKind::WebSocketS2S(settings) => {
            (settings.proxy_protocol, &settings.trusted_proxies)
        }
        ListenerKind::Udp | ListenerKind::Policy(_) => return Proxies::default(),
    };
    Proxies { trusted: trusted.0.clone(), announce: protocol == ProxyProtocol::V1V2 }
}

/// Whether clients are asked for certificates, and whose are taken.
fn clients(tls: &lampyris_config::Tls) -> Result<ClientCertificates, TlsError> {
    let authorities = || Authorities::load(&tls.root_certificates);
    Ok(match tls.settings.client_certificate {
        ClientCertificate::Off => ClientCertificates::Ignored,
        ClientCertificate::Optional => ClientCertificates::Optional(authorities()?),
        ClientCertificate::Required => ClientCertificates::Required(authorities()?),
    })
}

/// The files and settings of a secure listener; every fault is told.
pub(super) fn tls_files(tls: &lampyris_config::Tls, label: &str) -> Result<TlsFiles, Vec<String>> {
    let settings = &tls.settings;
    let written = |version: TlsVersion| (version != TlsVersion::Any).then(|| version.show());
    let (min, max) = (written(settings.min_protocol_version), written(settings.max_protocol_version));
    let versions = ProtocolRange::parse(min.as_deref(), max.as_deref());
    let ciphers = CipherList::parse(&settings.cipher_list);
    match (versions, ciphers, clients(tls)) {
        (Ok((versions, of_versions)), Ok((ciphers, of_ciphers)), Ok(clients)) => {
            of_versions.iter().chain(&of_ciphers).for_each(|warning| warn(label, warning));
            let certificates = tls.certificates.iter().map(|one| CertificateFiles {
                certificate: one.certificate.clone(),
                key: one.key.clone(),
                password: one.password.as_ref().and_then(|password| PasswordSource::parse(password.expose())),
            });
            Ok(TlsFiles {
                certificates: certificates.collect(),
                default_domain: settings.default_domain.clone(),
                settings: Settings { versions, ciphers, clients, ..Settings::default() },
            })
        }
        (versions, ciphers, clients) => {
            let errors = [versions.err(), ciphers.err(), clients.err()].into_iter().flatten();
            Err(errors.map(|error| format!("the secure listener {label} cannot start: {error}")).collect())
        }
    }
}

fn warn(label: &str, warning: &Warning) {
    if warning.is_information() {
        tracing::info!("listener {label}: {warning}");
    } else {
        tracing::warn!("listener {label}: {warning}");
    }
}
