//! What workers tell each other.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use lampyris_realtime::directory::{Effect, MasterPeer};
use lampyris_realtime::room::RoomReport;
use lampyris_s2s::{LinkId, News};

use crate::connection::Connection;
use crate::directory::DirectoryRequest;
use crate::{ConnectionKey, Endpoint, GameServerEvent, ListenerId, MasterLinkEvent};

/// Number of a worker in its node, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u16);

impl WorkerId {
    /// The worker that has the Master's directory.
    pub const DIRECTORY: Self = Self(0);
}

/// A message from one worker to another. Opaque to the driver.
#[derive(Debug)]
pub struct WorkerMessage(pub(crate) Box<Content>);

impl From<Content> for WorkerMessage {
    fn from(content: Content) -> Self {
        Self(Box::new(content))
    }
}

impl From<GameServerEvent> for WorkerMessage {
    fn from(event: GameServerEvent) -> Self {
        Content::GameServer(event).into()
    }
}

impl From<MasterLinkEvent> for WorkerMessage {
    fn from(event: MasterLinkEvent) -> Self {
        Content::MasterLink(event).into()
    }
}

#[derive(Debug)]
pub(crate) enum Content {
    /// To the directory: something about a Master peer.
    Directory(DirectoryRequest),
    /// To the directory: what changed in rooms, in order.
    Reports(Vec<(Arc<str>, RoomReport)>),
    /// From the directory: for a Master peer, or for all of a lobby, or for all.
    Effect(Box<Effect>),
    /// From the directory: a room on a game server of another process, and where clients find that.
    Placed(Box<Effect>, Arc<Endpoint>),
    /// To the directory: what a game server of another process tells.
    GameServer(GameServerEvent),
    /// The link to a Master in another process came up or went down.
    MasterLink(MasterLinkEvent),
    /// To worker 0: what a Master in another process is to know.
    ToMaster(LinkId, News),
    /// To oneself: go on telling rooms.
    TellRooms(LinkId),
    /// A UDP peer that joins a room of the receiver's.
    MovedPeer(Moved),
    /// Datagrams for peers that moved to the receiver.
    Datagrams(ForwardedDatagrams),
    /// A peer that had moved away is gone: datagrams of it need no forwarding any more.
    MovedPeerGone { listener: ListenerId, peer_id: u16, challenge: u32, place: ConnectionKey },
}

/// A connection on its way to another worker, see [`crate::Worker::detach`].
#[derive(Debug)]
pub struct Moved {
    pub(crate) connection: Box<Connection>,
}

/// The worker that a moved UDP peer's datagrams come to, and the place it keeps there for forwarding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home {
    pub(crate) worker: WorkerId,
    pub(crate) place: ConnectionKey,
}

/// Datagrams of one loop turn for one worker.
#[derive(Debug, Default)]
pub(crate) struct ForwardedDatagrams {
    pub(crate) bytes: Vec<u8>,
    pub(crate) heads: Vec<ForwardedHead>,
}

#[derive(Debug)]
pub(crate) struct ForwardedHead {
    pub(crate) listener: ListenerId,
    pub(crate) local: Option<IpAddr>,
    pub(crate) from: SocketAddr,
    pub(crate) len: usize,
}

/// The worker that a Master peer is connected to: the upper bits of its name.
pub(crate) fn worker_of(peer: MasterPeer) -> WorkerId {
    WorkerId(u16::try_from(peer.0 >> MASTER_PEER_WORKER_SHIFT).unwrap_or_default())
}

/// Where the worker's number begins in the name of a Master peer.
pub(crate) const MASTER_PEER_WORKER_SHIFT: u32 = 48;
