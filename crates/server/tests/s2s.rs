//! Master and game servers in several servers, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lampyris_client::driver::{Driver, TlsRoots};
use lampyris_client::{Config, Entry, Event, RaiseOptions, Receivers, RoomOptions, Start};
use lampyris_server::engine::{Application, Applications};
use lampyris_server::{
    Addresses, CertificateFiles, Controller, HostName, LevelBound, LinkTransport, LoadInput, MasterLink, MasterTls,
    Options, Role, S2s, S2sListener, Server, TlsFiles, TokenSecret, Transport, Workload, default_listeners,
};
use lampyris_tls::{Authorities, ClientCertificates, Settings};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, ExtendedKeyUsagePurpose,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);
const RETRY: Duration = Duration::from_millis(50);
const SECRET: TokenSecret = TokenSecret([7; 32]);

/// A private authority, and the certificates of nodes below it.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { issuer, folder: tempfile::tempdir().unwrap() };
        fs::write(authority.root(), authority.issuer.pem()).unwrap();
        authority
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    /// A certificate for servers that call and are called; `serial` names it.
    fn node(&self, serial: u64, last_year: i32) -> CertificateFiles {
        self.issue(serial, last_year, vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth])
    }

    fn issue(&self, serial: u64, last_year: i32, usages: Vec<ExtendedKeyUsagePurpose>) -> CertificateFiles {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages = usages;
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(last_year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = self.folder.path().join(format!("node{serial}.pem"));
        fs::write(&path, format!("{}{}", certificate.pem(), key.serialize_pem())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        CertificateFiles { certificate: path.clone(), key: path, password: None }
    }

    /// Revokes a node's certificate.
    fn revoke(&self, serial: u64) {
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: date_time_ymd(2024, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let pem = list.signed_by(&self.issuer).unwrap().pem().unwrap();
        fs::write(self.folder.path().join("crl.pem"), pem).unwrap();
    }

    /// TLS of a Master that lets in who shows a certificate of this authority.
    fn master_tls(&self) -> TlsFiles {
        let clients = ClientCertificates::Required(Authorities::load(&self.root()).unwrap());
        let settings = Settings { clients, ..Settings::default() };
        TlsFiles { certificates: vec![self.node(1, 2090)], default_domain: None, settings }
    }

    fn game_tls(&self, certificate: Option<CertificateFiles>) -> MasterTls {
        MasterTls { authorities: self.root(), certificate, server_name: None }
    }
}

fn plays(roles: &[Role]) -> Applications {
    let application = |role: &Role| Application { name: role.name().to_owned(), role: *role };
    Applications { loaded: roles.iter().map(application).collect(), default: None }
}

/// The options of a server with these roles, on loopback and free ports.
fn options(state: &Path, roles: &[Role]) -> Options {
    let mut listeners = default_listeners(0, false).unwrap();
    let applications = plays(roles);
    listeners.retain(|listener| roles.iter().any(|role| listener.node.serves(&applications, *role)));
    for listener in &mut listeners {
        listener.node.port = 0;
        listener.bind = vec![Ipv4Addr::LOCALHOST.into()];
    }
    Options {
        workers: 2,
        applications,
        addresses: Addresses::OfListeners { public_ip: None, public_host: HostName::Fixed("localhost".into()) },
        token_secret: Some(SECRET),
        stop_grace: Duration::from_millis(100),
        ..Options::new(state.to_owned(), listeners)
    }
}

struct Node {
    server: Server,
    state: TempDir,
}

impl Node {
    fn start(roles: &[Role], change: impl FnOnce(&mut Options)) -> Self {
        log();
        let state = tempfile::tempdir().unwrap();
        let mut options = options(state.path(), roles);
        change(&mut options);
        Self { server: Server::start(&options).unwrap(), state }
    }

    /// NameServer and Master; game servers call at `port`.
    fn master(label: &str, transport: LinkTransport, tls: Option<TlsFiles>, port: u16) -> Self {
        Self::start(&[Role::NameServer, Role::Master], |options| {
            let bind = vec![IpAddr::from(Ipv4Addr::LOCALHOST)];
            let listener = S2sListener { label: label.to_owned(), bind, port, transport, tls, place: None };
            options.s2s = S2s { listeners: vec![listener], ..S2s::default() };
        })
    }

    fn link_port(&self) -> u16 {
        self.server.link_addresses()[0].port()
    }

    /// A game server that calls the Master at `port`.
    fn game(port: u16, transport: LinkTransport, tls: Option<MasterTls>) -> Self {
        Self::game_with(port, transport, tls, |_| {})
    }

    fn game_with(
        port: u16,
        transport: LinkTransport,
        tls: Option<MasterTls>,
        change: impl FnOnce(&mut Options),
    ) -> Self {
        Self::start(&[Role::Game], |options| {
            let master = MasterLink {
                host: "localhost".to_owned(),
                port,
                transport,
                tls,
                name: "the game server".to_owned(),
                retry_interval: RETRY,
                stop_timeout: Duration::from_secs(1),
                status_interval: Some(Duration::from_millis(100)),
                workload: Workload::default(),
            };
            options.s2s = S2s { master: Some(master), ping_interval: Duration::from_millis(100), ..S2s::default() };
            change(options);
        })
    }

    fn links_up(&self) -> u64 {
        self.server.link_counters().unwrap().up.get()
    }

    fn authority(&self) -> Option<CertificateDer<'static>> {
        CertificateDer::from_pem_file(self.state.path().join("certs/ca.pem")).ok()
    }

    /// A client that begins at this NameServer and trusts the certificates of both.
    fn client(&self, game: &Self, transport: Transport) -> Driver {
        let address = self.server.address(Role::NameServer, transport).unwrap();
        let name_server = format!("{}://localhost:{}", transport.name(), address.port());
        let name_server = match transport {
            Transport::Udp | Transport::Tcp => format!("{}://{address}", transport.name()),
            _ => name_server,
        };
        let config = Config::new(Start::NameServer(name_server.parse().unwrap()), "test");
        let authorities = [self, game].into_iter().filter_map(Self::authority).collect();
        Driver::new(config.into(), TlsRoots::Authorities(authorities)).unwrap()
    }
}

/// Waits until something is so.
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what} did not come in time; the log:\n{}", logged());
        thread::sleep(Duration::from_millis(2));
    }
}

/// The next event that `wanted` makes something of; a refusal is a failure.
async fn next<T>(driver: &mut Driver, wanted: impl Fn(&Event) -> Option<T>) -> T {
    let wanted = |event: &Event| {
        assert!(!matches!(event, Event::RoomRefused { .. }), "{event:?}");
        wanted(event)
    };
    next_of_all(driver, wanted).await
}

/// The next event that `wanted` makes something of; an end of the connection is a failure.
async fn next_of_all<T>(driver: &mut Driver, wanted: impl Fn(&Event) -> Option<T>) -> T {
    let found = async {
        loop {
            let event = driver.next_event().await.expect("the connection goes on");
            assert!(!matches!(event, Event::Disconnected(_)), "{event:?}");
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("the event comes in time")
}

async fn connect(driver: &mut Driver) {
    driver.act(|client, now| client.connect(now)).unwrap();
    next(driver, |event| matches!(event, Event::ConnectedToMaster).then_some(())).await;
}

async fn enter(driver: &mut Driver, entry: Entry) -> i32 {
    driver.act(|client, now| client.enter(now, entry.into())).unwrap();
    next(driver, |event| if let Event::RoomEntered(room) = event { Some(room.actor) } else { None }).await
}

fn create_or_join(name: &str) -> Entry {
    Entry::JoinOrCreate { name: name.to_owned(), options: RoomOptions::default() }
}

/// Two clients meet in a room that the Master led them to.
async fn play(master: &Node, game: &Node, transport: Transport) {
    let (mut first, mut second) = (master.client(game, transport), master.client(game, transport));
    connect(&mut first).await;
    connect(&mut second).await;
    assert_eq!(enter(&mut first, create_or_join(transport.name())).await, 1);
    assert_eq!(enter(&mut second, Entry::Join { name: transport.name().to_owned() }).await, 2);
    let to_others = RaiseOptions { receivers: Receivers::Others, ..RaiseOptions::default() };
    first.act(|client, now| client.raise_event(now, 7, 42, &to_others)).unwrap();
    let got = next(&mut second, |event| match event {
        Event::Raised { code: 7, payload, .. } => Some(payload.clone()),
        _ => None,
    });
    let got = tokio::select! {
        got = got => got,
        end = drive(&mut first) => panic!("the first client came to an end: {end}"),
    };
    assert_eq!(got, 42.into(), "{transport:?}");
}

/// Lets a client go on that nobody listens to.
async fn drive(driver: &mut Driver) -> &'static str {
    while driver.next_event().await.is_some() {}
    "no event"
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn play_over_every_transport(master: &Node, game: &Node) {
    wait_for("the link", || game.links_up() > 0);
    for transport in Transport::ALL {
        runtime().block_on(play(master, game, transport));
    }
}

#[test]
fn t22_clients_play_on_a_game_server_that_registered_over_mutual_tls() {
    let authority = Authority::new();
    let master = Node::master("mutual", LinkTransport::Tcp, Some(authority.master_tls()), 0);
    let tls = authority.game_tls(Some(authority.node(2, 2090)));
    let game = Node::game(master.link_port(), LinkTransport::Tcp, Some(tls));
    play_over_every_transport(&master, &game);
    assert!(logged().contains("the game server"), "{}", logged());
}

#[test]
fn t22_websocket_messages_carry_the_link_too() {
    let authority = Authority::new();
    let master = Node::master("websocket", LinkTransport::WebSocket, Some(authority.master_tls()), 0);
    let tls = authority.game_tls(Some(authority.node(2, 2090)));
    let game = Node::game(master.link_port(), LinkTransport::WebSocket, Some(tls));
    wait_for("the link", || game.links_up() > 0);
    runtime().block_on(play(&master, &game, Transport::Tcp));
}

#[test]
fn without_tls_the_secret_of_the_installation_lets_a_game_server_in() {
    let master = Node::master("plain", LinkTransport::Tcp, None, 0);
    let game = Node::game(master.link_port(), LinkTransport::Tcp, None);
    wait_for("the link", || game.links_up() > 0);
    runtime().block_on(play(&master, &game, Transport::Udp));
}

#[test]
fn a_full_game_server_gets_no_rooms() {
    let master = Node::master("full", LinkTransport::Tcp, None, 0);
    let always_full = LevelBound { level: 9, rises_over: u32::MAX, falls_under: 0 };
    let full = Node::game_with(master.link_port(), LinkTransport::Tcp, None, |options| {
        let controllers = vec![Controller::new(LoadInput::PeerCount, vec![always_full], 9)];
        options.s2s.master.as_mut().unwrap().workload = Workload { controllers };
    });
    wait_for("the link of the full one", || full.links_up() > 0);
    runtime().block_on(async {
        let mut client = master.client(&full, Transport::Tcp);
        connect(&mut client).await;
        client.act(|client, now| client.enter(now, create_or_join("room").into())).unwrap();
        let refused = next_of_all(&mut client, |event| match event {
            Event::RoomRefused { code, .. } => Some(*code),
            _ => None,
        });
        assert_eq!(refused.await, 32762);
    });
    let game = Node::game(master.link_port(), LinkTransport::Tcp, None);
    wait_for("the link of the other one", || game.links_up() > 0);
    runtime().block_on(play(&master, &game, Transport::Tcp));
}

/// What the log of the Master says of a game server that it turned away.
fn refusal(label: &str, master: &Node, game: &Node) -> String {
    let counters = master.server.link_counters().unwrap();
    wait_for("a refusal", || counters.refused.get() > 0);
    let line = || {
        let log = logged();
        log.lines().find(|line| line.contains("turned a game server away") && line.contains(label)).map(str::to_owned)
    };
    wait_for("a line", || line().is_some());
    assert_eq!((counters.up.get(), game.links_up()), (0, 0));
    line().unwrap()
}

fn impostor(label: &str, tls: impl FnOnce(&Authority) -> Option<MasterTls>) -> String {
    let authority = Authority::new();
    let tls = tls(&authority);
    let master = Node::master(label, LinkTransport::Tcp, Some(authority.master_tls()), 0);
    let game = Node::game(master.link_port(), LinkTransport::Tcp, tls);
    refusal(label, &master, &game)
}

#[test]
fn t22_an_impostor_without_a_certificate_is_refused() {
    let line = impostor("no-certificate", |authority| Some(authority.game_tls(None)));
    assert!(line.contains("showed no certificate"), "{line}");
}

#[test]
fn t22_an_impostor_with_a_certificate_of_another_authority_is_refused() {
    let other = Authority::new();
    let foreign = other.node(2, 2090);
    let line = impostor("other-authority", |authority| Some(authority.game_tls(Some(foreign))));
    assert!(line.contains("no authority in RootCertificates"), "{line}");
}

#[test]
fn t22_an_expired_certificate_is_refused() {
    let line = impostor("expired", |authority| Some(authority.game_tls(Some(authority.node(2, 2020)))));
    assert!(line.contains("has expired") && line.contains("lampyris cert cluster"), "{line}");
}

#[test]
fn t24_a_certificate_that_is_not_for_the_end_that_calls_is_refused() {
    let line = impostor("servers-only", |authority| {
        let certificate = authority.issue(2, 2090, vec![ExtendedKeyUsagePurpose::ServerAuth]);
        Some(authority.game_tls(Some(certificate)))
    });
    assert!(line.contains("not for the end that calls"), "{line}");
}

#[test]
fn t27_a_revoked_certificate_is_refused() {
    let line = impostor("revoked", |authority| {
        authority.revoke(2);
        Some(authority.game_tls(Some(authority.node(2, 2090))))
    });
    assert!(line.contains("is revoked"), "{line}");
}

#[test]
fn t22_a_game_server_without_tls_is_refused_at_a_secure_port() {
    let line = impostor("no-tls", |_| None);
    assert!(line.contains("does not speak TLS"), "{line}");
}

#[test]
fn t22_a_game_server_does_not_register_with_a_master_of_another_authority() {
    let (real, other) = (Authority::new(), Authority::new());
    let master = Node::master("false-master", LinkTransport::Tcp, Some(other.master_tls()), 0);
    let game = Node::game(master.link_port(), LinkTransport::Tcp, Some(real.game_tls(Some(real.node(2, 2090)))));
    wait_for("a failed call", || game.server.link_counters().unwrap().calls_failed.get() > 0);
    assert_eq!((game.links_up(), master.links_up()), (0, 0));
}

#[test]
fn an_impostor_without_the_secret_is_refused() {
    let master = Node::master("no-secret", LinkTransport::Tcp, None, 0);
    let game = Node::game_with(master.link_port(), LinkTransport::Tcp, None, |options| {
        options.token_secret = Some(TokenSecret([8; 32]));
    });
    let line = refusal("no-secret", &master, &game);
    assert!(line.contains("AuthTokenKey"), "{line}");
}

#[test]
fn a_second_game_server_with_the_same_addresses_is_refused() {
    let master = Node::master("twins", LinkTransport::Tcp, None, 0);
    let first = Node::game(master.link_port(), LinkTransport::Tcp, None);
    wait_for("the link", || first.links_up() > 0);
    let port = first.server.address(Role::Game, Transport::Tcp).unwrap().port();
    // It listens elsewhere and says that it is there.
    let second = Node::game_with(master.link_port(), LinkTransport::Tcp, None, |options| {
        let endpoint = lampyris_server::engine::Endpoint {
            host: lampyris_server::engine::Host::Fixed { ipv4: Some(Ipv4Addr::LOCALHOST), ipv6: None, name: None },
            ports: lampyris_server::engine::Ports { tcp: Some(port), ..Default::default() },
            path: String::new(),
        };
        let told = lampyris_server::engine::Addresses { regions: Vec::new(), game: endpoint };
        options.addresses = Addresses::Told(told);
    });
    wait_for("a refusal", || master.server.link_counters().unwrap().refused.get() > 0);
    assert_eq!((first.links_up(), second.links_up()), (1, 0));
    assert!(logged().contains("has one of these addresses too"), "{}", logged());
}

#[test]
fn a_master_that_was_started_again_learns_the_rooms_that_go_on() {
    let master = Node::master("again", LinkTransport::Tcp, None, 0);
    let port = master.link_port();
    let game = Node::game(port, LinkTransport::Tcp, None);
    wait_for("the link", || game.links_up() > 0);
    let runtime = runtime();
    let mut first = master.client(&game, Transport::Tcp);
    runtime.block_on(async {
        connect(&mut first).await;
        assert_eq!(enter(&mut first, create_or_join("kept")).await, 1);
    });
    master.server.stop().unwrap();
    let master = Node::master("again", LinkTransport::Tcp, None, port);
    wait_for("the second link", || game.links_up() > 1);
    let mut second = master.client(&game, Transport::Tcp);
    runtime.block_on(async {
        connect(&mut second).await;
        let by_name = || Entry::Join { name: "kept".to_owned() };
        second.act(|client, now| client.enter(now, by_name().into())).unwrap();
        let actor = loop {
            match second.next_event().await.unwrap() {
                Event::RoomEntered(room) => break room.actor,
                // The room is on its way to be told of.
                Event::RoomRefused { .. } => second.act(|client, now| client.enter(now, by_name().into())).unwrap(),
                _ => {}
            }
        };
        assert_eq!(actor, 2, "it is the same room");
        next(&mut first, |event| matches!(event, Event::ActorJoined { actor: 2, .. }).then_some(())).await;
    });
}

/// The log of all servers of this program.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static SUBSCRIBED: Once = Once::new();

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn log() {
    SUBSCRIBED.call_once(|| {
        tracing_subscriber::fmt().with_writer(|| Log).with_ansi(false).init();
    });
}

fn logged() -> String {
    String::from_utf8_lossy(&LOG.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
}
