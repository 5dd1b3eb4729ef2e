//! `git …`: what git runs to show, check and merge documents, and what sets it up to.

use clap::{Args, Subcommand};

use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session};

pub(crate) mod install;
pub(crate) mod merge;
mod pre_commit;
mod textconv;

/// Let git show documents masked, merge them by key, and check them before a commit
#[derive(Debug, Args)]
#[command(before_help = "Examples:\n  sealctl git install\n  sealctl git uninstall")]
pub(crate) struct GitArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Install(install::InstallArgs),
    Uninstall(install::UninstallArgs),
    Merge(merge::MergeArgs),
    Textconv(textconv::TextconvArgs),
    PreCommit(pre_commit::PreCommitArgs),
}

/// `git`.
pub(crate) fn run(session: &mut Session, args: &GitArgs) -> Result<Outcome, CommandError> {
    match &args.verb {
        Verb::Install(args) => install::run(session, args),
        Verb::Uninstall(args) => install::take_out(session, args),
        Verb::Merge(args) => merge::run(session, args),
        Verb::Textconv(args) => Ok(textconv::run(session, args)),
        Verb::PreCommit(args) => pre_commit::run(session, args),
    }
}
