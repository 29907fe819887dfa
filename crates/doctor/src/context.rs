//! What the checks look at.

use std::path::Path;

use lampyris_config::{Config, Loaded};
use lampyris_server::control::Status;
use lampyris_tls::inspect::Anchors;

use crate::Machine;
use crate::probe::Probed;

/// From where the server is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vantage {
    /// From the machine that it runs on.
    Local,
    /// From another machine, by this name or address.
    Remote(String),
}

/// What the checks look at.
#[derive(Debug)]
pub struct Context<'a> {
    /// The `PhotonServer.config`.
    pub path: &'a Path,
    /// What came of loading it.
    pub loaded: &'a Loaded,
    /// The machine that this program runs on.
    pub machine: &'a dyn Machine,
    /// Whom the clients are taken to trust.
    pub anchors: &'a Anchors,
    /// What the probes saw.
    pub probed: &'a Probed,
    /// What the running server says of itself; `None` if it could not be asked.
    pub status: Option<&'a Status>,
    /// From where the server is looked at.
    pub vantage: &'a Vantage,
}

impl Context<'_> {
    /// The configuration; `None` if it has errors.
    pub(crate) fn config(&self) -> Option<&Config> {
        self.loaded.config.as_ref()
    }

    /// The configuration, for checks of the machine that the server runs on.
    pub(crate) fn local_config(&self) -> Option<&Config> {
        self.config().filter(|_| *self.vantage == Vantage::Local)
    }
}
