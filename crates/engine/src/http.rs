//! Plain HTTP on the WebSocket ports: the demo page, the answer to region pings of WebGL clients, and to questions of
//! authorities of certificates.

use std::sync::Arc;
use std::time::Duration;

use lampyris_transport::{CloseCause, HttpRequest};

use crate::link::Link;
use crate::worker::Action;
use crate::{ConnectionKey, Worker};

/// Region pings of WebGL clients; any answer counts (operations.md, section 1.4).
const PING_ROUTES: [&str; 3] = ["/photon/m", "/photon/g", "/photon/n"];

/// Lets a page of another origin read the answer.
const ANY_ORIGIN: (&str, &str) = ("Access-Control-Allow-Origin", "*");

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// What the answer to a challenge is (RFC 8555, section 8.3).
const OCTETS: &str = "application/octet-stream";

const NOT_FOUND: &str = "Nothing here. Game clients connect by WebSocket: ws:// on this port, or wss:// if the port is \
                         a secure one.\n";

const UPGRADE: &str = "This is a place for game clients: they connect by WebSocket, ws:// on this port, or wss:// if the \
                       port is a secure one.\n";

impl Worker {
    /// One plain HTTP request; the connection closes behind the answer.
    pub(crate) fn http(&mut self, now: Duration, key: ConnectionKey, request: &HttpRequest) {
        let config = Arc::clone(&self.config);
        let path = request.path.trim_end_matches('/');
        let asset = config.assets.get(if path.is_empty() { "/" } else { path });
        let Some((connection, _)) = self.sending(key) else { return };
        let listener = config.listeners.get(connection.listener.0);
        let route = listener.and_then(|listener| listener.route(path));
        let strict = listener.and_then(|listener| listener.strict_transport).filter(|_| connection.is_secure());
        let strict = strict.map(|time| format!("max-age={}", time.as_secs()));
        let strict = strict.as_deref().map(|value| ("Strict-Transport-Security", value));
        let with = |header: Option<(&'static str, &'static str)>| header.into_iter().chain(strict).collect::<Vec<_>>();
        let out = &mut connection.out.buffer;
        if let Link::Ws(link) = &mut connection.link {
            let answer = config.challenges.as_ref().and_then(|challenges| challenges.answer(&request.path));
            let is_ping = PING_ROUTES.iter().any(|ping| path.eq_ignore_ascii_case(ping));
            if let Some(answer) = answer {
                link.respond_http(200, OCTETS, &with(None), answer.as_bytes(), out);
            } else if is_ping || route.is_some_and(|route| route.answers_probes) {
                link.respond_http(200, PLAIN_TEXT, &with(Some(ANY_ORIGIN)), b"pong\n", out);
            } else if let Some(asset) = asset {
                link.respond_http(200, asset.content_type, &with(None), &asset.body, out);
            } else if route.is_some_and(|route| route.path.web_socket) {
                link.respond_http(426, PLAIN_TEXT, &with(Some(("Upgrade", "websocket"))), UPGRADE.as_bytes(), out);
            } else {
                link.respond_http(404, PLAIN_TEXT, &with(None), NOT_FOUND.as_bytes(), out);
            }
        }
        self.end(now, key, CloseCause::ByUs("answered a plain HTTP request"));
        self.actions.push_back(Action::Close(key));
    }
}
