//! What holds on each role.

use std::net::Ipv4Addr;
use std::time::Duration;

use lampyris_config::{Authentication, Config, GameServerSettings, LoadBalancer, Secret};
use lampyris_server::TokenSecret;
use lampyris_server::engine::{
    Addresses, Balance, DirectorySettings, GameConfig, Host, MasterConfig, NameServerConfig, OperationRate, RoomFlags,
    RoomSettings, operation,
};

use super::{bytes, or_never};

/// Updates come at most so often, whatever is written.
const INTERVAL_AT_LEAST: Duration = Duration::from_millis(50);

pub(super) fn name_server(config: &Config) -> NameServerConfig {
    let Some(written) = &config.name_server else { return NameServerConfig::default() };
    let settings = &written.settings;
    let (least, most) = (settings.min_disconnect_time.get(), settings.max_disconnect_time.get());
    NameServerConfig {
        token_lifetime: written.authentication.token_expiration.get(),
        authentication_timeout: or_never(settings.auth_timeout.get()),
        close_after: least..=most.max(least),
    }
}

pub(super) fn master(config: &Config) -> MasterConfig {
    let Some(written) = &config.master else { return MasterConfig::default() };
    let settings = &written.settings;
    let defaults = DirectorySettings::default();
    MasterConfig {
        token_lifetime: written.authentication.token_expiration.get(),
        directory: DirectorySettings {
            lobbies: bytes(settings.max_lobbies),
            requests_per_peer: settings.max_concurrent_join_requests.map_or(defaults.requests_per_peer, bytes),
            rooms_on_join: bytes(settings.max_games_on_join),
            rooms_per_update: bytes(settings.max_games_in_updates),
            lobbies_in_stats: bytes(settings.max_stats_published),
            balance: balance(&written.load_balancer),
            list_interval: settings.game_changes_publish_interval.get().max(INTERVAL_AT_LEAST),
            app_stats_interval: settings.app_stats_publish_interval.get().max(INTERVAL_AT_LEAST),
            lobby_stats_interval: settings.lobby_stats_publish_interval.get().max(INTERVAL_AT_LEAST),
            lost_server: settings.gs_context_ttl.get(),
            ..defaults
        },
    }
}

fn balance(written: &LoadBalancer) -> Balance {
    Balance {
        weights: written.weights,
        loaded_level: written.settings.value_up.number(),
        reserve_ratio: written.settings.reserve_ratio.0,
    }
}

pub(super) fn game(config: &Config) -> GameConfig {
    let Some(written) = &config.game_server else { return GameConfig::default() };
    let settings = &written.settings;
    GameConfig {
        token_lifetime: written.authentication.token_expiration.get(),
        rooms: RoomSettings {
            flags_and: RoomFlags(settings.room_options_and_flags),
            flags_or: RoomFlags(settings.room_options_or_flags),
            max_empty_room_ttl: settings.max_empty_room_ttl.get(),
            property_keys_per_request: bytes(settings.max_properties_per_request),
            property_bytes_per_request: bytes(settings.max_properties_size_per_request),
            property_keys_per_peer: bytes(settings.max_property_keys_per_peer),
            property_bytes_per_room: bytes(settings.max_properties_size_per_game),
            cached_events: bytes(settings.cache_events),
            cached_actor_events: bytes(settings.cache_actor_events),
            cache_slices: bytes(settings.cache_slices),
            ..RoomSettings::DEFAULT
        },
        checks_expected_room: settings.token_check_expected_host_and_game,
        operation_rates: operation_rates(settings),
        priority: settings.load_balancer_priority,
    }
}

fn operation_rates(settings: &GameServerSettings) -> Vec<OperationRate> {
    let rates = [
        (operation::SET_PROPERTIES, settings.set_properties_rate),
        (operation::GET_PROPERTIES, settings.get_properties_rate),
        (operation::JOIN_GAME, settings.join_game_rate),
        (operation::CREATE_GAME, settings.create_game_rate),
        (operation::PING, settings.ping_rate),
        (operation::CHANGE_GROUPS, settings.change_groups_rate),
        (operation::DEBUG_GAME, settings.debug_game_rate),
        (operation::WEB_RPC, settings.rpc_rate),
        (operation::SERVER_SETTINGS, settings.settings_rate),
    ];
    rates.into_iter().filter_map(|(code, rate)| Some(OperationRate { code, per_second: rate? })).collect()
}

fn authentications(config: &Config) -> impl Iterator<Item = &Authentication> {
    let name_server = config.name_server.as_ref().map(|role| &role.authentication);
    let master = config.master.as_ref().map(|role| &role.authentication);
    let game = config.game_server.as_ref().map(|role| &role.authentication);
    name_server.into_iter().chain(master).chain(game)
}

/// The secret that follows from the keys in the files: processes with the same keys understand each other's tokens.
/// Without keys it is that of this installation.
pub(super) fn token_secret(config: &Config, told: &Addresses, errors: &mut Vec<String>) -> Option<TokenSecret> {
    let first = |key: fn(&Authentication) -> Option<&Secret>| {
        authentications(config).find_map(key).map(Secret::expose).unwrap_or_default()
    };
    let token_key = first(|one| one.token_key.as_ref());
    let mac_key = first(|one| one.hmac_token_key.as_ref());
    if token_key.is_empty() && mac_key.is_empty() {
        return None;
    }
    if is_public(told) && authentications(config).any(Authentication::has_known_key) {
        errors.push(
            "AuthTokenKey or HMACTokenKey is one that comes with the sample files, and clients are told a public address: \
             everybody knows the key and could be any user; write a new one in the files of all roles: \
             `openssl rand -hex 32`"
                .to_owned(),
        );
        return None;
    }
    if is_public(told) && [token_key, mac_key].into_iter().any(is_guid) {
        tracing::warn!(
            "AuthTokenKey or HMACTokenKey has the form of the keys that come with the sample files, which everybody \
             knows: whoever has the key can be any user. Unless you made it yourself, write a new one in the files of \
             all roles: `openssl rand -hex 32`"
        );
    }
    match TokenSecret::of_keys(token_key, mac_key) {
        Ok(secret) => Some(secret),
        Err(error) => {
            errors.push(format!("cannot make the key for tokens: {error}"));
            None
        }
    }
}

/// Whether clients are told an address that others than one's own machines can reach.
fn is_public(told: &Addresses) -> bool {
    let masters = told.regions.iter().map(|region| &region.master.host);
    masters.chain([&told.game.host]).any(|host| match host {
        Host::AsReached { .. } => false,
        Host::Fixed { ipv4, ipv6, .. } => {
            let is_local = |ip: Ipv4Addr| ip.is_private() || ip.is_loopback() || ip.is_link_local();
            ipv6.is_some() || ipv4.is_some_and(|ip| !is_local(ip))
        }
    })
}

/// The form `8-4-4-4-12` of hexadecimal digits.
fn is_guid(text: &str) -> bool {
    let lengths = text.trim_matches(['{', '}']).split('-').map(|group| {
        let is_hex = group.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then_some(group.len())
    });
    lengths.eq([8, 4, 4, 4, 12].map(Some))
}

/// Clients that must be checked by a service cannot be let in unchecked.
pub(super) fn check_authentication(config: &Config, errors: &mut Vec<String>) {
    let Some(name_server) = &config.name_server else { return };
    if name_server.custom_auth.enabled && !name_server.custom_auth.allow_anonymous {
        errors.push(
            "Nameserver.xml.config: CustomAuth is Enabled and AllowAnonymous is false, but this server asks no \
             authentication service yet, so nobody could come in; set AllowAnonymous to true to let everyone in"
                .to_owned(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_the_form_of_the_sample_files_are_seen() {
        assert!(is_guid("01234567-89ab-CDEF-0123-456789abcdef"));
        assert!(is_guid("{01234567-89ab-cdef-0123-456789abcdef}"));
        for other in ["", "01234567", "01234567-89ab-cdef-0123-456789abcdeg", "0123456-789ab-cdef-0123-456789abcdef"] {
            assert!(!is_guid(other), "{other}");
        }
    }
}
