//! What the two binary serializations share: the bodies of messages, and the entries of tables.
//!
//! | body | layout |
//! |---|---|
//! | operation request | code `u8`, parameters |
//! | operation response | code `u8`, return code `i16`, debug message as a typed value, parameters |
//! | event | code `u8`, parameters |
//! | disconnect | code `i16`, debug message as a typed value, parameters |
//!
//! Parameters are a count, then for each a key `u8` and a typed value. Byte order and the width of the count are the
//! protocol's. An empty debug message is written as null.

use crate::reader::Reader;
use crate::sink::{Build, Inserted, KeyBytes, Sink, debug_text};
use crate::{
    DecodeError, Disconnect, EncodeError, Event, Message, MessageKind, OperationRequest, OperationResponse, Parameters,
    Value,
};

/// One binary serialization.
pub(crate) trait Binary {
    /// The type codes of null.
    const NULLS: &'static [u8];
    /// The type code of a string.
    const STRING: u8;
    /// The empty string as a typed value.
    const EMPTY_STRING: &'static [u8];

    /// Reads one typed value.
    fn value<S: Sink>(r: &mut Reader<'_>) -> Result<S::Value, DecodeError>;
    fn parameter_count(r: &mut Reader<'_>) -> Result<usize, DecodeError>;
    fn short(r: &mut Reader<'_>) -> Result<i16, DecodeError>;

    /// Appends one typed value.
    fn put_value(out: &mut Vec<u8>, value: &Value) -> Result<(), EncodeError>;
    fn put_parameter_count(out: &mut Vec<u8>, count: usize) -> Result<(), EncodeError>;
    fn put_short(out: &mut Vec<u8>, value: i16);
}

/// Which parameter keys were seen.
#[derive(Debug, Default)]
pub(crate) struct SeenKeys([u128; 2]);

impl SeenKeys {
    /// Notes `key`, whose value begins at the reader's place.
    pub(crate) fn insert(&mut self, key: u8, r: &Reader<'_>) -> Result<(), DecodeError> {
        let [low, high] = &mut self.0;
        let half = if key < 128 { low } else { high };
        let bit = 1 << (key % 128);
        if *half & bit != 0 {
            return Err(DecodeError::DuplicateParameter { offset: r.offset(), key });
        }
        *half |= bit;
        Ok(())
    }
}

/// Reads a parameter table; `read` takes each value.
pub(crate) fn each_parameter<'a, F: Binary>(
    r: &mut Reader<'a>,
    mut read: impl FnMut(&mut Reader<'a>, u8) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let count = F::parameter_count(r)?;
    r.elements(count, 2)?;
    let mut seen = SeenKeys::default();
    for _ in 0..count {
        let key = r.u8("a parameter key")?;
        seen.insert(key, r)?;
        read(r, key)?;
    }
    Ok(())
}

fn parameters<F: Binary, S: Sink>(r: &mut Reader<'_>) -> Result<S::Parameters, DecodeError> {
    let mut parameters = S::Parameters::default();
    each_parameter::<F>(r, |r, key| {
        let value = F::value::<S>(r)?;
        S::parameter(&mut parameters, key, value);
        Ok(())
    })?;
    Ok(parameters)
}

fn debug_message<F: Binary, S: Sink>(r: &mut Reader<'_>) -> Result<S::Value, DecodeError> {
    r.spend(1)?;
    let start = r.mark();
    let code = r.peek();
    let value = F::value::<S>(r)?;
    let kept = code == Some(F::STRING) && r.since(start) != F::EMPTY_STRING;
    r.canonical &= kept || code.as_ref() == F::NULLS.first();
    Ok(value)
}

/// Reads a nested message: the body without the head of [`crate::MessageHead`].
pub(crate) fn nested<F: Binary, S: Sink>(r: &mut Reader<'_>, kind: MessageKind) -> Result<S::Value, DecodeError> {
    r.enter(1)?;
    let code = r.u8("an operation or event code")?;
    let value = match kind {
        MessageKind::OperationResponse => {
            let return_code = F::short(r)?;
            let debug_message = debug_message::<F, S>(r)?;
            S::message(parameters::<F, S>(r)?, Some(debug_message), |parameters, debug_message| {
                Value::OperationResponse(Box::new(OperationResponse { code, return_code, debug_message, parameters }))
            })
        }
        MessageKind::Event => {
            S::message(parameters::<F, S>(r)?, None, |parameters, _| Value::Event(Box::new(Event { code, parameters })))
        }
        _ => S::message(parameters::<F, S>(r)?, None, |parameters, _| {
            Value::OperationRequest(Box::new(OperationRequest { code, parameters }))
        }),
    };
    r.leave(1);
    Ok(value)
}

/// Builds a message from its body.
pub(crate) fn message<F: Binary>(r: &mut Reader<'_>, kind: MessageKind) -> Result<Message, DecodeError> {
    let request = |r: &mut Reader<'_>| -> Result<OperationRequest, DecodeError> {
        Ok(OperationRequest { code: r.u8("an operation code")?, parameters: parameters::<F, Build>(r)? })
    };
    let response = |r: &mut Reader<'_>| -> Result<OperationResponse, DecodeError> {
        Ok(OperationResponse {
            code: r.u8("an operation code")?,
            return_code: F::short(r)?,
            debug_message: debug_text(debug_message::<F, Build>(r)?),
            parameters: parameters::<F, Build>(r)?,
        })
    };
    let message = match kind {
        MessageKind::OperationRequest => Message::OperationRequest(request(r)?),
        MessageKind::OperationResponse => Message::OperationResponse(response(r)?),
        MessageKind::Event => {
            Message::Event(Event { code: r.u8("an event code")?, parameters: parameters::<F, Build>(r)? })
        }
        MessageKind::Disconnect => Message::Disconnect(Disconnect {
            code: F::short(r)?,
            debug_message: debug_text(debug_message::<F, Build>(r)?),
            parameters: parameters::<F, Build>(r)?,
        }),
        MessageKind::InternalRequest => Message::InternalRequest(request(r)?),
        MessageKind::InternalResponse => Message::InternalResponse(response(r)?),
        MessageKind::InitResponse => {
            // Clients look at the kind only; the byte behind it is there in some versions.
            r.skip(1);
            Message::InitResponse
        }
        MessageKind::Init | MessageKind::Message | MessageKind::RawMessage => {
            return Err(DecodeError::UnexpectedKind { kind });
        }
    };
    r.finish()?;
    Ok(message)
}

/// What a table does with a key that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duplicates {
    /// Hashtable and JSON object.
    LastWins,
    /// Dictionary: C# receivers throw on one.
    Refused,
}

/// Puts one entry in `table`.
pub(crate) fn insert<'a, S: Sink>(
    r: &mut Reader<'a>,
    table: &mut S::Table<'a>,
    key_bytes: KeyBytes<'a>,
    key: S::Value,
    value: S::Value,
    duplicates: Duplicates,
) -> Result<(), DecodeError> {
    match (S::insert(table, key_bytes, key, value), duplicates) {
        (Inserted::New, _) => {}
        (Inserted::Duplicate, Duplicates::LastWins) => r.canonical = false,
        (Inserted::Duplicate, Duplicates::Refused) => return Err(DecodeError::DuplicateKey { offset: r.offset() }),
        (Inserted::Unknown, _) => r.undecided = true,
    }
    Ok(())
}

/// Reads `count` entries of a table, already checked against what is left. Entries whose key is null are dropped, as
/// C# does.
pub(crate) fn entries<'a, F: Binary, S: Sink>(
    r: &mut Reader<'a>,
    count: usize,
    duplicates: Duplicates,
    typed_keys: bool,
    mut read_key: impl FnMut(&mut Reader<'a>) -> Result<S::Value, DecodeError>,
    mut read_value: impl FnMut(&mut Reader<'a>) -> Result<S::Value, DecodeError>,
) -> Result<S::Entries, DecodeError> {
    let mut table = S::table(count);
    for _ in 0..count {
        let null = typed_keys && r.peek().is_some_and(|code| F::NULLS.contains(&code));
        let before = std::mem::replace(&mut r.canonical, true);
        let start = r.mark();
        let key = read_key(r)?;
        let key_bytes = KeyBytes { bytes: r.since(start), canonical: r.canonical };
        r.canonical &= before && !null;
        let value = read_value(r)?;
        if !null {
            insert::<S>(r, &mut table, key_bytes, key, value, duplicates)?;
        }
    }
    Ok(S::entries(table))
}

/// Reads the typed key-value pairs of a hashtable.
pub(crate) fn hashtable_entries<'a, F: Binary, S: Sink>(
    r: &mut Reader<'a>,
    count: usize,
) -> Result<S::Entries, DecodeError> {
    r.check_count(count, 2)?;
    r.spend(count.saturating_mul(2))?;
    r.enter(1)?;
    let table = entries::<F, S>(r, count, Duplicates::LastWins, true, F::value::<S>, F::value::<S>)?;
    r.leave(1);
    Ok(table)
}

fn put_parameters<F: Binary>(out: &mut Vec<u8>, parameters: &Parameters) -> Result<(), EncodeError> {
    F::put_parameter_count(out, parameters.len())?;
    for (key, value) in parameters.iter() {
        out.push(key);
        F::put_value(out, value)?;
    }
    Ok(())
}

fn put_debug_message<F: Binary>(out: &mut Vec<u8>, text: Option<&str>) -> Result<(), EncodeError> {
    match text {
        Some(text) if !text.is_empty() => F::put_value(out, &Value::from(text)),
        _ => F::put_value(out, &Value::Null),
    }
}

pub(crate) fn put_request<F: Binary>(out: &mut Vec<u8>, request: &OperationRequest) -> Result<(), EncodeError> {
    out.push(request.code);
    put_parameters::<F>(out, &request.parameters)
}

pub(crate) fn put_response<F: Binary>(out: &mut Vec<u8>, response: &OperationResponse) -> Result<(), EncodeError> {
    out.push(response.code);
    F::put_short(out, response.return_code);
    put_debug_message::<F>(out, response.debug_message.as_deref())?;
    put_parameters::<F>(out, &response.parameters)
}

pub(crate) fn put_event<F: Binary>(out: &mut Vec<u8>, event: &Event) -> Result<(), EncodeError> {
    out.push(event.code);
    put_parameters::<F>(out, &event.parameters)
}

/// Appends the body of a message.
pub(crate) fn put_message<F: Binary>(out: &mut Vec<u8>, message: &Message) -> Result<(), EncodeError> {
    match message {
        Message::InitResponse => {
            out.push(0);
            Ok(())
        }
        Message::OperationRequest(request) | Message::InternalRequest(request) => put_request::<F>(out, request),
        Message::OperationResponse(response) | Message::InternalResponse(response) => put_response::<F>(out, response),
        Message::Event(event) => put_event::<F>(out, event),
        Message::Disconnect(disconnect) => {
            F::put_short(out, disconnect.code);
            put_debug_message::<F>(out, disconnect.debug_message.as_deref())?;
            put_parameters::<F>(out, &disconnect.parameters)
        }
    }
}
