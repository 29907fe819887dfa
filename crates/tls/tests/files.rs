//! Certificate files as operators have them: order, labels, damage.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use common::{EC, LEAF, Workshop, load};
use lampyris_tls::{Identity, Source, TlsError, Warning, config};

#[test]
fn t6_the_leaf_is_found_and_the_chain_ordered_whatever_the_order_of_the_file() {
    let shop = Workshop::new();
    shop.three_levels();
    let parts = ["leaf.crt", "intermediate.crt", "root.crt", "leaf.key"].map(|name| shop.text(name));
    let expected = {
        let path = shop.write("expected.pem", [parts[0].as_str(), &parts[1], &parts[3]].concat());
        load(&path).unwrap()
    };
    assert_eq!(expected.chain().len(), 2);
    assert_eq!(expected.summary().names, ["photon.test"]);
    assert!(expected.warnings().is_empty(), "{:?}", expected.warnings());
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1], [1, 2, 0, 3]] {
        let file = order.map(|part: usize| parts[part].as_str()).concat() + &parts[1];
        let identity = load(&shop.write("server.pem", file)).unwrap();
        assert_eq!(identity.chain(), expected.chain(), "{order:?}");
        assert!(identity.warnings().is_empty(), "{order:?}: {:?}", identity.warnings());
    }
}

#[test]
fn t6_a_missing_intermediate_and_unrelated_certificates_are_told() {
    let shop = Workshop::new();
    shop.three_levels();
    shop.certificate("stranger", EC, "DNS:other.test", None, LEAF);
    let alone = load(&shop.write("alone.pem", shop.text("leaf.crt") + &shop.text("leaf.key"))).unwrap();
    let issuer = "CN=intermediate".to_owned();
    assert_eq!(alone.warnings(), [Warning::MissingIntermediate { issuer }]);
    let file = ["stranger.crt", "leaf.crt", "intermediate.crt", "leaf.key"].map(|name| shop.text(name)).concat();
    let extra = load(&shop.write("extra.pem", file)).unwrap();
    assert_eq!(extra.warnings(), [Warning::ExtraCertificate { subject: "CN=stranger".to_owned() }]);
    assert_eq!(extra.chain().len(), 2);
    let own = load(&shop.write("own.pem", shop.text("stranger.crt") + &shop.text("stranger.key"))).unwrap();
    assert!(own.warnings().is_empty(), "{:?}", own.warnings());
}

#[test]
fn t6_every_label_and_encoding_is_read() {
    let shop = Workshop::new();
    shop.certificate("a", EC, "DNS:photon.test", None, LEAF);
    shop.openssl("x509 -in a.crt -trustout -addtrust serverAuth -setalias name -out trusted.crt");
    shop.openssl("ec -in a.key -out sec1.key");
    shop.openssl("ecparam -name prime256v1 -out parameters.pem");
    let (certificate, key) = (shop.text("a.crt"), shop.text("a.key"));
    let trusted = shop.text("trusted.crt");
    assert!(trusted.contains("BEGIN TRUSTED CERTIFICATE"));
    let sec1 = shop.text("parameters.pem") + &shop.text("sec1.key");
    let plain = format!("Bag Attributes\n  friendlyName: x\n{certificate}between\n{key}behind\n");
    let utf16 = [0xFF, 0xFE].into_iter().chain(plain.encode_utf16().flat_map(u16::to_le_bytes)).collect::<Vec<_>>();
    for (what, file) in [
        ("plain", plain.clone().into_bytes()),
        ("CRLF", plain.replace('\n', "\r\n").into_bytes()),
        ("CR", plain.replace('\n', "\r").into_bytes()),
        ("BOM", format!("\u{feff}{certificate}{key}").into_bytes()),
        ("UTF-16", utf16),
        (
            "X509",
            certificate
                .replace(" CERTIFICATE", " X509 CERTIFICATE")
                .into_bytes()
                .into_iter()
                .chain(key.bytes())
                .collect(),
        ),
        ("TRUSTED", (trusted + &key).into_bytes()),
        ("EC PARAMETERS", (sec1 + &certificate).into_bytes()),
    ] {
        let identity = load(&shop.write("server.pem", file)).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(identity.warnings().is_empty(), "{what}: {:?}", identity.warnings());
    }
}

#[test]
fn t9_a_key_that_others_can_read_is_told() {
    let shop = Workshop::new();
    shop.certificate("a", EC, "DNS:photon.test", None, LEAF);
    let path = shop.write("server.pem", shop.text("a.crt") + &shop.text("a.key"));
    for (mode, told) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true), (0o644, true)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let expected = told.then(|| Warning::KeyReadable { path: path.clone(), mode });
        assert_eq!(load(&path).unwrap().warnings(), expected.as_slice(), "{mode:o}");
    }
}

#[test]
fn t2_the_key_may_stand_in_a_file_of_its_own() {
    let shop = Workshop::new();
    shop.certificate("a", EC, "DNS:photon.test", None, LEAF);
    let (certificate, key) = (shop.path("a.crt"), shop.path("a.key"));
    let source = Source { certificate: &certificate, key: Some(&key), password: None };
    Identity::load_from(&source, &config::provider()).unwrap();
    let missing = shop.path("missing.key");
    let source = Source { certificate: &certificate, key: Some(&missing), password: None };
    let error = Identity::load_from(&source, &config::provider()).unwrap_err().to_string();
    assert!(error.contains("missing.key"), "{error}");
}

#[test]
fn old_recipes_that_browsers_refuse_are_told() {
    let shop = Workshop::new();
    shop.certificate("old", EC, "DNS:a.test", None, &["keyUsage=keyEncipherment,dataEncipherment"]);
    shop.certificate("client", EC, "DNS:a.test", None, &["extendedKeyUsage=clientAuth"]);
    for (name, expected) in [("old", Warning::NoDigitalSignature), ("client", Warning::NoServerAuth)] {
        let file = shop.text(&format!("{name}.crt")) + &shop.text(&format!("{name}.key"));
        assert_eq!(load(&shop.write("server.pem", file)).unwrap().warnings(), [expected]);
    }
}

/// Files that cannot be served, with a part of the text that the operator gets.
fn damaged(shop: &Workshop) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let (crt, key, other) = (shop.text("a.crt"), shop.text("a.key"), shop.text("b.key"));
    let text = |parts: &[&str]| parts.concat().into_bytes();
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let der = |name: &str| fs::read(shop.path(name)).unwrap();
    let relabel = |text: &str, from: &str, to: &str| text.replace(from, to);
    let garbage = |label: &str| format!("-----BEGIN {label}-----\nAQIDBAUG\n-----END {label}-----\n");
    let without_begin = crt.replace("-----BEGIN CERTIFICATE-----\n", "");
    let flipped = {
        let mut lines = crt.lines().map(str::to_owned).collect::<Vec<_>>();
        lines.remove(3);
        lines.join("\n") + "\n"
    };
    vec![
        ("empty", vec![], "holds no certificate"),
        ("prose", text(&["hello\n"]), "holds no certificate"),
        ("only a key", text(&[&key]), "holds no certificate"),
        ("only a certificate", text(&[&crt]), "holds no private key"),
        ("another key", text(&[&crt, &other]), "belongs to none"),
        ("certificate cut off", text(&[&key, &half(&crt)]), "has no END"),
        ("key cut off", text(&[&crt, &half(&key)]), "has no END"),
        ("two blocks run together", text(&[&half(&crt), "\n", &key]), "starts inside"),
        ("no BEGIN", text(&[&without_begin, &key]), "without its BEGIN"),
        ("other END", text(&[&relabel(&crt, "END CERTIFICATE", "END KEY"), &key]), "closes the block"),
        (
            "four dashes",
            text(&[&relabel(&crt, "BEGIN CERTIFICATE-----", "BEGIN CERTIFICATE----"), &key]),
            "expected -----",
        ),
        ("letter outside of base64", text(&[&relabel(&crt, "\nMI", "\nM*"), &key]), "damaged"),
        ("line lost", text(&[&flipped, &key]), "damaged"),
        ("garbage certificate", text(&[&garbage("CERTIFICATE"), &key]), "the certificate of line 1 is damaged"),
        ("garbage in the chain", text(&[&crt, &key, &garbage("CERTIFICATE")]), "damaged"),
        ("garbage PKCS#8", text(&[&crt, &garbage("PRIVATE KEY")]), "expected an X.509 certificate with"),
        ("garbage PKCS#1", text(&[&crt, &garbage("RSA PRIVATE KEY")]), "expected an X.509 certificate with"),
        ("garbage SEC1", text(&[&crt, &garbage("EC PRIVATE KEY")]), "expected an X.509 certificate with"),
        ("garbage encrypted", text(&[&crt, &garbage("ENCRYPTED PRIVATE KEY")]), "no password is configured"),
        (
            "certificate labelled as key",
            text(&[&crt, &relabel(&crt, "CERTIFICATE", "PRIVATE KEY")]),
            "expected an X.509",
        ),
        ("key labelled as certificate", text(&[&relabel(&key, "PRIVATE KEY", "CERTIFICATE")]), "damaged"),
        ("SEC1 label on PKCS#8", text(&[&crt, &relabel(&key, "PRIVATE", "EC PRIVATE")]), ""),
        ("empty block", text(&["-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", &key]), "is empty"),
        ("DER certificate", der("a.der"), "it is binary"),
        ("PKCS#12", der("a.p12"), "it is binary"),
        ("UTF-16 without mark", crt.encode_utf16().flat_map(u16::to_le_bytes).collect(), "zero bytes"),
        ("OpenSSH key", text(&[&crt, &relabel(&key, "PRIVATE", "OPENSSH PRIVATE")]), "format that is not supported"),
        ("DSA key", text(&[&crt, &relabel(&key, "PRIVATE", "DSA PRIVATE")]), "format that is not supported"),
        ("certificate request", text(&[&shop.text("a.csr"), &key]), "holds no certificate"),
        ("public key", text(&[&crt, &shop.text("a.pub")]), "holds no private key"),
        ("behind the end", text(&[&shop.text("trusted.crt").replace("TRUSTED ", ""), &key]), "bytes behind its end"),
        ("too large", vec![b'x'; 2 * 1024 * 1024], "more than 1048576"),
        ("too many blocks", text(&[&crt.repeat(70), &key]), "more than 64 blocks"),
        ("weak key", text(&[&shop.text("weak.crt"), &shop.text("weak.key")]), "expected an X.509"),
        (
            "no IV",
            text(&[&crt, &relabel(&key, "PRIVATE KEY-----\n", "EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n")]),
            "",
        ),
    ]
}

#[test]
fn t3_each_damaged_file_gets_a_clear_error() {
    let shop = Workshop::new();
    shop.certificate("a", EC, "DNS:photon.test", None, LEAF);
    shop.certificate("b", EC, "DNS:photon.test", None, LEAF);
    shop.certificate("weak", "rsa:1024", "DNS:photon.test", None, LEAF);
    shop.openssl("x509 -in a.crt -outform der -out a.der");
    shop.openssl("x509 -in a.crt -trustout -addtrust serverAuth -out trusted.crt");
    shop.openssl("pkcs12 -export -in a.crt -inkey a.key -passout pass:x -out a.p12");
    shop.openssl("req -new -key a.key -subj /CN=a -out a.csr");
    shop.openssl("pkey -in a.key -pubout -out a.pub");
    let files = damaged(&shop);
    assert!(files.len() >= 30);
    for (what, file, expected) in files {
        let path = shop.write("server.pem", file);
        let Err(error) = load(&path) else {
            assert!(expected.is_empty(), "{what}: accepted");
            continue;
        };
        let text = error.to_string();
        assert!(text.contains("server.pem") && text.contains(expected), "{what}: {text}");
    }
    assert!(matches!(load(&shop.path("nowhere.pem")), Err(TlsError::Unreadable { .. })));
}
