//! `decrypt`: the opened file.

use std::path::PathBuf;

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session};

/// Print the opened file
///
/// Formatting and comments are kept. On a terminal it asks for --reveal, since scrollback keeps what it
/// shows.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl decrypt envs/dev/web.yaml | less\n  sealctl decrypt envs/dev/web.yaml --out web.yaml"
)]
pub(crate) struct DecryptArgs {
    /// Files, or - for standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print it on a terminal
    #[arg(long)]
    reveal: bool,
    /// Write the opened text over the sealed file
    #[arg(short, long, conflicts_with = "out")]
    in_place: bool,
    /// Write to this file (or into this folder, for several), mode 0600
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) fn run(_session: &mut Session, _args: &DecryptArgs) -> Result<Outcome, CommandError> {
    Err(CommandError::usage("not built yet"))
}
