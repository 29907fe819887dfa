//! How much this process has to do.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use lampyris_s2s::{Measured, State, Status, Workload};
use rustix::time::{ClockId, clock_gettime};

use crate::Counters;

/// Of ten samples, the newest counts two: a moment's work is not a load.
const WEIGHT_OF_OLD: u128 = 8;
const WEIGHTS: u128 = 10;

/// Measures from sample to sample.
pub(super) struct Load {
    workers: Vec<Arc<Counters>>,
    sampled_at: Instant,
    used: Duration,
    bytes: u64,
    smooth: Measured,
    workload: Workload,
}

impl Load {
    pub(super) fn new(workers: Vec<Arc<Counters>>, workload: Workload) -> Self {
        let bytes = bytes_of_clients(&workers);
        let (sampled_at, used) = (Instant::now(), processor_time());
        Self { workers, sampled_at, used, bytes, smooth: Measured::default(), workload }
    }

    /// How the process is now: its share of the processors and its bytes, both smoothed, and its clients.
    pub(super) fn sample(&mut self) -> Status {
        let (now, used, bytes) = (Instant::now(), processor_time(), bytes_of_clients(&self.workers));
        let cores = u32::try_from(available_parallelism().map_or(1, usize::from)).unwrap_or(1);
        let passed = now.duration_since(self.sampled_at);
        let busy = used.saturating_sub(self.used).as_millis() * 100;
        let moved = u128::from(bytes.saturating_sub(self.bytes)) * 1_000;
        let percent = busy.checked_div(passed.saturating_mul(cores).as_millis());
        if let (Some(percent), Some(per_second)) = (percent, moved.checked_div(passed.as_millis())) {
            self.smooth.cpu_percent = smoothed(self.smooth.cpu_percent, percent);
            self.smooth.bytes_per_second = smoothed(self.smooth.bytes_per_second, per_second);
            (self.sampled_at, self.used, self.bytes) = (now, used, bytes);
        }
        let peers: u64 = self.workers.iter().map(|worker| worker.connections.get()).sum();
        self.smooth.peers = u32::try_from(peers).unwrap_or(u32::MAX);
        Status { state: State::Normal, load_level: self.workload.update(self.smooth), peers: self.smooth.peers }
    }
}

fn smoothed(old: u32, new: u128) -> u32 {
    let sum = u128::from(old) * WEIGHT_OF_OLD + new * (WEIGHTS - WEIGHT_OF_OLD);
    u32::try_from(sum / WEIGHTS).unwrap_or(u32::MAX)
}

fn bytes_of_clients(workers: &[Arc<Counters>]) -> u64 {
    workers.iter().map(|worker| worker.bytes.get()).sum()
}

/// Time that all threads of this process have worked.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}
