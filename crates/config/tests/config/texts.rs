//! The whole text of findings, as an operator reads it.

use lampyris_config::LoadOptions;

use crate::common::{Deployment, MAIN, MASTER_XML, NAMESERVER_JSON, text_of};

fn told(path: &str, old: &str, new: &str) -> String {
    let mut deployment = Deployment::v5();
    let text = String::from_utf8(deployment.0[std::path::Path::new(path)].clone()).unwrap();
    assert!(text.contains(old), "{old}");
    deployment.put(path, text.replacen(old, new, 1));
    text_of(&deployment.load(LoadOptions::default()))
}

#[test]
fn an_unknown_attribute_names_the_nearest_known_one() {
    assert_eq!(
        told(MAIN, " DisplayName=", " DispalyName="),
        "deploy/bin/PhotonServer.config:4:34: warning: unknown setting \"DispalyName\" of Instance; did you mean \
         \"DisplayName\"?\n     \
         4 |   <Instance Name=\"LoadBalancing\" DispalyName=\"***** **** ******\"\n       \
         |                                  ^^^^^^^^^^^\n"
    );
}

#[test]
fn a_wrong_value_says_what_was_expected_and_what_came() {
    assert_eq!(
        told(MAIN, "MinimumTimeout=\"5000\"", "MinimumTimeout=\"5s\""),
        "deploy/bin/PhotonServer.config:7:29: error: Instance MinimumTimeout: expected a whole number of milliseconds, got \
         \"5s\"\n     \
         7 |             MinimumTimeout=\"5s\" MaximumTimeout=\"30000\">\n       \
         |                             ^^\n"
    );
}

#[test]
fn two_listeners_on_one_port_are_told_with_both_lines() {
    let text = told(MAIN, "Port=\"5056\"", "Port=\"5055\"");
    assert!(
        text.starts_with(
            "deploy/bin/PhotonServer.config:13:8: error: UDP port 5055 on 0.0.0.0 is taken twice: in line 11 and in line 13\n"
        ),
        "{text}"
    );
}

#[test]
fn different_token_keys_are_told_without_the_keys() {
    assert_eq!(
        told(MASTER_XML, "the-token-key", "another-key"),
        "deploy/LoadBalancing/GameServer/bin/GameServer.xml.config:3:35: error: AuthTokenKey of Game is not that of Master in \
         deploy/LoadBalancing/Master/bin/Master.xml.config:3; expected the same key in all files\n     \
         3 |     <Authentication><AuthTokenKey>*************</AuthTokenKey></Authentication>\n       \
         |                                   ^^^^^^^^^^^^^\n\
         "
        .to_owned()
            + "deploy/NameServer/bin/Nameserver.xml.config:10:21: error: AuthTokenKey of NameServer is not that of Master in \
               deploy/LoadBalancing/Master/bin/Master.xml.config:3; expected the same key in all files\n    \
               10 |       <AuthTokenKey>******************</AuthTokenKey>\n       \
               |                     ^^^^^^^^^^^^^^^^^^\n"
    );
}

#[test]
fn json_faults_show_their_line() {
    assert_eq!(
        told(NAMESERVER_JSON, "\"PortUdp\": 5055", "\"PortUdp\" 5055"),
        "deploy/Nameserver.json:8:17: error: expected a colon, got '5'\n     \
         8 |       \"PortUdp\" 5055,\n       \
         |                 ^\n"
    );
}

#[test]
fn a_missing_variable_and_an_unknown_macro_are_named() {
    assert!(told(MAIN, "Arena (own cloud)", "${NOWHERE}").contains("the environment variable NOWHERE is not set"));
    let text = told(MAIN, "[CERTS]", "[CERT]");
    assert!(text.contains("unknown macro [CERT]; expected one of [CERTS], [PORT], [IP]"), "{text}");
}

#[test]
fn an_empty_section_is_no_unknown_setting() {
    let mut deployment = Deployment::v5();
    let text = String::from_utf8(deployment.0[std::path::Path::new(MASTER_XML)].clone()).unwrap();
    deployment.put(MASTER_XML, text.replacen("<Authentication", "<master/><Masters/><Authentication", 1));
    let told = text_of(&deployment.load(LoadOptions::default()));
    assert!(!told.contains("\"master\"") && told.contains("unknown setting \"Masters\""), "{told}");
}
