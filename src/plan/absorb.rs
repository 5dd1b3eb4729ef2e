//! Taking events into the state, before anything is decided.
//!
//! What an answer makes doubtful is forgotten, so that the next decision looks again.

use std::time::Duration;

use super::conditions::ConditionKind;
use super::effect::{
    Answer, DocumentSeen, Effect, Event, Failure, FailureKind, Guard, Look, Observation, Outcome,
    Stamp,
};
use super::objects;
use super::record::RecordSeen;
use super::snapshot::{JobSeen, ObjectId, ObjectSeen, Seen, Version, Workload};
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

/// Takes one event into `state`.
pub(super) fn absorb(state: &mut State, event: Event, now: Now) {
    match event {
        Event::Document(document) => take_document(state, *document),
        Event::Observed(observation) => take_observation(state, *observation, now),
        Event::Workload(_, Some(_)) if state.workloads.is_none() => {}
        Event::Workload(id, Some(workload)) => take_workload(state, id, *workload),
        Event::Workload(id, None) => forget_workload(state, &id),
        Event::Workloads(workloads) => {
            let gone: Vec<_> = state
                .workloads
                .iter()
                .flat_map(|known| known.keys())
                .filter(|id| !workloads.contains_key(*id))
                .cloned()
                .collect();
            state.workloads.get_or_insert_default();
            gone.iter().for_each(|id| forget_workload(state, id));
            workloads
                .into_iter()
                .for_each(|(id, workload)| take_workload(state, id, workload));
        }
        Event::Job(name, Some(job)) => {
            take_job(state, name, *job);
        }
        Event::Job(name, None) => forget_job(state, &name),
        Event::Jobs(jobs) => {
            state.job_absent = None;
            state.jobs = Some(jobs);
        }
        Event::Answer(answer) => take_answer(state, answer, now),
        Event::Resync => look_again(state),
        Event::Reconnected => state.troubles.clear(),
        Event::Tick => {}
    }
}

fn take_document(state: &mut State, document: DocumentSeen) {
    let asked = document.requested_at.is_some()
        && document.requested_at != state.status.last_handled_reconcile_at;
    if asked {
        look_again(state);
    }
    let content = |document: &DocumentSeen| {
        document
            .resolved
            .as_ref()
            .ok()
            .map(|resolution| resolution.desired.content)
    };
    let changed = state.document.as_ref().and_then(content) != content(&document);
    if changed {
        // Another content deserves another try at once.
        state.troubles.clear();
    }
    state.document = Some(document);
}

fn look_again(state: &mut State) {
    state.look_again = state.objects.keys().cloned().collect();
    state.troubles.clear();
    state.not_prunable.clear();
    if !matches!(state.credentials, Seen::Absent) {
        state.credentials = Seen::Unknown;
    }
}

fn take_observation(state: &mut State, seen: Observation, now: Now) {
    let Observation {
        record,
        objects,
        pods,
        job,
        word,
        credentials,
        desired,
        failure,
    } = seen;
    let Some(UnderWay::Look(look)) = state.under_way.take() else {
        return;
    };
    if let Some(record) = record {
        state.record = record;
    }
    if let Some(desired) = desired
        && let Some(Ok(resolution)) = state
            .document
            .as_mut()
            .map(|document| document.resolved.as_mut())
    {
        resolution.desired = *desired;
        // Digests under another key say nothing about what was seen before.
        state.objects.clear();
        state.look_again.clear();
    }
    for (id, seen) in objects {
        take_object(state, id, seen);
    }
    state.pods.extend(pods);
    if let Some((name, seen)) = job {
        if state.job_doubt.as_ref() == Some(&name) && seen != Seen::Unknown {
            state.job_doubt = None;
        }
        match seen {
            Seen::Present(job) => {
                if let Some(jobs) = &mut state.jobs {
                    jobs.insert(name, job);
                }
            }
            Seen::Absent => {
                forget_job(state, &name);
                state.job_absent = Some(name);
            }
            Seen::Unknown => {}
        }
    }
    if let (Some(word), Some(job)) = (word, &look.word) {
        state.word = Some((job.clone(), word));
    }
    if let Some(credentials) = credentials {
        state.credentials = credentials;
    }
    // A look that succeeds ends no trouble: the write after it may still fail, again and again.
    if let Some(failure) = failure {
        fail(state, stage_of_look(&look), failure, now);
    }
}

/// Keeps what is known of the content when the version is still the same.
fn take_object(state: &mut State, id: ObjectId, seen: Seen<ObjectSeen>) {
    state.look_again.remove(&id);
    let former = state.objects.remove(&id);
    let seen = match (former, seen) {
        (Some(Seen::Present(former)), Seen::Present(seen))
            if seen.keys.is_none() && former.version == seen.version =>
        {
            Seen::Present(former)
        }
        (_, Seen::Present(seen)) => {
            state.fresh.remove(&id);
            Seen::Present(seen)
        }
        (_, seen) => seen,
    };
    state.objects.insert(id, seen);
}

fn take_workload(state: &mut State, id: WorkloadRef, workload: Workload) {
    let known = state.workloads.get_or_insert_default();
    if let Some(member) = state.wave.members.get(&id)
        && is_older(&workload.version, &member.version)
    {
        return;
    }
    if known
        .get(&id)
        .is_none_or(|former| former.version.uid != workload.version.uid)
    {
        state.pods.remove(&id);
    }
    state.stamp_after.remove(&id);
    known.insert(id, workload);
}

fn take_job(state: &mut State, name: String, job: JobSeen) {
    let Some(jobs) = &mut state.jobs else { return };
    if jobs
        .get(&name)
        .is_some_and(|known| is_older(&job.version, &known.version))
    {
        return;
    }
    state.job_absent = None;
    jobs.insert(name, job);
}

/// The Job of the run `id` was made, or may have been.
fn doubt_job(state: &mut State, id: &str) {
    state.job_absent = None;
    state.job_doubt = Some(vocabulary::bootstrap_job(&state.owner.name, id));
}

fn forget_job(state: &mut State, name: &str) {
    if let Some(jobs) = &mut state.jobs {
        jobs.remove(name);
    }
}

fn forget_workload(state: &mut State, id: &WorkloadRef) {
    if let Some(known) = &mut state.workloads {
        known.remove(id);
    }
    state.pods.remove(id);
    state.wave.members.remove(id);
    state.stamp_after.remove(id);
}

/// Whether `seen` is an older view of the same object than `written`. Versions of one object may be
/// compared as numbers; where they are no numbers, nothing is taken for older.
fn is_older(seen: &Version, written: &Version) -> bool {
    let number = |version: &Version| version.resource.parse::<u64>().ok();
    seen.uid == written.uid
        && matches!((number(seen), number(written)), (Some(seen), Some(written)) if seen < written)
}

fn take_answer(state: &mut State, answer: Answer, now: Now) {
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
            if let (Effect::DeleteObject { id, .. }, FailureKind::Refused) = (&effect, failure.kind)
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
        Effect::WriteStatus(status) => {
            state.status = *status;
            state.reported = Some(now.monotonic);
        }
        Effect::Observe(_)
        | Effect::DeleteObject { .. }
        | Effect::Stamp(_)
        | Effect::DeleteCredentials(_)
        | Effect::Emit(_)
        | Effect::Wake(_) => {}
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
        Effect::WriteRecord { .. } => state.record = Seen::Unknown,
        Effect::ApplyObject { id, .. } | Effect::DeleteObject { id, .. } => {
            state.objects.insert(id.clone(), Seen::Unknown);
        }
        Effect::WriteCredentials { .. } | Effect::DeleteCredentials(_) => {
            state.credentials = Seen::Unknown;
        }
        Effect::CreateJob { id, .. } => doubt_job(state, id),
        Effect::ReleaseJob { name, .. } => state.job_doubt = Some(name.clone()),
        Effect::Observe(_)
        | Effect::Stamp(_)
        | Effect::WriteStatus(_)
        | Effect::Emit(_)
        | Effect::Wake(_) => {}
    }
}

fn fail(state: &mut State, stage: ConditionKind, failure: Failure, now: Now) {
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
        _ => first
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
        Effect::WriteRecord { .. } | Effect::ApplyObject { .. } | Effect::DeleteObject { .. } => {
            objects::CONDITION
        }
        Effect::Stamp(_) => ConditionKind::RolledOut,
        Effect::WriteCredentials { .. }
        | Effect::DeleteCredentials(_)
        | Effect::CreateJob { .. }
        | Effect::ReleaseJob { .. } => ConditionKind::Bootstrapped,
        Effect::WriteStatus(_) | Effect::Emit(_) | Effect::Wake(_) => ConditionKind::Ready,
    }
}

fn stage_of_look(look: &Look) -> ConditionKind {
    if look.record || !look.objects.is_empty() {
        ConditionKind::Applied
    } else if !look.pods.is_empty() {
        ConditionKind::RolledOut
    } else {
        ConditionKind::Bootstrapped
    }
}
