//! Certificates of a running server, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lampyris_server::{CertificateFiles, HandshakeFailure, Options, Role, Tls, TlsFiles, Transport};
use lampyris_tls::{Authorities, ClientCertificates, Settings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::client::ClientSessionMemoryCache;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned, SupportedProtocolVersion};

use crate::common::{Loopback, PATIENCE};

/// An authority of a test's own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

struct Leaf {
    certificate: CertificateDer<'static>,
    key: KeyPair,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, usage: ExtendedKeyUsagePurpose) -> Leaf {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let pem = format!("{}{}", certificate.pem(), key.serialize_pem());
        Leaf { certificate: certificate.der().clone(), key, pem }
    }

    /// Puts a new certificate in place as tools do that renew them.
    fn renew(&self, path: &Path) -> CertificateDer<'static> {
        let leaf = self.issue(ExtendedKeyUsagePurpose::ServerAuth);
        let beside = path.with_extension("new");
        fs::write(&beside, leaf.pem).unwrap();
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(beside, path).unwrap();
        leaf.certificate
    }

    fn client(&self, own: Option<&Leaf>) -> ClientConfig {
        self.client_of(rustls::ALL_VERSIONS, own)
    }

    fn client_of(&self, versions: &[&'static SupportedProtocolVersion], own: Option<&Leaf>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        match own {
            None => builder.with_no_client_auth(),
            Some(leaf) => {
                let key = PrivateKeyDer::try_from(leaf.key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![leaf.certificate.clone()], key).unwrap()
            }
        }
    }
}

type Connection = StreamOwned<ClientConnection, TcpStream>;

fn connect(loopback: &Loopback, role: Role, config: &Arc<ClientConfig>) -> Connection {
    let socket = TcpStream::connect(loopback.address(role, Transport::Wss)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let client = ClientConnection::new(Arc::clone(config), "localhost".try_into().unwrap()).unwrap();
    StreamOwned::new(client, socket)
}

/// Asks for a page, on a connection that ends behind the answer.
fn ask(stream: &mut Connection) -> io::Result<String> {
    stream.write_all(b"GET /photon/n HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn shown(stream: &Connection) -> CertificateDer<'static> {
    stream.conn.peer_certificates().unwrap()[0].clone().into_owned()
}

/// All secure listeners with one file.
fn with_files(path: PathBuf, settings: Settings) -> impl FnOnce(&mut Options) {
    move |options| {
        let files = CertificateFiles { certificate: path.clone(), key: path, password: None };
        let files = TlsFiles { certificates: vec![files], default_domain: None, settings };
        for listener in options.listeners.iter_mut().filter(|listener| listener.tls.is_some()) {
            listener.tls = Some(Tls::Files(files.clone()));
        }
    }
}

#[test]
fn t25_certificates_are_exchanged_under_connected_clients_and_new_handshakes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.pem");
    let authority = Authority::new();
    let first = authority.renew(&path);
    let loopback = Loopback::start_with(2, with_files(path.clone(), Settings::default()));
    let config = Arc::new(authority.client(None));
    let mut connected: Vec<_> = (0..10).map(|_| connect(&loopback, Role::NameServer, &config)).collect();
    for stream in &mut connected {
        stream.conn.complete_io(&mut stream.sock).unwrap();
        assert_eq!(shown(stream), first);
    }
    for _ in 0..3 {
        let renewed = authority.renew(&path);
        let start = Instant::now();
        loop {
            // Each has a configuration of its own, so that none resumes a session with the certificate of another.
            let mut stream = connect(&loopback, Role::Master, &Arc::new(authority.client(None)));
            assert!(ask(&mut stream).unwrap().ends_with("pong\n"));
            if shown(&stream) == renewed {
                break;
            }
            assert!(start.elapsed() < PATIENCE);
        }
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }
    for stream in &mut connected {
        assert!(ask(stream).unwrap().ends_with("pong\n"));
    }
    let store = loopback.server.certificates();
    assert_eq!((store.exchanges(), store.failures()), (3, 0));
}

#[test]
fn t16_a_session_of_the_name_server_is_resumed_on_master_and_game() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.pem");
    let authority = Authority::new();
    authority.renew(&path);
    let loopback = Loopback::start_with(2, with_files(path, Settings::default()));
    for version in rustls::ALL_VERSIONS {
        let mut config = authority.client_of(&[version], None);
        config.resumption = rustls::client::Resumption::store(Arc::new(ClientSessionMemoryCache::new(8)));
        let config = Arc::new(config);
        let kinds = Role::ALL.map(|role| {
            let mut stream = connect(&loopback, role, &config);
            assert!(ask(&mut stream).unwrap().ends_with("pong\n"));
            stream.conn.handshake_kind().unwrap()
        });
        assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed]);
    }
}

#[test]
fn t21_clients_are_asked_for_certificates_only_if_the_operator_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (path, root) = (folder.path().join("server.pem"), folder.path().join("root.pem"));
    let (authority, other) = (Authority::new(), Authority::new());
    authority.renew(&path);
    fs::write(&root, authority.0.pem()).unwrap();
    let good = authority.issue(ExtendedKeyUsagePurpose::ClientAuth);
    let stranger = other.issue(ExtendedKeyUsagePurpose::ClientAuth);
    let authorities = || Authorities::load(&root).unwrap();
    for (clients, expected) in [
        (ClientCertificates::Ignored, [true, true, true]),
        (ClientCertificates::Optional(authorities()), [true, true, false]),
        (ClientCertificates::Required(authorities()), [false, true, false]),
    ] {
        let text = format!("{clients:?}");
        let settings = Settings { clients, ..Settings::default() };
        let loopback = Loopback::start_with(1, with_files(path.clone(), settings));
        let served = [None, Some(&good), Some(&stranger)].map(|own| {
            let mut stream = connect(&loopback, Role::Game, &Arc::new(authority.client(own)));
            ask(&mut stream).is_ok_and(|answer| answer.ends_with("pong\n"))
        });
        assert_eq!(served, expected, "{text}");
        let refused = loopback.server.counters()[0].handshake_failures(HandshakeFailure::ClientCertificate);
        assert_eq!(refused, expected.iter().filter(|served| !**served).count() as u64, "{text}");
    }
}

#[test]
fn t26_the_ends_of_the_certificates_are_told_for_metrics() {
    let loopback = Loopback::start(1);
    let served = loopback.server.certificates().served();
    assert_eq!(served.len(), 3, "a certificate for each secure listener");
    for certificate in served {
        let left = certificate.summary.not_after.duration_since(std::time::SystemTime::now()).unwrap();
        assert_eq!(left.as_secs() / (24 * 60 * 60), 89);
        assert!(certificate.path.ends_with("certs/server.pem"));
    }
}

#[test]
fn t11_names_that_no_certificate_covers_are_counted() {
    let loopback = Loopback::start(1);
    let ca = loopback.state.path().join("certs/ca.pem");
    assert!(ca.exists());
    let mut roots = RootCertStore::empty();
    roots.add(rustls::pki_types::pem::PemObject::from_pem_file(&ca).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(loopback.address(Role::Game, Transport::Wss)).unwrap();
    let client = ClientConnection::new(Arc::new(config), "elsewhere.test".try_into().unwrap()).unwrap();
    assert!(ask(&mut StreamOwned::new(client, socket)).is_err());
    assert_eq!(loopback.server.certificates().sni_misses(), 1);
}
