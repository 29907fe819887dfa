//! Game servers in other processes, as the Master's directory has them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lampyris_realtime::directory::{Directory, Effects, GameServerId, GameServerLoad, GameServerOffer};
use lampyris_s2s::{Addresses, Identity, LinkId, News, Registration, State, Status};

use crate::Endpoint;

/// What happens to the link of a game server in another process; a message for the worker that has the directory.
#[derive(Debug)]
pub enum GameServerEvent {
    /// It is registered; what it tells comes next.
    Up(LinkId, Box<Registration>),
    /// It tells something.
    News(LinkId, News),
    /// The link is over.
    Down(LinkId),
}

/// The game servers of other processes.
#[derive(Debug)]
pub(crate) struct GameServers {
    by_link: HashMap<LinkId, GameServerId>,
    servers: HashMap<GameServerId, GameServer>,
    next: u32,
}

#[derive(Debug)]
struct GameServer {
    identity: Identity,
    name: Arc<str>,
    addresses: Addresses,
    endpoint: Arc<Endpoint>,
    /// `None` while its link is down.
    link: Option<LinkId>,
}

impl GameServers {
    /// None yet; they get numbers behind `local`.
    pub(crate) fn new(local: GameServerId) -> Self {
        Self { by_link: HashMap::new(), servers: HashMap::new(), next: local.0.saturating_add(1) }
    }

    /// Where clients find one.
    pub(crate) fn endpoint(&self, id: GameServerId) -> Option<&Arc<Endpoint>> {
        self.servers.get(&id).map(|server| &server.endpoint)
    }

    pub(crate) fn handle(
        &mut self,
        now: Duration,
        event: GameServerEvent,
        directory: &mut Directory,
        effects: &mut Effects,
    ) {
        match event {
            GameServerEvent::Up(link, registration) => self.up(now, link, *registration, directory, effects),
            GameServerEvent::Down(link) => {
                let Some(id) = self.by_link.remove(&link) else { return };
                if let Some(server) = self.servers.get_mut(&id) {
                    server.link = None;
                    tracing::info!(name = %server.name, "a game server's link is down; its rooms are kept for a while");
                }
                directory.game_server_down(now, id);
            }
            GameServerEvent::News(link, news) => {
                // Of a link that another one took the place of.
                let Some(id) = self.by_link.get(&link).copied() else { return };
                self.news(now, (link, id), news, directory, effects);
            }
        }
    }

    fn up(
        &mut self,
        now: Duration,
        link: LinkId,
        registration: Registration,
        directory: &mut Directory,
        effects: &mut Effects,
    ) {
        self.servers.retain(|id, server| server.link.is_some() || directory.knows_game_server(*id));
        let Registration { identity, name, addresses, priority, status } = registration;
        let known = self.servers.iter().find(|(_, server)| server.identity == identity).map(|(id, _)| *id);
        let id = match known {
            Some(id) => {
                if let Some(before) = self.servers.get_mut(&id).and_then(|server| server.link.take()) {
                    self.by_link.remove(&before);
                }
                directory.game_server_down(now, id);
                id
            }
            None => {
                self.forget_predecessors(now, &addresses, directory, effects);
                let id = GameServerId(self.next);
                self.next = self.next.saturating_add(1);
                id
            }
        };
        tracing::info!(%name, %addresses, priority, again = known.is_some(), "a game server registered");
        directory.game_server_up(id, GameServerOffer { transports: addresses.transports(), priority });
        let endpoint = Arc::new(Endpoint::from(&addresses));
        self.servers.insert(id, GameServer { identity, name, addresses, endpoint, link: Some(link) });
        self.by_link.insert(link, id);
        self.status(now, id, status, directory, effects);
    }

    /// A game server that was started again has another identity and the addresses that it had: what it had is gone.
    fn forget_predecessors(
        &mut self,
        now: Duration,
        addresses: &Addresses,
        directory: &mut Directory,
        effects: &mut Effects,
    ) {
        self.servers.retain(|id, server| {
            let is_gone = server.link.is_none() && server.addresses.overlap(addresses);
            if is_gone {
                directory.game_server_lost(now, *id, effects);
            }
            !is_gone
        });
    }

    fn news(
        &mut self,
        now: Duration,
        (link, id): (LinkId, GameServerId),
        news: News,
        directory: &mut Directory,
        effects: &mut Effects,
    ) {
        match news {
            News::Reports(reports) => {
                for (room, report) in reports {
                    directory.room_report(now, id, &room, report, effects);
                }
            }
            News::Synced => directory.game_server_synced(now, id, effects),
            News::Status(status) => self.status(now, id, status, directory, effects),
            News::Leaving => {
                self.by_link.remove(&link);
                if let Some(server) = self.servers.remove(&id) {
                    tracing::info!(name = %server.name, "a game server stops");
                }
                directory.game_server_lost(now, id, effects);
            }
        }
    }

    fn status(
        &mut self,
        now: Duration,
        id: GameServerId,
        status: Status,
        directory: &mut Directory,
        effects: &mut Effects,
    ) {
        if status.state == State::Offline {
            // It comes back with another link.
            return directory.game_server_lost(now, id, effects);
        }
        if directory.knows_game_server(id) {
            let in_rotation = status.state == State::Normal;
            directory.game_server_load(id, GameServerLoad { level: status.load_level, in_rotation });
        }
    }
}
