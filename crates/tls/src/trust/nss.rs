//! The stores of browsers, which are NSS databases. Chromium has one for each user, Firefox one for each profile; the
//! program `certutil` changes them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Anchor, Machine, Plan, Step};

const CERTUTIL: &str = "certutil";
/// The file that makes a folder such a store.
const DATABASE: &str = "cert9.db";
/// Chromium's store below the home, and the newer place below the folder for data.
const CHROMIUM: &str = ".pki/nssdb";
const CHROMIUM_DATA: &str = "pki/nssdb";
/// Browsers in sandboxes of their own, below the home.
const SANDBOXED_CHROMIUMS: [&str; 5] = [
    "snap/chromium/current/.pki/nssdb",
    ".var/app/org.chromium.Chromium/data/pki/nssdb",
    ".var/app/com.google.Chrome/data/pki/nssdb",
    ".var/app/com.microsoft.Edge/data/pki/nssdb",
    ".var/app/com.brave.Browser/data/pki/nssdb",
];
/// Folders of Firefox's profiles, below the home.
const FIREFOXES: [&str; 4] = [
    ".mozilla/firefox",
    ".config/mozilla/firefox",
    "snap/firefox/common/.mozilla/firefox",
    ".var/app/org.mozilla.firefox/.mozilla/firefox",
];
/// Trusted to issue certificates of servers.
const AUTHORITY: &str = "C,,";
/// Trusted as the certificate of a server. An authority's flag does not make Chromium accept a lone server certificate.
const PEER: &str = "P,,";

/// A family of browsers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browser {
    /// Chromium, Chrome, Edge and others of the kind.
    Chromium,
    /// Firefox.
    Firefox,
}

/// A browser's store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NssStore {
    /// Whose it is.
    pub browser: Browser,
    /// Its folder.
    pub folder: PathBuf,
}

impl fmt::Display for NssStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let browser = match self.browser {
            Browser::Chromium => "Chromium's store",
            Browser::Firefox => "Firefox's profile",
        };
        write!(f, "{browser} {}", self.folder.display())
    }
}

impl NssStore {
    fn database(&self) -> String {
        format!("sql:{}", self.folder.display())
    }

    fn step(&self, arguments: &[&str], anchor: Option<&Anchor>) -> Step {
        let database = self.database();
        let arguments = ["-d", database.as_str()].iter().chain(arguments).map(|one| (*one).to_owned()).collect();
        let input = anchor.map(|anchor| (anchor.pem(), anchor.file.clone()));
        Step::Run { program: CERTUTIL, arguments, input }
    }

    /// The flags under which the store has the certificate.
    fn flags(&self, anchor: &Anchor) -> Option<String> {
        let output = Command::new(CERTUTIL).args(["-d", &self.database(), "-L"]).stdin(Stdio::null()).output().ok()?;
        let listing = String::from_utf8_lossy(&output.stdout);
        let of = |line: &str| Some(line.trim_end().strip_prefix(&anchor.nickname)?.trim().to_owned());
        listing.lines().find_map(of)
    }

    /// Whether the store trusts the certificate.
    #[must_use]
    pub fn trusts(&self, anchor: &Anchor) -> bool {
        self.flags(anchor).is_some_and(|flags| flags == wanted_flags(anchor))
    }
}

const fn wanted_flags(anchor: &Anchor) -> &'static str {
    if anchor.is_authority { AUTHORITY } else { PEER }
}

fn is_store(folder: &Path) -> bool {
    folder.join(DATABASE).is_file()
}

/// The places of Chromium's own store, the usual one first.
fn chromium(machine: &Machine) -> Vec<PathBuf> {
    let Some(home) = &machine.home else { return Vec::new() };
    let data = machine.data_home.clone().unwrap_or_else(|| home.join(".local/share"));
    vec![home.join(CHROMIUM), data.join(CHROMIUM_DATA)]
}

/// Every store that there is.
pub(super) fn stores(machine: &Machine) -> Vec<NssStore> {
    let Some(home) = &machine.home else { return Vec::new() };
    let sandboxed = SANDBOXED_CHROMIUMS.map(|folder| home.join(folder));
    let chromiums = chromium(machine).into_iter().chain(sandboxed);
    let profiles = FIREFOXES.iter().filter_map(|folder| fs::read_dir(home.join(folder)).ok());
    let mut profiles = profiles.flat_map(|folder| folder.flatten().map(|entry| entry.path())).collect::<Vec<_>>();
    profiles.sort();
    let store = |browser| move |folder| NssStore { browser, folder };
    let all = chromiums.map(store(Browser::Chromium)).chain(profiles.into_iter().map(store(Browser::Firefox)));
    all.filter(|store| is_store(&store.folder)).collect()
}

/// Says what to install if the program is missing.
fn has_certutil(plan: &mut Plan) -> bool {
    // Without a command it ends at once with an error, which is an answer too.
    let answers = Command::new(CERTUTIL).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if answers.is_err() {
        plan.obstacles.push(
            "browsers keep stores of their own, which the program certutil changes, and it is not installed: \
             apt-get install libnss3-tools (Debian), dnf install nss-tools (Fedora), pacman -S nss (Arch), \
             zypper install mozilla-nss-tools (SUSE)"
                .to_owned(),
        );
    }
    answers.is_ok()
}

pub(super) fn plan_trust(machine: &Machine, anchor: &Anchor, plan: &mut Plan) {
    let Some(usual) = chromium(machine).into_iter().next() else {
        plan.obstacles.push("no home folder, hence no stores of browsers: set HOME".to_owned());
        return;
    };
    if !has_certutil(plan) {
        return;
    }
    let mut stores = stores(machine);
    if !chromium(machine).iter().any(|folder| is_store(folder)) {
        // Chromium would make it at its first start.
        let store = NssStore { browser: Browser::Chromium, folder: usual };
        plan.browsers.push(Step::MakeFolder { path: store.folder.clone() });
        plan.browsers.push(store.step(&["-N", "--empty-password"], None));
        stores.push(store);
    }
    for store in stores {
        let wanted = wanted_flags(anchor);
        let step = match store.flags(anchor) {
            Some(flags) if flags == wanted => {
                plan.done.push(format!("{store} trusts it"));
                continue;
            }
            Some(_) => store.step(&["-M", "-t", wanted, "-n", &anchor.nickname], None),
            None => store.step(&["-A", "-a", "-t", wanted, "-n", &anchor.nickname], Some(anchor)),
        };
        plan.browsers.push(step);
    }
}

pub(super) fn plan_untrust(machine: &Machine, anchor: &Anchor, plan: &mut Plan) {
    let stores = stores(machine);
    if stores.is_empty() || !has_certutil(plan) {
        return;
    }
    for store in stores {
        match store.flags(anchor) {
            Some(_) => plan.browsers.push(store.step(&["-D", "-n", &anchor.nickname], None)),
            None => plan.done.push(format!("{store} does not have it")),
        }
    }
}
