//! When the record of a SealedEnv is written: before objects change, so far as their readers are concerned,
//! and the rest of it when all are in place.

use std::collections::BTreeMap;

use super::desired::Desired;
use super::effect::{Effect, Guard};
use super::record::Record;
use super::rollout::Judged;
use super::snapshot::Seen;
use super::state::State;
use crate::env::WorkloadRef;

/// The write of the record that has to come before an object changes: there is none, or its readers are
/// not up to date. The revision alone can wait until the objects are in place.
pub(super) fn early(
    state: &State,
    desired: &Desired,
    judgements: &BTreeMap<WorkloadRef, Judged>,
) -> Option<Effect> {
    let wanted = write(state, desired, judgements)?;
    match (&wanted, state.record.present()) {
        (Effect::WriteRecord { record, .. }, Some(seen))
            if record.workloads == seen.record.workloads =>
        {
            None
        }
        _ => Some(wanted),
    }
}

/// The write that brings the record up to date with `judgements`, or `None` when it is.
fn write(
    state: &State,
    desired: &Desired,
    judgements: &BTreeMap<WorkloadRef, Judged>,
) -> Option<Effect> {
    let seen = state.record.present();
    let former = seen.map(|seen| seen.record.clone()).unwrap_or_default();
    let entries = judgements
        .iter()
        .map(|(id, judged)| (id.clone(), judged.entry.clone()));
    let record = Record {
        revision: former.revision.max(desired.revision.unwrap_or(0)),
        bootstrap: former.bootstrap.clone(),
        workloads: entries.collect(),
    };
    let guard = seen.map_or(Guard::Create, |seen| Guard::Update(seen.version.clone()));
    (guard == Guard::Create || record != former).then_some(Effect::WriteRecord { record, guard })
}

/// Whether the record still has to be written although nothing else is to be done.
pub(super) fn late(
    state: &State,
    desired: &Desired,
    judgements: &BTreeMap<WorkloadRef, Judged>,
) -> Option<Effect> {
    match state.record {
        Seen::Unknown => None,
        Seen::Absent | Seen::Present(_) => write(state, desired, judgements),
    }
}
