//! What must hold for all input, shared by the targets of one parser.

pub mod stream;

use lampyris_wire::{Limits, Message, MessageHead, MessageKind, Payload, Protocol, RawRequest};

/// Reads `bytes` as a value, as the body of a request and as a whole message. The decoder, the skim and the encoder must
/// agree on what is well formed and on what is canonical, and what was read must be tellable to the other protocols or
/// be refused.
pub fn wire(protocol: Protocol, bytes: &[u8]) {
    value(protocol, bytes);
    request(protocol, bytes);
    let limits = Limits::DEFAULT;
    if let Ok(message) = Message::decode(protocol, bytes, &limits) {
        let mut written = Vec::new();
        message.encode(protocol, &mut written).expect("what was read can be written");
        let again = Message::decode(protocol, &written, &limits).expect("what was written can be read");
        let mut settled = Vec::new();
        again.encode(protocol, &mut settled).expect("what was read can be written");
        assert_eq!(written, settled);
    }
}

fn value(protocol: Protocol, bytes: &[u8]) {
    let Ok(value) = protocol.decode_value(bytes, &Limits::DEFAULT) else { return };
    let payload = Payload::encode(protocol, &value).expect("what was read can be written");
    let again = payload.decode().expect("what was written can be read");
    assert_eq!(Payload::encode(protocol, &again).expect("and written again").bytes(), payload.bytes());
    for other in Protocol::ALL {
        if let Ok(converted) = payload.encode_for(other) {
            converted.decode().expect("what was converted can be read");
        }
    }
}

fn request(protocol: Protocol, body: &[u8]) {
    let limits = Limits::DEFAULT;
    let skimmed = RawRequest::parse_body(protocol, false, body, &limits);
    let built = Message::decode_body(protocol, MessageKind::OperationRequest, body, &limits);
    let (Ok(raw), Ok(message)) = (&skimmed, &built) else {
        // JSON says for itself what it is, and only requests are skimmed.
        let other_kind =
            matches!(built, Ok(Message::OperationResponse(_) | Message::InternalResponse(_) | Message::Event(_)));
        assert!(skimmed.is_err() && (built.is_err() || other_kind), "{skimmed:?} {built:?}");
        return;
    };
    let (Message::OperationRequest(request) | Message::InternalRequest(request)) = message else {
        panic!("a request was read as {message:?}");
    };
    assert_eq!((raw.code, raw.parameters.len()), (request.code, request.parameters.len()));
    for ((key, raw), (expected_key, expected)) in raw.parameters.iter().zip(request.parameters.iter()) {
        let value = raw.decode().expect("the skim accepted it");
        assert_eq!((key, &value), (expected_key, expected));
        let written = Payload::encode(protocol, &value).expect("what was read can be written");
        assert_eq!(raw.is_canonical(), written.bytes() == raw.bytes(), "{raw:?} {value:?}");
    }
    let head = MessageHead { kind: message.kind(), encrypted: false };
    let mut whole = Vec::new();
    if protocol != Protocol::Json {
        head.write(&mut whole);
    }
    whole.extend_from_slice(body);
    assert_eq!(Message::decode(protocol, &whole, &limits).as_ref(), Ok(message));
}
