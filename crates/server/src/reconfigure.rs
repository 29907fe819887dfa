//! Another configuration for a server that runs, and what it says of itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use lampyris_engine::Changeable;
use lampyris_tls::store::{Plan, ServedCertificate};

use crate::control::{CertificateStatus, Renewal, Status};
use crate::counters::totals;
use crate::net::post::Letter;
use crate::{Listener, Options, Server, addresses, secure};

impl Server {
    /// Puts in force what can change while it runs: certificates and their settings, where clients are told to go, limits
    /// and intervals of the roles. The rest of the options is that of the start. Workers obey from their next turn on.
    ///
    /// # Errors
    /// What is wrong with the certificates, by listener; then nothing has changed.
    pub fn reconfigure(&mut self, options: &Options) -> Result<(), Vec<String>> {
        let listeners: Vec<_> = self.options.listeners.iter().map(|listener| secured_as(listener, options)).collect();
        let mut plans: Vec<_> = listeners.iter().filter_map(|listener| self.plan(listener)).collect();
        plans.extend(secure::plans_for_servers(&self.options));
        self.store.adopt(plans).map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let options = Options {
            listeners,
            addresses: options.addresses.clone(),
            name_server: options.name_server.clone(),
            master: options.master.clone(),
            game: options.game.clone(),
            ..self.options.clone()
        };
        let told = addresses::told(&options, &self.node);
        let node = Arc::new(self.node.with(Changeable {
            regions: told.regions,
            game_host: told.game.host,
            name_server: options.name_server.clone(),
            master: options.master.clone(),
            game: options.game.clone(),
        }));
        self.mailbox.send_to_all(|| Letter::Config(Arc::clone(&node)));
        self.node = node;
        self.options = options;
        Ok(())
    }

    fn plan(&self, listener: &Listener) -> Option<Plan> {
        let started = self.store.listeners().first()?.serving();
        let challenges = started.plan().settings.challenges.as_ref();
        secure::plan(listener, listener.tls.as_ref()?, self.certificate(), challenges)
    }

    /// What it says of itself.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: std::process::id(),
            user: rustix::process::geteuid().as_raw(),
            uptime_seconds: self.started.elapsed().as_secs(),
            counters: self.counted(),
            renewal: self.renewal(),
            certificates: self.store.served().into_iter().map(certificate).collect(),
            ..Status::default()
        }
    }

    /// Nothing is known of an account whose file cannot be read.
    fn renewal(&self) -> Option<Renewal> {
        let kept = lampyris_acme::status(&self.options.acme.as_ref()?.account).ok()?;
        let since_epoch = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Some(Renewal {
            failures: kept.failures,
            last_error: kept.last_error.map(|failure| failure.text),
            next_try_unix_seconds: kept.next_try.map(since_epoch),
        })
    }

    fn counted(&self) -> BTreeMap<String, u64> {
        let mut counted = totals(&self.counters);
        let of_tls = [
            ("tls_reloads", self.store.exchanges()),
            ("tls_reload_failures", self.store.failures()),
            ("tls_sni_misses", self.store.sni_misses()),
        ];
        counted.extend(of_tls.map(|(name, count)| (name.to_owned(), count)));
        if let Some(tries) = &self.authority_tries {
            counted.insert("acme_failures_since_success".to_owned(), tries.borrow().failures.into());
        }
        counted
    }
}

/// A listener of the start with the TLS that it is to have now. Whether it is secure at all is fixed at the start.
fn secured_as(started: &Listener, options: &Options) -> Listener {
    let is_same = |other: &&Listener| {
        other.bind == started.bind
            && other.node.port == started.node.port
            && other.node.transport() == started.node.transport()
    };
    let now = options.listeners.iter().find(is_same).and_then(|listener| listener.tls.clone());
    let tls = started.tls.clone().map(|before| now.unwrap_or(before));
    Listener { tls, ..started.clone() }
}

fn certificate(served: ServedCertificate) -> CertificateStatus {
    let ServedCertificate { listener, path, summary } = served;
    let not_after = summary.not_after.duration_since(UNIX_EPOCH).unwrap_or_default();
    CertificateStatus { listener, path, names: summary.names, not_after_unix_seconds: not_after.as_secs() }
}
