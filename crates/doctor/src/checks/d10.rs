//! D10: kinds of certificates that clients refuse.

use lampyris_tls::inspect;

use crate::chains::judge;
use crate::{Context, Finding};

pub(super) fn d10_usage(context: &Context<'_>) -> Vec<Finding> {
    judge(context, |finding| {
        use inspect::Finding as Of;
        matches!(
            finding,
            Of::Damaged
                | Of::NoDigitalSignature
                | Of::NoServerAuth
                | Of::WeakKey
                | Of::WeakSignature
                | Of::AuthorityAsLeaf
                | Of::Ed25519
                | Of::NameConstraints
        )
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose};

    use super::*;
    use crate::Severity;
    use crate::fixture::{Fixture, Leaf};

    #[test]
    fn d10_a_certificate_as_cert_dev_makes_it_is_sound() {
        assert_eq!(Fixture::sound().run(d10_usage), []);
    }

    #[test]
    fn d10_the_old_recipe_without_digital_signature_is_named_with_the_command() {
        let usages = &[KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::DataEncipherment];
        let findings = Fixture::sound().leaf(Leaf { usages, ..Leaf::default() }).run(d10_usage);
        assert!(findings.len() == 1 && findings[0].severity == Severity::Error, "{findings:?}");
        assert!(findings[0].what.contains("digitalSignature"), "{findings:?}");
        assert!(findings[0].remedy.contains("lampyris cert dev"), "{findings:?}");
    }

    #[test]
    fn d10_a_certificate_for_clients_is_an_error() {
        let purposes = &[ExtendedKeyUsagePurpose::ClientAuth];
        let findings = Fixture::sound().leaf(Leaf { purposes, ..Leaf::default() }).run(d10_usage);
        assert!(findings.len() == 1 && findings[0].what.contains("serverAuth"), "{findings:?}");
    }

    #[test]
    fn d10_a_leaf_that_is_an_authority_is_told() {
        let findings = Fixture::sound().leaf(Leaf { is_authority: true, ..Leaf::default() }).run(d10_usage);
        assert!(findings.len() == 1 && findings[0].severity >= Severity::Warning, "{findings:?}");
    }

    #[test]
    fn d10_an_ed25519_key_is_told() {
        let findings = Fixture::sound().leaf(Leaf { is_ed25519: true, ..Leaf::default() }).run(d10_usage);
        assert!(findings.len() == 1 && findings[0].what.contains("Ed25519"), "{findings:?}");
    }
}
