//! What is asked of the machine that the program runs on.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::SystemTime;

/// What the system says of the rights to a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Its user.
    pub user: u32,
    /// Its group.
    pub group: u32,
    /// Permissions.
    pub mode: u32,
}

/// A browser's own list of authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserStore {
    /// Whose it is, and where.
    pub name: String,
    /// Whether it has the authority that was asked for.
    pub trusts: bool,
}

/// What is asked of a machine. Files and programs are the system's own: what they say is read by the checks.
pub trait Machine: fmt::Debug {
    /// Addresses of its interfaces, loopback too.
    fn addresses(&self) -> Vec<IpAddr>;

    /// The addresses of a host name; none if there is no such name.
    fn resolve(&self, host: &str) -> Vec<IpAddr>;

    /// A small text file of the system.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// Rights to a file or folder.
    ///
    /// # Errors
    /// What the system says.
    fn access(&self, path: &Path) -> io::Result<Access>;

    /// When a file was last changed.
    ///
    /// # Errors
    /// What the system says.
    fn modified(&self, path: &Path) -> io::Result<SystemTime>;

    /// What a program prints; `None` if it is not there, fails or takes too long.
    fn output(&self, program: &str, arguments: &[&str]) -> Option<String>;

    /// The browsers of the current user, and whether they trust the authority of that file; none if it has none.
    fn browsers(&self, authority: &Path) -> Vec<BrowserStore>;

    /// The time.
    fn now(&self) -> SystemTime;

    /// The user that this program runs as.
    fn user(&self) -> u32;
}
