//! File formats: text to tree and back, losslessly.
//!
//! A format reads a text strictly into a [`crate::tree::Map`] with byte spans, and says how a value or
//! an entry is written at a given place. Texts are changed by [`Splice`] only, so that every byte
//! outside an edit stays by construction. No format knows what SOPS is.

use std::fmt;

use crate::secret::Secret;
use crate::tree::{Position, Span};

pub mod scalar;
pub mod yaml;

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// YAML, in the dialect that SOPS reads.
    Yaml,
}

impl Format {
    /// The format that a file name asks for, by its extension; `None` for one that is not read.
    #[must_use]
    pub fn of_file_name(name: &str) -> Option<Self> {
        let extension = name.rsplit_once('.')?.1;
        matches!(extension, "yaml" | "yml").then_some(Self::Yaml)
    }
}

/// A text that is not valid in its format. Names the place and the rule, never the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {fault}", position.line, position.column)]
pub struct SyntaxError {
    /// Where it was noticed.
    pub position: Position,
    /// What is wrong.
    pub fault: Fault,
}

/// What can be wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It breaks the grammar; the text says how.
    Malformed(&'static str),
    /// It is valid, but not read by this program; the text names the construct.
    Unsupported(&'static str),
    /// Two entries of one map have the same key.
    DuplicateKey,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(rule) => formatter.write_str(rule),
            Self::Unsupported(what) => write!(formatter, "{what} not supported here"),
            Self::DuplicateKey => formatter.write_str("the key stands twice in one map"),
        }
    }
}

/// Edits of one text, made in one pass. Edits must not overlap; they may come in any order.
#[derive(Debug, Default)]
pub struct Splice {
    edits: Vec<(Span, Secret)>,
}

impl Splice {
    /// Replaces what lies in `span`.
    pub fn replace(&mut self, span: Span, text: impl Into<Secret>) {
        self.edits.push((span, text.into()));
    }

    /// Puts `text` in front of the byte `at`.
    pub fn insert(&mut self, at: usize, text: impl Into<Secret>) {
        self.replace(Span { start: at, end: at }, text);
    }

    /// Takes out what lies in `span`.
    pub fn remove(&mut self, span: Span) {
        self.replace(span, Secret::from_text(""));
    }

    /// The text with all edits made. Edits at one place keep their order. Linear in text and edits.
    #[must_use]
    pub fn apply(mut self, text: &str) -> Secret {
        self.edits.sort_by_key(|(span, _)| (span.start, span.end));
        let added: usize = self.edits.iter().map(|(_, new)| new.len()).sum();
        // Reserved at once, so that no copy is left behind unwiped.
        let mut result = Vec::with_capacity(text.len() + added);
        let mut at = 0;
        for (span, new) in &self.edits {
            debug_assert!(at <= span.start && span.start <= span.end, "edits overlap");
            result.extend_from_slice(text.as_bytes().get(at..span.start).unwrap_or_default());
            result.extend_from_slice(new.expose());
            at = span.end;
        }
        result.extend_from_slice(text.as_bytes().get(at..).unwrap_or_default());
        Secret::new(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_in_any_order_leave_the_rest_alone() {
        let mut splice = Splice::default();
        splice.replace(Span { start: 6, end: 7 }, Secret::from_text("ZZ"));
        splice.insert(0, Secret::from_text(">"));
        splice.remove(Span { start: 2, end: 4 });
        assert_eq!(splice.apply("0123456789").expose_text(), Some(">0145ZZ789"));
    }
}
