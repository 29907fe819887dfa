//! Datagrams, sends and waits in any order to a listener and a peer of either role: no panic, nothing above the MTU,
//! nothing after the end, an end in time, and what is read is written back to the same bytes.
//!
//! The input is a list of steps: a byte that says what, a byte of length, that many bytes.

#![no_main]

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lampyris_transport::udp::command::{CRC_BYTES, Command, Datagram, DatagramWriter, HEADER_BYTES, Header, Kind};
use lampyris_transport::udp::{
    Config, DisconnectReason, Handshake, Listener, ListenerLimits, Peer, PeerHandle, Protection,
};
use lampyris_transport::{Delivery, Incoming};
use libfuzzer_sys::fuzz_target;

const MTU: u16 = 1000;
const HANDSHAKE: Handshake = Handshake {
    peer_id: 5,
    challenge: 9,
    mtu: MTU,
    channels: 4,
    channels_assumed: false,
    protection: Protection::Plain,
};
const DELIVERIES: [Delivery; 4] =
    [Delivery::Reliable, Delivery::Unreliable, Delivery::ReliableUnsequenced, Delivery::UnreliableUnsequenced];

thread_local! {
    /// One for all runs, as on a server: its table of handshakes is too large to be made for each.
    static LISTENER: RefCell<Listener> = RefCell::new(Listener::new([1; 32], ListenerLimits::DEFAULT));
}

struct Run {
    peer: Peer,
    now: Duration,
    incoming: Vec<Incoming>,
    closed: bool,
}

fn init_message() -> Vec<u8> {
    let mut message = vec![0xF3, 0, 1, 8, 0x1E, 0x41, 8, 13, 0];
    message.extend_from_slice(b"LoadBalancing");
    message.resize(41, 0);
    message
}

fn datagram(command: Command<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let header = Header { peer_id: 5, protection: Protection::Plain, sent_ms: 0, challenge: 9 };
    let mut writer = DatagramWriter::new(&mut out, header, usize::from(MTU));
    writer.push(&command);
    writer.finish();
    out
}

impl Run {
    fn new(role: u8) -> Self {
        let now = Duration::from_secs(50);
        let from = "192.0.2.9:77".parse().expect("an address");
        let peer = if role & 1 == 0 {
            Peer::accept(now, from, &HANDSHAKE, Arc::new(Config::SERVER))
        } else {
            let (init, config) = (Bytes::from(init_message()), Arc::new(Config::CLIENT));
            Peer::connect(now, 9, 4, MTU, init, Protection::Plain, config).expect("the init is right")
        };
        let mut run = Self { peer, now, incoming: Vec::new(), closed: false };
        if role & 2 != 0 {
            let verify = [0, 5].into_iter().chain([0; 30]).collect::<Vec<_>>();
            let first = Command {
                kind: Kind::VerifyConnect,
                channel: 255,
                flags: 1,
                reserved: 4,
                sequence: 1,
                payload: &verify,
            };
            run.receive(&datagram(first));
            let payload = if role & 1 == 0 { init_message() } else { vec![0xF3, 1, 0] };
            run.receive(&datagram(Command { kind: Kind::Reliable, channel: 0, payload: &payload, ..first }));
            assert!(run.peer.is_open());
        }
        run
    }

    fn receive(&mut self, bytes: &[u8]) {
        let mut reply = Vec::new();
        let from = "192.0.2.9:77".parse().expect("an address");
        LISTENER.with_borrow_mut(|listener| {
            listener.insert(5, 9, from, PeerHandle(1));
            let _ = listener.classify(self.now, from, bytes, &mut reply);
        });
        assert!(reply.len() <= 3 * bytes.len());
        self.peer.receive(self.now, bytes, &mut self.incoming);
        self.drain(bytes);
    }

    fn drain(&mut self, bytes: &[u8]) {
        for item in self.incoming.drain(..) {
            assert!(!self.closed, "{item:?} after the end");
            match item {
                Incoming::Message { body: lampyris_transport::Body::Input(range), .. } => {
                    assert!(bytes.get(range).is_some());
                }
                Incoming::Closed(_) => self.closed = true,
                _ => {}
            }
        }
        let mut out = Vec::new();
        for _ in 0..2_000 {
            out.clear();
            if !self.peer.poll_transmit(self.now, &mut out) {
                return;
            }
            assert!(out.len() <= usize::from(MTU));
            let sent = Datagram::parse(&out).expect("what we write is right");
            assert!(sent.commands().all(|command| command.is_ok_and(|(_, c)| c.channel < 4 || c.channel == 255)));
        }
        panic!("it never stops sending");
    }

    fn wait(&mut self, length: Duration) {
        let end = self.now + length;
        while let Some(next) = self.peer.next_timeout().filter(|next| *next <= end) {
            self.now = next.max(self.now);
            self.peer.handle_timeout(self.now, &mut self.incoming);
            self.drain(&[]);
            assert!(self.peer.next_timeout().is_none_or(|next| next > self.now), "a timer that does not move");
        }
        self.now = end;
    }

    fn step(&mut self, what: u8, argument: &[u8]) {
        match what % 8 {
            0 => self.wait(Duration::from_millis(argument.iter().map(|byte| u64::from(*byte)).sum())),
            1 => {
                let delivery = DELIVERIES[usize::from(what >> 3) % DELIVERIES.len()];
                let channel = argument.first().copied().unwrap_or_default();
                let message = Bytes::from(vec![what; argument.len() * 20]);
                let open = self.peer.is_open();
                assert!(self.peer.send(self.now, channel, delivery, &message).is_ok() <= open);
                self.drain(&[]);
            }
            2 if what > 250 => {
                self.peer.disconnect(self.now, DisconnectReason::ServerLogic);
                self.drain(&[]);
            }
            3 => self.receive(argument),
            _ => {
                let mut bytes = vec![0, 5, 0, 1 + (what >> 6), 0, 0, 0, 0, 0, 0, 0, 9];
                bytes.extend_from_slice(argument);
                self.receive(&bytes);
            }
        }
    }
}

/// A datagram that is read whole is written back to its bytes.
fn check_round_trip(bytes: &[u8]) {
    let Ok(parsed) = Datagram::parse(bytes) else { return };
    let mut out = Vec::new();
    let mut writer = DatagramWriter::new(&mut out, parsed.header, usize::MAX / 2);
    let mut length = HEADER_BYTES + if parsed.header.protection == Protection::Crc { CRC_BYTES } else { 0 };
    for command in parsed.commands() {
        let Ok((range, command)) = command else { return };
        if !writer.push(&command) {
            return;
        }
        length = range.end;
    }
    writer.finish();
    if length == bytes.len() {
        assert_eq!(out, bytes);
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((role, mut rest)) = data.split_first() else { return };
    check_round_trip(rest);
    let mut run = Run::new(*role);
    while let [what, length, tail @ ..] = rest {
        let (argument, next) = tail.split_at(usize::from(*length).min(tail.len()));
        run.step(*what, argument);
        rest = next;
    }
    run.wait(Duration::from_secs(90));
    assert!(run.closed && run.peer.is_finished(), "a silent peer is given up");
});
