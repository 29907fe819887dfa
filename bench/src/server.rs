//! The server under measurement.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::connection::Address;
use crate::lane::Lane;
use crate::process::Process;

/// How servers are started.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServerOptions {
    /// The server's release binary
    #[arg(long, value_name = "FILE", default_value = "target/release/lampyris")]
    pub(crate) server: PathBuf,
    /// Folder for the server's certificate, kept between passes
    #[arg(long, value_name = "DIR", default_value = "target/bench-state")]
    pub(crate) state_dir: PathBuf,
    /// Added to the default ports; the default keeps them below those of outgoing connections
    #[arg(long, value_name = "N", default_value_t = 5_200)]
    pub(crate) port_offset: u16,
}

impl ServerOptions {
    /// A server with one worker on the loopback interface.
    pub(crate) fn start(&self) -> Result<Process> {
        self.start_in(&self.state_dir)
    }

    /// The same with another folder for its certificate.
    pub(crate) fn start_in(&self, state: &Path) -> Result<Process> {
        let offset = self.port_offset.to_string();
        let arguments = ["--bind", "127.0.0.1", "--workers", "1", "--log", "warn", "--port-offset", &offset];
        let state = [Path::new("--state-dir").as_os_str(), state.as_os_str()];
        let (process, _) = Process::start(&self.server, state.into_iter().chain(arguments.map(AsRef::as_ref)))?;
        Ok(process)
    }

    pub(crate) fn address(&self, lane: Lane) -> Result<Address> {
        Ok(Address::loopback(lane.name_server_port(self.port_offset)?))
    }
}
