//! The real binary, as operators and clients meet it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod acme;
mod cert;
mod command_line;
mod configured;
mod deployment;
mod files;
mod s2s;
