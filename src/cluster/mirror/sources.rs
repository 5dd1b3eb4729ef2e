//! What the mirror and the passes over SealedEnvs tell each other: which SealedEnvs exist, and what
//! is wrong with the files behind them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::Key;
use crate::cluster::scope::Scope;
use crate::cluster::sealed_env::SealedEnvSeen;
use crate::cluster::watch::{SealedEnvChange, Watched};
use crate::digest::Digest;
use crate::plan::effect::Outcome;
use crate::reason::Reason;

/// What the mirror keeps of a SealedEnv.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// Its UID.
    pub uid: String,
    /// Its version.
    pub resource_version: String,
    /// Its environment.
    pub environment: String,
    /// Path of the file that it mirrors; none when somebody else applies it.
    pub source_path: Option<String>,
    /// Digest of its document.
    pub document: Digest,
    /// Commit that it was mirrored from.
    pub commit: Option<String>,
    /// Whether its deletion has begun.
    pub deleting: bool,
    /// Revision that is in place.
    pub revision: Option<u64>,
    /// Revision for which a deletion was confirmed.
    pub confirmed: Option<String>,
}

impl Existing {
    /// Whether a person has said that this very state may go.
    #[must_use]
    pub fn is_deletion_confirmed(&self) -> bool {
        let revision = self.revision.map(|revision| revision.to_string());
        self.confirmed.is_some() && self.confirmed == revision
    }

    fn of(seen: &SealedEnvSeen) -> Self {
        Self {
            uid: seen.scope.uid.clone(),
            resource_version: seen.resource_version.clone(),
            environment: seen.scope.environment.clone(),
            source_path: seen.source_path.clone(),
            document: Digest::combine([seen.document.as_bytes()]),
            commit: seen.commit.clone(),
            deleting: seen.deleting,
            revision: seen.status.last_applied_revision,
            confirmed: seen.confirm_deletion.clone(),
        }
    }
}

/// Shared between the mirror and the rest. Clones are the same.
#[derive(Clone)]
pub struct Sources {
    state: Arc<Mutex<State>>,
    outcomes: Arc<Notify>,
    sealed_envs: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    /// Whether files are mirrored at all.
    mirrors: bool,
    /// Why the source as a whole cannot be read.
    unreadable: Option<Outcome>,
    troubles: BTreeMap<String, Outcome>,
    existing: BTreeMap<Key, Existing>,
    /// Collections that were listed completely at least once.
    listed: BTreeSet<(String, Option<String>)>,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            state: Arc::default(),
            outcomes: Arc::default(),
            sealed_envs: watch::Sender::new(()),
        }
    }
}

impl Sources {
    /// How the document of a SealedEnv reached the cluster: `Fetched`, `External`, or why not.
    #[must_use]
    pub fn outcome(&self, _scope: &Scope, source_path: Option<&str>) -> Outcome {
        let state = self.lock();
        match source_path {
            Some(path) if state.mirrors => state
                .troubles
                .get(path)
                .or(state.unreadable.as_ref())
                .cloned()
                .unwrap_or_else(|| Outcome::new(Reason::Fetched, format!("read from {path}"))),
            _ => Outcome::new(Reason::External, "somebody else applies the SealedEnv"),
        }
    }

    /// Waits until an outcome may have changed since the last call. For one who waits.
    pub async fn changed(&self) {
        self.outcomes.notified().await;
    }

    /// Files that are not mirrored as they are: path and why.
    #[must_use]
    pub fn troubles(&self) -> BTreeMap<String, Outcome> {
        self.lock().troubles.clone()
    }

    /// Takes note of what a watch saw. To be called for everything that is watched.
    pub fn saw(&self, watched: &Watched) {
        let Watched::SealedEnv {
            environment,
            namespace,
            change,
        } = watched
        else {
            return;
        };
        let is_news = {
            let mut state = self.lock();
            match change {
                SealedEnvChange::Put(seen) => state.put(Existing::of(seen), &seen.scope),
                SealedEnvChange::Gone { namespace, name } => state
                    .existing
                    .remove(&(namespace.clone(), name.clone()))
                    .is_some(),
                SealedEnvChange::Listed(names) => {
                    let collection = (environment.to_string(), namespace.clone());
                    state.keep_only(&collection, names);
                    state.listed.insert(collection);
                    true
                }
            }
        };
        if is_news {
            self.sealed_envs.send_replace(());
        }
    }

    /// Says that files are mirrored from now on.
    pub fn start(&self) {
        self.lock().mirrors = true;
        self.outcomes.notify_one();
    }

    /// Wakes the mirror when SealedEnvs have changed in a way that matters to it.
    #[must_use]
    pub fn sealed_envs_changed(&self) -> watch::Receiver<()> {
        self.sealed_envs.subscribe()
    }

    /// All SealedEnvs, once `collections` lists are complete; before that nothing can be planned.
    #[must_use]
    pub fn existing(&self, collections: usize) -> Option<BTreeMap<Key, Existing>> {
        let state = self.lock();
        (state.listed.len() >= collections).then(|| state.existing.clone())
    }

    /// Takes over what the last look found; `unreadable` when the source could not be read at all, and
    /// then nothing else is concluded.
    pub fn report(&self, troubles: Option<BTreeMap<String, Outcome>>, unreadable: Option<Outcome>) {
        let mut state = self.lock();
        let is_news = state.unreadable != unreadable
            || troubles
                .as_ref()
                .is_some_and(|troubles| *troubles != state.troubles);
        state.unreadable = unreadable;
        if let Some(troubles) = troubles {
            state.troubles = troubles;
        }
        drop(state);
        if is_news {
            self.outcomes.notify_one();
        }
    }

    /// Notes what was written, before the watch tells.
    pub(super) fn wrote(&self, key: &Key, existing: Existing) {
        self.lock().existing.insert(key.clone(), existing);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether more changed than version and status.
    fn put(&mut self, existing: Existing, scope: &Scope) -> bool {
        let key = (scope.namespace.clone(), scope.name.clone());
        let former = self.existing.insert(key, existing.clone());
        former.is_none_or(|former| {
            let resource_version = former.resource_version.clone();
            let revision = former.revision;
            Existing {
                resource_version,
                revision,
                ..existing
            } != former
        })
    }

    /// Drops those of a collection that a complete list no longer holds.
    fn keep_only(&mut self, collection: &(String, Option<String>), names: &BTreeSet<Key>) {
        let (environment, namespace) = collection;
        self.existing.retain(|key, seen| {
            let listed = seen.environment == *environment
                && namespace
                    .as_ref()
                    .is_none_or(|namespace| *namespace == key.0);
            !listed || names.contains(key)
        });
    }
}
