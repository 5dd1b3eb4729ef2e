//! `git merge`: the driver that merges documents key by key.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;

use crate::cli::document::LONGEST;
use crate::cli::error::{CommandError, Exit};
use crate::cli::keys::Known;
use crate::cli::merge::{Labels, Merged, Sides, Unmerged};
use crate::cli::{Outcome, Session, rules};
use crate::clock::{Clock as _, SystemClock};
use crate::file::{self, Original};
use crate::secret::Secret;

/// What the sides are called between the markers of a conflict.
pub(crate) const LABELS: [&str; 2] = ["ours", "theirs"];

/// Merge two versions of a document, for git
///
/// Git runs it where both sides changed a document. Values are merged key by key, readers one by one: one that
/// either side removed does not come back. What both changed stands between the markers of a conflict
/// afterwards; sealctl edit shows both values in clear. Without an identity that opens all versions the conflict
/// is an ordinary one.
#[derive(Debug, Args)]
#[command(
    before_help = "Example:\n  sealctl git merge %O %A %B %P     (a merge driver in .git/config)"
)]
pub(crate) struct MergeArgs {
    /// What both were made from
    base: PathBuf,
    /// Ours; the result is written there
    ours: PathBuf,
    /// Theirs
    theirs: PathBuf,
    /// Where the file lies in the repository
    path: PathBuf,
}

/// `git merge`.
pub(crate) fn run(session: &mut Session, args: &MergeArgs) -> Result<Outcome, CommandError> {
    let ours = file::read_original(&args.ours, LONGEST)?;
    let base = file::read(&args.base, LONGEST)?;
    let theirs = file::read(&args.theirs, LONGEST)?;
    let texts = [&base, ours.content(), &theirs];
    if args
        .path
        .file_name()
        .is_some_and(|name| name == rules::NAME)
    {
        return merge_rules(args, &ours, texts);
    }
    let sides = Sides::open(texts, |sealed| Known::open(session, sealed));
    let Some(sides) = sides else {
        return ordinary(args);
    };
    let shown = args.path.display().to_string();
    let result = sides
        .merge()
        .and_then(|merged| write(session, &shown, &ours, &merged));
    match result {
        Ok(outcome) => outcome,
        Err(error) => {
            // Merged by lines, it might look well.
            let what = "not merged; ours was left as it is";
            session.ui.warn(&format!("{shown}: {what}: {error}"));
            Ok(Outcome::No)
        }
    }
}

/// Writes what was merged to where ours was. The inner failure is one of the disk.
fn write(
    session: &Session,
    shown: &str,
    ours: &Original,
    merged: &Merged,
) -> Result<Result<Outcome, CommandError>, Unmerged> {
    let now = SystemClock.now().wall;
    let conflicts = merged.conflicts();
    let text = match conflicts.is_empty() {
        true => Secret::from(merged.seal(now)?.text),
        false => merged.seal_marked(now, &Labels::new(LABELS[0], LABELS[1]))?,
    };
    if let Err(error) = file::replace(ours, &text) {
        return Ok(Err(error.into()));
    }
    let keys = |count: usize| match count {
        1 => "1 value".to_owned(),
        count => format!("{count} values"),
    };
    let (from, into) = match merged.is_ours() {
        true => ("theirs", "ours"),
        false => ("ours", "theirs"),
    };
    let taken = format!("{} of {from} taken into {into}", keys(merged.taken()));
    if conflicts.is_empty() {
        session.ui.done(&format!("{shown}: {taken}"));
        return Ok(Ok(Outcome::Done));
    }
    let names = conflicts.join(", ");
    session
        .ui
        .warn(&format!("{shown}: {taken}; both sides changed {names}"));
    session.ui.next(&format!("sealctl edit {shown}"));
    Ok(Ok(Outcome::No))
}

/// Merges the rules that are generated; what cannot be merged is left to git.
fn merge_rules(
    args: &MergeArgs,
    ours: &Original,
    texts: [&Secret; 3],
) -> Result<Outcome, CommandError> {
    let texts = texts.map(|text| text.expose_text().unwrap_or_default());
    match rules::merge(texts) {
        Some(text) => {
            file::replace(ours, &Secret::from(text))?;
            Ok(Outcome::Done)
        }
        None => ordinary(args),
    }
}

/// What git does without a driver.
fn ordinary(args: &MergeArgs) -> Result<Outcome, CommandError> {
    let [ours, theirs] = LABELS;
    let labels = ["-L", ours, "-L", "base", "-L", theirs];
    let files: [&Path; 3] = [&args.ours, &args.base, &args.theirs];
    let status = Command::new("git")
        .args(["merge-file", "-q"])
        .args(labels)
        .args(files)
        .stdin(Stdio::null())
        .status();
    let status = status.ok().and_then(|status| status.code());
    match status.and_then(|code| u8::try_from(code).ok()) {
        Some(0) => Ok(Outcome::Done),
        // The number of conflicts.
        Some(count @ 1..128) => Ok(Outcome::Status(count)),
        _ => Err(CommandError::new(
            "E0519",
            Exit::Failure,
            format!("{} cannot be merged", args.path.display()),
        )
        .why("git merge-file failed")),
    }
}
