//! One socket of a client.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lampyris_transport::CloseCause;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio_rustls::TlsConnector;

use crate::{ServerAddress, Transport};

/// Largest read, and so largest datagram.
const READ_BYTES: usize = 64 * 1_024;

/// Longest time to connect, TLS handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

type Opening = Pin<Box<dyn Future<Output = io::Result<Open>> + Send>>;

/// What both kinds of stream can do.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// One socket of a client.
pub(super) enum Socket {
    None,
    Opening(Opening),
    Open(Open, Box<[u8]>),
}

pub(super) enum Open {
    Udp(UdpSocket),
    Stream(Box<dyn Stream>),
}

/// What a socket tells.
#[derive(Debug)]
pub(super) enum Arrival {
    Opened,
    /// So many bytes are in [`Socket::received`].
    Bytes(usize),
    /// More can be written.
    Writable,
    Ended(CloseCause),
}

impl Socket {
    /// Starts to open a socket; [`Arrival::Opened`] tells when it is.
    pub(super) fn open(address: ServerAddress, tls: Arc<rustls::ClientConfig>) -> Self {
        Self::Opening(Box::pin(async move {
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("{address} did not answer"));
            tokio::time::timeout(CONNECT_TIMEOUT, connect(&address, tls)).await.map_err(late)?
        }))
    }

    /// Sends a datagram, or loses it as networks do.
    pub(super) fn send_datagram(&self, bytes: &[u8]) {
        if let Self::Open(Open::Udp(socket), _) = self {
            // A full buffer and an unreachable peer both mean a lost datagram, which the protocol repairs.
            let _ = socket.try_send(bytes);
        }
    }

    /// Writes what goes at once; gives how many bytes went.
    pub(super) fn try_write(&mut self, bytes: &[u8]) -> Result<usize, CloseCause> {
        let Self::Open(Open::Stream(stream), _) = self else { return Ok(0) };
        let mut written = 0;
        let mut context = Context::from_waker(Waker::noop());
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut *stream).poll_write(&mut context, rest) {
                Poll::Ready(Ok(count)) => written += count,
                Poll::Ready(Err(error)) => return Err(lost(&error)),
                Poll::Pending => break,
            }
        }
        // TLS keeps records back until it is flushed; what does not go now goes with the next call.
        match Pin::new(stream).poll_flush(&mut context) {
            Poll::Ready(Err(error)) => Err(lost(&error)),
            _ => Ok(written),
        }
    }

    /// Waits for something to come, or for room to write. Nothing is lost when it is dropped.
    pub(super) async fn receive(&mut self, wants_to_write: bool) -> Arrival {
        match self {
            Self::None => std::future::pending().await,
            Self::Opening(opening) => match opening.await {
                Ok(open) => {
                    *self = Self::Open(open, vec![0; READ_BYTES].into());
                    Arrival::Opened
                }
                Err(error) => Arrival::Ended(lost(&error)),
            },
            Self::Open(Open::Udp(socket), buffer) => match socket.recv(buffer).await {
                Ok(count) => Arrival::Bytes(count),
                // A port that nobody listens on: the protocol's own timeout decides.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Arrival::Bytes(0),
                Err(error) => Arrival::Ended(lost(&error)),
            },
            Self::Open(Open::Stream(stream), buffer) => {
                std::future::poll_fn(|context| poll_stream(stream, buffer, wants_to_write, context)).await
            }
        }
    }

    /// The bytes that [`Arrival::Bytes`] told of.
    pub(super) fn received(&mut self, count: usize) -> &mut [u8] {
        match self {
            Self::Open(_, buffer) => buffer.get_mut(..count).unwrap_or_default(),
            Self::None | Self::Opening(_) => &mut [],
        }
    }
}

fn poll_stream(
    stream: &mut Box<dyn Stream>,
    buffer: &mut [u8],
    wants_to_write: bool,
    context: &mut Context<'_>,
) -> Poll<Arrival> {
    let mut into = ReadBuf::new(buffer);
    match Pin::new(&mut *stream).poll_read(context, &mut into) {
        Poll::Ready(Ok(())) if into.filled().is_empty() => return Poll::Ready(Arrival::Ended(CloseCause::ByPeer)),
        Poll::Ready(Ok(())) => return Poll::Ready(Arrival::Bytes(into.filled().len())),
        Poll::Ready(Err(error)) => return Poll::Ready(Arrival::Ended(lost(&error))),
        Poll::Pending => {}
    }
    // TLS may still have records to write that the client counts as written.
    match Pin::new(&mut *stream).poll_flush(context) {
        Poll::Ready(Ok(())) if wants_to_write => {}
        Poll::Ready(Ok(())) | Poll::Pending => return Poll::Pending,
        Poll::Ready(Err(error)) => return Poll::Ready(Arrival::Ended(lost(&error))),
    }
    // An empty write asks whether there is room without giving anything away.
    match Pin::new(stream).poll_write(context, &[]) {
        Poll::Ready(Ok(_)) => Poll::Ready(Arrival::Writable),
        Poll::Ready(Err(error)) => Poll::Ready(Arrival::Ended(lost(&error))),
        Poll::Pending => Poll::Pending,
    }
}

fn lost(error: &io::Error) -> CloseCause {
    CloseCause::Lost(error.to_string())
}

async fn connect(address: &ServerAddress, tls: Arc<rustls::ClientConfig>) -> io::Result<Open> {
    let place = (address.host.as_str(), address.port);
    if address.transport == Transport::Udp {
        let remote = lookup_host(place).await?.next();
        let remote =
            remote.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{address} has no address")))?;
        let local = if remote.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(local).await?;
        socket.connect(remote).await?;
        return Ok(Open::Udp(socket));
    }
    let stream = TcpStream::connect(place).await?;
    stream.set_nodelay(true)?;
    if address.transport != Transport::Wss {
        return Ok(Open::Stream(Box::new(stream)));
    }
    let name = ServerName::try_from(address.host.clone())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {error}", address.host)))?;
    Ok(Open::Stream(Box::new(TlsConnector::from(tls).connect(name, stream).await?)))
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no socket",
            Self::Opening(_) => "a socket that is being opened",
            Self::Open(Open::Udp(_), _) => "a UDP socket",
            Self::Open(Open::Stream(_), _) => "a stream",
        })
    }
}
