//! The wishes of whoever runs the server, while it runs: SIGHUP, the control socket, changed files.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::socket::Call;
use super::{Answer, Reloaded, Request, Socket, Status};
use crate::Server;

/// How often files are looked at: they are few, and file systems of other machines send no notices.
const LOOK: Duration = Duration::from_secs(1);

/// What the program does for the server that it runs.
pub trait Operator {
    /// Where the control socket shall be.
    fn socket(&self) -> Option<PathBuf> {
        None
    }

    /// Every listener accepts.
    fn ready(&mut self, server: &Server);

    /// Files whose change asks for a reload.
    fn watched(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Loads the configuration again and has the server obey it.
    fn reload(&mut self, server: &mut Server) -> Reloaded {
        let _ = server;
        Reloaded {
            refused: true,
            findings: vec!["error: the server was started without a configuration file".to_owned()],
            ..Reloaded::default()
        }
    }

    /// Adds what the program knows of itself.
    fn describe(&self, status: &mut Status) {
        let _ = status;
    }
}

/// Something to do beside serving.
#[derive(Debug)]
pub(crate) enum Wish {
    /// Load the configuration again, because of that.
    Reload(&'static str),
    /// Answer at the control socket.
    Call(Call),
}

/// Where wishes come from.
#[derive(Debug)]
pub(crate) struct Wishes {
    hangup: Signal,
    socket: Option<Socket>,
    files: Files,
    looks: Interval,
}

impl Wishes {
    /// Takes wishes from now on. A socket that cannot be made is no reason to stop: signals still work.
    pub(crate) fn take(operator: &dyn Operator) -> io::Result<Self> {
        let socket = operator.socket().and_then(|path| {
            Socket::bind(&path).inspect_err(|error| tracing::warn!("there is no control socket: {error}")).ok()
        });
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { hangup: signal(SignalKind::hangup())?, socket, files: Files::new(operator.watched()), looks })
    }

    /// The next wish. Nothing is lost when it is dropped: each branch only waits.
    pub(crate) async fn next(&mut self) -> Wish {
        loop {
            let call = async {
                match &mut self.socket {
                    Some(socket) => socket.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = self.hangup.recv() => return Wish::Reload("SIGHUP"),
                call = call => match call {
                    Some(call) => return Wish::Call(call),
                    None => self.socket = None,
                },
                _ = self.looks.tick() => if self.files.have_changed() {
                    return Wish::Reload("changed files");
                },
            }
        }
    }

    /// Fulfils it.
    pub(crate) fn fulfil(&mut self, wish: Wish, server: &mut Server, operator: &mut dyn Operator) {
        match wish {
            Wish::Reload(cause) => {
                self.reload(cause, server, operator);
            }
            Wish::Call((request, answer)) => {
                let told = match request {
                    Request::Reload => Answer::Reload(self.reload("the control socket", server, operator)),
                    Request::Status => {
                        let mut status = server.status();
                        operator.describe(&mut status);
                        Answer::Status(Box::new(status))
                    }
                };
                // Whoever asked may have gone.
                let _ = answer.send(told);
            }
        }
    }

    fn reload(&mut self, cause: &'static str, server: &mut Server, operator: &mut dyn Operator) -> Reloaded {
        tracing::info!(cause, "loading the configuration again");
        let reloaded = operator.reload(server);
        self.files = Files::new(operator.watched());
        if reloaded.refused {
            reloaded.findings.iter().for_each(|finding| tracing::error!("{finding}"));
            tracing::error!("the configuration is refused: the old values stay in force");
        } else {
            reloaded.applied.iter().for_each(|change| tracing::info!("in force: {change}"));
            reloaded.needs_restart.iter().for_each(|change| tracing::warn!("waits for the next start: {change}"));
        }
        reloaded
    }
}

/// What tells one content of a file from another without reading it.
type Stamp = Option<(SystemTime, u64, u64)>;

/// Files that are looked at now and then.
#[derive(Debug)]
struct Files {
    paths: Vec<PathBuf>,
    loaded: Vec<Stamp>,
    last: Vec<Stamp>,
}

impl Files {
    fn new(paths: Vec<PathBuf>) -> Self {
        let loaded: Vec<_> = paths.iter().map(|path| stamp(path)).collect();
        Self { paths, last: loaded.clone(), loaded }
    }

    /// Whether they are others than those that were loaded, and nobody is writing them any more: two looks in a row
    /// see the same.
    fn have_changed(&mut self) -> bool {
        let now: Vec<_> = self.paths.iter().map(|path| stamp(path)).collect();
        let is_quiet = now == self.last;
        let has_changed = is_quiet && now != self.loaded;
        if has_changed {
            self.loaded.clone_from(&now);
        }
        self.last = now;
        has_changed
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_told_once_and_only_when_it_is_quiet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Nameserver.json");
        fs::write(&path, "{}").unwrap();
        let mut files = Files::new(vec![path.clone(), folder.path().join("absent")]);
        assert!(!files.have_changed());
        fs::write(&path, "{\"Nodes\": []}").unwrap();
        assert!(!files.have_changed(), "it may still be written");
        assert!(files.have_changed());
        assert!(!files.have_changed());
    }

    #[test]
    fn a_file_that_is_replaced_removed_or_new_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&path, "same").unwrap();
        let mut files = Files::new(vec![path.clone()]);
        let change = |files: &mut Files| (files.have_changed(), files.have_changed());
        fs::write(&other, "same").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(change(&mut files), (false, true));
        fs::remove_file(&path).unwrap();
        assert_eq!(change(&mut files), (false, true));
        fs::write(&path, "new").unwrap();
        assert_eq!(change(&mut files), (false, true));
    }
}
