//! D15: what the running server complained about.

use crate::{Context, Finding};

/// Reasons of failed handshakes as the server counts them, and what they mean.
const REASONS: [(&str, &str, &str); 8] = [
    (
        "tls_unknown_ca",
        "clients do not trust the authority",
        "run `lampyris cert trust ca.pem` on the machines that play",
    ),
    (
        "tls_certificate_unknown",
        "clients do not trust the certificate",
        "run `lampyris cert show HOST:PORT`; it says what each client makes of it",
    ),
    (
        "tls_bad_certificate",
        "clients refuse the certificate itself",
        "run `lampyris cert show HOST:PORT`; it says what each client makes of it",
    ),
    ("tls_certificate_expired", "clients see an expired certificate", "renew it, then run `lampyris reload`"),
    (
        "tls_protocol_version",
        "clients are too old for TLS 1.2, or MinProtocolVersion is TLS13",
        "set MinProtocolVersion=\"TLS12\"",
    ),
    ("tls_no_cipher", "clients share no cipher suite with the listener", "set CipherList=\"DEFAULT\""),
    (
        "tls_reset_after_hello",
        "clients went away right after the certificate, as Chrome does when the key usage is wrong",
        "see D10",
    ),
    (
        "tls_reload_failures",
        "new certificate files could not be used; the old ones stay in force",
        "see D16, then run `lampyris reload`",
    ),
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
    for (counter, meaning, remedy) in REASONS {
        let count = status.counter(counter);
        if count > 0 {
            findings.push(Finding::warning(format!("{count} times: {meaning} ({counter})")).mend(remedy));
        }
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
        let findings = Fixture::sound().counted("tls_unknown_ca", 7).run(d15_log);
        assert!(findings.len() == 1 && findings[0].severity == Severity::Warning, "{findings:?}");
        assert!(findings[0].what.starts_with("7 times: clients do not trust the authority"), "{findings:?}");
        assert!(findings[0].remedy.contains("cert trust"), "{findings:?}");
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
