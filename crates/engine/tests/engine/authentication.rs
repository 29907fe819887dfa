//! Who may do what before, during and after authentication.

use std::time::Duration;

use lampyris_engine::{Role, Transport};
use lampyris_realtime::codes::{key, operation};
use lampyris_wire::{Message, OperationResponse, Parameters, Value};

use crate::client::Told;
use crate::node::{ClientId, Connect, Node, SECOND, config, set_token_lifetime, text};

const TRANSPORTS: [Transport; 4] = [Transport::Udp, Transport::Tcp, Transport::Ws, Transport::Wss];

fn none() -> Parameters {
    Parameters::new()
}

/// The response that a client which presents a token in its init message waits for.
fn unasked(node: &mut Node, id: ClientId) -> OperationResponse {
    match node.client(id).take().as_slice() {
        [Told::Opened, Told::Message { message: Message::OperationResponse(response), .. }, ..] => response.clone(),
        other => panic!("expected the init response and a response, got {other:?}"),
    }
}

fn open_for(node: &mut Node, id: ClientId, time: Duration) {
    let just_before = time - Duration::from_millis(10);
    node.idle(just_before);
    assert!(!node.client(id).closed, "closed before its time");
    node.idle(Duration::from_millis(20));
    assert!(node.client(id).closed, "still open after its time");
}

#[test]
fn operations_before_authentication_are_denied_and_the_client_may_still_authenticate() {
    let mut node = Node::new(config(1));
    let token = node.token("ann");
    for transport in TRANSPORTS {
        for role in [Role::Master, Role::Game] {
            let id = node.connected(&Connect::to(role, transport));
            for code in
                [operation::CREATE_GAME, operation::JOIN_GAME, operation::JOIN_LOBBY, operation::RAISE_EVENT, 99]
            {
                assert_eq!(node.ask(id, code, none()).return_code, -3, "{role:?} {code}");
            }
            node.granted(id, operation::AUTHENTICATE, Parameters::from([(key::TOKEN, token.as_str())]));
        }
    }
}

#[test]
fn an_unknown_operation_is_invalid_and_the_client_stays() {
    let mut node = Node::new(config(1));
    let name_server = node.connected(&Connect::to(Role::NameServer, Transport::Tcp));
    let (_, master) = node.master("ann", &Connect::to(Role::Master, Transport::Ws));
    let game = node.in_room("ann", "room", &Connect::to(Role::Game, Transport::Udp));
    for id in [name_server, master, game] {
        for code in [0, 99, 200] {
            let response = node.ask(id, code, none());
            assert_eq!(response.return_code, -2, "{response:?}");
            assert!(response.debug_message.unwrap().contains(&code.to_string()));
        }
    }
    node.idle(30 * SECOND);
    assert_eq!(node.granted(game, operation::PING, none()), none());
    assert!(!node.client(master).closed);
}

#[test]
fn a_client_that_does_not_authenticate_is_told_so_and_closed_after_the_grace() {
    for transport in TRANSPORTS {
        let mut node = Node::new(config(1));
        let id = node.connected(&Connect::to(Role::Game, transport));
        node.idle(Duration::from_millis(19_900));
        assert!(node.client(id).inbox.is_empty());
        node.idle(Duration::from_millis(200));
        let response = node.client(id).response(operation::AUTHENTICATE).unwrap();
        assert_eq!(response.return_code, 32736);
        open_for(&mut node, id, Duration::from_millis(4_900));
        assert_eq!(node.workers[0].connection_count(), 0, "{transport:?}");
    }
}

#[test]
fn a_client_that_says_nothing_at_all_is_closed() {
    for transport in [Transport::Tcp, Transport::Ws] {
        let mut node = Node::new(config(1));
        let id = node.open(&Connect::to(Role::Master, transport));
        node.advance(21 * SECOND);
        assert!(node.client(id).closed, "{transport:?}");
        assert_eq!(node.workers[0].connection_count(), 0);
    }
}

#[test]
fn authentication_in_time_stops_its_deadline() {
    let mut node = Node::new(config(1));
    let (_, id) = node.master("ann", &Connect::to(Role::Master, Transport::Ws));
    node.idle(60 * SECOND);
    assert!(!node.client(id).closed);
}

#[test]
fn an_expired_token_is_refused_as_expired_wherever_it_is_presented() {
    for transport in TRANSPORTS {
        for role in [Role::Master, Role::Game] {
            let mut config = config(1);
            set_token_lifetime(&mut config, 60 * SECOND);
            let mut node = Node::new(config);
            let token = node.token("ann");
            node.idle(61 * SECOND);

            let asking = node.connected(&Connect::to(role, transport));
            let asked = Parameters::from([(key::TOKEN, token.as_str())]);
            assert_eq!(node.ask(asking, operation::AUTHENTICATE, asked).return_code, 32753);

            let id = node.connect(&Connect { token: Some(&token), ..Connect::to(role, transport) });
            let response = unasked(&mut node, id);
            assert_eq!((response.code, response.return_code), (operation::AUTHENTICATE_ONCE, 32753));
            open_for(&mut node, id, 5 * SECOND);
        }
    }
}

#[test]
fn a_token_that_is_not_ours_is_refused_and_the_client_closed_after_the_grace() {
    let mut node = Node::new(config(1));
    let mut forged = node.token("ann");
    forged.replace_range(40..41, if &forged[40..41] == "A" { "B" } else { "A" });
    for transport in TRANSPORTS {
        for role in [Role::Master, Role::Game] {
            for token in [forged.as_str(), "no token", "é"] {
                let id = node.connect(&Connect { token: Some(token), ..Connect::to(role, transport) });
                let response = unasked(&mut node, id);
                assert_eq!((response.code, response.return_code), (operation::AUTHENTICATE_ONCE, 32767));
                node.send(id, operation::JOIN_LOBBY, none());
                assert_eq!(node.client(id).messages(), [], "nothing is read behind the last answer");
                open_for(&mut node, id, 5 * SECOND);
            }
        }
    }
}

#[test]
fn a_token_in_the_init_lets_the_client_in_without_an_operation() {
    let mut node = Node::new(config(1));
    let token = node.token("ann");
    for transport in TRANSPORTS {
        let master = node.connect(&Connect { token: Some(&token), ..Connect::to(Role::Master, transport) });
        let response = unasked(&mut node, master);
        assert_eq!((response.code, response.return_code), (operation::AUTHENTICATE_ONCE, 0));
        assert_eq!(text(&response.parameters, key::USER_ID), "ann");
        node.granted(master, operation::JOIN_LOBBY, none());

        let game = node.connect(&Connect { token: Some(&token), ..Connect::to(Role::Game, transport) });
        assert_eq!(unasked(&mut node, game).return_code, 0);
        let room = format!("{transport:?}");
        node.granted(game, operation::CREATE_GAME, Parameters::from([(key::ROOM_NAME, room)]));
    }
}

#[test]
fn a_game_server_takes_no_client_without_a_token() {
    let mut node = Node::new(config(1));
    let id = node.connected(&Connect::to(Role::Game, Transport::Tcp));
    let asked = Parameters::from([(key::USER_ID, "ann"), (key::APPLICATION_ID, "app")]);
    assert_eq!(node.ask(id, operation::AUTHENTICATE, asked).return_code, 32767);
    open_for(&mut node, id, 5 * SECOND);
}

#[test]
fn a_client_authenticates_once_and_tries_three_times() {
    let mut node = Node::new(config(1));
    let (_, id) = node.master("ann", &Connect::to(Role::Master, Transport::Tcp));
    assert_eq!(node.ask(id, operation::AUTHENTICATE, none()).return_code, -3);

    let id = node.connected(&Connect::to(Role::Master, Transport::Tcp));
    let bad = Parameters::from([(key::TOKEN, "bad")]);
    let codes = [(); 4].map(|()| node.ask(id, operation::AUTHENTICATE, bad.clone()).return_code);
    assert_eq!(codes, [32767, 32767, 32767, -3]);
}

#[test]
fn keys_are_handed_out_over_secure_ways_only() {
    let mut node = Node::new(config(1));
    let id = node.connected(&Connect::to(Role::NameServer, Transport::Tcp));
    let asked = Parameters::from([(key::USER_ID, Value::from("ann")), (key::EXPECTED_PROTOCOL, Value::Byte(0))]);
    let clear = node.ask(id, operation::AUTHENTICATE_ONCE, asked.clone());
    assert_eq!((clear.return_code, clear.parameters.get(key::ENCRYPTION_DATA)), (32767, None));

    assert_eq!(node.exchange_keys(id).return_code, 0);
    node.send_encrypted(id, operation::AUTHENTICATE_ONCE, asked.clone());
    let Some(Told::Message { encrypted: true, .. }) = node.client(id).inbox.front() else {
        panic!("the answer to an encrypted request is encrypted");
    };
    let encrypted = node.client(id).response(operation::AUTHENTICATE_ONCE).unwrap();
    assert!(encrypted.parameters.get(key::ENCRYPTION_DATA).is_some());
    assert_eq!(text(&encrypted.parameters, key::ADDRESS), "127.0.0.1:5055");

    let secure = node.connected(&Connect::to(Role::NameServer, Transport::Wss));
    assert!(node.granted(secure, operation::AUTHENTICATE_ONCE, asked).get(key::ENCRYPTION_DATA).is_some());
}

#[test]
fn a_connection_gets_four_key_exchanges() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Ws] {
        let mut node = Node::new(config(1));
        let id = node.connected(&Connect::to(Role::Master, transport));
        let codes = [(); 6].map(|()| node.exchange_keys(id).return_code);
        assert_eq!(codes, [0, 0, 0, 0, -3, -3]);
        assert!(!node.client(id).closed);
    }
}

#[test]
fn a_weak_public_key_is_refused() {
    let mut node = Node::new(config(1));
    let id = node.connected(&Connect::to(Role::Master, Transport::Tcp));
    for key in [vec![], vec![0], vec![1], vec![0xFF; 96], vec![7; 97]] {
        let parameters = Parameters::from([(1, Value::from(key.clone()))]);
        let mut message = Vec::new();
        let request = lampyris_wire::OperationRequest { code: 0, parameters };
        Message::InternalRequest(request).encode(crate::node::V18, &mut message).unwrap();
        node.send_message(id, 0, lampyris_transport::Delivery::Reliable, &message);
        let Some(Message::InternalResponse(answer)) = node.client(id).messages().pop() else { panic!("no answer") };
        assert_ne!(answer.return_code, 0, "{key:?}");
    }
}

#[test]
fn an_encrypted_message_without_a_key_ends_its_sender() {
    let mut node = Node::new(config(1));
    let id = node.connected(&Connect::to(Role::Master, Transport::Tcp));
    let message = [&[0xF3, 0x82][..], &[0x55; 32]].concat();
    node.send_message(id, 0, lampyris_transport::Delivery::Reliable, &message);
    assert_eq!(node.client(id).disconnect_message().unwrap().code, -2);
    open_for(&mut node, id, 5 * SECOND);
    assert_eq!(node.count(|stats| stats.violations), 1);
}

#[test]
fn a_client_of_the_name_server_is_closed_at_a_random_time_between_two_if_it_does_not_close() {
    let mut node = Node::new(config(1));
    let ids: Vec<_> = (0..20).map(|_| node.connected(&Connect::to(Role::NameServer, Transport::Ws))).collect();
    for id in &ids {
        node.granted(*id, operation::AUTHENTICATE, Parameters::from([(key::USER_ID, "ann")]));
    }
    let open = |node: &mut Node, wait| {
        node.idle(wait);
        ids.iter().filter(|id| !node.client(**id).closed).count()
    };
    assert_eq!(open(&mut node, 3 * SECOND - Duration::from_millis(10)), 20);
    let halfway = open(&mut node, 3 * SECOND);
    assert!((1..20).contains(&halfway), "{halfway}");
    assert_eq!(open(&mut node, 4 * SECOND + Duration::from_millis(20)), 0);
}

#[test]
fn a_region_that_is_not_served_is_refused() {
    let mut node = Node::new(config(1));
    for (region, code) in [("eu", 0), ("EU", 0), ("eu/*", 0), ("", 0), ("us", 32756), ("eux", 32756)] {
        let id = node.connected(&Connect::to(Role::NameServer, Transport::Ws));
        let asked = Parameters::from([(key::USER_ID, "ann"), (key::REGION, region)]);
        assert_eq!(node.ask(id, operation::AUTHENTICATE, asked).return_code, code, "{region:?}");
    }
}
