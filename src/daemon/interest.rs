//! Which workloads and Jobs concern a SealedEnv.

use std::collections::BTreeSet;

use crate::env::{After, WorkloadRef};
use crate::plan::desired::Desired;
use crate::plan::snapshot::{JobSeen, ObjectId, Workload};

/// What one SealedEnv wants to hear of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Interest {
    name: String,
    /// Objects that it delivers, or delivered and has still to delete.
    objects: BTreeSet<ObjectId>,
    /// The workload that the superuser Job clones.
    from: Option<WorkloadRef>,
    /// The Job that the superuser Job waits for.
    job: Option<String>,
}

impl Interest {
    /// The interest of the SealedEnv `name` with what it delivers; `former` names what it delivered.
    pub(super) fn of(
        name: &str,
        desired: Option<&Desired>,
        former: impl IntoIterator<Item = ObjectId>,
    ) -> Self {
        let user = desired.and_then(|desired| desired.superuser.as_ref());
        let delivered = desired.into_iter().flat_map(|desired| &desired.objects);
        let mut objects: BTreeSet<_> = delivered.map(|object| object.id.clone()).collect();
        objects.extend(former);
        Self {
            name: name.to_owned(),
            objects,
            from: user.map(|user| user.from.clone()),
            job: user.and_then(|user| match &user.after {
                After::Job(job) => Some(job.as_str().to_owned()),
                After::Rollout | After::Migrated => None,
            }),
        }
    }

    /// Whether `workload` reads what is delivered, or is the one that is cloned.
    pub(super) fn is_about(&self, workload: &Workload) -> bool {
        self.from.as_ref() == Some(&workload.id)
            || workload
                .references
                .iter()
                .any(|reference| self.objects.contains(&reference.object))
    }

    /// Whether `job` is a superuser Job of this SealedEnv, or the one that it waits for.
    pub(super) fn is_about_job(&self, job: &JobSeen) -> bool {
        job.owner.as_deref() == Some(&self.name) || self.job.as_ref() == Some(&job.name)
    }
}
