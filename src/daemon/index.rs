//! What the watches have seen of workloads and Jobs, shared by all SealedEnvs of a namespace.
//!
//! Holds extracts only. The router writes; each SealedEnv takes out what concerns it.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use super::interest::Interest;
use crate::env::{WorkloadKind, WorkloadRef};
use crate::plan::snapshot::{JobSeen, Workload};

/// The index.
#[derive(Debug, Default)]
pub(super) struct Index {
    namespaces: RwLock<BTreeMap<String, Namespace>>,
}

#[derive(Debug, Default)]
struct Namespace {
    workloads: BTreeMap<WorkloadRef, Workload>,
    jobs: BTreeMap<String, JobSeen>,
}

impl Index {
    /// Stores a workload and returns what was known of it before.
    pub(super) fn put_workload(&self, namespace: &str, workload: Workload) -> Option<Workload> {
        self.write(|all| {
            let space = all.entry(namespace.to_owned()).or_default();
            space.workloads.insert(workload.id.clone(), workload)
        })
    }

    /// Forgets a workload.
    pub(super) fn drop_workload(&self, namespace: &str, id: &WorkloadRef) -> Option<Workload> {
        self.write(|all| all.get_mut(namespace)?.workloads.remove(id))
    }

    /// Replaces all workloads of one kind, in `scope` or everywhere, and returns the namespaces that
    /// this touches.
    pub(super) fn replace_workloads(
        &self,
        scope: Option<&str>,
        kind: WorkloadKind,
        workloads: Vec<(String, Workload)>,
    ) -> Vec<String> {
        self.write(|all| {
            for (name, space) in all.iter_mut() {
                if scope.is_none_or(|scope| scope == name) {
                    space.workloads.retain(|id, _| id.kind != kind);
                }
            }
            for (namespace, workload) in workloads {
                let space = all.entry(namespace).or_default();
                space.workloads.insert(workload.id.clone(), workload);
            }
            all.keys()
                .filter(|name| scope.is_none_or(|scope| scope == *name))
                .cloned()
                .collect()
        })
    }

    /// Stores a Job.
    pub(super) fn put_job(&self, namespace: &str, job: JobSeen) {
        self.write(|all| {
            all.entry(namespace.to_owned())
                .or_default()
                .jobs
                .insert(job.name.clone(), job);
        });
    }

    /// Forgets a Job.
    pub(super) fn drop_job(&self, namespace: &str, name: &str) {
        self.write(|all| {
            if let Some(space) = all.get_mut(namespace) {
                space.jobs.remove(name);
            }
        });
    }

    /// Replaces all Jobs, in `scope` or everywhere.
    pub(super) fn replace_jobs(&self, scope: Option<&str>, jobs: Vec<(String, JobSeen)>) {
        self.write(|all| {
            for (name, space) in all.iter_mut() {
                if scope.is_none_or(|scope| scope == name) {
                    space.jobs.clear();
                }
            }
            for (namespace, job) in jobs {
                all.entry(namespace)
                    .or_default()
                    .jobs
                    .insert(job.name.clone(), job);
            }
        });
    }

    /// One workload.
    pub(super) fn workload(&self, namespace: &str, id: &WorkloadRef) -> Option<Workload> {
        self.read(|all| all.get(namespace)?.workloads.get(id).cloned())
    }

    /// One Job.
    pub(super) fn job(&self, namespace: &str, name: &str) -> Option<JobSeen> {
        self.read(|all| all.get(namespace)?.jobs.get(name).cloned())
    }

    /// The workloads that `interest` is about.
    pub(super) fn workloads(
        &self,
        namespace: &str,
        interest: &Interest,
    ) -> BTreeMap<WorkloadRef, Workload> {
        self.read(|all| {
            let workloads = all
                .get(namespace)
                .into_iter()
                .flat_map(|space| &space.workloads);
            workloads
                .filter(|(_, workload)| interest.is_about(workload))
                .map(|(id, workload)| (id.clone(), workload.clone()))
                .collect()
        })
    }

    /// The Jobs that `interest` is about.
    pub(super) fn jobs(&self, namespace: &str, interest: &Interest) -> Vec<JobSeen> {
        self.read(|all| {
            let jobs = all
                .get(namespace)
                .into_iter()
                .flat_map(|space| space.jobs.values());
            jobs.filter(|job| interest.is_about_job(job))
                .cloned()
                .collect()
        })
    }

    fn write<T>(&self, change: impl FnOnce(&mut BTreeMap<String, Namespace>) -> T) -> T {
        change(
            &mut self
                .namespaces
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn read<T>(&self, look: impl FnOnce(&BTreeMap<String, Namespace>) -> T) -> T {
        look(
            &self
                .namespaces
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}
