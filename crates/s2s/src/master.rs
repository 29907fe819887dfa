//! The Master's end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::channel::{Channel, LinkError};
use crate::codec::{self, FromGame, Hello, MINOR};
use crate::message::{News, Registration};
use crate::proof::Nonces;
use crate::{Config, NONCE_BYTES};

/// What happened to a link.
#[derive(Clone, Debug, PartialEq)]
pub enum MasterEvent {
    /// A game server that knows the secret wants in: [`MasterEnd::welcome`] or [`MasterEnd::refuse`] it at once.
    Registering(Box<Registration>),
    /// It tells something.
    News(News),
    /// The link is over; no event follows.
    Down(LinkError),
}

/// The Master's end of a link.
///
/// ```text
/// Waiting -> Challenged -> Asking -> Up -> Down
/// ```
///
/// Contract:
/// 1. In: [`Self::receive`], [`Self::welcome`], [`Self::refuse`], [`Self::handle_timeout`] when [`Self::next_timeout`] is
///    reached.
/// 2. Out, after each of them: [`Self::poll_event`] until `None`, then [`Self::output`]. What waits there when the link is
///    down is written if the other end takes it.
#[derive(Debug)]
pub struct MasterEnd {
    config: Arc<Config>,
    channel: Channel,
    phase: Phase,
    nonce: [u8; NONCE_BYTES],
    events: VecDeque<MasterEvent>,
}

#[derive(Debug)]
enum Phase {
    Waiting,
    Challenged { nonces: Nonces, later: bool },
    Asking { nonces: Nonces, later: bool },
    Up { later: bool },
    Down,
}

impl MasterEnd {
    /// A link that was just accepted. `nonce` is fresh randomness.
    #[must_use]
    pub fn new(now: Duration, config: Arc<Config>, nonce: [u8; NONCE_BYTES]) -> Self {
        Self { config, channel: Channel::new(now), phase: Phase::Waiting, nonce, events: VecDeque::new() }
    }

    /// Bytes of the game server.
    pub fn receive(&mut self, now: Duration, input: &[u8]) {
        if matches!(self.phase, Phase::Down) {
            return;
        }
        self.channel.receive(now, input);
        self.read_on(now);
    }

    fn read_on(&mut self, now: Duration) {
        // What follows a registration waits until its owner has decided.
        while !matches!(self.phase, Phase::Down | Phase::Asking { .. }) {
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
        let later = matches!(self.phase, Phase::Challenged { later: true, .. } | Phase::Up { later: true });
        match (FromGame::read(frame, later)?, &self.phase) {
            (FromGame::Hello(hello), Phase::Waiting) => self.greeted(now, &hello),
            (FromGame::Register { proof, signed, registration }, Phase::Challenged { nonces, later }) => {
                let (nonces, later) = (*nonces, *later);
                if !self.config.key.is_of_game(&nonces, &signed, &proof) {
                    codec::write_refused(self.channel.writing(now), &LinkError::Proof.to_string())?;
                    return Err(LinkError::Proof);
                }
                self.phase = Phase::Asking { nonces, later };
                self.events.push_back(MasterEvent::Registering(registration));
                Ok(())
            }
            (FromGame::News(News::Leaving), Phase::Up { .. }) => {
                codec::write_goodbye(self.channel.writing(now));
                self.events.push_back(MasterEvent::News(News::Leaving));
                Err(LinkError::Goodbye)
            }
            (FromGame::News(news), Phase::Up { .. }) => {
                self.events.push_back(MasterEvent::News(news));
                Ok(())
            }
            (FromGame::Ping | FromGame::Unknown, Phase::Up { .. }) => Ok(()),
            (FromGame::Hello(_), _) => Err(LinkError::OutOfTurn("a hello")),
            (FromGame::Register { .. }, _) => Err(LinkError::OutOfTurn("a registration")),
            (FromGame::News(_) | FromGame::Ping | FromGame::Unknown, _) => {
                Err(LinkError::OutOfTurn("something else than the handshake"))
            }
        }
    }

    fn greeted(&mut self, now: Duration, hello: &Hello) -> Result<(), LinkError> {
        // The challenge goes out in any case: it tells the other end our version.
        codec::write_challenge(self.channel.writing(now), &Hello::new(self.nonce, &self.config));
        if !hello.is_compatible() {
            return Err(LinkError::Version { major: hello.major, minor: hello.minor });
        }
        let nonces = Nonces { game: hello.nonce, master: self.nonce };
        self.channel.expect_pings(self.config.ping_interval, hello.ping_interval);
        self.phase = Phase::Challenged { nonces, later: hello.minor > MINOR };
        Ok(())
    }

    /// Lets the game server in that asked.
    pub fn welcome(&mut self, now: Duration) {
        let Phase::Asking { nonces, later } = self.phase else { return };
        let proof = self.config.key.of_master(&nonces);
        match codec::write_welcome(self.channel.writing(now), &proof) {
            Ok(()) => {
                self.phase = Phase::Up { later };
                self.channel.is_up = true;
                self.read_on(now);
            }
            Err(error) => self.end(error.into()),
        }
    }

    /// Tells the other end why it is not wanted, and ends the link.
    pub fn refuse(&mut self, now: Duration, reason: &str) {
        if !matches!(self.phase, Phase::Down) {
            let written = codec::write_refused(self.channel.writing(now), reason);
            self.end(written.map_or_else(LinkError::from, |()| LinkError::Refused(reason.to_owned())));
        }
    }

    /// Whether a game server is registered.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up { .. })
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<MasterEvent> {
        self.events.pop_front()
    }

    /// Bytes for the game server.
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
        self.events.push_back(MasterEvent::Down(error));
    }
}
