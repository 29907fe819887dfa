//! An event costs the same number of allocations whether a room has two receivers or eight.

use std::time::Duration;

use allocation_counter::measure;
use lampyris_engine::{Action, ConnectionKey, Role, Transport};
use lampyris_realtime::codes::{key, operation};
use lampyris_transport::Delivery;
use lampyris_wire::{Parameters, Protocol, Value};

use crate::node::{ClientId, Connect, Node, config};

const WARM_UP: usize = 200;
const MEASURED: usize = 100;

fn event() -> Parameters {
    Parameters::from([(key::CODE, Value::Byte(1)), (key::DATA, Value::from(vec![3u8; 60]))])
}

fn room(node: &mut Node, transport: Transport, protocol: Protocol, members: usize) -> Vec<ClientId> {
    let how = Connect::to(Role::Game, transport).speaking(protocol);
    (0..members).map(|user| node.in_room(&format!("user{user}"), "room", &how)).collect()
}

/// Writes what the worker has for its sockets, as a driver does; gives the number of flushed streams.
fn flush(node: &mut Node) -> usize {
    let worker = &mut node.workers[0];
    let mut flushed = 0;
    while let Some(action) = worker.poll_action() {
        if let Action::Flush(key) = action {
            let written = worker.output(key).len();
            worker.consume_output(key, written);
            flushed += 1;
        }
    }
    flushed
}

/// Allocations for [`MEASURED`] events in a room of `members` over a stream transport.
fn over_stream(transport: Transport, protocol: Protocol, members: usize) -> u64 {
    let mut node = Node::new(config(1));
    let ids = room(&mut node, transport, protocol, members);
    let sender: ConnectionKey = node.client(ids[0]).key.unwrap();
    let message = node.encoded(ids[0], operation::RAISE_EVENT, event());
    let frame = node.client(ids[0]).frame(&message);
    let mut input = frame.clone();
    let mut raise = |node: &mut Node| {
        input.copy_from_slice(&frame);
        let now = node.now;
        node.workers[0].receive(now, sender, &mut input);
        assert_eq!(flush(node), members - 1, "every receiver has output");
    };
    (0..WARM_UP).for_each(|_| raise(&mut node));
    measure(|| (0..MEASURED).for_each(|_| raise(&mut node))).count_total
}

/// Allocations of the node alone for [`MEASURED`] events in a room of `members` over UDP, acknowledgements included.
fn over_udp(delivery: Delivery, members: usize) -> u64 {
    let mut node = Node::new(config(1));
    let ids = room(&mut node, Transport::Udp, Protocol::GpBinaryV18, members);
    let message = bytes::Bytes::from(node.encoded(ids[0], operation::RAISE_EVENT, event()));
    let mut allocations = 0;
    let mut delivered = 0;
    let mut datagrams = Vec::with_capacity(4 * members);
    for round in 0..WARM_UP + MEASURED {
        node.now += Duration::from_millis(10);
        let now = node.now;
        let sender = node.client(ids[0]).peer().unwrap();
        sender.send(now, 0, delivery, &message).unwrap();
        // The node's answers are carried to the clients and theirs to the node, until all is acknowledged.
        loop {
            let mut busy = false;
            for id in &ids {
                let client = node.client(*id);
                let (listener, remote) = (client.listener, client.remote);
                let mut input = Vec::new();
                while client.peer().unwrap().poll_transmit(now, &mut input) {
                    busy = true;
                    datagrams.push((listener, remote, std::mem::take(&mut input)));
                }
            }
            let mut output = Vec::with_capacity(64 * 1024);
            let mut sent = Vec::with_capacity(4 * members);
            let worker = &mut node.workers[0];
            let measured = measure(|| {
                for (listener, remote, input) in &mut datagrams {
                    worker.receive_datagram(now, *listener, None, *remote, input);
                }
                while let Some(datagram) = worker.poll_datagram(now, &mut output) {
                    sent.push((datagram.to, output.len()));
                }
            });
            if round >= WARM_UP {
                allocations += measured.count_total;
            }
            datagrams.clear();
            let mut rest = output.as_slice();
            let mut start = 0;
            for (to, end) in sent {
                busy = true;
                let (datagram, behind) = rest.split_at(end - start);
                (rest, start) = (behind, end);
                let id = *ids.iter().find(|id| node.client(**id).remote == to).unwrap();
                let client = node.client(id);
                let mut incoming = Vec::new();
                client.peer().unwrap().receive(now, datagram, &mut incoming);
                client.read_incoming(incoming, datagram);
                delivered += client.take().len();
            }
            if !busy {
                break;
            }
        }
    }
    assert_eq!(delivered, (WARM_UP + MEASURED) * (members - 1), "every receiver gets every event");
    allocations
}

#[test]
fn an_event_over_tcp_allocates_nothing() {
    for protocol in [Protocol::GpBinaryV16, Protocol::GpBinaryV18] {
        assert_eq!([2, 8].map(|members| over_stream(Transport::Tcp, protocol, members)), [0, 0]);
    }
}

#[test]
fn an_event_over_websocket_allocates_nothing() {
    for protocol in [Protocol::GpBinaryV16, Protocol::GpBinaryV18] {
        assert_eq!([2, 8].map(|members| over_stream(Transport::Ws, protocol, members)), [0, 0], "{protocol:?}");
    }
}

#[test]
fn an_event_in_json_allocates_for_its_reading_only() {
    let [two, eight] = [2, 8].map(|members| over_stream(Transport::Ws, Protocol::Json, members));
    assert_eq!(two, eight);
}

#[test]
fn an_event_over_udp_allocates_no_more_for_eight_than_for_two() {
    for delivery in [Delivery::Reliable, Delivery::Unreliable] {
        let [two, eight] = [2, 8].map(|members| over_udp(delivery, members));
        println!("{delivery:?}: {two} allocations in a room of 2, {eight} in a room of 8, for {MEASURED} events");
        assert!(eight <= two, "{delivery:?}: {two} allocations in a room of 2, {eight} in a room of 8");
    }
}
