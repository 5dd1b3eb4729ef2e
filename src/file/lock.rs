//! Locks of directories, for writers that replace a file.

#![expect(
    clippy::disallowed_types,
    reason = "this is part of the door to the file system"
)]

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::{FileError, create_directory};

/// A lock on a directory: writers of ours wait for each other. Without lock files, since those
/// would appear in `git status`.
pub(super) struct Lock {
    directory: PathBuf,
    file: File,
    pub(super) is_held: bool,
}

impl Lock {
    pub(super) fn on_directory_of(path: &Path) -> Result<Self, FileError> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        create_directory(&directory, 0o777)?;
        let file = File::open(&directory).map_err(FileError::io("open", &directory))?;
        // Some network file systems lock no directories; the comparison before the rename remains.
        let is_held = rustix::fs::flock(&file, FlockOperation::LockExclusive).is_ok();
        Ok(Self {
            directory,
            file,
            is_held,
        })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The directory itself, for calls that take it by its number.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Makes the rename durable.
    pub(super) fn sync(&self) -> Result<(), FileError> {
        self.file
            .sync_all()
            .map_err(FileError::io("sync", &self.directory))
    }
}
