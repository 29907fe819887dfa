//! The real binary with configuration files: real sockets, real certificates, the client of this repository.

mod reload;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use lampyris_client::driver::{Driver, TlsRoots};
use lampyris_client::{Config, Entry, Event, RoomOptions, Start};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned};

use crate::deployment::{Authority, Deployment, PATIENCE, Running, free_ports};

/// NameServer, Master, Game and back.
fn play(running: &Running, authority: &Authority, name_server: &str, region: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let start = Start::NameServer(name_server.parse().unwrap());
    let config = Config { region: region.to_owned(), ..Config::new(start, "my-game") };
    let mut driver = Driver::new(config.into(), TlsRoots::Authorities(vec![authority.certificate()])).unwrap();
    let played = async {
        driver.act(|client, now| client.connect(now)).unwrap();
        next(&mut driver, |event| matches!(event, Event::ConnectedToMaster)).await;
        let entry = Entry::JoinOrCreate { name: name_server.to_owned(), options: RoomOptions::default() };
        driver.act(|client, now| client.enter(now, entry.into())).unwrap();
        next(&mut driver, |event| matches!(event, Event::RoomEntered(_))).await;
        driver.act(|client, now| client.leave_room(now, false)).unwrap();
        next(&mut driver, |event| matches!(event, Event::ConnectedToMaster)).await;
    };
    runtime.block_on(async {
        if tokio::time::timeout(PATIENCE, played).await.is_err() {
            panic!("{name_server}: no end\n{}", running.log());
        }
    });
}

async fn next(driver: &mut Driver, wanted: impl Fn(&Event) -> bool) {
    loop {
        let event = driver.next_event().await.expect("the connection goes on");
        assert!(!matches!(event, Event::Disconnected(_) | Event::RoomRefused { .. }), "{event:?}");
        if wanted(&event) {
            return;
        }
    }
}

/// The answer to a plain request, in clear or over TLS.
fn fetch(port: u16, request: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

/// A handshake with a secure listener under that name; gives the certificate it shows and the version.
fn handshake(
    port: u16,
    name: &'static str,
    authority: &Authority,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<(Vec<u8>, ProtocolVersion), String> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let tls = ClientConnection::new(Arc::new(config), ServerName::try_from(name).unwrap()).unwrap();
    let mut stream = StreamOwned::new(tls, socket);
    stream.write_all(b"GET /photon/n HTTP/1.1\r\nHost: a\r\n\r\n").map_err(|error| error.to_string())?;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let certificate = stream.conn.peer_certificates().unwrap()[0].to_vec();
    Ok((certificate, stream.conn.protocol_version().unwrap()))
}

const EVERY_VERSION: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

#[test]
fn all_roles_play_on_one_secure_port_by_path() {
    let authority = Authority::new();
    let [port] = free_ports();
    let deployment = Deployment::new(&format!(
        r#"<HTTPListeners><HTTPListener Name="*:[PORT]::All" IPAddress="127.0.0.1" Port="{port}" Secure="true"><Routing>
             <Route Url="/health" Ping="true"/>
             <Route Url="/master/+" OverrideApplication="Master" PeerType="WebSocket"/>
             <Route Url="/game/+" OverrideApplication="Game" PeerType="WebSocket" PingEvery="2000"/>
             <Route Url="/+" OverrideApplication="NameServer" PeerType="WebSocket"/>
           </Routing></HTTPListener></HTTPListeners>"#
    ));
    deployment.regions(&format!(
        r#"{{"Region": "EU", "IpAddress": "127.0.0.1", "Hostname": "localhost", "PortSecureWebSocket": {port},
             "WsUrlPath": "master"}}"#
    ));
    deployment.game_server(&format!(
        "<PublicHostName>localhost</PublicHostName><GamingSecureWebSocketPort>{port}</GamingSecureWebSocketPort>\
         <GamingWsPath>Game</GamingWsPath>"
    ));
    deployment.certificate("server.pem", &authority.leaf(&["localhost"]));
    let running = deployment.run(&[]);
    play(&running, &authority, &format!("wss://localhost:{port}"), "eu");
    play(&running, &authority, &format!("wss://localhost:{port}/any/path"), "");
    let log = running.stop();
    for expected in [
        format!("HTTP: (*:{port}::All) - uses SSL"),
        "- Cipher list: DEFAULT".to_owned(),
        "certs/server.pem".to_owned(),
        format!("{port}  WebSocketSecure"),
        format!("wss://localhost:{port}\""),
        "connectToRegionMaster(\"eu\")".to_owned(),
    ] {
        assert!(log.contains(&expected), "{expected} is missing in {log}");
    }
}

#[test]
fn every_transport_plays_from_files_with_keys_and_limits() {
    let authority = Authority::new();
    let [ns_udp, ms_udp, gs_udp] = free_ports();
    let [ns_tcp, ms_tcp, gs_tcp, ns_ws, ms_ws, gs_ws] = free_ports();
    let listeners = |kind: &str, ports: [u16; 3]| {
        let applications = ["NameServer", "Master", "Game"];
        let items = applications.iter().zip(ports).map(|(application, port)| match kind {
            "HTTP" => format!(
                r#"<HTTPListener IPAddress="127.0.0.1" Port="{port}"><Routing>
                   <Route Url="/*" OverrideApplication="{application}" PeerType="WebSocket"/></Routing></HTTPListener>"#
            ),
            _ => {
                format!(r#"<{kind}Listener IPAddress="127.0.0.1" Port="{port}" OverrideApplication="{application}"/>"#)
            }
        });
        format!("<{kind}Listeners>{}</{kind}Listeners>", items.collect::<String>())
    };
    let deployment = Deployment::new(&format!(
        "{}{}{}",
        listeners("UDP", [ns_udp, ms_udp, gs_udp]),
        listeners("TCP", [ns_tcp, ms_tcp, gs_tcp]),
        listeners("HTTP", [ns_ws, ms_ws, gs_ws]),
    ));
    deployment.name_server(&format!(
        "<MasterServerPortUdp>{ms_udp}</MasterServerPortUdp><MasterServerPortTcp>{ms_tcp}</MasterServerPortTcp>\
         <MasterServerPortWebSocket>{ms_ws}</MasterServerPortWebSocket>"
    ));
    deployment.game_server(&format!(
        "<PublicIPAddress>localhost</PublicIPAddress><PublicHostName>localhost</PublicHostName>\
         <GamingUdpPort>{gs_udp}</GamingUdpPort><GamingTcpPort>{gs_tcp}</GamingTcpPort>\
         <GamingWebSocketPort>{gs_ws}</GamingWebSocketPort><GamingWsPath>Game</GamingWsPath>"
    ));
    let running = deployment.run(&["--workers", "2"]);
    for name_server in
        [format!("udp://127.0.0.1:{ns_udp}"), format!("tcp://127.0.0.1:{ns_tcp}"), format!("ws://127.0.0.1:{ns_ws}")]
    {
        play(&running, &authority, &name_server, "anywhere");
    }
    let log = running.stop();
    assert!(log.contains("no wss address is handed out for the Game"), "{log}");
}

#[test]
fn clients_on_ipv6_are_told_the_ipv6_addresses() {
    let ports: [u16; 3] = free_ports();
    let listeners = ["NameServer", "Master", "Game"].into_iter().zip(ports).map(|(application, port)| {
        format!(r#"<TCPListener IPAddress="[::1]" Port="{port}" OverrideApplication="{application}"/>"#)
    });
    let deployment = Deployment::new(&format!("<TCPListeners>{}</TCPListeners>", listeners.collect::<String>()));
    let [name_server, master, game] = ports;
    deployment.regions(&format!(
        r#"{{"Region": "eu", "IpAddress": "203.0.113.7", "IpAddressIPv6": "::1", "PortTcp": {master}}}"#
    ));
    deployment.game_server(&format!(
        "<PublicIPAddress>203.0.113.7</PublicIPAddress><PublicIPAddressIPv6>::1</PublicIPAddressIPv6>\
         <GamingTcpPort>{game}</GamingTcpPort>"
    ));
    let running = deployment.run(&[]);
    play(&running, &Authority::new(), &format!("tcp://[::1]:{name_server}"), "eu");
    running.stop();
}

#[test]
fn t11_two_domains_have_their_own_certificates_and_the_default_one_serves_the_rest() {
    let authority = Authority::new();
    let [port] = free_ports();
    let deployment = Deployment::new(&format!(
        r#"<HTTPListeners>
             <HTTPListener IPAddress="127.0.0.1" Port="{port}" Secure="true" DefaultDomain="one.example">
               <ServerCertificates>
                 <ServerCertificate Certificate="two.pem"/>
                 <ServerCertificate Path="[CERTS]" Certificate="one.crt" Key="one.key"/>
               </ServerCertificates>
               <Routing><Route Url="/*" OverrideApplication="NameServer" PeerType="WebSocket"/></Routing>
             </HTTPListener></HTTPListeners>"#
    ));
    let (one, two) = (authority.leaf(&["one.example"]), authority.leaf(&["*.two.example"]));
    deployment.certificate("two.pem", &two);
    let (chain, key) = one.split_at(one.find("-----BEGIN PRIVATE KEY").unwrap());
    deployment.certificate("one.crt", chain);
    deployment.certificate("one.key", key);
    let running = deployment.run(&[]);
    let seen = |name| handshake(port, name, &authority, EVERY_VERSION);
    let first = seen("one.example").unwrap().0;
    let second = seen("a.two.example").unwrap().0;
    assert_ne!(first, second);
    assert_eq!(seen("ONE.example").unwrap().0, first);
    let error = seen("three.example").unwrap_err();
    assert!(error.contains("not valid for name"), "the default certificate is shown, and the client says so: {error}");
    let log = running.stop();
    let (own, rest) = log.split_once("- Server Domain Name: one.example").expect(&log);
    assert!(own.contains("one.crt") && rest.contains("*.two.example"), "{log}");
}

#[test]
fn t14_no_newer_version_than_configured_is_spoken() {
    let authority = Authority::new();
    let [port] = free_ports();
    let deployment = Deployment::new(&format!(
        r#"<HTTPListeners>
             <HTTPListener IPAddress="127.0.0.1" Port="{port}" Secure="true" MinProtocolVersion="TLS10"
                           MaxProtocolVersion="TLS12" CipherList="ECDHE+AES256:!aNULL">
               <Routing><Route Url="/*" OverrideApplication="NameServer" PeerType="WebSocket"/></Routing>
             </HTTPListener></HTTPListeners>"#
    ));
    deployment.certificate("server.pem", &authority.leaf(&["localhost"]));
    let running = deployment.run(&[]);
    let (_, version) = handshake(port, "localhost", &authority, EVERY_VERSION).unwrap();
    assert_eq!(version, ProtocolVersion::TLSv1_2);
    handshake(port, "localhost", &authority, &[&rustls::version::TLS13]).unwrap_err();
    let log = running.stop();
    assert!(log.contains("TLS10") && log.contains("the lowest one is TLS 1.2"), "{log}");
    assert!(log.contains("- Cipher list: ECDHE+AES256:!aNULL"), "{log}");
}

#[test]
fn t1_t4_a_secure_listener_without_more_takes_server_pem_beside_the_file_and_needs_no_root_pem() {
    let authority = Authority::new();
    let [port] = free_ports();
    let listener = |more: &str| {
        format!(
            r#"<HTTPListeners><HTTPListener IPAddress="127.0.0.1" Port="{port}" Secure="true" {more}><Routing>
                 <Route Url="/photon/n" Ping="true"/>
                 <Route Url="/*" OverrideApplication="NameServer" PeerType="WebSocket"/>
               </Routing></HTTPListener></HTTPListeners>"#
        )
    };
    let deployment = Deployment::new(&listener(""));
    let (certificate, key) = {
        let leaf = authority.leaf(&["localhost"]);
        let (certificate, key) = leaf.split_at(leaf.find("-----BEGIN PRIVATE").unwrap());
        (certificate.to_owned(), key.to_owned())
    };
    for text in [format!("{certificate}{key}"), format!("{key}{certificate}")] {
        deployment.certificate("server.pem", &text);
        let running = deployment.run(&[]);
        assert!(handshake(port, "localhost", &authority, EVERY_VERSION).is_ok());
        running.stop();
    }

    let named = Deployment::new(&listener(r#"RootCertificates="root.pem""#));
    named.certificate("server.pem", &format!("{certificate}{key}"));
    let (code, log) = named.fail(&[]);
    assert_eq!(code, 2, "{log}");
    assert!(log.contains("PhotonServer.config:3:") && log.contains("certs/root.pem cannot be read"), "{log}");
}

#[test]
fn t3_every_secure_listener_without_a_certificate_is_told_and_nothing_starts() {
    let listener = |port: u16, more: &str| {
        format!(
            r#"<HTTPListener IPAddress="127.0.0.1" Port="{port}" Secure="true" {more}>
               <Routing><Route Url="/*" OverrideApplication="NameServer" PeerType="WebSocket"/></Routing></HTTPListener>
            "#
        )
    };
    let [one, two, three] = free_ports();
    let missing =
        Deployment::new(&format!("<HTTPListeners>{}{}</HTTPListeners>", listener(one, ""), listener(two, "")));
    let (code, log) = missing.fail(&[]);
    assert_eq!(code, 2, "{log}");
    assert_eq!(log.matches("certs/server.pem cannot be read; put certificate and key there").count(), 2, "{log}");
    assert!(log.contains("PhotonServer.config:3:") && log.contains("PhotonServer.config:5:"), "{log}");

    let authority = Authority::new();
    let wrong = Deployment::new(&format!(
        "<HTTPListeners>{}{}{}</HTTPListeners>",
        listener(one, r#"CertificatePath="certs""#),
        listener(two, r#"CertificatePath="mixed" CipherList="ALL""#),
        listener(three, r#"CipherList="RC4""#),
    ));
    let (first, second) = (authority.leaf(&["a"]), authority.leaf(&["b"]));
    wrong.certificate("server.pem", "nothing");
    let mixed = format!(
        "{}{}",
        &first[..first.find("-----BEGIN PRIVATE").unwrap()],
        &second[second.find("-----BEGIN PRIVATE").unwrap()..]
    );
    wrong.put("bin/mixed/server.pem", &mixed);
    let (code, log) = wrong.fail(&[]);
    assert_eq!(code, 2, "{log}");
    assert!(log.contains("RC4") && log.contains("supported are ECDHE"), "{log}");
    wrong.put("bin/PhotonServer.config", &wrong.main().replace(r#"CipherList="RC4""#, ""));
    let (code, log) = wrong.fail(&[]);
    assert_eq!(code, 2, "{log}");
    let errors: Vec<_> = log.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 3, "{log}");
    assert!(errors[0].contains("PhotonServer.config:3:") && errors[0].contains("holds no certificate"), "{log}");
    assert!(errors[1].contains("belongs to none of the certificates"), "{log}");
    assert!(TcpStream::connect(("127.0.0.1", one)).is_err(), "nothing listens");
}

#[test]
fn a_wss_address_is_not_handed_out_when_no_listener_serves_it() {
    let authority = Authority::new();
    let [port, other] = free_ports();
    let deployment = Deployment::new(&format!(
        r#"<HTTPListeners>
             <HTTPListener IPAddress="127.0.0.1" Port="{port}" Secure="true"><Routing>
               <Route Url="/ns" OverrideApplication="NameServer" PeerType="WebSocket"/>
               <Route Url="/m/+" OverrideApplication="Master" PeerType="WebSocket"/>
               <Route Url="/g/+" OverrideApplication="Game" PeerType="WebSocket"/></Routing></HTTPListener>
           </HTTPListeners>"#
    ));
    deployment.certificate("server.pem", &authority.leaf(&["localhost"]));
    deployment.regions(&format!(
        r#"{{"Region": "eu", "IpAddress": "127.0.0.1", "Hostname": "localhost", "PortSecureWebSocket": {port},
             "WsUrlPath": "Master"}}"#
    ));
    deployment.game_server(&format!(
        "<PublicHostName>localhost</PublicHostName><GamingSecureWebSocketPort>{other}</GamingSecureWebSocketPort>\
         <GamingWsPath>g</GamingWsPath>"
    ));
    let log = deployment.run(&[]).stop();
    for (role, place) in
        [("Game", format!("port {other} at the path /g")), ("Master", format!("port {port} at the path /Master"))]
    {
        let line = log.lines().find(|line| line.contains(&format!("handed out for the {role}: the files")));
        let line = line.unwrap_or_else(|| panic!("{role}: {log}"));
        assert!(line.contains("WARN") && line.contains(&place), "{line}");
    }
}

#[test]
fn a_proxy_before_a_secure_port_lets_its_clients_be_told_wss_addresses() {
    let [port, tcp] = free_ports();
    let deployment = Deployment::new(&format!(
        r#"<SecurePorts><SecurePort Port="{port}"/></SecurePorts>
           <TCPListeners><TCPListener IPAddress="127.0.0.1" Port="{tcp}" OverrideApplication="NameServer"
              PolicyFile="Policy\assets\socket-policy.xml"/></TCPListeners>
           <HTTPListeners><HTTPListener IPAddress="127.0.0.1" Port="{port}"><Routing>
             <Route Url="/*" OverrideApplication="Master" PeerType="WebSocket"/></Routing></HTTPListener></HTTPListeners>"#
    ));
    deployment.put("Policy/assets/socket-policy.xml", "<cross-domain-policy/>");
    deployment.regions(r#"{"Region": "eu", "IpAddress": "203.0.113.7", "Hostname": "play.example"}"#);
    let running = deployment.run(&[]);
    assert_eq!(fetch(tcp, "<policy-file-request/>\0"), "<cross-domain-policy/>\0");
    let answer = fetch(port, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 426 "), "plain HTTP, since TLS ends before: {answer}");
    let log = running.stop();
    assert!(log.contains(&format!("port {port} is a SecurePort")), "{log}");
    assert!(!log.contains("no wss address is handed out for the Master"), "{log}");
}

#[test]
fn what_is_written_and_does_nothing_is_named_and_what_leads_nowhere_is_not_opened() {
    let [game, name_server] = free_ports();
    let deployment = Deployment::new(&format!(
        r#"<UDPListeners><UDPListener IPAddress="127.0.0.1" Port="{game}" OverrideApplication="Game"/>
             <UDPListener IPAddress="127.0.0.1" Port="{name_server}" DefaultApplication="NameServer"/></UDPListeners>"#
    ));
    let main = deployment.main().replace(r#"<Application Name="Game""#, r#"<!-- "#).replace("<!--end-->", " -->");
    deployment.put(
        "bin/PhotonServer.config",
        &main.replace("Instance Name=\"A\"", "Instance Name=\"A\" DataSendingDelayMilliseconds=\"7\""),
    );
    let log = deployment.run(&[]).stop();
    assert!(log.contains("Instance DataSendingDelayMilliseconds = 7 is accepted and not in effect"), "{log}");
    assert!(log.contains("not opened: it leads to no application that is loaded (NameServer, Master)"), "{log}");
    assert!(log.contains("ready: 1 addresses"), "{log}");
}

#[test]
fn a_broken_file_is_told_with_its_place_and_a_port_in_use_with_the_line_of_its_listener() {
    let [port] = free_ports();
    let listener = |port: &str| {
        Deployment::new(&format!(
            r#"<UDPListeners><UDPListener IPAddress="127.0.0.1" Port="{port}" OverrideApplication="NameServer"/></UDPListeners>"#
        ))
    };
    let (code, log) = listener("70000").fail(&[]);
    assert_eq!(code, 2, "{log}");
    assert!(
        log.contains("error: ") && log.contains("PhotonServer.config:3:") && log.contains("expected a port"),
        "{log}"
    );
    let occupied = std::net::UdpSocket::bind(("127.0.0.1", port)).unwrap();
    let deployment = listener(&port.to_string());
    let (code, log) = deployment.fail(&[]);
    assert_eq!(code, 2, "{log}");
    assert!(log.contains(&format!("port {port} of the NameServer listener for udp is in use")), "{log}");
    assert!(log.contains("change its Port at ") && log.contains("PhotonServer.config:3:"), "{log}");
    drop(occupied);
    let (code, log) = deployment.fail(&["--instance", "B"]);
    assert!(code == 2 && log.contains("expected an instance \"B\", got A"), "{log}");
    let (code, log) = deployment.fail(&["--port-offset", "10"]);
    assert!(code == 2 && log.contains("--port-offset"), "{log}");
    deployment.name_server("<AuthTimeOut>1</AuthTimeOut><Wrong>1</Wrong>");
    let (code, log) = deployment.fail(&["--strict-config"]);
    assert!(code == 2 && log.contains("unknown setting"), "{log}");
}

/// A NameServer in one process, Master and Game in another; gives both.
fn two_processes(keys: [&str; 2]) -> (Deployment, Deployment, u16) {
    let [name_server, master, game] = free_ports();
    let listener = |port: u16, application: &str| {
        format!(
            r#"<TCPListener IPAddress="127.0.0.1" Port="{port}" OverrideApplication="{application}" InactivityTimeout="10000"/>"#
        )
    };
    let first = Deployment::new(&format!("<TCPListeners>{}</TCPListeners>", listener(name_server, "NameServer")));
    let second = Deployment::new(&format!(
        "<TCPListeners>{}{}</TCPListeners>",
        listener(master, "Master"),
        listener(game, "Game")
    ));
    first.only(&["NameServer"]);
    second.only(&["Master", "Game"]);
    first.regions(&format!(r#"{{"Region": "eu", "IpAddress": "127.0.0.1", "PortTcp": {master}}}"#));
    let settings = |key: &str, more: &str| {
        format!(
            "<configuration><Photon><Authentication><AuthTokenKey>{key}</AuthTokenKey>\
             <HMACTokenKey>h</HMACTokenKey></Authentication>{more}</Photon></configuration>"
        )
    };
    let told = format!("<GameServer><Master><GamingTcpPort>{game}</GamingTcpPort></Master></GameServer>");
    first.put("NameServer/bin/Nameserver.xml.config", &settings(keys[0], ""));
    second.put("Master/bin/Master.xml.config", &settings(keys[1], ""));
    second.put("Game/bin/GameServer.xml.config", &settings(keys[1], &told));
    (first, second, name_server)
}

#[test]
fn processes_with_the_same_keys_take_each_others_tokens() {
    let (first, second, port) = two_processes(["the same key", "the same key"]);
    let (first, second) = (first.run(&[]), second.run(&[]));
    play(&first, &Authority::new(), &format!("tcp://127.0.0.1:{port}"), "eu");
    let log = first.stop();
    assert!(log.contains("role=\"NameServer\"") && !log.contains("role=\"Master\""), "{log}");
    let log = second.stop();
    assert!(log.contains("role=\"Game\"") && !log.contains("the same key"), "{log}");
}

#[test]
fn a_key_that_everybody_knows_is_refused_where_clients_are_told_a_public_address() {
    let known = "76B2814E-2A50-4E29-838A-20411D335FC9";
    let (first, _, _) = two_processes([known, known]);
    let log = first.run(&[]).stop();
    assert!(!log.contains(known), "{log}");
    first.regions(r#"{"Region": "eu", "IpAddress": "203.0.113.9"}"#);
    let (code, log) = first.fail(&[]);
    assert_eq!(code, 2, "{log}");
    assert!(log.contains("everybody knows the key") && log.contains("openssl rand") && !log.contains(known), "{log}");
}

#[test]
fn processes_with_other_keys_refuse_each_others_tokens() {
    let (first, second, port) = two_processes(["one key", "another key"]);
    let (first, second) = (first.run(&[]), second.run(&[]));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let start = Start::NameServer(format!("tcp://127.0.0.1:{port}").parse().unwrap());
    let reason = runtime.block_on(async {
        let mut driver = Driver::new(Config::new(start, "my-game").into(), TlsRoots::None).unwrap();
        driver.act(|client, now| client.connect(now)).unwrap();
        loop {
            match driver.next_event().await.expect("a reason") {
                Event::ConnectedToMaster => panic!("let in"),
                Event::Disconnected(reason) => break format!("{reason:?}"),
                _ => {}
            }
        }
    });
    assert!(reason.contains("32767"), "{reason}");
    first.stop();
    second.stop();
}

#[test]
fn clients_that_a_service_should_check_are_not_let_in_unchecked() {
    let [port] = free_ports();
    let deployment = Deployment::new(&format!(
        r#"<UDPListeners><UDPListener IPAddress="127.0.0.1" Port="{port}" OverrideApplication="NameServer"/></UDPListeners>"#
    ));
    let text = |anonymous| {
        format!(
            "<configuration><Photon><CustomAuth Enabled=\"True\" AllowAnonymous=\"{anonymous}\"/></Photon></configuration>"
        )
    };
    deployment.put("NameServer/bin/Nameserver.xml.config", &text("False"));
    let (code, log) = deployment.fail(&[]);
    assert!(code == 2 && log.contains("AllowAnonymous is false"), "{log}");
    deployment.put("NameServer/bin/Nameserver.xml.config", &text("True"));
    deployment.run(&[]).stop();
}
