//! Connections on their way to the worker of their room.

use std::time::Duration;

use lampyris_transport::CloseCause;

use crate::message::{Content, Moved};
use crate::session::{Session, Stage};
use crate::worker::Action;
use crate::{ConnectionKey, Worker, WorkerId, WorkerMessage};

impl Worker {
    /// Sends a connection to another worker, where its pending join is done.
    pub(crate) fn start_move(&mut self, key: ConnectionKey, to: WorkerId) {
        let Some(connection) = self.connection(key) else { return };
        if connection.link.is_udp() {
            self.move_peer(key, to);
        } else {
            self.actions.push_back(Action::Move(key, to));
        }
    }

    /// Takes a stream out of this worker, as [`Action::Move`] asked. `None` if it ended in the meantime.
    pub fn detach(&mut self, key: ConnectionKey) -> Option<Moved> {
        let connection = self.connection(key)?;
        if connection.ended.is_some() {
            return None;
        }
        self.take(key).map(|connection| Moved { connection })
    }

    /// Takes in a stream that another worker detached.
    pub fn attach(&mut self, now: Duration, moved: Moved) -> ConnectionKey {
        let mut connection = moved.connection;
        connection.dirty = false;
        connection.armed = Default::default();
        connection.out.flushing = false;
        let key = self.admit(connection);
        self.point_own_listener_at(key);
        let join = match self.connection_mut(key).map(|connection| &mut connection.session) {
            Some(Session::Game(session)) => match std::mem::take(&mut session.stage) {
                Stage::Moving(join) => Some(join),
                stage => {
                    session.stage = stage;
                    None
                }
            },
            _ => None,
        };
        match join {
            Some(join) => self.join_room(now, key, *join),
            None => self.close(now, key, CloseCause::ByUs("moved without a reason")),
        }
        self.touch(key);
        key
    }

    /// A message of another worker.
    pub fn handle_message(&mut self, now: Duration, message: WorkerMessage) {
        match *message.0 {
            Content::Directory(request) => self.directory_request(now, request),
            Content::Reports(reports) => self.report(now, reports),
            Content::Effect(effect) => self.apply_effect(now, *effect, None),
            Content::Placed(effect, endpoint) => self.apply_effect(now, *effect, Some(&endpoint)),
            Content::GameServer(event) => self.game_server_event(now, event),
            Content::MasterLink(event) => self.master_link(event),
            Content::ToMaster(link, news) => self.tell_master(link, news),
            Content::TellRooms(link) => self.tell_rooms(link),
            Content::MovedPeer(moved) => {
                self.attach(now, moved);
            }
            Content::Datagrams(datagrams) => self.receive_forwarded(now, datagrams),
            Content::MovedPeerGone { listener, peer_id, challenge, place } => {
                self.moved_peer_gone(listener, peer_id, challenge, place);
            }
        }
    }
}
