//! Clients that break the protocol hurt themselves only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod common;

use std::time::Duration;

use common::*;
use lampyris_client::{Event, Protocol, RaiseOptions, State, Transport, Value};
use lampyris_engine::{Limits, MessageRates};
use lampyris_testkit::{Conditions, HostId, World, WorldConfig, each_seed};
use rand::RngExt as _;

/// A frame of TCP around bytes that are no message.
fn broken_frame(message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    lampyris_transport::tcp::write_frame(&mut frame, 0, lampyris_client::Delivery::Reliable, message);
    frame
}

/// That one is told of an event of the other.
fn assert_they_play(world: &mut World, from: HostId, to: HostId) {
    world.take_events(to);
    world.act_as(from, |client, now| client.raise_event(now, 1, Value::Null, &RaiseOptions::default())).unwrap();
    world.run_for(seconds(1));
    assert_eq!(raised(world.take_events(to)).len(), 1);
}

#[test]
fn a_malformed_message_ends_only_its_sender() {
    for message in [
        &b"\xf3\x02\xfd\x01\xff"[..],
        b"\xf3\x02",
        b"\xf3\x82\x00\x00",
        b"\xf3\x05\x00",
        b"\xf3\x02\xfd\x05\xf5\x17\xff\xff\xff\xff\x0f",
    ] {
        let mut world = World::new(21, WorldConfig { workers: 3, ..WorldConfig::default() });
        let hosts = [0, 1, 2].map(|_| add(&mut world, Transport::Tcp, Protocol::GpBinaryV18));
        connect(&mut world, &hosts);
        enter(&mut world, &hosts, "room");
        world.inject(hosts[2], &broken_frame(message));
        assert!(world.run_until_all(&hosts[2..], State::Disconnected, seconds(12)), "{message:02x?}");
        assert_they_play(&mut world, hosts[0], hosts[1]);
        assert_eq!(world.stats().map(|stats| stats.violations).sum::<u64>(), 1, "{message:02x?}");
        assert_eq!(world.connection_count(), 2);
    }
}

#[test]
fn noise_ends_only_its_sender() {
    each_seed(60, |seed| {
        let transport = Transport::ALL[(seed % 4) as usize];
        let mut world = World::new(seed, WorldConfig { workers: 3, ..WorldConfig::default() });
        let hosts = [0, 1, 2].map(|_| add(&mut world, transport, Protocol::GpBinaryV18));
        connect(&mut world, &hosts);
        enter(&mut world, &hosts, "room");
        for _ in 0..50 {
            let length = world.rng().random_range(1..300);
            let noise: Vec<u8> = (0..length).map(|_| world.rng().random()).collect();
            world.inject(hosts[2], &noise);
            world.run_for(Duration::from_millis(50));
        }
        world.run_for(seconds(20));
        assert_they_play(&mut world, hosts[0], hosts[1]);
        if transport != Transport::Udp {
            assert_eq!(world.client(hosts[2]).state(), State::Disconnected);
        }
    });
}

#[test]
fn damaged_datagrams_never_stop_the_node() {
    each_seed(30, |seed| {
        let mut world = World::new(seed, WorldConfig { workers: 3, ..WorldConfig::default() });
        let hosts: Vec<_> = (0..6).map(|_| add(&mut world, Transport::Udp, Protocol::GpBinaryV16)).collect();
        connect(&mut world, &hosts);
        enter(&mut world, &hosts, "room");
        world.set_conditions(Conditions { corruption: 0.3, ..Conditions::bad(0.1) });
        for _ in 0..100 {
            for host in &hosts {
                let payload = Value::from(vec![0u8; 100]);
                let options = RaiseOptions::default();
                // Damage may have ended it.
                let _ = world.act_as(*host, |client, now| client.raise_event(now, 2, payload, &options));
            }
            world.run_for(Duration::from_millis(30));
        }
        world.set_conditions(Conditions::GOOD);
        world.run_for(seconds(40));
        let fresh = [0, 1].map(|_| add(&mut world, Transport::Udp, Protocol::GpBinaryV18));
        connect(&mut world, &fresh);
        enter(&mut world, &fresh, "another room");
        assert_they_play(&mut world, fresh[0], fresh[1]);
    });
}

#[test]
fn a_flood_of_connections_stops_at_the_limit_and_passes() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Ws] {
        let limits = Limits { connections_per_worker: 20, ..Limits::default() };
        let mut world = World::new(23, WorldConfig { limits, ..WorldConfig::default() });
        let players = [0, 1].map(|_| add(&mut world, transport, Protocol::GpBinaryV18));
        connect(&mut world, &players);
        enter(&mut world, &players, "room");
        let flood: Vec<_> = (0..100).map(|_| add(&mut world, transport, Protocol::GpBinaryV18)).collect();
        for host in &flood {
            world.act_as(*host, |client, now| client.connect(now)).unwrap();
        }
        let end = world.now() + seconds(20);
        while world.now() < end {
            world.run_for(Duration::from_millis(100));
            assert!(world.connection_count() <= 20, "{} connections", world.connection_count());
            assert_eq!(world.client(players[0]).state(), State::InRoom);
        }
        assert!(world.stats().map(|stats| stats.connections_refused).sum::<u64>() > 0);
        assert_they_play(&mut world, players[0], players[1]);
        for host in &flood {
            world.act_as(*host, |client, now| client.disconnect(now));
        }
        world.run_for(seconds(40));
        assert_eq!(world.connection_count(), 2, "{transport:?}: the flood left something behind");
        let late = add(&mut world, transport, Protocol::GpBinaryV18);
        connect(&mut world, &[late]);
        enter(&mut world, &[late], "room");
    }
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    for transport in Transport::ALL {
        let mut world = World::new(24, WorldConfig::default());
        let hosts: Vec<_> = (0..20).map(|_| add(&mut world, transport, Protocol::GpBinaryV18)).collect();
        for host in &hosts {
            world.act_as(*host, |client, now| client.connect(now)).unwrap();
        }
        world.run_for(Duration::from_millis(70));
        for host in &hosts {
            world.cut(*host);
        }
        world.run_for(seconds(45));
        assert_eq!(world.connection_count(), 0, "{transport:?}");
    }
}

#[test]
fn a_client_that_sends_too_much_is_disconnected() {
    let limits = Limits { rates: MessageRates { messages: 100, bytes: u32::MAX }, ..Limits::default() };
    let mut world = World::new(25, WorldConfig { limits, ..WorldConfig::default() });
    let hosts = [0, 1, 2].map(|_| add(&mut world, Transport::Tcp, Protocol::GpBinaryV18));
    connect(&mut world, &hosts);
    enter(&mut world, &hosts, "room");
    for _ in 0..1_000 {
        let payload = Value::Int(1);
        let _ = world.act_as(hosts[2], |client, now| client.raise_event(now, 1, payload, &RaiseOptions::default()));
    }
    assert!(world.run_until_all(&hosts[2..], State::Disconnected, seconds(12)));
    let left = |event: &Event| matches!(event, Event::ActorLeft { .. });
    assert!(world.take_events(hosts[0]).iter().any(left));
    assert_they_play(&mut world, hosts[0], hosts[1]);
}
