use super::super::{Address, ClientConnection, MessageLimits, Pattern, Route, write_masked_frame};
use super::*;
use crate::Init;
use crate::golden::{bytes, case, text, vectors};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value as Json;

const SECOND: Duration = Duration::from_secs(1);
const SESSION: [u8; 16] = [0x0b, 0x5b, 0xf1, 0xa6, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// What came out of a connection, with all bodies copied.
#[derive(Debug, PartialEq)]
enum Seen {
    Opened(Box<Init>),
    Message(Vec<u8>),
    Http(HttpRequest),
    Closed(CloseCause),
}

fn seen(incoming: Vec<Incoming>, input: &[u8]) -> Vec<Seen> {
    let copy = |event| match event {
        Incoming::Opened(init) => Seen::Opened(init),
        Incoming::Message { channel: 0, delivery: Delivery::Reliable, body } => {
            Seen::Message(body.bytes(input).to_vec())
        }
        Incoming::Message { .. } => panic!("a WebSocket has one channel"),
        Incoming::Http(request) => Seen::Http(*request),
        Incoming::Closed(cause) => Seen::Closed(cause),
    };
    incoming.into_iter().map(copy).collect()
}

fn server_with(config: Config) -> ServerConnection {
    ServerConnection::new(Duration::ZERO, Arc::new(config), SESSION)
}

fn without_pings() -> Vec<Route> {
    vec![Route { ping_after: None, ..Route::every_path() }]
}

fn server() -> ServerConnection {
    server_with(Config::default())
}

fn feed(connection: &mut ServerConnection, now: Duration, wire: &[u8]) -> (Vec<Seen>, Vec<u8>) {
    let (mut input, mut incoming, mut out) = (wire.to_vec(), Vec::new(), Vec::new());
    connection.receive(now, &mut input, &mut incoming, &mut out);
    (seen(incoming, &input), out)
}

fn timeout(connection: &mut ServerConnection, now: Duration) -> (Vec<Seen>, Vec<u8>) {
    let (mut incoming, mut out) = (Vec::new(), Vec::new());
    connection.handle_timeout(now, &mut incoming, &mut out);
    (seen(incoming, &[]), out)
}

fn request(target: &str, subprotocol: &str) -> Vec<u8> {
    let protocol =
        if subprotocol.is_empty() { String::new() } else { format!("Sec-WebSocket-Protocol: {subprotocol}\r\n") };
    format!(
        "GET {target} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocol}\r\n"
    )
    .into_bytes()
}

fn from_client(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_masked_frame(&mut out, opcode, [9, 8, 7, 6], payload);
    out
}

fn from_server(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_frame(&mut out, opcode, payload);
    out
}

fn opened(subprotocol: &str, config: Config) -> ServerConnection {
    let mut connection = server_with(config);
    let (events, _) = feed(&mut connection, Duration::ZERO, &request("/app", subprotocol));
    assert!(matches!(events[..], [Seen::Opened(_)]), "{events:?}");
    connection
}

/// The bytes of a captured packet: an upgrade request or a frame.
fn captured(packet: &Json) -> Vec<u8> {
    if let Some(target) = packet["http"]["requestTarget"].as_str() {
        let mut head = format!("GET {target} HTTP/1.1\r\n");
        for header in packet["http"]["headers"].as_array().unwrap() {
            head += &format!("{}: {}\r\n", text(&header[0]), text(&header[1]));
        }
        return (head + "\r\n").into_bytes();
    }
    match packet["text"].as_str() {
        Some(content) => from_client(Opcode::Text, content.as_bytes()),
        None => from_client(Opcode::Binary, &bytes(&packet["hex"])),
    }
}

#[test]
fn captured_binary_sessions_are_understood_and_answered() {
    let file = vectors("transport-ws.json");
    for case in file["cases"].as_array().unwrap() {
        let name = text(&case["name"]);
        let packets = case["packets"].as_array().unwrap();
        let target = text(&packets[0]["http"]["requestTarget"]);
        let mut connection = server();
        let mut messages = 0;
        let mut init = None;
        let mut answers = Vec::new();
        for packet in packets.iter().filter(|packet| packet["dir"] == "client->server") {
            let (events, out) = feed(&mut connection, Duration::ZERO, &captured(packet));
            answers.extend(out);
            for event in events {
                match event {
                    Seen::Opened(said) => init = Some(said),
                    Seen::Message(message) => {
                        assert_eq!(message, bytes(&packet["hex"]), "{name}");
                        messages += 1;
                    }
                    other => panic!("{name}: {other:?}"),
                }
            }
        }
        let init = init.unwrap_or_else(|| panic!("{name}: not opened"));
        assert_eq!(init.protocol.name(), text(&packets[0]["http"]["headers"][5][1]), "{name}");
        assert_eq!(init.token.is_some(), target.contains("xInit"), "{name}");
        assert_eq!(init.client_version, "4.1.8.13", "{name}");
        assert_eq!(init.sdk_id, if name == "token" { 5 } else { 15 }, "{name}");
        let application = match name {
            "session-v18-path" => "Master",
            "token" | "init-v3" => "abcdefgh-1234",
            "no-init-response" => "",
            _ => "LoadBalancing",
        };
        assert_eq!(init.application, application, "{name}");
        assert!(answers.ends_with(&from_server(Opcode::Binary, &INIT_RESPONSE)), "{name}");
        let key = &packets[0]["http"]["headers"][4][1];
        let head = String::from_utf8(answers[..answers.len() - 5].to_vec()).unwrap();
        assert!(head.contains(&format!("Accept: {}\r\n", super::super::accept_key(text(key)))), "{name}: {head}");
        assert!(head.contains(&format!("Sec-WebSocket-Protocol: {}\r\n", init.protocol.name())), "{name}: {head}");
        assert!(messages > 0, "{name}");
    }
}

#[test]
fn captured_json_sessions_are_understood() {
    let file = vectors("transport-ws-json.json");
    let mut connection = server();
    let mut messages = 0;
    for packet in case(&file, "session")["packets"].as_array().unwrap() {
        if packet["dir"] != "client->server" {
            continue;
        }
        let (events, out) = feed(&mut connection, Duration::ZERO, &captured(packet));
        match &events[..] {
            [Seen::Opened(init)] => {
                assert_eq!((init.protocol, &init.application[..]), (Protocol::Json, "NameServer"));
                assert_eq!(init.client_version, "4.1.0.0");
                assert!(!String::from_utf8_lossy(&out).contains("Extensions"));
                assert!(out.ends_with(b"\r\n\r\n\x81\x2c~m~36~m~0b5bf1a6-0405-0607-0809-0a0b0c0d0e0f"), "{out:02x?}");
            }
            [Seen::Message(message)] => {
                let content = text(&packet["text"]).splitn(3, "~m~").nth(2).unwrap();
                assert_eq!(message, content.as_bytes());
                messages += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(messages, 2);
}

#[test]
fn captured_inits_inside_websocket_carry_their_token_and_request() {
    let file = vectors("transport-ws.json");
    let packets = case(&file, "init-v3")["packets"].as_array().unwrap();
    let init = packets.iter().find(|packet| packet["fields"]["framedWithFB"] == true).unwrap();
    let wire = [captured(&packets[0]), captured(init)].concat();
    let (events, _) = feed(&mut server(), Duration::ZERO, &wire);
    let [Seen::Opened(init)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(init.token, Some(vec![1_u8, 2, 3, 4, 5].into()));
    assert_eq!(init.http.as_ref().unwrap().query_value("app"), Some("abcdefgh-1234"));
}

#[test]
fn an_init_in_another_protocol_than_the_sub_protocol_is_refused() {
    let file = vectors("transport-ws.json");
    let packets = case(&file, "init-v3")["packets"].as_array().unwrap();
    let init = packets.iter().find(|packet| packet["fields"]["framedWithFB"] == true).unwrap();
    let mut connection = server();
    feed(&mut connection, Duration::ZERO, &request("/?xInit=", "GpBinaryV16"));
    let (events, out) = feed(&mut connection, Duration::ZERO, &captured(init));
    assert!(matches!(&events[..], [Seen::Closed(CloseCause::Violation(text))] if text.contains("found GpBinaryV18")));
    assert_eq!(out[2..4], 1002_u16.to_be_bytes());
}

#[test]
fn the_first_known_sub_protocol_is_chosen_and_none_means_json() {
    let chosen = |offered: &str| match &feed(&mut server(), Duration::ZERO, &request("/", offered)) {
        (events, out) if matches!(events[..], [Seen::Opened(_)]) => {
            let [Seen::Opened(init)] = &events[..] else { unreachable!() };
            let text = String::from_utf8_lossy(out).into_owned();
            (Some(init.protocol), text.contains(&format!("Sec-WebSocket-Protocol: {}\r\n", init.protocol.name())))
        }
        (_, out) => {
            let text = String::from_utf8_lossy(out).into_owned();
            assert!(text.starts_with("HTTP/1.1 400 ") && text.contains("GpBinaryV16, GpBinaryV18, Json"), "{text}");
            (None, false)
        }
    };
    assert_eq!(chosen(""), (Some(Protocol::Json), false));
    assert_eq!(chosen("Json"), (Some(Protocol::Json), true));
    assert_eq!(chosen("mqtt, GpBinaryV18, Json"), (Some(Protocol::GpBinaryV18), true));
    assert_eq!(chosen("mqtt"), (None, false));
}

#[test]
fn bad_upgrades_are_answered_with_a_status_and_a_line_of_help() {
    let replace = |from: &str, to: &str| String::from_utf8(request("/", "Json")).unwrap().replace(from, to);
    for (wire, status, help) in [
        (replace("Version: 13", "Version: 8"), 426, "Sec-WebSocket-Version: 13\r\n"),
        (replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), 400, "Sec-WebSocket-Key of 16 bytes"),
        (replace("GET", "HEAD"), 405, "is a GET request"),
        (replace("GET", "POST"), 405, "Allow: GET, HEAD"),
        (format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(8192)), 431, "at most 8192 bytes"),
        ("GET / HTTP/9.9\r\n\r\n".into(), 400, "not an HTTP/1.1 request"),
    ] {
        let (events, out) = feed(&mut server(), Duration::ZERO, wire.as_bytes());
        let answer = String::from_utf8(out).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(help), "{answer}");
        assert!(
            matches!(&events[..], [Seen::Closed(CloseCause::Violation(text))] if text.contains(&status.to_string()))
        );
    }
}

#[test]
fn a_request_head_may_be_as_long_as_the_limit_and_no_longer() {
    let head = |length: usize| {
        let frame = "GET / HTTP/1.1\r\nA: \r\n\r\n";
        frame.replace("A: ", &format!("A: {}", "a".repeat(length - frame.len()))).into_bytes()
    };
    for (length, fine) in [(8191, true), (8192, true), (8193, false)] {
        let (events, _) = feed(&mut server(), Duration::ZERO, &head(length));
        assert_eq!(matches!(events[..], [Seen::Http(_)]), fine, "{length}");
    }
}

#[test]
fn plain_requests_are_given_out_and_answered_once() {
    for (method, body) in [("GET", "pong"), ("HEAD", "")] {
        let mut connection = server();
        let wire = format!("{method} /photon/m?ping HTTP/1.1\r\nHost: h\r\n\r\n");
        let (events, out) = feed(&mut connection, Duration::ZERO, wire.as_bytes());
        let [Seen::Http(request)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((&request.path[..], &request.query[..], &request.host[..]), ("/photon/m", "ping", "h"));
        assert_eq!(out, b"");
        let mut out = Vec::new();
        let cors = [("Access-Control-Allow-Origin", "*")];
        connection.respond_http(200, "text/plain", &cors, b"pong", &mut out);
        connection.respond_http(200, "text/plain", &cors, b"pong", &mut out);
        let answer = String::from_utf8(out).unwrap();
        assert!(answer.contains("Content-Length: 4\r\n") && answer.contains("Access-Control-Allow-Origin: *\r\n"));
        assert_eq!(answer.split_once("\r\n\r\n").unwrap().1, body);
        assert_eq!(connection.next_timeout(), None);
    }
}

#[test]
fn clients_of_other_protocols_are_told_what_this_port_is() {
    for (wire, help) in [(&b"\x16\x03\x01"[..], "TLS on a plain port"), (b"\xFB\0", "TCP framing"), (b"\xF3\0", "F3")] {
        let (events, out) = feed(&mut server(), Duration::ZERO, wire);
        assert!(
            matches!(&events[..], [Seen::Closed(CloseCause::Violation(text))] if text.contains(help)),
            "{events:?}"
        );
        assert_eq!(out, b"");
    }
}

#[test]
fn pings_are_answered_and_close_frames_echoed() {
    let mut connection = opened("GpBinaryV18", Config::default());
    let (events, out) = feed(&mut connection, SECOND, &from_client(Opcode::Ping, b"abc"));
    assert_eq!((events, out), (vec![], from_server(Opcode::Pong, b"abc")));
    let wire = [from_client(Opcode::Close, &close_payload(1000, "ws close")), from_client(Opcode::Ping, b"")].concat();
    let (events, out) = feed(&mut connection, SECOND, &wire);
    assert_eq!(events, [Seen::Closed(CloseCause::ByPeer)]);
    assert_eq!(out, from_server(Opcode::Close, &close_payload(1000, "")));
    let (events, out) = feed(&mut opened("Json", Config::default()), SECOND, &from_client(Opcode::Close, b""));
    assert_eq!((events, out), (vec![Seen::Closed(CloseCause::ByPeer)], from_server(Opcode::Close, b"")));
}

#[test]
fn defects_close_with_the_code_of_their_kind() {
    let config =
        || Config { limits: lampyris_wire::Limits { message_bytes: 100, ..Default::default() }, ..Config::default() };
    for (subprotocol, wire, code) in [
        ("Json", from_client(Opcode::Binary, &[0xF3, 2]), 1003),
        ("GpBinaryV18", from_client(Opcode::Text, b"~m~3~m~~j~"), 1003),
        ("Json", from_client(Opcode::Text, b"~m~4~m~~j~"), 1002),
        ("Json", from_client(Opcode::Text, b"\xff"), 1007),
        ("GpBinaryV18", from_client(Opcode::Binary, &[0xF3, 0]), 1002),
        ("GpBinaryV18", from_client(Opcode::Binary, b"\xFB\0\0\0\x0A\0\x01\xF3\x02"), 1002),
        ("GpBinaryV18", from_client(Opcode::Binary, &[0xF3; 101]), 1009),
        ("GpBinaryV18", from_server(Opcode::Binary, &[0xF3, 2]), 1002),
    ] {
        let mut connection = opened(subprotocol, config());
        let (events, out) = feed(&mut connection, SECOND, &wire);
        assert!(matches!(&events[..], [Seen::Closed(CloseCause::Violation(_) | CloseCause::Limit(_))]), "{events:?}");
        assert_eq!((out[0], &out[2..4]), (0x88, &u16::to_be_bytes(code)[..]), "{wire:02x?}");
    }
    let framed = from_client(Opcode::Binary, b"\xFB\0\0\0\x09\0\x01\xF3\x02");
    let (events, _) = feed(&mut opened("GpBinaryV18", config()), SECOND, &framed);
    assert_eq!(events, [Seen::Message(vec![0xF3, 2])], "a frame header is tolerated on any message");
}

#[test]
fn our_close_waits_for_the_answer_or_its_timeout() {
    let closing = || {
        let mut connection = opened("Json", Config::default());
        let (mut incoming, mut out) = (Vec::new(), Vec::new());
        connection.close(SECOND, close_code::NORMAL, "left", &mut incoming, &mut out);
        connection.close(SECOND, close_code::NORMAL, "left", &mut incoming, &mut out);
        assert_eq!((incoming.len(), out), (0, from_server(Opcode::Close, &close_payload(1000, "left"))));
        connection
    };
    let mut connection = closing();
    let wire = [from_client(Opcode::Text, b"~m~3~m~~j~"), from_client(Opcode::Ping, b"")].concat();
    assert_eq!(feed(&mut connection, SECOND, &wire), (vec![], vec![]), "deaf while closing");
    let (events, out) = feed(&mut connection, SECOND, &from_client(Opcode::Close, &close_payload(1000, "")));
    assert_eq!((events, out), (vec![Seen::Closed(CloseCause::ByUs("left"))], vec![]));

    let mut connection = closing();
    assert_eq!(connection.next_timeout(), Some(SECOND + CLOSE_TIMEOUT));
    let (events, out) = timeout(&mut connection, SECOND + CLOSE_TIMEOUT);
    assert_eq!((events, out), (vec![Seen::Closed(CloseCause::ByUs("left"))], vec![]));
}

#[test]
fn a_silent_peer_is_pinged_and_then_dropped_with_a_close_frame() {
    let mut connection = opened("Json", Config::default());
    for second in [2, 4] {
        assert_eq!(connection.next_timeout(), Some(second * SECOND));
        assert_eq!(timeout(&mut connection, second * SECOND), (vec![], from_server(Opcode::Ping, b"")));
    }
    feed(&mut connection, 5 * SECOND, &from_client(Opcode::Pong, b""));
    assert_eq!(connection.next_timeout(), Some(7 * SECOND));
    for second in [7, 9, 11, 13] {
        timeout(&mut connection, second * SECOND);
    }
    let (events, out) = timeout(&mut connection, 15 * SECOND);
    assert_eq!(events, [Seen::Closed(CloseCause::Timeout("nothing received"))]);
    assert_eq!((out[0], &out[2..4]), (0x88, &1001_u16.to_be_bytes()[..]));
    assert_eq!(connection.next_timeout(), None);
}

#[test]
fn the_route_says_how_often_a_silent_peer_is_pinged() {
    let route = |pattern, ping_after, web_socket| Route { pattern: Pattern::new(pattern), ping_after, web_socket };
    let routes = vec![
        route("/game/ping", None, false),
        route("/game/+", Some(3 * SECOND), true),
        route("/master/+", None, true),
        route("/+", Some(SECOND), true),
    ];
    let config = Config { routes, ..Config::default() };
    for (target, place, next) in [("/GAME//app?x=1", 1, 3), ("/master", 2, 10), ("/", 3, 1), ("/games", 3, 1)] {
        let mut connection = server_with(config.clone());
        feed(&mut connection, Duration::ZERO, &request(target, "Json"));
        assert_eq!((connection.route(), connection.next_timeout()), (place, Some(next * SECOND)), "{target}");
    }
    let mut connection = server_with(config);
    let (events, out) = feed(&mut connection, Duration::ZERO, &request("/game/ping", "Json"));
    assert!(matches!(events[..], [Seen::Closed(CloseCause::Violation(_))]), "{events:?}");
    assert!(out.starts_with(b"HTTP/1.1 404 "));
}

#[test]
fn an_upgrade_at_a_path_that_no_route_serves_is_told_the_paths() {
    let routes = vec![Route { pattern: Pattern::new("/game/+"), ..Route::every_path() }];
    let mut connection = server_with(Config { routes, ..Config::default() });
    let (_, out) = feed(&mut connection, Duration::ZERO, &request("/master/app", "GpBinaryV18"));
    let answer = String::from_utf8(out).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("/master/app; paths are /game/+"), "{answer}");
    let mut connection = server_with(Config { routes: Vec::new(), ..Config::default() });
    let (events, out) = feed(&mut connection, Duration::ZERO, b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(matches!(events[..], [Seen::Http(_)]) && out.is_empty(), "a plain request is the owner's to answer");
}

#[test]
fn a_timeout_can_be_set_to_never() {
    let config = Config { inactivity: Duration::MAX, routes: without_pings(), ..Config::default() };
    let mut connection = opened("Json", config);
    feed(&mut connection, SECOND, &from_client(Opcode::Pong, b""));
    assert_eq!(connection.next_timeout(), Some(Duration::MAX));
    assert_eq!(timeout(&mut connection, 1_000_000 * SECOND), (vec![], vec![]));
}

#[test]
fn slow_requests_and_missing_inits_end_at_their_deadline() {
    let mut connection = server();
    for (second, byte) in request("/", "Json").iter().take(10).enumerate() {
        feed(&mut connection, SECOND * u32::try_from(second).unwrap(), &[*byte]);
    }
    assert_eq!(timeout(&mut connection, 10 * SECOND).0, [Seen::Closed(CloseCause::Timeout("no request"))]);
    let mut connection = server();
    feed(&mut connection, SECOND, &request("/?xInit", "GpBinaryV18"));
    feed(&mut connection, 9 * SECOND, &from_client(Opcode::Ping, b""));
    assert_eq!(timeout(&mut connection, 11 * SECOND).0, [Seen::Closed(CloseCause::Timeout("no init"))]);
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<ServerConnection>() < 500, "{}", size_of::<ServerConnection>());
    assert_eq!(Config::default().message_limits(), MessageLimits::default());
}

#[test]
fn our_client_talks_to_our_server_with_and_without_a_token() {
    for token in [None, Some("tok".into())] {
        let seed = 7;
        let init = Init {
            protocol: Protocol::GpBinaryV18,
            application: "app".into(),
            client_version: "4.1.8.13".into(),
            sdk_id: 15,
            ipv6: false,
            token,
            custom_data: None,
            http: None,
        };
        let address = Address { scheme: "ws", host: "h:9090", path: "/Master/" };
        let (mut incoming, mut out) = (Vec::new(), Vec::new());
        let mut rng = StdRng::seed_from_u64(seed);
        let mut client =
            ClientConnection::new(Duration::ZERO, Arc::default(), init.clone(), address, &mut rng, &mut out).unwrap();
        let mut connection = server();
        let mut server_events = Vec::new();
        for _ in 0..3 {
            let (events, mut answer) = feed(&mut connection, SECOND, &std::mem::take(&mut out));
            server_events.extend(events);
            client.receive(SECOND, &mut answer, &mut incoming, &mut out);
        }
        let [Seen::Opened(said)] = &server_events[..] else { panic!("{server_events:?}") };
        assert_eq!((said.http.as_ref().unwrap().path.as_str(), &said.token), ("/Master/", &init.token));
        assert_eq!(seen(std::mem::take(&mut incoming), &[]), [Seen::Opened(Box::new(init))]);

        client.write_message(&[0xF3, 2, 77, 0], &mut out);
        assert_eq!(feed(&mut connection, SECOND, &out).0, [Seen::Message(vec![0xF3, 2, 77, 0])]);
        let mut wire = from_server(Opcode::Binary, &[0xF3, 4, 1, 0]);
        client.receive(SECOND, &mut wire, &mut incoming, &mut out);
        assert_eq!(seen(std::mem::take(&mut incoming), &wire), [Seen::Message(vec![0xF3, 4, 1, 0])]);

        out.clear();
        client.close(SECOND, close_code::NORMAL, "done", &mut incoming, &mut out);
        let (events, mut answer) = feed(&mut connection, SECOND, &out);
        assert_eq!(events, [Seen::Closed(CloseCause::ByPeer)]);
        client.receive(SECOND, &mut answer, &mut incoming, &mut out);
        assert_eq!(seen(incoming, &[]), [Seen::Closed(CloseCause::ByUs("done"))]);
    }
}

#[test]
fn our_client_refuses_servers_that_do_not_switch() {
    let address = Address { scheme: "ws", host: "h", path: "/" };
    let init = init_from_request(Protocol::GpBinaryV18, HttpRequest::default());
    for (response, expected) in [
        ("HTTP/1.1 404 Not Found\r\n\r\n", "found 404 Not Found"),
        ("HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n", "expected Sec-WebSocket-Accept"),
        ("HTTP/1.1 101 X\r\n\r\n", "expected Upgrade"),
        ("SSH-2.0\r\n\r\n", "not an HTTP response"),
    ] {
        let (mut incoming, mut out) = (Vec::new(), Vec::new());
        let mut rng = StdRng::seed_from_u64(1);
        let mut client =
            ClientConnection::new(Duration::ZERO, Arc::default(), init.clone(), address, &mut rng, &mut out).unwrap();
        client.receive(SECOND, &mut response.as_bytes().to_vec(), &mut incoming, &mut out);
        let events = seen(incoming, &[]);
        assert!(
            matches!(&events[..], [Seen::Closed(CloseCause::Violation(text))] if text.contains(expected)),
            "{events:?}"
        );
    }
}

/// Bytes of a client after its upgrade: mostly fine, now and then damaged.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let message = "[a-zé😀]{0,20}".prop_map(|content| {
        let content = format!("~j~{content}");
        from_client(Opcode::Text, format!("~m~{}~m~{content}", content.encode_utf16().count()).as_bytes())
    });
    let ping = prop::collection::vec(any::<u8>(), 0..20).prop_map(|payload| from_client(Opcode::Ping, &payload));
    let noise = prop::collection::vec(any::<u8>(), 1..6);
    prop::collection::vec(prop_oneof![8 => message, 3 => ping, 1 => noise], 0..10)
        .prop_map(|pieces| [request("/a/b?c", "Json"), pieces.concat()].concat())
}

proptest! {
    #[test]
    fn the_way_a_stream_is_cut_does_not_matter(wire in stream(), cuts in prop::collection::vec(1..90usize, 1..20)) {
        let whole = feed(&mut server(), SECOND, &wire);
        let mut connection = server();
        let (mut events, mut out) = (Vec::new(), Vec::new());
        let mut rest = &wire[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, tail) = rest.split_at((*cut).min(rest.len()));
            let (piece_events, piece_out) = feed(&mut connection, SECOND, piece);
            events.extend(piece_events);
            out.extend(piece_out);
            rest = tail;
        }
        prop_assert_eq!((events, out), whole);
    }

    #[test]
    fn no_bytes_make_a_connection_panic(wire in prop::collection::vec(any::<u8>(), 0..200), open: bool) {
        feed(&mut if open { opened("Json", Config::default()) } else { server() }, SECOND, &wire);
    }
}
