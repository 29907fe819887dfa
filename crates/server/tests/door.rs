//! Clients that do not get in, over real sockets: what they get, and what is counted of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use lampyris_server::{HandshakeFailure, Role, Transport};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};

use crate::common::{Loopback, PATIENCE};

/// Waits until a failure was counted once, and nothing else was.
fn expect_only(loopback: &Loopback, expected: HandshakeFailure) {
    let count =
        |reason| loopback.server.counters().iter().map(|counters| counters.handshake_failures(reason)).sum::<u64>();
    let start = Instant::now();
    while count(expected) == 0 {
        assert!(start.elapsed() < PATIENCE, "{expected} was not counted");
        std::thread::yield_now();
    }
    for reason in HandshakeFailure::ALL {
        assert_eq!(count(reason), u64::from(reason == expected), "{reason}");
    }
}

fn socket(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Sends bytes and reads to the end; a reset is an end too.
fn send(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut socket = socket(address);
    socket.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    answer
}

/// What a client does with the certificate that it is shown.
#[derive(Debug)]
struct Verdict(Result<(), Error>, Vec<SignatureScheme>);

impl ServerCertVerifier for Verdict {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.0.clone().map(|()| ServerCertVerified::assertion())
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
        self.1.clone()
    }
}

/// Shakes hands over a real socket, as far as it goes.
fn shake_hands(address: SocketAddr, config: ClientConfig) -> io::Result<()> {
    let mut socket = socket(address);
    let mut client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let result = client.complete_io(&mut socket).map(|_| ());
    // The alert of a client that refused is on its way only now.
    while client.wants_write() {
        client.write_tls(&mut socket)?;
    }
    result
}

fn builder(
    versions: &[&'static SupportedProtocolVersion],
) -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap()
}

fn judging(verdict: Verdict) -> ClientConfig {
    builder(rustls::ALL_VERSIONS).dangerous().with_custom_certificate_verifier(Arc::new(verdict)).with_no_client_auth()
}

#[test]
fn t19_a_client_without_our_authority_is_counted_by_its_alert() {
    for version in rustls::ALL_VERSIONS {
        let loopback = Loopback::start(1);
        let strangers = builder(&[version]).with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        shake_hands(loopback.address(Role::NameServer, Transport::Wss), strangers).unwrap_err();
        expect_only(&loopback, HandshakeFailure::UnknownCa);
    }
}

#[test]
fn t19_alerts_about_the_certificate_are_told_apart() {
    for (error, expected) in [
        (rustls::CertificateError::NotValidForName, HandshakeFailure::BadCertificate),
        (rustls::CertificateError::Expired, HandshakeFailure::CertificateExpired),
        (rustls::CertificateError::ApplicationVerificationFailure, HandshakeFailure::OtherAlert),
    ] {
        let loopback = Loopback::start(1);
        let all = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes();
        let config = judging(Verdict(Err(error.into()), all));
        shake_hands(loopback.address(Role::NameServer, Transport::Wss), config).unwrap_err();
        expect_only(&loopback, expected);
    }
}

#[test]
fn t19_a_client_that_can_verify_none_of_our_keys_is_counted() {
    let loopback = Loopback::start(1);
    let config = judging(Verdict(Ok(()), vec![SignatureScheme::RSA_PSS_SHA256]));
    shake_hands(loopback.address(Role::NameServer, Transport::Wss), config).unwrap_err();
    expect_only(&loopback, HandshakeFailure::NoCipher);
}

#[test]
fn t18_a_client_with_other_protocols_only_is_counted() {
    let loopback = Loopback::start(1);
    let mut config = builder(rustls::ALL_VERSIONS).with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    shake_hands(loopback.address(Role::NameServer, Transport::Wss), config).unwrap_err();
    expect_only(&loopback, HandshakeFailure::NoApplicationProtocol);
}

/// A client hello of a version that offers two suites with CBC.
fn hello(version: [u8; 2], extensions: &[u8]) -> Vec<u8> {
    let length = u16::try_from(extensions.len()).unwrap().to_be_bytes();
    let suites = [0xC0, 0x14, 0xC0, 0x0A];
    let body = [&version, [0x5A; 32].as_slice(), &[0, 0, 4], &suites, &[1, 0], &length, extensions].concat();
    let length = u8::try_from(body.len()).unwrap();
    [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length], body.as_slice()].concat()
}

/// Curve P-256, uncompressed points, RSA and ECDSA with SHA-256.
const EXTENSIONS_OF_1_2: [u8; 24] = [0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 6, 0, 4, 4, 1, 4, 3];

/// A fatal alert; the number of its kind follows.
const FATAL: [u8; 6] = [0x15, 3, 3, 0, 2, 2];

#[test]
fn t19_a_client_of_tls_1_1_gets_an_alert_and_is_counted() {
    for extensions in [&[], EXTENSIONS_OF_1_2.as_slice()] {
        let loopback = Loopback::start(1);
        let answer = send(loopback.address(Role::Master, Transport::Wss), &hello([3, 2], extensions));
        assert!(answer.starts_with(&FATAL) && answer.len() == 7, "{answer:?}");
        expect_only(&loopback, HandshakeFailure::ProtocolVersion);
    }
}

#[test]
fn t19_a_client_without_a_common_suite_gets_an_alert_and_is_counted() {
    let loopback = Loopback::start(1);
    let answer = send(loopback.address(Role::Master, Transport::Wss), &hello([3, 3], &EXTENSIONS_OF_1_2));
    assert!(answer.starts_with(&FATAL) && answer.len() == 7, "{answer:?}");
    expect_only(&loopback, HandshakeFailure::NoCipher);
}

#[test]
fn t19_a_client_that_closes_after_our_certificate_is_told_from_one_that_closes_before() {
    let loopback = Loopback::start(1);
    let address = loopback.address(Role::Game, Transport::Wss);
    let strangers = builder(rustls::ALL_VERSIONS).with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(strangers), "localhost".try_into().unwrap()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let mut connection = socket(address);
    connection.write_all(&hello).unwrap();
    connection.read_exact(&mut [0; 5]).unwrap();
    drop(connection);
    expect_only(&loopback, HandshakeFailure::ClosedAfterHello);

    let loopback = Loopback::start(1);
    let mut connection = socket(loopback.address(Role::Game, Transport::Wss));
    connection.write_all(&hello[..hello.len() / 2]).unwrap();
    drop(connection);
    expect_only(&loopback, HandshakeFailure::ClosedBeforeHello);
}

#[test]
fn t20_plain_http_on_a_secure_port_is_told_to_use_wss() {
    let loopback = Loopback::start(1);
    let answer = send(loopback.address(Role::NameServer, Transport::Wss), b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(body.contains("wss://") && body.lines().count() == 1, "{answer}");
    expect_only(&loopback, HandshakeFailure::PlainHttp);
}

#[test]
fn t20_a_client_hello_on_a_plain_port_is_closed_and_counted() {
    for transport in [Transport::Ws, Transport::Tcp] {
        let loopback = Loopback::start(1);
        assert_eq!(send(loopback.address(Role::Master, transport), &hello([3, 3], &EXTENSIONS_OF_1_2)), b"");
        expect_only(&loopback, HandshakeFailure::TlsOnPlainPort);
    }
}

#[test]
fn t20_a_browser_that_opens_a_secure_port_gets_a_page() {
    let loopback = Loopback::start(1);
    for role in Role::ALL {
        let mut stream = loopback.connect(role, Transport::Wss);
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") || answer.starts_with("HTTP/1.1 426 "), "{role:?}: {answer}");
    }
}

#[test]
fn t28_a_proxy_header_from_a_stranger_is_refused() {
    for transport in [Transport::Ws, Transport::Wss, Transport::Tcp] {
        let loopback = Loopback::start(1);
        let header = b"PROXY TCP4 203.0.113.9 10.0.0.5 54321 19093\r\n";
        assert_eq!(send(loopback.address(Role::Master, transport), header), b"");
        expect_only(&loopback, HandshakeFailure::UnexpectedProxyHeader);
    }
}
