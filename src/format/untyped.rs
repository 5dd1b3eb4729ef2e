//! Formats in which every value is text: what they read is text, and values of other types are spelled
//! as SOPS spells them there.

use std::borrow::Cow;

use super::sink::Sink;
use super::{number, scalar};
use crate::secret::Secret;
use crate::tree::{Kind, Leaf, Position, Span, Style};

/// A value that was read. It counts as quoted, since nothing in it can mean another type.
pub(super) fn text_leaf(text: Vec<u8>, position: Position, span: Span) -> Leaf {
    Leaf {
        kind: Kind::Text,
        text: Secret::new(text),
        style: Style::DoubleQuoted,
        position,
        span,
        sealed: false,
    }
}

/// The text that stands for a value.
pub(super) fn spelled(leaf: &Leaf) -> Cow<'_, [u8]> {
    let typed = leaf.text.expose();
    let text = leaf.text.expose_text().unwrap_or_default();
    match leaf.kind {
        Kind::Text => Cow::Borrowed(typed),
        Kind::Null => Cow::Borrowed(b"<nil>"),
        Kind::Bool if scalar::parse_bool(text) == Some(true) => Cow::Borrowed(b"true"),
        Kind::Bool => Cow::Borrowed(b"false"),
        Kind::Float => match number::float_of(leaf) {
            Some(number) => Cow::Owned(number::go_with_point(number).into_bytes()),
            None => Cow::Borrowed(typed),
        },
        Kind::Int | Kind::Time => match scalar::normal_form(leaf.kind, text) {
            Some(normal) => Cow::Owned(normal.into_bytes()),
            None => Cow::Borrowed(typed),
        },
    }
}

/// Puts `parts` with `between` them.
pub(super) fn put_joined<'a>(
    sink: &mut dyn Sink,
    parts: impl Iterator<Item = &'a [u8]>,
    between: &[u8],
) {
    for (place, part) in parts.enumerate() {
        if place > 0 {
            sink.put(between);
        }
        sink.put(part);
    }
}

/// `value` with line breaks in the place of `\n`.
pub(super) fn with_line_breaks(value: &[u8]) -> Vec<u8> {
    // Reserved at once, so that no copy is left behind; it only gets shorter.
    let mut text = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(place) = rest.iter().position(|&byte| byte == b'\\') {
        let (before, from) = rest.split_at(place);
        text.extend_from_slice(before);
        rest = if let Some(behind) = from.strip_prefix(br"\n") {
            text.push(b'\n');
            behind
        } else {
            text.push(b'\\');
            from.get(1..).unwrap_or_default()
        };
    }
    text.extend_from_slice(rest);
    text
}
