//! `Applications`: the roles that an instance plays.

use crate::check::{Check, attributes, hint};
use crate::finding::Severity;
use crate::listener::{Listener, ListenerKind};
use crate::settings::{Case, Reader, settings};
use crate::source::Span;
use crate::xml::Element;

/// What an application is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Tells clients where the Master of a region is.
    NameServer,
    /// Knows the rooms.
    Master,
    /// Has the rooms.
    Game,
}

/// The vendor's class and the usual name of each role.
const ROLES: [(Role, &str, &str); 3] = [
    (Role::NameServer, "Photon.NameServer.PhotonApp", "NameServer"),
    (Role::Master, "Photon.LoadBalancing.MasterServer.MasterApplication", "Master"),
    (Role::Game, "Photon.LoadBalancing.GameServer.GameApplication", "Game"),
];

/// The vendor's own publisher of counters, which version 5 has no more.
pub(crate) const COUNTER_PUBLISHER: &str = "CounterPublisher";

impl Role {
    /// Its name.
    pub fn name(self) -> &'static str {
        ROLES.iter().find(|(role, ..)| *role == self).map_or("", |(_, _, name)| name)
    }
}

settings! {
    /// Attributes of `Applications`.
    ApplicationsSettings {
        /// Application of a client that names none.
        "Default" => default: Option<String> = None, "clients name theirs", Restart;
        /// Whether a client that names an unknown application gets the default one.
        "PassUnknownAppsToDefaultApp" => pass_unknown_apps_to_default_app: bool = true, "as the reference product", Restart;
    }
}

settings! {
    /// Attributes of `Application`.
    ApplicationSettings {
        /// Name that listeners and clients use.
        "Name" => name: String = String::new(), "must be written", Restart;
        /// Folder of the application below the folder of the deployment.
        "BaseDirectory" => base_directory: Option<String> = None, "the name", Restart;
        /// The vendor's class, which says the role.
        "Type" => class: Option<String> = None, "the name says the role", Restart;
    }
}

/// An application.
#[derive(Clone, Debug)]
pub struct Application {
    /// What it is.
    pub role: Role,
    /// Its attributes.
    pub settings: ApplicationSettings,
    pub(crate) span: Span,
}

/// The applications of an instance.
#[derive(Clone, Debug, Default)]
pub struct Applications {
    /// Common attributes.
    pub settings: ApplicationsSettings,
    /// Each of them.
    pub all: Vec<Application>,
}

pub(crate) fn read(check: &mut Check<'_>, instance: &Element) -> Applications {
    let Some(element) = instance.children("Applications").next() else {
        let text = "expected <Applications> with at least one <Application> in the instance, got none";
        check.fail(&instance.name.span, text);
        return Applications::default();
    };
    for second in instance.children("Applications").skip(1) {
        check.fail(&second.name.span, "expected one <Applications> in the instance, got a second one");
    }
    check.unknown_children(element, &["Application"]);
    let mut reader = Reader::new(check, "Applications", Case::Told, attributes(element));
    let settings = ApplicationsSettings::read(&mut reader);
    let default_span = reader.span("Default");
    reader.finish();
    let mut all: Vec<Application> = Vec::new();
    for child in element.children("Application") {
        let Some(application) = read_one(check, child) else { continue };
        let same =
            |other: &&Application| other.settings.name == application.settings.name || other.role == application.role;
        if let Some(first) = all.iter().find(same) {
            let line = check.line(&first.span, &application.span);
            let text =
                format!("expected one application for each name and role; the {} is in {line} too", first.role.name());
            check.fail(&application.span, text);
        }
        all.push(application);
    }
    if element.children("Application").next().is_none() {
        check.fail(&element.name.span, "expected at least one <Application>, got none");
    }
    let applications = Applications { settings, all };
    if let (Some(name), Some(span)) = (&applications.settings.default, default_span) {
        applications.check_name(check, name, &span);
    }
    applications
}

fn read_one(check: &mut Check<'_>, element: &Element) -> Option<Application> {
    check.unknown_children(element, &[]);
    let name = element.attribute("Name").map_or("", |name| name.value.text.as_str());
    let of = format!("Application {name}");
    let mut reader = Reader::new(check, of, Case::Told, attributes(element));
    let settings = ApplicationSettings::read(&mut reader);
    reader.ignore(&[
        "Assembly",
        "SharedDirectory",
        "EnableShadowCopy",
        "EnableAutoRestart",
        "ForceAutoRestart",
        "RestartDelayMilliseconds",
        "WatchFiles",
        "ExcludeFiles",
        "StartTimeoutMilliseconds",
        "StopTimeoutMilliseconds",
        "ApplicationRootDirectory",
    ]);
    let type_span = reader.span("Type");
    reader.finish();
    let span = element.name.span.clone();
    if settings.name.is_empty() {
        check.fail(&span, "<Application> has no Name; expected one like Name=\"Master\"");
        return None;
    }
    if settings.name == COUNTER_PUBLISHER {
        check.ignored(format!("Application {COUNTER_PUBLISHER}"), &span);
        return None;
    }
    let by_class = |class: &str| ROLES.iter().find(|(_, known, _)| *known == class);
    let by_name = || ROLES.iter().find(|(_, _, known)| known.eq_ignore_ascii_case(&settings.name));
    let Some(&(role, ..)) = settings.class.as_deref().map_or_else(by_name, by_class) else {
        let got = settings.class.as_deref().unwrap_or(&settings.name);
        let classes = ROLES.map(|(_, class, _)| class);
        let text = format!(
            "application {:?} cannot be run: expected one of {}, got {got:?}; code for .NET cannot be loaded by this server{}",
            settings.name,
            classes.join(", "),
            hint(got, &classes)
        );
        check.unsupported(Severity::Error, &type_span.unwrap_or(span), text);
        return None;
    };
    Some(Application { role, settings, span })
}

impl Applications {
    /// Tells the listeners that lead to an application that is not there: operators take a role off a machine by removing
    /// its `Application` alone, so this is no error.
    pub(crate) fn check_listeners(&self, check: &mut Check<'_>, listeners: &[Listener]) {
        for listener in listeners {
            let names = [&listener.common.override_application, &listener.common.default_application];
            for name in names.into_iter().flatten() {
                self.check_name(check, name, &listener.span);
            }
            let ListenerKind::Http { routes, .. } = &listener.kind else { continue };
            for route in routes {
                let names = [&route.settings.override_application, &route.settings.default_application];
                for name in names.into_iter().flatten() {
                    self.check_name(check, name, &route.span);
                }
            }
        }
    }

    fn check_name(&self, check: &mut Check<'_>, name: &str, span: &Span) {
        let known: Vec<_> = self.all.iter().map(|application| application.settings.name.as_str()).collect();
        if known.is_empty() || known.contains(&name) {
            return;
        }
        let near = hint(name, &known);
        check.warn(span, format!("no application {name:?} is loaded; expected one of {}{near}", known.join(", ")));
    }
}
