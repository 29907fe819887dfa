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
