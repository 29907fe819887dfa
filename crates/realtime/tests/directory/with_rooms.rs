//! The directory hears what a real room reports.

use std::sync::Arc;

use lampyris_realtime::codes::operation;
use lampyris_realtime::room::request::{JoinMode, JoinRequest, Leave, SetProperties, Ttl};
use lampyris_realtime::room::{Effect as RoomEffect, Effects as RoomEffects, Joiner, PeerKey, Room, RoomSettings};
use lampyris_wire::{
    Hashtable, Limits, Message, MessageHead, OperationRequest, Parameters, Protocol, RawRequest, Value,
};

use crate::support::*;

fn joiner(number: u64) -> Joiner {
    Joiner { peer: PeerKey(number), user_id: user(number), session_id: None }
}

/// Hands the room's reports to the directory.
fn relay(world: &mut World, effects: &mut RoomEffects) {
    for effect in effects.list() {
        if let RoomEffect::Report(report) = effect {
            world.report("golden", report.clone());
        }
    }
    effects.clear();
}

fn set(properties: Hashtable) -> SetProperties {
    let parameters = Parameters::from([(251, properties)]);
    let message = Message::OperationRequest(OperationRequest { code: operation::SET_PROPERTIES, parameters });
    let mut bytes = Vec::new();
    message.encode(Protocol::GpBinaryV18, &mut bytes).unwrap();
    let request = RawRequest::parse_body(Protocol::GpBinaryV18, false, &bytes[MessageHead::LEN..], &Limits::DEFAULT);
    SetProperties::parse(&request.unwrap().parameters).unwrap()
}

fn golden_entry(world: &mut World) -> Option<Hashtable> {
    let peer = world.peer(1000);
    let rooms = rooms_in(&event_to(peer, &world.join_lobby(peer, &lobby(""))[1]));
    rooms.into_iter().find(|(name, _)| name == "golden").map(|(_, entry)| entry)
}

#[test]
fn a_room_is_listed_filled_changed_left_and_removed_as_it_lives() {
    let mut world = World::new();
    let peers = world.peers(3);
    let mut effects = RoomEffects::new();
    let mut properties = Hashtable::from([("map", "desert"), ("secret", "x")]);
    properties.insert(255_u8, 2_u8);
    properties.insert(250_u8, vec![Arc::<str>::from("map")]);
    let create = JoinRequest { operation: operation::CREATE_GAME, game_properties: properties, ..named("golden") };

    assert!(world.create(peers[0], &create).is_ok());
    world.send_join(peers[1], &named("golden"));
    let settings = Arc::new(RoomSettings::default());
    let (mut room, first) =
        Room::create(world.now, "golden".into(), settings, &joiner(1), create, &mut effects).unwrap();
    relay(&mut world, &mut effects);
    world.take();
    let entry = golden_entry(&mut world).unwrap();
    assert_eq!(entry.len(), 4, "{entry:?}");
    assert_has(&entry, "map", "desert");
    assert_has(&entry, 252_u8, 2_u8);
    assert_has(&entry, 255_u8, 2_u8);
    assert_eq!(world.join(peers[2], &named("golden")), Err(FULL));

    let second = room.join(world.now, &joiner(2), with_mode("golden", JoinMode::Default), &mut effects);
    relay(&mut world, &mut effects);
    assert_eq!(world.directory.totals().players, 2);
    assert_has(&golden_entry(&mut world).unwrap(), 252_u8, 2_u8);

    let listed = Value::from(vec![Arc::<str>::from("secret")]);
    room.set_properties(world.now, first, set(Hashtable::from([(250_u8, listed)])), &mut effects);
    relay(&mut world, &mut effects);
    let entry = golden_entry(&mut world).unwrap();
    assert_has(&entry, "secret", "x");
    assert_eq!(entry.get(&"map".into()), None);

    room.leave(world.now, first, Leave::default(), &mut effects);
    room.set_properties(world.now, first, set(Hashtable::from([(253_u8, false)])), &mut effects);
    relay(&mut world, &mut effects);
    assert_eq!(world.directory.totals().players, 1);
    assert!(world.join(peers[2], &named("golden")).is_ok(), "who left has no say any more, the room is open");

    world.now += seconds(16);
    let last = second.unwrap();
    room.leave(world.now, last, Leave::default(), &mut effects);
    relay(&mut world, &mut effects);
    assert_eq!(golden_entry(&mut world), None);
    assert_eq!(world.directory.totals().rooms, 0);
}

#[test]
fn a_refused_creator_sets_the_name_free() {
    let mut world = World::new();
    let peers = world.peers(2);
    let mut effects = RoomEffects::new();
    let create = JoinRequest {
        operation: operation::CREATE_GAME,
        plugins: Some(vec!["none".into(), "such".into()]),
        ..named("golden")
    };
    assert!(world.create(peers[0], &create).is_ok());
    assert_eq!(world.create(peers[1], &named("golden")), Err(GAME_EXISTS));
    let settings = Arc::new(RoomSettings::default());
    assert!(Room::create(world.now, "golden".into(), settings, &joiner(1), create, &mut effects).is_none());
    relay(&mut world, &mut effects);
    assert!(world.create(peers[1], &named("golden")).is_ok());
}

#[test]
fn a_master_that_is_told_a_room_anew_knows_what_the_one_before_knew() {
    let mut world = World::new();
    let mut effects = RoomEffects::new();
    let mut properties = Hashtable::from([("map", "desert")]);
    properties.insert(255_u8, 4_u8);
    properties.insert(246_u8, 60_000);
    let create = JoinRequest {
        operation: operation::CREATE_GAME,
        game_properties: properties,
        expected_users: vec![user(7)],
        lobby_name: Some("arena".into()),
        player_ttl: Ttl::from_millis(60_000).unwrap(),
        ..named("golden")
    };
    let settings = Arc::new(RoomSettings::default());
    let (mut room, _) = Room::create(world.now, "golden".into(), settings, &joiner(1), create, &mut effects).unwrap();
    let second = room.join(world.now, &joiner(2), with_mode("golden", JoinMode::Default), &mut effects).unwrap();
    room.peer_lost(world.now, second, &mut effects);
    relay(&mut world, &mut effects);
    let entry_of = |world: &mut World| {
        let peer = world.peer(1000);
        rooms_in(&event_to(peer, &world.join_lobby(peer, &lobby("arena"))[1]))
    };
    let (entries, totals) = (entry_of(&mut world), world.directory.totals());
    assert_eq!((totals.players, room.inactive().count()), (1, 1));

    let mut fresh = World::new();
    for report in room.reports() {
        fresh.report("golden", report);
    }
    assert_eq!((entry_of(&mut fresh), fresh.directory.totals()), (entries.clone(), totals));
    // Once more changes nothing.
    for report in room.reports() {
        fresh.report("golden", report);
    }
    assert_eq!((entry_of(&mut fresh), fresh.directory.totals()), (entries, totals));
}
