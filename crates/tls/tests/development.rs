//! Certificates that are made on an operator's order: each field is read back, and `openssl` verifies the chain.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use common::{EC, LEAF, Workshop, load};
use lampyris_tls::development::{Made, Order, Origin, Place, Wanted, ensure, make};
use lampyris_tls::inspect::{Anchors, Finding, chain_of_file, verdicts};
use lampyris_tls::{KeyAlgorithm, KeyKind, TlsError, config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, ParsedExtension, X509Certificate};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn order(names: &[&str]) -> Order {
    Order {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        addresses: Vec::new(),
        machine: Wanted { host: "meadow".to_owned(), ..Wanted::default() },
        key: KeyAlgorithm::P256,
        days: 90,
        is_self_signed: false,
        has_name_constraints: false,
    }
}

fn place(shop: &Workshop) -> Place {
    Place { state: shop.path("state"), certs: Some(shop.path("certs")) }
}

fn made(shop: &Workshop, order: &Order) -> Made {
    make(&place(shop), order, SystemTime::now()).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn der(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(&fs::read(path).unwrap()).unwrap()
}

/// Verifies as an OpenSSL client would, for the host.
fn verify(shop: &Workshop, made: &Made, host: &str) {
    let (trust, server) = (made.trust.display(), made.server_pem.display());
    shop.openssl(&format!("verify -x509_strict -purpose sslserver -verify_hostname {host} -CAfile {trust} {server}"));
}

#[test]
fn g1_an_authority_and_a_leaf_are_made_and_the_next_leaf_is_by_the_same_authority() {
    let shop = Workshop::new();
    let first = made(&shop, &order(&["play.example.org"]));
    assert!(first.is_trust_new);
    let authority = fs::read(&first.trust).unwrap();
    for host in ["play.example.org", "localhost", "meadow"] {
        verify(&shop, &first, host);
    }
    let before = load(&first.server_pem).unwrap().summary().fingerprint;
    let second = made(&shop, &order(&[]));
    assert!(!second.is_trust_new && second.set_aside.is_none());
    assert_eq!(fs::read(&second.trust).unwrap(), authority);
    assert_ne!(second.summary.fingerprint, before);
    // Without names the earlier ones stay.
    verify(&shop, &second, "play.example.org");
    let elsewhere = Place { certs: Some(shop.path("other")), ..place(&shop) };
    let third = make(&elsewhere, &order(&["other.example.org"]), SystemTime::now()).unwrap();
    assert_eq!(fs::read(&third.trust).unwrap(), authority, "one authority for all folders");
    verify(&shop, &third, "other.example.org");
}

#[test]
fn g1_a_certificate_that_is_its_own_issuer_is_made_on_request_and_renewed() {
    let shop = Workshop::new();
    let order = Order { is_self_signed: true, ..order(&["play.example.org"]) };
    let first = made(&shop, &order);
    verify(&shop, &first, "play.example.org");
    assert_eq!(first.trust, shop.path("certs/server.crt"));
    assert!(!shop.path("state").exists(), "no authority is made");
    let leaf = der(&first.trust);
    let (_, leaf) = X509Certificate::from_der(&leaf).unwrap();
    assert!(!leaf.basic_constraints().unwrap().unwrap().value.ca);
    assert_eq!(leaf.subject(), leaf.issuer());
    let second = made(&shop, &order);
    assert_eq!(second.set_aside, None);
    assert_ne!(second.summary.fingerprint, first.summary.fingerprint);
}

#[test]
fn g2_the_authority_has_every_field_and_its_key_is_apart_and_secret() {
    let shop = Workshop::new();
    let made = made(&shop, &order(&["play.example.org"]));
    let key = made.authority_key.unwrap();
    assert_eq!((key.as_path(), mode(&key)), (shop.path("state/ca/ca.key").as_path(), 0o600));
    assert_eq!(mode(key.parent().unwrap()), 0o700);
    let ca = der(&made.trust);
    let (_, ca) = X509Certificate::from_der(&ca).unwrap();
    assert!(ca.subject().to_string().starts_with("CN=Lampyris local CA meadow 20"), "{}", ca.subject());
    let constraints = ca.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca && constraints.value.path_len_constraint == Some(0));
    let usage = ca.key_usage().unwrap().unwrap();
    assert!(usage.critical);
    assert_eq!(usage.value.flags, 0b110_0000, "keyCertSign and cRLSign alone");
    assert!(ca.name_constraints().unwrap().is_none());
    assert!(has(&ca, |extension| matches!(extension, ParsedExtension::SubjectKeyIdentifier(_))));
    let validity = ca.validity();
    let days = (validity.not_after.timestamp() - validity.not_before.timestamp()) / 86400;
    assert!((3650..=3653).contains(&days), "{days}");
    assert_eq!(ca.public_key().parsed().unwrap().key_size(), 256);
}

fn has(certificate: &X509Certificate<'_>, what: fn(&ParsedExtension<'_>) -> bool) -> bool {
    certificate.extensions().iter().any(|extension| what(extension.parsed_extension()))
}

#[test]
fn g2_name_constraints_come_on_request_only_and_an_authority_without_them_is_not_replaced() {
    let shop = Workshop::new();
    let limited = Order { has_name_constraints: true, ..order(&["play.example.org", "*.games.example.org"]) };
    let first = made(&shop, &limited);
    verify(&shop, &first, "play.example.org");
    let found = verdicts(
        &[der(&first.server_pem), der(&first.trust)],
        None,
        &Anchors::default().with_private([der(&first.trust)]),
        SystemTime::now(),
    );
    assert!(found.iter().any(|verdict| verdict.finding == Finding::NameConstraints), "{found:?}");
    // What lies outside every client would refuse.
    let outside = Order { names: vec!["elsewhere.test".to_owned()], ..limited.clone() };
    let error = make(&place(&shop), &outside, SystemTime::now()).unwrap_err();
    assert!(matches!(&error, TlsError::NameExcluded { name, .. } if name == "elsewhere.test"), "{error}");

    let other = Workshop::new();
    made(&other, &order(&["play.example.org"]));
    let error = make(&place(&other), &limited, SystemTime::now()).unwrap_err();
    assert!(
        matches!(&error, TlsError::AuthorityUnlimited { .. }) && error.to_string().contains("--state-dir"),
        "{error}"
    );
}

#[test]
fn g3_the_leaf_has_every_field_for_each_kind_of_key() {
    for (key, kind, flags) in [
        (KeyAlgorithm::P256, KeyKind::Ecdsa { bits: 256 }, 0b1),
        (KeyAlgorithm::Rsa2048, KeyKind::Rsa { bits: 2048 }, 0b101),
        (KeyAlgorithm::Rsa3072, KeyKind::Rsa { bits: 3072 }, 0b101),
    ] {
        let shop = Workshop::new();
        let mut order = order(&["play.example.org", "*.games.example.org"]);
        (order.key, order.days, order.addresses) = (key, 397, vec![[192, 0, 2, 7].into()]);
        let now = SystemTime::now();
        let made = make(&place(&shop), &order, now).unwrap();
        let leaf = der(&made.server_pem);
        let (_, leaf) = X509Certificate::from_der(&leaf).unwrap();
        let usage = leaf.key_usage().unwrap().unwrap();
        assert!(usage.critical);
        assert_eq!(usage.value.flags, flags, "digitalSignature, and keyEncipherment for RSA");
        let extended = leaf.extended_key_usage().unwrap().unwrap().value;
        assert!(extended.server_auth && !extended.client_auth && !extended.any);
        assert!(!leaf.basic_constraints().unwrap().unwrap().value.ca);
        assert!(has(&leaf, |extension| matches!(extension, ParsedExtension::AuthorityKeyIdentifier(_))));
        assert!(has(&leaf, |extension| matches!(extension, ParsedExtension::SubjectKeyIdentifier(_))));
        assert_eq!(leaf.subject().to_string(), "CN=play.example.org", "the first name");
        assert_eq!(leaf.raw_serial().len(), 16);
        assert!(leaf.raw_serial()[0] < 0x80, "positive");
        let summary = &made.summary;
        assert_eq!(summary.key, kind);
        for name in ["play.example.org", "*.games.example.org", "localhost"] {
            assert!(summary.names.iter().any(|have| have == name), "{name}");
        }
        for address in ["127.0.0.1", "::1", "192.0.2.7"] {
            assert!(summary.addresses.contains(&address.parse().unwrap()), "{address}");
        }
        let before = now.duration_since(summary.not_before).unwrap();
        assert!((3600..=3602).contains(&before.as_secs()), "an hour back for slow clocks: {before:?}");
        let life = summary.not_after.duration_since(now).unwrap();
        assert!(life <= 397 * DAY && life > 396 * DAY, "{life:?}");
        verify(&shop, &made, "eu.games.example.org");
        shop.openssl(&format!(
            "verify -verify_ip 192.0.2.7 -CAfile {} {}",
            made.trust.display(),
            made.server_pem.display()
        ));
    }
}

#[test]
fn g4_nothing_is_left_to_the_defaults_of_the_library() {
    let shop = Workshop::new();
    let made = made(&shop, &order(&["play.example.org"]));
    let anchors = Anchors::default().with_private([der(&made.trust)]);
    let (chain, _) = chain_of_file(&made.server_pem).unwrap();
    let found = verdicts(&chain, Some("play.example.org"), &anchors, SystemTime::now());
    let found = found.iter().map(|verdict| verdict.finding).collect::<Vec<_>>();
    assert_eq!(found, [Finding::PrivateAuthority]);
    for file in [&made.trust, &made.server_pem] {
        let certificate = der(file);
        let (_, parsed) = X509Certificate::from_der(&certificate).unwrap();
        assert!(!parsed.subject().to_string().contains("rcgen"));
        assert!(parsed.validity().not_after.timestamp() < 2_500_000_000);
    }
}

#[test]
fn g5_the_leaf_and_its_key_are_one_file_for_the_owner_alone() {
    let shop = Workshop::new();
    let made = made(&shop, &order(&["play.example.org"]));
    assert_eq!(
        (made.server_pem.clone(), made.trust.clone()),
        (shop.path("certs/server.pem"), shop.path("certs/ca.pem"))
    );
    assert_eq!((mode(&made.server_pem), mode(&made.trust)), (0o600, 0o644));
    let text = fs::read_to_string(&made.server_pem).unwrap();
    let blocks = text.lines().filter_map(|line| line.strip_prefix("-----BEGIN ")).collect::<Vec<_>>();
    assert_eq!(blocks, ["CERTIFICATE-----", "PRIVATE KEY-----"]);
    assert!(load(&made.server_pem).unwrap().warnings().iter().all(|warning| warning.to_string().contains("issuer")));
}

#[test]
fn a_certificate_from_elsewhere_is_set_aside_and_never_lost() {
    let shop = Workshop::new();
    shop.certificate("bought", EC, "DNS:play.example.org", None, LEAF);
    let bought = shop.text("bought.crt") + &shop.text("bought.key");
    fs::create_dir(shop.path("certs")).unwrap();
    let order = order(&["play.example.org"]);
    for (content, name) in [(bought.as_str(), "server.pem.old"), ("no certificate", "server.pem.old2")] {
        shop.write("certs/server.pem", content);
        let set_aside = made(&shop, &order).set_aside.unwrap();
        assert_eq!(set_aside, shop.path("certs").join(name));
        assert_eq!(fs::read_to_string(set_aside).unwrap(), content);
    }
    assert_eq!(fs::read_to_string(shop.path("certs/server.pem.old")).unwrap(), bought);
    assert_eq!(made(&shop, &order).set_aside, None);
}

#[test]
fn an_authority_whose_key_is_gone_is_not_replaced_behind_the_back_of_its_clients() {
    let shop = Workshop::new();
    let made = made(&shop, &order(&["play.example.org"]));
    let in_state = Place { certs: None, ..place(&shop) };
    fs::remove_file(made.authority_key.unwrap()).unwrap();
    let error = make(&in_state, &order(&["play.example.org"]), SystemTime::now()).unwrap_err();
    assert!(matches!(&error, TlsError::NoAuthorityKey { .. }) && error.to_string().contains("ca/ca.key"), "{error}");
}

/// The server starts with the certificate of its state folder as the command made it.
#[test]
fn the_server_keeps_what_the_command_made_and_renews_it_with_its_names_and_its_kind_of_key() {
    let shop = Workshop::new();
    let state: PathBuf = shop.path("state");
    let machine = Wanted { host: "meadow".to_owned(), names: Vec::new(), addresses: vec![[192, 0, 2, 9].into()] };
    let order = Order { key: KeyAlgorithm::Rsa2048, machine: machine.clone(), ..order(&["play.example.org"]) };
    let now = SystemTime::now();
    make(&Place { state: state.clone(), certs: None }, &order, now).unwrap();
    let ensure = |wanted: &Wanted, now| ensure(&state, wanted, None, now, &config::provider()).unwrap();
    assert_eq!(ensure(&machine, now).origin, Origin::Kept);
    let moved = Wanted { addresses: vec![[192, 0, 2, 10].into()], ..machine };
    for (now, is_new) in [(now, true), (now + 80 * DAY, true), (now + 81 * DAY, false)] {
        let certificate = ensure(&moved, now);
        assert_eq!(matches!(certificate.origin, Origin::Renewed(_)), is_new);
        let summary = certificate.identity.summary();
        assert!(summary.names.iter().any(|name| name == "play.example.org"), "{:?}", summary.names);
        assert_eq!(summary.key, KeyKind::Rsa { bits: 2048 });
    }
}
