//! What the program does for the server that it runs: the start message, loading the configuration again, and telling
//! what it knows of itself.

use std::io::{Write as _, stderr};
use std::path::PathBuf;
use std::sync::Arc;

use lampyris_config::{Change, Loaded, Reload, Severity, changes, not_in_effect};
use lampyris_log::{Logs, newest};
use lampyris_server::control::{Operator, Recent, Reloaded, Status, socket_path};
use lampyris_server::{Options, Server};

use crate::banner::Banner;
use crate::cli::RunArgs;
use crate::configured::{self, Checked};

/// The program, while its server runs.
pub(crate) struct Running<'a> {
    pub(crate) args: &'a RunArgs,
    pub(crate) options: Options,
    pub(crate) configuration: Option<Configuration>,
    pub(crate) logs: &'a Logs,
    pub(crate) recent: Arc<Recent>,
    pub(crate) color: bool,
}

/// The files that the server runs from.
pub(crate) struct Configuration {
    /// As they were at the start, which is what settings obey that cannot change while it runs.
    started: Loaded,
    /// As they were loaded last.
    current: Checked,
}

impl Configuration {
    /// That of the start.
    pub(crate) fn new(current: Checked) -> Self {
        let Loaded { config: _, findings, effective, files } = &current.loaded;
        let (findings, effective, files) = (findings.clone(), effective.clone(), files.clone());
        Self { started: Loaded { config: None, findings, effective, files }, current }
    }
}

impl Operator for Running<'_> {
    fn socket(&self) -> Option<PathBuf> {
        Some(socket_path(&self.options.state_dir, self.args.config.as_deref()))
    }

    fn ready(&mut self, server: &Server) {
        let banner = Banner { server, options: &self.options, color: self.color };
        // What was logged until now stands before it.
        self.logs.flush();
        // Nobody listening is no reason to stop.
        let _ = write!(stderr(), "{banner}");
        crate::say(&format!("ready: {} addresses, {} workers", server.addresses().len(), self.options.workers));
    }

    fn watched(&self) -> Vec<PathBuf> {
        self.configuration.as_ref().map(|loaded| loaded.current.loaded.files.clone()).unwrap_or_default()
    }

    fn reload(&mut self, server: &mut Server) -> Reloaded {
        match self.try_reload(server) {
            Ok(reloaded) => reloaded,
            Err(errors) => Reloaded { refused: true, findings: errors, ..Reloaded::default() },
        }
    }

    fn describe(&self, status: &mut Status) {
        status.configuration.clone_from(&self.args.config);
        let log = self.configuration.as_ref().and_then(|loaded| loaded.current.config.instance.log.as_ref());
        status.log_file = log.and_then(|log| newest(&log.folder, &log.prefix).ok().flatten());
        status.recent = self.recent.lines();
        status.counters.insert("log_lines_lost".to_owned(), self.logs.lost());
    }
}

impl Running<'_> {
    /// All or nothing: as long as anything is wrong, the old values hold.
    fn try_reload(&mut self, server: &mut Server) -> Result<Reloaded, Vec<String>> {
        let (Some(files), Some(configuration)) = (self.args.files(), &mut self.configuration) else {
            return Err(vec!["the server was started without --config, so there is nothing to load again".to_owned()]);
        };
        let checked = configured::read(&files)?;
        let options = self.args.options(Some(&checked))?;
        let filter = self.args.logs.filter(Some(&checked.config)).map_err(|error| vec![error])?;
        server.reconfigure(&options)?;
        let mut reloaded = compare(configuration, &checked);
        if let Err(error) = self.logs.set_filter(filter) {
            reloaded.findings.push(format!("the levels of the log stay as they were: {error}"));
        }
        self.options = options;
        configuration.current = checked;
        Ok(reloaded)
    }
}

/// What changed, by when it takes effect.
fn compare(configuration: &Configuration, new: &Checked) -> Reloaded {
    let mut reloaded = Reloaded::default();
    for finding in new.loaded.findings.iter().filter(|finding| finding.severity == Severity::Warning) {
        reloaded.findings.push(format!("{}: {}: {}", finding.place, finding.severity, finding.text));
    }
    let has_master = new.config.master.is_some();
    let of = |old: &Loaded, wanted: Reload| -> Vec<Change> {
        let changes = changes(old, &new.loaded).into_iter();
        changes.filter(|change| takes_effect(&change.setting, change.reload, has_master) == wanted).collect()
    };
    for change in of(&configuration.current.loaded, Reload::Live) {
        match not_in_effect(&change.setting) {
            Some(reason) => reloaded.notes.push(format!("{change} is accepted and not in effect: {reason}")),
            None => reloaded.applied.push(change.to_string()),
        }
    }
    for change in of(&configuration.started, Reload::Restart) {
        if not_in_effect(&change.setting).is_none() {
            reloaded.needs_restart.push(change.to_string());
        }
    }
    reloaded
}

/// A game server tells a Master elsewhere its address once, when it starts; a Master in the same process looks it up.
fn takes_effect(setting: &str, declared: Reload, has_master: bool) -> Reload {
    let is_announced = setting.contains("GameServer/Master/Public");
    if is_announced && !has_master { Reload::Restart } else { declared }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_game_server_tells_a_master_elsewhere_its_address_only_when_it_starts() {
        let host = "Game GameServer/Master/PublicHostName";
        assert_eq!(takes_effect(host, Reload::Live, true), Reload::Live);
        assert_eq!(takes_effect(host, Reload::Live, false), Reload::Restart);
        assert_eq!(takes_effect("Game GameServer/MaxEmptyRoomTTL", Reload::Live, false), Reload::Live);
    }
}
