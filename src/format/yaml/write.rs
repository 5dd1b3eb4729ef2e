//! How scalars, keys and whole maps are written, so that readers of YAML 1.1 and 1.2 agree on them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::emit::style;
use crate::format::scalar;
use crate::secret::Secret;
use crate::tree::{Comment, Entry, Kind, Layout, Leaf, ListItem, Map, MapItem, Node, Style};

/// A scalar to be written.
#[derive(Debug, Clone, Copy)]
pub struct Scalar<'a> {
    /// Its type. Only text is ever quoted.
    pub kind: Kind,
    /// Its text; for other types the form in which it shall stand.
    pub text: &'a str,
    /// The style to use where it can carry the text.
    pub style: Style,
}

impl<'a> Scalar<'a> {
    /// Text, without quotes where none are needed.
    #[must_use]
    pub fn text(text: &'a str) -> Self {
        Self {
            kind: Kind::Text,
            text,
            style: Style::Plain,
        }
    }
}

/// A written scalar: what stands on the line of its key, and the lines below for a block scalar.
pub(super) struct Written {
    pub(super) inline: Wiped,
    pub(super) body: Option<Wiped>,
}

/// Text that may be plaintext on its way into a secret: wiped when dropped.
pub(super) type Wiped = Zeroizing<String>;

/// The parts one after the other, in a buffer that is reserved at once.
pub(super) fn joined(parts: &[&str]) -> Wiped {
    Zeroizing::new(parts.concat())
}

/// What a scalar's surroundings allow.
#[derive(Clone, Copy)]
pub(super) struct Room<'a> {
    pub(super) layout: Layout,
    /// Indentation of the lines of a block scalar; `None` where none may stand.
    pub(super) block: Option<usize>,
    pub(super) line_break: &'a str,
}

/// Writes `scalar` into `room`.
pub(super) fn write(scalar: &Scalar<'_>, room: Room<'_>) -> Written {
    let inline = |inline: Wiped| Written { inline, body: None };
    let verbatim = |text: &str| inline(joined(&[text]));
    let text = scalar.text;
    match scalar.kind {
        Kind::Null => return verbatim("null"),
        Kind::Float => return verbatim(float_literal(text)),
        Kind::Bool | Kind::Int | Kind::Time => return verbatim(text),
        Kind::Text => {}
    }
    match (scalar.style, room.block) {
        (Style::DoubleQuoted, _) => inline(double_quoted(text)),
        (Style::SingleQuoted, _) if fits_single_quotes(text) => inline(single_quoted(text)),
        (_, Some(indent)) if fits_literal(text) => literal(text, indent, room.line_break),
        _ => inline(quoted_where_needed(text, room.layout)),
    }
}

/// How YAML spells the floats that have no digits.
fn float_literal(text: &str) -> &str {
    match text {
        "NaN" => ".nan",
        "+Inf" => ".inf",
        "-Inf" => "-.inf",
        digits => digits,
    }
}

/// Plain where that is safe; double quotes where the type would be in doubt or something must be
/// escaped; else single quotes.
pub(super) fn quoted_where_needed(text: &str, layout: Layout) -> Wiped {
    if scalar::may_read_as_another_type(text) || !fits_single_quotes(text) {
        double_quoted(text)
    } else if fits_plain(text, layout) {
        joined(&[text])
    } else if layout == Layout::Flow && !text.contains(['"', '\\']) {
        double_quoted(text)
    } else {
        single_quoted(text)
    }
}

fn fits_plain(text: &str, layout: Layout) -> bool {
    let first_is_safe = |first: char| !"-?:,[]{}#&*!|>'\"%@` \t".contains(first);
    text.starts_with(first_is_safe)
        && !text.ends_with([' ', '\t', ':'])
        && !text.contains(": ")
        && !text.contains(":\t")
        && !text.contains(" #")
        && !text.contains('\t')
        && (layout == Layout::Block || !text.contains([',', '[', ']', '{', '}', '?', ':']))
}

/// Whether no character of `text` needs an escape.
fn fits_single_quotes(text: &str) -> bool {
    text.chars()
        .all(|each| !needs_escape(each) && each != '\t' && each != '\n')
}

fn needs_escape(each: char) -> bool {
    let is_break = matches!(each, '\u{85}' | '\u{2028}' | '\u{2029}');
    let special = matches!(each, '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}');
    (each.is_control() && each != '\t' && each != '\n') || is_break || special
}

fn single_quoted(text: &str) -> Wiped {
    let mut result = Zeroizing::new(String::with_capacity(text.len() * 2 + 2));
    result.push('\'');
    for each in text.chars() {
        result.push_str(if each == '\'' { "'" } else { "" });
        result.push(each);
    }
    result.push('\'');
    result
}

fn double_quoted(text: &str) -> Wiped {
    use std::fmt::Write as _;
    // Reserved for the longest escape of every byte, so that no copy is left behind unwiped.
    let mut result = Zeroizing::new(String::with_capacity(text.len() * 6 + 2));
    result.push('"');
    for each in text.chars() {
        match each {
            '"' => result.push_str("\\\""),
            '\\' => result.push_str("\\\\"),
            '\n' => result.push_str("\\n"),
            '\t' => result.push_str("\\t"),
            '\r' => result.push_str("\\r"),
            '\0' => result.push_str("\\0"),
            _ if needs_escape(each) && u32::from(each) < 0x100 => {
                let _ = write!(result, "\\x{:02X}", u32::from(each));
            }
            _ if needs_escape(each) => {
                let _ = write!(result, "\\u{:04X}", u32::from(each));
            }
            _ => result.push(each),
        }
    }
    result.push('"');
    result
}

/// Whether a literal block holds `text` safely: several lines, none of which ends in a blank, no blank
/// or tab or empty line at the start, at most one line break at the end.
pub(super) fn fits_literal(text: &str) -> bool {
    let trailing_blank = |line: &str| line.ends_with([' ', '\t']);
    text.contains('\n')
        && !text.starts_with([' ', '\t', '\n'])
        && !text.ends_with("\n\n")
        && !text.chars().any(needs_escape)
        && !text.split('\n').any(trailing_blank)
}

fn literal(text: &str, indent: usize, line_break: &str) -> Written {
    let (lines, chomp) = match text.strip_suffix('\n') {
        Some(lines) => (lines, ""),
        None => (text, "-"),
    };
    let added = lines.matches('\n').count() + 1;
    let size = lines.len() + added * (indent + line_break.len());
    let mut body = Zeroizing::new(String::with_capacity(size));
    for line in lines.split('\n') {
        body.push_str(line_break);
        if !line.is_empty() {
            body.extend(std::iter::repeat_n(' ', indent));
            body.push_str(line);
        }
    }
    Written {
        inline: joined(&["|", chomp]),
        body: Some(body),
    }
}

/// Writes `map` in block style, `indent` blanks deep and `step` blanks deeper per level, with a line
/// break behind each line. Comments are written, too; styles are chosen anew.
#[must_use]
pub fn render(map: &Map, indent: usize, step: usize) -> Secret {
    let mut printer = Printer {
        text: String::new(),
        step,
    };
    printer.map(map, indent, false);
    Secret::from(printer.text)
}

/// The `:` and `-` of block style, and what follows them.
pub(super) struct Printer {
    text: String,
    step: usize,
}

impl Printer {
    fn indent(&mut self, indent: usize) {
        self.text.extend(std::iter::repeat_n(' ', indent));
    }

    /// `begun`: the first entry stands behind a dash that is already written.
    fn map(&mut self, map: &Map, indent: usize, mut begun: bool) {
        for item in &map.items {
            if !std::mem::take(&mut begun) {
                self.indent(indent);
            }
            match item {
                MapItem::Comment(comment) => self.comment(comment),
                MapItem::Entry(entry) => self.entry(entry, indent),
            }
        }
    }

    pub(super) fn comment(&mut self, comment: &Comment) {
        self.text.push('#');
        self.text
            .push_str(comment.text.expose_text().unwrap_or_default());
        self.text.push('\n');
    }

    pub(super) fn entry(&mut self, entry: &Entry, indent: usize) {
        self.text
            .push_str(&quoted_where_needed(&entry.key, Layout::Block));
        self.text.push(':');
        self.value(&entry.value, indent, indent + self.step);
    }

    /// A value behind a colon whose key is indented by `indent`.
    pub(super) fn value(&mut self, node: &Node, indent: usize, below: usize) {
        match node {
            Node::Map(map) if map.entries().next().is_none() => self.text.push_str(" {}\n"),
            Node::List(list) if list.nodes().next().is_none() => self.text.push_str(" []\n"),
            Node::Map(map) => {
                self.text.push('\n');
                self.map(map, below, false);
            }
            Node::List(list) => {
                self.text.push('\n');
                for item in &list.items {
                    self.item(item, indent + self.step);
                }
            }
            Node::Leaf(leaf) => {
                self.text.push(' ');
                self.leaf(leaf, below);
            }
        }
    }

    fn item(&mut self, item: &ListItem, indent: usize) {
        self.indent(indent);
        match item {
            ListItem::Comment(comment) => self.comment(comment),
            ListItem::Node(node) => self.item_node(node, indent),
        }
    }

    pub(super) fn item_node(&mut self, node: &Node, indent: usize) {
        match node {
            Node::Leaf(leaf) => {
                self.text.push_str("- ");
                self.leaf(leaf, indent + self.step);
            }
            Node::Map(map) if map.entries().next().is_some() => {
                self.text.push_str("- ");
                self.map(map, indent + 2, true);
            }
            other => {
                self.text.push('-');
                self.value(other, indent, indent + self.step);
            }
        }
    }

    fn leaf(&mut self, leaf: &Leaf, below: usize) {
        let room = Room {
            layout: Layout::Block,
            block: Some(below),
            line_break: "\n",
        };
        let plain = Leaf {
            style: Style::Plain,
            ..leaf.clone()
        };
        let written = write_leaf(&plain, room);
        self.text.push_str(&written.inline);
        self.text.push_str(&written.body.unwrap_or_default());
        self.text.push('\n');
    }
}

/// Writes `leaf` into `room`; bytes that are no text as base64.
pub(super) fn write_leaf(leaf: &Leaf, room: Room<'_>) -> Written {
    let Some(text) = leaf.text.expose_text() else {
        return Written {
            inline: binary(leaf.text.expose()),
            body: None,
        };
    };
    let scalar = Scalar {
        kind: leaf.kind,
        text,
        style: leaf.style,
    };
    write(&scalar, room)
}

/// Writes `leaf` into `room` with the quotes and spelling that SOPS chooses, where quotes are not asked for.
pub(super) fn write_as_sops(leaf: &Leaf, room: Room<'_>) -> Written {
    let ready = style::of_leaf(leaf);
    let asked = matches!(leaf.style, Style::SingleQuoted | Style::DoubleQuoted);
    let text = ready.text.as_ref();
    let inline = match (leaf.kind, ready.tag, ready.style) {
        (Kind::Text, Some("!!binary"), _) => return write_leaf(leaf, room),
        (Kind::Text, ..) if asked || room.layout == Layout::Flow => return write_leaf(leaf, room),
        (_, Some(tag), Style::Plain) => joined(&[tag, " ", text]),
        (_, None, Style::Plain) => joined(&[text]),
        (_, _, Style::SingleQuoted) if fits_single_quotes(text) => single_quoted(text),
        (_, _, Style::Literal) => return write_leaf(leaf, room),
        _ => double_quoted(text),
    };
    Written { inline, body: None }
}

/// Bytes that are not UTF-8.
pub(super) fn binary(bytes: &[u8]) -> Wiped {
    let base64 = Zeroizing::new(STANDARD.encode(bytes));
    joined(&["!!binary ", &base64])
}

/// A part of a map or list on its own: the first line without indentation, the others for what stands
/// `indent` blanks deep; no line break at the end.
pub(super) fn part(step: usize, print: impl FnOnce(&mut Printer)) -> Wiped {
    let mut printer = Printer {
        text: String::new(),
        step,
    };
    print(&mut printer);
    let mut text = Zeroizing::new(printer.text);
    if text.ends_with('\n') {
        text.pop();
    }
    text
}
