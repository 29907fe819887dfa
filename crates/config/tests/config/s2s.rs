//! Links between servers of several machines.

use lampyris_config::{ClientCertificate, ListenerKind, LoadOptions, Loaded, Severity};

use crate::common::{Deployment, MAIN, text_of};

/// An instance with these nodes and a secure folder.
fn load(nodes: &str) -> Loaded {
    let mut deployment = Deployment::v5();
    let text = format!(
        r#"<Configuration><Instance Name="a">{nodes}
           <Applications Default="Master"><Application Name="Master" Type="Photon.LoadBalancing.MasterServer.MasterApplication"
           BaseDirectory="LoadBalancing\Master"/></Applications></Instance></Configuration>"#
    );
    deployment.put(MAIN, text);
    for file in ["root.pem", "node.pem", "node.key"] {
        deployment.put(&format!("deploy/bin/certs/{file}"), Vec::new());
    }
    deployment.load(LoadOptions::default())
}

fn errors(loaded: &Loaded) -> usize {
    loaded.findings.iter().filter(|finding| finding.severity == Severity::Error).count()
}

const LISTENER: &str = r#"<TCPS2SListener IPAddress="0.0.0.0" Port="4520"/>"#;

#[test]
fn t22_a_listener_for_servers_has_its_certificate_as_attributes() {
    let loaded =
        load(r#"<TCPS2SListener Port="4520" Secure="true" Certificate="node.pem" Key="node.key" Password="x"/>"#);
    let config = loaded.config.as_ref().unwrap_or_else(|| panic!("{}", text_of(&loaded)));
    let listener = &config.instance.listeners[0];
    assert!(matches!(listener.kind, ListenerKind::TcpS2S(_)));
    let certificate = &listener.tls.as_ref().unwrap().certificates[0];
    assert!(certificate.certificate.ends_with("certs/node.pem") && certificate.key.ends_with("certs/node.key"));
    assert!(certificate.password.is_some());
}

#[test]
fn t22_servers_must_show_a_certificate_where_there_are_authorities() {
    let of = |attributes: &str| {
        let loaded =
            load(&format!(r#"<TCPS2SListener Port="4520" Secure="true" Certificate="node.pem" {attributes}/>"#));
        let config = loaded.config.unwrap_or_else(|| panic!("{attributes}"));
        config.instance.listeners[0].tls.as_ref().unwrap().servers_certificate
    };
    assert_eq!(of(""), ClientCertificate::Required);
    assert_eq!(of(r#"ClientCertificate="off""#), ClientCertificate::Off);
    assert_eq!(of(r#"ClientCertificate="optional""#), ClientCertificate::Optional);
}

#[test]
fn t22_the_node_without_a_port_has_what_its_listeners_do_not_write() {
    let loaded = load(
        r#"<S2S Certificate="node.pem" Key="node.key"/>
           <TCPS2SListener Port="4520" Secure="true"/><WebSocketS2SListener Port="4521" Secure="true"/>
           <TCPListeners><TCPListener Port="4522" Secure="true"/></TCPListeners>"#,
    );
    let config = loaded.config.as_ref().unwrap_or_else(|| panic!("{}", text_of(&loaded)));
    for listener in &config.instance.listeners {
        let certificates = &listener.tls.as_ref().unwrap().certificates;
        assert_eq!(certificates.len(), 1);
        assert!(certificates[0].certificate.ends_with("certs/node.pem"), "{listener:?}");
        assert!(certificates[0].key.ends_with("certs/node.key"), "{listener:?}");
    }
}

#[test]
fn the_names_of_the_certificate_page_are_listeners_if_they_have_a_port() {
    let loaded = load(r#"<S2S Port="4520"/><WebSocketS2S Port="4521"/>"#);
    let config = loaded.config.as_ref().unwrap_or_else(|| panic!("{}", text_of(&loaded)));
    let kinds: Vec<_> = config.instance.listeners.iter().map(|listener| (&listener.kind, listener.port.0)).collect();
    assert!(matches!(kinds[..], [(ListenerKind::TcpS2S(_), 4520), (ListenerKind::WebSocketS2S(_), 4521)]), "{kinds:?}");
    assert_eq!(loaded.findings.len(), 0, "{}", text_of(&loaded));
}

#[test]
fn t22_a_secure_link_to_the_master_has_authorities_and_a_certificate() {
    let loaded = load(&format!(
        r#"{LISTENER}<S2S Secure="true" Certificate="node.pem" Key="node.key" ServerName="master.internal" PingFrequency="500"/>"#
    ));
    let config = loaded.config.as_ref().unwrap_or_else(|| panic!("{}", text_of(&loaded)));
    let s2s = &config.instance.s2s;
    assert!(s2s.root_certificates.ends_with("certs/root.pem") && s2s.settings.secure && !s2s.web_socket);
    assert!(s2s.certificate.as_ref().unwrap().certificate.ends_with("certs/node.pem"));
    assert_eq!(s2s.settings.server_name.as_deref(), Some("master.internal"));
    assert_eq!(s2s.settings.ping_frequency.get().as_millis(), 500);
    assert!(load(&format!("{LISTENER}<WebSocketS2S/>")).config.unwrap().instance.s2s.web_socket);
}

#[test]
fn a_secure_link_without_its_files_is_an_error_that_names_the_command() {
    for attributes in [r#"RootCertificates="none.pem""#, r#"Certificate="none.pem""#] {
        let loaded = load(&format!(r#"{LISTENER}<S2S Secure="true" {attributes}/>"#));
        assert_eq!(errors(&loaded), 1, "{}", text_of(&loaded));
        assert!(text_of(&loaded).contains("none.pem"));
    }
}

#[test]
fn what_has_no_effect_is_told() {
    let loaded = load(&format!(r#"{LISTENER}<S2S ServerName="x" MaxQueuedBuffers="3" Pings="1"/><WebSocketS2S/>"#));
    let text = text_of(&loaded);
    assert_eq!((errors(&loaded), loaded.findings.len()), (0, 3), "{text}");
    assert!(text.contains("ServerName has no effect without Secure") && text.contains("\"Pings\""), "{text}");
    assert!(text.contains("<WebSocketS2S> has no effect"), "{text}");
}
