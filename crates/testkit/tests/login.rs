//! The way of a client over every transport, in both serializations and both modes of authentication.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod common;

use std::sync::Arc;

use common::*;
use lampyris_client::{AuthMode, Config, Delivery, Event, Protocol, RaiseOptions, Start, State, Transport, Value};
use lampyris_engine::Role;
use lampyris_testkit::{Conditions, World, WorldConfig};

const PROTOCOLS: [Protocol; 2] = [Protocol::GpBinaryV16, Protocol::GpBinaryV18];

/// To a room, an event there and back, out again and in again.
fn whole_way(workers: u16, transport: Transport, protocol: Protocol, auth: AuthMode) {
    let conditions = Conditions { segment: 100, ..Conditions::GOOD };
    let mut world = World::new(7, WorldConfig { workers, conditions, ..WorldConfig::default() });
    let config = Arc::new(config(&world, transport, protocol, auth));
    let hosts: Vec<_> = (0..4).map(|_| world.add(Arc::clone(&config))).collect();
    connect(&mut world, &hosts);
    for round in 0..2 {
        enter(&mut world, &hosts, &format!("room {round}"));
        let all_know_all = |world: &mut World| {
            world.run_for(seconds(1));
            hosts.iter().all(|host| {
                let events = world.take_events(*host);
                let mut own = false;
                let mut actors = 0;
                for event in &events {
                    if let Event::ActorJoined { actor, actors: all, .. } = event {
                        own |= *actor == world.client(*host).actor();
                        actors = actors.max(all.len());
                    }
                }
                own && actors == 4
            })
        };
        assert!(all_know_all(&mut world), "somebody does not know of somebody");
        for encrypt in [false, true] {
            let options = RaiseOptions { encrypt, ..RaiseOptions::default() };
            let payload = format!("encrypted: {encrypt}");
            world.act_as(hosts[0], |client, now| client.raise_event(now, 9, payload.as_str(), &options)).unwrap();
            world.run_for(seconds(1));
            let actor = world.client(hosts[0]).actor();
            assert_eq!(raised(world.take_events(hosts[0])), []);
            for host in &hosts[1..] {
                assert_eq!(raised(world.take_events(*host)), [(9, actor, Value::from(payload.as_str()))]);
            }
        }
        for host in &hosts {
            let client = world.client(*host);
            let server = client.server_time_ms(world.now()).expect("a clock");
            let truth = lampyris_transport::server_time_ms(world.now());
            assert!((server - truth).abs() <= 60, "clock is {} ms off", server - truth);
            let round_trip = client.round_trip().expect("a round trip");
            assert!(round_trip.as_millis().abs_diff(40) <= 20, "{round_trip:?}");
            world.act_as(*host, |client, now| client.leave_room(now, false)).unwrap();
        }
        assert!(world.run_until_all(&hosts, State::OnMaster, LOGIN_TIME), "{}", report(&mut world, &hosts));
    }
    for host in &hosts {
        assert!(world.client(*host).user_id().is_some());
        world.act_as(*host, |client, now| client.disconnect(now));
    }
    assert!(world.run_until_all(&hosts, State::Disconnected, seconds(10)));
    world.run_for(seconds(15));
    assert_eq!(world.connection_count(), 0, "connections are left over");
    assert_eq!(world.stats().map(|stats| stats.violations + stats.limits_reached).sum::<u64>(), 0);
    if workers > 1 && transport != Transport::Udp {
        assert!(world.moves() > 0, "nobody moved to the worker of the room");
    }
}

#[test]
fn every_transport_leads_to_a_room_on_one_worker() {
    for transport in Transport::ALL {
        for protocol in PROTOCOLS {
            whole_way(1, transport, protocol, AuthMode::Auth);
        }
    }
}

#[test]
fn every_transport_leads_to_a_room_on_another_worker() {
    for transport in Transport::ALL {
        for protocol in PROTOCOLS {
            whole_way(3, transport, protocol, AuthMode::Auth);
        }
    }
}

#[test]
fn a_token_in_the_init_opens_master_and_game() {
    for transport in Transport::ALL {
        for protocol in PROTOCOLS {
            whole_way(3, transport, protocol, AuthMode::AuthOnce);
        }
    }
}

#[test]
fn a_secure_name_server_leads_to_any_transport() {
    for transport in Transport::ALL {
        let mut world = World::new(3, WorldConfig::default());
        let start = Start::NameServer(world.address(Role::NameServer, Transport::Wss));
        let config = Config { transport, auth: AuthMode::AuthOnce, ..Config::new(start, "app") };
        let host = world.add(Arc::new(config));
        connect(&mut world, &[host]);
        enter(&mut world, &[host], "room");
    }
}

#[test]
fn a_master_can_be_the_first_server() {
    for transport in Transport::ALL {
        let mut world = World::new(3, WorldConfig::default());
        let config = Config::new(Start::Master(world.address(Role::Master, transport)), "app");
        let host = world.add(Arc::new(config));
        connect(&mut world, &[host]);
        enter(&mut world, &[host], "room");
        world.act_as(host, |client, now| client.leave_room(now, false)).unwrap();
        assert!(world.run_until_all(&[host], State::OnMaster, LOGIN_TIME));
    }
}

#[test]
fn events_cross_transports_and_serializations() {
    let mut world = World::new(5, WorldConfig { workers: 3, ..WorldConfig::default() });
    let mut hosts = Vec::new();
    for transport in Transport::ALL {
        for protocol in PROTOCOLS {
            hosts.push(add(&mut world, transport, protocol));
        }
    }
    connect(&mut world, &hosts);
    enter(&mut world, &hosts, "room");
    world.run_for(seconds(1));
    for (at, sender) in hosts.iter().enumerate() {
        for host in &hosts {
            world.take_events(*host);
        }
        let payload = Value::from(vec![Value::Int(at as i32), Value::from("text"), Value::from(vec![1u8, 2, 3])]);
        let options = RaiseOptions { delivery: Delivery::Reliable, channel: 1, ..RaiseOptions::default() };
        world.act_as(*sender, |client, now| client.raise_event(now, 1, payload.clone(), &options)).unwrap();
        world.run_for(seconds(1));
        let actor = world.client(*sender).actor();
        for host in hosts.iter().filter(|host| *host != sender) {
            assert_eq!(raised(world.take_events(*host)), [(1, actor, payload.clone())]);
        }
    }
}
