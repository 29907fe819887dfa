//! Listeners: where an instance is reached, and how.

use std::path::Path;

use crate::check::{Check, attributes};
use crate::s2s;
use crate::settings::{Case, Reader, Reload, settings};
use crate::source::{Place, Span};
use crate::tls::{self, CertificateSettings, Tls};
use crate::value::{ListenAddress, Milliseconds, Networks, Port, ProxyProtocol, Seconds, Value as _};
use crate::xml::Element;

settings! {
    /// Attributes that every listener has.
    ListenerSettings {
        /// Address to listen on.
        "IPAddress" => ip_address: ListenAddress = ListenAddress::EVERY_IPV4, "as the reference product", Restart;
        /// Port to listen on; without it 5055 (UDP), 5051 (WebSocketListener) or 843 (policy).
        "Port" => port: Option<Port> = None, "by kind of listener", Restart;
        /// Application of every client, whatever it asks for.
        "OverrideApplication" => override_application: Option<String> = None, "the client says", Restart;
        /// Application of a client that names none that is loaded.
        "DefaultApplication" => default_application: Option<String> = None, "that of Applications", Restart;
        /// Receive buffer of a socket in bytes; 0 = the system's.
        "RecvBufferSize" => recv_buffer_size: u32 = 0, "the system knows better", Restart;
        /// Send buffer of a socket in bytes; 0 = the system's.
        "SendBufferSize" => send_buffer_size: u32 = 0, "the system knows better", Restart;
        /// Most bytes of a message from a client.
        "MaxInboundMessageSize" => max_inbound_message_size: Option<u32> = None, "MaxMessageSize of the instance", Restart;
        /// Most bytes of a message to a client.
        "MaxOutboundMessageSize" => max_outbound_message_size: Option<u32> = None, "MaxMessageSize of the instance", Restart;
        /// Time without data of the application after which a client is disconnected.
        "AppDataInactivityTimeout" => app_data_inactivity_timeout: Option<Milliseconds> = None, "that of the instance", Restart;
    }
}

settings! {
    /// Attributes of `TCPListener`.
    TcpSettings {
        /// Time without data after which a client is disconnected; 0 = never.
        "InactivityTimeout" => inactivity_timeout: Milliseconds = Milliseconds::new(5_000), "as the reference product", Restart;
        /// Time that a client has for closing after it was told to.
        "DisconnectTimeout" => disconnect_timeout: Milliseconds = Milliseconds::new(120_000), "as the reference product", Restart;
        /// Whether small packets are sent at once.
        "DisableNagle" => disable_nagle: bool = true, "games cannot wait", Restart;
        /// With MaxQueuedBuffers: unsent data of a client in units of 4096 bytes.
        "MaxPendingWrites" => max_pending_writes: u32 = 50, "as the reference product", Restart;
        /// With MaxPendingWrites: unsent data of a client in units of 4096 bytes.
        "MaxQueuedBuffers" => max_queued_buffers: u32 = 200, "as the reference product", Restart;
        /// Flash policy for clients that ask for it.
        "PolicyFile" => policy_file: Option<String> = None, "browsers need it no more", Restart;
        /// Whether trusted proxies tell the client's address in front of TLS: `v1v2` = by the PROXY protocol.
        "ProxyProtocol" => proxy_protocol: ProxyProtocol = ProxyProtocol::Off, "clients connect themselves", Restart;
        /// Proxies that are believed what they say of clients, by the PROXY protocol or by X-Forwarded-For.
        "TrustedProxies" => trusted_proxies: Networks = Networks::default(), "nobody is believed", Restart;
    }
}

settings! {
    /// Attributes of `HTTPListener` and `WebSocketListener`.
    HttpSettings {
        /// Label in logs and metrics.
        "Name" => name: Option<String> = None, "address and port", Restart;
        /// `WebSocket` = one route for every path, if there are no routes.
        "Type" => kind: Option<String> = None, "routes say what is served", Restart;
        /// Time without data after which a client is disconnected; 0 = never.
        "InactivityTimeout" => inactivity_timeout: Milliseconds = Milliseconds::new(10_000), "as the reference product", Restart;
        /// Whether small packets are sent at once.
        "DisableNagle" => disable_nagle: bool = true, "games cannot wait", Restart;
        /// With MaxQueuedBuffers: unsent data of a client in units of 4096 bytes.
        "MaxPendingWrites" => max_pending_writes: u32 = 50, "as the reference product", Restart;
        /// With MaxPendingWrites: unsent data of a client in units of 4096 bytes.
        "MaxQueuedBuffers" => max_queued_buffers: u32 = 200, "as the reference product", Restart;
        /// Whether trusted proxies tell the client's address in front of TLS: `v1v2` = by the PROXY protocol.
        "ProxyProtocol" => proxy_protocol: ProxyProtocol = ProxyProtocol::Off, "clients connect themselves", Restart;
        /// Proxies that are believed what they say of clients, by the PROXY protocol or by X-Forwarded-For.
        "TrustedProxies" => trusted_proxies: Networks = Networks::default(), "nobody is believed", Restart;
        /// Time for which browsers that opened a page here come to this host by TLS alone (HSTS). It counts for every port
        /// of the host, so not beside plain ws listeners; and only if the listener is secure.
        "StrictTransportSecurity" => strict_transport_security: Option<Seconds> = None, "plain ws ports stay open to browsers", Restart;
    }
}

settings! {
    /// Attributes of `PolicyFileListener`.
    PolicySettings {
        /// The policy.
        "PolicyFile" => policy_file: Option<String> = None, "must be written", Restart;
        /// Time without data after which a client is disconnected.
        "InactivityTimeout" => inactivity_timeout: Milliseconds = Milliseconds::new(10_000), "as the reference product", Restart;
    }
}

settings! {
    /// Attributes of `Route`.
    RouteSettings {
        /// Paths that it serves; `*` and a last `/+` stand for any rest.
        "Url" => url: String = String::new(), "must be written", Restart;
        /// Label in metrics.
        "Name" => name: Option<String> = None, "the pattern", Restart;
        /// Application of every client, whatever it asks for.
        "OverrideApplication" => override_application: Option<String> = None, "the client says", Restart;
        /// Application of a client that names none that is loaded.
        "DefaultApplication" => default_application: Option<String> = None, "that of Applications", Restart;
        /// What is spoken: `WebSocket`.
        "PeerType" => peer_type: Option<String> = None, "needed unless Ping is true", Restart;
        /// Silence after which the server sends a WebSocket ping.
        "PingEvery" => ping_every: Option<Milliseconds> = None, "off", Restart;
        /// Whether a plain GET is answered with 200, for load balancers.
        "Ping" => ping: bool = false, "as the reference product", Restart;
        /// Whether the route has metrics of its own.
        "Counters" => counters: bool = false, "as the reference product", Restart;
    }
}

/// A path of an HTTP listener.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its attributes.
    pub settings: RouteSettings,
    pub(crate) span: Span,
}

/// What is spoken at a listener.
#[derive(Clone, Debug)]
pub enum ListenerKind {
    /// Reliable UDP.
    Udp,
    /// Frames on TCP. Without an `OverrideApplication` servers may connect too.
    Tcp(TcpSettings),
    /// WebSocket.
    Http {
        /// Its attributes.
        settings: HttpSettings,
        /// Paths; the first that matches counts.
        routes: Vec<Route>,
    },
    /// Flash policies.
    Policy(PolicySettings),
    /// Other servers, on TCP.
    TcpS2S(TcpSettings),
    /// Other servers, on WebSocket.
    WebSocketS2S(HttpSettings),
}

/// Where clients or servers connect.
#[derive(Clone, Debug)]
pub struct Listener {
    /// What is spoken.
    pub kind: ListenerKind,
    /// The port.
    pub port: Port,
    /// What every listener has.
    pub common: ListenerSettings,
    /// Present if it is secure.
    pub tls: Option<Tls>,
    /// Ports behind a proxy that ends TLS.
    pub secure_ports: Vec<SecurePort>,
    /// Where it is written.
    pub place: Place,
    pub(crate) span: Span,
}

/// A local port whose connections come from a proxy that ends TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurePort(pub Port);

/// A list of listeners, and what each of its items is.
pub(crate) struct Group {
    pub(crate) list: &'static str,
    pub(crate) item: &'static str,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Udp,
    Tcp,
    Http,
    /// An HTTP listener with one route for every path.
    WebSocket,
    Policy,
    TcpS2S,
    WebSocketS2S,
}

const fn group(list: &'static str, item: &'static str, form: Form) -> Group {
    Group { list, item, form }
}

/// Lists of listeners of version 5 and older ones.
pub(crate) const GROUPS: [Group; 9] = [
    group("UDPListeners", "UDPListener", Form::Udp),
    group("TCPListeners", "TCPListener", Form::Tcp),
    group("HTTPListeners", "HTTPListener", Form::Http),
    group("WebSocketListeners", "WebSocketListener", Form::WebSocket),
    group("PolicyFileListeners", "PolicyFileListener", Form::Policy),
    group("TCPPolicyListeners", "TCPPolicyListener", Form::Policy),
    group("TCPFlashListeners", "TCPFlashListener", Form::Policy),
    group("TCPS2SListeners", "TCPS2SListener", Form::TcpS2S),
    group("WebSocketS2SListeners", "WebSocketS2SListener", Form::WebSocketS2S),
];

impl Form {
    /// What the certificate page of the reference product calls such listeners.
    fn other_name(self) -> Option<&'static str> {
        match self {
            Self::TcpS2S => Some("S2S"),
            Self::WebSocketS2S => Some("WebSocketS2S"),
            _ => None,
        }
    }

    fn default_port(self) -> Option<Port> {
        match self {
            Self::Udp => Some(Port(5055)),
            Self::WebSocket => Some(Port(5051)),
            Self::Policy => Some(Port(843)),
            _ => None,
        }
    }
}

/// Every listener of an instance, and whether two of them want the same port.
pub(crate) fn read_all(
    check: &mut Check<'_>,
    instance: &Element,
    name: &str,
    s2s: &CertificateSettings,
) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for group in &GROUPS {
        for list in instance.children(group.list) {
            check.unknown_children(list, &[group.item]);
            for attribute in &list.attributes {
                check.warn(
                    &attribute.name.span,
                    format!("unknown attribute {:?} of <{}>", attribute.name.text, group.list),
                );
            }
            listeners.extend(list.children(group.item).filter_map(|item| read(check, item, group, name, s2s)));
        }
        let other_name = group.form.other_name().into_iter().flat_map(|other| instance.children(other));
        let items = instance.children(group.item).chain(other_name.filter(|item| s2s::is_listener(item)));
        listeners.extend(items.filter_map(|item| read(check, item, group, name, s2s)));
    }
    if listeners.is_empty() {
        check.fail(&instance.name.span, "expected at least one listener in the instance, got none");
    }
    for (index, listener) in listeners.iter().enumerate() {
        let is_udp = |listener: &Listener| matches!(listener.kind, ListenerKind::Udp);
        let collides = |other: &&Listener| {
            is_udp(other) == is_udp(listener)
                && other.port == listener.port
                && other.common.ip_address.collides(listener.common.ip_address)
        };
        if let Some(first) = listeners.iter().take(index).find(collides) {
            let (address, port) = (listener.common.ip_address.show(), listener.port.0);
            let protocol = if is_udp(listener) { "UDP" } else { "TCP" };
            let line = check.line(&first.span, &listener.span);
            let own = check.line(&listener.span, &listener.span);
            let text = format!("{protocol} port {port} on {address} is taken twice: in {line} and in {own}");
            check.fail(&listener.span, text);
        }
    }
    listeners
}

fn read(
    check: &mut Check<'_>,
    element: &Element,
    group: &Group,
    instance: &str,
    s2s: &CertificateSettings,
) -> Option<Listener> {
    let span = element.name.span.clone();
    let port = element.attribute("Port").map_or("", |port| port.value.text.as_str());
    let of = if port.is_empty() { group.item.to_owned() } else { format!("{} {port}", group.item) };
    let folder = check.folder(span.file);
    let macros = macros(&folder, element, instance);
    let mut reader = Reader::new(check, of, Case::Told, attributes(element));
    let common = ListenerSettings::read(&mut reader);
    let port_span = reader.span("Port");
    reader.ignore(&["ListenBacklog"]);
    reader.check.macros = macros;
    let tls = if group.form == Form::Udp { None } else { tls::read(&mut reader, element, &folder, s2s) };
    let kind = read_kind(&mut reader, element, group.form);
    reader.finish();
    check.macros.clear();
    let secure_ports = secure_ports(check, element);
    let Some(port) = common.port.or_else(|| group.form.default_port()) else {
        // A port that is written and wrong has been told.
        if port_span.is_none_or(|_| port.is_empty()) {
            check.fail(&span, format!("<{}> has no Port; expected one like Port=\"9090\"", group.item));
        }
        return None;
    };
    let place = check.place(&span);
    Some(Listener { kind, port, common, tls, secure_ports, place, span })
}

/// `[NAME]` and what it stands for at a listener.
fn macros(folder: &Path, element: &Element, instance: &str) -> Vec<(&'static str, String)> {
    let of = |name: &str| element.attribute(name).map_or(String::new(), |attribute| attribute.value.text.clone());
    let mut macros = tls::folder_macros(folder);
    macros.splice(1..1, [("PORT", of("Port")), ("IP", of("IPAddress")), ("INSTANCE", instance.to_owned())]);
    macros
}

/// A header that anybody may send would let everybody choose an address.
fn check_proxies(reader: &mut Reader<'_, '_>, protocol: ProxyProtocol, trusted: &Networks) {
    if let Some(span) = reader.span("ProxyProtocol")
        && protocol != ProxyProtocol::Off
        && trusted.0.is_empty()
    {
        let text = "expected TrustedProxies beside ProxyProtocol, got none; name the addresses of your proxies";
        reader.check.fail(&span, text);
    }
}

/// Browsers take no notice of what a plain answer says of it.
fn check_strict_transport(reader: &mut Reader<'_, '_>, element: &Element) {
    let secure = element.attribute("Secure").is_some_and(|secure| bool::parse(&secure.value.text) == Some(true));
    if let Some(span) = reader.span("StrictTransportSecurity")
        && !secure
    {
        reader.check.warn(&span, "StrictTransportSecurity has no effect: the listener is not secure");
    }
}

fn read_kind(reader: &mut Reader<'_, '_>, element: &Element, form: Form) -> ListenerKind {
    let own: &[&str] = match form {
        Form::Http => &["Routing", "ServerCertificates", "ServerCertificate", "SecurePorts"],
        Form::Udp => &["SecurePorts"],
        _ => &["ServerCertificates", "ServerCertificate", "SecurePorts"],
    };
    reader.check.unknown_children(element, own);
    match form {
        Form::Udp => ListenerKind::Udp,
        Form::Tcp | Form::TcpS2S => {
            let settings = TcpSettings::read(reader);
            check_proxies(reader, settings.proxy_protocol, &settings.trusted_proxies);
            let clients_only = "this server chooses the application and the frames itself";
            reader.refuse(&["PolicyApplication", "CustomConnectMessageIsRequired"], clients_only);
            reader.refuse(&["CustomConnectMessagePrefix", "CustomConnectMessageSuffix"], clients_only);
            if form == Form::Tcp { ListenerKind::Tcp(settings) } else { ListenerKind::TcpS2S(settings) }
        }
        Form::Policy => {
            let settings = PolicySettings::read(reader);
            if settings.policy_file.is_none() {
                let text = format!("<{}> has no PolicyFile; expected the path of one", element.name.text);
                reader.check.fail(&element.name.span, text);
            }
            ListenerKind::Policy(settings)
        }
        Form::WebSocketS2S => ListenerKind::WebSocketS2S(HttpSettings::read(reader)),
        Form::Http | Form::WebSocket => {
            let settings = HttpSettings::read(reader);
            check_proxies(reader, settings.proxy_protocol, &settings.trusted_proxies);
            check_strict_transport(reader, element);
            let kind_span = reader.span("Type");
            let routes = read_routes(reader.check, element, &settings, form);
            if let (Some(span), Some(kind)) = (kind_span, &settings.kind)
                && !kind.eq_ignore_ascii_case("WebSocket")
            {
                reader.check.warn(&span, format!("expected the Type \"WebSocket\", got {kind:?}"));
            }
            ListenerKind::Http { settings, routes }
        }
    }
}

fn read_routes(check: &mut Check<'_>, element: &Element, settings: &HttpSettings, form: Form) -> Vec<Route> {
    let port = element.attribute("Port").map_or("", |port| port.value.text.as_str());
    let mut routes: Vec<Route> = Vec::new();
    for routing in element.children("Routing") {
        check.unknown_children(routing, &["Route"]);
        for child in routing.children("Route") {
            let route = read_route(check, child, port);
            let same = |other: &&Route| other.settings.url.eq_ignore_ascii_case(&route.settings.url);
            if let Some(first) = routes.iter().find(same) {
                let line = check.line(&first.span, &route.span);
                check.warn(&route.span, format!("this route is never reached: {line} has the same Url"));
            }
            routes.push(route);
        }
    }
    if !routes.is_empty() {
        return routes;
    }
    let serves_all =
        form == Form::WebSocket || settings.kind.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("WebSocket"));
    if serves_all {
        let settings =
            RouteSettings { url: "/*".to_owned(), peer_type: Some("WebSocket".to_owned()), ..RouteSettings::default() };
        return vec![Route { settings, span: element.name.span.clone() }];
    }
    let text = "<HTTPListener> serves nothing; expected <Routing> with a <Route Url=\"/*\" PeerType=\"WebSocket\">";
    check.warn(&element.name.span, text);
    routes
}

fn read_route(check: &mut Check<'_>, element: &Element, listener: &str) -> Route {
    let span = element.name.span.clone();
    check.unknown_children(element, &[]);
    let url = element.attribute("Url").map_or("", |url| url.value.text.as_str());
    let of = format!("Route {url} of {listener}");
    let mut reader = Reader::new(check, of, Case::Told, attributes(element));
    let settings = RouteSettings::read(&mut reader);
    let (url, peer) = (reader.span("Url"), reader.span("PeerType"));
    reader.finish();
    match (&settings.peer_type, peer) {
        (Some(kind), Some(peer)) if !kind.eq_ignore_ascii_case("WebSocket") => {
            check
                .warn(&peer, format!("expected the PeerType \"WebSocket\", got {kind:?}; such clients are not served"));
        }
        (None, _) if !settings.ping => {
            check.warn(&span, "this route serves nothing; expected PeerType=\"WebSocket\" or Ping=\"true\"");
        }
        _ => {}
    }
    if !settings.url.starts_with('/') {
        let text = format!("expected a Url like \"/*\" or \"/game/+\", got {:?}", settings.url);
        check.fail(&url.unwrap_or_else(|| span.clone()), text);
    }
    Route { settings, span }
}

/// `SecurePorts/SecurePort` of an instance or a listener.
pub(crate) fn secure_ports(check: &mut Check<'_>, element: &Element) -> Vec<SecurePort> {
    let mut ports = Vec::new();
    for list in element.children("SecurePorts") {
        check.unknown_children(list, &["SecurePort"]);
        for item in list.children("SecurePort") {
            let mut reader = Reader::new(check, "SecurePort", Case::Told, attributes(item));
            let port = reader.take::<Option<Port>>("Port", None, "must be written", Reload::Restart);
            let is_written = reader.span("Port").is_some();
            reader.finish();
            match port {
                Some(port) => ports.push(SecurePort(port)),
                None if is_written => {}
                None => check.fail(&item.name.span, "<SecurePort> has no Port; expected one like Port=\"9090\""),
            }
        }
    }
    ports
}
