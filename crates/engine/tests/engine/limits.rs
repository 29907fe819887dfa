//! What a client cannot do to the others.

use lampyris_engine::{Role, Transport};
use lampyris_realtime::codes::{event, key, operation};
use lampyris_transport::Delivery;
use lampyris_wire::{Message, Parameters, Protocol, Value};

use crate::client::End;
use crate::node::{ClientId, Connect, Node, SECOND, config};

const TRANSPORTS: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Ws];

fn raised(code: u8, data: impl Into<Value>) -> Parameters {
    Parameters::from([(key::CODE, Value::Byte(code)), (key::DATA, data.into())])
}

/// A room of that many users, on connections of one transport.
fn room(node: &mut Node, transport: Transport, users: usize) -> Vec<ClientId> {
    let how = Connect::to(Role::Game, transport);
    (0..users).map(|user| node.in_room(&format!("user{user}"), "room", &how)).collect()
}

fn codes(node: &mut Node, id: ClientId) -> Vec<u8> {
    node.client(id).events().iter().map(|event| event.code).collect()
}

#[test]
fn a_malformed_message_ends_its_sender_and_nobody_else() {
    let malformed: [&[u8]; 9] = [
        &[0xF3],
        &[0xF3, 0x02],
        &[0xF3, 0x02, 253],
        &[0xF3, 0x02, 253, 1],
        &[0xF3, 0x02, 253, 1, 245, 0x07, 0xFF],
        &[0xF3, 0x02, 253, 0, 0],
        &[0xF3, 0x04, 1, 0],
        &[0xF3, 0x7F, 1, 0],
        &[0x00, 0x02, 253, 0],
    ];
    for transport in TRANSPORTS {
        for message in malformed {
            let mut node = Node::new(config(1));
            let ids = room(&mut node, transport, 3);
            node.send_message(ids[1], 0, Delivery::Reliable, message);
            node.send(ids[1], operation::RAISE_EVENT, raised(1, "too late"));
            for id in [ids[0], ids[2]] {
                assert_eq!(codes(&mut node, id), [event::LEAVE], "{transport:?} {message:02x?}");
            }
            node.send(ids[0], operation::RAISE_EVENT, raised(2, "on"));
            assert_eq!(codes(&mut node, ids[2]), [2]);
            node.idle(6 * SECOND);
            assert!(node.client(ids[1]).closed, "{transport:?} {message:02x?}");
            assert_eq!(node.count(|stats| stats.violations), 1);
            assert!(!node.client(ids[0]).closed && !node.client(ids[2]).closed);
        }
    }
}

#[test]
fn malformed_json_ends_its_sender_and_nobody_else() {
    for text in ["", "~j~", "~j~{", "~j~[]", "~j~{\"req\":253}", "~j~{\"req\":253,\"vals\":[1]}", "~h~1"] {
        let mut node = Node::new(config(1));
        let how = Connect::to(Role::Game, Transport::Ws).speaking(Protocol::Json);
        let ids = ["ann", "bob"].map(|user| node.in_room(user, "room", &how));
        node.send_message(ids[0], 0, Delivery::Reliable, text.as_bytes());
        node.idle(6 * SECOND);
        if node.client(ids[0]).closed {
            assert_eq!(codes(&mut node, ids[1]), [event::LEAVE], "{text:?}");
        } else {
            assert_eq!(codes(&mut node, ids[1]), [0u8; 0], "{text:?} was taken as nothing");
        }
        assert!(!node.client(ids[1]).closed);
    }
}

#[test]
fn a_client_above_the_message_rate_ends_and_the_others_stay() {
    for transport in TRANSPORTS {
        let mut config = config(1);
        config.limits.rates.messages = 20;
        let mut node = Node::new(config);
        let ids = room(&mut node, transport, 2);
        node.advance(SECOND);
        for _ in 0..3 {
            for number in 1..=20 {
                node.send(ids[0], operation::RAISE_EVENT, raised(number, "in time"));
            }
            assert_eq!(codes(&mut node, ids[1]), (1..=20).collect::<Vec<u8>>());
            node.advance(SECOND);
        }
        for number in 1..=25 {
            node.send(ids[0], operation::RAISE_EVENT, raised(number, "too many"));
        }
        let told = node.client(ids[0]).disconnect_message().expect("it is told why");
        assert_eq!(told.code, 32743, "{told:?}");
        let expected: Vec<u8> = (1..=20).chain([event::LEAVE]).collect();
        assert_eq!(codes(&mut node, ids[1]), expected);
        assert_eq!(node.count(|stats| stats.limits_reached), 1);
        node.idle(6 * SECOND);
        assert!(node.client(ids[0]).closed && !node.client(ids[1]).closed);
    }
}

#[test]
fn a_slow_reader_ends_and_the_others_get_everything_once_and_in_order() {
    for transport in TRANSPORTS {
        let mut config = config(1);
        config.listeners.iter_mut().for_each(|listener| listener.limits.queued_bytes = 64_000);
        let mut node = Node::new(config);
        let ids = room(&mut node, transport, 4);
        let slow = ids[1];
        match transport {
            Transport::Udp => node.client(slow).end = End::Udp { peer: None },
            _ => node.client(slow).stalled = true,
        }
        for number in 1..=10 {
            node.send(ids[0], operation::RAISE_EVENT, raised(number, vec![0u8; 10_000]));
        }
        node.advance(SECOND);
        for id in [ids[2], ids[3]] {
            let told = codes(&mut node, id);
            let raised: Vec<u8> = told.iter().copied().filter(|code| *code != event::LEAVE).collect();
            assert_eq!(raised, (1..=10).collect::<Vec<u8>>(), "{transport:?}");
            assert_eq!(told.len(), 11, "{transport:?}: one leave");
        }
        assert_eq!(codes(&mut node, ids[0]), [event::LEAVE]);
        assert_eq!(node.count(|stats| stats.limits_reached), 1, "{transport:?}");
        node.idle(15 * SECOND);
        assert_eq!(node.client(slow).closed, transport != Transport::Udp);
        let here = |node: &Node| node.workers[0].connection_count();
        let open = here(&node);
        for id in [ids[0], ids[2], ids[3]] {
            assert!(!node.client(id).closed);
            node.disconnect(id);
        }
        assert_eq!(open - here(&node), 3);
    }
}

#[test]
fn a_slow_reader_of_the_lobby_ends_and_the_others_get_every_update() {
    let mut config = config(1);
    config.listeners.iter_mut().for_each(|listener| listener.limits.queued_bytes = 8_000);
    let mut node = Node::new(config);
    let readers = ["ann", "bob", "cid", "dan"].map(|user| {
        let (_, id) = node.master(user, &Connect::to(Role::Master, Transport::Tcp));
        node.granted(id, operation::JOIN_LOBBY, Parameters::new());
        id
    });
    node.client(readers[1]).stalled = true;
    for id in readers {
        node.client(id).inbox.clear();
    }
    let how = Connect::to(Role::Game, Transport::Tcp);
    let names: Vec<String> = (0..30).map(|number| format!("{number}{}", "long".repeat(100))).collect();
    for name in &names {
        node.in_room(name, name, &how);
        node.idle(2 * SECOND);
        for id in [readers[0], readers[2], readers[3]] {
            let updates = node.client(id).events();
            let update = updates.iter().filter(|event| event.code == event::GAME_LIST_UPDATE);
            let rooms: Vec<_> =
                update.filter_map(|event| event.parameters.get(key::GAME_LIST)?.as_hashtable()).collect();
            assert_eq!(rooms.len(), 1);
            assert!(rooms[0].contains_key(&Value::from(name.as_str())));
        }
    }
    assert!(node.client(readers[1]).closed);
}

#[test]
fn a_message_that_is_too_long_ends_its_sender() {
    for transport in TRANSPORTS {
        let mut config = config(1);
        for listener in &mut config.listeners {
            listener.limits.inbound_message_bytes = 20_000;
            listener.limits.outbound_message_bytes = 20_000;
        }
        let mut node = Node::new(config);
        let ids = room(&mut node, transport, 2);
        node.send(ids[0], operation::RAISE_EVENT, raised(1, vec![0u8; 19_000]));
        assert_eq!(codes(&mut node, ids[1]), [1], "{transport:?}");
        node.send(ids[0], operation::RAISE_EVENT, raised(2, vec![0u8; 21_000]));
        node.idle(12 * SECOND);
        assert!(node.client(ids[0]).closed, "{transport:?}");
        assert_eq!(codes(&mut node, ids[1]), [event::LEAVE], "{transport:?}");
    }
}

#[test]
fn connections_beyond_the_limits_are_refused_and_places_come_free_again() {
    let how = Connect::to(Role::Master, Transport::Tcp);
    let mut config_of_worker = config(1);
    config_of_worker.limits.connections_per_worker = 3;
    let mut config_of_address = config(1);
    config_of_address.limits.connections_per_address = 3;
    for config in [config_of_worker, config_of_address] {
        let mut node = Node::new(config);
        let ids = [(); 3].map(|()| node.connected(&how));
        assert_eq!(node.try_open(&how), None);
        assert_eq!(node.try_open(&Connect::to(Role::Master, Transport::Ws)), None);
        assert_eq!(node.count(|stats| stats.connections_refused), 2);
        node.disconnect(ids[0]);
        node.connected(&how);
    }
}

#[test]
fn a_client_waits_for_at_most_sixteen_answers_of_the_directory() {
    let mut node = Node::new(config(1));
    let (_, creator) = node.master("ann", &Connect::to(Role::Master, Transport::Tcp));
    let asked = Parameters::from([(key::ROOM_NAME, "held")]);
    node.granted(creator, operation::CREATE_GAME, asked.clone());
    let (_, id) = node.master("bob", &Connect::to(Role::Master, Transport::Tcp));
    for _ in 0..20 {
        node.send(id, operation::JOIN_GAME, asked.clone());
    }
    let messages = node.client(id).messages();
    assert!(messages.len() >= 4, "{messages:?}");
    for message in messages {
        let Message::OperationResponse(response) = message else { continue };
        assert_eq!((response.code, response.return_code), (operation::JOIN_GAME, -3), "{response:?}");
    }
    assert!(!node.client(id).closed);
}

#[test]
fn stopping_tells_every_client_and_closes_them_after_the_grace() {
    let mut node = Node::new(config(1));
    let mut ids: Vec<_> = TRANSPORTS
        .into_iter()
        .map(|transport| node.in_room(&format!("{transport:?}"), "room", &Connect::to(Role::Game, transport)))
        .collect();
    ids.push(node.master("ann", &Connect::to(Role::Master, Transport::Ws)).1);
    let json = node.in_room("json", "room", &Connect::to(Role::Game, Transport::Ws).speaking(Protocol::Json));
    let half_open = node.open(&Connect::to(Role::Game, Transport::Tcp));
    let now = node.now;
    node.workers[0].shut_down(now);
    node.settle();
    for id in &ids {
        let told = node.client(*id).disconnect_message().expect("it is told");
        assert!(told.debug_message.unwrap().contains("stopping"));
        assert!(!node.client(*id).closed);
    }
    assert_eq!(node.try_open(&Connect::to(Role::Game, Transport::Tcp)), None);
    node.idle(8 * SECOND);
    assert_eq!(node.workers[0].connection_count(), 0);
    for id in ids.into_iter().chain([json, half_open]) {
        assert!(node.client(id).closed);
    }
}
