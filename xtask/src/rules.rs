//! Rules of this repository that no compiler checks.

mod dependencies;
mod requirements;
mod text;

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::suite::Tally;

/// What is wrong, one line each; none = the rule is kept.
type Findings = Vec<String>;

/// A file under version control that is text.
pub(crate) struct Tracked {
    path: String,
    text: String,
}

/// Checks every rule.
pub(crate) fn run(root: &Path) -> Result<Tally> {
    let files = tracked(root)?;
    let metadata = dependencies::metadata(root)?;
    let mut tally = Tally::default();
    for (rule, findings) in [
        ("files hold no more code than one can overlook", text::long_files(&files)),
        ("nothing is left to do and no test is skipped", text::unfinished(&files)),
        ("no file names a machine", text::machine_paths(&files, root)),
        ("the deciding crates touch no socket, clock, file or thread", text::impure(&files)),
        ("links between documents lead somewhere", text::dead_links(&files, root)),
        ("sections of the protocol that comments name exist", text::dead_sections(&files)),
        ("every TLS requirement names the tests that prove it", requirements::unproven(&files)),
        ("lock files name the public registries only", dependencies::foreign_registries(&files)),
        ("every dependency is used", dependencies::unused(&metadata, &files)?),
        ("every licence is one that we can ship", dependencies::licences(root)?),
        ("only one cryptographic library is linked", dependencies::forbidden(root)?),
    ] {
        println!("{} {rule}", if findings.is_empty() { "ok    " } else { "FAILED" });
        findings.iter().for_each(|finding| println!("       {finding}"));
        tally += Tally::one(findings.is_empty());
    }
    Ok(tally)
}

/// Every text file under version control, or about to be.
fn tracked(root: &Path) -> Result<Vec<Tracked>> {
    let list = output(Command::new("git").current_dir(root).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let paths = list.split('\0').filter(|path| !path.is_empty());
    let files = paths.filter_map(|path| {
        let text = std::fs::read(root.join(path)).ok().and_then(|bytes| String::from_utf8(bytes).ok())?;
        Some(Tracked { path: path.to_owned(), text })
    });
    Ok(files.collect())
}

/// What a program prints.
fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!("{program} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}
