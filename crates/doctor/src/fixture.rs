//! A world in which everything is sound, and ways to break one thing in it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lampyris_client::Transport;
use lampyris_config::{Environment, LoadOptions, Loaded, load, read_file};
use lampyris_server::HandshakeFailure;
use lampyris_server::control::{Line, Renewal, Status};
use lampyris_tls::inspect::Anchors;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ED25519, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use tempfile::TempDir;

use crate::probe::{ConnectBack, Failure, Handshake, Join, JoinFailure, PortProbe, Probed, Stage, targets};
use crate::serving::endpoints;
use crate::{Access, BrowserStore, Context, Finding, Machine, Vantage};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const SERVER_FILE: &str = "bin/PhotonServer.config";
const NAME_SERVER_FILE: &str = "NameServer/bin/Nameserver.xml.config";
const MASTER_FILE: &str = "Master/bin/Master.xml.config";
const GAME_FILE: &str = "Game/bin/GameServer.xml.config";
const REGIONS_FILE: &str = "Nameserver.json";
const CERTIFICATE_FILE: &str = "bin/certs/server.pem";
const TOKENS: &str = "<Authentication><AuthTokenKey>one-of-our-own</AuthTokenKey><HMACTokenKey>another-of-our-own\
                      </HMACTokenKey></Authentication>";

/// A certificate of the fixture's authority.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) names: &'static [&'static str],
    pub(crate) usages: &'static [KeyUsagePurpose],
    pub(crate) purposes: &'static [ExtendedKeyUsagePurpose],
    /// First and last day of its life, seen from today.
    pub(crate) days: Range<i64>,
    pub(crate) is_authority: bool,
    pub(crate) is_ed25519: bool,
    pub(crate) is_self_signed: bool,
}

impl Default for Leaf {
    fn default() -> Self {
        Self {
            names: &["photon.test"],
            usages: &[KeyUsagePurpose::DigitalSignature],
            purposes: &[ExtendedKeyUsagePurpose::ServerAuth],
            days: -1..89,
            is_authority: false,
            is_ed25519: false,
            is_self_signed: false,
        }
    }
}

#[derive(Debug, Default)]
struct TestMachine {
    files: HashMap<PathBuf, String>,
    printed: HashMap<String, String>,
    names: HashMap<String, Vec<IpAddr>>,
    modes: Vec<(String, u32, u32)>,
    changed_in: Duration,
    browsers: Vec<BrowserStore>,
}

impl Machine for TestMachine {
    fn addresses(&self) -> Vec<IpAddr> {
        vec![[127, 0, 0, 1].into(), [203, 0, 113, 9].into()]
    }

    fn resolve(&self, host: &str) -> Vec<IpAddr> {
        self.names.get(host).cloned().unwrap_or_default()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn access(&self, path: &Path) -> io::Result<Access> {
        let named = self.modes.iter().find(|(name, ..)| path.file_name().is_some_and(|last| last == name.as_str()));
        Ok(named.map_or(Access { user: 0, group: 0, mode: 0o755 }, |(_, user, mode)| Access {
            user: *user,
            group: *user,
            mode: *mode,
        }))
    }

    fn modified(&self, _path: &Path) -> io::Result<SystemTime> {
        Ok(SystemTime::now() + self.changed_in)
    }

    fn output(&self, program: &str, arguments: &[&str]) -> Option<String> {
        self.printed.get(&format!("{program} {}", arguments.join(" "))).cloned()
    }

    fn browsers(&self, authority: &Path) -> Vec<BrowserStore> {
        if authority.ends_with("certs/ca.pem") { self.browsers.clone() } else { Vec::new() }
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn user(&self) -> u32 {
        1000
    }
}

/// A deployment, the machine that it runs on, and what was seen of it.
pub(crate) struct Fixture {
    folder: TempDir,
    machine: TestMachine,
    anchors: Anchors,
    chain: Vec<CertificateDer<'static>>,
    vantage: Vantage,
    status: Option<Status>,
    is_running: bool,
    port_failures: Vec<(u16, Failure)>,
    join_failures: Vec<(&'static str, JoinFailure)>,
    self_test_failures: Vec<(&'static str, JoinFailure)>,
    connect_back: Vec<ConnectBack>,
    master_link: Option<ConnectBack>,
    only_new_tls: Vec<u16>,
}

impl Fixture {
    pub(crate) fn sound() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let photon = |inner: &str| format!("<configuration><Photon>{inner}{TOKENS}</Photon></configuration>");
        let files = [
            (SERVER_FILE, photon_server()),
            (
                NAME_SERVER_FILE,
                photon(
                    "<NameServer><MasterServerPortSecureWebSocket>19090</MasterServerPortSecureWebSocket></NameServer>",
                ),
            ),
            (MASTER_FILE, photon("")),
            (
                GAME_FILE,
                photon(
                    "<GameServer><Master><PublicIPAddress>203.0.113.9</PublicIPAddress><PublicHostName>photon.test\
                     </PublicHostName><GamingUdpPort>5056</GamingUdpPort><GamingSecureWebSocketPort>19091\
                     </GamingSecureWebSocketPort></Master><MaxEmptyRoomTTL>60000</MaxEmptyRoomTTL></GameServer>",
                ),
            ),
            (
                REGIONS_FILE,
                "{\"Nodes\": [{\"Region\": \"eu\", \"IpAddress\": \"203.0.113.9\", \"Hostname\": \"photon.test\"}]}"
                    .to_owned(),
            ),
        ];
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir_all(folder.path().join("bin/certs")).unwrap();
        let mut machine = TestMachine::default();
        machine.names.insert("photon.test".to_owned(), vec![[203, 0, 113, 9].into()]);
        let status = Status { process: 4711, user: 1000, uptime_seconds: 7_000, ..Status::default() };
        let fixture = Self {
            folder,
            machine,
            anchors: Anchors::default(),
            chain: Vec::new(),
            vantage: Vantage::Local,
            status: Some(status),
            is_running: true,
            port_failures: Vec::new(),
            join_failures: Vec::new(),
            self_test_failures: Vec::new(),
            connect_back: Vec::new(),
            master_link: None,
            only_new_tls: Vec::new(),
        };
        fixture.leaf(Leaf::default())
    }

    /// Serves this certificate, and trusts its authority.
    pub(crate) fn leaf(mut self, leaf: Leaf) -> Self {
        let (chain, authority, pem) = make(&leaf);
        self.anchors = Anchors::default();
        if !leaf.is_self_signed {
            self.anchors = self.anchors.with_private([authority]);
        }
        self.chain = chain;
        self.certificate_file(&pem)
    }

    pub(crate) fn certificate_file(self, content: &str) -> Self {
        fs::write(self.folder.path().join(CERTIFICATE_FILE), content).unwrap();
        self.certificate_mode(0o600)
    }

    pub(crate) fn certificate_mode(self, mode: u32) -> Self {
        fs::set_permissions(self.folder.path().join(CERTIFICATE_FILE), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    pub(crate) fn trusting_nobody(self) -> Self {
        Self { anchors: Anchors::default(), ..self }
    }

    /// Replaces a part of `PhotonServer.config`.
    pub(crate) fn listeners(self, from: &str, to: &str) -> Self {
        self.replace(SERVER_FILE, from, to)
    }

    /// Replaces the element of that name in the game server's file.
    pub(crate) fn game(self, element: &str) -> Self {
        self.element(GAME_FILE, element)
    }

    pub(crate) fn master(self, element: &str) -> Self {
        self.element(MASTER_FILE, element)
    }

    pub(crate) fn name_server(self, element: &str) -> Self {
        self.element(NAME_SERVER_FILE, element)
    }

    pub(crate) fn region(self, member: &str) -> Self {
        self.replace(REGIONS_FILE, "\"Hostname\": \"photon.test\"", member)
    }

    pub(crate) fn token_key(mut self, key: &str) -> Self {
        for file in [NAME_SERVER_FILE, MASTER_FILE, GAME_FILE] {
            self = self.replace(file, "one-of-our-own", key);
        }
        self
    }

    fn element(self, file: &str, element: &str) -> Self {
        let name = element.trim_start_matches('<').split('>').next().unwrap();
        let text = fs::read_to_string(self.folder.path().join(file)).unwrap();
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let (start, end) = (text.find(&open).unwrap(), text.find(&close).unwrap() + close.len());
        let old = text[start..end].to_owned();
        self.replace(file, &old, element)
    }

    fn replace(self, file: &str, from: &str, to: &str) -> Self {
        let path = self.folder.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        self
    }

    pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
        self.machine.files.insert(path.into(), text.to_owned());
        self
    }

    pub(crate) fn prints(mut self, command: &str, text: &str) -> Self {
        self.machine.printed.insert(command.to_owned(), text.to_owned());
        self
    }

    pub(crate) fn resolves(mut self, host: &str, addresses: &[&str]) -> Self {
        self.machine.names.insert(host.to_owned(), addresses.iter().map(|ip| ip.parse().unwrap()).collect());
        self
    }

    /// Rights to every file or folder of that name.
    pub(crate) fn mode(mut self, name: &str, user: u32, mode: u32) -> Self {
        self.machine.modes.push((name.to_owned(), user, mode));
        self
    }

    pub(crate) fn changed_in(mut self, time: Duration) -> Self {
        self.machine.changed_in = time;
        self
    }

    /// A browser of the current user, and whether it trusts our authority.
    pub(crate) fn browser(mut self, name: &str, trusts: bool) -> Self {
        self.machine.browsers.push(BrowserStore { name: name.to_owned(), trusts });
        self
    }

    pub(crate) fn stopped(self) -> Self {
        Self { is_running: false, status: None, ..self }
    }

    pub(crate) fn seen_from_elsewhere(self, host: &str) -> Self {
        Self { vantage: Vantage::Remote(host.to_owned()), ..self }
    }

    pub(crate) fn failed_with(mut self, reason: HandshakeFailure, count: u64) -> Self {
        self.status.as_mut().unwrap().set_handshake_failures(reason, count);
        self
    }

    pub(crate) fn renewal_fails(mut self, reason: &str) -> Self {
        let renewal = Renewal { failures: 2, last_error: Some(reason.to_owned()), next_try_unix_seconds: None };
        self.status.as_mut().unwrap().renewal = Some(renewal);
        self
    }

    pub(crate) fn complained(mut self, text: &str) -> Self {
        let line = Line { unix_seconds: 1_800_000_000, level: "WARN".to_owned(), text: text.to_owned() };
        self.status.as_mut().unwrap().recent.push(line);
        self
    }

    pub(crate) fn port_fails(mut self, port: u16, stage: Stage, text: &str) -> Self {
        self.port_failures.push((port, Failure { stage, text: text.to_owned() }));
        self
    }

    pub(crate) fn join_fails(mut self, scheme: &'static str, at: &str, text: &str) -> Self {
        self.join_failures.push((scheme, JoinFailure { at: at.to_owned(), text: text.to_owned() }));
        self
    }

    pub(crate) fn self_test_fails(mut self, scheme: &'static str, text: &str) -> Self {
        self.self_test_failures.push((scheme, JoinFailure { at: "127.0.0.1".to_owned(), text: text.to_owned() }));
        self
    }

    pub(crate) fn connect_back_fails(mut self, address: &str, text: &str) -> Self {
        self.connect_back.push(ConnectBack { address: address.to_owned(), result: Err(text.to_owned()) });
        self
    }

    pub(crate) fn master_link_fails(self, address: &str, text: &str) -> Self {
        let link = ConnectBack { address: address.to_owned(), result: Err(text.to_owned()) };
        Self { master_link: Some(link), ..self }
    }

    pub(crate) fn without_tls12(mut self, port: u16) -> Self {
        self.only_new_tls.push(port);
        self
    }

    pub(crate) fn load(&self) -> Loaded {
        let environment = Environment { read: &read_file, variable: &|_| None };
        load(&self.folder.path().join(SERVER_FILE), LoadOptions::default(), environment)
    }

    pub(crate) fn run(&self, check: fn(&Context<'_>) -> Vec<Finding>) -> Vec<Finding> {
        self.with(check)
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&Context<'_>) -> T) -> T {
        let loaded = self.load();
        let probed = loaded.config.as_ref().map(|config| self.probed(config)).unwrap_or_default();
        look(&Context {
            path: &self.folder.path().join(SERVER_FILE),
            loaded: &loaded,
            machine: &self.machine,
            anchors: &self.anchors,
            probed: &probed,
            status: self.status.as_ref(),
            vantage: &self.vantage,
        })
    }

    fn probed(&self, config: &lampyris_config::Config) -> Probed {
        let took = Duration::from_millis(1);
        let join = |failures: &[(&str, JoinFailure)], transport: Transport| {
            let failed = failures.iter().find(|(scheme, _)| *scheme == transport.scheme());
            Join { transport, result: failed.map_or(Ok(took), |(_, failure)| Err(failure.clone())) }
        };
        let joins =
            |failures: &[(&str, JoinFailure)]| Transport::ALL.map(|transport| join(failures, transport)).to_vec();
        let self_test = joins(&self.self_test_failures);
        if !self.is_running {
            return Probed { self_test, ..Probed::default() };
        }
        let ports = targets(config, &endpoints(config), &self.vantage).into_iter().map(|target| {
            let failed = self.port_failures.iter().find(|(port, _)| *port == target.port);
            let tls12 = if self.only_new_tls.contains(&target.port) {
                Err("ProtocolVersion".to_owned())
            } else {
                Ok(String::new())
            };
            let handshake = Handshake { chain: self.chain.clone(), negotiated: String::new(), tls12 };
            let handshake = (target.transport == Transport::Wss && failed.is_none()).then_some(handshake);
            PortProbe { target, handshake, result: failed.map_or(Ok(took), |(_, failure)| Err(failure.clone())) }
        });
        Probed {
            ports: ports.collect(),
            joins: joins(&self.join_failures),
            self_test,
            connect_back: self.connect_back.clone(),
            master_link: self.master_link.clone(),
        }
    }
}

/// Three roles on four transports, as deployments have them.
fn photon_server() -> String {
    let roles = [("NameServer", 5058, 4533, 9093), ("Master", 5055, 4530, 9090), ("Game", 5056, 4531, 9091)];
    let (mut udp, mut tcp, mut http, mut applications) = (String::new(), String::new(), String::new(), String::new());
    for (role, udp_port, tcp_port, ws_port) in roles {
        let all = "IPAddress=\"0.0.0.0\"";
        udp += &format!("<UDPListener {all} Port=\"{udp_port}\" OverrideApplication=\"{role}\"/>\n");
        tcp += &format!("<TCPListener {all} Port=\"{tcp_port}\" OverrideApplication=\"{role}\"/>\n");
        for (port, secure) in [(ws_port, ""), (ws_port + 10_000, " Secure=\"true\"")] {
            http += &format!(
                "<HTTPListener {all} Port=\"{port}\"{secure}><Routing><Route Url=\"/*\" OverrideApplication=\"{role}\" \
                 PeerType=\"WebSocket\"/></Routing></HTTPListener>\n"
            );
        }
        applications += &format!("<Application Name=\"{role}\"/>\n");
    }
    format!(
        "<Configuration><Instance Name=\"LoadBalancing\">\n<UDPListeners>\n{udp}</UDPListeners>\n<TCPListeners>\n{tcp}\
         <TCPListener IPAddress=\"127.0.0.1\" Port=\"4520\"/>\n</TCPListeners>\n<HTTPListeners>\n{http}</HTTPListeners>\n\
         <Applications Default=\"NameServer\">\n{applications}</Applications></Instance></Configuration>\n"
    )
}

/// The chain as it is sent, its authority, and the file with the key.
fn make(leaf: &Leaf) -> (Vec<CertificateDer<'static>>, CertificateDer<'static>, String) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate_for(if leaf.is_ed25519 { &PKCS_ED25519 } else { &PKCS_ECDSA_P256_SHA256 }).unwrap();
    let mut params = CertificateParams::new(leaf.names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    let day = |days: i64| {
        let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let offset = DAY * u32::try_from(days.unsigned_abs()).unwrap();
        date_time_ymd(1970, 1, 1) + if days < 0 { today - offset } else { today + offset }
    };
    (params.not_before, params.not_after) = (day(leaf.days.start), day(leaf.days.end));
    params.is_ca = if leaf.is_authority { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
    params.key_usages = leaf.usages.to_vec();
    params.extended_key_usages = leaf.purposes.to_vec();
    let certificate = if leaf.is_self_signed { params.self_signed(&key) } else { params.signed_by(&key, &issuer) };
    let certificate = certificate.unwrap();
    let pem = format!("{}{}", certificate.pem(), key.serialize_pem());
    (vec![certificate.der().clone()], authority_certificate.der().clone(), pem)
}
