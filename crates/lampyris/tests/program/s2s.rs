//! The real binary as a Master and as game servers of other processes, by configuration files alone.

use std::fs;
use std::path::Path;
use std::process::Command;

use lampyris_client::driver::{Driver, TlsRoots};
use lampyris_client::{Config, Entry, Event, RoomOptions, Start};

use crate::deployment::{Deployment, PATIENCE, free_ports};

/// Makes an authority and certificates of these nodes, as operators do.
fn cluster(folder: &Path, nodes: &[&str]) {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lampyris"));
        let output = command.args(["cert", "cluster"]).args(arguments).arg("--dir").arg(folder).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["init"]);
    nodes.iter().for_each(|node| run(&["node", node, "--dns", &format!("{node}.internal")]));
}

/// A Master with its NameServer, and game servers; all with the same files but for their applications.
struct Machines {
    name_server: u16,
    master: u16,
    servers: u16,
}

impl Machines {
    fn new() -> Self {
        let [name_server, master, servers] = free_ports();
        Self { name_server, master, servers }
    }

    /// The machine with these applications, whose game is at `game`.
    fn machine(&self, applications: &[&str], game: u16, links: &str) -> Deployment {
        let Self { name_server, master, servers } = self;
        let listener = |port: &u16, application: &str| {
            format!(r#"<TCPListener IPAddress="127.0.0.1" Port="{port}" OverrideApplication="{application}"/>"#)
        };
        let machine = Deployment::new(&format!(
            "<TCPListeners>{}{}{}</TCPListeners>{links}",
            listener(name_server, "NameServer"),
            listener(master, "Master"),
            listener(&game, "Game"),
        ));
        machine.only(applications);
        machine.regions(&format!(r#"{{"Region": "eu", "IpAddress": "127.0.0.1", "PortTcp": {master}}}"#));
        let settings = |more: &str| {
            format!(
                "<configuration><Photon><Authentication><AuthTokenKey>k</AuthTokenKey><HMACTokenKey>h</HMACTokenKey>\
                 </Authentication>{more}</Photon></configuration>"
            )
        };
        let incoming = format!("<IncomingGameServerPeerPort>{servers}</IncomingGameServerPeerPort>");
        let outgoing = format!(
            "<MasterIPAddress>127.0.0.1</MasterIPAddress><ConnectRetryInterval>1</ConnectRetryInterval>\
             <OutgoingMasterServerPeerPort>{servers}</OutgoingMasterServerPeerPort>"
        );
        let told = format!("<GamingTcpPort>{game}</GamingTcpPort>");
        machine.put("NameServer/bin/Nameserver.xml.config", &settings(""));
        machine.put("Master/bin/Master.xml.config", &settings(&format!("<Master><S2S>{incoming}</S2S></Master>")));
        let game = format!("<GameServer><S2S>{outgoing}</S2S><Master>{told}</Master></GameServer>");
        machine.put("Game/bin/GameServer.xml.config", &settings(&game));
        machine
    }

    /// The same with certificates of a node.
    fn secure_machine(&self, applications: &[&str], game: u16, node: &Path) -> Deployment {
        let links = format!(
            r#"<TCPS2SListener IPAddress="127.0.0.1" Port="{}" Secure="true"/>
               <S2S Secure="true" Certificate="s2s.pem" ServerName="master.internal"/>"#,
            self.servers
        );
        let machine = self.machine(applications, game, &links);
        for file in ["root.pem", "s2s.pem"] {
            machine.certificate(file, &fs::read_to_string(node.join(file)).unwrap());
        }
        machine
    }

    /// A player comes into a room.
    fn play(&self, room: &str, log: impl Fn() -> String) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let start = Start::NameServer(format!("tcp://127.0.0.1:{}", self.name_server).parse().unwrap());
        let config = Config { region: "eu".to_owned(), ..Config::new(start, "my-game") };
        let mut driver = Driver::new(config.into(), TlsRoots::None).unwrap();
        let played = async {
            driver.act(|client, now| client.connect(now)).unwrap();
            loop {
                match driver.next_event().await.expect("the connection goes on") {
                    Event::ConnectedToMaster => {
                        let entry = Entry::JoinOrCreate { name: room.to_owned(), options: RoomOptions::default() };
                        driver.act(|client, now| client.enter(now, entry.into())).unwrap();
                    }
                    Event::RoomEntered(_) => return,
                    event @ (Event::Disconnected(_) | Event::RoomRefused { .. }) => panic!("{event:?}\n{}", log()),
                    _ => {}
                }
            }
        };
        runtime.block_on(async { tokio::time::timeout(PATIENCE, played).await.expect("a room in time") });
    }
}

#[test]
fn t22_a_game_server_in_another_process_registers_over_tls_by_configuration_only() {
    let [game, impostor] = free_ports();
    let machines = Machines::new();
    let folder = tempfile::tempdir().unwrap();
    let (own, foreign) = (folder.path().join("own"), folder.path().join("foreign"));
    cluster(&own, &["master", "game-1"]);
    cluster(&foreign, &["master", "game-1"]);
    let master = machines.secure_machine(&["NameServer", "Master"], game, &own.join("nodes/master")).run(&[]);
    let impostor = machines.secure_machine(&["Game"], impostor, &foreign.join("nodes/game-1"));
    // It trusts the Master, so that the Master has to be the one who notices.
    impostor.certificate("root.pem", &fs::read_to_string(own.join("root.pem")).unwrap());
    let impostor = impostor.run(&[]);
    master.wait_for("no authority in RootCertificates issued the certificate of the other end");
    impostor.wait_for("no link to the Master, so it sends no clients here");

    let game = machines.secure_machine(&["Game"], game, &own.join("nodes/game-1")).run(&[]);
    game.wait_for("registered with the Master");
    machines.play("room", || master.log() + &game.log());
    let log = game.stop();
    assert!(log.contains("role=\"Game\""), "{log}");
    assert!(!impostor.stop().contains("registered with the Master"));
    let log = master.stop();
    assert!(log.contains("a game server registered") && log.contains("a game server stops"), "{log}");
}

#[test]
fn a_listener_without_an_application_on_the_port_for_servers_takes_them() {
    let [game] = free_ports();
    let machines = Machines::new();
    let links = format!(r#"<TCPListener IPAddress="127.0.0.1" Port="{}"/>"#, machines.servers);
    let master = machines.machine(&["NameServer", "Master"], game, &links).run(&[]);
    master.wait_for("game servers call here");
    let game = machines.machine(&["Game"], game, &links).run(&[]);
    game.wait_for("registered with the Master");
    assert!(game.log().contains("not opened: game servers call a Master, and none is loaded here"), "{}", game.log());
    machines.play("room", || master.log() + &game.log());
    game.stop();
    master.stop();
}
