//! Leaving a room: on request, by loss of the connection, by the end of an actor's time, by force.

use std::sync::Arc;
use std::time::Duration;

use lampyris_wire::{Event, Parameters};

use super::Room;
use super::effect::{DisconnectReason, Effect, Effects, RoomReport};
use super::request::{Leave, RoomFlags};
use super::roster::Seat;
use crate::codes::{self, event, key, operation};
use crate::properties;

impl Room {
    /// Operation 254. One who has no actor here gets no answer.
    pub fn leave(&mut self, now: Duration, seat: Seat, leave: Leave, effects: &mut Effects) {
        if !self.roster.is_seated(seat) {
            return;
        }
        self.go(now, seat.actor, leave.will_come_back, effects);
        effects.respond(seat.peer, codes::success(operation::LEAVE, Parameters::new()));
        effects.push(Effect::Disconnect { peer: seat.peer, reason: DisconnectReason::Left });
        self.settle(now, effects);
    }

    /// The connection is gone. A peer that is no more the actor's changes nothing.
    pub fn peer_lost(&mut self, now: Duration, seat: Seat, effects: &mut Effects) {
        if self.roster.is_seated(seat) {
            self.go(now, seat.actor, true, effects);
            self.settle(now, effects);
        }
    }

    /// Removes an actor, active or not, for good; with `exclude` its user may not come back to a room that checks
    /// users. Says whether there was one.
    pub fn remove_actor(&mut self, now: Duration, actor: i32, exclude: bool, effects: &mut Effects) -> bool {
        let Some(user_id) = self.roster.get(actor).map(|actor| actor.user_id.clone()) else { return false };
        let peer = self.roster.peer_of(actor);
        self.remove(actor, effects);
        if exclude && !self.excluded.contains(&user_id) {
            self.excluded.push(Arc::clone(&user_id));
            effects.report(RoomReport::Excluded { user_id });
        }
        if let Some(peer) = peer {
            effects.push(Effect::Disconnect { peer, reason: DisconnectReason::Removed });
        }
        self.settle(now, effects);
        true
    }

    /// An active actor goes: for good, or until PlayerTTL if it may come back.
    pub(super) fn go(&mut self, now: Duration, number: i32, will_come_back: bool, effects: &mut Effects) {
        if !will_come_back || self.known.player_ttl.is_zero() {
            self.remove(number, effects);
            return;
        }
        let until = self.known.player_ttl.duration().map(|ttl| now.saturating_add(ttl));
        let Some(actor) = self.roster.deactivate(number, until) else { return };
        effects.report(RoomReport::ActorInactive { actor: number, user_id: actor.user_id.clone() });
        self.tell_left(number, true, effects);
    }

    /// An actor goes for good; the others are told. Closing an empty room is the caller's.
    pub(super) fn remove(&mut self, number: i32, effects: &mut Effects) {
        let Some(actor) = self.roster.remove(number) else { return };
        self.property_bytes = self.property_bytes.saturating_sub(properties::table_bytes(&actor.properties));
        if self.flags.contains(RoomFlags::DELETE_CACHE_ON_LEAVE) {
            self.cache.remove_actor(number);
        }
        effects.report(RoomReport::ActorLeft { actor: number, user_id: actor.user_id });
        self.tell_left(number, false, effects);
    }

    /// Finds a new master client if that was the one who left, and sends event 254.
    fn tell_left(&mut self, number: i32, is_inactive: bool, effects: &mut Effects) {
        let mut parameters =
            Parameters::new().with(key::ACTOR_NR, number).with(key::ACTORS, self.roster.active_numbers());
        if is_inactive {
            parameters.insert(key::IS_INACTIVE, true);
        }
        if self.master == number {
            let next = self.roster.active().iter().map(|active| active.number).min().unwrap_or(0);
            self.set_master(next);
            parameters.insert(key::MASTER_CLIENT_ID, next);
        }
        if !self.flags.contains(RoomFlags::SUPPRESS_ROOM_EVENTS) {
            effects.event(self.roster.peers(), Event { code: event::LEAVE, parameters });
        }
    }
}
