//! D9: whether certificates cover the names that clients dial.

use lampyris_tls::inspect;

use crate::chains::judge;
use crate::{Context, Finding};

pub(super) fn d9_names(context: &Context<'_>) -> Vec<Finding> {
    judge(context, |finding| matches!(finding, inspect::Finding::NoNames | inspect::Finding::NameNotCovered))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::{Fixture, Leaf};

    #[test]
    fn d9_a_certificate_for_the_name_that_clients_dial_is_sound() {
        assert_eq!(Fixture::sound().run(d9_names), []);
        assert_eq!(Fixture::sound().leaf(Leaf { names: &["*.test"], ..Leaf::default() }).run(d9_names), []);
    }

    #[test]
    fn d9_other_names_no_names_and_a_wildcard_of_another_depth_are_errors() {
        for names in [&["other.test"][..], &[], &["*.photon.test"]] {
            let findings = Fixture::sound().leaf(Leaf { names, ..Leaf::default() }).run(d9_names);
            assert!(findings.len() == 1 && findings[0].severity == Severity::Error, "{names:?}: {findings:?}");
            assert!(findings[0].remedy.contains("photon.test"), "{findings:?}");
        }
    }

    #[test]
    fn d9_the_files_are_judged_while_the_server_does_not_run() {
        let findings =
            Fixture::sound().stopped().leaf(Leaf { names: &["other.test"], ..Leaf::default() }).run(d9_names);
        assert!(findings.len() == 1 && findings[0].severity == Severity::Error, "{findings:?}");
    }
}
