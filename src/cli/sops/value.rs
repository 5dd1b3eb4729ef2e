//! The values of `set`: any JSON but a list.

use serde::de::IgnoredAny;

use crate::format::{self, Format, scalar};
use crate::secret::Secret;
use crate::tree::{Kind, Leaf, ListItem, MapItem, Node, Position, Span};

/// A text that is no value for `set`, in the words of SOPS.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAValue {
    /// Not JSON.
    #[error("Value for --set is not valid JSON")]
    Json,
    /// A list.
    #[error("Invalid --set value format")]
    List,
    /// An object in which a key stands twice: the file could not be read afterwards.
    #[error("Invalid --set value format: a key stands twice in an object")]
    Twice,
}

/// Reads `json`; what comes out belongs to no file.
pub(super) fn parse(json: &Secret) -> Result<Node, NotAValue> {
    // The strict reader first: ours stops behind the root.
    serde_json::from_slice::<IgnoredAny>(json.expose()).map_err(|_| NotAValue::Json)?;
    let mut document = Vec::with_capacity(json.len() + 8);
    document.extend_from_slice(b"{\"v\":");
    document.extend_from_slice(json.expose());
    document.push(b'}');
    let document = Secret::new(document);
    let parsed = format::parse(Format::Json, &document).map_err(|_| NotAValue::Json)?;
    let map = parsed.into_iter().next().ok_or(NotAValue::Json)?;
    let entry = map.items.into_iter().find_map(|item| match item {
        MapItem::Entry(entry) => Some(entry),
        MapItem::Comment(_) => None,
    });
    let mut node = entry.ok_or(NotAValue::Json)?.value;
    if matches!(node, Node::List(_)) {
        return Err(NotAValue::List);
    }
    detach(&mut node)?;
    Ok(node)
}

/// Forgets where a value stood.
fn detach(node: &mut Node) -> Result<(), NotAValue> {
    match node {
        Node::Leaf(leaf) => {
            (leaf.position, leaf.span) = (Position::default(), Span::default());
        }
        Node::List(list) => {
            (list.position, list.span) = (Position::default(), Span::default());
            list.layout = crate::tree::Layout::Block;
            for item in &mut list.items {
                if let ListItem::Node(node) = item {
                    detach(node)?;
                }
            }
        }
        Node::Map(map) => {
            (map.position, map.span) = (Position::default(), Span::default());
            map.layout = crate::tree::Layout::Block;
            let mut keys: Vec<&str> = map.entries().map(|entry| entry.key.as_str()).collect();
            keys.sort_unstable();
            if keys.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(NotAValue::Twice);
            }
            for item in &mut map.items {
                if let MapItem::Entry(entry) = item {
                    (entry.position, entry.span) = (Position::default(), Span::default());
                    detach(&mut entry.value)?;
                }
            }
        }
    }
    Ok(())
}

/// Whether two values are the same, however they are written.
pub(super) fn same(one: &Node, other: &Node) -> bool {
    match (one, other) {
        (Node::Leaf(one), Node::Leaf(other)) => same_leaf(one, other),
        (Node::List(one), Node::List(other)) => {
            one.nodes().count() == other.nodes().count()
                && one.nodes().zip(other.nodes()).all(|(a, b)| same(a, b))
        }
        (Node::Map(one), Node::Map(other)) => {
            one.entries().count() == other.entries().count()
                && one
                    .entries()
                    .zip(other.entries())
                    .all(|(a, b)| a.key == b.key && same(&a.value, &b.value))
        }
        _ => false,
    }
}

fn same_leaf(one: &Leaf, other: &Leaf) -> bool {
    let is_number = |leaf: &Leaf| matches!(leaf.kind, Kind::Int | Kind::Float);
    let normal = |leaf: &Leaf| {
        let text = leaf.text.expose_text()?;
        scalar::normal_form(leaf.kind, text).or_else(|| Some(text.to_owned()))
    };
    match one.kind {
        Kind::Text => other.kind == Kind::Text && one.text == other.text,
        Kind::Null => other.kind == Kind::Null,
        _ => {
            (one.kind == other.kind || (is_number(one) && is_number(other)))
                && normal(one).map(Secret::from) == normal(other).map(Secret::from)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Node, NotAValue> {
        parse(&Secret::from_text(json))
    }

    #[test]
    fn any_json_but_a_list_is_a_value() {
        for json in [
            "1",
            "1.5",
            "true",
            "null",
            "\"\"",
            "{\"a\": [1, {\"b\": 2}]}",
            " 1 ",
        ] {
            assert!(read(json).is_ok(), "{json}");
        }
        for json in [
            "",
            "x",
            "'a'",
            "1 2",
            "1}",
            "1, \"b\": 2",
            "\"a\" \"b\"",
            "[1",
        ] {
            assert_eq!(read(json).unwrap_err(), NotAValue::Json, "{json}");
        }
        assert_eq!(read("[1]").unwrap_err(), NotAValue::List);
        assert_eq!(
            read("{\"a\":{\"b\":1,\"b\":2}}").unwrap_err(),
            NotAValue::Twice
        );
    }

    #[test]
    fn the_same_value_is_known_however_it_is_written() {
        let same = |one: &str, other: &str| same(&read(one).unwrap(), &read(other).unwrap());
        assert!(same("1", "1") && same("1.0", "1") && same("\"a\"", "\"\\u0061\""));
        assert!(same("{\"a\": {\"b\": null}}", "{\"a\":{\"b\":null}}"));
        assert!(!same("1", "\"1\"") && !same("1", "2") && !same("{\"a\":1}", "{\"b\":1}"));
    }
}
