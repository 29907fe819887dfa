//! The TLS side of the secure listeners.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ProducesTickets, ResolvesServerCert};
use rustls::{NamedGroup, ServerConfig, SupportedCipherSuite};

use crate::{CipherList, ClientCertificates, Identity, ProtocolRange, Selection, TlsError, challenge};

const ALPN_HTTP_1_1: &[u8] = b"http/1.1";

/// What a listener may be told of TLS.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Versions that are spoken.
    pub versions: ProtocolRange,
    /// TLS 1.2 suites that are offered.
    pub ciphers: CipherList,
    /// Certificates of clients.
    pub clients: ClientCertificates,
    /// Certificates for an authority that asks by tls-alpn-01, see [`crate::challenge`].
    pub challenges: Option<Arc<dyn ResolvesServerCert>>,
}

/// The cryptography used throughout; never the process-wide default, so that no other one can slip in.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// One certificate with the default settings; see [`server_config_for`].
///
/// # Errors
/// If the TLS library refuses its own defaults or has no randomness for the ticket keys.
pub fn server_config(identity: &Identity) -> Result<Arc<ServerConfig>, TlsError> {
    server_config_for(Arc::new(Selection::single(identity.clone())), &Settings::default())
}

/// One configuration, to be shared by all secure listeners with the same settings, so that a session ticket of the
/// NameServer shortens the handshakes with the Master and the Game.
///
/// TLS 1.2 stays on by default, since desktop game clients speak nothing newer. A client without ALPN is served like
/// one that offers `http/1.1`; one that offers only other protocols gets the alert `no_application_protocol`
/// (RFC 7301). There is no early data: what it carries can be replayed.
///
/// # Errors
/// If a key is too weak for the settings, or the TLS library refuses them or has no randomness for the ticket keys.
pub fn server_config_for(selection: Arc<Selection>, settings: &Settings) -> Result<Arc<ServerConfig>, TlsError> {
    server_config_with(selection, settings, aws_lc_rs::Ticketer::new()?)
}

/// What [`server_config_for`] gives, with tickets of its owner's.
pub(crate) fn server_config_with(
    selection: Arc<Selection>,
    settings: &Settings,
    ticketer: Arc<dyn ProducesTickets>,
) -> Result<Arc<ServerConfig>, TlsError> {
    for identity in selection.identities() {
        settings.ciphers.check_key(identity.summary().key)?;
    }
    let mut config = ServerConfig::builder_with_provider(Arc::new(restricted(&settings.ciphers)))
        .with_protocol_versions(&settings.versions.supported())?
        .with_client_cert_verifier(settings.clients.verifier()?)
        .with_cert_resolver(selection);
    config.alpn_protocols = vec![ALPN_HTTP_1_1.to_vec()];
    config.ticketer = ticketer;
    config.max_early_data_size = 0;
    // The order of `CipherList` counts, as it does with OpenSSL told to keep to it.
    config.ignore_client_order = true;
    if let Some(challenges) = &settings.challenges {
        challenge::accept_challenges(&mut config, challenges);
    }
    Ok(Arc::new(config))
}

/// TLS 1.3 suites as they are, then those of TLS 1.2 in the order of the list.
fn restricted(ciphers: &CipherList) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    let is_tls13 = |suite: &SupportedCipherSuite| suite.tls13().is_some();
    provider.cipher_suites.retain(|suite| is_tls13(suite) || ciphers.position(suite.suite()).is_some());
    // Nothing sorts ahead of something: the TLS 1.3 suites, which keep their order.
    provider.cipher_suites.sort_by_key(|suite| ciphers.position(suite.suite()));
    provider.kx_groups.retain(|group| ciphers.allows_group(group.name()));
    // The hybrid group first, which protects what is recorded today; the others keep their order.
    provider.kx_groups.sort_by_key(|group| group.name() != NamedGroup::X25519MLKEM768);
    provider
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t17_key_exchange_prefers_the_hybrid_group_then_the_fast_curve() {
        let groups: Vec<_> = restricted(&CipherList::default()).kx_groups.iter().map(|group| group.name()).collect();
        let expected = [NamedGroup::X25519MLKEM768, NamedGroup::X25519, NamedGroup::secp256r1, NamedGroup::secp384r1];
        assert_eq!(groups, expected);
    }
}
