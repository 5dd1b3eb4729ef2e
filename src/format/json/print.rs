//! The printer: values in a given style, with the escapes and numbers of the reference, without recursion.

use super::DEPTH;
use crate::format::run::run_without;
use crate::format::sink::{Sink, printed};
use crate::format::{EmitError, Format, Layout, number, scalar};
use crate::secret::Secret;
use crate::tree::{Kind, Leaf, List, ListItem, Map, MapItem, Node, Path, Step};

/// What stands between the parts of a value.
#[derive(Debug, Clone)]
pub(super) struct Style {
    /// The line break in front of each member; `None` where all stands on one line.
    pub(super) line_break: Option<&'static [u8]>,
    /// Indentation of the line that the value begins on.
    pub(super) base: Vec<u8>,
    /// What each level adds to it.
    pub(super) unit: Vec<u8>,
    /// Between a key and its value.
    pub(super) colon: Vec<u8>,
    /// Behind a comma, where all stands on one line.
    pub(super) gap: Vec<u8>,
}

impl Style {
    /// As the reference prints whole files.
    pub(super) fn of_layout(layout: Layout) -> Result<Self, EmitError> {
        let unit = match layout.indent {
            None | Some(-1) => b"\t".to_vec(),
            Some(blanks) => {
                let blanks =
                    usize::try_from(blanks).map_err(|_| EmitError::NegativeIndent(Format::Json))?;
                vec![b' '; blanks]
            }
        };
        Ok(Self {
            line_break: Some(b"\n"),
            base: Vec::new(),
            unit,
            colon: b": ".to_vec(),
            gap: b" ".to_vec(),
        })
    }

    /// What stands in front of a line at the level of the value.
    fn line(&self) -> Vec<u8> {
        match self.line_break {
            Some(line_break) => [line_break, &self.base].concat(),
            None => Vec::new(),
        }
    }

    /// What stands in front of a member.
    pub(super) fn lead(&self) -> Vec<u8> {
        match self.line_break {
            Some(_) => self.line(),
            None => self.gap.clone(),
        }
    }
}

/// The whole file.
pub(super) fn document(map: Option<&Map>, layout: Layout) -> Result<Secret, EmitError> {
    let style = Style::of_layout(layout)?;
    let empty = Map::default();
    let root = Value::Map(map.unwrap_or(&empty));
    printed(|sink| {
        value(sink, root, &style)?;
        sink.put(b"\n");
        Ok(())
    })
}

/// A value of any shape.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Map(&'a Map),
    List(&'a List),
    Leaf(&'a Leaf),
}

impl<'a> From<&'a Node> for Value<'a> {
    fn from(node: &'a Node) -> Self {
        match node {
            Node::Map(map) => Self::Map(map),
            Node::List(list) => Self::List(list),
            Node::Leaf(leaf) => Self::Leaf(leaf),
        }
    }
}

/// An object or array of which some members are written.
struct Open<'a> {
    rest: Rest<'a>,
    /// The key of the last member.
    key: Option<&'a str>,
    /// How many members are written.
    count: usize,
}

enum Rest<'a> {
    Map(std::slice::Iter<'a, MapItem>),
    List(std::slice::Iter<'a, ListItem>),
}

impl<'a> Open<'a> {
    fn new(rest: Rest<'a>) -> Self {
        Self {
            rest,
            key: None,
            count: 0,
        }
    }

    /// The next member; comments are passed over.
    fn advance(&mut self) -> Option<&'a Node> {
        let member = match &mut self.rest {
            Rest::Map(items) => items.find_map(|item| match item {
                MapItem::Entry(entry) => {
                    self.key = Some(&entry.key);
                    Some(&entry.value)
                }
                MapItem::Comment(_) => None,
            }),
            Rest::List(items) => items.find_map(|item| match item {
                ListItem::Node(node) => Some(node),
                ListItem::Comment(_) => None,
            }),
        };
        self.count += usize::from(member.is_some());
        member
    }

    fn closing(&self) -> &'static [u8] {
        match self.rest {
            Rest::Map(_) => b"}",
            Rest::List(_) => b"]",
        }
    }

    fn step(&self) -> Step {
        match self.key {
            Some(key) => Step::Key(key.to_owned()),
            None => Step::Index(self.count.saturating_sub(1)),
        }
    }
}

/// Writes a value of any shape, its first byte at the place where `sink` is.
pub(super) fn value(sink: &mut dyn Sink, value: Value<'_>, style: &Style) -> Result<(), EmitError> {
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut next = Some(value);
    let mut line = style.line();
    let unit: &[u8] = style.line_break.map_or(b"", |_| &style.unit);
    loop {
        match next.take() {
            None => {}
            Some(Value::Leaf(written)) => {
                leaf(sink, written).ok_or_else(|| EmitError::Value {
                    path: Path::from(open.iter().map(Open::step).collect::<Vec<_>>()),
                    format: Format::Json,
                })?;
            }
            Some(Value::Map(map)) if map.entries().next().is_none() => sink.put(b"{}"),
            Some(Value::List(list)) if list.nodes().next().is_none() => sink.put(b"[]"),
            Some(_) if open.len() >= DEPTH => return Err(EmitError::TooDeep(Format::Json)),
            Some(Value::Map(map)) => {
                sink.put(b"{");
                line.extend_from_slice(unit);
                open.push(Open::new(Rest::Map(map.items.iter())));
            }
            Some(Value::List(list)) => {
                sink.put(b"[");
                line.extend_from_slice(unit);
                open.push(Open::new(Rest::List(list.items.iter())));
            }
        }
        let Some(top) = open.last_mut() else {
            return Ok(());
        };
        let Some(member) = top.advance() else {
            let closing = top.closing();
            open.pop();
            line.truncate(line.len() - unit.len());
            sink.put(&line);
            sink.put(closing);
            continue;
        };
        if top.count > 1 {
            sink.put(b",");
            if style.line_break.is_none() {
                sink.put(&style.gap);
            }
        }
        sink.put(&line);
        if let Some(key) = top.key {
            string(sink, key.as_bytes());
            sink.put(&style.colon);
        }
        next = Some(Value::from(member));
    }
}

/// Writes a scalar; `None` for a number that JSON cannot write.
fn leaf(sink: &mut dyn Sink, leaf: &Leaf) -> Option<()> {
    match leaf.kind {
        Kind::Null => sink.put(b"null"),
        Kind::Text => string(sink, leaf.text.expose()),
        Kind::Bool => {
            let text = leaf.text.expose_text().and_then(scalar::parse_bool);
            sink.put(if text == Some(true) {
                b"true"
            } else {
                b"false"
            });
        }
        Kind::Int => {
            let text = leaf.text.expose_text().unwrap_or_default();
            sink.put(scalar::normal_form(Kind::Int, text)?.as_bytes());
        }
        Kind::Float => {
            let number = number::float_of(leaf).filter(|number| number.is_finite())?;
            sink.put(number::ecmascript(number).as_bytes());
        }
        Kind::Time => {
            let text = leaf.text.expose_text().unwrap_or_default();
            let normal = scalar::normal_form(Kind::Time, text);
            string(sink, normal.as_deref().unwrap_or(text).as_bytes());
        }
    }
    Some(())
}

/// Writes a string with its quotes. Bytes that are no UTF-8 become `\ufffd` each.
pub(super) fn string(sink: &mut dyn Sink, text: &[u8]) {
    sink.put(b"\"");
    match std::str::from_utf8(text) {
        Ok(_) => escaped(sink, text),
        Err(_) => {
            for chunk in text.utf8_chunks() {
                escaped(sink, chunk.valid().as_bytes());
                for _ in chunk.invalid() {
                    sink.put(br"\ufffd");
                }
            }
        }
    }
    sink.put(b"\"");
}

/// Whether an escape may begin at a byte. U+2028 and U+2029 begin with 0xE2, as many harmless characters do.
fn may_need_escape(byte: u8) -> bool {
    let json = (byte == b'"') | (byte == b'\\') | (byte < b' ');
    let html = (byte == b'<') | (byte == b'>') | (byte == b'&');
    json | html | (byte == 0xE2)
}

/// Whether `text` stands between quotes as it is.
pub(super) fn is_bare(text: &str) -> bool {
    run_without(text.as_bytes(), may_need_escape) == text.len()
}

/// Writes UTF-8 with the escapes of Go: those that JSON asks for, and those that keep a text harmless in
/// HTML and JavaScript.
fn escaped(sink: &mut dyn Sink, text: &[u8]) {
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(run_without(rest, may_need_escape));
        sink.put(plain);
        let Some((&first, behind)) = special.split_first() else {
            return;
        };
        rest = behind;
        match first {
            b'"' => sink.put(br#"\""#),
            b'\\' => sink.put(br"\\"),
            0x08 => sink.put(br"\b"),
            0x0C => sink.put(br"\f"),
            b'\n' => sink.put(br"\n"),
            b'\r' => sink.put(br"\r"),
            b'\t' => sink.put(br"\t"),
            0xE2 => match behind {
                [0x80, last @ (0xA8 | 0xA9), ..] => {
                    sink.put(if *last == 0xA8 {
                        br"\u2028"
                    } else {
                        br"\u2029"
                    });
                    rest = behind.get(2..).unwrap_or_default();
                }
                _ => sink.put(&[first]),
            },
            other => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let digit = |number: u8| DIGITS.get(usize::from(number)).copied().unwrap_or(b'0');
                sink.put(&[
                    b'\\',
                    b'u',
                    b'0',
                    b'0',
                    digit(other >> 4),
                    digit(other & 15),
                ]);
            }
        }
    }
}
