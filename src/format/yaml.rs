//! YAML, read strictly and with spans; written by splicing.
//!
//! One scanner of our own reads the part of YAML that a sealed file may use: block and flow style, all
//! scalar styles, comments. Anchors, aliases, tags, merge keys, directives and further documents are
//! refused by name. Scalars mean what go-yaml 3 takes them for, since SOPS reads with it.

mod append;
mod edit;
mod emit;
mod flow;
mod parse;
mod read;
mod rewrite;
mod scan;
mod text;
mod write;

pub use edit::{Editor, Site};
pub use emit::{EmitError, Indent, emit};
pub use read::{Reading, parse_sops};
pub(crate) use rewrite::{print_anew, rewrite_unchecked};
pub use rewrite::{rewrite, rewrite_as_sops};
pub use write::{Scalar, render};

use crate::format::SyntaxError;
use crate::secret::Secret;
use crate::tree::Map;

/// Reads one document. A byte order mark is skipped; an empty document is an empty map.
///
/// # Errors
/// At the first character that breaks a rule, with its position.
pub fn parse(text: &str) -> Result<Map, SyntaxError> {
    parse::Parser::new(text)?.document()
}

/// Blanks per level of a text that was read as `documents`.
#[must_use]
pub fn step_of(documents: &[Map]) -> usize {
    documents.first().map_or(4, edit::step)
}

/// Puts `lines`, each with its line feed, at the end of every document of `text`, with the line breaks
/// of `text`.
#[must_use]
pub fn append_lines(text: &Secret, lines: &Secret) -> Secret {
    append::append_lines(text, lines)
}
