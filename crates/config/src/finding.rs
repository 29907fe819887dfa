//! What a check has to say, and where.

use std::fmt;

use crate::source::Place;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know: a choice that the server makes for the operator.
    Note,
    /// The server starts, but probably not as it was meant. An error in strict mode.
    Warning,
    /// The server does not start.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// What a finding is about, for reports that group them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// How a file or a setting is written.
    Setting,
    /// Something that works elsewhere and that this server does not do.
    Unsupported,
    /// A certificate or key that is missing.
    Certificate,
    /// A secret that everyone knows.
    Secret,
}

/// Something that an operator should know. It prints as `file:line:column: severity: text`, with the line below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// Where it is.
    pub place: Place,
    /// What came and what was expected.
    pub text: String,
    /// The line with a caret, without secrets; empty when there is no such line.
    pub excerpt: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.severity, self.text)?;
        if self.excerpt.is_empty() { Ok(()) } else { write!(f, "\n{}", self.excerpt) }
    }
}

/// The known name that is nearest to `name`, if one is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name.to_lowercase().chars().take(64).collect();
    let allowed = (name.len() / 3).clamp(1, 4);
    let scored = known.into_iter().map(|candidate| (distance(&name, candidate), candidate));
    scored.filter(|&(distance, _)| distance <= allowed).min().map(|(_, candidate)| candidate)
}

/// Insertions, deletions and replacements between two names, letter case apart.
fn distance(name: &[char], other: &str) -> usize {
    let mut row: Vec<usize> = (0..=name.len()).collect();
    for (index, letter) in other.to_lowercase().chars().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        for (cell, &mine) in row.iter_mut().zip(std::iter::once(&'\0').chain(name)) {
            let value = if mine == '\0' {
                index + 1
            } else {
                (diagonal + usize::from(mine != letter)).min(left + 1).min(*cell + 1)
            };
            diagonal = *cell;
            left = value;
            *cell = value;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_when_it_is_near() {
        let known = ["MinimumTimeout", "MaximumTimeout", "Port"];
        assert_eq!(nearest("MinimumTimout", known), Some("MinimumTimeout"));
        assert_eq!(nearest("prot", ["Port"]), None);
        assert_eq!(nearest("Ports", known), Some("Port"));
        assert_eq!(nearest("Colour", known), None);
    }

    #[test]
    fn distance_counts_edits() {
        let of = |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), b);
        assert_eq!(of("kitten", "sitting"), 3);
        assert_eq!(of("", "ab"), 2);
        assert_eq!(of("ab", ""), 2);
        assert_eq!(of("same", "SAME"), 0);
    }
}
