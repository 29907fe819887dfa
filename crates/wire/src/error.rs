//! What can be wrong with bytes, and with values that have no bytes.

/// Why bytes were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ended inside something.
    #[error("at byte {offset}: expected {expected}, found the end of the input")]
    Truncated {
        /// Where the missing part should begin.
        offset: usize,
        /// What was being read.
        expected: &'static str,
    },
}

/// Why a value could not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The protocol has no form for it.
    #[error("{what} has no form in {protocol}")]
    NoForm {
        /// The kind of value.
        what: &'static str,
        /// The protocol's name.
        protocol: &'static str,
    },
}
