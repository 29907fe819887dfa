//! The Master's side: game servers of other processes call here.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use lampyris_engine::{GameServerEvent, LogRate};
use lampyris_s2s::{HANDSHAKE_TIMEOUT, LinkId, MasterEnd, MasterEvent, News, Registry};
use lampyris_tls::Secured;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::carrier::{Carrier, Stream};
use super::trouble::Trouble;
use super::{Bound, LinkTransport, Shared};

/// Connections that are not registered yet, of all and of one address.
const PENDING: usize = 256;
const PENDING_PER_ADDRESS: usize = 16;
/// Pause after `accept` failed for want of files or memory.
const PAUSE: Duration = Duration::from_millis(100);
/// Time for the last bytes to a game server.
const FINISH: Duration = Duration::from_secs(1);
/// Most log lines about game servers that were turned away in a minute; more are counted.
const LINES_PER_MINUTE: u16 = 20;

/// What all links share.
struct Hub {
    shared: Shared,
    state: RefCell<HubState>,
    next_link: Cell<u64>,
    refusals: LogRate,
}

#[derive(Default)]
struct HubState {
    registry: Registry,
    /// Dropping one ends that link.
    running: HashMap<LinkId, oneshot::Sender<()>>,
    pending: HashMap<IpAddr, usize>,
}

/// A listener's ways.
struct Door {
    label: String,
    transport: LinkTransport,
    tls: Option<Arc<Secured>>,
}

/// Serves until the server stops.
pub(super) async fn serve(shared: Shared, bound: Vec<Bound>) {
    let mut stop = shared.stop.clone();
    let refusals = LogRate::new(LINES_PER_MINUTE, Duration::from_secs(60));
    let hub = Rc::new(Hub { shared, state: RefCell::default(), next_link: Cell::new(0), refusals });
    let tasks = LocalSet::new();
    for Bound { listener, sockets, tls } in bound {
        let door = Rc::new(Door { label: listener.label, transport: listener.transport, tls });
        for (_, socket) in sockets {
            tasks.spawn_local(accept(Rc::clone(&hub), Rc::clone(&door), socket));
        }
    }
    // The sender outlives this; an error would mean that nobody can stop us any more.
    let _ = tasks.run_until(stop.wait_for(|stop| *stop)).await;
}

async fn accept(hub: Rc<Hub>, door: Rc<Door>, socket: std::net::TcpListener) {
    let listener = match TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(listener = %door.label, %error, "cannot watch the socket of game servers"),
    };
    loop {
        match listener.accept().await {
            Ok((socket, remote)) => {
                if hub.admit(remote.ip()) {
                    hub.shared.counters.accepted.increment();
                    spawn_local(Rc::clone(&hub).link(Rc::clone(&door), socket, remote));
                } else {
                    hub.shared.counters.crowded.increment();
                }
            }
            Err(error) => {
                tracing::debug!(listener = %door.label, %error, "cannot accept a game server");
                sleep(PAUSE).await;
            }
        }
    }
}

/// A connection that is not registered yet; it takes a place until it is.
struct Pending<'a> {
    hub: &'a Hub,
    ip: IpAddr,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let mut state = self.hub.state.borrow_mut();
        if let Some(count) = state.pending.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                state.pending.remove(&self.ip);
            }
        }
    }
}

impl Hub {
    /// Takes a place among those that are not registered yet.
    fn admit(&self, ip: IpAddr) -> bool {
        let mut state = self.state.borrow_mut();
        if state.pending.values().sum::<usize>() >= PENDING {
            return false;
        }
        let count = state.pending.entry(ip).or_default();
        if *count >= PENDING_PER_ADDRESS {
            return false;
        }
        *count += 1;
        true
    }

    async fn link(self: Rc<Self>, door: Rc<Door>, socket: TcpStream, remote: SocketAddr) {
        let pending = Pending { hub: &self, ip: remote.ip() };
        let link = LinkId(self.next_link.replace(self.next_link.get() + 1));
        let opened = timeout(HANDSHAKE_TIMEOUT, open(&door, socket)).await;
        let carrier = opened.unwrap_or_else(|_| Err(Trouble::new("the handshake took too long")));
        match carrier {
            Ok(carrier) => self.run(link, carrier, (&door.label, remote), pending).await,
            Err(trouble) => self.refused(&door.label, remote, &trouble),
        }
    }

    async fn run(&self, link: LinkId, mut carrier: Carrier, from: (&str, SocketAddr), pending: Pending<'_>) {
        let mut nonce = [0; lampyris_s2s::NONCE_BYTES];
        if let Err(error) = getrandom::fill(&mut nonce) {
            return tracing::error!(%error, "the system gave no random bytes");
        }
        let clock = self.shared.node.clock;
        let mut end = MasterEnd::new(clock.elapsed(), Arc::clone(&self.shared.config), nonce);
        let (running, mut replaced) = oneshot::channel();
        let mut up = Up { pending: Some(pending), running: Some(running), name: None };
        let trouble = loop {
            if let Some(trouble) = self.events(link, &mut end, &mut up).await {
                break trouble;
            }
            match carrier.wait(&mut end, clock, &mut replaced).await {
                Ok(None) => {}
                Ok(Some(_)) => break Trouble::new("the game server has another link"),
                Err(trouble) => break trouble,
            }
        };
        self.over(link, up.name.as_deref(), from, &trouble).await;
        carrier.finish(&mut end, FINISH).await;
    }

    /// Does what the end says; gives why the link is over if it is.
    async fn events(&self, link: LinkId, end: &mut MasterEnd, up: &mut Up<'_>) -> Option<Trouble> {
        while let Some(event) = end.poll_event() {
            match event {
                MasterEvent::News(News::Leaving) => {
                    // Said goodbye: nothing that follows from the end of the link is news.
                    self.closed(link);
                    self.shared.worker.send(GameServerEvent::News(link, News::Leaving)).await;
                }
                MasterEvent::News(news) => self.shared.worker.send(GameServerEvent::News(link, news)).await,
                MasterEvent::Down(error) => return Some(error.into()),
                MasterEvent::Registering(registration) => {
                    let registered = self.state.borrow_mut().registry.register(link, &registration);
                    match registered {
                        Err(refusal) => end.refuse(self.shared.node.clock.elapsed(), &refusal.to_string()),
                        Ok(before) => {
                            self.register(link, before, up);
                            up.name = Some(Arc::clone(&registration.name));
                            end.welcome(self.shared.node.clock.elapsed());
                            self.shared.worker.send(GameServerEvent::Up(link, registration)).await;
                        }
                    }
                }
            }
        }
        None
    }

    fn register(&self, link: LinkId, before: Option<LinkId>, up: &mut Up<'_>) {
        self.shared.counters.up.increment();
        drop(up.pending.take());
        let mut state = self.state.borrow_mut();
        if let Some(before) = before {
            state.running.remove(&before);
        }
        if let Some(running) = up.running.take() {
            state.running.insert(link, running);
        }
    }

    /// Forgets a link; `true` if its game server has no other one.
    fn closed(&self, link: LinkId) -> bool {
        let mut state = self.state.borrow_mut();
        state.running.remove(&link);
        state.registry.closed(link)
    }

    async fn over(&self, link: LinkId, name: Option<&str>, (label, remote): (&str, SocketAddr), trouble: &Trouble) {
        let Some(name) = name else { return self.refused(label, remote, trouble) };
        self.shared.counters.down.increment();
        if self.closed(link) {
            tracing::warn!(name, %remote, "lost a game server: {trouble}");
            self.shared.worker.send(GameServerEvent::Down(link)).await;
        }
    }

    fn refused(&self, listener: &str, remote: SocketAddr, trouble: &Trouble) {
        self.shared.counters.refused.increment();
        if let Some(line) = self.refusals.admit(self.shared.node.clock.elapsed()) {
            tracing::warn!(listener, %remote, held_back = line.held_back, "turned a game server away: {trouble}");
        }
    }
}

/// What a link has from its registration on.
struct Up<'a> {
    pending: Option<Pending<'a>>,
    running: Option<oneshot::Sender<()>>,
    name: Option<Arc<str>>,
}

async fn open(door: &Door, socket: TcpStream) -> Result<Carrier, Trouble> {
    socket.set_nodelay(true)?;
    let stream: Box<dyn Stream> = match &door.tls {
        None => Box::new(socket),
        Some(secured) => Box::new(TlsAcceptor::from(secured.config()).accept(socket).await?),
    };
    match door.transport {
        LinkTransport::Tcp => Ok(Carrier::plain(stream)),
        LinkTransport::WebSocket => Carrier::accept_websocket(stream).await,
    }
}
