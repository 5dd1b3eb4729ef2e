//! One walk over a tree in file order, with the path, the additional data and the selection of each
//! value and comment.

use super::rule::Rule;
use crate::format::yaml::Site;
use crate::secret::Secret;
use crate::tree::{Comment, Leaf, List, ListItem, Map, MapItem, Node, Path, Step};

/// Where a value or comment stands, and whether the rule wants it encrypted.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: Path,
    /// All keys on the way, each with a colon behind it; for a comment those of what encloses it.
    pub(super) aad: String,
    pub(super) selected: bool,
    pub(super) site: Site,
    /// Whether what holds it directly is a list.
    pub(super) in_list: bool,
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

    fn comment(&mut self, comment: &mut Comment, place: &Place) -> Result<(), Self::Error>;
}

/// Leads `visitor` through `tree`.
pub(super) fn walk<V: Visitor>(
    tree: &mut Map,
    rule: &Rule,
    visitor: &mut V,
) -> Result<(), V::Error> {
    let site = Site::in_map(tree);
    let place = Place {
        path: Path::default(),
        aad: String::new(),
        selected: false,
        site,
        in_list: false,
    };
    let mut walk = Walk {
        rule,
        visitor,
        place,
        hits: 0,
        comments: Vec::new(),
    };
    walk.map(tree)
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
        let outer = self.enter(Site::in_map(map), false);
        self.comments.push(false);
        for item in &mut map.items {
            match item {
                MapItem::Comment(comment) => self.comment(comment)?,
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
        self.comments.pop();
        self.enter(outer.0, outer.1);
        Ok(())
    }

    fn list(&mut self, list: &mut List) -> Result<(), V::Error> {
        let outer = self.enter(Site::in_list(list), true);
        self.comments.push(false);
        let mut index = 0;
        for item in &mut list.items {
            match item {
                ListItem::Comment(comment) => self.comment(comment)?,
                ListItem::Node(node) => {
                    self.place.path.push(Step::Index(index));
                    let outcome = self.node(node)?;
                    self.place.path.pop();
                    let (span, position) = (node.span(), node.position());
                    match outcome {
                        Outcome::Value => index += 1,
                        Outcome::Comment(text) => {
                            *item = ListItem::Comment(Comment {
                                text,
                                position,
                                span,
                                trailing: false,
                            });
                        }
                    }
                    self.clear_level();
                }
            }
        }
        self.comments.pop();
        self.enter(outer.0, outer.1);
        Ok(())
    }

    /// Steps into a map or list, or back; gives what was around before.
    fn enter(&mut self, site: Site, in_list: bool) -> (Site, bool) {
        let place = &mut self.place;
        (
            std::mem::replace(&mut place.site, site),
            std::mem::replace(&mut place.in_list, in_list),
        )
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
    fn comment(&mut self, comment: &mut Comment) -> Result<(), V::Error> {
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
