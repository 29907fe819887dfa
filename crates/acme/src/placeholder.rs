//! A certificate that fills the place until the first one is issued.
//!
//! Secure listeners need a certificate to start, and the authority's question may arrive at one of them. So the server
//! starts with a certificate of its own making: no client trusts it, and nothing is ever served in plain text instead.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lampyris_tls::{Identity, Summary};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};

use crate::AcmeError;
use crate::certificate::{Current, write_private};

/// Common name of the placeholder.
const ISSUER: &str = "Lampyris placeholder, waiting for ACME";
/// It is not for use.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// A client whose clock is behind must not see a certificate of the future.
const BACKDATED: Duration = Duration::from_secs(60 * 60);

/// What the issuers of development certificates are called.
const DEVELOPMENT: &str = "Lampyris local CA";

/// Whether a certificate is of this program's own making: a placeholder, or one for development.
pub(crate) fn is_makeshift(summary: &Summary) -> bool {
    [ISSUER, DEVELOPMENT].iter().any(|issuer| summary.issuer.contains(issuer))
}

/// Sees to it that there is a file for the secure listeners to start with. Returns whether a placeholder is in it.
///
/// A file that is there is not touched, even if it cannot be read as a certificate: it may be the operator's.
///
/// # Errors
/// If the placeholder cannot be made or written.
pub fn ensure_certificate(path: &Path, names: &[String], now: SystemTime) -> Result<bool, AcmeError> {
    if path.exists() {
        let identity = Identity::load(path, &lampyris_tls::config::provider()).ok();
        let is_placeholder = identity.as_ref().is_some_and(|identity| identity.summary().issuer.contains(ISSUER));
        let current = identity.and_then(|identity| Current::of(&identity, names));
        let is_fresh = current.is_some_and(|current| current.covers && current.not_after > now);
        if !is_placeholder || is_fresh {
            return Ok(is_placeholder);
        }
    }
    write_private(path, make(names, now)?.as_bytes())?;
    tracing::warn!(
        path = %path.display(),
        "there is no certificate yet: until the authority has issued one, no client will trust this server's secure \
         listeners; `lampyris doctor` tells why if it takes long"
    );
    Ok(true)
}

/// Certificate and key, as PEM. It is signed by itself: nobody shall be able to trust its issuer.
fn make(names: &[String], now: SystemTime) -> Result<String, AcmeError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let epoch = date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::default();
    params.not_before = epoch + since_epoch.saturating_sub(BACKDATED);
    params.not_after = epoch + since_epoch + LIFETIME;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, ISSUER);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for name in names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into()?),
        });
    }
    Ok(format!("{}{}", params.self_signed(&key)?.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn t29_without_a_certificate_a_placeholder_lets_secure_listeners_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("certs/server.pem");
        let names = ["play.example.org".to_owned(), "192.0.2.1".to_owned()];
        let now = SystemTime::now();
        assert!(ensure_certificate(&path, &names, now).unwrap());
        let current = Current::read(&path, &names).unwrap();
        assert!(current.is_makeshift && current.covers);
        let identity = Identity::load(&path, &lampyris_tls::config::provider()).unwrap();
        assert!(identity.warnings().is_empty(), "{:?}", identity.warnings());
        let first = fs::read(&path).unwrap();
        assert!(ensure_certificate(&path, &names, now).unwrap());
        assert_eq!(fs::read(&path).unwrap(), first, "it is kept while it is fresh");
        assert!(ensure_certificate(&path, &names, now + 2 * LIFETIME).unwrap());
        assert_ne!(fs::read(&path).unwrap(), first, "an old one is made again");
    }

    #[test]
    fn a_certificate_for_development_is_made_way_for_and_not_touched_before() {
        let folder = tempfile::tempdir().unwrap();
        let (now, provider) = (SystemTime::now(), lampyris_tls::config::provider());
        let wanted = lampyris_tls::Wanted { host: "a.test".to_owned(), ..Default::default() };
        let made = lampyris_tls::development::ensure(folder.path(), &wanted, None, now, &provider).unwrap();
        let before = fs::read(&made.server_pem).unwrap();
        assert!(!ensure_certificate(&made.server_pem, &["b.test".to_owned()], now).unwrap());
        assert_eq!(fs::read(&made.server_pem).unwrap(), before);
        assert!(Current::read(&made.server_pem, &[]).unwrap().is_makeshift);
    }

    #[test]
    fn a_file_of_the_operator_is_never_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.pem");
        fs::write(&path, "what I put here").unwrap();
        assert!(!ensure_certificate(&path, &["a.test".to_owned()], SystemTime::now()).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"what I put here");
    }
}
