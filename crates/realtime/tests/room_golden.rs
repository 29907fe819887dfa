//! The room plays the game server's part of a recorded session of two JavaScript clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lampyris_realtime::codes::operation;
use lampyris_realtime::room::request::{
    ChangeGroups, GetProperties, JoinRequest, Leave, RaiseEvent, Route, SetProperties,
};
use lampyris_realtime::room::{Effect, Effects, Joiner, PeerKey, Room, RoomSettings, Seat};
use lampyris_wire::{Event, Limits, Message, OperationResponse, Parameters, Protocol, RawRequest, Value};

const NOW: Duration = Duration::from_secs(1);
const ROUTE: Route = Route { channel: 0, reliable: true, sequenced: true, encrypted: false, flush: false };

/// What a message says, whatever the order of its parameters.
type Said = (&'static str, u8, i16, BTreeMap<u8, String>);

fn said(message: &Message) -> Option<Said> {
    let table = |parameters: &Parameters| parameters.iter().map(|(key, value)| (key, sorted(value))).collect();
    match message {
        Message::OperationResponse(response) => {
            Some(("response", response.code, response.return_code, table(&response.parameters)))
        }
        Message::Event(event) => Some(("event", event.code, 0, table(&event.parameters))),
        _ => None,
    }
}

fn sorted(value: &Value) -> String {
    match value {
        Value::Hashtable(table) => {
            let entries: BTreeMap<String, String> = table.iter().map(|(k, v)| (sorted(k), sorted(v))).collect();
            format!("{entries:?}")
        }
        other => format!("{other:?}"),
    }
}

/// As a JavaScript client reads it.
fn through_json(message: Message) -> Message {
    let mut text = Vec::new();
    message.encode(Protocol::Json, &mut text).unwrap();
    Message::decode(Protocol::Json, &text, &Limits::DEFAULT).unwrap()
}

fn event(code: u8, sender: i32, data: Option<Value>) -> Message {
    let parameters = Parameters::new().with(254, sender).with(245, data.unwrap_or(Value::Null));
    Message::Event(Event { code, parameters })
}

#[derive(Default)]
struct Server {
    room: Option<Room>,
    effects: Effects,
    users: BTreeMap<u64, Arc<str>>,
    seats: BTreeMap<u64, Seat>,
    told: BTreeMap<u64, Vec<Said>>,
}

impl Server {
    fn request(&mut self, peer: u64, text: &[u8]) {
        let request = RawRequest::parse_json(text, &Limits::DEFAULT).unwrap();
        let parameters = &request.parameters;
        let mut raised = None;
        match request.code {
            operation::AUTHENTICATE => {
                let user = parameters.get(225).unwrap().decode().unwrap();
                self.users.insert(peer, user.as_str().unwrap().into());
                return;
            }
            code @ (operation::CREATE_GAME | operation::JOIN_GAME) => {
                let request = JoinRequest::parse(code, parameters).unwrap();
                self.join(peer, request);
            }
            code => {
                let (room, seat, effects) = (self.room.as_mut().unwrap(), self.seats[&peer], &mut self.effects);
                match code {
                    operation::RAISE_EVENT => {
                        raised = parameters.get(245).map(|data| data.decode().unwrap());
                        room.raise_event(seat, &RaiseEvent::parse(parameters, ROUTE).unwrap(), effects);
                    }
                    operation::SET_PROPERTIES => {
                        room.set_properties(NOW, seat, SetProperties::parse(parameters).unwrap(), effects);
                    }
                    operation::GET_PROPERTIES => {
                        room.get_properties(seat, &GetProperties::parse(parameters).unwrap(), effects);
                    }
                    operation::CHANGE_GROUPS => {
                        room.change_groups(seat, &ChangeGroups::parse(parameters).unwrap(), effects);
                    }
                    operation::LEAVE => room.leave(NOW, seat, Leave::parse(parameters), effects),
                    other => panic!("operation {other} was not expected"),
                }
            }
        }
        self.deliver(raised);
    }

    fn join(&mut self, peer: u64, request: JoinRequest) {
        let joiner = Joiner { peer: PeerKey(peer), user_id: self.users[&peer].clone(), session_id: None };
        let seat = match &mut self.room {
            Some(room) => room.join(NOW, &joiner, request, &mut self.effects),
            None => {
                let name = request.require_room_name().unwrap().clone();
                let settings = Arc::new(RoomSettings::DEFAULT);
                Room::create(NOW, name, settings, &joiner, request, &mut self.effects).map(|(room, seat)| {
                    self.room = Some(room);
                    seat
                })
            }
        };
        self.seats.insert(peer, seat.expect("the recorded server let everybody in"));
    }

    fn deliver(&mut self, raised: Option<Value>) {
        let effects = std::mem::take(&mut self.effects);
        for effect in effects.list() {
            let (peers, message) = match effect {
                Effect::Respond { peer, response } => {
                    let response: OperationResponse = response.clone();
                    (vec![*peer], Message::OperationResponse(response))
                }
                Effect::Event { to, event } => (effects.receivers(to).to_vec(), Message::Event(event.clone())),
                Effect::Raised { to, code, sender, .. } => {
                    (effects.receivers(to).to_vec(), event(*code, *sender, raised.clone()))
                }
                Effect::Cached { to, code, sender, data } => {
                    (vec![*to], event(*code, *sender, data.as_ref().map(|data| data.decode().unwrap())))
                }
                Effect::Closed => {
                    self.room = None;
                    continue;
                }
                Effect::Disconnect { peer, .. } => {
                    self.seats.remove(&peer.0);
                    continue;
                }
                Effect::Report(_) => continue,
            };
            let message = said(&through_json(message)).unwrap();
            for peer in peers {
                self.told.entry(peer.0).or_default().push(message.clone());
            }
        }
    }
}

/// The text after `~m~<length>~m~`.
fn payload(frame: &str) -> &str {
    frame.split("~m~").nth(2).unwrap()
}

#[test]
fn a_recorded_session_of_javascript_clients_sees_the_same_room() {
    let path = format!("{}/../../vectors/session-json.json", env!("CARGO_MANIFEST_DIR"));
    let session: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut server = Server::default();
    let mut recorded: BTreeMap<u64, Vec<Said>> = BTreeMap::new();
    for step in session["steps"].as_array().unwrap() {
        let Some(peer) = step["conn"].as_str().and_then(|conn| conn.strip_prefix("game#")) else { continue };
        let peer: u64 = peer.parse().unwrap();
        let text = step["text"].as_str().map(payload).unwrap_or_default();
        match step["dir"].as_str().unwrap() {
            "client->server" if text.starts_with("~j~{\"req\"") => server.request(peer, text.as_bytes()),
            "server->client" if text.starts_with("~j~") => {
                let message = Message::decode(Protocol::Json, text.as_bytes(), &Limits::DEFAULT).unwrap();
                if let Some(message) = said(&message).filter(|said| said.1 != operation::AUTHENTICATE) {
                    recorded.entry(peer).or_default().push(message);
                }
            }
            _ => {}
        }
    }
    assert!(recorded.values().map(Vec::len).sum::<usize>() > 15, "the recording has the game server's part");
    for (peer, recorded) in recorded {
        assert_eq!(server.told[&peer], recorded, "peer {peer}");
    }
}
