//! Applications and routes of a listener, its own limits, and where its clients are told to go.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use lampyris_engine::{
    Action, Choice, Config, Endpoint, Host, ListenerConfig, ListenerId, ListenerLimits, OperationRate, Path, Pattern,
    Ports, Region, Role, Route, Service, Transport,
};
use lampyris_realtime::codes::{key, operation};
use lampyris_wire::{Parameters, Value};

use crate::client::End;
use crate::node::{ClientId, Connect, Node, SECOND, config, text, upgrade};

/// A node with one port for clients of every role.
fn shared_port(service: Service) -> Config {
    let mut config = config(1);
    let listener = ListenerConfig::of_role(Role::Master, Transport::Tcp, 4530);
    config.listeners = vec![ListenerConfig { service, ..listener }];
    config
}

/// The role whose answers a client gets; `None` if it was turned away.
fn role_of(node: &mut Node, id: ClientId) -> Option<Role> {
    if node.client(id).closed || matches!(node.client(id).end, End::Udp { peer: None }) {
        return None;
    }
    node.client(id).inbox.clear();
    node.send(id, operation::AUTHENTICATE, Parameters::from([(key::USER_ID, "ann")]));
    let answer = node.client(id).response(operation::AUTHENTICATE)?;
    Some(match (answer.return_code, answer.parameters.get(key::ADDRESS)) {
        (0, Some(_)) => Role::NameServer,
        (0, None) => Role::Master,
        _ => Role::Game,
    })
}

#[test]
fn the_init_message_names_the_application_on_a_port_that_several_share() {
    let tcp = |choice| Service::Tcp { choice, policy: None };
    for (transport, service) in [(Transport::Tcp, tcp as fn(Choice) -> Service), (Transport::Udp, Service::Udp)] {
        for (otherwise, unknown) in [(None, None), (Some(Role::NameServer), Some(Role::NameServer))] {
            let mut node = Node::new(shared_port(service(Choice { always: None, otherwise })));
            let named = [
                ("NameServer", Some(Role::NameServer)),
                ("Master", Some(Role::Master)),
                ("Game", Some(Role::Game)),
                ("my-game", unknown),
            ];
            for (application, role) in named {
                let id = node.connect(&Connect { application, ..Connect::to(Role::Master, transport) });
                node.advance(SECOND);
                assert_eq!(role_of(&mut node, id), role, "{transport:?} {application}");
            }
            let turned_away = node.count(|stats| stats.applications_unknown);
            assert_eq!(turned_away, u64::from(unknown.is_none()));
        }
    }
}

#[test]
fn the_application_of_a_listener_overrides_what_clients_name() {
    let mut node = Node::new(shared_port(Service::Tcp { choice: Choice::always(Role::Master), policy: None }));
    let id = node.connect(&Connect { application: "Game", ..Connect::to(Role::Master, Transport::Tcp) });
    assert_eq!(role_of(&mut node, id), Some(Role::Master));
}

/// The one-port form: every role on one port by path, and a probe.
fn by_path() -> Service {
    let route = |pattern, choice, web_socket| Route {
        path: Path { pattern: Pattern::new(pattern), web_socket, ping_after: None },
        choice,
        answers_probes: !web_socket,
    };
    let routes = vec![
        route("/health", Choice::default(), false),
        route("/master/+", Choice::always(Role::Master), true),
        route("/game/+", Choice::always(Role::Game), true),
        route("/ns/+", Choice::always(Role::NameServer), true),
    ];
    Service::WebSocket { secure: false, routes }
}

fn upgraded(node: &mut Node, target: &str) -> (ClientId, String) {
    let id = node.open(&Connect::to(Role::Master, Transport::Ws));
    node.send_bytes(id, upgrade(target, "a", "GpBinaryV18").as_bytes());
    let End::Ws { unread, .. } = &node.client(id).end else { panic!("not a WebSocket") };
    let answer = String::from_utf8_lossy(unread).into_owned();
    (id, answer)
}

#[test]
fn the_path_leads_to_the_application_on_a_web_socket_port_that_several_share() {
    let mut node = Node::new(shared_port(by_path()));
    for (target, role) in [
        ("/master?libversion=4.1", Role::Master),
        ("/Master//?libversion=4.1&app=Game", Role::Master),
        ("//GAME/room/?app=x", Role::Game),
        ("/ns/", Role::NameServer),
    ] {
        let (id, _) = upgraded(&mut node, target);
        assert_eq!(role_of(&mut node, id), Some(role), "{target}");
    }
    for target in ["/", "/masters", "/health"] {
        let (id, answer) = upgraded(&mut node, target);
        assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("/master/+, /game/+, /ns/+"), "{answer}");
        assert!(node.client(id).closed);
    }
}

#[test]
fn plain_requests_are_answered_by_route() {
    let mut node = Node::new(shared_port(by_path()));
    for (target, answer) in [
        ("/health", "HTTP/1.1 200 OK"),
        ("/Health/?x", "HTTP/1.1 200 OK"),
        ("/photon/m/?ping", "HTTP/1.1 200 OK"),
        ("/master", "HTTP/1.1 426 Upgrade Required"),
        ("/nothing", "HTTP/1.1 404 Not Found"),
    ] {
        let id = node.open(&Connect::to(Role::Master, Transport::Ws));
        node.send_bytes(id, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        let End::Ws { unread, .. } = &node.client(id).end else { panic!("not a WebSocket") };
        assert!(unread.starts_with(answer.as_bytes()), "{target}: {}", String::from_utf8_lossy(unread));
        assert!(node.client(id).closed);
    }
}

#[test]
fn of_several_masters_of_a_region_one_is_drawn_and_the_code_is_told_once() {
    let region = |code: &str, ip: &str, wss| {
        let host = Host::Fixed { ipv4: ip.parse().ok(), ipv6: None, name: Some("master.example".to_owned()) };
        let ports = Ports { tcp: Some(4530), wss, ..Ports::default() };
        Region { code: Some(code.to_owned()), master: Endpoint { host, ports, path: "Master".to_owned() } }
    };
    let mut config = config(1);
    config.addresses.regions =
        vec![region("eu", "192.0.2.1", None), region("us", "192.0.2.3", Some(443)), region("eu", "192.0.2.2", None)];
    let mut node = Node::new(config);
    let ask = |node: &mut Node, transport, region: &str| {
        let id = node.connected(&Connect::to(Role::NameServer, transport));
        let asked = Parameters::from([(key::USER_ID, "ann"), (key::REGION, region)]);
        node.ask(id, operation::AUTHENTICATE, asked)
    };
    let mut drawn = Vec::new();
    for _ in 0..40 {
        let answer = ask(&mut node, Transport::Tcp, "EU/cluster");
        drawn.push(text(&answer.parameters, key::ADDRESS));
    }
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn, ["192.0.2.1:4530", "192.0.2.2:4530"]);
    let answer = ask(&mut node, Transport::Wss, "us");
    assert_eq!(text(&answer.parameters, key::ADDRESS), "wss://master.example:443/Master");
    assert_eq!(ask(&mut node, Transport::Wss, "eu").return_code, 3, "no secure address there");
    assert_eq!(ask(&mut node, Transport::Tcp, "asia").return_code, 32756);

    let id = node.connected(&Connect::to(Role::NameServer, Transport::Tcp));
    let told = node.granted(id, operation::GET_REGIONS, Parameters::new());
    let Some(Value::StringArray(codes)) = told.get(key::REGION) else { panic!("{told:?}") };
    assert_eq!(codes.iter().map(|code| &**code).collect::<Vec<_>>(), ["eu", "us"]);
    let id = node.connected(&Connect::to(Role::NameServer, Transport::Wss));
    let told = node.granted(id, operation::GET_REGIONS, Parameters::new());
    let Some(Value::StringArray(addresses)) = told.get(key::ADDRESS) else { panic!("{told:?}") };
    assert_eq!(addresses.iter().map(|one| &**one).collect::<Vec<_>>(), ["wss://master.example:443/Master"]);
}

#[test]
fn a_client_without_messages_is_disconnected_though_its_transport_pings() {
    // On WebSocket pings are messages.
    for (transport, stays) in [(Transport::Tcp, false), (Transport::Udp, false), (Transport::Ws, true)] {
        let mut config = config(1);
        for listener in &mut config.listeners {
            listener.limits.app_data_inactivity = 15 * SECOND;
        }
        let mut node = Node::new(config);
        let (_, id) = node.master("ann", &Connect::to(Role::Master, transport));
        let quiet = node.connected(&Connect::to(Role::NameServer, transport));
        node.granted(quiet, operation::AUTHENTICATE, Parameters::from([(key::USER_ID, "bob")]));
        node.idle(14 * SECOND);
        assert!(!node.client(id).closed, "{transport:?}");
        node.granted(id, operation::JOIN_LOBBY, Parameters::new());
        node.idle(14 * SECOND);
        assert!(!node.client(id).closed, "{transport:?}");
        node.idle(2 * SECOND);
        assert_eq!(node.client(id).closed, !stays, "{transport:?}");
    }
}

#[test]
fn a_message_to_a_client_is_bounded_by_the_limit_of_its_own_listener() {
    let mut config = config(1);
    let narrow = ListenerConfig {
        limits: ListenerLimits { outbound_message_bytes: 10_000, ..ListenerLimits::default() },
        ..ListenerConfig::of_role(Role::Game, Transport::Ws, 9991)
    };
    config.listeners.retain(|l| l.transport() != Some(Transport::Ws) || l.label != "Game");
    config.listeners.push(narrow);
    let mut node = Node::new(config);
    let ann = node.in_room("ann", "room", &Connect::to(Role::Game, Transport::Tcp));
    let bob = node.in_room("bob", "room", &Connect::to(Role::Game, Transport::Ws));
    let raised = |bytes: usize| Parameters::from([(key::CODE, Value::Byte(1)), (key::DATA, vec![0u8; bytes].into())]);
    node.send(ann, operation::RAISE_EVENT, raised(9_000));
    assert_eq!(node.client(bob).events().len(), 1);
    node.send(ann, operation::RAISE_EVENT, raised(11_000));
    node.idle(6 * SECOND);
    assert!(node.client(bob).closed && !node.client(ann).closed);
}

#[test]
fn an_operation_above_its_rate_is_refused_and_the_client_stays() {
    let mut config = config(1);
    config.game.operation_rates = vec![OperationRate { code: operation::GET_PROPERTIES, per_second: 2 }];
    let mut node = Node::new(config);
    let id = node.in_room("ann", "room", &Connect::to(Role::Game, Transport::Tcp));
    node.advance(SECOND);
    let ask = |node: &mut Node| node.ask(id, operation::GET_PROPERTIES, Parameters::new()).return_code;
    assert_eq!([ask(&mut node), ask(&mut node), ask(&mut node)], [0, 0, 32743]);
    node.advance(SECOND);
    assert_eq!(ask(&mut node), 0);
    assert!(!node.client(id).closed);
}

#[test]
fn a_client_above_the_rate_of_bytes_is_disconnected() {
    let mut config = config(1);
    config.limits.rates.bytes = 50_000;
    let mut node = Node::new(config);
    let id = node.in_room("ann", "room", &Connect::to(Role::Game, Transport::Tcp));
    node.advance(SECOND);
    for _ in 0..6 {
        let data = Parameters::from([(key::CODE, Value::Byte(1)), (key::DATA, vec![0u8; 10_000].into())]);
        node.send(id, operation::RAISE_EVENT, data);
    }
    assert_eq!(node.client(id).disconnect_message().expect("it is told why").code, 32743);
}

#[test]
fn a_token_is_good_for_every_room_if_it_is_not_checked() {
    let mut config = config(1);
    config.game.checks_expected_room = false;
    let mut node = Node::new(config);
    let (_, id) = node.master("ann", &Connect::to(Role::Master, Transport::Tcp));
    let placed = node.granted(id, operation::CREATE_GAME, Parameters::from([(key::ROOM_NAME, "one")]));
    let id = node.connected(&Connect::to(Role::Game, Transport::Tcp));
    let token = text(&placed, key::TOKEN);
    node.granted(id, operation::AUTHENTICATE, Parameters::from([(key::TOKEN, token)]));
    node.granted(id, operation::CREATE_GAME, Parameters::from([(key::ROOM_NAME, "other")]));
}

#[test]
fn a_policy_file_is_sent_on_its_own_port_and_where_a_tcp_port_has_one() {
    let file = Bytes::from_static(b"<cross-domain-policy/>");
    let tcp = Service::Tcp { choice: Choice::always(Role::Master), policy: Some(file.clone()) };
    for service in [Service::Policy(file.clone()), tcp] {
        let mut config = shared_port(service);
        config.listeners[0].limits.inactivity = 10 * SECOND;
        let mut node = Node::new(config);
        let address = SocketAddr::from(([127, 0, 0, 1], 843));
        let worker = &mut node.workers[0];
        let ask = |worker: &mut lampyris_engine::Worker, parts: &[&[u8]]| {
            let key = worker.open_stream(SECOND, ListenerId(0), address, address).unwrap();
            for part in parts {
                worker.receive(SECOND, key, &mut part.to_vec());
            }
            let answer = worker.output(key).to_vec();
            let closes = std::iter::from_fn(|| worker.poll_action()).any(|action| matches!(action, Action::Close(_)));
            (answer, closes)
        };
        let sent = [&file[..], b"\0"].concat();
        assert_eq!(ask(worker, &[b"<policy-file-request/>\0"]), (sent.clone(), true));
        assert_eq!(ask(worker, &[b"<policy-", b"file-request/>", b"\0"]), (sent, true));
        assert_eq!(ask(worker, &[b"<policy-file-wish/>\0"]), (Vec::new(), true));
        assert_eq!(ask(worker, &[b"<policy-"]), (Vec::new(), false));
        worker.handle_timeout(SECOND + 10 * SECOND + Duration::from_millis(1));
        assert!(std::iter::from_fn(|| worker.poll_action()).any(|action| matches!(action, Action::Close(_))));
    }
}

#[test]
fn a_piece_of_a_tcp_message_is_no_request_for_a_policy_file() {
    let policy = Some(Bytes::from_static(b"policy"));
    let mut node = Node::new(shared_port(Service::Tcp { choice: Choice::always(Role::Master), policy }));
    let id = node.open(&Connect::to(Role::Master, Transport::Tcp));
    // A frame whose rest begins with the first byte of a request.
    node.send_bytes(id, &[0xFB, 0, 0, 0, 60, 0, 1]);
    node.send_bytes(id, b"<policy-file-request/>");
    assert!(!node.client(id).closed);
    let End::Tcp { unread } = &node.client(id).end else { panic!("not TCP") };
    assert!(unread.is_empty());
}
