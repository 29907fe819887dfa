//! What a datagram does to a peer.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use super::super::Protection;
use super::super::command::{CONTROL_CHANNEL, Command, ConnectParameters, Datagram, Header, Kind, RELIABLE};
use super::super::lane::Purpose;
use super::super::receiver::Arrival;
use super::{Ack, DisconnectReason, Peer, Phase, Role, Timer};
use crate::init::{self, INIT_RESPONSE};
use crate::{CloseCause, Delivery, Incoming};

/// Most acknowledgements queued between two calls of `poll_transmit`.
const MAX_ACKS: usize = 1024;
/// The number of the listener's verifyConnect on the control channel.
const VERIFY_CONNECT: u32 = 1;
/// Magic and type of the init response; what follows them is of no meaning.
const INIT_RESPONSE_HEAD: &[u8] = INIT_RESPONSE.split_at(2).0;

impl Peer {
    /// Takes a datagram. Gives whether it made progress: it brought a reliable command that had not come before, or
    /// acknowledged something in flight. Only such a datagram may move a peer to another address.
    pub fn receive(&mut self, now: Duration, datagram: &[u8], incoming: &mut Vec<Incoming>) -> bool {
        incoming.extend(self.report.take().map(Incoming::Closed));
        if matches!(self.phase, Phase::Closing | Phase::Finished) {
            return false;
        }
        self.stats.datagrams_in += 1;
        let parsed = match Datagram::parse(datagram) {
            // With a checksum agreed on, one without would let damage through.
            Ok(parsed) if parsed.header.protection == self.protection || self.protection == Protection::Plain => parsed,
            _ => {
                self.stats.datagrams_invalid += 1;
                return false;
            }
        };
        if !self.is_ours(&parsed.header) {
            self.stats.datagrams_foreign += 1;
            return false;
        }
        self.heard_at = now;
        let mut progress = false;
        for command in parsed.commands() {
            let Ok((range, command)) = command else {
                self.stats.commands_malformed += 1;
                break;
            };
            let outcome = self.execute(now, datagram, &parsed.header, range, &command, incoming);
            progress |= outcome.unwrap_or_else(|cause| {
                self.close(cause, DisconnectReason::ServerLogic);
                false
            });
            if matches!(self.phase, Phase::Closing | Phase::Finished) {
                break;
            }
        }
        incoming.extend(self.report.take().map(Incoming::Closed));
        progress
    }

    fn is_ours(&self, header: &Header) -> bool {
        let id_fits = match self.role {
            Role::Server { peer_id } => header.peer_id == peer_id,
            // Clients do not look at the id in the server's datagrams.
            Role::Client { .. } => true,
        };
        header.challenge == self.challenge && id_fits
    }

    /// Gives whether the command made progress.
    fn execute(
        &mut self,
        now: Duration,
        datagram: &[u8],
        header: &Header,
        range: Range<usize>,
        command: &Command<'_>,
        incoming: &mut Vec<Incoming>,
    ) -> Result<bool, CloseCause> {
        match command.kind {
            Kind::Ack { unsequenced, acked, sent_ms } => {
                Ok(self.acknowledged(now, header, command.channel, unsequenced, acked, sent_ms))
            }
            Kind::Ping | Kind::ServerTime => {
                self.queue_ack(header, command);
                Ok(false)
            }
            Kind::VerifyConnect => {
                self.verified(command, header);
                Ok(false)
            }
            Kind::Disconnect => {
                self.queue_ack(header, command);
                self.closed_by_peer(command.reserved);
                Ok(false)
            }
            Kind::Connect | Kind::Unknown(_) => {
                self.stats.commands_unknown += 1;
                Ok(false)
            }
            _ => self.message(datagram, header, range, command, incoming),
        }
    }

    fn message(
        &mut self,
        datagram: &[u8],
        header: &Header,
        range: Range<usize>,
        command: &Command<'_>,
        incoming: &mut Vec<Incoming>,
    ) -> Result<bool, CloseCause> {
        if !self.has_channel(command.channel) {
            self.stats.channel_out_of_range += 1;
            return Ok(false);
        }
        if matches!(self.phase, Phase::Connecting { .. }) {
            self.stats.commands_unknown += 1;
            return Ok(false);
        }
        let before = incoming.len();
        let arrival = self.receiver.take(command, range, &self.config, &mut self.stats, incoming);
        if matches!(self.phase, Phase::Disconnecting) {
            incoming.truncate(before);
        }
        let arrival = arrival?;
        let reliable = !matches!(command.kind, Kind::Unreliable { .. } | Kind::Unsequenced { .. });
        if reliable && arrival == Arrival::Copy {
            self.stats.duplicates += 1;
        }
        if reliable && arrival != Arrival::Refused {
            self.queue_ack(header, command);
        }
        while before < incoming.len() && matches!(self.phase, Phase::AwaitingInit | Phase::AwaitingAnswer { .. }) {
            let opened = self.open(datagram, incoming.get(before));
            match opened {
                Ok(opened) => incoming.splice(before..=before, [opened]),
                Err(cause) => {
                    incoming.truncate(before);
                    return Err(cause);
                }
            };
        }
        Ok(reliable && arrival == Arrival::New)
    }

    fn has_channel(&mut self, channel: u8) -> bool {
        if channel == CONTROL_CHANNEL {
            return false;
        }
        if channel >= self.channels && self.channels_assumed {
            self.channels = channel + 1;
        }
        channel < self.channels
    }

    /// The first message decides whether the connection opens.
    fn open(&mut self, datagram: &[u8], first: Option<&Incoming>) -> Result<Incoming, CloseCause> {
        let Some(Incoming::Message { channel: 0, delivery: Delivery::Reliable, body }) = first else {
            return Err(CloseCause::Violation(format!("expected the opening message on channel 0, found {first:?}")));
        };
        let bytes = body.bytes(datagram);
        match std::mem::replace(&mut self.phase, Phase::Open) {
            Phase::AwaitingAnswer { init } if bytes.starts_with(INIT_RESPONSE_HEAD) => {
                self.timers.stop(Timer::Opening);
                self.fetch_server_time();
                Ok(Incoming::Opened(init))
            }
            Phase::AwaitingAnswer { .. } => {
                let found = bytes.get(..2);
                Err(CloseCause::Violation(format!(
                    "expected the init response {INIT_RESPONSE_HEAD:02x?}, found {found:02x?}"
                )))
            }
            _ => {
                let init = init::parse(bytes, &self.config.wire)?;
                self.timers.stop(Timer::Opening);
                self.queue(0, Delivery::Reliable, &Bytes::from_static(&INIT_RESPONSE));
                Ok(Incoming::Opened(Box::new(init)))
            }
        }
    }

    fn acknowledged(
        &mut self,
        now: Duration,
        header: &Header,
        channel: u8,
        unsequenced: bool,
        number: u32,
        sent_ms: i32,
    ) -> bool {
        let sample_ms = self.clock_ms(now).wrapping_sub(sent_ms);
        if matches!(self.phase, Phase::Connecting { .. }) {
            // Of connect, which is over when verifyConnect comes: they may come apart.
            self.sender.rtt_mut().start_with(sample_ms);
            return false;
        }
        if matches!(self.phase, Phase::AwaitingInit) && (channel, number) == (CONTROL_CHANNEL, VERIFY_CONNECT) {
            // Of the listener's verifyConnect. Without it the estimate stays near its start for long, since a client
            // that pings by itself is never pinged, and a client that vanishes is missed late.
            self.sender.rtt_mut().start_with(sample_ms);
            return false;
        }
        let Some(purpose) = self.sender.acknowledge(channel, unsequenced, number) else {
            self.stats.acks_unknown += 1;
            return false;
        };
        self.acknowledged_at = now;
        self.sender.rtt_mut().update(sample_ms);
        match purpose {
            Purpose::Disconnect { .. } => self.finish(),
            Purpose::ServerTime => self.synchronize(now, header.sent_ms, sample_ms),
            _ => {}
        }
        true
    }

    /// Takes the server's time from the acknowledgement of a server time command; asks again if the way took longer
    /// than usual.
    fn synchronize(&mut self, now: Duration, server_ms: i32, rtt_ms: i32) {
        if rtt_ms > self.sender.rtt().smoothed_ms() {
            self.fetch_server_time();
            return;
        }
        let local_ms = self.clock_ms(now);
        if let Role::Client { server_offset_ms, .. } = &mut self.role {
            *server_offset_ms = Some(server_ms.wrapping_add(rtt_ms / 2).wrapping_sub(local_ms));
        }
    }

    fn verified(&mut self, command: &Command<'_>, header: &Header) {
        let (Role::Client { peer_id, .. }, Some(parameters)) =
            (&mut self.role, ConnectParameters::parse(command.payload))
        else {
            self.stats.commands_unknown += 1;
            return;
        };
        self.phase = match std::mem::replace(&mut self.phase, Phase::Open) {
            Phase::Connecting { init_message, init } => {
                *peer_id = parameters.peer_id;
                self.sender.acknowledge(CONTROL_CHANNEL, false, 1);
                self.queue(0, Delivery::Reliable, &init_message);
                self.timers.set(Timer::Opening, self.heard_at + self.config.opening_timeout);
                Phase::AwaitingAnswer { init }
            }
            // A copy; its peer id does not matter any more.
            other => other,
        };
        self.queue_ack(header, command);
    }

    fn queue_ack(&mut self, header: &Header, command: &Command<'_>) {
        if command.flags & RELIABLE == 0 {
            return;
        }
        // Clients break at a channel that they do not have, in an acknowledgement too.
        if command.channel != CONTROL_CHANNEL && command.channel >= self.channels {
            self.stats.channel_out_of_range += 1;
            return;
        }
        if self.acks.len() >= MAX_ACKS {
            self.stats.acks_dropped += 1;
            return;
        }
        self.acks.push(Ack {
            channel: command.channel,
            unsequenced: matches!(command.kind, Kind::ReliableUnsequenced | Kind::FragmentUnsequenced(_)),
            number: command.sequence,
            sent_ms: header.sent_ms,
        });
        let waits = matches!(self.phase, Phase::Open) && command.channel != CONTROL_CHANNEL;
        if waits && !self.config.ack_delay.is_zero() {
            self.timers.set_earlier(Timer::Ack, next_beat(self.heard_at, self.config.ack_delay));
        } else {
            self.acks_due = true;
        }
    }
}

/// The first multiple of `beat` after `now`.
fn next_beat(now: Duration, beat: Duration) -> Duration {
    let into_beat = now.as_nanos().checked_rem(beat.as_nanos()).unwrap_or_default();
    now + beat.saturating_sub(Duration::from_nanos_u128(into_beat))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_of_all_peers_wait_for_the_same_beat() {
        let ms = Duration::from_millis;
        for (now, next) in [(ms(0), ms(5)), (ms(1), ms(5)), (Duration::from_nanos(4_999_999), ms(5)), (ms(5), ms(10))] {
            assert_eq!(next_beat(now, ms(5)), next, "{now:?}");
        }
    }
}
