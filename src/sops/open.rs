//! From a sealed file to an opened one: reading, unwrapping the data key, decrypting, checking the MAC.

use super::block::Block;
use super::decrypt::{Decrypt, FindPlain, Recognise};
use super::metadata::{Metadata, WrappedKey};
use super::opened::{Opened, Partly};
use super::rule::InvalidRule;
use super::source::{Dialect, Source};
use super::walk::walk;
use crate::crypto::mac::Mac;
use crate::crypto::value::{self, Cipher, ValueError};
use crate::crypto::{DataKey, Identity, UnwrapError, identity, unwrap};
use crate::format::{Format, SyntaxError};
use crate::secret::Secret;
use crate::tree::{Kind, Leaf, Map, Node, Path, Position};

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
    /// The block stands twice in the first document.
    #[error("line {}: there is a second sops block", position.line)]
    TwoBlocks {
        /// Where the second begins.
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
    /// The data key is split among key groups, which an environment document may not have.
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
    pub(super) dialect: Dialect,
    pub(super) text: Secret,
    /// Without the `sops` block. There is at least one.
    pub(super) documents: Vec<Map>,
    pub(super) metadata: Metadata,
    pub(super) block: Block,
}

impl Sealed {
    /// Reads `text`, which must have a `sops` block, as environment documents are read: strictly, and
    /// one document. What is not sealed where it should be is found by [`Self::plain_paths`] and
    /// [`Self::open`].
    ///
    /// # Errors
    /// When the text is not valid in its format, or its `sops` block is missing or wrong.
    pub fn parse(format: Format, text: &Secret) -> Result<Self, ReadError> {
        Self::of(Source::read(format, Dialect::Environment, text)?)
    }

    /// Reads `text` as SOPS does: several YAML documents, anchors, tags. A binary file is its sealed form.
    ///
    /// # Errors
    /// When the text is not valid in its format, or its `sops` block is missing or wrong.
    pub fn read(format: Format, text: &Secret) -> Result<Self, ReadError> {
        Self::of(Source::read(format, Dialect::Sops, text)?)
    }

    /// The same in a dialect.
    pub(super) fn of(source: Source) -> Result<Self, ReadError> {
        let Source {
            format,
            dialect,
            text,
            mut documents,
            ..
        } = source;
        let block = Block::take(format, &mut documents)?;
        let metadata = Metadata::read(&block.map, block.position)?;
        // SOPS takes such a rule; what an environment keeps in clear is not left to chance.
        if dialect == Dialect::Environment && metadata.rule.is_broken() {
            let pattern = metadata.rule.argument().to_owned();
            return Err(InvalidRule::Pattern { pattern }.into());
        }
        let Ok(()) = walk(&mut documents, &metadata.rule, &mut Recognise);
        Ok(Self {
            format,
            dialect,
            text,
            documents,
            metadata,
            block,
        })
    }

    /// All documents of the file, at least one; see [`Self::tree`].
    #[must_use]
    pub fn documents(&self) -> &[Map] {
        &self.documents
    }

    /// The values of the first document in file order; those that are ciphertext are `sealed`. The
    /// `sops` block is not in it.
    #[must_use]
    pub fn tree(&self) -> &Map {
        &self.documents[0]
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
        self.metadata.age().map(|key| key.recipient.as_str())
    }

    /// Values in clear where the rule wants ciphertext, in file order, and where they stand.
    #[must_use]
    pub fn plain_paths(&self) -> Vec<(Path, Position)> {
        self.find_plain().values
    }

    /// Where comments stand in clear that the rule wants encrypted: typed in, or not sealed by the program
    /// that wrote the file. SOPS does not authenticate comments, so such a file opens.
    #[must_use]
    pub fn plain_comments(&self) -> Vec<Position> {
        self.find_plain().comments
    }

    /// How many comments are ciphertext.
    pub(crate) fn comments(&self) -> usize {
        super::faithful::comments(&self.documents, &|text| {
            text.expose_text().is_some_and(value::is_encrypted)
        })
    }

    fn find_plain(&self) -> FindPlain {
        let mut found = FindPlain::default();
        let Ok(()) = walk(&mut self.documents.clone(), &self.metadata.rule, &mut found);
        found
    }

    /// Unwraps the data key of an environment document with whichever identity fits. Other files are
    /// [unlocked](Self::unlock).
    ///
    /// # Errors
    /// When there is no identity, none of them is a recipient, or the wrapped key is damaged.
    pub fn data_key(&self, identities: &[Identity]) -> Result<DataKey, KeyError> {
        if self.metadata.is_split() {
            return Err(KeyError::Split);
        }
        let recipients = || self.recipients().map(str::to_owned).collect();
        if identities.is_empty() {
            return Err(KeyError::NoIdentity {
                recipients: recipients(),
            });
        }
        let mut damaged = None;
        for key in self.own_first(identities) {
            match open_key(key, identities) {
                Ok(Some(data_key)) => return Ok(data_key),
                Ok(None) => {}
                Err(fault) => {
                    let recipient = key.recipient.clone();
                    damaged.get_or_insert(KeyError::Damaged { recipient, fault });
                }
            }
        }
        Err(damaged.unwrap_or_else(|| KeyError::NotARecipient {
            recipients: recipients(),
        }))
    }

    /// The wrapped keys, those for `identities` first. What the file says about a key is not proven, so
    /// none is left out.
    fn own_first(&self, identities: &[Identity]) -> Vec<&WrappedKey> {
        let mut keys: Vec<&WrappedKey> = self.metadata.age().collect();
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
        let mut documents = self.documents.clone();
        let mut visitor = Decrypt {
            format: self.format,
            dialect: self.dialect,
            cipher: Cipher::new(key),
            mac: Mac::new(self.metadata.coverage),
            plain: Vec::new(),
            plain_comments: Vec::new(),
        };
        walk(&mut documents, &self.metadata.rule, &mut visitor)?;
        let Decrypt {
            cipher,
            mac,
            plain,
            plain_comments,
            ..
        } = visitor;
        let mac = check_mac(&self.metadata, &cipher, mac);
        Ok(Partly {
            opened: Opened {
                sealed: self,
                key: key.clone(),
                documents,
                plain_comments,
            },
            plain,
            mac,
        })
    }
}

/// The data key in `key`, `None` if it is for none of `identities`.
fn open_key(key: &WrappedKey, identities: &[Identity]) -> Result<Option<DataKey>, UnwrapError> {
    let Some(secret) = unwrap(&key.armored, identities)? else {
        return Ok(None);
    };
    let length = secret.len();
    let wrong = UnwrapError::WrongLength { length };
    DataKey::new(secret).map(Some).ok_or(wrong)
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

/// Whether nothing is to be encrypted in `leaf`: nothing and the empty text stay as they are.
pub(super) fn is_void(leaf: &Leaf) -> bool {
    leaf.kind == Kind::Null || (leaf.kind == Kind::Text && leaf.text.is_empty())
}
