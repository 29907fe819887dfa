//! Who is online and where (operations.md 2.11, 6.2).

use lampyris_realtime::report::RoomReport;
use lampyris_wire::Value;

use lampyris_realtime::directory::request::*;

use crate::support::*;

fn find(world: &mut World, request: &FindFriendsRequest) -> Vec<(bool, String)> {
    let asker = lampyris_realtime::directory::MasterPeer(1000);
    world.directory.find_friends(asker, request, &mut world.effects);
    let response = response_to(asker, &world.one());
    assert_eq!((response.code, response.return_code), (222, 0));
    match (response.parameters.get(1), response.parameters.get(2)) {
        (Some(Value::BoolArray(online)), Some(Value::StringArray(rooms))) => {
            assert_eq!(online.len(), rooms.len());
            online.iter().copied().zip(rooms.iter().map(ToString::to_string)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn one(world: &mut World, number: u64) -> (bool, String) {
    find(world, &FindFriendsRequest { users: vec![user(number)], ..FindFriendsRequest::default() }).remove(0)
}

fn in_room(name: &str) -> (bool, String) {
    (true, name.to_owned())
}

#[test]
fn a_user_is_online_on_the_master_on_the_way_and_in_a_room() {
    let mut world = World::new();
    assert_eq!(one(&mut world, 1), (false, String::new()));
    let peer = world.peer(1);
    assert_eq!(one(&mut world, 1), in_room(""));
    world.room("room", listing(0));
    assert!(world.join(peer, &named("room")).is_ok());
    world.directory.peer_gone(world.now, peer);
    assert_eq!(one(&mut world, 1), in_room("room"));
    world.actor_joined("room", 1, 1);
    world.pass(seconds(60));
    world.take();
    assert_eq!(one(&mut world, 1), in_room("room"));
    world.report("room", inactive(1));
    assert_eq!(one(&mut world, 1), (false, String::new()));
}

#[test]
fn who_never_arrives_is_offline_after_the_reservation() {
    let mut world = World::new();
    let peer = world.peer(1);
    world.room("room", listing(0));
    assert!(world.join(peer, &named("room")).is_ok());
    world.directory.peer_gone(world.now, peer);
    world.pass(seconds(15));
    world.take();
    assert_eq!(one(&mut world, 1), (false, String::new()));
}

#[test]
fn the_room_is_the_last_one_joined_and_stays_while_an_actor_of_the_user_is_in_it() {
    let mut world = World::new();
    world.room("a", listing(0));
    world.room("b", listing(0));
    world.actor_joined("a", 1, 1);
    world.actor_joined("b", 1, 1);
    world.actor_joined("b", 2, 1);
    world.report("a", left(1));
    world.report("b", left(1));
    assert_eq!(one(&mut world, 1), in_room("b"));
    world.report("b", RoomReport::Closed);
    assert_eq!(one(&mut world, 1), (false, String::new()));
}

#[test]
fn options_hide_rooms_and_not_users_and_answers_keep_the_order() {
    let mut world = World::new();
    world.room("closed", RoomListing { open: false, ..listing(0) });
    world.room("hidden", RoomListing { visible: false, ..listing(0) });
    world.actor_joined("closed", 1, 1);
    world.actor_joined("hidden", 1, 2);
    let peer = world.peer(3);
    assert!(world.create(peer, &named("coming")).is_ok());
    let all = FindFriendsRequest {
        users: vec![user(1), user(4), user(2), user(3), user(1)],
        ..FindFriendsRequest::default()
    };
    let rooms =
        |world: &mut World, request| find(world, &request).into_iter().map(|(_, room)| room).collect::<Vec<_>>();
    assert_eq!(rooms(&mut world, all.clone()), ["closed", "", "hidden", "coming", "closed"]);
    let online: Vec<_> = find(&mut world, &all).into_iter().map(|(online, _)| online).collect();
    assert_eq!(online, [true, false, true, true, true]);
    let created_only = FindFriendsRequest { created_only: true, ..all.clone() };
    assert_eq!(rooms(&mut world, created_only), ["closed", "", "hidden", "", "closed"]);
    let visible_only = FindFriendsRequest { visible_only: true, ..all.clone() };
    assert_eq!(rooms(&mut world, visible_only), ["closed", "", "", "coming", "closed"]);
    let open_only = FindFriendsRequest { open_only: true, ..all };
    assert_eq!(rooms(&mut world, open_only), ["", "", "hidden", "coming", ""]);
}
