//! An HTTPS server that says what it is told to: authorities that are slow, wrong, or newer than the test authority.

use std::convert::Infallible;
use std::future::Future;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lampyris_tls::Identity;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::pebble::Place;

/// What the server answers.
pub(crate) type Answer = Response<Full<Bytes>>;
type Answering = Arc<dyn Fn(&str, u16) -> Option<Answer> + Send + Sync>;

/// A running server; it ends with the test.
pub(crate) struct Fake {
    port: u16,
    _task: JoinSet<()>,
}

impl Fake {
    /// Answers by path, knowing its own port; `None` = never.
    pub(crate) async fn start(
        place: &Place,
        answer: impl Fn(&str, u16) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let identity = Identity::load(&place.https(), &lampyris_tls::config::provider()).unwrap();
        let acceptor = TlsAcceptor::from(lampyris_tls::server_config(&identity).unwrap());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer: Answering = Arc::new(answer);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(socket).await else { return };
                    let service = service_fn(move |request: Request<Incoming>| respond(&answer, &request, port));
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { port, _task: task }
    }

    pub(crate) fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.port)
    }
}

fn respond(
    answer: &Answering,
    request: &Request<Incoming>,
    port: u16,
) -> Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>> {
    let answer = answer(request.uri().path(), port);
    Box::pin(async move {
        match answer {
            Some(answer) => Ok(answer),
            None => std::future::pending().await,
        }
    })
}

/// The directory of an authority that knows the time of renewal.
pub(crate) fn directory(port: u16) -> Answer {
    let at = |path: &str| format!("https://localhost:{port}/{path}");
    let body = serde_json::json!({
        "newNonce": at("nonce"), "newAccount": at("account"), "newOrder": at("order"), "renewalInfo": at("renewal"),
    });
    Response::new(Full::from(body.to_string()))
}

/// Any text, with a status.
pub(crate) fn text(status: u16, text: &str) -> Answer {
    Response::builder().status(status).body(Full::from(text.to_owned())).unwrap()
}
