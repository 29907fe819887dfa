//! When the next try is due. Pure: the time and the dice are arguments.
//!
//! | the file holds | due |
//! | --- | --- |
//! | nothing usable, a certificate of our own making, not every name, one of another directory | now |
//! | a certificate for which the authority names a window (RFC 9773) | at a place in the window that is the certificate's own |
//! | another certificate | at 2/3 of its life, up to 1/20 of its life earlier |
//!
//! After a failure the next try waits 2 minutes, then twice as long each time, up to a tenth of the life that is left, at
//! most a day and at least 15 minutes; never more than [`TRIES_PER_HOUR`] begin within an hour.

use std::time::{Duration, SystemTime};

use crate::certificate::Current;
use crate::status::Status;

/// Tries that may begin within an hour; authorities lock out who asks more often.
pub const TRIES_PER_HOUR: usize = 5;

const HOUR: Duration = Duration::from_secs(60 * 60);
/// Wait after the first failure.
const FIRST_WAIT: Duration = Duration::from_secs(2 * 60);
/// The longest wait is between these.
const LONGEST_WAIT: [Duration; 2] = [Duration::from_secs(15 * 60), Duration::from_secs(24 * 60 * 60)];
/// Longest wait while there is no certificate at all.
const LONGEST_WAIT_WITHOUT: Duration = HOUR;

/// Two times between which the authority wants a certificate to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start: SystemTime,
    pub(crate) end: SystemTime,
}

/// When the next try is due, for what the file holds, the authority's window for it, and what became of earlier tries.
/// `dice` is between 0 and 1 and spreads the tries of many servers.
pub(crate) fn next_try(
    now: SystemTime,
    current: Option<&Current>,
    directory: &str,
    window: Option<Window>,
    status: &Status,
    dice: f64,
) -> SystemTime {
    let due = due(now, current, directory, window, status);
    let after_failure = after_failure(now, current, status, dice);
    due.max(after_failure.unwrap_or(due)).max(status.free_place(now))
}

fn due(
    now: SystemTime,
    current: Option<&Current>,
    directory: &str,
    window: Option<Window>,
    status: &Status,
) -> SystemTime {
    let Some(current) = current.filter(|current| current.covers && !current.is_makeshift) else { return now };
    let of_other_directory = status
        .last_success
        .as_ref()
        .is_some_and(|issued| issued.fingerprint == current.fingerprint() && issued.directory != directory);
    if of_other_directory {
        return now;
    }
    let place = place_of(current);
    if let Some(window) = window {
        let length = window.end.duration_since(window.start).unwrap_or_default();
        return window.start + length.mul_f64(place);
    }
    let life = current.not_after.duration_since(current.not_before).unwrap_or_default();
    current.not_before + (life * 2 / 3).saturating_sub((life / 20).mul_f64(place))
}

/// A number from 0 to 1 that is a certificate's own, so that asking again does not move its renewal.
fn place_of(current: &Current) -> f64 {
    let [a, b, c, d, ..] = current.fingerprint;
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

fn after_failure(now: SystemTime, current: Option<&Current>, status: &Status, dice: f64) -> Option<SystemTime> {
    // A failure in the future comes from a clock that was wrong.
    let failed_at = status.last_error.as_ref().map(|failure| failure.at).filter(|at| *at <= now)?;
    let doublings = status.failures.saturating_sub(1).min(16);
    let left = current.filter(|current| !current.is_makeshift).map(|current| {
        let [least, most] = LONGEST_WAIT;
        (current.not_after.duration_since(now).unwrap_or_default() / 10).clamp(least, most)
    });
    let wait = (FIRST_WAIT * 2_u32.pow(doublings)).min(left.unwrap_or(LONGEST_WAIT_WITHOUT));
    Some(failed_at + wait.mul_f64(1.0 + dice.clamp(0.0, 1.0) / 4.0))
}

impl Status {
    /// Notes that a try begins.
    pub(crate) fn begin(&mut self, now: SystemTime) {
        self.forget_old_tries(now);
        self.tries.push(now);
    }

    /// When the limit of tries allows the next one.
    fn free_place(&self, now: SystemTime) -> SystemTime {
        let mut recent: Vec<_> = self.tries.iter().filter(|at| is_recent(**at, now)).collect();
        recent.sort_unstable();
        let in_the_way = recent.len().checked_sub(TRIES_PER_HOUR).and_then(|index| recent.get(index));
        in_the_way.map_or(now, |at| **at + HOUR)
    }

    fn forget_old_tries(&mut self, now: SystemTime) {
        self.tries.retain(|at| is_recent(*at, now));
    }
}

/// Times of the future come from a clock that was wrong; they do not count.
fn is_recent(at: SystemTime, now: SystemTime) -> bool {
    now.duration_since(at).is_ok_and(|age| age < HOUR)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use rustls_pki_types::CertificateDer;

    use super::*;
    use crate::{AcmeError, Failure, Issued};

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    const DIRECTORY: &str = "https://a.test/dir";

    fn start() -> SystemTime {
        UNIX_EPOCH + 20_000 * DAY
    }

    fn certificate(life: Duration) -> Current {
        Current {
            not_before: start(),
            not_after: start() + life,
            fingerprint: [128; 32],
            covers: true,
            is_makeshift: false,
            leaf: CertificateDer::from(Vec::new()),
        }
    }

    fn next(current: Option<&Current>, status: &Status) -> SystemTime {
        next_try(start(), current, DIRECTORY, None, status, 0.0)
    }

    #[test]
    fn t31_renewal_is_at_two_thirds_of_life_or_a_little_earlier() {
        for days in [6, 45, 90, 398] {
            let life = days * DAY;
            let at = next(Some(&certificate(life)), &Status::default());
            assert!(at <= start() + life * 2 / 3 && at >= start() + life * 37 / 60, "{days}");
        }
    }

    #[test]
    fn t31_the_authoritys_window_decides_and_a_certificate_has_its_place_in_it() {
        let current = certificate(90 * DAY);
        let window = Window { start: start() + 10 * DAY, end: start() + 12 * DAY };
        let at = next_try(start(), Some(&current), DIRECTORY, Some(window), &Status::default(), 0.7);
        assert!(at > start() + 10 * DAY && at < start() + 12 * DAY);
        let again = next_try(start() + DAY, Some(&current), DIRECTORY, Some(window), &Status::default(), 0.1);
        assert_eq!(at, again);
        let backwards = Window { start: window.end, end: window.start };
        assert_eq!(
            next_try(start(), Some(&current), DIRECTORY, Some(backwards), &Status::default(), 0.0),
            start() + 12 * DAY
        );
    }

    #[test]
    fn what_cannot_be_served_is_due_now() {
        let status = Status::default();
        assert_eq!(next(None, &status), start());
        let placeholder = Current { is_makeshift: true, ..certificate(7 * DAY) };
        assert_eq!(next(Some(&placeholder), &status), start());
        let other_names = Current { covers: false, ..certificate(90 * DAY) };
        assert_eq!(next(Some(&other_names), &status), start());
    }

    #[test]
    fn a_certificate_of_another_directory_is_replaced_and_one_of_the_operator_waits() {
        let current = certificate(90 * DAY);
        let mut issued = Issued {
            at: start(),
            directory: "https://staging.test/dir".to_owned(),
            names: Vec::new(),
            fingerprint: current.fingerprint(),
            not_after: current.not_after,
        };
        let status = Status { last_success: Some(issued.clone()), ..Status::default() };
        assert_eq!(next(Some(&current), &status), start());
        issued.fingerprint = "another".to_owned();
        let status = Status { last_success: Some(issued), ..Status::default() };
        assert!(next(Some(&current), &status) > start() + 50 * DAY);
    }

    /// Tries over a time in which every one fails.
    fn failing_tries(current: Option<&Current>, time: Duration, dice: f64) -> Vec<SystemTime> {
        let (mut now, end, mut status, mut tries) = (start(), start() + time, Status::default(), Vec::new());
        loop {
            let at = next_try(now, current, DIRECTORY, None, &status, dice);
            if at > end {
                return tries;
            }
            now = now.max(at);
            status.begin(now);
            tries.push(now);
            status.failures += 1;
            status.last_error = Some(Failure::new(now, &AcmeError::NoNames));
        }
    }

    #[test]
    fn t31_never_more_than_five_tries_begin_within_an_hour() {
        let expiring = certificate(Duration::from_secs(60));
        for (current, dice) in [(None, 0.0), (None, 1.0), (Some(&expiring), 0.0), (Some(&expiring), 0.5)] {
            let tries = failing_tries(current, 30 * DAY, dice);
            assert!(tries.len() > 300, "it does not give up: {}", tries.len());
            for (index, at) in tries.iter().enumerate() {
                let within = tries.iter().skip(index).take_while(|other| **other < *at + HOUR).count();
                assert!(within <= TRIES_PER_HOUR, "{within}");
            }
        }
    }

    #[test]
    fn t31_the_wait_grows_while_a_certificate_has_life_left_and_is_a_day_at_most() {
        let current = certificate(90 * DAY);
        let due = Current { not_before: start() - 200 * DAY, ..current };
        let tries = failing_tries(Some(&due), 20 * DAY, 0.0);
        let waits: Vec<_> = tries.windows(2).map(|pair| pair[1].duration_since(pair[0]).unwrap()).collect();
        assert!(waits.is_sorted(), "{waits:?}");
        assert_eq!(waits.last(), Some(&DAY));
    }

    #[test]
    fn t31_the_limit_holds_when_the_server_is_started_again_and_again() {
        let mut status = Status::default();
        for minute in 0..5 {
            status.begin(start() + Duration::from_secs(60) * minute);
        }
        let now = start() + Duration::from_secs(300);
        assert_eq!(next_try(now, None, DIRECTORY, None, &status, 0.0), start() + HOUR);
        assert_eq!(next_try(start() + HOUR, None, DIRECTORY, None, &status, 0.0), start() + HOUR);
    }

    #[test]
    fn a_clock_that_was_ahead_does_not_stop_renewal() {
        let future = start() + 1_000 * DAY;
        let failure = Failure { at: future, text: String::new() };
        let status = Status { tries: vec![future; 5], last_error: Some(failure), failures: 9, ..Status::default() };
        assert_eq!(next(None, &status), start());
    }
}
