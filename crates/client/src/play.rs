//! What an application asks for, and what servers answer and tell.

use std::sync::Arc;
use std::time::Duration;

use lampyris_transport::Delivery;
use lampyris_wire::{self as wire, OperationRequest, OperationResponse, Parameters, Value};

use crate::client::{Entering, Next, Role, Step};
use crate::codes::{event, key, operation};
use crate::connection::Mode;
use crate::request::Stage;
use crate::{
    Client, Entry, Error, Event, JoinRequest, Lobby, PropertyChange, RaiseOptions, RoomEntered, ServerAddress, State,
};

impl Client {
    /// Joins a lobby; [`Event::LobbyJoined`] and, of listing lobbies, [`Event::RoomList`] follow.
    ///
    /// # Errors
    /// The client is not on the Master.
    pub fn join_lobby(&mut self, now: Duration, lobby: &Lobby) -> Result<(), Error> {
        self.expect_master()?;
        let mut parameters = Parameters::new();
        lobby.write(&mut parameters);
        self.send(now, Mode::PLAIN, operation::JOIN_LOBBY, parameters)
    }

    /// Leaves the lobby; [`Event::LobbyLeft`] follows.
    ///
    /// # Errors
    /// The client is not on the Master.
    pub fn leave_lobby(&mut self, now: Duration) -> Result<(), Error> {
        self.expect_master()?;
        self.send(now, Mode::PLAIN, operation::LEAVE_LOBBY, Parameters::new())
    }

    /// Enters a room; [`Event::RoomEntered`] or [`Event::RoomRefused`] follows.
    ///
    /// # Errors
    /// The client is not on the Master; a property has no form in its serialization.
    pub fn enter(&mut self, now: Duration, request: JoinRequest) -> Result<(), Error> {
        self.expect_master()?;
        let (code, parameters) = request.operation(Stage::Master);
        let secret = !request.expected_users.is_empty() && self.has_cipher();
        self.send(now, if secret { Mode::SECRET } else { Mode::PLAIN }, code, parameters)?;
        self.entering = Some(Box::new(Entering { request, room: None }));
        Ok(())
    }

    /// Goes back to the room that the connection was lost in, without asking the Master. Gives whether there is one.
    ///
    /// # Errors
    /// The client is connected.
    pub fn reconnect_and_rejoin(&mut self, now: Duration, room: &str) -> Result<bool, Error> {
        self.expect(State::Disconnected, "a client that is disconnected")?;
        let (Some(address), true) = (self.game.clone(), self.identity.token.is_some()) else { return Ok(false) };
        let request = JoinRequest::from(Entry::Rejoin { name: room.to_owned() });
        self.entering = Some(Box::new(Entering { request, room: Some(room.to_owned()) }));
        self.open(now, Role::Game, address);
        Ok(true)
    }

    /// Leaves the room; [`Event::RoomLeft`] follows, and [`Event::ConnectedToMaster`]. With `inactive` the actor stays
    /// for the room's player TTL.
    ///
    /// # Errors
    /// The client is in no room.
    pub fn leave_room(&mut self, now: Duration, inactive: bool) -> Result<(), Error> {
        self.expect_room()?;
        let mut parameters = Parameters::new();
        if inactive {
            parameters.insert(key::IS_INACTIVE, true);
        }
        self.send(now, Mode::PLAIN, operation::LEAVE, parameters)
    }

    /// Raises an event.
    ///
    /// # Errors
    /// The client is in no room; the payload has no form in its serialization; the transport is full; there is no key
    /// to encrypt with.
    pub fn raise_event(
        &mut self,
        now: Duration,
        code: u8,
        payload: impl Into<Value>,
        options: &RaiseOptions,
    ) -> Result<(), Error> {
        self.expect_room()?;
        let mode = Mode { channel: options.channel, delivery: options.delivery, encrypt: options.encrypt };
        self.send(now, mode, operation::RAISE_EVENT, options.parameters(code, payload.into()))
    }

    /// Sets properties; [`Event::Response`] and [`Event::PropertiesChanged`] follow.
    ///
    /// # Errors
    /// The client is in no room; a value has no form in its serialization.
    pub fn set_properties(&mut self, now: Duration, change: PropertyChange) -> Result<(), Error> {
        self.expect_room()?;
        self.send(now, Mode::PLAIN, operation::SET_PROPERTIES, change.parameters())
    }

    /// Leaves and joins interest groups: first the one, then the other. An empty list means all of them.
    ///
    /// # Errors
    /// The client is in no room.
    pub fn change_groups(&mut self, now: Duration, leave: Option<&[u8]>, join: Option<&[u8]>) -> Result<(), Error> {
        self.expect_room()?;
        let mut parameters = Parameters::new();
        for (name, groups) in [(key::REMOVE, leave), (key::ADD, join)] {
            if let Some(groups) = groups {
                parameters.insert(name, groups.to_vec());
            }
        }
        self.send(now, Mode::PLAIN, operation::CHANGE_GROUPS, parameters)
    }

    /// Asks where friends are; [`Event::Response`] follows.
    ///
    /// # Errors
    /// The client is not on the Master.
    pub fn find_friends(&mut self, now: Duration, user_ids: Vec<Arc<str>>) -> Result<(), Error> {
        self.expect_master()?;
        let mode = if self.has_cipher() { Mode::SECRET } else { Mode::PLAIN };
        let parameters = Parameters::new().with(key::FRIENDS, Value::StringArray(user_ids));
        self.send(now, mode, operation::FIND_FRIENDS, parameters)
    }

    /// Sends any operation, reliably and on channel 0.
    ///
    /// # Errors
    /// The client is neither on the Master nor in a room; a value has no form in its serialization.
    pub fn send_operation(&mut self, now: Duration, request: OperationRequest) -> Result<(), Error> {
        if !matches!(self.step, Step::Ready) {
            return Err(Error::State { expected: "a client on the Master or in a room", found: self.state() });
        }
        self.send_request(now, Mode::PLAIN, false, request)
    }

    fn expect_master(&self) -> Result<(), Error> {
        self.expect(State::OnMaster, "a client on the Master")
    }

    fn expect_room(&self) -> Result<(), Error> {
        self.expect(State::InRoom, "a client in a room")
    }

    fn has_cipher(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.is_secure() || connection.cipher.is_some())
    }

    pub(crate) fn response(&mut self, now: Duration, mut response: OperationResponse) {
        if let Some(token) = response.parameters.get(key::TOKEN) {
            self.identity.token = Some(token.clone());
        }
        match (self.server, response.code) {
            (_, operation::AUTHENTICATE | operation::AUTHENTICATE_ONCE)
                if matches!(self.step, Step::Authenticating) =>
            {
                self.authenticated(now, &response);
            }
            (Role::Master, operation::JOIN_LOBBY) => self.events.push_back(Event::LobbyJoined),
            (Role::Master, operation::LEAVE_LOBBY) => self.events.push_back(Event::LobbyLeft),
            (Role::Master, operation::CREATE_GAME | operation::JOIN_GAME | operation::JOIN_RANDOM_GAME)
                if self.entering.is_some() =>
            {
                self.room_found(now, &mut response);
            }
            (Role::Game, operation::CREATE_GAME | operation::JOIN_GAME) if self.entering.is_some() => {
                self.room_answered(now, response);
            }
            (Role::Game, operation::LEAVE) => {
                self.events.push_back(Event::RoomLeft);
                self.back_to_master(now);
            }
            _ => self.events.push_back(Event::Response(Box::new(response))),
        }
    }

    /// The Master said where the room is, or that there is none.
    fn room_found(&mut self, now: Duration, response: &mut OperationResponse) {
        if response.return_code != 0 {
            self.entering = None;
            return self.events.push_back(refusal(response));
        }
        let address = self.address_in(&response.parameters);
        let Some(entering) = &mut self.entering else { return };
        entering.room = match (response.parameters.take(key::ROOM_NAME), &entering.request.entry) {
            (Some(Value::String(name)), _) => Some(name.to_string()),
            (_, Entry::Join { name } | Entry::JoinOrCreate { name, .. } | Entry::Rejoin { name }) => Some(name.clone()),
            (_, Entry::Create { name, .. } | Entry::RandomOrCreate { name, .. }) => name.clone(),
            (_, Entry::Random(_)) => None,
        };
        let next = match address {
            Ok(address) => Next::Connect(Role::Game, Box::new(address)),
            Err(cause) => Next::Disconnect(cause),
        };
        self.leave_server(now, next);
    }

    /// The game server knows us: asks it for the room.
    pub(crate) fn enter_on_game(&mut self, now: Duration) {
        let Some(entering) = &self.entering else { return };
        let room = entering.room.as_deref().unwrap_or_default();
        let (code, parameters) = entering.request.operation(Stage::Game { room });
        if let Err(error) = self.send(now, Mode::PLAIN, code, parameters) {
            self.leave_server(now, Next::Disconnect(crate::login::cause_of(error)));
        }
    }

    /// The game server let us in, or not.
    fn room_answered(&mut self, now: Duration, mut response: OperationResponse) {
        let Some(entering) = self.entering.take() else { return };
        if response.return_code != 0 {
            self.refused = Some(Box::new(refusal(&mut response)));
            return self.back_to_master(now);
        }
        let entered = RoomEntered::read(entering.room.unwrap_or_default(), response.parameters);
        self.room = Some(Arc::from(entered.name.as_str()));
        self.actor = entered.actor;
        self.events.push_back(Event::RoomEntered(Box::new(entered)));
    }

    fn back_to_master(&mut self, now: Duration) {
        let start = || Box::new(ServerAddress::clone(self.config.start.address()));
        let address = self.master.clone().unwrap_or_else(start);
        self.leave_server(now, Next::Connect(Role::Master, address));
    }

    pub(crate) fn event(&mut self, event: wire::Event, channel: u8, delivery: Delivery) {
        if event.code == event::AUTH_EVENT
            && let Some(token) = event.parameters.get(key::TOKEN)
        {
            self.identity.token = Some(token.clone());
            return;
        }
        self.events.push_back(Event::read(event.code, event.parameters, channel, delivery));
    }
}

fn refusal(response: &mut OperationResponse) -> Event {
    let message = response.debug_message.take().unwrap_or_default();
    Event::RoomRefused { code: response.return_code, message }
}
