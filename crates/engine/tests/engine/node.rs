//! A node, its clients and the network between them, in one thread and under virtual time.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use lampyris_engine::{
    Action, Addresses, Applications, Config, Endpoint, GameConfig, Limits, ListenerConfig, ListenerId, MasterConfig,
    NameServerConfig, Region, Role, Transport, UdpConfig, Worker, WorkerId, WorkerMessage,
};
use lampyris_realtime::codes::{key, operation};
use lampyris_transport::crypto::KeyExchange;
use lampyris_transport::udp::DisconnectReason;
use lampyris_transport::{CloseCause, Delivery, Init, init};
use lampyris_wire::{
    Message, MessageHead, MessageKind, OperationRequest, OperationResponse, Parameters, Protocol, Value,
};

use crate::client::{Client, End, Told, tcp_frame, ws_frame};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const V18: Protocol = Protocol::GpBinaryV18;

/// A node's configuration with every listener that clients know, on their default ports.
pub(crate) fn config(workers: u16) -> Config {
    let listeners = [
        (Role::NameServer, [5058, 4533, 9093, 19093]),
        (Role::Master, [5055, 4530, 9090, 19090]),
        (Role::Game, [5056, 4531, 9091, 19091]),
    ];
    let listeners = listeners.into_iter().flat_map(|(role, ports)| {
        let transports = [Transport::Udp, Transport::Tcp, Transport::Ws, Transport::Wss];
        transports.into_iter().zip(ports).map(move |(transport, port)| ListenerConfig::of_role(role, transport, port))
    });
    let mut config = Config {
        workers,
        listeners: listeners.collect(),
        applications: Applications::default(),
        addresses: Addresses::default(),
        name_server: NameServerConfig::default(),
        master: MasterConfig::default(),
        game: GameConfig::default(),
        token_secret: [7; 32],
        clock_started_at_unix: Duration::from_secs(1_800_000_000),
        udp_secret: [9; 32],
        udp: UdpConfig::SERVER,
        assets: HashMap::new(),
        challenges: None,
        limits: Limits::default(),
    };
    tell_ports(&mut config);
    config
}

/// The life of tokens on every role.
pub(crate) fn set_token_lifetime(config: &mut Config, lifetime: Duration) {
    config.name_server.token_lifetime = lifetime;
    config.master.token_lifetime = lifetime;
    config.game.token_lifetime = lifetime;
}

/// Tells clients the ports of the listeners, in one region.
pub(crate) fn tell_ports(config: &mut Config) {
    let endpoint = |role| Endpoint { ports: config.ports(role), ..Endpoint::default() };
    let region = Region { code: Some("eu".into()), master: endpoint(Role::Master) };
    config.addresses = Addresses { regions: vec![region], game: endpoint(Role::Game) };
}

/// Number of a client in its [`Node`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientId(usize);

/// How a client connects.
#[derive(Clone, Debug)]
pub(crate) struct Connect<'a> {
    pub(crate) role: Role,
    pub(crate) transport: Transport,
    pub(crate) protocol: Protocol,
    /// The token to present in the init message.
    pub(crate) token: Option<&'a str>,
    pub(crate) worker: usize,
    pub(crate) local: IpAddr,
    /// The `Host` header.
    pub(crate) host: &'a str,
    /// The application that the init message names.
    pub(crate) application: &'a str,
}

impl Connect<'_> {
    pub(crate) fn to(role: Role, transport: Transport) -> Self {
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (host, application) = ("127.0.0.1:9090", "app");
        Self { role, transport, protocol: V18, token: None, worker: 0, local, host, application }
    }

    pub(crate) fn speaking(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    pub(crate) fn on_worker(self, worker: usize) -> Self {
        Self { worker, ..self }
    }
}

/// A node and its clients.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: Arc<Config>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) now: Duration,
    clients: Vec<Client>,
    mail: VecDeque<(WorkerId, WorkerMessage)>,
    /// Streams that went from worker to worker.
    pub(crate) moves: usize,
    /// Datagrams to addresses that no client has.
    pub(crate) stray: Vec<Vec<u8>>,
    next_port: u16,
}

impl Node {
    pub(crate) fn new(config: Config) -> Self {
        let config = Arc::new(config);
        let workers = (0..config.workers)
            .map(|id| Worker::new(WorkerId(id), Arc::clone(&config), [id.to_le_bytes()[0]; 32]).unwrap());
        Self {
            workers: workers.collect(),
            config,
            now: SECOND,
            clients: Vec::new(),
            mail: VecDeque::new(),
            moves: 0,
            stray: Vec::new(),
            next_port: 20_000,
        }
    }

    pub(crate) fn client(&mut self, id: ClientId) -> &mut Client {
        &mut self.clients[id.0]
    }

    pub(crate) fn listener(&self, role: Role, transport: Transport) -> ListenerId {
        let listeners = &self.config.listeners;
        let applications = &self.config.applications;
        let is_it = |l: &ListenerConfig| l.transport() == Some(transport) && l.serves(applications, role);
        ListenerId(listeners.iter().position(is_it).unwrap())
    }

    /// A socket without a word said on it; `None` if the worker refused it. UDP: an address.
    pub(crate) fn try_open(&mut self, how: &Connect<'_>) -> Option<ClientId> {
        self.next_port += 1;
        let remote = SocketAddr::new(how.local, self.next_port);
        let listener = self.listener(how.role, how.transport);
        let mut client = Client::new(listener, how.transport, remote, how.protocol);
        client.worker = how.worker;
        if how.transport != Transport::Udp {
            let local = SocketAddr::new(how.local, self.config.listeners[listener.0].port);
            client.key = Some(self.workers[how.worker].open_stream(self.now, listener, local, remote)?);
        }
        self.clients.push(client);
        Some(ClientId(self.clients.len() - 1))
    }

    pub(crate) fn open(&mut self, how: &Connect<'_>) -> ClientId {
        self.try_open(how).expect("the worker takes the connection")
    }

    /// Connects and says what the client's library says first; the answer is left in the inbox.
    pub(crate) fn connect(&mut self, how: &Connect<'_>) -> ClientId {
        let id = self.open(how);
        let init = init_message(how);
        match how.transport {
            Transport::Udp => self.connect_udp(id, &init),
            Transport::Tcp => self.send_bytes(id, &tcp_frame(&init)),
            Transport::Ws | Transport::Wss => {
                let target = match (how.protocol, how.token) {
                    (Protocol::Json, _) => "/Master/app?libversion=4.4.0.0",
                    (_, None) => "/?libversion=4.1.8.13&sid=30&app=app",
                    (_, Some(_)) => "/?libversion=4.1.8.13&sid=30&app=app&xInit=",
                };
                self.send_bytes(id, upgrade(target, how.host, how.protocol.name()).as_bytes());
                if how.token.is_some() {
                    self.send_bytes(id, &ws_frame(0x2, &tcp_frame(&init)));
                }
            }
        }
        id
    }

    /// Connects, and takes the answer to the init out of the inbox.
    pub(crate) fn connected(&mut self, how: &Connect<'_>) -> ClientId {
        let id = self.connect(how);
        let told = self.client(id).take();
        assert!(matches!(told.as_slice(), [Told::Opened | Told::SessionId(_)]), "{told:?}");
        id
    }

    /// Connects with a token that is taken, and takes the answer to it out of the inbox.
    pub(crate) fn connected_with_token(&mut self, how: &Connect<'_>) -> ClientId {
        let id = self.connect(how);
        let answer = self.client(id).response(operation::AUTHENTICATE_ONCE).expect("an answer to the token");
        assert_eq!(answer.return_code, 0, "{answer:?}");
        self.client(id).inbox.clear();
        id
    }

    pub(crate) fn connect_udp(&mut self, id: ClientId, init: &[u8]) {
        let (now, challenge) = (self.now, 0x1000 + u32::try_from(id.0).unwrap());
        self.client(id).connect_udp(now, challenge, init);
        self.settle();
    }

    /// Bytes on a stream, as they are.
    pub(crate) fn send_bytes(&mut self, id: ClientId, bytes: &[u8]) {
        let client = &self.clients[id.0];
        if let Some(key) = client.key {
            self.workers[client.worker].receive(self.now, key, &mut bytes.to_vec());
        }
        self.settle();
    }

    /// A whole message, as it is.
    pub(crate) fn send_message(&mut self, id: ClientId, channel: u8, delivery: Delivery, message: &[u8]) {
        let now = self.now;
        if let Some(peer) = self.client(id).peer() {
            peer.send(now, channel, delivery, &bytes::Bytes::copy_from_slice(message)).unwrap();
            return self.settle();
        }
        let bytes = self.client(id).frame(message);
        self.send_bytes(id, &bytes);
    }

    /// An operation request in clear.
    pub(crate) fn send(&mut self, id: ClientId, code: u8, parameters: Parameters) {
        let message = self.encoded(id, code, parameters);
        self.send_message(id, 0, Delivery::Reliable, &message);
    }

    pub(crate) fn encoded(&self, id: ClientId, code: u8, parameters: Parameters) -> Vec<u8> {
        let mut out = Vec::new();
        let request = Message::OperationRequest(OperationRequest { code, parameters });
        request.encode(self.clients[id.0].protocol, &mut out).unwrap();
        out
    }

    /// An operation request, encrypted.
    pub(crate) fn send_encrypted(&mut self, id: ClientId, code: u8, parameters: Parameters) {
        let clear = self.encoded(id, code, parameters);
        self.send_plaintext(id, 0, Delivery::Reliable, &clear[2..]);
    }

    /// The body of an operation request, encrypted.
    pub(crate) fn send_plaintext(&mut self, id: ClientId, channel: u8, delivery: Delivery, plaintext: &[u8]) {
        let mut message = Vec::new();
        MessageHead { kind: MessageKind::OperationRequest, encrypted: true }.write(&mut message);
        let cipher = self.client(id).cipher.as_ref().expect("keys were exchanged");
        cipher.encrypt(plaintext, &mut message).unwrap();
        self.send_message(id, channel, delivery, &message);
    }

    /// Asks, and takes the answer out of the inbox.
    pub(crate) fn ask(&mut self, id: ClientId, code: u8, parameters: Parameters) -> OperationResponse {
        self.send(id, code, parameters);
        self.client(id).response(code).unwrap_or_else(|| panic!("no answer to operation {code}"))
    }

    /// Asks for something that is granted; gives the parameters of the answer.
    pub(crate) fn granted(&mut self, id: ClientId, code: u8, parameters: Parameters) -> Parameters {
        let response = self.ask(id, code, parameters);
        assert_eq!(response.return_code, 0, "{response:?}");
        response.parameters
    }

    /// The client's request for a key exchange.
    pub(crate) fn begin_key_exchange(&mut self, id: ClientId) -> Vec<u8> {
        let exchange = KeyExchange::new(&[0x5A; 20]);
        let parameters = Parameters::from([(1, Value::from(exchange.public_key().to_vec()))]);
        self.client(id).exchange = Some(exchange);
        let mut message = Vec::new();
        Message::InternalRequest(OperationRequest { code: 0, parameters }).encode(V18, &mut message).unwrap();
        message
    }

    /// Ends the key exchange with the server's answer.
    pub(crate) fn end_key_exchange(&mut self, id: ClientId, answer: &OperationResponse) {
        let Some(Value::ByteArray(key)) = answer.parameters.get(1) else { panic!("no key in {answer:?}") };
        let client = self.client(id);
        client.cipher = Some(client.exchange.take().expect("an exchange was begun").finish(key).unwrap());
    }

    pub(crate) fn exchange_keys(&mut self, id: ClientId) -> OperationResponse {
        let message = self.begin_key_exchange(id);
        self.send_message(id, 0, Delivery::Reliable, &message);
        match self.client(id).messages().pop() {
            Some(Message::InternalResponse(answer)) => {
                if answer.return_code == 0 {
                    self.end_key_exchange(id, &answer);
                }
                answer
            }
            other => panic!("no answer to the key exchange but {other:?}"),
        }
    }

    /// The client ends the connection in its own way.
    pub(crate) fn disconnect(&mut self, id: ClientId) {
        let now = self.now;
        let client = &mut self.clients[id.0];
        match &mut client.end {
            End::Udp { peer: Some(peer) } => peer.disconnect(now, DisconnectReason::Client),
            End::Udp { peer: None } => {}
            End::Tcp { .. } => {
                if let Some(key) = client.key.take() {
                    self.workers[client.worker].stream_ended(now, key, CloseCause::ByPeer);
                }
            }
            End::Ws { answered, .. } => {
                *answered = true;
                let frame = ws_frame(0x8, &1000u16.to_be_bytes());
                return self.send_bytes(id, &frame);
            }
        }
        self.settle();
    }

    /// The client vanishes: its socket breaks.
    pub(crate) fn cut(&mut self, id: ClientId) {
        let client = &mut self.clients[id.0];
        if let Some(key) = client.key.take() {
            let cause = CloseCause::Lost("connection reset".into());
            self.workers[client.worker].stream_ended(self.now, key, cause);
        }
        client.end = match client.transport {
            Transport::Udp => End::Udp { peer: None },
            _ => End::Tcp { unread: Vec::new() },
        };
        self.settle();
    }

    /// A datagram from an address of its own; gives what came back to it.
    pub(crate) fn stray_datagram(&mut self, listener: ListenerId, datagram: &[u8]) -> Vec<Vec<u8>> {
        let from = SocketAddr::from(([10, 9, 8, 7], 6));
        self.workers[0].receive_datagram(self.now, listener, None, from, &mut datagram.to_vec());
        self.settle();
        std::mem::take(&mut self.stray)
    }

    /// Lets everything that is on its way arrive.
    pub(crate) fn settle(&mut self) {
        loop {
            let mut busy = false;
            for worker in 0..self.workers.len() {
                while let Some(action) = self.workers[worker].poll_action() {
                    busy = true;
                    self.act(worker, action);
                }
                let mut datagram = Vec::new();
                while let Some(to) = self.workers[worker].poll_datagram(self.now, &mut datagram) {
                    busy = true;
                    let mut clients = self.clients.iter_mut().filter(|client| client.remote == to.to);
                    match clients.find(|client| matches!(client.end, End::Udp { peer: Some(_) })) {
                        Some(client) => {
                            let mut incoming = Vec::new();
                            if let Some(peer) = client.peer() {
                                peer.receive(self.now, &datagram, &mut incoming);
                            }
                            client.read_incoming(incoming, &datagram);
                        }
                        None => self.stray.push(datagram.clone()),
                    }
                    datagram.clear();
                }
            }
            for (to, message) in std::mem::take(&mut self.mail) {
                busy = true;
                self.workers[usize::from(to.0)].handle_message(self.now, message);
            }
            for client in &mut self.clients {
                if let Some(key) = client.key
                    && let Some(mut answer) = client.close_answer()
                {
                    busy = true;
                    self.workers[client.worker].receive(self.now, key, &mut answer);
                }
                let (now, listener, remote, worker) = (self.now, client.listener, client.remote, client.worker);
                let mut datagram = Vec::new();
                while client.peer().is_some_and(|peer| peer.poll_transmit(now, &mut datagram)) {
                    busy = true;
                    let local = Some(remote.ip());
                    self.workers[worker].receive_datagram(now, listener, local, remote, &mut datagram);
                    datagram.clear();
                }
            }
            if !busy {
                return;
            }
        }
    }

    fn act(&mut self, worker: usize, action: Action) {
        let find = |clients: &[Client], key| {
            clients.iter().position(|client| client.worker == worker && client.key == Some(key))
        };
        match action {
            Action::Send(to, message) => self.mail.push_back((to, message)),
            Action::TellMaster(..) => panic!("the Master is here"),
            Action::Flush(key) | Action::Close(key) => {
                let at = find(&self.clients, key).unwrap_or_else(|| panic!("{action:?} of a socket that is closed"));
                let client = &mut self.clients[at];
                if !client.stalled {
                    let output = self.workers[worker].output(key).to_vec();
                    client.read_stream(&output);
                    self.workers[worker].consume_output(key, output.len());
                }
                if matches!(action, Action::Close(_)) {
                    self.workers[worker].forget(key);
                    client.key = None;
                    client.closed = true;
                }
            }
            Action::Move(key, to) => {
                let Some(moved) = self.workers[worker].detach(key) else { return };
                let to = usize::from(to.0);
                let at = find(&self.clients, key).expect("a stream of a client");
                self.moves += 1;
                self.clients[at].worker = to;
                self.clients[at].key = Some(self.workers[to].attach(self.now, moved));
            }
        }
    }

    /// Lets time pass, with every timer at its time.
    pub(crate) fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while self.now < end {
            let workers = self.workers.iter().filter_map(Worker::next_timeout);
            let peers = self.clients.iter_mut().filter_map(|client| client.peer()?.next_timeout());
            let next = workers.chain(peers).min().unwrap_or(end);
            self.now = next.clamp(self.now + Duration::from_millis(1), end);
            for worker in &mut self.workers {
                worker.handle_timeout(self.now);
            }
            for client in &mut self.clients {
                let mut incoming = Vec::new();
                if let Some(peer) = client.peer() {
                    peer.handle_timeout(self.now, &mut incoming);
                }
                client.read_incoming(incoming, &[]);
            }
            self.settle();
        }
    }

    /// Lets time pass while every stream client pings, as the clients' libraries do.
    pub(crate) fn idle(&mut self, by: Duration) {
        let end = self.now + by;
        while self.now < end {
            self.advance(SECOND.min(end - self.now));
            for at in 0..self.clients.len() {
                if self.clients[at].key.is_some() && !self.clients[at].stalled {
                    self.ping(ClientId(at));
                }
            }
        }
    }

    fn ping(&mut self, id: ClientId) {
        let client = self.client(id);
        let known = client.inbox.len();
        if matches!(client.end, End::Tcp { .. }) {
            self.send_bytes(id, &[0xF0, 0, 0, 0, 1]);
        } else {
            let request = OperationRequest { code: 1, parameters: Parameters::from([(1, Value::Int(1))]) };
            let mut message = Vec::new();
            Message::InternalRequest(request).encode(client.protocol, &mut message).unwrap();
            self.send_message(id, 0, Delivery::Reliable, &message);
        }
        let mut behind = self.client(id).inbox.split_off(known);
        behind.retain(|told| {
            !matches!(told, Told::Pong { .. } | Told::Message { message: Message::InternalResponse(_), .. })
        });
        self.client(id).inbox.append(&mut behind);
    }

    /// The sum of a counter over all workers.
    pub(crate) fn count(&self, of: impl Fn(lampyris_engine::Stats) -> u64) -> u64 {
        self.workers.iter().map(|worker| of(worker.stats())).sum()
    }

    /// A token of the Master for that user, bound to no room.
    pub(crate) fn token(&mut self, user: &str) -> String {
        self.master(user, &Connect::to(Role::Master, Transport::Tcp)).0
    }

    /// A user on the Master, and the token it was given.
    pub(crate) fn master(&mut self, user: &str, how: &Connect<'_>) -> (String, ClientId) {
        let id = self.connected(how);
        let asked = Parameters::from([(key::APPLICATION_ID, "app"), (key::APP_VERSION, "1.0"), (key::USER_ID, user)]);
        let answer = self.granted(id, operation::AUTHENTICATE, asked);
        (text(&answer, key::TOKEN), id)
    }

    /// A user on the Game server, authenticated and not yet in a room.
    pub(crate) fn game(&mut self, user: &str, how: &Connect<'_>) -> ClientId {
        let token = self.token(user);
        let id = self.connected(how);
        self.granted(id, operation::AUTHENTICATE, Parameters::from([(key::TOKEN, token)]));
        id
    }

    /// A user in a room that exists or is made; what it was told on its way is taken out of the inbox.
    pub(crate) fn in_room(&mut self, user: &str, room: &str, how: &Connect<'_>) -> ClientId {
        let id = self.game(user, how);
        let asked = Parameters::from([(key::ROOM_NAME, Value::from(room)), (key::JOIN_MODE, Value::Byte(1))]);
        self.granted(id, operation::JOIN_GAME, asked);
        for client in &mut self.clients {
            client.inbox.clear();
        }
        id
    }
}

/// A text parameter.
pub(crate) fn text(parameters: &Parameters, key: u8) -> String {
    let value = parameters.get(key).and_then(Value::as_str);
    value.unwrap_or_else(|| panic!("no text under {key} in {parameters:?}")).to_owned()
}

/// The head of a WebSocket upgrade.
pub(crate) fn upgrade(target: &str, host: &str, subprotocol: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
    )
}

fn init_message(how: &Connect<'_>) -> Vec<u8> {
    let init = Init {
        protocol: how.protocol,
        application: how.application.into(),
        client_version: "4.1.8.13".into(),
        sdk_id: 15,
        ipv6: false,
        token: how.token.map(Value::from),
        custom_data: None,
        http: None,
    };
    let mut out = Vec::new();
    if how.protocol != Protocol::Json {
        init::write(&init, how.host, &mut out).unwrap();
    }
    out
}
