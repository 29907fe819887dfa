//! Clients that vanish, come back, or come from somewhere else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod common;

use std::time::Duration;

use common::*;
use lampyris_client::{
    CloseCause, DisconnectCause, Entry, Event, JoinRequest, Protocol, RaiseOptions, RoomOptions, State, Transport,
    Value,
};
use lampyris_testkit::{HostId, World, WorldConfig};

/// Two in a room; the one is cut off. Gives how long it takes until the other is told.
fn time_to_be_missed(workers: u16, transport: Transport) -> Duration {
    let mut world = World::new(11, WorldConfig { workers, ..WorldConfig::default() });
    let hosts = [0, 1].map(|_| add(&mut world, transport, Protocol::GpBinaryV18));
    connect(&mut world, &hosts);
    enter(&mut world, &hosts, "room");
    world.run_for(seconds(2));
    world.take_events(hosts[0]);
    let actor = world.client(hosts[1]).actor();
    let cut_at = world.now();
    world.cut(hosts[1]);
    let told = world.run_until(seconds(60), |world| {
        let left = |event: &Event| matches!(event, Event::ActorLeft { actor: left, .. } if *left == actor);
        world.take_events(hosts[0]).iter().any(left)
    });
    assert!(told, "nobody missed the client on {transport:?}");
    let missed_after = world.now() - cut_at;
    world.run_for(seconds(30));
    assert_eq!(world.client(hosts[0]).state(), State::InRoom, "the one who stayed was thrown out");
    assert_eq!(world.connection_count(), 1, "the lost connection is still there");
    missed_after
}

#[test]
fn a_client_that_vanishes_is_missed_in_time() {
    for workers in [1, 3] {
        for transport in Transport::ALL {
            let limit = if transport == Transport::Udp { seconds(15) } else { seconds(11) };
            let time = time_to_be_missed(workers, transport);
            assert!((seconds(5)..=limit).contains(&time), "{transport:?}: {time:?}");
        }
    }
}

#[test]
fn a_client_notices_that_the_node_is_gone() {
    for transport in Transport::ALL {
        let mut world = World::new(12, WorldConfig::default());
        let host = add(&mut world, transport, Protocol::GpBinaryV18);
        connect(&mut world, &[host]);
        enter(&mut world, &[host], "room");
        world.deafen(host);
        assert!(world.run_until_all(&[host], State::Disconnected, seconds(15)), "{}", report(&mut world, &[host]));
        let timed_out =
            |event: &Event| matches!(event, Event::Disconnected(DisconnectCause::Transport(CloseCause::Timeout(_))));
        assert!(world.take_events(host).iter().any(timed_out));
    }
}

/// A room where players may come back, and two in it.
fn room_with_ttl(world: &mut World, transport: Transport) -> [HostId; 2] {
    let hosts = [0, 1].map(|_| add(world, transport, Protocol::GpBinaryV18));
    connect(world, &hosts);
    for host in hosts {
        let options = RoomOptions { player_ttl: seconds(60), ..RoomOptions::default() };
        enter_with(world, host, join_or_create("room", options)).unwrap();
    }
    world.run_for(seconds(1));
    hosts
}

#[test]
fn a_lost_player_comes_back_as_the_same_actor() {
    for workers in [1, 3] {
        for transport in Transport::ALL {
            let mut world = World::new(13, WorldConfig { workers, ..WorldConfig::default() });
            let hosts = room_with_ttl(&mut world, transport);
            let actor = world.client(hosts[1]).actor();
            world.cut(hosts[1]);
            world.run_for(seconds(20));
            world.mend(hosts[1]);
            assert!(world.run_until_all(&hosts[1..], State::Disconnected, seconds(10)));
            let inactive = |event: &Event| matches!(event, Event::ActorLeft { inactive: true, .. });
            assert!(world.take_events(hosts[0]).iter().any(inactive), "{transport:?}: nobody was told");
            assert_eq!(world.act_as(hosts[1], |client, now| client.reconnect_and_rejoin(now, "room")), Ok(true));
            assert!(
                world.run_until_all(&hosts[1..], State::InRoom, seconds(20)),
                "{transport:?} {}",
                report(&mut world, &hosts)
            );
            assert_eq!(world.client(hosts[1]).actor(), actor);
        }
    }
}

#[test]
fn a_player_who_left_for_a_while_is_found_by_the_master() {
    let mut world = World::new(14, WorldConfig::default());
    let hosts = room_with_ttl(&mut world, Transport::Tcp);
    let actor = world.client(hosts[1]).actor();
    world.act_as(hosts[1], |client, now| client.leave_room(now, true)).unwrap();
    assert!(world.run_until_all(&hosts[1..], State::OnMaster, seconds(20)));
    assert_eq!(enter_with(&mut world, hosts[1], join("room")).unwrap_err().0, 32_749);
    assert!(world.run_until_all(&hosts[1..], State::OnMaster, seconds(20)));
    let rejoin = JoinRequest::from(Entry::Rejoin { name: "room".to_owned() });
    assert_eq!(enter_with(&mut world, hosts[1], rejoin).unwrap().actor, actor);
}

/// A router gives the client a new port in the middle of a game.
fn port_change(workers: u16, seed: u64) {
    let mut world = World::new(seed, WorldConfig { workers, ..WorldConfig::default() });
    let hosts = [0, 1].map(|_| add(&mut world, Transport::Udp, Protocol::GpBinaryV18));
    connect(&mut world, &hosts);
    enter(&mut world, &hosts, "room");
    world.run_for(seconds(2));
    for round in 0..4 {
        world.change_port(hosts[0]);
        for host in hosts {
            world.take_events(host);
            let payload = Value::Int(round);
            let options = RaiseOptions::default();
            world.act_as(host, |client, now| client.raise_event(now, 3, payload, &options)).unwrap();
        }
        world.run_for(seconds(12));
        for host in hosts {
            assert_eq!(world.client(host).state(), State::InRoom, "{}", report(&mut world, &hosts));
            assert_eq!(raised(world.take_events(host)).len(), 1, "round {round}");
        }
    }
}

#[test]
fn a_new_port_of_a_router_goes_unnoticed() {
    port_change(1, 15);
}

#[test]
fn a_new_port_that_leads_to_another_worker_goes_unnoticed() {
    for seed in 0..4 {
        port_change(3, seed);
    }
}
