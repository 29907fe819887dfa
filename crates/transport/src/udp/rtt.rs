//! The round-trip time, estimated with the integers that the clients use (transports.md, section 3.8).

use std::time::Duration;

/// What is assumed before the first measurement, in milliseconds.
const START_MS: i32 = 200;
/// The deviation that goes with [`START_MS`] and with the first measurement.
const START_VARIANCE_MS: i32 = 5;
/// The first measurement counts as at least this.
const FIRST_MINIMUM_MS: i32 = 15;
/// A measurement above this, or below zero, comes from a clock that jumped or a peer that lies.
const PLAUSIBLE_MS: i32 = 10_000;
/// A command is resent for the first time after at most this.
const FIRST_RESEND_MAX: Duration = Duration::from_millis(400);

/// The estimate for one peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rtt {
    smoothed_ms: i32,
    variance_ms: i32,
}

impl Rtt {
    pub(super) const fn new() -> Self {
        Self { smoothed_ms: START_MS, variance_ms: START_VARIANCE_MS }
    }

    /// Takes the first measurement, that of the handshake, as it is.
    pub(super) fn start_with(&mut self, sample_ms: i32) {
        let sample_ms = self.plausible(sample_ms).max(FIRST_MINIMUM_MS);
        *self = Self { smoothed_ms: sample_ms, variance_ms: START_VARIANCE_MS };
    }

    /// Blends in a measurement.
    pub(super) fn update(&mut self, sample_ms: i32) {
        let sample_ms = self.plausible(sample_ms);
        self.variance_ms -= self.variance_ms / 4;
        self.smoothed_ms += (sample_ms - self.smoothed_ms) / 8;
        self.variance_ms += (sample_ms - self.smoothed_ms).abs() / 4;
    }

    pub(super) fn smoothed_ms(&self) -> i32 {
        self.smoothed_ms
    }

    pub(super) fn smoothed(&self) -> Duration {
        Duration::from_millis(u64::from(self.smoothed_ms.unsigned_abs()))
    }

    /// How long to wait for an acknowledgement before the first resend.
    pub(super) fn resend_after(&self) -> Duration {
        let waited_ms = self.smoothed_ms.saturating_add(self.variance_ms.saturating_mul(4));
        Duration::from_millis(u64::from(waited_ms.max(1).unsigned_abs())).min(FIRST_RESEND_MAX)
    }

    fn plausible(&self, sample_ms: i32) -> i32 {
        if (0..=PLAUSIBLE_MS).contains(&sample_ms) {
            sample_ms
        } else {
            self.smoothed_ms.saturating_mul(4).min(PLAUSIBLE_MS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_resend_comes_after_220_ms_without_a_measurement() {
        assert_eq!(Rtt::new().resend_after(), Duration::from_millis(220));
    }

    #[test]
    fn a_measurement_is_blended_with_the_clients_integers() {
        let mut rtt = Rtt::new();
        rtt.update(40);
        assert_eq!((rtt.smoothed_ms, rtt.variance_ms), (180, 4 + 140 / 4));
    }

    #[test]
    fn the_handshake_counts_as_at_least_15_ms() {
        let mut rtt = Rtt::new();
        rtt.start_with(2);
        assert_eq!((rtt.smoothed_ms, rtt.resend_after()), (15, Duration::from_millis(35)));
    }

    #[test]
    fn no_measurement_can_leave_the_plausible_range() {
        let mut rtt = Rtt::new();
        for sample in [i32::MIN, i32::MAX, -1, 10_001, 0].into_iter().cycle().take(1_000) {
            rtt.update(sample);
            assert!((0..=PLAUSIBLE_MS).contains(&rtt.smoothed_ms) && rtt.variance_ms >= 0, "{rtt:?}");
        }
    }
}
