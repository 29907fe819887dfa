//! Random matchmaking (operations.md 2.5, 5.3).

use lampyris_realtime::directory::{GameServerId, LobbyKey, LobbyType, MatchmakingMode, Settings, Transport};
use lampyris_realtime::report::RoomReport;
use lampyris_realtime::room::request::RoomFlags;
use lampyris_wire::{Hashtable, Value};

use lampyris_realtime::directory::request::*;

use crate::support::*;

fn any(mode: MatchmakingMode) -> JoinRandomRequest {
    JoinRandomRequest { mode, ..JoinRandomRequest::default() }
}

fn with_map(map: &str) -> RoomListing {
    RoomListing { properties: Hashtable::from([("map", map)]), ..listing(0) }
}

#[test]
fn without_a_room_there_is_no_match_unless_one_may_be_created() {
    let mut world = World::new();
    let peer = world.peer(1);
    assert_eq!(world.random(peer, &JoinRandomRequest::default()), Err(NO_MATCH));
    let named = JoinRandomRequest { create: true, room_name: Some("mine".into()), ..JoinRandomRequest::default() };
    assert_eq!(world.random(peer, &named).as_deref(), Ok("mine"));
    let unnamed = JoinRandomRequest { create: true, ..JoinRandomRequest::default() };
    assert_eq!(world.random(peer, &unnamed).unwrap().len(), 36);
    assert_eq!(world.random(peer, &named), Err(GAME_EXISTS));
}

#[test]
fn a_room_is_found_only_once_it_is_created_open_visible_and_has_a_place() {
    let mut world = World::new();
    let peers = world.peers(2);
    assert!(world.create(peers[0], &named("room")).is_ok());
    assert_eq!(world.random(peers[1], &any(MatchmakingMode::FillRoom)), Err(NO_MATCH));
    for hidden in [
        RoomListing { open: false, ..listing(0) },
        RoomListing { visible: false, ..listing(0) },
        listing(1), // the creator is on the way
    ] {
        world.room("room", hidden.clone());
        assert_eq!(world.random(peers[1], &any(MatchmakingMode::FillRoom)), Err(NO_MATCH), "{hidden:?}");
    }
    world.report("room", changed(listing(2)));
    assert_eq!(world.random(peers[1], &any(MatchmakingMode::FillRoom)).as_deref(), Ok("room"));
}

#[test]
fn requests_at_the_same_time_fill_rooms_one_after_the_other() {
    let mut world = World::new();
    let peers = world.peers(5);
    world.room("a", listing(2));
    world.room("b", listing(2));
    let found: Vec<_> = peers.iter().map(|peer| world.random(*peer, &any(MatchmakingMode::FillRoom))).collect();
    let found: Vec<_> = found.iter().map(|found| found.as_deref().map_err(|code| *code)).collect();
    assert_eq!(found, [Ok("a"), Ok("a"), Ok("b"), Ok("b"), Err(NO_MATCH)]);
}

#[test]
fn serial_matching_goes_round() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.room(name, listing(0));
    }
    let peers = world.peers(5);
    let found: Vec<_> =
        peers.iter().map(|peer| world.random(*peer, &any(MatchmakingMode::Serial)).unwrap().to_string()).collect();
    assert_eq!(found, ["a", "b", "c", "a", "b"]);
}

#[test]
fn serial_matching_goes_on_where_the_last_match_was_even_if_that_room_is_gone() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.room(name, listing(0));
    }
    let peers = world.peers(3);
    assert_eq!(world.random(peers[0], &any(MatchmakingMode::Serial)).as_deref(), Ok("a"));
    assert_eq!(world.random(peers[1], &any(MatchmakingMode::Serial)).as_deref(), Ok("b"));
    world.report("b", RoomReport::Closed);
    assert_eq!(world.random(peers[2], &any(MatchmakingMode::Serial)).as_deref(), Ok("c"));
}

#[test]
fn random_matching_reaches_every_room_about_equally() {
    let mut world = World::new();
    let mut counts = std::collections::BTreeMap::new();
    for name in ["a", "b", "c", "d"] {
        world.room(name, listing(0));
    }
    for number in 0..400 {
        let peer = world.peer(number);
        *counts.entry(world.random(peer, &any(MatchmakingMode::Random)).unwrap()).or_insert(0) += 1;
    }
    assert!(counts.len() == 4 && counts.values().all(|count| *count > 60), "{counts:?}");
}

#[test]
fn every_property_of_the_filter_must_be_known_to_the_lobby_with_that_value() {
    let mut world = World::new();
    world.room("desert", with_map("desert"));
    world.room("forest", with_map("forest"));
    let peer = world.peer(1);
    assert_eq!(world.random(peer, &filter([("map", "forest")])).as_deref(), Ok("forest"));
    assert_eq!(world.random(peer, &filter([("map", "sea")])), Err(NO_MATCH));
    assert_eq!(world.random(peer, &filter([("map", "forest"), ("mode", "ctf")])), Err(NO_MATCH));
    assert_eq!(world.random(peer, &filter([("map", Value::Null)])), Err(NO_MATCH));
    world.report("desert", changed(with_map("sea")));
    assert_eq!(world.random(peer, &filter([("map", "sea")])).as_deref(), Ok("desert"));
}

#[test]
fn values_match_with_their_type_except_for_the_doubles_of_javascript() {
    let mut world = World::new();
    world.room("room", RoomListing { properties: Hashtable::from([("lvl", 3_i32)]), ..listing(0) });
    let peer = world.peer(1);
    assert_eq!(world.random(peer, &filter([("lvl", 3_i16)])), Err(NO_MATCH));
    assert_eq!(world.random(peer, &filter([("lvl", 3.5_f64)])), Err(NO_MATCH));
    assert!(world.random(peer, &filter([("lvl", 3_i32)])).is_ok());
    assert!(world.random(peer, &filter([("lvl", 3.0_f64)])).is_ok());
}

#[test]
fn the_limit_of_players_is_part_of_the_filter_in_all_its_spellings() {
    let mut world = World::new();
    world.room("small", listing(4));
    world.room("large", listing(300));
    let peer = world.peer(1);
    assert_eq!(world.random(peer, &filter([(255_u8, 4_u8)])).as_deref(), Ok("small"));
    assert_eq!(world.random(peer, &filter([("255", 4.0_f64)])).as_deref(), Ok("small"));
    let large = JoinRandomRequest {
        filter: Filter::new(Hashtable::from([(255_u8, Value::Byte(0)), (243_u8, Value::Int(300))])).unwrap(),
        ..JoinRandomRequest::default()
    };
    assert_eq!(world.random(peer, &large).as_deref(), Ok("large"));
    assert_eq!(world.random(peer, &filter([(255_u8, 5_u8)])), Err(NO_MATCH));
}

#[test]
fn a_filter_has_a_limit_of_properties() {
    let table = |count: i32| (0..count).map(|key| (key.to_string(), true)).collect::<Hashtable>();
    assert!(Filter::new(table(100)).is_ok());
    assert_eq!(Filter::new(table(101)).unwrap_err().code.0, -2);
}

#[test]
fn the_lobby_is_the_one_named_else_the_one_the_peer_is_in_else_the_default() {
    let mut world = World::new();
    for name in ["", "one", "two"] {
        let room = format!("in {name:?}");
        world.report(&room, created(&lobby(name), listing(0)));
    }
    let peer = world.peer(1);
    let plain = JoinRandomRequest::default();
    assert_eq!(world.random(peer, &plain).as_deref(), Ok("in \"\""));
    world.join_lobby(peer, &lobby("one"));
    assert_eq!(world.random(peer, &plain).as_deref(), Ok("in \"one\""));
    let named = JoinRandomRequest { lobby: Some(lobby("two")), ..JoinRandomRequest::default() };
    assert_eq!(world.random(peer, &named).as_deref(), Ok("in \"two\""));
    let nowhere = JoinRandomRequest { lobby: Some(lobby("three")), ..JoinRandomRequest::default() };
    assert_eq!(world.random(peer, &nowhere), Err(NO_MATCH));
}

#[test]
fn rooms_on_servers_without_the_transport_are_skipped() {
    let mut world = World::new();
    let other = GameServerId(2);
    world.server_up(other, [Transport::Tcp].into_iter().collect());
    world.report_of(other, "tcp only", created(&lobby(""), listing(0)));
    world.room("all", listing(0));
    let udp = world.peer(1);
    let tcp = world.peer_over(2, Transport::Tcp);
    assert_eq!(world.random(udp, &any(MatchmakingMode::FillRoom)).as_deref(), Ok("all"));
    assert_eq!(world.random(tcp, &any(MatchmakingMode::FillRoom)).as_deref(), Ok("tcp only"));
}

#[test]
fn rooms_that_check_users_are_skipped_for_who_is_in_them_or_banned() {
    let mut world = World::new();
    let checked = RoomReport::Created {
        flags: RoomFlags::CHECK_USER_ON_JOIN,
        lobby_name: None,
        lobby_type: 0,
        properties: Hashtable::new(),
    };
    world.report("checked", checked);
    world.report("checked", RoomReport::Excluded { user_id: user(3) });
    let peers = world.peers(3);
    world.actor_joined("checked", 1, 1);
    world.report("checked", inactive(1));
    assert_eq!(world.random(peers[0], &any(MatchmakingMode::FillRoom)), Err(NO_MATCH));
    assert_eq!(world.random(peers[2], &any(MatchmakingMode::FillRoom)), Err(NO_MATCH));
    assert_eq!(world.random(peers[1], &any(MatchmakingMode::FillRoom)).as_deref(), Ok("checked"));
    // Now he is on the way.
    assert_eq!(world.random(peers[1], &any(MatchmakingMode::FillRoom)), Err(NO_MATCH));
}

#[test]
fn only_rooms_with_places_for_the_expected_users_are_found() {
    let mut world = World::new();
    world.room("small", listing(2));
    world.room("large", listing(4));
    let peer = world.peer(1);
    let group = JoinRandomRequest { expected_users: vec![user(1), user(2), user(3)], ..JoinRandomRequest::default() };
    assert_eq!(world.random(peer, &group).as_deref(), Ok("large"));
    let alone = world.peer(9);
    assert_eq!(world.random(alone, &any(MatchmakingMode::Serial)).as_deref(), Ok("small"));
}

#[test]
fn a_sql_lobby_takes_the_first_room_without_a_query_and_refuses_one() {
    let mut world = World::new();
    let sql = LobbyKey::new("ranked", LobbyType::Sql);
    world.report("a", created(&sql, listing(0)));
    world.report("b", created(&sql, listing(0)));
    let peers = world.peers(3);
    let ignored =
        JoinRandomRequest { lobby: Some(sql.clone()), mode: MatchmakingMode::Serial, ..filter([("map", "none")]) };
    assert_eq!(world.random(peers[0], &ignored).as_deref(), Ok("a"));
    assert_eq!(world.random(peers[1], &ignored).as_deref(), Ok("a"));
    let query =
        JoinRandomRequest { lobby: Some(sql), sql_filter: Some("C0 = 1".into()), ..JoinRandomRequest::default() };
    assert_eq!(world.random(peers[2], &query), Err(-2));
}

#[test]
fn rooms_that_cannot_be_joined_are_not_even_looked_at() {
    let mut world = World::with(Settings::default(), 1);
    for number in 0..20_000 {
        world.room(&format!("full {number}"), listing(1));
        world.actor_joined(&format!("full {number}"), 1, 100_000 + number);
    }
    world.room("free", listing(0));
    let peers = world.peers(10);
    for peer in peers {
        assert_eq!(world.random(peer, &any(MatchmakingMode::FillRoom)).as_deref(), Ok("free"));
    }
    assert_eq!(world.directory.counters().rooms_searched, 10);
}
