//! Messages from fragments, in memory proportional to what came, never to what was announced.

use bytes::Bytes;

use super::command::Part;
use super::receiver::HELD_OVERHEAD_BYTES;
use crate::CloseCause;

/// Most messages of one peer that are being put together out of order.
const MAX_UNORDERED: usize = 16;

/// A message whose fragments come in order.
#[derive(Debug)]
pub(super) struct InOrder {
    first: Part,
    parts: u32,
    bytes: Vec<u8>,
}

impl InOrder {
    /// Appends a fragment to the message in `place`, starting one if it is the first; gives the message when it is
    /// whole.
    ///
    /// # Errors
    /// The fragment is not the next one.
    pub(super) fn append(place: &mut Option<Self>, part: Part, bytes: &[u8]) -> Result<Option<Vec<u8>>, CloseCause> {
        if place.is_none() && part.number == 0 {
            *place = Some(Self { first: part, parts: 0, bytes: Vec::new() });
        }
        let Some(assembly) = place else {
            return Err(CloseCause::Violation(format!("expected the first fragment of a message, found {part:?}")));
        };
        let due = Part {
            number: assembly.parts,
            offset: u32::try_from(assembly.bytes.len()).unwrap_or(u32::MAX),
            ..assembly.first
        };
        if part != due {
            return Err(CloseCause::Violation(format!("expected fragment {due:?}, found {part:?}")));
        }
        assembly.bytes.extend_from_slice(bytes);
        assembly.parts += 1;
        if assembly.parts < part.count {
            return Ok(None);
        }
        let message = place.take().map(|assembly| assembly.bytes).unwrap_or_default();
        whole(message.len(), part)?;
        Ok(Some(message))
    }
}

/// Messages whose fragments come in any order.
#[derive(Debug, Default)]
pub(super) struct Assemblies {
    open: Vec<Unordered>,
    /// Bytes held, those of [`InOrder`]s included.
    bytes: usize,
}

#[derive(Debug)]
struct Unordered {
    channel: u8,
    first: Part,
    parts: Vec<(Part, Bytes)>,
    cost: usize,
}

impl Assemblies {
    /// Accounts for bytes about to be held.
    ///
    /// # Errors
    /// They would go over the limit.
    pub(super) fn charge(&mut self, bytes: usize, limit: usize) -> Result<(), CloseCause> {
        self.bytes += bytes;
        if self.bytes > limit { Err(CloseCause::Limit("bytes of unfinished fragmented messages")) } else { Ok(()) }
    }

    /// Accounts for bytes no longer held.
    pub(super) fn refund(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Adds a fragment that is no copy; gives the message when it is whole.
    ///
    /// # Errors
    /// The fragment contradicts others of its message, or a limit is reached.
    pub(super) fn insert(
        &mut self,
        channel: u8,
        part: Part,
        bytes: &[u8],
        limit: usize,
    ) -> Result<Option<Bytes>, CloseCause> {
        let cost = bytes.len() + HELD_OVERHEAD_BYTES;
        self.charge(cost, limit)?;
        let index = match self.open.iter().position(|open| open.channel == channel && open.first.start == part.start) {
            Some(index) => index,
            None if self.open.len() >= MAX_UNORDERED => {
                return Err(CloseCause::Limit("fragmented messages unfinished at a time"));
            }
            None => {
                self.open.push(Unordered { channel, first: part, parts: Vec::new(), cost: 0 });
                self.open.len() - 1
            }
        };
        let Some(open) = self.open.get_mut(index) else { return Ok(None) };
        let agreed = Part { number: part.number, offset: part.offset, ..open.first };
        if part != agreed {
            return Err(CloseCause::Violation(format!("expected a fragment like {:?}, found {part:?}", open.first)));
        }
        open.cost += cost;
        open.parts.push((part, Bytes::copy_from_slice(bytes)));
        if u32::try_from(open.parts.len()).unwrap_or(u32::MAX) < part.count {
            return Ok(None);
        }
        let done = self.open.swap_remove(index);
        self.refund(done.cost);
        done.join().map(Some)
    }
}

impl Unordered {
    fn join(mut self) -> Result<Bytes, CloseCause> {
        self.parts.sort_unstable_by_key(|(part, _)| part.number);
        let mut message = Vec::new();
        for (part, bytes) in &self.parts {
            if usize::try_from(part.offset).ok() != Some(message.len()) {
                return Err(CloseCause::Violation(format!("expected a fragment at {}, found {part:?}", message.len())));
            }
            message.extend_from_slice(bytes);
        }
        whole(message.len(), self.first)?;
        Ok(Bytes::from(message))
    }
}

/// Refuses a message whose fragments do not add up.
fn whole(bytes: usize, part: Part) -> Result<(), CloseCause> {
    if usize::try_from(part.total_bytes).ok() == Some(bytes) {
        Ok(())
    } else {
        Err(CloseCause::Violation(format!(
            "expected a fragmented message of {} bytes, found {bytes}",
            part.total_bytes
        )))
    }
}
