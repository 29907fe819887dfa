//! `lampyris cert import`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use lampyris_tls::import::{Imported, from_pem, from_pfx};
use lampyris_tls::inspect::{Anchors, Finding, Severity, Verdict, report};
use lampyris_tls::{PasswordSource, Source, config};

use super::{LEFT_TO_DO, Outcome, Problem, password, show};

pub(super) const HELP: &str = "The result has the chain in order, without the root, and the key without its password; only its \
    owner may read it.\n\n\
    Exit codes: 0 done, 1 done, but clients will not like the certificate, 2 not done\n\n\
    Examples:\n  lampyris cert import --pfx server.pfx --password file:password.txt --out certs/server.pem\n  \
    lampyris cert import --cert fullchain.pem --key privkey.pem --out certs/server.pem\n  \
    lampyris cert import --cert server.pem --out server.crt --out-key server.key";

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("input").required(true).args(["pfx", "cert"]))]
pub(crate) struct Args {
    /// A PKCS#12 file, .pfx or .p12
    #[arg(long, value_name = "FILE")]
    pfx: Option<PathBuf>,

    /// A PEM file with the certificates
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,

    /// The PEM file with the key [default: the one with the certificates]
    #[arg(long, value_name = "FILE", conflicts_with = "pfx")]
    key: Option<PathBuf>,

    /// Where the password is: env:NAME, file:PATH (its first line) or credential:NAME
    #[arg(long, value_name = "SOURCE", value_parser = password)]
    password: Option<PasswordSource>,

    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "server.pem")]
    out: PathBuf,

    /// Write the key to a file of its own
    #[arg(long, value_name = "FILE")]
    out_key: Option<PathBuf>,

    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &Args, now: SystemTime) -> Outcome {
    let imported = read(args)?;
    let outputs = [Some(&args.out), args.out_key.as_ref()];
    if let Some(taken) = outputs.into_iter().flatten().find(|path| path.exists() && !args.force) {
        return Err(Problem(format!("{} is there already; name another file, or add --force", taken.display())));
    }
    match &args.out_key {
        Some(key) => imported.write_apart(&args.out, key)?,
        None => imported.write(&args.out)?,
    }
    let summary = imported.identity().summary();
    crate::say(&format!("wrote {}", args.out.display()));
    if let Some(key) = &args.out_key {
        crate::say(&format!("wrote {}", key.display()));
    }
    crate::say(&format!(
        "{} certificate(s); {}; key {}",
        imported.identity().chain().len(),
        summary.subject,
        summary.key
    ));
    let report = report(imported.identity().chain(), None, &Anchors::of_system(), now);
    // Whom this machine trusts says nothing of the file.
    let is_local = |finding| matches!(finding, Finding::UntrustedAuthority | Finding::SelfSigned);
    let is_trouble = |verdict: &&Verdict| verdict.severity > Severity::Note && !is_local(verdict.finding);
    let troubles = report.verdicts.iter().filter(is_trouble).collect::<Vec<_>>();
    troubles.iter().for_each(|verdict| crate::warn(&show::line(verdict)));
    Ok(if troubles.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(LEFT_TO_DO) })
}

fn read(args: &Args) -> Result<Imported, Problem> {
    let provider = config::provider();
    let password = args.password.as_ref();
    match (&args.pfx, &args.cert) {
        (Some(pfx), _) => Ok(from_pfx(pfx, password, &provider)?),
        (None, Some(certificate)) => {
            let key = args.key.as_deref().map(Path::new);
            Ok(from_pem(&Source { certificate, key, password }, &provider)?)
        }
        (None, None) => Err(Problem("expected --pfx FILE or --cert FILE".to_owned())),
    }
}
