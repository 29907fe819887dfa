//! Question: how much memory does a client hold that does nothing?
//!
//! Input: 1,000 connections, kept alive by the protocol's own pings alone. Unit: bytes of the server's resident memory
//! (`Rss` of `smaps_rollup`) per connection, before and after; socket buffers are the kernel's and not in it.

use std::time::Duration;

use anyhow::Result;

use crate::lane::Lane;
use crate::login::Goal;
use crate::process::resident_bytes;
use crate::server::ServerOptions;
use crate::swarm::{Plan, Swarm};

/// Long enough for every connection to have been pinged.
const IDLE: Duration = Duration::from_secs(5);

/// Whom to hold.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct IdleOptions {
    #[command(flatten)]
    server: ServerOptions,
    #[arg(long, value_enum, default_value = "wss")]
    lane: Lane,
    #[arg(long, default_value_t = 1_000)]
    clients: usize,
}

pub(crate) fn run(options: &IdleOptions) -> Result<()> {
    println!("| {} x {} | KB before | KB after | KB each |", options.clients, options.lane.name());
    println!("| --- | --- | --- | --- |");
    let stages =
        [(Goal::Opened, "open, not authenticated"), (Goal::OnMaster, "on the Master"), (Goal::InRoom, "in rooms of 8")];
    for (goal, what) in stages {
        let server = options.server.start()?;
        let mut swarm = Swarm::new(Plan {
            lane: options.lane,
            bare: false,
            address: options.server.address(options.lane)?,
            clients: options.clients,
            goal,
            prefix: "idle",
        })?;
        let before = resident_bytes(server.id())?;
        swarm.bring_up()?;
        swarm.run_for(IDLE)?;
        let after = resident_bytes(server.id())?;
        swarm.leave();
        #[expect(clippy::cast_precision_loss, reason = "sizes of memory")]
        let [before, after, count] = [before as f64 / 1024.0, after as f64 / 1024.0, options.clients as f64];
        println!("| {what} | {before:.0} | {after:.0} | {:.1} |", (after - before) / count);
    }
    Ok(())
}
