//! Create, join and random join: which room, and is there a place (operations.md 2.4.2, 2.5, 5.3).

use std::sync::Arc;
use std::time::Duration;

use lampyris_wire::{Hashtable, Parameters};
use rand::Rng;
use rand::rngs::StdRng;

use super::lobby::{LobbyKey, LobbyType};
use super::request::{Filter, JoinRandomRequest};
use super::request::{lobby_of, player_limit};
use super::room::{HeldJoin, ReservationId, Room, RoomId};
use super::{Directory, Effect, Effects, MasterPeer, Transport, server, unknown_peer};
use crate::codes::{Refusal, ReturnCode, key, operation};
use crate::properties::room_key;
use crate::room::request::{JoinMode, JoinRequest, RoomFlags};

/// Who asks.
#[derive(Clone, Debug)]
struct Client {
    peer: MasterPeer,
    user: Arc<str>,
    transport: Transport,
}

/// What the master needs to know of a room to be made.
struct NewRoom<'a> {
    name: Option<&'a Arc<str>>,
    lobby: LobbyKey,
    max_players: u32,
    check_users: bool,
    expected: &'a [Arc<str>],
}

impl<'a> NewRoom<'a> {
    fn from_join(request: &'a JoinRequest) -> Self {
        Self {
            name: request.room_name.as_ref(),
            lobby: lobby_of(request),
            max_players: player_limit(&request.game_properties),
            check_users: request.flags.contains(RoomFlags::CHECK_USER_ON_JOIN),
            expected: &request.expected_users,
        }
    }
}

impl Directory {
    /// Operation 227: a new room under a free name, or under a new GUID.
    pub fn create_game(&mut self, now: Duration, peer: MasterPeer, request: &JoinRequest, effects: &mut Effects) {
        let placed = self.client(peer).and_then(|client| self.new_room(now, &client, &NewRoom::from_join(request)));
        self.answer(peer, request.operation, placed, effects);
    }

    /// Operation 226: into the room of that name; made on the way if the mode says so. A plain join to a room that its
    /// creator is about to make is answered when it is made, or could not be.
    pub fn join_game(&mut self, now: Duration, peer: MasterPeer, request: &JoinRequest, effects: &mut Effects) {
        match self.find_by_name(now, peer, request) {
            Ok(None) => {}
            Ok(Some(room)) => self.answer(peer, request.operation, Ok(room), effects),
            Err(refusal) => self.answer(peer, request.operation, Err(refusal), effects),
        }
    }

    /// Operation 225: into any room that matches, or into a new one if the request says so.
    pub fn join_random(&mut self, now: Duration, peer: MasterPeer, request: &JoinRandomRequest, effects: &mut Effects) {
        let placed = self.find_match(now, peer, request);
        self.answer(peer, operation::JOIN_RANDOM_GAME, placed, effects);
    }

    fn answer(&self, peer: MasterPeer, code: u8, placed: Result<RoomId, Refusal>, effects: &mut Effects) {
        let room = placed.and_then(|id| self.rooms.get(&id).ok_or_else(|| no_such_room("of this request")));
        match room {
            Err(refusal) => effects.respond(peer, refusal.into_response(code)),
            Ok(room) => effects.push(Effect::Place {
                peer,
                code,
                room: room.name.clone(),
                server: room.server,
                parameters: Parameters::from([(key::ROOM_NAME, room.name.clone())]),
            }),
        }
    }

    fn client(&mut self, peer: MasterPeer) -> Result<Client, Refusal> {
        let known = self.peers.get(&peer).ok_or_else(unknown_peer)?;
        if known.reservations + known.held.len() >= self.settings.requests_per_peer {
            self.counters.requests_over_limit += 1;
            return Err(Refusal::denied(format!(
                "expected at most {} requests for a room at a time, all are still open",
                self.settings.requests_per_peer
            )));
        }
        Ok(Client { peer, user: known.user.clone(), transport: known.transport })
    }

    /// The room to join; none if the answer has to wait.
    fn find_by_name(
        &mut self,
        now: Duration,
        peer: MasterPeer,
        request: &JoinRequest,
    ) -> Result<Option<RoomId>, Refusal> {
        let client = self.client(peer)?;
        let name = request.require_room_name()?;
        let Some(id) = self.room_ids.get(name).copied() else {
            if request.mode == JoinMode::Default {
                return Err(no_such_room(name));
            }
            return self.new_room(now, &client, &NewRoom::from_join(request)).map(Some);
        };
        if request.mode == JoinMode::Default
            && let Some(room) = self.rooms.get_mut(&id).filter(|room| !room.is_created)
        {
            room.held.push(HeldJoin { peer, request: request.clone() });
            if let Some(peer) = self.peers.get_mut(&peer) {
                peer.held.push(id);
            }
            return Ok(None);
        }
        self.admit(now, id, &client, request).map(Some)
    }

    /// Into a room that exists, if its rules let the client in. Whoever asks once more gives up the place it had.
    fn admit(&mut self, now: Duration, id: RoomId, client: &Client, request: &JoinRequest) -> Result<RoomId, Refusal> {
        let room = self.rooms.get_mut(&id).ok_or_else(|| no_such_room("of this request"))?;
        let before = room.take_reservation(|reservation| reservation.peer == client.peer);
        room.recount();
        let offered = self.servers.get(&room.server).map(|server| server.offer.transports).unwrap_or_default();
        let admitted = room
            .admit(&client.user, request)
            .and_then(|()| if offered.contains(client.transport) { Ok(()) } else { Err(no_address(client.transport)) });
        match (admitted, before) {
            (Ok(()), before) => {
                if before.is_some()
                    && let Some(peer) = self.peers.get_mut(&client.peer)
                {
                    peer.reservations = peer.reservations.saturating_sub(1);
                }
            }
            (Err(refusal), before) => {
                if let Some(before) = before {
                    room.put_reservation(before);
                    room.recount();
                }
                return Err(refusal);
            }
        }
        self.keep_place(now, id, client, &request.expected_users, request.mode.rejoins());
        Ok(id)
    }

    fn find_match(&mut self, now: Duration, peer: MasterPeer, request: &JoinRandomRequest) -> Result<RoomId, Refusal> {
        let client = self.client(peer)?;
        let key = self.lobby_to_search(peer, request);
        let any = Filter::default();
        let filter = match (key.kind(), &request.sql_filter) {
            (LobbyType::Sql, Some(_)) => {
                return Err(Refusal::invalid("parameter 245 (SqlFilter): queries of SQL lobbies are not supported"));
            }
            (LobbyType::Sql, None) => &any,
            _ => &request.filter,
        };
        let lobby = self.lobby_ids.get(&key).and_then(|id| self.lobbies.get_mut(id));
        let counter = &mut self.counters.rooms_searched;
        let found = lobby.as_ref().and_then(|lobby| {
            lobby.search(request.mode, &mut self.rng).inspect(|_| *counter += 1).find(|id| {
                self.rooms.get(id).is_some_and(|room| {
                    room.suits(&client.user, &request.expected_users, filter)
                        && self.servers.get(&room.server).is_some_and(|s| s.offer.transports.contains(client.transport))
                })
            })
        });
        match (found, lobby) {
            (Some(id), Some(lobby)) => {
                lobby.last_match = Some(id);
                self.keep_place(now, id, &client, &request.expected_users, false);
                Ok(id)
            }
            _ if request.create => {
                let room = NewRoom {
                    name: request.room_name.as_ref(),
                    lobby: key,
                    max_players: request.max_players,
                    check_users: request.check_user_on_join,
                    expected: &request.expected_users,
                };
                self.new_room(now, &client, &room)
            }
            _ => Err(Refusal::new(ReturnCode::NO_MATCH_FOUND, "no room matches")),
        }
    }

    /// The lobby of the request, else the one that the peer is in, else the default lobby.
    fn lobby_to_search(&self, peer: MasterPeer, request: &JoinRandomRequest) -> LobbyKey {
        let current = || self.lobbies.get(&self.peers.get(&peer)?.lobby?).map(|lobby| lobby.key.clone());
        request.lobby.clone().or_else(current).unwrap_or_default()
    }

    fn new_room(&mut self, now: Duration, client: &Client, new: &NewRoom<'_>) -> Result<RoomId, Refusal> {
        let name = new.name.map_or_else(|| guid(&mut self.rng), Arc::clone);
        if self.room_ids.contains_key(&name) {
            return Err(Refusal::new(
                ReturnCode::GAME_ID_ALREADY_EXISTS,
                format!("a room named {name:?} exists already"),
            ));
        }
        if self.rooms.len() >= self.settings.rooms {
            self.counters.rooms_over_limit += 1;
            return Err(Refusal::new(
                ReturnCode::SERVER_FULL,
                format!("expected at most {} rooms, all are in use", self.settings.rooms),
            ));
        }
        let server =
            server::pick(&self.servers, client.transport, &self.settings.balance, &mut self.rng).ok_or_else(|| {
                Refusal::new(
                    ReturnCode::SERVER_FULL,
                    format!("no game server takes a new room over {}", client.transport.name()),
                )
            })?;
        let lobby = self.lobby(&new.lobby)?;
        let limit = Hashtable::from([(room_key::MAX_PLAYERS_INT, i32::try_from(new.max_players).unwrap_or(i32::MAX))]);
        let mut room = Room::new(name, lobby, server, &limit);
        room.check_users = new.check_users;
        if !room.fits(&client.user, new.expected) {
            self.drop_lobby_if_unused(lobby);
            return Err(Refusal::new(
                ReturnCode::SLOT_ERROR,
                format!(
                    "expected at most {} expected users besides the creator, got {}",
                    new.max_players.saturating_sub(1),
                    new.expected.len()
                ),
            ));
        }
        let id = self.insert_room(room);
        self.keep_place(now, id, client, new.expected, false);
        Ok(id)
    }

    pub(super) fn insert_room(&mut self, room: Room) -> RoomId {
        let id = RoomId(self.next_room);
        self.next_room += 1;
        if let Some(server) = self.servers.get_mut(&room.server) {
            server.rooms.insert(id);
        }
        if let Some(lobby) = self.lobbies.get_mut(&room.lobby) {
            lobby.rooms += 1;
        }
        self.room_ids.insert(room.name.clone(), id);
        self.rooms.insert(id, room);
        id
    }

    fn keep_place(&mut self, now: Duration, id: RoomId, client: &Client, expected: &[Arc<str>], rejoins: bool) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let reservation = ReservationId(self.next_reservation);
        if room.reserve(reservation, client.peer, &client.user, expected, rejoins) {
            self.next_reservation += 1;
            self.reservation_ends.push_back((now + self.settings.reservation, id, reservation));
            self.users.entered(client.user.clone(), id);
            if let Some(peer) = self.peers.get_mut(&client.peer) {
                peer.reservations += 1;
            }
        }
        self.room_changed(now, id);
    }

    /// Answers the joins that waited for this room.
    pub(super) fn release_held(&mut self, now: Duration, id: RoomId, effects: &mut Effects) {
        let held = self.rooms.get_mut(&id).map(|room| std::mem::take(&mut room.held)).unwrap_or_default();
        for join in held {
            self.no_longer_held(id, join.peer);
            let Some(peer) = self.peers.get(&join.peer) else { continue };
            let client = Client { peer: join.peer, user: peer.user.clone(), transport: peer.transport };
            let placed = self.admit(now, id, &client, &join.request);
            self.answer(join.peer, join.request.operation, placed, effects);
        }
    }

    pub(super) fn refuse_held(&mut self, id: RoomId, join: &HeldJoin, name: &str, effects: &mut Effects) {
        self.no_longer_held(id, join.peer);
        effects.respond(join.peer, no_such_room(name).into_response(join.request.operation));
    }

    fn no_longer_held(&mut self, id: RoomId, peer: MasterPeer) {
        if let Some(peer) = self.peers.get_mut(&peer)
            && let Some(index) = peer.held.iter().position(|held| *held == id)
        {
            peer.held.swap_remove(index);
        }
    }
}

fn no_such_room(name: &str) -> Refusal {
    Refusal::new(ReturnCode::GAME_ID_NOT_EXISTS, format!("expected a room that exists, found none named {name:?}"))
}

fn no_address(transport: Transport) -> Refusal {
    Refusal::new(
        ReturnCode::INTERNAL_SERVER_ERROR,
        format!("the room's game server has no address for {}", transport.name()),
    )
}

/// A random UUID (version 4) as text.
fn guid(rng: &mut StdRng) -> Arc<str> {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    let mut number = u128::from_be_bytes(bytes);
    number = (number & !(0xF << 76)) | (0x4 << 76);
    number = (number & !(0x3 << 62)) | (0x2 << 62);
    let mut text = String::with_capacity(36);
    for (index, digit) in format!("{number:032x}").chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text.into()
}
