//! Another configuration for a server that runs, and what it says of itself.

use std::sync::Arc;

use lampyris_engine::Changeable;

use crate::control::Status;
use crate::counters::totals;
use crate::net::post::Letter;
use crate::{Options, Server, addresses};

impl Server {
    /// Puts in force what can change while it runs: where clients are told to go, limits and intervals of the roles.
    /// The rest of the options is that of the start. Workers obey from their next turn on.
    pub fn reconfigure(&mut self, options: &Options) {
        let options = Options {
            addresses: options.addresses.clone(),
            name_server: options.name_server.clone(),
            master: options.master.clone(),
            game: options.game.clone(),
            ..self.options.clone()
        };
        let told = addresses::told(&options, &self.node);
        let node = Arc::new(self.node.with(Changeable {
            regions: told.regions,
            game_host: told.game.host,
            name_server: options.name_server.clone(),
            master: options.master.clone(),
            game: options.game.clone(),
        }));
        self.mailbox.send_to_all(|| Letter::Config(Arc::clone(&node)));
        self.node = node;
        self.options = options;
    }

    /// What it says of itself.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: std::process::id(),
            user: rustix::process::geteuid().as_raw(),
            uptime_seconds: self.started.elapsed().as_secs(),
            counters: totals(&self.counters),
            ..Status::default()
        }
    }
}
