//! What `encrypt` says: what became of a file, which comments were lost or altered, and why something is
//! not sealed. Writes nothing.

use std::path::Path;

use super::{EncryptArgs, Sealing};
use crate::cli::Session;
use crate::cli::document::Source;
use crate::cli::error::CommandError;
use crate::crypto::identity::short;
use crate::crypto::{InvalidKey, Recipient};
use crate::file;
use crate::name::of_path;
use crate::sops::{Draft, Sealed};
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

/// The error of one file, where others were named beside it: all are sealed, or none.
pub(super) fn none_sealed(error: CommandError, args: &EncryptArgs) -> CommandError {
    match args.files.len() {
        1 => error,
        _ => error.fact("so", "nothing was sealed; no file was changed"),
    }
}

/// The error of the value of `--recipient` at `place`, counted from 1.
pub(super) fn not_a_key(place: usize, text: &str, invalid: &InvalidKey) -> CommandError {
    // What does not begin as a public key is not shown: it may be a secret in the wrong place.
    let is_public = text.starts_with("age") || text.starts_with("ssh-");
    let shown = match is_public && *invalid != InvalidKey::PrivateKey {
        true => format!(" ({:?})", short(text)),
        false => String::new(),
    };
    let what = format!("value {place} of --recipient{shown} is {invalid}");
    CommandError::usage(what)
        .fix("give a public key: age1…, age1pq1…, age1PLUGIN1…, \"ssh-ed25519 …\" or \"ssh-rsa …\"")
}

/// Who can open a sealed file is not changed by sealing it again: refuses keys that are no readers of it.
pub(super) fn refuse_new_readers(
    source: &Source,
    sealed: &Sealed,
    given: &[Recipient],
) -> Result<(), CommandError> {
    // Behind an SSH key there may be a comment.
    let key = |text: &str| -> Vec<String> {
        let words = text.split_whitespace().take(2);
        words.map(ToOwned::to_owned).collect()
    };
    let reads = |one: &&Recipient| {
        sealed
            .recipients()
            .any(|known| key(known) == key(one.as_str()))
    };
    let new: Vec<&Recipient> = given.iter().filter(|one| !reads(one)).collect();
    if new.is_empty() {
        return Ok(());
    }
    let shown = &source.shown;
    let shorts: Vec<String> = new.iter().map(|one| one.short()).collect();
    let keys: Vec<&str> = new.iter().map(|one| one.as_str()).collect();
    let what = format!(
        "{shown} is sealed already, and {} cannot open it",
        shorts.join(", ")
    );
    Err(CommandError::usage(what)
        .why("encrypt does not change the readers of a sealed file")
        .fix(format!(
            "sealctl sops rotate --in-place --add-age \"{}\" {shown}",
            keys.join(",")
        )))
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
