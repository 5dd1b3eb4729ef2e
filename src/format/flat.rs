//! Nested maps and lists as flat names, for formats that have only keys and values.
//!
//! `a: {b: [x, y]}` is `a__map_b__list_0` and `a__map_b__list_1`; empty maps and lists vanish. A line break
//! in a value is written as the two characters `\n`.

use std::collections::BTreeMap;

use super::sink::printed;
use super::untyped::{put_joined, spelled, with_line_breaks};
use crate::secret::Secret;
use crate::tree::{Entry, Kind, Layout, Leaf, List, ListItem, Map, MapItem, Node, Position, Span};

const INTO_MAP: &str = "__map_";
const INTO_LIST: &str = "__list_";

/// Most maps and lists in each other.
const DEPTH: usize = 100;

/// Names that make no tree, or a tree that has no names. Names the field, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlatError {
    /// The place in a list is no number.
    #[error("the place in the list of {name} is no number")]
    Place {
        /// The flat name.
        name: String,
    },
    /// A list does not begin at 0, or leaves a place out.
    #[error("the list of {name} is incomplete")]
    Gap {
        /// The flat name of an item of the list, or of something in one.
        name: String,
    },
    /// Two names ask for two things in one place.
    #[error("{name} contradicts another name")]
    Conflict {
        /// The flat name.
        name: String,
    },
    /// Too many maps and lists lie in each other.
    #[error("the maps and lists are nested too deeply")]
    TooDeep,
}

/// The values of `map` by their flat names, in file order. Nothing (`null`), comments, and empty maps and
/// lists are left out, and so is what lies deeper than 100 levels, which [`unflatten`] does not take.
#[must_use]
pub fn flatten(map: &Map) -> Vec<(String, Secret)> {
    let mut flat = Vec::new();
    for entry in map.entries() {
        let mut name = entry.key.clone();
        add(&mut flat, &mut name, &entry.value, 1);
    }
    flat
}

fn add(flat: &mut Vec<(String, Secret)>, name: &mut String, node: &Node, depth: usize) {
    let length = name.len();
    match node {
        Node::Map(_) | Node::List(_) if depth >= DEPTH => {}
        Node::Map(map) => {
            for entry in map.entries() {
                name.push_str(INTO_MAP);
                name.push_str(&entry.key);
                add(flat, name, &entry.value, depth + 1);
                name.truncate(length);
            }
        }
        Node::List(list) => {
            for (place, node) in list.nodes().enumerate() {
                name.push_str(INTO_LIST);
                name.push_str(&place.to_string());
                add(flat, name, node, depth + 1);
                name.truncate(length);
            }
        }
        Node::Leaf(leaf) if leaf.kind == Kind::Null => {}
        Node::Leaf(leaf) => flat.push((name.clone(), on_one_line(leaf))),
    }
}

/// The value with `\n` in the place of line breaks.
fn on_one_line(leaf: &Leaf) -> Secret {
    let text = spelled(leaf);
    let printed = printed(|sink| {
        put_joined(sink, text.split(|&byte| byte == b'\n'), br"\n");
        Ok::<(), std::convert::Infallible>(())
    });
    match printed {
        Ok(line) => line,
    }
}

/// A value that is being put together.
enum Part<'a> {
    /// It is not known yet what.
    Nothing,
    Leaf(&'a Leaf),
    Map(BTreeMap<&'a str, Self>),
    /// With a name that leads there.
    List(&'a str, BTreeMap<usize, Self>),
}

/// One step of a flat name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step<'a> {
    Map(&'a str),
    List(usize),
}

/// The map that flat names stand for, with its keys in the order of the alphabet. Values keep their
/// places; `\n` in them becomes a line break. Of a name that stands twice the last counts.
///
/// # Errors
/// For names that contradict each other, for lists with gaps, for nesting deeper than 100 levels.
pub fn unflatten<'a>(
    values: impl IntoIterator<Item = (&'a str, &'a Leaf)>,
) -> Result<Map, FlatError> {
    let mut root = Part::Map(BTreeMap::new());
    for (name, leaf) in values {
        insert(&mut root, name, leaf)?;
    }
    match node(root)? {
        Node::Map(map) => Ok(map),
        Node::List(_) | Node::Leaf(_) => Ok(Map::default()),
    }
}

fn insert<'a>(root: &mut Part<'a>, name: &'a str, leaf: &'a Leaf) -> Result<(), FlatError> {
    let conflict = || FlatError::Conflict {
        name: name.to_owned(),
    };
    let mut part = root;
    for step in steps(name)? {
        if let Part::Nothing = part {
            *part = match step {
                Step::Map(_) => Part::Map(BTreeMap::new()),
                Step::List(_) => Part::List(name, BTreeMap::new()),
            };
        }
        part = match (part, step) {
            (Part::Map(map), Step::Map(key)) => map.entry(key).or_insert(Part::Nothing),
            (Part::List(_, list), Step::List(place)) => list.entry(place).or_insert(Part::Nothing),
            _ => return Err(conflict()),
        };
    }
    match part {
        Part::Nothing | Part::Leaf(_) => *part = Part::Leaf(leaf),
        Part::Map(_) | Part::List(..) => return Err(conflict()),
    }
    Ok(())
}

/// The steps from the root that `name` describes.
fn steps(name: &str) -> Result<Vec<Step<'_>>, FlatError> {
    let mut steps = Vec::new();
    // Where the current step begins, and whether it is one into a list.
    let (mut start, mut into_list) = (0, false);
    let mut at = 0;
    loop {
        let rest = name.get(at..).unwrap_or_default();
        let next = rest.find("__").map(|place| at + place);
        let behind = next.and_then(|next| {
            let rest = name.get(next..)?;
            let separators = [(INTO_MAP, false), (INTO_LIST, true)];
            let found = |(word, _): &(&str, bool)| rest.starts_with(word);
            let (word, list) = separators.into_iter().find(found)?;
            Some((next + word.len(), list))
        });
        if let (Some(next), None) = (next, behind) {
            at = next + 1;
            continue;
        }
        let step = name
            .get(start..next.unwrap_or(name.len()))
            .unwrap_or_default();
        steps.push(if into_list {
            let place = step.parse().map_err(|_| FlatError::Place {
                name: name.to_owned(),
            })?;
            Step::List(place)
        } else {
            Step::Map(step)
        });
        if steps.len() > DEPTH {
            return Err(FlatError::TooDeep);
        }
        let Some((behind, list)) = behind else {
            return Ok(steps);
        };
        (start, into_list, at) = (behind, list, behind);
    }
}

fn node(part: Part<'_>) -> Result<Node, FlatError> {
    match part {
        Part::Nothing => Ok(Node::Map(Map::default())),
        Part::Leaf(leaf) => Ok(Node::Leaf(Leaf {
            text: on_many_lines(leaf),
            ..leaf.clone()
        })),
        Part::Map(parts) => {
            let mut items = Vec::with_capacity(parts.len());
            for (key, part) in parts {
                let value = node(part)?;
                items.push(MapItem::Entry(Entry {
                    key: key.to_owned(),
                    position: value.position(),
                    span: value.span(),
                    value,
                }));
            }
            let first = items.first().map(|item| match item {
                MapItem::Entry(entry) => (entry.position, entry.span),
                MapItem::Comment(comment) => (comment.position, comment.span),
            });
            let (position, span) = first.unwrap_or_default();
            Ok(Node::Map(Map {
                items,
                position,
                span,
                layout: Layout::Block,
            }))
        }
        Part::List(name, parts) => {
            let complete = parts.keys().enumerate().all(|(place, &key)| place == key);
            if !complete {
                let name = name.to_owned();
                return Err(FlatError::Gap { name });
            }
            let nodes: Result<Vec<Node>, FlatError> = parts.into_values().map(node).collect();
            let nodes = nodes?;
            let (position, span) = nodes
                .first()
                .map_or((Position::default(), Span::default()), |node| {
                    (node.position(), node.span())
                });
            Ok(Node::List(List {
                items: nodes.into_iter().map(ListItem::Node).collect(),
                position,
                span,
                layout: Layout::Block,
            }))
        }
    }
}

/// The value with line breaks in the place of `\n`.
fn on_many_lines(leaf: &Leaf) -> Secret {
    Secret::new(with_line_breaks(leaf.text.expose()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::shape::{Shape, any_text, text};

    fn read(values: &[(&str, &str)]) -> Result<Shape, FlatError> {
        let leaves: Vec<(&str, Node)> = values
            .iter()
            .map(|(name, value)| (*name, text(value).node()))
            .collect();
        let values = leaves.iter().map(|(name, node)| match node {
            Node::Leaf(leaf) => (*name, leaf),
            _ => panic!("no leaf"),
        });
        unflatten(values).map(|map| Shape::of_map(&map))
    }

    fn map(entries: &[(&str, Shape)]) -> Shape {
        let entry = |(key, value): &(&str, Shape)| (Some((*key).to_owned()), value.clone());
        Shape::Map(entries.iter().map(entry).collect())
    }

    #[test]
    fn names_are_those_of_sops() {
        let key = |enc: &str| map(&[("enc", text(enc)), ("recipient", text("r"))]);
        let group =
            |keys: Vec<Shape>| map(&[("age", Shape::List(keys)), ("pgp", Shape::List(Vec::new()))]);
        let tree = map(&[
            (
                "key_groups",
                Shape::List(vec![
                    group(vec![key("a\nb\n")]),
                    group(vec![key("c"), key("d")]),
                ]),
            ),
            (
                "mac_only_encrypted",
                Shape::Leaf(Kind::Bool, b"true".to_vec()),
            ),
            ("nothing", Shape::Leaf(Kind::Null, Vec::new())),
            ("shamir_threshold", Shape::Leaf(Kind::Int, b"2".to_vec())),
        ]);
        let flat = flatten(&tree.map());
        let flat: Vec<(&str, &str)> = flat
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose_text().unwrap()))
            .collect();
        assert_eq!(
            flat,
            [
                ("key_groups__list_0__map_age__list_0__map_enc", "a\\nb\\n"),
                ("key_groups__list_0__map_age__list_0__map_recipient", "r"),
                ("key_groups__list_1__map_age__list_0__map_enc", "c"),
                ("key_groups__list_1__map_age__list_0__map_recipient", "r"),
                ("key_groups__list_1__map_age__list_1__map_enc", "d"),
                ("key_groups__list_1__map_age__list_1__map_recipient", "r"),
                ("mac_only_encrypted", "true"),
                ("shamir_threshold", "2"),
            ]
        );
    }

    #[test]
    fn lists_are_in_the_order_of_their_numbers() {
        let values: Vec<(String, String)> = (0..12)
            .rev()
            .map(|place| (format!("a__list_{place}"), place.to_string()))
            .collect();
        let values: Vec<(&str, &str)> = values
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let numbers = (0..12).map(|place: i32| text(&place.to_string())).collect();
        assert_eq!(read(&values), Ok(map(&[("a", Shape::List(numbers))])));
    }

    #[test]
    fn both_spellings_of_line_breaks_are_read() {
        let expected = Ok(map(&[("a", text("x\ny\\"))]));
        assert_eq!(read(&[("a", "x\\ny\\")]), expected);
        assert_eq!(read(&[("a", "x\ny\\")]), expected);
    }

    #[test]
    fn names_that_make_no_tree_are_refused() {
        let gap = |name: &str| {
            Err(FlatError::Gap {
                name: name.to_owned(),
            })
        };
        assert_eq!(read(&[("a__list_1", "x")]), gap("a__list_1"));
        let huge = [("a__list_0", "x"), ("a__list_4000000000", "x")];
        assert_eq!(read(&huge), gap("a__list_0"));
        for name in [
            "a__list_",
            "a__list_x",
            "a__list_-1",
            "a__list_0__list_99999999999999999999",
        ] {
            let error = read(&[(name, "x")]).unwrap_err();
            assert!(matches!(error, FlatError::Place { .. }), "{name}");
        }
        for [first, second] in [
            ["a", "a__map_b"],
            ["a__map_b", "a"],
            ["a__map_b", "a__list_0"],
            ["a__list_0", "a__list_0__map_x"],
        ] {
            let error = read(&[(first, "x"), (second, "y")]).unwrap_err();
            let name = second.to_owned();
            assert_eq!(error, FlatError::Conflict { name });
        }
        let deep = "__map_".repeat(100_000);
        assert_eq!(read(&[(&deep, "x")]), Err(FlatError::TooDeep));
        let deep = (0..200).fold(text("x"), |inner, _| Shape::List(vec![inner]));
        let tree = map(&[("a", deep)]).map();
        assert!(flatten(&tree).is_empty());
    }

    #[test]
    fn a_name_that_stands_twice_counts_once() {
        assert_eq!(
            read(&[("a", "x"), ("a", "y"), ("", "z"), ("a___map_b", "1")]),
            Ok(map(&[
                ("", text("z")),
                ("a", text("y")),
                ("a_", map(&[("b", text("1"))])),
            ]))
        );
    }

    /// Maps with sorted keys that are no separators, and with nothing empty in them.
    fn any_nested() -> impl Strategy<Value = Shape> {
        let leaf = any_text().prop_map(|content| text(&content.replace('\\', "")));
        leaf.prop_recursive(4, 30, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4).prop_map(Shape::List),
                any_map(inner),
            ]
        })
    }

    fn any_map(inner: impl Strategy<Value = Shape>) -> impl Strategy<Value = Shape> {
        prop::collection::btree_map("[a-z]{1,4}(_[a-z]{1,3})?", inner, 1..4).prop_map(|entries| {
            Shape::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| (Some(key), value))
                    .collect(),
            )
        })
    }

    proptest! {
        #[test]
        fn what_is_flattened_comes_back(shape in any_map(any_nested())) {
            let flat = flatten(&shape.map());
            let lines: Vec<(&str, &str)> = flat
                .iter()
                .map(|(name, value)| (name.as_str(), value.expose_text().unwrap()))
                .collect();
            prop_assert!(lines.iter().all(|(_, value)| !value.contains('\n')));
            prop_assert_eq!(read(&lines).unwrap(), shape);
        }

        #[test]
        fn no_name_is_too_strange(names in prop::collection::vec("(a|b|__map_|__list_|[0-3]|_){0,9}", 0..6)) {
            let values: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
            let _ = read(&values);
        }
    }
}
