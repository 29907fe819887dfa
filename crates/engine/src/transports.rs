//! What the connections of each listener share.

use std::sync::Arc;
use std::time::Duration;

use lampyris_transport::{policy, tcp, udp, ws};

use crate::link::Link;
use crate::{Config, ListenerConfig, ListenerId, Service};

/// By listener.
#[derive(Debug)]
pub(crate) struct Transports(Vec<Shared>);

#[derive(Debug)]
enum Shared {
    Udp(Arc<udp::Config>),
    Tcp { frames: Arc<tcp::Config>, policy: Option<Arc<policy::Config>> },
    Ws(Arc<ws::Config>),
    Policy(Arc<policy::Config>),
}

impl Transports {
    pub(crate) fn new(config: &Config) -> Self {
        Self(config.listeners.iter().map(|listener| shared(config, listener)).collect())
    }

    pub(crate) fn udp(&self, listener: ListenerId) -> Option<Arc<udp::Config>> {
        match self.0.get(listener.0)? {
            Shared::Udp(config) => Some(Arc::clone(config)),
            _ => None,
        }
    }

    /// The link of a stream that was just accepted.
    pub(crate) fn open(&self, now: Duration, listener: ListenerId, session_id: [u8; 16]) -> Option<Link> {
        Some(match self.0.get(listener.0)? {
            Shared::Udp(_) => return None,
            Shared::Tcp { frames, .. } => Link::Tcp(Box::new(tcp::ServerConnection::new(now, Arc::clone(frames)))),
            Shared::Ws(config) => Link::Ws(Box::new(ws::ServerConnection::new(now, Arc::clone(config), session_id))),
            Shared::Policy(config) => Link::Policy(Box::new(policy::ServerConnection::new(now, Arc::clone(config)))),
        })
    }

    /// The link of a TCP client whose first bytes ask for a policy file; `None` if the listener has none.
    pub(crate) fn policy(&self, now: Duration, listener: ListenerId) -> Option<Link> {
        match self.0.get(listener.0)? {
            Shared::Tcp { policy: Some(config), .. } => {
                Some(Link::Policy(Box::new(policy::ServerConnection::new(now, Arc::clone(config)))))
            }
            _ => None,
        }
    }
}

fn shared(config: &Config, listener: &ListenerConfig) -> Shared {
    let limits = &listener.limits;
    let wire = lampyris_wire::Limits { message_bytes: limits.inbound_message_bytes, ..lampyris_wire::Limits::DEFAULT };
    let inactivity = limits.inactivity;
    let policy = |file: &bytes::Bytes| Arc::new(policy::Config { file: file.clone(), inactivity });
    match &listener.service {
        Service::Udp(_) => Shared::Udp(Arc::new(udp::Config {
            wire,
            outbound_bytes: limits.outbound_message_bytes,
            queued_bytes: limits.queued_bytes,
            ..config.udp.clone()
        })),
        Service::Tcp { policy: file, .. } => Shared::Tcp {
            frames: Arc::new(tcp::Config { limits: wire, inactivity }),
            policy: file.as_ref().map(policy),
        },
        Service::WebSocket { routes, .. } => Shared::Ws(Arc::new(ws::Config {
            limits: wire,
            inactivity,
            routes: routes.iter().map(|route| route.path.clone()).collect(),
            ..ws::Config::default()
        })),
        Service::Policy(file) => Shared::Policy(policy(file)),
    }
}
