//! What a check has to say.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know; nothing has to be done.
    Information,
    /// Some clients are not served, or soon will not be.
    Warning,
    /// Clients are not served.
    Error,
}

impl Severity {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Information => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that an operator should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is there, and what was expected.
    pub what: String,
    /// What it does to clients; empty if that is plain.
    pub why: String,
    /// The command or the setting that mends it; empty if there is nothing to mend.
    pub remedy: String,
}

impl Finding {
    pub(crate) fn note(what: impl Into<String>) -> Self {
        Self::new(Severity::Information, what)
    }

    pub(crate) fn warning(what: impl Into<String>) -> Self {
        Self::new(Severity::Warning, what)
    }

    pub(crate) fn error(what: impl Into<String>) -> Self {
        Self::new(Severity::Error, what)
    }

    pub(crate) fn new(severity: Severity, what: impl Into<String>) -> Self {
        Self { severity, what: what.into(), why: String::new(), remedy: String::new() }
    }

    pub(crate) fn because(self, why: impl Into<String>) -> Self {
        Self { why: why.into(), ..self }
    }

    pub(crate) fn mend(self, remedy: impl Into<String>) -> Self {
        Self { remedy: remedy.into(), ..self }
    }
}
