//! `rbac`: the roles that seald needs for one's documents.

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session};

/// Print the roles that seald needs for the documents
///
/// Roles by namespace and by object name; no right to list Secrets.
#[derive(Debug, Args)]
#[command(before_help = "Examples:\n  sealctl rbac -e prod | kubectl apply -f -")]
pub(crate) struct RbacArgs {
    /// Service account of seald, as NAMESPACE/NAME
    #[arg(long, value_name = "ACCOUNT", default_value = crate::vocabulary::SERVICE_ACCOUNT)]
    service_account: String,
}

pub(crate) fn run(_session: &mut Session, _args: &RbacArgs) -> Result<Outcome, CommandError> {
    Err(CommandError::usage("not built yet"))
}
