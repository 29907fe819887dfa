//! Game servers in nodes of their own, under virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::time::Duration;

use common::*;
use lampyris_client::{Entry, Event, JoinRequest, Protocol, RoomOptions, Transport};
use lampyris_testkit::{Conditions, HostId, World, WorldConfig};

/// A Master and game servers with two workers each, and clients on the Master.
fn world(seed: u64, game_servers: usize, clients: usize) -> (World, Vec<HostId>) {
    let conditions = if seed.is_multiple_of(2) { Conditions::GOOD } else { Conditions::bad(0.02) };
    let config = WorldConfig { workers: 2, conditions, game_servers, ..WorldConfig::default() };
    let mut world = World::new(seed, config);
    assert!(world.run_until(seconds(10), |world| (0..game_servers).all(|id| world.is_linked(id))), "seed {seed}");
    let hosts = log_in(&mut world, clients);
    (world, hosts)
}

/// Clients over every transport in turn, on the Master.
fn log_in(world: &mut World, clients: usize) -> Vec<HostId> {
    let kinds = [Transport::Udp, Transport::Tcp, Transport::Wss, Transport::Ws];
    let hosts: Vec<_> = (0..clients).map(|at| add(world, kinds[at % 4], Protocol::GpBinaryV18)).collect();
    connect(world, &hosts);
    hosts
}

fn create(name: &str) -> JoinRequest {
    Entry::Create { name: Some(name.to_owned()), options: RoomOptions::default() }.into()
}

/// Players and rooms as the Master says.
fn totals(world: &mut World, host: HostId) -> Option<(i32, i32)> {
    let stats = |event| match event {
        Event::AppStats { players, rooms, .. } => Some((players, rooms)),
        _ => None,
    };
    world.take_events(host).into_iter().filter_map(stats).next_back()
}

/// No game server takes a new room.
const SERVER_FULL: i16 = 32762;

const SEEDS: std::ops::Range<u64> = 0..8;

#[test]
fn rooms_are_spread_over_game_servers_and_everybody_meets_in_them() {
    for seed in SEEDS {
        let (mut world, hosts) = world(seed, 2, 8);
        for (at, host) in hosts.iter().take(4).enumerate() {
            enter_with(&mut world, *host, create(&format!("room {at}"))).unwrap();
        }
        world.run_for(seconds(1));
        for (at, host) in hosts.iter().skip(4).enumerate() {
            let entered = enter_with(&mut world, *host, join(&format!("room {at}"))).unwrap();
            assert_eq!(entered.actor, 2, "seed {seed}");
        }
        let watcher = log_in(&mut world, 1)[0];
        world.run_for(seconds(6));
        assert_eq!(totals(&mut world, watcher), Some((8, 4)), "seed {seed}");
    }
}

#[test]
fn a_link_that_comes_back_in_time_loses_no_room_and_brings_what_changed() {
    for seed in SEEDS {
        let (mut world, hosts) = world(seed, 1, 3);
        enter_with(&mut world, hosts[0], create("kept")).unwrap();
        enter_with(&mut world, hosts[1], create("left")).unwrap();
        world.run_for(seconds(1));
        world.cut_link(0);
        // Longer than four pings: both ends have noticed. One room ends while nobody can tell the Master.
        world.run_for(seconds(11));
        assert!(!world.is_linked(0), "seed {seed}");
        world.act_as(hosts[1], |client, now| client.leave_room(now, false)).unwrap();
        let entered = enter_with(&mut world, hosts[2], join("kept")).unwrap();
        assert_eq!(entered.actor, 2, "clients are led to the room though the link is down, seed {seed}");
        world.mend_link(0);
        assert!(world.run_until(seconds(20), |world| world.is_linked(0)), "seed {seed}");
        world.run_for(seconds(8));
        assert_eq!(totals(&mut world, hosts[1]), Some((2, 1)), "seed {seed}");
        assert_eq!(enter_with(&mut world, hosts[1], create("left")).unwrap().actor, 1, "the name is free, seed {seed}");
    }
}

#[test]
fn a_game_server_that_stays_away_is_lost_with_its_rooms_and_calls_on() {
    for seed in SEEDS {
        let (mut world, hosts) = world(seed, 1, 2);
        enter_with(&mut world, hosts[0], create("room")).unwrap();
        world.run_for(seconds(1));
        world.cut_link(0);
        world.run_for(seconds(10 + 20 + 6));
        assert_eq!(totals(&mut world, hosts[1]), Some((0, 0)), "seed {seed}");
        let refused = enter_with(&mut world, hosts[1], create("other")).unwrap_err();
        assert_eq!(refused.0, SERVER_FULL, "seed {seed}");
        assert!(world.calls(0) >= 2, "seed {seed}");
        world.mend_link(0);
        assert!(world.run_until(seconds(30), |world| world.is_linked(0)), "seed {seed}");
        world.run_for(seconds(6));
        assert_eq!(totals(&mut world, hosts[1]), Some((1, 1)), "the room went on, seed {seed}");
        assert_eq!(enter_with(&mut world, hosts[1], join("room")).unwrap().actor, 2, "seed {seed}");
    }
}

#[test]
fn a_world_with_links_repeats_itself() {
    let run = || {
        let (mut world, hosts) = world(7, 2, 4);
        for (at, host) in hosts.iter().enumerate() {
            enter_with(&mut world, *host, create(&format!("room {at}"))).unwrap();
        }
        world.run_for(Duration::from_secs(30));
        (world.now(), hosts.iter().map(|host| world.take_events(*host)).collect::<Vec<_>>())
    };
    assert_eq!(run(), run());
}
