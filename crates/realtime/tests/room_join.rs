//! Creating, joining and coming back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod stage;

use std::time::Duration;

use lampyris_realtime::room::request::{JoinMode, JoinRequest, RoomFlags};
use lampyris_realtime::room::{DEFAULT_PLUGIN, RoomReport};
use lampyris_wire::Hashtable;
use stage::{Stage, create, flags, join, raise, rejoin, ttl, users};

fn nickname(name: &str) -> Hashtable {
    [(255u8, name)].into()
}

fn mode_2() -> JoinRequest {
    JoinRequest { mode: JoinMode::JoinOrRejoin, ..join() }
}

fn by_user(request: JoinRequest) -> JoinRequest {
    JoinRequest { flags: request.flags.with(RoomFlags::CHECK_USER_ON_JOIN, true), ..request }
}

/// A room that checks users and keeps inactive actors for a minute.
fn lasting() -> JoinRequest {
    by_user(JoinRequest { player_ttl: ttl(60_000), empty_room_ttl: ttl(60_000), ..create() })
}

#[test]
fn the_creator_gets_the_response_and_then_its_own_join_event() {
    let mut stage = Stage::with(JoinRequest { actor_properties: nickname("ann"), ..create() });
    assert_eq!(
        stage.take(),
        [
            "1: response 227 0 254=1 248={253b:true,254b:true,248b:1} 252=(1) 191=0",
            "1: event 255 254=1 252=(1) 249={255b:'ann'}"
        ]
    );
    assert!(matches!(stage.reports[0], RoomReport::Created { .. }));
    assert_eq!(stage.reports[1], RoomReport::ActorJoined { actor: 1, user_id: "u1".into(), rejoined: false });
}

#[test]
fn a_joiner_hears_of_the_others_and_the_others_of_him() {
    let mut stage = Stage::with(JoinRequest { actor_properties: nickname("ann"), ..create() });
    stage.take();
    stage.join(2, JoinRequest { actor_properties: nickname("bob"), ..join() });
    assert_eq!(
        stage.take(),
        [
            "2: response 226 0 254=2 248={253b:true,254b:true,248b:1} 249={1:{255b:'ann'}} 252=(1,2) 191=0",
            "1: event 255 254=2 252=(1,2) 249={255b:'bob'}",
            "2: event 255 254=2 252=(1,2) 249={255b:'bob'}"
        ]
    );
}

#[test]
fn without_broadcast_the_join_event_has_no_properties() {
    let mut stage = Stage::with_peers(create(), 1);
    stage.join(2, JoinRequest { actor_properties: nickname("bob"), broadcast: false, ..join() });
    assert_eq!(stage.heard_by(1), ["event 255 254=2 252=(1,2)"]);
}

#[test]
fn first_properties_hold_what_was_asked_for_and_only_ttls_that_are_not_zero() {
    let mut stage = Stage::with(JoinRequest {
        game_properties: Hashtable::from([("map", "x")]),
        player_ttl: ttl(-1),
        expected_users: users(&["a"]),
        ..create()
    });
    assert_eq!(
        stage.heard_by(1)[0],
        "response 227 0 254=1 248={'map':'x',253b:true,254b:true,246b:-1,247b:['a'],248b:1} 252=(1) 191=0"
    );
}

#[test]
fn operators_force_and_forbid_room_options() {
    let mut stage = Stage::new();
    stage.settings.flags_and = RoomFlags(!0x04);
    stage.settings.flags_or = RoomFlags(0x20);
    stage.join(1, JoinRequest { flags: RoomFlags(0x0C), ..create() });
    assert_eq!(stage.room().flags(), RoomFlags(0x28));
}

#[test]
fn published_user_ids_are_in_the_response_and_in_the_join_event() {
    let mut stage = Stage::with_peers(JoinRequest { flags: flags(&[RoomFlags::PUBLISH_USER_ID]), ..create() }, 1);
    stage.join(2, join());
    assert_eq!(
        stage.heard_by(2),
        [
            "response 226 0 254=2 248={253b:true,254b:true,248b:1} 249={1:{253b:'u1'}} 252=(1,2) 191=8",
            "event 255 254=2 252=(1,2) 249={253b:'u2'}"
        ]
    );
}

#[test]
fn suppressed_room_events_leave_the_response_without_a_list_and_nothing_else() {
    let mut stage = Stage::with_peers(JoinRequest { flags: flags(&[RoomFlags::SUPPRESS_ROOM_EVENTS]), ..create() }, 1);
    stage.join(2, join());
    assert_eq!(stage.take(), ["2: response 226 0 254=2 248={253b:true,254b:true,248b:1} 191=4"]);
    stage.leave(2, false);
    assert_eq!(stage.take(), ["2: response 254 0", "2: disconnect Left"]);
}

#[test]
fn suppressed_player_info_keeps_players_properties_and_list_out_of_the_response() {
    let request =
        JoinRequest { flags: flags(&[RoomFlags::SUPPRESS_PLAYER_INFO]), actor_properties: nickname("ann"), ..create() };
    let mut stage = Stage::with_peers(request, 1);
    stage.join(2, JoinRequest { actor_properties: nickname("bob"), ..join() });
    assert_eq!(
        stage.take(),
        [
            "2: response 226 0 254=2 248={253b:true,254b:true,248b:1} 191=64",
            "1: event 255 254=2 252=(1,2)",
            "2: event 255 254=2 252=(1,2)"
        ]
    );
}

#[test]
fn numbers_are_never_given_twice() {
    let mut stage = Stage::with_peers(create(), 3);
    stage.leave(3, false);
    stage.join(4, join());
    assert_eq!(stage.seats[&4].actor, 4);
}

#[test]
fn a_missing_room_is_created_by_mode_1_only() {
    for (mode, code) in [(JoinMode::Default, 32758), (JoinMode::JoinOrRejoin, 32758), (JoinMode::RejoinOnly, 32758)] {
        let mut stage = Stage::new();
        assert!(!stage.join(1, JoinRequest { mode, ..join() }));
        assert_eq!(stage.take(), [format!("1: response 226 {code}"), "1: disconnect JoinRefused".into()]);
        assert_eq!(stage.reports, [RoomReport::JoinFailed { user_id: "u1".into() }]);
    }
    assert!(Stage::new().join(1, JoinRequest { mode: JoinMode::CreateIfNotExists, ..join() }));
}

/// Joins as peer 9 and gives the return code.
fn code(stage: &mut Stage, user: &str, request: JoinRequest) -> i32 {
    stage.take();
    stage.join_as(9, user, None, request);
    let lines = stage.heard_by(9);
    lines[0].split(' ').nth(2).unwrap().parse().unwrap()
}

#[test]
fn rooms_that_exist_full_or_closed_refuse() {
    let full = JoinRequest { game_properties: [(255u8, 1u8)].into(), ..create() };
    assert_eq!(code(&mut Stage::with(full), "x", join()), 32765);
    let closed = JoinRequest { game_properties: [(253u8, false)].into(), ..create() };
    assert_eq!(code(&mut Stage::with(closed), "x", join()), 32764);
    assert_eq!(code(&mut Stage::with(create()), "x", create()), 32766);
}

#[test]
fn a_plugin_other_than_the_default_is_refused() {
    let wish = |names: &[&str]| JoinRequest { plugins: Some(users(names)), ..join() };
    for (names, expected) in [(&[][..], 0), (&[DEFAULT_PLUGIN], 0), (&["Chess"], 32751), (&["a", "b"], 32751)] {
        assert_eq!(code(&mut Stage::with(create()), "x", wish(names)), expected, "{names:?}");
    }
}

#[test]
fn an_empty_room_may_not_live_longer_than_the_operator_says() {
    for (ms, accepted) in [(0, true), (60_000, true), (60_001, false), (-1, false), (i32::MAX, false)] {
        assert_eq!(Stage::new().join(1, JoinRequest { empty_room_ttl: ttl(ms), ..create() }), accepted, "{ms}");
    }
}

#[test]
fn a_connection_joins_once() {
    let mut stage = Stage::with_peers(create(), 1);
    stage.join(1, join());
    assert_eq!(stage.heard_by(1)[0], "response 226 32750");
}

#[test]
fn a_known_user_is_refused_unless_he_comes_back() {
    let mut stage = Stage::with(lasting());
    stage.join(2, join());
    assert_eq!(code(&mut stage, "u2", join()), 32746);
    assert_eq!(code(&mut stage, "u2", mode_2()), 32746);
    assert_eq!(code(&mut stage, "", join()), -2);
    stage.lose(2);
    assert_eq!(code(&mut stage, "u2", join()), 32749);
    assert_eq!(code(&mut stage, "x", rejoin()), 32748);
    assert_eq!(code(&mut stage, "u2", rejoin()), 0);
    assert_eq!(stage.seats[&9].actor, 2);
}

#[test]
fn without_the_check_a_user_may_be_in_the_room_twice() {
    let mut stage = Stage::with(create());
    assert!(stage.join_as(2, "u1", None, join()));
    assert_eq!(stage.seats[&2].actor, 2);
}

#[test]
fn coming_back_by_number_needs_the_user_or_two_guids() {
    let open = JoinRequest { player_ttl: ttl(-1), empty_room_ttl: ttl(60_000), ..create() };
    let back = |actor| JoinRequest { actor, ..mode_2() };
    let mut stage = Stage::with(open.clone());
    stage.join(2, join());
    assert_eq!(code(&mut stage, "u2", back(7)), 32748);
    assert_eq!(code(&mut stage, "u2", back(2)), 32746);
    stage.lose(2);
    assert_eq!(code(&mut stage, "other", back(2)), -1);
    assert_eq!(code(&mut stage, "u2", back(2)), 0);

    let mut stage = Stage::with(open);
    stage.join_as(2, "0b5bf1a6-0b5b-f1a6-0b5b-f1a60b5bf1a6", None, join());
    stage.lose(2);
    assert_eq!(code(&mut stage, "11111111-2222-3333-4444-555555555555", back(2)), 0);
}

#[test]
fn a_rejoiner_keeps_number_and_properties_and_gets_his_own_back() {
    let mut stage = Stage::with(lasting());
    stage.join(2, JoinRequest { actor_properties: nickname("bob"), ..join() });
    stage.lose(2);
    stage.take();
    stage.join_as(3, "u2", None, rejoin());
    assert_eq!(
        stage.take(),
        [
            "3: response 226 0 254=2 248={253b:true,254b:true,246b:60000,245b:60000,248b:1} \
             249={2:{255b:'bob'}} 252=(1,2) 191=1",
            "1: event 255 254=2 252=(1,2)",
            "3: event 255 254=2 252=(1,2)"
        ]
    );
}

#[test]
fn inactive_actors_are_listed_last_and_marked() {
    let mut stage = Stage::with(lasting());
    stage.join(2, join());
    stage.lose(1);
    stage.take();
    stage.join(3, join());
    assert_eq!(
        stage.heard_by(3)[0],
        "response 226 0 254=3 248={253b:true,254b:true,246b:60000,245b:60000,248b:2} \
         249={1:{254b:true}} 252=(2,3,1) 191=1"
    );
}

#[test]
fn rejoin_skips_open_and_full() {
    let game_properties = Hashtable::from([(255u8, 2u8)]);
    let mut stage = Stage::with(JoinRequest { game_properties, ..lasting() });
    stage.join(2, join());
    stage.lose(2);
    assert_eq!(code(&mut stage, "x", join()), 32765);
    assert_eq!(code(&mut stage, "x", mode_2()), 32765);
    assert_eq!(code(&mut stage, "u2", mode_2()), 0);
}

#[test]
fn rejoin_needs_a_player_ttl() {
    let mut stage = Stage::with(by_user(JoinRequest { expected_users: users(&["r"]), ..create() }));
    assert_eq!(code(&mut stage, "x", rejoin()), -3);
    assert_eq!(code(&mut stage, "u1", mode_2()), -3);
    assert_eq!(code(&mut stage, "r", mode_2()), -3);
    assert_eq!(code(&mut stage, "x", mode_2()), 0);
}

#[test]
fn after_the_player_ttl_there_is_nobody_to_come_back_as() {
    let mut stage = Stage::with(lasting());
    stage.join(2, join());
    stage.lose(2);
    // The timer is late, as timers are.
    stage.now += Duration::from_secs(60);
    assert_eq!(code(&mut stage, "u2", rejoin()), 32748);
    stage.pass(Duration::ZERO);
    assert_eq!(code(&mut stage, "u2", join()), 0);
    assert_eq!(stage.seats[&9].actor, 3);
}

#[test]
fn the_same_session_takes_its_actor_over_without_a_leave_event() {
    let mut stage = Stage::with(lasting());
    stage.join_as(2, "u2", Some("s"), join());
    stage.groups(2, None, Some(&[5]));
    let old = stage.seats[&2];
    stage.take();
    assert!(stage.join_as(3, "u2", Some("s"), rejoin()));
    let lines = stage.take();
    assert_eq!(lines[0], "2: disconnect TakenOver");
    assert!(lines[1].starts_with("3: response 226 0 254=2"));
    assert_eq!(lines[2..], ["1: event 255 254=2 252=(1,2)", "3: event 255 254=2 252=(1,2)"]);
    stage.raise(1, lampyris_realtime::room::request::RaiseEvent { group: 5, ..raise(1) });
    assert_eq!(stage.take(), ["3: raised 1 by 1"]);
    stage.seats.insert(2, old);
    stage.raise(2, raise(1));
    assert_eq!(stage.take(), ["2: response 253 -3"]);
    stage.lose(2);
    assert!(stage.take().is_empty());
}

#[test]
fn another_session_needs_force_to_take_over_and_the_same_user_in_any_case() {
    let mut stage = Stage::with(lasting());
    stage.join_as(2, "u2", Some("s"), join());
    assert!(!stage.join_as(3, "u2", Some("t"), rejoin()));
    assert!(stage.join_as(3, "u2", Some("t"), JoinRequest { force_rejoin: true, ..rejoin() }));

    let mut stage = Stage::with(JoinRequest { player_ttl: ttl(1000), ..create() });
    stage.join(2, join());
    let steal = JoinRequest { actor: 2, force_rejoin: true, ..rejoin() };
    assert_eq!(code(&mut stage, "thief", steal), 32746);
}

#[test]
fn reserved_slots_count_and_let_their_users_in() {
    let game_properties = Hashtable::from([(255u8, 2u8)]);
    let mut stage = Stage::with(JoinRequest { game_properties, expected_users: users(&["friend"]), ..create() });
    assert_eq!(stage.room().occupied_slots(), 2);
    assert_eq!(code(&mut stage, "x", join()), 32765);
    assert_eq!(code(&mut stage, "friend", join()), 0);
    assert_eq!(stage.room().occupied_slots(), 2);
}

#[test]
fn slots_that_do_not_fit_are_refused() {
    let game_properties = Hashtable::from([(255u8, 2u8)]);
    let request = JoinRequest { game_properties, expected_users: users(&["a", "b"]), ..create() };
    let mut stage = Stage::new();
    assert!(!stage.join(1, request));
    assert_eq!(stage.take()[0], "1: response 227 32742");
}

#[test]
fn slots_added_by_a_joiner_are_told_to_the_others_after_the_join_event() {
    let mut stage = Stage::with_peers(JoinRequest { expected_users: users(&["a"]), ..create() }, 1);
    stage.join(2, JoinRequest { expected_users: users(&["b", "a"]), ..join() });
    assert_eq!(
        stage.take()[1..],
        [
            "1: event 255 254=2 252=(1,2)",
            "2: event 255 254=2 252=(1,2)",
            "1: event 253 254=2 253=0 251={247b:['a','b']}"
        ]
    );
    assert!(stage.reports.contains(&RoomReport::ExpectedUsers(users(&["a", "b"]))));
}

#[test]
fn an_excluded_user_stays_out() {
    let mut stage = Stage::with(lasting());
    stage.join(2, join());
    stage.take();
    assert!(stage.remove(2, true));
    assert_eq!(stage.take(), ["1: event 254 254=2 252=(1)", "2: disconnect Removed"]);
    assert_eq!(code(&mut stage, "u2", join()), 32747);
    assert!(!stage.remove(2, true));
}

#[test]
fn a_join_with_too_many_properties_is_refused() {
    let actor_properties: Hashtable = (0..101).map(|n| (format!("k{n}"), 1)).collect();
    let mut stage = Stage::with(create());
    assert_eq!(code(&mut stage, "x", JoinRequest { actor_properties, ..join() }), -2);
    let mut stage = Stage::new();
    stage.settings.property_bytes_per_room = 100;
    stage.join(1, create());
    let actor_properties = Hashtable::from([("k", "v".repeat(80))]);
    assert_eq!(code(&mut stage, "x", JoinRequest { actor_properties, ..join() }), -2);
    assert_eq!(stage.room().counters().joins_refused, 1);
}

#[test]
fn the_number_of_actors_is_bounded_without_a_player_limit_too() {
    let mut stage = Stage::new();
    stage.settings.actors = 2;
    stage.join(1, create());
    stage.join(2, join());
    assert_eq!(code(&mut stage, "x", join()), 32765);
}
