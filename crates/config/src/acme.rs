//! `Acme`: certificates from an authority, by themselves. An element of this server, unknown to the reference product.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::application::Role;
use crate::check::{Check, attributes};
use crate::instance::Instance;
use crate::role::Roles;
use crate::settings::{Case, Reader, settings};
use crate::source::{Place, Span};
use crate::tls::resolve;
use crate::value::{AcmeChallenge, Port, Seconds, Secret};
use crate::xml::Element;

settings! {
    /// Attributes of `Acme`.
    AcmeSettings {
        /// Whether certificates are fetched.
        "Enabled" => enabled: bool = true, "that is what the element is for", Restart;
        /// Names of the certificate, with spaces or commas between them.
        "Names" => names: Option<String> = None, "the host names that clients are told", Restart;
        /// Address that the authority may write to.
        "Email" => email: Option<String> = None, "authorities do without", Restart;
        /// Whether you agree to the authority's terms of service.
        "AgreeToTerms" => agree_to_terms: bool = false, "nobody can agree for you", Restart;
        /// Whether Let's Encrypt's directory for trials is asked; no client trusts its certificates.
        "Staging" => staging: bool = false, "clients must trust the certificate", Restart;
        /// Address of the authority's directory.
        "Directory" => directory: Option<String> = None, "Let's Encrypt", Restart;
        /// File with the only authorities that the directory's own certificate may come from.
        "DirectoryRoots" => directory_roots: Option<String> = None, "those that the system trusts", Restart;
        /// File of the account with its key; made when it is first needed.
        "AccountFile" => account_file: Option<String> = None, "acme/HOST.json beside the file, HOST that of the directory", Restart;
        /// Name of the account that you have with the authority already.
        "ExternalAccountId" => external_account_id: Option<String> = None, "Let's Encrypt needs none", Restart;
        /// Its key as base64: file:PATH, env:NAME, credential:NAME or the key itself.
        "ExternalAccountKey" => external_account_key: Option<Secret> = None, "Let's Encrypt needs none", Restart;
        /// Profile of the certificate, as the authority names it.
        "Profile" => profile: Option<String> = None, "the authority's default", Restart;
        /// How the names are proven.
        "Challenge" => challenge: AcmeChallenge = AcmeChallenge::Http01, "needs no listener for TLS", Restart;
        /// Port at which the authority's question arrives here, behind a router that changes it.
        "ChallengePort" => challenge_port: Option<Port> = None, "80 for http-01, 443 for tls-alpn-01", Restart;
        /// Command that writes DNS records: it gets add or remove, a name and a value.
        "DnsHook" => dns_hook: Option<String> = None, "needed for dns-01", Restart;
        /// Longest time that the command may take; it returns when the record can be seen.
        "DnsHookTimeout" => dns_hook_timeout: Seconds = Seconds::new(300), "records need minutes to be seen", Restart;
        /// Folder of the certificate.
        "CertificatePath" => certificate_path: Option<String> = None, "certs beside the file", Restart;
        /// File of the certificate and its key; it is replaced.
        "Certificate" => certificate: String = "server.pem".to_owned(), "what secure listeners read", Restart;
    }
}

/// Certificates from an authority.
#[derive(Clone, Debug)]
pub struct Acme {
    /// Its attributes.
    pub settings: AcmeSettings,
    /// Names of the certificate; at least one.
    pub names: Vec<String>,
    /// The file to write.
    pub certificate: PathBuf,
    /// The file of the account, if it is written.
    pub account_file: Option<PathBuf>,
    /// The file of authorities, if it is written.
    pub directory_roots: Option<PathBuf>,
    /// The command for DNS records, if it is written.
    pub dns_hook: Option<PathBuf>,
    /// The folder of `PhotonServer.config`.
    pub folder: PathBuf,
    /// Where it is written.
    pub place: Place,
    span: Span,
}

impl Acme {
    /// The port at which the authority's question arrives; `None` for dns-01.
    pub fn challenge_port(&self) -> Option<Port> {
        let usual = match self.settings.challenge {
            AcmeChallenge::Http01 => Port(80),
            AcmeChallenge::TlsAlpn01 => Port(443),
            AcmeChallenge::Dns01 => return None,
        };
        Some(self.settings.challenge_port.unwrap_or(usual))
    }
}

/// Reads the element, ahead of the listeners: the file that it makes need not be there for them.
pub(crate) fn read(check: &mut Check<'_>, instance: &Element) -> Option<Acme> {
    let mut elements = instance.children("Acme");
    let element = elements.next()?;
    for another in elements {
        let line = check.line(&element.name.span, &another.name.span);
        check.fail(&another.name.span, format!("<Acme> is written twice, first in {line}"));
    }
    let span = element.name.span.clone();
    let folder = check.folder(span.file);
    check.unknown_children(element, &[]);
    let mut reader = Reader::new(check, "Acme", Case::Told, attributes(element));
    let settings = AcmeSettings::read(&mut reader);
    check_directory(&mut reader, &settings);
    check_challenge(&mut reader, &settings, &span);
    let names = settings.names.as_deref().map(split).unwrap_or_default();
    let names_span = reader.span("Names").unwrap_or_else(|| span.clone());
    reader.finish();
    if !settings.enabled {
        return None;
    }
    if !settings.agree_to_terms {
        let text = "expected AgreeToTerms=\"true\"; read the authority's terms of service before";
        check.fail(&span, text);
    }
    check_names(check, &names, settings.challenge, &names_span);
    let below = |written: &Option<String>| written.as_deref().map(|written| resolve(&folder, written));
    let certs = below(&settings.certificate_path).unwrap_or_else(|| folder.join("certs"));
    let acme = Acme {
        names,
        certificate: resolve(&certs, &settings.certificate),
        account_file: below(&settings.account_file),
        directory_roots: below(&settings.directory_roots),
        dns_hook: below(&settings.dns_hook),
        place: check.place(&span),
        folder,
        span,
        settings,
    };
    check.made_here.push(acme.certificate.clone());
    Some(acme)
}

fn check_directory(reader: &mut Reader<'_, '_>, settings: &AcmeSettings) {
    if let (Some(directory), Some(span)) = (&settings.directory, reader.span("Directory")) {
        if settings.staging {
            reader.check.fail(&span, "Staging=\"true\" and a Directory exclude each other; remove one");
        }
        if !directory.starts_with("https://") {
            let text = format!("Acme Directory: expected an address that begins with https://, got {directory:?}");
            reader.check.fail(&span, text);
        }
    }
    let (id, key) = (reader.span("ExternalAccountId"), reader.span("ExternalAccountKey"));
    match (&settings.external_account_id, &settings.external_account_key, id.or(key)) {
        (Some(_), None, Some(span)) => reader.check.fail(&span, "ExternalAccountId needs an ExternalAccountKey"),
        (None, Some(_), Some(span)) => reader.check.fail(&span, "ExternalAccountKey needs an ExternalAccountId"),
        _ => {}
    }
}

fn check_challenge(reader: &mut Reader<'_, '_>, settings: &AcmeSettings, element: &Span) {
    let by_dns = settings.challenge == AcmeChallenge::Dns01;
    match (by_dns, reader.span("DnsHook")) {
        (true, None) => {
            let span = reader.span("Challenge").unwrap_or_else(|| element.clone());
            reader.check.fail(&span, "dns-01 needs a DnsHook; expected the path of a command that writes DNS records");
        }
        (false, Some(span)) => reader.check.warn(&span, "DnsHook has no effect without Challenge=\"dns-01\""),
        _ => {}
    }
    if let (true, Some(span)) = (by_dns, reader.span("ChallengePort")) {
        reader.check.warn(&span, "ChallengePort has no effect with Challenge=\"dns-01\"");
    }
}

fn check_names(check: &mut Check<'_>, names: &[String], challenge: AcmeChallenge, span: &Span) {
    let by_dns = challenge == AcmeChallenge::Dns01;
    for name in names {
        let is_address = name.parse::<IpAddr>().is_ok();
        let plain = name.strip_prefix("*.").unwrap_or(name);
        if is_address && by_dns {
            check.fail(span, format!("the address {name} cannot be proven by dns-01; expected http-01 or tls-alpn-01"));
        } else if plain != name && !by_dns {
            check.fail(span, format!("the name {name:?} needs Challenge=\"dns-01\" and a DnsHook"));
        } else if !is_address && !is_public(plain) {
            let text = format!("expected names like play.example.org, in ASCII, got {name:?}");
            check.fail(span, text);
        }
    }
}

/// Whether it can be a name of the public DNS.
fn is_public(name: &str) -> bool {
    let letters = |label: &str| label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    name.contains('.') && name.len() <= 253 && name.split('.').all(|label| !label.is_empty() && letters(label))
}

fn split(list: &str) -> Vec<String> {
    let parts = list.split([' ', ',', ';', '\t', '\r', '\n']).filter(|part| !part.is_empty());
    let mut names: Vec<String> = Vec::new();
    for part in parts.map(str::to_ascii_lowercase) {
        if !names.contains(&part) {
            names.push(part);
        }
    }
    names
}

/// Fills in what follows from the rest of the configuration, and tells what does not fit with it.
pub(crate) fn complete(check: &mut Check<'_>, instance: &mut Instance, roles: &Roles) {
    let has_master = instance.application(Role::Master).is_some();
    let Some(acme) = &mut instance.acme else { return };
    if acme.settings.names.is_none() {
        acme.names = handed_out(roles, has_master);
        if acme.names.is_empty() {
            let text = "no name to ask a certificate for; expected Names, or a PublicHostName that is no address";
            check.fail(&acme.span, text);
        }
    } else if acme.names.is_empty() {
        check.fail(&acme.span, "Acme Names is empty; expected names like play.example.org");
    }
    let uses = |path: &Path| path == acme.certificate;
    let secure = instance.listeners.iter().filter_map(|listener| listener.tls.as_ref());
    let is_used = secure.flat_map(|tls| &tls.certificates).any(|certificate| uses(&certificate.certificate));
    if !is_used {
        let text = format!("no secure listener reads {}, which <Acme> writes", acme.certificate.display());
        check.warn(&acme.span, text);
    }
}

/// Host names that lead clients to this machine, as far as they can have a certificate. A list of several Masters names
/// other machines, for which nothing can be proven here.
fn handed_out(roles: &Roles, has_master: bool) -> Vec<String> {
    let game = roles.game_server.iter().map(|game| game.settings.public_host_name.as_str());
    let regions = roles.name_server.as_ref().map_or(&[][..], |name_server| &name_server.regions);
    let master = match regions {
        [only] if has_master => only.hostname.as_deref(),
        _ => None,
    };
    let all = game.chain(master).filter(|name| is_public(name) && name.parse::<IpAddr>().is_err());
    split(&all.collect::<Vec<_>>().join(" "))
}
