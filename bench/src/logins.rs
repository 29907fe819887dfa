//! Question: what does a login cost?
//!
//! Input: 500 clients that each go from the NameServer over the Master into a room, three connections each, with no
//! TLS session of another client's. Unit: microseconds of the server's CPU time per client. The same over `ws` tells
//! TLS from the rest.

use std::time::Duration;

use anyhow::Result;

use crate::lane::Lane;
use crate::login::Goal;
use crate::process::CpuTime;
use crate::server::ServerOptions;
use crate::swarm::{Plan, Swarm};

/// Who logs in.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LoginOptions {
    #[command(flatten)]
    server: ServerOptions,
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["wss", "ws"])]
    lanes: Vec<Lane>,
    #[arg(long, default_value_t = 500)]
    clients: u32,
}

pub(crate) fn run(options: &LoginOptions) -> Result<()> {
    println!("| {} logins | user us each | kernel us each | total us each |", options.clients);
    println!("| --- | --- | --- | --- |");
    for &lane in &options.lanes {
        let server = options.server.start()?;
        let mut swarm = Swarm::new(Plan {
            lane,
            bare: false,
            address: options.server.address(lane)?,
            clients: usize::try_from(options.clients)?,
            goal: Goal::InRoom,
            prefix: "login",
        })?;
        let before = CpuTime::of(server.id())?;
        swarm.bring_up()?;
        let (user, kernel) = CpuTime::of(server.id())?.since(before);
        swarm.leave();
        let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(options.clients);
        println!("| {} | {:.0} | {:.0} | {:.0} |", lane.name(), each(user), each(kernel), each(user + kernel));
    }
    Ok(())
}
