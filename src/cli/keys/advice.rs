//! What to do when no identity opened a file: it depends on what became of the identities that are there.
//!
//! Whoever typed a wrong passphrase, or lost a letter of his key, is a reader all the same: to make him one, or to
//! make him a new key, would not help.

use crate::cli::error::CommandError;
use crate::crypto::{CANNOT_ASK, MISTYPED, WRONG_PASSPHRASE};

/// Said of a key file that only a passphrase opens, where none is asked for.
pub(super) const LOCKED: &str = "a key file with a passphrase; documents open by keys without one";

/// A source of identities, and why it could not be used.
pub(super) type Fault = (String, String);

/// `error` with the advice that fits the first of `faults` that explains it; `None` when none does.
pub(super) fn give(error: CommandError, faults: &[Fault]) -> Result<CommandError, CommandError> {
    let of = |sign: &str| faults.iter().find(|(_, why)| why.contains(sign));
    if let Some((source, _)) = of(WRONG_PASSPHRASE) {
        return Ok(error
            .why(format!(
                "the passphrase that was typed does not open {source}"
            ))
            .fix("run the command again, and type the passphrase of that key file"));
    }
    if let Some((source, _)) = of(CANNOT_ASK) {
        return Ok(error
            .why(format!(
                "{source} needs its passphrase, and nobody could be asked for it"
            ))
            .fix("run the command in a terminal, without --no-input and without CI"));
    }
    if let Some((source, _)) = of(MISTYPED) {
        return Ok(error
            .why(format!("a key in {source} is mistyped or cut off"))
            .fix("put it right, letter by letter, from where it was copied or from a backup")
            .fix(
                "only if there is none:  sealctl key new --request, once that line is taken out",
            ));
    }
    if let Some((source, _)) = of(LOCKED) {
        return Ok(error
            .why(format!("{source} has to be opened first"))
            .fix(format!(
                "export SOPS_AGE_KEY_CMD=\"age --decrypt {source}\"   and run the command again"
            )));
    }
    Err(error)
}
