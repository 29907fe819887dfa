//! `lampyris cert dev`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::ValueEnum;
use lampyris_server::interface_addresses;
use lampyris_tls::development::{LONGEST_DAYS, Made, Order, Place, SUGGESTED_DAYS, Wanted, make};
use lampyris_tls::start_log::date;

use super::{Covered, Key, LEFT_TO_DO, Outcome, Problem, State, machine_name, trust};

pub(super) const HELP: &str = "Run it again to renew the certificate; the authority stays, so that clients need nothing new. \
    A certificate from elsewhere is set aside, never overwritten.\n\n\
    Exit codes: 0 done, 1 done with a warning, 2 not done\n\n\
    Example: lampyris cert dev --name play.example.org --out deploy/bin_Win64/certs";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    covered: Covered,

    /// Days until it ends
    #[arg(long, value_name = "D", default_value_t = 90)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(LONGEST_DAYS)))]
    days: u32,

    #[command(flatten)]
    key: Key,

    /// Make a certificate that is its own issuer: each renewal has to be trusted anew
    #[arg(long, conflicts_with = "name_constraints")]
    self_signed: bool,

    /// Limit a new authority to these names; Unity clients cannot read such an authority
    #[arg(long)]
    name_constraints: bool,

    /// Folder for server.pem and ca.pem [default: certs below the state folder]
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    out: Option<PathBuf>,

    /// Put them into the folder certs beside this PhotonServer.config
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Put them where a deployment expects them: deploy/bin_Win64/certs below --out, or below the current folder
    #[arg(long, conflicts_with = "config")]
    layout: Option<Layout>,

    #[command(flatten)]
    state: State,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Layout {
    /// As Photon Server has it
    Vendor,
}

impl Args {
    /// The folder of `server.pem`, if it is not that of the state folder.
    fn certs(&self) -> Option<PathBuf> {
        match (self.layout, &self.config) {
            (Some(Layout::Vendor), _) => Some(self.out.clone().unwrap_or_default().join("deploy/bin_Win64/certs")),
            (None, Some(config)) => Some(config.parent().unwrap_or_else(|| Path::new("")).join("certs")),
            (None, None) => self.out.clone(),
        }
    }
}

pub(super) fn run(args: &Args, now: SystemTime) -> Outcome {
    if let Some(config) = args.config.as_ref().filter(|config| !config.is_file()) {
        return Err(Problem(format!("expected a configuration file at {}, got none", config.display())));
    }
    let place = Place { state: args.state.folder()?, certs: args.certs() };
    // What the server itself asks of the certificate in its state folder.
    let addresses = if place.certs.is_none() { interface_addresses() } else { Vec::new() };
    let order = Order {
        names: args.covered.names.clone(),
        addresses: args.covered.addresses.clone(),
        machine: Wanted { host: machine_name(), names: Vec::new(), addresses },
        key: args.key.algorithm(),
        days: args.days,
        is_self_signed: args.self_signed,
        has_name_constraints: args.name_constraints,
    };
    let made = make(&place, &order, now)?;
    crate::say(tell(&made).trim_end());
    if args.days <= SUGGESTED_DAYS {
        return Ok(ExitCode::SUCCESS);
    }
    crate::warn(&format!(
        "{} days are many: what leaks is of use for long; up to {SUGGESTED_DAYS} are usual",
        args.days
    ));
    Ok(ExitCode::from(LEFT_TO_DO))
}

fn tell(made: &Made) -> String {
    let mut text = String::new();
    let addresses = made.summary.addresses.iter().map(ToString::to_string);
    let covered = made.summary.names.iter().cloned().chain(addresses).collect::<Vec<_>>().join(", ");
    let mut line = |what: &str, value: &dyn std::fmt::Display| {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{what:<14}{value}");
    };
    line("certificate", &made.server_pem.display());
    line("covers", &covered);
    line("key", &made.summary.key);
    line("until", &date(made.summary.not_after));
    line("to trust", &made.trust.display());
    if let Some(key) = &made.authority_key {
        line("keep secret", &key.display());
    }
    if let Some(old) = &made.set_aside {
        line("set aside", &format_args!("{}, which another authority had issued", old.display()));
    }
    if made.is_trust_new {
        text += "\nNothing trusts it yet. Each machine that plays needs this once:\n";
    } else {
        text += "\nWhat trusts the authority already needs nothing new. Others need this once:\n";
    }
    text += &trust::instructions(&made.trust);
    text
}
