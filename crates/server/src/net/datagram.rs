//! UDP sockets.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket as StdUdpSocket};
use std::ops::Range;
use std::time::Duration;

use lampyris_engine::{Datagram, ListenerId, Worker};
use mio::net::UdpSocket;
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rustix::io::Errno;
use rustix::net::addr::SocketAddrArg as _;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
use smallvec::SmallVec;

use crate::Counters;

/// Datagrams, or trains of datagrams that the system joined, taken by one call.
const BATCH: usize = 16;
/// The longest train.
const TRAIN_BYTES: usize = 64 << 10;
/// Calls per socket and turn, so that a flood on one socket leaves time for the others.
const BATCHES_PER_TURN: usize = 8;
/// Datagrams gathered before the first is sent.
const BURST: usize = 32;

/// A UDP socket of a listener.
pub(crate) struct UdpPort {
    pub(crate) listener: ListenerId,
    pub(crate) socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// There may be something to receive.
    pub(crate) ready: bool,
}

/// The scratch space of a worker's UDP sockets.
pub(crate) struct Batch {
    bytes: Box<[u8]>,
    meta: [RecvMeta; BATCH],
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; BATCH * TRAIN_BYTES].into(), meta: [RecvMeta::default(); BATCH] }
    }
}

impl UdpPort {
    pub(crate) fn new(listener: ListenerId, socket: StdUdpSocket) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        Ok(Self { listener, socket: UdpSocket::from_std(socket), state, local, ready: false })
    }

    /// Gives the node what came, within the turn's budget.
    pub(crate) fn receive(&mut self, now: Duration, worker: &mut Worker, batch: &mut Batch, counters: &Counters) {
        for _ in 0..BATCHES_PER_TURN {
            let mut chunks = batch.bytes.chunks_exact_mut(TRAIN_BYTES);
            let mut slices: [IoSliceMut<'_>; BATCH] =
                std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
            let received = match self.state.recv(UdpSockRef::from(&self.socket), &mut slices, &mut batch.meta) {
                Ok(received) => received,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => {
                        self.ready = false;
                        return;
                    }
                    io::ErrorKind::Interrupted => continue,
                    // A router's or a peer's answer that someone is unreachable: no news for a connectionless socket.
                    io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NetworkUnreachable => {
                        counters.datagram_errors.increment();
                        continue;
                    }
                    _ => {
                        counters.datagram_errors.increment();
                        tracing::warn!(%error, local = %self.local, "cannot receive on a UDP socket");
                        self.ready = false;
                        return;
                    }
                },
            };
            for (train, meta) in slices.iter_mut().zip(&batch.meta).take(received) {
                let train = train.get_mut(..meta.len).unwrap_or_default();
                for datagram in train.chunks_mut(meta.stride.max(1)) {
                    counters.datagrams_received.increment();
                    worker.receive_datagram(now, self.listener, meta.dst_ip, meta.addr, datagram);
                }
            }
            // A batch that is not full has emptied the socket, and what comes after it wakes the worker anew: asking
            // again would be a call for nothing with nearly every datagram.
            if received < BATCH {
                self.ready = false;
                return;
            }
        }
    }

    /// How well this socket fits a datagram; 0 = not at all.
    fn fitness(&self, datagram: &Datagram) -> u8 {
        if self.listener != datagram.listener || self.local.is_ipv4() != datagram.to.is_ipv4() {
            0
        } else if datagram.from == Some(self.local.ip()) {
            3
        } else if self.local.ip().is_unspecified() {
            2
        } else {
            1
        }
    }

    /// Sends datagrams, with one call if the system need not be told which of its addresses they leave from. What it does
    /// not take at once is lost here, and sent again by the reliable layer like what is lost later.
    fn send_run<'a>(&self, datagrams: impl Iterator<Item = (&'a Datagram, &'a [u8])>, counters: &Counters) {
        if self.local.ip().is_unspecified() {
            datagrams.for_each(|(datagram, contents)| self.send(datagram, contents, counters));
            return;
        }
        let mut addresses = SmallVec::<[SocketAddrAny; BURST]>::new();
        let mut slices = SmallVec::<[[IoSlice<'_>; 1]; BURST]>::new();
        for (datagram, contents) in datagrams {
            addresses.push(datagram.to.as_any());
            slices.push([IoSlice::new(contents)]);
        }
        let mut controls = SmallVec::<[SendAncillaryBuffer<'_, '_, '_>; BURST]>::new();
        controls.resize_with(slices.len(), SendAncillaryBuffer::default);
        let messages = addresses.iter().zip(&slices).zip(&mut controls);
        let mut messages: SmallVec<[MMsgHdr<'_>; BURST]> =
            messages.map(|((address, slice), control)| MMsgHdr::new_with_addr(address, slice, control)).collect();
        let mut rest = messages.as_mut_slice();
        while !rest.is_empty() {
            match sendmmsg(&self.socket, rest, SendFlags::empty()) {
                Ok(sent) => rest = rest.get_mut(sent.max(1)..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::trace!(%error, "a datagram was not sent");
                    counters.datagrams_unsent.increment();
                    rest = rest.get_mut(1..).unwrap_or_default();
                }
            }
        }
    }

    /// Sends at once or not at all: what is lost here is sent again by the reliable layer, like what is lost later.
    fn send(&self, datagram: &Datagram, contents: &[u8], counters: &Counters) {
        let src_ip =
            datagram.from.filter(|from| self.local.ip().is_unspecified() && from.is_ipv4() == self.local.is_ipv4());
        let transmit = Transmit { destination: datagram.to, ecn: None, contents, segment_size: None, src_ip };
        for _ in 0..2 {
            match self.state.try_send(UdpSockRef::from(&self.socket), &transmit) {
                Ok(()) => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::trace!(%error, to = %datagram.to, "a datagram was not sent");
                    break;
                }
            }
        }
        counters.datagrams_unsent.increment();
    }
}

/// Datagrams gathered before the first of them is sent.
///
/// Sends that follow each other at once find the caches warm, and one call can carry them all.
#[derive(Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    staged: Vec<Staged>,
}

/// A datagram in an [`Outbox`]; its bytes are a part of those of the outbox.
struct Staged {
    datagram: Datagram,
    port: usize,
    bytes: Range<usize>,
}

impl Outbox {
    /// Sends everything that the node has.
    pub(crate) fn send_all(&mut self, ports: &[UdpPort], now: Duration, worker: &mut Worker, counters: &Counters) {
        while self.gather(ports, now, worker, counters) {
            for run in self.staged.chunk_by(|one, other| one.port == other.port) {
                let Some(port) = run.first().and_then(|first| ports.get(first.port)) else { continue };
                let contents = run
                    .iter()
                    .map(|staged| (&staged.datagram, self.bytes.get(staged.bytes.clone()).unwrap_or_default()));
                port.send_run(contents, counters);
            }
            self.staged.clear();
        }
    }

    /// Takes what the node has, up to a burst. Gives whether there was anything.
    fn gather(&mut self, ports: &[UdpPort], now: Duration, worker: &mut Worker, counters: &Counters) -> bool {
        self.bytes.clear();
        while self.staged.len() < BURST {
            let start = self.bytes.len();
            let Some(datagram) = worker.poll_datagram(now, &mut self.bytes) else { break };
            let fitting = ports.iter().map(|port| port.fitness(&datagram)).enumerate();
            match fitting.max_by_key(|(_, fitness)| *fitness) {
                Some((port, 1..)) => self.staged.push(Staged { datagram, port, bytes: start..self.bytes.len() }),
                _ => counters.datagrams_unsent.increment(),
            }
        }
        !self.staged.is_empty()
    }
}
