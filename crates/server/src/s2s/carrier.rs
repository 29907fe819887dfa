//! What carries the bytes of a link: a connection, with or without TLS, as they are or in WebSocket messages.

use std::future::Future;
use std::io;
use std::time::{Duration, Instant};

use httparse::{EMPTY_HEADER, Header, Request, Response, Status};
use lampyris_s2s::{GameEnd, MAX_FRAME_BYTES, MasterEnd};
use lampyris_transport::ws::{
    Codec, Event, MessageLimits, Opcode, Role, accept_key, close_code, close_payload, write_frame, write_masked_frame,
    write_switching_protocols,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::time::sleep;

use super::trouble::Trouble;

/// Read at once.
const READ_BYTES: usize = 64 << 10;
/// Output that waits for the socket; more waits where it is made.
pub(super) const QUEUED_BYTES: usize = 256 << 10;
/// Payload of a WebSocket message that we send.
const MESSAGE_BYTES: usize = 64 << 10;
/// Longest HTTP head of an upgrade.
const HEAD_BYTES: usize = 8 << 10;
const MAX_HEADERS: usize = 32;

/// A connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// One end of a link.
pub(super) trait End {
    fn receive(&mut self, now: Duration, input: &[u8]);
    fn output(&self) -> &[u8];
    fn consume_output(&mut self, count: usize);
    fn next_timeout(&self) -> Option<Duration>;
    fn handle_timeout(&mut self, now: Duration);
}

macro_rules! end {
    ($End:ty) => {
        impl End for $End {
            fn receive(&mut self, now: Duration, input: &[u8]) {
                Self::receive(self, now, input);
            }

            fn output(&self) -> &[u8] {
                Self::output(self)
            }

            fn consume_output(&mut self, count: usize) {
                Self::consume_output(self, count);
            }

            fn next_timeout(&self) -> Option<Duration> {
                Self::next_timeout(self)
            }

            fn handle_timeout(&mut self, now: Duration) {
                Self::handle_timeout(self, now);
            }
        }
    };
}
end!(GameEnd);
end!(MasterEnd);

/// A connection and what waits for its socket.
pub(super) struct Carrier {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    framing: Framing,
    buffer: Box<[u8]>,
    out: Vec<u8>,
    written: usize,
    /// TLS holds back what the socket did not take.
    unflushed: bool,
}

enum Framing {
    Plain,
    WebSocket { codec: Codec, masks: bool },
}

impl Carrier {
    /// Bytes as they are.
    pub(super) fn plain(stream: Box<dyn Stream>) -> Self {
        Self::new(stream, Framing::Plain)
    }

    fn new(stream: Box<dyn Stream>, framing: Framing) -> Self {
        let (reader, writer) = split(stream);
        let buffer = vec![0; READ_BYTES].into_boxed_slice();
        Self { reader, writer, framing, buffer, out: Vec::new(), written: 0, unflushed: false }
    }

    /// WebSocket, as the end that was called.
    pub(super) async fn accept_websocket(mut stream: Box<dyn Stream>) -> Result<Self, Trouble> {
        let head = read_head(&mut stream).await?;
        let mut headers = [EMPTY_HEADER; MAX_HEADERS];
        let mut request = Request::new(&mut headers);
        let complete = matches!(request.parse(&head), Ok(Status::Complete(_)));
        let is_upgrade =
            header(request.headers, "Upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
        let Some(key) = header(request.headers, "Sec-WebSocket-Key").filter(|_| complete && is_upgrade) else {
            return Err(Trouble::new("expected a WebSocket upgrade, found another request"));
        };
        let mut answer = Vec::new();
        write_switching_protocols(key, None, &mut answer);
        stream.write_all(&answer).await?;
        stream.flush().await?;
        Ok(Self::websocket(stream, Role::Server))
    }

    /// WebSocket, as the end that calls.
    pub(super) async fn open_websocket(
        mut stream: Box<dyn Stream>,
        host: &str,
        key: [u8; 16],
    ) -> Result<Self, Trouble> {
        let key = websocket_key(key);
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: {key}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let head = read_head(&mut stream).await?;
        let mut headers = [EMPTY_HEADER; MAX_HEADERS];
        let mut response = Response::new(&mut headers);
        let complete = matches!(response.parse(&head), Ok(Status::Complete(_)));
        let accepted = header(response.headers, "Sec-WebSocket-Accept") == Some(&*accept_key(&key));
        match response.code {
            Some(101) if complete && accepted => Ok(Self::websocket(stream, Role::Client)),
            Some(code) => Err(Trouble::new(format!("expected a WebSocket for servers, got the answer {code}"))),
            None => Err(Trouble::new("expected a WebSocket for servers, got no HTTP answer")),
        }
    }

    fn websocket(stream: Box<dyn Stream>, role: Role) -> Self {
        let limits = MessageLimits { bytes: MAX_FRAME_BYTES, ..MessageLimits::default() };
        let masks = role == Role::Client;
        Self::new(stream, Framing::WebSocket { codec: Codec::new(role, limits), masks })
    }

    /// Whether there is room for more output.
    pub(super) fn has_room(&self) -> bool {
        self.out.len() - self.written < QUEUED_BYTES
    }

    /// Waits for whatever comes first: bytes, room for bytes, the end's deadline, or `other`, whose value is given.
    ///
    /// Each branch may be dropped halfway: reading and writing a piece and flushing lose nothing, `other` must not.
    pub(super) async fn wait<T>(
        &mut self,
        end: &mut impl End,
        clock: Instant,
        other: impl Future<Output = T>,
    ) -> Result<Option<T>, Trouble> {
        self.take_output(end);
        let due = end.next_timeout().unwrap_or(Duration::MAX).saturating_sub(clock.elapsed());
        let writes = self.written < self.out.len() || self.unflushed;
        let Self { reader, writer, buffer, out, written, unflushed, .. } = self;
        tokio::select! {
            read = reader.read(buffer) => {
                let count = read?;
                if count == 0 {
                    return Err(Trouble::new("the connection was closed"));
                }
                self.received(end, clock.elapsed(), count)?;
            }
            result = write_some(writer, out, written, unflushed), if writes => result?,
            () = sleep(due) => end.handle_timeout(clock.elapsed()),
            value = other => return Ok(Some(value)),
        }
        Ok(None)
    }

    /// Writes what is left to say, for a moment.
    pub(super) async fn finish(&mut self, end: &mut impl End, at_most: Duration) {
        self.take_output(end);
        if let Framing::WebSocket { masks, .. } = self.framing {
            put_message(&mut self.out, masks, Opcode::Close, &close_payload(close_code::NORMAL, ""));
        }
        let Self { writer, out, written, .. } = self;
        let rest = out.get(*written..).unwrap_or_default();
        let last = async {
            writer.write_all(rest).await?;
            writer.shutdown().await
        };
        // The other end need not listen any more.
        let _ = tokio::time::timeout(at_most, last).await;
    }

    fn take_output(&mut self, end: &mut impl End) {
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
        while self.has_room() && !end.output().is_empty() {
            let output = end.output();
            let piece = output.get(..MESSAGE_BYTES).unwrap_or(output);
            match self.framing {
                Framing::Plain => self.out.extend_from_slice(piece),
                Framing::WebSocket { masks, .. } => put_message(&mut self.out, masks, Opcode::Binary, piece),
            }
            let count = piece.len();
            end.consume_output(count);
        }
    }

    fn received(&mut self, end: &mut impl End, now: Duration, count: usize) -> Result<(), Trouble> {
        let input = self.buffer.get_mut(..count).unwrap_or_default();
        let (codec, masks) = match &mut self.framing {
            Framing::Plain => {
                end.receive(now, input);
                return Ok(());
            }
            Framing::WebSocket { codec, masks } => (codec, *masks),
        };
        let mut at = 0;
        while let Some(event) = codec.next(input, &mut at).map_err(|failure| Trouble::new(failure.text))? {
            match event {
                Event::Binary(body) => end.receive(now, body.bytes(input)),
                Event::Ping(body) => put_message(&mut self.out, masks, Opcode::Pong, body.bytes(input)),
                Event::Pong => {}
                Event::Close { .. } => return Err(Trouble::new("the connection was closed")),
                Event::Text(_) => return Err(Trouble::new("expected binary messages, found text")),
            }
        }
        Ok(())
    }
}

async fn write_some(
    writer: &mut WriteHalf<Box<dyn Stream>>,
    out: &[u8],
    written: &mut usize,
    unflushed: &mut bool,
) -> io::Result<()> {
    let rest = out.get(*written..).unwrap_or_default();
    if rest.is_empty() {
        writer.flush().await?;
        *unflushed = false;
    } else {
        *written += writer.write(rest).await?;
        *unflushed = true;
    }
    Ok(())
}

/// What we send is not secret from proxies, which is what masks are about: one that never changes will do.
fn put_message(out: &mut Vec<u8>, masks: bool, opcode: Opcode, payload: &[u8]) {
    if masks {
        write_masked_frame(out, opcode, [0; 4], payload);
    } else {
        write_frame(out, opcode, payload);
    }
}

/// Reads up to the blank line and nothing behind it: what follows belongs to the link.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, Trouble> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES {
            return Err(Trouble::new(format!("expected an HTTP head of at most {HEAD_BYTES} bytes")));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

fn header<'a>(headers: &[Header<'a>], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(found.value).ok().map(str::trim)
}

/// 16 bytes in base64, as the protocol wants them.
fn websocket_key(bytes: [u8; 16]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
