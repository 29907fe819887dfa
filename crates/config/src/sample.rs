//! The built-in configuration as files, made from the declarations of the settings.

use std::fmt::Write as _;

use crate::application::Role;
use crate::effect::not_in_effect;
use crate::instance::InstanceSettings;
use crate::region::Region;
use crate::role_settings::{
    Authentication, CustomAuth, GameServerSettings, HttpQueue, MasterSettings, NameServerSettings, WebRpc,
};
use crate::settings::Key;

/// A file of the sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleFile {
    /// From the folder of the deployment.
    pub path: &'static str,
    /// Its content.
    pub text: String,
}

/// What browsers and other WebSocket clients find.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Web {
    /// A plain port for each role.
    Plain,
    /// A plain and a secure port for each role.
    Secure,
    /// One plain and one secure port for all roles. For tests: in the sample it is a comment.
    #[cfg(test)]
    OnePort,
}

/// Roles with their ports: UDP and its alternative, TCP, WebSocket, secure WebSocket.
const ROLES: [(&str, [u16; 5]); 3] = [
    ("Master", [5055, 27001, 4530, 9090, 19090]),
    ("Game", [5056, 27002, 4531, 9091, 19091]),
    ("NameServer", [5058, 27000, 4533, 9093, 19093]),
];

/// The built-in configuration in the form of version 5. `secure` also opens the secure WebSocket ports, which need a
/// certificate in `bin/certs/server.pem`.
pub fn sample(secure: bool) -> Vec<SampleFile> {
    let web = if secure { Web::Secure } else { Web::Plain };
    let queue = |prefix: &'static str| (prefix, HttpQueue::keys());
    vec![
        SampleFile { path: "bin/PhotonServer.config", text: main_file(web) },
        SampleFile { path: "Nameserver.json", text: regions() },
        SampleFile {
            path: "NameServer/bin/Nameserver.xml.config",
            text: role_file(
                Role::NameServer,
                &[
                    ("", Authentication::keys()),
                    ("", NameServerSettings::keys()),
                    ("", CustomAuth::keys()),
                    queue("CustomAuth/HttpQueueSettings/"),
                ],
            ),
        },
        SampleFile {
            path: "LoadBalancing/Master/bin/Master.xml.config",
            text: role_file(
                Role::Master,
                &[("", Authentication::keys()), ("", MasterSettings::keys()), ("", WebRpc::keys())],
            ),
        },
        SampleFile {
            path: "LoadBalancing/GameServer/bin/GameServer.xml.config",
            text: role_file(
                Role::Game,
                &[
                    ("", Authentication::keys()),
                    ("", GameServerSettings::keys()),
                    queue("GameServer/HttpQueueSettings/"),
                    ("", WebRpc::keys()),
                ],
            ),
        },
    ]
}

/// The default as it is written in a file; `None` if nothing is written.
fn written(key: &Key) -> Option<String> {
    let plain = key.default.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&key.default);
    (plain != "none" || plain.len() != key.default.len()).then(|| escape(plain))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// A file of a role: each setting as an element, below one element for each level of its name. What has no effect yet stands
/// in a comment.
fn role_file(role: Role, groups: &[(&str, Vec<Key>)]) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<configuration>\n  <Photon>\n".to_owned();
    let mut open: Vec<String> = Vec::new();
    for (prefix, key) in groups.iter().flat_map(|(prefix, keys)| keys.iter().map(move |key| (prefix, key))) {
        let name = format!("{prefix}{}", key.name);
        let mut levels: Vec<_> = name.split('/').map(str::to_owned).collect();
        let Some(leaf) = levels.pop() else { continue };
        let same = open.iter().zip(&levels).take_while(|(open, level)| open == level).count();
        close(&mut text, &mut open, same);
        for level in levels.into_iter().skip(same) {
            let _ = writeln!(text, "{}<{level}>", indent(open.len()));
            open.push(level);
        }
        let indent = indent(open.len());
        let _ = writeln!(text, "{indent}<!-- {} -->", key.meaning);
        let _ = match (written(key), not_in_effect(&format!("{} {name}", role.name()))) {
            (Some(value), Some(why)) => {
                writeln!(text, "{indent}<!-- <{leaf}>{value}</{leaf}> not in effect yet: {why} -->")
            }
            (Some(value), None) if value.is_empty() => writeln!(text, "{indent}<{leaf}></{leaf}>"),
            (Some(value), None) => writeln!(text, "{indent}<{leaf}>{value}</{leaf}>"),
            (None, _) => {
                writeln!(text, "{indent}<!-- <{leaf}>{}</{leaf}> without it: {} -->", key.expected, key.reason)
            }
        };
    }
    close(&mut text, &mut open, 0);
    text.push_str("  </Photon>\n</configuration>\n");
    text
}

fn indent(levels: usize) -> String {
    "  ".repeat(levels + 2)
}

fn close(text: &mut String, open: &mut Vec<String>, keep: usize) {
    while open.len() > keep {
        let Some(level) = open.pop() else { break };
        let _ = writeln!(text, "{}</{level}>", indent(open.len()));
    }
}

fn main_file(web: Web) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
        <!-- All three roles in one process. Every setting is explained in docs/configuration.md; one that is not written \
        has its default. -->\n\
        <Configuration>\n  <Instance Name=\"LoadBalancing\""
        .to_owned();
    let in_effect = |key: &Key| not_in_effect(&format!("Instance {}", key.name)).is_none();
    let keys = InstanceSettings::keys();
    for (key, value) in keys.iter().filter(|key| in_effect(key)).filter_map(|key| Some((key, written(key)?))) {
        let _ = write!(text, "\n            {}=\"{value}\"", key.name);
    }
    text.push_str(">\n\n    <!-- Clients in games: PUN 2 and Realtime, by UDP -->\n    <UDPListeners>\n");
    for (role, [port, alternative, ..]) in ROLES {
        for port in [port, alternative] {
            let _ =
                writeln!(text, "      <UDPListener IPAddress=\"*\" Port=\"{port}\" OverrideApplication=\"{role}\" />");
        }
    }
    text.push_str("    </UDPListeners>\n\n    <!-- The same clients, by TCP -->\n    <TCPListeners>\n");
    for (role, [_, _, port, ..]) in ROLES {
        let _ = writeln!(
            text,
            "      <TCPListener IPAddress=\"*\" Port=\"{port}\" OverrideApplication=\"{role}\" InactivityTimeout=\"10000\" />"
        );
    }
    text.push_str(
        "      <!-- Game servers on other machines connect here; without them it may stay on this machine -->\n      \
         <TCPListener IPAddress=\"127.0.0.1\" Port=\"4520\" />\n    </TCPListeners>\n\n",
    );
    text.push_str(&web_listeners(web));
    text.push_str("    <Applications Default=\"NameServer\">\n");
    for (role, folder, class) in [
        ("Master", "LoadBalancing/Master", "Photon.LoadBalancing.MasterServer.MasterApplication"),
        ("Game", "LoadBalancing/GameServer", "Photon.LoadBalancing.GameServer.GameApplication"),
        ("NameServer", "NameServer", "Photon.NameServer.PhotonApp"),
    ] {
        let _ = writeln!(text, "      <Application Name=\"{role}\" BaseDirectory=\"{folder}\" Type=\"{class}\" />");
    }
    text.push_str("    </Applications>\n  </Instance>\n</Configuration>\n");
    text
}

fn web_listeners(web: Web) -> String {
    let mut text = "    <!-- Browsers and WebGL, by WebSocket -->\n    <HTTPListeners>\n".to_owned();
    let plain: String = ROLES.iter().map(|(role, [_, _, _, port, _])| listener(role, *port, false)).collect();
    let secure: String = ROLES.iter().map(|(role, [_, _, _, _, port])| listener(role, *port, true)).collect();
    match web {
        Web::Plain => {
            text.push_str(&plain);
            text.push_str(
                "\n      <!-- Secure WebSocket. Put certificate and key into certs/server.pem beside this file, then take the \
                 lines out of the comment.\n",
            );
            text.push_str(&secure);
            text.push_str("      -->\n\n");
            text.push_str(&one_port_comment());
        }
        Web::Secure => {
            text.push_str(&plain);
            text.push_str(
                "\n      <!-- Secure WebSocket, with certificate and key in certs/server.pem beside this file -->\n",
            );
            text.push_str(&secure);
            text.push('\n');
            text.push_str(&one_port_comment());
        }
        #[cfg(test)]
        Web::OnePort => text.push_str(&one_port()),
    }
    text.push_str("    </HTTPListeners>\n\n");
    text
}

fn listener(role: &str, port: u16, secure: bool) -> String {
    let tls = if secure { " Secure=\"true\" CertificatePath=\"[CERTS]\"" } else { "" };
    // A game's client is told that the server is there; the others leave by themselves.
    let (silence, ping) = match role {
        "Game" => (" AppDataInactivityTimeout=\"15000\"", " PingEvery=\"2000\""),
        _ => ("", ""),
    };
    format!(
        "      <HTTPListener Name=\"*:[PORT]::{role}\" IPAddress=\"*\" Port=\"{port}\"{silence}{tls}>\n        <Routing>\n          \
         <Route Url=\"/+\" OverrideApplication=\"{role}\" PeerType=\"WebSocket\"{ping} />\n        </Routing>\n      \
         </HTTPListener>\n"
    )
}

fn one_port_comment() -> String {
    format!(
        "      <!-- All roles on one port each for ws and wss, told apart by their path, in place of the listeners above. The \
         addresses must say so too: MasterServerPortWebSocket 80, MasterServerPortSecureWebSocket 443 and MasterServerWsPath \
         master in Nameserver.xml.config; GamingWebSocketPort 80, GamingSecureWebSocketPort 443 and GamingWsPath game in \
         GameServer.xml.config.\n{}      -->\n",
        one_port()
    )
}

fn one_port() -> String {
    let routes = "        <Routing>\n          \
         <Route Url=\"/master/+\" OverrideApplication=\"Master\" PeerType=\"WebSocket\" />\n          \
         <Route Url=\"/game/+\" OverrideApplication=\"Game\" PeerType=\"WebSocket\" PingEvery=\"2000\" />\n          \
         <Route Url=\"/+\" OverrideApplication=\"NameServer\" PeerType=\"WebSocket\" />\n        </Routing>\n      \
         </HTTPListener>\n";
    format!(
        "      <HTTPListener Name=\"*:[PORT]\" IPAddress=\"*\" Port=\"80\">\n{routes}      \
         <HTTPListener Name=\"*:[PORT]\" IPAddress=\"*\" Port=\"443\" Secure=\"true\" CertificatePath=\"[CERTS]\">\n{routes}"
    )
}

/// One region, whose Master is in the same process.
fn regions() -> String {
    let mut text =
        "// Regions that clients can choose, and the address of the Master of each.\n{\n  \"Nodes\": [\n    {\n"
            .to_owned();
    let own = [("Region", "\"local\""), ("IpAddress", "\"127.0.0.1\""), ("Hostname", "\"localhost\"")];
    for key in Region::keys() {
        let _ = writeln!(text, "      // {}", key.meaning);
        let value = own.iter().find(|(name, _)| *name == key.name).map(|(_, value)| (*value).to_owned());
        let _ = match value.or_else(|| written(&key)) {
            Some(value) => writeln!(text, "      \"{}\": {value},", key.name),
            None => writeln!(text, "      // \"{}\": without it: {}", key.name, key.reason),
        };
    }
    text.push_str("    },\n  ],\n}\n");
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Environment, File, LoadOptions, load};

    fn findings(files: &[SampleFile]) -> Vec<String> {
        let read = |path: &Path| {
            let name = path.strip_prefix("deploy").unwrap_or(path).to_str().unwrap_or_default();
            let text = files.iter().find(|file| file.path == name).map(|file| file.text.clone());
            let text = if name == "bin/certs/server.pem" { Some(String::new()) } else { text };
            let bytes = text.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))?.into_bytes();
            Ok(File { path: path.to_owned(), bytes })
        };
        let options = LoadOptions { strict: true, ..LoadOptions::default() };
        let environment = Environment { read: &read, variable: &|_| None };
        let loaded = load(Path::new("deploy/bin/PhotonServer.config"), options, environment);
        assert_eq!(loaded.config.is_some(), loaded.findings.is_empty());
        loaded.findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_sample_loads_without_a_finding_in_strict_mode() {
        for secure in [false, true] {
            assert_eq!(findings(&sample(secure)), Vec::<String>::new());
        }
    }

    #[test]
    fn the_sample_with_one_port_for_all_roles_loads_too() {
        let mut files = sample(false);
        files[0].text = main_file(Web::OnePort);
        assert_eq!(findings(&files), Vec::<String>::new());
    }

    #[test]
    fn every_value_of_the_sample_is_the_one_that_holds_without_it() {
        let files = sample(true);
        let read = |path: &Path| {
            let name = path.strip_prefix("deploy").unwrap_or(path).to_str().unwrap_or_default();
            let text = files.iter().find(|file| file.path == name).map_or(String::new(), |file| file.text.clone());
            Ok(File { path: path.to_owned(), bytes: text.into_bytes() })
        };
        let environment = Environment { read: &read, variable: &|_| None };
        let loaded = load(Path::new("deploy/bin/PhotonServer.config"), LoadOptions::default(), environment);
        let roles = ["Instance ", "NameServer ", "Master ", "Game "];
        let of_roles = loaded.effective.iter().filter(|one| roles.iter().any(|role| one.setting.starts_with(role)));
        let mut count = 0;
        for one in of_roles {
            assert_eq!(one.value, one.default, "{}", one.setting);
            count += 1;
        }
        assert!(count > 100, "{count}");
    }
}
