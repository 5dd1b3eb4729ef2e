//! `encrypt`: seal files.

use std::path::PathBuf;

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session};

/// Seal files in place
///
/// Without FILE every document that holds plaintext is sealed for the readers in keys/<env>/. A file
/// outside a project is sealed for the recipients given with -r. What is sealed throughout stays byte
/// for byte as it is.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl encrypt\n  sealctl encrypt envs/prod/web.yaml\n  sealctl encrypt -r age1… secrets.yaml\n  cat web.yaml | sealctl encrypt -r age1… - > sealed.yaml"
)]
pub(crate) struct EncryptArgs {
    /// Files, or - for standard input (default: every document with plaintext)
    files: Vec<PathBuf>,
    /// Seal for this key; repeat for several
    #[arg(short, long, value_name = "KEY")]
    recipient: Vec<String>,
    /// Write to standard output instead of the file
    #[arg(long)]
    stdout: bool,
}

pub(crate) fn run(_session: &mut Session, _args: &EncryptArgs) -> Result<Outcome, CommandError> {
    Err(CommandError::usage("not built yet"))
}
