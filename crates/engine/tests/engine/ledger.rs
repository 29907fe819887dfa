//! Clients that come, talk, go and vanish at random: everybody gets what was said in its room, once, and nobody else.

use lampyris_engine::{Role, Transport};
use lampyris_realtime::codes::{event, key, operation};
use lampyris_wire::{Parameters, Protocol, Value};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::node::{ClientId, Connect, Node, SECOND, config, text};

const SEEDS: u64 = 8;
const STEPS: usize = 150;
const ROOMS: [&str; 5] = ["oak", "elm", "ash", "fir", "yew"];

struct Ledger {
    seed: u64,
    rng: StdRng,
    node: Node,
    members: Vec<(ClientId, &'static str)>,
    users: usize,
}

impl Ledger {
    fn enter(&mut self) {
        let transports = [Transport::Udp, Transport::Tcp, Transport::Ws, Transport::Wss];
        let transport = *transports.choose(&mut self.rng).unwrap();
        let binary = [Protocol::GpBinaryV16, Protocol::GpBinaryV18];
        let protocols: &[Protocol] = match transport {
            Transport::Udp | Transport::Tcp => &binary,
            Transport::Ws | Transport::Wss => &Protocol::ALL,
        };
        let protocol = *protocols.choose(&mut self.rng).unwrap();
        let worker = self.rng.random_range(0..self.node.workers.len());
        let how = Connect::to(Role::Game, transport).speaking(protocol).on_worker(worker);
        let room = *ROOMS.choose(&mut self.rng).unwrap();
        self.users += 1;
        let id = self.node.in_room(&format!("user{}", self.users), room, &how);
        self.members.push((id, room));
    }

    fn leave(&mut self) {
        let (id, room) = self.members.swap_remove(self.rng.random_range(0..self.members.len()));
        // Who vanishes over UDP is missed only after a while: not here.
        match self.rng.random_range(0..3) {
            0 if self.node.client(id).key.is_some() => self.node.cut(id),
            1 => {
                self.node.granted(id, operation::LEAVE, Parameters::new());
            }
            _ => self.node.disconnect(id),
        }
        for (member, other) in self.members.clone() {
            let codes: Vec<u8> = self.node.client(member).events().iter().map(|event| event.code).collect();
            let expected: &[u8] = if other == room { &[event::LEAVE] } else { &[] };
            assert_eq!(codes, expected, "seed {}: {member:?} in {other}", self.seed);
        }
    }

    fn talk(&mut self, step: usize) {
        let (sender, room) = *self.members.choose(&mut self.rng).unwrap();
        let said = format!("{step} {}", "x".repeat(self.rng.random_range(0..3_000)));
        let parameters = Parameters::from([(key::CODE, Value::Byte(1)), (key::DATA, Value::from(said.as_str()))]);
        self.node.send(sender, operation::RAISE_EVENT, parameters);
        for (member, other) in self.members.clone() {
            let events = self.node.client(member).events();
            let heard: Vec<String> = events.iter().map(|event| text(&event.parameters, key::DATA)).collect();
            let expected = if other == room && member != sender { vec![said.clone()] } else { Vec::new() };
            assert_eq!(heard, expected, "seed {}, step {step}: {member:?} in {other}", self.seed);
        }
    }
}

#[test]
fn everybody_in_a_room_hears_everything_once_and_nobody_else_does() {
    for seed in 0..SEEDS {
        let mut ledger = Ledger {
            seed,
            rng: StdRng::seed_from_u64(seed),
            node: Node::new(config(3)),
            members: Vec::new(),
            users: 0,
        };
        for step in 0..STEPS {
            match ledger.rng.random_range(0..10) {
                0 | 1 => ledger.enter(),
                2 if !ledger.members.is_empty() => ledger.leave(),
                3 => ledger.node.idle(SECOND),
                _ if !ledger.members.is_empty() => ledger.talk(step),
                _ => ledger.enter(),
            }
        }
        while !ledger.members.is_empty() {
            ledger.leave();
        }
        ledger.node.idle(10 * SECOND);
        // One connection to the Master for each user, and no room.
        let open: usize = ledger.node.workers.iter().map(lampyris_engine::Worker::connection_count).sum();
        assert_eq!(open, ledger.users, "seed {seed}");
        let (_, reader) = ledger.node.master("reader", &Connect::to(Role::Master, Transport::Tcp));
        ledger.node.granted(reader, operation::JOIN_LOBBY, Parameters::new());
        let events = ledger.node.client(reader).events();
        let list = events.iter().find(|event| event.code == event::GAME_LIST).unwrap();
        let rooms = list.parameters.get(key::GAME_LIST).and_then(Value::as_hashtable);
        assert_eq!(rooms.map(lampyris_wire::Hashtable::len), Some(0), "seed {seed}");
        assert_eq!(ledger.node.count(|stats| stats.violations + stats.limits_reached), 0, "seed {seed}");
    }
}
