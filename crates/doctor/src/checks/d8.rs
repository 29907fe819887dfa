//! D8: whether the chain ends at somebody whom clients trust.

use lampyris_tls::inspect;

use crate::chains::judge;
use crate::{Context, Finding};

pub(super) fn d8_trust(context: &Context<'_>) -> Vec<Finding> {
    judge(context, |finding| {
        use inspect::Finding as Of;
        matches!(
            finding,
            Of::SelfSigned | Of::UntrustedAuthority | Of::PrivateAuthority | Of::MissingIntermediate | Of::Order
        )
    })
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
    fn d8_a_self_signed_certificate_is_told() {
        let findings = Fixture::sound().leaf(Leaf { is_self_signed: true, ..Leaf::default() }).run(d8_trust);
        assert!(findings.len() == 1 && findings[0].severity >= Severity::Warning, "{findings:?}");
    }
}
