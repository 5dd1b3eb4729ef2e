//! The status of a SealedEnv as a value, and how it follows from the stages.
//!
//! Written only when it changes; times are those of transitions. The edge turns it into the fields of
//! the custom resource and back, without adding anything.

use jiff::Timestamp;

use super::effect::Outcome;
use crate::digest::Digest;
use crate::env::WorkloadRef;
use crate::plan::snapshot::ObjectId;
use crate::reason::{Reason, ReasonKind};

/// Everything in `.status`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Status {
    /// Generation of the pass that this status describes; -1 before the first.
    pub observed_generation: i64,
    /// The conditions, ordered by type.
    pub conditions: Vec<Condition>,
    /// Revision of the document that was tried last.
    pub last_attempted_revision: Option<u64>,
    /// Revision of the document that is in place.
    pub last_applied_revision: Option<u64>,
    /// Commit of the document that was tried last.
    pub last_attempted_commit: Option<String>,
    /// Commit of the document that is in place.
    pub last_applied_commit: Option<String>,
    /// Last pass that changed anything and found everything in place.
    pub last_verified_time: Option<Timestamp>,
    /// The request that was handled last.
    pub last_handled_reconcile_at: Option<String>,
    /// Number of values.
    pub keys: Option<usize>,
    /// Digest of everything delivered.
    pub content_hash: Option<Digest>,
    /// The objects.
    pub targets: Vec<Target>,
    /// The workloads that read them, failing ones first, at most 50.
    pub rollouts: Vec<RolloutStatus>,
    /// The superuser run.
    pub bootstrap: Option<BootstrapStatus>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Which one.
    pub kind: ConditionKind,
    /// Whether it holds.
    pub truth: Truth,
    /// Why.
    pub reason: Reason,
    /// One sentence with names, never a value.
    pub message: String,
    /// When `truth` changed last.
    pub since: Timestamp,
    /// Generation that it was found for.
    pub observed_generation: i64,
}

/// Types of conditions, in the order in which `Ready` looks at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionKind {
    /// Summary.
    Ready,
    /// Work in progress, or a retry is due. Present only while true.
    Reconciling,
    /// Will not mend without a person. Present only while true.
    Stalled,
    /// The source was read.
    SourceReady,
    /// Seal, signatures, revision and target are as the policy asks.
    Verified,
    /// Data key unwrapped, MAC right, document valid.
    Decrypted,
    /// Every object is in place.
    Applied,
    /// Every workload that reads them runs the content.
    RolledOut,
    /// The superuser exists, or none is asked for.
    Bootstrapped,
}

impl ConditionKind {
    /// The domain conditions, in the order in which `Ready` looks at them.
    pub const DOMAIN: [Self; 6] = [
        Self::SourceReady,
        Self::Verified,
        Self::Decrypted,
        Self::Applied,
        Self::RolledOut,
        Self::Bootstrapped,
    ];

    /// All types.
    pub const ALL: [Self; 9] = [
        Self::Ready,
        Self::Reconciling,
        Self::Stalled,
        Self::SourceReady,
        Self::Verified,
        Self::Decrypted,
        Self::Applied,
        Self::RolledOut,
        Self::Bootstrapped,
    ];

    /// The type as Kubernetes users read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::SourceReady => "SourceReady",
            Self::Verified => "Verified",
            Self::Decrypted => "Decrypted",
            Self::Applied => "Applied",
            Self::RolledOut => "RolledOut",
            Self::Bootstrapped => "Bootstrapped",
        }
    }
}

/// Status of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Not known yet, or neither.
    Unknown,
}

/// An object in the status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Kind and name.
    pub id: ObjectId,
    /// UID of the object; empty while it does not exist.
    pub uid: String,
    /// Version that our last write returned.
    pub resource_version: String,
    /// Number of keys.
    pub keys: usize,
    /// Digest of its content.
    pub content_hash: Option<Digest>,
    /// Where it stands.
    pub state: TargetState,
}

/// Where an object stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// In place.
    Applied,
    /// To be written, or to be deleted later.
    Pending,
    /// Somebody else's.
    Foreign,
}

/// A workload in the status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutStatus {
    /// Kind and name.
    pub workload: WorkloadRef,
    /// Digest over what it reads.
    pub content_hash: Digest,
    /// Wanted replicas.
    pub desired: i32,
    /// Ready replicas of the current template.
    pub ready: i32,
    /// Where it stands.
    pub state: RolloutState,
    /// Why it failed or was skipped; empty otherwise.
    pub reason: String,
}

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RolloutState {
    /// It failed.
    Failed,
    /// Under way.
    Rolling,
    /// Its turn will come.
    Waiting,
    /// It is left alone.
    Skipped,
    /// Its pods run the content.
    Done,
}

/// The superuser run in the status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapStatus {
    /// Id of the run.
    pub id: String,
    /// Name of the Job.
    pub job: String,
    /// Where it stands.
    pub state: BootstrapState,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// Whether it is the try that the annotation asks for, so that the annotation asks for no other one.
    pub requested: bool,
}

/// Where a superuser run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootstrapState {
    /// For a rollout, migrations or another Job.
    Waiting,
    /// The Job runs.
    Running,
    /// It ended well, and the credentials have left the cluster.
    Done,
    /// The Job failed.
    Failed,
    /// The Job went before its success was seen.
    Lost,
}

/// Outcomes of the domain conditions, in the order of [`ConditionKind::DOMAIN`]. `None` where a stage
/// was not reached: the condition keeps its former value.
pub(super) type Findings = [Option<Finding>; 6];

/// The outcome of one domain condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) truth: Truth,
    pub(super) outcome: Outcome,
}

impl Finding {
    /// The truth that follows from the kind of the reason.
    pub(super) fn of(outcome: Outcome) -> Self {
        let truth = match outcome.reason.kind() {
            ReasonKind::Fine => Truth::True,
            ReasonKind::Stalled | ReasonKind::Retried | ReasonKind::Pending => Truth::False,
            ReasonKind::Neutral => Truth::Unknown,
        };
        Self { truth, outcome }
    }

    /// Not known yet.
    pub(super) fn unknown(outcome: Outcome) -> Self {
        Self {
            truth: Truth::Unknown,
            outcome,
        }
    }
}

/// Makes the conditions from the findings, keeping the time of those whose truth did not change.
///
/// `tolerated` names a condition that is shown but does not hold `Ready` back.
pub(super) fn conditions(
    former: &[Condition],
    findings: &Findings,
    suspended: Option<&str>,
    tolerated: Option<ConditionKind>,
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let mut all: Vec<Condition> = ConditionKind::DOMAIN
        .into_iter()
        .zip(findings)
        .map(|(kind, finding)| domain_condition(former, kind, finding.as_ref(), generation, now))
        .collect();
    let summary = match suspended {
        Some(why) => summarise_suspended(why),
        None => summarise(&all, tolerated),
    };
    let progress = match summary.outcome.reason.kind() {
        _ if summary.truth == Truth::True => None,
        ReasonKind::Stalled => Some((ConditionKind::Stalled, summary.outcome.reason)),
        ReasonKind::Retried => Some((ConditionKind::Reconciling, Reason::Progressing)),
        ReasonKind::Pending => Some((ConditionKind::Reconciling, Reason::Pending)),
        ReasonKind::Fine | ReasonKind::Neutral => None,
    };
    if let Some((kind, reason)) = progress {
        let finding = Finding {
            truth: Truth::True,
            outcome: Outcome::new(reason, summary.outcome.message.clone()),
        };
        all.push(condition(former, kind, &finding, generation, now));
    }
    all.push(condition(
        former,
        ConditionKind::Ready,
        &summary,
        generation,
        now,
    ));
    all.sort_by_key(|condition| condition.kind);
    all
}

fn domain_condition(
    former: &[Condition],
    kind: ConditionKind,
    finding: Option<&Finding>,
    generation: i64,
    now: Timestamp,
) -> Condition {
    let kept = former.iter().find(|condition| condition.kind == kind);
    match (finding, kept) {
        (Some(finding), _) => condition(former, kind, finding, generation, now),
        (None, Some(kept)) => kept.clone(),
        (None, None) => {
            let finding = Finding::unknown(Outcome::new(Reason::Progressing, "not reached yet"));
            condition(former, kind, &finding, generation, now)
        }
    }
}

fn condition(
    former: &[Condition],
    kind: ConditionKind,
    finding: &Finding,
    generation: i64,
    now: Timestamp,
) -> Condition {
    let since = former
        .iter()
        .find(|condition| condition.kind == kind && condition.truth == finding.truth)
        .map_or(now, |condition| condition.since);
    Condition {
        kind,
        truth: finding.truth,
        reason: finding.outcome.reason,
        message: finding.outcome.message.clone(),
        since,
        observed_generation: generation,
    }
}

fn summarise_suspended(why: &str) -> Finding {
    let message = if why.is_empty() {
        "suspended".to_owned()
    } else {
        format!("suspended: {why}")
    };
    Finding::unknown(Outcome::new(Reason::Suspended, message))
}

/// The first domain condition that is False, else the first that is Unknown, else all is well.
fn summarise(domain: &[Condition], tolerated: Option<ConditionKind>) -> Finding {
    let of = |truth: Truth| {
        domain
            .iter()
            .find(|condition| condition.truth == truth && Some(condition.kind) != tolerated)
    };
    match of(Truth::False).or_else(|| of(Truth::Unknown)) {
        Some(condition) => Finding {
            truth: condition.truth,
            outcome: Outcome::new(condition.reason, condition.message.clone()),
        },
        None => Finding::of(Outcome::new(Reason::Synced, "everything is in place")),
    }
}
