//! The first words to a port: enough to know that clients are answered there.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lampyris_client::Transport;
use lampyris_transport::udp;
use lampyris_transport::udp::command::Protection;
use lampyris_transport::{Init, init};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::tls::{ANY, ONLY_TLS12, Recorder, explain};
use super::{Failure, Handshake, PATIENCE, PortProbe, Stage, Target};

/// Datagrams that are sent before a port counts as silent: one may be lost.
const DATAGRAMS: u32 = 3;
/// Wait for the answer to a datagram.
const DATAGRAM_WAIT: Duration = Duration::from_secs(1);
/// Most bytes of an answer to an upgrade.
const HEAD_BYTES: usize = 16 * 1024;

/// Says hello as a client of the transport would.
pub async fn hello(target: Target) -> PortProbe {
    let started = Instant::now();
    let mut handshake = None;
    let result = match target.transport {
        Transport::Udp => datagram(&target).await,
        Transport::Tcp => connect(&target).await.map(|_| ()),
        Transport::Ws => match connect(&target).await {
            Ok(socket) => upgrade(socket, &target).await,
            Err(failure) => Err(failure),
        },
        Transport::Wss => secure(&target, &mut handshake).await,
    };
    PortProbe { target, handshake, result: result.map(|()| started.elapsed()) }
}

async fn connect(target: &Target) -> Result<TcpStream, Failure> {
    let failed = |text: String| Failure { stage: Stage::Connect, text };
    match timeout(PATIENCE, TcpStream::connect((target.host.as_str(), target.port))).await {
        Ok(Ok(socket)) => Ok(socket),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

async fn secure(target: &Target, seen: &mut Option<Handshake>) -> Result<(), Failure> {
    let recorder = Recorder::new();
    let failed = |text: String| Failure { stage: Stage::Tls, text };
    let late = || failed(format!("no handshake within {} s", PATIENCE.as_secs()));
    let socket = connect(target).await?;
    let stream = timeout(PATIENCE, recorder.handshake(socket, &target.name, ANY)).await.map_err(|_| late())?;
    let stream = stream.map_err(|error| failed(explain(&error)))?;
    let (_, session) = stream.get_ref();
    let version = session.protocol_version().map_or("", |version| version.as_str().unwrap_or_default());
    let suite = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default();
    let negotiated = format!("{version} {suite}");
    let chain = recorder.chain();
    *seen = Some(Handshake { chain, negotiated, tls12: old_client(target).await });
    upgrade(stream, target).await
}

/// The suite that a client with TLS 1.2 alone gets.
async fn old_client(target: &Target) -> Result<String, String> {
    let socket = connect(target).await.map_err(|failure| failure.text)?;
    let recorder = Recorder::new();
    let handshake = timeout(PATIENCE, recorder.handshake(socket, &target.name, ONLY_TLS12)).await;
    let stream = handshake.map_err(|_| "no answer".to_owned())?.map_err(|error| explain(&error))?;
    let suite = stream.get_ref().1.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    Ok(suite.unwrap_or_default().to_owned())
}

/// Asks for a WebSocket.
async fn upgrade(mut stream: impl AsyncRead + AsyncWrite + Unpin, target: &Target) -> Result<(), Failure> {
    let failed = |text: String| Failure { stage: Stage::Upgrade, text };
    let path = if target.path.is_empty() { "/" } else { &target.path };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}:{}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: bGFtcHlyaXMtZG9jdG9yIQ==\r\nSec-WebSocket-Protocol: GpBinaryV18\r\n\r\n",
        target.name, target.port
    );
    let exchange = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut head = Vec::new();
        while head.len() < HEAD_BYTES && !head.windows(4).any(|end| end == b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                break;
            }
        }
        Ok::<_, io::Error>(head)
    };
    let head = timeout(PATIENCE, exchange).await.map_err(|_| failed("no answer to the upgrade".to_owned()))?;
    let head = head.map_err(|error| failed(explain(&error)))?;
    let head = String::from_utf8_lossy(&head);
    let status = head.lines().next().unwrap_or_default();
    if status.starts_with("HTTP/1.1 101") {
        return Ok(());
    }
    let got = if status.is_empty() { "an end of the connection".to_owned() } else { format!("{status:?}") };
    Err(failed(format!("expected \"HTTP/1.1 101\" for {path}, got {got}")))
}

/// Any datagram that comes back proves that a server listens.
async fn datagram(target: &Target) -> Result<(), Failure> {
    let failed = |text: String| Failure { stage: Stage::Answer, text };
    let exchange = async {
        let local = if target.host.contains(':') { "[::]:0" } else { "0.0.0.0:0" };
        let socket = UdpSocket::bind(local).await?;
        socket.connect((target.host.as_str(), target.port)).await?;
        let mut refused = None;
        for _ in 0..DATAGRAMS {
            let sent = socket.send(&greeting()?).await;
            let mut answer = [0; 2048];
            match timeout(DATAGRAM_WAIT, socket.recv(&mut answer)).await {
                Ok(Ok(_)) => return Ok(true),
                Ok(Err(error)) => refused = Some(error),
                Err(_) => refused = sent.err().or(refused),
            }
        }
        refused.map_or(Ok(false), Err)
    };
    match exchange.await {
        Ok(true) => Ok(()),
        Ok(false) => Err(failed(format!("no answer to {DATAGRAMS} datagrams"))),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// The first datagram of a client.
fn greeting() -> io::Result<Vec<u8>> {
    let unusable = |error: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let mut challenge = [0; 4];
    getrandom::fill(&mut challenge).map_err(|error| unusable(&error))?;
    let init = Init {
        protocol: lampyris_client::Protocol::GpBinaryV18,
        application: "doctor".to_owned(),
        client_version: "4.1.8.16".to_owned(),
        sdk_id: 15,
        ipv6: false,
        token: None,
        custom_data: None,
        http: None,
    };
    let mut message = Vec::new();
    init::write(&init, "doctor", &mut message).map_err(|error| unusable(&error))?;
    let config = Arc::new(udp::Config::CLIENT);
    let challenge = u32::from_le_bytes(challenge) >> 1;
    let (now, mtu) = (Duration::ZERO, config.mtu);
    let peer = udp::Peer::connect(now, challenge, 2, mtu, Bytes::from(message), Protection::Plain, config);
    let mut peer = peer.map_err(|cause| unusable(&cause))?;
    let mut datagram = Vec::new();
    peer.poll_transmit(now, &mut datagram);
    Ok(datagram)
}
