//! The log of a running server, and `lampyris logs`, which shows it.
//!
//! Exit codes of `logs`: 0 shown, 1 there is no log, 2 wrong usage or a log that cannot be read.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};
use lampyris_config::{Config, Environment, LoadOptions, LogFile, LogLevel, LogLevels, log_file, read_file};
use lampyris_log::{File, Follow, Format, Listener, Logs, Options};
use tracing_subscriber::EnvFilter;

const NO_LOG: u8 = 1;
const FAILED: u8 = 2;

/// How often a followed log is looked at.
const FOLLOW_PAUSE: Duration = Duration::from_millis(250);

/// What is logged when nobody says anything else.
const DEFAULT_LEVEL: &str = "info";

/// The vendor's names for parts of a server, and the parts of this one that do the same.
const LOGGERS: [(&str, &[&str]); 9] = [
    ("OperationData", &["lampyris_engine::inbound"]),
    ("Photon.InvalidOp", &["lampyris_engine::inbound"]),
    ("Photon.Disconnect", &["lampyris_engine::outbound"]),
    ("Photon.SocketServer", &["lampyris_server::net", "lampyris_transport"]),
    ("ExitGames", &["lampyris_server::net", "lampyris_transport"]),
    ("Photon.NameServer", &["lampyris_engine::name_server"]),
    ("Photon.LoadBalancing.MasterServer", &["lampyris_engine::master", "lampyris_engine::directory"]),
    ("Photon.LoadBalancing.GameServer", &["lampyris_engine::game"]),
    ("Photon.Hive", &["lampyris_engine::game"]),
];

/// The parts that every role shares; `root` is about them.
const SHARED: &str = "lampyris_engine";

/// How lines on the standard error stream look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// An object for each line
    Json,
    /// As the logs of a Photon server
    Vendor,
}

/// What a running server logs.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// What to log: error, warn, info, debug, trace, or a list like info,lampyris_engine=debug [default: info, and the
    /// levels of the log4net.config files]
    #[arg(long, value_name = "LEVEL", env = "LAMPYRIS_LOG")]
    log: Option<String>,

    /// How lines on the standard error stream look
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text, env = "LAMPYRIS_LOG_FORMAT")]
    log_format: LogFormat,
}

impl LogArgs {
    /// Starts the log of this process. With a configuration there is also a daily file.
    pub(crate) fn start(&self, config: Option<&Config>, listeners: Vec<Listener>) -> Result<Logs, String> {
        let color = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let format = match self.log_format {
            LogFormat::Text => Format::Text { color },
            LogFormat::Json => Format::Json,
            LogFormat::Vendor => Format::Vendor,
        };
        let file = config.and_then(|config| config.instance.log.clone());
        let file = file.map(|LogFile { folder, prefix }| File { folder, prefix });
        let options = Options { filter: self.filter(config)?, format, file, listeners };
        lampyris_log::start(options).map_err(|error| format!("cannot start the log: {error}"))
    }

    /// What to log: the option if it is there, else what the configuration says.
    pub(crate) fn filter(&self, config: Option<&Config>) -> Result<EnvFilter, String> {
        let text = self.log.clone().unwrap_or_else(|| config.map_or_else(|| DEFAULT_LEVEL.to_owned(), directives));
        EnvFilter::try_new(&text).map_err(|error| {
            let expected = "expected error, warn, info, debug, trace or a list like info,lampyris_engine=debug";
            format!("--log {text:?}: {error}; {expected}")
        })
    }
}

/// The levels of the roles' log4net.config files, as this server's filter has them.
fn directives(config: &Config) -> String {
    let of_roles = [
        config.name_server.as_ref().map(|role| &role.log_levels),
        config.master.as_ref().map(|role| &role.log_levels),
        config.game_server.as_ref().map(|role| &role.log_levels),
    ];
    let of_roles: Vec<_> = of_roles.into_iter().flatten().collect();
    of_levels(&of_roles)
}

/// Where several roles speak of one part, the one that wants to know most gets its way.
fn of_levels(of_roles: &[&LogLevels]) -> String {
    let mut levels: BTreeMap<&str, LogLevel> = BTreeMap::new();
    let mut want = |target, level: LogLevel| {
        let known = levels.entry(target).or_insert(level);
        *known = level.max(*known);
    };
    for role in of_roles {
        if let Some(root) = role.root {
            want(SHARED, root);
        }
        for logger in &role.loggers {
            let parts = LOGGERS.iter().find(|(name, _)| *name == logger.name).map_or(&[][..], |(_, parts)| parts);
            parts.iter().for_each(|part| want(part, logger.level));
        }
    }
    let mut text = DEFAULT_LEVEL.to_owned();
    for (target, level) in levels {
        // Writing to a string does not fail.
        let _ = write!(text, ",{target}={}", level.name());
    }
    text
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The PhotonServer.config of the server [default: the one in this folder, in bin or in bin_Win64]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The instance [default: the only one, or LoadBalancing]
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,

    /// Go on with what comes, also on the next day
    #[arg(short, long)]
    follow: bool,

    /// Begin with so many lines
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    lines: usize,
}

pub(crate) fn run(args: &LogsArgs) -> ExitCode {
    let fail = |code: u8, text: &str| {
        let _ = writeln!(stderr(), "error: {text}");
        ExitCode::from(code)
    };
    let beside = ["PhotonServer.config", "bin/PhotonServer.config", "bin_Win64/PhotonServer.config"].map(PathBuf::from);
    let Some(config) = args.config.clone().or_else(|| beside.into_iter().find(|path| path.exists())) else {
        return fail(FAILED, "there is no PhotonServer.config here; name the one of the server with --config FILE");
    };
    let options = LoadOptions { instance: args.instance.as_deref(), ..LoadOptions::default() };
    let variable = |name: &str| std::env::var(name).ok();
    let Some(log) = log_file(&config, options, Environment { read: &read_file, variable: &variable }) else {
        let config = config.display();
        return fail(NO_LOG, &format!("{config} names no log; `lampyris check-config --config {config}` says more"));
    };
    match show(&log, args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            let (folder, prefix) = (log.folder.display(), log.prefix);
            fail(NO_LOG, &format!("there is no {prefix}-yyyyMMdd.log in {folder}; the server has not run yet"))
        }
        // A closed pipe is the reader's choice.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(FAILED, &format!("cannot read the log in {}: {error}", log.folder.display())),
    }
}

/// Shows the newest file; `false` if there is none.
fn show(log: &LogFile, args: &LogsArgs) -> io::Result<bool> {
    let mut out = stdout().lock();
    let Some(mut follow) = open(log, args)? else { return Ok(false) };
    let _ = writeln!(stderr(), "{}", follow.path().display());
    loop {
        let has_more = follow.copy(&mut out)?;
        out.flush()?;
        if !args.follow {
            return Ok(true);
        }
        if !has_more {
            thread::sleep(FOLLOW_PAUSE);
        }
    }
}

fn open(log: &LogFile, args: &LogsArgs) -> io::Result<Option<Follow>> {
    loop {
        let opened = match Follow::open(Path::new(&log.folder), &log.prefix, args.lines) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => opened?,
        };
        if opened.is_some() || !args.follow {
            return Ok(opened);
        }
        thread::sleep(FOLLOW_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use lampyris_config::Logger;

    use super::*;

    #[test]
    fn without_levels_of_log4net_the_level_is_info() {
        assert_eq!(of_levels(&[]), "info");
        assert_eq!(of_levels(&[&LogLevels::default()]), "info");
    }

    #[test]
    fn levels_of_log4net_become_those_of_the_parts_that_do_the_same_and_the_most_curious_role_wins() {
        let logger = |name: &str, level| Logger { name: name.to_owned(), level };
        let game = LogLevels {
            root: Some(LogLevel::Warn),
            loggers: vec![logger("OperationData", LogLevel::Debug), logger("Photon.Own.Class", LogLevel::Debug)],
        };
        let master = LogLevels {
            root: Some(LogLevel::Error),
            loggers: vec![logger("OperationData", LogLevel::Info), logger("ExitGames", LogLevel::Off)],
        };
        let text = of_levels(&[&game, &master]);
        let expected =
            "info,lampyris_engine=warn,lampyris_engine::inbound=debug,lampyris_server::net=off,lampyris_transport=off";
        assert_eq!(text, expected);
        assert!(EnvFilter::try_new(text).is_ok());
    }
}
