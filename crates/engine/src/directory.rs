//! The place of the Master's directory: worker 0 has it, the others send it messages.

use std::sync::Arc;
use std::time::Duration;

use lampyris_realtime::directory::request::{
    FindFriendsRequest, JoinLobbyRequest, JoinRandomRequest, LobbyStatsRequest,
};
use lampyris_realtime::directory::{Directory, Effect, Effects, GameServerId, GameServerOffer, MasterPeer};
use lampyris_realtime::room::RoomReport;
use lampyris_realtime::room::request::JoinRequest;
use rand::rngs::StdRng;

use crate::game_servers::GameServers;
use crate::message::{Content, worker_of};
use crate::worker::{Action, Owner};
use crate::{Config, DirectorySettings, Endpoint, GameServerEvent, Role, Transport, Worker, WorkerId};

/// The game server in this process.
const LOCAL_GAME_SERVER: GameServerId = GameServerId(0);

/// The directory and what it wants done.
#[derive(Debug)]
pub(crate) struct DirectoryHost {
    directory: Directory,
    game_servers: GameServers,
    effects: Effects,
}

/// Something about a Master peer, for the directory.
#[derive(Debug)]
pub(crate) enum DirectoryRequest {
    /// It is authenticated and knows it.
    Connected { peer: MasterPeer, user: Arc<str>, transport: Transport },
    /// It asks for something.
    Operation { peer: MasterPeer, operation: MasterOperation },
    /// It wants lobby statistics, or does not any more.
    SubscribeLobbyStats { peer: MasterPeer, wanted: bool },
    /// Its connection is over.
    Gone { peer: MasterPeer },
}

/// What a Master peer asks for.
#[derive(Debug)]
pub(crate) enum MasterOperation {
    CreateGame(Box<JoinRequest>),
    JoinGame(Box<JoinRequest>),
    JoinRandomGame(Box<JoinRandomRequest>),
    JoinLobby(JoinLobbyRequest),
    LeaveLobby,
    FindFriends(FindFriendsRequest),
    LobbyStats(LobbyStatsRequest),
}

impl DirectoryHost {
    pub(crate) fn new(config: &Config, rng: StdRng) -> Self {
        let mut directory = Directory::new(config.master.directory.clone(), rng);
        if config.applications.plays(Role::Game) {
            let ports = config.addresses.game.ports;
            let served = Transport::ALL.into_iter().filter(|transport| ports.get(*transport).is_some());
            let offer = GameServerOffer { transports: served.collect(), priority: config.game.priority };
            directory.game_server_up(LOCAL_GAME_SERVER, offer);
        }
        Self { directory, game_servers: GameServers::new(LOCAL_GAME_SERVER), effects: Effects::new() }
    }

    pub(crate) fn set_settings(&mut self, settings: DirectorySettings) {
        self.directory.set_settings(settings);
    }

    fn handle(&mut self, now: Duration, request: DirectoryRequest) {
        let (directory, effects) = (&mut self.directory, &mut self.effects);
        match request {
            DirectoryRequest::Connected { peer, user, transport } => {
                directory.peer_connected(now, peer, user, transport, effects);
            }
            DirectoryRequest::Gone { peer } => directory.peer_gone(now, peer),
            DirectoryRequest::SubscribeLobbyStats { peer, wanted } => {
                directory.subscribe_lobby_stats(now, peer, wanted, effects);
            }
            DirectoryRequest::Operation { peer, operation } => match operation {
                MasterOperation::CreateGame(request) => directory.create_game(now, peer, &request, effects),
                MasterOperation::JoinGame(request) => directory.join_game(now, peer, &request, effects),
                MasterOperation::JoinRandomGame(request) => directory.join_random(now, peer, &request, effects),
                MasterOperation::JoinLobby(request) => directory.join_lobby(peer, &request, effects),
                MasterOperation::LeaveLobby => directory.leave_lobby(peer, effects),
                MasterOperation::FindFriends(request) => directory.find_friends(peer, &request, effects),
                MasterOperation::LobbyStats(request) => directory.lobby_stats(peer, &request, effects),
            },
        }
    }
}

impl Worker {
    /// Asks the directory, wherever it is.
    pub(crate) fn directory_request(&mut self, now: Duration, request: DirectoryRequest) {
        match &mut self.directory {
            Some(host) => {
                host.handle(now, request);
                self.directory_effects(now);
            }
            None => self.post(WorkerId::DIRECTORY, Content::Directory(request)),
        }
    }

    /// Tells the directory what changed in rooms.
    pub(crate) fn report(&mut self, now: Duration, reports: Vec<(Arc<str>, RoomReport)>) {
        match &mut self.directory {
            Some(host) => {
                for (room, report) in reports {
                    host.directory.room_report(now, LOCAL_GAME_SERVER, &room, report, &mut host.effects);
                }
                self.directory_effects(now);
            }
            None => self.report_elsewhere(reports),
        }
    }

    /// A game server of another process tells something.
    pub(crate) fn game_server_event(&mut self, now: Duration, event: GameServerEvent) {
        if let Some(host) = &mut self.directory {
            host.game_servers.handle(now, event, &mut host.directory, &mut host.effects);
            self.directory_effects(now);
        }
    }

    pub(crate) fn directory_timeout(&mut self, now: Duration) {
        if let Some(host) = &mut self.directory {
            host.directory.handle_timeout(now, &mut host.effects);
        }
        self.directory_effects(now);
    }

    /// Does, or has done by the workers concerned, what the directory wants.
    fn directory_effects(&mut self, now: Duration) {
        let Some(host) = &mut self.directory else { return };
        // Doing an effect can end a connection, which asks the directory again: that call finds an empty list.
        let mut effects = std::mem::take(&mut host.effects);
        for effect in effects.drain() {
            let endpoint = self.remote_endpoint(&effect);
            match (receiver(&effect), endpoint) {
                (Some(peer), endpoint) if worker_of(peer) == self.id => {
                    self.apply_effect(now, effect, endpoint.as_deref());
                }
                (Some(peer), Some(endpoint)) => {
                    self.post(worker_of(peer), Content::Placed(Box::new(effect), endpoint));
                }
                (Some(peer), None) => self.post(worker_of(peer), Content::Effect(Box::new(effect))),
                (None, _) => {
                    let own = self.id;
                    for worker in (0..self.config.workers).map(WorkerId).filter(|worker| *worker != own) {
                        self.post(worker, Content::Effect(Box::new(effect.clone())));
                    }
                    self.apply_effect(now, effect, None);
                }
            }
        }
        if let Some(host) = &mut self.directory
            && host.effects.as_slice().is_empty()
        {
            host.effects = effects;
        }
        self.arm_directory();
    }

    /// Where clients find the game server that an effect leads to, if that is in another process.
    fn remote_endpoint(&self, effect: &Effect) -> Option<Arc<Endpoint>> {
        let Effect::Place { server, .. } = effect else { return None };
        self.directory.as_ref()?.game_servers.endpoint(*server).cloned()
    }

    pub(crate) fn arm_directory(&mut self) {
        if let Some(host) = &self.directory {
            self.timers.arm(Owner::Directory, &mut self.directory_armed, host.directory.next_timeout());
        }
    }

    /// Sends a message to another worker.
    pub(crate) fn post(&mut self, worker: WorkerId, content: Content) {
        self.actions.push_back(Action::Send(worker, content.into()));
    }
}

/// The one peer that an effect is for; `None` if it is for many.
fn receiver(effect: &Effect) -> Option<MasterPeer> {
    match effect {
        Effect::Respond { peer, .. }
        | Effect::Place { peer, .. }
        | Effect::LobbyJoined { peer, .. }
        | Effect::LobbyLeft { peer, .. }
        | Effect::Event { peer, .. } => Some(*peer),
        Effect::LobbyEvent { .. } | Effect::AppStats { .. } | Effect::LobbyStats { .. } => None,
    }
}
