//! What `encrypt` says: what became of a file, which comments were lost or altered, and why a folder is not
//! sealed. Writes nothing.

use std::path::Path;

use super::Sealing;
use crate::cli::Session;
use crate::cli::document::Source;
use crate::cli::error::CommandError;
use crate::file;
use crate::name::of_path;
use crate::sops::Draft;
use crate::tree::Position;

/// Sealed files are told by what is in them, those to be sealed are not: which of a folder are meant, and
/// with which recipients, is not guessed.
pub(super) fn refuse_folder(path: &Path) -> Result<(), CommandError> {
    if !file::is_directory(path) {
        return Ok(());
    }
    let shown = of_path(path);
    let error = CommandError::usage(format!("{shown} is a folder"));
    Err(error
        .why("which of its files hold secrets is not guessed")
        .fix(format!(
            "name them:  sealctl encrypt {}/*.yaml",
            shown.trim_end_matches('/')
        ))
        .fix("or, in a project, for all documents with plaintext:  sealctl encrypt"))
}

impl Sealing {
    /// What became of it, or would if it were no trial.
    pub(super) fn what(&self, is_trial: bool) -> String {
        let would = if is_trial { "would be " } else { "" };
        let names = listed(&self.names);
        let counted = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        let (values, comments) = (self.names.len(), self.comments);
        match (values, comments) {
            (0, 0) => format!("{would}sealed again"),
            (0, _) => format!("{} {would}sealed", counted(comments, "comment")),
            (_, 0) => format!("{} {would}sealed ({names})", counted(values, "value")),
            _ => {
                let (values, comments) = (counted(values, "value"), counted(comments, "comment"));
                format!("{values} and {comments} {would}sealed ({names})")
            }
        }
    }
}

/// The names of what was sealed, cut where nobody would read on.
pub(super) fn listed(names: &[String]) -> String {
    const MOST: usize = 8;
    match names.get(..MOST) {
        Some(first) if names.len() > MOST => format!("{}, …", first.join(", ")),
        _ => names.join(", "),
    }
}

/// Says where comments stand that are ciphertext and do not decrypt: nobody knows what they were.
pub(super) fn warn_of_altered(
    session: &Session,
    source: &Source,
    clear: &[Position],
    undecrypted: &[Position],
) {
    let altered = undecrypted.iter().find(|place| !clear.contains(place));
    if let Some(Position { line, .. }) = altered {
        let shown = &source.shown;
        let what = format!("{shown}:{line}  the ciphertext of a comment was altered or moved");
        session.ui.warn(&what);
    }
}

/// Says how many comments the file that is about to be written has lost.
pub(super) fn warn_of_lost(session: &Session, source: &Source, draft: &Draft) {
    let shown = &source.shown;
    match draft.lost_comments {
        0 => {}
        1 => session
            .ui
            .warn(&format!("a comment of {shown} is lost where it stands")),
        count => session.ui.warn(&format!(
            "{count} comments of {shown} are lost where they stand"
        )),
    }
}
