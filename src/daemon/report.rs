//! The stage *report*, as far as it is numbers and log lines: status and Events are effects.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::shared::Key;
use crate::env::ObjectKind;
use crate::plan::conditions::{ConditionKind, RolloutState, Status, TargetState, Truth};
use crate::plan::effect::Effect;
use crate::plan::state::State;
use crate::telemetry::metrics::{ByCondition, ByPlace, BySealedEnv, Metrics};

/// What an effect does, in words for the log: kinds and names only.
pub(super) fn describe(effect: &Effect) -> String {
    match effect {
        Effect::WriteRecord { .. } => "Write of the record".into(),
        Effect::ApplyObject { id, .. } => format!("Apply of {id}"),
        Effect::DeleteObject { id, .. } => format!("Deletion of {id}"),
        Effect::Stamp(stamps) => match stamps.as_slice() {
            [one] => format!("Restart of {}", one.workload),
            many => format!("Restart of {} workloads", many.len()),
        },
        Effect::WriteCredentials { .. } => "Write of the superuser's credentials".into(),
        Effect::DeleteCredentials(_) => "Deletion of the superuser's credentials".into(),
        Effect::CreateJob { id, .. } => format!("Creation of superuser Job {id}"),
        Effect::ReleaseJob { name, .. } => format!("Release of Job {name}"),
        Effect::DeleteJob { name, .. } => format!("Deletion of Job {name}"),
        Effect::DeleteRecord => "Deletion of the record".into(),
        Effect::WriteFinalizer { present: true } => "Write of the finalizer".into(),
        Effect::WriteFinalizer { present: false } => "Removal of the finalizer".into(),
        Effect::WriteStatus(_) => "Write of the status".into(),
        Effect::Observe(_) | Effect::Emit(_) | Effect::Wake(_) => "Reading".into(),
    }
}

/// How many objects are in place, by SealedEnv. The metric has no label for the SealedEnv.
#[derive(Debug, Default)]
pub(super) struct Managed(Mutex<BTreeMap<Key, [usize; 2]>>);

impl Managed {
    /// Takes up how many objects the status of one SealedEnv says are in place.
    pub(super) fn report(&self, metrics: &Metrics, key: &Key, status: &Status) {
        let count = |kind: ObjectKind| {
            let targets = status.targets.iter();
            let in_place = targets.filter(|target| target.state == TargetState::Applied);
            in_place.filter(|target| target.id.kind == kind).count()
        };
        self.set(metrics, key, KINDS.map(count));
    }

    /// Forgets a SealedEnv.
    pub(super) fn forget(&self, metrics: &Metrics, key: &Key) {
        self.set(metrics, key, [0, 0]);
    }

    fn set(&self, metrics: &Metrics, key: &Key, counts: [usize; 2]) {
        let (namespace, _) = key;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let former = if counts == [0, 0] {
            all.remove(key)
        } else {
            all.insert(key.clone(), counts)
        };
        if former.unwrap_or_default() == counts {
            return;
        }
        let from = (namespace.clone(), String::new());
        for (at, kind) in KINDS.into_iter().enumerate() {
            let here = all.range(from.clone()..);
            let here = here.take_while(|((space, _), _)| space == namespace);
            let sum: usize = here.filter_map(|(_, counts)| counts.get(at)).sum();
            let place = ByPlace::new(namespace, kind.to_string());
            let sum = i64::try_from(sum).unwrap_or(i64::MAX);
            metrics.managed_objects.get_or_create(&place).set(sum);
        }
    }
}

const KINDS: [ObjectKind; 2] = [ObjectKind::ConfigMap, ObjectKind::Secret];

/// Shows the state of one SealedEnv in the metrics.
pub(super) fn show(metrics: &Metrics, key: &Key, state: &State) {
    let (namespace, name) = key;
    for condition in &state.status().conditions {
        if matches!(
            condition.kind,
            ConditionKind::Reconciling | ConditionKind::Stalled
        ) {
            continue;
        }
        for (truth, word) in [
            (Truth::True, "True"),
            (Truth::False, "False"),
            (Truth::Unknown, "Unknown"),
        ] {
            let label = ByCondition::new(namespace, name, condition.kind.as_str(), word);
            // A status that never held has no series: there are many SealedEnvs.
            if condition.truth == truth {
                metrics.conditions.get_or_create(&label).set(1);
            } else if let Some(former) = metrics.conditions.get(&label) {
                former.set(0);
            }
        }
    }
    let verified = state.status().last_verified_time;
    if let Some(moment) = verified {
        let seconds = metrics
            .last_success
            .get_or_create(&BySealedEnv::new(namespace, name))
            .clone();
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds since 1970 fit a double exactly"
        )]
        seconds.set(moment.as_second() as f64);
    }
}

/// How many workloads of a SealedEnv wait for their turn.
pub(super) fn waiting(state: &State) -> usize {
    let rollouts = state.status().rollouts.iter();
    rollouts
        .filter(|rollout| rollout.state == RolloutState::Waiting)
        .count()
}
