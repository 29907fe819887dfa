//! A room on a stage: operations by peer, and what each peer gets as lines of text.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lampyris_realtime::codes::operation;
use lampyris_realtime::room::request::{
    CacheOperation, ChangeGroups, GetProperties, JoinMode, JoinRequest, Leave, PropertyTarget, RaiseEvent,
    ReceiverGroup, RoomFlags, Route, SetProperties, Ttl,
};
use lampyris_realtime::room::{Effect, Effects, Joiner, PeerKey, Room, RoomReport, RoomSettings, Seat};
use lampyris_wire::{Hashtable, Message, MessageHead, Parameters, Payload, Protocol, Value};
use lampyris_wire::{Limits, OperationRequest, RawParameters, RawRequest};

/// Reads request parameters as a V18 client would send them.
pub fn with_raw<T>(parameters: Parameters, read: impl FnOnce(&RawParameters<'_>) -> T) -> T {
    let mut bytes = Vec::new();
    Message::OperationRequest(OperationRequest { code: 0, parameters })
        .encode(Protocol::GpBinaryV18, &mut bytes)
        .unwrap();
    let (_, body) = MessageHead::split(&bytes).unwrap();
    let request = RawRequest::parse_body(Protocol::GpBinaryV18, false, body, &Limits::DEFAULT).unwrap();
    read(&request.parameters)
}

pub fn create() -> JoinRequest {
    JoinRequest {
        operation: operation::CREATE_GAME,
        room_name: Some("room".into()),
        lobby_name: None,
        lobby_type: None,
        mode: JoinMode::Default,
        expected_users: Vec::new(),
        game_properties: Hashtable::new(),
        actor_properties: Hashtable::new(),
        broadcast: true,
        flags: RoomFlags::default(),
        player_ttl: Ttl::ZERO,
        empty_room_ttl: Ttl::ZERO,
        plugins: None,
        actor: 0,
        slice: None,
        force_rejoin: false,
        web_flags: 0,
    }
}

pub fn join() -> JoinRequest {
    JoinRequest { operation: operation::JOIN_GAME, ..create() }
}

pub fn rejoin() -> JoinRequest {
    JoinRequest { mode: JoinMode::RejoinOnly, ..join() }
}

pub fn ttl(ms: i32) -> Ttl {
    Ttl::from_millis(ms).unwrap()
}

pub fn flags(list: &[RoomFlags]) -> RoomFlags {
    list.iter().fold(RoomFlags::default(), |all, one| all.with(*one, true))
}

pub fn users(list: &[&str]) -> Vec<Arc<str>> {
    list.iter().map(|user| Arc::from(*user)).collect()
}

/// An event as a client raises it; fields are public, so a test changes what it is about.
pub fn raise(code: u8) -> RaiseEvent<'static> {
    RaiseEvent {
        code,
        data: None,
        cache: CacheOperation::DoNotCache,
        receivers: ReceiverGroup::Others,
        group: 0,
        actors: None,
        listed: 0,
        slice: None,
        web_flags: 0,
        route: Route { channel: 3, reliable: false, sequenced: true, encrypted: false, flush: false },
    }
}

pub fn cached(code: u8, cache: CacheOperation) -> RaiseEvent<'static> {
    RaiseEvent { cache, ..raise(code) }
}

pub fn set(target: PropertyTarget, properties: Hashtable) -> SetProperties {
    SetProperties { target, properties, expected: Hashtable::new(), broadcast: true, web_flags: 0 }
}

/// The room, its clock, and all that was said since the last look.
pub struct Stage {
    pub settings: RoomSettings,
    pub now: Duration,
    pub room: Option<Room>,
    pub seats: BTreeMap<u64, Seat>,
    pub reports: Vec<RoomReport>,
    effects: Effects,
    lines: Vec<(u64, String)>,
}

impl Stage {
    pub fn new() -> Self {
        Self {
            settings: RoomSettings::DEFAULT,
            now: Duration::from_secs(100),
            room: None,
            seats: BTreeMap::new(),
            reports: Vec::new(),
            effects: Effects::new(),
            lines: Vec::new(),
        }
    }

    /// A room that peer 1, user "u1", has created.
    pub fn with(request: JoinRequest) -> Self {
        let mut stage = Self::new();
        stage.join(1, request);
        assert!(stage.room.is_some(), "{:?}", stage.take());
        stage
    }

    /// The same with peers 2..=count, users "u2".. joined, and all lines forgotten.
    pub fn with_peers(request: JoinRequest, count: u64) -> Self {
        let mut stage = Self::with(request);
        for peer in 2..=count {
            stage.join(peer, join());
        }
        assert_eq!(stage.seats.len() as u64, count, "{:?}", stage.lines);
        stage.take();
        stage.reports.clear();
        stage
    }

    pub fn room(&self) -> &Room {
        self.room.as_ref().expect("the room is there")
    }

    pub fn join(&mut self, peer: u64, request: JoinRequest) -> bool {
        self.join_as(peer, &format!("u{peer}"), None, request)
    }

    pub fn join_as(&mut self, peer: u64, user: &str, session: Option<&str>, request: JoinRequest) -> bool {
        let joiner = Joiner { peer: PeerKey(peer), user_id: user.into(), session_id: session.map(Arc::from) };
        let seat = match &mut self.room {
            Some(room) => room.join(self.now, &joiner, request, &mut self.effects),
            None => {
                let settings = Arc::new(self.settings);
                Room::create(self.now, "room".into(), settings, &joiner, request, &mut self.effects).map(
                    |(room, seat)| {
                        self.room = Some(room);
                        seat
                    },
                )
            }
        };
        self.settle(None);
        if let Some(seat) = seat {
            self.seats.insert(peer, seat);
        }
        seat.is_some()
    }

    pub fn raise(&mut self, peer: u64, event: RaiseEvent<'_>) {
        let seat = self.seats[&peer];
        let data = event.data.map(|data| data.decode().unwrap());
        self.room.as_mut().unwrap().raise_event(seat, &event, &mut self.effects);
        self.settle(data);
    }

    /// Raises with data.
    pub fn raise_with(&mut self, peer: u64, event: RaiseEvent<'_>, data: impl Into<Value>) {
        let payload = Payload::encode(Protocol::GpBinaryV18, &data.into()).unwrap();
        self.raise(peer, RaiseEvent { data: Some(payload.as_raw()), ..event });
    }

    pub fn set(&mut self, peer: u64, set: SetProperties) {
        let seat = self.seats[&peer];
        self.room.as_mut().unwrap().set_properties(self.now, seat, set, &mut self.effects);
        self.settle(None);
    }

    pub fn get(&mut self, peer: u64, get: &GetProperties) {
        let seat = self.seats[&peer];
        self.room.as_mut().unwrap().get_properties(seat, get, &mut self.effects);
        self.settle(None);
    }

    pub fn groups(&mut self, peer: u64, remove: Option<&[u8]>, add: Option<&[u8]>) {
        let seat = self.seats[&peer];
        let bytes = |list: Option<&[u8]>| list.map(|list| list.to_vec().into());
        let change = ChangeGroups { remove: bytes(remove), add: bytes(add) };
        self.room.as_mut().unwrap().change_groups(seat, &change, &mut self.effects);
        self.settle(None);
    }

    pub fn leave(&mut self, peer: u64, will_come_back: bool) {
        let seat = self.seats[&peer];
        let leave = Leave { will_come_back, web_flags: 0 };
        self.room.as_mut().unwrap().leave(self.now, seat, leave, &mut self.effects);
        self.settle(None);
    }

    pub fn lose(&mut self, peer: u64) {
        let seat = self.seats.remove(&peer).expect("the peer is in the room");
        self.room.as_mut().unwrap().peer_lost(self.now, seat, &mut self.effects);
        self.settle(None);
    }

    pub fn remove(&mut self, actor: i32, exclude: bool) -> bool {
        let removed = self.room.as_mut().unwrap().remove_actor(self.now, actor, exclude, &mut self.effects);
        self.settle(None);
        removed
    }

    /// Lets time pass, doing what is due on the way.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.room.as_ref().and_then(Room::next_timeout).filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.room.as_mut().unwrap().handle_timeout(self.now, &mut self.effects);
            self.settle(None);
        }
        self.now = end;
    }

    /// All lines since the last look, as "peer: line".
    pub fn take(&mut self) -> Vec<String> {
        self.lines.drain(..).map(|(peer, line)| format!("{peer}: {line}")).collect()
    }

    /// What one peer got since the last look; what others got is forgotten.
    pub fn heard_by(&mut self, peer: u64) -> Vec<String> {
        self.lines.drain(..).filter(|(to, _)| *to == peer).map(|(_, line)| line).collect()
    }

    fn settle(&mut self, raised: Option<Value>) {
        let effects = std::mem::take(&mut self.effects);
        for effect in effects.list() {
            match effect {
                Effect::Respond { peer, response } => {
                    let line = format!(
                        "response {} {}{}",
                        response.code,
                        response.return_code,
                        shown_parameters(&response.parameters)
                    );
                    assert_eq!(response.return_code != 0, response.debug_message.is_some());
                    self.lines.push((peer.0, line));
                }
                Effect::Event { to, event } => {
                    let line = format!("event {}{}", event.code, shown_parameters(&event.parameters));
                    self.say(effects.receivers(to), &line);
                }
                Effect::Raised { to, code, sender, route } => {
                    assert_eq!(*route, raise(0).route);
                    let data = raised.as_ref().map_or(String::new(), |data| format!(" {}", shown(data)));
                    self.say(effects.receivers(to), &format!("raised {code} by {sender}{data}"));
                }
                Effect::Cached { to, code, sender, data } => {
                    let data =
                        data.as_ref().map_or(String::new(), |data| format!(" {}", shown(&data.decode().unwrap())));
                    self.lines.push((to.0, format!("cached {code} by {sender}{data}")));
                }
                Effect::Disconnect { peer, reason } => {
                    self.seats.remove(&peer.0);
                    self.lines.push((peer.0, format!("disconnect {reason:?}")));
                }
                Effect::Report(report) => self.reports.push(report.clone()),
                Effect::Closed => self.room = None,
            }
        }
        self.effects = effects;
        self.effects.clear();
    }

    fn say(&mut self, to: &[PeerKey], line: &str) {
        assert!(!to.is_empty(), "an effect for nobody: {line}");
        self.lines.extend(to.iter().map(|peer| (peer.0, line.to_owned())));
    }
}

fn shown_parameters(parameters: &Parameters) -> String {
    parameters.iter().map(|(key, value)| format!(" {key}={}", shown(value))).collect()
}

/// A value with its type where it matters: 1b byte, 1 int, 1.0 double, (1,2) int[], [..] other arrays.
pub fn shown(value: &Value) -> String {
    let join = |parts: Vec<String>| parts.join(",");
    match value {
        Value::Null => "null".into(),
        Value::Bool(v) => v.to_string(),
        Value::Byte(v) => format!("{v}b"),
        Value::Int(v) => v.to_string(),
        Value::Double(v) => format!("{v:?}"),
        Value::String(v) => format!("'{v}'"),
        Value::IntArray(v) => format!("({})", join(v.iter().map(ToString::to_string).collect())),
        Value::StringArray(v) => format!("['{}']", v.join("','")),
        Value::Hashtable(table) => {
            format!("{{{}}}", join(table.iter().map(|(k, v)| format!("{}:{}", shown(k), shown(v))).collect()))
        }
        other => panic!("{} is not used by these tests", other.type_name()),
    }
}
