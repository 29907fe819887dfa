//! What a browser gets from the WebSocket ports, and the addresses that clients are told.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lampyris_engine::{Asset, Challenges, Host, HostName, Role, Transport};
use lampyris_realtime::codes::{key, operation};
use lampyris_wire::Parameters;

use crate::client::End;
use crate::node::{ClientId, Connect, Node, config, text};

/// The whole answer to a plain request.
fn fetch(node: &mut Node, role: Role, request_line: &str) -> (ClientId, String) {
    fetch_over(node, role, Transport::Ws, request_line)
}

fn fetch_over(node: &mut Node, role: Role, transport: Transport, request_line: &str) -> (ClientId, String) {
    let id = node.open(&Connect::to(role, transport));
    node.send_bytes(id, format!("{request_line} HTTP/1.1\r\nHost: play.example.com\r\n\r\n").as_bytes());
    let End::Ws { unread, .. } = &node.client(id).end else { panic!("not a WebSocket") };
    let answer = String::from_utf8(unread.clone()).unwrap();
    assert!(node.client(id).closed, "the connection closes behind the answer");
    (id, answer)
}

#[test]
fn a_region_ping_is_answered_to_pages_of_every_origin() {
    let mut node = Node::new(config(1));
    for role in Role::ALL {
        for target in ["/photon/m/?ping&r=77", "/photon/m", "/photon/g/?ping", "/photon/n?x", "/Photon/M/"] {
            let (_, answer) = fetch(&mut node, role, &format!("GET {target}"));
            assert!(answer.starts_with("HTTP/1.1 200 "), "{target}: {answer}");
            assert!(answer.to_ascii_lowercase().contains("access-control-allow-origin: *\r\n"), "{answer}");
            assert!(answer.contains("\r\n\r\npong"), "{answer}");
        }
    }
    assert_eq!(node.workers[0].connection_count(), 0);
}

#[test]
fn assets_are_served_and_nothing_else() {
    let mut config = config(1);
    let page = Asset { content_type: "text/html; charset=utf-8", body: Bytes::from_static(b"<h1>hello</h1>") };
    config.assets.insert("/".into(), page.clone());
    config.assets.insert("/client/index.js".into(), Asset { content_type: "text/javascript", ..page });
    let mut node = Node::new(config);
    let (_, answer) = fetch(&mut node, Role::Game, "GET /");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n<h1>hello</h1>"), "{answer}");
    assert!(answer.contains("text/html; charset=utf-8") && answer.contains("14\r\n"), "{answer}");
    let (_, answer) = fetch(&mut node, Role::Game, "GET /client/index.js?v=1");
    assert!(answer.contains("text/javascript"), "{answer}");
    for target in ["/client", "/client/../index.js", "/CLIENT/index.js", "/photon", "//"] {
        let (_, answer) = fetch(&mut node, Role::Game, &format!("GET {target}"));
        let found = answer.starts_with("HTTP/1.1 200 ");
        assert_eq!(found, target == "//", "{target}: {answer}");
    }
    let (_, answer) = fetch(&mut node, Role::Game, "HEAD /");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
}

/// An authority asks for one path.
#[derive(Debug)]
struct OneChallenge;

impl Challenges for OneChallenge {
    fn answer(&self, path: &str) -> Option<Arc<str>> {
        (path == "/.well-known/acme-challenge/token").then(|| "token.thumb".into())
    }
}

#[test]
fn t30_the_question_of_an_authority_is_answered_ahead_of_routes() {
    let mut config = config(1);
    config.challenges = Some(Arc::new(OneChallenge));
    let mut node = Node::new(config);
    let (_, answer) = fetch(&mut node, Role::Master, "GET /.well-known/acme-challenge/token");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\ntoken.thumb"), "{answer}");
    assert!(answer.contains("application/octet-stream"), "{answer}");
    for other in ["/.well-known/acme-challenge/other", "/.well-known/acme-challenge/", "/token"] {
        let (_, answer) = fetch(&mut node, Role::Master, &format!("GET {other}"));
        assert!(!answer.contains("thumb"), "{other}: {answer}");
    }
}

#[test]
fn what_is_no_request_is_refused() {
    let mut node = Node::new(config(1));
    for request in ["POST / HTTP/1.1\r\nHost: a\r\n\r\n", "nonsense\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"] {
        let id = node.open(&Connect::to(Role::Game, Transport::Ws));
        node.send_bytes(id, request.as_bytes());
        let End::Ws { unread, .. } = &node.client(id).end else { panic!("not a WebSocket") };
        let answer = String::from_utf8(unread.clone()).unwrap();
        assert!(node.client(id).closed, "{request:?}");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4") || request.starts_with("GET"), "{answer}");
    }
    let id = node.open(&Connect::to(Role::Game, Transport::Ws));
    node.send_bytes(id, format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(20_000)).as_bytes());
    assert!(node.client(id).closed, "an endless head");
    assert_eq!(node.workers[0].connection_count(), 0);
}

#[test]
fn the_next_address_has_the_form_in_which_the_client_came() {
    let v6: IpAddr = "::1".parse().unwrap();
    let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
    let v4: IpAddr = "127.0.0.1".parse().unwrap();
    let ways = [
        (Transport::Udp, v4, "", "127.0.0.1:5055"),
        (Transport::Udp, v6, "", "[::1]:5055"),
        (Transport::Tcp, v4, "", "127.0.0.1:4530"),
        (Transport::Tcp, v6, "", "[::1]:4530"),
        (Transport::Tcp, mapped, "", "127.0.0.1:4530"),
        (Transport::Ws, v4, "127.0.0.1:9093", "ws://127.0.0.1:9090"),
        (Transport::Ws, v4, "play.example.com", "ws://play.example.com:9090"),
        (Transport::Ws, v6, "[::1]:9093", "ws://[::1]:9090"),
        (Transport::Wss, v4, "play.example.com:19093", "wss://play.example.com:19090"),
        (Transport::Wss, v4, "wss://play.example.com:19093", "wss://play.example.com:19090"),
        (Transport::Ws, v4, "evil\"host", "ws://127.0.0.1:9090"),
    ];
    let mut node = Node::new(config(1));
    for (transport, local, host, expected) in ways {
        let id = node.connected(&Connect { local, host, ..Connect::to(Role::NameServer, transport) });
        let answer = node.granted(id, operation::AUTHENTICATE, Parameters::from([(key::USER_ID, "ann")]));
        assert_eq!(text(&answer, key::ADDRESS), expected, "{transport:?} {local} {host}");
    }
}

#[test]
fn configured_addresses_are_told_instead() {
    let mut config = config(1);
    let public_ip = Some("203.0.113.7".parse().unwrap());
    let host = Host::AsReached { public_ip, public_host: HostName::Fixed("game.example.com".into()) };
    config.addresses.regions[0].master.host = host;
    let mut node = Node::new(config);
    let v6: IpAddr = "::1".parse().unwrap();
    let v4: IpAddr = "127.0.0.1".parse().unwrap();
    for (transport, local, expected) in [
        (Transport::Udp, v4, "203.0.113.7:5055"),
        (Transport::Tcp, v4, "203.0.113.7:4530"),
        (Transport::Tcp, v6, "[::1]:4530"),
        (Transport::Ws, v4, "ws://game.example.com:9090"),
        (Transport::Wss, v6, "wss://game.example.com:19090"),
    ] {
        let id = node.connected(&Connect { local, host: "other", ..Connect::to(Role::NameServer, transport) });
        let answer = node.granted(id, operation::AUTHENTICATE, Parameters::from([(key::USER_ID, "ann")]));
        assert_eq!(text(&answer, key::ADDRESS), expected);
    }
}

#[test]
fn a_transport_without_a_listener_has_no_address() {
    let mut config = config(1);
    config.addresses.regions[0].master.ports.udp = None;
    let mut node = Node::new(config);
    let id = node.connected(&Connect::to(Role::NameServer, Transport::Udp));
    for code in [operation::AUTHENTICATE, operation::GET_REGIONS] {
        assert_eq!(node.ask(id, code, Parameters::new()).return_code, 3);
    }
}

#[test]
fn browsers_are_told_to_stay_with_tls_only_where_the_operator_says_so() {
    for (transport, seconds, told) in
        [(Transport::Wss, None, false), (Transport::Wss, Some(600), true), (Transport::Ws, Some(600), false)]
    {
        let mut config = config(1);
        for listener in &mut config.listeners {
            listener.strict_transport = seconds.map(Duration::from_secs);
        }
        let mut node = Node::new(config);
        let (_, answer) = fetch_over(&mut node, Role::Game, transport, "GET /");
        let header = "\r\nStrict-Transport-Security: max-age=600\r\n";
        assert_eq!(answer.contains(header), told, "{transport:?} {seconds:?}: {answer}");
    }
}
