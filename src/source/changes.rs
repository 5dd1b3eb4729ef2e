//! A hint that something in a folder changed.
//!
//! A hint means "look again"; whoever gets it compares contents. Events get lost (other hosts, full
//! queues, no inotify), so a hint also comes from time to time without any event.

use std::path::Path;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// Hints about one folder.
pub struct Changes {
    hints: mpsc::Receiver<()>,
    _watcher: Option<RecommendedWatcher>,
    poll: Duration,
}

impl Changes {
    /// Watches `folder`, not what lies deeper. Where the system cannot watch, only `poll` gives hints.
    #[must_use]
    pub fn in_folder(folder: &Path, poll: Duration) -> Self {
        // One hint that is not taken yet stands for all that follow.
        let (sender, hints) = mpsc::channel(1);
        let hint = move |event: notify::Result<notify::Event>| {
            if event.map_or(true, |event| is_change(event.kind)) {
                let _ = sender.try_send(());
            }
        };
        let watcher = notify::recommended_watcher(hint).and_then(|mut watcher| {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        Self {
            hints,
            _watcher: watcher.ok(),
            poll,
        }
    }

    /// Waits for a hint, then until nothing more has come for `quiet`.
    pub async fn next(&mut self, quiet: Duration) {
        let hinted = tokio::time::timeout(self.poll, self.received()).await;
        if hinted.is_ok() {
            while tokio::time::timeout(quiet, self.received()).await.is_ok() {}
        }
    }

    async fn received(&mut self) {
        if self.hints.recv().await.is_none() {
            // No watcher: only the poll is left.
            std::future::pending::<()>().await;
        }
    }
}

/// Reading a file is an event, too, and would make the reader read for ever.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}
