//! The files that `decrypt` is given: by name, or as folders in which sealed files are looked for.

use std::path::{Path, PathBuf};

use crate::cli::document::Source;
use crate::cli::error::CommandError;
use crate::file::{self, Kind};
use crate::sops::{ReadError, Sealed};

/// A file to open.
pub(super) struct Subject {
    /// Where it lies; `-` for standard input.
    pub(super) path: PathBuf,
    /// What its plaintext is called below a folder for several.
    pub(super) inner: PathBuf,
    /// Whether it lies in a folder that was named. It is passed over when it is not sealed.
    pub(super) was_found: bool,
}

/// All files that `named` means.
///
/// # Errors
///
/// When a folder cannot be listed, or standard input stands beside files.
pub(super) fn subjects(named: &[PathBuf]) -> Result<Vec<Subject>, CommandError> {
    let mut subjects = Vec::new();
    for path in named {
        if file::is_directory(path) {
            subjects.extend(files_below(path)?);
            continue;
        }
        let inner = path.file_name().unwrap_or(path.as_os_str());
        subjects.push(Subject {
            path: path.clone(),
            inner: inner.into(),
            was_found: false,
        });
    }
    if named.len() > 1 && named.iter().any(|path| path == Path::new("-")) {
        return Err(CommandError::usage("standard input beside other files"));
    }
    Ok(subjects)
}

/// The files below a folder, sorted. Folders that begin with a dot and links to folders are passed over.
fn files_below(top: &Path) -> Result<Vec<Subject>, CommandError> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let here = file::canonical(&top.join(&folder))?;
        for name in file::list(&here)? {
            let inner = folder.join(&name);
            match file::kind(&here.join(&name)) {
                Some(Kind::Directory) => {
                    let is_link = file::canonical(&here.join(&name))? != here.join(&name);
                    if !is_link && !name.starts_with('.') {
                        folders.push(inner);
                    }
                }
                Some(Kind::File) => found.push(Subject {
                    path: top.join(&inner),
                    inner,
                    was_found: true,
                }),
                Some(Kind::Other) | None => {}
            }
        }
    }
    found.sort_by(|one, other| one.inner.cmp(&other.inner));
    Ok(found)
}

/// Whether a file that nobody named is a sealed one, be it a damaged one.
pub(super) fn is_sealed(source: &Source) -> bool {
    // Every sealed file has these words, in whatever format.
    let text = source.text.expose_text().unwrap_or_default();
    if !text.contains("sops") || !text.contains("lastmodified") {
        return false;
    }
    let read = Sealed::read(source.any_format(), &source.text);
    !matches!(read, Err(ReadError::NotSealed))
}
