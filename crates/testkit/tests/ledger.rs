//! Reliable means once, in order, whatever the network does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod common;

use std::time::Duration;

use common::*;
use lampyris_client::{Delivery, Event, Protocol, RaiseOptions, RoomOptions, State, Transport};
use lampyris_testkit::{Conditions, HostId, Ledger, World, WorldConfig, each_seed};
use rand::RngExt as _;

const DELIVERIES: [Delivery; 5] = [
    Delivery::Reliable,
    Delivery::Reliable,
    Delivery::Unreliable,
    Delivery::ReliableUnsequenced,
    Delivery::UnreliableUnsequenced,
];

/// Rounds of sending, 50 ms apart.
const ROUNDS: usize = 40;

#[derive(Debug, Default)]
struct Sum {
    owed: usize,
    arrived: usize,
    unreliable_lost: usize,
    did_not_come: usize,
    gone: usize,
    hosts: usize,
}

fn take(world: &mut World, ledger: &mut Ledger, hosts: &[HostId]) {
    for host in hosts {
        for event in world.take_events(*host) {
            match event {
                Event::Raised { code: 7, payload, .. } => ledger.receive(*host, &payload),
                Event::Disconnected(_) => ledger.gone(*host),
                _ => {}
            }
        }
    }
}

/// On a bad network not everybody comes to the room.
fn those_who_come(world: &mut World, mut hosts: Vec<HostId>, sum: &mut Sum) -> Vec<HostId> {
    let all = hosts.len();
    for host in &hosts {
        world.act_as(*host, |client, now| client.connect(now)).unwrap();
    }
    world.run_until_all(&hosts, State::OnMaster, LOGIN_TIME);
    hosts.retain(|host| {
        let request = join_or_create("room", RoomOptions::default());
        world.act_as(*host, |client, now| client.enter(now, request)).is_ok()
    });
    world.run_until_all(&hosts, State::InRoom, LOGIN_TIME);
    hosts.retain(|host| world.client(*host).state() == State::InRoom);
    sum.did_not_come += all - hosts.len();
    hosts
}

/// Everybody logs in, enters one room and raises events of every kind.
fn scenario(seed: u64, transports: &[Transport], sum: &mut Sum) {
    let mut world = World::new(seed, WorldConfig { workers: 1 + (seed % 3) as u16, ..WorldConfig::default() });
    let loss = world.rng().random_range(0.0..0.2);
    let corruption = if seed.is_multiple_of(4) { 0.01 } else { 0.0 };
    let count = world.rng().random_range(2..=8);
    let hosts: Vec<_> = (0..count)
        .map(|at| {
            let transport = transports[at % transports.len()];
            let protocol = if world.rng().random() { Protocol::GpBinaryV16 } else { Protocol::GpBinaryV18 };
            let mut config = config(&world, transport, protocol, lampyris_client::AuthMode::Auth);
            config.crc = corruption > 0.0;
            world.add(config.into())
        })
        .collect();
    let conditions = Conditions { corruption, ..Conditions::bad(loss) };
    let hosts = if seed.is_multiple_of(2) {
        connect(&mut world, &hosts);
        enter(&mut world, &hosts, "room");
        world.set_conditions(conditions);
        hosts
    } else {
        world.set_conditions(conditions);
        those_who_come(&mut world, hosts, sum)
    };
    let mut ledger = Ledger::default();
    world.run_for(seconds(5));
    for _ in 0..ROUNDS {
        for host in &hosts {
            if world.client(*host).state() != State::InRoom {
                continue;
            }
            let rng = world.rng();
            let options = RaiseOptions {
                delivery: DELIVERIES[rng.random_range(0..DELIVERIES.len())],
                channel: rng.random_range(0..2),
                ..RaiseOptions::default()
            };
            let filler = if rng.random_bool(0.05) { rng.random_range(1_000..6_000) } else { rng.random_range(0..200) };
            let others = hosts.iter().copied().filter(|other| other != host).collect();
            let payload = ledger.send(*host, options.channel, options.delivery, others, filler);
            if world.act_as(*host, |client, now| client.raise_event(now, 7, payload, &options)).is_err() {
                ledger.gone(*host);
            }
        }
        world.run_for(Duration::from_millis(50));
        take(&mut world, &mut ledger, &hosts);
    }
    world.run_for(seconds(30));
    take(&mut world, &mut ledger, &hosts);
    let tally = ledger.tally();
    assert!(tally.is_clean(), "{} hosts, loss {loss:.2}, {} gone: {tally:?}", hosts.len(), ledger.gone_count());
    sum.owed += tally.owed;
    sum.arrived += tally.arrived;
    sum.unreliable_lost += tally.unreliable_lost;
    sum.gone += ledger.gone_count();
    sum.hosts += hosts.len();
}

#[test]
fn nothing_reliable_is_lost_doubled_or_misordered_on_udp() {
    let mut sum = Sum::default();
    each_seed(80, |seed| scenario(seed, &[Transport::Udp], &mut sum));
    println!("{sum:?}");
    assert!((sum.gone + sum.did_not_come) * 20 <= sum.hosts, "too many clients lost their connection: {sum:?}");
}

#[test]
fn nothing_is_lost_doubled_or_misordered_across_transports() {
    let mut sum = Sum::default();
    each_seed(20, |seed| scenario(1_000_000 + seed, &Transport::ALL, &mut sum));
    println!("{sum:?}");
    assert!((sum.gone + sum.did_not_come) * 20 <= sum.hosts, "too many clients lost their connection: {sum:?}");
}
