//! Random histories against a slow model that keeps nothing but lists and counts everything anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lampyris_realtime::codes::key;
use lampyris_realtime::directory::request::JoinRandomRequest;
use lampyris_realtime::directory::{Effect, MasterPeer, MatchmakingMode, Settings};
use lampyris_realtime::report::RoomReport;
use lampyris_realtime::room::request::{JoinMode, JoinRequest, RoomFlags};
use lampyris_wire::{Hashtable, Value};
use proptest::prelude::*;

use crate::support::*;

/// Stays in the lobby and follows the updates.
const OBSERVER: u64 = 100;
/// Asks for a whole list after each step.
const VISITOR: u64 = 101;
const RESERVATION: Duration = Duration::from_secs(15);

#[derive(Clone, Debug)]
enum Step {
    Create { peer: u64, name: usize, max: u8, check: bool },
    Join { peer: u64, name: usize, mode: JoinMode, expected: Vec<u64> },
    Random { peer: u64, mode: MatchmakingMode, map: Option<u8>, expected: Vec<u64> },
    Created { name: usize, max: u8, map: u8, check: bool },
    Change { name: usize, open: bool, visible: bool },
    ActorJoined { name: usize, user: u64 },
    ActorInactive { name: usize, index: usize },
    ActorLeft { name: usize, index: usize },
    Expected { name: usize, users: Vec<u64> },
    Excluded { name: usize, user: u64 },
    Closed { name: usize },
    Pass { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let peer = 1..=4_u64;
    let user = 1..=6_u64;
    let name = 0..4_usize;
    let users = || prop::collection::btree_set(1..=6_u64, 0..3).prop_map(|users| users.into_iter().collect::<Vec<_>>());
    let mode = prop_oneof![
        3 => Just(JoinMode::Default),
        1 => Just(JoinMode::CreateIfNotExists),
        1 => Just(JoinMode::JoinOrRejoin)
    ];
    let matching = prop_oneof![Just(MatchmakingMode::FillRoom), Just(MatchmakingMode::Serial)];
    let map = prop::option::of(0..2_u8);
    prop_oneof![
        2 => (peer.clone(), name.clone(), 0..4_u8, any::<bool>())
            .prop_map(|(peer, name, max, check)| Step::Create { peer, name, max, check }),
        4 => (peer.clone(), name.clone(), mode, users())
            .prop_map(|(peer, name, mode, expected)| Step::Join { peer, name, mode, expected }),
        4 => (peer, matching, map, users())
            .prop_map(|(peer, mode, map, expected)| Step::Random { peer, mode, map, expected }),
        4 => (name.clone(), 0..4_u8, 0..2_u8, any::<bool>())
            .prop_map(|(name, max, map, check)| Step::Created { name, max, map, check }),
        2 => (name.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(name, open, visible)| Step::Change { name, open, visible }),
        4 => (name.clone(), user.clone()).prop_map(|(name, user)| Step::ActorJoined { name, user }),
        1 => (name.clone(), 0..4_usize).prop_map(|(name, index)| Step::ActorInactive { name, index }),
        2 => (name.clone(), 0..4_usize).prop_map(|(name, index)| Step::ActorLeft { name, index }),
        1 => (name.clone(), users()).prop_map(|(name, users)| Step::Expected { name, users }),
        1 => (name.clone(), user).prop_map(|(name, user)| Step::Excluded { name, user }),
        1 => name.prop_map(|name| Step::Closed { name }),
        2 => (1..9_u64).prop_map(|seconds| Step::Pass { seconds }),
    ]
}

type Answer = (u64, Result<String, i16>);

#[derive(Debug)]
struct Slot {
    serial: u64,
    peer: u64,
    expected: Vec<u64>,
    end: Duration,
}

#[derive(Debug, Default)]
struct ModelRoom {
    serial: u64,
    created: bool,
    open: bool,
    visible: bool,
    max: u8,
    map: Option<u8>,
    check: bool,
    /// Number, user, active.
    actors: Vec<(i32, u64, bool)>,
    slots: Vec<Slot>,
    expected: Vec<u64>,
    excluded: Vec<u64>,
    held: Vec<(u64, Vec<u64>)>,
}

impl ModelRoom {
    fn present(&self) -> Vec<u64> {
        self.actors.iter().map(|(_, user, _)| *user).chain(self.slots.iter().map(|slot| slot.peer)).collect()
    }

    fn reserved(&self) -> BTreeSet<u64> {
        self.expected.iter().chain(self.slots.iter().flat_map(|slot| &slot.expected)).copied().collect()
    }

    fn occupied(&self) -> usize {
        let present = self.present();
        present.len() + self.reserved().iter().filter(|user| !present.contains(user)).count()
    }

    fn free(&self) -> usize {
        if self.max == 0 { usize::MAX } else { usize::from(self.max).saturating_sub(self.occupied()) }
    }

    fn fits(&self, user: u64, expected: &[u64]) -> bool {
        let (present, reserved) = (self.present(), self.reserved());
        let all: BTreeSet<u64> = expected.iter().copied().chain([user]).collect();
        let new = all.iter().filter(|user| !present.contains(user) && !reserved.contains(user)).count();
        new + usize::from(!self.check && present.contains(&user)) <= self.free()
    }

    fn refusal(&self, user: u64, expected: &[u64], rejoins: bool) -> Option<i16> {
        if !rejoins {
            let has_place = self.reserved().contains(&user) && !self.present().contains(&user);
            if self.excluded.contains(&user) {
                return Some(EXCLUDED);
            }
            if self.free() == 0 && !has_place {
                return Some(FULL);
            }
            if !self.open {
                return Some(CLOSED);
            }
        }
        (!expected.is_empty() && !self.fits(user, expected)).then_some(SLOT_ERROR)
    }
}

#[derive(Debug, Default)]
struct Model {
    now: Duration,
    rooms: BTreeMap<String, ModelRoom>,
    serial: u64,
    slot_serial: u64,
    last_match: Option<u64>,
    actors: i32,
    answers: Vec<Answer>,
}

impl Model {
    fn new_room(&mut self, name: &str, max: u8, check: bool) -> &mut ModelRoom {
        self.serial += 1;
        let room = ModelRoom { serial: self.serial, open: true, visible: true, max, check, ..ModelRoom::default() };
        self.rooms.entry(name.to_owned()).or_insert(room)
    }

    fn keep(&mut self, name: &str, peer: u64, expected: &[u64], rejoins: bool) {
        let end = self.now + RESERVATION;
        self.slot_serial += 1;
        let serial = self.slot_serial;
        let room = self.rooms.get_mut(name).unwrap();
        if !(rejoins && room.actors.iter().any(|(_, user, _)| *user == peer)) {
            room.slots.push(Slot { serial, peer, expected: expected.to_vec(), end });
        }
        self.answers.push((peer, Ok(name.to_owned())));
    }

    fn admit(&mut self, name: &str, peer: u64, expected: &[u64], rejoins: bool) {
        let room = self.rooms.get_mut(name).unwrap();
        let own = room.slots.iter().position(|slot| slot.peer == peer).map(|index| room.slots.remove(index));
        match room.refusal(peer, expected, rejoins) {
            None => self.keep(name, peer, expected, rejoins),
            Some(code) => {
                room.slots.extend(own);
                self.answers.push((peer, Err(code)));
            }
        }
    }

    fn create(&mut self, name: &str, peer: u64, max: u8, check: bool, expected: &[u64]) {
        if self.rooms.contains_key(name) {
            self.answers.push((peer, Err(GAME_EXISTS)));
        } else {
            self.new_room(name, max, check);
            self.keep(name, peer, expected, false);
        }
    }

    fn remove(&mut self, name: &str) {
        for (peer, _) in self.rooms.remove(name).map(|room| room.held).unwrap_or_default() {
            self.answers.push((peer, Err(NOT_EXISTS)));
        }
    }

    fn end_slot(&mut self, name: &str, which: impl FnMut(&Slot) -> bool) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        let Some(index) = room.slots.iter().position(which) else { return };
        room.slots.remove(index);
        if !room.created && room.slots.is_empty() && room.actors.is_empty() {
            self.remove(name);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        let now = self.now;
        // Slots that end at one time end in the order in which they were taken.
        let due: BTreeSet<_> = self
            .rooms
            .iter()
            .flat_map(|(name, room)| room.slots.iter().map(move |slot| (slot.end, slot.serial, name.clone())))
            .filter(|(end, ..)| *end <= now)
            .collect();
        for (_, serial, name) in due {
            self.end_slot(&name, |slot| slot.serial == serial);
        }
    }

    fn find(&self, peer: u64, mode: MatchmakingMode, map: Option<u8>, expected: &[u64]) -> Option<String> {
        let mut rooms: Vec<_> = self.rooms.iter().collect();
        let after = self.last_match.filter(|_| mode == MatchmakingMode::Serial).unwrap_or(0);
        rooms.sort_by_key(|(_, room)| (room.serial <= after, room.serial));
        let suits = |room: &ModelRoom| {
            room.created
                && room.open
                && room.visible
                && room.free() > 0
                && !room.excluded.contains(&peer)
                && !(room.check && room.present().contains(&peer))
                && room.fits(peer, expected)
                && map.is_none_or(|map| room.map == Some(map))
        };
        rooms.into_iter().find(|(_, room)| suits(room)).map(|(name, _)| name.clone())
    }

    fn list(&self) -> BTreeMap<String, Hashtable> {
        let listed = self.rooms.iter().filter(|(_, room)| room.created && room.visible);
        let entry = |room: &ModelRoom| {
            let mut entry = Hashtable::from([(252_u8, room.occupied() as u8), (255, room.max)]);
            entry.insert(253_u8, room.open);
            if let Some(map) = room.map {
                entry.insert("map", i32::from(map));
            }
            entry
        };
        listed.map(|(name, room)| (name.clone(), entry(room))).collect()
    }

    fn players(&self) -> usize {
        self.rooms.values().flat_map(|room| &room.actors).filter(|(.., active)| *active).count()
    }
}

/// The directory and the model side by side, and what the observer has seen.
struct Both {
    world: World,
    model: Model,
    seen: BTreeMap<String, Hashtable>,
}

fn room_name(index: usize) -> String {
    format!("room {index}")
}

impl Both {
    fn new() -> Self {
        let settings = Settings { requests_per_peer: 1000, ..Settings::default() };
        let mut world = World::with(settings, 11);
        for number in [1, 2, 3, 4, OBSERVER, VISITOR] {
            world.peer(number);
        }
        world.join_lobby(MasterPeer(OBSERVER), &lobby(""));
        let model = Model { now: world.now, ..Model::default() };
        Self { world, model, seen: BTreeMap::new() }
    }

    fn report(&mut self, name: &str, report: RoomReport) {
        self.world.report(name, report);
    }

    #[expect(clippy::too_many_lines, reason = "one arm per kind of step")]
    fn run(&mut self, step: &Step) {
        match step {
            Step::Create { peer, name, max, check } => {
                let name = room_name(*name);
                let flags = RoomFlags::default().with(RoomFlags::CHECK_USER_ON_JOIN, *check);
                let game_properties = Hashtable::from([(255_u8, *max)]);
                let request = JoinRequest { flags, game_properties, ..named(&name) };
                let world = &mut self.world;
                world.directory.create_game(world.now, MasterPeer(*peer), &request, &mut world.effects);
                self.model.create(&name, *peer, *max, *check, &[]);
            }
            Step::Join { peer, name, mode, expected } => {
                let name = room_name(*name);
                self.world.send_join(MasterPeer(*peer), &expecting(with_mode(&name, *mode), expected));
                match self.model.rooms.get_mut(&name) {
                    None if *mode == JoinMode::Default => self.model.answers.push((*peer, Err(NOT_EXISTS))),
                    None => self.model.create(&name, *peer, 0, false, expected),
                    Some(room) if !room.created && *mode == JoinMode::Default => {
                        room.held.push((*peer, expected.clone()));
                    }
                    Some(_) => self.model.admit(&name, *peer, expected, mode.rejoins()),
                }
            }
            Step::Random { peer, mode, map, expected } => {
                let request = map.map_or_else(JoinRandomRequest::default, |map| filter([("map", i32::from(map))]));
                let expected_users = expected.iter().copied().map(user).collect();
                let request = JoinRandomRequest { mode: *mode, expected_users, ..request };
                let world = &mut self.world;
                world.directory.join_random(world.now, MasterPeer(*peer), &request, &mut world.effects);
                match self.model.find(*peer, *mode, *map, expected) {
                    None => self.model.answers.push((*peer, Err(NO_MATCH))),
                    Some(name) => {
                        self.model.last_match = Some(self.model.rooms[&name].serial);
                        self.model.keep(&name, *peer, expected, false);
                    }
                }
            }
            Step::Created { name, max, map, check } => {
                let name = room_name(*name);
                let mut properties = Hashtable::from([(255_u8, *max)]);
                properties.insert("map", i32::from(*map));
                let flags = RoomFlags::default().with(RoomFlags::CHECK_USER_ON_JOIN, *check);
                self.report(&name, RoomReport::Created { flags, lobby_name: None, lobby_type: 0, properties });
                if !self.model.rooms.contains_key(&name) {
                    self.model.new_room(&name, *max, *check);
                }
                let room = self.model.rooms.get_mut(&name).unwrap();
                (room.created, room.max, room.map, room.check) = (true, *max, Some(*map), *check);
                (room.open, room.visible) = (true, true);
                // A room is told of with all that there is.
                room.actors.clear();
                room.excluded.clear();
                room.expected.clear();
                for (peer, expected) in std::mem::take(&mut room.held) {
                    self.model.admit(&name, peer, &expected, false);
                }
            }
            Step::Change { name, open, visible } => {
                let name = room_name(*name);
                let changes = Hashtable::from([(253_u8, *open), (254, *visible)]);
                self.report(&name, RoomReport::PropertiesChanged(changes));
                if let Some(room) = self.model.rooms.get_mut(&name) {
                    (room.open, room.visible) = (*open, *visible);
                }
            }
            Step::ActorJoined { name, user: number } => {
                let name = room_name(*name);
                self.model.actors += 1;
                self.world.actor_joined(&name, self.model.actors, *number);
                if let Some(room) = self.model.rooms.get_mut(&name) {
                    room.actors.push((self.model.actors, *number, true));
                    self.model.end_slot(&name, |slot| slot.peer == *number);
                }
            }
            Step::ActorInactive { name, index } => {
                let name = room_name(*name);
                let Some(room) = self.model.rooms.get_mut(&name) else { return };
                let Some(actor) = room.actors.get_mut(*index) else { return };
                actor.2 = false;
                let number = actor.0;
                self.report(&name, inactive(number));
            }
            Step::ActorLeft { name, index } => {
                let name = room_name(*name);
                let Some(room) = self.model.rooms.get_mut(&name).filter(|room| *index < room.actors.len()) else {
                    return;
                };
                let (number, ..) = room.actors.remove(*index);
                self.report(&name, left(number));
            }
            Step::Expected { name, users } => {
                let name = room_name(*name);
                self.report(&name, RoomReport::ExpectedUsers(users.iter().copied().map(user).collect()));
                if let Some(room) = self.model.rooms.get_mut(&name) {
                    room.expected.clone_from(users);
                }
            }
            Step::Excluded { name, user: number } => {
                let name = room_name(*name);
                self.report(&name, RoomReport::Excluded { user_id: user(*number) });
                if let Some(room) = self.model.rooms.get_mut(&name) {
                    room.excluded.push(*number);
                }
            }
            Step::Closed { name } => {
                self.report(&room_name(*name), RoomReport::Closed);
                self.model.remove(&room_name(*name));
            }
            Step::Pass { seconds: count } => {
                // Second by second, so that both end places in the same order.
                for _ in 0..*count {
                    self.world.pass(seconds(1));
                    self.model.pass(seconds(1));
                }
            }
        }
    }

    /// Takes the effects: answers to compare, updates for the observer.
    fn answers(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        for effect in self.world.take() {
            match effect {
                Effect::Place { peer, room, .. } => answers.push((peer.0, Ok(room.to_string()))),
                Effect::Respond { peer, response } => answers.push((peer.0, Err(response.return_code))),
                Effect::LobbyEvent { event, .. } => {
                    for (name, entry) in rooms_in(&event) {
                        if entry.get_byte(251) == Some(&Value::Bool(true)) {
                            self.seen.remove(&name);
                        } else {
                            self.seen.insert(name, entry);
                        }
                    }
                }
                Effect::AppStats { event } => {
                    let totals = self.world.directory.totals();
                    assert_eq!(event.parameters.get(key::PEER_COUNT), Some(&Value::Int(totals.players as i32)));
                }
                other => panic!("{other:?}"),
            }
        }
        answers
    }

    fn check(&mut self) {
        let expected = std::mem::take(&mut self.model.answers);
        assert_eq!(self.answers(), expected);
        let totals = self.world.directory.totals();
        assert_eq!(totals.players as usize, self.model.players());
        assert_eq!(totals.rooms as usize, self.model.rooms.values().filter(|room| room.created).count());
        let visitor = MasterPeer(VISITOR);
        let list = event_to(visitor, &self.world.join_lobby(visitor, &lobby(""))[1]);
        let listed: BTreeMap<_, _> = rooms_in(&list).into_iter().collect();
        assert_eq!(listed, self.model.list(), "the list of a newcomer");
        let order: Vec<_> = names_in(&list).iter().map(|name| self.model.rooms[name].serial).collect();
        assert!(order.is_sorted(), "rooms are listed in the order of creation");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn the_directory_does_what_the_model_does(steps in prop::collection::vec(step(), 1..80)) {
        let mut both = Both::new();
        for step in &steps {
            both.run(step);
            both.check();
        }
        // Every place that nobody came for ends, with it every room that nobody made, and a second later all was told.
        both.run(&Step::Pass { seconds: 16 });
        both.check();
        prop_assert_eq!(&both.seen, &both.model.list(), "what updates led to");
        prop_assert!(both.model.rooms.values().all(|room| room.slots.is_empty()));
    }
}
