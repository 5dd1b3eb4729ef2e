//! `cluster …`: what needs an API server.

mod access;
mod push;
mod status;
mod sync;

use clap::{Args, Subcommand};

use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session};

/// Look at and act on a cluster
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl cluster push -e prod\n  sealctl cluster status -A\n  sealctl cluster sync web -n web --wait"
)]
pub(crate) struct ClusterArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Push(push::PushArgs),
    Status(status::StatusArgs),
    Sync(sync::SyncArgs),
}

/// `cluster`.
pub(crate) fn run(session: &mut Session, args: &ClusterArgs) -> Result<Outcome, CommandError> {
    match &args.verb {
        Verb::Push(args) => push::run(session, args),
        Verb::Status(args) => status::run(session, args),
        Verb::Sync(args) => sync::run(session, args),
    }
}
