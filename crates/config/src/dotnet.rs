//! The roles' files of version 4: .NET application settings under names of their own.
//!
//! ```text
//! configuration
//!   applicationSettings
//!     Photon.LoadBalancing.GameServer.GameServerSettings
//!       setting name="GamingUdpPort" / value
//!   AuthSettings Enabled ClientAuthenticationAllowAnonymous / AuthProviders
//!   WebRpcSettings Enabled / BaseUrl Value
//! ```
//!
//! A setting gets the name that it has in version 5, and is read and checked under that one.

use crate::application::Role;
use crate::check::{Check, attributes};
use crate::finding::Severity;
use crate::role_file::RoleFile;
use crate::settings::Entry;
use crate::source::Span;
use crate::xml::Element;

/// What a section of settings is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Authentication,
    /// Of every role on the machine.
    Common,
    Of(Role),
}

/// What becomes of a setting.
enum Now {
    /// It has this name.
    Named(&'static str),
    /// It has this name, and counts milliseconds, not seconds.
    InMilliseconds(&'static str),
    /// It has no meaning here, nor in version 5.
    Gone,
    /// Nobody knows it.
    Unknown,
}

/// Sections of the .NET framework and of the vendor's counters.
const IRRELEVANT: [&str; 8] = [
    "configSections",
    "startup",
    "runtime",
    "Photon",
    "appSettings",
    "connectionStrings",
    "system.diagnostics",
    "system.net",
];

pub(crate) fn read(check: &mut Check<'_>, root: &Element, role: Role) -> RoleFile {
    let mut file = RoleFile::default();
    if !root.is("configuration") {
        let text = format!("expected <configuration> as the outermost element, got <{}>", root.name.text);
        check.fail(&root.name.span, text);
        return file;
    }
    for child in &root.children {
        if child.is("applicationSettings") {
            child.children.iter().for_each(|section| read_section(check, section, role, &mut file.entries));
        } else if child.is("AuthSettings") {
            read_auth(check, child, role, &mut file);
        } else if child.is("WebRpcSettings") {
            read_web_rpc(child, role, &mut file.entries);
        } else if !IRRELEVANT.iter().any(|known| child.is(known)) {
            let name = &child.name.text;
            check.warn(&child.name.span, format!("unknown element <{name}> in <configuration>"));
        }
    }
    file
}

/// A section by its name, which is that of the vendor's class.
fn section_of(name: &str) -> Option<Section> {
    Some(match name {
        "Photon.Common.Authentication.Settings" => Section::Authentication,
        "Photon.LoadBalancing.Common.CommonSettings" => Section::Common,
        "Photon.LoadBalancing.MasterServer.MasterServerSettings" => Section::Of(Role::Master),
        "Photon.LoadBalancing.GameServer.GameServerSettings" => Section::Of(Role::Game),
        "Photon.NameServer.Settings" => Section::Of(Role::NameServer),
        _ => return None,
    })
}

fn read_section(check: &mut Check<'_>, element: &Element, role: Role, entries: &mut Vec<Entry>) {
    let name = &element.name.text;
    let Some(section) = section_of(name) else {
        let text = format!("unknown section <{name}> in <applicationSettings>; none of it has an effect");
        check.warn(&element.name.span, text);
        return;
    };
    // Master and game server have copies of one file, each with the settings of both.
    if matches!(section, Section::Of(other) if other != role) {
        return;
    }
    check.unknown_children(element, &["setting"]);
    for setting in element.children("setting") {
        let Some(name) = setting.attribute("name") else {
            check.fail(&setting.name.span, "<setting> has no name; expected one like name=\"PublicIPAddress\"");
            continue;
        };
        let Some(value) = setting.children("value").next() else {
            let text = format!("<setting> {:?} has no <value>; expected one", name.value.text);
            check.fail(&setting.name.span, text);
            continue;
        };
        let (text, span) = value
            .text
            .as_ref()
            .map_or_else(|| (String::new(), value.name.span.clone()), |text| (text.text.clone(), text.span.clone()));
        let known = now(section, role, &name.value.text);
        take(check, known, &name.value.text, &name.value.span, (text, span), entries);
    }
}

/// Keeps a setting under its new name, and tells of those that nobody takes.
fn take(
    check: &mut Check<'_>,
    known: Now,
    name: &str,
    name_span: &Span,
    (text, value_span): (String, Span),
    entries: &mut Vec<Entry>,
) {
    // The name of a setting stands where elsewhere values stand; it is no secret.
    check.reveal(name_span);
    let mut keep = |new: &str, value: String| {
        entries.push(Entry {
            name: new.to_owned(),
            name_span: name_span.clone(),
            value,
            value_span: value_span.clone(),
        });
    };
    match known {
        Now::Named(new) => keep(new, text),
        Now::InMilliseconds(new) => match text.parse().ok().and_then(|seconds: u32| seconds.checked_mul(1_000)) {
            Some(milliseconds) => keep(new, milliseconds.to_string()),
            None => {
                check.reveal(&value_span);
                check.fail(
                    &value_span,
                    format!("{name}: expected a whole number of seconds up to 2147483, got {text:?}"),
                );
            }
        },
        Now::Unknown => keep(name, text),
        Now::Gone if name == "RedisDB" && !text.is_empty() => {
            let text = "RedisDB has no effect: this server keeps rooms in its own memory";
            check.unsupported(Severity::Warning, name_span, text);
        }
        Now::Gone => check.ignored(name.to_owned(), name_span),
    }
}

fn now(section: Section, role: Role, name: &str) -> Now {
    match (section, role) {
        (Section::Authentication, _) => of_authentication(role, name),
        (Section::Common, _) => match name {
            "EnablePerformanceCounters" if role != Role::NameServer => {
                Now::Named("LoadBalancing/EnablePerformanceCounters")
            }
            "NodesFileName" | "NodesFilePath" | "EnablePerformanceCounters" => Now::Gone,
            _ => Now::Unknown,
        },
        (Section::Of(_), Role::NameServer) => of_name_server(name),
        (Section::Of(_), Role::Master) => of_master(name),
        (Section::Of(_), Role::Game) => of_game(name),
    }
}

fn of_authentication(role: Role, name: &str) -> Now {
    let common = match name {
        "AuthTokenKey" => Some("Authentication/AuthTokenKey"),
        "HMACTokenKey" => Some("Authentication/HMACTokenKey"),
        "AuthTokenExpirationS" => Some("Authentication/AuthTokenExpirationSeconds"),
        "AuthCacheUpdateInterval" => Some("Authentication/AuthCacheUpdateInterval"),
        _ => None,
    };
    if let Some(new) = common {
        return Now::Named(new);
    }
    let known = match name {
        "MaxConcurrentRequests" => Now::Named("CustomAuth/HttpQueueSettings/MaxConcurrentRequests"),
        "MaxQueuedRequests" => Now::Named("CustomAuth/HttpQueueSettings/MaxQueuedRequests"),
        "MaxErrorRequests" => Now::Named("CustomAuth/HttpQueueSettings/MaxErrorRequests"),
        "MaxTimedOutRequests" => Now::Named("CustomAuth/HttpQueueSettings/MaxTimedOutRequests"),
        "HttpRequestTimeoutMS" => Now::Named("CustomAuth/HttpQueueSettings/HttpRequestTimeout"),
        "MaxBackoffTimeInMiliseconds" => Now::Named("CustomAuth/HttpQueueSettings/MaxBackoffTime"),
        "ReconnectIntervalS" => Now::InMilliseconds("CustomAuth/HttpQueueSettings/ReconnectInterval"),
        "QueueTimeoutS" => Now::InMilliseconds("CustomAuth/HttpQueueSettings/QueueTimeout"),
        "UseCustomAuthService" => Now::Named("CustomAuth/UseCustomAuthService"),
        _ => return Now::Unknown,
    };
    // Clients authenticate at the NameServer; the copies in the other roles' files are not used.
    if role == Role::NameServer { known } else { Now::Gone }
}

fn of_name_server(name: &str) -> Now {
    Now::Named(match name {
        "MasterServerPortUdp" => "NameServer/MasterServerPortUdp",
        "MasterServerPortTcp" => "NameServer/MasterServerPortTcp",
        "MasterServerPortWebSocket" => "NameServer/MasterServerPortWebSocket",
        "MasterServerPortSecureWebSocket" => "NameServer/MasterServerPortSecureWebSocket",
        "NameServerConfig" => "NameServer/NameServerConfig",
        "EnablePerformanceCounters" => "NameServer/EnablePerformanceCounters",
        "MinDisconnectTime" => "NameServer/MinDisconnectTime",
        "MaxDisconnectTime" => "NameServer/MaxDisconnectTime",
        "AuthTimeout" => "NameServer/AuthTimeout",
        "MasterServerPortHttp" | "MasterServerPortSecureHttp" | "MasterServerHttpPath" => return Now::Gone,
        _ => return Now::Unknown,
    })
}

fn of_master(name: &str) -> Now {
    Now::Named(match name {
        "AppStatsPublishInterval" => "Master/AppStatsPublishInterval",
        "GameChangesPublishInterval" => "Master/GameChangesPublishInterval",
        "GameExpiryCheckPeriod" => "Master/GameExpiryCheckPeriod",
        "IncomingGameServerPeerPort" => "Master/S2S/IncomingGameServerPeerPort",
        "LobbyStatsPublishInterval" => "Master/LobbyStatsPublishInterval",
        "PersistentGameExpiryMinute" => "Master/PersistentGameExpiryMinute",
        "UseLegacyLobbies" => "Master/UseLegacyLobbies",
        "LimitGameList" => "Master/Limits/Lobby/MaxGamesOnJoin",
        "LimitGameListUpdate" => "Master/Limits/Lobby/MaxGamesInUpdates",
        "LimitSqlFilterResults" => "Master/Limits/Lobby/MaxGamesInGetGamesListResponse",
        "OnlyLogQueryDataErrors" => "Master/OnlyLogQueryDataErrors",
        "WrongWordsForQueryData" => "Master/SqlQueryBlockList",
        "RedisDB" | "EnableProxyConnections" | "GameListLimit" | "LobbyStatsLimit" | "PublicIPAddress" => {
            return Now::Gone;
        }
        "MasterRelayPortTcp" | "MasterRelayPortUdp" | "MasterRelayPortWebSocket" => return Now::Gone,
        _ => return Now::Unknown,
    })
}

fn of_game(name: &str) -> Now {
    Now::Named(match name {
        // Misspelt by the vendor.
        "ConnectReytryInterval" | "ConnectRetryInterval" => "GameServer/S2S/ConnectRetryInterval",
        "MasterIPAddress" => "GameServer/S2S/MasterIPAddress",
        "OutgoingMasterServerPeerPort" => "GameServer/S2S/OutgoingMasterServerPeerPort",
        "PublicIPAddress" => "GameServer/Master/PublicIPAddress",
        "PublicIPAddressIPv6" => "GameServer/Master/PublicIPAddressIPv6",
        "PublicHostName" => "GameServer/Master/PublicHostName",
        "GamingUdpPort" => "GameServer/Master/GamingUdpPort",
        "GamingTcpPort" => "GameServer/Master/GamingTcpPort",
        "GamingWebSocketPort" => "GameServer/Master/GamingWebSocketPort",
        "GamingSecureWebSocketPort" => "GameServer/Master/GamingSecureWebSocketPort",
        "AppStatsPublishInterval" => "GameServer/Master/AppStatsPublishInterval",
        "EnableNamedPipe" => "GameServer/EnableNamedPipe",
        "LastTouchSecondsDisconnect" => "GameServer/LastTouchSecondsDisconnect",
        "MaxEmptyRoomTTL" => "GameServer/MaxEmptyRoomTTL",
        "ServerStateFile" => "GameServer/ServerStateFile",
        "WorkloadConfigFile" => "GameServer/WorkloadConfigFile",
        "EventCacheEventsCountLimit" => "GameServer/Limits/Inbound/EventCache/EventsCount",
        "EventCacheSlicesCountLimit" => "GameServer/Limits/Inbound/EventCache/SlicesCount",
        "ActorEventCacheEventsCountLimit" => "GameServer/Limits/Inbound/EventCache/ActorEventsCount",
        "HttpQueueMaxErrors" => "GameServer/HttpQueueSettings/MaxErrorRequests",
        "HttpQueueMaxTimeouts" => "GameServer/HttpQueueSettings/MaxTimedOutRequests",
        "HttpQueueRequestTimeout" => "GameServer/HttpQueueSettings/HttpRequestTimeout",
        "HttpQueueMaxBackoffTime" => "GameServer/HttpQueueSettings/MaxBackoffTime",
        "HttpQueueMaxQueuedRequests" => "GameServer/HttpQueueSettings/MaxQueuedRequests",
        "HttpQueueQueueTimeout" => "GameServer/HttpQueueSettings/QueueTimeout",
        "HttpQueueReconnectInterval" => "GameServer/HttpQueueSettings/ReconnectInterval",
        "HttpQueueMaxConcurrentRequests" => "GameServer/HttpQueueSettings/MaxConcurrentRequests",
        "GamingHttpPath" | "GamingHttpPort" | "GamingHttpsPort" | "PublicDomainName" => return Now::Gone,
        "LastTouchCheckIntervalSeconds" | "RelayPortHttp" | "RelayPortSecureWebSocket" => return Now::Gone,
        "RelayPortTcp" | "RelayPortUdp" | "RelayPortWebSocket" => return Now::Gone,
        _ => return Now::Unknown,
    })
}

/// Custom authentication. Before there was a NameServer, the Master had it.
fn read_auth(check: &mut Check<'_>, element: &Element, role: Role, file: &mut RoleFile) {
    if role != Role::NameServer {
        let enabled = element.attribute("Enabled").is_some_and(|value| value.value.text.eq_ignore_ascii_case("true"));
        if enabled {
            let text = format!(
                "<AuthSettings> of the {} has no effect: clients authenticate at the NameServer; move it to {}",
                role.name(),
                "Photon.NameServer.dll.config or write it as <CustomAuth> in Nameserver.xml.config"
            );
            check.unsupported(Severity::Warning, &element.name.span, text);
        }
        return;
    }
    check.unknown_children(element, &["AuthProviders"]);
    for entry in attributes(element) {
        let name = match entry.name.as_str() {
            name if name.eq_ignore_ascii_case("Enabled") => "CustomAuth/Enabled".to_owned(),
            name if name.eq_ignore_ascii_case("ClientAuthenticationAllowAnonymous") => {
                "CustomAuth/AllowAnonymous".to_owned()
            }
            name => format!("AuthSettings/{name}"),
        };
        file.entries.push(Entry { name, ..entry });
    }
    file.providers.extend(element.children("AuthProviders").cloned());
}

/// `WebRpcSettings`: values are attributes named `Value` of their elements.
fn read_web_rpc(element: &Element, role: Role, entries: &mut Vec<Entry>) {
    if role == Role::NameServer {
        return;
    }
    let renamed = |entry: Entry, name: String| Entry { name, ..entry };
    entries.extend(attributes(element).into_iter().map(|entry| {
        let name = format!("WebRpc/{}", entry.name);
        renamed(entry, name)
    }));
    for child in &element.children {
        let values = attributes(child).into_iter().filter(|entry| entry.name.eq_ignore_ascii_case("Value"));
        entries.extend(values.map(|entry| renamed(entry, format!("WebRpc/{}", child.name.text))));
    }
}
