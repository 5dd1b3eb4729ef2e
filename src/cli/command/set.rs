//! `set`: set or replace values.

use std::path::PathBuf;

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session};

/// Set values, sealed or clear
///
/// A new key goes to secrets, or to config with --config; an existing one stays where it is. Without a
/// value sealctl asks for it, hidden. Values on the command line end up in the history of the shell.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl set API_KEY -e prod\n  openssl rand -hex 32 | sealctl set TOKEN -\n  sealctl set TLS_KEY --from-file tls.key\n  sealctl set DEBUG=false --config"
)]
pub(crate) struct SetArgs {
    /// KEY to be asked for, KEY=VALUE, or KEY - to read the value from standard input
    #[arg(
        required = true,
        value_name = "KEY[=VALUE]",
        allow_hyphen_values = true
    )]
    keys: Vec<String>,
    /// Take the value of the one KEY from this file, as it is
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Write the value as the YAML scalar that it is (a number, a truth value, a quoted text)
    #[arg(long)]
    json: bool,
    /// Put new keys into config, where they stay readable
    #[arg(long)]
    config: bool,
    /// Set them in every environment that has the app
    #[arg(long)]
    all_envs: bool,
}

pub(crate) fn run(_session: &mut Session, _args: &SetArgs) -> Result<Outcome, CommandError> {
    Err(CommandError::usage("not built yet"))
}
