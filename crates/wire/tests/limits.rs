//! Hostile bytes, and every limit just below, at and just above.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::sync::Arc;

use lampyris_wire::{
    DecodeError, EncodeError, Hashtable, Limits, Message, MessageHead, MessageKind, OperationRequest, Parameters,
    Protocol, RawRequest, Value,
};

const BINARY: [Protocol; 2] = [Protocol::GpBinaryV16, Protocol::GpBinaryV18];

fn encode(protocol: Protocol, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    protocol.encode_value(value, &mut out).unwrap();
    out
}

/// Decodes and skims; both must say the same.
fn check(protocol: Protocol, bytes: &[u8], limits: &Limits) -> Result<Value, DecodeError> {
    let decoded = protocol.decode_value(bytes, limits);
    let body = match protocol {
        Protocol::GpBinaryV16 => [&[1, 0, 1, 9], bytes].concat(),
        Protocol::GpBinaryV18 => [&[1, 1, 9], bytes].concat(),
        Protocol::Json => [b"~j~{\"req\":1,\"vals\":[9,", bytes, b"]}"].concat(),
    };
    // The wrapping must not be what goes over the limit.
    let limits = Limits { message_bytes: limits.message_bytes.saturating_add(body.len() - bytes.len()), ..*limits };
    let skimmed = RawRequest::parse_body(protocol, false, &body, &limits);
    assert_eq!(decoded.is_ok(), skimmed.is_ok(), "{protocol:?}: {decoded:?} but {skimmed:?}");
    decoded
}

fn nest(levels: u32) -> Value {
    (0..levels).fold(Value::Byte(1), |inner, _| Value::ObjectArray(vec![inner]))
}

#[test]
fn nesting_is_taken_up_to_the_limit_and_no_further() {
    let limits = Limits { depth: 5, ..Limits::DEFAULT };
    for protocol in Protocol::ALL {
        for levels in [0, 4, 5] {
            assert!(check(protocol, &encode(protocol, &nest(levels)), &limits).is_ok(), "{protocol:?} {levels}");
        }
        let error = check(protocol, &encode(protocol, &nest(6)), &limits).unwrap_err();
        assert!(matches!(error, DecodeError::TooDeep { limit: 5, .. }), "{protocol:?} {error}");
    }
}

#[test]
fn nesting_bombs_of_every_kind_are_refused() {
    let bombs: [(Protocol, &[u8]); 12] = [
        (Protocol::GpBinaryV16, b"z\0\x01"),
        (Protocol::GpBinaryV16, b"h\0\x01*"),
        (Protocol::GpBinaryV16, b"h\0\x01"),
        (Protocol::GpBinaryV16, b"D\0\0\0\x01b\0"),
        (Protocol::GpBinaryV16, b"q\0\0\x01\0"),
        (Protocol::GpBinaryV18, &[23, 1]),
        (Protocol::GpBinaryV18, &[64, 1]),
        (Protocol::GpBinaryV18, &[21, 1, 8]),
        (Protocol::GpBinaryV18, &[20, 3, 0, 1, 1]),
        (Protocol::GpBinaryV18, &[26, 0, 1, 0]),
        (Protocol::Json, b"["),
        (Protocol::Json, b"{\"\":"),
    ];
    for (protocol, level) in bombs {
        let error = check(protocol, &level.repeat(20_000), &Limits::DEFAULT).unwrap_err();
        assert!(matches!(error, DecodeError::TooDeep { limit: 32, .. }), "{protocol:?} {level:02x?}: {error}");
    }
}

#[test]
fn headers_of_nested_types_count_as_nesting() {
    for level in [[20, 3], [64, 64]] {
        let mut bytes = vec![20, 3];
        bytes.extend(level.repeat(100_000));
        let error = check(Protocol::GpBinaryV18, &bytes, &Limits::DEFAULT).unwrap_err();
        assert!(matches!(error, DecodeError::TooDeep { .. }), "{error}");
    }
    let error =
        check(Protocol::GpBinaryV16, &[b"y\0\x01y".as_slice(), &b"\0\x01y".repeat(99)].concat(), &Limits::DEFAULT);
    assert!(matches!(error, Err(DecodeError::TooDeep { .. })), "{error:?}");
}

#[test]
fn values_are_counted_up_to_the_limit_and_no_further() {
    // The value itself is one, its elements are the others.
    let limits = Limits { values: 5, ..Limits::DEFAULT };
    let texts = |count| Value::StringArray(vec![Arc::from(""); count]);
    let nulls = |count| Value::ObjectArray(vec![Value::Null; count]);
    let table = |count: u8| Value::Hashtable((0..count).map(|key| (key, key)).collect());
    for protocol in Protocol::ALL {
        for fits in [texts(3), texts(4), nulls(4), table(2)] {
            assert!(check(protocol, &encode(protocol, &fits), &limits).is_ok(), "{protocol:?} {fits:?}");
        }
        for many in [texts(5), nulls(5), table(3)] {
            let error = check(protocol, &encode(protocol, &many), &limits).unwrap_err();
            assert!(matches!(error, DecodeError::TooManyValues { limit: 5, .. }), "{protocol:?} {many:?} {error}");
        }
    }
    for protocol in BINARY {
        let numbers = Value::IntArray(vec![1; 1000]);
        assert!(check(protocol, &encode(protocol, &numbers), &limits).is_ok(), "numbers count as one value");
    }
}

#[test]
fn elements_without_bytes_are_counted() {
    let nulls = [b"y\x7F\xFF*".as_slice(), b"y\x7F\xFF\0"];
    for bytes in nulls {
        assert!(check(Protocol::GpBinaryV16, bytes, &Limits::DEFAULT).is_ok());
        let limits = Limits { values: 32_767, ..Limits::DEFAULT };
        assert!(matches!(
            check(Protocol::GpBinaryV16, bytes, &limits),
            Err(DecodeError::TooManyValues { limit: 32_767, .. })
        ));
    }
    // A dictionary whose keys and values are all the zero of their type.
    let error = check(Protocol::GpBinaryV18, &[20, 30, 30, 2], &Limits::DEFAULT).unwrap_err();
    assert!(matches!(error, DecodeError::DuplicateKey { .. }), "{error}");
    let error = check(Protocol::GpBinaryV18, &[20, 30, 30, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F], &Limits::DEFAULT);
    assert!(matches!(error, Err(DecodeError::TooManyValues { .. })), "{error:?}");
}

#[test]
fn strings_bodies_and_messages_are_taken_up_to_their_limits() {
    let limits = Limits { string_bytes: 4, custom_bytes: 3, ..Limits::DEFAULT };
    for protocol in Protocol::ALL {
        assert!(check(protocol, &encode(protocol, &Value::from("abcd")), &limits).is_ok());
        let error = check(protocol, &encode(protocol, &Value::from("abcde")), &limits).unwrap_err();
        assert!(matches!(error, DecodeError::TooLong { found: 5, limit: 4, .. }), "{protocol:?} {error}");

        let bytes = encode(protocol, &Value::from("ab"));
        let exact = Limits { message_bytes: bytes.len(), ..Limits::DEFAULT };
        let short = Limits { message_bytes: bytes.len() - 1, ..Limits::DEFAULT };
        assert!(check(protocol, &bytes, &exact).is_ok());
        assert!(matches!(check(protocol, &bytes, &short), Err(DecodeError::TooLong { what: "a message", .. })));
    }
    for protocol in BINARY {
        let custom = |len: usize| encode(protocol, &Value::Custom { code: 7, bytes: vec![0; len].into() });
        assert!(check(protocol, &custom(3), &limits).is_ok());
        assert!(matches!(check(protocol, &custom(4), &limits), Err(DecodeError::TooLong { found: 4, limit: 3, .. })));
    }
}

#[test]
fn replacing_invalid_utf8_must_not_make_a_string_too_long() {
    let limits = Limits { string_bytes: 6, ..Limits::DEFAULT };
    assert!(check(Protocol::GpBinaryV18, &[7, 2, 0xFF, 0xFF], &limits).is_ok());
    assert!(matches!(
        check(Protocol::GpBinaryV18, &[7, 3, 0xFF, 0xFF, 0xFF], &limits),
        Err(DecodeError::TooLong { found: 9, limit: 6, .. })
    ));
}

#[test]
fn counts_beyond_the_input_are_refused_before_anything_is_allocated() {
    let v16: [&[u8]; 6] =
        [b"z\x7F\xFF*", b"h\x7F\xFF*", b"y\x7F\xFFs", b"y\x7F\xFFh", b"Dii\x7F\xFF", b"y\x7F\xFFc\x01"];
    let v18: [&[u8]; 7] = [&[23], &[21], &[71], &[73], &[74], &[85], &[64]];
    let huge = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F];
    let all = v16
        .iter()
        .map(|bytes| (Protocol::GpBinaryV16, bytes.to_vec()))
        .chain(v18.iter().map(|code| (Protocol::GpBinaryV18, [code, huge.as_slice()].concat())));
    for (protocol, bytes) in all {
        let error = check(protocol, &bytes, &Limits::DEFAULT).unwrap_err();
        assert!(matches!(error, DecodeError::CountTooLarge { .. }), "{protocol:?} {bytes:02x?} {error}");
    }
    for code in [67, 68, 69, 70, 66] {
        let error = check(Protocol::GpBinaryV18, &[[code].as_slice(), &huge].concat(), &Limits::DEFAULT).unwrap_err();
        assert!(matches!(error, DecodeError::Truncated { .. }), "{code} {error}");
    }
}

#[test]
fn negative_counts_are_refused() {
    for bytes in
        [b"s\xFF\xFF".as_slice(), b"x\xFF\xFF\xFF\xFF", b"y\x80\0i", b"z\xFF\xFF", b"h\xFF\xFF", b"c\x05\xFF\xFF"]
    {
        let error = check(Protocol::GpBinaryV16, bytes, &Limits::DEFAULT).unwrap_err();
        assert!(matches!(error, DecodeError::NegativeCount { .. }), "{error}");
    }
}

#[test]
fn variable_integers_may_not_be_longer_or_wider_than_their_type() {
    let check = |bytes: &[u8]| check(Protocol::GpBinaryV18, bytes, &Limits::DEFAULT);
    assert_eq!(check(&[9, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]), Ok(Value::Int(i32::MIN)));
    assert!(matches!(check(&[9, 0xFF, 0xFF, 0xFF, 0xFF, 0x1F]), Err(DecodeError::VarintOverflow { bits: 32, .. })));
    assert!(matches!(check(&[9, 0x80, 0x80, 0x80, 0x80, 0x80, 0]), Err(DecodeError::VarintOverflow { .. })));
    let long = |last| [[10].as_slice(), &[0xFF; 9], &[last]].concat();
    assert_eq!(check(&long(1)), Ok(Value::Long(i64::MIN)));
    assert!(matches!(check(&long(2)), Err(DecodeError::VarintOverflow { bits: 64, .. })));
}

#[test]
fn parameters_may_not_repeat_a_key() {
    let bodies: [(Protocol, &[u8]); 3] = [
        (Protocol::GpBinaryV16, &[1, 0, 2, 9, b'*', 9, b'*']),
        (Protocol::GpBinaryV18, &[1, 2, 9, 8, 9, 8]),
        (Protocol::Json, b"~j~{\"req\":1,\"vals\":[9,null,9,null]}"),
    ];
    for (protocol, body) in bodies {
        let built = Message::decode_body(protocol, MessageKind::OperationRequest, body, &Limits::DEFAULT).unwrap_err();
        let skimmed = RawRequest::parse_body(protocol, false, body, &Limits::DEFAULT).unwrap_err();
        assert!(matches!(built, DecodeError::DuplicateParameter { key: 9, .. }), "{built}");
        assert_eq!(built, skimmed);
    }
}

#[test]
fn tables_of_any_size_find_repeated_keys() {
    // Up to 16 keys are compared as bytes, more are built; a key in a longer form than needed is built too.
    for count in [2_u8, 15, 16, 17, 40] {
        let entries = |last: [u8; 2]| {
            let keys = (1..count).flat_map(|key| [11, key, 8]);
            [[21, count].as_slice(), &keys.collect::<Vec<_>>(), &last, &[8]].concat()
        };
        let distinct = check(Protocol::GpBinaryV18, &entries([11, count]), &Limits::DEFAULT).unwrap();
        let repeated = check(Protocol::GpBinaryV18, &entries([11, 1]), &Limits::DEFAULT).unwrap();
        assert_eq!(distinct.as_hashtable().map(Hashtable::len), Some(count.into()));
        assert_eq!(repeated.as_hashtable().map(Hashtable::len), Some(usize::from(count) - 1), "last wins");

        let dictionary = |last: u8| {
            let keys = (1..count).map(|key| key << 1).chain([last]).flat_map(|key| [key, 8]);
            [[20, 9, 0, count].as_slice(), &keys.collect::<Vec<_>>()].concat()
        };
        assert!(check(Protocol::GpBinaryV18, &dictionary(count << 1), &Limits::DEFAULT).is_ok());
        let error = check(Protocol::GpBinaryV18, &dictionary(2), &Limits::DEFAULT).unwrap_err();
        assert!(matches!(error, DecodeError::DuplicateKey { .. }), "{count} {error}");
    }
    let other_form_of_the_same_key = [20, 9, 0, 2, 2, 8, 0x82, 0, 8];
    let error = check(Protocol::GpBinaryV18, &other_form_of_the_same_key, &Limits::DEFAULT).unwrap_err();
    assert!(matches!(error, DecodeError::DuplicateKey { .. }), "{error}");
}

#[test]
fn bytes_left_over_are_refused() {
    for protocol in Protocol::ALL {
        let message = Message::OperationRequest(OperationRequest { code: 1, parameters: Parameters::new() });
        let mut bytes = Vec::new();
        message.encode(protocol, &mut bytes).unwrap();
        bytes.push(b'x');
        let error = Message::decode(protocol, &bytes, &Limits::DEFAULT).unwrap_err();
        assert!(matches!(error, DecodeError::TrailingBytes { count: 1, .. }), "{protocol:?} {error}");
    }
    let (value, used) = Protocol::GpBinaryV18.decode_value_prefix(&[11, 5, 99], &Limits::DEFAULT).unwrap();
    assert_eq!((value, used), (Value::Int(5), 2));
}

#[test]
fn heads_are_split_and_refused_by_name() {
    assert_eq!(
        MessageHead::split(&[0xF3, 0x82, 7]),
        Ok((MessageHead { kind: MessageKind::OperationRequest, encrypted: true }, [7].as_slice()))
    );
    assert!(matches!(MessageHead::split(&[0xF3]), Err(DecodeError::Truncated { .. })));
    assert!(matches!(MessageHead::split(&[0xF4, 2]), Err(DecodeError::Unexpected { offset: 0, .. })));
    assert!(matches!(MessageHead::split(&[0xF3, 10]), Err(DecodeError::Unexpected { offset: 1, .. })));
    let encrypted = Message::decode(Protocol::GpBinaryV18, &[0xF3, 0x82, 1, 0], &Limits::DEFAULT);
    assert_eq!(encrypted, Err(DecodeError::Encrypted));
    let raw = Message::decode(Protocol::GpBinaryV18, &[0xF3, 9, 1, 0], &Limits::DEFAULT);
    assert_eq!(raw, Err(DecodeError::UnexpectedKind { kind: MessageKind::RawMessage }));
    let init_response = Message::decode(Protocol::GpBinaryV16, &[0xF3, 1, 0], &Limits::DEFAULT);
    assert_eq!(init_response, Ok(Message::InitResponse));
}

#[test]
fn malformed_json_messages_are_refused() {
    for text in [
        "",
        "{}",
        "~j~",
        "~j~[]",
        "~j~{}",
        "~j~{\"req\":1,\"req\":2,\"vals\":[]}",
        "~j~{\"req\":1,\"irq\":1,\"vals\":[]}",
        "~j~{\"req\":1,\"vals\":[],\"vals\":[]}",
        "~j~{\"req\":1.5,\"vals\":[]}",
        "~j~{\"req\":1,\"vals\":[1.5,1]}",
        "~j~{\"req\":1,\"vals\":[-1,1]}",
        "~j~{\"req\":1,\"vals\":[1,01]}",
        "~j~{\"req\":1,\"vals\":[1,1e999]}",
        "~j~{\"req\":1,\"vals\":[1,1.]}",
        "~j~{\"req\":1,\"vals\":[1,.5]}",
        "~j~{\"req\":1,\"vals\":[1,+5]}",
        "~j~{\"req\":1,\"vals\":[1,NaN]}",
        "~j~{\"req\":1,\"vals\":[1,[1,]]}",
        "~j~{\"req\":1,\"vals\":[1,{\"a\":1,}]}",
        "~j~{\"req\":1,\"vals\":[1,{a:1}]}",
        "~j~{\"req\":1,\"vals\":[1,'a']}",
        "~j~{\"req\":1,\"vals\":[1,True]}",
        "~j~{\"req\":1,\"vals\":[1,2],}",
        "~j~{\"req\":1,\"vals\":[1,2]",
    ] {
        assert!(Message::decode(Protocol::Json, text.as_bytes(), &Limits::DEFAULT).is_err(), "{text}");
        assert!(RawRequest::parse_json(text.as_bytes(), &Limits::DEFAULT).is_err(), "{text}");
    }
    let spaced = " { \"vals\" : [ 1 , { \"a\" : [ 1 , 2 ] } ] , \"x\" : [ ] , \"req\" : 7 } ";
    let text = format!("~j~{spaced}");
    let raw = RawRequest::parse_json(text.as_bytes(), &Limits::DEFAULT).unwrap();
    assert_eq!((raw.code, raw.parameters.get(1).unwrap().bytes()), (7, b"{ \"a\" : [ 1 , 2 ] }".as_slice()));
    assert_eq!(raw.parameters.get(1).unwrap().to_payload().unwrap().bytes().as_ref(), b"{\"a\":[1,2]}");
}

#[test]
fn lengths_that_a_protocol_cannot_say_are_refused_and_leave_nothing_behind() {
    let text = |len: usize| Value::from("x".repeat(len));
    let nulls = |len: usize| Value::ObjectArray(vec![Value::Null; len]);
    let mut out = vec![1, 2, 3];
    for protocol in BINARY {
        assert!(protocol.encode_value(&text(32_767), &mut Vec::new()).is_ok());
        let nested = Value::ObjectArray(vec![Value::Byte(1), text(32_768)]);
        let error = protocol.encode_value(&nested, &mut out).unwrap_err();
        assert!(matches!(error, EncodeError::TooLong { found: 32_768, limit: 32_767, .. }), "{error}");
        assert_eq!(out, [1, 2, 3]);
    }
    assert!(Protocol::GpBinaryV16.encode_value(&nulls(32_767), &mut Vec::new()).is_ok());
    assert!(Protocol::GpBinaryV16.encode_value(&nulls(32_768), &mut out).is_err());
    assert!(Protocol::GpBinaryV18.encode_value(&nulls(32_768), &mut Vec::new()).is_ok());

    let all_keys = (0..=u8::MAX).fold(Parameters::new(), |parameters, key| parameters.with(key, key));
    let message = Message::OperationRequest(OperationRequest { code: 1, parameters: all_keys });
    assert!(message.encode(Protocol::GpBinaryV16, &mut Vec::new()).is_ok());
    let error = message.encode(Protocol::GpBinaryV18, &mut out).unwrap_err();
    assert!(matches!(error, EncodeError::TooLong { found: 256, limit: 255, .. }), "{error}");
    assert_eq!(out, [1, 2, 3]);
}
