//! D19: the link between game servers and their Master.

use lampyris_config::{Config, ListenAddress, Listener, ListenerKind};

use crate::{Context, Finding};

pub(super) fn d19_servers(context: &Context<'_>) -> Vec<Finding> {
    let Some(config) = context.config() else { return Vec::new() };
    let mut findings = Vec::new();
    if let Some(link) = &context.probed.master_link
        && let Err(error) = &link.result
    {
        let what = format!("the game server cannot reach its Master at {}: {error}", link.address);
        let remedy = "correct MasterIPAddress and OutgoingMasterServerPeerPort of GameServer.xml.config, and open that port \
                      to this machine on the Master's";
        findings.push(Finding::error(what).because("the Master sends no clients here").mend(remedy));
    }
    for listener in config.instance.listeners.iter().filter(|listener| is_for_servers(config, listener)) {
        let port = listener.port.0;
        let is_public = match listener.common.ip_address {
            ListenAddress::Every => true,
            ListenAddress::Ip(ip) => !is_private(ip),
        };
        let state = if listener.tls.is_some() { "with TLS" } else { "without TLS" };
        findings.push(Finding::note(format!("servers connect on port {port}, {state} ({})", listener.place)));
        if is_public && listener.tls.is_none() {
            let what =
                format!("port {port} for game servers has no TLS and listens on every address ({})", listener.place);
            let why = "whoever reaches the port can try to pass for a game server";
            let remedy = format!(
                "set IPAddress to 127.0.0.1 or to the address of your private network at that listener, or make certificates \
                 with `lampyris cert cluster` and set Secure=\"true\"; keep tcp {port} closed to the internet"
            );
            findings.push(Finding::warning(what).because(why).mend(remedy));
        }
    }
    findings
}

fn is_for_servers(config: &Config, listener: &Listener) -> bool {
    let port = config.master.as_ref().map(|master| master.settings.incoming_game_server_peer_port);
    match listener.kind {
        ListenerKind::TcpS2S(_) | ListenerKind::WebSocketS2S(_) => true,
        ListenerKind::Tcp(_) => listener.common.override_application.is_none() && port == Some(listener.port),
        _ => false,
    }
}

/// Whether an address is reached from this machine or a private network only.
fn is_private(ip: std::net::IpAddr) -> bool {
    match ip {
        std::net::IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        std::net::IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::Fixture;

    #[test]
    fn d19_a_port_for_servers_on_a_private_address_is_sound() {
        let findings = Fixture::sound().run(d19_servers);
        assert!(findings.len() == 1 && findings[0].severity == Severity::Information, "{findings:?}");
        assert!(findings[0].what.contains("4520, without TLS"), "{findings:?}");
    }

    #[test]
    fn d19_a_public_port_without_tls_is_a_warning_and_with_tls_is_not() {
        let private = "IPAddress=\"127.0.0.1\" Port=\"4520\"";
        let open = Fixture::sound().listeners(private, "IPAddress=\"0.0.0.0\" Port=\"4520\"");
        let findings = open.run(d19_servers);
        assert!(findings.len() == 2 && findings[1].severity == Severity::Warning, "{findings:?}");
        assert!(findings[1].remedy.contains("lampyris cert cluster"), "{findings:?}");
        let secure = Fixture::sound().listeners(private, "IPAddress=\"0.0.0.0\" Secure=\"true\" Port=\"4520\"");
        assert_eq!(secure.run(d19_servers).len(), 1);
    }

    #[test]
    fn d19_a_master_that_cannot_be_reached_is_an_error() {
        let findings = Fixture::sound().master_link_fails("10.0.0.1:4520", "connection refused").run(d19_servers);
        assert!(findings[0].severity == Severity::Error && findings[0].what.contains("10.0.0.1:4520"), "{findings:?}");
    }
}
