//! Messages from commands: order, copies, fragments (transports.md, sections 3.6 and 3.7).

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

use super::assembly::{Assemblies, InOrder};
use super::command::{Command, Kind, Part};
use super::config::Config;
use super::{Stats, ahead};
use crate::{Body, CloseCause, Delivery, Incoming};

/// How far ahead of a missing reliable command others are kept or remembered. Clients have 50 in flight.
pub(super) const RECEIVE_WINDOW: usize = 1024;
/// Most unreliable messages of a channel that wait for the reliable command before them.
const MAX_UNRELIABLE_HELD: usize = 64;
/// What keeping one command costs besides its bytes; keeps tiny ones from being free.
pub(super) const HELD_OVERHEAD_BYTES: usize = 64;
/// Width of the duplicate window of unsequenced messages.
const GROUP_WINDOW: u32 = u128::BITS;

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Taken.
    New,
    /// Had been taken before.
    Copy,
    /// Not taken, and not to be acknowledged.
    Refused,
}

/// A datagram's bytes at `range`, where a message or a part of it lies.
#[derive(Debug)]
enum Source<'a> {
    Input(&'a [u8], Range<usize>),
    Held(Bytes),
}

impl Source<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Input(bytes, _) => bytes,
            Self::Held(bytes) => bytes,
        }
    }

    fn into_body(self) -> Body {
        match self {
            Self::Input(_, range) => Body::Input(range),
            Self::Held(bytes) => Body::Stored(bytes),
        }
    }
}

/// A reliable command that waits for one before it.
#[derive(Debug)]
struct Held {
    bytes: Bytes,
    part: Option<Part>,
}

impl Held {
    fn cost(&self) -> usize {
        self.bytes.len() + HELD_OVERHEAD_BYTES
    }
}

/// An unreliable message that waits for the reliable command `after`.
#[derive(Debug)]
struct Loose {
    after: u32,
    number: u32,
    bytes: Bytes,
}

/// What one channel has received.
#[derive(Debug, Default)]
struct Channel {
    /// Last reliable command delivered.
    delivered: u32,
    /// Place 0 is that of `delivered + 1`.
    held: VecDeque<Option<Held>>,
    assembly: Option<InOrder>,
    /// Last unreliable message delivered.
    unreliable: u32,
    /// In order of their numbers.
    loose: Vec<Loose>,
    /// All reliable unsequenced commands up to here have come.
    unsequenced: u32,
    /// Whether those after `unsequenced` have come.
    unsequenced_seen: VecDeque<bool>,
}

/// The channels that were used, by number.
#[derive(Debug, Default)]
struct Channels(Vec<Option<Box<Channel>>>);

impl Channels {
    fn get(&mut self, number: u8) -> &mut Channel {
        let index = usize::from(number);
        if self.0.len() <= index {
            self.0.resize_with(index + 1, || None);
        }
        #[expect(clippy::indexing_slicing, reason = "the list was just made long enough")]
        self.0[index].get_or_insert_default()
    }
}

/// The receiving half of a peer.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    channels: Channels,
    held_bytes: usize,
    assemblies: Assemblies,
    group_start: u32,
    groups_seen: u128,
}

impl Receiver {
    /// Takes a command that carries a message or a part of one. Appends what it makes deliverable.
    ///
    /// # Errors
    /// The peer broke the protocol or a limit.
    pub(super) fn take(
        &mut self,
        command: &Command<'_>,
        range: Range<usize>,
        config: &Config,
        stats: &mut Stats,
        incoming: &mut Vec<Incoming>,
    ) -> Result<Arrival, CloseCause> {
        let mut turn = Turn { receiver: self, config, stats, incoming, channel: command.channel };
        let source = Source::Input(command.payload, range);
        match command.kind {
            Kind::Reliable => turn.sequenced(command.sequence, None, source),
            Kind::Fragment(part) => {
                turn.check(command.sequence, part, command.payload.len())?;
                turn.sequenced(command.sequence, Some(part), source)
            }
            Kind::Unreliable { number } => Ok(turn.unreliable(command.sequence, number, source)),
            Kind::Unsequenced { group } => Ok(turn.unsequenced(group, source)),
            Kind::ReliableUnsequenced => Ok(turn.reliable_unsequenced(command.sequence, source)),
            Kind::FragmentUnsequenced(part) => {
                turn.check(command.sequence, part, command.payload.len())?;
                turn.fragment_unsequenced(command.sequence, part, source.bytes())
            }
            _ => Ok(Arrival::Refused),
        }
    }

    #[cfg(test)]
    pub(super) fn start_at(&mut self, channel: u8, number: u32) {
        *self.channels.get(channel) =
            Channel { delivered: number, unreliable: number, unsequenced: number, ..Channel::default() };
        self.group_start = number;
    }
}

/// One command being taken.
struct Turn<'a> {
    receiver: &'a mut Receiver,
    config: &'a Config,
    stats: &'a mut Stats,
    incoming: &'a mut Vec<Incoming>,
    channel: u8,
}

impl Turn<'_> {
    fn channel(&mut self) -> &mut Channel {
        self.receiver.channels.get(self.channel)
    }

    fn deliver(&mut self, delivery: Delivery, body: Body) {
        self.incoming.push(Incoming::Message { channel: self.channel, delivery, body });
    }

    /// Refuses a fragment that contradicts itself.
    fn check(&self, sequence: u32, part: Part, payload_bytes: usize) -> Result<(), CloseCause> {
        let total = usize::try_from(part.total_bytes).unwrap_or(usize::MAX);
        if total > self.config.wire.message_bytes {
            return Err(CloseCause::Limit("bytes of a fragmented message"));
        }
        let end = usize::try_from(part.offset).unwrap_or(usize::MAX).saturating_add(payload_bytes);
        let right = part.number < part.count
            && part.count <= part.total_bytes
            && end <= total
            && part.start.wrapping_add(part.number) == sequence;
        if right {
            Ok(())
        } else {
            Err(CloseCause::Violation(format!("expected a fragment within its message, found {part:?} as {sequence}")))
        }
    }

    fn sequenced(&mut self, sequence: u32, part: Option<Part>, source: Source<'_>) -> Result<Arrival, CloseCause> {
        let channel = self.receiver.channels.get(self.channel);
        let distance = ahead(channel.delivered, sequence);
        if distance <= 0 {
            return Ok(Arrival::Copy);
        }
        if distance == 1 {
            self.release(part, source)?;
            while let Some(Some(held)) = self.channel().held.front_mut().map(Option::take) {
                self.receiver.held_bytes -= held.cost();
                self.release(held.part, Source::Held(held.bytes))?;
            }
            return Ok(Arrival::New);
        }
        let index = usize::try_from(distance - 1).unwrap_or(usize::MAX);
        if index >= RECEIVE_WINDOW {
            self.stats.beyond_window += 1;
            return Ok(Arrival::Refused);
        }
        if channel.held.get(index).is_some_and(Option::is_some) {
            return Ok(Arrival::Copy);
        }
        let held = Held { bytes: Bytes::copy_from_slice(source.bytes()), part };
        if self.receiver.held_bytes + held.cost() > self.config.held_bytes {
            self.stats.held_full += 1;
            return Ok(Arrival::Refused);
        }
        self.receiver.held_bytes += held.cost();
        let places = &mut self.channel().held;
        if places.len() <= index {
            places.resize_with(index + 1, || None);
        }
        if let Some(place) = places.get_mut(index) {
            *place = Some(held);
        }
        Ok(Arrival::New)
    }

    /// Delivers the next reliable command of the channel, and the unreliable messages that waited for it.
    fn release(&mut self, part: Option<Part>, source: Source<'_>) -> Result<(), CloseCause> {
        let limit = self.config.reassembly_bytes;
        let channel = self.receiver.channels.get(self.channel);
        channel.delivered = channel.delivered.wrapping_add(1);
        channel.held.pop_front();
        let whole = match part {
            None if channel.assembly.is_none() => Some(source.into_body()),
            None => {
                return Err(CloseCause::Violation("expected the rest of a fragmented message, found another".into()));
            }
            Some(part) => {
                let bytes = source.bytes();
                self.receiver.assemblies.charge(bytes.len(), limit)?;
                InOrder::append(&mut channel.assembly, part, bytes)?.map(|message| {
                    self.receiver.assemblies.refund(message.len());
                    Body::Stored(Bytes::from(message))
                })
            }
        };
        if let Some(body) = whole {
            self.deliver(Delivery::Reliable, body);
        }
        self.release_loose();
        Ok(())
    }

    fn release_loose(&mut self) {
        let channel = self.receiver.channels.get(self.channel);
        while let Some(first) = channel.loose.first() {
            let distance = ahead(channel.delivered, first.after);
            if distance > 0 {
                break;
            }
            let loose = channel.loose.remove(0);
            self.receiver.held_bytes -= loose.bytes.len() + HELD_OVERHEAD_BYTES;
            if distance < 0 {
                self.stats.unreliable_dropped_in += 1;
                continue;
            }
            channel.unreliable = loose.number;
            self.incoming.push(Incoming::Message {
                channel: self.channel,
                delivery: Delivery::Unreliable,
                body: Body::Stored(loose.bytes),
            });
        }
    }

    fn unreliable(&mut self, after: u32, number: u32, source: Source<'_>) -> Arrival {
        let channel = self.receiver.channels.get(self.channel);
        let distance = ahead(channel.delivered, after);
        if distance < 0 || ahead(channel.unreliable, number) <= 0 {
            self.stats.unreliable_dropped_in += 1;
            return Arrival::Copy;
        }
        if distance == 0 {
            channel.unreliable = number;
            self.deliver(Delivery::Unreliable, source.into_body());
            return Arrival::New;
        }
        let place = channel.loose.binary_search_by(|loose| ahead(number, loose.number).cmp(&0));
        let cost = source.bytes().len() + HELD_OVERHEAD_BYTES;
        let (Err(place), true, true) = (
            place,
            channel.loose.len() < MAX_UNRELIABLE_HELD,
            self.receiver.held_bytes + cost <= self.config.held_bytes,
        ) else {
            self.stats.unreliable_dropped_in += 1;
            return Arrival::Copy;
        };
        let loose = Loose { after, number, bytes: Bytes::copy_from_slice(source.bytes()) };
        channel.loose.insert(place, loose);
        self.receiver.held_bytes += cost;
        Arrival::New
    }

    fn unsequenced(&mut self, group: u32, source: Source<'_>) -> Arrival {
        let receiver = &mut *self.receiver;
        let distance = ahead(receiver.group_start, group);
        let Ok(mut place) = u32::try_from(distance) else {
            self.stats.unreliable_dropped_in += 1;
            return Arrival::Copy;
        };
        if place >= GROUP_WINDOW {
            receiver.group_start = group - group % GROUP_WINDOW;
            receiver.groups_seen = 0;
            place = group % GROUP_WINDOW;
        }
        let bit = 1u128 << place;
        if receiver.groups_seen & bit != 0 {
            self.stats.unreliable_dropped_in += 1;
            return Arrival::Copy;
        }
        receiver.groups_seen |= bit;
        self.deliver(Delivery::UnreliableUnsequenced, source.into_body());
        Arrival::New
    }

    fn reliable_unsequenced(&mut self, sequence: u32, source: Source<'_>) -> Arrival {
        let arrival = self.mark_unsequenced(sequence);
        if arrival == Arrival::New {
            self.deliver(Delivery::ReliableUnsequenced, source.into_body());
        }
        arrival
    }

    fn fragment_unsequenced(&mut self, sequence: u32, part: Part, bytes: &[u8]) -> Result<Arrival, CloseCause> {
        let arrival = self.mark_unsequenced(sequence);
        if arrival == Arrival::New {
            let limit = self.config.reassembly_bytes;
            if let Some(message) = self.receiver.assemblies.insert(self.channel, part, bytes, limit)? {
                self.deliver(Delivery::ReliableUnsequenced, Body::Stored(message));
            }
        }
        Ok(arrival)
    }

    /// Remembers that a reliable unsequenced command has come.
    fn mark_unsequenced(&mut self, sequence: u32) -> Arrival {
        let channel = self.receiver.channels.get(self.channel);
        let Some(index) = usize::try_from(ahead(channel.unsequenced, sequence)).ok().and_then(|d| d.checked_sub(1))
        else {
            return Arrival::Copy;
        };
        if index >= RECEIVE_WINDOW {
            self.stats.beyond_window += 1;
            return Arrival::Refused;
        }
        let seen = &mut channel.unsequenced_seen;
        if seen.len() <= index {
            seen.resize(index + 1, false);
        }
        match seen.get_mut(index) {
            Some(seen) if !*seen => *seen = true,
            _ => return Arrival::Copy,
        }
        while seen.front() == Some(&true) {
            seen.pop_front();
            channel.unsequenced = channel.unsequenced.wrapping_add(1);
        }
        Arrival::New
    }
}
