//! Files on disk: reading with a cap, atomic replacement, exclusive creation, private scratch.
//!
//! A file is never written in place: a temporary file, without a name where there can be one, is filled,
//! synced and takes the name of the other one, under a lock on the directory and only if the file still holds
//! what was read. Contents are [`Secret`]s, since a document may not be sealed yet. Nothing here knows what a
//! file means.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the door to the file system"
)]

mod attributes;
mod lock;
mod scratch;
mod temporary;
mod write;

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::Access;

use self::lock::Lock;
use self::write::{Way, Write};
use crate::name::of_path;
use crate::secret::Secret;

pub use scratch::{Scratch, ScratchPlaces};

/// Mode of files that hold a private key or plaintext.
pub const PRIVATE: u32 = 0o600;
/// Room for what does not tell how long it is.
const UNKNOWN_LENGTH: u64 = 1 << 21;
/// Mode of files that everybody may read; the umask narrows it.
pub const PUBLIC: u32 = 0o644;
/// Mode of files of which the umask alone decides.
pub const BY_UMASK: u32 = 0o666;
/// Links that lead to links: as many as Linux follows.
const LINKS: usize = 40;

/// Why a file could not be read or written. Never holds content.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {action} {}: {}", of_path(path), reason(source))]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// More bytes than the caller takes.
    #[error("{} is larger than {limit} bytes", of_path(path))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The cap.
        limit: u64,
    },
    /// Somebody else wrote the file after it was read.
    #[error("{} was changed by another program meanwhile", of_path(path))]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be replaced without losing something.
    #[error("cannot replace {}: {why}", of_path(path))]
    Irreplaceable {
        /// The file.
        path: PathBuf,
        /// What stands in the way.
        why: &'static str,
    },
}

impl FileError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    fn irreplaceable(path: &Path, why: &'static str) -> Self {
        Self::Irreplaceable {
            path: path.to_path_buf(),
            why,
        }
    }

    /// Whether the file, or its directory, is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
    }

    /// Whether a file of that name was there already.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists)
    }
}

/// The system's words without the number that `io::Error` adds.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}

/// What a directory entry is; links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A socket, a pipe, a dangling link.
    Other,
}

/// A file as it was read, for a later [`replace`].
#[derive(Debug, Clone)]
pub struct Original {
    path: PathBuf,
    content: Secret,
}

impl Original {
    /// Where it was read, links resolved.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it held.
    #[must_use]
    pub fn content(&self) -> &Secret {
        &self.content
    }
}

/// Reads at most `limit` bytes of `path`, following links.
///
/// # Errors
///
/// [`FileError::Io`], or [`FileError::TooLarge`] for a longer file.
pub fn read(path: &Path, limit: u64) -> Result<Secret, FileError> {
    let file = File::open(path).map_err(FileError::io("read", path))?;
    // Exactly what it holds: then nothing is copied to fit, and the end is found without growing. Pipes have
    // no length.
    let expected = match file.metadata() {
        Ok(metadata) if metadata.is_file() && metadata.len() > 0 => metadata.len(),
        _ => UNKNOWN_LENGTH,
    };
    read_into(file, limit, path, expected)
}

/// Reads at most `limit` bytes of `input`; `name` stands in errors.
///
/// # Errors
///
/// As [`read`].
pub fn read_from(input: impl io::Read, limit: u64, name: &Path) -> Result<Secret, FileError> {
    read_into(input, limit, name, UNKNOWN_LENGTH)
}

/// Reads into a buffer for `expected` bytes, which grows where there are more.
fn read_into(
    input: impl io::Read,
    limit: u64,
    name: &Path,
    expected: u64,
) -> Result<Secret, FileError> {
    // The capacity is fixed beforehand, so that no half-read copy is left behind by growing. No more
    // than needed: the whole buffer is wiped.
    let capacity = usize::try_from(limit.min(expected)).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(capacity)
        .map_err(|_| FileError::io("read", name)(io::ErrorKind::OutOfMemory.into()))?;
    let read = input
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(FileError::io("read", name));
    let content = Secret::new(bytes);
    if read? as u64 > limit {
        return Err(FileError::TooLarge {
            path: name.to_path_buf(),
            limit,
        });
    }
    Ok(content)
}

/// Reads `path` in order to replace it later.
///
/// # Errors
///
/// As [`read`].
pub fn read_original(path: &Path, limit: u64) -> Result<Original, FileError> {
    let path = fs::canonicalize(path).map_err(FileError::io("read", path))?;
    let metadata = fs::metadata(&path).map_err(FileError::io("read", &path))?;
    if !metadata.is_file() && !metadata.is_dir() {
        let why = "it is no regular file, and could not be read a second time";
        return Err(FileError::irreplaceable(&path, why));
    }
    let content = read(&path, limit)?.shared();
    Ok(Original { path, content })
}

/// Puts `content` in place of `original`, keeping mode, owner, access list and, as far as this process may set
/// them, the other extended attributes. Readers see the old or the new
/// file, never a part; after a crash, too.
///
/// # Errors
///
/// [`FileError::Changed`] if the file no longer holds what was read, [`FileError::Irreplaceable`]
/// where a rename cannot keep what the file is, otherwise [`FileError::Io`]. The file is untouched
/// then.
pub fn replace(original: &Original, content: &Secret) -> Result<(), FileError> {
    let path = original.path();
    let lock = Lock::on_directory_of(path)?;
    let metadata = fs::metadata(path).map_err(FileError::io("read", path))?;
    rustix::fs::access(path, Access::WRITE_OK)
        .map_err(|errno| FileError::io("write", path)(errno.into()))?;
    if metadata.nlink() > 1 {
        return Err(FileError::irreplaceable(
            path,
            "it has other names (hard links), which would keep the old content; make it a file of its own first: cp -p FILE COPY && mv COPY FILE",
        ));
    }
    let fitted = |file: &File| {
        keep_owner(file, &metadata, path)?;
        if !attributes::copy(path, file) {
            let why = "its access list would be lost";
            return Err(FileError::irreplaceable(path, why));
        }
        let mode = fs::Permissions::from_mode(metadata.mode() & 0o7777);
        file.set_permissions(mode)
            .map_err(FileError::io("write", path))?;
        // As late as can be: who does not know of the lock may write until now.
        let now = read(path, original.content.len() as u64);
        if !now.is_ok_and(|now| now.expose() == original.content.expose()) {
            return Err(FileError::Changed {
                path: path.to_path_buf(),
            });
        }
        Ok(())
    };
    let write = Write {
        lock: &lock,
        path,
        content,
        way: Way::Over,
    };
    write.run(fitted)
}

/// Creates `path` with `content` and `mode` (the umask applies), never over an existing file.
/// Missing directories are made.
///
/// # Errors
///
/// [`FileError::Io`]; see [`FileError::is_taken`].
pub fn create(path: &Path, content: &Secret, mode: u32) -> Result<(), FileError> {
    create_by(path, content, mode, Way::New)
}

/// As [`create`], without waiting for the disk: for what can be made again.
///
/// # Errors
///
/// As [`create`].
pub fn create_copy(path: &Path, content: &Secret, mode: u32) -> Result<(), FileError> {
    create_by(path, content, mode, Way::NewCopy)
}

fn create_by(path: &Path, content: &Secret, mode: u32, way: Way) -> Result<(), FileError> {
    let lock = Lock::on_directory_of(path)?;
    let write = Write {
        lock: &lock,
        path,
        content,
        way,
    };
    write.run(|file| {
        file.set_permissions(fs::Permissions::from_mode(mode & !umask()))
            .map_err(FileError::io("write", path))
    })
}

/// Writes `content` into what is there and no regular file: a device, a pipe.
///
/// # Errors
///
/// [`FileError::Io`], also where nothing is.
pub fn write_through(path: &Path, content: &Secret) -> Result<(), FileError> {
    let file = File::options().write(true).open(path);
    pour(file.map_err(FileError::io("write", path))?, path, content)
}

/// As [`write_through`], into what was read before. A pipe that nobody reads is refused, since nobody would
/// ever be told.
///
/// # Errors
///
/// [`FileError::Io`].
pub fn write_back(path: &Path, content: &Secret) -> Result<(), FileError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let waits_for_nobody = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options()
        .write(true)
        .custom_flags(waits_for_nobody)
        .open(path)
        .map_err(FileError::io("write", path))?;
    rustix::fs::fcntl_setfl(&file, rustix::fs::OFlags::empty())
        .map_err(|errno| FileError::io("write", path)(errno.into()))?;
    pour(file, path, content)
}

fn pour(mut file: File, path: &Path, content: &Secret) -> Result<(), FileError> {
    use io::Write as _;
    file.write_all(content.expose())
        .map_err(FileError::io("write", path))
}

/// Makes a pipe with a name, mode 0600.
///
/// # Errors
///
/// [`FileError::Io`].
pub fn create_pipe(path: &Path) -> Result<(), FileError> {
    let kind = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::from_raw_mode(PRIVATE);
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0)
        .map_err(|errno| FileError::io("create", path)(errno.into()))
}

fn keep_owner(file: &File, wanted: &fs::Metadata, path: &Path) -> Result<(), FileError> {
    let made = file.metadata().map_err(FileError::io("write", path))?;
    if (made.uid(), made.gid()) == (wanted.uid(), wanted.gid()) {
        return Ok(());
    }
    std::os::unix::fs::fchown(file, Some(wanted.uid()), Some(wanted.gid())).map_err(|_| {
        let why = "it belongs to another user or group, which would be lost";
        FileError::irreplaceable(path, why)
    })
}

/// The mask of this process, which never changes it.
fn umask() -> u32 {
    static MASK: OnceLock<u32> = OnceLock::new();
    *MASK.get_or_init(|| {
        // It can only be read by setting it: once, since other threads make files, too.
        let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        rustix::process::umask(mask);
        mask.as_raw_mode()
    })
}

/// Creates `path` and its missing parents with `mode` (the umask applies); what exists stays.
///
/// # Errors
///
/// [`FileError::Io`].
pub fn create_directory(path: &Path, mode: u32) -> Result<(), FileError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(FileError::io("create", path))
}

/// Removes a file; one that is not there is fine.
///
/// # Errors
///
/// [`FileError::Io`].
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// What `path` is, or `None` where nothing is.
#[must_use]
pub fn kind(path: &Path) -> Option<Kind> {
    let metadata = fs::metadata(path).ok()?;
    Some(if metadata.is_dir() {
        Kind::Directory
    } else if metadata.is_file() {
        Kind::File
    } else {
        Kind::Other
    })
}

/// Whether `path` is a directory.
#[must_use]
pub fn is_directory(path: &Path) -> bool {
    kind(path) == Some(Kind::Directory)
}

/// Names in the directory `path`, sorted. Names that are not UTF-8 are left out: none of ours is.
///
/// # Errors
///
/// [`FileError::Io`].
pub fn list(path: &Path) -> Result<Vec<String>, FileError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(FileError::io("list", path))? {
        let entry = entry.map_err(FileError::io("list", path))?;
        names.extend(entry.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}

/// The absolute path of `path` without links.
///
/// # Errors
///
/// [`FileError::Io`] where nothing is.
pub fn canonical(path: &Path) -> Result<PathBuf, FileError> {
    fs::canonicalize(path).map_err(FileError::io("find", path))
}

/// Where the links at the end of `path` lead, also where nothing is there.
#[must_use]
pub fn behind_links(path: &Path) -> PathBuf {
    let mut path = path.to_path_buf();
    for _ in 0..LINKS {
        let Ok(target) = fs::read_link(&path) else {
            break;
        };
        path = match path.parent() {
            Some(folder) => folder.join(target),
            None => target,
        };
    }
    path
}

/// Number of the device that holds `path`, to notice a mount boundary.
#[must_use]
pub fn device(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| metadata.dev())
}

/// Permission bits of `path`.
#[must_use]
pub fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path)
        .ok()
        .map(|metadata| metadata.mode() & 0o7777)
}

#[cfg(test)]
mod tests {
    use super::temporary::Temporary;
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn secret(text: &str) -> Secret {
        Secret::from_text(text)
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_leaves_nothing_beside_it() {
        let folder = folder();
        let path = folder.path().join("a.yaml");
        create(&path, &secret("old"), 0o640).unwrap();
        let before = mode(&path);
        let original = read_original(&path, 100).unwrap();
        replace(&original, &secret("new")).unwrap();
        assert_eq!(read(&path, 100).unwrap(), secret("new"));
        assert_eq!(mode(&path), before);
        assert_eq!(list(folder.path()).unwrap(), ["a.yaml"]);
    }

    /// A folder on a file system that keeps attributes of users and access lists.
    fn folder_with_attributes() -> tempfile::TempDir {
        let places = [std::env::temp_dir(), "/dev/shm".into(), "/var/tmp".into()];
        let mut folders = places.iter().map(tempfile::tempdir_in);
        let keeps = |folder: &tempfile::TempDir| set_attribute(folder.path(), "user.try", b"1");
        folders
            .find_map(|folder| folder.ok().filter(keeps))
            .expect("one of the temporary folders keeps extended attributes")
    }

    fn set_attribute(path: &Path, name: &str, value: &[u8]) -> bool {
        rustix::fs::setxattr(path, name, value, rustix::fs::XattrFlags::empty()).is_ok()
    }

    fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
        let mut value = Vec::with_capacity(1000);
        rustix::fs::getxattr(path, name, rustix::buffer::spare_capacity(&mut value)).ok()?;
        Some(value)
    }

    /// An access list in the form of the system: a version, then tag, rights and account of each entry. The account
    /// 65534 may read, the group may not.
    fn access_list() -> Vec<u8> {
        let entries =
            [(1, 6), (2, 4), (4, 0), (16, 4), (32, 0)].map(|(tag, rights): (u16, u16)| {
                let account: u32 = if tag == 2 { 65_534 } else { u32::MAX };
                let words = [tag.to_le_bytes(), rights.to_le_bytes()].concat();
                [words, account.to_le_bytes().to_vec()].concat()
            });
        [2_u32.to_le_bytes().to_vec(), entries.concat()].concat()
    }

    #[test]
    fn a_replaced_file_keeps_its_attributes_and_takes_no_access_list_from_its_directory() {
        const ACCESS: &str = "system.posix_acl_access";
        let folder = folder_with_attributes();
        let path = folder.path().join("a.yaml");
        create(&path, &secret("old"), PRIVATE).unwrap();
        assert!(set_attribute(&path, "user.note", b"mine"));
        assert!(set_attribute(&path, ACCESS, &access_list()));
        let before = mode(&path);
        replace(&read_original(&path, 100).unwrap(), &secret("new")).unwrap();
        assert_eq!(read(&path, 100).unwrap(), secret("new"));
        assert_eq!(attribute(&path, "user.note").unwrap(), b"mine");
        assert_eq!(attribute(&path, ACCESS).unwrap(), access_list());
        assert_eq!((before, mode(&path)), (Some(0o640), before));
        rustix::fs::removexattr(&path, ACCESS).unwrap();
        let default = "system.posix_acl_default";
        assert!(set_attribute(folder.path(), default, &access_list()));
        replace(&read_original(&path, 100).unwrap(), &secret("newer")).unwrap();
        assert_eq!(attribute(&path, ACCESS), None);
    }

    #[test]
    fn the_second_of_two_writers_is_refused() {
        let folder = folder();
        let path = folder.path().join("a.yaml");
        create(&path, &secret("old"), PUBLIC).unwrap();
        let (first, second) = (
            read_original(&path, 100).unwrap(),
            read_original(&path, 100).unwrap(),
        );
        replace(&first, &secret("first")).unwrap();
        let refused = replace(&second, &secret("second")).unwrap_err();
        assert!(matches!(refused, FileError::Changed { .. }));
        assert_eq!(read(&path, 100).unwrap(), secret("first"));
    }

    #[test]
    fn what_a_killed_writer_left_goes_with_the_next_write_and_a_hard_link_is_refused() {
        let folder = folder();
        let path = folder.path().join("a.yaml");
        create(&path, &secret("old"), PUBLIC).unwrap();
        let lock = Lock::on_directory_of(&path).unwrap();
        match Temporary::named(&lock, &path).unwrap() {
            Temporary::Named(named) => drop(named.keep().unwrap()),
            Temporary::Unnamed(_) => panic!("it has a name"),
        }
        drop(lock);
        assert_eq!(list(folder.path()).unwrap().len(), 2);
        replace(&read_original(&path, 100).unwrap(), &secret("new")).unwrap();
        assert_eq!(list(folder.path()).unwrap(), ["a.yaml"]);
        fs::hard_link(&path, folder.path().join("b")).unwrap();
        let refused = replace(&read_original(&path, 100).unwrap(), &secret("x")).unwrap_err();
        assert!(matches!(refused, FileError::Irreplaceable { .. }));
        assert_eq!(read(&path, 100).unwrap(), secret("new"));
    }

    #[test]
    fn what_is_written_has_no_name_before_it_is_whole() {
        let folder = folder_with_attributes();
        let path = folder.path().join("a.yaml");
        let lock = Lock::on_directory_of(&path).unwrap();
        for way in [Way::New, Way::Over, Way::NewCopy] {
            let content = &secret("text");
            let write = Write {
                lock: &lock,
                path: &path,
                content,
                way,
            };
            let before = list(folder.path()).unwrap();
            let seen = std::cell::RefCell::new(Vec::new());
            let look = |_: &File| {
                seen.borrow_mut().push(list(folder.path()).unwrap());
                Ok(())
            };
            let done = write.run(look);
            assert_eq!(done.is_err(), way == Way::NewCopy, "it is there already");
            assert_eq!(seen.into_inner(), [before]);
            assert_eq!(list(folder.path()).unwrap(), ["a.yaml"]);
        }
    }

    #[test]
    fn where_every_file_has_a_name_the_same_is_written() {
        let folder = folder();
        let path = folder.path().join("a.yaml");
        let lock = Lock::on_directory_of(&path).unwrap();
        for (way, content) in [(Way::New, &secret("one")), (Way::Over, &secret("two"))] {
            let write = Write {
                lock: &lock,
                path: &path,
                content,
                way,
            };
            let named = Temporary::named(&lock, &path).unwrap();
            assert!(write.put(named, |_| Ok(())).unwrap());
            assert_eq!(read(&path, 100).unwrap(), *content);
            assert_eq!(list(folder.path()).unwrap(), ["a.yaml"]);
        }
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = folder();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        create(&real, &secret("old"), PUBLIC).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        replace(&read_original(&link, 100).unwrap(), &secret("new")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(read(&real, 100).unwrap(), secret("new"));
    }

    #[test]
    fn nothing_is_created_over_an_existing_file() {
        let folder = folder();
        let path = folder.path().join("key");
        create(&path, &secret("one"), PRIVATE).unwrap();
        assert!(
            create(&path, &secret("two"), PRIVATE)
                .unwrap_err()
                .is_taken()
        );
        assert_eq!(mode(&path), Some(0o600));
        assert_eq!(read(&path, 100).unwrap(), secret("one"));
    }

    #[test]
    fn a_longer_file_than_the_cap_is_refused_and_one_of_its_length_is_not() {
        let folder = folder();
        let path = folder.path().join("a");
        create(&path, &secret("12345"), PUBLIC).unwrap();
        assert!(read(&path, 5).is_ok());
        assert!(matches!(
            read(&path, 4),
            Err(FileError::TooLarge { limit: 4, .. })
        ));
    }
}
