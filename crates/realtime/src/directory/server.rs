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
    /// 0 is idle, 9 is full.
    pub level: u8,
    /// Whether it takes new rooms; not so while it drains.
    pub in_rotation: bool,
}

/// How game servers are chosen for new rooms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Balance {
    /// How likely a server of each level is chosen; 0 = never.
    pub weights: [u32; 10],
    /// From this level on, servers of the next priority take part.
    pub loaded_level: u8,
    /// Share of the servers that gets no rooms as long as another one can.
    pub reserve_ratio: f64,
}

impl Default for Balance {
    /// As the reference product: less with each level, and nothing for a full server.
    fn default() -> Self {
        Self { weights: [20, 17, 15, 13, 11, 9, 7, 5, 3, 0], loaded_level: 9, reserve_ratio: 0.0 }
    }
}

impl Balance {
    fn weight(&self, server: &GameServer) -> u32 {
        self.weights.get(usize::from(server.load.level)).copied().unwrap_or_default()
    }
}

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
            load: GameServerLoad { level: 0, in_rotation: true },
            rooms: BTreeSet::new(),
            unconfirmed: BTreeSet::new(),
            lost_at: None,
        }
    }

    fn takes(&self, transport: Transport) -> bool {
        self.lost_at.is_none() && self.load.in_rotation && self.offer.transports.contains(transport)
    }
}

/// Picks a server for a new room of a client on `transport`: by chance, weighted by level, among the servers of the first
/// priority that has one below the loaded level, and of all before it.
pub(super) fn pick(
    servers: &BTreeMap<GameServerId, GameServer>,
    transport: Transport,
    balance: &Balance,
    rng: &mut StdRng,
) -> Option<GameServerId> {
    let candidates = || servers.iter().filter(|(_, server)| server.takes(transport) && balance.weight(server) > 0);
    let last_priority = candidates()
        .filter(|(_, server)| server.load.level < balance.loaded_level)
        .map(|(_, server)| server.offer.priority)
        .min()
        .unwrap_or(u8::MAX);
    let group = || candidates().filter(|(_, server)| server.offer.priority <= last_priority);
    // Those that came last are kept free.
    let group = || group().take(unreserved(servers.len(), balance.reserve_ratio));
    let total: u32 = group().map(|(_, server)| balance.weight(server)).fold(0, u32::saturating_add);
    if total == 0 {
        return None;
    }
    let mut point = rng.random_range(0..total);
    group()
        .find(|(_, server)| match point.checked_sub(balance.weight(server)) {
            Some(rest) => {
                point = rest;
                false
            }
            None => true,
        })
        .map(|(id, _)| *id)
}

/// How many servers get rooms; never none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share from 0 to 1 of a number of servers"
)]
fn unreserved(servers: usize, reserve_ratio: f64) -> usize {
    let reserved = (servers as f64 * reserve_ratio.clamp(0.0, 1.0)).floor() as usize;
    servers.saturating_sub(reserved).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn server(priority: u8, level: u8) -> GameServer {
        let mut server = GameServer::new(GameServerOffer { transports: Transports::all(), priority });
        server.load.level = level;
        server
    }

    fn picks_by(balance: &Balance, servers: Vec<GameServer>) -> Vec<usize> {
        let servers: BTreeMap<_, _> = (0..).map(GameServerId).zip(servers).collect();
        let mut rng = StdRng::seed_from_u64(3);
        let mut picks = vec![0; servers.len()];
        for _ in 0..1000 {
            if let Some(id) = pick(&servers, Transport::Udp, balance, &mut rng) {
                picks[id.0 as usize] += 1;
            }
        }
        picks
    }

    fn picks(servers: Vec<GameServer>) -> Vec<usize> {
        picks_by(&Balance::default(), servers)
    }

    #[test]
    fn a_server_with_less_load_gets_more_rooms() {
        let picks = picks(vec![server(0, 7), server(0, 1)]);
        assert!(picks[0] > 150 && picks[1] > 650, "{picks:?}");
    }

    #[test]
    fn the_weights_of_the_operator_count() {
        let balance = Balance { weights: [1, 0, 3, 0, 0, 0, 0, 0, 0, 0], ..Balance::default() };
        let picks = picks_by(&balance, vec![server(0, 0), server(0, 1), server(0, 2)]);
        assert!(picks[0] > 150 && picks[1] == 0 && picks[2] > 650, "{picks:?}");
    }

    #[test]
    fn the_next_priority_takes_part_only_when_the_first_is_loaded() {
        let balance = Balance { loaded_level: 8, ..Balance::default() };
        assert_eq!(picks_by(&balance, vec![server(0, 7), server(1, 0)]), [1000, 0]);
        let picks = picks_by(&balance, vec![server(0, 8), server(1, 0)]);
        assert!(picks[0] > 50 && picks[1] > 600, "{picks:?}");
    }

    #[test]
    fn a_reserve_is_kept_free_until_another_server_is_full() {
        let balance = Balance { reserve_ratio: 0.34, ..Balance::default() };
        let of = |first| picks_by(&balance, vec![server(0, first), server(0, 0), server(0, 0)]);
        assert!(of(0)[0] > 300 && of(0)[1] > 300 && of(0)[2] == 0);
        assert!(of(9)[0] == 0 && of(9)[1] > 300 && of(9)[2] > 300);
        let all = Balance { reserve_ratio: 1.0, ..Balance::default() };
        assert_eq!(picks_by(&all, vec![server(0, 0), server(0, 0)]), [1000, 0]);
    }

    #[test]
    fn servers_that_are_full_drained_unlinked_or_without_the_transport_are_left_out() {
        let mut drained = server(0, 0);
        drained.load.in_rotation = false;
        let mut unlinked = server(0, 0);
        unlinked.lost_at = Some(Duration::ZERO);
        let mut other = server(0, 0);
        other.offer.transports = [Transport::Wss].into_iter().collect();
        assert_eq!(picks(vec![server(0, 9), drained, unlinked, other]), [0, 0, 0, 0]);
    }

    #[test]
    fn when_all_are_loaded_all_priorities_take_part() {
        let balance = Balance { loaded_level: 3, ..Balance::default() };
        let picks = picks_by(&balance, vec![server(0, 5), server(5, 5)]);
        assert!(picks.iter().all(|count| *count > 300), "{picks:?}");
    }
}
