//! The workers of a node and clients in one thread, under virtual time.

mod host;
mod links;
mod node;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use lampyris_client::{Client, Event, State};
use lampyris_engine::{
    Addresses, Application, Applications, Config, ConnectionKey, Endpoint, GameConfig, Host, HostName, Limits,
    ListenerConfig, ListenerId, MasterConfig, Moved, NameServerConfig, Region, Role, Stats, Transport, UdpConfig,
    Worker, WorkerId, WorkerMessage,
};
use lampyris_s2s::Registry;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::{Conditions, StreamPath};

/// The address of the node.
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// What the listeners' ports begin with; one for each role and transport.
const FIRST_PORT: u16 = 5_000;
/// Ports of each further node lie so far behind.
const PORTS_PER_NODE: u16 = 100;

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
    /// Game servers in nodes of their own; with none the first node plays all roles.
    pub game_servers: usize,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self { workers: 1, conditions: Conditions::GOOD, limits: Limits::default(), game_servers: 0 }
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
    nodes: Vec<Node>,
    links: Vec<links::Link>,
    registry: Registry,
    link_config: Arc<lampyris_s2s::Config>,
    hosts: Vec<host::Host>,
    ports: HashMap<SocketAddr, HostId>,
    streams: Vec<Stream>,
    by_connection: HashMap<(SeatId, ConnectionKey), usize>,
    queue: BinaryHeap<Reverse<Entry>>,
    entries: u64,
    steps_at_once: usize,
    moves: usize,
}

/// What all nodes share.
struct Secrets {
    token: [u8; 32],
    udp: [u8; 32],
}

/// A node: what it was told, and its workers.
#[derive(Debug)]
struct Node {
    config: Arc<Config>,
    seats: Vec<Seat>,
}

/// A worker of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct SeatId {
    node: usize,
    worker: WorkerId,
}

/// A listener of a node.
#[derive(Clone, Copy, Debug)]
struct Door {
    node: usize,
    listener: ListenerId,
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
    door: Door,
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
    At(SeatId, ConnectionKey),
    /// On its way to another worker; what arrives is held.
    Moving(Vec<Vec<u8>>, bool),
    Gone,
}

/// Something that is going to happen.
#[derive(Debug)]
enum Happening {
    WorkerWakes(SeatId),
    HostWakes(HostId),
    Letter(SeatId, Letter),
    LinkCalls(usize),
    LinkWakes(usize),
    LinkBytes { link: usize, call: u64, to: links::Side, bytes: Vec<u8> },
    DatagramToNode { door: Door, from: SocketAddr, bytes: Vec<u8> },
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
    pub fn new(seed: u64, world: WorldConfig) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let secrets = Secrets { token: rng.random(), udp: rng.random() };
        let mut new = Self {
            seed,
            now: Duration::from_secs(1),
            conditions: world.conditions.clone(),
            nodes: Vec::new(),
            links: Vec::new(),
            registry: Registry::default(),
            link_config: links::config(&secrets.token),
            hosts: Vec::new(),
            ports: HashMap::new(),
            streams: Vec::new(),
            by_connection: HashMap::new(),
            queue: BinaryHeap::new(),
            entries: 0,
            steps_at_once: 0,
            moves: 0,
            rng,
        };
        let first: &[Role] = if world.game_servers == 0 { &Role::ALL } else { &[Role::NameServer, Role::Master] };
        new.add_node(first, &world, &secrets);
        for _ in 0..world.game_servers {
            new.add_node(&[Role::Game], &world, &secrets);
            new.add_link();
        }
        new
    }

    #[expect(clippy::expect_used, reason = "without a key there is nothing to test")]
    fn add_node(&mut self, roles: &[Role], world: &WorldConfig, secrets: &Secrets) {
        let node = self.nodes.len();
        let first_port = FIRST_PORT + PORTS_PER_NODE * u16::try_from(node).unwrap_or_default();
        let listeners = roles
            .iter()
            .flat_map(|role| TRANSPORTS.map(|transport| (*role, transport)))
            .zip(first_port..)
            .map(|((role, transport), port)| ListenerConfig::of_role(role, transport, port))
            .collect();
        let host = Host::AsReached { public_ip: Some(SERVER), public_host: HostName::Fixed("node.example".into()) };
        let application = |role: &Role| Application { name: role.name().to_owned(), role: *role };
        let mut config = Config {
            workers: world.workers,
            listeners,
            applications: Applications { loaded: roles.iter().map(application).collect(), default: None },
            addresses: Addresses::default(),
            name_server: NameServerConfig::default(),
            master: MasterConfig::default(),
            game: GameConfig::default(),
            token_secret: secrets.token,
            clock_started_at_unix: Duration::from_secs(1_700_000_000),
            udp_secret: secrets.udp,
            udp: UdpConfig::SERVER,
            assets: HashMap::new(),
            challenges: None,
            limits: world.limits.clone(),
        };
        let endpoint = |role| Endpoint { host: host.clone(), ports: config.ports(role), ..Endpoint::default() };
        let region = Region { code: None, master: endpoint(Role::Master) };
        config.addresses = Addresses { regions: vec![region], game: endpoint(Role::Game) };
        let config = Arc::new(config);
        let seats = (0..world.workers).map(|id| {
            let worker = Worker::new(WorkerId(id), Arc::clone(&config), self.rng.random()).expect("a key for tokens");
            Seat { worker, armed: None, letters: vec![Duration::ZERO; usize::from(world.workers)] }
        });
        let seats = seats.collect();
        self.nodes.push(Node { config, seats });
        for worker in (0..world.workers).map(WorkerId) {
            self.settle_worker(SeatId { node, worker });
        }
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
        let transport_there = engine_transport(transport);
        let listener = self.nodes.iter().find_map(|node| node.config.listener(role, transport_there));
        let host = if transport.is_websocket() { "node.example".to_owned() } else { SERVER.to_string() };
        lampyris_client::ServerAddress::new(transport, host, listener.map_or(0, |listener| listener.port))
    }

    fn port_of(&self, door: Door) -> u16 {
        let listener = self.nodes.get(door.node).and_then(|node| node.config.listeners.get(door.listener.0));
        listener.map_or(0, |listener| listener.port)
    }

    /// Streams that moved from worker to worker.
    #[must_use]
    pub fn moves(&self) -> usize {
        self.moves
    }

    /// Open connections of the node.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.nodes.iter().flat_map(|node| &node.seats).map(|seat| seat.worker.connection_count()).sum()
    }

    /// Counters of each worker.
    pub fn stats(&self) -> impl Iterator<Item = Stats> {
        self.nodes.iter().flat_map(|node| &node.seats).map(|seat| seat.worker.stats())
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
            Happening::LinkCalls(link) => self.link_calls(link),
            Happening::LinkWakes(link) => self.link_wakes(link),
            Happening::LinkBytes { link, call, to, bytes } => self.link_bytes(link, call, to, &bytes),
            Happening::DatagramToNode { door, from, bytes } => self.datagram_to_node(door, from, bytes),
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
