//! `edit`: the opened file in an editor, be it a document or any other sealed file.
//!
//! The text lies in memory only and is checked before it is saved. What was typed is never lost: until
//! it is saved or thrown away by a person, the buffer stays, and the next `edit` offers it.

mod buffer;
mod conflict;
mod other;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use crate::cli::document::Source;
use crate::cli::error::{CommandError, Exit};
use crate::cli::keys::Keys;
use crate::cli::merge::Merged;
use crate::cli::{Outcome, Session, findings, git, store};
use crate::env::{Form, Severity, check};
use crate::file;
use crate::secret::Secret;
use crate::sops::{Edit, Opened};
use crate::tree::{Map, Node, Path as TreePath};
use crate::trust::Change;
use buffer::Buffer;

/// Edit a document, or any other sealed file, in your editor
///
/// The opened text lies in memory only. It is checked before it is saved; values that did not change
/// keep their ciphertext, and without any change the file stays as it is. What could not be saved is kept in
/// memory, and the next edit of the same file offers it. The editor is the first of SOPS_EDITOR, VISUAL,
/// EDITOR, vim, nano, vi.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl edit -e prod\n  EDITOR=\"code --wait\" sealctl edit envs/dev/web.yaml\n  sealctl edit certs/api.json"
)]
pub(crate) struct EditArgs {
    /// Sealed file of any format (default: the document by -e and -a)
    file: Option<PathBuf>,
    /// Edit the value of this key of a document alone
    #[arg(long, value_name = "KEY", conflicts_with = "stdio")]
    key: Option<String>,
    /// Take the new text from standard input instead of an editor
    #[arg(long)]
    stdio: bool,
}

/// `edit`.
pub(crate) fn run(session: &mut Session, args: &EditArgs) -> Result<Outcome, CommandError> {
    let source = Source::find(session, args.file.as_deref())?;
    let conflict = conflict::find(session, &source)?;
    let (target, subject) = match &conflict {
        Some(merged) => (Target::Conflict(merged), Subject::of_conflict(merged)),
        None => {
            let opened = source.open_any(session, &Keys::new(session))?;
            let subject = Subject::new(&source, &opened, args.key.as_deref())?;
            (Target::File(Box::new(opened)), subject)
        }
    };
    if args.stdio {
        let limit = source.limit();
        let text = file::read_from(std::io::stdin().lock(), limit, "standard input".as_ref())?;
        return target.save(session, &source, &text);
    }
    in_editor(session, &source, &target, &subject)
}

/// What is saved.
enum Target<'a> {
    /// A file that is well.
    File(Box<Opened>),
    /// A document of which git has left both sides.
    Conflict(&'a Merged),
}

impl Target<'_> {
    fn opened(&self) -> &Opened {
        match self {
            Self::File(opened) => opened,
            Self::Conflict(merged) => merged.start(),
        }
    }

    /// Whether `typed` is worth saving, where the editor was opened with `text`.
    fn is_changed(&self, typed: &Secret, text: &Secret) -> bool {
        match self {
            Self::File(_) => typed != text,
            // Without markers it may be right as it was offered.
            Self::Conflict(_) => !conflict::is_marked(typed) || typed != text,
        }
    }

    fn save(
        &self,
        session: &Session,
        source: &Source,
        plain: &Secret,
    ) -> Result<Outcome, CommandError> {
        match self {
            Self::File(opened) => save(session, source, opened, plain),
            Self::Conflict(merged) => conflict::save(session, source, merged, plain),
        }
    }
}

/// What is edited: the whole text, or one value of it.
struct Subject {
    text: Secret,
    key: Option<TreePath>,
    /// The key as it was typed.
    name: Option<String>,
}

impl Subject {
    fn new(source: &Source, opened: &Opened, key: Option<&str>) -> Result<Self, CommandError> {
        let Some(key) = key else {
            return Ok(Self {
                text: opened.text(),
                key: None,
                name: None,
            });
        };
        if !source.is_document() {
            let what = format!("--key is for documents, and {} is none", source.shown);
            let fix = format!("sealctl edit {}", git::quoted(&source.shown));
            return Err(CommandError::usage(what).fix(fix));
        }
        let found = ["secrets", "config", "derived"].iter().find_map(|section| {
            let Node::Map(map) = &opened.tree().find(section)?.value else {
                return None;
            };
            match &map.find(key)?.value {
                Node::Leaf(leaf) => Some((TreePath::of([*section, key]), leaf.text.clone())),
                Node::Map(_) | Node::List(_) => None,
            }
        });
        let (path, text) = found.ok_or_else(|| {
            let what = format!("{key} is not set in {}", source.shown);
            CommandError::new("E0204", Exit::Failure, what).fix(format!("sealctl set {key}"))
        })?;
        Ok(Self {
            text,
            key: Some(path),
            name: Some(key.to_owned()),
        })
    }

    /// Both sides of a conflict.
    fn of_conflict(merged: &Merged) -> Self {
        Self {
            text: merged.plain(&conflict::labels()),
            key: None,
            name: None,
        }
    }

    /// The whole document with `typed` in its place.
    fn whole(
        &self,
        source: &Source,
        opened: &Opened,
        typed: &Secret,
    ) -> Result<Secret, CommandError> {
        let Some(path) = &self.key else {
            return Ok(typed.clone());
        };
        let edits = [Edit::Set {
            path: path.clone(),
            text: typed.clone(),
        }];
        opened
            .edit(&edits)
            .map_err(|error| store::write_error(&source.shown, &error.into()))
    }
}

fn in_editor(
    session: &Session,
    source: &Source,
    target: &Target<'_>,
    subject: &Subject,
) -> Result<Outcome, CommandError> {
    let opened = target.opened();
    let mut buffer = Buffer::open(session, source, subject.name.as_deref(), &subject.text)?;
    loop {
        buffer.edit(session)?;
        let typed = buffer.read()?;
        if !target.is_changed(&typed, &subject.text) {
            buffer.discard();
            session.ui.same(&format!("{}: unchanged", source.shown));
            return Ok(Outcome::Unchanged);
        }
        // Whatever fails from here on leaves the buffer where it is.
        let plain = subject
            .whole(source, opened, &typed)
            .map_err(|error| buffer.kept(error))?;
        if faults(session, source, opened, &plain) == 0 {
            return match target.save(session, source, &plain) {
                Ok(outcome) => {
                    buffer.discard();
                    Ok(outcome)
                }
                Err(error) => Err(buffer.kept(error)),
            };
        }
        if !session.ui.can_ask() {
            let what = format!("{} was not saved", source.shown);
            let error = CommandError::new("E0294", Exit::Failure, what);
            return Err(buffer.kept(error.why("what was typed has the faults above")));
        }
        let letters = ['r', 'd', 'k'];
        let question = "  [r]e-open editor  [k]eep for later  [d]iscard ? ";
        let answer = session.ui.choose(question, &letters, "a terminal");
        match answer.map_err(|error| buffer.kept(error))? {
            'd' => {
                buffer.discard();
                session
                    .ui
                    .same(&format!("{}: nothing was saved", source.shown));
                return Ok(Outcome::Unchanged);
            }
            'k' => {
                session
                    .ui
                    .warn(&format!("not saved; kept in {}", buffer.shown()));
                session.ui.next(&buffer.resume());
                return Ok(Outcome::No);
            }
            _ => {}
        }
    }
}

/// Prints what is wrong with `plain` and says how much that is.
fn faults(session: &Session, source: &Source, opened: &Opened, plain: &Secret) -> usize {
    if !source.is_document() {
        let sealed = other::seal(source, opened, plain);
        return sealed.map_or_else(|error| other::say_fault(session, source, &error), |_| 0);
    }
    let tree = match store::parse_plain(&source.shown, plain) {
        Ok(tree) => tree,
        Err(error) => {
            session
                .ui
                .finding(&format!("{} {}", error.code(), error.what()));
            return 1;
        }
    };
    let checked = check(&tree, Form::Typed, &source.place());
    let errors = checked
        .findings
        .iter()
        .filter(|one| one.severity == Severity::Error);
    let count = errors
        .map(|one| findings::print(&session.ui, &source.shown, one))
        .count();
    if count == 0 && checked.delivery.is_none() {
        1
    } else {
        count
    }
}

/// Seals `plain` into the file.
fn save(
    session: &Session,
    source: &Source,
    opened: &Opened,
    plain: &Secret,
) -> Result<Outcome, CommandError> {
    if *plain == opened.text() {
        session.ui.same(&format!("{}: unchanged", source.shown));
        return Ok(Outcome::Unchanged);
    }
    if !source.is_document() {
        return other::save(session, source, opened, plain);
    }
    let tree = store::check_plain(session, source, plain)?;
    let change = Change::Text { opened, plain };
    let written = store::seal_again(session, source, opened.sealed(), &change)?;
    let revision = store::save(session, source, &written.sealed)?;
    let summary = summary(values(opened.tree()), values(&tree));
    session
        .ui
        .done(&format!("{}: {summary}; revision {revision}", source.shown));
    session.ui.next(&git::commit_of([source.shown.as_str()]));
    Ok(Outcome::Done)
}

/// The values of a document that a person sets.
fn values(tree: &Map) -> Vec<(String, Secret)> {
    let sections = ["config", "secrets", "derived"].iter();
    let maps = sections.filter_map(|section| match &tree.find(section)?.value {
        Node::Map(map) => Some(map.clone()),
        Node::List(_) | Node::Leaf(_) => None,
    });
    let entries = maps.flat_map(|map| map.entries().cloned().collect::<Vec<_>>());
    let leaves = entries.filter_map(|entry| match entry.value {
        Node::Leaf(leaf) => Some((entry.key, leaf.text)),
        Node::Map(_) | Node::List(_) => None,
    });
    leaves.collect()
}

/// `1 changed, 1 added, 22 untouched`.
fn summary(before: Vec<(String, Secret)>, after: Vec<(String, Secret)>) -> String {
    let mut before: BTreeMap<String, Secret> = before.into_iter().collect();
    let (mut changed, mut added, mut same) = (0, 0, 0);
    for (key, text) in after {
        match before.remove(&key) {
            None => added += 1,
            Some(old) if old != text => changed += 1,
            Some(_) => same += 1,
        }
    }
    let removed = before.len();
    let counts = [(changed, "changed"), (added, "added"), (removed, "removed")];
    let mut parts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    parts.push(format!("{same} untouched"));
    parts.join(", ")
}
