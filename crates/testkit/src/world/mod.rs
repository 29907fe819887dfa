//! The workers of a node and clients in one thread, under virtual time.

mod host;
mod node;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use lampyris_client::{Client, Event, State};
use lampyris_engine::{
    Addresses, Applications, Config, ConnectionKey, Endpoint, GameConfig, Host, HostName, Limits, ListenerConfig,
    ListenerId, MasterConfig, Moved, NameServerConfig, Region, Role, Stats, Transport, UdpConfig, Worker, WorkerId,
    WorkerMessage,
};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::{Conditions, StreamPath};

/// The address of the node.
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// What the listeners' ports begin with; one for each role and transport.
const FIRST_PORT: u16 = 5_000;

/// Most steps without time passing; beyond, somebody's deadline does not move.
const MAX_STEPS_AT_ONCE: usize = 200_000;

/// What a world is made with.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// Number of workers.
    pub workers: u16,
    /// How bad the network is.
    pub conditions: Conditions,
    /// Limits of the node.
    pub limits: Limits,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self { workers: 1, conditions: Conditions::GOOD, limits: Limits::default() }
    }
}

/// One client and the machine it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId(usize);

impl HostId {
    pub(crate) fn number(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }

    pub(crate) fn from_number(number: u32) -> Self {
        Self(usize::try_from(number).unwrap_or(usize::MAX))
    }
}

/// A node and its clients. Everything that happens follows from the seed and the calls.
#[derive(Debug)]
pub struct World {
    seed: u64,
    now: Duration,
    rng: StdRng,
    conditions: Conditions,
    config: Arc<Config>,
    workers: Vec<Seat>,
    hosts: Vec<host::Host>,
    ports: HashMap<SocketAddr, HostId>,
    streams: Vec<Stream>,
    by_connection: HashMap<(WorkerId, ConnectionKey), usize>,
    queue: BinaryHeap<Reverse<Entry>>,
    entries: u64,
    steps_at_once: usize,
    moves: usize,
}

/// A worker, when it is to be woken, and when the last message to it arrives.
#[derive(Debug)]
struct Seat {
    worker: Worker,
    armed: Option<Duration>,
    letters: Vec<Duration>,
}

/// A stream between a host and the node.
#[derive(Debug)]
struct Stream {
    host: HostId,
    listener: ListenerId,
    remote: SocketAddr,
    place: Place,
    up: StreamPath,
    down: StreamPath,
}

/// Where the node's end of a stream is.
#[derive(Debug)]
enum Place {
    /// On its way to be accepted.
    Coming,
    At(WorkerId, ConnectionKey),
    /// On its way to another worker; what arrives is held.
    Moving(Vec<Vec<u8>>, bool),
    Gone,
}

/// Something that is going to happen.
#[derive(Debug)]
enum Happening {
    WorkerWakes(WorkerId),
    HostWakes(HostId),
    Letter(WorkerId, Letter),
    DatagramToNode { listener: ListenerId, from: SocketAddr, bytes: Vec<u8> },
    DatagramToHost { to: SocketAddr, bytes: Vec<u8> },
    Accept(usize),
    Accepted(usize),
    BytesToNode(usize, Vec<u8>),
    EndToNode(usize),
    BytesToHost(usize, Vec<u8>),
    EndToHost(usize),
}

/// From worker to worker.
#[derive(Debug)]
enum Letter {
    Message(Box<WorkerMessage>),
    Stream(usize, Moved),
}

#[derive(Debug)]
struct Entry {
    at: Duration,
    number: u64,
    what: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl World {
    /// A node without clients.
    ///
    /// # Panics
    /// The cryptographic library makes no key.
    #[must_use]
    #[expect(clippy::expect_used, reason = "without a key there is nothing to test")]
    pub fn new(seed: u64, world: WorldConfig) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let listeners = Role::ALL
            .into_iter()
            .flat_map(|role| TRANSPORTS.map(|transport| (role, transport)))
            .zip(FIRST_PORT..)
            .map(|((role, transport), port)| ListenerConfig::of_role(role, transport, port))
            .collect();
        let host = Host::AsReached { public_ip: Some(SERVER), public_host: HostName::Fixed("node.example".into()) };
        let mut config = Config {
            workers: world.workers,
            listeners,
            applications: Applications::default(),
            addresses: Addresses::default(),
            name_server: NameServerConfig::default(),
            master: MasterConfig::default(),
            game: GameConfig::default(),
            token_secret: rng.random(),
            clock_started_at_unix: Duration::from_secs(1_700_000_000),
            udp_secret: rng.random(),
            udp: UdpConfig::SERVER,
            assets: HashMap::new(),
            limits: world.limits,
        };
        let endpoint = |role| Endpoint { host: host.clone(), ports: config.ports(role), ..Endpoint::default() };
        let region = Region { code: None, master: endpoint(Role::Master) };
        config.addresses = Addresses { regions: vec![region], game: endpoint(Role::Game) };
        let config = Arc::new(config);
        let workers = (0..world.workers)
            .map(|id| {
                let worker = Worker::new(WorkerId(id), Arc::clone(&config), rng.random()).expect("a key for tokens");
                Seat { worker, armed: None, letters: vec![Duration::ZERO; usize::from(world.workers)] }
            })
            .collect();
        let mut new = Self {
            seed,
            now: Duration::from_secs(1),
            rng,
            conditions: world.conditions,
            config,
            workers,
            hosts: Vec::new(),
            ports: HashMap::new(),
            streams: Vec::new(),
            by_connection: HashMap::new(),
            queue: BinaryHeap::new(),
            entries: 0,
            steps_at_once: 0,
            moves: 0,
        };
        for id in 0..world.workers {
            new.settle_worker(WorkerId(id));
        }
        new
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Randomness that belongs to the seed.
    pub fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }

    /// Makes the network better or worse from now on.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    /// The address of a role as clients are told it.
    #[must_use]
    pub fn address(&self, role: Role, transport: lampyris_client::Transport) -> lampyris_client::ServerAddress {
        let listener = self.config.listener(role, engine_transport(transport));
        let host = if transport.is_websocket() { "node.example".to_owned() } else { SERVER.to_string() };
        lampyris_client::ServerAddress::new(transport, host, listener.map_or(0, |listener| listener.port))
    }

    /// Streams that moved from worker to worker.
    #[must_use]
    pub fn moves(&self) -> usize {
        self.moves
    }

    /// Open connections of the node.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.workers.iter().map(|seat| seat.worker.connection_count()).sum()
    }

    /// Counters of each worker.
    pub fn stats(&self) -> impl Iterator<Item = Stats> {
        self.workers.iter().map(|seat| seat.worker.stats())
    }

    /// A client.
    ///
    /// # Panics
    /// The host is of another world.
    #[must_use]
    pub fn client(&self, host: HostId) -> &Client {
        &self.host(host).client
    }

    /// What a client told since the last call.
    pub fn take_events(&mut self, host: HostId) -> Vec<Event> {
        std::mem::take(&mut self.host_mut(host).events)
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Lets time pass until `done`; gives whether it came to that within `limit`.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        loop {
            if done(self) {
                return true;
            }
            if !self.step(end) {
                self.now = end;
                return done(self);
            }
        }
    }

    /// Lets time pass until all of them are there; gives whether they came within `limit`.
    pub fn run_until_all(&mut self, hosts: &[HostId], state: State, limit: Duration) -> bool {
        self.run_until(limit, |world| hosts.iter().all(|host| world.client(*host).state() == state))
    }

    /// The next thing that happens before `end`.
    fn step(&mut self, end: Duration) -> bool {
        if self.queue.peek().is_none_or(|Reverse(entry)| entry.at > end) {
            return false;
        }
        let Some(Reverse(entry)) = self.queue.pop() else { return false };
        self.steps_at_once = if entry.at > self.now { 0 } else { self.steps_at_once + 1 };
        assert!(self.steps_at_once < MAX_STEPS_AT_ONCE, "time does not pass any more: {:?}", entry.what);
        self.now = self.now.max(entry.at);
        self.happen(entry.what);
        true
    }

    fn schedule(&mut self, at: Duration, what: Happening) {
        self.entries += 1;
        self.queue.push(Reverse(Entry { at, number: self.entries, what }));
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::WorkerWakes(id) => self.worker_wakes(id),
            Happening::HostWakes(id) => self.host_wakes(id),
            Happening::Letter(to, letter) => self.take_letter(to, letter),
            Happening::DatagramToNode { listener, from, bytes } => self.datagram_to_node(listener, from, bytes),
            Happening::DatagramToHost { to, bytes } => self.datagram_to_host(to, bytes),
            Happening::Accept(stream) => self.accept(stream),
            Happening::Accepted(stream) => self.accepted(stream),
            Happening::BytesToNode(stream, bytes) => self.bytes_to_node(stream, bytes),
            Happening::EndToNode(stream) => self.end_to_node(stream),
            Happening::BytesToHost(stream, bytes) => self.bytes_to_host(stream, bytes),
            Happening::EndToHost(stream) => self.end_to_host(stream),
        }
    }
}

/// Every transport, in the order of ports.
const TRANSPORTS: [Transport; 4] = [Transport::Udp, Transport::Tcp, Transport::Ws, Transport::Wss];

fn engine_transport(transport: lampyris_client::Transport) -> Transport {
    match transport {
        lampyris_client::Transport::Udp => Transport::Udp,
        lampyris_client::Transport::Tcp => Transport::Tcp,
        lampyris_client::Transport::Ws => Transport::Ws,
        lampyris_client::Transport::Wss => Transport::Wss,
    }
}
