//! The buffer of `edit`: a file in memory, and the editor that works on it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::Session;
use crate::cli::document::{LONGEST, Source};
use crate::cli::error::{CommandError, Exit};
use crate::digest::Digest;
use crate::file::{self, Scratch};
use crate::secret::Secret;

/// Editors to try when no variable names one.
const USUAL: [&str; 3] = ["vim", "nano", "vi"];

/// A private copy that an editor may write. It stays behind unless it is discarded.
pub(super) struct Buffer {
    scratch: Scratch,
    path: PathBuf,
}

impl Buffer {
    /// A buffer with `text`, or the one that an earlier `edit` of the same document left behind, if the
    /// person wants it.
    pub(super) fn open(
        session: &Session,
        source: &Source,
        key: Option<&str>,
        text: &Secret,
    ) -> Result<Self, CommandError> {
        let places = session.environ.scratch_places();
        let label = label(source, key);
        let name = if key.is_some() {
            "value.txt"
        } else {
            "document.yaml"
        };
        if let Some(mut scratch) = places.find(&label) {
            let question = format!(
                "An earlier edit of {} was not saved. Go on with it?",
                source.shown
            );
            let path = scratch.path().join(name);
            if file::kind(&path).is_some() && session.ui.confirm(&question, "--yes")? {
                return Ok(Self { scratch, path });
            }
            scratch.release();
        }
        let mut scratch = places.create(&label)?;
        if !scratch.is_in_memory() {
            session
                .ui
                .warn("no memory file system was found; the buffer lies on a disk");
        }
        let path = scratch.path().join(name);
        file::create(&path, text, file::PRIVATE)?;
        scratch.keep();
        Ok(Self { scratch, path })
    }

    /// Runs the editor to its end.
    pub(super) fn edit(&self, session: &Session) -> Result<(), CommandError> {
        let words = editor(session)?;
        let (program, arguments) = words.split_first().ok_or_else(|| {
            CommandError::usage("the editor is an empty command").fix("export EDITOR=vim")
        })?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .args(quiet_flags(program))
            .arg(&self.path);
        command.env_remove("SOPS_AGE_KEY");
        let status = command.status().map_err(|error| {
            let what = format!("cannot run the editor {}", program.display());
            CommandError::new("E0543", Exit::Failure, what)
                .why(error.kind().to_string())
                .fix("export EDITOR=vim")
        })?;
        if status.success() {
            return Ok(());
        }
        Err(CommandError::new(
            "E0543",
            Exit::Failure,
            format!("the editor ended with {status}"),
        )
        .fact("kept", self.shown())
        .fix("sealctl edit   offers it again"))
    }

    /// What stands in it.
    pub(super) fn read(&self) -> Result<Secret, CommandError> {
        Ok(file::read(&self.path, LONGEST)?)
    }

    /// Where it lies, for messages.
    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// Removes it when dropped.
    pub(super) fn discard(&mut self) {
        self.scratch.release();
    }
}

/// A name for the buffers of this document, or of one key of it, without path and key in it.
fn label(source: &Source, key: Option<&str>) -> String {
    let path = source.path().unwrap_or_default();
    let mut parts = vec![path.as_os_str().as_encoded_bytes()];
    parts.extend(key.map(str::as_bytes));
    let digest = Digest::combine(parts);
    format!("edit-{}", digest.short(16))
}

/// The editor's command line, split like a shell does.
fn editor(session: &Session) -> Result<Vec<OsString>, CommandError> {
    let variables = ["SOPS_EDITOR", "VISUAL", "EDITOR"];
    if let Some((name, line)) = variables
        .iter()
        .find_map(|name| Some((name, session.environ.text(name)?)))
    {
        let words = shlex::split(line).ok_or_else(|| {
            CommandError::usage(format!("{name} is no command line: a quote is not closed"))
        })?;
        return Ok(words.into_iter().map(OsString::from).collect());
    }
    let path = session.environ.raw("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(path).collect();
    let is_there = |name: &&str| {
        folders
            .iter()
            .any(|folder| file::kind(&folder.join(name)) == Some(file::Kind::File))
    };
    let found = USUAL.iter().find(|name| is_there(name)).ok_or_else(|| {
        CommandError::usage("no editor was found").fix("export EDITOR=\"code --wait\"")
    })?;
    Ok(vec![OsString::from(*found)])
}

/// Flags that keep an editor from leaving copies of the text elsewhere.
fn quiet_flags(program: &std::ffi::OsStr) -> &'static [&'static str] {
    let name = Path::new(program).file_name().unwrap_or_default();
    match name.to_str() {
        Some("vim" | "vi" | "view" | "gvim") => &[
            "--cmd",
            "set noswapfile nobackup nowritebackup noundofile viminfo=",
        ],
        Some("nvim") => &[
            "--cmd",
            "set noswapfile nobackup nowritebackup noundofile shada=",
        ],
        _ => &[],
    }
}
