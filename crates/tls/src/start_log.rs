//! The lines that a secure listener logs at its start. The first four have the form that operators of this kind of
//! server search their logs for; the fifth is what they need when a client refuses the certificate.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use x509_parser::time::ASN1Time;

use crate::{Settings, Summary};

/// What a secure listener says of itself.
#[derive(Clone, Debug)]
pub struct StartLog<'a> {
    /// Address and port, `*` for every address.
    pub address: &'a str,
    /// What is served there.
    pub role: &'a str,
    /// The certificate's file.
    pub path: &'a Path,
    /// The domain of the default certificate.
    pub default_domain: &'a str,
    /// The default certificate.
    pub summary: &'a Summary,
    /// Versions and suites.
    pub settings: &'a Settings,
}

impl StartLog<'_> {
    /// The lines, in order.
    #[must_use]
    pub fn lines(&self) -> [String; 5] {
        let Self { address, role, path, default_domain, summary, settings } = self;
        let addresses = summary.addresses.iter().map(ToString::to_string);
        let alternatives = summary.names.iter().cloned().chain(addresses).collect::<Vec<_>>().join(" ");
        [
            format!("HTTP: ({address}::{role}) - uses SSL"),
            format!("- Cipher list: {}", settings.ciphers.written()),
            format!("- Server Certificate: {}", path.display()),
            format!("- Server Domain Name: {default_domain}"),
            format!(
                "- subject {}; names {alternatives}; issuer {}; key {}; not after {}; SHA-256 {}; {}",
                summary.subject,
                summary.issuer,
                summary.key,
                date(summary.not_after),
                summary.fingerprint_text(),
                settings.versions
            ),
        ]
    }
}

/// A moment in words, in universal time.
#[must_use]
pub fn date(moment: SystemTime) -> String {
    let seconds = moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let time = i64::try_from(seconds).ok().and_then(|seconds| ASN1Time::from_timestamp(seconds).ok());
    time.map(|time| time.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::KeyKind;

    #[test]
    fn t5_the_lines_are_those_that_operators_search_for() {
        let summary = Summary {
            names: vec!["photon.test".to_owned()],
            addresses: vec![[127, 0, 0, 1].into()],
            subject: "CN=photon.test".to_owned(),
            common_name: None,
            issuer: "CN=ca".to_owned(),
            key: KeyKind::Ecdsa { bits: 256 },
            not_before: UNIX_EPOCH,
            not_after: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
            fingerprint: [0xA7; 32],
        };
        let log = StartLog {
            address: "*:19093",
            role: "NameServer",
            path: Path::new("/certs/server.pem"),
            default_domain: "photon.test",
            summary: &summary,
            settings: &Settings::default(),
        };
        let [ssl, ciphers, certificate, domain, ours] = log.lines();
        assert_eq!(ssl, "HTTP: (*:19093::NameServer) - uses SSL");
        assert_eq!(ciphers, "- Cipher list: DEFAULT");
        assert_eq!(certificate, "- Server Certificate: /certs/server.pem");
        assert_eq!(domain, "- Server Domain Name: photon.test");
        for part in
            ["CN=photon.test", "photon.test 127.0.0.1", "CN=ca", "ECDSA P-256", "2027", "A7:A7", "TLS 1.2 to TLS 1.3"]
        {
            assert!(ours.contains(part), "{part}: {ours}");
        }
    }
}
