//! One worker: its connections, its rooms, on worker 0 the directory.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use lampyris_realtime::directory::{LobbyId, MasterPeer};
use lampyris_realtime::token::{SealError, TokenKey, TokenKeys};
use lampyris_s2s::{LinkId, News};
use lampyris_transport::{CloseCause, Incoming, policy};
use lampyris_wire::Protocol;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use slotmap::SlotMap;

use crate::address::Reached;
use crate::connection::{Connection, ConnectionLimits, Deadline, MessageRate, Output};
use crate::datagrams::Datagrams;
use crate::directory::DirectoryHost;
use crate::fan_out::FanOut;
use crate::game::Rooms;
use crate::link::Link;
use crate::session::Session;
use crate::timers::{Armed, Timers};
use crate::transports::Transports;
use crate::uplink::Uplink;
use crate::{Config, ListenerId, LogRate, Role, Stats, Transport, WorkerId, WorkerMessage};

slotmap::new_key_type! {
    /// Name of a connection on its worker; never used again for another one.
    pub struct ConnectionKey;
}

slotmap::new_key_type! {
    /// Name of a room on its worker.
    pub(crate) struct RoomKey;
}

/// What the driver has to do.
#[derive(Debug)]
pub enum Action {
    /// The stream has output: write [`Worker::output`] and tell [`Worker::consume_output`] how much went. If not all
    /// of it went, go on when the socket takes more; this action does not come again for the rest.
    Flush(ConnectionKey),
    /// Write what [`Worker::output`] still has, without waiting for a slow peer more than a moment, then close the
    /// socket and call [`Worker::forget`].
    Close(ConnectionKey),
    /// The stream goes to another worker: [`Worker::detach`] it here, hand it over with its socket (and TLS state, and
    /// input that was read but not yet given to [`Worker::receive`]), [`Worker::attach`] it there.
    Move(ConnectionKey, WorkerId),
    /// Carry a message to another worker's [`Worker::handle_message`], or to its own, in order per pair of workers.
    Send(WorkerId, WorkerMessage),
    /// Tell the Master in another process, in order; if that link is over, nobody. Of worker 0 only.
    TellMaster(LinkId, News),
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    /// The listener whose socket it leaves by.
    pub listener: ListenerId,
    /// Destination.
    pub to: SocketAddr,
    /// Source address to use: the local address the peer spoke to.
    pub from: Option<IpAddr>,
}

/// One worker of a node; see the crate's contract.
#[derive(Debug)]
pub struct Worker {
    pub(crate) id: WorkerId,
    pub(crate) config: Arc<Config>,
    pub(crate) rng: StdRng,
    pub(crate) tokens: TokenKeys,
    pub(crate) wire_limits: lampyris_wire::Limits,
    pub(crate) transports: Transports,
    connections: SlotMap<ConnectionKey, Slot>,
    open_connections: usize,
    per_address: HashMap<IpAddr, usize>,
    pub(crate) datagrams: Datagrams,
    pub(crate) rooms: Rooms,
    /// Worker 0 of a Master only.
    pub(crate) directory: Option<Box<DirectoryHost>>,
    pub(crate) uplink: Uplink,
    /// Connections of authenticated Master peers, by their name in the directory.
    pub(crate) master_peers: HashMap<MasterPeer, ConnectionKey>,
    pub(crate) next_master_peer: u64,
    /// Peers of this worker in each lobby.
    pub(crate) lobbies: HashMap<LobbyId, Vec<ConnectionKey>>,
    pub(crate) timers: Timers<Owner>,
    pub(crate) directory_armed: Armed,
    pub(crate) actions: VecDeque<Action>,
    /// Streams with new output.
    dirty: Vec<ConnectionKey>,
    /// Output buffers that no connection needs at the moment.
    spare: Vec<Vec<u8>>,
    pub(crate) fan_out: FanOut,
    pub(crate) scratch: Scratch,
    pub(crate) stats: Stats,
    pub(crate) log: ConnectionLog,
    shutting_down: bool,
}

/// Limits of the lines about connections that come and go.
#[derive(Debug)]
pub(crate) struct ConnectionLog {
    pub(crate) came: LogRate,
    pub(crate) went: LogRate,
}

/// Lines of a kind in a second: more is no longer read, and writing them would cost more than the connections.
const LINES_PER_SECOND: u16 = 100;

/// Who waits for a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// A connection: its transport's timers, its own deadline.
    Connection(ConnectionKey),
    /// A room: actors and emptiness that expire.
    Room(RoomKey),
    /// The directory: list updates, reservations, statistics.
    Directory,
}

/// Buffers that are used within one call and kept for the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) incoming: Vec<Incoming>,
    pub(crate) plain: Vec<u8>,
    pub(crate) message: Vec<u8>,
}

/// A place in the table of connections.
#[derive(Debug)]
enum Slot {
    /// The connection lives here.
    Here(Box<Connection>),
    /// It moved to that worker; its datagrams still come here.
    Moved(WorkerId),
}

/// Most output buffers kept for reuse, and the largest that is kept.
const MAX_SPARE_BUFFERS: usize = 1_024;
const MAX_SPARE_BYTES: usize = 32 * 1_024;

impl Worker {
    /// A worker without connections. `seed` is fresh secret randomness (in tests: any number).
    ///
    /// # Errors
    /// The cryptographic library failed to make the key for tokens.
    pub fn new(id: WorkerId, config: Arc<Config>, seed: [u8; 32]) -> Result<Self, SealError> {
        let tokens = TokenKeys::new(TokenKey::derive(&config.token_secret)?);
        // Each listener has checked the length of its messages by its own limit before they are parsed.
        let message_bytes = config.listeners.iter().map(|listener| listener.limits.inbound_message_bytes).max();
        let wire_limits = lampyris_wire::Limits {
            message_bytes: message_bytes.unwrap_or_default(),
            ..lampyris_wire::Limits::DEFAULT
        };
        let per_second = || LogRate::new(LINES_PER_SECOND, Duration::from_secs(1));
        let mut rng = StdRng::from_seed(seed);
        let directory_rng = StdRng::from_rng(&mut rng);
        let mut worker = Self {
            id,
            rng,
            tokens,
            wire_limits,
            transports: Transports::new(&config),
            connections: SlotMap::with_key(),
            open_connections: 0,
            per_address: HashMap::new(),
            datagrams: Datagrams::new(id, &config),
            rooms: Rooms::new(config.game.rooms),
            directory: (id == WorkerId::DIRECTORY && config.applications.plays(Role::Master))
                .then(|| Box::new(DirectoryHost::new(&config, directory_rng))),
            uplink: Uplink::default(),
            master_peers: HashMap::new(),
            next_master_peer: 0,
            lobbies: HashMap::new(),
            timers: Timers::new(),
            directory_armed: Armed::default(),
            actions: VecDeque::new(),
            dirty: Vec::new(),
            spare: Vec::new(),
            fan_out: FanOut::default(),
            scratch: Scratch::default(),
            stats: Stats::default(),
            log: ConnectionLog { came: per_second(), went: per_second() },
            shutting_down: false,
            config,
        };
        worker.arm_directory();
        Ok(worker)
    }

    /// A stream was accepted (TCP, or TCP with TLS to come: call it once the handshake is done). `None`: refused by a
    /// limit, close the socket.
    pub fn open_stream(
        &mut self,
        now: Duration,
        listener: ListenerId,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Option<ConnectionKey> {
        let mut session_id = [0u8; 16];
        self.rng.fill(&mut session_id);
        let link = self.transports.open(now, listener, session_id)?;
        self.insert(now, listener, Reached::at(local), remote, link)
    }

    /// Puts a new connection in the table, if the limits have room for it.
    pub(crate) fn insert(
        &mut self,
        now: Duration,
        listener: ListenerId,
        reached: Reached,
        remote: SocketAddr,
        link: Link,
    ) -> Option<ConnectionKey> {
        let described = self.config.listeners.get(listener.0)?;
        let limits = &self.config.limits;
        let from_address = self.per_address.get(&remote.ip()).copied().unwrap_or_default();
        if self.shutting_down
            || self.open_connections >= limits.connections_per_worker
            // The clients of a proxy are counted one by one, when it has told who they are.
            || (from_address >= limits.connections_per_address && !described.proxies.trust(remote.ip()))
        {
            self.stats.connections_refused += 1;
            return None;
        }
        let connection = Connection {
            listener,
            role: None,
            transport: described.transport().unwrap_or(Transport::Tcp),
            remote,
            reached,
            protocol: Protocol::GpBinaryV18,
            link,
            session: Session::Opening,
            cipher: None,
            out: Output::default(),
            limits: ConnectionLimits::from(&described.limits),
            last_message: now,
            rate: MessageRate::default(),
            key_exchanges: 0,
            deadline: Some((now + limits.authentication_timeout, Deadline::Authenticate)),
            armed: Armed::default(),
            dirty: false,
            home: None,
            ended: None,
        };
        self.stats.connections_opened += 1;
        Some(self.admit(Box::new(connection)))
    }

    /// Puts a connection in the table and watches its deadlines.
    pub(crate) fn admit(&mut self, connection: Box<Connection>) -> ConnectionKey {
        self.open_connections += 1;
        *self.per_address.entry(connection.remote.ip()).or_default() += 1;
        let key = self.connections.insert(Slot::Here(connection));
        self.touch(key);
        key
    }

    /// Bytes came on a stream; in clear. They are changed in place.
    pub fn receive(&mut self, now: Duration, key: ConnectionKey, bytes: &mut [u8]) {
        self.stats.bytes += bytes.len() as u64;
        let mut incoming = std::mem::take(&mut self.scratch.incoming);
        if let Some(Slot::Here(connection)) = self.connections.get_mut(key) {
            borrow_buffer(&mut self.spare, &mut connection.out);
            if let Link::Tcp(link) = &connection.link
                && link.is_untouched()
                && bytes.first() == policy::REQUEST.first()
                && let Some(link) = self.transports.policy(now, connection.listener)
            {
                connection.link = link;
            }
            connection.link.receive(now, bytes, &mut incoming, &mut connection.out.buffer);
        }
        self.handle_incoming(now, key, &mut incoming, bytes);
        self.scratch.incoming = incoming;
        self.touch(key);
    }

    /// The stream ended or broke; `key` is forgotten, no [`Action::Close`] follows.
    pub fn stream_ended(&mut self, now: Duration, key: ConnectionKey, cause: CloseCause) {
        self.end(now, key, cause);
        self.forget(key);
    }

    /// Output of a stream that was not yet written.
    #[must_use]
    pub fn output(&self, key: ConnectionKey) -> &[u8] {
        self.connection(key).map(|connection| connection.out.pending()).unwrap_or_default()
    }

    /// The first `count` bytes of [`Worker::output`] were written.
    pub fn consume_output(&mut self, key: ConnectionKey, count: usize) {
        let Some(Slot::Here(connection)) = self.connections.get_mut(key) else { return };
        self.stats.bytes += connection.out.pending().len().min(count) as u64;
        if let Some(buffer) = connection.out.consume(count)
            && self.spare.len() < MAX_SPARE_BUFFERS
            && (1..=MAX_SPARE_BYTES).contains(&buffer.capacity())
        {
            self.spare.push(buffer);
        }
    }

    /// The driver closed the socket after [`Action::Close`].
    pub fn forget(&mut self, key: ConnectionKey) {
        drop(self.take(key));
    }

    /// A connection turns out to be of another address; `false` if that has all that it may have.
    pub(crate) fn recount(&mut self, from: IpAddr, to: IpAddr) -> bool {
        self.uncount(from);
        let count = self.per_address.entry(to).or_default();
        *count += 1;
        *count <= self.config.limits.connections_per_address
    }

    fn uncount(&mut self, address: IpAddr) {
        if let Some(count) = self.per_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&address);
            }
        }
    }

    /// Takes a connection out of the table.
    pub(crate) fn take(&mut self, key: ConnectionKey) -> Option<Box<Connection>> {
        match self.connections.remove(key)? {
            Slot::Moved(_) => None,
            Slot::Here(connection) => {
                self.open_connections = self.open_connections.saturating_sub(1);
                self.uncount(connection.remote.ip());
                Some(connection)
            }
        }
    }

    /// Takes a UDP connection out of the table and remembers where it went.
    pub(crate) fn take_moved(&mut self, key: ConnectionKey, to: WorkerId) -> Option<(Box<Connection>, ConnectionKey)> {
        let connection = self.take(key)?;
        Some((connection, self.connections.insert(Slot::Moved(to))))
    }

    /// Where a connection of which datagrams come here lives.
    pub(crate) fn moved_to(&self, key: ConnectionKey) -> Option<WorkerId> {
        match self.connections.get(key)? {
            Slot::Moved(worker) => Some(*worker),
            Slot::Here(_) => None,
        }
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        while let Some(key) = self.dirty.pop() {
            let Some(Slot::Here(connection)) = self.connections.get_mut(key) else { continue };
            connection.dirty = false;
            if !connection.out.flushing && !connection.out.pending().is_empty() {
                connection.out.flushing = true;
                return Some(Action::Flush(key));
            }
        }
        self.datagrams.poll_forwarded().map(|(worker, message)| Action::Send(worker, message))
    }

    /// When [`Worker::handle_timeout`] wants to be called at the latest.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        while let Some((at, owner)) = self.timers.pop_due(now) {
            match owner {
                Owner::Connection(key) => self.connection_timeout(now, at, key),
                Owner::Room(key) => self.room_timeout(now, at, key),
                Owner::Directory => {
                    if self.directory_armed.fire(at) {
                        self.directory_timeout(now);
                    }
                }
            }
        }
    }

    fn connection_timeout(&mut self, now: Duration, at: Duration, key: ConnectionKey) {
        let Some(Slot::Here(connection)) = self.connections.get_mut(key) else { return };
        if !connection.armed.fire(at) {
            return;
        }
        if let Some((deadline, what)) = connection.deadline
            && deadline <= now
        {
            connection.deadline = None;
            match what {
                Deadline::Authenticate => self.authentication_timeout(now, key),
                Deadline::Close(reason) => self.close(now, key, CloseCause::ByUs(reason)),
            }
        }
        if self.connection(key).is_some_and(|connection| connection.app_data_deadline() <= now) {
            self.close(now, key, CloseCause::Timeout("no message received"));
        }
        let mut incoming = std::mem::take(&mut self.scratch.incoming);
        if let Some(Slot::Here(connection)) = self.connections.get_mut(key) {
            borrow_buffer(&mut self.spare, &mut connection.out);
            connection.link.handle_timeout(now, &mut incoming, &mut connection.out.buffer);
        }
        self.handle_incoming(now, key, &mut incoming, &[]);
        self.scratch.incoming = incoming;
        self.touch(key);
    }

    /// Watches a connection's deadlines.
    pub(crate) fn arm_connection(&mut self, key: ConnectionKey) {
        let Some(Slot::Here(connection)) = self.connections.get_mut(key) else { return };
        let next = connection.next_timeout();
        self.timers.arm(Owner::Connection(key), &mut connection.armed, next);
    }

    /// Lists a connection for output and watches its deadlines, after anything that may have changed them.
    pub(crate) fn touch(&mut self, key: ConnectionKey) {
        let Some(Slot::Here(connection)) = self.connections.get_mut(key) else { return };
        let next = connection.next_timeout();
        self.timers.arm(Owner::Connection(key), &mut connection.armed, next);
        if connection.link.is_udp() {
            self.datagrams.mark(key, &mut connection.dirty);
        } else if !connection.dirty && !connection.out.pending().is_empty() {
            connection.dirty = true;
            self.dirty.push(key);
        } else if connection.out.pending().is_empty()
            && let Some(buffer) = connection.out.consume(0)
            && buffer.capacity() > 0
        {
            self.spare.push(buffer);
        }
    }

    /// A connection that lives here.
    pub(crate) fn connection(&self, key: ConnectionKey) -> Option<&Connection> {
        match self.connections.get(key)? {
            Slot::Here(connection) => Some(connection),
            Slot::Moved(_) => None,
        }
    }

    /// A connection that lives here.
    pub(crate) fn connection_mut(&mut self, key: ConnectionKey) -> Option<&mut Connection> {
        match self.connections.get_mut(key)? {
            Slot::Here(connection) => Some(connection),
            Slot::Moved(_) => None,
        }
    }

    /// Every connection that lives here.
    pub(crate) fn connections(&self) -> impl Iterator<Item = (ConnectionKey, &Connection)> {
        self.connections.iter().filter_map(|(key, slot)| match slot {
            Slot::Here(connection) => Some((key, &**connection)),
            Slot::Moved(_) => None,
        })
    }

    /// A connection that lives here with an output buffer lent to it, and what is needed to send many the same.
    pub(crate) fn sending(&mut self, key: ConnectionKey) -> Option<(&mut Connection, &mut FanOut)> {
        match self.connections.get_mut(key)? {
            Slot::Here(connection) => {
                borrow_buffer(&mut self.spare, &mut connection.out);
                Some((connection, &mut self.fan_out))
            }
            Slot::Moved(_) => None,
        }
    }

    /// Tells every client that the server stops and closes their connections; opens no new ones. Done when
    /// [`Worker::connection_count`] is 0 (give it a moment at most).
    pub fn shut_down(&mut self, now: Duration) {
        self.shutting_down = true;
        let keys: Vec<_> = self.connections.keys().collect();
        for key in keys {
            let cause = CloseCause::ByUs("the server is stopping");
            // JSON has no message for it, so there is nothing to wait for.
            if self.connection(key).is_some_and(|connection| connection.protocol == Protocol::Json) {
                self.close(now, key, cause);
            } else {
                self.fail(now, key, cause);
            }
        }
    }

    /// Connections that are open or closing.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.open_connections
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }
}

/// Lends an output buffer to a connection that has none.
fn borrow_buffer(spare: &mut Vec<Vec<u8>>, out: &mut Output) {
    if out.buffer.capacity() == 0
        && let Some(buffer) = spare.pop()
    {
        out.buffer = buffer;
    }
}
