//! `decrypt`: the opened file.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::document::Source;
use crate::cli::error::{CommandError, Exit};
use crate::cli::{Outcome, Session};
use crate::file;
use crate::secret::Secret;

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
    #[arg(required = true, value_name = "FILE")]
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

/// `decrypt`.
pub(crate) fn run(session: &mut Session, args: &DecryptArgs) -> Result<Outcome, CommandError> {
    if args.files.len() > 1 && !args.in_place && args.out.is_none() {
        return Err(CommandError::usage("several files on one standard output")
            .fix("decrypt them one by one, or give --out FOLDER or --in-place"));
    }
    if args.in_place {
        return in_place(session, args);
    }
    let to_screen = args.out.is_none();
    if to_screen {
        super::show::may_reveal(session, args.reveal, "the opened file")?;
    }
    // All of them are opened before the first one is written.
    let mut opened = Vec::new();
    for path in &args.files {
        let source = Source::at(session, path)?;
        opened.push((path, source.open(session)?.opened.text()));
    }
    for (path, text) in opened {
        match &args.out {
            None => session.ui.data(text.expose()),
            Some(out) => write(session, &target(out, path, args.files.len()), &text)?,
        }
    }
    Ok(Outcome::Done)
}

/// The file to write for `path`: `out` itself, or a file of the same name in that folder.
fn target(out: &Path, path: &Path, count: usize) -> PathBuf {
    match path.file_name() {
        Some(name) if count > 1 || file::is_directory(out) => out.join(name),
        _ => out.to_path_buf(),
    }
}

fn write(session: &Session, target: &Path, text: &Secret) -> Result<(), CommandError> {
    if session.globals.dry_run {
        session
            .ui
            .status(&format!("would write {}", target.display()));
        return Ok(());
    }
    file::create(target, text, file::PRIVATE)?;
    session
        .ui
        .done(&format!("wrote {} (0600)", target.display()));
    Ok(())
}

fn in_place(session: &mut Session, args: &DecryptArgs) -> Result<Outcome, CommandError> {
    if !session.globals.yes {
        return Err(CommandError::new(
            "E0403",
            Exit::Usage,
            "refusing to write plaintext over a sealed file",
        )
        .why("whoever commits it publishes every value")
        .fix("add --yes, or use: sealctl edit"));
    }
    let mut opened = Vec::new();
    for path in &args.files {
        let source = Source::at(session, path)?;
        let text = source.open(session)?.opened.text();
        opened.push((source, text));
    }
    for (source, text) in opened {
        let Some(original) = &source.original else {
            return Err(CommandError::usage("standard input cannot be replaced"));
        };
        if !session.globals.dry_run {
            file::replace(original, &text)?;
        }
        session
            .ui
            .warn(&format!("{} is plaintext now", source.shown));
        session
            .ui
            .next(&format!("sealctl encrypt {}", source.shown));
    }
    Ok(Outcome::Done)
}
