//! What a running server says of itself.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::HandshakeFailure;
use crate::counters::HANDSHAKE_FAILURES;

/// What a running server says of itself. Fields that one side does not know are left out, so that the programs of two
/// versions understand each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Version of the server.
    pub version: String,
    /// Its process.
    pub process: u32,
    /// The user that it runs as.
    pub user: u32,
    /// Time since its start.
    pub uptime_seconds: u64,
    /// Its `PhotonServer.config`, if it has one.
    pub configuration: Option<PathBuf>,
    /// Its log file, if it writes one.
    pub log_file: Option<PathBuf>,
    /// What it counted since its start, by name.
    pub counters: BTreeMap<String, u64>,
    /// The certificates that it serves.
    pub certificates: Vec<CertificateStatus>,
    /// Renewal of a certificate from an authority, if it keeps one.
    pub renewal: Option<Renewal>,
    /// Its last warnings and errors, oldest first.
    pub recent: Vec<Line>,
}

impl Status {
    /// A counter; what is not counted did not happen.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or_default()
    }

    /// Connections that failed for this reason before a client was there.
    #[must_use]
    pub fn handshake_failures(&self, reason: HandshakeFailure) -> u64 {
        self.counter(&format!("{HANDSHAKE_FAILURES}{}", reason.name()))
    }

    /// Counts connections that failed for this reason.
    pub fn set_handshake_failures(&mut self, reason: HandshakeFailure, count: u64) {
        self.counters.insert(format!("{HANDSHAKE_FAILURES}{}", reason.name()), count);
    }
}

/// A certificate that is served.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateStatus {
    /// Where it is served.
    pub listener: String,
    /// Its file.
    pub path: PathBuf,
    /// Names that it covers.
    pub names: Vec<String>,
    /// Unix time from which on it is no longer valid.
    pub not_after_unix_seconds: u64,
}

/// How the renewal of a certificate from an authority goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Renewal {
    /// Tries that failed since the last success.
    pub failures: u32,
    /// Why the last try failed, if it did.
    pub last_error: Option<String>,
    /// Unix time of the next try.
    pub next_try_unix_seconds: Option<u64>,
}

/// A line of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Line {
    /// When it was written.
    pub unix_seconds: u64,
    /// `WARN` or `ERROR`.
    pub level: String,
    /// What it says.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.unix_seconds % 86_400;
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{hour:02}:{minute:02}:{second:02} UTC {} {}", self.level, self.text)
    }
}

/// What came of loading the configuration again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reloaded {
    /// Whether the files were refused; everything is then as it was before.
    pub refused: bool,
    /// Warnings, or errors if they were refused, as `file:line:column: severity: text`.
    pub findings: Vec<String>,
    /// Good to know; nothing has to be done.
    pub notes: Vec<String>,
    /// Changes that are in force.
    pub applied: Vec<String>,
    /// Changes that wait for the next start.
    pub needs_restart: Vec<String>,
}
