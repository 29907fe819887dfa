//! Certificates from an authority.

use std::path::Path;

use lampyris_config::{Acme, AcmeChallenge, LoadOptions, Port};

use crate::common::{Deployment, GAME_XML, MAIN, NAMESERVER_JSON, text_of};

/// The sample of version 5 with an `Acme` of these attributes and without a certificate.
fn deployment(attributes: &str) -> Deployment {
    let mut deployment = Deployment::v5();
    deployment.0.remove(Path::new("deploy/bin/certs/server.pem"));
    let sample = String::from_utf8(deployment.0[Path::new(MAIN)].clone()).unwrap();
    let with = sample.replacen("<Applications", &format!("<Acme {attributes}/>\n<Applications"), 1);
    deployment.put(MAIN, with);
    deployment
}

fn acme(deployment: &Deployment) -> Acme {
    let loaded = deployment.load(LoadOptions::default());
    assert_eq!(text_of(&loaded), "");
    loaded.config.unwrap().instance.acme.unwrap()
}

#[test]
fn t29_what_acme_writes_need_not_be_there_for_secure_listeners() {
    let acme = acme(&deployment("AgreeToTerms=\"true\""));
    assert_eq!(acme.certificate, Path::new("deploy/bin/certs/server.pem"));
    assert_eq!(acme.challenge_port(), Some(Port(80)));
    let off = deployment("Enabled=\"false\" AgreeToTerms=\"true\"").load(LoadOptions::default());
    assert!(text_of(&off).contains("cannot be read"), "{}", text_of(&off));
}

#[test]
fn t29_names_are_those_that_clients_are_told_unless_others_are_written() {
    let mut deployment = deployment("AgreeToTerms=\"true\"");
    assert_eq!(acme(&deployment).names, ["play.example.org"], "the Masters of several regions are other machines");
    deployment.put(
        NAMESERVER_JSON,
        r#"{"Nodes": [{"Region": "eu", "IpAddress": "192.0.2.1", "Hostname": "EU.example.org"}]}"#,
    );
    assert_eq!(acme(&deployment).names, ["play.example.org", "eu.example.org"]);
    let written = self::deployment("AgreeToTerms=\"true\" Names=\"a.test, b.test A.test;192.0.2.1\"");
    assert_eq!(acme(&written).names, ["a.test", "b.test", "192.0.2.1"]);
}

#[test]
fn t29_host_names_that_no_authority_knows_are_not_asked_for() {
    let mut deployment = deployment("AgreeToTerms=\"true\"");
    let game = String::from_utf8(deployment.0[Path::new(GAME_XML)].clone()).unwrap();
    deployment.put(GAME_XML, game.replace("%ARENA_HOST%", "localhost"));
    let loaded = deployment.load(LoadOptions::default());
    assert!(text_of(&loaded).contains("no name to ask a certificate for"), "{}", text_of(&loaded));
}

#[test]
fn t29_everything_that_can_be_written_is_read() {
    let acme = acme(&deployment(
        "AgreeToTerms=\"true\" Names=\"*.a.test\" Email=\"me@a.test\" Directory=\"https://ca.test/dir\" \
         DirectoryRoots=\"ca\\root.pem\" AccountFile=\"/srv/account.json\" ExternalAccountId=\"kid\" \
         ExternalAccountKey=\"env:EAB\" Profile=\"shortlived\" Challenge=\"dns-01\" DnsHook=\"hook.sh\" \
         DnsHookTimeout=\"60\"",
    ));
    assert_eq!(acme.settings.challenge, AcmeChallenge::Dns01);
    assert_eq!(acme.challenge_port(), None);
    assert_eq!(acme.directory_roots.as_deref(), Some(Path::new("deploy/bin/ca/root.pem")));
    assert_eq!(acme.account_file.as_deref(), Some(Path::new("/srv/account.json")));
    assert_eq!(acme.dns_hook.as_deref(), Some(Path::new("deploy/bin/hook.sh")));
    assert!(!format!("{acme:?}").contains("env:EAB"));
}
