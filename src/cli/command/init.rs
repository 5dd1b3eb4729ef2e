//! `init`: layout, key and first documents.

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session};

/// Lay out keys/ and envs/, make your key and the first sealed documents
///
/// In an existing project nothing that is shared changes: init makes sure that you have a key and says
/// what comes next.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl init --app web\n  sealctl init --app web --env dev,staging,prod --recovery-key skip"
)]
pub(crate) struct InitArgs {
    /// Your name as a reader (default: from the mail address of git, else the login name)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Key that lies offline and opens everything in an emergency: a public key (age1…), or skip
    #[arg(long, value_name = "PUB|skip")]
    recovery_key: Option<String>,
}

/// `init`.
pub(crate) fn run(_session: &mut Session, _args: &InitArgs) -> Result<Outcome, CommandError> {
    Err(CommandError::usage("not built yet"))
}
