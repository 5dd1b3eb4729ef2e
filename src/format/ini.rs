//! INI as SOPS knows it: sections of `key = value`, all values text.
//!
//! Keys in front of the first section belong to the section `DEFAULT`, which is always there. `:` separates
//! like `=`; quotes of four kinds, lines continued by a backslash, and comments behind values are read. A
//! comment belongs to the key or section below it and stands behind that key in the tree (at the front of
//! its section, for a section), which is the order in which SOPS selects.

mod print;
mod read;

use super::{EmitError, SyntaxError};
use crate::secret::Secret;
use crate::tree::Map;

/// The section of keys in front of the first.
pub const DEFAULT: &str = "DEFAULT";

/// Reads a text: sections of one name stay apart, of keys that stand twice the last value counts. A byte
/// order mark is dropped. Comments at the end are added to those of the last key.
///
/// # Errors
/// For a line that is neither section nor comment nor has a separator, for empty names, for quotes that do
/// not end, for keys and sections that are not UTF-8, and for the key `-`, which stands for a counter.
pub fn parse(text: &[u8]) -> Result<Map, SyntaxError> {
    read::document(text)
}

/// Prints the sections of all `documents`. Where SOPS would print a key or value that reads back as
/// something else, other quotes are used.
///
/// # Errors
/// For a value outside of a section, for maps and lists in one, and for keys and values that no quotes can
/// hold.
pub fn emit(documents: &[Map]) -> Result<Secret, EmitError> {
    print::documents(documents)
}

#[cfg(test)]
mod tests;
