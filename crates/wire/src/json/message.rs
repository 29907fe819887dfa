//! Messages in JSON.
//!
//! | kind | text |
//! |---|---|
//! | request, internal request | `~j~{"req":C,"vals":[..]}`, `~j~{"irq":C,"vals":[..]}` |
//! | response, internal response | `~j~{"res":C,"err":E,"msg":M,"vals":[..]}`, `~j~{"irs":C,..}` |
//! | event | `~j~{"evt":C,"vals":[..]}` |
//!
//! `vals` holds keys and values in turn. Members may come in any order; unknown ones are skipped. A request must have
//! `vals`, a response `err`.

use smallvec::SmallVec;

use super::decode::{accept, code, expect, number, value};
use super::encode::{put_int, put_value};
use super::text::{put_string, string};
use crate::binary::SeenKeys;
use crate::coerce;
use crate::reader::Reader;
use crate::sink::{Build, Skim};
use crate::{
    DecodeError, EncodeError, Event, Limits, Message, MessageKind, OperationRequest, OperationResponse, Parameters,
    Protocol, RawParameters, RawRequest, RawValue, Value,
};

type Result<T> = std::result::Result<T, DecodeError>;

/// What a frame with JSON in it begins with, behind the frame head.
const PREFIX: &[u8] = b"~j~";

/// The members of a message; `V` is what the values of `vals` are read as.
struct Members<V> {
    head: Option<(MessageKind, u8)>,
    return_code: Option<i16>,
    debug_message: Option<String>,
    values: Option<V>,
}

/// Reads a whole message; `read_value` takes each value of `vals` into `V`.
fn members<'a, V: Default>(
    text: &'a [u8],
    limits: &'a Limits,
    mut read_value: impl FnMut(&mut Reader<'a>, &mut V, u8) -> Result<()>,
) -> Result<Members<V>> {
    let mut r = Reader::new(text, limits)?;
    if !text.starts_with(PREFIX) {
        return Err(r.unexpected("~j~"));
    }
    r.skip(PREFIX.len());
    let mut members = Members { head: None, return_code: None, debug_message: None, values: None };
    expect(&mut r, b'{', "an object")?;
    let mut seen_text = false;
    if !accept(&mut r, b'}') {
        loop {
            member(&mut r, &mut members, &mut seen_text, &mut read_value)?;
            if !accept(&mut r, b',') {
                break;
            }
        }
        expect(&mut r, b'}', "a comma or the end of the message")?;
    }
    r.finish()?;
    Ok(members)
}

fn member<'a, V: Default>(
    r: &mut Reader<'a>,
    members: &mut Members<V>,
    seen_text: &mut bool,
    read_value: &mut impl FnMut(&mut Reader<'a>, &mut V, u8) -> Result<()>,
) -> Result<()> {
    if r.peek() != Some(b'"') {
        return Err(r.unexpected("a member name"));
    }
    r.skip(1);
    let name = string(r)?.to_arc();
    expect(r, b':', "a colon")?;
    let kind = match &*name {
        "req" => MessageKind::OperationRequest,
        "res" => MessageKind::OperationResponse,
        "evt" => MessageKind::Event,
        "irq" => MessageKind::InternalRequest,
        "irs" => MessageKind::InternalResponse,
        "err" => {
            first(r, "err", members.return_code.is_some())?;
            members.return_code = Some(return_code(r)?);
            return Ok(());
        }
        "msg" => {
            first(r, "msg", std::mem::replace(seen_text, true))?;
            members.debug_message = debug_message(r)?;
            return Ok(());
        }
        "vals" => {
            first(r, "vals", members.values.is_some())?;
            let mut values = V::default();
            parameters(r, |r, key| read_value(r, &mut values, key))?;
            members.values = Some(values);
            return Ok(());
        }
        _ => {
            r.spend(1)?;
            return value::<Skim>(r);
        }
    };
    first(r, "kind", members.head.is_some())?;
    members.head = Some((kind, code(r, "a code from 0 to 255")?));
    Ok(())
}

fn first(r: &Reader<'_>, member: &'static str, again: bool) -> Result<()> {
    if again { Err(DecodeError::DuplicateMember { offset: r.offset(), member }) } else { Ok(()) }
}

fn return_code(r: &mut Reader<'_>) -> Result<i16> {
    let offset = r.offset();
    let number = Value::Double(number(r)?);
    coerce::long(&number)
        .and_then(|code| code.try_into().ok())
        .ok_or(DecodeError::NumberOutOfRange { offset, expected: "a return code of 16 bits" })
}

fn debug_message(r: &mut Reader<'_>) -> Result<Option<String>> {
    match r.peek() {
        Some(b'"') => {
            r.skip(1);
            Ok(Some(string(r)?.to_arc().as_ref().to_owned()).filter(|text| !text.is_empty()))
        }
        _ => value::<Build>(r).and_then(|value| match value {
            Value::Null => Ok(None),
            _ => Err(r.unexpected("a string or null as msg")),
        }),
    }
}

/// Reads `vals`: keys and values in turn.
fn parameters<'a>(r: &mut Reader<'a>, mut read_value: impl FnMut(&mut Reader<'a>, u8) -> Result<()>) -> Result<()> {
    expect(r, b'[', "an array as vals")?;
    if accept(r, b']') {
        return Ok(());
    }
    let mut seen = SeenKeys::default();
    loop {
        let key = code(r, "a parameter key from 0 to 255")?;
        expect(r, b',', "a comma and the value of the parameter")?;
        seen.insert(key, r)?;
        r.spend(1)?;
        read_value(r, key)?;
        if !accept(r, b',') {
            return expect(r, b']', "a comma or the end of vals");
        }
    }
}

/// Builds a message.
pub(crate) fn decode_message(text: &[u8], limits: &Limits) -> Result<Message> {
    let members = members(text, limits, |r, parameters: &mut Parameters, key| {
        parameters.insert(key, value::<Build>(r)?);
        Ok(())
    })?;
    let (kind, code) = members.head.ok_or(DecodeError::MissingMember { member: "kind" })?;
    let parameters = members.values;
    let request = |parameters: Option<Parameters>| {
        let parameters = parameters.ok_or(DecodeError::MissingMember { member: "vals" })?;
        Ok(OperationRequest { code, parameters })
    };
    let response = |parameters: Option<Parameters>| {
        let return_code = members.return_code.ok_or(DecodeError::MissingMember { member: "err" })?;
        let debug_message = members.debug_message;
        Ok(OperationResponse { code, return_code, debug_message, parameters: parameters.unwrap_or_default() })
    };
    match kind {
        MessageKind::OperationRequest => request(parameters).map(Message::OperationRequest),
        MessageKind::InternalRequest => request(parameters).map(Message::InternalRequest),
        MessageKind::OperationResponse => response(parameters).map(Message::OperationResponse),
        MessageKind::InternalResponse => response(parameters).map(Message::InternalResponse),
        _ => Ok(Message::Event(Event { code, parameters: parameters.unwrap_or_default() })),
    }
}

/// Checks a request without building its values.
pub(crate) fn parse_request<'a>(text: &'a [u8], limits: &'a Limits) -> Result<RawRequest<'a>> {
    let read = |r: &mut Reader<'a>, entries: &mut SmallVec<_>, key| {
        entries.push((key, RawValue::skim(Protocol::Json, r)?));
        Ok(())
    };
    let members = members(text, limits, read)?;
    let (kind, code) = members.head.ok_or(DecodeError::MissingMember { member: "kind" })?;
    let internal = match kind {
        MessageKind::OperationRequest => false,
        MessageKind::InternalRequest => true,
        kind => return Err(DecodeError::UnexpectedKind { kind }),
    };
    let entries = members.values.ok_or(DecodeError::MissingMember { member: "vals" })?;
    Ok(RawRequest { internal, code, parameters: RawParameters::new(entries) })
}

/// Appends a message.
pub(crate) fn put_message(out: &mut Vec<u8>, message: &Message) -> std::result::Result<(), EncodeError> {
    let (name, code, response, parameters): (&[u8], _, _, _) = match message {
        Message::OperationRequest(m) => (b"req", m.code, None, &m.parameters),
        Message::InternalRequest(m) => (b"irq", m.code, None, &m.parameters),
        Message::OperationResponse(m) => (b"res", m.code, Some(m), &m.parameters),
        Message::InternalResponse(m) => (b"irs", m.code, Some(m), &m.parameters),
        Message::Event(m) => (b"evt", m.code, None, &m.parameters),
        Message::InitResponse => return Err(no_form("an init response")),
        Message::Disconnect(_) => return Err(no_form("a disconnect message")),
    };
    put_start(out, name, code);
    if let Some(response) = response {
        out.extend_from_slice(b",\"err\":");
        put_int(out, response.return_code);
        out.extend_from_slice(b",\"msg\":");
        match response.debug_message.as_deref() {
            Some(text) if !text.is_empty() => put_string(out, text),
            _ => out.extend_from_slice(b"null"),
        }
    }
    out.extend_from_slice(VALUES);
    for (index, (key, value)) in parameters.iter().enumerate() {
        put_parameter_key(out, key, index == 0);
        put_value(out, value)?;
    }
    put_end(out);
    Ok(())
}

const VALUES: &[u8] = b",\"vals\":[";

fn put_start(out: &mut Vec<u8>, name: &[u8], code: u8) {
    out.extend_from_slice(PREFIX);
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(name);
    out.extend_from_slice(b"\":");
    put_int(out, code);
}

/// Begins an event, up to its first parameter.
pub(crate) fn put_event_start(out: &mut Vec<u8>, code: u8) {
    put_start(out, b"evt", code);
    out.extend_from_slice(VALUES);
}

/// Writes what stands in front of a parameter's value.
pub(crate) fn put_parameter_key(out: &mut Vec<u8>, key: u8, first: bool) {
    if !first {
        out.push(b',');
    }
    put_int(out, key);
    out.push(b',');
}

/// Ends a message behind its last parameter.
pub(crate) fn put_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"]}");
}

fn no_form(what: &'static str) -> EncodeError {
    EncodeError::NoForm { what, protocol: Protocol::Json.name() }
}
