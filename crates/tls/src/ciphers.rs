//! CipherList: OpenSSL's cipher strings over the TLS 1.2 suites that are offered here. TLS 1.3 suites are never
//! affected, as in OpenSSL.
//!
//! | written | does |
//! | --- | --- |
//! | `A` | appends the suites of `A` that are not chosen yet |
//! | `-A` | drops them; they may come back, then ahead of others |
//! | `!A` | drops them for good |
//! | `+A` | moves the chosen ones to the end |
//! | `A+B` | the suites of both |
//! | `@STRENGTH` | sorts by key length, otherwise keeping the order |
//! | `@SECLEVEL=n` | asks for strength of key and suites |
//!
//! Words are separated by `:`, `,`, `;` or space. `DEFAULT` and the `SUITEB` words count at the very front only.
//! The meaning of the words is that of `ciphers(1)` of OpenSSL 3, with which the tests compare.

mod aliases;

use rustls::{CipherSuite, NamedGroup};

use self::aliases::{Mask, SUITES, Suite, Word, look_up};
use crate::{KeyKind, TlsError, Warning};

/// Longest cipher list that is read.
pub const CIPHER_LIST_LEN_AT_MOST: usize = 4096;
const SEPARATORS: [char; 4] = [':', ',', ';', ' '];

/// An evaluated cipher list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CipherList {
    written: String,
    suites: Vec<&'static Suite>,
    level: Option<u8>,
    groups: Option<&'static [NamedGroup]>,
}

/// What a security level asks for, from OpenSSL's `SSL_CTX_set_security_level(3)`.
struct Level {
    suite_bits: u16,
    rsa_bits: usize,
    curve_bits: usize,
}

const LEVELS: [Level; 6] = [
    Level { suite_bits: 0, rsa_bits: 0, curve_bits: 0 },
    Level { suite_bits: 80, rsa_bits: 1024, curve_bits: 160 },
    Level { suite_bits: 112, rsa_bits: 2048, curve_bits: 224 },
    Level { suite_bits: 128, rsa_bits: 3072, curve_bits: 256 },
    Level { suite_bits: 192, rsa_bits: 7680, curve_bits: 384 },
    Level { suite_bits: 256, rsa_bits: 15360, curve_bits: 512 },
];

/// Words that set everything else aside (RFC 6460), with their list and curves.
const SUITE_B: [(&str, &str, &[NamedGroup]); 4] = [
    ("SUITEB128ONLY", "ECDHE-ECDSA-AES128-GCM-SHA256", &[NamedGroup::secp256r1]),
    (
        "SUITEB128C2",
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384",
        &[NamedGroup::secp256r1, NamedGroup::secp384r1],
    ),
    (
        "SUITEB128",
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384",
        &[NamedGroup::secp256r1, NamedGroup::secp384r1],
    ),
    ("SUITEB192", "ECDHE-ECDSA-AES256-GCM-SHA384", &[NamedGroup::secp384r1]),
];

impl Default for CipherList {
    fn default() -> Self {
        Self { written: "DEFAULT".to_owned(), suites: SUITES.iter().collect(), level: None, groups: None }
    }
}

impl CipherList {
    /// Evaluates a list; an empty one is `DEFAULT`.
    ///
    /// # Errors
    /// If the list does not follow the grammar, or selects nothing that is offered here.
    pub fn parse(list: &str) -> Result<(Self, Vec<Warning>), TlsError> {
        let written = if list.trim().is_empty() { "DEFAULT" } else { list };
        let syntax = |detail| TlsError::CipherSyntax { list: list.chars().take(80).collect(), detail };
        if written.len() > CIPHER_LIST_LEN_AT_MOST {
            return Err(syntax(format!("{} bytes, more than {CIPHER_LIST_LEN_AT_MOST}", written.len())));
        }
        let suite_b = SUITE_B.iter().find(|(word, ..)| written.starts_with(word));
        let mut evaluation = Evaluation::default();
        match (suite_b, written.strip_prefix("DEFAULT")) {
            (Some((_, rules, _)), _) => evaluation.run(rules).map_err(syntax)?,
            (None, Some(rest)) => {
                evaluation.add(&Mask::ANY);
                evaluation.run(rest).map_err(syntax)?;
            }
            (None, None) => evaluation.run(written).map_err(syntax)?,
        }
        let Evaluation { places, level, warnings } = evaluation;
        let bits = level.and_then(|level| LEVELS.get(usize::from(level))).map_or(0, |level| level.suite_bits);
        let chosen = places.iter().filter(|place| place.chosen && place.suite.strength_bits >= bits);
        let suites = chosen.map(|place| place.suite).collect::<Vec<_>>();
        if suites.is_empty() {
            return Err(TlsError::NoCipher {
                list: list.to_owned(),
                supported: SUITES.map(|suite| suite.name).join(" "),
            });
        }
        let groups = suite_b.map(|(_, _, groups)| *groups);
        Ok((Self { written: written.to_owned(), suites, level, groups }, warnings))
    }

    /// The list as written.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }

    /// OpenSSL's names of the chosen TLS 1.2 suites, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.suites.iter().map(|suite| suite.name)
    }

    /// Whether the key is strong enough for the list's security level.
    ///
    /// # Errors
    /// If it is not.
    pub fn check_key(&self, key: KeyKind) -> Result<(), TlsError> {
        let Some((number, level)) = self.level.and_then(|number| Some((number, LEVELS.get(usize::from(number))?)))
        else {
            return Ok(());
        };
        let strong = match key {
            KeyKind::Rsa { bits } => bits >= level.rsa_bits,
            KeyKind::Ecdsa { bits } => bits >= level.curve_bits,
            KeyKind::Other => level.curve_bits <= 256,
        };
        if strong {
            return Ok(());
        }
        Err(TlsError::SecurityLevel { key, level: number, rsa: level.rsa_bits, curve: level.curve_bits })
    }

    /// Where a suite stands in the list.
    pub(crate) fn position(&self, suite: CipherSuite) -> Option<usize> {
        self.suites.iter().position(|have| have.id == suite)
    }

    /// Whether key exchange in this group is allowed.
    pub(crate) fn allows_group(&self, group: NamedGroup) -> bool {
        self.groups.is_none_or(|groups| groups.contains(&group))
    }
}

struct Place {
    suite: &'static Suite,
    chosen: bool,
}

/// The state while rules are applied: every suite that is not dropped for good, in order. That order also holds for
/// the suites that are not chosen, because it decides where they come back.
struct Evaluation {
    places: Vec<Place>,
    level: Option<u8>,
    warnings: Vec<Warning>,
}

impl Default for Evaluation {
    fn default() -> Self {
        let places = SUITES.iter().map(|suite| Place { suite, chosen: false }).collect();
        Self { places, level: None, warnings: Vec::new() }
    }
}

impl Evaluation {
    fn run(&mut self, rules: &str) -> Result<(), String> {
        let mut rest = rules;
        loop {
            rest = rest.trim_start_matches(SEPARATORS);
            let Some(first) = rest.chars().next() else { return Ok(()) };
            if matches!(first, '-' | '+' | '!' | '@') {
                rest = rest.strip_prefix(first).unwrap_or_default();
            }
            if first == '@' {
                let (command, _) = word(rest)?;
                self.command(command)?;
                rest = behind_item(rest);
                continue;
            }
            let (mask, behind) = self.selection(rest)?;
            rest = behind;
            let Some(mask) = mask else { continue };
            match first {
                '-' => self.drop(&mask),
                '!' => self.places.retain(|place| !mask.covers(place.suite)),
                '+' => self.move_to_end(|place| place.chosen && mask.covers(place.suite)),
                _ => self.add(&mask),
            }
        }
    }

    /// Reads `A+B+...`: what it selects, if that can be anything, and what stands behind it.
    fn selection<'a>(&mut self, mut rest: &'a str) -> Result<(Option<Mask>, &'a str), String> {
        let mut mask = Mask::ANY;
        loop {
            let (word, behind) = word(rest)?;
            let narrower = match look_up(word) {
                Word::Selects(other) => mask.and(&other),
                Word::Unsupported => {
                    self.warnings.push(Warning::UnsupportedCipher { word: word.to_owned() });
                    None
                }
                Word::Unknown => {
                    self.warnings.push(Warning::UnknownCipher { word: word.to_owned() });
                    None
                }
            };
            let Some(narrower) = narrower else { return Ok((None, behind_item(behind))) };
            mask = narrower;
            match behind.strip_prefix('+') {
                Some(next) => rest = next,
                None => return Ok((Some(mask), behind)),
            }
        }
    }

    fn command(&mut self, command: &str) -> Result<(), String> {
        if command == "STRENGTH" {
            let mut strengths = self.places.iter().map(|place| place.suite.strength_bits).collect::<Vec<_>>();
            strengths.sort_unstable_by(|a, b| b.cmp(a));
            strengths.dedup();
            for bits in strengths {
                self.move_to_end(|place| place.chosen && place.suite.strength_bits == bits);
            }
            return Ok(());
        }
        let level = command.strip_prefix("SECLEVEL=").and_then(|level| level.parse::<u8>().ok());
        match level.filter(|level| usize::from(*level) < LEVELS.len()) {
            Some(level) => {
                self.level = Some(level);
                Ok(())
            }
            None => Err(format!("@{command}: expected @STRENGTH or @SECLEVEL=0 to @SECLEVEL={}", LEVELS.len() - 1)),
        }
    }

    fn add(&mut self, mask: &Mask) {
        self.move_to_end(|place| !place.chosen && mask.covers(place.suite));
        self.places.iter_mut().filter(|place| mask.covers(place.suite)).for_each(|place| place.chosen = true);
    }

    fn drop(&mut self, mask: &Mask) {
        self.move_to_end(|place| !(place.chosen && mask.covers(place.suite)));
        self.places.iter_mut().filter(|place| mask.covers(place.suite)).for_each(|place| place.chosen = false);
    }

    /// Moves these to the end; all others, and these among each other, keep their order.
    fn move_to_end(&mut self, moves: impl Fn(&Place) -> bool) {
        self.places.sort_by_key(moves);
    }
}

/// The word at the front and what stands behind it.
fn word(text: &str) -> Result<(&str, &str), String> {
    let of_word = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '=');
    let end = text.find(|letter| !of_word(letter)).unwrap_or(text.len());
    match text.split_at(end) {
        ("", rest) => match rest.chars().next() {
            Some(letter) => Err(format!("expected a word, got {letter:?}")),
            None => Err("expected a word, got the end".to_owned()),
        },
        found => Ok(found),
    }
}

fn behind_item(text: &str) -> &str {
    text.find(SEPARATORS).and_then(|end| text.get(end..)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
