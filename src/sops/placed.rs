//! Comments that are read back at another place than they were sealed for, and so would not decrypt, or
//! stand there in clear: they are sealed anew for where they stand. SOPS authenticates no comment, so
//! nothing else changes by that. Knows neither how a text is written nor the `sops` block.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::open::Sealed;
use super::walk::{Outcome, Place, Visitor, walk};
use crate::crypto::DataKey;
use crate::crypto::random::NoRandomness;
use crate::crypto::value::{self, Cipher, ValueType};
use crate::format::{Format, Splice};
use crate::secret::Secret;
use crate::tree::{Comment, Leaf, Span};

/// What the comments of a file hold, by a number that stands for their ciphertext.
#[derive(Default)]
pub(super) struct SealedComments(Vec<(u64, Secret)>);

impl SealedComments {
    /// Notes that `plain` was written as `ciphertext`.
    pub(super) fn add(&mut self, ciphertext: &Secret, plain: &Secret) {
        // A copy, since a part would hold the whole file.
        let plain = Secret::new(plain.expose().to_vec());
        self.0.push((number(ciphertext.expose()), plain));
    }
}

fn number(ciphertext: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    ciphertext.hash(&mut hasher);
    hasher.finish()
}

/// How the comments of a text stand.
#[derive(Default)]
pub(super) struct Placed {
    /// The text with each comment sealed for where it is read; `None` when each of them is.
    pub(super) text: Option<Secret>,
    /// Sealed comments that are read where the rule wants none: nobody decrypts them there, and in clear
    /// they may not stand.
    pub(super) stranded: usize,
}

/// Looks at the comments of `sealed`, which were sealed as `comments`.
///
/// Only in YAML does it depend on the lines around a comment where it belongs.
pub(super) fn placed(
    sealed: &mut Sealed,
    key: &DataKey,
    comments: &SealedComments,
) -> Result<Placed, NoRandomness> {
    if sealed.format != Format::Yaml {
        return Ok(Placed::default());
    }
    let source = sealed.text.clone();
    let mut placing = Placing {
        source: &source,
        cipher: Cipher::new(key),
        comments,
        by_number: None,
        splice: Splice::default(),
        changed: false,
        stranded: 0,
    };
    walk(&mut sealed.documents, &sealed.metadata.rule, &mut placing)?;
    let Placing {
        splice,
        changed,
        stranded,
        ..
    } = placing;
    let text = changed.then(|| splice.apply(source.expose()));
    Ok(Placed { text, stranded })
}

struct Placing<'a> {
    source: &'a Secret,
    cipher: Cipher,
    comments: &'a SealedComments,
    /// Made when the first comment does not decrypt.
    by_number: Option<HashMap<u64, &'a Secret>>,
    splice: Splice<'static>,
    changed: bool,
    stranded: usize,
}

impl Placing<'_> {
    /// What was sealed as `ciphertext`, if it is one of the comments.
    fn sealed_as(&mut self, ciphertext: &Secret) -> Option<&Secret> {
        let comments = self.comments;
        let by_number = self.by_number.get_or_insert_with(|| {
            comments
                .0
                .iter()
                .map(|(number, of)| (*number, of))
                .collect()
        });
        by_number.get(&number(ciphertext.expose())).copied()
    }

    /// What `text` has to become under `aad`, if it cannot stay.
    fn anew(&mut self, text: &Secret, aad: &str) -> Result<Option<Secret>, NoRandomness> {
        let decrypts = |text: &str| self.cipher.decrypt(text, aad).is_ok();
        if text.is_empty() || text.expose_text().is_some_and(decrypts) {
            return Ok(None);
        }
        let is_ciphertext = text.expose_text().is_some_and(value::is_encrypted);
        let plain = match self.sealed_as(text) {
            Some(plain) => plain.clone(),
            // Of an unknown key, or altered: sealed once more, it would be lost for those who can read it.
            None if is_ciphertext => return Ok(None),
            None => text.clone(),
        };
        let ciphertext = self
            .cipher
            .encrypt(plain.expose(), aad, ValueType::Comment)?;
        self.changed = true;
        Ok(Some(Secret::from(ciphertext)))
    }

    fn put(&mut self, span: Span, around: [&str; 2], text: &Secret) {
        let text = text.expose_text().unwrap_or_default();
        let text = [around[0], text, around[1]].concat();
        self.splice.replace(span, Secret::from(text));
    }
}

impl Visitor for Placing<'_> {
    type Error = NoRandomness;

    /// A comment that stands as an item.
    fn value(&mut self, leaf: &mut Leaf, place: &Place<'_>) -> Result<Outcome, NoRandomness> {
        let text = leaf.text.expose_text().filter(|_| leaf.sealed);
        if text.and_then(value::type_of) == Some(ValueType::Comment)
            && place.home.is_list
            && let Some(anew) = self.anew(&leaf.text, place.aad)?
        {
            let quote = match self.source.expose().get(leaf.span.start) {
                Some(b'"') => "\"",
                Some(b'\'') => "'",
                _ => "",
            };
            self.put(leaf.span, [quote, quote], &anew);
        }
        Ok(Outcome::Value)
    }

    fn comment(
        &mut self,
        comment: &mut Comment,
        place: &Place<'_>,
    ) -> Result<Option<Secret>, NoRandomness> {
        if !place.selected {
            let is_stranded = self.sealed_as(&comment.text).is_some();
            self.stranded += usize::from(is_stranded);
        } else if let Some(anew) = self.anew(&comment.text, place.comment_aad())? {
            self.put(comment.span, ["#", ""], &anew);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
