//! JSON, read with spans and without recursion, printed as SOPS prints it, and changed by splicing.
//!
//! The reader takes what the JSON decoder of Go takes: any text behind the root is ignored, keys may be
//! empty or stand twice, and what is no text (invalid UTF-8, half a surrogate pair) becomes U+FFFD.

mod print;
mod read;
mod rewrite;

use super::{EmitError, Layout, SyntaxError};
use crate::secret::Secret;
use crate::tree::Map;

/// Most maps and lists in each other, the root included: as many as may be walked through by recursion on
/// a small stack. SOPS takes 10,000.
pub const DEPTH: usize = 500;

/// Reads a text whose root is an object. Whole numbers outside of 64 bits are floats.
///
/// # Errors
/// At the first byte that breaks the grammar, for another root, for nesting deeper than [`DEPTH`], and
/// for a number that no float holds.
pub fn parse(text: &Secret) -> Result<Map, SyntaxError> {
    read::document(text)
}

/// Prints the first of `documents` with one member per line; comments are left out, as JSON has none.
///
/// # Errors
/// For an infinity or not-a-number, for nesting deeper than [`DEPTH`], and for an indentation below -1.
pub fn emit(documents: &[Map], layout: Layout) -> Result<Secret, EmitError> {
    print::document(documents.first(), layout)
}

/// Changes `source`, which was read as `before`, to hold `after`; see [`super::rewrite`].
///
/// # Errors
/// As with [`emit`], for what is new.
pub fn rewrite(
    source: &[u8],
    before: &Map,
    after: &Map,
    layout: Layout,
) -> Result<Secret, EmitError> {
    rewrite::document(source, before, after, layout)
}

#[cfg(test)]
mod tests;
