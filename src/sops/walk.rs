//! One walk over the documents of a file in file order, with the path, the additional data and the
//! selection of each value and comment.

use super::rule::Rule;
use crate::secret::Secret;
use crate::tree::{
    Comment, Layout, Leaf, List, ListItem, Map, MapItem, Node, Path, Position, Step,
};

/// Where a value or comment stands, and whether the rule wants it encrypted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// Counted from 0. SOPS authenticates it nowhere.
    pub(super) document: usize,
    way: &'a Way<'a>,
    /// All keys on the way, each with a colon behind it; for a comment those of what encloses it.
    pub(super) aad: &'a str,
    pub(super) selected: bool,
    pub(super) home: Home,
}

/// The way from the root. A path is made of it only where one is wanted.
#[derive(Debug)]
pub(super) enum Way<'a> {
    Root,
    Key(&'a Self, &'a str),
    Index(&'a Self, usize),
}

impl Way<'_> {
    /// Bytes that stand for this way in the document with this number and for no other, in `site`: a path
    /// to look things up by that costs no allocation.
    pub(super) fn site(&self, document: usize, site: &mut Vec<u8>) {
        site.clear();
        site.extend(document.to_le_bytes());
        let mut way = self;
        loop {
            // Told apart from the end: what it is, and how long.
            way = match way {
                Self::Root => break,
                Self::Key(above, key) => {
                    site.extend(key.as_bytes());
                    site.extend(key.len().to_le_bytes());
                    site.push(b'k');
                    above
                }
                Self::Index(above, index) => {
                    site.extend(index.to_le_bytes());
                    site.push(b'i');
                    above
                }
            };
        }
    }
}

/// The map or list that holds a value or comment directly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) is_list: bool,
    pub(super) layout: Layout,
    /// Of its keys or dashes, counted from 1.
    pub(super) column: u32,
}

impl<'a> Place<'a> {
    /// What SOPS authenticates with a comment: as with a value, but one colon at the root.
    pub(super) fn comment_aad(&self) -> &'a str {
        if self.aad.is_empty() { ":" } else { self.aad }
    }

    /// See [`Way::site`].
    pub(super) fn site(&self, site: &mut Vec<u8>) {
        self.way.site(self.document, site);
    }

    /// The way from the root of the document.
    pub(super) fn path(&self) -> Path {
        let mut steps = Vec::new();
        let mut way = self.way;
        loop {
            way = match way {
                Way::Root => break,
                Way::Key(above, key) => {
                    steps.push(Step::Key((*key).to_owned()));
                    above
                }
                Way::Index(above, index) => {
                    steps.push(Step::Index(*index));
                    above
                }
            };
        }
        steps.reverse();
        Path::from(steps)
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

    fn value(&mut self, leaf: &mut Leaf, place: &Place<'_>) -> Result<Outcome, Self::Error>;

    /// Gives the text of an item of the list that the comment becomes, if it becomes one.
    fn comment(
        &mut self,
        comment: &mut Comment,
        place: &Place<'_>,
    ) -> Result<Option<Secret>, Self::Error>;
}

/// Leads `visitor` through `documents`.
pub(super) fn walk<V: Visitor>(
    documents: &mut [Map],
    rule: &Rule,
    visitor: &mut V,
) -> Result<(), V::Error> {
    for (document, tree) in documents.iter_mut().enumerate() {
        let mut walk = Walk {
            rule,
            visitor,
            document,
            aad: String::new(),
            home: Home::default(),
            hits: 0,
            comments: Vec::new(),
        };
        walk.map(tree, &Way::Root)?;
    }
    Ok(())
}

struct Walk<'a, V> {
    rule: &'a Rule,
    visitor: &'a mut V,
    document: usize,
    aad: String,
    home: Home,
    /// How many keys on the path are hits.
    hits: usize,
    /// Per level, whether a comment above what comes next is a hit.
    comments: Vec<bool>,
}

impl<V: Visitor> Walk<'_, V> {
    fn map(&mut self, map: &mut Map, way: &Way<'_>) -> Result<(), V::Error> {
        let outer = self.enter(false, map.layout, map.position);
        for item in &mut map.items {
            match item {
                MapItem::Comment(comment) => {
                    // In a map a comment stays one.
                    self.comment(comment, way)?;
                }
                MapItem::Entry(entry) => {
                    let hit = usize::from(self.rule.hits_key(&entry.key));
                    let length = self.aad.len();
                    self.aad.push_str(&entry.key);
                    self.aad.push(':');
                    self.hits += hit;
                    // In a map a value stays a value.
                    self.node(&mut entry.value, &Way::Key(way, &entry.key))?;
                    self.hits -= hit;
                    self.aad.truncate(length);
                    self.clear_level();
                }
            }
        }
        self.leave(outer);
        Ok(())
    }

    fn list(&mut self, list: &mut List, way: &Way<'_>) -> Result<(), V::Error> {
        let outer = self.enter(true, list.layout, list.position);
        let mut index = 0;
        for item in &mut list.items {
            match item {
                ListItem::Comment(comment) => {
                    if let Some(text) = self.comment(comment, way)? {
                        *item = ListItem::Node(Node::Leaf(item_of(comment, text)));
                    }
                }
                ListItem::Node(node) => {
                    match self.node(node, &Way::Index(way, index))? {
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
        std::mem::replace(&mut self.home, home)
    }

    fn leave(&mut self, outer: Home) {
        self.comments.pop();
        self.home = outer;
    }

    fn node(&mut self, node: &mut Node, way: &Way<'_>) -> Result<Outcome, V::Error> {
        match node {
            Node::Map(map) => self.map(map, way).map(|()| Outcome::Value),
            Node::List(list) => self.list(list, way).map(|()| Outcome::Value),
            Node::Leaf(leaf) => {
                let place = Place {
                    document: self.document,
                    way,
                    aad: &self.aad,
                    selected: self.selects(),
                    home: self.home,
                };
                self.visitor.value(leaf, &place)
            }
        }
    }

    /// A comment that lets values be encrypted stays readable itself; one that keeps them clear is
    /// already covered by itself.
    fn comment(
        &mut self,
        comment: &mut Comment,
        way: &Way<'_>,
    ) -> Result<Option<Secret>, V::Error> {
        let hit = comment
            .text
            .expose_text()
            .is_some_and(|text| self.rule.hits_comment(text));
        let before = self.selects();
        if let (Some(level), true) = (self.comments.last_mut(), hit) {
            *level = true;
        }
        let selected = if self.rule.hit_encrypts() {
            before
        } else {
            self.selects()
        };
        let place = Place {
            document: self.document,
            way,
            aad: &self.aad,
            selected,
            home: self.home,
        };
        self.visitor.comment(comment, &place)
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
