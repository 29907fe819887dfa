//! The clients' side: what a driver of a client does, and what happens to the machine it runs on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use lampyris_client::{Action, Client, CloseCause, Config, ServerAddress};
use lampyris_engine::{ListenerId, Transport};
use rand::RngExt as _;

use super::{Door, Happening, HostId, Place, Stream, World, engine_transport};
use crate::{DatagramPath, StreamPath};

/// The first port that a host connects from.
const FIRST_LOCAL_PORT: u16 = 40_000;

/// A client and the machine it runs on.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) client: Client,
    pub(super) events: Vec<lampyris_client::Event>,
    ip: IpAddr,
    next_port: u16,
    socket: Option<Socket>,
    armed: Option<Duration>,
    /// Nothing reaches it or comes from it any more, and its clock stands still.
    cut: bool,
    /// Nothing reaches it, but its clock goes on.
    deaf: bool,
}

#[derive(Clone, Copy, Debug)]
enum Socket {
    Udp { local: SocketAddr, door: Door },
    Stream { stream: usize, open: bool },
}

impl World {
    /// Adds a client that is not connected yet.
    pub fn add(&mut self, config: Arc<Config>) -> HostId {
        let id = HostId(self.hosts.len());
        let [_, high, low, last] = id.number().wrapping_add(1).to_be_bytes();
        let ip = IpAddr::V4(Ipv4Addr::new(10, 1 + high, low, last));
        let client = Client::new(config, self.rng.random());
        let first = FIRST_LOCAL_PORT + self.rng.random_range(0..1_000);
        self.hosts.push(Host {
            client,
            events: Vec::new(),
            ip,
            next_port: first,
            socket: None,
            armed: None,
            cut: false,
            deaf: false,
        });
        id
    }

    /// Lets a client do something.
    ///
    /// # Panics
    /// The host is of another world.
    pub fn act_as<R>(&mut self, host: HostId, act: impl FnOnce(&mut Client, Duration) -> R) -> R {
        let now = self.now;
        let result = act(&mut self.host_mut(host).client, now);
        self.settle_host(host);
        result
    }

    /// Pulls the plug: nothing comes from the host or reaches it any more.
    pub fn cut(&mut self, host: HostId) {
        self.host_mut(host).cut = true;
    }

    /// Puts the plug in again; the host's clock has gone on.
    pub fn mend(&mut self, host: HostId) {
        self.host_mut(host).cut = false;
        self.host_wakes(host);
    }

    /// Nothing reaches the host any more; what it says is heard.
    pub fn deafen(&mut self, host: HostId) {
        self.host_mut(host).deaf = true;
    }

    /// A router on the way forgets the host's port and gives it another one.
    pub fn change_port(&mut self, host: HostId) {
        let local = self.new_local(host);
        if let Some(Socket::Udp { local: old, .. }) = &mut self.host_mut(host).socket {
            let old = std::mem::replace(old, local);
            self.ports.remove(&old);
            self.ports.insert(local, host);
        }
    }

    /// Sends bytes as if the client had sent them.
    pub fn inject(&mut self, host: HostId, bytes: &[u8]) {
        match self.host(host).socket {
            Some(Socket::Udp { local, door }) => self.send_datagram(local, door, bytes),
            Some(Socket::Stream { stream, .. }) => self.send_bytes(stream, bytes),
            None => {}
        }
    }

    #[expect(clippy::indexing_slicing, reason = "host ids are made by this world")]
    pub(super) fn host(&self, id: HostId) -> &Host {
        &self.hosts[id.0]
    }

    #[expect(clippy::indexing_slicing, reason = "host ids are made by this world")]
    pub(super) fn host_mut(&mut self, id: HostId) -> &mut Host {
        &mut self.hosts[id.0]
    }

    pub(super) fn host_wakes(&mut self, id: HostId) {
        let now = self.now;
        let host = self.host_mut(id);
        host.armed = None;
        if host.cut {
            return;
        }
        if host.client.next_timeout().is_some_and(|due| due <= now) {
            host.client.handle_timeout(now);
        }
        self.settle_host(id);
    }

    /// Writes what the client has to write, does what it asks for, takes what it tells.
    pub(super) fn settle_host(&mut self, id: HostId) {
        let now = self.now;
        loop {
            self.write(id);
            match self.host_mut(id).client.poll_action(now) {
                Some(Action::Open(address)) => self.open(id, &address),
                Some(Action::Close) => self.close(id),
                None => break,
            }
        }
        let host = self.host_mut(id);
        while let Some(event) = host.client.poll_event() {
            host.events.push(event);
        }
        if let Some(due) = host.client.next_timeout()
            && host.armed.is_none_or(|armed| due < armed)
        {
            host.armed = Some(due);
            self.schedule(due.max(now), Happening::HostWakes(id));
        }
    }

    fn write(&mut self, id: HostId) {
        let now = self.now;
        match self.host(id).socket {
            Some(Socket::Udp { local, door }) => {
                let mut bytes = Vec::new();
                while self.host_mut(id).client.poll_datagram(now, &mut bytes) {
                    self.send_datagram(local, door, &bytes);
                    bytes.clear();
                }
            }
            Some(Socket::Stream { stream, open: true }) => {
                let client = &mut self.host_mut(id).client;
                let bytes = client.output().to_vec();
                client.consume_output(bytes.len());
                self.send_bytes(stream, &bytes);
            }
            Some(Socket::Stream { open: false, .. }) | None => {}
        }
    }

    fn send_datagram(&mut self, from: SocketAddr, door: Door, bytes: &[u8]) {
        if self.ports.get(&from).is_none_or(|id| self.host(*id).cut) {
            return;
        }
        let mut arrivals = Vec::new();
        DatagramPath::send(&self.conditions, &mut self.rng, self.now, bytes, |at, bytes| arrivals.push((at, bytes)));
        for (at, bytes) in arrivals {
            self.schedule(at, Happening::DatagramToNode { door, from, bytes });
        }
    }

    fn send_bytes(&mut self, stream: usize, bytes: &[u8]) {
        let Some(to) = self.streams.get_mut(stream) else { return };
        let mut arrivals = Vec::new();
        to.up.send(&self.conditions, &mut self.rng, self.now, bytes, |at, piece| arrivals.push((at, piece)));
        let host = to.host;
        if self.host(host).cut {
            return;
        }
        for (at, piece) in arrivals {
            self.schedule(at, Happening::BytesToNode(stream, piece));
        }
    }

    fn arrival_up(&mut self, stream: usize) -> Duration {
        let (conditions, rng, now) = (&self.conditions, &mut self.rng, self.now);
        self.streams.get_mut(stream).map_or(now, |stream| stream.up.end(conditions, rng, now))
    }

    fn new_local(&mut self, id: HostId) -> SocketAddr {
        let step = self.rng.random_range(1..4);
        let host = self.host_mut(id);
        host.next_port = host.next_port.wrapping_add(step).max(FIRST_LOCAL_PORT);
        SocketAddr::new(host.ip, host.next_port)
    }

    fn open(&mut self, id: HostId, address: &ServerAddress) {
        let now = self.now;
        let transport = engine_transport(address.transport);
        let wanted = |l: &lampyris_engine::ListenerConfig| l.port == address.port && l.transport() == Some(transport);
        let found = self.nodes.iter().enumerate().find_map(|(node, of)| {
            let listener = of.config.listeners.iter().position(wanted).map(ListenerId)?;
            Some(Door { node, listener })
        });
        let Some(door) = found else {
            return self.host_mut(id).client.ended(now, CloseCause::Lost("connection refused".into()));
        };
        let local = self.new_local(id);
        if transport == Transport::Udp {
            self.ports.insert(local, id);
            let host = self.host_mut(id);
            host.socket = Some(Socket::Udp { local, door });
            host.client.opened(now);
            return;
        }
        let stream = self.streams.len();
        self.streams.push(Stream {
            host: id,
            door,
            remote: local,
            place: Place::Coming,
            up: StreamPath::default(),
            down: StreamPath::default(),
        });
        self.host_mut(id).socket = Some(Socket::Stream { stream, open: false });
        let at = self.arrival_up(stream);
        if !self.host(id).cut {
            self.schedule(at, Happening::Accept(stream));
        }
    }

    fn close(&mut self, id: HostId) {
        match self.host_mut(id).socket.take() {
            Some(Socket::Udp { local, .. }) => {
                self.ports.remove(&local);
            }
            Some(Socket::Stream { stream, .. }) if !self.host(id).cut => {
                let at = self.arrival_up(stream);
                self.schedule(at, Happening::EndToNode(stream));
            }
            _ => {}
        }
    }

    pub(super) fn datagram_to_host(&mut self, to: SocketAddr, mut bytes: Vec<u8>) {
        let now = self.now;
        let Some(&id) = self.ports.get(&to) else { return };
        let host = self.host_mut(id);
        if !host.cut && !host.deaf {
            host.client.receive(now, &mut bytes);
            self.settle_host(id);
        }
    }

    /// The host whose present socket that stream is.
    fn host_of(&self, stream: usize) -> Option<HostId> {
        let id = self.streams.get(stream)?.host;
        let host = self.host(id);
        (!host.cut && !host.deaf && matches!(host.socket, Some(Socket::Stream { stream: own, .. }) if own == stream))
            .then_some(id)
    }

    pub(super) fn accepted(&mut self, stream: usize) {
        let now = self.now;
        let Some(id) = self.host_of(stream) else { return };
        let host = self.host_mut(id);
        host.socket = Some(Socket::Stream { stream, open: true });
        host.client.opened(now);
        self.settle_host(id);
    }

    pub(super) fn bytes_to_host(&mut self, stream: usize, mut bytes: Vec<u8>) {
        let now = self.now;
        let Some(id) = self.host_of(stream) else { return };
        self.host_mut(id).client.receive(now, &mut bytes);
        self.settle_host(id);
    }

    pub(super) fn end_to_host(&mut self, stream: usize) {
        let now = self.now;
        let Some(id) = self.host_of(stream) else { return };
        let host = self.host_mut(id);
        host.socket = None;
        host.client.ended(now, CloseCause::ByPeer);
        self.settle_host(id);
    }
}
