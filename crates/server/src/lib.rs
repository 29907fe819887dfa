//! The server around the node: sockets, threads, TLS, life cycle.
//!
//! One worker thread per core runs an explicit poll loop over its own sockets and one [`lampyris_engine::Worker`];
//! beside them a small control plane waits for signals and for workers that fail. Workers share nothing: connections
//! and messages that change worker go through bounded channels.

mod acme;
mod addresses;
mod assets;
pub mod control;
mod counters;
mod error;
mod host;
mod net;
mod options;
mod reconfigure;
mod s2s;
mod secure;
mod server;
mod state;

pub use counters::{Count, Counters, Level};
pub use error::{RunError, StartError};
pub use host::{host_name, interface_addresses, outgoing_ipv4};
pub use lampyris_acme as certificates;
pub use lampyris_engine as engine;
pub use lampyris_engine::{HostName, Limits, ListenerConfig, Proxies, Role, Transport};
pub use lampyris_s2s::{Controller, LevelBound, LoadInput, Workload};
pub use lampyris_tls::store::CertificateFiles;
pub use net::bind::BoundAddress;
pub use net::failure::HandshakeFailure;
pub use options::{Addresses, Listener, Options, SocketSettings, Tls, TlsFiles, TokenSecret, default_listeners};
pub use s2s::{LinkCounters, LinkTransport, MasterLink, MasterTls, PING_INTERVAL, S2s, S2sListener};
pub use server::{Phase, Server, run};
