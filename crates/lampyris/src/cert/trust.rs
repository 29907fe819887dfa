//! `lampyris cert trust` and `untrust`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lampyris_tls::trust::{Anchor, Machine, Plan, Step};

use super::{LEFT_TO_DO, Outcome, State};

pub(super) const HELP: &str = "The system's store belongs to root; those of browsers to each user. Browsers that run have to be \
    started again.\n\n\
    Exit codes: 0 done, 1 something is left to do, 2 not done\n\n\
    Example: lampyris cert trust certs/ca.pem --dry-run";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The authority's certificate, or one that is its own issuer [default: certs/ca.pem below the state folder]
    #[arg(value_name = "CA.pem")]
    file: Option<PathBuf>,

    /// Show the commands, change nothing
    #[arg(long)]
    dry_run: bool,

    /// Folder that the system's files are below, for images that are being made
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,

    #[command(flatten)]
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Trust,
    Untrust,
}

pub(super) fn run(args: &Args, direction: Direction) -> Outcome {
    let file = match &args.file {
        Some(file) => file.clone(),
        None => args.state.folder()?.join("certs/ca.pem"),
    };
    let anchor = Anchor::load(&file)?;
    let machine = Machine { root: args.root.clone(), ..Machine::here() };
    let mut plan = match direction {
        Direction::Trust => machine.plan_trust(&anchor),
        Direction::Untrust => machine.plan_untrust(&anchor),
    };
    let is_system_ours = rustix::process::geteuid().is_root() || args.root != Path::new("/");
    if !is_system_ours && !plan.system.is_empty() && !args.dry_run {
        let word = if direction == Direction::Trust { "trust" } else { "untrust" };
        plan.obstacles.push(format!(
            "the system's store belongs to root: sudo lampyris cert {word} {}",
            file.canonicalize().unwrap_or_else(|_| file.clone()).display()
        ));
        plan.system.clear();
    }
    let is_complete = carry_out(&plan, args.dry_run);
    if direction == Direction::Trust {
        crate::say(&format!("\nOther machines and programs:\n{}", instructions(&file).trim_end()));
    }
    Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::from(LEFT_TO_DO) })
}

/// Takes the steps, or shows them, and says whether nothing is left to do.
fn carry_out(plan: &Plan, is_dry: bool) -> bool {
    let mut is_complete = plan.obstacles.is_empty();
    let mut take = |steps: &[Step]| {
        for step in steps {
            crate::say(&format!("{}{step}", if is_dry { "would run: " } else { "run: " }));
            if is_dry {
                continue;
            }
            if let Err(error) = step.take() {
                crate::warn(&error.to_string());
                is_complete = false;
                // What follows in the same store builds on it.
                break;
            }
        }
    };
    take(&plan.system);
    take(&plan.browsers);
    plan.done.iter().for_each(|done| crate::say(&format!("done before: {done}")));
    plan.obstacles.iter().for_each(|obstacle| crate::warn(obstacle));
    is_complete
}

/// How clients come to trust a certificate.
pub(super) fn instructions(file: &Path) -> String {
    let path = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let path = path.display();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let rows = [
        ("Linux", format!("lampyris cert trust {path}  (system, Chromium, Firefox)")),
        ("Windows", format!("certutil -addstore -f Root {name}  (as administrator)")),
        (
            "macOS",
            format!("sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {name}"),
        ),
        ("Firefox", "Settings, Certificates, View, Authorities, Import: trust it for websites".to_owned()),
        ("Android", "Settings, Security, Install a certificate, CA certificate".to_owned()),
        (
            "iOS",
            "open the file and install the profile; then Settings, General, About, Certificate Trust Settings: on"
                .to_owned(),
        ),
        ("Unity", "uses the store of the system that the game runs on: see the lines above".to_owned()),
        ("Node", format!("NODE_EXTRA_CA_CERTS={path} node app.js")),
        ("curl", format!("curl --cacert {path} https://HOST:19093/")),
    ];
    rows.iter().map(|(client, how)| format!("  {client:<9}{how}\n")).collect()
}
