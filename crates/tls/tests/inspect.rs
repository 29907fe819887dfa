//! What is said of certificates, held against what clients were seen to do with them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use common::{EC, LEAF, RSA, Workshop, load};
use lampyris_tls::inspect::{Anchors, Answer, Client, Finding, Report, Severity, Trust, probe, report, verdicts};
use lampyris_tls::{ProtocolRange, Selection, Settings, server_config_for};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOST: &str = "photon.test";
/// What an old guide's `openssl req -x509` recipe gives.
const OLD_RECIPE: &[&str] = &["keyUsage=keyEncipherment,dataEncipherment", "extendedKeyUsage=serverAuth"];

fn certificate(shop: &Workshop, name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(shop.text(&format!("{name}.crt")).as_bytes()).unwrap()
}

/// An authority that is trusted.
fn trusted(shop: &Workshop) -> Anchors {
    shop.certificate("ca", EC, "", None, &["keyUsage=critical,keyCertSign"]);
    Anchors::default().with_private([certificate(shop, "ca")])
}

fn judge(chain: &[CertificateDer<'_>], host: &str, anchors: &Anchors) -> Report {
    report(chain, Some(host), anchors, SystemTime::now())
}

/// Who connects, in the order of [`Client::ALL`].
fn opens(report: &Report) -> [bool; 5] {
    Client::ALL.map(|client| report.opinions.iter().find(|opinion| opinion.client == client).unwrap().opens)
}

fn says(report: &Report, client: Client) -> &str {
    &report.opinions.iter().find(|opinion| opinion.client == client).unwrap().says
}

fn findings(report: &Report) -> Vec<Finding> {
    let bad = report.verdicts.iter().filter(|verdict| verdict.severity > Severity::Note);
    bad.map(|verdict| verdict.finding).collect()
}

#[test]
fn d10_each_kind_of_certificate_is_judged_as_clients_were_seen_to_do() {
    const SAN: &str = "DNS:photon.test";
    const ADDRESS: &str = "IP:127.0.0.1";
    const CLIENT_ONLY: &[&str] =
        &["basicConstraints=critical,CA:FALSE", "keyUsage=digitalSignature", "extendedKeyUsage=clientAuth"];
    let leaf = &["basicConstraints=CA:FALSE"];
    let both = &["basicConstraints=CA:FALSE", "keyUsage=digitalSignature,keyEncipherment"];
    let recipe = &["basicConstraints=CA:FALSE", "keyUsage=keyEncipherment,dataEncipherment"];
    let shop = Workshop::new();
    let anchors = trusted(&shop);
    // Columns: Chrome, Firefox, Unity, Node, C#.
    for (name, kind, names, extensions, host, found, expected) in [
        ("recipe", RSA, SAN, &recipe[..], HOST, &[Finding::NoDigitalSignature][..], [false, true, false, true, true]),
        ("good", RSA, SAN, both, HOST, &[], [true; 5]),
        ("without-usage", RSA, SAN, leaf, HOST, &[], [true; 5]),
        ("curve", EC, SAN, LEAF, HOST, &[], [true; 5]),
        // `openssl req` names the common name as the name of the certificate.
        ("photon.test", EC, "", LEAF, HOST, &[Finding::NoNames], [false, false, true, true, true]),
        ("address", EC, ADDRESS, LEAF, "127.0.0.1", &[Finding::AddressAsHost], [true, true, false, true, true]),
        ("wildcard", EC, "DNS:*.photon.test", LEAF, "a.photon.test", &[], [true; 5]),
        ("client", EC, SAN, CLIENT_ONLY, HOST, &[Finding::NoServerAuth], [false, false, false, false, true]),
        ("other", EC, "DNS:else.test", LEAF, HOST, &[Finding::NameNotCovered], [false, false, false, false, true]),
        ("ed", "ed25519", SAN, LEAF, HOST, &[Finding::Ed25519], [false, false, false, true, false]),
    ] {
        shop.certificate(name, kind, names, Some("ca"), extensions);
        let report = judge(&[certificate(&shop, name)], host, &anchors);
        assert_eq!(findings(&report), found, "{name}");
        assert_eq!(opens(&report), expected, "{name}: {:?}", report.opinions);
        // Without trust in the authority nobody connects but a callback that accepts everything, and for Chrome a key
        // usage that does not fit stays the first reason.
        let report = judge(&[certificate(&shop, name)], host, &Anchors::default());
        assert_eq!(opens(&report)[..4], [false; 4], "{name}");
        let reason = match name {
            "recipe" => "ERR_SSL_KEY_USAGE_INCOMPATIBLE",
            "ed" => "ERR_SSL_VERSION_OR_CIPHER_MISMATCH",
            _ => "ERR_CERT_AUTHORITY_INVALID",
        };
        assert!(says(&report, Client::Chrome).contains(reason), "{name}: {}", says(&report, Client::Chrome));
    }
}

#[test]
fn d10_a_certificate_of_the_old_recipe_is_named_with_the_command_that_mends_it() {
    let shop = Workshop::new();
    shop.certificate("photon.test", RSA, "DNS:photon.test", None, OLD_RECIPE);
    let found = verdicts(&[certificate(&shop, "photon.test")], Some(HOST), &Anchors::default(), SystemTime::now());
    let first = found.first().unwrap();
    assert_eq!((first.finding, first.severity), (Finding::NoDigitalSignature, Severity::Error));
    assert!(first.text.contains("digitalSignature") && first.text.contains("openssl req -x509"), "{}", first.text);
    assert_eq!(first.remedy, "lampyris cert dev --name photon.test");
    let names = found.iter().map(|verdict| verdict.finding.name()).collect::<Vec<_>>();
    assert_eq!(names, ["no-digital-signature", "authority-as-leaf", "self-signed"]);
}

#[test]
fn d10_weak_keys_and_limited_authorities_are_told() {
    let shop = Workshop::new();
    shop.certificate("weak", "rsa:1024", "DNS:photon.test", None, LEAF);
    let own = |name: &str| Anchors::default().with_private([certificate(&shop, name)]);
    assert_eq!(findings(&judge(&[certificate(&shop, "weak")], HOST, &own("weak"))), [Finding::WeakKey]);
    shop.certificate("limited", EC, "", None, &["nameConstraints=critical,permitted;DNS:test"]);
    shop.certificate("leaf", EC, "DNS:photon.test", Some("limited"), LEAF);
    let report = judge(&[certificate(&shop, "leaf"), certificate(&shop, "limited")], HOST, &own("limited"));
    assert_eq!(findings(&report), [Finding::NameConstraints]);
    assert_eq!(opens(&report), [true, true, false, true, true]);
    shop.openssl("req -new -key leaf.key -subj /CN=old -out old.csr");
    shop.openssl("x509 -req -in old.csr -CA limited.crt -CAkey limited.key -sha1 -days 9 -out old.crt");
    let report = judge(&[certificate(&shop, "old")], HOST, &own("limited"));
    assert!(findings(&report).contains(&Finding::WeakSignature), "{:?}", report.verdicts);
}

#[test]
fn d8_the_end_of_the_chain_is_told() {
    let shop = Workshop::new();
    shop.three_levels();
    let [root, intermediate, leaf] = ["root", "intermediate", "leaf"].map(|name| certificate(&shop, name));
    let root_is_trusted = Anchors::default().with_private([root.clone()]);
    let full = [leaf.clone(), intermediate.clone()];
    assert_eq!(root_is_trusted.trust(&full), Trust::Private { authority: "CN=root".to_owned() });
    assert!(root_is_trusted.trust(&full).is_trusted());
    assert_eq!(findings(&judge(&full, HOST, &root_is_trusted)), []);
    assert_eq!(Anchors::default().trust(&full), Trust::Untrusted { authority: "CN=root".to_owned() });
    let alone = root_is_trusted.trust(std::slice::from_ref(&leaf));
    assert_eq!(alone, Trust::Untrusted { authority: "CN=intermediate".to_owned() });
    let disordered = judge(&[leaf, root, intermediate], HOST, &root_is_trusted);
    assert_eq!(findings(&disordered), [Finding::Order]);

    const LOCATION: &str = "authorityInfoAccess=caIssuers;URI:http://authority.test/i.der";
    shop.certificate("public", EC, "DNS:photon.test", Some("intermediate"), &[LEAF[0], LOCATION]);
    let report = judge(&[certificate(&shop, "public")], HOST, &root_is_trusted);
    let first = &report.verdicts[0];
    assert_eq!((first.finding, first.severity), (Finding::MissingIntermediate, Severity::Error));
    assert!(first.remedy.contains("http://authority.test/i.der"), "{}", first.remedy);
}

#[test]
fn d9_names_that_are_not_covered_are_told_and_the_depth_of_a_wildcard() {
    let shop = Workshop::new();
    let anchors = trusted(&shop);
    shop.certificate("wild", EC, "DNS:*.photon.test,IP:192.0.2.1", Some("ca"), LEAF);
    let chain = [certificate(&shop, "wild")];
    for host in ["a.b.photon.test", "photon.test"] {
        let report = judge(&chain, host, &anchors);
        assert_eq!(findings(&report), [Finding::NameNotCovered], "{host}");
        let text = &report.verdicts[0].text;
        assert!(text.contains("exactly one label") && text.contains("192.0.2.1"), "{text}");
        assert_eq!(report.verdicts[0].remedy, format!("lampyris cert dev --name {host}"));
    }
    assert_eq!(findings(&judge(&chain, "A.PHOTON.TEST.", &anchors)), []);
    let report = judge(&chain, "192.0.2.2", &anchors);
    assert_eq!(findings(&report), [Finding::NameNotCovered, Finding::AddressAsHost]);
    assert_eq!(report.verdicts[0].remedy, "lampyris cert dev --ip 192.0.2.2");
}

#[test]
fn d11_times_are_judged_at_both_ends() {
    let shop = Workshop::new();
    let anchors = trusted(&shop);
    shop.certificate("leaf", EC, "DNS:photon.test", Some("ca"), LEAF);
    let chain = [certificate(&shop, "leaf")];
    let now = SystemTime::now();
    // The leaf of the workshop lives for 90 days.
    for (at, finding, text) in [
        (now - 3 * DAY - DAY / 24, Finding::NotYetValid, "3 days more"),
        (now + 85 * DAY, Finding::ExpiresSoon, "expires in 4 days"),
        (now + 93 * DAY, Finding::Expired, "has expired 3 days ago"),
    ] {
        let report = report(&chain, Some(HOST), &anchors, at);
        let verdict = report.verdicts.iter().find(|verdict| verdict.finding == finding).unwrap();
        assert!(verdict.text.contains(text), "{}", verdict.text);
        let connects = finding == Finding::ExpiresSoon;
        assert_eq!(opens(&report), [connects, connects, connects, connects, true]);
    }
    shop.openssl("req -new -key leaf.key -subj /CN=long -addext subjectAltName=DNS:photon.test -out long.csr");
    shop.openssl("x509 -req -in long.csr -CA ca.crt -CAkey ca.key -days 9 -copy_extensions copy -out short.crt");
    let short = [certificate(&shop, "short")];
    assert_eq!(findings(&judge(&short, HOST, &anchors)), [], "as long as two thirds remain");
    let late = report(&short, Some(HOST), &anchors, now + 7 * DAY);
    assert_eq!(findings(&late), [Finding::ExpiresSoon]);
    shop.openssl("x509 -req -in long.csr -CA ca.crt -CAkey ca.key -days 3650 -copy_extensions copy -out long.crt");
    let report = judge(&[certificate(&shop, "long")], HOST, &anchors);
    assert_eq!((findings(&report), opens(&report)), (vec![Finding::LongLife], [true; 5]));
}

#[test]
fn damaged_certificates_are_told_and_do_not_stop_the_judge() {
    let shop = Workshop::new();
    shop.certificate("leaf", EC, "DNS:photon.test", None, LEAF);
    let whole = certificate(&shop, "leaf");
    for length in [0, 1, 4, 40, whole.len() / 2, whole.len() - 1] {
        let cut = CertificateDer::from(whole[..length].to_vec());
        let report = judge(&[cut, whole.clone()], HOST, &Anchors::default());
        assert_eq!(report.verdicts[0].finding, Finding::Damaged, "{length} bytes");
    }
    assert!(judge(&[], HOST, &Anchors::default()).verdicts.is_empty());
}

/// Serves `connections` of them and ends.
fn serve(connections: usize, serve: impl Fn(std::net::TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || (0..connections).for_each(|_| serve(listener.accept().unwrap().0)));
    address
}

#[test]
fn d12_a_listener_is_asked_as_current_clients_and_as_unity_do() {
    let shop = Workshop::new();
    shop.certificate("leaf", EC, "DNS:photon.test", None, LEAF);
    let identity = load(&shop.write("server.pem", shop.text("leaf.crt") + &shop.text("leaf.key"))).unwrap();
    let shake_hands = move |min| {
        let (versions, _) = ProtocolRange::parse(min, None).unwrap();
        let settings = Settings { versions, ..Settings::default() };
        let config = server_config_for(Arc::new(Selection::single(identity.clone())), &settings).unwrap();
        move |mut stream: std::net::TcpStream| {
            let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
        }
    };
    let found = probe(serve(2, shake_hands(None)), HOST).unwrap();
    let (current, tls12) = (found.current.agreed().unwrap(), found.tls12.agreed().unwrap());
    assert_eq!((current.version.as_str(), tls12.version.as_str()), ("TLSv1_3", "TLSv1_2"));
    assert!(!current.group.is_empty() && !tls12.group.is_empty());
    assert_eq!(tls12.suite, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
    assert_eq!(current.chain, [certificate(&shop, "leaf")]);

    let found = probe(serve(3, shake_hands(Some("TLS13"))), HOST).unwrap();
    assert!(found.current.agreed().is_some());
    assert!(matches!(&found.tls12, Answer::Refused(text) if text.contains("ProtocolVersion")), "{:?}", found.tls12);
}

#[test]
fn a_listener_without_tls_is_recognized() {
    let answer = |text: &'static str| {
        move |mut stream: std::net::TcpStream| {
            let mut request = [0; 512];
            let _ = stream.read(&mut request);
            // A ClientHello is no request, and the listener closes.
            if request.starts_with(b"GET") {
                let _ = stream.write_all(text.as_bytes());
            }
        }
    };
    let found = probe(serve(4, answer("HTTP/1.1 426 Upgrade Required\r\n\r\n")), HOST).unwrap();
    assert!(matches!((&found.current, &found.tls12), (Answer::PlainHttp, Answer::PlainHttp)), "{found:?}");
    let found = probe(serve(4, answer("SSH-2.0\r\n")), HOST).unwrap();
    assert!(matches!(found.current, Answer::Refused(_)), "{found:?}");
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    assert!(probe(closed, HOST).is_err());
    assert!(probe(closed, "no host").is_err());
}
