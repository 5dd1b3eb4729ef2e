//! `show`: one document, masked.

use std::path::PathBuf;

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session};

/// Show a document with its secrets masked
///
/// A secret appears as its length and four digits of a keyed digest: ‹24 chars, 7c1e›. Only those who
/// can open the document can compute them, so the output is safe in a pull request.
#[derive(Debug, Args)]
#[command(before_help = "Examples:\n  sealctl show -e prod\n  sealctl show --key API_KEY --reveal")]
pub(crate) struct ShowArgs {
    /// Document (default: by -e and -a)
    file: Option<PathBuf>,
    /// Only this key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Show the secrets themselves
    #[arg(long)]
    reveal: bool,
}

pub(crate) fn run(_session: &mut Session, _args: &ShowArgs) -> Result<Outcome, CommandError> {
    Err(CommandError::usage("not built yet"))
}
