//! Listeners of our own for the authority's question, open during a try, where the server itself has none on that port.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use lampyris_tls::challenge::ALPN_ACME;
use rustls::ServerConfig;
use rustls::server::ResolvesServerCert;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::{AcmeError, Answers, Challenge};

/// Most connections at once; authorities ask from a handful of places.
const CONNECTIONS: usize = 64;
/// Time for one question.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after the system had no file or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What an answer is (RFC 8555, section 8.3).
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Open listeners. Dropped, they and their connections are closed.
pub(crate) struct Door {
    _listeners: JoinSet<()>,
}

impl Door {
    /// Opens what the challenge needs, on these addresses or on every one.
    pub(crate) async fn open(
        challenge: &Challenge,
        addresses: &[IpAddr],
        answers: &Arc<Answers>,
    ) -> Result<Self, AcmeError> {
        let mut listeners = JoinSet::new();
        let (port, guest) = match challenge {
            Challenge::Http01 { port } => (*port, Guest::Http(Arc::clone(answers))),
            Challenge::TlsAlpn01 { port } => (*port, Guest::Tls(acceptor(answers)?)),
            Challenge::Dns01(_) => return Ok(Self { _listeners: listeners }),
        };
        let refused = |source| AcmeError::Port { port, challenge: challenge.name(), source };
        for listener in bind(addresses, port).await.map_err(refused)? {
            listeners.spawn(serve(listener, guest.clone()));
        }
        Ok(Self { _listeners: listeners })
    }
}

/// Sockets for these addresses; without any, one for IPv6 and IPv4, or for IPv4 on a machine without the other.
async fn bind(addresses: &[IpAddr], port: u16) -> io::Result<Vec<TcpListener>> {
    if addresses.is_empty() {
        let every = |ip: IpAddr| TcpListener::bind(SocketAddr::new(ip, port));
        return match every(Ipv6Addr::UNSPECIFIED.into()).await {
            Ok(listener) => Ok(vec![listener]),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
            Err(_) => Ok(vec![every(Ipv4Addr::UNSPECIFIED.into()).await?]),
        };
    }
    let mut listeners = Vec::new();
    for address in addresses {
        listeners.push(TcpListener::bind(SocketAddr::new(*address, port)).await?);
    }
    Ok(listeners)
}

fn acceptor(answers: &Arc<Answers>) -> Result<TlsAcceptor, AcmeError> {
    let answers: Arc<dyn ResolvesServerCert> = answers.clone();
    let mut config = ServerConfig::builder_with_provider(lampyris_tls::config::provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(answers);
    config.alpn_protocols = vec![ALPN_ACME.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// How a connection is answered.
#[derive(Clone)]
enum Guest {
    Http(Arc<Answers>),
    Tls(TlsAcceptor),
}

async fn serve(listener: TcpListener, guest: Guest) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((socket, _)) if connections.len() < CONNECTIONS => {
                let guest = guest.clone();
                connections.spawn(tokio::time::timeout(QUESTION_TIMEOUT, guest.answer(socket)));
            }
            // Too many: the authority asks again.
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept the authority's connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

impl Guest {
    /// What breaks a connection is its peer's affair; the authority says what it saw.
    async fn answer(self, socket: TcpStream) {
        match self {
            Self::Http(answers) => {
                let service = service_fn(move |request: Request<Incoming>| {
                    let response = respond(&answers, request.uri().path());
                    async move { Ok::<_, Infallible>(response) }
                });
                let mut http = http1::Builder::new();
                http.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(QUESTION_TIMEOUT);
                let _ = http.serve_connection(TokioIo::new(socket), service).await;
            }
            // The handshake is the answer.
            Self::Tls(acceptor) => drop(acceptor.accept(socket).await),
        }
    }
}

fn respond(answers: &Answers, path: &str) -> Response<Full<Bytes>> {
    let Some(answer) = answers.http(path) else {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    let mut response = Response::new(Full::from(answer.as_bytes().to_vec()));
    response.headers_mut().insert(CONTENT_TYPE, OCTETS);
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn t30_a_door_of_our_own_answers_the_challenge_and_nothing_else() {
        let answers = Arc::new(Answers::default());
        answers.add_http("token", "token.thumb");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut listeners = JoinSet::new();
        listeners.spawn(serve(listener, Guest::Http(answers)));
        for (path, status, body) in [
            ("/.well-known/acme-challenge/token", "200", "token.thumb"),
            ("/.well-known/acme-challenge/other", "404", ""),
            ("/", "404", ""),
        ] {
            let mut socket = TcpStream::connect(address).await.unwrap();
            socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n").as_bytes()).await.unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
            assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{path}: {answer}");
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_told_with_what_to_do() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let challenge = Challenge::Http01 { port: taken.local_addr().unwrap().port() };
        let opened = Door::open(&challenge, &[Ipv4Addr::LOCALHOST.into()], &Arc::default()).await;
        let error = opened.err().unwrap().to_string();
        assert!(error.contains("http-01") && error.contains("stop the program"), "{error}");
    }
}
