//! The printer: one aligned block per section, each key and value in quotes that read back.

use std::borrow::Cow;

use super::DEFAULT;
use super::read::{self, Value};
use crate::format::sink::{Sink, printed};
use crate::format::untyped::spelled;
use crate::format::{EmitError, Format};
use crate::secret::Secret;
use crate::tree::{Entry, Map, MapItem, Node, Path};

/// Prints the sections of all documents.
pub(super) fn documents(documents: &[Map]) -> Result<Secret, EmitError> {
    let entries = || documents.iter().flat_map(Map::entries);
    let only = entries().nth(1).is_none();
    let sections: Result<Vec<Section<'_>>, EmitError> = entries()
        .enumerate()
        .map(|(place, entry)| Section::of(entry, place == 0, only))
        .collect();
    let sections = sections?;
    printed(|sink| {
        let mut begun = false;
        for section in &sections {
            if section.is_silent() {
                continue;
            }
            if std::mem::replace(&mut begun, true) {
                sink.put(b"\n");
            }
            section.put(sink);
        }
        Ok(())
    })
}

struct Section<'a> {
    name: &'a str,
    /// Whether no header is needed to begin it.
    headless: bool,
    comment: Remark<'a>,
    lines: Vec<Line<'a>>,
}

/// Comments that are printed as one.
type Remark<'a> = Vec<&'a [u8]>;

struct Line<'a> {
    comment: Remark<'a>,
    key: Quoted<'a>,
    value: Quoted<'a>,
}

/// A text and the quotes around it.
struct Quoted<'a> {
    text: Cow<'a, [u8]>,
    quote: &'static [u8],
}

impl Quoted<'_> {
    fn len(&self) -> usize {
        self.text.len() + 2 * self.quote.len()
    }

    fn put(&self, sink: &mut dyn Sink) {
        sink.put(self.quote);
        sink.put(&self.text);
        sink.put(self.quote);
    }
}

impl<'a> Section<'a> {
    fn of(entry: &'a Entry, first: bool, only: bool) -> Result<Self, EmitError> {
        let name = entry.key.as_str();
        let Node::Map(map) = &entry.value else {
            let path = Path::of([name]);
            return Err(EmitError::NotASection { path });
        };
        if name.is_empty() || name.contains('\n') {
            return Err(EmitError::Key {
                path: Path::of([name]),
                format: Format::Ini,
            });
        }
        let mut section = Self {
            name,
            headless: false,
            comment: Vec::new(),
            lines: Vec::new(),
        };
        for item in &map.items {
            match item {
                // A comment belongs to what stands before it.
                MapItem::Comment(comment) => match section.lines.last_mut() {
                    Some(line) => line.comment.push(comment.text.expose()),
                    None => section.comment.push(comment.text.expose()),
                },
                MapItem::Entry(entry) => section.lines.push(Line::of(name, entry)?),
            }
        }
        section.comment.retain(|text| !text.is_empty());
        // Comments alone would belong to the next section.
        let begun = !section.lines.is_empty() || section.comment.is_empty() || only;
        section.headless = first && name == DEFAULT && begun;
        Ok(section)
    }

    /// Whether nothing is to be printed, since the reader adds it by itself.
    fn is_silent(&self) -> bool {
        self.headless && self.lines.is_empty() && self.comment.is_empty()
    }

    fn put(&self, sink: &mut dyn Sink) {
        put_remark(sink, &self.comment, |line| line);
        if !self.headless {
            sink.put(b"[");
            sink.put(self.name.as_bytes());
            sink.put(b"]\n");
        }
        let width = self.lines.iter().map(|line| line.key.len()).max();
        let blanks = vec![b' '; width.unwrap_or_default()];
        for line in &self.lines {
            put_remark(sink, &line.comment, read::trimmed);
            line.key.put(sink);
            sink.put(blanks.get(line.key.len()..).unwrap_or_default());
            sink.put(b" = ");
            line.value.put(sink);
            sink.put(b"\n");
        }
    }
}

impl<'a> Line<'a> {
    fn of(section: &str, entry: &'a Entry) -> Result<Self, EmitError> {
        let path = || Path::of([section, entry.key.as_str()]);
        let format = Format::Ini;
        let Node::Leaf(leaf) = &entry.value else {
            let path = path();
            return Err(EmitError::Complex { path, format });
        };
        let key = entry.key.as_bytes();
        let key = Quoted {
            text: Cow::Borrowed(key),
            quote: key_quote(key).ok_or_else(|| EmitError::Key {
                path: path(),
                format,
            })?,
        };
        let text = spelled(leaf);
        let quote = value_quote(&text).ok_or_else(|| EmitError::Value {
            path: path(),
            format,
        })?;
        Ok(Self {
            comment: Vec::new(),
            key,
            value: Quoted { text, quote },
        })
    }
}

/// Writes comment lines. `tidy` is applied to a line without a sign of its own.
fn put_remark(sink: &mut dyn Sink, remark: &Remark<'_>, tidy: fn(&[u8]) -> &[u8]) {
    let texts = remark.iter().filter(|text| !text.is_empty());
    for line in texts.flat_map(|text| text.split(|&byte| byte == b'\n')) {
        let (sign, text) = match line.split_first() {
            Some((b'#', rest)) => (b"#", read::trimmed(rest)),
            Some((b';', rest)) => (b";", read::trimmed(rest)),
            _ => (b";", tidy(line)),
        };
        sink.put(sign);
        if !line.is_empty() {
            sink.put(b" ");
        }
        sink.put(text);
        sink.put(b"\n");
    }
}

/// The quotes in which `key` reads back: those that SOPS takes, else the first that serve.
fn key_quote(key: &[u8]) -> Option<&'static [u8]> {
    let has = |bytes: &[u8]| key.iter().any(|byte| bytes.contains(byte));
    let usual: &[u8] = if has(b"\"=:") {
        b"`"
    } else if has(b"`") {
        b"\"\"\""
    } else {
        b""
    };
    let reads_back = |quote: &&[u8]| {
        let line = [quote, key, quote, b" =\n"].concat();
        let begins_a_key = !matches!(line.first(), Some(b'#' | b';' | b'['));
        // A byte order mark at the front of the text would be passed over.
        let begins_a_text = !line.starts_with("\u{FEFF}".as_bytes());
        begins_a_key
            && begins_a_text
            && !key.contains(&b'\n')
            && read::trimmed_start(&line).len() == line.len()
            && read::key(&line).is_ok_and(|(name, _)| name.as_bytes() == key && name != "-")
    };
    let quotes: [&[u8]; 4] = [usual, b"`", b"\"\"\"", b"\""];
    quotes.into_iter().find(reads_back)
}

/// The quotes in which `value` reads back: those that SOPS takes, else the first that serve.
fn value_quote(value: &[u8]) -> Option<&'static [u8]> {
    let has = |bytes: &[u8]| value.iter().any(|byte| bytes.contains(byte));
    let outer_blanks = read::trimmed(value).len() != value.len();
    // Most values are of this kind, and some are long.
    if !outer_blanks && !has(b"\n`#;\"'\\") {
        return Some(b"");
    }
    let usual: &[u8] = if has(b"\n`") {
        b"\"\"\""
    } else if has(b"#;") {
        b"`"
    } else if outer_blanks {
        b"\""
    } else {
        b""
    };
    let quotes: [&[u8]; 6] = [usual, b"\"\"\"", b"`", b"\"", b"'", b""];
    quotes.into_iter().find(|quote| reads_back(value, quote))
}

/// Whether `value` reads back in these quotes, and nothing behind it.
fn reads_back(value: &[u8], quote: &[u8]) -> bool {
    let text = Secret::new([quote, value, quote, b"\n"].concat());
    let text = text.expose();
    let first = text.iter().position(|&byte| byte == b'\n');
    let (first, rest) = text.split_at(first.map_or(text.len(), |end| end + 1));
    let line = read::trimmed_start(first);
    if line.len() != first.len() {
        return false;
    }
    match read::unquoted(line) {
        Value::Whole { text, comment } => {
            rest.is_empty() && text == value && comment >= read::trimmed(line).len()
        }
        // The quotes must end in the last line and in no line before.
        Value::Open { quote: open } => {
            open == quote
                && rest
                    .split_inclusive(|&byte| byte == b'\n')
                    .position(|line| line.windows(open.len()).any(|window| window == open))
                    .is_some_and(|place| {
                        place + 1 == rest.split_inclusive(|&byte| byte == b'\n').count()
                    })
        }
        Value::Continued { .. } => false,
    }
}
