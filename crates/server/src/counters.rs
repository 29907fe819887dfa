//! What the drivers count.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one worker's driver, since start. Written by that worker alone, read by anyone.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Connections accepted.
    pub accepted: Count,
    /// Connections closed at once: too many half-open handshakes, or a limit of the node.
    pub refused: Count,
    /// Times `accept` failed, mostly for want of file descriptors.
    pub accept_failures: Count,
    /// TLS handshakes that failed.
    pub handshake_failures: Count,
    /// TLS handshakes that took too long.
    pub handshake_timeouts: Count,
    /// Plain HTTP requests on secure ports.
    pub plain_http: Count,
    /// Datagrams received.
    pub datagrams_received: Count,
    /// Datagrams that the system did not take: full socket buffer, no route.
    pub datagrams_unsent: Count,
    /// Errors on UDP sockets, mostly echoes of unreachable peers.
    pub datagram_errors: Count,
    /// Letters to other workers that had to wait because the other's inbox was full.
    pub letters_deferred: Count,
    /// Streams that moved to another worker.
    pub streams_moved: Count,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub(crate) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The sums over all workers, by name.
pub(crate) fn totals(counters: &[Arc<Counters>]) -> BTreeMap<String, u64> {
    let named: [(&str, fn(&Counters) -> &Count); 11] = [
        ("accepted", |one| &one.accepted),
        ("refused", |one| &one.refused),
        ("accept_failures", |one| &one.accept_failures),
        ("handshake_failures", |one| &one.handshake_failures),
        ("handshake_timeouts", |one| &one.handshake_timeouts),
        ("plain_http", |one| &one.plain_http),
        ("datagrams_received", |one| &one.datagrams_received),
        ("datagrams_unsent", |one| &one.datagrams_unsent),
        ("datagram_errors", |one| &one.datagram_errors),
        ("letters_deferred", |one| &one.letters_deferred),
        ("streams_moved", |one| &one.streams_moved),
    ];
    let sum = |of: fn(&Counters) -> &Count| counters.iter().map(|one| of(one).get()).sum();
    named.into_iter().map(|(name, of)| (name.to_owned(), sum(of))).collect()
}
