//! The ordered tree that all file formats share: maps, lists, leaves and comments in file order.
//!
//! A tree holds what was written, with positions for messages; it knows neither YAML nor SOPS. Every
//! leaf's text is a [`Secret`], clear ones too, so that no later stage has to remember which.

pub mod comments;
pub mod compare;
pub mod merge;

use std::fmt;

use crate::name::one_line;
use crate::secret::Secret;

/// A place in a file, both counted from 1. `0` where a tree was not read from text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

/// Where something lies in the text it was read from: bytes `start..end`. Empty where a tree was not
/// read from text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

impl Span {
    /// Whether nothing lies in it, as for a value that is not written at all (`key:`).
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// How a map or list was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// One entry per line, by indentation.
    #[default]
    Block,
    /// In braces or brackets.
    Flow,
}

/// The way from the root to a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Step>);

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Into a map.
    Key(String),
    /// Into a list, counted from 0 without the comments.
    Index(usize),
    /// Into a list, counted from 0 with the comments, as SOPS counts. It may lead to a comment.
    Place(usize),
}

impl Path {
    /// The path of keys, from the root: `Path::of(["secrets", "API_KEY"])`.
    #[must_use]
    pub fn of<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        Self(
            keys.into_iter()
                .map(|key| Step::Key(key.to_owned()))
                .collect(),
        )
    }

    /// Its steps.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Goes one step further.
    pub fn push(&mut self, step: Step) {
        self.0.push(step);
    }

    /// Goes one step back.
    pub fn pop(&mut self) -> Option<Step> {
        self.0.pop()
    }

    /// Its keys, without the places in lists.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.iter().filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) | Step::Place(_) => None,
        })
    }
}

impl From<Vec<Step>> for Path {
    fn from(steps: Vec<Step>) -> Self {
        Self(steps)
    }
}

impl fmt::Display for Path {
    /// `secrets.API_KEY`, `list[0].name`. Always one line: a key of a hostile file shall not end that of
    /// an error and begin one of its own.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) => {
                    if place > 0 {
                        formatter.write_str(".")?;
                    }
                    formatter.write_str(&one_line(key))?;
                }
                Step::Index(index) | Step::Place(index) => write!(formatter, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A map: entries and comments in file order. Duplicate keys were refused by the reader.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Map {
    /// What stands in the map.
    pub items: Vec<MapItem>,
    /// Where the map begins.
    pub position: Position,
    /// From its first key (or brace) to the end of its last value (or brace).
    pub span: Span,
    /// How it was written.
    pub layout: Layout,
}

/// One thing in a map.
#[derive(Debug, Clone, PartialEq)]
pub enum MapItem {
    /// A key and its value.
    Entry(Entry),
    /// A comment on lines of its own, or behind a value (it then stands before that entry).
    Comment(Comment),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key. Keys are no secrets in a SOPS file.
    pub key: String,
    /// Where the key begins.
    pub position: Position,
    /// From the key to the end of the value.
    pub span: Span,
    /// What it holds.
    pub value: Node,
}

/// A list: items and comments in file order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct List {
    /// What stands in the list.
    pub items: Vec<ListItem>,
    /// Where the list begins.
    pub position: Position,
    /// From its first dash (or bracket) to the end of its last item (or bracket).
    pub span: Span,
    /// How it was written.
    pub layout: Layout,
}

/// One thing in a list.
#[derive(Debug, Clone, PartialEq)]
pub enum ListItem {
    /// An item.
    Node(Node),
    /// A comment between items.
    Comment(Comment),
}

/// A comment: the text after `#`, leading blank included.
#[derive(Debug, Clone, PartialEq)]
pub struct Comment {
    /// Text after the `#`.
    pub text: Secret,
    /// Where the `#` stands.
    pub position: Position,
    /// From the `#` to the end of the line.
    pub span: Span,
    /// Whether it stood behind a value on the same line.
    pub trailing: bool,
}

/// A value of any shape.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A map.
    Map(Map),
    /// A list.
    List(List),
    /// A scalar.
    Leaf(Leaf),
}

/// A scalar with its type and text.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    /// Its type, as SOPS sees it.
    pub kind: Kind,
    /// The text. For a plain scalar of a file: as typed (`0123`, `Yes`, `1.0`). For a quoted or block
    /// scalar: its content. For a value that was decrypted: its text, `true`/`false` for a bool.
    pub text: Secret,
    /// How it was written.
    pub style: Style,
    /// Where it begins.
    pub position: Position,
    /// The whole scalar with its quotes, or with the header of its block; a block ends before its last
    /// newline.
    pub span: Span,
    /// Whether it was ciphertext in the file (true for a decrypted leaf of an opened tree, and for a
    /// leaf of a sealed tree whose text is `ENC[…]`).
    pub sealed: bool,
}

/// Type of a scalar, as SOPS tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nothing: `null`, `~` or empty.
    Null,
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A number with a point or an exponent, an infinity or not-a-number.
    Float,
    /// A date, or a date with a time.
    Time,
    /// Text; also bytes that are not UTF-8.
    Text,
}

/// How a scalar was written in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In single quotes.
    SingleQuoted,
    /// In double quotes.
    DoubleQuoted,
    /// A literal block (`|`).
    Literal,
    /// A folded block (`>`).
    Folded,
}

impl Map {
    /// The entries without the comments.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.items.iter().filter_map(|item| match item {
            MapItem::Entry(entry) => Some(entry),
            MapItem::Comment(_) => None,
        })
    }

    /// The value at `path`; `None` when there is none, or a comment.
    #[must_use]
    pub fn at(&self, path: &Path) -> Option<&Node> {
        let (first, rest) = path.0.split_first()?;
        let Step::Key(key) = first else {
            return None;
        };
        rest.iter()
            .try_fold(&self.find(key)?.value, |node, step| node.step(step))
    }

    /// Takes all comments out, also those of what lies below.
    pub fn drop_comments(&mut self) {
        self.items.retain(|item| matches!(item, MapItem::Entry(_)));
        for item in &mut self.items {
            if let MapItem::Entry(entry) = item {
                entry.value.drop_comments();
            }
        }
    }

    /// The same as if it came from no file.
    #[must_use]
    pub fn without_places(mut self) -> Self {
        (self.position, self.span, self.layout) = <_>::default();
        for item in &mut self.items {
            match item {
                MapItem::Entry(entry) => {
                    (entry.position, entry.span) = <_>::default();
                    entry.value.forget_places();
                }
                MapItem::Comment(comment) => (comment.position, comment.span) = <_>::default(),
            }
        }
        self
    }

    /// The entry with the key `key`.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<&Entry> {
        self.entries().find(|entry| entry.key == key)
    }
}

impl List {
    /// The items without the comments.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.items.iter().filter_map(|item| match item {
            ListItem::Node(node) => Some(node),
            ListItem::Comment(_) => None,
        })
    }

    /// What `step` leads to; `None` when there is nothing, and for a key.
    #[must_use]
    pub fn item(&self, step: &Step) -> Option<&ListItem> {
        self.items.get(self.place(step)?)
    }

    /// Where among the items and comments that stands which `step` leads to.
    #[must_use]
    pub fn place(&self, step: &Step) -> Option<usize> {
        let items = self.items.iter().enumerate();
        let mut nodes = items.filter(|(_, item)| matches!(item, ListItem::Node(_)));
        match *step {
            Step::Key(_) => None,
            Step::Index(index) => nodes.nth(index).map(|(place, _)| place),
            Step::Place(place) => (place < self.items.len()).then_some(place),
        }
    }
}

impl Node {
    /// The same as if it came from no file.
    #[must_use]
    pub fn without_places(mut self) -> Self {
        self.forget_places();
        self
    }

    fn drop_comments(&mut self) {
        match self {
            Self::Map(map) => map.drop_comments(),
            Self::List(list) => {
                list.items.retain(|item| matches!(item, ListItem::Node(_)));
                for item in &mut list.items {
                    if let ListItem::Node(node) = item {
                        node.drop_comments();
                    }
                }
            }
            Self::Leaf(_) => {}
        }
    }

    fn forget_places(&mut self) {
        match self {
            Self::Map(map) => *map = std::mem::take(map).without_places(),
            Self::List(list) => {
                (list.position, list.span, list.layout) = <_>::default();
                for item in &mut list.items {
                    match item {
                        ListItem::Node(node) => node.forget_places(),
                        ListItem::Comment(comment) => {
                            (comment.position, comment.span) = <_>::default();
                        }
                    }
                }
            }
            Self::Leaf(leaf) => (leaf.position, leaf.span) = <_>::default(),
        }
    }

    /// The value one step further; `None` when there is none.
    fn step(&self, step: &Step) -> Option<&Self> {
        match (self, step) {
            (Self::Map(map), Step::Key(key)) => map.find(key).map(|entry| &entry.value),
            (Self::List(list), step) => match list.item(step)? {
                ListItem::Node(node) => Some(node),
                ListItem::Comment(_) => None,
            },
            _ => None,
        }
    }

    /// Where the value lies.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Map(map) => map.span,
            Self::List(list) => list.span,
            Self::Leaf(leaf) => leaf.span,
        }
    }

    /// Where the value begins.
    #[must_use]
    pub fn position(&self) -> Position {
        match self {
            Self::Map(map) => map.position,
            Self::List(list) => list.position,
            Self::Leaf(leaf) => leaf.position,
        }
    }
}
