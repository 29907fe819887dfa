//! A whole server and many clients in one thread, under virtual time and a bad network, replayable from a seed.
//!
//! * [`World`] runs the workers of a node and clients, and carries bytes, messages and time between them.
//! * [`Conditions`] say how bad the network is.
//! * [`Ledger`] counts what was sent and what arrived, and what was lost, came twice or in the wrong order.
//! * [`each_seed`] runs a scenario for many seeds and names the one that failed.

mod ledger;
mod netsim;
mod seeds;
mod world;

pub use ledger::{Ledger, Tally};
pub use netsim::{Conditions, DatagramPath, StreamPath};
pub use seeds::each_seed;
pub use world::{HostId, World, WorldConfig};
