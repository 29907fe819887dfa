//! Creating a room, joining it, coming back to it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use lampyris_wire::{Event, Hashtable, Parameters, Value};

use super::cache::EventCache;
use super::effect::{DisconnectReason, Effect, Effects, PeerKey, RoomReport};
use super::request::{JoinMode, JoinRequest, RoomFlags};
use super::roster::{Actor, Presence, Roster, Seat};
use super::settings::RoomSettings;
use super::{Known, Room, RoomCounters, properties_changed};
use crate::codes::{self, Refusal, ReturnCode, event, key, operation};
use crate::properties::{self, actor_key, room_key};

/// The plugin that rooms have when nothing else is said.
pub const DEFAULT_PLUGIN: &str = "Default";

/// Who joins: the connection and what its token says.
#[derive(Clone, Debug)]
pub struct Joiner {
    /// The connection.
    pub peer: PeerKey,
    /// User id of the token.
    pub user_id: Arc<str>,
    /// Session id of the token: two connections with the same user and session id are one client.
    pub session_id: Option<Arc<str>>,
}

/// How a joiner gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// As a new actor with this number.
    New(i32),
    /// As the inactive actor with this number.
    Rejoin(i32),
    /// In place of the connection of the active actor with this number.
    TakeOver(i32),
}

impl Entry {
    fn number(self) -> i32 {
        match self {
            Self::New(number) | Self::Rejoin(number) | Self::TakeOver(number) => number,
        }
    }

    fn is_new(self) -> bool {
        matches!(self, Self::New(_))
    }
}

impl Room {
    /// Creates the room with its first actor, by CreateGame or by JoinGame with mode 1. `None` if that is refused.
    pub fn create(
        now: Duration,
        name: Arc<str>,
        settings: Arc<RoomSettings>,
        joiner: &Joiner,
        request: JoinRequest,
        effects: &mut Effects,
    ) -> Option<(Self, Seat)> {
        match Self::found(name, settings, joiner, &request) {
            Ok(mut room) => {
                effects.report(room.created_report());
                room.empty_since = Some(now);
                let seat = room.admit(Entry::New(1), joiner, request, effects);
                Some((room, seat))
            }
            Err(refusal) => {
                refuse(joiner, request.operation, refusal, effects);
                None
            }
        }
    }

    /// Lets a peer in: as a new actor, or as one that it was before. `None` if that is refused.
    pub fn join(
        &mut self,
        now: Duration,
        joiner: &Joiner,
        request: JoinRequest,
        effects: &mut Effects,
    ) -> Option<Seat> {
        match self.entry(now, joiner, &request) {
            Ok(entry) => Some(self.admit(entry, joiner, request, effects)),
            Err(refusal) => {
                self.counters.joins_refused += 1;
                refuse(joiner, request.operation, refusal, effects);
                None
            }
        }
    }

    /// A room without actors, as the request wants it.
    fn found(
        name: Arc<str>,
        settings: Arc<RoomSettings>,
        joiner: &Joiner,
        request: &JoinRequest,
    ) -> Result<Self, Refusal> {
        if request.operation == operation::JOIN_GAME && request.mode != JoinMode::CreateIfNotExists {
            return Err(Refusal::new(ReturnCode::GAME_ID_NOT_EXISTS, "there is no room of this name"));
        }
        check_plugins(request)?;
        let flags = request.flags.masked(settings.flags_and, settings.flags_or);
        if flags.contains(RoomFlags::CHECK_USER_ON_JOIN) && joiner.user_id.is_empty() {
            return Err(Refusal::invalid("a room with CheckUserOnJoin needs a user id, got an empty one"));
        }
        check_empty_room_ttl(request.empty_room_ttl, &settings)?;
        let properties = first_properties(request, flags);
        let room = Self {
            name,
            flags,
            lobby: (request.lobby_name.clone(), request.lobby_type.unwrap_or(0)),
            known: Known::read(&properties),
            property_bytes: properties::table_bytes(&properties),
            properties,
            settings,
            roster: Roster::default(),
            master: 0,
            excluded: Vec::new(),
            cache: EventCache::new(),
            empty_since: None,
            closed: false,
            counters: RoomCounters::default(),
        };
        room.check_request_table(&request.game_properties)?;
        room.check_slice(request)?;
        room.check_joiner_properties(&request.actor_properties)?;
        room.check_slots(&joiner.user_id, true, &request.expected_users)?;
        Ok(room)
    }

    /// How the joiner gets in, or why not. Changes nothing.
    fn entry(&self, now: Duration, joiner: &Joiner, request: &JoinRequest) -> Result<Entry, Refusal> {
        if self.closed {
            return Err(Refusal::new(ReturnCode::GAME_ID_NOT_EXISTS, "the room is gone"));
        }
        if request.operation == operation::CREATE_GAME {
            return Err(Refusal::new(ReturnCode::GAME_ID_ALREADY_EXISTS, "a room of this name exists"));
        }
        if self.roster.peers().any(|peer| peer == joiner.peer) {
            return Err(Refusal::new(
                ReturnCode::JOIN_FAILED_PEER_ALREADY_JOINED,
                "this connection is in the room already",
            ));
        }
        check_plugins(request)?;
        let by_user = self.flags.contains(RoomFlags::CHECK_USER_ON_JOIN);
        if by_user && joiner.user_id.is_empty() {
            return Err(Refusal::invalid("the room checks user ids, got an empty one"));
        }
        if by_user && self.excluded.contains(&joiner.user_id) {
            return Err(Refusal::new(
                ReturnCode::JOIN_FAILED_FOUND_EXCLUDED_USER_ID,
                "the user is excluded from the room",
            ));
        }
        let known = if by_user { self.roster.of_user(&joiner.user_id) } else { self.roster.get(request.actor) };
        if request.mode.rejoins() {
            self.check_rejoin(joiner, request, known)?;
        }
        if !request.mode.rejoins() || (known.is_none() && request.mode == JoinMode::JoinOrRejoin) {
            self.check_room_for(joiner)?;
        }
        self.check_slice(request)?;
        let entry = match known {
            Some(actor) => known_entry(now, actor, by_user, joiner, request)?,
            None if request.mode == JoinMode::RejoinOnly || (!by_user && request.actor != 0) => {
                return Err(Refusal::new(
                    ReturnCode::JOIN_FAILED_WITH_REJOINER_NOT_FOUND,
                    "there is no actor of this user or number to come back as",
                ));
            }
            None => Entry::New(self.roster.next_number().ok_or_else(full)?),
        };
        self.check_joiner_properties(&request.actor_properties)?;
        self.check_slots(&joiner.user_id, entry.is_new(), &request.expected_users)?;
        Ok(entry)
    }

    /// Whether coming back is possible at all.
    fn check_rejoin(&self, joiner: &Joiner, request: &JoinRequest, known: Option<&Actor>) -> Result<(), Refusal> {
        let only = request.mode == JoinMode::RejoinOnly;
        if self.known.player_ttl.is_zero() && (only || known.is_some() || self.holds_slot(&joiner.user_id)) {
            return Err(Refusal::denied("rejoin is not supported in a room with PlayerTTL 0"));
        }
        if self.cache.is_discarded() && (only || known.is_some()) {
            return Err(Refusal::new(ReturnCode::EVENT_CACHE_EXCEEDED, "the event cache was discarded"));
        }
        Ok(())
    }

    /// Whether a new actor may come in.
    fn check_room_for(&self, joiner: &Joiner) -> Result<(), Refusal> {
        if !self.known.is_open {
            return Err(Refusal::new(ReturnCode::GAME_CLOSED, "the room is closed"));
        }
        let most = self.known.max_players;
        let is_full = most > 0 && self.occupied_slots() >= most && !self.holds_slot(&joiner.user_id);
        if is_full || self.roster.actors().len() >= self.settings.actors {
            return Err(full());
        }
        Ok(())
    }

    /// Whether a slot is reserved for a user who is not here.
    fn holds_slot(&self, user_id: &Arc<str>) -> bool {
        self.known.expected_users.contains(user_id) && self.roster.of_user(user_id).is_none()
    }

    fn check_slice(&self, request: &JoinRequest) -> Result<(), Refusal> {
        match request.slice {
            Some(index) if !self.cache.has_slice(index) => {
                Err(Refusal::invalid(format!("parameter 205 (CacheSliceIndex): there is no slice {index}")))
            }
            _ => Ok(()),
        }
    }

    fn check_joiner_properties(&self, table: &Hashtable) -> Result<(), Refusal> {
        self.check_request_table(table)?;
        let total = self.property_bytes.saturating_add(properties::table_bytes(table));
        if total > self.settings.property_bytes_per_room {
            return Err(Refusal::invalid(format!(
                "expected at most {} bytes of properties in the room, got {total}",
                self.settings.property_bytes_per_room
            )));
        }
        Ok(())
    }

    /// Whether there is room for the joiner and all whom he and the room expect.
    fn check_slots(&self, joiner: &str, is_new: bool, added: &[Arc<str>]) -> Result<(), Refusal> {
        let most = self.known.max_players;
        if added.is_empty() {
            return Ok(());
        }
        let users = union(&self.known.expected_users, added);
        if users.len() > super::request::MAX_EXPECTED_USERS {
            return Err(Refusal::new(
                ReturnCode::SLOT_ERROR,
                format!("expected at most {} reserved slots, got {}", super::request::MAX_EXPECTED_USERS, users.len()),
            ));
        }
        let needed = self.roster.actors().len() + usize::from(is_new) + self.absent(&users, Some(joiner));
        if most > 0 && needed > most {
            return Err(Refusal::new(
                ReturnCode::SLOT_ERROR,
                format!("expected users do not fit: {needed} slots needed, the room has {most}"),
            ));
        }
        Ok(())
    }

    /// Does what was found possible: the actor is there, all are told, the joiner gets the cache.
    fn admit(&mut self, entry: Entry, joiner: &Joiner, request: JoinRequest, effects: &mut Effects) -> Seat {
        let seat = Seat { actor: entry.number(), peer: joiner.peer };
        self.take_seat(entry, joiner, &request, effects);
        self.empty_since = None;
        if self.master == 0 {
            self.set_master(seat.actor);
        }
        let new_slots = self.reserve(&request.expected_users, effects);
        effects.report(RoomReport::ActorJoined {
            actor: seat.actor,
            user_id: joiner.user_id.clone(),
            rejoined: !entry.is_new(),
        });
        effects.respond(seat.peer, codes::success(request.operation, self.join_response(entry)));
        if !self.flags.contains(RoomFlags::SUPPRESS_ROOM_EVENTS) {
            effects.event(self.roster.peers(), self.join_event(seat.actor, joiner, &request));
        }
        if let Some(users) = new_slots {
            let change = Hashtable::from([(room_key::EXPECTED_USERS, users)]);
            effects.event(self.roster.peers_except(seat.actor), properties_changed(seat.actor, 0, change));
        }
        self.replay(seat, request.slice, effects);
        seat
    }

    fn take_seat(&mut self, entry: Entry, joiner: &Joiner, request: &JoinRequest, effects: &mut Effects) {
        let number = entry.number();
        if let Entry::New(_) = entry {
            let actor = Actor {
                number,
                user_id: joiner.user_id.clone(),
                session_id: joiner.session_id.clone(),
                properties: Hashtable::new(),
                presence: Presence::Active,
                keys_set: HashSet::new(),
            };
            self.roster.add(actor, joiner.peer);
        } else if let Some(old) = self.roster.seat(number, joiner.peer) {
            effects.push(Effect::Disconnect { peer: old, reason: DisconnectReason::TakenOver });
        }
        let delete_null = self.flags.contains(RoomFlags::DELETE_NULL_PROPERTIES);
        if let Some(actor) = self.roster.get_mut(number) {
            let before = properties::table_bytes(&actor.properties);
            properties::merge(&mut actor.properties, &request.actor_properties, delete_null);
            actor.session_id.clone_from(&joiner.session_id);
            let after = properties::table_bytes(&actor.properties);
            self.property_bytes = (self.property_bytes + after).saturating_sub(before);
        }
    }

    /// Adds to the reserved slots; gives the whole list if that changed it.
    fn reserve(&mut self, added: &[Arc<str>], effects: &mut Effects) -> Option<Vec<Arc<str>>> {
        let users = union(&self.known.expected_users, added);
        if users.len() == self.known.expected_users.len() {
            return None;
        }
        self.change_properties(|table| drop(table.insert(room_key::EXPECTED_USERS, users.clone())));
        effects.report(RoomReport::ExpectedUsers(users.clone()));
        Some(users)
    }

    fn join_response(&self, entry: Entry) -> Parameters {
        let number = entry.number();
        let hides_players = self.flags.contains(RoomFlags::SUPPRESS_PLAYER_INFO);
        let mut parameters =
            Parameters::new().with(key::ACTOR_NR, number).with(key::GAME_PROPERTIES, self.properties.clone());
        if !hides_players {
            let others = self.roster.actors().iter().filter(|actor| actor.number != number || !entry.is_new());
            let tables: Hashtable =
                others.filter_map(|actor| self.visible_properties(actor).map(|table| (actor.number, table))).collect();
            if !tables.is_empty() {
                parameters.insert(key::ACTOR_PROPERTIES, tables);
            }
        }
        if !hides_players && !self.flags.contains(RoomFlags::SUPPRESS_ROOM_EVENTS) {
            parameters.insert(key::ACTORS, self.roster.all_numbers());
        }
        parameters.with(key::ROOM_OPTION_FLAGS, self.flags.0)
    }

    /// An actor's properties with what the server adds; `None` if there are none.
    fn visible_properties(&self, actor: &Actor) -> Option<Hashtable> {
        let mut table = actor.properties.clone();
        if !actor.is_active() {
            table.insert(actor_key::IS_INACTIVE, true);
        }
        if self.flags.contains(RoomFlags::PUBLISH_USER_ID) {
            table.insert(actor_key::USER_ID, actor.user_id.clone());
        }
        (!table.is_empty()).then_some(table)
    }

    fn join_event(&self, number: i32, joiner: &Joiner, request: &JoinRequest) -> Event {
        let mut parameters =
            Parameters::new().with(key::ACTOR_NR, number).with(key::ACTORS, self.roster.active_numbers());
        let mut table = if request.broadcast { request.actor_properties.clone() } else { Hashtable::new() };
        if self.flags.contains(RoomFlags::PUBLISH_USER_ID) {
            table.insert(actor_key::USER_ID, joiner.user_id.clone());
        }
        if !table.is_empty() && !self.flags.contains(RoomFlags::SUPPRESS_PLAYER_INFO) {
            parameters.insert(key::ACTOR_PROPERTIES, table);
        }
        Event { code: event::JOIN, parameters }
    }

    /// Sends the cached events to one who just came in.
    fn replay(&self, seat: Seat, from: Option<i32>, effects: &mut Effects) {
        let to = seat.peer;
        for (sender, code, data) in self.cache.by_actor() {
            effects.push(Effect::Cached { to, code, sender, data: Some(data.clone()) });
        }
        for (index, events) in self.cache.slices(from) {
            if index != 0 {
                effects.event(std::iter::once(to), slice_changed(seat.actor, index));
            }
            for event in events {
                effects.push(Effect::Cached { to, code: event.code, sender: event.sender, data: event.data.clone() });
            }
        }
    }
}

/// Event 250.
pub(super) fn slice_changed(actor: i32, index: i32) -> Event {
    let parameters = Parameters::new().with(key::ACTOR_NR, actor).with(key::CACHE_SLICE_INDEX, index);
    Event { code: event::CACHE_SLICE_CHANGED, parameters }
}

/// How one gets in whose actor is there already.
fn known_entry(
    now: Duration,
    actor: &Actor,
    by_user: bool,
    joiner: &Joiner,
    request: &JoinRequest,
) -> Result<Entry, Refusal> {
    let is_same_user = actor.user_id == joiner.user_id;
    match actor.presence {
        Presence::Active => {
            let is_same_session = joiner.session_id.is_some() && actor.session_id == joiner.session_id;
            if request.mode.rejoins() && is_same_user && (is_same_session || request.force_rejoin) {
                return Ok(Entry::TakeOver(actor.number));
            }
            Err(Refusal::new(ReturnCode::JOIN_FAILED_FOUND_ACTIVE_JOINER, "the user is active in the room"))
        }
        Presence::Inactive { until: Some(until), .. } if until <= now => Err(Refusal::new(
            ReturnCode::JOIN_FAILED_WITH_REJOINER_NOT_FOUND,
            "the time to come back (PlayerTTL) is over",
        )),
        Presence::Inactive { .. } if !request.mode.rejoins() => Err(Refusal::new(
            if by_user { ReturnCode::JOIN_FAILED_FOUND_INACTIVE_JOINER } else { ReturnCode::INTERNAL_SERVER_ERROR },
            "the user is inactive in the room and must rejoin",
        )),
        // Anonymous users get a new GUID with each authentication, so their number alone tells who they are.
        Presence::Inactive { .. }
            if !(by_user || is_same_user || (is_guid(&actor.user_id) && is_guid(&joiner.user_id))) =>
        {
            Err(Refusal::new(ReturnCode::INTERNAL_SERVER_ERROR, "the actor number belongs to another user"))
        }
        Presence::Inactive { .. } => Ok(Entry::Rejoin(actor.number)),
    }
}

/// `Default` is the only plugin there is: no wish, the wish for the default, or its name.
fn check_plugins(request: &JoinRequest) -> Result<(), Refusal> {
    match request.plugins.as_deref() {
        None | Some([]) => Ok(()),
        Some([name]) if **name == *DEFAULT_PLUGIN || name.is_empty() => Ok(()),
        Some([_]) => Err(Refusal::new(
            ReturnCode::PLUGIN_MISMATCH,
            format!("parameter 204 (Plugins): expected {DEFAULT_PLUGIN}, got another name"),
        )),
        Some(names) => Err(Refusal::new(
            ReturnCode::PLUGIN_MISMATCH,
            format!("parameter 204 (Plugins): expected at most one name, got {}", names.len()),
        )),
    }
}

pub(super) fn check_empty_room_ttl(ttl: super::request::Ttl, settings: &RoomSettings) -> Result<(), Refusal> {
    match ttl.duration() {
        Some(duration) if duration <= settings.max_empty_room_ttl => Ok(()),
        _ => Err(Refusal::invalid(format!(
            "EmptyRoomTTL: expected 0 to {} ms, got {}",
            settings.max_empty_room_ttl.as_millis(),
            ttl.as_millis()
        ))),
    }
}

/// The request's properties and those that every room has.
fn first_properties(request: &JoinRequest, flags: RoomFlags) -> Hashtable {
    let mut properties = request.game_properties.clone();
    for key in [room_key::IS_OPEN, room_key::IS_VISIBLE] {
        if properties.get_byte(key).is_none() {
            properties.insert(key, true);
        }
    }
    let delete_null = flags.contains(RoomFlags::DELETE_NULL_PROPERTIES);
    properties.retain(|_, value| !(delete_null && value.is_null()));
    for (key, ttl) in [(room_key::PLAYER_TTL, request.player_ttl), (room_key::EMPTY_ROOM_TTL, request.empty_room_ttl)] {
        properties.remove(&Value::Byte(key));
        if !ttl.is_zero() {
            properties.insert(key, ttl.as_millis());
        }
    }
    if !request.expected_users.is_empty() {
        properties.insert(room_key::EXPECTED_USERS, request.expected_users.clone());
    }
    super::property::align_max_players(&mut properties);
    properties
}

fn union(users: &[Arc<str>], added: &[Arc<str>]) -> Vec<Arc<str>> {
    let mut all = users.to_vec();
    for user in added {
        if !all.contains(user) {
            all.push(user.clone());
        }
    }
    all
}

fn is_guid(text: &str) -> bool {
    let is_hyphen_place = |place| matches!(place, 8 | 13 | 18 | 23);
    let plain = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let hyphenated = text.len() == 36
        && text.bytes().enumerate().all(
            |(place, b)| {
                if is_hyphen_place(place) { b == b'-' } else { b.is_ascii_hexdigit() }
            },
        );
    plain || hyphenated
}

fn full() -> Refusal {
    Refusal::new(ReturnCode::GAME_FULL, "the room is full")
}

fn refuse(joiner: &Joiner, operation: u8, refusal: Refusal, effects: &mut Effects) {
    effects.report(RoomReport::JoinFailed { user_id: joiner.user_id.clone() });
    effects.refuse(joiner.peer, operation, refusal);
    effects.push(Effect::Disconnect { peer: joiner.peer, reason: DisconnectReason::JoinRefused });
}
