//! The game server's end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::channel::{Channel, LinkError};
use crate::codec::{self, FromMaster, Hello, MINOR};
use crate::message::{News, Registration};
use crate::proof::Nonces;
use crate::{Config, NONCE_BYTES};

/// What happened to a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GameEvent {
    /// The Master has registered this game server: every room is to be told now, then [`News::Synced`].
    Up,
    /// The link is over; no event follows.
    Down(LinkError),
}

/// The game server's end of a link.
///
/// ```text
/// Calling -> Registering -> Up -> Down
/// ```
///
/// Contract:
/// 1. In: [`Self::receive`], [`Self::tell`], [`Self::handle_timeout`] when [`Self::next_timeout`] is reached.
/// 2. Out, after each of them: [`Self::poll_event`] until `None`, then [`Self::output`].
/// 3. Output waits here without a limit: who tells much waits until what was told before has gone.
#[derive(Debug)]
pub struct GameEnd {
    config: Arc<Config>,
    channel: Channel,
    phase: Phase,
    registration: Registration,
    events: VecDeque<GameEvent>,
    unsaid: u64,
}

#[derive(Debug)]
enum Phase {
    Calling { nonce: [u8; NONCE_BYTES] },
    Registering { nonces: Nonces, later: bool },
    Up { later: bool },
    Down,
}

impl GameEnd {
    /// A link that was just connected. `nonce` is fresh randomness.
    #[must_use]
    pub fn new(now: Duration, config: Arc<Config>, registration: Registration, nonce: [u8; NONCE_BYTES]) -> Self {
        let mut channel = Channel::new(now);
        codec::write_hello(channel.writing(now), &Hello::new(nonce, &config));
        let (phase, events) = (Phase::Calling { nonce }, VecDeque::new());
        Self { config, channel, phase, registration, events, unsaid: 0 }
    }

    /// Bytes of the Master.
    pub fn receive(&mut self, now: Duration, input: &[u8]) {
        if matches!(self.phase, Phase::Down) {
            return;
        }
        self.channel.receive(now, input);
        while !matches!(self.phase, Phase::Down) {
            let step = match self.channel.frame() {
                Ok(Some(frame)) => self.message(now, &frame),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            if let Err(error) = step {
                self.end(error);
            }
        }
    }

    fn message(&mut self, now: Duration, frame: &[u8]) -> Result<(), LinkError> {
        let later = matches!(self.phase, Phase::Registering { later: true, .. } | Phase::Up { later: true });
        match (FromMaster::read(frame, later)?, &self.phase) {
            (FromMaster::Refused(reason), _) => Err(LinkError::Refused(reason)),
            (FromMaster::Ping | FromMaster::Unknown, Phase::Up { .. }) => Ok(()),
            (FromMaster::Goodbye, Phase::Up { .. }) => Err(LinkError::Goodbye),
            (FromMaster::Challenge(hello), Phase::Calling { nonce }) => {
                let nonces = Nonces { game: *nonce, master: hello.nonce };
                self.challenged(now, &hello, nonces)
            }
            (FromMaster::Welcome { proof }, Phase::Registering { nonces, later }) => {
                if !self.config.key.is_of_master(nonces, &proof) {
                    return Err(LinkError::Proof);
                }
                self.phase = Phase::Up { later: *later };
                self.channel.is_up = true;
                self.events.push_back(GameEvent::Up);
                Ok(())
            }
            (FromMaster::Challenge(_), _) => Err(LinkError::OutOfTurn("a challenge")),
            (FromMaster::Welcome { .. }, _) => Err(LinkError::OutOfTurn("a welcome")),
            (FromMaster::Ping | FromMaster::Unknown | FromMaster::Goodbye, _) => {
                Err(LinkError::OutOfTurn("something else than the handshake"))
            }
        }
    }

    fn challenged(&mut self, now: Duration, hello: &Hello, nonces: Nonces) -> Result<(), LinkError> {
        if !hello.is_compatible() {
            return Err(LinkError::Version { major: hello.major, minor: hello.minor });
        }
        let registration = codec::registration_bytes(&self.registration)?;
        let proof = self.config.key.of_game(&nonces, &registration);
        codec::write_register(self.channel.writing(now), &proof, &registration)?;
        self.channel.expect_pings(self.config.ping_interval, hello.ping_interval);
        self.phase = Phase::Registering { nonces, later: hello.minor > MINOR };
        Ok(())
    }

    /// Tells the Master something; nothing unless the link is up.
    pub fn tell(&mut self, now: Duration, news: &News) {
        if matches!(self.phase, Phase::Up { .. }) {
            self.unsaid += codec::write_news(self.channel.writing(now), news);
        }
    }

    /// Whether the link is up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up { .. })
    }

    /// Reports that were left out, because they are longer than a frame may be.
    #[must_use]
    pub fn unsaid(&self) -> u64 {
        self.unsaid
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<GameEvent> {
        self.events.pop_front()
    }

    /// Bytes for the Master.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.channel.output()
    }

    /// The first `count` bytes of [`Self::output`] were written.
    pub fn consume_output(&mut self, count: usize) {
        self.channel.consume_output(count);
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        let is_over = matches!(self.phase, Phase::Down);
        (!is_over).then(|| self.channel.next_timeout(&self.config))
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        if matches!(self.phase, Phase::Down) {
            return;
        }
        if let Err(error) = self.channel.handle_timeout(now, &self.config) {
            self.end(error);
        }
    }

    fn end(&mut self, error: LinkError) {
        self.phase = Phase::Down;
        self.events.push_back(GameEvent::Down(error));
    }
}
