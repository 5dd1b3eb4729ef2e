//! The text of a document with its secrets hidden; its formatting stays.

use crate::format::yaml::{Editor, Scalar, Site};
use crate::secret::Secret;
use crate::tree::{Kind, Leaf, Map, MapItem, Node};

/// What is a secret by its place in every environment document.
const SECRET: [&str; 2] = ["secrets", "password"];

/// `text`, which was read as `tree`, with `show` in the place of every secret and of what is written about one. `beside`
/// knows of further values that they are sealed. Fields of `without` are left out, with their lines.
pub(crate) fn masked(
    text: &str,
    tree: &Map,
    beside: Option<&Map>,
    without: Option<&str>,
    show: &dyn Fn(&Secret) -> String,
) -> Secret {
    let mut masking = Masking {
        show,
        editor: Editor::new(text, tree),
    };
    let mut left = tree.clone();
    if let Some(entry) = without.and_then(|key| tree.find(key)) {
        masking.editor.remove_lines(entry);
        left.items
            .retain(|item| !matches!(item, MapItem::Entry(one) if one.key == entry.key));
    }
    masking.map(&left, beside, false);
    masking.editor.finish()
}

struct Masking<'a> {
    show: &'a dyn Fn(&Secret) -> String,
    editor: Editor<'a>,
}

impl Masking<'_> {
    fn map(&mut self, plain: &Map, beside: Option<&Map>, secret: bool) {
        for item in &plain.items {
            match item {
                // What is written about a secret is sealed with it.
                MapItem::Comment(comment) if secret => {
                    let masked = (self.show)(&comment.text);
                    self.editor.replace_comment(comment, &format!(" {masked}"));
                }
                MapItem::Comment(_) => {}
                MapItem::Entry(entry) => {
                    let secret = secret || SECRET.contains(&entry.key.as_str());
                    let beside = beside.and_then(|map| map.find(&entry.key));
                    let beside = beside.map(|entry| &entry.value);
                    self.node(&entry.value, beside, Site::in_map(plain), secret);
                }
            }
        }
    }

    fn node(&mut self, plain: &Node, beside: Option<&Node>, site: Site, secret: bool) {
        match plain {
            Node::Map(plain) => {
                let beside = match beside {
                    Some(Node::Map(map)) => Some(map),
                    _ => None,
                };
                self.map(plain, beside, secret);
            }
            Node::List(plain) => {
                let mut beside = match beside {
                    Some(Node::List(list)) => Some(list.nodes()),
                    _ => None,
                };
                for item in plain.nodes() {
                    let beside = beside.as_mut().and_then(Iterator::next);
                    self.node(item, beside, Site::in_list(plain), secret);
                }
            }
            Node::Leaf(plain) => {
                let sealed = match beside {
                    Some(Node::Leaf(leaf)) if leaf.sealed => Some(leaf),
                    _ => None,
                };
                if let Some(leaf) = sealed.or((secret && says_something(plain)).then_some(plain)) {
                    let masked = (self.show)(&leaf.text);
                    self.editor
                        .replace_leaf(plain, site, &Scalar::text(&masked));
                }
            }
        }
    }
}

fn says_something(leaf: &Leaf) -> bool {
    leaf.kind != Kind::Null && !leaf.text.is_empty()
}
