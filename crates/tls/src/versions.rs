//! MinProtocolVersion and MaxProtocolVersion.

use std::fmt;

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

use crate::{TlsError, Warning};

const SPELLINGS: &str = "TLS, SSL, SSL3, TLS1, TLS10, TLS11, TLS12, TLS13 (also TLS1.2, TLSv1.2, TLS_1_2)";

/// A protocol version that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2; desktop game clients speak nothing newer.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}

/// The versions that a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolRange {
    min: Version,
    max: Version,
}

impl Default for ProtocolRange {
    fn default() -> Self {
        Self { min: Version::Tls12, max: Version::Tls13 }
    }
}

impl fmt::Display for ProtocolRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max { self.min.fmt(f) } else { write!(f, "{} to {}", self.min, self.max) }
    }
}

/// A version as it may be written.
enum Written {
    /// `TLS`: whatever is there.
    Any,
    /// One that is no longer spoken.
    Old,
    /// One that is.
    Spoken(Version),
}

impl ProtocolRange {
    /// Reads both settings. Lowest versions that are no longer spoken mean TLS 1.2; a highest one below is an error,
    /// since nothing would be left.
    ///
    /// # Errors
    /// If one is misspelled, the highest is below TLS 1.2, or the lowest is above the highest.
    pub fn parse(min: Option<&str>, max: Option<&str>) -> Result<(Self, Vec<Warning>), TlsError> {
        let mut warnings = Vec::new();
        let min = match min.map(|text| (text, written(text))) {
            None | Some((_, Some(Written::Any))) => Version::Tls12,
            Some((text, Some(Written::Old))) => {
                warnings.push(Warning::OldProtocol { version: text.to_owned() });
                Version::Tls12
            }
            Some((_, Some(Written::Spoken(version)))) => version,
            Some((text, None)) => return Err(wrong("MinProtocolVersion", text, SPELLINGS)),
        };
        let max = match max.map(|text| (text, written(text))) {
            None | Some((_, Some(Written::Any))) => Version::Tls13,
            Some((_, Some(Written::Spoken(version)))) => version,
            Some((text, _)) => return Err(wrong("MaxProtocolVersion", text, "TLS, TLS12, TLS13")),
        };
        if min > max {
            return Err(TlsError::ProtocolRange { min, max });
        }
        if min == Version::Tls13 {
            warnings.push(Warning::OnlyTls13);
        }
        Ok((Self { min, max }, warnings))
    }

    /// Whether a version is spoken.
    #[must_use]
    pub fn contains(&self, version: Version) -> bool {
        (self.min..=self.max).contains(&version)
    }

    pub(crate) fn supported(self) -> Vec<&'static SupportedProtocolVersion> {
        let versions = [(Version::Tls13, &TLS13), (Version::Tls12, &TLS12)];
        versions.into_iter().filter(|(version, _)| self.contains(*version)).map(|(_, supported)| supported).collect()
    }
}

fn wrong(attribute: &'static str, value: &str, expected: &'static str) -> TlsError {
    TlsError::ProtocolVersion { attribute, value: value.to_owned(), expected }
}

fn written(text: &str) -> Option<Written> {
    let text =
        text.trim().to_ascii_uppercase().replace(['.', '_', ' '], "").replace("TLSV", "TLS").replace("SSLV", "SSL");
    Some(match text.as_str() {
        "" | "TLS" => Written::Any,
        "SSL" | "SSL2" | "SSL23" | "SSL3" | "TLS1" | "TLS10" | "TLS11" => Written::Old,
        "TLS12" => Written::Spoken(Version::Tls12),
        "TLS13" => Written::Spoken(Version::Tls13),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t14_every_spelling_has_its_meaning() {
        let of = |min, max| ProtocolRange::parse(min, max).map(|(range, warnings)| (range.to_string(), warnings));
        for quiet in [None, Some("TLS"), Some("TLS12"), Some("TLS1.2"), Some("TLSv1.2"), Some("TLS_1_2"), Some("tls12")]
        {
            assert_eq!(of(quiet, None).unwrap(), ("TLS 1.2 to TLS 1.3".to_owned(), vec![]), "{quiet:?}");
        }
        for old in ["SSL", "SSL3", "TLS10", "TLS1", "TLS11", "TLSv1.1", "TLS_1_0", "TLS1.0", "SSLv3"] {
            let warning = Warning::OldProtocol { version: old.to_owned() };
            assert_eq!(of(Some(old), None).unwrap(), ("TLS 1.2 to TLS 1.3".to_owned(), vec![warning]), "{old}");
            assert!(of(None, Some(old)).is_err(), "{old}");
        }
        assert_eq!(of(Some("TLS13"), None).unwrap(), ("TLS 1.3".to_owned(), vec![Warning::OnlyTls13]));
        assert_eq!(of(None, Some("TLS12")).unwrap(), ("TLS 1.2".to_owned(), vec![]));
        assert!(matches!(of(Some("TLS13"), Some("TLS12")), Err(TlsError::ProtocolRange { .. })));
        for wrong in ["TLS14", "1.2", "DTLS"] {
            assert!(of(Some(wrong), None).unwrap_err().to_string().contains(wrong));
            assert!(of(None, Some(wrong)).is_err());
        }
    }
}
