//! Lampyris, the server binary.
//!
//! Exit codes: 0 stopped by a signal, 1 failed while running, 2 wrong usage or not started.

mod acme_args;
mod banner;
mod cert;
mod check_config;
mod cli;
mod configured;
mod doctor;
mod import;
mod logs;
mod operator;
mod recent;
mod reload;
mod sample;

use std::io::{IsTerminal as _, Write as _, stderr, stdout};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use lampyris_log::Listener;
use lampyris_server::RunError;
use lampyris_server::control::Recent;

use crate::cli::{Cli, Command, RunArgs};
use crate::operator::{Configuration, Running};
use crate::recent::RecentLayer;

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
        Some(Command::Doctor(args)) => doctor::run(&args),
        Some(Command::Reload(args)) => reload::reload(&args),
        Some(Command::Status(args)) => reload::status(&args),
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
    let recent = Arc::<Recent>::default();
    let listeners: Vec<Listener> = vec![Box::new(RecentLayer(Arc::clone(&recent)))];
    let logs = match args.logs.start(checked.as_ref().map(|checked| &checked.config), listeners) {
        Ok(logs) => logs,
        Err(error) => return fail(NOT_STARTED, &error),
    };
    // What was logged stands before the error.
    let fail = |code, error: &str| {
        logs.flush();
        fail(code, error)
    };
    let options = match args.options(checked.as_ref()) {
        Ok(options) => options,
        Err(errors) => return fail(NOT_STARTED, &errors.join("\nerror: ")),
    };
    let configuration = checked.map(Configuration::new);
    let mut running = Running { args, options: options.clone(), configuration, logs: &logs, recent, color };
    match lampyris_server::run(&options, &mut running) {
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
