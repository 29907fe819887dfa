//! What a check collects: the files, the findings, and the values in effect.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::LoadOptions;
use crate::finding::{Finding, Severity, Subject, nearest};
use crate::settings::{Entry, Reload};
use crate::source::{MAX_FILE_BYTES, Place, Source, Span, decode};
use crate::value::Secret;
use crate::xml::{self, Element, SyntaxError};

/// Most findings that are told one by one.
pub const MAX_FINDINGS: usize = 500;

/// A file that was read, under the name that it really has.
#[derive(Clone, Debug)]
pub struct File {
    /// Its path.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The world outside of the files.
#[derive(Clone, Copy)]
pub struct Environment<'e> {
    /// Reads a file, see [`crate::read_file`].
    pub read: &'e dyn Fn(&Path) -> io::Result<File>,
    /// An environment variable.
    pub variable: &'e dyn Fn(&str) -> Option<String>,
}

impl Effective {
    /// What the setting belongs to.
    pub fn owner(&self) -> &str {
        &self.owner.name
    }

    /// Its name without what it belongs to.
    pub fn key(&self) -> &str {
        self.setting.strip_prefix(self.owner()).map_or("", str::trim_start)
    }
}

impl std::fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment")
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Written in a file.
    File(Place),
    /// Not written; the reason of the default.
    Default(&'static str),
    /// Written, known, and without effect here.
    Ignored(Place),
}

/// A setting and the value that it has in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// What it belongs to and its name.
    pub setting: String,
    /// The value as an operator would write it; never a secret.
    pub value: String,
    /// The value that it has when nothing is written.
    pub default: String,
    /// Where it comes from.
    pub origin: Origin,
    /// When a change takes effect.
    pub reload: Reload,
    pub(crate) owner: Owner,
    /// The value itself, if it is one that is never shown.
    pub(crate) secret: Option<Secret>,
}

/// What settings belong to: the n-th of those that have the same name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) name: String,
    pub(crate) number: usize,
}

struct Raw {
    severity: Severity,
    subject: Subject,
    span: Span,
    text: String,
}

/// What a check collects.
pub(crate) struct Check<'e> {
    environment: Environment<'e>,
    strict: bool,
    ignore_plugins: bool,
    sources: Vec<Source>,
    findings: Vec<Raw>,
    untold: Option<(usize, Severity)>,
    owners: HashMap<String, usize>,
    pub(crate) effective: Vec<Effective>,
    /// Files that the server makes itself, so that they need not be there.
    pub(crate) made_here: Vec<PathBuf>,
    /// `[NAME]` macros of the place that is being read.
    pub(crate) macros: Vec<(&'static str, String)>,
}

impl<'e> Check<'e> {
    pub(crate) fn new(environment: Environment<'e>, options: LoadOptions<'_>) -> Self {
        Self {
            environment,
            strict: options.strict,
            ignore_plugins: options.ignore_plugins,
            sources: Vec::new(),
            findings: Vec::new(),
            untold: None,
            owners: HashMap::new(),
            effective: Vec::new(),
            made_here: Vec::new(),
            macros: Vec::new(),
        }
    }

    pub(crate) fn find(&mut self, severity: Severity, span: &Span, text: impl Into<String>) {
        self.find_about(Subject::Setting, severity, span, text);
    }

    /// Tells of something that the operator had and that this server does not do.
    pub(crate) fn unsupported(&mut self, severity: Severity, span: &Span, text: impl Into<String>) {
        self.find_about(Subject::Unsupported, severity, span, text);
    }

    pub(crate) fn find_about(&mut self, subject: Subject, severity: Severity, span: &Span, text: impl Into<String>) {
        let severity = if self.strict && severity == Severity::Warning { Severity::Error } else { severity };
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Raw { severity, subject, span: span.clone(), text: text.into() });
        } else {
            let (count, worst) = self.untold.unwrap_or((0, severity));
            self.untold = Some((count + 1, worst.max(severity)));
        }
    }

    pub(crate) fn warn(&mut self, span: &Span, text: impl Into<String>) {
        self.find(Severity::Warning, span, text);
    }

    pub(crate) fn fail(&mut self, span: &Span, text: impl Into<String>) {
        self.find(Severity::Error, span, text);
    }

    pub(crate) fn ignores_plugins(&self) -> bool {
        self.ignore_plugins
    }

    pub(crate) fn reveal(&mut self, span: &Span) {
        if let Some(source) = self.sources.get_mut(span.file) {
            source.reveal(span.range.clone());
        }
    }

    pub(crate) fn place(&self, span: &Span) -> Place {
        let nowhere = || Place { file: PathBuf::new(), line: 1, column: 1 };
        self.sources.get(span.file).map_or_else(nowhere, |source| source.place(span.range.start))
    }

    /// `line 12`, with the file in front if it is another one than that of `seen_from`.
    pub(crate) fn line(&self, span: &Span, seen_from: &Span) -> String {
        let place = self.place(span);
        if span.file == seen_from.file {
            return format!("line {}", place.line);
        }
        format!("{}:{}", place.file.display(), place.line)
    }

    /// The next owner with this name.
    pub(crate) fn owner(&mut self, name: &str) -> Owner {
        let count = self.owners.entry(name.to_owned()).or_default();
        *count += 1;
        Owner { name: name.to_owned(), number: *count }
    }

    pub(crate) fn ignored(&mut self, setting: String, span: &Span) {
        let owner = self.owner(&setting);
        let origin = Origin::Ignored(self.place(span));
        let value = "no effect".to_owned();
        let default = value.clone();
        self.effective.push(Effective { setting, value, default, origin, reload: Reload::Live, owner, secret: None });
    }

    /// Whether a file is there, or will be before it is needed.
    pub(crate) fn exists(&self, path: &Path) -> bool {
        self.made_here.iter().any(|made| made == path) || (self.environment.read)(path).is_ok()
    }

    /// Reads and decodes a file; what is wrong with its bytes is told. `Ok(None)` if there is no such file.
    pub(crate) fn open(&mut self, path: &Path) -> Result<Option<usize>, Told> {
        let file = match (self.environment.read)(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.tell(path, String::new(), format!("cannot read this file: {error}"))),
        };
        let length = file.bytes.len();
        if length > MAX_FILE_BYTES {
            let text = format!("expected a file of at most {MAX_FILE_BYTES} bytes, got {length}");
            return Err(self.tell(&file.path, String::new(), text));
        }
        match decode(&file.bytes) {
            Ok(text) => {
                self.sources.push(Source::new(&file.path, text));
                Ok(Some(self.sources.len() - 1))
            }
            Err(fault) => Err(self.tell(&file.path, fault.before, fault.why)),
        }
    }

    /// Tells a fault that stands where `before` ends.
    pub(crate) fn tell(&mut self, path: &Path, before: String, text: String) -> Told {
        let at = before.len();
        self.sources.push(Source::new(path, before));
        let span = Span { file: self.sources.len() - 1, range: at..at };
        self.fail(&span, text);
        Told
    }

    /// The files that were read.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.sources.iter().map(|source| source.path.clone()).collect()
    }

    pub(crate) fn text(&self, file: usize) -> &str {
        self.sources.get(file).map_or("", |source| &source.text)
    }

    /// The folder of a file, never empty.
    pub(crate) fn folder(&self, file: usize) -> PathBuf {
        let folder = self.sources.get(file).and_then(|source| source.path.parent());
        folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new(".")).to_owned()
    }

    pub(crate) fn parse_xml(&mut self, file: usize) -> Result<Element, Told> {
        let parsed = match self.sources.get(file) {
            Some(source) => xml::parse(source, file),
            None => return Err(Told),
        };
        parsed.map_err(|error| self.syntax(file, error))
    }

    /// As [`Check::parse_xml`], for a file that the server can do without: what is wrong with its form is no error.
    pub(crate) fn parse_dispensable_xml(&mut self, file: usize, instead: &str) -> Result<Element, Told> {
        let parsed = match self.sources.get(file) {
            Some(source) => xml::parse(source, file),
            None => return Err(Told),
        };
        parsed.map_err(|error| {
            self.warn(&Span { file, range: error.span }, format!("{}; {instead}", error.text));
            Told
        })
    }

    pub(crate) fn syntax(&mut self, file: usize, error: SyntaxError) -> Told {
        self.fail(&Span { file, range: error.span }, error.text);
        Told
    }

    /// Replaces `%NAME%`, `${NAME}` and, where macros are set, `[NAME]`.
    pub(crate) fn expand(&self, text: &str) -> Result<String, String> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['%', '$', '[']) {
            let (before, tail) = rest.split_at(at);
            expanded.push_str(before);
            let (open, close) = match tail.as_bytes().first() {
                Some(b'%') => ("%", '%'),
                Some(b'$') => ("${", '}'),
                _ => ("[", ']'),
            };
            let name = tail.strip_prefix(open).and_then(|tail| tail.split_once(close)).map(|(name, _)| name);
            match name.filter(|name| is_name(name)) {
                Some(name) if open != "[" => {
                    let value = (self.environment.variable)(name);
                    expanded.push_str(&value.ok_or_else(|| format!("the environment variable {name} is not set"))?);
                    rest = tail.get(open.len() + name.len() + 1..).unwrap_or_default();
                }
                Some(name) if !self.macros.is_empty() => {
                    expanded.push_str(self.macro_value(name)?);
                    rest = tail.get(open.len() + name.len() + 1..).unwrap_or_default();
                }
                _ => {
                    let (one, tail) = tail.split_at(1);
                    expanded.push_str(one);
                    rest = tail;
                }
            }
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn macro_value(&self, name: &str) -> Result<&str, String> {
        let found = self.macros.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let known = || self.macros.iter().map(|(known, _)| format!("[{known}]")).collect::<Vec<_>>().join(", ");
        found
            .map(|(_, value)| value.as_str())
            .ok_or_else(|| format!("unknown macro [{name}]; expected one of {}", known()))
    }

    /// Tells the children of an element that are none of `known`.
    pub(crate) fn unknown_children(&mut self, element: &Element, known: &[&str]) {
        for child in &element.children {
            match known.iter().find(|known| child.is(known)) {
                None => {
                    let name = &child.name.text;
                    let text = format!("unknown element <{name}> in <{}>{}", element.name.text, hint(name, known));
                    self.warn(&child.name.span, text);
                }
                Some(&known) if known != child.name.text => {
                    self.warn(&child.name.span, format!("expected the name {known:?}, got {:?}", child.name.text));
                }
                Some(_) => {}
            }
        }
    }

    /// Every finding, in the order of files and lines.
    pub(crate) fn into_findings(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|raw| (raw.span.file, raw.span.range.start));
        let told = self.findings.iter().filter_map(|raw| {
            let source = self.sources.get(raw.span.file)?;
            let is_xml = source.text.trim_start().starts_with('<');
            let excerpt = if source.text.is_empty() { String::new() } else { source.excerpt(&raw.span.range, is_xml) };
            let place = source.place(raw.span.range.start);
            Some(Finding { severity: raw.severity, subject: raw.subject, place, text: raw.text.clone(), excerpt })
        });
        let mut told: Vec<_> = told.collect();
        if let (Some((count, severity)), Some(last)) = (self.untold, told.last()) {
            let text = format!("{count} more findings; repair the ones above first");
            let subject = Subject::Setting;
            told.push(Finding { severity, subject, place: last.place.clone(), text, excerpt: String::new() });
        }
        told
    }
}

/// A fault was told, and what it is about cannot be read.
#[derive(Debug)]
pub(crate) struct Told;

/// `; did you mean "Port"?`, if a known name is near.
pub(crate) fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a &'a str>) -> String {
    let near = nearest(name, known.into_iter().copied());
    near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The attributes of an element as settings.
pub(crate) fn attributes(element: &Element) -> Vec<Entry> {
    let entry = |attribute: &xml::Attribute| Entry {
        name: attribute.name.text.clone(),
        name_span: attribute.name.span.clone(),
        value: attribute.value.text.clone(),
        value_span: attribute.value.span.clone(),
    };
    element.attributes.iter().map(entry).collect()
}

/// The attributes and elements below an element as settings with `/` between levels, except those below `apart`.
pub(crate) fn tree(element: &Element, apart: &[&str]) -> Vec<Entry> {
    let mut entries = Vec::new();
    collect(element, "", apart, &mut entries);
    entries
}

fn collect(element: &Element, prefix: &str, apart: &[&str], entries: &mut Vec<Entry>) {
    entries.extend(
        attributes(element).into_iter().map(|entry| Entry { name: format!("{prefix}{}", entry.name), ..entry }),
    );
    for child in &element.children {
        let name = format!("{prefix}{}", child.name.text);
        if apart.iter().any(|apart| apart.eq_ignore_ascii_case(&name)) {
            continue;
        }
        if child.children.is_empty() && (child.text.is_some() || child.attributes.is_empty()) {
            let (value, value_span) = child.text.as_ref().map_or_else(
                || (String::new(), child.name.span.clone()),
                |text| (text.text.clone(), text.span.clone()),
            );
            entries.push(Entry { name: name.clone(), name_span: child.name.span.clone(), value, value_span });
        }
        collect(child, &format!("{name}/"), apart, entries);
    }
}
