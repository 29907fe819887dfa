//! Private keys in every form that operators have.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use common::{EC, LEAF, RSA, Workshop, load, load_with};
use lampyris_tls::{TlsError, Warning};

const PASSWORD: &str = "correct horse";

/// A workshop with an RSA and an ECDSA certificate and the password in a file.
fn workshop() -> Workshop {
    let shop = Workshop::new();
    shop.certificate("rsa", RSA, "DNS:photon.test", None, LEAF);
    shop.certificate("ec", EC, "DNS:photon.test", None, LEAF);
    // OpenSSL reads the first line as the old password, the second as the new one.
    shop.write("password", format!("{PASSWORD}\n{PASSWORD}\n"));
    shop
}

fn with_key(shop: &Workshop, certificate: &str, key: &str) -> std::path::PathBuf {
    shop.write("server.pem", shop.text(&format!("{certificate}.crt")) + &shop.text(key))
}

#[test]
fn t7_plain_keys_of_every_form_are_read() {
    let shop = workshop();
    shop.openssl("rsa -in rsa.key -traditional -out rsa.pkcs1");
    shop.openssl("ec -in ec.key -out ec.sec1");
    for (certificate, key, label) in [
        ("rsa", "rsa.key", "BEGIN PRIVATE KEY"),
        ("ec", "ec.key", "BEGIN PRIVATE KEY"),
        ("rsa", "rsa.pkcs1", "BEGIN RSA PRIVATE KEY"),
        ("ec", "ec.sec1", "BEGIN EC PRIVATE KEY"),
    ] {
        assert!(shop.text(key).contains(label), "{key}");
        let identity = load(&with_key(&shop, certificate, key)).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert!(identity.warnings().is_empty(), "{key}");
    }
}

#[test]
fn t7_ed25519_works_with_a_warning() {
    let shop = Workshop::new();
    shop.certificate("ed", "ed25519", "DNS:photon.test", None, LEAF);
    assert_eq!(load(&with_key(&shop, "ed", "ed.key")).unwrap().warnings(), [Warning::Ed25519]);
}

/// Makes each encrypted form and returns certificate and key file.
fn encrypted(shop: &Workshop) -> Vec<(&'static str, String)> {
    let mut made = Vec::new();
    let mut make = |certificate: &'static str, name: &str, words: &str| {
        shop.openssl(&format!("{words} -in {certificate}.key -passout file:password -out {name}"));
        made.push((certificate, name.to_owned()));
    };
    for cipher in ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "des-ede3-cbc"] {
        for certificate in ["rsa", "ec"] {
            make(certificate, &format!("{certificate}.{cipher}.pkcs8"), &format!("pkcs8 -topk8 -v2 {cipher}"));
            let traditional = if certificate == "rsa" { "rsa -traditional" } else { "ec" };
            make(certificate, &format!("{certificate}.{cipher}.old"), &format!("{traditional} -{cipher}"));
        }
    }
    make("rsa", "rsa.sha1", "pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA1");
    make("rsa", "rsa.scrypt", "pkcs8 -topk8 -scrypt");
    made
}

#[test]
fn t7_encrypted_keys_open_with_their_password_and_no_other() {
    let shop = workshop();
    for (certificate, key) in encrypted(&shop) {
        assert!(shop.text(&key).contains("ENCRYPTED"), "{key}");
        let path = with_key(&shop, certificate, &key);
        let identity = load_with(&path, PASSWORD).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert!(identity.warnings().is_empty(), "{key}");
        let source = format!("file:{}", shop.path("password").display());
        assert!(load_with(&path, &source).is_ok(), "{key}");
        assert!(matches!(load(&path), Err(TlsError::NoPassword { .. })), "{key}");
        let wrong = load_with(&path, "wrong horse").unwrap_err();
        assert!(matches!(wrong, TlsError::WrongPassword { .. }), "{key}: {wrong}");
        assert!(!wrong.to_string().contains("wrong horse"));
    }
}

#[test]
fn t7_keys_of_the_older_schemes_open_too() {
    let shop = workshop();
    for scheme in [
        "PBE-SHA1-3DES",
        "PBE-SHA1-2DES",
        "PBE-SHA1-RC2-128",
        "PBE-SHA1-RC2-40",
        "PBE-MD5-DES",
        "PBE-SHA1-DES",
        "PBE-MD5-RC2-64",
        "PBE-SHA1-RC2-64",
    ] {
        old_key(&shop, scheme);
        let path = with_key(&shop, "rsa", "old.key");
        let identity = load_with(&path, PASSWORD).unwrap_or_else(|error| panic!("{scheme}: {error}"));
        assert!(identity.warnings().is_empty(), "{scheme}");
        let wrong = load_with(&path, "wrong horse").unwrap_err();
        assert!(matches!(wrong, TlsError::WrongPassword { .. }), "{scheme}: {wrong}");
        assert!(matches!(load(&path), Err(TlsError::NoPassword { .. })), "{scheme}");
    }
}

fn old_key(shop: &Workshop, scheme: &str) {
    let providers = "-provider legacy -provider default";
    shop.openssl(&format!("pkcs8 -topk8 -v1 {scheme} {providers} -in rsa.key -passout file:password -out old.key"));
}

#[test]
fn t7_encryption_by_a_stream_is_refused_with_a_command_that_helps() {
    let shop = workshop();
    old_key(&shop, "PBE-SHA1-RC4-128");
    let path = with_key(&shop, "rsa", "old.key");
    let error = load_with(&path, PASSWORD).unwrap_err();
    assert!(matches!(error, TlsError::UnsupportedKey { .. }), "{error}");
    assert!(error.to_string().contains("openssl pkey -aes-256-cbc -in"), "{error}");
}

#[test]
fn t7_a_password_beyond_ascii_opens_what_it_closed() {
    let shop = workshop();
    shop.write("password", "g\u{fc}ltig \u{1f511}\n");
    shop.openssl("pkcs8 -topk8 -v1 PBE-SHA1-3DES -in rsa.key -passout file:password -out old.key");
    assert!(load_with(&with_key(&shop, "rsa", "old.key"), "g\u{fc}ltig \u{1f511}").is_ok());
}

#[test]
fn t7_other_traditional_ciphers_are_refused_by_name() {
    let shop = workshop();
    shop.openssl("rsa -traditional -camellia256 -in rsa.key -passout file:password -out old.key");
    let error = load_with(&with_key(&shop, "rsa", "old.key"), PASSWORD).unwrap_err();
    assert!(
        matches!(&error, TlsError::UnsupportedKey { detail, .. } if detail.contains("CAMELLIA-256-CBC")),
        "{error}"
    );
}

#[test]
fn t8_a_password_that_is_not_needed_is_told_and_one_that_is_missing_names_its_source() {
    let shop = workshop();
    let plain = with_key(&shop, "ec", "ec.key");
    assert_eq!(load_with(&plain, PASSWORD).unwrap().warnings(), [Warning::PasswordUnused]);
    shop.openssl("ec -aes256 -in ec.key -passout file:password -out ec.old");
    let error = load_with(&with_key(&shop, "ec", "ec.old"), "file:/nowhere/password").unwrap_err();
    assert!(error.to_string().contains("file:/nowhere/password"), "{error}");
}

#[test]
fn the_first_of_several_keys_is_used_and_the_others_are_told() {
    let shop = workshop();
    let file = ["ec.crt", "ec.key", "rsa.key"].map(|name| shop.text(name)).concat();
    let identity = load(&shop.write("server.pem", file)).unwrap();
    assert_eq!(identity.warnings(), [Warning::ExtraKeys { unused: 1 }]);
}
