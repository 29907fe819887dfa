//! D8: whether the chain ends at somebody whom clients trust.

use lampyris_tls::inspect;

use crate::chains::judge;
use crate::{Context, Finding};

pub(super) fn d8_trust(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = judge(context, |finding| {
        use inspect::Finding as Of;
        matches!(
            finding,
            Of::SelfSigned | Of::UntrustedAuthority | Of::PrivateAuthority | Of::MissingIntermediate | Of::Order
        )
    });
    findings.extend(browsers(context));
    findings
}

/// Browsers of this user that do not know the authority beside the certificates.
fn browsers(context: &Context<'_>) -> Vec<Finding> {
    let secure = context.local_config().into_iter().flat_map(|config| &config.instance.listeners);
    let certificates = secure.filter_map(|listener| listener.tls.as_ref()).flat_map(|tls| &tls.certificates);
    let mut authorities: Vec<_> = certificates.map(|one| one.certificate.with_file_name("ca.pem")).collect();
    authorities.sort();
    authorities.dedup();
    let mut findings = Vec::new();
    for authority in authorities {
        for store in context.machine.browsers(&authority).into_iter().filter(|store| !store.trusts) {
            let what = format!("{} does not have the authority {}", store.name, authority.display());
            findings.push(Finding::note(what).mend(format!("lampyris cert trust {}", authority.display())));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::{Fixture, Leaf};

    #[test]
    fn d8_a_private_authority_that_is_trusted_is_sound() {
        let findings = Fixture::sound().run(d8_trust);
        assert!(findings.iter().all(|finding| finding.severity == Severity::Information), "{findings:?}");
    }

    #[test]
    fn d8_an_authority_that_nobody_trusts_is_told_once_with_the_command() {
        let findings = Fixture::sound().trusting_nobody().run(d8_trust);
        assert!(findings.len() == 1 && findings[0].severity >= Severity::Warning, "{findings:?}");
        assert!(findings[0].what.starts_with("NameServer 19093, Master 19090, Game 19091: "), "{findings:?}");
        assert!(findings[0].remedy.contains("lampyris cert trust"), "{findings:?}");
    }

    #[test]
    fn d8_browsers_that_do_not_have_our_authority_are_named() {
        let fixture = Fixture::sound().browser("Chromium's store /a", true).browser("Firefox's profile /b", false);
        let findings = fixture.run(d8_trust);
        let told: Vec<_> = findings.iter().filter(|finding| finding.what.contains("does not have")).collect();
        assert!(told.len() == 1 && told[0].what.starts_with("Firefox's profile /b"), "{findings:?}");
    }

    #[test]
    fn d8_a_self_signed_certificate_is_told() {
        let findings = Fixture::sound().leaf(Leaf { is_self_signed: true, ..Leaf::default() }).run(d8_trust);
        assert!(findings.len() == 1 && findings[0].severity >= Severity::Warning, "{findings:?}");
    }
}
