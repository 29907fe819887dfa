//! One client connection of the generator: its socket and the client's end of its transport.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use bytes::Bytes;
use lampyris_transport::udp::{DisconnectReason, Protection};
use lampyris_transport::{Delivery, Incoming, Init, init, tcp, udp, ws};
use lampyris_wire::Protocol;
use mio::net::{TcpStream, UdpSocket};
use mio::{Interest, Registry, Token};
use rand::RngExt as _;
use rand::rngs::StdRng;
use rustls::pki_types::ServerName;

use crate::lane::Lane;

/// Largest datagram that clients of the C# library take.
const MTU: u16 = 1200;
const CHANNELS: u8 = 2;
/// Bytes before a message in a datagram of reliable UDP: its header, and the header of one command.
const DATAGRAM_HEAD: [u8; 24] = [0; 24];

/// Where a server is, as clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) socket: SocketAddr,
    path: String,
}

impl Address {
    pub(crate) fn loopback(port: u16) -> Self {
        Self { socket: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port), path: "/".to_owned() }
    }

    /// Reads `ip:port` or `ws://ip:port/path`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let socket = host.parse().with_context(|| format!("expected ip:port in the address {text:?}"))?;
        Ok(Self { socket, path: format!("/{path}") })
    }
}

/// Space for what is received, shared by all connections.
pub(crate) struct Buffers {
    raw: Vec<u8>,
    incoming: Vec<Incoming>,
}

impl Buffers {
    pub(crate) fn new() -> Self {
        Self { raw: vec![0; 64 << 10], incoming: Vec::new() }
    }
}

/// What a connection tells.
pub(crate) enum Received<'a> {
    Opened,
    Message(&'a [u8]),
}

enum Socket {
    Tcp(TcpStream),
    Tls(TcpStream, Box<rustls::ClientConnection>),
    Udp(UdpSocket),
}

enum Link {
    Tcp(tcp::ClientConnection),
    Ws(Box<ws::ClientConnection>),
    Udp(Box<udp::Peer>),
    /// Messages in datagrams as long as those of reliable UDP, without the protocol.
    Datagrams,
}

/// Whom to connect to and how.
pub(crate) struct Target<'a> {
    pub(crate) lane: Lane,
    /// It is a relay, which speaks no reliable UDP.
    pub(crate) bare: bool,
    pub(crate) address: &'a Address,
    pub(crate) tls: &'a Arc<rustls::ClientConfig>,
}

pub(crate) struct Connection {
    socket: Socket,
    link: Link,
    /// Stream: what was not written yet. UDP: a datagram that is being made.
    out: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(now: Duration, target: &Target<'_>, rng: &mut StdRng) -> Result<Self> {
        let remote = target.address.socket;
        let host = remote.to_string();
        let mut out = Vec::new();
        let socket = match target.lane {
            Lane::UdpReliable | Lane::UdpUnreliable => {
                let socket = UdpSocket::bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))?;
                socket.connect(remote)?;
                Socket::Udp(socket)
            }
            Lane::Ws | Lane::Tcp => Socket::Tcp(connect_stream(remote)?),
            Lane::Wss => {
                let name = ServerName::from(remote.ip());
                let tls = rustls::ClientConnection::new(Arc::clone(target.tls), name)?;
                Socket::Tls(connect_stream(remote)?, Box::new(tls))
            }
        };
        let link = match target.lane {
            Lane::Tcp => Link::Tcp(tcp::ClientConnection::new(now, Arc::default(), init(), &host, &mut out)?),
            Lane::Ws | Lane::Wss => {
                let address = ws::Address { scheme: target.lane.scheme(), host: &host, path: &target.address.path };
                Link::Ws(Box::new(ws::ClientConnection::new(now, Arc::default(), init(), address, rng, &mut out)?))
            }
            Lane::UdpReliable | Lane::UdpUnreliable if target.bare => Link::Datagrams,
            Lane::UdpReliable | Lane::UdpUnreliable => {
                let mut message = Vec::new();
                init::write(&init(), &host, &mut message)?;
                let challenge = rng.random_range(0..=i32::MAX.cast_unsigned());
                let config = Arc::new(udp::Config::CLIENT);
                let peer =
                    udp::Peer::connect(now, challenge, CHANNELS, MTU, message.into(), Protection::Plain, config)?;
                Link::Udp(Box::new(peer))
            }
        };
        let mut connection = Self { socket, link, out };
        if target.bare && matches!(connection.link, Link::Datagrams) {
            // Makes the client known to the relay.
            connection.send(now, target.lane.delivery(), &[])?;
        }
        connection.flush(now)?;
        Ok(connection)
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            Socket::Tcp(socket) | Socket::Tls(socket, _) => registry.register(socket, token, Interest::READABLE),
            Socket::Udp(socket) => registry.register(socket, token, Interest::READABLE),
        }
    }

    /// Whether it is open from the beginning.
    pub(crate) fn needs_no_opening(&self) -> bool {
        matches!(self.link, Link::Datagrams)
    }

    /// Reads all that came.
    pub(crate) fn receive(
        &mut self,
        now: Duration,
        buffers: &mut Buffers,
        mut take: impl FnMut(Received<'_>),
    ) -> Result<()> {
        let Buffers { raw, incoming } = buffers;
        while let Some(count) = self.socket.read(raw)? {
            let input = raw.get_mut(..count).unwrap_or_default();
            match &mut self.link {
                Link::Tcp(connection) => connection.receive(now, input, incoming),
                Link::Ws(connection) => connection.receive(now, input, incoming, &mut self.out),
                Link::Udp(peer) => {
                    peer.receive(now, input, incoming);
                }
                Link::Datagrams => take(Received::Message(input)),
            }
            for item in incoming.drain(..) {
                match item {
                    Incoming::Opened(_) => take(Received::Opened),
                    Incoming::Message { body, .. } => take(Received::Message(body.bytes(input))),
                    Incoming::Closed(cause) => bail!("the connection ended: {cause}"),
                    Incoming::Http(request) => bail!("expected messages, got an HTTP request: {request:?}"),
                }
            }
            if count < raw.len() && self.socket.is_drained_by_short_read() {
                break;
            }
        }
        Ok(())
    }

    /// Queues a message.
    pub(crate) fn send(&mut self, now: Duration, delivery: Delivery, message: &[u8]) -> Result<()> {
        match &mut self.link {
            Link::Tcp(_) => tcp::write_frame(&mut self.out, 0, delivery, message),
            Link::Ws(connection) => connection.write_message(message, &mut self.out),
            Link::Udp(peer) => peer.send(now, 0, delivery, &Bytes::copy_from_slice(message))?,
            Link::Datagrams => {
                self.out.clear();
                self.out.extend_from_slice(&DATAGRAM_HEAD);
                self.out.extend_from_slice(message);
                self.socket.send_datagram(&self.out)?;
                self.out.clear();
            }
        }
        Ok(())
    }

    /// Does what time demands: pings, resends.
    pub(crate) fn tick(&mut self, now: Duration) -> Result<()> {
        let mut incoming = Vec::new();
        match &mut self.link {
            Link::Tcp(connection) => connection.handle_timeout(now, &mut incoming, &mut self.out),
            Link::Ws(connection) => connection.handle_timeout(now, &mut incoming, &mut self.out),
            Link::Udp(peer) => peer.handle_timeout(now, &mut incoming),
            Link::Datagrams => {}
        }
        match incoming.pop() {
            Some(Incoming::Closed(cause)) => Err(anyhow!("the connection ended: {cause}")),
            _ => Ok(()),
        }
    }

    /// Sends what is queued; of UDP, acknowledgements too.
    pub(crate) fn flush(&mut self, now: Duration) -> Result<()> {
        match &mut self.socket {
            Socket::Tcp(socket) => write_some(socket, &mut self.out)?,
            Socket::Tls(socket, tls) => {
                tls.writer().write_all(&self.out)?;
                self.out.clear();
                while tls.wants_write() {
                    match tls.write_tls(socket) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        result => result?,
                    };
                }
            }
            Socket::Udp(_) => {
                let Link::Udp(peer) = &mut self.link else { return Ok(()) };
                while peer.poll_transmit(now, &mut self.out) {
                    self.socket.send_datagram(&self.out)?;
                    self.out.clear();
                }
            }
        }
        Ok(())
    }

    /// Whether TLS or the transport owes an answer to what came. UDP waits for the next tick, as clients do.
    pub(crate) fn owes_answer(&self) -> bool {
        match &self.socket {
            Socket::Tls(_, tls) => tls.wants_write() || !self.out.is_empty(),
            Socket::Tcp(_) => !self.out.is_empty(),
            Socket::Udp(_) => false,
        }
    }

    /// Says goodbye as far as it takes no answer.
    pub(crate) fn close(mut self, now: Duration) {
        if let Link::Udp(peer) = &mut self.link {
            peer.disconnect(now, DisconnectReason::Client);
        }
        // The server notices by itself if it does not arrive.
        let _ = self.flush(now);
    }
}

impl Socket {
    /// Reads once; `None` = there is nothing now.
    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>> {
        loop {
            let result = match self {
                Self::Tcp(socket) => socket.read(buffer),
                Self::Udp(socket) => socket.recv(buffer),
                Self::Tls(socket, tls) => match tls.reader().read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => match tls.read_tls(socket) {
                        Ok(1..) => {
                            tls.process_new_packets()?;
                            continue;
                        }
                        result => result,
                    },
                    result => result,
                },
            };
            return match result {
                Ok(0) => bail!("the server closed the connection"),
                Ok(count) => Ok(Some(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                Err(error) => Err(error.into()),
            };
        }
    }

    fn is_drained_by_short_read(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    fn send_datagram(&self, datagram: &[u8]) -> io::Result<()> {
        let Self::Udp(socket) = self else { return Ok(()) };
        match socket.send(datagram) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }
}

fn connect_stream(remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = std::net::TcpStream::connect(remote)?;
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    Ok(TcpStream::from_std(socket))
}

/// Writes what the socket takes and keeps the rest.
fn write_some(socket: &mut TcpStream, out: &mut Vec<u8>) -> io::Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    match socket.write(out) {
        Ok(count) => {
            out.drain(..count);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

/// What clients of the C# library say of themselves.
fn init() -> Init {
    Init {
        protocol: Protocol::GpBinaryV18,
        application: "bench".to_owned(),
        client_version: "4.1.8.13".to_owned(),
        sdk_id: 15,
        ipv6: false,
        token: None,
        custom_data: None,
        http: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_both_forms() {
        assert_eq!(Address::parse("127.0.0.1:5055").unwrap(), Address::loopback(5055));
        let ws = Address::parse("wss://127.0.0.1:19091/Game").unwrap();
        assert_eq!((ws.socket.port(), ws.path.as_str()), (19091, "/Game"));
        assert!(Address::parse("ws://somewhere").is_err());
    }
}
