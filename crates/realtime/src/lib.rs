//! The rules: what each operation does, who is told, in which order. Rooms on the game server, the directory of rooms,
//! lobbies and users on the master server, and the tokens that lead a client from one to the other.
//!
//! Nothing here knows sockets, clocks or connections. `now` is the time since the process's clock started; randomness
//! is an argument.

#[macro_use]
pub mod codes;
pub mod directory;
pub mod parameters;
pub mod properties;
pub mod report;
pub mod room;
pub mod token;
