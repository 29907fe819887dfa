//! A limit for log lines that strangers can cause.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bits for the number of lines in the running period; those above hold when it began, in milliseconds plus one.
const COUNT_BITS: u32 = 20;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// Lets so many lines of a kind through in a period, and counts those that it holds back. Threads may share one.
#[derive(Debug)]
pub struct LogRate {
    lines: u64,
    period: Duration,
    window: AtomicU64,
    held_back: AtomicU64,
}

/// A line that may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// How many of its kind were held back since the last one.
    pub held_back: Option<NonZeroU64>,
}

impl LogRate {
    /// At most `lines` in each `period`, which begins with its first line.
    #[must_use]
    pub const fn new(lines: u16, period: Duration) -> Self {
        Self { lines: lines as u64, period, window: AtomicU64::new(0), held_back: AtomicU64::new(0) }
    }

    /// A line, if one may be written now.
    pub fn admit(&self, now: Duration) -> Option<Line> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX >> COUNT_BITS);
        let (now, period) = (millis(now), millis(self.period));
        let count = |window: u64| {
            let (began, lines) = (window >> COUNT_BITS, window & COUNT_MASK);
            if began == 0 || now >= (began - 1).saturating_add(period) {
                Some((now + 1) << COUNT_BITS | 1)
            } else if lines < self.lines {
                Some(window + 1)
            } else {
                None
            }
        };
        match self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count) {
            Ok(_) => Some(Line { held_back: NonZeroU64::new(self.held_back.swap(0, Ordering::Relaxed)) }),
            Err(_) => {
                self.held_back.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn t19_one_line_a_minute_tells_how_many_were_held_back() {
        let rate = LogRate::new(1, MINUTE);
        let start = Duration::from_secs(5);
        let admit = |at| rate.admit(at).map(|line| line.held_back.map_or(0, NonZeroU64::get));
        assert_eq!(admit(start), Some(0));
        for second in 0..59 {
            assert_eq!(admit(start + Duration::from_secs(second)), None);
        }
        assert_eq!(admit(start + MINUTE), Some(59));
        assert_eq!(admit(start + MINUTE), None);
        assert_eq!(admit(start + 3 * MINUTE), Some(1));
    }

    #[test]
    fn some_lines_in_a_period_go_through_and_the_rest_waits_for_the_next() {
        let rate = LogRate::new(3, Duration::from_secs(1));
        let admitted = (0..2_000).filter(|millis| rate.admit(Duration::from_millis(*millis)).is_some()).count();
        assert_eq!(admitted, 6);
        assert_eq!(rate.admit(Duration::from_secs(2)), Some(Line { held_back: NonZeroU64::new(997) }));
    }
}
