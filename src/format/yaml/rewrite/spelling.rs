//! How scalars and keys are spelled where SOPS would have written the text.

use super::{Rewriter, flow};
use crate::format::yaml::emit::style;
use crate::format::yaml::write::{self, Wiped};
use crate::tree::{Entry, Kind, Leaf, Span, Style};

/// Length of the longest key that is text and yet a bool to some readers, and then some.
const LONGEST_BOOL: usize = 5;

impl Rewriter<'_> {
    /// Whether SOPS would spell a scalar otherwise than it stands there, or set quotes where it has none.
    pub(super) fn is_spelled_otherwise(&self, leaf: &Leaf) -> bool {
        let written = &self.source[leaf.span.start..leaf.span.end];
        if leaf.style != Style::Plain || written.contains('\n') {
            return false;
        }
        let ready = style::of_leaf(leaf);
        match leaf.kind {
            Kind::Text => ready.style == Style::DoubleQuoted,
            _ => ready.text != written,
        }
    }

    /// Sets quotes around a key that SOPS would not leave without.
    pub(super) fn quote_key(&mut self, entry: &Entry) {
        let start = entry.span.start;
        let end = start + entry.key.len();
        let bare = self.source.get(start..end) == Some(entry.key.as_str());
        if bare && entry.key.len() <= LONGEST_BOOL && style::wants_quotes(&entry.key) {
            let key = write::joined(&["\"", &entry.key, "\""]);
            self.edit.put(Span { start, end }, &[&key]);
        }
    }

    pub(super) fn flow_leaf(&self, leaf: &Leaf) -> Wiped {
        if self.as_sops {
            write::write_as_sops(leaf, flow::FLOW).inline
        } else {
            flow::leaf_text(leaf)
        }
    }
}
