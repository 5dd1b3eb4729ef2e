//! From plaintext to a sealed file: anew with a new data key, or against the opened one so that
//! everything untouched keeps its bytes.

use std::collections::HashMap;

use jiff::Timestamp;

use super::METADATA_KEY;
use super::block::{NewBlock, replace_entry, text_node};
use super::open::{OpenError, ReadError, Sealed, is_void, metadata_map, parse_text};
use super::opened::Opened;
use super::rule::Rule;
use super::typed::Plain;
use super::walk::{Outcome, Place, Visitor, walk};
use crate::clock::rfc3339;
use crate::crypto::mac::{Coverage, Mac};
use crate::crypto::random::NoRandomness;
use crate::crypto::value::{Cipher, ValueType};
use crate::crypto::{DataKey, Recipient, WrapError, wrap};
use crate::format::yaml::{Editor, Scalar};
use crate::format::{Format, SyntaxError};
use crate::secret::Secret;
use crate::tree::{Comment, Kind, Layout, Leaf, Map, Node, Path, Position, Span, Style};

/// A text could not be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not UTF-8.
    #[error("the text is not UTF-8")]
    NotText,
    /// Not valid in its format.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// The plaintext has a `sops` block already.
    #[error("line {}: the text has a sops block; it is sealed already", position.line)]
    SealedAlready {
        /// Where the block begins.
        position: Position,
    },
    /// Nobody could open the result.
    #[error("no recipient is given")]
    NoRecipient,
    /// The `sops` block is written in braces, where no field can be added without touching others.
    #[error("the sops block is in flow style; write it in block style")]
    FlowMetadata,
    /// The operating system gives no random bytes.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The data key could not be wrapped.
    #[error(transparent)]
    Wrap(#[from] WrapError),
    /// What was written does not read back as a sealed file. A bug; nothing was written.
    #[error("the sealed text does not read back: {0}")]
    Unreadable(#[from] ReadError),
    /// What was written does not open. A bug; nothing was written.
    #[error("the sealed text does not open again: {0}")]
    Unopenable(#[from] OpenError),
    /// What was written opens to something else. A bug; nothing was written.
    #[error("the sealed text opens to other values than it was made from")]
    Unfaithful,
}

/// A sealed text that was opened again and found to hold what it was made from.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The sealed file.
    pub sealed: Sealed,
    /// Its data key.
    pub key: DataKey,
}

/// Seals `plain` with a new data key for `recipients`: the values that `rule` selects are encrypted
/// where they stand, and a `sops` block is put at the end.
///
/// # Errors
/// When `plain` is not valid in its format or sealed already, or there is no recipient.
pub fn seal(
    format: Format,
    plain: &Secret,
    recipients: &[Recipient],
    rule: &Rule,
    now: Timestamp,
) -> Result<Draft, SealError> {
    if recipients.is_empty() {
        return Err(SealError::NoRecipient);
    }
    let (source, tree) = read_plain(format, plain)?;
    let key = DataKey::generate()?;
    let wrapped =
        |recipient: &Recipient| Ok((recipient.to_string(), wrap(key.secret(), recipient)?));
    let keys = recipients
        .iter()
        .map(wrapped)
        .collect::<Result<_, WrapError>>()?;
    let mut sealing = Encrypt::new(source, &tree, &key, Coverage::All, Former::default());
    walk(&mut tree.clone(), rule, &mut sealing)?;
    let last_modified = rfc3339(now);
    let mac = sealing.finish_mac(&last_modified)?;
    let block = NewBlock {
        keys,
        rule,
        last_modified: &last_modified,
        mac: &mac,
    };
    let step = sealing.editor.step();
    sealing.editor.append_lines(&block.render(step));
    verified(format, &sealing.editor.finish(), key, &tree)
}

impl Opened {
    /// Seals `plain`, a changed version of [`Self::text`], with the same data key: values that are the
    /// same at the same path keep their ciphertext, so that only what was touched differs, and the MAC
    /// and the date.
    ///
    /// # Errors
    /// When `plain` is not valid in its format or has a `sops` block.
    pub fn reseal(&self, plain: &Secret, now: Timestamp) -> Result<Draft, SealError> {
        let format = self.sealed.format;
        let (source, tree) = read_plain(format, plain)?;
        let metadata = &self.sealed.metadata;
        let former = Former::of(self);
        let mut sealing = Encrypt::new(source, &tree, &self.key, metadata.coverage, former);
        walk(&mut tree.clone(), &metadata.rule, &mut sealing)?;
        let last_modified = rfc3339(now);
        let mac = sealing.finish_mac(&last_modified)?;
        sealing.editor.append_lines(&self.block_lines());
        let sealed = Sealed::parse(format, &sealing.editor.finish())?;
        let text = with_fields(sealed, &mac, &last_modified)?;
        verified(format, &text, self.key.clone(), &tree)
    }

    /// The lines of the `sops` block as they stand in the file, each with a plain line feed.
    fn block_lines(&self) -> Secret {
        let source = self.sealed.text.expose_text().unwrap_or_default();
        let Span { start, end } = self.sealed.block.span;
        let start = source[..start].rfind('\n').map_or(0, |place| place + 1);
        let end = source[end..]
            .find('\n')
            .map_or(source.len(), |length| end + length);
        let lines = source[start..end].trim_end_matches('\r');
        Secret::from(format!("{}\n", lines.replace("\r\n", "\n")))
    }
}

/// Sets MAC and date, each in the place and style of the former one.
fn with_fields(mut sealed: Sealed, mac: &str, last_modified: &str) -> Result<Secret, SealError> {
    for (name, text) in [("mac", mac), ("lastmodified", last_modified)] {
        let former = metadata_map(&sealed.block).and_then(|map| map.find(name).zip(Some(map)));
        let new = match former.map(|(entry, map)| (&entry.value, map)) {
            Some((Node::Leaf(leaf), map)) => {
                let source = sealed.text.expose_text().unwrap_or_default();
                let mut editor = Editor::new(source, &sealed.tree);
                let site = crate::format::yaml::Site::in_map(map);
                let scalar = Scalar {
                    kind: Kind::Text,
                    text,
                    style: leaf.style,
                };
                editor.replace_leaf(leaf, site, &scalar);
                editor.finish()
            }
            _ => replace_entry(&sealed, name, text_node(text))?,
        };
        sealed = Sealed::parse(sealed.format, &new)?;
    }
    Ok(sealed.text)
}

fn read_plain(format: Format, plain: &Secret) -> Result<(&str, Map), SealError> {
    let source = plain.expose_text().ok_or(SealError::NotText)?;
    let tree = parse_text(format, source)?;
    match tree.find(METADATA_KEY) {
        Some(block) => Err(SealError::SealedAlready {
            position: block.position,
        }),
        None => Ok((source, tree)),
    }
}

/// Opens what is about to be written and compares it with what it was made from.
fn verified(format: Format, text: &Secret, key: DataKey, plain: &Map) -> Result<Draft, SealError> {
    let sealed = Sealed::parse(format, text)?;
    let opened = sealed.clone().open(&key)?;
    if values(&opened.tree) != values(plain) {
        return Err(SealError::Unfaithful);
    }
    Ok(Draft { sealed, key })
}

/// All values of a tree with their paths, in file order.
fn values(tree: &Map) -> Vec<(Path, Option<Plain>)> {
    let mut visitor = Collect(Vec::new());
    let Ok(()) = walk(&mut tree.clone(), &Rule::fallback(), &mut visitor);
    visitor.0
}

struct Collect(Vec<(Path, Option<Plain>)>);

impl Visitor for Collect {
    type Error = std::convert::Infallible;

    fn value(&mut self, leaf: &mut Leaf, place: &Place) -> Result<Outcome, Self::Error> {
        self.0.push((place.path.clone(), Plain::of_leaf(leaf)));
        Ok(Outcome::Value)
    }

    fn comment(&mut self, _: &mut Comment, _: &Place) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// The ciphertexts of the opened file, by what they stand for.
#[derive(Default)]
struct Former<'a> {
    values: HashMap<Path, FormerValue<'a>>,
    /// By the additional data, since a comment has no key: text and how it stands in the file.
    comments: HashMap<String, Vec<(Secret, &'a str)>>,
    source: &'a str,
}

struct FormerValue<'a> {
    plain: Plain,
    style: Style,
    layout: Layout,
    /// The ciphertext as it stands in the file, with its quotes.
    written: &'a str,
}

impl<'a> Former<'a> {
    fn of(opened: &'a Opened) -> Self {
        let source = opened.sealed.text.expose_text().unwrap_or_default();
        let mut former = Self {
            source,
            ..Self::default()
        };
        let Ok(()) = walk(
            &mut opened.tree.clone(),
            &opened.sealed.metadata.rule,
            &mut former,
        );
        former
    }

    fn written(&self, span: Span) -> &'a str {
        &self.source[span.start..span.end]
    }

    /// How the comment `text` was written, once.
    fn take_comment(&mut self, aad: &str, text: &Secret) -> Option<&'a str> {
        let comments = self.comments.get_mut(aad)?;
        let place = comments.iter().position(|(former, _)| former == text)?;
        Some(comments.remove(place).1)
    }
}

impl Visitor for Former<'_> {
    type Error = std::convert::Infallible;

    fn value(&mut self, leaf: &mut Leaf, place: &Place) -> Result<Outcome, Self::Error> {
        if let (true, Some(plain)) = (leaf.sealed, Plain::of_leaf(leaf)) {
            let written = self.written(leaf.span);
            let former = FormerValue {
                plain,
                style: leaf.style,
                layout: place.site.layout,
                written,
            };
            self.values.insert(place.path.clone(), former);
        }
        Ok(Outcome::Value)
    }

    fn comment(&mut self, comment: &mut Comment, place: &Place) -> Result<(), Self::Error> {
        let written = self.written(comment.span);
        let is_sealed = comment.text.expose_text() != written.strip_prefix('#');
        if place.selected && is_sealed {
            let comments = self.comments.entry(place.aad.clone()).or_default();
            comments.push((comment.text.clone(), written));
        }
        Ok(())
    }
}

/// Encrypts values and comments where they stand, and gathers the MAC.
struct Encrypt<'a> {
    cipher: Cipher,
    mac: Mac,
    editor: Editor<'a>,
    former: Former<'a>,
}

impl<'a> Encrypt<'a> {
    fn new(
        source: &'a str,
        tree: &Map,
        key: &DataKey,
        coverage: Coverage,
        former: Former<'a>,
    ) -> Self {
        let editor = Editor::new(source, tree);
        Self {
            cipher: Cipher::new(key),
            mac: Mac::new(coverage),
            editor,
            former,
        }
    }

    fn finish_mac(&mut self, last_modified: &str) -> Result<String, NoRandomness> {
        let digest = self.mac.clone().finish();
        self.cipher
            .encrypt(digest.expose(), last_modified, ValueType::Str)
    }

    /// Writes a clear block text anew that ends with the file and without a line break: what is put
    /// behind it would give it one.
    fn close_block(&mut self, leaf: &Leaf, place: &Place) {
        let block = matches!(leaf.style, Style::Literal | Style::Folded);
        let text = leaf.text.expose_text().unwrap_or_default();
        if block && self.editor.ends_at(leaf.span.end) && !text.ends_with('\n') {
            let scalar = Scalar {
                kind: Kind::Text,
                text,
                style: leaf.style,
            };
            self.editor.replace_leaf(leaf, place.site, &scalar);
        }
    }

    fn seal_value(
        &mut self,
        leaf: &Leaf,
        plain: &Plain,
        place: &Place,
    ) -> Result<(), NoRandomness> {
        let former = self.former.values.get(&place.path);
        let unchanged = former.filter(|former| former.plain == *plain);
        let verbatim = |former: &&FormerValue<'_>| {
            former.layout == place.site.layout && !former.written.contains('\n')
        };
        if let Some(former) = unchanged.filter(verbatim) {
            self.editor.replace_leaf_verbatim(leaf, former.written);
            return Ok(());
        }
        let style = match former.map_or(leaf.style, |former| former.style) {
            quoted @ (Style::SingleQuoted | Style::DoubleQuoted) => quoted,
            Style::Plain | Style::Literal | Style::Folded => Style::Plain,
        };
        let text = self
            .cipher
            .encrypt(plain.bytes.expose(), &place.aad, plain.kind)?;
        let scalar = Scalar {
            kind: Kind::Text,
            text: &text,
            style,
        };
        self.editor.replace_leaf(leaf, place.site, &scalar);
        Ok(())
    }
}

impl Visitor for Encrypt<'_> {
    type Error = NoRandomness;

    fn value(&mut self, leaf: &mut Leaf, place: &Place) -> Result<Outcome, NoRandomness> {
        let Some(plain) = Plain::of_leaf(leaf) else {
            return Ok(Outcome::Value);
        };
        if !place.selected {
            self.mac.add_clear(plain.bytes.expose());
            self.close_block(leaf, place);
        } else if !is_void(leaf) {
            self.mac.add_encrypted(plain.bytes.expose());
            self.seal_value(leaf, &plain, place)?;
        }
        Ok(Outcome::Value)
    }

    /// In a list, SOPS writes a sealed comment as an item. So do we where it has a line of its own at
    /// the column of the dashes; elsewhere it stays a comment, which SOPS reads as well.
    fn comment(&mut self, comment: &mut Comment, place: &Place) -> Result<(), NoRandomness> {
        if !place.selected || comment.text.is_empty() {
            return Ok(());
        }
        let former = self.former.take_comment(&place.aad, &comment.text);
        let column = comment.position.column.saturating_sub(1) as usize;
        let as_item = place.in_list
            && place.site.layout == Layout::Block
            && !comment.trailing
            && column == place.site.column
            && former.is_none_or(|written| !written.starts_with('#'));
        let fresh = || {
            self.cipher.encrypt(
                comment.text.expose(),
                place.comment_aad(),
                ValueType::Comment,
            )
        };
        match former.map(|written| written.strip_prefix('#').unwrap_or(written)) {
            Some(written) if as_item => self.editor.comment_to_item(comment, written),
            Some(written) => self.editor.replace_comment(comment, written),
            None if as_item => {
                let text = fresh()?;
                self.editor.comment_to_item(comment, &text);
            }
            None => {
                let text = fresh()?;
                self.editor.replace_comment(comment, &text);
            }
        }
        Ok(())
    }
}
