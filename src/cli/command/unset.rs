//! `unset`: remove values.

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session};

/// Remove values
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl unset OLD_TOKEN\n  sealctl unset OLD_TOKEN --all-envs"
)]
pub(crate) struct UnsetArgs {
    /// Names or paths
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    /// Remove them in every environment that has the app
    #[arg(long)]
    all_envs: bool,
}

pub(crate) fn run(_session: &mut Session, _args: &UnsetArgs) -> Result<Outcome, CommandError> {
    Err(CommandError::usage("not built yet"))
}
