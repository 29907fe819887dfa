//! One connection, at either end.

mod inbound;
mod outbound;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::command::{ConnectParameters, Protection, RELIABLE, UNASSIGNED_PEER_ID, UNSEQUENCED};
use super::config::Config;
use super::lane::Purpose;
use super::receiver::Receiver;
use super::sender::Sender;
use super::timer::{Timer, Timers};
use super::{Handshake, MIN_MTU, Stats};
use crate::{CloseCause, Delivery, Incoming, Init, init, server_time_ms};

/// How long a disconnect is resent before the peer is dropped without an answer.
const LINGER: Duration = Duration::from_secs(2);

/// Why a side says goodbye: the reserved byte of the disconnect command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DisconnectReason {
    /// The server decided so.
    ServerLogic = 1,
    /// The other side was silent for too long.
    Timeout = 2,
    /// The server is full.
    UserLimit = 3,
    /// The client's application asked for it.
    Client = 4,
}

/// Why a message was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is not open yet, or over.
    #[error("the connection is not open")]
    NotOpen,
    /// The message is larger than the other side takes.
    #[error("expected a message of at most {limit} bytes, found {bytes}")]
    TooLong {
        /// Of the message.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The other side acknowledges too slowly. The connection is over.
    #[error("expected at most {limit} bytes waiting for acknowledgement, found {bytes}")]
    QueueFull {
        /// What would be queued.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

/// Where a connection is.
///
/// ```text
/// client: Connecting -> AwaitingAnswer -+
/// server:               AwaitingInit ---+-> Open -> Disconnecting -> Finished
///                  any of them: the peer's disconnect, a timeout, a fault -> Closing -> Finished
/// ```
#[derive(Debug)]
enum Phase {
    /// Client: connect is sent.
    Connecting { init_message: Bytes, init: Box<Init> },
    /// Client: the init is sent.
    AwaitingAnswer { init: Box<Init> },
    /// Server: the peer proved its address.
    AwaitingInit,
    /// Messages flow.
    Open,
    /// Our disconnect waits for its acknowledgement.
    Disconnecting,
    /// Only what is queued now still goes out.
    Closing,
    /// Nothing comes or goes.
    Finished,
}

/// Which end this is.
#[derive(Debug)]
enum Role {
    Server {
        peer_id: u16,
    },
    Client {
        peer_id: u16,
        /// Zero of the clock in our datagrams.
        started: Duration,
        /// Server's clock minus ours.
        server_offset_ms: Option<i32>,
    },
}

/// An acknowledgement to be sent.
#[derive(Clone, Copy, Debug)]
struct Ack {
    channel: u8,
    unsequenced: bool,
    number: u32,
    sent_ms: i32,
}

/// A disconnect that is sent once, with the last datagram.
#[derive(Clone, Copy, Debug)]
struct Farewell {
    flags: u8,
    reserved: u8,
    sequence: u32,
}

/// One connection, as server ([`Peer::accept`]) or as client ([`Peer::connect`]).
///
/// In each loop turn: any number of [`receive`](Self::receive), [`send`](Self::send),
/// [`handle_timeout`](Self::handle_timeout) when [`next_timeout`](Self::next_timeout) has come, then
/// [`poll_transmit`](Self::poll_transmit) until it gives false. Acknowledgements of messages wait for a
/// datagram to travel with, for [`Config::ack_delay`] at most. When
/// [`is_finished`](Self::is_finished), the peer can be dropped. `now` never goes back.
#[derive(Debug)]
pub struct Peer {
    role: Role,
    phase: Phase,
    challenge: u32,
    protection: Protection,
    mtu: u16,
    channels: u8,
    /// The number of channels is only what was seen of the client.
    channels_assumed: bool,
    remote: Option<SocketAddr>,
    config: Arc<Config>,
    sender: Sender,
    receiver: Receiver,
    acks: Vec<Ack>,
    /// Whether they have waited long enough for a datagram to travel with.
    acks_due: bool,
    timers: Timers,
    heard_at: Duration,
    /// When the last acknowledgement of something of ours came.
    acknowledged_at: Duration,
    farewell: Option<Farewell>,
    report: Option<CloseCause>,
    disconnect_reason: Option<u8>,
    stats: Stats,
}

impl Peer {
    /// Server side of a connection whose client proved its address. The datagram that proved it is to be given to
    /// [`receive`](Self::receive) next.
    #[must_use]
    pub fn accept(now: Duration, from: SocketAddr, handshake: &Handshake, config: Arc<Config>) -> Self {
        let role = Role::Server { peer_id: handshake.peer_id };
        let mut peer = Self::new(now, role, Phase::AwaitingInit, handshake.challenge, config);
        peer.protection = handshake.protection;
        peer.mtu = handshake.mtu.clamp(MIN_MTU, peer.config.mtu.max(MIN_MTU));
        peer.channels = handshake.channels.max(1);
        peer.channels_assumed = handshake.channels_assumed;
        peer.remote = Some(from);
        peer.timers.set(Timer::Opening, now + peer.config.opening_timeout);
        peer
    }

    /// Client side: connects, then sends `init_message`, and is open when its answer has come. `challenge` is a random
    /// number of 31 bits.
    ///
    /// # Errors
    /// `init_message` is no init.
    pub fn connect(
        now: Duration,
        challenge: u32,
        channels: u8,
        mtu: u16,
        init_message: Bytes,
        protection: Protection,
        config: Arc<Config>,
    ) -> Result<Self, CloseCause> {
        let init = Box::new(init::parse(&init_message, &config.wire)?);
        let role = Role::Client { peer_id: UNASSIGNED_PEER_ID, started: now, server_offset_ms: None };
        let mut peer = Self::new(now, role, Phase::Connecting { init_message, init }, challenge, config);
        peer.protection = protection;
        peer.mtu = mtu.max(MIN_MTU);
        peer.channels = channels.max(1);
        let parameters = ConnectParameters { peer_id: 0, mtu: peer.mtu, channels: u32::from(peer.channels) };
        peer.sender.push_control(Purpose::Connect, Bytes::copy_from_slice(&parameters.to_bytes()));
        Ok(peer)
    }

    fn new(now: Duration, role: Role, phase: Phase, challenge: u32, config: Arc<Config>) -> Self {
        // The listener's verifyConnect was number 1 of the server's control channel.
        let control = if matches!(role, Role::Server { .. }) { 2 } else { 1 };
        let mut timers = Timers::default();
        timers.set(Timer::Ping, now + config.ping_interval);
        Self {
            role,
            phase,
            challenge,
            protection: Protection::Plain,
            mtu: config.mtu,
            channels: 1,
            channels_assumed: false,
            remote: None,
            config,
            sender: Sender::new(control),
            receiver: Receiver::default(),
            acks: Vec::new(),
            acks_due: false,
            timers,
            heard_at: now,
            acknowledged_at: now,
            farewell: None,
            report: None,
            disconnect_reason: None,
            stats: Stats::default(),
        }
    }

    /// Queues a message. A channel that the other side does not have becomes its last one. An unreliable message may be
    /// dropped by the transmit rate limit, which is no error.
    ///
    /// # Errors
    /// The message was not queued.
    pub fn send(&mut self, now: Duration, channel: u8, delivery: Delivery, message: &Bytes) -> Result<(), SendError> {
        if !matches!(self.phase, Phase::Open) {
            return Err(SendError::NotOpen);
        }
        let limit = self.config.outbound_bytes;
        if message.len() > limit {
            return Err(SendError::TooLong { bytes: message.len(), limit });
        }
        let (bytes, limit) = (self.sender.queued_bytes() + message.len(), self.config.queued_bytes);
        if bytes > limit {
            self.close(CloseCause::Limit("bytes waiting for acknowledgement"), DisconnectReason::ServerLogic);
            self.timers.set(Timer::Report, now);
            return Err(SendError::QueueFull { bytes, limit });
        }
        self.queue(channel.min(self.channels.saturating_sub(1)), delivery, message);
        Ok(())
    }

    fn queue(&mut self, channel: u8, delivery: Delivery, message: &Bytes) {
        let mtu = usize::from(self.mtu);
        self.sender.push_message(channel, delivery, message, mtu, &self.config, &mut self.stats);
    }

    /// Ends the connection from this side. What is queued is lost; the goodbye is resent for 2 s.
    pub fn disconnect(&mut self, now: Duration, reason: DisconnectReason) {
        match self.phase {
            Phase::Disconnecting | Phase::Closing | Phase::Finished => return,
            Phase::Connecting { .. } => {
                self.close(CloseCause::ByUs("disconnect"), reason);
            }
            Phase::AwaitingAnswer { .. } | Phase::AwaitingInit | Phase::Open => {
                self.sender.discard();
                self.sender.push_control(Purpose::Disconnect { reason: reason as u8 }, Bytes::new());
                self.phase = Phase::Disconnecting;
                self.report = Some(CloseCause::ByUs("disconnect"));
                self.timers.stop_all();
                self.timers.set(Timer::Linger, now + LINGER);
            }
        }
        self.timers.set(Timer::Report, now);
    }

    /// The next time at which [`handle_timeout`](Self::handle_timeout) wants to be called.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// Does what is due at `now`. Calling it early does nothing.
    pub fn handle_timeout(&mut self, now: Duration, incoming: &mut Vec<Incoming>) {
        if self.timers.fired(Timer::Report, now) {
            incoming.extend(self.report.take().map(Incoming::Closed));
        }
        if self.timers.fired(Timer::Linger, now) {
            self.finish();
        }
        if self.timers.fired(Timer::Opening, now) {
            self.time_out("no init within the opening time", incoming);
        }
        if self.timers.fired(Timer::Resend, now) {
            let given_up = self.sender.sweep(now, self.heard_at, &self.config, &mut self.stats, &mut self.timers);
            if given_up {
                self.time_out("a command was not acknowledged", incoming);
            }
        }
        if self.timers.fired(Timer::Ping, now) {
            self.ping_if_idle(now);
        }
        self.acks_due |= self.timers.fired(Timer::Ack, now);
        // Only makes the owner poll again: the rate's next period has begun.
        self.timers.fired(Timer::Rate, now);
    }

    fn ping_if_idle(&mut self, now: Duration) {
        // A server wants to hear something; a client wants an acknowledgement, and has time while one is due.
        let (since, unmeasured) = match self.role {
            Role::Server { .. } => (self.heard_at, true),
            Role::Client { .. } => (self.acknowledged_at, self.sender.is_idle()),
        };
        let next = since + self.config.ping_interval;
        if next > now {
            self.timers.set(Timer::Ping, next);
            return;
        }
        if unmeasured && self.sender.is_idle() {
            self.sender.push_control(Purpose::Ping, Bytes::new());
        }
        self.timers.set(Timer::Ping, now + self.config.ping_interval);
    }

    fn time_out(&mut self, what: &'static str, incoming: &mut Vec<Incoming>) {
        match self.phase {
            Phase::Closing | Phase::Finished => {}
            // The owner was told; the other side just did not answer.
            Phase::Disconnecting => self.finish(),
            _ => {
                self.close(CloseCause::Timeout(what), DisconnectReason::Timeout);
                incoming.extend(self.report.take().map(Incoming::Closed));
            }
        }
    }

    /// Ends the connection without waiting for the other side, which is told once.
    fn close(&mut self, cause: CloseCause, reason: DisconnectReason) {
        self.part(cause, Some(Farewell { flags: UNSEQUENCED, reserved: reason as u8, sequence: 1 }));
    }

    /// The other side said goodbye.
    fn closed_by_peer(&mut self, reason: u8) {
        self.disconnect_reason = Some(reason);
        let cause =
            if reason == DisconnectReason::Timeout as u8 { CloseCause::PeerTimeout } else { CloseCause::ByPeer };
        // Clients answer the server's goodbye with their own.
        let farewell = matches!(self.role, Role::Client { .. }).then(|| Farewell {
            flags: RELIABLE,
            reserved: DisconnectReason::Client as u8,
            sequence: self.sender.next_control(),
        });
        self.part(cause, farewell);
    }

    fn part(&mut self, cause: CloseCause, farewell: Option<Farewell>) {
        self.sender.discard();
        self.timers.stop_all();
        self.farewell = farewell;
        // While disconnecting, the owner has been told or is about to be.
        if !matches!(self.phase, Phase::Disconnecting) {
            self.report = Some(cause);
        }
        self.phase = Phase::Closing;
    }

    fn finish(&mut self) {
        self.phase = Phase::Finished;
        self.sender.discard();
        self.acks.clear();
        self.farewell = None;
        let report = self.report.is_some().then_some(Duration::ZERO);
        self.timers.stop_all();
        if let Some(at) = report {
            self.timers.set(Timer::Report, at);
        }
    }

    /// Whether nothing more comes or goes, and the owner was told so.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Finished) && self.report.is_none()
    }

    /// Whether messages can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Server side: where to send datagrams.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// Follows the peer to a new address. Only after a datagram from there for which [`receive`](Self::receive) gave
    /// true.
    pub fn follow(&mut self, address: SocketAddr) {
        self.remote = Some(address);
        self.stats.address_changes += 1;
    }

    /// The id that the server assigned.
    #[must_use]
    pub fn peer_id(&self) -> u16 {
        match self.role {
            Role::Server { peer_id } | Role::Client { peer_id, .. } => peer_id,
        }
    }

    /// The random number of this connection.
    #[must_use]
    pub fn challenge(&self) -> u32 {
        self.challenge
    }

    /// How many channels the client has.
    #[must_use]
    pub fn channels(&self) -> u8 {
        self.channels
    }

    /// The smoothed round-trip time.
    #[must_use]
    pub fn rtt(&self) -> Duration {
        self.sender.rtt().smoothed()
    }

    /// Bytes of reliable messages that were not acknowledged yet.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.sender.queued_bytes()
    }

    /// The reserved byte of the disconnect that the other side sent.
    #[must_use]
    pub fn disconnect_reason(&self) -> Option<u8> {
        self.disconnect_reason
    }

    /// The counters since the last call; they start again at zero.
    pub fn take_stats(&mut self) -> Stats {
        std::mem::take(&mut self.stats)
    }

    /// Client side: the server's clock, once it is known.
    #[must_use]
    pub fn server_time(&self, now: Duration) -> Option<i32> {
        match self.role {
            Role::Server { .. } => None,
            Role::Client { server_offset_ms, .. } => Some(server_offset_ms?.wrapping_add(self.clock_ms(now))),
        }
    }

    /// Client side: measures the server's clock again.
    pub fn fetch_server_time(&mut self) {
        if matches!((&self.phase, &self.role), (Phase::Open, Role::Client { .. })) {
            self.sender.push_control(Purpose::ServerTime, Bytes::new());
        }
    }

    /// The time in our datagrams.
    fn clock_ms(&self, now: Duration) -> i32 {
        match self.role {
            Role::Server { .. } => server_time_ms(now),
            Role::Client { started, .. } => server_time_ms(now.saturating_sub(started)),
        }
    }

    /// Starts every counter of a channel right behind `number`, to see it wrap soon.
    #[cfg(test)]
    fn start_at(&mut self, channel: u8, number: u32) {
        self.sender.start_at(channel, number);
        self.receiver.start_at(channel, number);
    }
}

#[cfg(test)]
mod tests;
