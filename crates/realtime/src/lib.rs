//! The rules: rooms, actors, lobbies, matchmaking and tokens.
//!
//! Nothing here knows sockets, clocks or connections. `now` is the time since the process's clock started.

#[macro_use]
pub mod codes;
pub mod parameters;
pub mod properties;
pub mod report;
pub mod room;
pub mod token;
