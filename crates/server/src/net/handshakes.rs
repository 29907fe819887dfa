//! Connections whose client is not there yet: TLS handshakes, and headers of proxies before them. How many, from whom,
//! until when, and what is logged of those that fail.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lampyris_engine::{Line, LogRate};

use super::failure::HandshakeFailure;
use super::stream::StreamKey;

/// Time for a header and a handshake.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
/// Half-open connections from one source.
const PER_SOURCE: u32 = 50;
/// Half-open connections for each worker of the server.
const PER_WORKER: usize = 4096;
/// A line for each kind of failure in this time.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// The way in, shared by a server's workers: a source has its limit at all of them together. It is passed once by each
/// connection, before its first message.
#[derive(Debug)]
pub(crate) struct Entrance {
    places: Mutex<Places>,
    places_at_most: usize,
    log: [LogRate; HandshakeFailure::ALL.len()],
}

#[derive(Debug, Default)]
struct Places {
    taken: usize,
    per_source: HashMap<IpAddr, u32>,
}

impl Entrance {
    pub(crate) fn new(workers: u16) -> Arc<Self> {
        Arc::new(Self {
            places: Mutex::default(),
            places_at_most: PER_WORKER.saturating_mul(workers.into()),
            log: HandshakeFailure::ALL.map(|_| LogRate::new(1, LOG_EVERY)),
        })
    }

    /// A place for one more, if there is any.
    pub(crate) fn place(self: &Arc<Self>) -> Option<Place> {
        let mut places = self.places();
        if places.taken >= self.places_at_most {
            return None;
        }
        places.taken += 1;
        Some(Place { entrance: Arc::clone(self), source: None })
    }

    /// Logs a failure, unless one of its kind was logged just before.
    pub(crate) fn log(&self, now: Duration, failure: HandshakeFailure, remote: SocketAddr, detail: &str) {
        if let Some(Line { held_back }) = self.log.get(failure.index()).and_then(|rate| rate.admit(now)) {
            tracing::warn!(reason = failure.name(), %remote, detail, held_back, "{}", failure.hint());
        }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A half-open connection's place; given back with this value.
#[derive(Debug)]
pub(crate) struct Place {
    entrance: Arc<Entrance>,
    source: Option<IpAddr>,
}

impl Place {
    /// Counts it for the source, unless that has as many as it may have. A proxy's connections are counted for their
    /// clients, not for the proxy.
    pub(crate) fn count_for(&mut self, remote: IpAddr) -> bool {
        let source = source(remote);
        let mut places = self.entrance.places();
        let count = places.per_source.entry(source).or_default();
        if *count >= PER_SOURCE {
            return false;
        }
        *count += 1;
        self.source = Some(source);
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.entrance.places();
        places.taken = places.taken.saturating_sub(1);
        let Some(source) = self.source else { return };
        if let Some(count) = places.per_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                places.per_source.remove(&source);
            }
        }
    }
}

/// Who a peer is for counting: whoever has an IPv6 address has the 64 bits below it too.
fn source(remote: IpAddr) -> IpAddr {
    match remote.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// Until when a worker's half-open connections must be open.
#[derive(Debug, Default)]
pub(crate) struct Deadlines(VecDeque<(Duration, StreamKey)>);

impl Deadlines {
    /// Sets the deadline of one that began `now`.
    pub(crate) fn watch(&mut self, now: Duration, key: StreamKey) {
        self.0.push_back((now + TIMEOUT, key));
    }

    /// The next one whose deadline has passed; it may be open or gone already.
    pub(crate) fn pop_due(&mut self, now: Duration) -> Option<StreamKey> {
        self.0.pop_front_if(|(deadline, _)| *deadline <= now).map(|(_, key)| key)
    }

    pub(crate) fn next(&self) -> Option<Duration> {
        self.0.front().map(|(deadline, _)| *deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(entrance: &Arc<Entrance>, remote: impl Into<IpAddr>) -> Option<Place> {
        let mut place = entrance.place()?;
        place.count_for(remote.into()).then_some(place)
    }

    #[test]
    fn t19_one_source_cannot_take_every_place() {
        let entrance = Entrance::new(4);
        let flood = [192, 0, 2, 1];
        let mut places: Vec<_> = (0..PER_SOURCE).map(|_| enter(&entrance, flood).unwrap()).collect();
        assert!(enter(&entrance, flood).is_none());
        assert!(enter(&entrance, [192, 0, 2, 2]).is_some());
        places.pop();
        places.push(enter(&entrance, flood).unwrap());
        assert!(enter(&entrance, flood).is_none());
    }

    #[test]
    fn t19_there_is_a_limit_over_all_sources_and_they_are_forgotten_afterwards() {
        let entrance = Entrance::new(1);
        let address = |n: usize| Ipv6Addr::from_bits((n as u128) << 64);
        let places: Vec<_> = (0..PER_WORKER).map(|n| enter(&entrance, address(n)).unwrap()).collect();
        assert!(entrance.place().is_none());
        drop(places);
        assert!(entrance.places().per_source.is_empty());
        assert!(enter(&entrance, [192, 0, 2, 1]).is_some());
    }

    #[test]
    fn t19_addresses_of_one_ipv6_network_count_together() {
        let entrance = Entrance::new(1);
        let address = |n: u128| Ipv6Addr::from_bits((0x2001_0db8 << 96) | n);
        let places: Vec<_> = (0..u128::from(PER_SOURCE)).map(|n| enter(&entrance, address(n)).unwrap()).collect();
        assert!(enter(&entrance, address(1 << 63)).is_none());
        assert!(enter(&entrance, address(1 << 64)).is_some());
        drop(places);
    }
}
