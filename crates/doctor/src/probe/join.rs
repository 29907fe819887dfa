//! A real client's whole way to a room.

use std::time::{Duration, Instant};

use lampyris_client::driver::{Driver, TlsRoots};
use lampyris_client::{Config, Entry, Event, RoomOptions, ServerAddress, Start};
use lampyris_config::Role;
use tokio::time::timeout;

use super::tls::{ANY, Recorder};
use super::{Join, JoinFailure, PATIENCE};

/// Longest time for the whole way: three servers.
const WHOLE_WAY: Duration = PATIENCE.saturating_mul(4);

/// Joins a room that no lobby lists, and leaves. `role` says what is at the first address.
pub async fn join(role: Role, address: ServerAddress) -> Join {
    let transport = address.transport;
    let failed = |text: String| JoinFailure { at: address.to_string(), text };
    let start = match role {
        Role::NameServer => Start::NameServer(address.clone()),
        Role::Master | Role::Game => Start::Master(address.clone()),
    };
    let config = Config::new(start, "doctor");
    let roots = Recorder::new().client(ANY).map(TlsRoots::Config);
    let driver = roots
        .map_err(|error| error.to_string())
        .and_then(|roots| Driver::new(config.into(), roots).map_err(|error| error.to_string()));
    let result = match driver {
        Err(text) => Err(failed(text)),
        Ok(mut driver) => {
            let way = timeout(WHOLE_WAY, walk(&mut driver)).await;
            let way = way.unwrap_or_else(|_| Err(format!("not in a room within {} s", WHOLE_WAY.as_secs())));
            let at = driver.client().address().map_or_else(|| address.to_string(), ToString::to_string);
            way.map_err(|text| JoinFailure { at, text })
        }
    };
    Join { transport, result }
}

/// Gives the time until the client was in the room; the goodbyes that follow do not count.
async fn walk(driver: &mut Driver) -> Result<Duration, String> {
    let started = Instant::now();
    driver.act(|client, now| client.connect(now)).map_err(|error| error.to_string())?;
    while let Some(event) = driver.next_event().await {
        match event {
            Event::ConnectedToMaster => {
                let options = RoomOptions { visible: false, max_players: 1, ..RoomOptions::default() };
                let entry = Entry::Create { name: None, options };
                driver.act(|client, now| client.enter(now, entry.into())).map_err(|error| error.to_string())?;
            }
            Event::RoomEntered(_) => {
                let took = started.elapsed();
                driver.act(|client, now| client.disconnect(now));
                while driver.next_event().await.is_some() {}
                return Ok(took);
            }
            Event::RoomRefused { code, message } => return Err(format!("the room was refused: {code} {message}")),
            Event::Disconnected(cause) => return Err(cause.to_string()),
            _ => {}
        }
    }
    Err("the connection ended".to_owned())
}
