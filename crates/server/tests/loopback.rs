//! Real sockets: every transport, moves between workers, limits, half-closed streams, stop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;
#[path = "loopback/reconfigure.rs"]
mod reconfigure;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};

use lampyris_server::{Count, Counters, HandshakeFailure, Phase, Role, Transport};
use serde_json::{Value, json};

use crate::common::{Client, Loopback, PATIENCE, connect, param};

fn total(loopback: &Loopback, count: impl Fn(&Counters) -> &Count) -> u64 {
    loopback.server.counters().iter().map(|counters| count(counters).get()).sum()
}

fn failures(loopback: &Loopback, reason: HandshakeFailure) -> u64 {
    loopback.server.counters().iter().map(|counters| counters.handshake_failures(reason)).sum()
}

/// Follows an address that the server gave out.
fn follow(loopback: &Loopback, transport: Transport, answer: &Value) -> Client {
    let url = param(answer, 230);
    let url = url.as_str().unwrap();
    let rest = url.strip_prefix(&format!("{}://localhost:", transport.name())).unwrap_or_else(|| panic!("{url}"));
    let (port, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
    let stream = connect(loopback.state.path(), transport, address);
    Client::open(stream, address, &format!("/{path}/app?libversion=4.4.0.0"))
}

/// NameServer, then Master.
fn reach_master(loopback: &Loopback, transport: Transport, user: &str) -> (Client, Value) {
    let address = loopback.address(Role::NameServer, transport);
    let stream = connect(loopback.state.path(), transport, address);
    let mut name_server = Client::open(stream, address, "/app?libversion=4.4.0.0");
    let answer = name_server.ask(230, &json!([224, "app", 220, "1.0", 225, user, 210, "eu"]));
    let token = param(&answer, 221);
    let mut master = follow(loopback, transport, &answer);
    master.ask(230, &json!([221, token]));
    master.ask(229, &json!([]));
    (master, token)
}

/// Create or join a room by way of the Master; returns the client on the Game.
fn enter(loopback: &Loopback, transport: Transport, user: &str, room: &str, operation: u8) -> Client {
    let (mut master, token) = reach_master(loopback, transport, user);
    let answer = master.ask(operation, &json!([255, room]));
    let mut game = follow(loopback, transport, &answer);
    game.ask(230, &json!([224, "app", 220, "1.0", 221, token, 225, user]));
    game.ask(operation, &json!([255, room, 250, true, 249, {"255": user}]));
    game
}

#[test]
fn players_meet_in_rooms_on_every_worker_over_plain_and_secure_websocket() {
    let loopback = Loopback::start(3);
    for number in 0..8 {
        let room = format!("room {number}");
        let mut ann = enter(&loopback, Transport::Ws, "ann", &room, 227);
        let mut bob = enter(&loopback, Transport::Wss, "bob", &room, 226);
        let joined = std::iter::repeat_with(|| ann.expect("evt", 255)).find(|event| param(event, 254) == 2).unwrap();
        assert_eq!(param(&joined, 252), json!([1, 2]));
        for n in 0..20 {
            ann.request(253, &json!([244, 1, 245, {"n": n}]));
            bob.request(253, &json!([244, 2, 245, "x".repeat(2000)]));
            assert_eq!(param(&bob.expect("evt", 1), 245), json!({"n": n}));
            assert_eq!(param(&ann.expect("evt", 2), 245).as_str().unwrap().len(), 2000);
        }
    }
    assert!(total(&loopback, |counters| &counters.streams_moved) > 0, "8 rooms on 3 workers");
    loopback.server.stop().unwrap();
}

#[test]
fn a_browser_is_answered_over_http_and_https() {
    let loopback = Loopback::start(1);
    for transport in [Transport::Ws, Transport::Wss] {
        let mut stream = loopback.connect(Role::NameServer, transport);
        stream.write_all(b"GET /photon/n HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("pong\n"), "{answer}");
    }
}

#[test]
fn a_peer_that_shuts_its_sending_half_still_gets_its_answer() {
    let loopback = Loopback::start(1);
    let mut socket = TcpStream::connect(loopback.address(Role::Master, Transport::Ws)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(b"GET /photon/m HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("pong\n"), "{answer}");
}

#[test]
fn plain_http_on_a_secure_port_is_told_to_use_tls() {
    let loopback = Loopback::start(1);
    let mut socket = TcpStream::connect(loopback.address(Role::NameServer, Transport::Wss)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.ends_with("use https:// or wss:// here\n"), "{answer}");
    assert_eq!(failures(&loopback, HandshakeFailure::PlainHttp), 1);
}

#[test]
fn bytes_that_are_not_tls_fail_the_handshake() {
    let loopback = Loopback::start(1);
    let mut socket = TcpStream::connect(loopback.address(Role::NameServer, Transport::Wss)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(&[0x16, 0x03, 0x01, 0xFF, 0xFF, 0xFF, 0xFF]).unwrap();
    // Whatever alert comes, then the end.
    let _ = socket.read_to_end(&mut Vec::new());
    assert_eq!(failures(&loopback, HandshakeFailure::NotTls), 1);
}

#[test]
fn half_open_handshakes_of_one_address_are_capped_and_harm_nobody_else() {
    let loopback = Loopback::start(1);
    let secure = loopback.address(Role::Master, Transport::Wss);
    let half_open: Vec<_> = (0..50).map(|_| TcpStream::connect(secure).unwrap()).collect();
    let mut one_more = TcpStream::connect(secure).unwrap();
    one_more.set_read_timeout(Some(PATIENCE)).unwrap();
    match one_more.read(&mut [0]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("expected the end, got {other:?}"),
    }
    assert_eq!(total(&loopback, |counters| &counters.refused), 1);
    reach_master(&loopback, Transport::Ws, "ann");
    drop(half_open);
    // Places are given back, once the server has seen the ends.
    let place = std::iter::repeat_with(|| TcpStream::connect(secure).unwrap()).find_map(|mut socket| {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\n\r\n").ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok().filter(|_| answer.starts_with("HTTP/1.1 400"))
    });
    assert!(place.is_some());
}

#[test]
fn udp_peers_connect_through_any_worker() {
    let loopback = Loopback::start(2);
    let address = loopback.address(Role::Game, Transport::Udp);
    let vectors = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/transport-udp.json"));
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let packet = |index: usize| unhex(vectors["cases"][0]["packets"][index]["hex"].as_str().unwrap());
    for _ in 0..16 {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(address).unwrap();
        let mut received = [0; 2048];
        socket.send(&packet(0)).unwrap();
        let count = socket.recv(&mut received).unwrap();
        // The last command is verifyConnect, 44 bytes, with the peer's id 12 bytes in.
        let verify = &received[count - 44..count];
        assert_eq!(verify[0], 3, "{:02x?}", &received[..count]);
        let mut init = packet(2);
        init[..2].copy_from_slice(&verify[12..14]);
        socket.send(&init).unwrap();
        let answered = std::iter::repeat_with(|| socket.recv(&mut received).map(|count| received[..count].to_vec()))
            .find(|datagram| datagram.as_ref().unwrap().ends_with(&[0xF3, 0x01, 0x00]));
        assert!(answered.is_some());
    }
    assert!(total(&loopback, |counters| &counters.datagrams_received) >= 32);
    loopback.server.stop().unwrap();
}

#[test]
fn stopping_says_goodbye_to_everyone_and_frees_the_ports() {
    let loopback = Loopback::start(2);
    assert_eq!(loopback.server.phase(), Phase::Ready);
    let address = loopback.address(Role::Master, Transport::Ws);
    let clients = [Transport::Ws, Transport::Wss].map(|transport| reach_master(&loopback, transport, "ann").0);
    let readers = clients.map(|client| std::thread::spawn(move || client.read_to_end()));
    loopback.server.stop().unwrap();
    for reader in readers {
        let goodbye = reader.join().unwrap();
        let close_frame = goodbye.iter().rposition(|byte| *byte == 0x88);
        assert!(close_frame.is_some(), "{goodbye:02x?}");
    }
    TcpListener::bind(address).unwrap();
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
