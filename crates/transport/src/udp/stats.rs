//! What a peer counts.

/// Counters of one peer since they were last taken. Everything that is dropped has a reason here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Datagrams written.
    pub datagrams_out: u64,
    /// Datagrams given to `receive`.
    pub datagrams_in: u64,
    /// Datagrams with a header that makes no sense, a wrong checksum, or none where one was agreed on.
    pub datagrams_invalid: u64,
    /// Datagrams with another challenge or peer id.
    pub datagrams_foreign: u64,
    /// Datagrams whose rest was skipped because of a command's size.
    pub commands_malformed: u64,
    /// Commands of a type that is not ours, or that the other side never sends.
    pub commands_unknown: u64,
    /// Commands for a channel that was not agreed on.
    pub channel_out_of_range: u64,
    /// Copies of reliable commands that had come before; acknowledged again.
    pub duplicates: u64,
    /// Reliable commands too far ahead of a missing one; not acknowledged.
    pub beyond_window: u64,
    /// Reliable commands that would have gone over the bytes held back; not acknowledged.
    pub held_full: u64,
    /// Unreliable messages that came late, twice, or too far ahead to be held.
    pub unreliable_dropped_in: u64,
    /// Unreliable messages dropped by the transmit rate limit.
    pub unreliable_dropped_out: u64,
    /// Acknowledgements of nothing in flight: copies, old ones, and those that clients write into a recycled command.
    pub acks_unknown: u64,
    /// Acknowledgements not queued because too many were; the peer resends.
    pub acks_dropped: u64,
    /// Commands sent again.
    pub resends: u64,
    /// Pings whose acknowledgement never came while other traffic did.
    pub pings_abandoned: u64,
    /// Times that the peer's address changed.
    pub address_changes: u64,
}
