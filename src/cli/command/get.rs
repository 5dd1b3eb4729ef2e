//! `get`: one raw value for scripts.

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session};

/// Print one value
///
/// KEY is a name, derived ones included, or a path such as superuser.password. A key that is absent
/// prints nothing and exits with 1.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl get API_KEY\n  PGPASSWORD=\"$(sealctl get DB_PASSWORD -e dev)\" psql"
)]
pub(crate) struct GetArgs {
    /// Name or path
    key: String,
    /// Encode what is printed
    #[arg(long, value_name = "ENCODING")]
    encode: Option<Encoding>,
}

/// How a value is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Encoding {
    /// Standard alphabet, padded.
    Base64,
}

pub(crate) fn run(_session: &mut Session, _args: &GetArgs) -> Result<Outcome, CommandError> {
    Err(CommandError::usage("not built yet"))
}
