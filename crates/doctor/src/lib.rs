//! Why clients cannot reach a server.
//!
//! [`diagnose`] runs every check over a [`Context`]: the configuration, what the [`Machine`] says of itself, what the
//! probes of [`probe`] saw over real sockets, and what a running server says of itself. A check decides and does
//! nothing else, so each can be tried with a world that is broken in just one way.
//!
//! | module | what |
//! | --- | --- |
//! | `checks` | a file for each check, `d1` to `d19` and the kernel |
//! | `serving` | what the configuration serves: role, transport, port, path |
//! | `handed_out` | what the configuration tells clients: the addresses of the next servers |
//! | `machine` | what is asked of the machine |
//! | `probe` | connections, handshakes and whole joins |

mod account;
mod chains;
mod checks;
mod context;
mod finding;
mod firewall;
#[cfg(test)]
mod fixture;
mod handed_out;
mod identity;
mod machine;
pub mod probe;
mod report;
mod serving;
mod system;

pub use checks::diagnose;
pub use context::{Context, Vantage};
pub use finding::{Finding, Severity};
pub use machine::{Access, BrowserStore, Machine};
pub use report::{Outcome, Report};
pub use system::ThisMachine;
