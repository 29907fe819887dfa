//! Sockets, TLS and time for one [`Client`], on tokio.
//!
//! ```no_run
//! # async fn play() -> Result<(), Box<dyn std::error::Error>> {
//! use lampyris_client::driver::{Driver, TlsRoots};
//! use lampyris_client::{Config, Entry, Event, RaiseOptions, RoomOptions, Start};
//!
//! let config = Config::new(Start::NameServer("127.0.0.1:5058".parse()?), "app");
//! let mut driver = Driver::new(config.into(), TlsRoots::None)?;
//! driver.act(|client, now| client.connect(now))?;
//! while let Some(event) = driver.next_event().await {
//!     match event {
//!         Event::ConnectedToMaster => {
//!             let entry = Entry::JoinOrCreate { name: "room".into(), options: RoomOptions::default() };
//!             driver.act(|client, now| client.enter(now, entry.into()))?;
//!         }
//!         Event::RoomEntered(_) => {
//!             driver.act(|client, now| client.raise_event(now, 1, "hello", &RaiseOptions::default()))?;
//!         }
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod socket;
mod tls;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{Action, Client, Config, Event, State};

use socket::Socket;
pub use tls::TlsRoots;

/// Why there is no driver.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The system gives no randomness.
    #[error("the system gives no randomness: {0}")]
    Randomness(getrandom::Error),
    /// The roots are of no use.
    #[error("the certificates to trust are of no use: {0}")]
    Tls(#[from] rustls::Error),
}

/// A client with a socket.
///
/// Nothing happens by itself: bytes move and time passes while [`Driver::next_event`] is awaited, and a client that is
/// not awaited for some seconds loses its connection.
#[derive(Debug)]
pub struct Driver {
    client: Client,
    started: Instant,
    tls: Arc<rustls::ClientConfig>,
    socket: Socket,
    datagram: Vec<u8>,
}

impl Driver {
    /// A client that is not connected.
    ///
    /// # Errors
    /// The system gives no randomness, or the roots are of no use.
    pub fn new(config: Arc<Config>, roots: TlsRoots) -> Result<Self, DriverError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(DriverError::Randomness)?;
        Ok(Self {
            client: Client::new(config, seed),
            started: Instant::now(),
            tls: roots.into_config()?,
            socket: Socket::None,
            datagram: Vec::new(),
        })
    }

    /// Calls the client with the time. What it has to say goes out when [`Driver::next_event`] is awaited.
    pub fn act<R>(&mut self, call: impl FnOnce(&mut Client, Duration) -> R) -> R {
        call(&mut self.client, self.started.elapsed())
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The next thing that the client tells; `None` when it is disconnected and everything was told.
    ///
    /// Can be dropped before it is done: nothing is lost.
    pub async fn next_event(&mut self) -> Option<Event> {
        loop {
            self.settle().await;
            if let Some(event) = self.client.poll_event() {
                return Some(event);
            }
            if self.client.state() == State::Disconnected {
                return None;
            }
            self.wait().await;
        }
    }

    /// Writes what can be written at once and does what the client asks for.
    async fn settle(&mut self) {
        loop {
            let now = self.started.elapsed();
            self.datagram.clear();
            while self.client.poll_datagram(now, &mut self.datagram) {
                self.socket.send_datagram(&self.datagram);
                self.datagram.clear();
            }
            match self.socket.try_write(self.client.output()) {
                Ok(count) => self.client.consume_output(count),
                Err(cause) => self.end(cause),
            }
            match self.client.poll_action(now) {
                Some(Action::Open(address)) => self.socket = Socket::open(address, Arc::clone(&self.tls)),
                Some(Action::Close) => self.socket = Socket::None,
                None => return,
            }
        }
    }

    /// Waits for the socket or the time, whichever comes first. Both branches can be dropped: readiness is not
    /// consumed by waiting for it, and what is opened stays in the socket.
    async fn wait(&mut self) {
        let until = self.client.next_timeout();
        let now = self.started.elapsed();
        let sleep = async {
            match until {
                Some(due) => tokio::time::sleep(due.saturating_sub(now)).await,
                None => std::future::pending().await,
            }
        };
        let wants_to_write = !self.client.output().is_empty();
        tokio::select! {
            biased;
            arrived = self.socket.receive(wants_to_write) => self.arrived(arrived),
            () = sleep => self.client.handle_timeout(self.started.elapsed()),
        }
    }

    fn arrived(&mut self, arrived: socket::Arrival) {
        let now = self.started.elapsed();
        match arrived {
            socket::Arrival::Opened => self.client.opened(now),
            socket::Arrival::Bytes(count) => self.client.receive(now, self.socket.received(count)),
            socket::Arrival::Writable => {}
            socket::Arrival::Ended(cause) => self.end(cause),
        }
    }

    fn end(&mut self, cause: crate::CloseCause) {
        self.socket = Socket::None;
        self.client.ended(self.started.elapsed(), cause);
    }
}
