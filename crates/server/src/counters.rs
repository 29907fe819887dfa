//! What the drivers count.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::HandshakeFailure;

/// What the names of counters of failed handshakes begin with; the name of a [`HandshakeFailure`] follows.
pub(crate) const HANDSHAKE_FAILURES: &str = "handshake_failures.";

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
    /// Connections that failed before a client was there, by [`HandshakeFailure`].
    handshake_failures: [Count; HandshakeFailure::ALL.len()],
    /// TLS handshakes that were completed.
    pub handshakes: Count,
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
    /// Connections that are open now.
    pub connections: Level,
    /// Bytes from and to clients, without what TLS adds.
    pub bytes: Count,
}

impl Counters {
    /// Connections that failed for this reason before a client was there.
    #[must_use]
    pub fn handshake_failures(&self, reason: HandshakeFailure) -> u64 {
        self.handshake_failures.get(reason.index()).map_or(0, Count::get)
    }

    pub(crate) fn handshake_failed(&self, reason: HandshakeFailure) {
        if let Some(count) = self.handshake_failures.get(reason.index()) {
            count.increment();
        }
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Level(AtomicU64);

impl Level {
    pub(crate) fn set(&self, level: usize) {
        self.0.store(u64::try_from(level).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub(crate) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes over the sum of someone who counts for himself.
    pub(crate) fn set(&self, sum: u64) {
        self.0.store(sum, Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The sums over all workers, by name.
pub(crate) fn totals(counters: &[Arc<Counters>]) -> BTreeMap<String, u64> {
    type Of = fn(&Counters) -> &Count;
    let named: [(&str, Of); 10] = [
        ("accepted", |one| &one.accepted),
        ("bytes", |one| &one.bytes),
        ("refused", |one| &one.refused),
        ("accept_failures", |one| &one.accept_failures),
        ("handshakes", |one| &one.handshakes),
        ("datagrams_received", |one| &one.datagrams_received),
        ("datagrams_unsent", |one| &one.datagrams_unsent),
        ("datagram_errors", |one| &one.datagram_errors),
        ("letters_deferred", |one| &one.letters_deferred),
        ("streams_moved", |one| &one.streams_moved),
    ];
    let sum = |of: &dyn Fn(&Counters) -> u64| counters.iter().map(|one| of(one)).sum::<u64>();
    let plain = named.into_iter().map(|(name, of)| (name.to_owned(), sum(&|one| of(one).get())));
    let failures = HandshakeFailure::ALL.into_iter().map(|reason| {
        let name = format!("{HANDSHAKE_FAILURES}{}", reason.name());
        (name, sum(&|one| one.handshake_failures(reason)))
    });
    plain.chain(failures).collect()
}
