//! How many comments there are, for those who must not lose one.

use super::{Leaf, ListItem, Map, MapItem, Node};
use crate::secret::Secret;

/// How many comments of `documents` there are that `counts` takes by their text, with the scalar items of lists that
/// `stands_for_one` takes.
pub fn count_comments(
    documents: &[Map],
    counts: &impl Fn(&Secret) -> bool,
    stands_for_one: &impl Fn(&Leaf) -> bool,
) -> usize {
    let of_map = |map| count_in_map(map, counts, stands_for_one);
    documents.iter().map(of_map).sum()
}

fn count_in_map(
    map: &Map,
    counts: &impl Fn(&Secret) -> bool,
    stands_for_one: &impl Fn(&Leaf) -> bool,
) -> usize {
    let count = |item: &MapItem| match item {
        MapItem::Comment(comment) => usize::from(counts(&comment.text)),
        MapItem::Entry(entry) => count_in(&entry.value, counts, stands_for_one),
    };
    map.items.iter().map(count).sum()
}

fn count_in(
    node: &Node,
    counts: &impl Fn(&Secret) -> bool,
    stands_for_one: &impl Fn(&Leaf) -> bool,
) -> usize {
    let count = |item: &ListItem| match item {
        ListItem::Comment(comment) => usize::from(counts(&comment.text)),
        ListItem::Node(Node::Leaf(leaf)) => usize::from(stands_for_one(leaf)),
        ListItem::Node(node) => count_in(node, counts, stands_for_one),
    };
    match node {
        Node::Map(map) => count_in_map(map, counts, stands_for_one),
        Node::List(list) => list.items.iter().map(count).sum(),
        Node::Leaf(_) => 0,
    }
}

/// Whether a comment says anything. Lines with nothing but the sign come and go.
pub fn says_something(text: &Secret) -> bool {
    text.expose_text()
        .is_none_or(|text| !text.trim().is_empty())
}
