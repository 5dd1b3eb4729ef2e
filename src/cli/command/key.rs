//! `key …`: identities and who may read.

use clap::{Args, Subcommand};

use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session};

pub(crate) mod new;

/// Identities, and who may read
#[derive(Debug, Args)]
#[command(before_help = "Examples:\n  sealctl key new\n  sealctl key new --request --env dev")]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    New(new::NewArgs),
}

/// `key`.
pub(crate) fn run(session: &mut Session, args: &KeyArgs) -> Result<Outcome, CommandError> {
    match &args.verb {
        Verb::New(args) => new::run(session, args),
    }
}
