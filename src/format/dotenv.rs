//! Dotenv as SOPS knows it: lines of `KEY=value` without quotes, trimming or continuation.
//!
//! A line is split at its first `=`; `#` in the first column makes it a comment; empty lines are dropped.
//! The two characters `\n` in a value are a line break. Values may be any bytes.

use super::locate::Locator;
use super::sink::{Sink, printed};
use super::untyped::{put_joined, spelled, text_leaf, with_line_breaks};
use super::{EmitError, Fault, Format, SyntaxError};
use crate::secret::Secret;
use crate::tree::{Comment, Entry, Leaf, Map, MapItem, Node, Path, Span};

/// Reads a text. Keys may be empty or stand twice.
///
/// # Errors
/// At the first line without `=`, and for a key that is not UTF-8.
pub fn parse(text: &[u8]) -> Result<Map, SyntaxError> {
    let mut locator = Locator::new(text);
    let mut map = Map {
        position: locator.position(0),
        span: Span {
            start: 0,
            end: text.len(),
        },
        ..Map::default()
    };
    let mut start = 0;
    for line in text.split(|&byte| byte == b'\n') {
        if !line.is_empty() {
            map.items.push(read_line(line, start, &mut locator)?);
        }
        start += line.len() + 1;
    }
    Ok(map)
}

fn read_line(line: &[u8], start: usize, locator: &mut Locator<'_>) -> Result<MapItem, SyntaxError> {
    let position = locator.position(start);
    let end = start + line.len();
    let span = Span { start, end };
    if let Some(text) = line.strip_prefix(b"#") {
        return Ok(MapItem::Comment(Comment {
            text: Secret::new(text.to_vec()),
            position,
            span,
            trailing: false,
        }));
    }
    let malformed = |rule| SyntaxError {
        position,
        fault: Fault::Malformed(rule),
    };
    let equals = line
        .iter()
        .position(|&byte| byte == b'=')
        .ok_or_else(|| malformed("expected KEY=value or a comment"))?;
    let (key, value) = line.split_at(equals);
    let key = std::str::from_utf8(key).map_err(|_| malformed("the key is not UTF-8"))?;
    let value = value.get(1..).unwrap_or_default();
    let start = end - value.len();
    let at = locator.position(start);
    let leaf = text_leaf(with_line_breaks(value), at, Span { start, end });
    Ok(MapItem::Entry(Entry {
        key: key.to_owned(),
        position,
        span,
        value: Node::Leaf(leaf),
    }))
}

/// Prints the first of `documents`. What is no text is spelled as SOPS spells it: `1.0`, `1E+21`, `true`,
/// `<nil>`.
///
/// # Errors
/// For maps and lists, and for a key that would read back as something else.
pub fn emit(documents: &[Map]) -> Result<Secret, EmitError> {
    printed(|sink| {
        for item in documents.first().into_iter().flat_map(|map| &map.items) {
            match item {
                MapItem::Comment(comment) => {
                    let lines = comment.text.expose().split(|&byte| byte == b'\n');
                    sink.put(b"#");
                    put_joined(sink, lines, b"\n#");
                    sink.put(b"\n");
                }
                MapItem::Entry(entry) => put_entry(sink, entry)?,
            }
        }
        Ok(())
    })
}

fn put_entry(sink: &mut dyn Sink, entry: &Entry) -> Result<(), EmitError> {
    let path = || Path::of([entry.key.as_str()]);
    let format = Format::Dotenv;
    let Node::Leaf(leaf) = &entry.value else {
        let path = path();
        return Err(EmitError::Complex { path, format });
    };
    if entry.key.starts_with('#') || entry.key.contains(['=', '\n']) {
        let path = path();
        return Err(EmitError::Key { path, format });
    }
    sink.put(entry.key.as_bytes());
    sink.put(b"=");
    put_value(sink, leaf);
    sink.put(b"\n");
    Ok(())
}

fn put_value(sink: &mut dyn Sink, leaf: &Leaf) {
    let text = spelled(leaf);
    put_joined(sink, text.split(|&byte| byte == b'\n'), br"\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::shape::{Shape, any_text, text};
    use crate::tree::Kind;

    fn print(shape: &Shape) -> Result<String, EmitError> {
        let printed = emit(&[shape.map()])?;
        Ok(printed.expose_text().unwrap().to_owned())
    }

    fn map(entries: &[(&str, Shape)]) -> Shape {
        let entry = |(key, value): &(&str, Shape)| match value {
            Shape::Comment(_) => (None, value.clone()),
            _ => (Some((*key).to_owned()), value.clone()),
        };
        Shape::Map(entries.iter().map(entry).collect())
    }

    #[test]
    fn lines_are_split_as_sops_splits_them() {
        let source = concat!(
            "A=1\nB=\nC==x\nD=x=y\nE = x\nF=\"q\"\nG='q'\nexport H=1\nI=a\\nb\nJ=x # y\n# comment\n#tight\n",
            "\nK= lead\nL=trail \n=x\nA=a\\\\nb\\t\\\nM=1\r\nN\\nO=1"
        );
        let comment = |text: &str| ("", Shape::Comment(text.as_bytes().to_vec()));
        let expected = map(&[
            ("A", text("1")),
            ("B", text("")),
            ("C", text("=x")),
            ("D", text("x=y")),
            ("E ", text(" x")),
            ("F", text("\"q\"")),
            ("G", text("'q'")),
            ("export H", text("1")),
            ("I", text("a\nb")),
            ("J", text("x # y")),
            comment(" comment"),
            comment("tight"),
            ("K", text(" lead")),
            ("L", text("trail ")),
            ("", text("x")),
            ("A", text("a\\\nb\\t\\")),
            ("M", text("1\r")),
            ("N\\nO", text("1")),
        ]);
        assert_eq!(Shape::of_map(&parse(source.as_bytes()).unwrap()), expected);
        let printed = source.replace("\n\n", "\n") + "\n";
        assert_eq!(print(&expected).unwrap(), printed);
    }

    #[test]
    fn bytes_that_are_no_text_are_kept() {
        let source = b"\xEF\xBB\xBFA=caf\xE9\n#\xE9\n";
        let map = parse(source).unwrap();
        assert_eq!(emit(&[map]).unwrap(), Secret::new(source.to_vec()));
        let error = parse(b"A=1\ncaf\xE9=1").unwrap_err();
        assert_eq!(error.to_string(), "line 2, column 1: the key is not UTF-8");
    }

    #[test]
    fn a_line_without_an_equals_sign_is_refused() {
        for (source, line) in [("A=1\nB", 2), ("\n\n  # c\n", 3), (" \n", 1)] {
            let error = parse(source.as_bytes()).unwrap_err();
            assert_eq!(error.position.line, line);
            let malformed = Fault::Malformed("expected KEY=value or a comment");
            assert_eq!(error.fault, malformed);
        }
    }

    #[test]
    fn other_types_are_spelled_as_sops_does() {
        let leaf = |kind, text: &str| Shape::Leaf(kind, text.as_bytes().to_vec());
        let tree = map(&[
            ("i", leaf(Kind::Int, "0x1F")),
            ("f", leaf(Kind::Float, "2.0")),
            ("e", leaf(Kind::Float, "1e21")),
            ("d", leaf(Kind::Float, "1000000000000000000000")),
            ("z", leaf(Kind::Float, "-0")),
            ("nan", leaf(Kind::Float, ".nan")),
            ("inf", leaf(Kind::Float, "-Inf")),
            ("b", leaf(Kind::Bool, "True")),
            ("n", leaf(Kind::Null, "~")),
            ("t", leaf(Kind::Time, "2024-02-29")),
            ("", Shape::Comment(b"two\nlines".to_vec())),
        ]);
        assert_eq!(
            print(&tree).unwrap(),
            "i=31\nf=2.0\ne=1E+21\nd=1E+21\nz=-0.0\nnan=NaN\ninf=-Inf\nb=true\nn=<nil>\nt=2024-02-29T00:00:00Z\n#two\n#lines\n"
        );
    }

    #[test]
    fn what_does_not_fit_on_a_line_is_refused() {
        for value in [Shape::Map(Vec::new()), Shape::List(vec![text("x")])] {
            let error = print(&map(&[("a", value)])).unwrap_err();
            assert_eq!(
                error.to_string(),
                "a holds a map or list, which dotenv cannot hold"
            );
        }
        for key in ["a=b", "#a", "a\nb"] {
            let error = print(&map(&[(key, text("x"))])).unwrap_err();
            assert!(matches!(error, EmitError::Key { .. }));
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(
            entries in prop::collection::vec((prop::option::of(any_text()), any_text()), 0..6)
        ) {
            let items = entries.into_iter().map(|(key, value)| match key {
                // A backslash in front of an n cannot be written, nor can two lines in one comment.
                Some(key) => (Some(key), text(&value.replace('\\', ""))),
                None => (None, Shape::Comment(value.replace('\n', "").into_bytes())),
            });
            let shape = Shape::Map(items.collect());
            if let Ok(printed) = print(&shape) {
                let read = parse(printed.as_bytes()).unwrap();
                prop_assert_eq!(Shape::of_map(&read), shape);
            }
        }

        #[test]
        fn what_was_read_is_printed_again(source in "[A-Z=#\\\\n \r\n\u{e9}]{0,30}") {
            if let Ok(map) = parse(source.as_bytes()) {
                let mut lines = String::new();
                for line in source.split('\n').filter(|line| !line.is_empty()) {
                    lines.push_str(line);
                    lines.push('\n');
                }
                let printed = emit(&[map]).unwrap();
                prop_assert_eq!(printed.expose_text(), Some(lines.as_str()));
            }
        }
    }
}
