//! What the client of a connection is doing: which operations are legal now.

use std::time::Duration;

use lampyris_realtime::codes::{Refusal, ReturnCode};
use lampyris_realtime::directory::{LobbyId, MasterPeer};
use lampyris_realtime::room::request::JoinRequest;
use lampyris_realtime::token::Token;
use smallvec::SmallVec;

use crate::OperationRate;
use crate::connection::ReplyMode;
use crate::worker::RoomKey;

/// State of a client, by the role of the server it talks to.
///
/// ```text
/// Opening -> NameServer -> Ended
///         -> Master -> Ended
///         -> Game: Fresh -> Moving -> Joined -> Ended
/// ```
#[derive(Debug)]
pub(crate) enum Session {
    /// The transport handshake or the init message is outstanding; nothing is legal.
    Opening,
    /// On the NameServer: regions and authentication.
    NameServer {
        /// Authentication attempts so far.
        attempts: u8,
    },
    /// On the Master.
    Master(Box<MasterSession>),
    /// On the Game server.
    Game(Box<GameSession>),
    /// The last answer was given: requests are not read any more, the client is expected to close.
    Ended,
}

/// A client of the Master.
#[derive(Debug, Default)]
pub(crate) struct MasterSession {
    /// Authentication attempts so far.
    pub(crate) attempts: u8,
    /// Set once authenticated.
    pub(crate) user: Option<MasterUser>,
}

/// An authenticated client of the Master.
#[derive(Debug)]
pub(crate) struct MasterUser {
    /// Its name in the directory.
    pub(crate) peer: MasterPeer,
    /// Its token as it was presented or made.
    pub(crate) token: Box<Token>,
    /// The lobby it is in.
    pub(crate) lobby: Option<LobbyId>,
    /// Requests that the directory has not answered yet, by operation code.
    pub(crate) pending: SmallVec<[(u8, ReplyMode); 2]>,
}

impl MasterUser {
    /// Most requests of one client that wait for the directory.
    pub(crate) const MAX_PENDING: usize = 16;

    /// How the answer to the oldest pending request with that code goes out.
    pub(crate) fn take_pending(&mut self, code: u8) -> ReplyMode {
        match self.pending.iter().position(|(pending, _)| *pending == code) {
            Some(at) => self.pending.remove(at).1,
            None => ReplyMode::UNASKED,
        }
    }
}

/// A client of the Game server.
#[derive(Debug, Default)]
pub(crate) struct GameSession {
    /// Authentication attempts so far.
    pub(crate) attempts: u8,
    /// Set once authenticated.
    pub(crate) token: Option<Box<Token>>,
    /// When it gets a fresh token.
    pub(crate) renew_token_at: Duration,
    /// Where it is on its way into a room.
    pub(crate) stage: Stage,
    /// Counts of the operations that have a rate.
    pub(crate) operations: OperationCounts,
}

/// How many operations with a rate came in the running second.
#[derive(Debug, Default)]
pub(crate) struct OperationCounts {
    second: u64,
    by_code: Vec<(u8, u32)>,
}

impl OperationCounts {
    /// Counts one operation, or refuses it.
    pub(crate) fn admit(&mut self, now: Duration, rate: OperationRate) -> Result<(), Refusal> {
        if self.second != now.as_secs() {
            self.second = now.as_secs();
            self.by_code.clear();
        }
        match self.by_code.iter_mut().find(|(code, _)| *code == rate.code) {
            Some((_, count)) if *count < rate.per_second => *count += 1,
            None if rate.per_second > 0 => self.by_code.push((rate.code, 1)),
            _ => {
                let text = format!("at most {} of operation {} in a second", rate.per_second, rate.code);
                return Err(Refusal::new(ReturnCode::OPERATION_LIMIT_REACHED, text));
            }
        }
        Ok(())
    }
}

/// Where a client of the Game server is on its way into its one room.
#[derive(Debug, Default)]
pub(crate) enum Stage {
    /// No join so far.
    #[default]
    Fresh,
    /// On its way to the worker of its room, with the join that is to be done there.
    Moving(Box<Join>),
    /// In a room, as that actor.
    Joined { room: RoomKey, actor: i32 },
}

/// A join or create that was read but not yet done.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) operation: u8,
    pub(crate) mode: ReplyMode,
    pub(crate) request: JoinRequest,
}
