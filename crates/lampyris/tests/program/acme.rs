//! The real binary and the test authority `pebble`: from a configuration file to a certificate that clients trust.

#[path = "../../../acme/tests/authority/pebble.rs"]
#[expect(dead_code, reason = "shared with the tests of the ACME crate")]
pub(crate) mod pebble;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use lampyris_tls::Identity;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use self::pebble::{PATIENCE, Pebble, Ways, free_ports};

const NAME: &str = "play.example.test";

/// A server that runs from a configuration file.
struct Server {
    child: Child,
    lines: mpsc::Receiver<String>,
    folder: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts with a plain and a secure WebSocket port and this `Acme` element.
    fn start(pebble: &Pebble, (plain, secure): (u16, u16), acme: &str) -> Self {
        let folder = pebble.place().path("deploy/bin");
        std::fs::create_dir_all(&folder).unwrap();
        let config = format!(
            r#"<Configuration><Instance Name="Web">
            <Acme AgreeToTerms="true" Names="{NAME}" Directory="{}" DirectoryRoots="{}" {acme}/>
            <HTTPListeners>
                <HTTPListener IPAddress="127.0.0.1" Port="{plain}" OverrideApplication="Master" Type="WebSocket"/>
                <HTTPListener IPAddress="127.0.0.1" Port="{secure}" OverrideApplication="Master" Type="WebSocket" Secure="true"/>
            </HTTPListeners>
            <Applications><Application Name="Master"/></Applications>
            </Instance></Configuration>"#,
            pebble.directory(),
            pebble.place().roots().display(),
        );
        std::fs::write(folder.join("PhotonServer.config"), config).unwrap();
        let mut command = command();
        command.args(["run", "--workers", "2", "--config"]).arg(folder.join("PhotonServer.config"));
        Self::spawn(command.arg("--state-dir").arg(pebble.place().path("state")), folder)
    }

    /// Starts a server that has its certificate below a folder.
    fn spawn(command: &mut Command, folder: PathBuf) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let (told, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // The test may have seen enough.
                let _ = told.send(line);
            }
        });
        Self { child, lines, folder }
    }

    /// Reads its log up to a line with these words, which is the last one.
    fn until(&self, words: &str) -> Vec<String> {
        let end = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if seen.last().is_some_and(|line: &String| line.contains(words)) {
                return seen;
            }
            match self.lines.recv_timeout(left) {
                Ok(line) => seen.push(line),
                Err(_) => panic!("no line with {words:?}:\n{}", seen.join("\n")),
            }
        }
    }

    fn certificate(&self) -> PathBuf {
        self.folder.join("certs/server.pem")
    }
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lampyris"));
    command.env_clear().env("NO_COLOR", "1").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// A handshake of a client that trusts only the issuer of the certificate in the file, and what it reads then.
fn page(port: u16, certificate: &Path) -> Result<String, String> {
    let identity = Identity::load(certificate, &lampyris_tls::config::provider()).unwrap();
    let mut roots = RootCertStore::empty();
    for issuer in identity.chain().iter().skip(1) {
        roots.add(issuer.clone()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(lampyris_tls::config::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(NAME).unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = StreamOwned::new(client, socket);
    let request = format!("GET /photon/m HTTP/1.1\r\nHost: {NAME}\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
    Ok(answer)
}

/// Waits until clients get the certificate that was written.
fn wait_until_served(port: u16, certificate: &Path) {
    let end = Instant::now() + PATIENCE;
    loop {
        match page(port, certificate) {
            Ok(answer) => return assert!(answer.contains("pong"), "{answer}"),
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
        thread::yield_now();
    }
}

#[test]
fn t30_a_plain_listener_of_the_server_answers_http_01_and_the_certificate_is_served_without_a_restart() {
    let pebble = Pebble::start(&Ways::default());
    let ([secure], plain) = (free_ports(), pebble.http_port());
    let server = Server::start(&pebble, (plain, secure), &format!("ChallengePort=\"{plain}\""));
    server.until("no client will trust this server");
    server.until("a new certificate was issued");
    wait_until_served(secure, &server.certificate());
}

#[test]
fn t29_one_command_without_a_file_fetches_a_certificate() {
    let pebble = Pebble::start(&Ways::default());
    let (state, [plain]) = (pebble.place().path("state"), [pebble.http_port()]);
    let mut command = command();
    command.args(["run", "--bind", "127.0.0.1", "--free-ports", "--workers", "1", "--acme", NAME]);
    command.args(["--acme-agree-to-terms", "--acme-email", "me@example.test", "--acme-port", &plain.to_string()]);
    command.args(["--acme-directory", &pebble.directory(), "--acme-roots"]).arg(pebble.place().roots());
    let server = Server::spawn(command.arg("--state-dir").arg(&state), state.clone());
    // HTTP: (127.0.0.1:19093::NameServer) - uses SSL
    let lines = server.until("uses SSL");
    let address = lines.last().unwrap().split("HTTP: (").nth(1).and_then(|rest| rest.split("::").next()).unwrap();
    let secure = address.rsplit(':').next().and_then(|port| port.parse().ok());
    server.until("a new certificate was issued");
    wait_until_served(secure.expect("the line has a port"), &server.certificate());
}

#[test]
fn t30_a_secure_listener_of_the_server_answers_tls_alpn_01_and_goes_on_with_players() {
    let pebble = Pebble::start(&Ways::default());
    let ([plain], secure) = (free_ports(), pebble.tls_port());
    let acme = format!("Challenge=\"tls-alpn-01\" ChallengePort=\"{secure}\"");
    let server = Server::start(&pebble, (plain, secure), &acme);
    let lines = server.until("a new certificate was issued");
    let spoke_behind_it = |line: &&String| line.contains("transport=\"wss\"");
    assert_eq!(lines.iter().find(spoke_behind_it), None, "the authority's connection ends with the handshake");
    wait_until_served(secure, &server.certificate());
}
