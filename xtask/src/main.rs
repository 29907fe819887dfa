//! The repository's own commands; run them with `cargo xtask`.

mod fuzz;
mod machine;
mod rules;
mod suite;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

const USAGE: &str = "\
The repository's own commands.

Usage: cargo xtask test [--list] [--only NAME]... [--skip NAME]...
       cargo xtask fuzz [--runs N] [TARGET]...

test   runs every test and installs what it needs (Debian's packages, as root); the last line counts the tests
fuzz   builds the fuzz targets with the stable compiler and runs each, by default 20000 times";

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode> {
    let root = root()?;
    match arguments.split_first().map(|(command, rest)| (command.as_str(), rest)) {
        Some(("test", rest)) => test::run(&root, rest),
        Some(("fuzz", rest)) => fuzz::run(&root, rest),
        None | Some(("help" | "-h" | "--help", _)) => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        Some((other, _)) => bail!("expected test or fuzz, got {other:?}\n\n{USAGE}"),
    }
}

/// The folder of the workspace.
fn root() -> Result<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().map(Path::to_owned).context("the crate lies in no folder")
}
