//! A WebSocket connection of each sub-protocol after its upgrade, and the reading half of a client.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use lampyris_fuzz::stream::check_cuts;
use lampyris_transport::ws::{Codec, Config, MessageLimits, Role, ServerConnection};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let server = || ServerConnection::new(Duration::ZERO, Arc::new(Config::default()), [7; 16]);
    for (target, protocol) in [("/", "GpBinaryV18"), ("/?xInit=", "GpBinaryV16"), ("/app", "Json")] {
        let request = format!(
            "GET {target} HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
        );
        check_cuts(data, request.as_bytes(), server, |connection, input, incoming, out| {
            connection.receive(Duration::ZERO, input, incoming, out);
        });
    }
    let mut codec = Codec::new(Role::Client, MessageLimits::default());
    let (mut input, mut at) = (data.to_vec(), 0);
    while let Ok(Some(_)) = codec.next(&mut input, &mut at) {}
});
