//! The core: events in, effects out, without clock, client or randomness.
//!
//! Level-triggered: each step takes in what happened and then asks from scratch what is to be done
//! next, from the record, the objects and the workloads as they were seen. So it does not matter where
//! a crash came: *if the desired state stops changing, the cluster eventually matches it, and stays so.*

use std::time::Duration;

use super::absorb::absorb;
use super::conditions::{ConditionKind, Finding, Findings};
use super::desired::Desired;
use super::effect::{Effect, Event, Outcome, Resolution, Stage};
use super::next::Next;
use super::report;
use super::rollout::{self, Judgements};
use super::snapshot::Seen;
use super::state::{State, UnderWay};
use super::{deletion, flight, objects, recording, superuser};
use crate::clock::Now;
use crate::plan::conditions::{BootstrapStatus, RolloutStatus};
use crate::plan::effect::Look;
use crate::reason::Reason;

/// What a step depends on besides its state.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// The moment of the step.
    pub now: Now,
    /// How many more workloads may be rolled at once by this process.
    pub slots: usize,
}

/// A pass that takes longer than this shows in the status before its end.
const QUICK: Duration = Duration::from_secs(1);

/// Takes in `events`, in order, and says what to do next.
///
/// The effects are to be performed in their order. At most one of them is answered; while its answer
/// is owed, further steps only take events in.
#[must_use]
pub fn step(
    context: &Context,
    mut state: State,
    events: impl IntoIterator<Item = Event>,
) -> (State, Vec<Effect>) {
    for event in events {
        absorb(&mut state, event, context.now);
    }
    flight::land(&mut state, context.now);
    let over = state
        .document
        .as_ref()
        .is_none_or(|document| document.life.is_over());
    if state.under_way.is_some() || over {
        return (state, Vec::new());
    }
    let effects = decide(&mut state, context);
    (state, effects)
}

/// What one pass through the stages has found.
pub(super) struct Pass {
    pub(super) next: Next,
    pub(super) findings: Findings,
    pub(super) rollouts: Option<Vec<RolloutStatus>>,
    pub(super) bootstrap: Option<Option<BootstrapStatus>>,
}

fn decide(state: &mut State, context: &Context) -> Vec<Effect> {
    let pass = pass(state, context);
    let now = context.now;
    let started = *state.pass_started.get_or_insert(now.monotonic);
    let slow = now.monotonic.saturating_sub(started) >= QUICK;
    let reporting = matches!(pass.next, Next::Wait(_)) || slow;
    let mut effects = Vec::new();
    let mut due = None;
    if reporting && let Some(report) = report::report(state, &pass, now) {
        effects.extend(report.notes.into_iter().map(Effect::Emit));
        if report.due.is_none() {
            let write = Effect::WriteStatus(Box::new(report.status));
            state.under_way = Some(UnderWay::Act(write.clone()));
            effects.push(write);
            return effects;
        }
        due = report.due;
    }
    match pass.next {
        Next::Look(look) => {
            state.under_way = Some(UnderWay::Look(look.clone()));
            effects.push(Effect::Observe(look));
        }
        Next::Act(effect) => {
            state.under_way = Some(UnderWay::Act(effect.clone()));
            effects.push(effect);
        }
        Next::Wait(until) => {
            state.pass_started = None;
            let landing = flight::next_end(state);
            let until = until.into_iter().chain(due).chain(landing).min();
            let pause = until.map(|until| until.saturating_sub(now.monotonic));
            effects.extend(pause.map(Effect::Wake));
        }
    }
    effects
}

/// Runs through the stages until one of them wants something.
fn pass(state: &mut State, context: &Context) -> Pass {
    let mut findings: Findings = [None, None, None, None, None, None];
    let Some(document) = &state.document else {
        return waiting(findings, None);
    };
    findings[0] = Some(Finding::of(document.source.clone()));
    if document.suspend && !document.life.deleting {
        return waiting(findings, None);
    }
    if let Some((next, finding)) = deletion::next(state, document) {
        findings[3] = Some(finding);
        let waits = [
            (ConditionKind::Applied, 3),
            (ConditionKind::Bootstrapped, 5),
        ]
        .map(|(kind, place)| trouble_wait(state, kind, place, &mut findings, context.now));
        return match waits.into_iter().flatten().max() {
            Some(until) => waiting(findings, Some(until)),
            None => unfinished(findings, next),
        };
    }
    match &document.resolved {
        Err(refused) => {
            let finding = Some(Finding::of(refused.outcome.clone()));
            match refused.stage {
                Stage::Verified => findings[1] = finding,
                Stage::Decrypted => {
                    let unknown =
                        Outcome::new(Reason::Progressing, "the document cannot be opened");
                    let verified = refused.verified.clone().map(Finding::of);
                    findings[1] = verified.or_else(|| Some(Finding::unknown(unknown)));
                    findings[2] = finding;
                }
            }
            waiting(findings, None)
        }
        Ok(resolution) => {
            findings[1] = Some(Finding::of(resolution.verified.clone()));
            let message = format!("{} values", resolution.desired.keys);
            findings[2] = Some(Finding::of(Outcome::new(Reason::Decrypted, message)));
            let desired = resolution.desired.clone();
            if let Some(outcome) = step_backwards(state, resolution) {
                findings[1] = Some(Finding::of(outcome));
                return waiting(findings, None);
            }
            deliver(state, &desired, context, findings)
        }
    }
}

/// Why the revision is refused, when it is lower than the highest one applied. The record and the status
/// both know that; the higher one counts, since either may be lost.
fn step_backwards(state: &State, resolution: &Resolution) -> Option<Outcome> {
    let recorded = state
        .record
        .present()
        .map_or(0, |seen| seen.record.revision);
    let highest = recorded.max(state.status.last_applied_revision.unwrap_or(0));
    let revision = resolution
        .desired
        .revision
        .filter(|_| resolution.forward_only)?;
    (revision < highest).then(|| {
        let message =
            format!("revision {revision} is lower than {highest}, which was applied before; sealctl encrypt FILE seals what git revert brought back under a new one");
        Outcome::new(Reason::RevisionTooOld, message)
    })
}

fn waiting(findings: Findings, until: Option<Duration>) -> Pass {
    unfinished(findings, Next::Wait(until))
}

fn unfinished(findings: Findings, next: Next) -> Pass {
    Pass {
        next,
        findings,
        rollouts: None,
        bootstrap: None,
    }
}

/// The stages after *resolve*: objects, rollouts, superuser, and what is left to tidy.
fn deliver(state: &mut State, desired: &Desired, context: &Context, findings: Findings) -> Pass {
    let mut findings = findings;
    let now = context.now;
    if let Some(until) = trouble_wait(state, ConditionKind::Applied, 3, &mut findings, now) {
        return waiting(findings, Some(until));
    }
    let record = Next::Look(Look {
        record: true,
        ..Look::default()
    });
    if state.record == Seen::Unknown && !state.untouched {
        return unfinished(findings, record);
    }
    let (next, finding) = objects::next(state, desired, now);
    findings[3] = Some(finding);
    if let Some(next) = next {
        trouble_wait(state, ConditionKind::RolledOut, 4, &mut findings, now);
        return unfinished(findings, next);
    }
    // Without an object to write nothing has proven that there is no record.
    if state.record == Seen::Unknown {
        return unfinished(findings, record);
    }
    let judgements = match rollout::judgements(state, desired, now) {
        Judgements::Known(judgements) => judgements,
        Judgements::Look(look) => return unfinished(findings, Next::Look(look)),
        Judgements::Later(until) => {
            trouble_wait(state, ConditionKind::RolledOut, 4, &mut findings, now);
            return waiting(findings, Some(until));
        }
        Judgements::NotKnownYet => {
            let unknown = Outcome::new(Reason::Progressing, "workloads are being listed");
            findings[4] = Some(Finding::unknown(unknown));
            return waiting(findings, None);
        }
    };
    rollout::follow(state, desired, &judgements, now);
    let rollouts = rollout::next(state, desired, &judgements, now, context.slots);
    let rolled_out = matches!(
        rollouts.finding.outcome.reason,
        Reason::RolledOut | Reason::NotRequested
    );
    findings[4] = Some(rollouts.finding);
    let bootstrap = superuser::next(state, desired, rolled_out, now);
    findings[5] = Some(bootstrap.finding);
    let troubled = [
        trouble_wait(state, ConditionKind::RolledOut, 4, &mut findings, now),
        trouble_wait(state, ConditionKind::Bootstrapped, 5, &mut findings, now),
    ];
    let [restart_pause, bootstrap_pause] = troubled;
    let wanted = [
        restart_pause.map_or(rollouts.next, |until| Some(Next::Wait(Some(until)))),
        bootstrap_pause.map_or(bootstrap.next, |until| Some(Next::Wait(Some(until)))),
    ];
    let tidy = || {
        let late = recording::late(state, desired, &judgements).map(Next::Act);
        late.or_else(|| rolled_out.then(|| objects::prune(state, desired)).flatten())
    };
    let next = choose(wanted, tidy);
    Pass {
        next,
        findings,
        rollouts: Some(rollouts.statuses),
        bootstrap: Some(bootstrap.status),
    }
}

/// The first stage that wants to do something; what can be tidied meanwhile; else the shortest wait.
fn choose(wanted: [Option<Next>; 2], tidy: impl FnOnce() -> Option<Next>) -> Next {
    let mut until: Option<Duration> = None;
    for next in wanted.into_iter().flatten() {
        match next {
            Next::Wait(moment) => {
                until = match (until, moment) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                };
            }
            Next::Look(_) | Next::Act(_) => return next,
        }
    }
    tidy().unwrap_or(Next::Wait(until))
}

/// Until when a stage that failed waits; its finding says why it failed.
fn trouble_wait(
    state: &State,
    kind: ConditionKind,
    place: usize,
    findings: &mut Findings,
    now: Now,
) -> Option<Duration> {
    let trouble = state.troubles.get(&kind)?;
    if trouble.until <= now.monotonic {
        return None;
    }
    findings[place] = Some(Finding::of(trouble.failure.outcome.clone()));
    Some(trouble.until)
}
