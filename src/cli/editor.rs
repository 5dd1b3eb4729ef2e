//! The editor of a person: which one, and how it is run.
//!
//! The text lies in a file of its own; what it means is not known here.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::cli::environ::Environ;
use crate::file;

/// Editors to try when no variable names one.
const USUAL: [&str; 3] = ["vim", "nano", "vi"];

/// There is no editor.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoEditor {
    /// None of the usual ones is installed.
    #[error("no editor was found")]
    NotFound,
    /// A variable is no command line.
    #[error("{0} is no command line: a quote is not closed")]
    Quote(&'static str),
}

/// The editor's command line, split like a shell does: of the first of `variables` that is set, else
/// one that is installed.
pub(crate) fn command_line(
    environ: &Environ,
    variables: &[&'static str],
) -> Result<Vec<OsString>, NoEditor> {
    let set = |name: &&'static str| Some((*name, environ.text(name)?));
    if let Some((name, line)) = variables.iter().find_map(set) {
        let words = shlex::split(line).ok_or(NoEditor::Quote(name))?;
        return Ok(words.into_iter().map(OsString::from).collect());
    }
    let path = environ.raw("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(path).collect();
    let is_there = |name: &&str| {
        let mut places = folders.iter().map(|folder| folder.join(name));
        places.any(|path| file::kind(&path) == Some(file::Kind::File))
    };
    let found = USUAL.iter().find(|name| is_there(name));
    Ok(vec![OsString::from(*found.ok_or(NoEditor::NotFound)?)])
}

/// Flags that keep an editor from leaving copies of the text elsewhere.
pub(crate) fn quiet_flags(program: &OsStr) -> &'static [&'static str] {
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
