//! JSON as it was written, with what operators' files have besides: comments and trailing commas.

use crate::source::Span;
use crate::xml::{SyntaxError, Written};

/// Most levels of arrays and objects; the file needs 3.
const MAX_DEPTH: usize = 32;

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Null,
    /// A string without quotes and escapes, a number, or `true` or `false`.
    Scalar(String),
    Array(Vec<Node>),
    Object(Vec<(Written, Node)>),
}

impl Kind {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Scalar(_) => "a single value",
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

pub(crate) fn parse(text: &str, file: usize) -> Result<Node, SyntaxError> {
    let mut parser = Parser { text, file, at: 0 };
    let node = parser.value(0)?;
    parser.skip_blanks()?;
    match parser.peek() {
        None => Ok(node),
        Some(_) => Err(parser.unexpected("the end of the file")),
    }
}

struct Parser<'a> {
    text: &'a str,
    file: usize,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn span(&self, start: usize) -> Span {
        Span { file: self.file, range: start..self.at }
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn advance(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn fault(&self, start: usize, text: String) -> SyntaxError {
        let length = self.text.get(start..).and_then(|tail| tail.chars().next()).map_or(0, char::len_utf8);
        SyntaxError { text, span: start..start + length }
    }

    fn unexpected(&self, expected: &str) -> SyntaxError {
        let got = self.peek().map_or_else(|| "the end of the file".to_owned(), |got| format!("{got:?}"));
        self.fault(self.at, format!("expected {expected}, got {got}"))
    }

    fn skip_blanks(&mut self) -> Result<(), SyntaxError> {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            let rest = self.rest();
            if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                match rest.find("*/") {
                    Some(stop) => self.at += stop + 2,
                    None => return Err(self.fault(self.at, "expected */ at the end of this comment".to_owned())),
                }
            } else {
                return Ok(());
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        self.skip_blanks()?;
        let start = self.at;
        if depth > MAX_DEPTH {
            return Err(self.fault(start, format!("expected at most {MAX_DEPTH} levels")));
        }
        let kind = match self.peek() {
            Some('{') => self.object(depth)?,
            Some('[') => self.array(depth)?,
            Some('"') => Kind::Scalar(self.string()?),
            _ => self.word()?,
        };
        Ok(Node { span: self.span(start), kind })
    }

    fn object(&mut self, depth: usize) -> Result<Kind, SyntaxError> {
        self.advance();
        let mut members = Vec::new();
        loop {
            self.skip_blanks()?;
            match self.peek() {
                Some('}') => break,
                Some('"') => {}
                _ => return Err(self.unexpected("a name in quotes or }")),
            }
            let start = self.at;
            let text = self.string()?;
            let name = Written { text, span: self.span(start) };
            self.skip_blanks()?;
            if self.peek() != Some(':') {
                return Err(self.unexpected("a colon"));
            }
            self.advance();
            members.push((name, self.value(depth + 1)?));
            if !self.comma('}')? {
                break;
            }
        }
        self.advance();
        Ok(Kind::Object(members))
    }

    fn array(&mut self, depth: usize) -> Result<Kind, SyntaxError> {
        self.advance();
        let mut items = Vec::new();
        loop {
            self.skip_blanks()?;
            if self.peek() == Some(']') {
                break;
            }
            items.push(self.value(depth + 1)?);
            if !self.comma(']')? {
                break;
            }
        }
        self.advance();
        Ok(Kind::Array(items))
    }

    /// Whether a comma follows; if not, the closing bracket must.
    fn comma(&mut self, close: char) -> Result<bool, SyntaxError> {
        self.skip_blanks()?;
        match self.peek() {
            Some(',') => {
                self.advance();
                Ok(true)
            }
            Some(got) if got == close => Ok(false),
            _ => Err(self.unexpected(&format!("a comma or {close}"))),
        }
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        let start = self.at;
        self.advance();
        let mut text = String::new();
        loop {
            let at = self.at;
            match self.advance() {
                Some('"') => return Ok(text),
                Some('\\') => match self.escape() {
                    Some(character) => text.push(character),
                    None => return Err(self.fault(at, "expected an escape like \\\\, \\\" or \\u00e9".to_owned())),
                },
                Some('\n') | None => return Err(self.fault(start, "expected a closing quote on this line".to_owned())),
                Some(character) => text.push(character),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.advance()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{C}',
            same @ ('"' | '\\' | '/') => same,
            'u' => {
                let first = self.unit()?;
                let low = (0xD800..0xDC00).contains(&first) && self.rest().starts_with("\\u");
                if low {
                    self.at += 2;
                }
                let units = if low { vec![first, self.unit()?] } else { vec![first] };
                char::decode_utf16(units).next()?.ok()?
            }
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u16> {
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        let unit = u16::from_str_radix(digits, 16).ok()?;
        self.at += 4;
        Some(unit)
    }

    fn word(&mut self) -> Result<Kind, SyntaxError> {
        let is_word = |character: char| character.is_ascii_alphanumeric() || "+-.".contains(character);
        let rest = self.rest();
        let word = rest.get(..rest.find(|character| !is_word(character)).unwrap_or(rest.len())).unwrap_or_default();
        let kind = match word {
            "null" => Kind::Null,
            "true" | "false" => Kind::Scalar(word.to_owned()),
            _ if word.starts_with(|first: char| first.is_ascii_digit() || first == '-') => {
                Kind::Scalar(word.to_owned())
            }
            _ => return Err(self.unexpected("a value: text in quotes, a number, true, false, null, [ or {")),
        };
        self.at += word.len();
        Ok(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_trailing_commas_are_read() {
        let node = parse("// region list\n{ \"Nodes\": [ /* one */ { \"a\": \"x\\u00e9\", }, ], }", 0).unwrap();
        let Kind::Object(members) = node.kind else { panic!() };
        assert_eq!(members[0].0.text, "Nodes");
        let Kind::Array(items) = &members[0].1.kind else { panic!() };
        let Kind::Object(members) = &items[0].kind else { panic!() };
        assert!(matches!(&members[0].1.kind, Kind::Scalar(text) if text == "xé"));
    }

    #[test]
    fn faults_stand_where_reading_stopped() {
        for (text, at, expected) in [
            ("{\"a\" 1}", 5, "a colon, got '1'"),
            ("[1 2]", 3, "a comma or ], got '2'"),
            ("[\"a", 1, "closing quote"),
            ("{a: 1}", 1, "a name in quotes"),
            ("[1] x", 4, "the end of the file, got 'x'"),
            ("/* a", 0, "*/"),
            ("[\"\\x\"]", 2, "escape"),
            ("[\"\\ud800\"]", 2, "escape"),
            ("[", 1, "end of the file"),
            ("", 0, "a value"),
        ] {
            let error = parse(text, 0).unwrap_err();
            assert_eq!(error.span.start, at, "{text}");
            assert!(error.text.contains(expected), "{text}: {}", error.text);
        }
    }

    #[test]
    fn depth_has_an_end() {
        assert!(parse(&"[".repeat(100_000), 0).unwrap_err().text.contains("at most 32 levels"));
    }
}
