//! Why connections fail before a client is there, in words that help whoever runs the server.

use std::fmt;

use rustls::{AlertDescription, Error, PeerIncompatible};

/// Why a connection did not get as far as its first message. The names are those of alerts (RFC 8446, section 6) where
/// the client sent one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// The client does not know the authority.
    UnknownCa,
    /// The client refuses the certificate without saying more.
    CertificateUnknown,
    /// The client finds the certificate broken.
    BadCertificate,
    /// The client finds the certificate expired, or not valid yet.
    CertificateExpired,
    /// The client refuses the kind or the use of the certificate.
    UnsupportedCertificate,
    /// The client sent another alert.
    OtherAlert,
    /// No protocol version in common.
    ProtocolVersion,
    /// No cipher suite or key exchange in common, or none for the kinds of keys that there are.
    NoCipher,
    /// The client speaks other protocols than HTTP/1.1 only.
    NoApplicationProtocol,
    /// The client's own certificate is missing or refused.
    ClientCertificate,
    /// The first bytes are no TLS.
    NotTls,
    /// The client closed after it saw the certificate, without an alert.
    ClosedAfterHello,
    /// The client closed before it was answered.
    ClosedBeforeHello,
    /// The time for the handshake is over.
    Timeout,
    /// A plain HTTP request on a secure port.
    PlainHttp,
    /// TLS on a plain port.
    TlsOnPlainPort,
    /// A trusted proxy sent no PROXY protocol header, or a broken one.
    ProxyHeader,
    /// A PROXY protocol header from someone who is not trusted, or where none is expected.
    UnexpectedProxyHeader,
    /// Anything else.
    Other,
}

impl HandshakeFailure {
    /// Every one.
    pub const ALL: [Self; 19] = [
        Self::UnknownCa,
        Self::CertificateUnknown,
        Self::BadCertificate,
        Self::CertificateExpired,
        Self::UnsupportedCertificate,
        Self::OtherAlert,
        Self::ProtocolVersion,
        Self::NoCipher,
        Self::NoApplicationProtocol,
        Self::ClientCertificate,
        Self::NotTls,
        Self::ClosedAfterHello,
        Self::ClosedBeforeHello,
        Self::Timeout,
        Self::PlainHttp,
        Self::TlsOnPlainPort,
        Self::ProxyHeader,
        Self::UnexpectedProxyHeader,
        Self::Other,
    ];

    /// The name in logs and metrics (`handshake_failures_total{reason}`).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownCa => "unknown_ca",
            Self::CertificateUnknown => "certificate_unknown",
            Self::BadCertificate => "bad_certificate",
            Self::CertificateExpired => "certificate_expired",
            Self::UnsupportedCertificate => "unsupported_certificate",
            Self::OtherAlert => "other_alert",
            Self::ProtocolVersion => "protocol_version",
            Self::NoCipher => "no_cipher",
            Self::NoApplicationProtocol => "no_application_protocol",
            Self::ClientCertificate => "client_certificate",
            Self::NotTls => "not_tls",
            Self::ClosedAfterHello => "closed_after_hello",
            Self::ClosedBeforeHello => "closed_before_hello",
            Self::Timeout => "timeout",
            Self::PlainHttp => "plain_http",
            Self::TlsOnPlainPort => "tls_on_plain_port",
            Self::ProxyHeader => "proxy_header",
            Self::UnexpectedProxyHeader => "unexpected_proxy_header",
            Self::Other => "other",
        }
    }

    /// What it mostly means and what to do.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::UnknownCa | Self::CertificateUnknown => {
                "the client does not trust the authority of the certificate: make its machine trust ca.pem, or use a \
                 certificate of a public authority; a missing intermediate certificate looks the same"
            }
            Self::BadCertificate => {
                "the client finds the certificate unfit: mostly the host name that it dials is not among the names of \
                 the certificate, or it dials an address"
            }
            Self::CertificateExpired => {
                "the client finds the certificate out of date: renew it, or correct the client's clock"
            }
            Self::UnsupportedCertificate => {
                "the client does not take this kind of certificate: use ECDSA P-256 or RSA 2048 with key usage \
                 digitalSignature and extended key usage serverAuth"
            }
            Self::OtherAlert => "the client ended the handshake with an alert",
            Self::ProtocolVersion => {
                "the client speaks none of the protocol versions of this listener: versions before TLS 1.2 are not \
                 spoken; MinProtocolVersion=\"TLS13\" shuts out Unity and Mono"
            }
            Self::NoCipher => {
                "client and listener have no cipher suite or key exchange in common, or none for this kind of \
                 certificate: check CipherList, use ECDSA P-256 or RSA 2048 keys or both; very old clients need a \
                 proxy in front that ends TLS"
            }
            Self::NoApplicationProtocol => {
                "the client offers protocols by ALPN without http/1.1, which WebSocket needs"
            }
            Self::ClientCertificate => {
                "this listener asks for certificates of clients, and this one sent none or one that RootCertificates \
                 do not cover; game clients have none: remove ClientCertificate for them"
            }
            Self::NotTls => "the client does not speak TLS on this secure port: its address must begin with wss://",
            Self::ClosedAfterHello => {
                "the client went away when it saw the certificate, without an alert: Chromium does so when the key \
                 usage lacks digitalSignature, and browsers whose user has not accepted the certificate"
            }
            Self::ClosedBeforeHello => "the client went away in the middle of its first message",
            Self::Timeout => "the client did not go on in time: something on the way, or a scan of ports",
            Self::PlainHttp => {
                "client uses ws or http on a secure port: its address must begin with wss:// or https://"
            }
            Self::TlsOnPlainPort => {
                "client uses wss on ws port: use a ws:// address there, or a port of a secure listener"
            }
            Self::ProxyHeader => {
                "a proxy of TrustedProxies must begin each connection with a PROXY protocol header: switch it on there \
                 (haproxy: send-proxy-v2, nginx: proxy_protocol on), or remove ProxyProtocol here"
            }
            Self::UnexpectedProxyHeader => {
                "a PROXY protocol header came from an address that is not among TrustedProxies, or at a listener \
                 without ProxyProtocol: add both if the proxy is yours"
            }
            Self::Other => "the handshake broke",
        }
    }

    /// Its place in [`Self::ALL`].
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// What an error of the TLS library means.
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::AlertReceived(alert) => Self::of_alert(*alert),
            Error::PeerIncompatible(incompatible) => Self::of_incompatible(incompatible),
            Error::NoApplicationProtocol => Self::NoApplicationProtocol,
            Error::NoCertificatesPresented | Error::InvalidCertificate(_) => Self::ClientCertificate,
            Error::InvalidMessage(_) => Self::NotTls,
            // No certificate was chosen: the client's suites and signature schemes allow none of the keys.
            Error::General(_) => Self::NoCipher,
            _ => Self::Other,
        }
    }

    fn of_alert(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::UnknownCA => Self::UnknownCa,
            AlertDescription::CertificateUnknown => Self::CertificateUnknown,
            AlertDescription::BadCertificate | AlertDescription::UnrecognisedName => Self::BadCertificate,
            AlertDescription::CertificateExpired | AlertDescription::CertificateRevoked => Self::CertificateExpired,
            AlertDescription::UnsupportedCertificate => Self::UnsupportedCertificate,
            AlertDescription::ProtocolVersion => Self::ProtocolVersion,
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => Self::NoCipher,
            AlertDescription::NoApplicationProtocol => Self::NoApplicationProtocol,
            _ => Self::OtherAlert,
        }
    }

    fn of_incompatible(incompatible: &PeerIncompatible) -> Self {
        match incompatible {
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired
            // It came with TLS 1.2, and every client of that version sends it.
            | PeerIncompatible::SignatureAlgorithmsExtensionRequired => Self::ProtocolVersion,
            _ => Self::NoCipher,
        }
    }
}

impl fmt::Display for HandshakeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t19_every_failure_has_its_place_a_name_of_its_own_and_a_hint() {
        for (place, failure) in HandshakeFailure::ALL.into_iter().enumerate() {
            assert_eq!(failure.index(), place);
            let same_name = HandshakeFailure::ALL.into_iter().filter(|other| other.name() == failure.name());
            assert_eq!(same_name.count(), 1, "{failure}");
            assert!(!failure.hint().is_empty() && !failure.hint().contains("  "), "{failure}");
        }
    }

    #[test]
    fn t19_alerts_of_clients_keep_their_names() {
        for (alert, name) in [
            (AlertDescription::UnknownCA, "unknown_ca"),
            (AlertDescription::CertificateUnknown, "certificate_unknown"),
            (AlertDescription::BadCertificate, "bad_certificate"),
            (AlertDescription::CertificateExpired, "certificate_expired"),
            (AlertDescription::ProtocolVersion, "protocol_version"),
            (AlertDescription::HandshakeFailure, "no_cipher"),
            (AlertDescription::UserCanceled, "other_alert"),
        ] {
            assert_eq!(HandshakeFailure::of(&Error::AlertReceived(alert)).name(), name);
        }
    }
}
