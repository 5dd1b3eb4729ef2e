//! Any bytes as one text: the tree of a binary file has the one entry `data`. Sealed, such a tree is
//! written as JSON.

use super::EmitError;
use super::untyped::text_leaf;
use crate::secret::Secret;
use crate::tree::{Entry, Kind, Leaf, Map, MapItem, Node, Position, Span};

/// The key of the one entry.
pub const KEY: &str = "data";

/// The tree that holds a copy of `bytes`.
#[must_use]
pub fn parse(bytes: &[u8]) -> Map {
    tree(Secret::new(bytes.to_vec()))
}

/// The tree that holds `content`, which is not copied.
#[must_use]
pub fn tree(content: Secret) -> Map {
    let position = Position { line: 1, column: 1 };
    let span = Span {
        start: 0,
        end: content.len(),
    };
    let leaf = Leaf {
        text: content,
        ..text_leaf(Vec::new(), position, span)
    };
    let entry = Entry {
        key: KEY.to_owned(),
        position,
        span,
        value: Node::Leaf(leaf),
    };
    Map {
        items: vec![MapItem::Entry(entry)],
        position,
        span,
        ..Map::default()
    }
}

/// The bytes that a tree stands for: the text `data` of its only document. Other entries are not looked
/// at, as in SOPS.
///
/// # Errors
/// When there is no such text, or not exactly one document.
pub fn content(documents: &[Map]) -> Result<&Secret, EmitError> {
    let [document] = documents else {
        return Err(EmitError::NotBinary);
    };
    match document.find(KEY).map(|entry| &entry.value) {
        Some(Node::Leaf(leaf)) if leaf.kind == Kind::Text => Ok(&leaf.text),
        _ => Err(EmitError::NotBinary),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::shape::{Shape, text};

    #[test]
    fn all_bytes_come_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        for bytes in [bytes.as_slice(), b"", b"a\r\nb"] {
            let map = parse(bytes);
            assert_eq!(content(&[map]).unwrap().expose(), bytes);
        }
    }

    #[test]
    fn another_tree_is_no_binary_file() {
        let map = |key: &str, value: Shape| Shape::Map(vec![(Some(key.to_owned()), value)]).map();
        let number = Shape::Leaf(Kind::Int, b"1".to_vec());
        for documents in [
            Vec::new(),
            vec![map("x", text("a"))],
            vec![map("data", number)],
            vec![map("data", Shape::List(Vec::new()))],
            vec![map("data", text("a")), map("data", text("a"))],
        ] {
            assert_eq!(content(&documents).unwrap_err(), EmitError::NotBinary);
        }
    }
}
