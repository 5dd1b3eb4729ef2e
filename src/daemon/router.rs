//! Distributes what the watches see: one reconciler per SealedEnv, told only of what concerns it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::JoinSet;
use tracing::warn;

use super::desks::Desks;
use super::interest::Interest;
use super::reconcile::{Notice, Reconciler};
use super::shared::Key;
use super::shell::Shell;
use crate::cluster::error::{ApiError, Class};
use crate::cluster::kind::Kind;
use crate::cluster::sealed_env::SealedEnvSeen;
use crate::cluster::watch::{Change, SealedEnvChange, Watched};
use crate::env::{WorkloadKind, WorkloadRef};
use crate::plan::snapshot::{JobSeen, Workload};
use crate::reason::Reason;
use crate::telemetry::health::Checks;

/// The router of one term of leadership. It owns the reconcilers: dropping it ends them at their next
/// pause, [`Router::stop`] waits for them.
pub(super) struct Router {
    shell: Arc<Shell>,
    reconcilers: BTreeMap<Key, Handle>,
    tasks: JoinSet<()>,
    desks: Desks,
    /// Which collections have been listed; reconcilers start when all have.
    missing: BTreeSet<Collection>,
    /// SealedEnvs seen before that.
    early: BTreeMap<Key, Box<SealedEnvSeen>>,
    /// Watches that do not work, and why.
    failing: BTreeMap<(Kind, Option<String>), String>,
    checks: Checks,
}

/// A collection that is watched: kind, and namespace where watches are by namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Collection {
    Workloads(WorkloadKind, Option<String>),
    Jobs(Option<String>),
}

struct Handle {
    uid: String,
    environment: String,
    inbox: UnboundedSender<Notice>,
    interest: Arc<RwLock<Interest>>,
}

impl Router {
    /// A router that starts reconcilers once everything in `collections` has been listed.
    pub(super) fn new(
        shell: Arc<Shell>,
        collections: BTreeSet<Collection>,
        checks: Checks,
    ) -> Self {
        Self {
            shell,
            reconcilers: BTreeMap::new(),
            tasks: JoinSet::new(),
            desks: Desks::default(),
            missing: collections,
            early: BTreeMap::new(),
            failing: BTreeMap::new(),
            checks,
        }
    }

    /// Takes one thing that a watch has seen.
    pub(super) fn take(&mut self, watched: Watched) {
        match watched {
            Watched::SealedEnv {
                environment,
                namespace,
                change,
            } => match change {
                SealedEnvChange::Put(seen) => self.put_sealed_env(seen),
                SealedEnvChange::Gone { namespace, name } => self.forget(&(namespace, name)),
                SealedEnvChange::Listed(names) => {
                    self.forget_unlisted(environment.as_str(), namespace.as_deref(), &names);
                }
            },
            Watched::Workload {
                namespace,
                kind,
                change,
            } => {
                self.take_workload(namespace, kind, change);
            }
            Watched::Job { namespace, change } => self.take_job(namespace, change),
            Watched::Unreadable(place) => warn!(%place, "Object cannot be read and is left alone"),
            Watched::Failing {
                kind,
                namespace,
                error,
            } => self.watch_fails(kind, namespace, &error),
            Watched::Recovered { kind, namespace } => self.watch_works(kind, namespace),
        }
    }

    /// Tells the reconcilers that how documents reach the cluster may have changed.
    pub(super) fn source_changed(&self) {
        self.tell_all(|| Notice::Source);
    }

    /// Takes back the tasks that have ended.
    pub(super) fn reap(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        self.desks.tidy();
    }

    /// Whether all collections have been listed.
    pub(super) fn is_synced(&self) -> bool {
        self.missing.is_empty()
    }

    /// Ends all reconcilers after their present step, and waits for them.
    pub(super) async fn stop(mut self) {
        self.reconcilers.clear();
        while self.tasks.join_next().await.is_some() {}
    }

    /// A watch does not work: readiness says which and why.
    fn watch_fails(&mut self, kind: Kind, namespace: Option<String>, error: &ApiError) {
        warn!(kind = kind.name(), %error, "Watch failed");
        let reason = match error.class {
            Class::KindMissing => Reason::CrdMissing,
            _ => error.reason(),
        };
        self.failing
            .insert((kind, namespace), format!("{reason}: {error}"));
        self.show_failing();
    }

    /// A watch works again, so the API server answers: what failed may be tried at once.
    fn watch_works(&mut self, kind: Kind, namespace: Option<String>) {
        self.failing.remove(&(kind, namespace));
        self.show_failing();
        self.tell_all(|| Notice::Reconnected);
    }

    fn show_failing(&self) {
        let failing = self.failing.values().next();
        self.checks
            .set("watches", failing.map_or(Ok(()), |why| Err(why.clone())));
    }

    fn put_sealed_env(&mut self, seen: Box<SealedEnvSeen>) {
        let key = key_of(&seen);
        if !self.missing.is_empty() {
            self.early.insert(key, seen);
            return;
        }
        let known = self
            .reconcilers
            .get(&key)
            .is_some_and(|handle| handle.uid == seen.scope.uid && !handle.inbox.is_closed());
        if !known {
            self.start(key.clone(), &seen);
        }
        if let Some(handle) = self.reconcilers.get(&key) {
            let _ = handle.inbox.send(Notice::Seen(seen));
        }
    }

    fn start(&mut self, key: Key, seen: &SealedEnvSeen) {
        let (inbox, notices) = mpsc::unbounded_channel();
        let interest = Arc::new(RwLock::new(Interest::default()));
        // Boxed, since a task holds what is moved into it more than once.
        let reconciler = Box::new(Reconciler::new(self.shell.clone(), seen, interest.clone()));
        let desk = self.desks.of(&key);
        self.tasks.spawn(async move {
            let _held = desk.lock_owned().await;
            reconciler.run(notices).await;
        });
        let handle = Handle {
            uid: seen.scope.uid.clone(),
            environment: seen.scope.environment.clone(),
            inbox,
            interest,
        };
        self.reconcilers.insert(key, handle);
    }

    /// Drops the SealedEnvs of `environment` that a complete list does not name.
    fn forget_unlisted(
        &mut self,
        environment: &str,
        namespace: Option<&str>,
        names: &BTreeSet<Key>,
    ) {
        let gone: Vec<Key> = self
            .reconcilers
            .iter()
            .filter(|(key, handle)| {
                handle.environment == environment
                    && namespace.is_none_or(|namespace| key.0 == namespace)
                    && !names.contains(*key)
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in &gone {
            self.forget(key);
        }
    }

    fn forget(&mut self, key: &Key) {
        self.early.remove(key);
        self.reconcilers.remove(key);
        self.shell.release(key);
    }

    fn take_workload(
        &mut self,
        namespace: Option<String>,
        kind: WorkloadKind,
        change: Change<(String, Workload)>,
    ) {
        match change {
            Change::Replaced(all) => {
                let touched = self
                    .shell
                    .index
                    .replace_workloads(namespace.as_deref(), kind, all);
                for (key, handle) in &self.reconcilers {
                    if touched.contains(&key.0) {
                        let _ = handle.inbox.send(Notice::Workloads);
                    }
                }
                self.listed(&Collection::Workloads(kind, namespace));
            }
            Change::Put((namespace, workload)) => {
                let id = workload.id.clone();
                let now = workload.clone();
                let before = self.shell.index.put_workload(&namespace, workload);
                self.tell_readers(&namespace, &id, [before, Some(now)].into_iter().flatten());
            }
            Change::Gone { namespace, name } => {
                let Ok(name) = name.parse() else { return };
                let id = WorkloadRef { kind, name };
                let before = self.shell.index.drop_workload(&namespace, &id);
                self.tell_readers(&namespace, &id, before.into_iter());
            }
        }
    }

    fn tell_readers(
        &self,
        namespace: &str,
        id: &WorkloadRef,
        versions: impl Iterator<Item = Workload> + Clone,
    ) {
        for handle in self.in_namespace(namespace) {
            let interest = handle
                .interest
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            if versions
                .clone()
                .any(|workload| interest.is_about(&workload))
            {
                let _ = handle.inbox.send(Notice::Workload(id.clone()));
            }
        }
    }

    fn take_job(&mut self, namespace: Option<String>, change: Change<(String, JobSeen)>) {
        match change {
            Change::Replaced(all) => {
                self.shell.index.replace_jobs(namespace.as_deref(), all);
                self.tell_all(|| Notice::Jobs);
                self.listed(&Collection::Jobs(namespace));
            }
            Change::Put((namespace, job)) => {
                let name = job.name.clone();
                self.shell.index.put_job(&namespace, job.clone());
                for handle in self.in_namespace(&namespace) {
                    let interest = handle
                        .interest
                        .read()
                        .unwrap_or_else(PoisonError::into_inner);
                    if interest.is_about_job(&job) {
                        let _ = handle.inbox.send(Notice::Job(name.clone()));
                    }
                }
            }
            Change::Gone { namespace, name } => {
                self.shell.index.drop_job(&namespace, &name);
                for handle in self.in_namespace(&namespace) {
                    let _ = handle.inbox.send(Notice::Job(name.clone()));
                }
            }
        }
    }

    /// A collection was listed. When all have been, the reconcilers start.
    fn listed(&mut self, collection: &Collection) {
        self.missing.remove(collection);
        if self.missing.is_empty() {
            for seen in std::mem::take(&mut self.early).into_values() {
                self.put_sealed_env(seen);
            }
        }
    }

    fn in_namespace(&self, namespace: &str) -> impl Iterator<Item = &Handle> {
        let first = (namespace.to_owned(), String::new());
        let namespace = namespace.to_owned();
        self.reconcilers
            .range(first..)
            .take_while(move |((space, _), _)| *space == namespace)
            .map(|(_, handle)| handle)
    }

    fn tell_all(&self, notice: impl Fn() -> Notice) {
        for handle in self.reconcilers.values() {
            let _ = handle.inbox.send(notice());
        }
    }
}

fn key_of(seen: &SealedEnvSeen) -> Key {
    (seen.scope.namespace.clone(), seen.scope.name.clone())
}
