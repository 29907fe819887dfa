//! What a room wants done: messages, disconnects, reports.

use std::ops::Range;
use std::sync::Arc;

use lampyris_wire::{Event, Hashtable, OperationResponse, Payload};

use super::request::{RoomFlags, Route};
use crate::codes::{Refusal, ReturnCode};

/// A connection, as the engine numbers them. The room only hands it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerKey(pub u64);

/// Several receivers: a range of the arena that [`Effects`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receivers(Range<usize>);

/// One thing to do. The engine does them in order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Answer the request that is being handled: on its channel, with its delivery and encryption.
    Respond {
        /// Who asked.
        peer: PeerKey,
        /// The answer.
        response: OperationResponse,
    },
    /// An event of the room itself: reliable, channel 0, not encrypted.
    Event {
        /// Who gets it.
        to: Receivers,
        /// The event.
        event: Event,
    },
    /// The event that is being raised. Its data is in the request that the caller still holds; parameters are
    /// `{254: sender, 245: data}`.
    Raised {
        /// Who gets it.
        to: Receivers,
        /// Event code.
        code: u8,
        /// Actor number of the sender.
        sender: i32,
        /// Channel, delivery and encryption.
        route: Route,
    },
    /// An event of the cache for one who just joined: reliable, channel 0, not encrypted.
    Cached {
        /// Who gets it.
        to: PeerKey,
        /// Event code.
        code: u8,
        /// Actor number it was cached with, 0 for nobody's.
        sender: i32,
        /// Its data, `None` for none.
        data: Option<Payload>,
    },
    /// The peer has no actor here any more (do not pass on what it sends, do not tell of its loss) and is to be
    /// disconnected after the grace that lets it read what is on its way and go by itself.
    Disconnect {
        /// Who.
        peer: PeerKey,
        /// Why.
        reason: DisconnectReason,
    },
    /// News for the master server.
    Report(RoomReport),
    /// The room is over; drop it.
    Closed,
}

/// Why a peer is disconnected from its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DisconnectReason {
    /// It left.
    Left,
    /// Its join was refused.
    JoinRefused,
    /// Another connection of the same user took its actor over.
    TakenOver,
    /// It was removed from the room.
    Removed,
    /// It set too many different properties.
    OperationLimit,
}

impl DisconnectReason {
    /// The code of the disconnect message, if one is sent ahead of the disconnect.
    #[must_use]
    pub const fn code(self) -> Option<ReturnCode> {
        match self {
            Self::Left | Self::JoinRefused => None,
            Self::TakenOver => Some(ReturnCode::CONNECTION_SWITCH),
            Self::Removed => Some(ReturnCode::ACTOR_REMOVED),
            Self::OperationLimit => Some(ReturnCode::OPERATION_LIMIT_REACHED),
        }
    }
}

/// What the master server must know of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomReport {
    /// The room exists.
    Created {
        /// Its options.
        flags: RoomFlags,
        /// Lobby it is in, `None` for the default one.
        lobby_name: Option<Arc<str>>,
        /// Type of that lobby.
        lobby_type: u8,
        /// Well-known properties and those that the lobby shows.
        properties: Hashtable,
    },
    /// Properties changed: well-known ones and those that the lobby shows. Null: not there any more.
    PropertiesChanged(Hashtable),
    /// An actor is active.
    ActorJoined {
        /// Its number.
        actor: i32,
        /// Its user.
        user_id: Arc<str>,
        /// Whether it was in the room before.
        rejoined: bool,
    },
    /// An actor waits to be taken up again.
    ActorInactive {
        /// Its number.
        actor: i32,
        /// Its user.
        user_id: Arc<str>,
    },
    /// An actor is gone.
    ActorLeft {
        /// Its number.
        actor: i32,
        /// Its user.
        user_id: Arc<str>,
    },
    /// Someone whom the master sent did not get in.
    JoinFailed {
        /// The user.
        user_id: Arc<str>,
    },
    /// The list of users with reserved slots.
    ExpectedUsers(Vec<Arc<str>>),
    /// A user may not come back.
    Excluded {
        /// The user.
        user_id: Arc<str>,
    },
    /// The room is gone.
    Closed,
}

/// The effects of operations, in order, and their receivers. Reused: clearing keeps the memory, so that raising an
/// event allocates nothing per receiver.
#[derive(Debug, Default)]
pub struct Effects {
    list: Vec<Effect>,
    receivers: Vec<PeerKey>,
}

impl Effects {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The effects in order.
    #[must_use]
    pub fn list(&self) -> &[Effect] {
        &self.list
    }

    /// The peers that `receivers`, of an effect in this list, stands for.
    #[must_use]
    pub fn receivers(&self, receivers: &Receivers) -> &[PeerKey] {
        self.receivers.get(receivers.0.clone()).unwrap_or_default()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.list.clear();
        self.receivers.clear();
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }

    pub(super) fn respond(&mut self, peer: PeerKey, response: OperationResponse) {
        self.list.push(Effect::Respond { peer, response });
    }

    pub(super) fn refuse(&mut self, peer: PeerKey, operation: u8, refusal: Refusal) {
        self.respond(peer, refusal.into_response(operation));
    }

    pub(super) fn report(&mut self, report: RoomReport) {
        self.list.push(Effect::Report(report));
    }

    /// Sends `event`, unless there is nobody to get it.
    pub(super) fn event(&mut self, to: impl Iterator<Item = PeerKey>, event: Event) {
        if let Some(to) = self.gather(to) {
            self.list.push(Effect::Event { to, event });
        }
    }

    /// Sends the event that is being raised, unless there is nobody to get it.
    pub(super) fn raised(&mut self, to: impl Iterator<Item = PeerKey>, code: u8, sender: i32, route: Route) {
        if let Some(to) = self.gather(to) {
            self.list.push(Effect::Raised { to, code, sender, route });
        }
    }

    fn gather(&mut self, to: impl Iterator<Item = PeerKey>) -> Option<Receivers> {
        let start = self.receivers.len();
        self.receivers.extend(to);
        let end = self.receivers.len();
        (end > start).then_some(Receivers(start..end))
    }
}
