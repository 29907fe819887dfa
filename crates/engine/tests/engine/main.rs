//! A whole node against its clients' bytes: recorded sessions, scenarios, limits, workers, allocations.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends at the first thing that is not as expected"
)]

mod allocations;
mod authentication;
mod client;
mod ledger;
mod limits;
mod listeners;
mod node;
mod replay;
mod rooms;
mod web;
mod workers;
