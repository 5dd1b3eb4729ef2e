//! How many rollouts one SealedEnv has in flight, for the limit over all of them.
//!
//! Counted are workloads that it has stamped, or is about to, and that are neither complete nor failed. A
//! newer document ends no rollout that is under way, so they are counted apart from the wave.

use std::collections::{BTreeMap, BTreeSet};

use super::conditions::RolloutState;
use super::desired::Desired;
use super::effect::{Effect, Stamp};
use super::rollout;
use super::snapshot::Workload;
use super::state::{State, UnderWay};
use super::usage;
use crate::clock::Now;
use crate::digest::Digest;
use crate::env::WorkloadRef;

/// The rollouts in flight, stamps without an answer included. `None` while the workloads are not known.
pub(super) fn count(state: &State) -> Option<usize> {
    let workloads = state.workloads.as_ref()?;
    let stamps: &[Stamp] = match &state.under_way {
        Some(UnderWay::Act(Effect::Stamp(stamps))) => stamps,
        Some(UnderWay::Act(_) | UnderWay::Look(_)) | None => &[],
    };
    let mut ids: BTreeSet<&WorkloadRef> = stamps.iter().map(|stamp| &stamp.workload).collect();
    if state.wave.content.is_some() {
        ids.extend(state.in_flight.keys());
    } else {
        let begun = workloads
            .values()
            .filter(|workload| is_begun(state, workload));
        ids.extend(begun.map(|workload| &workload.id));
    }
    Some(ids.len())
}

/// Takes over, in the first pass, what a former process has stamped.
pub(super) fn find(state: &mut State) {
    if state.wave.content.is_some() {
        return;
    }
    let workloads = state.workloads.iter().flat_map(BTreeMap::values);
    let begun = workloads.filter(|workload| is_begun(state, workload));
    let begun: BTreeMap<_, _> = begun
        .map(|workload| (workload.id.clone(), workload.version.clone()))
        .collect();
    state.in_flight.extend(begun);
}

/// Drops what is no longer in flight: complete, failed, or no reader any more.
pub(super) fn land(
    state: &mut State,
    desired: &Desired,
    is_reader: impl Fn(&WorkloadRef) -> bool,
    now: Now,
) {
    let mut in_flight = std::mem::take(&mut state.in_flight);
    in_flight.retain(|id, _| {
        let workload = state.workloads.as_ref().and_then(|all| all.get(id));
        workload.is_some_and(|workload| {
            let failed = rollout::failure(state, desired, workload, now);
            is_reader(id) && !workload.is_complete() && failed.is_none()
        })
    });
    state.in_flight = in_flight;
}

/// Whether a workload carries our marker and is being rolled, for all that is known before the first pass:
/// a former process may have stamped it.
fn is_begun(state: &State, workload: &Workload) -> bool {
    let marker = workload.markers.get(&state.owner.name);
    let digest: Option<Digest> = marker.and_then(|text| text.parse().ok());
    let was_done = state.status.rollouts.iter().any(|former| {
        let content = former.content_hash;
        former.workload == workload.id
            && former.state == RolloutState::Done
            && (digest == Some(content) || digest == Some(usage::again(content)))
    });
    marker.is_some() && workload.failed.is_none() && !workload.is_complete() && !was_done
}
