//! One walk over the documents of a file in file order, with the path, the additional data and the
//! selection of each value and comment.

use super::rule::Rule;
use crate::secret::Secret;
use crate::tree::{
    Comment, Layout, Leaf, List, ListItem, Map, MapItem, Node, Path, Position, Step,
};

/// Where a value or comment stands, and whether the rule wants it encrypted.
#[derive(Debug)]
pub(super) struct Place {
    /// Counted from 0. SOPS authenticates it nowhere.
    pub(super) document: usize,
    pub(super) path: Path,
    /// All keys on the way, each with a colon behind it; for a comment those of what encloses it.
    pub(super) aad: String,
    pub(super) selected: bool,
    pub(super) home: Home,
}

/// The map or list that holds a value or comment directly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) is_list: bool,
    pub(super) layout: Layout,
    /// Of its keys or dashes, counted from 1.
    pub(super) column: u32,
}

impl Place {
    /// What SOPS authenticates with a comment: as with a value, but one colon at the root.
    pub(super) fn comment_aad(&self) -> &str {
        if self.aad.is_empty() { ":" } else { &self.aad }
    }
}

/// What became of a value.
pub(super) enum Outcome {
    /// It is one.
    Value,
    /// It is the comment with this text, as SOPS writes sealed comments into lists.
    Comment(Secret),
}

/// What is done to each value and comment.
pub(super) trait Visitor {
    type Error;

    fn value(&mut self, leaf: &mut Leaf, place: &Place) -> Result<Outcome, Self::Error>;

    /// Gives the text of an item of the list that the comment becomes, if it becomes one.
    fn comment(
        &mut self,
        comment: &mut Comment,
        place: &Place,
    ) -> Result<Option<Secret>, Self::Error>;
}

/// Leads `visitor` through `documents`.
pub(super) fn walk<V: Visitor>(
    documents: &mut [Map],
    rule: &Rule,
    visitor: &mut V,
) -> Result<(), V::Error> {
    for (document, tree) in documents.iter_mut().enumerate() {
        let place = Place {
            document,
            path: Path::default(),
            aad: String::new(),
            selected: false,
            home: Home::default(),
        };
        let mut walk = Walk {
            rule,
            visitor,
            place,
            hits: 0,
            comments: Vec::new(),
        };
        walk.map(tree)?;
    }
    Ok(())
}

struct Walk<'a, V> {
    rule: &'a Rule,
    visitor: &'a mut V,
    place: Place,
    /// How many keys on the path are hits.
    hits: usize,
    /// Per level, whether a comment above what comes next is a hit.
    comments: Vec<bool>,
}

impl<V: Visitor> Walk<'_, V> {
    fn map(&mut self, map: &mut Map) -> Result<(), V::Error> {
        let outer = self.enter(false, map.layout, map.position);
        for item in &mut map.items {
            match item {
                MapItem::Comment(comment) => {
                    // In a map a comment stays one.
                    self.comment(comment)?;
                }
                MapItem::Entry(entry) => {
                    let hit = usize::from(self.rule.hits_key(&entry.key));
                    let length = self.place.aad.len();
                    self.place.aad.push_str(&entry.key);
                    self.place.aad.push(':');
                    self.place.path.push(Step::Key(entry.key.clone()));
                    self.hits += hit;
                    // In a map a value stays a value.
                    self.node(&mut entry.value)?;
                    self.hits -= hit;
                    self.place.path.pop();
                    self.place.aad.truncate(length);
                    self.clear_level();
                }
            }
        }
        self.leave(outer);
        Ok(())
    }

    fn list(&mut self, list: &mut List) -> Result<(), V::Error> {
        let outer = self.enter(true, list.layout, list.position);
        let mut index = 0;
        for item in &mut list.items {
            match item {
                ListItem::Comment(comment) => {
                    if let Some(text) = self.comment(comment)? {
                        *item = ListItem::Node(Node::Leaf(item_of(comment, text)));
                    }
                }
                ListItem::Node(node) => {
                    self.place.path.push(Step::Index(index));
                    let outcome = self.node(node)?;
                    self.place.path.pop();
                    match outcome {
                        Outcome::Value => index += 1,
                        Outcome::Comment(text) => {
                            *item = ListItem::Comment(Comment {
                                text,
                                position: node.position(),
                                span: node.span(),
                                trailing: false,
                            });
                        }
                    }
                    self.clear_level();
                }
            }
        }
        self.leave(outer);
        Ok(())
    }

    /// Steps into a map or list; gives what was around before.
    fn enter(&mut self, is_list: bool, layout: Layout, position: Position) -> Home {
        self.comments.push(false);
        let home = Home {
            is_list,
            layout,
            column: position.column,
        };
        std::mem::replace(&mut self.place.home, home)
    }

    fn leave(&mut self, outer: Home) {
        self.comments.pop();
        self.place.home = outer;
    }

    fn node(&mut self, node: &mut Node) -> Result<Outcome, V::Error> {
        match node {
            Node::Map(map) => self.map(map).map(|()| Outcome::Value),
            Node::List(list) => self.list(list).map(|()| Outcome::Value),
            Node::Leaf(leaf) => {
                self.place.selected = self.selects();
                self.visitor.value(leaf, &self.place)
            }
        }
    }

    /// A comment that lets values be encrypted stays readable itself; one that keeps them clear is
    /// already covered by itself.
    fn comment(&mut self, comment: &mut Comment) -> Result<Option<Secret>, V::Error> {
        let hit = comment
            .text
            .expose_text()
            .is_some_and(|text| self.rule.hits_comment(text));
        let before = self.selects();
        if let (Some(level), true) = (self.comments.last_mut(), hit) {
            *level = true;
        }
        self.place.selected = if self.rule.hit_encrypts() {
            before
        } else {
            self.selects()
        };
        self.visitor.comment(comment, &self.place)
    }

    fn clear_level(&mut self) {
        if let Some(level) = self.comments.last_mut() {
            *level = false;
        }
    }

    fn selects(&self) -> bool {
        let hit = self.hits > 0 || self.comments.iter().any(|level| *level);
        hit == self.rule.hit_encrypts()
    }
}

/// The item with `text` in the place of `comment`.
fn item_of(comment: &Comment, text: Secret) -> Leaf {
    Leaf {
        kind: crate::tree::Kind::Text,
        text,
        style: crate::tree::Style::Plain,
        position: comment.position,
        span: comment.span,
        sealed: true,
    }
}
