//! What an opened file gives: its values, and the plaintext file.

use super::open::{MacFault, Sealed};
use super::walk::{Outcome, Place, Visitor, walk};
use crate::crypto::DataKey;
use crate::format::yaml::{Editor, Scalar};
use crate::secret::Secret;
use crate::tree::{Comment, Leaf, Map, Path, Position};

/// A file with what it holds in clear. Exists only where every value was decrypted and, unless it
/// came out of a [`Partly`], the MAC was right.
#[derive(Debug, Clone)]
pub struct Opened {
    pub(super) sealed: Sealed,
    pub(super) key: DataKey,
    pub(super) tree: Map,
}

impl Opened {
    /// The plaintext values in file order; `sealed` are those that were ciphertext.
    #[must_use]
    pub fn tree(&self) -> &Map {
        &self.tree
    }

    /// The file as it was read.
    #[must_use]
    pub fn sealed(&self) -> &Sealed {
        &self.sealed
    }

    /// The data key that opened it.
    #[must_use]
    pub fn key(&self) -> &DataKey {
        &self.key
    }

    /// The plaintext file: formatting and comments as in the sealed one, without the `sops` block.
    #[must_use]
    pub fn text(&self) -> Secret {
        let source = self.sealed.text.expose_text().unwrap_or_default();
        let mut visitor = Unseal {
            source,
            editor: Editor::new(source, &self.sealed.tree),
        };
        visitor.editor.remove_lines(&self.sealed.block);
        let Ok(()) = walk(
            &mut self.tree.clone(),
            &self.sealed.metadata.rule,
            &mut visitor,
        );
        visitor.editor.finish()
    }
}

/// Puts decrypted values and comments into the text.
struct Unseal<'a> {
    source: &'a str,
    editor: Editor<'a>,
}

impl Visitor for Unseal<'_> {
    type Error = std::convert::Infallible;

    fn value(&mut self, leaf: &mut Leaf, place: &Place) -> Result<Outcome, Self::Error> {
        if leaf.sealed {
            let text = leaf.text.expose_text().unwrap_or_default();
            let scalar = Scalar {
                kind: leaf.kind,
                text,
                style: leaf.style,
            };
            self.editor.replace_leaf(leaf, place.site, &scalar);
        }
        Ok(Outcome::Value)
    }

    fn comment(&mut self, comment: &mut Comment, place: &Place) -> Result<(), Self::Error> {
        let text = comment.text.expose_text().unwrap_or_default();
        let written = &self.source[comment.span.start..comment.span.end];
        if !written.starts_with('#') {
            self.editor.item_to_comment(comment.span, place.site, text);
        } else if &written[1..] != text {
            self.editor.replace_comment(comment, text);
        }
        Ok(())
    }
}

/// A file in which plaintext may stand among ciphertext.
#[derive(Debug, Clone)]
pub struct Partly {
    /// The file as far as it could be opened; plaintext leaves are in its tree as they stand.
    pub opened: Opened,
    /// Values in clear where the rule wants ciphertext, with their places.
    pub plain: Vec<(Path, Position)>,
    /// Whether the MAC fits the file without them. Where a typed value took the place of a sealed one it
    /// cannot.
    pub mac: Result<(), MacFault>,
}
