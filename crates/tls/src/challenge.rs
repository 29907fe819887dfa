//! The authority's question in a handshake (RFC 8737): who asks it gets the answer in the form of a certificate.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// What a client speaks that asks for the challenge tls-alpn-01. A connection on which it was agreed carries nothing and
/// is to be closed after the handshake.
pub const ALPN_ACME: &[u8] = b"acme-tls/1";

/// Gives the authority the certificate of its challenge, and every other client the one that it would get anyway.
#[derive(Debug)]
struct Split {
    challenges: Arc<dyn ResolvesServerCert>,
    others: Arc<dyn ResolvesServerCert>,
}

impl ResolvesServerCert for Split {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asks = hello.alpn().is_some_and(|mut protocols| protocols.any(|protocol| protocol == ALPN_ACME));
        if asks { self.challenges.resolve(hello) } else { self.others.resolve(hello) }
    }
}

/// Lets a listener answer challenges besides what it serves.
pub(crate) fn accept_challenges(config: &mut ServerConfig, challenges: &Arc<dyn ResolvesServerCert>) {
    let (challenges, others) = (Arc::clone(challenges), Arc::clone(&config.cert_resolver));
    config.cert_resolver = Arc::new(Split { challenges, others });
    config.alpn_protocols.push(ALPN_ACME.to_vec());
}
