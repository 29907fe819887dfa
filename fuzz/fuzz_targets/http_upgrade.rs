//! A request on a WebSocket port is upgraded, given out or answered with a status.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use lampyris_fuzz::stream::check_cuts;
use lampyris_transport::ws::{Config, ServerConnection};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let server = || ServerConnection::new(Duration::ZERO, Arc::new(Config::default()), [7; 16]);
    let observed = check_cuts(data, b"", server, |connection, input, incoming, out| {
        connection.receive(Duration::ZERO, input, incoming, out);
    });
    if let Some(observed) = observed.filter(|observed| !observed.out.is_empty()) {
        assert!(observed.out.starts_with(b"HTTP/1.1 "));
    }
});
