//! Lampyris, the server binary.
//!
//! Exit codes: 0 stopped by a signal, 1 failed while running, 2 wrong usage or not started.

mod acme_args;
mod banner;
mod cert;
mod check_config;
mod cli;
mod configured;
mod import;
mod logs;
mod sample;

use std::io::{IsTerminal as _, Write as _, stderr, stdout};
use std::process::ExitCode;

use clap::Parser as _;
use lampyris_server::{RunError, Server};

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
        Some(Command::Import(args)) => import::run(&args),
        Some(Command::Config(command)) => sample::run(&command),
        Some(Command::Logs(args)) => logs::run(&args),
        Some(Command::Cert(command)) => cert::run(&command),
        Some(Command::Run(args)) => run(&args),
        None => run(&cli.run),
    }
}

fn run(args: &RunArgs) -> ExitCode {
    let color = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let checked = match args.files().map(|files| configured::read(&files)).transpose() {
        Ok(checked) => checked,
        Err(errors) => return fail(NOT_STARTED, &errors.join("\nerror: ")),
    };
    let logs = match args.logs.start(checked.as_ref().map(|checked| &checked.config), Vec::new()) {
        Ok(logs) => logs,
        Err(error) => return fail(NOT_STARTED, &error),
    };
    let options = match args.options(checked.as_ref()) {
        Ok(options) => options,
        Err(errors) => return fail(NOT_STARTED, &errors.join("\nerror: ")),
    };
    let on_ready = |server: &Server| {
        let banner = banner::Banner { server, options: &options, color };
        // What was logged until now stands before it.
        logs.flush();
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
