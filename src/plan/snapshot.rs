//! What was seen in the cluster, as extracts: names, owners, versions, keyed digests, counts.
//!
//! Never a value and never a whole object. The edge fills these in; the planner only reads them. All
//! names are those of one namespace, that of the SealedEnv.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use crate::digest::Digest;
use crate::env::{ObjectKind, WorkloadRef};

/// A ConfigMap or Secret by kind and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// ConfigMap or Secret.
    pub kind: ObjectKind,
    /// Its name. Names in pod templates are whatever somebody wrote, so this is plain text.
    pub name: String,
}

impl fmt::Display for ObjectId {
    /// `Secret/polls-secrets`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.kind, self.name)
    }
}

/// What is known of something that may exist.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Seen<T> {
    /// Not looked at yet, or known to be out of date.
    #[default]
    Unknown,
    /// It was not there.
    Absent,
    /// It was there.
    Present(T),
}

impl<T> Seen<T> {
    /// The thing itself, when it is known to exist.
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(thing) => Some(thing),
            Self::Unknown | Self::Absent => None,
        }
    }
}

/// An object version to guard a write with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource: String,
}

/// A ConfigMap or Secret that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectSeen {
    /// Guard for the next write.
    pub version: Version,
    /// Label `sealctl.dev/owner`.
    pub owner: Option<String>,
    /// Annotation `sealctl.dev/owner-uid`.
    pub owner_uid: Option<String>,
    /// Label `sealctl.dev/env`.
    pub environment: Option<String>,
    /// Annotation `sealctl.dev/adopt`.
    pub adopt: Option<String>,
    /// Annotation `sealctl.dev/content-hash`, when it is a digest.
    pub content: Option<Digest>,
    /// Whether the field manager `seald` owns its data (managedFields).
    pub managed: bool,
    /// When the field manager `seald` last changed it (managedFields).
    pub changed_at: Option<Timestamp>,
    /// When others changed its data and seald has not yet put it right: the earliest that managedFields
    /// tell, which keep only the last change of each manager.
    pub disturbed_at: Option<Timestamp>,
    /// Whether its annotation `sealctl.dev/prune` says `"false"`: never deleted by seald.
    pub keep: bool,
    /// Whether it is marked immutable.
    pub immutable: bool,
    /// Type of a Secret; empty for a ConfigMap, or when only metadata was read.
    pub secret_type: String,
    /// Keyed digest of each value, under the digest key of this SealedEnv. `None` when only metadata
    /// was read.
    pub keys: Option<BTreeMap<String, Digest>>,
    /// Keys of its data that the field manager `seald` does not own: server-side apply leaves them, so
    /// they are removed by name. Empty when only metadata was read.
    pub foreign_keys: BTreeSet<String>,
}

/// A workload that reads, or may read, what is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Kind and name.
    pub id: WorkloadRef,
    /// Guard for a stamp.
    pub version: Version,
    /// `metadata.generation`.
    pub generation: i64,
    /// `status.observedGeneration`.
    pub observed_generation: i64,
    /// Everything that its pod template reads of ConfigMaps and Secrets: env, envFrom, volumes,
    /// projected volumes; init containers and sidecars included, `imagePullSecrets` not.
    pub references: Vec<Reference>,
    /// Markers on the pod template: name of the SealedEnv → text of the annotation.
    pub markers: BTreeMap<String, String>,
    /// `spec.paused`.
    pub paused: bool,
    /// Whether pods change only when somebody deletes them (update strategy `OnDelete`).
    pub on_delete: bool,
    /// Why it asks not to be restarted, such as its own annotation or another restarter's.
    pub opted_out: Option<String>,
    /// Label selector of its pods, as text.
    pub selector: String,
    /// Wanted replicas (for a DaemonSet: nodes).
    pub desired: i32,
    /// Replicas of the current template.
    pub updated: i32,
    /// Ready replicas.
    pub ready: i32,
    /// Available replicas.
    pub available: i32,
    /// All replicas, old ones included.
    pub total: i32,
    /// Reason of a reported failure, such as `ProgressDeadlineExceeded`.
    pub failed: Option<String>,
}

impl Workload {
    /// Whether every replica runs the current template and is available.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.observed_generation >= self.generation
            && self.updated >= self.desired
            && self.available >= self.desired
            && self.total <= self.updated
    }

    /// The failure that it reports for its current template.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        let observed = self.observed_generation >= self.generation;
        self.failed.as_deref().filter(|_| observed)
    }

    /// Whether its rollout is over, well or badly.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.is_complete() || self.failure().is_some()
    }
}

/// One place in a pod template that reads a ConfigMap or Secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// What it reads.
    pub object: ObjectId,
    /// One key of it, or all (`envFrom`, a volume without `items`).
    pub key: Option<String>,
    /// Whether the pod starts without it.
    pub optional: bool,
}

/// What is known of the pods of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodsSeen {
    /// When their containers have started, init containers included, in whole seconds. The Unix epoch
    /// stands for a moment that is not known.
    pub starts: BTreeSet<Timestamp>,
}

/// A superuser Job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSeen {
    /// Its name.
    pub name: String,
    /// Guard.
    pub version: Version,
    /// Label `sealctl.dev/owner`.
    pub owner: Option<String>,
    /// Annotation `sealctl.dev/owner-uid`.
    pub owner_uid: Option<String>,
    /// Annotation `sealctl.dev/bootstrap-id`.
    pub bootstrap_id: Option<String>,
    /// Where it stands.
    pub state: JobState,
    /// Whether it carries seald's finalizer.
    pub held: bool,
    /// Whether somebody has asked for its deletion.
    pub deleting: bool,
}

/// Where a Job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// Not ended.
    Running,
    /// Complete.
    Succeeded,
    /// Failed, with the reason that Kubernetes gives, such as `BackoffLimitExceeded`.
    Failed(String),
}
