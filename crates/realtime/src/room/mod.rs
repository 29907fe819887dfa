//! One room of the game server.

pub mod request;
