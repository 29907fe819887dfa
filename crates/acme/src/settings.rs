//! What an operator chooses.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use lampyris_tls::PasswordSource;

use crate::{AcmeError, Hook};

/// The directory of Let's Encrypt.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// The directory of Let's Encrypt for trials: generous limits, certificates that no client trusts.
pub const LETS_ENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// Names that one certificate may have; authorities allow no more.
pub const NAMES_AT_MOST: usize = 100;

/// What an operator chooses.
#[derive(Clone, Debug)]
pub struct Settings {
    /// DNS names and addresses of the certificate; at least one. The first is its name in logs.
    pub names: Vec<String>,
    /// Where the authority may write to.
    pub email: Option<String>,
    /// Whether the operator agrees to the authority's terms of service.
    pub terms_agreed: bool,
    /// Address of the authority's directory.
    pub directory: String,
    /// PEM file of the only authorities that the directory's own certificate may come from; `None` = the system's.
    pub directory_roots: Option<PathBuf>,
    /// File of the account and its key; made when it is first needed.
    pub account: PathBuf,
    /// Binding to an account that the operator has with the authority.
    pub external_account: Option<ExternalAccount>,
    /// Profile of the certificate, if the authority offers several.
    pub profile: Option<String>,
    /// How names are proven.
    pub challenge: Challenge,
    /// The file to write: chain and key.
    pub certificate: PathBuf,
}

/// Binding to an account that the operator has with the authority.
#[derive(Clone, Debug)]
pub struct ExternalAccount {
    /// Its name.
    pub id: String,
    /// Where its key is, as base64.
    pub key: PasswordSource,
}

/// How names are proven.
#[derive(Clone, Debug)]
pub enum Challenge {
    /// A text on an HTTP port; authorities ask on port 80 only.
    Http01 {
        /// The port that the authority's question arrives at.
        port: u16,
    },
    /// A certificate in a TLS handshake; authorities ask on port 443 only.
    TlsAlpn01 {
        /// The port that the authority's question arrives at.
        port: u16,
    },
    /// A record in the DNS, which a command of the operator writes.
    Dns01(Hook),
}

impl Settings {
    /// Whether a certificate can be asked for with these.
    ///
    /// # Errors
    /// If there is no name, one that is none, or one that cannot be proven in the way that was chosen.
    pub fn check(&self) -> Result<(), AcmeError> {
        if self.names.is_empty() {
            return Err(AcmeError::NoNames);
        }
        if self.names.len() > NAMES_AT_MOST {
            return Err(AcmeError::TooManyNames(self.names.len()));
        }
        self.names.iter().try_for_each(|name| self.challenge.check(name))
    }
}

impl Challenge {
    fn check(&self, name: &str) -> Result<(), AcmeError> {
        let wrong = |why| AcmeError::WrongChallenge { name: name.to_owned(), challenge: self.name(), why };
        if name.parse::<IpAddr>().is_ok() {
            return match self {
                Self::Dns01(_) => Err(wrong("addresses are not in the DNS; set Challenge to http-01 or tls-alpn-01")),
                _ => Ok(()),
            };
        }
        let plain = match (name.strip_prefix("*."), self) {
            (None, _) => name,
            (Some(parent), Self::Dns01(_)) => parent,
            (Some(_), _) => return Err(wrong("names with * need Challenge=\"dns-01\" and a DnsHook")),
        };
        if is_dns_name(plain) { Ok(()) } else { Err(AcmeError::BadName(name.to_owned())) }
    }

    /// Its name in the protocol.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Http01 { .. } => "http-01",
            Self::TlsAlpn01 { .. } => "tls-alpn-01",
            Self::Dns01(_) => "dns-01",
        }
    }
}

/// Who answers the authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serving {
    /// The server's own listener on the port of the challenge, through [`crate::Answers`].
    Server,
    /// A listener that is open during a try; no addresses = every one of the machine.
    Temporary(Vec<IpAddr>),
}

/// A name of the public DNS: authorities issue for nothing else.
fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(is_label)
}

/// The file of the account where none is named: one for each directory, in `acme` below `folder`.
#[must_use]
pub fn default_account_file(folder: &Path, directory: &str) -> PathBuf {
    let host = directory.split_once("://").map_or(directory, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '-' };
    folder.join("acme").join(format!("{}.json", host.chars().map(plain).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn t29_names_must_be_ones_that_can_be_proven_in_the_chosen_way() {
        let http = Challenge::Http01 { port: 80 };
        let tls = Challenge::TlsAlpn01 { port: 443 };
        let dns = Challenge::Dns01(Hook { command: "hook".into(), timeout: Duration::from_secs(1) });
        for (challenge, name) in [(&http, "play.example.org"), (&http, "192.0.2.1"), (&tls, "::1"), (&dns, "*.a.test")]
        {
            assert!(challenge.check(name).is_ok(), "{name}");
        }
        for (challenge, name, part) in [
            (&http, "*.a.test", "need Challenge=\"dns-01\""),
            (&tls, "*.a.test", "need Challenge=\"dns-01\""),
            (&dns, "192.0.2.1", "http-01 or tls-alpn-01"),
            (&dns, "*.*.test", "is no name"),
            (&http, "localhost", "is no name"),
            (&http, "a..test", "is no name"),
            (&http, "ä.test", "in ASCII"),
            (&http, "wss://a.test", "is no name"),
            (&http, "", "is no name"),
        ] {
            let error = challenge.check(name).unwrap_err().to_string();
            assert!(error.contains(part), "{name}: {error}");
        }
    }

    #[test]
    fn each_directory_has_an_account_file_of_its_own() {
        let file = |directory| default_account_file(Path::new("x"), directory);
        assert_eq!(file(LETS_ENCRYPT), Path::new("x/acme/acme-v02.api.letsencrypt.org.json"));
        assert_eq!(file("https://[::1]:14000/../dir"), Path::new("x/acme/---1--14000.json"));
        assert_ne!(file(LETS_ENCRYPT), file(LETS_ENCRYPT_STAGING));
    }
}
