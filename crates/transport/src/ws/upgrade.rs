//! The way from HTTP to WebSocket, server side (RFC 6455, section 4.2).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lampyris_wire::Protocol;

use crate::Init;
use crate::http::{Head, HttpRequest, MAX_HEAD_BYTES, Method, Refusal, head_end, parse_head, percent_decoded};

const KEY_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const KEY_BYTES: usize = 16;

/// The `Sec-WebSocket-Accept` value that answers a `Sec-WebSocket-Key`.
#[must_use]
pub fn accept_key(key: &str) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), KEY_GUID].concat()))
}

/// Appends the response that turns the stream into a WebSocket.
pub fn write_switching_protocols(key: &str, subprotocol: Option<&str>, out: &mut Vec<u8>) {
    let head =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(accept_key(key).as_bytes());
    if let Some(name) = subprotocol {
        out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
        out.extend_from_slice(name.as_bytes());
    }
    out.extend_from_slice(b"\r\n\r\n");
}

/// Gathers a head: takes from the front of `input` up to the blank line. `true` when `head` is whole.
pub(super) fn gather_head(head: &mut Vec<u8>, input: &[u8], at: &mut usize) -> Result<bool, Refusal> {
    let before = head.len();
    let rest = input.get(*at..).unwrap_or_default();
    let taken = rest.get(..MAX_HEAD_BYTES.saturating_sub(before)).unwrap_or(rest);
    head.extend_from_slice(taken);
    if let Some(end) = head_end(head, before) {
        *at += end - before;
        head.truncate(end);
        return Ok(true);
    }
    *at += taken.len();
    if head.len() >= MAX_HEAD_BYTES {
        return Err(Refusal::new(431, format!("a request head of at most {MAX_HEAD_BYTES} bytes is accepted")));
    }
    Ok(false)
}

/// What a request on a WebSocket port is.
pub(super) enum Request {
    /// The answer is written by the owner.
    Plain(HttpRequest),
    /// To be switched with this key and sub-protocol.
    Upgrade { request: HttpRequest, key: String, protocol: Protocol, echo_subprotocol: bool },
}

pub(super) fn read_request(head: &[u8]) -> Result<Request, Refusal> {
    let Head { request, wants_websocket, websocket_version, websocket_key, subprotocols } = parse_head(head)?;
    if !wants_websocket {
        return Ok(Request::Plain(request));
    }
    if request.method != Method::Get {
        return Err(Refusal::new(405, "a WebSocket upgrade is a GET request"));
    }
    if websocket_version.as_deref() != Some("13") {
        let found = websocket_version.unwrap_or_else(|| "none".into());
        return Err(Refusal::new(426, format!("expected Sec-WebSocket-Version 13, found {found}")));
    }
    let key = websocket_key
        .filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == KEY_BYTES))
        .ok_or_else(|| Refusal::new(400, "expected a Sec-WebSocket-Key of 16 bytes in base64"))?;
    let echo_subprotocol = subprotocols.is_some();
    let protocol = match subprotocols {
        None => Protocol::Json,
        Some(offered) => offered.iter().find_map(|name| Protocol::from_name(name)).ok_or_else(|| {
            let known = Protocol::ALL.map(Protocol::name).join(", ");
            Refusal::new(400, format!("expected a sub-protocol among {known}, found: {}", offered.join(", ")))
        })?,
    };
    Ok(Request::Upgrade { request, key, protocol, echo_subprotocol })
}

/// What the request says of the client. JSON clients name the application in the last segment of the path, binary ones
/// in the query.
pub(super) fn init_from_request(protocol: Protocol, request: HttpRequest) -> Init {
    let value = |key| request.query_value(key).unwrap_or_default();
    let application = match protocol {
        Protocol::Json => request.path.rsplit('/').next().unwrap_or_default(),
        _ => value("app"),
    };
    Init {
        protocol,
        application: percent_decoded(application),
        client_version: value("libversion").to_owned(),
        sdk_id: value("sid").parse::<u8>().unwrap_or_default() >> 1,
        ipv6: request.query_value("IPv6").is_some(),
        token: None,
        custom_data: None,
        http: Some(request),
    }
}
