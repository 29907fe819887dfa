//! Lobby membership, room lists and lobby statistics (operations.md 2.3, 2.12, 5.2).

use std::time::Duration;

use bytes::Bytes;
use lampyris_wire::{Event, Hashtable, OperationResponse, Parameters, Value};

use super::lobby::{Lobby, LobbyId, LobbyKey};
use super::request::{JoinLobbyRequest, LobbyStatsRequest};
use super::room::RoomId;
use super::{Directory, Effect, Effects, MasterPeer, int, unknown_peer};
use crate::codes::{Refusal, ReturnCode, event, key, operation, success};
use crate::properties::room_key;

impl Directory {
    /// Operation 229: into a lobby, out of the one before. A listing lobby answers with its rooms.
    pub fn join_lobby(&mut self, peer: MasterPeer, request: &JoinLobbyRequest, effects: &mut Effects) {
        match self.enter_lobby(peer, &request.lobby) {
            Err(refusal) => effects.respond(peer, refusal.into_response(operation::JOIN_LOBBY)),
            Ok(lobby) => {
                effects.push(Effect::LobbyJoined {
                    peer,
                    lobby,
                    response: success(operation::JOIN_LOBBY, Parameters::new()),
                });
                if request.lobby.kind().lists_rooms() {
                    let event = self.room_list(lobby, request.most_rooms);
                    effects.push(Effect::Event { peer, event });
                }
            }
        }
    }

    /// Operation 228: out of the lobby, if in one.
    pub fn leave_lobby(&mut self, peer: MasterPeer, effects: &mut Effects) {
        if let Some(lobby) = self.peers.get_mut(&peer).and_then(|peer| peer.lobby.take()) {
            self.leave(lobby);
        }
        effects.push(Effect::LobbyLeft { peer, response: success(operation::LEAVE_LOBBY, Parameters::new()) });
    }

    fn enter_lobby(&mut self, peer: MasterPeer, key: &LobbyKey) -> Result<LobbyId, Refusal> {
        if !self.peers.contains_key(&peer) {
            return Err(unknown_peer());
        }
        let id = self.lobby(key)?;
        if let Some(lobby) = self.lobbies.get_mut(&id) {
            lobby.members += 1;
        }
        let before = self.peers.get_mut(&peer).and_then(|peer| peer.lobby.replace(id));
        if let Some(before) = before {
            self.leave(before);
        }
        Ok(id)
    }

    pub(super) fn leave(&mut self, id: LobbyId) {
        if let Some(lobby) = self.lobbies.get_mut(&id) {
            lobby.members -= 1;
            if lobby.members == 0 {
                lobby.forget_notes();
            }
        }
        self.drop_lobby_if_unused(id);
    }

    /// The lobby with that key, made on first use.
    pub(super) fn lobby(&mut self, key: &LobbyKey) -> Result<LobbyId, Refusal> {
        if let Some(id) = self.lobby_ids.get(key) {
            return Ok(*id);
        }
        if self.lobbies.len() >= self.settings.lobbies {
            self.counters.lobbies_over_limit += 1;
            return Err(Refusal::new(
                ReturnCode::INTERNAL_SERVER_ERROR,
                format!("expected at most {} lobbies, all are in use", self.settings.lobbies),
            ));
        }
        let id = LobbyId(self.next_lobby);
        self.next_lobby += 1;
        self.lobby_ids.insert(key.clone(), id);
        self.lobbies.insert(id, Lobby::new(key.clone()));
        Ok(id)
    }

    /// Lobbies live as long as they are used, so that nobody can fill the directory with names.
    pub(super) fn drop_lobby_if_unused(&mut self, id: LobbyId) {
        if self.lobbies.get(&id).is_some_and(Lobby::is_unused)
            && let Some(lobby) = self.lobbies.remove(&id)
        {
            self.lobby_ids.remove(&lobby.key);
            self.lobbies_to_update.remove(&id);
        }
    }

    fn room_list(&mut self, lobby: LobbyId, most: Option<usize>) -> Event {
        let limit = most.unwrap_or(usize::MAX).min(self.settings.rooms_on_join);
        let rooms = self.lobbies.get(&lobby).map(|lobby| lobby.list(limit, &mut self.rng)).unwrap_or_default();
        list_event(event::GAME_LIST, self.entries(&rooms).collect())
    }

    fn entries(&self, rooms: &[RoomId]) -> impl Iterator<Item = (Value, Value)> {
        let rooms = rooms.iter().filter_map(|id| self.rooms.get(id));
        rooms.map(|room| (Value::String(room.name.clone()), Value::Hashtable(room.entry())))
    }

    /// Tells each lobby with changes what changed; what does not fit waits for the next time.
    pub(super) fn update_lists(&mut self, now: Duration, effects: &mut Effects) {
        for id in std::mem::take(&mut self.lobbies_to_update) {
            let Some(lobby) = self.lobbies.get_mut(&id) else { continue };
            let (changed, removed) = lobby.take_notes(self.settings.rooms_per_update);
            if lobby.has_notes() {
                self.lobbies_to_update.insert(id);
                self.update_at.get_or_insert(now + self.settings.list_interval);
            }
            if changed.is_empty() && removed.is_empty() {
                continue;
            }
            let gone = removed
                .into_iter()
                .map(|name| (Value::String(name), Value::Hashtable(Hashtable::from([(room_key::REMOVED, true)]))));
            let event = list_event(event::GAME_LIST_UPDATE, self.entries(&changed).chain(gone).collect());
            effects.push(Effect::LobbyEvent { lobby: id, event });
        }
    }

    /// Operation 221.
    pub fn lobby_stats(&self, peer: MasterPeer, request: &LobbyStatsRequest, effects: &mut Effects) {
        let response = match &request.lobbies {
            None => success(operation::GET_LOBBY_STATS, self.all_lobby_stats()),
            Some(keys) => {
                self.stats_of(keys).unwrap_or_else(|refusal| refusal.into_response(operation::GET_LOBBY_STATS))
            }
        };
        effects.respond(peer, response);
    }

    fn stats_of(&self, keys: &[LobbyKey]) -> Result<OperationResponse, Refusal> {
        if keys.len() > self.settings.lobbies_in_stats {
            return Err(Refusal::new(
                ReturnCode::ARGUMENT_OUT_OF_RANGE,
                format!("expected at most {} lobbies, got {}", self.settings.lobbies_in_stats, keys.len()),
            ));
        }
        let lobbies = || keys.iter().map(|key| self.lobby_ids.get(key).and_then(|id| self.lobbies.get(id)));
        let parameters = Parameters::new()
            .with(key::PEER_COUNT, lobbies().map(|lobby| lobby.map_or(0, peer_count)).collect::<Vec<_>>())
            .with(key::GAME_COUNT, lobbies().map(|lobby| lobby.map_or(0, game_count)).collect::<Vec<_>>());
        Ok(success(operation::GET_LOBBY_STATS, parameters))
    }

    fn all_lobby_stats(&self) -> Parameters {
        let lobbies = || self.lobbies.values().take(self.settings.lobbies_in_stats);
        let types: Bytes = lobbies().map(|lobby| lobby.key.kind() as u8).collect();
        Parameters::new()
            .with(key::LOBBY_NAME, lobbies().map(|lobby| lobby.key.name().clone()).collect::<Vec<_>>())
            .with(key::LOBBY_TYPE, types)
            .with(key::PEER_COUNT, lobbies().map(peer_count).collect::<Vec<_>>())
            .with(key::GAME_COUNT, lobbies().map(game_count).collect::<Vec<_>>())
    }

    pub(super) fn lobby_stats_event(&self) -> Event {
        Event { code: event::LOBBY_STATS, parameters: self.all_lobby_stats() }
    }

    /// Parameter 211 of the authentication and operation 218: a new subscriber gets the statistics at once.
    pub fn subscribe_lobby_stats(&mut self, now: Duration, peer: MasterPeer, wanted: bool, effects: &mut Effects) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if std::mem::replace(&mut known.wants_lobby_stats, wanted) == wanted {
            return;
        }
        if !wanted {
            self.unsubscribe_lobby_stats();
            return;
        }
        self.lobby_stats_subscribers += 1;
        self.lobby_stats_at.get_or_insert(now + self.settings.lobby_stats_interval);
        effects.push(Effect::Event { peer, event: self.lobby_stats_event() });
    }

    pub(super) fn unsubscribe_lobby_stats(&mut self) {
        self.lobby_stats_subscribers -= 1;
        if self.lobby_stats_subscribers == 0 {
            self.lobby_stats_at = None;
        }
    }
}

/// Peers in the lobby and players in its rooms.
fn peer_count(lobby: &Lobby) -> i32 {
    int(lobby.members.saturating_add(lobby.players))
}

fn game_count(lobby: &Lobby) -> i32 {
    int(lobby.created_rooms)
}

fn list_event(code: u8, rooms: Hashtable) -> Event {
    Event { code, parameters: Parameters::from([(key::GAME_LIST, rooms)]) }
}
