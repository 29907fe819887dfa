//! Random operations on the room and on a slow and obvious model of it: everybody must hear the same, in the same
//! order. A failing case prints its seed and the shortest sequence of operations.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lampyris_realtime::room::request::{
    CacheOperation, JoinMode, JoinRequest, PropertyTarget, RaiseEvent, ReceiverGroup, RoomFlags,
};
use lampyris_wire::Hashtable;
use proptest::prelude::*;
use stage::{Stage, cached, create, join, raise, set, ttl};

const EMPTY_ROOM_TTL_MS: u64 = 5000;

#[derive(Clone, Copy, Debug)]
struct Options {
    player_ttl_ms: u64,
    by_user: bool,
    delete_cache: bool,
    suppress: bool,
}

#[derive(Clone, Debug)]
enum Target {
    Group(ReceiverGroup),
    Interest(u8),
    Actors(Vec<i32>),
}

#[derive(Clone, Debug)]
enum Op {
    Join { peer: u64, user: u64, mode: JoinMode, force: bool },
    Leave { peer: u64, back: bool },
    Lose { peer: u64 },
    Raise { peer: u64, code: u8, data: i32, cache: CacheOperation, target: Target },
    RemoveCached { peer: u64, code: u8, actor: Option<i32> },
    RemoveLeft { peer: u64 },
    NextSlice { peer: u64 },
    Groups { peer: u64, remove: Option<Vec<u8>>, add: Option<Vec<u8>> },
    SetMaxPlayers { peer: u64, most: u8 },
    SetOpen { peer: u64, open: bool },
    SetMaster { peer: u64, actor: i32 },
    Pass { ms: u64 },
}

#[derive(Clone, Debug)]
struct Actor {
    number: i32,
    user: u64,
    /// `None`: inactive.
    peer: Option<u64>,
    until_ms: u64,
    /// Active actors are told in this order.
    turn: u64,
    groups: BTreeSet<u8>,
}

#[derive(Debug)]
struct Model {
    options: Options,
    now_ms: u64,
    actors: Vec<Actor>,
    last: i32,
    turns: u64,
    master: i32,
    open: bool,
    most: usize,
    slice: i32,
    /// Slice, sender, code, data.
    events: Vec<(i32, i32, u8, i32)>,
    by_actor: Vec<(i32, u8, i32)>,
    empty_since_ms: Option<u64>,
    closed: bool,
    lines: Vec<String>,
}

impl Model {
    fn new(options: Options) -> Self {
        Self {
            options,
            now_ms: 0,
            actors: Vec::new(),
            last: 0,
            turns: 0,
            master: 0,
            open: true,
            most: 0,
            slice: 0,
            events: Vec::new(),
            by_actor: Vec::new(),
            empty_since_ms: None,
            closed: false,
            lines: Vec::new(),
        }
    }

    fn active(&self) -> Vec<Actor> {
        let mut active: Vec<Actor> = self.actors.iter().filter(|a| a.peer.is_some()).cloned().collect();
        active.sort_by_key(|a| a.turn);
        active
    }

    fn numbers(&self) -> String {
        let numbers: Vec<String> = self.active().iter().map(|a| a.number.to_string()).collect();
        format!("({})", numbers.join(","))
    }

    fn all_numbers(&self) -> String {
        let inactive = self.actors.iter().filter(|a| a.peer.is_none()).cloned();
        let numbers: Vec<String> = self.active().into_iter().chain(inactive).map(|a| a.number.to_string()).collect();
        format!("({})", numbers.join(","))
    }

    fn say(&mut self, peer: u64, line: impl std::fmt::Display) {
        self.lines.push(format!("{peer}: {line}"));
    }

    fn say_all(&mut self, line: &str, to: impl Fn(&Actor) -> bool) {
        for actor in self.active().into_iter().filter(to) {
            self.say(actor.peer.unwrap(), line);
        }
    }

    fn refuse(&mut self, peer: u64, code: i32) {
        self.say(peer, format_args!("response 226 {code}"));
        self.say(peer, "disconnect JoinRefused");
    }

    fn join(&mut self, peer: u64, user: u64, mode: JoinMode, force: bool) {
        let Options { player_ttl_ms, by_user, suppress, .. } = self.options;
        let found = self.actors.iter().position(|a| by_user && a.user == user);
        let rejoins = mode.rejoins();
        if rejoins && player_ttl_ms == 0 && (mode == JoinMode::RejoinOnly || found.is_some()) {
            return self.refuse(peer, -3);
        }
        if !rejoins || (found.is_none() && mode != JoinMode::RejoinOnly) {
            if !self.open {
                return self.refuse(peer, 32764);
            }
            if self.most > 0 && self.actors.len() >= self.most {
                return self.refuse(peer, 32765);
            }
        }
        let (number, verb) = match found {
            None if mode == JoinMode::RejoinOnly => return self.refuse(peer, 32748),
            None => {
                self.last += 1;
                self.turns += 1;
                self.actors.push(Actor {
                    number: self.last,
                    user,
                    peer: Some(peer),
                    until_ms: 0,
                    turn: self.turns,
                    groups: BTreeSet::new(),
                });
                (self.last, if self.last == 1 { 227 } else { 226 })
            }
            Some(index) => {
                let old = self.actors[index].peer;
                match old {
                    Some(_) if !(rejoins && force) => return self.refuse(peer, 32746),
                    Some(old) => self.say(old, "disconnect TakenOver"),
                    None if !rejoins => return self.refuse(peer, 32749),
                    None => {
                        self.turns += 1;
                        self.actors[index].turn = self.turns;
                    }
                }
                self.actors[index].peer = Some(peer);
                (self.actors[index].number, 226)
            }
        };
        self.empty_since_ms = None;
        if self.master == 0 {
            self.master = number;
        }
        let list = if suppress { String::new() } else { format!(" 252={}", self.all_numbers()) };
        self.say(peer, format_args!("response {verb} 0 254={number}{list}"));
        if !suppress {
            let line = format!("event 255 254={number} 252={}", self.numbers());
            self.say_all(&line, |_| true);
        }
        for (sender, code, data) in self.by_actor.clone() {
            self.say(peer, format_args!("cached {code} by {sender} {data}"));
        }
        for slice in 0..=self.slice {
            if slice != 0 {
                self.say(peer, format_args!("event 250 254={number} 205={slice}"));
            }
            for (_, sender, code, data) in self.events.clone().into_iter().filter(|event| event.0 == slice) {
                self.say(peer, format_args!("cached {code} by {sender} {data}"));
            }
        }
    }

    fn go(&mut self, number: i32, back: bool) {
        let index = self.actors.iter().position(|a| a.number == number).unwrap();
        let stays = back && self.options.player_ttl_ms != 0;
        if stays {
            self.actors[index].peer = None;
            self.actors[index].until_ms = self.now_ms + self.options.player_ttl_ms;
        } else {
            self.actors.remove(index);
            if self.options.delete_cache {
                self.events.retain(|event| event.1 != number);
                self.by_actor.retain(|event| event.0 != number);
            }
        }
        let mut line = format!("event 254 254={number} 252={}", self.numbers());
        if stays {
            line += " 233=true";
        }
        if self.master == number {
            self.master = self.active().iter().map(|a| a.number).min().unwrap_or(0);
            line += &format!(" 203={}", self.master);
        }
        if !self.options.suppress {
            self.say_all(&line, |_| true);
        }
    }

    fn settle(&mut self) {
        if self.active().is_empty() && self.empty_since_ms.is_none() {
            self.empty_since_ms = Some(self.now_ms);
        }
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now_ms += 1;
            let over = |a: &&Actor| a.peer.is_none() && a.until_ms == self.now_ms;
            let ended: Vec<i32> = self.actors.iter().filter(over).map(|a| a.number).collect();
            for number in ended {
                self.go(number, false);
            }
            if self.empty_since_ms.is_some_and(|since| since + EMPTY_ROOM_TTL_MS == self.now_ms) {
                self.closed = true;
                return;
            }
        }
    }

    fn raise(&mut self, me: &Actor, code: u8, data: i32, cache: CacheOperation, target: &Target) {
        if let Target::Actors(actors) = target
            && actors.len() > 2 * self.actors.len()
        {
            return self.say(me.peer.unwrap(), "response 253 -2");
        }
        if matches!(target, Target::Group(ReceiverGroup::Others | ReceiverGroup::All)) {
            let place = self.by_actor.iter().position(|event| (event.0, event.1) == (me.number, code));
            match (cache, place) {
                (CacheOperation::AddToRoom, _) => self.events.push((self.slice, me.number, code, data)),
                (CacheOperation::AddToRoomGlobal, _) => self.events.push((self.slice, 0, code, data)),
                (CacheOperation::Replace, Some(place)) => self.by_actor[place].2 = data,
                (CacheOperation::Replace, None) => self.by_actor.push((me.number, code, data)),
                (CacheOperation::Remove, Some(place)) => drop(self.by_actor.remove(place)),
                _ => {}
            }
        }
        let line = format!("raised {code} by {} {data}", me.number);
        let (sender, master) = (me.number, self.master);
        self.say_all(&line, |actor| match target {
            Target::Group(ReceiverGroup::Others) => actor.number != sender,
            Target::Group(ReceiverGroup::All) => true,
            Target::Group(ReceiverGroup::MasterClient) => actor.number == master,
            Target::Interest(group) => actor.groups.contains(group) && actor.number != sender,
            Target::Actors(actors) => actors.contains(&actor.number),
        });
    }

    fn set(&mut self, me: &Actor, possible: bool, change: impl FnOnce(&mut Self) -> String) {
        let peer = me.peer.unwrap();
        if !possible {
            return self.say(peer, "response 252 -2");
        }
        self.say(peer, "response 252 0");
        let table = change(self);
        let sender = me.number;
        self.say_all(&format!("event 253 254={sender} 253=0 251={table}"), |actor| actor.number != sender);
    }

    fn apply(&mut self, op: &Op) {
        let seated = |peer: &u64| self.actors.iter().find(|a| a.peer == Some(*peer)).cloned();
        match op {
            Op::Join { peer, user, mode, force } => self.join(*peer, *user, *mode, *force),
            Op::Pass { ms } => self.pass(*ms),
            Op::Leave { peer, back } => {
                let me = seated(peer).unwrap();
                self.go(me.number, *back);
                self.say(*peer, "response 254 0");
                self.say(*peer, "disconnect Left");
                self.settle();
            }
            Op::Lose { peer } => {
                let me = seated(peer).unwrap();
                self.go(me.number, true);
                self.settle();
            }
            Op::Raise { peer, code, data, cache, target } => {
                let me = seated(peer).unwrap();
                self.raise(&me, *code, *data, *cache, target);
            }
            Op::RemoveCached { peer, code, actor } => {
                self.events.retain(|(_, sender, of, _)| {
                    (*code != 0 && code != of) || actor.is_some_and(|actor| actor != *sender)
                });
                self.say(*peer, "response 253 0");
            }
            Op::RemoveLeft { peer } => {
                let here: BTreeSet<i32> = self.active().iter().map(|a| a.number).chain([0]).collect();
                self.events.retain(|event| here.contains(&event.1));
                self.say(*peer, "response 253 0");
            }
            Op::NextSlice { peer } => {
                let number = seated(peer).unwrap().number;
                self.slice += 1;
                self.say_all(&format!("event 250 254={number} 205={}", self.slice), |_| true);
            }
            Op::Groups { peer, remove, add } => {
                let all: BTreeSet<u8> = self.actors.iter().flat_map(|a| a.groups.clone()).collect();
                let me = self.actors.iter_mut().find(|a| a.peer == Some(*peer)).unwrap();
                match remove {
                    Some(list) if list.is_empty() => me.groups.clear(),
                    list => list.iter().flatten().for_each(|group| me.groups.retain(|mine| mine != group)),
                }
                match add {
                    Some(list) if list.is_empty() => me.groups.extend(all),
                    list => me.groups.extend(list.iter().flatten()),
                }
            }
            Op::SetMaxPlayers { peer, most } => {
                let new = usize::from(*most);
                let possible = new == 0 || new == self.most || new >= self.actors.len();
                self.set(&seated(peer).unwrap(), possible, |model| {
                    model.most = new;
                    format!("{{255b:{most}b}}")
                });
            }
            Op::SetOpen { peer, open } => self.set(&seated(peer).unwrap(), true, |model| {
                model.open = *open;
                format!("{{253b:{open}}}")
            }),
            Op::SetMaster { peer, actor } => {
                let possible = self.active().iter().any(|a| a.number == *actor);
                self.set(&seated(peer).unwrap(), possible, |model| {
                    model.master = *actor;
                    format!("{{248b:{actor}}}")
                });
            }
        }
    }
}

fn perform(stage: &mut Stage, op: &Op) {
    let change = |key: u8, value: lampyris_wire::Value| set(PropertyTarget::Room, Hashtable::from([(key, value)]));
    match op {
        Op::Join { peer, user, mode, force } => {
            let request = JoinRequest { mode: *mode, force_rejoin: *force, ..join() };
            stage.join_as(*peer, &format!("u{user}"), None, request);
        }
        Op::Leave { peer, back } => stage.leave(*peer, *back),
        Op::Lose { peer } => stage.lose(*peer),
        Op::Raise { peer, code, data, cache, target } => {
            let event = RaiseEvent { cache: *cache, ..raise(*code) };
            let event = match target {
                Target::Group(receivers) => RaiseEvent { receivers: *receivers, ..event },
                Target::Interest(group) => RaiseEvent { group: *group, ..event },
                Target::Actors(actors) => {
                    let sorted: BTreeSet<i32> = actors.iter().copied().collect();
                    RaiseEvent { actors: Some(sorted.into_iter().collect()), listed: actors.len(), ..event }
                }
            };
            stage.raise_with(*peer, event, *data);
        }
        Op::RemoveCached { peer, code, actor } => {
            let actors = actor.map(|actor| vec![actor]);
            stage.raise(*peer, RaiseEvent { actors, ..cached(*code, CacheOperation::RemoveFromRoom) });
        }
        Op::RemoveLeft { peer } => stage.raise(*peer, cached(0, CacheOperation::RemoveFromRoomForActorsLeft)),
        Op::NextSlice { peer } => stage.raise(*peer, cached(0, CacheOperation::SliceIncrease)),
        Op::Groups { peer, remove, add } => stage.groups(*peer, remove.as_deref(), add.as_deref()),
        Op::SetMaxPlayers { peer, most } => stage.set(*peer, change(255, (*most).into())),
        Op::SetOpen { peer, open } => stage.set(*peer, change(253, (*open).into())),
        Op::SetMaster { peer, actor } => stage.set(*peer, change(248, (*actor).into())),
        Op::Pass { ms } => stage.pass(Duration::from_millis(*ms)),
    }
}

/// Join responses without their property tables.
fn short(line: String) -> String {
    match line.split_once(" 248=") {
        Some((head, rest)) if head.contains("response") => {
            let list = rest.split(' ').find(|word| word.starts_with("252="));
            list.map_or_else(|| head.to_owned(), |list| format!("{head} {list}"))
        }
        _ => line,
    }
}

fn any_op() -> impl Strategy<Value = Op> {
    let peer = 1..7u64;
    let groups = || proptest::option::of(proptest::collection::vec(1..4u8, 0..3));
    let mode = prop_oneof![Just(JoinMode::Default), Just(JoinMode::JoinOrRejoin), Just(JoinMode::RejoinOnly)];
    let cache = prop_oneof![
        Just(CacheOperation::DoNotCache),
        Just(CacheOperation::AddToRoom),
        Just(CacheOperation::AddToRoomGlobal),
        Just(CacheOperation::Replace),
        Just(CacheOperation::Remove)
    ];
    let target = prop_oneof![
        4 => Just(Target::Group(ReceiverGroup::Others)),
        2 => Just(Target::Group(ReceiverGroup::All)),
        1 => Just(Target::Group(ReceiverGroup::MasterClient)),
        2 => (1..4u8).prop_map(Target::Interest),
        2 => proptest::collection::vec(1..8i32, 1..5).prop_map(Target::Actors),
    ];
    let p = move || peer.clone();
    prop_oneof![
        6 => (p(), 1..5u64, mode, any::<bool>())
            .prop_map(|(peer, user, mode, force)| Op::Join { peer, user, mode, force }),
        2 => (p(), any::<bool>()).prop_map(|(peer, back)| Op::Leave { peer, back }),
        2 => p().prop_map(|peer| Op::Lose { peer }),
        6 => (p(), 1..4u8, any::<i32>(), cache, target)
            .prop_map(|(peer, code, data, cache, target)| Op::Raise { peer, code, data, cache, target }),
        1 => (p(), 0..4u8, proptest::option::of(0..5i32))
            .prop_map(|(peer, code, actor)| Op::RemoveCached { peer, code, actor }),
        1 => p().prop_map(|peer| Op::RemoveLeft { peer }),
        1 => p().prop_map(|peer| Op::NextSlice { peer }),
        2 => (p(), groups(), groups()).prop_map(|(peer, remove, add)| Op::Groups { peer, remove, add }),
        1 => (p(), 0..5u8).prop_map(|(peer, most)| Op::SetMaxPlayers { peer, most }),
        1 => (p(), any::<bool>()).prop_map(|(peer, open)| Op::SetOpen { peer, open }),
        1 => (p(), 1..6i32).prop_map(|(peer, actor)| Op::SetMaster { peer, actor }),
        2 => (1..4000u64).prop_map(|ms| Op::Pass { ms }),
    ]
}

fn peer_of(op: &Op) -> Option<u64> {
    match op {
        Op::Join { .. } | Op::Pass { .. } => None,
        Op::Leave { peer, .. }
        | Op::Lose { peer }
        | Op::Raise { peer, .. }
        | Op::RemoveCached { peer, .. }
        | Op::RemoveLeft { peer }
        | Op::NextSlice { peer }
        | Op::Groups { peer, .. }
        | Op::SetMaxPlayers { peer, .. }
        | Op::SetOpen { peer, .. }
        | Op::SetMaster { peer, .. } => Some(*peer),
    }
}

fn any_options() -> impl Strategy<Value = Options> {
    (prop_oneof![Just(0u64), Just(1000), Just(9000)], any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(player_ttl_ms, by_user, delete_cache, suppress)| Options { player_ttl_ms, by_user, delete_cache, suppress },
    )
}

fn check_invariants(stage: &Stage, model: &Model) {
    let room = stage.room();
    let active: BTreeMap<i32, u64> = room.active().map(|seat| (seat.actor, seat.peer.0)).collect();
    let expected: BTreeMap<i32, u64> = model.active().iter().map(|a| (a.number, a.peer.unwrap())).collect();
    assert_eq!(active, expected);
    assert_eq!(room.active().len(), active.len(), "each number once");
    assert_eq!(room.inactive().count(), model.actors.len() - active.len());
    assert_eq!(room.master_client(), model.master);
    assert!(active.contains_key(&model.master) || active.is_empty() && model.master == 0);
    assert_eq!(room.properties().get_byte(248).and_then(lampyris_wire::coerce::int), Some(model.master));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn a_room_does_what_the_model_does(options in any_options(), ops in proptest::collection::vec(any_op(), 1..60)) {
        let flags = RoomFlags::default()
            .with(RoomFlags::CHECK_USER_ON_JOIN, options.by_user)
            .with(RoomFlags::DELETE_CACHE_ON_LEAVE, options.delete_cache)
            .with(RoomFlags::SUPPRESS_ROOM_EVENTS, options.suppress);
        let mut stage = Stage::with(JoinRequest {
            flags,
            player_ttl: ttl(options.player_ttl_ms.try_into().unwrap()),
            empty_room_ttl: ttl(EMPTY_ROOM_TTL_MS.try_into().unwrap()),
            ..create()
        });
        let mut model = Model::new(options);
        model.join(1, 1, JoinMode::Default, false);
        for op in &ops {
            let heard: Vec<String> = stage.take().into_iter().map(short).collect();
            prop_assert_eq!(heard, std::mem::take(&mut model.lines));
            let has_seat = |peer| stage.seats.contains_key(&peer);
            // A client sends nothing without a seat, and one with a seat does not join.
            if peer_of(op).is_some_and(|peer| !has_seat(peer)) || matches!(op, Op::Join { peer, .. } if has_seat(*peer)) {
                continue;
            }
            perform(&mut stage, op);
            model.apply(op);
            prop_assert_eq!(stage.room.is_none(), model.closed);
            if model.closed {
                break;
            }
            check_invariants(&stage, &model);
        }
        let heard: Vec<String> = stage.take().into_iter().map(short).collect();
        prop_assert_eq!(heard, model.lines);
    }
}
