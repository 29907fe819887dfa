//! Another configuration for a node that runs.

use std::sync::Arc;

use crate::address::{Addresses, Endpoint, Host, Region};
use crate::{Config, GameConfig, MasterConfig, NameServerConfig, Worker};

/// What can change while a node runs. Everything else is fixed when it starts.
#[derive(Clone, Debug)]
pub struct Changeable {
    /// The regions and their Masters.
    pub regions: Vec<Region>,
    /// The machine of the game server, as clients are told; its ports stay.
    pub game_host: Host,
    /// What holds on the NameServer.
    pub name_server: NameServerConfig,
    /// What holds on the Master.
    pub master: MasterConfig,
    /// What holds on the Game server; its priority stays.
    pub game: GameConfig,
}

impl Config {
    /// The same node with other values.
    #[must_use]
    pub fn with(&self, changed: Changeable) -> Self {
        let Changeable { regions, game_host, name_server, master, game } = changed;
        Self {
            addresses: Addresses { regions, game: Endpoint { host: game_host, ..self.addresses.game.clone() } },
            name_server,
            master,
            game: GameConfig { priority: self.game.priority, ..game },
            ..self.clone()
        }
    }
}

impl Worker {
    /// Another configuration holds from now on. It must come from the one of the start, by [`Config::with`]. Rooms that
    /// are there keep the limits that they were made with.
    pub fn reconfigure(&mut self, config: Arc<Config>) {
        self.rooms.set_settings(config.game.rooms);
        if let Some(host) = &mut self.directory {
            host.set_settings(config.master.directory.clone());
        }
        self.config = config;
    }
}
