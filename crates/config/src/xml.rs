//! XML as it was written: names and values with their places.

use std::ops::Range;

use crate::source::{Source, Span};

/// Most levels of elements; the deepest shipped file has 8.
const MAX_DEPTH: usize = 32;

/// Most nodes of a file; the largest shipped one has about 2,000.
const MAX_NODES: u32 = 100_000;

/// A name or value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) text: String,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub(crate) name: Written,
    pub(crate) value: Written,
}

#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) name: Written,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) children: Vec<Self>,
    /// Text that is more than blanks.
    pub(crate) text: Option<Written>,
}

impl Element {
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.text.eq_ignore_ascii_case(name)
    }

    pub(crate) fn children(&self, name: &str) -> impl Iterator<Item = &Self> {
        self.children.iter().filter(move |child| child.is(name))
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name.text.eq_ignore_ascii_case(name))
    }
}

/// Why a text is no XML that we read, and where. The text repeats nothing that may be a value.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) text: String,
    pub(crate) span: Range<usize>,
}

pub(crate) fn parse(source: &Source, file: usize) -> Result<Element, SyntaxError> {
    let options = roxmltree::ParsingOptions { nodes_limit: MAX_NODES, ..Default::default() };
    let at = |span: Range<usize>, text: String| SyntaxError { span, text };
    if let Some(start) = too_deep(&source.text) {
        return Err(at(start..start + 1, format!("expected at most {MAX_DEPTH} levels of elements")));
    }
    match roxmltree::Document::parse_with_options(&source.text, options) {
        Ok(document) => Ok(element(document.root_element(), file)),
        Err(error) => {
            let start = place_of(&error, source);
            Err(at(start..(start + 1).min(source.text.len()).max(start), explain(&error)))
        }
    }
}

/// Where elements nest deeper than we follow. Counted before parsing, because the parser recurses.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut rest = 0;
    while let Some(at) = text.get(rest..).and_then(|tail| tail.find('<')).map(|at| rest + at) {
        let tail = text.get(at..).unwrap_or_default();
        let skipped = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")];
        if let Some((_, stop)) = skipped.iter().find(|(start, _)| tail.starts_with(start)) {
            rest = at + tail.find(stop)? + stop.len();
            continue;
        }
        let end = tag_end(tail)?;
        let tag = tail.get(..end).unwrap_or_default();
        if tag.starts_with("</") {
            depth = depth.saturating_sub(1);
        } else if !tag.ends_with('/') {
            depth += 1;
        }
        if depth > MAX_DEPTH {
            return Some(at);
        }
        rest = at + end;
    }
    None
}

/// The length of a tag without its `>`; `>` inside of quotes does not end it.
fn tag_end(tail: &str) -> Option<usize> {
    let mut quote = None;
    for (at, character) in tail.char_indices() {
        match (quote, character) {
            (None, '>') => return Some(at),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
    }
    None
}

fn element(node: roxmltree::Node<'_, '_>, file: usize) -> Element {
    let at = |range: Range<usize>| Span { file, range };
    let name = node.tag_name().name().to_owned();
    let start = node.range().start + 1;
    let attributes = node.attributes().map(|attribute| Attribute {
        name: Written { text: attribute.name().to_owned(), span: at(attribute.range_qname()) },
        value: Written { text: attribute.value().to_owned(), span: at(attribute.range_value()) },
    });
    let text = node.children().filter(|child| child.is_text()).find_map(|child| {
        let text = child.text().filter(|text| !text.trim().is_empty())?;
        let blank = text.len() - text.trim_start().len();
        let start = child.range().start + blank;
        let length = text.trim().len().min(child.range().end.saturating_sub(start));
        Some(Written { text: text.trim().to_owned(), span: at(start..start + length) })
    });
    Element {
        attributes: attributes.collect(),
        children: node.children().filter(roxmltree::Node::is_element).map(|child| element(child, file)).collect(),
        text,
        name: Written { span: at(start..start + name.len()), text: name },
    }
}

fn place_of(error: &roxmltree::Error, source: &Source) -> usize {
    use roxmltree::Error;
    let text = &source.text;
    match error {
        Error::DtdDetected => text.find("<!DOCTYPE").unwrap_or_default(),
        Error::UnclosedRootNode | Error::UnexpectedEndOfStream => text.trim_end().len(),
        Error::NoRootNode => 0,
        _ => {
            let place = error.pos();
            let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
            source.offset(count(place.row), count(place.col))
        }
    }
}

fn explain(error: &roxmltree::Error) -> String {
    use roxmltree::Error;
    match error {
        Error::DtdDetected => "expected no document type, got <!DOCTYPE; remove it".to_owned(),
        Error::UnclosedRootNode | Error::UnexpectedEndOfStream => {
            "expected the end tag of an element that is still open, got the end of the file".to_owned()
        }
        Error::NoRootNode => "expected XML that begins with an element, got none".to_owned(),
        Error::UnexpectedCloseTag(expected, got, _) => format!("expected the end tag </{expected}>, got </{got}>"),
        Error::DuplicatedAttribute(name, _) => format!("attribute {name:?} is written twice in one element"),
        Error::UnknownEntityReference(..) | Error::MalformedEntityReference(_) => {
            "expected one of &amp; &lt; &gt; &quot; &apos; after &; write a lone & as &amp;".to_owned()
        }
        Error::InvalidAttributeValue(_) => "expected the closing quote of an attribute value, got <".to_owned(),
        Error::NodesLimitReached | Error::AttributesLimitReached | Error::NamespacesLimitReached => {
            format!("expected at most {MAX_NODES} elements")
        }
        Error::InvalidChar(got, expected, _) => {
            format!("expected {:?}, got {:?}", char::from(*expected), char::from(*got))
        }
        Error::InvalidChar2(expected, got, _) => format!("expected {expected}, got {:?}", char::from(*got)),
        Error::InvalidName(_) => "expected the name of an element or attribute".to_owned(),
        Error::NonXmlChar(..) => "expected text, got a control character".to_owned(),
        Error::InvalidComment(_) => "expected a comment without -- in it".to_owned(),
        Error::UnexpectedDeclaration(_) => "expected <?xml only at the very beginning of the file".to_owned(),
        _ => "expected well-formed XML".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<Element, SyntaxError> {
        parse(&Source::new(Path::new("a"), text.to_owned()), 0)
    }

    #[test]
    fn names_and_values_know_where_they_stand() {
        let text = "<a>\n  <B Port=\"5&amp;5\"> word </B>\n</a>";
        let root = read(text).unwrap();
        let b = root.children("b").next().unwrap();
        assert_eq!(text.get(b.name.span.range.clone()), Some("B"));
        let port = b.attribute("PORT").unwrap();
        assert_eq!((port.value.text.as_str(), text.get(port.value.span.range.clone())), ("5&5", Some("5&amp;5")));
        assert_eq!(text.get(port.name.span.range.clone()), Some("Port"));
        let word = b.text.as_ref().unwrap();
        assert_eq!((word.text.as_str(), text.get(word.span.range.clone())), ("word", Some("word")));
    }

    #[test]
    fn depth_has_an_end() {
        let nested = |levels: usize| format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels));
        assert!(read(&nested(MAX_DEPTH)).is_ok());
        assert!(read(&nested(MAX_DEPTH + 1)).unwrap_err().text.contains("at most 32 levels"));
        assert!(read(&"<a b='>'>".repeat(200_000)).unwrap_err().text.contains("at most 32 levels"));
    }

    #[test]
    fn an_error_repeats_no_value() {
        let error = read("<a Key=\"x&hidden;\"/>").unwrap_err();
        assert!(!error.text.contains("hidden"), "{}", error.text);
        assert!(error.text.contains("&amp;"));
    }

    #[test]
    fn a_document_type_is_refused() {
        assert!(read("<!DOCTYPE a [<!ENTITY b 'c'>]><a/>").unwrap_err().text.contains("DOCTYPE"));
    }
}
