//! Finds the file of a role and takes the settings out of it, whichever version wrote it.
//!
//! | version | file | form |
//! | --- | --- | --- |
//! | 5 | `Nameserver.xml.config`, `Master.xml.config`, `GameServer.xml.config` | elements and attributes below `configuration/Photon` |
//! | 4 | `Photon.NameServer.dll.config`, `Photon.LoadBalancing.dll.config` | .NET application settings, see `dotnet` |

use std::path::{Path, PathBuf};

use crate::application::{Application, Role};
use crate::check::{Check, Told, tree};
use crate::dotnet;
use crate::finding::Severity;
use crate::settings::Entry;
use crate::tls::{deployment, resolve};
use crate::xml::Element;

/// The list of authentication services, which are no plain settings.
pub(crate) const PROVIDERS: &str = "CustomAuth/AuthProviders";

/// What the file of a role says.
#[derive(Default)]
pub(crate) struct RoleFile {
    /// Settings under the names that they have in version 5.
    pub(crate) entries: Vec<Entry>,
    /// `AuthProviders`.
    pub(crate) providers: Vec<Element>,
}

/// The names that a role's file has in deployments; the documentation is not of one mind.
fn file_names(role: Role) -> &'static [(&'static str, Form)] {
    match role {
        Role::NameServer => &[("Nameserver.xml.config", Form::Photon), ("Photon.NameServer.dll.config", Form::DotNet)],
        Role::Master => &[
            ("Master.xml.config", Form::Photon),
            ("MasterServer.xml.config", Form::Photon),
            ("Photon.LoadBalancing.dll.config", Form::DotNet),
        ],
        Role::Game => &[("GameServer.xml.config", Form::Photon), ("Photon.LoadBalancing.dll.config", Form::DotNet)],
    }
}

#[derive(Clone, Copy)]
enum Form {
    Photon,
    DotNet,
}

/// The folder of an application, from that of `PhotonServer.config`.
pub(crate) fn base_folder(folder: &Path, application: &Application) -> PathBuf {
    let base = application.settings.base_directory.as_deref().unwrap_or(&application.settings.name);
    resolve(&deployment(folder), base)
}

/// Where a file of one application may be: in its `bin`, or beside `PhotonServer.config`.
pub(crate) fn own_places(check: &Check<'_>, application: &Application, name: &str) -> [PathBuf; 2] {
    let folder = check.folder(application.span.file);
    [base_folder(&folder, application).join("bin").join(name), resolve(&folder, name)]
}

/// Where a file of the whole deployment may be: in its folder, beside `PhotonServer.config`, or in an application's `bin`.
pub(crate) fn common_places(check: &Check<'_>, application: &Application, name: &str) -> [PathBuf; 3] {
    let folder = check.folder(application.span.file);
    let bin = base_folder(&folder, application).join("bin");
    [resolve(&deployment(&folder), name), resolve(&folder, name), resolve(&bin, name)]
}

/// The outermost element of the first of the files that is there; `Ok(None)` if none is.
pub(crate) fn open_xml(check: &mut Check<'_>, places: &[PathBuf]) -> Result<Option<Element>, Told> {
    for path in places {
        if let Some(file) = check.open(path)? {
            return check.parse_xml(file).map(Some);
        }
    }
    Ok(None)
}

/// Reads the file of a role. Without one the defaults hold.
pub(crate) fn read(check: &mut Check<'_>, application: &Application) -> RoleFile {
    for &(name, form) in file_names(application.role) {
        let places = own_places(check, application, name);
        let Ok(root) = open_xml(check, &places) else { return RoleFile::default() };
        let Some(root) = root else { continue };
        return match form {
            Form::Photon => photon(check, root).map_or_else(|Told| RoleFile::default(), of_photon),
            Form::DotNet => dotnet::read(check, &root, application.role),
        };
    }
    let name = file_names(application.role).first().map_or("", |(name, _)| name);
    let [path, _] = own_places(check, application, name);
    let text = format!("there is no {}; the defaults hold for the {}", path.display(), application.role.name());
    check.find(Severity::Note, &application.span, text);
    RoleFile::default()
}

fn of_photon(photon: Element) -> RoleFile {
    let entries = tree(&photon, &[PROVIDERS]);
    let auth = photon.children.into_iter().filter(|child| child.is("CustomAuth"));
    let lists = auth.flat_map(|auth| auth.children.into_iter().filter(|child| child.is("AuthProviders")));
    RoleFile { entries, providers: lists.collect() }
}

/// `configuration/Photon`.
fn photon(check: &mut Check<'_>, root: Element) -> Result<Element, Told> {
    if !root.is("configuration") {
        let text = format!("expected <configuration> as the outermost element, got <{}>", root.name.text);
        check.fail(&root.name.span, text);
        return Err(Told);
    }
    let span = root.name.span.clone();
    for child in root.children.iter().filter(|child| !child.is("Photon")) {
        let name = &child.name.text;
        check.warn(&child.name.span, format!("unknown element <{name}> in <configuration>; expected <Photon>"));
    }
    let mut found = root.children.into_iter().filter(|child| child.is("Photon"));
    match (found.next(), found.next()) {
        (Some(element), None) => Ok(element),
        (None, _) => {
            check.fail(&span, "expected <Photon> in <configuration>, got none");
            Err(Told)
        }
        (_, Some(second)) => {
            check.fail(&second.name.span, "expected one <Photon> in <configuration>, got a second one");
            Err(Told)
        }
    }
}
