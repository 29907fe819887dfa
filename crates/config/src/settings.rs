//! Settings: each is declared once, and read from there.

use crate::check::Check;
use crate::finding::{Severity, nearest};
use crate::source::Span;
use crate::value::Value;

/// When a changed value takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// When the file is read again.
    Live,
    /// At the next start.
    Restart,
}

/// What is known of a setting.
#[derive(Clone, Debug)]
pub struct Key {
    /// The attribute or element, with `/` between levels.
    pub name: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// What may be written.
    pub expected: &'static str,
    /// The value when nothing is written.
    pub default: String,
    /// Why that value.
    pub reason: &'static str,
    /// Whether it is never printed.
    pub secret: bool,
    /// When a change takes effect.
    pub reload: Reload,
}

/// Declares a struct of settings: `"Name" => field: Type = default, "reason of the default", when a change takes effect;`
macro_rules! settings {
    (
        $(#[$meta:meta])*
        $Name:ident {
            $($(#[doc = $doc:literal])+ $key:literal => $field:ident: $Type:ty = $default:expr, $reason:literal, $reload:ident;)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $Name {
            $($(#[doc = $doc])+ pub $field: $Type,)*
        }

        impl $Name {
            pub(crate) fn read(reader: &mut $crate::settings::Reader<'_, '_>) -> Self {
                Self { $($field: reader.take::<$Type>($key, $default, $reason),)* }
            }

            /// The settings, in the order of the reference.
            pub fn keys() -> Vec<$crate::settings::Key> {
                vec![$($crate::settings::Key {
                    name: $key,
                    meaning: concat!($($doc),+).trim_ascii(),
                    expected: <$Type as $crate::value::Value>::EXPECTED,
                    default: $crate::value::Value::show(&{ let default: $Type = $default; default }),
                    reason: $reason,
                    secret: <$Type as $crate::value::Value>::SECRET,
                    reload: $crate::settings::Reload::$reload,
                },)*]
            }
        }

        impl Default for $Name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}
pub(crate) use settings;

/// A value as written: its name, and where both stand.
pub(crate) struct Entry {
    /// Levels joined with `/`.
    pub(crate) name: String,
    pub(crate) name_span: Span,
    pub(crate) value: String,
    pub(crate) value_span: Span,
}

/// How letter case of names is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// The vendor's schema is exact: a difference is read, with a warning.
    Told,
    /// The vendor reads any case.
    Free,
}

/// Takes settings out of what was written in one place, and tells what is left over.
pub(crate) struct Reader<'c, 'e> {
    pub(crate) check: &'c mut Check<'e>,
    /// What the settings belong to, for messages.
    of: String,
    prefix: &'static str,
    case: Case,
    entries: Vec<(Entry, bool)>,
    known: Vec<String>,
}

impl<'c, 'e> Reader<'c, 'e> {
    pub(crate) fn new(check: &'c mut Check<'e>, of: impl Into<String>, case: Case, entries: Vec<Entry>) -> Self {
        let entries = entries.into_iter().map(|entry| (entry, false)).collect();
        Self { check, of: of.into(), prefix: "", case, entries, known: Vec::new() }
    }

    /// Reads the names that follow below `prefix`, which ends in `/`.
    pub(crate) fn set_prefix(&mut self, prefix: &'static str) {
        self.prefix = prefix;
    }

    /// Where a value was written, if it was.
    pub(crate) fn span(&self, key: &str) -> Option<Span> {
        let found = self.entries.iter().find(|(entry, _)| entry.name.eq_ignore_ascii_case(key));
        found.map(|(entry, _)| entry.value_span.clone())
    }

    pub(crate) fn take<T: Value>(&mut self, key: &'static str, default: T, reason: &'static str) -> T {
        let name = format!("{}{key}", self.prefix);
        let setting = format!("{} {name}", self.of);
        let Some((value, span)) = self.claim(&name) else {
            self.check.default_used(setting, default.show(), reason);
            self.known.push(name);
            return default;
        };
        if !T::SECRET {
            self.check.reveal(&span);
        }
        self.known.push(name);
        let expanded = match self.check.expand(&value) {
            Ok(expanded) => expanded,
            Err(text) => {
                self.check.find(Severity::Error, &span, text);
                return default;
            }
        };
        let read = if T::SECRET { T::parse(&expanded) } else { T::parse(expanded.trim()) };
        match read {
            Some(read) => {
                self.check.value_used(setting, read.show(), &span);
                read
            }
            None => {
                let got = if T::SECRET { String::new() } else { format!(", got {value:?}") };
                self.check.find(Severity::Error, &span, format!("{setting}: expected {}{got}", T::EXPECTED));
                default
            }
        }
    }

    /// Takes settings that mean nothing here, silently.
    pub(crate) fn ignore(&mut self, keys: &[&'static str]) {
        for key in keys {
            if let Some((_, span)) = self.claim(key) {
                self.check.ignored(format!("{} {key}", self.of), &span);
            }
            self.known.push((*key).to_owned());
        }
    }

    /// Takes settings that the operator may rely on, and says that they do nothing.
    pub(crate) fn refuse(&mut self, keys: &[&'static str], why: &str) {
        for key in keys {
            if let Some((_, span)) = self.claim(key) {
                let text = format!("{} {key} has no effect: {why}", self.of);
                self.check.find(Severity::Warning, &span, text);
            }
            self.known.push((*key).to_owned());
        }
    }

    /// Marks an entry as read; the first one counts if there are several.
    fn claim(&mut self, name: &str) -> Option<(String, Span)> {
        let mut first: Option<(String, Span)> = None;
        for (entry, used) in &mut self.entries {
            if !entry.name.eq_ignore_ascii_case(name) {
                continue;
            }
            *used = true;
            if entry.name != name && self.case == Case::Told {
                let text = format!("expected the name {name:?}, got {:?}", entry.name);
                self.check.find(Severity::Warning, &entry.name_span, text);
            }
            match &first {
                None => first = Some((entry.value.clone(), entry.value_span.clone())),
                Some((_, span)) => {
                    let line = self.check.line(span, &entry.name_span);
                    let text = format!("{} {name} is written twice, first in {line}", self.of);
                    self.check.find(Severity::Error, &entry.name_span, text);
                }
            }
        }
        first
    }

    /// Tells what nobody took.
    pub(crate) fn finish(self) {
        for (entry, _) in self.entries.iter().filter(|(_, used)| !used) {
            if entry.value.is_empty() && self.known.iter().any(|known| is_within(known, &entry.name)) {
                continue;
            }
            let near = nearest(&entry.name, self.known.iter().map(String::as_str));
            let hint = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
            let text = format!("unknown setting {:?} of {}{hint}", entry.name, self.of);
            self.check.find(Severity::Warning, &entry.name_span, text);
        }
    }
}

/// Whether a setting belongs to a section, which may be empty.
fn is_within(setting: &str, section: &str) -> bool {
    let start = setting.get(..section.len()).is_some_and(|start| start.eq_ignore_ascii_case(section));
    start && setting.get(section.len()..).is_some_and(|rest| rest.starts_with('/'))
}
