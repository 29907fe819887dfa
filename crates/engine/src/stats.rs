//! Counters of a worker.

/// What a worker counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes from and to clients, without what TLS adds.
    pub bytes: u64,
    /// Connections opened.
    pub connections_opened: u64,
    /// Connections refused by a limit.
    pub connections_refused: u64,
    /// Connections that ended, whatever the cause.
    pub connections_ended: u64,
    /// Connections closed because the client named no application that is loaded.
    pub applications_unknown: u64,
    /// Connections ended because the peer broke the protocol.
    pub violations: u64,
    /// Connections ended by a limit.
    pub limits_reached: u64,
    /// Messages received.
    pub messages_received: u64,
    /// Operations refused with a return code other than 0.
    pub operations_refused: u64,
    /// Events raised by actors.
    pub events_raised: u64,
    /// Events handed to a receiver's output.
    pub events_delivered: u64,
    /// Events a receiver did not get because its protocol cannot say them.
    pub events_without_form: u64,
    /// Datagrams received.
    pub datagrams_received: u64,
    /// Datagrams that belonged to no peer and proved no address.
    pub datagrams_ignored: u64,
    /// Datagrams passed on to the worker that has their peer.
    pub datagrams_forwarded: u64,
    /// Datagrams not passed on because the queue to that worker was full.
    pub datagrams_forward_dropped: u64,
    /// Rooms ended because their rules panicked.
    pub rooms_panicked: u64,
}
