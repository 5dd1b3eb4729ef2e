//! Writing a file as a whole: filled first, named last.
//!
//! What stood there before stays untouched until then. What the file is for, and what it shall look like, who
//! asks for it knows.

#![expect(
    clippy::disallowed_types,
    reason = "this is part of the door to the file system"
)]

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use super::FileError;
use super::lock::Lock;
use super::temporary::{self, NotNamed, Temporary};
use crate::secret::Secret;

/// Why nothing can be put beside a file.
const CLOSED: &str = "no file can be made in its directory, and it is never written in place; open the directory for writing, or write to another one";

/// How a file is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// In place of the one that has its name.
    Over,
    /// Where nothing has its name.
    New,
    /// As `New`; it need not be on the disk afterwards.
    NewCopy,
}

/// A file that is about to be written: as a whole, or not at all.
pub(super) struct Write<'a> {
    pub(super) lock: &'a Lock,
    pub(super) path: &'a Path,
    pub(super) content: &'a Secret,
    pub(super) way: Way,
}

impl Write<'_> {
    /// Writes it. `fit` is called once it is filled, before it takes its name.
    pub(super) fn run(
        &self,
        fit: impl Fn(&File) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        let Self { lock, path, .. } = self;
        temporary::sweep(lock, path);
        let unnamed = Temporary::unnamed(lock);
        let done = unnamed.map(|made| self.put(made, &fit)).transpose()?;
        if done != Some(true) {
            let named = Temporary::named(lock, path).map_err(|error| self.cannot_make(error))?;
            self.put(named, &fit)?;
        }
        match self.way {
            Way::NewCopy => Ok(()),
            Way::Over | Way::New => lock.sync(),
        }
    }

    /// Whether `temporary` became the file; if not, one with a name can.
    pub(super) fn put(
        &self,
        temporary: Temporary,
        fit: impl Fn(&File) -> Result<(), FileError>,
    ) -> Result<bool, FileError> {
        let mut file = temporary.file();
        file.write_all(self.content.expose())
            .and_then(|()| match self.way {
                Way::NewCopy => Ok(()),
                Way::Over | Way::New => file.sync_all(),
            })
            .map_err(FileError::io("write into", self.lock.directory()))?;
        fit(file)?;
        let named = match self.way {
            Way::Over => temporary.rename_over(self.lock, self.path),
            Way::New | Way::NewCopy => temporary.name(self.path),
        };
        match named {
            Ok(()) => Ok(true),
            Err(NotNamed::Unnameable) => Ok(false),
            Err(NotNamed::Refused(error)) => Err(self.not_named(error)),
        }
    }

    fn cannot_make(&self, error: io::Error) -> FileError {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                FileError::irreplaceable(self.path, CLOSED)
            }
            _ => FileError::io("write into", self.lock.directory())(error),
        }
    }

    fn not_named(&self, error: io::Error) -> FileError {
        match self.way {
            Way::Over => rename_error(self.path, error),
            Way::New | Way::NewCopy => FileError::io("write", self.path)(error),
        }
    }
}

fn rename_error(path: &Path, error: io::Error) -> FileError {
    match error.kind() {
        io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices => {
            let why = "it is a mount of its own; mount its directory instead";
            FileError::irreplaceable(path, why)
        }
        _ => FileError::io("replace", path)(error),
    }
}
