//! YAML as SOPS reads it: everything that go-yaml 3 takes, made into the tree that SOPS makes of it.
//!
//! A scanner and a composer of our own with the comment rules of go-yaml, then the steps of SOPS: aliases
//! expanded, tags dropped, comments put into maps and lists. Linear in the text and in what aliases unfold
//! to, which is limited. For environment documents there is the strict [`super::parse`].

mod build;
mod compose;
mod remark;
mod scalar;
mod scan;
mod token;

use self::build::Builder;
use super::emit::{Indent, placed};
use crate::format::run::run_without;
use crate::format::{Fault, SyntaxError};
use crate::secret::Secret;
use crate::tree::{Layout, Map, Node, Position};

/// What was read.
#[derive(Debug)]
pub struct Reading {
    /// The text that the spans point into, when it is not the one that was read: one without its byte
    /// order mark, or one printed anew.
    pub text: Option<Secret>,
    /// The documents, in order.
    pub documents: Vec<Map>,
    /// How many comments stand where no reader keeps them, as between two items of a list with an empty line
    /// between them, and so in none of the documents.
    pub dropped_comments: usize,
}

/// Reads all documents of `whole` as SOPS does: anchors and aliases, tags, merge keys, several documents,
/// comments where SOPS sees them, duplicate keys from the second document on.
///
/// Where a text uses what edits cannot keep (anchors, aliases, tags, merge keys, keys behind `?`,
/// directives, comments that SOPS drops), it is printed as SOPS prints it, and the documents are those of
/// that new text.
///
/// # Errors
/// At the first character that breaks a rule. [`Fault::Empty`] for a text without a byte;
/// [`Fault::KeyNotText`] and [`Fault::TooLarge`] for what SOPS refuses only after it has read everything.
pub fn parse_sops(whole: &Secret) -> Result<Reading, SyntaxError> {
    let text = whole.expose();
    if text.is_empty() {
        return Err(at_start(Fault::Empty));
    }
    let stripped = text.strip_prefix("\u{FEFF}".as_bytes());
    let text =
        std::str::from_utf8(stripped.unwrap_or(text)).map_err(|error| not_text(text, &error))?;
    check_characters(text)?;
    let (mut documents, kept, dropped_comments) = Builder::read(text, whole)?;
    if documents.is_empty() {
        return Err(at_start(Fault::Malformed(
            "there is no document, only comments or nothing",
        )));
    }
    if kept && !has_other_breaks(text) {
        let text = stripped.map(|_| Secret::from_text(text));
        return Ok(Reading {
            text,
            documents,
            dropped_comments,
        });
    }
    let indent = indent_of(&documents);
    let printed = placed(&mut documents, indent);
    let fault = Fault::Malformed("a comment cannot be printed");
    let text = Some(printed.map_err(|_| at_start(fault))?);
    Ok(Reading {
        text,
        documents,
        dropped_comments,
    })
}

/// Whether a line may end in something else than a line feed, which edits do not know.
fn has_other_breaks(text: &str) -> bool {
    let bytes = text.as_bytes();
    let alone = |pair: &[u8]| pair[0] == b'\r' && pair[1] != b'\n';
    (bytes.contains(&b'\r') && (bytes.ends_with(b"\r") || bytes.windows(2).any(alone)))
        || (!text.is_ascii() && text.contains(['\u{85}', '\u{2028}', '\u{2029}']))
}

fn at_start(fault: Fault) -> SyntaxError {
    let position = Position { line: 1, column: 1 };
    SyntaxError { position, fault }
}

fn not_text(text: &[u8], error: &std::str::Utf8Error) -> SyntaxError {
    let before = text.get(..error.valid_up_to()).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let line = u32::try_from(line).unwrap_or(u32::MAX);
    SyntaxError {
        position: Position { line, column: 1 },
        fault: Fault::Malformed("the text is not UTF-8"),
    }
}

/// Control characters are refused wherever they stand.
fn check_characters(text: &str) -> Result<(), SyntaxError> {
    let suspicious = |byte: u8| {
        let is_space = (byte == b'\t') | (byte == b'\n') | (byte == b'\r');
        ((byte < b' ') & !is_space) | (byte >= 0x7F)
    };
    if run_without(text.as_bytes(), suspicious) == text.len() {
        return Ok(());
    }
    let forbidden = |each: char| match each {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        '\u{FFFE}' | '\u{FFFF}' => true,
        _ => each.is_control(),
    };
    let Some(place) = text.find(forbidden) else {
        return Ok(());
    };
    let line_start = text[..place].rfind('\n').map_or(0, |at| at + 1);
    let count = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
    let position = Position {
        line: count(text[..place].matches('\n').count()),
        column: count(text[line_start..place].chars().count()),
    };
    let fault = Fault::Malformed("a control character must be escaped in double quotes");
    Err(SyntaxError { position, fault })
}

/// The indentation of the first nested map, if SOPS could print it.
fn indent_of(documents: &[Map]) -> Indent {
    let nested = documents
        .iter()
        .flat_map(Map::entries)
        .find_map(|entry| match &entry.value {
            Node::Map(map) if map.layout == Layout::Block => Some(map.position.column),
            _ => None,
        });
    let columns = nested.map_or(0, |column| i64::from(column) - 1);
    let usable = (2..=9).contains(&columns);
    Indent::of(if usable { columns } else { 0 }).unwrap_or_default()
}

#[cfg(test)]
mod tests;
