//! What the operator can set.

use std::time::Duration;

use lampyris_wire::Limits;

/// Limits and times of a [`super::Peer`], shared by all peers of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Limits of messages; `message_bytes` is that of messages from the peer.
    pub wire: Limits,
    /// Longest message to the peer.
    pub outbound_bytes: usize,
    /// Most bytes of reliable messages that wait to be acknowledged; the peer is closed at it.
    pub queued_bytes: usize,
    /// Most of them that are on the way; the rest waits.
    pub in_transit_bytes: usize,
    /// Most bytes sent in a period; reliable messages wait for the next one, unreliable ones are dropped.
    pub period_bytes: usize,
    /// Length of a period of the transmit rate.
    pub period: Duration,
    /// Most bytes received ahead of a missing command; what goes over is not acknowledged.
    pub held_bytes: usize,
    /// Most bytes of fragmented messages that are not whole yet; the peer is closed at it.
    pub reassembly_bytes: usize,
    /// Largest datagram agreed to, whatever the client can take.
    pub mtu: u16,
    /// How long an acknowledgement of a message waits at most for a datagram to travel with: it goes at the next multiple
    /// of this time, so that those of many peers go in one turn of their owner. The handshake, pings and questions for
    /// the time are acknowledged at once: the client's clock depends on it.
    pub ack_delay: Duration,
    /// A peer silent for this long is pinged.
    pub ping_interval: Duration,
    /// A silent peer is given up no sooner than this after the first send of what it does not acknowledge.
    pub timeout_min: Duration,
    /// A peer that does not acknowledge a command for this long is given up.
    pub timeout_max: Duration,
    /// Between these times a peer is given up when a command was sent more often than this.
    pub sends: u32,
    /// A reliable command is sent again no sooner than this.
    pub resend_min: Duration,
    /// Longest wait between two sends of a reliable command.
    pub resend_max: Duration,
    /// How many resends come at the same distance before it doubles.
    pub quick_resends: u32,
    /// Longest wait for the init, or for its answer.
    pub opening_timeout: Duration,
}

impl Config {
    /// A server that was not told otherwise.
    pub const SERVER: Self = Self {
        wire: Limits::DEFAULT,
        outbound_bytes: Limits::DEFAULT.message_bytes,
        queued_bytes: 512_000,
        in_transit_bytes: 51_200,
        period_bytes: 256 * 1024 / 5,
        period: Duration::from_millis(200),
        held_bytes: 256 * 1024,
        reassembly_bytes: 1_024_000,
        mtu: 1200,
        ack_delay: Duration::from_millis(5),
        ping_interval: Duration::from_secs(1),
        timeout_min: Duration::from_secs(5),
        timeout_max: Duration::from_secs(30),
        // With doubling from some 100 ms, a silent client is missed after about ten seconds.
        sends: 5,
        resend_min: Duration::ZERO,
        resend_max: Duration::MAX,
        quick_resends: 0,
        opening_timeout: Duration::from_secs(10),
    };

    /// A client with the defaults of the C# library: no transmit rate, given up after 10 s or 7 resends.
    pub const CLIENT: Self = Self {
        period_bytes: usize::MAX,
        ack_delay: Duration::ZERO,
        timeout_min: Duration::ZERO,
        timeout_max: Duration::from_secs(10),
        sends: 7,
        ..Self::SERVER
    };
}

impl Default for Config {
    fn default() -> Self {
        Self::SERVER
    }
}
