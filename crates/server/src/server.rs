//! Life cycle: start, serve, stop. A [`Server`] exists once everything is bound and served.
//!
//! ```text
//! Ready -> Draining -> Stopped
//! ```

use std::convert::Infallible;
use std::future::{self, Future};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use std::{fs, io};

use lampyris_engine::{Config, ListenerConfig, ListenerId, Role, Transport, Worker, WorkerId};
use lampyris_tls::{Certificate, Store, Watch};
use mio::{Poll, Waker};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::acme::Authority;
use crate::control::Operator;
use crate::control::plane::Wishes;
use crate::net::accept::Door;
use crate::net::bind::{Bound, BoundAddress, bind};
use crate::net::driver::{Driver, WAKE};
use crate::net::handshakes::Entrance;
use crate::net::post::{Letter, Mailbox, Post};
use crate::s2s::{self, Links};
use crate::secure::{self, SecureListeners};
use crate::state::Secrets;
use crate::{Counters, LinkCounters, Options, RunError, StartError, addresses, assets, host};

/// Most workers; more than any machine has cores.
const WORKERS_AT_MOST: u16 = 1024;

/// Where a server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Every listener accepts.
    Ready,
    /// No one new is taken; everyone is told goodbye.
    Draining,
    /// No thread is left.
    Stopped,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<BoundAddress>,
    certificate: Option<Certificate>,
    pub(crate) store: Arc<Store>,
    /// Ends with the server.
    _watch: Watch,
    authority: Option<Authority>,
    link_addresses: Vec<SocketAddr>,
    links: Option<Links>,
    pub(crate) authority_tries: Option<watch::Receiver<lampyris_acme::Status>>,
    pub(crate) counters: Vec<Arc<Counters>>,
    phase: Phase,
    stop: Arc<AtomicBool>,
    wakers: Vec<Arc<Waker>>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    exits: mpsc::Receiver<WorkerId>,
    pub(crate) mailbox: Mailbox<Letter>,
    /// What the workers obey.
    pub(crate) node: Arc<Config>,
    /// What it was told.
    pub(crate) options: Options,
    pub(crate) started: Instant,
}

impl Server {
    /// Starts a server; when this returns, every listener accepts.
    ///
    /// # Errors
    /// If the state folder, a certificate or a port cannot be used.
    pub fn start(options: &Options) -> Result<Self, StartError> {
        match options.workers {
            0 => return Err(StartError::NoWorkers),
            1..=WORKERS_AT_MOST => {}
            workers => return Err(StartError::TooManyWorkers(workers)),
        }
        host::raise_file_limit();
        let secrets = load_secrets(&options.state_dir)?;
        let authority = Authority::prepare(options)?;
        let secure = secure::load(options, authority.as_ref().and_then(Authority::certificates).as_ref())?;
        let bound = bind(options)?;
        let links = s2s::bind(&options.s2s, &secure)?;
        secure::log_listeners(options, &bound.addresses, &secure);
        Self::serve(options, secrets, secure, authority, (bound, links))
    }

    fn serve(
        options: &Options,
        secrets: Secrets,
        secure: SecureListeners,
        authority: Option<Authority>,
        (bound, links): (Bound, Vec<s2s::Bound>),
    ) -> Result<Self, StartError> {
        let clock = Instant::now();
        let config = Arc::new(Config {
            challenges: authority.as_ref().map(Authority::challenges),
            ..node_config(options, secrets, bound.listeners)
        });
        let polls = (0..options.workers).map(|_| Poll::new()).collect::<io::Result<Vec<_>>>();
        let polls = polls.map_err(|source| StartError::System { what: "a poll", source })?;
        let wakers = polls.iter().map(|poll| Waker::new(poll.registry(), WAKE).map(Arc::new));
        let wakers = wakers.collect::<io::Result<Vec<_>>>();
        let wakers = wakers.map_err(|source| StartError::System { what: "a waker", source })?;
        let (exit, exits) = mpsc::channel(usize::from(options.workers));
        let doors: Vec<_> =
            (0..config.listeners.len()).map(|index| door(&config, &secure, ListenerId(index))).collect();
        let entrance = Entrance::new(options.workers);
        let watch = Watch::start_renewing(Arc::clone(&secure.store), secure::renewal(options, &secure));
        let watch = watch.map_err(|source| StartError::System { what: "a thread", source })?;
        let (posts, mailbox) = Post::connect(&wakers);
        let mut server = Self {
            addresses: bound.addresses,
            certificate: secure.own,
            store: secure.store,
            _watch: watch,
            authority_tries: authority.as_ref().map(Authority::watch),
            authority,
            link_addresses: links.iter().flat_map(s2s::Bound::addresses).collect(),
            links: None,
            counters: (0..options.workers).map(|_| Arc::default()).collect(),
            phase: Phase::Ready,
            stop: Arc::default(),
            threads: Vec::new(),
            exits,
            wakers,
            mailbox,
            node: Arc::clone(&config),
            options: options.clone(),
            started: clock,
        };
        let node = s2s::Node::new(&config, server.counters.clone(), clock);
        let mut to_master = None;
        if let Some(worker) = posts.first().and_then(|post| post.outside(WorkerId::DIRECTORY)) {
            (server.links, to_master) = Links::start(&options.s2s, links, node, worker)?;
        }
        for (((number, poll), sockets), post) in (0..).zip(polls).zip(bound.workers).zip(posts) {
            let id = WorkerId(number);
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).map_err(StartError::Random)?;
            let counters = server.counters.get(usize::from(number)).map(Arc::clone).unwrap_or_default();
            let worker = Worker::new(id, Arc::clone(&config), seed).map_err(StartError::TokenKey)?;
            let mut driver = Driver::new(worker, poll, clock, sockets, (&doors, &entrance), post, counters)
                .map_err(|source| StartError::System { what: "a worker's sockets", source })?;
            if let Some(to_master) = to_master.take() {
                driver.set_master(to_master);
            }
            let (stop, grace) = (Arc::clone(&server.stop), options.stop_grace);
            let notice = ExitNotice { worker: id, exit: exit.clone() };
            let thread = thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
                let _notice = notice;
                driver.run(&stop, grace)
            });
            server.threads.push(thread.map_err(|source| StartError::System { what: "a thread", source })?);
        }
        Ok(server)
    }

    /// Every address it listens on, with real ports, in the order of [`Options::listeners`].
    #[must_use]
    pub fn addresses(&self) -> &[BoundAddress] {
        &self.addresses
    }

    /// The address of the first listener of a role and transport.
    #[must_use]
    pub fn address(&self, role: Role, transport: Transport) -> Option<SocketAddr> {
        self.addresses.iter().find(|bound| bound.serves(role, transport)).map(|bound| bound.address)
    }

    /// Every address where game servers of other processes call, with real ports.
    #[must_use]
    pub fn link_addresses(&self) -> &[SocketAddr] {
        &self.link_addresses
    }

    /// Counters of the links with servers in other processes, if there can be any.
    #[must_use]
    pub fn link_counters(&self) -> Option<&Arc<LinkCounters>> {
        self.links.as_ref().map(Links::counters)
    }

    /// The server's own certificate, if a listener has it.
    #[must_use]
    pub const fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// The certificates that are served. They are exchanged when their files change; [`Store::reload`] looks at once.
    #[must_use]
    pub const fn certificates(&self) -> &Arc<Store> {
        &self.store
    }

    /// The drivers' counters, by worker.
    #[must_use]
    pub fn counters(&self) -> &[Arc<Counters>] {
        &self.counters
    }

    /// Where it is in its life.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Waits until a worker ends; as long as nobody stops the server, that is a failure.
    async fn worker_ended(&mut self) {
        self.exits.recv().await;
    }

    /// Keeps the certificate of an authority fresh, if there is one; without end.
    fn keep_certificate(&mut self) -> impl Future<Output = Infallible> + use<> {
        let authority = self.authority.take();
        async {
            match authority {
                Some(authority) => authority.run().await,
                None => future::pending().await,
            }
        }
    }

    /// Tells every client goodbye and ends; takes a few seconds at most.
    ///
    /// # Errors
    /// If a worker had failed.
    pub fn stop(mut self) -> Result<(), RunError> {
        self.shut_down()
    }

    fn shut_down(&mut self) -> Result<(), RunError> {
        self.phase = Phase::Draining;
        // First, so that no client is sent here any more.
        if let Some(links) = &mut self.links {
            links.stop();
        }
        self.stop.store(true, Ordering::Release);
        for waker in &self.wakers {
            if let Err(error) = waker.wake() {
                tracing::warn!(%error, "cannot wake a worker");
            }
        }
        let mut result = Ok(());
        for (worker, thread) in (0..).zip(self.threads.drain(..)) {
            result = result.and(match thread.join() {
                Ok(Ok(())) => Ok(()),
                Ok(Err(source)) => Err(RunError::WorkerFailed { worker, source }),
                Err(_) => Err(RunError::WorkerPanicked { worker }),
            });
        }
        self.phase = Phase::Stopped;
        result
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.phase != Phase::Stopped
            && let Err(error) = self.shut_down()
        {
            tracing::error!(%error, "the server had failed");
        }
    }
}

/// Tells the control plane that a worker ended, also when it panicked.
struct ExitNotice {
    worker: WorkerId,
    exit: mpsc::Sender<WorkerId>,
}

impl Drop for ExitNotice {
    fn drop(&mut self) {
        // There is room for one notice of each worker; without a receiver nobody wants to know.
        let _ = self.exit.try_send(self.worker);
    }
}

/// Runs a server until SIGTERM or SIGINT, and does meanwhile what the operator asks for.
///
/// # Errors
/// If it does not start, or if a worker fails.
pub fn run(options: &Options, operator: &mut dyn Operator) -> Result<(), RunError> {
    let system = |what| move |source| StartError::System { what, source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(system("the control plane"))?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(system("a signal handler"))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(system("a signal handler"))?;
        let mut server = Server::start(options)?;
        let mut wishes = Wishes::take(operator).map_err(system("a signal handler"))?;
        operator.ready(&server);
        let mut certificate = pin!(server.keep_certificate());
        let reason = loop {
            let wish = tokio::select! {
                _ = terminate.recv() => break "SIGTERM",
                _ = interrupt.recv() => break "SIGINT",
                () = server.worker_ended() => break "a worker ended",
                never = &mut certificate => match never {},
                wish = wishes.next() => wish,
            };
            wishes.fulfil(wish, &mut server, operator);
        };
        tracing::info!(reason, "stopping");
        server.stop()
    })
}

fn load_secrets(state: &Path) -> Result<Secrets, StartError> {
    fs::create_dir_all(state).map_err(|source| StartError::State { path: state.to_owned(), source })?;
    Secrets::load(state)
}

fn door(config: &Config, secure: &SecureListeners, listener: ListenerId) -> Door {
    let proxies = config.listeners.get(listener.0).map(|listener| listener.proxies.clone()).unwrap_or_default();
    Door { tls: secure.of(listener), proxies }
}

/// What the node is told, once the ports are known.
pub(crate) fn node_config(options: &Options, secrets: Secrets, listeners: Vec<ListenerConfig>) -> Config {
    let mut config = Config {
        workers: options.workers,
        listeners,
        applications: options.applications.clone(),
        addresses: lampyris_engine::Addresses::default(),
        name_server: options.name_server.clone(),
        master: options.master.clone(),
        game: options.game.clone(),
        token_secret: options.token_secret.as_ref().map_or(secrets.token, |secret| secret.0),
        clock_started_at_unix: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        udp_secret: secrets.udp,
        udp: options.udp.clone(),
        assets: assets::all(),
        challenges: None,
        limits: options.limits.clone(),
    };
    config.addresses = addresses::told(options, &config);
    config
}
