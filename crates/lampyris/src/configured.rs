//! From an operator's files to what the server is told.

mod authority;
mod endpoints;
mod listeners;
mod roles;
mod s2s;

use std::path::{Path, PathBuf};
use std::time::Duration;

use lampyris_config::{Config, Environment, LoadOptions, Loaded, Origin, Severity, load, not_in_effect, read_file};
use lampyris_server::engine::{Application, Applications, Limits, MessageRates, Role, UdpConfig};
use lampyris_server::{Addresses, Options};

/// Longest time for goodbyes, however long stopping may take.
const STOP_GRACE_AT_MOST: Duration = Duration::from_secs(5);
/// Stands for never where a time is counted on.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Where the files are and how to read them.
#[derive(Debug)]
pub(crate) struct Files<'a> {
    pub(crate) config: &'a Path,
    pub(crate) instance: Option<&'a str>,
    pub(crate) strict: bool,
    pub(crate) ignore_plugins: bool,
}

/// Files that were read and have no error.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) config: Config,
    pub(crate) loaded: Loaded,
}

/// Reads the files. The errors are told as they are, one text each.
pub(crate) fn read(files: &Files<'_>) -> Result<Checked, Vec<String>> {
    let options = LoadOptions { instance: files.instance, strict: files.strict, ignore_plugins: files.ignore_plugins };
    let variable = |name: &str| std::env::var(name).ok();
    let mut loaded = load(files.config, options, Environment { read: &read_file, variable: &variable });
    match loaded.config.take() {
        Some(config) => Ok(Checked { config, loaded }),
        None => Err(loaded.findings.iter().filter(|one| one.severity == Severity::Error).map(finding).collect()),
    }
}

/// What the server is told; what is good to know goes to the log. The errors are told as they are, one text each.
pub(crate) fn options(
    files: &Files<'_>,
    Checked { config, loaded }: &Checked,
    state_dir: PathBuf,
    workers: u16,
) -> Result<Options, Vec<String>> {
    tell(loaded);
    let applications = applications(config);
    let folder =
        files.config.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut errors = Vec::new();
    let listeners = listeners::read(config, &applications, folder, &mut errors);
    let addresses = endpoints::read(config, &mut errors);
    let s2s = s2s::read(config, &mut errors);
    let token_secret = roles::token_secret(config, &addresses, &mut errors);
    roles::check_authentication(config, &mut errors);
    if listeners.is_empty() && errors.is_empty() {
        let applications = applications.loaded.iter().map(|application| application.name.as_str());
        let names = applications.collect::<Vec<_>>().join(", ");
        errors.push(format!("{}: no listener leads to an application that is loaded: {names}", files.config.display()));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let settings = &config.instance.settings;
    Ok(Options {
        strict: files.strict,
        applications,
        addresses: Addresses::Told(addresses),
        name_server: roles::name_server(config),
        master: roles::master(config),
        game: roles::game(config),
        token_secret,
        acme: config.instance.acme.as_ref().map(authority::read),
        workers,
        limits: Limits {
            rates: MessageRates {
                messages: or_unlimited(settings.message_rate),
                bytes: or_unlimited(settings.message_data_rate),
            },
            ..Limits::default()
        },
        udp: udp(config),
        s2s,
        stop_grace: settings.shutdown_timeout.get().min(STOP_GRACE_AT_MOST),
        ..Options::new(state_dir, listeners)
    })
}

/// A finding with its line below it.
fn finding(finding: &lampyris_config::Finding) -> String {
    let excerpt = if finding.excerpt.is_empty() { String::new() } else { format!("\n{}", finding.excerpt) };
    format!("{}: {}{excerpt}", finding.place, finding.text)
}

/// Logs what is not an error, and every setting that was written and does nothing yet.
fn tell(loaded: &Loaded) {
    for one in &loaded.findings {
        match one.severity {
            Severity::Warning => tracing::warn!("{}: {}", one.place, one.text),
            Severity::Note | Severity::Error => tracing::info!("{}: {}", one.place, one.text),
        }
    }
    for one in &loaded.effective {
        if let (Origin::File(place), Some(reason)) = (&one.origin, not_in_effect(&one.setting)) {
            tracing::info!("{place}: {} = {} is accepted and not in effect: {reason}", one.setting, one.value);
        }
    }
}

fn applications(config: &Config) -> Applications {
    let written = &config.instance.applications;
    let loaded = written
        .all
        .iter()
        .map(|application| Application { name: application.settings.name.clone(), role: role(application.role) });
    let loaded: Vec<_> = loaded.collect();
    let passes = written.settings.pass_unknown_apps_to_default_app;
    let default = written.settings.default.as_ref().filter(|_| passes);
    let default = default.and_then(|name| loaded.iter().find(|application| application.name == *name));
    let default = default.map(|application| application.role);
    Applications { loaded, default }
}

const fn role(role: lampyris_config::Role) -> Role {
    match role {
        lampyris_config::Role::NameServer => Role::NameServer,
        lampyris_config::Role::Master => Role::Master,
        lampyris_config::Role::Game => Role::Game,
    }
}

fn udp(config: &Config) -> UdpConfig {
    let settings = &config.instance.settings;
    let or_a_day = |time: Duration| or_never(time).min(A_DAY);
    let period = settings.per_peer_transmit_rate_period.get().max(Duration::from_millis(1));
    let period_ms = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
    let rate = u64::from(settings.per_peer_transmit_rate_limit_kb_per_s) * 1024;
    let period_bytes = usize::try_from(rate.saturating_mul(period_ms) / 1000).unwrap_or(usize::MAX);
    UdpConfig {
        in_transit_bytes: bytes(settings.per_peer_max_reliable_data_in_transit),
        period_bytes: if rate == 0 { usize::MAX } else { period_bytes },
        period,
        ack_delay: settings.ack_sending_delay.get(),
        ping_interval: or_a_day(settings.ping_interval.get()),
        timeout_min: settings.minimum_timeout.get(),
        timeout_max: or_a_day(settings.maximum_timeout.get()),
        resend_min: settings.minimum_retransmit_timeout.get(),
        resend_max: or_a_day(settings.maximum_retransmit_timeout.get()),
        ..UdpConfig::SERVER
    }
}

/// A time of 0 means that there is no limit.
fn or_never(time: Duration) -> Duration {
    if time.is_zero() { Duration::MAX } else { time }
}

/// A rate of 0 means that there is no limit.
fn or_unlimited(rate: u32) -> u32 {
    if rate == 0 { u32::MAX } else { rate }
}

fn bytes(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
