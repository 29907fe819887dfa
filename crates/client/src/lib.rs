//! A client of the server: NameServer, Master, Game, over UDP, TCP, WebSocket and secure WebSocket.
//!
//! [`Client`] is a state machine without sockets, clock or randomness of its own; tests and load generators drive
//! thousands of them. `driver::Driver` (feature `driver`, on by default) gives one of them sockets, TLS and time on
//! tokio.
//!
//! ```text
//! connect -> NameServer -> Master: lobbies, rooms -> Game: one room -> leave -> Master -> ...
//! ```

mod address;
mod client;
pub mod codes;
mod config;
mod connection;
#[cfg(feature = "driver")]
pub mod driver;
mod error;
mod event;
mod link;
mod login;
mod play;
mod request;

pub use address::{AddressError, ServerAddress};
pub use client::{Action, Client, State};
pub use config::{AuthMode, Config, Credentials, Start, Transport, TransportLimits};
pub use error::{DisconnectCause, Error};
pub use event::{Event, RoomEntered};
pub use lampyris_transport::{CloseCause, Delivery};
pub use lampyris_wire::{Hashtable, OperationRequest, OperationResponse, Parameters, Protocol, Value};
pub use request::{Entry, JoinRequest, Lobby, Matching, PropertyChange, RaiseOptions, Receivers, RoomOptions};
