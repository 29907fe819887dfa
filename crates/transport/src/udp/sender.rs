//! Commands to datagrams: first sends, resends and the limits on both (transports.md, section 3.8).

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::command::{CONTROL_CHANNEL, Command, DatagramWriter, Kind, Part, RELIABLE, RESERVED, UNSEQUENCED};
use super::config::Config;
use super::lane::{Flight, Lane, Progress, Purpose, Slot};
use super::rtt::Rtt;
use super::timer::{Timer, Timers};
use super::{Stats, ahead};
use crate::Delivery;

/// Bytes of a datagram that a message must leave: its header with checksum and the header of a fragment.
const FRAGMENT_ROOM: usize = 48;
/// From this many unacknowledged commands on no resend is a quick one.
const MANY_UNACKNOWLEDGED: usize = 25;

/// A set of channel numbers.
#[derive(Clone, Copy, Debug, Default)]
struct ChannelSet([u64; 4]);

#[expect(clippy::indexing_slicing, reason = "256 bits have a place for every channel")]
impl ChannelSet {
    fn insert(&mut self, channel: u8) {
        self.0[usize::from(channel >> 6)] |= 1 << (channel & 63);
    }

    fn remove(&mut self, channel: u8) {
        self.0[usize::from(channel >> 6)] &= !(1 << (channel & 63));
    }

    fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// The first member from `start` on.
    fn at_or_after(&self, start: u8) -> Option<u8> {
        let mut word = start >> 6;
        let mut bits = self.0[usize::from(word)] & (u64::MAX << (start & 63));
        loop {
            if bits != 0 {
                #[expect(clippy::cast_possible_truncation, reason = "a bit's number is below 64")]
                return Some((word << 6) | bits.trailing_zeros() as u8);
            }
            word += 1;
            bits = *self.0.get(usize::from(word))?;
        }
    }
}

/// What one channel sends.
#[derive(Debug)]
struct Channel {
    sequenced: Lane,
    unsequenced: Lane,
    unreliable: u32,
    loose: VecDeque<Loose>,
}

impl Channel {
    fn new() -> Self {
        Self {
            sequenced: Lane::starting_at(1),
            unsequenced: Lane::starting_at(1),
            unreliable: 0,
            loose: VecDeque::new(),
        }
    }
}

/// An unreliable message that is sent in this turn or never.
#[derive(Debug)]
struct Loose {
    kind: Kind,
    /// The last reliable command queued ahead of it on its channel; 0 where order does not matter.
    sequence: u32,
    payload: Bytes,
}

impl Loose {
    /// Whether it may be written ahead of the reliable command with that number. One that was queued ahead of it must:
    /// behind it, it would be dropped as overtaken.
    fn is_ahead_of(&self, number: u32) -> bool {
        matches!(self.kind, Kind::Unsequenced { .. }) || ahead(self.sequence, number) > 0
    }
}

/// What all lanes share while they are written or acknowledged.
#[derive(Debug)]
struct Flow {
    rtt: Rtt,
    queued_bytes: usize,
    loose_bytes: usize,
    in_transit_bytes: usize,
    unacknowledged: usize,
}

/// The sending half of a peer.
#[derive(Debug)]
pub(super) struct Sender {
    control: Lane,
    channels: Vec<Option<Box<Channel>>>,
    /// Channels with commands to send; [`CONTROL_CHANNEL`] for the control lane.
    ready: ChannelSet,
    /// Where the next datagram begins to look, so that no channel starves another.
    cursor: u8,
    /// Channels with unreliable messages to send.
    loose: ChannelSet,
    group: u32,
    flow: Flow,
    period_start: Duration,
    period_bytes: usize,
}

/// What writing commands did with the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Left,
    None,
}

impl Sender {
    /// `control` is the number of the first command on the control channel.
    pub(super) fn new(control: u32) -> Self {
        Self {
            control: Lane::starting_at(control),
            channels: Vec::new(),
            ready: ChannelSet::default(),
            cursor: 0,
            loose: ChannelSet::default(),
            group: 0,
            flow: Flow { rtt: Rtt::new(), queued_bytes: 0, loose_bytes: 0, in_transit_bytes: 0, unacknowledged: 0 },
            period_start: Duration::ZERO,
            period_bytes: 0,
        }
    }

    pub(super) fn rtt(&self) -> &Rtt {
        &self.flow.rtt
    }

    pub(super) fn rtt_mut(&mut self) -> &mut Rtt {
        &mut self.flow.rtt
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.flow.queued_bytes
    }

    /// Whether nothing is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.flow.unacknowledged == 0
    }

    fn channel(&mut self, number: u8) -> &mut Channel {
        let index = usize::from(number);
        if self.channels.len() <= index {
            self.channels.resize_with(index + 1, || None);
        }
        #[expect(clippy::indexing_slicing, reason = "the list was just made long enough")]
        self.channels[index].get_or_insert_with(|| Box::new(Channel::new()))
    }

    /// The number that the next command of the connection itself gets.
    pub(super) fn next_control(&self) -> u32 {
        self.control.last().wrapping_add(1)
    }

    /// Queues a command of the connection itself; gives its number.
    pub(super) fn push_control(&mut self, purpose: Purpose, payload: Bytes) -> u32 {
        self.flow.queued_bytes += payload.len();
        self.ready.insert(CONTROL_CHANNEL);
        self.control.push(purpose, payload)
    }

    /// Queues a message; what is too long for a datagram of `mtu` bytes becomes fragments, which are always reliable.
    pub(super) fn push_message(
        &mut self,
        channel: u8,
        delivery: Delivery,
        message: &Bytes,
        mtu: usize,
        config: &Config,
        stats: &mut Stats,
    ) {
        let unsequenced = matches!(delivery, Delivery::ReliableUnsequenced | Delivery::UnreliableUnsequenced);
        if message.len() > mtu.saturating_sub(FRAGMENT_ROOM) {
            self.push_fragments(channel, unsequenced, message, mtu.saturating_sub(FRAGMENT_ROOM).max(1));
            return;
        }
        match delivery {
            Delivery::Reliable | Delivery::ReliableUnsequenced => {
                self.flow.queued_bytes += message.len();
                self.lane(channel, unsequenced).push(Purpose::Message, message.clone());
                self.ready.insert(channel);
            }
            Delivery::Unreliable | Delivery::UnreliableUnsequenced => {
                if self.flow.loose_bytes + message.len() > config.period_bytes {
                    stats.unreliable_dropped_out += 1;
                    return;
                }
                self.flow.loose_bytes += message.len();
                self.loose.insert(channel);
                let (kind, sequence) = self.number_loose(channel, unsequenced);
                self.channel(channel).loose.push_back(Loose { kind, sequence, payload: message.clone() });
            }
        }
    }

    fn number_loose(&mut self, channel: u8, unsequenced: bool) -> (Kind, u32) {
        if unsequenced {
            self.group = self.group.wrapping_add(1);
            return (Kind::Unsequenced { group: self.group }, 0);
        }
        let channel = self.channel(channel);
        channel.unreliable = channel.unreliable.wrapping_add(1);
        (Kind::Unreliable { number: channel.unreliable }, channel.sequenced.last())
    }

    fn push_fragments(&mut self, channel: u8, unsequenced: bool, message: &Bytes, piece: usize) {
        self.flow.queued_bytes += message.len();
        self.ready.insert(channel);
        let lane = self.lane(channel, unsequenced);
        let start = lane.last().wrapping_add(1);
        let number_of = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        for offset in (0..message.len()).step_by(piece) {
            let part = Part {
                start,
                count: number_of(message.len().div_ceil(piece)),
                number: number_of(offset / piece),
                total_bytes: number_of(message.len()),
                offset: number_of(offset),
            };
            let end = message.len().min(offset + piece);
            lane.push(Purpose::Fragment(part), message.slice(offset..end));
        }
    }

    fn lane(&mut self, channel: u8, unsequenced: bool) -> &mut Lane {
        if channel == CONTROL_CHANNEL {
            return &mut self.control;
        }
        let channel = self.channel(channel);
        if unsequenced { &mut channel.unsequenced } else { &mut channel.sequenced }
    }

    /// Takes an acknowledgement; gives what it acknowledged, `None` if nothing like it is in flight.
    pub(super) fn acknowledge(&mut self, channel: u8, unsequenced: bool, number: u32) -> Option<Purpose> {
        let lane = match self.channels.get_mut(usize::from(channel)) {
            _ if channel == CONTROL_CHANNEL => &mut self.control,
            Some(Some(channel)) if unsequenced => &mut channel.unsequenced,
            Some(Some(channel)) => &mut channel.sequenced,
            _ => return None,
        };
        let (purpose, bytes) = lane.acknowledge(number)?;
        self.flow.landed(bytes);
        Some(purpose)
    }

    /// Forgets everything that waits or is in flight.
    pub(super) fn discard(&mut self) {
        self.control.clear();
        self.channels.clear();
        self.ready = ChannelSet::default();
        self.loose = ChannelSet::default();
        self.flow = Flow { queued_bytes: 0, loose_bytes: 0, in_transit_bytes: 0, unacknowledged: 0, ..self.flow };
    }

    /// Makes commands due whose time has come, and sets the timer for the next ones.
    ///
    /// Gives whether the peer is to be given up. `heard_at` is when it last sent anything: a peer that is heard is not
    /// given up over a ping, whose acknowledgement clients may send under a wrong number.
    pub(super) fn sweep(
        &mut self,
        now: Duration,
        heard_at: Duration,
        config: &Config,
        stats: &mut Stats,
        timers: &mut Timers,
    ) -> bool {
        let silence = now.saturating_sub(heard_at);
        let mut given_up = false;
        let mut lost_ping = None;
        let lanes =
            self.channels.iter_mut().zip(0u8..).filter_map(|(channel, number)| Some((channel.as_mut()?, number)));
        let lanes =
            lanes.flat_map(|(channel, number)| [(&mut channel.sequenced, number), (&mut channel.unsequenced, number)]);
        for (lane, channel) in lanes.chain([(&mut self.control, CONTROL_CHANNEL)]) {
            if !lane.has_flights() {
                continue;
            }
            lane.visit_flights(|number, slot, flight| {
                if flight.resend_at > now {
                    timers.set_earlier(Timer::Resend, flight.resend_at);
                    return false;
                }
                let waited = now.saturating_sub(flight.first_sent);
                let tried = flight.sends > config.sends;
                let ping = slot.purpose == Purpose::Ping;
                if ping && tried && silence < config.timeout_min {
                    lost_ping = Some(number);
                    return false;
                }
                let silent = tried && waited >= config.timeout_min && silence >= config.timeout_min;
                given_up |= silent || (waited >= config.timeout_max && !(ping && silence < config.timeout_max));
                true
            });
            if lane.has_work() {
                self.ready.insert(channel);
            }
        }
        if let Some(number) = lost_ping {
            stats.pings_abandoned += 1;
            self.acknowledge(CONTROL_CHANNEL, false, number);
        }
        given_up
    }

    /// Whether [`Sender::fill`] may have something to write.
    pub(super) fn has_work(&self) -> bool {
        !self.ready.is_empty() || !self.loose.is_empty()
    }

    /// Writes what may be sent now into a datagram: resends, then new commands, each channel's in the order they were
    /// queued.
    pub(super) fn fill(
        &mut self,
        now: Duration,
        writer: &mut DatagramWriter<'_>,
        config: &Config,
        stats: &mut Stats,
        timers: &mut Timers,
    ) {
        if now.saturating_sub(self.period_start) >= config.period {
            (self.period_start, self.period_bytes) = (now, 0);
        }
        if self.period_bytes >= config.period_bytes {
            self.drop_loose(stats);
            if !self.ready.is_empty() {
                timers.set(Timer::Rate, self.period_start + config.period);
            }
            return;
        }
        let mut turn = Turn { now, writer, config, stats, timers, flow: &mut self.flow };
        if turn.write_ready(&mut self.control, &mut self.channels, &mut self.ready, &mut self.cursor) == Room::None {
            return;
        }
        while let Some(number) = self.loose.at_or_after(0) {
            let channel = self.channels.get_mut(usize::from(number)).and_then(Option::as_mut);
            let Some(channel) = channel else { break };
            if turn.write_loose(&mut channel.loose, number, |_| true) == Room::None {
                return;
            }
            self.loose.remove(number);
        }
    }

    /// Drops the unreliable messages that wait: their turn is over.
    fn drop_loose(&mut self, stats: &mut Stats) {
        for channel in self.channels.iter_mut().flatten() {
            stats.unreliable_dropped_out += u64::try_from(channel.loose.len()).unwrap_or(u64::MAX);
            channel.loose.clear();
        }
        self.loose = ChannelSet::default();
        self.flow.loose_bytes = 0;
    }

    /// Counts a finished datagram against the transmit rate.
    pub(super) fn transmitted(&mut self, bytes: usize) {
        self.period_bytes = self.period_bytes.saturating_add(bytes);
    }

    #[cfg(test)]
    pub(super) fn start_at(&mut self, channel: u8, number: u32) {
        *self.channel(channel) = Channel {
            sequenced: Lane::starting_at(number.wrapping_add(1)),
            unsequenced: Lane::starting_at(number.wrapping_add(1)),
            unreliable: number,
            loose: VecDeque::new(),
        };
        self.group = number;
    }
}

impl Flow {
    fn landed(&mut self, bytes: usize) {
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
        self.in_transit_bytes = self.in_transit_bytes.saturating_sub(bytes);
        self.unacknowledged = self.unacknowledged.saturating_sub(1);
    }
}

/// One datagram being filled.
struct Turn<'a, 'b> {
    now: Duration,
    writer: &'a mut DatagramWriter<'b>,
    config: &'a Config,
    stats: &'a mut Stats,
    timers: &'a mut Timers,
    flow: &'a mut Flow,
}

impl Turn<'_, '_> {
    /// Writes the reliable commands of every channel that has some, starting behind the one that was last cut short.
    fn write_ready(
        &mut self,
        control: &mut Lane,
        channels: &mut [Option<Box<Channel>>],
        ready: &mut ChannelSet,
        cursor: &mut u8,
    ) -> Room {
        let start = *cursor;
        let mut next = ready.at_or_after(start);
        let mut wrapped = false;
        loop {
            let Some(number) = next.filter(|number| !wrapped || *number < start) else {
                if wrapped || start == 0 {
                    return Room::Left;
                }
                wrapped = true;
                next = ready.at_or_after(0);
                continue;
            };
            let channel = channels.get_mut(usize::from(number)).and_then(Option::as_mut);
            let (room, work) = match channel {
                Some(channel) if number != CONTROL_CHANNEL => {
                    let mut room = self.write_lane(&mut channel.sequenced, Some(&mut channel.loose), number, false);
                    if room == Room::Left {
                        room = self.write_lane(&mut channel.unsequenced, None, number, true);
                    }
                    (room, channel.sequenced.has_work() || channel.unsequenced.has_work())
                }
                _ => (self.write_lane(control, None, number, false), control.has_work()),
            };
            if !work {
                ready.remove(number);
            }
            if room == Room::None {
                *cursor = number.wrapping_add(1);
                return Room::None;
            }
            next = number.checked_add(1).and_then(|number| ready.at_or_after(number));
        }
    }

    /// Writes the unreliable messages at the front of a channel's queue for as long as `may_go` says so.
    fn write_loose(&mut self, queue: &mut VecDeque<Loose>, channel: u8, may_go: impl Fn(&Loose) -> bool) -> Room {
        while let Some(loose) = queue.front().filter(|loose| may_go(loose)) {
            let Loose { kind, sequence, ref payload } = *loose;
            let flags = if matches!(kind, Kind::Unsequenced { .. }) { UNSEQUENCED } else { 0 };
            if !self.writer.push(&Command { kind, channel, flags, reserved: RESERVED, sequence, payload }) {
                return Room::None;
            }
            self.flow.loose_bytes -= payload.len();
            queue.pop_front();
        }
        Room::Left
    }

    /// Writes the commands of a lane. `loose` are the unreliable messages that must not be overtaken by them.
    fn write_lane(
        &mut self,
        lane: &mut Lane,
        mut loose: Option<&mut VecDeque<Loose>>,
        channel: u8,
        unsequenced: bool,
    ) -> Room {
        while let Some((number, slot)) = lane.next_due() {
            let Progress::InFlight(flight) = slot.progress else { break };
            if !push(self.writer, slot, channel, unsequenced, number) {
                return Room::None;
            }
            let flight = self.again(flight);
            lane.restarted(number, flight);
            self.stats.resends += 1;
        }
        while let Some((number, slot)) = lane.next_waiting() {
            let bytes = slot.payload.len();
            if self.flow.in_transit_bytes + bytes > self.config.in_transit_bytes && self.flow.in_transit_bytes > 0 {
                break;
            }
            if let Some(loose) = loose.as_deref_mut()
                && self.write_loose(loose, channel, |loose| loose.is_ahead_of(number)) == Room::None
            {
                return Room::None;
            }
            if !push(self.writer, slot, channel, unsequenced, number) {
                return Room::None;
            }
            self.flow.in_transit_bytes += bytes;
            self.flow.unacknowledged += 1;
            let flight = self.first();
            lane.started(flight);
        }
        Room::Left
    }

    fn first(&mut self) -> Flight {
        let timeout = self.flow.rtt.resend_after().max(self.config.resend_min);
        let resend_at = self.now + timeout;
        self.timers.set_earlier(Timer::Resend, resend_at);
        Flight { first_sent: self.now, resend_at, timeout, sends: 1, due: false }
    }

    fn again(&mut self, flight: Flight) -> Flight {
        let slower = flight.sends > self.config.quick_resends || self.flow.unacknowledged >= MANY_UNACKNOWLEDGED;
        let timeout = if slower { (flight.timeout * 2).min(self.config.resend_max) } else { flight.timeout };
        let give_up = (flight.first_sent + self.config.timeout_max).max(self.now + Duration::from_millis(1));
        let resend_at = (self.now + timeout).min(give_up);
        self.timers.set_earlier(Timer::Resend, resend_at);
        Flight { resend_at, timeout, sends: flight.sends + 1, due: false, ..flight }
    }
}

fn push(writer: &mut DatagramWriter<'_>, slot: &Slot, channel: u8, unsequenced: bool, sequence: u32) -> bool {
    let (kind, reserved) = match slot.purpose {
        Purpose::Message if unsequenced => (Kind::ReliableUnsequenced, RESERVED),
        Purpose::Message => (Kind::Reliable, RESERVED),
        Purpose::Fragment(part) if unsequenced => (Kind::FragmentUnsequenced(part), RESERVED),
        Purpose::Fragment(part) => (Kind::Fragment(part), RESERVED),
        Purpose::Connect => (Kind::Connect, RESERVED),
        Purpose::Disconnect { reason } => (Kind::Disconnect, reason),
        Purpose::Ping => (Kind::Ping, RESERVED),
        Purpose::ServerTime => (Kind::ServerTime, RESERVED),
    };
    let flags = if unsequenced { RELIABLE | UNSEQUENCED } else { RELIABLE };
    writer.push(&Command { kind, channel, flags, reserved, sequence, payload: &slot.payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_set_gives_its_members_in_order() {
        let mut set = ChannelSet::default();
        for channel in [0, 63, 64, 200, 255] {
            set.insert(channel);
        }
        set.remove(64);
        assert_eq!(set.at_or_after(0), Some(0));
        assert_eq!(set.at_or_after(1), Some(63));
        assert_eq!(set.at_or_after(64), Some(200));
        assert_eq!(set.at_or_after(201), Some(255));
        set.remove(255);
        assert_eq!(set.at_or_after(201), None);
    }
}
