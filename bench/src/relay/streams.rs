//! The bare relay of streams.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::framing::{Frame, Framing};
use super::say_ready;
use crate::swarm::ROOM_SIZE;

const LISTENER: Token = Token(usize::MAX - 1);
const READ_BYTES: usize = 64 << 10;

struct Member {
    socket: TcpStream,
    is_open: bool,
    input: Vec<u8>,
    output: Vec<u8>,
    is_dirty: bool,
}

struct Relay {
    framing: Framing,
    /// By order of connecting; those who left leave their place empty.
    members: Vec<Option<Member>>,
    dirty: Vec<usize>,
    read: Vec<u8>,
    framed: Vec<u8>,
}

pub(crate) fn serve(framing: Framing) -> Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    say_ready(listener.local_addr()?.port())?;
    let mut relay =
        Relay { framing, members: Vec::new(), dirty: Vec::new(), read: vec![0; READ_BYTES], framed: Vec::new() };
    let mut events = Events::with_capacity(1024);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                LISTENER => relay.accept(&listener, &poll)?,
                Token(index) => {
                    if event.is_readable() && relay.receive(index).is_err() {
                        relay.leave(index);
                    }
                    if event.is_writable() {
                        relay.mark(index);
                    }
                }
            }
        }
        relay.flush();
    }
}

impl Relay {
    fn accept(&mut self, listener: &TcpListener, poll: &Poll) -> Result<()> {
        loop {
            let mut socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            socket.set_nodelay(true)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut socket, Token(self.members.len()), interest)?;
            let member = Member { socket, is_open: false, input: Vec::new(), output: Vec::new(), is_dirty: false };
            self.members.push(Some(member));
        }
    }

    /// Reads all that came from one and gives it to the others.
    fn receive(&mut self, index: usize) -> Result<()> {
        loop {
            let Some(Some(member)) = self.members.get_mut(index) else { return Ok(()) };
            let count = match member.socket.read(&mut self.read) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            member.input.extend_from_slice(self.read.get(..count).unwrap_or_default());
            self.forward(index)?;
            if count < self.read.len() {
                return Ok(());
            }
        }
    }

    fn forward(&mut self, index: usize) -> Result<()> {
        let mut taken = 0;
        loop {
            let Some(Some(member)) = self.members.get_mut(index) else { return Ok(()) };
            self.framed.clear();
            let rest = member.input.get_mut(taken..).unwrap_or_default();
            let next = self.framing.next(&mut member.is_open, rest, &mut member.output, &mut self.framed)?;
            let Some((frame, count)) = next else {
                member.input.drain(..taken);
                return Ok(());
            };
            taken += count;
            match frame {
                Frame::Answered => self.mark(index),
                Frame::Forward => self.give_to_others(index),
            }
        }
    }

    fn give_to_others(&mut self, index: usize) {
        let room = index / ROOM_SIZE * ROOM_SIZE;
        for other in (room..room + ROOM_SIZE).filter(|other| *other != index) {
            if let Some(Some(member)) = self.members.get_mut(other) {
                member.output.extend_from_slice(&self.framed);
                self.mark(other);
            }
        }
    }

    fn mark(&mut self, index: usize) {
        if let Some(Some(member)) = self.members.get_mut(index)
            && !member.output.is_empty()
            && !std::mem::replace(&mut member.is_dirty, true)
        {
            self.dirty.push(index);
        }
    }

    /// The end of a loop turn.
    fn flush(&mut self) {
        while let Some(index) = self.dirty.pop() {
            let Some(Some(member)) = self.members.get_mut(index) else { continue };
            member.is_dirty = false;
            match member.socket.write(&member.output) {
                Ok(count) if count == member.output.len() => member.output.clear(),
                Ok(count) => drop(member.output.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.leave(index),
            }
        }
    }

    fn leave(&mut self, index: usize) {
        if let Some(member) = self.members.get_mut(index) {
            *member = None;
        }
    }
}
