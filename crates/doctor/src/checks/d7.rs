//! D7: the same with a server inside of this program.

use crate::{Context, Finding};

pub(super) fn d7_self_test(context: &Context<'_>) -> Vec<Finding> {
    let failed = context.probed.self_test.iter().filter_map(|join| Some((join, join.result.as_ref().err()?)));
    let failed: Vec<_> = failed
        .map(|(join, failure)| {
            let what = format!(
                "{} fails even inside of this program, at {}: {}",
                join.transport.scheme(),
                failure.at,
                failure.text
            );
            let remedy = "look for what keeps programs of this user from the loopback address: a container without it, \
                          a security module, a full table of files (`ulimit -n`)";
            Finding::error(what).because("neither network nor configuration have a part in this").mend(remedy)
        })
        .collect();
    if !failed.is_empty() {
        return failed;
    }
    vec![Finding::note(
        "a client joined a room of a server inside of this program on every transport: the software works here",
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::Fixture;

    #[test]
    fn d7_a_self_test_that_passes_is_sound() {
        let findings = Fixture::sound().run(d7_self_test);
        assert!(findings.len() == 1 && findings[0].severity == Severity::Information, "{findings:?}");
    }

    #[test]
    fn d7_a_self_test_that_fails_is_an_error() {
        let findings = Fixture::sound().self_test_fails("udp", "no loopback").run(d7_self_test);
        assert!(findings.len() == 1 && findings[0].severity == Severity::Error, "{findings:?}");
        assert!(findings[0].what.contains("udp") && findings[0].what.contains("no loopback"));
    }
}
