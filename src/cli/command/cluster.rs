//! `cluster …`: what needs an API server.

use clap::{Args, Subcommand};

use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session};

/// Look at and act on a cluster
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl cluster push -e prod\n  sealctl cluster status -A\n  sealctl cluster sync web --wait"
)]
pub(crate) struct ClusterArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Apply the sealed documents as SealedEnv objects
    Push,
}

pub(crate) fn run(_session: &mut Session, args: &ClusterArgs) -> Result<Outcome, CommandError> {
    match args.verb {
        Verb::Push => Err(CommandError::usage("not built yet")),
    }
}
