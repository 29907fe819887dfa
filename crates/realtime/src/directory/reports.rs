//! Game servers come and go, and tell of their rooms.

use std::sync::Arc;
use std::time::Duration;

use lampyris_wire::Hashtable;

use super::lobby::{LobbyKey, LobbyType};
use super::room::{Room, RoomId};
use super::server::GameServer;
use super::{Directory, Effects, GameServerId, GameServerLoad, GameServerOffer};
use crate::report::RoomReport;
use crate::room::request::RoomFlags;

impl Directory {
    /// The link to a game server is up. Reports of the rooms that it has already come next, then
    /// [`Self::game_server_synced`]. For a server that is known and whose link was not down, only its offer changes.
    pub fn game_server_up(&mut self, id: GameServerId, offer: impl Into<GameServerOffer>) {
        let offer = offer.into();
        let server = self.servers.entry(id).or_insert_with(|| GameServer::new(offer));
        server.offer = offer;
        if server.lost_at.take().is_some() {
            server.unconfirmed = server.rooms.iter().copied().collect();
        }
    }

    /// A game server has told of every room that it has. What is known of others from before its link was down is
    /// forgotten.
    pub fn game_server_synced(&mut self, now: Duration, id: GameServerId, effects: &mut Effects) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        for room in std::mem::take(&mut server.unconfirmed) {
            // One that is only named waits for its creator, who may be on the way.
            if self.rooms.get(&room).is_some_and(|room| room.is_created) {
                self.counters.rooms_vanished += 1;
                self.remove_room(now, room, effects);
            }
        }
    }

    /// A game server says how much it can take.
    pub fn game_server_load(&mut self, id: GameServerId, load: GameServerLoad) {
        match self.servers.get_mut(&id) {
            Some(server) => server.load = load,
            None => self.counters.reports_of_unknown += 1,
        }
    }

    /// The link to a game server is down. It gets no new rooms; those that it has are kept for a while, since it may
    /// only have lost sight of us.
    pub fn game_server_down(&mut self, now: Duration, id: GameServerId) {
        if let Some(server) = self.servers.get_mut(&id) {
            server.lost_at.get_or_insert(now + self.settings.lost_server);
        }
    }

    pub(super) fn drop_lost_servers(&mut self, now: Duration, effects: &mut Effects) {
        let is_lost = |server: &GameServer| server.lost_at.is_some_and(|at| at <= now);
        let lost: Vec<_> = self.servers.iter().filter(|(_, server)| is_lost(server)).map(|(id, _)| *id).collect();
        for id in lost {
            self.counters.servers_lost += 1;
            self.game_server_lost(now, id, effects);
        }
    }

    /// Whether a game server is known, be its link up or down.
    #[must_use]
    pub fn knows_game_server(&self, id: GameServerId) -> bool {
        self.servers.contains_key(&id)
    }

    /// A game server is gone, and its rooms with it.
    pub fn game_server_lost(&mut self, now: Duration, id: GameServerId, effects: &mut Effects) {
        let Some(server) = self.servers.remove(&id) else { return };
        for room in server.rooms {
            self.remove_room(now, room, effects);
        }
    }

    /// A game server tells of a room of its own.
    pub fn room_report(
        &mut self,
        now: Duration,
        server: GameServerId,
        name: &Arc<str>,
        report: RoomReport,
        effects: &mut Effects,
    ) {
        if !self.servers.contains_key(&server) {
            self.counters.reports_of_unknown += 1;
            return;
        }
        let known = self.room_ids.get(name).copied();
        if known.and_then(|id| self.rooms.get(&id)).is_some_and(|room| room.server != server) {
            self.counters.reports_of_foreign_room += 1;
            return;
        }
        match (known, report) {
            (known, RoomReport::Created { flags, lobby_name, lobby_type, properties }) => {
                let kind = LobbyType::from_byte(lobby_type).unwrap_or(LobbyType::Default);
                let lobby = lobby_name.map_or_else(LobbyKey::default, |name| LobbyKey::new(name, kind));
                if let Some(id) = self.settle(server, name, known, &lobby) {
                    self.room_created(now, id, flags, &properties, effects);
                }
            }
            (None, _) => self.counters.reports_of_unknown += 1,
            (Some(id), RoomReport::Closed) => self.remove_room(now, id, effects),
            (Some(id), RoomReport::JoinFailed { user_id }) => {
                self.end_reservation(now, id, effects, |reservation| reservation.user == user_id);
            }
            (Some(id), report) => self.room_changes(now, id, report, effects),
        }
    }

    /// The entry of a room that its game server has created, in the lobby that it says. None if that is one too many.
    fn settle(
        &mut self,
        server: GameServerId,
        name: &Arc<str>,
        known: Option<RoomId>,
        lobby: &LobbyKey,
    ) -> Option<RoomId> {
        let lobby = self.lobby(lobby).ok()?;
        let Some(id) = known else {
            return Some(self.insert_room(Room::new(name.clone(), lobby, server, &Hashtable::new())));
        };
        let room = self.rooms.get_mut(&id)?;
        let before = std::mem::replace(&mut room.lobby, lobby);
        if before != lobby {
            let (shelf, active, created) = (room.shelf.take(), room.active(), u32::from(room.is_created));
            if let Some(from) = self.lobbies.get_mut(&before) {
                from.reshelve(id, shelf, None);
                from.rooms -= 1;
                from.created_rooms -= created;
                from.players -= active;
            }
            if let Some(to) = self.lobbies.get_mut(&lobby) {
                to.rooms += 1;
                to.created_rooms += created;
                to.players += active;
            }
            self.drop_lobby_if_unused(before);
        }
        Some(id)
    }

    fn room_created(
        &mut self,
        now: Duration,
        id: RoomId,
        flags: RoomFlags,
        properties: &Hashtable,
        effects: &mut Effects,
    ) {
        if let Some(server) = self.rooms.get(&id).and_then(|room| self.servers.get_mut(&room.server)) {
            server.unconfirmed.remove(&id);
        }
        self.forget_actors(now, id);
        let Some(room) = self.rooms.get_mut(&id) else { return };
        room.created(flags.contains(RoomFlags::CHECK_USER_ON_JOIN), properties);
        if !std::mem::replace(&mut room.is_created, true) {
            self.totals.rooms += 1;
            if let Some(lobby) = self.lobbies.get_mut(&room.lobby) {
                lobby.created_rooms += 1;
            }
            self.totals_changed(now);
        }
        self.room_changed(now, id);
        self.release_held(now, id, effects);
    }

    /// A room that is told of anew comes with its actors.
    fn forget_actors(&mut self, now: Duration, id: RoomId) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let active_before = room.active();
        room.excluded.clear();
        room.expected.clear();
        for user in room.forget_actors() {
            self.user_left(id, Some(user));
        }
        self.players_changed(now, id, active_before);
    }

    fn room_changes(&mut self, now: Duration, id: RoomId, report: RoomReport, effects: &mut Effects) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let active_before = room.active();
        match report {
            RoomReport::PropertiesChanged(changes) => room.change_properties(&changes),
            RoomReport::ExpectedUsers(users) => room.expected = users.into_iter().collect(),
            RoomReport::Excluded { user_id } => {
                room.excluded.insert(user_id);
            }
            RoomReport::ActorJoined { actor, user_id: user, .. } => {
                room.actor_joined(actor, user.clone());
                self.users.entered(user.clone(), id);
                self.end_reservation(now, id, effects, |reservation| reservation.user == user);
            }
            RoomReport::ActorInactive { actor, .. } => {
                let user = room.actor_inactive(actor);
                self.user_left(id, user);
            }
            RoomReport::ActorLeft { actor, .. } => {
                let user = room.actor_left(actor);
                self.user_left(id, user);
            }
            RoomReport::Created { .. } | RoomReport::JoinFailed { .. } | RoomReport::Closed => {}
        }
        self.players_changed(now, id, active_before);
        self.room_changed(now, id);
    }

    /// Notes that a user has no active actor any more, unless there is another one or it is on the way back.
    fn user_left(&mut self, id: RoomId, user: Option<Arc<str>>) {
        if let Some(user) = user
            && !self.rooms.get(&id).is_some_and(|room| room.is_user_here(&user))
        {
            self.users.left(&user, id);
        }
    }

    fn players_changed(&mut self, now: Duration, id: RoomId, before: u32) {
        let Some(room) = self.rooms.get(&id) else { return };
        let after = room.active();
        if before == after {
            return;
        }
        self.totals.players = self.totals.players - before + after;
        if let Some(lobby) = self.lobbies.get_mut(&room.lobby) {
            lobby.players = lobby.players - before + after;
        }
        self.totals_changed(now);
    }
}
