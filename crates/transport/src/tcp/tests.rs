use super::*;
use crate::golden::{bytes, case, text, vectors};
use lampyris_wire::Protocol;
use proptest::prelude::*;

/// What came out of a connection, with all bodies copied.
#[derive(Debug, PartialEq)]
enum Seen {
    Opened(Box<Init>),
    Message(u8, Delivery, Vec<u8>),
    Closed(CloseCause),
}

fn seen(incoming: Vec<Incoming>, input: &[u8]) -> Vec<Seen> {
    let copy = |event| match event {
        Incoming::Opened(init) => Seen::Opened(init),
        Incoming::Message { channel, delivery, body } => Seen::Message(channel, delivery, body.bytes(input).to_vec()),
        Incoming::Closed(cause) => Seen::Closed(cause),
        Incoming::Http(_) => panic!("no HTTP on TCP"),
    };
    incoming.into_iter().map(copy).collect()
}

fn server() -> ServerConnection {
    ServerConnection::new(Duration::ZERO, Arc::default())
}

/// Feeds `input` at `now`; gives what was seen and what is to be sent.
fn feed(connection: &mut ServerConnection, now: Duration, input: &[u8]) -> (Vec<Seen>, Vec<u8>) {
    let (mut incoming, mut out) = (Vec::new(), Vec::new());
    connection.receive(now, input, &mut incoming, &mut out);
    (seen(incoming, input), out)
}

fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_frame(&mut out, 0, Delivery::Reliable, message);
    out
}

fn init_frame() -> Vec<u8> {
    let file = vectors("transport-tcp.json");
    bytes(&case(&file, "session-v18")["packets"][0]["hex"])
}

fn opened() -> ServerConnection {
    let mut connection = server();
    let (events, out) = feed(&mut connection, Duration::ZERO, &init_frame());
    assert!(matches!(&events[..], [Seen::Opened(init)] if init.protocol == Protocol::GpBinaryV18));
    assert_eq!(out, frame(&INIT_RESPONSE));
    connection
}

fn only_closed(events: Vec<Seen>) -> String {
    match &events[..] {
        [Seen::Closed(cause)] => cause.to_string(),
        other => panic!("expected one Closed, found {other:?}"),
    }
}

#[test]
fn captured_sessions_are_understood_frame_by_frame() {
    let file = vectors("transport-tcp.json");
    for name in ["session-v16", "session-v18", "init-http-token", "init-v3"] {
        let mut connection = server();
        for packet in case(&file, name)["packets"].as_array().unwrap() {
            let wire = bytes(&packet["hex"]);
            let fields = packet["fields"].as_array().unwrap();
            if text(&packet["dir"]) == "client->server" {
                let now = Duration::from_millis(2000);
                let (events, out) = feed(&mut connection, now, &wire);
                let mut events = events.into_iter();
                for field in fields {
                    if field["frame"] == "ping" {
                        let mut answer = vec![0xF0, 0, 0, 0x07, 0xD0];
                        answer.extend_from_slice(&wire[1..]);
                        assert_eq!(out, answer, "{name}");
                        continue;
                    }
                    match events.next().unwrap() {
                        Seen::Opened(init) => assert_eq!(init.application, "LoadBalancing", "{name}"),
                        Seen::Message(channel, delivery, message) => {
                            assert_eq!(field["channel"], channel, "{name}");
                            assert_eq!(field["delivery"], delivery as u8, "{name}");
                            assert_eq!(bytes(&field["payload"]), message, "{name}");
                        }
                        Seen::Closed(cause) => panic!("{name}: {cause}"),
                    }
                }
                assert_eq!(events.next(), None, "{name}");
            } else if fields[0]["frame"] == "message" {
                assert_eq!(wire, frame(&bytes(&fields[0]["payload"])), "{name}");
            }
        }
    }
}

#[test]
fn a_ping_is_answered_at_once_as_captured() {
    let (events, out) = feed(&mut opened(), Duration::from_millis(2000), &[0xF0, 0, 0, 0x06, 0x3E]);
    assert_eq!(events, []);
    assert_eq!(out, [0xF0, 0, 0, 0x07, 0xD0, 0, 0, 0x06, 0x3E]);
}

#[test]
fn our_client_opens_and_measures_against_our_server() {
    let ms = Duration::from_millis;
    let init = Init {
        protocol: Protocol::GpBinaryV18,
        application: "LoadBalancing".into(),
        client_version: "4.1.8.13".into(),
        sdk_id: 15,
        ipv6: false,
        token: None,
        custom_data: None,
        http: None,
    };
    let mut to_server = Vec::new();
    let mut client = ClientConnection::new(ms(0), Arc::default(), init.clone(), "host", &mut to_server).unwrap();
    assert_eq!(to_server, init_frame());
    let mut connection = server();
    let (events, to_client) = feed(&mut connection, ms(500), &to_server);
    assert_eq!(events, [Seen::Opened(Box::new(init.clone()))]);
    let mut incoming = Vec::new();
    client.receive(ms(500), &to_client, &mut incoming);
    assert_eq!(seen(std::mem::take(&mut incoming), &to_client), [Seen::Opened(Box::new(init))]);

    to_server.clear();
    assert_eq!(client.next_timeout(), Some(ms(1000)));
    client.handle_timeout(ms(1000), &mut incoming, &mut to_server);
    let (events, to_client) = feed(&mut connection, ms(71_020), &to_server);
    assert_eq!(events, []);
    client.receive(ms(1040), &to_client, &mut incoming);
    assert_eq!(client.round_trip(), Some(ms(40)));
    assert_eq!(client.server_time_ms(ms(1040)), Some(71_040));
    assert_eq!(client.server_time_ms(ms(2040)), Some(72_040));

    client.handle_timeout(ms(11_040), &mut incoming, &mut to_server);
    assert_eq!(seen(incoming, &[]), [Seen::Closed(CloseCause::Timeout("nothing received"))]);
    assert_eq!(client.next_timeout(), None);
}

#[test]
fn whole_frames_are_not_copied_and_cut_ones_leave_no_buffer_behind() {
    let mut connection = opened();
    let wire = [frame(&[0xF3, 2, 1]), frame(&[0xF3, 2, 2])].concat();
    let (mut incoming, mut out) = (Vec::new(), Vec::new());
    connection.receive(Duration::ZERO, &wire[..14], &mut incoming, &mut out);
    assert!(matches!(&incoming[..], [Incoming::Message { body: Body::Input(range), .. }] if *range == (7..10)));
    connection.receive(Duration::ZERO, &wire[14..], &mut incoming, &mut out);
    assert!(matches!(&incoming[1], Incoming::Message { body: Body::Stored(bytes), .. } if bytes[..] == [0xF3, 2, 2]));
    assert_eq!(connection.frames.partial.capacity(), 0);
    assert!(size_of::<ServerConnection>() <= 96, "{}", size_of::<ServerConnection>());
}

#[test]
fn the_message_limit_holds_on_the_length_field_before_anything_is_kept() {
    let limit = 64;
    let limits = Limits { message_bytes: limit, ..Limits::DEFAULT };
    let config = Arc::new(Config { limits, ..Config::default() });
    for (length, fine) in [(limit - 1, true), (limit, true), (limit + 1, false)] {
        let mut connection = ServerConnection::new(Duration::ZERO, config.clone());
        feed(&mut connection, Duration::ZERO, &init_frame());
        let mut message = vec![0; length];
        message[..2].copy_from_slice(&[0xF3, 2]);
        let (events, _) = feed(&mut connection, Duration::ZERO, &frame(&message)[..HEADER_BYTES]);
        if fine {
            assert_eq!(events, [], "{length}");
        } else {
            assert_eq!(events, [Seen::Closed(CloseCause::Limit("message size"))], "{length}");
            assert_eq!(connection.frames.partial.capacity(), 0);
        }
    }
}

#[test]
fn defects_close_the_connection_with_their_name() {
    let defects: [(&[u8], &str); 7] = [
        (b"\xFB\0\0\0\x08\0\x01\xF3", "at least 9 bytes, found 8"),
        (b"\xFB\0\0\0\x09\0\x04\xF3\x02", "delivery 0 to 3, found 4"),
        (b"\xFA", "starts with FB or F0, found FA"),
        (b"\xFB\0\0\0\x09\0\x01\xF4\x02", "starts with F3, found F4"),
        (b"\xFB\0\0\0\x09\0\x01\xF3\x00", "found a second"),
        (b"\xFB\0\0\0\x09\0\x01\xF3\x01", "found an init response"),
        (b"GET / HTTP/1.1\r\n", "found 47"),
    ];
    for (wire, expected) in defects {
        let mut connection = opened();
        let cause = only_closed(feed(&mut connection, Duration::ZERO, wire).0);
        assert!(cause.contains(expected), "{cause}");
        assert_eq!(feed(&mut connection, Duration::ZERO, &frame(&[0xF3, 2])), (vec![], vec![]), "deaf once closed");
        assert_eq!(connection.next_timeout(), None);
    }
    let cause = only_closed(feed(&mut server(), Duration::ZERO, &[0xF0, 0, 0, 0, 1]).0);
    assert!(cause.contains("expected an init as the first frame"), "{cause}");
    let cause = only_closed(feed(&mut server(), Duration::ZERO, &frame(&[0xF3, 2])).0);
    assert!(cause.contains("found"), "{cause}");
}

#[test]
fn clients_of_other_protocols_are_told_what_this_port_is() {
    let (events, out) = feed(&mut server(), Duration::ZERO, b"\x16\x03\x01");
    assert!(only_closed(events).contains("TLS on a plain port"));
    assert_eq!(out, b"");
    let (events, out) = feed(&mut server(), Duration::ZERO, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(only_closed(events).contains("HTTP on a TCP port"));
    let answer = String::from_utf8(out).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && answer.contains("WebSocket clients use another port")
    );
}

#[test]
fn silence_and_a_missing_init_end_at_their_deadlines() {
    let seconds = Duration::from_secs;
    let mut connection = opened();
    feed(&mut connection, seconds(3), &[0xF0]);
    assert_eq!(connection.next_timeout(), Some(seconds(13)));
    let mut incoming = Vec::new();
    connection.handle_timeout(seconds(13) - Duration::from_nanos(1), &mut incoming);
    assert!(incoming.is_empty());
    connection.handle_timeout(seconds(13), &mut incoming);
    connection.handle_timeout(seconds(14), &mut incoming);
    connection.end_of_stream(&mut incoming);
    assert_eq!(seen(incoming, &[]), [Seen::Closed(CloseCause::Timeout("nothing received"))]);

    let mut slow = server();
    for (second, byte) in init_frame().iter().enumerate().take(10) {
        feed(&mut slow, Duration::from_secs(second as u64), &[*byte]);
    }
    let mut incoming = Vec::new();
    slow.handle_timeout(seconds(10), &mut incoming);
    assert_eq!(seen(incoming, &[]), [Seen::Closed(CloseCause::Timeout("no init"))]);

    let mut incoming = Vec::new();
    opened().end_of_stream(&mut incoming);
    assert_eq!(seen(incoming, &[]), [Seen::Closed(CloseCause::ByPeer)]);
}

/// Bytes of a client: mostly fine, now and then damaged.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let message = prop::collection::vec(any::<u8>(), 0..40).prop_map(|body| frame(&[vec![0xF3, 2], body].concat()));
    let ping = any::<[u8; 4]>().prop_map(|time| [vec![0xF0], time.to_vec()].concat());
    let noise = prop::collection::vec(any::<u8>(), 1..4);
    let piece = prop_oneof![8 => message, 4 => ping, 1 => noise];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| [init_frame(), pieces.concat()].concat())
}

proptest! {
    #[test]
    fn the_way_a_stream_is_cut_does_not_matter(wire in stream(), cuts in prop::collection::vec(1..30usize, 1..20)) {
        let whole = feed(&mut server(), Duration::ZERO, &wire);
        let mut connection = server();
        let (mut events, mut out) = (Vec::new(), Vec::new());
        let mut rest = &wire[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, tail) = rest.split_at((*cut).min(rest.len()));
            let (piece_events, piece_out) = feed(&mut connection, Duration::ZERO, piece);
            events.extend(piece_events);
            out.extend(piece_out);
            rest = tail;
        }
        prop_assert_eq!((events, out), whole);
    }

    #[test]
    fn no_bytes_make_a_connection_panic(wire in prop::collection::vec(any::<u8>(), 0..200), open: bool) {
        feed(&mut if open { opened() } else { server() }, Duration::ZERO, &wire);
    }
}
