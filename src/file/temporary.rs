//! Where content waits until it is whole and takes the name of a file.
//!
//! A file without a name, where the system and the file system have such: it is gone with the process,
//! however that ends, and nothing in clear is left beside what it was for. Elsewhere a hidden one with a name,
//! which the next write of the same file takes away.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is part of the door to the file system"
)]

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::lock::Lock;
use crate::digest::Digest;

/// A file that is filled before it is named.
pub(super) enum Temporary {
    /// It has no name at all.
    Unnamed(File),
    /// It has a hidden one, which goes when it is dropped.
    Named(tempfile::NamedTempFile),
}

/// Why a temporary file did not get its name.
pub(super) enum NotNamed {
    /// Files without a name cannot get one here; one with a name can.
    Unnameable,
    /// The system refused.
    Refused(io::Error),
}

impl Temporary {
    /// One without a name in the directory of `lock`, if there can be one.
    pub(super) fn unnamed(lock: &Lock) -> Option<Self> {
        open_unnamed(lock).ok().map(Self::Unnamed)
    }

    /// One beside `path`. Under the lock its name is always the same; without the lock somebody else may be
    /// writing it.
    pub(super) fn named(lock: &Lock, path: &Path) -> io::Result<Self> {
        let directory = lock.directory();
        if lock.is_held {
            let name = hidden_name(path);
            let made = tempfile::Builder::new()
                .prefix(&name)
                .rand_bytes(0)
                .tempfile_in(directory);
            if let Ok(made) = made {
                return Ok(Self::Named(made));
            }
        }
        let mut builder = tempfile::Builder::new();
        let made = builder.prefix(".sealctl-").tempfile_in(directory)?;
        Ok(Self::Named(made))
    }

    /// The file itself.
    pub(super) fn file(&self) -> &File {
        match self {
            Self::Unnamed(file) => file,
            Self::Named(named) => named.as_file(),
        }
    }

    /// Gives it the name `path`, which nothing has.
    pub(super) fn name(self, path: &Path) -> Result<(), NotNamed> {
        match self {
            Self::Unnamed(file) => match link(&file, path) {
                Ok(()) => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    Err(NotNamed::Refused(error))
                }
                Err(_) => Err(NotNamed::Unnameable),
            },
            Self::Named(named) => match named.persist_noclobber(path) {
                Ok(_) => Ok(()),
                Err(error) => Err(NotNamed::Refused(error.error)),
            },
        }
    }

    /// Gives it the name `path` in place of what has it. No system call takes a name away for a file that has
    /// none, so it has a hidden one for a moment.
    pub(super) fn rename_over(self, lock: &Lock, path: &Path) -> Result<(), NotNamed> {
        match self {
            Self::Unnamed(file) => {
                let hidden = place_of_hidden(lock, path);
                link(&file, &hidden).map_err(|_| NotNamed::Unnameable)?;
                fs::rename(&hidden, path).map_err(|error| {
                    let _ = fs::remove_file(&hidden);
                    NotNamed::Refused(error)
                })
            }
            Self::Named(named) => match named.persist(path) {
                Ok(_) => Ok(()),
                Err(error) => Err(NotNamed::Refused(error.error)),
            },
        }
    }
}

/// Removes what a killed call has left beside `path`. Only under the lock: without it somebody else may be
/// writing it.
pub(super) fn sweep(lock: &Lock, path: &Path) {
    if lock.is_held {
        let _ = fs::remove_file(lock.directory().join(hidden_name(path)));
    }
}

/// The name that a file which becomes `path` has until then.
fn hidden_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    format!(".sealctl-{}", Digest::combine([name]).short(16))
}

fn place_of_hidden(lock: &Lock, path: &Path) -> PathBuf {
    let name = hidden_name(path);
    let name = match lock.is_held {
        true => name,
        false => format!("{name}-{}", std::process::id()),
    };
    lock.directory().join(name)
}

#[cfg(target_os = "linux")]
fn open_unnamed(lock: &Lock) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, openat};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(super::PRIVATE);
    Ok(File::from(openat(lock.file(), ".", flags, mode)?))
}

#[cfg(not(target_os = "linux"))]
fn open_unnamed(_: &Lock) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Gives an open file a name. By its entry in `/proc`: the call that takes the number of the file alone is for
/// privileged processes.
fn link(file: &File, path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    use std::os::fd::AsRawFd as _;
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, own, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}
