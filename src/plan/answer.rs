//! Taking the answers to writes into the state: what was written, what has become doubtful, how long a
//! stage that failed waits. Decides nothing about what is done next.

use std::time::Duration;

use super::conditions::ConditionKind;
use super::effect::{
    Answer, DocumentSeen, Effect, Failure, FailureKind, Guard, Look, Outcome, Stamp,
};
use super::flight;
use super::objects;
use super::record::RecordSeen;
use super::snapshot::{ObjectId, ObjectSeen, Seen, Version};
use super::state::{Member, State, Trouble, UnderWay};
use crate::clock::Now;
use crate::digest::Digest;
use crate::env::WorkloadRef;
use crate::reason::{Reason, ReasonKind};
use crate::vocabulary;

/// Answers "out of date" in a row before it counts as a failure.
const STALE_LIMIT: u32 = 5;
/// First and longest pause after a failure.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Takes the answer to the write under way.
pub(super) fn take_answer(state: &mut State, answer: Answer, now: Now) {
    let Some(UnderWay::Act(effect)) = state.under_way.take() else {
        return;
    };
    match answer {
        Answer::Stamped(outcomes) => take_stamps(state, &effect, outcomes, now),
        Answer::Wrote {
            version,
            changed_at,
        } => {
            recover(state, stage_of(&effect));
            take_write(state, effect, version, changed_at, now);
        }
        Answer::Deleted => {
            recover(state, stage_of(&effect));
            take_deletion(state, effect);
        }
        Answer::Failed(failure) => {
            doubt(state, &effect);
            let lives = |document: &DocumentSeen| !document.life.deleting;
            if let (Effect::DeleteObject { id, .. }, FailureKind::Refused) = (&effect, failure.kind)
                && state.document.as_ref().is_some_and(lives)
            {
                state.not_prunable.insert(id.clone());
                return;
            }
            fail(state, stage_of(&effect), failure, now);
        }
    }
}

fn take_write(
    state: &mut State,
    effect: Effect,
    version: Version,
    changed_at: Option<jiff::Timestamp>,
    now: Now,
) {
    match effect {
        Effect::WriteRecord { record, guard: _ } => {
            state.record = Seen::Present(RecordSeen { version, record });
            state.untouched = false;
        }
        Effect::ApplyObject {
            id,
            content,
            guard,
            remove: _,
        } => {
            take_applied(state, id, content, &guard, version, changed_at, now);
        }
        Effect::WriteCredentials {
            credentials,
            guard: _,
        } => {
            state.credentials = Seen::Present(ours(state, version, Some(credentials), changed_at));
        }
        Effect::CreateJob { id, from: _ } => doubt_job(state, &id),
        Effect::ReleaseJob { name, version: _ } => {
            if let Some(job) = state.jobs.as_mut().and_then(|jobs| jobs.get_mut(&name)) {
                job.held = false;
                job.version = version;
            }
        }
        Effect::WriteFinalizer { present } => take_finalizer(state, present),
        Effect::WriteStatus(status) => {
            state.status = *status;
            state.reported = Some(now.monotonic);
        }
        Effect::Observe(_)
        | Effect::DeleteObject { .. }
        | Effect::Stamp(_)
        | Effect::DeleteCredentials(_)
        | Effect::DeleteJob { .. }
        | Effect::DeleteRecord
        | Effect::Emit(_)
        | Effect::Wake(_) => {}
    }
}

fn take_finalizer(state: &mut State, present: bool) {
    if let Some(document) = &mut state.document {
        document.life.held = present;
    }
}

fn take_applied(
    state: &mut State,
    id: ObjectId,
    content: Digest,
    guard: &Guard,
    version: Version,
    changed_at: Option<jiff::Timestamp>,
    now: Now,
) {
    let object = state.desired().and_then(|desired| desired.object(&id));
    // The document may have changed while the write was under way.
    let Some(object) = object.filter(|object| object.content == content).cloned() else {
        state.last_change = Some(now.monotonic);
        state.pods.clear();
        state.fresh.remove(&id);
        state.objects.insert(id, Seen::Unknown);
        return;
    };
    if state.was_in_place(&id, content) {
        state.drifted.insert(id.clone());
    }
    let names = objects::changed_keys(state, &object);
    let former = state.objects.get(&id).and_then(Seen::present);
    if former.is_some_and(|former| former.owner_uid.as_deref() != Some(&state.owner.uid)) {
        state.adopted.insert(id.clone());
    }
    if !names.is_empty() {
        state.last_change = Some(now.monotonic);
        state.pods.clear();
    }
    state.changed.extend(names);
    match guard {
        Guard::Create => state.fresh.insert(id.clone()),
        Guard::Update(_) => state.fresh.remove(&id),
    };
    let mut seen = ours(state, version, Some(object.content), changed_at);
    seen.keys = Some(object.keys);
    seen.secret_type = object.secret_type;
    seen.keep = !object.prune;
    state.objects.insert(id, Seen::Present(seen));
}

/// An object as it is right after our own write.
fn ours(
    state: &State,
    version: Version,
    content: Option<Digest>,
    changed_at: Option<jiff::Timestamp>,
) -> ObjectSeen {
    ObjectSeen {
        version,
        owner: Some(state.owner.name.clone()),
        owner_uid: Some(state.owner.uid.clone()),
        environment: Some(state.owner.environment.clone()),
        adopt: None,
        content,
        managed: true,
        changed_at,
        disturbed_at: None,
        keep: false,
        immutable: false,
        secret_type: String::new(),
        keys: None,
        foreign_keys: std::collections::BTreeSet::new(),
    }
}

fn take_deletion(state: &mut State, effect: Effect) {
    match effect {
        Effect::DeleteObject { id, version: _ } => {
            state.pruned.insert(id.clone());
            state.objects.insert(id, Seen::Absent);
        }
        Effect::DeleteCredentials(_) => state.credentials = Seen::Absent,
        Effect::DeleteRecord => state.record = Seen::Absent,
        Effect::DeleteJob { name, version: _ } => {
            if let Some(job) = state.jobs.as_mut().and_then(|jobs| jobs.get_mut(&name)) {
                job.deleting = true;
            }
        }
        Effect::WriteFinalizer { present: _ } => {
            // It is gone, and its finalizer with it.
            take_finalizer(state, false);
            if let Some(document) = &mut state.document {
                document.life.deleting = true;
            }
        }
        Effect::Observe(_)
        | Effect::WriteRecord { .. }
        | Effect::ApplyObject { .. }
        | Effect::Stamp(_)
        | Effect::WriteCredentials { .. }
        | Effect::CreateJob { .. }
        | Effect::ReleaseJob { .. }
        | Effect::WriteStatus(_)
        | Effect::Emit(_)
        | Effect::Wake(_) => {}
    }
}

fn take_stamps(
    state: &mut State,
    effect: &Effect,
    outcomes: Vec<(WorkloadRef, Result<Version, Failure>)>,
    now: Now,
) {
    let Effect::Stamp(stamps) = effect else {
        return;
    };
    let mut refused = None;
    for (id, outcome) in outcomes {
        let Some(stamp) = stamps.iter().find(|stamp| stamp.workload == id) else {
            continue;
        };
        match outcome {
            Ok(version) => take_stamp(state, stamp, version, now),
            Err(failure) if failure.kind == FailureKind::Stale => {
                state
                    .stamp_after
                    .insert(id, now.monotonic + Duration::from_millis(500));
            }
            Err(failure) => refused = Some(failure),
        }
    }
    match refused {
        Some(failure) => fail(state, ConditionKind::RolledOut, failure, now),
        None => recover(state, ConditionKind::RolledOut),
    }
}

fn take_stamp(state: &mut State, stamp: &Stamp, version: Version, now: Now) {
    let id = &stamp.workload;
    let name = state.owner.name.clone();
    if let Some(workload) = state.workloads.as_mut().and_then(|all| all.get_mut(id)) {
        let unchanged = workload.version == version;
        workload.markers.insert(name, stamp.marker.to_string());
        workload.version = version.clone();
        // The watch will say how far it is; until then it counts as not begun.
        workload.generation += i64::from(!unchanged);
    }
    state.triggered.insert(id.clone());
    flight::begin(state, id, &version, now);
    // The document may have changed meanwhile: what was rolled for another content proves nothing.
    let content = state.desired().map(|desired| desired.content);
    let member = Member {
        version,
        since: now.monotonic,
        complete: false,
        stamped: content.is_some() && state.wave.content == content,
    };
    state.wave.members.insert(id.clone(), member);
}

/// Forgets what a failed write may have changed.
fn doubt(state: &mut State, effect: &Effect) {
    match effect {
        Effect::DeleteRecord => state.record = Seen::Unknown,
        Effect::WriteRecord { .. } => {
            state.record = Seen::Unknown;
            state.untouched = false;
            // Who wrote the record may have written the objects, too; what it says is judged by them.
            state.look_again = state.objects.keys().cloned().collect();
        }
        Effect::ApplyObject { id, .. } | Effect::DeleteObject { id, .. } => {
            state.objects.insert(id.clone(), Seen::Unknown);
        }
        Effect::WriteCredentials { .. } | Effect::DeleteCredentials(_) => {
            state.credentials = Seen::Unknown;
        }
        Effect::CreateJob { id, .. } => doubt_job(state, id),
        Effect::ReleaseJob { name, .. } | Effect::DeleteJob { name, .. } => {
            state.job_doubt = Some(name.clone());
        }
        // Written again until an answer comes, which reads it first.
        Effect::WriteFinalizer { .. }
        | Effect::Observe(_)
        | Effect::Stamp(_)
        | Effect::WriteStatus(_)
        | Effect::Emit(_)
        | Effect::Wake(_) => {}
    }
}

/// Makes a stage wait before it tries again, longer each time.
pub(super) fn fail(state: &mut State, stage: ConditionKind, failure: Failure, now: Now) {
    if failure.kind == FailureKind::Stale {
        state.stale += 1;
        if state.stale <= STALE_LIMIT {
            return;
        }
    }
    let attempts = state
        .troubles
        .get(&stage)
        .map_or(0, |trouble| trouble.attempts)
        + 1;
    let (first, longest) = BACK_OFF;
    let pause = match failure.outcome.reason.kind() {
        ReasonKind::Stalled => longest,
        ReasonKind::Fine | ReasonKind::Retried | ReasonKind::Pending | ReasonKind::Neutral => first
            .saturating_mul(1 << (attempts - 1).min(5))
            .min(longest),
    };
    // Not all at once after an outage: up to a quarter longer, by name.
    let spread = u32::from(
        Digest::combine([state.owner.uid.as_bytes()])
            .as_bytes()
            .first()
            .copied()
            .unwrap_or(0),
    );
    let pause = failure
        .retry_after
        .unwrap_or(Duration::ZERO)
        .max(pause + pause * spread / 1024);
    let failure = match failure.kind {
        FailureKind::Stale => Failure {
            outcome: Outcome::new(Reason::Conflict, "others keep changing the same objects"),
            ..failure
        },
        FailureKind::Transient | FailureKind::Refused => failure,
    };
    state.stale = 0;
    state.troubles.insert(
        stage,
        Trouble {
            failure,
            attempts,
            until: now.monotonic + pause,
        },
    );
}

fn recover(state: &mut State, stage: ConditionKind) {
    state.stale = 0;
    state.troubles.remove(&stage);
}

/// The condition that shows a failed write.
fn stage_of(effect: &Effect) -> ConditionKind {
    match effect {
        Effect::Observe(look) => stage_of_look(look),
        Effect::WriteRecord { .. }
        | Effect::DeleteRecord
        | Effect::ApplyObject { .. }
        | Effect::DeleteObject { .. }
        | Effect::WriteFinalizer { .. } => objects::CONDITION,
        Effect::Stamp(_) => ConditionKind::RolledOut,
        Effect::WriteCredentials { .. }
        | Effect::DeleteCredentials(_)
        | Effect::CreateJob { .. }
        | Effect::DeleteJob { .. }
        | Effect::ReleaseJob { .. } => ConditionKind::Bootstrapped,
        Effect::WriteStatus(_) | Effect::Emit(_) | Effect::Wake(_) => ConditionKind::Ready,
    }
}

pub(super) fn stage_of_look(look: &Look) -> ConditionKind {
    if look.record || !look.objects.is_empty() {
        ConditionKind::Applied
    } else if !look.pods.is_empty() {
        ConditionKind::RolledOut
    } else {
        ConditionKind::Bootstrapped
    }
}

/// The Job of the run `id` was made, or may have been.
fn doubt_job(state: &mut State, id: &str) {
    state.job_absent = None;
    state.job_doubt = Some(vocabulary::bootstrap_job(&state.owner.name, id));
}
