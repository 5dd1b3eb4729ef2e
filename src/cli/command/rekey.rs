//! `rekey`: people changed; the readers of documents become those in `keys/`.
//!
//! All new files are made before the first one is written. Each is replaced as a whole, so a call that
//! was killed is ended by the next one.

use std::path::PathBuf;

use clap::Args;

use crate::cli::document::Source;
use crate::cli::error::{CommandError, Exit};
use crate::cli::keys::Keys;
use crate::cli::project::{DocumentRef, Project};
use crate::cli::readers::{self, Reader};
use crate::cli::{Outcome, Session, git, parallel, store};
use crate::crypto::identity::short;
use crate::file;
use crate::sops::Sealed;
use crate::trust::{self, Change, Verdict};

/// Make the readers of documents equal to keys/
///
/// Whoever is new can open the documents afterwards; whoever is gone cannot, since they get a new data
/// key. Every reader that comes or goes is named, and the changes are asked for. Values stay as they are:
/// whoever was a reader knows them, and git keeps the former files.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl rekey --dry-run\n  sealctl rekey -e prod\n  sealctl rekey envs/prod/web.yaml --yes"
)]
pub(crate) struct RekeyArgs {
    /// Documents, or folders of documents (default: all, or those of the environment given with -e)
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// A document whose readers are others than those listed.
struct Planned {
    source: Source,
    sealed: Sealed,
    wanted: Vec<Reader>,
    /// Names of those who are new.
    come: Vec<String>,
    /// Keys of those who are gone.
    gone: Vec<String>,
}

/// `rekey`.
pub(crate) fn run(session: &mut Session, args: &RekeyArgs) -> Result<Outcome, CommandError> {
    let (project, documents) = documents(session, args)?;
    let planned = parallel::each(&session.ui, "reading documents", &documents, |document| {
        plan(&project, document)
    });
    let planned: Vec<Planned> = all(session, planned)?.into_iter().flatten().collect();
    let current = documents.len() - planned.len();
    if planned.is_empty() {
        let readers = "have the readers of keys/";
        session.ui.same(&format!("{} {readers}", counted(current)));
        return Ok(Outcome::Unchanged);
    }
    show(session, &planned);
    if session.globals.dry_run {
        let (count, rest) = (counted(planned.len()), counted(current));
        let text = format!("{count} would change, {rest} up to date");
        session.ui.status(&text);
        return Ok(Outcome::Done);
    }
    let question = format!("Seal {} for these readers?", counted(planned.len()));
    if !session.ui.confirm(&question, "--yes")? {
        return Err(CommandError::new(
            "E0135",
            Exit::Failure,
            "nothing was changed",
        ));
    }
    let keys = Keys::new(session);
    let made = parallel::each(&session.ui, "sealing documents", &planned, |one| {
        seal(session, &keys, one)
    });
    let made: Vec<(&Planned, Sealed)> = planned.iter().zip(all(session, made)?).collect();
    let saved = parallel::each(&session.ui, "writing documents", &made, |(one, sealed)| {
        store::save(session, &one.source, sealed)
    });
    conclude(session, &planned, saved)
}

/// All results, or one error for those that failed.
fn all<T>(
    session: &Session,
    results: Vec<Result<T, CommandError>>,
) -> Result<Vec<T>, CommandError> {
    let count = results.len();
    let (mut good, mut failed) = (Vec::with_capacity(count), Vec::new());
    for result in results {
        match result {
            Ok(one) => good.push(one),
            Err(error) => failed.push(error),
        }
    }
    match failed.len() {
        0 => Ok(good),
        1 => Err(failed.remove(0).fact("so", "nothing was written")),
        wrong => {
            let what = format!("{wrong} of {} cannot be sealed anew", counted(count));
            let error = parallel::failure(&session.ui, &failed, what);
            Err(error.why("each has its reason above; nothing was written"))
        }
    }
}

/// The documents that are meant. Who may read is not guessed: an environment counts only when it was typed.
fn documents(
    session: &Session,
    args: &RekeyArgs,
) -> Result<(Project, Vec<DocumentRef>), CommandError> {
    let project = match args.files.first() {
        Some(file) => Project::of_file(&session.globals, file)
            .map_or_else(|| Project::find(&session.globals), Ok)?,
        None => Project::find(&session.globals)?,
    };
    let mut documents = project.documents();
    if session.environment_was_typed {
        let name = project.environment(session.globals.environment.as_deref())?;
        documents.retain(|document| document.environment == name);
    }
    if args.files.is_empty() {
        return Ok((project, documents));
    }
    let mut places = Vec::new();
    for path in &args.files {
        let place = file::canonical(path)?;
        if !documents
            .iter()
            .any(|one| project.path(one).starts_with(&place))
        {
            let what = format!("{} is no document of the project", path.display());
            return Err(CommandError::usage(what)
                .why("documents are envs/<env>/<app>.yaml")
                .fix(format!(
                    "sealctl sops rotate --in-place --add-age KEY {}",
                    path.display()
                ))
                .fix("KEY is a public key (age1…); --rm-age KEY takes one away"));
        }
        places.push(place);
    }
    documents.retain(|one| {
        places
            .iter()
            .any(|place| project.path(one).starts_with(place))
    });
    Ok((project, documents))
}

/// What has to be done for a document; `None` when its readers are those listed.
fn plan(project: &Project, document: &DocumentRef) -> Result<Option<Planned>, CommandError> {
    let source = Source::of(project, document)?;
    let sealed = source.parse()?;
    let wanted = readers::of(project, &document.environment)?;
    let is_wanted = |key: &&str| wanted.iter().any(|one| one.recipient.as_str() == *key);
    let reads = |reader: &&Reader| {
        let mut recipients = sealed.recipients();
        recipients.any(|key| key == reader.recipient.as_str())
    };
    let gone = sealed.recipients().filter(|key| !is_wanted(key));
    let gone: Vec<String> = gone.map(short).collect();
    let come = wanted.iter().filter(|reader| !reads(reader));
    let come: Vec<String> = come.map(|reader| reader.name.to_string()).collect();
    if come.is_empty() && gone.is_empty() {
        return Ok(None);
    }
    Ok(Some(Planned {
        source,
        sealed,
        wanted,
        come,
        gone,
    }))
}

/// Who comes and who goes, one line per document.
fn show(session: &mut Session, planned: &[Planned]) {
    let widths = planned.iter().map(|one| one.source.shown.len());
    let width = widths.max().unwrap_or(0);
    for one in planned {
        let come = one.come.iter().map(|name| format!("+ {name}"));
        let gone = one.gone.iter().map(|key| format!("- {key}"));
        let changes: Vec<String> = come.chain(gone).collect();
        let why = match one.gone.is_empty() {
            true => "",
            false => "  (new data key, because someone is removed)",
        };
        let (shown, changes) = (&one.source.shown, changes.join(" "));
        session
            .ui
            .report(&format!("{shown:<width$}  {changes}{why}"));
    }
}

/// The document for its new readers. One that was tampered with is not blessed by it.
fn seal(session: &Session, keys: &Keys, one: &Planned) -> Result<Sealed, CommandError> {
    let source = &one.source;
    let opened = source.open_any(session, keys)?;
    if trust::verify(opened.sealed(), opened.key()) == Verdict::Invalid {
        let what = format!("the seal of {} does not fit its content", source.shown);
        return Err(CommandError::new("E0150", Exit::NotVerified, what)
            .why("it was changed by hand, or its readers were")
            .fix(format!(
                "sealctl encrypt {}   shows what it can and asks",
                source.shown
            )));
    }
    let recipients = readers::recipients(&one.wanted);
    let change = Change::Readers {
        opened: &opened,
        recipients: &recipients,
        new_key: !one.gone.is_empty(),
    };
    Ok(store::seal_again(session, source, &one.sealed, &change)?.sealed)
}

fn conclude(
    session: &Session,
    planned: &[Planned],
    saved: Vec<Result<u64, CommandError>>,
) -> Result<Outcome, CommandError> {
    let mut failed = Vec::new();
    for (one, saved) in planned.iter().zip(saved) {
        match saved {
            Ok(revision) => {
                let (shown, names) = (&one.source.shown, readers::names(&one.wanted));
                let text = format!("{shown}: sealed for {names}; revision {revision}");
                session.ui.done(&text);
            }
            Err(error) => failed.push(error),
        }
    }
    if planned.iter().any(|one| !one.gone.is_empty()) {
        let text = "whoever was removed knows the values, and git keeps the former files";
        session.ui.warn(text);
        session
            .ui
            .detail("fix", "give new values to what matters: sealctl set KEY");
    }
    match failed.len() {
        0 => {
            let names = planned.iter().map(|one| one.source.shown.as_str());
            session.ui.next(&git::commit_of(names.chain(["keys"])));
            Ok(Outcome::Done)
        }
        1 if planned.len() == 1 => Err(failed.remove(0)),
        count => {
            let what = format!("{count} of {} were not written", counted(planned.len()));
            let error = parallel::failure(&session.ui, &failed, what);
            Err(error.fix("run the command again"))
        }
    }
}

fn counted(count: usize) -> String {
    match count {
        1 => "1 document".to_owned(),
        count => format!("{count} documents"),
    }
}
