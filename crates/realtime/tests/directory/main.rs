//! The directory's rules, as scenarios on virtual time.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod friends;
mod lists;
mod lobbies;
mod matchmaking;
mod model;
mod placing;
mod stats;
mod support;
mod with_rooms;
