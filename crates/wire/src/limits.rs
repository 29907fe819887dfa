//! What a decoder refuses to go beyond.

/// Limits of one decoding. Going over one is a [`crate::DecodeError`] that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest whole message, in bytes.
    pub message_bytes: usize,
    /// Deepest nesting of containers, array-of-array levels and dictionary headers.
    pub depth: u32,
    /// Most values in one message, containers and their elements together. Elements of arrays of numbers do not count:
    /// they are bounded by their own bytes.
    pub values: u32,
    /// Longest string, in bytes.
    pub string_bytes: usize,
    /// Longest body of a custom type, in bytes.
    pub custom_bytes: usize,
}

impl Limits {
    /// The limits of a server that was not told otherwise: 512,000 bytes a message as the reference product has it,
    /// depth 32, 65,536 values, strings and custom bodies 32,767 bytes as the clients' writers have it.
    pub const DEFAULT: Self =
        Self { message_bytes: 512_000, depth: 32, values: 65_536, string_bytes: 32_767, custom_bytes: 32_767 };

    /// For bytes that this crate wrote: what they hold was within somebody's limits before.
    pub(crate) const OWN_BYTES: Self = Self {
        message_bytes: usize::MAX,
        depth: u32::MAX,
        values: u32::MAX,
        string_bytes: usize::MAX,
        custom_bytes: usize::MAX,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
