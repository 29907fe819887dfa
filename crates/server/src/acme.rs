//! Certificates from an authority: who answers its questions, and the task beside the workers.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use lampyris_acme::{Acme, Answers, Challenge, Serving, Settings, Status, ensure_certificate};
use lampyris_engine::{Challenges, Service};
use rustls::server::ResolvesServerCert;
use tokio::sync::watch;

use crate::{Options, StartError, Tls};

/// Certificates from an authority, before the server has started.
#[derive(Debug)]
pub(crate) struct Authority {
    acme: Acme,
    serving: Serving,
    by_handshake: bool,
}

impl Authority {
    /// Sees to it that the secure listeners have a certificate to start with. Nothing is asked of the authority yet, so
    /// one that is slow or down holds up no start.
    pub(crate) fn prepare(options: &Options) -> Result<Option<Self>, StartError> {
        let Some(settings) = &options.acme else { return Ok(None) };
        let acme = Acme::new(settings.clone())?;
        // The server's own certificate is made by itself, and makes way for that of the authority.
        if options.listeners.iter().any(|listener| matches!(listener.tls, Some(Tls::Files(_)))) {
            ensure_certificate(&settings.certificate, &settings.names, SystemTime::now())?;
        }
        let serving = serving(options, settings);
        let by_handshake = matches!(settings.challenge, Challenge::TlsAlpn01 { .. });
        Ok(Some(Self { acme, serving, by_handshake }))
    }

    /// What plain HTTP is answered with.
    pub(crate) fn challenges(&self) -> Arc<dyn Challenges> {
        Arc::new(OverHttp(Arc::clone(self.acme.answers())))
    }

    /// What handshakes are answered with, if that is how names are proven.
    pub(crate) fn certificates(&self) -> Option<Arc<dyn ResolvesServerCert>> {
        self.by_handshake.then(|| -> Arc<dyn ResolvesServerCert> { self.acme.answers().clone() })
    }

    /// What becomes of the tries, as it happens.
    pub(crate) fn watch(&self) -> watch::Receiver<Status> {
        self.acme.watch()
    }

    /// Keeps the certificate fresh, without end.
    pub(crate) async fn run(self) -> Infallible {
        self.acme.run(self.serving).await
    }
}

/// Answers to plain HTTP.
#[derive(Debug)]
struct OverHttp(Arc<Answers>);

impl Challenges for OverHttp {
    fn answer(&self, path: &str) -> Option<Arc<str>> {
        self.0.http(path)
    }
}

/// Who answers: a listener of ours that has the port, or one that is opened for it.
fn serving(options: &Options, settings: &Settings) -> Serving {
    let (port, secure) = match settings.challenge {
        Challenge::Http01 { port } => (port, false),
        Challenge::TlsAlpn01 { port } => (port, true),
        Challenge::Dns01(_) => return Serving::Server,
    };
    let answers = options.listeners.iter().any(|listener| {
        let speaks_http = matches!(listener.node.service, Service::WebSocket { .. });
        listener.node.port == port && listener.tls.is_some() == secure && (secure || speaks_http)
    });
    if answers { Serving::Server } else { Serving::Temporary(Vec::new()) }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use lampyris_engine::{Role, Transport};

    use super::*;
    use crate::Listener;

    fn settings(challenge: Challenge) -> Settings {
        Settings {
            names: vec!["play.example.org".to_owned()],
            email: None,
            terms_agreed: true,
            directory: "https://localhost/dir".to_owned(),
            directory_roots: None,
            account: PathBuf::from("account.json"),
            external_account: None,
            profile: None,
            challenge,
            certificate: PathBuf::from("server.pem"),
        }
    }

    #[test]
    fn t30_a_listener_on_the_port_of_the_challenge_answers_or_one_is_opened() {
        let listeners = [(Transport::Ws, 80), (Transport::Wss, 443), (Transport::Tcp, 4530)];
        let listeners = listeners.map(|(transport, port)| Listener::of_role(Role::Master, transport, port));
        let options = Options::new(PathBuf::new(), listeners.into());
        let by = |challenge| serving(&options, &settings(challenge));
        let temporary = Serving::Temporary(Vec::new());
        assert_eq!(by(Challenge::Http01 { port: 80 }), Serving::Server);
        assert_eq!(by(Challenge::Http01 { port: 443 }), temporary);
        assert_eq!(by(Challenge::Http01 { port: 4530 }), temporary);
        assert_eq!(by(Challenge::TlsAlpn01 { port: 443 }), Serving::Server);
        assert_eq!(by(Challenge::TlsAlpn01 { port: 80 }), temporary);
    }
}
