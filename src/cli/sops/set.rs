//! `set` and `unset`: one value of a sealed file.

use std::path::{Path as FilePath, PathBuf};

use super::call::{Call, LONGEST};
use super::engine;
use super::failure::{Exit, Failure, go_words};
use super::value::{self, NotAValue};
use super::{open, output, path};
use crate::file;
use crate::secret::Secret;
use crate::sops::{Edit, Opened};
use crate::tree::{Kind, ListItem, Map, Node, Path, Step};

/// `set`.
pub(super) fn set(call: &mut Call<'_>) -> Result<(), Failure> {
    let (from_file, from_stdin) = (call.own.is_on("value-file"), call.own.is_on("value-stdin"));
    if from_file && from_stdin {
        return Err(Failure::generic(
            "Error: cannot use both --value-file and --value-stdin",
        ));
    }
    let wanted = if from_stdin { 2 } else { 3 };
    if call.own.arguments.len() != wanted {
        return Err(Failure::new(
            Exit::NoFile,
            format!(
                "Error: no file specified, or index and value are missing. Need precisely {wanted} positional arguments."
            ),
        ));
    }
    let file = call.file()?;
    let argument = |place: usize| call.own.arguments[place].to_string_lossy().into_owned();
    let path = index(&argument(1), "set")?;
    let json = if from_stdin {
        let name = FilePath::new("standard input");
        file::read_from(std::io::stdin().lock(), LONGEST, name)
            .map_err(|error| Failure::reading(name, &error))?
    } else if from_file {
        let name = PathBuf::from(&call.own.arguments[2]);
        file::read(&name, LONGEST).map_err(|error| {
            let why = go_words(name.as_os_str(), &error);
            Failure::generic(format!("Error reading value file: {why}"))
        })?
    } else {
        Secret::from(argument(2))
    };
    put(call, &file, path, &json)
}

/// `--set '["key"] value'`, without a subcommand.
pub(super) fn by_flag(call: &mut Call<'_>, file: &FilePath, argument: &str) -> Result<(), Failure> {
    let Some((path, json)) = argument.split_once("] ") else {
        return Err(Failure::new(Exit::SetPath, "Invalid --set format"));
    };
    let json = Secret::from_text(json);
    value::parse(&json).map_err(not_a_value)?;
    let path = path::parse(&format!("{}]", path.trim_end()));
    let path = path.map_err(|_| Failure::new(Exit::SetPath, "Invalid --set format"))?;
    put(call, file, path, &json)
}

fn index(text: &str, verb: &str) -> Result<Path, Failure> {
    let wrong = || Failure::new(Exit::SetPath, format!("Invalid {verb} index format"));
    let path = path::parse(text).map_err(|_| wrong())?;
    if path.steps().is_empty() {
        return Err(wrong());
    }
    Ok(path)
}

fn not_a_value(error: NotAValue) -> Failure {
    Failure::new(Exit::SetPath, error.to_string())
}

fn put(call: &mut Call<'_>, file: &FilePath, path: Path, json: &Secret) -> Result<(), Failure> {
    let value = value::parse(json).map_err(not_a_value)?;
    let idempotent = call.own.is_on("idempotent");
    change(call, file, |opened| {
        if idempotent
            && first(opened)
                .at(&path)
                .is_some_and(|old| value::same(old, &value))
        {
            return Ok(None);
        }
        Ok(Some(Edit::Put { path, value }))
    })
}

/// `unset`.
pub(super) fn unset(call: &mut Call<'_>) -> Result<(), Failure> {
    if call.own.arguments.len() < 2 {
        return Err(Failure::new(
            Exit::NoFile,
            "Error: no file specified, or index is missing",
        ));
    }
    call.warn_of_unread(2);
    let file = call.file()?;
    let path = index(&call.own.arguments[1].to_string_lossy(), "unset")?;
    let idempotent = call.own.is_on("idempotent");
    change(call, &file, |opened| match absent(first(opened), &path) {
        None => Ok(Some(Edit::Unset { path })),
        Some(Absent::NotThere(_)) if idempotent => Ok(None),
        Some(Absent::NotThere(said) | Absent::Misfit(said)) => Err(Failure::generic(said)),
    })
}

/// Why there is nothing at a path, in the words of SOPS.
enum Absent {
    /// The last part, or one before it, is not there.
    NotThere(String),
    /// A part does not fit what is there.
    Misfit(String),
}

fn absent(document: &Map, path: &Path) -> Option<Absent> {
    let mut node: Option<&Node> = None;
    for (place, step) in path.steps().iter().enumerate() {
        let next = match (node, step) {
            (None, Step::Key(key)) => document.find(key).map(|entry| &entry.value),
            (Some(Node::Map(map)), Step::Key(key)) => map.find(key).map(|entry| &entry.value),
            (Some(Node::List(list)), Step::Index(index) | Step::Place(index)) => {
                match list.item(step) {
                    None => return Some(Absent::NotThere(format!("Index {index} out of bounds"))),
                    Some(ListItem::Node(node)) => Some(node),
                    Some(ListItem::Comment(_)) => {
                        let below = path.steps().get(place + 1)?;
                        return Some(Absent::Misfit(unsupported("sops.Comment", below)));
                    }
                }
            }
            (None | Some(Node::Map(_)), Step::Index(index) | Step::Place(index)) => {
                return Some(Absent::NotThere(format!("Key not found: {index}")));
            }
            (Some(Node::List(_)), Step::Key(key)) => {
                return Some(Absent::Misfit(format!("'{key}' is no index of a list")));
            }
            (Some(Node::Leaf(leaf)), step) => {
                return Some(Absent::Misfit(unsupported(go_type(leaf.kind), step)));
            }
        };
        match (next, step) {
            (Some(_), _) => node = next,
            (None, Step::Key(key)) => {
                return Some(Absent::NotThere(format!("Key not found: {key}")));
            }
            (None, Step::Index(index) | Step::Place(index)) => {
                return Some(Absent::NotThere(format!("Index {index} out of bounds")));
            }
        }
    }
    None
}

fn unsupported(kind: &str, step: &Step) -> String {
    let part = match step {
        Step::Key(key) => key.clone(),
        Step::Index(index) | Step::Place(index) => index.to_string(),
    };
    format!("Unsupported type: {kind} for item '{part}'")
}

fn go_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "string",
        Kind::Int => "int",
        Kind::Float => "float64",
        Kind::Bool => "bool",
        Kind::Time => "time.Time",
        Kind::Null => "<nil>",
    }
}

fn first(opened: &Opened) -> &Map {
    opened.tree()
}

/// Opens the file, makes the edit that `choose` wants, and writes it back.
fn change(
    call: &mut Call<'_>,
    file: &FilePath,
    choose: impl FnOnce(&Opened) -> Result<Option<Edit>, Failure>,
) -> Result<(), Failure> {
    let settings = call.configuration()?;
    let stores = call.stores(file, &settings);
    let input = super::call::Input::File(file.to_owned());
    let loaded = output::load(&input)?;
    let sealed = engine::read(stores.input, loaded.content(), file)?;
    let opened = engine::open(call, sealed, open::policy(call), file)?;
    let Some(edit) = choose(&opened)? else {
        return Ok(());
    };
    let draft = engine::change(&opened, edit, file)?;
    let text = engine::sealed_text(&draft, &stores, file)?;
    output::replace(file, &loaded, &text)
}
