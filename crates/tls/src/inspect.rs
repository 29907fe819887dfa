//! Judging a certificate chain: what is wrong with it, what mends it, and what each kind of client makes of it.
//!
//! What clients do was measured: the same certificates do not open everywhere, and a client on OpenSSL, which takes
//! nearly anything, proves nothing about browsers or games.
//!
//! | certificate, from a trusted issuer | Chromium | Firefox | Unity (Mbed TLS) |
//! | --- | --- | --- | --- |
//! | key usage without `digitalSignature` | refuses, trusted or not | opens | refuses |
//! | no subject alternative name | refuses | refuses | opens by the common name |
//! | address as name | opens | opens | refuses |
//! | extended key usage without `serverAuth` | refuses | refuses | refuses |
//! | authority with critical name constraints | opens | opens | refuses |

mod anchors;
mod clients;
mod details;
mod finding;
mod probe;
mod rules;

use std::io;
use std::path::Path;
use std::time::SystemTime;

use rustls_pki_types::CertificateDer;

use crate::{TlsError, Warning, certificate, chain, files};

pub use anchors::{Anchors, Trust};
pub use clients::{Client, Opinion};
pub use details::Details;
pub use finding::{Finding, Severity, Verdict};
pub use probe::{Agreed, Answer, PROBE_TIMEOUT, Probe, probe};

/// All there is to say of a chain.
#[derive(Clone, Debug)]
pub struct Report {
    /// The certificates that could be read, in the order in which they were presented.
    pub certificates: Vec<Details>,
    /// Where the chain ends.
    pub trust: Trust,
    /// What is wrong, worst first.
    pub verdicts: Vec<Verdict>,
    /// What each kind of client makes of it.
    pub opinions: Vec<Opinion>,
}

/// Judges a chain, leaf first, for clients that dial `host`. Without a host, names are not compared.
#[must_use]
pub fn report(chain: &[CertificateDer<'_>], host: Option<&str>, anchors: &Anchors, now: SystemTime) -> Report {
    let mut certificates = Vec::new();
    let mut damaged = Vec::new();
    for (position, certificate) in (1..).zip(chain) {
        match Details::of(certificate) {
            Ok(details) => certificates.push(details),
            Err(detail) => damaged.push(rules::damaged(position, &detail)),
        }
    }
    let trust = anchors.trust(chain);
    let case = rules::Case { certificates: &certificates, host, trust: &trust, now };
    let mut verdicts = rules::judge(&case);
    verdicts.extend(damaged);
    verdicts.sort_by_key(|verdict| std::cmp::Reverse(verdict.severity));
    let opinions = clients::opinions(&case, &verdicts);
    Report { certificates, trust, verdicts, opinions }
}

/// The chain that a PEM file gives, in the order in which it is served: leaf first, without the root.
///
/// # Errors
/// If the file cannot be read, or has no certificate.
pub fn chain_of_file(path: &Path) -> Result<(Vec<CertificateDer<'static>>, Vec<Warning>), TlsError> {
    let not_found = || io::Error::from(io::ErrorKind::NotFound);
    let bytes =
        files::read(path)?.ok_or_else(|| TlsError::Unreadable { path: path.to_owned(), source: not_found() })?;
    let mut certificates = certificate::certificates(&bytes, path)?;
    let issues = |one: &CertificateDer<'_>| {
        certificates.iter().any(|other| other != one && certificate::is_issued_by(other, one))
    };
    let leaf = certificates.iter().position(|one| !issues(one)).unwrap_or(0);
    let leaf = certificates.remove(leaf);
    Ok(chain::order(leaf, certificates))
}

/// What is wrong with a chain, worst first; see [`report`].
#[must_use]
pub fn verdicts(chain: &[CertificateDer<'_>], host: Option<&str>, anchors: &Anchors, now: SystemTime) -> Vec<Verdict> {
    report(chain, host, anchors, now).verdicts
}
