//! Whatever comes: no panic, nothing above the MTU, nothing after the end, an end in time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lampyris_transport::udp::command::{
    Command, Datagram, DatagramWriter, Header, Kind, Part, Protection, RELIABLE, RESERVED,
};
use lampyris_transport::udp::{Config, DisconnectReason, Handshake, Peer};
use lampyris_transport::{Body, CloseCause, Delivery, Incoming};
use proptest::prelude::*;

const HANDSHAKE: Handshake = Handshake {
    peer_id: 5,
    challenge: 9,
    mtu: 1000,
    channels: 4,
    channels_assumed: false,
    protection: Protection::Plain,
};
const HEADER: Header = Header { peer_id: 5, protection: Protection::Plain, sent_ms: 0, challenge: 9 };

/// A datagram of the peer's client, opened or not, as parts that are likely to fit together.
#[derive(Clone, Debug)]
enum Input {
    Bytes(Vec<u8>),
    Command { kind: Kind, channel: u8, flags: u8, sequence: u32, payload: Vec<u8> },
    Send { channel: u8, delivery: Delivery, length: usize },
    Wait(u64),
    Disconnect,
}

fn small() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0..12u32, 1 => 1_000..1_100u32, 1 => any::<u32>()]
}

fn part() -> impl Strategy<Value = Part> {
    (small(), small(), small(), small(), small()).prop_map(|(start, count, number, total_bytes, offset)| Part {
        start,
        count,
        number,
        total_bytes,
        offset,
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        (any::<bool>(), small(), any::<i32>()).prop_map(|(unsequenced, acked, sent_ms)| Kind::Ack {
            unsequenced,
            acked,
            sent_ms
        }),
        Just(Kind::Connect),
        Just(Kind::VerifyConnect),
        Just(Kind::Ping),
        Just(Kind::ServerTime),
        Just(Kind::Reliable),
        Just(Kind::Reliable),
        Just(Kind::ReliableUnsequenced),
        small().prop_map(|number| Kind::Unreliable { number }),
        small().prop_map(|group| Kind::Unsequenced { group }),
        part().prop_map(Kind::Fragment),
        part().prop_map(Kind::FragmentUnsequenced),
        any::<u8>().prop_map(Kind::Unknown),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let deliveries =
        [Delivery::Reliable, Delivery::Unreliable, Delivery::ReliableUnsequenced, Delivery::UnreliableUnsequenced];
    let channel = prop_oneof![4 => 0..4u8, 1 => any::<u8>()];
    let command = (kind(), channel.clone(), 0..4u8, small(), prop::collection::vec(any::<u8>(), 0..40));
    prop_oneof![
        2 => prop::collection::vec(any::<u8>(), 0..80).prop_map(Input::Bytes),
        20 => command.prop_map(|(kind, channel, flags, sequence, payload)|
            Input::Command { kind, channel, flags, sequence, payload }),
        6 => (channel, prop::sample::select(deliveries.to_vec()), 0..4_000usize)
            .prop_map(|(channel, delivery, length)| Input::Send { channel, delivery, length }),
        3 => (0..3_000u64).prop_map(Input::Wait),
        1 => prop::bool::weighted(0.05).prop_map(|really| if really { Input::Disconnect } else { Input::Wait(1) }),
    ]
}

fn datagram(command: &Command<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = DatagramWriter::new(&mut out, HEADER, 1200);
    writer.push(command);
    writer.finish();
    out
}

fn init_message() -> Vec<u8> {
    let mut message = vec![0xF3, 0, 1, 8, 0x1E, 0x41, 8, 13, 0];
    message.extend_from_slice(b"LoadBalancing");
    message.resize(41, 0);
    let kind = Kind::Reliable;
    datagram(&Command { kind, channel: 0, flags: RELIABLE, reserved: RESERVED, sequence: 1, payload: &message })
}

struct Rig {
    peer: Peer,
    now: Duration,
    incoming: Vec<Incoming>,
    closed: bool,
}

impl Rig {
    fn new(opened: bool) -> Self {
        let now = Duration::from_secs(50);
        let peer = Peer::accept(now, "192.0.2.9:77".parse().unwrap(), &HANDSHAKE, Arc::new(Config::SERVER));
        let mut rig = Self { peer, now, incoming: Vec::new(), closed: false };
        if opened {
            rig.receive(&init_message());
            assert!(rig.peer.is_open());
        }
        rig
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.peer.receive(self.now, bytes, &mut self.incoming);
        self.drain(bytes);
    }

    fn drain(&mut self, bytes: &[u8]) {
        for item in self.incoming.drain(..) {
            assert!(!self.closed, "{item:?} after the end");
            match item {
                Incoming::Message { body: Body::Input(range), .. } => assert!(bytes.get(range).is_some()),
                Incoming::Closed(_) => self.closed = true,
                _ => {}
            }
        }
        let mut out = Vec::new();
        for _ in 0..1_000 {
            out.clear();
            if !self.peer.poll_transmit(self.now, &mut out) {
                assert!(out.is_empty());
                return;
            }
            assert!(out.len() <= 1000, "{} bytes are more than the MTU", out.len());
            let parsed = Datagram::parse(&out).unwrap();
            for (_, command) in parsed.commands().map(Result::unwrap) {
                assert!(command.channel < 4 || command.channel == 0xFF, "channel {}", command.channel);
            }
        }
        panic!("it never stops sending: {:?}", self.peer);
    }

    /// Jumps from timer to timer.
    fn wait(&mut self, length: Duration) {
        let end = self.now + length;
        while let Some(next) = self.peer.next_timeout().filter(|next| *next <= end) {
            assert!(next >= self.now || next == Duration::ZERO, "{next:?} was over at {:?}", self.now);
            self.now = next.max(self.now);
            self.peer.handle_timeout(self.now, &mut self.incoming);
            self.drain(&[]);
            let still = self.peer.next_timeout();
            assert!(still.is_none_or(|still| still > self.now), "a timer that does not move: {:?}", self.peer);
        }
        self.now = end;
    }

    fn apply(&mut self, input: &Input) {
        match input {
            Input::Bytes(tail) => {
                let mut bytes = vec![0, 5, 0, 3, 0, 0, 0, 0, 0, 0, 0, 9];
                bytes.extend_from_slice(tail);
                self.receive(&bytes);
            }
            Input::Command { kind, channel, flags, sequence, payload } => {
                let (kind, channel, flags, sequence) = (*kind, *channel, *flags, *sequence);
                self.receive(&datagram(&Command { kind, channel, flags, reserved: RESERVED, sequence, payload }));
            }
            Input::Send { channel, delivery, length } => {
                let message = Bytes::from(vec![0; *length]);
                let open = self.peer.is_open();
                let sent = self.peer.send(self.now, *channel, *delivery, &message);
                assert!(open || sent.is_err());
                self.drain(&[]);
            }
            Input::Wait(ms) => self.wait(Duration::from_millis(*ms)),
            Input::Disconnect => {
                self.peer.disconnect(self.now, DisconnectReason::ServerLogic);
                self.drain(&[]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_peer_survives_any_order_of_anything(opened: bool, inputs in prop::collection::vec(input(), 1..60)) {
        let mut rig = Rig::new(opened);
        for input in &inputs {
            rig.apply(input);
        }
        rig.wait(Duration::from_secs(70));
        prop_assert!(rig.closed && rig.peer.is_finished(), "a silent peer is given up: {:?}", rig.peer);
    }
}

fn fragment(kind: impl Fn(Part) -> Kind, part: Part, payload: &[u8]) -> Vec<u8> {
    let sequence = part.start.wrapping_add(part.number);
    datagram(&Command { kind: kind(part), channel: 1, flags: 3, reserved: RESERVED, sequence, payload })
}

/// Sends datagrams until the peer closes; gives how many it took and why it closed.
fn until_closed(datagrams: impl Iterator<Item = Vec<u8>>) -> Option<(usize, CloseCause)> {
    let mut rig = Rig::new(true);
    for (count, datagram) in datagrams.enumerate() {
        rig.peer.receive(rig.now, &datagram, &mut rig.incoming);
        if let Some(Incoming::Closed(cause)) = rig.incoming.pop() {
            return Some((count, cause));
        }
        rig.drain(&datagram);
    }
    None
}

#[test]
fn tiny_fragments_of_huge_messages_reach_a_limit() {
    let parts = |kind: fn(Part) -> Kind| {
        (0..500_000).map(move |number| {
            let part = Part { start: 1, count: 500_000, number, total_bytes: 500_000, offset: number };
            fragment(kind, part, b"x")
        })
    };
    let (count, cause) = until_closed(parts(Kind::FragmentUnsequenced)).unwrap();
    assert_eq!(cause, CloseCause::Limit("bytes of unfinished fragmented messages"));
    assert!(count < 16_000, "{count} parts were kept");
}

#[test]
fn many_unfinished_messages_reach_a_limit() {
    let starts = (0..1_000).map(|number| {
        let part = Part { start: 1 + number * 10, count: 10, number: 0, total_bytes: 100, offset: 0 };
        fragment(Kind::FragmentUnsequenced, part, b"0123456789")
    });
    let (count, cause) = until_closed(starts).unwrap();
    assert_eq!((count, cause), (16, CloseCause::Limit("fragmented messages unfinished at a time")));
}

#[test]
fn fragments_that_do_not_fit_are_a_violation() {
    let good = Part { start: 1, count: 2, number: 0, total_bytes: 10, offset: 0 };
    let second = Part { number: 1, offset: 5, ..good };
    for (what, bad, payload) in [
        ("count above bytes", Part { count: 11, ..good }, &b"01234"[..]),
        ("number above count", Part { number: 2, ..good }, b"01234"),
        ("beyond the message", Part { offset: 6, ..good }, b"01234"),
        ("another total", Part { total_bytes: 11, ..second }, b"01234"),
        ("a gap", Part { offset: 4, ..second }, b"01234"),
        ("too few bytes", second, b"0123"),
    ] {
        for kind in [Kind::Fragment, Kind::FragmentUnsequenced] {
            let datagrams = [fragment(kind, good, b"01234"), fragment(kind, bad, payload)];
            let closed = until_closed(datagrams.into_iter());
            assert!(matches!(closed, Some((1, CloseCause::Violation(_)))), "{what}: {closed:?}");
        }
    }
    let huge = Part { total_bytes: 512_001, ..good };
    let closed = until_closed([fragment(Kind::Fragment, huge, b"01234")].into_iter());
    assert_eq!(closed, Some((0, CloseCause::Limit("bytes of a fragmented message"))));
}

#[test]
fn what_is_too_far_ahead_is_neither_kept_nor_acknowledged() {
    let mut rig = Rig::new(true);
    rig.peer.take_stats();
    let payload = [0; 900];
    let kind = Kind::Reliable;
    for sequence in 3..2_003 {
        let command = Command { kind, channel: 0, flags: RELIABLE, reserved: RESERVED, sequence, payload: &payload };
        rig.peer.receive(rig.now, &datagram(&command), &mut rig.incoming);
    }
    rig.now += Config::SERVER.ack_delay;
    rig.peer.handle_timeout(rig.now, &mut rig.incoming);
    let mut acks = 0;
    let mut out = Vec::new();
    while rig.peer.poll_transmit(rig.now, &mut out) {
        let parsed = Datagram::parse(&out).unwrap();
        acks += parsed.commands().flatten().filter(|(_, c)| matches!(c.kind, Kind::Ack { .. })).count();
        out.clear();
    }
    let stats = rig.peer.take_stats();
    assert!((260..280).contains(&acks), "{acks} of 900 bytes within 256 KiB");
    assert_eq!(acks + (stats.beyond_window + stats.held_full) as usize, 2_000, "{stats:?}");
    assert!(stats.beyond_window > 900);
}

#[test]
fn an_acknowledgement_in_a_recycled_command_does_no_harm() {
    let mut rig = Rig::new(true);
    rig.wait(Duration::from_millis(1_500));
    let acked = Kind::Ack { unsequenced: false, acked: 0, sent_ms: 0 };
    let quirk = Command { kind: acked, channel: 0, flags: 0, reserved: RESERVED, sequence: 0, payload: &[] };
    rig.receive(&datagram(&quirk));
    assert!(rig.peer.is_open());
    assert_eq!(rig.peer.take_stats().acks_unknown, 1);
}
