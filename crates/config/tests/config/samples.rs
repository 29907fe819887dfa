//! Files as operators have them load without a warning.

use std::time::Duration;

use lampyris_config::{ListenAddress, ListenerKind, LoadOptions, Origin, Role, read_file};

use crate::common::{Deployment, MAIN, folder, text_of};

fn sample(name: &str) -> Vec<u8> {
    read_file(&folder("samples").join(name).join("bin/PhotonServer.config")).unwrap().bytes
}

#[test]
fn the_sample_of_version_5_loads_without_a_finding() {
    let loaded = Deployment::v5().load(LoadOptions::default());
    assert_eq!(text_of(&loaded), "");
    let config = loaded.config.unwrap();
    assert_eq!(config.instance.listeners.len(), 11);
    assert_eq!(config.instance.settings.display_name, "Arena (own cloud)");
    assert_eq!(config.instance.settings.ping_interval.get(), Duration::from_secs(1));
    let name_server = config.name_server.unwrap();
    let codes: Vec<_> = name_server.regions.iter().map(|region| region.region.as_str()).collect();
    assert_eq!(codes, ["eu", "us"]);
    assert_eq!(name_server.authentication.token_expiration.get(), Duration::from_secs(1800));
    assert_eq!(name_server.auth_providers[0].parameters[0].0, "apikey");
    assert_eq!(name_server.auth_queue.max_error_requests, 100);
    assert!(config.master.unwrap().web_rpc.enabled);
    let game = config.game_server.unwrap();
    assert_eq!(game.settings.public_host_name, "play.example.org");
    assert_eq!(game.settings.max_empty_room_ttl.get(), Duration::from_secs(300));
}

#[test]
fn listeners_have_routes_macros_and_certificates() {
    let config = Deployment::v5().load(LoadOptions::default()).config.unwrap();
    let web = |port: u16| config.instance.listeners.iter().find(|listener| listener.port.0 == port).unwrap();
    let ListenerKind::Http { settings, routes } = &web(9090).kind else { panic!() };
    assert_eq!(settings.name.as_deref(), Some("*:9090::Master"));
    assert!(routes[0].settings.ping);
    let tls = web(19093).tls.as_ref().unwrap();
    assert!(tls.certificates[0].certificate.ends_with("bin/certs/server.pem"), "{tls:?}");
    assert_eq!(tls.certificates[0].key, tls.certificates[0].certificate);
}

#[test]
fn a_file_of_version_4_loads_with_its_encoding_and_its_forms() {
    let mut deployment = Deployment::default();
    deployment.put(MAIN, sample("v4"));
    let loaded = deployment.load(LoadOptions::default());
    assert!(loaded.findings.iter().all(|finding| finding.severity.to_string() == "note"), "{}", text_of(&loaded));
    let config = loaded.config.unwrap();
    assert_eq!(config.instance.name, "LoadBalancing");
    assert_eq!(config.instance.settings.display_name, "Größe");
    assert_eq!(config.instance.applications.all.len(), 1);
    let ListenerKind::Http { routes, .. } = &config.instance.listeners[1].kind else { panic!() };
    assert_eq!(routes[0].settings.url, "/*");
    let other = deployment.load(LoadOptions { instance: Some("Other"), ..LoadOptions::default() });
    assert!(text_of(&other).contains("expected <Applications>"));
}

#[test]
fn every_role_behind_one_secure_port_loads() {
    let mut deployment = Deployment::default();
    deployment.put(MAIN, sample("one-port"));
    deployment.put("deploy/bin/certs/play.pem", Vec::new());
    deployment.put("deploy/bin/certs/play.key", Vec::new());
    let loaded = deployment.load(LoadOptions::default());
    assert!(loaded.findings.iter().all(|finding| finding.severity.to_string() == "note"), "{}", text_of(&loaded));
    let config = loaded.config.unwrap();
    assert_eq!(config.instance.listeners[0].common.ip_address, ListenAddress::Every);
    assert!(config.instance.application(Role::Game).is_some());
    let debug = format!("{config:?}{:?}", loaded.effective);
    assert!(!debug.contains("certificate-password"));
}

#[test]
fn ports_behind_a_proxy_are_kept() {
    let mut deployment = Deployment::v5();
    let text = String::from_utf8(deployment.0[std::path::Path::new(MAIN)].clone()).unwrap();
    let ports = "<SecurePorts><SecurePort Port=\"9091\"/></SecurePorts>";
    deployment.put(
        MAIN,
        text.replacen("Port=\"9091\" AppDataInactivityTimeout=\"15000\">", &format!("Port=\"9091\">{ports}"), 1),
    );
    let config = deployment.load(LoadOptions::default()).config.unwrap();
    let listener = config.instance.listeners.iter().find(|listener| listener.port.0 == 9091).unwrap();
    assert_eq!(listener.secure_ports[0].0.0, 9091);
}

#[test]
fn every_value_says_where_it_comes_from() {
    let loaded = Deployment::v5().load(LoadOptions::default());
    let of = |setting: &str| loaded.effective.iter().find(|one| one.setting == setting).expect(setting);
    let written = of("Instance MaxMessageSize");
    assert_eq!(written.value, "512000");
    assert!(
        matches!(&written.origin, Origin::File(place) if place.to_string() == format!("{MAIN}:5:29")),
        "{written:?}"
    );
    assert!(matches!(of("Instance PingIntervalMilliseconds").origin, Origin::Default("as the reference product")));
    assert!(matches!(of("<IOPool>").origin, Origin::Ignored(_)));
    assert_eq!(of("Master Authentication/AuthTokenKey").value, "(secret)");
    let all = format!("{:?}{:?}", loaded.effective, loaded.config);
    assert!(!all.contains("the-token-key") && !all.contains("provider-parameter"));
}

#[test]
fn utf16_and_byte_order_marks_change_nothing() {
    let text = String::from_utf8(sample("v5")).unwrap();
    let little: Vec<u8> = [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for bytes in [little, [b"\xEF\xBB\xBF", text.as_bytes()].concat()] {
        let mut deployment = Deployment::v5();
        deployment.put(MAIN, bytes);
        assert_eq!(text_of(&deployment.load(LoadOptions::default())), "");
    }
}
