//! PEM as operators have it: any line ends, marks of other editors in front, prose between the blocks.
//!
//! Stricter readers lose certificates without a word (a byte order mark hides the first block) or refuse files that
//! other servers load, so that text is understood generously and the blocks themselves strictly.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
/// Letters of a line of content (RFC 7468, section 2).
const LINE_LENGTH: usize = 64;

/// Largest file that is read; a long chain with keys takes a few tens of thousands of bytes.
pub const PEM_BYTES_AT_MOST: usize = 1024 * 1024;
/// Most blocks that a file may have.
pub const PEM_BLOCKS_AT_MOST: usize = 64;

/// A block between its BEGIN and END lines.
pub(crate) struct Block {
    /// What stands behind BEGIN.
    pub(crate) label: String,
    /// `Name: value` lines ahead of the content, as in keys encrypted the traditional way.
    pub(crate) headers: Vec<(String, String)>,
    /// The decoded content.
    pub(crate) content: Zeroizing<Vec<u8>>,
    /// Line of BEGIN, from 1.
    pub(crate) line: usize,
}

/// Why a file is not PEM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PemError {
    #[error("it has {0} bytes, more than {PEM_BYTES_AT_MOST}")]
    TooLarge(usize),
    #[error("it has more than {PEM_BLOCKS_AT_MOST} blocks")]
    TooManyBlocks,
    #[error(
        "it is binary, as DER and PKCS#12 are; convert DER with `openssl x509 -inform der`, \
         .pfx and .p12 with `lampyris cert import --pfx`"
    )]
    Binary,
    #[error("it has zero bytes; save it as UTF-8, or as UTF-16 with a byte order mark")]
    ZeroBytes,
    #[error("line {line}: expected {DASHES} at the end, got {text:?}")]
    Dashes { line: usize, text: String },
    #[error("line {line}: a block {label:?} starts inside of the one of line {outer}, which has no END")]
    Nested { line: usize, label: String, outer: usize },
    #[error("line {line}: the block {label:?} has no END; the file was cut off")]
    NoEnd { line: usize, label: String },
    #[error("line {line}: END {end:?} without its BEGIN")]
    NoBegin { line: usize, end: String },
    #[error("line {line}: END {end:?} closes the block {label:?} of line {begin}")]
    OtherEnd { line: usize, end: String, label: String, begin: usize },
    #[error("line {line}: the block {label:?} is empty")]
    Empty { line: usize, label: String },
    #[error("line {line}: the block {label:?} is damaged: {detail}")]
    Base64 { line: usize, label: String, detail: String },
}

/// A block that has not seen its END.
struct Open {
    label: String,
    line: usize,
    headers: Vec<(String, String)>,
    base64: Zeroizing<String>,
}

impl Open {
    fn take(&mut self, text: &str) {
        match text.split_once(':') {
            Some((name, value)) => self.headers.push((name.trim().to_owned(), value.trim().to_owned())),
            None => self.base64.extend(text.chars().filter(|letter| !letter.is_whitespace())),
        }
    }

    fn close(self, end: String, line: usize) -> Result<Block, PemError> {
        let Self { label, line: begin, headers, base64 } = self;
        if end != label {
            return Err(PemError::OtherEnd { line, end, label, begin });
        }
        if base64.is_empty() {
            return Err(PemError::Empty { line: begin, label });
        }
        match STANDARD.decode(base64.as_bytes()) {
            Ok(content) => Ok(Block { label, headers, content: Zeroizing::new(content), line: begin }),
            Err(error) => Err(PemError::Base64 { line: begin, label, detail: error.to_string() }),
        }
    }
}

/// The blocks of a file, in its order; none if it is text without any.
pub(crate) fn blocks(bytes: &[u8]) -> Result<Vec<Block>, PemError> {
    if bytes.len() > PEM_BYTES_AT_MOST {
        return Err(PemError::TooLarge(bytes.len()));
    }
    let text = text(bytes)?;
    let mut blocks = Vec::new();
    let mut open: Option<Open> = None;
    for (line, text) in (1..).zip(text.split('\n')) {
        let text = text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}');
        if let Some(rest) = text.strip_prefix(BEGIN) {
            let label = label(rest, line, text)?;
            if let Some(outer) = open {
                return Err(PemError::Nested { line, label, outer: outer.line });
            }
            open = Some(Open { label, line, headers: Vec::new(), base64: Zeroizing::default() });
        } else if let Some(rest) = text.strip_prefix(END) {
            let end = label(rest, line, text)?;
            let Some(closing) = open.take() else { return Err(PemError::NoBegin { line, end }) };
            if blocks.len() == PEM_BLOCKS_AT_MOST {
                return Err(PemError::TooManyBlocks);
            }
            blocks.push(closing.close(end, line)?);
        } else if let Some(open) = &mut open {
            open.take(text);
        }
    }
    match open {
        Some(Open { line, label, .. }) => Err(PemError::NoEnd { line, label }),
        None => Ok(blocks),
    }
}

/// A block, as every reader takes it.
pub(crate) fn encode(label: &str, content: &[u8]) -> String {
    let base64 = Zeroizing::new(STANDARD.encode(content));
    let mut text = format!("{BEGIN}{label}{DASHES}\n");
    for line in base64.as_bytes().chunks(LINE_LENGTH) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text + END + label + DASHES + "\n"
}

fn label(rest: &str, line: usize, text: &str) -> Result<String, PemError> {
    let dashes = || PemError::Dashes { line, text: text.chars().take(80).collect() };
    rest.strip_suffix(DASHES).map(|label| label.trim().to_owned()).ok_or_else(dashes)
}

/// The file as text with `\n` alone at line ends. What is neither UTF-8 nor UTF-16 can only be prose.
fn text(bytes: &[u8]) -> Result<Zeroizing<String>, PemError> {
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = Zeroizing::new(rest.as_chunks::<2>().0.iter().map(|pair| unit(*pair)).collect::<Vec<_>>());
        Cow::Owned(String::from_utf16_lossy(&units))
    };
    let text = match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // A SEQUENCE with a length of several bytes, as certificates, keys and PKCS#12 start.
        [0x30, 0x80..=0x84, ..] => return Err(PemError::Binary),
        _ if bytes.contains(&0) => return Err(PemError::ZeroBytes),
        _ => String::from_utf8_lossy(bytes),
    };
    let text = Zeroizing::new(text.into_owned());
    let without_crlf = Zeroizing::new(text.replace("\r\n", "\n"));
    Ok(Zeroizing::new(without_crlf.replace('\r', "\n")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TWO: &str = "Bag Attributes\n    friendlyName: é\n-----BEGIN A B-----\nAQID\nBA==\n-----END A B-----\n\
                       between\n-----BEGIN C-----\nX: y\n\nBQ==\n-----END C-----\nbehind\n";

    fn assert_two(bytes: &[u8]) {
        let found = blocks(bytes).unwrap();
        let [first, second] = found.as_slice() else { panic!("{} blocks", found.len()) };
        assert_eq!((first.label.as_str(), first.content.as_slice()), ("A B", [1, 2, 3, 4].as_slice()));
        assert_eq!((second.label.as_str(), second.content.as_slice()), ("C", [5].as_slice()));
        assert_eq!(second.headers, [("X".to_owned(), "y".to_owned())]);
        assert_eq!(first.line, 3);
    }

    fn utf16(mark: [u8; 2], unit: fn(u16) -> [u8; 2], text: &str) -> Vec<u8> {
        mark.into_iter().chain(text.encode_utf16().flat_map(unit)).collect()
    }

    #[test]
    fn t6_line_ends_marks_and_text_around_blocks_do_not_matter() {
        assert_two(TWO.as_bytes());
        assert_two(TWO.replace('\n', "\r\n").as_bytes());
        assert_two(TWO.replace('\n', "\r").as_bytes());
        assert_two(TWO.replace('\n', " \t \n").as_bytes());
        assert_two(TWO.replace('\n', "\n  ").as_bytes());
        assert_two(format!("\u{feff}{TWO}").as_bytes());
        assert_two(TWO.replace("-----BEGIN C", "\u{feff}-----BEGIN C").as_bytes());
        assert_two(&utf16([0xFF, 0xFE], u16::to_le_bytes, TWO));
        assert_two(&utf16([0xFE, 0xFF], u16::to_be_bytes, &TWO.replace('\n', "\r\n")));
        assert_two(&TWO.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect::<Vec<_>>());
    }

    #[test]
    fn each_kind_of_damage_has_its_text_and_line() {
        let block = |inner: &str| format!("-----BEGIN A-----\n{inner}\n-----END A-----\n");
        for (file, expected) in [
            ("-----BEGIN A-----\nAQID\n".to_owned(), "line 1: the block \"A\" has no END"),
            ("-----BEGIN A----\nAQID\n".to_owned(), "line 1: expected -----"),
            ("\n-----END A-----\n".to_owned(), "line 2: END \"A\" without its BEGIN"),
            ("-----BEGIN A-----\nAQID\n-----END B-----\n".to_owned(), "line 3: END \"B\" closes the block \"A\""),
            ("-----BEGIN A-----\n-----BEGIN B-----\n".to_owned(), "line 2: a block \"B\" starts inside"),
            (block(""), "line 1: the block \"A\" is empty"),
            (block("AQI"), "line 1: the block \"A\" is damaged"),
            (block("A*ID"), "line 1: the block \"A\" is damaged"),
            (block("AQID AQ=="), ""),
            (block("AQ==AQ=="), "line 1: the block \"A\" is damaged"),
            ("a\0b".to_owned(), "zero bytes"),
            ("x".repeat(PEM_BYTES_AT_MOST + 1), "more than 1048576"),
            (block("AQID").repeat(PEM_BLOCKS_AT_MOST + 1), "more than 64 blocks"),
            (block("AQID").repeat(PEM_BLOCKS_AT_MOST), ""),
        ] {
            match blocks(file.as_bytes()) {
                Ok(_) => assert!(expected.is_empty(), "{expected}: accepted"),
                Err(error) => {
                    assert!(!expected.is_empty() && error.to_string().contains(expected), "{expected}: {error}");
                }
            }
        }
        assert_eq!(blocks(&[0x30, 0x82, 1, 2]).err(), Some(PemError::Binary));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = blocks(&bytes);
        }

        #[test]
        fn no_damage_to_a_good_file_makes_the_reader_panic(
            cuts in proptest::collection::vec((0..TWO.len(), any::<u8>(), 0..3_u8), 1..12),
        ) {
            let mut bytes = TWO.as_bytes().to_vec();
            for (at, byte, kind) in cuts {
                let at = at.min(bytes.len().saturating_sub(1));
                match kind {
                    0 => bytes.truncate(at + 1),
                    1 => bytes.insert(at, byte),
                    _ => bytes[at] = byte,
                }
            }
            if let Ok(found) = blocks(&bytes) {
                prop_assert!(found.iter().map(|block| block.content.len()).sum::<usize>() <= bytes.len());
            }
        }

        #[test]
        fn what_was_written_is_read(contents in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 1..200), 0..8), width in 1..80_usize)
        {
            let mut file = String::new();
            for content in &contents {
                let encoded = STANDARD.encode(content).into_bytes();
                let lines = encoded.chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>();
                file.push_str(&format!("-----BEGIN X-----\n{}\n-----END X-----\n", lines.join("\n")));
            }
            let read = blocks(file.as_bytes()).unwrap();
            let read = read.iter().map(|block| block.content.to_vec()).collect::<Vec<_>>();
            prop_assert_eq!(read, contents);
        }
    }
}
