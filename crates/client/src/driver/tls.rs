//! Which certificates a client trusts.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;

/// Which certificates a client trusts on `wss`.
#[derive(Clone, Debug)]
pub enum TlsRoots {
    /// None: `wss` does not connect.
    None,
    /// What these authorities signed, such as a development authority of the server's.
    Authorities(Vec<CertificateDer<'static>>),
    /// As the configuration says.
    Config(Arc<rustls::ClientConfig>),
}

impl TlsRoots {
    pub(super) fn into_config(self) -> Result<Arc<rustls::ClientConfig>, rustls::Error> {
        let authorities = match self {
            Self::Config(config) => return Ok(config),
            Self::None => Vec::new(),
            Self::Authorities(authorities) => authorities,
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority)?;
        }
        Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    }
}
