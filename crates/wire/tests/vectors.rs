//! Bytes that real clients wrote, both ways.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::large_enum_variant,
    missing_docs
)]

mod common;

use common::{hex, matches, message_kind, vectors};
use lampyris_wire::{DecodeError, EventWriter, Limits, Message, MessageHead, MessageKind, Protocol, RawRequest, Value};
use serde_json::Value as Json;

const BINARY: [(Protocol, &str); 2] =
    [(Protocol::GpBinaryV16, "gpbinary16.json"), (Protocol::GpBinaryV18, "gpbinary18.json")];

/// What the reference encoder emits here cannot be read back by its own client; we write the readable form.
const READABLE_INSTEAD: [(&str, &str); 4] = [
    ("decode-array-of-objarray-z", "7900017a00016900000005"),
    ("decode-dict-value-a", "446b00 0001 0001 79 0001 73 0001 61"),
    ("decode-dict-value-z", "446b00 0001 0001 7a 0001 2a"),
    ("decode-dict-value-n", "446b00 0001 0001 79 0001 69 00000005"),
];

/// The typed value that a vector's bytes are. Those of messages lack the type code, so they are read as messages.
enum Read {
    Value(Value),
    Message(Message),
}

fn read(protocol: Protocol, vector: &Json, bytes: &[u8]) -> Result<Read, DecodeError> {
    match message_kind(vector) {
        Some(kind) => Message::decode_body(protocol, kind, bytes, &Limits::DEFAULT).map(Read::Message),
        None => protocol.decode_value(bytes, &Limits::DEFAULT).map(Read::Value),
    }
}

fn write(protocol: Protocol, read: &Read) -> Vec<u8> {
    let mut out = Vec::new();
    match read {
        Read::Value(value) => protocol.encode_value(value, &mut out).unwrap(),
        Read::Message(message) => {
            message.encode(protocol, &mut out).unwrap();
            out.drain(..MessageHead::LEN);
        }
    }
    out
}

fn agrees(read: &Read, expected: &Json) -> bool {
    match read {
        Read::Value(value) => matches(value, expected),
        Read::Message(Message::OperationRequest(m)) => matches(&Value::OperationRequest(Box::new(m.clone())), expected),
        Read::Message(Message::OperationResponse(m)) => {
            matches(&Value::OperationResponse(Box::new(m.clone())), expected)
        }
        Read::Message(Message::Event(m)) => matches(&Value::Event(Box::new(m.clone())), expected),
        Read::Message(other) => panic!("{other:?}"),
    }
}

/// Skims a value as the only parameter of a request.
fn skim(protocol: Protocol, value: &[u8]) -> Result<bool, DecodeError> {
    let head: &[u8] = if protocol == Protocol::GpBinaryV16 { &[1, 0, 1, 9] } else { &[1, 1, 9] };
    let body = [head, value].concat();
    let request = RawRequest::parse_body(protocol, false, &body, &Limits::DEFAULT)?;
    let raw = request.parameters.get(9).unwrap();
    assert_eq!(raw.bytes(), value);
    Ok(raw.is_canonical())
}

#[test]
fn binary_vectors_are_read_as_their_values() {
    for (protocol, file) in BINARY {
        let mut count = 0;
        for vector in vectors(file) {
            if !matches!(vector["use"].as_str().unwrap(), "both" | "decode-only" | "accept") {
                continue;
            }
            let name = vector["name"].as_str().unwrap();
            let bytes = hex(vector["hex"].as_str().unwrap());
            match read(protocol, &vector, &bytes) {
                Ok(found) => assert!(agrees(&found, &vector["value"]), "{file} {name}"),
                Err(error) => panic!("{file} {name}: {error}"),
            }
            if message_kind(&vector).is_none() {
                assert!(skim(protocol, &bytes).is_ok(), "{file} {name}");
            }
            count += 1;
        }
        assert!(count > 300, "{file} has lost vectors");
    }
}

#[test]
fn binary_vectors_are_written_byte_for_byte() {
    for (protocol, file) in BINARY {
        for vector in vectors(file) {
            let name = vector["name"].as_str().unwrap();
            let bytes = hex(vector["hex"].as_str().unwrap());
            let readable = READABLE_INSTEAD.iter().find(|(n, _)| protocol == Protocol::GpBinaryV16 && *n == name);
            let expected = match (vector["use"].as_str().unwrap(), vector["canonical_hex"].as_str(), readable) {
                (_, _, Some((_, text))) => hex(text),
                ("both", ..) => bytes.clone(),
                ("decode-only", Some(text), None) => hex(text),
                _ => continue,
            };
            let mut written = write(protocol, &read(protocol, &vector, &bytes).unwrap());
            if message_kind(&vector).is_none() && vector["value"]["t"].as_str().is_some_and(common::is_message) {
                // Their canonical form is given without the type code.
                written.remove(0);
            }
            assert_eq!(written, expected, "{file} {name}");
        }
    }
}

#[test]
fn a_skim_knows_which_vectors_are_canonical() {
    for (protocol, file) in BINARY {
        for vector in vectors(file) {
            let bytes = hex(vector["hex"].as_str().unwrap());
            if message_kind(&vector).is_some() || !matches!(vector["use"].as_str().unwrap(), "both" | "decode-only") {
                continue;
            }
            let canonical = write(protocol, &read(protocol, &vector, &bytes).unwrap()) == bytes;
            assert_eq!(skim(protocol, &bytes), Ok(canonical), "{file} {}", vector["name"]);
        }
    }
}

#[test]
fn binary_vectors_to_refuse_are_refused() {
    for (protocol, file) in BINARY {
        for vector in vectors(file) {
            if vector["use"] == "reject" {
                let bytes = hex(vector["hex"].as_str().unwrap());
                assert!(read(protocol, &vector, &bytes).is_err(), "{file} {}", vector["name"]);
                if message_kind(&vector).is_none() {
                    assert!(skim(protocol, &bytes).is_err(), "{file} {}", vector["name"]);
                }
            }
        }
    }
}

#[test]
fn what_broken_clients_write_is_refused_or_read_as_something_that_can_be_written() {
    for (protocol, file) in BINARY {
        for vector in vectors(file).into_iter().filter(|vector| vector["use"] == "reject-or-drop") {
            let bytes = hex(vector["hex"].as_str().unwrap());
            if let Ok(Read::Value(value)) = read(protocol, &vector, &bytes) {
                let written = write(protocol, &Read::Value(value));
                assert!(protocol.decode_value(&written, &Limits::DEFAULT).is_ok(), "{file} {}", vector["name"]);
                assert_eq!(skim(protocol, &bytes), Ok(written == bytes), "{file} {}", vector["name"]);
            }
        }
    }
}

/// The payload of a frame, and whether its head tells the length of the payload. Heads are the transport's business.
fn payload(frame: &str) -> Option<&str> {
    let (length, payload) = frame.strip_prefix("~m~")?.split_once("~m~")?;
    (length.parse() == Ok(payload.encode_utf16().count())).then_some(payload)
}

#[test]
fn json_requests_of_the_javascript_client_are_read_and_forwarded_as_they_came() {
    let mut count = 0;
    for vector in vectors("json.json") {
        let name = vector["name"].as_str().unwrap();
        if vector["dir"] != "client-to-server" || vector["type"] == "reject" {
            continue;
        }
        let text = payload(vector["frame"].as_str().unwrap()).unwrap();
        let message = Message::decode(Protocol::Json, text.as_bytes(), &Limits::DEFAULT).unwrap();
        let (Message::OperationRequest(request) | Message::InternalRequest(request)) = &message else {
            panic!("{name}: {message:?}");
        };
        assert!(matches(&Value::OperationRequest(Box::new(request.clone())), &vector["value"]), "{name}");
        assert_eq!(message.kind() == MessageKind::InternalRequest, vector["type"] == "internal-request");

        let raw = RawRequest::parse_json(text.as_bytes(), &Limits::DEFAULT).unwrap();
        assert_eq!((raw.code, raw.internal), (request.code, vector["type"] == "internal-request"), "{name}");
        for ((key, raw), (expected_key, expected)) in raw.parameters.iter().zip(request.parameters.iter()) {
            assert_eq!((key, &raw.decode().unwrap()), (expected_key, expected), "{name}");
            let written = raw.to_payload().unwrap();
            assert!(written.bytes().is_ascii());
            assert_eq!(raw.is_canonical(), written.bytes() == raw.bytes(), "{name}");
            assert!(raw.is_canonical() || !text.is_ascii(), "{name}: {}", String::from_utf8_lossy(raw.bytes()));
        }
        if text.is_ascii() {
            let mut written = Vec::new();
            message.encode(Protocol::Json, &mut written).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), text, "{name}");
        }
        count += 1;
    }
    assert!(count > 40, "json.json has lost vectors");
}

#[test]
fn json_frames_of_the_server_are_read_and_written_with_the_same_meaning() {
    for vector in vectors("json.json") {
        let name = vector["name"].as_str().unwrap();
        let known = vector["type"] != "reject" && vector["type"] != "init-response" && vector["type"] != "tolerated";
        // A code as text is something that the SDK puts up with, and we never write.
        if vector["dir"] != "server-to-client" || !known || name == "response-code-as-text" {
            continue;
        }
        let text = payload(vector["frame"].as_str().unwrap()).unwrap();
        let message = Message::decode(Protocol::Json, text.as_bytes(), &Limits::DEFAULT).unwrap();
        let mut written = Vec::new();
        message.encode(Protocol::Json, &mut written).unwrap();
        let written = String::from_utf8(written).unwrap();
        let mut found: Json = serde_json::from_str(written.strip_prefix("~j~").unwrap()).unwrap();
        let mut expected = vector["value"].clone();
        for object in [&mut found, &mut expected] {
            let object = object.as_object_mut().unwrap();
            // No text, empty text and null are the same to the SDK's user; so is a missing table and an empty one.
            object.retain(|key, value| !(key == "msg" && (value.is_null() || value == "")));
            object.retain(|key, value| !(key == "vals" && value.as_array().unwrap().is_empty()));
        }
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn json_vectors_to_refuse_are_refused_by_the_frame_head_or_by_us() {
    let mut count = 0;
    for vector in vectors("json.json") {
        if vector["dir"] != "client-to-server" || vector["type"] != "reject" {
            continue;
        }
        let frame = vector["frame"].as_str().unwrap();
        if let Some(text) = payload(frame) {
            let name = &vector["name"];
            assert!(Message::decode(Protocol::Json, text.as_bytes(), &Limits::DEFAULT).is_err(), "{name}");
            assert!(RawRequest::parse_json(text.as_bytes(), &Limits::DEFAULT).is_err(), "{name}");
            count += 1;
        }
    }
    assert!(count >= 8, "json.json has lost vectors");
}

#[test]
fn an_event_written_field_by_field_is_the_event_written_whole() {
    for (protocol, file) in BINARY {
        for vector in vectors(file).into_iter().filter(|vector| message_kind(vector) == Some(MessageKind::Event)) {
            let body = hex(vector["hex"].as_str().unwrap());
            let Read::Message(Message::Event(event)) = read(protocol, &vector, &body).unwrap() else { panic!() };
            for target in Protocol::ALL {
                let mut whole = Vec::new();
                Message::Event(event.clone()).encode(target, &mut whole).unwrap();
                let mut pieces = Vec::new();
                let count = event.parameters.len().try_into().unwrap();
                let mut writer = EventWriter::new(target, &mut pieces, event.code, count);
                for (index, (key, value)) in event.parameters.iter().enumerate() {
                    let payload = lampyris_wire::Payload::encode(target, value).unwrap();
                    match index % 2 {
                        0 => writer.value(key, value).unwrap(),
                        _ => writer.raw(key, payload.as_raw()),
                    }
                }
                writer.finish();
                assert_eq!(pieces, whole, "{file} {}", vector["name"]);
            }
        }
    }
}
