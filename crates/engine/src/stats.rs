//! Counters of a worker.

/// Counters since start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {}
