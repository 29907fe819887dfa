//! What a node is told at start.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lampyris_realtime::directory::{self, Transport};
use lampyris_realtime::room::RoomSettings;
use lampyris_transport::{udp, ws};

use crate::Proxies;
use crate::address::{Addresses, Ports};

/// The part that an application plays in the way of a client: NameServer, then Master, then Game.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Tells clients where the Master is, and authenticates them.
    NameServer,
    /// Lobbies and matchmaking.
    Master,
    /// Rooms.
    Game,
}

impl Role {
    /// Every role, in the order clients meet them.
    pub const ALL: [Self; 3] = [Self::NameServer, Self::Master, Self::Game];

    /// The name as the configuration files and logs write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NameServer => "NameServer",
            Self::Master => "Master",
            Self::Game => "Game",
        }
    }
}

/// An application that is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// What a client calls it.
    pub name: String,
    /// What it does.
    pub role: Role,
}

/// The applications of a node: the roles that it plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applications {
    /// Those that are loaded.
    pub loaded: Vec<Application>,
    /// For a client that names none of them, where its listener has no default of its own. `None`: it is turned away.
    pub default: Option<Role>,
}

impl Default for Applications {
    /// Every role under its own name; nobody gets one by default.
    fn default() -> Self {
        let application = |role: Role| Application { name: role.name().to_owned(), role };
        Self { loaded: Role::ALL.map(application).into(), default: None }
    }
}

impl Applications {
    /// Whether the node plays a role.
    #[must_use]
    pub fn plays(&self, role: Role) -> bool {
        self.loaded.iter().any(|application| application.role == role)
    }

    /// The role that a client which names `application` meets where `choice` holds; `None`: it is turned away.
    #[must_use]
    pub fn choose(&self, choice: Choice, application: &str) -> Option<Role> {
        let named = || self.loaded.iter().find(|loaded| loaded.name == application).map(|loaded| loaded.role);
        choice.always.or_else(named).or(choice.otherwise).or(self.default)
    }

    /// The role that clients meet which name none that is loaded, as nearly all do: they name their own game.
    #[must_use]
    pub fn usual(&self, choice: Choice) -> Option<Role> {
        choice.always.or(choice.otherwise).or(self.default)
    }
}

/// Which application the clients of a listener or a route get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Whatever they name.
    pub always: Option<Role>,
    /// If they name none that is loaded.
    pub otherwise: Option<Role>,
}

impl Choice {
    /// This role for everyone.
    #[must_use]
    pub const fn always(role: Role) -> Self {
        Self { always: Some(role), otherwise: None }
    }
}

/// Index of a listener in [`Config::listeners`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub usize);

/// One port that clients connect to.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// What it is called in logs.
    pub label: String,
    /// The port.
    pub port: u16,
    /// What is spoken there, and with whom.
    pub service: Service,
    /// Its limits.
    pub limits: ListenerLimits,
    /// Who stands between it and its clients.
    pub proxies: Proxies,
    /// How long browsers that opened a page are to come to this host by TLS alone (RFC 6797).
    pub strict_transport: Option<Duration>,
}

/// What a listener serves.
#[derive(Clone, Debug)]
pub enum Service {
    /// Clients on reliable UDP.
    Udp(Choice),
    /// Clients on TCP.
    Tcp {
        /// Their application.
        choice: Choice,
        /// For those that ask for a policy file first.
        policy: Option<Bytes>,
    },
    /// Clients on WebSocket, and browsers.
    WebSocket {
        /// Whether what comes was encrypted on its way: by TLS here, or before a proxy that ends TLS.
        secure: bool,
        /// The paths that are served; the first that matches counts.
        routes: Vec<Route>,
    },
    /// A policy file for old browser plug-ins.
    Policy(Bytes),
}

/// A path of a WebSocket listener.
#[derive(Clone, Debug)]
pub struct Route {
    /// Which paths, and whether WebSockets are opened there.
    pub path: ws::Route,
    /// The application of their clients.
    pub choice: Choice,
    /// Whether a plain request is answered as a probe of load balancers expects.
    pub answers_probes: bool,
}

impl Route {
    /// Every path, for clients of one role.
    #[must_use]
    pub fn every_path(role: Role) -> Self {
        Self { path: ws::Route::every_path(), choice: Choice::always(role), answers_probes: false }
    }
}

/// Limits of a listener's connections. [`Duration::MAX`] = never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Longest message from a client, in bytes.
    pub inbound_message_bytes: usize,
    /// Longest message to a client, in bytes; a client that should get a longer one is disconnected.
    pub outbound_message_bytes: usize,
    /// Most outgoing bytes queued for one client; beyond, it is too slow and is disconnected.
    pub queued_bytes: usize,
    /// Silence after which a stream connection is dropped.
    pub inactivity: Duration,
    /// Time without a message after which a connection is dropped, whatever else came.
    pub app_data_inactivity: Duration,
    /// Time between an answer that ends a connection and the server's closing of it.
    pub close_grace: Duration,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            inbound_message_bytes: 512_000,
            outbound_message_bytes: 512_000,
            queued_bytes: 512_000,
            inactivity: Duration::from_secs(10),
            app_data_inactivity: Duration::MAX,
            close_grace: Duration::from_secs(5),
        }
    }
}

impl ListenerConfig {
    /// A listener of one role.
    #[must_use]
    pub fn of_role(role: Role, transport: Transport, port: u16) -> Self {
        let routes = vec![Route::every_path(role)];
        let service = match transport {
            Transport::Udp => Service::Udp(Choice::always(role)),
            Transport::Tcp => Service::Tcp { choice: Choice::always(role), policy: None },
            Transport::Ws => Service::WebSocket { secure: false, routes },
            Transport::Wss => Service::WebSocket { secure: true, routes },
        };
        Self {
            label: role.name().to_owned(),
            port,
            service,
            limits: ListenerLimits::default(),
            proxies: Proxies::default(),
            strict_transport: None,
        }
    }

    /// What clients speak there; `None` if it is not for clients.
    #[must_use]
    pub const fn transport(&self) -> Option<Transport> {
        match self.service {
            Service::Udp(_) => Some(Transport::Udp),
            Service::Tcp { .. } => Some(Transport::Tcp),
            Service::WebSocket { secure: false, .. } => Some(Transport::Ws),
            Service::WebSocket { secure: true, .. } => Some(Transport::Wss),
            Service::Policy(_) => None,
        }
    }

    /// The role that the usual client meets there, at a path if it is a WebSocket listener.
    #[must_use]
    pub fn usual_role(&self, applications: &Applications, path: &str) -> Option<Role> {
        let choice = match &self.service {
            Service::Udp(choice) | Service::Tcp { choice, .. } => *choice,
            Service::WebSocket { .. } => self.route(path).filter(|route| route.path.web_socket)?.choice,
            Service::Policy(_) => return None,
        };
        applications.usual(choice)
    }

    /// The route that serves a path.
    #[must_use]
    pub fn route(&self, path: &str) -> Option<&Route> {
        match &self.service {
            Service::WebSocket { routes, .. } => routes.iter().find(|route| route.path.pattern.matches(path)),
            _ => None,
        }
    }

    /// Whether clients can meet a role there.
    #[must_use]
    pub fn serves(&self, applications: &Applications, role: Role) -> bool {
        let leads = |choice: Choice| match choice.always {
            Some(always) => always == role,
            None => applications.plays(role),
        };
        match &self.service {
            Service::Udp(choice) | Service::Tcp { choice, .. } => leads(*choice),
            Service::WebSocket { routes, .. } => {
                routes.iter().any(|route| route.path.web_socket && leads(route.choice))
            }
            Service::Policy(_) => false,
        }
    }
}

/// A file that the WebSocket ports serve to a browser.
#[derive(Clone, Debug)]
pub struct Asset {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The file.
    pub body: Bytes,
}

/// Answers for an authority of certificates that asks by plain HTTP whether a name leads here.
pub trait Challenges: fmt::Debug + Send + Sync {
    /// The answer to a request for a path; `None` = it is no such question, or not one of now.
    fn answer(&self, path: &str) -> Option<Arc<str>>;
}

/// What a node is told at start; shared by its workers.
#[derive(Clone, Debug)]
pub struct Config {
    /// Number of workers.
    pub workers: u16,
    /// The listeners.
    pub listeners: Vec<ListenerConfig>,
    /// The roles it plays.
    pub applications: Applications,
    /// Where clients are told to go.
    pub addresses: Addresses,
    /// What holds on the NameServer.
    pub name_server: NameServerConfig,
    /// What holds on the Master.
    pub master: MasterConfig,
    /// What holds on the Game server.
    pub game: GameConfig,
    /// Secret that seals tokens, shared by all roles.
    pub token_secret: [u8; 32],
    /// Unix time at which the process's clock started.
    pub clock_started_at_unix: Duration,
    /// Secret of the UDP handshake, shared by all workers.
    pub udp_secret: [u8; 32],
    /// Times and rates of UDP peers; its limits of messages and queues are those of each listener.
    pub udp: udp::Config,
    /// Files served over plain HTTP on the WebSocket ports, by path.
    pub assets: HashMap<String, Asset>,
    /// Answers for an authority of certificates, ahead of every route.
    pub challenges: Option<Arc<dyn Challenges>>,
    /// Limits.
    pub limits: Limits,
}

/// What holds on the NameServer.
#[derive(Clone, Debug)]
pub struct NameServerConfig {
    /// Life of the tokens it makes.
    pub token_lifetime: Duration,
    /// Time a client has for authenticating.
    pub authentication_timeout: Duration,
    /// A client that got its answer is disconnected at a random time between these.
    pub close_after: RangeInclusive<Duration>,
}

impl Default for NameServerConfig {
    fn default() -> Self {
        Self {
            token_lifetime: TOKEN_LIFETIME,
            authentication_timeout: Duration::from_secs(20),
            close_after: Duration::from_secs(3)..=Duration::from_secs(10),
        }
    }
}

/// What holds on the Master.
#[derive(Clone, Debug)]
pub struct MasterConfig {
    /// Life of the tokens it makes.
    pub token_lifetime: Duration,
    /// Limits and intervals of the directory.
    pub directory: directory::Settings,
}

impl Default for MasterConfig {
    fn default() -> Self {
        Self { token_lifetime: TOKEN_LIFETIME, directory: directory::Settings::default() }
    }
}

/// What holds on the Game server.
#[derive(Clone, Debug)]
pub struct GameConfig {
    /// Life of the tokens it makes.
    pub token_lifetime: Duration,
    /// Options and limits of rooms.
    pub rooms: RoomSettings,
    /// Whether a token that names a room is good for that room only.
    pub checks_expected_room: bool,
    /// Most operations of a code that a client may send in a second; one more is refused.
    pub operation_rates: Vec<OperationRate>,
    /// Its place among game servers: those of the highest priority get the rooms.
    pub priority: u8,
}

impl Default for GameConfig {
    fn default() -> Self {
        Self {
            token_lifetime: TOKEN_LIFETIME,
            rooms: RoomSettings::DEFAULT,
            checks_expected_room: true,
            operation_rates: Vec::new(),
            priority: 0,
        }
    }
}

/// Life of a token where nothing else is said.
const TOKEN_LIFETIME: Duration = lampyris_realtime::token::DEFAULT_TOKEN_LIFETIME;

/// Most operations of one code in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationRate {
    /// The operation.
    pub code: u8,
    /// How many.
    pub per_second: u32,
}

/// What a peer may send in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRates {
    /// Messages.
    pub messages: u32,
    /// Bytes of messages.
    pub bytes: u32,
}

/// Limits of a node; the defaults are those operators know from the reference product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What a peer may send in a second.
    pub rates: MessageRates,
    /// Most connections of a worker.
    pub connections_per_worker: usize,
    /// Most connections from one address, half-open ones included.
    pub connections_per_address: usize,
    /// Time a peer has for authenticating.
    pub authentication_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rates: MessageRates { messages: 5_000, bytes: i32::MAX.unsigned_abs() },
            connections_per_worker: 100_000,
            connections_per_address: 100_000,
            authentication_timeout: Duration::from_secs(20),
        }
    }
}

impl Config {
    /// The first listener at which the usual client of a transport meets a role.
    #[must_use]
    pub fn listener(&self, role: Role, transport: Transport) -> Option<&ListenerConfig> {
        let is_it = |listener: &&ListenerConfig| {
            listener.transport() == Some(transport) && listener.serves(&self.applications, role)
        };
        self.listeners.iter().find(is_it)
    }

    /// The ports of the first listeners of a role, by transport.
    #[must_use]
    pub fn ports(&self, role: Role) -> Ports {
        Ports::of(|transport| self.listener(role, transport).map(|listener| listener.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applications(names: &[(&str, Role)], default: Option<Role>) -> Applications {
        let loaded = names.iter().map(|(name, role)| Application { name: (*name).to_owned(), role: *role });
        Applications { loaded: loaded.collect(), default }
    }

    #[test]
    fn an_application_is_overridden_then_named_then_the_listeners_default_then_that_of_all() {
        use Role::{Game, Master, NameServer};
        let all = [("NameServer", NameServer), ("Master", Master), ("Arena", Game)];
        let with_default = applications(&all, Some(NameServer));
        let without = applications(&all, None);
        let overridden = Choice { always: Some(Game), otherwise: Some(Master) };
        let defaulted = Choice { always: None, otherwise: Some(Game) };
        let free = Choice::default();
        let table = [
            (&with_default, overridden, "Master", Some(Game)),
            (&with_default, defaulted, "Master", Some(Master)),
            (&with_default, defaulted, "my-game", Some(Game)),
            (&with_default, free, "Arena", Some(Game)),
            (&with_default, free, "Game", Some(NameServer)),
            (&with_default, free, "", Some(NameServer)),
            (&without, free, "my-game", None),
            (&without, free, "Arena", Some(Game)),
            (&without, defaulted, "", Some(Game)),
        ];
        for (applications, choice, named, expected) in table {
            assert_eq!(applications.choose(choice, named), expected, "{choice:?} {named}");
        }
    }

    #[test]
    fn a_listener_serves_the_roles_that_its_routes_lead_to() {
        use Role::{Game, Master, NameServer};
        let mut listener = ListenerConfig::of_role(NameServer, Transport::Wss, 443);
        let Service::WebSocket { routes, .. } = &mut listener.service else { panic!() };
        let below = |path, role| {
            let path = ws::Route { pattern: ws::Pattern::new(path), ..ws::Route::every_path() };
            Route { path, ..Route::every_path(role) }
        };
        routes.splice(0..0, [below("/master/+", Master), below("/game/+", Game)]);
        let applications = Applications::default();
        for (path, role) in [("/Master", Master), ("/game/x", Game), ("/", NameServer), ("/other", NameServer)] {
            assert_eq!(listener.usual_role(&applications, path), Some(role), "{path}");
            assert!(listener.serves(&applications, role));
        }
        assert_eq!(ListenerConfig::of_role(Game, Transport::Udp, 1).usual_role(&applications, "/"), Some(Game));
    }
}
