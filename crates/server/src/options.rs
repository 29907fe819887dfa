//! What an operator chooses.

use std::net::IpAddr;
use std::path::PathBuf;

use lampyris_engine::{HostName, Limits, ListenerConfig, Role, Transport};

use crate::StartError;

/// What an operator chooses.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where certificates and secrets are kept between starts.
    pub state_dir: PathBuf,
    /// Addresses to listen on; none = all of the machine's.
    pub bind: Vec<IpAddr>,
    /// The listeners; port 0 = a free one, see [`crate::Server::addresses`].
    pub listeners: Vec<ListenerConfig>,
    /// Address told to UDP and TCP clients; `None` = the one they reached us by.
    pub public_ip: Option<IpAddr>,
    /// Host name told to WebSocket clients.
    pub public_host: HostName,
    /// Number of worker threads.
    pub workers: u16,
    /// Limits of each worker.
    pub limits: Limits,
}

/// Ports by role and transport as the reference product has them; the first of a pair is told to clients.
const DEFAULT_PORTS: [(Role, Transport, u16); 15] = [
    (Role::NameServer, Transport::Udp, 5058),
    (Role::NameServer, Transport::Udp, 27000),
    (Role::NameServer, Transport::Tcp, 4533),
    (Role::NameServer, Transport::Ws, 9093),
    (Role::NameServer, Transport::Wss, 19093),
    (Role::Master, Transport::Udp, 5055),
    (Role::Master, Transport::Udp, 27001),
    (Role::Master, Transport::Tcp, 4530),
    (Role::Master, Transport::Ws, 9090),
    (Role::Master, Transport::Wss, 19090),
    (Role::Game, Transport::Udp, 5056),
    (Role::Game, Transport::Udp, 27002),
    (Role::Game, Transport::Tcp, 4531),
    (Role::Game, Transport::Ws, 9091),
    (Role::Game, Transport::Wss, 19091),
];

/// Where newer C# clients look for a WebSocket NameServer when their port field is 0.
const WEB_PORTS: [(Role, Transport, u16); 2] =
    [(Role::NameServer, Transport::Ws, 80), (Role::NameServer, Transport::Wss, 443)];

/// The default listeners, each port moved up by `offset`; with `web_ports` the NameServer also listens on 80 and 443,
/// which no offset moves, because clients look for exactly these.
///
/// # Errors
/// If a port would be over 65535.
pub fn default_listeners(offset: u16, web_ports: bool) -> Result<Vec<ListenerConfig>, StartError> {
    let mut listeners = DEFAULT_PORTS
        .into_iter()
        .map(|(role, transport, base)| {
            let port = base.checked_add(offset).ok_or(StartError::PortRange { role, transport, base, offset })?;
            Ok(ListenerConfig { role, transport, port })
        })
        .collect::<Result<Vec<_>, StartError>>()?;
    if web_ports {
        listeners.extend(WEB_PORTS.map(|(role, transport, port)| ListenerConfig { role, transport, port }));
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed_out(listeners: &[ListenerConfig], role: Role, transport: Transport) -> u16 {
        listeners.iter().find(|listener| listener.role == role && listener.transport == transport).unwrap().port
    }

    #[test]
    fn the_first_port_of_a_role_and_transport_is_the_one_clients_know() {
        let listeners = default_listeners(0, true).unwrap();
        assert_eq!(listeners.len(), 17);
        assert_eq!(handed_out(&listeners, Role::NameServer, Transport::Udp), 5058);
        assert_eq!(handed_out(&listeners, Role::NameServer, Transport::Ws), 9093);
        assert_eq!(handed_out(&listeners, Role::Game, Transport::Wss), 19091);
    }

    #[test]
    fn the_offset_moves_every_default_port_and_stops_at_the_last_one() {
        let listeners = default_listeners(100, false).unwrap();
        assert_eq!(handed_out(&listeners, Role::Master, Transport::Tcp), 4630);
        assert!(default_listeners(65535 - 27002, false).is_ok());
        let error = default_listeners(65535 - 27001, false).unwrap_err();
        assert!(error.to_string().contains("27002"), "{error}");
    }
}
