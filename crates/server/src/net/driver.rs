//! A worker's poll loop.
//!
//! One turn: wait; take letters of other workers; accept; receive datagrams; read each ready stream once; let time
//! pass; then do what the node asks for: write each dirty stream once, send datagrams, send letters. Readiness is
//! edge-triggered: what a turn's budget leaves unread stays in a list and is gone on with next turn, without waiting.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lampyris_engine::{ConnectionKey, ListenerId, Worker};
use lampyris_transport::CloseCause;
use mio::{Events, Interest, Poll, Token};
use slotmap::{Key as _, KeyData, SecondaryMap, SlotMap};

use super::accept::{AcceptPause, Door, TcpPort};
use super::bind::WorkerSockets;
use super::datagram::{Batch, Outbox, UdpPort};
use super::failure::HandshakeFailure;
use super::handshakes::{Deadlines, Entrance};
use super::post::{Letter, Post, RETRY};
use super::stream::{Buffers, Phase, Progress, Stream, StreamKey};
use crate::Counters;
use crate::s2s::ToMaster;

/// Events taken by one wait.
const EVENTS: usize = 1024;
/// Letters taken in one turn.
const LETTERS_PER_TURN: usize = 1024;
/// Streams in handshake that are served in one turn: each may cost a signature.
const HANDSHAKES_PER_TURN: usize = 16;
/// Time for the last bytes to a peer and for its end of the connection.
pub(super) const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// The waker's token; sockets of listeners follow, streams have their key, which is larger.
pub(crate) const WAKE: Token = Token(0);
const FIRST_SOCKET: usize = 1;

/// A worker's poll loop with everything it owns.
pub(crate) struct Driver {
    pub(super) worker: Worker,
    pub(super) poll: Poll,
    clock: Instant,
    pub(super) tcp: Vec<TcpPort>,
    pub(super) udp: Vec<UdpPort>,
    pub(super) streams: SlotMap<StreamKey, Stream>,
    pub(super) by_connection: SecondaryMap<ConnectionKey, StreamKey>,
    ready: VecDeque<StreamKey>,
    pub(super) ended: Vec<(StreamKey, CloseCause)>,
    pub(super) closing: VecDeque<(Duration, StreamKey)>,
    pub(super) entrance: Arc<Entrance>,
    pub(super) deadlines: Deadlines,
    pub(super) accept_pause: AcceptPause,
    pub(super) post: Post<Letter>,
    mail: bool,
    pub(super) deferred: bool,
    buffers: Buffers,
    batch: Batch,
    pub(super) outbox: Outbox,
    pub(super) counters: Arc<Counters>,
    /// The Master in another process; worker 0 only.
    pub(super) master: Option<ToMaster>,
}

impl Driver {
    pub(crate) fn new(
        worker: Worker,
        poll: Poll,
        clock: Instant,
        sockets: WorkerSockets,
        (doors, entrance): (&[Door], &Arc<Entrance>),
        post: Post<Letter>,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        let door = |id: ListenerId| doors.get(id.0).cloned().unwrap_or_default();
        let mut tcp: Vec<_> = sockets.tcp.into_iter().map(|(id, socket)| TcpPort::new(id, socket, door(id))).collect();
        let mut udp =
            sockets.udp.into_iter().map(|(id, socket)| UdpPort::new(id, socket)).collect::<io::Result<Vec<_>>>()?;
        let mut tokens = (FIRST_SOCKET..).map(Token);
        let tcp_sources = tcp.iter_mut().map(|port| &mut port.socket as &mut dyn mio::event::Source);
        let udp_sources = udp.iter_mut().map(|port| &mut port.socket as &mut dyn mio::event::Source);
        for (source, token) in udp_sources.chain(tcp_sources).zip(&mut tokens) {
            poll.registry().register(source, token, Interest::READABLE)?;
        }
        Ok(Self {
            worker,
            poll,
            clock,
            tcp,
            udp,
            streams: SlotMap::with_key(),
            by_connection: SecondaryMap::new(),
            ready: VecDeque::new(),
            ended: Vec::new(),
            closing: VecDeque::new(),
            entrance: Arc::clone(entrance),
            deadlines: Deadlines::default(),
            accept_pause: AcceptPause::default(),
            post,
            mail: false,
            deferred: false,
            buffers: Buffers::new(),
            batch: Batch::new(),
            outbox: Outbox::default(),
            counters,
            master: None,
        })
    }

    /// Gives worker 0 a way to the Master in another process.
    pub(crate) fn set_master(&mut self, master: ToMaster) {
        self.master = Some(master);
    }

    /// Serves until `stop`, then says goodbye to everyone. The node gives clients `grace` to close by themselves.
    pub(crate) fn run(mut self, stop: &AtomicBool, grace: Duration) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        while !stop.load(Ordering::Acquire) {
            self.turn(&mut events, None)?;
        }
        self.drain(&mut events, grace + CLOSE_WAIT)
    }

    /// Takes no one new, tells everyone goodbye and waits a moment for the last bytes to go.
    fn drain(&mut self, events: &mut Events, at_most: Duration) -> io::Result<()> {
        for mut port in self.tcp.drain(..) {
            self.poll.registry().deregister(&mut port.socket)?;
        }
        self.streams.retain(|_, stream| !stream.is_half_open());
        let until = self.clock.elapsed() + at_most;
        self.worker.shut_down(self.clock.elapsed());
        self.act(self.clock.elapsed());
        while (self.worker.connection_count() > 0 || !self.streams.is_empty()) && self.clock.elapsed() < until {
            self.turn(events, Some(until))?;
        }
        Ok(())
    }

    fn turn(&mut self, events: &mut Events, until: Option<Duration>) -> io::Result<()> {
        let wait = self.wait_time(until);
        match self.poll.poll(events, wait) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let now = self.clock.elapsed();
        for event in events.iter() {
            self.note(event);
        }
        self.take_letters(now);
        self.accept_all(now);
        for port in self.udp.iter_mut().filter(|port| port.ready) {
            port.receive(now, &mut self.worker, &mut self.batch, &self.counters);
        }
        self.serve_streams(now);
        self.expire(now);
        if self.worker.next_timeout().is_some_and(|due| due <= now) {
            self.worker.handle_timeout(now);
        }
        self.act(now);
        self.counters.connections.set(self.worker.connection_count());
        self.counters.bytes.set(self.worker.stats().bytes);
        Ok(())
    }

    /// How long nothing will happen of itself; `None` = for ever.
    fn wait_time(&self, until: Option<Duration>) -> Option<Duration> {
        let paused = self.accept_pause.until;
        let unfinished = self.mail
            || !self.ready.is_empty()
            || self.udp.iter().any(|port| port.ready)
            || (paused.is_none() && self.tcp.iter().any(|port| port.ready));
        if unfinished {
            return Some(Duration::ZERO);
        }
        let now = self.clock.elapsed();
        let closing = self.closing.front().map(|(deadline, _)| *deadline);
        let retry = self.deferred.then(|| now + RETRY);
        [self.worker.next_timeout(), self.deadlines.next(), closing, paused, retry, until]
            .into_iter()
            .flatten()
            .min()
            .map(|deadline| deadline.saturating_sub(now))
    }

    fn note(&mut self, event: &mio::event::Event) {
        let token = event.token();
        if token == WAKE {
            self.mail = true;
            return;
        }
        let index = token.0 - FIRST_SOCKET;
        if let Some(port) = self.udp.get_mut(index) {
            port.ready = true;
        } else if let Some(port) = index.checked_sub(self.udp.len()).and_then(|index| self.tcp.get_mut(index)) {
            port.ready = true;
        } else {
            self.note_stream(StreamKey::from(KeyData::from_ffi(token.0 as u64)), event);
        }
    }

    fn note_stream(&mut self, key: StreamKey, event: &mio::event::Event) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.read_closed |= event.is_read_closed() || event.is_error();
        if (event.is_readable() || stream.read_closed) && !stream.queued {
            stream.queued = true;
            self.ready.push_back(key);
        }
        if event.is_writable() && std::mem::take(&mut stream.blocked) {
            self.flush(key);
        }
    }

    fn take_letters(&mut self, now: Duration) {
        if !std::mem::take(&mut self.mail) {
            return;
        }
        for _ in 0..LETTERS_PER_TURN {
            match self.post.receive() {
                Some(Letter::Message(message)) => self.worker.handle_message(now, *message),
                Some(Letter::Config(config)) => self.worker.reconfigure(config),
                Some(Letter::Stream(stream, moved)) => self.take_in(now, *stream, moved),
                None => return,
            }
        }
        self.mail = true;
    }

    /// Starts to watch a stream's socket. One that fails to be watched is closed; the node is told.
    pub(super) fn insert(&mut self, now: Duration, stream: Stream) -> io::Result<StreamKey> {
        let phase = stream.phase;
        let key = self.streams.insert(stream);
        let Some(stream) = self.streams.get_mut(key) else { return Ok(key) };
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut stream.socket, token_of(key), interest) {
            self.streams.remove(key);
            if let Phase::Open(connection) = phase {
                self.worker.stream_ended(now, connection, CloseCause::Lost(error.to_string()));
            }
            return Err(error);
        }
        if let Phase::Open(connection) = phase {
            self.by_connection.insert(connection, key);
        }
        Ok(key)
    }

    /// Reads each ready stream once.
    fn serve_streams(&mut self, now: Duration) {
        let mut handshakes = 0;
        for _ in 0..self.ready.len() {
            let Some(key) = self.ready.pop_front() else { return };
            let Some(stream) = self.streams.get_mut(key) else { continue };
            if stream.is_half_open() {
                if handshakes == HANDSHAKES_PER_TURN {
                    self.ready.push_back(key);
                    continue;
                }
                handshakes += 1;
            }
            stream.queued = false;
            self.serve(now, key);
        }
    }

    fn serve(&mut self, now: Duration, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let before = stream.is_half_open();
        let progress = stream.receive(now, &mut self.worker, &mut self.buffers);
        let remote = stream.ends.remote;
        if before && let Phase::Open(connection) = stream.phase {
            if stream.is_secure() {
                self.counters.handshakes.increment();
            }
            self.by_connection.insert(connection, key);
        }
        match progress {
            Progress::Drained => {}
            Progress::More => {
                stream.queued = true;
                self.ready.push_back(key);
            }
            // Told to the node at the end of the turn: what it answered before can still be written to a peer that
            // only shut its sending half.
            Progress::Ended(cause) => self.ended.push((key, cause)),
            Progress::Finished => self.remove(key),
            Progress::Refused => {
                self.counters.refused.increment();
                self.remove(key);
            }
            Progress::Failed(failure, detail) => self.fail(now, key, failure, &detail),
            Progress::PlainHttp => {
                self.note_failure(now, remote, HandshakeFailure::PlainHttp, "");
                self.linger(now, key);
            }
        }
    }

    /// Closes a stream that failed before a client was there.
    fn fail(&mut self, now: Duration, key: StreamKey, failure: HandshakeFailure, detail: &str) {
        let Some(stream) = self.streams.get(key) else { return };
        self.note_failure(now, stream.ends.remote, failure, detail);
        match stream.phase {
            Phase::Open(_) => self.ended.push((key, CloseCause::Violation(failure.hint().into()))),
            _ => self.remove(key),
        }
    }

    pub(super) fn note_failure(&self, now: Duration, remote: SocketAddr, failure: HandshakeFailure, detail: &str) {
        self.counters.handshake_failed(failure);
        self.entrance.log(now, failure, remote, detail);
    }

    /// Ends what took too long.
    fn expire(&mut self, now: Duration) {
        while let Some(key) = self.deadlines.pop_due(now) {
            if let Some(stream) = self.streams.get(key).filter(|stream| stream.is_half_open()) {
                self.fail(now, key, stream.overdue(), "");
            }
        }
        while let Some((_, key)) = self.closing.pop_front_if(|(deadline, _)| *deadline <= now) {
            self.remove(key);
        }
    }

    /// Closes the socket and forgets everything about the stream.
    pub(super) fn remove(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.remove(key) else { return };
        match stream.phase {
            Phase::Open(connection) => {
                self.by_connection.remove(connection);
            }
            Phase::Closing(connection) => {
                self.by_connection.remove(connection);
                self.worker.forget(connection);
            }
            Phase::Announcing | Phase::Handshaking { .. } | Phase::Lingering => {}
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "targets have 64 bits, and a truncated key names no stream")]
fn token_of(key: StreamKey) -> Token {
    Token(key.data().as_ffi() as usize)
}
