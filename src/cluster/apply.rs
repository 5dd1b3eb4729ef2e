//! The one writer: turns an effect of the planner into a request, and the answer into an answer.
//!
//! Every write is guarded by what the planner saw. Nothing is decided here; after a conflict or an
//! unknown outcome the planner looks again.

use futures::future::join_all;
use serde_json::{Value, json};

use super::client::{Force, Meta, Requests};
use super::error::{ApiError, Class};
use super::job::{self, Run};
use super::kind::{Kind, Place};
use super::objects;
use super::scope::Scope;
use super::state::{self, StateKeys};
use super::status;
use crate::digest::Digest;
use crate::env::{Delivery, Superuser, WorkloadKind, WorkloadRef};
use crate::plan::conditions::Status;
use crate::plan::desired::Desired;
use crate::plan::effect::{Answer, Effect, Failure, FailureKind, Guard, Outcome, Stamp};
use crate::plan::record::Record;
use crate::plan::snapshot::{ObjectId, Version};
use crate::reason::Reason;
use crate::secret::Secret;
use crate::vocabulary;

/// What the writes of one SealedEnv are made of. It holds plaintext.
#[derive(Debug)]
pub struct Content<'a> {
    /// The document, opened.
    pub delivery: &'a Delivery,
    /// The same as the planner knows it.
    pub desired: &'a Desired,
    /// Keys of the state Secret.
    pub keys: &'a StateKeys,
}

impl Content<'_> {
    fn superuser(&self) -> Result<&Superuser, Failure> {
        self.delivery.superuser.as_ref().ok_or_else(out_of_date)
    }
}

/// Performs `effect` for `scope`. Effects that change nothing are refused.
///
/// `content` is needed for the record, objects, credentials and the Job; without it, or when it does not
/// hold what the effect names, the answer is that the view is out of date. A wave of stamps is sent all
/// at once, bounded by the limiter of `requests`; the field manager of a marker begins with
/// `marker_prefix`, mostly `seald`.
pub async fn perform(
    requests: &Requests,
    scope: &Scope,
    effect: &Effect,
    marker_prefix: &str,
    content: Option<&Content<'_>>,
) -> Answer {
    let writer = Writer {
        requests,
        scope,
        marker_prefix,
        content,
    };
    match effect {
        Effect::WriteRecord { record, guard } => wrote(writer.record(record, guard).await),
        Effect::ApplyObject {
            id,
            content,
            guard,
            remove,
        } => wrote(writer.object(id, *content, guard, remove).await),
        Effect::DeleteObject { id, version } => {
            deleted(writer.delete(id.kind.into(), &id.name, version).await)
        }
        Effect::Stamp(stamps) => Answer::Stamped(writer.stamp_all(stamps).await),
        Effect::WriteCredentials { credentials, guard } => {
            wrote(writer.credentials(*credentials, guard).await)
        }
        Effect::DeleteCredentials(version) => {
            let name = vocabulary::bootstrap_secret(&scope.name);
            deleted(writer.delete(Kind::Secret, &name, version).await)
        }
        Effect::CreateJob { id, from } => wrote(writer.create_job(id, from).await),
        Effect::ReleaseJob { name, version } => wrote(writer.release_job(name, version).await),
        Effect::DeleteJob { name, version } => {
            deleted(writer.delete(Kind::Job, name, version).await)
        }
        Effect::DeleteRecord => deleted(writer.delete_record().await),
        Effect::WriteFinalizer { present } => match writer.finalizer(*present).await {
            Ok(None) => Answer::Deleted,
            Ok(Some(meta)) => wrote(Ok(meta)),
            Err(failure) => Answer::Failed(failure),
        },
        Effect::WriteStatus(status) => wrote(writer.status(status).await),
        Effect::Observe(_) | Effect::Emit(_) | Effect::Wake(_) => {
            let outcome = Outcome::new(Reason::InternalError, "this effect writes nothing");
            Answer::Failed(refused(outcome))
        }
    }
}

fn wrote(result: Result<Meta, Failure>) -> Answer {
    match result {
        Ok(meta) => Answer::Wrote {
            version: meta.version(),
            changed_at: meta.changed_at(),
        },
        Err(failure) => Answer::Failed(failure),
    }
}

fn deleted(result: Result<(), Failure>) -> Answer {
    match result {
        Ok(()) => Answer::Deleted,
        Err(failure) => Answer::Failed(failure),
    }
}

/// The document changed since the effect was decided: decide again.
fn out_of_date() -> Failure {
    Failure {
        kind: FailureKind::Stale,
        outcome: Outcome::new(Reason::Conflict, "the document changed meanwhile"),
        retry_after: None,
    }
}

fn refused(outcome: Outcome) -> Failure {
    Failure {
        kind: FailureKind::Refused,
        outcome,
        retry_after: None,
    }
}

struct Writer<'a> {
    requests: &'a Requests,
    scope: &'a Scope,
    marker_prefix: &'a str,
    content: Option<&'a Content<'a>>,
}

impl Writer<'_> {
    fn content(&self) -> Result<&Content<'_>, Failure> {
        self.content.ok_or_else(out_of_date)
    }

    fn failure(&self, error: &ApiError) -> Failure {
        error.failure(self.scope)
    }

    /// Applies an object of ours. Forced: whose it is was checked, and the guard stands in the body.
    async fn apply(&self, kind: Kind, name: &str, body: Secret) -> Result<Meta, Failure> {
        let place = self.scope.place(kind, name);
        let answer = self
            .requests
            .apply(&place, vocabulary::MANAGER, Force::Yes, body)
            .await;
        answer.map_err(|error| self.failure(&error))
    }

    async fn record(&self, record: &Record, guard: &Guard) -> Result<Meta, Failure> {
        let body = state::body(self.scope, record, self.content()?.keys, guard);
        let name = vocabulary::state_secret(&self.scope.name);
        self.apply(Kind::Secret, &name, body).await
    }

    async fn object(
        &self,
        id: &ObjectId,
        digest: Digest,
        guard: &Guard,
        remove: &[String],
    ) -> Result<Meta, Failure> {
        let content = self.content()?;
        let same = |object: &&crate::env::Object| {
            object.kind == id.kind && object.name.as_str() == id.name
        };
        let object = content
            .delivery
            .objects
            .iter()
            .find(same)
            .ok_or_else(out_of_date)?;
        let desired = content.desired.object(id);
        let desired = desired
            .filter(|desired| desired.content == digest)
            .ok_or_else(out_of_date)?;
        let body = objects::of_document(self.scope, object, desired, guard);
        let written = self.apply(id.kind.into(), &id.name, body).await?;
        if remove.is_empty() {
            return Ok(written);
        }
        self.remove_keys(id, remove, &written).await
    }

    /// Removes keys that somebody else has added: an apply leaves them, and `envFrom` hands them on.
    async fn remove_keys(
        &self,
        id: &ObjectId,
        keys: &[String],
        seen: &Meta,
    ) -> Result<Meta, Failure> {
        let gone: serde_json::Map<_, _> =
            keys.iter().map(|key| (key.clone(), Value::Null)).collect();
        let mut patch =
            json!({ "metadata": objects::guarded(&Guard::Update(seen.version())), "data": gone });
        if id.kind == crate::env::ObjectKind::ConfigMap {
            patch["binaryData"] = patch["data"].clone();
        }
        let place = self.scope.place(id.kind.into(), &id.name);
        let answer = self
            .requests
            .merge(&place, vocabulary::MANAGER, &patch)
            .await;
        answer.map_err(|error| self.failure(&error))
    }

    /// Deletes this very object; one that is gone already counts as deleted.
    async fn delete(&self, kind: Kind, name: &str, version: &Version) -> Result<(), Failure> {
        let place = self.scope.place(kind, name);
        let answer = self.requests.delete(&place, &version.uid).await;
        answer.map_err(|error| self.failure(&error))
    }

    async fn stamp_all(&self, stamps: &[Stamp]) -> Vec<(WorkloadRef, Result<Version, Failure>)> {
        let each = stamps.iter().map(async |stamp| {
            let outcome = self.stamp(stamp).await;
            (stamp.workload.clone(), outcome)
        });
        join_all(each).await
    }

    /// Writes one annotation of the pod template and touches nothing else. With a UID in the body the
    /// apply never creates the workload.
    async fn stamp(&self, stamp: &Stamp) -> Result<Version, Failure> {
        let kind = workload_kind(stamp.workload.kind);
        let name = stamp.workload.name.as_str();
        let mut metadata = objects::guarded(&Guard::Update(stamp.version.clone()));
        metadata["name"] = json!(name);
        let annotation = vocabulary::marker(&self.scope.name);
        let template =
            json!({ "metadata": { "annotations": { annotation: stamp.marker.to_string() } } });
        let body = json!({
            "apiVersion": kind.api_version(),
            "kind": kind.name(),
            "metadata": metadata,
            "spec": { "template": template }
        });
        let manager = vocabulary::marker_manager(self.marker_prefix, &self.scope.name);
        let place = self.scope.place(kind, name);
        let body = Secret::from(body.to_string());
        let answer = self
            .requests
            .apply(&place, &manager, Force::Yes, body)
            .await;
        answer
            .map(|meta| meta.version())
            .map_err(|error| self.failure(&error))
    }

    async fn credentials(&self, digest: Digest, guard: &Guard) -> Result<Meta, Failure> {
        let content = self.content()?;
        let user = content.superuser()?;
        let desired = content.desired.superuser.as_ref();
        if desired.is_none_or(|desired| desired.credentials != digest) {
            return Err(out_of_date());
        }
        let body = objects::credentials(self.scope, user, digest, guard);
        let name = vocabulary::bootstrap_secret(&self.scope.name);
        self.apply(Kind::Secret, &name, body).await
    }

    async fn create_job(&self, id: &str, from: &WorkloadRef) -> Result<Meta, Failure> {
        let content = self.content()?;
        let user = content.superuser()?;
        let asked = content.desired.superuser.as_ref();
        if asked.is_none_or(|asked| asked.id != id) || user.from != *from {
            return Err(out_of_date());
        }
        let place = self
            .scope
            .place(workload_kind(from.kind), from.name.as_str());
        let workload: Option<Value> = self
            .requests
            .get(&place)
            .await
            .map_err(|error| self.failure(&error))?;
        let workload = workload.ok_or_else(|| Failure {
            kind: FailureKind::Stale,
            outcome: Outcome::new(Reason::BootstrapWaiting, format!("{from} is gone")),
            retry_after: None,
        })?;
        let job = job::build(&workload, &Run::of(self.scope, id, user))
            .map_err(|error| refused(Outcome::new(Reason::BootstrapFailed, error.to_string())))?;
        self.send_job(id, Secret::from(job.to_string())).await
    }

    /// Creates the Job of the run `id`. One that exists may be our own earlier try.
    async fn send_job(&self, id: &str, body: Secret) -> Result<Meta, Failure> {
        let name = vocabulary::bootstrap_job(&self.scope.name, id);
        let place = self.scope.place(Kind::Job, &name);
        let error = match self
            .requests
            .create(&place, vocabulary::MANAGER, body)
            .await
        {
            Ok(meta) => return Ok(meta),
            Err(error) => error,
        };
        if error.class != Class::AlreadyExists {
            return Err(self.failure(&error));
        }
        let existing = self
            .requests
            .get_meta(&place)
            .await
            .map_err(|error| self.failure(&error))?;
        let existing = existing.ok_or_else(|| self.failure(&error))?;
        if self.is_our_job(&existing, id) {
            return Ok(existing);
        }
        let message = format!("Job {name} exists and is not ours; delete it");
        Err(refused(Outcome::new(Reason::BootstrapFailed, message)))
    }

    fn is_our_job(&self, job: &Meta, id: &str) -> bool {
        let annotation = |name: &str| job.annotations.get(name).map(String::as_str);
        annotation(vocabulary::OWNER_UID) == Some(&self.scope.uid)
            && annotation(vocabulary::BOOTSTRAP_ID) == Some(id)
    }

    /// Takes our finalizer off a Job, and leaves those of others. It is read first: its status moves
    /// on, and only its UID has to be the one that was seen.
    async fn release_job(&self, name: &str, version: &Version) -> Result<Meta, Failure> {
        let place = self.scope.place(Kind::Job, name);
        let job = self
            .requests
            .get_meta(&place)
            .await
            .map_err(|error| self.failure(&error))?;
        let gone = || Failure {
            kind: FailureKind::Stale,
            outcome: Outcome::new(Reason::Conflict, format!("Job {name} is gone")),
            retry_after: None,
        };
        let job = job.filter(|job| job.uid == version.uid).ok_or_else(gone)?;
        self.set_finalizer(&place, job, vocabulary::FINALIZER_BOOTSTRAP, false)
            .await
    }

    /// Puts our finalizer on the SealedEnv, or takes it off. `None` when the SealedEnv is gone.
    async fn finalizer(&self, present: bool) -> Result<Option<Meta>, Failure> {
        let place = self.scope.sealed_env();
        let seen = self
            .requests
            .get_meta(&place)
            .await
            .map_err(|error| self.failure(&error))?;
        let Some(seen) = seen.filter(|seen| seen.uid == self.scope.uid) else {
            return Ok(None);
        };
        let ours = vocabulary::FINALIZER_CLEANUP;
        self.set_finalizer(&place, seen, ours, present)
            .await
            .map(Some)
    }

    /// Sees to it that `seen` carries the finalizer `name`, or does not, and leaves those of others.
    async fn set_finalizer(
        &self,
        place: &Place,
        seen: Meta,
        name: &str,
        present: bool,
    ) -> Result<Meta, Failure> {
        if seen.finalizers.iter().any(|one| one == name) == present {
            return Ok(seen);
        }
        let others = seen.finalizers.iter().map(String::as_str);
        let mut all: Vec<_> = others.filter(|one| *one != name).collect();
        all.extend(present.then_some(name));
        let mut metadata = objects::guarded(&Guard::Update(seen.version()));
        metadata["finalizers"] = json!(all);
        let patch = json!({ "metadata": metadata });
        let answer = self
            .requests
            .merge(place, vocabulary::MANAGER, &patch)
            .await;
        answer.map_err(|error| self.failure(&error))
    }

    /// Deletes the state Secret, unless it is that of an earlier SealedEnv of the name, or somebody else's.
    async fn delete_record(&self) -> Result<(), Failure> {
        let place = self.scope.state_secret();
        let seen = self
            .requests
            .get_meta(&place)
            .await
            .map_err(|error| self.failure(&error))?;
        let ours = |seen: &Meta| {
            seen.labels.get(vocabulary::LABEL_OWNER) == Some(&self.scope.name)
                && seen.annotations.get(vocabulary::OWNER_UID) == Some(&self.scope.uid)
        };
        match seen.filter(ours) {
            Some(seen) => {
                let name = vocabulary::state_secret(&self.scope.name);
                self.delete(Kind::Secret, &name, &seen.version()).await
            }
            None => Ok(()),
        }
    }

    /// Writes the status of this very SealedEnv, not of one made anew.
    async fn status(&self, status: &Status) -> Result<Meta, Failure> {
        let body = json!({
            "apiVersion": Kind::SealedEnv.api_version(),
            "kind": Kind::SealedEnv.name(),
            "metadata": { "name": self.scope.name, "uid": self.scope.uid },
            "status": status::to_resource(status)
        });
        let body = Secret::from(body.to_string());
        let place = self.scope.sealed_env();
        let answer = self
            .requests
            .apply_status(&place, vocabulary::STATUS_MANAGER, body)
            .await;
        answer.map_err(|error| self.failure(&error))
    }
}

/// The kind of a workload as the API server keeps it.
fn workload_kind(kind: WorkloadKind) -> Kind {
    match kind {
        WorkloadKind::Deployment => Kind::Deployment,
        WorkloadKind::DaemonSet => Kind::DaemonSet,
        WorkloadKind::StatefulSet => Kind::StatefulSet,
        WorkloadKind::Rollout => Kind::Rollout,
    }
}

#[cfg(test)]
mod tests;
