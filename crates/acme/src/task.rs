//! The task on the control thread: waits, tries, keeps what became of it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use instant_acme::CertificateIdentifier;
use lampyris_tls::Identity;
use tokio::sync::watch;

use crate::certificate::{Current, NewFile};
use crate::door::Door;
use crate::http::Client;
use crate::order::{self, Proofs};
use crate::schedule::{Window, next_try};
use crate::{AcmeError, Answers, Failure, Issued, Serving, Settings, Status, account, status};

/// Time for one order.
const ORDER_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// The longest sleep: the file may have been replaced, the clock set, the machine suspended.
const LOOK_AGAIN: Duration = Duration::from_secs(60 * 60);
/// How often the authority is asked for its window, at most and at least (RFC 9773, section 4.3).
const WINDOW_AGE: [Duration; 2] = [Duration::from_secs(60 * 60), Duration::from_secs(24 * 60 * 60)];

/// Keeps a file supplied with a certificate.
#[derive(Debug)]
pub struct Acme {
    settings: Settings,
    answers: Arc<Answers>,
    status: watch::Sender<Status>,
}

/// What the authority said of renewing a certificate.
#[derive(Default)]
struct Advice {
    fingerprint: [u8; 32],
    window: Option<Window>,
    ask_at: Option<SystemTime>,
}

impl Acme {
    /// Prepares it; nothing is asked of the authority yet, so a slow or wrong one holds up no start.
    ///
    /// # Errors
    /// If a certificate cannot be asked for with these settings.
    pub fn new(settings: Settings) -> Result<Self, AcmeError> {
        settings.check()?;
        let status = status(&settings.account).unwrap_or_else(|error| {
            tracing::warn!(%error, "what became of earlier tries is not known");
            Status::default()
        });
        Ok(Self { settings, answers: Arc::default(), status: watch::Sender::new(status) })
    }

    /// The answers that listeners of the server give.
    #[must_use]
    pub const fn answers(&self) -> &Arc<Answers> {
        &self.answers
    }

    /// What becomes of the tries, as it happens.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Keeps the file supplied, without end. Every failure is logged and kept in the status, none ends it, and the file
    /// stays as it is.
    pub async fn run(self, serving: Serving) -> Infallible {
        let (mut advice, mut dice) = (Advice::default(), dice());
        loop {
            let now = SystemTime::now();
            let current = Current::read(&self.settings.certificate, &self.settings.names);
            if let Some(current) = &current {
                self.ask_for_window(current, &mut advice, now).await;
            }
            let known = self.status.borrow().clone();
            let at = next_try(now, current.as_ref(), &self.settings.directory, advice.window, &known, dice);
            if at <= now {
                self.attempt(&serving, current.as_ref(), &advice).await;
                dice = self::dice();
                continue;
            }
            if known.next_try != Some(at) {
                self.keep(Status { next_try: Some(at), ..known });
                self.log_next(at, now);
            }
            let wait = [Some(at), advice.ask_at].into_iter().flatten().min().unwrap_or(at);
            let wait = wait.duration_since(now).unwrap_or_default().clamp(Duration::from_secs(1), LOOK_AGAIN);
            tokio::time::sleep(wait).await;
        }
    }

    /// One try, well or badly.
    async fn attempt(&self, serving: &Serving, current: Option<&Current>, advice: &Advice) {
        let mut status = self.status.borrow().clone();
        status.begin(SystemTime::now());
        // Kept before: a crash in the middle counts as a try.
        self.keep(status.clone());
        // Only a first try says what it replaces: some authorities refuse what they believe to be replaced already.
        let renews = current.filter(|_| advice.window.is_some() && status.failures == 0);
        let identified = renews.and_then(|current| CertificateIdentifier::try_from(&current.leaf).ok());
        let replaces = identified.map(CertificateIdentifier::into_owned);
        status.next_try = None;
        match self.issue(serving, replaces).await {
            Ok(issued) => {
                tracing::info!(
                    path = %self.settings.certificate.display(), names = issued.names.join(", "),
                    directory = issued.directory, fingerprint = issued.fingerprint, "a new certificate was issued"
                );
                status = Status { last_success: Some(issued), last_error: None, failures: 0, ..status };
            }
            Err(error) => {
                let serves = current.is_some_and(|one| !one.is_makeshift && one.not_after > SystemTime::now());
                if serves {
                    tracing::warn!(%error, "no new certificate; the old one stays");
                } else {
                    tracing::error!(%error, "no certificate: clients cannot connect to the secure listeners");
                }
                status.failures = status.failures.saturating_add(1);
                status.last_error = Some(Failure::new(SystemTime::now(), &error));
            }
        }
        self.keep(status);
    }

    async fn issue(
        &self,
        serving: &Serving,
        replaces: Option<CertificateIdentifier<'static>>,
    ) -> Result<Issued, AcmeError> {
        let settings = &self.settings;
        // First of all, so that no certificate is issued that cannot be written.
        let mut file = NewFile::begin(&settings.certificate)?;
        let client = Client::new(settings.directory_roots.as_deref())?;
        let account = account::open(settings, &client).await?;
        let door = match serving {
            Serving::Temporary(addresses) => Some(Door::open(&settings.challenge, addresses, &self.answers).await?),
            Serving::Server => None,
        };
        let mut proofs = Proofs::new(&settings.challenge, &self.answers);
        let order = order::obtain(&account, settings, replaces, &mut proofs);
        let new = tokio::time::timeout(ORDER_TIMEOUT, Box::pin(order)).await;
        proofs.take_down().await;
        drop(door);
        let new = new.unwrap_or(Err(AcmeError::TimedOut(ORDER_TIMEOUT)))?;
        file.fill(new.chain.as_bytes())?;
        file.fill(new.key.as_bytes())?;
        let issued = self.examine(&file)?;
        file.put()?;
        Ok(issued)
    }

    /// Reads the new file as the listeners will.
    fn examine(&self, file: &NewFile) -> Result<Issued, AcmeError> {
        let unusable = |text: &str| AcmeError::Unusable(text.to_owned());
        let identity = Identity::load(file.temporary(), &lampyris_tls::config::provider())?;
        let new = Current::of(&identity, &self.settings.names).ok_or_else(|| unusable("the chain is empty"))?;
        let now = SystemTime::now();
        if !new.covers {
            return Err(unusable("it does not have every name that was asked for"));
        }
        if new.not_after <= now {
            return Err(unusable("it has expired; check the clock of this machine"));
        }
        Ok(Issued {
            at: now,
            directory: self.settings.directory.clone(),
            names: self.settings.names.clone(),
            fingerprint: new.fingerprint(),
            not_after: new.not_after,
        })
    }

    /// Asks the authority when it wants its certificate to be renewed, if it is time to ask. Without an answer the last
    /// one holds.
    async fn ask_for_window(&self, current: &Current, advice: &mut Advice, now: SystemTime) {
        if advice.fingerprint != current.fingerprint {
            *advice = Advice { fingerprint: current.fingerprint, ..Advice::default() };
        }
        let is_theirs = self.status.borrow().last_success.as_ref().is_some_and(|issued| {
            issued.fingerprint == current.fingerprint() && issued.directory == self.settings.directory
        });
        if !is_theirs || advice.ask_at.is_some_and(|at| now < at) {
            return;
        }
        let [least, most] = WINDOW_AGE;
        let delay = match self.window(current).await {
            Ok(Some((window, delay))) => {
                advice.window = Some(window);
                delay
            }
            Ok(None) => most,
            Err(error) => {
                tracing::debug!(%error, "the authority does not say when to renew");
                least
            }
        };
        advice.ask_at = now.checked_add(delay.clamp(least, most));
    }

    /// `None` = the authority has no such service.
    async fn window(&self, current: &Current) -> Result<Option<(Window, Duration)>, AcmeError> {
        let settings = &self.settings;
        let id = CertificateIdentifier::try_from(&current.leaf).map_err(AcmeError::Unusable)?;
        let client = Client::new(settings.directory_roots.as_deref())?;
        let account = account::open(settings, &client).await?;
        match account.renewal_info(&id).await {
            Ok((info, delay)) => {
                let window = info.suggested_window;
                Ok(Some((Window { start: window.start.into(), end: window.end.into() }, delay)))
            }
            Err(instant_acme::Error::Unsupported(_)) => Ok(None),
            Err(error) => Err(AcmeError::of_protocol(error, &settings.directory, "the time of renewal")),
        }
    }

    fn keep(&self, status: Status) {
        if let Err(error) = status::keep(&self.settings.account, &status) {
            tracing::warn!(%error, "what became of this try is not kept");
        }
        self.status.send_replace(status);
    }

    fn log_next(&self, at: SystemTime, now: SystemTime) {
        let minutes = at.duration_since(now).unwrap_or_default().as_secs().div_ceil(60);
        let (days, hours, minutes) = (minutes / (24 * 60), minutes / 60 % 24, minutes % 60);
        let names = self.settings.names.join(", ");
        tracing::info!(names, "the next certificate is asked for in {days} d {hours} h {minutes} min");
    }
}

/// A number from 0 to 1; without randomness from the system, servers that start together try together.
fn dice() -> f64 {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_or(0.5, |()| f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX))
}
