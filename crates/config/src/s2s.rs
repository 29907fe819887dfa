//! Links between servers of several machines: the nodes `S2S` and `WebSocketS2S`.
//!
//! One with a port is a listener. One without says what holds for all of them, and how this game server calls its Master.

use std::path::{Path, PathBuf};

use crate::check::{Check, attributes};
use crate::settings::{Case, Reader, settings};
use crate::tls::{self, Certificate, CertificateSettings};
use crate::value::Milliseconds;
use crate::xml::Element;

settings! {
    /// Attributes of `S2S` and `WebSocketS2S` without a port.
    S2sSettings {
        /// Silence of a link after which it is pinged; four missing pings end it.
        "PingFrequency" => ping_frequency: Milliseconds = Milliseconds::new(2_500), "as the reference product", Restart;
        /// Whether this game server calls its Master over TLS.
        "Secure" => secure: bool = false, "as the reference product", Restart;
        /// Folder of the certificates.
        "CertificatePath" => certificate_path: Option<String> = None, "certs beside the file", Restart;
        /// Certificates of the authorities that may have issued the Master's, in that folder.
        "RootCertificates" => root_certificates: Option<String> = None, "root.pem", Restart;
        /// Name in the Master's certificate.
        "ServerName" => server_name: Option<String> = None, "MasterIPAddress", Restart;
    }
}

/// Buffers and frames of the reference product's own links.
const IRRELEVANT: [&str; 16] = [
    "MaxInboundMessageSize",
    "MaxOutboundMessageSize",
    "MaxPendingWrites",
    "MaxQueuedBuffers",
    "DisableNagle",
    "RecvBufferSize",
    "SendBufferSize",
    "SocketRecvBufferSize",
    "SocketSendBufferSize",
    "PingFrequencyMUX",
    "MaxInboundMessageSizeMUX",
    "MaxOutboundMessageSizeMUX",
    "MaxPendingWritesMUX",
    "MaxQueuedBuffersMUX",
    "RecvBufferSizeMUX",
    "SendBufferSizeMUX",
];

/// How servers of several machines are linked.
#[derive(Clone, Debug, Default)]
pub struct S2s {
    /// Attributes of the node.
    pub settings: S2sSettings,
    /// Whether the Master is called over WebSocket.
    pub web_socket: bool,
    /// What this game server shows to its Master; present if it calls over TLS and a certificate is there.
    pub certificate: Option<Certificate>,
    /// File of the authorities that may have issued the Master's certificate.
    pub root_certificates: PathBuf,
    /// What listeners of game servers have that write no certificate of their own.
    pub(crate) defaults: CertificateSettings,
}

/// Whether the node is a listener.
pub(crate) fn is_listener(element: &Element) -> bool {
    element.attribute("Port").is_some()
}

/// Reads the node that is none.
pub(crate) fn read(check: &mut Check<'_>, instance: &Element) -> S2s {
    let nodes = ["S2S", "WebSocketS2S"].into_iter().flat_map(|name| instance.children(name));
    let mut nodes = nodes.filter(|node| !is_listener(node));
    let Some(node) = nodes.next() else { return S2s::default() };
    for other in nodes {
        let line = check.line(&node.name.span, &other.name.span);
        let text = format!("<{}> has no effect: {line} says how servers are linked", other.name.text);
        check.warn(&other.name.span, text);
    }
    let folder = check.folder(node.name.span.file);
    check.unknown_children(node, &[]);
    check.macros = tls::folder_macros(&folder);
    let mut reader = Reader::new(check, node.name.text.clone(), Case::Told, attributes(node));
    let settings = S2sSettings::read(&mut reader);
    let own = CertificateSettings::read(&mut reader);
    reader.ignore(&IRRELEVANT);
    let s2s =
        if settings.secure { secure(&mut reader, &folder, settings, own) } else { plain(&mut reader, settings, own) };
    reader.finish();
    check.macros.clear();
    S2s { web_socket: node.is("WebSocketS2S"), ..s2s }
}

fn plain(reader: &mut Reader<'_, '_>, settings: S2sSettings, defaults: CertificateSettings) -> S2s {
    for key in ["RootCertificates", "ServerName"] {
        if let Some(span) = reader.span(key) {
            reader.check.warn(&span, format!("{key} has no effect without Secure=\"true\" in the same node"));
        }
    }
    S2s { settings, defaults, ..S2s::default() }
}

fn secure(reader: &mut Reader<'_, '_>, folder: &Path, settings: S2sSettings, own: CertificateSettings) -> S2s {
    let base = tls::certificate_folder(folder, settings.certificate_path.as_deref());
    let root_certificates = tls::root_certificates(folder, &base, settings.root_certificates.as_deref());
    if !reader.check.exists(&root_certificates) {
        let span = reader.span("RootCertificates").or_else(|| reader.span("Secure"));
        let text = format!(
            "the link to the Master is secure, and the authorities in {} cannot be read; `lampyris cert cluster` makes them",
            root_certificates.display()
        );
        span.into_iter().for_each(|span| reader.check.fail(&span, text.clone()));
    }
    let certificate = tls::certificate(folder, &base, own.clone());
    let found = reader.check.exists(&certificate.certificate) && reader.check.exists(&certificate.key);
    if let Some(span) = reader.span("Certificate").or_else(|| reader.span("Key"))
        && !found
    {
        let text = format!("the certificate {} or its key cannot be read", certificate.certificate.display());
        reader.check.fail(&span, text);
    }
    S2s { settings, web_socket: false, certificate: found.then_some(certificate), root_certificates, defaults: own }
}
