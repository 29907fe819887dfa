//! The deadlines of one worker.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// A queue of wake-ups, one at most per owner that matters.
///
/// Deadlines move with almost every message, nearly always to later. So an entry is not moved: when it comes due, its
/// owner is asked again and sets a new one if it still waits. Only an earlier deadline adds an entry, and the owner
/// remembers which of its entries is the earliest ([`Armed`]), so that the others are passed over when they come up.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    heap: BinaryHeap<Reverse<(Duration, T)>>,
}

/// When the owner is woken next, kept with the owner.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Armed(Option<Duration>);

impl<T: Copy + Ord> Timers<T> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new() }
    }

    /// Makes sure that `owner` is woken at `deadline` or before.
    pub(crate) fn arm(&mut self, owner: T, armed: &mut Armed, deadline: Option<Duration>) {
        let Some(deadline) = deadline else { return };
        if armed.0.is_none_or(|at| deadline < at) {
            armed.0 = Some(deadline);
            self.heap.push(Reverse((deadline, owner)));
        }
    }

    /// The earliest wake-up; may be one that nobody waits for any more.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes out an owner whose wake-up is due. The caller checks it with [`Armed::fire`].
    pub(crate) fn pop_due(&mut self, now: Duration) -> Option<(Duration, T)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

impl Armed {
    /// Whether the entry that came due `at` is the one the owner waits for; it then waits for none.
    pub(crate) fn fire(&mut self, at: Duration) -> bool {
        let mine = self.0 == Some(at);
        if mine {
            self.0 = None;
        }
        mine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_owner_is_woken_once_at_its_earliest_deadline() {
        let mut timers = Timers::new();
        let mut armed = Armed::default();
        timers.arm(1u8, &mut armed, Some(5 * SECOND));
        timers.arm(1u8, &mut armed, Some(9 * SECOND));
        timers.arm(1u8, &mut armed, Some(2 * SECOND));
        assert_eq!(timers.pop_due(SECOND), None);
        let mut fired = Vec::new();
        while let Some((at, owner)) = timers.pop_due(10 * SECOND) {
            if armed.fire(at) {
                fired.push((at, owner));
            }
        }
        assert_eq!(fired, [(2 * SECOND, 1)]);
        assert_eq!(timers.next(), None);
    }
}
