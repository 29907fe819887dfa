//! Lampyris, the server binary.
//!
//! Exit codes: 0 stopped by a signal, 1 failed while running, 2 wrong usage or not started.

mod acme_args;
mod banner;
mod cert;
mod check_config;
mod cli;
mod configured;

use std::io::{IsTerminal as _, Write as _, stderr, stdout};
use std::process::ExitCode;

use clap::Parser as _;
use lampyris_server::{RunError, Server};
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, RunArgs};

const FAILED: u8 = 1;
const NOT_STARTED: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Version) => {
            say(&format!("lampyris {}", env!("CARGO_PKG_VERSION")));
            ExitCode::SUCCESS
        }
        Some(Command::CheckConfig(args)) => check_config::run(&args),
        Some(Command::Cert(command)) => cert::run(&command),
        Some(Command::Run(args)) => run(&args),
        None => run(&cli.run),
    }
}

fn run(args: &RunArgs) -> ExitCode {
    let color = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let filter = match EnvFilter::try_new(&args.log) {
        Ok(filter) => filter,
        Err(error) => {
            let expected = "expected error, warn, info, debug, trace or a list like info,lampyris_engine=debug";
            return fail(NOT_STARTED, &format!("--log {:?}: {error}; {expected}", args.log));
        }
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_ansi(color).init();
    let options = match args.options() {
        Ok(options) => options,
        Err(errors) => return fail(NOT_STARTED, &errors.join("\nerror: ")),
    };
    let on_ready = |server: &Server| {
        let banner = banner::Banner { server, options: &options, color };
        // Nobody listening is no reason to stop.
        let _ = write!(stderr(), "{banner}");
        say(&format!("ready: {} addresses, {} workers", server.addresses().len(), options.workers));
    };
    match lampyris_server::run(&options, on_ready) {
        Ok(()) => ExitCode::SUCCESS,
        Err(RunError::Start(error)) => fail(NOT_STARTED, &error.to_string()),
        Err(error) => fail(FAILED, &error.to_string()),
    }
}

fn say(line: &str) {
    let mut stdout = stdout();
    // A closed pipe is the reader's choice.
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

fn warn(text: &str) {
    let _ = writeln!(stderr(), "warning: {text}");
}

fn fail(code: u8, error: &str) -> ExitCode {
    let _ = writeln!(stderr(), "error: {error}");
    ExitCode::from(code)
}
