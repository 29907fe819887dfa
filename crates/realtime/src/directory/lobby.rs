//! Lobbies: which rooms they have, in which order, and what their members have yet to be told (operations.md 5).

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use indexmap::IndexSet;
use rand::RngExt;
use rand::rngs::StdRng;

use super::room::RoomId;

/// A lobby, for as long as it has a member or a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LobbyId(pub u64);

/// The type of a lobby: parameter 212.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum LobbyType {
    /// Lists its rooms.
    Default = 0,
    /// Legacy; the oldest JavaScript client's word for the default. Lists its rooms.
    Channel = 1,
    /// Rooms are found by query.
    Sql = 2,
    /// Rooms are found by filter only.
    AsyncRandom = 3,
}

impl LobbyType {
    /// The type with this number.
    #[must_use]
    pub const fn from_byte(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Default),
            1 => Some(Self::Channel),
            2 => Some(Self::Sql),
            3 => Some(Self::AsyncRandom),
            _ => None,
        }
    }

    /// Whether members get lists of rooms (events 230 and 229).
    #[must_use]
    pub const fn lists_rooms(self) -> bool {
        matches!(self, Self::Default | Self::Channel)
    }
}

/// What identifies a lobby.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LobbyKey {
    name: Arc<str>,
    kind: LobbyType,
}

impl LobbyKey {
    /// The lobby of that name and type. Without a name it is the default lobby, whatever the type.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, kind: LobbyType) -> Self {
        let name = name.into();
        let kind = if name.is_empty() { LobbyType::Default } else { kind };
        Self { name, kind }
    }

    /// Its name, empty for the default lobby.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> LobbyType {
        self.kind
    }
}

impl Default for LobbyKey {
    fn default() -> Self {
        Self::new("", LobbyType::Default)
    }
}

/// Where a listed room stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shelf {
    Joinable,
    Full,
    Closed,
}

/// Matchmaking mode: parameter 223 of operation 225.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatchmakingMode {
    /// The oldest room first.
    #[default]
    FillRoom,
    /// The room after the last match.
    Serial,
    /// Any room.
    Random,
}

/// Rooms in the order of their creation, with a fair random pick.
#[derive(Debug, Default)]
pub(super) struct RoomOrder {
    order: BTreeSet<RoomId>,
    dense: IndexSet<RoomId>,
}

impl RoomOrder {
    fn insert(&mut self, room: RoomId) {
        self.order.insert(room);
        self.dense.insert(room);
    }

    fn remove(&mut self, room: RoomId) {
        self.order.remove(&room);
        self.dense.swap_remove(&room);
    }

    pub(super) fn len(&self) -> usize {
        self.dense.len()
    }

    fn random(&self, rng: &mut StdRng) -> Option<RoomId> {
        if self.dense.is_empty() {
            return None;
        }
        self.dense.get_index(rng.random_range(0..self.dense.len())).copied()
    }

    /// All rooms once: those from `start` on, then those before it.
    fn circle(&self, start: Bound<RoomId>) -> impl Iterator<Item = RoomId> {
        let before = match start {
            Bound::Included(room) => Bound::Excluded(room),
            Bound::Excluded(room) => Bound::Included(room),
            Bound::Unbounded => Bound::Excluded(RoomId::FIRST),
        };
        self.order.range((start, Bound::Unbounded)).chain(self.order.range((Bound::Unbounded, before))).copied()
    }
}

#[derive(Debug)]
pub(super) struct Lobby {
    pub(super) key: LobbyKey,
    /// Peers in it.
    pub(super) members: u32,
    /// Active actors in its rooms.
    pub(super) players: u32,
    /// Rooms that belong to it, listed or not.
    pub(super) rooms: u32,
    /// Rooms that exist on their game server.
    pub(super) created_rooms: u32,
    pub(super) joinable: RoomOrder,
    full: RoomOrder,
    closed: RoomOrder,
    pub(super) last_match: Option<RoomId>,
    changed: IndexSet<RoomId>,
    removed: IndexSet<Arc<str>>,
}

impl Lobby {
    pub(super) fn new(key: LobbyKey) -> Self {
        Self {
            key,
            members: 0,
            players: 0,
            rooms: 0,
            created_rooms: 0,
            joinable: RoomOrder::default(),
            full: RoomOrder::default(),
            closed: RoomOrder::default(),
            last_match: None,
            changed: IndexSet::new(),
            removed: IndexSet::new(),
        }
    }

    fn shelf(&mut self, shelf: Shelf) -> &mut RoomOrder {
        match shelf {
            Shelf::Joinable => &mut self.joinable,
            Shelf::Full => &mut self.full,
            Shelf::Closed => &mut self.closed,
        }
    }

    pub(super) fn reshelve(&mut self, room: RoomId, from: Option<Shelf>, to: Option<Shelf>) {
        if from != to {
            if let Some(from) = from {
                self.shelf(from).remove(room);
            }
            if let Some(to) = to {
                self.shelf(to).insert(room);
            }
        }
    }

    /// Notes that members have to hear of a room; gives whether there is anybody to tell.
    pub(super) fn note(&mut self, room: RoomId, name: &Arc<str>, was_listed: bool, is_listed: bool) -> bool {
        // Whoever comes later gets the whole list.
        if self.members == 0 || !self.key.kind().lists_rooms() {
            return false;
        }
        if is_listed {
            self.removed.swap_remove(name);
            self.changed.insert(room);
        } else if was_listed {
            self.changed.swap_remove(&room);
            self.removed.insert(name.clone());
        }
        is_listed || was_listed
    }

    pub(super) fn forget_notes(&mut self) {
        self.changed.clear();
        self.removed.clear();
    }

    /// Takes what is to be told now: at most `limit` changed rooms, all removed ones.
    pub(super) fn take_notes(&mut self, limit: usize) -> (Vec<RoomId>, IndexSet<Arc<str>>) {
        let count = limit.min(self.changed.len());
        (self.changed.drain(..count).collect(), std::mem::take(&mut self.removed))
    }

    pub(super) fn has_notes(&self) -> bool {
        !self.changed.is_empty() || !self.removed.is_empty()
    }

    pub(super) fn listed(&self) -> usize {
        self.joinable.len() + self.full.len() + self.closed.len()
    }

    /// The rooms of a full list: all in the order of creation, or if they are more than `limit`, the joinable ones from
    /// a random one on, then full ones, then closed ones.
    pub(super) fn list(&self, limit: usize, rng: &mut StdRng) -> Vec<RoomId> {
        let shelves = [&self.joinable, &self.full, &self.closed];
        if self.listed() <= limit {
            let mut rooms: Vec<_> = shelves.into_iter().flat_map(|shelf| &shelf.order).copied().collect();
            rooms.sort_unstable();
            return rooms;
        }
        let starts = shelves.map(|shelf| shelf.random(rng).map_or(Bound::Unbounded, Bound::Included));
        shelves.into_iter().zip(starts).flat_map(|(shelf, start)| shelf.circle(start)).take(limit).collect()
    }

    /// The joinable rooms in the order in which `mode` tries them.
    pub(super) fn search(&self, mode: MatchmakingMode, rng: &mut StdRng) -> impl Iterator<Item = RoomId> {
        // The order of a SQL lobby is that of its query; without one, the order of insertion.
        let mode = if self.key.kind() == LobbyType::Sql { MatchmakingMode::FillRoom } else { mode };
        let start = match mode {
            MatchmakingMode::FillRoom => Bound::Unbounded,
            MatchmakingMode::Serial => self.last_match.map_or(Bound::Unbounded, Bound::Excluded),
            MatchmakingMode::Random => self.joinable.random(rng).map_or(Bound::Unbounded, Bound::Included),
        };
        self.joinable.circle(start)
    }

    /// Whether nothing would be lost with it.
    pub(super) fn is_unused(&self) -> bool {
        self.members == 0 && self.rooms == 0
    }
}
