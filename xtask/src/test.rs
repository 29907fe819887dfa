//! `cargo xtask test`: every suite of the repository, one after the other, and the sum of their tests.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Result, bail};

use crate::suite::{self, Tally};
use crate::{fuzz, machine, rules};

struct Suite {
    name: &'static str,
    about: &'static str,
    run: fn(&Path) -> Result<Tally>,
}

/// In the order in which they run: what is quick to fail comes first, and each build serves all that follow.
const SUITES: [Suite; 10] = [
    Suite { name: "fmt", about: "the code is formatted", run: fmt },
    Suite { name: "rules", about: "the repository keeps its own rules", run: rules::run },
    Suite { name: "clippy", about: "no lint warns, in any target", run: clippy },
    Suite { name: "doc", about: "the documentation builds without a warning", run: doc },
    Suite { name: "rust", about: "unit, property, golden and loopback tests", run: rust },
    Suite { name: "release", about: "the server builds as it is shipped", run: release },
    Suite { name: "client", about: "the browser client: types and tests", run: client },
    Suite { name: "conformance", about: "published JavaScript clients in Node and Chromium", run: conformance },
    Suite { name: "autobahn", about: "301 WebSocket cases, over ws and wss", run: autobahn },
    Suite { name: "fuzz", about: "every fuzz target builds and runs for a moment", run: fuzz::briefly },
];

/// Runs the suites that the arguments choose.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<ExitCode> {
    let (mut only, mut skip) = (Vec::new(), Vec::new());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--list" => {
                SUITES.iter().for_each(|suite| println!("{:<12} {}", suite.name, suite.about));
                return Ok(ExitCode::SUCCESS);
            }
            "--only" => only.push(suite_name(rest.next())?),
            "--skip" => skip.push(suite_name(rest.next())?),
            other => bail!("expected --list, --only or --skip, got {other:?}"),
        }
    }
    let chosen = |suite: &&Suite| (only.is_empty() || only.contains(&suite.name)) && !skip.contains(&suite.name);
    let mut sum = Tally::default();
    let mut report = Vec::new();
    for suite in SUITES.iter().filter(chosen) {
        println!("\n== {}: {}", suite.name, suite.about);
        let started = Instant::now();
        let tally = (suite.run)(root).unwrap_or_else(|error| {
            println!("error: {error:#}");
            Tally::one(false)
        });
        let verdict = if tally.failed == 0 { "ok" } else { "FAILED" };
        let (Tally { passed, failed }, seconds) = (tally, started.elapsed().as_secs());
        let line = format!("{:<12} {verdict:<7} {passed:>5} passed {failed:>4} failed {seconds:>5} s", suite.name);
        println!("== {line}");
        report.push(line);
        sum += tally;
    }
    println!("\n{}\n\n{} passed, {} failed", report.join("\n"), sum.passed, sum.failed);
    Ok(if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn suite_name(given: Option<&String>) -> Result<&'static str> {
    match SUITES.iter().find(|suite| given.is_some_and(|given| given == suite.name)) {
        Some(suite) => Ok(suite.name),
        None => bail!("expected the name of a suite, got {given:?}; `cargo xtask test --list` has them"),
    }
}

fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(arguments).current_dir(root);
    cargo
}

fn fmt(root: &Path) -> Result<Tally> {
    let mut tally = suite::check(&mut cargo(root, &["fmt", "--all", "--check"]))?;
    tally += suite::check(&mut cargo(root, &["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))?;
    Ok(tally)
}

fn clippy(root: &Path) -> Result<Tally> {
    suite::check(&mut cargo(
        root,
        &["clippy", "--locked", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"],
    ))
}

fn doc(root: &Path) -> Result<Tally> {
    let mut doc = cargo(root, &["doc", "--locked", "--quiet", "--workspace", "--no-deps", "--document-private-items"]);
    suite::check(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

fn rust(root: &Path) -> Result<Tally> {
    machine::ensure(&[machine::CERTUTIL, machine::OPENSSL, machine::PEBBLE])?;
    let mut test = cargo(root, &["test", "--locked", "--quiet", "--workspace", "--no-fail-fast"]);
    suite::counted(&mut test, suite::cargo_summary)
}

/// The server, and the echo server that the Autobahn cases run against.
fn release(root: &Path) -> Result<Tally> {
    let mut build = cargo(root, &["build", "--locked", "--release", "--quiet"]);
    build.args([
        "--package",
        "lampyris",
        "--bin",
        "lampyris",
        "--package",
        "lampyris-transport",
        "--example",
        "ws_echo",
    ]);
    suite::check(&mut build)
}

fn client(root: &Path) -> Result<Tally> {
    machine::ensure(&[machine::NODE, machine::NPM])?;
    let folder = root.join("clients/js");
    machine::npm_ci(&folder)?;
    suite::counted(Command::new("npm").arg("test").current_dir(folder), suite::node_summary)
}

fn conformance(root: &Path) -> Result<Tally> {
    machine::ensure(&[machine::NODE, machine::NPM, machine::CHROMIUM, machine::CERTUTIL, machine::OPENSSL])?;
    let folder = root.join("conformance/js");
    machine::npm_ci(&folder)?;
    let mut test = Command::new("npm");
    test.arg("test").current_dir(folder).env("LAMPYRIS_BIN", built(root, "release/lampyris")?);
    suite::counted(&mut test, suite::node_summary)
}

fn autobahn(root: &Path) -> Result<Tally> {
    machine::ensure(&[machine::PYTHON, machine::PYTHON_VENV, machine::SOCAT, machine::OPENSSL])?;
    let mut cases = Command::new(root.join("conformance/autobahn/run.py"));
    cases.current_dir(root).env("LAMPYRIS_WS_ECHO", built(root, "release/examples/ws_echo")?);
    suite::counted(&mut cases, suite::autobahn_summary)
}

/// A program of the suite `release`, built now if that suite did not run before.
fn built(root: &Path, path: &str) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
    let program = target.join(path);
    if !program.exists() && release(root)?.failed > 0 {
        bail!("{} does not build", program.display());
    }
    Ok(program)
}
