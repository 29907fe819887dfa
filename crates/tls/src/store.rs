//! The certificates of the secure listeners, exchanged while they serve.
//!
//! A listener's new set is read and checked whole before it takes the place of the old one; if anything is wrong, the
//! old one stays. Connections keep what they began with.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{Context, SHA256};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs::Ticketer};
use rustls::server::ProducesTickets;

use crate::certificate::Source;
use crate::clients::revocations_beside;
use crate::config::{provider, server_config_with};
use crate::staple::path_beside;
use crate::{Asked, ClientCertificates, Identity, PasswordSource, Selection, Settings, Summary, TlsError, Warning};

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// Certificate and chain.
    pub certificate: PathBuf,
    /// Key; may be the same file.
    pub key: PathBuf,
    /// Password of the key.
    pub password: Option<PasswordSource>,
}

/// What a secure listener is told.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The listener, for messages and metrics.
    pub listener: String,
    /// Its certificates.
    pub certificates: Vec<CertificateFiles>,
    /// Name of the certificate for clients that name no host.
    pub default_domain: Option<String>,
    /// Versions, suites, certificates of clients.
    pub settings: Settings,
}

/// Why a listener has no certificates.
#[derive(Debug, thiserror::Error)]
#[error("{listener}: {error}")]
pub struct PlanError {
    /// The place of its plan.
    pub index: usize,
    /// The listener.
    pub listener: String,
    /// What is wrong.
    #[source]
    pub error: TlsError,
}

/// What became of a listener when its files were read again.
#[derive(Debug)]
pub enum Outcome {
    /// The files say what they said before.
    Unchanged,
    /// New certificates are served.
    Exchanged,
    /// The old ones stay.
    Kept(TlsError),
}

/// A certificate that is served, for metrics (`tls_cert_not_after_seconds{listener,name}`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedCertificate {
    /// The listener.
    pub listener: String,
    /// Its file.
    pub path: PathBuf,
    /// What it says of itself.
    pub summary: Summary,
}

/// What a listener serves until it is exchanged as a whole.
pub struct Serving {
    plan: Plan,
    config: Arc<ServerConfig>,
    selection: Arc<Selection>,
    /// Of everything that clients are shown, and that certificates of clients are judged by.
    digest: [u8; 32],
}

impl Serving {
    /// What was planned.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The certificates.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Whether clients and operator would see no difference.
    fn is_like(&self, other: &Self) -> bool {
        let warnings =
            |serving: &Self| serving.selection.identities().iter().flat_map(Identity::warnings).cloned().collect();
        let (ours, theirs): (Vec<_>, Vec<_>) = (warnings(self), warnings(other));
        self.digest == other.digest && ours == theirs
    }

    /// The certificates, each with its files.
    pub fn certificates(&self) -> impl Iterator<Item = (&CertificateFiles, &Identity)> {
        self.plan.certificates.iter().zip(self.selection.identities())
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").field("plan", &self.plan).field("selection", &self.selection).finish_non_exhaustive()
    }
}

/// One listener, with what it serves now.
#[derive(Debug)]
pub struct Secured {
    serving: ArcSwap<Serving>,
    asked: Arc<Asked>,
}

impl Secured {
    /// The configuration for the next handshake.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.serving.load().config)
    }

    /// What is served now.
    #[must_use]
    pub fn serving(&self) -> Arc<Serving> {
        self.serving.load_full()
    }

    /// What clients asked for since the start.
    #[must_use]
    pub fn asked(&self) -> &Asked {
        &self.asked
    }
}

/// The certificates of all secure listeners of a server.
#[derive(Debug)]
pub struct Store {
    listeners: Vec<Arc<Secured>>,
    strict: bool,
    work: Mutex<Work>,
    exchanges: AtomicU64,
    failures: AtomicU64,
}

/// What reading files needs; one reading at a time.
#[derive(Debug, Default)]
struct Work {
    tickets: Tickets,
    stamps: Vec<Option<Stamp>>,
}

impl Store {
    /// Reads everything. With `strict` a key that others may read is an error.
    ///
    /// # Errors
    /// Those of every listener.
    pub fn load(plans: Vec<Plan>, strict: bool) -> Result<Self, Vec<PlanError>> {
        let mut work = Work { stamps: stamps(&files_of(&plans)), ..Work::default() };
        let (mut listeners, mut errors) = (Vec::new(), Vec::new());
        let mut reading = Reading::new(strict);
        for (index, plan) in plans.into_iter().enumerate() {
            let (listener, asked) = (plan.listener.clone(), Arc::<Asked>::default());
            match reading.prepare(plan, &asked, &mut work.tickets) {
                Ok(serving) => listeners.push(Arc::new(Secured { serving: ArcSwap::from_pointee(serving), asked })),
                Err(error) => errors.push(PlanError { index, listener, error }),
            }
        }
        if errors.is_empty() {
            let zero = AtomicU64::default;
            Ok(Self { listeners, strict, work: Mutex::new(work), exchanges: zero(), failures: zero() })
        } else {
            Err(errors)
        }
    }

    /// The listeners, in the order of their plans.
    #[must_use]
    pub fn listeners(&self) -> &[Arc<Secured>] {
        &self.listeners
    }

    /// Takes new plans for the listeners, in their order, all or none; nothing is done for listeners beyond.
    ///
    /// # Errors
    /// Those of every listener; then each serves what it served.
    pub fn adopt(&self, plans: Vec<Plan>) -> Result<(), Vec<PlanError>> {
        let mut work = self.work();
        let now = stamps(&files_of(&plans));
        let (mut prepared, mut errors) = (Vec::new(), Vec::new());
        let mut reading = Reading::new(self.strict);
        for (index, (secured, plan)) in self.listeners.iter().zip(plans).enumerate() {
            let listener = plan.listener.clone();
            match reading.prepare(plan, &secured.asked, &mut work.tickets) {
                Ok(serving) => prepared.push((secured, serving)),
                Err(error) => errors.push(PlanError { index, listener, error }),
            }
        }
        if !errors.is_empty() {
            self.failures.fetch_add(1, Ordering::Relaxed);
            return Err(errors);
        }
        for (secured, serving) in prepared {
            let is_news = !serving.is_like(&secured.serving.load());
            secured.serving.store(Arc::new(serving));
            if is_news {
                log_exchange(&secured.serving());
            }
        }
        work.stamps = now;
        work.tickets.forget_unused();
        self.exchanges.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Reads every file again. What cannot be used is logged and leaves the listener what it has.
    pub fn reload(&self) -> Vec<Outcome> {
        let mut work = self.work();
        work.stamps = stamps(&self.files());
        self.read_again(&mut work)
    }

    /// Reads the files again if one of them is another than last time.
    pub fn reload_if_changed(&self) -> Vec<Outcome> {
        let mut work = self.work();
        let now = stamps(&self.files());
        if now == work.stamps {
            return Vec::new();
        }
        work.stamps = now;
        self.read_again(&mut work)
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_again(&self, work: &mut Work) -> Vec<Outcome> {
        let mut reading = Reading::new(self.strict);
        let outcomes: Vec<_> =
            self.listeners.iter().map(|secured| reading.exchange(secured, &mut work.tickets)).collect();
        work.tickets.forget_unused();
        self.count(&outcomes);
        self.log(&outcomes);
        outcomes
    }

    fn count(&self, outcomes: &[Outcome]) {
        let any = |wanted: fn(&Outcome) -> bool| u64::from(outcomes.iter().any(wanted));
        self.exchanges.fetch_add(any(|outcome| matches!(outcome, Outcome::Exchanged)), Ordering::Relaxed);
        self.failures.fetch_add(any(|outcome| matches!(outcome, Outcome::Kept(_))), Ordering::Relaxed);
    }

    fn log(&self, outcomes: &[Outcome]) {
        let mut told: Vec<(String, Vec<String>)> = Vec::new();
        for (secured, outcome) in self.listeners.iter().zip(outcomes) {
            let serving = secured.serving();
            match outcome {
                Outcome::Unchanged => {}
                Outcome::Exchanged => log_exchange(&serving),
                // Listeners mostly share their files, and so what is wrong with them.
                Outcome::Kept(error) => {
                    let (text, listener) = (error.to_string(), serving.plan.listener.clone());
                    match told.iter_mut().find(|(same, _)| *same == text) {
                        Some((_, listeners)) => listeners.push(listener),
                        None => told.push((text, vec![listener])),
                    }
                }
            }
        }
        for (error, listeners) in told {
            let listeners = listeners.join(", ");
            tracing::error!(%listeners, "the new certificates cannot be used, the old ones stay: {error}");
        }
    }

    /// Times that new certificates were taken (`tls_reloads_total`).
    #[must_use]
    pub fn exchanges(&self) -> u64 {
        self.exchanges.load(Ordering::Relaxed)
    }

    /// Times that changed files could not be used (`tls_reload_failures_total`).
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Handshakes with a name that no certificate covers (`tls_sni_miss_total`).
    #[must_use]
    pub fn sni_misses(&self) -> u64 {
        self.listeners.iter().map(|secured| secured.asked.sni_misses()).sum()
    }

    /// Every certificate of every listener.
    #[must_use]
    pub fn served(&self) -> Vec<ServedCertificate> {
        let served = |secured: &Arc<Secured>| {
            let serving = secured.serving();
            let of = |(files, identity): (&CertificateFiles, &Identity)| ServedCertificate {
                listener: serving.plan.listener.clone(),
                path: files.certificate.clone(),
                summary: identity.summary().clone(),
            };
            serving.certificates().map(of).collect::<Vec<_>>()
        };
        self.listeners.iter().flat_map(served).collect()
    }

    /// Every file that certificates and their use depend on; some need not exist.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let serving: Vec<_> = self.listeners.iter().map(|secured| secured.serving()).collect();
        files_of(serving.iter().map(|serving| &serving.plan))
    }
}

fn log_exchange(serving: &Serving) {
    let listener = &serving.plan.listener;
    for (files, identity) in serving.certificates() {
        let (path, summary) = (files.certificate.display(), identity.summary());
        let days = summary.not_after.duration_since(SystemTime::now()).unwrap_or_default().as_secs() / (24 * 60 * 60);
        let sha256 = summary.fingerprint_text();
        tracing::info!(%listener, %path, subject = %summary.subject, days, %sha256, "serving a new certificate");
        for warning in identity.warnings() {
            tracing::warn!(%listener, %path, "{warning}");
        }
    }
}

/// One pass over the files, which reads each of them once: opening an encrypted key takes long.
struct Reading {
    provider: Arc<CryptoProvider>,
    strict: bool,
    identities: Vec<(CertificateFiles, Identity)>,
}

impl Reading {
    fn new(strict: bool) -> Self {
        Self { provider: provider(), strict, identities: Vec::new() }
    }

    fn identity(&mut self, files: &CertificateFiles) -> Result<Identity, TlsError> {
        if let Some((_, identity)) = self.identities.iter().find(|(read, _)| read == files) {
            return Ok(identity.clone());
        }
        let key = Some(files.key.as_path()).filter(|key| *key != files.certificate);
        let source = Source { certificate: &files.certificate, key, password: files.password.as_ref() };
        let identity = Identity::load_from(&source, &self.provider)?;
        for warning in identity.warnings() {
            if let (true, Warning::KeyReadable { path, mode }) = (self.strict, warning) {
                return Err(TlsError::KeyReadable { path: path.clone(), mode: *mode });
            }
        }
        self.identities.push((files.clone(), identity.clone()));
        Ok(identity)
    }

    fn prepare(&mut self, plan: Plan, asked: &Arc<Asked>, tickets: &mut Tickets) -> Result<Serving, TlsError> {
        let identities = plan.certificates.iter().map(|files| self.identity(files)).collect::<Result<Vec<_>, _>>()?;
        let digest = digest(&identities, &plan.settings.clients);
        let tickets = tickets.of(&identities, &plan.settings.clients)?;
        let selection = Selection::new(identities, plan.default_domain.as_deref())?.counting_in(Arc::clone(asked));
        let selection = Arc::new(selection);
        let config = server_config_with(Arc::clone(&selection), &plan.settings, tickets)?;
        Ok(Serving { plan, config, selection, digest })
    }

    fn exchange(&mut self, secured: &Secured, tickets: &mut Tickets) -> Outcome {
        let old = secured.serving();
        let mut plan = old.plan.clone();
        let prepared = plan.settings.clients.read_again().and_then(|clients| {
            plan.settings.clients = clients;
            self.prepare(plan, &secured.asked, tickets)
        });
        match prepared {
            Ok(new) if new.is_like(&old) => Outcome::Unchanged,
            Ok(new) => {
                secured.serving.store(Arc::new(new));
                Outcome::Exchanged
            }
            Err(error) => Outcome::Kept(error),
        }
    }
}

fn digest(identities: &[Identity], clients: &ClientCertificates) -> [u8; 32] {
    let authorities = clients.authorities().into_iter().flat_map(|authorities| authorities.contents());
    let mut context = Context::new(&SHA256);
    for part in identities.iter().flat_map(Identity::contents).chain(authorities) {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    digest
}

/// Session tickets: listeners with the same certificates take each other's, so that the way from NameServer to Master
/// to Game costs one full handshake. A listener that judges certificates of clients takes its own alone, since a
/// resumed session is not judged again. Keys change each six hours.
#[derive(Default)]
struct Tickets(Vec<(Fingerprints, Arc<dyn ProducesTickets>)>);

/// Of a listener's certificates.
type Fingerprints = Vec<[u8; 32]>;

impl Tickets {
    fn of(
        &mut self,
        identities: &[Identity],
        clients: &ClientCertificates,
    ) -> Result<Arc<dyn ProducesTickets>, TlsError> {
        if clients.authorities().is_some() {
            return Ok(Ticketer::new()?);
        }
        let certificates: Fingerprints = identities.iter().map(|identity| identity.summary().fingerprint).collect();
        if let Some((_, tickets)) = self.0.iter().find(|(of, _)| *of == certificates) {
            return Ok(Arc::clone(tickets));
        }
        let tickets = Ticketer::new()?;
        self.0.push((certificates, Arc::clone(&tickets)));
        Ok(tickets)
    }

    fn forget_unused(&mut self) {
        self.0.retain(|(_, tickets)| Arc::strong_count(tickets) > 1);
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tickets({})", self.0.len())
    }
}

fn files_of<'a>(plans: impl IntoIterator<Item = &'a Plan>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for plan in plans {
        for certificate in &plan.certificates {
            files.push(certificate.certificate.clone());
            files.push(path_beside(&certificate.certificate));
            files.push(certificate.key.clone());
            if let Some(PasswordSource::File(path)) = &certificate.password {
                files.push(path.clone());
            }
        }
        if let Some(authorities) = plan.settings.clients.authorities() {
            files.push(authorities.path().to_owned());
            files.push(revocations_beside(authorities.path()));
        }
    }
    files.sort();
    files.dedup();
    files
}

/// Tells a file from the one that was there before.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// `None` for a file that is not there.
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|path| Stamp::of(path)).collect()
}
