//! `edit`: the opened document in an editor.

use std::path::PathBuf;

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session};

/// Edit a document in your editor
///
/// The opened text lies in memory only. It is checked before it is saved; values that did not change
/// keep their ciphertext, and without any change the file stays as it is.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl edit -e prod\n  EDITOR=\"code --wait\" sealctl edit envs/dev/web.yaml"
)]
pub(crate) struct EditArgs {
    /// Document (default: by -e and -a)
    file: Option<PathBuf>,
    /// Edit the value of this key alone
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Take the new text from standard input instead of an editor
    #[arg(long)]
    stdio: bool,
}

pub(crate) fn run(_session: &mut Session, _args: &EditArgs) -> Result<Outcome, CommandError> {
    Err(CommandError::usage("not built yet"))
}
