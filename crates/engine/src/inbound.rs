//! From what a transport reports to the operation of a role.

use std::sync::Arc;
use std::time::Duration;

use lampyris_realtime::codes::{self, Refusal, ReturnCode, operation};
use lampyris_transport::crypto::{EXPONENT_BYTES, KeyExchange, PayloadCipher};
use lampyris_transport::{CloseCause, Delivery, Incoming, Init, server_time_ms};
use lampyris_wire::{
    Message, MessageHead, MessageKind, OperationResponse, Parameters, Protocol, RawRequest, Value, coerce,
};
use rand::RngExt as _;

use crate::address::Reached;
use crate::connection::{Deadline, ReplyMode};
use crate::session::Session;
use crate::{ConnectionKey, Line, Role, Worker};

/// Internal operations, below the application.
const INIT_ENCRYPTION: u8 = 0;
const PING: u8 = 1;

/// The key of the client's public key and of its time in internal requests, and of their echo in the responses.
const INTERNAL_FIRST: u8 = 1;
const INTERNAL_SECOND: u8 = 2;

/// Most key exchanges of one connection: each costs a modular exponentiation.
const MAX_KEY_EXCHANGES: u8 = 4;

impl Worker {
    /// Handles what a connection's transport reported, in order. `input` is what the transport was given.
    pub(crate) fn handle_incoming(
        &mut self,
        now: Duration,
        key: ConnectionKey,
        incoming: &mut Vec<Incoming>,
        input: &[u8],
    ) {
        for item in incoming.drain(..) {
            match item {
                Incoming::Opened(init) => self.opened(now, key, *init),
                Incoming::Message { channel, delivery, body } => {
                    self.message(now, key, channel, delivery, body.bytes(input));
                }
                Incoming::Http(request) => {
                    // It has one answer and then ends: there is nothing to count it for.
                    self.believe_proxy(key, &request);
                    self.http(now, key, &request);
                }
                Incoming::Closed(cause) => self.closed(now, key, cause),
            }
        }
    }

    /// The init message came (or stands for itself).
    fn opened(&mut self, now: Duration, key: ConnectionKey, init: Init) {
        let config = Arc::clone(&self.config);
        if init.http.as_ref().is_some_and(|request| !self.believe_proxy(key, request)) {
            self.stats.connections_refused += 1;
            return self.close(now, key, CloseCause::Limit("connections of one address"));
        }
        let line = self.log.came.admit(now);
        let Some(connection) = self.connection_mut(key) else { return };
        connection.protocol = init.protocol;
        connection.last_message = now;
        connection.reached.host = init.http.as_ref().and_then(|http| Reached::host_of_header(&http.host));
        connection.reached.claims_ipv6 = init.ipv6;
        let choice = config.listeners.get(connection.listener.0).and_then(|listener| connection.choice(listener));
        let Some(role) = choice.and_then(|choice| config.applications.choose(choice, &init.application)) else {
            let application: String = init.application.chars().filter(|c| !c.is_control()).take(64).collect();
            if let Some(Line { held_back }) = line {
                let client = connection.remote;
                tracing::info!(%client, %application, held_back, "no such application is loaded here");
            }
            self.stats.applications_unknown += 1;
            return self.close(now, key, CloseCause::ByUs("no such application is loaded"));
        };
        connection.role = Some(role);
        connection.session = match role {
            Role::NameServer => {
                let deadline = now.saturating_add(config.name_server.authentication_timeout);
                connection.deadline = Some((deadline, Deadline::Authenticate));
                Session::NameServer { attempts: 0 }
            }
            Role::Master => Session::Master(Box::default()),
            Role::Game => Session::Game(Box::default()),
        };
        if let Some(Line { held_back }) = line {
            tracing::info!(
                role = role.name(),
                transport = connection.transport.name(),
                protocol = connection.protocol.name(),
                client = %connection.remote,
                version = %init.client_version,
                held_back,
                "connected"
            );
        }
        match init.token.filter(|token| !token.is_null()) {
            Some(token) if role == Role::Master => self.master_token_init(now, key, &token),
            Some(token) if role == Role::Game => self.game_token_init(now, key, &token),
            _ => {}
        }
    }

    /// One whole message.
    fn message(&mut self, now: Duration, key: ConnectionKey, channel: u8, delivery: Delivery, message: &[u8]) {
        let limits = self.wire_limits;
        let rates = self.config.limits.rates;
        self.stats.messages_received += 1;
        let Some(connection) = self.connection_mut(key) else { return };
        if matches!(connection.session, Session::Ended) {
            return;
        }
        connection.last_message = now;
        if let Err(limit) = connection.rate.admit(now, message.len(), rates) {
            return self.fail(now, key, limit);
        }
        if connection.protocol == Protocol::Json {
            let mode = ReplyMode { channel, delivery, encrypted: false };
            return match RawRequest::parse_json(message, &limits) {
                Ok(request) => self.request(now, key, mode, &request),
                Err(error) => self.fail(now, key, CloseCause::Violation(error.to_string())),
            };
        }
        let protocol = connection.protocol;
        let (head, body) = match MessageHead::split(message) {
            Ok(split) => split,
            Err(error) => return self.fail(now, key, CloseCause::Violation(error.to_string())),
        };
        // On an encrypted transport the client may set the flag although the body is in clear.
        let encrypted = head.encrypted && !connection.is_secure();
        let mut plain = std::mem::take(&mut self.scratch.plain);
        plain.clear();
        let body = if encrypted {
            let decrypted = self.connection(key).and_then(|c| c.cipher.as_ref()?.decrypt(body, &mut plain).ok());
            decrypted.map(|()| &*plain)
        } else {
            Some(body)
        };
        let internal = match head.kind {
            MessageKind::OperationRequest => Some(false),
            MessageKind::InternalRequest => Some(true),
            _ => None,
        };
        match (body, internal) {
            (None, _) => self.fail(now, key, CloseCause::Violation("an encrypted message that no key opens".into())),
            (_, None) => {
                let text = format!("expected an operation request, got a message of kind {:?}", head.kind);
                self.fail(now, key, CloseCause::Violation(text));
            }
            (Some(body), Some(internal)) => match RawRequest::parse_body(protocol, internal, body, &limits) {
                Ok(request) => self.request(now, key, ReplyMode { channel, delivery, encrypted }, &request),
                Err(error) => self.fail(now, key, CloseCause::Violation(error.to_string())),
            },
        }
        self.scratch.plain = plain;
    }

    /// One request that was checked.
    fn request(&mut self, now: Duration, key: ConnectionKey, mode: ReplyMode, request: &RawRequest<'_>) {
        if request.internal {
            return self.internal_request(now, key, mode, request);
        }
        let Some(connection) = self.connection(key) else { return };
        match &connection.session {
            Session::Opening | Session::Ended => {}
            Session::NameServer { .. } => self.name_server_request(now, key, mode, request),
            Session::Master(_) => self.master_request(now, key, mode, request),
            Session::Game(_) => self.game_request(now, key, mode, request),
        }
    }

    /// Key exchange and ping (transports.md, section 1).
    fn internal_request(&mut self, now: Duration, key: ConnectionKey, mode: ReplyMode, request: &RawRequest<'_>) {
        let first = request.parameters.get(INTERNAL_FIRST).and_then(|raw| raw.decode().ok());
        match request.code {
            PING => {
                let echoed = first.as_ref().and_then(coerce::long).unwrap_or_default();
                #[expect(clippy::cast_possible_truncation, reason = "the clients' clocks wrap at 32 bits")]
                let echoed = echoed as i32;
                let parameters = Parameters::from([
                    (INTERNAL_FIRST, Value::Int(echoed)),
                    (INTERNAL_SECOND, Value::Int(server_time_ms(now))),
                ]);
                self.answer_internal(now, key, mode, PING, Ok(parameters));
            }
            INIT_ENCRYPTION => {
                let (answer, cipher) = match self.exchange_keys(key, first.as_ref()) {
                    Ok((public_key, cipher)) => {
                        (Ok(Parameters::from([(INTERNAL_FIRST, Value::from(public_key))])), Some(cipher))
                    }
                    Err(refusal) => (Err(refusal), None),
                };
                // The answer goes in clear; the key counts from the next message on.
                self.answer_internal(now, key, ReplyMode { encrypted: false, ..mode }, INIT_ENCRYPTION, answer);
                if let (Some(cipher), Some(connection)) = (cipher, self.connection_mut(key)) {
                    connection.cipher = Some(cipher);
                }
            }
            code => {
                let refusal = Refusal::invalid(format!("internal operation {code} is unknown"));
                self.answer_internal(now, key, mode, code, Err(refusal));
            }
        }
    }

    fn exchange_keys(
        &mut self,
        key: ConnectionKey,
        client: Option<&Value>,
    ) -> Result<(Vec<u8>, PayloadCipher), Refusal> {
        let Some(client) = client.and_then(coerce::bytes) else {
            return Err(Refusal::invalid("parameter 1: expected the client's public key as byte[]"));
        };
        let mut exponent = [0u8; EXPONENT_BYTES];
        self.rng.fill(&mut exponent);
        let Some(connection) = self.connection_mut(key) else { return Err(Refusal::denied("connection gone")) };
        connection.key_exchanges = connection.key_exchanges.saturating_add(1);
        if connection.key_exchanges > MAX_KEY_EXCHANGES {
            return Err(Refusal::denied(format!("at most {MAX_KEY_EXCHANGES} key exchanges on one connection")));
        }
        KeyExchange::respond(&exponent, &client)
            .map_err(|error| Refusal::new(ReturnCode::INVALID_ENCRYPTION_PARAMETERS, error.to_string()))
    }

    fn answer_internal(
        &mut self,
        now: Duration,
        key: ConnectionKey,
        mode: ReplyMode,
        code: u8,
        answer: Result<Parameters, Refusal>,
    ) {
        self.send(now, key, mode, &Message::InternalResponse(response(code, answer)));
    }

    /// The time for authenticating is over.
    pub(crate) fn authentication_timeout(&mut self, now: Duration, key: ConnectionKey) {
        let Some(connection) = self.connection(key) else { return };
        if matches!(connection.session, Session::Opening) {
            return self.close(now, key, CloseCause::Timeout("the client sent no init message"));
        }
        let refusal = Refusal::new(ReturnCode::AUTH_REQUEST_WAIT_TIMEOUT, "authentication did not come in time");
        self.answer(now, key, ReplyMode::UNASKED, operation::AUTHENTICATE, Err(refusal));
        self.end_later(now, key, CloseCause::Timeout("the client did not authenticate"));
    }

    /// Answers an operation.
    pub(crate) fn answer(
        &mut self,
        now: Duration,
        key: ConnectionKey,
        mode: ReplyMode,
        code: u8,
        answer: Result<Parameters, Refusal>,
    ) {
        self.respond(now, key, mode, response(code, answer));
    }

    /// The client has authenticated: it may stay.
    pub(crate) fn stop_authentication_deadline(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connection_mut(key)
            && matches!(connection.deadline, Some((_, Deadline::Authenticate)))
        {
            connection.deadline = None;
        }
    }
}

fn response(code: u8, answer: Result<Parameters, Refusal>) -> OperationResponse {
    match answer {
        Ok(parameters) => codes::success(code, parameters),
        Err(refusal) => refusal.into_response(code),
    }
}
