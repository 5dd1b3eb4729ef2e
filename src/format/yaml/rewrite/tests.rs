use proptest::prelude::*;

use super::*;
use crate::format::yaml::parse;
use crate::tree::{Comment, Entry, Kind, List, ListItem, MapItem};

/// What a value of a generated text looks like, behind its key or dash.
fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-z]{1,6}",
        "[a-z]{1,4}( [a-z]{1,4}){1,2}",
        "'[a-z #:]{0,6}'",
        "\"[a-z #:]{0,6}\"",
        Just("12".to_owned()),
        Just("true".to_owned()),
        Just("1.5".to_owned()),
        Just("{}".to_owned()),
        Just("[]".to_owned()),
        Just("[a, 'b c', {d: e}]".to_owned()),
        Just("{a: 1, b: [x, y], c: null}".to_owned()),
        Just("|\n@@x\n\n@@  y".to_owned()),
        Just("|-\n@@x\n@@y".to_owned()),
        Just(">\n@@x\n@@y".to_owned()),
        Just("|+\n@@x\n".to_owned()),
    ]
}

/// A text line by line: `@` in a line stands for one level of indentation below it.
#[derive(Debug, Clone)]
enum Shape {
    Scalar(String, bool),
    Map(Vec<(String, Self, u8)>),
    List(Vec<(Self, u8)>),
}

fn shape() -> impl Strategy<Value = Shape> {
    let leaf = (scalar(), any::<bool>()).prop_map(|(text, comment)| Shape::Scalar(text, comment));
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec((inner.clone(), 0..8u8), 1..4).prop_map(Shape::List),
            map_of(inner),
        ]
    })
}

fn map_of(inner: impl Strategy<Value = Shape>) -> impl Strategy<Value = Shape> {
    prop::collection::vec(("[a-z]{1,3}", inner, 0..8u8), 1..4).prop_map(|entries| {
        let number = |(place, (key, shape, extra))| (format!("{key}{place}"), shape, extra);
        Shape::Map(entries.into_iter().enumerate().map(number).collect())
    })
}

fn extra_lines(text: &mut String, extra: u8, indent: usize) {
    match extra {
        1 => text.push('\n'),
        2 => *text += &(" ".repeat(indent) + "# note\n"),
        3 => *text += &("\n".to_owned() + &" ".repeat(indent) + "# note\n\n"),
        4 | 5 => *text += &(" ".repeat(indent + 7) + "\n"),
        _ => {}
    }
}

/// Prints what follows a key or dash.
fn print(text: &mut String, shape: &Shape, indent: usize, step: usize, behind_dash: bool) {
    match shape {
        Shape::Scalar(value, comment) => {
            let (first, rest) = value.split_once('\n').unwrap_or((value, ""));
            text.push_str(if first.is_empty() { "" } else { " " });
            text.push_str(first);
            text.push_str(if *comment && !first.is_empty() {
                " # why"
            } else {
                ""
            });
            text.push('\n');
            if value.contains('\n') {
                text.push_str(&rest.replace("@@", &" ".repeat(indent + step)));
                text.push('\n');
            }
        }
        Shape::Map(entries) => {
            let column = if behind_dash {
                indent + 2
            } else {
                indent + step
            };
            for (place, (key, value, extra)) in entries.iter().enumerate() {
                if place == 0 && behind_dash {
                    text.push(' ');
                } else {
                    text.push_str(if place == 0 { "\n" } else { "" });
                    extra_lines(text, *extra, column);
                    text.push_str(&" ".repeat(column));
                }
                text.push_str(key);
                text.push(':');
                print(text, value, column, step, false);
            }
        }
        Shape::List(items) => {
            let column = if behind_dash {
                indent + 2
            } else {
                indent + step
            };
            for (place, (value, extra)) in items.iter().enumerate() {
                if place == 0 && behind_dash {
                    text.push(' ');
                } else {
                    text.push_str(if place == 0 { "\n" } else { "" });
                    extra_lines(text, *extra, column);
                    text.push_str(&" ".repeat(column));
                }
                text.push('-');
                print(text, value, column, step, true);
            }
        }
    }
}

/// YAML texts with everything that the scanner keeps.
pub(in crate::format::yaml) fn texts() -> impl Strategy<Value = String> {
    let root = map_of(shape());
    (root, 1..5usize, any::<bool>(), any::<bool>()).prop_map(|(root, step, last_break, crlf)| {
        let mut text = String::new();
        let Shape::Map(entries) = root else {
            unreachable!()
        };
        for (key, value, extra) in entries {
            extra_lines(&mut text, extra, 0);
            text.push_str(&key);
            text.push(':');
            print(&mut text, &value, 0, step, false);
        }
        if !last_break {
            text.pop();
        }
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        text
    })
}

/// The nodes of a tree without spans and styles, comments in their order.
pub(in crate::format::yaml) fn content(map: &Map) -> Vec<String> {
    let mut lines = Vec::new();
    map_content(map, 0, &mut lines);
    lines
}

fn map_content(map: &Map, depth: usize, lines: &mut Vec<String>) {
    for item in &map.items {
        match item {
            MapItem::Comment(comment) => comment_content(comment, depth, lines),
            MapItem::Entry(entry) => {
                lines.push(format!("{depth} key {}", entry.key));
                node_content(&entry.value, depth, lines);
            }
        }
    }
}

fn comment_content(comment: &Comment, depth: usize, lines: &mut Vec<String>) {
    let text = comment.text.expose_text().unwrap();
    lines.push(format!("{depth} #{text}"));
}

fn node_content(node: &Node, depth: usize, lines: &mut Vec<String>) {
    match node {
        Node::Leaf(leaf) => {
            let text = leaf.text.expose_text().unwrap();
            let text = if leaf.kind == Kind::Null { "" } else { text };
            lines.push(format!("{depth} {:?} {text:?}", leaf.kind));
        }
        Node::Map(map) => {
            lines.push(format!("{depth} map"));
            map_content(map, depth + 1, lines);
        }
        Node::List(list) => {
            lines.push(format!("{depth} list"));
            for item in &list.items {
                match item {
                    ListItem::Comment(comment) => comment_content(comment, depth + 1, lines),
                    ListItem::Node(node) => node_content(node, depth + 1, lines),
                }
            }
        }
    }
}

fn leaves<'a>(node: &'a mut Node, found: &mut Vec<&'a mut Leaf>) {
    match node {
        Node::Leaf(leaf) => found.push(leaf),
        Node::Map(map) => leaves_of_map(map, found),
        Node::List(list) => {
            for item in &mut list.items {
                if let ListItem::Node(node) = item {
                    leaves(node, found);
                }
            }
        }
    }
}

fn leaves_of_map<'a>(map: &'a mut Map, found: &mut Vec<&'a mut Leaf>) {
    for item in &mut map.items {
        if let MapItem::Entry(entry) = item {
            leaves(&mut entry.value, found);
        }
    }
}

pub(in crate::format::yaml) fn text_leaf(text: &str) -> Leaf {
    Leaf {
        kind: Kind::Text,
        text: Secret::from_text(text),
        style: Style::Plain,
        position: Position::default(),
        span: Span::default(),
        sealed: false,
    }
}

pub(in crate::format::yaml) fn new_entry(key: &str, value: Node) -> MapItem {
    MapItem::Entry(Entry {
        key: key.to_owned(),
        position: Position::default(),
        span: Span::default(),
        value,
    })
}

fn rewritten(source: &str, before: &Map, after: &Map) -> String {
    let result = rewrite(
        source,
        std::slice::from_ref(before),
        std::slice::from_ref(after),
    );
    result.expose_text().unwrap().to_owned()
}

/// `text` with nothing on lines that held only blanks.
fn without_blanks(text: &str) -> String {
    let line = |line: &str| {
        let bare = line.trim_start_matches(' ');
        let is_empty = matches!(bare, "" | "\n" | "\r\n");
        if is_empty { bare } else { line }.to_owned()
    };
    text.split_inclusive('\n').map(line).collect()
}

/// Runs `change` on the map that comes `place`th; gives what `change` gave.
fn in_map<T>(map: &mut Map, place: usize, change: impl FnOnce(&mut Map) -> T) -> T {
    fn count(map: &Map) -> usize {
        1 + map
            .entries()
            .map(|entry| of_node(&entry.value))
            .sum::<usize>()
    }
    fn of_node(node: &Node) -> usize {
        match node {
            Node::Leaf(_) => 0,
            Node::Map(map) => count(map),
            Node::List(list) => list.nodes().map(of_node).sum(),
        }
    }
    fn walk<'a>(map: &'a mut Map, place: &mut usize) -> Option<&'a mut Map> {
        if *place == 0 {
            return Some(map);
        }
        *place -= 1;
        let here = &mut map.items;
        here.iter_mut().find_map(|item| match item {
            MapItem::Entry(entry) => walk_node(&mut entry.value, place),
            MapItem::Comment(_) => None,
        })
    }
    fn walk_node<'a>(node: &'a mut Node, place: &mut usize) -> Option<&'a mut Map> {
        match node {
            Node::Leaf(_) => None,
            Node::Map(map) => walk(map, place),
            Node::List(list) => list.items.iter_mut().find_map(|item| match item {
                ListItem::Node(node) => walk_node(node, place),
                ListItem::Comment(_) => None,
            }),
        }
    }
    let mut place = place % count(map);
    change(walk(map, &mut place).unwrap())
}

pub(in crate::format::yaml) fn hard_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,5}",
        "[ -~\n\t]{0,12}",
        Just("ENC[AES256_GCM,data:eA==,iv:eA==,tag:eA==,type:str]".to_owned()),
        Just("a\nb\n".to_owned()),
        Just("\u{1F600}\u{85}".to_owned()),
    ]
}

#[test]
fn blanks_below_what_is_taken_out_do_not_become_text_of_a_block() {
    let source = "k: |\n  a\nb: 1\n       \nc: 2\n";
    let before = parse(source).unwrap();
    let mut after = before.clone();
    after.items.remove(1);
    let result = rewritten(source, &before, &after);
    assert_eq!(result, "k: |\n  a\n\nc: 2\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_did_not_change_comes_back(source in texts()) {
        let tree = parse(&source).unwrap();
        prop_assert_eq!(rewritten(&source, &tree, &tree), source);
    }

    #[test]
    fn a_changed_leaf_reads_back_and_changes_nothing_else(
        source in texts(), place in any::<prop::sample::Index>(), text in hard_text(),
    ) {
        let before = parse(&source).unwrap();
        let mut after = before.clone();
        let mut found = Vec::new();
        leaves_of_map(&mut after, &mut found);
        prop_assume!(!found.is_empty());
        let leaf = found.swap_remove(place.index(found.len()));
        let span = leaf.span;
        (leaf.text, leaf.kind) = (Secret::from_text(&text), Kind::Text);
        let result = rewritten(&source, &before, &after);
        let read = parse(&result).unwrap();
        prop_assert_eq!(content(&read), content(&after), "\n{}\nto\n{}", source, result);
        // A comment behind the value goes above it when it becomes a block text.
        let commented = source[span.start..].contains('#');
        prop_assert!(result.starts_with(&source[..span.start]) || commented);
        let rest = without_blanks(&source[span.end..]);
        prop_assert!(without_blanks(&result).ends_with(&rest) || commented);
    }

    #[test]
    fn an_entry_that_is_taken_out_is_gone_and_nothing_else(
        source in texts(), map in any::<usize>(), place in any::<prop::sample::Index>(),
    ) {
        let before = parse(&source).unwrap();
        let mut after = before.clone();
        in_map(&mut after, map, |map| {
            if !map.items.is_empty() {
                map.items.remove(place.index(map.items.len()));
            }
        });
        let result = rewritten(&source, &before, &after);
        let read = parse(&result).unwrap();
        // A comment in a map that loses its last entry is read in front of it afterwards.
        let (notes, entries): (Vec<_>, Vec<_>) =
            content(&read).into_iter().partition(|line| line.contains(" #"));
        let (old_notes, old_entries): (Vec<_>, Vec<_>) =
            content(&after).into_iter().partition(|line| line.contains(" #"));
        prop_assert_eq!(entries, old_entries, "\n{}\nto\n{}", source, result);
        prop_assert_eq!(notes.len(), old_notes.len(), "\n{}\nto\n{}", source, result);
    }

    #[test]
    fn a_new_entry_is_read_where_it_was_put(
        source in texts(), map in any::<usize>(), place in any::<prop::sample::Index>(),
        nested in 0..3,
    ) {
        let before = parse(&source).unwrap();
        let mut after = before.clone();
        in_map(&mut after, map, |map| {
            let leaf = Node::Leaf(text_leaf("value"));
            let value = match nested {
                0 => leaf,
                1 => Node::Map(Map { items: vec![new_entry("x", leaf)], ..Map::default() }),
                _ => Node::List(List { items: vec![ListItem::Node(leaf)], ..List::default() }),
            };
            let place = place.index(map.items.len() + 1);
            let trailing = |item: &MapItem| matches!(item, MapItem::Comment(_));
            let place = if map.items[..place].last().is_some_and(trailing) { 0 } else { place };
            map.items.insert(place, new_entry("new", value));
        });
        let result = rewritten(&source, &before, &after);
        let read = parse(&result).unwrap();
        let entries = |map: &Map| -> Vec<String> {
            content(map).into_iter().filter(|line| !line.contains(" #")).collect()
        };
        prop_assert_eq!(entries(&read), entries(&after), "\n{}\nto\n{}", source, result);
    }

    #[test]
    fn a_value_becomes_a_map_or_a_list(
        source in texts(), map in any::<usize>(), place in any::<prop::sample::Index>(),
        list in any::<bool>(),
    ) {
        let before = parse(&source).unwrap();
        let mut after = before.clone();
        in_map(&mut after, map, |map| {
            let mut entries = map.items.iter_mut().filter_map(|item| match item {
                MapItem::Entry(entry) => Some(entry),
                MapItem::Comment(_) => None,
            }).collect::<Vec<_>>();
            if entries.is_empty() {
                return;
            }
            let place = place.index(entries.len());
            let leaf = Node::Leaf(text_leaf("value"));
            entries[place].value = if list {
                Node::List(List { items: vec![ListItem::Node(leaf)], ..List::default() })
            } else {
                Node::Map(Map { items: vec![new_entry("x", leaf)], ..Map::default() })
            };
        });
        let result = rewritten(&source, &before, &after);
        let read = parse(&result).unwrap();
        let entries = |map: &Map| -> Vec<String> {
            content(map).into_iter().filter(|line| !line.contains(" #")).collect()
        };
        prop_assert_eq!(entries(&read), entries(&after), "\n{}\nto\n{}", source, result);
    }
}
