//! The node's side: what a driver of workers does.

use std::net::SocketAddr;
use std::time::Duration;

use lampyris_client::CloseCause;
use lampyris_engine::{Action, ConnectionKey, WorkerId};
use rand::RngExt as _;

use super::{Door, Happening, Letter, Place, SERVER, Seat, SeatId, World};
use crate::DatagramPath;

/// Longest time that a message between workers takes.
const LETTER_TIME: Duration = Duration::from_micros(200);

impl World {
    #[expect(clippy::indexing_slicing, reason = "ids are made from 0 to the number of nodes and workers")]
    pub(super) fn seat(&mut self, id: SeatId) -> &mut Seat {
        &mut self.nodes[id.node].seats[usize::from(id.worker.0)]
    }

    pub(super) fn worker_wakes(&mut self, id: SeatId) {
        let now = self.now;
        let seat = self.seat(id);
        seat.armed = None;
        if seat.worker.next_timeout().is_some_and(|due| due <= now) {
            seat.worker.handle_timeout(now);
        }
        self.settle_worker(id);
    }

    /// The end of a worker's turn.
    pub(super) fn settle_worker(&mut self, id: SeatId) {
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

    fn act(&mut self, id: SeatId, action: Action) {
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
            Action::TellMaster(link, news) => self.tell_master(id.node, link, &news),
        }
    }

    fn flush(&mut self, id: SeatId, key: ConnectionKey) {
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
    fn post(&mut self, from: SeatId, to: WorkerId, letter: Letter) {
        let to = SeatId { worker: to, ..from };
        let mut at = self.now + LETTER_TIME.mul_f64(self.rng.random());
        if let Some(last) = self.seat(to).letters.get_mut(usize::from(from.worker.0)) {
            at = at.max(*last);
            *last = at;
        }
        self.schedule(at, Happening::Letter(to, letter));
    }

    pub(super) fn take_letter(&mut self, to: SeatId, letter: Letter) {
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
    fn send_datagrams(&mut self, id: SeatId) -> bool {
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
    pub(super) fn datagram_to_node(&mut self, door: Door, from: SocketAddr, mut bytes: Vec<u8>) {
        let id = self.worker_for(door, from);
        let now = self.now;
        self.seat(id).worker.receive_datagram(now, door.listener, Some(SERVER), from, &mut bytes);
        self.settle_worker(id);
    }

    fn worker_for(&self, door: Door, from: SocketAddr) -> SeatId {
        let workers = self.nodes.get(door.node).map_or(1, |node| node.config.workers);
        SeatId { node: door.node, worker: WorkerId(from.port() % workers) }
    }

    pub(super) fn accept(&mut self, stream: usize) {
        let now = self.now;
        let Some((door, remote)) = self.streams.get(stream).map(|stream| (stream.door, stream.remote)) else {
            return;
        };
        let port = self.port_of(door);
        let id = self.worker_for(door, remote);
        match self.seat(id).worker.open_stream(now, door.listener, SocketAddr::new(SERVER, port), remote) {
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
