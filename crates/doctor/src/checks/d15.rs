//! D15: what the running server complained about.

use lampyris_server::HandshakeFailure;

use crate::{Context, Finding};

/// What D2 tells, and what happens to every port of the internet.
const OF_NO_INTEREST: [HandshakeFailure; 6] = [
    HandshakeFailure::PlainHttp,
    HandshakeFailure::NotTls,
    HandshakeFailure::TlsOnPlainPort,
    HandshakeFailure::ClosedBeforeHello,
    HandshakeFailure::Timeout,
    HandshakeFailure::Other,
];

pub(super) fn d15_log(context: &Context<'_>) -> Vec<Finding> {
    let journal = "journalctl -u 'lampyris*' -p warning --since today";
    let Some(status) = context.status else {
        let what = "the running server could not be asked: it does not run, or not as this user";
        return vec![
            Finding::note(what).mend(format!("run doctor as the server's user or as root; its log: `{journal}`")),
        ];
    };
    let mut findings = Vec::new();
    for reason in HandshakeFailure::ALL.into_iter().filter(|reason| !OF_NO_INTEREST.contains(reason)) {
        let count = status.handshake_failures(reason);
        if count > 0 {
            findings
                .push(Finding::warning(format!("{count} handshakes failed: {}", reason.name())).mend(reason.hint()));
        }
    }
    let failures = status.counter("tls_reload_failures");
    if failures > 0 {
        let what = format!("{failures} times new certificate files could not be used; the old ones stay in force");
        findings.push(Finding::warning(what).mend("see D16, then run `lampyris reload`"));
    }
    let place = match &status.log_file {
        Some(path) => format!("{}, or `{journal}`", path.display()),
        None => format!("`{journal}`"),
    };
    if !status.recent.is_empty() {
        let lines: Vec<_> = status.recent.iter().map(ToString::to_string).collect();
        let what = format!("the last {} warnings and errors:\n{}", lines.len(), lines.join("\n"));
        findings.push(Finding::note(what).mend(format!("read the whole log: {place}")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::Fixture;

    #[test]
    fn d15_a_server_without_complaints_is_sound() {
        assert_eq!(Fixture::sound().run(d15_log), []);
    }

    #[test]
    fn d15_alerts_of_clients_are_translated() {
        let findings = Fixture::sound().failed_with(HandshakeFailure::UnknownCa, 7).run(d15_log);
        assert!(findings.len() == 1 && findings[0].severity == Severity::Warning, "{findings:?}");
        assert_eq!(findings[0].what, "7 handshakes failed: unknown_ca");
        assert!(findings[0].remedy.contains("does not trust the authority"), "{findings:?}");
    }

    #[test]
    fn d15_the_last_lines_are_shown_with_the_place_of_the_log() {
        let findings = Fixture::sound().complained("cannot accept: too many open files").run(d15_log);
        assert!(findings.len() == 1 && findings[0].what.contains("too many open files"), "{findings:?}");
        assert!(findings[0].remedy.contains("journalctl"), "{findings:?}");
    }

    #[test]
    fn d15_a_server_that_cannot_be_asked_is_no_fault() {
        let findings = Fixture::sound().stopped().run(d15_log);
        assert!(findings.len() == 1 && findings[0].severity == Severity::Information, "{findings:?}");
    }
}
