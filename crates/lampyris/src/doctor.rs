//! `lampyris doctor`: why clients cannot reach the server.
//!
//! Exit codes: 0 all is well, 1 warnings, 2 errors.

use std::io::{self, Write as _, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lampyris_config::{Environment, File, LoadOptions, load, read_file};
use lampyris_doctor::{Context, Report, Severity, ThisMachine, Vantage, diagnose, probe};
use lampyris_server::control::{Answer, Request, Status, ask, socket_path};
use lampyris_tls::inspect::Anchors;

const WARNINGS: u8 = 1;
const ERRORS: u8 = 2;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The PhotonServer.config of the server
    #[arg(long, value_name = "FILE", env = "LAMPYRIS_CONFIG")]
    config: PathBuf,

    /// The instance [default: the only one, or LoadBalancing]
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,

    /// Look at a server on another machine from here, with a copy of its configuration
    #[arg(long, value_name = "HOST")]
    remote: Option<String>,

    /// Print the findings as JSON
    #[arg(long)]
    json: bool,

    /// State folder of the server [default: that of `lampyris run`]
    #[arg(long, value_name = "DIR", env = "LAMPYRIS_STATE_DIR")]
    state_dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let options = LoadOptions { instance: args.instance.as_deref(), ..LoadOptions::default() };
    let variable = |name: &str| std::env::var(name).ok();
    let vantage = args.remote.clone().map_or(Vantage::Local, Vantage::Remote);
    let read: &dyn Fn(&Path) -> io::Result<File> = if vantage == Vantage::Local { &read_file } else { &read_elsewhere };
    let loaded = load(&args.config, options, Environment { read, variable: &variable });
    let probed = match probe::run(loaded.config.as_ref(), &vantage) {
        Ok(probed) => probed,
        Err(error) => return crate::fail(ERRORS, &format!("cannot look at the server: {error}")),
    };
    let status = if vantage == Vantage::Local { status(args) } else { None };
    let report = diagnose(&Context {
        path: &args.config,
        loaded: &loaded,
        machine: &ThisMachine,
        anchors: &Anchors::of_system(),
        probed: &probed,
        status: status.as_ref(),
        vantage: &vantage,
    });
    // A closed pipe is the reader's choice.
    let _ = tell(&report, args.json);
    match report.worst() {
        Some(Severity::Error) => ExitCode::from(ERRORS),
        Some(Severity::Warning) => ExitCode::from(WARNINGS),
        Some(Severity::Information) | None => ExitCode::SUCCESS,
    }
}

/// Reads a copy of a configuration, which comes without its certificates.
fn read_elsewhere(path: &Path) -> io::Result<File> {
    read_file(path).or_else(|error| {
        let is_certificate =
            path.extension().is_some_and(|ending| ["pem", "key", "crt"].iter().any(|one| ending == *one));
        let empty = || File { path: path.to_owned(), bytes: Vec::new() };
        if is_certificate && error.kind() == io::ErrorKind::NotFound { Ok(empty()) } else { Err(error) }
    })
}

/// What the running server says; nothing if there is none, or none that answers this user.
fn status(args: &Args) -> Option<Status> {
    let state = crate::cli::state_dir(args.state_dir.as_ref()).ok()?;
    match ask(&socket_path(&state, Some(&args.config)), Request::Status) {
        Ok(Answer::Status(status)) => Some(*status),
        Ok(Answer::Reload(_) | Answer::Error(_)) | Err(_) => None,
    }
}

fn tell(report: &Report, json: bool) -> io::Result<()> {
    let mut out = stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, report)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    out.flush()
}
