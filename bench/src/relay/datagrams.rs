//! The bare relay of datagrams.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use super::say_ready;
use crate::swarm::ROOM_SIZE;

const SOCKET: Token = Token(0);
const MAX_DATAGRAM: usize = 64 << 10;
/// Room for the datagrams of one slow turn.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

pub(crate) fn serve() -> Result<()> {
    let mut poll = Poll::new()?;
    let mut socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER_BYTES)?;
    poll.registry().register(&mut socket, SOCKET, Interest::READABLE)?;
    say_ready(socket.local_addr()?.port())?;
    let mut members: Vec<SocketAddr> = Vec::new();
    let mut places: HashMap<SocketAddr, usize> = HashMap::new();
    let mut datagram = vec![0; MAX_DATAGRAM];
    let mut events = Events::with_capacity(16);
    loop {
        poll.poll(&mut events, None)?;
        loop {
            let (count, from) = match socket.recv_from(&mut datagram) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // A client that left.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error.into()),
            };
            let contents = datagram.get(..count).unwrap_or_default();
            let index = *places.entry(from).or_insert_with(|| {
                members.push(from);
                members.len() - 1
            });
            let room = index / ROOM_SIZE * ROOM_SIZE;
            for (_, other) in (room..).zip(members.iter().skip(room).take(ROOM_SIZE)).filter(|(at, _)| *at != index) {
                // Lost here is as lost later.
                let _ = socket.send_to(contents, *other);
            }
        }
    }
}
