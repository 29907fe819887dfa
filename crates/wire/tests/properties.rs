//! What holds for every value and for every sequence of bytes. Failing cases are printed with their seed by proptest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use lampyris_wire::{
    Dictionary, DictionaryType, Event, Hashtable, Limits, Message, MessageHead, OperationRequest, OperationResponse,
    Parameters, Payload, Protocol, RawRequest, TypeCode, Value,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![any::<String>().prop_map(Arc::from), "[a-c]{0,2}".prop_map(Arc::from)]
}

fn body() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..12).prop_map(Bytes::from)
}

/// Numbers of every length of their variable form.
fn int() -> impl Strategy<Value = i32> {
    (any::<i32>(), 0..32_u32).prop_map(|(v, shift)| v >> shift)
}

fn long() -> impl Strategy<Value = i64> {
    (any::<i64>(), 0..64_u32).prop_map(|(v, shift)| v >> shift)
}

fn float() -> impl Strategy<Value = f32> {
    any::<u32>().prop_map(f32::from_bits)
}

fn double() -> impl Strategy<Value = f64> {
    prop_oneof![any::<u64>().prop_map(f64::from_bits), int().prop_map(f64::from)]
}

/// Scalars that can be keys of a typed dictionary, each under its declared type.
fn scalar(type_code: &TypeCode) -> BoxedStrategy<Value> {
    match type_code {
        TypeCode::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        TypeCode::Byte => any::<u8>().prop_map(Value::Byte).boxed(),
        TypeCode::Short => any::<i16>().prop_map(Value::Short).boxed(),
        TypeCode::Int => int().prop_map(Value::Int).boxed(),
        TypeCode::Long => long().prop_map(Value::Long).boxed(),
        TypeCode::Float => float().prop_map(Value::Float).boxed(),
        TypeCode::Double => double().prop_map(Value::Double).boxed(),
        _ => text().prop_map(Value::String).boxed(),
    }
}

fn key_type() -> impl Strategy<Value = TypeCode> {
    prop::sample::select(vec![
        TypeCode::Byte,
        TypeCode::Short,
        TypeCode::Int,
        TypeCode::Long,
        TypeCode::Float,
        TypeCode::Double,
        TypeCode::String,
    ])
}

fn number_array() -> BoxedStrategy<Value> {
    prop_oneof![
        body().prop_map(Value::ByteArray),
        vec(any::<bool>(), 0..20).prop_map(Value::BoolArray),
        vec(any::<i16>(), 0..5).prop_map(Value::ShortArray),
        vec(int(), 0..5).prop_map(Value::IntArray),
        vec(long(), 0..5).prop_map(Value::LongArray),
        vec(float(), 0..5).prop_map(Value::FloatArray),
        vec(double(), 0..5).prop_map(Value::DoubleArray),
        vec(text(), 0..4).prop_map(Value::StringArray),
        (any::<u8>(), vec(body(), 0..4)).prop_map(|(code, elements)| Value::CustomArray { code, elements }),
    ]
    .boxed()
}

fn leaf() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<u8>().prop_map(Value::Byte),
        any::<i16>().prop_map(Value::Short),
        int().prop_map(Value::Int),
        long().prop_map(Value::Long),
        float().prop_map(Value::Float),
        double().prop_map(Value::Double),
        text().prop_map(Value::String),
        (any::<u8>(), body()).prop_map(|(code, bytes)| Value::Custom { code, bytes }),
        number_array(),
    ]
    .boxed()
}

fn not_null(value: Value) -> Value {
    if value.is_null() { Value::Byte(0) } else { value }
}

fn table(inner: impl Strategy<Value = Value> + Clone) -> impl Strategy<Value = Hashtable> {
    vec((inner.clone().prop_map(not_null), inner), 0..4).prop_map(|entries| entries.into_iter().collect())
}

fn dictionary(key: TypeCode, value: TypeCode, entries: Vec<(Value, Value)>) -> Value {
    let types = DictionaryType { key, value };
    Value::Dictionary(Box::new(Dictionary { types, entries: entries.into_iter().collect() }))
}

fn parameters(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Parameters> {
    vec((any::<u8>(), inner), 0..4).prop_map(|entries| {
        entries.into_iter().fold(Parameters::new(), |parameters, (key, value)| parameters.with(key, value))
    })
}

/// Containers that both binary protocols carry without loss.
fn container(inner: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let typed = (key_type(), key_type()).prop_flat_map(|(key, value)| {
        vec((scalar(&key), scalar(&value)), 0..4).prop_map(move |e| dictionary(key.clone(), value.clone(), e))
    });
    let mixed_values = (key_type(), inner.clone()).prop_flat_map(|(key, value)| {
        (vec(scalar(&key), 0..4), Just(key)).prop_map(move |(keys, key)| {
            dictionary(key, TypeCode::Object, keys.into_iter().map(|key| (key, value.clone())).collect())
        })
    });
    let untyped = vec((inner.clone().prop_map(not_null), inner.clone()), 0..4)
        .prop_map(|entries| dictionary(TypeCode::Object, TypeCode::Object, entries));
    prop_oneof![
        vec(inner.clone(), 0..5).prop_map(Value::ObjectArray),
        table(inner.clone()).prop_map(Value::Hashtable),
        vec(table(inner.clone()), 0..3).prop_map(Value::HashtableArray),
        vec(vec(int(), 0..3).prop_map(Value::IntArray), 1..4).prop_map(Value::ArrayOfArrays),
        vec(vec(inner.clone(), 0..3).prop_map(Value::ObjectArray), 1..4).prop_map(Value::ArrayOfArrays),
        typed,
        mixed_values,
        untyped,
        (any::<u8>(), parameters(inner.clone())).prop_map(|(code, parameters)| {
            Value::OperationRequest(Box::new(OperationRequest { code, parameters }))
        }),
        (any::<u8>(), parameters(inner.clone()))
            .prop_map(|(code, parameters)| Value::Event(Box::new(Event { code, parameters }))),
        (any::<u8>(), any::<i16>(), any::<Option<String>>(), parameters(inner)).prop_map(
            |(code, return_code, text, parameters)| {
                let debug_message = text.filter(|text| !text.is_empty());
                Value::OperationResponse(Box::new(OperationResponse { code, return_code, debug_message, parameters }))
            }
        ),
    ]
    .boxed()
}

/// Values that both binary protocols carry without loss.
fn plain_value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(4, 40, 4, container)
}

/// Containers that change on their way through some protocol.
fn odd_container(inner: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let null_or_array = prop_oneof![Just(Value::Null), number_array()];
    let of_arrays = (key_type(), vec(vec(int(), 0..3), 0..3)).prop_flat_map(|(key, arrays)| {
        vec(scalar(&key), arrays.len()).prop_map(move |keys| {
            dictionary(
                key.clone(),
                TypeCode::IntArray,
                keys.into_iter().zip(arrays.iter().cloned().map(Value::IntArray)).collect(),
            )
        })
    });
    let nested = vec((any::<u8>(), vec((text(), int()), 0..3)), 0..3).prop_map(|outer| {
        let types = DictionaryType { key: TypeCode::String, value: TypeCode::Int };
        let inner = |entries: Vec<(Arc<str>, i32)>| {
            let entries = entries.into_iter().map(|(key, value)| (Value::from(key), Value::Int(value)));
            dictionary(TypeCode::String, TypeCode::Int, entries.collect())
        };
        let entries = outer.into_iter().map(|(key, entries)| (Value::Byte(key), inner(entries)));
        dictionary(TypeCode::Byte, TypeCode::Dictionary(Box::new(types)), entries.collect())
    });
    let jagged = vec((any::<u8>(), vec(vec(int(), 0..3).prop_map(Value::IntArray), 0..3)), 0..3).prop_map(|entries| {
        let entries = entries.into_iter().map(|(key, rows)| (Value::Byte(key), Value::ArrayOfArrays(rows)));
        dictionary(TypeCode::Byte, TypeCode::ArrayOfArrays(Box::new(TypeCode::IntArray)), entries.collect())
    });
    let array_of_dictionaries = vec(vec((text(), int()), 0..3), 0..3).prop_map(|elements| {
        let entries = |e: Vec<(Arc<str>, i32)>| -> IndexMap<Value, Value> {
            e.into_iter().map(|(key, value)| (Value::from(key), Value::Int(value))).collect()
        };
        Value::DictionaryArray {
            types: DictionaryType { key: TypeCode::String, value: TypeCode::Int },
            elements: elements.into_iter().map(entries).collect(),
        }
    });
    prop_oneof![
        container(inner),
        vec(null_or_array, 0..4).prop_map(Value::ArrayOfArrays),
        vec((any::<bool>(), int()), 0..3).prop_map(|entries| {
            let entries = entries.into_iter().map(|(key, value)| (Value::Bool(key), Value::Int(value)));
            dictionary(TypeCode::Bool, TypeCode::Int, entries.collect())
        }),
        of_arrays,
        nested,
        jagged,
        array_of_dictionaries,
    ]
    .boxed()
}

fn any_value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(4, 40, 4, odd_container)
}

const BINARY: [Protocol; 2] = [Protocol::GpBinaryV16, Protocol::GpBinaryV18];

fn encode(protocol: Protocol, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    protocol.encode_value(value, &mut out).unwrap();
    out
}

/// Skims `bytes` as the only parameter of a request; whether they are canonical, if they are accepted.
fn skim(protocol: Protocol, bytes: &[u8]) -> Option<bool> {
    let body = match protocol {
        Protocol::GpBinaryV16 => [&[1, 0, 1, 9], bytes].concat(),
        Protocol::GpBinaryV18 => [&[1, 1, 9], bytes].concat(),
        Protocol::Json => [b"~j~{\"req\":1,\"vals\":[9,", bytes, b"]}"].concat(),
    };
    let request = RawRequest::parse_body(protocol, false, &body, &Limits::DEFAULT).ok()?;
    let raw = request.parameters.get(9)?;
    (raw.bytes() == bytes).then(|| raw.is_canonical())
}

/// Decoder, skim and encoder say the same of `bytes`.
fn check_agreement(protocol: Protocol, bytes: &[u8]) {
    let decoded = protocol.decode_value(bytes, &Limits::DEFAULT);
    let skimmed = skim(protocol, bytes);
    let Ok(value) = decoded else {
        assert_eq!(skimmed, None, "only the skim accepts {bytes:02x?}");
        return;
    };
    let written = encode(protocol, &value);
    let canonical = written == bytes;
    match (protocol, skimmed) {
        // White space around a text is no part of the value.
        (Protocol::Json, None) => assert!(!canonical, "only the decoder accepts {bytes:02x?}"),
        _ => assert_eq!(skimmed, Some(canonical), "{protocol:?} {bytes:02x?} as {value:?}, written {written:02x?}"),
    }
    assert_eq!(skim(protocol, &written), Some(true), "{protocol:?} writes {written:02x?}");
    let again = protocol.decode_value(&written, &Limits::DEFAULT).unwrap();
    assert_eq!(encode(protocol, &again), written);
}

/// Whether JSON prints a number of `value` with more digits than JavaScript keeps.
fn has_long(value: &Value) -> bool {
    format!("{value:?}").contains("Long")
}

proptest! {
    #[test]
    fn plain_values_come_back_as_they_went(value in plain_value()) {
        for protocol in BINARY {
            let bytes = encode(protocol, &value);
            let decoded = protocol.decode_value(&bytes, &Limits::DEFAULT);
            prop_assert_eq!(decoded.as_ref(), Ok(&value));
        }
    }

    #[test]
    fn what_is_written_is_canonical_and_settles(value in any_value()) {
        for protocol in BINARY {
            check_agreement(protocol, &encode(protocol, &value));
        }
    }

    #[test]
    fn what_binary_clients_send_can_be_told_in_json(value in any_value()) {
        let mut bytes = Vec::new();
        if Protocol::Json.encode_value(&value, &mut bytes).is_ok() {
            prop_assert!(bytes.is_ascii());
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
            if !has_long(&value) {
                check_agreement(Protocol::Json, &bytes);
            }
        } else {
            prop_assert!(bytes.is_empty());
        }
    }

    #[test]
    fn payloads_convert_between_the_protocols(value in plain_value()) {
        for (from, to) in [(BINARY[0], BINARY[1]), (BINARY[1], BINARY[0])] {
            let payload = Payload::encode(from, &value).unwrap();
            let converted = payload.encode_for(to).unwrap();
            prop_assert_eq!(converted.bytes().as_ref(), encode(to, &value));
            prop_assert_eq!(&converted.decode().unwrap(), &value);
        }
    }

    #[test]
    fn no_part_of_a_value_is_a_value(value in any_value()) {
        for protocol in BINARY {
            let bytes = encode(protocol, &value);
            for end in 0..bytes.len() {
                prop_assert!(protocol.decode_value(&bytes[..end], &Limits::DEFAULT).is_err());
                prop_assert_eq!(skim(protocol, &bytes[..end]), None);
            }
        }
    }

    #[test]
    fn decoder_skim_and_encoder_agree_on_damaged_values(
        value in any_value(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for protocol in Protocol::ALL {
            let mut bytes = Vec::new();
            if protocol.encode_value(&value, &mut bytes).is_ok() {
                for (index, byte) in &damage {
                    let index = index.index(bytes.len());
                    bytes[index] = *byte;
                }
                check_agreement(protocol, &bytes);
            }
        }
    }

    #[test]
    fn decoder_skim_and_encoder_agree_on_noise(bytes in vec(prop_oneof![
        any::<u8>(),
        0_u8..35,
        64_u8..86,
        prop::sample::select(b"*obkilfdsxyzanhDceqp".to_vec()),
        prop::sample::select(b"{}[]:,\"\\0123456789.-+eEtrufalsn \n".to_vec()),
    ], 0..40)) {
        for protocol in Protocol::ALL {
            check_agreement(protocol, &bytes);
            let _ = Message::decode(protocol, &bytes, &Limits::DEFAULT);
        }
    }

    #[test]
    fn messages_come_back_as_they_went(
        code: u8, return_code: i16, text in any::<Option<String>>(), parameters in parameters(plain_value())
    ) {
        let debug_message = text.filter(|text| !text.is_empty());
        let request = OperationRequest { code, parameters: parameters.clone() };
        let response = OperationResponse { code, return_code, debug_message, parameters: parameters.clone() };
        for message in [
            Message::OperationRequest(request.clone()),
            Message::InternalRequest(request),
            Message::OperationResponse(response.clone()),
            Message::InternalResponse(response),
            Message::Event(Event { code, parameters }),
        ] {
            for protocol in BINARY {
                let mut bytes = Vec::new();
                message.encode(protocol, &mut bytes).unwrap();
                let decoded = Message::decode(protocol, &bytes, &Limits::DEFAULT);
                prop_assert_eq!(decoded.as_ref(), Ok(&message));
                for end in 0..bytes.len() {
                    prop_assert!(Message::decode(protocol, &bytes[..end], &Limits::DEFAULT).is_err());
                }
                let (head, body) = MessageHead::split(&bytes).unwrap();
                prop_assert_eq!(head, MessageHead { kind: message.kind(), encrypted: false });
                if let Message::OperationRequest(request) = &message {
                    let raw = RawRequest::parse_body(protocol, false, body, &Limits::DEFAULT).unwrap();
                    prop_assert_eq!(raw.code, request.code);
                    prop_assert_eq!(raw.parameters.len(), request.parameters.len());
                    for ((key, raw), (expected_key, value)) in raw.parameters.iter().zip(request.parameters.iter()) {
                        prop_assert!(raw.is_canonical());
                        prop_assert_eq!((key, &raw.decode().unwrap()), (expected_key, value));
                    }
                }
            }
        }
    }
}
