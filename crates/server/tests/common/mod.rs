//! A server on loopback, and a client that speaks the JSON protocol over WebSocket.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lampyris_server::{Options, Role, Server, Transport, default_listeners};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longer than anything takes here; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server with its state folder.
pub(crate) struct Loopback {
    pub(crate) server: Server,
    pub(crate) state: TempDir,
}

impl Loopback {
    pub(crate) fn start(workers: u16) -> Self {
        Self::start_with(workers, |_| {})
    }

    /// A server whose options are changed before it starts.
    pub(crate) fn start_with(workers: u16, change: impl FnOnce(&mut Options)) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut options = options(state.path(), workers);
        change(&mut options);
        Self { server: Server::start(&options).unwrap(), state }
    }

    pub(crate) fn address(&self, role: Role, transport: Transport) -> SocketAddr {
        self.server.address(role, transport).unwrap()
    }

    pub(crate) fn connect(&self, role: Role, transport: Transport) -> Box<dyn Duplex> {
        connect(self.state.path(), transport, self.address(role, transport))
    }
}

/// Every role on free ports of the loopback address.
pub(crate) fn options(state: &Path, workers: u16) -> Options {
    let mut listeners = default_listeners(0, false).unwrap();
    for listener in &mut listeners {
        listener.node.port = 0;
        listener.bind = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
        listener.node.limits.close_grace = Duration::from_millis(100);
    }
    let stop_grace = Duration::from_millis(100);
    Options { workers, stop_grace, ..Options::new(state.to_owned(), listeners) }
}

/// Both ways of a stream.
pub(crate) trait Duplex: Read + Write + Send {}
impl<T: Read + Write + Send> Duplex for T {}

/// A TCP connection, or one with TLS for a client that trusts the server's CA.
pub(crate) fn connect(state: &Path, transport: Transport, address: SocketAddr) -> Box<dyn Duplex> {
    connect_behind(state, transport, address, b"")
}

/// The same with something in front of everything else.
pub(crate) fn connect_behind(state: &Path, transport: Transport, address: SocketAddr, head: &[u8]) -> Box<dyn Duplex> {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(head).unwrap();
    if transport != Transport::Wss {
        return Box::new(socket);
    }
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(state.join("certs/ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    Box::new(StreamOwned::new(tls, socket))
}

/// A client of the JSON protocol.
pub(crate) struct Client {
    stream: Box<dyn Duplex>,
    received: Vec<u8>,
}

impl Client {
    /// Upgrades to WebSocket and reads the session id.
    pub(crate) fn open(stream: Box<dyn Duplex>, address: SocketAddr, path: &str) -> Self {
        Self::open_with(stream, address, path, "")
    }

    /// The same with further headers, each with the end of its line.
    pub(crate) fn open_with(mut stream: Box<dyn Duplex>, address: SocketAddr, path: &str, headers: &str) -> Self {
        let port = address.port();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: Json\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut client = Self { stream, received: Vec::new() };
        let end = loop {
            if let Some(end) = client.received.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            client.read_more();
        };
        let head = String::from_utf8(client.received.drain(..end).collect()).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(!client.read_text().starts_with("~j~"), "the first message is the session id");
        client
    }

    fn read_more(&mut self) {
        let mut buffer = [0; 4096];
        let count = self.stream.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "closed by the server");
        self.received.extend_from_slice(&buffer[..count]);
    }

    /// The text of the next message, without its length prefix.
    fn read_text(&mut self) -> String {
        loop {
            if let [head, length, rest @ ..] = self.received.as_slice() {
                let (length, skip) = match length & 0x7F {
                    126 if rest.len() >= 2 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), 4),
                    126 => (usize::MAX, 0),
                    length => (usize::from(length), 2),
                };
                if let Some(payload) = length.checked_add(skip).and_then(|end| self.received.get(skip..end)) {
                    assert_eq!(head & 0x0F, 1, "a text frame, got {:?}", String::from_utf8_lossy(payload));
                    let text = String::from_utf8(payload.to_vec()).unwrap();
                    self.received.drain(..length + skip);
                    return text.splitn(5, '~').nth(4).unwrap().to_owned();
                }
            }
            self.read_more();
        }
    }

    /// Sends an operation request.
    pub(crate) fn request(&mut self, code: u8, vals: &Value) {
        let payload = format!("~j~{}", json!({ "req": code, "vals": vals }));
        let text = format!("~m~{}~m~{payload}", payload.len());
        let mut frame = vec![0x81];
        match u8::try_from(text.len()).ok().filter(|length| *length < 126) {
            Some(length) => frame.push(0x80 | length),
            None => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        self.stream.write_all(&frame).unwrap();
    }

    /// The next message whose `kind` (`res` or `evt`) is `code`; others before it are passed over.
    pub(crate) fn expect(&mut self, kind: &str, code: u8) -> Value {
        loop {
            let text = self.read_text();
            let message: Value = serde_json::from_str(text.strip_prefix("~j~").unwrap()).unwrap();
            if message[kind] == code {
                return message;
            }
        }
    }

    /// Sends a request and returns its answer, which must be a good one.
    pub(crate) fn ask(&mut self, code: u8, vals: &Value) -> Value {
        self.request(code, vals);
        let answer = self.expect("res", code);
        assert_eq!(answer["err"], 0, "{code} {vals}: {answer}");
        answer
    }

    /// Reads until the server closes.
    pub(crate) fn read_to_end(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A TLS stream may end without a goodbye.
        let _ = self.stream.read_to_end(&mut rest);
        rest
    }
}

/// A parameter of a message.
pub(crate) fn param(message: &Value, code: u8) -> Value {
    let vals = message["vals"].as_array().unwrap();
    let found = vals.chunks(2).find(|pair| pair[0] == code);
    found.unwrap_or_else(|| panic!("no parameter {code} in {message}"))[1].clone()
}
