//! D13: what `check-config` finds, and what is not as in the shipped files.

use lampyris_config::{Origin, Severity as Grade, is_shipped, missing_listeners};

use crate::{Context, Finding, Severity};

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
    for changed in context.loaded.effective.iter().filter(|one| !is_shipped(one)) {
        let Origin::File(place) = &changed.origin else { continue };
        findings.push(Finding::note(format!("{} = {} ({place})", changed.setting, changed.value)));
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
        assert!(tells("UDPListener 6058 Port = 6058"), "{findings:?}");
        assert!(tells("MaxEmptyRoomTTL = 5 "), "{findings:?}");
    }
}
