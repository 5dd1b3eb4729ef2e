//! `check`: names and values of documents.

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session};

/// Check documents
///
/// Prints every finding with its place. What can be said without a key is said without one.
#[derive(Debug, Args)]
#[command(before_help = "Examples:\n  sealctl check\n  sealctl check --all-envs --strict")]
pub(crate) struct CheckArgs {
    /// Check every environment
    #[arg(long)]
    all_envs: bool,
    /// Count warnings as findings
    #[arg(long)]
    strict: bool,
}

pub(crate) fn run(_session: &mut Session, _args: &CheckArgs) -> Result<Outcome, CommandError> {
    Err(CommandError::usage("not built yet"))
}
