//! A node without sockets: sessions, the roles NameServer, Master and Game, and their limits.
//!
//! A node is one or more [`Worker`]s. Each owns its connections and its rooms and shares nothing; what they have to
//! tell each other are [`WorkerMessage`]s, carried by the driver. The Master's directory lives on worker 0; the room
//! named `n` lives on the worker that `n` hashes to, and a peer that joins it moves there with its connection.
//!
//! A Master has game servers of other processes too: their links are the driver's, what they say comes to worker 0 as
//! [`GameServerEvent`]s. A game server without a Master of its own tells its rooms by [`Action::TellMaster`] while
//! [`MasterLinkEvent`]s say that there is a link.
//!
//! # Contract of [`Worker`]
//! * In: [`Worker::open_stream`], [`Worker::receive`], [`Worker::stream_ended`], [`Worker::receive_datagram`],
//!   [`Worker::attach`], [`Worker::handle_message`], [`Worker::handle_timeout`].
//! * Out, after any number of calls of the kind above and before waiting: [`Worker::poll_action`] until `None`, then
//!   [`Worker::poll_datagram`] until `None`, then wait until [`Worker::next_timeout`], a socket or a message.
//! * `now` is the time since the process's clock started and never goes back.

mod address;
mod authentication;
mod config;
mod connection;
mod datagrams;
mod directory;
mod fan_out;
mod game;
mod game_servers;
mod http;
mod inbound;
mod link;
mod log_rate;
mod master;
mod message;
mod moving;
mod name_server;
mod outbound;
mod proxies;
mod reconfigure;
mod session;
mod stats;
mod timers;
mod transports;
mod uplink;
mod worker;

pub use address::{Addresses, Endpoint, Host, HostName, Ports, Region};
pub use config::{
    Application, Applications, Asset, Challenges, Choice, Config, GameConfig, Limits, ListenerConfig, ListenerId,
    ListenerLimits, MasterConfig, MessageRates, NameServerConfig, OperationRate, Role, Route, Service,
};
pub use game_servers::GameServerEvent;
pub use lampyris_realtime::codes::operation;
pub use lampyris_realtime::directory::Transport;
pub use lampyris_realtime::directory::{Balance, Settings as DirectorySettings};
pub use lampyris_realtime::room::RoomSettings;
pub use lampyris_realtime::room::request::RoomFlags;
pub use lampyris_realtime::token::{SealError, secret_of_keys};
pub use lampyris_transport::udp::Config as UdpConfig;
pub use lampyris_transport::ws::{Pattern, Route as Path};
pub use log_rate::{Line, LogRate};
pub use message::{Moved, WorkerId, WorkerMessage};
pub use proxies::Proxies;
pub use reconfigure::Changeable;
pub use stats::Stats;
pub use uplink::MasterLinkEvent;
pub use worker::{Action, ConnectionKey, Datagram, Worker};
