//! The simulated cluster: objects with guards and owned fields, workloads that roll in small steps,
//! Jobs with a finalizer, and a history for watches.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::document::{Data, Doc, digests};
use crate::clock::Now;
use crate::digest::Digest;
use crate::env::{WorkloadKind, WorkloadRef};
use crate::plan::conditions::Status;
use crate::plan::effect::Note;
use crate::plan::record::{Record, Word};
use crate::plan::snapshot::{
    JobSeen, JobState, ObjectId, ObjectSeen, PodsSeen, Reference, Version, Workload,
};

/// Steps without progress after which a Deployment reports failure.
const DEADLINE: u32 = 6;

/// Everything in one namespace.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    clock: Duration,
    counter: u64,
    pub(super) docs: BTreeMap<String, Doc>,
    pub(super) status: BTreeMap<String, Status>,
    pub(super) records: BTreeMap<String, (Version, Record)>,
    pub(super) objects: BTreeMap<ObjectId, Object>,
    pub(super) credentials: BTreeMap<String, Object>,
    pub(super) workloads: BTreeMap<WorkloadRef, Load>,
    pub(super) jobs: BTreeMap<String, JobSeen>,
    pub(super) words: BTreeMap<String, Word>,
    /// How often a Job of this name was made.
    pub(super) jobs_made: BTreeMap<String, u32>,
    /// Every write that changed something, in order.
    pub(super) log: Vec<String>,
    pub(super) notes: Vec<Note>,
    pub(super) history: Vec<Change>,
    /// The API server does not answer.
    pub(super) away: bool,
    /// Kinds of requests that RBAC forbids: `apply`, `delete`, `stamp`, `pods`, `credentials`.
    pub(super) forbidden: BTreeSet<&'static str>,
    /// Requests of any kind, failed ones included.
    pub(super) requests: usize,
}

/// What a watch tells.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Workload(WorkloadRef, Option<Box<Workload>>),
    Job(String, Option<Box<JobSeen>>),
    Document,
}

/// A ConfigMap or Secret.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) version: Version,
    pub(super) owner: Option<String>,
    pub(super) owner_uid: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) adopt: Option<String>,
    pub(super) content: Option<Digest>,
    pub(super) data: Data,
    /// Keys that the field manager `seald` owns.
    pub(super) managed: BTreeSet<String>,
    pub(super) changed_at: Option<Timestamp>,
    pub(super) disturbed_at: Option<Timestamp>,
    pub(super) keep: bool,
    pub(super) immutable: bool,
    pub(super) secret_type: String,
}

impl Object {
    pub(super) fn seen(&self, content: bool) -> ObjectSeen {
        let foreign = |key: &&String| !self.managed.contains(*key);
        ObjectSeen {
            version: self.version.clone(),
            owner: self.owner.clone(),
            owner_uid: self.owner_uid.clone(),
            environment: self.environment.clone(),
            adopt: self.adopt.clone(),
            content: self.content,
            managed: !self.managed.is_empty(),
            changed_at: self.changed_at,
            disturbed_at: self.disturbed_at,
            keep: self.keep,
            immutable: self.immutable,
            secret_type: if content {
                self.secret_type.clone()
            } else {
                String::new()
            },
            keys: content.then(|| digests(&self.data)),
            foreign_keys: if content {
                self.data.keys().filter(foreign).cloned().collect()
            } else {
                BTreeSet::new()
            },
        }
    }
}

/// A workload with its pods.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) seen: Workload,
    /// Counts changes of the pod template: each is one rollout.
    pub(super) rollouts: u32,
    pub(super) pods: Vec<Pod>,
    /// Its pods never get ready while this holds.
    pub(super) broken: bool,
    /// Its pods do not get ready while they read this value.
    pub(super) dislikes: Option<String>,
    stuck: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Pod {
    template: u32,
    pub(super) started: Option<Timestamp>,
    pub(super) read: BTreeMap<ObjectId, Data>,
    ready: bool,
}

impl World {
    pub(super) fn new(name: &str, doc: Doc) -> Self {
        let docs = BTreeMap::from([(name.to_owned(), doc)]);
        Self {
            docs,
            ..Self::default()
        }
    }

    pub(super) fn now(&self) -> Now {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let seconds = Duration::from_secs(self.clock.as_secs());
        Now {
            monotonic: self.clock,
            wall: start + seconds,
        }
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.clock += by;
    }

    pub(super) fn doc(&mut self) -> &mut Doc {
        self.history.push(Change::Document);
        self.docs.get_mut("polls").unwrap()
    }

    pub(super) fn fresh_version(&mut self, uid: Option<&str>) -> Version {
        self.counter += 1;
        let uid = uid.map_or_else(|| format!("uid-{}", self.counter), str::to_owned);
        Version {
            uid,
            resource: self.counter.to_string(),
        }
    }

    // === workloads ===

    /// Adds a workload with two replicas that reads `references`.
    pub(super) fn add(&mut self, id: WorkloadRef, references: Vec<Reference>) {
        let seen = Workload {
            version: self.fresh_version(None),
            generation: 1,
            observed_generation: 0,
            references,
            markers: BTreeMap::new(),
            paused: false,
            on_delete: false,
            opted_out: None,
            selector: format!("app={}", id.name),
            desired: 2,
            updated: 0,
            ready: 0,
            available: 0,
            total: 0,
            failed: None,
            id: id.clone(),
        };
        let load = Load {
            seen,
            rollouts: 0,
            pods: Vec::new(),
            broken: false,
            dislikes: None,
            stuck: 0,
        };
        self.workloads.insert(id.clone(), load);
        self.announce(&id);
    }

    /// Edits a workload as somebody else; a changed template rolls its pods.
    pub(super) fn edit(
        &mut self,
        id: &WorkloadRef,
        template: bool,
        edit: impl FnOnce(&mut Workload),
    ) {
        let uid = self.workloads[id].seen.version.uid.clone();
        let version = self.fresh_version(Some(&uid));
        let load = self.workloads.get_mut(id).unwrap();
        edit(&mut load.seen);
        load.seen.version = version;
        if template {
            load.seen.generation += 1;
            load.rollouts += 1;
            load.stuck = 0;
        }
        self.announce(id);
    }

    fn announce(&mut self, id: &WorkloadRef) {
        let seen = self.workloads[id].seen.clone();
        self.history
            .push(Change::Workload(id.clone(), Some(Box::new(seen))));
    }

    pub(super) fn rollouts(&self, name: &str) -> u32 {
        self.workloads[&super::document::deployment(name)].rollouts
    }

    pub(super) fn pods_seen(&self, id: &WorkloadRef) -> PodsSeen {
        let pods = self
            .workloads
            .get(id)
            .into_iter()
            .flat_map(|load| &load.pods);
        PodsSeen {
            starts: pods.filter_map(|pod| pod.started).collect(),
        }
    }

    /// Lets controllers do one small step; false when nothing moves.
    pub(super) fn progress(&mut self) -> bool {
        let ids: Vec<_> = self.workloads.keys().cloned().collect();
        let mut moved = false;
        for id in ids {
            if self.roll(&id) {
                moved = true;
                self.edit(&id, false, |_| {});
            }
        }
        if moved {
            self.advance(Duration::from_secs(1));
        }
        moved
    }

    /// One step of one workload: observe, start, replace.
    fn roll(&mut self, id: &WorkloadRef) -> bool {
        let wall = self.now().wall;
        let load = self.workloads.get_mut(id).unwrap();
        if load.seen.paused && load.seen.observed_generation == load.seen.generation {
            return false;
        }
        let before = load.seen.clone();
        load.seen.observed_generation = load.seen.generation;
        let template = load.rollouts;
        let wanted = usize::try_from(load.seen.desired).unwrap();
        let new = load
            .pods
            .iter()
            .filter(|pod| pod.template == template)
            .count();
        let mut moved = false;
        let replaceable = !load.seen.on_delete || load.pods.len() < wanted;
        let stuck_pod = load
            .pods
            .iter()
            .any(|pod| pod.template == template && !pod.ready);
        if new < wanted && !stuck_pod && replaceable && !load.seen.paused {
            let read = BTreeMap::new();
            load.pods.push(Pod {
                template,
                started: None,
                read,
                ready: false,
            });
            moved = true;
        }
        for pod in load.pods.iter_mut().filter(|pod| pod.template == template) {
            moved |= start(
                pod,
                load.broken,
                load.dislikes.as_deref(),
                &load.seen,
                &self.objects,
                wall,
            );
        }
        let ready = load
            .pods
            .iter()
            .filter(|pod| pod.template == template && pod.ready)
            .count();
        let surplus = load
            .pods
            .iter()
            .filter(|pod| pod.template != template)
            .count();
        if surplus > 0 && ready + surplus > wanted {
            let old = load
                .pods
                .iter()
                .position(|pod| pod.template != template)
                .unwrap();
            load.pods.remove(old);
            moved = true;
        }
        load.count(template);
        load.watch_deadline(moved, wanted);
        before != load.seen || moved || (1..DEADLINE).contains(&load.stuck)
    }

    // === Jobs ===

    /// Ends a Job.
    pub(super) fn end_job(&mut self, name: &str, state: JobState) {
        let version = self.fresh_version(Some(&self.jobs[name].version.uid.clone()));
        let job = self.jobs.get_mut(name).unwrap();
        job.state = state;
        job.version = version;
        self.announce_job(name);
    }

    pub(super) fn announce_job(&mut self, name: &str) {
        let job = self.jobs.get(name).cloned().map(Box::new);
        self.history.push(Change::Job(name.into(), job));
    }

    /// Collects Jobs that have ended and that nothing holds.
    pub(super) fn collect_jobs(&mut self) {
        let over = |job: &&JobSeen| job.state != JobState::Running && !job.held;
        let names: Vec<_> = self
            .jobs
            .values()
            .filter(over)
            .map(|job| job.name.clone())
            .collect();
        for name in names {
            self.jobs.remove(&name);
            self.announce_job(&name);
        }
    }

    // === other people's objects ===

    /// Somebody else writes an object.
    pub(super) fn plant(&mut self, id: ObjectId, data: Data) {
        let object = Object {
            version: self.fresh_version(None),
            owner: None,
            owner_uid: None,
            environment: None,
            adopt: None,
            content: None,
            data,
            managed: BTreeSet::new(),
            changed_at: None,
            disturbed_at: None,
            keep: false,
            immutable: false,
            secret_type: "Opaque".into(),
        };
        self.objects.insert(id, object);
    }

    /// Somebody else edits an object.
    pub(super) fn meddle(&mut self, id: &ObjectId, edit: impl FnOnce(&mut Object)) {
        let version = self.fresh_version(Some(&self.objects[id].version.uid.clone()));
        let now = self.now().wall;
        let object = self.objects.get_mut(id).unwrap();
        edit(object);
        object.disturbed_at.get_or_insert(now);
        object.version = version;
    }

    /// Whether every pod of `name` has read what lies there now.
    pub(super) fn runs_the_content(&self, name: &str) -> bool {
        let load = &self.workloads[&super::document::deployment(name)];
        let is_current = |pod: &Pod| {
            load.seen.references.iter().all(|reference| {
                let now = self
                    .objects
                    .get(&reference.object)
                    .map(|object| &object.data);
                let read = pod.read.get(&reference.object);
                match &reference.key {
                    None => read == now,
                    Some(key) => {
                        read.and_then(|data| data.get(key)) == now.and_then(|data| data.get(key))
                    }
                }
            })
        };
        load.pods
            .iter()
            .filter(|pod| pod.started.is_some())
            .all(is_current)
    }
}

/// Starts a pod when what it requires is there. True when something changed.
fn start(
    pod: &mut Pod,
    broken: bool,
    dislikes: Option<&str>,
    seen: &Workload,
    objects: &BTreeMap<ObjectId, Object>,
    wall: Timestamp,
) -> bool {
    if pod.started.is_none() {
        let missing =
            |reference: &Reference| !reference.optional && !objects.contains_key(&reference.object);
        if seen.references.iter().any(missing) {
            return false;
        }
        pod.started = Some(wall);
        let read = |reference: &Reference| {
            let object = objects.get(&reference.object)?;
            Some((reference.object.clone(), object.data.clone()))
        };
        pod.read = seen.references.iter().filter_map(read).collect();
        return true;
    }
    let mut values = pod.read.values().flat_map(Data::values);
    let liked = !values.any(|value| Some(value.as_str()) == dislikes);
    let ready = !broken && liked;
    std::mem::replace(&mut pod.ready, ready) != ready
}

impl Load {
    fn count(&mut self, template: u32) {
        let number = |count: usize| i32::try_from(count).unwrap();
        let new = self.pods.iter().filter(|pod| pod.template == template);
        self.seen.updated = number(new.count());
        self.seen.ready = number(self.pods.iter().filter(|pod| pod.ready).count());
        self.seen.available = self.seen.ready;
        self.seen.total = number(self.pods.len());
    }

    fn watch_deadline(&mut self, moved: bool, wanted: usize) {
        let new_ready = self
            .pods
            .iter()
            .filter(|pod| pod.template == self.rollouts && pod.ready);
        let done = new_ready.count() >= wanted;
        self.stuck = if moved || done {
            0
        } else {
            (self.stuck + 1).min(DEADLINE)
        };
        // The other kinds never say that a rollout has failed.
        let tells = self.seen.id.kind == WorkloadKind::Deployment;
        let failed = tells && self.stuck >= DEADLINE;
        self.seen.failed = failed.then(|| "ProgressDeadlineExceeded".into());
    }
}
