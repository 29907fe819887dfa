//! Letters between workers.
//!
//! Each worker has one bounded inbox. A letter that does not fit waits in the sender's overflow and is tried again
//! next turn, so that nothing is lost, order holds per pair of workers, and no worker ever waits for another.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use lampyris_engine::{Config, Moved, WorkerId, WorkerMessage};
use mio::Waker;

use super::stream::Stream;
use crate::Counters;

/// Letters that an inbox holds.
const INBOX_LETTERS: usize = 4096;
/// How soon a worker with overflow tries again.
pub(crate) const RETRY: Duration = Duration::from_millis(1);

/// How long the control plane waits for room in an inbox.
const MAILBOX_PATIENCE: Duration = Duration::from_secs(1);

/// What one worker sends to another.
pub(crate) enum Letter {
    /// A message between nodes' workers.
    Message(Box<WorkerMessage>),
    /// A stream that goes on there.
    Stream(Box<Stream>, Moved),
    /// Another configuration, from the control plane.
    Config(Arc<Config>),
}

/// One worker's end of the post.
pub(crate) struct Post<T> {
    inbox: Receiver<T>,
    outboxes: Vec<Outbox<T>>,
}

/// The way of another thread to a worker.
pub(crate) struct Outside<T> {
    sender: SyncSender<T>,
    waker: Arc<Waker>,
}

impl<T> Outside<T> {
    /// Puts a letter in the worker's inbox, or gives it back if there is no room for it.
    pub(crate) fn send(&self, letter: T) -> Result<(), T> {
        match self.sender.try_send(letter) {
            Ok(()) => {
                if let Err(error) = self.waker.wake() {
                    tracing::warn!(%error, "cannot wake a worker");
                }
                Ok(())
            }
            Err(TrySendError::Full(letter)) => Err(letter),
            // The worker has stopped, and so will the other thread.
            Err(TrySendError::Disconnected(_)) => Ok(()),
        }
    }
}

struct Outbox<T> {
    sender: SyncSender<T>,
    waker: Arc<Waker>,
    overflow: VecDeque<T>,
    wake: bool,
}

/// The way of the control plane to every worker.
pub(crate) struct Mailbox<T> {
    workers: Vec<(SyncSender<T>, Arc<Waker>)>,
}

impl<T> fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("workers", &self.workers.len()).finish()
    }
}

impl<T> Mailbox<T> {
    /// Sends a letter to every worker. Workers take letters in each turn, so that a full inbox soon has room; one that
    /// has none in the end belongs to a worker that is stuck, and it is named.
    pub(crate) fn send_to_all(&self, letter: impl Fn() -> T) {
        for (number, (sender, waker)) in self.workers.iter().enumerate() {
            let until = Instant::now() + MAILBOX_PATIENCE;
            let mut waiting = Some(letter());
            while let Some(letter) = waiting.take() {
                match sender.try_send(letter) {
                    Err(TrySendError::Full(letter)) if Instant::now() < until => {
                        waiting = Some(letter);
                        thread::sleep(RETRY);
                    }
                    Err(TrySendError::Full(_)) => tracing::error!(worker = number, "a worker takes no letters"),
                    // It has stopped, and so will the server.
                    Ok(()) | Err(TrySendError::Disconnected(_)) => {}
                }
                if let Err(error) = waker.wake() {
                    tracing::warn!(%error, "cannot wake a worker");
                }
            }
        }
    }
}

impl<T> Post<T> {
    /// The ends of all workers, in their order, and that of the control plane.
    pub(crate) fn connect(wakers: &[Arc<Waker>]) -> (Vec<Self>, Mailbox<T>) {
        let (senders, inboxes): (Vec<_>, Vec<_>) = wakers.iter().map(|_| sync_channel(INBOX_LETTERS)).unzip();
        let mailbox = Mailbox { workers: senders.iter().cloned().zip(wakers.iter().cloned()).collect() };
        let outboxes = || {
            senders.iter().zip(wakers).map(|(sender, waker)| Outbox {
                sender: sender.clone(),
                waker: Arc::clone(waker),
                overflow: VecDeque::new(),
                wake: false,
            })
        };
        let posts = inboxes.into_iter().map(|inbox| Self { inbox, outboxes: outboxes().collect() }).collect();
        (posts, mailbox)
    }

    /// A way of another thread to a worker.
    pub(crate) fn outside(&self, to: WorkerId) -> Option<Outside<T>> {
        let outbox = self.outboxes.get(usize::from(to.0))?;
        Some(Outside { sender: outbox.sender.clone(), waker: Arc::clone(&outbox.waker) })
    }

    pub(crate) fn receive(&self) -> Option<T> {
        self.inbox.try_recv().ok()
    }

    pub(crate) fn send(&mut self, to: WorkerId, letter: T, counters: &Counters) {
        let Some(outbox) = self.outboxes.get_mut(usize::from(to.0)) else {
            tracing::error!(worker = to.0, "a letter to a worker that does not exist");
            return;
        };
        if outbox.overflow.is_empty() {
            match outbox.sender.try_send(letter) {
                Ok(()) => outbox.wake = true,
                Err(TrySendError::Full(letter)) => {
                    counters.letters_deferred.increment();
                    outbox.overflow.push_back(letter);
                }
                // The other has stopped, and so will this one.
                Err(TrySendError::Disconnected(_)) => {}
            }
        } else {
            counters.letters_deferred.increment();
            outbox.overflow.push_back(letter);
        }
    }

    /// Tries overflow again and wakes everyone who got something; once, at the end of a turn. Says whether letters
    /// still wait.
    pub(crate) fn flush(&mut self) -> bool {
        let mut waiting = false;
        for outbox in &mut self.outboxes {
            while let Some(letter) = outbox.overflow.pop_front() {
                match outbox.sender.try_send(letter) {
                    Ok(()) => outbox.wake = true,
                    Err(TrySendError::Full(letter)) => {
                        outbox.overflow.push_front(letter);
                        waiting = true;
                        break;
                    }
                    Err(TrySendError::Disconnected(_)) => {}
                }
            }
            if std::mem::take(&mut outbox.wake)
                && let Err(error) = outbox.waker.wake()
            {
                tracing::warn!(%error, "cannot wake a worker");
            }
        }
        waiting
    }
}

#[cfg(test)]
mod tests {
    use mio::{Poll, Token};

    use super::*;

    #[test]
    fn letters_that_do_not_fit_wait_and_keep_their_order() {
        let polls = [Poll::new().unwrap(), Poll::new().unwrap()];
        let wakers = polls.each_ref().map(|poll| Arc::new(Waker::new(poll.registry(), Token(0)).unwrap()));
        let [mut sender, receiver] = <[Post<usize>; 2]>::try_from(Post::connect(&wakers).0).ok().unwrap();
        let counters = Counters::default();
        let extra = 10;
        for letter in 0..INBOX_LETTERS + extra {
            sender.send(WorkerId(1), letter, &counters);
        }
        assert_eq!(counters.letters_deferred.get(), extra as u64);
        assert!(sender.flush(), "letters wait");
        let mut received: Vec<_> = std::iter::from_fn(|| receiver.receive()).collect();
        assert_eq!(received.len(), INBOX_LETTERS);
        sender.send(WorkerId(1), INBOX_LETTERS + extra, &counters);
        assert!(!sender.flush(), "all went");
        received.extend(std::iter::from_fn(|| receiver.receive()));
        assert_eq!(received, (0..=INBOX_LETTERS + extra).collect::<Vec<_>>());
    }

    #[test]
    fn the_control_plane_reaches_every_worker_that_still_runs() {
        let polls = [Poll::new().unwrap(), Poll::new().unwrap()];
        let wakers = polls.each_ref().map(|poll| Arc::new(Waker::new(poll.registry(), Token(0)).unwrap()));
        let (posts, mailbox) = Post::connect(&wakers);
        let [stopped, running] = <[Post<u8>; 2]>::try_from(posts).ok().unwrap();
        drop(stopped);
        mailbox.send_to_all(|| 7);
        assert_eq!((running.receive(), running.receive()), (Some(7), None));
    }
}
