//! The configuration files of a server: read, checked, and every finding told with its place.
//!
//! [`load()`] takes `PhotonServer.config` and from there the files of the roles that it names. It never stops at the first
//! fault. What leaves this crate is a [`Config`] in which every setting has its value, and the findings.
//!
//! | file | module |
//! | --- | --- |
//! | `PhotonServer.config` | `instance`, `listener`, `tls`, `acme`, `s2s`, `application` |
//! | `Nameserver.xml.config`, `Master.xml.config`, `GameServer.xml.config` | `role`, `role_file`, `role_settings` |
//! | `Photon.NameServer.dll.config`, `Photon.LoadBalancing.dll.config` of version 4 | `dotnet` |
//! | `Nameserver.json` | `region` |
//! | `Workload.config`, `LoadBalancer.config` | `load` |
//! | `plugin.config` | `plugin` |
//! | `log4net.config` | `log4net` |
//!
//! [`changes`] compares two configurations, [`sample()`] writes the built-in one. Files are read through one function, so that a
//! check needs no disk.

mod acme;
mod application;
mod change;
mod check;
mod dotnet;
mod effect;
mod files;
mod finding;
mod instance;
mod json;
mod listener;
mod load;
mod log4net;
mod log_file;
mod plugin;
mod reference;
mod region;
mod role;
mod role_file;
mod role_settings;
mod s2s;
mod sample;
mod settings;
mod shipped;
mod source;
mod tls;
mod value;
mod xml;

use std::path::{Path, PathBuf};

pub use acme::{Acme, AcmeSettings};
pub use application::{Application, ApplicationSettings, Applications, ApplicationsSettings, Role};
pub use change::{Change, What, changes};
pub use check::{Effective, Environment, File, MAX_FINDINGS, Origin};
pub use effect::not_in_effect;
pub use files::read_file;
pub use finding::{Finding, Severity, Subject};
pub use instance::{Instance, InstanceSettings};
pub use listener::{
    HttpSettings, Listener, ListenerKind, ListenerSettings, PolicySettings, Route, RouteSettings, SecurePort,
    TcpSettings,
};
pub use load::{
    Controller, ControllerSettings, LevelBound, LevelSettings, LoadBalancer, LoadBalancerSettings, LoadInput,
    LoadLevel, Ratio, WeightSettings, Workload,
};
pub use log_file::LogFile;
pub use log4net::{LogLevel, LogLevels, Logger, LoggerSettings};
pub use plugin::{Plugin, PluginSettings, PluginsSettings};
pub use reference::reference;
pub use region::Region;
pub use role::{AuthProvider, GameServer, Master, NameServer};
pub use role_settings::{
    AuthProviderSettings, Authentication, CustomAuth, GameServerSettings, HttpQueue, MasterSettings,
    NameServerSettings, WebRpc,
};
pub use s2s::{S2s, S2sSettings};
pub use sample::{SampleFile, sample};
pub use settings::{Key, Reload};
pub use shipped::{is_shipped, missing_listeners};
pub use source::{MAX_FILE_BYTES, Place};
pub use tls::{Certificate, CertificateSettings, Tls, TlsSettings};
pub use value::{
    AcmeChallenge, ClientCertificate, EncryptionTypes, Hours, ListenAddress, Milliseconds, Minutes, Networks, Port,
    ProxyProtocol, Seconds, Secret, Time, TlsVersion, Value,
};

use crate::check::{Check, Told};

/// What a server is told, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The instance that runs.
    pub instance: Instance,
    /// Present if the instance plays the role.
    pub name_server: Option<NameServer>,
    /// Present if the instance plays the role.
    pub master: Option<Master>,
    /// Present if the instance plays the role.
    pub game_server: Option<GameServer>,
}

/// How to load.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions<'a> {
    /// The instance to run; `None` = the only one, or `LoadBalancing`.
    pub instance: Option<&'a str>,
    /// Whether warnings are errors.
    pub strict: bool,
    /// Whether plugins that cannot be loaded are left out with a warning.
    pub ignore_plugins: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Loaded {
    /// Present if there is no error.
    pub config: Option<Config>,
    /// In the order of files and lines.
    pub findings: Vec<Finding>,
    /// Every setting and its value, in the order of reading.
    pub effective: Vec<Effective>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
}

impl Loaded {
    /// The worst finding.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

/// Loads the configuration that begins with the `PhotonServer.config` at `path`.
pub fn load(path: &Path, options: LoadOptions<'_>, environment: Environment<'_>) -> Loaded {
    let mut check = Check::new(environment, options);
    let config = read_config(&mut check, path, options).ok();
    let effective = std::mem::take(&mut check.effective);
    let files = check.files();
    let findings = check.into_findings();
    let is_good = findings.iter().all(|finding| finding.severity < Severity::Error);
    Loaded { config: config.filter(|_| is_good), findings, effective, files }
}

/// Where the core log of an instance goes, also when there are errors elsewhere; `None` if it has none, or if it cannot be
/// told.
pub fn log_file(path: &Path, options: LoadOptions<'_>, environment: Environment<'_>) -> Option<LogFile> {
    let mut check = Check::new(environment, options);
    let file = check.open(path).ok()??;
    let root = check.parse_xml(file).ok()?;
    let element = instance::choose(&mut check, &root, options.instance).ok()?;
    instance::read(&mut check, element).log
}

fn read_config(check: &mut Check<'_>, path: &Path, options: LoadOptions<'_>) -> Result<Config, Told> {
    let Some(file) = check.open(path)? else {
        return Err(check.tell(path, String::new(), "expected a configuration file here, got none".to_owned()));
    };
    let root = check.parse_xml(file)?;
    let element = instance::choose(check, &root, options.instance)?;
    let mut instance = instance::read(check, element);
    let roles = role::read(check, &instance);
    acme::complete(check, &mut instance, &roles);
    Ok(Config { instance, name_server: roles.name_server, master: roles.master, game_server: roles.game_server })
}
