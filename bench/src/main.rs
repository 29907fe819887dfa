//! Load over loopback: what the server costs, beside a bare relay that you can compare it with.
//!
//! docs/benchmarks.md tells how to repeat the published numbers.

mod compare;
mod connection;
mod idle;
mod lane;
mod load;
mod login;
mod logins;
mod payload;
mod process;
mod relay;
mod server;
mod statistics;
mod swap;
mod swarm;
mod tls;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::compare::CompareOptions;
use crate::connection::Address;
use crate::idle::IdleOptions;
use crate::lane::Lane;
use crate::load::Load;
use crate::logins::LoginOptions;
use crate::swap::SwapOptions;

/// Measures a server over loopback.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Forward bytes between the clients of a room, without a protocol; prints its port
    Relay { lane: Lane },
    /// Load a running server or relay and tell its CPU time per delivered event
    Load(LoadOptions),
    /// Load server and bare relay in turns and tell the ratio of their CPU times
    Compare(CompareOptions),
    /// Tell the server's memory per idle connection
    Idle(IdleOptions),
    /// Tell the server's CPU time per full login
    Logins(LoginOptions),
    /// Exchange the server's certificate each second and tell whom that disturbs
    Swap(SwapOptions),
}

#[derive(Debug, Args)]
struct LoadOptions {
    lane: Lane,
    /// The NameServer's or the relay's address
    address: String,
    /// Its process
    #[arg(long)]
    pid: u32,
    /// It is a relay
    #[arg(long)]
    bare: bool,
    #[arg(long, default_value_t = 50)]
    rooms: usize,
    #[arg(long, default_value_t = 6)]
    seconds: u64,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Relay { lane } => relay::run(lane),
        Command::Load(LoadOptions { lane, address, pid, bare, rooms, seconds }) => {
            let pass = load::run(&Load { lane, bare, address: Address::parse(&address)?, rooms, seconds, pid })?;
            println!("| user ns | kernel ns | total ns | events/s | missing | p50 | p99 |");
            println!("| --- | --- | --- | --- | --- | --- | --- |\n| {} |", compare::row(&pass));
            Ok(())
        }
        Command::Compare(options) => compare::run(&options),
        Command::Idle(options) => idle::run(&options),
        Command::Logins(options) => logins::run(&options),
        Command::Swap(options) => swap::run(&options),
    }
}
