//! Who gets in, and when a link is over.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::time::Duration;

use common::{PING, Pair, registration};
use lampyris_s2s::{
    Addresses, GameEvent, HANDSHAKE_TIMEOUT, Identity, LinkError, LinkId, MAX_GAME_SERVERS, MasterEvent, News, Refusal,
    Registration, Registry,
};

const NOW: Duration = Duration::from_secs(1);

#[test]
fn without_the_secret_nobody_gets_in_and_both_ends_say_why() {
    let mut pair = Pair::with(NOW, b"guess", b"secret");
    pair.carry(NOW);
    assert_eq!(pair.master.poll_event(), Some(MasterEvent::Down(LinkError::Proof)));
    let Some(GameEvent::Down(LinkError::Refused(reason))) = pair.game.poll_event() else { panic!("not refused") };
    assert!(reason.contains("AuthTokenKey"), "{reason}");
}

#[test]
fn a_master_without_the_secret_is_left() {
    let mut pair = Pair::new(NOW);
    let mut impostor = Pair::with(NOW, b"guess", b"guess");
    impostor.carry(NOW);
    impostor.master.welcome(NOW);
    let welcome = impostor.master.output().to_vec();
    // The real challenge, so that the game server comes to the point where it checks.
    let hello = pair.game.output().to_vec();
    pair.game.consume_output(hello.len());
    pair.master.receive(NOW, &hello);
    let challenge = pair.master.output().to_vec();
    pair.game.receive(NOW, &challenge);
    pair.game.receive(NOW, &welcome);
    assert_eq!(pair.game.poll_event(), Some(GameEvent::Down(LinkError::Proof)));
}

#[test]
fn a_later_minor_version_is_understood_and_others_are_not() {
    for (major, minor, fits) in [(1, 0, true), (1, 1, true), (1, 2, false), (2, 0, false), (0, 0, false)] {
        let mut pair = Pair::new(NOW);
        let mut hello = pair.game.output().to_vec();
        // Behind length, kind and magic.
        hello[9..11].copy_from_slice(&[major, minor]);
        hello[3] += 3;
        hello.extend_from_slice(b"new");
        pair.master.receive(NOW, &hello);
        let expected = (!fits).then_some(MasterEvent::Down(LinkError::Version { major, minor }));
        assert_eq!(pair.master.poll_event(), expected, "{major}.{minor}");
        assert!(!pair.master.output().is_empty(), "the other end learns our version");
    }
}

#[test]
fn kinds_of_a_later_version_are_passed_over() {
    let mut pair = Pair::new(NOW);
    let mut hello = pair.game.output().to_vec();
    pair.game.consume_output(hello.len());
    hello[10] = 1;
    pair.master.receive(NOW, &hello);
    pair.carry(NOW);
    assert!(matches!(pair.master.poll_event(), Some(MasterEvent::Registering(_))));
    pair.master.welcome(NOW);
    pair.master.receive(NOW, &[0, 0, 0, 3, 77, 1, 2, 0, 0, 0, 2, 6, 9]);
    assert_eq!(pair.master.poll_event(), Some(MasterEvent::News(News::Synced)));
    assert_eq!(pair.master.poll_event(), None);
}

#[test]
fn an_end_of_the_same_version_says_nothing_unknown() {
    let mut pair = Pair::up(NOW);
    pair.master.receive(NOW, &[0, 0, 0, 1, 77]);
    assert!(matches!(pair.master.poll_event(), Some(MasterEvent::Down(LinkError::Violation(_)))));
    let mut pair = Pair::up(NOW);
    pair.master.receive(NOW, &[0, 0, 0, 2, 6, 9]);
    assert!(matches!(pair.master.poll_event(), Some(MasterEvent::Down(LinkError::Violation(_)))));
}

#[test]
fn a_link_that_does_not_come_up_in_time_is_over() {
    let mut pair = Pair::new(NOW);
    let due = NOW + HANDSHAKE_TIMEOUT;
    assert_eq!((pair.master.next_timeout(), pair.game.next_timeout()), (Some(due), Some(due)));
    pair.master.handle_timeout(due);
    pair.game.handle_timeout(due);
    assert_eq!(pair.master.poll_event(), Some(MasterEvent::Down(LinkError::HandshakeTimeout)));
    assert_eq!(pair.game.poll_event(), Some(GameEvent::Down(LinkError::HandshakeTimeout)));
    assert_eq!(pair.master.next_timeout(), None);
}

#[test]
fn pings_keep_a_silent_link_up_and_four_missing_ones_end_it() {
    let mut pair = Pair::up(NOW);
    let mut now = NOW;
    for _ in 0..20 {
        now += PING;
        pair.game.handle_timeout(now);
        pair.master.handle_timeout(now);
        pair.carry(now);
    }
    assert_eq!((pair.master.poll_event(), pair.game.poll_event()), (None, None));
    let silent = now + 4 * PING;
    while let Some(due) = pair.master.next_timeout().filter(|due| *due <= silent) {
        pair.master.handle_timeout(due);
    }
    assert_eq!(pair.master.poll_event(), Some(MasterEvent::Down(LinkError::Silent(4 * PING))));
}

#[test]
fn an_end_that_pings_more_rarely_is_waited_for() {
    let (often, rarely) = (Duration::from_millis(100), Duration::from_secs(5));
    let mut pair = Pair::pinging(NOW, often, rarely).into_up(NOW);
    let mut now = NOW;
    while now < NOW + 3 * rarely {
        now += often;
        pair.game.handle_timeout(now);
        pair.master.handle_timeout(now);
        pair.carry(now);
    }
    assert_eq!((pair.master.poll_event(), pair.game.poll_event()), (None, None));
}

#[test]
fn a_game_server_that_stops_says_so_and_is_told_goodbye() {
    let mut pair = Pair::up(NOW);
    pair.game.tell(NOW, &News::Leaving);
    pair.carry(NOW);
    assert_eq!(pair.master.poll_event(), Some(MasterEvent::News(News::Leaving)));
    assert_eq!(pair.master.poll_event(), Some(MasterEvent::Down(LinkError::Goodbye)));
    assert_eq!(pair.game.poll_event(), Some(GameEvent::Down(LinkError::Goodbye)));
}

#[test]
fn a_refused_game_server_is_told_the_reason() {
    let mut pair = Pair::new(NOW);
    pair.carry(NOW);
    assert!(matches!(pair.master.poll_event(), Some(MasterEvent::Registering(_))));
    pair.master.refuse(NOW, "no room\nhere");
    pair.carry(NOW);
    let Some(GameEvent::Down(error)) = pair.game.poll_event() else { panic!("not refused") };
    assert_eq!(error.to_string(), "the Master refused: no roomhere");
}

#[test]
fn what_follows_a_registration_at_once_waits_for_the_welcome() {
    let mut pair = Pair::new(NOW);
    pair.carry(NOW);
    pair.master.receive(NOW, &[0, 0, 0, 1, 6]);
    assert!(matches!(pair.master.poll_event(), Some(MasterEvent::Registering(_))));
    assert_eq!(pair.master.poll_event(), None);
    pair.master.welcome(NOW);
    assert_eq!(pair.master.poll_event(), Some(MasterEvent::News(News::Synced)));
}

fn behind_proxy(number: u8, path: &str) -> Registration {
    let mut registration = registration(number);
    registration.addresses.path = path.into();
    registration
}

#[test]
fn two_game_servers_cannot_have_one_address() {
    let mut registry = Registry::default();
    let (first, second) = (registration(1), registration(2));
    assert_eq!(registry.register(LinkId(1), &first), Ok(None));
    assert_eq!(registry.register(LinkId(2), &second), Ok(None), "they share a host name and differ in the path");
    let same = Registration { identity: Identity([9; 16]), ..registration(1) };
    let refusal = registry.register(LinkId(3), &same).unwrap_err();
    assert!(refusal.to_string().contains("\"gs1\"") && refusal.to_string().contains("10.0.0.1"), "{refusal}");
    assert!(matches!(registry.register(LinkId(3), &behind_proxy(3, "gs1")), Err(Refusal::AddressTaken { .. })));
    assert!(registry.closed(LinkId(1)));
    assert_eq!(registry.register(LinkId(4), &same), Ok(None));
    assert_eq!(registry.len(), 2);
}

#[test]
fn a_game_server_that_comes_again_takes_the_place_of_its_old_link() {
    let mut registry = Registry::default();
    assert_eq!(registry.register(LinkId(1), &registration(1)), Ok(None));
    assert_eq!(registry.register(LinkId(2), &registration(1)), Ok(Some(LinkId(1))));
    assert!(!registry.closed(LinkId(1)));
    assert!(registry.closed(LinkId(2)));
    assert!(registry.is_empty());
}

#[test]
fn a_game_server_that_nobody_can_reach_is_refused() {
    let nowhere = Registration { addresses: Addresses::default(), ..registration(1) };
    let refusal = Registry::default().register(LinkId(1), &nowhere).unwrap_err();
    assert!(refusal.to_string().contains("PublicIPAddress"), "{refusal}");
}

#[test]
fn there_is_a_limit_of_game_servers() {
    let mut registry = Registry::default();
    for number in 0..=MAX_GAME_SERVERS {
        let mut one = behind_proxy(1, &format!("path{number}"));
        one.identity = Identity(u128::try_from(number).unwrap().to_be_bytes());
        one.addresses.udp = None;
        let registered = registry.register(LinkId(number as u64), &one);
        assert_eq!(registered.is_err(), number == MAX_GAME_SERVERS, "{number}");
    }
}
