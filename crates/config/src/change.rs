//! What differs between two configurations, for a reload.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::Loaded;
use crate::check::{Effective, Origin, Owner};
use crate::settings::Reload;
use crate::source::Place;

/// What became of a setting, or of everything that belongs to one listener, region or the like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Another value.
    Changed {
        /// The value before; never a secret.
        old: String,
        /// The value now; never a secret.
        new: String,
    },
    /// It is new as a whole.
    Added,
    /// It is there no more.
    Removed,
}

/// A difference between two configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The setting, or what was added or removed as a whole.
    pub setting: String,
    /// What became of it.
    pub what: What,
    /// Where it is written, or was.
    pub place: Option<Place>,
    /// When it takes effect.
    pub reload: Reload,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Changed { old, new } => write!(f, "{}: {old} is now {new}", self.setting)?,
            What::Added => write!(f, "{}: added", self.setting)?,
            What::Removed => write!(f, "{}: removed", self.setting)?,
        }
        if let Some(place) = &self.place {
            write!(f, "  ({place})")?;
        }
        match self.reload {
            Reload::Live => Ok(()),
            Reload::Restart => f.write_str(", at the next start"),
        }
    }
}

/// Every difference in effect between two configurations: values first, in the order of the new files, then what was
/// removed. A value that is written and equal to its default is no difference to one that is not written.
pub fn changes(old: &Loaded, new: &Loaded) -> Vec<Change> {
    let before = by_owner(&old.effective);
    let after = by_owner(&new.effective);
    let mut changes = Vec::new();
    let mut added = HashSet::new();
    for one in in_effect(&new.effective) {
        let Some(settings) = before.get(&one.owner) else {
            if added.insert(&one.owner) {
                changes.push(whole(What::Added, &one.owner, &after));
            }
            continue;
        };
        let same = settings.iter().find(|other| other.setting == one.setting);
        changes.extend(same.map_or_else(|| alone(What::Added, one), |other| between(other, one)));
    }
    let mut removed = HashSet::new();
    for one in in_effect(&old.effective) {
        let Some(settings) = after.get(&one.owner) else {
            if removed.insert(&one.owner) {
                changes.push(whole(What::Removed, &one.owner, &before));
            }
            continue;
        };
        if !settings.iter().any(|other| other.setting == one.setting) {
            changes.extend(alone(What::Removed, one));
        }
    }
    changes
}

type ByOwner<'a> = HashMap<&'a Owner, Vec<&'a Effective>>;

fn in_effect(effective: &[Effective]) -> impl Iterator<Item = &Effective> {
    effective.iter().filter(|one| !matches!(one.origin, Origin::Ignored(_)))
}

fn by_owner(effective: &[Effective]) -> ByOwner<'_> {
    let mut groups = ByOwner::new();
    for one in in_effect(effective) {
        groups.entry(&one.owner).or_default().push(one);
    }
    groups
}

fn place_of(one: &Effective) -> Option<Place> {
    match &one.origin {
        Origin::File(place) => Some(place.clone()),
        Origin::Default(_) | Origin::Ignored(_) => None,
    }
}

fn between(old: &Effective, new: &Effective) -> Option<Change> {
    if old.value == new.value && old.secret == new.secret {
        return None;
    }
    Some(Change {
        setting: new.setting.clone(),
        what: What::Changed { old: old.value.clone(), new: new.value.clone() },
        place: place_of(new).or_else(|| place_of(old)),
        reload: new.reload,
    })
}

/// A parameter that only one of two configurations has.
fn alone(what: What, one: &Effective) -> Option<Change> {
    Some(Change { setting: one.setting.clone(), what, place: place_of(one), reload: one.reload })
}

/// Something that has settings, and that only one of two configurations has.
fn whole(what: What, owner: &Owner, groups: &ByOwner<'_>) -> Change {
    let settings = groups.get(owner).map_or(&[][..], Vec::as_slice);
    let needs_restart = settings.iter().any(|one| one.reload == Reload::Restart);
    Change {
        setting: owner.name.clone(),
        what,
        place: settings.iter().find_map(|one| place_of(one)),
        reload: if needs_restart { Reload::Restart } else { Reload::Live },
    }
}
