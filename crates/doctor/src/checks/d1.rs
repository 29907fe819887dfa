//! D1: WebSocket clients need a host name.

use lampyris_client::Transport;

use crate::handed_out::{handed_out, literal};
use crate::{Context, Finding};

pub(super) fn d1_names(context: &Context<'_>) -> Vec<Finding> {
    let Some(config) = context.config() else { return Vec::new() };
    let mut findings = Vec::new();
    let mut told: Vec<(String, String)> = Vec::new();
    for one in handed_out(config).into_iter().filter(|one| one.address.transport == Transport::Wss) {
        let key = (one.host_setting.clone(), one.address.host.clone());
        if told.contains(&key) {
            continue;
        }
        told.push(key);
        let (host, setting, role) = (&one.address.host, &one.host_setting, one.role.name());
        let remedy = format!("set {setting} to a DNS name that the certificate covers, then run `lampyris reload`");
        if host.is_empty() {
            let what = format!("wss clients are told no address of the {role}: {setting} is empty");
            findings.push(Finding::error(what).because("without a name there is no wss address").mend(remedy));
        } else if literal(host).is_some() {
            let what = format!("wss clients are told {}, and {host} is an address", one.address);
            let why = "Unity cannot verify certificates for addresses, whatever the certificate says";
            findings.push(Finding::warning(what).because(why).mend(remedy));
        } else if host.eq_ignore_ascii_case("localhost") {
            let what = format!("wss clients are told {}", one.address);
            let why = "localhost leads each client to its own machine";
            findings.push(Finding::warning(what).because(why).mend(remedy));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::Fixture;

    #[test]
    fn d1_a_dns_name_is_sound() {
        assert_eq!(Fixture::sound().run(d1_names), []);
    }

    #[test]
    fn d1_an_address_localhost_and_nothing_are_told_with_the_setting_that_has_them() {
        for (host, severity, part) in [
            ("203.0.113.9", Severity::Warning, "is an address"),
            ("localhost", Severity::Warning, "wss://localhost:19091"),
            ("", Severity::Error, "is empty"),
        ] {
            let findings = Fixture::sound().game(&format!("<PublicHostName>{host}</PublicHostName>")).run(d1_names);
            let [finding] = findings.as_slice() else { panic!("{host}: {findings:?}") };
            assert_eq!(finding.severity, severity);
            assert!(finding.what.contains(part), "{finding:?}");
            assert!(finding.remedy.contains("PublicHostName of GameServer.xml.config"), "{finding:?}");
        }
        let findings = Fixture::sound().region("\"Hostname\": \"203.0.113.9\"").run(d1_names);
        assert!(findings[0].remedy.contains("Hostname of region"), "{findings:?}");
    }
}
