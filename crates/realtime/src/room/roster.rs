//! Who is in a room: all actors by number, and the active ones in the order they joined.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use lampyris_wire::{Hashtable, Value};

use super::effect::PeerKey;

/// Where a peer sits: what [`super::Room`] gives at join and takes with every operation. A seat that is not (or no
/// more) the actor's is refused, so a connection whose actor was taken over can do nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seat {
    /// Actor number.
    pub actor: i32,
    /// The connection.
    pub peer: PeerKey,
}

/// A set of interest groups. Group 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GroupSet([u64; 4]);

impl GroupSet {
    pub(super) fn contains(&self, group: u8) -> bool {
        self.0.get(usize::from(group >> 6)).is_some_and(|word| word & (1 << (group & 63)) != 0)
    }

    pub(super) fn insert(&mut self, group: u8) {
        if group != 0
            && let Some(word) = self.0.get_mut(usize::from(group >> 6))
        {
            *word |= 1 << (group & 63);
        }
    }

    pub(super) fn remove(&mut self, group: u8) {
        if let Some(word) = self.0.get_mut(usize::from(group >> 6)) {
            *word &= !(1 << (group & 63));
        }
    }

    pub(super) fn extend(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }
}

/// Whether an actor has a connection.
#[derive(Clone, Debug)]
pub(super) enum Presence {
    /// It has; groups are with the entry of [`Roster::active`].
    Active,
    /// It waits to be taken up again.
    Inactive {
        /// When it is removed; `None` never.
        until: Option<Duration>,
        /// Groups to go back to.
        groups: GroupSet,
    },
}

/// A member of the room.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    pub(super) number: i32,
    pub(super) user_id: Arc<str>,
    pub(super) session_id: Option<Arc<str>>,
    pub(super) properties: Hashtable,
    pub(super) presence: Presence,
    /// Keys that it has set so far, with the number of the actor they belong to (0: the room).
    pub(super) keys_set: HashSet<(i32, Value)>,
}

impl Actor {
    pub(super) fn is_active(&self) -> bool {
        matches!(self.presence, Presence::Active)
    }
}

/// An active actor, as the walk over receivers needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Active {
    pub(super) peer: PeerKey,
    pub(super) number: i32,
    pub(super) groups: GroupSet,
}

/// All actors of a room.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// Ascending by number.
    actors: Vec<Actor>,
    /// In the order they joined.
    active: Vec<Active>,
    last_number: i32,
}

impl Roster {
    pub(super) fn actors(&self) -> &[Actor] {
        &self.actors
    }

    pub(super) fn active(&self) -> &[Active] {
        &self.active
    }

    pub(super) fn peers(&self) -> impl Iterator<Item = PeerKey> {
        self.active.iter().map(|active| active.peer)
    }

    pub(super) fn peers_except(&self, actor: i32) -> impl Iterator<Item = PeerKey> {
        self.active.iter().filter(move |active| active.number != actor).map(|active| active.peer)
    }

    pub(super) fn get(&self, number: i32) -> Option<&Actor> {
        self.index(number).and_then(|index| self.actors.get(index))
    }

    pub(super) fn get_mut(&mut self, number: i32) -> Option<&mut Actor> {
        self.index(number).and_then(|index| self.actors.get_mut(index))
    }

    pub(super) fn of_user(&self, user_id: &str) -> Option<&Actor> {
        self.actors.iter().find(|actor| *actor.user_id == *user_id)
    }

    pub(super) fn is_seated(&self, seat: Seat) -> bool {
        self.active.iter().any(|active| active.number == seat.actor && active.peer == seat.peer)
    }

    pub(super) fn peer_of(&self, number: i32) -> Option<PeerKey> {
        self.active.iter().find(|active| active.number == number).map(|active| active.peer)
    }

    pub(super) fn groups_mut(&mut self, number: i32) -> Option<&mut GroupSet> {
        self.active.iter_mut().find(|active| active.number == number).map(|active| &mut active.groups)
    }

    /// All groups that somebody is or was in, of those who still belong to the room.
    pub(super) fn all_groups(&self) -> GroupSet {
        let mut all = GroupSet::default();
        for active in &self.active {
            all.extend(&active.groups);
        }
        for actor in &self.actors {
            if let Presence::Inactive { groups, .. } = &actor.presence {
                all.extend(groups);
            }
        }
        all
    }

    /// The numbers of the active actors, in the order they joined.
    pub(super) fn active_numbers(&self) -> Vec<i32> {
        self.active.iter().map(|active| active.number).collect()
    }

    /// All numbers, the active ones first.
    pub(super) fn all_numbers(&self) -> Vec<i32> {
        let inactive = self.actors.iter().filter(|actor| !actor.is_active()).map(|actor| actor.number);
        self.active.iter().map(|active| active.number).chain(inactive).collect()
    }

    /// Numbers are never given twice; `None` if there are no more.
    pub(super) fn next_number(&self) -> Option<i32> {
        self.last_number.checked_add(1)
    }

    /// Adds an active actor with a number above all before.
    pub(super) fn add(&mut self, actor: Actor, peer: PeerKey) {
        self.last_number = actor.number;
        self.active.push(Active { peer, number: actor.number, groups: GroupSet::default() });
        self.actors.push(actor);
    }

    /// Gives an inactive actor a connection again, or an active one another; the one it had is given back.
    pub(super) fn seat(&mut self, number: i32, peer: PeerKey) -> Option<PeerKey> {
        if let Some(active) = self.active.iter_mut().find(|active| active.number == number) {
            return Some(std::mem::replace(&mut active.peer, peer));
        }
        let actor = self.get_mut(number)?;
        if let Presence::Inactive { groups, .. } = std::mem::replace(&mut actor.presence, Presence::Active) {
            self.active.push(Active { peer, number, groups });
        }
        None
    }

    /// Takes the connection from an actor, which stays until `until`.
    pub(super) fn deactivate(&mut self, number: i32, until: Option<Duration>) -> Option<&Actor> {
        let place = self.active.iter().position(|active| active.number == number)?;
        let groups = self.active.remove(place).groups;
        let actor = self.get_mut(number)?;
        actor.presence = Presence::Inactive { until, groups };
        Some(actor)
    }

    /// Takes an actor out.
    pub(super) fn remove(&mut self, number: i32) -> Option<Actor> {
        self.active.retain(|active| active.number != number);
        self.index(number).map(|index| self.actors.remove(index))
    }

    /// The earliest end of an inactive actor.
    pub(super) fn next_expiry(&self) -> Option<Duration> {
        self.expiries().map(|(_, until)| until).min()
    }

    /// An inactive actor whose time is over.
    pub(super) fn expired(&self, now: Duration) -> Option<i32> {
        self.expiries().find(|(_, until)| *until <= now).map(|(number, _)| number)
    }

    fn expiries(&self) -> impl Iterator<Item = (i32, Duration)> {
        self.actors.iter().filter_map(|actor| match actor.presence {
            Presence::Inactive { until: Some(until), .. } => Some((actor.number, until)),
            _ => None,
        })
    }

    fn index(&self, number: i32) -> Option<usize> {
        self.actors.binary_search_by_key(&number, |actor| actor.number).ok()
    }
}
