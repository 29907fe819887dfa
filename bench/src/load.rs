//! Question: what CPU time does a server or a relay spend on one delivered event?
//!
//! Input: rooms of 8 clients, each raising 20 events of 64 bytes a second, evenly spread. Unit: nanoseconds of CPU
//! time of the measured process, all threads, user mode and kernel, per event that a client received.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::connection::Address;
use crate::lane::Lane;
use crate::login::Goal;
use crate::process::CpuTime;
use crate::statistics::quantile;
use crate::swarm::{Plan, ROOM_SIZE, Swarm};

/// Time for buffers, caches and congestion windows to find their size.
const WARM_UP: Duration = Duration::from_secs(1);

/// What is loaded, with what.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) lane: Lane,
    pub(crate) bare: bool,
    pub(crate) address: Address,
    pub(crate) rooms: usize,
    pub(crate) seconds: u64,
    /// The process whose CPU time counts.
    pub(crate) pid: u32,
}

/// One pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    /// CPU nanoseconds per delivered event.
    pub(crate) user_ns: f64,
    pub(crate) kernel_ns: f64,
    pub(crate) delivered_per_second: f64,
    /// Part of the events due to receivers that did not come within the time.
    pub(crate) missing: f64,
    pub(crate) latency_p50: Duration,
    pub(crate) latency_p99: Duration,
}

impl Pass {
    pub(crate) fn total_ns(&self) -> f64 {
        self.user_ns + self.kernel_ns
    }
}

pub(crate) fn run(load: &Load) -> Result<Pass> {
    let mut swarm = Swarm::new(Plan {
        lane: load.lane,
        bare: load.bare,
        address: load.address.clone(),
        clients: load.rooms * ROOM_SIZE,
        goal: Goal::InRoom,
        prefix: "bench",
    })?;
    swarm.bring_up()?;
    swarm.start_raising();
    swarm.run_for(WARM_UP)?;
    swarm.start_counting();
    let before = CpuTime::of(load.pid)?;
    swarm.run_for(Duration::from_secs(load.seconds))?;
    let after = CpuTime::of(load.pid)?;
    let mut tally = swarm.take_tally();
    swarm.leave();
    ensure!(tally.delivered > 0, "no event was delivered");
    tally.latencies.sort_unstable();
    let (user, kernel) = after.since(before);
    #[expect(clippy::cast_precision_loss, reason = "counts of some seconds")]
    let (delivered, expected, seconds) =
        (tally.delivered as f64, tally.raised as f64 * (ROOM_SIZE - 1) as f64, load.seconds as f64);
    Ok(Pass {
        user_ns: user.as_secs_f64() * 1e9 / delivered,
        kernel_ns: kernel.as_secs_f64() * 1e9 / delivered,
        delivered_per_second: delivered / seconds,
        missing: 1.0 - delivered / expected,
        latency_p50: quantile(&tally.latencies, 500),
        latency_p99: quantile(&tally.latencies, 990),
    })
}
