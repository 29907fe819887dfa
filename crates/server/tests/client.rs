//! The Rust client over real sockets: every transport, over IPv4 and IPv6.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use lampyris_client::driver::{Driver, TlsRoots};
use lampyris_client::{Config, Entry, Event, RaiseOptions, Receivers, RoomOptions, Start};
use lampyris_server::{Options, Role, Server, Transport, default_listeners};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;

const EVENTS: i32 = 100;

/// A server on one loopback address, with ports of the system's choice.
fn start(address: IpAddr) -> (Server, TempDir) {
    let state = tempfile::tempdir().unwrap();
    let mut listeners = default_listeners(0, false).unwrap();
    for listener in &mut listeners {
        listener.node.port = 0;
        listener.bind = vec![address];
    }
    let options = Options { workers: 2, ..Options::new(state.path().to_owned(), listeners) };
    (Server::start(&options).unwrap(), state)
}

fn driver(server: &Server, state: &TempDir, transport: Transport) -> Driver {
    let address: SocketAddr = server.address(Role::NameServer, transport).unwrap();
    let name_server = format!("{}://{address}", transport.name()).parse().unwrap();
    let authority = CertificateDer::from_pem_file(state.path().join("certs/ca.pem")).unwrap();
    let config = Config::new(Start::NameServer(name_server), "test");
    Driver::new(config.into(), TlsRoots::Authorities(vec![authority])).unwrap()
}

/// The next event that `wanted` makes something of; an end of the connection is a failure.
async fn next<T>(driver: &mut Driver, wanted: impl Fn(&Event) -> Option<T>) -> T {
    loop {
        let event = driver.next_event().await.expect("the connection goes on");
        assert!(!matches!(event, Event::Disconnected(_) | Event::RoomRefused { .. }), "{event:?}");
        if let Some(found) = wanted(&event) {
            return found;
        }
    }
}

/// NameServer, Master, Game, events to all, back to the Master.
async fn play(server: &Server, state: &TempDir, transport: Transport) {
    let mut driver = driver(server, state, transport);
    driver.act(|client, now| client.connect(now)).unwrap();
    next(&mut driver, |event| matches!(event, Event::ConnectedToMaster).then_some(())).await;
    let entry = Entry::JoinOrCreate { name: transport.name().to_owned(), options: RoomOptions::default() };
    driver.act(|client, now| client.enter(now, entry.into())).unwrap();
    next(&mut driver, |event| matches!(event, Event::RoomEntered(_)).then_some(())).await;
    let to_all = RaiseOptions { receivers: Receivers::All, ..RaiseOptions::default() };
    for number in 0..EVENTS {
        driver.act(|client, now| client.raise_event(now, 7, number, &to_all)).unwrap();
    }
    for number in 0..EVENTS {
        let got = next(&mut driver, |event| match event {
            Event::Raised { code: 7, payload, .. } => Some(payload.clone()),
            _ => None,
        });
        assert_eq!(got.await, number.into(), "{transport:?}");
    }
    driver.act(|client, now| client.leave_room(now, false)).unwrap();
    next(&mut driver, |event| matches!(event, Event::ConnectedToMaster).then_some(())).await;
}

fn play_over_every_transport(address: IpAddr) {
    let (server, state) = start(address);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for transport in Transport::ALL {
        runtime.block_on(play(&server, &state, transport));
    }
    server.stop().unwrap();
}

#[test]
fn a_client_plays_over_every_transport_and_ipv4() {
    play_over_every_transport(Ipv4Addr::LOCALHOST.into());
}

#[test]
fn a_client_plays_over_every_transport_and_ipv6() {
    play_over_every_transport(Ipv6Addr::LOCALHOST.into());
}
