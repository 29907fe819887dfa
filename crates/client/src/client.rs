//! The client: its way from server to server, and what goes in and out of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use lampyris_transport::crypto::KeyExchange;
use lampyris_transport::{CloseCause, Delivery, Incoming};
use lampyris_wire::{Message, OperationRequest, Parameters, Value};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::connection::{Buffers, Connection, Mode};
use crate::request::JoinRequest;
use crate::{Config, DisconnectCause, Error, Event, ServerAddress, Start};

/// How long goodbyes may take before the socket is closed anyway.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nowhere.
    Disconnected,
    /// On the way to the Master.
    Connecting,
    /// On the Master: lobbies and rooms can be entered.
    OnMaster,
    /// On the way to a room.
    EnteringRoom,
    /// In a room.
    InRoom,
    /// On the way from a room to the Master.
    LeavingRoom,
    /// On the way to nowhere.
    Disconnecting,
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a socket to that server (streams: connect, and for `wss` do the TLS handshake), then call
    /// [`Client::opened`]; if it cannot be opened, [`Client::ended`].
    Open(ServerAddress),
    /// Close the socket.
    Close,
}

/// The kind of server that a client is connected to, or connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    NameServer,
    Master,
    Game,
}

/// How far the connection to that server is.
///
/// ```text
/// Idle -> Opening -> Handshake -> (KeyExchange) -> Authenticating -> Ready
///           any of them -> Closing -> Opening (the next server) | Idle
/// ```
#[derive(Debug)]
pub(crate) enum Step {
    /// There is no connection.
    Idle,
    /// The driver opens the socket.
    Opening,
    /// The transport connects.
    Handshake,
    /// Our public key is sent.
    KeyExchange(Box<KeyExchange>),
    /// The server is to say who we are.
    Authenticating,
    /// Operations can be sent.
    Ready,
    /// Goodbyes are on their way.
    Closing(Next),
}

/// What comes after a connection.
#[derive(Debug)]
pub(crate) enum Next {
    Connect(Role, Box<ServerAddress>),
    Disconnect(DisconnectCause),
}

/// A room that the client wants to be in.
#[derive(Debug)]
pub(crate) struct Entering {
    pub(crate) request: JoinRequest,
    /// The name, once the Master has said where the room is.
    pub(crate) room: Option<String>,
}

/// What the servers know the client by.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    pub(crate) token: Option<Value>,
    pub(crate) user_id: Option<Arc<str>>,
    /// Key for payload encryption that came with the token.
    pub(crate) secret: Option<Value>,
}

/// A client without sockets.
///
/// # Contract
/// * In: [`Client::connect`] and the calls that ask for something; what the driver has to tell: [`Client::opened`],
///   [`Client::receive`], [`Client::ended`], [`Client::handle_timeout`].
/// * Out, after any number of those and before waiting, in this order: write [`Client::output`] (streams) or
///   [`Client::poll_datagram`] until it gives false (UDP); [`Client::poll_action`] until `None`;
///   [`Client::poll_event`] until `None`. Then wait until [`Client::next_timeout`], the socket or the application.
/// * `now` is the time since some start and never goes back.
#[derive(Debug)]
pub struct Client {
    pub(crate) config: Arc<Config>,
    seed: [u8; 32],
    pub(crate) server: Role,
    pub(crate) step: Step,
    pub(crate) connection: Option<Box<Connection>>,
    pub(crate) identity: Identity,
    pub(crate) master: Option<Box<ServerAddress>>,
    pub(crate) game: Option<Box<ServerAddress>>,
    pub(crate) entering: Option<Box<Entering>>,
    /// Why a room was not entered, to be told on the Master.
    pub(crate) refused: Option<Box<Event>>,
    pub(crate) room: Option<Arc<str>>,
    pub(crate) actor: i32,
    /// The end of an opening or a closing.
    deadline: Option<Duration>,
    actions: VecDeque<Action>,
    pub(crate) events: VecDeque<Event>,
    incoming: Vec<Incoming>,
    plain: Vec<u8>,
    buffers: Buffers,
}

impl Client {
    /// A client that is not connected. `seed` is fresh secret randomness (in tests: any number).
    #[must_use]
    pub fn new(config: Arc<Config>, seed: [u8; 32]) -> Self {
        Self {
            config,
            seed,
            server: Role::NameServer,
            step: Step::Idle,
            connection: None,
            identity: Identity::default(),
            master: None,
            game: None,
            entering: None,
            refused: None,
            room: None,
            actor: 0,
            deadline: None,
            actions: VecDeque::new(),
            events: VecDeque::new(),
            incoming: Vec::new(),
            plain: Vec::new(),
            buffers: Buffers::default(),
        }
    }

    /// Where the client is.
    #[must_use]
    pub fn state(&self) -> State {
        match (&self.step, self.server) {
            (Step::Idle, _) => State::Disconnected,
            (Step::Closing(Next::Disconnect(_)), _) => State::Disconnecting,
            (Step::Closing(Next::Connect(Role::Master, _)), Role::Game) => State::LeavingRoom,
            _ if self.room.is_some() => State::InRoom,
            _ if self.entering.is_some() => State::EnteringRoom,
            (Step::Ready, Role::Master) => State::OnMaster,
            _ => State::Connecting,
        }
    }

    /// Starts to connect.
    ///
    /// # Errors
    /// The client is connected, or about to be.
    pub fn connect(&mut self, now: Duration) -> Result<(), Error> {
        self.expect(State::Disconnected, "a client that is disconnected")?;
        self.identity.token = None;
        let (server, address) = match &self.config.start {
            Start::NameServer(address) => (Role::NameServer, address),
            Start::Master(address) => (Role::Master, address),
        };
        let address = Box::new(address.clone());
        self.open(now, server, address);
        Ok(())
    }

    /// Ends the connection. [`Event::Disconnected`] follows when the goodbyes are said.
    pub fn disconnect(&mut self, now: Duration) {
        if !matches!(self.step, Step::Idle | Step::Closing(Next::Disconnect(_))) {
            self.leave_server(now, Next::Disconnect(DisconnectCause::Application));
        }
    }

    /// The socket is open.
    pub fn opened(&mut self, now: Duration) {
        if !matches!(self.step, Step::Opening) {
            return;
        }
        let Some(address) = self.address().cloned() else { return };
        let mut rng = self.next_rng();
        let token = self.init_token();
        match Connection::start(now, &self.config, &address, token, &mut rng) {
            Ok(connection) => {
                self.connection = Some(Box::new(connection));
                self.step = Step::Handshake;
            }
            Err(cause) => self.leave_server(now, Next::Disconnect(cause)),
        }
    }

    /// Bytes came: any number of them from a stream, one datagram from UDP. They are changed in place.
    pub fn receive(&mut self, now: Duration, bytes: &mut [u8]) {
        let Some(connection) = &mut self.connection else { return };
        let mut incoming = std::mem::take(&mut self.incoming);
        connection.link.receive(now, bytes, &mut incoming, &mut connection.out);
        self.handle_incoming(now, incoming, bytes);
    }

    /// The socket could not be opened, or it ended or broke; the driver has closed it.
    pub fn ended(&mut self, now: Duration, cause: CloseCause) {
        if !matches!(self.step, Step::Closing(_)) {
            self.leave_server(now, Next::Disconnect(DisconnectCause::Transport(cause)));
        }
        self.connection = None;
    }

    /// What streams have to write.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.connection.as_ref().map(|connection| connection.pending()).unwrap_or_default()
    }

    /// The first `count` bytes of [`Client::output`] were written.
    pub fn consume_output(&mut self, count: usize) {
        if let Some(connection) = &mut self.connection {
            connection.consume(count);
        }
    }

    /// UDP: appends the next datagram to `out`; gives whether there was one.
    pub fn poll_datagram(&mut self, now: Duration, out: &mut Vec<u8>) -> bool {
        match self.connection.as_mut().map(|connection| &mut connection.link) {
            Some(crate::link::Link::Udp(peer)) => peer.poll_transmit(now, out),
            _ => false,
        }
    }

    /// The next thing for the driver to do.
    pub fn poll_action(&mut self, now: Duration) -> Option<Action> {
        if self.actions.is_empty() && matches!(self.step, Step::Closing(_)) {
            self.finish_closing(now);
        }
        self.actions.pop_front()
    }

    /// The next thing for the application to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Client::handle_timeout`] wants to be called at the latest.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        let transport = self.connection.as_ref().and_then(|connection| connection.next_timeout());
        [transport, self.deadline].into_iter().flatten().min()
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        if let Some(connection) = &mut self.connection {
            let mut incoming = std::mem::take(&mut self.incoming);
            connection.link.handle_timeout(now, &mut incoming, &mut connection.out);
            // A ping that cannot be sent now will be missed by the server, and that ends the connection.
            let _ = connection.ping_if_due(now, &mut self.buffers);
            self.handle_incoming(now, incoming, &mut []);
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            if matches!(self.step, Step::Closing(_)) {
                self.connection = None;
            } else {
                self.leave_server(now, Next::Disconnect(DisconnectCause::OpeningTimeout));
            }
        }
    }

    /// The user id, once a server said it.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        self.identity.user_id.as_deref()
    }

    /// The actor number in the room, 0 outside.
    #[must_use]
    pub fn actor(&self) -> i32 {
        self.actor
    }

    /// The name of the room that the client is in.
    #[must_use]
    pub fn room(&self) -> Option<&str> {
        self.room.as_deref()
    }

    /// The last round-trip time to the server, smoothed on UDP.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.connection.as_ref()?.round_trip()
    }

    /// The millisecond clock that all clients of the server share; it wraps around.
    #[must_use]
    pub fn server_time_ms(&self, now: Duration) -> Option<i32> {
        self.connection.as_ref()?.server_time_ms(now)
    }

    fn handle_incoming(&mut self, now: Duration, mut incoming: Vec<Incoming>, input: &mut [u8]) {
        for item in incoming.drain(..) {
            match item {
                Incoming::Opened(_) => self.transport_open(now),
                Incoming::Message { channel, delivery, body } => {
                    self.message(now, channel, delivery, body.bytes(input));
                }
                Incoming::Http(_) => {}
                Incoming::Closed(cause) => self.transport_closed(now, cause),
            }
        }
        self.incoming = incoming;
    }

    fn transport_closed(&mut self, now: Duration, cause: CloseCause) {
        if let Some(connection) = &mut self.connection {
            connection.closed = true;
        }
        if !matches!(self.step, Step::Closing(_)) {
            self.leave_server(now, Next::Disconnect(DisconnectCause::Transport(cause)));
        }
    }

    fn message(&mut self, now: Duration, channel: u8, delivery: Delivery, bytes: &[u8]) {
        if matches!(self.step, Step::Closing(_) | Step::Idle | Step::Opening) {
            return;
        }
        let Some(connection) = &self.connection else { return };
        match connection.decode(bytes, &self.config, &mut self.plain) {
            Ok(Message::OperationResponse(response)) => self.response(now, response),
            Ok(Message::Event(event)) => self.event(event, channel, delivery),
            Ok(Message::InternalResponse(response)) => self.internal_response(now, &response),
            Ok(Message::Disconnect(disconnect)) => {
                let message = disconnect.debug_message.unwrap_or_default();
                let cause = DisconnectCause::Server { code: disconnect.code, message };
                self.leave_server(now, Next::Disconnect(cause));
            }
            Ok(other) => {
                let cause =
                    DisconnectCause::Violation(format!("expected an answer or an event, found {:?}", other.kind()));
                self.leave_server(now, Next::Disconnect(cause));
            }
            Err(cause) => self.leave_server(now, Next::Disconnect(cause)),
        }
    }

    /// Says goodbye to this server.
    pub(crate) fn leave_server(&mut self, now: Duration, next: Next) {
        if matches!(next, Next::Disconnect(_)) {
            self.entering = None;
            self.refused = None;
        }
        self.room = None;
        self.actor = 0;
        if matches!(self.step, Step::Opening) {
            self.connection = None;
        }
        self.step = Step::Closing(next);
        self.deadline = Some(now + CLOSE_TIMEOUT);
        if let Some(connection) = &mut self.connection
            && !connection.closed
        {
            let mut closed = Vec::new();
            connection.close(now, &mut closed);
            connection.closed |= closed.iter().any(|item| matches!(item, Incoming::Closed(_)));
        }
    }

    /// Goes on when the goodbyes are said, or nobody is there to hear them.
    fn finish_closing(&mut self, now: Duration) {
        if self.connection.as_ref().is_some_and(|connection| !connection.is_finished()) {
            return;
        }
        self.connection = None;
        self.deadline = None;
        let Step::Closing(next) = std::mem::replace(&mut self.step, Step::Idle) else { return };
        self.actions.push_back(Action::Close);
        match next {
            Next::Connect(server, address) => self.open(now, server, address),
            Next::Disconnect(cause) => self.events.push_back(Event::Disconnected(cause)),
        }
    }

    /// Starts a connection to a server.
    pub(crate) fn open(&mut self, now: Duration, server: Role, address: Box<ServerAddress>) {
        self.actions.push_back(Action::Open((*address).clone()));
        self.server = server;
        match server {
            Role::NameServer => {}
            Role::Master => self.master = Some(address),
            Role::Game => self.game = Some(address),
        }
        self.step = Step::Opening;
        self.deadline = Some(now + self.config.opening_timeout);
    }

    /// The opening is over.
    pub(crate) fn ready(&mut self) {
        self.step = Step::Ready;
        self.deadline = None;
    }

    /// The server that the client is connected or connecting to, or was last.
    #[must_use]
    pub fn address(&self) -> Option<&ServerAddress> {
        match self.server {
            Role::NameServer => Some(self.config.start.address()),
            Role::Master => self.master.as_deref(),
            Role::Game => self.game.as_deref(),
        }
    }

    /// Randomness for one use: a client keeps 32 bytes and not a generator.
    pub(crate) fn next_rng(&mut self) -> StdRng {
        let mut rng = StdRng::from_seed(self.seed);
        self.seed = rng.random();
        StdRng::from_rng(&mut rng)
    }

    pub(crate) fn send(&mut self, now: Duration, mode: Mode, code: u8, parameters: Parameters) -> Result<(), Error> {
        self.send_request(now, mode, false, OperationRequest { code, parameters })
    }

    pub(crate) fn send_request(
        &mut self,
        now: Duration,
        mode: Mode,
        internal: bool,
        request: OperationRequest,
    ) -> Result<(), Error> {
        let found = self.state();
        let connection =
            self.connection.as_mut().ok_or(Error::State { expected: "a client that is connected", found })?;
        connection.request(now, mode, internal, request, &mut self.buffers)
    }

    pub(crate) fn expect(&self, state: State, expected: &'static str) -> Result<(), Error> {
        let found = self.state();
        if found == state { Ok(()) } else { Err(Error::State { expected, found }) }
    }
}
