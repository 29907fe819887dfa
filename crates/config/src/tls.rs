//! TLS settings of a listener.

use std::path::{Path, PathBuf};

use crate::check::attributes;
use crate::finding::{Severity, Subject};
use crate::settings::{Case, Reader, settings};
use crate::value::{ClientCertificate, Secret, TlsVersion, Value as _};
use crate::xml::Element;

/// The file that has certificate and key when nothing else is written.
const CERTIFICATE_FILE: &str = "server.pem";

settings! {
    /// TLS attributes of a listener.
    TlsSettings {
        /// Whether TLS is spoken.
        "Secure" => secure: bool = false, "as the reference product", Restart;
        /// Cipher suites, as OpenSSL writes them.
        "CipherList" => cipher_list: String = "DEFAULT".to_owned(), "as the reference product", Live;
        /// Folder of the certificates.
        "CertificatePath" => certificate_path: Option<String> = None, "certs beside the file", Live;
        /// Certificates of the authorities, in that folder.
        "RootCertificates" => root_certificates: Option<String> = None, "root.pem, if it is there", Live;
        /// Whether clients must show a certificate of an authority of RootCertificates: `optional` or `required`.
        "ClientCertificate" => client_certificate: ClientCertificate = ClientCertificate::Off, "game clients have none", Live;
        /// Oldest version.
        "MinProtocolVersion" => min_protocol_version: TlsVersion = TlsVersion::Any, "as the reference product", Live;
        /// Newest version.
        "MaxProtocolVersion" => max_protocol_version: TlsVersion = TlsVersion::Any, "no bound", Live;
        /// Name of the certificate for clients that name none.
        "DefaultDomain" => default_domain: Option<String> = None, "there is one certificate only", Live;
    }
}

settings! {
    /// Attributes of `ServerCertificate`.
    CertificateSettings {
        /// Folder of the files.
        "Path" => path: Option<String> = None, "CertificatePath of the listener", Live;
        /// File of the certificate and its chain.
        "Certificate" => certificate: Option<String> = None, "server.pem", Live;
        /// File of the key.
        "Key" => key: Option<String> = None, "the file of the certificate", Live;
        /// Password of the key.
        "Password" => password: Option<Secret> = None, "the key is not encrypted", Live;
    }
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// File of the certificate and its chain.
    pub certificate: PathBuf,
    /// File of the key.
    pub key: PathBuf,
    /// Password of the key.
    pub password: Option<Secret>,
}

/// TLS of a secure listener.
#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    /// Its attributes.
    pub settings: TlsSettings,
    /// Certificates; at least one.
    pub certificates: Vec<Certificate>,
    /// File of the authorities.
    pub root_certificates: PathBuf,
    /// What holds instead of `ClientCertificate` if servers call here: they have one where there are authorities.
    pub servers_certificate: ClientCertificate,
}

/// A path that may be written with `\`, from the folder that it is relative to.
pub(crate) fn resolve(folder: &Path, written: &str) -> PathBuf {
    folder.join(written.replace('\\', "/"))
}

/// The folder of the deployment: the one above that of `PhotonServer.config`.
pub(crate) fn deployment(folder: &Path) -> PathBuf {
    match (folder.file_name(), folder.parent()) {
        (Some(_), Some(parent)) if !parent.as_os_str().is_empty() => parent.to_owned(),
        (Some(_), _) => PathBuf::from("."),
        (None, _) => folder.join(".."),
    }
}

/// What [`resolve`] gives, for a path with macros: one that begins with `home`, the folder of the configuration, is complete.
fn resolve_macros(home: &Path, folder: &Path, written: &str) -> PathBuf {
    if Path::new(written).starts_with(home) { resolve(Path::new(""), written) } else { resolve(folder, written) }
}

/// The TLS settings of a listener that has them, `None` if it is not secure.
pub(crate) fn read(
    reader: &mut Reader<'_, '_>,
    element: &Element,
    folder: &Path,
    s2s: &CertificateSettings,
) -> Option<Tls> {
    let settings = TlsSettings::read(reader);
    let own = takes_servers(element).then(|| CertificateSettings::read(reader).or(s2s));
    reader.ignore(&["StoreName", "CertificateName", "UseMachineStore"]);
    if !settings.secure {
        return None;
    }
    let secure = reader.span("Secure")?;
    let from_store = reader.span("CertificateName").or_else(|| reader.span("StoreName"));
    let base = certificate_folder(folder, settings.certificate_path.as_deref());
    // A client listener that servers may use too has its certificates in nodes.
    let own = own.filter(|own| !element.is("TCPListener") || *own != CertificateSettings::default());
    let mut certificates: Vec<_> = own.into_iter().map(|own| certificate(folder, &base, own)).collect();
    let wrapped = element.children("ServerCertificates").flat_map(|list| list.children("ServerCertificate"));
    for node in element.children("ServerCertificate").chain(wrapped) {
        let port = element.attribute("Port").map_or("", |port| port.value.text.as_str());
        let of = format!("ServerCertificate of {port}");
        let mut reader = Reader::new(reader.check, of, Case::Told, attributes(node));
        let settings = CertificateSettings::read(&mut reader);
        reader.finish();
        certificates.push(certificate(folder, &base, settings));
    }
    if certificates.is_empty() {
        certificates.push(certificate(folder, &base, CertificateSettings::default()));
    }
    if certificates.len() > 1 && settings.default_domain.is_none() {
        let text = format!("expected a DefaultDomain beside {} certificates, got none", certificates.len());
        reader.check.fail(&element.name.span, text);
    }
    check_versions(reader, &settings);
    let files = certificates.iter().flat_map(|one| [&one.certificate, &one.key]);
    let missing: Vec<_> = files.filter(|path| !reader.check.exists(path)).collect();
    if let Some(path) = missing.first() {
        let remedy = if from_store.is_some() {
            "; there is no Windows certificate store here: export the certificate with its key as .pfx and convert it with \
             `lampyris cert import --pfx x.pfx --out server.pem`"
        } else {
            "; put certificate and key there, say where they are with CertificatePath, or make them with \
             `lampyris cert dev --name HOST --config FILE`"
        };
        let text = format!("this listener is secure, and its certificate {} cannot be read{remedy}", path.display());
        reader.check.find_about(Subject::Certificate, Severity::Error, &secure, text);
    }
    let roots = root_certificates(folder, &base, settings.root_certificates.as_deref());
    if let Some(span) = reader.span("RootCertificates")
        && !reader.check.exists(&roots)
    {
        reader.check.fail(&span, format!("the file {} cannot be read", roots.display()));
    } else if let Some(span) = reader.span("ClientCertificate")
        && settings.client_certificate != ClientCertificate::Off
        && !reader.check.exists(&roots)
    {
        let text =
            format!("expected the authorities of clients' certificates in {}, got no such file", roots.display());
        reader.check.fail(&span, text);
    }
    let servers_certificate = match reader.span("ClientCertificate") {
        Some(_) => settings.client_certificate,
        None if reader.check.exists(&roots) => ClientCertificate::Required,
        None => ClientCertificate::Off,
    };
    Some(Tls { settings, certificates, root_certificates: roots, servers_certificate })
}

/// Listeners where servers call write their certificate as attributes of their own. The port for servers of the shipped
/// file is a TCP listener without an application.
fn takes_servers(element: &Element) -> bool {
    ["TCPS2SListener", "WebSocketS2SListener", "S2S", "WebSocketS2S"].iter().any(|name| element.is(name))
        || element.is("TCPListener") && element.attribute("OverrideApplication").is_none()
}

impl CertificateSettings {
    /// What is not written here is taken from there.
    fn or(self, other: &Self) -> Self {
        let other = other.clone();
        // A certificate belongs to its key and password.
        if self.certificate.is_some() || self.key.is_some() {
            return Self { path: self.path.or(other.path), ..self };
        }
        Self { path: self.path.or(other.path), password: self.password.or(other.password), ..other }
    }
}

/// Where the certificates of a node are.
pub(crate) fn certificate_folder(home: &Path, written: Option<&str>) -> PathBuf {
    resolve_macros(home, home, written.unwrap_or("certs"))
}

/// File of the authorities of a node.
pub(crate) fn root_certificates(home: &Path, base: &Path, written: Option<&str>) -> PathBuf {
    resolve_macros(home, base, written.unwrap_or("root.pem"))
}

/// `[NAME]` of folders and what it stands for.
pub(crate) fn folder_macros(folder: &Path) -> Vec<(&'static str, String)> {
    let path = |path: PathBuf| path.display().to_string();
    vec![
        ("CERTS", path(folder.join("certs"))),
        ("BIN", path(folder.to_owned())),
        ("DEPLOY", path(deployment(folder))),
        ("LOG", path(folder.join("log"))),
    ]
}

pub(crate) fn certificate(home: &Path, base: &Path, settings: CertificateSettings) -> Certificate {
    let folder = settings.path.map_or_else(|| base.to_owned(), |path| resolve_macros(home, home, &path));
    let certificate = resolve_macros(home, &folder, settings.certificate.as_deref().unwrap_or(CERTIFICATE_FILE));
    let key = settings.key.map_or_else(|| certificate.clone(), |key| resolve_macros(home, &folder, &key));
    Certificate { certificate, key, password: settings.password }
}

fn check_versions(reader: &mut Reader<'_, '_>, settings: &TlsSettings) {
    let (least, most) = (settings.min_protocol_version, settings.max_protocol_version);
    let (Some(span), false) = (reader.span("MaxProtocolVersion"), most == TlsVersion::Any) else { return };
    if least > most {
        let text = format!("MaxProtocolVersion {} is older than MinProtocolVersion {}", most.show(), least.show());
        reader.check.fail(&span, text);
    } else if most < TlsVersion::Tls12 {
        let text =
            format!("expected TLS12 or TLS13 as MaxProtocolVersion, got {}; older ones are not spoken", most.show());
        reader.check.fail(&span, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deployment_is_the_folder_above() {
        let above = |folder: &str| deployment(Path::new(folder));
        assert_eq!(above("/srv/deploy/bin"), Path::new("/srv/deploy"));
        assert_eq!(above("bin"), Path::new("."));
        assert_eq!(above("."), Path::new("./.."));
        assert_eq!(above("../.."), Path::new("../../.."));
        assert_eq!(above("/"), Path::new("/.."));
    }

    #[test]
    fn paths_of_the_other_system_are_read() {
        assert_eq!(resolve(Path::new("deploy"), "..\\NameServer\\bin"), Path::new("deploy/../NameServer/bin"));
        assert_eq!(resolve(Path::new("deploy"), "/etc/certs/"), Path::new("/etc/certs"));
        let home = Path::new("deploy/bin");
        assert_eq!(resolve_macros(home, home, "deploy/bin/certs/x"), Path::new("deploy/bin/certs/x"));
        assert_eq!(resolve_macros(home, home, "certs"), Path::new("deploy/bin/certs"));
    }
}
