//! Game servers and the choice of one for a new room (operations.md 1.5, 5.5).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use super::room::RoomId;

/// A game server, until it is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GameServerId(pub u32);

/// How a client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// WebSocket.
    Ws,
    /// WebSocket over TLS.
    Wss,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Self; 4] = [Self::Udp, Self::Tcp, Self::Ws, Self::Wss];

    /// Its name in logs, messages and addresses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }
}

/// A set of transports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transports(u8);

impl Transports {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Transport::ALL.into_iter().collect()
    }

    /// Whether `transport` is one of them.
    #[must_use]
    pub const fn contains(self, transport: Transport) -> bool {
        self.0 & (1 << transport as u8) != 0
    }
}

impl FromIterator<Transport> for Transports {
    fn from_iter<I: IntoIterator<Item = Transport>>(transports: I) -> Self {
        Self(transports.into_iter().fold(0, |set, transport| set | 1 << transport as u8))
    }
}

/// What a game server says of itself when its link comes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GameServerOffer {
    /// Transports that it has an address for.
    pub transports: Transports,
    /// Servers of a larger priority get rooms only when those of smaller ones are loaded or gone.
    pub priority: u8,
}

impl From<Transports> for GameServerOffer {
    /// An offer of the first priority.
    fn from(transports: Transports) -> Self {
        Self { transports, priority: 0 }
    }
}

/// How much a game server can take, as it reports from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GameServerLoad {
    /// 0 is idle, 100 and more is full.
    pub percent: u8,
    /// Whether it takes new rooms; not so while it drains.
    pub in_rotation: bool,
}

/// From this load on, servers of the next priority take part.
const LOADED_PERCENT: u8 = 80;
const FULL_PERCENT: u8 = 100;

#[derive(Debug)]
pub(super) struct GameServer {
    pub(super) offer: GameServerOffer,
    pub(super) load: GameServerLoad,
    pub(super) rooms: BTreeSet<RoomId>,
    /// Rooms from before its link was down that it has not told of again.
    pub(super) unconfirmed: BTreeSet<RoomId>,
    /// Its link is down; it is lost then.
    pub(super) lost_at: Option<Duration>,
}

impl GameServer {
    pub(super) fn new(offer: GameServerOffer) -> Self {
        Self {
            offer,
            load: GameServerLoad { percent: 0, in_rotation: true },
            rooms: BTreeSet::new(),
            unconfirmed: BTreeSet::new(),
            lost_at: None,
        }
    }

    fn takes(&self, transport: Transport) -> bool {
        let is_ready = self.lost_at.is_none() && self.load.in_rotation && self.load.percent < FULL_PERCENT;
        is_ready && self.offer.transports.contains(transport)
    }

    fn weight(&self) -> u32 {
        u32::from(FULL_PERCENT.saturating_sub(self.load.percent))
    }
}

/// Picks a server for a new room of a client on `transport`: by chance, weighted with what is free, among the servers
/// of the first priority that has one below [`LOADED_PERCENT`], and of all before it.
pub(super) fn pick(
    servers: &BTreeMap<GameServerId, GameServer>,
    transport: Transport,
    rng: &mut StdRng,
) -> Option<GameServerId> {
    let candidates = || servers.iter().filter(|(_, server)| server.takes(transport));
    let last_priority = candidates()
        .filter(|(_, server)| server.load.percent < LOADED_PERCENT)
        .map(|(_, server)| server.offer.priority)
        .min()
        .unwrap_or(u8::MAX);
    let group = || candidates().filter(|(_, server)| server.offer.priority <= last_priority);
    let total: u32 = group().map(|(_, server)| server.weight()).sum();
    if total == 0 {
        return None;
    }
    let mut point = rng.random_range(0..total);
    group()
        .find(|(_, server)| match point.checked_sub(server.weight()) {
            Some(rest) => {
                point = rest;
                false
            }
            None => true,
        })
        .map(|(id, _)| *id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn server(priority: u8, percent: u8) -> GameServer {
        let mut server = GameServer::new(GameServerOffer { transports: Transports::all(), priority });
        server.load.percent = percent;
        server
    }

    fn picks(servers: Vec<GameServer>) -> Vec<usize> {
        let servers: BTreeMap<_, _> = (0..).map(GameServerId).zip(servers).collect();
        let mut rng = StdRng::seed_from_u64(3);
        let mut picks = vec![0; servers.len()];
        for _ in 0..1000 {
            if let Some(id) = pick(&servers, Transport::Udp, &mut rng) {
                picks[id.0 as usize] += 1;
            }
        }
        picks
    }

    #[test]
    fn a_server_with_less_load_gets_more_rooms() {
        let picks = picks(vec![server(0, 70), server(0, 10)]);
        assert!(picks[0] > 150 && picks[1] > 650, "{picks:?}");
    }

    #[test]
    fn the_next_priority_takes_part_only_when_the_first_is_loaded() {
        assert_eq!(picks(vec![server(0, 79), server(1, 0)]), [1000, 0]);
        let picks = picks(vec![server(0, 80), server(1, 0)]);
        assert!(picks[0] > 50 && picks[1] > 600, "{picks:?}");
    }

    #[test]
    fn servers_that_are_full_drained_unlinked_or_without_the_transport_are_left_out() {
        let mut drained = server(0, 0);
        drained.load.in_rotation = false;
        let mut unlinked = server(0, 0);
        unlinked.lost_at = Some(Duration::ZERO);
        let mut other = server(0, 0);
        other.offer.transports = [Transport::Wss].into_iter().collect();
        assert_eq!(picks(vec![server(0, 100), drained, unlinked, other]), [0, 0, 0, 0]);
    }

    #[test]
    fn when_all_are_loaded_all_priorities_take_part() {
        let picks = picks(vec![server(0, 90), server(5, 90)]);
        assert!(picks.iter().all(|count| *count > 300), "{picks:?}");
    }
}
