//! What becomes of a value on its way from one protocol to another.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use bytes::Bytes;
use lampyris_wire::{
    Dictionary, DictionaryType, Disconnect, EncodeError, Hashtable, Limits, Message, OperationResponse, Parameters,
    Payload, Protocol, TypeCode, Value,
};

const V16: Protocol = Protocol::GpBinaryV16;
const V18: Protocol = Protocol::GpBinaryV18;

fn through(protocol: Protocol, value: &Value) -> Value {
    Payload::encode(protocol, value).unwrap().decode().unwrap()
}

fn json(value: &Value) -> String {
    String::from_utf8(Payload::encode(Protocol::Json, value).unwrap().bytes().to_vec()).unwrap()
}

fn dictionary<const N: usize>(key: TypeCode, value: TypeCode, entries: [(Value, Value); N]) -> Value {
    let types = DictionaryType { key, value };
    Value::Dictionary(Box::new(Dictionary { types, entries: entries.into_iter().collect() }))
}

fn ints(numbers: &[i32]) -> Value {
    Value::IntArray(numbers.to_vec())
}

#[test]
fn v16_readers_get_declared_containers_as_objects() {
    let pair = || dictionary(TypeCode::Int, TypeCode::Int, [(Value::Int(1), Value::Int(2))]);
    let declared = DictionaryType { key: TypeCode::Int, value: TypeCode::Int };
    for (declared, entry) in [
        (TypeCode::IntArray, ints(&[1])),
        (TypeCode::ObjectArray, Value::ObjectArray(vec![Value::Null])),
        (TypeCode::StringArray, Value::StringArray(vec!["a".into()])),
        (TypeCode::Dictionary(Box::new(declared)), pair()),
        (TypeCode::ArrayOfArrays(Box::new(TypeCode::IntArray)), Value::ArrayOfArrays(vec![ints(&[1])])),
    ] {
        let sent = dictionary(TypeCode::Byte, declared, [(Value::Byte(1), entry.clone())]);
        assert_eq!(through(V18, &sent), sent);
        let seen = dictionary(TypeCode::Byte, TypeCode::Object, [(Value::Byte(1), entry)]);
        assert_eq!(through(V16, &sent), seen);
    }
    for (declared, entry) in [
        (TypeCode::ByteArray, Value::from(vec![1_u8])),
        (TypeCode::Hashtable, Value::from(Hashtable::from([(1_u8, 2_u8)]))),
    ] {
        let sent = dictionary(TypeCode::Byte, declared, [(Value::Byte(1), entry)]);
        assert_eq!(through(V16, &sent), sent);
    }
}

#[test]
fn v16_readers_get_arrays_of_arrays_that_they_can_read() {
    let objects = || Value::ObjectArray(vec![Value::Null]);
    let same = [
        Value::ArrayOfArrays(vec![ints(&[1]), ints(&[])]),
        Value::ArrayOfArrays(vec![objects(), objects()]),
        Value::ArrayOfArrays(vec![Value::ArrayOfArrays(vec![ints(&[1])])]),
    ];
    for value in same {
        assert_eq!(through(V16, &value), value);
    }
    let custom = |code| Value::CustomArray { code, elements: vec![Bytes::new()] };
    let changed = [
        vec![],
        vec![ints(&[1]), Value::Null],
        vec![ints(&[1]), Value::StringArray(vec![])],
        vec![Value::ByteArray(Bytes::new()), ints(&[])],
        vec![custom(1), custom(2)],
    ];
    for elements in changed {
        assert_eq!(through(V18, &Value::ArrayOfArrays(elements.clone())), Value::ArrayOfArrays(elements.clone()));
        assert_eq!(through(V16, &Value::ArrayOfArrays(elements.clone())), Value::ObjectArray(elements));
    }
}

#[test]
fn v18_readers_get_what_they_cannot_take_as_declared_as_objects() {
    let bools = dictionary(TypeCode::Bool, TypeCode::Int, [(Value::Bool(true), Value::Int(1))]);
    assert_eq!(through(V16, &bools), bools);
    let seen = dictionary(TypeCode::Object, TypeCode::Int, [(Value::Bool(true), Value::Int(1))]);
    assert_eq!(through(V18, &bools), seen);

    let custom = Value::Custom { code: 86, bytes: Bytes::from_static(&[1]) };
    let customs = dictionary(TypeCode::Int, TypeCode::Custom, [(Value::Int(1), custom.clone())]);
    assert_eq!(through(V16, &customs), customs);
    assert_eq!(through(V18, &customs), dictionary(TypeCode::Int, TypeCode::Object, [(Value::Int(1), custom)]));

    let rows = Value::ArrayOfArrays(vec![Value::ObjectArray(vec![])]);
    let declared = TypeCode::ArrayOfArrays(Box::new(TypeCode::ObjectArray));
    let jagged = dictionary(TypeCode::Int, declared, [(Value::Int(1), rows.clone())]);
    assert_eq!(through(V18, &jagged), dictionary(TypeCode::Int, TypeCode::Object, [(Value::Int(1), rows)]));
}

#[test]
fn entries_that_are_not_of_the_declared_type_are_refused() {
    for value in [Value::Null, Value::Byte(1), ints(&[])] {
        for protocol in [V16, V18] {
            let wrong = dictionary(TypeCode::Int, TypeCode::String, [(Value::Int(1), value.clone())]);
            let error = Payload::encode(protocol, &wrong).unwrap_err();
            assert_eq!(error, EncodeError::TypeMismatch { expected: "string", found: value.type_name() });
        }
    }
}

#[test]
fn null_keys_are_left_out() {
    let table = Value::from(Hashtable::from([(Value::Null, Value::Byte(1)), (Value::Byte(2), Value::Byte(3))]));
    let seen = Value::from(Hashtable::from([(2_u8, 3_u8)]));
    assert_eq!(through(V16, &table), seen);
    assert_eq!(through(V18, &table), seen);
    assert_eq!(json(&table), "{\"2\":3}");
}

#[test]
fn javascript_gets_numbers_texts_arrays_and_objects() {
    for (value, text) in [
        (Value::Long(1 << 40), "1099511627776"),
        (Value::Float(0.1), "0.1"),
        (Value::Double(1.0), "1"),
        (Value::Double(f64::NAN), "null"),
        (Value::Float(f32::NEG_INFINITY), "null"),
        (Value::from("a\"\\\n\u{1}é😀\u{7f}"), "\"a\\\"\\\\\\n\\u0001\\u00e9\\ud83d\\ude00\\u007f\""),
        (Value::from(vec![222_u8, 0]), "[222,0]"),
        (Value::BoolArray(vec![true, false]), "[true,false]"),
        (Value::ArrayOfArrays(vec![ints(&[1, -2]), Value::Null]), "[[1,-2],null]"),
        (Value::Custom { code: 1, bytes: Bytes::new() }, "null"),
        (Value::CustomArray { code: 1, elements: vec![Bytes::new(); 2] }, "[null,null]"),
        (
            Value::from(Hashtable::from([(Value::Byte(255), "a"), (Value::Int(-1), "b")])),
            "{\"255\":\"a\",\"-1\":\"b\"}",
        ),
        (Value::from(Hashtable::from([(Value::Bool(true), 1)])), "{\"True\":1}"),
        (Value::from(Hashtable::from([(Value::Double(1.5), 1)])), "{\"1.5\":1}"),
    ] {
        assert_eq!(json(&value), text);
    }
}

#[test]
fn of_keys_with_the_same_text_javascript_gets_the_last() {
    let table = Hashtable::from([(Value::Byte(1), "byte"), (Value::from("x"), "x"), (Value::Int(1), "int")]);
    assert_eq!(json(&Value::from(table)), "{\"1\":\"int\",\"x\":\"x\"}");
}

#[test]
fn binary_clients_get_doubles_objects_and_string_keys_from_javascript() {
    let text = br#"{"1":[1,"a",null,true],"k":1.5}"#;
    let value = Protocol::Json.decode_value(text, &Limits::DEFAULT).unwrap();
    let list = Value::ObjectArray(vec![Value::Double(1.0), Value::from("a"), Value::Null, Value::Bool(true)]);
    let expected = Value::from(Hashtable::from([(Value::from("1"), list), (Value::from("k"), Value::Double(1.5))]));
    assert_eq!(value, expected);
    for protocol in [V16, V18] {
        assert_eq!(through(protocol, &value), expected);
    }
}

#[test]
fn json_messages_have_the_members_that_javascript_clients_read() {
    let response = OperationResponse {
        code: 1,
        return_code: 0,
        debug_message: None,
        parameters: Parameters::from([(1, 3001), (2, 123_456)]),
    };
    let text = |message: &Message| {
        let mut out = Vec::new();
        message.encode(Protocol::Json, &mut out).map(|()| String::from_utf8(out).unwrap())
    };
    assert_eq!(
        text(&Message::InternalResponse(response)).as_deref(),
        Ok("~j~{\"irs\":1,\"err\":0,\"msg\":null,\"vals\":[1,3001,2,123456]}")
    );
    let disconnect = Disconnect { code: 1, debug_message: None, parameters: Parameters::new() };
    assert!(matches!(text(&Message::Disconnect(disconnect.clone())), Err(EncodeError::NoForm { .. })));
    for protocol in [V16, V18] {
        let message = Message::Disconnect(disconnect.clone());
        let mut out = Vec::new();
        message.encode(protocol, &mut out).unwrap();
        assert_eq!(Message::decode(protocol, &out, &Limits::DEFAULT), Ok(message));
    }
}
