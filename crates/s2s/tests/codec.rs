//! What is told arrives, whatever it is and however it is cut; what is not said right ends the link and nothing else.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Pair, key, registration};
use lampyris_realtime::report::RoomReport;
use lampyris_realtime::room::request::RoomFlags;
use lampyris_s2s::{
    Config, GameEnd, GameEvent, LOAD_LEVELS, LinkError, MAX_FRAME_BYTES, MAX_HANDSHAKE_BYTES, MasterEnd, MasterEvent,
    News, State, Status,
};
use lampyris_wire::{Hashtable, Value};
use proptest::prelude::*;

const NOW: Duration = Duration::from_secs(1);

fn text() -> impl Strategy<Value = Arc<str>> {
    "\\PC{0,12}".prop_map(Arc::from)
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<u8>().prop_map(Value::Byte),
        any::<i32>().prop_map(Value::Int),
        any::<f64>().prop_map(Value::Double),
        text().prop_map(Value::String),
        prop::collection::vec(text(), 0..4).prop_map(Value::StringArray),
        prop::collection::vec(any::<i64>(), 0..4).prop_map(Value::LongArray),
    ]
}

fn table() -> impl Strategy<Value = Hashtable> {
    let key = prop_oneof![any::<u8>().prop_map(Value::Byte), text().prop_map(Value::String)];
    prop::collection::vec((key, value()), 0..6).prop_map(|entries| entries.into_iter().collect())
}

fn report() -> impl Strategy<Value = RoomReport> {
    prop_oneof![
        (any::<i32>(), prop::option::of(text()), any::<u8>(), table()).prop_map(
            |(flags, lobby_name, lobby_type, properties)| RoomReport::Created {
                flags: RoomFlags(flags),
                lobby_name,
                lobby_type,
                properties
            }
        ),
        table().prop_map(RoomReport::PropertiesChanged),
        (any::<i32>(), text(), any::<bool>()).prop_map(|(actor, user_id, rejoined)| RoomReport::ActorJoined {
            actor,
            user_id,
            rejoined
        }),
        (any::<i32>(), text()).prop_map(|(actor, user_id)| RoomReport::ActorInactive { actor, user_id }),
        (any::<i32>(), text()).prop_map(|(actor, user_id)| RoomReport::ActorLeft { actor, user_id }),
        text().prop_map(|user_id| RoomReport::JoinFailed { user_id }),
        prop::collection::vec(text(), 0..5).prop_map(RoomReport::ExpectedUsers),
        text().prop_map(|user_id| RoomReport::Excluded { user_id }),
        Just(RoomReport::Closed),
    ]
}

fn news() -> impl Strategy<Value = News> {
    let state = prop_oneof![Just(State::Normal), Just(State::OutOfRotation), Just(State::Offline)];
    prop_oneof![
        prop::collection::vec((text(), report()), 1..6).prop_map(News::Reports),
        Just(News::Synced),
        (state, 0..LOAD_LEVELS, any::<u32>()).prop_map(|(state, load_level, peers)| News::Status(Status {
            state,
            load_level,
            peers
        })),
    ]
}

proptest! {
    #[test]
    fn what_a_game_server_tells_arrives_in_order(told in prop::collection::vec(news(), 0..8), piece in 1..50_usize) {
        let mut pair = Pair::up(NOW);
        pair.piece = piece;
        for news in &told {
            pair.game.tell(NOW, news);
        }
        pair.carry(NOW);
        let heard: Vec<_> = std::iter::from_fn(|| pair.master.poll_event()).collect();
        let expected: Vec<_> = told.into_iter().map(MasterEvent::News).collect();
        prop_assert_eq!(heard, expected);
        prop_assert_eq!(pair.game.unsaid(), 0);
    }

    #[test]
    fn any_bytes_end_the_link_at_most(bytes in prop::collection::vec(any::<u8>(), 0..300), up in any::<bool>()) {
        let mut pair = if up { Pair::up(NOW) } else { Pair::new(NOW) };
        pair.master.receive(NOW, &bytes);
        pair.game.receive(NOW, &bytes);
        let downs = std::iter::from_fn(|| pair.master.poll_event()).filter(|event| matches!(event, MasterEvent::Down(_)));
        prop_assert!(downs.count() <= 1);
        let downs = std::iter::from_fn(|| pair.game.poll_event()).filter(|event| matches!(event, GameEvent::Down(_)));
        prop_assert!(downs.count() <= 1);
    }

    #[test]
    fn a_changed_byte_of_the_handshake_lets_nobody_in(at in 0..400_usize, bit in 0..8_u32) {
        let mut pair = Pair::new(NOW);
        let hello = pair.game.output().to_vec();
        pair.game.consume_output(hello.len());
        pair.master.receive(NOW, &hello);
        let challenge = pair.master.output().to_vec();
        pair.master.consume_output(challenge.len());
        pair.game.receive(NOW, &challenge);
        let mut register = pair.game.output().to_vec();
        let at = at % register.len();
        register[at] ^= 1 << bit;
        pair.master.receive(NOW, &register);
        let events: Vec<_> = std::iter::from_fn(|| pair.master.poll_event()).collect();
        let is_registering = events.iter().any(|event| matches!(event, MasterEvent::Registering(_)));
        prop_assert!(!is_registering, "{events:?}");
    }
}

#[test]
fn many_reports_go_in_several_frames_and_one_that_is_too_long_is_left_out() {
    let mut pair = Pair::up(NOW);
    let large = Hashtable::from([("map", Value::from(vec![7_u8; 100_000]))]);
    let too_large = Hashtable::from([("map", Value::from(vec![7_u8; MAX_FRAME_BYTES]))]);
    let mut told: Vec<(Arc<str>, RoomReport)> =
        (0..100).map(|n| (n.to_string().into(), RoomReport::PropertiesChanged(large.clone()))).collect();
    told.insert(50, ("x".into(), RoomReport::PropertiesChanged(too_large)));
    pair.game.tell(NOW, &News::Reports(told.clone()));
    pair.carry(NOW);
    told.remove(50);
    let mut heard = Vec::new();
    let mut frames = 0;
    while let Some(event) = pair.master.poll_event() {
        let MasterEvent::News(News::Reports(reports)) = event else { panic!("{event:?}") };
        heard.extend(reports);
        frames += 1;
    }
    assert_eq!(heard, told);
    assert!(frames > 50, "{frames}");
    assert_eq!(pair.game.unsaid(), 1);
}

#[test]
fn frames_have_a_length_that_is_small_before_registration() {
    let length = |bytes: usize| u32::try_from(bytes).unwrap().to_be_bytes();
    let config = || Arc::new(Config { key: key(b"secret"), ping_interval: Duration::from_secs(2) });
    for (found, over) in [(MAX_HANDSHAKE_BYTES, false), (MAX_HANDSHAKE_BYTES + 1, true), (0, true)] {
        let mut master = MasterEnd::new(NOW, config(), [1; 32]);
        master.receive(NOW, &length(found));
        let down = master.poll_event();
        let expected = MasterEvent::Down(LinkError::FrameLength { limit: MAX_HANDSHAKE_BYTES, found });
        assert_eq!(down, over.then_some(expected));
    }
    let mut pair = Pair::up(NOW);
    pair.master.receive(NOW, &length(MAX_FRAME_BYTES));
    assert_eq!(pair.master.poll_event(), None);
    let mut game = GameEnd::new(NOW, config(), registration(1), [2; 32]);
    game.receive(NOW, &length(MAX_HANDSHAKE_BYTES + 1));
    assert!(matches!(game.poll_event(), Some(GameEvent::Down(LinkError::FrameLength { .. }))));
}
