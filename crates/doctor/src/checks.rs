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

use crate::{Context, Finding, Outcome, Report};

type Run = fn(&Context<'_>) -> Vec<Finding>;

const CHECKS: [(&str, &str, Run); 20] = [
    ("D1", "clients are told names, not addresses", d1::d1_names),
    ("D2", "each port speaks what its clients speak", d2::d2_schemes),
    ("D3", "every address that clients are told is served", d3::d3_ports),
    ("D4", "names lead to this machine", d4::d4_reachable),
    ("D5", "the firewall lets clients in", d5::d5_firewall),
    ("D6", "a client joins a room on every transport", d6::d6_joins),
    ("D7", "this program's own server and client work", d7::d7_self_test),
    ("D8", "clients trust the certificates", d8::d8_trust),
    ("D9", "certificates cover the names that clients are told", d9::d9_names),
    ("D10", "certificates are of a kind that clients accept", d10::d10_usage),
    ("D11", "certificates are valid now and for a while", d11::d11_validity),
    ("D12", "Unity clients are served", d12::d12_unity),
    ("D13", "the configuration says what it is meant to", d13::d13_configuration),
    ("D14", "the service's user may do what it must", d14::d14_service),
    ("D15", "what the running server complains about", d15::d15_log),
    ("D16", "certificate files are usable", d16::d16_files),
    ("D17", "what to type into clients", d17::d17_client_settings),
    ("D18", "the roles share a secret of their own", d18::d18_tokens),
    ("D19", "game servers and their Master find each other", d19::d19_servers),
    ("kernel", "the system's limits", kernel::kernel),
];

/// Runs every check.
#[must_use]
pub fn diagnose(context: &Context<'_>) -> Report {
    let outcome = |(check, title, run): (_, _, Run)| Outcome { check, title, findings: run(context) };
    Report { outcomes: CHECKS.map(outcome).into() }
}
