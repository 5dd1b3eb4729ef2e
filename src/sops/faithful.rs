//! Whether a text that is about to be written holds what it was made from: it is read again and compared
//! with what was to be written: value by value, and comments are counted. That each value decrypts is not tried again;
//! that each comment does, is.

use std::hash::{BuildHasher as _, Hash as _, Hasher};

use foldhash::quality::FixedState;

use super::block::{FieldChange, Wrapped, text_node};
use super::open::Sealed;
use super::placed::{SealedComments, placed};
use super::seal::{Draft, SealError};
use super::source::Source;
use super::typed::Plain;
use crate::crypto::DataKey;
use crate::crypto::mac::Coverage;
use crate::crypto::value::{self, ValueType};
use crate::format::Format;
use crate::secret::Secret;
use crate::tree::comments::{count_comments, says_something};
use crate::tree::{Entry, Leaf, List, ListItem, Map, Node};

/// The MAC of a file, encrypted, and the date that it is bound to.
pub(super) struct Stamp {
    pub(super) mac: String,
    pub(super) last_modified: String,
}

impl Stamp {
    /// As changes of the block.
    pub(super) fn changes(&self) -> Vec<FieldChange> {
        vec![
            ("mac", Some(text_node(&self.mac))),
            ("lastmodified", Some(text_node(&self.last_modified))),
        ]
    }
}

/// What a text is made from.
pub(super) struct Intent {
    /// Of the documents with their ciphertexts.
    pub(super) fingerprint: u64,
    /// How many comments it should have. One with a strange line break becomes two.
    pub(super) count: usize,
    pub(super) stamp: Stamp,
    pub(super) comments: SealedComments,
    pub(super) coverage: Coverage,
    /// What was wrapped anew.
    pub(super) wrapped: Option<Vec<Vec<Wrapped>>>,
}

impl Intent {
    /// The file that was read again from what was written, when it is as it was meant. Comments that
    /// came to stand elsewhere are sealed for there.
    pub(super) fn confirm(&self, again: Source, key: DataKey) -> Result<Draft, SealError> {
        let mut sealed = self.checked(again)?;
        let mut comments_now = placed(&mut sealed, &key, &self.comments)?;
        if let Some(text) = &comments_now.text {
            sealed = self.checked(sealed.again(text)?)?;
            comments_now = placed(&mut sealed, &key, &self.comments)?;
            if comments_now.text.is_some() {
                return Err(SealError::Unfaithful);
            }
        }
        let found = comments(&sealed.documents, &says_something);
        Ok(Draft {
            lost_comments: self.count.saturating_sub(found) + comments_now.stranded,
            sealed,
            key,
        })
    }

    fn checked(&self, again: Source) -> Result<Sealed, SealError> {
        let sealed = Sealed::of(again)?;
        let metadata = &sealed.metadata;
        let same = metadata.coverage == self.coverage
            && metadata.mac.as_deref() == Some(self.stamp.mac.as_str())
            && metadata.last_modified == self.stamp.last_modified
            && self
                .wrapped
                .as_ref()
                .is_none_or(|groups| is_wrapped_for(&sealed, groups))
            && fingerprint(sealed.format, &sealed.documents) == self.fingerprint;
        if same {
            Ok(sealed)
        } else {
            Err(SealError::Unfaithful)
        }
    }
}

/// Whether the keys of `sealed` are those of `groups`.
fn is_wrapped_for(sealed: &Sealed, groups: &[Vec<Wrapped>]) -> bool {
    let read = sealed.metadata.groups.iter().flat_map(|group| &group.age);
    let read = read.map(|key| (key.recipient.as_str(), key.armored.as_str()));
    let meant = groups.iter().flatten();
    read.eq(meant.map(|(recipient, armored)| (recipient.as_str(), armored.as_str())))
}

/// A number that stands for structure, keys and values of `documents`, ciphertexts for what they hold. Two
/// trees with the same one are the same, unless somebody took pains; so the first may be dropped before the
/// second is read.
///
/// In INI, a section without an entry comes and goes with its comments.
pub(super) fn fingerprint(format: Format, documents: &[Map]) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    let counts = |entry: &&Entry| match &entry.value {
        Node::Map(section) if format == Format::Ini => section.entries().next().is_some(),
        _ => true,
    };
    for document in documents {
        entries(document.entries().filter(counts), &mut hasher);
    }
    hasher.finish()
}

/// How many comments of `documents` count. A sealed one that stands as an item of a list is one.
pub(super) fn comments(documents: &[Map], counts: &impl Fn(&Secret) -> bool) -> usize {
    count_comments(documents, counts, &is_sealed_comment)
}

fn entries<'a>(entries: impl Iterator<Item = &'a Entry>, hasher: &mut impl Hasher) {
    hasher.write_u8(b'm');
    for entry in entries {
        entry.key.hash(hasher);
        node(&entry.value, hasher);
    }
    hasher.write_u8(b'.');
}

fn node(node: &Node, hasher: &mut impl Hasher) {
    match node {
        Node::Map(map) => entries(map.entries(), hasher),
        Node::List(list) => {
            hasher.write_u8(b'l');
            for item in values(list) {
                self::node(item, hasher);
            }
            hasher.write_u8(b'.');
        }
        Node::Leaf(leaf) => {
            hasher.write_u8(b'v');
            leaf.sealed.hash(hasher);
            let plain = Plain::of_leaf(leaf).map(Plain::without_point);
            let value = plain
                .as_ref()
                .map(|plain| (plain.kind, plain.bytes.expose()));
            value.hash(hasher);
        }
    }
}

/// The items that are no comments. Where a sealed comment has a line of its own, it stands as an item.
fn values(list: &List) -> impl Iterator<Item = &Node> {
    list.items.iter().filter_map(|item| match item {
        ListItem::Node(Node::Leaf(leaf)) if is_sealed_comment(leaf) => None,
        ListItem::Node(node) => Some(node),
        ListItem::Comment(_) => None,
    })
}

fn is_sealed_comment(leaf: &Leaf) -> bool {
    let text = leaf.text.expose_text().filter(|_| leaf.sealed);
    text.and_then(value::type_of) == Some(ValueType::Comment)
}

#[cfg(test)]
mod tests;
