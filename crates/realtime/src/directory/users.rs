//! Who is online, and in which room (operations.md 6.2).

use std::collections::HashMap;
use std::sync::Arc;

use lampyris_wire::{Parameters, Value};

use super::request::FindFriendsRequest;
use super::room::RoomId;
use super::{Directory, Effects, MasterPeer};
use crate::codes::{key, operation, success};

#[derive(Debug, Default)]
struct User {
    /// Connections to the master server.
    peers: u32,
    /// The last room that the user joined or was led to.
    room: Option<RoomId>,
}

/// Users that are connected to the master server or in a room. One user id may stand for several clients.
#[derive(Debug, Default)]
pub(super) struct Users(HashMap<Arc<str>, User>);

impl Users {
    pub(super) fn connected(&mut self, user: Arc<str>) {
        self.0.entry(user).or_default().peers += 1;
    }

    pub(super) fn disconnected(&mut self, user: &str) {
        self.update(user, |user| user.peers = user.peers.saturating_sub(1));
    }

    pub(super) fn entered(&mut self, user: Arc<str>, room: RoomId) {
        self.0.entry(user).or_default().room = Some(room);
    }

    pub(super) fn left(&mut self, user: &str, room: RoomId) {
        self.update(user, |user| user.room = user.room.filter(|current| *current != room));
    }

    fn update(&mut self, name: &str, change: impl FnOnce(&mut User)) {
        let Some(user) = self.0.get_mut(name) else { return };
        change(user);
        if user.peers == 0 && user.room.is_none() {
            self.0.remove(name);
        }
    }
}

impl Directory {
    /// Operation 222: for each user whether it is online, and the name of its room, empty for none.
    pub fn find_friends(&self, peer: MasterPeer, request: &FindFriendsRequest, effects: &mut Effects) {
        let online = request.users.iter().map(|user| self.users.0.contains_key(user)).collect();
        let rooms = request.users.iter().map(|user| {
            let room = self.users.0.get(user).and_then(|user| self.rooms.get(&user.room?));
            room.filter(|room| {
                (room.is_created || !request.created_only)
                    && (room.listing.visible || !request.visible_only)
                    && (room.listing.open || !request.open_only)
            })
            .map_or_else(|| "".into(), |room| room.name.clone())
        });
        let parameters = Parameters::new()
            .with(key::FRIENDS, Value::BoolArray(online))
            .with(key::FRIENDS_OPTIONS, Value::StringArray(rooms.collect()));
        effects.respond(peer, success(operation::FIND_FRIENDS, parameters));
    }
}
