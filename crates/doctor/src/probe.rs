//! What connections over real sockets show.

mod hello;
mod join;
mod self_test;
mod tls;

use std::io;
use std::time::Duration;

use lampyris_client::Transport;
use lampyris_config::{Config, Role};
use rustls_pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Vantage;
use crate::handed_out::{handed_out, literal};
use crate::serving::{Endpoint, endpoints, first};

pub use hello::hello;
pub use join::join;
pub use self_test::self_test;

/// Longest time that one step of a probe may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A port that clients connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The role behind it.
    pub role: Role,
    /// What is spoken there.
    pub transport: Transport,
    /// Address or name to connect to.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path of a WebSocket request.
    pub path: String,
    /// The name that clients ask for.
    pub name: String,
}

/// How far a probe got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// A TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The WebSocket upgrade.
    Upgrade,
    /// An answer to a datagram.
    Answer,
}

/// Where a probe ended, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was tried.
    pub stage: Stage,
    /// What came instead.
    pub text: String,
}

/// A TLS handshake that went well.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The certificates as they were sent, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Version and suite.
    pub negotiated: String,
    /// The suite of a handshake with TLS 1.2 alone, which is all that Unity has, or why there is none.
    pub tls12: Result<String, String>,
}

/// What a port answered.
#[derive(Clone, Debug)]
pub struct PortProbe {
    /// The port.
    pub target: Target,
    /// What TLS showed, on secure ports.
    pub handshake: Option<Handshake>,
    /// Whether it answered as clients need it.
    pub result: Result<Duration, Failure>,
}

/// A client's whole way: NameServer, Master, a room on Game.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The transport of the whole way.
    pub transport: Transport,
    /// How long it took, or where it ended.
    pub result: Result<Duration, JoinFailure>,
}

/// Where a client's way ended, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinFailure {
    /// The server that the client was at, or connecting to.
    pub at: String,
    /// What went wrong.
    pub text: String,
}

/// A connection from this machine to an address that clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectBack {
    /// Host and port as told.
    pub address: String,
    /// `Err` says what the system said.
    pub result: Result<(), String>,
}

/// What all probes saw.
#[derive(Clone, Debug, Default)]
pub struct Probed {
    /// Each port that clients connect to.
    pub ports: Vec<PortProbe>,
    /// A client's way on each transport, against the server.
    pub joins: Vec<Join>,
    /// The same against a server inside of this program.
    pub self_test: Vec<Join>,
    /// Addresses that clients are told, tried from here.
    pub connect_back: Vec<ConnectBack>,
    /// The Master's port for game servers, if it is elsewhere.
    pub master_link: Option<ConnectBack>,
}

impl Probed {
    /// Whether any port answered.
    pub(crate) fn is_running(&self) -> bool {
        self.ports.iter().any(|port| port.result.is_ok() || port.handshake.is_some())
    }
}

/// Tries everything that the configuration serves, from where the operator stands, and the program itself.
///
/// # Errors
/// If the system gives no event loop.
pub fn run(config: Option<&Config>, vantage: &Vantage) -> io::Result<Probed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(async {
        let mut probed = Probed::default();
        if let Some(config) = config {
            look(config, vantage, &mut probed).await;
        }
        if *vantage == Vantage::Local {
            probed.self_test = self_test().await;
        }
        probed
    }))
}

async fn look(config: &Config, vantage: &Vantage, probed: &mut Probed) {
    let endpoints = endpoints(config);
    probed.ports = probe_ports(targets(config, &endpoints, vantage)).await;
    if *vantage == Vantage::Local {
        probed.connect_back = connect_back(config).await;
        probed.master_link = master_link(config).await;
    }
    if probed.is_running() {
        probed.joins = joins(&endpoints, vantage).await;
    }
}

/// The ports of a configuration. Clients ask for the name that they are told for the role; of the NameServer nobody is
/// told, so it is the name of the others.
pub(crate) fn targets(config: &Config, endpoints: &[Endpoint<'_>], vantage: &Vantage) -> Vec<Target> {
    let told = handed_out(config);
    let name_of = |role: Role, transport: Transport| {
        let named = |any: bool| {
            let fits = move |told: &&crate::handed_out::HandedOut| {
                told.address.transport == transport
                    && (any || told.role == role)
                    && literal(&told.address.host).is_none()
            };
            told.iter().find(fits).map(|told| told.address.host.clone())
        };
        named(false).or_else(|| named(true))
    };
    let target = |endpoint: &Endpoint<'_>| {
        let host = match vantage {
            Vantage::Local => endpoint.local_ip().to_string(),
            Vantage::Remote(host) => host.clone(),
        };
        let name = match vantage {
            Vantage::Remote(host) if literal(host).is_none() => host.clone(),
            _ => name_of(endpoint.role, endpoint.transport).unwrap_or_else(|| host.clone()),
        };
        let (role, transport, port) = (endpoint.role, endpoint.transport, endpoint.port());
        Target { role, transport, host, port, path: endpoint.path(), name }
    };
    let wanted = |endpoint: &&Endpoint<'_>| *vantage == Vantage::Local || endpoint.is_public();
    let mut targets: Vec<Target> = Vec::new();
    for target in endpoints.iter().filter(wanted).map(target) {
        // Several roles may share a port, and several routes lead to one role.
        let same = |other: &&Target| {
            other.role == target.role && other.port == target.port && other.transport == target.transport
        };
        if !targets.iter().any(|other| same(&other)) {
            targets.push(target);
        }
    }
    targets
}

async fn probe_ports(targets: Vec<Target>) -> Vec<PortProbe> {
    let mut running = JoinSet::new();
    for (number, target) in targets.into_iter().enumerate() {
        running.spawn(async move { (number, hello(target).await) });
    }
    let mut probes = running.join_all().await;
    probes.sort_by_key(|(number, _)| *number);
    probes.into_iter().map(|(_, probe)| probe).collect()
}

async fn joins(endpoints: &[Endpoint<'_>], vantage: &Vantage) -> Vec<Join> {
    let mut running = JoinSet::new();
    for transport in Transport::ALL {
        let start = first(endpoints, Role::NameServer, transport).or_else(|| first(endpoints, Role::Master, transport));
        let Some(start) = start.filter(|start| start.role != Role::Game) else { continue };
        let host = match vantage {
            Vantage::Local => start.local_ip().to_string(),
            Vantage::Remote(host) => host.clone(),
        };
        let (role, port, path) = (start.role, start.port(), start.path());
        running.spawn(async move { join(role, lampyris_client::ServerAddress { transport, host, port, path }).await });
    }
    let mut joins = running.join_all().await;
    joins.sort_by_key(|join| Transport::ALL.iter().position(|transport| *transport == join.transport));
    joins
}

/// Connects by TCP to each address that clients are told for this server's own listeners.
async fn connect_back(config: &Config) -> Vec<ConnectBack> {
    let mut results: Vec<ConnectBack> = Vec::new();
    for told in handed_out(config).iter().filter(|told| told.is_ours && told.address.transport != Transport::Udp) {
        let (host, port) = (told.address.host.as_str(), told.address.port);
        let address = told.address.authority();
        if host.is_empty()
            || host.eq_ignore_ascii_case("internal")
            || results.iter().any(|other| other.address == address)
        {
            continue;
        }
        results.push(ConnectBack { address, result: connect(host, port).await });
    }
    results
}

/// Connects to the Master's port for game servers, if this instance has a game server and no Master.
async fn master_link(config: &Config) -> Option<ConnectBack> {
    let settings = config.game_server.as_ref().filter(|_| config.master.is_none()).map(|game| &game.settings)?;
    let (host, port) = (settings.master_ip_address.as_str(), settings.outgoing_master_server_peer_port.0);
    Some(ConnectBack { address: format!("{host}:{port}"), result: connect(host, port).await })
}

async fn connect(host: &str, port: u16) -> Result<(), String> {
    match timeout(PATIENCE, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}
