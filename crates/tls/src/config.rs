//! The TLS side of the secure listeners.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};

use crate::{Identity, TlsError};

const ALPN_HTTP_1_1: &[u8] = b"http/1.1";

/// The cryptography used throughout; never the process-wide default, so that no other one can slip in.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// One configuration, to be shared by all secure listeners, so that a session ticket of the NameServer shortens the
/// handshakes with the Master and the Game.
///
/// TLS 1.2 stays on, since desktop game clients speak nothing newer. A client without ALPN is served like one that
/// offers `http/1.1`. There is no early data: what it carries can be replayed.
///
/// # Errors
/// If the TLS library refuses its own defaults or has no randomness for the ticket keys.
pub fn server_config(identity: &Identity) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Single(Arc::clone(&identity.certified))));
    config.alpn_protocols = vec![ALPN_HTTP_1_1.to_vec()];
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// The one certificate, whatever name the client asks for: clients that dial an address send none.
#[derive(Debug)]
struct Single(Arc<CertifiedKey>);

impl ResolvesServerCert for Single {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}
