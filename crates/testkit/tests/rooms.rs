//! Rooms between Master and Game: held joins, closing, lists, and caches across serializations.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod common;

use std::time::Duration;

use common::*;
use lampyris_client::codes::{return_code, room_property};
use lampyris_client::{
    Entry, Event, Hashtable, JoinRequest, Lobby, Matching, PropertyChange, Protocol, RaiseOptions, Receivers,
    RoomOptions, State, Transport, Value,
};
use lampyris_testkit::{HostId, World, WorldConfig};

const PROTOCOLS: [Protocol; 2] = [Protocol::GpBinaryV16, Protocol::GpBinaryV18];

fn world(workers: u16, hosts: usize) -> (World, Vec<HostId>) {
    let mut world = World::new(31, WorldConfig { workers, ..WorldConfig::default() });
    let kinds = [Transport::Udp, Transport::Tcp, Transport::Wss, Transport::Ws];
    let hosts: Vec<_> = (0..hosts).map(|at| add(&mut world, kinds[at % 4], PROTOCOLS[at % 2])).collect();
    connect(&mut world, &hosts);
    (world, hosts)
}

fn create(name: &str, options: RoomOptions) -> JoinRequest {
    JoinRequest::from(Entry::Create { name: Some(name.to_owned()), options })
}

#[test]
fn a_join_is_held_until_the_creator_has_made_the_room() {
    for workers in [1, 3] {
        let (mut world, hosts) = world(workers, 4);
        world.act_as(hosts[0], |client, now| client.enter(now, create("room", RoomOptions::default()))).unwrap();
        // The Master knows of the room, the creator is on its way to the game server.
        let on_the_way = |world: &mut World| world.client(hosts[0]).state() == State::EnteringRoom;
        world.run_for(Duration::from_millis(45));
        assert!(on_the_way(&mut world));
        for host in &hosts[1..] {
            world.act_as(*host, |client, now| client.enter(now, join("room"))).unwrap();
        }
        assert!(world.run_until_all(&hosts, State::InRoom, LOGIN_TIME), "{}", report(&mut world, &hosts));
        let mut actors: Vec<_> = hosts.iter().map(|host| world.client(*host).actor()).collect();
        assert_eq!(actors[0], 1, "the creator is not the first");
        actors.sort_unstable();
        assert_eq!(actors, [1, 2, 3, 4]);
    }
}

#[test]
fn a_join_that_waits_for_a_creator_who_vanished_is_refused() {
    let (mut world, hosts) = world(3, 2);
    world.act_as(hosts[0], |client, now| client.enter(now, create("room", RoomOptions::default()))).unwrap();
    world.run_for(Duration::from_millis(45));
    world.cut(hosts[0]);
    let (code, _) = enter_with(&mut world, hosts[1], join("room")).unwrap_err();
    assert_eq!(code, return_code::GAME_DOES_NOT_EXIST);
    assert_eq!(world.client(hosts[1]).state(), State::OnMaster);
}

#[test]
fn a_room_is_gone_with_its_last_actor() {
    for workers in [1, 3] {
        let (mut world, hosts) = world(workers, 3);
        enter(&mut world, &hosts[..2], "room");
        for host in &hosts[..2] {
            world.act_as(*host, |client, now| client.leave_room(now, false)).unwrap();
        }
        assert!(world.run_until_all(&hosts, State::OnMaster, LOGIN_TIME));
        world.run_for(seconds(1));
        assert_eq!(enter_with(&mut world, hosts[2], join("room")).unwrap_err().0, return_code::GAME_DOES_NOT_EXIST);
        assert_eq!(enter_with(&mut world, hosts[2], create("room", RoomOptions::default())).unwrap().actor, 1);
    }
}

#[test]
fn an_empty_room_waits_for_its_time() {
    let (mut world, hosts) = world(3, 2);
    let options = RoomOptions { empty_room_ttl: seconds(20), ..RoomOptions::default() };
    enter_with(&mut world, hosts[0], create("room", options)).unwrap();
    world.act_as(hosts[0], |client, now| client.leave_room(now, false)).unwrap();
    world.run_for(seconds(10));
    assert_eq!(enter_with(&mut world, hosts[1], join("room")).unwrap().actor, 2);
    world.act_as(hosts[1], |client, now| client.leave_room(now, false)).unwrap();
    world.run_for(seconds(30));
    assert_eq!(enter_with(&mut world, hosts[0], join("room")).unwrap_err().0, return_code::GAME_DOES_NOT_EXIST);
}

#[test]
fn full_and_closed_rooms_refuse() {
    let (mut world, hosts) = world(3, 3);
    let options = RoomOptions { max_players: 2, ..RoomOptions::default() };
    enter_with(&mut world, hosts[0], create("room", options)).unwrap();
    enter_with(&mut world, hosts[1], join("room")).unwrap();
    world.run_for(seconds(1));
    assert_eq!(enter_with(&mut world, hosts[2], join("room")).unwrap_err().0, return_code::GAME_FULL);
    world.act_as(hosts[1], |client, now| client.leave_room(now, false)).unwrap();
    world.run_for(seconds(1));
    let change =
        PropertyChange { actor: 0, properties: Hashtable::from([(room_property::IS_OPEN, false)]), expected: None };
    world.act_as(hosts[0], |client, now| client.set_properties(now, change)).unwrap();
    world.run_for(seconds(1));
    assert_eq!(enter_with(&mut world, hosts[2], join("room")).unwrap_err().0, return_code::GAME_CLOSED);
    let taken = enter_with(&mut world, hosts[2], create("room", RoomOptions::default()));
    assert_eq!(taken.unwrap_err().0, return_code::GAME_ID_ALREADY_EXISTS);
}

#[test]
fn a_lobby_lists_rooms_that_come_change_and_go() {
    let (mut world, hosts) = world(3, 2);
    let [player, watcher] = [hosts[0], hosts[1]];
    world.act_as(watcher, |client, now| client.join_lobby(now, &Lobby::default())).unwrap();
    world.run_for(seconds(1));
    let lists = |world: &mut World| -> Vec<(bool, Hashtable)> {
        let list = |event| match event {
            Event::RoomList { all, rooms } => Some((all, rooms)),
            _ => None,
        };
        world.take_events(watcher).into_iter().filter_map(list).collect()
    };
    assert_eq!(lists(&mut world), [(true, Hashtable::new())]);
    let options = RoomOptions {
        properties: Hashtable::from([("map", "hill"), ("secret", "no")]),
        lobby_properties: vec!["map".into()],
        ..RoomOptions::default()
    };
    enter_with(&mut world, player, create("room", options)).unwrap();
    world.run_for(seconds(3));
    let seen = lists(&mut world);
    let (all, rooms) = seen.last().expect("an update");
    let room = rooms.get(&Value::from("room")).and_then(Value::as_hashtable).expect("the room");
    assert!(!all);
    assert_eq!(room.get(&Value::from("map")), Some(&Value::from("hill")));
    assert_eq!(room.get(&Value::from("secret")), None);
    world.act_as(player, |client, now| client.leave_room(now, false)).unwrap();
    world.run_for(seconds(3));
    let seen = lists(&mut world);
    let (_, rooms) = seen.last().expect("an update");
    let room = rooms.get(&Value::from("room")).and_then(Value::as_hashtable).expect("the room");
    assert_eq!(room.get_byte(room_property::REMOVED), Some(&Value::Bool(true)));
}

#[test]
fn random_joins_find_what_fits_or_make_it() {
    let (mut world, hosts) = world(3, 4);
    let matching = |level: i32| Matching { properties: Hashtable::from([("level", level)]), ..Matching::default() };
    let random = |level| JoinRequest::from(Entry::Random(matching(level)));
    assert_eq!(enter_with(&mut world, hosts[0], random(1)).unwrap_err().0, return_code::NO_MATCH_FOUND);
    let or_create = |level| {
        let options = RoomOptions {
            properties: Hashtable::from([("level", level)]),
            lobby_properties: vec!["level".into()],
            ..RoomOptions::default()
        };
        JoinRequest::from(Entry::RandomOrCreate { matching: matching(level), name: None, options })
    };
    let first = enter_with(&mut world, hosts[0], or_create(1)).unwrap();
    assert_eq!(first.actor, 1);
    world.run_for(seconds(1));
    let second = enter_with(&mut world, hosts[1], or_create(1)).unwrap();
    assert_eq!((second.actor, &second.name), (2, &first.name));
    assert_ne!(enter_with(&mut world, hosts[2], or_create(2)).unwrap().name, first.name);
    assert_eq!(enter_with(&mut world, hosts[3], random(1)).unwrap().name, first.name);
}

#[test]
fn cached_events_reach_late_joiners_of_both_serializations() {
    let (mut world, hosts) = world(3, 4);
    enter(&mut world, &hosts[..2], "room");
    world.run_for(seconds(1));
    let table = Hashtable::from([("key", Value::from(vec![1, 2, 3]))]);
    let payloads = [
        Value::from("text"),
        Value::Hashtable(table),
        Value::from(vec![Value::Null, Value::Float(1.5), Value::Long(-1)]),
    ];
    let mut expected = Vec::new();
    for (at, payload) in payloads.iter().enumerate() {
        for sender in &hosts[..2] {
            // 4 keeps the event with its sender, 5 as the room's own.
            let cache = 4 + (at % 2) as u8;
            let options = RaiseOptions { cache, receivers: Receivers::All, ..RaiseOptions::default() };
            let code = at as u8;
            world.act_as(*sender, |client, now| client.raise_event(now, code, payload.clone(), &options)).unwrap();
            world.run_for(seconds(1));
            let actor = if cache == 4 { world.client(*sender).actor() } else { 0 };
            expected.push((code, actor, payload.clone()));
        }
    }
    for late in &hosts[2..] {
        enter(&mut world, &[*late], "room");
        world.run_for(seconds(1));
        assert_eq!(raised(world.take_events(*late)), expected);
    }
}

#[test]
fn only_one_of_two_swaps_wins() {
    let (mut world, hosts) = world(3, 2);
    enter(&mut world, &hosts, "room");
    world.run_for(seconds(1));
    let set = |value: i32, expected: Option<i32>| PropertyChange {
        actor: 0,
        properties: Hashtable::from([("owner", value)]),
        expected: expected.map(|expected| Hashtable::from([("owner", expected)])),
    };
    world.act_as(hosts[0], |client, now| client.set_properties(now, set(0, None))).unwrap();
    world.run_for(seconds(1));
    for host in &hosts {
        world.take_events(*host);
    }
    for (host, value) in hosts.iter().zip(1..) {
        world.act_as(*host, |client, now| client.set_properties(now, set(value, Some(0)))).unwrap();
    }
    world.run_for(seconds(1));
    let (mut codes, mut told) = (Vec::new(), Vec::new());
    for host in &hosts {
        for event in world.take_events(*host) {
            match event {
                Event::Response(response) => codes.push(response.return_code),
                Event::PropertiesChanged { properties, .. } => told.push(properties),
                _ => {}
            }
        }
    }
    codes.sort_unstable();
    assert_eq!(codes, [return_code::INVALID_OPERATION, return_code::OK]);
    assert_eq!(told.len(), 2, "both are told of the one change");
    assert_eq!(told[0], told[1]);
}

#[test]
fn groups_and_receivers_are_kept_to() {
    let (mut world, hosts) = world(3, 3);
    enter(&mut world, &hosts, "room");
    world.run_for(seconds(1));
    world.act_as(hosts[1], |client, now| client.change_groups(now, None, Some(&[5]))).unwrap();
    world.run_for(seconds(1));
    let actors: Vec<_> = hosts.iter().map(|host| world.client(*host).actor()).collect();
    let cases = [
        (Receivers::Group(5), vec![1]),
        (Receivers::Actors(vec![actors[2]]), vec![2]),
        (Receivers::All, vec![0, 1, 2]),
        (Receivers::Others, vec![1, 2]),
    ];
    for (receivers, expected) in cases {
        for host in &hosts {
            world.take_events(*host);
        }
        let options = RaiseOptions { receivers, ..RaiseOptions::default() };
        world.act_as(hosts[0], |client, now| client.raise_event(now, 1, Value::Null, &options)).unwrap();
        world.run_for(seconds(1));
        let got: Vec<_> = (0..hosts.len()).filter(|at| !raised(world.take_events(hosts[*at])).is_empty()).collect();
        assert_eq!(got, expected, "{options:?}");
    }
}
