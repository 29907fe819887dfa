//! `PhotonServer.config`: the instance and what it is made of.

use crate::acme::{self, Acme};
use crate::application::{Application, Applications};
use crate::check::{Check, Told, attributes};
use crate::finding::Severity;
use crate::listener::{self, Listener, SecurePort};
use crate::log_file::{self, LogFile};
use crate::s2s::{self, S2s};
use crate::settings::{Case, Reader, Reload, settings};
use crate::value::{EncryptionTypes, Milliseconds, Value as _};
use crate::xml::Element;

/// The instance that runs when nobody names one and there are several, as in the shipped file.
const DEFAULT_INSTANCE: &str = "LoadBalancing";

settings! {
    /// Attributes of `Instance`.
    InstanceSettings {
        /// Label for people.
        "DisplayName" => display_name: String = String::new(), "the name says enough", Live;
        /// Label for logs.
        "ConfigName" => config_name: String = String::new(), "the name says enough", Live;
        /// Most bytes of one message in or out; a peer with a larger one is disconnected.
        "MaxMessageSize" => max_message_size: u32 = 512_000, "as the reference product", Restart;
        /// Most bytes of reliable data that wait for one peer; the peer is disconnected beyond.
        "MaxQueuedDataPerPeer" => max_queued_data_per_peer: u32 = 512_000, "as the shipped file", Restart;
        /// Most unacknowledged reliable bytes of a UDP peer; more waits.
        "PerPeerMaxReliableDataInTransit" => per_peer_max_reliable_data_in_transit: u32 = 51_200, "as the shipped file", Restart;
        /// Outgoing KB per second of a UDP peer; beyond, reliable data waits and unreliable data is dropped.
        "PerPeerTransmitRateLimitKBSec" => per_peer_transmit_rate_limit_kb_per_s: u32 = 256, "as the reference product", Restart;
        /// Time over which that rate is measured.
        "PerPeerTransmitRatePeriodMilliseconds" => per_peer_transmit_rate_period: Milliseconds = Milliseconds::new(200), "as the reference product", Restart;
        /// Shortest time without an acknowledgement after which a UDP peer is lost.
        "MinimumTimeout" => minimum_timeout: Milliseconds = Milliseconds::new(5_000), "as the reference product", Restart;
        /// Longest time without an acknowledgement after which a UDP peer is lost.
        "MaximumTimeout" => maximum_timeout: Milliseconds = Milliseconds::new(30_000), "as the reference product", Restart;
        /// Shortest wait before a reliable command is sent again.
        "MinimumRetransmitTimeout" => minimum_retransmit_timeout: Milliseconds = Milliseconds::new(200), "as the reference product", Restart;
        /// Longest wait before a reliable command is sent again; 0 = no bound.
        "MaximumRetransmitTimeout" => maximum_retransmit_timeout: Milliseconds = Milliseconds::new(0), "as the reference product", Restart;
        /// Silence after which the server pings a UDP peer.
        "PingIntervalMilliseconds" => ping_interval: Milliseconds = Milliseconds::new(1_000), "as the reference product", Restart;
        /// Wait for more data before a datagram is sent.
        "DataSendingDelayMilliseconds" => data_sending_delay: Milliseconds = Milliseconds::new(5), "as the reference product", Restart;
        /// Wait for data that an acknowledgement can travel with.
        "AckSendingDelayMilliseconds" => ack_sending_delay: Milliseconds = Milliseconds::new(5), "as the reference product", Restart;
        /// Most messages of a peer in a second.
        "MessageRate" => message_rate: u32 = 5_000, "as the reference product", Restart;
        /// Most bytes of a peer in a second.
        "MessageDataRate" => message_data_rate: u32 = 2_147_483_647, "as the reference product", Restart;
        /// Modes of datagram encryption that are accepted.
        "EncTypesAllowed" => enc_types_allowed: EncryptionTypes = EncryptionTypes::ALL, "as the reference product", Restart;
        /// Time without data of the application after which a peer is disconnected.
        "AppDataInactivityTimeout" => app_data_inactivity_timeout: Option<Milliseconds> = None, "off", Restart;
        /// Longest time that stopping may take.
        "ShutdownTimeout" => shutdown_timeout: Milliseconds = Milliseconds::new(30_000), "as the reference product", Restart;
        /// Whether metrics are kept.
        "EnablePerformanceCounters" => enable_performance_counters: bool = true, "metrics cost little", Restart;
        /// Whether metrics of the instance are kept.
        "EnableInstanceCounters" => enable_instance_counters: bool = true, "metrics cost little", Restart;
        /// Whether totals are kept.
        "EnableTotalCounters" => enable_total_counters: bool = true, "metrics cost little", Restart;
        /// Whether a log is written.
        "LoggingEnabled" => logging_enabled: bool = true, "a server without a log cannot be helped", Restart;
        /// Folder of the log, from that of this file.
        "LogFileLocation" => log_file_location: Option<String> = None, "log beside this file", Restart;
        /// What names of the log begin with; the date follows.
        "LogFileName" => log_file_name: Option<String> = None, "Photon- and the name of the instance", Restart;
    }
}

/// Settings of an instance that are about the vendor's own threads, pools and dumps.
const IRRELEVANT: [&str; 20] = [
    "ValidateCRCifPresent",
    "LogUnimportantExceptions",
    "ProduceDumps",
    "DumpType",
    "MaxDumpsToProduce",
    "MaxDumpsToAttemptToProduce",
    "DirectDispatchToCLR",
    "TCPBufferSize",
    "TCPBufferAllocatorPoolSize",
    "StreamSocketAllocatorPoolSize",
    "DatagramSocketAllocatorPoolSize",
    "ENETBufferAllocatorPoolSize",
    "DatagramSocketMaxConsecutiveOperations",
    "DatagramSocketMaxPooledBuffers",
    "AOInitialQueueSize",
    "AOMaxConsecutiveOperations",
    "DefaultPacketThrottle",
    "ReportOnJob",
    "xsi:noNamespaceSchemaLocation",
    "noNamespaceSchemaLocation",
];

/// Elements of an instance that are known and say nothing to this server.
const IRRELEVANT_ELEMENTS: [&str; 5] = ["IOPool", "ThreadPool", "ENetThreadPool", "Runtime", "OutboundENet"];

/// An instance: what one process runs.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// Its attributes.
    pub settings: InstanceSettings,
    /// Where its log goes; `None` if there is to be none.
    pub log: Option<LogFile>,
    /// Where it listens.
    pub listeners: Vec<Listener>,
    /// Ports behind a proxy that ends TLS.
    pub secure_ports: Vec<SecurePort>,
    /// How servers of several machines are linked.
    pub s2s: S2s,
    /// The roles it plays.
    pub applications: Applications,
    /// Present if certificates come from an authority.
    pub acme: Option<Acme>,
}

impl Instance {
    /// The application that plays a role.
    pub fn application(&self, role: crate::Role) -> Option<&Application> {
        self.applications.all.iter().find(|application| application.role == role)
    }
}

/// The instance to run: the one named, the only one, or the one with the default name.
pub(crate) fn choose<'a>(check: &mut Check<'_>, root: &'a Element, wanted: Option<&str>) -> Result<&'a Element, Told> {
    if !root.is("Configuration") {
        check.fail(
            &root.name.span,
            format!("expected <Configuration> as the outermost element, got <{}>", root.name.text),
        );
        return Err(Told);
    }
    for attribute in &root.attributes {
        if !attribute.name.text.to_lowercase().contains("schemalocation") {
            check.warn(&attribute.name.span, format!("unknown attribute {:?} of <Configuration>", attribute.name.text));
        }
    }
    let mut names: Vec<(String, &Element)> = Vec::new();
    for element in &root.children {
        let Some(name) = name_of(check, element) else { continue };
        if let Some((_, first)) = names.iter().find(|(known, _)| *known == name) {
            let line = check.line(&first.name.span, &element.name.span);
            check.fail(&element.name.span, format!("instance {name:?} is written twice, first in {line}"));
        }
        names.push((name, element));
    }
    let of = |name: &str| names.iter().find(|(known, _)| known == name).map(|&(_, element)| element);
    let chosen = match (wanted, names.as_slice()) {
        (Some(wanted), _) => of(wanted),
        (None, [(_, only)]) => Some(*only),
        (None, _) => of(DEFAULT_INSTANCE),
    };
    chosen.ok_or_else(|| {
        let listed: Vec<_> = names.iter().map(|(name, _)| name.as_str()).collect();
        let text = match (wanted, listed.is_empty()) {
            (_, true) => "expected an <Instance> in <Configuration>, got none".to_owned(),
            (Some(wanted), _) => {
                let near = crate::check::hint(wanted, &listed);
                format!("expected an instance {wanted:?}, got {}{near}", listed.join(", "))
            }
            (None, _) => format!("expected one instance; choose one of {} with --instance", listed.join(", ")),
        };
        check.fail(&root.name.span, text);
        Told
    })
}

/// `<Instance Name="X">`, or the older form `<X>`.
fn name_of(check: &mut Check<'_>, element: &Element) -> Option<String> {
    if !element.is("Instance") {
        return Some(element.name.text.clone());
    }
    match element.attribute("Name") {
        Some(name) => {
            check.reveal(&name.value.span);
            Some(name.value.text.clone())
        }
        None => {
            check.fail(&element.name.span, "<Instance> has no Name; expected one like Name=\"LoadBalancing\"");
            None
        }
    }
}

pub(crate) fn read(check: &mut Check<'_>, element: &Element) -> Instance {
    let name = name_of(check, element).unwrap_or_default();
    let (settings, log) = read_settings(check, element, &name);
    let mut known: Vec<&str> = listener::GROUPS.iter().flat_map(|group| [group.list, group.item]).collect();
    known.extend(IRRELEVANT_ELEMENTS);
    known.extend(["Applications", "SecurePorts", "S2S", "WebSocketS2S", "ConfigServer", "Acme"]);
    check.unknown_children(element, &known);
    for irrelevant in IRRELEVANT_ELEMENTS.iter().flat_map(|name| element.children(name)) {
        check.ignored(format!("<{}>", irrelevant.name.text), &irrelevant.name.span);
    }
    for server in element.children("ConfigServer") {
        let text = "<ConfigServer> has no effect: this server has no telnet menu";
        check.unsupported(Severity::Warning, &server.name.span, text);
    }
    let s2s = s2s::read(check, element);
    let acme = acme::read(check, element);
    let listeners = listener::read_all(check, element, &name, &s2s.defaults);
    let secure_ports = listener::secure_ports(check, element);
    let applications = crate::application::read(check, element);
    applications.check_listeners(check, &listeners);
    Instance { name, settings, log, listeners, secure_ports, s2s, applications, acme }
}

fn read_settings(check: &mut Check<'_>, element: &Element, name: &str) -> (InstanceSettings, Option<LogFile>) {
    let folder = check.folder(element.name.span.file);
    let mut reader = Reader::new(check, "Instance", Case::Told, attributes(element));
    reader.take("Name", name.to_owned(), "the name of the element", Reload::Restart);
    let settings = InstanceSettings::read(&mut reader);
    reader.ignore(&IRRELEVANT);
    let bounds = [
        ("MinimumTimeout", settings.minimum_timeout, "MaximumTimeout", Some(settings.maximum_timeout)),
        (
            "MinimumRetransmitTimeout",
            settings.minimum_retransmit_timeout,
            "MaximumRetransmitTimeout",
            Some(settings.maximum_retransmit_timeout).filter(|most| !most.get().is_zero()),
        ),
    ];
    for (low, least, high, most) in bounds {
        let span = reader.span(low).or_else(|| reader.span(high));
        if let (Some(span), Some(most)) = (span, most.filter(|&most| least > most)) {
            let text = format!("{low} {} is over {high} {}; expected at most that", least.show(), most.show());
            reader.check.fail(&span, text);
        }
    }
    let name_span = reader.span("LogFileName");
    let log = log_file::of_instance(reader.check, &settings, name, &folder, name_span.as_ref());
    reader.finish();
    (settings, log)
}
