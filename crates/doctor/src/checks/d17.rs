//! D17: what to type into clients.

use lampyris_client::Transport;
use lampyris_config::Role;

use crate::handed_out::{handed_out, host_names, literal};
use crate::serving::{endpoints, first};
use crate::{Context, Finding, Vantage};

/// Where clients look for a secure NameServer when their port field is 0: the older C# library, and the newer one.
const PORTS_OF_ZERO: [u16; 2] = [19093, 443];

pub(super) fn d17_client_settings(context: &Context<'_>) -> Vec<Finding> {
    let Some(config) = context.config() else { return Vec::new() };
    let endpoints = endpoints(config);
    let told = handed_out(config);
    let own = |transport: Transport| {
        let fits =
            |one: &&crate::handed_out::HandedOut| one.address.transport == transport && !one.address.host.is_empty();
        told.iter().find(fits).map(|one| one.address.host.clone())
    };
    let name = match context.vantage {
        Vantage::Remote(host) => Some(host.clone()),
        Vantage::Local => host_names(&told).first().map(|(name, _)| (*name).to_owned()).or_else(|| own(Transport::Ws)),
    };
    let name = name.unwrap_or_else(|| "HOST".to_owned());
    let address = own(Transport::Udp).filter(|host| literal(host).is_some()).unwrap_or_else(|| name.clone());
    let mut lines = vec!["PhotonServerSettings (PUN 2, Realtime): Use Name Server on, Fixed Region empty".to_owned()];
    let rows = [
        (Transport::Udp, "Udp", &address),
        (Transport::Tcp, "Tcp", &address),
        (Transport::Ws, "WebSocket", &name),
        (Transport::Wss, "WebSocketSecure", &name),
    ];
    for (transport, protocol, host) in rows {
        if let Some(endpoint) = first(&endpoints, Role::NameServer, transport) {
            lines.push(format!("  Server {host}, Port {}, Protocol {protocol}", endpoint.port()));
        }
    }
    if lines.len() == 1 {
        return vec![Finding::note("this instance has no NameServer; clients are given the address of another one")];
    }
    let secure_on = |port: &u16| {
        endpoints
            .iter()
            .any(|one| one.role == Role::NameServer && one.transport == Transport::Wss && one.port() == *port)
    };
    if PORTS_OF_ZERO.iter().all(secure_on) {
        lines.push("  Port 0 works too with WebSocketSecure, in old and new versions".to_owned());
    }
    lines.push("JavaScript SDK:".to_owned());
    for (transport, constant) in [(Transport::Ws, "Ws"), (Transport::Wss, "Wss")] {
        if let Some(endpoint) = first(&endpoints, Role::NameServer, transport) {
            let (scheme, port, path) = (transport.scheme(), endpoint.port(), endpoint.path());
            let path = path.trim_end_matches('/');
            lines.push(format!(
                "  new Photon.LoadBalancing.LoadBalancingClient(Photon.ConnectionProtocol.{constant}, \"app\", \"1.0\")\
                 .setNameServerAddress(\"{scheme}://{name}:{port}{path}\")"
            ));
        }
    }
    vec![Finding::note(lines.join("\n"))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::Fixture;

    fn text(fixture: &Fixture) -> String {
        let findings = fixture.run(d17_client_settings);
        assert!(findings.len() == 1 && findings[0].severity == Severity::Information, "{findings:?}");
        findings[0].what.clone()
    }

    #[test]
    fn d17_the_settings_can_be_copied() {
        let text = text(&Fixture::sound());
        for part in [
            "Server photon.test, Port 19093, Protocol WebSocketSecure",
            "Server 203.0.113.9, Port 5058, Protocol Udp",
            "ConnectionProtocol.Wss",
            "wss://photon.test:19093",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("Port 0"), "19093 alone is not where newer clients look");
    }

    #[test]
    fn d17_port_0_is_told_only_when_old_and_new_clients_find_the_server() {
        let second = "<HTTPListener Port=\"443\" Secure=\"true\"><Routing><Route Url=\"/*\" OverrideApplication=\"NameServer\" \
                      PeerType=\"WebSocket\"/></Routing></HTTPListener></HTTPListeners>";
        assert!(text(&Fixture::sound().listeners("</HTTPListeners>", second)).contains("Port 0 works"));
    }
}
