//! What a configuration tells clients: where the next server is.

use std::net::IpAddr;

use lampyris_client::{ServerAddress, Transport};
use lampyris_config::{Config, GameServerSettings, NameServerSettings, Region, Role};

use crate::serving::{Endpoint, endpoints};

/// An address that a client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HandedOut {
    /// The role at that address.
    pub(crate) role: Role,
    pub(crate) address: ServerAddress,
    /// The settings that say host and port.
    pub(crate) host_setting: String,
    pub(crate) port_setting: String,
    /// Whether this instance is to serve it.
    pub(crate) is_ours: bool,
}

/// The addresses that clients of this instance get. A transport on which the role before has no listener has no clients.
pub(crate) fn handed_out(config: &Config) -> Vec<HandedOut> {
    let endpoints = endpoints(config);
    let mut addresses = Vec::new();
    if let Some(name_server) = &config.name_server {
        let first = name_server.regions.first().map(|region| region.ip_address);
        let is_only = name_server.regions.iter().all(|region| Some(region.ip_address) == first);
        for region in &name_server.regions {
            let is_ours = config.master.is_some() && (is_only || is_same_machine(config, region));
            let told = Transport::ALL.map(|transport| master(region, &name_server.settings, transport));
            addresses.extend(told.into_iter().map(|told| HandedOut { is_ours, ..told }));
        }
    }
    if let Some(game_server) = &config.game_server {
        addresses.extend(Transport::ALL.into_iter().filter_map(|transport| game(&game_server.settings, transport)));
    }
    addresses.retain(|told| is_reached(config, &endpoints, told));
    addresses
}

/// Whether a client of that transport gets as far as to be told the address.
fn is_reached(config: &Config, endpoints: &[Endpoint<'_>], told: &HandedOut) -> bool {
    let (before, is_here) = match told.role {
        Role::Game => (Role::Master, config.master.is_some()),
        _ => (Role::NameServer, config.name_server.is_some()),
    };
    !is_here || endpoints.iter().any(|endpoint| endpoint.role == before && endpoint.transport == told.address.transport)
}

fn is_same_machine(config: &Config, region: &Region) -> bool {
    let Some(game) = &config.game_server else { return false };
    let by_address = region.ip_address.is_some_and(|ip| game.settings.public_ip_address == ip.to_string());
    by_address
        || region.hostname.as_ref().is_some_and(|host| host.eq_ignore_ascii_case(&game.settings.public_host_name))
}

fn master(region: &Region, settings: &NameServerSettings, transport: Transport) -> HandedOut {
    let (own, general, name) = match transport {
        Transport::Udp => (region.port_udp, settings.master_port_udp, "Udp"),
        Transport::Tcp => (region.port_tcp, settings.master_port_tcp, "Tcp"),
        Transport::Ws => (region.port_web_socket, settings.master_port_web_socket, "WebSocket"),
        Transport::Wss => (region.port_secure_web_socket, settings.master_port_secure_web_socket, "SecureWebSocket"),
    };
    let of = format!("of region {:?} in Nameserver.json", region.region);
    let (port, port_setting) = if own == 0 {
        (general.0, format!("MasterServerPort{name} of Nameserver.xml.config"))
    } else {
        (own, format!("Port{name} {of}"))
    };
    let (host, host_setting) = if transport.is_websocket() {
        (region.hostname.clone().unwrap_or_default(), format!("Hostname {of}"))
    } else {
        (region.ip_address.map(|ip| ip.to_string()).unwrap_or_default(), format!("IpAddress {of}"))
    };
    let path = region.ws_url_path.as_deref().unwrap_or(&settings.master_ws_path);
    let address = ServerAddress { transport, host, port, path: url_path(transport, path) };
    HandedOut { role: Role::Master, address, host_setting, port_setting, is_ours: false }
}

fn game(settings: &GameServerSettings, transport: Transport) -> Option<HandedOut> {
    let (port, name) = match transport {
        Transport::Udp => (settings.gaming_udp_port, "GamingUdpPort"),
        Transport::Tcp => (settings.gaming_tcp_port, "GamingTcpPort"),
        Transport::Ws => (settings.gaming_web_socket_port, "GamingWebSocketPort"),
        Transport::Wss => (settings.gaming_secure_web_socket_port, "GamingSecureWebSocketPort"),
    };
    let (host, setting) = if transport.is_websocket() {
        (&settings.public_host_name, "PublicHostName")
    } else {
        (&settings.public_ip_address, "PublicIPAddress")
    };
    let path = url_path(transport, &settings.gaming_ws_path);
    let address = ServerAddress { transport, host: host.clone(), port, path };
    let of = |name: &str| format!("{name} of GameServer.xml.config");
    let told =
        HandedOut { role: Role::Game, address, host_setting: of(setting), port_setting: of(name), is_ours: true };
    (port != 0).then_some(told)
}

fn url_path(transport: Transport, path: &str) -> String {
    let path = path.trim_matches('/');
    if path.is_empty() || !transport.is_websocket() { String::new() } else { format!("/{path}") }
}

/// A host name that is an address, brackets allowed.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Host names that clients look up, without doubles, each with the setting that says it.
pub(crate) fn host_names(addresses: &[HandedOut]) -> Vec<(&str, &str)> {
    let mut names: Vec<(&str, &str)> = Vec::new();
    for told in addresses {
        let host = told.address.host.as_str();
        let is_name = !host.is_empty() && literal(host).is_none() && !host.eq_ignore_ascii_case("internal");
        if is_name && !names.iter().any(|(known, _)| known.eq_ignore_ascii_case(host)) {
            names.push((host, &told.host_setting));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    fn addresses(fixture: &Fixture) -> Vec<String> {
        let loaded = fixture.load();
        handed_out(loaded.config.as_ref().unwrap()).iter().map(|told| told.address.to_string()).collect()
    }

    #[test]
    fn clients_get_an_address_for_each_transport_that_they_can_have_come_by() {
        let expected = [
            "udp://203.0.113.9:5055",
            "tcp://203.0.113.9:4530",
            "ws://photon.test:9090/Master",
            "wss://photon.test:19090/Master",
            "udp://203.0.113.9:5056",
            "tcp://203.0.113.9:4531",
            "ws://photon.test:9091",
            "wss://photon.test:19091",
        ];
        assert_eq!(addresses(&Fixture::sound()), expected);
    }

    #[test]
    fn a_port_of_zero_is_told_to_nobody() {
        let fixture = Fixture::sound().game("<GamingUdpPort>0</GamingUdpPort>");
        assert!(!addresses(&fixture).contains(&"udp://203.0.113.9:5056".to_owned()));
    }
}
