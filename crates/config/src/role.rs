//! The files of the roles: `Nameserver.xml.config`, `Master.xml.config` and `GameServer.xml.config`.
//!
//! Names are read in any letter case, and a setting may be an element or an attribute of the element around it.

use std::path::{Path, PathBuf};

use crate::application::{Application, Role};
use crate::check::{Check, Told, attributes, tree};
use crate::finding::Severity;
use crate::instance::Instance;
use crate::region::{self, Region};
use crate::role_settings::{
    AuthProviderSettings, Authentication, CustomAuth, GameServerSettings, HttpQueue, MasterSettings,
    NameServerSettings, WebRpc,
};
use crate::settings::{Case, Reader};
use crate::source::Span;
use crate::tls::{deployment, resolve};
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
}

/// The names that a role's file has in deployments; the documentation is not of one mind.
fn file_names(role: Role) -> &'static [&'static str] {
    match role {
        Role::NameServer => &["Nameserver.xml.config"],
        Role::Master => &["Master.xml.config", "MasterServer.xml.config"],
        Role::Game => &["GameServer.xml.config"],
    }
}

/// Where the file of a role may be: in the `bin` of its application, or beside `PhotonServer.config`.
fn candidates(folder: &Path, application: &Application, name: &str) -> [PathBuf; 2] {
    let base = application.settings.base_directory.as_deref().unwrap_or(&application.settings.name);
    [resolve(&deployment(folder), base).join("bin").join(name), folder.join(name)]
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
        let written = open(check, application).ok().flatten();
        let (element, of) = (written.as_ref(), application.role.name());
        let token_key = match application.role {
            Role::NameServer => {
                let (mut name_server, span) = read_name_server(check, element, of);
                name_server.regions = region::read(check, application, &name_server.settings, instance);
                let key = name_server.authentication.token_key.clone();
                roles.name_server = Some(name_server);
                key.zip(span)
            }
            Role::Master => {
                let (master, span) = read_master(check, element, of);
                let key = master.authentication.token_key.clone();
                roles.master = Some(master);
                key.zip(span)
            }
            Role::Game => {
                let (game, span) = read_game_server(check, element, of, instance);
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

/// Opens the file of a role. Without one the defaults hold.
fn open(check: &mut Check<'_>, application: &Application) -> Result<Option<Element>, Told> {
    let folder = check.folder(application.span.file);
    for name in file_names(application.role) {
        for path in candidates(&folder, application, name) {
            let Some(file) = check.open(&path)? else { continue };
            let root = check.parse_xml(file)?;
            return photon(check, root).map(Some);
        }
    }
    let [path, _] = candidates(&folder, application, file_names(application.role).first().unwrap_or(&""));
    let text = format!("there is no {}; the defaults hold for the {}", path.display(), application.role.name());
    check.find(Severity::Note, &application.span, text);
    Ok(None)
}

/// `configuration/Photon`.
fn photon(check: &mut Check<'_>, root: Element) -> Result<Element, Told> {
    if !root.is("configuration") {
        let text = format!("expected <configuration> as the outermost element, got <{}>", root.name.text);
        check.fail(&root.name.span, text);
        return Err(Told);
    }
    let span = root.name.span.clone();
    for child in root.children.iter().filter(|child| !child.is("Photon")) {
        let name = &child.name.text;
        check.warn(&child.name.span, format!("unknown element <{name}> in <configuration>; expected <Photon>"));
    }
    let mut found = root.children.into_iter().filter(|child| child.is("Photon"));
    match (found.next(), found.next()) {
        (Some(element), None) => Ok(element),
        (None, _) => {
            check.fail(&span, "expected <Photon> in <configuration>, got none");
            Err(Told)
        }
        (_, Some(second)) => {
            check.fail(&second.name.span, "expected one <Photon> in <configuration>, got a second one");
            Err(Told)
        }
    }
}

const PROVIDERS: &str = "CustomAuth/AuthProviders";
const TOKEN_KEY: &str = "Authentication/AuthTokenKey";

fn reader<'c, 'e>(check: &'c mut Check<'e>, element: Option<&Element>, of: &str) -> Reader<'c, 'e> {
    let entries = element.map(|element| tree(element, &[PROVIDERS])).unwrap_or_default();
    Reader::new(check, of, Case::Free, entries)
}

fn read_name_server(check: &mut Check<'_>, element: Option<&Element>, of: &str) -> (NameServer, Option<Span>) {
    let mut reader = reader(check, element, of);
    let settings = NameServerSettings::read(&mut reader);
    let authentication = Authentication::read(&mut reader);
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
    let key_span = reader.span(TOKEN_KEY);
    reader.finish();
    let auth_providers = element.map(|element| read_providers(check, element)).unwrap_or_default();
    (NameServer { settings, authentication, custom_auth, auth_queue, auth_providers, regions: Vec::new() }, key_span)
}

fn read_providers(check: &mut Check<'_>, photon: &Element) -> Vec<AuthProvider> {
    let mut providers: Vec<(AuthProvider, Span)> = Vec::new();
    let lists = photon.children("CustomAuth").flat_map(|auth| auth.children("AuthProviders"));
    for list in lists {
        check.unknown_children(list, &["AuthProvider"]);
        for item in list.children("AuthProvider") {
            let known = AuthProviderSettings::keys();
            let is_known = |name: &str| known.iter().any(|key| key.name.eq_ignore_ascii_case(name));
            let (own, further): (Vec<_>, Vec<_>) =
                attributes(item).into_iter().partition(|entry| is_known(&entry.name));
            let mut reader = Reader::new(check, "AuthProvider", Case::Free, own);
            let settings = AuthProviderSettings::read(&mut reader);
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
            let mut parameters = Vec::new();
            for entry in further {
                match check.expand(&entry.value) {
                    Ok(value) => parameters.push((entry.name, Secret::new(value))),
                    Err(text) => check.fail(&entry.value_span, text),
                }
            }
            providers.push((AuthProvider { settings, parameters }, span));
        }
    }
    providers.into_iter().map(|(provider, _)| provider).collect()
}

fn read_master(check: &mut Check<'_>, element: Option<&Element>, of: &str) -> (Master, Option<Span>) {
    let mut reader = reader(check, element, of);
    let settings = MasterSettings::read(&mut reader);
    let authentication = Authentication::read(&mut reader);
    let web_rpc = WebRpc::read(&mut reader);
    reader.ignore(&["LoadBalancing/EnablePerformanceCounters", "LoadBalancing/GCLatencyMode", "LoadBalancing"]);
    let key_span = reader.span(TOKEN_KEY);
    reader.finish();
    (Master { settings, authentication, web_rpc }, key_span)
}

fn read_game_server(
    check: &mut Check<'_>,
    element: Option<&Element>,
    of: &str,
    instance: &Instance,
) -> (GameServer, Option<Span>) {
    let mut reader = reader(check, element, of);
    let settings = GameServerSettings::read(&mut reader);
    let authentication = Authentication::read(&mut reader);
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
    let key_span = reader.span(TOKEN_KEY);
    reader.finish();
    (GameServer { settings, authentication, http_queue, web_rpc }, key_span)
}
