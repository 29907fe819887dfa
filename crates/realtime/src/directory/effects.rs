//! What the directory wants done.

use std::sync::Arc;

use lampyris_wire::{Event, OperationResponse, Parameters};

use super::{GameServerId, LobbyId, MasterPeer};

/// One thing that the owner of a [`Directory`](super::Directory) has to do for it.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Answer a peer.
    Respond {
        /// Who asked.
        peer: MasterPeer,
        /// The whole response.
        response: OperationResponse,
    },
    /// Answer a peer whose request for a room succeeded: the engine adds the game server's address for the peer's
    /// transport (230) and a token bound to server and room (221) to `parameters`.
    Place {
        /// Who asked.
        peer: MasterPeer,
        /// Operation code of the request: 227, 226 or 225.
        code: u8,
        /// The room.
        room: Arc<str>,
        /// Where it lives.
        server: GameServerId,
        /// The other parameters of the response.
        parameters: Parameters,
    },
    /// Answer a peer, and let it take part in the broadcasts of this lobby and of no other.
    LobbyJoined {
        /// Who asked.
        peer: MasterPeer,
        /// Where it is now.
        lobby: LobbyId,
        /// The whole response.
        response: OperationResponse,
    },
    /// Answer a peer, and let it take part in no lobby's broadcasts.
    LobbyLeft {
        /// Who asked.
        peer: MasterPeer,
        /// The whole response.
        response: OperationResponse,
    },
    /// Send an event to one peer, reliably.
    Event {
        /// The receiver.
        peer: MasterPeer,
        /// The event.
        event: Event,
    },
    /// Send an event to all peers in a lobby, reliably.
    LobbyEvent {
        /// The lobby.
        lobby: LobbyId,
        /// The event.
        event: Event,
    },
    /// Send an event to all peers, unreliably.
    AppStats {
        /// The event.
        event: Event,
    },
    /// Send an event to all peers that subscribed to lobby statistics, unreliably.
    LobbyStats {
        /// The event.
        event: Event,
    },
}

/// Effects in the order in which they are to be done. Made once and lent to each call; draining keeps the space.
#[derive(Debug, Default)]
pub struct Effects(Vec<Effect>);

impl Effects {
    /// No effects yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The effects so far.
    #[must_use]
    pub fn as_slice(&self) -> &[Effect] {
        &self.0
    }

    /// Takes the effects out, oldest first.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect> {
        self.0.drain(..)
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.0.push(effect);
    }

    pub(super) fn respond(&mut self, peer: MasterPeer, response: OperationResponse) {
        self.push(Effect::Respond { peer, response });
    }
}
