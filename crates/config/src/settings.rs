//! Settings: each is declared once, and read from there.

use crate::check::{Check, Effective, Origin, Owner};
use crate::finding::{Severity, nearest};
use crate::source::Span;
use crate::value::{Secret, Value};

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
                Self { $($field: reader.take::<$Type>($key, $default, $reason, $crate::settings::Reload::$reload),)* }
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
    owner: Owner,
    prefix: &'static str,
    case: Case,
    entries: Vec<(Entry, bool)>,
    known: Vec<String>,
}

impl<'c, 'e> Reader<'c, 'e> {
    pub(crate) fn new(check: &'c mut Check<'e>, of: impl Into<String>, case: Case, entries: Vec<Entry>) -> Self {
        let entries = entries.into_iter().map(|entry| (entry, false)).collect();
        let of = of.into();
        let owner = check.owner(&of);
        Self { check, of, owner, prefix: "", case, entries, known: Vec::new() }
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

    pub(crate) fn take<T: Value>(&mut self, key: &'static str, default: T, reason: &'static str, reload: Reload) -> T {
        let name = format!("{}{key}", self.prefix);
        let claimed = self.claim(&name);
        self.known.push(name.clone());
        let shown = default.show();
        let (value, span) = match claimed {
            Some((written, span)) => (self.parse::<T>(&name, &written, &span), span),
            None => {
                self.used(&name, shown.clone(), shown, Origin::Default(reason), reload, None);
                return default;
            }
        };
        let Some((value, secret)) = value else { return default };
        let origin = Origin::File(self.check.place(&span));
        self.used(&name, value.show(), shown, origin, reload, secret);
        value
    }

    /// What was written as a value, and as a secret if it is one; what is wrong with it is told.
    fn parse<T: Value>(&mut self, name: &str, written: &str, span: &Span) -> Option<(T, Option<Secret>)> {
        if !T::SECRET {
            self.check.reveal(span);
        }
        let expanded = match self.check.expand(written) {
            Ok(expanded) => expanded,
            Err(text) => {
                self.check.fail(span, text);
                return None;
            }
        };
        let value = if T::SECRET { T::parse(&expanded) } else { T::parse(expanded.trim()) };
        if value.is_none() {
            let got = if T::SECRET { String::new() } else { format!(", got {written:?}") };
            self.check.fail(span, format!("{} {name}: expected {}{got}", self.of, T::EXPECTED));
        }
        value.map(|value| (value, T::SECRET.then(|| Secret::new(expanded))))
    }

    fn used(
        &mut self,
        name: &str,
        value: String,
        default: String,
        origin: Origin,
        reload: Reload,
        secret: Option<Secret>,
    ) {
        let (setting, owner) = (format!("{} {name}", self.of), self.owner.clone());
        self.check.effective.push(Effective { setting, value, default, origin, reload, owner, secret });
    }

    /// Takes every setting that nobody has taken as a parameter of the owner's own, which is never shown.
    pub(crate) fn take_parameters(&mut self, reload: Reload) -> Vec<(String, Secret)> {
        let mut parameters = Vec::new();
        let left = self.entries.iter_mut().filter(|(_, used)| !*used);
        let left = left.map(|(entry, used)| {
            *used = true;
            (entry.name.clone(), entry.value.clone(), entry.value_span.clone())
        });
        let left: Vec<_> = left.collect();
        for (name, written, span) in left {
            let Some((value, secret)) = self.parse::<Secret>(&name, &written, &span) else { continue };
            let origin = Origin::File(self.check.place(&span));
            self.used(&name, value.show(), String::new(), origin, reload, secret);
            parameters.push((name, value));
        }
        parameters
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
                self.check.unsupported(Severity::Warning, &span, text);
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
