//! Writing the `sops` block: the whole of a new one, and single fields of an existing one.

use super::METADATA_KEY;
use super::open::{Sealed, metadata_map};
use super::rule::Rule;
use super::seal::SealError;
use crate::format::yaml::{self, Editor};
use crate::secret::Secret;
use crate::tree::{
    Entry, Kind, Layout, Leaf, List, ListItem, Map, MapItem, Node, Position, Span, Style,
};

/// The version of SOPS whose layout is written.
const VERSION: &str = "3.13.3";

/// A text leaf that comes from no file.
pub(crate) fn text_node(text: &str) -> Node {
    leaf_node(Kind::Text, text)
}

/// A whole number that comes from no file.
pub(crate) fn int_node(digits: &str) -> Node {
    leaf_node(Kind::Int, digits)
}

fn leaf_node(kind: Kind, text: &str) -> Node {
    Node::Leaf(Leaf {
        kind,
        text: Secret::from_text(text),
        style: Style::Plain,
        position: Position::default(),
        span: Span::default(),
        sealed: false,
    })
}

/// A map that comes from no file.
pub(crate) fn map_of<'a>(entries: impl IntoIterator<Item = (&'a str, Node)>) -> Map {
    let entry = |(key, value): (&str, Node)| {
        let (position, span) = (Position::default(), Span::default());
        MapItem::Entry(Entry {
            key: key.to_owned(),
            position,
            span,
            value,
        })
    };
    Map {
        items: entries.into_iter().map(entry).collect(),
        ..Map::default()
    }
}

/// What a new block says.
pub(super) struct NewBlock<'a> {
    /// Recipient and armored age file, in the order of writing.
    pub(super) keys: Vec<(String, String)>,
    pub(super) rule: &'a Rule,
    pub(super) last_modified: &'a str,
    pub(super) mac: &'a str,
}

impl NewBlock<'_> {
    /// The block in the layout of SOPS 3.13: sorted, nothing empty.
    pub(super) fn render(&self, step: usize) -> Secret {
        let key = |(recipient, armored): &(String, String)| {
            let fields = [
                ("enc", text_node(armored)),
                ("recipient", text_node(recipient)),
            ];
            ListItem::Node(Node::Map(map_of(fields)))
        };
        let age = List {
            items: self.keys.iter().map(key).collect(),
            ..List::default()
        };
        let mut fields = vec![
            ("age", Node::List(age)),
            (self.rule.name(), text_node(self.rule.argument())),
            ("lastmodified", text_node(self.last_modified)),
            ("mac", text_node(self.mac)),
            ("version", text_node(VERSION)),
        ];
        fields.sort_by_key(|(name, _)| *name);
        yaml::render(
            &map_of([(METADATA_KEY, Node::Map(map_of(fields)))]),
            0,
            step,
        )
    }
}

/// The file with the field `name` of its `sops` block set to `value`: in the place of the former one,
/// else where the alphabet wants it. Nothing else changes.
///
/// # Errors
/// When the block is in flow style, which has no lines of its own.
pub(crate) fn replace_entry(sealed: &Sealed, name: &str, value: Node) -> Result<Secret, SealError> {
    let source = sealed.text.expose_text().unwrap_or_default();
    let map = metadata_map(&sealed.block).filter(|map| map.layout == Layout::Block);
    let map = map.ok_or(SealError::FlowMetadata)?;
    let column = map.position.column.saturating_sub(1) as usize;
    let lines = yaml::render(&map_of([(name, value)]), column, column.max(2));
    let mut editor = Editor::new(source, &sealed.tree);
    if let Some(former) = map.find(name) {
        editor.remove_lines(former);
    }
    let others = || map.entries().filter(|entry| entry.key != name);
    match others().find(|entry| entry.key.as_str() > name) {
        Some(next) => editor.insert_lines_before(next, &lines),
        None => match others().last() {
            Some(last) => editor.insert_lines_behind(last, &lines),
            None => return Err(SealError::FlowMetadata),
        },
    }
    Ok(editor.finish())
}
