//! Certificate files as the server will read them.

use lampyris_config::Certificate;
use lampyris_tls::{Identity, PasswordSource, Source, TlsError, config};

/// Reads certificate and key.
pub(crate) fn load(certificate: &Certificate) -> Result<Identity, TlsError> {
    let password = certificate.password.as_ref().and_then(|password| PasswordSource::parse(password.expose()));
    let key = Some(certificate.key.as_path()).filter(|key| *key != certificate.certificate);
    let source = Source { certificate: &certificate.certificate, key, password: password.as_ref() };
    Identity::load_from(&source, &config::provider())
}
