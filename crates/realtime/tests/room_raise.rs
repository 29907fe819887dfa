//! Who gets a raised event; interest groups.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod stage;

use lampyris_realtime::room::request::{CacheOperation, JoinRequest, RaiseEvent, ReceiverGroup};
use stage::{Stage, cached, create, join, raise, rejoin, ttl};

fn to(actors: &[i32]) -> RaiseEvent<'static> {
    RaiseEvent { actors: Some(actors.to_vec()), listed: actors.len(), ..raise(1) }
}

fn to_receivers(receivers: ReceiverGroup) -> RaiseEvent<'static> {
    RaiseEvent { receivers, ..raise(1) }
}

fn to_group(group: u8) -> RaiseEvent<'static> {
    RaiseEvent { group, ..raise(1) }
}

#[test]
fn an_event_goes_to_the_others_with_its_data_and_has_no_response() {
    let mut stage = Stage::with_peers(create(), 3);
    stage.raise_with(2, raise(5), "data");
    assert_eq!(stage.take(), ["1: raised 5 by 2 'data'", "3: raised 5 by 2 'data'"]);
}

#[test]
fn receiver_groups_choose_others_all_or_the_master_client() {
    let mut stage = Stage::with_peers(create(), 3);
    stage.raise(2, to_receivers(ReceiverGroup::All));
    assert_eq!(stage.take(), ["1: raised 1 by 2", "2: raised 1 by 2", "3: raised 1 by 2"]);
    stage.raise(2, to_receivers(ReceiverGroup::MasterClient));
    assert_eq!(stage.take(), ["1: raised 1 by 2"]);
    stage.raise(1, to_receivers(ReceiverGroup::MasterClient));
    assert_eq!(stage.take(), ["1: raised 1 by 1"]);
}

#[test]
fn an_event_for_nobody_is_no_effect() {
    let mut stage = Stage::with_peers(create(), 1);
    stage.raise(1, raise(1));
    stage.raise(1, to_group(9));
    stage.raise(1, to(&[44]));
    assert!(stage.take().is_empty());
}

#[test]
fn an_actor_list_wins_over_group_and_receivers_and_may_name_the_sender() {
    let mut stage = Stage::with_peers(create(), 3);
    stage.raise(1, RaiseEvent { group: 4, receivers: ReceiverGroup::All, ..to(&[1, 3, 99]) });
    assert_eq!(stage.take(), ["1: raised 1 by 1", "3: raised 1 by 1"]);
}

#[test]
fn an_actor_list_may_be_twice_as_long_as_the_room_is_large() {
    let mut stage = Stage::with_peers(create(), 2);
    stage.raise(1, RaiseEvent { listed: 4, ..to(&[2]) });
    assert_eq!(stage.take(), ["2: raised 1 by 1"]);
    stage.raise(1, RaiseEvent { listed: 5, ..to(&[2]) });
    assert_eq!(stage.take(), ["1: response 253 -2"]);
}

#[test]
fn a_group_event_goes_to_its_members_and_never_to_the_sender() {
    let mut stage = Stage::with_peers(create(), 3);
    stage.groups(1, None, Some(&[7, 255]));
    stage.groups(3, None, Some(&[7]));
    stage.raise(1, RaiseEvent { receivers: ReceiverGroup::All, ..to_group(7) });
    assert_eq!(stage.take(), ["3: raised 1 by 1"]);
    stage.raise(2, to_group(255));
    assert_eq!(stage.take(), ["1: raised 1 by 2"]);
}

#[test]
fn groups_are_left_before_others_are_entered_and_changing_them_has_no_response() {
    let mut stage = Stage::with_peers(create(), 2);
    stage.groups(1, None, Some(&[1, 2]));
    stage.groups(1, Some(&[2, 3]), Some(&[3]));
    assert!(stage.take().is_empty());
    for (group, reached) in [(1, true), (2, false), (3, true)] {
        stage.raise(2, to_group(group));
        assert_eq!(!stage.take().is_empty(), reached, "group {group}");
    }
}

#[test]
fn an_empty_list_means_all_groups() {
    let mut stage = Stage::with_peers(create(), 3);
    stage.groups(1, None, Some(&[1, 2]));
    stage.groups(2, None, Some(&[200]));
    stage.groups(3, None, Some(&[]));
    for group in [1, 2, 200] {
        stage.raise(if group == 200 { 2 } else { 1 }, to_group(group));
        assert_eq!(stage.take().len(), 1, "group {group}");
    }
    stage.groups(3, Some(&[]), None);
    stage.raise(1, to_group(1));
    assert!(stage.take().is_empty());
}

#[test]
fn group_zero_is_no_group() {
    let mut stage = Stage::with_peers(create(), 2);
    stage.groups(1, Some(&[0]), Some(&[0]));
    stage.raise(2, to_group(0));
    assert_eq!(stage.take(), ["1: raised 1 by 2"]);
}

#[test]
fn groups_are_remembered_while_inactive() {
    let mut stage = Stage::with_peers(JoinRequest { player_ttl: ttl(-1), ..create() }, 2);
    stage.groups(2, None, Some(&[5]));
    stage.lose(2);
    stage.raise(1, to_group(5));
    assert_eq!(stage.take().len(), 1, "only the leave event");
    stage.join_as(3, "u2", None, JoinRequest { actor: 2, ..rejoin() });
    stage.take();
    stage.raise(1, to_group(5));
    assert_eq!(stage.take(), ["3: raised 1 by 1"]);
}

#[test]
fn events_with_exact_receivers_are_not_cached() {
    let mut stage = Stage::with_peers(create(), 2);
    let event = |how: RaiseEvent<'static>| RaiseEvent { cache: CacheOperation::AddToRoom, ..how };
    stage.raise(1, event(to(&[2])));
    stage.raise(1, event(to_group(3)));
    stage.raise(1, event(to_receivers(ReceiverGroup::MasterClient)));
    stage.raise(1, cached(9, CacheOperation::AddToRoom));
    stage.join(3, join());
    assert_eq!(stage.heard_by(3)[2..], ["cached 9 by 1"]);
}

#[test]
fn what_is_raised_after_a_join_comes_after_the_cache() {
    let mut stage = Stage::with_peers(create(), 1);
    stage.raise(1, cached(1, CacheOperation::AddToRoom));
    stage.join(2, join());
    stage.raise(1, raise(2));
    let heard = stage.heard_by(2);
    let kinds: Vec<_> = heard.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(kinds, ["response", "event", "cached", "raised"]);
}

#[test]
fn one_without_a_seat_is_refused() {
    let mut stage = Stage::with_peers(create(), 2);
    let seat = stage.seats[&2];
    stage.leave(2, false);
    stage.take();
    stage.seats.insert(2, seat);
    stage.raise(2, raise(1));
    stage.groups(2, None, Some(&[1]));
    stage.leave(2, false);
    assert_eq!(stage.take(), ["2: response 253 -3", "2: response 248 -3"]);
}
