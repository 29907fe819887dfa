//! D13: what `check-config` finds, and what is not as in the shipped files.

use lampyris_client::Transport;
use lampyris_config::{
    ApplicationSettings, Authentication, CustomAuth, GameServerSettings, HttpQueue, HttpSettings, InstanceSettings,
    Key, ListenerSettings, MasterSettings, NameServerSettings, Origin, Role, RouteSettings, Severity as Grade,
    TcpSettings, TlsSettings, WebRpc,
};

use crate::serving::endpoints;
use crate::{Context, Finding, Severity};

/// Where clients look if nobody tells them otherwise.
const SHIPPED_PORTS: [(Role, Transport, u16); 12] = [
    (Role::NameServer, Transport::Udp, 5058),
    (Role::NameServer, Transport::Tcp, 4533),
    (Role::NameServer, Transport::Ws, 9093),
    (Role::NameServer, Transport::Wss, 19093),
    (Role::Master, Transport::Udp, 5055),
    (Role::Master, Transport::Tcp, 4530),
    (Role::Master, Transport::Ws, 9090),
    (Role::Master, Transport::Wss, 19090),
    (Role::Game, Transport::Udp, 5056),
    (Role::Game, Transport::Tcp, 4531),
    (Role::Game, Transport::Ws, 9091),
    (Role::Game, Transport::Wss, 19091),
];

pub(super) fn d13_configuration(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for told in &context.loaded.findings {
        let severity = match told.severity {
            Grade::Note => continue,
            Grade::Warning => Severity::Warning,
            Grade::Error => Severity::Error,
        };
        let remedy = format!("correct the line; `lampyris check-config --config {}` shows it", context.path.display());
        findings.push(Finding::new(severity, format!("{}: {}", told.place, told.text)).mend(remedy));
    }
    findings.extend(ports(context));
    findings.extend(changed(context));
    findings
}

/// Ports that are not those that clients know.
fn ports(context: &Context<'_>) -> Vec<Finding> {
    let Some(config) = context.config() else { return Vec::new() };
    let endpoints = endpoints(config);
    let mut findings = Vec::new();
    for (role, transport, port) in SHIPPED_PORTS {
        let of_kind = endpoints.iter().filter(|endpoint| endpoint.role == role && endpoint.transport == transport);
        let own: Vec<_> = of_kind.map(|endpoint| endpoint.port()).collect();
        if !own.is_empty() && !own.contains(&port) {
            let own = own.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            let what = format!("{} {} listens on {own}, not on {port}", role.name(), transport.scheme());
            findings.push(Finding::note(what));
        }
    }
    findings
}

/// Settings with another value than every default of that name.
fn changed(context: &Context<'_>) -> Vec<Finding> {
    let keys = keys();
    let mut findings = Vec::new();
    for effective in &context.loaded.effective {
        let Origin::File(place) = &effective.origin else { continue };
        let Some((_, name)) = effective.setting.rsplit_once(' ') else { continue };
        let mut known = keys.iter().filter(|key| key.name == name).peekable();
        let Some(default) = known.peek().map(|key| key.default.clone()) else { continue };
        let is_personal = ["Name", "Port", "IPAddress", "Url"].contains(&name);
        if !is_personal && known.all(|key| !key.secret && key.default != effective.value) {
            let what = format!("{} = {} ({place}; default {default})", effective.setting, effective.value);
            findings.push(Finding::note(what));
        }
    }
    findings
}

fn keys() -> Vec<Key> {
    let all = [
        InstanceSettings::keys(),
        ListenerSettings::keys(),
        TcpSettings::keys(),
        HttpSettings::keys(),
        RouteSettings::keys(),
        TlsSettings::keys(),
        ApplicationSettings::keys(),
        Authentication::keys(),
        NameServerSettings::keys(),
        CustomAuth::keys(),
        HttpQueue::keys(),
        MasterSettings::keys(),
        GameServerSettings::keys(),
        WebRpc::keys(),
    ];
    all.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn d13_a_configuration_without_findings_is_sound() {
        let findings = Fixture::sound().run(d13_configuration);
        assert!(findings.iter().all(|finding| finding.severity == Severity::Information), "{findings:?}");
    }

    #[test]
    fn d13_an_unknown_attribute_is_told_with_its_place() {
        let fixture = Fixture::sound().listeners("Port=\"5055\"", "Port=\"5055\" Overide=\"x\"");
        let findings = fixture.run(d13_configuration);
        let warnings: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Warning).collect();
        assert!(warnings.len() == 1 && warnings[0].what.contains("Overide"), "{findings:?}");
        assert!(warnings[0].what.contains("PhotonServer.config:"), "{findings:?}");
    }

    #[test]
    fn d13_a_file_that_cannot_be_read_is_an_error() {
        let findings = Fixture::sound().listeners("<UDPListeners>", "<UDPListeners").run(d13_configuration);
        assert!(findings.iter().any(|finding| finding.severity == Severity::Error), "{findings:?}");
    }

    #[test]
    fn d13_changed_ports_and_settings_are_listed() {
        let fixture =
            Fixture::sound().listeners("Port=\"5058\"", "Port=\"6058\"").game("<MaxEmptyRoomTTL>5</MaxEmptyRoomTTL>");
        let findings = fixture.run(d13_configuration);
        let tells = |part: &str| findings.iter().any(|finding| finding.what.contains(part));
        assert!(tells("NameServer udp listens on 6058, not on 5058"), "{findings:?}");
        assert!(tells("MaxEmptyRoomTTL = 5 "), "{findings:?}");
    }
}
