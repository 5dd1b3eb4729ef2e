//! `rekey`: people changed; the readers of documents become those in `keys/`, and those of other sealed files
//! the ones that folder or rule say.
//!
//! All new files are made before the first one is written. Each is replaced as a whole, so a call that
//! was killed is ended by the next one.

mod selection;

use std::path::PathBuf;

use clap::Args;

use self::selection::Selection;
use crate::cli::document::Source;
use crate::cli::error::{CommandError, Exit};
use crate::cli::keys::Keys;
use crate::cli::project::{DocumentRef, Project};
use crate::cli::sealed_files::{Audience, Named, SealedFile, difference};
use crate::cli::{Outcome, Session, git, parallel, readers, rules, store};
use crate::clock::{Clock as _, SystemClock};
use crate::crypto::Recipient;
use crate::name::EnvName;
use crate::sops::{Opened, Readers, Sealed};
use crate::trust::{self, Change, Verdict};

/// Make the readers of sealed files equal to keys/
///
/// Whoever is new can open the files afterwards; whoever is gone cannot, since they get a new data key.
/// Documents get the readers in keys/<env>/, and so does any other sealed file in the folder of an
/// environment; one elsewhere gets those of the creation rule in .sops.yaml that fits, or those of -e when it
/// is named. Every reader that comes or goes is named, and the changes are asked for. Values stay as they are:
/// whoever was a reader knows them, and git keeps the former files. The rules in .sops.yaml that sealctl
/// generated are brought up to date, too.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl rekey --dry-run\n  sealctl rekey -e prod\n  sealctl rekey envs/prod/web.yaml --yes\n  sealctl rekey -e prod certs/api.json"
)]
pub(crate) struct RekeyArgs {
    /// Sealed files, or folders of them (default: all, or those of the environment given with -e)
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// A file whose readers are others than it shall have.
struct Planned {
    source: Source,
    sealed: Sealed,
    wanted: Vec<Named>,
    /// Names of those who are new.
    come: Vec<String>,
    /// Keys of those who are gone.
    gone: Vec<String>,
}

/// `rekey`.
pub(crate) fn run(session: &mut Session, args: &RekeyArgs) -> Result<Outcome, CommandError> {
    apply(session, args, false)
}

/// What `rekey -e ENVIRONMENT` does, for a verb that changed its readers; `is_agreed` when there is nothing left
/// to ask.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn of_environment(
    session: &mut Session,
    environment: &EnvName,
    is_agreed: bool,
) -> Result<Outcome, CommandError> {
    session.globals.environment = Some(environment.to_string());
    session.environment_was_typed = true;
    apply(session, &RekeyArgs { files: Vec::new() }, is_agreed)
}

fn apply(
    session: &mut Session,
    args: &RekeyArgs,
    is_agreed: bool,
) -> Result<Outcome, CommandError> {
    let Selection {
        project,
        documents,
        others,
    } = selection::select(session, args)?;
    let planned = parallel::each(&session.ui, "reading documents", &documents, |document| {
        plan(&project, document)
    });
    let mut planned: Vec<Planned> = all(session, planned)?.into_iter().flatten().collect();
    let known = others.len();
    planned.extend(others.into_iter().filter_map(plan_other));
    let current = documents.len() + known - planned.len();
    let stale = rules::Stale::find(&project).unwrap_or_else(|error| {
        session.ui.warn(error.what());
        None
    });
    if planned.is_empty() && stale.is_none() {
        let readers = "have the readers of keys/";
        session.ui.same(&format!("{} {readers}", counted(current)));
        return Ok(Outcome::Unchanged);
    }
    show(session, &planned);
    if session.globals.dry_run {
        let (count, rest) = (counted(planned.len()), counted(current));
        let text = format!("{count} would change, {rest} up to date");
        session.ui.status(&text);
        if stale.is_some() {
            let name = rules::NAME;
            session
                .ui
                .status(&format!("{name} would get the rules of keys/"));
        }
        return Ok(Outcome::Done);
    }
    let is_stale = stale.is_some();
    let outcome = match planned.is_empty() {
        true => Ok(Outcome::Done),
        false => {
            agree(session, &planned, is_agreed)?;
            write(session, &planned, is_stale)
        }
    };
    if let Some(stale) = stale.filter(|_| outcome.is_ok()) {
        stale.renew()?;
        session
            .ui
            .done(&format!("{}: the rules of keys/", rules::NAME));
        if planned.is_empty() {
            session.ui.next(&git::commit_of([rules::NAME, "keys"]));
        }
    }
    outcome
}

fn agree(session: &Session, planned: &[Planned], is_agreed: bool) -> Result<(), CommandError> {
    let question = format!("Seal {} for these readers?", counted(planned.len()));
    match is_agreed || session.ui.confirm(&question, "--yes")? {
        true => Ok(()),
        false => Err(CommandError::new(
            "E0135",
            Exit::Failure,
            "nothing was changed",
        )),
    }
}

/// Seals what is planned.
fn write(session: &Session, planned: &[Planned], is_stale: bool) -> Result<Outcome, CommandError> {
    let keys = Keys::new(session);
    let made = parallel::each(&session.ui, "sealing documents", planned, |one| {
        seal(session, &keys, one)
    });
    let made: Vec<(&Planned, Sealed)> = planned.iter().zip(all(session, made)?).collect();
    let saved = parallel::each(&session.ui, "writing documents", &made, |(one, sealed)| {
        store::save(session, &one.source, sealed)
    });
    conclude(session, planned, saved, is_stale)
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

/// What has to be done for a document; `None` when its readers are those listed.
fn plan(project: &Project, document: &DocumentRef) -> Result<Option<Planned>, CommandError> {
    let source = Source::of(project, document)?;
    let sealed = source.parse()?;
    let wanted = readers::of(project, &document.environment)?;
    let wanted: Vec<Named> = wanted.iter().map(Named::from).collect();
    Ok(plan_for(source, sealed, wanted))
}

/// The same for a file that is no document.
fn plan_other(file: SealedFile) -> Option<Planned> {
    match file.audience {
        Audience::Known { readers, .. } => plan_for(file.source, file.sealed, readers),
        Audience::Rule | Audience::Unknown { .. } => None,
    }
}

fn plan_for(source: Source, sealed: Sealed, wanted: Vec<Named>) -> Option<Planned> {
    let (come, gone) = difference(&sealed, &wanted);
    let is_same = come.is_empty() && gone.is_empty();
    (!is_same).then_some(Planned {
        source,
        sealed,
        wanted,
        come,
        gone,
    })
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

/// The file for its new readers. One that was tampered with is not blessed by it.
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
    let recipients = one.wanted.iter().map(|reader| reader.recipient.clone());
    let recipients: Vec<Recipient> = recipients.collect();
    if !source.is_document() {
        return seal_other(one, &opened, &recipients);
    }
    let change = Change::Readers {
        opened: &opened,
        recipients: &recipients,
        new_key: !one.gone.is_empty(),
    };
    Ok(store::seal_again(session, source, &one.sealed, &change)?.sealed)
}

/// The same for a file that is no document: it gets a seal only where it has one.
fn seal_other(
    one: &Planned,
    opened: &Opened,
    recipients: &[Recipient],
) -> Result<Sealed, CommandError> {
    let readers = Readers::one_group(recipients);
    let now = SystemClock.now().wall;
    let draft = match one.gone.is_empty() {
        true => opened.sealed().rewrap(opened.key(), &readers),
        false => opened.rotate(&readers, now),
    };
    let draft = draft.and_then(|draft| trust::renew(draft, &one.sealed, now));
    let draft = draft.map_err(|error| store::write_error(&one.source.shown, &error.into()))?;
    Ok(draft.sealed)
}

fn conclude(
    session: &Session,
    planned: &[Planned],
    saved: Vec<Result<u64, CommandError>>,
    is_stale: bool,
) -> Result<Outcome, CommandError> {
    let mut failed = Vec::new();
    for (one, saved) in planned.iter().zip(saved) {
        match saved {
            Ok(revision) => {
                let names: Vec<&str> = one.wanted.iter().map(|one| one.name.as_str()).collect();
                let (shown, names) = (&one.source.shown, names.join(", "));
                let counter = match one.source.is_document() {
                    true => format!("; revision {revision}"),
                    false => String::new(),
                };
                session
                    .ui
                    .done(&format!("{shown}: sealed for {names}{counter}"));
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
            let rules = is_stale.then_some(rules::NAME);
            let names = names.chain(["keys"]).chain(rules);
            session.ui.next(&git::commit_of(names));
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
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    }
}
