//! `run`: a command with the environment.

use std::ffi::OsString;

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session};

/// Run a command with the environment
///
/// Variables that are set already win, unless --override is given. With --watch the command is
/// restarted when the content changes; a broken file changes nothing.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl run -e dev -- python manage.py check\n  sealctl run --watch -- python manage.py runserver --noreload"
)]
pub(crate) struct RunArgs {
    /// Restart the command when a value changes
    #[arg(short, long)]
    watch: bool,
    /// Run this first, by sh -c, once for each content
    #[arg(long, value_name = "COMMAND")]
    once: Option<String>,
    /// How long the command may take to end before it is killed
    #[arg(long, value_name = "TIME", default_value = "10s")]
    grace: String,
    /// Hand over these keys only
    #[arg(long, value_name = "KEY,…", value_delimiter = ',')]
    only: Vec<String>,
    /// Hand over nothing else than the values, PATH, HOME and the like
    #[arg(long)]
    pristine: bool,
    /// Let the document win over variables that are set already
    #[arg(long = "override")]
    overrule: bool,
    /// What to do about a document that cannot be opened
    #[arg(long, value_name = "HOW", default_value = "error")]
    allow_missing: Missing,
    /// Mask secret values in what the command prints
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        env = "SEALCTL_REDACT"
    )]
    redact: Redact,
    /// Hand over this key as a file in memory, its path in KEY_FILE; repeat for several
    #[arg(long, value_name = "KEY")]
    file: Vec<String>,
    /// The command
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<OsString>,
}

/// What to do about a document that cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Missing {
    /// Stop.
    Error,
    /// Say so and run without it.
    Warn,
    /// Run without it.
    Ignore,
}

/// When the output of the command is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Redact {
    /// Where CI is set and the stream is neither a terminal nor a file.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

pub(crate) fn run(_session: &mut Session, _args: &RunArgs) -> Result<Outcome, CommandError> {
    Err(CommandError::usage("not built yet"))
}
