//! Binding of every port, for every worker, before anything is served.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use lampyris_engine::{ListenerConfig, ListenerId, Role, Transport};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{Options, StartError};

/// Connections that wait for `accept`, per listener and worker; the system clamps it to its own limit.
const BACKLOG: i32 = 4096;
/// Wanted size of a UDP socket's buffers: a full room's burst. The system clamps it to its own limit.
const DATAGRAM_BUFFER_BYTES: usize = 4 << 20;
/// Tries to find a free port that is free on every address.
const FREE_PORT_TRIES: usize = 16;

/// An address that a server listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundAddress {
    /// The role played there.
    pub role: Role,
    /// The transport spoken there.
    pub transport: Transport,
    /// The address, with the real port.
    pub address: SocketAddr,
}

/// One worker's share of the sockets.
#[derive(Default)]
pub(crate) struct WorkerSockets {
    pub(crate) tcp: Vec<(ListenerId, TcpListener)>,
    pub(crate) udp: Vec<(ListenerId, UdpSocket)>,
}

/// All sockets of a server.
pub(crate) struct Bound {
    /// The listeners, with real ports.
    pub(crate) listeners: Vec<ListenerConfig>,
    pub(crate) addresses: Vec<BoundAddress>,
    pub(crate) workers: Vec<WorkerSockets>,
}

/// Binds everything; ports that are 0 become free ones.
pub(crate) fn bind(options: &Options) -> Result<Bound, StartError> {
    let mut bound = Bound {
        listeners: Vec::with_capacity(options.listeners.len()),
        addresses: Vec::new(),
        workers: (0..options.workers).map(|_| WorkerSockets::default()).collect(),
    };
    for (index, listener) in options.listeners.iter().enumerate() {
        let (port, sockets) = bind_listener(options, listener)?;
        bound.listeners.push(ListenerConfig { port, ..listener.clone() });
        for (ip, per_worker) in sockets {
            let address = SocketAddr::new(ip, port);
            bound.addresses.push(BoundAddress { role: listener.role, transport: listener.transport, address });
            for (worker, socket) in bound.workers.iter_mut().zip(per_worker) {
                match listener.transport {
                    Transport::Udp => worker.udp.push((ListenerId(index), socket.into())),
                    Transport::Tcp | Transport::Ws | Transport::Wss => {
                        worker.tcp.push((ListenerId(index), socket.into()));
                    }
                }
            }
        }
    }
    Ok(bound)
}

type PerAddress = Vec<(IpAddr, Vec<Socket>)>;

fn bind_listener(options: &Options, listener: &ListenerConfig) -> Result<(u16, PerAddress), StartError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match try_bind_listener(options, listener) {
            // A port that is free on one address need not be free on the next.
            Err(StartError::PortInUse { .. }) if listener.port == 0 && tries < FREE_PORT_TRIES => {}
            result => return result,
        }
    }
}

fn try_bind_listener(options: &Options, listener: &ListenerConfig) -> Result<(u16, PerAddress), StartError> {
    const EVERY_ADDRESS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let all = options.bind.is_empty();
    let addresses = if all { EVERY_ADDRESS.as_slice() } else { options.bind.as_slice() };
    let mut port = listener.port;
    let mut sockets = PerAddress::new();
    for &ip in addresses {
        match bind_address(SocketAddr::new(ip, port), listener.transport, options.workers) {
            Ok((real_port, per_worker)) => {
                port = real_port;
                sockets.push((ip, per_worker));
            }
            Err(error) if all && is_family_missing(&error) => {
                tracing::debug!(%ip, %error, "this machine does not have this address family");
            }
            Err(error) => return Err(explain(listener, SocketAddr::new(ip, port), error)),
        }
    }
    if sockets.is_empty() {
        return Err(StartError::BadAddress(Ipv4Addr::UNSPECIFIED.into()));
    }
    Ok((port, sockets))
}

/// One socket per worker on one address, among which the system spreads the peers.
///
/// The first one is bound alone, so that a port which any other program has is an error (a shared port would not be
/// one for a second server of the same user), and only then opened for its siblings.
fn bind_address(address: SocketAddr, transport: Transport, workers: u16) -> io::Result<(u16, Vec<Socket>)> {
    let first = bind_socket(address, transport, false)?;
    let port = first.local_addr()?.as_socket().map_or_else(|| address.port(), |real| real.port());
    let address = SocketAddr::new(address.ip(), port);
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(bind_socket(address, transport, true)?);
    }
    if transport != Transport::Udp {
        for socket in &sockets {
            socket.listen(BACKLOG)?;
        }
    }
    Ok((port, sockets))
}

fn bind_socket(address: SocketAddr, transport: Transport, shared: bool) -> io::Result<Socket> {
    let (kind, protocol) = match transport {
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
        Transport::Tcp | Transport::Ws | Transport::Wss => (Type::STREAM, Protocol::TCP),
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    match transport {
        Transport::Udp => {
            socket.set_recv_buffer_size(DATAGRAM_BUFFER_BYTES)?;
            socket.set_send_buffer_size(DATAGRAM_BUFFER_BYTES)?;
        }
        Transport::Tcp | Transport::Ws | Transport::Wss => socket.set_reuse_address(true)?,
    }
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    socket.set_reuse_port(true)?;
    Ok(socket)
}

fn is_family_missing(error: &io::Error) -> bool {
    let missing = [rustix::io::Errno::AFNOSUPPORT, rustix::io::Errno::ADDRNOTAVAIL];
    rustix::io::Errno::from_io_error(error).is_some_and(|errno| missing.contains(&errno))
}

fn explain(listener: &ListenerConfig, address: SocketAddr, source: io::Error) -> StartError {
    let ListenerConfig { role, transport, .. } = *listener;
    match source.kind() {
        io::ErrorKind::AddrInUse => StartError::PortInUse { role, transport, address },
        io::ErrorKind::AddrNotAvailable => StartError::BadAddress(address.ip()),
        io::ErrorKind::PermissionDenied => StartError::PortPrivileged { role, transport, address },
        _ => StartError::Bind { role, transport, address, source },
    }
}

#[cfg(test)]
mod tests {
    use lampyris_engine::{HostName, Limits};

    use super::*;

    fn options(bind: &[&str], transport: Transport, port: u16, workers: u16) -> Options {
        Options {
            state_dir: "unused".into(),
            bind: bind.iter().map(|ip| ip.parse().unwrap()).collect(),
            listeners: vec![ListenerConfig { role: Role::Master, transport, port }],
            public_ip: None,
            public_host: HostName::Auto,
            workers,
            limits: Limits::default(),
        }
    }

    #[test]
    fn workers_share_one_free_port() {
        for transport in [Transport::Udp, Transport::Tcp] {
            let bound = bind(&options(&["127.0.0.1"], transport, 0, 3)).unwrap();
            let port = bound.listeners[0].port;
            assert_ne!(port, 0);
            assert_eq!(
                bound.addresses,
                [BoundAddress { role: Role::Master, transport, address: SocketAddr::new([127, 0, 0, 1].into(), port) }]
            );
            for worker in &bound.workers {
                let ports = worker.tcp.iter().map(|(_, socket)| socket.local_addr());
                let ports = ports.chain(worker.udp.iter().map(|(_, socket)| socket.local_addr()));
                assert_eq!(ports.map(|address| address.unwrap().port()).collect::<Vec<_>>(), [port]);
            }
        }
    }

    #[test]
    fn a_port_that_another_server_of_the_same_user_shares_out_is_in_use() {
        for transport in [Transport::Udp, Transport::Ws] {
            let first = bind(&options(&["127.0.0.1"], transport, 0, 2)).unwrap();
            let port = first.listeners[0].port;
            let Err(error) = bind(&options(&["127.0.0.1"], transport, port, 2)) else { panic!("{transport:?}") };
            assert!(matches!(error, StartError::PortInUse { address, .. } if address.port() == port), "{error}");
            let text = error.to_string();
            assert!(text.contains("Master") && text.contains(transport.name()) && text.contains("--port-offset"));
        }
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        let Err(error) = bind(&options(&["192.0.2.1"], Transport::Udp, 0, 1)) else { panic!("bound") };
        assert!(matches!(error, StartError::BadAddress(_)), "{error}");
    }
}
