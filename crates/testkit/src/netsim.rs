//! A bad network: what happens to datagrams and to the bytes of a stream on their way.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;

/// How bad the network is; probabilities from 0 to 1 for each datagram.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditions {
    /// It does not arrive.
    pub loss: f64,
    /// It arrives twice.
    pub duplication: f64,
    /// It is held back, so that others overtake it.
    pub reordering: f64,
    /// One of its bits arrives the other way round.
    pub corruption: f64,
    /// Shortest time on the way.
    pub delay: Duration,
    /// Longest time added to that.
    pub jitter: Duration,
    /// Largest datagram that arrives, in bytes.
    pub mtu: usize,
    /// Largest piece in which the bytes of a stream arrive.
    pub segment: usize,
}

impl Conditions {
    /// A network that does nothing but take 20 ms.
    pub const GOOD: Self = Self {
        loss: 0.0,
        duplication: 0.0,
        reordering: 0.0,
        corruption: 0.0,
        delay: Duration::from_millis(20),
        jitter: Duration::ZERO,
        mtu: 1_472,
        segment: 64 * 1_024,
    };

    /// Loss as given, 5 % duplication and reordering, jitter as long as the way, streams in small pieces.
    #[must_use]
    pub const fn bad(loss: f64) -> Self {
        Self {
            loss,
            duplication: 0.05,
            reordering: 0.05,
            jitter: Duration::from_millis(20),
            segment: 700,
            ..Self::GOOD
        }
    }

    fn time_of_way(&self, rng: &mut StdRng) -> Duration {
        self.delay + self.jitter.mul_f64(rng.random())
    }
}

/// One direction of a path for datagrams.
#[derive(Clone, Copy, Debug, Default)]
pub struct DatagramPath;

impl DatagramPath {
    /// Sends one: `arrive` is told when and what, not at all or more than once.
    pub fn send(
        conditions: &Conditions,
        rng: &mut StdRng,
        now: Duration,
        bytes: &[u8],
        mut arrive: impl FnMut(Duration, Vec<u8>),
    ) {
        if bytes.len() > conditions.mtu {
            return;
        }
        let copies = if rng.random_bool(conditions.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            if rng.random_bool(conditions.loss) {
                continue;
            }
            let mut at = now + conditions.time_of_way(rng);
            if rng.random_bool(conditions.reordering) {
                at += (conditions.delay + conditions.jitter).mul_f64(rng.random_range(0.0..4.0));
            }
            let mut copy = bytes.to_vec();
            if rng.random_bool(conditions.corruption) && !copy.is_empty() {
                let at = rng.random_range(0..copy.len());
                if let Some(byte) = copy.get_mut(at) {
                    *byte ^= 1 << rng.random_range(0..8);
                }
            }
            arrive(at, copy);
        }
    }
}

/// One direction of a stream: bytes arrive in order and in pieces that nobody chose.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamPath {
    last: Duration,
}

impl StreamPath {
    /// Sends bytes: `arrive` is told when and what.
    pub fn send(
        &mut self,
        conditions: &Conditions,
        rng: &mut StdRng,
        now: Duration,
        bytes: &[u8],
        mut arrive: impl FnMut(Duration, Vec<u8>),
    ) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let largest = rest.len().min(conditions.segment.max(1));
            // Small pieces are as likely as large ones: they are what breaks parsers.
            let largest = if rng.random_bool(0.5) { largest } else { largest.min(8) };
            let whole = conditions.segment > bytes.len();
            let length = if whole { rest.len() } else { rng.random_range(1..=largest) };
            let (piece, behind) = rest.split_at(length);
            arrive(self.end(conditions, rng, now), piece.to_vec());
            rest = behind;
        }
    }

    /// When what is sent now arrives: never before what was sent earlier.
    pub fn end(&mut self, conditions: &Conditions, rng: &mut StdRng, now: Duration) -> Duration {
        self.last = self.last.max(now + conditions.time_of_way(rng));
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn datagrams_are_lost_and_doubled_as_often_as_asked() {
        let mut rng = StdRng::seed_from_u64(1);
        let conditions = Conditions { corruption: 0.1, ..Conditions::bad(0.2) };
        let (mut arrived, mut damaged) = (0, 0);
        for _ in 0..10_000 {
            DatagramPath::send(&conditions, &mut rng, Duration::ZERO, &[7; 32], |at, bytes| {
                assert!(at >= conditions.delay && at < conditions.delay * 10);
                arrived += 1;
                damaged += usize::from(bytes != [7; 32]);
            });
        }
        assert!((8_100..8_700).contains(&arrived), "{arrived}");
        assert!((700..970).contains(&damaged), "{damaged}");
    }

    #[test]
    fn a_datagram_over_the_mtu_does_not_arrive() {
        let mut rng = StdRng::seed_from_u64(1);
        DatagramPath::send(&Conditions::GOOD, &mut rng, Duration::ZERO, &[0; 1_473], |_, _| panic!("it arrived"));
    }

    #[test]
    fn a_stream_is_cut_anywhere_and_stays_in_order() {
        let (mut rng, mut path) = (StdRng::seed_from_u64(1), StreamPath::default());
        let sent: Vec<u8> = (0..=255).cycle().take(50_000).collect();
        let (mut got, mut last, mut pieces) = (Vec::new(), Duration::ZERO, 0);
        for (at, bytes) in sent.chunks(5_000).enumerate() {
            let now = Duration::from_millis(at as u64);
            path.send(&Conditions::bad(0.0), &mut rng, now, bytes, |at, piece| {
                assert!(at >= last);
                last = at;
                pieces += 1;
                got.extend(piece);
            });
        }
        assert_eq!(got, sent);
        assert!(pieces > 100, "{pieces}");
    }
}
