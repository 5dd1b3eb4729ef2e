//! `decrypt`: the opened file, or one part of it.

use super::call::{Call, Stores};
use super::engine::{self, MacPolicy};
use super::failure::{Exit, Failure};
use super::output;
use super::path;
use crate::format::{self, Format};
use crate::secret::Secret;
use crate::sops::Opened;
use crate::tree::{Kind, ListItem, Map, Node, Path, Step};

/// `decrypt`.
pub(super) fn decrypt(call: &mut Call<'_>) -> Result<(), Failure> {
    let input = call.input()?;
    call.check_output(&input)?;
    let settings = call.configuration()?;
    let name = call.name(&input)?;
    let stores = call.stores(&name, &settings);
    let extract = call.own.text("extract");
    let part = extract.map(|text| path::parse(&text)).transpose();
    let part = part.map_err(|error| {
        Failure::new(
            Exit::ExtractPath,
            format!("error parsing --extract path: {error}"),
        )
    })?;
    call.check_order()?;
    let loaded = output::load(&input)?;
    let sealed = engine::read(stores.input, loaded.content(), &name)?;
    let opened = engine::open(call, sealed, policy(call), &name)?;
    let indented = call.globals.number("indent").is_some();
    let text = match part.filter(|path| !path.steps().is_empty()) {
        Some(path) => extracted(&opened, &path, &stores)?,
        None => engine::plain(opened, &stores, indented)?,
    };
    output::deliver(call, &input, &loaded, &text)
}

/// What `--ignore-mac` says.
pub(super) fn policy(call: &Call<'_>) -> MacPolicy {
    if call.own.is_on("ignore-mac") {
        MacPolicy::Ignore
    } else {
        MacPolicy::Require
    }
}

/// One part of a file. A text is given raw; of a map the rest of the documents comes with it.
fn extracted(opened: &Opened, path: &Path, stores: &Stores) -> Result<Secret, Failure> {
    let documents = opened.documents();
    let first = documents.first().cloned().unwrap_or_default();
    let node = find(&first, path)?;
    match node {
        Node::Leaf(leaf) if leaf.kind == Kind::Text => Ok(leaf.text.clone()),
        Node::Map(map) => {
            let mut all = vec![map.clone()];
            all.extend(documents.iter().skip(1).cloned());
            format::emit(stores.output, &all, stores.layout)
                .map_err(|error| Failure::new(Exit::Emit, format!("Error dumping file: {error}")))
        }
        Node::Leaf(_) | Node::List(_) => alone(node, stores),
    }
}

fn on_comment(index: usize) -> Failure {
    Failure::new(
        Exit::ExtractPath,
        format!(
            "error truncating tree: index {index} is a comment of the list, no value; comments count, as in SOPS"
        ),
    )
}

fn find<'a>(document: &'a Map, path: &Path) -> Result<&'a Node, Failure> {
    let not_found = |step: &Step| {
        let said = match step {
            Step::Key(key) => format!("component ['{key}'] not found"),
            Step::Index(index) | Step::Place(index) => {
                format!("component [{index}] accesses out of bounds")
            }
        };
        Failure::generic(format!("error truncating tree: {said}"))
    };
    let misfit = |step: &Step| {
        let (part, into) = match step {
            Step::Key(key) => (format!("['{key}']"), "no map"),
            Step::Index(index) | Step::Place(index) => (format!("[{index}]"), "no list"),
        };
        Failure::new(
            Exit::ExtractPath,
            format!("error truncating tree: component {part} leads into what is {into}"),
        )
    };
    let mut node: Option<&Node> = None;
    for step in path.steps() {
        let next = match (node, step) {
            (None, Step::Key(key)) => document.find(key).map(|entry| &entry.value),
            (Some(Node::Map(map)), Step::Key(key)) => map.find(key).map(|entry| &entry.value),
            (Some(Node::List(list)), Step::Index(index) | Step::Place(index)) => {
                match list.item(step) {
                    Some(ListItem::Comment(_)) => return Err(on_comment(*index)),
                    Some(ListItem::Node(node)) => Some(node),
                    None => None,
                }
            }
            _ => return Err(misfit(step)),
        };
        node = Some(next.ok_or_else(|| not_found(step))?);
    }
    node.ok_or_else(|| {
        Failure::new(
            Exit::ExtractPath,
            "error parsing --extract path: it is empty",
        )
    })
}

/// A value or list as a file of its own, as far as the format knows such.
fn alone(node: &Node, stores: &Stores) -> Result<Secret, Failure> {
    let kind = match stores.output {
        Format::Yaml => Format::Yaml,
        Format::Json | Format::Ini => Format::Json,
        Format::Dotenv | Format::Binary => {
            let text = format!(
                "Error dumping tree: {} has only texts; what stands there is none",
                stores.output
            );
            return Err(Failure::new(Exit::Emit, text));
        }
    };
    // The format prints whole documents: the value is printed as the only one of a map, which is then
    // taken off again.
    let document = crate::sops::map_of([("v", node.clone())]);
    let text = format::emit(kind, &[document], stores.layout)
        .map_err(|error| Failure::new(Exit::Emit, format!("Error dumping tree: {error}")))?;
    let text = text.expose_text().unwrap_or_default();
    let inner = match kind {
        Format::Yaml => match text.strip_prefix("v:\n") {
            Some(list) => dedented(list),
            None => text.strip_prefix("v: ").unwrap_or(text).to_owned(),
        },
        _ => json_value(text),
    };
    Ok(Secret::from(inner))
}

/// The value in `{"v": value}`.
fn json_value(text: &str) -> String {
    let body = text.strip_prefix("{\n").unwrap_or(text);
    let body = body.strip_suffix("\n}\n").unwrap_or(body);
    let body = dedented(body);
    body.strip_prefix("\"v\": ").unwrap_or(&body).to_owned()
}

/// `text` with its first line at the margin.
fn dedented(text: &str) -> String {
    let margin = text.len() - text.trim_start_matches([' ', '\t']).len();
    let lines = text.split_inclusive('\n');
    lines
        .map(|line| line.get(margin..).unwrap_or("\n"))
        .collect::<Vec<_>>()
        .concat()
}
