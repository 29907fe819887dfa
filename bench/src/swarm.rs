//! Many clients in one thread.
//!
//! Every client has a tick of its own in each period, all ticks at the same distance, driven by a timer of the system:
//! there it does what is due, raises its event and sends. So events are spread evenly in time, and UDP clients send
//! their acknowledgements with their own events, as game loops do. Clients of one room are as far apart as can be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use lampyris_transport::Delivery;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use rustls::ClientConfig;

use crate::connection::{Address, Buffers, Connection, Received, Target};
use crate::lane::Lane;
use crate::login::{Goal, Login, Step};
use crate::payload::{RaiseRequest, due_time};
use crate::tls::client_config;

/// Clients in a room.
pub(crate) const ROOM_SIZE: usize = 8;
/// Time between two ticks of a client: 20 Hz.
pub(crate) const PERIOD: Duration = Duration::from_millis(50);
/// Clients that are logging in at the same time; servers limit half-open handshakes by address.
const LOGINS_AT_ONCE: usize = 16;
/// Time for everybody's login.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(120);
/// Ticks of one loop turn, when the generator is late.
const TICKS_PER_TURN: usize = 64;

const TIMER: Token = Token(usize::MAX - 1);

/// Who is to be brought where.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) lane: Lane,
    /// The relay, which needs no login, and not a server.
    pub(crate) bare: bool,
    pub(crate) address: Address,
    pub(crate) clients: usize,
    pub(crate) goal: Goal,
    /// Before the names of rooms and users.
    pub(crate) prefix: &'static str,
}

struct Client {
    login: Login,
    tls: Arc<ClientConfig>,
    /// `None` before its login began and after it left.
    connection: Option<Connection>,
    arrived: bool,
}

/// What was seen since [`Swarm::start_counting`].
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) raised: u64,
    pub(crate) delivered: u64,
    /// From when an event was due to when it was received, of events due since the start.
    pub(crate) latencies: Vec<Duration>,
    since: Duration,
}

pub(crate) struct Swarm {
    plan: Plan,
    clock: Instant,
    poll: Poll,
    events: Events,
    timer: OwnedFd,
    clients: Vec<Client>,
    /// Number of ticks that were done.
    ticks: u32,
    first_tick: Duration,
    raising: bool,
    request: RaiseRequest,
    buffers: Buffers,
    rng: StdRng,
    tally: Tally,
}

impl Swarm {
    pub(crate) fn new(plan: Plan) -> Result<Self> {
        let clients = (0..plan.clients)
            .map(|index| {
                let room = format!("{}-{}", plan.prefix, index / ROOM_SIZE);
                let login = Login::new(plan.goal, format!("{}-user-{index}", plan.prefix), room);
                Ok(Client { login, tls: client_config()?, connection: None, arrived: false })
            })
            .collect::<Result<Vec<_>>>()?;
        let poll = Poll::new()?;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        Ok(Self {
            plan,
            clock: Instant::now(),
            poll,
            events: Events::with_capacity(1024),
            timer,
            clients,
            ticks: 0,
            first_tick: Duration::ZERO,
            raising: false,
            request: RaiseRequest::new()?,
            buffers: Buffers::new(),
            rng: StdRng::seed_from_u64(1),
            tally: Tally::default(),
        })
    }

    /// Brings every client to the plan's goal.
    pub(crate) fn bring_up(&mut self) -> Result<()> {
        self.start_ticking()?;
        let deadline = self.clock.elapsed() + LOGIN_TIMEOUT;
        let (mut begun, mut arrived) = (0, 0);
        while arrived < self.clients.len() {
            while begun < self.clients.len() && begun < arrived + LOGINS_AT_ONCE {
                let address = self.plan.address.clone();
                self.connect(begun, &address)?;
                begun += 1;
            }
            self.turn()?;
            arrived = self.clients.iter().filter(|client| client.arrived).count();
            if self.clock.elapsed() > deadline {
                bail!("{arrived} of {} clients arrived within {LOGIN_TIMEOUT:?}", self.clients.len());
            }
        }
        Ok(())
    }

    /// Lets everybody raise events from now on.
    pub(crate) fn start_raising(&mut self) {
        self.raising = true;
    }

    pub(crate) fn start_counting(&mut self) {
        self.tally = Tally { since: self.clock.elapsed(), ..Tally::default() };
    }

    pub(crate) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Goes on for so long.
    pub(crate) fn run_for(&mut self, time: Duration) -> Result<()> {
        let until = self.clock.elapsed() + time;
        while self.clock.elapsed() < until {
            self.turn()?;
        }
        Ok(())
    }

    /// Ends all connections.
    pub(crate) fn leave(mut self) {
        let now = self.clock.elapsed();
        for connection in self.clients.iter_mut().filter_map(|client| client.connection.take()) {
            connection.close(now);
        }
    }

    fn start_ticking(&mut self) -> Result<()> {
        let count = u32::try_from(self.clients.len().max(1))?;
        let distance = Timespec::try_from(PERIOD / count)?;
        let times = Itimerspec { it_interval: distance, it_value: distance };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &times)?;
        self.first_tick = self.clock.elapsed();
        self.ticks = 0;
        Ok(())
    }

    fn turn(&mut self) -> Result<()> {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(1));
        let polled = self.poll.poll(&mut events, Some(PERIOD));
        for event in &events {
            match event.token() {
                TIMER => {
                    let mut expirations = [0; 8];
                    // How many expired is told by the clock.
                    let _ = rustix::io::read(&self.timer, &mut expirations);
                }
                Token(index) => self.receive(index)?,
            }
        }
        self.events = events;
        match polled {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        self.tick_all()
    }

    /// Does the ticks that are due.
    fn tick_all(&mut self) -> Result<()> {
        let count = u32::try_from(self.clients.len().max(1))?;
        for _ in 0..TICKS_PER_TURN {
            let round = self.ticks / count;
            let place = self.ticks % count;
            let due = self.first_tick + PERIOD * round + PERIOD * place / count;
            if due > self.clock.elapsed() {
                return Ok(());
            }
            self.ticks += 1;
            self.tick(self.client_at(usize::try_from(place)?), due)?;
        }
        Ok(())
    }

    /// The first member of each room, then the second of each, and so on.
    fn client_at(&self, place: usize) -> usize {
        let rooms = self.clients.len().div_ceil(ROOM_SIZE);
        if self.clients.len().is_multiple_of(ROOM_SIZE) { place % rooms * ROOM_SIZE + place / rooms } else { place }
    }

    fn tick(&mut self, index: usize, due: Duration) -> Result<()> {
        let now = self.clock.elapsed();
        let Some(client) = self.clients.get_mut(index) else { return Ok(()) };
        let Some(connection) = &mut client.connection else { return Ok(()) };
        connection.tick(now).with_context(|| format!("client {index}"))?;
        if self.raising && client.arrived {
            connection.send(now, self.plan.lane.delivery(), self.request.due_at(due))?;
            self.tally.raised += 1;
        }
        connection.flush(now)
    }

    fn connect(&mut self, index: usize, address: &Address) -> Result<()> {
        let now = self.clock.elapsed();
        let Some(client) = self.clients.get_mut(index) else { return Ok(()) };
        if let Some(old) = client.connection.take() {
            old.close(now);
        }
        let target = Target { lane: self.plan.lane, bare: self.plan.bare, address, tls: &client.tls };
        let mut connection = Connection::open(now, &target, &mut self.rng)
            .with_context(|| format!("client {index} cannot connect to {}", address.socket))?;
        connection.register(self.poll.registry(), Token(index))?;
        client.arrived = connection.needs_no_opening();
        client.connection = Some(connection);
        Ok(())
    }

    fn receive(&mut self, index: usize) -> Result<()> {
        let now = self.clock.elapsed();
        let Self { clients, buffers, tally, plan, .. } = self;
        let Some(Client { connection: Some(connection), login, arrived, .. }) = clients.get_mut(index) else {
            return Ok(());
        };
        let mut steps = Vec::new();
        let received = connection.receive(now, buffers, |received| match received {
            Received::Message(message) if *arrived => tally.count(now, message),
            Received::Message(message) => steps.push(login.message(message)),
            Received::Opened if plan.bare => *arrived = true,
            Received::Opened => steps.push(login.opened()),
        });
        received.with_context(|| format!("client {index}"))?;
        let is_on_its_way = !steps.is_empty();
        for step in steps {
            match step.with_context(|| format!("client {index}"))? {
                Step::Wait => {}
                Step::Send(message) => connection.send(now, Delivery::Reliable, &message)?,
                Step::Done => *arrived = true,
                Step::Connect(address) => return self.connect(index, &address),
            }
        }
        if is_on_its_way || !*arrived || connection.owes_answer() {
            connection.flush(now)?;
        }
        Ok(())
    }
}

impl Tally {
    fn count(&mut self, now: Duration, message: &[u8]) {
        let Some(due) = due_time(message) else { return };
        self.delivered += 1;
        if due >= self.since {
            self.latencies.push(now.saturating_sub(due));
        }
    }
}
