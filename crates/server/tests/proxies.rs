//! Clients behind proxies, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use lampyris_server::{HandshakeFailure, Options, Proxies, Role, Transport};
use serde_json::json;

use crate::common::{Client, Duplex, Loopback, PATIENCE, connect_behind, param};

/// Loopback is a trusted proxy; an address may have two connections.
fn behind_proxy(announce: bool) -> impl FnOnce(&mut Options) {
    move |options| {
        options.limits.connections_per_address = 2;
        for listener in &mut options.listeners {
            listener.node.proxies = Proxies { trusted: vec!["127.0.0.0/8".parse().unwrap()], announce };
        }
    }
}

/// A header of version 1 or 2 for a client.
fn header(version: u8, client: Ipv4Addr) -> Vec<u8> {
    let (client, reached) = (SocketAddrV4::new(client, 40_000), SocketAddrV4::new([198, 51, 100, 1].into(), 443));
    if version == 1 {
        let (from, to) = (client.ip(), reached.ip());
        return format!("PROXY TCP4 {from} {to} {} {}\r\n", client.port(), reached.port()).into_bytes();
    }
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    bytes.extend([client.ip(), reached.ip()].iter().flat_map(|ip| ip.octets()));
    bytes.extend([client.port(), reached.port()].iter().flat_map(|port| port.to_be_bytes()));
    bytes
}

fn failures(loopback: &Loopback, reason: HandshakeFailure) -> u64 {
    loopback.server.counters().iter().map(|counters| counters.handshake_failures(reason)).sum()
}

/// Whether the server answers a request; otherwise it has closed.
fn is_served(stream: &mut Box<dyn Duplex>) -> bool {
    let request = b"GET /photon/m HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut answer = Vec::new();
    // A refused connection may be reset at any of these.
    let _ = stream.write_all(request).and_then(|()| stream.read_to_end(&mut answer));
    answer.ends_with(b"pong\n")
}

#[test]
fn t28_clients_of_a_proxy_are_counted_by_the_address_that_its_header_tells() {
    for transport in [Transport::Ws, Transport::Wss] {
        let loopback = Loopback::start_with(1, behind_proxy(true));
        let address = loopback.address(Role::Master, transport);
        let come = |version: u8, last: u8| {
            let head = header(version, Ipv4Addr::new(203, 0, 113, last));
            connect_behind(loopback.state.path(), transport, address, &head)
        };
        let open = |version, last| Client::open(come(version, last), address, "/app?libversion=4.4.0.0");
        let kept = [open(1, 1), open(2, 1), open(1, 2)];
        assert!(!is_served(&mut come(2, 1)), "{transport:?}: a third connection of one address");
        assert!(is_served(&mut come(2, 2)) && is_served(&mut come(1, 3)), "{transport:?}");
        drop(kept);
        loopback.server.stop().unwrap();
    }
}

#[test]
fn t28_a_header_that_comes_in_pieces_and_with_the_first_bytes_is_read() {
    let loopback = Loopback::start_with(1, behind_proxy(true));
    let mut socket = TcpStream::connect(loopback.address(Role::Master, Transport::Ws)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let bytes =
        [header(2, Ipv4Addr::new(203, 0, 113, 9)), b"GET /photon/m HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()].concat();
    for piece in bytes.chunks(5) {
        socket.write_all(piece).unwrap();
    }
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("pong\n"), "{answer}");
}

#[test]
fn t28_a_trusted_proxy_without_a_header_is_closed_and_counted() {
    for transport in [Transport::Tcp, Transport::Ws, Transport::Wss] {
        let loopback = Loopback::start_with(1, behind_proxy(true));
        let mut socket = TcpStream::connect(loopback.address(Role::Game, transport)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        assert_eq!((answer.as_slice(), failures(&loopback, HandshakeFailure::ProxyHeader)), (b"".as_slice(), 1));
    }
}

#[test]
fn t28_whoever_is_no_trusted_proxy_is_served_as_the_one_he_is() {
    let strangers = |options: &mut Options| {
        options.limits.connections_per_address = 1;
        for listener in &mut options.listeners {
            listener.node.proxies = Proxies { trusted: vec!["10.0.0.0/8".parse().unwrap()], announce: true };
        }
    };
    let loopback = Loopback::start_with(1, strangers);
    let address = loopback.address(Role::Master, Transport::Ws);
    let headers = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n";
    let come = || connect_behind(loopback.state.path(), Transport::Ws, address, b"");
    let _first = Client::open_with(come(), address, "/app?libversion=4.4.0.0", headers);
    assert!(!is_served(&mut come()), "his header did not make him another");
}

/// The address of the Master that a NameServer's client is told.
fn told(loopback: &Loopback, address: SocketAddr, headers: &str) -> String {
    let stream = connect_behind(loopback.state.path(), Transport::Ws, address, b"");
    let mut client = Client::open_with(stream, address, "/app?libversion=4.4.0.0", headers);
    let answer = client.ask(230, &json!([224, "app", 220, "1.0", 225, "ann", 210, "eu"]));
    param(&answer, 230).as_str().unwrap().to_owned()
}

#[test]
fn t28_clients_whose_tls_ends_at_the_proxy_are_told_secure_addresses() {
    let loopback = Loopback::start_with(1, behind_proxy(false));
    let address = loopback.address(Role::NameServer, Transport::Ws);
    assert!(told(&loopback, address, "X-Forwarded-Proto: https\r\n").starts_with("wss://"));
    assert!(told(&loopback, address, "X-Forwarded-Proto: http\r\n").starts_with("ws://"));
    assert!(told(&loopback, address, "").starts_with("ws://"));
}

#[test]
fn t28_clients_of_a_proxy_are_counted_by_the_address_that_its_request_tells() {
    let loopback = Loopback::start_with(1, behind_proxy(false));
    let address = loopback.address(Role::Master, Transport::Ws);
    let come = || connect_behind(loopback.state.path(), Transport::Ws, address, b"");
    let open = |last: u8| {
        let headers = format!("X-Forwarded-For: 1.2.3.4, 203.0.113.{last}\r\n");
        Client::open_with(come(), address, "/app?libversion=4.4.0.0", &headers)
    };
    let kept = [open(1), open(1), open(2), open(2), open(3)];
    let mut refused = come();
    let request = "GET /app?libversion=4.4.0.0 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: Json\r\nX-Forwarded-For: 203.0.113.1\r\n\r\n";
    refused.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = refused.read_to_end(&mut answer);
    // It is told so in a close frame, since the upgrade was answered by then.
    assert!(answer.windows(2).any(|pair| pair[0] == 0x88), "{}", answer.escape_ascii());
    drop(kept);
}

#[test]
fn t19_whoever_sends_nothing_is_closed_when_the_time_is_over() {
    let loopback = Loopback::start_with(1, behind_proxy(true));
    let open = |transport: Transport, head: &[u8]| {
        let mut socket = TcpStream::connect(loopback.address(Role::Master, transport)).unwrap();
        socket.set_read_timeout(Some(PATIENCE + Duration::from_secs(10))).unwrap();
        socket.write_all(head).unwrap();
        socket
    };
    let announced = header(1, Ipv4Addr::new(203, 0, 113, 9));
    for mut socket in [open(Transport::Ws, b"PROXY TCP4"), open(Transport::Wss, &announced)] {
        let _ = socket.read_to_end(&mut Vec::new());
    }
    let counted = [HandshakeFailure::ProxyHeader, HandshakeFailure::Timeout].map(|reason| failures(&loopback, reason));
    assert_eq!(counted, [1, 1]);
}
