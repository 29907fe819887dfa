//! Trust in the system's store and in those of browsers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{EC, LEAF, RSA, Workshop};
use lampyris_tls::TlsError;
use lampyris_tls::trust::{Anchor, Browser, Machine, Plan, Step};

const AUTHORITY: &[&str] = &["keyUsage=critical,keyCertSign"];

fn machine(shop: &Workshop) -> Machine {
    let machine = Machine { root: shop.path("root"), home: Some(shop.path("home")), data_home: None };
    fs::create_dir_all(&machine.root).unwrap();
    fs::create_dir_all(shop.path("home")).unwrap();
    machine
}

fn anchor(shop: &Workshop, name: &str) -> Anchor {
    Anchor::load(&shop.path(&format!("{name}.crt"))).unwrap()
}

fn authority(shop: &Workshop) -> Anchor {
    shop.certificate("ca", EC, "", None, AUTHORITY);
    anchor(shop, "ca")
}

fn take(plan: &Plan) {
    for step in plan.system.iter().chain(&plan.browsers) {
        step.take().unwrap_or_else(|error| panic!("{step}: {error}"));
    }
}

fn certutil(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("certutil").arg("-d").arg(format!("sql:{}", folder.display())).args(arguments).output();
    let output = output.expect("certutil, of Debian's package libnss3-tools");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn make_store(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    certutil(folder, &["-N", "--empty-password"]);
}

#[test]
fn g6_each_distribution_gets_the_file_where_it_looks() {
    for (folder, ending, update) in [
        ("usr/local/share/ca-certificates", "crt", "update-ca-certificates"),
        ("etc/pki/ca-trust/source/anchors", "pem", "update-ca-trust extract"),
        ("etc/ca-certificates/trust-source/anchors", "crt", "update-ca-trust"),
        ("etc/pki/trust/anchors", "pem", "update-ca-certificates"),
    ] {
        let shop = Workshop::new();
        let machine = Machine { home: None, ..machine(&shop) };
        let anchor = authority(&shop);
        let folder = machine.root.join(folder);
        fs::create_dir_all(&folder).unwrap();
        let plan = machine.plan_trust(&anchor);
        let [Step::Write { path, pem, .. }] = plan.system.as_slice() else { panic!("{plan:?}") };
        assert_eq!((path.parent().unwrap(), path.extension().unwrap().to_str().unwrap()), (folder.as_path(), ending));
        assert_eq!(*pem, shop.text("ca.crt"));
        assert!(plan.obstacles[0].ends_with(update), "{:?}", plan.obstacles);
        take(&plan);
        let again = machine.plan_trust(&anchor);
        assert!(again.system.is_empty() && again.done.len() == 1, "{again:?}");
        let undo = machine.plan_untrust(&anchor);
        assert_eq!(undo.system, [Step::Remove { path: path.clone() }]);
        take(&undo);
        assert!(!path.exists() && machine.plan_untrust(&anchor).system.is_empty());
    }
}

#[test]
fn g6_a_system_without_a_store_is_told_what_to_install() {
    let shop = Workshop::new();
    let plan = Machine { home: None, ..machine(&shop) }.plan_trust(&authority(&shop));
    assert!(plan.system.is_empty() && plan.obstacles[0].contains("ca-certificates"), "{plan:?}");
}

#[test]
fn g6_on_the_machine_itself_the_systems_program_is_run() {
    let shop = Workshop::new();
    let anchor = authority(&shop);
    let here = Machine { root: "/".into(), home: None, data_home: None };
    // Only looked at: nothing is changed.
    let plan = here.plan_trust(&anchor);
    match plan.system.as_slice() {
        [Step::Write { .. }, run @ Step::Run { .. }] => assert!(run.to_string().starts_with("update-ca-"), "{run}"),
        other => assert!(other.is_empty() && !plan.obstacles.is_empty(), "{plan:?}"),
    }
}

#[test]
fn g6_chromiums_store_is_made_and_trusts_the_authority_once_however_often_it_is_told() {
    let shop = Workshop::new();
    let (machine, anchor) = (machine(&shop), authority(&shop));
    let store = shop.path("home/.pki/nssdb");
    let plan = machine.plan_trust(&anchor);
    assert_eq!(plan.browsers.len(), 3, "folder, store, certificate: {plan:?}");
    take(&plan);
    let listing = certutil(&store, &["-L"]);
    assert!(listing.lines().any(|line| line.starts_with(anchor.nickname()) && line.contains("C,,")), "{listing}");
    assert_eq!(machine.browsers_that_trust(&anchor).len(), 1);
    let again = machine.plan_trust(&anchor);
    assert!(again.browsers.is_empty() && again.done.len() == 1, "{again:?}");
    // Trust that was taken away by hand is given again.
    certutil(&store, &["-M", "-n", anchor.nickname(), "-t", ",,"]);
    assert!(machine.browsers_that_trust(&anchor).is_empty());
    take(&machine.plan_trust(&anchor));
    assert_eq!(machine.browsers_that_trust(&anchor).len(), 1);
    take(&machine.plan_untrust(&anchor));
    assert!(!certutil(&store, &["-L"]).contains(anchor.nickname()));
    assert!(machine.plan_untrust(&anchor).browsers.is_empty());
}

#[test]
fn g6_every_browser_of_the_user_is_found() {
    let shop = Workshop::new();
    let (mut machine, anchor) = (machine(&shop), authority(&shop));
    machine.data_home = Some(shop.path("data"));
    let stores = [
        ("data/pki/nssdb", Browser::Chromium),
        ("home/snap/chromium/current/.pki/nssdb", Browser::Chromium),
        ("home/.mozilla/firefox/abc.default", Browser::Firefox),
        ("home/.mozilla/firefox/def.test", Browser::Firefox),
        ("home/.var/app/org.mozilla.firefox/.mozilla/firefox/ghi.default", Browser::Firefox),
    ];
    stores.iter().for_each(|(folder, _)| make_store(&shop.path(folder)));
    fs::create_dir_all(shop.path("home/.mozilla/firefox/Crash Reports")).unwrap();
    let found = machine.browser_stores();
    let found = found.iter().map(|store| (store.folder.clone(), store.browser)).collect::<Vec<_>>();
    assert_eq!(found, stores.map(|(folder, browser)| (shop.path(folder), browser)));
    take(&machine.plan_trust(&anchor));
    assert_eq!(machine.browsers_that_trust(&anchor).len(), stores.len());
    assert!(!shop.path("home/.pki").exists(), "the newer place of Chromium's store serves");
    take(&machine.plan_untrust(&anchor));
    assert!(machine.browsers_that_trust(&anchor).is_empty());
}

#[test]
fn g6_a_lone_certificate_is_trusted_as_the_servers_and_an_authority_as_an_authority() {
    let shop = Workshop::new();
    let machine = machine(&shop);
    shop.certificate("alone", EC, "DNS:photon.test", None, LEAF);
    // `openssl req -x509` says CA:TRUE of what is a server's certificate.
    shop.certificate("recipe", RSA, "DNS:photon.test", None, &["keyUsage=keyEncipherment,dataEncipherment"]);
    for name in ["alone", "recipe"] {
        let anchor = anchor(&shop, name);
        assert!(!anchor.is_authority(), "{name}");
        take(&machine.plan_trust(&anchor));
        let listing = certutil(&shop.path("home/.pki/nssdb"), &["-L"]);
        assert!(listing.lines().any(|line| line.starts_with(anchor.nickname()) && line.contains("P,,")), "{listing}");
    }
}

#[test]
fn g6_what_it_makes_no_sense_to_trust_is_refused() {
    let shop = Workshop::new();
    shop.three_levels();
    let error = Anchor::load(&shop.path("leaf.crt")).unwrap_err();
    assert!(matches!(&error, TlsError::NoAnchor { .. }) && error.to_string().contains("ca.pem"), "{error}");
    // Of a chain its root is taken.
    let chain = ["leaf", "intermediate", "root"].map(|name| shop.text(&format!("{name}.crt"))).concat();
    let anchor = Anchor::load(&shop.write("chain.pem", chain)).unwrap();
    assert!(anchor.nickname().starts_with("root ("), "{}", anchor.nickname());
    assert!(matches!(Anchor::load(&shop.path("none")), Err(TlsError::Unreadable { .. })));
}

#[test]
fn steps_print_as_commands_and_never_contain_a_key() {
    let shop = Workshop::new();
    authority(&shop);
    let file = shop.write("both.pem", shop.text("ca.key") + &shop.text("ca.crt"));
    let machine = machine(&shop);
    fs::create_dir_all(shop.path("root/usr/local/share/ca-certificates")).unwrap();
    let plan = machine.plan_trust(&Anchor::load(&file).unwrap());
    let steps = plan.system.iter().chain(&plan.browsers).map(ToString::to_string).collect::<Vec<_>>();
    assert!(steps[0].starts_with("install -m 644 "), "{steps:?}");
    assert!(steps[3].contains("certutil -d sql:") && steps[3].contains(" -A -a -t C,, -n 'ca ("), "{steps:?}");
    assert!(!format!("{plan:?}").contains("PRIVATE KEY"));
}
