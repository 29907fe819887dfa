//! Certificates are issued, and renewed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use lampyris_acme::{Challenge, ExternalAccount, Hook, Settings};
use lampyris_tls::PasswordSource;

use crate::pebble::{PATIENCE, Pebble, Ways};
use crate::{Running, http, settings};

async fn names_of_issued(settings: &Settings) -> Vec<String> {
    let mut running = Running::start(settings);
    let identity = running.issued().await;
    assert_eq!(identity.chain().len(), 2, "leaf and intermediate");
    assert!(identity.warnings().is_empty(), "{:?}", identity.warnings());
    for file in [&settings.certificate, &settings.account] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    identity.summary().names.clone()
}

#[tokio::test]
async fn t30_t32_http_01_proves_names_on_a_plain_port() {
    let pebble = Pebble::start(&Ways::default());
    let settings =
        settings(pebble.place(), &pebble.directory(), http(&pebble), &["play.example.test", "eu.example.test"]);
    let names = names_of_issued(&settings).await;
    assert!(names.contains(&"play.example.test".to_owned()) && names.contains(&"eu.example.test".to_owned()));
}

#[tokio::test]
async fn t30_tls_alpn_01_proves_names_in_a_handshake() {
    let pebble = Pebble::start(&Ways::default());
    let settings = settings(
        pebble.place(),
        &pebble.directory(),
        Challenge::TlsAlpn01 { port: pebble.tls_port() },
        &["play.example.test", "b.example.test"],
    );
    assert_eq!(names_of_issued(&settings).await.len(), 2);
}

#[tokio::test]
async fn t30_dns_01_proves_wildcards_by_a_hook_and_cleans_up() {
    let pebble = Pebble::start(&Ways::default());
    let (command, calls) = (pebble.place().path("hook"), pebble.place().path("calls"));
    pebble.write_hook(&command, &calls);
    let challenge = Challenge::Dns01(Hook { command, timeout: PATIENCE });
    let settings = settings(pebble.place(), &pebble.directory(), challenge, &["*.example.test", "play.other.test"]);
    let names = names_of_issued(&settings).await;
    assert!(names.contains(&"*.example.test".to_owned()), "{names:?}");
    let mut calls: Vec<_> = fs::read_to_string(calls).unwrap().lines().map(str::to_owned).collect();
    calls.sort();
    let record = |act: &str, name: &str| format!("{act} _acme-challenge.{name}");
    let of = |act| [record(act, "example.test"), record(act, "play.other.test")];
    assert_eq!(calls, [of("add"), of("remove")].concat());
}

#[tokio::test]
async fn t30_addresses_are_proven_by_http_01() {
    let pebble = Pebble::start(&Ways::default());
    let settings = settings(pebble.place(), &pebble.directory(), http(&pebble), &["127.0.0.1"]);
    let mut running = Running::start(&settings);
    assert_eq!(running.issued().await.summary().addresses, ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
}

#[tokio::test]
async fn t31_an_authority_that_refuses_most_nonces_is_asked_again() {
    let pebble = Pebble::start(&Ways { bad_nonces: 60, ..Ways::default() });
    let settings = settings(pebble.place(), &pebble.directory(), http(&pebble), &["play.example.test"]);
    names_of_issued(&settings).await;
}

#[tokio::test]
async fn t29_an_external_account_is_bound() {
    const KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let pebble = Pebble::start(&Ways { external: Some(("kid-1", KEY)), ..Ways::default() });
    let mut settings = settings(pebble.place(), &pebble.directory(), http(&pebble), &["play.example.test"]);
    let refused = Running::start(&settings).failed().await;
    assert!(refused.contains("ExternalAccountId"), "{refused}");

    let file = pebble.place().path("external.key");
    fs::write(&file, format!("{KEY}\n")).unwrap();
    let key = PasswordSource::parse(&format!("file:{}", file.display())).unwrap();
    settings.external_account = Some(ExternalAccount { id: "kid-1".to_owned(), key });
    settings.account = pebble.place().path("other/account.json");
    names_of_issued(&settings).await;
}

#[tokio::test]
async fn t31_a_certificate_is_renewed_at_two_thirds_of_its_life_with_the_same_account() {
    let life = Duration::from_secs(15);
    let pebble = Pebble::start(&Ways { life, ..Ways::default() });
    let settings = settings(pebble.place(), &pebble.directory(), http(&pebble), &["play.example.test"]);
    let mut running = Running::start(&settings);
    let first = running.issued().await.summary().clone();
    let account = fs::read(&settings.account).unwrap();
    let planned = running.until("a plan", |status| status.next_try.is_some()).await.next_try.unwrap();
    assert!(planned < first.not_after && planned > first.not_before + life / 2);
    let is_next = |status: &lampyris_acme::Status| {
        status.last_success.as_ref().is_some_and(|issued| issued.not_after > first.not_after)
    };
    let next = running.until("a renewal", is_next).await.last_success.unwrap();
    assert!(next.at < first.not_after, "renewed before the end");
    assert!(running.identity().summary().not_after > first.not_after);
    assert_eq!(fs::read(&settings.account).unwrap(), account);
}

#[tokio::test]
async fn a_start_with_a_good_certificate_asks_nothing() {
    let pebble = Pebble::start(&Ways::default());
    let settings = settings(pebble.place(), &pebble.directory(), http(&pebble), &["play.example.test"]);
    let issued = Running::start(&settings).issued().await.summary().fingerprint;
    let mut again = Running::start(&settings);
    let status = again.until("a plan", |status| status.next_try.is_some()).await;
    assert!(status.next_try.unwrap() > SystemTime::now() + Duration::from_secs(50 * 24 * 60 * 60));
    assert_eq!((status.failures, again.identity().summary().fingerprint), (0, issued));
}

#[tokio::test]
async fn a_further_name_is_a_reason_for_a_new_certificate() {
    let pebble = Pebble::start(&Ways::default());
    let settings = settings(pebble.place(), &pebble.directory(), http(&pebble), &["play.example.test"]);
    Running::start(&settings).issued().await;
    let more =
        crate::settings(pebble.place(), &pebble.directory(), http(&pebble), &["play.example.test", "eu.example.test"]);
    let mut running = Running::start(&more);
    let has_both =
        |status: &lampyris_acme::Status| status.last_success.as_ref().is_some_and(|one| one.names.len() == 2);
    running.until("a certificate for both", has_both).await;
    assert_eq!(running.identity().summary().names.len(), 2);
}
