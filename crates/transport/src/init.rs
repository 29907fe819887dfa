//! The init message in its three forms, and its answer (transports.md, section 2).
//!
//! | first byte | form | used |
//! | --- | --- | --- |
//! | `F3` | [standard](write_standard), 41 bytes | without a token |
//! | `P` | [an HTTP request](write_http_style) with the token as its body | with a token |
//! | `F5` | binary with token and custom data | by a switch inside the client |
//!
//! A client sends one per connection: on UDP as the first reliable message, on TCP as the first frame, on WebSocket
//! only when it has a token.

use lampyris_wire::{EncodeError, Limits, Protocol, Value};

use crate::CloseCause;
pub use crate::http::HttpRequest;

/// What a client says of itself when a connection opens.
#[derive(Clone, Debug, PartialEq)]
pub struct Init {
    /// The serialization of the whole connection.
    pub protocol: Protocol,
    /// Application name as the client gave it: usually an AppId, possibly cut at 32 bytes.
    pub application: String,
    /// Client library version, such as `4.1.8.13`; empty if it did not say.
    pub client_version: String,
    /// SDK id, unshifted.
    pub sdk_id: u8,
    /// The client says it reached us over IPv6.
    pub ipv6: bool,
    /// The token given to the client's connect call: AuthOnce modes.
    pub token: Option<Value>,
    /// Custom init data of the V3 form.
    pub custom_data: Option<Value>,
    /// WebSocket only: the HTTP request.
    pub http: Option<HttpRequest>,
}

/// The init response, the same for every binary transport.
pub const INIT_RESPONSE: [u8; 3] = [0xF3, 0x01, 0x00];

/// First byte of every message of the binary protocols, the other init forms excepted.
pub(crate) const MAGIC: u8 = 0xF3;
const MAGIC_HTTP: u8 = b'P';
const MAGIC_V3: u8 = 0xF5;

const KIND_INIT: u8 = 0;
const KIND_INIT_RESPONSE: u8 = 1;
const ENCRYPTED: u8 = 0x80;

/// Length of the standard form.
const STANDARD_BYTES: usize = 41;
const APPLICATION_BYTES: usize = 32;

/// Longest header of the HTTP-style form: the application name and the server address are all that varies in it.
const MAX_HTTP_HEADER_BYTES: usize = 4096;

const V3_FLAG_IPV6: u16 = 2;

/// Reads the init message of a client, without any frame around it.
///
/// # Errors
/// [`CloseCause::Violation`] with what was expected and what came.
pub fn parse(message: &[u8], limits: &Limits) -> Result<Init, CloseCause> {
    match message.first() {
        Some(&MAGIC) => parse_standard(message),
        Some(&MAGIC_HTTP) => parse_http_style(message, limits),
        Some(&MAGIC_V3) => parse_v3(message, limits),
        Some(other) => Err(violation(format!("expected an init that starts with F3, P or F5, found {other:02X}"))),
        None => Err(violation("expected an init, found an empty message")),
    }
}

/// Checks a message after the init: it begins with the magic byte and is not a second init or init response.
pub(crate) fn check_message(message: &[u8]) -> Result<(), CloseCause> {
    match message {
        [MAGIC, kind, ..] => match kind & !ENCRYPTED {
            KIND_INIT => Err(violation("expected one init per connection, found a second")),
            KIND_INIT_RESPONSE => Err(violation("expected a message, found an init response")),
            _ => Ok(()),
        },
        [MAGIC] => Err(violation("expected a message of at least 2 bytes, found 1")),
        [other, ..] => Err(violation(format!("expected a message that starts with F3, found {other:02X}"))),
        [] => Err(violation("expected a message of at least 2 bytes, found none")),
    }
}

/// Whether `message` is the answer to an init: its type decides, what follows has no meaning.
pub(crate) fn is_response(message: &[u8]) -> bool {
    matches!(message, [MAGIC, KIND_INIT_RESPONSE, ..])
}

fn violation(text: impl Into<String>) -> CloseCause {
    CloseCause::Violation(text.into())
}

fn parse_standard(message: &[u8]) -> Result<Init, CloseCause> {
    let short = || violation(format!("expected an init of {STANDARD_BYTES} bytes, found {}", message.len()));
    let ([_, kind, major, minor, sdk, version, build, revision, _], rest) =
        message.split_first_chunk::<9>().ok_or_else(short)?;
    let application = rest.get(..APPLICATION_BYTES).ok_or_else(short)?;
    if *kind != KIND_INIT {
        return Err(violation(format!("expected an init as the first message, found message type {kind}")));
    }
    let protocol = match (major, minor) {
        (1, 6) => Protocol::GpBinaryV16,
        (1, 8) => Protocol::GpBinaryV18,
        _ => return Err(violation(format!("expected serialization 1.6 or 1.8, found {major}.{minor}"))),
    };
    Ok(Init {
        protocol,
        application: application.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect(),
        client_version: format!("{}.{}.{build}.{revision}", version >> 4 & 7, version & 15),
        sdk_id: sdk >> 1,
        ipv6: version & 0x80 != 0,
        token: None,
        custom_data: None,
        http: None,
    })
}

/// Not read as real HTTP: clients escape nothing, so that an application name with a space is legal here.
fn parse_http_style(message: &[u8], limits: &Limits) -> Result<Init, CloseCause> {
    let searched = message.get(..MAX_HTTP_HEADER_BYTES).unwrap_or(message);
    let end = crate::http::head_end(searched, 0)
        .ok_or_else(|| violation("expected an HTTP-style init with a blank line after its header, found none"))?;
    let (header, body) = message.split_at_checked(end).unwrap_or_default();
    let header = String::from_utf8_lossy(header);
    let mut lines = header.split("\r\n");
    let target = lines
        .next()
        .and_then(|line| line.strip_prefix("POST "))
        .and_then(|line| line.rsplit_once(" HTTP/"))
        .map(|(target, _)| target)
        .ok_or_else(|| violation("expected an HTTP-style init that begins `POST <target> HTTP/1.1`"))?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("Content-Length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .ok_or_else(|| violation("expected an HTTP-style init with a Content-Length"))?;
    if length != body.len() {
        return Err(violation(format!("expected {length} bytes after the init's header, found {}", body.len())));
    }
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let request = HttpRequest { query: query.to_owned(), ..HttpRequest::default() };
    let value = |key| request.query_value(key).unwrap_or_default();
    let protocol =
        Protocol::from_name(value("protocol")).filter(|protocol| *protocol != Protocol::Json).ok_or_else(|| {
            violation(format!("expected protocol GpBinaryV16 or GpBinaryV18, found {}", value("protocol")))
        })?;
    let token = match body {
        [] => None,
        body => Some(protocol.decode_value(body, limits).map_err(|error| violation(format!("token: {error}")))?),
    };
    Ok(Init {
        protocol,
        application: value("app").to_owned(),
        client_version: value("clientversion").to_owned(),
        sdk_id: value("sid").parse::<u8>().unwrap_or_default() >> 1,
        ipv6: request.query_value("IPv6").is_some(),
        token,
        custom_data: None,
        http: None,
    })
}

fn parse_v3(message: &[u8], limits: &Limits) -> Result<Init, CloseCause> {
    let short = || violation(format!("the V3 init ends early, after {} bytes", message.len()));
    let (head, rest) = message.split_first_chunk::<11>().ok_or_else(short)?;
    let [_, flags_high, flags_low, serialization, major, minor, build, revision, sdk, _, length] = *head;
    let protocol = match serialization {
        0x10 => Protocol::GpBinaryV16,
        0x12 => Protocol::GpBinaryV18,
        other => return Err(violation(format!("expected serialization 10 or 12, found {other:02X}"))),
    };
    let (application, rest) = rest.split_at_checked(usize::from(length)).ok_or_else(short)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let (token, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or_else(short)?;
    let application = std::str::from_utf8(application)
        .map_err(|error| violation(format!("expected an application name in UTF-8: {error}")))?;
    Ok(Init {
        protocol,
        application: application.to_owned(),
        client_version: format!("{major}.{minor}.{build}.{revision}"),
        sdk_id: sdk >> 1,
        ipv6: u16::from_be_bytes([flags_high, flags_low]) & V3_FLAG_IPV6 != 0,
        token: (!token.is_empty()).then(|| token.to_vec().into()),
        custom_data: parse_init_data(protocol, rest, limits)?,
        http: None,
    })
}

/// The custom init data: key 0 of a table at the end of the V3 form.
fn parse_init_data(protocol: Protocol, bytes: &[u8], limits: &Limits) -> Result<Option<Value>, CloseCause> {
    if bytes.is_empty() {
        return Ok(None);
    }
    match protocol.decode_value(bytes, limits).map_err(|error| violation(format!("init data: {error}")))? {
        Value::Dictionary(mut table) => Ok(table.entries.swap_remove(&Value::Byte(0))),
        other => Err(violation(format!("expected init data as a dictionary, found {}", other.type_name()))),
    }
}

/// Appends what a client sends: the HTTP-style form with a token, the standard form without.
///
/// `host` is the server's address as the user gave it.
///
/// # Errors
/// As [`write_standard`] and [`write_http_style`].
pub fn write(init: &Init, host: &str, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if init.token.is_some() { write_http_style(init, host, out) } else { write_standard(init, out) }
}

/// Appends the standard form, which cuts the application name at 32 bytes and has no token.
///
/// # Errors
/// The protocol is JSON, or the client version is not up to four numbers below 8, 16, 256 and 256; `out` is then as it
/// was before.
pub fn write_standard(init: &Init, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let minor_protocol = match init.protocol {
        Protocol::GpBinaryV16 => 6,
        Protocol::GpBinaryV18 => 8,
        Protocol::Json => return Err(no_form("an init", init.protocol)),
    };
    let [major, minor, build, revision] =
        version_bytes(&init.client_version).ok_or_else(|| no_form("this client version", init.protocol))?;
    let version = u8::from(init.ipv6) << 7 | major << 4 | minor;
    out.extend_from_slice(&[MAGIC, KIND_INIT, 1, minor_protocol, init.sdk_id << 1, version, build, revision, 0]);
    #[expect(clippy::cast_possible_truncation, reason = "the protocol takes the low byte of each character")]
    let name = init.application.chars().map(|character| u32::from(character) as u8);
    out.extend(name.chain(std::iter::repeat(0)).take(APPLICATION_BYTES));
    Ok(())
}

/// Appends the HTTP-style form, which carries the token.
///
/// # Errors
/// The protocol is JSON, the token has no form in it, or a text would break the header; `out` is then as it was before.
pub fn write_http_style(init: &Init, host: &str, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if init.protocol == Protocol::Json {
        return Err(no_form("an init", init.protocol));
    }
    if [&init.application, &init.client_version, host].iter().any(|text| text.contains(['\r', '\n'])) {
        return Err(no_form("a line break in an init", init.protocol));
    }
    if init.application.contains(['&', '?']) {
        return Err(no_form("a query separator in an application name", init.protocol));
    }
    let mut token = Vec::new();
    if let Some(value) = &init.token {
        init.protocol.encode_value(value, &mut token)?;
    }
    let header = format!(
        "POST /?init=&app={}&clientversion={}&protocol={}&sid={}&{} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n",
        init.application,
        init.client_version,
        init.protocol.name(),
        init.sdk_id << 1,
        if init.ipv6 { "&IPv6" } else { "" },
        token.len()
    );
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(&token);
    Ok(())
}

fn no_form(what: &'static str, protocol: Protocol) -> EncodeError {
    EncodeError::NoForm { what, protocol: protocol.name() }
}

/// The four numbers of a version text; those left out are 0.
fn version_bytes(text: &str) -> Option<[u8; 4]> {
    let mut bytes = [0; 4];
    let mut numbers = text.split('.').filter(|number| !number.is_empty());
    for byte in &mut bytes {
        *byte = numbers.next().map_or(Some(0), |number| number.parse().ok())?;
    }
    let [major, minor, ..] = bytes;
    (numbers.next().is_none() && major < 8 && minor < 16).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{bytes, case, text, vectors};
    use proptest::prelude::*;

    /// The init inside the first client frame of a TCP case.
    fn captured(name: &str) -> Vec<u8> {
        let file = vectors("transport-tcp.json");
        let packet = &case(&file, name)["packets"][0];
        bytes(&packet["fields"][0]["payload"])
    }

    fn parsed(message: &[u8]) -> Init {
        parse(message, &Limits::DEFAULT).unwrap()
    }

    fn plain(protocol: Protocol) -> Init {
        Init {
            protocol,
            application: "LoadBalancing".into(),
            client_version: "4.1.8.13".into(),
            sdk_id: 15,
            ipv6: false,
            token: None,
            custom_data: None,
            http: None,
        }
    }

    #[test]
    fn the_standard_form_is_read_and_written_as_captured() {
        for (name, protocol) in [("session-v16", Protocol::GpBinaryV16), ("session-v18", Protocol::GpBinaryV18)] {
            let message = captured(name);
            assert_eq!(parsed(&message), plain(protocol), "{name}");
            let mut out = Vec::new();
            write(&plain(protocol), "", &mut out).unwrap();
            assert_eq!(out, message, "{name}");
        }
    }

    #[test]
    fn the_http_style_form_is_read_and_written_as_captured() {
        let message = captured("init-http-token");
        let init = Init { token: Some("tok".into()), ..plain(Protocol::GpBinaryV18) };
        assert_eq!(parsed(&message), init);
        let mut out = Vec::new();
        write(&init, "127.0.0.1:15073", &mut out).unwrap();
        assert_eq!(out, message);
    }

    #[test]
    fn the_v3_form_is_read_as_captured() {
        let init = parsed(&captured("init-v3"));
        let token = Some(vec![1_u8, 2, 3].into());
        assert_eq!(init, Init { token, custom_data: Some("hey".into()), ..plain(Protocol::GpBinaryV18) });
    }

    #[test]
    fn the_inits_of_the_token_sessions_carry_the_token_of_the_name_server() {
        let file = vectors("authonce.json");
        let mut inits = 0;
        for step in file["runs"].as_array().unwrap().iter().flat_map(|run| run["steps"].as_array().unwrap()) {
            let Some(frame) =
                step["hex"].as_str().filter(|hex| hex.starts_with("fb") && hex[14..].starts_with("504f5354"))
            else {
                continue;
            };
            inits += 1;
            let init = parsed(&bytes(&frame.into())[7..]);
            assert_eq!(init.application, "app");
            assert!(matches!(init.token, Some(Value::String(_))), "{}", text(&step["conn"]));
        }
        assert!(inits >= 6, "{inits}");
    }

    #[test]
    fn every_truncation_is_refused_without_panic() {
        for name in ["session-v16", "session-v18", "init-http-token", "init-v3"] {
            let message = captured(name);
            for length in 0..message.len() {
                let result = parse(&message[..length], &Limits::DEFAULT);
                if name == "init-v3" && length == message.len() - 10 {
                    assert_eq!(result.unwrap().custom_data, None, "the table may be missing as a whole");
                    continue;
                }
                assert!(matches!(result, Err(CloseCause::Violation(_))), "{name} cut at {length}: {result:?}");
            }
        }
    }

    #[test]
    fn the_ipv6_flag_and_long_names_survive_a_round_trip_as_far_as_the_form_allows() {
        let name = "0123456789abcdef0123456789abcdef0123";
        let init = Init { application: name.into(), ipv6: true, ..plain(Protocol::GpBinaryV16) };
        let mut out = Vec::new();
        write_standard(&init, &mut out).unwrap();
        assert_eq!(out[5], 0xC1);
        assert_eq!(parsed(&out), Init { application: name[..32].into(), ..init.clone() });
        out.clear();
        write_http_style(&Init { token: Some("t".into()), ..init.clone() }, "[::1]:4530", &mut out).unwrap();
        assert!(
            out.starts_with(
                format!("POST /?init=&app={name}&clientversion=4.1.8.13&protocol=GpBinaryV16&sid=30&&IPv6 HTTP/1.1")
                    .as_bytes()
            )
        );
        assert_eq!(parsed(&out), Init { token: Some("t".into()), ..init });
    }

    #[test]
    fn defects_are_named() {
        let refused = |message: &[u8]| parse(message, &Limits::DEFAULT).unwrap_err().to_string();
        let mut message = captured("session-v18");
        message[3] = 9;
        assert_eq!(refused(&message), "protocol violation: expected serialization 1.6 or 1.8, found 1.9");
        message[1] = 2;
        assert!(refused(&message).contains("found message type 2"));
        assert!(refused(b"\x16\x03").contains("found 16"));
        assert!(refused(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n").contains("expected 1 bytes"));
        assert!(refused(b"POST /?protocol=Json HTTP/1.1\r\nContent-Length: 0\r\n\r\n").contains("found Json"));
    }

    #[test]
    fn what_cannot_be_said_is_not_written() {
        let mut out = b"x".to_vec();
        for version in ["8.0", "4.16", "4.1.256", "1.2.3.4.5", "four"] {
            let init = Init { client_version: version.into(), ..plain(Protocol::GpBinaryV18) };
            assert!(write_standard(&init, &mut out).is_err(), "{version}");
        }
        let init = Init { application: "a&sid=2".into(), token: Some("t".into()), ..plain(Protocol::GpBinaryV18) };
        assert!(write(&init, "host", &mut out).is_err());
        let init = Init { token: Some("t".into()), ..plain(Protocol::GpBinaryV18) };
        assert!(write(&init, "host\r\nEvil: 1", &mut out).is_err());
        assert!(write(&plain(Protocol::Json), "host", &mut out).is_err());
        assert_eq!(out, b"x");
    }

    #[test]
    fn later_messages_begin_with_the_magic_byte_and_are_no_init() {
        assert!(check_message(&[0xF3, 2]).is_ok() && check_message(&[0xF3, 0x82, 0]).is_ok());
        for bad in [&[0xF3, 0][..], &[0xF3, 1, 0], &[0xF3, 0x80], &[0xF3], &[0xF5, 0], b"POST", &[]] {
            assert!(check_message(bad).is_err(), "{bad:02x?}");
        }
        assert!(is_response(&INIT_RESPONSE) && is_response(&INIT_RESPONSE[..2]) && !is_response(&[0xF3, 3]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(
            first in prop::sample::select(vec![0xF3, b'P', 0xF5]), rest in prop::collection::vec(any::<u8>(), 0..120)
        ) {
            let _ = parse(&[vec![first], rest].concat(), &Limits::DEFAULT);
        }
    }
}
