//! The way from a game server's rooms to a Master in another process.
//!
//! Worker 0 knows the link; what other workers have to tell goes through it. When the link comes up every worker tells
//! each of its rooms, some at a time, and from then on what changes. Changes of a room that was not told of yet are
//! nothing to the Master, since the room is told as it is then.

use std::sync::Arc;

use lampyris_realtime::room::RoomReport;
use lampyris_s2s::{LinkId, News};

use crate::message::Content;
use crate::worker::{Action, RoomKey};
use crate::{Role, Worker, WorkerId};

/// Rooms told of in one turn.
const ROOMS_PER_TURN: usize = 64;

/// What happens to the link to the Master; a message for worker 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MasterLinkEvent {
    /// It is up: the Master wants to know every room.
    Up(LinkId),
    /// It is over.
    Down,
}

/// A worker's part in telling the Master.
#[derive(Debug, Default)]
pub(crate) struct Uplink {
    /// The link that is up.
    link: Option<LinkId>,
    /// Rooms that were there when it came up and were not told of yet.
    untold: Vec<RoomKey>,
    /// Worker 0: workers that have not told all of their rooms.
    telling: u16,
}

impl Worker {
    /// Whether the Master is in another process.
    fn has_remote_master(&self) -> bool {
        !self.config.applications.plays(Role::Master)
    }

    /// Tells of changes in rooms: the directory on worker 0, or the Master in another process.
    pub(crate) fn report_elsewhere(&mut self, reports: Vec<(Arc<str>, RoomReport)>) {
        if !self.has_remote_master() {
            return self.post(WorkerId::DIRECTORY, Content::Reports(reports));
        }
        // Without a link nobody listens: rooms are told of when it comes up.
        if let Some(link) = self.uplink.link {
            self.tell_master(link, News::Reports(reports));
        }
    }

    /// Passes news on to the Master, on worker 0 to the driver.
    pub(crate) fn tell_master(&mut self, link: LinkId, news: News) {
        if self.id != WorkerId::DIRECTORY {
            return self.post(WorkerId::DIRECTORY, Content::ToMaster(link, news));
        }
        if self.uplink.link != Some(link) {
            return;
        }
        match news {
            // Each worker says so of its own rooms.
            News::Synced => {
                self.uplink.telling = self.uplink.telling.saturating_sub(1);
                if self.uplink.telling == 0 {
                    self.actions.push_back(Action::TellMaster(link, News::Synced));
                }
            }
            news => self.actions.push_back(Action::TellMaster(link, news)),
        }
    }

    /// The link came up or went down.
    pub(crate) fn master_link(&mut self, event: MasterLinkEvent) {
        let link = match event {
            MasterLinkEvent::Up(link) => Some(link),
            MasterLinkEvent::Down => None,
        };
        self.uplink = Uplink { link, untold: self.rooms.keys(), telling: self.config.workers };
        if self.id == WorkerId::DIRECTORY {
            for worker in (1..self.config.workers).map(WorkerId) {
                self.post(worker, Content::MasterLink(event));
            }
        }
        if let Some(link) = link {
            self.tell_rooms(link);
        }
    }

    /// Tells of some of the rooms that were not told of yet; goes on with the next turn.
    pub(crate) fn tell_rooms(&mut self, link: LinkId) {
        if self.uplink.link != Some(link) {
            return;
        }
        let rest = self.uplink.untold.len().saturating_sub(ROOMS_PER_TURN);
        let now_told = self.uplink.untold.split_off(rest);
        let reports: Vec<_> = now_told.into_iter().flat_map(|key| self.rooms.reports(key)).collect();
        if !reports.is_empty() {
            self.tell_master(link, News::Reports(reports));
        }
        if rest > 0 {
            self.post(self.id, Content::TellRooms(link));
        } else {
            self.tell_master(link, News::Synced);
        }
    }
}
