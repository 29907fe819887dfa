//! `Nameserver.json`: the regions and where their Masters are.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::application::{Application, Role};
use crate::check::{Check, Told};
use crate::finding::Severity;
use crate::instance::Instance;
use crate::json::{self, Kind, Node};
use crate::role_file::common_places;
use crate::role_settings::NameServerSettings;
use crate::settings::{Case, Entry, Reader, settings};
use crate::source::Span;

settings! {
    /// A node of `Nameserver.json`.
    Region {
        /// Code of the region; told in lower case.
        "Region" => region: String = String::new(), "must be written", Live;
        /// IPv4 address of the Master as clients reach it.
        "IpAddress" => ip_address: Option<Ipv4Addr> = None, "must be written", Live;
        /// IPv6 address of the Master.
        "IpAddressIPv6" => ip_address_ipv6: Option<Ipv6Addr> = None, "no IPv6", Live;
        /// Host name of the Master; without it there is no WebSocket address.
        "Hostname" => hostname: Option<String> = None, "no WebSocket", Live;
        /// UDP port; 0 = that of the NameServer's settings.
        "PortUdp" => port_udp: u16 = 0, "MasterServerPortUdp", Live;
        /// TCP port; 0 = that of the NameServer's settings.
        "PortTcp" => port_tcp: u16 = 0, "MasterServerPortTcp", Live;
        /// WebSocket port; 0 = that of the NameServer's settings.
        "PortWebSocket" => port_web_socket: u16 = 0, "MasterServerPortWebSocket", Live;
        /// Secure WebSocket port; 0 = that of the NameServer's settings.
        "PortSecureWebSocket" => port_secure_web_socket: u16 = 0, "MasterServerPortSecureWebSocket", Live;
        /// WebRTC port; 0 = that of the NameServer's settings.
        "PortWebRTC" => port_web_rtc: u16 = 0, "MasterServerPortWebRTC", Live;
        /// Path in WebSocket addresses.
        "WsUrlPath" => ws_url_path: Option<String> = None, "MasterServerWsPath", Live;
    }
}

/// Reads the list that the settings name: below the deployment, beside `PhotonServer.config`, or in the role's `bin`.
pub(crate) fn read(
    check: &mut Check<'_>,
    application: &Application,
    settings: &NameServerSettings,
    instance: &Instance,
) -> Vec<Region> {
    let places = common_places(check, application, &settings.name_server_config);
    for path in &places {
        match check.open(path) {
            Ok(Some(file)) => return parse(check, file),
            Ok(None) => {}
            Err(Told) => return Vec::new(),
        }
    }
    let [path, ..] = places;
    if instance.application(Role::Master).is_some() {
        let text = format!("there is no {}; clients are sent to this server's own Master", path.display());
        check.find(Severity::Note, &application.span, text);
    } else {
        let text = format!("there is neither a Master here nor a region list; expected {}", path.display());
        check.fail(&application.span, text);
    }
    Vec::new()
}

fn parse(check: &mut Check<'_>, file: usize) -> Vec<Region> {
    let length = check.text(file).len();
    check.reveal(&Span { file, range: 0..length });
    let root = match json::parse(check.text(file), file) {
        Ok(root) => root,
        Err(error) => {
            check.syntax(file, error);
            return Vec::new();
        }
    };
    let Kind::Object(members) = &root.kind else {
        check.fail(&root.span, format!("expected an object with \"Nodes\", got {}", root.kind.name()));
        return Vec::new();
    };
    let mut nodes = None;
    for (name, node) in members {
        if !name.text.eq_ignore_ascii_case("Nodes") {
            let near = crate::check::hint(&name.text, &["Nodes"]);
            check.warn(&name.span, format!("unknown name {:?} in the region list{near}", name.text));
        } else if nodes.replace(node).is_some() {
            check.fail(&name.span, "expected one \"Nodes\", got a second one");
        }
    }
    let Some(nodes) = nodes else {
        check.fail(&root.span, "expected a list \"Nodes\" in the region list, got none");
        return Vec::new();
    };
    let Kind::Array(items) = &nodes.kind else {
        check.fail(&nodes.span, format!("expected a list of regions, got {}", nodes.kind.name()));
        return Vec::new();
    };
    if items.is_empty() {
        check.warn(&nodes.span, "the region list is empty; expected at least one node");
    }
    items.iter().filter_map(|item| read_one(check, item)).collect()
}

fn read_one(check: &mut Check<'_>, node: &Node) -> Option<Region> {
    let Kind::Object(members) = &node.kind else {
        check.fail(&node.span, format!("expected an object for a region, got {}", node.kind.name()));
        return None;
    };
    let mut entries = Vec::new();
    for (name, value) in members {
        match &value.kind {
            Kind::Null => {}
            Kind::Scalar(text) => entries.push(Entry {
                name: name.text.clone(),
                name_span: name.span.clone(),
                value: text.clone(),
                value_span: value.span.clone(),
            }),
            other => {
                check.fail(&value.span, format!("expected a single value for {:?}, got {}", name.text, other.name()));
            }
        }
    }
    let code = entries.iter().find(|entry| entry.name.eq_ignore_ascii_case("Region"));
    let of = code.map_or_else(|| "region".to_owned(), |code| format!("region {}", code.value.to_lowercase()));
    let mut reader = Reader::new(check, of, Case::Free, entries);
    let mut region = Region::read(&mut reader);
    reader.refuse(
        &["HttpPath", "PortHttp", "PortSecureHttp"],
        "plain HTTP clients are not served; WsUrlPath is for WebSocket",
    );
    let has_address = reader.span("IpAddress").is_some();
    reader.finish();
    region.region = region.region.to_lowercase();
    if region.region.is_empty() {
        check.fail(&node.span, "this region has no code; expected one like \"Region\": \"eu\"");
    }
    if !has_address {
        check.fail(&node.span, "this region has no IpAddress; expected the IPv4 address of its Master");
    }
    Some(region)
}
