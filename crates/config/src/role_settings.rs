//! The settings of the roles' files.

use crate::settings::settings;
use crate::shipped::is_known_key;
use crate::value::{Hours, Milliseconds, Minutes, Port, Seconds, Secret};

settings! {
    /// Tokens, in the files of all three roles.
    Authentication {
        /// Key of the tokens; the same in all files.
        "Authentication/AuthTokenKey" => token_key: Option<Secret> = None, "a random one of this installation", Restart;
        /// Second key of the tokens; the same in all files.
        "Authentication/HMACTokenKey" => hmac_token_key: Option<Secret> = None, "a random one of this installation", Restart;
        /// How long a token is good.
        "Authentication/AuthTokenExpirationSeconds" => token_expiration: Seconds = Seconds::new(3_600), "as the shipped files of Master and game server", Live;
        /// How often what is known of services is renewed.
        "Authentication/AuthCacheUpdateInterval" => cache_update_interval: Seconds = Seconds::new(300), "as the reference product", Live;
    }
}

impl Authentication {
    /// Whether a key is one of those in the vendor's download, which everyone knows.
    pub fn has_known_key(&self) -> bool {
        [&self.token_key, &self.hmac_token_key].into_iter().flatten().any(is_known_key)
    }
}

settings! {
    /// `Nameserver.xml.config`.
    NameServerSettings {
        /// UDP port of Masters for which the region list has none.
        "NameServer/MasterServerPortUdp" => master_port_udp: Port = Port(5055), "as the reference product", Live;
        /// TCP port of Masters for which the region list has none.
        "NameServer/MasterServerPortTcp" => master_port_tcp: Port = Port(4530), "as the reference product", Live;
        /// WebSocket port of Masters for which the region list has none.
        "NameServer/MasterServerPortWebSocket" => master_port_web_socket: Port = Port(9090), "as the reference product", Live;
        /// Secure WebSocket port of Masters for which the region list has none.
        "NameServer/MasterServerPortSecureWebSocket" => master_port_secure_web_socket: Port = Port(19090), "as the reference product", Live;
        /// WebRTC port of Masters for which the region list has none.
        "NameServer/MasterServerPortWebRTC" => master_port_web_rtc: Port = Port(7071), "as the reference product", Live;
        /// Path in WebSocket addresses of Masters.
        "NameServer/MasterServerWsPath" => master_ws_path: String = "Master".to_owned(), "as the reference product", Live;
        /// Region list, from the folder of the deployment.
        "NameServer/NameServerConfig" => name_server_config: String = "Nameserver.json".to_owned(), "as the reference product", Live;
        /// Whether metrics are kept.
        "NameServer/EnablePerformanceCounters" => enable_performance_counters: bool = true, "metrics cost little", Restart;
        /// Least wait before a client that got its answer is disconnected.
        "NameServer/MinDisconnectTime" => min_disconnect_time: Milliseconds = Milliseconds::new(3_000), "as the reference product", Live;
        /// Longest wait before a client that got its answer is disconnected.
        "NameServer/MaxDisconnectTime" => max_disconnect_time: Milliseconds = Milliseconds::new(10_000), "as the reference product", Live;
        /// How long a client may stay without authenticating.
        "NameServer/AuthTimeout" => auth_timeout: Milliseconds = Milliseconds::new(20_000), "as the reference product", Live;
    }
}

settings! {
    /// Custom authentication, in `Nameserver.xml.config`.
    CustomAuth {
        /// Whether a service is asked who a client is.
        "CustomAuth/Enabled" => enabled: bool = false, "as the reference product", Live;
        /// Whether a client without credentials is let in.
        "CustomAuth/AllowAnonymous" => allow_anonymous: bool = false, "as the reference product", Live;
        /// Whether the vendor's own service is asked.
        "CustomAuth/UseCustomAuthService" => use_custom_auth_service: bool = false, "as the reference product", Live;
    }
}

settings! {
    /// An `AuthProvider`; its further attributes are parameters of the call.
    AuthProviderSettings {
        /// Label.
        "Name" => name: Option<String> = None, "the number says enough", Live;
        /// Number that clients name: 0 custom, 1 Steam, 2 Facebook, 3 Oculus, 10 Viveport.
        "AuthenticationType" => authentication_type: Option<u8> = None, "must be written", Live;
        /// Address that is called.
        "AuthUrl" => auth_url: Option<String> = None, "must be written for custom authentication", Live;
        /// Whether clients are refused while the service does not answer.
        "RejectIfUnavailable" => reject_if_unavailable: bool = true, "nobody gets in unchecked", Live;
    }
}

settings! {
    /// Calls to web services, in `HttpQueueSettings`.
    HttpQueue {
        /// Most calls at a time.
        "MaxConcurrentRequests" => max_concurrent_requests: u32 = 50, "as the reference product", Live;
        /// Most calls that wait.
        "MaxQueuedRequests" => max_queued_requests: u32 = 5_000, "as the reference product", Live;
        /// Failed calls after which the service is left alone for a while.
        "MaxErrorRequests" => max_error_requests: u32 = 10, "as the reference product", Live;
        /// Calls without an answer after which the service is left alone for a while.
        "MaxTimedOutRequests" => max_timed_out_requests: u32 = 10, "as the reference product", Live;
        /// Longest wait for an answer.
        "HttpRequestTimeout" => http_request_timeout: Milliseconds = Milliseconds::new(30_000), "as the reference product", Live;
        /// How long the service is left alone.
        "ReconnectInterval" => reconnect_interval: Milliseconds = Milliseconds::new(60_000), "as the reference product", Live;
        /// Longest wait for a call's turn.
        "QueueTimeout" => queue_timeout: Milliseconds = Milliseconds::new(20_000), "as the reference product", Live;
        /// Longest wait between two tries.
        "MaxBackoffTime" => max_backoff_time: Milliseconds = Milliseconds::new(10_000), "as the reference product", Live;
        /// Most bytes of an answer.
        "LimitHttpResponseMaxSize" => limit_http_response_max_size: u32 = 1_000, "as the reference product", Live;
    }
}

settings! {
    /// WebRPC, in `Master.xml.config` and `GameServer.xml.config`.
    WebRpc {
        /// Whether clients may call the operator's web service.
        "WebRpc/Enabled" => enabled: bool = false, "there is no service without an address", Live;
        /// Address of the service.
        "WebRpc/BaseUrl" => base_url: Option<String> = None, "off", Live;
        /// Most bytes of an answer.
        "WebRpc/LimitHttpResponseMaxSize" => limit_http_response_max_size: u32 = 100_000, "as the shipped file", Live;
    }
}

settings! {
    /// `Master.xml.config`.
    MasterSettings {
        /// Local port at which other servers, not clients, connect.
        "Master/S2S/IncomingGameServerPeerPort" => incoming_game_server_peer_port: Port = Port(4520), "as the reference product", Restart;
        /// How long what a lost game server had is kept.
        "Master/S2S/GSContextTTL" => gs_context_ttl: Milliseconds = Milliseconds::new(20_000), "as the reference product", Live;
        /// How long a game server that comes back may take to tell its rooms.
        "Master/GS/ReplicationTimeout" => replication_timeout: Milliseconds = Milliseconds::new(1_800_000), "as the reference product", Live;
        /// Most lobbies whose numbers are told to a client.
        "Master/Limits/Lobby/MaxStatsPublished" => max_stats_published: u32 = 2_147_483_647, "as the reference product", Live;
        /// Most lobbies.
        "Master/Limits/Lobby/Total" => max_lobbies: u32 = 10_000, "as the reference product", Live;
        /// Most rooms in the list that a client gets when it joins a lobby.
        "Master/Limits/Lobby/MaxGamesOnJoin" => max_games_on_join: u32 = 500, "as the reference product", Live;
        /// Most rooms in one update of the list.
        "Master/Limits/Lobby/MaxGamesInUpdates" => max_games_in_updates: u32 = 500, "as the reference product", Live;
        /// Most rooms in the answer to a query; 0 = no bound.
        "Master/Limits/Lobby/MaxGamesInGetGamesListResponse" => max_games_in_list_response: u32 = 100, "as the reference product", Live;
        /// Most joins of a client at a time.
        "Master/Limits/Inbound/MaxConcurrentJoinRequests" => max_concurrent_join_requests: Option<u32> = None, "off", Live;
        /// Most joins of a client.
        "Master/Limits/Inbound/MaxTotalJoinRequests" => max_total_join_requests: Option<u32> = None, "off", Live;
        /// Most rooms that a client joined.
        "Master/Limits/Inbound/MaxJoinedGames" => max_joined_games: Option<u32> = None, "off", Live;
        /// Most bytes of properties in a request.
        "Master/Limits/Inbound/MaxPropertiesSizePerRequest" => max_properties_size_per_request: u32 = 51_000, "as the reference product", Live;
        /// How often clients are told the numbers of players and rooms.
        "Master/AppStatsPublishInterval" => app_stats_publish_interval: Milliseconds = Milliseconds::new(5_000), "as the reference product", Live;
        /// How often lobbies are told changes.
        "Master/GameChangesPublishInterval" => game_changes_publish_interval: Milliseconds = Milliseconds::new(1_000), "as the reference product", Live;
        /// How often clients are told the numbers of lobbies.
        "Master/LobbyStatsPublishInterval" => lobby_stats_publish_interval: Seconds = Seconds::new(120), "as the reference product", Live;
        /// How often rooms are looked through for old ones.
        "Master/GameExpiryCheckPeriod" => game_expiry_check_period: Minutes = Minutes::new(1), "as the reference product", Live;
        /// How long the name of a stored room is kept.
        "Master/PersistentGameExpiryMinute" => persistent_game_expiry: Minutes = Minutes::new(60), "as the reference product", Live;
        /// Whether a lobby name alone, without a type, is one lobby.
        "Master/UseLegacyLobbies" => use_legacy_lobbies: bool = true, "as the shipped file", Restart;
        /// Whether a wrong query is logged, not answered with an error.
        "Master/OnlyLogQueryDataErrors" => only_log_query_data_errors: bool = false, "as the reference product", Live;
        /// Words that a query may not have, with `;` between.
        "Master/SqlQueryBlockList" => sql_query_block_list: String =
            "ALTER;CREATE;DELETE;DROP;EXEC;EXECUTE;INSERT;INSERT INTO;MERGE;SELECT;UPDATE;UNION;UNION ALL".to_owned(),
            "as the reference product", Live;
    }
}

settings! {
    /// `GameServer.xml.config`.
    GameServerSettings {
        /// Address or name of the Master.
        "GameServer/S2S/MasterIPAddress" => master_ip_address: String = "127.0.0.1".to_owned(), "as the reference product", Restart;
        /// Port at which the Master takes servers.
        "GameServer/S2S/OutgoingMasterServerPeerPort" => outgoing_master_server_peer_port: Port = Port(4520), "as the reference product", Restart;
        /// Wait before a lost Master is called again.
        "GameServer/S2S/ConnectRetryInterval" => connect_retry_interval: Seconds = Seconds::new(15), "as the reference product", Live;
        /// Longest wait at a stop for the Master to know.
        "GameServer/S2S/StopNotificationTimeout" => stop_notification_timeout: Milliseconds = Milliseconds::new(1_000), "as the reference product", Live;
        /// IPv4 address or name told to clients; empty = the one towards the Master, `internal` = the first private one.
        "GameServer/Master/PublicIPAddress" => public_ip_address: String = "127.0.0.1".to_owned(), "as the reference product", Live;
        /// IPv6 address told to clients.
        "GameServer/Master/PublicIPAddressIPv6" => public_ip_address_ipv6: Option<std::net::Ipv6Addr> = None, "off", Live;
        /// Host name told to WebSocket clients.
        "GameServer/Master/PublicHostName" => public_host_name: String = "localhost".to_owned(), "as the shipped file", Live;
        /// UDP port told to clients; 0 = none.
        "GameServer/Master/GamingUdpPort" => gaming_udp_port: u16 = 5056, "as the reference product", Restart;
        /// TCP port told to clients; 0 = none.
        "GameServer/Master/GamingTcpPort" => gaming_tcp_port: u16 = 4531, "as the reference product", Restart;
        /// WebSocket port told to clients; 0 = none.
        "GameServer/Master/GamingWebSocketPort" => gaming_web_socket_port: u16 = 9091, "as the reference product", Restart;
        /// Secure WebSocket port told to clients; 0 = none.
        "GameServer/Master/GamingSecureWebSocketPort" => gaming_secure_web_socket_port: u16 = 19091, "as the reference product", Restart;
        /// WebRTC port told to clients; 0 = none.
        "GameServer/Master/GamingWebRTCPort" => gaming_web_rtc_port: u16 = 7072, "as the reference product", Restart;
        /// Path in WebSocket addresses of this server.
        "GameServer/Master/GamingWsPath" => gaming_ws_path: String = String::new(), "as the reference product", Restart;
        /// How often the Master is told numbers; 0 = never.
        "GameServer/Master/AppStatsPublishInterval" => app_stats_publish_interval: Milliseconds = Milliseconds::new(1_000), "as the reference product", Live;
        /// Whether changes of rooms are gathered.
        "GameServer/Master/UseGameUpdatesBatcher" => use_game_updates_batcher: bool = true, "as the reference product", Live;
        /// Most changes that are gathered.
        "GameServer/Master/MaxGameUpdatesToBatch" => max_game_updates_to_batch: u32 = 500, "as the reference product", Live;
        /// How long changes are gathered.
        "GameServer/Master/BatchPeriod" => batch_period: Milliseconds = Milliseconds::new(100), "as the reference product", Live;
        /// Group of this server; rooms go to the lowest group that has a server for them.
        "GameServer/Master/LoadBalancerPriority" => load_balancer_priority: u8 = 0, "as the reference product", Restart;
        /// Transports told to clients, with commas between; empty = every one.
        "GameServer/Master/SupportedProtocols" => supported_protocols: String = String::new(), "every one", Restart;
        /// Most web calls of a room that wait.
        "GameServer/Limits/HttpForwardLimit" => http_forward_limit: u32 = 10_000, "as the reference product", Live;
        /// Most slices of a room's event cache.
        "GameServer/Limits/Inbound/EventCache/SlicesCount" => cache_slices: u32 = 1_000, "as the reference product", Live;
        /// Most cached events of a room.
        "GameServer/Limits/Inbound/EventCache/EventsCount" => cache_events: u32 = 50_000, "as the reference product", Live;
        /// Most cached events of a player.
        "GameServer/Limits/Inbound/EventCache/ActorEventsCount" => cache_actor_events: u32 = 50_000, "as the reference product", Live;
        /// Most different property names that a client may set.
        "GameServer/Limits/Inbound/Properties/MaxUniqPropertyKeysPerPeer" => max_property_keys_per_peer: u32 = 1_000, "as the reference product", Live;
        /// Most bytes of a room's properties.
        "GameServer/Limits/Inbound/Properties/MaxPropertiesSizePerGame" => max_properties_size_per_game: u32 = 51_000, "as the reference product", Live;
        /// Most properties in a request.
        "GameServer/Limits/Inbound/Properties/MaxPropertiesPerRequest" => max_properties_per_request: u32 = 100, "as the reference product", Live;
        /// Most bytes of properties in a request.
        "GameServer/Limits/Inbound/Properties/MaxPropertiesSizePerRequest" => max_properties_size_per_request: u32 = 10_000, "as the reference product", Live;
        /// Most SetProperties of a client in a second.
        "GameServer/Limits/Inbound/Operations/SetPropertiesRate" => set_properties_rate: Option<u32> = None, "off", Live;
        /// Most GetProperties of a client in a second.
        "GameServer/Limits/Inbound/Operations/GetPropertiesRate" => get_properties_rate: Option<u32> = None, "off", Live;
        /// Most JoinGame of a client in a second.
        "GameServer/Limits/Inbound/Operations/JoinGameRate" => join_game_rate: Option<u32> = None, "off", Live;
        /// Most CreateGame of a client in a second.
        "GameServer/Limits/Inbound/Operations/CreateGameRate" => create_game_rate: Option<u32> = None, "off", Live;
        /// Most pings of a client in a second.
        "GameServer/Limits/Inbound/Operations/PingRate" => ping_rate: Option<u32> = None, "off", Live;
        /// Most ChangeGroups of a client in a second.
        "GameServer/Limits/Inbound/Operations/ChangeGroupsRate" => change_groups_rate: Option<u32> = None, "off", Live;
        /// Most DebugGame of a client in a second.
        "GameServer/Limits/Inbound/Operations/DebugGameRate" => debug_game_rate: Option<u32> = None, "off", Live;
        /// Most WebRPC of a client in a second.
        "GameServer/Limits/Inbound/Operations/RpcRate" => rpc_rate: Option<u32> = None, "off", Live;
        /// Most Settings of a client in a second.
        "GameServer/Limits/Inbound/Operations/SettingsRate" => settings_rate: Option<u32> = None, "off", Live;
        /// Whether the server's state can be set through a pipe.
        "GameServer/EnableNamedPipe" => enable_named_pipe: bool = false, "as the reference product", Restart;
        /// Silence in a room after which its players are disconnected; 0 = never.
        "GameServer/LastTouchSecondsDisconnect" => last_touch_disconnect: Seconds = Seconds::new(0), "as the reference product", Live;
        /// Longest time that an empty room may stay.
        "GameServer/MaxEmptyRoomTTL" => max_empty_room_ttl: Milliseconds = Milliseconds::new(60_000), "as the reference product", Live;
        /// File with the state of the server.
        "GameServer/ServerStateFile" => server_state_file: String = "ServerState.txt".to_owned(), "as the reference product", Restart;
        /// File with the bounds of load levels.
        "GameServer/WorkloadConfigFile" => workload_config_file: String = "Workload.config".to_owned(), "as the reference product", Restart;
        /// Failed joins of a room after which it is made anew.
        "GameServer/JoinErrorCountToReinitialize" => join_error_count_to_reinitialize: u32 = 10, "as the reference product", Live;
        /// Silence after which a player is disconnected.
        "GameServer/InactivityTimeoutHours" => inactivity_timeout: Hours = Hours::new(24), "as the reference product", Live;
        /// Whether a token must be for the room that is joined; one without a room passes.
        "GameServer/TokenCheckExpectedHostAndGame" => token_check_expected_host_and_game: bool = true, "as the reference product", Live;
        /// Room options that a client's are combined with by AND.
        "GameServer/RoomOptionsAndFlags" => room_options_and_flags: i32 = -1, "nothing is forced", Live;
        /// Room options that a client's are combined with by OR.
        "GameServer/RoomOptionsOrFlags" => room_options_or_flags: i32 = 0, "nothing is forced", Live;
    }
}
