//! Events kept for those who join later.
//!
//! Two kinds: the legacy one has an entry per actor and event code; the room's own is a list, cut in numbered slices
//! of which one is current.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use lampyris_wire::{Hashtable, Payload, Protocol, RawValue, Value};

use super::settings::RoomSettings;
use crate::codes::Refusal;
use crate::properties;

/// One event of a slice.
#[derive(Clone, Debug)]
pub(super) struct CachedEvent {
    /// Actor number, 0 for nobody's.
    pub(super) sender: i32,
    pub(super) code: u8,
    pub(super) data: Option<Payload>,
}

impl CachedEvent {
    fn bytes(&self) -> usize {
        size_of::<Self>() + payload_bytes(self.data.as_ref())
    }
}

/// What an event must meet to be removed.
#[derive(Debug)]
pub(super) struct Filter<'f> {
    /// Event code, 0 for any.
    pub(super) code: u8,
    /// Senders, ascending; `None` for any.
    pub(super) senders: Option<&'f [i32]>,
    /// Entries that the data must have; `None` for any data.
    pub(super) data: Option<Value>,
}

impl Filter<'_> {
    fn matches(&self, event: &CachedEvent) -> bool {
        (self.code == 0 || self.code == event.code)
            && self.senders.is_none_or(|senders| senders.binary_search(&event.sender).is_ok())
            && self.data.as_ref().is_none_or(|wanted| data_matches(wanted, event.data.as_ref()))
    }
}

/// Tables match by subset with exact types, which is what clients rely on to remove one object's events. A filter that
/// is no table matches whatever is no table, as in the reference product.
fn data_matches(wanted: &Value, data: Option<&Payload>) -> bool {
    let data = data.and_then(|data| data.decode().ok());
    match (wanted.as_hashtable(), data.as_ref().and_then(Value::as_hashtable)) {
        (Some(wanted), Some(table)) => wanted.iter().all(|(key, value)| table.get(key) == Some(value)),
        (wanted, table) => wanted.is_none() && table.is_none(),
    }
}

/// Why an event was not cached.
#[derive(Debug)]
pub(super) enum CacheFault {
    /// The operation is not possible; nothing changed.
    Refused(Refusal),
    /// A limit of the room is reached; the text says which.
    Full(String),
}

impl From<Refusal> for CacheFault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The cached events of one room.
#[derive(Debug)]
pub(super) struct EventCache {
    by_actor: IndexMap<(i32, u8), Payload>,
    slices: BTreeMap<i32, Vec<CachedEvent>>,
    current: i32,
    /// Number of events in all slices.
    events: usize,
    /// Bytes of both kinds.
    bytes: usize,
    discarded: bool,
}

impl EventCache {
    pub(super) fn new() -> Self {
        Self {
            by_actor: IndexMap::new(),
            slices: BTreeMap::from([(0, Vec::new())]),
            current: 0,
            events: 0,
            bytes: 0,
            discarded: false,
        }
    }

    /// Whether a limit was reached and the cache is no more.
    pub(super) fn is_discarded(&self) -> bool {
        self.discarded
    }

    /// Drops all for good.
    pub(super) fn discard(&mut self) {
        *self = Self { discarded: true, ..Self::new() };
    }

    pub(super) fn has_slice(&self, index: i32) -> bool {
        self.slices.contains_key(&index)
    }

    /// The legacy entries, in the order they were made.
    pub(super) fn by_actor(&self) -> impl Iterator<Item = (i32, u8, &Payload)> {
        self.by_actor.iter().map(|((sender, code), data)| (*sender, *code, data))
    }

    /// The slices from index `from` on, ascending.
    pub(super) fn slices(&self, from: Option<i32>) -> impl Iterator<Item = (i32, &[CachedEvent])> {
        self.slices.range(from.unwrap_or(i32::MIN)..).map(|(index, events)| (*index, events.as_slice()))
    }

    /// Appends to the current slice.
    pub(super) fn append(
        &mut self,
        sender: i32,
        code: u8,
        data: Option<RawValue<'_>>,
        settings: &RoomSettings,
    ) -> Result<(), CacheFault> {
        if self.discarded {
            return Ok(());
        }
        if self.events >= settings.cached_events {
            return Err(CacheFault::Full(format!("more than {} cached events", settings.cached_events)));
        }
        let event = CachedEvent { sender, code, data: data.map(keep).transpose()? };
        self.charge(event.bytes(), settings)?;
        self.slices.entry(self.current).or_default().push(event);
        self.events += 1;
        Ok(())
    }

    /// Replaces the entry of this actor and code; no data removes it.
    pub(super) fn replace(
        &mut self,
        actor: i32,
        code: u8,
        data: Option<RawValue<'_>>,
        settings: &RoomSettings,
    ) -> Result<(), CacheFault> {
        match data.filter(|data| !is_null(*data)) {
            None => self.remove(actor, code),
            Some(data) => self.put(actor, code, keep(data)?, settings)?,
        }
        Ok(())
    }

    /// Merges a table in the entry of this actor and code: a null value takes its key out; no data removes the entry.
    pub(super) fn merge(
        &mut self,
        actor: i32,
        code: u8,
        data: Option<RawValue<'_>>,
        settings: &RoomSettings,
    ) -> Result<(), CacheFault> {
        let Some(data) = data.filter(|data| !is_null(*data)) else {
            self.remove(actor, code);
            return Ok(());
        };
        let changes = match data.decode().map_err(|error| Refusal::invalid(format!("parameter 245 (Data): {error}")))? {
            Value::Hashtable(changes) => changes,
            other => {
                let came = other.type_name();
                return Err(Refusal::invalid(format!(
                    "parameter 245 (Data): expected hashtable or null for cache operation 1 (MergeCache), got {came}"
                ))
                .into());
            }
        };
        let mut merged = match self.by_actor.get(&(actor, code)).map(Payload::decode) {
            Some(Ok(Value::Hashtable(table))) => table,
            _ => Hashtable::new(),
        };
        properties::merge(&mut merged, &changes, true);
        // The one protocol with a form for every value, whoever merges.
        let payload = Payload::encode(Protocol::GpBinaryV18, &Value::Hashtable(merged))
            .map_err(|error| Refusal::invalid(format!("parameter 245 (Data): {error}")))?;
        self.put(actor, code, payload, settings)
    }

    /// Removes the entry of this actor and code.
    pub(super) fn remove(&mut self, actor: i32, code: u8) {
        if let Some(old) = self.by_actor.shift_remove(&(actor, code)) {
            self.bytes = self.bytes.saturating_sub(entry_bytes(&old));
        }
    }

    /// Removes all that an actor has cached in its own name.
    pub(super) fn remove_actor(&mut self, actor: i32) {
        let mut freed = 0;
        self.by_actor.retain(|(sender, _), data| {
            let keep = *sender != actor;
            freed += if keep { 0 } else { entry_bytes(data) };
            keep
        });
        self.bytes = self.bytes.saturating_sub(freed);
        self.retain(|event| event.sender != actor);
    }

    /// Removes what matches from all slices.
    pub(super) fn remove_matching(&mut self, filter: &Filter<'_>) {
        self.retain(|event| !filter.matches(event));
    }

    /// Removes from all slices what was cached in the name of one whom `is_here` denies.
    pub(super) fn remove_absent(&mut self, is_here: impl Fn(i32) -> bool) {
        self.retain(|event| event.sender == 0 || is_here(event.sender));
    }

    /// Goes on to the next slice; gives its index.
    pub(super) fn increase_slice(&mut self, settings: &RoomSettings) -> Result<i32, Refusal> {
        let next = self.current.checked_add(1).ok_or_else(|| Refusal::invalid("there is no higher slice index"))?;
        self.set_slice(next, settings)?;
        Ok(next)
    }

    /// Makes a slice the current one, creating it; says whether that is a change.
    pub(super) fn set_slice(&mut self, index: i32, settings: &RoomSettings) -> Result<bool, Refusal> {
        if index < 0 {
            return Err(Refusal::invalid(format!("parameter 205 (CacheSliceIndex): expected 0 or more, got {index}")));
        }
        if !self.has_slice(index) && self.slices.len() >= settings.cache_slices {
            return Err(Refusal::invalid(format!("expected at most {} cache slices", settings.cache_slices)));
        }
        self.slices.entry(index).or_default();
        Ok(std::mem::replace(&mut self.current, index) != index)
    }

    /// Removes one slice.
    pub(super) fn purge_slice(&mut self, index: i32) -> Result<(), Refusal> {
        if index == self.current {
            return Err(Refusal::invalid(format!("slice {index} is the current one and cannot be purged")));
        }
        self.drop_slices(|slice| slice == index);
        Ok(())
    }

    /// Removes all slices below `index`.
    pub(super) fn purge_slices_up_to(&mut self, index: i32) -> Result<(), Refusal> {
        if self.current <= index {
            return Err(Refusal::invalid(format!(
                "parameter 205 (CacheSliceIndex): expected an index below the current one, {}, got {index}",
                self.current
            )));
        }
        self.drop_slices(|slice| slice < index);
        Ok(())
    }

    fn put(&mut self, actor: i32, code: u8, data: Payload, settings: &RoomSettings) -> Result<(), CacheFault> {
        if self.discarded {
            return Ok(());
        }
        let old = self.by_actor.get(&(actor, code)).map(entry_bytes);
        if old.is_none() && self.by_actor.len() >= settings.cached_actor_events {
            return Err(CacheFault::Full(format!("more than {} cached actor events", settings.cached_actor_events)));
        }
        self.bytes = self.bytes.saturating_sub(old.unwrap_or(0));
        self.charge(entry_bytes(&data), settings)?;
        self.by_actor.insert((actor, code), data);
        Ok(())
    }

    fn charge(&mut self, bytes: usize, settings: &RoomSettings) -> Result<(), CacheFault> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > settings.cached_bytes {
            return Err(CacheFault::Full(format!("more than {} bytes of cached events", settings.cached_bytes)));
        }
        Ok(())
    }

    fn drop_slices(&mut self, drop: impl Fn(i32) -> bool) {
        let (events, bytes) = (&mut self.events, &mut self.bytes);
        self.slices.retain(|index, slice| {
            if drop(*index) {
                *events = events.saturating_sub(slice.len());
                *bytes = bytes.saturating_sub(slice.iter().map(CachedEvent::bytes).sum());
            }
            !drop(*index)
        });
    }

    fn retain(&mut self, keep: impl Fn(&CachedEvent) -> bool) {
        let (events, bytes) = (&mut self.events, &mut self.bytes);
        for slice in self.slices.values_mut() {
            slice.retain(|event| {
                let kept = keep(event);
                if !kept {
                    *events = events.saturating_sub(1);
                    *bytes = bytes.saturating_sub(event.bytes());
                }
                kept
            });
        }
    }
}

fn keep(data: RawValue<'_>) -> Result<Payload, Refusal> {
    data.to_payload().map_err(|error| Refusal::invalid(format!("parameter 245 (Data): {error}")))
}

fn payload_bytes(data: Option<&Payload>) -> usize {
    data.map_or(0, |data| data.bytes().len())
}

fn entry_bytes(data: &Payload) -> usize {
    size_of::<((i32, u8), Payload)>() + payload_bytes(Some(data))
}

/// Whether it is null. No protocol writes null in more than four bytes, so only tiny values are built to find out.
pub(super) fn is_null(data: RawValue<'_>) -> bool {
    data.bytes().len() <= 4 && data.decode().is_ok_and(|value| value.is_null())
}
