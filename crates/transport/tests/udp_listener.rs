//! Handshakes without state, floods, copies and moving clients.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lampyris_transport::udp::command::{
    Command, ConnectParameters, Datagram, DatagramWriter, Header, Kind, Protection, RELIABLE, RESERVED,
};
use lampyris_transport::udp::{Config, Handshake, IgnoreReason, Listener, ListenerLimits, Peer, PeerHandle, Route};
use lampyris_transport::{Delivery, Incoming, init};

const START: Duration = Duration::from_secs(95);

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn datagram(peer_id: u16, challenge: u32, commands: &[Command<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let header = Header { peer_id, protection: Protection::Plain, sent_ms: 1, challenge };
    let mut writer = DatagramWriter::new(&mut out, header, 1200);
    for command in commands {
        assert!(writer.push(command));
    }
    writer.finish();
    out
}

fn command(kind: Kind, channel: u8, sequence: u32, payload: &[u8]) -> Command<'_> {
    Command { kind, channel, flags: RELIABLE, reserved: RESERVED, sequence, payload }
}

fn connect(challenge: u32) -> Vec<u8> {
    let payload = ConnectParameters { peer_id: 0, mtu: 1000, channels: 3 }.to_bytes();
    datagram(0xFFFF, challenge, &[command(Kind::Connect, 0xFF, 1, &payload)])
}

fn init_message(peer_id: u16, challenge: u32) -> Vec<u8> {
    let mut message = vec![0xF3, 0, 1, 8, 0x1E, 0x41, 8, 13, 0];
    message.extend_from_slice(b"LoadBalancing");
    message.resize(41, 0);
    datagram(peer_id, challenge, &[command(Kind::Reliable, 0, 1, &message)])
}

fn assigned(reply: &[u8]) -> u16 {
    let parsed = Datagram::parse(reply).unwrap();
    let (_, verify) = parsed.commands().flatten().find(|(_, c)| c.kind == Kind::VerifyConnect).unwrap();
    ConnectParameters::parse(verify.payload).unwrap().peer_id
}

/// Connects, and gives the id and the handshake.
fn shake(listener: &mut Listener, from: SocketAddr, challenge: u32) -> (u16, Handshake) {
    let mut reply = Vec::new();
    assert_eq!(listener.classify(START, from, &connect(challenge), &mut reply), Route::Reply);
    let id = assigned(&reply);
    match listener.classify(START, from, &init_message(id, challenge), &mut reply) {
        Route::Accept(handshake) => (id, handshake),
        other => panic!("expected an accept, found {other:?}"),
    }
}

fn listener() -> Listener {
    Listener::new([9; 32], ListenerLimits::DEFAULT)
}

#[test]
fn a_flood_of_connects_allocates_nothing_and_gets_less_than_three_times_its_bytes() {
    let mut listener = listener();
    let mut reply = Vec::with_capacity(1200);
    let mut flood: Vec<_> = (0..20_000u32).map(|number| (address(number as u16), connect(number))).collect();
    flood.push((address(1), vec![0x7D; 13]));
    let allocated = allocation_counter::measure(|| {
        for (from, datagram) in &flood {
            reply.clear();
            assert_eq!(listener.classify(START, *from, datagram, &mut reply), Route::Reply);
            assert!(reply.len() < 3 * datagram.len(), "{} bytes for {}", reply.len(), datagram.len());
        }
    });
    assert_eq!(allocated.count_total, 0);
    assert_eq!(listener.peers(), 0);
    assert_eq!(listener.take_stats().connects, 20_000);
}

#[test]
fn whoever_did_not_get_our_answer_cannot_finish_the_handshake() {
    let mut listener = listener();
    let mut reply = Vec::new();
    listener.classify(START, address(1), &connect(77), &mut reply);
    let id = assigned(&reply);
    let accepted = (0..=0xFFFD).filter(|guess| {
        let init = init_message(*guess, 77);
        matches!(listener.classify(START, address(2), &init, &mut Vec::new()), Route::Accept(_))
    });
    assert_eq!(accepted.filter(|guess| *guess != id).count(), 2, "another address has other ids, one in each epoch");
    let other_challenge = listener.classify(START, address(1), &init_message(id, 78), &mut reply);
    assert_eq!(other_challenge, Route::Ignore(IgnoreReason::UnknownPeer));
}

#[test]
fn repeated_connects_get_the_same_id_and_the_id_outlives_its_epoch_once() {
    let mut listener = listener();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    listener.classify(START, address(1), &connect(5), &mut first);
    listener.classify(START + Duration::from_secs(1), address(1), &connect(5), &mut second);
    let id = assigned(&first);
    assert_eq!(id, assigned(&second));
    let late = START + Duration::from_secs(65);
    let refused = listener.classify(late, address(1), &init_message(id, 5), &mut Vec::new());
    assert_eq!(refused, Route::Ignore(IgnoreReason::UnknownPeer));
    let next_epoch = START + Duration::from_secs(30);
    let accepted = listener.classify(next_epoch, address(1), &init_message(id, 5), &mut Vec::new());
    assert!(matches!(accepted, Route::Accept(Handshake { mtu: 1000, channels: 3, channels_assumed: false, .. })));
}

#[test]
fn a_forgotten_connect_still_becomes_a_peer_with_careful_parameters() {
    let mut listener = listener();
    let mut reply = Vec::new();
    listener.classify(START, address(1), &connect(5), &mut reply);
    let id = assigned(&reply);
    for number in 0..60_000u32 {
        listener.classify(START, address(2), &connect(number), &mut reply);
    }
    let Route::Accept(handshake) = listener.classify(START, address(1), &init_message(id, 5), &mut reply) else {
        panic!("expected an accept");
    };
    assert_eq!((handshake.mtu, handshake.channels, handshake.channels_assumed), (576, 2, true));
    assert_eq!(listener.take_stats().parameters_forgotten, 1);
}

#[test]
fn copies_of_a_finished_connection_do_not_make_another() {
    let mut listener = listener();
    let (id, _) = shake(&mut listener, address(1), 5);
    listener.insert(id, 5, address(1), PeerHandle(1));
    assert_eq!(listener.remove(id, 5), Some(PeerHandle(1)));
    for late in [init_message(id, 5), datagram(id, 5, &[command(Kind::Ping, 0xFF, 2, &[])])] {
        let route = listener.classify(START, address(1), &late, &mut Vec::new());
        assert_eq!(route, Route::Ignore(IgnoreReason::UnknownPeer));
    }
    listener.classify(START, address(1), &connect(5), &mut Vec::new());
    let route = listener.classify(START, address(1), &init_message(id, 5), &mut Vec::new());
    assert_eq!(route, Route::Ignore(IgnoreReason::UnknownPeer), "not even after a copy of the connect");
}

#[test]
fn no_more_peers_than_allowed() {
    let mut listener = Listener::new([9; 32], ListenerLimits { peers: 1, ..ListenerLimits::DEFAULT });
    let mut reply = Vec::new();
    listener.classify(START, address(2), &connect(6), &mut reply);
    let waiting = assigned(&reply);
    let (id, _) = shake(&mut listener, address(1), 5);
    listener.insert(id, 5, address(1), PeerHandle(1));
    let full = Route::Ignore(IgnoreReason::PeerLimit);
    assert_eq!(listener.classify(START, address(2), &init_message(waiting, 6), &mut reply), full);
    assert_eq!(listener.classify(START, address(3), &connect(7), &mut reply), full);
    assert_eq!(listener.take_stats().peer_limit, 2);
}

#[test]
fn a_client_behind_a_moving_address_is_followed_only_with_progress() {
    let mut listener = listener();
    let (id, handshake) = shake(&mut listener, address(1), 5);
    listener.insert(id, 5, address(1), PeerHandle(1));
    let mut peer = Peer::accept(START, address(1), &handshake, Arc::new(Config::SERVER));
    let mut incoming = Vec::new();
    assert!(peer.receive(START, &init_message(id, 5), &mut incoming));
    let copy = init_message(id, 5);
    assert_eq!(listener.classify(START, address(9), &copy, &mut Vec::new()), Route::Moved(PeerHandle(1)));
    assert!(!peer.receive(START, &copy, &mut incoming), "a copy is no progress");
    let fresh = datagram(id, 5, &[command(Kind::Reliable, 0, 2, b"\xF3\x02\x01\x00")]);
    assert_eq!(listener.classify(START, address(9), &fresh, &mut Vec::new()), Route::Moved(PeerHandle(1)));
    assert!(peer.receive(START, &fresh, &mut incoming));
    peer.follow(address(9));
    listener.follow(id, 5, address(9));
    assert_eq!(peer.remote(), Some(address(9)));
    assert_eq!(listener.classify(START, address(9), &fresh, &mut Vec::new()), Route::Known(PeerHandle(1)));
}

#[test]
fn a_client_that_is_led_to_another_worker_is_passed_on_to_its_own() {
    let mut listeners = [0, 1, 2].map(|share| listener().with_share(share, 3));
    for port in 1..50 {
        let own = usize::from(port % 3);
        let (id, handshake) = shake(&mut listeners[own], address(port), 5);
        listeners[own].insert(id, 5, address(port), PeerHandle(1));
        assert_eq!((id % 3, handshake.peer_id), (port % 3, id));
        let later = datagram(id, 5, &[command(Kind::Ping, 255, 9, &[])]);
        for (share, listener) in listeners.iter_mut().enumerate() {
            let expected = if share == own { Route::Moved(PeerHandle(1)) } else { Route::Elsewhere(port % 3) };
            assert_eq!(listener.classify(START, address(1_000), &later, &mut Vec::new()), expected);
        }
        listeners[own].remove(id, 5);
        let route = listeners[own].classify(START, address(1_000), &later, &mut Vec::new());
        assert_eq!(route, Route::Ignore(IgnoreReason::UnknownPeer), "passed on for ever");
    }
}

#[test]
fn latency_pings_come_back_and_everything_else_is_ignored() {
    let mut listener = listener();
    let mut ping = vec![0x7D; 12];
    ping.push(0x2A);
    let mut reply = vec![1, 2, 3];
    assert_eq!(listener.classify(START, address(1), &ping, &mut reply), Route::Reply);
    assert_eq!(reply, ping);
    let goodbye = Command { flags: 2, ..command(Kind::Disconnect, 0xFF, 1, &[]) };
    let cases: [(Vec<u8>, IgnoreReason); 5] = [
        (vec![], IgnoreReason::Invalid),
        (vec![0; 12], IgnoreReason::Invalid),
        (datagram(0xFFFF, 1, &[goodbye]), IgnoreReason::NotAConnect),
        (datagram(0xFFFF, 1, &[command(Kind::Connect, 0xFF, 1, &[0; 31])]), IgnoreReason::NotAConnect),
        (datagram(3, 1, &[command(Kind::Ping, 0xFF, 1, &[])]), IgnoreReason::UnknownPeer),
    ];
    for (bytes, reason) in cases {
        assert_eq!(listener.classify(START, address(1), &bytes, &mut reply), Route::Ignore(reason), "{bytes:02x?}");
    }
}

#[test]
fn steady_traffic_allocates_nothing() {
    let mut listener = listener();
    let (id, handshake) = shake(&mut listener, address(1), 5);
    let mut peer = Peer::accept(START, address(1), &handshake, Arc::new(Config::SERVER));
    let mut incoming = Vec::with_capacity(16);
    peer.receive(START, &init_message(id, 5), &mut incoming);
    let event = Bytes::from(vec![0xF3; 64]);
    let (mut out, mut arrived) = (Vec::with_capacity(1200), Vec::with_capacity(1200));
    assert!(peer.poll_transmit(START, &mut out), "the init response");
    let mut turn = |number: u32| {
        let now = START + Duration::from_millis(u64::from(2 * number));
        arrived.clear();
        let header = Header { peer_id: id, protection: Protection::Plain, sent_ms: 1, challenge: 5 };
        let mut writer = DatagramWriter::new(&mut arrived, header, 1000);
        let acked = Kind::Ack { unsequenced: false, acked: number - 1, sent_ms: now.as_millis() as i32 };
        writer.push(&Command { flags: 0, ..command(acked, 0, 0, &[]) });
        writer.push(&command(Kind::Reliable, 0, number, &event));
        writer.push(&command(Kind::Unreliable { number: number - 1 }, 0, number, &event));
        writer.finish();
        incoming.clear();
        assert!(peer.receive(now, &arrived, &mut incoming));
        assert_eq!(incoming.len(), 2);
        for delivery in [Delivery::Reliable, Delivery::Unreliable, Delivery::UnreliableUnsequenced] {
            peer.send(now, 0, delivery, &event).unwrap();
        }
        out.clear();
        while peer.poll_transmit(now, &mut out) {}
    };
    (2..50).for_each(&mut turn);
    let allocated = allocation_counter::measure(|| (50..1_000).for_each(&mut turn));
    assert_eq!(allocated.count_total, 0);
}

#[test]
fn an_idle_peer_is_small() {
    let mut listener = listener();
    let (id, handshake) = shake(&mut listener, address(1), 5);
    let config = Arc::new(Config::SERVER);
    let mut kept = None;
    let allocated = allocation_counter::measure(|| {
        let mut peer = Peer::accept(START, address(1), &handshake, config);
        let mut incoming = Vec::new();
        peer.receive(START, &init_message(id, 5), &mut incoming);
        assert!(matches!(incoming[..], [Incoming::Opened(_)]));
        let mut out = Vec::new();
        while peer.poll_transmit(START, &mut out) {}
        kept = Some(peer);
    });
    let bytes = size_of::<Peer>() + usize::try_from(allocated.bytes_current).unwrap();
    assert!(bytes < 2_048, "{bytes} bytes, {} of them in the peer itself", size_of::<Peer>());
    assert!(init::INIT_RESPONSE.len() == 3 && kept.is_some());
}
