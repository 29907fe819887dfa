//! Totals of the application and of lobbies (operations.md 2.12, 3).

use lampyris_realtime::codes::key;
use lampyris_realtime::directory::{Effect, LobbyKey, LobbyType, MasterPeer, Settings, Transport};
use lampyris_wire::{Event, Parameters, Value};

use lampyris_realtime::directory::request::*;

use crate::support::*;

fn app_stats(effects: &[Effect]) -> Vec<Event> {
    effects.iter().filter_map(|e| if let Effect::AppStats { event } = e { Some(event.clone()) } else { None }).collect()
}

fn lobby_stats(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::LobbyStats { .. })).count()
}

fn counts(parameters: &Parameters) -> (Vec<i32>, Vec<i32>) {
    (ints(parameters.get(key::PEER_COUNT)), ints(parameters.get(key::GAME_COUNT)))
}

#[test]
fn totals_come_on_connecting_and_every_five_seconds_while_they_change() {
    let mut world = World::new();
    let peer = MasterPeer(1);
    world.directory.peer_connected(world.now, peer, user(1), Transport::Tcp, &mut world.effects);
    let effect = world.one();
    let event = event_to(peer, &effect);
    let expected = Parameters::from([(227, 1_i32), (228, 0), (229, 0)]);
    assert_eq!((event.code, &event.parameters), (226, &expected));
    world.pass(seconds(5));
    assert_eq!(app_stats(&world.take()).len(), 1);
    world.pass(seconds(60));
    assert_eq!(app_stats(&world.take()).len(), 0, "nothing changed");
    world.room("room", listing(0));
    world.actor_joined("room", 1, 1);
    world.actor_joined("room", 2, 2);
    world.report("room", inactive(2));
    world.pass(seconds(4));
    assert_eq!(app_stats(&world.take()).len(), 0);
    world.pass(seconds(1));
    let events = app_stats(&world.take());
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].parameters, Parameters::from([(227, 1_i32), (228, 1), (229, 1)]));
}

#[test]
fn totals_that_are_back_at_what_was_told_are_not_told_again() {
    let mut world = World::new();
    world.peer(1);
    world.pass(seconds(5));
    world.take();
    world.peer(2);
    world.directory.peer_gone(world.now, MasterPeer(2));
    world.pass(seconds(30));
    assert_eq!(app_stats(&world.take()).len(), 0);
}

#[test]
fn statistics_of_a_lobby_count_its_peers_its_players_and_its_rooms() {
    let mut world = World::new();
    let peers = world.peers(3);
    let sql = LobbyKey::new("ranked", LobbyType::Sql);
    world.join_lobby(peers[0], &lobby(""));
    world.join_lobby(peers[1], &sql);
    world.report("room", created(&sql, listing(0)));
    world.actor_joined("room", 1, 8);
    world.actor_joined("room", 2, 9);
    assert!(world.create(peers[2], &named("not created yet")).is_ok());

    world.directory.lobby_stats(peers[0], &LobbyStatsRequest::default(), &mut world.effects);
    let response = response_to(peers[0], &world.one());
    assert_eq!((response.code, response.return_code, response.parameters.len()), (221, 0, 4));
    let names = Value::StringArray(vec!["".into(), "ranked".into()]);
    assert_eq!(response.parameters.get(key::LOBBY_NAME), Some(&names));
    assert_eq!(response.parameters.get(key::LOBBY_TYPE), Some(&Value::from(vec![0_u8, 2])));
    assert_eq!(counts(&response.parameters), (vec![1, 3], vec![0, 1]));

    let request = LobbyStatsRequest { lobbies: Some(vec![lobby("unknown"), sql]) };
    world.directory.lobby_stats(peers[0], &request, &mut world.effects);
    let response = response_to(peers[0], &world.one());
    assert_eq!(response.parameters.len(), 2);
    assert_eq!(counts(&response.parameters), (vec![0, 3], vec![0, 1]));
}

#[test]
fn asking_for_too_many_lobbies_is_out_of_range() {
    let mut world = World::with(Settings { lobbies_in_stats: 2, ..Settings::default() }, 1);
    let peer = world.peer(1);
    let request = LobbyStatsRequest { lobbies: Some(vec![lobby("a"), lobby("b"), lobby("c")]) };
    world.directory.lobby_stats(peer, &request, &mut world.effects);
    let effect = world.one();
    assert_eq!(response_to(peer, &effect).return_code, -4);
}

#[test]
fn subscribers_get_lobby_statistics_at_once_and_every_two_minutes() {
    let mut world = World::new();
    let peers = world.peers(2);
    world.join_lobby(peers[1], &lobby(""));
    world.directory.subscribe_lobby_stats(world.now, peers[0], true, &mut world.effects);
    let effect = world.one();
    assert_eq!(event_to(peers[0], &effect).code, 224);
    world.directory.subscribe_lobby_stats(world.now, peers[0], true, &mut world.effects);
    assert_eq!(world.take(), []);
    world.pass(seconds(240));
    assert_eq!(lobby_stats(&world.take()), 2);
    world.directory.peer_gone(world.now, peers[0]);
    world.pass(seconds(240));
    assert_eq!(lobby_stats(&world.take()), 0);
    world.directory.subscribe_lobby_stats(world.now, peers[1], true, &mut world.effects);
    world.directory.subscribe_lobby_stats(world.now, peers[1], false, &mut world.effects);
    world.pass(seconds(240));
    assert_eq!(lobby_stats(&world.take()), 0);
}
