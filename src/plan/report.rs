//! The status that a pass asks for, and the Events that its transitions are worth.
//!
//! Written only when something changed. Progress that only moves counters is held back for a second,
//! so that a rollout of hundreds of workloads does not become hundreds of writes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::conditions::{
    self, Condition, ConditionKind, RolloutState, RolloutStatus, Status, Truth,
};
use super::effect::{Action, DocumentSeen, Note};
use super::next::Next;
use super::objects;
use super::state::State;
use super::step::Pass;
use crate::clock::Now;
use crate::reason::{Reason, ReasonKind};

/// Shortest time between two statuses that differ only in how far rollouts are.
const COUNTERS: Duration = Duration::from_secs(1);
/// Entries of `rollouts` in the status.
const ROLLOUTS: usize = 50;
/// Names in one Event; the rest is counted.
const NAMES: usize = 20;

/// A status to be written, and Events to be sent with it.
pub(super) struct Report {
    pub(super) status: Status,
    pub(super) notes: Vec<Note>,
    /// Not before this moment; `None` means now.
    pub(super) due: Option<Duration>,
}

/// What to report after `pass`, or `None` when the status already says it.
pub(super) fn report(state: &mut State, pass: &Pass, now: Now) -> Option<Report> {
    let document = state.document.as_ref()?;
    let idle = matches!(pass.next, Next::Wait(_));
    let mut status = status(state, document, pass, now, idle);
    if same(&status, &state.status) {
        return None;
    }
    if let Some(due) = hold_back(state, &status, now) {
        return Some(Report {
            status,
            notes: Vec::new(),
            due: Some(due),
        });
    }
    let ready = status
        .conditions
        .iter()
        .any(|condition| condition.kind == ConditionKind::Ready && condition.truth == Truth::True);
    if ready {
        status.last_verified_time = Some(now.wall);
    }
    let notes = notes(state, &status);
    state.changed.clear();
    state.adopted.clear();
    state.drifted.clear();
    state.pruned.clear();
    state.triggered.clear();
    Some(Report {
        status,
        notes,
        due: None,
    })
}

/// Whether two statuses say the same. The time of the last verification alone is no news.
fn same(new: &Status, old: &Status) -> bool {
    let timeless = Status {
        last_verified_time: old.last_verified_time,
        ..new.clone()
    };
    timeless == *old
}

/// Until when a report waits: after a failed write, and while only counters move.
fn hold_back(state: &State, status: &Status, now: Now) -> Option<Duration> {
    let trouble = state
        .troubles
        .get(&ConditionKind::Ready)
        .map(|trouble| trouble.until);
    let moved = state
        .reported
        .map(|moment| moment + COUNTERS)
        .filter(|_| only_counters(state, status));
    [trouble, moved]
        .into_iter()
        .flatten()
        .filter(|until| *until > now.monotonic)
        .max()
}

fn only_counters(state: &State, status: &Status) -> bool {
    let without = |status: &Status| {
        let conditions: Vec<_> = status
            .conditions
            .iter()
            .map(|condition| Condition {
                message: String::new(),
                ..condition.clone()
            })
            .collect();
        Status {
            conditions,
            rollouts: Vec::new(),
            last_verified_time: None,
            ..status.clone()
        }
    };
    without(status) == without(&state.status)
}

fn status(state: &State, document: &DocumentSeen, pass: &Pass, now: Now, idle: bool) -> Status {
    let former = &state.status;
    let resolution = document.resolved.as_ref();
    let revision = match resolution {
        Ok(resolution) => resolution.desired.revision,
        Err(refused) => refused.revision,
    };
    let applied = pass.findings[3]
        .as_ref()
        .is_some_and(|finding| finding.truth == Truth::True);
    // What the policy lets pass is shown and tolerated; a revision that is refused after it is not.
    let verified = pass.findings[1].as_ref().map(|finding| &finding.outcome);
    let policy = match resolution {
        Ok(resolution) => Some(&resolution.verified),
        Err(refused) => refused.verified.as_ref(),
    };
    let passed = policy.is_some() && verified == policy;
    let tolerated = passed.then_some(ConditionKind::Verified);
    let suspended = document.suspend.then_some("");
    let mut status = Status {
        observed_generation: document.generation,
        conditions: conditions::conditions(
            &former.conditions,
            &pass.findings,
            suspended,
            tolerated,
            document.generation,
            now.wall,
        ),
        last_attempted_revision: revision,
        last_attempted_commit: document.commit.clone(),
        ..former.clone()
    };
    if idle {
        status
            .last_handled_reconcile_at
            .clone_from(&document.requested_at);
    }
    if let Ok(resolution) = resolution {
        let desired = &resolution.desired;
        status.targets = objects::targets(state, desired);
        if applied {
            status.last_applied_revision = desired.revision;
            status.last_applied_commit.clone_from(&document.commit);
            status.keys = Some(desired.keys);
            status.content_hash = Some(desired.content);
        }
    }
    if let Some(rollouts) = &pass.rollouts {
        status.rollouts = shown(rollouts);
    }
    if let Some(bootstrap) = &pass.bootstrap {
        status.bootstrap.clone_from(bootstrap);
    }
    status
}

/// At most 50 workloads, failing ones first.
fn shown(rollouts: &[RolloutStatus]) -> Vec<RolloutStatus> {
    let mut shown = rollouts.to_vec();
    shown.sort_by_key(|rollout| rollout.state);
    shown.truncate(ROLLOUTS);
    shown
}

fn notes(state: &State, status: &Status) -> Vec<Note> {
    let mut notes = Vec::new();
    let normal = |reason: &str, action, text| Note {
        warning: false,
        reason: reason.into(),
        action,
        text,
    };
    if !state.changed.is_empty() {
        notes.push(normal(
            "KeysChanged",
            Action::Apply,
            names(state.changed.iter()),
        ));
    }
    if !state.adopted.is_empty() {
        let adopted = state.adopted.iter().map(ToString::to_string);
        notes.push(normal("ObjectAdopted", Action::Apply, names(adopted)));
    }
    if !state.drifted.is_empty() {
        let drifted = state.drifted.iter().map(ToString::to_string);
        notes.push(Note {
            warning: true,
            ..normal("DriftCorrected", Action::Apply, names(drifted))
        });
    }
    if !state.pruned.is_empty() {
        let pruned = state.pruned.iter().map(ToString::to_string);
        notes.push(normal("ObjectPruned", Action::Prune, names(pruned)));
    }
    if !state.triggered.is_empty() {
        let triggered = state.triggered.iter().map(ToString::to_string);
        notes.push(normal(
            "RolloutTriggered",
            Action::Restart,
            names(triggered),
        ));
    }
    notes.extend(skipped(state, status));
    notes.extend(
        status
            .conditions
            .iter()
            .filter_map(|condition| transition(state, condition)),
    );
    notes
}

/// Workloads that are newly left alone although they read what changed.
fn skipped(state: &State, status: &Status) -> Option<Note> {
    let is_news = |rollout: &&RolloutStatus| {
        rollout.state == RolloutState::Skipped && !state.status.rollouts.contains(rollout)
    };
    let skipped: Vec<_> = status.rollouts.iter().filter(is_news).collect();
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for rollout in skipped {
        reasons
            .entry(&rollout.reason)
            .or_default()
            .push(rollout.workload.to_string());
    }
    let texts: Vec<_> = reasons
        .into_iter()
        .map(|(reason, who)| format!("{}: {reason}", names(who.iter())))
        .collect();
    (!texts.is_empty()).then(|| Note {
        warning: true,
        reason: "RolloutSkipped".into(),
        action: Action::Restart,
        text: texts.join("; "),
    })
}

/// The Event of a condition that changed: a failure, the end of one, or something done.
fn transition(state: &State, condition: &Condition) -> Option<Note> {
    let former = state
        .status
        .conditions
        .iter()
        .find(|former| former.kind == condition.kind);
    if former.is_some_and(|former| former.reason == condition.reason) {
        return None;
    }
    let action = match condition.kind {
        ConditionKind::Ready | ConditionKind::Reconciling | ConditionKind::Stalled => return None,
        ConditionKind::SourceReady | ConditionKind::Verified | ConditionKind::Decrypted => {
            Action::Resolve
        }
        ConditionKind::Applied => Action::Apply,
        ConditionKind::RolledOut => Action::Restart,
        ConditionKind::Bootstrapped => Action::Bootstrap,
    };
    let text = condition.message.clone();
    let failed = matches!(condition.reason.kind(), ReasonKind::Stalled);
    let was_rolling = former.is_some_and(|former| former.reason == Reason::RolloutInProgress);
    let warning = failed || is_worth_a_warning(condition.reason);
    let done = [Reason::SuperuserCreated, Reason::PasswordNotApplied].contains(&condition.reason);
    let reason = if condition.reason == Reason::RolledOut && was_rolling {
        "RolloutFinished".to_owned()
    } else if warning || done {
        condition.reason.to_string()
    } else {
        return None;
    };
    Some(Note {
        warning,
        reason,
        action,
        text,
    })
}

/// Retried failures that are more than work in progress.
fn is_worth_a_warning(reason: Reason) -> bool {
    reason.kind() == ReasonKind::Retried
        && !matches!(
            reason,
            Reason::Progressing | Reason::RolloutInProgress | Reason::BootstrapWaiting
        )
}

fn names(names: impl Iterator<Item = impl AsRef<str>>) -> String {
    let all: Vec<_> = names.map(|name| name.as_ref().to_owned()).collect();
    let shown = all
        .iter()
        .take(NAMES)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match all.len().saturating_sub(NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
