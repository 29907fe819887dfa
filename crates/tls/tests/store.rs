//! Certificates exchanged while they are served.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{EC, LEAF, RSA, Workshop};
use lampyris_tls::store::{CertificateFiles, Outcome, Plan};
use lampyris_tls::{Authorities, ClientCertificates, Settings, Store, TlsError, Watch};

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(20);

fn files(certificate: PathBuf) -> CertificateFiles {
    CertificateFiles { key: certificate.clone(), certificate, password: None }
}

fn plan(listener: &str, certificates: Vec<CertificateFiles>) -> Plan {
    Plan { listener: listener.to_owned(), certificates, default_domain: None, settings: Settings::default() }
}

/// Makes a certificate and its key in one text.
fn made(shop: &Workshop, name: &str, kind: &str) -> String {
    shop.certificate(name, kind, "DNS:photon.test", None, LEAF);
    shop.text(&format!("{name}.crt")) + &shop.text(&format!("{name}.key"))
}

/// Puts a certificate in place as tools do that renew them.
fn put(shop: &Workshop, name: &str) -> PathBuf {
    let beside = shop.write("server.pem.new", shop.text(&format!("{name}.crt")) + &shop.text(&format!("{name}.key")));
    let path = shop.path("server.pem");
    fs::rename(beside, &path).unwrap();
    path
}

fn fingerprint(store: &Store) -> [u8; 32] {
    store.served()[0].summary.fingerprint
}

#[test]
fn t25_new_files_take_the_place_of_the_old_ones_for_every_listener() {
    let shop = Workshop::new();
    made(&shop, "one", EC);
    made(&shop, "two", EC);
    let path = put(&shop, "one");
    let store = Store::load(vec![plan("a", vec![files(path.clone())]), plan("b", vec![files(path)])], false).unwrap();
    let (before, configs) = (fingerprint(&store), [0, 1].map(|index| store.listeners()[index].config()));
    assert!(store.reload_if_changed().is_empty());
    assert!(store.reload().iter().all(|outcome| matches!(outcome, Outcome::Unchanged)));
    put(&shop, "two");
    let outcomes = store.reload_if_changed();
    assert!(matches!(outcomes.as_slice(), [Outcome::Exchanged, Outcome::Exchanged]), "{outcomes:?}");
    assert_ne!(fingerprint(&store), before);
    assert!((0..2).all(|index| !Arc::ptr_eq(&configs[index], &store.listeners()[index].config())));
    assert_eq!((store.exchanges(), store.failures()), (1, 0));
}

#[test]
fn t25_files_that_cannot_be_used_leave_the_old_certificate_in_place() {
    let shop = Workshop::new();
    made(&shop, "one", EC);
    made(&shop, "two", RSA);
    let store = Store::load(vec![plan("a", vec![files(put(&shop, "one"))])], false).unwrap();
    let before = fingerprint(&store);
    let mismatched = shop.text("one.crt") + &shop.text("two.key");
    let broken = ["", "no certificate", mismatched.as_str(), &shop.text("one.crt"), &shop.text("two.key")];
    for (count, text) in (1..).zip(broken) {
        shop.write("server.pem", text);
        let outcomes = store.reload_if_changed();
        assert!(matches!(outcomes.as_slice(), [Outcome::Kept(_)]), "{text:.20}: {outcomes:?}");
        assert_eq!((fingerprint(&store), store.failures()), (before, count));
    }
    fs::remove_file(shop.path("server.pem")).unwrap();
    assert!(matches!(store.reload_if_changed().as_slice(), [Outcome::Kept(TlsError::Unreadable { .. })]));
    put(&shop, "two");
    assert!(matches!(store.reload_if_changed().as_slice(), [Outcome::Exchanged]));
    assert_ne!(fingerprint(&store), before);
}

#[test]
fn t25_a_faulty_listener_does_not_hold_up_the_renewal_of_another() {
    let shop = Workshop::new();
    let (one, two) = (made(&shop, "one", EC), made(&shop, "two", EC));
    let paths = ["a.pem", "b.pem"].map(|name| shop.write(name, &one));
    let plans = vec![plan("a", vec![files(paths[0].clone())]), plan("b", vec![files(paths[1].clone())])];
    let store = Store::load(plans, false).unwrap();
    fs::write(&paths[0], "broken").unwrap();
    fs::write(&paths[1], two).unwrap();
    assert!(matches!(store.reload_if_changed().as_slice(), [Outcome::Kept(_), Outcome::Exchanged]));
}

#[test]
fn t3_the_errors_of_every_listener_are_told_at_once() {
    let shop = Workshop::new();
    let good = shop.write("good.pem", made(&shop, "one", EC));
    let missing = plan("*:19090::Master", vec![files(shop.path("missing.pem"))]);
    let empty = plan("*:19091::Game", vec![files(shop.write("empty.pem", ""))]);
    let errors = Store::load(vec![missing, plan("good", vec![files(good)]), empty], false).unwrap_err();
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("*:19090::Master") && texts[0].contains("missing.pem"), "{texts:?}");
    assert!(texts[1].contains("*:19091::Game") && texts[1].contains("empty.pem"), "{texts:?}");
}

#[test]
fn t9_a_key_that_others_may_read_is_an_error_only_if_strict() {
    let shop = Workshop::new();
    let path = shop.write("server.pem", made(&shop, "one", EC));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let plans = || vec![plan("a", vec![files(path.clone())])];
    Store::load(plans(), false).unwrap();
    let errors = Store::load(plans(), true).unwrap_err();
    assert!(matches!(errors[0].error, TlsError::KeyReadable { mode: 0o644, .. }), "{errors:?}");
    assert!(errors[0].to_string().contains("chmod 600"), "{errors:?}");
}

#[test]
fn t16_listeners_with_the_same_certificate_share_their_tickets_until_it_is_exchanged() {
    let shop = Workshop::new();
    made(&shop, "one", EC);
    made(&shop, "two", EC);
    let other = shop.write("other.pem", shop.text("two.crt") + &shop.text("two.key"));
    let path = put(&shop, "one");
    let authorities = Authorities::load(&shop.path("one.crt")).unwrap();
    let asking = Settings { clients: ClientCertificates::Required(authorities), ..Settings::default() };
    let same = || files(path.clone());
    let plans = vec![
        plan("a", vec![same()]),
        plan("b", vec![same()]),
        plan("other", vec![files(other)]),
        Plan { settings: asking, ..plan("asking", vec![same()]) },
    ];
    let store = Store::load(plans, false).unwrap();
    let tickets = |index: usize| Arc::clone(&store.listeners()[index].config().ticketer);
    let accepts = |of: usize, by: usize| tickets(by).decrypt(&tickets(of).encrypt(b"session").unwrap()).is_some();
    assert!(accepts(0, 1) && accepts(1, 0));
    assert!(!accepts(0, 2) && !accepts(0, 3) && !accepts(3, 0));
    let before = tickets(0).encrypt(b"session").unwrap();
    put(&shop, "two");
    store.reload();
    assert!(tickets(0).decrypt(&before).is_none());
    assert!(accepts(0, 1) && accepts(0, 2));
}

#[test]
fn t25_new_plans_are_taken_all_or_none() {
    let shop = Workshop::new();
    let one = shop.write("one.pem", made(&shop, "one", EC));
    let two = shop.write("two.pem", made(&shop, "two", EC));
    let store = Store::load(vec![plan("a", vec![files(one.clone())]), plan("b", vec![files(one)])], false).unwrap();
    let before = fingerprint(&store);
    let missing = plan("b", vec![files(shop.path("missing.pem"))]);
    let errors = store.adopt(vec![plan("a", vec![files(two.clone())]), missing]).unwrap_err();
    assert_eq!((errors.len(), fingerprint(&store)), (1, before));
    store.adopt(vec![plan("a", vec![files(two.clone())]), plan("b", vec![files(two)])]).unwrap();
    assert_ne!(fingerprint(&store), before);
    assert!(store.reload_if_changed().is_empty());
}

/// Waits for the watching thread.
fn eventually(what: &str, is_so: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::yield_now();
    }
    start.elapsed()
}

#[test]
fn t25_a_renamed_file_and_a_turned_link_are_seen_in_less_than_a_second() {
    let shop = Workshop::new();
    for (version, name) in ["one", "two", "three"].into_iter().enumerate() {
        shop.write(&format!("cert{version}.pem"), made(&shop, name, EC));
    }
    fs::create_dir(shop.path("live")).unwrap();
    let link = shop.path("live/server.pem");
    let turn = |version: usize| {
        symlink(format!("../cert{version}.pem"), shop.path("live/new")).unwrap();
        fs::rename(shop.path("live/new"), &link).unwrap();
    };
    turn(0);
    let store = Arc::new(Store::load(vec![plan("a", vec![files(link.clone())])], false).unwrap());
    let _watch = Watch::start(Arc::clone(&store)).unwrap();
    let before = fingerprint(&store);
    turn(1);
    let link_took = eventually("the link was turned", || store.exchanges() == 1);
    let between = fingerprint(&store);
    fs::rename(shop.path("cert2.pem"), shop.path("cert1.pem")).unwrap();
    let rename_took = eventually("the file behind the link was replaced", || store.exchanges() == 2);
    let fingerprints = [before, between, fingerprint(&store)];
    assert!((0..3).all(|index| fingerprints[index] != fingerprints[(index + 1) % 3]));
    assert!(link_took.max(rename_took) < Duration::from_secs(1), "{link_took:?} {rename_took:?}");
}

#[test]
fn t25_certificate_and_key_in_two_files_are_read_after_both_were_written() {
    let shop = Workshop::new();
    made(&shop, "one", EC);
    made(&shop, "two", EC);
    let write = |name: &str| {
        (
            shop.write("tls.crt", shop.text(&format!("{name}.crt"))),
            shop.write("tls.key", shop.text(&format!("{name}.key"))),
        )
    };
    let (certificate, key) = write("one");
    let both = CertificateFiles { certificate, key, password: None };
    let store = Arc::new(Store::load(vec![plan("a", vec![both])], false).unwrap());
    let _watch = Watch::start(Arc::clone(&store)).unwrap();
    write("two");
    eventually("both files were read", || store.exchanges() == 1);
    assert_eq!(store.failures(), 0);
}

#[test]
fn t27_a_staple_is_sent_only_if_it_is_for_the_certificate_and_fresh() {
    let shop = Workshop::new();
    shop.certificate("ca", EC, "", None, &[]);
    for name in ["leaf", "other"] {
        shop.certificate(name, EC, "DNS:photon.test", Some("ca"), LEAF);
    }
    let respond = |name: &str, days: u32| {
        shop.openssl(&format!("ocsp -issuer ca.crt -cert {name}.crt -reqout request.der -no_nonce"));
        shop.write("index.txt", "");
        shop.openssl(&format!(
            "ocsp -index index.txt -CA ca.crt -rsigner ca.crt -rkey ca.key -reqin request.der -respout response.der \
             -ndays {days}"
        ));
        fs::read(shop.path("response.der")).unwrap()
    };
    let path = shop.write("server.pem", shop.text("leaf.crt") + &shop.text("leaf.key"));
    let staple = shop.path("server.pem.ocsp");
    let store = Store::load(vec![plan("a", vec![files(path)])], false).unwrap();
    let warnings = || {
        let serving = store.listeners()[0].serving();
        let identity = &serving.selection().identities()[0];
        let texts: Vec<_> = identity.warnings().iter().map(ToString::to_string).collect();
        (identity.staple().map(<[u8]>::to_vec), texts.join("; "))
    };
    assert_eq!(warnings().0, None);
    let good = respond("leaf", 7);
    fs::write(&staple, &good).unwrap();
    assert!(matches!(store.reload_if_changed().as_slice(), [Outcome::Exchanged]));
    assert_eq!(warnings().0, Some(good));
    for (bad, reason) in [(respond("other", 7), "for another certificate"), (b"0".to_vec(), "expected a successful")] {
        fs::write(&staple, bad).unwrap();
        store.reload();
        let (sent, warnings) = warnings();
        assert!(sent.is_none() && warnings.contains(reason), "{warnings}");
    }
}
