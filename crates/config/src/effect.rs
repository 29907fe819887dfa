//! Settings that are read and checked, and that the server does not act on yet.

/// What a setting that does nothing yet belongs to, its name, and why.
const NOT_IN_EFFECT: [(&str, &str, &str); 55] = [
    ("Instance", "DataSendingDelayMilliseconds", "datagrams are sent at the end of each turn of a worker"),
    ("Instance", "EncTypesAllowed", "messages are encrypted one by one, whole datagrams are not"),
    ("Instance", "EnablePerformanceCounters", METRICS),
    ("Instance", "EnableInstanceCounters", METRICS),
    ("Instance", "EnableTotalCounters", METRICS),
    ("Route", "Counters", METRICS),
    ("NameServer", "NameServer/EnablePerformanceCounters", METRICS),
    ("NameServer", "NameServer/MasterServerPortWebRTC", WEB_RTC),
    ("NameServer", "Authentication/AuthCacheUpdateInterval", SERVICES),
    ("NameServer", "CustomAuth/Enabled", SERVICES),
    ("NameServer", "CustomAuth/UseCustomAuthService", SERVICES),
    ("Master", "Authentication/AuthCacheUpdateInterval", SERVICES),
    ("Master", "WebRpc/Enabled", SERVICES),
    ("Master", "WebRpc/BaseUrl", SERVICES),
    ("Master", "WebRpc/LimitHttpResponseMaxSize", SERVICES),
    ("Master", "Master/S2S/GSContextTTL", ONE_PROCESS),
    ("Master", "Master/GS/ReplicationTimeout", ONE_PROCESS),
    ("Master", "Master/Limits/Lobby/MaxGamesInGetGamesListResponse", SQL),
    ("Master", "Master/Limits/Inbound/MaxTotalJoinRequests", "MaxConcurrentJoinRequests alone bounds them"),
    ("Master", "Master/Limits/Inbound/MaxJoinedGames", "MaxConcurrentJoinRequests alone bounds them"),
    ("Master", "Master/Limits/Inbound/MaxPropertiesSizePerRequest", "the game server bounds properties"),
    ("Master", "Master/GameExpiryCheckPeriod", STORED),
    ("Master", "Master/PersistentGameExpiryMinute", STORED),
    ("Master", "Master/UseLegacyLobbies", "a lobby is its name and type"),
    ("Master", "Master/OnlyLogQueryDataErrors", SQL),
    ("Master", "Master/SqlQueryBlockList", SQL),
    ("Game", "Authentication/AuthCacheUpdateInterval", SERVICES),
    ("Game", "WebRpc/Enabled", SERVICES),
    ("Game", "WebRpc/BaseUrl", SERVICES),
    ("Game", "WebRpc/LimitHttpResponseMaxSize", SERVICES),
    ("Game", "GameServer/S2S/MasterIPAddress", ONE_PROCESS),
    ("Game", "GameServer/S2S/OutgoingMasterServerPeerPort", ONE_PROCESS),
    ("Game", "GameServer/S2S/ConnectRetryInterval", ONE_PROCESS),
    ("Game", "GameServer/S2S/StopNotificationTimeout", ONE_PROCESS),
    ("Game", "GameServer/Master/GamingWebRTCPort", WEB_RTC),
    ("Game", "GameServer/Master/AppStatsPublishInterval", ONE_PROCESS),
    ("Game", "GameServer/Master/UseGameUpdatesBatcher", ONE_PROCESS),
    ("Game", "GameServer/Master/MaxGameUpdatesToBatch", ONE_PROCESS),
    ("Game", "GameServer/Master/BatchPeriod", ONE_PROCESS),
    ("Game", "GameServer/Limits/HttpForwardLimit", SERVICES),
    ("Game", "GameServer/EnableNamedPipe", "there is no pipe"),
    ("Game", "GameServer/LastTouchSecondsDisconnect", "AppDataInactivityTimeout of a listener does this"),
    ("Game", "GameServer/ServerStateFile", "the state of the server is not read from a file"),
    ("Game", "GameServer/WorkloadConfigFile", LEVELS),
    ("Game", "GameServer/JoinErrorCountToReinitialize", "a room that fails is made anew at once"),
    ("Game", "GameServer/InactivityTimeoutHours", "AppDataInactivityTimeout of a listener does this"),
    ("TCPS2SListener", "", ONE_PROCESS),
    ("WebSocketS2SListener", "", ONE_PROCESS),
    ("AuthProvider", "", SERVICES),
    ("Plugin", "", SERVICES),
    ("controller", "", LEVELS),
    ("weight", "", LEVELS),
    ("LoadBalancer", "ReserveRatio", LEVELS),
    ("LoadBalancer", "ValueUp", LEVELS),
    ("HttpQueueSettings", "", SERVICES),
];

const METRICS: &str = "counters are always kept";
const WEB_RTC: &str = "WebRTC is not spoken";
const SERVICES: &str = "web services are not called";
const ONE_PROCESS: &str = "Master and game servers of several processes are not connected";
const LEVELS: &str = "the load of one process needs no levels";
const STORED: &str = "rooms are not stored";
const SQL: &str = "SQL lobbies are not served";

/// Why a setting, named as in [`crate::Effective`], does nothing yet; `None` if it does what it says.
pub fn not_in_effect(setting: &str) -> Option<&'static str> {
    let (of, key) = setting.rsplit_once(' ')?;
    // Listeners have their port behind their name.
    let of = of.split(' ').next().unwrap_or(of);
    let is_it = |entry: &&(&str, &str, &str)| {
        (entry.0 == of && (entry.1 == key || entry.1.is_empty())) || (entry.1.is_empty() && key.contains(entry.0))
    };
    NOT_IN_EFFECT.iter().find(is_it).map(|(.., why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Authentication, CustomAuth, GameServerSettings, InstanceSettings, LoadBalancerSettings, MasterSettings,
        NameServerSettings, RouteSettings, WebRpc,
    };

    #[test]
    fn every_entry_is_a_setting_that_there_is() {
        let known = [
            ("Instance", InstanceSettings::keys()),
            ("Route", RouteSettings::keys()),
            ("NameServer", [NameServerSettings::keys(), Authentication::keys(), CustomAuth::keys()].concat()),
            ("Master", [MasterSettings::keys(), Authentication::keys(), WebRpc::keys()].concat()),
            ("Game", [GameServerSettings::keys(), Authentication::keys(), WebRpc::keys()].concat()),
            ("LoadBalancer", LoadBalancerSettings::keys()),
        ];
        for (of, key, _) in NOT_IN_EFFECT.iter().filter(|(_, key, _)| !key.is_empty()) {
            let of_same = known.iter().filter(|(name, _)| name == of).flat_map(|(_, keys)| keys);
            assert!(of_same.clone().any(|known| known.name == *key), "{of} {key}");
        }
    }

    #[test]
    fn settings_are_found_as_they_are_named_in_a_check() {
        assert_eq!(not_in_effect("Instance DataSendingDelayMilliseconds"), Some(NOT_IN_EFFECT[0].2));
        assert_eq!(not_in_effect("Game GameServer/Master/GamingWebRTCPort"), Some(WEB_RTC));
        assert_eq!(not_in_effect("TCPS2SListener 4520 InactivityTimeout"), Some(ONE_PROCESS));
        assert_eq!(not_in_effect("NameServer CustomAuth/HttpQueueSettings/QueueTimeout"), Some(SERVICES));
        assert_eq!(not_in_effect("Instance MaxMessageSize"), None);
        assert_eq!(not_in_effect("TCPListener 4530 InactivityTimeout"), None);
        assert_eq!(not_in_effect(""), None);
    }
}
