//! The fuzz targets, built with the stable compiler.
//!
//! `cargo fuzz` needs a nightly compiler for its sanitizers. The crates forbid unsafe code, so that coverage and
//! overflow checks find what there is to find, and those work on stable.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::suite::{self, Tally};

const DEFAULT_RUNS: u64 = 20_000;
/// A run that finds no end is a finding.
const TIMEOUT_S: u64 = 10;
/// Longest generated input in bytes; longer than any header and several messages.
const INPUT_BYTES: u64 = 4096;
/// What libFuzzer needs the compiler to put in.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                        -Cllvm-args=-sanitizer-coverage-pc-table \
                        -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions \
                        -Coverflow-checks -Ccodegen-units=1";
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// `cargo xtask fuzz [--runs N] [TARGET]...`
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<ExitCode> {
    let mut runs = DEFAULT_RUNS;
    let mut chosen = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--runs" {
            let given = rest.next().context("--runs: expected a number, got nothing")?;
            runs = given.parse().with_context(|| format!("--runs: expected a number, got {given:?}"))?;
        } else {
            chosen.push(argument.clone());
        }
    }
    let all = targets(root)?;
    if let Some(unknown) = chosen.iter().find(|name| !all.contains(name)) {
        bail!("expected one of {}, got {unknown:?}", all.join(", "));
    }
    let tally = fuzz(root, if chosen.is_empty() { &all } else { &chosen }, runs)?;
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every target for a moment.
pub(crate) fn briefly(root: &Path) -> Result<Tally> {
    fuzz(root, &targets(root)?, DEFAULT_RUNS)
}

fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn fuzz(root: &Path, names: &[String], runs: u64) -> Result<Tally> {
    let mut build = Command::new("cargo");
    build.args(["build", "--locked", "--quiet", "--release", "--target", TARGET, "--manifest-path", "fuzz/Cargo.toml"]);
    build.arg("--target-dir").arg(target_dir(root)).current_dir(root).env("RUSTFLAGS", COVERAGE);
    if suite::check(&mut build)?.failed > 0 {
        bail!("the fuzz targets do not build");
    }
    let mut tally = Tally::default();
    for name in names {
        tally += one(root, name, runs)?;
    }
    Ok(tally)
}

fn one(root: &Path, name: &str, runs: u64) -> Result<Tally> {
    let corpus = target_dir(root).join("corpus").join(name);
    std::fs::create_dir_all(&corpus)?;
    let kept = root.join("fuzz/corpus").join(name);
    let mut target = Command::new(target_dir(root).join(TARGET).join("release").join(name));
    target.arg(format!("-runs={runs}")).arg(format!("-timeout={TIMEOUT_S}")).arg(format!("-max_len={INPUT_BYTES}"));
    target.args(["-verbosity=0", "-print_final_stats=1"]).arg(&corpus).args(kept.exists().then_some(kept));
    target.current_dir(target_dir(root));
    suite::check(&mut target)
}

fn target_dir(root: &Path) -> PathBuf {
    root.join("target/fuzz")
}
