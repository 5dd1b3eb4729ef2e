//! `key export`: the public half of one's own identity.

use std::path::PathBuf;

use clap::Args;

use super::new::public_file;
use crate::cli::error::CommandError;
use crate::cli::readers::Note;
use crate::cli::{Outcome, Session, identity};
use crate::file;
use crate::secret::Secret;

/// Print your public key
#[derive(Debug, Args)]
#[command(before_help = "Examples:\n  sealctl key export\n  sealctl key export --out carol.pub")]
pub(crate) struct ExportArgs {
    /// Write it to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// `key export`.
pub(crate) fn run(session: &mut Session, args: &ExportArgs) -> Result<Outcome, CommandError> {
    let own = identity::find(session)?;
    let text = public_file(&own.recipient, &Note::default());
    match &args.out {
        None => session.ui.data(text.as_bytes()),
        Some(path) => {
            if !session.globals.dry_run {
                file::create(path, &Secret::from(text), file::PUBLIC)?;
            }
            session.ui.done(&format!("wrote {}", path.display()));
        }
    }
    Ok(Outcome::Done)
}
