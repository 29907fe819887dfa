//! Enters a room, says hello and prints what happens there for a while.
//!
//! ```text
//! cargo run -p lampyris-client --example play -- udp://127.0.0.1:5058 [room] [seconds]
//! cargo run -p lampyris-client --example play -- wss://localhost:19093 room 10 authority.der
//! ```
//!
//! The address is a NameServer's; schemes are udp, tcp, ws and wss. The last argument is the certificate of an
//! authority, in DER, that signed the server's.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::time::Duration;

use lampyris_client::driver::{Driver, TlsRoots};
use lampyris_client::{Config, Entry, Event, RaiseOptions, RoomOptions, Start};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("usage: play <address> [room] [seconds] [authority.der]")?;
    let room = arguments.next().unwrap_or_else(|| "example".to_owned());
    let seconds = arguments.next().map_or(Ok(10), |text| text.parse())?;
    let roots = match arguments.next() {
        Some(path) => TlsRoots::Authorities(vec![std::fs::read(path)?.into()]),
        None => TlsRoots::None,
    };
    let config = Config::new(Start::NameServer(address.parse()?), "example");
    let mut driver = Driver::new(config.into(), roots)?;
    driver.act(|client, now| client.connect(now))?;
    let end = tokio::time::sleep(Duration::from_secs(seconds));
    tokio::pin!(end);
    let mut leaving = false;
    loop {
        let event = tokio::select! {
            event = driver.next_event() => event,
            () = &mut end, if !leaving => {
                leaving = true;
                driver.act(|client, now| client.disconnect(now));
                continue;
            }
        };
        let Some(event) = event else { return Ok(()) };
        println!("{event:?}");
        match event {
            Event::ConnectedToMaster => {
                let entry = Entry::JoinOrCreate { name: room.clone(), options: RoomOptions::default() };
                driver.act(|client, now| client.enter(now, entry.into()))?;
            }
            Event::RoomEntered(_) => {
                driver.act(|client, now| client.raise_event(now, 1, "hello", &RaiseOptions::default()))?;
            }
            _ => {}
        }
    }
}
