//! What a peer counts.

/// Counters of one peer since they were last taken. Everything that is dropped has a reason here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Datagrams written.
    pub datagrams_out: u32,
    /// Datagrams given to `receive`.
    pub datagrams_in: u32,
    /// Datagrams with a header that makes no sense, a wrong checksum, or none where one was agreed on.
    pub datagrams_invalid: u32,
    /// Datagrams with another challenge or peer id.
    pub datagrams_foreign: u32,
    /// Datagrams whose rest was skipped because of a command's size.
    pub commands_malformed: u32,
    /// Commands of a type that is not ours, or that the other side never sends.
    pub commands_unknown: u32,
    /// Commands for a channel that was not agreed on.
    pub channel_out_of_range: u32,
    /// Copies of reliable commands that had come before; acknowledged again.
    pub duplicates: u32,
    /// Reliable commands too far ahead of a missing one; not acknowledged.
    pub beyond_window: u32,
    /// Reliable commands that would have gone over the bytes held back; not acknowledged.
    pub held_full: u32,
    /// Unreliable messages that came late, twice, or too far ahead to be held.
    pub unreliable_dropped_in: u32,
    /// Unreliable messages dropped by the transmit rate limit.
    pub unreliable_dropped_out: u32,
    /// Acknowledgements of nothing in flight: copies, old ones, and those that clients write into a recycled command.
    pub acks_unknown: u32,
    /// Acknowledgements not queued because too many were; the peer resends.
    pub acks_dropped: u32,
    /// Commands sent again.
    pub resends: u32,
    /// Pings whose acknowledgement never came while other traffic did.
    pub pings_abandoned: u32,
    /// Times that the peer's address changed.
    pub address_changes: u32,
}
