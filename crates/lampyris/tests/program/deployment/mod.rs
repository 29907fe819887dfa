//! A folder of configuration files with certificates, and the server that runs from it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

pub(crate) use crate::acme::pebble::free_ports;

/// Longer than anything takes here; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An authority that clients trust.
pub(crate) struct Authority {
    pem: String,
    key: KeyPair,
    der: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), key }
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.der.clone()
    }

    /// A certificate for these names and its key, as one text.
    pub(crate) fn leaf(&self, names: &[&str]) -> String {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let issuer = Issuer::from_ca_cert_pem(&self.pem, &self.key).unwrap();
        format!("{}{}", params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A folder with a `bin/PhotonServer.config`.
pub(crate) struct Deployment {
    folder: TempDir,
}

impl Deployment {
    /// With the three applications, and these listeners from line 3 on.
    pub(crate) fn new(listeners: &str) -> Self {
        let deployment = Self { folder: tempfile::tempdir().unwrap() };
        let applications = [
            ("NameServer", "Photon.NameServer.PhotonApp"),
            ("Master", "Photon.LoadBalancing.MasterServer.MasterApplication"),
            ("Game", "Photon.LoadBalancing.GameServer.GameApplication"),
        ];
        let applications: String = applications
            .map(|(name, class)| format!("<Application Name=\"{name}\" BaseDirectory=\"{name}\" Type=\"{class}\"/>"))
            .join("\n");
        let main = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Configuration><Instance Name=\"A\">\n{listeners}\n\
             <Applications Default=\"NameServer\">{applications}<!--end--></Applications>\n</Instance></Configuration>\n"
        );
        deployment.put("bin/PhotonServer.config", &main);
        deployment
    }

    /// Takes out every application but these.
    pub(crate) fn only(&self, names: &[&str]) {
        let is_kept = |line: &&str| match line.split_once("<Application Name=\"") {
            Some((_, rest)) => names.iter().any(|name| rest.starts_with(name)),
            None => true,
        };
        // Each application gets its own line; the first and the last share theirs with the elements around.
        let main = self.main().replace("<Application Name", "\n<Application Name").replace("<!--end-->", "\n");
        let kept: Vec<_> = main.lines().filter(is_kept).collect();
        self.put("bin/PhotonServer.config", &kept.join("\n"));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn main(&self) -> String {
        self.text("bin/PhotonServer.config")
    }

    pub(crate) fn certificate(&self, name: &str, pem: &str) {
        self.put(&format!("bin/certs/{name}"), pem);
    }

    pub(crate) fn regions(&self, nodes: &str) {
        self.put("Nameserver.json", &format!("{{ \"Nodes\": [ {nodes} ] }}"));
    }

    pub(crate) fn name_server(&self, settings: &str) {
        let text = format!("<configuration><Photon><NameServer>{settings}</NameServer></Photon></configuration>");
        self.put("NameServer/bin/Nameserver.xml.config", &text);
    }

    /// The settings that are told to clients.
    pub(crate) fn game_server(&self, settings: &str) {
        let text = format!(
            "<configuration><Photon><Authentication><AuthTokenKey>a</AuthTokenKey></Authentication><GameServer>\
             <Master>{settings}</Master></GameServer></Photon></configuration>"
        );
        self.put("Game/bin/GameServer.xml.config", &text);
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lampyris"));
        command.env_clear().env("NO_COLOR", "1").args(["run", "--config"]).arg(self.path("bin/PhotonServer.config"));
        command.arg("--state-dir").arg(self.path("state")).args(more);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Another command about this deployment: its exit code and what it said.
    pub(crate) fn ask(&self, words: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lampyris"));
        command.env_clear().args(words).arg("--config").arg(self.path("bin/PhotonServer.config"));
        let output = command.arg("--state-dir").arg(self.path("state")).stdin(Stdio::null()).output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        (output.status.code().unwrap(), said)
    }

    /// Starts the server and waits until it is ready.
    pub(crate) fn run(&self, more: &[&str]) -> Running {
        let mut child = self.command(more).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (mut stderr, copy) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        let reader = std::thread::spawn(move || {
            let mut line = String::new();
            while stderr.read_line(&mut line).unwrap() > 0 {
                copy.lock().unwrap().push_str(&std::mem::take(&mut line));
            }
        });
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let mut running = Running { child, log, reader: Some(reader) };
        if !ready.starts_with("ready") {
            running.child.wait().unwrap();
            running.reader.take().unwrap().join().unwrap();
            panic!("not ready: {}", running.log());
        }
        running.log.lock().unwrap().push_str(&ready);
        running
    }

    /// A server that does not start: its exit code and what it said.
    pub(crate) fn fail(&self, more: &[&str]) -> (i32, String) {
        let mut child = self.command(more).spawn().unwrap();
        let mut log = String::new();
        child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (child.wait().unwrap().code().unwrap(), log)
    }
}

/// A running server.
pub(crate) struct Running {
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Running {
    /// What it said so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it says that.
    pub(crate) fn wait_for(&self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.log().contains(text) {
            assert!(Instant::now() < until, "{text}: {}", self.log());
            std::thread::yield_now();
        }
    }

    /// Stops it; gives what it said.
    pub(crate) fn stop(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let code = self.child.wait().unwrap().code();
        self.reader.take().unwrap().join().unwrap();
        assert_eq!(code, Some(0), "{}", self.log());
        self.log()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
