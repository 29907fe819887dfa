//! Probes over real sockets: ports that answer, ports that do not, and ports that speak something else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::future::Future;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::thread;

use lampyris_client::{ServerAddress, Transport};
use lampyris_config::Role;
use lampyris_doctor::probe::{PortProbe, Stage, Target, hello, join, self_test};

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn target(transport: Transport, address: SocketAddr) -> Target {
    let (host, port) = (address.ip().to_string(), address.port());
    Target { role: Role::NameServer, transport, name: host.clone(), host, port, path: String::new() }
}

fn say_hello(transport: Transport, address: SocketAddr) -> PortProbe {
    wait(hello(target(transport, address)))
}

fn stage(probe: &PortProbe) -> Stage {
    probe.result.as_ref().unwrap_err().stage
}

/// A port of the loopback address that answers each connection with `bytes` and ends it.
fn answering(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // A client that has gone is no fault of this test's.
            let _ = stream.read(&mut [0; 4096]).and_then(|_| stream.write_all(bytes));
        }
    });
    address
}

/// A port of the loopback address that nobody listens on.
fn deserted() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

#[test]
fn d7_a_client_joins_a_room_of_a_server_in_this_program_on_every_transport() {
    let joins = wait(self_test());
    assert_eq!(joins.len(), 4);
    for join in joins {
        assert!(join.result.is_ok(), "{join:?}");
    }
}

#[test]
fn d2_a_secure_port_that_speaks_http_fails_at_tls() {
    let probe = say_hello(Transport::Wss, answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    assert_eq!(stage(&probe), Stage::Tls, "{probe:?}");
    assert!(probe.result.unwrap_err().text.contains("does not speak TLS"));
    assert!(probe.handshake.is_none());
}

#[test]
fn d2_a_port_of_another_program_fails_at_the_upgrade_with_what_it_said() {
    let probe = say_hello(Transport::Ws, answering(b"HTTP/1.1 404 Not Found\r\n\r\n"));
    assert_eq!(stage(&probe), Stage::Upgrade, "{probe:?}");
    assert!(probe.result.unwrap_err().text.contains("404 Not Found"));
}

#[test]
fn d5_a_port_that_nobody_listens_on_fails_at_the_connection() {
    for transport in [Transport::Tcp, Transport::Ws, Transport::Wss] {
        assert_eq!(stage(&say_hello(transport, deserted())), Stage::Connect, "{transport:?}");
    }
}

#[test]
fn d5_a_datagram_without_an_answer_fails() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let probe = say_hello(Transport::Udp, silent.local_addr().unwrap());
    assert_eq!(stage(&probe), Stage::Answer, "{probe:?}");
    assert!(probe.result.unwrap_err().text.contains("no answer to 3 datagrams"));
}

#[test]
fn d6_a_join_that_fails_names_the_server_that_it_was_at() {
    let address = ServerAddress::new(Transport::Tcp, "127.0.0.1", deserted().port());
    let failure = wait(join(Role::NameServer, address.clone())).result.unwrap_err();
    assert_eq!(failure.at, address.to_string());
    assert!(failure.text.contains("refused"), "{failure:?}");
}
