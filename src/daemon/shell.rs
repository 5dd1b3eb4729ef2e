//! What every reconciler of one process shares: the way out, identities, policy, time.

#[cfg(test)]
pub(super) mod scripted;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::config::Config;
use super::index::Index;
use super::report::Managed;
use super::shared::{Claims, Key, Slots, Tally};
use crate::cluster::client::Requests;
use crate::cluster::events::Events;
use crate::cluster::lease::Leadership;
use crate::cluster::mirror::Sources;
use crate::telemetry::metrics::Metrics;

/// The shared parts. One for each term of leadership.
pub(super) struct Shell {
    /// Flags, checked.
    pub(super) config: Arc<Config>,
    /// The way to the API server.
    pub(super) requests: Requests,
    /// Whether this process may write.
    pub(super) leadership: watch::Receiver<Leadership>,
    /// Turns true when the process is asked to stop.
    pub(super) stopping: watch::Receiver<bool>,
    /// Takes Events.
    pub(super) events: Events,
    /// What the watches have seen.
    pub(super) index: Index,
    /// How the documents reached the cluster.
    pub(super) sources: Sources,
    /// Places for rollouts.
    pub(super) slots: Slots,
    /// How many objects are in place.
    pub(super) managed: Managed,
    /// Workloads that wait for their turn.
    pub(super) pending: Tally,
    /// Claims on objects.
    pub(super) claims: Claims,
    /// Places for SealedEnvs at work: as many as there may be requests in flight. More would only wait
    /// longer, each with its plaintext in memory.
    pub(super) working: Arc<Semaphore>,
    /// Bounds the decrypting to the processors.
    pub(super) resolving: Semaphore,
    /// Numbers.
    pub(super) metrics: Metrics,
}

impl Shell {
    /// Whether an effect may be started now: this process leads and is not stopping.
    pub(super) fn may_write(&self) -> bool {
        !*self.stopping.borrow() && self.leadership.borrow().holds()
    }

    /// Says how many workloads of one SealedEnv wait for their turn.
    pub(super) fn show_pending(&self, key: &Key, count: usize) {
        let sum = self.pending.set(key, count);
        self.metrics
            .rollouts_pending
            .set(i64::try_from(sum).unwrap_or(i64::MAX));
    }

    /// Frees what a SealedEnv held.
    pub(super) fn release(&self, key: &Key) {
        self.slots.report(key, 0);
        self.show_pending(key, 0);
        self.claims.release(key);
        self.managed.forget(&self.metrics, key);
    }
}

/// A full pass over every SealedEnv this often, a tenth more or less.
pub(super) const RESYNC: Duration = Duration::from_mins(5);
