//! A tree from anywhere, printed byte for byte as SOPS prints it: block style, comments where it puts them,
//! quotes where it needs them.
//!
//! Two things are printed otherwise, because SOPS loses them: a text of several lines that begins with a
//! tab (SOPS prints `null`) is in double quotes, and `-0.0` keeps its point. A block text that needs its
//! indentation told is told the right one. Knows nothing of what was read before.

mod place;
mod printer;
pub(super) mod style;

pub(super) use place::placed;

use self::printer::Printer;
use crate::secret::Secret;
use crate::tree::{Map, MapItem, Node};

/// Blanks per level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indent(usize);

impl Indent {
    /// What a wish for `columns` blanks becomes: 0 is the default of 4, 2 to 9 are taken, everything else
    /// becomes 2.
    ///
    /// # Errors
    /// For a negative number.
    pub fn of(columns: i64) -> Result<Self, EmitError> {
        match columns {
            ..0 => Err(EmitError::NegativeIndent),
            0 => Ok(Self::default()),
            2..=9 => Ok(Self(usize::try_from(columns).unwrap_or(2))),
            _ => Ok(Self(2)),
        }
    }
}

impl Default for Indent {
    fn default() -> Self {
        Self(4)
    }
}

/// A tree that cannot be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// The indentation is below nothing.
    #[error("a negative indentation is not accepted")]
    NegativeIndent,
    /// A comment holds bytes that are not UTF-8.
    #[error("a comment is not UTF-8")]
    CommentNotText,
}

/// Prints `documents`, each as SOPS 3.13 prints it, with `---` between them. Text that is not UTF-8 becomes
/// `!!binary`.
///
/// # Errors
/// When a comment is not UTF-8.
pub fn emit(documents: &[Map], indent: Indent) -> Result<Secret, EmitError> {
    let mut printer = Printer::new(indent.0, size(documents));
    for document in documents {
        printer.document(document)?;
    }
    Ok(printer.finish().0)
}

/// About as many bytes as will be printed, so that the text need not move while it grows.
fn size(documents: &[Map]) -> usize {
    let mut size = 64;
    let mut next: Vec<&Node> = Vec::new();
    let of_item = |item: &MapItem| match item {
        MapItem::Comment(comment) => comment.text.len() + 64,
        MapItem::Entry(entry) => entry.key.len() + 64,
    };
    for document in documents {
        size += document.items.iter().map(of_item).sum::<usize>();
        next.extend(document.entries().map(|entry| &entry.value));
    }
    while let Some(node) = next.pop() {
        match node {
            Node::Leaf(leaf) => size += leaf.text.len() + leaf.text.len() / 8 + 8,
            Node::Map(map) => {
                size += map.items.iter().map(of_item).sum::<usize>();
                next.extend(map.entries().map(|entry| &entry.value));
            }
            Node::List(list) => {
                size += list.items.len() * 32;
                next.extend(list.nodes());
            }
        }
    }
    size
}

#[cfg(test)]
mod tests;
