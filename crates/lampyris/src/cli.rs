//! The command line.

use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use clap::{Args, Parser, Subcommand};
use lampyris_server::{Addresses, HostName, Options, StartError, default_listeners};

use crate::acme_args::AcmeArgs;
use crate::cert;
use crate::configured::{self, Checked, Files};
use crate::import::ImportArgs;
use crate::logs::{LogArgs, LogsArgs};
use crate::sample::ConfigCommand;

/// A self-hosted real-time multiplayer server, compatible with Photon Realtime, PUN 2 and Photon JavaScript clients.
///
/// Without a command it runs the server: NameServer, Master and Game in one process, over UDP, TCP, WebSocket and
/// secure WebSocket, with a certificate that it makes itself.
#[derive(Debug, Parser)]
#[command(name = "lampyris", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "Exit codes: 0 stopped by a signal, 1 failed while running, 2 wrong usage or not started")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server until SIGTERM or SIGINT
    Run(RunArgs),
    /// Check configuration files: PhotonServer.config and the files of the roles that it names
    #[command(after_help = "Exit codes: 0 nothing to repair, 1 warnings, 2 errors or wrong usage\n\n\
        Example: lampyris check-config --config deploy/bin_Win64/PhotonServer.config")]
    CheckConfig(CheckConfigArgs),
    /// Find out why clients cannot connect: configuration, certificates, network, and real clients on every transport
    #[command(after_help = "Exit codes: 0 all is well, 1 warnings, 2 errors or wrong usage\n\n\
        Example: lampyris doctor --config deploy/bin_Win64/PhotonServer.config")]
    Doctor(crate::doctor::Args),
    /// Have a running server load its configuration again
    #[command(after_help = "Exit codes: 0 all changes are in force, 1 some wait for the next start or there are \
        warnings, 2 refused or no server\n\nExample: lampyris reload --config deploy/bin_Win64/PhotonServer.config")]
    Reload(crate::reload::Args),
    /// Print what a running server says of itself, as JSON
    #[command(after_help = "Exit codes: 0 printed, 2 no server")]
    Status(crate::reload::Args),
    /// Look at a deployment of a Photon server: what is recognised, changed, ignored or not supported, and what to do next
    #[command(
        after_help = "Exit codes: 0 it can be run as it is, 1 something to look at, 2 something to mend first\n\n\
        Example: lampyris import deploy"
    )]
    Import(ImportArgs),
    /// Write the built-in configuration as files, or print the values in effect
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show the newest log file of a server that runs with configuration files
    #[command(after_help = "Exit codes: 0 shown, 1 there is no log, 2 wrong usage or a log that cannot be read\n\n\
        Example: lampyris logs -f --config deploy/bin_Win64/PhotonServer.config")]
    Logs(LogsArgs),
    /// Make, judge, trust and convert certificates
    #[command(subcommand)]
    Cert(cert::Command),
    /// Print the version
    Version,
}

#[derive(Debug, Args)]
pub(crate) struct CheckConfigArgs {
    /// The PhotonServer.config
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,

    /// The instance to check [default: the only one, or LoadBalancing]
    #[arg(long, value_name = "NAME")]
    pub(crate) instance: Option<String>,

    /// Take warnings for errors
    #[arg(long)]
    pub(crate) strict_config: bool,

    /// Let rooms do without the plugins of plugin.config, which cannot be loaded
    #[arg(long)]
    pub(crate) ignore_plugins: bool,

    /// Print each setting, its value and where it comes from
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Run from configuration files: the PhotonServer.config, from which those of the roles are found
    #[arg(long, value_name = "FILE", env = "LAMPYRIS_CONFIG")]
    #[arg(conflicts_with_all = ["public_ip", "public_host", "bind", "web_ports", "port_offset", "free_ports"])]
    pub(crate) config: Option<PathBuf>,

    /// The instance to run [default: the only one, or LoadBalancing]
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(crate) instance: Option<String>,

    /// Take warnings of the configuration for errors
    #[arg(long, requires = "config")]
    pub(crate) strict_config: bool,

    /// Let rooms do without the plugins of plugin.config, which cannot be loaded
    #[arg(long, requires = "config")]
    pub(crate) ignore_plugins: bool,

    /// Folder for certificates and secrets [default: /var/lib/lampyris for root, else ~/.local/state/lampyris]
    #[arg(long, value_name = "DIR", env = "LAMPYRIS_STATE_DIR")]
    state_dir: Option<PathBuf>,

    /// Address told to UDP and TCP clients, for servers behind NAT [default: the one a client reached]
    #[arg(long, value_name = "IP", env = "LAMPYRIS_PUBLIC_IP")]
    public_ip: Option<IpAddr>,

    /// Host name told to WebSocket clients; auto = the one a client used
    #[arg(long, value_name = "auto|NAME", default_value = "auto", env = "LAMPYRIS_PUBLIC_HOST")]
    #[arg(value_parser = host_name)]
    public_host: HostName,

    /// Address to listen on; can be given several times [default: every address]
    #[arg(long, value_name = "ADDR", env = "LAMPYRIS_BIND", value_delimiter = ',')]
    bind: Vec<IpAddr>,

    /// Number of worker threads [default: one per core]
    #[arg(long, value_name = "N", env = "LAMPYRIS_WORKERS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,

    /// Also listen on 80 (ws) and 443 (wss), where C# clients of 2023 and later look when their port field is 0
    #[arg(long, env = "LAMPYRIS_WEB_PORTS")]
    web_ports: bool,

    /// Added to every default port
    #[arg(long, value_name = "N", default_value_t = 0, env = "LAMPYRIS_PORT_OFFSET")]
    port_offset: u16,

    /// Listen on free ports of the system's choice
    #[arg(long, hide = true, conflicts_with_all = ["port_offset", "web_ports"])]
    free_ports: bool,

    #[command(flatten)]
    acme: AcmeArgs,

    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

impl RunArgs {
    /// What the server is told to do: what stands in the files, or the built-in defaults.
    pub(crate) fn options(&self, checked: Option<&Checked>) -> Result<Options, Vec<String>> {
        let texts = |error: Error| vec![error.to_string()];
        let (Some(files), Some(checked)) = (self.files(), checked) else {
            return self.default_options().map_err(texts);
        };
        configured::options(&files, checked, self.state_dir().map_err(texts)?, self.workers())
    }

    /// The files to run from.
    pub(crate) fn files(&self) -> Option<Files<'_>> {
        let (instance, strict, ignore_plugins) = (self.instance.as_deref(), self.strict_config, self.ignore_plugins);
        self.config.as_deref().map(|config| Files { config, instance, strict, ignore_plugins })
    }

    fn default_options(&self) -> Result<Options, Error> {
        let mut listeners = default_listeners(self.port_offset, self.web_ports)?;
        for listener in &mut listeners {
            listener.bind.clone_from(&self.bind);
            if self.free_ports {
                listener.node.port = 0;
            }
        }
        let addresses = Addresses::OfListeners { public_ip: self.public_ip, public_host: self.public_host.clone() };
        let state_dir = self.state_dir()?;
        let acme = self.acme.settings(&state_dir);
        Ok(Options { addresses, acme, workers: self.workers(), ..Options::new(state_dir, listeners) })
    }

    fn workers(&self) -> u16 {
        let cores = || available_parallelism().map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(1024).min(1024));
        self.workers.unwrap_or_else(cores)
    }

    fn state_dir(&self) -> Result<PathBuf, Error> {
        state_dir(self.state_dir.as_ref())
    }
}

/// Options that are wrong together or with this machine.
#[derive(Debug)]
pub(crate) enum Error {
    NoStateDir,
    Start(StartError),
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoStateDir => {
                f.write_str("no folder for certificates and secrets: HOME is not set; name one with --state-dir")
            }
            Self::Start(error) => error.fmt(f),
        }
    }
}

/// The folder for certificates and secrets.
pub(crate) fn state_dir(given: Option<&PathBuf>) -> Result<PathBuf, Error> {
    let env_path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let is_root = rustix::process::geteuid().is_root();
    let default = || default_state_dir(is_root, env_path("XDG_STATE_HOME"), env_path("HOME"));
    given.cloned().or_else(default).ok_or(Error::NoStateDir)
}

/// The system's folder for root, else the user's own.
fn default_state_dir(is_root: bool, state_home: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    const NAME: &str = "lampyris";
    if is_root {
        return Some(Path::new("/var/lib").join(NAME));
    }
    let state_home = state_home.filter(|path| path.is_absolute());
    state_home.or_else(|| home.map(|home| home.join(".local/state"))).map(|folder| folder.join(NAME))
}

fn host_name(text: &str) -> Result<HostName, String> {
    if text == "auto" {
        return Ok(HostName::Auto);
    }
    let unbracketed = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = unbracketed.parse::<Ipv6Addr>() {
        return Err(format!("expected a name or an IPv4 address, got {address}; IPv6 clients need a name"));
    }
    let fits = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.len() <= 253 && text.split('.').all(fits) {
        return Ok(HostName::Fixed(text.to_owned()));
    }
    Err("expected auto or a host name like play.example.org, without scheme and port".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_is_what_happens_without_a_command() {
        let cli = Cli::parse_from(["lampyris", "--workers", "3", "--port-offset", "10"]);
        assert!(cli.command.is_none());
        let options = cli.run.options(None).unwrap();
        assert_eq!(options.workers, 3);
        assert!(options.listeners.iter().any(|listener| listener.node.port == 5068));
    }

    #[test]
    fn state_is_kept_where_the_user_may_write() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(default_state_dir(true, path("/x"), path("/root")), path("/var/lib/lampyris"));
        assert_eq!(default_state_dir(false, path("/x"), path("/home/a")), path("/x/lampyris"));
        assert_eq!(default_state_dir(false, path("x"), path("/home/a")), path("/home/a/.local/state/lampyris"));
        assert_eq!(default_state_dir(false, None, None), None);
    }

    #[test]
    fn host_names_are_names_without_scheme_and_port() {
        assert_eq!(host_name("auto"), Ok(HostName::Auto));
        assert_eq!(host_name("play.example.org"), Ok(HostName::Fixed("play.example.org".to_owned())));
        for wrong in ["", "wss://a", "a:1", "a..b", "-a", "ä", "::1", "[::1]"] {
            assert!(host_name(wrong).is_err(), "{wrong}");
        }
    }
}
