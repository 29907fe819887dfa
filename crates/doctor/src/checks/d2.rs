//! D2: TLS on secure ports, none on the others, and clients that mix them up.

use lampyris_client::Transport;
use lampyris_server::HandshakeFailure;

use crate::probe::Stage;
use crate::{Context, Finding};

/// What clients mixed up, and what the operator should tell them.
const MIXED_UP: [(HandshakeFailure, &str, &str); 3] = [
    (
        HandshakeFailure::PlainHttp,
        "spoke plain http or ws on a secure port",
        "write wss:// instead of ws:// in the client",
    ),
    (
        HandshakeFailure::NotTls,
        "spoke something else than TLS on a secure port",
        "write wss:// in the client, or use the port without TLS",
    ),
    (
        HandshakeFailure::TlsOnPlainPort,
        "spoke TLS on a port without it",
        "write ws:// instead of wss://, or use the secure port",
    ),
];

pub(super) fn d2_schemes(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for probe in &context.probed.ports {
        let Err(failure) = &probe.result else { continue };
        let (role, port, transport) = (probe.target.role.name(), probe.target.port, probe.target.transport.scheme());
        let what = format!("{role} port {port} does not answer as {transport}: {}", failure.text);
        match (failure.stage, probe.target.transport) {
            (Stage::Tls, _) => {
                let remedy = "compare Secure and the TLS attributes of this listener with the client's scheme; \
                              `openssl s_client -connect HOST:PORT` shows the handshake";
                findings.push(Finding::error(what).mend(remedy));
            }
            (Stage::Upgrade, Transport::Ws | Transport::Wss) => {
                let remedy = "another program may have this port: `ss -ltnp` names it; otherwise compare the Url of the \
                              listener's routes with the path";
                findings.push(Finding::error(what).mend(remedy));
            }
            _ => {}
        }
    }
    let Some(status) = context.status else { return findings };
    for (reason, what, remedy) in MIXED_UP {
        let count = status.handshake_failures(reason);
        if count > 0 {
            let hours = status.uptime_seconds.div_ceil(3600);
            let what = format!("{count} clients {what} in the last {hours} h, since the server started");
            findings.push(Finding::warning(what).mend(remedy));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn d2_ports_that_speak_what_they_should_are_sound() {
        assert_eq!(Fixture::sound().run(d2_schemes), []);
    }

    #[test]
    fn d2_a_secure_port_without_tls_is_an_error() {
        let findings = Fixture::sound().port_fails(19093, Stage::Tls, "the port does not speak TLS").run(d2_schemes);
        assert_eq!(findings[0].what, "NameServer port 19093 does not answer as wss: the port does not speak TLS");
    }

    #[test]
    fn d2_clients_that_take_the_wrong_scheme_are_counted() {
        let findings = Fixture::sound().failed_with(HandshakeFailure::PlainHttp, 3).run(d2_schemes);
        assert!(findings[0].what.starts_with("3 clients spoke plain http or ws on a secure port"), "{findings:?}");
        assert!(findings[0].remedy.contains("wss://"));
    }
}
