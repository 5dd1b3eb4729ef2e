//! What goes into the core and what comes out: events, effects, answers.
//!
//! The shell turns observations into [`Event`]s, performs [`Effect`]s in the order in which they come,
//! and answers each mutating one with exactly one [`Event::Answer`]. At most one mutating effect of a
//! SealedEnv is under way at a time; a wave of stamps counts as one, since its requests go to different
//! workloads and do not depend on each other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::conditions::Status;
use super::desired::Desired;
use super::record::{Record, RecordSeen, Word};
use super::snapshot::{JobSeen, ObjectId, ObjectSeen, PodsSeen, Seen, Version, Workload};
use crate::digest::Digest;
use crate::env::WorkloadRef;
use crate::reason::Reason;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The SealedEnv was observed and its document resolved.
    Document(Box<DocumentSeen>),
    /// What [`Effect::Observe`] asked for.
    Observed(Box<Observation>),
    /// A workload of the namespace that may read our objects changed, or is gone. Ignored before the
    /// first [`Event::Workloads`].
    Workload(WorkloadRef, Option<Box<Workload>>),
    /// All workloads of the namespace that may read our objects: replaces what was known.
    Workloads(BTreeMap<WorkloadRef, Workload>),
    /// A Job of this SealedEnv, or one that the superuser waits for, changed or is gone.
    Job(String, Option<Box<JobSeen>>),
    /// All Jobs of this SealedEnv, and the one that the superuser waits for: replaces what was known. No
    /// Job is made before the first of these.
    Jobs(BTreeMap<String, JobSeen>),
    /// The answer to the mutating effect under way.
    Answer(Answer),
    /// Compare everything with the cluster again: the resync timer.
    Resync,
    /// The API server answers again: what failed may be tried at once.
    Reconnected,
    /// Time has passed.
    Tick,
}

/// A SealedEnv as the shell has read it.
#[derive(Debug, Clone)]
pub struct DocumentSeen {
    /// `metadata.generation`.
    pub generation: i64,
    /// `spec.suspend`.
    pub suspend: bool,
    /// How it ends.
    pub life: Life,
    /// Annotation `sealctl.dev/commit`.
    pub commit: Option<String>,
    /// Annotation `sealctl.dev/requested-at`.
    pub requested_at: Option<String>,
    /// Annotation `sealctl.dev/bootstrap-id`.
    pub bootstrap_id: Option<String>,
    /// How the document reached the cluster: `Fetched` or `External`, or why not.
    pub source: Outcome,
    /// What the stage *resolve* said.
    pub resolved: Result<Resolution, Refused>,
}

/// How a SealedEnv ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Life {
    /// `spec.deletionPolicy: Delete`: what it wrote is deleted with it.
    pub takes_objects: bool,
    /// Whether it carries seald's finalizer.
    pub held: bool,
    /// Whether its deletion has begun.
    pub deleting: bool,
}

impl Life {
    /// Whether it is being deleted and seald has nothing more to do with it.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.deleting && !self.held
    }
}

/// A document that was resolved.
#[derive(Debug, Clone)]
pub struct Resolution {
    /// What should exist.
    pub desired: Arc<Desired>,
    /// Outcome of the verification: `Verified`, `NotRequired`, or what policy `warn` lets pass.
    pub verified: Outcome,
    /// Whether the policy refuses a revision lower than the highest one applied.
    pub forward_only: bool,
}

/// A document that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The condition that it fails.
    pub stage: Stage,
    /// Why.
    pub outcome: Outcome,
    /// Revision of its seal, when that could be read.
    pub revision: Option<u64>,
    /// Outcome of the verification, when the document failed after it.
    pub verified: Option<Outcome>,
}

/// The stage at which a document was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Seal, revision, target.
    Verified,
    /// Data key, MAC, grammar.
    Decrypted,
}

/// A reason with one sentence about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Why.
    pub reason: Reason,
    /// One sentence with names, never a value.
    pub message: String,
}

impl Outcome {
    /// A reason with its sentence.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

/// What the shell has read.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// The record, when it was asked for.
    pub record: Option<Seen<RecordSeen>>,
    /// Objects that were asked for.
    pub objects: BTreeMap<ObjectId, Seen<ObjectSeen>>,
    /// Pods of workloads that were asked for.
    pub pods: BTreeMap<WorkloadRef, PodsSeen>,
    /// The superuser Job that was asked for, read from the API server and not from a watch.
    pub job: Option<(String, Seen<JobSeen>)>,
    /// The Job's word, when it was asked for.
    pub word: Option<Word>,
    /// The credentials Secret, when it was asked for (metadata only).
    pub credentials: Option<Seen<ObjectSeen>>,
    /// Desired state under the digest key that was read, when it differs from the former one.
    pub desired: Option<Arc<Desired>>,
    /// Why something could not be read; what could be is in the other fields.
    pub failure: Option<Failure>,
}

/// What the core wants to look at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    /// The state Secret.
    pub record: bool,
    /// These objects.
    pub objects: BTreeMap<ObjectId, Depth>,
    /// Start of the containers of these workloads (label selector).
    pub pods: BTreeMap<WorkloadRef, String>,
    /// The superuser Job of this name.
    pub job: Option<String>,
    /// The termination message of the pods of this Job.
    pub word: Option<String>,
    /// The credentials Secret.
    pub credentials: bool,
}

/// How much of an object is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Metadata of an object that should not be there: absent is what some moment in the past says, and a
    /// write that relies on it is guarded. What is there is read as it is now.
    Absence,
    /// Metadata.
    Metadata,
    /// Everything; values become keyed digests at once.
    Content,
}

/// What the shell is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Read; answered by [`Event::Observed`].
    Observe(Look),
    /// Write the state Secret.
    WriteRecord {
        /// Its new content.
        record: Record,
        /// Guard.
        guard: Guard,
    },
    /// Apply an object with the content of the document.
    ApplyObject {
        /// Which one.
        id: ObjectId,
        /// Digest of the content that it gets ([`DesiredObject::content`](super::desired::DesiredObject)).
        /// A shell that holds another content by now writes nothing and answers
        /// [`FailureKind::Stale`].
        content: Digest,
        /// Guard.
        guard: Guard,
        /// Keys that somebody else has added, to be removed after the apply.
        remove: Vec<String>,
    },
    /// Delete an object that the document no longer asks for.
    DeleteObject {
        /// Which one.
        id: ObjectId,
        /// Guard.
        version: Version,
    },
    /// Write the marker on pod templates, all at once.
    Stamp(Vec<Stamp>),
    /// Write the Secret with the superuser's credentials.
    WriteCredentials {
        /// Digest of what it gets ([`DesiredSuperuser::credentials`](super::desired::DesiredSuperuser)).
        /// A shell that holds others by now writes nothing and answers [`FailureKind::Stale`].
        credentials: Digest,
        /// Guard.
        guard: Guard,
    },
    /// Delete the Secret with the superuser's credentials.
    DeleteCredentials(Version),
    /// Create the superuser Job. "Already exists" is success.
    CreateJob {
        /// Id of the run.
        id: String,
        /// The workload that is cloned.
        from: WorkloadRef,
    },
    /// Take seald's finalizer off a Job.
    ReleaseJob {
        /// Its name.
        name: String,
        /// Guard.
        version: Version,
    },
    /// Delete a Job. While it carries a finalizer, that only begins.
    DeleteJob {
        /// Its name.
        name: String,
        /// Guard.
        version: Version,
    },
    /// Delete the state Secret, when this very SealedEnv wrote it.
    DeleteRecord,
    /// Put seald's finalizer on the SealedEnv, or take it off.
    WriteFinalizer {
        /// Whether it is to be there.
        present: bool,
    },
    /// Write the status.
    WriteStatus(Box<Status>),
    /// Send an Event. Never answered.
    Emit(Note),
    /// Call again with [`Event::Tick`] after this long, unless something happens before. Never answered.
    Wake(Duration),
}

/// One marker to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Which workload.
    pub workload: WorkloadRef,
    /// Guard.
    pub version: Version,
    /// Digest over what it reads.
    pub marker: Digest,
}

/// What must hold for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// Nothing of that name exists.
    Create,
    /// It is this very version.
    Update(Version),
}

/// An Event for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// `Warning` or `Normal`.
    pub warning: bool,
    /// The reason: one of conditions, or `KeysChanged`, `RolloutTriggered` and the like.
    pub reason: String,
    /// What was being done.
    pub action: Action,
    /// Names only, never a value.
    pub text: String,
}

/// What was being done when an Event was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Reading, verifying, decrypting, checking.
    Resolve,
    /// Writing objects.
    Apply,
    /// Deleting objects.
    Prune,
    /// Rolling workloads.
    Restart,
    /// Creating the superuser.
    Bootstrap,
}

impl Action {
    /// The word in an Event.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "Resolve",
            Self::Apply => "Apply",
            Self::Prune => "Prune",
            Self::Restart => "Restart",
            Self::Bootstrap => "Bootstrap",
        }
    }
}

/// The outcome of a mutating effect.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Done.
    Wrote {
        /// The version that the API server returned.
        version: Version,
        /// When the field manager `seald` changed it last, as the API server returned it.
        changed_at: Option<Timestamp>,
    },
    /// Done, and the thing is gone.
    Deleted,
    /// The outcomes of a wave, one for each stamp.
    Stamped(Vec<(WorkloadRef, Result<Version, Failure>)>),
    /// Not done, or not known to be done.
    Failed(Failure),
}

/// Why a request did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What follows from it.
    pub kind: FailureKind,
    /// Why, and one sentence with names only.
    pub outcome: Outcome,
    /// How long the API server asked to wait.
    pub retry_after: Option<Duration>,
}

/// What follows from a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// What was seen is out of date (409, wrong UID, gone): look again, then decide.
    Stale,
    /// Transient, or the outcome is not known: look again after a pause.
    Transient,
    /// The API server will say the same again until a person acts.
    Refused,
}
