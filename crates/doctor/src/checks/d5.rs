//! D5: the firewall.

use lampyris_client::Transport;

use crate::firewall::{self, Firewall, Protocol};
use crate::serving::endpoints;
use crate::{Context, Finding, Vantage};

pub(super) fn d5_firewall(context: &Context<'_>) -> Vec<Finding> {
    match context.vantage {
        Vantage::Local => local(context),
        Vantage::Remote(host) => remote(context, host),
    }
}

fn local(context: &Context<'_>) -> Vec<Finding> {
    let Some(config) = context.config() else { return Vec::new() };
    let mut needed: Vec<(Protocol, u16)> = Vec::new();
    for endpoint in endpoints(config).iter().filter(|endpoint| endpoint.is_public()) {
        let protocol = if endpoint.transport == Transport::Udp { Protocol::Udp } else { Protocol::Tcp };
        if !needed.contains(&(protocol, endpoint.port())) {
            needed.push((protocol, endpoint.port()));
        }
    }
    let list = |wanted: Protocol| {
        let ports = needed.iter().filter(|(protocol, _)| *protocol == wanted).map(|(_, port)| port.to_string());
        format!("{} {}", wanted.name(), ports.collect::<Vec<_>>().join(", "))
    };
    let required = format!("clients need {} and {}", list(Protocol::Tcp), list(Protocol::Udp));
    let closed = match firewall::read(context.machine) {
        Firewall::Open => return vec![Finding::note(format!("{required}; this machine keeps nothing out"))],
        Firewall::Unknown => {
            let remedy = "run doctor as root to have the rules read; firewalls of the provider are seen only by \
                          `lampyris doctor --config FILE --remote HOST` from another machine";
            return vec![Finding::note(format!("{required}; the rules of this machine cannot be read")).mend(remedy)];
        }
        Firewall::Closed(closed) => closed,
    };
    let mut findings =
        vec![Finding::note(format!("{required}; {} keeps out what it has no rule for", closed.tool.name()))];
    for (protocol, port) in needed.into_iter().filter(|(protocol, port)| !closed.lets_in(*protocol, *port)) {
        let what = format!("{} has no rule that lets {} {port} in", closed.tool.name(), protocol.name());
        findings.push(
            Finding::error(what).because("clients from outside get no answer").mend(closed.tool.open(protocol, port)),
        );
    }
    findings
}

fn remote(context: &Context<'_>, host: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for probe in &context.probed.ports {
        let (role, port, scheme) = (probe.target.role.name(), probe.target.port, probe.target.transport.scheme());
        match &probe.result {
            Ok(took) => findings
                .push(Finding::note(format!("{scheme} {host}:{port} ({role}) answers in {} ms", took.as_millis()))),
            Err(failure) => {
                let what = format!("{scheme} {host}:{port} ({role}) cannot be reached from here: {}", failure.text);
                let protocol = if probe.target.transport == Transport::Udp { "udp" } else { "tcp" };
                let remedy = format!(
                    "let {protocol} {port} in at the firewalls of {host} and of its provider, and forward it at its router"
                );
                findings.push(Finding::error(what).mend(remedy));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::Fixture;
    use crate::probe::Stage;

    const UFW: &str = "Status: active\n5055:5058/udp ALLOW Anywhere\n4530:4533/tcp ALLOW Anywhere\n9090:9093/tcp ALLOW \
                       Anywhere\n19090:19093/tcp ALLOW Anywhere\n27000:27002/udp ALLOW Anywhere\n";

    fn errors(fixture: &Fixture) -> Vec<Finding> {
        let findings = fixture.run(d5_firewall).into_iter();
        findings.filter(|finding| finding.severity == Severity::Error).collect()
    }

    #[test]
    fn d5_a_firewall_with_every_port_open_is_sound() {
        let fixture = Fixture::sound().prints("ufw status", UFW);
        assert_eq!(errors(&fixture), []);
        assert_eq!(errors(&Fixture::sound()), []);
    }

    #[test]
    fn d5_a_port_that_is_kept_out_comes_with_the_command_that_opens_it() {
        let fixture = Fixture::sound().prints("ufw status", &UFW.replace("19090:19093", "19090:19092"));
        let [error] = <[Finding; 1]>::try_from(errors(&fixture)).unwrap();
        assert_eq!(error.remedy, "ufw allow 19093/tcp");
    }

    #[test]
    fn d5_from_another_machine_every_port_is_tried() {
        let sound = Fixture::sound().seen_from_elsewhere("photon.test");
        assert_eq!(errors(&sound), []);
        let broken = sound.port_fails(5058, Stage::Answer, "no answer to 3 datagrams");
        let [error] = <[Finding; 1]>::try_from(errors(&broken)).unwrap();
        assert!(error.what.contains("udp photon.test:5058") && error.remedy.contains("udp 5058"), "{error:?}");
    }
}
