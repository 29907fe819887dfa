use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::KeyPair;
use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, ServerConnection, SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::*;
use crate::config::{provider, server_config};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn wanted() -> Wanted {
    Wanted {
        host: "Meadow".to_owned(),
        names: vec!["play.example.org".to_owned()],
        addresses: vec![[192, 0, 2, 7].into(), "2001:db8::7".parse().unwrap()],
    }
}

fn ensure_at(state: &Path, wanted: &Wanted, now: SystemTime) -> Result<Certificate, TlsError> {
    ensure(state, wanted, None, now, &provider())
}

/// Shakes hands in memory and returns the version and the ALPN protocol agreed on.
fn shake_hands(
    certificate: &Certificate,
    host: &str,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&[u8]],
) -> Result<(ProtocolVersion, Option<Vec<u8>>), rustls::Error> {
    let mut roots = RootCertStore::empty();
    let ca = fs::read(certificate.ca_pem.as_ref().unwrap()).unwrap();
    roots.add(CertificateDer::from_pem_slice(&ca).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name)?;
    let mut server = ServerConnection::new(server_config(&certificate.identity).unwrap())?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
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
    Ok((server.protocol_version().unwrap(), server.alpn_protocol().map(<[u8]>::to_vec)))
}

#[test]
fn every_name_and_address_is_accepted_by_a_client_that_trusts_the_ca() {
    let state = tempfile::tempdir().unwrap();
    let certificate = ensure_at(state.path(), &wanted(), SystemTime::now()).unwrap();
    assert_eq!(certificate.origin, Origin::Made);
    for host in ["meadow", "localhost", "play.example.org", "127.0.0.1", "::1", "192.0.2.7", "2001:db8::7"] {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let (agreed, _) = shake_hands(&certificate, host, &[version], &[])
                .unwrap_or_else(|error| panic!("{host} over {version:?}: {error}"));
            assert_eq!(agreed, version.version);
        }
    }
    assert!(shake_hands(&certificate, "elsewhere.example.org", rustls::ALL_VERSIONS, &[]).is_err());
}

#[test]
fn clients_with_and_without_alpn_are_served() {
    let state = tempfile::tempdir().unwrap();
    let certificate = ensure_at(state.path(), &wanted(), SystemTime::now()).unwrap();
    let alpn = |offered: &[&[u8]]| shake_hands(&certificate, "localhost", rustls::ALL_VERSIONS, offered).unwrap().1;
    assert_eq!(alpn(&[]), None);
    assert_eq!(alpn(&[b"http/1.1"]).as_deref(), Some(&b"http/1.1"[..]));
    assert_eq!(alpn(&[b"h2", b"http/1.1"]).as_deref(), Some(&b"http/1.1"[..]));
}

#[test]
fn the_fields_are_those_that_strict_clients_ask_for() {
    let state = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let certificate = ensure_at(state.path(), &wanted(), now).unwrap();
    let (_, leaf) = X509Certificate::from_der(certificate.identity.leaf().unwrap()).unwrap();
    let usage = leaf.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.digital_signature());
    assert_eq!(usage.value.flags, 1, "digitalSignature alone");
    let extended = leaf.extended_key_usage().unwrap().unwrap();
    assert!(extended.value.server_auth && !extended.value.client_auth && !extended.value.any);
    assert!(!leaf.basic_constraints().unwrap().unwrap().value.ca);
    assert_eq!(leaf.subject().to_string(), "CN=meadow");
    assert_eq!(leaf.raw_serial().len(), 16);
    let lifetime = certificate.identity.summary().not_after.duration_since(now).unwrap();
    assert!(lifetime <= 90 * DAY && lifetime > 89 * DAY, "{lifetime:?}");

    let pem = fs::read(certificate.ca_pem.as_ref().unwrap()).unwrap();
    let der = CertificateDer::from_pem_slice(&pem).unwrap();
    let (_, ca) = X509Certificate::from_der(&der).unwrap();
    let constraints = ca.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(0));
    let usage = ca.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
    assert!(ca.name_constraints().unwrap().is_none());
    assert!(ca.subject().to_string().starts_with("CN=Lampyris local CA meadow 20"), "{}", ca.subject());
}

#[test]
fn keys_are_readable_by_their_owner_alone() {
    let state = tempfile::tempdir().unwrap();
    ensure_at(state.path(), &wanted(), SystemTime::now()).unwrap();
    let mode = |name: &str| fs::metadata(state.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("certs/server.pem"), 0o600);
    assert_eq!(mode("ca/ca.key"), 0o600);
    assert_eq!(mode("ca"), 0o700);
}

#[test]
fn the_leaf_of_an_authority_beside_it_lacks_no_intermediate() {
    let state = tempfile::tempdir().unwrap();
    let certificate = ensure_at(state.path(), &wanted(), SystemTime::now()).unwrap();
    let warnings = || Identity::load(&certificate.server_pem, &provider()).unwrap().warnings().to_vec();
    assert_eq!(warnings(), []);
    let ca_pem = certificate.ca_pem.as_ref().unwrap();
    let other = tempfile::tempdir().unwrap();
    let other = ensure_at(other.path(), &wanted(), SystemTime::now()).unwrap();
    fs::copy(other.ca_pem.unwrap(), ca_pem).unwrap();
    assert!(matches!(warnings()[..], [crate::Warning::MissingIntermediate { .. }]));
    fs::remove_file(ca_pem).unwrap();
    assert!(matches!(warnings()[..], [crate::Warning::MissingIntermediate { .. }]));
}

#[test]
fn a_later_start_keeps_the_certificate() {
    let state = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    ensure_at(state.path(), &wanted(), now).unwrap();
    let before = fs::read(state.path().join("certs/server.pem")).unwrap();
    let again = ensure_at(state.path(), &wanted(), now + 75 * DAY).unwrap();
    assert_eq!(again.origin, Origin::Kept);
    assert_eq!(fs::read(again.server_pem).unwrap(), before);
}

#[test]
fn a_leaf_that_soon_expires_is_renewed_by_the_same_ca() {
    let state = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let first = ensure_at(state.path(), &wanted(), now - 77 * DAY).unwrap();
    let ca = fs::read(first.ca_pem.unwrap()).unwrap();
    let renewed = ensure_at(state.path(), &wanted(), now).unwrap();
    assert_eq!(renewed.origin, Origin::Renewed(Renewal::Expiring));
    assert_eq!(fs::read(renewed.ca_pem.as_ref().unwrap()).unwrap(), ca);
    shake_hands(&renewed, "localhost", rustls::ALL_VERSIONS, &[]).unwrap();
}

#[test]
fn a_new_name_is_covered_by_a_renewed_leaf() {
    let state = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    ensure_at(state.path(), &wanted(), now).unwrap();
    let mut more = wanted();
    more.names.push("Other.example.org".to_owned());
    let renewed = ensure_at(state.path(), &more, now).unwrap();
    assert_eq!(renewed.origin, Origin::Renewed(Renewal::NotCovered));
    shake_hands(&renewed, "other.example.org", rustls::ALL_VERSIONS, &[]).unwrap();
    assert_eq!(ensure_at(state.path(), &more, now).unwrap().origin, Origin::Kept);
    assert_eq!(ensure_at(state.path(), &wanted(), now).unwrap().origin, Origin::Kept, "fewer names are covered too");
}

#[test]
fn a_renewal_without_the_key_of_the_ca_says_what_is_missing() {
    let state = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    ensure_at(state.path(), &wanted(), now).unwrap();
    fs::remove_file(state.path().join("ca/ca.key")).unwrap();
    assert_eq!(ensure_at(state.path(), &wanted(), now).unwrap().origin, Origin::Kept);
    let error = ensure_at(state.path(), &wanted(), now + 80 * DAY).unwrap_err();
    assert!(matches!(error, TlsError::NoCaKey { reason: Renewal::Expiring, .. }), "{error}");
}

#[test]
fn an_operators_certificate_is_used_and_left_alone() {
    let state = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let foreign = ensure_at(elsewhere.path(), &wanted(), now).unwrap();
    ensure_at(state.path(), &wanted(), now).unwrap();
    let pem = fs::read(foreign.server_pem).unwrap();
    let text = String::from_utf8(pem).unwrap();
    let key = text.find("-----BEGIN PRIVATE").unwrap();
    let reordered = format!("\u{feff}Bag Attributes\r\n{}{}", &text[key..], &text[..key]);
    fs::write(state.path().join("certs/server.pem"), &reordered).unwrap();
    let used = ensure_at(state.path(), &Wanted::default(), now + 200 * DAY).unwrap();
    assert_eq!(used.origin, Origin::Operator);
    assert_eq!(used.ca_pem, None);
    assert_eq!(fs::read_to_string(used.server_pem).unwrap(), reordered);
}

#[test]
fn the_leaf_is_found_wherever_it_stands() {
    let state = tempfile::tempdir().unwrap();
    let made = ensure_at(state.path(), &wanted(), SystemTime::now()).unwrap();
    let ca = fs::read_to_string(made.ca_pem.unwrap()).unwrap();
    let server = fs::read_to_string(&made.server_pem).unwrap();
    fs::write(&made.server_pem, format!("{ca}{server}")).unwrap();
    let identity = Identity::load(&made.server_pem, &provider()).unwrap();
    assert_eq!(identity.summary().subject, "CN=meadow");
    // The root is not sent: clients have it or do not trust it.
    assert_eq!(identity.certified.cert.len(), 1);
}

#[test]
fn each_defect_of_the_file_has_its_own_error() {
    let state = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let made = ensure_at(state.path(), &wanted(), now).unwrap();
    let text = fs::read_to_string(&made.server_pem).unwrap();
    let key = text.find("-----BEGIN PRIVATE").unwrap();
    let other_key = KeyPair::generate().unwrap().serialize_pem();
    let error_with = |content: &str| {
        fs::write(&made.server_pem, content).unwrap();
        ensure_at(state.path(), &wanted(), now).unwrap_err()
    };
    let error = error_with(&text[..key]);
    assert!(matches!(error, TlsError::NoKey { .. }), "{error}");
    let error = error_with(&text[key..]);
    assert!(matches!(error, TlsError::NoCertificate { .. }), "{error}");
    let error = error_with(&format!("{}{other_key}", &text[..key]));
    assert!(matches!(error, TlsError::KeyMismatch { .. }), "{error}");
    let error = error_with("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n");
    assert!(matches!(error, TlsError::NotPem { .. }), "{error}");
    fs::remove_file(&made.server_pem).unwrap();
    fs::create_dir(&made.server_pem).unwrap();
    let error = ensure_at(state.path(), &wanted(), now).unwrap_err();
    assert!(matches!(error, TlsError::Unreadable { .. }), "{error}");
}

#[test]
fn a_ca_that_does_not_fit_its_key_is_refused() {
    let state = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let made = ensure_at(state.path(), &wanted(), now).unwrap();
    fs::remove_file(made.server_pem).unwrap();
    fs::write(state.path().join("ca/ca.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let error = ensure_at(state.path(), &wanted(), now).unwrap_err();
    assert!(matches!(error, TlsError::CaMismatch { .. }), "{error}");
}
