//! `lampyris cert csr`.

use std::path::PathBuf;
use std::process::ExitCode;

use lampyris_tls::PasswordSource;
use lampyris_tls::csr::request;

use super::{Covered, Key, Outcome, Problem, password};

pub(super) const HELP: &str = "Hand server.csr to the authority. Put what it returns, with the key, into one file:\n  \
    lampyris cert import --cert returned.pem --key server.key --out certs/server.pem\n\n\
    Exit codes: 0 done, 2 not done\n\n\
    Example: lampyris cert csr --name play.example.org --name www.example.org";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    covered: Covered,

    #[command(flatten)]
    key_kind: Key,

    /// The key; made if it is not there, used again if it is
    #[arg(long, value_name = "FILE", default_value = "server.key")]
    key: PathBuf,

    /// Where the password of that key is: env:NAME, file:PATH (its first line) or credential:NAME
    #[arg(long, value_name = "SOURCE", value_parser = password)]
    password: Option<PasswordSource>,

    /// The request to write; - for the standard output
    #[arg(long, value_name = "FILE", default_value = "server.csr")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> Outcome {
    let Covered { names, addresses } = &args.covered;
    if names.is_empty() && addresses.is_empty() {
        return Err(Problem("expected the host name that clients dial: --name play.example.org".to_owned()));
    }
    let request = request(&args.key, args.password.as_ref(), args.key_kind.algorithm(), names, addresses)?;
    if args.out.as_os_str() == "-" {
        crate::say(request.pem.trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    std::fs::write(&args.out, &request.pem)
        .map_err(|error| Problem(format!("cannot write {}: {error}", args.out.display())))?;
    let (verb, key) = (if request.is_key_new { "made" } else { "used" }, args.key.display());
    crate::say(&format!("{verb} the key {key}; keep it secret\nwrote the request {}", args.out.display()));
    Ok(ExitCode::SUCCESS)
}
