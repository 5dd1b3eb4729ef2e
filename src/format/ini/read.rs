//! The reader: line by line, with values that may go on over several.

use std::collections::HashMap;

use super::DEFAULT;
use crate::format::locate::Locator;
use crate::format::untyped::text_leaf;
use crate::format::{Fault, SyntaxError};
use crate::secret::Secret;
use crate::tree::{Comment, Entry, Map, MapItem, Node, Position, Span};

/// Reads the sections of `text`.
pub(super) fn document(text: &[u8]) -> Result<Map, SyntaxError> {
    let mut reader = Reader {
        text,
        at: byte_order_mark(text),
        locator: Locator::new(text),
        sections: Vec::new(),
        comment: Remark::default(),
    };
    let start = reader.at;
    let position = reader.locator.position(start);
    reader.begin_section(DEFAULT.to_owned(), position, Span { start, end: start });
    while reader.at < text.len() {
        reader.line()?;
    }
    Ok(reader.finish())
}

fn byte_order_mark(text: &[u8]) -> usize {
    let marks: [&[u8]; 3] = [b"\xEF\xBB\xBF", b"\xFE\xFF", b"\xFF\xFE"];
    let mark = marks.into_iter().find(|mark| text.starts_with(mark));
    mark.map_or(0, <[u8]>::len)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    locator: Locator<'a>,
    sections: Vec<Section<'a>>,
    /// The comment lines that wait for what they belong to.
    comment: Remark<'a>,
}

struct Section<'a> {
    name: String,
    position: Position,
    span: Span,
    comment: Remark<'a>,
    keys: Vec<(Entry, Remark<'a>)>,
    /// Where each key is in `keys`.
    places: HashMap<String, usize>,
}

/// Lines of comment, with their signs and without the blanks around them.
#[derive(Debug, Default)]
struct Remark<'a> {
    lines: Vec<&'a [u8]>,
    place: Option<(Position, Span)>,
}

impl<'a> Remark<'a> {
    fn add(&mut self, line: &'a [u8], position: Position, span: Span) {
        self.lines.push(line);
        match &mut self.place {
            Some((_, whole)) => whole.end = span.end,
            None => self.place = Some((position, span)),
        }
    }

    fn append(&mut self, other: Self) {
        self.lines.extend(other.lines);
        if let (Some((_, whole)), Some((_, span))) = (&mut self.place, other.place) {
            whole.end = span.end;
        } else {
            self.place = self.place.or(other.place);
        }
    }

    /// The comment without the signs of its first line; those of the others are part of it.
    fn into_item(mut self) -> Option<MapItem> {
        let (position, span) = self.place?;
        if let Some(line) = self.lines.first_mut() {
            let sign = line.first().copied();
            let stripped = |byte: &&u8| **byte == b' ' || Some(**byte) == sign;
            let signs = line.iter().take_while(stripped).count();
            *line = line.get(signs..).unwrap_or_default();
        }
        Some(MapItem::Comment(Comment {
            text: Secret::new(self.lines.join(&b'\n')),
            position,
            span,
            trailing: false,
        }))
    }
}

impl<'a> Reader<'a> {
    fn begin_section(&mut self, name: String, position: Position, span: Span) {
        self.sections.push(Section {
            name,
            position,
            span,
            comment: std::mem::take(&mut self.comment),
            keys: Vec::new(),
            places: HashMap::new(),
        });
    }

    /// The rest of the current line with its line break, and steps behind it.
    fn take_line(&mut self) -> &'a [u8] {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|&byte| byte == b'\n');
        let line = rest.get(..end.map_or(rest.len(), |end| end + 1));
        let line = line.unwrap_or_default();
        self.at += line.len();
        line
    }

    fn line(&mut self) -> Result<(), SyntaxError> {
        let whole = self.take_line();
        let line = trimmed_start(whole);
        let start = self.at - line.len();
        let position = self.locator.position(start);
        match line.first() {
            None => Ok(()),
            Some(b'#' | b';') => {
                let line = trimmed(line);
                let end = start + line.len();
                self.comment.add(line, position, Span { start, end });
                Ok(())
            }
            Some(b'[') => self.section(line, start, position),
            Some(_) => self.key(line, start, position),
        }
    }

    fn section(
        &mut self,
        line: &'a [u8],
        start: usize,
        position: Position,
    ) -> Result<(), SyntaxError> {
        let malformed = |rule| malformed(position, rule);
        let close = line.iter().rposition(|&byte| byte == b']');
        let close = close.ok_or_else(|| malformed("the section header has no ']'"))?;
        let name = line.get(1..close).unwrap_or_default();
        let name = std::str::from_utf8(name)
            .map_err(|_| malformed("the name of the section is not UTF-8"))?;
        if name.is_empty() {
            return Err(malformed("the section has no name"));
        }
        self.comment_behind(line, close + 1, start);
        let end = start + close + 1;
        self.begin_section(name.to_owned(), position, Span { start, end });
        Ok(())
    }

    fn key(&mut self, line: &'a [u8], start: usize, position: Position) -> Result<(), SyntaxError> {
        let (key, offset) = key(line).map_err(|rule| malformed(position, rule))?;
        if key == "-" {
            let fault = Fault::Unsupported("the key - (a counter) is");
            return Err(SyntaxError { position, fault });
        }
        let value = line.get(offset..).unwrap_or_default();
        let value_start = start + offset + (value.len() - trimmed_start(value).len());
        let value_position = self.locator.position(value_start);
        let text = self.value(value)?;
        // Without the blanks and the line break at the end.
        let written = self.text.get(start..self.at).unwrap_or_default();
        let end = start + trimmed(written).len();
        let value_span = Span {
            start: value_start.min(end),
            end,
        };
        let leaf = text_leaf(text, value_position, value_span);
        let remark = std::mem::take(&mut self.comment);
        let Some(section) = self.sections.last_mut() else {
            return Ok(());
        };
        section.span.end = end;
        if let Some(&place) = section.places.get(key.as_str())
            && let Some((entry, former)) = section.keys.get_mut(place)
        {
            entry.value = Node::Leaf(leaf);
            former.append(remark);
            return Ok(());
        }
        section.places.insert(key.clone(), section.keys.len());
        let entry = Entry {
            key,
            position,
            span: Span { start, end },
            value: Node::Leaf(leaf),
        };
        section.keys.push((entry, remark));
        Ok(())
    }

    /// Reads the value whose first line is `first`, the last that was taken.
    fn value(&mut self, first: &'a [u8]) -> Result<Vec<u8>, SyntaxError> {
        let line = trimmed_start(first);
        match unquoted(line) {
            Value::Whole { text, comment } => {
                let begin = self.at - line.len();
                self.comment_behind(line, comment, begin);
                Ok(text.to_vec())
            }
            Value::Open { quote } => self.quoted_lines(line, quote),
            Value::Continued { text } => Ok(self.continued_lines(text)),
        }
    }

    /// Reads on up to the line in which `quote` ends.
    fn quoted_lines(&mut self, first: &'a [u8], quote: &[u8]) -> Result<Vec<u8>, SyntaxError> {
        let begin = self.at - first.len();
        loop {
            if self.at >= self.text.len() {
                let position = self.locator.position(begin);
                return Err(malformed(position, "the quotes around a value do not end"));
            }
            let line = self.take_line();
            let Some(place) = last_place(line, quote) else {
                continue;
            };
            let line_start = self.at - line.len();
            let text = self.text.get(begin + quote.len()..line_start + place);
            self.comment_behind(line, place, line_start);
            return Ok(text.unwrap_or_default().to_vec());
        }
    }

    /// Reads on while lines end with a backslash.
    fn continued_lines(&mut self, first: &'a [u8]) -> Vec<u8> {
        let mut parts = vec![first];
        while self.at < self.text.len() {
            let next = trimmed(self.take_line());
            let Some(more) = next.strip_suffix(b"\\") else {
                parts.push(next);
                break;
            };
            parts.push(more);
        }
        parts.concat()
    }

    /// Takes what follows the first sign of a comment in `line`, from the byte `from` of it, for a comment
    /// line. The line begins at the byte `start` of the text.
    fn comment_behind(&mut self, line: &'a [u8], from: usize, start: usize) {
        let behind = line.get(from..).unwrap_or_default();
        let Some(place) = behind.iter().position(|byte| b"#;".contains(byte)) else {
            return;
        };
        let comment = trimmed(behind.get(place..).unwrap_or_default());
        let start = start + from + place;
        let position = self.locator.position(start);
        let end = start + comment.len();
        self.comment.add(comment, position, Span { start, end });
    }

    /// The tree, with the comments at the end of the text.
    fn finish(mut self) -> Map {
        let rest = std::mem::take(&mut self.comment);
        if let Some(section) = self.sections.last_mut() {
            match section.keys.last_mut() {
                Some((_, remark)) => remark.append(rest),
                None => section.comment.append(rest),
            }
        }
        let end = self.text.len();
        let position = Position { line: 1, column: 1 };
        Map {
            items: self.sections.into_iter().map(Section::into_item).collect(),
            position,
            span: Span { start: 0, end },
            ..Map::default()
        }
    }
}

impl Section<'_> {
    fn into_item(self) -> MapItem {
        let mut items = Vec::with_capacity(self.keys.len() + 1);
        items.extend(self.comment.into_item());
        for (entry, remark) in self.keys {
            items.push(MapItem::Entry(entry));
            items.extend(remark.into_item());
        }
        MapItem::Entry(Entry {
            key: self.name,
            position: self.position,
            span: self.span,
            value: Node::Map(Map {
                items,
                position: self.position,
                span: self.span,
                ..Map::default()
            }),
        })
    }
}

fn malformed(position: Position, rule: &'static str) -> SyntaxError {
    SyntaxError {
        position,
        fault: Fault::Malformed(rule),
    }
}

/// The key at the front of a line that begins with no blank, and where its value begins.
pub(super) fn key(line: &[u8]) -> Result<(String, usize), &'static str> {
    let quotes: [&[u8]; 3] = [b"\"\"\"", b"\"", b"`"];
    let quote = quotes
        .into_iter()
        .find(|quote| line.starts_with(quote) && (quote.len() == 1 || line.len() > 6));
    let (name, behind) = match quote {
        None => (None, 0),
        Some(quote) => {
            let rest = line.get(quote.len()..).unwrap_or_default();
            let end = place(rest, quote).ok_or("the quotes around a key do not end")?;
            (rest.get(..end), end + 2 * quote.len())
        }
    };
    let rest = line.get(behind..).unwrap_or_default();
    let separator = rest.iter().position(|byte| b"=:".contains(byte));
    let separator = separator.ok_or("expected key = value, a section or a comment")?;
    let name = trimmed(name.unwrap_or_else(|| rest.get(..separator).unwrap_or_default()));
    if name.is_empty() {
        return Err("the key is empty");
    }
    let name = std::str::from_utf8(name).map_err(|_| "the key is not UTF-8")?;
    Ok((name.to_owned(), behind + separator + 1))
}

/// What stands in the first line of a value.
pub(super) enum Value<'a> {
    /// All of it.
    Whole {
        text: &'a [u8],
        /// From where a comment may follow.
        comment: usize,
    },
    /// It goes on up to these quotes.
    Open { quote: &'static [u8] },
    /// It goes on in the next line.
    Continued { text: &'a [u8] },
}

/// Reads the first line of a value, which begins with no blank and has its line break.
pub(super) fn unquoted(line: &[u8]) -> Value<'_> {
    let quote: Option<&[u8]> = if line.starts_with(b"\"\"\"") && line.len() > 3 {
        Some(b"\"\"\"")
    } else if line.starts_with(b"`") {
        Some(b"`")
    } else {
        None
    };
    if let Some(quote) = quote {
        let rest = line.get(quote.len()..).unwrap_or_default();
        let Some(end) = last_place(rest, quote) else {
            return Value::Open { quote };
        };
        let text = rest.get(..end).unwrap_or_default();
        let comment = end + 2 * quote.len();
        return Value::Whole { text, comment };
    }
    let line = trimmed(line);
    if let Some(text) = line.strip_suffix(b"\\") {
        return Value::Continued { text };
    }
    let end = line.iter().position(|byte| b"#;".contains(byte));
    let comment = end.unwrap_or(line.len());
    let text = trimmed(line.get(..comment).unwrap_or_default());
    let inner = match text {
        [first @ (b'"' | b'\''), inner @ .., last] if first == last && !inner.contains(first) => {
            inner
        }
        _ => text,
    };
    Value::Whole {
        text: inner,
        comment,
    }
}

fn place(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

fn last_place(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).rposition(|window| window == word)
}

/// Blanks outside of ASCII.
const WIDE_BLANKS: [&str; 19] = [
    "\u{85}", "\u{A0}", "\u{1680}", "\u{2000}", "\u{2001}", "\u{2002}", "\u{2003}", "\u{2004}",
    "\u{2005}", "\u{2006}", "\u{2007}", "\u{2008}", "\u{2009}", "\u{200A}", "\u{2028}", "\u{2029}",
    "\u{202F}", "\u{205F}", "\u{3000}",
];

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// `text` without the blanks in front; it need not be UTF-8.
pub(super) fn trimmed_start(mut text: &[u8]) -> &[u8] {
    loop {
        let blanks = text.iter().take_while(|&&byte| is_blank(byte)).count();
        text = text.get(blanks..).unwrap_or_default();
        let wide = WIDE_BLANKS
            .iter()
            .find_map(|blank| text.strip_prefix(blank.as_bytes()));
        match wide {
            Some(rest) => text = rest,
            None => return text,
        }
    }
}

/// `text` without the blanks around it.
pub(super) fn trimmed(text: &[u8]) -> &[u8] {
    let mut text = trimmed_start(text);
    loop {
        let blanks = text.iter().rev().take_while(|&&byte| is_blank(byte));
        let length = text.len() - blanks.count();
        text = text.get(..length).unwrap_or_default();
        let wide = WIDE_BLANKS
            .iter()
            .find_map(|blank| text.strip_suffix(blank.as_bytes()));
        match wide {
            Some(rest) => text = rest,
            None => return text,
        }
    }
}
