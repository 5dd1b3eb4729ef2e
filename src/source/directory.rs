//! A directory as a source: a project with `envs/<env>/*.yaml`, or a flat folder of documents, such
//! as a mounted ConfigMap.
//!
//! What the operating system says about changes only means "look again": mounted volumes swap a
//! symlink, editors rename, and some file systems say nothing at all, so there is a poll as well.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the edge to the files of a source"
)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Listing, SourceError, SourceFile};
use crate::name::EnvName;
use crate::reason::Reason;

/// A document must fit into a custom resource.
const LARGEST: u64 = 1_048_576;
/// Changes that follow the first one within this time are gathered.
const DEBOUNCE: Duration = Duration::from_millis(250);
/// How often the directory is read although nothing was heard.
const POLL: Duration = Duration::from_secs(30);
/// Symlink that Kubernetes swaps when the content of a mounted volume changes.
const SWAPPED: &str = "..data";
/// How often a swap is tolerated during one read.
const SWAPS: usize = 5;

/// A directory of sealed documents.
#[derive(Debug, Clone)]
pub struct Directory {
    root: PathBuf,
    environments: Vec<EnvName>,
}

impl Directory {
    /// The directory `root`; of a project, only these environments are read.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, environments: Vec<EnvName>) -> Self {
        Self {
            root: root.into(),
            environments,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads everything. Blocks; to be called where blocking is allowed.
    ///
    /// # Errors
    /// When the directory (or that of an environment, other than missing) cannot be read.
    pub fn read(&self) -> Result<Listing, SourceError> {
        let envs = self.root.join("envs");
        if !envs.is_dir() {
            return self.read_flat();
        }
        let mut listing = Listing::default();
        for environment in &self.environments {
            let folder = envs.join(environment.as_str());
            let prefix = format!("envs/{environment}/");
            read_folder(
                &folder,
                &self.root,
                &prefix,
                Some(environment),
                &mut listing,
            )
            .or_else(|error| missing_is_empty(&folder, error))?;
        }
        Ok(listing)
    }

    /// A mounted volume is read through the directory that its symlink points to, and read again
    /// when that changed meanwhile: so no listing mixes two versions of the volume.
    fn read_flat(&self) -> Result<Listing, SourceError> {
        for _ in 0..SWAPS {
            let before = fs::read_link(self.root.join(SWAPPED)).ok();
            let folder = before
                .as_ref()
                .map_or_else(|| self.root.clone(), |data| self.root.join(data));
            let mut listing = Listing::default();
            let read = read_folder(&folder, &self.root, "", None, &mut listing);
            if fs::read_link(self.root.join(SWAPPED)).ok() == before {
                return read
                    .map(|()| listing)
                    .map_err(|error| unreadable(&folder, &error));
            }
        }
        Err(SourceError::Unstable {
            path: self.root.display().to_string(),
        })
    }

    /// Starts to listen for changes. Where the operating system refuses, polling remains.
    #[must_use]
    pub fn watch(&self) -> Changes {
        let (heard, changes) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.map_or(true, |event| is_a_change(&event)) {
                // Full means that somebody is about to look anyway.
                let _ = heard.try_send(());
            }
        });
        let mut changes = Changes {
            directory: self.clone(),
            watcher: watcher.ok(),
            watched: BTreeSet::new(),
            changes,
            quiet_until: None,
        };
        changes.watch_folders();
        changes
    }

    /// The folders whose entries matter.
    fn folders(&self) -> impl Iterator<Item = PathBuf> + '_ {
        let envs = self.root.join("envs");
        let inner = self
            .environments
            .iter()
            .map(move |environment| envs.join(environment.as_str()));
        [self.root.clone(), self.root.join("envs")]
            .into_iter()
            .chain(inner)
    }
}

/// Says when to look again.
pub struct Changes {
    directory: Directory,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    changes: mpsc::Receiver<()>,
    quiet_until: Option<Instant>,
}

/// Why to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wakeup {
    /// Something changed.
    Changed,
    /// Nothing was heard for a while.
    Poll,
}

impl Changes {
    /// Waits for the next reason to look: the first change at once, what follows within 250 ms
    /// together at the end of that time, and every 30 s without any.
    pub async fn next(&mut self) -> Wakeup {
        if let Some(quiet_until) = self.quiet_until.take() {
            sleep_until(quiet_until).await;
        }
        let heard = timeout_at(Instant::now() + POLL, self.changes.recv()).await;
        self.watch_folders();
        match heard {
            Ok(Some(())) => {
                // The look that follows covers what was heard together with this.
                while self.changes.try_recv().is_ok() {}
                self.quiet_until = Some(Instant::now() + DEBOUNCE);
                Wakeup::Changed
            }
            // Without a watcher the channel is closed: the poll remains.
            Ok(None) => {
                sleep_until(Instant::now() + POLL).await;
                Wakeup::Poll
            }
            Err(_) => Wakeup::Poll,
        }
    }

    /// Watches folders that have appeared. A folder that was removed has lost its watch, so it must
    /// be watched again when it comes back.
    fn watch_folders(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let present: BTreeSet<PathBuf> = self
            .directory
            .folders()
            .filter(|folder| folder.is_dir())
            .collect();
        self.watched.retain(|folder| present.contains(folder));
        for folder in present {
            if !self.watched.contains(&folder)
                && watcher.watch(&folder, RecursiveMode::NonRecursive).is_ok()
            {
                self.watched.insert(folder);
            }
        }
    }
}

/// Our own reading must not count as a change.
fn is_a_change(event: &notify::Event) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

fn read_folder(
    folder: &Path,
    root: &Path,
    prefix: &str,
    environment: Option<&EnvName>,
    listing: &mut Listing,
) -> io::Result<()> {
    let inside = root.canonicalize()?;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str().filter(|name| is_document(name)) else {
            continue;
        };
        let path = format!("{prefix}{name}");
        match read_file(&folder.join(name), &inside) {
            Ok(Some(text)) => {
                let environment = environment.cloned();
                listing.files.insert(path, SourceFile { environment, text });
            }
            Ok(None) => {}
            Err((reason, message)) => {
                listing.refused.insert(path, (reason, message));
            }
        }
    }
    Ok(())
}

/// Hidden files are those of editors and mounted volumes; a contract is no document.
fn is_document(name: &str) -> bool {
    let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
    is_yaml && !name.starts_with('.') && !name.ends_with(".schema.yaml")
}

/// The text, `None` for what is no file, or why it is refused.
fn read_file(path: &Path, inside: &Path) -> Result<Option<String>, (Reason, String)> {
    let unavailable = |error: io::Error| (Reason::SourceUnavailable, error.kind().to_string());
    let real = match path.canonicalize() {
        Ok(real) => real,
        // Removed since the folder was listed: the next listing will not have it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unavailable(error)),
    };
    if !real.starts_with(inside) {
        return Err((
            Reason::UnsafeTree,
            "the link leads out of the source".to_owned(),
        ));
    }
    // What is no plain file (a directory, a pipe) is not even opened: a pipe would block.
    if !real.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let file = File::open(&real).map_err(unavailable)?;
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(unavailable)?;
    if bytes.len() as u64 > LARGEST {
        return Err((
            Reason::InvalidDocument,
            "the file is larger than 1 MiB".to_owned(),
        ));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| {
        (
            Reason::InvalidDocument,
            "the file is not UTF-8 text".to_owned(),
        )
    })
}

/// An environment without a folder has no documents; what was there is deleted only under the
/// guard for mass deletion.
fn missing_is_empty(folder: &Path, error: io::Error) -> Result<(), SourceError> {
    if error.kind() == io::ErrorKind::NotFound {
        Ok(())
    } else {
        Err(unreadable(folder, &error))
    }
}

fn unreadable(path: &Path, error: &io::Error) -> SourceError {
    SourceError::Unreadable {
        path: path.display().to_string(),
        cause: error.kind(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    fn scratch() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    fn write(root: &TempDir, path: &str, text: &str) {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn directory(root: &TempDir) -> Directory {
        Directory::new(root.path(), vec!["prod".parse().unwrap()])
    }

    fn names(listing: &Listing) -> Vec<&str> {
        listing.files.keys().map(String::as_str).collect()
    }

    #[test]
    fn a_project_yields_the_documents_of_the_served_environments_only() {
        let root = scratch();
        for path in [
            "envs/prod/web.yaml",
            "envs/prod/.web.yaml.swp",
            "envs/prod/web.d/a.yaml",
            "envs/dev/web.yaml",
            "envs/web.schema.yaml",
            "keys/prod/a.pub",
            "other.yaml",
        ] {
            write(&root, path, "x");
        }
        let listing = directory(&root).read().unwrap();
        assert_eq!(names(&listing), ["envs/prod/web.yaml"]);
        let file = &listing.files["envs/prod/web.yaml"];
        assert_eq!(file.environment, Some("prod".parse().unwrap()));
        assert_eq!(listing.refused.len(), 0);
    }

    #[test]
    fn a_mounted_volume_is_read_through_its_swapped_link() {
        let root = scratch();
        write(&root, "..v1/web.yaml", "one");
        symlink("..v1", root.path().join(SWAPPED)).unwrap();
        symlink("..data/web.yaml", root.path().join("web.yaml")).unwrap();
        let listing = directory(&root).read().unwrap();
        assert_eq!(names(&listing), ["web.yaml"]);
        assert_eq!(listing.files["web.yaml"].text, "one");
        assert_eq!(listing.files["web.yaml"].environment, None);
    }

    #[test]
    fn a_link_out_of_the_source_and_a_huge_file_are_refused_by_name() {
        let root = scratch();
        let outside = scratch();
        write(&outside, "canary.yaml", "secret");
        symlink(
            outside.path().join("canary.yaml"),
            root.path().join("link.yaml"),
        )
        .unwrap();
        write(&root, "huge.yaml", &"x".repeat(1_048_577));
        fs::write(root.path().join("latin.yaml"), b"\xe4").unwrap();
        let listing = directory(&root).read().unwrap();
        let reasons: Vec<_> = listing
            .refused
            .iter()
            .map(|(path, why)| (path.as_str(), why.0))
            .collect();
        assert_eq!(
            reasons,
            [
                ("huge.yaml", Reason::InvalidDocument),
                ("latin.yaml", Reason::InvalidDocument),
                ("link.yaml", Reason::UnsafeTree)
            ]
        );
        assert!(listing.files.is_empty());
    }

    #[test]
    fn a_missing_directory_is_an_error_and_not_an_empty_source() {
        let root = scratch();
        let gone = Directory::new(root.path().join("gone"), vec![]);
        assert_eq!(gone.read().unwrap_err().reason(), Reason::SourceUnavailable);
    }

    #[tokio::test]
    async fn a_change_is_heard_and_reading_is_none() {
        let root = scratch();
        write(&root, "envs/prod/web.yaml", "one");
        let directory = directory(&root);
        let mut changes = directory.watch();
        assert!(changes.watcher.is_some());
        directory.read().unwrap();
        let silent = tokio::time::timeout(Duration::from_millis(100), changes.next()).await;
        assert!(silent.is_err(), "reading woke the watcher");
        write(&root, "envs/prod/web.yaml", "two");
        assert_eq!(changes.next().await, Wakeup::Changed);
    }

    #[tokio::test]
    async fn an_environment_that_appears_later_is_heard_too() {
        let root = scratch();
        write(&root, "envs/dev/web.yaml", "one");
        let mut changes = directory(&root).watch();
        fs::create_dir(root.path().join("envs/prod")).unwrap();
        assert_eq!(changes.next().await, Wakeup::Changed);
        write(&root, "envs/prod/web.yaml", "two");
        assert_eq!(changes.next().await, Wakeup::Changed);
    }
}
