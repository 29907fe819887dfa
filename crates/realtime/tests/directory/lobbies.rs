//! Membership and identity of lobbies (operations.md 2.3, 5.1).

use lampyris_realtime::directory::{Effect, LobbyId, LobbyKey, LobbyType, MasterPeer, Settings};
use lampyris_realtime::report::RoomReport;
use lampyris_realtime::room::request::JoinRequest;

use lampyris_realtime::directory::request::*;

use crate::support::*;

fn joined(effects: &[Effect]) -> LobbyId {
    match effects.first() {
        Some(Effect::LobbyJoined { lobby, .. }) => *lobby,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_name_it_is_the_default_lobby_whatever_the_type() {
    let mut world = World::new();
    let peers = world.peers(3);
    let default = joined(&world.join_lobby(peers[0], &lobby("")));
    assert_eq!(joined(&world.join_lobby(peers[1], &LobbyKey::new("", LobbyType::Sql))), default);
    assert_ne!(joined(&world.join_lobby(peers[2], &lobby("named"))), default);
}

#[test]
fn name_and_type_together_are_one_lobby() {
    let mut world = World::new();
    let peers = world.peers(3);
    let list = joined(&world.join_lobby(peers[0], &lobby("x")));
    let sql = joined(&world.join_lobby(peers[1], &LobbyKey::new("x", LobbyType::Sql)));
    assert_ne!(list, sql);
    assert_eq!(joined(&world.join_lobby(peers[2], &lobby("x"))), list);
}

#[test]
fn leaving_succeeds_even_out_of_no_lobby() {
    let mut world = World::new();
    let peer = world.peer(1);
    for _ in 0..2 {
        world.directory.leave_lobby(peer, &mut world.effects);
        match world.one() {
            Effect::LobbyLeft { peer: to, response } => {
                assert_eq!((to, response.code, response.return_code), (peer, 228, 0));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn lobbies_are_limited_and_given_back_when_nobody_uses_them() {
    let mut world = World::with(Settings { lobbies: 2, ..Settings::default() }, 1);
    let peers = world.peers(3);
    world.join_lobby(peers[0], &lobby("one"));
    world.join_lobby(peers[1], &lobby("two"));
    let refused = world.join_lobby(peers[2], &lobby("three"));
    assert_eq!(response_to(peers[2], &refused[0]).return_code, -1);
    let elsewhere = JoinRequest { lobby_name: Some("three".into()), ..named("room") };
    assert_eq!(world.create(peers[2], &elsewhere), Err(-1));
    assert_eq!(world.directory.counters().lobbies_over_limit, 2);
    world.directory.leave_lobby(peers[0], &mut world.effects);
    world.take();
    assert!(world.create(peers[2], &elsewhere).is_ok());
    assert_eq!(response_to(peers[0], &world.join_lobby(peers[0], &lobby("one"))[0]).return_code, -1);
    world.report("room", RoomReport::Closed);
    world.take();
    joined(&world.join_lobby(peers[0], &lobby("one")));
}

#[test]
fn a_refused_room_leaves_no_lobby_behind() {
    let mut world = World::with(Settings { lobbies: 1, ..Settings::default() }, 1);
    let peer = world.peer(1);
    assert!(world.create(peer, &named("a")).is_ok());
    world.report("a", RoomReport::Closed);
    world.directory.game_server_lost(world.now, GAME, &mut world.effects);
    world.take();
    let elsewhere = JoinRequest { lobby_name: Some("far".into()), ..named("b") };
    assert_eq!(world.create(peer, &elsewhere), Err(SERVER_FULL));
    joined(&world.join_lobby(peer, &lobby("one")));
}

#[test]
fn changing_the_lobby_under_a_full_limit_needs_room_for_both() {
    let mut world = World::with(Settings { lobbies: 1, ..Settings::default() }, 1);
    let peer = world.peer(1);
    let one = joined(&world.join_lobby(peer, &lobby("one")));
    assert_eq!(joined(&world.join_lobby(peer, &lobby("one"))), one, "joining it again is no change");
    assert_eq!(response_to(peer, &world.join_lobby(peer, &lobby("two"))[0]).return_code, -1);
}

#[test]
fn an_unknown_peer_is_refused() {
    let mut world = World::new();
    let request = JoinLobbyRequest::default();
    world.directory.join_lobby(MasterPeer(5), &request, &mut world.effects);
    let effect = world.one();
    assert_eq!(response_to(MasterPeer(5), &effect).return_code, -3);
}

#[test]
fn a_room_settles_in_the_lobby_that_its_game_server_says() {
    let mut world = World::new();
    let peers = world.peers(2);
    assert!(world.create(peers[0], &named("room")).is_ok());
    world.report("room", created(&lobby("far"), listing(0)));
    let list = world.join_lobby(peers[1], &lobby("far"));
    assert_eq!(names_in(&event_to(peers[1], &list[1])), ["room"]);
    let list = world.join_lobby(peers[1], &lobby(""));
    assert!(names_in(&event_to(peers[1], &list[1])).is_empty());
}
