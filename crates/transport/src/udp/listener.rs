//! Who a datagram is for, and handshakes without state (transports.md, sections 3.3, 3.4 and 3.10).
//!
//! A connect is answered with a peer id that is a keyed hash of the sender's address and challenge. Whoever comes back
//! with that id has read our answer, so the address is proven; only then does a peer exist. Until then a connect costs
//! a place in a ring that never grows, and its answer is one datagram of less than twice its size.

use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use aws_lc_rs::hmac;

use super::MIN_MTU;
use super::command::{
    CONTROL_CHANNEL, Command, ConnectParameters, Datagram, DatagramWriter, Header, Kind, Part, Protection, RELIABLE,
    RESERVED, TRACING_PEER_ID, UNASSIGNED_PEER_ID,
};
use crate::server_time_ms;

/// How long the key of peer ids lasts; an id is good for one to two epochs.
const EPOCH: Duration = Duration::from_secs(30);
/// Connects whose parameters are remembered; a later one may take an earlier one's place.
const RING_PLACES: usize = 4096;
/// Channels of a client whose connect was forgotten: the clients' default.
const DEFAULT_CHANNELS: u8 = 2;
/// A latency ping: 12 bytes `7D` and an id.
const LATENCY_PING_BYTES: usize = 13;
const LATENCY_PING_MAGIC: [u8; 12] = [0x7D; 12];

/// What the owner of the peers calls one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerHandle(pub u64);

/// Limits of a [`Listener`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Most peers at a time; connects beyond it are not answered.
    pub peers: usize,
    /// Largest MTU agreed to.
    pub mtu: u16,
}

impl ListenerLimits {
    /// No more peers than peer ids, the usual MTU.
    pub const DEFAULT: Self = Self { peers: 65_534, mtu: 1200 };
}

/// Why a datagram was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IgnoreReason {
    /// Its header or checksum is wrong, or it is encrypted.
    Invalid,
    /// It has no peer id and is no connect.
    NotAConnect,
    /// It is for a peer that is not, or is no more.
    UnknownPeer,
    /// There are as many peers as there may be.
    PeerLimit,
}

/// What a listener counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerStats {
    /// Latency pings answered.
    pub latency_pings: u64,
    /// Connects answered.
    pub connects: u64,
    /// Handshakes finished.
    pub accepted: u64,
    /// Handshakes finished whose connect another had taken the ring's place of.
    pub parameters_forgotten: u64,
    /// Datagrams of known peers from another address than before.
    pub from_new_address: u64,
    /// See [`IgnoreReason::Invalid`].
    pub invalid: u64,
    /// See [`IgnoreReason::NotAConnect`].
    pub not_a_connect: u64,
    /// Datagrams of a peer of another share.
    pub elsewhere: u64,
    /// See [`IgnoreReason::UnknownPeer`].
    pub unknown_peer: u64,
    /// See [`IgnoreReason::PeerLimit`].
    pub peer_limit: u64,
}

/// A finished handshake: what a [`super::Peer`] begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The assigned id.
    pub peer_id: u16,
    /// The client's random number.
    pub challenge: u32,
    /// Largest datagram that the client takes.
    pub mtu: u16,
    /// Channels that the client has.
    pub channels: u8,
    /// The connect was forgotten: `channels` is a guess, and grows with the channels that the client uses.
    pub channels_assumed: bool,
    /// Form of the client's datagrams.
    pub protection: Protection,
}

/// What to do with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Nothing.
    Ignore(IgnoreReason),
    /// Send the reply back.
    Reply,
    /// Make a peer of it, [`Listener::insert`] it, and give it the datagram.
    Accept(Handshake),
    /// Give it to that peer.
    Known(PeerHandle),
    /// Its peer id is one that the listener of that share assigns: a client's address changed, and the system leads it
    /// here now. Pass it on.
    Elsewhere(u16),
    /// Give it to that peer, which has another address so far. If its `receive` gives true, tell
    /// [`super::Peer::follow`] and [`Listener::follow`] the new one.
    Moved(PeerHandle),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    peer_id: u16,
    challenge: u32,
}

#[derive(Clone, Copy, Debug)]
struct Registered {
    handle: PeerHandle,
    address: SocketAddr,
}

/// A connect that was answered.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    address: SocketAddr,
    challenge: u32,
    mtu: u16,
    channels: u8,
    /// A peer was made of it. Copies of the datagram that did so must not make another.
    used: bool,
}

/// Keyed with the listener's secret, since challenges are the clients' choice.
#[derive(Clone, Debug)]
struct KeyedHasher(DefaultHasher);

impl BuildHasher for KeyedHasher {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        self.0.clone()
    }
}

/// The peers of one socket. Knows them only by handle.
pub struct Listener {
    secret: hmac::Key,
    limits: ListenerLimits,
    /// Which of how many.
    share: u16,
    shares: u16,
    peers: HashMap<Key, Registered, KeyedHasher>,
    ring: Box<[Option<Remembered>]>,
    stats: ListenerStats,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { limits, stats, .. } = self;
        f.debug_struct("Listener")
            .field("limits", limits)
            .field("peers", &self.peers.len())
            .field("stats", stats)
            .finish()
    }
}

impl Listener {
    /// `secret` is random, and the same for all sockets among which the system may move a client.
    #[must_use]
    pub fn new(secret: [u8; 32], limits: ListenerLimits) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(&secret);
        Self {
            secret: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            limits,
            share: 0,
            shares: 1,
            peers: HashMap::with_hasher(KeyedHasher(hasher)),
            ring: vec![None; RING_PLACES].into_boxed_slice(),
            stats: ListenerStats::default(),
        }
    }

    /// The listener as number `share` of `shares` with the same secret, among which the system distributes clients by
    /// their address. The peer ids that it assigns are its own, so that the others know whose a client is whose
    /// address changed.
    #[must_use]
    pub fn with_share(self, share: u16, shares: u16) -> Self {
        let shares = shares.clamp(1, TRACING_PEER_ID);
        Self { share: share % shares, shares, ..self }
    }

    /// Finds out what a datagram is. `reply` is overwritten when the answer is [`Route::Reply`].
    pub fn classify(&mut self, now: Duration, from: SocketAddr, datagram: &[u8], reply: &mut Vec<u8>) -> Route {
        if datagram.len() == LATENCY_PING_BYTES && datagram.starts_with(&LATENCY_PING_MAGIC) {
            self.stats.latency_pings += 1;
            reply.clear();
            reply.extend_from_slice(datagram);
            return Route::Reply;
        }
        let Ok(parsed) = Datagram::parse(datagram) else {
            self.stats.invalid += 1;
            return Route::Ignore(IgnoreReason::Invalid);
        };
        let Header { peer_id, challenge, .. } = parsed.header;
        if matches!(peer_id, UNASSIGNED_PEER_ID | TRACING_PEER_ID) {
            return self.answer_connect(now, from, &parsed, reply);
        }
        match self.peers.get(&Key { peer_id, challenge }) {
            Some(known) if known.address == from => Route::Known(known.handle),
            Some(known) => {
                self.stats.from_new_address += 1;
                Route::Moved(known.handle)
            }
            None => self.accept(now, from, &parsed),
        }
    }

    fn answer_connect(&mut self, now: Duration, from: SocketAddr, parsed: &Datagram<'_>, reply: &mut Vec<u8>) -> Route {
        let connect = parsed.commands().flatten().find(|(_, command)| command.kind == Kind::Connect);
        let Some((connect, parameters)) = connect.and_then(|(_, c)| Some((c, ConnectParameters::parse(c.payload)?)))
        else {
            self.stats.not_a_connect += 1;
            return Route::Ignore(IgnoreReason::NotAConnect);
        };
        if self.peers.len() >= self.limits.peers {
            self.stats.peer_limit += 1;
            return Route::Ignore(IgnoreReason::PeerLimit);
        }
        let challenge = parsed.header.challenge;
        let mtu = parameters.mtu.clamp(MIN_MTU, self.limits.mtu.max(MIN_MTU));
        let channels = u8::try_from(parameters.channels.clamp(1, 255)).unwrap_or(u8::MAX);
        let (peer_id, place) = self.assign(epoch(now), from, challenge, self.share);
        if let Some(place) = self.ring.get_mut(place) {
            let again = place.filter(|old| old.address == from && old.challenge == challenge);
            let used = again.is_some_and(|old| old.used);
            *place = Some(Remembered { address: from, challenge, mtu, channels, used });
        }
        self.stats.connects += 1;
        reply.clear();
        let header = Header { peer_id: 0, sent_ms: server_time_ms(now), ..parsed.header };
        let mut writer = DatagramWriter::new(reply, header, usize::from(MIN_MTU));
        let answer = Command { kind: Kind::VerifyConnect, flags: RELIABLE, sequence: 1, ..connect };
        let payload = ConnectParameters { peer_id, mtu, channels: u32::from(channels) }.to_bytes();
        let acked = Kind::Ack { unsequenced: false, acked: connect.sequence, sent_ms: parsed.header.sent_ms };
        let control = Command { channel: CONTROL_CHANNEL, reserved: RESERVED, payload: &[], ..answer };
        writer.push(&Command { kind: acked, flags: 0, sequence: 0, ..control });
        writer.push(&Command { payload: &payload, ..control });
        writer.finish();
        Route::Reply
    }

    /// A datagram of no known peer: the end of a handshake, or nothing.
    fn accept(&mut self, now: Duration, from: SocketAddr, parsed: &Datagram<'_>) -> Route {
        let Header { peer_id, challenge, protection, .. } = parsed.header;
        // Only what can begin a connection: copies of later datagrams may come when the peer is gone.
        let share = peer_id % self.shares;
        if !parsed.commands().flatten().any(|(_, command)| begins_init(&command)) {
            if share != self.share {
                self.stats.elsewhere += 1;
                return Route::Elsewhere(share);
            }
            self.stats.unknown_peer += 1;
            return Route::Ignore(IgnoreReason::UnknownPeer);
        }
        let epoch = epoch(now);
        let proven = [epoch, epoch.wrapping_sub(1)].map(|epoch| self.assign(epoch, from, challenge, share));
        let Some((_, place)) = proven.into_iter().find(|(assigned, _)| *assigned == peer_id) else {
            self.stats.unknown_peer += 1;
            return Route::Ignore(IgnoreReason::UnknownPeer);
        };
        if self.peers.len() >= self.limits.peers {
            self.stats.peer_limit += 1;
            return Route::Ignore(IgnoreReason::PeerLimit);
        }
        let remembered = self.ring.get_mut(place).and_then(Option::as_mut);
        let remembered = remembered.filter(|old| old.address == from && old.challenge == challenge);
        let handshake = match remembered {
            Some(Remembered { used: true, .. }) => {
                self.stats.unknown_peer += 1;
                return Route::Ignore(IgnoreReason::UnknownPeer);
            }
            Some(connect) => {
                connect.used = true;
                let Remembered { mtu, channels, .. } = *connect;
                Handshake { peer_id, challenge, mtu, channels, channels_assumed: false, protection }
            }
            None => {
                self.stats.parameters_forgotten += 1;
                let (mtu, channels) = (MIN_MTU, DEFAULT_CHANNELS);
                Handshake { peer_id, challenge, mtu, channels, channels_assumed: true, protection }
            }
        };
        self.stats.accepted += 1;
        Route::Accept(handshake)
    }

    /// The peer id of an address and challenge in an epoch, of those of a share, and their place in the ring, which stays
    /// in all epochs.
    fn assign(&self, epoch: u64, from: SocketAddr, challenge: u32, share: u16) -> (u16, usize) {
        let mut place = self.peers.hasher().build_hasher();
        let mut keyed = hmac::Context::with_key(&self.secret);
        let mut feed = |bytes: &[u8]| {
            place.write(bytes);
            keyed.update(bytes);
        };
        match from.ip() {
            IpAddr::V4(ip) => feed(&ip.octets()),
            IpAddr::V6(ip) => feed(&ip.octets()),
        }
        feed(&from.port().to_be_bytes());
        feed(&challenge.to_be_bytes());
        keyed.update(&epoch.to_be_bytes());
        let tag = keyed.sign();
        let tag = tag.as_ref().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let peer_ids = u64::from(TRACING_PEER_ID / self.shares);
        let peer_id = u16::try_from(tag % peer_ids).unwrap_or_default() * self.shares + share;
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits choose the place")]
        let place = place.finish() as usize % RING_PLACES;
        (peer_id, place)
    }

    /// Registers an accepted peer.
    pub fn insert(&mut self, peer_id: u16, challenge: u32, address: SocketAddr, handle: PeerHandle) {
        self.peers.insert(Key { peer_id, challenge }, Registered { handle, address });
    }

    /// Forgets a peer; gives its handle.
    pub fn remove(&mut self, peer_id: u16, challenge: u32) -> Option<PeerHandle> {
        self.peers.remove(&Key { peer_id, challenge }).map(|known| known.handle)
    }

    /// Expects a peer's datagrams from another address from now on.
    pub fn follow(&mut self, peer_id: u16, challenge: u32, address: SocketAddr) {
        if let Some(known) = self.peers.get_mut(&Key { peer_id, challenge }) {
            known.address = address;
        }
    }

    /// How many peers are registered.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.peers.len()
    }

    /// The counters since the last call; they start again at zero.
    pub fn take_stats(&mut self) -> ListenerStats {
        std::mem::take(&mut self.stats)
    }
}

/// Whether the command is the init or its first fragment.
fn begins_init(command: &Command<'_>) -> bool {
    matches!(command.kind, Kind::Reliable | Kind::Fragment(Part { number: 0, .. }))
        && (command.channel, command.sequence) == (0, 1)
}

fn epoch(now: Duration) -> u64 {
    now.as_secs() / EPOCH.as_secs()
}
