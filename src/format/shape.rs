//! Trees without places and styles, for tests that compare what was read with what was written.

use proptest::prelude::*;

use crate::secret::Secret;
use crate::tree::{
    Comment, Entry, Kind, Leaf, List, ListItem, Map, MapItem, Node, Position, Span, Style,
};

/// A value without its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Map(Vec<(Option<String>, Self)>),
    List(Vec<Self>),
    Leaf(Kind, Vec<u8>),
    Comment(Vec<u8>),
}

impl Shape {
    pub(super) fn of_map(map: &Map) -> Self {
        let item = |item: &MapItem| match item {
            MapItem::Entry(entry) => (Some(entry.key.clone()), Self::of(&entry.value)),
            MapItem::Comment(comment) => (None, Self::Comment(comment.text.expose().to_vec())),
        };
        Self::Map(map.items.iter().map(item).collect())
    }

    pub(super) fn of(node: &Node) -> Self {
        match node {
            Node::Map(map) => Self::of_map(map),
            Node::List(list) => Self::List(
                list.items
                    .iter()
                    .map(|item| match item {
                        ListItem::Node(node) => Self::of(node),
                        ListItem::Comment(comment) => Self::Comment(comment.text.expose().to_vec()),
                    })
                    .collect(),
            ),
            Node::Leaf(leaf) => Self::Leaf(leaf.kind, leaf.text.expose().to_vec()),
        }
    }

    /// As a value that comes from no file.
    pub(super) fn node(&self) -> Node {
        match self {
            Self::Map(_) => Node::Map(self.map()),
            Self::List(items) => Node::List(List {
                items: items
                    .iter()
                    .map(|item| match item {
                        Self::Comment(text) => ListItem::Comment(comment(text)),
                        other => ListItem::Node(other.node()),
                    })
                    .collect(),
                ..List::default()
            }),
            Self::Leaf(kind, text) => Node::Leaf(Leaf {
                kind: *kind,
                text: Secret::new(text.clone()),
                style: Style::Plain,
                position: Position::default(),
                span: Span::default(),
                sealed: false,
            }),
            Self::Comment(_) => panic!("a comment is no value"),
        }
    }

    /// As a map that comes from no file.
    pub(super) fn map(&self) -> Map {
        let Self::Map(items) = self else {
            panic!("no map");
        };
        let item = |(key, value): &(Option<String>, Self)| match (key, value) {
            (_, Self::Comment(text)) => MapItem::Comment(comment(text)),
            (key, value) => MapItem::Entry(entry(key.as_deref().unwrap(), value.node())),
        };
        Map {
            items: items.iter().map(item).collect(),
            ..Map::default()
        }
    }
}

/// An entry that comes from no file.
pub(super) fn entry(key: &str, value: Node) -> Entry {
    Entry {
        key: key.to_owned(),
        position: Position::default(),
        span: Span::default(),
        value,
    }
}

fn comment(text: &[u8]) -> Comment {
    Comment {
        text: Secret::new(text.to_vec()),
        position: Position::default(),
        span: Span::default(),
        trailing: false,
    }
}

/// A text leaf.
pub(super) fn text(content: &str) -> Shape {
    Shape::Leaf(Kind::Text, content.as_bytes().to_vec())
}

/// Texts with everything that formats give a meaning to.
pub(super) fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        "[a-z=:;#\"'`\\\\ \n\r\t\\[\\]n]{0,10}",
        "\\PC{0,6}",
        "[\u{0}-\u{1f}\u{7f}\u{80}\u{2028}\u{2029}\u{feff}\u{fffd}<>&😀]{0,6}",
    ]
}

/// Values that JSON can hold, in the spelling in which it prints them.
pub(super) fn any_json() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        any_text().prop_map(|content| text(&content)),
        any::<i64>().prop_map(|int| Shape::Leaf(Kind::Int, int.to_string().into_bytes())),
        any::<f64>()
            .prop_filter("JSON has no others", |float| {
                // A float that prints without point and exponent reads back as an int.
                float.is_finite() && super::number::ecmascript(*float).parse::<i64>().is_err()
            })
            .prop_map(|float| {
                Shape::Leaf(Kind::Float, super::number::ecmascript(float).into_bytes())
            }),
        any::<bool>().prop_map(|yes| Shape::Leaf(Kind::Bool, yes.to_string().into_bytes())),
        Just(Shape::Leaf(Kind::Null, b"null".to_vec())),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Shape::List),
            prop::collection::vec((any_text().prop_map(Some), inner), 0..5).prop_map(Shape::Map),
        ]
    })
}

/// Maps that JSON can hold.
pub(super) fn any_json_map() -> impl Strategy<Value = Shape> {
    prop::collection::vec((any_text().prop_map(Some), any_json()), 0..6).prop_map(Shape::Map)
}
