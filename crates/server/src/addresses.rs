//! Where clients are told to go, and whether somebody is there.

use std::net::IpAddr;

use lampyris_engine::{Addresses as Told, Config, Endpoint, Host, ListenerConfig, Region, Role, Transport};

use crate::{Addresses, Listener, Options, interface_addresses};

/// What the node is told. An address that none of its listeners serves is not handed out where that is certain to be
/// wrong, and is warned of where it may be right.
pub(crate) fn told(options: &Options, config: &Config) -> Told {
    let mut told = match &options.addresses {
        Addresses::OfListeners { public_ip, public_host } => {
            let host = Host::AsReached { public_ip: *public_ip, public_host: public_host.clone() };
            let endpoint = |role| Endpoint { host: host.clone(), ports: config.ports(role), ..Endpoint::default() };
            let region = Region { code: None, master: endpoint(Role::Master) };
            return Told { regions: vec![region], game: endpoint(Role::Game) };
        }
        Addresses::Told(told) => told.clone(),
    };
    if config.applications.plays(Role::Game) {
        keep_served(&mut told.game, Role::Game, &options.listeners, config);
    }
    if config.applications.plays(Role::Master) {
        let (game, only) = (told.game.host.clone(), told.regions.len() == 1);
        let own = interface_addresses();
        for region in told.regions.iter_mut().filter(|region| only || is_here(&region.master.host, &game, &own)) {
            keep_served(&mut region.master, Role::Master, &options.listeners, config);
        }
    }
    told
}

/// Whether a Master is this process: it has an address of this machine, or the public one of its game server.
fn is_here(host: &Host, game: &Host, own: &[IpAddr]) -> bool {
    let Host::Fixed { ipv4, name, .. } = host else { return true };
    let is_own = ipv4.is_some_and(|ip| ip.is_loopback() || own.contains(&ip.into()));
    match game {
        Host::Fixed { ipv4: game_ipv4, name: game_name, .. } => {
            is_own || (ipv4.is_some() && ipv4 == game_ipv4) || (name.is_some() && name == game_name)
        }
        Host::AsReached { .. } => is_own,
    }
}

/// Takes the ports out of an endpoint of this process that lead nowhere.
fn keep_served(endpoint: &mut Endpoint, role: Role, listeners: &[Listener], config: &Config) {
    let any_tls = listeners.iter().any(|listener| listener.tls.is_some());
    for transport in Transport::ALL {
        let Some(port) = endpoint.ports.get(transport) else { continue };
        let path = format!("/{}", endpoint.path);
        let of_role =
            |node: &&ListenerConfig| node.transport() == Some(transport) && node.serves(&config.applications, role);
        let is_exact =
            |node: &ListenerConfig| node.port == port && node.usual_role(&config.applications, &path) == Some(role);
        let mut candidates = config.listeners.iter().filter(of_role).peekable();
        let (role, name) = (role.name(), transport.name());
        if candidates.peek().is_none() {
            endpoint.ports.set(transport, None);
            if transport == Transport::Wss && any_tls {
                tracing::warn!("no {name} address is handed out for the {role}: no secure listener leads to it");
            } else {
                tracing::info!("no {name} address is handed out for the {role}: no listener for {name} leads to it");
            }
            continue;
        }
        if candidates.any(is_exact) {
            continue;
        }
        let place = if matches!(transport, Transport::Ws | Transport::Wss) {
            format!("port {port} at the path {path}")
        } else {
            format!("port {port}")
        };
        // Behind a proxy that ends TLS the port told is the proxy's.
        let is_proxied = listeners.iter().zip(&config.listeners).any(|(l, node)| l.tls.is_none() && of_role(&node));
        if transport == Transport::Wss && !is_proxied {
            endpoint.ports.set(transport, None);
            tracing::warn!(
                "no wss address is handed out for the {role}: the files tell clients {place}, and no secure listener \
                 serves the {role} there; correct the port or the path, or add such a listener"
            );
        } else if transport != Transport::Wss {
            tracing::warn!(
                "clients of the {role} over {name} are told {place}, and no listener serves it there; correct the \
                 port or the path, unless a port forwarding leads to the right one"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use lampyris_engine::{Choice, Path, Pattern, Ports, Route, Service};

    use super::*;
    use crate::Tls;

    const ALL: Ports = Ports { udp: Some(5056), tcp: Some(4531), ws: Some(9091), wss: Some(443) };

    fn endpoint(name: &str, path: &str) -> Endpoint {
        let host = Host::Fixed { ipv4: "203.0.113.7".parse().ok(), ipv6: None, name: Some(name.to_owned()) };
        Endpoint { host, ports: ALL, path: path.to_owned() }
    }

    fn secure(port: u16, routes: &[(&str, Role)], tls: Option<Tls>) -> Listener {
        let routes = routes.iter().map(|(pattern, role)| Route {
            path: Path { pattern: Pattern::new(pattern), ..Path::every_path() },
            choice: Choice::always(*role),
            answers_probes: false,
        });
        let mut listener = Listener { tls, ..Listener::of_role(Role::Game, Transport::Wss, port) };
        listener.node.service = Service::WebSocket { secure: true, routes: routes.collect() };
        listener
    }

    fn told_by(listeners: Vec<Listener>, regions: Vec<Region>, game: Endpoint) -> Told {
        let addresses = Addresses::Told(Told { regions, game });
        let options = Options { addresses, ..Options::new("unused".into(), listeners) };
        let listeners = options.listeners.iter().map(|listener| listener.node.clone()).collect();
        let secrets = crate::state::Secrets { token: [0; 32], udp: [0; 32] };
        crate::server::node_config(&options, secrets, listeners).addresses
    }

    #[test]
    fn a_wss_address_is_told_if_a_secure_listener_serves_exactly_that_port_and_path() {
        let by_path = [("/game/+", Role::Game), ("/+", Role::NameServer)];
        let table = [
            (443, "game", Some(443)),
            (443, "Game", Some(443)),
            (443, "", None),
            (443, "master", None),
            (19091, "game", None),
        ];
        for (port, path, expected) in table {
            let listener = secure(port, &by_path, Some(Tls::Own));
            let told = told_by(vec![listener], Vec::new(), endpoint("play.example", path));
            assert_eq!(told.game.ports.wss, expected, "{port} {path}");
        }
    }

    #[test]
    fn behind_a_proxy_that_ends_tls_the_port_told_is_the_proxys() {
        let told = told_by(vec![secure(9091, &[("/+", Role::Game)], None)], Vec::new(), endpoint("play.example", ""));
        assert_eq!(told.game.ports.wss, Some(443));
    }

    #[test]
    fn a_transport_without_a_listener_is_not_told_and_another_port_may_be_forwarded() {
        let udp = Listener::of_role(Role::Game, Transport::Udp, 15056);
        let of_master = Listener::of_role(Role::Master, Transport::Tcp, 4531);
        let told = told_by(vec![udp, of_master], Vec::new(), endpoint("play.example", ""));
        assert_eq!(told.game.ports, Ports { udp: Some(5056), ..Ports::default() });
    }

    #[test]
    fn masters_of_other_machines_are_told_as_they_are_written() {
        let region = |code: &str, ip: &str, name: &str| {
            let host = Host::Fixed { ipv4: ip.parse().ok(), ipv6: None, name: Some(name.to_owned()) };
            Region { code: Some(code.to_owned()), master: Endpoint { host, ..endpoint(name, "Master") } }
        };
        let regions = vec![
            region("eu", "203.0.113.7", "eu.example"),
            region("us", "203.0.113.8", "play.example"),
            region("asia", "203.0.113.9", "asia.example"),
            region("au", "127.0.0.1", "au.example"),
        ];
        let told = told_by(Vec::new(), regions, endpoint("play.example", ""));
        let kept: Vec<_> = told.regions.iter().map(|region| region.master.ports.wss.is_some()).collect();
        assert_eq!(kept, [false, false, true, false], "the address, the name or loopback say which is this process");
    }
}
