//! Property tables of rooms and actors: well-known keys, normalisation, comparison, sizes.
//!
//! Well-known properties have byte keys. JavaScript clients spell such a key as text (`"255"`), some C# callers as
//! `int`; [`game`] and [`actor`] turn both into the byte and give the value its one type. Everything else stays
//! exactly as it came.

use std::fmt;

use lampyris_wire::{Hashtable, Value, coerce};

use crate::codes::Refusal;

/// Well-known keys of a room's properties.
pub mod room_key {
    numbers! {
        /// `byte`: most players, 0 for no limit.
        MAX_PLAYERS = 255;
        /// `bool`: shown in the lobby and found by random joins.
        IS_VISIBLE = 254;
        /// `bool`: can be joined.
        IS_OPEN = 253;
        /// `byte`: number of players; the master server's, in lists.
        PLAYER_COUNT = 252;
        /// `bool`: gone; the master server's, in lists.
        REMOVED = 251;
        /// `string[]`: keys that the lobby shows, null for all.
        PROPS_LISTED_IN_LOBBY = 250;
        /// `bool`: informational.
        CLEANUP_CACHE_ON_LEAVE = 249;
        /// `int`: actor number of the master client.
        MASTER_CLIENT_ID = 248;
        /// `string[]`: user ids with a reserved slot.
        EXPECTED_USERS = 247;
        /// `int`: milliseconds an inactive actor stays.
        PLAYER_TTL = 246;
        /// `int`: milliseconds an empty room stays.
        EMPTY_ROOM_TTL = 245;
        /// `int`: most players where a byte is too small; wins over [`MAX_PLAYERS`].
        MAX_PLAYERS_INT = 243;
    }
}

/// Well-known keys of an actor's properties.
pub mod actor_key {
    numbers! {
        /// `string`: nickname.
        NICKNAME = 255;
        /// `bool`: inactive; the server's.
        IS_INACTIVE = 254;
        /// `string`: user id; the server's.
        USER_ID = 253;
    }
}

/// What a table of room properties is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// First properties of a new room: the master client cannot be named yet.
    Create,
    /// A change of an existing room.
    Change,
    /// A condition: expected values or a matchmaking filter. Any value may be null.
    Condition,
}

/// Normalises a table of room properties. Keys of the server ([`room_key::PLAYER_COUNT`], [`room_key::REMOVED`]) are
/// dropped, because a lobby would take them for its own; a condition keeps them.
///
/// # Errors
/// A well-known key with a value of another type or range; a key that is not a scalar.
pub fn game(table: Hashtable, usage: Usage) -> Result<Hashtable, Refusal> {
    use room_key::*;
    let mut normal = Hashtable::new();
    for (key, value) in table {
        let Some(code) = well_known(&key, |code| matches!(code, 245..=255 | MAX_PLAYERS_INT)) else {
            normal.insert(plain_key(key)?, value);
            continue;
        };
        if usage == Usage::Condition && value.is_null() {
            normal.insert(code, Value::Null);
            continue;
        }
        let read = match code {
            MAX_PLAYERS => ("byte (0..=255)", coerce::byte(&value).map(Value::Byte)),
            MAX_PLAYERS_INT => ("int (0 or more)", coerce::int(&value).filter(|n| *n >= 0).map(Value::Int)),
            IS_VISIBLE | IS_OPEN | CLEANUP_CACHE_ON_LEAVE => ("bool", coerce::bool(&value).map(Value::Bool)),
            PROPS_LISTED_IN_LOBBY | EXPECTED_USERS if value.is_null() => ("", Some(Value::Null)),
            PROPS_LISTED_IN_LOBBY | EXPECTED_USERS => {
                ("string[] or null", coerce::strings(&value).map(Value::StringArray))
            }
            MASTER_CLIENT_ID if usage == Usage::Create => {
                return Err(Refusal::invalid("property 248 (MasterClientId) cannot be set before the room exists"));
            }
            MASTER_CLIENT_ID => ("int", coerce::int(&value).map(Value::Int)),
            PLAYER_TTL | EMPTY_ROOM_TTL => {
                ("int (milliseconds, -1 or more)", { coerce::int(&value).filter(|ms| *ms >= -1).map(Value::Int) })
            }
            _ if usage == Usage::Condition => ("", Some(value.clone())),
            _ => continue,
        };
        normal.insert(code, typed(code, &value, read)?);
    }
    Ok(normal)
}

/// Normalises a table of actor properties and drops what only the server may say.
///
/// # Errors
/// A nickname that is neither text nor null; a key that is not a scalar.
pub fn actor(table: Hashtable) -> Result<Hashtable, Refusal> {
    let mut normal = Hashtable::new();
    for (key, value) in table {
        match well_known(&key, |code| code >= actor_key::USER_ID) {
            None => drop(normal.insert(plain_key(key)?, value)),
            Some(actor_key::NICKNAME) => {
                let read = Some(&value).filter(|v| v.is_null() || v.as_str().is_some()).cloned();
                normal.insert(actor_key::NICKNAME, typed(actor_key::NICKNAME, &value, ("string or null", read))?);
            }
            Some(_) => {}
        }
    }
    Ok(normal)
}

/// Normalises one key as [`game`] does, for lists of keys.
#[must_use]
pub fn normal_game_key(key: Value) -> Value {
    well_known(&key, |code| matches!(code, 245..=255 | room_key::MAX_PLAYERS_INT)).map_or(key, Value::Byte)
}

/// Normalises one key as [`actor`] does, for lists of keys.
#[must_use]
pub fn normal_actor_key(key: Value) -> Value {
    well_known(&key, |code| code >= actor_key::USER_ID).map_or(key, Value::Byte)
}

fn typed(key: u8, came: &Value, (expected, read): (&str, Option<Value>)) -> Result<Value, Refusal> {
    read.ok_or_else(|| {
        Refusal::invalid(format!("property {key}: expected {expected}, got {} {}", came.type_name(), Shown(came)))
    })
}

/// The byte that `key` spells, if `is_known` says that the byte is a well-known one.
fn well_known(key: &Value, is_known: impl Fn(u8) -> bool) -> Option<u8> {
    let code = match key {
        Value::Byte(code) => *code,
        Value::Int(number) => u8::try_from(*number).ok()?,
        // Three digits exactly, so that "0255" or "+255" stay an application's own keys.
        Value::String(text) if text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok()?,
        _ => return None,
    };
    is_known(code).then_some(code)
}

/// Keys are scalars: a container as key hashes by its length only, so a table full of them would cost a comparison of
/// all pairs.
fn plain_key(key: Value) -> Result<Value, Refusal> {
    match key {
        Value::Bool(_)
        | Value::Byte(_)
        | Value::Short(_)
        | Value::Int(_)
        | Value::Long(_)
        | Value::Float(_)
        | Value::Double(_)
        | Value::String(_)
        | Value::Custom { .. } => Ok(key),
        other => Err(Refusal::invalid(format!("property key: expected a scalar or string, got {}", other.type_name()))),
    }
}

/// A short form of a value for error texts: numbers and truth values only, so that no player's text gets into logs.
struct Shown<'a>(&'a Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Bool(v) => write!(f, "{v}"),
            Value::Byte(v) => write!(f, "{v}"),
            Value::Short(v) => write!(f, "{v}"),
            Value::Int(v) => write!(f, "{v}"),
            Value::Long(v) => write!(f, "{v}"),
            Value::Float(v) => write!(f, "{v}"),
            Value::Double(v) => write!(f, "{v}"),
            _ => f.write_str("value"),
        }
    }
}

/// Whether compare-and-swap takes the two for equal: same type and same content, with one exception. JavaScript has
/// doubles only, so a double equals a `byte`, `short`, `int` or `long` of the same number; otherwise a JavaScript
/// client could never meet a condition on a number that a C# client has set. Arrays and tables compare by element and
/// by key with the same rule.
#[must_use]
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Double(double), other) | (other, Value::Double(double)) if !matches!(other, Value::Double(_)) => {
            matches!(other, Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_))
                && coerce::long(&Value::Double(*double)).is_some_and(|whole| coerce::long(other) == Some(whole))
        }
        (Value::ObjectArray(a), Value::ObjectArray(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Hashtable(a), Value::Hashtable(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// Whether `current` meets the condition of a compare-and-swap. Expected null is met by a missing or null property.
///
/// # Errors
/// The first key that differs.
pub fn check_expected(current: &Hashtable, expected: &Hashtable) -> Result<(), Refusal> {
    for (key, wanted) in expected.iter() {
        if !same(current.get(key).unwrap_or(&Value::Null), wanted) {
            let key: &dyn fmt::Display = match key {
                Value::String(text) => text,
                other => &Shown(other),
            };
            return Err(Refusal::invalid(format!("CAS update failed: property '{key}' has another value")));
        }
    }
    Ok(())
}

/// Puts every entry of `changes` in `current`; null values stay as null or, with `delete_null`, remove the key.
pub fn merge(current: &mut Hashtable, changes: &Hashtable, delete_null: bool) {
    for (key, value) in changes.iter() {
        if delete_null && value.is_null() {
            current.remove(key);
        } else {
            current.insert(key.clone(), value.clone());
        }
    }
}

/// The size of a table's entries, about what they take on the wire: what property limits count.
#[must_use]
pub fn table_bytes(table: &Hashtable) -> usize {
    table.iter().map(|(key, value)| value_bytes(key) + value_bytes(value)).sum()
}

/// The size of one value, type code included.
#[must_use]
pub fn value_bytes(value: &Value) -> usize {
    const HEAD: usize = 3;
    match value {
        Value::Null => 1,
        Value::Bool(_) | Value::Byte(_) => 2,
        Value::Short(_) => 3,
        Value::Int(_) | Value::Float(_) => 5,
        Value::Long(_) | Value::Double(_) => 9,
        Value::String(text) => HEAD + text.len(),
        Value::Custom { bytes, .. } => HEAD + 1 + bytes.len(),
        Value::ByteArray(bytes) => HEAD + bytes.len(),
        Value::BoolArray(v) => HEAD + v.len(),
        Value::ShortArray(v) => HEAD + 2 * v.len(),
        Value::IntArray(v) => HEAD + 4 * v.len(),
        Value::FloatArray(v) => HEAD + 4 * v.len(),
        Value::LongArray(v) => HEAD + 8 * v.len(),
        Value::DoubleArray(v) => HEAD + 8 * v.len(),
        Value::StringArray(v) => HEAD + v.iter().map(|text| 2 + text.len()).sum::<usize>(),
        Value::ObjectArray(v) | Value::ArrayOfArrays(v) => HEAD + v.iter().map(value_bytes).sum::<usize>(),
        Value::HashtableArray(v) => HEAD + v.iter().map(|table| HEAD + table_bytes(table)).sum::<usize>(),
        Value::CustomArray { elements, .. } => HEAD + 1 + elements.iter().map(|body| 2 + body.len()).sum::<usize>(),
        Value::Hashtable(table) => HEAD + table_bytes(table),
        Value::DictionaryArray { elements, .. } => {
            HEAD + elements.iter().map(|entries| HEAD + entries_bytes(entries.iter())).sum::<usize>()
        }
        Value::Dictionary(dictionary) => HEAD + 2 + entries_bytes(dictionary.entries.iter()),
        Value::OperationRequest(message) => HEAD + parameters_bytes(&message.parameters),
        Value::OperationResponse(message) => {
            HEAD + message.debug_message.as_ref().map_or(0, String::len) + parameters_bytes(&message.parameters)
        }
        Value::Event(message) => HEAD + parameters_bytes(&message.parameters),
    }
}

fn entries_bytes<'a>(entries: impl Iterator<Item = (&'a Value, &'a Value)>) -> usize {
    entries.map(|(key, value)| value_bytes(key) + value_bytes(value)).sum()
}

fn parameters_bytes(parameters: &lampyris_wire::Parameters) -> usize {
    parameters.iter().map(|(_, value)| 1 + value_bytes(value)).sum()
}

#[cfg(test)]
mod tests {
    use lampyris_wire::{Payload, Protocol};

    use super::*;

    fn table(key: impl Into<Value>, value: impl Into<Value>) -> Hashtable {
        [(key.into(), value.into())].into()
    }

    #[test]
    fn every_spelling_of_a_well_known_key_becomes_the_byte() {
        for key in [Value::Byte(255), Value::Int(255), "255".into()] {
            assert_eq!(game(table(key.clone(), 4.0), Usage::Change).unwrap(), table(255u8, 4u8), "{key:?}");
        }
    }

    #[test]
    fn other_keys_stay_as_they_are() {
        for key in [Value::Long(255), "0255".into(), "+55".into(), "244".into(), Value::Int(244), Value::Double(255.0)]
        {
            let own = table(key, 4.0);
            assert_eq!(game(own.clone(), Usage::Change).unwrap(), own);
        }
    }

    #[test]
    fn keys_of_the_server_are_dropped() {
        assert!(game([(251u8, Value::Bool(true)), (252, 5.into())].into(), Usage::Change).unwrap().is_empty());
        assert!(actor([(253u8, Value::from("x")), (254, true.into())].into()).unwrap().is_empty());
        assert_eq!(game(table(252u8, 5), Usage::Condition).unwrap().len(), 1);
    }

    #[test]
    fn null_is_a_value_of_conditions_and_of_lists_only() {
        assert!(game(table(255u8, Value::Null), Usage::Change).is_err());
        assert!(game(table(255u8, Value::Null), Usage::Condition).is_ok());
        assert!(game(table(247u8, Value::Null), Usage::Change).is_ok());
    }

    #[test]
    fn a_double_is_the_same_as_a_whole_number_and_nothing_else_is_lenient() {
        let array = |value: Value| Value::ObjectArray(vec![value]);
        assert!(same(&5.into(), &5.0.into()));
        assert!(same(&5.0.into(), &Value::Byte(5)));
        assert!(same(&array(5.into()), &array(5.0.into())));
        assert!(same(&table("a", 5).into(), &table("a", 5.0).into()));
        assert!(same(&f64::NAN.into(), &f64::NAN.into()));
        assert!(!same(&5.into(), &5.5.into()));
        assert!(!same(&5.into(), &Value::Byte(5)));
        assert!(!same(&5.0.into(), &Value::Float(5.0)));
        assert!(!same(&0.0.into(), &false.into()));
        assert!(!same(&vec![5].into(), &array(5.0.into())));
        assert!(!same(&table("a", 5).into(), &table("b", 5).into()));
    }

    #[test]
    fn the_estimated_size_is_near_the_size_on_the_wire() {
        let values: [Value; 6] = [
            "a text of some length".into(),
            vec![1, 2, 3].into(),
            7.0.into(),
            table("key", vec![Value::from("x"), 5i64.into()]).into(),
            vec![0u8; 300].into(),
            Value::StringArray(vec!["one".into(), "two".into()]),
        ];
        for value in values {
            let wire = Payload::encode(Protocol::GpBinaryV16, &value).unwrap().bytes().len();
            assert!(value_bytes(&value).abs_diff(wire) <= 8, "{value:?}: {} {wire}", value_bytes(&value));
        }
    }
}
