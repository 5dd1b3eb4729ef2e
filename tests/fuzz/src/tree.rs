//! Trees as the targets compare and change them.

use sealctl::format::scalar;
use sealctl::secret::Secret;
use sealctl::tree::{
    Entry, Kind, Leaf, List, ListItem, Map, MapItem, Node, Path, Position, Span, Step, Style,
};

/// Every value, map and list with its path, in file order. Numbers, dates and bools count by their value,
/// however they are spelled: a float without fraction loses its point in SOPS.
pub fn values(documents: &[Map]) -> Vec<String> {
    let mut found = Vec::new();
    for (place, map) in documents.iter().enumerate() {
        of_map(map, &format!("{place}"), &mut found);
    }
    found
}

fn of_map(map: &Map, path: &str, found: &mut Vec<String>) {
    // INI always has this section, and SOPS prints it when it has a comment.
    if map.entries().next().is_some() || !path.ends_with("/\"DEFAULT\"") {
        found.push(format!("{path} map"));
    }
    for entry in map.entries() {
        of_node(&entry.value, &format!("{path}/{:?}", entry.key), found);
    }
}

fn of_node(node: &Node, path: &str, found: &mut Vec<String>) {
    // What is nested deeply would need paths of quadratic length.
    let path = match path.len() {
        0..2000 => path,
        _ => "deep",
    };
    match node {
        Node::Map(map) => of_map(map, path, found),
        Node::List(list) => {
            found.push(format!("{path} list"));
            for node in list.nodes() {
                of_node(node, &format!("{path}/-"), found);
            }
        }
        Node::Leaf(leaf) => found.push(format!("{path} {}", of_leaf(leaf))),
    }
}

fn of_leaf(leaf: &Leaf) -> String {
    let Some(text) = leaf.text.expose_text() else {
        return format!("bytes {:?}", leaf.text.expose());
    };
    let normal = match leaf.sealed {
        true => None,
        false => scalar::normal_form(leaf.kind, text),
    };
    let normal = normal.unwrap_or_else(|| text.to_owned());
    match leaf.kind {
        Kind::Null => "null".to_owned(),
        // SOPS, too, reads the sign of a nothing in one type and not in the other.
        Kind::Int | Kind::Float if normal == "-0" => "number 0".to_owned(),
        Kind::Int | Kind::Float => format!("number {normal}"),
        Kind::Bool => format!("bool {}", normal.to_ascii_lowercase()),
        Kind::Time => format!("time {normal}"),
        Kind::Text => format!("text {normal:?}"),
    }
}

/// Panics unless both hold the same values; says where they part.
pub fn assert_same(what: &str, found: &[Map], expected: &[Map], text: &[u8]) {
    let (found, expected) = (values(found), values(expected));
    if let Some((one, two)) = found.iter().zip(&expected).find(|(one, two)| one != two) {
        let text = String::from_utf8_lossy(text);
        panic!("{what}: {one} instead of {two} in\n{text}");
    }
    let (few, many) = (found.len(), expected.len());
    let text = String::from_utf8_lossy(text);
    let missing = expected.get(few);
    assert_eq!(
        few, many,
        "{what}: the number of values, from {missing:?} on, in\n{text}"
    );
}

/// Panics unless every value, entry and comment lies within `text`, in order, and in what it stands in.
pub fn assert_spans(documents: &[Map], text: &[u8]) {
    let whole = Span {
        start: 0,
        end: text.len(),
    };
    for map in documents {
        spans_of_map(map, whole);
    }
}

fn inside(inner: Span, outer: Span) {
    assert!(
        outer.start <= inner.start && inner.start <= inner.end && inner.end <= outer.end,
        "{inner:?} does not lie in {outer:?}"
    );
}

fn spans_of_map(map: &Map, outer: Span) {
    inside(map.span, outer);
    let mut last = 0;
    for entry in map.entries() {
        inside(entry.span, map.span);
        assert!(last <= entry.span.start, "entries overlap at {last}");
        last = entry.span.end;
        spans_of_node(&entry.value, entry.span);
    }
}

fn spans_of_node(node: &Node, outer: Span) {
    match node {
        Node::Map(map) => spans_of_map(map, outer),
        Node::List(list) => {
            inside(list.span, outer);
            for node in list.nodes() {
                spans_of_node(node, list.span);
            }
        }
        Node::Leaf(leaf) => inside(leaf.span, outer),
    }
}

/// A number that depends on every byte (FNV-1a): where a target needs a choice that the input makes.
pub fn choice(data: &[u8]) -> usize {
    let hash = data.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    });
    (hash ^ (hash >> 29)) as usize
}

/// Texts that are hard to write.
const HARD: [&str; 16] = [
    "",
    "x",
    "true",
    "12",
    " a ",
    "a: b",
    "# no comment",
    "two\nlines",
    "two\nlines\n",
    " blank\nfirst\n\n",
    "'\"\\`",
    "\ttab",
    "- item",
    "ENC[AES256_GCM,data:eA==,iv:eA==,tag:eA==,type:str]",
    "ünï \u{1F600}\u{2028}",
    "a=b;c",
];

/// A text that is hard to write.
pub fn hard_text(choice: usize) -> &'static str {
    HARD[choice % HARD.len()]
}

/// Changes one to three things in the first document. The path of the first, unless there was nothing to do.
pub fn change(documents: &mut [Map], choice: usize) -> Option<Path> {
    let first = change_once(documents, choice);
    for turn in 1..=(choice / 4096 % 3) as u32 {
        change_once(documents, choice.rotate_right(turn * 17));
    }
    first
}

/// Changes one thing in the first document that has a value: another text for a leaf, an entry taken out,
/// or a new one.
fn change_once(documents: &mut [Map], choice: usize) -> Option<Path> {
    let map = documents.first_mut()?;
    let paths = leaf_paths(map);
    let path = paths.get(choice % paths.len().max(1))?.clone();
    let text = hard_text(choice / 64);
    match choice / 8 % 4 {
        0 => remove(map, path.steps()),
        1 => add(map, path.steps(), choice),
        _ => set(map, path.steps(), text),
    }
    Some(path)
}

/// The paths of all leaves that can be named: of keys that stand twice only the first.
pub fn leaf_paths(map: &Map) -> Vec<Path> {
    let mut found = Vec::new();
    let mut path = Path::default();
    paths_of_map(map, &mut path, &mut found);
    found
}

fn paths_of_map(map: &Map, path: &mut Path, found: &mut Vec<Path>) {
    let mut seen = std::collections::BTreeSet::new();
    for entry in map.entries() {
        if seen.insert(&entry.key) {
            path.push(Step::Key(entry.key.clone()));
            paths_of_node(&entry.value, path, found);
            path.pop();
        }
    }
}

fn paths_of_node(node: &Node, path: &mut Path, found: &mut Vec<Path>) {
    // Enough of them, also where the paths are long.
    if found.len() > 200 {
        return;
    }
    match node {
        Node::Map(map) => paths_of_map(map, path, found),
        Node::List(list) => {
            for (place, node) in list.nodes().enumerate() {
                path.push(Step::Index(place));
                paths_of_node(node, path, found);
                path.pop();
            }
        }
        Node::Leaf(_) => found.push(path.clone()),
    }
}

/// The map that holds what `steps` lead to by a key at their end, with that key.
fn parent<'a, 'b>(map: &'a mut Map, steps: &'b [Step]) -> Option<(&'a mut Map, &'b str)> {
    let last = steps
        .iter()
        .rposition(|step| matches!(step, Step::Key(_)))?;
    let Step::Key(key) = &steps[last] else {
        return None;
    };
    if last == 0 {
        return Some((map, key));
    }
    match node_at(map, &steps[..last])? {
        Node::Map(map) => Some((map, key)),
        Node::List(_) | Node::Leaf(_) => None,
    }
}

fn node_at<'a>(map: &'a mut Map, steps: &[Step]) -> Option<&'a mut Node> {
    let (Step::Key(first), rest) = steps.split_first()? else {
        return None;
    };
    let entry = map.items.iter_mut().find_map(|item| match item {
        MapItem::Entry(entry) if entry.key == *first => Some(entry),
        MapItem::Entry(_) | MapItem::Comment(_) => None,
    })?;
    if rest.is_empty() {
        return Some(&mut entry.value);
    }
    match (&mut entry.value, rest) {
        (Node::Map(map), rest) => node_at(map, rest),
        (node, rest) => below_list(node, rest),
    }
}

fn below_list<'a>(node: &'a mut Node, steps: &[Step]) -> Option<&'a mut Node> {
    match (node, steps) {
        (node, []) => Some(node),
        (Node::Map(map), steps) => node_at(map, steps),
        (Node::List(list), [Step::Index(place), rest @ ..]) => {
            let nodes = list.items.iter_mut().filter_map(|item| match item {
                ListItem::Node(node) => Some(node),
                ListItem::Comment(_) => None,
            });
            below_list(nodes.into_iter().nth(*place)?, rest)
        }
        _ => None,
    }
}

fn set(map: &mut Map, steps: &[Step], text: &str) {
    if let Some(Node::Leaf(leaf)) = node_at(map, steps) {
        (leaf.kind, leaf.text) = (Kind::Text, Secret::from_text(text));
    }
}

fn remove(map: &mut Map, steps: &[Step]) {
    if let Some((parent, key)) = parent(map, steps) {
        let is_it = |item: &MapItem| matches!(item, MapItem::Entry(entry) if entry.key == key);
        if let Some(place) = parent.items.iter().position(is_it) {
            parent.items.remove(place);
        }
    }
}

/// A new entry behind the one that the path leads to, or at the end.
fn add(map: &mut Map, steps: &[Step], choice: usize) {
    let text = hard_text(choice / 64);
    if let Some((parent, _)) = parent(map, steps) {
        let value = match choice / 1024 % 4 {
            0 => list(text),
            1 => Node::Map(Map {
                items: vec![
                    new_entry("inner", leaf(text)),
                    new_entry("more", list(text)),
                ],
                ..Map::default()
            }),
            _ => leaf(text),
        };
        let key = "added by the test";
        if parent.find(key).is_none() {
            parent.items.push(new_entry(key, value));
        }
    }
}

fn list(text: &str) -> Node {
    Node::List(List {
        items: vec![ListItem::Node(leaf(text)), ListItem::Node(leaf("y"))],
        ..List::default()
    })
}

fn new_entry(key: &str, value: Node) -> MapItem {
    MapItem::Entry(Entry {
        key: key.to_owned(),
        position: Position::default(),
        span: Span::default(),
        value,
    })
}

/// A text that comes from no file.
pub fn leaf(text: &str) -> Node {
    Node::Leaf(Leaf {
        kind: Kind::Text,
        text: Secret::from_text(text),
        style: Style::Plain,
        position: Position::default(),
        span: Span::default(),
        sealed: false,
    })
}
