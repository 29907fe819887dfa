//! Reliable commands of one counter, from queued to acknowledged.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::command::Part;

/// Most sequence numbers between the oldest unacknowledged command and the newest sent one. Below the receiver's
/// window, so that nothing is sent that would be refused.
pub(super) const SEND_WINDOW: usize = 512;

/// What a reliable command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Message,
    Fragment(Part),
    Connect,
    Disconnect { reason: u8 },
    Ping,
    ServerTime,
}

/// How far a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Waiting,
    InFlight(Flight),
    Acknowledged,
}

/// A command that was sent and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flight {
    pub(super) first_sent: Duration,
    pub(super) resend_at: Duration,
    pub(super) timeout: Duration,
    pub(super) sends: u32,
    /// To be sent again in this turn.
    pub(super) due: bool,
}

/// A reliable command. Its number is that of its place.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) purpose: Purpose,
    pub(super) payload: Bytes,
    pub(super) progress: Progress,
}

/// The commands of one counter: first those in flight, acknowledged ones among them, then those never sent.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    first: u32,
    slots: VecDeque<Slot>,
    sent: usize,
    due: usize,
}

impl Lane {
    /// A lane whose next command gets number `first`.
    pub(super) const fn starting_at(first: u32) -> Self {
        Self { first, slots: VecDeque::new(), sent: 0, due: 0 }
    }

    /// The number of the last command queued.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "numbers wrap; far fewer slots than 2^32 fit in the byte limit"
    )]
    pub(super) fn last(&self) -> u32 {
        self.first.wrapping_add(self.slots.len() as u32).wrapping_sub(1)
    }

    /// Queues a command; gives its number.
    pub(super) fn push(&mut self, purpose: Purpose, payload: Bytes) -> u32 {
        self.slots.push_back(Slot { purpose, payload, progress: Progress::Waiting });
        self.last()
    }

    /// Whether a command waits to be sent again or for the first time.
    pub(super) fn has_work(&self) -> bool {
        self.due > 0 || self.sent < self.slots.len()
    }

    pub(super) fn has_flights(&self) -> bool {
        self.sent > 0
    }

    /// The first command that may be sent for the first time.
    pub(super) fn next_waiting(&self) -> Option<(u32, &Slot)> {
        if self.sent >= SEND_WINDOW {
            return None;
        }
        self.slots.get(self.sent).map(|slot| (self.number(self.sent), slot))
    }

    /// The command of [`Lane::next_waiting`] was sent.
    pub(super) fn started(&mut self, flight: Flight) {
        if let Some(slot) = self.slots.get_mut(self.sent) {
            slot.progress = Progress::InFlight(flight);
            self.sent += 1;
        }
    }

    /// The oldest command that is to be sent again.
    pub(super) fn next_due(&mut self) -> Option<(u32, &mut Slot)> {
        if self.due == 0 {
            return None;
        }
        let first = self.first;
        self.slots
            .iter_mut()
            .take(self.sent)
            .zip(0u32..)
            .find(|(slot, _)| matches!(slot.progress, Progress::InFlight(Flight { due: true, .. })))
            .map(|(slot, at)| (first.wrapping_add(at), slot))
    }

    /// The command of [`Lane::next_due`] was sent again.
    pub(super) fn restarted(&mut self, number: u32, flight: Flight) {
        if let Some(slot) = self.index(number).and_then(|index| self.slots.get_mut(index)) {
            slot.progress = Progress::InFlight(flight);
            self.due -= 1;
        }
    }

    /// Takes the numbered command out of flight; `None` if it is not in flight. Gives what it was for and its bytes.
    pub(super) fn acknowledge(&mut self, number: u32) -> Option<(Purpose, usize)> {
        let index = self.index(number)?;
        let slot = self.slots.get_mut(index)?;
        let Progress::InFlight(flight) = slot.progress else { return None };
        self.due -= usize::from(flight.due);
        slot.progress = Progress::Acknowledged;
        let done = (slot.purpose, std::mem::take(&mut slot.payload).len());
        while self.slots.front().is_some_and(|slot| slot.progress == Progress::Acknowledged) {
            self.slots.pop_front();
            self.first = self.first.wrapping_add(1);
            self.sent -= 1;
        }
        Some(done)
    }

    /// Calls `visit` with every command in flight that is not due yet; `true` makes it due.
    pub(super) fn visit_flights(&mut self, mut visit: impl FnMut(u32, &Slot, &Flight) -> bool) {
        let first = self.first;
        for (slot, at) in self.slots.iter_mut().take(self.sent).zip(0u32..) {
            let Progress::InFlight(mut flight) = slot.progress else { continue };
            if !flight.due && visit(first.wrapping_add(at), slot, &flight) {
                flight.due = true;
                slot.progress = Progress::InFlight(flight);
                self.due += 1;
            }
        }
    }

    /// Forgets every command; later ones keep counting.
    pub(super) fn clear(&mut self) {
        *self = Self::starting_at(self.last().wrapping_add(1));
    }

    #[expect(clippy::cast_possible_truncation, reason = "an index of a slot, see `last`")]
    fn number(&self, index: usize) -> u32 {
        self.first.wrapping_add(index as u32)
    }

    /// The place of a command that was sent.
    fn index(&self, number: u32) -> Option<usize> {
        usize::try_from(number.wrapping_sub(self.first)).ok().filter(|index| *index < self.sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight() -> Flight {
        Flight { first_sent: Duration::ZERO, resend_at: Duration::ZERO, timeout: Duration::ZERO, sends: 1, due: false }
    }

    #[test]
    fn numbers_wrap_and_acknowledgements_in_any_order_empty_the_lane() {
        let mut lane = Lane::starting_at(u32::MAX - 1);
        for _ in 0..4 {
            lane.push(Purpose::Message, Bytes::from_static(b"x"));
        }
        while lane.next_waiting().is_some() {
            lane.started(flight());
        }
        for number in [1, u32::MAX, 0] {
            assert_eq!(lane.acknowledge(number), Some((Purpose::Message, 1)), "{number}");
            assert_eq!(lane.acknowledge(number), None, "{number} twice");
        }
        assert!(lane.has_flights());
        assert!(lane.acknowledge(u32::MAX - 1).is_some());
        assert!(!lane.has_flights() && !lane.has_work());
        assert_eq!(lane.last(), 1);
    }

    #[test]
    fn what_was_never_sent_cannot_be_acknowledged() {
        let mut lane = Lane::starting_at(1);
        lane.push(Purpose::Ping, Bytes::new());
        assert_eq!(lane.acknowledge(1), None);
        assert_eq!(lane.acknowledge(0), None);
    }

    #[test]
    fn a_command_acknowledged_while_it_is_due_is_not_sent_again() {
        let mut lane = Lane::starting_at(1);
        lane.push(Purpose::Ping, Bytes::new());
        lane.started(flight());
        lane.visit_flights(|_, _, _| true);
        assert!(lane.has_work() && lane.next_due().is_some_and(|(number, _)| number == 1));
        lane.acknowledge(1);
        assert!(!lane.has_work() && lane.next_due().is_none());
    }

    #[test]
    fn the_window_holds_back_what_the_receiver_would_refuse() {
        let mut lane = Lane::starting_at(1);
        for _ in 0..SEND_WINDOW + 1 {
            lane.push(Purpose::Message, Bytes::new());
        }
        while lane.next_waiting().is_some() {
            lane.started(flight());
        }
        assert!(lane.has_work());
        lane.acknowledge(2);
        assert!(lane.next_waiting().is_none());
        lane.acknowledge(1);
        assert!(lane.next_waiting().is_some());
    }
}
