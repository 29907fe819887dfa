//! Making certificates: a private CA, and leaves below it. Every field is set, because clients are strict:
//! browsers refuse a leaf whose key usage lacks `digitalSignature`, and some embedded TLS stacks cannot even parse a
//! CA with name constraints.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber, date_time_ymd,
};

use crate::TlsError;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Life of the CA: it is trusted by hand, on every machine that plays.
pub(crate) const CA_LIFETIME: Duration = Duration::from_secs(3652 * DAY.as_secs());
/// Life of a leaf.
pub(crate) const LEAF_LIFETIME: Duration = Duration::from_secs(90 * DAY.as_secs());
/// A client whose clock is behind must not see a certificate of the future.
const BACKDATED: Duration = Duration::from_secs(60 * 60);

/// A CA that was just made.
pub(crate) struct Ca {
    pub(crate) certificate_pem: String,
    pub(crate) key: KeyPair,
}

/// Makes a CA named after the machine and the day.
pub(crate) fn make_ca(host: &str, now: SystemTime) -> Result<Ca, TlsError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = fields(now, CA_LIFETIME)?;
    let made = params.not_before;
    let name = format!("Lampyris local CA {host} {:04}-{:02}-{:02}", made.year(), u8::from(made.month()), made.day());
    params.distinguished_name = common_name(&name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate_pem = params.self_signed(&key)?.pem();
    Ok(Ca { certificate_pem, key })
}

/// Makes a leaf for these names and addresses and returns it with its key, as PEM.
pub(crate) fn make_leaf(
    ca_pem: &str,
    ca_key: &KeyPair,
    names: &[String],
    addresses: &[IpAddr],
    now: SystemTime,
) -> Result<String, TlsError> {
    let issuer = Issuer::from_ca_cert_pem(ca_pem, ca_key)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = fields(now, LEAF_LIFETIME)?;
    params.distinguished_name = common_name(names.first().map_or("localhost", String::as_str));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    for name in names {
        params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
    }
    params.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(format!("{}{}", certificate.pem(), key.serialize_pem()))
}

fn fields(now: SystemTime, lifetime: Duration) -> Result<CertificateParams, TlsError> {
    let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let epoch = date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::default();
    params.not_before = epoch + since_epoch.saturating_sub(BACKDATED);
    params.not_after = epoch + since_epoch + lifetime;
    params.serial_number = Some(serial()?);
    params.key_identifier_method = KeyIdMethod::Sha256;
    Ok(params)
}

/// 128 random bits, positive and not zero.
fn serial() -> Result<SerialNumber, TlsError> {
    let mut octets = [0; 16];
    getrandom::fill(&mut octets).map_err(TlsError::Random)?;
    let [first, ..] = &mut octets;
    *first = (*first & 0x7F) | 0x40;
    Ok(SerialNumber::from_slice(&octets))
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}
