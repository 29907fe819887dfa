//! Reading requests: what clients of each kind send, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod stage;

use lampyris_realtime::codes::{Refusal, operation};
use lampyris_realtime::room::request::{
    CacheOperation, ChangeGroups, GetProperties, JoinMode, JoinRequest, Leave, PropertyTarget, RaiseEvent,
    ReceiverGroup, RoomFlags, SetProperties,
};
use lampyris_wire::{Hashtable, Limits, Parameters, RawRequest, Value};
use proptest::prelude::*;
use stage::{raise, users, with_raw};

fn join(parameters: Parameters) -> Result<JoinRequest, Refusal> {
    with_raw(parameters, |raw| JoinRequest::parse(operation::JOIN_GAME, raw))
}

fn create(parameters: Parameters) -> Result<JoinRequest, Refusal> {
    with_raw(parameters, |raw| JoinRequest::parse(operation::CREATE_GAME, raw))
}

fn raised<T>(parameters: Parameters, look: impl FnOnce(Result<RaiseEvent<'_>, Refusal>) -> T) -> T {
    with_raw(parameters, |raw| look(RaiseEvent::parse(raw, raise(0).route)))
}

fn message(refused: Result<impl std::fmt::Debug, Refusal>) -> String {
    let refusal = refused.unwrap_err();
    assert_eq!(refusal.code.0, -2);
    refusal.message.into_owned()
}

fn one(key: u8, value: impl Into<Value>) -> Parameters {
    Parameters::new().with(key, value)
}

#[test]
fn json_spellings_become_the_protocols_types() {
    let text = br#"~j~{"req":227,"vals":[255,"r",248,{"255":4,"254":false,"250":["a"],"246":5000,"own":1},
        249,{"255":"ann","254":true},215,1,213,"lobby",212,2,238,["x","x","y"],235,1000,234,true]}"#;
    let request = RawRequest::parse_json(text, &Limits::DEFAULT).unwrap();
    let create = JoinRequest::parse(request.code, &request.parameters).unwrap();
    assert_eq!(create.room_name.as_deref(), Some("r"));
    assert_eq!((create.lobby_name.as_deref(), create.lobby_type), (Some("lobby"), Some(2)));
    assert_eq!(create.expected_users, users(&["x", "y"]));
    assert_eq!((create.player_ttl.as_millis(), create.web_flags), (1000, 1));
    let expected: Vec<(Value, Value)> = vec![
        (255u8.into(), 4u8.into()),
        (254u8.into(), false.into()),
        (250u8.into(), users(&["a"]).into()),
        (246u8.into(), 5000.into()),
        ("own".into(), 1.0.into()),
    ];
    assert_eq!(create.game_properties, expected.into_iter().collect());
    assert_eq!(create.actor_properties, Hashtable::from([(255u8, "ann")]));
}

#[test]
fn join_modes_come_as_any_number_or_as_true() {
    for (value, mode) in [
        (Value::Byte(3), JoinMode::RejoinOnly),
        (Value::Int(2), JoinMode::JoinOrRejoin),
        (Value::Double(1.0), JoinMode::CreateIfNotExists),
        (Value::Bool(true), JoinMode::CreateIfNotExists),
        (Value::Bool(false), JoinMode::Default),
        (Value::Null, JoinMode::Default),
    ] {
        assert_eq!(join(one(215, value)).unwrap().mode, mode);
    }
    assert_eq!(message(join(one(215, 4u8))), "parameter 215 (JoinMode): expected a join mode 0..=3, got byte");
}

#[test]
fn an_actor_number_means_rejoin() {
    assert_eq!(join(one(254, 3)).unwrap().mode, JoinMode::JoinOrRejoin);
    assert_eq!(join(one(254, 3).with(215, 3u8)).unwrap().mode, JoinMode::RejoinOnly);
    assert_eq!(join(one(254, 0).with(215, 1u8)).unwrap().mode, JoinMode::CreateIfNotExists);
    assert_eq!(create(one(254, 3)).unwrap().actor, 0);
}

#[test]
fn single_options_make_the_flags_unless_the_mask_is_given() {
    let single = one(232, true).with(241, true).with(237, true).with(239, true);
    assert_eq!(join(single.clone()).unwrap().flags, RoomFlags(0x0F));
    assert_eq!(join(single.with(191, 0x30)).unwrap().flags, RoomFlags(0x30));
}

#[test]
fn wrong_types_are_refused_with_key_and_type() {
    assert_eq!(message(join(one(255, 5))), "parameter 255 (RoomName): expected string, got int");
    assert_eq!(message(join(one(248, "x"))), "parameter 248 (GameProperties): expected hashtable, got string");
    assert_eq!(message(join(one(238, 1))), "parameter 238 (ExpectedUsers): expected string[], got int");
    assert_eq!(message(join(one(212, 4u8))), "parameter 212 (LobbyType): expected a lobby type 0..=3, got byte");
    let table = |key: u8, value: Value| one(248, Hashtable::from([(key, value)]));
    assert_eq!(message(join(table(255, 256.into()))), "property 255: expected byte (0..=255), got int 256");
    assert_eq!(message(join(table(254, 1.into()))), "property 254: expected bool, got int 1");
    assert!(message(join(table(248, 1.into()))).contains("MasterClientId"));
    let container = Hashtable::from([(Value::ObjectArray(Vec::new()), 1)]);
    assert!(message(join(one(249, container))).starts_with("property key: expected a scalar"));
}

#[test]
fn names_and_user_ids_are_bounded_and_printable() {
    assert!(message(join(one(255, "x".repeat(1025)))).contains("at most 1024 bytes, got 1025"));
    assert!(message(join(one(255, "a\nb"))).contains("control"));
    assert!(message(join(one(238, vec![Value::from("")]))).contains("empty"));
    let many: Vec<Value> = (0..1001).map(|n| format!("u{n}").into()).collect();
    assert!(message(join(one(238, many))).contains("at most 1000"));
    assert!(join(one(255, "")).unwrap().require_room_name().is_err());
}

#[test]
fn more_expected_users_than_players_are_refused() {
    let parameters = one(248, Hashtable::from([(255u8, 1u8)])).with(238, vec![Value::from("a"), "b".into()]);
    assert!(message(create(parameters)).contains("at most 1 (MaxPlayers), got 2"));
}

#[test]
fn an_event_is_others_business_by_default() {
    raised(Parameters::new(), |event| {
        let event = event.unwrap();
        assert_eq!((event.code, event.group, event.cache), (0, 0, CacheOperation::DoNotCache));
        assert_eq!(event.receivers, ReceiverGroup::Others);
        assert!(event.data.is_none() && event.actors.is_none());
    });
}

#[test]
fn the_receivers_of_an_event_are_sorted_and_unique() {
    raised(one(252, vec![3, 1, 3]).with(243, true), |event| {
        let event = event.unwrap();
        assert_eq!((event.actors.as_deref(), event.listed), (Some(&[1, 3][..]), 3));
        assert!(event.route.flush);
    });
    raised(one(252, Vec::<i32>::new()), |event| assert!(event.unwrap().actors.is_none()));
}

#[test]
fn events_of_the_server_and_unknown_operations_are_refused() {
    raised(one(244, 240u8), |event| assert!(event.is_ok()));
    raised(one(244, 241u8), |event| assert!(message(event).contains("up to 240, got 241")));
    for cache in [8u8, 9, 14] {
        raised(one(247, cache), |event| assert!(message(event).contains("cache operation")));
    }
    raised(one(246, 3u8), |event| assert!(message(event).contains("receiver group")));
}

#[test]
fn properties_are_normalised_for_their_target_in_values_and_conditions() {
    let text = br#"~j~{"req":252,"vals":[251,{"255":8},250,true,231,{"255":4,"247":null}]}"#;
    let request = RawRequest::parse_json(text, &Limits::DEFAULT).unwrap();
    let set = SetProperties::parse(&request.parameters).unwrap();
    assert_eq!(set.target, PropertyTarget::Room);
    assert_eq!(set.properties, Hashtable::from([(255u8, 8u8)]));
    assert_eq!(set.expected, Hashtable::from([(255u8, Value::Byte(4)), (247, Value::Null)]));

    let actor = one(254, 2).with(251, Hashtable::from([("253", "forged"), ("255", "bob")]));
    let set = with_raw(actor, SetProperties::parse).unwrap();
    assert_eq!(set.properties, Hashtable::from([(255u8, "bob")]));
    assert_eq!(message(with_raw(Parameters::new(), SetProperties::parse)), "parameter 251 (Properties) is missing");
}

#[test]
fn what_is_wanted_of_properties_is_a_mask_with_keys() {
    let get = with_raw(one(251, 2u8).with(249, vec![Value::from("255"), "hp".into()]), GetProperties::parse).unwrap();
    assert_eq!((get.game, get.actors), (false, true));
    assert_eq!(get.actor_keys, Some(vec![255u8.into(), "hp".into()]));
}

#[test]
fn groups_tell_nothing_from_all() {
    let change = with_raw(one(239, Value::Null).with(238, vec![0u8; 0]), ChangeGroups::parse).unwrap();
    assert_eq!((change.remove, change.add.as_deref()), (None, Some(&[][..])));
    let change = with_raw(one(238, vec![Value::Double(5.0)]), ChangeGroups::parse).unwrap();
    assert_eq!(change.add.as_deref(), Some(&[5][..]));
    assert!(with_raw(one(238, "x"), ChangeGroups::parse).is_err());
}

#[test]
fn a_malformed_leave_is_a_plain_one() {
    let leave = with_raw(one(233, "yes").with(234, "?"), Leave::parse);
    assert_eq!(leave, Leave::default());
    assert!(with_raw(one(233, true), Leave::parse).will_come_back);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u8>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9a-z]{0,3}".prop_map(Value::from),
        proptest::collection::vec(any::<i32>(), 0..4).prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((inner.clone(), inner), 0..4)
                .prop_map(|entries| Hashtable::from_iter(entries).into()),
        ]
    })
}

proptest! {
    #[test]
    fn any_parameters_are_read_or_refused_as_invalid(entries in proptest::collection::vec((190u8..=255, any_value()), 0..8)) {
        let mut parameters = Parameters::new();
        for (key, value) in entries {
            parameters.insert(key, value);
        }
        with_raw(parameters, |raw| {
            let refusals = [
                JoinRequest::parse(operation::JOIN_GAME, raw).err(),
                JoinRequest::parse(operation::CREATE_GAME, raw).err(),
                RaiseEvent::parse(raw, raise(0).route).err(),
                SetProperties::parse(raw).err(),
                GetProperties::parse(raw).err(),
                ChangeGroups::parse(raw).err(),
            ];
            for refusal in refusals.into_iter().flatten() {
                assert_eq!(refusal.code.0, -2);
                assert!(!refusal.message.is_empty());
            }
            let _ = Leave::parse(raw);
        });
    }
}
