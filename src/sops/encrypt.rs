//! Encrypting values and comments where they stand, with the ciphertext that was there before where the
//! value is the same.

use std::collections::HashMap;

use jiff::Timestamp;

use super::block::{FieldChange, text_node};
use super::open::is_void;
use super::opened::Opened;
use super::source::Dialect;
use super::typed::Plain;
use super::walk::{Outcome, Place, Visitor, walk};
use crate::clock::rfc3339;
use crate::crypto::DataKey;
use crate::crypto::mac::{Coverage, Mac};
use crate::crypto::random::NoRandomness;
use crate::crypto::value::{Cipher, ValueType};
use crate::secret::Secret;
use crate::tree::{Comment, Kind, Layout, Leaf, Path, Style};

/// The ciphertexts of the opened file, by what they stand for.
#[derive(Default)]
pub(super) struct Former {
    values: HashMap<(usize, Path), FormerValue>,
    /// By the additional data, since a comment has no key.
    comments: HashMap<String, Vec<FormerComment>>,
}

struct FormerValue {
    plain: Plain,
    style: Style,
    ciphertext: Secret,
}

struct FormerComment {
    text: Secret,
    ciphertext: Secret,
    /// Whether it stands as an item of a list.
    is_item: bool,
    /// Where it begins in the sealed file.
    at: usize,
}

impl Former {
    /// Leads two walks side by side: over the ciphertexts and over what they hold.
    pub(super) fn of(opened: &Opened) -> Self {
        let rule = &opened.sealed.metadata.rule;
        let mut ciphertexts = Ciphertexts::default();
        let Ok(()) = walk(&mut opened.sealed.documents.clone(), rule, &mut ciphertexts);
        let mut former = FormerWalk {
            former: Self::default(),
            ciphertexts: ciphertexts.0,
        };
        let Ok(()) = walk(&mut opened.documents.clone(), rule, &mut former);
        former.former
    }

    /// How the comment `text` was written, once.
    fn take_comment(&mut self, aad: &str, text: &Secret) -> Option<FormerComment> {
        let comments = self.comments.get_mut(aad)?;
        let place = comments.iter().position(|former| former.text == *text)?;
        Some(comments.remove(place))
    }
}

/// What stands in a sealed file, by where it begins, and whether it is an item or value.
#[derive(Default)]
struct Ciphertexts(HashMap<(usize, usize), (Secret, bool)>);

impl Visitor for Ciphertexts {
    type Error = std::convert::Infallible;

    fn value(&mut self, leaf: &mut Leaf, place: &Place) -> Result<Outcome, Self::Error> {
        if leaf.sealed {
            let key = (place.document, leaf.span.start);
            self.0.insert(key, (leaf.text.clone(), true));
        }
        Ok(Outcome::Value)
    }

    fn comment(
        &mut self,
        comment: &mut Comment,
        place: &Place,
    ) -> Result<Option<Secret>, Self::Error> {
        if place.selected {
            let key = (place.document, comment.span.start);
            self.0.insert(key, (comment.text.clone(), false));
        }
        Ok(None)
    }
}

struct FormerWalk {
    former: Former,
    ciphertexts: HashMap<(usize, usize), (Secret, bool)>,
}

impl Visitor for FormerWalk {
    type Error = std::convert::Infallible;

    fn value(&mut self, leaf: &mut Leaf, place: &Place) -> Result<Outcome, Self::Error> {
        let ciphertext = self.ciphertexts.get(&(place.document, leaf.span.start));
        if let (true, Some(plain), Some((ciphertext, _))) =
            (leaf.sealed, Plain::of_leaf(leaf), ciphertext)
        {
            let former = FormerValue {
                plain,
                style: leaf.style,
                ciphertext: ciphertext.clone(),
            };
            let key = (place.document, place.path.clone());
            self.former.values.insert(key, former);
        }
        Ok(Outcome::Value)
    }

    fn comment(
        &mut self,
        comment: &mut Comment,
        place: &Place,
    ) -> Result<Option<Secret>, Self::Error> {
        let key = (place.document, comment.span.start);
        let ciphertext = self.ciphertexts.get(&key).filter(|_| place.selected);
        let sealed = ciphertext.filter(|(ciphertext, _)| *ciphertext != comment.text);
        if let Some((ciphertext, is_item)) = sealed {
            let former = FormerComment {
                text: comment.text.clone(),
                ciphertext: ciphertext.clone(),
                is_item: *is_item,
                at: comment.span.start,
            };
            let comments = self.former.comments.entry(place.aad.clone());
            comments.or_default().push(former);
        }
        Ok(None)
    }
}

/// Encrypts values and comments where they stand, and gathers the MAC.
pub(super) struct Encrypt<'a> {
    dialect: Dialect,
    source: &'a Secret,
    cipher: Cipher,
    mac: Mac,
    former: Former,
}

impl<'a> Encrypt<'a> {
    /// `source` is the text that the spans of what will be walked over lie in.
    pub(super) fn new(
        dialect: Dialect,
        source: &'a Secret,
        key: &DataKey,
        coverage: Coverage,
        former: Former,
    ) -> Self {
        Self {
            dialect,
            source,
            cipher: Cipher::new(key),
            mac: Mac::new(coverage),
            former,
        }
    }

    pub(super) fn finish_mac(&mut self, last_modified: &str) -> Result<String, NoRandomness> {
        let digest = self.mac.clone().finish();
        self.cipher
            .encrypt(digest.expose(), last_modified, ValueType::Str)
    }

    /// MAC and date as changes of the block.
    pub(super) fn renewal(&mut self, now: Timestamp) -> Result<Vec<FieldChange>, NoRandomness> {
        let last_modified = rfc3339(now);
        let mac = self.finish_mac(&last_modified)?;
        Ok(vec![
            ("mac", Some(text_node(&mac))),
            ("lastmodified", Some(text_node(&last_modified))),
        ])
    }

    /// A block text that ends with the file and without a line break is written anew: what is put behind
    /// it would give it one.
    fn close_block(&self, leaf: &mut Leaf) {
        let is_block = matches!(leaf.style, Style::Literal | Style::Folded);
        let ends_open = !leaf.text.expose().ends_with(b"\n");
        if is_block && ends_open && leaf.span.end == self.source.len() {
            (leaf.position, leaf.span) = <_>::default();
            leaf.style = Style::Plain;
        }
    }

    fn seal_value(
        &self,
        leaf: &mut Leaf,
        plain: &Plain,
        place: &Place,
    ) -> Result<(), NoRandomness> {
        let former = self
            .former
            .values
            .get(&(place.document, place.path.clone()));
        let style = former.map_or(leaf.style, |former| former.style);
        leaf.text = match former.filter(|former| former.plain == *plain) {
            Some(former) => former.ciphertext.clone(),
            None => {
                let bytes = plain.bytes.expose();
                Secret::from(self.cipher.encrypt(bytes, &place.aad, plain.kind)?)
            }
        };
        leaf.kind = Kind::Text;
        leaf.sealed = true;
        leaf.style = match style {
            quoted @ (Style::SingleQuoted | Style::DoubleQuoted) => quoted,
            Style::Plain | Style::Literal | Style::Folded => Style::Plain,
        };
        Ok(())
    }
}

/// Gives a clear number, date or nothing the spelling of SOPS (`0x1F` is 31), which other readers of the
/// sealed file see. The negative zero keeps its point: without it, it would read back as another number.
fn spell(leaf: &mut Leaf, plain: Option<&Plain>) {
    let spelled = match (leaf.kind, plain) {
        (Kind::Null, _) => Secret::from_text("null"),
        (Kind::Int | Kind::Float | Kind::Time, Some(plain)) if plain.bytes.expose() != b"-0" => {
            plain.bytes.clone()
        }
        _ => return,
    };
    if leaf.text != spelled {
        leaf.text = spelled;
    }
}

impl Visitor for Encrypt<'_> {
    type Error = NoRandomness;

    fn value(&mut self, leaf: &mut Leaf, place: &Place) -> Result<Outcome, NoRandomness> {
        let Some(plain) = Plain::of_leaf(leaf) else {
            if self.dialect == Dialect::Sops {
                spell(leaf, None);
            }
            return Ok(Outcome::Value);
        };
        if !place.selected {
            self.mac.add_clear(plain.bytes.expose());
            if self.dialect == Dialect::Sops {
                spell(leaf, Some(&plain));
            }
            self.close_block(leaf);
        } else if !is_void(leaf) {
            self.mac.add_encrypted(plain.bytes.expose());
            self.seal_value(leaf, &plain, place)?;
        }
        Ok(Outcome::Value)
    }

    /// In a list, SOPS writes a sealed comment as an item. So do we where it has a line of its own at
    /// the column of the dashes; elsewhere it stays a comment, which SOPS reads as well.
    fn comment(
        &mut self,
        comment: &mut Comment,
        place: &Place,
    ) -> Result<Option<Secret>, NoRandomness> {
        if !place.selected || comment.text.is_empty() {
            return Ok(None);
        }
        let former = self.former.take_comment(&place.aad, &comment.text);
        let has_line = place.home.layout == Layout::Block && !comment.trailing;
        let at_dash = comment.position.column == place.home.column;
        let as_item = place.home.is_list
            && has_line
            && match &former {
                // Where it was an item, its place is behind the dash.
                Some(former) => former.is_item && (at_dash || former.at == comment.span.start),
                None => at_dash,
            };
        let ciphertext = match former {
            Some(former) => former.ciphertext,
            None => Secret::from(self.cipher.encrypt(
                comment.text.expose(),
                place.comment_aad(),
                ValueType::Comment,
            )?),
        };
        if as_item {
            return Ok(Some(ciphertext));
        }
        comment.text = ciphertext;
        Ok(None)
    }
}
