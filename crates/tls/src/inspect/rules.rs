//! The rules by which a chain is judged.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::{Details, Finding, Severity, Trust, Verdict};
use crate::KeyKind;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// With less time left it is told; of short lives, with less than a third.
const SOON: Duration = Duration::from_secs(30 * DAY.as_secs());
/// Longest life that browsers accept from public authorities: 398 days, and one hour for clocks.
const PUBLIC_LIFE: Duration = Duration::from_secs(398 * DAY.as_secs() + 3600);
/// Longest life that Apple's systems accept from private authorities: 825 days, and one hour for clocks.
const PRIVATE_LIFE: Duration = Duration::from_secs(825 * DAY.as_secs() + 3600);
/// Shortest RSA key that current clients accept.
const RSA_BITS: usize = 2048;

/// What is judged.
pub(super) struct Case<'a> {
    pub(super) certificates: &'a [Details],
    pub(super) host: Option<&'a str>,
    pub(super) trust: &'a Trust,
    pub(super) now: SystemTime,
}

impl Case<'_> {
    /// The name that commands are to be given.
    fn name(&self) -> &str {
        let named = self.host.filter(|host| host.parse::<IpAddr>().is_err());
        let leaf = self.certificates.first().map(|leaf| &leaf.summary);
        let covered = || leaf.and_then(|leaf| leaf.names.first()).map(String::as_str);
        let called = || leaf.and_then(|leaf| leaf.common_name.as_deref());
        named.or_else(covered).or_else(called).unwrap_or("NAME")
    }

    /// How to get a better certificate: of the same kind as this one.
    fn again(&self) -> String {
        let name = self.name();
        match self.trust {
            Trust::Public | Trust::Incomplete { .. } => {
                format!("lampyris cert csr --name {name} --out server.csr, and have the authority issue it again")
            }
            Trust::Private { .. } | Trust::Untrusted { .. } | Trust::SelfSigned => {
                format!("lampyris cert dev --name {name}")
            }
        }
    }
}

pub(super) fn damaged(position: usize, detail: &str) -> Verdict {
    Verdict {
        finding: Finding::Damaged,
        severity: Severity::Error,
        text: format!("certificate {position} of the chain cannot be read: {detail}"),
        remedy: "replace it by the one that the authority issued".to_owned(),
    }
}

/// Applies every rule.
pub(super) fn judge(case: &Case<'_>) -> Vec<Verdict> {
    let Some(leaf) = case.certificates.first() else { return Vec::new() };
    let mut verdicts = Vec::new();
    let mut tell = |finding, severity, text, remedy| verdicts.push(Verdict { finding, severity, text, remedy });
    usage(case, leaf, &mut tell);
    strength(case, leaf, &mut tell);
    trust(case, &mut tell);
    names(case, leaf, &mut tell);
    validity(case, &mut tell);
    verdicts
}

type Tell<'a> = dyn FnMut(Finding, Severity, String, String) + 'a;

fn usage(case: &Case<'_>, leaf: &Details, tell: &mut Tell<'_>) {
    if !leaf.may_sign() {
        let usages = leaf.key_usage.as_deref().unwrap_or_default();
        let old_recipe = usages == ["keyEncipherment", "dataEncipherment"];
        let origin = if old_recipe { ", as an old `openssl req -x509` recipe makes it" } else { "" };
        let text = format!(
            "the key usage is {} and lacks digitalSignature{origin}: Chrome fails with \
             ERR_SSL_KEY_USAGE_INCOMPATIBLE and Unity refuses it too, whether they trust it or not",
            usages.join(", ")
        );
        tell(Finding::NoDigitalSignature, Severity::Error, text, case.again());
    }
    if !leaf.may_serve() {
        let usages = leaf.extended_key_usage.as_deref().unwrap_or_default().join(", ");
        let text = format!("the extended key usage is {usages} and lacks serverAuth: every client refuses it");
        tell(Finding::NoServerAuth, Severity::Error, text, case.again());
    }
    if leaf.is_authority {
        let text =
            "the certificate says that it is an authority (CA:TRUE), as `openssl req -x509` makes it by default: \
                    Firefox and clients on rustls refuse it as a server's"
                .to_owned();
        tell(Finding::AuthorityAsLeaf, Severity::Warning, text, case.again());
    }
    let limits = |one: &&Details| one.is_authority && one.has_critical_name_constraints;
    if let Some(authority) = case.certificates.iter().find(limits) {
        let text = format!(
            "the authority {:?} has critical name constraints: Unity cannot even parse it",
            authority.summary.subject
        );
        let remedy = "make an authority without them: lampyris cert dev in another state folder".to_owned();
        tell(Finding::NameConstraints, Severity::Warning, text, remedy);
    }
}

fn strength(case: &Case<'_>, leaf: &Details, tell: &mut Tell<'_>) {
    match leaf.summary.key {
        KeyKind::Rsa { bits } if bits < RSA_BITS => {
            let text = format!("the key has {bits} bits, and clients expect {RSA_BITS} of RSA at least");
            tell(Finding::WeakKey, Severity::Error, text, case.again());
        }
        KeyKind::Other => {
            let text = "browsers and Unity take no Ed25519 certificates; they expect ECDSA P-256 or RSA".to_owned();
            tell(Finding::Ed25519, Severity::Error, text, case.again());
        }
        KeyKind::Rsa { .. } | KeyKind::Ecdsa { .. } => {}
    }
    if let Some(weak) = case.certificates.iter().find(|one| one.has_weak_signature) {
        let text = format!("{:?} is signed with MD5 or SHA-1, which clients refuse", weak.summary.subject);
        tell(Finding::WeakSignature, Severity::Error, text, case.again());
    }
}

fn trust(case: &Case<'_>, tell: &mut Tell<'_>) {
    let trust_it = |file: &str| format!("lampyris cert trust {file}, on each machine that plays");
    match case.trust {
        Trust::Public => {}
        Trust::Private { authority } => {
            let text = format!(
                "the private authority {authority:?} is trusted on this machine; every other machine that plays has to \
                 trust it too, or Unity reports UNITYTLS_X509VERIFY_FLAG_NOT_TRUSTED and browsers their warning"
            );
            tell(Finding::PrivateAuthority, Severity::Note, text, trust_it("ca.pem"));
        }
        Trust::Untrusted { authority } => {
            let text = format!(
                "the chain ends at {authority:?}, which is not trusted on this machine: browsers fail with \
                 ERR_CERT_AUTHORITY_INVALID, Unity with UNITYTLS_X509VERIFY_FLAG_NOT_TRUSTED"
            );
            tell(Finding::UntrustedAuthority, Severity::Warning, text, trust_it("ca.pem"));
        }
        Trust::SelfSigned => {
            let text = "the certificate is its own issuer and not trusted on this machine: browsers fail with \
                        ERR_CERT_AUTHORITY_INVALID, Unity with UNITYTLS_X509VERIFY_FLAG_NOT_TRUSTED"
                .to_owned();
            let remedy = format!("{} and trust its authority once, or {}", case.again(), trust_it("FILE"));
            tell(Finding::SelfSigned, Severity::Warning, text, remedy);
        }
        Trust::Incomplete { issuer, location } => {
            let text = format!(
                "the certificate of the issuer {issuer:?} is not sent: clients that do not fetch it fail, Unity and Node \
                 among them"
            );
            let remedy = format!("append it to the certificate's file; it is at {location}");
            tell(Finding::MissingIntermediate, Severity::Error, text, remedy);
        }
    }
    let mut pairs = case.certificates.iter().zip(case.certificates.iter().skip(1));
    if let Some((one, next)) = pairs.find(|(one, next)| one.summary.issuer != next.summary.subject) {
        let text = format!(
            "the chain is out of order: {:?} stands where the issuer of {:?} is expected",
            next.summary.subject, one.summary.subject
        );
        let remedy = "sort the file: lampyris cert import --cert FILE --out server.pem".to_owned();
        tell(Finding::Order, Severity::Warning, text, remedy);
    }
}

fn names(case: &Case<'_>, leaf: &Details, tell: &mut Tell<'_>) {
    let has_names = !leaf.summary.names.is_empty() || !leaf.summary.addresses.is_empty();
    if !has_names {
        let text =
            "the certificate has no subject alternative name; browsers do not look at the common name and fail with \
                    ERR_CERT_COMMON_NAME_INVALID"
                .to_owned();
        tell(Finding::NoNames, Severity::Error, text, case.again());
    }
    let Some(host) = case.host else { return };
    let is_address = host.parse::<IpAddr>().is_ok();
    if has_names && !leaf.covers(host) {
        let addresses = leaf.summary.addresses.iter().map(ToString::to_string);
        let covered = leaf.summary.names.iter().cloned().chain(addresses).collect::<Vec<_>>().join(", ");
        let text = format!("clients dial {host}, and the certificate covers {covered}{}", depth(leaf, host));
        let remedy = if is_address { case.again().replace("--name", "--ip") } else { case.again() };
        let remedy = if is_address { remedy.replacen(case.name(), host, 1) } else { remedy };
        tell(Finding::NameNotCovered, Severity::Error, text, remedy);
    }
    if is_address {
        let text =
            format!("clients dial the address {host}: Unity does not find addresses in certificates and refuses");
        let remedy = "give clients a host name, and the certificate too: lampyris cert dev --name NAME".to_owned();
        tell(Finding::AddressAsHost, Severity::Warning, text, remedy);
    }
}

/// The hint that a wildcard stands for one label.
fn depth(leaf: &Details, host: &str) -> &'static str {
    let ends = |name: &String| {
        let suffix = name.strip_prefix('*').unwrap_or_default().to_ascii_lowercase();
        !suffix.is_empty() && (host.to_ascii_lowercase().ends_with(&suffix) || format!(".{host}") == suffix)
    };
    if leaf.summary.names.iter().any(ends) { "; a wildcard stands for exactly one label" } else { "" }
}

fn validity(case: &Case<'_>, tell: &mut Tell<'_>) {
    let now = case.now;
    for (position, one) in case.certificates.iter().enumerate() {
        let (summary, remains) = (&one.summary, one.remains(now));
        let subject = &summary.subject;
        let life = summary.not_after.duration_since(summary.not_before).unwrap_or_default();
        if let Ok(ahead) = summary.not_before.duration_since(now)
            && !ahead.is_zero()
        {
            let text = format!(
                "{subject:?} is not valid before {} more; a wrong clock here, or one on the machine that made it, is \
                 the usual cause",
                span(ahead)
            );
            tell(Finding::NotYetValid, Severity::Error, text, "compare the clocks: timedatectl".to_owned());
        }
        match remains {
            None => {
                let ago = now.duration_since(summary.not_after).unwrap_or_default();
                let text = format!("{subject:?} has expired {} ago: every client refuses it", span(ago));
                tell(Finding::Expired, Severity::Error, text, case.again());
            }
            Some(remains) if remains < SOON.min(life / 3) => {
                let text = format!("{subject:?} expires in {}", span(remains));
                tell(Finding::ExpiresSoon, Severity::Warning, text, case.again());
            }
            Some(_) => {}
        }
        let days = life.as_secs() / DAY.as_secs();
        let is_leaf = position == 0;
        if is_leaf && *case.trust == Trust::Public && life > PUBLIC_LIFE {
            let text = format!("its life of {days} days is longer than the 398 that browsers accept");
            tell(Finding::LongLife, Severity::Error, text, case.again());
        } else if is_leaf && life > PRIVATE_LIFE {
            let text = format!(
                "its life of {days} days is longer than the 825 that Apple's systems accept; Chrome and Firefox on Linux \
                 do not mind"
            );
            tell(Finding::LongLife, Severity::Warning, text, case.again());
        }
    }
}

/// A span in days, or in hours if there are few.
fn span(span: Duration) -> String {
    let hours = span.as_secs() / 3600;
    match (hours / 24, hours) {
        (0, 1) => "1 hour".to_owned(),
        (0, hours) => format!("{hours} hours"),
        (1, _) => "1 day".to_owned(),
        (days, _) => format!("{days} days"),
    }
}
