//! The master server's directory: the one owner of an application's rooms, lobbies and users.
//!
//! Operations of clients and reports of game servers go in, [`Effect`]s come out, in the order in which they are to be
//! done. The directory knows neither connections nor addresses: a client is a [`MasterPeer`], a game server a
//! [`GameServerId`], and for a request that leads to a room the caller writes the address and the token
//! ([`Effect::Place`]).
//!
//! Contract:
//! 1. [`Directory::peer_connected`] comes before a peer's first operation, [`Directory::peer_gone`] after its last.
//! 2. [`Directory::handle_timeout`] is called when [`Directory::next_timeout`] is reached; calls before are harmless.
//! 3. `now` never goes back.
//! 4. The caller keeps who is in which lobby as [`Effect::LobbyJoined`] and [`Effect::LobbyLeft`] say, and forgets a
//!    peer that is gone; so a broadcast costs the directory nothing per member.
//!
//! Life of a room here:
//!
//! ```text
//! create / join-or-create / random-or-create        Created (report)
//! ------------------------------------------> named ----------------> created ----> gone
//!                                               |   joins by name wait    ^   Closed, or its server is lost
//!                                               |                         |
//!                nobody came within 15 s <------+      Created of an unknown room (master restarted)
//! ```

mod effects;
mod lists;
mod lobby;
mod placing;
mod reports;
pub mod request;
mod room;
mod server;
mod users;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use lampyris_wire::{Event, Parameters};
use rand::rngs::StdRng;
use smallvec::SmallVec;

pub use effects::{Effect, Effects};
pub use lobby::{LobbyId, LobbyKey, LobbyType, MatchmakingMode};
pub use server::{Balance, GameServerId, GameServerLoad, GameServerOffer, Transport, Transports};

use crate::codes::{Refusal, event, key};
use lobby::Lobby;
use room::{Reservation, ReservationId, Room, RoomId};
use server::GameServer;
use users::Users;

/// A client's connection to the master server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MasterPeer(pub u64);

/// Limits and intervals; the defaults are those of the reference product where it has them (operations.md 7.1).
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most rooms of the application; one more is refused with 32762.
    pub rooms: usize,
    /// Most lobbies at a time; one more is refused with -1.
    pub lobbies: usize,
    /// Most requests for a room that a peer may have open: held, or led to a game server where nobody has come yet.
    /// One more is refused with -3.
    pub requests_per_peer: usize,
    /// Most rooms in the list on joining a lobby.
    pub rooms_on_join: usize,
    /// Most changed rooms in one update.
    pub rooms_per_update: usize,
    /// Most lobbies in lobby statistics; asking for more is refused with -4.
    pub lobbies_in_stats: usize,
    /// How long a place is kept for a user on the way to the game server.
    pub reservation: Duration,
    /// How long the rooms of a game server are kept whose link is down.
    pub lost_server: Duration,
    /// How game servers are chosen for new rooms.
    pub balance: Balance,
    /// Time between two updates of room lists.
    pub list_interval: Duration,
    /// Time between two broadcasts of the application's totals.
    pub app_stats_interval: Duration,
    /// Time between two broadcasts of lobby statistics.
    pub lobby_stats_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rooms: 100_000,
            lobbies: 10_000,
            requests_per_peer: 16,
            rooms_on_join: 500,
            rooms_per_update: 500,
            lobbies_in_stats: 1000,
            reservation: Duration::from_secs(15),
            lost_server: Duration::from_secs(20),
            balance: Balance::default(),
            list_interval: Duration::from_secs(1),
            app_stats_interval: Duration::from_secs(5),
            lobby_stats_interval: Duration::from_secs(120),
        }
    }
}

/// What happened that no effect tells of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Places given up because nobody came in time.
    pub reservations_expired: u64,
    /// Requests refused because the peer had too many open.
    pub requests_over_limit: u64,
    /// Rooms that random joins looked at before they matched or gave up.
    pub rooms_searched: u64,
    /// Rooms not made because there were too many.
    pub rooms_over_limit: u64,
    /// Lobbies not made because there were too many.
    pub lobbies_over_limit: u64,
    /// Reports about a room that another game server has.
    pub reports_of_foreign_room: u64,
    /// Reports about a room or from a game server that the directory does not know.
    pub reports_of_unknown: u64,
    /// Game servers whose link was down for too long.
    pub servers_lost: u64,
    /// Rooms that a game server did not have any more when its link came up again.
    pub rooms_vanished: u64,
}

/// Totals of the application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Active actors in rooms.
    pub players: u32,
    /// Rooms that exist on their game server.
    pub rooms: u32,
    /// Peers on the master server.
    pub peers: u32,
}

#[derive(Debug)]
struct Peer {
    user: Arc<str>,
    transport: Transport,
    lobby: Option<LobbyId>,
    /// Reservations that are not over.
    reservations: usize,
    /// Rooms that a join of this peer waits for.
    held: SmallVec<[RoomId; 1]>,
    wants_lobby_stats: bool,
}

/// See the [module documentation](self).
#[derive(Debug)]
pub struct Directory {
    settings: Settings,
    counters: Counters,
    rng: StdRng,
    peers: HashMap<MasterPeer, Peer>,
    users: Users,
    servers: BTreeMap<GameServerId, GameServer>,
    lobbies: BTreeMap<LobbyId, Lobby>,
    lobby_ids: HashMap<LobbyKey, LobbyId>,
    next_lobby: u64,
    rooms: HashMap<RoomId, Room>,
    room_ids: HashMap<Arc<str>, RoomId>,
    next_room: u64,
    next_reservation: u64,
    /// Every reservation is kept for the same time, so this is in the order of time. Reservations that ended earlier
    /// stay until their time.
    reservation_ends: VecDeque<(Duration, RoomId, ReservationId)>,
    totals: Totals,
    told_totals: Totals,
    app_stats_at: Option<Duration>,
    lobby_stats_subscribers: u32,
    lobby_stats_at: Option<Duration>,
    lobbies_to_update: BTreeSet<LobbyId>,
    update_at: Option<Duration>,
}

impl Directory {
    /// An empty directory.
    #[must_use]
    pub fn new(settings: Settings, rng: StdRng) -> Self {
        Self {
            settings,
            counters: Counters::default(),
            rng,
            peers: HashMap::new(),
            users: Users::default(),
            servers: BTreeMap::new(),
            lobbies: BTreeMap::new(),
            lobby_ids: HashMap::new(),
            next_lobby: 0,
            rooms: HashMap::new(),
            room_ids: HashMap::new(),
            next_room: RoomId::FIRST.0,
            next_reservation: 0,
            reservation_ends: VecDeque::new(),
            totals: Totals::default(),
            told_totals: Totals::default(),
            app_stats_at: None,
            lobby_stats_subscribers: 0,
            lobby_stats_at: None,
            lobbies_to_update: BTreeSet::new(),
            update_at: None,
        }
    }

    /// Other limits and intervals. What is over a new limit stays; a broadcast that is due already keeps its time.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// What happened that no effect tells of.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Totals of the application, as of now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// A client is authenticated and was told so. It gets the totals at once.
    pub fn peer_connected(
        &mut self,
        now: Duration,
        peer: MasterPeer,
        user: Arc<str>,
        transport: Transport,
        effects: &mut Effects,
    ) {
        self.peer_gone(now, peer);
        self.users.connected(user.clone());
        self.peers.insert(
            peer,
            Peer { user, transport, lobby: None, reservations: 0, held: SmallVec::new(), wants_lobby_stats: false },
        );
        self.totals.peers += 1;
        self.totals_changed(now);
        effects.push(Effect::Event { peer, event: app_stats(self.totals) });
    }

    /// A client's connection is over. Places kept for it stay: it is on its way to a game server.
    pub fn peer_gone(&mut self, now: Duration, peer: MasterPeer) {
        let Some(gone) = self.peers.remove(&peer) else { return };
        for room in &gone.held {
            if let Some(room) = self.rooms.get_mut(room) {
                room.held.retain(|join| join.peer != peer);
            }
        }
        if gone.wants_lobby_stats {
            self.unsubscribe_lobby_stats();
        }
        if let Some(lobby) = gone.lobby {
            self.leave(lobby);
        }
        self.users.disconnected(&gone.user);
        self.totals.peers -= 1;
        self.totals_changed(now);
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        let reservation = self.reservation_ends.front().map(|(at, ..)| *at);
        let lost = self.servers.values().filter_map(|server| server.lost_at).min();
        [reservation, lost, self.update_at, self.app_stats_at, self.lobby_stats_at].into_iter().flatten().min()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Duration, effects: &mut Effects) {
        while let Some((_, room, id)) = self.reservation_ends.pop_front_if(|(at, ..)| *at <= now) {
            if self.end_reservation(now, room, effects, |reservation| reservation.id == id) {
                self.counters.reservations_expired += 1;
            }
        }
        self.drop_lost_servers(now, effects);
        if self.update_at.take_if(|at| *at <= now).is_some() {
            self.update_lists(now, effects);
        }
        if self.app_stats_at.take_if(|at| *at <= now).is_some() && self.totals != self.told_totals {
            self.told_totals = self.totals;
            effects.push(Effect::AppStats { event: app_stats(self.totals) });
        }
        if self.lobby_stats_at.take_if(|at| *at <= now).is_some() {
            self.lobby_stats_at = Some(now + self.settings.lobby_stats_interval);
            effects.push(Effect::LobbyStats { event: self.lobby_stats_event() });
        }
    }

    fn totals_changed(&mut self, now: Duration) {
        self.app_stats_at.get_or_insert(now + self.settings.app_stats_interval);
    }

    /// Ends one reservation of a room; a room that nobody has come to by then is given up.
    fn end_reservation(
        &mut self,
        now: Duration,
        id: RoomId,
        effects: &mut Effects,
        which: impl FnMut(&Reservation) -> bool,
    ) -> bool {
        let Some(room) = self.rooms.get_mut(&id) else { return false };
        let Some(reservation) = room.take_reservation(which) else { return false };
        if let Some(peer) = self.peers.get_mut(&reservation.peer) {
            peer.reservations = peer.reservations.saturating_sub(1);
        }
        if !room.is_user_here(&reservation.user) {
            self.users.left(&reservation.user, id);
        }
        if room.is_deserted() && !room.is_created {
            self.remove_room(now, id, effects);
        } else {
            self.room_changed(now, id);
        }
        true
    }

    /// Brings places and lists up to date after any change of a room.
    fn room_changed(&mut self, now: Duration, id: RoomId) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let Some(lobby) = self.lobbies.get_mut(&room.lobby) else { return };
        room.recount();
        let (from, to) = (room.shelf, room.right_shelf());
        room.shelf = to;
        lobby.reshelve(id, from, to);
        if lobby.note(id, &room.name, from.is_some(), to.is_some()) {
            self.lobbies_to_update.insert(room.lobby);
            self.update_at.get_or_insert(now + self.settings.list_interval);
        }
    }

    /// Forgets a room; joins that waited for it fail.
    fn remove_room(&mut self, now: Duration, id: RoomId, effects: &mut Effects) {
        let Some(mut room) = self.rooms.remove(&id) else { return };
        self.room_ids.remove(&room.name);
        if let Some(server) = self.servers.get_mut(&room.server) {
            server.rooms.remove(&id);
            server.unconfirmed.remove(&id);
        }
        for actor in room.actors() {
            self.users.left(&actor.user, id);
        }
        for reservation in room.reservations() {
            if let Some(peer) = self.peers.get_mut(&reservation.peer) {
                peer.reservations = peer.reservations.saturating_sub(1);
            }
            self.users.left(&reservation.user, id);
        }
        for join in std::mem::take(&mut room.held) {
            self.refuse_held(id, &join, &room.name, effects);
        }
        self.totals.players -= room.active();
        self.totals.rooms -= u32::from(room.is_created);
        self.totals_changed(now);
        let Some(lobby) = self.lobbies.get_mut(&room.lobby) else { return };
        lobby.rooms -= 1;
        lobby.created_rooms -= u32::from(room.is_created);
        lobby.players -= room.active();
        lobby.reshelve(id, room.shelf, None);
        if lobby.note(id, &room.name, room.shelf.is_some(), false) {
            self.lobbies_to_update.insert(room.lobby);
            self.update_at.get_or_insert(now + self.settings.list_interval);
        }
        self.drop_lobby_if_unused(room.lobby);
    }
}

fn app_stats(totals: Totals) -> Event {
    Event {
        code: event::APP_STATS,
        parameters: Parameters::from([
            (key::MASTER_PEER_COUNT, int(totals.peers)),
            (key::GAME_COUNT, int(totals.rooms)),
            (key::PEER_COUNT, int(totals.players)),
        ]),
    }
}

/// A count as the protocol's `int`.
fn int(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The refusal of an operation by a peer that the directory was not told of.
fn unknown_peer() -> Refusal {
    Refusal::denied("expected an authenticated peer")
}
