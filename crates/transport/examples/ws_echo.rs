//! Sends every WebSocket message back: for the WebSocket conformance cases, which know no game protocol.
//!
//! Prints `listening 127.0.0.1:PORT` and serves until it is killed, one thread per connection.
#![allow(clippy::print_stdout, reason = "the port is the program's output")]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use lampyris_transport::ws::{
    Codec, Event, MessageLimits, Opcode, Role, close_payload, write_frame, write_switching_protocols,
};

/// The largest conformance case sends 16 MiB, in as little as 64 bytes a fragment.
const LIMITS: MessageLimits = MessageLimits { bytes: 32 << 20, fragments: 1 << 20 };

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening {}", listener.local_addr()?);
    io::stdout().flush()?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || serve(stream));
    }
    Ok(())
}

/// A peer that goes away without a word ends its thread, no more.
fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut out = Vec::new();
    write_switching_protocols(&read_key(&mut stream)?, None, &mut out);
    stream.write_all(&out)?;

    let mut codec = Codec::new(Role::Server, LIMITS);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        let input = buffer.get_mut(..length).unwrap_or_default();
        out.clear();
        let goes_on = echo(&mut codec, input, &mut out);
        stream.write_all(&out)?;
        if !goes_on {
            stream.shutdown(std::net::Shutdown::Write)?;
            return io::copy(&mut stream, &mut io::sink()).map(|_| ());
        }
    }
}

/// Answers all that `input` completes; `false` when the close frame is among the answers.
fn echo(codec: &mut Codec, input: &mut [u8], out: &mut Vec<u8>) -> bool {
    let mut at = 0;
    loop {
        match codec.next(input, &mut at) {
            Ok(None) => return true,
            Ok(Some(Event::Text(body))) => write_frame(out, Opcode::Text, body.bytes(input)),
            Ok(Some(Event::Binary(body))) => write_frame(out, Opcode::Binary, body.bytes(input)),
            Ok(Some(Event::Ping(body))) => write_frame(out, Opcode::Pong, body.bytes(input)),
            Ok(Some(Event::Pong)) => {}
            Ok(Some(Event::Close { code, .. })) => {
                write_frame(out, Opcode::Close, &close_payload(code, ""));
                return false;
            }
            Err(failure) => {
                write_frame(out, Opcode::Close, &close_payload(failure.code, failure.text));
                return false;
            }
        }
    }
}

/// Reads the upgrade request byte by byte, so that nothing of the first frame is taken; gives its key.
fn read_key(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
    }
    let head = String::from_utf8_lossy(&head);
    let key = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find_map(|(name, value)| name.eq_ignore_ascii_case("Sec-WebSocket-Key").then(|| value.trim().to_owned()));
    key.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "expected a Sec-WebSocket-Key"))
}
