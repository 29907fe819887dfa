//! Which game servers are linked.

use std::collections::HashMap;

use crate::message::{Addresses, Identity, Registration};

/// Most game servers of a Master.
pub const MAX_GAME_SERVERS: usize = 1024;

/// A link, for as long as it is up; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// Why a game server is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another one is where it says it is.
    #[error(
        "game server {other:?} is linked and has one of these addresses too: {addresses}; give each its own \
         PublicIPAddress and PublicHostName, or its own ports, in GameServer.xml.config"
    )]
    AddressTaken {
        /// Its name.
        other: String,
        /// The addresses of the one that wants in.
        addresses: Addresses,
    },
    /// Clients cannot reach it.
    #[error(
        "clients cannot reach a game server with these addresses: {0}; write PublicIPAddress or PublicHostName and at \
         least one Gaming...Port into GameServer.xml.config"
    )]
    NoAddress(Addresses),
    /// There are too many.
    #[error("{MAX_GAME_SERVERS} game servers are linked, which is the most")]
    Full,
}

/// The links that are up, each of another game server.
#[derive(Debug, Default)]
pub struct Registry {
    links: HashMap<LinkId, Linked>,
}

#[derive(Debug)]
struct Linked {
    identity: Identity,
    name: String,
    addresses: Addresses,
}

impl Registry {
    /// Notes a game server; gives the link that it had before, which is over now: the game server noticed a loss before
    /// we did.
    ///
    /// # Errors
    /// Another one has an address of it, nobody could reach it, or there are too many.
    pub fn register(&mut self, link: LinkId, registration: &Registration) -> Result<Option<LinkId>, Refusal> {
        let Registration { identity, name, addresses, .. } = registration;
        if addresses.transports() == Default::default() {
            return Err(Refusal::NoAddress(addresses.clone()));
        }
        let before = self.links.iter().find(|(_, other)| other.identity == *identity).map(|(link, _)| *link);
        let taken = |other: &&Linked| other.identity != *identity && other.addresses.overlap(addresses);
        if let Some(other) = self.links.values().find(taken) {
            return Err(Refusal::AddressTaken { other: other.name.clone(), addresses: addresses.clone() });
        }
        if before.is_none() && self.links.len() >= MAX_GAME_SERVERS {
            return Err(Refusal::Full);
        }
        if let Some(before) = before {
            self.links.remove(&before);
        }
        let linked = Linked { identity: *identity, name: name.to_string(), addresses: addresses.clone() };
        self.links.insert(link, linked);
        Ok(before)
    }

    /// The link is over. `false` if it was not up, or its game server has another one.
    pub fn closed(&mut self, link: LinkId) -> bool {
        self.links.remove(&link).is_some()
    }

    /// Number of game servers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }
}
