//! Create and join by name (operations.md 2.4.2).

use std::time::Duration;

use lampyris_realtime::codes::operation;
use lampyris_realtime::directory::{
    Directory, Effect, Effects, GameServerId, GameServerLoad, MasterPeer, Settings, Transport, Transports,
};
use lampyris_realtime::report::RoomReport;
use lampyris_realtime::room::request::{JoinMode, JoinRequest, RoomFlags};
use lampyris_wire::Hashtable;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::support::*;

#[test]
fn a_created_room_leads_to_a_game_server_and_takes_the_name() {
    let mut world = World::new();
    let peers = world.peers(2);
    let request = JoinRequest { operation: operation::CREATE_GAME, ..named("golden") };
    world.directory.create_game(world.now, peers[0], &request, &mut world.effects);
    match world.one() {
        Effect::Place { peer, code, room, server, .. } => {
            assert_eq!((peer, code, &*room, server), (peers[0], 227, "golden", GAME));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.create(peers[1], &named("golden")), Err(GAME_EXISTS));
}

#[test]
fn a_name_is_taken_in_every_lobby() {
    let mut world = World::new();
    let peers = world.peers(2);
    let one = JoinRequest { lobby_name: Some("one".into()), ..named("room") };
    let two = JoinRequest { lobby_name: Some("two".into()), ..named("room") };
    assert!(world.create(peers[0], &one).is_ok());
    assert_eq!(world.create(peers[1], &two), Err(GAME_EXISTS));
}

#[test]
fn a_room_without_a_name_gets_a_guid() {
    let mut world = World::new();
    let peers = world.peers(2);
    let names = [world.create(peers[0], &named("")).unwrap(), world.create(peers[1], &named("")).unwrap()];
    assert_ne!(names[0], names[1]);
    for name in names {
        let groups: Vec<_> = name.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12], "{name}");
        assert_eq!(name.as_bytes()[14], b'4', "version of {name}");
        assert!(matches!(name.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "variant of {name}");
    }
}

#[test]
fn without_a_game_server_for_the_transport_no_room_is_made() {
    let mut world = World::new();
    let loner = GameServerId(2);
    world.directory.game_server_lost(world.now, GAME, &mut world.effects);
    let udp = world.peer(1);
    assert_eq!(world.create(udp, &named("room")), Err(SERVER_FULL));
    world.server_up(loner, [Transport::Wss].into_iter().collect());
    assert_eq!(world.create(udp, &named("room")), Err(SERVER_FULL));
    let browser = world.peer_over(2, Transport::Wss);
    assert!(world.create(browser, &named("room")).is_ok());
    world.report_of(loner, "room", created(&lobby(""), listing(4)));
    assert_eq!(world.join(udp, &named("room")), Err(-1));
    world.directory.game_server_load(loner, GameServerLoad { level: 0, in_rotation: false });
    assert_eq!(world.create(browser, &named("other")), Err(SERVER_FULL));
}

#[test]
fn a_plain_join_to_an_unknown_room_fails_and_the_other_modes_make_it() {
    for (number, mode) in
        [JoinMode::CreateIfNotExists, JoinMode::JoinOrRejoin, JoinMode::RejoinOnly].into_iter().enumerate()
    {
        let mut world = World::new();
        let peer = world.peer(number as u64);
        assert_eq!(world.join(peer, &named("room")), Err(NOT_EXISTS));
        assert!(world.join(peer, &with_mode("room", mode)).is_ok(), "{mode:?}");
    }
}

#[test]
fn a_join_without_a_name_is_invalid() {
    let mut world = World::new();
    let peer = world.peer(1);
    assert_eq!(world.join(peer, &named("")), Err(-2));
}

#[test]
fn a_plain_join_waits_until_the_creator_has_created_the_room() {
    let mut world = World::new();
    let peers = world.peers(3);
    assert!(world.create(peers[0], &named("room")).is_ok());
    world.send_join(peers[1], &named("room"));
    world.send_join(peers[2], &named("room"));
    world.pass(seconds(10));
    assert_eq!(world.take().iter().filter(|effect| !matches!(effect, Effect::AppStats { .. })).count(), 0);
    // Room for two: one of them is the creator, still on the way.
    world.room("room", listing(2));
    let answers = world.take();
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert!(matches!(&answers[0], Effect::Place { peer, code: 226, .. } if *peer == peers[1]));
    assert_eq!(response_to(peers[2], &answers[1]).return_code, FULL);
}

#[test]
fn a_join_that_creates_if_missing_does_not_wait() {
    let mut world = World::new();
    let peers = world.peers(2);
    assert!(world.create(peers[0], &named("room")).is_ok());
    assert!(world.join(peers[1], &with_mode("room", JoinMode::CreateIfNotExists)).is_ok());
}

#[test]
fn waiting_joins_fail_when_the_creator_does_not_come_or_fails() {
    let fail: [fn(&mut World); 4] = [
        |world| world.pass(seconds(15)),
        |world| world.report("room", RoomReport::Closed),
        |world| world.report("room", RoomReport::JoinFailed { user_id: user(1) }),
        |world| world.directory.game_server_lost(world.now, GAME, &mut world.effects),
    ];
    for fail in fail {
        let mut world = World::new();
        let peers = world.peers(2);
        assert!(world.create(peers[0], &named("room")).is_ok());
        world.send_join(peers[1], &named("room"));
        fail(&mut world);
        let effects: Vec<_> = world.take().into_iter().filter(|e| !matches!(e, Effect::AppStats { .. })).collect();
        assert_eq!(effects.len(), 1, "{effects:?}");
        let response = response_to(peers[1], &effects[0]);
        assert_eq!((response.code, response.return_code), (226, NOT_EXISTS));
    }
}

#[test]
fn a_waiting_peer_that_goes_is_not_answered() {
    let mut world = World::new();
    let peers = world.peers(2);
    assert!(world.create(peers[0], &named("room")).is_ok());
    world.send_join(peers[1], &named("room"));
    world.directory.peer_gone(world.now, peers[1]);
    world.room("room", listing(0));
    assert_eq!(world.take(), []);
}

#[test]
fn a_place_is_kept_for_fifteen_seconds() {
    let mut world = World::new();
    let peers = world.peers(2);
    world.room("room", listing(1));
    assert!(world.join(peers[0], &named("room")).is_ok());
    world.pass(seconds(14));
    world.take();
    assert_eq!(world.join(peers[1], &named("room")), Err(FULL));
    world.pass(seconds(1));
    world.take();
    assert!(world.join(peers[1], &named("room")).is_ok());
    assert_eq!(world.directory.counters().reservations_expired, 1);
}

#[test]
fn who_comes_in_time_keeps_the_place() {
    let mut world = World::new();
    let peers = world.peers(2);
    world.room("room", listing(1));
    assert!(world.join(peers[0], &named("room")).is_ok());
    world.actor_joined("room", 1, 1);
    world.pass(seconds(60));
    world.take();
    assert_eq!(world.join(peers[1], &named("room")), Err(FULL));
    assert_eq!(world.directory.counters().reservations_expired, 0);
}

#[test]
fn an_inactive_actor_counts_until_it_is_gone() {
    let mut world = World::new();
    let peer = world.peer(9);
    world.room("room", listing(1));
    world.actor_joined("room", 1, 1);
    world.report("room", inactive(1));
    assert_eq!(world.join(peer, &named("room")), Err(FULL));
    world.report("room", left(1));
    assert!(world.join(peer, &named("room")).is_ok());
}

#[test]
fn who_asks_again_does_not_take_a_second_place() {
    let mut world = World::new();
    let peers = world.peers(2);
    world.room("room", listing(2));
    for _ in 0..10 {
        assert!(world.join(peers[0], &named("room")).is_ok());
    }
    assert!(world.join(peers[1], &named("room")).is_ok());
}

#[test]
fn a_refused_repetition_leaves_the_place_that_was_kept() {
    let mut world = World::new();
    let peers = world.peers(2);
    world.room("room", listing(2));
    world.actor_joined("room", 1, 5);
    assert!(world.join(peers[0], &named("room")).is_ok());
    assert_eq!(world.join(peers[0], &expecting(named("room"), &[7, 8])), Err(SLOT_ERROR));
    assert_eq!(world.join(peers[1], &named("room")), Err(FULL));
}

#[test]
fn a_closed_room_and_a_ban_keep_out_but_not_who_comes_back() {
    let mut world = World::new();
    let peers = world.peers(2);
    world.room("room", RoomListing { open: false, ..listing(0) });
    world.report("room", RoomReport::Excluded { user_id: user(2) });
    assert_eq!(world.join(peers[0], &named("room")), Err(CLOSED));
    assert_eq!(world.join(peers[1], &named("room")), Err(EXCLUDED));
    assert!(world.join(peers[0], &with_mode("room", JoinMode::RejoinOnly)).is_ok());
}

#[test]
fn coming_back_to_a_full_room_takes_no_new_place() {
    let mut world = World::new();
    let peers = world.peers(2);
    world.room("room", listing(2));
    world.actor_joined("room", 1, 1);
    world.report("room", inactive(1));
    assert!(world.join(peers[0], &with_mode("room", JoinMode::JoinOrRejoin)).is_ok());
    assert!(world.join(peers[1], &named("room")).is_ok());
}

#[test]
fn a_user_that_is_known_is_refused_when_the_request_asks_for_the_check() {
    let mut world = World::new();
    let peer = world.peer(1);
    world.room("room", listing(0));
    world.actor_joined("room", 1, 1);
    let checked = JoinRequest { flags: RoomFlags::CHECK_USER_ON_JOIN, ..named("room") };
    assert_eq!(world.join(peer, &checked), Err(ALREADY_JOINED));
    assert!(world.join(peer, &named("room")).is_ok());
}

#[test]
fn a_reserved_slot_counts_until_its_user_comes_and_lets_him_in() {
    let mut world = World::new();
    let peers = world.peers(4);
    world.room("room", listing(3));
    world.actor_joined("room", 1, 1);
    world.report("room", RoomReport::ExpectedUsers(vec![user(1), user(2), user(3)]));
    assert_eq!(world.join(peers[3], &named("room")), Err(FULL));
    assert!(world.join(peers[1], &named("room")).is_ok());
    world.actor_joined("room", 2, 2);
    assert!(world.join(peers[2], &named("room")).is_ok());
    assert_eq!(world.join(peers[3], &named("room")), Err(FULL));
}

#[test]
fn expected_users_of_a_request_are_kept_a_place_while_it_is_on_the_way() {
    let mut world = World::new();
    let peers = world.peers(3);
    world.room("room", listing(2));
    assert!(world.join(peers[0], &expecting(named("room"), &[2])).is_ok());
    assert_eq!(world.join(peers[2], &named("room")), Err(FULL));
    assert!(world.join(peers[1], &named("room")).is_ok());
    world.pass(seconds(15));
    world.take();
    assert!(world.join(peers[2], &named("room")).is_ok());
}

#[test]
fn slots_that_do_not_fit_are_an_error_of_their_own() {
    let mut world = World::new();
    let peer = world.peer(1);
    world.room("room", listing(3));
    world.actor_joined("room", 1, 5);
    assert_eq!(world.join(peer, &expecting(named("room"), &[2, 3])), Err(SLOT_ERROR));
    // The joiner's own id and those of actors need no further place.
    assert!(world.join(peer, &expecting(named("room"), &[1, 5, 2])).is_ok());
    let properties = Hashtable::from([(255_u8, 2_u8)]);
    let small = JoinRequest { game_properties: properties, ..expecting(named("small"), &[2, 3]) };
    assert_eq!(world.create(peer, &small), Err(SLOT_ERROR));
    assert!(world.create(peer, &named("small")).is_ok(), "nothing of the refused room may stay");
}

#[test]
fn a_peer_may_have_only_so_many_requests_open() {
    let mut world = World::with(Settings { requests_per_peer: 2, ..Settings::default() }, 1);
    let peers = world.peers(2);
    assert!(world.create(peers[0], &named("a")).is_ok());
    world.send_join(peers[1], &named("a"));
    world.send_join(peers[1], &named("a"));
    assert_eq!(world.join(peers[1], &named("a")), Err(-3));
    assert!(world.create(peers[0], &named("b")).is_ok());
    assert_eq!(world.create(peers[0], &named("c")), Err(-3));
    assert_eq!(world.directory.counters().requests_over_limit, 2);
    world.room("a", listing(0));
    world.actor_joined("a", 1, 1);
    world.take();
    assert!(world.create(peers[0], &named("c")).is_ok());
}

#[test]
fn there_is_a_limit_of_rooms() {
    let mut world = World::with(Settings { rooms: 1, ..Settings::default() }, 1);
    let peer = world.peer(1);
    assert!(world.create(peer, &named("a")).is_ok());
    assert_eq!(world.create(peer, &named("b")), Err(SERVER_FULL));
    assert_eq!(world.directory.counters().rooms_over_limit, 1);
}

#[test]
fn an_unknown_peer_is_refused() {
    let mut world = World::new();
    assert_eq!(world.create(MasterPeer(77), &named("a")), Err(-3));
    assert_eq!(world.join(MasterPeer(77), &named("a")), Err(-3));
}

#[test]
fn a_restarted_master_learns_its_rooms_from_the_game_servers() {
    let mut world = World::new();
    let mut fresh = Directory::new(Settings::default(), StdRng::seed_from_u64(1));
    std::mem::swap(&mut world.directory, &mut fresh);
    world.server_up(GAME, Transports::all());
    world.room("old", listing(2));
    world.actor_joined("old", 3, 8);
    let peers = world.peers(2);
    assert!(world.join(peers[0], &named("old")).is_ok());
    assert_eq!(world.join(peers[1], &named("old")), Err(FULL));
    assert_eq!(world.create(peers[1], &named("old")), Err(GAME_EXISTS));
}

#[test]
fn a_server_has_no_say_about_the_rooms_of_another() {
    let mut world = World::new();
    let other = GameServerId(2);
    world.server_up(other, Transports::all());
    world.room("room", listing(0));
    world.report_of(other, "room", RoomReport::Closed);
    world.report_of(other, "room", created(&lobby(""), listing(1)));
    world.report_of(GameServerId(3), "room", RoomReport::Closed);
    world.report_of(other, "nothing", RoomReport::Closed);
    let counters = world.directory.counters();
    assert_eq!((counters.reports_of_foreign_room, counters.reports_of_unknown), (2, 2));
    let peer = world.peer(1);
    assert!(world.join(peer, &named("room")).is_ok());
}

#[test]
fn rooms_of_a_lost_server_are_gone() {
    let mut world = World::new();
    let peer = world.peer(1);
    world.room("room", listing(0));
    world.actor_joined("room", 1, 2);
    world.directory.game_server_lost(world.now, GAME, &mut Effects::new());
    assert_eq!(world.join(peer, &named("room")), Err(NOT_EXISTS));
    let totals = world.directory.totals();
    assert_eq!((totals.players, totals.rooms), (0, 0));
}

#[test]
fn a_game_server_out_of_sight_keeps_its_rooms_for_a_while_and_gets_no_new_ones() {
    let mut world = World::new();
    let peers = world.peers(3);
    world.room("old", listing(0));
    world.directory.game_server_down(world.now, GAME);
    assert_eq!(world.join(peers[0], &named("old")), Ok("old".into()));
    assert_eq!(world.create(peers[1], &named("new")), Err(SERVER_FULL));
    world.pass(Settings::default().lost_server - Duration::from_millis(1));
    assert_eq!(world.directory.totals().rooms, 1);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.directory.totals().rooms, 0);
    assert_eq!(world.directory.counters().servers_lost, 1);
    assert!(!world.directory.knows_game_server(GAME));
    world.take();
    assert_eq!(world.join(peers[2], &named("old")), Err(NOT_EXISTS));
}

#[test]
fn a_game_server_that_comes_back_has_what_it_tells_and_nothing_else() {
    let mut world = World::new();
    let peer = world.peer(9);
    for name in ["kept", "gone"] {
        world.room(name, listing(0));
        world.actor_joined(name, 1, 1);
    }
    world.actor_joined("kept", 2, 2);
    // On its way to be made while the link is down.
    assert!(world.create(peer, &named("named")).is_ok());
    world.directory.game_server_down(world.now, GAME);
    world.server_up(GAME, Transports::all());
    assert_eq!(world.directory.totals().players, 3);
    world.room("kept", listing(0));
    world.actor_joined("kept", 3, 3);
    world.directory.game_server_synced(world.now, GAME, &mut world.effects);
    let totals = world.directory.totals();
    assert_eq!((totals.rooms, totals.players), (1, 1));
    assert_eq!(world.directory.counters().rooms_vanished, 1);
    world.take();
    world.room("named", listing(0));
    assert_eq!(world.directory.totals().rooms, 2);
    world.pass(Settings::default().lost_server * 2);
    assert_eq!(world.directory.totals().rooms, 2, "it is not lost any more");
}
