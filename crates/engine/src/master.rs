//! The Master: authentication, lobbies and matchmaking (operations.md, sections 2.2 to 2.5 and 5).
//!
//! The session checks what is legal and parses; the directory decides, on worker 0; the answer comes back as an effect
//! and is completed here with what only the session knows: the client's transport, host and token.

use std::sync::Arc;
use std::time::Duration;

use lampyris_realtime::codes::{Refusal, key, operation};
use lampyris_realtime::directory::request::{
    FindFriendsRequest, JoinLobbyRequest, JoinRandomRequest, LobbyStatsRequest,
};
use lampyris_realtime::directory::{Effect, LobbyId, MasterPeer};
use lampyris_realtime::parameters::Fields;
use lampyris_realtime::room::request::JoinRequest;
use lampyris_realtime::token::Token;
use lampyris_transport::crypto::PayloadCipher;
use lampyris_transport::{CloseCause, Delivery};
use lampyris_wire::{Event, OperationResponse, Parameters, RawRequest, Value};

use crate::authentication::MAX_ATTEMPTS;
use crate::connection::ReplyMode;
use crate::directory::{DirectoryRequest, MasterOperation};
use crate::fan_out::Outgoing;
use crate::message::MASTER_PEER_WORKER_SHIFT;
use crate::session::{MasterSession, MasterUser, Session};
use crate::{ConnectionKey, Endpoint, Worker};

impl Worker {
    /// A client that presented its token in the init message: it waits for a response to an operation that it did not
    /// send (operations.md, section 1.2).
    pub(crate) fn master_token_init(&mut self, now: Duration, key: ConnectionKey, token: &Value) {
        match self.open_token(now, token).and_then(|token| self.master_enter(now, key, token)) {
            Ok((peer, parameters)) => {
                let mode = ReplyMode::UNASKED;
                self.answer(now, key, mode, operation::AUTHENTICATE_ONCE, Ok(parameters));
                self.announce(now, peer);
            }
            Err(refusal) => self.refuse_token_init(now, key, refusal),
        }
    }

    /// Answers a token that is no good, and ends the connection.
    pub(crate) fn refuse_token_init(&mut self, now: Duration, key: ConnectionKey, refusal: Refusal) {
        self.answer(now, key, ReplyMode::UNASKED, operation::AUTHENTICATE_ONCE, Err(refusal));
        self.end_later(now, key, CloseCause::ByUs("its token was refused"));
    }

    /// One operation on the Master.
    pub(crate) fn master_request(
        &mut self,
        now: Duration,
        key: ConnectionKey,
        mode: ReplyMode,
        request: &RawRequest<'_>,
    ) {
        let fields = Fields(&request.parameters);
        if request.code == operation::AUTHENTICATE {
            return self.authenticate_on_master(now, key, mode, fields);
        }
        let refusal = match self.master_operation(key, mode, request) {
            Ok(Some(asked)) => return self.directory_request(now, asked),
            Ok(None) => return,
            Err(refusal) => refusal,
        };
        self.answer(now, key, mode, request.code, Err(refusal));
    }

    fn authenticate_on_master(&mut self, now: Duration, key: ConnectionKey, mode: ReplyMode, fields: Fields<'_, '_>) {
        let answer = self.try_authenticate_on_master(now, key, fields);
        let peer = answer.as_ref().ok().map(|(peer, _)| *peer);
        let answer = answer.map(|(_, parameters)| parameters);
        self.answer(now, key, mode, operation::AUTHENTICATE, answer);
        if let Some(peer) = peer {
            self.announce(now, peer);
        }
    }

    fn try_authenticate_on_master(
        &mut self,
        now: Duration,
        key: ConnectionKey,
        fields: Fields<'_, '_>,
    ) -> Result<(MasterPeer, Parameters), Refusal> {
        let Some(session) = self.master_session(key) else { return Err(Refusal::denied("not on a Master")) };
        if session.user.is_some() {
            return Err(Refusal::denied("already authenticated"));
        }
        session.attempts = session.attempts.saturating_add(1);
        if session.attempts > MAX_ATTEMPTS {
            return Err(Refusal::denied(format!("at most {MAX_ATTEMPTS} authentications on one connection")));
        }
        let token = match fields.value(key::TOKEN, "Token")? {
            Some(token) => self.open_token(now, &token)?,
            None => self.authenticate_anonymous(fields)?,
        };
        self.master_enter(now, key, token)
    }

    /// Gives the client a name for the directory; gives the parameters of the authentication response.
    fn master_enter(
        &mut self,
        now: Duration,
        key: ConnectionKey,
        mut token: Token,
    ) -> Result<(MasterPeer, Parameters), Refusal> {
        token.expected_room = None;
        token.expected_game_server = None;
        let lifetime = self.config.master.token_lifetime;
        let parameters = Parameters::from([
            (key::TOKEN, Value::from(self.seal_token(now, &mut token, lifetime)?)),
            (key::USER_ID, Value::from(token.user_id.as_str())),
            (key::POSITION, Value::Int(0)),
        ]);
        let peer = MasterPeer(u64::from(self.id.0) << MASTER_PEER_WORKER_SHIFT | self.next_master_peer);
        self.next_master_peer += 1;
        let Some(connection) = self.connection_mut(key) else { return Err(Refusal::denied("connection gone")) };
        if let Some(data) = &token.encryption {
            connection.cipher = PayloadCipher::from_pre_shared(&data.secret).ok();
        }
        let Session::Master(session) = &mut connection.session else {
            return Err(Refusal::denied("not on a Master"));
        };
        session.user = Some(MasterUser { peer, token: Box::new(token), lobby: None, pending: Default::default() });
        self.master_peers.insert(peer, key);
        self.stop_authentication_deadline(key);
        Ok((peer, parameters))
    }

    /// Tells the directory of a client that was just told that it is authenticated: what the directory sends it comes
    /// behind that.
    fn announce(&mut self, now: Duration, peer: MasterPeer) {
        let Some((key, user)) = self.master_user(peer) else { return };
        let user = user.token.user_id.as_str().into();
        let Some(transport) = self.connection(key).map(|connection| connection.transport) else { return };
        self.directory_request(now, DirectoryRequest::Connected { peer, user, transport });
    }

    /// Parses an operation for the directory; `None` if it has no answer and nothing to do.
    fn master_operation(
        &mut self,
        key: ConnectionKey,
        mode: ReplyMode,
        request: &RawRequest<'_>,
    ) -> Result<Option<DirectoryRequest>, Refusal> {
        let Some(user) = self.master_session(key).and_then(|session| session.user.as_mut()) else {
            return Err(Refusal::denied(format!("operation {} needs authentication first", request.code)));
        };
        let parameters = &request.parameters;
        let asked = match request.code {
            operation::JOIN_LOBBY => MasterOperation::JoinLobby(JoinLobbyRequest::parse(parameters)?),
            operation::LEAVE_LOBBY => MasterOperation::LeaveLobby,
            operation::CREATE_GAME => {
                MasterOperation::CreateGame(Box::new(JoinRequest::parse(request.code, parameters)?))
            }
            operation::JOIN_GAME | operation::JOIN => {
                MasterOperation::JoinGame(Box::new(JoinRequest::parse(request.code, parameters)?))
            }
            operation::JOIN_RANDOM_GAME => {
                MasterOperation::JoinRandomGame(Box::new(JoinRandomRequest::parse(parameters)?))
            }
            operation::FIND_FRIENDS => MasterOperation::FindFriends(FindFriendsRequest::parse(parameters)?),
            operation::GET_LOBBY_STATS => MasterOperation::LobbyStats(LobbyStatsRequest::parse(parameters)?),
            operation::SERVER_SETTINGS => {
                let wanted = Fields(parameters).bool(key::SETTINGS_LOBBY_STATS, "LobbyStats")?;
                let peer = user.peer;
                return Ok(wanted.map(|wanted| DirectoryRequest::SubscribeLobbyStats { peer, wanted }));
            }
            operation::WEB_RPC => return Err(Refusal::denied("web services are not configured")),
            operation::GET_GAME_LIST => return Err(Refusal::invalid("SQL lobbies are not served")),
            code => return Err(Refusal::invalid(format!("operation {code} is not one of the Master's"))),
        };
        if user.pending.len() >= MasterUser::MAX_PENDING {
            return Err(Refusal::denied(format!("at most {} requests at a time", MasterUser::MAX_PENDING)));
        }
        user.pending.push((request.code, mode));
        Ok(Some(DirectoryRequest::Operation { peer: user.peer, operation: asked }))
    }

    fn master_session(&mut self, key: ConnectionKey) -> Option<&mut MasterSession> {
        match &mut self.connection_mut(key)?.session {
            Session::Master(session) => Some(session),
            _ => None,
        }
    }

    fn master_user(&mut self, peer: MasterPeer) -> Option<(ConnectionKey, &mut MasterUser)> {
        let key = *self.master_peers.get(&peer)?;
        self.master_session(key)?.user.as_mut().map(|user| (key, user))
    }

    /// Does what the directory wants done for the peers of this worker. `endpoint` is that of a room's game server if
    /// it is in another process.
    pub(crate) fn apply_effect(&mut self, now: Duration, effect: Effect, endpoint: Option<&Endpoint>) {
        match effect {
            Effect::Respond { peer, response } => self.answer_pending(now, peer, response),
            Effect::LobbyJoined { peer, lobby, response } => {
                self.move_to_lobby(peer, Some(lobby));
                self.answer_pending(now, peer, response);
            }
            Effect::LobbyLeft { peer, response } => {
                self.move_to_lobby(peer, None);
                self.answer_pending(now, peer, response);
            }
            Effect::Place { peer, code, room, parameters, .. } => {
                let response = self.placed(now, peer, (code, &room), parameters, endpoint);
                self.answer_pending(now, peer, response);
            }
            Effect::Event { peer, event } => {
                if let Some((key, _)) = self.master_user(peer) {
                    self.begin_event();
                    self.deliver(now, key, ReplyMode::UNASKED, &Outgoing::Event(&event));
                }
            }
            Effect::LobbyEvent { lobby, event } => {
                let keys = self.lobbies.get(&lobby).cloned().unwrap_or_default();
                self.tell(now, &keys, ReplyMode::UNASKED, &event);
            }
            Effect::AppStats { event } => {
                let keys: Vec<_> = self.master_peers.values().copied().collect();
                let mode = ReplyMode { delivery: Delivery::Unreliable, ..ReplyMode::UNASKED };
                self.tell(now, &keys, mode, &event);
            }
            Effect::LobbyStats { event } => {
                let keys: Vec<_> = self.master_peers.values().copied().collect();
                let mode = ReplyMode { delivery: Delivery::Unreliable, ..ReplyMode::UNASKED };
                self.tell(now, &keys, mode, &event);
            }
        }
    }

    fn tell(&mut self, now: Duration, keys: &[ConnectionKey], mode: ReplyMode, event: &Event) {
        self.begin_event();
        for key in keys {
            self.deliver(now, *key, mode, &Outgoing::Event(event));
        }
    }

    fn answer_pending(&mut self, now: Duration, peer: MasterPeer, response: OperationResponse) {
        let Some((key, user)) = self.master_user(peer) else { return };
        let mode = user.take_pending(response.code);
        self.respond(now, key, mode, response);
    }

    /// Completes the answer to a create or join: address in the client's own form, token bound to the room.
    fn placed(
        &mut self,
        now: Duration,
        peer: MasterPeer,
        (code, room): (u8, &Arc<str>),
        mut parameters: Parameters,
        endpoint: Option<&Endpoint>,
    ) -> OperationResponse {
        let refusal = |text| Refusal::new(lampyris_realtime::codes::ReturnCode::INTERNAL_SERVER_ERROR, text);
        let Some((key, user)) = self.master_user(peer) else {
            return refusal("connection gone").into_response(code);
        };
        let mut token = (*user.token).clone();
        token.expected_room = Some(room.to_string());
        let endpoint = endpoint.unwrap_or(&self.config.addresses.game);
        let address = self.connection(key).and_then(|c| endpoint.told(c.transport, &c.reached));
        let Some(address) = address else {
            return refusal("the Game server has no address for this transport").into_response(code);
        };
        match self.seal_token(now, &mut token, self.config.master.token_lifetime) {
            Err(refusal) => refusal.into_response(code),
            Ok(text) => {
                parameters.insert(key::ADDRESS, address);
                parameters.insert(key::TOKEN, text);
                OperationResponse { code, return_code: 0, debug_message: None, parameters }
            }
        }
    }

    /// Remembers which lobby's broadcasts a peer gets.
    fn move_to_lobby(&mut self, peer: MasterPeer, lobby: Option<LobbyId>) {
        let Some((key, user)) = self.master_user(peer) else { return };
        let old = std::mem::replace(&mut user.lobby, lobby);
        self.leave_lobby_broadcasts(key, old);
        if let Some(lobby) = lobby {
            self.lobbies.entry(lobby).or_default().push(key);
        }
    }

    fn leave_lobby_broadcasts(&mut self, key: ConnectionKey, lobby: Option<LobbyId>) {
        let Some(lobby) = lobby else { return };
        if let Some(members) = self.lobbies.get_mut(&lobby) {
            if let Some(at) = members.iter().position(|member| *member == key) {
                members.swap_remove(at);
            }
            if members.is_empty() {
                self.lobbies.remove(&lobby);
            }
        }
    }

    /// The client's connection is over.
    pub(crate) fn master_gone(&mut self, now: Duration, key: ConnectionKey, session: MasterSession) {
        let Some(user) = session.user else { return };
        self.master_peers.remove(&user.peer);
        self.leave_lobby_broadcasts(key, user.lobby);
        self.directory_request(now, DirectoryRequest::Gone { peer: user.peer });
    }
}
