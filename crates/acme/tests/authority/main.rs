//! Against the test authority `pebble` (Debian's package of that name), on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod fake;
mod issuing;
mod pebble;
mod trouble;

use std::net::Ipv4Addr;
use std::time::SystemTime;

use lampyris_acme::{Acme, Challenge, Serving, Settings, Status, ensure_certificate};
use lampyris_tls::Identity;
use tokio::task::JoinSet;

use crate::pebble::{PATIENCE, Pebble, Place};

fn http(pebble: &Pebble) -> Challenge {
    Challenge::Http01 { port: pebble.http_port() }
}

fn settings(place: &Place, directory: &str, challenge: Challenge, names: &[&str]) -> Settings {
    Settings {
        names: names.iter().map(|&name| name.to_owned()).collect(),
        email: Some("operator@example.test".to_owned()),
        terms_agreed: true,
        directory: directory.to_owned(),
        directory_roots: Some(place.roots()),
        account: place.path("acme/account.json"),
        external_account: None,
        profile: None,
        challenge,
        certificate: place.path("out/server.pem"),
    }
}

/// A running task; it ends with the test.
struct Running {
    settings: Settings,
    status: tokio::sync::watch::Receiver<Status>,
    _task: JoinSet<()>,
}

impl Running {
    /// Starts as the server does: with a placeholder if there is nothing.
    fn start(settings: &Settings) -> Self {
        ensure_certificate(&settings.certificate, &settings.names, SystemTime::now()).unwrap();
        let acme = Acme::new(settings.clone()).unwrap();
        let status = acme.watch();
        let mut task = JoinSet::new();
        task.spawn(async { match acme.run(Serving::Temporary(vec![Ipv4Addr::LOCALHOST.into()])).await {} });
        Self { settings: settings.clone(), status, _task: task }
    }

    async fn until(&mut self, what: &str, is_so: impl FnMut(&Status) -> bool) -> Status {
        let waited = tokio::time::timeout(PATIENCE, self.status.wait_for(is_so)).await;
        match waited {
            Ok(status) => status.unwrap().clone(),
            Err(_) => panic!("{what} did not happen; {:?}", lampyris_acme::status(&self.settings.account)),
        }
    }

    /// Waits for the first certificate.
    async fn issued(&mut self) -> Identity {
        let status = self.until("a certificate", |status| status.last_success.is_some()).await;
        assert_eq!(status.last_error, None);
        assert_eq!(self.kept()["last_success"], serde_json::to_value(status).unwrap()["last_success"]);
        self.identity()
    }

    /// Waits for the first failure.
    async fn failed(&mut self) -> String {
        let status = self.until("a failure", |status| status.last_error.is_some()).await;
        status.last_error.unwrap().text
    }

    /// What the file beside the account says; it has whole seconds.
    fn kept(&self) -> serde_json::Value {
        serde_json::to_value(lampyris_acme::status(&self.settings.account).unwrap()).unwrap()
    }

    fn identity(&self) -> Identity {
        Identity::load(&self.settings.certificate, &lampyris_tls::config::provider()).unwrap()
    }
}
