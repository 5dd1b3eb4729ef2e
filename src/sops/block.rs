//! The `sops` block as a tree: finding it in a file, building a new one, setting single fields.
//!
//! YAML and JSON hold it as a map, dotenv and INI flattened into lines.

use super::METADATA_KEY;
use super::faithful::Stamp;
use super::open::ReadError;
use super::rule::Rule;
use crate::crypto::mac::Coverage;
use crate::format::{Format, flat};
use crate::secret::Secret;
use crate::tree::{Entry, Kind, Leaf, List, ListItem, Map, MapItem, Node, Position, Span, Style};

/// The version of SOPS whose layout is written.
const VERSION: &str = "3.13.3";

/// What the names of a flattened block begin with in dotenv.
const DOTENV_PREFIX: &str = "sops_";

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

/// An entry that comes from no file.
pub(super) fn entry_of(key: &str, value: Node) -> Entry {
    Entry {
        key: key.to_owned(),
        position: Position::default(),
        span: Span::default(),
        value,
    }
}

/// A map that comes from no file.
pub(crate) fn map_of<'a>(entries: impl IntoIterator<Item = (&'a str, Node)>) -> Map {
    let item = |(key, value): (&str, Node)| MapItem::Entry(entry_of(key, value));
    Map {
        items: entries.into_iter().map(item).collect(),
        ..Map::default()
    }
}

fn list_of(maps: impl IntoIterator<Item = Map>) -> Node {
    Node::List(List {
        items: maps
            .into_iter()
            .map(|map| ListItem::Node(Node::Map(map)))
            .collect(),
        ..List::default()
    })
}

/// A `sops` entry that was taken out of a document.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    /// The document, counted from 0.
    pub(super) document: usize,
    /// Its place among the items of that document; `None` behind all that is no block.
    pub(super) place: Option<usize>,
    /// What stood there, with its spans.
    pub(super) item: MapItem,
}

/// The `sops` block of a file that was read.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// Its fields.
    pub(super) map: Map,
    /// Where it begins.
    pub(super) position: Position,
    /// The entries that it was made from. In YAML every document has one.
    pub(super) taken: Vec<Taken>,
}

impl Block {
    /// Takes the block out of `documents`. That of the first one counts; in the others there may be one.
    pub(super) fn take(format: Format, documents: &mut [Map]) -> Result<Self, ReadError> {
        let mut taken = Vec::new();
        for (document, map) in documents.iter_mut().enumerate() {
            take_items(format, document, map, &mut taken);
        }
        let first: Vec<&Entry> = taken
            .iter()
            .filter(|one| one.document == 0)
            .filter_map(|one| match &one.item {
                MapItem::Entry(entry) => Some(entry),
                MapItem::Comment(_) => None,
            })
            .collect();
        let begin = first.first().ok_or(ReadError::NotSealed)?;
        let position = begin.position;
        let map = match (format, &begin.value) {
            (Format::Dotenv, _) => unflattened(first.iter().copied(), DOTENV_PREFIX, position)?,
            (Format::Ini, Node::Map(section)) => unflattened(section.entries(), "", position)?,
            (_, Node::Map(map)) => map.clone(),
            _ => return Err(ReadError::MetadataNotAMap { position }),
        };
        if let (Some(second), true) = (first.get(1), format != Format::Dotenv) {
            return Err(ReadError::TwoBlocks {
                position: second.position,
            });
        }
        Ok(Self {
            map,
            position,
            taken,
        })
    }

    /// Where the first of its entries lies.
    pub(super) fn span(&self) -> Option<Span> {
        match &self.taken.first()?.item {
            MapItem::Entry(entry) => Some(entry.span),
            MapItem::Comment(_) => None,
        }
    }

    /// The block with `changes`, in all its places.
    pub(super) fn changed(&self, format: Format, changes: &[FieldChange]) -> Self {
        let mut map = self.map.clone();
        change(&mut map, changes);
        let mut taken = self.taken.clone();
        if matches!(format, Format::Dotenv | Format::Ini) {
            let again = |item| Taken {
                document: 0,
                place: None,
                item,
            };
            taken = entries(format, map.clone())
                .into_iter()
                .map(again)
                .collect();
        } else {
            for one in &mut taken {
                if let MapItem::Entry(Entry {
                    value: Node::Map(fields),
                    ..
                }) = &mut one.item
                {
                    change(fields, changes);
                }
            }
        }
        Self {
            map,
            position: self.position,
            taken,
        }
    }

    /// `documents` as they were before the block was taken out of them.
    pub(super) fn put_back(&self, documents: &mut [Map]) {
        for one in &self.taken {
            if let Some(map) = documents.get_mut(one.document) {
                let end = map.items.len();
                let place = one.place.map_or(end, |place| place.min(end));
                map.items.insert(place, one.item.clone());
            }
        }
    }
}

/// Whether an entry at the root belongs to the block.
pub(super) fn is_block_key(format: Format, key: &str) -> bool {
    match format {
        Format::Dotenv => key.starts_with(DOTENV_PREFIX),
        _ => key == METADATA_KEY,
    }
}

fn take_items(format: Format, document: usize, map: &mut Map, taken: &mut Vec<Taken>) {
    let belongs =
        |item: &MapItem| matches!(item, MapItem::Entry(entry) if is_block_key(format, &entry.key));
    let places = map.items.iter().enumerate();
    let places: Vec<usize> = places
        .filter_map(|(place, item)| belongs(item).then_some(place))
        .collect();
    let items = map.items.extract_if(.., |item| belongs(item));
    taken.extend(places.into_iter().zip(items).map(|(place, item)| Taken {
        document,
        place: Some(place),
        item,
    }));
    let end = map.items.len();
    let here = taken.iter_mut().filter(|one| one.document == document);
    for (before, one) in here.enumerate() {
        one.place = one.place.filter(|place| *place < end + before);
    }
}

fn unflattened<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    prefix: &str,
    position: Position,
) -> Result<Map, ReadError> {
    let pairs = entries.filter_map(|entry| {
        let name = entry.key.strip_prefix(prefix)?;
        match &entry.value {
            Node::Leaf(leaf) => Some((name, leaf)),
            _ => None,
        }
    });
    flat::unflatten(pairs).map_err(|_| ReadError::MetadataNotAMap { position })
}

/// The entries that `block` is in a file of `format`.
pub(super) fn entries(format: Format, block: Map) -> Vec<MapItem> {
    let flattened = |prefix: &str| -> Vec<MapItem> {
        flat::flatten(&block)
            .into_iter()
            .map(|(name, text)| {
                let value = Node::Leaf(Leaf {
                    text,
                    ..plain_leaf()
                });
                MapItem::Entry(entry_of(&format!("{prefix}{name}"), value))
            })
            .collect()
    };
    match format {
        Format::Dotenv => flattened(DOTENV_PREFIX),
        Format::Ini => {
            let section = Map {
                items: flattened(""),
                ..Map::default()
            };
            vec![MapItem::Entry(entry_of(METADATA_KEY, Node::Map(section)))]
        }
        Format::Yaml | Format::Json | Format::Binary => {
            vec![MapItem::Entry(entry_of(METADATA_KEY, Node::Map(block)))]
        }
    }
}

fn plain_leaf() -> Leaf {
    Leaf {
        kind: Kind::Text,
        text: Secret::from_text(""),
        style: Style::Plain,
        position: Position::default(),
        span: Span::default(),
        sealed: false,
    }
}

/// One wrapped key: recipient and armored age file.
pub(super) type Wrapped = (String, String);

/// What a new block says.
pub(super) struct NewBlock<'a> {
    /// The keys of each group, in the order of writing.
    pub(super) groups: &'a [Vec<Wrapped>],
    /// How many groups are needed, where there are several.
    pub(super) threshold: usize,
    /// `None` for a binary file, in which there is nothing to select.
    pub(super) rule: Option<&'a Rule>,
    pub(super) coverage: Coverage,
    pub(super) stamp: &'a Stamp,
}

impl NewBlock<'_> {
    /// The fields in the layout of SOPS 3.13: sorted, nothing empty.
    pub(super) fn fields(&self) -> Map {
        let mut fields = key_fields(self.groups, self.threshold);
        if let Some(rule) = self.rule {
            fields.push((rule.name(), text_node(rule.argument())));
        }
        if self.coverage == Coverage::EncryptedOnly {
            fields.push(("mac_only_encrypted", leaf_node(Kind::Bool, "true")));
        }
        fields.push(("lastmodified", text_node(&self.stamp.last_modified)));
        fields.push(("mac", text_node(&self.stamp.mac)));
        fields.push(("version", text_node(VERSION)));
        fields.sort_by_key(|(name, _)| *name);
        map_of(fields)
    }
}

/// The fields that say who can open a file.
pub(super) fn key_fields(groups: &[Vec<Wrapped>], threshold: usize) -> Vec<(&'static str, Node)> {
    if let [group] = groups {
        return vec![("age", age_list(group))];
    }
    // SOPS writes an empty `hc_vault` into every group.
    let group = |keys: &Vec<Wrapped>| {
        map_of([
            ("age", age_list(keys)),
            ("hc_vault", Node::List(List::default())),
        ])
    };
    vec![
        ("key_groups", list_of(groups.iter().map(group))),
        ("shamir_threshold", int_node(&threshold.to_string())),
    ]
}

fn age_list(keys: &[Wrapped]) -> Node {
    list_of(keys.iter().map(|(recipient, armored)| {
        map_of([
            ("enc", text_node(armored)),
            ("recipient", text_node(recipient)),
        ])
    }))
}

/// Another value for a field of a block; `None` takes it out.
pub(super) type FieldChange = (&'static str, Option<Node>);

/// Makes `changes` in the fields of a block.
pub(super) fn change(fields: &mut Map, changes: &[FieldChange]) {
    for (name, value) in changes {
        match value {
            Some(value) => set_field(fields, name, value.clone()),
            None => fields
                .items
                .retain(|item| !matches!(item, MapItem::Entry(entry) if entry.key == *name)),
        }
    }
}

/// The same in a document whose entry `sops` is the block.
pub(super) fn change_root(root: &mut Map, changes: &[FieldChange]) {
    for item in &mut root.items {
        if let MapItem::Entry(Entry {
            key,
            value: Node::Map(fields),
            ..
        }) = item
            && key == METADATA_KEY
        {
            change(fields, changes);
        }
    }
}

/// Gives the field `name` of a block another value: in the place of the former one, else where the
/// alphabet wants it. A text that takes the place of one keeps its quotes.
fn set_field(map: &mut Map, name: &str, value: Node) {
    let former = map.items.iter_mut().find_map(|item| match item {
        MapItem::Entry(entry) if entry.key == name => Some(&mut entry.value),
        _ => None,
    });
    match (former, value) {
        (Some(Node::Leaf(old)), Node::Leaf(new)) => (old.kind, old.text) = (new.kind, new.text),
        (Some(old), value) => *old = value,
        (None, value) => {
            let behind =
                |item: &MapItem| matches!(item, MapItem::Entry(entry) if entry.key.as_str() > name);
            let place = map.items.iter().position(behind);
            let place = place.unwrap_or(map.items.len());
            map.items
                .insert(place, MapItem::Entry(entry_of(name, value)));
        }
    }
}
