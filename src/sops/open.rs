//! From a sealed file to an opened one: reading, unwrapping the data key, decrypting, checking the MAC.

use super::METADATA_KEY;
use super::metadata::{Metadata, WrappedKey};
use super::opened::{Opened, Partly};
use super::rule::InvalidRule;
use super::typed::Plain;
use super::walk::{Outcome, Place, Visitor, walk};
use crate::crypto::mac::Mac;
use crate::crypto::value::{self, Cipher, ValueError, ValueType};
use crate::crypto::{DataKey, Identity, UnwrapError, identity, unwrap};
use crate::format::yaml;
use crate::format::{Format, SyntaxError};
use crate::secret::Secret;
use crate::tree::{Comment, Entry, Kind, Leaf, Map, MapItem, Node, Path, Position};

/// A text that is no sealed file. Every error names the place, none shows a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Not UTF-8.
    #[error("the file is not UTF-8 text")]
    NotText,
    /// Not valid in its format.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// It has no `sops` block.
    #[error("the file is not sealed (it has no sops block)")]
    NotSealed,
    /// Its `sops` entry holds something else.
    #[error("line {}: the sops block is not a map", position.line)]
    MetadataNotAMap {
        /// Where the block begins.
        position: Position,
    },
    /// A field of the block is missing or wrong.
    #[error("line {}: sops.{field} is missing or invalid", position.line)]
    Field {
        /// Its name.
        field: &'static str,
        /// Where it stands, or where the block begins.
        position: Position,
    },
    /// No key service is named at all.
    #[error("line {}: the sops block names no recipient", position.line)]
    NoRecipients {
        /// Where the block begins.
        position: Position,
    },
    /// Its selection rule cannot be followed.
    #[error(transparent)]
    Rule(#[from] InvalidRule),
}

/// The data key could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no identity to try.
    #[error("no identity was given; the file is sealed to {}", shorts(recipients))]
    NoIdentity {
        /// Recipients of the file, whole.
        recipients: Vec<String>,
    },
    /// No identity belongs to a recipient.
    #[error(
        "none of the given identities is a recipient; the file is sealed to {}",
        shorts(recipients)
    )]
    NotARecipient {
        /// Recipients of the file, whole.
        recipients: Vec<String>,
    },
    /// The wrapped key of a recipient is damaged, and no other could be opened.
    #[error(
        "the data key wrapped for {} is damaged: {fault}",
        identity::short(recipient)
    )]
    Damaged {
        /// The recipient, whole.
        recipient: String,
        /// What is wrong with it.
        fault: UnwrapError,
    },
    /// The data key is split among key groups.
    #[error("the data key is split among several key groups, which is not supported here")]
    Split,
}

fn shorts(recipients: &[String]) -> String {
    if recipients.is_empty() {
        return "no age recipient".to_owned();
    }
    let shorts: Vec<String> = recipients
        .iter()
        .map(|recipient| identity::short(recipient))
        .collect();
    shorts.join(", ")
}

/// A sealed file could not be opened. Every error names the path of a key, none shows a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A value does not decrypt, or is not what its type says.
    #[error("line {}: {path}: {fault}", position.line)]
    Value {
        /// The value.
        path: Path,
        /// Where it stands.
        position: Position,
        /// What is wrong with it.
        fault: ValueError,
    },
    /// A value stands in clear where the rule wants ciphertext.
    #[error("line {}: {path} is plaintext", position.line)]
    PlainLeaf {
        /// The value.
        path: Path,
        /// Where it stands.
        position: Position,
    },
    /// Every value decrypts, but together they are not what was sealed.
    #[error("{0}")]
    Mac(MacFault),
}

/// What is wrong with the MAC over all values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MacFault {
    /// There is none.
    #[error("the file has no MAC")]
    Missing,
    /// It does not decrypt: the file, its date or the MAC itself was altered.
    #[error("the MAC does not decrypt; it or the date beside it was altered")]
    Damaged,
    /// It belongs to other content: a value was added, removed, moved or changed without sealing.
    #[error("MAC mismatch: the content was changed after it was sealed")]
    Mismatch,
}

/// A sealed file as it was read; nothing is decrypted.
#[derive(Debug, Clone)]
pub struct Sealed {
    pub(super) format: Format,
    pub(super) text: Secret,
    pub(super) tree: Map,
    pub(super) metadata: Metadata,
    /// The entry `sops` with its spans.
    pub(super) block: Entry,
}

impl Sealed {
    /// Reads `text`, which must have a `sops` block. What is not sealed where it should be is found by
    /// [`Self::plain_paths`] and [`Self::open`].
    ///
    /// # Errors
    /// When the text is not valid in its format, or its `sops` block is missing or wrong.
    pub fn parse(format: Format, text: &Secret) -> Result<Self, ReadError> {
        let source = text.expose_text().ok_or(ReadError::NotText)?;
        let mut tree = parse_text(format, source)?;
        let is_block =
            |item: &MapItem| matches!(item, MapItem::Entry(entry) if entry.key == METADATA_KEY);
        let place = tree
            .items
            .iter()
            .position(is_block)
            .ok_or(ReadError::NotSealed)?;
        let MapItem::Entry(block) = tree.items.remove(place) else {
            return Err(ReadError::NotSealed);
        };
        let metadata = Metadata::read(&block)?;
        let Ok(()) = walk(&mut tree, &metadata.rule, &mut Recognise);
        Ok(Self {
            format,
            text: text.clone(),
            tree,
            metadata,
            block,
        })
    }

    /// The values in file order; those that are ciphertext are `sealed`. The `sops` block is not in it.
    #[must_use]
    pub fn tree(&self) -> &Map {
        &self.tree
    }

    /// The `sops` block.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The field `sealctl` of the `sops` block, when there is one.
    #[must_use]
    pub fn seal(&self) -> Option<&Node> {
        self.metadata.seal.as_ref()
    }

    /// The format of the file.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The whole file.
    #[must_use]
    pub fn text(&self) -> &Secret {
        &self.text
    }

    /// The age recipients that the file names, in its order. Not authenticated by SOPS.
    pub fn recipients(&self) -> impl Iterator<Item = &str> {
        self.metadata.age.iter().map(|key| key.recipient.as_str())
    }

    /// Values in clear where the rule wants ciphertext, in file order, and where they stand.
    #[must_use]
    pub fn plain_paths(&self) -> Vec<(Path, Position)> {
        let mut visitor = FindPlain(Vec::new());
        let Ok(()) = walk(&mut self.tree.clone(), &self.metadata.rule, &mut visitor);
        visitor.0
    }

    /// Unwraps the data key with whichever identity fits.
    ///
    /// # Errors
    /// When there is no identity, none of them is a recipient, or the wrapped key is damaged.
    pub fn data_key(&self, identities: &[Identity]) -> Result<DataKey, KeyError> {
        if self.metadata.split {
            return Err(KeyError::Split);
        }
        let recipients = || self.recipients().map(str::to_owned).collect();
        if identities.is_empty() {
            return Err(KeyError::NoIdentity {
                recipients: recipients(),
            });
        }
        let mut damaged = None;
        let mut fault = |key: &WrappedKey, fault| {
            let recipient = key.recipient.clone();
            damaged.get_or_insert(KeyError::Damaged { recipient, fault });
        };
        for key in self.own_first(identities) {
            match unwrap(&key.armored, identities) {
                Ok(Some(secret)) => {
                    let length = secret.len();
                    match DataKey::new(secret) {
                        Some(data_key) => return Ok(data_key),
                        None => fault(key, UnwrapError::WrongLength { length }),
                    }
                }
                Ok(None) => {}
                Err(error) => fault(key, error),
            }
        }
        Err(damaged.unwrap_or_else(|| KeyError::NotARecipient {
            recipients: recipients(),
        }))
    }

    /// The wrapped keys, those for `identities` first. What the file says about a key is not proven, so
    /// none is left out.
    fn own_first(&self, identities: &[Identity]) -> Vec<&WrappedKey> {
        let mut keys: Vec<&WrappedKey> = self.metadata.age.iter().collect();
        // A public key takes as long to compute as a wrapped key takes to be tried.
        if keys.len() > 1 {
            let own: Vec<_> = identities.iter().map(Identity::recipient).collect();
            keys.sort_by_key(|key| !own.iter().any(|own| own.as_str() == key.recipient));
        }
        keys
    }

    /// Decrypts every value and checks the MAC.
    ///
    /// # Errors
    /// When a value does not decrypt, one stands in clear where it should not, or the MAC is wrong.
    pub fn open(self, key: &DataKey) -> Result<Opened, OpenError> {
        let partly = self.open_partly(key)?;
        if let Some((path, position)) = partly.plain.into_iter().next() {
            return Err(OpenError::PlainLeaf { path, position });
        }
        match partly.mac {
            Ok(()) => Ok(partly.opened),
            Err(fault) => Err(OpenError::Mac(fault)),
        }
    }

    /// Decrypts every value that is ciphertext, lists those that stand in clear where they should not,
    /// and says whether the MAC fits the file without them.
    ///
    /// # Errors
    /// When a value that is ciphertext does not decrypt.
    pub fn open_partly(self, key: &DataKey) -> Result<Partly, OpenError> {
        let mut tree = self.tree.clone();
        let mut visitor = Decrypt {
            cipher: Cipher::new(key),
            mac: Mac::new(self.metadata.coverage),
            plain: Vec::new(),
        };
        walk(&mut tree, &self.metadata.rule, &mut visitor)?;
        let Decrypt { cipher, mac, plain } = visitor;
        let mac = check_mac(&self.metadata, &cipher, mac);
        Ok(Partly {
            opened: Opened {
                sealed: self,
                key: key.clone(),
                tree,
            },
            plain,
            mac,
        })
    }
}

/// Reads `text` in `format`.
pub(super) fn parse_text(format: Format, text: &str) -> Result<Map, SyntaxError> {
    match format {
        Format::Yaml => yaml::parse(text),
        _ => {
            let documents = crate::format::parse(format, text.as_bytes())?;
            Ok(documents.into_iter().next().unwrap_or_default())
        }
    }
}

fn check_mac(metadata: &Metadata, cipher: &Cipher, mac: Mac) -> Result<(), MacFault> {
    let stored = metadata.mac.as_ref().ok_or(MacFault::Missing)?;
    let (stored, _) = cipher
        .decrypt(stored, &metadata.last_modified)
        .map_err(|_| MacFault::Damaged)?;
    // `Secret` compares in constant time.
    if mac.finish() == stored {
        Ok(())
    } else {
        Err(MacFault::Mismatch)
    }
}

/// Whether the text of `leaf` is ciphertext.
fn is_ciphertext(leaf: &Leaf) -> bool {
    leaf.kind == Kind::Text && leaf.text.expose_text().is_some_and(value::is_encrypted)
}

/// Whether nothing is to be encrypted in `leaf`: nothing and the empty text stay as they are.
pub(super) fn is_void(leaf: &Leaf) -> bool {
    leaf.kind == Kind::Null || (leaf.kind == Kind::Text && leaf.text.is_empty())
}

/// Whether `text` can stand behind a `#` without ending the line that it stands on.
fn is_comment_text(text: &Secret) -> bool {
    let breaks = |each: char| each.is_control() && each != '\t';
    text.expose_text()
        .is_some_and(|text| !text.contains(breaks))
}

/// Marks what is ciphertext.
struct Recognise;

impl Visitor for Recognise {
    type Error = std::convert::Infallible;

    fn value(&mut self, leaf: &mut Leaf, place: &Place) -> Result<Outcome, Self::Error> {
        leaf.sealed = place.selected && is_ciphertext(leaf);
        Ok(Outcome::Value)
    }

    fn comment(&mut self, _: &mut Comment, _: &Place) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// Finds what is plaintext and should not be.
struct FindPlain(Vec<(Path, Position)>);

impl Visitor for FindPlain {
    type Error = std::convert::Infallible;

    fn value(&mut self, leaf: &mut Leaf, place: &Place) -> Result<Outcome, Self::Error> {
        if place.selected && !leaf.sealed && !is_void(leaf) {
            self.0.push((place.path.clone(), leaf.position));
        }
        Ok(Outcome::Value)
    }

    fn comment(&mut self, _: &mut Comment, _: &Place) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// Decrypts values and comments, and gathers the MAC.
struct Decrypt {
    cipher: Cipher,
    mac: Mac,
    plain: Vec<(Path, Position)>,
}

impl Decrypt {
    fn decrypt(&mut self, leaf: &mut Leaf, place: &Place) -> Result<Outcome, ValueError> {
        let text = leaf.text.expose_text().ok_or(ValueError::NotEncrypted)?;
        let (bytes, kind) = self.cipher.decrypt(text, &place.aad)?;
        let in_list = matches!(place.path.steps().last(), Some(crate::tree::Step::Index(_)));
        if kind == ValueType::Comment && in_list && is_comment_text(&bytes) {
            return Ok(Outcome::Comment(bytes));
        }
        let (kind, text, normal) = Plain::read(kind, bytes)?;
        if text.expose_text().is_none() {
            return Err(ValueError::NotText);
        }
        self.mac.add_encrypted(normal.bytes.expose());
        (leaf.kind, leaf.text) = (kind, text);
        Ok(Outcome::Value)
    }
}

impl Visitor for Decrypt {
    type Error = OpenError;

    fn value(&mut self, leaf: &mut Leaf, place: &Place) -> Result<Outcome, OpenError> {
        if !place.selected {
            if let Some(plain) = Plain::of_leaf(leaf) {
                self.mac.add_clear(plain.bytes.expose());
            }
            return Ok(Outcome::Value);
        }
        if leaf.sealed {
            let (path, position) = (&place.path, leaf.position);
            let wrong = |fault| OpenError::Value {
                path: path.clone(),
                position,
                fault,
            };
            return self.decrypt(leaf, place).map_err(wrong);
        }
        if !is_void(leaf) {
            self.plain.push((place.path.clone(), leaf.position));
        }
        Ok(Outcome::Value)
    }

    /// A comment that does not decrypt stays as it is, as in SOPS: comments are not authenticated.
    fn comment(&mut self, comment: &mut Comment, place: &Place) -> Result<(), OpenError> {
        let text = comment.text.expose_text().filter(|_| place.selected);
        let decrypted = text.and_then(|text| self.cipher.decrypt(text, place.comment_aad()).ok());
        if let Some((text, _)) = decrypted.filter(|(text, _)| is_comment_text(text)) {
            comment.text = text;
        }
        Ok(())
    }
}

/// The entry `sops` of a tree, when its value is a map.
pub(super) fn metadata_map(block: &Entry) -> Option<&Map> {
    match &block.value {
        Node::Map(map) => Some(map),
        _ => None,
    }
}
