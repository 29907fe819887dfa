//! The Game server: authentication by token, the one room of a connection (operations.md, sections 2.4 to 2.10 and 4).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use lampyris_realtime::codes::{Refusal, ReturnCode, event, key, operation};
use lampyris_realtime::parameters::Fields;
use lampyris_realtime::room::request::{
    ChangeGroups, GetProperties, JoinRequest, Leave, RaiseEvent, Route, SetProperties,
};
use lampyris_realtime::room::{
    DisconnectReason, Effect, Effects, Joiner, PeerKey, Room, RoomReport, RoomSettings, Seat,
};
use lampyris_realtime::token::Token;
use lampyris_transport::crypto::PayloadCipher;
use lampyris_transport::{CloseCause, Delivery};
use lampyris_wire::{Disconnect, Event, Message, Parameters, RawRequest, RawValue, Value};
use slotmap::{Key as _, KeyData, SlotMap};

use crate::authentication::MAX_ATTEMPTS;
use crate::connection::ReplyMode;
use crate::fan_out::Outgoing;
use crate::session::{GameSession, Join, Session, Stage};
use crate::timers::Armed;
use crate::worker::{Owner, RoomKey};
use crate::{ConnectionKey, Worker, WorkerId};

/// The rooms of one worker.
#[derive(Debug)]
pub(crate) struct Rooms {
    by_name: HashMap<Arc<str>, RoomKey>,
    rooms: SlotMap<RoomKey, HostedRoom>,
    settings: Arc<RoomSettings>,
    effects: Effects,
}

impl Rooms {
    pub(crate) fn new(settings: RoomSettings) -> Self {
        Self {
            by_name: HashMap::new(),
            rooms: SlotMap::with_key(),
            settings: Arc::new(settings),
            effects: Effects::default(),
        }
    }

    /// For the rooms that are made from now on.
    pub(crate) fn set_settings(&mut self, settings: RoomSettings) {
        self.settings = Arc::new(settings);
    }
}

impl Rooms {
    /// Every room.
    pub(crate) fn keys(&self) -> Vec<RoomKey> {
        self.rooms.keys().collect()
    }

    /// A room as a Master must know it that knows nothing of it; none if it is over.
    pub(crate) fn reports(&self, key: RoomKey) -> Vec<(Arc<str>, RoomReport)> {
        let Some(hosted) = self.rooms.get(key) else { return Vec::new() };
        let name = hosted.room.name();
        hosted.room.reports().into_iter().map(|report| (Arc::clone(name), report)).collect()
    }
}

#[derive(Debug)]
struct HostedRoom {
    room: Room,
    armed: Armed,
}

impl Worker {
    /// A client that presented its token in the init message.
    pub(crate) fn game_token_init(&mut self, now: Duration, key: ConnectionKey, token: &Value) {
        match self.open_token(now, token) {
            Ok(token) => {
                if let (Some(data), Some(connection)) = (&token.encryption, self.connection_mut(key)) {
                    connection.cipher = PayloadCipher::from_pre_shared(&data.secret).ok();
                }
                let parameters = self.game_enter(now, key, token);
                self.answer(now, key, ReplyMode::UNASKED, operation::AUTHENTICATE_ONCE, Ok(parameters));
            }
            Err(refusal) => self.refuse_token_init(now, key, refusal),
        }
    }

    /// One operation on the Game server.
    pub(crate) fn game_request(
        &mut self,
        now: Duration,
        key: ConnectionKey,
        mode: ReplyMode,
        request: &RawRequest<'_>,
    ) {
        if request.code == operation::AUTHENTICATE {
            let answer = self.authenticate_on_game(now, key, Fields(&request.parameters));
            let refused = answer.is_err();
            self.answer(now, key, mode, request.code, answer);
            if refused {
                self.end_later(now, key, CloseCause::ByUs("its authentication was refused"));
            }
            return;
        }
        if let Err(refusal) = self.try_game_request(now, key, mode, request) {
            self.answer(now, key, mode, request.code, Err(refusal));
        }
    }

    fn try_game_request(
        &mut self,
        now: Duration,
        key: ConnectionKey,
        mode: ReplyMode,
        request: &RawRequest<'_>,
    ) -> Result<(), Refusal> {
        let parameters = &request.parameters;
        let rate = self.config.game.operation_rates.iter().find(|rate| rate.code == request.code).copied();
        let Some(session) = self.game_session(key) else { return Ok(()) };
        if session.token.is_none() {
            return Err(Refusal::denied(format!("operation {} needs authentication first", request.code)));
        }
        if let Some(rate) = rate {
            session.operations.admit(now, rate)?;
        }
        let stage = match &session.stage {
            Stage::Joined { room, actor } => Some((*room, Seat { actor: *actor, peer: peer_key(key) })),
            Stage::Fresh | Stage::Moving(_) => None,
        };
        let joined = || stage.ok_or_else(|| Refusal::denied(format!("operation {} needs a room first", request.code)));
        match request.code {
            operation::RAISE_EVENT => {
                let (room, seat) = joined()?;
                let event = RaiseEvent::parse(parameters, route(mode))?;
                self.stats.events_raised += 1;
                self.in_room(now, room, mode, event.data, |room, effects| room.raise_event(seat, &event, effects));
                self.refresh_token(now, key);
            }
            operation::SET_PROPERTIES => {
                let (room, seat) = joined()?;
                let set = SetProperties::parse(parameters)?;
                self.in_room(now, room, mode, None, |room, effects| room.set_properties(now, seat, set, effects));
            }
            operation::GET_PROPERTIES => {
                let (room, seat) = joined()?;
                let get = GetProperties::parse(parameters)?;
                self.in_room(now, room, mode, None, |room, effects| room.get_properties(seat, &get, effects));
            }
            operation::CHANGE_GROUPS => {
                let (room, seat) = joined()?;
                let change = ChangeGroups::parse(parameters)?;
                self.in_room(now, room, mode, None, |room, effects| room.change_groups(seat, &change, effects));
            }
            operation::LEAVE => {
                // Without a room there is no answer (operations.md, section 2.6).
                if let Some((room, seat)) = stage {
                    let leave = Leave::parse(parameters);
                    self.in_room(now, room, mode, None, |room, effects| room.leave(now, seat, leave, effects));
                }
            }
            operation::CREATE_GAME | operation::JOIN_GAME | operation::JOIN => self.enter(now, key, mode, request),
            operation::PING => self.answer(now, key, mode, request.code, Ok(Parameters::new())),
            operation::SERVER_SETTINGS => {}
            operation::DEBUG_GAME => return Err(Refusal::denied("diagnostics are off")),
            operation::WEB_RPC => return Err(Refusal::invalid("web services are not configured")),
            code => return Err(Refusal::invalid(format!("operation {code} is not one of the Game server's"))),
        }
        Ok(())
    }

    fn authenticate_on_game(
        &mut self,
        now: Duration,
        key: ConnectionKey,
        fields: Fields<'_, '_>,
    ) -> Result<Parameters, Refusal> {
        let Some(session) = self.game_session(key) else { return Err(Refusal::denied("not on a Game server")) };
        if session.token.is_some() {
            return Err(Refusal::denied("already authenticated"));
        }
        session.attempts = session.attempts.saturating_add(1);
        if session.attempts > MAX_ATTEMPTS {
            return Err(Refusal::denied(format!("at most {MAX_ATTEMPTS} authentications on one connection")));
        }
        let Some(token) = fields.value(key::TOKEN, "Token")? else {
            let text = "a Game server authenticates by token only: expected parameter 221, as the Master gave it";
            return Err(Refusal::new(ReturnCode::INVALID_AUTHENTICATION, text));
        };
        let token = self.open_token(now, &token)?;
        Ok(self.game_enter(now, key, token))
    }

    /// Lets an authenticated client in; gives the parameters of the response.
    fn game_enter(&mut self, now: Duration, key: ConnectionKey, token: Token) -> Parameters {
        let left_ms = token.expires_at_ms.saturating_sub(self.unix_ms(now));
        let renew_in = Duration::from_millis(left_ms).saturating_sub(self.config.game.token_lifetime / 3);
        if let Some(session) = self.game_session(key) {
            session.token = Some(Box::new(token));
            session.renew_token_at = now + renew_in;
        }
        self.stop_authentication_deadline(key);
        Parameters::from([(key::POSITION, Value::Int(0))])
    }

    /// Sends a fresh token when less than a third of the old one's life is left (operations.md, section 1.6).
    fn refresh_token(&mut self, now: Duration, key: ConnectionKey) {
        let lifetime = self.config.game.token_lifetime;
        let Some(session) = self.game_session(key) else { return };
        if now < session.renew_token_at {
            return;
        }
        session.renew_token_at = now + lifetime / 3 * 2;
        let Some(mut token) = session.token.as_deref().cloned() else { return };
        if let Ok(text) = self.seal_token(now, &mut token, lifetime) {
            let event = Event { code: event::AUTH_EVENT, parameters: Parameters::from([(key::TOKEN, text)]) };
            self.begin_event();
            self.deliver(now, key, ReplyMode::UNASKED, &Outgoing::Event(&event));
        }
    }

    /// Operations 226 and 227: here if the room belongs to this worker, else there.
    fn enter(&mut self, now: Duration, key: ConnectionKey, mode: ReplyMode, request: &RawRequest<'_>) {
        let code = request.code;
        let parsed = JoinRequest::parse(code, &request.parameters).and_then(|request| {
            let name = request.require_room_name()?.clone();
            self.check_may_enter(key, &name)?;
            Ok((name, request))
        });
        let (name, request) = match parsed {
            Ok(parsed) => parsed,
            Err(refusal) => {
                self.answer(now, key, mode, code, Err(refusal));
                return self.end_later(now, key, CloseCause::ByUs("its join was refused"));
            }
        };
        let join = Join { operation: code, mode, request };
        let worker = self.worker_of_room(&name);
        if worker == self.id {
            return self.join_room(now, key, join);
        }
        if let Some(session) = self.game_session(key) {
            session.stage = Stage::Moving(Box::new(join));
        }
        self.start_move(key, worker);
    }

    fn check_may_enter(&mut self, key: ConnectionKey, name: &Arc<str>) -> Result<(), Refusal> {
        let checked = self.config.game.checks_expected_room;
        let Some(session) = self.game_session(key) else { return Err(Refusal::denied("not on a Game server")) };
        if !matches!(session.stage, Stage::Fresh) {
            return Err(Refusal::denied("a connection serves one room: connect again for another"));
        }
        match session.token.as_ref().and_then(|token| token.expected_room.as_deref()) {
            Some(expected) if checked && *expected != **name => Err(Refusal::new(
                ReturnCode::EXPECTED_GAME_CHECK_FAILURE,
                "the token is good for another room: ask the Master for this one",
            )),
            _ => Ok(()),
        }
    }

    /// The worker that a room lives on: the same on every worker, and not for clients to choose.
    fn worker_of_room(&self, name: &str) -> WorkerId {
        let mut hasher = DefaultHasher::new();
        self.config.udp_secret.hash(&mut hasher);
        name.hash(&mut hasher);
        let workers = u64::from(self.config.workers.max(1));
        WorkerId(u16::try_from(hasher.finish() % workers).unwrap_or_default())
    }

    /// Creates or joins a room of this worker.
    pub(crate) fn join_room(&mut self, now: Duration, key: ConnectionKey, join: Join) {
        let Join { operation: code, mode, request } = join;
        let Some(token) = self.game_session(key).and_then(|session| session.token.as_ref()) else { return };
        let joiner = Joiner {
            peer: peer_key(key),
            user_id: token.user_id.as_str().into(),
            session_id: Some(token.session_id.as_str().into()),
        };
        let Ok(name) = request.require_room_name().cloned() else { return };
        match self.rooms.by_name.get(&name).copied() {
            Some(_) if code == operation::CREATE_GAME => {
                let refusal = Refusal::new(ReturnCode::GAME_ID_ALREADY_EXISTS, "a room of this name exists");
                self.answer(now, key, mode, code, Err(refusal));
                self.report(now, vec![(name, RoomReport::JoinFailed { user_id: joiner.user_id })]);
                self.dismiss(now, key, DisconnectReason::JoinRefused);
            }
            Some(room) => {
                self.room_turn(now, room, mode, None, |room, effects| room.join(now, &joiner, request, effects));
            }
            None => self.create_room(now, mode, name, &joiner, request),
        }
    }

    fn create_room(&mut self, now: Duration, mode: ReplyMode, name: Arc<str>, joiner: &Joiner, request: JoinRequest) {
        let mut effects = std::mem::take(&mut self.rooms.effects);
        effects.clear();
        let settings = Arc::clone(&self.rooms.settings);
        let create = || Room::create(now, Arc::clone(&name), settings, joiner, request, &mut effects);
        let Ok(created) = catch_unwind(AssertUnwindSafe(create)) else {
            self.room_fault(&name, now, vec![connection_key(joiner.peer)]);
            return;
        };
        let created = created.map(|(room, seat)| {
            let key = self.rooms.rooms.insert(HostedRoom { room, armed: Armed::default() });
            self.rooms.by_name.insert(Arc::clone(&name), key);
            self.seat(key, seat);
            key
        });
        self.apply_room_effects(now, created, &name, mode, None, &mut effects);
        self.rooms.effects = effects;
    }

    /// Lets a room do something, and does what it wants done.
    fn in_room(
        &mut self,
        now: Duration,
        key: RoomKey,
        mode: ReplyMode,
        data: Option<RawValue<'_>>,
        operation: impl FnOnce(&mut Room, &mut Effects),
    ) {
        self.room_turn(now, key, mode, data, |room, effects| {
            operation(room, effects);
            None
        });
    }

    /// As [`Worker::in_room`], for what may give somebody a seat. A panic of the room's rules ends that room only.
    fn room_turn(
        &mut self,
        now: Duration,
        key: RoomKey,
        mode: ReplyMode,
        data: Option<RawValue<'_>>,
        operation: impl FnOnce(&mut Room, &mut Effects) -> Option<Seat>,
    ) {
        let Some(hosted) = self.rooms.rooms.get_mut(key) else { return };
        let mut effects = std::mem::take(&mut self.rooms.effects);
        effects.clear();
        let name = Arc::clone(hosted.room.name());
        let Ok(seat) = catch_unwind(AssertUnwindSafe(|| operation(&mut hosted.room, &mut effects))) else {
            return self.room_panicked(now, key, &name);
        };
        if let Some(seat) = seat {
            self.seat(key, seat);
        }
        self.apply_room_effects(now, Some(key), &name, mode, data, &mut effects);
        self.rooms.effects = effects;
    }

    fn apply_room_effects(
        &mut self,
        now: Duration,
        key: Option<RoomKey>,
        name: &Arc<str>,
        mode: ReplyMode,
        data: Option<RawValue<'_>>,
        effects: &mut Effects,
    ) {
        let mut reports: Vec<(Arc<str>, RoomReport)> = Vec::new();
        let mut closed = false;
        for effect in effects.list() {
            match effect {
                Effect::Respond { peer, response } => {
                    self.respond(now, connection_key(*peer), mode, response.clone());
                }
                Effect::Event { to, event } => {
                    self.begin_event();
                    for peer in effects.receivers(to) {
                        self.deliver(now, connection_key(*peer), ReplyMode::UNASKED, &Outgoing::Event(event));
                    }
                }
                Effect::Raised { to, code, sender, route } => {
                    self.begin_event();
                    let mode = reply_mode(route);
                    let outgoing = Outgoing::Raised { code: *code, sender: *sender, data };
                    for peer in effects.receivers(to) {
                        self.deliver(now, connection_key(*peer), mode, &outgoing);
                    }
                }
                Effect::Cached { to, code, sender, data } => {
                    self.begin_event();
                    let data = data.as_ref().map(lampyris_wire::Payload::as_raw);
                    let outgoing = Outgoing::Raised { code: *code, sender: *sender, data };
                    self.deliver(now, connection_key(*to), ReplyMode::UNASKED, &outgoing);
                }
                Effect::Disconnect { peer, reason } => self.dismiss(now, connection_key(*peer), *reason),
                Effect::Report(report) => reports.push((Arc::clone(name), report.clone())),
                Effect::Closed => closed = true,
            }
        }
        if closed && let Some(key) = key {
            self.rooms.rooms.remove(key);
            self.rooms.by_name.remove(name);
        }
        if let Some(key) = key
            && let Some(hosted) = self.rooms.rooms.get_mut(key)
        {
            self.timers.arm(Owner::Room(key), &mut hosted.armed, hosted.room.next_timeout());
        }
        if !reports.is_empty() {
            self.report(now, reports);
        }
    }

    /// Remembers which actor of which room a connection is.
    fn seat(&mut self, room: RoomKey, seat: Seat) {
        if let Some(session) = self.game_session(connection_key(seat.peer)) {
            session.stage = Stage::Joined { room, actor: seat.actor };
        }
    }

    /// The room is done with a client: it is told why if there is a word for it, and expected to close.
    fn dismiss(&mut self, now: Duration, key: ConnectionKey, reason: DisconnectReason) {
        if let (Some(code), Some(connection)) = (reason.code(), self.connection(key))
            && connection.protocol != lampyris_wire::Protocol::Json
        {
            let disconnect =
                Disconnect { code: code.0, debug_message: Some(code.name().to_owned()), parameters: Parameters::new() };
            self.send(now, key, ReplyMode::UNASKED, &Message::Disconnect(disconnect));
        }
        let cause = match reason {
            DisconnectReason::Left => "left its room",
            DisconnectReason::JoinRefused => "its join was refused",
            DisconnectReason::TakenOver => "another connection took its actor over",
            DisconnectReason::Removed => "removed from its room",
            DisconnectReason::OperationLimit => "set too many different properties",
        };
        self.end_later(now, key, CloseCause::ByUs(cause));
    }

    pub(crate) fn room_timeout(&mut self, now: Duration, at: Duration, key: RoomKey) {
        let Some(hosted) = self.rooms.rooms.get_mut(key) else { return };
        if hosted.armed.fire(at) {
            self.in_room(now, key, ReplyMode::UNASKED, None, |room, effects| room.handle_timeout(now, effects));
        }
    }

    /// The client's connection is over.
    pub(crate) fn game_gone(&mut self, now: Duration, key: ConnectionKey, session: GameSession) {
        if let Stage::Joined { room, actor } = session.stage {
            let seat = Seat { actor, peer: peer_key(key) };
            self.in_room(now, room, ReplyMode::UNASKED, None, |room, effects| room.peer_lost(now, seat, effects));
        }
    }

    /// A fault of ours in one room: the room ends, everything else goes on.
    fn room_panicked(&mut self, now: Duration, key: RoomKey, name: &Arc<str>) {
        self.rooms.rooms.remove(key);
        self.rooms.by_name.remove(name);
        let members = self.members_of(key);
        self.room_fault(name, now, members);
    }

    /// Tells the clients and the directory of a room that a fault of ours ended.
    fn room_fault(&mut self, name: &Arc<str>, now: Duration, members: Vec<ConnectionKey>) {
        self.stats.rooms_panicked += 1;
        tracing::error!("a fault in the rules ended a room; please report it with the text above");
        for member in members {
            self.fail(now, member, CloseCause::ByUs("a fault of the server ended the room"));
        }
        self.report(now, vec![(Arc::clone(name), RoomReport::Closed)]);
    }

    fn members_of(&self, key: RoomKey) -> Vec<ConnectionKey> {
        let in_room = |session: &Session| match session {
            Session::Game(game) => matches!(game.stage, Stage::Joined { room, .. } if room == key),
            _ => false,
        };
        self.connections().filter(|(_, connection)| in_room(&connection.session)).map(|(key, _)| key).collect()
    }

    fn game_session(&mut self, key: ConnectionKey) -> Option<&mut GameSession> {
        match &mut self.connection_mut(key)?.session {
            Session::Game(session) => Some(session),
            _ => None,
        }
    }
}

fn peer_key(key: ConnectionKey) -> PeerKey {
    PeerKey(key.data().as_ffi())
}

fn connection_key(peer: PeerKey) -> ConnectionKey {
    KeyData::from_ffi(peer.0).into()
}

/// How a raised event goes out: as it came.
fn route(mode: ReplyMode) -> Route {
    let (reliable, sequenced) = match mode.delivery {
        Delivery::Reliable => (true, true),
        Delivery::Unreliable => (false, true),
        Delivery::UnreliableUnsequenced => (false, false),
        Delivery::ReliableUnsequenced => (true, false),
    };
    Route { channel: mode.channel, reliable, sequenced, encrypted: mode.encrypted, flush: false }
}

fn reply_mode(route: &Route) -> ReplyMode {
    let delivery = match (route.reliable, route.sequenced) {
        (true, true) => Delivery::Reliable,
        (false, true) => Delivery::Unreliable,
        (false, false) => Delivery::UnreliableUnsequenced,
        (true, false) => Delivery::ReliableUnsequenced,
    };
    ReplyMode { channel: route.channel, delivery, encrypted: route.encrypted }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use lampyris_realtime::token::EncryptionData;
    use lampyris_transport::{Delivery, Init, init, tcp};
    use lampyris_wire::{OperationRequest, Protocol};

    use super::*;
    use crate::{
        Addresses, Applications, Config, GameConfig, Limits, ListenerConfig, ListenerId, MasterConfig,
        NameServerConfig, Role, Transport, UdpConfig,
    };

    const NOW: Duration = Duration::from_secs(1);

    fn worker() -> Worker {
        let config = Config {
            workers: 1,
            listeners: vec![ListenerConfig::of_role(Role::Game, Transport::Tcp, 4531)],
            applications: Applications::default(),
            addresses: Addresses::default(),
            name_server: NameServerConfig::default(),
            master: MasterConfig::default(),
            game: GameConfig::default(),
            token_secret: [1; 32],
            clock_started_at_unix: Duration::ZERO,
            udp_secret: [2; 32],
            udp: UdpConfig::SERVER,
            assets: HashMap::new(),
            challenges: None,
            limits: Limits::default(),
        };
        Worker::new(WorkerId(0), Arc::new(config), [3; 32]).unwrap()
    }

    fn token(worker: &mut Worker, user: &str) -> String {
        let mut token = Token {
            expires_at_ms: 0,
            final_expiry_ms: None,
            app_id: String::new(),
            app_version: String::new(),
            user_id: user.to_owned(),
            session_id: user.to_owned(),
            nickname: None,
            auth_type: None,
            encryption: None::<EncryptionData>,
            expected_game_server: None,
            expected_room: None,
            auth_cookie: None,
        };
        worker.seal_token(NOW, &mut token, Duration::from_secs(3600)).unwrap()
    }

    /// A client in a room, over TCP.
    fn join(worker: &mut Worker, user: &str, room: &str) -> ConnectionKey {
        let address = SocketAddr::from(([127, 0, 0, 1], 4531));
        let key = worker.open_stream(NOW, ListenerId(0), address, address).unwrap();
        let init = Init {
            protocol: Protocol::GpBinaryV18,
            application: "app".into(),
            client_version: "4.1.8.13".into(),
            sdk_id: 15,
            ipv6: false,
            token: Some(Value::from(token(worker, user))),
            custom_data: None,
            http: None,
        };
        let mut message = Vec::new();
        init::write(&init, "127.0.0.1:4531", &mut message).unwrap();
        receive(worker, key, &message);
        let parameters = Parameters::from([(key::ROOM_NAME, Value::from(room)), (key::JOIN_MODE, Value::Byte(1))]);
        let request = OperationRequest { code: operation::JOIN_GAME, parameters };
        let mut message = Vec::new();
        Message::OperationRequest(request).encode(Protocol::GpBinaryV18, &mut message).unwrap();
        receive(worker, key, &message);
        key
    }

    fn receive(worker: &mut Worker, key: ConnectionKey, message: &[u8]) {
        let mut frame = Vec::new();
        tcp::write_frame(&mut frame, 0, Delivery::Reliable, message);
        worker.receive(NOW, key, &mut frame);
    }

    fn room_of(worker: &mut Worker, key: ConnectionKey) -> Option<RoomKey> {
        match worker.game_session(key)?.stage {
            Stage::Joined { room, .. } => Some(room),
            _ => None,
        }
    }

    #[test]
    fn a_fault_in_the_rules_ends_that_room_only() {
        let mut worker = worker();
        let faulty = ["ann", "bob"].map(|user| join(&mut worker, user, "faulty"));
        let sound = join(&mut worker, "cid", "sound");
        let room = room_of(&mut worker, faulty[0]).unwrap();
        for key in faulty.into_iter().chain([sound]) {
            worker.consume_output(key, usize::MAX);
        }
        worker.in_room(NOW, room, ReplyMode::UNASKED, None, |_, _| panic!("a fault on purpose"));
        for key in faulty {
            assert_eq!(worker.output(key).get(8), Some(&5), "a disconnect message says so");
            assert!(worker.connection(key).unwrap().ended.is_some());
        }
        assert!(worker.output(sound).is_empty());
        assert!(room_of(&mut worker, sound).is_some());
        assert_eq!(worker.stats().rooms_panicked, 1);
        // The name is free again, on this worker and in the directory.
        let again = join(&mut worker, "dan", "faulty");
        assert_ne!(room_of(&mut worker, again), Some(room));
        assert!(room_of(&mut worker, again).is_some());
    }
}
