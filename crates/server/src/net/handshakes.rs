//! TLS handshakes in progress: how many, from whom, until when.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::stream::StreamKey;

/// Time for a handshake.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
/// Half-open handshakes from one source, per worker.
const PER_SOURCE: u32 = 50;
/// Half-open handshakes of a worker.
const PER_WORKER: usize = 4096;

/// Handshakes in progress.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    per_source: HashMap<IpAddr, u32>,
    open: usize,
    deadlines: VecDeque<(Duration, StreamKey)>,
}

impl Handshakes {
    /// Whether one more may begin; it counts from then on.
    pub(crate) fn begin(&mut self, remote: IpAddr) -> bool {
        if self.open >= PER_WORKER {
            return false;
        }
        let count = self.per_source.entry(source(remote)).or_default();
        if *count >= PER_SOURCE {
            return false;
        }
        *count += 1;
        self.open += 1;
        true
    }

    /// Sets the deadline of one that began `now`.
    pub(crate) fn watch(&mut self, now: Duration, key: StreamKey) {
        self.deadlines.push_back((now + TIMEOUT, key));
    }

    /// One is over, well or badly.
    pub(crate) fn end(&mut self, remote: IpAddr) {
        self.open = self.open.saturating_sub(1);
        let source = source(remote);
        if let Some(count) = self.per_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.per_source.remove(&source);
            }
        }
    }

    /// The next one whose deadline has passed; it may be over already.
    pub(crate) fn pop_due(&mut self, now: Duration) -> Option<StreamKey> {
        self.deadlines.pop_front_if(|(deadline, _)| *deadline <= now).map(|(_, key)| key)
    }

    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.front().map(|(deadline, _)| *deadline)
    }
}

/// Who a peer is for counting: whoever has an IPv6 address has the 64 bits below it too.
fn source(remote: IpAddr) -> IpAddr {
    match remote.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_cannot_take_every_place() {
        let mut handshakes = Handshakes::default();
        let flood: IpAddr = [192, 0, 2, 1].into();
        for _ in 0..PER_SOURCE {
            assert!(handshakes.begin(flood));
        }
        assert!(!handshakes.begin(flood));
        assert!(handshakes.begin([192, 0, 2, 2].into()));
        handshakes.end(flood);
        assert!(handshakes.begin(flood));
        assert!(!handshakes.begin(flood));
    }

    #[test]
    fn a_worker_has_a_limit_over_all_sources_and_forgets_them_afterwards() {
        let mut handshakes = Handshakes::default();
        let sources: Vec<IpAddr> = (0..PER_WORKER).map(|n| Ipv6Addr::from_bits((n as u128) << 64).into()).collect();
        assert!(sources.iter().all(|remote| handshakes.begin(*remote)));
        assert!(!handshakes.begin([192, 0, 2, 1].into()));
        for remote in sources {
            handshakes.end(remote);
        }
        assert!(handshakes.per_source.is_empty());
        assert!(handshakes.begin([192, 0, 2, 1].into()));
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_together() {
        let mut handshakes = Handshakes::default();
        let address = |n: u128| IpAddr::from(Ipv6Addr::from_bits((0x2001_0db8 << 96) | n));
        assert!((0..u128::from(PER_SOURCE)).all(|n| handshakes.begin(address(n))));
        assert!(!handshakes.begin(address(1 << 63)));
        assert!(handshakes.begin(address(1 << 64)));
    }
}
