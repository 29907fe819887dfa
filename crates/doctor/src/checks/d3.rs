//! D3: each address that clients are told has a listener.

use lampyris_client::Transport;
use lampyris_config::{Config, ListenerKind, Value as _};

use crate::handed_out::{HandedOut, handed_out};
use crate::serving::{Endpoint, endpoints, leads_to};
use crate::{Context, Finding};

pub(super) fn d3_ports(context: &Context<'_>) -> Vec<Finding> {
    let Some(config) = context.config() else { return Vec::new() };
    let endpoints = endpoints(config);
    handed_out(config).iter().map(|told| judge(config, &endpoints, told)).collect()
}

fn judge(config: &Config, endpoints: &[Endpoint<'_>], told: &HandedOut) -> Finding {
    let (role, address) = (told.role.name(), &told.address);
    if !told.is_ours {
        return Finding::note(format!("{address} -> the {role} of another machine"));
    }
    let fits = |endpoint: &&Endpoint<'_>| {
        let is_there = endpoint.role == told.role && endpoint.transport == address.transport;
        is_there
            && endpoint.port() == address.port
            && (!address.transport.is_websocket() || leads_to(config, endpoint.listener, &address.path, told.role))
    };
    if let Some(endpoint) = endpoints.iter().find(fits) {
        return Finding::note(format!("{address} -> {}", endpoint.listener.place));
    }
    if address.transport == Transport::Wss && is_behind_proxy(config) {
        return Finding::note(format!("{address} -> a proxy that ends TLS in front of this server"));
    }
    let what = format!("{}={}, but {}", told.port_setting, address.port, what_is_there(config, endpoints, told));
    let why = format!("clients are sent to {address} and find nobody");
    let secure = if address.transport == Transport::Wss { " Secure=\"true\"" } else { "" };
    let element = match address.transport {
        Transport::Udp => "UDPListener",
        Transport::Tcp => "TCPListener",
        Transport::Ws | Transport::Wss => "HTTPListener",
    };
    let add =
        format!("add <{element} Port=\"{}\"{secure} ...> for {role}, or correct {}", address.port, told.port_setting);
    let remedy = match endpoints.iter().find(|one| one.role == told.role && one.transport == address.transport) {
        Some(other) => format!("{add} (the {role} listens for {} on {})", address.transport.scheme(), other.port()),
        None => add,
    };
    Finding::error(what).because(why).mend(remedy)
}

fn what_is_there(config: &Config, endpoints: &[Endpoint<'_>], told: &HandedOut) -> String {
    let (role, address) = (told.role.name(), &told.address);
    let scheme = address.transport.scheme();
    let is_udp = |kind: &ListenerKind| matches!(kind, ListenerKind::Udp);
    let wants_udp = address.transport == Transport::Udp;
    let on_port = |port: u16, udp: bool| port == address.port && udp == wants_udp;
    let mut there = config.instance.listeners.iter();
    let Some(listener) = there.find(|listener| on_port(listener.port.0, is_udp(&listener.kind))) else {
        return format!("no listener has port {}", address.port);
    };
    let place = &listener.place;
    let at_port = endpoints.iter().filter(|endpoint| std::ptr::eq(endpoint.listener, listener));
    let same: Vec<_> = at_port.clone().filter(|endpoint| endpoint.transport == address.transport).collect();
    if same.is_empty() {
        let speaks = at_port.map(|endpoint| endpoint.transport.scheme()).next().unwrap_or("nothing that clients speak");
        return format!(
            "the listener of {place} ({}) speaks {speaks}, not {scheme}",
            listener.common.ip_address.show()
        );
    }
    if same.iter().any(|endpoint| endpoint.role == told.role) {
        return format!("no route of the listener of {place} leads {:?} to the {role}", address.path);
    }
    let others = same.iter().map(|endpoint| endpoint.role.name()).collect::<Vec<_>>().join(", ");
    format!("the listener of {place} leads to {others}, not to the {role}")
}

fn is_behind_proxy(config: &Config) -> bool {
    let instance = &config.instance;
    !instance.secure_ports.is_empty() || instance.listeners.iter().any(|listener| !listener.secure_ports.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::Fixture;

    fn errors(fixture: &Fixture) -> Vec<String> {
        let findings = fixture.run(d3_ports).into_iter();
        findings.filter(|finding| finding.severity == Severity::Error).map(|finding| finding.what).collect()
    }

    #[test]
    fn d3_every_address_is_listed_with_its_listener() {
        let findings = Fixture::sound().run(d3_ports);
        assert_eq!(findings.len(), 8);
        assert!(findings.iter().all(|finding| finding.severity == Severity::Information), "{findings:?}");
        assert!(findings[3].what.starts_with("wss://photon.test:19090/Master -> "), "{findings:?}");
        assert!(findings[3].what.contains("PhotonServer.config:"), "{findings:?}");
    }

    #[test]
    fn d3_a_port_without_a_listener_is_an_error_that_names_the_setting() {
        let fixture =
            Fixture::sound().name_server("<MasterServerPortSecureWebSocket>19999</MasterServerPortSecureWebSocket>");
        let expected = "MasterServerPortSecureWebSocket of Nameserver.xml.config=19999, but no listener has port 19999";
        assert_eq!(errors(&fixture), [expected]);
        let finding = fixture.run(d3_ports).into_iter().find(|finding| finding.severity == Severity::Error).unwrap();
        assert!(finding.remedy.contains("listens for wss on 19090"), "{finding:?}");
    }

    #[test]
    fn d3_a_listener_of_another_role_scheme_or_path_is_an_error() {
        for (setting, part) in [
            ("<GamingSecureWebSocketPort>19090</GamingSecureWebSocketPort>", "leads to Master, not to the Game"),
            ("<GamingSecureWebSocketPort>9091</GamingSecureWebSocketPort>", "speaks ws, not wss"),
        ] {
            let errors = errors(&Fixture::sound().game(setting));
            assert!(errors.len() == 1 && errors[0].contains(part), "{errors:?}");
        }
        let narrow = Fixture::sound().listeners(
            "19091\" Secure=\"true\"><Routing><Route Url=\"/*\"",
            "19091\" Secure=\"true\"><Routing><Route Url=\"/game/+\"",
        );
        let errors = errors(&narrow);
        assert!(errors.len() == 1 && errors[0].contains("leads \"\" to the Game"), "{errors:?}");
    }

    #[test]
    fn d3_a_proxy_that_ends_tls_serves_what_no_listener_does() {
        let fixture = Fixture::sound()
            .game("<GamingSecureWebSocketPort>443</GamingSecureWebSocketPort>")
            .listeners("<UDPListeners>", "<SecurePorts><SecurePort Port=\"9091\"/></SecurePorts><UDPListeners>");
        assert_eq!(errors(&fixture), [""; 0]);
    }
}
