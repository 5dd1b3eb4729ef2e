//! `key …`: identities and who may read.

use clap::{Args, Subcommand};

use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session};

mod approve;
mod export;
mod list;
pub(crate) mod new;
mod remove;

/// Identities, and who may read
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl key new --request --env dev\n  sealctl key approve carol --env dev\n  sealctl key list"
)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    New(new::NewArgs),
    Approve(approve::ApproveArgs),
    Add(approve::AddArgs),
    Remove(remove::RemoveArgs),
    List(list::ListArgs),
    Export(export::ExportArgs),
}

/// `key`.
pub(crate) fn run(session: &mut Session, args: &KeyArgs) -> Result<Outcome, CommandError> {
    match &args.verb {
        Verb::New(args) => new::run(session, args),
        Verb::Approve(args) => approve::approve(session, args),
        Verb::Add(args) => approve::add(session, args),
        Verb::Remove(args) => remove::run(session, args),
        Verb::List(args) => list::run(session, args),
        Verb::Export(args) => export::run(session, args),
    }
}
