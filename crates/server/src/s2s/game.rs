//! The game server's side: calls the Master, again and again.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lampyris_engine::MasterLinkEvent;
use lampyris_s2s::{GameEnd, GameEvent, HANDSHAKE_TIMEOUT, Identity, LinkId, NONCE_BYTES, News, Registration};
use lampyris_tls::store::CertificateFiles;
use lampyris_tls::{Authorities, Identity as Certificate, Source};
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_rustls::TlsConnector;

use super::carrier::{Carrier, Stream};
use super::load::Load;
use super::trouble::Trouble;
use super::{LinkTransport, MasterLink, MasterTls, Shared};

/// How often the load is measured if the Master is never told.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Calls the Master.
pub(super) struct Caller {
    shared: Shared,
    master: MasterLink,
    news: mpsc::Receiver<(LinkId, News)>,
    overflowed: Arc<AtomicBool>,
    load: Load,
    links: u64,
    /// Why the last call failed; the same again is not worth a line at level WARN.
    told: Option<Trouble>,
}

/// What happened besides the link itself.
enum Other {
    News(LinkId, News),
    Status,
    Stop,
}

impl Caller {
    pub(super) fn new(
        shared: Shared,
        master: MasterLink,
        news: mpsc::Receiver<(LinkId, News)>,
        overflowed: Arc<AtomicBool>,
    ) -> Self {
        let load = Load::new(shared.node.workers.clone(), master.workload.clone());
        Self { shared, master, news, overflowed, load, links: 0, told: None }
    }

    /// Calls until the server stops.
    pub(super) async fn run(mut self) {
        let mut stop = self.shared.stop.clone();
        let mut identity = [0; 16];
        if let Err(error) = getrandom::fill(&mut identity) {
            return tracing::error!(%error, "the system gave no random bytes: no link to the Master");
        }
        loop {
            let called = tokio::select! {
                called = timeout(HANDSHAKE_TIMEOUT, self.call()) => called,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let trouble = match called.unwrap_or_else(|_| Err(Trouble::new("the call took too long"))) {
                Ok((carrier, local)) => self.link(carrier, local, Identity(identity)).await,
                Err(trouble) => Some(trouble),
            };
            let Some(trouble) = trouble else { return };
            self.tell_trouble(trouble);
            tokio::select! {
                () = sleep(self.master.retry_interval) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    fn tell_trouble(&mut self, trouble: Trouble) {
        let MasterLink { host, port, retry_interval, .. } = &self.master;
        let again_s = retry_interval.as_secs();
        self.shared.counters.calls_failed.increment();
        if self.told.as_ref() == Some(&trouble) {
            tracing::debug!(%host, port, again_s, "still no link to the Master: {trouble}");
        } else {
            tracing::warn!(%host, port, again_s, "no link to the Master, so it sends no clients here: {trouble}");
            self.told = Some(trouble);
        }
    }

    /// Connects; gives our own end's address too.
    async fn call(&self) -> Result<(Carrier, IpAddr), Trouble> {
        let MasterLink { host, port, .. } = &self.master;
        let unknown = |error: std::io::Error| Trouble::new(format!("cannot look up {host:?}: {error}"));
        let mut found: Vec<SocketAddr> = lookup_host((host.as_str(), *port)).await.map_err(unknown)?.collect();
        // The first IPv4 address, as the setting says.
        found.sort_by_key(SocketAddr::is_ipv6);
        let address = found.first().ok_or_else(|| Trouble::new(format!("{host:?} has no address")))?;
        let refused = |error: std::io::Error| Trouble::new(format!("cannot connect to {address}: {error}"));
        let socket = TcpStream::connect(address).await.map_err(refused)?;
        socket.set_nodelay(true)?;
        let local = socket.local_addr()?.ip();
        let stream: Box<dyn Stream> = match &self.master.tls {
            None => Box::new(socket),
            Some(tls) => Box::new(secure(tls, host, socket).await?),
        };
        let carrier = match self.master.transport {
            LinkTransport::Tcp => Carrier::plain(stream),
            LinkTransport::WebSocket => {
                let key: [u8; 16] = random()?;
                Carrier::open_websocket(stream, &format!("{host}:{port}"), key).await?
            }
        };
        Ok((carrier, local))
    }

    /// Serves a link; gives why it is over, `None` at a stop.
    async fn link(&mut self, mut carrier: Carrier, local: IpAddr, identity: Identity) -> Option<Trouble> {
        let nonce: [u8; NONCE_BYTES] = match random() {
            Ok(nonce) => nonce,
            Err(trouble) => return Some(trouble),
        };
        self.links += 1;
        let link = LinkId(self.links);
        self.overflowed.store(false, Ordering::Release);
        let registration = Registration {
            identity,
            name: self.master.name.as_str().into(),
            addresses: self.shared.node.endpoint.announced(local),
            priority: self.shared.node.priority,
            status: self.load.sample(),
        };
        let clock = self.shared.node.clock;
        let mut end = GameEnd::new(clock.elapsed(), Arc::clone(&self.shared.config), registration, nonce);
        let trouble = self.serve(link, &mut carrier, &mut end).await;
        self.shared.worker.send(MasterLinkEvent::Down).await;
        (0..end.unsaid()).for_each(|_| self.shared.counters.unsaid.increment());
        carrier.finish(&mut end, Duration::from_secs(1)).await;
        trouble
    }

    async fn serve(&mut self, link: LinkId, carrier: &mut Carrier, end: &mut GameEnd) -> Option<Trouble> {
        let clock = self.shared.node.clock;
        let mut stop = self.shared.stop.clone();
        let mut status = interval(self.master.status_interval.unwrap_or(NEVER));
        status.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut leaving_until: Option<Instant> = None;
        loop {
            while let Some(event) = end.poll_event() {
                match event {
                    GameEvent::Up => self.up(link).await,
                    GameEvent::Down(_) if leaving_until.is_some() => return None,
                    GameEvent::Down(error) => return Some(error.into()),
                }
            }
            let (is_up, has_room) = (end.is_up(), carrier.has_room());
            let is_leaving = leaving_until.is_some();
            let news = &mut self.news;
            let other = async {
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop), if !is_leaving => Other::Stop,
                    () = sleep_until(leaving_until.unwrap_or_else(Instant::now)), if is_leaving => Other::Stop,
                    _ = status.tick(), if is_up => Other::Status,
                    Some((link, news)) = news.recv(), if is_up && has_room => Other::News(link, news),
                    else => std::future::pending().await,
                }
            };
            match carrier.wait(end, clock, other).await {
                Ok(None) => {}
                Err(trouble) => return Some(trouble).filter(|_| !is_leaving),
                Ok(Some(Other::Stop)) if is_leaving || !is_up => return None,
                Ok(Some(Other::Stop)) => {
                    end.tell(clock.elapsed(), &News::Leaving);
                    leaving_until = Some(Instant::now() + self.master.stop_timeout);
                }
                Ok(Some(Other::Status)) => end.tell(clock.elapsed(), &News::Status(self.load.sample())),
                // What worker 0 said before it knew that an earlier link was over.
                Ok(Some(Other::News(of, news))) if of == link => end.tell(clock.elapsed(), &news),
                Ok(Some(Other::News(..))) => {}
            }
            if self.overflowed.load(Ordering::Acquire) {
                self.shared.counters.overflowed.increment();
                return Some(Trouble::new(
                    "the Master took news too slowly; everything is told anew with the next link",
                ));
            }
        }
    }

    async fn up(&mut self, link: LinkId) {
        self.told = None;
        self.shared.counters.up.increment();
        let MasterLink { host, port, .. } = &self.master;
        tracing::info!(%host, port, secure = self.master.tls.is_some(), "registered with the Master");
        self.shared.worker.send(MasterLinkEvent::Up(link)).await;
    }
}

/// TLS to the Master. The files are read anew for each call, so that a renewed certificate needs no restart.
async fn secure(tls: &MasterTls, host: &str, socket: TcpStream) -> Result<impl Stream + use<>, Trouble> {
    let wrong = |error: lampyris_tls::TlsError| Trouble::new(error.to_string());
    let authorities = Authorities::load(&tls.authorities).map_err(wrong)?;
    let provider = lampyris_tls::config::provider();
    let load = |files: &CertificateFiles| {
        let key = (files.key != files.certificate).then_some(files.key.as_path());
        let source = Source { certificate: &files.certificate, key, password: files.password.as_ref() };
        Certificate::load_from(&source, &provider)
    };
    let certificate = tls.certificate.as_ref().map(load).transpose().map_err(wrong)?;
    let config = lampyris_tls::client_config(&authorities, certificate.as_ref()).map_err(wrong)?;
    let name = tls.server_name.as_deref().unwrap_or(host);
    let no_name = |_| Trouble::new(format!("expected a host name or an address as ServerName, got {name:?}"));
    let name = ServerName::try_from(name.to_owned()).map_err(no_name)?;
    Ok(TlsConnector::from(config).connect(name, socket).await?)
}

fn random<const N: usize>() -> Result<[u8; N], Trouble> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Trouble::new(format!("the system gave no random bytes: {error}")))?;
    Ok(bytes)
}
