//! `lampyris check-config`: findings on the standard error stream, values on the standard output.
//!
//! Exit codes: 0 nothing to repair, 1 warnings, 2 errors.

use std::io::{self, BufWriter, Write, stderr, stdout};
use std::process::ExitCode;

use lampyris_config::{Environment, LoadOptions, Loaded, Origin, Severity, load, read_file};

use crate::cli::CheckConfigArgs;

const WARNINGS: u8 = 1;
const ERRORS: u8 = 2;

pub(crate) fn run(args: &CheckConfigArgs) -> ExitCode {
    let options = LoadOptions {
        instance: args.instance.as_deref(),
        strict: args.strict_config,
        ignore_plugins: args.ignore_plugins,
    };
    let variable = |name: &str| std::env::var(name).ok();
    let loaded = load(&args.config, options, Environment { read: &read_file, variable: &variable });
    // A closed pipe is the reader's choice, and no finding.
    if args.verbose {
        let _ = tell_values(&loaded, BufWriter::new(stdout()));
    }
    let _ = tell_findings(&loaded, BufWriter::new(stderr()));
    exit_code(&loaded)
}

/// What came of loading, as an exit code.
pub(crate) fn exit_code(loaded: &Loaded) -> ExitCode {
    match loaded.worst() {
        Some(Severity::Error) => ExitCode::from(ERRORS),
        Some(Severity::Warning) => ExitCode::from(WARNINGS),
        Some(Severity::Note) | None => ExitCode::SUCCESS,
    }
}

pub(crate) fn tell_values(loaded: &Loaded, mut out: impl Write) -> io::Result<()> {
    for one in &loaded.effective {
        let origin = match &one.origin {
            Origin::File(place) | Origin::Ignored(place) => place.to_string(),
            Origin::Default(reason) => format!("default: {reason}"),
        };
        writeln!(out, "{} = {}  ({origin})", one.setting, one.value)?;
    }
    out.flush()
}

pub(crate) fn tell_findings(loaded: &Loaded, mut out: impl Write) -> io::Result<()> {
    for finding in &loaded.findings {
        writeln!(out, "{finding}")?;
    }
    let count = |severity| loaded.findings.iter().filter(|finding| finding.severity == severity).count();
    writeln!(out, "{} errors, {} warnings", count(Severity::Error), count(Severity::Warning))?;
    out.flush()
}
