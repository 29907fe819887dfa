//! The links between game servers and their Master: what a driver of links does.

use std::sync::Arc;
use std::time::Duration;

use lampyris_engine::{GameServerEvent, MasterLinkEvent, WorkerId, WorkerMessage};
use lampyris_s2s::{
    Config, GameEnd, GameEvent, Identity, Key, LinkId, MasterEnd, MasterEvent, News, Registration, Status,
};
use rand::RngExt as _;

use super::{Happening, Letter, SERVER, SeatId, World};
use crate::StreamPath;

/// Wait before a Master that was lost is called again.
pub(super) const RETRY: Duration = Duration::from_secs(15);
const PING: Duration = Duration::from_millis(2_500);

/// Which end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Game,
    Master,
}

/// A game server's link to the Master.
#[derive(Debug)]
pub(super) struct Link {
    /// Its node.
    node: usize,
    identity: Identity,
    /// Each call is a link of its own to both ends.
    call: u64,
    ends: Option<(GameEnd, MasterEnd)>,
    up: StreamPath,
    down: StreamPath,
    armed: Option<Duration>,
    /// Nothing arrives.
    cut: bool,
    /// The game server's end is over and waits to call again.
    waits: bool,
}

pub(super) fn config(secret: &[u8]) -> Arc<Config> {
    Arc::new(Config { key: Key::derive(secret), ping_interval: PING })
}

impl World {
    pub(super) fn add_link(&mut self) {
        let (link, identity) = (self.links.len(), Identity(self.rng.random()));
        self.links.push(Link {
            node: self.nodes.len() - 1,
            identity,
            call: 0,
            ends: None,
            up: StreamPath::default(),
            down: StreamPath::default(),
            armed: None,
            cut: false,
            waits: true,
        });
        self.schedule(self.now, Happening::LinkCalls(link));
    }

    /// Nothing that a game server and the Master send each other arrives any more; clients reach both.
    pub fn cut_link(&mut self, game_server: usize) {
        if let Some(link) = self.links.get_mut(game_server) {
            link.cut = true;
        }
    }

    /// From the next call on it arrives again.
    pub fn mend_link(&mut self, game_server: usize) {
        if let Some(link) = self.links.get_mut(game_server) {
            link.cut = false;
        }
    }

    /// Whether a game server is registered.
    #[must_use]
    pub fn is_linked(&self, game_server: usize) -> bool {
        let ends = self.links.get(game_server).and_then(|link| link.ends.as_ref());
        ends.is_some_and(|(game, master)| game.is_up() && master.is_up())
    }

    /// Calls of a game server so far.
    #[must_use]
    pub fn calls(&self, game_server: usize) -> u64 {
        self.links.get(game_server).map_or(0, |link| link.call)
    }

    pub(super) fn link_calls(&mut self, id: usize) {
        let (now, config) = (self.now, Arc::clone(&self.link_config));
        let (game_nonce, master_nonce) = (self.rng.random(), self.rng.random());
        let Some(link) = self.links.get_mut(id) else { return };
        link.waits = false;
        link.call += 1;
        // What the Master had of the call before is over: its connection is gone.
        let old = link.ends.take().map(|(_, master)| master);
        let call = link.call;
        if old.is_some_and(|master| master.is_up()) {
            self.master_end_is_over(id, call - 1);
        }
        let Some(link) = self.links.get_mut(id) else { return };
        let Some(node) = self.nodes.get(link.node) else { return };
        let registration = Registration {
            identity: link.identity,
            name: format!("game server {id}").into(),
            addresses: node.config.addresses.game.announced(SERVER),
            priority: 0,
            status: Status::default(),
        };
        let game = GameEnd::new(now, Arc::clone(&config), registration, game_nonce);
        link.ends = Some((game, MasterEnd::new(now, config, master_nonce)));
        self.settle_link(id);
    }

    pub(super) fn link_wakes(&mut self, id: usize) {
        let now = self.now;
        let Some(link) = self.links.get_mut(id) else { return };
        link.armed = None;
        if let Some((game, master)) = &mut link.ends {
            if game.next_timeout().is_some_and(|due| due <= now) {
                game.handle_timeout(now);
            }
            if master.next_timeout().is_some_and(|due| due <= now) {
                master.handle_timeout(now);
            }
        }
        self.settle_link(id);
    }

    pub(super) fn link_bytes(&mut self, id: usize, call: u64, to: Side, bytes: &[u8]) {
        let now = self.now;
        let Some(link) = self.links.get_mut(id) else { return };
        if link.cut || link.call != call {
            return;
        }
        if let Some((game, master)) = &mut link.ends {
            match to {
                Side::Game => game.receive(now, bytes),
                Side::Master => master.receive(now, bytes),
            }
        }
        self.settle_link(id);
    }

    /// What worker 0 of a game server tells the Master.
    pub(super) fn tell_master(&mut self, node: usize, of: LinkId, news: &News) {
        let now = self.now;
        let Some(id) = self.links.iter().position(|link| link.node == node) else { return };
        if let Some(link) = self.links.get_mut(id)
            && LinkId(link.call) == of
            && let Some((game, _)) = &mut link.ends
        {
            game.tell(now, news);
        }
        self.settle_link(id);
    }

    fn settle_link(&mut self, id: usize) {
        let now = self.now;
        while let Some(event) = self.links.get_mut(id).and_then(|link| link.ends.as_mut()?.0.poll_event()) {
            self.game_event(id, event);
        }
        while let Some(event) = self.links.get_mut(id).and_then(|link| link.ends.as_mut()?.1.poll_event()) {
            self.master_event(id, event);
        }
        self.send_link(id);
        let Some(link) = self.links.get_mut(id) else { return };
        let Some((game, master)) = &link.ends else { return };
        let due = [game.next_timeout(), master.next_timeout()].into_iter().flatten().min();
        if let Some(due) = due
            && link.armed.is_none_or(|armed| due < armed)
        {
            link.armed = Some(due);
            self.schedule(due.max(now), Happening::LinkWakes(id));
        }
    }

    fn send_link(&mut self, id: usize) {
        let (conditions, rng, now) = (&self.conditions, &mut self.rng, self.now);
        let Some(link) = self.links.get_mut(id) else { return };
        let Link { ends: Some((game, master)), up, down, call, .. } = link else { return };
        let mut arrivals = Vec::new();
        let bytes = game.output().to_vec();
        game.consume_output(bytes.len());
        up.send(conditions, rng, now, &bytes, |at, piece| arrivals.push((at, Side::Master, piece)));
        let bytes = master.output().to_vec();
        master.consume_output(bytes.len());
        down.send(conditions, rng, now, &bytes, |at, piece| arrivals.push((at, Side::Game, piece)));
        let call = *call;
        for (at, to, bytes) in arrivals {
            self.schedule(at, Happening::LinkBytes { link: id, call, to, bytes });
        }
    }

    fn game_event(&mut self, id: usize, event: GameEvent) {
        let Some(link) = self.links.get_mut(id) else { return };
        let (node, call) = (link.node, link.call);
        match event {
            GameEvent::Up => self.tell_worker_0(node, MasterLinkEvent::Up(LinkId(call))),
            GameEvent::Down(_) => {
                if !std::mem::replace(&mut link.waits, true) {
                    self.schedule(self.now + RETRY, Happening::LinkCalls(id));
                }
                self.tell_worker_0(node, MasterLinkEvent::Down);
            }
        }
    }

    fn master_event(&mut self, id: usize, event: MasterEvent) {
        let now = self.now;
        let Some(link) = self.links.get_mut(id) else { return };
        let call = link.call;
        match event {
            MasterEvent::Registering(registration) => {
                let registered = self.registry.register(name_of(id, call), &registration);
                let Some((_, master)) = &mut link.ends else { return };
                match registered {
                    Ok(_) => {
                        master.welcome(now);
                        self.tell_worker_0(0, GameServerEvent::Up(name_of(id, call), registration));
                    }
                    Err(refusal) => master.refuse(now, &refusal.to_string()),
                }
            }
            MasterEvent::News(news) => self.tell_worker_0(0, GameServerEvent::News(name_of(id, call), news)),
            MasterEvent::Down(_) => self.master_end_is_over(id, call),
        }
    }

    fn master_end_is_over(&mut self, id: usize, call: u64) {
        if self.registry.closed(name_of(id, call)) {
            self.tell_worker_0(0, GameServerEvent::Down(name_of(id, call)));
        }
    }

    fn tell_worker_0(&mut self, node: usize, message: impl Into<WorkerMessage>) {
        let to = SeatId { node, worker: WorkerId::DIRECTORY };
        let letter = Letter::Message(Box::new(message.into()));
        self.schedule(self.now, Happening::Letter(to, letter));
    }
}

/// The name of a call at the Master, which many game servers call.
fn name_of(link: usize, call: u64) -> LinkId {
    LinkId(u64::try_from(link).unwrap_or_default() << 32 | call)
}
