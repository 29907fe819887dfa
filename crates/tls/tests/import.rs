//! Files as others make them, turned into the files that a listener reads; requests; certificates of clusters.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use common::{EC, LEAF, RSA, Workshop, load};
use lampyris_tls::cluster::{Cluster, NODE_URI};
use lampyris_tls::csr::request;
use lampyris_tls::import::{Imported, from_pem, from_pfx};
use lampyris_tls::inspect::Details;
use lampyris_tls::{KeyAlgorithm, PasswordSource, Source, TlsError, config};
use proptest::prelude::*;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

const PASSWORD: &str = "geheim \u{fc}\u{1f511}";
const OLD: &str = "-provider legacy -provider default";

/// A chain of three, an RSA leaf of its own, and the password in a file.
fn workshop() -> Workshop {
    let shop = Workshop::new();
    shop.three_levels();
    shop.certificate("rsa", RSA, "DNS:photon.test", None, LEAF);
    shop.write("more.pem", shop.text("root.crt") + &shop.text("intermediate.crt"));
    shop.write("password", format!("{PASSWORD}\n"));
    shop
}

fn open(shop: &Workshop, pfx: &str, password: Option<&str>) -> Result<Imported, TlsError> {
    let password = password.and_then(PasswordSource::parse);
    from_pfx(&shop.path(pfx), password.as_ref(), &config::provider())
}

#[test]
fn t7_a_pfx_of_every_usual_kind_is_imported() {
    let shop = workshop();
    for (name, how) in [
        ("openssl 3", ""),
        ("aes 128", "-keypbe AES-128-CBC -certpbe AES-128-CBC"),
        ("sha 512", "-macalg sha512 -iter 100000"),
        ("openssl 1, windows before 2019", &format!("-legacy {OLD}")),
        ("windows with 3des alone", &format!("-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1 {OLD}")),
        ("old java", &format!("-keypbe PBE-SHA1-RC2-128 -certpbe PBE-SHA1-RC2-40 {OLD}")),
        ("certificates in clear", "-certpbe NONE"),
        ("no check of integrity", "-nomac"),
    ] {
        shop.openssl(&format!(
            "pkcs12 -export {how} -in leaf.crt -inkey leaf.key -certfile more.pem -name x -passout file:password -out a.pfx"
        ));
        let imported = open(&shop, "a.pfx", Some(PASSWORD)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let out = shop.path("server.pem");
        imported.write(&out).unwrap();
        assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
        let identity = load(&out).unwrap();
        let expected = ["leaf", "intermediate"].map(|name| shop.text(&format!("{name}.crt")));
        let expected = expected.map(|text| CertificateDer::from_pem_slice(text.as_bytes()).unwrap());
        assert_eq!(identity.chain(), expected, "{name}: in order and without the root");
        let wrong = open(&shop, "a.pfx", Some("wrong")).unwrap_err();
        assert!(matches!(wrong, TlsError::WrongPassword { .. }), "{name}: {wrong}");
        let none = open(&shop, "a.pfx", None).unwrap_err();
        assert!(matches!(&none, TlsError::NoPfxPassword { .. }) && none.to_string().contains("--password"), "{name}");
    }
}

#[test]
fn t8_a_wrong_password_is_told_as_such_where_nothing_checks_the_file() {
    let shop = workshop();
    shop.openssl("pkcs12 -export -nomac -in leaf.crt -inkey leaf.key -passout file:password -out a.pfx");
    // One of 256 wrong passwords leaves a padding that looks right.
    for number in 0..1_000 {
        let wrong = open(&shop, "a.pfx", Some(&format!("wrong {number}"))).unwrap_err();
        assert!(matches!(wrong, TlsError::WrongPassword { .. }), "{number}: {wrong}");
    }
}

#[test]
fn a_pfx_without_password_and_one_with_several_keys_are_imported() {
    let shop = workshop();
    shop.openssl("pkcs12 -export -in rsa.crt -inkey rsa.key -passout pass: -out empty.pfx");
    assert_eq!(open(&shop, "empty.pfx", None).unwrap().identity().summary().subject, "CN=rsa");
    shop.openssl(
        "pkcs12 -export -in rsa.crt -inkey rsa.key -keypbe NONE -certpbe NONE -nomac -passout pass: -out open.pfx",
    );
    assert!(open(&shop, "open.pfx", None).is_ok());
    shop.openssl("pkcs12 -export -nokeys -in rsa.crt -passout pass: -out nokey.pfx");
    assert!(matches!(open(&shop, "nokey.pfx", None), Err(TlsError::NoKey { .. })));
}

#[test]
fn what_is_no_pfx_is_told_with_the_way_out() {
    let shop = workshop();
    let error = open(&shop, "rsa.crt", None).unwrap_err();
    assert!(
        matches!(&error, TlsError::NotPfx { .. }) && error.to_string().contains("openssl pkcs12 -export"),
        "{error}"
    );
    shop.openssl(&format!(
        "pkcs12 -export -in rsa.crt -inkey rsa.key -certpbe PBE-SHA1-RC4-128 {OLD} -passout pass:x -out rc4.pfx"
    ));
    let error = open(&shop, "rc4.pfx", Some("x")).unwrap_err();
    assert!(
        matches!(&error, TlsError::UnsupportedPfx { .. }) && error.to_string().contains("openssl pkcs12 -in"),
        "{error}"
    );
    shop.openssl("pkcs12 -export -in rsa.crt -inkey rsa.key -passout pass:x -out good.pfx");
    // The start of the server names the command that imports.
    let error = load(&shop.path("good.pfx")).unwrap_err();
    assert!(error.to_string().contains("lampyris cert import --pfx"), "{error}");
}

#[test]
fn no_damage_to_a_pfx_makes_the_reader_panic() {
    let shop = workshop();
    shop.openssl("pkcs12 -export -in rsa.crt -inkey rsa.key -nomac -iter 1 -passout pass:x -out good.pfx");
    let good = fs::read(shop.path("good.pfx")).unwrap();
    for length in 0..good.len().min(300) {
        shop.write("bad.pfx", &good[..length]);
        assert!(open(&shop, "bad.pfx", Some("x")).is_err(), "{length} bytes");
    }
    let damage = proptest::collection::vec((0..good.len(), any::<u8>()), 1..8);
    let mut runner = proptest::test_runner::TestRunner::default();
    let outcome = runner.run(&damage, |changes| {
        let mut bytes = good.clone();
        changes.into_iter().for_each(|(at, byte)| bytes[at] = byte);
        shop.write("bad.pfx", &bytes);
        let _ = open(&shop, "bad.pfx", Some("x"));
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn pem_files_are_merged_sorted_decrypted_and_split() {
    let shop = workshop();
    shop.openssl("ec -aes256 -in leaf.key -passout file:password -out leaf.enc");
    let chain = ["root", "intermediate", "leaf"].map(|name| shop.text(&format!("{name}.crt"))).concat();
    let chain = shop.write("chain.pem", chain);
    let (key, password) = (shop.path("leaf.enc"), PasswordSource::parse(PASSWORD));
    let source = Source { certificate: &chain, key: Some(&key), password: password.as_ref() };
    let imported = from_pem(&source, &config::provider()).unwrap();
    let out = shop.path("server.pem");
    imported.write(&out).unwrap();
    let merged = load(&out).unwrap();
    assert!(merged.warnings().is_empty() && merged.chain().len() == 2, "{:?}", merged.warnings());

    let (certificate, key) = (shop.path("server.crt"), shop.path("server.key"));
    let source = Source { certificate: &out, key: None, password: None };
    from_pem(&source, &config::provider()).unwrap().write_apart(&certificate, &key).unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&certificate), mode(&key)), (0o644, 0o600));
    assert!(!shop.text("server.crt").contains("PRIVATE") && !shop.text("server.key").contains("CERTIFICATE"));
    let rsa = shop.path("rsa.key");
    let mixed = Source { certificate: &certificate, key: Some(&rsa), password: None };
    assert!(matches!(from_pem(&mixed, &config::provider()), Err(TlsError::KeyMismatch { .. })));
}

#[test]
fn a_request_has_names_usages_and_a_key_that_is_made_once() {
    let shop = Workshop::new();
    let key = shop.path("server.key");
    let names = ["play.example.org".to_owned(), "*.example.org".to_owned()];
    let ask = |algorithm| request(&key, None, algorithm, &names, &[[192, 0, 2, 1].into()]).unwrap();
    let first = ask(KeyAlgorithm::Rsa2048);
    assert!(first.is_key_new);
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let before = shop.text("server.key");
    let second = ask(KeyAlgorithm::P256);
    assert!(!second.is_key_new && shop.text("server.key") == before);
    shop.write("server.csr", &second.pem);
    shop.openssl("req -in server.csr -verify -noout");
    shop.openssl("req -in server.csr -noout -text -out text");
    let text = shop.text("text");
    for part in [
        "Subject: CN = play.example.org",
        "2048 bit",
        "DNS:play.example.org, DNS:*.example.org, IP Address:192.0.2.1",
        "Digital Signature, Key Encipherment",
        "TLS Web Server Authentication",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // An authority signs it, and the result fits the key.
    shop.certificate("ca", EC, "", None, &["keyUsage=keyCertSign"]);
    shop.openssl("x509 -req -in server.csr -CA ca.crt -CAkey ca.key -days 9 -copy_extensions copy -out signed.crt");
    let file = shop.write("server.pem", shop.text("signed.crt") + &before);
    assert_eq!(load(&file).unwrap().summary().names, names);
}

#[test]
fn a_request_takes_encrypted_keys_and_keys_of_older_forms() {
    let shop = Workshop::new();
    shop.certificate("ec", EC, "", None, LEAF);
    shop.write("password", "geheim\n");
    shop.openssl("ec -aes256 -in ec.key -passout file:password -out encrypted.key");
    shop.openssl("ec -in ec.key -out sec1.key");
    let names = ["play.example.org".to_owned()];
    let ask = |key: &str, password: Option<&str>| {
        let password = password.and_then(PasswordSource::parse);
        request(&shop.path(key), password.as_ref(), KeyAlgorithm::P256, &names, &[])
    };
    assert!(matches!(ask("encrypted.key", None), Err(TlsError::NoPassword { .. })));
    for request in [ask("encrypted.key", Some("geheim")).unwrap(), ask("sec1.key", None).unwrap()] {
        shop.write("server.csr", request.pem);
        shop.openssl("req -in server.csr -verify -noout");
    }
    shop.write("empty.key", "");
    assert!(matches!(ask("empty.key", None), Err(TlsError::NoKey { .. })));
}

#[test]
fn t22_a_node_stands_for_server_and_client_under_its_name() {
    let shop = Workshop::new();
    let folder = shop.path("cluster");
    let cluster = Cluster::at(&folder);
    let now = SystemTime::now();
    let make = |name: &str| cluster.node(name, &["game.example.org".to_owned()], &[[10, 0, 0, 7].into()], 397, now);
    let error = make("game-1").unwrap_err();
    assert!(error.to_string().contains("lampyris cert cluster init"), "{error}");
    let root = cluster.init(now).unwrap();
    assert!(root.is_new && !cluster.init(now).unwrap().is_new);
    assert_eq!(fs::metadata(&root.key).unwrap().permissions().mode() & 0o777, 0o600);
    let node = make("game-1").unwrap();
    assert_eq!(fs::read(&node.root).unwrap(), fs::read(&root.certificate).unwrap());
    for purpose in ["sslserver", "sslclient"] {
        let (root, identity) = (node.root.display(), node.identity.display());
        shop.openssl(&format!(
            "verify -x509_strict -purpose {purpose} -verify_hostname game-1 -CAfile {root} {identity}"
        ));
    }
    let identity = load(&node.identity).unwrap();
    let details = Details::of(&identity.chain()[0]).unwrap();
    assert_eq!(details.extended_key_usage.unwrap(), ["serverAuth", "clientAuth"]);
    assert_eq!(details.summary.names, ["game-1", "game.example.org"]);
    shop.openssl(&format!("x509 -in {} -noout -ext subjectAltName -out text", node.identity.display()));
    assert!(shop.text("text").contains(&format!("URI:{NODE_URI}game-1")), "{}", shop.text("text"));
    // Renewal is the same command; the authority stays.
    let before = fs::read(&node.identity).unwrap();
    let again = make("game-1").unwrap();
    assert_ne!(fs::read(&again.identity).unwrap(), before);
    assert_eq!(fs::read(&again.root).unwrap(), fs::read(&root.certificate).unwrap());
}

#[test]
fn t24_an_authority_of_a_cluster_does_not_end_before_its_nodes_are_renewed() {
    let shop = Workshop::new();
    let cluster = Cluster::at(&shop.path("cluster"));
    let day = Duration::from_secs(24 * 60 * 60);
    let now = SystemTime::now();
    let root = cluster.init(now).unwrap();
    let before = fs::read(&root.certificate).unwrap();
    let late = now + 3400 * day;
    // A node whose certificate would outlive the authority is refused rather than given another authority.
    let error = cluster.node("game-1", &[], &[], 397, late).unwrap_err();
    assert!(matches!(&error, TlsError::AuthorityEnds { .. }), "{error}");
    assert_eq!(fs::read(&root.certificate).unwrap(), before);
    assert!(cluster.node("game-1", &[], &[], 200, late).is_ok());
}
