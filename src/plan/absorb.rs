//! Taking events into the state, before anything is decided.
//!
//! What an answer makes doubtful is forgotten, so that the next decision looks again.

use super::answer;
use super::effect::{DocumentSeen, Event, Observation};
use super::flight;
use super::snapshot::{JobSeen, ObjectId, ObjectSeen, Seen, Version, Workload};
use super::state::{State, UnderWay};
use crate::clock::Now;
use crate::env::WorkloadRef;

/// Takes one event into `state`.
pub(super) fn absorb(state: &mut State, event: Event, now: Now) {
    match event {
        Event::Document(document) => take_document(state, *document),
        Event::Observed(observation) => take_observation(state, *observation, now),
        Event::Workload(_, Some(_)) if state.workloads.is_none() => {}
        Event::Workload(id, Some(workload)) => take_workload(state, id, *workload, now),
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
            for id in &gone {
                forget_workload(state, id);
            }
            for (id, workload) in workloads {
                take_workload(state, id, workload, now);
            }
        }
        Event::Job(name, Some(job)) => {
            take_job(state, name, *job);
        }
        Event::Job(name, None) => forget_job(state, &name),
        Event::Jobs(jobs) => {
            state.job_absent = None;
            state.jobs = Some(jobs);
        }
        Event::Answer(answer) => answer::take_answer(state, answer, now),
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
        resolution.desired = desired;
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
        answer::fail(state, answer::stage_of_look(&look), failure, now);
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
            // Somebody has changed it: pods that were seen before may have started since.
            state.pods.clear();
            Seen::Present(seen)
        }
        (_, seen) => seen,
    };
    state.objects.insert(id, seen);
}

fn take_workload(state: &mut State, id: WorkloadRef, workload: Workload, now: Now) {
    let member = state.wave.members.get(&id).map(|member| &member.version);
    let flight = state.in_flight.get(&id).map(|flight| &flight.version);
    let stamped = member.into_iter().chain(flight);
    if stamped
        .into_iter()
        .any(|version| is_older(&workload.version, version))
    {
        return;
    }
    let known = state.workloads.get_or_insert_default();
    let former = known.get(&id);
    let is_another = former.is_none_or(|former| former.version.uid != workload.version.uid);
    let marker = workload.markers.get(&state.owner.name);
    let same_marker = former.map(|former| former.markers.get(&state.owner.name) == marker);
    let changed = same_marker == Some(false) && marker.is_some();
    if is_another {
        state.pods.remove(&id);
    }
    state.stamp_after.remove(&id);
    if workload.has_ended() {
        state.in_flight.remove(&id);
    } else if same_marker != Some(true) && flight::is_begun(state, &workload) {
        flight::begin(state, &id, &workload.version, now);
    }
    state.workloads.get_or_insert_default().insert(id, workload);
    if changed {
        // Not our own stamp: another leader's, for objects that it has written before. An entry that
        // is made from an older view of them would take that stamp for one that proves nothing.
        state.look_again = state.objects.keys().cloned().collect();
    }
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
    state.in_flight.remove(id);
    state.stamp_after.remove(id);
}

/// Whether `seen` is an older view of the same object than `written`. Versions of one object may be
/// compared as numbers; where they are no numbers, nothing is taken for older.
fn is_older(seen: &Version, written: &Version) -> bool {
    let number = |version: &Version| version.resource.parse::<u64>().ok();
    seen.uid == written.uid
        && matches!((number(seen), number(written)), (Some(seen), Some(written)) if seen < written)
}
