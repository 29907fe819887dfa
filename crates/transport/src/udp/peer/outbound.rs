//! Datagrams from a peer.

use std::time::Duration;

use super::super::command::{CONTROL_CHANNEL, Command, DatagramWriter, Header, Kind, RESERVED};
use super::super::timer::Timer;
use super::{Peer, Phase, Role};
use crate::server_time_ms;

impl Peer {
    /// Appends one datagram of at most the MTU to `out`: acknowledgements first, then resends, then new commands. Gives
    /// whether there was anything to send; call it until there is not.
    pub fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> bool {
        if matches!(self.phase, Phase::Finished) {
            return false;
        }
        let bytes = if self.has_work() { self.write(now, out) } else { 0 };
        if bytes > 0 {
            self.sender.transmitted(bytes);
            self.stats.datagrams_out += 1;
        } else if matches!(self.phase, Phase::Closing) {
            self.finish();
        }
        bytes > 0
    }

    fn has_work(&self) -> bool {
        // A connection that is not open has no later datagram for an acknowledgement to wait for.
        let acks_due = self.acks_due || !matches!(self.phase, Phase::Open);
        (acks_due && !self.acks.is_empty()) || self.sender.has_work() || self.farewell.is_some()
    }

    /// Gives the bytes written.
    fn write(&mut self, now: Duration, out: &mut Vec<u8>) -> usize {
        let (peer_id, clock) = match self.role {
            Role::Server { .. } => (0, now),
            Role::Client { peer_id, started, .. } => (peer_id, now.saturating_sub(started)),
        };
        let header =
            Header { peer_id, protection: self.protection, sent_ms: server_time_ms(clock), challenge: self.challenge };
        let mut writer = DatagramWriter::new(out, header, usize::from(self.mtu));
        let acked = self.acks.iter().take_while(|ack| writer.push(&ack.command())).count();
        self.acks.drain(..acked);
        if self.acks.is_empty() {
            self.acks_due = false;
            self.timers.stop(Timer::Ack);
            if let Some(farewell) = self.farewell {
                let written = writer.push(&Command {
                    kind: Kind::Disconnect,
                    channel: CONTROL_CHANNEL,
                    flags: farewell.flags,
                    reserved: farewell.reserved,
                    sequence: farewell.sequence,
                    payload: &[],
                });
                if written {
                    self.farewell = None;
                }
            }
            self.sender.fill(now, &mut writer, &self.config, &mut self.stats, &mut self.timers);
        }
        writer.finish()
    }
}

impl super::Ack {
    fn command(&self) -> Command<'static> {
        Command {
            kind: Kind::Ack { unsequenced: self.unsequenced, acked: self.number, sent_ms: self.sent_ms },
            channel: self.channel,
            flags: 0,
            reserved: RESERVED,
            sequence: 0,
            payload: &[],
        }
    }
}
