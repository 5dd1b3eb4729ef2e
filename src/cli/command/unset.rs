//! `unset`: remove values.

use clap::Args;

use super::set::{self, Changed};
use crate::cli::document::Source;
use crate::cli::error::{CommandError, Exit};
use crate::cli::{Outcome, Session, store};
use crate::env::did_you_mean;
use crate::sops::{Edit, Opened};
use crate::tree::{Map, Node, Path};

/// Remove values
///
/// A name is looked for in secrets, config and derived; superuser.email and the like are paths.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl unset OLD_TOKEN\n  sealctl unset OLD_TOKEN --all-envs"
)]
pub(crate) struct UnsetArgs {
    /// Names or paths
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    /// Remove them in every environment that has the app
    #[arg(long)]
    all_envs: bool,
}

/// `unset`.
pub(crate) fn run(session: &mut Session, args: &UnsetArgs) -> Result<Outcome, CommandError> {
    let mut prepared = Vec::new();
    for source in set::sources(session, args.all_envs)? {
        let document = source.open(session)?;
        let change = change(session, args, &source, &document.opened)?;
        prepared.push((source, change));
    }
    set::save_all(session, &prepared, "absent", |names, would| {
        format!("{names} {would}removed")
    })
}

fn change(
    session: &Session,
    args: &UnsetArgs,
    source: &Source,
    opened: &Opened,
) -> Result<Option<Changed>, CommandError> {
    let (mut edits, mut names) = (Vec::new(), Vec::new());
    for key in &args.keys {
        match find(opened.tree(), key) {
            Some(path) => {
                edits.push(Edit::Unset { path });
                names.push(key.clone());
            }
            None if args.all_envs => {}
            None => return Err(absent(source, opened.tree(), key)),
        }
    }
    if edits.is_empty() {
        return Ok(None);
    }
    let plain = opened
        .edit(&edits)
        .map_err(|error| store::write_error(&source.shown, &error.into()))?;
    let written = set::seal_text(session, source, opened, &plain)?;
    Ok(Some((written, names)))
}

/// The path of the name or path `key`.
fn find(tree: &Map, key: &str) -> Option<Path> {
    for section in ["secrets", "config", "derived"] {
        if let Some(Node::Map(map)) = tree.find(section).map(|entry| &entry.value)
            && map.find(key).is_some()
        {
            return Some(Path::of([section, key]));
        }
    }
    let (section, field) = key.split_once('.')?;
    let Node::Map(map) = &tree.find(section)?.value else {
        return None;
    };
    map.find(field).map(|_| Path::of([section, field]))
}

fn absent(source: &Source, tree: &Map, key: &str) -> CommandError {
    let mut known: Vec<&str> = Vec::new();
    for section in ["secrets", "config", "derived"] {
        if let Some(Node::Map(map)) = tree.find(section).map(|entry| &entry.value) {
            known.extend(map.entries().map(|entry| entry.key.as_str()));
        }
    }
    let what = format!("{key} is not set in {}", source.shown);
    let error = CommandError::new("E0204", Exit::Failure, what);
    match did_you_mean(key, known) {
        Some(hint) => error.why(hint),
        None => error,
    }
}
