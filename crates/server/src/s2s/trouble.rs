//! Why there is no link, in plain words.

use std::{fmt, io};

use lampyris_s2s::LinkError;
use rustls::{AlertDescription, CertificateError};

/// Why there is no link, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble(String);

impl Trouble {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<LinkError> for Trouble {
    fn from(error: LinkError) -> Self {
        Self(error.to_string())
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(tls) => Self(explain(tls)),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self("the connection was closed".to_owned()),
            None => Self(error.to_string()),
        }
    }
}

/// What a failed handshake between servers means.
fn explain(error: &rustls::Error) -> String {
    const RENEW: &str = "renew it with `lampyris cert cluster`";
    const ISSUE: &str = "issue both with one `lampyris cert cluster`";
    match error {
        rustls::Error::NoCertificatesPresented => {
            "the other end showed no certificate; name one with Certificate and Key at <S2S> in its PhotonServer.config"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(reason) => match reason {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                format!("no authority in RootCertificates issued the certificate of the other end; {ISSUE}")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("the certificate of the other end has expired; {RENEW}")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the certificate of the other end is not valid yet; set the clocks of both machines".to_owned()
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                format!(
                    "the certificate of the other end is not for the end that calls, as none of a public authority is; {ISSUE}"
                )
            }
            CertificateError::Revoked => format!("the certificate of the other end is revoked; {RENEW}"),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!(
                    "the certificate of the Master is for another name ({error}); correct MasterIPAddress or ServerName"
                )
            }
            _ => format!("the certificate of the other end is no good: {error}; {ISSUE}"),
        },
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => {
                "the other end wants to see a certificate; name one with Certificate and Key at <S2S>".to_owned()
            }
            AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::DecryptError => {
                format!("the other end does not trust our certificate; {ISSUE}")
            }
            AlertDescription::CertificateExpired => format!("our certificate has expired; {RENEW}"),
            AlertDescription::CertificateRevoked => format!("our certificate is revoked; {RENEW}"),
            other => format!("the other end refused the TLS handshake: {other:?}"),
        },
        rustls::Error::InvalidMessage(_) => {
            "the other end does not speak TLS; write Secure=\"true\" on both ends or on none".to_owned()
        }
        other => format!("TLS: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_impostor_is_named_with_what_to_do() {
        let cases = [
            (rustls::Error::NoCertificatesPresented, "showed no certificate", "Certificate and Key"),
            (CertificateError::UnknownIssuer.into(), "no authority", "lampyris cert cluster"),
            (CertificateError::Expired.into(), "has expired", "lampyris cert cluster"),
            (CertificateError::InvalidPurpose.into(), "not for the end that calls", "lampyris cert cluster"),
            (CertificateError::Revoked.into(), "revoked", "lampyris cert cluster"),
            (CertificateError::NotValidForName.into(), "another name", "ServerName"),
            (rustls::Error::AlertReceived(AlertDescription::CertificateRequired), "wants to see", "<S2S>"),
            (rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType), "not speak TLS", "Secure"),
        ];
        for (error, what, remedy) in cases {
            let text = Trouble::from(io::Error::new(io::ErrorKind::InvalidData, error)).to_string();
            assert!(text.contains(what) && text.contains(remedy), "{text}");
        }
    }
}
