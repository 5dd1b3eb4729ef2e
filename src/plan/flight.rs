//! How many rollouts one SealedEnv has in flight, for the limit over all of them.
//!
//! Counted are workloads that it has stamped, or is about to, until they are complete, have failed or have
//! taken too long. Neither a newer document nor one that is suspended or refused changes that, so they are
//! counted apart from the wave.

use std::collections::BTreeSet;
use std::time::Duration;

use super::conditions::RolloutState;
use super::effect::{Effect, Stamp};
use super::snapshot::{Version, Workload};
use super::state::{Flight, State, UnderWay};
use super::usage;
use crate::clock::Now;
use crate::digest::Digest;
use crate::env::{WorkloadRef, Workloads};

/// The rollouts in flight, stamps without an answer included. `None` while the workloads are not known.
pub(super) fn count(state: &State) -> Option<usize> {
    state.workloads.as_ref()?;
    let stamps: &[Stamp] = match &state.under_way {
        Some(UnderWay::Act(Effect::Stamp(stamps))) => stamps,
        Some(UnderWay::Act(_) | UnderWay::Look(_)) | None => &[],
    };
    let mut ids: BTreeSet<&WorkloadRef> = stamps.iter().map(|stamp| &stamp.workload).collect();
    ids.extend(state.in_flight.keys());
    Some(ids.len())
}

/// Counts a workload that is being rolled.
pub(super) fn begin(state: &mut State, id: &WorkloadRef, version: &Version, now: Now) {
    let flight = Flight {
        version: version.clone(),
        since: now.monotonic,
    };
    state.in_flight.insert(id.clone(), flight);
}

/// Drops what is no longer in flight: gone, ended, or under way for too long.
pub(super) fn land(state: &mut State, now: Now) {
    let timeout = timeout(state);
    let workloads = state.workloads.as_ref();
    state.in_flight.retain(|id, flight| {
        let workload = workloads.and_then(|all| all.get(id));
        let ended = workload.is_none_or(Workload::has_ended);
        !ended && now.monotonic.saturating_sub(flight.since) < timeout
    });
}

/// When the next one will have taken too long.
pub(super) fn next_end(state: &State) -> Option<Duration> {
    let timeout = timeout(state);
    let ends = state
        .in_flight
        .values()
        .map(|flight| flight.since + timeout);
    ends.min()
}

/// That of the document, or the usual one while it cannot be read.
fn timeout(state: &State) -> Duration {
    let desired = state.desired();
    desired.map_or_else(
        || Workloads::default().timeout,
        |desired| desired.workloads.timeout,
    )
}

/// Whether a workload that is seen for the first time carries our marker and is being rolled: a former
/// process may have stamped it.
pub(super) fn is_begun(state: &State, workload: &Workload) -> bool {
    let marker = workload.markers.get(&state.owner.name);
    let digest: Option<Digest> = marker.and_then(|text| text.parse().ok());
    let was_done = state.status.rollouts.iter().any(|former| {
        let content = former.content_hash;
        former.workload == workload.id
            && former.state == RolloutState::Done
            && (digest == Some(content) || digest == Some(usage::again(content)))
    });
    marker.is_some() && !workload.has_ended() && !was_done
}
