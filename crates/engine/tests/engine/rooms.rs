//! Rooms as their clients see them: across transports and protocols, held joins, rejoins, encryption.

use lampyris_engine::{Role, Transport};
use lampyris_realtime::codes::{event, key, operation};
use lampyris_transport::Delivery;
use lampyris_wire::{Event, Message, Parameters, Protocol, Value};

use crate::client::Told;
use crate::node::{ClientId, Connect, Node, SECOND, config, set_token_lifetime, text};

const GAME_TCP: fn() -> Connect<'static> = || Connect::to(Role::Game, Transport::Tcp);

fn raised(code: u8, data: impl Into<Value>) -> Parameters {
    Parameters::from([(key::CODE, Value::Byte(code)), (key::DATA, data.into())])
}

fn named(room: &str) -> Parameters {
    Parameters::from([(key::ROOM_NAME, room)])
}

fn only_event(node: &mut Node, id: ClientId) -> Event {
    let mut events = node.client(id).events();
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

#[test]
fn an_event_reaches_every_transport_and_protocol_in_a_room() {
    let mut node = Node::new(config(1));
    let ways = [
        (Transport::Udp, Protocol::GpBinaryV18),
        (Transport::Udp, Protocol::GpBinaryV16),
        (Transport::Tcp, Protocol::GpBinaryV18),
        (Transport::Tcp, Protocol::GpBinaryV16),
        (Transport::Ws, Protocol::GpBinaryV18),
        (Transport::Wss, Protocol::GpBinaryV16),
        (Transport::Ws, Protocol::Json),
        (Transport::Wss, Protocol::Json),
    ];
    let ids = ways.map(|(transport, protocol)| {
        let how = Connect::to(Role::Game, transport).speaking(protocol);
        node.in_room(&format!("{transport:?} {protocol:?}"), "room", &how)
    });
    for (sender, id) in ids.iter().enumerate() {
        node.send(*id, operation::RAISE_EVENT, raised(7, "hello é😀"));
        for (at, receiver) in ids.iter().enumerate() {
            if at == sender {
                assert_eq!(node.client(*receiver).take(), []);
                continue;
            }
            let event = only_event(&mut node, *receiver);
            let actor = event.parameters.get(key::ACTOR_NR).and_then(lampyris_wire::coerce::int);
            assert_eq!((event.code, actor), (7, i32::try_from(sender + 1).ok()), "{:?}", ways[at]);
            assert_eq!(text(&event.parameters, key::DATA), "hello é😀");
        }
    }
}

#[test]
fn an_event_goes_out_as_it_came_on_its_channel_and_with_its_reliability() {
    let mut node = Node::new(config(1));
    let how = Connect::to(Role::Game, Transport::Udp);
    let [ann, bob] = ["ann", "bob"].map(|user| node.in_room(user, "room", &how));
    let ways =
        [Delivery::Reliable, Delivery::Unreliable, Delivery::UnreliableUnsequenced, Delivery::ReliableUnsequenced];
    for (delivery, sent_on) in ways.into_iter().flat_map(|delivery| [(delivery, 0), (delivery, 1)]) {
        let message = node.encoded(ann, operation::RAISE_EVENT, raised(1, 5));
        node.send_message(ann, sent_on, delivery, &message);
        match node.client(bob).take().as_slice() {
            [Told::Message { channel, delivery: came, .. }] => {
                assert_eq!(*came, delivery);
                if matches!(delivery, Delivery::Reliable | Delivery::Unreliable) {
                    assert_eq!(*channel, sent_on);
                }
            }
            other => panic!("{delivery:?}: {other:?}"),
        }
    }
}

#[test]
fn an_encrypted_event_is_encrypted_for_those_who_have_a_key_and_clear_for_the_others() {
    let mut node = Node::new(config(1));
    let [ann, bob, cid] = ["ann", "bob", "cid"].map(|user| node.in_room(user, "room", &GAME_TCP()));
    let json = Connect::to(Role::Game, Transport::Ws).speaking(Protocol::Json);
    let json = node.in_room("json", "room", &json);
    let wss = node.in_room("wss", "room", &Connect::to(Role::Game, Transport::Wss));
    for id in [ann, bob] {
        node.exchange_keys(id);
    }
    node.send_encrypted(ann, operation::RAISE_EVENT, raised(3, "secret"));
    for (id, expected) in [(bob, true), (cid, false), (json, false), (wss, false)] {
        match node.client(id).take().as_slice() {
            [Told::Message { message: Message::Event(event), encrypted, .. }] => {
                assert_eq!((event.code, *encrypted), (3, expected));
                assert_eq!(text(&event.parameters, key::DATA), "secret");
            }
            other => panic!("{other:?}"),
        }
    }
    node.send(ann, operation::RAISE_EVENT, raised(4, "open"));
    assert!(matches!(node.client(bob).take().as_slice(), [Told::Message { encrypted: false, .. }]));
}

#[test]
fn a_key_from_the_token_serves_without_an_exchange() {
    let mut node = Node::new(config(1));
    let name = node.connected(&Connect::to(Role::NameServer, Transport::Wss));
    let asked = Parameters::from([(key::USER_ID, Value::from("ann")), (key::EXPECTED_PROTOCOL, Value::Byte(0))]);
    let answer = node.granted(name, operation::AUTHENTICATE_ONCE, asked);
    let Some(Value::Dictionary(data)) = answer.get(key::ENCRYPTION_DATA) else { panic!("{answer:?}") };
    let Some(Value::ByteArray(secret)) = data.entries.get(&Value::Byte(1)) else { panic!("{data:?}") };
    let token = text(&answer, key::TOKEN);
    for role in [Role::Master, Role::Game] {
        let id = node.connected_with_token(&Connect { token: Some(&token), ..Connect::to(role, Transport::Udp) });
        let cipher = lampyris_transport::crypto::PayloadCipher::from_pre_shared(secret).unwrap();
        node.client(id).cipher = Some(cipher);
        node.send_encrypted(id, 99, Parameters::new());
        let told = node.client(id).take();
        let answer = told.iter().find(|told| matches!(told.message(), Some(Message::OperationResponse(_))));
        assert!(matches!(answer, Some(Told::Message { encrypted: true, .. })), "{told:?}");
    }
}

#[test]
fn a_join_waits_for_the_creator_of_the_room() {
    let mut node = Node::new(config(1));
    let (_, ann) = node.master("ann", &Connect::to(Role::Master, Transport::Tcp));
    let token = text(&node.granted(ann, operation::CREATE_GAME, named("room")), key::TOKEN);
    let (_, bob) = node.master("bob", &Connect::to(Role::Master, Transport::Ws));
    node.send(bob, operation::JOIN_GAME, named("room"));
    assert!(node.client(bob).response(operation::JOIN_GAME).is_none(), "held");

    let game = node.connected(&GAME_TCP());
    node.granted(game, operation::AUTHENTICATE, Parameters::from([(key::TOKEN, token)]));
    node.granted(game, operation::CREATE_GAME, named("room"));
    let answer = node.client(bob).response(operation::JOIN_GAME).expect("answered once the room is made");
    assert_eq!((answer.return_code, text(&answer.parameters, key::ADDRESS)), (0, "ws://127.0.0.1:9091".into()));
}

#[test]
fn a_join_that_waits_is_refused_when_the_creator_does_not_come() {
    let mut node = Node::new(config(1));
    let (_, ann) = node.master("ann", &Connect::to(Role::Master, Transport::Tcp));
    node.granted(ann, operation::CREATE_GAME, named("room"));
    let (_, bob) = node.master("bob", &Connect::to(Role::Master, Transport::Tcp));
    node.send(bob, operation::JOIN_GAME, named("room"));
    node.idle(30 * SECOND);
    let answer = node.client(bob).response(operation::JOIN_GAME).expect("answered in the end");
    assert_eq!(answer.return_code, 32758);
}

#[test]
fn a_token_for_one_room_is_refused_in_another() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Ws] {
        let mut node = Node::new(config(1));
        let (_, ann) = node.master("ann", &Connect::to(Role::Master, transport));
        let token = text(&node.granted(ann, operation::CREATE_GAME, named("mine")), key::TOKEN);
        node.in_room("bob", "other", &GAME_TCP());
        for code in [operation::CREATE_GAME, operation::JOIN_GAME] {
            let id = node.connected(&Connect::to(Role::Game, transport));
            node.granted(id, operation::AUTHENTICATE, Parameters::from([(key::TOKEN, token.as_str())]));
            let answer = node.ask(id, code, named("other"));
            assert_eq!((answer.code, answer.return_code), (code, 32737));
            node.idle(4 * SECOND);
            assert!(!node.client(id).closed, "it may read the answer");
            node.idle(2 * SECOND);
            assert!(node.client(id).closed);
        }
        let id = node.connected(&Connect::to(Role::Game, transport));
        node.granted(id, operation::AUTHENTICATE, Parameters::from([(key::TOKEN, token.as_str())]));
        node.granted(id, operation::CREATE_GAME, named("mine"));
    }
}

#[test]
fn a_connection_serves_one_room() {
    let mut node = Node::new(config(1));
    let id = node.in_room("ann", "one", &GAME_TCP());
    for (code, room) in [(operation::JOIN_GAME, "one"), (operation::CREATE_GAME, "two")] {
        let id = if code == operation::JOIN_GAME { id } else { node.in_room("bob", "one", &GAME_TCP()) };
        assert_eq!(node.ask(id, code, named(room)).return_code, -3);
    }
}

#[test]
fn room_operations_need_a_room() {
    let mut node = Node::new(config(1));
    let id = node.game("ann", &GAME_TCP());
    for code in [operation::RAISE_EVENT, operation::SET_PROPERTIES, operation::GET_PROPERTIES, operation::CHANGE_GROUPS]
    {
        assert_eq!(node.ask(id, code, Parameters::new()).return_code, -3, "{code}");
    }
    node.send(id, operation::LEAVE, Parameters::new());
    assert_eq!(node.client(id).messages(), []);
    node.granted(id, operation::CREATE_GAME, named("room"));
}

#[test]
fn a_lost_client_becomes_inactive_and_rejoins_as_the_same_actor() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Ws] {
        let mut node = Node::new(config(1));
        let how = Connect::to(Role::Game, transport);
        let ann = node.game("ann", &how);
        let options = named("room").with(key::PLAYER_TTL, 60_000).with(key::CHECK_USER_ON_JOIN, true);
        node.granted(ann, operation::CREATE_GAME, options);
        let bob = node.game("bob", &how);
        node.granted(bob, operation::JOIN_GAME, named("room").with(key::CHECK_USER_ON_JOIN, true));
        node.client(ann).inbox.clear();

        node.cut(bob);
        // Over UDP nothing breaks: the node finds out when nobody acknowledges its pings for half a minute.
        node.idle(35 * SECOND);
        let left = node.client(ann).events().into_iter().find(|event| event.code == event::LEAVE);
        let left = left.unwrap_or_else(|| panic!("{transport:?}: nobody was told"));
        assert_eq!(left.parameters.get(key::IS_INACTIVE), Some(&Value::Bool(true)));

        let again = node.game("bob", &how);
        let rejoin = named("room").with(key::CHECK_USER_ON_JOIN, true).with(key::JOIN_MODE, Value::Byte(3));
        let answer = node.granted(again, operation::JOIN_GAME, rejoin);
        assert_eq!(answer.get(key::ACTOR_NR), Some(&Value::Int(2)));
        node.client(ann).inbox.clear();
        node.send(again, operation::RAISE_EVENT, raised(1, 1));
        assert_eq!(only_event(&mut node, ann).parameters.get(key::ACTOR_NR), Some(&Value::Int(2)));
    }
}

#[test]
fn an_inactive_actor_expires_and_an_empty_room_ends() {
    let mut node = Node::new(config(1));
    let ann = node.game("ann", &GAME_TCP());
    let options = named("room").with(key::PLAYER_TTL, 5_000).with(key::CHECK_USER_ON_JOIN, true);
    node.granted(ann, operation::CREATE_GAME, options.with(key::EMPTY_ROOM_TTL, 20_000));
    let bob = node.game("bob", &GAME_TCP());
    node.granted(bob, operation::JOIN_GAME, named("room"));
    node.client(ann).inbox.clear();
    node.cut(bob);
    assert_eq!(only_event(&mut node, ann).parameters.get(key::IS_INACTIVE), Some(&Value::Bool(true)));
    node.idle(6 * SECOND);
    assert_eq!(only_event(&mut node, ann).parameters.get(key::IS_INACTIVE), None);

    node.disconnect(ann);
    node.idle(19 * SECOND);
    let cid = node.game("cid", &GAME_TCP());
    node.granted(cid, operation::JOIN_GAME, named("room"));
    node.disconnect(cid);
    node.idle(21 * SECOND);
    let dan = node.game("dan", &GAME_TCP());
    assert_eq!(node.ask(dan, operation::JOIN_GAME, named("room")).return_code, 32758);
}

#[test]
fn a_token_is_renewed_while_its_client_plays() {
    let mut config = config(1);
    set_token_lifetime(&mut config, 90 * SECOND);
    let mut node = Node::new(config);
    let ann = node.in_room("ann", "room", &GAME_TCP());
    let renewed = |node: &mut Node| {
        node.send(ann, operation::RAISE_EVENT, raised(1, 1));
        node.client(ann).events().iter().filter(|event| event.code == event::AUTH_EVENT).count()
    };
    assert_eq!(renewed(&mut node), 0);
    node.idle(59 * SECOND);
    assert_eq!(renewed(&mut node), 0);
    node.idle(2 * SECOND);
    assert_eq!(renewed(&mut node), 1);
    assert_eq!(renewed(&mut node), 0);
    node.idle(61 * SECOND);
    assert_eq!(renewed(&mut node), 1);
}
