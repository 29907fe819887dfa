//! Operations 252 SetProperties and 251 GetProperties.

use std::time::Duration;

use lampyris_wire::{Hashtable, Parameters, Value, coerce};

use super::effect::{DisconnectReason, Effect, Effects, RoomReport};
use super::join::check_empty_room_ttl;
use super::request::{self, GetProperties, PropertyTarget, RoomFlags, SetProperties};
use super::roster::Seat;
use super::{Known, Room, not_seated, properties_changed};
use crate::codes::{self, Refusal, ReturnCode, key, operation};
use crate::properties::{self, actor_key, room_key};

impl Room {
    /// Operation 252: the answer first, then event 253 to whom it concerns.
    pub fn set_properties(&mut self, now: Duration, seat: Seat, mut set: SetProperties, effects: &mut Effects) {
        if let Err(refusal) = self.check_set(seat, &mut set) {
            effects.refuse(seat.peer, operation::SET_PROPERTIES, refusal);
            return;
        }
        if !self.note_keys(seat, &set) {
            self.counters.property_key_limits += 1;
            let most = self.settings.property_keys_per_peer;
            let refusal = Refusal::new(
                ReturnCode::OPERATION_LIMIT_REACHED,
                format!("expected at most {most} different property keys from one peer"),
            );
            effects.refuse(seat.peer, operation::SET_PROPERTIES, refusal);
            self.go(now, seat.actor, true, effects);
            effects.push(Effect::Disconnect { peer: seat.peer, reason: DisconnectReason::OperationLimit });
            self.settle(now, effects);
            return;
        }
        let total = self.bytes_after(&set);
        let most = self.settings.property_bytes_per_room;
        if total > most && total > self.property_bytes {
            self.counters.property_limits += 1;
            let why = format!("expected at most {most} bytes of properties in the room, got {total}");
            effects.refuse(seat.peer, operation::SET_PROPERTIES, Refusal::invalid(why.clone()));
            // Once: one client's refused requests must not flood the others.
            if self.known.is_open {
                self.shut(&format!("the room is closed: {why}"), effects);
            }
            return;
        }
        self.apply(&set, total);
        effects.respond(seat.peer, codes::success(operation::SET_PROPERTIES, Parameters::new()));
        self.tell_changed(seat, set, effects);
    }

    /// Whether the change is possible as a whole.
    fn check_set(&mut self, seat: Seat, set: &mut SetProperties) -> Result<(), Refusal> {
        if !self.roster.is_seated(seat) {
            return Err(not_seated());
        }
        if let Err(refusal) = self.check_request_table(&set.properties) {
            self.counters.property_limits += 1;
            return Err(refusal);
        }
        match set.target {
            PropertyTarget::Room => {
                properties::check_expected(&self.properties, &set.expected)?;
                self.check_room_change(set)
            }
            PropertyTarget::Actor(number) => {
                let actor = self.roster.get(number);
                let actor = actor.ok_or_else(|| Refusal::invalid(format!("there is no actor {number}")))?;
                properties::check_expected(&actor.properties, &set.expected)
            }
        }
    }

    /// The rules of well-known room properties.
    fn check_room_change(&self, set: &mut SetProperties) -> Result<(), Refusal> {
        let changes = &mut set.properties;
        if let Some(users) = changes.get_byte(room_key::EXPECTED_USERS).map(coerce::strings) {
            if !set.expected.contains_key(&Value::Byte(room_key::EXPECTED_USERS)) {
                return Err(Refusal::invalid("property 247 (ExpectedUsers) can be changed with expected values only"));
            }
            if let Some(users) = users {
                let users = request::check_users(users)
                    .map_err(|fault| Refusal::invalid(format!("property 247 (ExpectedUsers): {fault}")))?;
                changes.insert(room_key::EXPECTED_USERS, users);
            }
        }
        if let Some(master) = changes.get_byte(room_key::MASTER_CLIENT_ID).and_then(coerce::int)
            && self.roster.peer_of(master).is_none()
        {
            return Err(Refusal::invalid(format!(
                "property 248 (MasterClientId): expected the number of an active actor, got {master}"
            )));
        }
        let mut table = Hashtable::new();
        for key in
            [room_key::MAX_PLAYERS, room_key::MAX_PLAYERS_INT, room_key::EMPTY_ROOM_TTL, room_key::EXPECTED_USERS]
        {
            if let Some(value) = self.properties.get_byte(key) {
                table.insert(key, value.clone());
            }
        }
        merge_room(&mut table, changes, false);
        let known = Known::read(&table);
        if changes.get_byte(room_key::EMPTY_ROOM_TTL).is_some() {
            check_empty_room_ttl(known.empty_room_ttl, &self.settings)?;
        }
        let (most, here) = (known.max_players, self.roster.actors().len());
        if most != self.known.max_players && most > 0 && most < here {
            return Err(Refusal::invalid(format!(
                "property 255 (MaxPlayers): expected 0 or at least the {here} players in the room, got {most}"
            )));
        }
        let needed = here + self.absent(&known.expected_users, None);
        if changes.get_byte(room_key::EXPECTED_USERS).is_some() && most > 0 && needed > most {
            return Err(Refusal::invalid(format!(
                "property 247 (ExpectedUsers): {needed} slots needed, the room has {most} (MaxPlayers)"
            )));
        }
        Ok(())
    }

    /// The limits of one table of a request.
    pub(super) fn check_request_table(&self, table: &Hashtable) -> Result<(), Refusal> {
        let (keys, most) = (table.len(), self.settings.property_keys_per_request);
        if keys > most {
            return Err(Refusal::invalid(format!("expected at most {most} properties in a request, got {keys}")));
        }
        let (bytes, most) = (properties::table_bytes(table), self.settings.property_bytes_per_request);
        if bytes > most {
            return Err(Refusal::invalid(format!(
                "expected at most {most} bytes of properties in a request, got {bytes}"
            )));
        }
        Ok(())
    }

    /// Remembers which keys this peer has set; `false` if they are too many.
    fn note_keys(&mut self, seat: Seat, set: &SetProperties) -> bool {
        let most = self.settings.property_keys_per_peer;
        let Some(setter) = self.roster.get_mut(seat.actor) else { return false };
        let target = target_number(set.target);
        setter.keys_set.extend(set.properties.iter().map(|(key, _)| (target, key.clone())));
        setter.keys_set.len() <= most
    }

    /// The size of all properties with the change made.
    fn bytes_after(&self, set: &SetProperties) -> usize {
        let delete_null = self.flags.contains(RoomFlags::DELETE_NULL_PROPERTIES);
        let table = match set.target {
            PropertyTarget::Room => Some(&self.properties),
            PropertyTarget::Actor(number) => self.roster.get(number).map(|actor| &actor.properties),
        };
        let mut total = self.property_bytes;
        for (key, value) in set.properties.iter() {
            let key_bytes = properties::value_bytes(key);
            if let Some(old) = table.and_then(|table| table.get(key)) {
                total = total.saturating_sub(key_bytes + properties::value_bytes(old));
            }
            if !(delete_null && value.is_null()) {
                total = total.saturating_add(key_bytes + properties::value_bytes(value));
            }
        }
        total
    }

    fn apply(&mut self, set: &SetProperties, total: usize) {
        let delete_null = self.flags.contains(RoomFlags::DELETE_NULL_PROPERTIES);
        match set.target {
            PropertyTarget::Actor(number) => {
                self.property_bytes = total;
                if let Some(actor) = self.roster.get_mut(number) {
                    properties::merge(&mut actor.properties, &set.properties, delete_null);
                }
            }
            PropertyTarget::Room => {
                self.change_properties(|table| merge_room(table, &set.properties, delete_null));
                if let Some(master) = set.properties.get_byte(room_key::MASTER_CLIENT_ID).and_then(coerce::int) {
                    self.master = master;
                }
            }
        }
    }

    /// Event 253 and the report, of a change that was made.
    fn tell_changed(&self, seat: Seat, set: SetProperties, effects: &mut Effects) {
        if set.target == PropertyTarget::Room {
            self.report_changes(&set.properties, effects);
        }
        let is_hidden = set.target != PropertyTarget::Room && self.flags.contains(RoomFlags::SUPPRESS_PLAYER_INFO);
        let has_condition = !set.expected.is_empty();
        if is_hidden || !(set.broadcast || has_condition) {
            return;
        }
        let event = properties_changed(seat.actor, target_number(set.target), set.properties);
        if has_condition || self.flags.contains(RoomFlags::BROADCAST_PROPERTIES_TO_ALL) {
            effects.event(self.roster.peers(), event);
        } else {
            effects.event(self.roster.peers_except(seat.actor), event);
        }
    }

    fn report_changes(&self, changes: &Hashtable, effects: &mut Effects) {
        // Another filter shows and hides properties that did not change themselves.
        let all = changes.get_byte(room_key::PROPS_LISTED_IN_LOBBY).is_some();
        let shown = self.shown_in_lobby(if all { &self.properties } else { changes });
        if !shown.is_empty() {
            effects.report(RoomReport::PropertiesChanged(shown));
        }
        if changes.get_byte(room_key::EXPECTED_USERS).is_some() {
            effects.report(RoomReport::ExpectedUsers(self.known.expected_users.clone()));
        }
    }

    /// What of a table of room properties the master server needs.
    pub(super) fn shown_in_lobby(&self, table: &Hashtable) -> Hashtable {
        let shown = table.iter().filter(|(key, _)| self.known.is_listed(key));
        shown.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Operation 251.
    pub fn get_properties(&self, seat: Seat, get: &GetProperties, effects: &mut Effects) {
        let answer = if self.roster.is_seated(seat) { self.read_properties(seat, get) } else { Err(not_seated()) };
        match answer {
            Ok(parameters) => effects.respond(seat.peer, codes::success(operation::GET_PROPERTIES, parameters)),
            Err(refusal) => effects.refuse(seat.peer, operation::GET_PROPERTIES, refusal),
        }
    }

    fn read_properties(&self, seat: Seat, get: &GetProperties) -> Result<Parameters, Refusal> {
        let most = self.settings.property_keys_per_request;
        for keys in [&get.game_keys, &get.actor_keys].into_iter().flatten() {
            if keys.len() > most {
                return Err(Refusal::invalid(format!("expected at most {most} property keys, got {}", keys.len())));
            }
        }
        let mut parameters = Parameters::new();
        if get.game {
            parameters.insert(key::GAME_PROPERTIES, select(&self.properties, get.game_keys.as_deref()));
        }
        if get.actors {
            let tables: Hashtable = self
                .roster
                .actors()
                .iter()
                .filter(|actor| actor.number == seat.actor || !self.flags.contains(RoomFlags::SUPPRESS_PLAYER_INFO))
                .filter(|actor| match &get.actor_list {
                    Some(listed) => listed.binary_search(&actor.number).is_ok(),
                    None => actor.is_active(),
                })
                .map(|actor| {
                    let mut table = select(&actor.properties, get.actor_keys.as_deref());
                    let user_id = Value::Byte(actor_key::USER_ID);
                    let asked = get.actor_keys.as_ref().is_none_or(|keys| keys.contains(&user_id));
                    if asked && self.flags.contains(RoomFlags::PUBLISH_USER_ID) {
                        table.insert(user_id, actor.user_id.clone());
                    }
                    (actor.number, table)
                })
                .collect();
            parameters.insert(key::ACTOR_PROPERTIES, tables);
        }
        Ok(parameters)
    }
}

fn target_number(target: PropertyTarget) -> i32 {
    match target {
        PropertyTarget::Room => 0,
        PropertyTarget::Actor(number) => number,
    }
}

/// The whole table, or the asked keys with null for those that are not there.
fn select(table: &Hashtable, keys: Option<&[Value]>) -> Hashtable {
    match keys {
        None => table.clone(),
        Some(keys) => keys.iter().map(|key| (key.clone(), table.get(key).cloned().unwrap_or(Value::Null))).collect(),
    }
}

/// Merges room properties. The player limit has two forms, of which clients read the wider one first: a change of one
/// must show in both.
fn merge_room(table: &mut Hashtable, changes: &Hashtable, delete_null: bool) {
    properties::merge(table, changes, delete_null);
    let narrow = changes.get_byte(room_key::MAX_PLAYERS).and_then(coerce::int);
    let wide = changes.get_byte(room_key::MAX_PLAYERS_INT).is_some();
    if let (Some(narrow), false) = (narrow, wide)
        && table.get_byte(room_key::MAX_PLAYERS_INT).is_some()
    {
        table.insert(room_key::MAX_PLAYERS_INT, narrow);
    }
    align_max_players(table);
}

/// Where the wide form of the player limit is used, the narrow one follows: the same number, or 0 if it does not fit.
pub(super) fn align_max_players(table: &mut Hashtable) {
    if let Some(wide) = table.get_byte(room_key::MAX_PLAYERS_INT).and_then(coerce::int).filter(|most| *most > 0) {
        table.insert(room_key::MAX_PLAYERS, u8::try_from(wide).unwrap_or(0));
    }
}
