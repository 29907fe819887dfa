//! Every UDP datagram of the vectors, both ways, and whole connections of real clients played to a server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lampyris_transport::udp::command::{
    Command, ConnectParameters, Datagram, DatagramError, DatagramWriter, Header, Kind, Protection,
};
use lampyris_transport::udp::{Config, Listener, ListenerLimits, Peer, PeerHandle, Route};
use lampyris_transport::{CloseCause, Incoming};
use serde_json::Value;

fn vectors(name: &str) -> Value {
    let path = format!("{}/../../vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A record with a datagram that the vectors take apart.
struct Record {
    case: String,
    from_client: bool,
    bytes: Vec<u8>,
    fields: Value,
}

fn records() -> Vec<Record> {
    let mut records = Vec::new();
    let mut add = |case: String, step: &Value| {
        let fields = if step["fields"].is_object() { &step["fields"] } else { &step["datagram"] };
        if let (Some(bytes), true) = (step["hex"].as_str(), fields.is_object()) {
            let from_client = step["dir"] == "client->server";
            records.push(Record { case, from_client, bytes: hex(bytes), fields: fields.clone() });
        }
    };
    for case in vectors("transport-udp")["cases"].as_array().unwrap() {
        for packet in case["packets"].as_array().unwrap() {
            add(case["name"].to_string(), packet);
        }
    }
    for step in vectors("session-v18-udp")["steps"].as_array().unwrap() {
        add(format!("session {}", step["conn"]), step);
    }
    for run in vectors("authonce")["runs"].as_array().unwrap() {
        for step in run["steps"].as_array().unwrap() {
            add(format!("{} {}", run["name"], step["conn"]), step);
        }
    }
    records
}

/// Compares what the vectors say of a command with what was read.
fn check_command(said: &Value, command: &Command<'_>, what: &str) {
    let number = |names: &[&str]| names.iter().find_map(|name| said[*name].as_u64());
    assert_eq!(number(&["type"]), Some(command.kind.code().into()), "{what}: type");
    assert_eq!(number(&["channel"]), Some(command.channel.into()), "{what}: channel");
    assert_eq!(number(&["flags"]), Some(command.flags.into()), "{what}: flags");
    assert_eq!(number(&["reliableSeq", "seq"]), Some(command.sequence.into()), "{what}: sequence");
    if let Some(reserved) = number(&["reserved"]) {
        assert_eq!(reserved, u64::from(command.reserved), "{what}: reserved");
    }
    if let Some(payload) = said["payload"].as_str() {
        assert_eq!(hex(payload), command.payload, "{what}: payload");
    }
    let own: &[(&[&str], u32)] = match &command.kind {
        Kind::Ack { acked, sent_ms, .. } => {
            &[(&["ackedSeq"], *acked), (&["ackedSentTime", "ackedSent"], *sent_ms as u32)]
        }
        Kind::Unreliable { number } => &[(&["unreliableSeq"], *number)],
        Kind::Unsequenced { group } => &[(&["unsequencedGroup"], *group)],
        Kind::Fragment(part) | Kind::FragmentUnsequenced(part) => &[
            (&["startSeq"], part.start),
            (&["fragmentCount"], part.count),
            (&["fragmentNumber"], part.number),
            (&["totalLength"], part.total_bytes),
            (&["fragmentOffset"], part.offset),
        ],
        _ => &[],
    };
    for (names, found) in own {
        if let Some(expected) = number(names) {
            assert_eq!(expected, u64::from(*found), "{what}: {names:?}");
        }
    }
}

#[test]
fn every_datagram_is_read_as_the_vectors_say_and_written_back_to_the_same_bytes() {
    let mut seen = BTreeMap::new();
    for Record { case, from_client, bytes, fields } in records() {
        let parsed = match Datagram::parse(&bytes) {
            Ok(parsed) => parsed,
            Err(DatagramError::Encrypted) => {
                assert!(case.contains("encryption"), "{case}");
                continue;
            }
            Err(DatagramError::Checksum { expected, found }) => {
                assert!(case.contains("crc-wrong-variant") && !from_client, "{case}");
                assert_eq!(!expected, found, "{case}: the refused variant has the final inversion");
                continue;
            }
            Err(error) => panic!("{case}: {error}"),
        };
        let header = parsed.header;
        assert_eq!(fields["peerId"], header.peer_id, "{case}");
        assert_eq!(fields["sent"], header.sent_ms, "{case}");
        assert_eq!(fields["challenge"], format!("{:08x}", header.challenge), "{case}");
        let said = fields["commands"].as_array().unwrap();
        assert_eq!(said.len(), usize::from(parsed.command_count), "{case}");
        let mut again = vec![0xEE];
        let mut writer = DatagramWriter::new(&mut again, header, 1200);
        for (said, command) in said.iter().zip(parsed.commands()) {
            let (range, command) = command.unwrap();
            check_command(said, &command, &case);
            assert_eq!(&bytes[range], command.payload, "{case}");
            assert!(writer.push(&command), "{case}");
            *seen.entry(command.kind.code()).or_insert(0) += 1;
        }
        writer.finish();
        assert_eq!(again[1..], bytes, "{case}");
    }
    let types: Vec<u8> = seen.keys().copied().collect();
    assert_eq!(types, [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 99], "{seen:?}");
}

#[test]
fn connect_parameters_are_written_as_clients_write_them() {
    for Record { case, bytes, .. } in records() {
        let Ok(parsed) = Datagram::parse(&bytes) else { continue };
        for (_, command) in parsed.commands().flatten() {
            let zeroed = command.payload.get(2..).is_some_and(|rest| rest.iter().all(|byte| *byte == 0));
            if matches!(command.kind, Kind::Connect | Kind::VerifyConnect) && !zeroed {
                let parameters = ConnectParameters::parse(command.payload).unwrap();
                assert_eq!(parameters.to_bytes()[..], *command.payload, "{case}");
            }
        }
    }
}

#[test]
fn a_datagram_cut_anywhere_is_refused_or_ends_in_an_error() {
    for Record { case, bytes, .. } in records().into_iter().step_by(7) {
        let Ok(whole) = Datagram::parse(&bytes) else { continue };
        for end in 0..bytes.len() {
            let Ok(cut) = Datagram::parse(&bytes[..end]) else { continue };
            assert_eq!(whole.header.protection, Protection::Plain, "{case}: a cut datagram has another checksum");
            assert!(cut.commands().any(|command| command.is_err()), "{case} cut at {end}");
        }
    }
}

/// One connection's client datagrams to a server; what the server then has.
struct Replay {
    opened: usize,
    messages: Vec<Vec<u8>>,
    closed: Option<CloseCause>,
    acks: usize,
}

fn replay(datagrams: &[Vec<u8>]) -> Replay {
    let from = "198.51.100.4:5000".parse().unwrap();
    let config = Arc::new(Config::SERVER);
    let mut listener = Listener::new([3; 32], ListenerLimits::DEFAULT);
    let (mut now, mut reply, mut out) = (Duration::from_secs(5), Vec::new(), Vec::new());
    let (mut assigned, mut server) = (None, None);
    let mut done = Replay { opened: 0, messages: Vec::new(), closed: None, acks: 0 };
    for datagram in datagrams {
        now += Duration::from_millis(20);
        let mut datagram = datagram.clone();
        if let (Some(id), false) = (assigned, datagram.starts_with(&[0xFF])) {
            let id: u16 = id;
            datagram[..2].copy_from_slice(&id.to_be_bytes());
        }
        match listener.classify(now, from, &datagram, &mut reply) {
            Route::Reply => {
                let parsed = Datagram::parse(&reply).unwrap();
                let verify = parsed.commands().flatten().find(|(_, c)| c.kind == Kind::VerifyConnect).unwrap().1;
                assigned = Some(ConnectParameters::parse(verify.payload).unwrap().peer_id);
                continue;
            }
            Route::Accept(handshake) => {
                server = Some(Peer::accept(now, from, &handshake, Arc::clone(&config)));
                listener.insert(handshake.peer_id, handshake.challenge, from, PeerHandle(7));
            }
            route => assert_eq!(route, Route::Known(PeerHandle(7))),
        }
        let server = server.as_mut().unwrap();
        let mut incoming = Vec::new();
        server.receive(now, &datagram, &mut incoming);
        for item in incoming {
            match item {
                Incoming::Opened(_) => done.opened += 1,
                Incoming::Message { body, .. } => done.messages.push(body.bytes(&datagram).to_vec()),
                other => {
                    let Incoming::Closed(cause) = other else { panic!("{other:?} over UDP") };
                    done.closed = Some(cause);
                }
            }
        }
        out.clear();
        while server.poll_transmit(now, &mut out) {
            let sent = Datagram::parse(&out).unwrap();
            done.acks += sent.commands().flatten().filter(|(_, c)| matches!(c.kind, Kind::Ack { .. })).count();
            out.clear();
        }
    }
    done
}

#[test]
fn whole_connections_of_real_clients_open_deliver_every_message_and_close() {
    let mut connections: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for record in records().into_iter().filter(|record| record.case.starts_with("session ") && record.from_client) {
        connections.entry(record.case).or_default().push(record.bytes);
    }
    assert_eq!(connections.len(), 7);
    for (name, datagrams) in connections {
        let (mut reliable, mut messages) = (0, Vec::new());
        for datagram in datagrams.iter().skip(1) {
            for (_, command) in Datagram::parse(datagram).unwrap().commands().flatten() {
                reliable += usize::from(command.flags & 1);
                if matches!(command.kind, Kind::Reliable | Kind::Unreliable { .. }) {
                    messages.push(command.payload.to_vec());
                }
            }
        }
        let done = replay(&datagrams);
        assert_eq!(done.opened, 1, "{name}");
        assert_eq!(done.messages, messages[1..], "{name}: all but the init");
        assert_eq!(done.acks, reliable, "{name}: one acknowledgement for each reliable command");
        assert_eq!(done.closed, Some(CloseCause::ByPeer), "{name}");
    }
}

#[test]
fn the_answer_to_a_connect_is_that_of_the_vectors_but_for_id_and_time() {
    let all = records();
    for pair in all.windows(2).filter(|pair| pair[0].case.contains("handshake") || pair[0].case.contains("\"crc\"")) {
        let Ok(Datagram { header: Header { peer_id: 0xFFFF, .. }, .. }) = Datagram::parse(&pair[0].bytes) else {
            continue;
        };
        let mut listener = Listener::new([1; 32], ListenerLimits::DEFAULT);
        let mut reply = Vec::new();
        let from = "[2001:db8::1]:5055".parse().unwrap();
        assert_eq!(listener.classify(Duration::ZERO, from, &pair[0].bytes, &mut reply), Route::Reply);
        let (ours, theirs) = (Datagram::parse(&reply).unwrap(), Datagram::parse(&pair[1].bytes).unwrap());
        assert_eq!(ours.header, Header { sent_ms: 0, ..theirs.header }, "{}", pair[0].case);
        for (our, their) in ours.commands().flatten().zip(theirs.commands().flatten()) {
            assert_eq!(Command { payload: &[], ..our.1 }, Command { payload: &[], ..their.1 });
            assert_eq!(our.1.payload.get(2..), their.1.payload.get(2..));
        }
    }
}
