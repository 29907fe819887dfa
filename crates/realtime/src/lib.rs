//! The rules: rooms, actors, lobbies, matchmaking and tokens; without sockets, clocks or randomness of their own.

pub mod token;
