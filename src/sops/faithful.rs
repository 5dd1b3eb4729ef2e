//! Whether a text that is about to be written holds what it was made from: it is read again and compared
//! with what was to be written, value by value. That each ciphertext decrypts is not tried again.

use super::block::{FieldChange, Wrapped, text_node};
use super::open::Sealed;
use super::seal::{Draft, SealError};
use super::source::Source;
use super::typed::Plain;
use crate::crypto::DataKey;
use crate::crypto::mac::Coverage;
use crate::crypto::value::{self, ValueType};
use crate::tree::{Leaf, List, ListItem, Map, Node};

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

/// What a text was made from.
pub(super) struct Intent<'a> {
    /// With the ciphertexts.
    pub(super) documents: &'a [Map],
    pub(super) stamp: &'a Stamp,
    pub(super) coverage: Coverage,
    /// What was wrapped anew.
    pub(super) wrapped: Option<&'a [Vec<Wrapped>]>,
}

impl Intent<'_> {
    /// The file that was read again from what was written, when it is as it was meant.
    pub(super) fn confirm(&self, again: Source, key: DataKey) -> Result<Draft, SealError> {
        let sealed = Sealed::of(again)?;
        let metadata = &sealed.metadata;
        let same = metadata.coverage == self.coverage
            && metadata.mac.as_deref() == Some(self.stamp.mac.as_str())
            && metadata.last_modified == self.stamp.last_modified
            && self
                .wrapped
                .is_none_or(|groups| is_wrapped_for(&sealed, groups))
            && sealed.documents.len() == self.documents.len()
            && sealed.documents.iter().zip(self.documents).all(same_map);
        if same {
            Ok(Draft { sealed, key })
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

fn same_map((read, meant): (&Map, &Map)) -> bool {
    let keys = |map: &Map| map.entries().count();
    keys(read) == keys(meant)
        && read
            .entries()
            .zip(meant.entries())
            .all(|(read, meant)| read.key == meant.key && same_node(&read.value, &meant.value))
}

fn same_list(read: &List, meant: &List) -> bool {
    let (mut read, mut meant) = (values(read), values(meant));
    loop {
        match (read.next(), meant.next()) {
            (None, None) => return true,
            (Some(read), Some(meant)) if same_node(read, meant) => {}
            _ => return false,
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

fn same_node(read: &Node, meant: &Node) -> bool {
    match (read, meant) {
        (Node::Map(read), Node::Map(meant)) => same_map((read, meant)),
        (Node::List(read), Node::List(meant)) => same_list(read, meant),
        (Node::Leaf(read), Node::Leaf(meant)) if read.sealed && meant.sealed => {
            // Ciphertext: constant time would protect nothing.
            read.text.expose() == meant.text.expose()
        }
        (Node::Leaf(read), Node::Leaf(meant)) => {
            read.sealed == meant.sealed && Plain::of_leaf(read) == Plain::of_leaf(meant)
        }
        _ => false,
    }
}
