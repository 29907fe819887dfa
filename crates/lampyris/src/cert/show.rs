//! `lampyris cert show`.

use std::fmt::Write as _;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use lampyris_tls::Warning;
use lampyris_tls::inspect::{
    Agreed, Anchors, Answer, Details, Probe, Report, Severity, Trust, Verdict, chain_of_file, probe, report,
};
use lampyris_tls::start_log::date;
use lampyris_tls::trust::{Anchor, Machine};
use serde_json::{Value, json};

use super::{LEFT_TO_DO, NOT_DONE, Outcome, Problem, State};

pub(super) const HELP: &str = "What clients say is judged by what is trusted on this machine.\n\n\
    Exit codes: 0 nothing to mend, 1 warnings, 2 errors or not done\n\n\
    Examples:\n  lampyris cert show certs/server.pem --name play.example.org\n  \
    lampyris cert show play.example.org:19093 --json";

const SECONDS_OF_A_DAY: u64 = 24 * 60 * 60;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A PEM file, or a listener
    #[arg(value_name = "FILE|HOST:PORT")]
    target: String,

    /// The host name that clients dial [default: HOST; none for files]
    #[arg(long, value_name = "SNI")]
    name: Option<String>,

    /// Judge as if this authority were trusted
    #[arg(long, value_name = "CA.pem")]
    ca: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    state: State,
}

/// What is shown.
struct Shown<'a> {
    target: &'a str,
    host: Option<&'a str>,
    probe: Option<Probe>,
    warnings: Vec<Warning>,
    report: Report,
    now: SystemTime,
}

pub(super) fn run(args: &Args, now: SystemTime) -> Outcome {
    let anchors = anchors(args)?;
    let file = Path::new(&args.target);
    let shown = if file.is_file() {
        let (chain, mut warnings) = chain_of_file(file)?;
        // What the chain ends at is judged below, by what is trusted here.
        warnings.retain(|warning| !matches!(warning, Warning::MissingIntermediate { .. }));
        let host = args.name.as_deref();
        let report = report(&chain, host, &anchors, now);
        Shown { target: &args.target, host, probe: None, warnings, report, now }
    } else {
        let (host, addresses) = resolve(&args.target)?;
        let host = args.name.as_deref().unwrap_or(host);
        let probe = probe_any(&addresses, host).map_err(|text| Problem(format!("{}: {text}", args.target)))?;
        let agreed = probe.current.agreed().or_else(|| probe.tls12.agreed());
        let chain = agreed.map(|agreed| agreed.chain.clone()).unwrap_or_default();
        let report = report(&chain, Some(host), &anchors, now);
        Shown { target: &args.target, host: Some(host), probe: Some(probe), warnings: Vec::new(), report, now }
    };
    let text = if args.json { format!("{:#}", shown.json()) } else { shown.text() };
    crate::say(text.trim_end());
    Ok(match shown.worst() {
        Some(Severity::Error) => ExitCode::from(NOT_DONE),
        Some(Severity::Warning) => ExitCode::from(LEFT_TO_DO),
        Some(Severity::Note) | None => ExitCode::SUCCESS,
    })
}

/// What this machine trusts: its system, and the server's own authority if a browser trusts that.
fn anchors(args: &Args) -> Result<Anchors, Problem> {
    let mut anchors = Anchors::of_system();
    if let Some(file) = &args.ca {
        anchors = anchors.with_private(chain_of_file(file)?.0);
    }
    if let Ok(state) = args.state.folder()
        && let Ok(anchor) = Anchor::load(&state.join("certs/ca.pem"))
        && !Machine::here().browsers_that_trust(&anchor).is_empty()
    {
        anchors = anchors.with_private([anchor.certificate().clone()]);
    }
    Ok(anchors)
}

fn resolve(target: &str) -> Result<(&str, Vec<SocketAddr>), Problem> {
    let expected = || Problem(format!("expected a file or HOST:PORT, got {target:?}; there is no such file"));
    let (host, port) = target.rsplit_once(':').ok_or_else(expected)?;
    let port: u16 = port.parse().map_err(|_| expected())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let unknown = |error| Problem(format!("cannot find the address of {host:?}: {error}"));
    Ok((host, (host, port).to_socket_addrs().map_err(unknown)?.collect()))
}

/// Asks the first address where something listens.
fn probe_any(addresses: &[SocketAddr], host: &str) -> Result<Probe, String> {
    let mut problem = "the name has no address".to_owned();
    for address in addresses {
        match probe(*address, host) {
            Ok(probe) => return Ok(probe),
            Err(error) => problem = format!("cannot connect to {address}: {error}"),
        }
    }
    Err(problem)
}

/// A verdict in two lines.
pub(super) fn line(verdict: &Verdict) -> String {
    let Verdict { finding, text, remedy, .. } = verdict;
    format!("{}: {text}\n    to mend it: {remedy}", finding.name())
}

impl Shown<'_> {
    fn worst(&self) -> Option<Severity> {
        let found = self.report.verdicts.iter().map(|verdict| verdict.severity);
        let refused = |answer: &Answer| answer.agreed().is_none();
        let probed = self.probe.iter().filter(|probe| refused(&probe.current) || refused(&probe.tls12));
        found.chain(probed.map(|_| Severity::Error)).chain(self.warnings.iter().map(|_| Severity::Warning)).max()
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(probe) = &self.probe {
            text += &format!("{} answers\n", self.target);
            text += &format!("  to current clients  {}\n", answer(&probe.current));
            text += &format!("  to Unity and Mono   {}\n\n", answer(&probe.tls12));
        }
        let count = self.report.certificates.len();
        for (position, details) in (1..).zip(&self.report.certificates) {
            text += &format!("Certificate {position} of {count}\n");
            for (what, value) in rows(details, self.now) {
                // Writing to a text does not fail.
                let _ = writeln!(text, "  {what:<14}{value}");
            }
            text += "\n";
        }
        for warning in &self.warnings {
            text += &format!("warning: {warning}\n");
        }
        for verdict in &self.report.verdicts {
            text += &format!("{} {}\n", verdict.severity, line(verdict));
        }
        if count == 0 {
            return text;
        }
        match self.host {
            Some(host) => text += &format!("\nClients that dial {host}\n"),
            None => text += "\nClients that dial a name of the certificate (--name HOST judges another one)\n",
        }
        for opinion in &self.report.opinions {
            let verb = if opinion.opens { "yes" } else { "no" };
            let _ = writeln!(text, "  {:<28}{verb:<5}{}", opinion.client.name(), opinion.says);
        }
        text
    }

    fn json(&self) -> Value {
        let verdict = |one: &Verdict| {
            json!({
                "finding": one.finding.name(),
                "severity": one.severity.to_string(),
                "text": one.text,
                "remedy": one.remedy,
            })
        };
        let clients = self
            .report
            .opinions
            .iter()
            .map(|one| (one.client.key().to_owned(), json!({ "connects": one.opens, "says": one.says })));
        json!({
            "target": self.target,
            "host": self.host,
            "handshakes": self.probe.as_ref().map(|probe| json!({
                "current": answer_json(&probe.current),
                "tls12": answer_json(&probe.tls12),
            })),
            "trust": trust(&self.report.trust),
            "certificates": self.report.certificates.iter().map(|one| details_json(one, self.now)).collect::<Vec<_>>(),
            "warnings": self.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "findings": self.report.verdicts.iter().map(verdict).collect::<Vec<_>>(),
            "clients": clients.collect::<serde_json::Map<_, _>>(),
        })
    }
}

fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Agreed(Agreed { version, suite, group, .. }) => format!("{version}, {suite}, {group}"),
        Answer::PlainHttp => "without TLS: this is a port for http:// and ws://, not https:// and wss://".to_owned(),
        Answer::Refused(text) => format!("no TLS: {text}"),
    }
}

fn answer_json(answer: &Answer) -> Value {
    match answer {
        Answer::Agreed(Agreed { version, suite, group, .. }) => {
            json!({ "version": version, "suite": suite, "group": group })
        }
        Answer::PlainHttp => json!({ "refused": "the port speaks HTTP without TLS" }),
        Answer::Refused(text) => json!({ "refused": text }),
    }
}

const fn trust(trust: &Trust) -> &'static str {
    match trust {
        Trust::Public => "public",
        Trust::Private { .. } => "private",
        Trust::Untrusted { .. } => "untrusted",
        Trust::SelfSigned => "self-signed",
        Trust::Incomplete { .. } => "incomplete",
    }
}

fn alternatives(details: &Details) -> Vec<String> {
    let addresses = details.summary.addresses.iter().map(ToString::to_string);
    details.summary.names.iter().cloned().chain(addresses).collect()
}

/// Whole days until the end.
fn days_left(details: &Details, now: SystemTime) -> Option<u64> {
    Some(details.remains(now)?.as_secs() / SECONDS_OF_A_DAY)
}

fn rows(details: &Details, now: SystemTime) -> Vec<(&'static str, String)> {
    let summary = &details.summary;
    let any = || "any".to_owned();
    let left = days_left(details, now).map_or_else(|| "expired".to_owned(), |days| format!("{days} days left"));
    vec![
        ("subject", summary.subject.clone()),
        ("names", alternatives(details).join(", ")),
        ("issuer", summary.issuer.clone()),
        ("key", summary.key.to_string()),
        ("key use", details.key_usage.as_ref().map_or_else(any, |usages| usages.join(", "))),
        ("extended use", details.extended_key_usage.as_ref().map_or_else(any, |usages| usages.join(", "))),
        ("from", date(summary.not_before)),
        ("until", format!("{}, {left}", date(summary.not_after))),
        ("serial", details.serial.clone()),
        ("SHA-256", summary.fingerprint_text()),
    ]
}

fn details_json(details: &Details, now: SystemTime) -> Value {
    let summary = &details.summary;
    let seconds = |moment: SystemTime| moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    json!({
        "subject": summary.subject,
        "names": alternatives(details),
        "issuer": summary.issuer,
        "key": summary.key.to_string(),
        "keyUsage": details.key_usage,
        "extendedKeyUsage": details.extended_key_usage,
        "isAuthority": details.is_authority,
        "notBefore": seconds(summary.not_before),
        "notAfter": seconds(summary.not_after),
        "daysLeft": days_left(details, now),
        "serial": details.serial,
        "sha256": summary.fingerprint_text(),
    })
}
