//! What is done to each value and comment of a sealed file: recognising ciphertext, finding plaintext
//! that should be none, decrypting.

use super::open::{OpenError, is_void};
use super::source::Dialect;
use super::typed::Plain;
use super::walk::{Outcome, Place, Visitor};
use crate::crypto::mac::Mac;
use crate::crypto::value::{self, Cipher, ValueError, ValueType};
use crate::format::Format;
use crate::secret::Secret;
use crate::tree::{Comment, Kind, Leaf, Path, Position};

/// Whether the text of `leaf` is ciphertext.
fn is_ciphertext(leaf: &Leaf) -> bool {
    leaf.kind == Kind::Text && leaf.text.expose_text().is_some_and(value::is_encrypted)
}

/// Whether `text` can be a comment in `format`: one that would end its line, and so bring in lines of its
/// own, cannot. In INI one comment has several lines, and YAML has more line breaks, and no control
/// characters.
fn is_comment_text(format: Format, text: &Secret) -> bool {
    text.expose_text().is_some_and(|text| match format {
        Format::Ini => !text.contains('\r'),
        Format::Yaml => {
            let is_special = |each: char| matches!(each, '\u{2028}' | '\u{2029}');
            !text.contains(|each: char| (each.is_control() && each != '\t') || is_special(each))
        }
        _ => !text.contains('\n'),
    })
}

/// Marks what is ciphertext.
pub(super) struct Recognise;

impl Visitor for Recognise {
    type Error = std::convert::Infallible;

    fn value(&mut self, leaf: &mut Leaf, place: &Place<'_>) -> Result<Outcome, Self::Error> {
        leaf.sealed = place.selected && is_ciphertext(leaf);
        Ok(Outcome::Value)
    }

    fn comment(&mut self, _: &mut Comment, _: &Place) -> Result<Option<Secret>, Self::Error> {
        Ok(None)
    }
}

/// Finds what is plaintext and should not be.
#[derive(Default)]
pub(super) struct FindPlain {
    pub(super) values: Vec<(Path, Position)>,
    pub(super) comments: Vec<Position>,
}

impl Visitor for FindPlain {
    type Error = std::convert::Infallible;

    fn value(&mut self, leaf: &mut Leaf, place: &Place<'_>) -> Result<Outcome, Self::Error> {
        if place.selected && !leaf.sealed && !is_void(leaf) {
            self.values.push((place.path(), leaf.position));
        }
        Ok(Outcome::Value)
    }

    /// Ciphertext that does not decrypt is no plaintext.
    fn comment(
        &mut self,
        comment: &mut Comment,
        place: &Place<'_>,
    ) -> Result<Option<Secret>, Self::Error> {
        let text = comment.text.expose_text().unwrap_or("?");
        if place.selected && !text.trim().is_empty() && !value::is_encrypted(text) {
            self.comments.push(comment.position);
        }
        Ok(None)
    }
}

/// Decrypts values and comments, and gathers the MAC.
pub(super) struct Decrypt {
    pub(super) format: Format,
    pub(super) dialect: Dialect,
    pub(super) cipher: Cipher,
    pub(super) mac: Mac,
    /// Values in clear where the rule wants ciphertext.
    pub(super) plain: Vec<(Path, Position)>,
    /// Comments that the rule wants encrypted and that do not decrypt.
    pub(super) plain_comments: Vec<Position>,
}

impl Decrypt {
    fn decrypt(&mut self, leaf: &mut Leaf, place: &Place<'_>) -> Result<Outcome, ValueError> {
        let text = leaf.text.expose_text().ok_or(ValueError::NotEncrypted)?;
        let (bytes, kind) = self.cipher.decrypt(text, place.aad)?;
        if kind == ValueType::Comment && place.home.is_list && is_comment_text(self.format, &bytes)
        {
            return Ok(Outcome::Comment(bytes));
        }
        if kind == ValueType::Comment && self.dialect == Dialect::Sops {
            // Comments are not authenticated, wherever they stand.
            (leaf.kind, leaf.text) = (Kind::Text, bytes);
            return Ok(Outcome::Value);
        }
        let (kind, text, normal) = Plain::read(kind, bytes)?;
        if self.dialect == Dialect::Environment && text.expose_text().is_none() {
            return Err(ValueError::NotText);
        }
        self.mac
            .add_encrypted(normal.as_ref().unwrap_or(&text).expose());
        (leaf.kind, leaf.text) = (kind, text);
        Ok(Outcome::Value)
    }
}

impl Visitor for Decrypt {
    type Error = OpenError;

    fn value(&mut self, leaf: &mut Leaf, place: &Place<'_>) -> Result<Outcome, OpenError> {
        if !place.selected {
            if let Some(plain) = Plain::of_leaf(leaf) {
                self.mac.add_clear(plain.bytes.expose());
            }
            return Ok(Outcome::Value);
        }
        if leaf.sealed {
            let position = leaf.position;
            let wrong = |fault| OpenError::Value {
                path: place.path(),
                position,
                fault,
            };
            return self.decrypt(leaf, place).map_err(wrong);
        }
        if !is_void(leaf) {
            self.plain.push((place.path(), leaf.position));
        }
        Ok(Outcome::Value)
    }

    /// A comment that does not decrypt stays as it is, as in SOPS: comments are not authenticated.
    fn comment(
        &mut self,
        comment: &mut Comment,
        place: &Place<'_>,
    ) -> Result<Option<Secret>, OpenError> {
        let text = comment.text.expose_text().filter(|_| place.selected);
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
            return Ok(None);
        };
        let decrypted = self.cipher.decrypt(text, place.comment_aad()).ok();
        match decrypted.filter(|(text, _)| is_comment_text(self.format, text)) {
            Some((text, _)) => comment.text = text,
            None => self.plain_comments.push(comment.position),
        }
        Ok(None)
    }
}
