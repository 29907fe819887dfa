//! What was sent and what arrived.

use std::collections::{HashMap, HashSet};

use lampyris_client::{Delivery, Value};

use crate::HostId;

/// The order that counts: events of one sender on one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Lane {
    sender: HostId,
    channel: u8,
}

#[derive(Debug)]
struct Sent {
    delivery: Delivery,
    receivers: Vec<HostId>,
}

#[derive(Debug, Default)]
struct Received {
    numbers: HashSet<u32>,
    /// The newest that came in order.
    newest: Option<u32>,
}

/// What each host sent and got. The number of an event on its lane travels in its payload.
#[derive(Debug, Default)]
pub struct Ledger {
    sent: HashMap<Lane, Vec<Sent>>,
    received: HashMap<(Lane, HostId), Received>,
    gone: HashSet<HostId>,
    duplicated: usize,
    misordered: usize,
    unexpected: usize,
    arrived: usize,
}

/// What a ledger says at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events times receivers that were to arrive.
    pub owed: usize,
    /// Events that arrived.
    pub arrived: usize,
    /// Reliable events that did not arrive, although sender and receiver stayed connected.
    pub lost: usize,
    /// Unreliable events that did not arrive.
    pub unreliable_lost: usize,
    /// Events that arrived more than once.
    pub duplicated: usize,
    /// Sequenced events that arrived behind a later one of their lane.
    pub misordered: usize,
    /// Events that arrived where they were not owed, or that nobody sent.
    pub unexpected: usize,
}

impl Tally {
    /// Whether nothing was lost, came twice, in the wrong order, or from nowhere.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.misordered == 0 && self.unexpected == 0
    }
}

const HEAD_BYTES: usize = 9;

impl Ledger {
    /// Notes an event and makes its payload, `filler` bytes longer than needed.
    pub fn send(
        &mut self,
        sender: HostId,
        channel: u8,
        delivery: Delivery,
        receivers: Vec<HostId>,
        filler: usize,
    ) -> Value {
        let lane = self.sent.entry(Lane { sender, channel }).or_default();
        let number = u32::try_from(lane.len()).unwrap_or(u32::MAX);
        lane.push(Sent { delivery, receivers });
        let mut payload = Vec::with_capacity(HEAD_BYTES + filler);
        payload.extend_from_slice(&sender.number().to_be_bytes());
        payload.push(channel);
        payload.extend_from_slice(&number.to_be_bytes());
        payload.resize(HEAD_BYTES + filler, channel);
        payload.into()
    }

    /// Notes an event that came; one that is not this ledger's counts as unexpected.
    pub fn receive(&mut self, receiver: HostId, payload: &Value) {
        let Some((lane, number)) = read(payload) else {
            self.unexpected += 1;
            return;
        };
        let sent = self.sent.get(&lane).and_then(|lane| lane.get(usize::try_from(number).ok()?));
        let Some(sent) = sent.filter(|sent| sent.receivers.contains(&receiver)) else {
            self.unexpected += 1;
            return;
        };
        let received = self.received.entry((lane, receiver)).or_default();
        if !received.numbers.insert(number) {
            self.duplicated += 1;
            return;
        }
        self.arrived += 1;
        if matches!(sent.delivery, Delivery::Reliable | Delivery::Unreliable) {
            self.misordered += usize::from(received.newest.is_some_and(|newest| newest > number));
            received.newest = received.newest.max(Some(number));
        }
    }

    /// Notes that a host lost its connection: what is on the way from it and to it may be lost.
    pub fn gone(&mut self, host: HostId) {
        self.gone.insert(host);
    }

    /// How many hosts lost their connection.
    #[must_use]
    pub fn gone_count(&self) -> usize {
        self.gone.len()
    }

    /// The sum.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally {
            arrived: self.arrived,
            duplicated: self.duplicated,
            misordered: self.misordered,
            unexpected: self.unexpected,
            ..Tally::default()
        };
        for (lane, sent) in &self.sent {
            for (number, event) in (0..).zip(sent) {
                for receiver in &event.receivers {
                    tally.owed += 1;
                    let came = self.received.get(&(*lane, *receiver)).is_some_and(|r| r.numbers.contains(&number));
                    if came || self.gone.contains(&lane.sender) || self.gone.contains(receiver) {
                        continue;
                    }
                    match event.delivery {
                        Delivery::Reliable | Delivery::ReliableUnsequenced => tally.lost += 1,
                        Delivery::Unreliable | Delivery::UnreliableUnsequenced => tally.unreliable_lost += 1,
                    }
                }
            }
        }
        tally
    }
}

fn read(payload: &Value) -> Option<(Lane, u32)> {
    let Value::ByteArray(bytes) = payload else { return None };
    let (sender, rest) = bytes.split_first_chunk()?;
    let (&channel, rest) = rest.split_first()?;
    let number = rest.first_chunk()?;
    let sender = HostId::from_number(u32::from_be_bytes(*sender));
    Some((Lane { sender, channel }, u32::from_be_bytes(*number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> (HostId, HostId) {
        (HostId::from_number(0), HostId::from_number(1))
    }

    #[test]
    fn counts_what_is_lost_doubled_and_out_of_order() {
        let ((a, b), mut ledger) = (hosts(), Ledger::default());
        let mut send = |delivery| ledger.send(a, 0, delivery, vec![b], 3);
        let events: Vec<_> = [Delivery::Reliable; 3].into_iter().map(&mut send).collect();
        let unreliable = send(Delivery::Unreliable);
        drop(unreliable);
        ledger.receive(b, &events[1]);
        ledger.receive(b, &events[0]);
        ledger.receive(b, &events[0]);
        ledger.receive(a, &events[0]);
        let tally = ledger.tally();
        let expected =
            Tally { owed: 4, arrived: 2, lost: 1, unreliable_lost: 1, duplicated: 1, misordered: 1, unexpected: 1 };
        assert_eq!(tally, expected);
        assert!(!tally.is_clean());
    }

    #[test]
    fn a_host_that_is_gone_is_owed_nothing() {
        let ((a, b), mut ledger) = (hosts(), Ledger::default());
        ledger.send(a, 0, Delivery::Reliable, vec![b], 0);
        assert_eq!(ledger.tally().lost, 1);
        ledger.gone(b);
        assert!(ledger.tally().is_clean());
    }
}
