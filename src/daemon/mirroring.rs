//! The first loop of seald: a directory of documents becomes SealedEnvs, for as long as it runs.
//!
//! It connects what does not know each other: the directory, the planner of the mirror, the writer.
//! Only a leader runs it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::clock::{Clock as _, SystemClock};
use crate::cluster::mirror::{self, Checked, File, Mirroring, Plan, Planner};
use crate::name::EnvName;
use crate::plan::effect::Outcome;
use crate::reason::Reason;
use crate::source::directory::{Directory, Wakeup};
use crate::source::{Listing, SourceError};
use crate::telemetry::health::Checks;
use crate::telemetry::metrics::{ByReason, ByResult, Metrics};

/// What was not written is tried again after this long.
const RETRY: Duration = Duration::from_secs(5);
/// Changes of SealedEnvs by others come in bursts; they are answered together.
const GATHER: Duration = Duration::from_millis(250);
/// Troubles that readiness shows by name.
const SHOWN: usize = 20;

/// Opens a file of an environment.
pub(super) type Check = Arc<dyn Fn(&File) -> Checked + Send + Sync>;

/// Everything that the loop needs.
pub(super) struct Mirror {
    /// The directory.
    pub(super) directory: Directory,
    /// The environments that are served.
    pub(super) environments: Vec<EnvName>,
    /// Number of lists of SealedEnvs that must be complete before anything is planned.
    pub(super) collections: usize,
    /// How to write.
    pub(super) mirroring: Mirroring,
    /// How to open a file.
    pub(super) check: Check,
    /// Whether this process may write now.
    pub(super) leads: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Where the source is counted.
    pub(super) metrics: Metrics,
    /// Where the source is shown.
    pub(super) checks: Checks,
}

/// One look at the directory.
type Look = (Planner, Result<(Plan, BTreeMap<String, File>), SourceError>);

impl Mirror {
    /// Runs until the task is dropped or aborted.
    pub(super) fn spawn(self) -> JoinHandle<()> {
        tokio::spawn(self.run())
    }

    async fn run(self) {
        let sources = self.mirroring.sources.clone();
        sources.start();
        let mut changes = self.directory.watch();
        let mut sealed_envs = sources.sealed_envs_changed();
        let mut planner = Planner::new(self.environments.iter().cloned());
        let mut again = Some(Duration::ZERO);
        loop {
            tokio::select! {
                biased;
                () = after(again) => {}
                wakeup = changes.next() => self.count_rescan(wakeup),
                changed = sealed_envs.changed() => match changed {
                    Ok(()) => sleep(GATHER).await,
                    Err(_) => return,
                },
            }
            again = None;
            if !(self.leads)() {
                continue;
            }
            let Some(existing) = sources.existing(self.collections) else {
                continue;
            };
            let (kept, look) = match self.look(planner, existing.clone()).await {
                Some(look) => look,
                // The look panicked: begin with a planner that remembers nothing.
                None => (
                    Planner::new(self.environments.iter().cloned()),
                    Err(panicked(&self.directory)),
                ),
            };
            planner = kept;
            again = match look {
                Ok((plan, files)) => {
                    let failed = self.perform(&plan, &files, &existing).await;
                    let retry = (!failed.is_empty()).then_some(RETRY);
                    let look_again = plan.look_again;
                    self.report(plan, failed);
                    look_again.or(retry)
                }
                Err(error) => {
                    self.report_unreadable(&error);
                    Some(RETRY)
                }
            };
        }
    }

    /// Reads and plans where blocking is allowed; `None` after a panic.
    async fn look(
        &self,
        mut planner: Planner,
        existing: BTreeMap<mirror::Key, mirror::Existing>,
    ) -> Option<Look> {
        let directory = self.directory.clone();
        let check = self.check.clone();
        let now = Instant::now();
        let look = spawn_blocking(move || {
            let look = directory.read().map(|listing| {
                let files = files(&listing);
                let refused = refused(&listing);
                let plan = planner.plan(&files, &refused, &existing, &*check, now);
                (plan, files)
            });
            (planner, look)
        });
        look.await.ok()
    }

    async fn perform(
        &self,
        plan: &Plan,
        files: &BTreeMap<String, File>,
        existing: &BTreeMap<mirror::Key, mirror::Existing>,
    ) -> BTreeMap<String, Outcome> {
        if plan.actions.is_empty() {
            return BTreeMap::new();
        }
        info!(actions = plan.actions.len(), "Documents are mirrored");
        let actions = plan.actions.clone();
        mirror::perform(&self.mirroring, actions, files, existing, &*self.leads).await
    }

    fn report(&self, plan: Plan, failed: BTreeMap<String, Outcome>) {
        let mirrored = plan.mirrored.saturating_sub(failed.len());
        let mut troubles = plan.troubles;
        troubles.extend(failed);
        let before = self.mirroring.sources.troubles();
        for (path, outcome) in &troubles {
            if before.get(path) != Some(outcome) {
                warn!(path, reason = %outcome.reason, "Document was not mirrored: {}", outcome.message);
            }
        }
        self.count_documents(mirrored, &troubles);
        self.metrics
            .source_fetches
            .get_or_create(&ByResult::new("success"))
            .inc();
        #[expect(clippy::cast_precision_loss, reason = "seconds fit for ages")]
        let now = SystemClock.now().wall.as_second() as f64;
        self.metrics.source_last_success.set(now);
        self.checks.set("source", Ok(()));
        self.checks.note("documents", summary(mirrored, &troubles));
        self.mirroring.sources.report(Some(troubles), None);
    }

    /// The source cannot be read: what is known of it stays. Readiness holds, since an outage of the
    /// source must not take seald away as well.
    fn report_unreadable(&self, error: &SourceError) {
        self.metrics
            .source_fetches
            .get_or_create(&ByResult::new("failure"))
            .inc();
        let outcome = Outcome::new(error.reason(), error.to_string());
        warn!(reason = %outcome.reason, "Source was not read: {error}");
        self.checks
            .note("documents", format!("source was not read: {error}"));
        self.mirroring.sources.report(None, Some(outcome));
    }

    fn count_documents(&self, mirrored: usize, troubles: &BTreeMap<String, Outcome>) {
        let gauge = &self.metrics.source_documents;
        gauge.clear();
        let count = |reason: &str, number: usize| {
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            gauge.get_or_create(&ByReason::new(reason)).inc_by(number);
        };
        count("Mirrored", mirrored);
        for outcome in troubles.values() {
            count(outcome.reason.as_str(), 1);
        }
    }

    fn count_rescan(&self, wakeup: Wakeup) {
        if wakeup == Wakeup::Poll {
            self.metrics
                .source_rescans
                .get_or_create(&ByReason::new("poll"))
                .inc();
        }
    }
}

/// Waits that long, or for ever.
async fn after(pause: Option<Duration>) {
    match pause {
        Some(pause) => sleep(pause).await,
        None => std::future::pending().await,
    }
}

fn files(listing: &Listing) -> BTreeMap<String, File> {
    let file = |(path, file): (&String, &crate::source::SourceFile)| {
        let environment = file.environment.clone();
        let text = file.text.clone();
        (
            path.clone(),
            File {
                environment,
                text,
                commit: None,
            },
        )
    };
    listing.files.iter().map(file).collect()
}

fn refused(listing: &Listing) -> BTreeMap<String, Outcome> {
    let outcome = |(path, (reason, message)): (&String, &(Reason, String))| {
        (
            path.clone(),
            Outcome::new(*reason, format!("{path}: {message}")),
        )
    };
    listing.refused.iter().map(outcome).collect()
}

fn panicked(directory: &Directory) -> SourceError {
    SourceError::Unstable {
        path: directory.root().display().to_string(),
    }
}

/// One line for people: how many are mirrored, and what is wrong with the others.
fn summary(mirrored: usize, troubles: &BTreeMap<String, Outcome>) -> String {
    let shown: Vec<_> = troubles
        .iter()
        .take(SHOWN)
        .map(|(path, outcome)| format!("{path} {}", outcome.reason))
        .collect();
    let more = troubles.len().saturating_sub(SHOWN);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    match shown.as_slice() {
        [] => format!("{mirrored} mirrored"),
        shown => format!("{mirrored} mirrored; not: {}{more}", shown.join(", ")),
    }
}
