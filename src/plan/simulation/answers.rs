//! How the simulated API server answers writes: guards, owned fields, "already exists".

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::cluster::{Object, World};
use super::process::Seald;
use crate::digest::Digest;
use crate::plan::effect::{Answer, Effect, Failure, FailureKind, Guard, Outcome, Stamp};
use crate::plan::snapshot::{JobSeen, JobState, Version};
use crate::reason::Reason;
use crate::vocabulary;

impl Seald {
    /// Performs a write for the process.
    pub(super) fn apply(&mut self, world: &mut World, effect: Effect) -> Answer {
        world.requests += 1;
        world.advance(Duration::from_millis(1));
        if world.away {
            return Answer::Failed(away());
        }
        let name = self.owner.name.clone();
        match effect {
            Effect::WriteRecord { record, guard } => {
                let former = world.records.get(&name).map(|(version, _)| version.clone());
                if let Err(failure) = self.guard(former.as_ref(), &guard) {
                    return Answer::Failed(failure);
                }
                let version = world.fresh_version(former.as_ref().map(|v| v.uid.as_str()));
                world.log.push("record".into());
                world.records.insert(name, (version.clone(), record));
                Answer::Wrote {
                    version,
                    changed_at: None,
                }
            }
            Effect::ApplyObject {
                id,
                content,
                guard,
                remove,
            } => {
                if world.forbidden.contains("apply") {
                    return Answer::Failed(forbidden());
                }
                let wanted = self.held.desired().object(&id).cloned();
                let Some(wanted) = wanted.filter(|wanted| wanted.content == content) else {
                    return Answer::Failed(stale());
                };
                let data = self
                    .held
                    .objects
                    .iter()
                    .find(|(other, _)| *other == id)
                    .unwrap()
                    .1
                    .clone();
                let former = world.objects.remove(&id);
                let version = former.as_ref().map(|object| object.version.clone());
                if let Err(failure) = self.guard(version.as_ref(), &guard) {
                    world.objects.extend(former.map(|object| (id, object)));
                    return Answer::Failed(failure);
                }
                let mut object = self.owned(world, former.as_ref(), Some(wanted.content));
                object.managed = data.keys().cloned().collect();
                object.keep = !wanted.prune;
                object.secret_type = wanted.secret_type;
                if let Some(former) = former {
                    let foreign = former
                        .data
                        .into_iter()
                        .filter(|(key, _)| !former.managed.contains(key) && !remove.contains(key));
                    object.data = foreign.collect();
                }
                object.data.extend(data);
                world.log.push(format!("apply {id}"));
                let answer = wrote(&object);
                world.objects.insert(id, object);
                answer
            }
            Effect::DeleteObject { id, version } => {
                if world.forbidden.contains("delete") {
                    return Answer::Failed(forbidden());
                }
                let former = world.objects.get(&id).map(|object| object.version.clone());
                if let Err(failure) = self.guard(former.as_ref(), &Guard::Update(version)) {
                    return Answer::Failed(failure);
                }
                world.objects.remove(&id);
                world.log.push(format!("delete {id}"));
                Answer::Deleted
            }
            Effect::Stamp(stamps) => {
                let stamp = |stamp: Stamp| (stamp.workload.clone(), self.stamp(world, stamp));
                Answer::Stamped(stamps.into_iter().map(stamp).collect())
            }
            Effect::WriteCredentials { credentials, guard } => {
                let former = world.credentials.get(&name).cloned();
                let version = former.as_ref().map(|object| object.version.clone());
                if let Err(failure) = self.guard(version.as_ref(), &guard) {
                    return Answer::Failed(failure);
                }
                let object = self.owned(world, former.as_ref(), Some(credentials));
                world.log.push("credentials".into());
                let answer = wrote(&object);
                world.credentials.insert(name, object);
                answer
            }
            Effect::DeleteCredentials(version) => {
                if world.forbidden.contains("credentials") {
                    return Answer::Failed(forbidden());
                }
                let former = world
                    .credentials
                    .get(&name)
                    .map(|object| object.version.clone());
                if let Err(failure) = self.guard(former.as_ref(), &Guard::Update(version)) {
                    return Answer::Failed(failure);
                }
                world.credentials.remove(&name);
                world.log.push("delete credentials".into());
                Answer::Deleted
            }
            Effect::CreateJob { id, from: _ } => self.create_job(world, &id),
            Effect::ReleaseJob { name, version } => {
                let former = world.jobs.get(&name).map(|job| job.version.clone());
                if let Err(failure) = self.guard(former.as_ref(), &Guard::Update(version)) {
                    return Answer::Failed(failure);
                }
                let version = world.fresh_version(former.as_ref().map(|v| v.uid.as_str()));
                let job = world.jobs.get_mut(&name).unwrap();
                job.held = false;
                job.version = version.clone();
                if job.deleting {
                    world.jobs.remove(&name);
                }
                world.log.push(format!("release {name}"));
                world.announce_job(&name);
                Answer::Wrote {
                    version,
                    changed_at: None,
                }
            }
            Effect::DeleteJob { name, version } => {
                let former = world.jobs.get(&name).map(|job| job.version.clone());
                if let Err(failure) = self.guard(former.as_ref(), &Guard::Update(version)) {
                    return Answer::Failed(failure);
                }
                let version = world.fresh_version(former.as_ref().map(|v| v.uid.as_str()));
                let job = world.jobs.get_mut(&name).unwrap();
                (job.deleting, job.version) = (true, version);
                if !job.held {
                    world.jobs.remove(&name);
                }
                world.log.push(format!("delete {name}"));
                world.announce_job(&name);
                Answer::Deleted
            }
            Effect::DeleteRecord => {
                if world.records.remove(&name).is_some() {
                    world.log.push("delete record".into());
                }
                Answer::Deleted
            }
            Effect::WriteFinalizer { present } => {
                let Some(doc) = world.docs.get_mut(&name).filter(|doc| !doc.life.is_over()) else {
                    return Answer::Deleted;
                };
                doc.life.held = present;
                world.log.push(format!("finalizer {present}"));
                Answer::Wrote {
                    version: world.fresh_version(Some("document")),
                    changed_at: None,
                }
            }
            Effect::WriteStatus(status) => {
                if world.docs[&name].life.is_over() {
                    return Answer::Failed(stale());
                }
                if world.status.get(&name) != Some(&*status) {
                    world.log.push("status".into());
                }
                world.status.insert(name, *status);
                let version = world.fresh_version(Some("status"));
                Answer::Wrote {
                    version,
                    changed_at: None,
                }
            }
            Effect::Observe(_) | Effect::Emit(_) | Effect::Wake(_) => unreachable!("no write"),
        }
    }

    fn guard(&self, former: Option<&Version>, guard: &Guard) -> Result<(), Failure> {
        match (former, guard) {
            (None, Guard::Create) => Ok(()),
            (Some(former), Guard::Update(version)) if former == version => Ok(()),
            _ if self.unguarded => Ok(()),
            (None | Some(_), Guard::Create | Guard::Update(_)) => Err(stale()),
        }
    }

    fn owned(&self, world: &mut World, former: Option<&Object>, content: Option<Digest>) -> Object {
        Object {
            version: world.fresh_version(former.map(|object| object.version.uid.as_str())),
            owner: Some(self.owner.name.clone()),
            owner_uid: Some(self.owner.uid.clone()),
            environment: Some(self.owner.environment.clone()),
            adopt: former.and_then(|object| object.adopt.clone()),
            content,
            data: BTreeMap::new(),
            managed: BTreeSet::new(),
            changed_at: Some(world.now().wall),
            disturbed_at: None,
            keep: false,
            immutable: former.is_some_and(|object| object.immutable),
            secret_type: "Opaque".into(),
        }
    }

    fn stamp(&self, world: &mut World, stamp: Stamp) -> Result<Version, Failure> {
        if world.forbidden.contains("stamp") {
            return Err(forbidden());
        }
        let Stamp {
            workload,
            version,
            marker,
        } = stamp;
        let former = world
            .workloads
            .get(&workload)
            .map(|load| load.seen.version.clone());
        self.guard(former.as_ref(), &Guard::Update(version))?;
        world.log.push(format!("stamp {workload}"));
        let name = self.owner.name.clone();
        world.edit(&workload, true, |seen| {
            seen.markers.insert(name, marker.to_string());
        });
        Ok(world.workloads[&workload].seen.version.clone())
    }

    fn create_job(&self, world: &mut World, id: &str) -> Answer {
        let name = vocabulary::bootstrap_job(&self.owner.name, id);
        if let Some(job) = world.jobs.get(&name) {
            return Answer::Wrote {
                version: job.version.clone(),
                changed_at: None,
            };
        }
        assert!(
            world.credentials.contains_key(&self.owner.name),
            "a Job without credentials"
        );
        let version = world.fresh_version(None);
        let job = JobSeen {
            name: name.clone(),
            version: version.clone(),
            owner: Some(self.owner.name.clone()),
            owner_uid: Some(self.owner.uid.clone()),
            bootstrap_id: Some(id.into()),
            state: JobState::Running,
            held: true,
            deleting: false,
        };
        world.jobs.insert(name.clone(), job);
        *world.jobs_made.entry(name.clone()).or_default() += 1;
        world.log.push(format!("job {id}"));
        world.announce_job(&name);
        Answer::Wrote {
            version,
            changed_at: None,
        }
    }
}

fn wrote(object: &Object) -> Answer {
    Answer::Wrote {
        version: object.version.clone(),
        changed_at: object.changed_at,
    }
}

fn failure(kind: FailureKind, reason: Reason) -> Failure {
    Failure {
        kind,
        outcome: Outcome::new(reason, "because"),
        retry_after: None,
    }
}

pub(super) fn away() -> Failure {
    failure(FailureKind::Transient, Reason::ApiUnavailable)
}

fn stale() -> Failure {
    failure(FailureKind::Stale, Reason::Conflict)
}

pub(super) fn forbidden() -> Failure {
    failure(FailureKind::Refused, Reason::Forbidden)
}
