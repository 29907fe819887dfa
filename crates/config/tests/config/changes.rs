//! What a reload has to do.

use lampyris_config::{LoadOptions, Reload, What, changes};

use crate::common::{Deployment, GAME_XML, MAIN, MASTER_XML, NAMESERVER_JSON, NAMESERVER_XML};

/// The changes, as text, that come of replacing text in a file of the sample.
fn told(replaced: &[(&str, &str, &str)]) -> Vec<String> {
    let old = Deployment::v5();
    let mut new = old.clone();
    for (path, before, after) in replaced {
        let text = String::from_utf8(new.0[std::path::Path::new(path)].clone()).unwrap();
        assert!(text.contains(before), "{before}");
        new.put(path, text.replacen(before, after, 1));
    }
    let load = |deployment: &Deployment| deployment.load(LoadOptions::default());
    changes(&load(&old), &load(&new)).iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_changes_when_files_are_read_again() {
    assert!(told(&[]).is_empty());
}

#[test]
fn a_changed_value_is_told_with_both_values_its_place_and_when_it_takes_effect() {
    assert_eq!(
        told(&[(MASTER_XML, "<LobbyStatsPublishInterval>60<", "<LobbyStatsPublishInterval>30<")]),
        [format!("Master Master/LobbyStatsPublishInterval: 60 is now 30  ({MASTER_XML}:7:34)")]
    );
    assert_eq!(
        told(&[(MAIN, "MaxMessageSize=\"512000\"", "MaxMessageSize=\"1000\"")]),
        [format!("Instance MaxMessageSize: 512000 is now 1000  ({MAIN}:5:29), at the next start")]
    );
}

#[test]
fn a_value_that_is_its_default_is_no_change_whether_written_or_not() {
    assert!(told(&[(MAIN, "MinimumTimeout=\"5000\"", "")]).is_empty());
    assert_eq!(
        told(&[(GAME_XML, "<MaxEmptyRoomTTL>300000</MaxEmptyRoomTTL>", "")]),
        [format!("Game GameServer/MaxEmptyRoomTTL: 300000 is now 60000  ({GAME_XML}:9:24)")]
    );
}

#[test]
fn a_changed_secret_is_told_without_it() {
    let changes = told(&[
        (NAMESERVER_XML, "provider-parameter", "another"),
        (NAMESERVER_XML, "${ARENA_TOKEN_KEY}", "new-key"),
        (MASTER_XML, "the-token-key", "new-key"),
        (GAME_XML, "the-token-key", "new-key"),
    ]);
    assert_eq!(changes.len(), 4, "{changes:?}");
    assert!(changes.iter().all(|one| one.contains("(secret) is now (secret)")), "{changes:?}");
    assert!(!format!("{changes:?}").contains("new-key"));
}

#[test]
fn listeners_and_regions_come_and_go_as_a_whole() {
    let changes = told(&[(MAIN, "Port=\"5058\"", "Port=\"6058\""), (NAMESERVER_JSON, "\"us\"", "\"asia\"")]);
    let place = |line: usize, column: usize| format!("({MAIN}:{line}:{column})");
    assert_eq!(changes.len(), 4, "{changes:?}");
    assert!(
        changes[0].starts_with("UDPListener 6058: added") && changes[0].ends_with("at the next start"),
        "{changes:?}"
    );
    assert!(changes[0].contains(&place(14, 31)), "{changes:?}");
    assert!(changes[1].starts_with("region asia: added"), "{changes:?}");
    assert!(changes[2].starts_with("UDPListener 5058: removed"), "{changes:?}");
    assert!(changes[3].starts_with("region us: removed") && !changes[3].contains("start"), "{changes:?}");
}

#[test]
fn changes_say_for_programs_what_they_say_for_people() {
    let old = Deployment::v5();
    let mut new = old.clone();
    new.0.remove(std::path::Path::new(GAME_XML));
    let load = |deployment: &Deployment| deployment.load(LoadOptions::default());
    let changes = changes(&load(&old), &load(&new));
    let address = changes.iter().find(|one| one.setting.ends_with("/PublicIPAddress")).unwrap();
    let expected = What::Changed { old: "\"192.0.2.10\"".to_owned(), new: "\"127.0.0.1\"".to_owned() };
    assert_eq!((&address.what, address.reload), (&expected, Reload::Live));
}
