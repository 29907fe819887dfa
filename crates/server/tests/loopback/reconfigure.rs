//! A running server that is told something else, and the control plane around it.

use std::iter;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::thread;

use lampyris_server::control::{Answer, Operator, Reloaded, Request, Status, ask, socket_path};
use lampyris_server::engine::{Endpoint, Host, Ports, Region};
use lampyris_server::{Addresses, Options, Role, Server, Transport, run};
use rustix::process::{Signal, getpid, kill_process};
use serde_json::json;

use crate::common::{Client, connect, options, param};

const ASK_REGIONS: u8 = 220;
const ADDRESSES: u8 = 230;
const RELOADS: &str = "reloads";

fn told(name: &str) -> Addresses {
    let host = || Host::Fixed { ipv4: Some(Ipv4Addr::LOCALHOST), ipv6: None, name: Some(name.to_owned()) };
    let endpoint =
        || Endpoint { host: host(), ports: Ports { ws: Some(9090), ..Ports::default() }, path: String::new() };
    let region = Region { code: Some("eu".to_owned()), master: endpoint() };
    Addresses::Told(lampyris_server::engine::Addresses { regions: vec![region], game: endpoint() })
}

fn name_server(server: &Server, options: &Options) -> Client {
    let address = server.address(Role::NameServer, Transport::Ws).unwrap();
    Client::open(connect(&options.state_dir, Transport::Ws, address), address, "/app?libversion=4.4.0.0")
}

fn address_of_region(client: &mut Client) -> String {
    let answer = client.ask(ASK_REGIONS, &json!([224, "app"]));
    param(&answer, ADDRESSES)[0].as_str().unwrap().to_owned()
}

#[test]
fn regions_change_for_clients_that_are_connected_and_nobody_is_disconnected() {
    let state = tempfile::tempdir().unwrap();
    let mut options = Options { addresses: told("old.test"), ..options(state.path(), 2) };
    let mut server = Server::start(&options).unwrap();
    let mut client = name_server(&server, &options);
    assert_eq!(address_of_region(&mut client), "ws://old.test:9090");
    options.addresses = told("new.test");
    server.reconfigure(&options).unwrap();
    assert_eq!(address_of_region(&mut client), "ws://new.test:9090");
    assert_eq!(address_of_region(&mut name_server(&server, &options)), "ws://new.test:9090");
    server.stop().unwrap();
}

/// Asks the server that it runs through its control socket, then ends it.
struct Asking {
    socket: PathBuf,
    asked: Option<thread::JoinHandle<(Answer, Answer)>>,
    options: Options,
    reloads: u64,
}

impl Operator for Asking {
    fn socket(&self) -> Option<PathBuf> {
        Some(self.socket.clone())
    }

    fn ready(&mut self, _server: &Server) {
        let socket = self.socket.clone();
        self.asked = Some(thread::spawn(move || {
            let reloaded = ask(&socket, Request::Reload).unwrap();
            kill_process(getpid(), Signal::HUP).unwrap();
            let status = iter::repeat_with(|| ask(&socket, Request::Status).unwrap())
                .find(|answer| matches!(answer, Answer::Status(status) if status.counter(RELOADS) == 2));
            kill_process(getpid(), Signal::TERM).unwrap();
            (reloaded, status.unwrap())
        }));
    }

    fn reload(&mut self, server: &mut Server) -> Reloaded {
        server.reconfigure(&self.options).unwrap();
        self.reloads += 1;
        Reloaded { applied: vec!["everything".to_owned()], ..Reloaded::default() }
    }

    fn describe(&self, status: &mut Status) {
        status.configuration = Some("PhotonServer.config".into());
        status.counters.insert(RELOADS.to_owned(), self.reloads);
    }
}

#[test]
fn a_running_server_reloads_when_asked_through_its_socket_and_by_a_signal() {
    let state = tempfile::tempdir().unwrap();
    let options = options(state.path(), 1);
    let socket = socket_path(state.path(), None);
    let mut operator = Asking { socket: socket.clone(), asked: None, options: options.clone(), reloads: 0 };
    run(&options, &mut operator).unwrap();
    let (reloaded, status) = operator.asked.unwrap().join().unwrap();
    assert!(matches!(reloaded, Answer::Reload(reloaded) if reloaded.applied == ["everything"]));
    let Answer::Status(status) = status else { panic!("{status:?}") };
    assert_eq!(status.process, std::process::id());
    assert_eq!(status.configuration, Some("PhotonServer.config".into()));
    assert!(status.counters.contains_key("accepted"), "{status:?}");
    assert!(!socket.exists());
}
