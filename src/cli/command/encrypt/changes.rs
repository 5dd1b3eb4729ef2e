//! What was changed by hand in a sealed document, as far as that can be told, and whether that was
//! meant.
//!
//! A clear value or key that was changed by hand breaks the MAC just as tampering does. The last version
//! in git whose MAC is right shows the difference; a person decides.

use std::collections::BTreeMap;

use crate::cli::document::Source;
use crate::cli::error::{CommandError, Exit};
use crate::cli::keys::Keys;
use crate::cli::mask::Mask;
use crate::cli::{Session, store};
use crate::crypto::identity::short;
use crate::sops::{Partly, Sealed};
use crate::tree::{Leaf, Map, Node};

/// Shows what was changed without sealing, and asks.
///
/// # Errors
///
/// Exit code 13 unless the change is accepted; nothing has been written then.
pub(super) fn accept(
    session: &Session,
    source: &Source,
    partly: &Partly,
    keys: &Keys,
    mask: &Mask,
) -> Result<(), CommandError> {
    let shown = &source.shown;
    let Some((commit, good)) = store::last_good(session, source, keys) else {
        session
            .ui
            .warn(&format!("{shown} was changed after it was sealed"));
        session.ui.detail(
            "why",
            "git has no version of it whose MAC is right, to compare with",
        );
        return ask(session, source);
    };
    let typed: Vec<String> = partly
        .plain
        .iter()
        .map(|(path, _)| path.to_string())
        .collect();
    let before = leaves(good.tree());
    let after = leaves(partly.opened.tree());
    let mut changes: Vec<String> = differences(&before, &after, &typed, mask);
    changes.extend(differences_of_block(good.sealed(), partly.opened.sealed()));
    if changes.is_empty() && !typed.is_empty() {
        // Only what is sealed right now differs: typed values that took the place of sealed ones.
        return Ok(());
    }
    session.ui.warn(&format!(
        "{shown} was changed after it was sealed; since {commit}:"
    ));
    for change in &changes {
        session.ui.status(&format!("  {change}"));
    }
    if changes.is_empty() {
        session
            .ui
            .status("  the order of its fields, or its sops block");
    }
    ask(session, source)
}

fn ask(session: &Session, source: &Source) -> Result<(), CommandError> {
    if !session.globals.yes && !session.ui.can_ask() {
        return Err(refused(source).fix("look at the difference, then add --yes to accept it"));
    }
    if session
        .ui
        .confirm("Was that you, and shall it be sealed?", "--yes")?
    {
        return Ok(());
    }
    Err(refused(source).fix(format!("git restore {}", source.shown)))
}

fn refused(source: &Source) -> CommandError {
    let what = format!("{} was changed after it was sealed", source.shown);
    CommandError::new("E0130", Exit::Integrity, what)
        .why("a hand edit looks like tampering; nothing was written")
}

/// Every leaf by its path.
fn leaves(tree: &Map) -> BTreeMap<String, &Leaf> {
    fn walk<'a>(node: &'a Node, path: &str, found: &mut BTreeMap<String, &'a Leaf>) {
        match node {
            Node::Leaf(leaf) => {
                found.insert(path.to_owned(), leaf);
            }
            Node::Map(map) => {
                for entry in map.entries() {
                    walk(&entry.value, &format!("{path}.{}", entry.key), found);
                }
            }
            Node::List(list) => {
                for (index, node) in list.nodes().enumerate() {
                    walk(node, &format!("{path}[{index}]"), found);
                }
            }
        }
    }
    let mut found = BTreeMap::new();
    for entry in tree.entries() {
        walk(&entry.value, &entry.key, &mut found);
    }
    found
}

/// One line per difference, apart from the paths in `typed`.
fn differences(
    before: &BTreeMap<String, &Leaf>,
    after: &BTreeMap<String, &Leaf>,
    typed: &[String],
    mask: &Mask,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, new) in after.iter().filter(|(path, _)| !typed.contains(path)) {
        match before.get(path) {
            None => lines.push(format!("+ {path}: {}", shown(new, mask))),
            Some(old) if (old.kind, &old.text) != (new.kind, &new.text) => {
                lines.push(format!(
                    "~ {path}: {} to {}",
                    shown(old, mask),
                    shown(new, mask)
                ));
            }
            Some(_) => {}
        }
    }
    let gone = before.iter().filter(|(path, _)| !after.contains_key(*path));
    lines.extend(gone.map(|(path, old)| format!("- {path}: {}", shown(old, mask))));
    lines
}

/// Readers and selection rule, which stand in the sops block and are not covered by the MAC.
fn differences_of_block(before: &Sealed, after: &Sealed) -> Vec<String> {
    let readers = |sealed: &Sealed| sealed.recipients().map(short).collect::<Vec<_>>();
    let (old, new) = (readers(before), readers(after));
    let line = |sign: char| move |reader: &String| format!("{sign} reader {reader}");
    let mut lines: Vec<String> = Vec::new();
    lines.extend(new.iter().filter(|one| !old.contains(one)).map(line('+')));
    lines.extend(old.iter().filter(|one| !new.contains(one)).map(line('-')));
    let rule = |sealed: &Sealed| {
        let rule = &sealed.metadata().rule;
        format!("{}: {}", rule.name(), rule.argument())
    };
    let (old, new) = (rule(before), rule(after));
    if old != new {
        lines.push(format!("~ {old} to {new}"));
    }
    lines
}

fn shown(leaf: &Leaf, mask: &Mask) -> String {
    if leaf.sealed {
        return mask.show(&leaf.text);
    }
    let text = leaf.text.expose_text().unwrap_or_default();
    let short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        format!("{short:?}…")
    } else {
        format!("{short:?}")
    }
}
