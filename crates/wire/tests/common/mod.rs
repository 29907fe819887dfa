//! Reading the vector files.

use lampyris_wire::{Dictionary, MessageKind, Parameters, TypeCode, Value};
use serde_json::Value as Json;

pub(crate) fn vectors(file: &str) -> Vec<Json> {
    let path = format!("{}/../../vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    match serde_json::from_str(&text).unwrap() {
        Json::Array(vectors) => vectors,
        _ => panic!("{file} is not a list"),
    }
}

/// Bytes from hexadecimal text; blanks are skipped.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d.try_into().unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub(crate) fn is_message(type_name: &str) -> bool {
    matches!(type_name, "operation-request" | "operation-response" | "event")
}

/// The kind of message that a vector's bytes are the body of, if they are not a value.
pub(crate) fn message_kind(vector: &Json) -> Option<MessageKind> {
    match vector["type"].as_str().unwrap() {
        "operation-request" => Some(MessageKind::OperationRequest),
        "operation-response" => Some(MessageKind::OperationResponse),
        "event" => Some(MessageKind::Event),
        _ => None,
    }
}

/// The elements of an array, spelled out or as one that repeats.
fn elements(json: &Json) -> Vec<Json> {
    match &json["repeat"] {
        Json::Null => json["v"].as_array().unwrap().clone(),
        repeat => {
            let n = repeat["n"].as_u64().unwrap().try_into().unwrap();
            std::iter::repeat_n(repeat["v"].clone(), n).collect()
        }
    }
}

fn bits(text: &str) -> u64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}

fn long(json: &Json) -> i64 {
    json.as_str().unwrap().parse().unwrap()
}

fn bytes(json: &Json) -> Vec<u8> {
    match json["hex"].as_str() {
        Some(text) => hex(text),
        None => elements(json).iter().map(|v| v.as_u64().unwrap().try_into().unwrap()).collect(),
    }
}

fn text(json: &Json) -> String {
    match &json["repeat"] {
        Json::Null => json["v"].as_str().unwrap().to_owned(),
        repeat => repeat["v"].as_str().unwrap().repeat(repeat["n"].as_u64().unwrap().try_into().unwrap()),
    }
}

/// Whether `value` is what the vector's `json` describes.
pub(crate) fn matches(value: &Value, json: &Json) -> bool {
    let kind = json["t"].as_str().unwrap();
    let all = |list: &[Value]| {
        let expected = elements(json);
        list.len() == expected.len() && list.iter().zip(&expected).all(|(v, json)| matches(v, json))
    };
    match value {
        Value::Null => kind == "null",
        Value::Bool(v) => kind == "bool" && json["v"] == *v,
        Value::Byte(v) => kind == "byte" && json["v"] == *v,
        Value::Short(v) => kind == "short" && json["v"] == *v,
        Value::Int(v) => kind == "int" && json["v"] == *v,
        Value::Long(v) => kind == "long" && long(&json["v"]) == *v,
        Value::Float(v) => kind == "float" && bits(json["bits"].as_str().unwrap()) == u64::from(v.to_bits()),
        Value::Double(v) => kind == "double" && bits(json["bits"].as_str().unwrap()) == v.to_bits(),
        Value::String(v) => kind == "string" && text(json) == **v,
        Value::Custom { code, bytes: body } => kind == "custom" && json["code"] == *code && bytes(json) == **body,
        Value::ByteArray(v) => kind == "byte[]" && bytes(json) == **v,
        Value::BoolArray(v) => kind == "bool[]" && v.iter().map(|v| Json::from(*v)).eq(elements(json)),
        Value::ShortArray(v) => kind == "short[]" && v.iter().map(|v| Json::from(*v)).eq(elements(json)),
        Value::IntArray(v) => kind == "int[]" && v.iter().map(|v| Json::from(*v)).eq(elements(json)),
        Value::LongArray(v) => kind == "long[]" && v.iter().copied().eq(elements(json).iter().map(long)),
        Value::FloatArray(v) => {
            let expected = elements(json);
            kind == "float[]"
                && v.iter().map(|v| u64::from(v.to_bits())).eq(expected.iter().map(|v| bits(v.as_str().unwrap())))
        }
        Value::DoubleArray(v) => {
            let expected = elements(json);
            kind == "double[]" && v.iter().map(|v| v.to_bits()).eq(expected.iter().map(|v| bits(v.as_str().unwrap())))
        }
        Value::StringArray(v) => kind == "string[]" && v.iter().map(|v| Json::from(v.as_ref())).eq(elements(json)),
        Value::CustomArray { code, elements: bodies } => {
            let expected = elements(json);
            kind == "custom[]"
                && json["code"] == *code
                && bodies.iter().map(|body| body.to_vec()).eq(expected.iter().map(|v| hex(v.as_str().unwrap())))
        }
        Value::ObjectArray(list) => kind == "object[]" && all(list),
        Value::ArrayOfArrays(list) => (kind == "array[]" || kind.ends_with("[][]")) && all(list),
        Value::HashtableArray(tables) => {
            kind == "hashtable[]" && all(&tables.iter().cloned().map(Value::Hashtable).collect::<Vec<_>>())
        }
        Value::DictionaryArray { types, elements } => {
            let dictionary = |entries: &indexmap::IndexMap<Value, Value>| {
                Value::Dictionary(Box::new(Dictionary { types: types.clone(), entries: entries.clone() }))
            };
            kind.starts_with("dict<") && all(&elements.iter().map(dictionary).collect::<Vec<_>>())
        }
        Value::Hashtable(table) => kind == "hashtable" && entries_match(table.iter(), json),
        Value::Dictionary(dictionary) => {
            kind == "dict"
                && type_matches(&dictionary.types.key, json["k"].as_str().unwrap())
                && type_matches(&dictionary.types.value, json["vt"].as_str().unwrap())
                && entries_match(dictionary.entries.iter(), json)
        }
        Value::OperationRequest(m) => {
            kind.ends_with("-request") && json["op"] == m.code && parameters_match(&m.parameters, json)
        }
        Value::Event(m) => kind == "event" && json["code"] == m.code && parameters_match(&m.parameters, json),
        Value::OperationResponse(m) => {
            kind == "operation-response"
                && json["op"] == m.code
                && json["return"] == m.return_code
                && json["debug"].as_str().filter(|text| !text.is_empty()) == m.debug_message.as_deref()
                && parameters_match(&m.parameters, json)
        }
    }
}

fn entries_match<'a>(entries: impl ExactSizeIterator<Item = (&'a Value, &'a Value)>, json: &Json) -> bool {
    let expected = json["v"].as_array().unwrap();
    entries.len() == expected.len()
        && entries.zip(expected).all(|((key, value), pair)| matches(key, &pair[0]) && matches(value, &pair[1]))
}

fn parameters_match(parameters: &Parameters, json: &Json) -> bool {
    let expected = json["params"].as_array().unwrap();
    parameters.len() == expected.len()
        && parameters.iter().zip(expected).all(|((key, value), pair)| pair[0] == key && matches(value, &pair[1]))
}

fn type_matches(type_code: &TypeCode, name: &str) -> bool {
    match type_code {
        TypeCode::Dictionary(types) => match name.strip_prefix("dict<").and_then(|rest| rest.strip_suffix('>')) {
            Some(inner) => {
                let (key, value) = inner.split_once(',').unwrap();
                type_matches(&types.key, key) && type_matches(&types.value, value)
            }
            None => name == "dict",
        },
        TypeCode::ArrayOfArrays(inner) => name.strip_suffix("[]").is_some_and(|name| type_matches(inner, name)),
        // Arrays of custom types cannot be declared.
        TypeCode::Object => name == "object" || name.starts_with("custom:"),
        simple => simple.name() == name,
    }
}
