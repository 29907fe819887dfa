//! The roles, each from its file and the files that belong to it.
//!
//! Names are read in any letter case, and a setting may be an element or an attribute of the element around it.

use crate::application::Role;
use crate::check::{Check, attributes};
use crate::finding::{Severity, Subject};
use crate::instance::Instance;
use crate::load::{self, LoadBalancer, Workload};
use crate::log4net::{self, LogLevels};
use crate::plugin::{self, Plugin};
use crate::region::{self, Region};
use crate::role_file::{self, RoleFile};
use crate::role_settings::{
    AuthProviderSettings, Authentication, CustomAuth, GameServerSettings, HttpQueue, MasterSettings,
    NameServerSettings, WebRpc,
};
use crate::settings::{Case, Reader, Reload};
use crate::shipped::is_known_key;
use crate::source::Span;
use crate::value::Secret;
use crate::xml::Element;

/// A service that checks who a client is.
#[derive(Clone, Debug)]
pub struct AuthProvider {
    /// Its attributes.
    pub settings: AuthProviderSettings,
    /// Further attributes: parameters of each call, by name.
    pub parameters: Vec<(String, Secret)>,
}

/// What the NameServer is told.
#[derive(Clone, Debug, Default)]
pub struct NameServer {
    /// Its settings.
    pub settings: NameServerSettings,
    /// Tokens.
    pub authentication: Authentication,
    /// Custom authentication.
    pub custom_auth: CustomAuth,
    /// Calls to authentication services.
    pub auth_queue: HttpQueue,
    /// Authentication services.
    pub auth_providers: Vec<AuthProvider>,
    /// Regions and their Masters; none = this server's own Master.
    pub regions: Vec<Region>,
    /// What is logged.
    pub log_levels: LogLevels,
}

/// What the Master is told.
#[derive(Clone, Debug, Default)]
pub struct Master {
    /// Its settings.
    pub settings: MasterSettings,
    /// Tokens.
    pub authentication: Authentication,
    /// Calls of clients to the operator's web service.
    pub web_rpc: WebRpc,
    /// How game servers are chosen.
    pub load_balancer: LoadBalancer,
    /// What is logged.
    pub log_levels: LogLevels,
}

/// What the game server is told.
#[derive(Clone, Debug, Default)]
pub struct GameServer {
    /// Its settings.
    pub settings: GameServerSettings,
    /// Tokens.
    pub authentication: Authentication,
    /// Calls of rooms to the operator's web service.
    pub http_queue: HttpQueue,
    /// Calls of clients to the operator's web service.
    pub web_rpc: WebRpc,
    /// How load becomes a level.
    pub workload: Workload,
    /// Code for rooms.
    pub plugins: Vec<Plugin>,
    /// What is logged.
    pub log_levels: LogLevels,
}

/// The roles of an instance.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    pub(crate) name_server: Option<NameServer>,
    pub(crate) master: Option<Master>,
    pub(crate) game_server: Option<GameServer>,
}

pub(crate) fn read(check: &mut Check<'_>, instance: &Instance) -> Roles {
    let mut roles = Roles::default();
    let mut keys: Vec<(Role, Span, Secret)> = Vec::new();
    for application in &instance.applications.all {
        let file = role_file::read(check, application);
        let log_levels = log4net::read(check, application);
        let token_key = match application.role {
            Role::NameServer => {
                let (mut name_server, span) = read_name_server(check, file);
                name_server.regions = region::read(check, application, &name_server.settings, instance);
                name_server.log_levels = log_levels;
                let key = name_server.authentication.token_key.clone();
                roles.name_server = Some(name_server);
                key.zip(span)
            }
            Role::Master => {
                let (mut master, span) = read_master(check, file);
                master.load_balancer = load::read_balancer(check, application);
                master.log_levels = log_levels;
                let key = master.authentication.token_key.clone();
                roles.master = Some(master);
                key.zip(span)
            }
            Role::Game => {
                let (mut game, span) = read_game_server(check, file, instance);
                game.workload = load::read_workload(check, application, &game.settings.workload_config_file);
                game.plugins = plugin::read(check, application);
                game.log_levels = log_levels;
                let key = game.authentication.token_key.clone();
                roles.game_server = Some(game);
                key.zip(span)
            }
        };
        keys.extend(token_key.map(|(key, span)| (application.role, span, key)));
    }
    if let Some((first, rest)) = keys.split_first() {
        for other in rest.iter().filter(|other| other.2 != first.2) {
            let line = check.line(&first.1, &other.1);
            let (mine, its) = (other.0.name(), first.0.name());
            let text =
                format!("AuthTokenKey of {mine} is not that of {its} in {line}; expected the same key in all files");
            check.fail(&other.1, text);
        }
    }
    roles
}

const TOKEN_KEY: &str = "Authentication/AuthTokenKey";
const HMAC_KEY: &str = "Authentication/HMACTokenKey";

/// Tokens, and where their key is written. Keys that everyone knows are told.
fn read_authentication(reader: &mut Reader<'_, '_>) -> (Authentication, Option<Span>) {
    let authentication = Authentication::read(reader);
    for (name, key) in [(TOKEN_KEY, &authentication.token_key), (HMAC_KEY, &authentication.hmac_token_key)] {
        if let (Some(span), Some(true)) = (reader.span(name), key.as_ref().map(is_known_key)) {
            let text = format!(
                "{name} is that of the vendor's download, so everyone can forge tokens; write a new one, for example \
                 from `uuidgen`, in the files of all roles"
            );
            reader.check.find_about(Subject::Secret, Severity::Warning, &span, text);
        }
    }
    let span = reader.span(TOKEN_KEY);
    (authentication, span)
}

fn read_name_server(check: &mut Check<'_>, file: RoleFile) -> (NameServer, Option<Span>) {
    let mut reader = Reader::new(check, Role::NameServer.name(), Case::Free, file.entries);
    let settings = NameServerSettings::read(&mut reader);
    let (authentication, key_span) = read_authentication(&mut reader);
    let custom_auth = CustomAuth::read(&mut reader);
    reader.set_prefix("CustomAuth/HttpQueueSettings/");
    let auth_queue = HttpQueue::read(&mut reader);
    reader.set_prefix("");
    reader.ignore(&["NameServer/GCLatencyMode"]);
    if settings.min_disconnect_time > settings.max_disconnect_time {
        let written =
            reader.span("NameServer/MinDisconnectTime").or_else(|| reader.span("NameServer/MaxDisconnectTime"));
        if let Some(span) = written {
            reader.check.fail(&span, "MinDisconnectTime is over MaxDisconnectTime; expected at most that");
        }
    }
    reader.finish();
    let auth_providers = read_providers(check, &file.providers);
    let name_server =
        NameServer { settings, authentication, custom_auth, auth_queue, auth_providers, ..NameServer::default() };
    (name_server, key_span)
}

fn read_providers(check: &mut Check<'_>, lists: &[Element]) -> Vec<AuthProvider> {
    let mut providers: Vec<(AuthProvider, Span)> = Vec::new();
    for list in lists {
        check.unknown_children(list, &["AuthProvider"]);
        for item in list.children("AuthProvider") {
            let number = item.attribute("AuthenticationType").map_or("", |number| number.value.text.as_str());
            let of = format!("AuthProvider {number}");
            let mut reader = Reader::new(check, of, Case::Free, attributes(item));
            let settings = AuthProviderSettings::read(&mut reader);
            let parameters = reader.take_parameters(Reload::Live);
            let (type_span, url_span) = (reader.span("AuthenticationType"), reader.span("AuthUrl"));
            reader.finish();
            let span = item.name.span.clone();
            match (settings.authentication_type, &type_span) {
                (None, None) => {
                    check.fail(&span, "<AuthProvider> has no AuthenticationType; expected a number, 0 for custom");
                }
                (Some(number), Some(type_span)) => {
                    let same = |other: &&(AuthProvider, Span)| other.0.settings.authentication_type == Some(number);
                    if let Some((_, first)) = providers.iter().find(same) {
                        let line = check.line(first, type_span);
                        check.fail(type_span, format!("AuthenticationType {number} is written twice, first in {line}"));
                    }
                }
                _ => {}
            }
            let is_http = |url: &str| url.starts_with("http://") || url.starts_with("https://");
            if let (Some(span), Some(url)) = (url_span, &settings.auth_url)
                && !is_http(url)
            {
                check.fail(&span, format!("expected an AuthUrl that begins with https:// or http://, got {url:?}"));
            }
            providers.push((AuthProvider { settings, parameters }, span));
        }
    }
    providers.into_iter().map(|(provider, _)| provider).collect()
}

fn read_master(check: &mut Check<'_>, file: RoleFile) -> (Master, Option<Span>) {
    let mut reader = Reader::new(check, Role::Master.name(), Case::Free, file.entries);
    let settings = MasterSettings::read(&mut reader);
    let (authentication, key_span) = read_authentication(&mut reader);
    let web_rpc = WebRpc::read(&mut reader);
    reader.ignore(&["LoadBalancing/EnablePerformanceCounters", "LoadBalancing/GCLatencyMode", "LoadBalancing"]);
    reader.finish();
    (Master { settings, authentication, web_rpc, ..Master::default() }, key_span)
}

fn read_game_server(check: &mut Check<'_>, file: RoleFile, instance: &Instance) -> (GameServer, Option<Span>) {
    let mut reader = Reader::new(check, Role::Game.name(), Case::Free, file.entries);
    let settings = GameServerSettings::read(&mut reader);
    let (authentication, key_span) = read_authentication(&mut reader);
    let web_rpc = WebRpc::read(&mut reader);
    reader.set_prefix("GameServer/HttpQueueSettings/");
    let http_queue = HttpQueue::read(&mut reader);
    reader.set_prefix("");
    reader.ignore(&[
        "LoadBalancing/EnablePerformanceCounters",
        "LoadBalancing/GCLatencyMode",
        "LoadBalancing",
        "GameServer/PredictionConfigFile",
        "GameServer/PredictionStatsSaveIntervalSeconds",
        "GameServer/PredictionFactor",
        "WebRpc/HttpQueueSettings/LimitHttpResponseMaxSize",
        "WebRpc/HttpQueueSettings/MaxErrorRequests",
        "WebRpc/HttpQueueSettings/MaxTimedOutRequests",
        "WebRpc/HttpQueueSettings/HttpRequestTimeout",
        "WebRpc/HttpQueueSettings/MaxBackoffTime",
        "WebRpc/HttpQueueSettings/MaxQueuedRequests",
        "WebRpc/HttpQueueSettings/QueueTimeout",
        "WebRpc/HttpQueueSettings/ReconnectInterval",
        "WebRpc/HttpQueueSettings/MaxConcurrentRequests",
    ]);
    let is_secure = instance.listeners.iter().any(|listener| listener.tls.is_some());
    if let (Some(span), true, true) =
        (reader.span("GameServer/Master/PublicHostName"), settings.public_host_name.is_empty(), is_secure)
    {
        reader.check.warn(&span, "PublicHostName is empty, so clients get no wss address; expected a host name");
    }
    reader.finish();
    (GameServer { settings, authentication, http_queue, web_rpc, ..GameServer::default() }, key_span)
}
