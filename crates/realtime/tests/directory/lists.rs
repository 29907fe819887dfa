//! Room lists and their updates (operations.md 5.2).

use lampyris_realtime::directory::{Effect, LobbyKey, LobbyType, Settings};
use lampyris_realtime::report::RoomReport;
use lampyris_wire::Hashtable;

use lampyris_realtime::directory::request::*;

use crate::support::*;

#[test]
fn the_list_comes_after_the_response_even_when_empty() {
    let mut world = World::new();
    let peer = world.peer(1);
    let effects = world.join_lobby(peer, &lobby(""));
    assert_eq!(effects.len(), 2, "{effects:?}");
    match &effects[0] {
        Effect::LobbyJoined { peer: to, response, .. } => {
            assert_eq!((*to, response.code, response.return_code), (peer, 229, 0));
        }
        other => panic!("{other:?}"),
    }
    let list = event_to(peer, &effects[1]);
    assert_eq!((list.code, rooms_in(&list).len()), (230, 0));
}

#[test]
fn an_entry_has_the_listed_properties_and_the_well_known_ones_in_their_types() {
    let mut world = World::new();
    let properties = Hashtable::from([("map", "desert")]);
    world.room("golden", RoomListing { properties, ..listing(4) });
    world.actor_joined("golden", 1, 1);
    let peer = world.peer(9);
    let rooms = rooms_in(&event_to(peer, &world.join_lobby(peer, &lobby(""))[1]));
    let (name, entry) = &rooms[0];
    assert_eq!((name.as_str(), entry.len()), ("golden", 4));
    assert_has(entry, "map", "desert");
    assert_has(entry, 252_u8, 1_u8);
    assert_has(entry, 253_u8, true);
    assert_has(entry, 255_u8, 4_u8);
}

#[test]
fn more_than_255_players_stand_in_ints() {
    let mut world = World::new();
    world.room("large", listing(1000));
    for actor in 1..=256 {
        world.actor_joined("large", actor, actor as u64);
    }
    let peer = world.peer(999);
    let rooms = rooms_in(&event_to(peer, &world.join_lobby(peer, &lobby(""))[1]));
    assert_has(&rooms[0].1, 252_u8, 256_i32);
    assert_has(&rooms[0].1, 255_u8, 0_u8);
    assert_has(&rooms[0].1, 243_u8, 1000_i32);
}

#[test]
fn full_and_closed_rooms_are_listed_and_invisible_and_uncreated_ones_are_not() {
    let mut world = World::new();
    let creator = world.peer(1);
    world.room("full", listing(1));
    world.actor_joined("full", 1, 5);
    world.room("closed", RoomListing { open: false, ..listing(0) });
    world.room("hidden", RoomListing { visible: false, ..listing(0) });
    assert!(world.create(creator, &named("coming")).is_ok());
    world.room("open", listing(0));
    let peer = world.peer(2);
    let list = event_to(peer, &world.join_lobby(peer, &lobby(""))[1]);
    assert_eq!(names_in(&list), ["full", "closed", "open"], "in the order of creation");
}

#[test]
fn changes_within_a_second_are_told_once_with_the_whole_entry() {
    let mut world = World::new();
    let peer = world.peer(1);
    world.join_lobby(peer, &lobby(""));
    let properties = Hashtable::from([("map", "desert"), ("mode", "ctf")]);
    world.room("room", RoomListing { properties, ..listing(4) });
    world.pass(seconds(1));
    assert_eq!(names_in(&lobby_event(&world.take())), ["room"]);
    for actor in 1..=3 {
        world.actor_joined("room", actor, actor as u64);
    }
    world.pass(std::time::Duration::from_millis(999));
    assert!(!world.take().iter().any(|effect| matches!(effect, Effect::LobbyEvent { .. })));
    world.pass(std::time::Duration::from_millis(1));
    let event = lobby_event(&world.take());
    assert_eq!(event.code, 229);
    let rooms = rooms_in(&event);
    assert_eq!(rooms.len(), 1);
    assert_has(&rooms[0].1, 252_u8, 3_u8);
    assert_has(&rooms[0].1, "map", "desert");
    assert_has(&rooms[0].1, "mode", "ctf");
    world.pass(seconds(10));
    assert!(!world.take().iter().any(|effect| matches!(effect, Effect::LobbyEvent { .. })), "nothing changed");
}

#[test]
fn a_room_that_is_gone_or_became_invisible_is_removed() {
    let mut world = World::new();
    let peer = world.peer(1);
    world.join_lobby(peer, &lobby(""));
    world.room("gone", listing(0));
    world.room("hidden", listing(0));
    world.room("never seen", RoomListing { visible: false, ..listing(0) });
    world.pass(seconds(1));
    world.take();
    world.report("gone", RoomReport::Closed);
    world.report("hidden", changed(RoomListing { visible: false, ..listing(0) }));
    world.report("never seen", RoomReport::Closed);
    world.pass(seconds(1));
    let rooms = rooms_in(&lobby_event(&world.take()));
    assert_eq!(rooms.len(), 2, "{rooms:?}");
    for (_, entry) in &rooms {
        assert_eq!(entry, &Hashtable::from([(251_u8, true)]));
    }
}

#[test]
fn a_room_that_comes_again_within_a_second_is_not_removed() {
    let mut world = World::new();
    let peer = world.peer(1);
    world.join_lobby(peer, &lobby(""));
    world.room("room", listing(4));
    world.pass(seconds(1));
    world.take();
    world.report("room", RoomReport::Closed);
    world.room("room", listing(8));
    world.pass(seconds(1));
    let rooms = rooms_in(&lobby_event(&world.take()));
    assert_eq!(rooms.len(), 1);
    assert_has(&rooms[0].1, 255_u8, 8_u8);
}

#[test]
fn what_does_not_fit_an_update_comes_in_the_next_and_removals_always_fit() {
    let mut world = World::with(Settings { rooms_per_update: 2, ..Settings::default() }, 1);
    let peer = world.peer(1);
    world.room("old", listing(0));
    world.room("older", listing(0));
    world.join_lobby(peer, &lobby(""));
    for name in ["a", "b", "c"] {
        world.room(name, listing(0));
    }
    world.report("old", RoomReport::Closed);
    world.report("older", RoomReport::Closed);
    world.pass(seconds(1));
    assert_eq!(names_in(&lobby_event(&world.take())), ["a", "b", "old", "older"]);
    world.pass(seconds(1));
    assert_eq!(names_in(&lobby_event(&world.take())), ["c"]);
}

#[test]
fn a_lobby_hears_of_its_own_rooms_only_and_only_while_somebody_is_there() {
    let mut world = World::new();
    let peers = world.peers(2);
    world.join_lobby(peers[0], &lobby("one"));
    world.report("room", created(&lobby("two"), listing(0)));
    world.pass(seconds(2));
    assert!(!world.take().iter().any(|effect| matches!(effect, Effect::LobbyEvent { .. })));
    world.join_lobby(peers[1], &lobby("two"));
    world.report("other", created(&lobby("two"), listing(0)));
    world.directory.peer_gone(world.now, peers[1]);
    world.pass(seconds(2));
    assert!(!world.take().iter().any(|effect| matches!(effect, Effect::LobbyEvent { .. })));
}

#[test]
fn a_list_is_cut_with_the_joinable_rooms_first() {
    let mut world = World::with(Settings { rooms_on_join: 4, ..Settings::default() }, 5);
    world.room("closed", RoomListing { open: false, ..listing(0) });
    world.room("full", listing(1));
    world.actor_joined("full", 1, 50);
    for name in ["a", "b", "c"] {
        world.room(name, listing(0));
    }
    let mut firsts = std::collections::BTreeSet::new();
    for number in 0..50 {
        let peer = world.peer(number);
        let mut names = names_in(&event_to(peer, &world.join_lobby(peer, &lobby(""))[1]));
        firsts.insert(names[0].clone());
        assert_eq!(names.pop().as_deref(), Some("full"));
        names.sort();
        assert_eq!(names, ["a", "b", "c"]);
    }
    assert_eq!(firsts.len(), 3, "the start is random: {firsts:?}");
}

#[test]
fn a_client_may_ask_for_fewer_rooms() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.room(name, listing(0));
    }
    let peer = world.peer(1);
    let request = JoinLobbyRequest { lobby: LobbyKey::default(), most_rooms: Some(2) };
    world.directory.join_lobby(peer, &request, &mut world.effects);
    assert_eq!(names_in(&event_to(peer, &world.take()[1])).len(), 2);
}

#[test]
fn sql_and_async_random_lobbies_send_no_lists() {
    for kind in [LobbyType::Sql, LobbyType::AsyncRandom] {
        let mut world = World::new();
        let peer = world.peer(1);
        let key = LobbyKey::new("lobby", kind);
        assert_eq!(world.join_lobby(peer, &key).len(), 1, "the response alone");
        world.report("room", created(&key, listing(0)));
        world.pass(seconds(2));
        assert!(!world.take().iter().any(|effect| matches!(effect, Effect::LobbyEvent { .. })));
    }
}
