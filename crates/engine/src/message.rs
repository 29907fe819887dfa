//! What workers tell each other.

/// Number of a worker in its node, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u16);

/// A message from one worker to another. Opaque to the driver.
#[derive(Debug)]
pub enum WorkerMessage {}

/// A connection on its way to another worker, see [`crate::Worker::detach`].
#[derive(Debug)]
pub struct Moved {}
