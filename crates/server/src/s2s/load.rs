//! How much this process has to do.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use lampyris_s2s::{State, Status};
use rustix::time::{ClockId, clock_gettime};

use crate::Counters;

/// A busy server still takes a room when no other one does; whoever wants it to take none takes it out of rotation.
const MOST_PERCENT: u32 = 99;
/// Of ten samples, the newest counts two: a moment's work is not a load.
const WEIGHT_OF_OLD: u32 = 8;
const WEIGHTS: u32 = 10;

/// Measures from sample to sample.
pub(super) struct Load {
    workers: Vec<Arc<Counters>>,
    sampled_at: Instant,
    used: Duration,
    percent: u32,
}

impl Load {
    pub(super) fn new(workers: Vec<Arc<Counters>>) -> Self {
        Self { workers, sampled_at: Instant::now(), used: processor_time(), percent: 0 }
    }

    /// How the process is now: its share of all processors, smoothed, and its clients.
    pub(super) fn sample(&mut self) -> Status {
        let (now, used) = (Instant::now(), processor_time());
        let cores = u32::try_from(available_parallelism().map_or(1, usize::from)).unwrap_or(1);
        let available = now.duration_since(self.sampled_at).saturating_mul(cores).as_millis();
        let busy = used.saturating_sub(self.used).as_millis();
        if let Some(percent) = (busy * 100).checked_div(available) {
            let percent = u32::try_from(percent).unwrap_or(MOST_PERCENT).min(MOST_PERCENT);
            self.percent = (self.percent * WEIGHT_OF_OLD + percent * (WEIGHTS - WEIGHT_OF_OLD)) / WEIGHTS;
            (self.sampled_at, self.used) = (now, used);
        }
        let peers: u64 = self.workers.iter().map(|worker| worker.connections.get()).sum();
        Status {
            state: State::Normal,
            load_percent: u8::try_from(self.percent).unwrap_or(u8::MAX),
            peers: u32::try_from(peers).unwrap_or(u32::MAX),
        }
    }
}

/// Time that all threads of this process have worked.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}
