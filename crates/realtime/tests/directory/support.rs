//! A directory with a clock, and short words for what clients and game servers say to it.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use lampyris_realtime::codes::{key, operation};
use lampyris_realtime::directory::request::*;
use lampyris_realtime::directory::{
    Directory, Effect, Effects, GameServerId, LobbyKey, LobbyType, MasterPeer, Settings, Transport, Transports,
};
use lampyris_realtime::report::RoomReport;
use lampyris_realtime::room::request::{JoinMode, JoinRequest, RoomFlags, Ttl};
use lampyris_wire::{Event, Hashtable, OperationResponse, Value};
use rand::SeedableRng;
use rand::rngs::StdRng;

pub const GAME: GameServerId = GameServerId(1);

pub const GAME_EXISTS: i16 = 32766;
pub const FULL: i16 = 32765;
pub const CLOSED: i16 = 32764;
pub const SERVER_FULL: i16 = 32762;
pub const NO_MATCH: i16 = 32760;
pub const NOT_EXISTS: i16 = 32758;
pub const ALREADY_JOINED: i16 = 32750;
pub const EXCLUDED: i16 = 32747;
pub const SLOT_ERROR: i16 = 32742;

pub struct World {
    pub directory: Directory,
    pub now: Duration,
    pub effects: Effects,
}

impl World {
    /// One game server with every transport, no peer.
    pub fn new() -> Self {
        Self::with(Settings::default(), 7)
    }

    pub fn with(settings: Settings, seed: u64) -> Self {
        let mut world = Self {
            directory: Directory::new(settings, StdRng::seed_from_u64(seed)),
            now: Duration::from_secs(100),
            effects: Effects::new(),
        };
        world.server_up(GAME, Transports::all());
        world
    }

    pub fn server_up(&mut self, id: GameServerId, transports: Transports) {
        self.directory.game_server_up(id, transports);
    }

    /// A peer of that number, whose user is `u<number>`.
    pub fn peer(&mut self, number: u64) -> MasterPeer {
        self.peer_over(number, Transport::Udp)
    }

    pub fn peer_over(&mut self, number: u64, transport: Transport) -> MasterPeer {
        let peer = MasterPeer(number);
        self.directory.peer_connected(self.now, peer, user(number), transport, &mut self.effects);
        self.take();
        peer
    }

    pub fn peers(&mut self, count: u64) -> Vec<MasterPeer> {
        (1..=count).map(|number| self.peer(number)).collect()
    }

    pub fn take(&mut self) -> Vec<Effect> {
        self.effects.drain().collect()
    }

    /// The only effect.
    pub fn one(&mut self) -> Effect {
        let mut effects = self.take();
        assert_eq!(effects.len(), 1, "{effects:?}");
        effects.remove(0)
    }

    /// The return code and room name of the only effect.
    fn outcome(&mut self, peer: MasterPeer) -> Result<Arc<str>, i16> {
        match self.one() {
            Effect::Place { peer: to, room, parameters, .. } => {
                assert_eq!(to, peer);
                assert_eq!(parameters.get(key::ROOM_NAME), Some(&Value::String(room.clone())));
                Ok(room)
            }
            Effect::Respond { peer: to, response } => {
                assert_eq!(to, peer);
                assert_ne!(response.return_code, 0, "{response:?}");
                assert!(response.debug_message.is_some(), "{response:?}");
                Err(response.return_code)
            }
            other => panic!("expected an answer to a request for a room, got {other:?}"),
        }
    }

    pub fn create(&mut self, peer: MasterPeer, request: &JoinRequest) -> Result<Arc<str>, i16> {
        self.directory.create_game(self.now, peer, request, &mut self.effects);
        self.outcome(peer)
    }

    pub fn join(&mut self, peer: MasterPeer, request: &JoinRequest) -> Result<Arc<str>, i16> {
        self.send_join(peer, request);
        self.outcome(peer)
    }

    pub fn send_join(&mut self, peer: MasterPeer, request: &JoinRequest) {
        self.directory.join_game(self.now, peer, request, &mut self.effects);
    }

    pub fn random(&mut self, peer: MasterPeer, request: &JoinRandomRequest) -> Result<Arc<str>, i16> {
        self.directory.join_random(self.now, peer, request, &mut self.effects);
        self.outcome(peer)
    }

    pub fn join_lobby(&mut self, peer: MasterPeer, lobby: &LobbyKey) -> Vec<Effect> {
        let request = JoinLobbyRequest { lobby: lobby.clone(), most_rooms: None };
        self.directory.join_lobby(peer, &request, &mut self.effects);
        self.take()
    }

    pub fn report(&mut self, room: &str, report: RoomReport) {
        self.report_of(GAME, room, report);
    }

    pub fn report_of(&mut self, server: GameServerId, room: &str, report: RoomReport) {
        self.directory.room_report(self.now, server, &room.into(), report, &mut self.effects);
    }

    /// A room on the game server that the master hears of now, without anybody in it.
    pub fn room(&mut self, name: &str, listing: RoomListing) {
        self.report(name, created(&LobbyKey::default(), listing));
    }

    pub fn actor_joined(&mut self, room: &str, actor: i32, number: u64) {
        self.report(room, RoomReport::ActorJoined { actor, user_id: user(number), rejoined: false });
    }

    /// Lets time pass, with everything done at its time.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.directory.next_timeout().filter(|at| *at <= end) {
            assert!(at >= self.now, "a deadline of the past: {at:?} at {:?}", self.now);
            self.now = at;
            self.directory.handle_timeout(at, &mut self.effects);
            assert!(self.directory.next_timeout().is_none_or(|next| next > at), "a deadline that was not dealt with");
        }
        self.now = end;
    }
}

pub fn user(number: u64) -> Arc<str> {
    format!("u{number}").into()
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn named(name: &str) -> JoinRequest {
    JoinRequest {
        operation: operation::JOIN_GAME,
        room_name: (!name.is_empty()).then(|| name.into()),
        lobby_name: None,
        lobby_type: None,
        mode: JoinMode::Default,
        expected_users: Vec::new(),
        game_properties: Hashtable::new(),
        actor_properties: Hashtable::new(),
        broadcast: false,
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

pub fn with_mode(name: &str, mode: JoinMode) -> JoinRequest {
    JoinRequest { mode, ..named(name) }
}

pub fn expecting(request: JoinRequest, users: &[u64]) -> JoinRequest {
    JoinRequest { expected_users: users.iter().copied().map(user).collect(), ..request }
}

/// What a game server says of a room's properties.
#[derive(Clone, Debug)]
pub struct RoomListing {
    pub open: bool,
    pub visible: bool,
    pub max_players: u32,
    pub properties: Hashtable,
}

impl RoomListing {
    fn table(self) -> Hashtable {
        let mut table = self.properties;
        table.insert(254_u8, self.visible);
        table.insert(253_u8, self.open);
        match u8::try_from(self.max_players) {
            Ok(max) => table.insert(255_u8, max),
            Err(_) => table.insert(243_u8, self.max_players as i32),
        };
        table
    }
}

pub fn listing(max_players: u32) -> RoomListing {
    RoomListing { open: true, visible: true, max_players, properties: Hashtable::new() }
}

pub fn created(lobby: &LobbyKey, listing: RoomListing) -> RoomReport {
    RoomReport::Created {
        flags: RoomFlags::default(),
        lobby_name: Some(lobby.name().clone()),
        lobby_type: lobby.kind() as u8,
        properties: listing.table(),
    }
}

pub fn changed(listing: RoomListing) -> RoomReport {
    RoomReport::PropertiesChanged(listing.table())
}

pub fn inactive(actor: i32) -> RoomReport {
    RoomReport::ActorInactive { actor, user_id: "".into() }
}

pub fn left(actor: i32) -> RoomReport {
    RoomReport::ActorLeft { actor, user_id: "".into() }
}

pub fn filter<K: Into<Value>, V: Into<Value>, const N: usize>(entries: [(K, V); N]) -> JoinRandomRequest {
    JoinRandomRequest { filter: Filter::new(entries.into()).unwrap(), ..JoinRandomRequest::default() }
}

pub fn lobby(name: &str) -> LobbyKey {
    LobbyKey::new(name, LobbyType::Default)
}

/// Names and entries of the rooms in event 230 or 229.
pub fn rooms_in(event: &Event) -> Vec<(String, Hashtable)> {
    let table = event.parameters.get(key::GAME_LIST).and_then(Value::as_hashtable).unwrap();
    let entry =
        |(name, entry): (&Value, &Value)| (name.as_str().unwrap().to_owned(), entry.as_hashtable().unwrap().clone());
    table.iter().map(entry).collect()
}

pub fn names_in(event: &Event) -> Vec<String> {
    rooms_in(event).into_iter().map(|(name, _)| name).collect()
}

/// The only lobby event among the effects.
pub fn lobby_event(effects: &[Effect]) -> Event {
    let events: Vec<_> = effects
        .iter()
        .filter_map(|e| if let Effect::LobbyEvent { event, .. } = e { Some(event) } else { None })
        .collect();
    assert_eq!(events.len(), 1, "{effects:?}");
    events[0].clone()
}

/// The event of an effect that sends one to a single peer.
pub fn event_to(peer: MasterPeer, effect: &Effect) -> Event {
    match effect {
        Effect::Event { peer: to, event } if *to == peer => event.clone(),
        other => panic!("expected an event to {peer:?}, got {other:?}"),
    }
}

pub fn response_to(peer: MasterPeer, effect: &Effect) -> OperationResponse {
    match effect {
        Effect::Respond { peer: to, response } if *to == peer => response.clone(),
        other => panic!("expected a response to {peer:?}, got {other:?}"),
    }
}

pub fn ints(value: Option<&Value>) -> Vec<i32> {
    match value {
        Some(Value::IntArray(ints)) => ints.clone(),
        other => panic!("expected int[], got {other:?}"),
    }
}

pub fn assert_has<K: Into<Value>, V: Into<Value> + Debug>(table: &Hashtable, key: K, value: V) {
    let (key, value) = (key.into(), value.into());
    assert_eq!(table.get(&key), Some(&value), "under {key:?} of {table:?}");
}
