//! D2: TLS on secure ports, none on the others, and clients that mix them up.

use lampyris_client::Transport;

use crate::probe::Stage;
use crate::{Context, Finding};

/// Counters of the server, what each is about, and what the operator should tell the client.
const MIXED_UP: [(&str, &str, &str); 2] = [
    ("plain_http", "spoke plain http or ws on a secure port", "write wss:// instead of ws:// in the client"),
    ("tls_on_plain_port", "spoke TLS on a port without it", "write ws:// instead of wss://, or use the secure port"),
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
    for (counter, what, remedy) in MIXED_UP {
        let count = status.counter(counter);
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
        let findings = Fixture::sound().counted("plain_http", 3).run(d2_schemes);
        assert!(findings[0].what.starts_with("3 clients spoke plain http or ws on a secure port"), "{findings:?}");
        assert!(findings[0].remedy.contains("wss://"));
    }
}
