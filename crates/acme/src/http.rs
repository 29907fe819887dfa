//! Requests to the authority: over TLS only, to trusted authorities only, with an end and a most of bytes.

use std::error::Error as StdError;
use std::fs;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue, USER_AGENT};
use http::uri::{PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::AcmeError;

/// Time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Time for one request and its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Most bytes of an answer; chains have a few thousand.
const ANSWER_BYTES: usize = 1 << 20;
const HTTPS_PORT: u16 = 443;
const AGENT: HeaderValue = HeaderValue::from_static(concat!("lampyris/", env!("CARGO_PKG_VERSION"), " instant-acme"));

type BoxError = Box<dyn StdError + Send + Sync>;

/// Makes requests.
#[derive(Clone)]
pub(crate) struct Client {
    tls: TlsConnector,
    request_timeout: Duration,
}

impl Client {
    /// A client that trusts the authorities of a file, or those of the system.
    pub(crate) fn new(roots: Option<&Path>) -> Result<Self, AcmeError> {
        let roots = match roots {
            Some(path) => roots_of_file(path)?,
            None => roots_of_system()?,
        };
        let config = ClientConfig::builder_with_provider(lampyris_tls::config::provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), request_timeout: REQUEST_TIMEOUT })
    }

    async fn send(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, BoxError> {
        let limit = self.request_timeout;
        let answer = tokio::time::timeout(limit, self.exchange(request)).await;
        answer.unwrap_or_else(|_| Err(format!("expected an answer within {} s, got none", limit.as_secs()).into()))
    }

    /// One connection for each request: there are a dozen of them in some weeks.
    async fn exchange(self, mut request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, BoxError> {
        let uri = std::mem::take(request.uri_mut());
        let host = match (uri.scheme(), uri.host()) {
            (Some(scheme), Some(host)) if *scheme == Scheme::HTTPS => host,
            _ => return Err(format!("expected an address that begins with https://, got {uri}").into()),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned())?;
        let port = uri.port_u16().unwrap_or(HTTPS_PORT);
        let connecting = async {
            let socket = TcpStream::connect((host, port)).await?;
            self.tls.connect(name, socket).await
        };
        let slow =
            || format!("expected a connection to {host}:{port} within {} s, got none", CONNECT_TIMEOUT.as_secs());
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| slow())?;
        let stream = stream.map_err(|error| format!("{host}:{port}: {error}"))?;
        if let Some(authority) = uri.authority() {
            request.headers_mut().insert(HOST, HeaderValue::from_str(authority.as_str())?);
        }
        request.headers_mut().insert(USER_AGENT, AGENT);
        *request.uri_mut() = Uri::from(uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let exchange = async move {
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES).collect().await?.to_bytes();
            Ok(BytesResponse::from(Response::from_parts(head, Full::new(body))))
        };
        let (mut exchange, mut connection) = (std::pin::pin!(exchange), std::pin::pin!(connection));
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            // The answer may have come whole before the connection ended.
            _ = &mut connection => exchange.await,
        }
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let client = self.clone();
        Box::pin(async move { client.send(request).await.map_err(instant_acme::Error::Other) })
    }
}

fn roots_of_file(path: &Path) -> Result<RootCertStore, AcmeError> {
    let bytes = fs::read(path).map_err(|source| AcmeError::Unreadable { path: path.to_owned(), source })?;
    let mut roots = RootCertStore::empty();
    for certificate in lampyris_tls::certificate::certificates(&bytes, path)? {
        let added = roots.add(certificate);
        added.map_err(|error| AcmeError::BadRoots { path: path.to_owned(), detail: error.to_string() })?;
    }
    Ok(roots)
}

fn roots_of_system() -> Result<RootCertStore, AcmeError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Lists of systems hold some that are too odd to be used.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let told = found.errors.first().map_or_else(|| "it is empty".to_owned(), ToString::to_string);
        return Err(AcmeError::NoRoots { detail: told });
    }
    Ok(roots)
}
