//! What forwarding costs without a protocol: one thread, one epoll loop, what comes from one goes to the others.
//!
//! The bare minimum to which the server's CPU time is compared. It speaks as much of a transport's framing as the
//! generator's clients need, never looks inside a message, and knows rooms only by the order of connecting: the first
//! eight clients share one, the next eight the next. Streams are written at the end of the loop turn, one write for
//! each that has output; datagrams are sent as they come, one call per receiver.

mod datagrams;
mod framing;
mod streams;

use std::io::Write as _;

use anyhow::{Result, bail};

use crate::lane::Lane;
use framing::Framing;

/// Serves for ever on a free port of the loopback interface, which it prints.
pub(crate) fn run(lane: Lane) -> Result<()> {
    match lane {
        Lane::Ws => streams::serve(Framing::Ws),
        Lane::Tcp => streams::serve(Framing::Tcp),
        Lane::UdpReliable | Lane::UdpUnreliable => datagrams::serve(),
        Lane::Wss => bail!("there is no bare TLS; the server's wss is compared with bare ws"),
    }
}

fn say_ready(port: u16) -> Result<()> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "ready: {port}")?;
    Ok(stdout.flush()?)
}
