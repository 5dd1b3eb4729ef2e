//! What stands in a map or list, seen alike: comments, entries, items. Knows no text.

use crate::tree::{
    Comment, Entry, Leaf, List, ListItem, Map, MapItem, Node, Position, Span, Style,
};

/// One thing in a map or list.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    Comment(&'a Comment),
    Entry(&'a Entry),
    Item(&'a Node),
}

pub(super) fn parts_of_map(map: &Map) -> Vec<Part<'_>> {
    map.items.iter().map(Part::of_map).collect()
}

pub(super) fn parts_of_list(list: &List) -> Vec<Part<'_>> {
    list.items.iter().map(Part::of_list).collect()
}

impl<'a> Part<'a> {
    fn of_map(item: &'a MapItem) -> Self {
        match item {
            MapItem::Comment(comment) => Self::Comment(comment),
            MapItem::Entry(entry) => Self::Entry(entry),
        }
    }

    fn of_list(item: &'a ListItem) -> Self {
        match item {
            ListItem::Comment(comment) => Self::Comment(comment),
            ListItem::Node(node) => Self::Item(node),
        }
    }

    pub(super) fn is_comment(&self) -> bool {
        matches!(self, Self::Comment(_))
    }

    pub(super) fn span(&self) -> Span {
        match self {
            Self::Comment(comment) => comment.span,
            Self::Entry(entry) => entry.span,
            Self::Item(node) => node.span(),
        }
    }

    fn position(&self) -> Position {
        match self {
            Self::Comment(comment) => comment.position,
            Self::Entry(entry) => entry.position,
            Self::Item(node) => node.position(),
        }
    }

    /// Whether it comes from no text.
    pub(super) fn is_new(&self) -> bool {
        self.position() == Position::default()
    }

    /// Whether `self` is what `changed` was. An item may have got another node; it keeps its place.
    pub(super) fn stands_like(&self, changed: &Self) -> bool {
        self.span().start == changed.span().start && self.position() == changed.position()
    }

    pub(super) fn node(&self) -> Option<&'a Node> {
        match self {
            Self::Comment(_) => None,
            Self::Entry(entry) => Some(&entry.value),
            Self::Item(node) => Some(node),
        }
    }

    /// The scalar that it ends with.
    pub(super) fn last_leaf(&self) -> Option<&'a Leaf> {
        let mut node = self.node()?;
        loop {
            node = match node {
                Node::Leaf(leaf) => return Some(leaf),
                Node::Map(map) => match map.items.last()? {
                    MapItem::Entry(entry) => &entry.value,
                    MapItem::Comment(_) => return None,
                },
                Node::List(list) => match list.items.last()? {
                    ListItem::Node(node) => node,
                    ListItem::Comment(_) => return None,
                },
            };
        }
    }

    /// The block text that it ends with.
    pub(super) fn block_text(&self) -> Option<&'a Leaf> {
        let leaf = self.last_leaf()?;
        matches!(leaf.style, Style::Literal | Style::Folded).then_some(leaf)
    }

    /// Where it ends with the comments that end it.
    pub(super) fn end(&self) -> usize {
        let mut end = self.span().end;
        let mut next = self.node();
        while let Some(node) = next {
            end = end.max(node.span().end);
            let last = match node {
                Node::Leaf(_) => None,
                Node::Map(map) => match map.items.last() {
                    Some(MapItem::Entry(entry)) => Some(Self::Entry(entry)),
                    Some(MapItem::Comment(comment)) => Some(Self::Comment(comment)),
                    None => None,
                },
                Node::List(list) => match list.items.last() {
                    Some(ListItem::Node(node)) => Some(Self::Item(node)),
                    Some(ListItem::Comment(comment)) => Some(Self::Comment(comment)),
                    None => None,
                },
            };
            end = last.map_or(end, |last| end.max(last.span().end));
            next = last.and_then(|last| last.node());
        }
        end
    }
}
