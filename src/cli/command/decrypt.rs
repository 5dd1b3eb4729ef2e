//! `decrypt`: the opened files.
//!
//! Several files are opened on all cores. Each is written as a whole or not at all; one that cannot be
//! opened does not keep the others from it.

mod subjects;

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::document::Source;
use crate::cli::error::{CommandError, Exit};
use crate::cli::keys::Keys;
use crate::cli::sealed_files::is_sealed;
use crate::cli::{Outcome, Session, parallel};
use crate::file;
use crate::format::Format;
use crate::secret::Secret;
use subjects::{Subject, subjects};

/// From so many files on they are counted, no more listed.
const MANY: usize = 10;

/// Print the opened file, or write opened files
///
/// Comments, order and the layout of lines are kept; a value may be written in another style than before
/// sealing (quotes, one line for a folded block, a time for a date), and YAML with anchors, merge keys or
/// tags is printed anew, as SOPS prints it. Any file that sops seals can be opened: YAML, JSON, dotenv,
/// INI and binary, by its name. On a terminal it asks for --reveal, since scrollback keeps what it shows.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl decrypt envs/dev/web.yaml | less\n  sealctl decrypt envs/dev/web.yaml --out web.yaml\n  sealctl decrypt certs/tls.key --out tls.key\n  sealctl decrypt envs --out /dev/shm/plain"
)]
pub(crate) struct DecryptArgs {
    /// Files, folders for all sealed files in them, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print it on a terminal
    #[arg(long)]
    reveal: bool,
    /// Write the opened text over the sealed file
    #[arg(short, long, conflicts_with = "out")]
    in_place: bool,
    /// Write to this file (or into this folder, for several), mode 0600
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Format of a file whose name does not say it: yaml, json, dotenv, ini, binary
    #[arg(long, value_name = "FORMAT", value_parser = super::format_word)]
    input_type: Option<Format>,
}

/// What became of a file.
enum Done {
    /// A file in a folder that is not sealed.
    PassedOver,
    /// The plaintext was written there.
    Written(PathBuf),
    /// The plaintext stands in the place of the sealed file.
    InPlace(String),
}

/// `decrypt`.
pub(crate) fn run(session: &mut Session, args: &DecryptArgs) -> Result<Outcome, CommandError> {
    let subjects = subjects(&args.files)?;
    let keys = Keys::new(session);
    let is_list = subjects.len() != 1 || subjects.iter().any(|one| one.was_found);
    if args.in_place {
        may_replace(session)?;
    } else if args.out.is_none() {
        if is_list {
            return Err(CommandError::usage("several files on one standard output")
                .fix("decrypt them one by one, or give --out FOLDER or --in-place"));
        }
        super::show::may_reveal(session, args.reveal, "the opened file")?;
        for subject in &subjects {
            let text = source(session, args, subject)?
                .open_any(session, &keys)?
                .text();
            session.ui.data(text.expose());
        }
        return Ok(Outcome::Done);
    }
    let targets = targets(args, &subjects, is_list)?;
    let work: Vec<(Subject, Option<PathBuf>)> = subjects.into_iter().zip(targets).collect();
    let results = parallel::each(&session.ui, "opening files", &work, |(subject, target)| {
        open(session, args, &keys, subject, target.as_deref())
    });
    conclude(session, args, results)
}

/// Where each file goes below `--out`; two may not go to the same place.
fn targets(
    args: &DecryptArgs,
    subjects: &[Subject],
    is_list: bool,
) -> Result<Vec<Option<PathBuf>>, CommandError> {
    let Some(out) = &args.out else {
        return Ok(subjects.iter().map(|_| None).collect());
    };
    let into_folder = is_list || file::is_directory(out);
    let mut targets: Vec<PathBuf> = Vec::with_capacity(subjects.len());
    for subject in subjects {
        targets.push(match into_folder {
            true => out.join(&subject.inner),
            false => out.clone(),
        });
    }
    let mut sorted: Vec<(&PathBuf, &Subject)> = targets.iter().zip(subjects).collect();
    sorted.sort_by_key(|(target, _)| *target);
    if let Some([(target, one), (_, other)]) =
        sorted.array_windows().find(|[one, other]| one.0 == other.0)
    {
        let what = format!("two files would be written to {}", target.display());
        return Err(CommandError::usage(what)
            .fact("files", one.path.display().to_string())
            .fact("files", other.path.display().to_string())
            .fix("name the folder above them, whose structure is kept"));
    }
    Ok(targets.into_iter().map(Some).collect())
}

fn source(
    session: &Session,
    args: &DecryptArgs,
    subject: &Subject,
) -> Result<Source, CommandError> {
    let source = Source::at(session, &subject.path)?;
    Ok(source.declared_as(args.input_type))
}

fn open(
    session: &Session,
    args: &DecryptArgs,
    keys: &Keys,
    subject: &Subject,
    target: Option<&Path>,
) -> Result<Done, CommandError> {
    let source = source(session, args, subject)?;
    if subject.was_found && !is_sealed(&source) {
        return Ok(Done::PassedOver);
    }
    let text = source.open_any(session, keys)?.text();
    match target {
        Some(target) => write(session, target, &text),
        None => replace(session, source, &text),
    }
}

fn write(session: &Session, target: &Path, text: &Secret) -> Result<Done, CommandError> {
    if !session.globals.dry_run {
        file::create_copy(target, text, file::PRIVATE)?;
    }
    Ok(Done::Written(target.to_owned()))
}

fn replace(session: &Session, source: Source, text: &Secret) -> Result<Done, CommandError> {
    let Some(original) = &source.original else {
        return Err(CommandError::usage("standard input cannot be replaced"));
    };
    if !session.globals.dry_run {
        file::replace(original, text)?;
    }
    Ok(Done::InPlace(source.shown))
}

fn may_replace(session: &Session) -> Result<(), CommandError> {
    if session.globals.yes {
        return Ok(());
    }
    Err(CommandError::new(
        "E0403",
        Exit::Usage,
        "refusing to write plaintext over a sealed file",
    )
    .why("whoever commits it publishes every value")
    .fix("add --yes, or use: sealctl edit"))
}

/// Says what was done, and all that failed.
fn conclude(
    session: &Session,
    args: &DecryptArgs,
    results: Vec<Result<Done, CommandError>>,
) -> Result<Outcome, CommandError> {
    let (mut written, mut replaced, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(Done::Written(target)) => written.push(target),
            Ok(Done::InPlace(shown)) => replaced.push(shown),
            Ok(Done::PassedOver) => {}
            Err(error) => failed.push(error),
        }
    }
    say_written(session, args, &written);
    say_replaced(session, &replaced);
    let done = written.len() + replaced.len();
    match failed.len() {
        0 if done == 0 => Err(CommandError::usage("no sealed file there")),
        0 => Ok(Outcome::Done),
        1 if done == 0 => Err(failed.remove(0)),
        count => {
            let what = format!("{count} of {} files were not opened", count + done);
            let why = "each has its reason above; the others are done";
            Err(parallel::failure(&session.ui, &failed, what).why(why))
        }
    }
}

fn say_written(session: &Session, args: &DecryptArgs, written: &[PathBuf]) {
    let dry = session.globals.dry_run;
    let say = |what: &str| match dry {
        true => session.ui.status(&format!("would write {what}")),
        false => session.ui.done(&format!("wrote {what} (0600)")),
    };
    match &args.out {
        Some(out) if written.len() > MANY => {
            say(&format!("{} files into {}", written.len(), out.display()));
        }
        _ => {
            for target in written {
                say(&target.display().to_string());
            }
        }
    }
}

fn say_replaced(session: &Session, replaced: &[String]) {
    if replaced.len() > MANY {
        let what = format!("{} files are plaintext now", replaced.len());
        session.ui.warn(&what);
        session.ui.next("sealctl encrypt FILE…");
        return;
    }
    for shown in replaced {
        session.ui.warn(&format!("{shown} is plaintext now"));
        session.ui.next(&format!("sealctl encrypt {shown}"));
    }
}
