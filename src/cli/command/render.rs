//! `render`: the objects that seald would write.

use std::path::PathBuf;

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session};

/// Print the objects that seald would write, masked
///
/// With --sealed: the SealedEnv objects for GitOps; nothing is opened for those.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl render -e prod\n  sealctl render --sealed -e prod | kubectl apply -f -"
)]
pub(crate) struct RenderArgs {
    /// Only objects of this kind
    #[arg(long, value_name = "KIND")]
    target: Option<Target>,
    /// The SealedEnv objects instead of what they become
    #[arg(long)]
    sealed: bool,
    /// Write one file per object into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Show the secrets themselves
    #[arg(long)]
    reveal: bool,
}

/// Kind of a rendered object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Target {
    /// Secrets.
    Secret,
    /// ConfigMaps.
    Configmap,
}

pub(crate) fn run(_session: &mut Session, _args: &RenderArgs) -> Result<Outcome, CommandError> {
    Err(CommandError::usage("not built yet"))
}
