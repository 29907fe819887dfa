//! Runs other programs' tests, shows what they print and counts what passed.

use std::io::{BufRead as _, BufReader};
use std::ops::AddAssign;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// One test.
    pub(crate) fn one(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed) }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs a program whose exit code is its only result: one test.
pub(crate) fn check(command: &mut Command) -> Result<Tally> {
    show(command);
    let status = command.status().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    Ok(Tally::one(status.success()))
}

/// Runs a program that counts its tests on standard output; `summary` reads a line of it. A program that fails without
/// a failed test, or that passes without any test, is one failure.
pub(crate) fn counted(command: &mut Command, summary: fn(&str) -> Option<Tally>) -> Result<Tally> {
    show(command);
    let program = command.get_program().display().to_string();
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run {program}"))?;
    let mut tally = Tally::default();
    for line in BufReader::new(child.stdout.take().context("no output")?).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        if let Some(counted) = summary(&line) {
            tally += counted;
        }
    }
    let succeeded = child.wait()?.success();
    if (!succeeded && tally.failed == 0) || tally == Tally::default() {
        println!("{program} ended with {}", if succeeded { "no test" } else { "an error" });
        tally.failed += 1;
    }
    Ok(tally)
}

fn show(command: &Command) {
    let arguments = command.get_args().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" ");
    println!("$ {} {arguments}", command.get_program().display());
}

/// `test result: ok. 12 passed; 0 failed; ...` of `cargo test`.
pub(crate) fn cargo_summary(line: &str) -> Option<Tally> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let count = |word: &str| counts.split("; ").find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok());
    Some(Tally { passed: count("passed")?, failed: count("failed")? })
}

/// `# pass 12` and `# fail 0` of `node --test`, which begins them with another mark on a terminal.
pub(crate) fn node_summary(line: &str) -> Option<Tally> {
    let line = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ "))?;
    let (word, count) = line.split_once(' ')?;
    let count = count.trim().parse().ok()?;
    match word {
        "pass" => Some(Tally { passed: count, failed: 0 }),
        "fail" | "cancelled" => Some(Tally { passed: 0, failed: count }),
        _ => None,
    }
}

/// `wss: 301 of 301 cases passed (...)` of the Autobahn runner.
pub(crate) fn autobahn_summary(line: &str) -> Option<Tally> {
    let (_, counts) = line.split_once(": ")?;
    let (counts, _) = counts.split_once(" cases passed")?;
    let (passed, all) = counts.split_once(" of ")?;
    let (passed, all) = (passed.parse().ok()?, all.parse::<u64>().ok()?);
    Some(Tally { passed, failed: all.saturating_sub(passed) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_read_and_other_lines_are_not() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.05s";
        assert_eq!(cargo_summary(line), Some(Tally { passed: 12, failed: 3 }));
        assert_eq!(cargo_summary("test codec::passed ... ok"), None);
        assert_eq!(node_summary("# pass 7"), Some(Tally { passed: 7, failed: 0 }));
        assert_eq!(node_summary("ℹ fail 2"), Some(Tally { passed: 0, failed: 2 }));
        assert_eq!(node_summary("# tests 9"), None);
        let line = "wss: 300 of 301 cases passed (300 OK, 1 FAILED)";
        assert_eq!(autobahn_summary(line), Some(Tally { passed: 300, failed: 1 }));
        assert_eq!(autobahn_summary("ws case 1.1.1: OK, close OK"), None);
    }

    #[test]
    fn a_program_that_fails_or_tests_nothing_is_a_failure() {
        let tally = |script: &str| counted(Command::new("sh").args(["-c", script]), node_summary).unwrap();
        assert_eq!(tally("echo '# pass 2'; exit 1"), Tally { passed: 2, failed: 1 });
        assert_eq!(tally("echo '# fail 3'; exit 1"), Tally { passed: 0, failed: 3 });
        assert_eq!(tally("true"), Tally { passed: 0, failed: 1 });
        assert_eq!(tally("echo '# pass 2'"), Tally { passed: 2, failed: 0 });
    }
}
