//! The event cache: what is kept, what is replayed, what is removed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod stage;

use lampyris_realtime::room::RoomSettings;
use lampyris_realtime::room::request::{CacheOperation, JoinRequest, RaiseEvent, RoomFlags};
use lampyris_wire::{Hashtable, Value};
use stage::{Stage, cached, create, flags, join, raise, rejoin, ttl};

use CacheOperation::{
    AddToRoom, AddToRoomGlobal, Merge, Remove, RemoveFromRoom, RemoveFromRoomForActorsLeft, Replace, SliceIncrease,
    SlicePurge, SlicePurgeUpTo, SliceSet,
};

/// What a joiner gets after response and event Join.
fn replay(stage: &mut Stage) -> Vec<String> {
    replay_from(stage, None)
}

fn replay_from(stage: &mut Stage, slice: Option<i32>) -> Vec<String> {
    stage.take();
    stage.join(77, JoinRequest { slice, ..join() });
    let lines = stage.heard_by(77);
    assert!(lines[0].starts_with("response 226 0"), "{lines:?}");
    stage.leave(77, false);
    stage.take();
    lines[2..].to_vec()
}

fn slice(cache: CacheOperation, index: i32) -> RaiseEvent<'static> {
    RaiseEvent { slice: Some(index), ..cached(0, cache) }
}

#[test]
fn cached_events_are_replayed_in_order_with_their_senders() {
    let mut stage = Stage::with_peers(create(), 2);
    stage.raise_with(1, cached(1, AddToRoom), "a");
    stage.raise_with(2, cached(2, AddToRoomGlobal), "b");
    stage.raise(1, cached(3, AddToRoom));
    assert_eq!(stage.take(), ["2: raised 1 by 1 'a'", "1: raised 2 by 2 'b'", "2: raised 3 by 1"]);
    assert_eq!(replay(&mut stage), ["cached 1 by 1 'a'", "cached 2 by 0 'b'", "cached 3 by 1"]);
}

#[test]
fn replace_keeps_one_event_per_actor_and_code() {
    let mut stage = Stage::with_peers(create(), 2);
    stage.raise_with(1, cached(1, Replace), 10);
    stage.raise_with(2, cached(1, Replace), 20);
    stage.raise_with(1, cached(1, Replace), 11);
    assert_eq!(replay(&mut stage), ["cached 1 by 1 11", "cached 1 by 2 20"]);
    stage.raise_with(1, cached(1, Replace), Value::Null);
    stage.raise(2, cached(1, Remove));
    assert!(replay(&mut stage).is_empty());
}

#[test]
fn merge_joins_tables_and_null_takes_a_key_out() {
    let mut stage = Stage::with_peers(create(), 1);
    let table = |entries: &[(&str, Value)]| entries.iter().cloned().collect::<Hashtable>();
    stage.raise_with(1, cached(1, Merge), table(&[("a", 1.into()), ("b", 2.into())]));
    stage.raise_with(1, cached(1, Merge), table(&[("b", Value::Null), ("c", 3.into())]));
    assert_eq!(replay(&mut stage), ["cached 1 by 1 {'a':1,'c':3}"]);
    stage.raise_with(1, cached(1, Merge), Value::Null);
    assert!(replay(&mut stage).is_empty());
}

#[test]
fn merging_anything_but_a_table_is_refused_and_not_delivered() {
    let mut stage = Stage::with_peers(create(), 2);
    stage.raise_with(1, cached(1, Merge), 5);
    assert_eq!(stage.take(), ["1: response 253 -2"]);
}

#[test]
fn actor_events_come_before_slices_and_slices_are_announced() {
    let mut stage = Stage::with_peers(create(), 1);
    stage.raise(1, cached(1, AddToRoom));
    stage.raise(1, cached(0, SliceIncrease));
    stage.raise(1, cached(2, AddToRoom));
    stage.raise_with(1, cached(3, Replace), 0);
    assert_eq!(replay(&mut stage), ["cached 3 by 1 0", "cached 1 by 1", "event 250 254=2 205=1", "cached 2 by 1"]);
}

#[test]
fn slices_are_chosen_and_purged_by_index() {
    let mut stage = Stage::with_peers(create(), 2);
    for index in [0, 5, 3] {
        stage.raise(1, slice(SliceSet, index));
        stage.raise(1, cached(10 + u8::try_from(index).unwrap(), AddToRoom));
    }
    stage.raise(1, slice(SliceSet, 3));
    let told: Vec<_> = stage.heard_by(2).into_iter().filter(|line| line.starts_with("event")).collect();
    assert_eq!(told, ["event 250 254=1 205=5", "event 250 254=1 205=3"]);
    assert_eq!(
        replay_from(&mut stage, Some(3)),
        ["event 250 254=3 205=3", "cached 13 by 1", "event 250 254=3 205=5", "cached 15 by 1"]
    );
    stage.raise(1, slice(SlicePurge, 5));
    stage.raise(1, slice(SlicePurgeUpTo, 2));
    assert!(stage.take().is_empty());
    assert_eq!(replay(&mut stage), ["event 250 254=4 205=3", "cached 13 by 1"]);
}

#[test]
fn slice_operations_that_make_no_sense_are_refused() {
    let mut stage = Stage::with_peers(create(), 1);
    let refused = [
        cached(0, SliceSet),
        cached(0, SlicePurge),
        cached(0, SlicePurgeUpTo),
        slice(SliceSet, -1),
        slice(SlicePurge, 0),
        slice(SlicePurgeUpTo, 0),
    ];
    for event in refused {
        stage.raise(1, event.clone());
        assert_eq!(stage.take(), ["1: response 253 -2"], "{event:?}");
    }
    stage.raise(1, slice(SliceSet, i32::MAX));
    stage.take();
    stage.raise(1, cached(0, SliceIncrease));
    assert_eq!(stage.take(), ["1: response 253 -2"]);
}

#[test]
fn the_number_of_slices_is_bounded() {
    let mut stage = Stage::new();
    stage.settings = RoomSettings { cache_slices: 2, ..RoomSettings::DEFAULT };
    stage.join(1, create());
    stage.take();
    stage.raise(1, cached(0, SliceIncrease));
    assert_eq!(stage.take(), ["1: event 250 254=1 205=1"]);
    stage.raise(1, cached(0, SliceIncrease));
    assert_eq!(stage.take(), ["1: response 253 -2"]);
    assert_eq!(stage.room().counters().slice_limits, 1);
}

#[test]
fn a_joiner_cannot_ask_for_a_slice_that_is_not_there() {
    let mut stage = Stage::with_peers(create(), 1);
    stage.join(2, JoinRequest { slice: Some(4), ..join() });
    assert_eq!(stage.heard_by(2)[0], "response 226 -2");
}

#[test]
fn removal_needs_all_criteria_to_match_with_exact_types() {
    let byte_id = |id: i32| Hashtable::from([(7u8, id)]);
    let mut stage = Stage::with_peers(create(), 2);
    stage.raise_with(1, cached(202, AddToRoom), byte_id(1001));
    stage.raise_with(1, cached(200, AddToRoom), byte_id(1001));
    stage.raise_with(2, cached(202, AddToRoom), byte_id(2001));
    stage.raise_with(1, cached(202, AddToRoomGlobal), "text");
    stage.take();

    stage.raise_with(2, cached(202, RemoveFromRoom), Hashtable::from([(7u8, 1001i64)]));
    stage.raise_with(2, cached(202, RemoveFromRoom), Hashtable::from([("7", 1001)]));
    assert_eq!(stage.take(), ["2: response 253 0", "2: response 253 0"]);
    assert_eq!(replay(&mut stage).len(), 4);

    stage.raise_with(2, cached(202, RemoveFromRoom), byte_id(1001));
    assert_eq!(
        replay(&mut stage),
        ["cached 200 by 1 {7b:1001}", "cached 202 by 2 {7b:2001}", "cached 202 by 0 'text'"]
    );
    stage.raise(2, RaiseEvent { actors: Some(vec![0]), ..cached(202, RemoveFromRoom) });
    stage.raise(2, RaiseEvent { actors: Some(vec![1, 3]), ..cached(0, RemoveFromRoom) });
    assert_eq!(replay(&mut stage), ["cached 202 by 2 {7b:2001}"]);
    stage.raise(1, cached(0, RemoveFromRoom));
    assert!(replay(&mut stage).is_empty());
}

#[test]
fn a_filter_that_is_no_table_matches_what_is_no_table() {
    let mut stage = Stage::with_peers(create(), 1);
    stage.raise_with(1, cached(1, AddToRoom), Hashtable::from([("a", 1)]));
    stage.raise_with(1, cached(1, AddToRoom), 5);
    stage.raise_with(1, cached(1, RemoveFromRoom), "x");
    assert_eq!(replay(&mut stage), ["cached 1 by 1 {'a':1}"]);
}

#[test]
fn events_of_actors_that_are_not_active_can_be_removed() {
    let mut stage = Stage::with_peers(JoinRequest { player_ttl: ttl(-1), ..create() }, 3);
    for peer in 1..=3 {
        stage.raise(peer, cached(1, AddToRoom));
    }
    stage.raise(2, cached(2, AddToRoomGlobal));
    stage.leave(2, false);
    stage.lose(3);
    stage.take();
    stage.raise(1, cached(0, RemoveFromRoomForActorsLeft));
    assert_eq!(stage.take(), ["1: response 253 0"]);
    assert_eq!(replay(&mut stage), ["cached 1 by 1", "cached 2 by 0"]);
}

#[test]
fn a_full_cache_is_discarded_for_good_and_closes_the_room() {
    let mut stage = Stage::new();
    stage.settings.cached_events = 2;
    let request = JoinRequest { player_ttl: ttl(-1), flags: flags(&[RoomFlags::CHECK_USER_ON_JOIN]), ..create() };
    stage.join(1, request);
    stage.join(2, join());
    stage.join(3, join());
    stage.lose(3);
    for code in 1..=3 {
        stage.take();
        stage.raise(1, cached(code, AddToRoom));
    }
    assert_eq!(
        stage.heard_by(2),
        [
            "event 253 254=0 253=0 251={253b:false}",
            "event 251 218='the event cache is discarded and the room closed: more than 2 cached events'",
            "raised 3 by 1"
        ]
    );
    stage.raise(1, cached(4, AddToRoom));
    assert_eq!(stage.take(), ["2: raised 4 by 1"]);
    stage.join_as(4, "u3", None, rejoin());
    stage.join_as(5, "new", None, join());
    assert_eq!(
        stage.take(),
        ["4: response 226 32739", "4: disconnect JoinRefused", "5: response 226 32764", "5: disconnect JoinRefused"]
    );
    assert_eq!(stage.room().counters().caches_discarded, 1);
}

#[test]
fn the_bytes_of_the_cache_are_bounded_and_freed_bytes_count_no_more() {
    let mut stage = Stage::new();
    stage.settings.cached_bytes = 4096;
    stage.join(1, create());
    for _ in 0..50 {
        stage.raise_with(1, cached(1, AddToRoom), "x".repeat(1000));
        stage.raise_with(1, cached(2, Replace), "x".repeat(1000));
        stage.raise(1, cached(1, RemoveFromRoom));
    }
    assert_eq!(stage.room().counters().caches_discarded, 0);
    stage.raise_with(1, cached(1, AddToRoom), "x".repeat(4000));
    assert_eq!(stage.room().counters().caches_discarded, 1);
}

#[test]
fn what_is_not_to_be_cached_is_not() {
    let mut stage = Stage::with_peers(create(), 1);
    stage.raise(1, raise(1));
    assert!(replay(&mut stage).is_empty());
}
