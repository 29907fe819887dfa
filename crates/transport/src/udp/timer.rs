//! The deadlines of one peer.

use std::time::Duration;

/// Every deadline that a peer can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Timer {
    /// A command in flight is due again. Set when one is sent; may be early, since acknowledgements do not move it.
    Resend = 0,
    /// The peer may have been silent for the ping interval. Always set while the connection lives.
    Ping = 1,
    /// The init (server) or its answer (client) should have come by now. Stopped when it does.
    Opening = 2,
    /// A new period of the transmit rate begins. Set when reliable commands wait for it.
    Rate = 3,
    /// The owner has to be told that the connection is over. Set by calls that have no list of incoming at hand.
    Report = 4,
    /// Our disconnect was not acknowledged; give up waiting.
    Linger = 5,
    /// Acknowledgements that wait for a datagram to travel with have to go. Set when one is owed, stopped when they
    /// have gone.
    Ack = 6,
}

const COUNT: usize = 7;

/// One place for each [`Timer`].
#[derive(Clone, Debug, Default)]
pub(super) struct Timers([Option<Duration>; COUNT]);

#[expect(clippy::indexing_slicing, reason = "the table has a place for every variant")]
impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: Duration) {
        self.0[timer as usize] = Some(at);
    }

    /// Brings the deadline forward; never moves it back.
    pub(super) fn set_earlier(&mut self, timer: Timer, at: Duration) {
        let place = &mut self.0[timer as usize];
        *place = Some(place.map_or(at, |old| old.min(at)));
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(super) fn stop_all(&mut self) {
        self.0 = [None; COUNT];
    }

    /// Whether the deadline has passed; it is stopped then.
    pub(super) fn fired(&mut self, timer: Timer, now: Duration) -> bool {
        let place = &mut self.0[timer as usize];
        place.take_if(|at| *at <= now).is_some()
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Duration> {
        self.0.iter().flatten().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_deadline_comes_next_and_fires_once() {
        let mut timers = Timers::default();
        let [early, late] = [Duration::from_millis(1), Duration::from_millis(2)];
        timers.set(Timer::Ping, late);
        timers.set_earlier(Timer::Linger, early);
        timers.set_earlier(Timer::Linger, late);
        assert_eq!(timers.next(), Some(early));
        assert!(!timers.fired(Timer::Ping, early));
        assert!(timers.fired(Timer::Linger, early) && !timers.fired(Timer::Linger, late));
        assert_eq!(timers.next(), Some(late));
    }
}
