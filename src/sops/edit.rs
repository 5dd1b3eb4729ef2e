//! Edits of single values by path: on the plaintext of a file, or on an opened file as a whole.

use super::METADATA_KEY;
use super::block::entry_of;
use super::open::ReadError;
use super::opened::Opened;
use super::seal::{Draft, SealError, or_printed};
use super::source::{Dialect, Lines, Source};
use crate::format::{EmitError, Format, scalar};
use crate::secret::Secret;
use crate::tree::merge::Take;
use crate::tree::{
    Kind, Layout, Leaf, List, ListItem, Map, MapItem, Node, Path, Position, Span, Step, Style,
};

/// One change of one value.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Gives the key at `path` this text. A new key goes to the end of its map; missing maps are made.
    /// A whole number or bool that stands unquoted stays one when the new text is of the same type.
    Set {
        /// The key; its parents are maps.
        path: Path,
        /// The text, exactly.
        text: Secret,
    },
    /// Takes the key, the item, or the comment of a list at `path` out.
    Unset {
        /// The key, item or comment.
        path: Path,
    },
    /// Puts any value at `path`, as SOPS does: missing maps are made, a scalar or a comment of a list on the
    /// way gives way to a map, and behind the end of a list the value is appended.
    Put {
        /// The key, item, or comment of a list.
        path: Path,
        /// The value; it comes from no file.
        value: Node,
    },
}

impl From<Take> for Edit {
    fn from(take: Take) -> Self {
        match take.value {
            Some(value) => Self::Put {
                path: take.path,
                value,
            },
            None => Self::Unset { path: take.path },
        }
    }
}

/// An edit that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text is not valid in its format.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The new value is not UTF-8.
    #[error("the text is not UTF-8")]
    NotText,
    /// The format cannot hold the result.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// A step leads by a name into a list, or by a number into a map.
    #[error("{path} does not fit: names lead into maps, numbers into lists")]
    Misfit {
        /// The key that was named.
        path: Path,
    },
    /// There is no such key.
    #[error("there is no {path}")]
    NoSuchKey {
        /// The key that was named.
        path: Path,
    },
    /// On the way there is something else than a map.
    #[error("{path} lies in something that is no map")]
    NotInAMap {
        /// The key that was named.
        path: Path,
    },
    /// It holds a map or list, which a text may not replace.
    #[error("{path} holds a map or list")]
    NotAValue {
        /// The key that was named.
        path: Path,
    },
    /// On the way there is a comment of a list, or it is one, which a text may not replace.
    #[error("{path} is a comment or lies in one")]
    OnComment {
        /// The key that was named.
        path: Path,
    },
    /// The `sops` block is not for editing.
    #[error("the sops block cannot be edited")]
    Metadata,
}

/// What is wrong with an edit of an opened file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The edit cannot be made.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The result cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl Opened {
    /// The plaintext with `edits` made one after the other; to be handed to [`Opened::reseal`].
    ///
    /// # Errors
    /// At the first edit that cannot be made.
    pub fn edit(&self, edits: &[Edit]) -> Result<Secret, EditError> {
        let sealed = &self.sealed;
        edit_as(sealed.format, sealed.dialect, &self.text(), edits)
    }

    /// The sealed file with `edits` made in its first document. Untouched values keep their ciphertext. Where
    /// the lines of a YAML file cannot be kept, or would take a comment along, it is printed anew.
    ///
    /// # Errors
    /// At the first edit that cannot be made, or when the result cannot be sealed.
    pub fn change(&self, edits: &[Edit], now: jiff::Timestamp) -> Result<Draft, ChangeError> {
        if self.sealed.format == Format::Ini && self.sealed.metadata.rule.goes_by_comments() {
            // A comment may come to stand at another key.
            let plain = self.edit(edits).map_err(|error| match error {
                EditError::Emit(error) => ChangeError::Seal(error.into()),
                error => error.into(),
            })?;
            return Ok(self.reseal(&plain, now)?);
        }
        let kept = self.reseal_documents(self.changed(edits)?, now, Lines::Kept);
        Ok(or_printed(kept, || {
            let changed = self.changed(edits).ok()?;
            self.reseal_documents(changed, now, Lines::Printed).ok()
        })?)
    }

    fn changed(&self, edits: &[Edit]) -> Result<Vec<Map>, EditError> {
        let mut documents = self.documents.clone();
        if let Some(first) = documents.first_mut() {
            for one in edits {
                apply(first, one)?;
            }
        }
        Ok(documents)
    }
}

/// The environment document `plain` with `edits` made one after the other.
///
/// # Errors
/// At the first edit that cannot be made.
pub fn edit(format: Format, plain: &Secret, edits: &[Edit]) -> Result<Secret, EditError> {
    edit_as(format, Dialect::Environment, plain, edits)
}

fn edit_as(
    format: Format,
    dialect: Dialect,
    plain: &Secret,
    edits: &[Edit],
) -> Result<Secret, EditError> {
    let source = Source::read_plain(format, dialect, plain)?;
    let mut after = source.documents.clone();
    if let Some(first) = after.first_mut() {
        for one in edits {
            apply(first, one)?;
        }
    }
    Ok(source.edited(&after)?)
}

/// Makes one edit in a tree.
fn apply(tree: &mut Map, edit: &Edit) -> Result<(), EditError> {
    let (Edit::Set { path, .. } | Edit::Unset { path } | Edit::Put { path, .. }) = edit;
    match path.steps() {
        [Step::Key(first), ..] if first == METADATA_KEY => return Err(EditError::Metadata),
        [Step::Key(_), ..] => {}
        _ => return Err(EditError::Misfit { path: path.clone() }),
    }
    match edit {
        Edit::Set { text, .. } => {
            let text = text.expose_text().ok_or(EditError::NotText)?;
            set_in_map(tree, path, path.steps(), text, Layout::Block)
        }
        Edit::Unset { .. } => unset_in_map(tree, path, path.steps()),
        Edit::Put { value, .. } => put_in_map(tree, path, path.steps(), value),
    }
}

/// The entry `key` of `map`.
fn entry_mut<'a>(map: &'a mut Map, key: &str) -> Option<&'a mut Node> {
    map.items.iter_mut().find_map(|item| match item {
        MapItem::Entry(entry) if entry.key == key => Some(&mut entry.value),
        _ => None,
    })
}

/// The item of `list` that `step` leads to; `None` when there is none.
fn item_mut<'a>(
    list: &'a mut List,
    path: &Path,
    step: &Step,
) -> Result<Option<&'a mut Node>, EditError> {
    let place = list.place(step);
    match place.and_then(|place| list.items.get_mut(place)) {
        Some(ListItem::Node(node)) => Ok(Some(node)),
        Some(ListItem::Comment(_)) => Err(EditError::OnComment { path: path.clone() }),
        None => Ok(None),
    }
}

fn set_in_map(
    map: &mut Map,
    path: &Path,
    steps: &[Step],
    text: &str,
    around: Layout,
) -> Result<(), EditError> {
    let Some((Step::Key(key), rest)) = steps.split_first() else {
        return Err(EditError::NoSuchKey { path: path.clone() });
    };
    let layout = map.layout;
    if let Some(node) = entry_mut(map, key) {
        return set_node(node, path, rest, text, layout);
    }
    let value = nested(path, rest, text)?;
    // What is written `{}` on lines of its own becomes lines.
    if map.entries().next().is_none() && layout == Layout::Flow && around == Layout::Block {
        (map.position, map.span, map.layout) = <_>::default();
    }
    map.items.push(MapItem::Entry(entry_of(key, value)));
    Ok(())
}

fn set_node(
    node: &mut Node,
    path: &Path,
    rest: &[Step],
    text: &str,
    around: Layout,
) -> Result<(), EditError> {
    match (node, rest) {
        (Node::Leaf(leaf), []) => {
            let (kind, style) = like(leaf, text);
            (leaf.kind, leaf.style, leaf.text) = (kind, style, Secret::from_text(text));
            Ok(())
        }
        (_, []) => Err(EditError::NotAValue { path: path.clone() }),
        (Node::Map(map), rest) => set_in_map(map, path, rest, text, around),
        (Node::List(list), [step @ (Step::Index(_) | Step::Place(_)), rest @ ..]) => {
            let layout = list.layout;
            let item = item_mut(list, path, step)?;
            let item = item.ok_or_else(|| EditError::NoSuchKey { path: path.clone() })?;
            set_node(item, path, rest, text, layout)
        }
        (
            node @ Node::Leaf(Leaf {
                kind: Kind::Null, ..
            }),
            rest,
        ) => {
            *node = nested(path, rest, text)?;
            Ok(())
        }
        _ => Err(EditError::NotInAMap { path: path.clone() }),
    }
}

/// `text` below the keys `rest`.
fn nested(path: &Path, rest: &[Step], text: &str) -> Result<Node, EditError> {
    rest.iter()
        .rev()
        .try_fold(super::block::text_node(text), |inner, step| match step {
            Step::Key(key) => Ok(Node::Map(super::block::map_of([(key.as_str(), inner)]))),
            Step::Index(_) | Step::Place(_) => Err(EditError::NoSuchKey { path: path.clone() }),
        })
}

/// Type and style of `text` in the manner of the value that it replaces.
fn like(former: &Leaf, text: &str) -> (Kind, Style) {
    let same_type = former.style == Style::Plain
        && matches!(former.kind, Kind::Int | Kind::Bool)
        && scalar::resolve(text) == Some(former.kind);
    let exact = match former.kind {
        Kind::Int => scalar::normal_form(Kind::Int, text).as_deref() == Some(text),
        _ => matches!(text, "true" | "false"),
    };
    if same_type && exact {
        (former.kind, Style::Plain)
    } else {
        (Kind::Text, former.style)
    }
}

fn unset_in_map(map: &mut Map, path: &Path, steps: &[Step]) -> Result<(), EditError> {
    let missing = || EditError::NoSuchKey { path: path.clone() };
    let Some((Step::Key(key), rest)) = steps.split_first() else {
        return Err(missing());
    };
    if !rest.is_empty() {
        return unset_in(entry_mut(map, key).ok_or_else(missing)?, path, rest);
    }
    let is_it = |item: &MapItem| matches!(item, MapItem::Entry(entry) if entry.key == *key);
    let place = map.items.iter().position(is_it).ok_or_else(missing)?;
    map.items.remove(place);
    Ok(())
}

fn unset_in(node: &mut Node, path: &Path, rest: &[Step]) -> Result<(), EditError> {
    let missing = || EditError::NoSuchKey { path: path.clone() };
    match (node, rest) {
        (Node::Map(map), _) => unset_in_map(map, path, rest),
        (Node::List(list), [step @ (Step::Index(_) | Step::Place(_))]) => {
            let place = list.place(step).ok_or_else(missing)?;
            list.items.remove(place);
            Ok(())
        }
        (Node::List(list), [step @ (Step::Index(_) | Step::Place(_)), rest @ ..]) => {
            unset_in(item_mut(list, path, step)?.ok_or_else(missing)?, path, rest)
        }
        (Node::Leaf(leaf), _) if leaf.kind == Kind::Null => Err(missing()),
        _ => Err(EditError::NotInAMap { path: path.clone() }),
    }
}

fn put_in_map(map: &mut Map, path: &Path, steps: &[Step], value: &Node) -> Result<(), EditError> {
    let Some((Step::Key(key), rest)) = steps.split_first() else {
        return Err(EditError::Misfit { path: path.clone() });
    };
    if let Some(node) = entry_mut(map, key) {
        return put(node, path, rest, value);
    }
    let mut node = nothing();
    put(&mut node, path, rest, value)?;
    map.items.push(MapItem::Entry(entry_of(key, node)));
    Ok(())
}

fn put(node: &mut Node, path: &Path, rest: &[Step], value: &Node) -> Result<(), EditError> {
    match (node, rest) {
        (node, []) => {
            match (&mut *node, value) {
                // A scalar that takes the place of one stands where that stood.
                (Node::Leaf(leaf), Node::Leaf(new)) => {
                    (leaf.kind, leaf.text) = (new.kind, new.text.clone());
                }
                _ => *node = value.clone(),
            }
            Ok(())
        }
        (Node::Map(map), [Step::Key(_), ..]) => put_in_map(map, path, rest, value),
        (Node::List(list), [step @ (Step::Index(_) | Step::Place(_)), rest @ ..]) => {
            let place = list.place(step);
            let found = place.and_then(|place| list.items.get_mut(place));
            if let Some(ListItem::Node(item)) = found {
                return put(item, path, rest, value);
            }
            let mut item = nothing();
            put(&mut item, path, rest, value)?;
            match found {
                Some(comment) => *comment = ListItem::Node(item),
                None => list.items.push(ListItem::Node(item)),
            }
            Ok(())
        }
        (node @ Node::Leaf(_), [Step::Key(_), ..]) => {
            let mut map = Map::default();
            put_in_map(&mut map, path, rest, value)?;
            *node = Node::Map(map);
            Ok(())
        }
        (node @ Node::Leaf(_), [Step::Index(_) | Step::Place(_), rest @ ..]) => {
            let mut item = nothing();
            put(&mut item, path, rest, value)?;
            *node = Node::List(List {
                items: vec![ListItem::Node(item)],
                ..List::default()
            });
            Ok(())
        }
        _ => Err(EditError::Misfit { path: path.clone() }),
    }
}

/// A value that is nothing and comes from no file.
fn nothing() -> Node {
    Node::Leaf(Leaf {
        kind: Kind::Null,
        text: Secret::from_text("null"),
        style: Style::Plain,
        position: Position::default(),
        span: Span::default(),
        sealed: false,
    })
}
