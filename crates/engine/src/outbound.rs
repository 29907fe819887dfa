//! From answers and events to the transports' output.

use std::time::Duration;

use lampyris_realtime::codes::ReturnCode;
use lampyris_transport::CloseCause;
use lampyris_wire::{Disconnect, Message, OperationResponse, Parameters, Protocol};

use crate::connection::{Connection, Deadline, ReplyMode};
use crate::fan_out::{FanOut, Outgoing, encrypted_head};
use crate::link::{Link, send_udp};
use crate::session::Session;
use crate::worker::{Action, Scratch};
use crate::{ConnectionKey, Line, Worker};

/// What a frame of any transport has beside its message, at most.
const FRAME_HEAD_BYTES: usize = 32;

impl Worker {
    /// Answers an operation.
    pub(crate) fn respond(&mut self, now: Duration, key: ConnectionKey, mode: ReplyMode, response: OperationResponse) {
        if response.return_code != 0 {
            self.stats.operations_refused += 1;
            tracing::debug!(
                operation = response.code,
                return_code = response.return_code,
                reason = response.debug_message.as_deref().unwrap_or_default(),
                "operation refused"
            );
        }
        self.send(now, key, mode, &Message::OperationResponse(response));
    }

    /// Sends one message to one client.
    pub(crate) fn send(&mut self, now: Duration, key: ConnectionKey, mode: ReplyMode, message: &Message) {
        self.begin_event();
        self.deliver(now, key, mode, &Outgoing::Message(message));
    }

    /// Forgets the encodings of the event before. To be called before the first [`Worker::deliver`] of each.
    pub(crate) fn begin_event(&mut self) {
        self.fan_out.clear();
    }

    /// Appends a message or event to one receiver's output; encoded and framed at most once for all receivers.
    pub(crate) fn deliver(&mut self, now: Duration, key: ConnectionKey, mode: ReplyMode, outgoing: &Outgoing<'_>) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let sent = match self.sending(key) {
            None => Ok(true),
            Some((connection, fan_out)) => {
                deliver_to(now, connection, fan_out, &mut scratch, mode, outgoing).and_then(|sent| {
                    let queued = connection.out.pending().len();
                    if queued > connection.limits.queued_bytes {
                        Err(CloseCause::Limit("queued output per peer"))
                    } else {
                        Ok(sent)
                    }
                })
            }
        };
        self.scratch = scratch;
        match sent {
            Ok(true) => self.stats.events_delivered += 1,
            Ok(false) => self.stats.events_without_form += 1,
            Err(cause) => {
                // Closing tells others that this one left, which must not take the place of what they are getting now.
                let fan_out = std::mem::take(&mut self.fan_out);
                self.close(now, key, cause);
                self.fan_out = fan_out;
                return;
            }
        }
        self.touch(key);
    }

    /// The peer broke the rules or went over a limit: tells it why, reads nothing more of it, closes a little later so
    /// that it can read the reason.
    pub(crate) fn fail(&mut self, now: Duration, key: ConnectionKey, cause: CloseCause) {
        let Some(connection) = self.connection(key) else { return };
        if matches!(connection.session, Session::Ended) {
            return;
        }
        if connection.protocol != Protocol::Json && !matches!(connection.session, Session::Opening) {
            let code = match &cause {
                CloseCause::Violation(_) => ReturnCode::OPERATION_INVALID,
                CloseCause::Limit(_) => ReturnCode::OPERATION_LIMIT_REACHED,
                _ => ReturnCode::OPERATION_DENIED,
            };
            let disconnect =
                Disconnect { code: code.0, debug_message: Some(cause.to_string()), parameters: Parameters::new() };
            self.send(now, key, ReplyMode::UNASKED, &Message::Disconnect(disconnect));
        }
        self.end_later(now, key, cause);
    }

    /// The client got its last answer: it leaves its room and lobby now, requests are not read any more, and the
    /// connection is closed after a grace if the client does not do it. Closing at once would lose the answer
    /// (transports.md, section 8.2).
    pub(crate) fn end_later(&mut self, now: Duration, key: ConnectionKey, cause: CloseCause) {
        self.end(now, key, cause);
        self.close_later(now, key, "the client did not close by itself");
    }

    /// Closes after the grace unless the client does before.
    pub(crate) fn close_later(&mut self, now: Duration, key: ConnectionKey, reason: &'static str) {
        if let Some(connection) = self.connection_mut(key) {
            let at = now.saturating_add(connection.limits.close_grace);
            connection.deadline = Some((at, Deadline::Close(reason)));
        }
        self.touch(key);
    }

    /// Ends the connection from this side, in the transport's own way.
    pub(crate) fn close(&mut self, now: Duration, key: ConnectionKey, cause: CloseCause) {
        let Some((connection, _)) = self.sending(key) else { return };
        connection.deadline = None;
        let reason = match cause {
            CloseCause::ByUs(reason) | CloseCause::Limit(reason) | CloseCause::Timeout(reason) => reason,
            _ => "closed by the server",
        };
        let mut incoming = Vec::new();
        connection.link.close(now, reason, &mut incoming, &mut connection.out.buffer);
        self.end(now, key, cause);
        self.handle_incoming(now, key, &mut incoming, &[]);
        self.touch(key);
    }

    /// The transport is done with the connection.
    pub(crate) fn closed(&mut self, now: Duration, key: ConnectionKey, cause: CloseCause) {
        self.end(now, key, cause);
        if let Some(connection) = self.connection(key)
            && !connection.link.is_udp()
        {
            self.actions.push_back(Action::Close(key));
        }
        self.touch(key);
    }

    /// The client is gone for the rules: it leaves its room and lobby, once.
    pub(crate) fn end(&mut self, now: Duration, key: ConnectionKey, cause: CloseCause) {
        if self.connection(key).is_none_or(|connection| connection.ended.is_some()) {
            return;
        }
        let line = self.log.went.admit(now);
        let Some(connection) = self.connection_mut(key) else { return };
        let session = std::mem::replace(&mut connection.session, Session::Ended);
        if let Some(Line { held_back }) = line {
            tracing::info!(
                role = connection.role_name(),
                transport = connection.transport.name(),
                client = %connection.remote,
                %cause,
                held_back,
                "disconnected"
            );
        }
        connection.ended = Some(cause.clone());
        self.stats.connections_ended += 1;
        match &cause {
            CloseCause::Violation(_) => self.stats.violations += 1,
            CloseCause::Limit(_) => self.stats.limits_reached += 1,
            _ => {}
        }
        match session {
            Session::Opening | Session::NameServer { .. } | Session::Ended => {}
            Session::Master(session) => self.master_gone(now, key, *session),
            Session::Game(session) => self.game_gone(now, key, *session),
        }
    }
}

/// `Ok(false)`: the receiver's protocol cannot say it.
fn deliver_to(
    now: Duration,
    connection: &mut Connection,
    fan_out: &mut FanOut,
    scratch: &mut Scratch,
    mode: ReplyMode,
    outgoing: &Outgoing<'_>,
) -> Result<bool, CloseCause> {
    let protocol = connection.protocol;
    let limit = connection.limits.outbound_message_bytes;
    if mode.encrypted
        && let Some(cipher) = connection.cipher.as_ref().filter(|_| !connection.is_secure())
    {
        let Some(clear) = fan_out.message(protocol, outgoing) else { return Ok(false) };
        check_length(limit, clear)?;
        let Some((head, body)) = encrypted_head(clear) else { return Ok(false) };
        scratch.message.clear();
        head.write(&mut scratch.message);
        if cipher.encrypt(body, &mut scratch.message).is_err() {
            return Ok(false);
        }
        connection.link.send(now, mode, &scratch.message, &mut connection.out.buffer)?;
        return Ok(true);
    }
    match &mut connection.link {
        Link::Udp(peer) => {
            let Some(message) = fan_out.shared(protocol, outgoing) else { return Ok(false) };
            send_udp(peer, now, mode, &message)?;
        }
        Link::Tcp(_) => {
            let Some(frame) = fan_out.tcp(protocol, outgoing) else { return Ok(false) };
            check_length(limit, frame)?;
            connection.out.buffer.extend_from_slice(frame);
        }
        Link::Ws(_) => {
            let Some(frame) = fan_out.ws(protocol, outgoing) else { return Ok(false) };
            check_length(limit, frame)?;
            connection.out.buffer.extend_from_slice(frame);
        }
        Link::Policy(_) => return Ok(false),
    }
    Ok(true)
}

/// Checks the limit of messages to a client, whose frame may be longer.
fn check_length(limit: usize, frame: &[u8]) -> Result<(), CloseCause> {
    if frame.len() <= limit.saturating_add(FRAME_HEAD_BYTES) {
        return Ok(());
    }
    Err(CloseCause::Limit("bytes of an outgoing message"))
}
