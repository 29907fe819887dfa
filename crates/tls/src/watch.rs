//! Watching the files of a [`Store`], on a thread of its own.
//!
//! The folders are watched, not the files: certificates are replaced by renaming a new file over the old one, or by
//! turning a link, and a watch on the file would stay with the old one. File systems without such notices (NFS) are
//! asked each minute.

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::Store;
use crate::expiry::{ExpiryLog, Stage};

/// How often files and clock are looked at without a notice.
const POLL: Duration = Duration::from_secs(60);
/// Certificate and key are written one after the other: quiet that must follow a change before the files are read.
const QUIET: Duration = Duration::from_millis(100);
/// Longest wait for quiet.
const QUIET_AT_MOST: Duration = Duration::from_millis(500);
/// Links that lead to a file.
const LINKS_AT_MOST: usize = 40;

/// A thread that reads changed files. It ends with this value.
#[derive(Debug)]
pub struct Watch {
    wake: SyncSender<()>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts to watch.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(store: Arc<Store>) -> io::Result<Self> {
        Self::start_renewing(store, |_| false)
    }

    /// Starts to watch. `renew` is asked to see to a certificate that nears its end; whether it did, so that there is
    /// nothing to tell the operator.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start_renewing(
        store: Arc<Store>,
        mut renew: impl FnMut(&Path) -> bool + Send + 'static,
    ) -> io::Result<Self> {
        // One notice is as good as many.
        let (wake, notices) = sync_channel(1);
        let stop = Arc::<AtomicBool>::default();
        let (of_folders, stopped) = (wake.clone(), Arc::clone(&stop));
        let thread = thread::Builder::new().name("certificates".to_owned()).spawn(move || {
            watch(&store, of_folders, &notices, &stopped, &mut renew);
        })?;
        Ok(Self { wake, stop, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // With a notice waiting already, the thread wakes up anyway.
        let _ = self.wake.try_send(());
        if let Some(thread) = self.thread.take() {
            // It panics only on a fault of ours, which was printed by then.
            let _ = thread.join();
        }
    }
}

fn watch(
    store: &Store,
    wake: SyncSender<()>,
    notices: &Receiver<()>,
    stop: &AtomicBool,
    renew: &mut dyn FnMut(&Path) -> bool,
) {
    let mut folders = Folders::new(wake);
    let mut expiry = ExpiryLog::default();
    loop {
        folders.follow(&store.files());
        // After the watch began, so that no change is missed between both.
        store.reload_if_changed();
        tell_of_ends(store, &mut expiry, SystemTime::now(), renew);
        // The notice of the stop may have been taken while it was waited for quiet.
        if stop.load(Ordering::Acquire) {
            return;
        }
        match notices.recv_timeout(POLL) {
            Ok(()) if !stop.load(Ordering::Acquire) => wait_for_quiet(notices),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn wait_for_quiet(notices: &Receiver<()>) {
    let until = Instant::now() + QUIET_AT_MOST;
    while Instant::now() < until && notices.recv_timeout(QUIET).is_ok() {}
}

/// Logs what is news about the ends of certificates.
fn tell_of_ends(store: &Store, log: &mut ExpiryLog, now: SystemTime, renew: &mut dyn FnMut(&Path) -> bool) {
    let served = store.served();
    for certificate in &served {
        let Some(stage) = log.news(&certificate.summary, now) else { continue };
        if matches!(stage, Stage::Ending { .. } | Stage::Expired { .. }) && renew(&certificate.path) {
            continue;
        }
        let (path, names) = (certificate.path.display(), certificate.summary.names.join(" "));
        match stage {
            Stage::Valid => {}
            Stage::NotYetValid => {
                tracing::error!(%path, %names, "the certificate is not valid yet: clients refuse it; check the clock");
            }
            Stage::Ending { .. } => {
                let left = certificate.summary.not_after.duration_since(now).unwrap_or_default().as_secs();
                let (days, hours) = (left / 86_400, left % 86_400 / 3_600);
                tracing::warn!(%path, %names, days, hours, "the certificate ends soon; renew it");
            }
            Stage::Expired { days } => {
                tracing::error!(%path, %names, days, "THE CERTIFICATE HAS EXPIRED: clients refuse secure connections; replace it");
            }
        }
    }
    log.retain(|fingerprint| served.iter().any(|certificate| certificate.summary.fingerprint == *fingerprint));
}

/// The watched folders.
struct Folders {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Folders {
    fn new(wake: SyncSender<()>) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error tells of lost notices: look at everything.
            if event.is_ok_and(|event| is_reading(event.kind)) {
                return;
            }
            // A notice that waits already stands for this one too.
            let _ = wake.try_send(());
        });
        let watcher = watcher.inspect_err(|error| {
            tracing::warn!(%error, every = ?POLL, "cannot watch the folders of certificates; they are looked at now and then");
        });
        Self { watcher: watcher.ok(), watched: BTreeSet::new() }
    }

    /// Watches the folders that the files depend on now. Those that are watched already are named again, because a
    /// folder may have been replaced by another one of its name.
    fn follow(&mut self, files: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted: BTreeSet<PathBuf> = files.iter().flat_map(|file| folders_of(file)).collect();
        for gone in self.watched.difference(&wanted) {
            // It is no longer watched if it is no longer there.
            let _ = watcher.unwatch(gone);
        }
        for folder in &wanted {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive)
                && !self.watched.contains(folder)
            {
                let folder = folder.display();
                tracing::warn!(%folder, %error, every = ?POLL, "cannot watch a folder of certificates; it is looked at now and then");
            }
        }
        self.watched = wanted;
    }
}

/// Whether a notice tells of nothing but reading, as this thread does itself.
fn is_reading(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

/// The folders in which a change can make the path lead to another file: its own, and those of the links on its way.
fn folders_of(file: &Path) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    let mut paths = vec![std::path::absolute(file).unwrap_or_else(|_| file.to_owned())];
    let mut links = 0;
    while let Some(path) = paths.pop() {
        let Some(folder) = path.parent() else { continue };
        folders.insert(folder.to_owned());
        let mut prefix = PathBuf::new();
        for component in path.components() {
            let above = prefix.clone();
            prefix.push(component);
            if component == Component::RootDir || links == LINKS_AT_MOST {
                continue;
            }
            let Ok(target) = std::fs::read_link(&prefix) else { continue };
            links += 1;
            let rest = path.strip_prefix(&prefix).unwrap_or_else(|_| Path::new(""));
            folders.insert(above.clone());
            paths.push(above.join(target).join(rest));
            break;
        }
    }
    folders.retain(|folder| folder.is_dir());
    folders
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::store::{CertificateFiles, Plan};
    use crate::{Settings, Wanted, config, development};

    #[test]
    fn t26_a_certificate_of_our_own_is_renewed_instead_of_warned_of() {
        let state = tempfile::tempdir().unwrap();
        let ensure = |now| {
            let wanted = Wanted { host: "photon.test".to_owned(), ..Wanted::default() };
            development::ensure(state.path(), &wanted, None, now, &config::provider()).unwrap()
        };
        let path = ensure(SystemTime::now()).server_pem;
        let certificates = vec![CertificateFiles { certificate: path.clone(), key: path.clone(), password: None }];
        let (listener, settings) = ("a".to_owned(), Settings::default());
        let store = Store::load(vec![Plan { listener, certificates, default_domain: None, settings }], false).unwrap();
        let end = || store.served()[0].summary.not_after;
        let (first, day) = (end(), Duration::from_secs(24 * 60 * 60));
        let (mut log, mut asked) = (ExpiryLog::default(), 0);
        for left in (10..80).rev() {
            let now = first - day * left + POLL;
            tell_of_ends(&store, &mut log, now, &mut |of| {
                assert_eq!(of, path);
                asked += 1;
                ensure(now);
                true
            });
            store.reload_if_changed();
        }
        assert_eq!(asked, 2, "with 30 days left and with 14, when it was made anew");
        assert!(end() > first + day * 60);
    }

    #[test]
    fn t25_the_folders_of_every_link_on_the_way_are_watched() {
        let root = tempfile::tempdir().unwrap();
        let base = root.path().canonicalize().unwrap();
        for folder in ["archive/a", "live/a", "etc"] {
            fs::create_dir_all(base.join(folder)).unwrap();
        }
        fs::write(base.join("archive/a/cert1.pem"), "").unwrap();
        symlink("../../archive/a/cert1.pem", base.join("live/a/cert.pem")).unwrap();
        symlink("../live/a", base.join("etc/certs")).unwrap();
        let folders = folders_of(&base.join("etc/certs/cert.pem"));
        let resolved: BTreeSet<_> = folders.iter().map(|folder| folder.canonicalize().unwrap()).collect();
        assert_eq!(resolved, ["archive/a", "etc", "live/a"].map(|folder| base.join(folder)).into());
    }

    #[test]
    fn t25_links_that_lead_in_a_circle_end() {
        let root = tempfile::tempdir().unwrap();
        symlink("b", root.path().join("a")).unwrap();
        symlink("a", root.path().join("b")).unwrap();
        assert_eq!(folders_of(&root.path().join("a")), [root.path().to_owned()].into());
    }
}
