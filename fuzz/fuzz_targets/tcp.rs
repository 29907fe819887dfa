//! Both ends of a TCP connection, before and after the init.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use lampyris_fuzz::stream::check_cuts;
use lampyris_transport::tcp::{ClientConnection, Config, ServerConnection};
use lampyris_transport::{Init, init};
use lampyris_wire::Limits;
use libfuzzer_sys::fuzz_target;

const INIT: &[u8; 48] = b"\xFB\0\0\0\x30\0\x01\xF3\0\x01\x08\x1E\x41\x08\x0D\0app\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const RESPONSE: &[u8] = b"\xFB\0\0\0\x0A\0\x01\xF3\x01\0";

fn client() -> ClientConnection {
    let said: Init = init::parse(&INIT[7..], &Limits::DEFAULT).unwrap();
    ClientConnection::new(Duration::ZERO, Arc::new(Config::default()), said, "host", &mut Vec::new()).unwrap()
}

fuzz_target!(|data: &[u8]| {
    let server = || ServerConnection::new(Duration::ZERO, Arc::new(Config::default()));
    for prefix in [&b""[..], INIT] {
        check_cuts(data, prefix, server, |connection, input, incoming, out| {
            connection.receive(Duration::ZERO, input, incoming, out);
        });
    }
    for prefix in [&b""[..], RESPONSE] {
        check_cuts(data, prefix, client, |connection, input, incoming, _| {
            connection.receive(Duration::ZERO, input, incoming);
        });
    }
});
