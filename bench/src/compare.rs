//! Question: how many times a bare relay's CPU time does the server spend per delivered event?
//!
//! Passes of server and relay alternate in one run, each with a fresh process, so that whatever else the machine does
//! meets both. The bar: 1.5 times a bare relay of the same transport, `wss` 1.5 times bare `ws`.

use anyhow::{Context as _, Result};

use crate::connection::Address;
use crate::lane::Lane;
use crate::load::{self, Load, Pass};
use crate::process::Process;
use crate::server::ServerOptions;
use crate::statistics::median;

/// What is compared.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CompareOptions {
    #[command(flatten)]
    server: ServerOptions,
    /// Transports to compare
    #[arg(long, value_enum, value_delimiter = ',')]
    #[arg(default_values = ["ws", "wss", "tcp", "udp-reliable", "udp-unreliable"])]
    lanes: Vec<Lane>,
    /// Passes of each
    #[arg(long, default_value_t = 5)]
    passes: usize,
    /// Steady state of a pass
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    #[arg(long, default_value_t = 50)]
    rooms: usize,
}

/// The server, or the bare relay, in one lane.
struct Subject {
    lane: Lane,
    bare: bool,
    passes: Vec<Pass>,
}

pub(crate) fn run(options: &CompareOptions) -> Result<()> {
    let mut subjects: Vec<Subject> = Vec::new();
    for &lane in &options.lanes {
        subjects.push(Subject { lane, bare: false, passes: Vec::new() });
        let baseline = lane.baseline();
        if !subjects.iter().any(|subject| subject.bare && subject.lane == baseline) {
            subjects.push(Subject { lane: baseline, bare: true, passes: Vec::new() });
        }
    }
    println!("| pass | subject | user ns | kernel ns | total ns | events/s | missing | p50 | p99 |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for number in 1..=options.passes {
        for subject in &mut subjects {
            let pass = measure(options, subject).with_context(|| format!("pass {number}, {}", subject.name()))?;
            println!("| {number} | {} | {} |", subject.name(), row(&pass));
            subject.passes.push(pass);
        }
    }
    println!(
        "\n| transport | server ns/event (user + kernel) | bare ns/event (user + kernel) | ratio | server p50/p99 |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for subject in subjects.iter().filter(|subject| !subject.bare) {
        let bare = subjects.iter().find(|other| other.bare && other.lane == subject.lane.baseline());
        println!("{}", verdict(subject, bare.context("every lane has a bare one")?));
    }
    Ok(())
}

fn measure(options: &CompareOptions, subject: &Subject) -> Result<Pass> {
    let (process, address) = if subject.bare {
        let program = std::env::current_exe()?;
        let (process, port) = Process::start(&program, ["relay", subject.lane.name()])?;
        (process, Address::loopback(port.parse()?))
    } else {
        (options.server.start()?, options.server.address(subject.lane)?)
    };
    load::run(&Load {
        lane: subject.lane,
        bare: subject.bare,
        address,
        rooms: options.rooms,
        seconds: options.seconds,
        pid: process.id(),
    })
}

/// The cells of one pass.
pub(crate) fn row(pass: &Pass) -> String {
    format!(
        "{:.0} | {:.0} | {:.0} | {:.0} | {:.2} % | {:.2?} | {:.2?}",
        pass.user_ns,
        pass.kernel_ns,
        pass.total_ns(),
        pass.delivered_per_second,
        pass.missing * 100.0,
        pass.latency_p50,
        pass.latency_p99,
    )
}

fn verdict(server: &Subject, bare: &Subject) -> String {
    let (ours, theirs) = (server.middle(Pass::total_ns), bare.middle(Pass::total_ns));
    format!(
        "| {} | {ours:.0} ({:.0} + {:.0}) | {theirs:.0} ({:.0} + {:.0}) | {:.2} | {:.2} / {:.2} ms |",
        server.lane.name(),
        server.middle(|pass| pass.user_ns),
        server.middle(|pass| pass.kernel_ns),
        bare.middle(|pass| pass.user_ns),
        bare.middle(|pass| pass.kernel_ns),
        ours / theirs,
        server.middle(|pass| pass.latency_p50.as_secs_f64() * 1e3),
        server.middle(|pass| pass.latency_p99.as_secs_f64() * 1e3),
    )
}

impl Subject {
    fn name(&self) -> String {
        let kind = if self.bare { "bare" } else { "server" };
        let name = if self.bare && self.lane == Lane::UdpUnreliable { "udp" } else { self.lane.name() };
        format!("{kind} {name}")
    }

    fn middle(&self, of: impl Fn(&Pass) -> f64) -> f64 {
        median(&self.passes.iter().map(of).collect::<Vec<_>>())
    }
}
