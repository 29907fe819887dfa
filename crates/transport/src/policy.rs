//! Policies for old browser plug-ins: a client asks in a fixed text, gets the file and a zero byte, and that was all.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::{CloseCause, Incoming};

/// What a client sends, a zero byte behind it.
pub const REQUEST: &[u8] = b"<policy-file-request/>";

/// What all connections of a listener share.
#[derive(Clone, Debug)]
pub struct Config {
    /// The policy.
    pub file: Bytes,
    /// A connection that has not asked after so long is closed.
    pub inactivity: Duration,
}

/// The server's end of a connection that asks for the policy.
#[derive(Debug)]
pub struct ServerConnection {
    config: Arc<Config>,
    since: Duration,
    /// Bytes of the request that came.
    received: usize,
    closed: bool,
}

impl ServerConnection {
    /// A connection that was just accepted.
    #[must_use]
    pub fn new(now: Duration, config: Arc<Config>) -> Self {
        Self { config, since: now, received: 0, closed: false }
    }

    /// Takes what was read. The answer to the request is the last thing in `out`.
    pub fn receive(&mut self, input: &[u8], incoming: &mut Vec<Incoming>, out: &mut Vec<u8>) {
        if self.closed {
            return;
        }
        let wanted = REQUEST.get(self.received..).unwrap_or_default();
        let compared = wanted.len().min(input.len());
        if wanted.get(..compared) != input.get(..compared) {
            return self.close(CloseCause::Violation("expected a request for a policy file".into()), incoming);
        }
        self.received += compared;
        if self.received == REQUEST.len() {
            out.extend_from_slice(&self.config.file);
            out.push(0);
            self.close(CloseCause::ByUs("the policy file was sent"), incoming);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` once closed.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        (!self.closed).then(|| self.since.saturating_add(self.config.inactivity))
    }

    /// Closes the connection if its time is over. May be called at any time.
    pub fn handle_timeout(&mut self, now: Duration, incoming: &mut Vec<Incoming>) {
        if self.next_timeout().is_some_and(|deadline| now >= deadline) {
            self.close(CloseCause::Timeout("no request for a policy file"), incoming);
        }
    }

    /// Ends the connection for `cause`, once.
    pub fn close(&mut self, cause: CloseCause, incoming: &mut Vec<Incoming>) {
        if !std::mem::replace(&mut self.closed, true) {
            incoming.push(Incoming::Closed(cause));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> ServerConnection {
        let config = Config { file: Bytes::from_static(b"<policy/>"), inactivity: Duration::from_secs(10) };
        ServerConnection::new(Duration::from_secs(1), Arc::new(config))
    }

    fn feed(connection: &mut ServerConnection, input: &[u8]) -> (Option<CloseCause>, Vec<u8>) {
        let (mut incoming, mut out) = (Vec::new(), Vec::new());
        connection.receive(input, &mut incoming, &mut out);
        let cause = incoming.pop().map(|last| match last {
            Incoming::Closed(cause) => cause,
            other => panic!("{other:?}"),
        });
        (cause, out)
    }

    #[test]
    fn the_file_is_sent_once_the_request_is_whole_wherever_it_is_cut() {
        let request = [REQUEST, b"\0"].concat();
        for cut in 0..REQUEST.len() {
            let mut connection = connection();
            assert_eq!(feed(&mut connection, &request[..cut]), (None, vec![]));
            let (cause, out) = feed(&mut connection, &request[cut..]);
            assert_eq!((cause, &out[..]), (Some(CloseCause::ByUs("the policy file was sent")), &b"<policy/>\0"[..]));
            assert_eq!(feed(&mut connection, &request), (None, vec![]));
            assert_eq!(connection.next_timeout(), None);
        }
    }

    #[test]
    fn anything_else_and_silence_end_the_connection() {
        for wrong in [&b"GET / HTTP/1.1"[..], b"<policy-file-requesT", b"\x16\x03"] {
            let (cause, out) = feed(&mut connection(), wrong);
            assert!(matches!(cause, Some(CloseCause::Violation(_))) && out.is_empty(), "{wrong:?}");
        }
        let mut silent = connection();
        let mut incoming = Vec::new();
        silent.handle_timeout(Duration::from_secs(10), &mut incoming);
        assert!(incoming.is_empty());
        silent.handle_timeout(Duration::from_secs(11), &mut incoming);
        assert!(matches!(incoming[..], [Incoming::Closed(CloseCause::Timeout(_))]));
    }
}
