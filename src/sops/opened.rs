//! What an opened file gives: its values, and the plaintext file.

use super::open::{MacFault, Sealed};
use super::source;
use crate::crypto::DataKey;
use crate::format::{EmitError, Format, Layout};
use crate::secret::Secret;
use crate::tree::{Map, Path, Position};

/// A file with what it holds in clear. Exists only where every value was decrypted and, unless it
/// came out of a [`Partly`], the MAC was right.
#[derive(Debug, Clone)]
pub struct Opened {
    pub(super) sealed: Sealed,
    pub(super) key: DataKey,
    pub(super) documents: Vec<Map>,
    pub(super) plain_comments: Vec<Position>,
}

impl Opened {
    /// The plaintext values of the first document in file order; `sealed` are those that were
    /// ciphertext.
    #[must_use]
    pub fn tree(&self) -> &Map {
        &self.documents[0]
    }

    /// All documents of the file, at least one; see [`Self::tree`].
    #[must_use]
    pub fn documents(&self) -> &[Map] {
        &self.documents
    }

    /// Where comments stand that the rule wants encrypted and that do not decrypt: typed in, or altered.
    /// SOPS does not authenticate comments, so such a file opens.
    #[must_use]
    pub fn plain_comments(&self) -> &[Position] {
        &self.plain_comments
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

    /// The plaintext file, without the `sops` block. YAML and JSON keep the formatting and comments of the
    /// sealed file; the other formats are printed as SOPS prints them, and empty where [`Self::emit`] says
    /// why they cannot be.
    #[must_use]
    pub fn text(&self) -> Secret {
        source::plain_text(self.sealed.clone(), &self.documents)
    }

    /// As [`Self::text`], for who needs nothing else of the file: takes less memory.
    #[must_use]
    pub fn into_text(self) -> Secret {
        source::plain_text(self.sealed, &self.documents)
    }

    /// The plaintext as a file of another format, printed as SOPS prints it. Comments and further
    /// documents are lost where `format` has none.
    ///
    /// # Errors
    /// When `format` cannot hold the values.
    pub fn emit(&self, format: Format, layout: Layout) -> Result<Secret, EmitError> {
        crate::format::emit(format, &self.documents, layout)
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
