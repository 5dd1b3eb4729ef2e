//! Where everything went: a tree whose positions and spans are those of the printed text.

use super::printer::Printer;
use super::{EmitError, Indent, size};
use crate::secret::Secret;
use crate::tree::{Layout, ListItem, Map, MapItem, Node, Position, Span, Style};

/// What became of one entry, node or comment, in the order of the tree.
#[derive(Clone, Default)]
pub(super) struct Record {
    pub(super) position: Position,
    pub(super) span: Span,
    pub(super) flow: bool,
    pub(super) style: Option<Style>,
    /// The spelling of a scalar that is no text.
    pub(super) text: Option<String>,
}

impl Record {
    /// Becomes what reaches from the first part to `part`.
    pub(super) fn grow(&mut self, part: &Self, first: bool) {
        if first {
            (self.position, self.span) = (part.position, part.span);
        }
        self.span.end = part.span.end;
    }
}

/// Prints `documents` and gives them positions and spans in what was printed, as if it had been read.
///
/// # Errors
/// As for [`super::emit`].
pub(in crate::format::yaml) fn placed(
    documents: &mut [Map],
    indent: Indent,
) -> Result<Secret, EmitError> {
    let mut printer = Printer::new(indent.0, size(documents));
    for document in documents.iter() {
        printer.document(document)?;
    }
    let (text, records) = printer.finish();
    let mut records = records.into_iter();
    for document in documents {
        place_map(document, &mut records);
    }
    Ok(text)
}

fn place_map(map: &mut Map, records: &mut impl Iterator<Item = Record>) {
    let record = records.next().unwrap_or_default();
    (map.position, map.span) = (record.position, record.span);
    map.layout = layout(&record);
    for item in &mut map.items {
        match item {
            MapItem::Comment(comment) => {
                let record = records.next().unwrap_or_default();
                (comment.position, comment.span) = (record.position, record.span);
            }
            MapItem::Entry(entry) => {
                let record = records.next().unwrap_or_default();
                (entry.position, entry.span) = (record.position, record.span);
                place_node(&mut entry.value, records);
            }
        }
    }
}

fn place_node(node: &mut Node, records: &mut impl Iterator<Item = Record>) {
    match node {
        Node::Map(map) => place_map(map, records),
        Node::List(list) => {
            let record = records.next().unwrap_or_default();
            (list.position, list.span) = (record.position, record.span);
            list.layout = layout(&record);
            for item in &mut list.items {
                match item {
                    ListItem::Node(node) => place_node(node, records),
                    ListItem::Comment(comment) => {
                        let record = records.next().unwrap_or_default();
                        (comment.position, comment.span) = (record.position, record.span);
                    }
                }
            }
        }
        Node::Leaf(leaf) => {
            let record = records.next().unwrap_or_default();
            (leaf.position, leaf.span) = (record.position, record.span);
            leaf.style = record.style.unwrap_or(leaf.style);
            if let Some(text) = record.text {
                leaf.text = Secret::from(text);
            }
        }
    }
}

fn layout(record: &Record) -> Layout {
    if record.flow {
        Layout::Flow
    } else {
        Layout::Block
    }
}
