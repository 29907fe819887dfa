//! The node's side: what a driver of workers does.

use std::net::SocketAddr;
use std::time::Duration;

use lampyris_client::CloseCause;
use lampyris_engine::{Action, ConnectionKey, ListenerId, WorkerId};
use rand::RngExt as _;

use super::{Happening, Letter, Place, SERVER, Seat, World};
use crate::DatagramPath;

/// Longest time that a message between workers takes.
const LETTER_TIME: Duration = Duration::from_micros(200);

impl World {
    #[expect(clippy::indexing_slicing, reason = "worker ids are made from 0 to the number of workers")]
    fn seat(&mut self, id: WorkerId) -> &mut Seat {
        &mut self.workers[usize::from(id.0)]
    }

    pub(super) fn worker_wakes(&mut self, id: WorkerId) {
        let now = self.now;
        let seat = self.seat(id);
        seat.armed = None;
        if seat.worker.next_timeout().is_some_and(|due| due <= now) {
            seat.worker.handle_timeout(now);
        }
        self.settle_worker(id);
    }

    /// The end of a worker's turn.
    pub(super) fn settle_worker(&mut self, id: WorkerId) {
        let now = self.now;
        loop {
            while let Some(action) = self.seat(id).worker.poll_action() {
                self.act(id, action);
            }
            if !self.send_datagrams(id) {
                break;
            }
        }
        let seat = self.seat(id);
        if let Some(due) = seat.worker.next_timeout()
            && seat.armed.is_none_or(|armed| due < armed)
        {
            seat.armed = Some(due);
            self.schedule(due.max(now), Happening::WorkerWakes(id));
        }
    }

    fn act(&mut self, id: WorkerId, action: Action) {
        match action {
            Action::Flush(key) => self.flush(id, key),
            Action::Close(key) => {
                self.flush(id, key);
                if let Some(stream) = self.by_connection.remove(&(id, key)) {
                    self.set_place(stream, Place::Gone);
                    let at = self.arrival_down(stream);
                    self.schedule(at, Happening::EndToHost(stream));
                }
                self.seat(id).worker.forget(key);
            }
            Action::Move(key, to) => {
                let Some(stream) = self.by_connection.remove(&(id, key)) else { return };
                match self.seat(id).worker.detach(key) {
                    Some(moved) => {
                        self.moves += 1;
                        self.set_place(stream, Place::Moving(Vec::new(), false));
                        self.post(id, to, Letter::Stream(stream, moved));
                    }
                    None => {
                        self.by_connection.insert((id, key), stream);
                    }
                }
            }
            Action::Send(to, message) => self.post(id, to, Letter::Message(Box::new(message))),
        }
    }

    fn flush(&mut self, id: WorkerId, key: ConnectionKey) {
        let Some(&stream) = self.by_connection.get(&(id, key)) else { return };
        let worker = &mut self.seat(id).worker;
        let bytes = worker.output(key).to_vec();
        worker.consume_output(key, bytes.len());
        let mut arrivals = Vec::new();
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.down.send(&self.conditions, &mut self.rng, self.now, &bytes, |at, piece| arrivals.push((at, piece)));
        }
        for (at, piece) in arrivals {
            self.schedule(at, Happening::BytesToHost(stream, piece));
        }
    }

    fn arrival_down(&mut self, stream: usize) -> Duration {
        let (conditions, rng, now) = (&self.conditions, &mut self.rng, self.now);
        self.streams.get_mut(stream).map_or(now, |stream| stream.down.end(conditions, rng, now))
    }

    /// Messages between two workers take a while and stay in order.
    fn post(&mut self, from: WorkerId, to: WorkerId, letter: Letter) {
        let mut at = self.now + LETTER_TIME.mul_f64(self.rng.random());
        if let Some(last) = self.seat(to).letters.get_mut(usize::from(from.0)) {
            at = at.max(*last);
            *last = at;
        }
        self.schedule(at, Happening::Letter(to, letter));
    }

    pub(super) fn take_letter(&mut self, to: WorkerId, letter: Letter) {
        let now = self.now;
        match letter {
            Letter::Message(message) => self.seat(to).worker.handle_message(now, *message),
            Letter::Stream(stream, moved) => {
                let key = self.seat(to).worker.attach(now, moved);
                self.by_connection.insert((to, key), stream);
                let held = self.set_place(stream, Place::At(to, key));
                if let Place::Moving(held, ended) = held {
                    for bytes in held {
                        self.bytes_to_node(stream, bytes);
                    }
                    if ended {
                        self.end_to_node(stream);
                    }
                }
            }
        }
        self.settle_worker(to);
    }

    fn set_place(&mut self, stream: usize, place: Place) -> Place {
        self.streams.get_mut(stream).map_or(Place::Gone, |stream| std::mem::replace(&mut stream.place, place))
    }

    /// Gives whether there was one.
    fn send_datagrams(&mut self, id: WorkerId) -> bool {
        let now = self.now;
        let mut any = false;
        let mut bytes = Vec::new();
        while let Some(datagram) = self.seat(id).worker.poll_datagram(now, &mut bytes) {
            any = true;
            let mut arrivals = Vec::new();
            DatagramPath::send(&self.conditions, &mut self.rng, now, &bytes, |at, bytes| arrivals.push((at, bytes)));
            for (at, bytes) in arrivals {
                self.schedule(at, Happening::DatagramToHost { to: datagram.to, bytes });
            }
            bytes.clear();
        }
        any
    }

    /// The kernel leads datagrams of one address to one worker.
    pub(super) fn datagram_to_node(&mut self, listener: ListenerId, from: SocketAddr, mut bytes: Vec<u8>) {
        let id = self.worker_for(from);
        let now = self.now;
        self.seat(id).worker.receive_datagram(now, listener, Some(SERVER), from, &mut bytes);
        self.settle_worker(id);
    }

    fn worker_for(&self, from: SocketAddr) -> WorkerId {
        WorkerId(from.port() % self.config.workers)
    }

    pub(super) fn accept(&mut self, stream: usize) {
        let now = self.now;
        let Some((listener, remote)) = self.streams.get(stream).map(|stream| (stream.listener, stream.remote)) else {
            return;
        };
        let port = self.config.listeners.get(listener.0).map_or(0, |listener| listener.port);
        let id = self.worker_for(remote);
        match self.seat(id).worker.open_stream(now, listener, SocketAddr::new(SERVER, port), remote) {
            Some(key) => {
                self.by_connection.insert((id, key), stream);
                self.set_place(stream, Place::At(id, key));
                let at = self.arrival_down(stream);
                self.schedule(at, Happening::Accepted(stream));
            }
            None => {
                self.set_place(stream, Place::Gone);
                let at = self.arrival_down(stream);
                self.schedule(at, Happening::EndToHost(stream));
            }
        }
        self.settle_worker(id);
    }

    pub(super) fn bytes_to_node(&mut self, stream: usize, mut bytes: Vec<u8>) {
        let now = self.now;
        match self.streams.get_mut(stream).map(|stream| &mut stream.place) {
            Some(Place::Moving(held, _)) => held.push(bytes),
            Some(&mut Place::At(id, key)) => {
                self.seat(id).worker.receive(now, key, &mut bytes);
                self.settle_worker(id);
            }
            _ => {}
        }
    }

    pub(super) fn end_to_node(&mut self, stream: usize) {
        let now = self.now;
        match self.streams.get_mut(stream).map(|stream| &mut stream.place) {
            Some(Place::Moving(_, ended)) => *ended = true,
            Some(&mut Place::At(id, key)) => {
                self.set_place(stream, Place::Gone);
                self.by_connection.remove(&(id, key));
                self.seat(id).worker.stream_ended(now, key, CloseCause::ByPeer);
                self.settle_worker(id);
            }
            _ => {}
        }
    }
}
