//! `lampyris cert`: certificates by command.
//!
//! Exit codes: 0 done, 1 done with something left to do or to mend, 2 not done.

mod cluster;
mod csr;
mod dev;
mod import;
mod show;
mod trust;

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Subcommand;
use lampyris_tls::{KeyAlgorithm, PasswordSource, TlsError};

const LEFT_TO_DO: u8 = 1;
const NOT_DONE: u8 = 2;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a certificate for development and local networks, below a private authority
    #[command(after_help = dev::HELP)]
    Dev(dev::Args),
    /// Tell what a certificate says and what each kind of client makes of it
    #[command(after_help = show::HELP)]
    Show(show::Args),
    /// Have this machine and its browsers trust a private authority
    #[command(after_help = trust::HELP)]
    Trust(trust::Args),
    /// Undo trust
    #[command(after_help = trust::HELP)]
    Untrust(trust::Args),
    /// Turn a .pfx, or PEM files in any order, into the files that a listener reads
    #[command(after_help = import::HELP)]
    Import(import::Args),
    /// Make a key and a request for a certificate, to be signed by an authority
    #[command(after_help = csr::HELP)]
    Csr(csr::Args),
    /// Certificates between servers
    #[command(subcommand)]
    Cluster(cluster::Command),
}

pub(crate) fn run(command: &Command) -> ExitCode {
    let now = SystemTime::now();
    let result = match command {
        Command::Dev(args) => dev::run(args, now),
        Command::Show(args) => show::run(args, now),
        Command::Trust(args) => trust::run(args, trust::Direction::Trust),
        Command::Untrust(args) => trust::run(args, trust::Direction::Untrust),
        Command::Import(args) => import::run(args, now),
        Command::Csr(args) => csr::run(args),
        Command::Cluster(command) => cluster::run(command, now),
    };
    result.unwrap_or_else(|problem| crate::fail(NOT_DONE, &problem.0))
}

/// Why a command was not carried out, for people.
struct Problem(String);

impl From<TlsError> for Problem {
    fn from(error: TlsError) -> Self {
        Self(error.to_string())
    }
}

impl From<crate::cli::Error> for Problem {
    fn from(error: crate::cli::Error) -> Self {
        Self(error.to_string())
    }
}

type Outcome = Result<ExitCode, Problem>;

/// What a certificate is to cover.
#[derive(Debug, clap::Args)]
struct Covered {
    /// Host name that clients dial, also *.example.org; can be given several times
    #[arg(long = "name", value_name = "NAME", value_parser = dns_name)]
    names: Vec<String>,

    /// Address that clients dial; Unity clients accept host names only
    #[arg(long = "ip", value_name = "ADDR")]
    addresses: Vec<IpAddr>,
}

/// The kind of key.
#[derive(Debug, clap::Args)]
struct Key {
    /// Make an RSA key of that many bits, for clients that know no ECDSA [default: ECDSA P-256]
    #[arg(long, value_name = "2048|3072", value_parser = ["2048", "3072"])]
    rsa: Option<String>,
}

impl Key {
    fn algorithm(&self) -> KeyAlgorithm {
        match self.rsa.as_deref() {
            None => KeyAlgorithm::P256,
            Some("2048") => KeyAlgorithm::Rsa2048,
            Some(_) => KeyAlgorithm::Rsa3072,
        }
    }
}

/// Where the private authority is.
#[derive(Debug, clap::Args)]
struct State {
    /// Folder for certificates and secrets [default: /var/lib/lampyris for root, else ~/.local/state/lampyris]
    #[arg(long, value_name = "DIR", env = "LAMPYRIS_STATE_DIR")]
    state_dir: Option<PathBuf>,
}

impl State {
    fn folder(&self) -> Result<PathBuf, Problem> {
        Ok(crate::cli::state_dir(self.state_dir.as_ref())?)
    }
}

/// A host name as it stands in certificates.
fn dns_name(text: &str) -> Result<String, String> {
    if text.parse::<IpAddr>().is_ok() {
        return Err("expected a host name, got an address; give addresses with --ip".to_owned());
    }
    if !text.is_ascii() {
        return Err("expected a host name in ASCII; write other letters in the form xn--...".to_owned());
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let fits = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    if name.len() <= 253 && name.strip_prefix("*.").unwrap_or(name).split('.').all(fits) {
        return Ok(name.to_ascii_lowercase());
    }
    Err("expected a host name like play.example.org or *.example.org, without scheme and port".to_owned())
}

/// A password's source; not the password, which every user of the machine could read in the list of processes.
fn password(text: &str) -> Result<PasswordSource, String> {
    match PasswordSource::parse(text) {
        Some(PasswordSource::Literal(_)) | None => {
            Err("expected env:NAME, file:PATH or credential:NAME, not the password itself".to_owned())
        }
        Some(source) => Ok(source),
    }
}

/// The machine's host name; empty if it has none that fits in a certificate.
fn machine_name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_str().ok().and_then(|name| dns_name(name).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_fit_in_certificates() {
        assert_eq!(dns_name("Play.Example.org.").as_deref(), Ok("play.example.org"));
        assert_eq!(dns_name("*.example.org").as_deref(), Ok("*.example.org"));
        for wrong in ["", "*", "a..b", "-a", "wss://a", "a:1", "b\u{fc}cher.example", "192.0.2.1", "::1", "a.*.b"] {
            assert!(dns_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn passwords_themselves_are_refused() {
        assert!(password("env:SECRET").is_ok() && password("file:/run/secret").is_ok());
        assert!(password("secret").unwrap_err().contains("env:NAME"));
        assert!(password("").is_err());
    }
}
