//! The checked cursor that every decoder reads through.
//!
//! It carries what a walk over hostile bytes must not lose: the offset for errors, the depth and value budgets of
//! [`Limits`], and whether everything read so far had the form that our own encoder gives it.

use std::sync::Arc;

use crate::{DecodeError, Limits};

type Result<T> = std::result::Result<T, DecodeError>;

#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    end: usize,
    limits: &'a Limits,
    depth_left: u32,
    values_left: u32,
    /// Whether all bytes since the last reset are in canonical form.
    pub(crate) canonical: bool,
    /// Set by a skim that could not tell whether the keys of a table are distinct.
    pub(crate) undecided: bool,
}

/// A place to return to, see [`Reader::mark`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark<'a> {
    rest: &'a [u8],
    values_left: u32,
}

/// A string as it lies in the input.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Text<'a> {
    /// Valid UTF-8.
    Plain(&'a str),
    /// Invalid UTF-8; what is invalid becomes U+FFFD, as C# clients read it.
    Lossy(&'a [u8]),
    /// The inside of a JSON string with escapes, each checked.
    Escaped(&'a [u8]),
}

impl Text<'_> {
    pub(crate) fn to_arc(self) -> Arc<str> {
        match self {
            Self::Plain(text) => text.into(),
            Self::Lossy(bytes) => String::from_utf8_lossy(bytes).into(),
            Self::Escaped(bytes) => crate::json::unescape(bytes).into(),
        }
    }
}

/// Length of `bytes` in UTF-8 once each invalid sequence is replaced by U+FFFD.
pub(crate) fn lossy_len(bytes: &[u8]) -> usize {
    bytes
        .utf8_chunks()
        .map(|chunk| {
            chunk.valid().len() + if chunk.invalid().is_empty() { 0 } else { char::REPLACEMENT_CHARACTER.len_utf8() }
        })
        .sum()
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], limits: &'a Limits) -> Result<Self> {
        if bytes.len() > limits.message_bytes {
            let (found, limit) = (bytes.len(), limits.message_bytes);
            return Err(DecodeError::TooLong { offset: 0, what: "a message", found, limit });
        }
        Ok(Self {
            rest: bytes,
            end: bytes.len(),
            limits,
            depth_left: limits.depth,
            values_left: limits.values,
            canonical: true,
            undecided: false,
        })
    }

    pub(crate) fn offset(&self) -> usize {
        self.end - self.rest.len()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(crate) fn limits(&self) -> &'a Limits {
        self.limits
    }

    pub(crate) fn mark(&self) -> Mark<'a> {
        Mark { rest: self.rest, values_left: self.values_left }
    }

    /// Goes back to `mark`, giving back the values counted since.
    pub(crate) fn rewind(&mut self, mark: Mark<'a>) {
        (self.rest, self.values_left) = (mark.rest, mark.values_left);
    }

    /// The bytes read since `mark`.
    pub(crate) fn since(&self, mark: Mark<'a>) -> &'a [u8] {
        mark.rest.get(..mark.rest.len() - self.rest.len()).unwrap_or_default()
    }

    pub(crate) fn u8(&mut self, expected: &'static str) -> Result<u8> {
        let (first, rest) = self.rest.split_first().ok_or_else(|| self.truncated(expected))?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn array<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N]> {
        let (chunk, rest) = self.rest.split_first_chunk().ok_or_else(|| self.truncated(expected))?;
        self.rest = rest;
        Ok(*chunk)
    }

    pub(crate) fn take(&mut self, len: usize, expected: &'static str) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or_else(|| self.truncated(expected))?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes `count` elements of `N` bytes each.
    pub(crate) fn chunks<const N: usize>(&mut self, count: usize, expected: &'static str) -> Result<&'a [[u8; N]]> {
        Ok(self.take(count.saturating_mul(N), expected)?.as_chunks().0)
    }

    pub(crate) fn skip(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or_default();
    }

    #[cold]
    pub(crate) fn truncated(&self, expected: &'static str) -> DecodeError {
        DecodeError::Truncated { offset: self.offset(), expected }
    }

    /// The error for the next byte, or for its absence.
    #[cold]
    pub(crate) fn unexpected(&self, expected: &'static str) -> DecodeError {
        match self.peek() {
            Some(found) => DecodeError::Unexpected { offset: self.offset(), expected, found },
            None => self.truncated(expected),
        }
    }

    /// Refuses a count of elements that the rest of the input cannot hold, before anything is allocated for it.
    pub(crate) fn check_count(&self, count: usize, min_size: usize) -> Result<()> {
        if count.saturating_mul(min_size) > self.rest.len() {
            return Err(DecodeError::CountTooLarge { offset: self.offset(), count, left: self.rest.len() });
        }
        Ok(())
    }

    /// Counts `count` values against the budget of the message.
    pub(crate) fn spend(&mut self, count: usize) -> Result<()> {
        match u32::try_from(count).ok().and_then(|count| self.values_left.checked_sub(count)) {
            Some(left) => {
                self.values_left = left;
                Ok(())
            }
            None => Err(DecodeError::TooManyValues { offset: self.offset(), limit: self.limits.values }),
        }
    }

    /// [`Reader::check_count`] and [`Reader::spend`] for the elements of a container.
    pub(crate) fn elements(&mut self, count: usize, min_size: usize) -> Result<()> {
        self.check_count(count, min_size)?;
        self.spend(count)
    }

    /// Goes `levels` deeper; [`Reader::leave`] comes back. An error ends the walk, so nothing is undone then.
    pub(crate) fn enter(&mut self, levels: u32) -> Result<()> {
        self.depth_left = self
            .depth_left
            .checked_sub(levels)
            .ok_or_else(|| DecodeError::TooDeep { offset: self.offset(), limit: self.limits.depth })?;
        Ok(())
    }

    pub(crate) fn leave(&mut self, levels: u32) {
        self.depth_left += levels;
    }

    pub(crate) fn check_len(&self, what: &'static str, found: usize, limit: usize) -> Result<()> {
        if found > limit {
            return Err(DecodeError::TooLong { offset: self.offset(), what, found, limit });
        }
        Ok(())
    }

    /// Takes a string of `len` bytes.
    pub(crate) fn text(&mut self, len: usize) -> Result<Text<'a>> {
        self.check_len("a string", len, self.limits.string_bytes)?;
        let bytes = self.take(len, "a string")?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Text::Plain(text)),
            Err(_) => {
                self.canonical = false;
                // Replacing grows the text, and it must still fit when it is written again.
                self.check_len("a string", lossy_len(bytes), self.limits.string_bytes)?;
                Ok(Text::Lossy(bytes))
            }
        }
    }

    /// Takes the body of a custom type of `len` bytes.
    pub(crate) fn custom(&mut self, len: usize) -> Result<&'a [u8]> {
        self.check_len("a custom body", len, self.limits.custom_bytes)?;
        self.take(len, "a custom body")
    }

    /// Whether everything was read; what is left is an error.
    pub(crate) fn finish(&self) -> Result<()> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(DecodeError::TrailingBytes { offset: self.offset(), count }),
        }
    }
}
