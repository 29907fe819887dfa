//! Leaving, losing the connection, the end of actors and of rooms.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod stage;

use std::time::Duration;

use lampyris_realtime::room::RoomReport;
use lampyris_realtime::room::request::{CacheOperation, JoinRequest, RoomFlags};
use stage::{Stage, cached, create, flags, join, raise, rejoin, ttl};

const SECOND: Duration = Duration::from_secs(1);

fn lasting() -> JoinRequest {
    JoinRequest {
        player_ttl: ttl(10_000),
        empty_room_ttl: ttl(60_000),
        flags: flags(&[RoomFlags::CHECK_USER_ON_JOIN]),
        ..create()
    }
}

#[test]
fn leaving_tells_the_others_answers_and_then_disconnects() {
    let mut stage = Stage::with_peers(create(), 3);
    stage.leave(2, false);
    assert_eq!(
        stage.take(),
        ["1: event 254 254=2 252=(1,3)", "3: event 254 254=2 252=(1,3)", "2: response 254 0", "2: disconnect Left"]
    );
    assert_eq!(stage.reports, [RoomReport::ActorLeft { actor: 2, user_id: "u2".into() }]);
}

#[test]
fn the_lowest_active_number_becomes_master_client() {
    let mut stage = Stage::with_peers(create(), 3);
    stage.leave(1, false);
    assert_eq!(stage.heard_by(3), ["event 254 254=1 252=(2,3) 203=2"]);
    assert_eq!(stage.room().master_client(), 2);
    stage.join(4, join());
    assert!(stage.heard_by(4)[0].contains("248b:2"));
}

#[test]
fn a_returning_master_client_is_not_it_any_more() {
    let mut stage = Stage::with_peers(lasting(), 2);
    stage.lose(1);
    assert_eq!(stage.heard_by(2), ["event 254 254=1 252=(2) 233=true 203=2"]);
    stage.join_as(3, "u1", None, rejoin());
    assert_eq!(stage.room().master_client(), 2);
}

#[test]
fn who_comes_into_a_room_of_inactive_actors_becomes_master_client() {
    let mut stage = Stage::with_peers(lasting(), 1);
    stage.lose(1);
    assert_eq!(stage.room().master_client(), 0);
    stage.join(2, join());
    assert!(stage.heard_by(2)[0].contains("248b:2"));
}

#[test]
fn only_a_player_ttl_makes_actors_inactive() {
    for (request, will_come_back, stays) in
        [(create(), true, false), (lasting(), false, false), (lasting(), true, true)]
    {
        let mut stage = Stage::with_peers(request, 2);
        stage.leave(2, will_come_back);
        assert_eq!(stage.room().inactive().count(), usize::from(stays));
        assert_eq!(stage.heard_by(1)[0].contains("233=true"), stays);
    }
}

#[test]
fn an_inactive_actor_ends_with_a_second_leave_event() {
    let mut stage = Stage::with_peers(lasting(), 2);
    stage.lose(2);
    assert_eq!(stage.take(), ["1: event 254 254=2 252=(1) 233=true"]);
    stage.pass(9 * SECOND);
    assert!(stage.take().is_empty());
    stage.pass(SECOND);
    assert_eq!(stage.take(), ["1: event 254 254=2 252=(1)"]);
    assert_eq!(
        stage.reports,
        [
            RoomReport::ActorInactive { actor: 2, user_id: "u2".into() },
            RoomReport::ActorLeft { actor: 2, user_id: "u2".into() }
        ]
    );
}

#[test]
fn an_endless_player_ttl_never_ends() {
    for endless in [-1, i32::MAX] {
        let mut stage = Stage::with_peers(JoinRequest { player_ttl: ttl(endless), ..lasting() }, 2);
        stage.lose(2);
        stage.pass(3000 * SECOND);
        assert_eq!(stage.room().inactive().collect::<Vec<_>>(), [2]);
        assert_eq!(stage.room().next_timeout(), None);
    }
}

#[test]
fn an_empty_room_without_ttl_closes_at_once_even_with_inactive_actors() {
    let mut stage = Stage::with_peers(JoinRequest { empty_room_ttl: ttl(0), ..lasting() }, 1);
    stage.lose(1);
    assert!(stage.room.is_none());
    assert_eq!(stage.reports.last(), Some(&RoomReport::Closed));
}

#[test]
fn the_leaver_of_a_closing_room_still_gets_his_answer() {
    let mut stage = Stage::with_peers(create(), 1);
    stage.leave(1, false);
    assert_eq!(stage.take(), ["1: response 254 0", "1: disconnect Left"]);
    assert!(stage.room.is_none());
}

#[test]
fn a_join_keeps_an_empty_room_alive() {
    let mut stage = Stage::with_peers(lasting(), 1);
    stage.leave(1, false);
    stage.pass(59 * SECOND);
    assert!(stage.join(2, join()));
    assert_eq!(stage.seats[&2].actor, 2);
    stage.pass(600 * SECOND);
    assert!(!stage.room().is_closed());
    stage.leave(2, false);
    stage.pass(60 * SECOND);
    assert!(stage.room.is_none());
}

#[test]
fn an_abandoned_room_ends_whatever_its_ttl() {
    let mut stage = Stage::new();
    stage.settings.max_empty_room_ttl = 10_000 * SECOND;
    stage.join(1, JoinRequest { empty_room_ttl: ttl(9_000_000), ..create() });
    stage.leave(1, false);
    stage.pass(3599 * SECOND);
    assert!(stage.room.is_some());
    stage.pass(SECOND);
    assert!(stage.room.is_none());
}

#[test]
fn a_leavers_cached_events_go_with_him_and_global_ones_stay() {
    for (delete, expected) in [(true, &["cached 2 by 0"][..]), (false, &["cached 1 by 2", "cached 2 by 0"])] {
        let flags = RoomFlags::default().with(RoomFlags::DELETE_CACHE_ON_LEAVE, delete);
        let mut stage = Stage::with_peers(JoinRequest { flags, ..create() }, 2);
        stage.raise(2, cached(1, CacheOperation::AddToRoom));
        stage.raise(2, cached(2, CacheOperation::AddToRoomGlobal));
        stage.leave(2, false);
        stage.join(3, join());
        assert_eq!(stage.heard_by(3)[2..], *expected);
    }
}

#[test]
fn an_inactive_actors_cached_events_stay_until_he_ends() {
    let flags = flags(&[RoomFlags::DELETE_CACHE_ON_LEAVE, RoomFlags::CHECK_USER_ON_JOIN]);
    let mut stage = Stage::with_peers(JoinRequest { flags, ..lasting() }, 2);
    stage.raise(2, cached(1, CacheOperation::AddToRoom));
    stage.lose(2);
    stage.join(3, join());
    assert_eq!(stage.heard_by(3)[2..], ["cached 1 by 2"]);
    stage.pass(10 * SECOND);
    stage.join(4, join());
    assert_eq!(stage.heard_by(4).len(), 2);
}

#[test]
fn inactive_actors_get_nothing() {
    let mut stage = Stage::with_peers(lasting(), 3);
    stage.lose(2);
    stage.take();
    stage.raise(1, raise(7));
    assert_eq!(stage.take(), ["3: raised 7 by 1"]);
}
