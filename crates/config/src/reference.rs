//! The reference of settings, made from their declarations.

use std::fmt::Write as _;

use crate::load::{ControllerSettings, LevelSettings, LoadBalancerSettings, WeightSettings};
use crate::plugin::{PluginSettings, PluginsSettings};
use crate::{
    AcmeSettings, ApplicationSettings, ApplicationsSettings, AuthProviderSettings, Authentication, CertificateSettings,
    CustomAuth, GameServerSettings, HttpQueue, HttpSettings, InstanceSettings, Key, ListenerSettings, MasterSettings,
    NameServerSettings, PolicySettings, Region, Reload, RouteSettings, S2sSettings, TcpSettings, TlsSettings, WebRpc,
    not_in_effect,
};

/// The reference of settings as Markdown.
pub fn reference() -> String {
    let sections = [
        ("PhotonServer.config: `Instance`", "Instance", InstanceSettings::keys()),
        ("PhotonServer.config: every listener", "Listener", ListenerSettings::keys()),
        ("PhotonServer.config: `TCPListener`", "TCPListener", TcpSettings::keys()),
        ("PhotonServer.config: `HTTPListener`, `WebSocketListener`", "HTTPListener", HttpSettings::keys()),
        ("PhotonServer.config: `Route`", "Route", RouteSettings::keys()),
        ("PhotonServer.config: `PolicyFileListener`", "PolicyFileListener", PolicySettings::keys()),
        ("PhotonServer.config: TLS of every listener but UDP", "HTTPListener", TlsSettings::keys()),
        ("PhotonServer.config: `ServerCertificate`", "ServerCertificate", CertificateSettings::keys()),
        ("PhotonServer.config: `S2S`, `WebSocketS2S`", "S2S", S2sSettings::keys()),
        ("PhotonServer.config: `Acme`", "Acme", AcmeSettings::keys()),
        ("PhotonServer.config: `Applications`", "Applications", ApplicationsSettings::keys()),
        ("PhotonServer.config: `Application`", "Application", ApplicationSettings::keys()),
        ("Files of all roles: tokens", "Master", Authentication::keys()),
        ("Nameserver.xml.config", "NameServer", NameServerSettings::keys()),
        ("Nameserver.xml.config: custom authentication", "NameServer", CustomAuth::keys()),
        (
            "Nameserver.xml.config: `CustomAuth/AuthProviders/AuthProvider`",
            "AuthProvider",
            AuthProviderSettings::keys(),
        ),
        ("`CustomAuth/HttpQueueSettings`, `GameServer/HttpQueueSettings`", "HttpQueueSettings", HttpQueue::keys()),
        ("Master.xml.config", "Master", MasterSettings::keys()),
        ("GameServer.xml.config", "Game", GameServerSettings::keys()),
        ("Master.xml.config, GameServer.xml.config: WebRPC", "Master", WebRpc::keys()),
        ("Nameserver.json: a node", "region", Region::keys()),
        ("Workload.config: a controller", "controller", ControllerSettings::keys()),
        ("Workload.config: a level of a controller", "controller", LevelSettings::keys()),
        ("LoadBalancer.config", "LoadBalancer", LoadBalancerSettings::keys()),
        ("LoadBalancer.config: the weight of a level", "weight", WeightSettings::keys()),
        ("plugin.config", "PluginSettings", PluginsSettings::keys()),
        ("plugin.config: a plugin", "Plugin", PluginSettings::keys()),
    ];
    let mut page = String::new();
    for (title, of, keys) in sections {
        // Writing to a string does not fail.
        let _ = write!(page, "## {title}\n\n| setting | value | default | reason of the default | meaning |\n");
        page.push_str("| --- | --- | --- | --- | --- |\n");
        for key in keys {
            let _ = writeln!(page, "{}", row(of, &key));
        }
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn row(of: &str, key: &Key) -> String {
    let restart = if key.reload == Reload::Restart { " (at the next start)" } else { "" };
    let cells = [key.expected, &key.default, key.reason, key.meaning].map(|text| text.replace('|', "\\|"));
    let [expected, default, reason, meaning] = cells;
    let missing = not_in_effect(&format!("{of} {}", key.name));
    let missing = missing.map_or_else(String::new, |why| format!(" *Not in effect yet: {why}.*"));
    format!("| `{}` | {expected} | `{default}` | {reason} | {meaning}{restart}{missing} |", key.name)
}
