//! The certificates that clients get: those that the server sent, or those in its files while it does not run.

use lampyris_client::Transport;
use lampyris_tls::inspect::{self, Details, Severity as Grade, Verdict};
use rustls_pki_types::CertificateDer;

use crate::handed_out::{handed_out, literal};
use crate::identity;
use crate::serving::{Endpoint, endpoints};
use crate::{Context, Finding, Severity};

/// A chain, and for whom.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    /// Role and port.
    pub(crate) listener: String,
    /// The name that clients dial.
    pub(crate) host: Option<String>,
    pub(crate) certificates: Vec<CertificateDer<'static>>,
}

/// Every chain that clients get, once for each name that they ask for.
pub(crate) fn chains(context: &Context<'_>) -> Vec<Chain> {
    let name = |name: &str| Some(name.to_owned()).filter(|name| literal(name).is_none());
    let seen = context.probed.ports.iter().filter_map(|probe| {
        let certificates = probe.handshake.as_ref()?.chain.clone();
        let listener = format!("{} {}", probe.target.role.name(), probe.target.port);
        Some(Chain { listener, host: name(&probe.target.name), certificates })
    });
    let seen: Vec<_> = seen.collect();
    if seen.is_empty() { of_files(context) } else { seen }
}

fn of_files(context: &Context<'_>) -> Vec<Chain> {
    let Some(config) = context.local_config() else { return Vec::new() };
    let mut chains = Vec::new();
    for endpoint in endpoints(config).iter().filter(|endpoint| endpoint.transport == Transport::Wss) {
        let loaded = endpoint.tls().map(|tls| tls.certificates.iter().filter_map(|one| identity::load(one).ok()));
        let loaded: Vec<_> = loaded.into_iter().flatten().map(|identity| identity.chain().to_vec()).collect();
        for host in dialled(context, endpoint) {
            let covers = |chain: &&Vec<CertificateDer<'static>>| {
                let details = chain.first().and_then(|leaf| Details::of(leaf).ok());
                host.as_deref().zip(details).is_some_and(|(host, details)| details.covers(host))
            };
            let Some(chain) = loaded.iter().find(covers).or_else(|| loaded.first()) else { continue };
            let listener = format!("{} {}", endpoint.role.name(), endpoint.port());
            chains.push(Chain { listener, host, certificates: chain.clone() });
        }
    }
    chains
}

/// The names that clients dial to get there; the NameServer's is nowhere written, so it is that of the others.
fn dialled(context: &Context<'_>, endpoint: &Endpoint<'_>) -> Vec<Option<String>> {
    let Some(config) = context.config() else { return Vec::new() };
    let mut names: Vec<Option<String>> = Vec::new();
    let told = handed_out(config);
    let is_told = told.iter().any(|told| told.role == endpoint.role);
    for told in told.iter().filter(|told| told.is_ours && told.address.transport == Transport::Wss) {
        let host = &told.address.host;
        let fits = told.role == endpoint.role || !is_told;
        if fits && !host.is_empty() && literal(host).is_none() && !names.contains(&Some(host.clone())) {
            names.push(Some(host.clone()));
        }
    }
    if names.is_empty() { vec![None] } else { names }
}

/// What the rules say of every chain, as far as `is_wanted`; each finding once, with the listeners that have it.
pub(crate) fn judge(context: &Context<'_>, is_wanted: fn(inspect::Finding) -> bool) -> Vec<Finding> {
    let mut told: Vec<(Verdict, Vec<String>)> = Vec::new();
    for chain in chains(context) {
        let now = context.machine.now();
        for verdict in inspect::verdicts(&chain.certificates, chain.host.as_deref(), context.anchors, now) {
            if !is_wanted(verdict.finding) {
                continue;
            }
            match told.iter_mut().find(|(known, _)| *known == verdict) {
                Some((_, listeners)) if listeners.contains(&chain.listener) => {}
                Some((_, listeners)) => listeners.push(chain.listener.clone()),
                None => told.push((verdict, vec![chain.listener.clone()])),
            }
        }
    }
    let finding = |(verdict, listeners): (Verdict, Vec<String>)| {
        let severity = match verdict.severity {
            Grade::Note => Severity::Information,
            Grade::Warning => Severity::Warning,
            Grade::Error => Severity::Error,
        };
        Finding::new(severity, format!("{}: {}", listeners.join(", "), verdict.text)).mend(verdict.remedy)
    };
    told.into_iter().map(finding).collect()
}
