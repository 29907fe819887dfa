//! Making certificates: private authorities, and leaves below them. Every field is set, because clients are strict:
//! browsers refuse a leaf whose key usage lacks `digitalSignature`, and some embedded TLS stacks cannot even parse an
//! authority with name constraints.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256,
    PKCS_RSA_SHA256, RsaKeySize, SanType, SerialNumber, date_time_ymd,
};

use crate::{KeyKind, TlsError};

/// A day of a certificate's life.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Life of an authority: it is trusted by hand, on every machine that plays.
pub(crate) const CA_LIFETIME: Duration = Duration::from_secs(3652 * DAY.as_secs());
/// Life of a leaf.
pub(crate) const LEAF_LIFETIME: Duration = Duration::from_secs(90 * DAY.as_secs());
/// A client whose clock is behind must not see a certificate of the future.
const BACKDATED: Duration = Duration::from_secs(60 * 60);

/// The kind of key that a certificate gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// ECDSA on the curve P-256: small and fast, and known to every client since about 2014.
    #[default]
    P256,
    /// RSA of 2048 bits, for clients that know nothing else.
    Rsa2048,
    /// RSA of 3072 bits.
    Rsa3072,
}

impl KeyAlgorithm {
    /// That of a certificate to be renewed.
    pub(crate) const fn like(key: KeyKind) -> Self {
        match key {
            KeyKind::Rsa { bits: 0..=2048 } => Self::Rsa2048,
            KeyKind::Rsa { .. } => Self::Rsa3072,
            KeyKind::Ecdsa { .. } | KeyKind::Other => Self::P256,
        }
    }

    pub(crate) fn generate(self) -> Result<KeyPair, TlsError> {
        Ok(match self {
            Self::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
            Self::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?,
            Self::Rsa3072 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072)?,
        })
    }
}

/// What a leaf is to say.
#[derive(Clone, Debug)]
pub(crate) struct Leaf<'a> {
    /// DNS names; the first is its common name.
    pub(crate) names: &'a [String],
    pub(crate) addresses: &'a [IpAddr],
    /// Names of the form of a URI.
    pub(crate) uris: &'a [String],
    pub(crate) lifetime: Duration,
    /// Whether it stands for a client too, as between servers.
    pub(crate) is_client_too: bool,
}

/// A certificate that was just made, with its key.
pub(crate) struct Made {
    pub(crate) certificate_pem: String,
    pub(crate) key: KeyPair,
}

impl Made {
    /// Certificate and key in one file.
    pub(crate) fn pem(&self) -> String {
        format!("{}{}", self.certificate_pem, self.key.serialize_pem())
    }
}

/// Makes an authority. The moment is added to its name, because clients tell authorities apart by their names. With
/// `only` it can issue for these names, and those below them, alone.
pub(crate) fn make_ca(name: &str, only: Option<&Leaf<'_>>, now: SystemTime) -> Result<Made, TlsError> {
    let key = KeyAlgorithm::P256.generate()?;
    let mut params = fields(now, CA_LIFETIME)?;
    let made = params.not_before + BACKDATED;
    let date = format!("{:04}-{:02}-{:02}", made.year(), u8::from(made.month()), made.day());
    params.distinguished_name = common_name(&format!("{name} {date} {:02}:{:02}", made.hour(), made.minute()));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = only.map(|only| NameConstraints {
        permitted_subtrees: only
            .names
            .iter()
            .map(|name| GeneralSubtree::DnsName(name.trim_start_matches("*.").to_owned()))
            .chain(only.addresses.iter().map(|address| {
                let whole = if address.is_ipv4() { 32 } else { 128 };
                GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*address, whole))
            }))
            .collect(),
        excluded_subtrees: Vec::new(),
    });
    let certificate_pem = params.self_signed(&key)?.pem();
    Ok(Made { certificate_pem, key })
}

/// Makes a leaf below an authority, given as its certificate in PEM and its key, or by itself.
pub(crate) fn make_leaf(
    authority: Option<(&str, &KeyPair)>,
    leaf: &Leaf<'_>,
    algorithm: KeyAlgorithm,
    now: SystemTime,
) -> Result<Made, TlsError> {
    let key = algorithm.generate()?;
    let mut params = fields(now, leaf.lifetime)?;
    describe(&mut params, leaf, &key)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    let certificate = match authority {
        Some((pem, ca_key)) => params.signed_by(&key, &Issuer::from_ca_cert_pem(pem, ca_key)?)?,
        None => params.self_signed(&key)?,
    };
    Ok(Made { certificate_pem: certificate.pem(), key })
}

/// Asks an authority for a leaf with this key; the request as PEM.
pub(crate) fn make_request(leaf: &Leaf<'_>, key: &KeyPair) -> Result<String, TlsError> {
    let mut params = CertificateParams::default();
    describe(&mut params, leaf, key)?;
    Ok(params.serialize_request(key)?.pem()?)
}

fn describe(params: &mut CertificateParams, leaf: &Leaf<'_>, key: &KeyPair) -> Result<(), TlsError> {
    let address = || leaf.addresses.first().map(ToString::to_string);
    let first = leaf.names.first().cloned().or_else(address).unwrap_or_else(|| "localhost".to_owned());
    params.distinguished_name = common_name(&first);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if key.is_compatible(&PKCS_RSA_SHA256) {
        params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    if leaf.is_client_too {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    }
    for name in leaf.names {
        params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
    }
    params.subject_alt_names.extend(leaf.addresses.iter().copied().map(SanType::IpAddress));
    for uri in leaf.uris {
        params.subject_alt_names.push(SanType::URI(uri.as_str().try_into()?));
    }
    Ok(())
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
