//! What can be wrong with bytes, and with values that have no bytes.

use crate::MessageKind;

/// Why bytes were refused. Offsets count from the start of what was given to the decoder.
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
    /// A byte that cannot stand where it stands.
    #[error("at byte {offset}: expected {expected}, found byte {found:#04x}")]
    Unexpected {
        /// Where it is.
        offset: usize,
        /// What may stand there.
        expected: &'static str,
        /// What stands there.
        found: u8,
    },
    /// A type code that means nothing, or not in this place.
    #[error("at byte {offset}: expected {expected}, found type code {code:#04x}")]
    UnknownType {
        /// Where the code is.
        offset: usize,
        /// What the place allows.
        expected: &'static str,
        /// The code.
        code: u8,
    },
    /// A length or count below zero.
    #[error("at byte {offset}: expected a count of 0 or more, found {found}")]
    NegativeCount {
        /// Where the count is.
        offset: usize,
        /// The count.
        found: i32,
    },
    /// A count that promises more elements than the rest of the input can hold.
    #[error("at byte {offset}: a count of {count} does not fit in the {left} bytes left")]
    CountTooLarge {
        /// Where the elements should begin.
        offset: usize,
        /// The count.
        count: usize,
        /// How many bytes are left.
        left: usize,
    },
    /// A variable-length integer with more bits than its type has.
    #[error("at byte {offset}: expected a variable-length integer of at most {bits} bits")]
    VarintOverflow {
        /// Where the integer begins.
        offset: usize,
        /// How many bits it may have.
        bits: u32,
    },
    /// Something longer than [`crate::Limits`] allow.
    #[error("at byte {offset}: {what} of {found} bytes exceeds the limit of {limit}")]
    TooLong {
        /// Where it begins.
        offset: usize,
        /// What it is.
        what: &'static str,
        /// Its length in bytes.
        found: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Containers nested deeper than [`crate::Limits::depth`].
    #[error("at byte {offset}: nesting exceeds the limit of {limit} levels")]
    TooDeep {
        /// Where the container begins that is one too deep.
        offset: usize,
        /// The limit.
        limit: u32,
    },
    /// More values than [`crate::Limits::values`].
    #[error("at byte {offset}: the message exceeds the limit of {limit} values")]
    TooManyValues {
        /// Where the container begins that holds one too many.
        offset: usize,
        /// The limit.
        limit: u32,
    },
    /// A parameter key that was there already.
    #[error("at byte {offset}: parameter {key} occurs twice")]
    DuplicateParameter {
        /// Where the value of the second one begins.
        offset: usize,
        /// The key.
        key: u8,
    },
    /// A dictionary key that was there already; receivers fail on such a dictionary.
    #[error("at byte {offset}: a dictionary key occurs twice")]
    DuplicateKey {
        /// Where the second entry ends.
        offset: usize,
    },
    /// The header of a nested dictionary is not the one that the outer dictionary declared.
    #[error("at byte {offset}: expected the declared header of the nested dictionary again")]
    HeaderMismatch {
        /// Where the repeated header begins.
        offset: usize,
    },
    /// A number outside the range of what it stands for.
    #[error("at byte {offset}: expected {expected}, found another number")]
    NumberOutOfRange {
        /// Where the number begins.
        offset: usize,
        /// What it should be.
        expected: &'static str,
    },
    /// A JSON message with the same member twice, or with two kinds.
    #[error("at byte {offset}: a second {member} in one message")]
    DuplicateMember {
        /// Where the member's value begins.
        offset: usize,
        /// What occurs twice.
        member: &'static str,
    },
    /// A JSON message without something that it must have.
    #[error("the message has no {member}")]
    MissingMember {
        /// What is missing.
        member: &'static str,
    },
    /// Bytes after the end.
    #[error("at byte {offset}: {count} bytes left over")]
    TrailingBytes {
        /// Where they begin.
        offset: usize,
        /// How many they are.
        count: usize,
    },
    /// The body is ciphertext.
    #[error("expected a message in clear, found an encrypted one")]
    Encrypted,
    /// A message of a kind that is not expected or has no body of parameters.
    #[error("a message of kind {kind:?} is not expected here")]
    UnexpectedKind {
        /// The kind.
        kind: MessageKind,
    },
    /// The bytes are sound, but their value cannot be written again.
    #[error("the value cannot be written again: {0}")]
    NotEncodable(#[from] EncodeError),
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
    /// A length or count that the protocol cannot express or its readers refuse.
    #[error("{what} of length {found} exceeds the {limit} of {protocol}")]
    TooLong {
        /// The kind of value.
        what: &'static str,
        /// The protocol's name.
        protocol: &'static str,
        /// Its length.
        found: usize,
        /// The greatest length.
        limit: usize,
    },
    /// A dictionary key or value, or an element of an array of arrays, that is not of the declared type.
    #[error("expected {expected}, found {found}")]
    TypeMismatch {
        /// What the declaration asks for.
        expected: &'static str,
        /// What there is.
        found: &'static str,
    },
}
