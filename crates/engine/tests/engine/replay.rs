//! Whole recorded sessions of real clients against the node.
//!
//! What the clients said goes in byte for byte, but for what belongs to the run: tokens become those that the node
//! gave, public keys become the test's own, and encrypted messages are encrypted anew. What the node says is compared
//! with what the clients were told in the recording: message by message on each connection, by meaning.

use std::collections::HashMap;

use lampyris_engine::{Config, Role, Transport};
use lampyris_realtime::codes::{event, key};
use lampyris_transport::Delivery;
use lampyris_transport::crypto::PayloadCipher;
use lampyris_transport::udp::command::{Datagram, Kind};
use lampyris_wire::{Limits, Message, MessageHead, OperationResponse, Parameters, Protocol, Value};
use serde_json::Value as Json;

use crate::client::{Told, tcp_frame, ws_frame};
use crate::node::{ClientId, Connect, Node, SECOND, V18, config, tell_ports, upgrade};

/// In the order of their codes: what of a message is not the same in every run.
const RUN_BOUND: [u8; 2] = [key::TOKEN, key::ENCRYPTION_DATA];

/// What the recorded server said and we say differently.
struct Difference {
    /// Why we do.
    reason: &'static str,
    /// Brings a recorded message to what we say instead; it sees ours.
    apply: fn(&mut OperationResponse, &OperationResponse),
}

const DIFFERENCES: [Difference; 3] = [
    Difference {
        reason: "a room keeps MaxPlayersInt (243) that its creator set, beside the byte: newer clients read it first",
        apply: |recorded, ours| {
            let (Some(Value::Hashtable(properties)), Some(Value::Hashtable(ours))) =
                (recorded.parameters.get(key::GAME_PROPERTIES), ours.parameters.get(key::GAME_PROPERTIES))
            else {
                return;
            };
            if let (Some(Value::Byte(short)), Some(Value::Int(long))) = (properties.get_byte(255), ours.get_byte(243))
                && i32::from(*short) == *long
            {
                let mut properties = properties.clone();
                properties.insert(Value::Byte(243), Value::Int(*long));
                recorded.parameters.insert(key::GAME_PROPERTIES, Value::Hashtable(properties));
            }
        },
    },
    Difference {
        reason: "the listener, not the path, chooses the role, so that addresses carry no path",
        apply: |recorded, _| {
            let without = |text: &str| {
                let host = text.strip_suffix("/Master").or_else(|| text.strip_suffix("/Game"));
                Value::from(host.unwrap_or(text))
            };
            match recorded.parameters.get(key::ADDRESS) {
                Some(Value::String(address)) => {
                    let address = without(address);
                    recorded.parameters.insert(key::ADDRESS, address);
                }
                Some(Value::ObjectArray(addresses)) => {
                    let addresses = addresses.iter().filter_map(Value::as_str).map(without).collect();
                    recorded.parameters.insert(key::ADDRESS, Value::ObjectArray(addresses));
                }
                _ => {}
            }
        },
    },
    Difference {
        reason: "a refused compare-and-swap names the property behind the words that the recorded server used",
        apply: |recorded, ours| {
            if let (Some(short), Some(long)) = (&recorded.debug_message, &ours.debug_message)
                && recorded.return_code == ours.return_code
                && long.starts_with(short)
            {
                recorded.debug_message = Some(long.clone());
            }
        },
    },
];

fn transcript(file: &str) -> Json {
    let path = format!("{}/../../vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// One recorded session on its way through a node.
struct Replay<'a> {
    node: Node,
    /// The whole session, to look ahead in.
    steps: &'a [Json],
    connections: HashMap<&'a str, ClientId>,
    /// The node's tokens, by the recorded ones.
    tokens: HashMap<String, String>,
    /// The secret of an AuthOnce session.
    secret: Option<Vec<u8>>,
    /// The list of rooms that each connection was given last, as recorded.
    listed: HashMap<String, Parameters>,
    /// Messages compared.
    compared: usize,
}

impl<'a> Replay<'a> {
    fn run(node: Node, steps: &'a [Json]) -> Self {
        let mut replay = Self {
            node,
            steps,
            connections: HashMap::new(),
            tokens: HashMap::new(),
            secret: None,
            listed: HashMap::new(),
            compared: 0,
        };
        for (at, step) in steps.iter().enumerate() {
            replay.step(at, step);
        }
        for (name, id) in &replay.connections {
            let left = replay.node.client(*id).take().into_iter();
            let left: Vec<_> = left.filter(|told| !told.message().is_some_and(is_statistics)).collect();
            assert!(left.is_empty(), "{name} was told more than was recorded: {left:#?}");
        }
        replay
    }

    fn step(&mut self, at: usize, step: &'a Json) {
        let name = step["conn"].as_str().unwrap();
        let direction = step["dir"].as_str().unwrap();
        let place = format!("step {at}, {name}");
        if name == "regionping" {
            let listener = self.node.listener(Role::Master, Transport::Udp);
            let ping = hex(step["hex"].as_str().unwrap());
            return assert_eq!(self.node.stray_datagram(listener, &ping), [ping], "{place}");
        }
        match direction {
            "note" => {}
            "open" => self.open(name, step),
            "close" | "client closes" => {
                let id = self.connections[name];
                self.node.disconnect(id);
            }
            "client->server" => self.say(name, step),
            "server->client" => self.hear(name, step, &place),
            other => panic!("{place}: unknown direction {other}"),
        }
    }

    fn open(&mut self, name: &'a str, step: &Json) {
        let role = role(name);
        let Some(target) = step["requestTarget"].as_str() else {
            return self.opened(name, &Connect::to(role, Transport::Tcp));
        };
        let protocol = Protocol::from_name(step["subprotocol"].as_str().unwrap()).unwrap();
        // The recording does not say which of the two it was; only over the secure one is nothing encrypted.
        let secure = self.steps.iter().filter(|other| other["conn"] == name).all(|other| other["dir"] != "note");
        let transport = if secure && protocol != Protocol::Json { Transport::Wss } else { Transport::Ws };
        let transport = if role == Role::NameServer { transport } else { Transport::Ws };
        self.opened(name, &Connect::to(role, transport).speaking(protocol));
        let id = self.connections[name];
        self.node.send_bytes(id, upgrade(target, "127.0.0.1:9090", protocol.name()).as_bytes());
    }

    fn opened(&mut self, name: &'a str, how: &Connect<'_>) {
        let worker = self.connections.len() % self.node.workers.len();
        let id = self.node.open(&how.clone().on_worker(worker));
        if let Some(secret) = self.secret.as_ref().filter(|_| how.role != Role::NameServer) {
            self.node.client(id).cipher = Some(PayloadCipher::from_pre_shared(secret).unwrap());
        }
        self.connections.insert(name, id);
    }

    fn say(&mut self, name: &'a str, step: &'a Json) {
        if let Some(datagram) = step["hex"].as_str().filter(|_| step["datagram"].is_object()) {
            return self.say_datagram(name, &hex(datagram), &step["datagram"]["commands"]);
        }
        let id = self.connections[name];
        if let Some(text) = step["text"].as_str() {
            let frame = self.own_text(text);
            return self.node.send_bytes(id, &ws_frame(0x1, frame.as_bytes()));
        }
        let bytes = hex(step["hex"].as_str().unwrap());
        let is_tcp = self.node.client(id).transport == Transport::Tcp;
        if !is_tcp && !bytes.starts_with(&[0xFB]) {
            return self.say_message(id, 0, Delivery::Reliable, &bytes, &step["message"]);
        }
        match bytes.strip_prefix(&[0xFB]) {
            // Framed: on TCP every message, on WebSocket the init with a token.
            Some(framed) if step["message"]["kind"] == "initHttpStyle" => {
                let frame = tcp_frame(&self.own_init(&framed[6..]));
                let frame = if is_tcp { frame } else { ws_frame(0x2, &frame) };
                self.node.send_bytes(id, &frame);
            }
            Some(_) if step["message"]["kind"] == "init" => self.node.send_bytes(id, &bytes),
            Some(framed) => self.say_message(id, 0, Delivery::Reliable, &framed[6..], &step["message"]),
            None => self.node.send_bytes(id, &bytes),
        }
    }

    fn say_datagram(&mut self, name: &'a str, datagram: &[u8], described: &Json) {
        let datagram = Datagram::parse(datagram).unwrap();
        for (command, described) in datagram.commands().zip(described.as_array().unwrap()) {
            let (_, command) = command.unwrap();
            let delivery = match command.kind {
                Kind::Connect => {
                    self.opened(name, &Connect::to(role(name), Transport::Udp));
                    continue;
                }
                Kind::Disconnect => {
                    let id = self.connections[name];
                    self.node.disconnect(id);
                    continue;
                }
                Kind::Reliable => Delivery::Reliable,
                Kind::Unreliable { .. } => Delivery::Unreliable,
                // The transport's own talk, which the test's peer does for itself.
                Kind::Ack { .. } | Kind::Ping | Kind::ServerTime => continue,
                other => panic!("{name}: a command {other:?}"),
            };
            let (id, message) = (self.connections[name], &described["message"]);
            match message["kind"].as_str().unwrap() {
                "init" => self.node.connect_udp(id, command.payload),
                "initHttpStyle" => {
                    let init = self.own_init(command.payload);
                    self.node.connect_udp(id, &init);
                }
                _ => self.say_message(id, command.channel, delivery, command.payload, message),
            }
        }
    }

    /// One message, with what belongs to the run exchanged.
    fn say_message(&mut self, id: ClientId, channel: u8, delivery: Delivery, bytes: &[u8], described: &Json) {
        if described["encrypted"] == true {
            let plaintext = self.own_tokens(&hex(described["plaintext"].as_str().unwrap()));
            return self.node.send_plaintext(id, channel, delivery, &plaintext);
        }
        let message = if described["name"] == "InitEncryption" {
            self.node.begin_key_exchange(id)
        } else {
            self.own_tokens(bytes)
        };
        self.node.send_message(id, channel, delivery, &message);
    }

    fn hear(&mut self, name: &str, step: &Json, place: &str) {
        if let Some(commands) = step["datagram"]["commands"].as_array() {
            let bytes = hex(step["hex"].as_str().unwrap());
            let datagram = Datagram::parse(&bytes).unwrap();
            for (command, described) in datagram.commands().zip(commands) {
                if described["message"].is_object() {
                    self.compare(name, command.unwrap().1.payload, &described["message"], place);
                }
            }
            return;
        }
        if let Some(text) = step["text"].as_str() {
            return self.compare_text(name, text, place);
        }
        let bytes = hex(step["hex"].as_str().unwrap());
        let message = match bytes.strip_prefix(&[0xFB]) {
            Some(framed) => &framed[6..],
            None => &bytes,
        };
        self.compare(name, message, &step["message"], place);
    }

    fn compare(&mut self, name: &str, bytes: &[u8], described: &Json, place: &str) {
        match described["kind"].as_str().unwrap() {
            "initResponse" => return assert_eq!(self.next(name), Some(Told::Opened), "{place}"),
            "pingResult" => {
                let Some(Told::Pong { client, .. }) = self.next(name) else { panic!("{place}: expected a pong") };
                return assert_eq!(described["clientTime"], client, "{place}");
            }
            _ => {}
        }
        let (head, body) = MessageHead::split(bytes).unwrap();
        let plaintext = described["plaintext"].as_str().map(hex);
        let body = plaintext.as_deref().unwrap_or(body);
        let recorded = Message::decode_body(V18, head.kind, body, &Limits::default()).unwrap();
        self.compare_message(name, recorded, head.encrypted, place);
    }

    fn compare_text(&mut self, name: &str, text: &str, place: &str) {
        let (_, payload) = text.strip_prefix("~m~").and_then(|rest| rest.split_once("~m~")).unwrap();
        if !payload.starts_with("~j~") {
            let Some(Told::SessionId(id)) = self.next(name) else { panic!("{place}: expected a session id") };
            return assert_eq!(id.len(), payload.len(), "{place}");
        }
        let recorded = Message::decode(Protocol::Json, payload.as_bytes(), &Limits::default()).unwrap();
        self.compare_message(name, recorded, false, place);
    }

    fn compare_message(&mut self, name: &str, mut recorded: Message, encrypted: bool, place: &str) {
        if is_statistics(&recorded) {
            return;
        }
        if let Message::Event(list) = &recorded
            && matches!(list.code, event::GAME_LIST | event::GAME_LIST_UPDATE)
        {
            self.node.idle(2 * SECOND);
            // The recorded server told a client what changed before it came to the lobby, which the list it was given
            // on joining had already; we send no update that says nothing new.
            if self.listed.insert(name.to_owned(), list.parameters.clone()).as_ref() == Some(&list.parameters) {
                return;
            }
        }
        let told = self.next(name);
        let Some(Told::Message { message: mut ours, encrypted: our_encrypted, .. }) = told else {
            panic!("{place}: recorded was {recorded:#?}, we said {told:#?}");
        };
        // The recorded server sent an event that was raised encrypted in clear; we send it as it came, to who has a key.
        let is_event = matches!(ours, Message::Event(_));
        assert!(our_encrypted == encrypted || our_encrypted && is_event, "{place}: whether {ours:?} is encrypted");
        if let (Message::InternalResponse(ours), Message::InternalResponse(recorded)) = (&ours, &mut recorded) {
            self.compared += 1;
            if ours.code == 0 {
                let id = self.connections[name];
                self.node.end_key_exchange(id, ours);
                recorded.parameters = ours.parameters.clone();
            } else if let Some(time) =
                ours.parameters.get(2).filter(|time| matches!(time, Value::Int(_) | Value::Double(_)))
            {
                recorded.parameters.insert(2, time.clone());
            }
            return assert_eq!(ours, recorded, "{place}");
        }
        self.take_run_bound(&mut ours, &mut recorded, place);
        if let (Message::OperationResponse(ours), Message::OperationResponse(recorded)) = (&ours, &mut recorded) {
            for Difference { reason, apply } in &DIFFERENCES {
                let before = recorded.clone();
                apply(recorded, ours);
                if before != *recorded {
                    println!("{place}: {reason}");
                }
            }
        }
        sort_parameters(&mut ours);
        sort_parameters(&mut recorded);
        assert_eq!(ours, recorded, "{place}: left is ours, right is as recorded");
        self.compared += 1;
    }

    /// Checks and evens out what is not the same in every run; remembers tokens.
    fn take_run_bound(&mut self, ours: &mut Message, recorded: &mut Message, place: &str) {
        let told = format!("{ours:?}");
        let (Some(ours), Some(recorded)) = (parameters(ours), parameters(recorded)) else { return };
        for key in RUN_BOUND {
            let (our_value, recorded_value) = (ours.get(key).cloned(), recorded.get(key).cloned());
            match (our_value, recorded_value) {
                (None, None) => {}
                (Some(Value::String(our_token)), Some(Value::String(recorded_token))) => {
                    self.tokens.insert(recorded_token.to_string(), our_token.to_string());
                    recorded.insert(key, Value::String(our_token));
                }
                (Some(Value::Dictionary(mut our_keys)), Some(Value::Dictionary(recorded_keys))) => {
                    let secret = our_keys.entries.get_mut(&Value::Byte(1)).unwrap();
                    let recorded_secret = recorded_keys.entries.get(&Value::Byte(1)).unwrap().clone();
                    let (Value::ByteArray(a), Value::ByteArray(b)) = (&*secret, &recorded_secret) else {
                        panic!("{place}: secrets are bytes, not {secret:?}")
                    };
                    assert_eq!(a.len(), b.len(), "{place}: length of the secret");
                    self.secret = Some(a.to_vec());
                    *secret = recorded_secret;
                    ours.insert(key, Value::Dictionary(our_keys));
                }
                (_, recorded) => panic!("{place}: recorded was {recorded:?} under {key}, we said {told}"),
            }
        }
    }

    /// A message with the node's tokens in the place of the recorded ones.
    fn own_tokens(&self, message: &[u8]) -> Vec<u8> {
        let mut out = message.to_vec();
        for (recorded, own) in &self.tokens {
            let recorded = short_string(recorded);
            let found = out.windows(recorded.len()).position(|bytes| bytes == recorded);
            if let Some(at) = found {
                out.splice(at..at + recorded.len(), short_string(own));
            }
        }
        out
    }

    /// An HTTP-style init with the node's token in the place of the recorded one.
    fn own_init(&self, init: &[u8]) -> Vec<u8> {
        let end = init.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        let (header, body) = init.split_at(end);
        let own = self.own_tokens(body);
        let header = std::str::from_utf8(header).unwrap();
        let length = |body: &[u8]| format!("Content-Length: {}\r\n", body.len());
        assert!(header.contains(&length(body)));
        [header.replace(&length(body), &length(&own)).as_bytes(), &own].concat()
    }

    /// A text frame with the node's tokens in the place of the recorded ones.
    fn own_text(&self, frame: &str) -> String {
        let (_, payload) = frame.strip_prefix("~m~").and_then(|rest| rest.split_once("~m~")).unwrap();
        let payload = self.tokens.iter().fold(payload.to_owned(), |text, (recorded, own)| text.replace(recorded, own));
        format!("~m~{}~m~{payload}", payload.encode_utf16().count())
    }

    /// The next thing a client was told, statistics apart: they come at their own times.
    fn next(&mut self, name: &str) -> Option<Told> {
        let id = *self.connections.get(name)?;
        let inbox = &mut self.node.client(id).inbox;
        while inbox.front().and_then(Told::message).is_some_and(is_statistics) {
            inbox.pop_front();
        }
        inbox.pop_front()
    }
}

fn role(connection: &str) -> Role {
    match connection.split('#').next() {
        Some("name") => Role::NameServer,
        Some("master") => Role::Master,
        Some("game") => Role::Game,
        _ => panic!("no role in {connection}"),
    }
}

fn parameters(message: &mut Message) -> Option<&mut Parameters> {
    match message {
        Message::OperationResponse(response) => Some(&mut response.parameters),
        Message::Event(event) => Some(&mut event.parameters),
        _ => None,
    }
}

/// Brings the parameters in the order of their keys: the order on the wire has no meaning.
fn sort_parameters(message: &mut Message) {
    let Some(parameters) = parameters(message) else { return };
    let mut entries: Vec<_> = parameters.iter().map(|(key, value)| (key, value.clone())).collect();
    entries.sort_by_key(|(key, _)| *key);
    *parameters = Parameters::new();
    for (key, value) in entries {
        parameters.insert(key, value);
    }
}

/// Whether it is an event of the server's statistics: they come at times of their own. The recorded server told a client
/// that asked for lobby statistics nothing; we tell it at once.
fn is_statistics(message: &Message) -> bool {
    match message {
        Message::Event(told) => matches!(told.code, event::APP_STATS | event::LOBBY_STATS),
        _ => false,
    }
}

/// The length and text of a string in GpBinaryV18: seven bits of length in each byte, the lowest first.
fn short_string(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut left = text.len();
    while left > 0x7F {
        out.push(0x80 | u8::try_from(left & 0x7F).unwrap());
        left >>= 7;
    }
    out.push(u8::try_from(left).unwrap());
    out.extend_from_slice(text.as_bytes());
    out
}

/// Replays a session on one worker, and on three with each connection on another; gives the number of compared messages.
fn replay(config: impl Fn(u16) -> Config, session: &Json) -> usize {
    let steps = session["steps"].as_array().unwrap();
    let [alone, spread] = [1, 3].map(|workers| Replay::run(Node::new(config(workers)), steps).compared);
    assert_eq!(alone, spread);
    alone
}

#[test]
fn a_session_over_tcp_goes_as_recorded() {
    assert_eq!(replay(config, &transcript("session-v18-tcp.json")), 44);
}

#[test]
fn a_session_over_udp_goes_as_recorded() {
    assert_eq!(replay(config, &transcript("session-v18-udp.json")), 44);
}

#[test]
fn a_json_session_goes_as_recorded() {
    let on_recorded_ports = |workers| {
        let mut config = config(workers);
        for listener in config.listeners.iter_mut().filter(|listener| listener.transport() == Some(Transport::Ws)) {
            listener.port += 300;
        }
        tell_ports(&mut config);
        config
    };
    assert_eq!(replay(on_recorded_ports, &transcript("session-json.json")), 41);
}

#[test]
fn sessions_that_authenticate_once_go_as_recorded() {
    let counts = [12, 12, 12, 11];
    for (run, count) in transcript("authonce.json")["runs"].as_array().unwrap().iter().zip(counts) {
        println!("{}", run["name"]);
        assert_eq!(replay(config, run), count);
    }
}
