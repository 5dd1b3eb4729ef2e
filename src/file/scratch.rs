//! A private directory for plaintext that another program has to see as a file.
//!
//! It lies in a memory file system where there is one, so that nothing reaches a disk. Whoever drops
//! it removes it; after a crash it is still there and can be found again by its label, or swept away.
//! While a process holds it, or a child that it was lent to, no other one finds it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::{Access, FileError};

/// `f_type` of tmpfs and ramfs, from `linux/magic.h`.
const MEMORY_FILE_SYSTEMS: [i64; 2] = [0x0102_1994, 0x8584_58f6];

/// Where scratch directories may lie.
#[derive(Debug, Clone)]
pub struct ScratchPlaces {
    /// `$XDG_RUNTIME_DIR`, when it is set.
    pub runtime: Option<PathBuf>,
    /// `$TMPDIR`, or `/tmp`: only where no memory file system is found.
    pub fallback: PathBuf,
}

/// In a directory that was kept on purpose: it is not swept away.
const KEPT: &str = ".kept";

/// A directory of mode 0700 that nobody else can enter.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Held as long as the directory is in use; the system lets it go when this process has ended, and
    /// every child that it was lent to.
    lock: fs::File,
    in_memory: bool,
    keep: bool,
}

impl ScratchPlaces {
    /// The directory to use, and whether it is in memory.
    fn choose(&self) -> (PathBuf, bool) {
        let shared = PathBuf::from("/dev/shm");
        for place in self.runtime.iter().chain([&shared]) {
            let writable = rustix::fs::access(place, Access::WRITE_OK | Access::EXEC_OK).is_ok();
            if writable && is_in_memory(place) {
                return (place.clone(), true);
            }
        }
        (self.fallback.clone(), false)
    }

    /// Makes a new directory. `label` (letters, digits and dashes) stands in its name.
    ///
    /// # Errors
    ///
    /// [`FileError::Io`].
    pub fn create(&self, label: &str) -> Result<Scratch, FileError> {
        let (place, in_memory) = self.choose();
        let directory = tempfile::Builder::new()
            .prefix(&prefix(label))
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(&place)
            .map_err(FileError::io("create a private folder in", &place))?;
        let lock = lock(directory.path()).map_err(FileError::io("lock", directory.path()))?;
        Ok(Scratch {
            path: directory.keep(),
            lock,
            in_memory,
            keep: false,
        })
    }

    /// A directory of the same label that was left behind, if there is one that nobody uses now.
    #[must_use]
    pub fn find(&self, label: &str) -> Option<Scratch> {
        let (path, lock) = self
            .of_label(label)
            .find_map(|path| lock(&path).ok().map(|lock| (path, lock)))?;
        Some(Scratch {
            in_memory: is_in_memory(&path),
            path,
            lock,
            keep: true,
        })
    }

    /// Whether another process works in a directory of this label.
    #[must_use]
    pub fn is_in_use(&self, label: &str) -> bool {
        self.of_label(label).any(|path| lock(&path).is_err())
    }

    /// Removes the directories of this label that nobody uses, as calls that were killed leave them behind;
    /// not those that were [set aside](Scratch::set_aside). Gives the paths.
    pub fn sweep(&self, label: &str) -> Vec<PathBuf> {
        let left = self.of_label(label).filter(|path| {
            !path.join(KEPT).exists()
                && lock(path).is_ok_and(|_held| fs::remove_dir_all(path).is_ok())
        });
        left.collect()
    }

    /// The directories of this label that belong to this user and are closed to all others: `/dev/shm` is
    /// open to everybody.
    fn of_label(&self, label: &str) -> impl Iterator<Item = PathBuf> {
        let (place, _) = self.choose();
        let prefix = prefix(label);
        let names = super::list(&place).unwrap_or_default();
        names
            .into_iter()
            .filter(move |name| name.starts_with(&prefix))
            .map(move |name| place.join(name))
            .filter(|path| is_private(path))
    }
}

impl Scratch {
    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is in memory, not on a disk.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.in_memory
    }

    /// Lets children that are started from now on hold it, too: an editor outlives a call that is killed,
    /// and still writes here.
    pub fn lend(&self) {
        // A child that does not hold it works all the same.
        let _ = rustix::io::fcntl_setfd(&self.lock, rustix::io::FdFlags::empty());
    }

    /// Leaves the directory behind when dropped, for a later [`ScratchPlaces::find`].
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// As [`Self::keep`], and nobody sweeps it away: it is for a person to find.
    pub fn set_aside(&mut self) {
        // Without the mark it only stays for a shorter time.
        let _ = fs::write(self.path.join(KEPT), "");
        self.keep = true;
    }

    /// Removes the directory when dropped, also one that was set aside.
    pub fn release(&mut self) {
        let _ = fs::remove_file(self.path.join(KEPT));
        self.keep = false;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Takes the directory for this process, unless another one has it. Not by a lock of the directory
/// itself: that is what whoever writes a file in it takes.
fn lock(path: &Path) -> std::io::Result<fs::File> {
    let file = fs::File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path.join(".lock"))?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

fn prefix(label: &str) -> String {
    format!("sealctl-{label}-")
}

#[allow(clippy::useless_conversion, reason = "the type differs by platform")]
fn is_in_memory(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|found| MEMORY_FILE_SYSTEMS.contains(&found.f_type))
}

fn is_private(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| {
        found.is_dir()
            && found.mode() & 0o077 == 0
            && found.uid() == rustix::process::geteuid().as_raw()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tries for ten seconds: a lock that was let go is still held by the children that other tests start at that
    /// moment, until they become another program.
    fn soon<T>(attempt: impl Fn() -> Option<T>) -> T {
        let wait = || std::thread::sleep(std::time::Duration::from_millis(5));
        let mut tries = (0..2000).map(|_| attempt().or_else(|| (wait(), None).1));
        tries.find_map(|found| found).unwrap()
    }

    #[test]
    fn what_is_kept_is_found_again_once_free_and_what_is_not_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let places = ScratchPlaces {
            runtime: None,
            fallback: folder.path().to_path_buf(),
        };
        let label = format!("test{}", std::process::id());
        let mut scratch = places.create(&label).unwrap();
        let path = scratch.path().to_path_buf();
        assert_eq!(super::super::mode(&path), Some(0o700));
        scratch.keep();
        assert!(places.find(&label).is_none() && places.is_in_use(&label));
        drop(scratch);
        let mut found = soon(|| places.find(&label));
        assert_eq!(found.path(), path);
        found.release();
        drop(found);
        assert!(places.find(&label).is_none());
        assert!(!path.exists());
    }

    #[test]
    fn what_is_left_is_swept_away_unless_a_child_works_in_it_or_it_was_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let places = ScratchPlaces {
            runtime: None,
            fallback: folder.path().to_path_buf(),
        };
        let label = format!("sweep{}", std::process::id());
        let made = || places.create(&label).unwrap();
        let (mut left, mut held, mut aside) = (made(), made(), made());
        let paths = [&left, &held, &aside].map(|one| one.path().to_path_buf());
        left.keep();
        drop(left);
        held.keep();
        held.lend();
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop(held);
        aside.set_aside();
        drop(aside);
        let swept = || Some(places.sweep(&label)).filter(|swept| !swept.is_empty());
        assert_eq!(soon(swept), paths[..1]);
        assert!(places.sweep(&label).is_empty());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(soon(swept), paths[1..2]);
        assert_eq!(paths.map(|path| path.exists()), [false, false, true]);
        fs::remove_dir_all(aside_of(&places, &label)).unwrap();
    }

    fn aside_of(places: &ScratchPlaces, label: &str) -> PathBuf {
        places.of_label(label).next().unwrap()
    }
}
