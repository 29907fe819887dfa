//! Operations 253 RaiseEvent and 248 ChangeGroups.

use lampyris_wire::{Parameters, Value};

use super::cache::{CacheFault, Filter, is_null};
use super::effect::Effects;
use super::join::slice_changed;
use super::request::{CacheOperation, ChangeGroups, RaiseEvent, ReceiverGroup};
use super::roster::Seat;
use super::{Room, not_seated};
use crate::codes::{self, Refusal, operation};

impl Room {
    /// Operation 253: keeps and passes on an event, or works on the cache. Answers only the removals from the cache
    /// and what is refused.
    pub fn raise_event(&mut self, seat: Seat, event: &RaiseEvent<'_>, effects: &mut Effects) {
        let done = if self.roster.is_seated(seat) { self.try_raise(seat, event, effects) } else { Err(not_seated()) };
        if let Err(refusal) = done {
            effects.refuse(seat.peer, operation::RAISE_EVENT, refusal);
        }
    }

    fn try_raise(&mut self, seat: Seat, event: &RaiseEvent<'_>, effects: &mut Effects) -> Result<(), Refusal> {
        match event.cache {
            CacheOperation::RemoveFromRoom => self.remove_cached(seat, event, effects),
            CacheOperation::RemoveFromRoomForActorsLeft => {
                let roster = &self.roster;
                self.cache.remove_absent(|number| roster.get(number).is_some_and(super::roster::Actor::is_active));
                effects.respond(seat.peer, codes::success(operation::RAISE_EVENT, Parameters::new()));
                Ok(())
            }
            CacheOperation::SliceIncrease
            | CacheOperation::SliceSet
            | CacheOperation::SlicePurge
            | CacheOperation::SlicePurgeUpTo => self.change_slice(seat, event, effects),
            _ => {
                let most = self.roster.actors().len() * 2;
                if event.listed > most {
                    return Err(Refusal::invalid(format!(
                        "parameter 252 (ActorList): expected at most {most} actors, got {}",
                        event.listed
                    )));
                }
                self.keep(seat, event, effects)?;
                self.pass_on(seat, event, effects);
                Ok(())
            }
        }
    }

    /// The walk over the receivers: no allocation, no lookup per receiver.
    fn pass_on(&self, seat: Seat, event: &RaiseEvent<'_>, effects: &mut Effects) {
        let active = self.roster.active().iter();
        let (code, sender, route) = (event.code, seat.actor, event.route);
        if let Some(actors) = &event.actors {
            let named = active.filter(|active| actors.binary_search(&active.number).is_ok());
            effects.raised(named.map(|active| active.peer), code, sender, route);
        } else if event.group != 0 {
            let members = active.filter(|active| active.groups.contains(event.group) && active.number != sender);
            effects.raised(members.map(|active| active.peer), code, sender, route);
        } else {
            match event.receivers {
                ReceiverGroup::Others => effects.raised(self.roster.peers_except(sender), code, sender, route),
                ReceiverGroup::All => effects.raised(self.roster.peers(), code, sender, route),
                ReceiverGroup::MasterClient => {
                    effects.raised(self.roster.peer_of(self.master).into_iter(), code, sender, route);
                }
            }
        }
    }

    /// Caches an event if it is one for all or for all others.
    fn keep(&mut self, seat: Seat, event: &RaiseEvent<'_>, effects: &mut Effects) -> Result<(), Refusal> {
        if event.actors.is_some() || event.group != 0 || event.receivers == ReceiverGroup::MasterClient {
            return Ok(());
        }
        let (cache, settings, actor, code) = (&mut self.cache, &*self.settings, seat.actor, event.code);
        let kept = match event.cache {
            CacheOperation::Merge => cache.merge(actor, code, event.data, settings),
            CacheOperation::Replace => cache.replace(actor, code, event.data, settings),
            CacheOperation::Remove => {
                cache.remove(actor, code);
                Ok(())
            }
            CacheOperation::AddToRoom => cache.append(actor, code, event.data, settings),
            CacheOperation::AddToRoomGlobal => cache.append(0, code, event.data, settings),
            _ => Ok(()),
        };
        match kept {
            Ok(()) => Ok(()),
            Err(CacheFault::Refused(refusal)) => Err(refusal),
            Err(CacheFault::Full(limit)) => {
                self.cache.discard();
                self.counters.caches_discarded += 1;
                self.shut(&format!("the event cache is discarded and the room closed: {limit}"), effects);
                Ok(())
            }
        }
    }

    fn remove_cached(&mut self, seat: Seat, event: &RaiseEvent<'_>, effects: &mut Effects) -> Result<(), Refusal> {
        let data: Option<Value> = match event.data.filter(|data| !is_null(*data)) {
            None => None,
            Some(data) => {
                Some(data.decode().map_err(|error| Refusal::invalid(format!("parameter 245 (Data): {error}")))?)
            }
        };
        self.cache.remove_matching(&Filter { code: event.code, senders: event.actors.as_deref(), data });
        effects.respond(seat.peer, codes::success(operation::RAISE_EVENT, Parameters::new()));
        Ok(())
    }

    fn change_slice(&mut self, seat: Seat, event: &RaiseEvent<'_>, effects: &mut Effects) -> Result<(), Refusal> {
        let index = || event.slice.ok_or_else(|| Refusal::invalid("parameter 205 (CacheSliceIndex) is missing"));
        let changed_to = match event.cache {
            CacheOperation::SliceIncrease => {
                let increased = self.cache.increase_slice(&self.settings);
                Some(self.counted_slice(increased)?)
            }
            CacheOperation::SliceSet => {
                let index = index()?;
                let set = self.cache.set_slice(index, &self.settings);
                self.counted_slice(set)?.then_some(index)
            }
            CacheOperation::SlicePurge => {
                self.cache.purge_slice(index()?)?;
                None
            }
            _ => {
                self.cache.purge_slices_up_to(index()?)?;
                None
            }
        };
        if let Some(index) = changed_to {
            effects.event(self.roster.peers(), slice_changed(seat.actor, index));
        }
        Ok(())
    }

    fn counted_slice<T>(&mut self, changed: Result<T, Refusal>) -> Result<T, Refusal> {
        self.counters.slice_limits += u64::from(changed.is_err());
        changed
    }

    /// Operation 248: has no answer. Groups are left first, then entered; group 0 is none.
    pub fn change_groups(&mut self, seat: Seat, change: &ChangeGroups, effects: &mut Effects) {
        if !self.roster.is_seated(seat) {
            effects.refuse(seat.peer, operation::CHANGE_GROUPS, not_seated());
            return;
        }
        let all = self.roster.all_groups();
        let Some(groups) = self.roster.groups_mut(seat.actor) else { return };
        match change.remove.as_deref() {
            Some([]) => *groups = super::roster::GroupSet::default(),
            listed => listed.unwrap_or_default().iter().for_each(|group| groups.remove(*group)),
        }
        match change.add.as_deref() {
            Some([]) => groups.extend(&all),
            listed => listed.unwrap_or_default().iter().for_each(|group| groups.insert(*group)),
        }
    }
}
