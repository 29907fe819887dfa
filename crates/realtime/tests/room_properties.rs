//! Setting and getting properties, compare-and-swap, who is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod stage;

use lampyris_realtime::properties::room_key;
use lampyris_realtime::room::RoomReport;
use lampyris_realtime::room::request::{GetProperties, JoinRequest, PropertyTarget, RoomFlags, SetProperties};
use lampyris_wire::{Hashtable, Value};
use stage::{Stage, create, flags, join, set, shown, ttl, users};

use PropertyTarget::{Actor, Room};

fn table<V: Into<Value> + Clone>(key: impl Into<Value>, value: V) -> Hashtable {
    [(key.into(), value.into())].into()
}

fn swap(properties: Hashtable, expected: Hashtable) -> SetProperties {
    SetProperties { expected, broadcast: false, ..set(Room, properties) }
}

fn room_value(stage: &Stage, key: impl Into<Value>) -> Option<String> {
    stage.room().properties().get(&key.into()).map(shown)
}

fn refused(stage: &mut Stage, request: SetProperties) -> bool {
    let before = stage.room().properties().clone();
    stage.take();
    stage.set(1, request);
    let lines = stage.take();
    let refused = lines[0] == "1: response 252 -2";
    assert!(refused || lines[0] == "1: response 252 0", "{lines:?}");
    assert!(!refused || (lines.len() == 1 && *stage.room().properties() == before), "{lines:?}");
    refused
}

#[test]
fn the_answer_comes_before_the_event_which_the_setter_does_not_get() {
    let mut stage = Stage::with_peers(create(), 2);
    stage.set(1, set(Room, table("map", "x")));
    assert_eq!(stage.take(), ["1: response 252 0", "2: event 253 254=1 253=0 251={'map':'x'}"]);
    stage.set(1, set(Actor(2), table(255u8, "bob")));
    assert_eq!(stage.take(), ["1: response 252 0", "2: event 253 254=1 253=2 251={255b:'bob'}"]);
}

#[test]
fn the_setter_gets_the_event_with_the_room_option_or_with_a_condition() {
    let request = JoinRequest { flags: flags(&[RoomFlags::BROADCAST_PROPERTIES_TO_ALL]), ..create() };
    let mut stage = Stage::with_peers(request, 2);
    stage.set(1, set(Room, table("a", 1)));
    assert_eq!(stage.take().len(), 3);
    stage.set(1, SetProperties { broadcast: false, ..set(Room, table("a", 2)) });
    assert_eq!(stage.take(), ["1: response 252 0"]);

    let mut stage = Stage::with_peers(create(), 2);
    stage.set(2, swap(table("a", 1), table("a", Value::Null)));
    assert_eq!(stage.take()[1..], ["1: event 253 254=2 253=0 251={'a':1}", "2: event 253 254=2 253=0 251={'a':1}"]);
}

#[test]
fn hidden_players_properties_are_set_but_not_told() {
    let request = JoinRequest { flags: flags(&[RoomFlags::SUPPRESS_PLAYER_INFO]), ..create() };
    let mut stage = Stage::with_peers(request, 2);
    stage.set(1, set(Actor(1), table("hp", 5)));
    assert_eq!(stage.take(), ["1: response 252 0"]);
    assert_eq!(stage.room().actor_properties(1).unwrap().len(), 1);
    stage.set(1, set(Room, table("a", 5)));
    assert_eq!(stage.take().len(), 2);
}

#[test]
fn null_is_kept_or_removes_by_room_option() {
    for (delete, expected) in [(false, Some("null".to_owned())), (true, None)] {
        let flags = RoomFlags::default().with(RoomFlags::DELETE_NULL_PROPERTIES, delete);
        let mut stage = Stage::with_peers(JoinRequest { flags, ..create() }, 2);
        stage.set(1, set(Room, table("a", 1)));
        stage.take();
        stage.set(1, set(Room, table("a", Value::Null)));
        assert_eq!(stage.heard_by(2), ["event 253 254=1 253=0 251={'a':null}"]);
        assert_eq!(room_value(&stage, "a"), expected);
    }
}

#[test]
fn a_swap_happens_only_if_all_expected_values_are_there() {
    let mut stage = Stage::with_peers(create(), 1);
    assert!(!refused(&mut stage, set(Room, [("a", 1), ("b", 2)].into())));
    assert!(refused(&mut stage, swap(table("a", 9), [("a", 1), ("b", 3)].into())));
    assert!(refused(&mut stage, swap(table("a", 9), table("a", 1i64))));
    assert!(refused(&mut stage, swap(table("a", 9), table("a", Value::Null))));
    assert!(!refused(&mut stage, swap(table("a", 9), [("a", 1), ("b", 2)].into())));
    assert_eq!(room_value(&stage, "a"), Some("9".into()));
}

#[test]
fn a_javascript_double_meets_a_whole_number() {
    let mut stage = Stage::with_peers(create(), 1);
    stage.set(1, set(Room, table("a", 1)));
    assert!(refused(&mut stage, swap(table("a", 2), table("a", 1.5))));
    assert!(!refused(&mut stage, swap(table("a", 2.0), table("a", 1.0))));
    assert_eq!(room_value(&stage, "a"), Some("2.0".into()));
    assert!(!refused(&mut stage, swap(table("a", 3), table("a", 2))));
}

#[test]
fn a_swap_can_concern_an_actor() {
    let mut stage = Stage::with_peers(create(), 2);
    let taken = |value: i32| SetProperties { expected: table("t", Value::Null), ..set(Actor(2), table("t", value)) };
    assert!(!refused(&mut stage, taken(1)));
    stage.set(1, taken(2));
    assert_eq!(stage.take(), ["1: response 252 -2"]);
    assert_eq!(stage.room().actor_properties(2).unwrap(), &table("t", 1));
}

#[test]
fn the_target_must_be_in_the_room_and_may_be_inactive() {
    let mut stage = Stage::with_peers(JoinRequest { player_ttl: ttl(-1), ..create() }, 2);
    assert!(refused(&mut stage, set(Actor(7), table("a", 1))));
    stage.lose(2);
    assert!(!refused(&mut stage, set(Actor(2), table("a", 1))));
}

#[test]
fn max_players_stays_above_those_who_are_here() {
    let mut stage = Stage::with_peers(create(), 3);
    assert!(refused(&mut stage, set(Room, table(255u8, 2u8))));
    assert!(!refused(&mut stage, set(Room, table(255u8, 3u8))));
    assert!(!stage.join(4, join()));
    assert!(!refused(&mut stage, set(Room, table(255u8, 0u8))));
    assert!(stage.join(4, join()));
}

#[test]
fn the_wide_player_limit_wins_and_both_forms_agree() {
    let game_properties = Hashtable::from([(Value::Byte(255), Value::Byte(0)), (Value::Byte(243), Value::Int(300))]);
    let mut stage = Stage::with_peers(JoinRequest { game_properties, ..create() }, 1);
    assert_eq!(room_value(&stage, room_key::MAX_PLAYERS), Some("0b".into()));
    stage.set(1, set(Room, table(243u8, 4)));
    assert_eq!(room_value(&stage, room_key::MAX_PLAYERS), Some("4b".into()));
    stage.set(1, set(Room, table(255u8, 2u8)));
    assert_eq!(room_value(&stage, room_key::MAX_PLAYERS_INT), Some("2".into()));
    assert!(stage.join(2, join()));
    assert!(!stage.join(3, join()));
}

#[test]
fn the_master_client_can_be_set_to_an_active_actor() {
    let mut stage = Stage::with_peers(JoinRequest { player_ttl: ttl(-1), ..create() }, 3);
    stage.lose(3);
    assert!(refused(&mut stage, set(Room, table(248u8, 9))));
    assert!(refused(&mut stage, set(Room, table(248u8, 3))));
    assert!(refused(&mut stage, swap(table(248u8, 2), table(248u8, 2))));
    assert!(!refused(&mut stage, swap(table(248u8, 2), table(248u8, 1))));
    assert_eq!(stage.room().master_client(), 2);
}

#[test]
fn expected_users_change_with_a_condition_only_and_must_fit() {
    let mut stage = Stage::with_peers(JoinRequest { game_properties: table(255u8, 2u8), ..create() }, 1);
    let slots = |list: &[&str]| table(247u8, Value::StringArray(users(list)));
    let empty = || table(247u8, Value::Null);
    assert!(refused(&mut stage, set(Room, slots(&["a"]))));
    assert!(refused(&mut stage, swap(slots(&["a", "b"]), empty())));
    assert!(refused(&mut stage, swap(slots(&[""]), empty())));
    assert!(!refused(&mut stage, swap(slots(&["a", "a"]), empty())));
    assert_eq!(room_value(&stage, 247u8), Some("['a']".into()));
    assert!(!stage.join(2, join()));
    assert!(refused(&mut stage, swap(empty(), slots(&["b"]))));
    assert!(!refused(&mut stage, swap(empty(), slots(&["a"]))));
    assert!(stage.join(2, join()));
    assert!(stage.reports.contains(&RoomReport::ExpectedUsers(Vec::new())));
}

#[test]
fn ttls_change_at_run_time_within_limits() {
    let mut stage = Stage::with_peers(create(), 2);
    assert!(refused(&mut stage, set(Room, table(245u8, 60_001))));
    assert!(!refused(&mut stage, set(Room, table(245u8, 1000))));
    assert!(!refused(&mut stage, set(Room, table(246u8, -1))));
    stage.lose(2);
    assert_eq!(stage.room().inactive().collect::<Vec<_>>(), [2]);
    stage.leave(1, false);
    assert!(stage.room.is_some());
}

#[test]
fn closing_the_room_keeps_newcomers_out() {
    let mut stage = Stage::with_peers(create(), 1);
    assert!(!refused(&mut stage, set(Room, table(253u8, false))));
    assert!(!stage.join(2, join()));
}

#[test]
fn the_master_server_hears_of_well_known_and_listed_properties() {
    let game_properties = table(250u8, Value::StringArray(users(&["map"])));
    let mut stage = Stage::with_peers(JoinRequest { game_properties, ..create() }, 1);
    stage.set(1, set(Room, [("map", 1), ("secret", 2)].into()));
    stage.set(1, set(Room, table("secret", 3)));
    stage.set(1, set(Room, table(253u8, false)));
    assert_eq!(
        stage.reports,
        [RoomReport::PropertiesChanged(table("map", 1)), RoomReport::PropertiesChanged(table(253u8, false))]
    );
    stage.reports.clear();
    stage.set(1, set(Room, table(250u8, Value::StringArray(users(&["secret"])))));
    let [RoomReport::PropertiesChanged(all)] = &stage.reports[..] else { panic!("{:?}", stage.reports) };
    assert!(all.contains_key(&"secret".into()) && !all.contains_key(&"map".into()));
}

#[test]
fn a_request_has_a_bounded_number_and_size_of_properties() {
    let mut stage = Stage::with_peers(create(), 1);
    let many = |count: usize| (0..count).map(|n| (format!("k{n}"), 1)).collect::<Hashtable>();
    assert!(refused(&mut stage, set(Room, many(101))));
    assert!(!refused(&mut stage, set(Room, many(100))));
    assert!(refused(&mut stage, set(Room, table("k", "v".repeat(10_000)))));
    assert_eq!(stage.room().counters().property_limits, 2);
}

#[test]
fn too_many_different_keys_of_one_peer_end_it() {
    let mut stage = Stage::new();
    stage.settings.property_keys_per_peer = 3;
    stage.join(1, create());
    stage.join(2, join());
    stage.set(2, set(Room, [("a", 1), ("b", 1)].into()));
    stage.set(2, set(Actor(2), table("a", 1)));
    stage.set(2, set(Room, table("a", 2)));
    stage.take();
    stage.set(2, set(Room, table("c", 2)));
    assert_eq!(stage.take(), ["2: response 252 32743", "1: event 254 254=2 252=(1)", "2: disconnect OperationLimit"]);
    assert_eq!(stage.room().counters().property_key_limits, 1);
}

#[test]
fn too_many_bytes_of_properties_close_the_room_and_change_nothing_else() {
    let mut stage = Stage::new();
    stage.settings.property_bytes_per_room = 200;
    stage.join(1, create());
    stage.join(2, join());
    stage.set(1, set(Actor(2), table("k", "v".repeat(100))));
    stage.take();
    stage.set(1, set(Room, table("k", "v".repeat(100))));
    let lines = stage.take();
    assert_eq!(lines[0], "1: response 252 -2");
    assert_eq!(lines[1], "1: event 253 254=0 253=0 251={253b:false}");
    assert!(lines[3].starts_with("1: event 251 218="));
    stage.set(1, set(Room, table("k", "v".repeat(100))));
    assert_eq!(stage.take(), ["1: response 252 -2"], "told once");
    assert_eq!(room_value(&stage, "k"), None);
    assert!(!stage.join(3, join()));
    // Room is freed with the actor that used it.
    stage.leave(2, false);
    stage.take();
    stage.set(1, set(Room, table("k", "v".repeat(100))));
    assert_eq!(stage.take(), ["1: response 252 0"]);
}

fn everything() -> GetProperties {
    GetProperties { game: true, actors: true, game_keys: None, actor_keys: None, actor_list: None }
}

#[test]
fn properties_can_be_read_whole_or_by_key() {
    let mut stage = Stage::with_peers(JoinRequest { player_ttl: ttl(-1), ..create() }, 3);
    stage.set(1, set(Actor(2), table("hp", 5)));
    stage.lose(3);
    stage.take();
    stage.get(1, &everything());
    assert_eq!(stage.take(), ["1: response 251 0 248={253b:true,254b:true,246b:-1,248b:1} 249={1:{},2:{'hp':5}}"]);
    let some = GetProperties {
        game_keys: Some(vec![248u8.into(), "none".into()]),
        actor_keys: Some(vec!["hp".into()]),
        actor_list: Some(vec![2, 3, 9]),
        ..everything()
    };
    stage.get(1, &some);
    assert_eq!(stage.take(), ["1: response 251 0 248={248b:1,'none':null} 249={2:{'hp':5},3:{'hp':null}}"]);
}

#[test]
fn user_ids_are_read_only_where_they_are_published() {
    let request = JoinRequest { flags: flags(&[RoomFlags::PUBLISH_USER_ID]), ..create() };
    let mut stage = Stage::with_peers(request, 1);
    let actors = GetProperties { game: false, ..everything() };
    stage.get(1, &actors);
    stage.get(1, &GetProperties { actor_keys: Some(vec!["x".into()]), ..actors.clone() });
    stage.get(1, &GetProperties { actor_keys: Some(vec![253u8.into()]), ..actors });
    assert_eq!(
        stage.take(),
        [
            "1: response 251 0 249={1:{253b:'u1'}}",
            "1: response 251 0 249={1:{'x':null}}",
            "1: response 251 0 249={1:{253b:'u1'}}"
        ]
    );
}

#[test]
fn a_list_of_keys_is_bounded() {
    let mut stage = Stage::with_peers(create(), 1);
    stage.get(1, &GetProperties { game_keys: Some(vec![Value::Null; 101]), ..everything() });
    assert_eq!(stage.take(), ["1: response 251 -2"]);
}
