//! Plain HTTP on the WebSocket ports: the demo page, and the answer to region pings of WebGL clients.

use std::time::Duration;

use lampyris_transport::ws::{self, HttpExchange};
use lampyris_transport::CloseCause;

use crate::worker::Action;
use crate::{ConnectionKey, Worker};

/// Region pings of WebGL clients; any answer counts (operations.md, section 1.4).
const PING_ROUTES: [&str; 3] = ["/photon/m", "/photon/g", "/photon/n"];

/// Lets a page of another origin read the answer.
const ANY_ORIGIN: (&str, &str) = ("Access-Control-Allow-Origin", "*");

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

impl Worker {
    /// One plain HTTP request; the connection closes behind the answer.
    pub(crate) fn http(&mut self, now: Duration, key: ConnectionKey, exchange: &HttpExchange) {
        let config = self.config.clone();
        let Some((connection, _)) = self.sending(key) else { return };
        let out = &mut connection.out.buffer;
        let path = exchange.path.trim_end_matches('/');
        if PING_ROUTES.iter().any(|route| path.eq_ignore_ascii_case(route)) {
            ws::respond_http(out, exchange, 200, PLAIN_TEXT, &[ANY_ORIGIN], b"pong\n");
        } else if let Some(asset) = config.assets.get(if path.is_empty() { "/" } else { path }) {
            ws::respond_http(out, exchange, 200, asset.content_type, &[], &asset.body);
        } else {
            let help: &[u8] = b"Nothing here. Game clients connect by WebSocket: ws:// on this port, or wss:// where the port is a secure one.\n";
            ws::respond_http(out, exchange, 404, PLAIN_TEXT, &[], help);
        }
        self.end(now, key, CloseCause::ByUs("answered a plain HTTP request"));
        self.actions.push_back(Action::Close(key));
    }
}
