//! A running server whose files change, and what `reload`, `status` and `doctor` say of it.

use lampyris_client::Transport;
use serde_json::Value;

use super::{EVERY_VERSION, handshake, play};
use crate::deployment::{Authority, Deployment, Running, free_ports};

/// Every role on every transport, on ports of their own.
struct Arena {
    deployment: Deployment,
    authority: Authority,
    running: Running,
    secure_port: u16,
    tcp_port: u16,
}

impl Arena {
    fn start() -> Self {
        let authority = Authority::new();
        let ports: [u16; 12] = free_ports();
        let mut listeners = String::new();
        for (role, ports) in ["NameServer", "Master", "Game"].iter().zip(ports.chunks(4)) {
            let all = "IPAddress=\"127.0.0.1\"";
            let (udp, tcp, ws, wss) = (ports[0], ports[1], ports[2], ports[3]);
            listeners += &format!("<UDPListener {all} Port=\"{udp}\" OverrideApplication=\"{role}\"/>");
            listeners += &format!("<TCPListener {all} Port=\"{tcp}\" OverrideApplication=\"{role}\"/>");
            for (port, secure) in [(ws, "false"), (wss, "true")] {
                listeners += &format!(
                    "<HTTPListener {all} Port=\"{port}\" Secure=\"{secure}\"><Routing><Route Url=\"/*\" \
                     OverrideApplication=\"{role}\" PeerType=\"WebSocket\"/></Routing></HTTPListener>"
                );
            }
        }
        let deployment = Deployment::new(&listeners);
        deployment.regions(&region("eu", &ports));
        deployment.name_server("<MinDisconnectTime>100</MinDisconnectTime><MaxDisconnectTime>200</MaxDisconnectTime>");
        deployment.game_server(&format!(
            "<PublicHostName>localhost</PublicHostName><GamingUdpPort>{}</GamingUdpPort><GamingTcpPort>{}</GamingTcpPort>\
             <GamingWebSocketPort>{}</GamingWebSocketPort><GamingSecureWebSocketPort>{}</GamingSecureWebSocketPort>",
            ports[8], ports[9], ports[10], ports[11]
        ));
        deployment.certificate("server.pem", &authority.leaf(&["localhost"]));
        let running = deployment.run(&[]);
        let arena = Self { deployment, authority, running, secure_port: ports[3], tcp_port: ports[1] };
        arena.deployment.put("ports", &region("asia", &ports));
        arena
    }

    /// Names the one region otherwise.
    fn rename_region(&self) {
        self.deployment.regions(&self.deployment.text("ports"));
    }

    fn play(&self, region: &str) {
        play(&self.running, &self.authority, &format!("tcp://127.0.0.1:{}", self.tcp_port), region);
    }
}

fn region(code: &str, ports: &[u16; 12]) -> String {
    format!(
        r#"{{"Region": "{code}", "IpAddress": "127.0.0.1", "Hostname": "localhost", "PortUdp": {}, "PortTcp": {},
            "PortWebSocket": {}, "PortSecureWebSocket": {}}}"#,
        ports[4], ports[5], ports[6], ports[7]
    )
}

#[test]
fn a_changed_region_list_is_in_force_after_a_reload() {
    let arena = Arena::start();
    arena.play("eu");
    arena.rename_region();
    let (code, said) = arena.deployment.ask(&["reload"]);
    assert_eq!(code, 0, "{said}");
    arena.play("asia");
    let log = arena.running.stop();
    assert!(log.contains("in force: region asia: added"), "{log}");
}

#[test]
fn a_changed_region_list_is_in_force_by_itself() {
    let arena = Arena::start();
    arena.rename_region();
    arena.running.wait_for("in force: region asia: added");
    arena.play("asia");
}

#[test]
fn a_broken_file_is_refused_with_its_place_and_the_old_values_stay_in_force() {
    let arena = Arena::start();
    arena.deployment.regions("{\"Region\": 5,}, oops");
    let (code, said) = arena.deployment.ask(&["reload"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("Nameserver.json:1:") && said.contains("the old values stay in force"), "{said}");
    arena.play("eu");
}

#[test]
fn a_changed_listener_waits_for_the_next_start_and_is_named_until_then() {
    let arena = Arena::start();
    let main = arena.deployment.main();
    let [port] = free_ports();
    let more = format!("<TCPListener IPAddress=\"127.0.0.1\" Port=\"{port}\" OverrideApplication=\"Game\"/>");
    arena.deployment.put("bin/PhotonServer.config", &main.replace("<Applications", &format!("{more}\n<Applications")));
    for _ in 0..2 {
        let (code, said) = arena.deployment.ask(&["reload"]);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(&format!("at the next start: TCPListener {port}: added")), "{said}");
    }
    arena.play("eu");
}

#[test]
fn t25_a_new_certificate_is_served_after_a_reload_and_a_broken_one_is_refused() {
    let arena = Arena::start();
    let served = || handshake(arena.secure_port, "localhost", &arena.authority, EVERY_VERSION).unwrap().0;
    let first = served();
    arena.deployment.certificate("server.pem", &arena.authority.leaf(&["localhost"]));
    assert_eq!(arena.deployment.ask(&["reload"]).0, 0);
    let second = served();
    assert_ne!(first, second);
    arena.deployment.certificate("server.pem", "nothing");
    let (code, said) = arena.deployment.ask(&["reload"]);
    assert!(code == 2 && said.contains("server.pem"), "{said}");
    assert_eq!(served(), second);
}

#[test]
fn t26_status_tells_the_ends_of_certificates_and_the_last_warnings() {
    let arena = Arena::start();
    arena.deployment.certificate("server.pem", "nothing");
    arena.deployment.ask(&["reload"]);
    let (code, said) = arena.deployment.ask(&["status"]);
    assert_eq!(code, 0, "{said}");
    let status: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(status["certificates"].as_array().unwrap().len(), 3);
    assert!(status["certificates"][0]["not_after_unix_seconds"].as_u64().unwrap() > 1_800_000_000, "{status}");
    let recent = status["recent"].as_array().unwrap();
    assert!(recent.iter().any(|line| line["text"].as_str().unwrap().contains("server.pem")), "{status}");
    drop(arena.running);
    let (code, said) = arena.deployment.ask(&["status"]);
    assert!(code == 2 && said.contains("no server runs"), "{said}");
}

#[test]
fn d6_doctor_joins_a_room_of_a_running_server_on_every_transport() {
    let arena = Arena::start();
    let (_, said) = arena.deployment.ask(&["doctor", "--json"]);
    let report: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    let findings = |check: &str| {
        let outcomes = report["outcomes"].as_array().unwrap();
        outcomes.iter().find(|outcome| outcome["check"] == check).unwrap()["findings"].as_array().unwrap().clone()
    };
    let joined = findings("D6");
    assert_eq!(joined.len(), Transport::ALL.len(), "{joined:?}");
    for check in ["D2", "D3", "D6", "D7", "D9", "D10", "D12", "D13", "D16", "D19"] {
        let bad = findings(check).into_iter().find(|finding| finding["severity"] != "information");
        assert_eq!(bad, None, "{check}");
    }
    let untrusted = findings("D8");
    assert!(
        untrusted.iter().any(|finding| finding["remedy"].as_str().unwrap().contains("cert trust")),
        "{untrusted:?}"
    );
}

#[test]
fn doctor_tells_a_server_that_does_not_run_and_its_exit_code_is_that_of_the_worst() {
    let authority = Authority::new();
    let [port] = free_ports();
    let deployment = Deployment::new(&format!(
        "<HTTPListener IPAddress=\"127.0.0.1\" Port=\"{port}\" Secure=\"true\" Type=\"WebSocket\"/>"
    ));
    deployment.certificate("server.pem", &authority.leaf(&["localhost"]));
    let (code, said) = deployment.ask(&["doctor"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("D6     a client joins a room on every transport: warning"), "{said}");
    assert!(said.contains("lampyris run --config"), "{said}");
    deployment.put("bin/PhotonServer.config", "<Configuration>");
    let (code, said) = deployment.ask(&["doctor"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("D1     clients are told names, not addresses: not looked at"), "{said}");
}
