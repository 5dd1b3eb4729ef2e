//! The status of a SealedEnv: from the planner's value to the fields of the custom resource and back.
//!
//! Nothing is added and nothing decided. What a later or earlier version wrote and this one does not
//! know is left out when it is read.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::crd;
use crate::digest::Digest;
use crate::env::{ObjectKind, WorkloadKind, WorkloadRef};
use crate::plan::conditions::{
    BootstrapState, BootstrapStatus, Condition, ConditionKind, RolloutState, RolloutStatus, Status,
    Target, TargetState, Truth,
};
use crate::plan::snapshot::ObjectId;
use crate::reason::Reason;

/// The fields of the custom resource for `status`.
#[must_use]
pub fn to_resource(status: &Status) -> crd::SealedEnvStatus {
    let Status {
        observed_generation,
        conditions,
        last_attempted_revision,
        last_applied_revision,
        last_attempted_commit,
        last_applied_commit,
        last_verified_time,
        last_handled_reconcile_at,
        keys,
        content_hash,
        targets,
        rollouts,
        bootstrap,
    } = status;
    crd::SealedEnvStatus {
        observed_generation: Some(*observed_generation),
        conditions: conditions.iter().map(write_condition).collect(),
        last_attempted_revision: last_attempted_revision.map(signed),
        last_applied_revision: last_applied_revision.map(signed),
        last_attempted_commit: last_attempted_commit.clone(),
        last_applied_commit: last_applied_commit.clone(),
        last_verified_time: last_verified_time.map(Time),
        last_handled_reconcile_at: last_handled_reconcile_at.clone(),
        next_retry_time: None,
        keys: keys.map(count),
        content_hash: content_hash.map(|digest| digest.to_string()),
        targets: targets.iter().map(write_target).collect(),
        rollouts: rollouts.iter().map(write_rollout).collect(),
        bootstrap: bootstrap.as_ref().map(write_bootstrap),
    }
}

/// The planner's value of what stands in the custom resource.
#[must_use]
pub fn from_resource(status: &crd::SealedEnvStatus) -> Status {
    let crd::SealedEnvStatus {
        observed_generation,
        conditions,
        last_attempted_revision,
        last_applied_revision,
        last_attempted_commit,
        last_applied_commit,
        last_verified_time,
        last_handled_reconcile_at,
        next_retry_time: _,
        keys,
        content_hash,
        targets,
        rollouts,
        bootstrap,
    } = status;
    let mut conditions: Vec<_> = conditions.iter().filter_map(read_condition).collect();
    conditions.sort_by_key(|condition| condition.kind);
    Status {
        observed_generation: observed_generation.unwrap_or(-1),
        conditions,
        last_attempted_revision: last_attempted_revision.and_then(|number| number.try_into().ok()),
        last_applied_revision: last_applied_revision.and_then(|number| number.try_into().ok()),
        last_attempted_commit: last_attempted_commit.clone(),
        last_applied_commit: last_applied_commit.clone(),
        last_verified_time: last_verified_time.as_ref().map(|time| time.0),
        last_handled_reconcile_at: last_handled_reconcile_at.clone(),
        keys: keys.and_then(|number| number.try_into().ok()),
        content_hash: digest(content_hash.as_ref()),
        targets: targets.iter().filter_map(read_target).collect(),
        rollouts: rollouts.iter().filter_map(read_rollout).collect(),
        bootstrap: bootstrap.as_ref().map(read_bootstrap),
    }
}

fn write_condition(condition: &Condition) -> crd::Condition {
    crd::Condition {
        type_: condition.kind.as_str().to_owned(),
        status: match condition.truth {
            Truth::True => crd::ConditionStatus::True,
            Truth::False => crd::ConditionStatus::False,
            Truth::Unknown => crd::ConditionStatus::Unknown,
        },
        reason: condition.reason.as_str().to_owned(),
        message: condition.message.clone(),
        last_transition_time: Time(condition.since),
        observed_generation: Some(condition.observed_generation),
    }
}

fn read_condition(condition: &crd::Condition) -> Option<Condition> {
    let kinds = ConditionKind::ALL;
    let mut reasons = Reason::ALL.iter();
    Some(Condition {
        kind: kinds
            .into_iter()
            .find(|kind| kind.as_str() == condition.type_)?,
        truth: match condition.status {
            crd::ConditionStatus::True => Truth::True,
            crd::ConditionStatus::False => Truth::False,
            crd::ConditionStatus::Unknown => Truth::Unknown,
        },
        reason: *reasons.find(|reason| reason.as_str() == condition.reason)?,
        message: condition.message.clone(),
        since: condition.last_transition_time.0,
        observed_generation: condition.observed_generation.unwrap_or(-1),
    })
}

fn write_target(target: &Target) -> crd::Target {
    crd::Target {
        kind: target.id.kind.to_string(),
        name: target.id.name.clone(),
        uid: some_text(&target.uid),
        resource_version: some_text(&target.resource_version),
        keys: Some(count(target.keys)),
        content_hash: target.content_hash.map(|digest| digest.to_string()),
        state: match target.state {
            TargetState::Applied => crd::TargetState::Applied,
            TargetState::Pending => crd::TargetState::Pending,
            TargetState::Foreign => crd::TargetState::Foreign,
        },
    }
}

fn read_target(target: &crd::Target) -> Option<Target> {
    let kind = [ObjectKind::ConfigMap, ObjectKind::Secret]
        .into_iter()
        .find(|kind| kind.to_string() == target.kind)?;
    Some(Target {
        id: ObjectId {
            kind,
            name: target.name.clone(),
        },
        uid: target.uid.clone().unwrap_or_default(),
        resource_version: target.resource_version.clone().unwrap_or_default(),
        keys: target
            .keys
            .and_then(|keys| keys.try_into().ok())
            .unwrap_or_default(),
        content_hash: digest(target.content_hash.as_ref()),
        state: match target.state {
            crd::TargetState::Applied => TargetState::Applied,
            crd::TargetState::Pending => TargetState::Pending,
            crd::TargetState::Foreign => TargetState::Foreign,
        },
    })
}

fn write_rollout(rollout: &RolloutStatus) -> crd::Rollout {
    crd::Rollout {
        kind: rollout.workload.kind.kind().to_owned(),
        name: rollout.workload.name.to_string(),
        content_hash: Some(rollout.content_hash.to_string()),
        desired: Some(rollout.desired),
        ready: Some(rollout.ready),
        state: match rollout.state {
            RolloutState::Waiting => crd::RolloutState::Waiting,
            RolloutState::Rolling => crd::RolloutState::Rolling,
            RolloutState::Done => crd::RolloutState::Done,
            RolloutState::Failed => crd::RolloutState::Failed,
            RolloutState::Skipped => crd::RolloutState::Skipped,
        },
        reason: some_text(&rollout.reason),
    }
}

fn read_rollout(rollout: &crd::Rollout) -> Option<RolloutStatus> {
    let kind = WorkloadKind::ALL
        .into_iter()
        .find(|kind| kind.kind() == rollout.kind)?;
    Some(RolloutStatus {
        workload: WorkloadRef {
            kind,
            name: rollout.name.parse().ok()?,
        },
        content_hash: digest(rollout.content_hash.as_ref())?,
        desired: rollout.desired.unwrap_or_default(),
        ready: rollout.ready.unwrap_or_default(),
        state: match rollout.state {
            crd::RolloutState::Waiting => RolloutState::Waiting,
            crd::RolloutState::Rolling => RolloutState::Rolling,
            crd::RolloutState::Done => RolloutState::Done,
            crd::RolloutState::Failed => RolloutState::Failed,
            crd::RolloutState::Skipped => RolloutState::Skipped,
        },
        reason: rollout.reason.clone().unwrap_or_default(),
    })
}

fn write_bootstrap(bootstrap: &BootstrapStatus) -> crd::Bootstrap {
    crd::Bootstrap {
        id: bootstrap.id.clone(),
        job: some_text(&bootstrap.job),
        state: match bootstrap.state {
            BootstrapState::Waiting => crd::BootstrapState::Waiting,
            BootstrapState::Running => crd::BootstrapState::Running,
            BootstrapState::Done => crd::BootstrapState::Done,
            BootstrapState::Failed => crd::BootstrapState::Failed,
            BootstrapState::Lost => crd::BootstrapState::Lost,
        },
        completed_at: bootstrap.completed_at.map(Time),
        requested: bootstrap.requested,
    }
}

fn read_bootstrap(bootstrap: &crd::Bootstrap) -> BootstrapStatus {
    BootstrapStatus {
        id: bootstrap.id.clone(),
        job: bootstrap.job.clone().unwrap_or_default(),
        state: match bootstrap.state {
            crd::BootstrapState::Waiting => BootstrapState::Waiting,
            crd::BootstrapState::Running => BootstrapState::Running,
            crd::BootstrapState::Done => BootstrapState::Done,
            crd::BootstrapState::Failed => BootstrapState::Failed,
            crd::BootstrapState::Lost => BootstrapState::Lost,
        },
        completed_at: bootstrap.completed_at.as_ref().map(|time| time.0),
        requested: bootstrap.requested,
    }
}

/// Kubernetes has no unsigned numbers; no counter comes near the limit.
fn signed(number: u64) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

fn count(number: usize) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

fn some_text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn digest(text: Option<&String>) -> Option<Digest> {
    text?.parse().ok()
}

/// `moment` as the API server gives it back: without parts of a second.
#[must_use]
pub fn whole_seconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        let time = Timestamp::from_second(1_795_000_000).unwrap();
        let digest = Digest::combine([&b"x"[..]]);
        let condition = |kind, truth, reason| Condition {
            kind,
            truth,
            reason,
            message: "patch Secret web/a: forbidden".into(),
            since: time,
            observed_generation: 3,
        };
        Status {
            observed_generation: 3,
            conditions: vec![
                condition(ConditionKind::Ready, Truth::False, Reason::Forbidden),
                condition(ConditionKind::Stalled, Truth::True, Reason::Forbidden),
                condition(
                    ConditionKind::RolledOut,
                    Truth::Unknown,
                    Reason::Progressing,
                ),
            ],
            last_attempted_revision: Some(8),
            last_applied_revision: Some(7),
            last_attempted_commit: Some("abc".into()),
            last_applied_commit: None,
            last_verified_time: Some(time),
            last_handled_reconcile_at: Some("2026-11-21T10:00:00Z".into()),
            keys: Some(12),
            content_hash: Some(digest),
            targets: vec![Target {
                id: ObjectId {
                    kind: ObjectKind::Secret,
                    name: "a".into(),
                },
                uid: "u".into(),
                resource_version: "5".into(),
                keys: 2,
                content_hash: Some(digest),
                state: TargetState::Applied,
            }],
            rollouts: vec![RolloutStatus {
                workload: WorkloadRef {
                    kind: WorkloadKind::Deployment,
                    name: "web".parse().unwrap(),
                },
                content_hash: digest,
                desired: 3,
                ready: 1,
                state: RolloutState::Rolling,
                reason: String::new(),
            }],
            bootstrap: Some(BootstrapStatus {
                id: "1f2e3d4c".into(),
                job: "seald-bootstrap-web-1f2e3d4c".into(),
                state: BootstrapState::Done,
                completed_at: Some(time),
                requested: true,
            }),
        }
    }

    #[test]
    fn writing_and_reading_a_status_changes_nothing() {
        let status = status();
        let json = serde_json::to_value(to_resource(&status)).unwrap();
        let read: crd::SealedEnvStatus = serde_json::from_value(json).unwrap();
        assert_eq!(from_resource(&read), status);
    }

    #[test]
    fn the_status_of_a_new_object_is_that_before_the_first_pass() {
        let read = from_resource(&crd::SealedEnvStatus::default());
        assert_eq!(read.observed_generation, -1);
        assert!(read.conditions.is_empty());
    }

    #[test]
    fn what_another_version_wrote_is_left_out() {
        let mut resource = to_resource(&status());
        resource.conditions[1].reason = "FromTheFuture".into();
        resource.targets[0].kind = "Volume".into();
        let read = from_resource(&resource);
        assert_eq!(read.conditions.len(), 2);
        assert!(read.targets.is_empty());
    }
}
