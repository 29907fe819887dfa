//! The UDP side of a worker: from datagrams to peers and back.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use lampyris_transport::udp::{self, PeerHandle, Route};
use slotmap::{Key as _, KeyData};

use crate::address::Reached;
use crate::connection::Connection;
use crate::link::Link;
use crate::message::{Content, ForwardedDatagrams, ForwardedHead, Home, Moved};
use crate::worker::Datagram;
use crate::{Config, ConnectionKey, ListenerId, Service, Worker, WorkerId, WorkerMessage};

/// Most bytes of datagrams that wait for one worker in one loop turn; what comes beyond is dropped, as a full socket
/// buffer would.
const MAX_FORWARDED_BYTES: usize = 4 * 1_024 * 1_024;

/// UDP state of a worker.
#[derive(Debug)]
pub(crate) struct Datagrams {
    listeners: HashMap<ListenerId, udp::Listener>,
    /// Peers that may have something to send.
    dirty: VecDeque<ConnectionKey>,
    /// Answers to datagrams that belong to no peer.
    replies: VecDeque<(Datagram, Vec<u8>)>,
    forwarded: Vec<(WorkerId, ForwardedDatagrams)>,
}

/// Most answers to strangers that wait in one loop turn.
const MAX_REPLIES: usize = 1_024;

impl Datagrams {
    pub(crate) fn new(id: WorkerId, config: &Config) -> Self {
        let udp_listeners = config.listeners.iter().enumerate().filter(|(_, l)| matches!(l.service, Service::Udp(_)));
        let limits =
            udp::ListenerLimits { peers: config.limits.connections_per_worker, ..udp::ListenerLimits::DEFAULT };
        Self {
            listeners: udp_listeners
                .map(|(at, _)| {
                    let listener = udp::Listener::new(config.udp_secret, limits);
                    (ListenerId(at), listener.with_share(id.0, config.workers))
                })
                .collect(),
            dirty: VecDeque::new(),
            replies: VecDeque::new(),
            forwarded: Vec::new(),
        }
    }

    /// Puts a peer in the list of those that may have something to send, once.
    pub(crate) fn mark(&mut self, key: ConnectionKey, dirty: &mut bool) {
        if !*dirty {
            *dirty = true;
            self.dirty.push_back(key);
        }
    }

    /// The next batch of datagrams for another worker.
    pub(crate) fn poll_forwarded(&mut self) -> Option<(WorkerId, WorkerMessage)> {
        let (worker, datagrams) = self.forwarded.pop()?;
        Some((worker, WorkerMessage::from(Content::Datagrams(datagrams))))
    }

    /// `false` if there is no room for it.
    fn forward(&mut self, worker: WorkerId, head: ForwardedHead, bytes: &[u8]) -> bool {
        let at = match self.forwarded.iter().position(|(to, _)| *to == worker) {
            Some(at) => at,
            None => {
                self.forwarded.push((worker, ForwardedDatagrams::default()));
                self.forwarded.len() - 1
            }
        };
        let Some((_, batch)) = self.forwarded.get_mut(at) else { return false };
        if batch.bytes.len() + bytes.len() > MAX_FORWARDED_BYTES {
            return false;
        }
        batch.bytes.extend_from_slice(bytes);
        batch.heads.push(head);
        true
    }
}

impl Worker {
    /// A datagram came.
    pub fn receive_datagram(
        &mut self,
        now: Duration,
        listener: ListenerId,
        local: Option<IpAddr>,
        from: SocketAddr,
        bytes: &mut [u8],
    ) {
        self.stats.datagrams_received += 1;
        self.stats.bytes += bytes.len() as u64;
        let Some(udp_listener) = self.datagrams.listeners.get_mut(&listener) else { return };
        let mut reply = Vec::new();
        match udp_listener.classify(now, from, bytes, &mut reply) {
            Route::Known(PeerHandle(handle)) | Route::Moved(PeerHandle(handle)) => {
                let key = ConnectionKey::from(KeyData::from_ffi(handle));
                match self.moved_to(key) {
                    None => self.peer_datagram(now, key, local, from, bytes),
                    Some(worker) => self.forward_datagram(worker, listener, local, from, bytes),
                }
            }
            Route::Elsewhere(share) => self.forward_datagram(WorkerId(share), listener, local, from, bytes),
            Route::Reply => {
                if self.datagrams.replies.len() < MAX_REPLIES {
                    self.datagrams.replies.push_back((Datagram { listener, to: from, from: local }, reply));
                }
            }
            Route::Accept(handshake) => self.accept_peer(now, listener, local, from, &handshake, bytes),
            Route::Ignore(_) => self.stats.datagrams_ignored += 1,
        }
    }

    fn forward_datagram(
        &mut self,
        to: WorkerId,
        listener: ListenerId,
        local: Option<IpAddr>,
        from: SocketAddr,
        bytes: &[u8],
    ) {
        let head = ForwardedHead { listener, local, from, len: bytes.len() };
        if self.datagrams.forward(to, head, bytes) {
            self.stats.datagrams_forwarded += 1;
        } else {
            self.stats.datagrams_forward_dropped += 1;
        }
    }

    fn accept_peer(
        &mut self,
        now: Duration,
        listener: ListenerId,
        local: Option<IpAddr>,
        from: SocketAddr,
        handshake: &udp::Handshake,
        bytes: &mut [u8],
    ) {
        let (id, challenge) = (handshake.peer_id, handshake.challenge);
        let Some(config) = self.transports.udp(listener) else { return };
        let peer = udp::Peer::accept(now, from, handshake, config);
        let port = self.config.listeners.get(listener.0).map_or(0, |described| described.port);
        let unspecified = match from.ip() {
            IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
        };
        let reached = Reached::at(SocketAddr::new(local.unwrap_or(unspecified), port));
        let link = Link::Udp(Box::new(peer));
        let Some(key) = self.insert(now, listener, reached, from, link) else { return };
        if let Some(udp_listener) = self.datagrams.listeners.get_mut(&listener) {
            udp_listener.insert(id, challenge, from, PeerHandle(key.data().as_ffi()));
        }
        self.peer_datagram(now, key, local, from, bytes);
    }

    /// A datagram of a peer that lives here.
    fn peer_datagram(
        &mut self,
        now: Duration,
        key: ConnectionKey,
        local: Option<IpAddr>,
        from: SocketAddr,
        bytes: &mut [u8],
    ) {
        let mut incoming = std::mem::take(&mut self.scratch.incoming);
        let mut followed = None;
        if let Some(connection) = self.connection_mut(key)
            && let Link::Udp(peer) = &mut connection.link
        {
            let progressed = peer.receive(now, bytes, &mut incoming);
            if connection.remote != from && progressed {
                tracing::debug!(old = %connection.remote, new = %from, "a client's address changed");
                peer.follow(from);
                followed = Some((connection.listener, peer.peer_id(), peer.challenge()));
                connection.remote = from;
                if let Some(local) = local {
                    connection.reached.local.set_ip(local);
                }
            }
        }
        if let Some((listener, peer_id, challenge)) = followed
            && let Some(udp_listener) = self.datagrams.listeners.get_mut(&listener)
        {
            udp_listener.follow(peer_id, challenge, from);
        }
        self.handle_incoming(now, key, &mut incoming, bytes);
        self.scratch.incoming = incoming;
        self.touch(key);
    }

    /// Datagrams that another worker received for peers of this one.
    pub(crate) fn receive_forwarded(&mut self, now: Duration, mut datagrams: ForwardedDatagrams) {
        let mut rest = datagrams.bytes.as_mut_slice();
        for head in datagrams.heads {
            let Some((bytes, behind)) = std::mem::take(&mut rest).split_at_mut_checked(head.len) else { return };
            self.receive_datagram(now, head.listener, head.local, head.from, bytes);
            rest = behind;
        }
    }

    /// The next datagram to send, appended to `out`; call until `None` at the end of each turn.
    pub fn poll_datagram(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<Datagram> {
        if let Some((datagram, bytes)) = self.datagrams.replies.pop_front() {
            out.extend_from_slice(&bytes);
            return Some(datagram);
        }
        while let Some(key) = self.datagrams.dirty.front().copied() {
            let Some(connection) = self.connection_mut(key) else {
                self.datagrams.dirty.pop_front();
                continue;
            };
            let datagram = Datagram {
                listener: connection.listener,
                to: connection.remote,
                from: Some(connection.reached.local.ip()).filter(|ip| !ip.is_unspecified()),
            };
            if let Link::Udp(peer) = &mut connection.link {
                let before = out.len();
                if peer.poll_transmit(now, out) {
                    self.stats.bytes += (out.len() - before) as u64;
                    return Some(datagram);
                }
                connection.dirty = false;
                let finished = peer.is_finished();
                self.datagrams.dirty.pop_front();
                if finished {
                    self.forget_peer(key);
                } else {
                    self.arm_connection(key);
                }
            }
        }
        None
    }

    /// A UDP peer is over and done.
    fn forget_peer(&mut self, key: ConnectionKey) {
        let Some(connection) = self.take(key) else { return };
        let Link::Udp(peer) = &connection.link else { return };
        let (listener, peer_id, challenge) = (connection.listener, peer.peer_id(), peer.challenge());
        if let Some(udp_listener) = self.datagrams.listeners.get_mut(&listener) {
            udp_listener.remove(peer_id, challenge);
        }
        if let Some(Home { worker, place }) = connection.home {
            self.post(worker, Content::MovedPeerGone { listener, peer_id, challenge, place });
        }
    }

    /// Sends a UDP peer to another worker; its datagrams go on arriving here and are passed on.
    pub(crate) fn move_peer(&mut self, key: ConnectionKey, to: WorkerId) {
        let Some((mut connection, place)) = self.take_moved(key, to) else { return };
        self.point_listener_at(&connection, place);
        connection.home = Some(Home { worker: self.id, place });
        self.post(to, Content::MovedPeer(Moved { connection }));
    }

    /// Makes the listener lead a peer's datagrams to that place.
    fn point_listener_at(&mut self, connection: &Connection, place: ConnectionKey) {
        if let Link::Udp(peer) = &connection.link
            && let Some(udp_listener) = self.datagrams.listeners.get_mut(&connection.listener)
        {
            udp_listener.insert(peer.peer_id(), peer.challenge(), connection.remote, PeerHandle(place.data().as_ffi()));
        }
    }

    /// Makes this worker's listener lead forwarded datagrams to a peer that moved here.
    pub(crate) fn point_own_listener_at(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connection(key) else { return };
        let Link::Udp(peer) = &connection.link else { return };
        let (listener, peer_id, challenge, remote) =
            (connection.listener, peer.peer_id(), peer.challenge(), connection.remote);
        if let Some(udp_listener) = self.datagrams.listeners.get_mut(&listener) {
            udp_listener.insert(peer_id, challenge, remote, PeerHandle(key.data().as_ffi()));
        }
    }

    /// A peer that had moved away from here is gone.
    pub(crate) fn moved_peer_gone(&mut self, listener: ListenerId, peer_id: u16, challenge: u32, place: ConnectionKey) {
        if let Some(udp_listener) = self.datagrams.listeners.get_mut(&listener) {
            udp_listener.remove(peer_id, challenge);
        }
        self.forget(place);
    }
}
