//! Authorities that are down, slow, wrong or unwilling: the old certificate stays, the text says what to do.

use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lampyris_acme::{Acme, Challenge, ensure_certificate};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, date_time_ymd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::fake::{self, Fake};
use crate::pebble::{Pebble, Place, Ways};
use crate::{Running, http, settings};

const HTTP: Challenge = Challenge::Http01 { port: 1 };

#[tokio::test]
async fn t31_a_directory_that_is_down_holds_up_no_start_and_leaves_the_file() {
    let place = Place::new();
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap().port();
    let settings = settings(&place, &format!("https://localhost:{free}/dir"), HTTP, &["play.example.test"]);
    ensure_certificate(&settings.certificate, &settings.names, SystemTime::now()).unwrap();
    let before = fs::read(&settings.certificate).unwrap();
    let mut running = Running::start(&settings);
    let error = running.failed().await;
    assert!(error.contains("cannot talk to") && error.contains("check the network"), "{error}");
    let status = running.until("a plan", |status| status.next_try.is_some()).await;
    assert!(status.next_try.unwrap() > SystemTime::now() + Duration::from_secs(60));
    assert_eq!(fs::read(&settings.certificate).unwrap(), before);
    assert_eq!(running.kept(), serde_json::to_value(status).unwrap());
}

#[tokio::test(start_paused = true)]
async fn t31_a_directory_that_never_answers_is_given_up() {
    let place = Place::new();
    let fake = Fake::start(&place, |_, _| None).await;
    let settings = settings(&place, &fake.directory(), HTTP, &["play.example.test"]);
    let error = Running::start(&settings).failed().await;
    assert!(error.contains("expected an answer within 60 s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn t31_a_port_that_speaks_no_tls_is_given_up() {
    let place = Place::new();
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let directory = format!("https://localhost:{}/dir", silent.local_addr().unwrap().port());
    let settings = settings(&place, &directory, HTTP, &["play.example.test"]);
    let error = Running::start(&settings).failed().await;
    assert!(error.contains("within 15 s"), "{error}");
}

#[tokio::test]
async fn t31_an_address_that_is_no_directory_is_told() {
    for (status, body) in [(200, "<html>Welcome</html>"), (404, "nothing here"), (200, "{}"), (200, "[1]")] {
        let place = Place::new();
        let fake = Fake::start(&place, move |_, _| Some(fake::text(status, body))).await;
        let settings = settings(&place, &fake.directory(), HTTP, &["play.example.test"]);
        let error = Running::start(&settings).failed().await;
        assert!(error.contains("compare Directory with the address"), "{body}: {error}");
    }
}

#[tokio::test]
async fn t31_an_answer_without_end_is_cut() {
    let place = Place::new();
    let fake = Fake::start(&place, |_, _| Some(fake::text(200, &"x".repeat(3 << 20)))).await;
    let settings = settings(&place, &fake.directory(), HTTP, &["play.example.test"]);
    let error = Running::start(&settings).failed().await;
    assert!(error.contains("limit"), "{error}");
}

#[tokio::test]
async fn t29_a_directory_of_an_unknown_authority_is_not_trusted() {
    let (place, stranger) = (Place::new(), Place::new());
    let fake = Fake::start(&stranger, |_, port| Some(fake::directory(port))).await;
    let settings = settings(&place, &fake.directory(), HTTP, &["play.example.test"]);
    let error = Running::start(&settings).failed().await;
    assert!(error.contains("UnknownIssuer") || error.contains("certificate"), "{error}");
    assert!(!settings.account.exists());
}

#[tokio::test]
async fn t31_a_wrong_answer_for_a_name_is_told_and_the_old_certificate_stays() {
    let pebble = Pebble::start(&Ways::default());
    let settings = settings(pebble.place(), &pebble.directory(), http(&pebble), &["play.example.test"]);
    Running::start(&settings).issued().await;
    let before = fs::read(&settings.certificate).unwrap();

    // Another server has the port that the authority asks on; ours is asked by nobody.
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, pebble.http_port())).await.unwrap();
    let mut task = JoinSet::new();
    task.spawn(async move {
        while let Ok((mut socket, _)) = other.accept().await {
            let mut request = [0; 1024];
            let _ = socket.read(&mut request).await;
            let _ = socket.write_all(b"HTTP/1.0 200 OK\r\n\r\nnot the answer").await;
        }
    });
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap().port();
    let names = ["play.example.test", "new.example.test"];
    let changed = crate::settings(pebble.place(), &pebble.directory(), Challenge::Http01 { port: free }, &names);
    let error = Running::start(&changed).failed().await;
    assert!(error.contains("example.test was not proven by http-01"), "{error}");
    assert!(error.contains("something else answers for this name"), "{error}");
    assert_eq!(fs::read(&settings.certificate).unwrap(), before);
}

#[tokio::test]
async fn t31_a_folder_that_cannot_be_written_is_told_before_anything_is_asked() {
    let place = Place::new();
    let fake = Fake::start(&place, |path, _| panic!("asked for {path}")).await;
    let mut settings = settings(&place, &fake.directory(), HTTP, &["play.example.test"]);
    let file = place.path("out");
    fs::write(&file, "no folder").unwrap();
    settings.certificate = file.join("server.pem");
    let acme = Acme::new(settings.clone()).unwrap();
    let mut status = acme.watch();
    let mut task = JoinSet::new();
    task.spawn(async { match acme.run(lampyris_acme::Serving::Server).await {} });
    let failed = status.wait_for(|status| status.last_error.is_some()).await.unwrap();
    let error = &failed.last_error.as_ref().unwrap().text;
    assert!(error.contains("cannot write") && error.contains("server.pem"), "{error}");
}

/// A certificate of a CA whose directory is a [`Fake`], as if it had been issued just now.
fn issued_by(place: &Place, directory: &str) -> lampyris_acme::Settings {
    let settings = settings(place, directory, HTTP, &["play.example.test"]);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let key = || KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = Issuer::new(ca, key());
    let mut leaf = CertificateParams::new(settings.names.clone()).unwrap();
    leaf.use_authority_key_identifier_extension = true;
    leaf.not_before = date_time_ymd(1970, 1, 1) + now;
    leaf.not_after = leaf.not_before + Duration::from_secs(90 * 24 * 60 * 60);
    let leaf_key = key();
    let certificate = leaf.signed_by(&leaf_key, &issuer).unwrap();
    let put = |path: &std::path::Path, content: String| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    put(&settings.certificate, certificate.pem() + &leaf_key.serialize_pem());
    let account = serde_json::json!({
        "id": "https://localhost/account/1",
        "key_pkcs8": URL_SAFE_NO_PAD.encode(key().serialize_der()),
        "directory": directory,
    });
    put(&settings.account, account.to_string());
    let identity = lampyris_tls::Identity::load(&settings.certificate, &lampyris_tls::config::provider()).unwrap();
    let fingerprint: String = identity.summary().fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    let status = serde_json::json!({ "last_success": {
        "at": now.as_secs(), "directory": directory, "names": settings.names, "fingerprint": fingerprint,
        "not_after": now.as_secs() + 90 * 24 * 60 * 60,
    } });
    put(&settings.account.with_file_name("status.json"), status.to_string());
    settings
}

/// An authority that names this window.
async fn authority_with_window(place: &Place, start: &'static str, end: &'static str) -> Fake {
    Fake::start(place, move |path, port| {
        Some(match path {
            "/dir" => fake::directory(port),
            path if path.starts_with("/renewal/") => {
                let window = serde_json::json!({ "suggestedWindow": { "start": start, "end": end } });
                let mut answer = fake::text(200, &window.to_string());
                answer.headers_mut().insert("retry-after", "21600".parse().unwrap());
                answer
            }
            _ => fake::text(503, "{\"type\":\"urn:ietf:params:acme:error:serverInternal\",\"detail\":\"asked\"}"),
        })
    })
    .await
}

#[tokio::test]
async fn t31_the_window_of_the_authority_goes_before_two_thirds_of_life() {
    let place = Place::new();
    let fake = authority_with_window(&place, "2100-01-01T00:00:00Z", "2100-01-02T00:00:00Z").await;
    let mut running = Running::start(&issued_by(&place, &fake.directory()));
    let planned = running.until("a plan", |status| status.next_try.is_some()).await.next_try.unwrap();
    let new_year = SystemTime::UNIX_EPOCH + Duration::from_secs(4_102_444_800);
    assert!(planned >= new_year && planned <= new_year + Duration::from_secs(24 * 60 * 60), "{planned:?}");
}

#[tokio::test]
async fn t31_a_window_that_has_passed_is_a_reason_to_renew_now() {
    let place = Place::new();
    let fake = authority_with_window(&place, "2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z").await;
    let settings = issued_by(&place, &fake.directory());
    let before = fs::read(&settings.certificate).unwrap();
    let error = Running::start(&settings).failed().await;
    assert!(error.contains("the order"), "{error}");
    assert_eq!(fs::read(&settings.certificate).unwrap(), before);
}

#[tokio::test]
async fn t31_a_server_that_is_started_again_and_again_keeps_to_the_limit_of_tries() {
    let place = Place::new();
    let fake = Fake::start(&place, |path, _| panic!("asked for {path}")).await;
    let settings = settings(&place, &fake.directory(), HTTP, &["play.example.test"]);
    let now = SystemTime::now();
    let begun = now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() - 60;
    fs::create_dir_all(settings.account.parent().unwrap()).unwrap();
    let status = serde_json::json!({ "tries": vec![begun; 5] });
    fs::write(settings.account.with_file_name("status.json"), status.to_string()).unwrap();
    let mut running = Running::start(&settings);
    let planned = running.until("a plan", |status| status.next_try.is_some()).await.next_try.unwrap();
    assert!(planned > now + Duration::from_secs(58 * 60) && planned < now + Duration::from_secs(60 * 60));
}
