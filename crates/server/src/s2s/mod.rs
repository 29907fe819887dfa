//! Links between servers in several processes: a thread of its own that moves their bytes, so that no worker waits for
//! another machine.
//!
//! The Master's side listens, the game server's side calls. Both hand what the link says to worker 0 and take from it what
//! it has to say.

mod carrier;
mod game;
mod load;
mod master;
mod trouble;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lampyris_engine::{Config, Endpoint, WorkerMessage};
use lampyris_s2s::{Key, LinkId, News, Workload};
use lampyris_tls::Secured;
use lampyris_tls::store::CertificateFiles;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{mpsc, watch};

use crate::net::post::{Letter, Outside};
use crate::secure::SecureListeners;
use crate::{Count, Counters, StartError, TlsFiles};

/// News that wait for the link; what does not fit ends it, and everything is told anew with the next one.
const NEWS_AT_MOST: usize = 16_384;
/// Connections that wait for `accept`; the system clamps it to its own limit.
const BACKLOG: i32 = 128;
/// How soon a letter that did not fit in the inbox of worker 0 is tried again.
const RETRY: Duration = Duration::from_millis(1);

/// What carries a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkTransport {
    /// TCP.
    #[default]
    Tcp,
    /// Binary WebSocket messages.
    WebSocket,
}

/// Links between servers in several processes, as the operator wants them.
#[derive(Clone, Debug)]
pub struct S2s {
    /// Where game servers of other processes call.
    pub listeners: Vec<S2sListener>,
    /// The Master that the game server of this process calls; `None` if this process plays the Master.
    pub master: Option<MasterLink>,
    /// Silence of an end after which it pings.
    pub ping_interval: Duration,
}

impl Default for S2s {
    /// Neither.
    fn default() -> Self {
        Self { listeners: Vec::new(), master: None, ping_interval: PING_INTERVAL }
    }
}

/// Silence after which an end pings, where nothing else is said.
pub const PING_INTERVAL: Duration = Duration::from_millis(2_500);

/// Where game servers of other processes call.
#[derive(Clone, Debug)]
pub struct S2sListener {
    /// What it is called in logs.
    pub label: String,
    /// Its addresses.
    pub bind: Vec<IpAddr>,
    /// Its port; 0 = a free one.
    pub port: u16,
    /// What is spoken there.
    pub transport: LinkTransport,
    /// Present if it is secure.
    pub tls: Option<TlsFiles>,
    /// Where it is configured.
    pub place: Option<String>,
}

/// The Master that a game server calls.
#[derive(Clone, Debug)]
pub struct MasterLink {
    /// Its address or name.
    pub host: String,
    /// Its port for game servers.
    pub port: u16,
    /// What is spoken there.
    pub transport: LinkTransport,
    /// Present if the link is secure.
    pub tls: Option<MasterTls>,
    /// What this game server is called in the Master's log.
    pub name: String,
    /// Wait before a Master that was lost or not reached is called again.
    pub retry_interval: Duration,
    /// Longest wait at a stop for the Master to know.
    pub stop_timeout: Duration,
    /// How often the Master is told the load; `None` = never.
    pub status_interval: Option<Duration>,
    /// How the load becomes a level.
    pub workload: Workload,
}

/// TLS of the link to the Master.
#[derive(Clone, Debug)]
pub struct MasterTls {
    /// File of the authorities that may have issued the Master's certificate.
    pub authorities: PathBuf,
    /// What this game server shows.
    pub certificate: Option<CertificateFiles>,
    /// The name in the Master's certificate; `None` = the one that is called.
    pub server_name: Option<String>,
}

/// Counters of the links, since start.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct LinkCounters {
    /// Connections of game servers accepted.
    pub accepted: Count,
    /// Connections closed at once, because too many were not registered yet.
    pub crowded: Count,
    /// Game servers turned away: no proof, no certificate, an address that is taken.
    pub refused: Count,
    /// Links that came up.
    pub up: Count,
    /// Links that were up and ended.
    pub down: Count,
    /// Calls to the Master that failed.
    pub calls_failed: Count,
    /// Links ended because more was to be told than they took.
    pub overflowed: Count,
    /// Rooms' changes left out because they are longer than a frame may be.
    pub unsaid: Count,
}

/// The way from worker 0 to the link with the Master.
#[derive(Clone)]
pub(crate) struct ToMaster {
    news: mpsc::Sender<(LinkId, News)>,
    overflowed: Arc<AtomicBool>,
}

impl ToMaster {
    /// Hands news over. The worker never waits: if there is no room the link ends, and all is told anew with the next one.
    pub(crate) fn tell(&self, link: LinkId, news: News) {
        if self.news.try_send((link, news)).is_err() {
            self.overflowed.store(true, Ordering::Release);
        }
    }
}

/// The way to worker 0.
pub(super) struct ToWorker(Outside<Letter>);

impl ToWorker {
    async fn send(&self, message: impl Into<WorkerMessage>) {
        let mut letter = Letter::Message(Box::new(message.into()));
        while let Err(back) = self.0.send(letter) {
            letter = back;
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Sockets of a listener, and its certificates.
pub(crate) struct Bound {
    listener: S2sListener,
    sockets: Vec<(SocketAddr, TcpListener)>,
    tls: Option<Arc<Secured>>,
}

impl Bound {
    /// Its addresses, with real ports.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.iter().map(|(address, _)| *address)
    }
}

/// What the links need to know of the node.
pub(crate) struct Node {
    key: Key,
    endpoint: Endpoint,
    priority: u8,
    workers: Vec<Arc<Counters>>,
    clock: Instant,
}

impl Node {
    pub(crate) fn new(config: &Config, workers: Vec<Arc<Counters>>, clock: Instant) -> Self {
        let (endpoint, priority) = (config.addresses.game.clone(), config.game.priority);
        Self { key: Key::derive(&config.token_secret), endpoint, priority, workers, clock }
    }
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Links {
    thread: Option<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    counters: Arc<LinkCounters>,
}

/// What both sides share.
struct Shared {
    config: Arc<lampyris_s2s::Config>,
    node: Node,
    worker: ToWorker,
    counters: Arc<LinkCounters>,
    stop: watch::Receiver<bool>,
}

impl Links {
    /// Starts the thread if there is a link to be; gives the way to the Master if one is to be called.
    pub(crate) fn start(
        options: &S2s,
        bound: Vec<Bound>,
        node: Node,
        worker: Outside<Letter>,
    ) -> Result<(Option<Self>, Option<ToMaster>), StartError> {
        if bound.is_empty() && options.master.is_none() {
            return Ok((None, None));
        }
        let system = |source| StartError::System { what: "the links between servers", source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(system)?;
        let (stop, stopped) = watch::channel(false);
        let counters = Arc::<LinkCounters>::default();
        let config = Arc::new(lampyris_s2s::Config { key: node.key.clone(), ping_interval: options.ping_interval });
        let shared = Shared { config, node, worker: ToWorker(worker), counters: Arc::clone(&counters), stop: stopped };
        let (news, received) = mpsc::channel(NEWS_AT_MOST);
        let to_master = ToMaster { news, overflowed: Arc::default() };
        let overflowed = Arc::clone(&to_master.overflowed);
        let to_master = options.master.is_some().then_some(to_master);
        let master = options.master.clone();
        let work = move || match master {
            Some(master) => runtime.block_on(game::Caller::new(shared, master, received, overflowed).run()),
            None => runtime.block_on(master::serve(shared, bound)),
        };
        let thread = thread::Builder::new().name("s2s".into()).spawn(work).map_err(system)?;
        Ok((Some(Self { thread: Some(thread), stop, counters }), to_master))
    }

    pub(crate) fn counters(&self) -> &Arc<LinkCounters> {
        &self.counters
    }

    /// Tells the other ends goodbye and waits for the thread, a moment at most.
    pub(crate) fn stop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the links between servers broke on an internal fault; please report it");
        }
    }
}

/// Binds the listeners of game servers.
pub(crate) fn bind(options: &S2s, secure: &SecureListeners) -> Result<Vec<Bound>, StartError> {
    let listeners = options.listeners.iter().enumerate();
    listeners
        .map(|(index, listener)| {
            let sockets = bind_listener(listener)?;
            Ok(Bound { listener: listener.clone(), sockets, tls: secure.of_s2s(index) })
        })
        .collect()
}

/// One without TLS is not opened to the world by a wildcard.
fn bind_listener(listener: &S2sListener) -> Result<Vec<(SocketAddr, TcpListener)>, StartError> {
    let addresses = addresses(listener);
    let mut port = listener.port;
    let mut sockets = Vec::with_capacity(addresses.len());
    for ip in addresses {
        let address = SocketAddr::new(ip, port);
        let failed = |source| StartError::S2sBind { label: listener.label.clone(), address, source };
        let bound = bind_address(address);
        // A machine without IPv6 is no reason to do without the rest.
        if bound.as_ref().is_err_and(|_| ip.is_ipv6() && !sockets.is_empty() && listener.bind.len() > 1) {
            tracing::debug!(listener = %listener.label, %address, "this machine does not have this address family");
            continue;
        }
        let socket = bound.map_err(failed)?;
        let real = socket.local_addr().map_err(failed)?;
        port = real.port();
        if listener.tls.is_none() && !is_private(ip) {
            tracing::warn!(
                listener = %listener.label, %address,
                "game servers call here without TLS, and everybody can reach this address; write Secure=\"true\" at the \
                 listener, or an IPAddress of a private network (docs/several-machines.md)"
            );
        }
        tracing::info!(listener = %listener.label, address = %real, secure = listener.tls.is_some(), "game servers call here");
        sockets.push((real, socket));
    }
    Ok(sockets)
}

fn bind_address(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Where it listens. Without TLS a wildcard stands for the loopback and private addresses of the machine.
fn addresses(listener: &S2sListener) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for ip in &listener.bind {
        if listener.tls.is_some() || !ip.is_unspecified() {
            addresses.push(*ip);
            continue;
        }
        let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
        let own = loopback.into_iter().chain(crate::interface_addresses());
        let fits = |own: &IpAddr| own.is_ipv4() == ip.is_ipv4() && is_private(*own);
        addresses.extend(own.filter(fits));
    }
    addresses.dedup();
    addresses
}

/// Whether only machines nearby can reach an address.
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        // 100.64.0.0/10 is what overlay networks use.
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            ip.is_loopback() || ip.is_private() || (first == 100 && (64..128).contains(&second))
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(bind: &str) -> S2sListener {
        let bind = vec![bind.parse().unwrap()];
        S2sListener { label: "4520".into(), bind, port: 0, transport: LinkTransport::Tcp, tls: None, place: None }
    }

    #[test]
    fn t23_without_tls_a_wildcard_stands_for_private_addresses() {
        let found = addresses(&listener("0.0.0.0"));
        assert!(found.contains(&IpAddr::from([127, 0, 0, 1])), "{found:?}");
        assert!(found.iter().all(|ip| ip.is_ipv4() && is_private(*ip)), "{found:?}");
        let named: IpAddr = [203, 0, 113, 7].into();
        assert_eq!(addresses(&listener("203.0.113.7")), [named], "whoever writes an address gets it");
    }

    #[test]
    fn private_addresses_are_told_from_public_ones() {
        for (ip, expected) in [
            ("127.0.0.1", true),
            ("10.1.2.3", true),
            ("172.16.0.1", true),
            ("192.168.1.1", true),
            ("100.64.0.9", true),
            ("::1", true),
            ("fd00::1", true),
            ("::ffff:10.0.0.1", true),
            ("100.128.0.1", false),
            ("8.8.8.8", false),
            ("2001:db8::1", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(is_private(ip.parse().unwrap()), expected, "{ip}");
        }
    }
}
