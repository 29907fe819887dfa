//! Question: does an exchange of the certificate disturb anyone, and how soon is the new one served?
//!
//! Input: clients on the Master over wss; a new certificate each second, renamed over the old one; beside them new
//! connections, each with a full handshake and a request. Unit: connections lost, handshakes failed, and the longest
//! time for which a handshake still began with a certificate that had been replaced.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use rcgen::{CertificateParams, KeyPair, KeyUsagePurpose, SerialNumber};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::lane::Lane;
use crate::login::Goal;
use crate::server::ServerOptions;
use crate::swarm::{Plan, Swarm};
use crate::tls::client_config;

const SWAP_EVERY: Duration = Duration::from_secs(1);
/// How long a replaced certificate may still be served.
const SERVED_WITHIN: Duration = Duration::from_secs(2);
/// Time for one handshake and one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whom to disturb.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SwapOptions {
    #[command(flatten)]
    server: ServerOptions,
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    #[arg(long, default_value_t = 200)]
    clients: usize,
    #[arg(long, default_value_t = 20)]
    handshakes_per_second: u32,
}

/// A certificate and when it was put in its place.
struct Swapped {
    certificate: Vec<u8>,
    at: Instant,
}

/// A handshake, and the certificate that it was shown.
struct Seen {
    certificate: Vec<u8>,
    began: Instant,
}

pub(crate) fn run(options: &SwapOptions) -> Result<()> {
    let state = options.server.state_dir.with_extension("swap");
    fs::create_dir_all(state.join("certs"))?;
    let file = state.join("certs/server.pem");
    let first = swap(&file, 0)?;
    let server = options.server.start_in(&state)?;
    let address = options.server.address(Lane::Wss)?;
    let target = address.socket;
    let (clients, goal) = (options.clients, Goal::OnMaster);
    let mut swarm = Swarm::new(Plan { lane: Lane::Wss, bare: false, address, clients, goal, prefix: "swap" })?;
    swarm.bring_up()?;

    let (swapped, seen, over) = (Mutex::new(vec![first]), Mutex::new(Vec::new()), AtomicBool::new(false));
    let (connected, failed) = thread::scope(|scope| -> Result<_> {
        let swapping = scope.spawn(|| swap_until(&over, &file, &swapped));
        let shaking = scope.spawn(|| shake_hands_until(&over, target, options.handshakes_per_second, &seen));
        let connected = swarm.run_for(Duration::from_secs(options.seconds));
        over.store(true, Ordering::Release);
        let panicked = |_| anyhow!("a thread of the generator panicked");
        swapping.join().map_err(panicked)??;
        Ok((connected, shaking.join().map_err(panicked)?))
    })?;
    swarm.leave();
    drop(server);

    let swapped = swapped.into_inner().unwrap_or_else(PoisonError::into_inner);
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let slowest = seen.iter().filter_map(|seen| still_served(seen, &swapped)).max().unwrap_or_default();
    println!("| clients | lost | certificates | handshakes | failed | old one served for at most |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let lost = usize::from(connected.is_err());
    println!("| {clients} | {lost} | {} | {} | {} | {slowest:.0?} |", swapped.len(), seen.len(), failed.len());
    connected.context("a connection was lost")?;
    if let Some(error) = failed.into_iter().next() {
        return Err(error.context("a handshake failed"));
    }
    ensure!(slowest <= SERVED_WITHIN, "a certificate was served {slowest:?} after it had been replaced");
    Ok(())
}

/// How long ago the certificate of a handshake had been replaced when the handshake began.
fn still_served(seen: &Seen, swapped: &[Swapped]) -> Option<Duration> {
    let index = swapped.iter().position(|swapped| swapped.certificate == seen.certificate)?;
    let next = swapped.get(index + 1)?;
    seen.began.checked_duration_since(next.at)
}

fn swap_until(over: &AtomicBool, file: &Path, swapped: &Mutex<Vec<Swapped>>) -> Result<()> {
    let start = Instant::now();
    for number in 1.. {
        thread::sleep((SWAP_EVERY * number).saturating_sub(start.elapsed()));
        if over.load(Ordering::Acquire) {
            break;
        }
        let new = swap(file, number.into())?;
        swapped.lock().unwrap_or_else(PoisonError::into_inner).push(new);
    }
    Ok(())
}

/// Makes a certificate and renames it over the one in `file`, as tools do that renew certificates.
fn swap(file: &Path, number: u64) -> Result<Swapped> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params.serial_number = Some(SerialNumber::from(number + 1));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let certificate = params.self_signed(&key)?;
    let beside = file.with_extension("new");
    let mut new = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    new.write_all(format!("{}{}", certificate.pem(), key.serialize_pem()).as_bytes())?;
    fs::rename(&beside, file)?;
    Ok(Swapped { certificate: certificate.der().to_vec(), at: Instant::now() })
}

/// Gives the errors.
fn shake_hands_until(
    over: &AtomicBool,
    target: SocketAddr,
    per_second: u32,
    seen: &Mutex<Vec<Seen>>,
) -> Vec<anyhow::Error> {
    let start = Instant::now();
    let mut failed = Vec::new();
    for number in 1.. {
        let due = Duration::from_secs(1) * number / per_second.max(1);
        thread::sleep(due.saturating_sub(start.elapsed()));
        if over.load(Ordering::Acquire) {
            break;
        }
        match shake_hands(target) {
            Ok(new) => seen.lock().unwrap_or_else(PoisonError::into_inner).push(new),
            Err(error) => failed.push(error),
        }
    }
    failed
}

/// Connects, asks for a page and reads the answer to its end.
fn shake_hands(target: SocketAddr) -> Result<Seen> {
    let began = Instant::now();
    let socket = TcpStream::connect_timeout(&target, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let client = ClientConnection::new(client_config()?, ServerName::try_from("localhost")?)?;
    let mut stream = StreamOwned::new(client, socket);
    stream.write_all(b"GET /photon/n HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 200 "), "expected 200, got {}", answer.escape_ascii());
    let chain = stream.conn.peer_certificates().context("expected a certificate")?;
    let certificate = chain.first().context("expected a certificate")?.to_vec();
    Ok(Seen { certificate, began })
}
