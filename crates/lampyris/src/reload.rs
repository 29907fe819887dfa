//! `lampyris reload` and `lampyris status`: asking a running server.

use std::io::{self, Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use lampyris_server::control::{Answer, Reloaded, Request, ask, socket_path};

const PARTLY: u8 = 1;
const REFUSED: u8 = 2;

/// Which server to ask.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The PhotonServer.config that the server was started with [default: it was started without one]
    #[arg(long, value_name = "FILE", env = "LAMPYRIS_CONFIG")]
    config: Option<PathBuf>,

    /// State folder of the server [default: that of `lampyris run`]
    #[arg(long, value_name = "DIR", env = "LAMPYRIS_STATE_DIR")]
    state_dir: Option<PathBuf>,
}

pub(crate) fn reload(args: &Args) -> ExitCode {
    match call(args, Request::Reload) {
        Ok(Answer::Reload(reloaded)) => {
            // A closed pipe is the reader's choice.
            let _ = tell(&reloaded);
            exit_code(&reloaded)
        }
        Ok(answer) => unexpected(&answer),
        Err(error) => crate::fail(REFUSED, &error),
    }
}

pub(crate) fn status(args: &Args) -> ExitCode {
    match call(args, Request::Status) {
        Ok(Answer::Status(status)) => {
            let mut out = stdout().lock();
            let written = serde_json::to_writer_pretty(&mut out, &status).map_err(io::Error::from);
            // A closed pipe is the reader's choice.
            let _ = written.and_then(|()| writeln!(out));
            ExitCode::SUCCESS
        }
        Ok(answer) => unexpected(&answer),
        Err(error) => crate::fail(REFUSED, &error),
    }
}

fn call(args: &Args, request: Request) -> Result<Answer, String> {
    let state = crate::cli::state_dir(args.state_dir.as_ref()).map_err(|error| error.to_string())?;
    ask(&socket_path(&state, args.config.as_deref()), request).map_err(|error| error.to_string())
}

fn unexpected(answer: &Answer) -> ExitCode {
    let text = match answer {
        Answer::Error(text) => text.as_str(),
        Answer::Reload(_) | Answer::Status(_) => "the server answered another question",
    };
    crate::fail(REFUSED, text)
}

fn tell(reloaded: &Reloaded) -> io::Result<()> {
    let mut out = stdout().lock();
    for line in reloaded.findings.iter().chain(&reloaded.notes) {
        writeln!(out, "{line}")?;
    }
    if reloaded.refused {
        writeln!(out, "refused: the old values stay in force")?;
        return out.flush();
    }
    for (title, changes) in [("in force", &reloaded.applied), ("at the next start", &reloaded.needs_restart)] {
        for change in changes {
            writeln!(out, "{title}: {change}")?;
        }
    }
    writeln!(
        out,
        "{} changes in force, {} wait for the next start",
        reloaded.applied.len(),
        reloaded.needs_restart.len()
    )?;
    out.flush()
}

fn exit_code(reloaded: &Reloaded) -> ExitCode {
    if reloaded.refused {
        ExitCode::from(REFUSED)
    } else if reloaded.needs_restart.is_empty() && reloaded.findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(PARTLY)
    }
}
