//! As much of HTTP/1.1 as stands before a WebSocket: one request head in, one response out, then the stream is
//! another protocol's or is closed (RFC 9112).

/// Longest request head, blank line included.
pub const MAX_HEAD_BYTES: usize = 8 * 1024;

/// Most header fields of a request.
pub const MAX_HEADERS: usize = 64;

/// The request methods that anything is answered to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// Wants the resource.
    #[default]
    Get,
    /// Wants the headers that a [`Method::Get`] would bring, without the body.
    Head,
}

/// What is kept of a request: of a WebSocket upgrade, or of a plain one that its owner answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// Always [`Method::Get`] for an upgrade.
    pub method: Method,
    /// Path with repeated slashes collapsed, query excluded, escapes as they came.
    pub path: String,
    /// Query without `?`.
    pub query: String,
    /// The `Host` header as it came.
    pub host: String,
    /// The `Origin` header, if any.
    pub origin: Option<String>,
    /// The `X-Forwarded-For` headers, joined by commas. Everybody can write them.
    pub forwarded_for: Option<String>,
    /// The `X-Forwarded-Proto` header, in lower case. Everybody can write it.
    pub forwarded_proto: Option<String>,
}

impl HttpRequest {
    /// The value of a key in the query, escapes as they came; empty for a key without `=`.
    ///
    /// A `?` separates keys as `&` does, because clients append their query to an address that may have one already.
    #[must_use]
    pub fn query_value(&self, key: &str) -> Option<&str> {
        self.query.split(['&', '?']).find_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name == key).then_some(value)
        })
    }
}

/// Why a request is answered with an error instead of what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) help: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, help: impl Into<String>) -> Self {
        Self { status, help: help.into() }
    }

    /// Appends the answer: the status and the line that says what to do.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let headers: &[(&str, &str)] = match self.status {
            405 => &[("Allow", "GET, HEAD")],
            426 => &[("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")],
            _ => &[],
        };
        write_response(Method::Get, self.status, "text/plain; charset=utf-8", headers, self.help.as_bytes(), out);
    }
}

/// A request head, read.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) request: HttpRequest,
    /// It is a complete WebSocket upgrade, as far as HTTP is concerned.
    pub(crate) wants_websocket: bool,
    pub(crate) websocket_version: Option<String>,
    pub(crate) websocket_key: Option<String>,
    /// The offered sub-protocols, in the client's order; `None` without the header.
    pub(crate) subprotocols: Option<Vec<String>>,
}

/// Where the head at the start of `bytes` ends; `searched` bytes were looked at before without success.
pub(crate) fn head_end(bytes: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    let at = bytes.get(from..)?.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(from + at + 4)
}

/// Reads a whole head, blank line included.
pub(crate) fn parse_head(bytes: &[u8]) -> Result<Head, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Refusal::new(400, "the request head ends early")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Refusal::new(431, format!("at most {MAX_HEADERS} header fields are accepted")));
        }
        Err(error) => return Err(Refusal::new(400, format!("not an HTTP/1.1 request: {error}"))),
    }
    let method = match parsed.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        other => {
            return Err(Refusal::new(405, format!("expected GET or HEAD, found {}", other.unwrap_or_default())));
        }
    };
    let (path, query) = split_target(parsed.path.unwrap_or_default())?;
    let mut head = Head {
        request: HttpRequest { method, path, query, ..HttpRequest::default() },
        wants_websocket: false,
        websocket_version: None,
        websocket_key: None,
        subprotocols: None,
    };
    let mut connection_upgrade = false;
    let mut upgrade_websocket = false;
    for header in parsed.headers.iter() {
        let value = String::from_utf8_lossy(header.value);
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("Host") {
            head.request.host = value.into_owned();
        } else if is("Origin") {
            head.request.origin = Some(value.into_owned());
        } else if is("X-Forwarded-For") {
            let list = head.request.forwarded_for.get_or_insert_default();
            if !list.is_empty() {
                list.push(',');
            }
            list.push_str(&value);
        } else if is("X-Forwarded-Proto") {
            head.request.forwarded_proto = Some(value.trim().to_ascii_lowercase());
        } else if is("Connection") {
            connection_upgrade |= list(&value).any(|token| token.eq_ignore_ascii_case("upgrade"));
        } else if is("Upgrade") {
            upgrade_websocket |= list(&value).any(|token| token.eq_ignore_ascii_case("websocket"));
        } else if is("Sec-WebSocket-Version") {
            head.websocket_version = Some(value.into_owned());
        } else if is("Sec-WebSocket-Key") {
            head.websocket_key = Some(value.into_owned());
        } else if is("Sec-WebSocket-Protocol") {
            head.subprotocols.get_or_insert_default().extend(list(&value).map(str::to_owned));
        }
    }
    if upgrade_websocket || head.websocket_key.is_some() {
        if !(connection_upgrade && upgrade_websocket) {
            let help =
                "expected `Connection: Upgrade` and `Upgrade: websocket`; a proxy on the way has to pass both on";
            return Err(Refusal::new(400, help));
        }
        head.wants_websocket = true;
    }
    if head.wants_websocket && parsed.version != Some(1) {
        return Err(Refusal::new(400, "a WebSocket upgrade needs HTTP/1.1"));
    }
    Ok(head)
}

fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|token| !token.is_empty())
}

/// Path and query of a request target. A target that starts with two slashes is a path: clients that build their
/// address from their own settings send one.
fn split_target(target: &str) -> Result<(String, String), Refusal> {
    let origin_form = match target.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or("/")
        }
        _ => target,
    };
    let (path, query) = origin_form.split_once('?').unwrap_or((origin_form, ""));
    if !path.is_empty() && !path.starts_with('/') {
        return Err(Refusal::new(400, format!("expected a path that starts with a slash, found {path}")));
    }
    let mut collapsed = String::with_capacity(path.len().max(1));
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        collapsed.push('/');
        collapsed.push_str(segment);
    }
    if collapsed.is_empty() || path.ends_with('/') {
        collapsed.push('/');
    }
    Ok((collapsed, query.to_owned()))
}

/// Appends a whole response that ends the connection; the body is left out for [`Method::Head`].
pub fn write_response(
    method: Method,
    status: u16,
    content_type: &str,
    extra_headers: &[(&str, &str)],
    body: &[u8],
    out: &mut Vec<u8>,
) {
    let mut head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\
         X-Content-Type-Options: nosniff\r\nX-Frame-Options: SAMEORIGIN\r\nReferrer-Policy: no-referrer\r\n",
        reason_phrase(status),
        body.len()
    );
    for (name, value) in extra_headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    out.extend_from_slice(head.as_bytes());
    if method == Method::Get {
        out.extend_from_slice(body);
    }
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "",
    }
}

/// Resolves `%XX`; a broken escape stays as it is, and bytes that are no UTF-8 become U+FFFD.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = tail.first_chunk::<2>().filter(|_| first == b'%').and_then(hex_byte);
        decoded.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex_byte(digits: &[u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()));
    Some(high? << 4 | low?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &str) -> Result<Head, Refusal> {
        parse_head(format!("{}\r\n\r\n", lines.replace('\n', "\r\n")).as_bytes())
    }

    fn target(target: &str) -> (String, String) {
        split_target(target).unwrap()
    }

    #[test]
    fn targets_are_paths_whatever_they_begin_with() {
        let pair = |path: &str, query: &str| (path.to_owned(), query.to_owned());
        assert_eq!(target("//?libversion=4"), pair("/", "libversion=4"));
        assert_eq!(target("/Master/?x=1"), pair("/Master/", "x=1"));
        assert_eq!(target("//evil.example///Master"), pair("/evil.example/Master", ""));
        assert_eq!(target("http://host:9090/Game/?a"), pair("/Game/", "a"));
        assert_eq!(target("ws://host?a"), pair("/", "a"));
        assert_eq!(target("/Master?x=1/?sid=10&xInit="), pair("/Master", "x=1/?sid=10&xInit="));
        assert_eq!(split_target("*").unwrap_err().status, 400);
    }

    #[test]
    fn query_values_are_found_behind_a_second_question_mark_too() {
        let request = HttpRequest { query: "x=1/?sid=10&app=a-b&xInit=&IPv6".into(), ..HttpRequest::default() };
        assert_eq!(request.query_value("sid"), Some("10"));
        assert_eq!(request.query_value("xInit"), Some(""));
        assert_eq!(request.query_value("IPv6"), Some(""));
        assert_eq!(request.query_value("xinit"), None);
    }

    #[test]
    fn header_names_and_tokens_are_read_without_regard_to_case() {
        let head = head(
            "GET / HTTP/1.1\nhOsT: ::1:9090\nconnection: keep-alive, UPGRADE\nUPGRADE: WebSocket\n\
             sec-websocket-key: k\nSEC-WEBSOCKET-VERSION: 13\nsec-websocket-protocol: a, b\n\
             Sec-WebSocket-Protocol: c\norigin: https://x",
        )
        .unwrap();
        assert!(head.wants_websocket);
        assert_eq!(head.request.host, "::1:9090");
        assert_eq!(head.request.origin.as_deref(), Some("https://x"));
        assert_eq!(head.subprotocols.unwrap(), ["a", "b", "c"]);
    }

    #[test]
    fn t28_lists_of_proxies_in_several_headers_are_one_list() {
        let head =
            head("GET / HTTP/1.1\nX-Forwarded-For: 1.2.3.4\nx-forwarded-for: 10.0.0.1\nX-Forwarded-Proto: HTTPS")
                .unwrap();
        assert_eq!(head.request.forwarded_for.as_deref(), Some("1.2.3.4,10.0.0.1"));
        assert_eq!(head.request.forwarded_proto.as_deref(), Some("https"));
    }

    #[test]
    fn what_is_no_request_is_refused_with_a_status() {
        assert_eq!(head("POST / HTTP/1.1").unwrap_err().status, 405);
        assert_eq!(head("GET /\u{1} HTTP/1.1").unwrap_err().status, 400);
        assert_eq!(head("GET / HTTP/1.0\nConnection: upgrade\nUpgrade: websocket").unwrap_err().status, 400);
        for dropped_by_a_proxy in ["Connection: close\nSec-WebSocket-Key: k", "Connection: close\nUpgrade: websocket"] {
            let refusal = head(&format!("GET / HTTP/1.1\n{dropped_by_a_proxy}")).unwrap_err();
            assert!(refusal.status == 400 && refusal.help.contains("proxy"), "{refusal:?}");
        }
        let with_headers = |count: usize| head(&format!("GET / HTTP/1.1{}", "\nA: b".repeat(count)));
        assert!(with_headers(MAX_HEADERS).is_ok());
        assert_eq!(with_headers(MAX_HEADERS + 1).unwrap_err().status, 431);
    }

    #[test]
    fn escapes_are_resolved_and_broken_ones_kept() {
        assert_eq!(percent_decoded("my%20game%2F%C3%A9"), "my game/é");
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%4"), "%4");
        assert_eq!(percent_decoded("%zz%+1"), "%zz%+1");
    }

    #[test]
    fn a_head_response_has_the_length_but_not_the_body() {
        let mut out = Vec::new();
        write_response(Method::Head, 200, "text/plain", &[("A", "b")], b"hello", &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with("HTTP/1.1 200 OK\r\n")
                && text.contains("Content-Length: 5\r\n")
                && text.contains("\r\nA: b\r\n")
        );
        assert!(text.ends_with("\r\n\r\n"));
    }
}
