//! D4: names that clients look up lead here.

use std::net::IpAddr;
use std::path::Path;

use lampyris_config::Config;

use crate::handed_out::{HandedOut, handed_out, host_names, literal};
use crate::serving::endpoints;
use crate::{Context, Finding, Machine};

const HOSTS_FILE: &str = "/etc/hosts";

pub(super) fn d4_reachable(context: &Context<'_>) -> Vec<Finding> {
    let Some(config) = context.config() else { return Vec::new() };
    let told: Vec<_> = handed_out(config).into_iter().filter(|told| told.is_ours).collect();
    let mut findings = Vec::new();
    // D1 tells what is wrong with localhost.
    let is_elsewhere = |(host, _): &(&str, &str)| !host.eq_ignore_ascii_case("localhost");
    for (host, setting) in host_names(&told).into_iter().filter(is_elsewhere) {
        findings.extend(name(context.machine, config, &told, host, setting));
    }
    findings.extend(loopback(&told));
    let connected = context.probed.connect_back.iter();
    for (back, error) in connected.filter_map(|back| Some((back, back.result.as_ref().err()?))) {
        // A server that is not there at all is told once, elsewhere.
        if context.probed.is_running() {
            let what = format!("this machine cannot connect to {}, which clients are told: {error}", back.address);
            let why =
                "routers that cannot lead a connection back inside also cause this; clients outside may fare better";
            let remedy = "forward this port to this machine at the router, and try from outside with \
                          `lampyris doctor --config FILE --remote HOST`";
            findings.push(Finding::warning(what).because(why).mend(remedy));
        }
    }
    findings
}

fn name(machine: &dyn Machine, config: &Config, told: &[HandedOut], host: &str, setting: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let found = machine.resolve(host);
    let here = machine.addresses();
    let shown = |addresses: &[IpAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let public: Vec<_> = here.iter().copied().filter(|ip| !ip.is_loopback()).collect();
    if found.is_empty() {
        let what = format!("{host} ({setting}) leads nowhere: there is no such name");
        let remedy = format!("add an A record for {host} to the DNS, or correct {setting}");
        return vec![Finding::error(what).because("clients cannot find the server").mend(remedy)];
    }
    let is_told = |ip: &IpAddr| told.iter().any(|told| literal(&told.address.host) == Some(*ip));
    if !found.iter().any(|ip| here.contains(ip) || is_told(ip)) {
        let what = format!("{host} leads to {}, this machine is {}", shown(&found), shown(&public));
        let remedy = format!(
            "forward the ports of the server from {} to this machine, or correct the DNS record of {host}",
            shown(&found)
        );
        findings.push(
            Finding::warning(what).because("clients arrive at another machine, unless it forwards them").mend(remedy),
        );
    }
    let endpoints = endpoints(config);
    let has_ipv6 = endpoints.iter().any(|endpoint| endpoint.transport.is_websocket() && endpoint.has_ipv6());
    if found.iter().any(IpAddr::is_ipv6) && !has_ipv6 {
        let what = format!("{host} has an AAAA record, but no WebSocket listener has an IPv6 address");
        let remedy = format!("set IPAddress=\"*\" at the listeners, or remove the AAAA record of {host}");
        findings.push(Finding::warning(what).because("clients that prefer IPv6 wait in vain or fail").mend(remedy));
    }
    if in_hosts_file(machine, host) {
        let what = format!("{HOSTS_FILE} of this machine names {host}; other machines ask the DNS");
        let remedy = format!("run `dig {host}` and compare, or remove the line");
        findings.push(Finding::warning(what).because("what works here need not work elsewhere").mend(remedy));
    }
    findings
}

/// Addresses of this machine alone, which files have as long as nobody changed them.
fn loopback(told: &[HandedOut]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for told in told {
        if !literal(&told.address.host).is_some_and(|ip| ip.is_loopback()) {
            continue;
        }
        let what =
            format!("clients are told {} for the {}: {}", told.address.host, told.role.name(), told.host_setting);
        if findings.iter().all(|finding| finding.what != what) {
            let remedy =
                format!("set {} to the address that clients reach, then run `lampyris reload`", told.host_setting);
            let why = "it leads each client to its own machine; only clients on this one can play";
            findings.push(Finding::warning(what).because(why).mend(remedy));
        }
    }
    findings
}

fn in_hosts_file(machine: &dyn Machine, host: &str) -> bool {
    let text = machine.read(Path::new(HOSTS_FILE)).unwrap_or_default();
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines.flat_map(|line| line.split_whitespace().skip(1)).any(|name| name.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::Fixture;

    fn only(fixture: &Fixture) -> Finding {
        let findings = fixture.run(d4_reachable);
        assert_eq!(findings.len(), 1, "{findings:?}");
        findings.into_iter().next().unwrap()
    }

    #[test]
    fn d4_a_name_that_leads_to_this_machine_is_sound() {
        assert_eq!(Fixture::sound().run(d4_reachable), []);
    }

    #[test]
    fn d4_a_name_that_leads_nowhere_is_an_error() {
        let finding = only(&Fixture::sound().resolves("photon.test", &[]));
        assert_eq!(finding.severity, Severity::Error);
        assert!(finding.remedy.contains("A record for photon.test"), "{finding:?}");
    }

    #[test]
    fn d4_a_name_of_another_machine_asks_for_forwarding() {
        let finding = only(&Fixture::sound().resolves("photon.test", &["198.51.100.7"]));
        assert_eq!(finding.what, "photon.test leads to 198.51.100.7, this machine is 203.0.113.9");
    }

    #[test]
    fn d4_an_aaaa_record_needs_a_listener_on_ipv6() {
        let fixture = Fixture::sound().resolves("photon.test", &["203.0.113.9", "2001:db8::9"]);
        assert!(only(&fixture).what.contains("AAAA"));
        let dual = fixture.listeners("IPAddress=\"0.0.0.0\" Port=\"19093\"", "IPAddress=\"*\" Port=\"19093\"");
        assert_eq!(dual.run(d4_reachable), []);
    }

    #[test]
    fn d4_a_line_in_the_hosts_file_is_told() {
        let fixture = Fixture::sound().file(HOSTS_FILE, "127.0.0.1 localhost\n203.0.113.9 photon.test # mine\n");
        assert!(only(&fixture).what.contains("/etc/hosts"));
        assert_eq!(Fixture::sound().file(HOSTS_FILE, "#203.0.113.9 photon.test\n").run(d4_reachable), []);
    }

    #[test]
    fn d4_a_loopback_address_that_clients_are_told_is_a_warning() {
        let finding = only(&Fixture::sound().game("<PublicIPAddress>127.0.0.1</PublicIPAddress>"));
        assert!(finding.remedy.contains("PublicIPAddress of GameServer.xml.config"), "{finding:?}");
    }

    #[test]
    fn d4_an_address_that_cannot_be_reached_from_here_is_told() {
        let finding = only(&Fixture::sound().connect_back_fails("photon.test:19090", "connection refused"));
        assert!(finding.what.contains("photon.test:19090") && finding.remedy.contains("--remote"), "{finding:?}");
    }
}
