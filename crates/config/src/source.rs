//! The text of a file: decoding, places in it, and the excerpt that a finding shows.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Most bytes of a configuration file; the largest shipped one has 20 KiB.
pub const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;

/// Most characters of a line that an excerpt shows.
const MAX_EXCERPT_CHARS: usize = 160;

/// What Windows-1252 has at 0x80 to 0x9F; the five gaps are control characters as in the WHATWG table.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
];

/// A place in a file, counted from 1; columns are characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Line.
    pub line: usize,
    /// Character in the line.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// A range of one of the files of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Number of the file.
    pub(crate) file: usize,
    pub(crate) range: Range<usize>,
}

/// A decoded file.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// Values that an excerpt may show: those of known keys that are no secrets.
    clear: Vec<Range<usize>>,
}

/// Why bytes are no text, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotText {
    /// Text before the fault.
    pub(crate) before: String,
    pub(crate) why: String,
}

impl Source {
    pub(crate) fn new(path: &Path, text: String) -> Self {
        Self { path: path.to_owned(), text, clear: Vec::new() }
    }

    pub(crate) fn reveal(&mut self, span: Range<usize>) {
        self.clear.push(span);
    }

    pub(crate) fn place(&self, at: usize) -> Place {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            file: self.path.clone(),
            line: before.bytes().filter(|&byte| byte == b'\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }

    /// The offset of a line and column as XML parsers count them.
    pub(crate) fn offset(&self, line: usize, column: usize) -> usize {
        let line_start = self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
        let rest = self.text.get(line_start..).unwrap_or_default();
        line_start + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at)
    }

    /// The line of a span with a caret below it; values that no known key claims are masked.
    pub(crate) fn excerpt(&self, span: &Range<usize>, is_xml: bool) -> String {
        let place = self.place(span.start);
        let line_start = self.text.get(..span.start).unwrap_or(&self.text).rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
        let skipped = place.column.saturating_sub(MAX_EXCERPT_CHARS / 2);
        let mask = if is_xml { self.masked(line_start + line.len()) } else { Vec::new() };
        let shown = line.char_indices().skip(skipped).take(MAX_EXCERPT_CHARS).map(|(at, character)| {
            let at = line_start + at;
            let is_masked = mask.iter().any(|range| range.contains(&at)) && !self.is_clear(at);
            match character {
                '\t' => ' ',
                _ if character.is_control() => '\u{FFFD}',
                _ if is_masked && !character.is_whitespace() => '*',
                _ => character,
            }
        });
        let shown: String = shown.collect();
        let width =
            self.text.get(span.clone()).map_or(1, |text| text.lines().next().unwrap_or_default().chars().count());
        let room = shown.chars().count().saturating_sub(place.column - 1 - skipped);
        let carets = "^".repeat(width.min(room).max(1));
        let indent = " ".repeat(place.column - 1 - skipped);
        format!("{:>6} | {}\n       | {indent}{carets}", place.line, shown.trim_end())
    }

    fn is_clear(&self, at: usize) -> bool {
        self.clear.iter().any(|range| range.contains(&at))
    }

    /// The ranges up to `end` that may hold values: text, comments, and what follows a `=` in a tag. It does not rely on
    /// well-formed text, because faults of the form are shown too.
    fn masked(&self, end: usize) -> Vec<Range<usize>> {
        let text = self.text.get(..end).unwrap_or(&self.text);
        let mut ranges = Vec::new();
        let mut rest = 0;
        while let Some(tail) = text.get(rest..).filter(|tail| !tail.is_empty()) {
            let tag = tail.find('<').map_or(text.len(), |at| rest + at);
            let start = if text.get(rest..).is_some_and(|tail| tail.starts_with("-->")) { rest + 3 } else { rest };
            ranges.push(start..tag);
            let tail = text.get(tag..).unwrap_or_default();
            if tail.starts_with("<!--") {
                let stop = tail.find("-->").map_or(text.len(), |at| tag + at);
                ranges.push((tag + 4).min(stop)..stop);
                rest = stop;
                continue;
            }
            let stop = tag_stop(text, tag);
            mask_values(text, tag..stop, &mut ranges);
            rest = if text.as_bytes().get(stop) == Some(&b'>') { stop + 1 } else { stop };
        }
        ranges
    }
}

/// Where a tag ends: at a `>` outside of quotes, or at the next `<` if it was never closed.
fn tag_stop(text: &str, tag: usize) -> usize {
    let mut quote = None;
    for (at, character) in text.get(tag + 1..).unwrap_or_default().char_indices() {
        match (quote, character) {
            (_, '<') | (None, '>') => return tag + 1 + at,
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
    }
    text.len()
}

/// In a tag only its name and the names before a `=` are shown: text that lost its brackets looks like a name, too.
fn mask_values(text: &str, tag: Range<usize>, ranges: &mut Vec<Range<usize>>) {
    let inside = text.get(tag.clone()).unwrap_or_default();
    let is_name = |character: char| character.is_alphanumeric() || "_-.:/?!".contains(character);
    let first = inside.get(1..).and_then(|inside| inside.find(|character| !is_name(character)));
    let mut at = first.map_or(tag.end, |length| tag.start + 1 + length);
    while let Some(equals) = text.get(at..tag.end).and_then(|tail| tail.find('=')) {
        let before = text.get(at..at + equals).unwrap_or_default().trim_end();
        let name = at + before.trim_end_matches(is_name).len();
        ranges.push(at..name);
        let value = at + equals + 1;
        let tail = text.get(value..tag.end).unwrap_or_default();
        let blank = tail.len() - tail.trim_start().len();
        let tail = tail.trim_start();
        let length = match tail.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                tail.get(1..).and_then(|tail| tail.find(quote)).map_or(tail.len(), |at| at + 2)
            }
            _ => tail.find(char::is_whitespace).unwrap_or(tail.len()),
        };
        let inner = usize::from(length >= 2 && tail.starts_with(['"', '\'']));
        let start = value + blank + inner;
        ranges.push(start..(value + blank + length - inner).max(start));
        at = value + blank + length;
    }
    let rest = text.get(at..tag.end).unwrap_or_default();
    ranges.push(at..at + rest.strip_suffix('/').unwrap_or(rest).len());
}

/// Decodes UTF-8, UTF-16 and Windows-1252, by byte order mark, then by form, then by the XML declaration.
pub(crate) fn decode(bytes: &[u8]) -> Result<String, NotText> {
    let text = match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest)?,
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        [b'<', 0, ..] | [b'{', 0, ..] => utf16(bytes, u16::from_le_bytes)?,
        [0, b'<', ..] | [0, b'{', ..] => utf16(bytes, u16::from_be_bytes)?,
        _ => match declared_encoding(bytes) {
            None => utf8(bytes)?,
            Some((_, name)) if ["utf-8", "utf8", "us-ascii"].contains(&name.as_str()) => utf8(bytes)?,
            Some((_, name)) if ["windows-1252", "iso-8859-1", "latin1"].contains(&name.as_str()) => windows_1252(bytes),
            Some((at, name)) => {
                let before = String::from_utf8_lossy(bytes.get(..at).unwrap_or_default()).into_owned();
                let why = format!("expected the encoding utf-8, utf-16 or windows-1252, got {name:?}");
                return Err(NotText { before, why });
            }
        },
    };
    match text.find('\0') {
        Some(at) => Err(NotText {
            before: text.get(..at).unwrap_or_default().to_owned(),
            why: "expected text, got a zero byte".to_owned(),
        }),
        None => Ok(text),
    }
}

fn utf8(bytes: &[u8]) -> Result<String, NotText> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| {
        let (good, bad) = bytes.split_at_checked(error.valid_up_to()).unwrap_or_default();
        NotText {
            before: String::from_utf8_lossy(good).into_owned(),
            why: format!(
                "byte {:#04x} is not UTF-8; save the file as UTF-8 or declare encoding=\"Windows-1252\"",
                bad.first().copied().unwrap_or_default()
            ),
        }
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, NotText> {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(pairs.len());
    for decoded in char::decode_utf16(pairs.iter().map(|&pair| unit(pair))) {
        match decoded {
            Ok('\u{FEFF}') if text.is_empty() => {}
            Ok(character) => text.push(character),
            Err(_) => return Err(NotText { before: text, why: "half of a UTF-16 pair stands alone".to_owned() }),
        }
    }
    if odd.is_empty() { Ok(text) } else { Err(NotText { before: text, why: "UTF-16 ends in half a unit".to_owned() }) }
}

fn windows_1252(bytes: &[u8]) -> String {
    let decode = |&byte: &u8| match byte {
        0x80..=0x9F => WINDOWS_1252.get(usize::from(byte - 0x80)).copied().unwrap_or('\u{FFFD}'),
        _ => char::from(byte),
    };
    bytes.iter().map(decode).collect()
}

/// The encoding that an XML declaration names, in lower case, and its offset.
fn declared_encoding(bytes: &[u8]) -> Option<(usize, String)> {
    let head = String::from_utf8_lossy(bytes.get(..bytes.len().min(200))?).into_owned();
    let declaration = head.split_once("?>")?.0.strip_prefix("<?xml")?.to_owned();
    let at = declaration.find("encoding")?;
    let value = declaration.get(at..)?.split_once('=')?.1.trim_start();
    let quote = value.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
    let name = value.get(1..)?.split(quote).next()?;
    Some((head.find(name)?, name.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn every_encoding_that_vendors_files_have_becomes_the_same_text() {
        let text = "<a b=\"Größe €\"/>";
        let with_mark = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
        assert_eq!(decode(text.as_bytes()).unwrap(), text);
        assert_eq!(decode(&with_mark).unwrap(), text);
        assert_eq!(decode(&units(text, u16::to_le_bytes)).unwrap(), text);
        assert_eq!(decode(&units(text, u16::to_be_bytes)).unwrap(), text);
        assert_eq!(decode(&units(&format!("\u{FEFF}{text}"), u16::to_le_bytes)).unwrap(), text);
        let old = b"<?xml version=\"1.0\" encoding=\"Windows-1252\"?><a b=\"Gr\xF6\xDFe \x80\"/>";
        assert!(decode(old).unwrap().ends_with(text));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_where_they_stand() {
        assert_eq!(decode(b"<a>\n\xFF").unwrap_err().before, "<a>\n");
        assert!(decode(b"<?xml version='1.0' encoding='koi8-r'?>").unwrap_err().why.contains("koi8-r"));
        assert!(decode(b"\xFF\xFE<\0\x00").unwrap_err().why.contains("half a unit"));
        assert!(decode(b"\xFF\xFE\x00\xD8").unwrap_err().why.contains("stands alone"));
        assert!(decode(b"<a>\0</a>").unwrap_err().why.contains("zero byte"));
    }

    #[test]
    fn an_excerpt_masks_every_value_that_nobody_has_declared_harmless() {
        let text = "<A Key=\"hidden\" Port=\"5055\" B='x>y'>word</A><!-- old \"hidden\" -->";
        let mut source = Source::new(Path::new("a"), text.to_owned());
        let port = text.find("5055").unwrap();
        source.reveal(port..port + 4);
        let excerpt = source.excerpt(&(port..port + 4), true);
        assert!(excerpt.contains("<A Key=\"******\" Port=\"5055\" B='***'>****</A><!--"), "{excerpt}");
        assert!(!excerpt.contains("hidden") && !excerpt.contains("word"), "{excerpt}");
        assert!(excerpt.ends_with("^^^^"));
    }

    #[test]
    fn values_stay_masked_in_text_that_is_not_well_formed() {
        for text in [
            "<A Key=\"hidden><B x",
            "<A Key=hidden B",
            "<A Key=\"1\n<B Key=\"hidden\"/>",
            "<A Key='hidden",
            "<A hidden</A>",
            "<A hidden>",
        ] {
            let source = Source::new(Path::new("a"), text.to_owned());
            let at = text.find("hidden").unwrap();
            let excerpt = source.excerpt(&(at..at + 1), true);
            assert!(!excerpt.contains("hidden"), "{excerpt}");
        }
    }

    #[test]
    fn places_count_lines_and_characters_from_1() {
        let source = Source::new(Path::new("a"), "x\nöy\r\nz".to_owned());
        let place = source.place(4);
        assert_eq!((place.line, place.column), (2, 2));
        assert_eq!(source.offset(2, 2), 4);
    }
}
