//! The checks, one file each.

mod d1;
mod d10;
mod d11;
mod d12;
mod d13;
mod d14;
mod d15;
mod d16;
mod d17;
mod d18;
mod d19;
mod d2;
mod d3;
mod d4;
mod d5;
mod d6;
mod d7;
mod d8;
mod d9;
mod kernel;

use crate::{Context, Finding, Outcome, Report, Vantage};

type Run = fn(&Context<'_>) -> Vec<Finding>;

/// What a check cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// A configuration without errors.
    Configuration,
    /// To run on the server's machine.
    Machine,
    /// Both.
    Both,
}

const CHECKS: [(&str, &str, Needs, Run); 20] = [
    ("D1", "clients are told names, not addresses", Needs::Configuration, d1::d1_names),
    ("D2", "each port speaks what its clients speak", Needs::Configuration, d2::d2_schemes),
    ("D3", "every address that clients are told is served", Needs::Configuration, d3::d3_ports),
    ("D4", "names lead to this machine", Needs::Both, d4::d4_reachable),
    ("D5", "the firewall lets clients in", Needs::Configuration, d5::d5_firewall),
    ("D6", "a client joins a room on every transport", Needs::Configuration, d6::d6_joins),
    ("D7", "this program's own server and client work", Needs::Machine, d7::d7_self_test),
    ("D8", "clients trust the certificates", Needs::Configuration, d8::d8_trust),
    ("D9", "certificates cover the names that clients are told", Needs::Configuration, d9::d9_names),
    ("D10", "certificates are of a kind that clients accept", Needs::Configuration, d10::d10_usage),
    ("D11", "certificates are valid now and for a while", Needs::Configuration, d11::d11_validity),
    ("D12", "Unity clients are served", Needs::Configuration, d12::d12_unity),
    ("D13", "the configuration says what it is meant to", Needs::Nothing, d13::d13_configuration),
    ("D14", "the service's user may do what it must", Needs::Both, d14::d14_service),
    ("D15", "what the running server complains about", Needs::Machine, d15::d15_log),
    ("D16", "certificate files are usable", Needs::Both, d16::d16_files),
    ("D17", "what to type into clients", Needs::Configuration, d17::d17_client_settings),
    ("D18", "the roles share a secret of their own", Needs::Both, d18::d18_tokens),
    ("D19", "game servers and their Master find each other", Needs::Both, d19::d19_servers),
    ("kernel", "the system's limits", Needs::Machine, kernel::kernel),
];

/// Runs every check.
#[must_use]
pub fn diagnose(context: &Context<'_>) -> Report {
    let outcome = |(check, title, needs, run): (_, _, _, Run)| {
        let skipped = why_skipped(context, needs);
        let findings = if skipped.is_some() { Vec::new() } else { run(context) };
        Outcome { check, title, skipped, findings }
    };
    Report { outcomes: CHECKS.map(outcome).into() }
}

fn why_skipped(context: &Context<'_>, needs: Needs) -> Option<&'static str> {
    let (configuration, machine) = match needs {
        Needs::Nothing => (false, false),
        Needs::Configuration => (true, false),
        Needs::Machine => (false, true),
        Needs::Both => (true, true),
    };
    if configuration && context.config().is_none() {
        return Some("the configuration has errors, see D13");
    }
    (machine && *context.vantage != Vantage::Local).then_some("it can be seen on the server's machine only")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::fixture::Fixture;

    fn skipped(fixture: &Fixture) -> Vec<&'static str> {
        let report = fixture.with(diagnose);
        report.outcomes.iter().filter(|outcome| outcome.skipped.is_some()).map(|outcome| outcome.check).collect()
    }

    #[test]
    fn a_sound_world_has_neither_errors_nor_warnings() {
        let report = Fixture::sound().with(diagnose);
        assert!(report.worst() <= Some(Severity::Information), "{report}");
        assert_eq!(skipped(&Fixture::sound()), [""; 0]);
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_called_sound() {
        let broken = Fixture::sound().listeners("<UDPListeners>", "<UDPListeners");
        let looked_at = ["D7", "D13", "D15", "kernel"];
        assert!(skipped(&broken).iter().all(|check| !looked_at.contains(check)));
        assert_eq!(skipped(&broken).len(), CHECKS.len() - looked_at.len());
        let elsewhere = Fixture::sound().seen_from_elsewhere("photon.test");
        assert_eq!(skipped(&elsewhere), ["D4", "D7", "D14", "D15", "D16", "D18", "D19", "kernel"]);
    }
}
