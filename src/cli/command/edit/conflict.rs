//! A document of which git has left both sides: they are read from the index and merged again, and what a
//! person makes of them is sealed.

use std::path::Path;

use crate::cli::command::git::merge::LABELS;
use crate::cli::document::Source;
use crate::cli::error::{CommandError, Exit};
use crate::cli::keys::Known;
use crate::cli::merge::{Labels, Merged, Sides, Unmerged};
use crate::cli::{Outcome, Session, git, store};
use crate::clock::{Clock as _, SystemClock};
use crate::secret::Secret;

pub(super) use crate::cli::merge::is_marked;

pub(super) fn labels() -> Labels<'static> {
    Labels::new(LABELS[0], LABELS[1])
}

/// Both sides of `source`, if it is in conflict.
///
/// # Errors
///
/// When git has not both sides, or they cannot be opened.
pub(super) fn find(session: &Session, source: &Source) -> Result<Option<Merged>, CommandError> {
    let Some((project, document)) = source.home.as_ref().filter(|_| is_marked(&source.text)) else {
        return Ok(None);
    };
    let shown = &source.shown;
    let path = document.to_string();
    let side = |stage| git::side(project.root(), stage, Path::new(&path));
    let (Some(ours), Some(theirs)) = (side(2), side(3)) else {
        let what = format!("both sides of a conflict stand in {shown}, and git has none");
        return Err(CommandError::new("E0297", Exit::Failure, what)
            .why("the conflict was called resolved with its markers in the file")
            .fix(format!("git checkout -m {shown}")));
    };
    let base = side(1).unwrap_or_else(|| Secret::from_text(""));
    // A side that cannot be opened says why by itself.
    let open = |text: &Secret| {
        let source = Source::planned(project, document, text.clone());
        source.open(session).map(|document| document.opened)
    };
    let (ours, theirs) = (open(&ours)?, open(&theirs)?);
    let sides = Sides::of(&base, ours, theirs, |sealed| Known::open(session, sealed));
    let merged = sides.map(Sides::merge).transpose();
    let merged = merged.map_err(|error| unmerged(shown, &error))?;
    merged.map(Some).ok_or_else(|| {
        let what = format!("what both sides of {shown} were made from does not open");
        CommandError::new("E0298", Exit::Integrity, what)
            .fix(format!("git checkout --ours {shown}, or --theirs"))
    })
}

fn unmerged(shown: &str, error: &Unmerged) -> CommandError {
    CommandError::new(
        "E0298",
        Exit::Failure,
        format!("{shown} cannot be merged: {error}"),
    )
    .fix(format!("git checkout --ours {shown}, or --theirs"))
}

/// Seals `plain` as what both sides became.
pub(super) fn save(
    session: &Session,
    source: &Source,
    merged: &Merged,
    plain: &Secret,
) -> Result<Outcome, CommandError> {
    let shown = &source.shown;
    if is_marked(plain) {
        let what = format!("both sides of a conflict stand in {shown} still");
        return Err(CommandError::new("E0297", Exit::Failure, what)
            .why("the file was left as it is")
            .fix(format!(
                "sealctl edit {shown}   and keep one of them, without the lines of git"
            )));
    }
    store::check_plain(session, source, plain)?;
    let now = SystemClock.now().wall;
    let written = merged
        .seal_as(plain, now)
        .map_err(|error| unmerged(shown, &error))?;
    let revision = store::save(session, source, &written.sealed)?;
    session
        .ui
        .done(&format!("{shown}: both sides merged; revision {revision}"));
    session.ui.next(&format!("git add {}", git::quoted(shown)));
    Ok(Outcome::Done)
}
