//! What the directory knows of one room: who takes a place in it, and what its lobby lists.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use indexmap::IndexSet;
use lampyris_wire::{Hashtable, Value, coerce};

use super::lobby::{LobbyId, Shelf};
use super::request::{Filter, player_limit};
use super::{GameServerId, MasterPeer};
use crate::codes::{Refusal, ReturnCode};
use crate::properties::{self, room_key};
use crate::room::request::{JoinRequest, RoomFlags};

/// A room, in the order of creation; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct RoomId(pub(super) u64);

impl RoomId {
    pub(super) const FIRST: Self = Self(0);
}

/// Names one reservation among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReservationId(pub(super) u64);

/// A place kept for a user on the way from the master to the game server, and for those who are to follow.
#[derive(Debug)]
pub(super) struct Reservation {
    pub(super) id: ReservationId,
    pub(super) peer: MasterPeer,
    pub(super) user: Arc<str>,
    expected: Vec<Arc<str>>,
}

#[derive(Debug)]
pub(super) struct Actor {
    pub(super) user: Arc<str>,
    pub(super) active: bool,
}

/// A join that waits until the room exists on its game server.
#[derive(Debug)]
pub(super) struct HeldJoin {
    pub(super) peer: MasterPeer,
    pub(super) request: JoinRequest,
}

/// What the game server says of a room's properties: the well-known ones and those that the lobby knows.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) open: bool,
    pub(super) visible: bool,
    /// 0 is unlimited.
    pub(super) max_players: u32,
    table: Hashtable,
}

impl Listing {
    fn new(table: &Hashtable) -> Self {
        let mut listing = Self { open: true, visible: true, max_players: 0, table: Hashtable::new() };
        listing.change(table);
        listing
    }

    fn change(&mut self, changes: &Hashtable) {
        if changes.get_byte(room_key::PROPS_LISTED_IN_LOBBY).is_some() {
            // Another choice of listed keys comes with all that they show.
            self.table.retain(|key, _| is_well_known(key));
        }
        properties::merge(&mut self.table, changes, true);
        let flag = |key| self.table.get_byte(key).and_then(coerce::bool).unwrap_or(true);
        (self.open, self.visible) = (flag(room_key::IS_OPEN), flag(room_key::IS_VISIBLE));
        self.max_players = player_limit(&self.table);
    }

    /// The room's own properties that the lobby shows.
    fn custom(&self) -> impl Iterator<Item = (&Value, &Value)> {
        self.table.iter().filter(|(key, _)| !is_well_known(key))
    }

    /// One of them.
    pub(super) fn get(&self, key: &Value) -> Option<&Value> {
        self.table.get(key).filter(|_| !is_well_known(key))
    }
}

fn is_well_known(key: &Value) -> bool {
    matches!(key, Value::Byte(room_key::EMPTY_ROOM_TTL..=room_key::MAX_PLAYERS | room_key::MAX_PLAYERS_INT))
}

#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: Arc<str>,
    pub(super) lobby: LobbyId,
    pub(super) server: GameServerId,
    /// Whether the game server has it.
    pub(super) is_created: bool,
    /// Whether a user may be in it once only.
    pub(super) check_users: bool,
    pub(super) listing: Listing,
    pub(super) shelf: Option<Shelf>,
    pub(super) held: Vec<HeldJoin>,
    pub(super) excluded: IndexSet<Arc<str>>,
    pub(super) expected: IndexSet<Arc<str>>,
    actors: BTreeMap<i32, Actor>,
    active: u32,
    reservations: Vec<Reservation>,
    /// How often each user is there: as active or inactive actor, or with a reservation.
    users: HashMap<Arc<str>, u32>,
    /// Places taken: active and inactive actors, users on their way, and users with a slot who are neither.
    occupied: u32,
}

impl Room {
    pub(super) fn new(name: Arc<str>, lobby: LobbyId, server: GameServerId, properties: &Hashtable) -> Self {
        Self {
            name,
            lobby,
            server,
            is_created: false,
            check_users: false,
            listing: Listing::new(properties),
            shelf: None,
            held: Vec::new(),
            excluded: IndexSet::new(),
            expected: IndexSet::new(),
            actors: BTreeMap::new(),
            active: 0,
            reservations: Vec::new(),
            users: HashMap::new(),
            occupied: 0,
        }
    }

    /// The room exists on its game server: with these properties and no others.
    pub(super) fn created(&mut self, check_users: bool, properties: &Hashtable) {
        self.check_users = check_users;
        self.listing = Listing::new(properties);
        self.change_expected(properties);
    }

    /// Properties that changed; null means not there any more.
    pub(super) fn change_properties(&mut self, changes: &Hashtable) {
        self.listing.change(changes);
        self.change_expected(changes);
    }

    fn change_expected(&mut self, changes: &Hashtable) {
        if let Some(users) = changes.get_byte(room_key::EXPECTED_USERS) {
            self.expected = coerce::strings(users).unwrap_or_default().into_iter().collect();
        }
    }

    pub(super) fn active(&self) -> u32 {
        self.active
    }

    pub(super) fn actors(&self) -> impl Iterator<Item = &Actor> {
        self.actors.values()
    }

    pub(super) fn reservations(&self) -> &[Reservation] {
        &self.reservations
    }

    pub(super) fn is_deserted(&self) -> bool {
        self.actors.is_empty() && self.reservations.is_empty()
    }

    pub(super) fn has_user(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    /// Whether the user is an active actor or on the way.
    pub(super) fn is_user_here(&self, user: &str) -> bool {
        self.reservations.iter().any(|reservation| &*reservation.user == user)
            || self.actors.values().any(|actor| actor.active && &*actor.user == user)
    }

    fn has_actor_of(&self, user: &str) -> bool {
        self.actors.values().any(|actor| &*actor.user == user)
    }

    fn slots(&self) -> impl Iterator<Item = &Arc<str>> {
        self.expected.iter().chain(self.reservations.iter().flat_map(|reservation| &reservation.expected))
    }

    fn has_slot(&self, user: &str) -> bool {
        self.slots().any(|expected| &**expected == user)
    }

    /// Brings the number of taken places up to date; to be called after each change of who is there.
    pub(super) fn recount(&mut self) {
        let absent: IndexSet<_> = self.slots().filter(|user| !self.has_user(user)).collect();
        let count = self.actors.len().saturating_add(self.reservations.len()).saturating_add(absent.len());
        self.occupied = u32::try_from(count).unwrap_or(u32::MAX);
    }

    fn free(&self) -> u32 {
        match self.listing.max_players {
            0 => u32::MAX,
            max => max.saturating_sub(self.occupied),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.free() == 0
    }

    /// Whether `user`, who needs a place unless one is kept for it, and all of `expected` fit.
    pub(super) fn fits(&self, user: &str, expected: &[Arc<str>]) -> bool {
        let mut newcomers: IndexSet<&str> = expected.iter().map(|user| &**user).collect();
        newcomers.insert(user);
        newcomers.retain(|newcomer| !self.has_user(newcomer) && !self.has_slot(newcomer));
        // Where users are not checked, one that is here already may come once more.
        let again = !self.check_users && self.has_user(user);
        let needed = newcomers.len().saturating_add(usize::from(again));
        u32::try_from(needed).is_ok_and(|needed| needed <= self.free())
    }

    /// The checks of a join by name to a room that exists (operations.md 2.4.2, steps 4 and 5).
    pub(super) fn admit(&self, user: &str, request: &JoinRequest) -> Result<(), Refusal> {
        if !request.mode.rejoins() {
            if self.excluded.contains(user) {
                return Err(Refusal::new(
                    ReturnCode::JOIN_FAILED_FOUND_EXCLUDED_USER_ID,
                    format!("user {user:?} is banned from the room"),
                ));
            }
            if self.is_full() && (self.has_user(user) || !self.has_slot(user)) {
                let max = self.listing.max_players;
                return Err(Refusal::new(ReturnCode::GAME_FULL, format!("all {max} places of the room are taken")));
            }
            if !self.listing.open {
                return Err(Refusal::new(ReturnCode::GAME_CLOSED, "the room is closed"));
            }
            if request.flags.contains(RoomFlags::CHECK_USER_ON_JOIN) && self.has_user(user) {
                return Err(Refusal::new(
                    ReturnCode::JOIN_FAILED_PEER_ALREADY_JOINED,
                    format!("user {user:?} is in the room or on the way to it"),
                ));
            }
        }
        if !request.expected_users.is_empty() && !self.fits(user, &request.expected_users) {
            return Err(Refusal::new(
                ReturnCode::SLOT_ERROR,
                format!(
                    "expected {} free places for the expected users, found {}",
                    request.expected_users.len(),
                    self.free()
                ),
            ));
        }
        Ok(())
    }

    /// Whether join-random may lead `user` here, besides what the shelf says.
    pub(super) fn suits(&self, user: &str, expected: &[Arc<str>], filter: &Filter) -> bool {
        let barred = self.excluded.contains(user) || (self.check_users && self.has_user(user));
        !barred && self.fits(user, expected) && filter.matches(self)
    }

    /// Keeps a place for a user on the way. Who comes back to an actor of its own needs none.
    pub(super) fn reserve(
        &mut self,
        id: ReservationId,
        peer: MasterPeer,
        user: &Arc<str>,
        expected: &[Arc<str>],
        rejoin: bool,
    ) -> bool {
        if rejoin && self.has_actor_of(user) {
            return false;
        }
        self.put_reservation(Reservation { id, peer, user: user.clone(), expected: expected.to_vec() });
        true
    }

    /// Takes out the first reservation for which `which` says so.
    pub(super) fn take_reservation(&mut self, which: impl FnMut(&Reservation) -> bool) -> Option<Reservation> {
        let index = self.reservations.iter().position(which)?;
        let reservation = self.reservations.remove(index);
        self.remove_user(&reservation.user);
        Some(reservation)
    }

    pub(super) fn put_reservation(&mut self, reservation: Reservation) {
        self.add_user(reservation.user.clone());
        self.reservations.push(reservation);
    }

    /// An actor is active from now on, as `user`.
    pub(super) fn actor_joined(&mut self, number: i32, user: Arc<str>) {
        self.actor_left(number);
        self.add_user(user.clone());
        self.actors.insert(number, Actor { user, active: true });
        self.active += 1;
    }

    /// An actor is inactive from now on; gives its user.
    pub(super) fn actor_inactive(&mut self, number: i32) -> Option<Arc<str>> {
        let actor = self.actors.get_mut(&number)?;
        if actor.active {
            actor.active = false;
            self.active -= 1;
        }
        Some(actor.user.clone())
    }

    /// An actor is gone; gives its user.
    pub(super) fn actor_left(&mut self, number: i32) -> Option<Arc<str>> {
        let actor = self.actors.remove(&number)?;
        if actor.active {
            self.active -= 1;
        }
        self.remove_user(&actor.user);
        Some(actor.user)
    }

    /// All actors are gone; gives their users.
    pub(super) fn forget_actors(&mut self) -> Vec<Arc<str>> {
        let numbers: Vec<_> = self.actors.keys().copied().collect();
        numbers.into_iter().filter_map(|number| self.actor_left(number)).collect()
    }

    fn add_user(&mut self, user: Arc<str>) {
        *self.users.entry(user).or_default() += 1;
    }

    fn remove_user(&mut self, user: &str) {
        if let Some(count) = self.users.get_mut(user) {
            *count -= 1;
            if *count == 0 {
                self.users.remove(user);
            }
        }
    }

    /// Where the room belongs in its lobby: only visible rooms that exist on their game server are listed.
    pub(super) fn right_shelf(&self) -> Option<Shelf> {
        if !self.is_created || !self.listing.visible {
            None
        } else if !self.listing.open {
            Some(Shelf::Closed)
        } else if self.is_full() {
            Some(Shelf::Full)
        } else {
            Some(Shelf::Joinable)
        }
    }

    /// The room's entry in a list. More than 255 do not fit the old byte keys: then MaxPlayers is 0 there and an
    /// `int` of its own beside it, and the player count is an `int`.
    pub(super) fn entry(&self) -> Hashtable {
        let mut entry: Hashtable = self.listing.custom().map(|(key, value)| (key.clone(), value.clone())).collect();
        entry.insert(room_key::PLAYER_COUNT, self.player_count());
        entry.insert(room_key::IS_OPEN, self.listing.open);
        match u8::try_from(self.listing.max_players) {
            Ok(max) => {
                entry.insert(room_key::MAX_PLAYERS, max);
            }
            Err(_) => {
                entry.insert(room_key::MAX_PLAYERS, 0_u8);
                entry.insert(room_key::MAX_PLAYERS_INT, i32::try_from(self.listing.max_players).unwrap_or(i32::MAX));
            }
        }
        entry
    }

    pub(super) fn player_count(&self) -> Value {
        u8::try_from(self.occupied)
            .map_or_else(|_| Value::Int(i32::try_from(self.occupied).unwrap_or(i32::MAX)), Value::Byte)
    }
}
