//! Settings that are read and checked, and that the server does not act on yet.

/// What a setting that does nothing yet belongs to, its name, and why.
const NOT_IN_EFFECT: [(&str, &str, &str); 61] = [
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
    ("Master", "Master/GS/ReplicationTimeout", AT_ONCE),
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
    ("Game", "GameServer/Master/GamingWebRTCPort", WEB_RTC),
    ("Game", "GameServer/Master/UseGameUpdatesBatcher", AT_ONCE),
    ("Game", "GameServer/Master/MaxGameUpdatesToBatch", AT_ONCE),
    ("Game", "GameServer/Master/BatchPeriod", AT_ONCE),
    ("Game", "GameServer/Limits/HttpForwardLimit", SERVICES),
    ("Game", "GameServer/EnableNamedPipe", "there is no pipe"),
    ("Game", "GameServer/LastTouchSecondsDisconnect", "AppDataInactivityTimeout of a listener does this"),
    ("Game", "GameServer/ServerStateFile", "the state of the server is not read from a file"),
    ("Game", "GameServer/JoinErrorCountToReinitialize", "a room that fails is made anew at once"),
    ("Game", "GameServer/InactivityTimeoutHours", "AppDataInactivityTimeout of a listener does this"),
    ("TCPS2SListener", "InactivityTimeout", LINK),
    ("TCPS2SListener", "DisableNagle", LINK),
    ("TCPS2SListener", "MaxPendingWrites", LINK),
    ("TCPS2SListener", "MaxQueuedBuffers", LINK),
    ("TCPS2SListener", "RecvBufferSize", LINK),
    ("TCPS2SListener", "SendBufferSize", LINK),
    ("TCPS2SListener", "MaxInboundMessageSize", LINK),
    ("TCPS2SListener", "MaxOutboundMessageSize", LINK),
    ("TCPS2SListener", "AppDataInactivityTimeout", LINK),
    ("TCPS2SListener", "DisconnectTimeout", LINK),
    ("WebSocketS2SListener", "InactivityTimeout", LINK),
    ("WebSocketS2SListener", "DisableNagle", LINK),
    ("WebSocketS2SListener", "MaxPendingWrites", LINK),
    ("WebSocketS2SListener", "MaxQueuedBuffers", LINK),
    ("WebSocketS2SListener", "RecvBufferSize", LINK),
    ("WebSocketS2SListener", "SendBufferSize", LINK),
    ("WebSocketS2SListener", "MaxInboundMessageSize", LINK),
    ("WebSocketS2SListener", "MaxOutboundMessageSize", LINK),
    ("WebSocketS2SListener", "AppDataInactivityTimeout", LINK),
    ("AuthProvider", "", SERVICES),
    ("Plugin", "", SERVICES),
    ("HttpQueueSettings", "", SERVICES),
];

const METRICS: &str = "counters are always kept";
const WEB_RTC: &str = "WebRTC is not spoken";
const SERVICES: &str = "web services are not called";
const AT_ONCE: &str = "a game server tells its Master of changes at once";
const LINK: &str = "the link between servers has limits of its own";
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
        Authentication, CustomAuth, GameServerSettings, HttpSettings, InstanceSettings, ListenerSettings,
        LoadBalancerSettings, MasterSettings, NameServerSettings, RouteSettings, TcpSettings, WebRpc,
    };

    #[test]
    fn every_entry_is_a_setting_that_there_is() {
        let known = [
            ("Instance", InstanceSettings::keys()),
            ("Route", RouteSettings::keys()),
            ("NameServer", [NameServerSettings::keys(), Authentication::keys(), CustomAuth::keys()].concat()),
            ("Master", [MasterSettings::keys(), Authentication::keys(), WebRpc::keys()].concat()),
            ("Game", [GameServerSettings::keys(), Authentication::keys(), WebRpc::keys()].concat()),
            ("TCPS2SListener", [ListenerSettings::keys(), TcpSettings::keys()].concat()),
            ("WebSocketS2SListener", [ListenerSettings::keys(), HttpSettings::keys()].concat()),
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
        assert_eq!(not_in_effect("TCPS2SListener 4520 InactivityTimeout"), Some(LINK));
        assert_eq!(not_in_effect("NameServer CustomAuth/HttpQueueSettings/QueueTimeout"), Some(SERVICES));
        assert_eq!(not_in_effect("Instance MaxMessageSize"), None);
        assert_eq!(not_in_effect("TCPListener 4530 InactivityTimeout"), None);
        assert_eq!(not_in_effect(""), None);
    }
}
