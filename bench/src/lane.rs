//! The ways of a message that are measured.

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use lampyris_transport::Delivery;

/// A transport, and for UDP how events are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lane {
    Ws,
    Wss,
    Tcp,
    UdpReliable,
    UdpUnreliable,
}

impl Lane {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Tcp => "tcp",
            Self::UdpReliable => "udp-reliable",
            Self::UdpUnreliable => "udp-unreliable",
        }
    }

    /// How clients raise their events.
    pub(crate) const fn delivery(self) -> Delivery {
        match self {
            Self::UdpUnreliable => Delivery::Unreliable,
            _ => Delivery::Reliable,
        }
    }

    /// The lane whose bare relay this one is compared with: there is no bare TLS and no bare reliability.
    pub(crate) const fn baseline(self) -> Self {
        match self {
            Self::Wss => Self::Ws,
            Self::UdpReliable => Self::UdpUnreliable,
            other => other,
        }
    }

    /// The NameServer's port of a server that was started with that `--port-offset`.
    pub(crate) fn name_server_port(self, offset: u16) -> Result<u16> {
        let base: u16 = match self {
            Self::Ws => 9093,
            Self::Wss => 19093,
            Self::Tcp => 4533,
            Self::UdpReliable | Self::UdpUnreliable => 5058,
        };
        base.checked_add(offset).with_context(|| format!("port {base} plus {offset} is over 65535"))
    }

    /// The scheme in a WebSocket address.
    pub(crate) const fn scheme(self) -> &'static str {
        match self {
            Self::Wss => "wss",
            _ => "ws",
        }
    }
}
