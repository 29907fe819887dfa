//! UDP sockets.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket as StdUdpSocket};
use std::time::Duration;

use lampyris_engine::{Datagram, ListenerId, Worker};
use mio::net::UdpSocket;
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};

use crate::Counters;

/// Datagrams, or trains of datagrams that the system joined, taken by one call.
const BATCH: usize = 16;
/// The longest train.
const TRAIN_BYTES: usize = 64 << 10;
/// Calls per socket and turn, so that a flood on one socket leaves time for the others.
const BATCHES_PER_TURN: usize = 8;

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

/// Sends everything that the node has.
pub(crate) fn send_all(
    ports: &[UdpPort],
    now: Duration,
    worker: &mut Worker,
    scratch: &mut Vec<u8>,
    counters: &Counters,
) {
    loop {
        scratch.clear();
        let Some(datagram) = worker.poll_datagram(now, scratch) else { return };
        match ports.iter().max_by_key(|port| port.fitness(&datagram)) {
            Some(port) if port.fitness(&datagram) > 0 => port.send(&datagram, scratch, counters),
            _ => counters.datagrams_unsent.increment(),
        }
    }
}
