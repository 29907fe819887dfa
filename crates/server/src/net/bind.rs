//! Binding of every port, for every worker, before anything is served.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use lampyris_engine::{Applications, ListenerConfig, ListenerId, Role, Service, Transport};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{Listener, Options, SocketSettings, StartError};

/// Connections that wait for `accept`, per listener and worker; the system clamps it to its own limit.
const BACKLOG: i32 = 4096;
/// Wanted size of a UDP socket's buffers: a full room's burst. The system clamps it to its own limit.
const DATAGRAM_BUFFER_BYTES: usize = 4 << 20;
/// Tries to find a free port that is free on every address.
const FREE_PORT_TRIES: usize = 16;

/// An address that a server listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundAddress {
    /// The listener, as its place in [`Options::listeners`].
    pub listener: ListenerId,
    /// The roles that clients can meet there.
    pub roles: Vec<Role>,
    /// The transport that clients speak there; `None` if it is not for clients.
    pub transport: Option<Transport>,
    /// The address, with the real port.
    pub address: SocketAddr,
}

impl BoundAddress {
    /// Whether clients of a transport can meet a role there.
    #[must_use]
    pub fn serves(&self, role: Role, transport: Transport) -> bool {
        self.transport == Some(transport) && self.roles.contains(&role)
    }
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
        let id = ListenerId(index);
        let (port, sockets) = bind_listener(listener, options.workers)?;
        for (ip, per_worker) in sockets {
            bound.addresses.push(BoundAddress {
                listener: id,
                roles: roles(&listener.node, &options.applications),
                transport: listener.node.transport(),
                address: SocketAddr::new(ip, port),
            });
            for (worker, socket) in bound.workers.iter_mut().zip(per_worker) {
                match listener.node.service {
                    Service::Udp(_) => worker.udp.push((id, socket.into())),
                    _ => worker.tcp.push((id, socket.into())),
                }
            }
        }
        bound.listeners.push(ListenerConfig { port, ..listener.node.clone() });
    }
    Ok(bound)
}

fn roles(node: &ListenerConfig, applications: &Applications) -> Vec<Role> {
    Role::ALL.into_iter().filter(|role| node.serves(applications, *role)).collect()
}

type PerAddress = Vec<(IpAddr, Vec<Socket>)>;

fn bind_listener(listener: &Listener, workers: u16) -> Result<(u16, PerAddress), StartError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match try_bind_listener(listener, workers) {
            // A port that is free on one address need not be free on the next.
            Err(StartError::PortInUse { .. }) if listener.node.port == 0 && tries < FREE_PORT_TRIES => {}
            result => return result,
        }
    }
}

fn try_bind_listener(listener: &Listener, workers: u16) -> Result<(u16, PerAddress), StartError> {
    const EVERY_ADDRESS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let all = listener.bind.is_empty();
    let addresses = if all { EVERY_ADDRESS.as_slice() } else { listener.bind.as_slice() };
    let mut port = listener.node.port;
    let mut sockets = PerAddress::new();
    for &ip in addresses {
        match bind_address(SocketAddr::new(ip, port), listener, workers) {
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
fn bind_address(address: SocketAddr, listener: &Listener, workers: u16) -> io::Result<(u16, Vec<Socket>)> {
    let is_udp = matches!(listener.node.service, Service::Udp(_));
    let first = bind_socket(address, is_udp, listener.sockets, false)?;
    let port = first.local_addr()?.as_socket().map_or_else(|| address.port(), |real| real.port());
    let address = SocketAddr::new(address.ip(), port);
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(bind_socket(address, is_udp, listener.sockets, true)?);
    }
    if !is_udp {
        for socket in &sockets {
            socket.listen(BACKLOG)?;
        }
    }
    Ok((port, sockets))
}

fn bind_socket(address: SocketAddr, is_udp: bool, settings: SocketSettings, shared: bool) -> io::Result<Socket> {
    let (kind, protocol) = if is_udp { (Type::DGRAM, Protocol::UDP) } else { (Type::STREAM, Protocol::TCP) };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    let own = is_udp.then_some(DATAGRAM_BUFFER_BYTES);
    // Streams inherit buffers and delay from the socket that accepts them.
    if let Some(bytes) = settings.receive_buffer_bytes.or(own) {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(bytes) = settings.send_buffer_bytes.or(own) {
        socket.set_send_buffer_size(bytes)?;
    }
    if !is_udp {
        socket.set_tcp_nodelay(settings.no_delay)?;
        socket.set_reuse_address(true)?;
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

fn explain(listener: &Listener, address: SocketAddr, source: io::Error) -> StartError {
    let (label, speaks) = (listener.node.label.clone(), listener.speaks());
    let place = listener.place.clone();
    match source.kind() {
        io::ErrorKind::AddrInUse => StartError::PortInUse { label, speaks, address, place },
        io::ErrorKind::AddrNotAvailable => StartError::BadAddress(address.ip()),
        io::ErrorKind::PermissionDenied => StartError::PortPrivileged { label, speaks, address, place },
        _ => StartError::Bind { label, speaks, address, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(bind: &[&str], transport: Transport, port: u16, workers: u16) -> Options {
        let bind = bind.iter().map(|ip| ip.parse().unwrap()).collect();
        let listener = Listener { bind, ..Listener::of_role(Role::Master, transport, port) };
        Options { workers, ..Options::new("unused".into(), vec![listener]) }
    }

    #[test]
    fn workers_share_one_free_port() {
        for transport in [Transport::Udp, Transport::Tcp] {
            let bound = bind(&options(&["127.0.0.1"], transport, 0, 3)).unwrap();
            let port = bound.listeners[0].port;
            assert_ne!(port, 0);
            let address = SocketAddr::new([127, 0, 0, 1].into(), port);
            let (listener, roles, transport) = (ListenerId(0), vec![Role::Master], Some(transport));
            assert_eq!(bound.addresses, [BoundAddress { listener, roles, transport, address }]);
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
