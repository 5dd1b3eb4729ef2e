//! The files that `decrypt` is given: by name, or as folders in which sealed files are looked for.

use std::path::{Path, PathBuf};

use crate::cli::error::CommandError;
use crate::cli::sealed_files;
use crate::file;

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
            let found = sealed_files::files_below(path)?;
            subjects.extend(found.into_iter().map(|(path, inner)| Subject {
                path,
                inner,
                was_found: true,
            }));
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
