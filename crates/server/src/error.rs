//! Why a server does not start, or does not go on.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use lampyris_engine::{Role, Transport};
use lampyris_tls::TlsError;

/// Why the server does not start. Each text says what was expected, what came and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The cryptographic library refused the secret for tokens.
    #[error("cannot make the key for tokens: {0}")]
    TokenKey(#[source] lampyris_engine::SealError),
    /// Another program has the port.
    #[error(
        "port {} of the {label} listener for {speaks} is in use on {}; stop the program that has it, or {}",
        .address.port(), .address.ip(), other_port(.place.as_deref(), "listen on one address with --bind")
    )]
    PortInUse {
        /// What the listener is called.
        label: String,
        /// What would be spoken there.
        speaks: &'static str,
        /// Where.
        address: SocketAddr,
        /// Where it is configured.
        place: Option<String>,
    },
    /// The system reserves the port.
    #[error(
        "port {} of the {label} listener for {speaks} needs a privilege; allow it with \
         `setcap cap_net_bind_service=+ep` on the program, or {}",
        .address.port(), other_port(.place.as_deref(), "leave out --web-ports")
    )]
    PortPrivileged {
        /// What the listener is called.
        label: String,
        /// What would be spoken there.
        speaks: &'static str,
        /// Where.
        address: SocketAddr,
        /// Where it is configured.
        place: Option<String>,
    },
    /// The port for game servers could not be bound.
    #[error(
        "cannot listen on {address} for game servers (listener {label}): {source}; stop the program that has the port, or \
         correct IPAddress and Port"
    )]
    S2sBind {
        /// The listener.
        label: String,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The address is none of this machine's.
    #[error("cannot listen on {0}: expected an address of this machine; list them with `ip address`")]
    BadAddress(IpAddr),
    /// The socket could not be bound for another reason.
    #[error("cannot listen on {address} as {label} for {speaks}: {source}")]
    Bind {
        /// What the listener is called.
        label: String,
        /// What would be spoken there.
        speaks: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A port number does not fit.
    #[error(
        "port {base} of the {} listener for {} plus offset {offset} is over 65535; choose an offset of at most {}",
        .role.name(), .transport.name(), u16::MAX - .base
    )]
    PortRange {
        /// The listener's role.
        role: Role,
        /// The listener's transport.
        transport: Transport,
        /// Its default port.
        base: u16,
        /// What was to be added.
        offset: u16,
    },
    /// No worker.
    #[error("0 workers cannot serve anyone; expected 1 to 1024 with --workers")]
    NoWorkers,
    /// More workers than make sense.
    #[error("{0} workers are too many; expected 1 to 1024 with --workers")]
    TooManyWorkers(u16),
    /// The state folder cannot be used.
    #[error(
        "cannot use the state folder {path}: {source}; give this user the right to read and write it, or name another \
         one with --state-dir"
    )]
    State {
        /// The folder or the file in it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A secret's file has the wrong length.
    #[error("{path} holds {length} bytes, expected 32; restore it, or remove it so that a new one is made")]
    Secret {
        /// The file.
        path: PathBuf,
        /// Its length.
        length: usize,
    },
    /// Certificates cannot be asked for as configured.
    #[error("cannot fetch certificates: {0}")]
    Acme(#[from] lampyris_acme::AcmeError),
    /// No usable certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Secure listeners without a usable certificate, or with TLS settings that leave nothing.
    #[error("{}", .0.join("\nerror: "))]
    Listeners(Vec<String>),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes: {0}")]
    Random(getrandom::Error),
    /// The system gave no poll, thread or signal handler.
    #[error("cannot set up {what}: {source}")]
    System {
        /// What was to be set up.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// What to do about a port that cannot be had.
fn other_port(place: Option<&str>, or: &str) -> String {
    match place {
        Some(place) => format!("change its Port at {place}"),
        None => format!("move all ports with --port-offset, or {or}"),
    }
}

/// Why the server ended without being told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It never started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A worker's poll failed.
    #[error("worker {worker} stopped: {source}")]
    WorkerFailed {
        /// Its number.
        worker: u16,
        /// What the system said.
        source: io::Error,
    },
    /// A worker broke on a fault of ours.
    #[error("worker {worker} broke on an internal fault; the log before this line has the place, please report it")]
    WorkerPanicked {
        /// Its number.
        worker: u16,
    },
}
