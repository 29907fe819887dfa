//! One room of the game server: who is in it, what it remembers, who is told what in which order.
//!
//! A room is a state machine: each operation takes what was asked and appends to [`Effects`] what is to be done. It
//! knows no connections, only [`PeerKey`]s that it hands back.
//!
//! ```text
//!  create ──> active actors ──last one leaves──> empty ──EmptyRoomTTL──> closed
//!                  ^                               │
//!                  └────────── join ───────────────┘
//!
//!  actor:  new ──> active ──leaves for good, or PlayerTTL 0──> gone
//!                  │    ^                                       ^
//!            lost, │    │ rejoin                                │
//!        will come └> inactive ────────── PlayerTTL ────────────┘
//!            back
//! ```
//!
//! Contract with the owner:
//! 1. Effects are done in order; nothing else of this room goes to a peer in between. So a joiner sees its response,
//!    then event Join, then cached events, and only then what others do.
//! 2. A refused operation changes nothing; its response is among the effects.
//! 3. After each operation [`Room::next_timeout`] says when [`Room::handle_timeout`] is due.
//! 4. After [`Effect::Disconnect`] that peer has no actor here; after [`Effect::Closed`] the room is dropped.

mod cache;
mod effect;
mod join;
mod leave;
mod property;
mod raise;
pub mod request;
mod roster;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use lampyris_wire::{Event, Hashtable, Parameters, Value, coerce};

pub use effect::{DisconnectReason, Effect, Effects, PeerKey, Receivers, RoomReport};
pub use join::{DEFAULT_PLUGIN, Joiner};
pub use roster::Seat;
pub use settings::RoomSettings;

use crate::codes::{Refusal, event, key};
use crate::properties::{self, room_key};
use cache::EventCache;
use request::{RoomFlags, Ttl};
use roster::Roster;

/// The well-known properties as the room's rules read them. Derived from the property table after each change, so the
/// table is the only place where they are kept.
#[derive(Clone, Debug)]
struct Known {
    /// 0 for no limit.
    max_players: usize,
    is_open: bool,
    player_ttl: Ttl,
    empty_room_ttl: Ttl,
    expected_users: Vec<Arc<str>>,
    /// `None`: the lobby shows all properties.
    listed: Option<Vec<Arc<str>>>,
}

impl Known {
    /// Reads a normalised table.
    fn read(table: &Hashtable) -> Self {
        let ttl = |key| table.get_byte(key).and_then(coerce::int).and_then(Ttl::from_millis).unwrap_or_default();
        Self {
            max_players: request::max_players(table).and_then(|most| most.try_into().ok()).unwrap_or(0),
            is_open: table.get_byte(room_key::IS_OPEN).and_then(coerce::bool).unwrap_or(true),
            player_ttl: ttl(room_key::PLAYER_TTL),
            empty_room_ttl: ttl(room_key::EMPTY_ROOM_TTL),
            expected_users: table.get_byte(room_key::EXPECTED_USERS).and_then(coerce::strings).unwrap_or_default(),
            listed: table.get_byte(room_key::PROPS_LISTED_IN_LOBBY).and_then(coerce::strings),
        }
    }

    /// Whether the lobby knows the property.
    fn is_listed(&self, key: &Value) -> bool {
        match (key, &self.listed) {
            (Value::Byte(245..=255 | room_key::MAX_PLAYERS_INT), _) | (_, None) => true,
            (Value::String(name), Some(listed)) => listed.contains(name),
            _ => false,
        }
    }
}

/// How often a room has come to its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoomCounters {
    /// Joins refused for any reason.
    pub joins_refused: u64,
    /// Changes of properties refused because of their number or size.
    pub property_limits: u64,
    /// Peers disconnected because they set too many different properties.
    pub property_key_limits: u64,
    /// Changes of the cache slice refused.
    pub slice_limits: u64,
    /// Caches discarded: 0 or 1.
    pub caches_discarded: u64,
}

/// A room. See the [module](self) for its contract.
#[derive(Debug)]
pub struct Room {
    name: Arc<str>,
    settings: Arc<RoomSettings>,
    flags: RoomFlags,
    /// Name and type of its lobby, as the creator said them.
    lobby: (Option<Arc<str>>, u8),
    properties: Hashtable,
    known: Known,
    /// Size of all properties, the room's and the actors'.
    property_bytes: usize,
    roster: Roster,
    /// Number of the master client, 0 if nobody is active.
    master: i32,
    /// Users who may not come back.
    excluded: Vec<Arc<str>>,
    cache: EventCache,
    /// Since when nobody is active.
    empty_since: Option<Duration>,
    closed: bool,
    counters: RoomCounters,
}

impl Room {
    /// The room's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The options in force.
    #[must_use]
    pub fn flags(&self) -> RoomFlags {
        self.flags
    }

    /// The room's properties, well-known ones under byte keys.
    #[must_use]
    pub fn properties(&self) -> &Hashtable {
        &self.properties
    }

    /// The properties of an actor.
    #[must_use]
    pub fn actor_properties(&self, actor: i32) -> Option<&Hashtable> {
        self.roster.get(actor).map(|actor| &actor.properties)
    }

    /// The number of the master client, 0 if nobody is active.
    #[must_use]
    pub fn master_client(&self) -> i32 {
        self.master
    }

    /// The active actors, in the order they joined.
    pub fn active(&self) -> impl ExactSizeIterator<Item = Seat> {
        self.roster.active().iter().map(|active| Seat { actor: active.number, peer: active.peer })
    }

    /// The numbers of the inactive actors.
    pub fn inactive(&self) -> impl Iterator<Item = i32> {
        self.roster.actors().iter().filter(|actor| !actor.is_active()).map(|actor| actor.number)
    }

    /// What counts against the player limit: active, inactive, and reserved for those who are not here.
    #[must_use]
    pub fn occupied_slots(&self) -> usize {
        self.roster.actors().len() + self.absent(&self.known.expected_users, None)
    }

    /// Whether the room is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// How often limits were reached.
    #[must_use]
    pub fn counters(&self) -> RoomCounters {
        self.counters
    }

    /// The room as a master server must know it that knows nothing of it yet.
    #[must_use]
    pub fn reports(&self) -> Vec<RoomReport> {
        let mut reports = vec![self.created_report()];
        reports.extend(self.excluded.iter().map(|user_id| RoomReport::Excluded { user_id: user_id.clone() }));
        for actor in self.roster.actors() {
            let (actor, user_id, is_active) = (actor.number, actor.user_id.clone(), actor.is_active());
            reports.push(RoomReport::ActorJoined { actor, user_id: user_id.clone(), rejoined: true });
            if !is_active {
                reports.push(RoomReport::ActorInactive { actor, user_id });
            }
        }
        reports
    }

    fn created_report(&self) -> RoomReport {
        let (lobby_name, lobby_type) = self.lobby.clone();
        let properties = self.shown_in_lobby(&self.properties);
        RoomReport::Created { flags: self.flags, lobby_name, lobby_type, properties }
    }

    /// When [`Room::handle_timeout`] is due.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        if self.closed {
            return None;
        }
        self.roster.next_expiry().into_iter().chain(self.empty_deadline()).min()
    }

    /// Does what is due at `now`: inactive actors end, and so does an empty room.
    pub fn handle_timeout(&mut self, now: Duration, effects: &mut Effects) {
        if self.closed {
            return;
        }
        while let Some(number) = self.roster.expired(now) {
            self.remove(number, effects);
        }
        if self.empty_deadline().is_some_and(|deadline| deadline <= now) {
            self.close(effects);
        }
    }

    fn empty_deadline(&self) -> Option<Duration> {
        let longest = self.settings.abandoned_after;
        let ttl = self.known.empty_room_ttl.duration().map_or(longest, |ttl| ttl.min(longest));
        self.empty_since.map(|since| since.saturating_add(ttl))
    }

    /// Starts the life of an empty room when nobody is active any more.
    fn settle(&mut self, now: Duration, effects: &mut Effects) {
        if !self.roster.active().is_empty() || self.empty_since.is_some() {
            return;
        }
        self.empty_since = Some(now);
        if self.known.empty_room_ttl.is_zero() {
            self.close(effects);
        }
    }

    fn close(&mut self, effects: &mut Effects) {
        self.closed = true;
        effects.report(RoomReport::Closed);
        effects.push(Effect::Closed);
    }

    /// How many of `users` are not in the room; `coming` counts as being in it.
    fn absent(&self, users: &[Arc<str>], coming: Option<&str>) -> usize {
        if users.is_empty() {
            return 0;
        }
        users.iter().filter(|user| coming != Some(&***user) && self.roster.of_user(user).is_none()).count()
    }

    /// Makes `actor` the master client; event 253 and 254 are the caller's.
    fn set_master(&mut self, actor: i32) {
        self.master = actor;
        self.change_properties(|table| drop(table.insert(room_key::MASTER_CLIENT_ID, actor)));
    }

    /// Changes the property table and all that is derived from it.
    fn change_properties(&mut self, change: impl FnOnce(&mut Hashtable)) {
        let before = properties::table_bytes(&self.properties);
        change(&mut self.properties);
        let after = properties::table_bytes(&self.properties);
        self.property_bytes = self.property_bytes.saturating_add(after).saturating_sub(before);
        self.known = Known::read(&self.properties);
    }

    /// A limit was reached that the room cannot get over: it takes no newcomers any more and everybody is told.
    fn shut(&mut self, why: &str, effects: &mut Effects) {
        let change = Hashtable::from([(room_key::IS_OPEN, false)]);
        self.change_properties(|table| drop(table.insert(room_key::IS_OPEN, false)));
        effects.event(self.roster.peers(), properties_changed(0, 0, change.clone()));
        let told = Parameters::new().with(key::INFO, why);
        effects.event(self.roster.peers(), Event { code: event::ERROR_INFO, parameters: told });
        effects.report(RoomReport::PropertiesChanged(change));
    }
}

/// Event 253: `setter` 0 is the server, `target` 0 the room.
fn properties_changed(setter: i32, target: i32, properties: Hashtable) -> Event {
    let parameters = Parameters::new()
        .with(key::ACTOR_NR, setter)
        .with(key::TARGET_ACTOR_NR, target)
        .with(key::PROPERTIES, properties);
    Event { code: event::PROPERTIES_CHANGED, parameters }
}

fn not_seated() -> Refusal {
    Refusal::denied("the peer has no actor in the room")
}
