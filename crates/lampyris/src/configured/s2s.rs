//! Links with servers of other machines.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lampyris_config::{Config, ListenAddress, ListenerKind, MasterSettings, Port};
use lampyris_server::{
    CertificateFiles, Controller, LevelBound, LinkTransport, LoadInput, MasterLink, MasterTls, S2s, S2sListener,
    Workload, host_name,
};
use lampyris_tls::PasswordSource;

use super::listeners::tls_files;

/// Where game servers call, and the Master that this process's game server calls.
pub(super) fn read(config: &Config, errors: &mut Vec<String>) -> S2s {
    let mut listeners = Vec::new();
    for written in &config.instance.listeners {
        let Some(transport) = for_servers(config, written) else { continue };
        if config.master.is_none() {
            tracing::info!("{}: not opened: game servers call a Master, and none is loaded here", written.place);
            continue;
        }
        match listener(written, transport) {
            Ok(listener) => listeners.push(listener),
            Err(texts) => errors.extend(texts.into_iter().map(|text| format!("{}: {text}", written.place))),
        }
    }
    S2s { listeners, master: master(config), ping_interval: config.instance.s2s.settings.ping_frequency.get() }
}

/// How servers talk at a listener; `None` if it is for clients. In the shipped file the port for servers is that of a
/// TCP listener without an application.
pub(super) fn for_servers(config: &Config, written: &lampyris_config::Listener) -> Option<LinkTransport> {
    let incoming = config.master.as_ref().map(|master| master.settings.incoming_game_server_peer_port);
    // Without a Master here, the files of all machines being the same, it is the port that is called.
    let outgoing = config.game_server.as_ref().map(|game| game.settings.outgoing_master_server_peer_port);
    let port: Port = incoming.or(outgoing).unwrap_or_else(|| MasterSettings::default().incoming_game_server_peer_port);
    match written.kind {
        ListenerKind::TcpS2S(_) => Some(LinkTransport::Tcp),
        ListenerKind::WebSocketS2S(_) => Some(LinkTransport::WebSocket),
        ListenerKind::Tcp(_) if written.common.override_application.is_none() && written.port == port => {
            Some(LinkTransport::Tcp)
        }
        _ => None,
    }
}

fn listener(written: &lampyris_config::Listener, transport: LinkTransport) -> Result<S2sListener, Vec<String>> {
    let label = format!("S2S {}", written.port.0);
    let tls = written.tls.as_ref().map(|tls| {
        let mut tls = tls.clone();
        tls.settings.client_certificate = tls.servers_certificate;
        tls_files(&tls, &label)
    });
    let bind = match written.common.ip_address {
        ListenAddress::Every => vec![IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()],
        ListenAddress::Ip(ip) => vec![ip],
    };
    let (port, place) = (written.port.0, Some(written.place.to_string()));
    Ok(S2sListener { label, bind, port, transport, tls: tls.transpose()?, place })
}

/// The Master of a game server that has none beside it.
fn master(config: &Config) -> Option<MasterLink> {
    let game = config.game_server.as_ref().filter(|_| config.master.is_none())?;
    let (settings, s2s) = (&game.settings, &config.instance.s2s);
    let files = |certificate: &lampyris_config::Certificate| CertificateFiles {
        certificate: certificate.certificate.clone(),
        key: certificate.key.clone(),
        password: certificate.password.as_ref().and_then(|password| PasswordSource::parse(password.expose())),
    };
    let tls = s2s.settings.secure.then(|| MasterTls {
        authorities: s2s.root_certificates.clone(),
        certificate: s2s.certificate.as_ref().map(files),
        server_name: s2s.settings.server_name.clone(),
    });
    let status_interval = settings.app_stats_publish_interval.get();
    Some(MasterLink {
        host: settings.master_ip_address.clone(),
        port: settings.outgoing_master_server_peer_port.0,
        transport: if s2s.web_socket { LinkTransport::WebSocket } else { LinkTransport::Tcp },
        tls,
        name: format!("{} {}", host_name(), config.instance.name).trim().to_owned(),
        retry_interval: settings.connect_retry_interval.get(),
        stop_timeout: settings.stop_notification_timeout.get(),
        status_interval: Some(status_interval).filter(|interval| !interval.is_zero()),
        workload: workload(&game.workload),
    })
}

/// How this process measures its load. Nothing here is taken out of rotation by a controller: that is the state of the
/// server, not its load.
fn workload(written: &lampyris_config::Workload) -> Workload {
    let controllers = written.controllers.iter().filter_map(|controller| {
        let input = match controller.input {
            lampyris_config::LoadInput::CpuUsage => LoadInput::CpuUsage,
            lampyris_config::LoadInput::Bandwidth => LoadInput::Bandwidth,
            lampyris_config::LoadInput::PeerCount => LoadInput::PeerCount,
            lampyris_config::LoadInput::OutOfRotation => return None,
        };
        let bounds = controller.bounds.iter().map(|bound| LevelBound {
            level: bound.level.number(),
            rises_over: bound.rises_over,
            falls_under: bound.falls_under,
        });
        Some(Controller::new(input, bounds.collect(), controller.initial_level.number()))
    });
    Workload { controllers: controllers.collect() }
}
