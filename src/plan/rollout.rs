//! Rolling the workloads that read what changed: who, when, how many at a time, and whether they get
//! ready.
//!
//! The first workload of a wave goes alone, as the canary; when it is ready, up to `parallel` follow.
//! The first failure stops the wave. Progress is read from the workloads themselves, so a wave that a
//! crash interrupted goes on: what is being rolled is followed to its end, then one goes alone again.

use std::collections::BTreeMap;
use std::time::Duration;

use super::conditions::{ConditionKind, Finding, RolloutState, RolloutStatus};
use super::desired::Desired;
use super::effect::{Effect, Look, Outcome, Stamp};
use super::flight;
use super::next::Next;
use super::objects;
use super::record::Entry;
use super::snapshot::Workload;
use super::state::{Member, State, Wave};
use super::usage::{self, Judgement};
use crate::clock::Now;
use crate::digest::Digest;
use crate::env::{Restart, WorkloadKind, WorkloadRef, Workloads};
use crate::reason::Reason;

/// What the pods of every reader run, or what has to be found out first.
pub(super) enum Judgements {
    /// The workloads have not been listed yet.
    NotKnownYet,
    Look(Look),
    /// Reading pods failed; not again before this moment.
    Later(Duration),
    Known(BTreeMap<WorkloadRef, Judged>),
}

/// One reader, judged.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub(super) entry: Entry,
    pub(super) behind: bool,
    /// Digest over what it reads as it is there now.
    content: Digest,
    /// The marker that makes it roll.
    stamp: Digest,
    /// Whether its marker says that it was rolled for what is there now.
    marked: bool,
}

/// How the rollouts stand, and what to do next.
pub(super) struct Rollouts {
    pub(super) next: Option<Next>,
    pub(super) finding: Finding,
    pub(super) statuses: Vec<RolloutStatus>,
}

/// Judges every workload that reads an object of `desired`.
pub(super) fn judgements(state: &State, desired: &Desired, now: Now) -> Judgements {
    if desired.workloads.restart == Restart::Never {
        return Judgements::Known(BTreeMap::new());
    }
    let Some(workloads) = &state.workloads else {
        return Judgements::NotKnownYet;
    };
    let live = objects::live(state, desired);
    let mut known = BTreeMap::new();
    let mut look = Look::default();
    for (id, workload) in workloads {
        let marker = workload.markers.get(&state.owner.name).map(String::as_str);
        let current = usage::current_entry(workload, marker, &live);
        if current.reads.is_empty() {
            continue;
        }
        let recorded = state
            .record
            .present()
            .and_then(|seen| seen.record.workloads.get(id))
            .filter(|entry| entry.uid == workload.version.uid);
        let content = usage::marker(&current.reads);
        let digest: Option<Digest> = marker.and_then(|text| text.parse().ok());
        let judged = |entry, behind| Judged {
            entry,
            behind,
            content,
            stamp: usage::stamp_for(content, recorded),
            marked: digest.is_some_and(|mark| mark == content || mark == usage::again(content)),
        };
        match usage::judge(
            workload,
            current,
            recorded,
            state.pods.get(id),
            &live,
            now.wall,
        ) {
            Judgement::Current(entry) => known.insert(id.clone(), judged(entry, false)),
            Judgement::Behind(entry) => known.insert(id.clone(), judged(entry, true)),
            Judgement::LookAtPods => {
                look.pods.insert(id.clone(), workload.selector.clone());
                None
            }
        };
    }
    let trouble = state.troubles.get(&ConditionKind::RolledOut);
    match trouble.map(|trouble| trouble.until) {
        _ if look == Look::default() => Judgements::Known(known),
        Some(until) if until > now.monotonic => Judgements::Later(until),
        Some(_) | None => Judgements::Look(look),
    }
}

/// What to do about the workloads, once all objects are in place.
pub(super) fn next(
    state: &State,
    desired: &Desired,
    judgements: &BTreeMap<WorkloadRef, Judged>,
    now: Now,
    slots: usize,
) -> Rollouts {
    if desired.workloads.restart == Restart::Never {
        return quiet("workloads are never restarted for this document");
    }
    if judgements.is_empty() {
        return quiet("no workload reads the objects");
    }
    let readers = readers(state, desired, judgements, now);
    let statuses = readers.iter().map(|reader| reader.status.clone()).collect();
    let finding = finding(&readers);
    let next = next_stamps(state, desired, &readers, now, slots);
    Rollouts {
        next,
        finding,
        statuses,
    }
}

/// A reader with everything that decides about it.
struct Reader<'a> {
    workload: &'a Workload,
    judged: &'a Judged,
    status: RolloutStatus,
    failure: Option<Outcome>,
    paused: bool,
}

fn quiet(message: &str) -> Rollouts {
    let finding = Finding::of(Outcome::new(Reason::NotRequested, message));
    Rollouts {
        next: None,
        finding,
        statuses: Vec::new(),
    }
}

/// The readers in the order in which they are rolled: that of `include`, then by kind and name.
fn readers<'a>(
    state: &'a State,
    desired: &Desired,
    judgements: &'a BTreeMap<WorkloadRef, Judged>,
    now: Now,
) -> Vec<Reader<'a>> {
    let workload = |id: &WorkloadRef| state.workloads.as_ref().and_then(|all| all.get(id));
    let mut readers: Vec<_> = judgements
        .iter()
        .filter_map(|(id, judged)| Some(reader(state, desired, workload(id)?, judged, now)))
        .collect();
    let place = |id: &WorkloadRef| {
        desired
            .workloads
            .include
            .iter()
            .position(|included| included == id)
            .unwrap_or(usize::MAX)
    };
    readers.sort_by_key(|reader| (place(&reader.workload.id), reader.workload.id.clone()));
    readers
}

fn reader<'a>(
    state: &State,
    desired: &Desired,
    workload: &'a Workload,
    judged: &'a Judged,
    now: Now,
) -> Reader<'a> {
    let skipped = why_skipped(workload, &desired.workloads);
    let paused = workload.paused || workload.on_delete;
    let failure = failure(state, desired, workload, now);
    let was_done = was_done(state, &workload.id, judged);
    let kind = match (&skipped, judged.behind) {
        (Some(_), true) => RolloutState::Skipped,
        (None, true) => RolloutState::Waiting,
        (_, false) if workload.is_complete() || was_done => RolloutState::Done,
        (_, false) if failure.is_some() => RolloutState::Failed,
        (_, false) => RolloutState::Rolling,
    };
    let reason = match kind {
        RolloutState::Skipped => skipped.unwrap_or_default(),
        RolloutState::Failed => failure
            .as_ref()
            .map(|outcome| outcome.reason.to_string())
            .unwrap_or_default(),
        RolloutState::Rolling | RolloutState::Waiting | RolloutState::Done => String::new(),
    };
    let status = RolloutStatus {
        workload: workload.id.clone(),
        content_hash: judged.content,
        desired: workload.desired,
        ready: workload.ready.min(workload.updated),
        state: kind,
        reason,
    };
    Reader {
        workload,
        judged,
        status,
        failure,
        paused,
    }
}

/// Whether the status says that it has run this content already: what happens to its pods after that is
/// no rollout of ours.
fn was_done(state: &State, id: &WorkloadRef, judged: &Judged) -> bool {
    let mut rollouts = state.status.rollouts.iter();
    rollouts.any(|former| {
        former.workload == *id
            && former.content_hash == judged.content
            && former.state == RolloutState::Done
    })
}

/// Brings the wave up to date: it belongs to one content, and workloads that are being rolled already,
/// by a former process or for another content, are followed too.
pub(super) fn follow(
    state: &mut State,
    desired: &Desired,
    judgements: &BTreeMap<WorkloadRef, Judged>,
    now: Now,
) {
    if state.wave.content != Some(desired.content) {
        state.wave = Wave {
            content: Some(desired.content),
            ..Wave::default()
        };
    }
    let mut members = std::mem::take(&mut state.wave.members);
    members.retain(|id, _| judgements.get(id).is_some_and(|judged| !judged.behind));
    for (id, judged) in judgements {
        let Some(workload) = state.workloads.as_ref().and_then(|all| all.get(id)) else {
            continue;
        };
        let complete = workload.is_complete();
        if let Some(member) = members.get_mut(id) {
            member.complete |= complete;
        } else if judged.marked && !judged.behind && !complete && !was_done(state, id, judged) {
            let member = Member {
                version: workload.version.clone(),
                since: now.monotonic,
                complete: false,
                stamped: false,
            };
            if !workload.has_ended() {
                flight::begin(state, id, &member.version, now);
            }
            members.insert(id.clone(), member);
        }
    }
    state.wave.members = members;
    // Nothing more is told about a workload that reads nothing of ours any more.
    state.in_flight.retain(|id, _| judgements.contains_key(id));
}

/// Why a workload is left alone although it reads what changed.
fn why_skipped(workload: &Workload, rules: &Workloads) -> Option<String> {
    if rules.exclude.contains(&workload.id) {
        return Some("excluded by the document".into());
    }
    let by_default = matches!(
        workload.id.kind,
        WorkloadKind::Deployment | WorkloadKind::DaemonSet
    );
    if !by_default && !rules.include.contains(&workload.id) {
        return Some("not included by the document".into());
    }
    if workload.paused {
        return Some("paused".into());
    }
    if workload.on_delete {
        return Some("update strategy OnDelete".into());
    }
    workload.opted_out.clone()
}

/// Whether the rollout of a workload has failed: it says so, or it has taken too long.
pub(super) fn failure(
    state: &State,
    desired: &Desired,
    workload: &Workload,
    now: Now,
) -> Option<Outcome> {
    let id = &workload.id;
    if let Some(reason) = workload.failure() {
        return Some(Outcome::new(
            Reason::RolloutFailed,
            format!("{id} reports {reason}"),
        ));
    }
    let member = state.wave.members.get(id)?;
    let late = now.monotonic.saturating_sub(member.since) >= desired.workloads.timeout;
    (!member.complete && late).then(|| {
        let seconds = desired.workloads.timeout.as_secs();
        Outcome::new(
            Reason::RolloutTimedOut,
            format!("{id} is not ready after {seconds} s"),
        )
    })
}

fn finding(readers: &[Reader<'_>]) -> Finding {
    let count = |state: RolloutState| readers.iter().filter(|r| r.status.state == state).count();
    let failed = readers
        .iter()
        .find(|reader| reader.status.state == RolloutState::Failed);
    if let Some(outcome) = failed.and_then(|reader| reader.failure.clone()) {
        let waiting = count(RolloutState::Waiting);
        let rest = match waiting {
            0 => String::new(),
            _ => format!("; {waiting} workloads keep the former content until it is ready"),
        };
        return Finding::of(Outcome::new(outcome.reason, outcome.message + &rest));
    }
    let (done, all) = (count(RolloutState::Done), readers.len());
    if count(RolloutState::Rolling) + count(RolloutState::Waiting) > 0 {
        let message = format!("{done} of {all} workloads run the content");
        return Finding::of(Outcome::new(Reason::RolloutInProgress, message));
    }
    let paused = |reader: &&Reader<'_>| reader.paused && reader.judged.behind;
    if let Some(reader) = readers.iter().find(paused) {
        let message = format!(
            "{} has to be rolled by a person: {}",
            reader.workload.id, reader.status.reason
        );
        return Finding::of(Outcome::new(Reason::Paused, message));
    }
    let message = format!("{done} of {all} workloads run the content");
    Finding::of(Outcome::new(Reason::RolledOut, message))
}

/// The stamps that may be written now; or until when to wait.
fn next_stamps(
    state: &State,
    desired: &Desired,
    readers: &[Reader<'_>],
    now: Now,
    slots: usize,
) -> Option<Next> {
    let waiting: Vec<_> = readers
        .iter()
        .filter(|reader| reader.status.state == RolloutState::Waiting)
        .collect();
    if waiting.is_empty() {
        return wait_for_progress(state, desired, readers, now);
    }
    let members = readers
        .iter()
        .filter(|reader| state.wave.members.contains_key(&reader.workload.id));
    if members.clone().any(|reader| reader.failure.is_some()) {
        return Some(Next::Wait(None));
    }
    let settled = state
        .last_change
        .map(|change| change + desired.workloads.settle);
    if let Some(settled) = settled.filter(|settled| *settled > now.monotonic) {
        return Some(Next::Wait(Some(settled)));
    }
    let stamps = first_stamps(state, &waiting, now, room(state, desired), slots);
    if stamps.is_empty() {
        let held_until = state
            .stamp_after
            .values()
            .filter(|until| **until > now.monotonic)
            .min();
        let retry = held_until
            .copied()
            .or((slots == 0).then(|| now.monotonic + SLOT_PAUSE));
        return Some(Next::Wait(earliest(retry, timeout(state, desired, now))));
    }
    Some(Next::Act(Effect::Stamp(stamps)))
}

/// Stamps of up to `room` of those that are `waiting`, with `slots` free places.
fn first_stamps(
    state: &State,
    waiting: &[&Reader<'_>],
    now: Now,
    room: usize,
    slots: usize,
) -> Vec<Stamp> {
    let is_due = |reader: &&&Reader<'_>| {
        let until = state.stamp_after.get(&reader.workload.id);
        until.is_none_or(|until| *until <= now.monotonic)
    };
    let mut free = slots;
    // One that is in flight has its place already, and may hang until it gets this very stamp.
    let mut has_place = |reader: &&&Reader<'_>| {
        if state.in_flight.contains_key(&reader.workload.id) {
            return true;
        }
        let found = free > 0;
        free = free.saturating_sub(1);
        found
    };
    waiting
        .iter()
        .filter(is_due)
        .filter(|reader| has_place(reader))
        .take(room)
        .map(|reader| stamp(reader))
        .collect()
}

/// Pause before a SealedEnv looks again whether another one has finished its rollouts.
const SLOT_PAUSE: Duration = Duration::from_millis(200);

/// How many more workloads of this wave may be rolled now.
fn room(state: &State, desired: &Desired) -> usize {
    let mut members = state.wave.members.values();
    let proven = members.any(|member| member.stamped && member.complete);
    let at_once = if proven {
        usize::from(desired.workloads.parallel)
    } else {
        1
    };
    at_once.saturating_sub(state.rolling())
}

fn stamp(reader: &Reader<'_>) -> Stamp {
    Stamp {
        workload: reader.workload.id.clone(),
        version: reader.workload.version.clone(),
        marker: reader.judged.stamp,
    }
}

fn wait_for_progress(
    state: &State,
    desired: &Desired,
    readers: &[Reader<'_>],
    now: Now,
) -> Option<Next> {
    let rolling = readers
        .iter()
        .any(|reader| reader.status.state == RolloutState::Rolling);
    rolling.then(|| Next::Wait(timeout(state, desired, now)))
}

/// When the next rollout of the wave will have taken too long.
fn timeout(state: &State, desired: &Desired, now: Now) -> Option<Duration> {
    let rolling = state
        .wave
        .members
        .values()
        .filter(|member| !member.complete);
    rolling
        .map(|member| member.since + desired.workloads.timeout)
        .filter(|moment| *moment > now.monotonic)
        .min()
}

fn earliest(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
