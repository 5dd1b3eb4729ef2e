//! `set`: set or replace values.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::document::{LONGEST, Source};
use crate::cli::error::{CommandError, Exit};
use crate::cli::project::{DocumentRef, Project};
use crate::cli::{Outcome, Session, git, store};
use crate::file;
use crate::format::yaml::{Editor, Scalar, Site};
use crate::name::KeyName;
use crate::secret::Secret;
use crate::sops::{Edit, Opened};
use crate::tree::{Kind, Map, Node, Path as TreePath, Style};
use crate::trust::{Change, Written};

/// Set values, sealed or clear
///
/// A new key goes to secrets, or to config with --config; an existing one stays where it is. Without a
/// value sealctl asks for it, hidden. Values on the command line end up in the history of the shell.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl set API_KEY -e prod\n  openssl rand -hex 32 | sealctl set TOKEN -\n  sealctl set TLS_KEY --from-file tls.key\n  sealctl set DEBUG=false --config"
)]
pub(crate) struct SetArgs {
    /// KEY to be asked for, KEY=VALUE, or KEY - to read the value from standard input
    #[arg(required = true, value_name = "KEY[=VALUE]")]
    keys: Vec<Typed>,
    /// Take the value of the one KEY from this file, as it is
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Write the value as the YAML scalar that it is (a number, a truth value, a quoted text)
    #[arg(long)]
    json: bool,
    /// Put new keys into config, where they stay readable
    #[arg(long)]
    config: bool,
    /// Set them in every environment that has the app
    #[arg(long)]
    all_envs: bool,
}

/// One word of the command line, which may hold a secret and so has no readable `Debug`.
#[derive(Clone)]
struct Typed(Secret);

impl std::fmt::Debug for Typed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Typed(..)")
    }
}

impl std::str::FromStr for Typed {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(Secret::from_text(text)))
    }
}

/// A key and its new value.
struct Assignment {
    path: TreePath,
    shown: String,
    /// The name, unless the key was given as a path.
    name: Option<KeyName>,
    value: Secret,
    was_typed: bool,
}

/// What is to be written, and words for what changed in it.
pub(super) type Changed = (Written, Vec<String>);

/// `set`.
pub(crate) fn run(session: &mut Session, args: &SetArgs) -> Result<Outcome, CommandError> {
    let assignments = assignments(session, args)?;
    let sources = sources(session, args.all_envs)?;
    // All documents are prepared before the first one is written.
    let mut prepared = Vec::new();
    for source in sources {
        let document = source.open(session)?;
        let change = change(session, args, &source, &document.opened, &assignments)?;
        prepared.push((source, change));
    }
    save_all(session, &prepared, "unchanged", |lines, would| {
        format!("{would}{lines}")
    })
}

/// Saves what is prepared; a document of `None` is said to be `same`. `said` puts
/// the words together, with "would be " where nothing is written.
pub(super) fn save_all(
    session: &mut Session,
    prepared: &[(Source, Option<Changed>)],
    same: &str,
    said: impl Fn(&str, &str) -> String,
) -> Result<Outcome, CommandError> {
    let would = if session.globals.dry_run {
        "would be "
    } else {
        ""
    };
    let mut outcome = Outcome::Unchanged;
    for (source, change) in prepared {
        let shown = &source.shown;
        let Some((written, words)) = change else {
            session.ui.same(&format!("{shown}: {same}"));
            continue;
        };
        let revision = store::save(session, source, &written.sealed)?;
        let said = said(&words.join(", "), would);
        session
            .ui
            .done(&format!("{shown}: {said}; revision {revision}"));
        outcome = Outcome::Done;
    }
    if outcome == Outcome::Done {
        let changed = prepared.iter().filter(|(_, change)| change.is_some());
        let names = changed.map(|(source, _)| source.shown.as_str());
        session.ui.next(&git::commit_of(names));
    }
    Ok(outcome)
}

/// The documents that are meant: one, or that of the app in every environment.
pub(super) fn sources(session: &Session, all: bool) -> Result<Vec<Source>, CommandError> {
    if !all {
        return Ok(vec![Source::find(session, None)?]);
    }
    let project = Project::find(&session.globals)?;
    let documents = project.documents();
    let app = match &session.globals.app {
        Some(name) => name.clone(),
        None => project.document(&session.globals)?.app.to_string(),
    };
    let wanted: Vec<DocumentRef> = documents
        .into_iter()
        .filter(|one| one.app.as_str() == app)
        .collect();
    if wanted.is_empty() {
        return Err(CommandError::new(
            "E0512",
            Exit::Usage,
            format!("no app \"{app}\""),
        ));
    }
    wanted
        .iter()
        .map(|document| Source::of(&project, document))
        .collect()
}

fn assignments(session: &Session, args: &SetArgs) -> Result<Vec<Assignment>, CommandError> {
    let words: Vec<&Secret> = args.keys.iter().map(|typed| &typed.0).collect();
    let from_stdin = words.len() == 2 && words[1].expose() == b"-";
    if let Some(path) = &args.from_file {
        let [key] = words.as_slice() else {
            return Err(CommandError::usage(
                "--from-file gives the value of one key",
            ));
        };
        return Ok(vec![assignment(key, read_file(path)?, false)?]);
    }
    if from_stdin {
        return Ok(vec![assignment(words[0], read_stdin()?, false)?]);
    }
    words.into_iter().map(|word| one(session, word)).collect()
}

/// `KEY=VALUE`, or `KEY`, which is asked for.
fn one(session: &Session, word: &Secret) -> Result<Assignment, CommandError> {
    let bytes = word.expose();
    if let Some(place) = bytes.iter().position(|byte| *byte == b'=') {
        let key = Secret::new(bytes[..place].to_vec());
        let value = Secret::new(bytes[place + 1..].to_vec());
        return assignment(&key, value, true);
    }
    // The key is checked before anybody types a value for it.
    let checked = assignment(word, Secret::from_text(""), false)?;
    let question = format!("Value for {} (hidden): ", checked.shown);
    let flag = format!(
        "sealctl set {} -   (standard input), or --from-file FILE",
        checked.shown
    );
    let value = session.ui.hidden(&question, &flag)?;
    Ok(Assignment { value, ..checked })
}

fn assignment(key: &Secret, value: Secret, was_typed: bool) -> Result<Assignment, CommandError> {
    let shown = key.expose_text().unwrap_or_default();
    if value.expose_text().is_none() {
        return Err(CommandError::new(
            "E0296",
            Exit::Failure,
            format!("the value of {shown} is no text"),
        )
        .why("values are UTF-8 text")
        .fix(format!(
            "base64 FILE | sealctl set {shown} -   and list the key under decode in deliver"
        )));
    }
    if let ["superuser", field] = shown.split('.').collect::<Vec<_>>().as_slice() {
        let path = TreePath::of(["superuser", field]);
        return Ok(Assignment {
            path,
            shown: shown.to_owned(),
            name: None,
            value,
            was_typed,
        });
    }
    let name: KeyName = shown.parse().map_err(|error: crate::name::InvalidName| {
        CommandError::new("E0210", Exit::Usage, error.to_string())
    })?;
    let path = TreePath::of(["secrets", shown]);
    Ok(Assignment {
        path,
        shown: shown.to_owned(),
        name: Some(name),
        value,
        was_typed,
    })
}

fn read_file(path: &Path) -> Result<Secret, CommandError> {
    Ok(file::read(path, LONGEST)?)
}

/// Standard input without the newline that ends a single line.
fn read_stdin() -> Result<Secret, CommandError> {
    let text = file::read_from(io::stdin().lock(), LONGEST, Path::new("standard input"))?;
    let bytes = text.expose();
    let single = bytes.iter().filter(|byte| **byte == b'\n').count() == 1 && bytes.ends_with(b"\n");
    if !single {
        return Ok(text);
    }
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    Ok(Secret::new(
        line.strip_suffix(b"\r").unwrap_or(line).to_vec(),
    ))
}

/// The new file and what changed in it, or `None` when everything has its value already.
fn change(
    session: &Session,
    args: &SetArgs,
    source: &Source,
    opened: &Opened,
    assignments: &[Assignment],
) -> Result<Option<Changed>, CommandError> {
    let before = opened.text();
    let (mut plain, mut lines) = (before.clone(), Vec::new());
    for assignment in assignments {
        let section = section(opened.tree(), assignment, args.config);
        if let Some(("derived", _)) = section {
            return Err(composed(&assignment.shown));
        }
        let path = match (&assignment.name, section) {
            (Some(name), Some((section, _))) => TreePath::of([section, name.as_str()]),
            _ => assignment.path.clone(),
        };
        warn_about_history(
            session,
            assignment,
            section.is_some_and(|(name, _)| name == "config"),
        );
        let edited = edit(source, opened, &plain, &path, assignment, args.json)?;
        if edited != plain {
            let verb = match section {
                Some((section, true)) => format!("set in {section}"),
                Some((section, false)) => format!("added to {section}"),
                None => "set".to_owned(),
            };
            lines.push(format!("{} {verb}", assignment.shown));
        }
        plain = edited;
    }
    if plain == before {
        return Ok(None);
    }
    let written = seal_text(session, source, opened, &plain)?;
    Ok(Some((written, lines)))
}

/// Seals `plain`, the changed text of `opened`, once it is known to be a document.
pub(super) fn seal_text(
    session: &Session,
    source: &Source,
    opened: &Opened,
    plain: &Secret,
) -> Result<Written, CommandError> {
    store::check_plain(session, source, plain)?;
    let change = Change::Text { opened, plain };
    store::seal_again(session, source, opened.sealed(), &change)
}

/// A derived value is a template in clear: a value typed into it would not be sealed.
fn composed(key: &str) -> CommandError {
    CommandError::new(
        "E0211",
        Exit::Usage,
        format!("{key} is composed from other values"),
    )
    .why("it stands in derived, which is not sealed")
    .fix("sealctl set one of the values that it is composed from, or sealctl edit")
}

/// Where a name stands or will stand, and whether it stands there already.
fn section(tree: &Map, assignment: &Assignment, config: bool) -> Option<(&'static str, bool)> {
    let name = assignment.name.as_ref()?;
    for section in ["secrets", "config", "derived"] {
        if let Some(Node::Map(map)) = tree.find(section).map(|entry| &entry.value)
            && map.find(name.as_str()).is_some()
        {
            return Some((section, true));
        }
    }
    Some((if config { "config" } else { "secrets" }, false))
}

fn warn_about_history(session: &Session, assignment: &Assignment, is_clear: bool) {
    if assignment.was_typed && !is_clear {
        let key = &assignment.shown;
        session.ui.warn(&format!(
            "the value of {key} is in the history of your shell now; next time: sealctl set {key}"
        ));
    }
}

fn edit(
    source: &Source,
    opened: &Opened,
    plain: &Secret,
    path: &TreePath,
    assignment: &Assignment,
    json: bool,
) -> Result<Secret, CommandError> {
    let format = opened.sealed().format();
    let text = assignment.value.clone();
    let edits = [Edit::Set {
        path: path.clone(),
        text,
    }];
    let edited = crate::sops::edit(format, plain, &edits)
        .map_err(|error| store::write_error(&source.shown, &error.into()))?;
    if json {
        as_scalar(source, &edited, path, assignment)
    } else {
        Ok(edited)
    }
}

/// The value at `path` as the scalar that it spells: a quoted text without its quotes, everything else
/// plain.
fn as_scalar(
    source: &Source,
    plain: &Secret,
    path: &TreePath,
    assignment: &Assignment,
) -> Result<Secret, CommandError> {
    let given = assignment.value.expose_text().unwrap_or_default().trim();
    let (kind, text) = match serde_json::from_str::<serde_json::Value>(given) {
        Ok(serde_json::Value::String(text)) => (Kind::Text, text),
        Ok(serde_json::Value::Bool(_)) => (Kind::Bool, given.to_owned()),
        Ok(serde_json::Value::Number(number)) if number.is_i64() => (Kind::Int, given.to_owned()),
        _ => {
            let what = format!("the value of {} is no JSON scalar", assignment.shown);
            return Err(CommandError::new("E0214", Exit::Usage, what)
                .why("--json takes a whole number, true, false or a quoted text"));
        }
    };
    let tree = store::parse_plain(&source.shown, plain)?;
    let mut editor = Editor::new(plain.expose_text().unwrap_or_default(), &tree);
    let keys: Vec<&str> = path.keys().collect();
    let mut map = &tree;
    for (depth, key) in keys.iter().enumerate() {
        match map.find(key).map(|entry| &entry.value) {
            Some(Node::Map(inner)) => map = inner,
            Some(Node::Leaf(leaf)) if depth + 1 == keys.len() => {
                let scalar = Scalar {
                    kind,
                    text: &text,
                    style: Style::Plain,
                };
                editor.replace_leaf(leaf, Site::in_map(map), &scalar);
            }
            _ => break,
        }
    }
    Ok(editor.finish())
}
