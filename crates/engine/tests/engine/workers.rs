//! Several workers: connections that move to the worker of their room, and what becomes of their datagrams.

use lampyris_engine::{Role, Transport};
use lampyris_realtime::codes::{event, key, operation};
use lampyris_transport::Delivery;
use lampyris_transport::udp::command::{Command, DatagramWriter, Header, Kind, Protection};
use lampyris_wire::{Parameters, Protocol, Value};

use crate::node::{ClientId, Connect, Node, SECOND, config};

const WAYS: [(Transport, Protocol); 5] = [
    (Transport::Udp, Protocol::GpBinaryV18),
    (Transport::Tcp, Protocol::GpBinaryV18),
    (Transport::Ws, Protocol::GpBinaryV18),
    (Transport::Ws, Protocol::Json),
    (Transport::Wss, Protocol::GpBinaryV16),
];

fn raised(code: u8, data: impl Into<Value>) -> Parameters {
    Parameters::from([(key::CODE, Value::Byte(code)), (key::DATA, data.into())])
}

/// A room that lives on worker 1: found by where streams go.
fn room_on_worker_1(node: &mut Node) -> String {
    (0..)
        .map(|number| format!("room{number}"))
        .find(|name| {
            let moves = node.moves;
            let id = node.in_room("scout", name, &Connect::to(Role::Game, Transport::Tcp));
            node.disconnect(id);
            node.moves > moves
        })
        .unwrap()
}

fn connections(node: &Node) -> [usize; 2] {
    [0, 1].map(|worker| node.workers[worker].connection_count())
}

fn codes(node: &mut Node, id: ClientId) -> Vec<u8> {
    node.client(id).events().iter().map(|event| event.code).collect()
}

#[test]
fn clients_of_every_worker_meet_in_one_room() {
    let mut node = Node::new(config(2));
    let room = room_on_worker_1(&mut node);
    let before = connections(&node);
    let moves = node.moves;
    let mut ids = Vec::new();
    for (transport, protocol) in WAYS {
        for worker in 0..2 {
            let how = Connect::to(Role::Game, transport).speaking(protocol).on_worker(worker);
            ids.push(node.in_room(&format!("{transport:?}{protocol:?}{worker}"), &room, &how));
        }
    }
    // Each user was on the Master too, on worker 0; those connections stay.
    let masters = connections(&node)[0] - before[0];
    assert_eq!((masters, connections(&node)[1] - before[1]), (10, 10), "all of the room are on its worker");
    assert_eq!(node.moves - moves, 4, "one of each stream from worker 0");
    for id in &ids {
        node.send(*id, operation::RAISE_EVENT, raised(9, 1));
        for other in &ids {
            let expected: &[u8] = if other == id { &[] } else { &[9] };
            assert_eq!(codes(&mut node, *other), expected);
        }
    }
    assert!(node.count(|stats| stats.datagrams_forwarded) > 0);
    assert_eq!(node.count(|stats| stats.datagrams_forward_dropped), 0);

    node.idle(40 * SECOND);
    for id in ids {
        assert!(!node.client(id).closed);
        node.disconnect(id);
    }
    node.idle(5 * SECOND);
    assert_eq!(connections(&node), [before[0] + 10, before[1]], "nothing of them is left");
}

#[test]
fn a_join_that_another_worker_refuses_is_answered_and_its_client_closed() {
    let mut node = Node::new(config(2));
    let room = room_on_worker_1(&mut node);
    for (transport, protocol) in WAYS {
        let how = Connect::to(Role::Game, transport).speaking(protocol);
        let id = node.game("ann", &how);
        let answer = node.ask(id, operation::JOIN_GAME, Parameters::from([(key::ROOM_NAME, room.as_str())]));
        assert_eq!(answer.return_code, 32758, "{transport:?}");
        node.idle(8 * SECOND);
        assert!(node.client(id).closed, "{transport:?}");
    }
    assert_eq!(connections(&node)[1], 0);
}

#[test]
fn a_moved_client_that_is_lost_leaves_its_room() {
    for (transport, protocol) in WAYS {
        let mut node = Node::new(config(2));
        let room = room_on_worker_1(&mut node);
        let how = Connect::to(Role::Game, transport).speaking(protocol);
        let [ann, bob] = ["ann", "bob"].map(|user| node.in_room(user, &room, &how));
        node.cut(bob);
        node.idle(40 * SECOND);
        assert_eq!(codes(&mut node, ann), [event::LEAVE], "{transport:?}");
        assert_eq!(connections(&node)[1], 1);
    }
}

#[test]
fn a_stream_that_ends_while_it_moves_leaves_nothing_behind() {
    let mut node = Node::new(config(2));
    let room = room_on_worker_1(&mut node);
    let before = connections(&node);
    let id = node.game("ann", &Connect::to(Role::Game, Transport::Tcp));
    let join = node.encoded(id, operation::JOIN_GAME, {
        Parameters::from([(key::ROOM_NAME, Value::from(room.as_str())), (key::JOIN_MODE, Value::Byte(1))])
    });
    let (now, mut frame) = (node.now, node.client(id).frame(&join));
    let key = node.client(id).key.take().unwrap();
    node.workers[0].receive(now, key, &mut frame);
    node.workers[0].stream_ended(now, key, lampyris_transport::CloseCause::ByPeer);
    node.settle();
    assert_eq!(connections(&node), [before[0] + 1, before[1]], "only the connection to the Master");
    assert_eq!(node.moves, 1, "of the scout only");
}

#[test]
fn what_comes_behind_a_join_in_the_same_bytes_is_not_lost_without_an_answer() {
    let mut node = Node::new(config(2));
    let room = room_on_worker_1(&mut node);
    let id = node.game("ann", &Connect::to(Role::Game, Transport::Tcp));
    let asked = Parameters::from([(key::ROOM_NAME, Value::from(room.as_str())), (key::JOIN_MODE, Value::Byte(1))]);
    let messages = [(operation::JOIN_GAME, asked), (operation::PING, Parameters::new())];
    let frames = messages.map(|(code, parameters)| {
        let message = node.encoded(id, code, parameters);
        node.client(id).frame(&message)
    });
    node.send_bytes(id, &frames.concat());
    for code in [operation::JOIN_GAME, operation::PING] {
        assert_eq!(node.client(id).response(code).unwrap().return_code, 0);
    }
}

#[test]
fn a_moved_udp_client_follows_a_change_of_its_address() {
    let mut node = Node::new(config(2));
    let room = room_on_worker_1(&mut node);
    let how = Connect::to(Role::Game, Transport::Udp);
    let [ann, bob] = ["ann", "bob"].map(|user| node.in_room(user, &room, &how));
    for port in [40_000, 40_001] {
        node.client(bob).remote.set_port(port);
        node.send(bob, operation::RAISE_EVENT, raised(1, 1));
        assert_eq!(codes(&mut node, ann), [1]);
        node.send(ann, operation::RAISE_EVENT, raised(2, 2));
        assert_eq!(codes(&mut node, bob), [2]);
        node.idle(5 * SECOND);
    }
    node.disconnect(bob);
    assert_eq!(codes(&mut node, ann), [event::LEAVE]);
}

#[test]
fn datagrams_of_a_moved_peer_that_is_gone_are_passed_on_no_more() {
    let mut node = Node::new(config(2));
    let room = room_on_worker_1(&mut node);
    let how = Connect::to(Role::Game, Transport::Udp);
    let [_ann, bob] = ["ann", "bob"].map(|user| node.in_room(user, &room, &how));
    let peer = node.client(bob).peer().unwrap();
    let header =
        Header { peer_id: peer.peer_id(), protection: Protection::Plain, sent_ms: 1, challenge: peer.challenge() };
    let mut late = Vec::new();
    let mut writer = DatagramWriter::new(&mut late, header, 1200);
    let command = Command { kind: Kind::Ping, channel: 0xFF, flags: 1, reserved: 4, sequence: 99, payload: &[] };
    assert!(writer.push(&command));
    writer.finish();
    let (remote, listener) = (node.client(bob).remote, node.client(bob).listener);
    let arrive = |node: &mut Node| {
        let (now, before) = (node.now, node.count(|stats| stats.datagrams_forwarded));
        node.workers[0].receive_datagram(now, listener, None, remote, &mut late.clone());
        node.settle();
        node.count(|stats| stats.datagrams_forwarded) - before
    };
    assert_eq!(arrive(&mut node), 1);
    node.disconnect(bob);
    node.idle(5 * SECOND);
    assert_eq!(arrive(&mut node), 0);
}

#[test]
fn large_messages_cross_workers_whole() {
    let mut node = Node::new(config(2));
    let room = room_on_worker_1(&mut node);
    let how = Connect::to(Role::Game, Transport::Udp);
    let [ann, bob] = ["ann", "bob"].map(|user| node.in_room(user, &room, &how));
    let data: Vec<u8> = (0..40_000u32).map(|at| at.to_le_bytes()[0]).collect();
    let message = node.encoded(ann, operation::RAISE_EVENT, raised(5, data.clone()));
    node.send_message(ann, 0, Delivery::Reliable, &message);
    node.advance(2 * SECOND);
    let events = node.client(bob).events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].parameters.get(key::DATA), Some(&Value::from(data)));
}

#[test]
fn rooms_of_every_worker_are_listed_and_found() {
    let mut node = Node::new(config(3));
    let names: Vec<String> = (0..9).map(|number| format!("room{number}")).collect();
    for (at, name) in names.iter().enumerate() {
        node.in_room(name, name, &Connect::to(Role::Game, Transport::Tcp).on_worker(at % 3));
    }
    for worker in 0..3 {
        let (_, id) = node.master("reader", &Connect::to(Role::Master, Transport::Ws).on_worker(worker));
        node.granted(id, operation::JOIN_LOBBY, Parameters::new());
        let events = node.client(id).events();
        let list = events.iter().find(|event| event.code == event::GAME_LIST).unwrap();
        let rooms = list.parameters.get(key::GAME_LIST).and_then(Value::as_hashtable).unwrap();
        assert!(names.iter().all(|name| rooms.contains_key(&Value::from(name.as_str()))) && rooms.len() == 9);
        let asked = Parameters::from([(key::ROOM_NAME, names[worker].as_str())]);
        node.granted(id, operation::JOIN_GAME, asked);
        assert_eq!(node.granted(id, operation::FIND_FRIENDS, friends(&names[0])).get(1), Some(&online(true)));
    }
}

fn friends(user: &str) -> Parameters {
    Parameters::from([(1, Value::StringArray(vec![user.into()]))])
}

fn online(yes: bool) -> Value {
    Value::BoolArray(vec![yes])
}
