//! Which certificate, version, suite and protocol clients get.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use common::{EC, LEAF, RSA, Workshop, load};
use lampyris_tls::challenge::ALPN_ACME;
use lampyris_tls::{CipherList, Identity, ProtocolRange, Selection, Settings, TlsError, config, server_config_for};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ALL_VERSIONS, AlertDescription, ClientConfig, ClientConnection, DigitallySignedStruct, Error, ProtocolVersion,
    ServerConnection, SignatureScheme,
};

/// A client that trusts everybody and signs up to these schemes.
#[derive(Debug)]
struct Trusting(Vec<SignatureScheme>);

impl ServerCertVerifier for Trusting {
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

const ECDSA_SCHEME: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;
const RSA_SCHEME: SignatureScheme = SignatureScheme::RSA_PSS_SHA256;

struct Client<'a> {
    name: Option<&'a str>,
    schemes: &'a [SignatureScheme],
    versions: &'a [&'static rustls::SupportedProtocolVersion],
    alpn: &'a [&'a [u8]],
}

const CLIENT: Client<'static> =
    Client { name: Some("photon.test"), schemes: &[ECDSA_SCHEME, RSA_SCHEME], versions: ALL_VERSIONS, alpn: &[] };

#[derive(Debug, PartialEq)]
struct Agreed {
    leaf: Vec<u8>,
    version: ProtocolVersion,
    suite: String,
    alpn: Option<Vec<u8>>,
}

/// Shakes hands in memory; the error is the client's.
fn shake_hands(selection: &Arc<Selection>, settings: &Settings, client: &Client<'_>) -> Result<Agreed, Error> {
    let mut config = ClientConfig::builder_with_provider(config::provider())
        .with_protocol_versions(client.versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting(client.schemes.to_vec())))
        .with_no_client_auth();
    config.alpn_protocols = client.alpn.iter().map(|name| name.to_vec()).collect();
    let address = ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST));
    let name = client.name.map_or(address, |name| ServerName::try_from(name.to_owned()).unwrap());
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut server = ServerConnection::new(server_config_for(Arc::clone(selection), settings).unwrap()).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        server.read_tls(&mut wire.as_slice()).unwrap();
        // The server tells its reason to the client by an alert.
        let _ = server.process_new_packets();
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok(Agreed {
        leaf: client.peer_certificates().unwrap()[0].to_vec(),
        version: client.protocol_version().unwrap(),
        suite: format!("{:?}", client.negotiated_cipher_suite().unwrap().suite()),
        alpn: server.alpn_protocol().map(<[u8]>::to_vec),
    })
}

fn identity(shop: &Workshop, name: &str, kind: &str, names: &str) -> Identity {
    shop.certificate(name, kind, names, None, LEAF);
    load(&shop.write("server.pem", shop.text(&format!("{name}.crt")) + &shop.text(&format!("{name}.key")))).unwrap()
}

fn leaf(identity: &Identity) -> Vec<u8> {
    identity.chain()[0].to_vec()
}

#[test]
fn t11_the_name_decides_exact_then_wildcard_then_default() {
    let shop = Workshop::new();
    let wild = identity(&shop, "wild", EC, "DNS:*.photon.test");
    let exact = identity(&shop, "exact", EC, "DNS:Photon.test,DNS:a.photon.test");
    let default = identity(&shop, "default", EC, "DNS:play.example.org");
    let all = vec![wild.clone(), exact.clone(), default.clone()];
    let selection = Arc::new(Selection::new(all, Some("PLAY.example.org")).unwrap());
    for (name, expected) in [
        (Some("photon.test"), &exact),
        (Some("PHOTON.TEST"), &exact),
        (Some("a.photon.test"), &exact),
        (Some("b.photon.test"), &wild),
        (Some("play.example.org"), &default),
        (Some("a.b.photon.test"), &default),
        (Some("elsewhere.test"), &default),
        (None, &default),
    ] {
        let agreed = shake_hands(&selection, &Settings::default(), &Client { name, ..CLIENT }).unwrap();
        assert_eq!(agreed.leaf, leaf(expected), "{name:?}");
    }
    let asked = selection.asked();
    assert_eq!((asked.sni_misses(), asked.without_name(), asked.without_scheme()), (2, 1, 0));
}

#[test]
fn t13_the_signature_schemes_choose_between_rsa_and_ecdsa() {
    let shop = Workshop::new();
    let rsa = identity(&shop, "rsa", RSA, "DNS:photon.test");
    let ecdsa = identity(&shop, "ecdsa", EC, "DNS:photon.test");
    let both = vec![ecdsa.clone(), rsa.clone()];
    let selection = Arc::new(Selection::new(both, Some("photon.test")).unwrap());
    for versions in [ALL_VERSIONS, &[&rustls::version::TLS12]] {
        for name in [Some("photon.test"), None] {
            let of = |schemes| {
                let client = Client { schemes, versions, name, ..CLIENT };
                shake_hands(&selection, &Settings::default(), &client).map(|agreed| agreed.leaf)
            };
            assert_eq!(of(&[RSA_SCHEME]), Ok(leaf(&rsa)));
            assert_eq!(of(&[ECDSA_SCHEME]), Ok(leaf(&ecdsa)));
            assert_eq!(of(&[RSA_SCHEME, ECDSA_SCHEME]), Ok(leaf(&ecdsa)));
        }
    }
    let client = Client { schemes: &[SignatureScheme::ED25519], ..CLIENT };
    let refused = shake_hands(&selection, &Settings::default(), &client).map(|agreed| agreed.leaf);
    assert_eq!(refused, Err(Error::AlertReceived(AlertDescription::HandshakeFailure)));
    assert_eq!(selection.asked().without_scheme(), 1);
}

#[test]
fn t10_t12_the_default_domain_must_be_given_and_covered() {
    let shop = Workshop::new();
    let one = identity(&shop, "one", EC, "DNS:a.test");
    let two = identity(&shop, "two", EC, "DNS:*.b.test");
    let both = || vec![one.clone(), two.clone()];
    assert!(Selection::new(vec![one.clone()], None).is_ok());
    assert!(matches!(Selection::new(vec![], None), Err(TlsError::NoIdentity)));
    assert!(matches!(Selection::new(both(), None), Err(TlsError::NoDefaultDomain { count: 2 })));
    assert!(Selection::new(both(), Some("x.b.test")).is_ok());
    let error = Selection::new(both(), Some("c.test")).unwrap_err().to_string();
    assert!(error.contains("c.test") && error.contains("a.test, *.b.test"), "{error}");
}

#[test]
fn t14_versions_are_spoken_as_configured() {
    let shop = Workshop::new();
    let selection = Arc::new(Selection::single(identity(&shop, "a", EC, "DNS:photon.test")));
    let versions = |min, max| Settings { versions: ProtocolRange::parse(min, max).unwrap().0, ..Settings::default() };
    let of = |settings: &Settings, versions| {
        shake_hands(&selection, settings, &Client { versions, ..CLIENT }).map(|agreed| agreed.version)
    };
    let only12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
    assert_eq!(of(&versions(None, None), ALL_VERSIONS), Ok(ProtocolVersion::TLSv1_3));
    assert_eq!(of(&versions(Some("TLS10"), None), only12), Ok(ProtocolVersion::TLSv1_2));
    assert_eq!(of(&versions(None, Some("TLS12")), ALL_VERSIONS), Ok(ProtocolVersion::TLSv1_2));
    let refused = of(&versions(Some("TLS13"), None), only12);
    assert_eq!(refused, Err(Error::AlertReceived(AlertDescription::ProtocolVersion)));
}

#[test]
fn t15_the_cipher_list_rules_tls_1_2_and_leaves_tls_1_3_alone() {
    let shop = Workshop::new();
    let selection = Arc::new(Selection::single(identity(&shop, "a", RSA, "DNS:photon.test")));
    let ciphers = |list| Settings { ciphers: CipherList::parse(list).unwrap().0, ..Settings::default() };
    let of = |list, versions| {
        shake_hands(&selection, &ciphers(list), &Client { versions, ..CLIENT }).map(|agreed| agreed.suite)
    };
    let only12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
    assert_eq!(of("CHACHA20", only12).unwrap(), "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256");
    assert_eq!(of("AES128", only12).unwrap(), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
    for list in ["AES128:AES256", "AES256:AES128"] {
        let first = list.split(':').next().unwrap().replace("AES", "AES_");
        assert!(of(list, only12).unwrap().contains(&first), "the order of {list} counts, not that of the client");
    }
    assert!(of("CHACHA20", ALL_VERSIONS).unwrap().starts_with("TLS13_AES_256"));
    assert_eq!(of("ECDSA", only12), Err(Error::AlertReceived(AlertDescription::HandshakeFailure)));
    let strict = server_config_for(Arc::clone(&selection), &ciphers("ALL:@SECLEVEL=3")).unwrap_err().to_string();
    assert!(strict.contains("RSA 2048") && strict.contains("RSA 3072"), "{strict}");
}

#[test]
fn t18_http_1_1_is_agreed_with_those_who_offer_it_and_nothing_with_those_who_do_not() {
    let shop = Workshop::new();
    let selection = Arc::new(Selection::single(identity(&shop, "a", EC, "DNS:photon.test")));
    for versions in [ALL_VERSIONS, &[&rustls::version::TLS12]] {
        let of = |alpn| {
            let client = Client { alpn, versions, ..CLIENT };
            shake_hands(&selection, &Settings::default(), &client).map(|agreed| agreed.alpn)
        };
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&[b"http/1.1"]), Ok(Some(b"http/1.1".to_vec())));
        assert_eq!(of(&[b"h2", b"http/1.1"]), Ok(Some(b"http/1.1".to_vec())));
        assert_eq!(of(&[b"h2"]), Err(Error::AlertReceived(AlertDescription::NoApplicationProtocol)));
    }
}

#[test]
fn t30_who_asks_by_the_protocol_of_challenges_gets_the_answer_and_others_get_the_certificate() {
    let shop = Workshop::new();
    let own = identity(&shop, "own", EC, "DNS:photon.test");
    let answer = identity(&shop, "answer", EC, "DNS:photon.test");
    let selection = Arc::new(Selection::single(own.clone()));
    let challenges = Arc::new(Selection::single(answer.clone()));
    let settings = Settings { challenges: Some(challenges), ..Settings::default() };
    for (alpn, expected, agreed) in [
        (&[ALPN_ACME][..], &answer, Some(ALPN_ACME)),
        (&[b"http/1.1"], &own, Some(&b"http/1.1"[..])),
        (&[], &own, None),
    ] {
        let got = shake_hands(&selection, &settings, &Client { alpn, ..CLIENT }).unwrap();
        assert_eq!((got.leaf, got.alpn.as_deref()), (leaf(expected), agreed));
    }
    let without = shake_hands(&selection, &Settings::default(), &Client { alpn: &[ALPN_ACME], ..CLIENT });
    assert_eq!(without, Err(Error::AlertReceived(AlertDescription::NoApplicationProtocol)));
}
