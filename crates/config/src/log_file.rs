//! Where the core log of an instance goes.

use std::path::{Path, PathBuf};

use crate::check::Check;
use crate::instance::InstanceSettings;
use crate::source::Span;
use crate::tls::resolve;

/// The core log: one file for each day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Its folder.
    pub folder: PathBuf,
    /// What names begin with, before the date.
    pub prefix: String,
}

/// `log/Photon-<Instance>` beside the configuration, unless something else is written; `None` if there is to be no log.
pub(crate) fn of_instance(
    check: &mut Check<'_>,
    settings: &InstanceSettings,
    instance: &str,
    folder: &Path,
    name_span: Option<&Span>,
) -> Option<LogFile> {
    let folder = resolve(folder, settings.log_file_location.as_deref().unwrap_or("log"));
    let written = settings.log_file_name.as_deref().map(|name| name.strip_suffix(".log").unwrap_or(name));
    if let (Some(span), false) = (name_span, written.is_none_or(is_file_name)) {
        check.fail(span, "expected a plain name for the log without / and \\; LogFileLocation is for the folder");
    }
    let prefix = written.map_or_else(|| format!("Photon-{}", file_name(instance)), file_name);
    settings.logging_enabled.then_some(LogFile { folder, prefix })
}

fn is_file_name(name: &str) -> bool {
    !name.contains(['/', '\\', '\0'])
}

/// A name that stays in its folder.
fn file_name(name: &str) -> String {
    name.replace(['/', '\\', '\0'], "_")
}
