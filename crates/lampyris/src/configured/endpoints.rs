//! Where clients are told to go.

use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs as _};

use lampyris_config::{Config, GameServerSettings, NameServerSettings, Port, Region as Written};
use lampyris_server::engine::{Addresses, Endpoint, Host, HostName, Ports, Region};
use lampyris_server::{interface_addresses, outgoing_ipv4};

/// The endpoints of the Masters and of this process's game server.
pub(super) fn read(config: &Config, errors: &mut Vec<String>) -> Addresses {
    let regions = config.name_server.as_ref().map_or_else(Vec::new, |name_server| {
        let settings = &name_server.settings;
        if name_server.regions.is_empty() {
            return vec![own_master(settings)];
        }
        name_server.regions.iter().map(|written| region(written, settings)).collect()
    });
    let game = config.game_server.as_ref().map_or_else(Endpoint::default, |game| {
        game_endpoint(&game.settings).unwrap_or_else(|error| {
            errors.push(error);
            Endpoint::default()
        })
    });
    Addresses { regions, game }
}

/// This server's own Master, where the client reached the NameServer.
fn own_master(settings: &NameServerSettings) -> Region {
    let host = Host::AsReached { public_ip: None, public_host: HostName::Auto };
    let ports = Ports {
        udp: Some(settings.master_port_udp.0),
        tcp: Some(settings.master_port_tcp.0),
        ws: Some(settings.master_port_web_socket.0),
        wss: Some(settings.master_port_secure_web_socket.0),
    };
    Region { code: None, master: Endpoint { host, ports, path: path(&settings.master_ws_path) } }
}

fn region(written: &Written, settings: &NameServerSettings) -> Region {
    let port = |own: u16, common: Port| Some(if own == 0 { common.0 } else { own });
    let host = Host::Fixed {
        ipv4: written.ip_address,
        ipv6: written.ip_address_ipv6,
        name: written.hostname.clone().filter(|name| !name.is_empty()),
    };
    let ports = Ports {
        udp: port(written.port_udp, settings.master_port_udp),
        tcp: port(written.port_tcp, settings.master_port_tcp),
        ws: port(written.port_web_socket, settings.master_port_web_socket),
        wss: port(written.port_secure_web_socket, settings.master_port_secure_web_socket),
    };
    let written_path = written.ws_url_path.as_deref().unwrap_or(&settings.master_ws_path);
    Region { code: Some(written.region.clone()), master: Endpoint { host, ports, path: path(written_path) } }
}

fn game_endpoint(settings: &GameServerSettings) -> Result<Endpoint, String> {
    let host = Host::Fixed {
        ipv4: Some(public_ipv4(&settings.public_ip_address)?),
        ipv6: settings.public_ip_address_ipv6,
        name: Some(settings.public_host_name.clone()).filter(|name| !name.is_empty()),
    };
    let supported = supported(&settings.supported_protocols);
    let port = |port: u16, name: &str| Some(port).filter(|port| *port != 0 && supported(name));
    let ports = Ports {
        udp: port(settings.gaming_udp_port, "udp"),
        tcp: port(settings.gaming_tcp_port, "tcp"),
        ws: port(settings.gaming_web_socket_port, "ws"),
        wss: port(settings.gaming_secure_web_socket_port, "wss"),
    };
    Ok(Endpoint { host, ports, path: path(&settings.gaming_ws_path) })
}

/// Which transports a list with commas names; an empty one names all.
fn supported(list: &str) -> impl Fn(&str) -> bool {
    let names: Vec<_> = list.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
    let all = list.trim().is_empty();
    let known = |name: &str| match name {
        "websocket" => "ws".to_owned(),
        "securewebsocket" | "websocketsecure" => "wss".to_owned(),
        other => other.to_owned(),
    };
    let names: Vec<_> = names.iter().map(|name| known(name)).collect();
    for unknown in names.iter().filter(|name| !all && !["udp", "tcp", "ws", "wss", "webrtc"].contains(&name.as_str())) {
        tracing::warn!("SupportedProtocols: expected Udp, Tcp, WebSocket, SecureWebSocket or WebRTC, got {unknown:?}");
    }
    move |name| all || names.iter().any(|known| known == name)
}

/// The address that is written: itself, one of this machine, or the first one of a name.
fn public_ipv4(written: &str) -> Result<Ipv4Addr, String> {
    let setting = "GameServer PublicIPAddress";
    if let Ok(ip) = written.parse() {
        return Ok(ip);
    }
    let of_machine = || {
        interface_addresses().into_iter().filter_map(|ip| match ip {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        })
    };
    match written {
        "" => {
            let found = outgoing_ipv4().or_else(|| of_machine().next());
            let ip = found.unwrap_or(Ipv4Addr::LOCALHOST);
            tracing::info!("{setting} is empty: clients are told {ip}, the address that this machine uses towards others");
            Ok(ip)
        }
        internal if internal.eq_ignore_ascii_case("internal") => of_machine().find(Ipv4Addr::is_private).ok_or_else(|| {
            format!("{setting} is {written:?}, and this machine has no private IPv4 address; write the one to tell clients")
        }),
        name => {
            let resolved = (name, 0).to_socket_addrs().map_err(|error| {
                format!("{setting}: cannot find the address of {name:?}: {error}; write an IPv4 address or correct the name")
            })?;
            let first = resolved.filter_map(|address| match address.ip() {
                IpAddr::V4(ip) => Some(ip),
                IpAddr::V6(_) => None,
            });
            let first = first.into_iter().next();
            first.ok_or_else(|| format!("{setting}: {name:?} has no IPv4 address; write one"))
        }
    }
}

/// Without slashes at its ends, so that it can be put behind a port.
fn path(written: &str) -> String {
    written.trim().trim_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_are_named_in_the_ways_operators_write_them() {
        assert!(["udp", "tcp", "ws", "wss"].into_iter().all(supported("")));
        let some = supported("Udp, SecureWebSocket");
        assert_eq!(["udp", "tcp", "ws", "wss"].map(some), [true, false, false, true]);
    }

    #[test]
    fn the_public_address_is_itself_or_found() {
        assert_eq!(public_ipv4("203.0.113.7"), Ok(Ipv4Addr::new(203, 0, 113, 7)));
        assert_eq!(public_ipv4("localhost"), Ok(Ipv4Addr::LOCALHOST));
        assert!(public_ipv4("").is_ok());
        let error = public_ipv4("no such host").unwrap_err();
        assert!(error.contains("PublicIPAddress") && error.contains("no such host"), "{error}");
    }

    #[test]
    fn paths_are_written_with_and_without_slashes() {
        assert_eq!(["", "/", "Master", "/game/1/"].map(path), ["", "", "Master", "game/1"].map(str::to_owned));
    }
}
