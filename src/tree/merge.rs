//! Merging two changed copies of a tree, key by key.
//!
//! Lists and scalars are taken or left as a whole. The order of keys is that of ours; what is new comes last.

use super::compare::is_same;
use super::{Leaf, Map, Node, Path, Step};

/// What has to be done to ours so that it holds what both sides wanted.
#[derive(Debug, Default)]
pub struct Merge {
    /// What theirs changed and ours did not.
    pub takes: Vec<Take>,
    /// Where both sides changed the same value in different ways, in the order of ours.
    pub conflicts: Vec<Path>,
}

/// One value of theirs.
#[derive(Debug)]
pub struct Take {
    /// Where it belongs.
    pub path: Path,
    /// The value, as if it came from no file; `None` when theirs has none there.
    pub value: Option<Node>,
}

/// Merges `ours` and `theirs`, which were made from `base`.
#[must_use]
pub fn merge(base: &Map, ours: &Map, theirs: &Map) -> Merge {
    let mut merge = Merge::default();
    merge.map(base, ours, theirs, &mut Path::default());
    merge
}

impl Merge {
    fn map(&mut self, base: &Map, ours: &Map, theirs: &Map, path: &mut Path) {
        let of_ours = ours.entries().map(|entry| entry.key.as_str());
        let is_new = |key: &&str| ours.find(key).is_none();
        let of_theirs = theirs.entries().map(|entry| entry.key.as_str());
        for key in of_ours.chain(of_theirs.filter(is_new)) {
            let value = |map: &'_ Map| map.find(key).map(|entry| entry.value.clone());
            path.push(Step::Key(key.to_owned()));
            self.value(value(base), value(ours), value(theirs), path);
            path.pop();
        }
    }

    fn value(
        &mut self,
        base: Option<Node>,
        ours: Option<Node>,
        theirs: Option<Node>,
        path: &mut Path,
    ) {
        if is_one(ours.as_ref(), theirs.as_ref()) || is_one(base.as_ref(), theirs.as_ref()) {
            return;
        }
        // Before anything else, so that comments of ours within stay.
        if let (Some(Node::Map(ours)), Some(Node::Map(theirs))) = (&ours, &theirs) {
            let nothing = Map::default();
            let base = match &base {
                Some(Node::Map(base)) => base,
                _ => &nothing,
            };
            self.map(base, ours, theirs, path);
        } else if is_one(base.as_ref(), ours.as_ref()) {
            self.takes.push(Take {
                path: path.clone(),
                value: theirs.map(Node::without_places),
            });
        } else {
            self.conflicts.push(path.clone());
        }
    }
}

/// Whether both are there and the same, or neither is.
fn is_one(one: Option<&Node>, other: Option<&Node>) -> bool {
    let leaf = |one: &Leaf, other: &Leaf| one.kind == other.kind && one.text == other.text;
    match (one, other) {
        (Some(one), Some(other)) => is_same(one, other, &leaf),
        (None, None) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::yaml;
    use crate::secret::Secret;
    use crate::sops::{Edit, edit};

    /// Two levels of a few keys; no key twice.
    fn documents() -> impl Strategy<Value = String> {
        let inner = prop::collection::btree_map("[a-c]", "[0-3]|x", 0..4);
        prop::collection::btree_map("[k-n]", inner, 0..4).prop_map(|maps| {
            let mut text = String::new();
            for (key, inner) in maps {
                text.push_str(&key);
                text.push_str(if inner.is_empty() { ": {}\n" } else { ":\n" });
                for (key, value) in inner {
                    text.push_str(&["    ", &key, ": '", &value, "'\n"].concat());
                }
            }
            text
        })
    }

    fn read(text: &str) -> Map {
        yaml::parse(text).unwrap()
    }

    /// `ours` with what is to be taken.
    fn merged(base: &str, ours: &str, theirs: &str) -> (Map, Vec<Path>) {
        let Merge { takes, conflicts } = merge(&read(base), &read(ours), &read(theirs));
        let edits: Vec<Edit> = takes.into_iter().map(Edit::from).collect();
        let text = edit(
            crate::format::Format::Yaml,
            &Secret::from_text(ours),
            &edits,
        )
        .unwrap();
        (read(text.expose_text().unwrap()), conflicts)
    }

    /// The values by their paths: the order of keys may differ.
    fn values(map: &Map) -> std::collections::BTreeMap<String, String> {
        let mut found = std::collections::BTreeMap::new();
        for entry in map.entries() {
            let Node::Map(inner) = &entry.value else {
                continue;
            };
            found.insert(entry.key.clone(), String::new());
            for leaf in inner.entries() {
                let Node::Leaf(value) = &leaf.value else {
                    continue;
                };
                let text = value.text.expose_text().unwrap().to_owned();
                found.insert(format!("{}.{}", entry.key, leaf.key), text);
            }
        }
        found
    }

    proptest! {
        #[test]
        fn what_only_one_side_changed_is_taken(base in documents(), changed in documents()) {
            let (left, conflicts) = merged(&base, &changed, &base);
            prop_assert!(conflicts.is_empty());
            prop_assert_eq!(values(&left), values(&read(&changed)));
            let (right, conflicts) = merged(&base, &base, &changed);
            prop_assert!(conflicts.is_empty());
            prop_assert_eq!(values(&right), values(&read(&changed)));
            let (both, conflicts) = merged(&base, &changed, &changed);
            prop_assert!(conflicts.is_empty());
            prop_assert_eq!(values(&both), values(&read(&changed)));
        }

        #[test]
        fn both_ways_lead_to_the_same(base in documents(), one in documents(), other in documents()) {
            let (left, conflicts) = merged(&base, &one, &other);
            let (right, mirrored) = merged(&base, &other, &one);
            prop_assert_eq!(conflicts.len(), mirrored.len());
            if conflicts.is_empty() {
                prop_assert_eq!(values(&left), values(&right));
            }
        }
    }
}
