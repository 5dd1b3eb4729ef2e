//! Whether two trees hold the same values, wherever and however they are written. Comments do not count.

use super::{Entry, Leaf, List, Map, Node};

/// Whether two maps hold the same keys in the same order, with values that are the same by `leaf`.
pub fn is_same_map(one: &Map, other: &Map, leaf: &impl Fn(&Leaf, &Leaf) -> bool) -> bool {
    let same = |(one, other): (&Entry, &Entry)| {
        one.key == other.key && is_same(&one.value, &other.value, leaf)
    };
    one.entries().count() == other.entries().count() && one.entries().zip(other.entries()).all(same)
}

/// Whether two values are of one shape, with scalars that are the same by `leaf`.
pub fn is_same(one: &Node, other: &Node, leaf: &impl Fn(&Leaf, &Leaf) -> bool) -> bool {
    match (one, other) {
        (Node::Map(one), Node::Map(other)) => is_same_map(one, other, leaf),
        (Node::List(one), Node::List(other)) => is_same_list(one, other, leaf),
        (Node::Leaf(one), Node::Leaf(other)) => leaf(one, other),
        _ => false,
    }
}

fn is_same_list(one: &List, other: &List, leaf: &impl Fn(&Leaf, &Leaf) -> bool) -> bool {
    let mut pairs = one.nodes().zip(other.nodes());
    one.nodes().count() == other.nodes().count()
        && pairs.all(|(one, other)| is_same(one, other, leaf))
}
