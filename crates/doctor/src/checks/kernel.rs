//! Limits of the system that matter under load. Information only: a small server never meets them.

use std::path::Path;

use crate::{Context, Finding};

/// Socket buffers that hold the burst of a full machine.
const SOCKET_BYTES: u64 = 8 << 20;
/// Connections that wait to be accepted.
const BACKLOG: u64 = 4096;
/// Open files: one for each connection.
const FILES: u64 = 65_536;
/// Flows of a firewall that tracks connections.
const FLOWS: u64 = 262_144;

/// A file of the system, its least good value, and what it is about.
const SYSCTLS: [(&str, &str, u64, &str); 4] = [
    ("net.core.rmem_max", "/proc/sys/net/core/rmem_max", SOCKET_BYTES, "bursts of UDP are lost"),
    ("net.core.wmem_max", "/proc/sys/net/core/wmem_max", SOCKET_BYTES, "datagrams are not taken in bursts"),
    ("net.core.somaxconn", "/proc/sys/net/core/somaxconn", BACKLOG, "connections are refused when many come at once"),
    (
        "net.netfilter.nf_conntrack_max",
        "/proc/sys/net/netfilter/nf_conntrack_max",
        FLOWS,
        "the firewall drops new players",
    ),
];

pub(super) fn kernel(context: &Context<'_>) -> Vec<Finding> {
    let read = |path: &str| context.machine.read(Path::new(path)).ok();
    let mut findings = Vec::new();
    for (name, path, least, why) in SYSCTLS {
        let Some(value) = read(path).and_then(|text| text.trim().parse::<u64>().ok()) else { continue };
        if value < least {
            let what = format!("{name} is {value}, expected {least} for a busy server");
            findings.push(Finding::note(what).because(why).mend(format!("sysctl -w {name}={least}")));
        }
    }
    let process = context.status.map_or_else(|| "self".to_owned(), |status| status.process.to_string());
    if let Some(files) =
        read(&format!("/proc/{process}/limits")).as_deref().and_then(open_files).filter(|files| *files < FILES)
    {
        let what = format!("{files} files may be open, expected {FILES} for a busy server");
        let remedy = "write LimitNOFILE=1048576 into the unit, or run `ulimit -n 1048576` before the start";
        findings.push(Finding::note(what).because("each connection is a file").mend(remedy));
    }
    if let Some(governor) =
        read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").filter(|text| text.trim() == "powersave")
    {
        let what = format!("the processors' governor is {}", governor.trim());
        findings.push(
            Finding::note(what)
                .because("messages wait for slow processors")
                .mend("cpupower frequency-set -g performance"),
        );
    }
    let drops: u64 =
        ["/proc/net/udp", "/proc/net/udp6"].into_iter().filter_map(read).map(|text| dropped(context, &text)).sum();
    if drops > 0 {
        let what = format!(
            "the system dropped {drops} datagrams for the server's ports, because it did not read them in time"
        );
        let remedy = format!("sysctl -w net.core.rmem_max={SOCKET_BYTES}, and more --workers");
        findings.push(Finding::note(what).mend(remedy));
    }
    findings
}

/// The soft limit, in the form of `/proc/PID/limits`.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The last column of the lines whose local port is one of ours.
fn dropped(context: &Context<'_>, table: &str) -> u64 {
    let is_ours = |port: u16| {
        let targets = context.probed.ports.iter().map(|probe| &probe.target);
        targets.into_iter().any(|target| target.port == port && target.transport == lampyris_client::Transport::Udp)
    };
    let rows = table.lines().skip(1).filter_map(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let (_, port) = columns.get(1)?.rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let drops = columns.last()?.parse::<u64>().ok()?;
        is_ours(port).then_some(drops)
    });
    rows.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::Fixture;

    #[test]
    fn a_machine_with_room_has_nothing_to_tell() {
        let roomy = Fixture::sound()
            .file("/proc/sys/net/core/rmem_max", "16777216\n")
            .file("/proc/sys/net/core/somaxconn", "4096\n");
        assert_eq!(roomy.run(kernel), []);
    }

    #[test]
    fn small_limits_are_information_with_the_command() {
        let fixture = Fixture::sound()
            .file("/proc/sys/net/core/rmem_max", "212992\n")
            .file("/proc/self/limits", "Limit  Soft Hard Units\nMax open files            1024    4096    files\n")
            .file("/proc/4711/limits", "Max open files            1024    4096    files\n")
            .file("/proc/net/udp", "  sl local rem st tx rx tr tm uid timeout inode ref pointer drops\n 1: 00000000:13C2 0:0 07 0 0 0 0 0 1 2 0 12\n");
        let findings = fixture.run(kernel);
        assert!(findings.iter().all(|finding| finding.severity == Severity::Information));
        let told: Vec<_> = findings.iter().map(|finding| finding.what.as_str()).collect();
        assert!(told[0].contains("rmem_max is 212992") && findings[0].remedy.starts_with("sysctl -w"), "{told:?}");
        assert!(told[1].contains("1024 files"), "{told:?}");
        assert!(told[2].contains("dropped 12 datagrams"), "{told:?}");
    }
}
