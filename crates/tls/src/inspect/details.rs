//! What one certificate says, beyond its [`Summary`].

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use x509_parser::oid_registry::{OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_SHA1WITHRSA};
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

use crate::Summary;

/// Bits of the key usage extension, in the order of RFC 5280, section 4.2.1.3.
const KEY_USAGES: [&str; 9] = [
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
];
/// `id-ad-caIssuers`, where the issuer's certificate can be fetched (RFC 5280, section 4.2.2.1).
const ISSUER_LOCATION: &str = "1.3.6.1.5.5.7.48.2";
/// ECDSA with SHA-1 (RFC 5758, section 3.2).
const ECDSA_WITH_SHA1: &str = "1.2.840.10045.4.1";

/// A certificate as a judge needs it.
#[derive(Clone, Debug)]
pub struct Details {
    /// Names, key, times.
    pub summary: Summary,
    /// Serial number in hexadecimal.
    pub serial: String,
    /// Key usages by their names; `None` if the certificate does not limit them.
    pub key_usage: Option<Vec<&'static str>>,
    /// Extended key usages by their names or numbers; `None` if the certificate does not limit them.
    pub extended_key_usage: Option<Vec<String>>,
    /// Whether it may issue others.
    pub is_authority: bool,
    /// Whether subject and issuer are the same.
    pub is_self_issued: bool,
    /// Whether it limits the names below it in a way that every client must understand.
    pub has_critical_name_constraints: bool,
    /// Whether its signature is by MD5 or SHA-1.
    pub has_weak_signature: bool,
    /// Where it says that its issuer's certificate is.
    pub issuer_location: Option<String>,
}

impl Details {
    /// Reads a certificate.
    ///
    /// # Errors
    /// If it cannot be parsed; the text says why.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, String> {
        let summary = Summary::of(certificate)?;
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
        let mut details = Self {
            summary,
            serial: parsed.raw_serial().iter().map(|byte| format!("{byte:02X}")).collect(),
            key_usage: None,
            extended_key_usage: None,
            is_authority: false,
            is_self_issued: parsed.subject() == parsed.issuer(),
            has_critical_name_constraints: false,
            has_weak_signature: has_weak_signature(&parsed),
            issuer_location: None,
        };
        for extension in parsed.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::KeyUsage(usage) => details.key_usage = Some(key_usages(usage.flags)),
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    details.extended_key_usage = Some(extended_key_usages(usage));
                }
                ParsedExtension::BasicConstraints(constraints) => details.is_authority = constraints.ca,
                ParsedExtension::NameConstraints(_) => details.has_critical_name_constraints = extension.critical,
                ParsedExtension::AuthorityInfoAccess(access) => {
                    let mut locations = access.accessdescs.iter();
                    let issuer = locations.find(|one| one.access_method.to_id_string() == ISSUER_LOCATION);
                    details.issuer_location = issuer.and_then(|one| match &one.access_location {
                        GeneralName::URI(location) => Some((*location).to_owned()),
                        _ => None,
                    });
                }
                _ => {}
            }
        }
        Ok(details)
    }

    /// Whether a client that dials `host` finds it among the alternative names: the name itself, or a wildcard for its
    /// first label.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.summary.addresses.contains(&address);
        }
        self.summary.names.iter().any(|name| matches(name, host))
    }

    /// Whether the common name, to which some clients fall back, is `host`.
    #[must_use]
    pub fn is_called(&self, host: &str) -> bool {
        self.summary.common_name.as_deref().is_some_and(|name| matches(name, host))
    }

    /// Whether the key may sign the handshake.
    #[must_use]
    pub fn may_sign(&self) -> bool {
        self.key_usage.as_ref().is_none_or(|usages| usages.contains(&"digitalSignature"))
    }

    /// Whether it may stand for a server.
    #[must_use]
    pub fn may_serve(&self) -> bool {
        let serves = |usage: &String| usage == "serverAuth" || usage == "anyExtendedKeyUsage";
        self.extended_key_usage.as_ref().is_none_or(|usages| usages.iter().any(serves))
    }

    /// The time that remains; `None` if its end has passed.
    #[must_use]
    pub fn remains(&self, now: SystemTime) -> Option<Duration> {
        self.summary.not_after.duration_since(now).ok()
    }
}

fn matches(name: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    let wildcard = || {
        let (_, parent) = host.split_once('.')?;
        Some(name.strip_prefix("*.")?.eq_ignore_ascii_case(parent))
    };
    name.eq_ignore_ascii_case(host) || wildcard().unwrap_or(false)
}

/// The signature of a root is checked by nobody.
fn has_weak_signature(parsed: &X509Certificate<'_>) -> bool {
    let algorithm = &parsed.signature_algorithm.algorithm;
    let is_weak = [OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_SHA1WITHRSA].contains(algorithm)
        || algorithm.to_id_string() == ECDSA_WITH_SHA1;
    is_weak && parsed.subject() != parsed.issuer()
}

fn key_usages(flags: u16) -> Vec<&'static str> {
    (0..).zip(KEY_USAGES).filter(|(bit, _)| flags >> bit & 1 == 1).map(|(_, name)| name).collect()
}

fn extended_key_usages(usage: &x509_parser::extensions::ExtendedKeyUsage<'_>) -> Vec<String> {
    let named = [
        (usage.any, "anyExtendedKeyUsage"),
        (usage.server_auth, "serverAuth"),
        (usage.client_auth, "clientAuth"),
        (usage.code_signing, "codeSigning"),
        (usage.email_protection, "emailProtection"),
        (usage.time_stamping, "timeStamping"),
        (usage.ocsp_signing, "OCSPSigning"),
    ];
    let named = named.into_iter().filter(|(present, _)| *present).map(|(_, name)| name.to_owned());
    named.chain(usage.other.iter().map(x509_parser::asn1_rs::Oid::to_id_string)).collect()
}
