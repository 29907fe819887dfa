//! The machine that this program runs on.

use std::io::{self, Read as _};
use std::net::{IpAddr, ToSocketAddrs as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use lampyris_tls::trust::{self, Anchor};

use crate::{Access, BrowserStore, Machine};

/// Most bytes that are read of a file of the system.
const FILE_BYTES: u64 = 4 << 20;
/// Seconds that a program may take.
const PROGRAM_SECONDS: &str = "5";

/// The machine that this program runs on.
#[derive(Clone, Copy, Debug)]
pub struct ThisMachine;

impl Machine for ThisMachine {
    fn addresses(&self) -> Vec<IpAddr> {
        let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        interfaces.into_iter().map(|interface| interface.ip()).collect()
    }

    fn resolve(&self, host: &str) -> Vec<IpAddr> {
        let found = (host, 0).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect());
        let mut found: Vec<IpAddr> = found.unwrap_or_default();
        found.sort();
        found.dedup();
        found
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        let mut text = String::new();
        std::fs::File::open(path)?.take(FILE_BYTES).read_to_string(&mut text)?;
        Ok(text)
    }

    fn access(&self, path: &Path) -> io::Result<Access> {
        let metadata = std::fs::metadata(path)?;
        Ok(Access { user: metadata.uid(), group: metadata.gid(), mode: metadata.mode() })
    }

    fn modified(&self, path: &Path) -> io::Result<SystemTime> {
        std::fs::metadata(path)?.modified()
    }

    fn output(&self, program: &str, arguments: &[&str]) -> Option<String> {
        // Tools of firewalls wait for services that may not answer.
        let mut command = Command::new("timeout");
        command.args([PROGRAM_SECONDS, program]).args(arguments).env("LC_ALL", "C").stdin(Stdio::null());
        let output = command.stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn browsers(&self, authority: &Path) -> Vec<BrowserStore> {
        let Ok(anchor) = Anchor::load(authority) else { return Vec::new() };
        let stores = trust::Machine::here().browser_stores().into_iter();
        stores.map(|store| BrowserStore { name: store.to_string(), trusts: store.trusts(&anchor) }).collect()
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn user(&self) -> u32 {
        rustix::process::geteuid().as_raw()
    }
}
