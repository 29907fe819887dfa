//! TLS of connections that this server makes to others of its installation.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::sign::SingleCertAndKey;

use crate::{Authorities, Identity, TlsError, config};

/// A connection that trusts what these authorities issued, and shows `identity` if it is asked.
///
/// # Errors
/// If an authority's certificate cannot be used.
pub fn client_config(authorities: &Authorities, identity: Option<&Identity>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut verifier = WebPkiServerVerifier::builder_with_provider(authorities.roots()?, config::provider());
    if !authorities.revocations().is_empty() {
        verifier = verifier.with_crls(authorities.revocations().iter().cloned()).allow_unknown_revocation_status();
    }
    let verifier = verifier.build().map_err(|error| authorities.unusable(&error))?;
    let builder = ClientConfig::builder_with_provider(config::provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    Ok(Arc::new(match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let shown = SingleCertAndKey::from(Arc::clone(&identity.certified));
            builder.with_client_cert_resolver(Arc::new(shown))
        }
    }))
}
