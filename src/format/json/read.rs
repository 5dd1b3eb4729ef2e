//! The reader: one pass, open objects and arrays on a stack of its own.

use super::DEPTH;
use crate::format::locate::Locator;
use crate::format::run::{count, run_without};
use crate::format::{Fault, SyntaxError};
use crate::secret::Secret;
use crate::tree::{
    Entry, Kind, Layout, Leaf, List, ListItem, Map, MapItem, Node, Position, Span, Style,
};

/// Reads the object at the root of `text`.
pub(super) fn document(whole: &Secret) -> Result<Map, SyntaxError> {
    let text = whole.expose();
    let mut reader = Reader {
        whole,
        text,
        at: 0,
        locator: Locator::new(text),
    };
    reader.space();
    match reader.peek() {
        Some(b'{') => reader.root(),
        Some(_) if text.starts_with(b"\xEF\xBB\xBF") => {
            Err(reader.malformed("JSON may not begin with a byte order mark"))
        }
        Some(b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
            Err(reader.fault(Fault::Unsupported("a root other than an object is")))
        }
        Some(_) => Err(reader.malformed("expected an object")),
        None => Err(reader.malformed("the text is empty")),
    }
}

/// Lines are taken to be this long at least, so that a text of nothing but line feeds asks for no memory.
const LONG_LINE: usize = 32;

struct Reader<'a> {
    whole: &'a Secret,
    text: &'a [u8],
    at: usize,
    locator: Locator<'a>,
}

/// An object or array that has not ended yet.
enum Open {
    Map(Map, Key),
    List(List),
}

/// A key whose value comes next.
struct Key {
    key: String,
    position: Position,
    start: usize,
}

/// What stands where a value is expected.
enum Begun {
    /// A value that ended at once.
    Value(Node),
    /// An object or array with something in it.
    Open(Open),
}

impl<'a> Reader<'a> {
    fn root(&mut self) -> Result<Map, SyntaxError> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let mut node = match self.begin(open.len())? {
                Begun::Open(begun) => {
                    open.push(begun);
                    continue;
                }
                Begun::Value(node) => node,
            };
            // The value may end what it lies in, and that again, and so on.
            loop {
                let Some(top) = open.pop() else {
                    let Node::Map(map) = node else {
                        return Err(self.malformed("expected an object"));
                    };
                    return Ok(map);
                };
                match self.continued(top, node)? {
                    Begun::Value(ended) => node = ended,
                    Begun::Open(continued) => {
                        open.push(continued);
                        break;
                    }
                }
            }
        }
    }

    /// Puts `node` into `top`, and steps over what separates it from the next value, or over the end.
    fn continued(&mut self, top: Open, node: Node) -> Result<Begun, SyntaxError> {
        let end = self.at;
        self.space();
        match top {
            Open::Map(mut map, key) => {
                map.items.push(MapItem::Entry(Entry {
                    key: key.key,
                    position: key.position,
                    span: Span {
                        start: key.start,
                        end,
                    },
                    value: node,
                }));
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        self.space();
                        let key = self.key()?;
                        Ok(Begun::Open(Open::Map(map, key)))
                    }
                    Some(b'}') => {
                        self.at += 1;
                        map.span.end = self.at;
                        map.items.shrink_to_fit();
                        Ok(Begun::Value(Node::Map(map)))
                    }
                    _ => Err(self.malformed("expected ',' or '}' behind a value")),
                }
            }
            Open::List(mut list) => {
                list.items.push(ListItem::Node(node));
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        Ok(Begun::Open(Open::List(list)))
                    }
                    Some(b']') => {
                        self.at += 1;
                        list.span.end = self.at;
                        list.items.shrink_to_fit();
                        Ok(Begun::Value(Node::List(list)))
                    }
                    _ => Err(self.malformed("expected ',' or ']' behind a value")),
                }
            }
        }
    }

    /// Reads a value, or as far into an object or array as where its first value is.
    fn begin(&mut self, depth: usize) -> Result<Begun, SyntaxError> {
        self.space();
        match self.peek() {
            Some(b'{') => self.begin_map(depth),
            Some(b'[') => self.begin_list(depth),
            Some(b'"') => {
                let start = self.at;
                let position = self.locator.position(start);
                let text = self.string()?.into_secret(self.whole);
                let style = Style::DoubleQuoted;
                Ok(self.leaf(Kind::Text, text, style, position, start))
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn begin_map(&mut self, depth: usize) -> Result<Begun, SyntaxError> {
        let (position, span) = self.step_into(depth)?;
        let items = if depth == 0 {
            Vec::with_capacity(self.lines())
        } else {
            Vec::new()
        };
        let mut map = Map {
            items,
            position,
            span,
            layout: Layout::Flow,
        };
        if self.peek() == Some(b'}') {
            self.at += 1;
            map.span.end = self.at;
            return Ok(Begun::Value(Node::Map(map)));
        }
        let key = self.key()?;
        Ok(Begun::Open(Open::Map(map, key)))
    }

    /// About how many members the root has, if each stands on a line. A list that grows is copied, and leaves
    /// holes in memory.
    fn lines(&self) -> usize {
        let lines = count(self.text, |byte| byte == b'\n');
        lines.min(self.text.len() / LONG_LINE)
    }

    fn begin_list(&mut self, depth: usize) -> Result<Begun, SyntaxError> {
        let (position, span) = self.step_into(depth)?;
        let mut list = List {
            items: Vec::new(),
            position,
            span,
            layout: Layout::Flow,
        };
        if self.peek() == Some(b']') {
            self.at += 1;
            list.span.end = self.at;
            return Ok(Begun::Value(Node::List(list)));
        }
        Ok(Begun::Open(Open::List(list)))
    }

    /// Steps over a brace or bracket and the blanks behind it.
    fn step_into(&mut self, depth: usize) -> Result<(Position, Span), SyntaxError> {
        if depth >= DEPTH {
            return Err(self.fault(Fault::TooDeep));
        }
        let start = self.at;
        let position = self.locator.position(start);
        self.at += 1;
        self.space();
        Ok((position, Span { start, end: start }))
    }

    /// Reads a key, its colon and the blanks around that.
    fn key(&mut self) -> Result<Key, SyntaxError> {
        if self.peek() != Some(b'"') {
            return Err(self.malformed("expected a key in double quotes"));
        }
        let start = self.at;
        let position = self.locator.position(start);
        let key = self.string()?.into_string();
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.malformed("expected ':' behind a key"));
        }
        self.at += 1;
        Ok(Key {
            key,
            position,
            start,
        })
    }

    fn number(&mut self) -> Result<Begun, SyntaxError> {
        let start = self.at;
        let position = self.locator.position(start);
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut kind = Kind::Int;
        if self.peek() == Some(b'.') {
            kind = Kind::Float;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            kind = Kind::Float;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        let written = self.text.get(start..self.at).unwrap_or_default();
        let written = std::str::from_utf8(written).unwrap_or_default();
        if kind == Kind::Int && written.parse::<i64>().is_err() {
            kind = Kind::Float;
        }
        if kind == Kind::Float && !written.parse().is_ok_and(f64::is_finite) {
            return Err(self.malformed("a number is too large"));
        }
        let text = self.whole.part(written.as_bytes());
        Ok(self.leaf(kind, text, Style::Plain, position, start))
    }

    /// Steps over one digit or more.
    fn digits(&mut self) -> Result<(), SyntaxError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.malformed("expected a digit"));
        }
        self.at += count;
        Ok(())
    }

    fn word(&mut self) -> Result<Begun, SyntaxError> {
        let words = [
            ("true", Kind::Bool),
            ("false", Kind::Bool),
            ("null", Kind::Null),
        ];
        let rest = self.text.get(self.at..).unwrap_or_default();
        let found = words
            .into_iter()
            .find(|(word, _)| rest.starts_with(word.as_bytes()));
        let Some((word, kind)) = found else {
            return Err(self.malformed("expected a value"));
        };
        let start = self.at;
        let position = self.locator.position(start);
        self.at += word.len();
        Ok(self.leaf(kind, Secret::from_text(word), Style::Plain, position, start))
    }

    fn leaf(
        &self,
        kind: Kind,
        text: Secret,
        style: Style,
        position: Position,
        start: usize,
    ) -> Begun {
        let end = self.at;
        Begun::Value(Node::Leaf(Leaf {
            kind,
            text,
            style,
            position,
            span: Span { start, end },
            sealed: false,
        }))
    }

    /// Reads a string in double quotes.
    fn string(&mut self) -> Result<Decoded<'a>, SyntaxError> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += run_without(self.text.get(self.at..).unwrap_or_default(), |byte| {
                (byte == b'"') | (byte == b'\\') | (byte < b' ')
            });
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => {
                    return Err(self.malformed("a control character in a string is not escaped"));
                }
                None => return Err(self.malformed("a string has no end")),
            }
        }
        let raw = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        if !escaped && std::str::from_utf8(raw).is_ok() {
            return Ok(Decoded::AsWritten(raw));
        }
        Ok(Decoded::Made(decode(raw)))
    }

    /// Steps over an escape.
    fn escape(&mut self) -> Result<(), SyntaxError> {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') if unit(self.text.get(self.at..).unwrap_or_default()).is_some() => {
                self.at += 6;
            }
            _ => return Err(self.malformed("unknown escape in a string")),
        }
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn malformed(&mut self, rule: &'static str) -> SyntaxError {
        self.fault(Fault::Malformed(rule))
    }

    fn fault(&mut self, fault: Fault) -> SyntaxError {
        SyntaxError {
            position: self.locator.position(self.at),
            fault,
        }
    }
}

/// The content of a string, which is UTF-8.
enum Decoded<'a> {
    AsWritten(&'a [u8]),
    Made(Vec<u8>),
}

impl Decoded<'_> {
    /// `whole` is the text that it was read from.
    fn into_secret(self, whole: &Secret) -> Secret {
        match self {
            Self::AsWritten(bytes) => whole.part(bytes),
            Self::Made(bytes) => Secret::new(bytes),
        }
    }

    fn into_string(self) -> String {
        let bytes = match self {
            Self::AsWritten(bytes) => bytes.to_vec(),
            Self::Made(bytes) => bytes,
        };
        String::from_utf8(bytes).unwrap_or_default()
    }
}

/// The content of a string whose escapes are known to be valid.
fn decode(raw: &[u8]) -> Vec<u8> {
    // Reserved at once, so that no copy is left behind: no escape becomes longer, and a byte that belongs to
    // no character becomes three.
    let room = match std::str::from_utf8(raw) {
        Ok(_) => raw.len(),
        Err(_) => 3 * raw.len(),
    };
    let mut text = Vec::with_capacity(room);
    let mut rest = raw;
    loop {
        let plain = rest.iter().position(|&byte| byte == b'\\');
        let (plain, escape) = rest.split_at(plain.unwrap_or(rest.len()));
        push_lossy(&mut text, plain);
        let Some(&letter) = escape.get(1) else {
            return text;
        };
        let mut length = 2;
        match letter {
            b'b' => text.push(0x08),
            b'f' => text.push(0x0C),
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'u' => {
                let character;
                (character, length) = character_of(escape);
                let mut buffer = [0; 4];
                text.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
            }
            other => text.push(other),
        }
        rest = escape.get(length..).unwrap_or_default();
    }
}

/// Each byte that belongs to no character becomes U+FFFD by itself, as in Go.
fn push_lossy(text: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        text.extend_from_slice(chunk.valid().as_bytes());
        for _ in chunk.invalid() {
            text.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
}

/// The character that the escapes at the front of `text` stand for, and how long they are. Half a
/// surrogate pair is U+FFFD.
fn character_of(text: &[u8]) -> (char, usize) {
    let first = unit(text).unwrap_or_default();
    if let Some(character) = char::from_u32(first) {
        return (character, 6);
    }
    let second = text.get(6..).and_then(unit).unwrap_or_default();
    if (0xD800..0xDC00).contains(&first) && (0xDC00..0xE000).contains(&second) {
        let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return (char::from_u32(code).unwrap_or('\u{FFFD}'), 12);
    }
    ('\u{FFFD}', 6)
}

/// The number of the `\uXXXX` at the front of `text`.
fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |number, &digit| {
        Some(number * 16 + char::from(digit).to_digit(16)?)
    })
}
