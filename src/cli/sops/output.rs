//! Where a result goes: standard output, another file, or the file itself.
//!
//! A regular file is replaced as a whole, under a lock and only if it still holds what was read;
//! a device or pipe is written to.

use std::path::{Path, PathBuf};

use super::call::{Call, Input, LONGEST};
use super::failure::{Exit, Failure, go_words};
use crate::file::{self, FileError, Kind, Original};
use crate::secret::Secret;

/// What was read.
pub(super) enum Loaded {
    /// A regular file, with what it takes to replace it.
    File(Original),
    /// From standard input, a device or a pipe.
    Other(Secret),
}

impl Loaded {
    /// What it held.
    pub(super) fn content(&self) -> &Secret {
        match self {
            Self::File(original) => original.content(),
            Self::Other(content) => content,
        }
    }
}

/// Reads the input of a command.
///
/// # Errors
/// Exit code 2.
pub(super) fn load(input: &Input) -> Result<Loaded, Failure> {
    if let Input::File(path) = input
        && file::kind(path) == Some(Kind::File)
    {
        let original = file::read_original(path, LONGEST);
        return original
            .map(Loaded::File)
            .map_err(|error| Failure::reading(path, &error));
    }
    Ok(Loaded::Other(super::call::read(input)?.shared()))
}

/// Delivers `content` where the flags want it.
///
/// # Errors
/// Exit code 3.
pub(super) fn deliver(
    call: &mut Call<'_>,
    input: &Input,
    loaded: &Loaded,
    content: &Secret,
) -> Result<(), Failure> {
    if call.own.is_on("in-place")
        && let Input::File(path) = input
    {
        return replace(path, loaded, content);
    }
    match call.own.raw("output") {
        Some(path) => write(&PathBuf::from(path), content),
        None => {
            call.ui.data(content.expose());
            Ok(())
        }
    }
}

/// Puts `content` in place of the file that was read.
///
/// # Errors
/// Exit code 3.
pub(super) fn replace(path: &Path, loaded: &Loaded, content: &Secret) -> Result<(), Failure> {
    let written = match loaded {
        Loaded::File(original) => file::replace(original, content),
        Loaded::Other(_) => file::write_back(path, content),
    };
    written.map_err(|error| not_written("in-place", path, &error))
}

/// Writes `content` to `path`, over what is there.
///
/// # Errors
/// Exit code 3.
pub(super) fn write(path: &Path, content: &Secret) -> Result<(), Failure> {
    let fail = |error: FileError| not_written("output", path, &error);
    match file::kind(path) {
        Some(Kind::File) => {
            let original = file::read_original(path, LONGEST).map_err(fail)?;
            file::replace(&original, content).map_err(fail)
        }
        Some(Kind::Directory | Kind::Other) => file::write_through(path, content).map_err(fail),
        None => {
            let path = &file::behind_links(path);
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            if folder.is_some_and(|folder| !file::is_directory(folder)) {
                // Creating a file makes its folders, SOPS does not.
                return file::write_through(path, content).map_err(fail);
            }
            file::create(path, content, file::BY_UMASK).map_err(fail)
        }
    }
}

fn not_written(what: &str, path: &Path, error: &FileError) -> Failure {
    let why = go_words(path.as_os_str(), error);
    Failure::new(
        Exit::Write,
        format!("Could not open {what} file for writing: {why}"),
    )
}
