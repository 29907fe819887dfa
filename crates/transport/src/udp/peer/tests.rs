//! A client and a server over a bad network, in virtual time.

#![allow(clippy::cast_possible_truncation)]

use super::super::command::{Command, CommandError, DatagramError, DatagramWriter, Header, Kind, RESERVED};
use super::super::{Listener, ListenerLimits, PeerHandle, Route};
use super::*;

const CLIENT: &str = "203.0.113.7:40000";
const SECRET: [u8; 32] = [7; 32];

/// xorshift64*: enough to lose datagrams by.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }
}

/// What a peer reported.
#[derive(Debug, Default)]
struct Inbox {
    opened: usize,
    messages: Vec<(u8, Delivery, Vec<u8>)>,
    closed: Vec<CloseCause>,
}

impl Inbox {
    fn take(&mut self, datagram: &[u8], incoming: &mut Vec<Incoming>) {
        for item in incoming.drain(..) {
            assert!(self.closed.is_empty(), "{item:?} after {:?}", self.closed);
            match item {
                Incoming::Opened(_) => self.opened += 1,
                Incoming::Message { channel, delivery, body } => {
                    assert_eq!(self.opened, 1, "a message before the opening");
                    self.messages.push((channel, delivery, body.bytes(datagram).to_vec()));
                }
                other => {
                    let Incoming::Closed(cause) = other else { panic!("{other:?} over UDP") };
                    self.closed.push(cause);
                }
            }
        }
    }
}

struct World {
    now: Duration,
    dice: Dice,
    loss_percent: u64,
    duplicate_percent: u64,
    delay_ms: std::ops::Range<u64>,
    /// Arrival, whether at the server, bytes.
    wire: Vec<(Duration, bool, Vec<u8>)>,
    listener: Listener,
    client: Peer,
    client_inbox: Inbox,
    server: Option<Peer>,
    server_inbox: Inbox,
    server_config: Arc<Config>,
}

fn init_message() -> Bytes {
    let mut message = vec![0xF3, 0, 1, 8, 0x1E, 0x41, 8, 13, 0];
    message.extend_from_slice(b"LoadBalancing");
    message.resize(41, 0);
    Bytes::from(message)
}

/// Survives every loss of these tests, so that what was sent has to arrive.
fn patient(config: Config) -> Arc<Config> {
    Arc::new(Config {
        sends: 60,
        timeout_max: Duration::from_secs(600),
        opening_timeout: Duration::from_secs(600),
        ..config
    })
}

impl World {
    fn new(seed: u64) -> Self {
        Self::with(seed, Protection::Plain, patient(Config::CLIENT), patient(Config::SERVER))
    }

    fn with(seed: u64, protection: Protection, client: Arc<Config>, server: Arc<Config>) -> Self {
        let now = Duration::from_secs(1_000);
        let challenge = 0x1234_5678;
        Self {
            now,
            dice: Dice::new(seed),
            loss_percent: 0,
            duplicate_percent: 0,
            delay_ms: 10..11,
            wire: Vec::new(),
            listener: Listener::new(SECRET, ListenerLimits::DEFAULT),
            client: Peer::connect(now, challenge, 3, 1200, init_message(), protection, client).unwrap(),
            client_inbox: Inbox::default(),
            server: None,
            server_inbox: Inbox::default(),
            server_config: server,
        }
    }

    fn opened(seed: u64) -> Self {
        let mut world = Self::new(seed);
        world.run_for(Duration::from_millis(200));
        assert!(world.client.is_open() && world.server.as_ref().unwrap().is_open());
        world
    }

    fn server(&mut self) -> &mut Peer {
        self.server.as_mut().unwrap()
    }

    fn transmit(&mut self, to_server: bool, datagram: Vec<u8>) {
        assert!(datagram.len() <= 1200);
        let copies = if self.dice.percent(self.duplicate_percent) { 2 } else { 1 };
        for _ in 0..copies {
            if !self.dice.percent(self.loss_percent) {
                let delay = self.delay_ms.start + self.dice.below(self.delay_ms.end - self.delay_ms.start);
                self.wire.push((self.now + Duration::from_millis(delay), to_server, datagram.clone()));
            }
        }
    }

    fn at_server(&mut self, datagram: &[u8]) {
        let from: SocketAddr = CLIENT.parse().unwrap();
        let (mut reply, mut incoming) = (Vec::new(), Vec::new());
        match self.listener.classify(self.now, from, datagram, &mut reply) {
            Route::Ignore(_) | Route::Elsewhere(_) => return,
            Route::Reply => return self.transmit(false, reply),
            Route::Accept(handshake) => {
                assert!(self.server.is_none(), "a second peer");
                self.server = Some(Peer::accept(self.now, from, &handshake, Arc::clone(&self.server_config)));
                self.listener.insert(handshake.peer_id, handshake.challenge, from, PeerHandle(1));
            }
            Route::Known(handle) | Route::Moved(handle) => assert_eq!(handle, PeerHandle(1)),
        }
        let now = self.now;
        self.server().receive(now, datagram, &mut incoming);
        self.server_inbox.take(datagram, &mut incoming);
    }

    fn flush(&mut self) {
        let mut out = Vec::new();
        while self.client.poll_transmit(self.now, &mut out) {
            self.transmit(true, std::mem::take(&mut out));
        }
        while self.server.as_mut().is_some_and(|server| server.poll_transmit(self.now, &mut out)) {
            self.transmit(false, std::mem::take(&mut out));
        }
    }

    /// One turn at the current time.
    fn turn(&mut self) {
        let now = self.now;
        let mut due: Vec<_> = Vec::new();
        self.wire.retain_mut(|(at, to_server, bytes)| {
            let arrived = *at <= now;
            if arrived {
                due.push((*at, *to_server, std::mem::take(bytes)));
            }
            !arrived
        });
        due.sort_by_key(|(at, ..)| *at);
        for (_, to_server, datagram) in due {
            if to_server {
                self.at_server(&datagram);
            } else {
                let mut incoming = Vec::new();
                self.client.receive(now, &datagram, &mut incoming);
                self.client_inbox.take(&datagram, &mut incoming);
            }
        }
        let mut incoming = Vec::new();
        self.client.handle_timeout(now, &mut incoming);
        self.client_inbox.take(&[], &mut incoming);
        if let Some(server) = &mut self.server {
            server.handle_timeout(now, &mut incoming);
            self.server_inbox.take(&[], &mut incoming);
        }
        self.flush();
    }

    /// Goes from event to event until `length` is over.
    fn run_for(&mut self, length: Duration) {
        let end = self.now + length;
        let mut turns = 0;
        self.turn();
        loop {
            let wire = self.wire.iter().map(|(at, ..)| *at).min();
            let timers = [self.client.next_timeout(), self.server.as_ref().and_then(Peer::next_timeout), wire];
            let next = timers.into_iter().flatten().min().unwrap_or(end).max(self.now);
            if next > end {
                break;
            }
            turns = if next == self.now { turns + 1 } else { 0 };
            assert!(turns < 1_000, "a timer that does not move: {:?} {:?}", self.client, self.server);
            if next == end && self.now == end {
                break;
            }
            self.now = next;
            self.turn();
        }
        self.now = end;
        self.turn();
    }

    fn both_finished(&self) -> bool {
        self.client.is_finished() && self.server.as_ref().is_none_or(Peer::is_finished)
    }
}

/// What one side sent, to be compared with what the other got.
#[derive(Default)]
struct Ledger {
    next: [u32; 3],
    sent: Vec<(u8, Delivery, Vec<u8>)>,
}

impl Ledger {
    fn send(&mut self, peer: &mut Peer, now: Duration, dice: &mut Dice) {
        let delivery = [
            Delivery::Reliable,
            Delivery::Unreliable,
            Delivery::UnreliableUnsequenced,
            Delivery::ReliableUnsequenced,
            Delivery::Reliable,
        ][dice.below(5) as usize];
        let channel = dice.below(3) as u8;
        let reliable = matches!(delivery, Delivery::Reliable | Delivery::ReliableUnsequenced);
        let length = if reliable && dice.percent(8) { 1_153 + dice.below(4_000) } else { 8 + dice.below(100) };
        let number = self.next[usize::from(channel)];
        self.next[usize::from(channel)] += 1;
        let mut message = number.to_be_bytes().to_vec();
        message.resize(length as usize, number as u8);
        self.sent.push((channel, delivery, message.clone()));
        peer.send(now, channel, delivery, &Bytes::from(message)).unwrap();
    }

    fn check(&self, got: &[(u8, Delivery, Vec<u8>)], what: &str) {
        let of = |list: &[(u8, Delivery, Vec<u8>)], channel: u8, deliveries: &[Delivery]| -> Vec<Vec<u8>> {
            let chosen = list.iter().filter(|(c, d, _)| *c == channel && deliveries.contains(d));
            chosen.map(|(.., message)| message.clone()).collect()
        };
        for channel in 0..3 {
            let reliable = [Delivery::Reliable];
            assert_eq!(of(got, channel, &reliable), of(&self.sent, channel, &reliable), "{what}: reliable, {channel}");
            let unordered = [Delivery::ReliableUnsequenced];
            let (mut sent, mut arrived) = (of(&self.sent, channel, &unordered), of(got, channel, &unordered));
            sent.sort();
            arrived.sort();
            assert_eq!(arrived, sent, "{what}: reliable unsequenced, channel {channel}");
            let in_order = of(got, channel, &[Delivery::Reliable, Delivery::Unreliable]);
            let numbers: Vec<u32> = in_order.iter().map(|m| u32::from_be_bytes(*m.first_chunk().unwrap())).collect();
            assert!(
                numbers.is_sorted_by(|a, b| a < b),
                "{what}: unreliable overtook on channel {channel}: {numbers:?}"
            );
            let mut loose = of(got, channel, &[Delivery::UnreliableUnsequenced]);
            let count = loose.len();
            loose.sort();
            loose.dedup();
            assert_eq!(loose.len(), count, "{what}: unsequenced twice on channel {channel}");
        }
    }
}

/// Talks both ways for a while, waits for what is under way, compares.
fn talk(world: &mut World, messages: usize, what: &str) {
    let (mut up, mut down) = (Ledger::default(), Ledger::default());
    for _ in 0..messages {
        up.send(&mut world.client, world.now, &mut world.dice);
        down.send(world.server.as_mut().unwrap(), world.now, &mut world.dice);
        let pause = world.dice.below(30);
        world.run_for(Duration::from_millis(pause));
    }
    world.run_for(Duration::from_secs(120));
    assert!(world.client_inbox.closed.is_empty() && world.server_inbox.closed.is_empty(), "{what}");
    up.check(&world.server_inbox.messages, &format!("{what}, to the server"));
    down.check(&world.client_inbox.messages, &format!("{what}, to the client"));
    assert_eq!(world.server().queued_bytes(), 0, "{what}");
    assert_eq!(world.client.queued_bytes(), 0, "{what}");
}

#[test]
fn reliable_messages_arrive_once_and_in_order_over_a_bad_network() {
    for seed in 0..200 {
        let protection = if seed % 3 == 0 { Protection::Crc } else { Protection::Plain };
        let mut world = World::with(seed, protection, patient(Config::CLIENT), patient(Config::SERVER));
        world.loss_percent = seed % 5 * 5;
        world.duplicate_percent = 5;
        world.delay_ms = 5..60;
        while world.server_inbox.opened == 0 || world.client_inbox.opened == 0 {
            world.run_for(Duration::from_millis(100));
        }
        talk(&mut world, 40, &format!("seed {seed}"));
    }
}

/// An unreliable message written behind a reliable one that was queued after it would be dropped as overtaken.
#[test]
fn messages_of_one_turn_arrive_in_the_order_they_were_sent_whatever_their_delivery() {
    let mut world = World::opened(4);
    world.delay_ms = 5..6;
    let sent: Vec<u8> = (0..60).collect();
    for number in &sent {
        let delivery = if number % 3 == 0 { Delivery::Reliable } else { Delivery::Unreliable };
        let now = world.now;
        world.server().send(now, number % 2, delivery, &Bytes::from(vec![*number; 100])).unwrap();
    }
    world.run_for(Duration::from_millis(50));
    for channel in 0..2 {
        let expected: Vec<u8> = sent.iter().copied().filter(|number| number % 2 == channel).collect();
        let got = world.client_inbox.messages.iter().filter(|(on, ..)| *on == channel);
        assert_eq!(got.map(|(.., message)| message[0]).collect::<Vec<_>>(), expected, "channel {channel}");
    }
}

#[test]
fn every_counter_can_wrap() {
    for seed in 0..20 {
        let mut world = World::opened(seed);
        world.run_for(Duration::from_secs(1));
        for channel in 0..3 {
            world.client.start_at(channel, u32::MAX - 10);
            world.server().start_at(channel, u32::MAX - 10);
        }
        world.loss_percent = 10;
        world.duplicate_percent = 5;
        world.delay_ms = 5..40;
        talk(&mut world, 60, &format!("seed {seed}"));
    }
}

#[test]
fn the_client_knows_the_servers_clock_after_the_handshake() {
    let world = World::opened(1);
    let known = world.client.server_time(world.now).unwrap();
    assert!((known - server_time_ms(world.now)).abs() <= 1, "{known}");
}

#[test]
fn an_idle_connection_lives_on_pings() {
    let mut world = World::opened(2);
    world.run_for(Duration::from_secs(300));
    assert!(world.client.is_open() && world.server().is_open());
    let sent = world.server().take_stats();
    assert!(sent.datagrams_in > 250 && sent.datagrams_out < 700, "{sent:?}");
}

#[test]
fn a_long_message_crosses_in_fragments_within_the_limits_of_transit_and_rate() {
    let mut world = World::opened(3);
    let message = Bytes::from((0..500_000u32).map(|i| i as u8).collect::<Vec<_>>());
    let started = world.now;
    world.server().send(started, 1, Delivery::Unreliable, &message).unwrap();
    world.run_for(Duration::from_millis(1_000));
    assert!(world.client_inbox.messages.is_empty(), "500,000 bytes within a second are more than 256 KB");
    world.run_for(Duration::from_secs(3));
    assert_eq!(world.client_inbox.messages, [(1, Delivery::Reliable, message.to_vec())]);
    assert_eq!(world.client.take_stats().duplicates, 0);
}

#[test]
fn a_goodbye_reaches_the_other_side_and_both_finish() {
    let mut world = World::opened(4);
    let now = world.now;
    world.server().disconnect(now, DisconnectReason::UserLimit);
    world.run_for(Duration::from_millis(100));
    assert_eq!(world.server_inbox.closed, [CloseCause::ByUs("disconnect")]);
    assert_eq!(world.client_inbox.closed, [CloseCause::ByPeer]);
    assert_eq!(world.client.disconnect_reason(), Some(3));
    assert!(world.both_finished(), "{:?}", world.server);

    let mut world = World::opened(5);
    world.client.disconnect(world.now, DisconnectReason::Client);
    world.run_for(Duration::from_millis(100));
    assert_eq!(world.server_inbox.closed, [CloseCause::ByPeer]);
    assert!(world.both_finished());
}

#[test]
fn a_peer_that_disappears_in_any_state_is_given_up_in_time() {
    let strict = || (Arc::new(Config::CLIENT), Arc::new(Config::SERVER));
    for (step_ms, seed) in (0..120).step_by(5).zip(0..) {
        let (client, server) = strict();
        let mut world = World::with(seed, Protection::Plain, client, server);
        world.run_for(Duration::from_millis(step_ms));
        world.loss_percent = 100;
        world.wire.clear();
        if world.client.is_open() {
            world.client.send(world.now, 0, Delivery::Reliable, &Bytes::from_static(b"gone")).unwrap();
        }
        world.run_for(Duration::from_secs(32));
        assert!(world.both_finished(), "after {step_ms} ms: {:?} {:?}", world.client, world.server);
        assert!(matches!(world.client_inbox.closed[..], [CloseCause::Timeout(_)]), "{:?}", world.client_inbox);
        if world.server.is_some() {
            assert!(matches!(world.server_inbox.closed[..], [CloseCause::Timeout(_)]), "{:?}", world.server_inbox);
        }
    }
    let mut world = World::opened(6);
    let now = world.now;
    world.loss_percent = 100;
    world.server().disconnect(now, DisconnectReason::ServerLogic);
    world.run_for(Duration::from_secs(3));
    assert!(world.server().is_finished(), "disconnecting without an answer");
}

#[test]
fn the_resend_times_of_connect_are_those_of_the_clients() {
    let mut world = World::with(7, Protection::Plain, Arc::new(Config::CLIENT), patient(Config::SERVER));
    world.loss_percent = 100;
    let started = world.now;
    let mut sent = Vec::new();
    let mut out = Vec::new();
    for ms in 0..7_000 {
        let now = started + Duration::from_millis(ms);
        world.client.handle_timeout(now, &mut Vec::new());
        if world.client.poll_transmit(now, &mut out) {
            sent.push(ms);
        }
    }
    assert_eq!(sent, [0, 220, 660, 1540, 3300, 6820]);
}

#[test]
fn a_queue_that_never_drains_ends_the_connection() {
    let mut world = World::opened(8);
    world.loss_percent = 100;
    let message = Bytes::from(vec![0; 1_000]);
    let now = world.now;
    let refused = (0..1_000).find_map(|_| world.server().send(now, 0, Delivery::Reliable, &message).err());
    assert_eq!(refused, Some(SendError::QueueFull { bytes: 513_000, limit: 512_000 }));
    world.run_for(Duration::from_millis(10));
    assert_eq!(world.server_inbox.closed, [CloseCause::Limit("bytes waiting for acknowledgement")]);
    assert!(world.server().is_finished());
}

#[test]
fn no_more_is_in_transit_than_allowed_and_the_rate_drops_the_unreliable() {
    let mut world = World::opened(9);
    world.loss_percent = 100;
    world.run_for(Duration::from_millis(250));
    let now = world.now;
    let message = Bytes::from(vec![0; 1_000]);
    for _ in 0..100 {
        world.server().send(now, 0, Delivery::Reliable, &message).unwrap();
        world.server().send(now, 0, Delivery::Unreliable, &message).unwrap();
    }
    let mut out = Vec::new();
    while world.server().poll_transmit(now, &mut out) {}
    assert!((50_000..=53_600).contains(&out.len()), "{}", out.len());
    assert!(world.server().take_stats().unreliable_dropped_out >= 70);
}

#[test]
fn a_channel_that_the_client_lacks_becomes_its_last() {
    let mut world = World::opened(10);
    let now = world.now;
    world.server().send(now, 200, Delivery::Reliable, &Bytes::from_static(b"hello")).unwrap();
    world.run_for(Duration::from_millis(50));
    assert_eq!(world.client_inbox.messages, [(2, Delivery::Reliable, b"hello".to_vec())]);
}

#[test]
fn a_message_before_the_init_is_a_violation() {
    let now = Duration::from_secs(1);
    let handshake = Handshake {
        peer_id: 5,
        challenge: 9,
        mtu: 1200,
        channels: 2,
        channels_assumed: false,
        protection: Protection::Plain,
    };
    let mut peer = Peer::accept(now, CLIENT.parse().unwrap(), &handshake, patient(Config::SERVER));
    let mut datagram = Vec::new();
    let header = Header { peer_id: 5, protection: Protection::Plain, sent_ms: 0, challenge: 9 };
    let mut writer = DatagramWriter::new(&mut datagram, header, 1200);
    writer.push(&Command {
        kind: Kind::Reliable,
        channel: 1,
        flags: RELIABLE,
        reserved: RESERVED,
        sequence: 1,
        payload: b"\xF3\x02\x01\x00",
    });
    writer.finish();
    let mut incoming = Vec::new();
    peer.receive(now, &datagram, &mut incoming);
    assert!(matches!(incoming[..], [Incoming::Closed(CloseCause::Violation(_))]), "{incoming:?}");
    let mut out = Vec::new();
    while peer.poll_transmit(now, &mut out) {}
    assert!(peer.is_finished());
}

#[test]
fn errors_say_what_was_expected_and_what_came() {
    let flags = DatagramError::Flags(0x77).to_string();
    assert_eq!(flags, "expected datagram flags 00, 01 or cc, found 77");
    let size = CommandError::Size { at: 12, kind: 7, minimum: 16, maximum: 20, found: 12 }.to_string();
    assert_eq!(size, "command of type 7 at byte 12: expected 16 to 20 bytes, found size 12");
}
