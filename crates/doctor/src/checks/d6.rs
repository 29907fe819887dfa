//! D6: a client's whole way, on every transport.

use crate::probe::{Join, JoinFailure};
use crate::{Context, Finding};

pub(super) fn d6_joins(context: &Context<'_>) -> Vec<Finding> {
    if !context.probed.is_running() {
        let remedy = format!("start it with `lampyris run --config {}`, then run doctor again", context.path.display());
        let what = "no port of the configuration answers: the server is not running, or not with this file";
        return vec![Finding::warning(what).mend(remedy)];
    }
    judge(&context.probed.joins)
}

fn judge(joins: &[Join]) -> Vec<Finding> {
    let works = joins.iter().filter(|join| join.result.is_ok()).map(|join| join.transport.scheme()).collect::<Vec<_>>();
    let others = if works.is_empty() { "no transport works".to_owned() } else { format!("{} works", works.join(", ")) };
    let tell = |join: &Join| {
        let scheme = join.transport.scheme();
        match &join.result {
            Ok(took) => Finding::note(format!("{scheme}: in a room after {} ms", took.as_millis())),
            Err(JoinFailure { at, text }) => {
                let what = format!("{others}, {scheme} fails at {at}: {text}");
                let remedy =
                    "D2 to D5 and D10 say why such a server cannot be reached; the server's own view is in D15";
                Finding::error(what).mend(remedy)
            }
        }
    };
    joins.iter().map(tell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::Fixture;

    #[test]
    fn d6_four_joins_are_sound() {
        let findings = Fixture::sound().run(d6_joins);
        assert_eq!(findings.len(), 4);
        assert!(findings.iter().all(|finding| finding.severity == Severity::Information));
    }

    #[test]
    fn d6_a_failure_names_the_server_and_what_works() {
        let fixture =
            Fixture::sound().join_fails("wss", "wss://photon.test:19090/Master", "the port does not speak TLS");
        let findings = fixture.run(d6_joins);
        let expected = "udp, tcp, ws works, wss fails at wss://photon.test:19090/Master: the port does not speak TLS";
        assert_eq!(findings[3].what, expected);
        assert_eq!(findings[3].severity, Severity::Error);
    }

    #[test]
    fn d6_a_server_that_does_not_run_is_told_with_the_command_that_starts_it() {
        let findings = Fixture::sound().stopped().run(d6_joins);
        assert!(findings.len() == 1 && findings[0].remedy.contains("lampyris run --config"), "{findings:?}");
    }
}
