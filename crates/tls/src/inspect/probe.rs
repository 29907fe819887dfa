//! What a listener answers to clients of each kind: one handshake as current clients make it, one as far as desktop
//! games go, and a request in plain text.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::version::TLS12;
use rustls::{
    ALL_VERSIONS, ClientConfig, ClientConnection, DigitallySignedStruct, Error, InvalidMessage, SignatureScheme,
    SupportedProtocolVersion,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::config;

/// Longest time for each step of a probe.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a plain answer that are looked at.
const ANSWER_BYTES: u64 = 1024;

/// What a listener answered.
#[derive(Clone, Debug)]
pub struct Probe {
    /// To a client that speaks TLS 1.3 and 1.2.
    pub current: Answer,
    /// To a client that ends at TLS 1.2, as Unity and Mono do.
    pub tls12: Answer,
}

/// The answer to a handshake.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It succeeded, as far as the protocol goes; the certificate is not judged.
    Agreed(Agreed),
    /// The listener speaks HTTP without TLS.
    PlainHttp,
    /// It failed; the text says how.
    Refused(String),
}

/// What was agreed on.
#[derive(Clone, Debug)]
pub struct Agreed {
    /// The protocol version, `TLSv1_3` as the field writes it.
    pub version: String,
    /// The cipher suite.
    pub suite: String,
    /// The group of the key exchange.
    pub group: String,
    /// The certificates, as they were sent.
    pub chain: Vec<CertificateDer<'static>>,
}

impl Answer {
    /// What was agreed on.
    #[must_use]
    pub const fn agreed(&self) -> Option<&Agreed> {
        match self {
            Self::Agreed(agreed) => Some(agreed),
            Self::PlainHttp | Self::Refused(_) => None,
        }
    }
}

/// Shakes hands with the listener at `address`, asking for `name`. An address as name is not sent, as clients do it.
///
/// # Errors
/// If nothing listens there, or `name` can be no host name.
pub fn probe(address: SocketAddr, name: &str) -> io::Result<Probe> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, format!("expected a host name, got {name:?}"));
    let server = ServerName::try_from(name.to_owned()).map_err(|_| invalid())?;
    let current = shake_hands(connect(address)?, server.clone(), ALL_VERSIONS);
    let tls12 = shake_hands(connect(address)?, server, &[&TLS12]);
    let answer = |result| match result {
        Ok(agreed) => Answer::Agreed(agreed),
        Err(_) if speaks_http(address, name) => Answer::PlainHttp,
        Err(text) => Answer::Refused(text),
    };
    Ok(Probe { current: answer(current), tls12: answer(tls12) })
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PROBE_TIMEOUT)?;
    stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
    stream.set_write_timeout(Some(PROBE_TIMEOUT))?;
    Ok(stream)
}

fn shake_hands(
    mut stream: TcpStream,
    name: ServerName<'static>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Agreed, String> {
    let provider = config::provider();
    let schemes = provider.signature_verification_algorithms.supported_schemes();
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Curious(schemes)))
        .with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())?;
    while client.is_handshaking() {
        client.complete_io(&mut stream).map_err(|error| describe(&error))?;
    }
    client.send_close_notify();
    // The listener may have gone; what was to be known is known.
    while client.wants_write() && client.write_tls(&mut stream).is_ok() {}
    Ok(Agreed {
        version: client.protocol_version().and_then(|version| version.as_str()).unwrap_or_default().to_owned(),
        suite: client.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default().to_owned(),
        group: client.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name())).unwrap_or_default(),
        chain: client.peer_certificates().unwrap_or_default().to_vec(),
    })
}

fn describe(error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match (tls, error.kind()) {
        (Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)), _) => "it does not speak TLS".to_owned(),
        (Some(Error::AlertReceived(alert)), _) => format!("it answered with the alert {alert:?}"),
        (Some(other), _) => other.to_string(),
        (None, io::ErrorKind::UnexpectedEof) => "it closed the connection in the middle of the handshake".to_owned(),
        (None, io::ErrorKind::ConnectionReset) => "it reset the connection".to_owned(),
        (None, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            format!("no answer within {} s", PROBE_TIMEOUT.as_secs())
        }
        (None, _) => error.to_string(),
    }
}

fn speaks_http(address: SocketAddr, name: &str) -> bool {
    let ask = || {
        let mut stream = connect(address)?;
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n").as_bytes())?;
        let mut answer = Vec::new();
        // What came before a reset is an answer too.
        let _ = stream.take(ANSWER_BYTES).read_to_end(&mut answer);
        io::Result::Ok(answer)
    };
    // A TLS listener may answer a plain request with a hint over HTTP, and says 400 then; to a plain one it is good.
    ask().is_ok_and(|answer| answer.starts_with(b"HTTP/") && !answer.starts_with(b"HTTP/1.1 400"))
}

/// Takes every certificate, for it has to be seen in order to be judged; nothing secret follows the handshake.
#[derive(Debug)]
struct Curious(Vec<SignatureScheme>);

impl ServerCertVerifier for Curious {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}
