//! What every scenario needs: clients that are ready, and rooms with them in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, dead_code, unreachable_pub)]

use std::sync::Arc;
use std::time::Duration;

use lampyris_client::{
    AuthMode, Config, Entry, Event, JoinRequest, Protocol, RoomEntered, RoomOptions, Start, State, Transport,
};
use lampyris_engine::Role;
use lampyris_testkit::{HostId, World};

/// Far more than any scenario's login takes, loss included.
pub const LOGIN_TIME: Duration = Duration::from_secs(60);

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A client that starts at the NameServer.
pub fn config(world: &World, transport: Transport, protocol: Protocol, auth: AuthMode) -> Config {
    let start = Start::NameServer(world.address(Role::NameServer, transport));
    Config { protocol, auth, ..Config::new(start, "app") }
}

pub fn add(world: &mut World, transport: Transport, protocol: Protocol) -> HostId {
    let config = config(world, transport, protocol, AuthMode::Auth);
    world.add(Arc::new(config))
}

/// Connects them all to the Master.
pub fn connect(world: &mut World, hosts: &[HostId]) {
    for host in hosts {
        world.act_as(*host, |client, now| client.connect(now)).unwrap();
    }
    assert!(world.run_until_all(hosts, State::OnMaster, LOGIN_TIME), "{}", report(world, hosts));
}

pub fn join_or_create(name: &str, options: RoomOptions) -> JoinRequest {
    JoinRequest::from(Entry::JoinOrCreate { name: name.to_owned(), options })
}

pub fn join(name: &str) -> JoinRequest {
    JoinRequest::from(Entry::Join { name: name.to_owned() })
}

/// Brings them all from the Master into the room.
pub fn enter(world: &mut World, hosts: &[HostId], name: &str) {
    for host in hosts {
        let request = join_or_create(name, RoomOptions::default());
        world.act_as(*host, |client, now| client.enter(now, request)).unwrap();
    }
    assert!(world.run_until_all(hosts, State::InRoom, LOGIN_TIME), "{}", report(world, hosts));
}

/// Brings one from the Master into a room; gives what it was told.
pub fn enter_with(world: &mut World, host: HostId, request: JoinRequest) -> Result<RoomEntered, (i16, String)> {
    world.act_as(host, |client, now| client.enter(now, request)).unwrap();
    let mut seen = Vec::new();
    let mut result = None;
    world.run_until(LOGIN_TIME, |world| {
        for event in world.take_events(host) {
            match event {
                Event::RoomEntered(entered) => result = Some(Ok(*entered)),
                Event::RoomRefused { code, message } => result = Some(Err((code, message))),
                other => seen.push(other),
            }
        }
        result.is_some()
    });
    result.unwrap_or_else(|| panic!("no answer; {seen:?}; {}", report(world, &[host])))
}

/// Where everybody is and what they were told last.
pub fn report(world: &mut World, hosts: &[HostId]) -> String {
    let mut text = format!("at {:?}:", world.now());
    for host in hosts {
        let events = world.take_events(*host);
        let last = events.len().saturating_sub(4);
        text += &format!("\n  {host:?}: {:?} {:?}", world.client(*host).state(), &events[last..]);
    }
    text
}

/// The events that were raised, with sender and payload.
pub fn raised(events: Vec<Event>) -> Vec<(u8, i32, lampyris_client::Value)> {
    let raised = |event| match event {
        Event::Raised { code, sender, payload, .. } => Some((code, sender, payload)),
        _ => None,
    };
    events.into_iter().filter_map(raised).collect()
}
