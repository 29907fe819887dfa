//! The reference of settings, made from their declarations.

use std::fmt::Write as _;

use crate::{
    ApplicationSettings, ApplicationsSettings, AuthProviderSettings, Authentication, CertificateSettings, CustomAuth,
    GameServerSettings, HttpQueue, HttpSettings, InstanceSettings, Key, ListenerSettings, MasterSettings,
    NameServerSettings, PolicySettings, Region, Reload, RouteSettings, S2sSettings, TcpSettings, TlsSettings, WebRpc,
};

/// The reference of settings as Markdown.
pub fn reference() -> String {
    let sections = [
        ("PhotonServer.config: `Instance`", InstanceSettings::keys()),
        ("PhotonServer.config: every listener", ListenerSettings::keys()),
        ("PhotonServer.config: `TCPListener`", TcpSettings::keys()),
        ("PhotonServer.config: `HTTPListener`, `WebSocketListener`", HttpSettings::keys()),
        ("PhotonServer.config: `Route`", RouteSettings::keys()),
        ("PhotonServer.config: `PolicyFileListener`", PolicySettings::keys()),
        ("PhotonServer.config: TLS of every listener but UDP", TlsSettings::keys()),
        ("PhotonServer.config: `ServerCertificate`", CertificateSettings::keys()),
        ("PhotonServer.config: `S2S`, `WebSocketS2S`", S2sSettings::keys()),
        ("PhotonServer.config: `Applications`", ApplicationsSettings::keys()),
        ("PhotonServer.config: `Application`", ApplicationSettings::keys()),
        ("Files of all roles: tokens", Authentication::keys()),
        ("Nameserver.xml.config", NameServerSettings::keys()),
        ("Nameserver.xml.config: custom authentication", CustomAuth::keys()),
        ("Nameserver.xml.config: `CustomAuth/AuthProviders/AuthProvider`", AuthProviderSettings::keys()),
        ("`CustomAuth/HttpQueueSettings`, `GameServer/HttpQueueSettings`", HttpQueue::keys()),
        ("Master.xml.config", MasterSettings::keys()),
        ("GameServer.xml.config", GameServerSettings::keys()),
        ("Master.xml.config, GameServer.xml.config: WebRPC", WebRpc::keys()),
        ("Nameserver.json: a node", Region::keys()),
    ];
    let mut page = String::new();
    for (title, keys) in sections {
        // Writing to a string does not fail.
        let _ = write!(page, "## {title}\n\n| setting | value | default | reason of the default | meaning |\n");
        page.push_str("| --- | --- | --- | --- | --- |\n");
        for key in keys {
            let _ = writeln!(page, "{}", row(&key));
        }
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn row(key: &Key) -> String {
    let restart = if key.reload == Reload::Restart { " (at the next start)" } else { "" };
    let cells = [key.expected, &key.default, key.reason, key.meaning].map(|text| text.replace('|', "\\|"));
    let [expected, default, reason, meaning] = cells;
    format!("| `{}` | {expected} | `{default}` | {reason} | {meaning}{restart} |", key.name)
}
