//! Both ends of a link, and the way between them.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing, reason = "each test file uses its part")]

use std::net::Ipv4Addr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use lampyris_s2s::{
    Addresses, Config, GameEnd, GameEvent, Identity, Key, MasterEnd, MasterEvent, Registration, Status,
};

pub(crate) const PING: Duration = Duration::from_millis(2_500);

pub(crate) fn key(secret: &[u8]) -> Key {
    Key::derive(secret)
}

/// A game server of that number.
pub(crate) fn registration(number: u8) -> Registration {
    Registration {
        identity: Identity([number; 16]),
        name: format!("gs{number}").into(),
        addresses: Addresses {
            ipv4: Some(Ipv4Addr::new(10, 0, 0, number)),
            host: Some("play.example.org".into()),
            udp: NonZeroU16::new(5056),
            wss: NonZeroU16::new(19091),
            path: format!("gs{number}").into(),
            ..Addresses::default()
        },
        priority: number,
        status: Status::default(),
    }
}

pub(crate) struct Pair {
    pub(crate) game: GameEnd,
    pub(crate) master: MasterEnd,
    /// Bytes that arrive at a time.
    pub(crate) piece: usize,
}

impl Pair {
    pub(crate) fn new(now: Duration) -> Self {
        Self::with(now, b"secret", b"secret")
    }

    /// Ends that ping so often.
    pub(crate) fn pinging(now: Duration, game: Duration, master: Duration) -> Self {
        let config = |ping_interval| Arc::new(Config { key: key(b"secret"), ping_interval });
        Self {
            game: GameEnd::new(now, config(game), registration(1), [1; 32]),
            master: MasterEnd::new(now, config(master), [2; 32]),
            piece: usize::MAX,
        }
    }

    /// Ends with these secrets.
    pub(crate) fn with(now: Duration, game: &[u8], master: &[u8]) -> Self {
        let config = |secret: &[u8]| Arc::new(Config { key: key(secret), ping_interval: PING });
        Self {
            game: GameEnd::new(now, config(game), registration(1), [1; 32]),
            master: MasterEnd::new(now, config(master), [2; 32]),
            piece: usize::MAX,
        }
    }

    /// A link that is up.
    pub(crate) fn up(now: Duration) -> Self {
        Self::new(now).into_up(now)
    }

    pub(crate) fn into_up(self, now: Duration) -> Self {
        let mut pair = self;
        pair.carry(now);
        let asked = pair.master.poll_event();
        assert_eq!(asked, Some(MasterEvent::Registering(Box::new(registration(1)))));
        pair.master.welcome(now);
        pair.carry(now);
        assert_eq!(pair.game.poll_event(), Some(GameEvent::Up));
        pair
    }

    /// Carries all bytes both ways.
    pub(crate) fn carry(&mut self, now: Duration) {
        loop {
            let up = self.game.output().to_vec();
            let down = self.master.output().to_vec();
            if up.is_empty() && down.is_empty() {
                return;
            }
            self.game.consume_output(up.len());
            self.master.consume_output(down.len());
            up.chunks(self.piece).for_each(|piece| self.master.receive(now, piece));
            down.chunks(self.piece).for_each(|piece| self.game.receive(now, piece));
        }
    }
}
