//! `plugin.config` of the game server: code that the vendor's server loads into rooms. Libraries for .NET cannot be loaded
//! here; the vendor's web hooks are known by their name, with their attributes.

use crate::application::Application;
use crate::check::{Check, attributes};
use crate::finding::{Severity, Subject};
use crate::role_file::{open_xml, own_places};
use crate::settings::{Case, Reader, Reload, settings};
use crate::value::Secret;
use crate::xml::Element;

settings! {
    /// Attributes of `PluginSettings` of `plugin.config`.
    PluginsSettings {
        /// Whether plugins are loaded.
        "Enabled" => enabled: bool = false, "there is no plugin", Restart;
    }
}

settings! {
    /// Attributes of `Plugin`; further ones are handed to it.
    PluginSettings {
        /// Name that rooms ask for.
        "Name" => name: Option<String> = None, "rooms have any", Restart;
        /// Version.
        "Version" => version: Option<String> = None, "none", Restart;
        /// The vendor's library.
        "AssemblyName" => assembly_name: Option<String> = None, "the type says enough", Restart;
        /// The vendor's class; one with `WebHooks` in its name stands for web hooks.
        "Type" => class: Option<String> = None, "must be written", Restart;
    }
}

/// Code for rooms.
#[derive(Clone, Debug, PartialEq)]
pub struct Plugin {
    /// Its attributes.
    pub settings: PluginSettings,
    /// Further attributes, by name.
    pub parameters: Vec<(String, Secret)>,
}

impl Plugin {
    /// Whether it stands for web hooks.
    pub fn is_web_hooks(&self) -> bool {
        self.settings.class.as_deref().is_some_and(|class| class.to_ascii_lowercase().contains("webhooks"))
    }
}

/// Reads the file of the game server. Without one there are no plugins, as when they are off.
pub(crate) fn read(check: &mut Check<'_>, application: &Application) -> Vec<Plugin> {
    let places = own_places(check, application, "plugin.config");
    let Some(root) = open_xml(check, &places).ok().flatten() else { return Vec::new() };
    let element = if root.is("PluginSettings") { Some(&root) } else { root.children("PluginSettings").next() };
    let Some(element) = element.filter(|_| root.is("root") || root.is("PluginSettings")) else {
        let text = format!("expected <PluginSettings>, in <root> or alone, got <{}> without it", root.name.text);
        check.fail(&root.name.span, text);
        return Vec::new();
    };
    check.unknown_children(element, &["Plugins"]);
    let mut reader = Reader::new(check, "PluginSettings", Case::Free, attributes(element));
    let settings = PluginsSettings::read(&mut reader);
    reader.finish();
    let mut plugins = Vec::new();
    for list in element.children("Plugins") {
        check.unknown_children(list, &["Plugin"]);
        plugins.extend(list.children("Plugin").map(|item| read_one(check, item, settings.enabled)));
    }
    if settings.enabled { plugins } else { Vec::new() }
}

fn read_one(check: &mut Check<'_>, element: &Element, is_enabled: bool) -> Plugin {
    check.unknown_children(element, &[]);
    let name = element.attribute("Name").map_or("", |name| name.value.text.as_str());
    let mut reader = Reader::new(check, format!("Plugin {name}"), Case::Free, attributes(element));
    let settings = PluginSettings::read(&mut reader);
    let parameters = reader.take_parameters(Reload::Restart);
    let span = reader.span("Type").unwrap_or_else(|| element.name.span.clone());
    reader.finish();
    let plugin = Plugin { settings, parameters };
    if is_enabled {
        tell(check, &plugin, &span);
    }
    plugin
}

fn tell(check: &mut Check<'_>, plugin: &Plugin, span: &crate::source::Span) {
    let class = plugin.settings.class.as_deref().unwrap_or_default();
    if class.is_empty() {
        check.fail(span, "<Plugin> has no Type; expected the class of the plugin");
    } else if plugin.is_web_hooks() {
        let text = "web hooks are read and not called: this version of the server has none";
        check.unsupported(Severity::Warning, span, text);
    } else {
        let severity = if check.ignores_plugins() { Severity::Warning } else { Severity::Error };
        let text = format!(
            "plugin {class:?} cannot be loaded: this server does not run code for .NET; set Enabled=\"false\", or let \
             rooms do without it with --ignore-plugins"
        );
        check.find_about(Subject::Unsupported, severity, span, text);
    }
}
