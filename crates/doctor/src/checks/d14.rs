//! D14: the user that the service runs as.

use std::path::{Path, PathBuf};

use crate::account::{Account, Obstacle};
use crate::serving::endpoints;
use crate::{Context, Finding};

/// Ports from here on are everybody's, if the system does not say otherwise.
const FIRST_FREE_PORT: u16 = 1024;
const FIRST_FREE_PORT_FILE: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";

pub(super) fn d14_service(context: &Context<'_>) -> Vec<Finding> {
    let Some(config) = context.config() else { return Vec::new() };
    let account = Account::of(context);
    let mut paths: Vec<PathBuf> = vec![context.path.to_owned()];
    for tls in config.instance.listeners.iter().filter_map(|listener| listener.tls.as_ref()) {
        paths.extend(tls.certificates.iter().flat_map(|one| [one.certificate.clone(), one.key.clone()]));
    }
    paths.sort();
    paths.dedup();
    let mut findings = Vec::new();
    for path in &paths {
        findings.extend(readable(context, &account, path));
        findings.extend(hidden(&account, path));
    }
    findings.extend(low_ports(context, &account));
    findings
}

fn readable(context: &Context<'_>, account: &Account, path: &Path) -> Option<Finding> {
    let Obstacle { path: obstacle, access } = account.can_read(context.machine, path).err()?;
    let (name, mode) = (&account.name, access.mode & 0o7777);
    let what = format!(
        "the service's user {name} cannot read {}: {} has mode {mode:04o} and belongs to user {}",
        path.display(),
        obstacle.display(),
        access.user
    );
    let remedy = if obstacle == path {
        format!("chown {name} {0} && chmod 600 {0}", path.display())
    } else {
        format!("chmod o+x {}, or move the files to a folder of {name}", obstacle.display())
    };
    Some(Finding::error(what).because("the server does not start").mend(remedy))
}

/// Folders that the unit hides from the service.
fn hidden(account: &Account, path: &Path) -> Option<Finding> {
    let hides = account
        .unit_setting("ProtectHome")
        .filter(|value| !["no", "false", "0", "off", "read-only"].contains(value))?;
    let path = std::path::absolute(path).ok()?;
    let is_home = ["/home", "/root", "/run/user"].iter().any(|home| path.starts_with(home));
    let what = format!("the unit has ProtectHome={hides}, which hides {}", path.display());
    let remedy = "move the files to /etc/lampyris, or set ProtectHome=read-only with `systemctl edit lampyris`";
    is_home.then(|| Finding::error(what).because("the server does not find the file").mend(remedy))
}

fn low_ports(context: &Context<'_>, account: &Account) -> Vec<Finding> {
    let text = context.machine.read(Path::new(FIRST_FREE_PORT_FILE)).unwrap_or_default();
    let first_free = text.trim().parse().unwrap_or(FIRST_FREE_PORT);
    let may = account.user == 0
        || ["AmbientCapabilities", "CapabilityBoundingSet"]
            .iter()
            .any(|key| account.unit_setting(key).is_some_and(|value| value.contains("CAP_NET_BIND_SERVICE")))
        || context.probed.is_running();
    let mut ports: Vec<u16> =
        context.config().map(endpoints).into_iter().flatten().map(|endpoint| endpoint.port()).collect();
    ports.retain(|port| *port < first_free);
    ports.sort_unstable();
    ports.dedup();
    if may || ports.is_empty() {
        return Vec::new();
    }
    let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    let what = format!("ports {ports} need a privilege that the service's user {} may not have", account.name);
    let remedy = "write AmbientCapabilities=CAP_NET_BIND_SERVICE into the unit, or run \
                  `setcap cap_net_bind_service=+ep $(command -v lampyris)`";
    vec![Finding::warning(what).because("the server cannot listen there").mend(remedy)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::Fixture;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nlampyris:x:990:990::/:/bin/false\n";

    fn served_by(user: &str) -> Fixture {
        let unit = format!("[Service]\nUser={user}\n");
        Fixture::sound().stopped().file("/etc/passwd", PASSWD).file("/etc/systemd/system/lampyris.service", &unit)
    }

    #[test]
    fn d14_a_user_who_may_read_its_files_is_sound() {
        assert_eq!(served_by("lampyris").run(d14_service), []);
    }

    #[test]
    fn d14_a_key_of_root_alone_is_told_with_the_command() {
        let findings = served_by("lampyris").mode("server.pem", 0, 0o600).run(d14_service);
        assert!(findings.len() == 1 && findings[0].severity == Severity::Error, "{findings:?}");
        assert!(findings[0].what.contains("lampyris cannot read") && findings[0].what.contains("0600"), "{findings:?}");
        assert!(findings[0].remedy.starts_with("chown lampyris "), "{findings:?}");
        assert_eq!(served_by("root").mode("server.pem", 0, 0o600).run(d14_service), []);
    }

    #[test]
    fn d14_a_folder_that_cannot_be_entered_is_named() {
        let findings = served_by("lampyris").mode("certs", 0, 0o700).run(d14_service);
        assert!(findings.len() == 1 && findings[0].remedy.contains("chmod o+x"), "{findings:?}");
    }

    #[test]
    fn d14_ports_below_1024_need_a_capability() {
        let fixture = |unit: &str| {
            let low = Fixture::sound().stopped().listeners("Port=\"19093\"", "Port=\"443\"");
            low.file("/etc/passwd", PASSWD)
                .file("/etc/systemd/system/lampyris.service", &format!("User=lampyris\n{unit}"))
        };
        let findings = fixture("").run(d14_service);
        assert!(findings.len() == 1 && findings[0].what.contains("ports 443"), "{findings:?}");
        assert_eq!(fixture("AmbientCapabilities=CAP_NET_BIND_SERVICE\n").run(d14_service), []);
        assert_eq!(fixture("").file(FIRST_FREE_PORT_FILE, "80\n").run(d14_service), []);
    }

    #[test]
    fn d14_a_unit_that_hides_home_folders_is_told() {
        let account = |value: &str| {
            let fixture =
                Fixture::sound().file("/etc/systemd/system/lampyris.service", &format!("ProtectHome={value}\n"));
            fixture.with(Account::of)
        };
        let path = Path::new("/home/me/deploy/bin/PhotonServer.config");
        assert!(hidden(&account("yes"), path).is_some_and(|finding| finding.what.contains("ProtectHome=yes")));
        assert_eq!(hidden(&account("no"), path), None);
        assert_eq!(hidden(&account("yes"), Path::new("/etc/lampyris/PhotonServer.config")), None);
    }
}
