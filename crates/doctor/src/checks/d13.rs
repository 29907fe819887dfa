//! D13: what `check-config` finds, and what is not as in the shipped files.

use lampyris_config::{Effective, Origin, Severity as Grade, is_shipped, missing_listeners};

use crate::{Context, Finding, Severity};

/// Settings that tell one listener, route or region from another.
const IDENTITIES: [&str; 3] = ["Port", "Url", "Region"];

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
    let missing = missing_listeners(&context.loaded.effective);
    findings.extend(
        missing.iter().map(|missing| Finding::note(format!("the shipped files have a {missing}, this one has not"))),
    );
    let changed: Vec<_> = context.loaded.effective.iter().filter(|one| !is_shipped(one)).collect();
    let mut told: Vec<&str> = Vec::new();
    for one in &changed {
        let Origin::File(place) = &one.origin else { continue };
        // Of what is new as a whole its name says enough.
        let is_new = |other: &&&Effective| other.owner() == one.owner() && IDENTITIES.contains(&other.key());
        if !changed.iter().any(|other| is_new(&other)) {
            findings.push(Finding::note(format!("{} = {} ({place})", one.setting, one.value)));
        } else if !told.contains(&one.owner()) {
            told.push(one.owner());
            findings.push(Finding::note(format!("{} is not in the shipped files ({place})", one.owner())));
        }
    }
    findings
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
        assert!(tells("UDPListener 5058 NameServer, this one has not"), "{findings:?}");
        assert!(tells("UDPListener 6058 is not in the shipped files"), "{findings:?}");
        assert!(tells("MaxEmptyRoomTTL = 5 "), "{findings:?}");
    }
}
