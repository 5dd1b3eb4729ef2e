//! Edits of single values by path, on the plaintext of a file.

use super::METADATA_KEY;
use super::open::parse_text;
use super::opened::Opened;
use crate::format::yaml::{Editor, Scalar, Site};
use crate::format::{Format, SyntaxError, scalar};
use crate::secret::Secret;
use crate::tree::{Entry, Kind, Leaf, Map, Node, Path, Step, Style};

/// One change of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Gives the key at `path` this text. A new key goes to the end of its map; missing maps are made.
    /// A whole number or bool that stands unquoted stays one when the new text is of the same type.
    Set {
        /// The key; its parents are maps.
        path: Path,
        /// The text, exactly.
        text: Secret,
    },
    /// Takes the key at `path` out.
    Unset {
        /// The key.
        path: Path,
    },
}

/// An edit that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text is not valid in its format.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// The text, or the new value, is not UTF-8.
    #[error("the text is not UTF-8")]
    NotText,
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
    /// The `sops` block is not for editing.
    #[error("the sops block cannot be edited")]
    Metadata,
}

impl Opened {
    /// The plaintext with `edits` made one after the other; to be handed to [`Opened::reseal`].
    ///
    /// # Errors
    /// At the first edit that cannot be made.
    pub fn edit(&self, edits: &[Edit]) -> Result<Secret, EditError> {
        edit(self.sealed.format, &self.text(), edits)
    }
}

/// `plain` with `edits` made one after the other.
///
/// # Errors
/// At the first edit that cannot be made.
pub fn edit(format: Format, plain: &Secret, edits: &[Edit]) -> Result<Secret, EditError> {
    edits.iter().try_fold(plain.clone(), |plain, edit| {
        let source = plain.expose_text().ok_or(EditError::NotText)?;
        let tree = parse_text(format, source)?;
        let mut editor = Editor::new(source, &tree);
        match edit {
            Edit::Set { path, text } => set(&mut editor, &tree, path, text)?,
            Edit::Unset { path } => unset(&mut editor, &tree, path)?,
        }
        Ok(editor.finish())
    })
}

/// How far a path leads into a tree.
enum Found<'a> {
    /// All the way.
    Entry(&'a Map, &'a Entry),
    /// To a scalar in a list.
    Item(&'a Leaf, Site),
    /// To a map without the next of these keys.
    Missing(&'a Map, Vec<&'a str>),
    /// To a value that is nothing, below which these keys would lie.
    Nothing(&'a Leaf, Site, Vec<&'a str>),
}

fn find<'a>(tree: &'a Map, path: &'a Path) -> Result<Found<'a>, EditError> {
    let keys_from = |place: usize| -> Result<Vec<&'a str>, EditError> {
        let key = |step: &'a Step| match step {
            Step::Key(key) => Ok(key.as_str()),
            Step::Index(_) => Err(EditError::NoSuchKey { path: path.clone() }),
        };
        path.steps()[place..].iter().map(key).collect()
    };
    let Some(Step::Key(first)) = path.steps().first() else {
        return Err(EditError::NoSuchKey { path: path.clone() });
    };
    if first == METADATA_KEY {
        return Err(EditError::Metadata);
    }
    let last = path.steps().len() - 1;
    let (mut map, mut node): (&Map, Option<&Node>) = (tree, None);
    let mut site = Site::in_map(tree);
    for (place, step) in path.steps().iter().enumerate() {
        match (node, step) {
            (None | Some(Node::Map(_)), Step::Key(key)) => {
                if let Some(Node::Map(inner)) = node {
                    map = inner;
                }
                site = Site::in_map(map);
                let Some(entry) = map.find(key) else {
                    return Ok(Found::Missing(map, keys_from(place)?));
                };
                if place == last {
                    return Ok(Found::Entry(map, entry));
                }
                node = Some(&entry.value);
            }
            (Some(Node::List(list)), Step::Index(index)) => {
                site = Site::in_list(list);
                let item = list.nodes().nth(*index);
                let item = item.ok_or_else(|| EditError::NoSuchKey { path: path.clone() })?;
                match item {
                    Node::Leaf(leaf) if place == last => return Ok(Found::Item(leaf, site)),
                    _ if place == last => return Err(EditError::NotAValue { path: path.clone() }),
                    _ => node = Some(item),
                }
            }
            (Some(Node::Leaf(leaf)), Step::Key(_)) if leaf.kind == Kind::Null => {
                return Ok(Found::Nothing(leaf, site, keys_from(place)?));
            }
            _ => return Err(EditError::NotInAMap { path: path.clone() }),
        }
    }
    Err(EditError::NoSuchKey { path: path.clone() })
}

fn set(editor: &mut Editor<'_>, tree: &Map, path: &Path, text: &Secret) -> Result<(), EditError> {
    let new = Scalar::text(text.expose_text().ok_or(EditError::NotText)?);
    match find(tree, path)? {
        Found::Entry(
            map,
            Entry {
                value: Node::Leaf(leaf),
                ..
            },
        ) => {
            editor.replace_leaf(leaf, Site::in_map(map), &like(leaf, new));
        }
        Found::Entry(..) => return Err(EditError::NotAValue { path: path.clone() }),
        Found::Item(leaf, site) => editor.replace_leaf(leaf, site, &like(leaf, new)),
        Found::Nothing(leaf, site, keys) => editor.fill_null(leaf, site, &keys, &new),
        Found::Missing(map, keys) => {
            editor.append_entry(map, map.entries().last(), &keys, &new);
        }
    }
    Ok(())
}

/// `new` in the manner of the value that it replaces.
fn like<'a>(former: &Leaf, new: Scalar<'a>) -> Scalar<'a> {
    let same_type = former.style == Style::Plain
        && matches!(former.kind, Kind::Int | Kind::Bool)
        && scalar::resolve(new.text) == Some(former.kind);
    let exact = match former.kind {
        Kind::Int => scalar::normal_form(Kind::Int, new.text).as_deref() == Some(new.text),
        _ => matches!(new.text, "true" | "false"),
    };
    if same_type && exact {
        return Scalar {
            kind: former.kind,
            ..new
        };
    }
    Scalar {
        style: former.style,
        ..new
    }
}

fn unset(editor: &mut Editor<'_>, tree: &Map, path: &Path) -> Result<(), EditError> {
    match find(tree, path)? {
        Found::Entry(map, entry) => editor.remove_entry(map, entry),
        Found::Item(..) => return Err(EditError::NotInAMap { path: path.clone() }),
        Found::Missing(..) | Found::Nothing(..) => {
            return Err(EditError::NoSuchKey { path: path.clone() });
        }
    }
    Ok(())
}
