//! `encrypt`: seal files in place.
//!
//! A document that was never sealed needs no identity. One that was has to open: what was typed in the
//! clear is sealed, and what was changed by hand without sealing is shown and asked for.

mod changes;
mod other;
mod said;

use std::path::PathBuf;

use clap::Args;

use self::said::{
    listed, none_sealed, not_a_key, refuse_folder, refuse_new_readers, warn_of_altered,
    warn_of_lost,
};
use crate::cli::document::Source;
use crate::cli::error::{CommandError, Exit};
use crate::cli::keys::Keys;
use crate::cli::mask::Mask;
use crate::cli::project::Project;
use crate::cli::readers::{self, Note, Reader};
use crate::cli::ui::asker::Terminal;
use crate::cli::{Outcome, Session, git, store};
use crate::clock::{Clock as _, SystemClock};
use crate::crypto::value::is_encrypted;
use crate::crypto::{Asking, DataKey, KeyKind, Recipient};
use crate::format::Format;
use crate::secret::Secret;
use crate::sops::{self, Edit, Partly, Sealed};
use crate::tree::{Map, Node, Path as TreePath};
use crate::trust::{self, Change, Verdict};

/// Seal files in place
///
/// Without FILE every document that holds plaintext is sealed for the readers in keys/<env>/. Any other
/// file (YAML, JSON, dotenv, INI, binary, by its name) is sealed as sops does it: for the recipients
/// given with -r, else for those of the creation rule in .sops.yaml that fits, else for the readers of
/// the environment in whose folder it lies or that -e names. What is sealed throughout stays byte for
/// byte as it is.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl encrypt\n  sealctl encrypt envs/prod/web.yaml\n  sealctl encrypt -r age1… secrets.json\n  sealctl encrypt -e prod certs/tls.key\n  cat web.yaml | sealctl encrypt -r age1… - > sealed.yaml"
)]
pub(crate) struct EncryptArgs {
    /// Files, or - for standard input (default: every document with plaintext)
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Format of a file whose name does not say it: yaml, json, dotenv, ini, binary
    #[arg(long, value_name = "FORMAT", value_parser = super::format_word)]
    input_type: Option<Format>,
    /// Seal for this public key: age1…, age1pq1…, age1PLUGIN1…, "ssh-ed25519 …", "ssh-rsa …"; repeat for several
    #[arg(short, long, value_name = "KEY")]
    recipient: Vec<String>,
    /// Write to standard output instead of the file
    #[arg(long)]
    stdout: bool,
}

/// What became of one file.
struct Sealing {
    source: Source,
    /// `None` when there was nothing to seal.
    sealed: Option<Sealed>,
    /// Names of what was sealed.
    names: Vec<String>,
    /// How many comments were sealed that stood in clear in a sealed file.
    comments: usize,
    /// Who can open it.
    readers: String,
}

/// `encrypt`.
pub(crate) fn run(session: &mut Session, args: &EncryptArgs) -> Result<Outcome, CommandError> {
    let given = recipients(&args.recipient)?;
    if args.files.is_empty() && !given.is_empty() {
        return Err(CommandError::usage("which file? --recipient goes with a FILE")
            .why("without FILE the documents of the project are sealed, for the readers in keys/")
            .fix("sealctl encrypt -r KEY FILE"));
    }
    let sources = match args.files.as_slice() {
        [] => with_plaintext(session)?,
        files => files
            .iter()
            .map(|path| {
                refuse_folder(path)?;
                let source = Source::at(session, path)?;
                Ok(source.declared_as(args.input_type))
            })
            .collect::<Result<Vec<_>, CommandError>>()
            .map_err(|error| none_sealed(error, args))?,
    };
    let to_stdout = |source: &Source| args.stdout || source.original.is_none();
    if sources.len() > 1 && sources.iter().any(to_stdout) {
        return Err(
            CommandError::usage("several files on one standard output").fix("seal them one by one")
        );
    }
    // All of them are sealed before the first one is written.
    let keys = Keys::new(session);
    let sealings = sources
        .into_iter()
        .map(|source| seal(session, source, &given, &keys))
        .collect::<Result<Vec<_>, CommandError>>()
        .map_err(|error| none_sealed(error, args))?;
    let mut outcome = Outcome::Unchanged;
    for sealing in &sealings {
        if to_stdout(&sealing.source) {
            let unchanged = &sealing.source.text;
            let text = sealing.sealed.as_ref().map_or(unchanged, Sealed::text);
            session.ui.data(text.expose());
            outcome = Outcome::Done;
        } else if report(session, sealing)? == Outcome::Done {
            outcome = Outcome::Done;
        }
    }
    let paths = sealings.iter().filter_map(|one| one.source.path());
    let in_git = || {
        paths
            .clone()
            .any(|path| path.parent().is_some_and(git::holds))
    };
    if outcome == Outcome::Done && !args.stdout && in_git() {
        let written = sealings.iter().filter(|one| one.sealed.is_some());
        let names = written.map(|one| one.source.shown.as_str());
        session.ui.next(&git::commit_of(names));
    }
    if sealings.is_empty() {
        session
            .ui
            .same("no document holds plaintext; sealctl check looks at their seals");
    }
    Ok(outcome)
}

fn recipients(given: &[String]) -> Result<Vec<Recipient>, CommandError> {
    let parse = |(place, text): (usize, &String)| {
        let parsed = text.trim().parse::<Recipient>();
        let parsed = parsed.map(|recipient| recipient.asking(&Asking::new(Terminal)));
        parsed.map_err(|invalid| not_a_key(place + 1, text.trim(), &invalid))
    };
    given.iter().enumerate().map(parse).collect()
}

/// The documents of the project, or of the environment that was named, that hold plaintext.
fn with_plaintext(session: &Session) -> Result<Vec<Source>, CommandError> {
    let project = Project::find(&session.globals)?;
    let environment = match &session.globals.environment {
        Some(name) => Some(project.environment(Some(name))?),
        None => None,
    };
    let mut found = Vec::new();
    for document in project.documents() {
        if environment
            .as_ref()
            .is_some_and(|wanted| *wanted != document.environment)
        {
            continue;
        }
        let source = Source::of(&project, &document)?;
        if !source.looks_sealed() || has_plaintext(&source.parse()?) {
            found.push(source);
        }
    }
    Ok(found)
}

fn has_plaintext(sealed: &Sealed) -> bool {
    !sealed.plain_paths().is_empty() || !sealed.plain_comments().is_empty()
}

fn seal(
    session: &Session,
    source: Source,
    given: &[Recipient],
    keys: &Keys,
) -> Result<Sealing, CommandError> {
    if !source.is_document() {
        return other::seal(session, source, given, keys);
    }
    if given.iter().any(|one| one.kind() != KeyKind::X25519) {
        let what = format!(
            "{} is a document; seald opens X25519 keys only",
            source.shown
        );
        return Err(CommandError::usage(what).fix("give recipients age1… of age-keygen"));
    }
    if source.home.is_some() && !given.is_empty() {
        return Err(
            CommandError::usage("-r is for files outside a project").why(format!(
                "the readers of {} are the keys in keys/",
                source.shown
            )),
        );
    }
    if source.looks_sealed() {
        let sealed = source.parse()?;
        refuse_new_readers(&source, &sealed, given)?;
        return again(session, source, sealed, keys);
    }
    let tree = store::parse_plain(&source.shown, &source.text)?;
    refuse_ciphertext(&source, &tree)?;
    first(session, source, &tree, given)
}

/// A file with ciphertext and without `sops` block is the rest of a sealed one.
fn refuse_ciphertext(source: &Source, tree: &Map) -> Result<(), CommandError> {
    let mut found = None;
    each_leaf(tree, &mut String::new(), &mut |path, leaf| {
        if leaf.text.expose_text().is_some_and(is_encrypted) && found.is_none() {
            found = Some((path.to_owned(), leaf.position.line));
        }
    });
    let Some((path, line)) = found else {
        return Ok(());
    };
    let shown = &source.shown;
    let what = format!("{shown}:{line}  {path} is ciphertext, but the sops block is missing");
    Err(CommandError::new("E0131", Exit::Integrity, what)
        .why("the file is cut off; sealing it again would lose its values")
        .fix(format!("git restore {shown}")))
}

fn each_leaf(tree: &Map, path: &mut String, visit: &mut impl FnMut(&str, &crate::tree::Leaf)) {
    for entry in tree.entries() {
        let length = path.len();
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&entry.key);
        each_leaf_of(&entry.value, path, visit);
        path.truncate(length);
    }
}

fn each_leaf_of(node: &Node, path: &mut String, visit: &mut impl FnMut(&str, &crate::tree::Leaf)) {
    match node {
        Node::Leaf(leaf) => visit(path, leaf),
        Node::Map(map) => each_leaf(map, path, visit),
        Node::List(list) => {
            for node in list.nodes() {
                each_leaf_of(node, path, visit);
            }
        }
    }
}

/// A document that was never sealed.
fn first(
    session: &Session,
    source: Source,
    tree: &Map,
    given: &[Recipient],
) -> Result<Sealing, CommandError> {
    let readers = if given.is_empty() {
        store::readers_of(&source)?
    } else {
        unnamed(given)
    };
    store::check_plain(session, &source, &source.text)?;
    let written = store::seal_new(session, &source, &source.text, &readers)?;
    let names = secret_names(tree);
    let readers = shown_readers(&readers, given);
    Ok(Sealing {
        source,
        sealed: Some(written.sealed),
        names,
        comments: 0,
        readers,
    })
}

/// A file that is sealed already: seals what was typed since.
fn again(
    session: &Session,
    source: Source,
    sealed: Sealed,
    keys: &Keys,
) -> Result<Sealing, CommandError> {
    let readers = source.readers_of_file(&sealed);
    let key = keys.unlock(session, &source, &sealed)?;
    let former = sealed.clone();
    let comments = former.plain_comments();
    let partly = sealed
        .open_partly(&key)
        .map_err(|error| source.open_error(&error))?;
    warn_of_altered(session, &source, &comments, partly.opened.plain_comments());
    let is_document = source.is_document();
    let verdict = trust::verify(&former, &key);
    let is_sealed = !is_document || matches!(verdict, Verdict::Valid { .. });
    // Going back to an older version is a change too; a cluster refuses it under its old number.
    let is_reverted = is_document
        && store::later_revision(
            session,
            &source,
            trust::revision(&former).unwrap_or_default(),
        )
        .is_some();
    let nothing_typed = partly.plain.is_empty() && comments.is_empty();
    if nothing_typed && partly.mac.is_ok() && is_sealed && !is_reverted {
        return Ok(Sealing {
            source,
            sealed: None,
            names: Vec::new(),
            comments: 0,
            readers,
        });
    }
    // The MAC leaves out what was typed. The seal covers it, so it is looked at without it.
    let is_altered = || verdict == Verdict::Invalid && !fits_without_typed(&former, &partly, &key);
    if partly.mac.is_err() || is_altered() {
        let mask = Mask::new(&key, session.ui.symbols());
        changes::accept(session, &source, &partly, keys, &mask)?;
    }
    let plain = partly.opened.text();
    if is_document {
        store::check_plain(session, &source, &plain)?;
    }
    let names = partly
        .plain
        .iter()
        .map(|(path, _)| last_key(path))
        .collect();
    let sealed = renew(session, &source, &former, &partly, &plain, is_document)?;
    Ok(Sealing {
        source,
        sealed: Some(sealed),
        names,
        comments: comments.len(),
        readers,
    })
}

/// Whether the seal fits the file once the values that were typed into it are taken out, or empty again,
/// as it does when nothing else was touched.
fn fits_without_typed(sealed: &Sealed, partly: &Partly, key: &DataKey) -> bool {
    let paths = || partly.plain.iter().map(|(path, _)| path.clone());
    let absent: Vec<Edit> = paths().map(|path| Edit::Unset { path }).collect();
    let text = Secret::from_text("");
    let empty: Vec<Edit> = paths()
        .map(|path| Edit::Set {
            path,
            text: text.clone(),
        })
        .collect();
    [absent, empty].iter().any(|edits| {
        sops::edit(sealed.format(), sealed.text(), edits)
            .ok()
            .and_then(|text| Sealed::parse(sealed.format(), &text).ok())
            .is_some_and(|sealed| trust::verify(&sealed, key) != Verdict::Invalid)
    })
}

fn renew(
    session: &Session,
    source: &Source,
    former: &Sealed,
    partly: &Partly,
    plain: &Secret,
    is_document: bool,
) -> Result<Sealed, CommandError> {
    if is_document {
        let written = store::seal_again(
            session,
            source,
            former,
            &Change::Text {
                opened: &partly.opened,
                plain,
            },
        )?;
        return Ok(written.sealed);
    }
    let now = SystemClock.now().wall;
    let draft = partly.opened.reseal(plain, now);
    let draft = draft.and_then(|draft| trust::renew(draft, former, now));
    let draft = draft.map_err(|error| store::write_error(&source.shown, &error.into()))?;
    warn_of_lost(session, source, &draft);
    Ok(draft.sealed)
}

fn report(session: &Session, sealing: &Sealing) -> Result<Outcome, CommandError> {
    let shown = &sealing.source.shown;
    let Some(sealed) = &sealing.sealed else {
        let sealed = sealing.source.read()?;
        readers::warn_of_difference(session, &sealing.source, &sealed);
        session.ui.same(&format!("{shown} is sealed throughout"));
        return Ok(Outcome::Unchanged);
    };
    let revision = store::save(session, &sealing.source, sealed)?;
    let what = sealing.what(session.globals.dry_run);
    let counter = match trust::revision(sealed) {
        Some(_) => format!("; revision {revision}"),
        None => String::new(),
    };
    let readers = &sealing.readers;
    session
        .ui
        .done(&format!("{shown}: {what} for {readers}{counter}"));
    Ok(Outcome::Done)
}

fn last_key(path: &TreePath) -> String {
    let keys: Vec<&str> = path.keys().collect();
    match keys.as_slice() {
        ["secrets", name] => (*name).to_owned(),
        _ => path.to_string(),
    }
}

/// What is sealed in a document: the names in `secrets`, and passwords by their path.
fn secret_names(tree: &Map) -> Vec<String> {
    let mut names = Vec::new();
    each_leaf(tree, &mut String::new(), &mut |path, leaf| {
        let is_secret = path
            .split('.')
            .any(|key| key == "secrets" || key == "password");
        if is_secret && !leaf.text.is_empty() {
            names.push(path.strip_prefix("secrets.").unwrap_or(path).to_owned());
        }
    });
    names
}

/// Readers that were given by key; their names are not shown.
fn unnamed(given: &[Recipient]) -> Vec<Reader> {
    let name = |place: usize| format!("r{place}").parse().ok();
    let readers = given.iter().enumerate();
    readers
        .filter_map(|(place, recipient)| {
            Some(Reader {
                name: name(place)?,
                recipient: recipient.clone(),
                note: Note::default(),
            })
        })
        .collect()
}

fn shown_readers(readers: &[Reader], given: &[Recipient]) -> String {
    if given.is_empty() {
        return readers::names(readers);
    }
    let shorts: Vec<String> = given.iter().map(Recipient::short).collect();
    shorts.join(", ")
}
