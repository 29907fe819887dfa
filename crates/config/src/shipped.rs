//! What the vendor ships, as far as it is not what holds without a file: so that an import tells what an operator has
//! changed, and a check tells of secrets that everyone knows.

use crate::application::COUNTER_PUBLISHER;
use crate::check::{Effective, Origin};
use crate::load::{LoadBalancer, LoadLevel};
use crate::value::{Secret, Value as _};

/// Token keys in the vendor's download: whoever has it can forge tokens that are sealed with them.
const KNOWN_KEYS: [&str; 2] = ["76B2814E-2A50-4E29-838A-20411D335FC9", "DD6FD4DE-BF09-46A1-833E-ACDC22DD3FC7"];

/// Listeners, by kind and port, and what they lead to.
const LISTENERS: [(&str, &str, &str); 13] = [
    ("UDPListener", "5055", "Master"),
    ("UDPListener", "27001", "Master"),
    ("UDPListener", "5056", "Game"),
    ("UDPListener", "27002", "Game"),
    ("UDPListener", "5058", "NameServer"),
    ("UDPListener", "27000", "NameServer"),
    ("TCPListener", "4530", "Master"),
    ("TCPListener", "4531", "Game"),
    ("TCPListener", "4533", "NameServer"),
    ("TCPListener", "4520", ""),
    ("HTTPListener", "9090", "Master"),
    ("HTTPListener", "9091", "Game"),
    ("HTTPListener", "9093", "NameServer"),
];

/// Values that are not those that hold without a file.
const VALUES: [(&str, &str); 29] = [
    ("Instance DisplayName", "\"LoadBalancing (MyCloud)\""),
    ("Applications Default", "\"NameServer\""),
    ("Application Master BaseDirectory", "\"LoadBalancing\\\\Master\""),
    ("Application Game BaseDirectory", "\"LoadBalancing\\\\GameServer\""),
    ("Application NameServer BaseDirectory", "\"NameServer\""),
    ("Application Master Type", "\"Photon.LoadBalancing.MasterServer.MasterApplication\""),
    ("Application Game Type", "\"Photon.LoadBalancing.GameServer.GameApplication\""),
    ("Application NameServer Type", "\"Photon.NameServer.PhotonApp\""),
    ("NameServer Authentication/AuthTokenExpirationSeconds", "1800"),
    ("NameServer CustomAuth/Enabled", "true"),
    ("NameServer CustomAuth/AllowAnonymous", "true"),
    ("NameServer CustomAuth/HttpQueueSettings/MaxErrorRequests", "100"),
    ("NameServer CustomAuth/HttpQueueSettings/LimitHttpResponseMaxSize", "20000"),
    ("Master Master/Limits/Lobby/MaxStatsPublished", "1000000"),
    ("Master WebRpc/Enabled", "true"),
    ("Game WebRpc/Enabled", "true"),
    ("Game GameServer/Master/GamingWsPath", "\"Game\""),
    ("Game GameServer/HttpQueueSettings/MaxErrorRequests", "30"),
    ("Game GameServer/HttpQueueSettings/MaxTimedOutRequests", "30"),
    ("Game GameServer/HttpQueueSettings/QueueTimeout", "90000"),
    ("Game GameServer/HttpQueueSettings/MaxConcurrentRequests", "1"),
    ("Game GameServer/HttpQueueSettings/LimitHttpResponseMaxSize", "200000"),
    ("Game GameServer/Limits/Inbound/EventCache/EventsCount", "10000"),
    ("Game GameServer/Limits/Inbound/EventCache/ActorEventsCount", "10000"),
    ("Game GameServer/WorkloadConfigFile", "\"Workload.1Gbps.config\""),
    // Version 4.
    ("Game GameServer/HttpQueueSettings/QueueTimeout", "50000"),
    ("Game GameServer/HttpQueueSettings/HttpRequestTimeout", "10000"),
    ("Master Master/UseLegacyLobbies", "false"),
    ("Master Master/OnlyLogQueryDataErrors", "true"),
];

/// Whether a token key is one of those that everyone knows.
pub(crate) fn is_known_key(key: &Secret) -> bool {
    KNOWN_KEYS.iter().any(|known| known.eq_ignore_ascii_case(key.expose().trim()))
}

/// Whether a setting has the value that the vendor ships, or the one that holds without a file. Secrets are compared as
/// what they are.
pub fn is_shipped(one: &Effective) -> bool {
    let Effective { setting, value, default, origin, secret, .. } = one;
    if !matches!(origin, Origin::File(_)) {
        return true;
    }
    if let Some(secret) = secret {
        return is_known_key(secret);
    }
    let known = || VALUES.iter().any(|(known, shipped)| setting == known && value == shipped);
    value == default || known() || of_listener(one).unwrap_or(false) || of_load(one).unwrap_or(false)
}

fn of_listener(one: &Effective) -> Option<bool> {
    let owner = one.owner();
    if let Some(name) = owner.strip_prefix("Application ") {
        // Version 4 ships one that nobody misses.
        return Some(name == COUNTER_PUBLISHER || one.key() == "Name" && one.value == format!("{name:?}"));
    }
    if let Some((url, port)) = owner.strip_prefix("Route ").and_then(|route| route.split_once(" of ")) {
        let (.., application) = LISTENERS.iter().find(|(kind, known, _)| *kind == "HTTPListener" && *known == port)?;
        return Some(match one.key() {
            "Url" => ["/*", "/+"].contains(&url),
            "OverrideApplication" => one.value == format!("{application:?}"),
            "PeerType" => one.value == "\"WebSocket\"",
            "PingEvery" => one.value == "2000",
            _ => false,
        });
    }
    let (kind, port) = owner.split_once(' ')?;
    // Version 4 has the same ports.
    let kind = if kind == "WebSocketListener" { "HTTPListener" } else { kind };
    let (.., application) = LISTENERS.iter().find(|(known, number, _)| *known == kind && *number == port)?;
    Some(match one.key() {
        "Port" | "Name" => true,
        "OverrideApplication" => one.value == format!("{application:?}"),
        "InactivityTimeout" => one.value == "10000",
        "AppDataInactivityTimeout" => one.value == "15000",
        _ => false,
    })
}

/// Levels and weights: the tables go up by 10 percent, 1 MiB or 10 MiB.
fn of_load(one: &Effective) -> Option<bool> {
    const STEPS: [u32; 3] = [10, 1024 * 1024, 10 * 1024 * 1024];
    let owner = one.owner();
    if let Some(level) = owner.strip_prefix("weight ") {
        let weight = *LoadBalancer::default().weights.get(usize::from(LoadLevel::parse(level)?.number()))?;
        return Some(one.key() == "Level" || one.value == weight.to_string());
    }
    if owner.starts_with("log level of ") {
        return Some(one.value == "info");
    }
    let Some((_, level)) = owner.strip_prefix("controller ")?.split_once(' ') else {
        return Some(one.key() == "Name");
    };
    let level = u32::from(LoadLevel::parse(level)?.number());
    Some(match one.key() {
        "Value" => STEPS.iter().any(|step| {
            let value = step * (level + 1);
            one.value == value.to_string() || (level == 9 && one.value == (value + step).to_string())
        }),
        _ => true,
    })
}

/// Shipped listeners that a configuration does not have.
pub fn missing_listeners(effective: &[Effective]) -> Vec<String> {
    let has = |kind: &str, port: &str| {
        let kinds = if kind == "HTTPListener" { &["HTTPListener", "WebSocketListener"][..] } else { &[kind] };
        effective.iter().any(|one| {
            one.owner().split_once(' ').is_some_and(|(known, number)| kinds.contains(&known) && number == port)
        })
    };
    let missing = LISTENERS.iter().filter(|(kind, port, _)| !has(kind, port));
    missing.map(|(kind, port, application)| format!("{kind} {port} {application}").trim_end().to_owned()).collect()
}
