//! What game servers tell the master about their rooms: the border between [`crate::room`] and [`crate::directory`].
//!
//! Reports of a room come in the order of its changes; the room's name goes beside them. When the link to a master
//! comes up again, each room is reported anew: [`RoomReport::Created`], then its actors.

pub use crate::room::RoomReport;
