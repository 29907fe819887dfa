//! D16: certificate and key files, read as the server reads them.

use lampyris_tls::Warning;

use crate::{Context, Finding, identity};

pub(super) fn d16_files(context: &Context<'_>) -> Vec<Finding> {
    let Some(config) = context.config() else { return Vec::new() };
    let mut seen = Vec::new();
    let mut findings = Vec::new();
    for tls in config.instance.listeners.iter().filter_map(|listener| listener.tls.as_ref()) {
        for certificate in &tls.certificates {
            if seen.contains(certificate) {
                continue;
            }
            seen.push(certificate.clone());
            let path = certificate.certificate.display();
            match identity::load(certificate) {
                // The text of the error says what to do.
                Err(error) => findings.push(Finding::error(error.to_string()).because("the server does not start")),
                Ok(identity) => {
                    let told_elsewhere = |warning: &&Warning| {
                        !matches!(
                            warning,
                            Warning::Ed25519
                                | Warning::NoDigitalSignature
                                | Warning::NoServerAuth
                                | Warning::MissingIntermediate { .. }
                        )
                    };
                    let warnings = identity.warnings().iter().filter(told_elsewhere);
                    findings.extend(warnings.map(|warning| Finding::warning(format!("{path}: {warning}"))));
                }
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

    #[test]
    fn d16_a_file_with_a_chain_and_its_key_is_sound() {
        assert_eq!(Fixture::sound().run(d16_files), []);
    }

    #[test]
    fn d16_files_that_cannot_be_used_are_errors_that_say_what_to_do() {
        for (content, part) in [
            ("nothing", "holds no certificate"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "holds no certificate"),
        ] {
            let findings = Fixture::sound().certificate_file(content).run(d16_files);
            assert!(findings.len() == 1 && findings[0].severity == Severity::Error, "{findings:?}");
            assert!(findings[0].what.contains(part), "{findings:?}");
        }
    }

    #[test]
    fn d16_a_key_that_others_can_read_is_a_warning_with_the_command() {
        let findings = Fixture::sound().certificate_mode(0o644).run(d16_files);
        assert!(findings.len() == 1 && findings[0].severity == Severity::Warning, "{findings:?}");
        assert!(findings[0].what.contains("chmod 600"), "{findings:?}");
    }

    #[test]
    fn d16_a_password_for_a_key_that_needs_none_is_a_warning() {
        let node = "Secure=\"true\"><ServerCertificate Password=\"x\"/><Routing>";
        let findings = Fixture::sound().listeners("Secure=\"true\"><Routing>", node).run(d16_files);
        assert!(findings.len() == 1 && findings[0].what.contains("password"), "{findings:?}");
    }
}
