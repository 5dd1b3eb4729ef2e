//! What the core remembers of one SealedEnv between two steps.
//!
//! All of it can be lost at any moment: the cluster and the record say everything that matters, and
//! what is kept here only saves looking again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::conditions::{ConditionKind, Status, TargetState};
use super::desired::Desired;
use super::effect::{DocumentSeen, Effect, Failure, Look};
use super::flight;
use super::record::{RecordSeen, Word};
use super::snapshot::{JobSeen, ObjectId, ObjectSeen, PodsSeen, Seen, Version, Workload};
use crate::digest::Digest;
use crate::env::WorkloadRef;
use crate::reason::Reason;

/// Whose state it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Name of the SealedEnv, which is the app.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its environment.
    pub environment: String,
}

/// State of one SealedEnv. Starts with [`State::new`]; only [`super::step`] changes it.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) owner: Owner,
    /// As it was last written, or read at the start.
    pub(super) status: Status,
    pub(super) document: Option<DocumentSeen>,
    pub(super) record: Seen<RecordSeen>,
    /// The status says that no pass has ever ended. Then nothing should be there, and the record is made
    /// without a look: its guard refuses where that is wrong.
    pub(super) untouched: bool,
    pub(super) objects: BTreeMap<ObjectId, Seen<ObjectSeen>>,
    /// Objects that must be compared with the cluster again.
    pub(super) look_again: BTreeSet<ObjectId>,
    /// Objects that this process created and has not changed since.
    pub(super) fresh: BTreeSet<ObjectId>,
    /// `None` until the first list has arrived.
    pub(super) workloads: Option<BTreeMap<WorkloadRef, Workload>>,
    pub(super) pods: BTreeMap<WorkloadRef, PodsSeen>,
    /// `None` until the first list has arrived.
    pub(super) jobs: Option<BTreeMap<String, JobSeen>>,
    /// A Job that was made or changed and not seen since.
    pub(super) job_doubt: Option<String>,
    /// Name of the Job that was read from the API server and not there.
    pub(super) job_absent: Option<String>,
    pub(super) word: Option<(String, Word)>,
    pub(super) credentials: Seen<ObjectSeen>,
    pub(super) wave: Wave,
    /// Workloads that are being rolled for any content.
    pub(super) in_flight: BTreeMap<WorkloadRef, Flight>,
    /// When an object was changed last.
    pub(super) last_change: Option<Duration>,
    /// What was asked of the shell and is not answered yet.
    pub(super) under_way: Option<UnderWay>,
    /// Stages that failed and wait before they try again.
    pub(super) troubles: BTreeMap<ConditionKind, Trouble>,
    /// Objects that seald may not delete.
    pub(super) not_prunable: BTreeSet<ObjectId>,
    /// Workloads whose stamp was refused as out of date, and when to try again.
    pub(super) stamp_after: BTreeMap<WorkloadRef, Duration>,
    /// Names of keys that were changed since the last report.
    pub(super) changed: BTreeSet<String>,
    /// Objects taken over since the last report.
    pub(super) adopted: BTreeSet<ObjectId>,
    /// Objects that were restored since the last report.
    pub(super) drifted: BTreeSet<ObjectId>,
    /// Objects deleted since the last report.
    pub(super) pruned: BTreeSet<ObjectId>,
    /// Workloads stamped since the last report.
    pub(super) triggered: BTreeSet<WorkloadRef>,
    /// Start of the pass under way.
    pub(super) pass_started: Option<Duration>,
    /// When the status was written last.
    pub(super) reported: Option<Duration>,
    /// How often writes of the same pass were out of date.
    pub(super) stale: u32,
}

/// What the shell is doing for this SealedEnv.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum UnderWay {
    Look(Look),
    Act(Effect),
}

/// The workloads rolled for one content.
#[derive(Debug, Clone, Default)]
pub(super) struct Wave {
    pub(super) content: Option<Digest>,
    pub(super) members: BTreeMap<WorkloadRef, Member>,
}

/// A rollout that counts towards the limit over all SealedEnvs.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    /// Version that was stamped: older views of the workload are ignored.
    pub(super) version: Version,
    pub(super) since: Duration,
}

/// A workload in a wave.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// Version that the stamp returned: older views of the workload are ignored.
    pub(super) version: Version,
    pub(super) since: Duration,
    pub(super) complete: bool,
    /// Whether this process rolled it for the content of the wave. Only such a one can prove it; others
    /// are followed because they were being rolled already.
    pub(super) stamped: bool,
}

/// A stage that failed.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) failure: Failure,
    pub(super) attempts: u32,
    pub(super) until: Duration,
}

impl State {
    /// Whether the status says that the object was in place with this content: writing it again means
    /// that somebody else has changed or deleted it.
    #[must_use]
    pub fn was_in_place(&self, id: &ObjectId, content: Digest) -> bool {
        self.status.targets.iter().any(|target| {
            target.id == *id
                && target.state == TargetState::Applied
                && target.content_hash == Some(content)
        })
    }

    /// The state of a SealedEnv that this process sees first, with the status that it carries.
    #[must_use]
    pub fn new(owner: Owner, status: Status) -> Self {
        Self {
            owner,
            untouched: status.conditions.is_empty() && status.targets.is_empty(),
            status,
            document: None,
            record: Seen::Unknown,
            objects: BTreeMap::new(),
            look_again: BTreeSet::new(),
            fresh: BTreeSet::new(),
            workloads: None,
            pods: BTreeMap::new(),
            jobs: None,
            job_doubt: None,
            job_absent: None,
            word: None,
            credentials: Seen::Unknown,
            wave: Wave::default(),
            in_flight: BTreeMap::new(),
            last_change: None,
            under_way: None,
            troubles: BTreeMap::new(),
            not_prunable: BTreeSet::new(),
            stamp_after: BTreeMap::new(),
            changed: BTreeSet::new(),
            adopted: BTreeSet::new(),
            drifted: BTreeSet::new(),
            pruned: BTreeSet::new(),
            triggered: BTreeSet::new(),
            pass_started: None,
            reported: None,
            stale: 0,
        }
    }

    /// The status as it was last written.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// How many rollouts it has in flight, those included that it has asked for and not heard of. `None`
    /// while it does not know its workloads.
    #[must_use]
    pub fn in_flight(&self) -> Option<usize> {
        flight::count(self)
    }

    /// How many more rollouts the next step may begin at most; [`super::Context::slots`] need not be more.
    #[must_use]
    pub fn wanted_slots(&self) -> usize {
        self.desired()
            .map_or(1, |desired| usize::from(desired.workloads.parallel).max(1))
    }

    /// How many workloads of its wave are being rolled.
    pub(super) fn rolling(&self) -> usize {
        self.wave
            .members
            .values()
            .filter(|member| !member.complete)
            .count()
    }

    /// Whether the shell still owes an answer.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// What the document asks for, when it was resolved.
    #[must_use]
    pub fn desired(&self) -> Option<&Desired> {
        Some(&self.document.as_ref()?.resolved.as_ref().ok()?.desired)
    }

    /// The reason of `Ready`, for metrics.
    #[must_use]
    pub fn ready(&self) -> Option<Reason> {
        let ready =
            |condition: &&super::conditions::Condition| condition.kind == ConditionKind::Ready;
        self.status
            .conditions
            .iter()
            .find(ready)
            .map(|condition| condition.reason)
    }
}
