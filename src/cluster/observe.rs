//! Looking: what the planner asks to see, read from the API server at once and in parallel.
//!
//! Values become keyed digests here and are wiped. Nothing is decided: what could not be read is left
//! out, and the first failure is handed on.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join, join_all, join3};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::{Meta, Requests};
use super::error::{ApiError, Class, Verb};
use super::extract;
use super::kind::{Kind, Place};
use super::scope::Scope;
use super::stored::Stored;
use crate::digest::DigestKey;
use crate::plan::desired::value_digest;
use crate::plan::effect::{Depth, Look, Observation};
use crate::plan::record::Word;
use crate::plan::snapshot::{JobSeen, ObjectId, ObjectSeen, PodsSeen, Seen};
use crate::secret::Secret;

/// Label that the Job controller puts on the pods of a Job.
const JOB_NAME: &str = "batch.kubernetes.io/job-name";

/// Reads everything that `look` names but the record. Values are digested under `key`.
///
/// What cannot be read is left out, and the first failure stands in `failure`.
pub async fn look(requests: &Requests, scope: &Scope, look: &Look, key: &DigestKey) -> Observation {
    let objects = join_all(look.objects.iter().map(async |(id, depth)| {
        let seen = object(requests, scope, id, *depth, key).await;
        seen.map(|seen| (id.clone(), seen))
    }));
    let pods = join_all(look.pods.iter().map(async |(id, selector)| {
        let seen = pods(requests, scope, selector).await;
        seen.map(|seen| (id.clone(), seen))
    }));
    let job = wanted(look.job.as_ref(), async |name: &String| {
        Ok((name.clone(), job(requests, scope, name).await?))
    });
    let word = wanted(look.word.as_ref(), async |name: &String| {
        word(requests, scope, name).await
    });
    let credentials = wanted(look.credentials.then_some(&()), async |&()| {
        credentials(requests, scope).await
    });
    let ((objects, pods), (job, word, credentials)) =
        join(join(objects, pods), join3(job, word, credentials)).await;
    let mut first = None;
    let mut seen = Observation {
        objects: taken(objects, &mut first),
        pods: taken(pods, &mut first),
        job: taken_one(job, &mut first),
        word: taken_one(word, &mut first),
        credentials: taken_one(credentials, &mut first),
        ..Observation::default()
    };
    seen.failure = first.map(|error: ApiError| error.failure(scope));
    seen
}

/// Reads something when it is asked for.
async fn wanted<I, T>(
    item: Option<&I>,
    read: impl AsyncFnOnce(&I) -> Result<T, ApiError>,
) -> Result<Option<T>, ApiError> {
    match item {
        Some(item) => read(item).await.map(Some),
        None => Ok(None),
    }
}

fn taken<K: Ord, T>(
    answers: Vec<Result<(K, T), ApiError>>,
    first: &mut Option<ApiError>,
) -> BTreeMap<K, T> {
    let good = answers.into_iter().filter_map(|answer| match answer {
        Ok(item) => Some(item),
        Err(error) => {
            first.get_or_insert(error);
            None
        }
    });
    good.collect()
}

fn taken_one<T>(answer: Result<Option<T>, ApiError>, first: &mut Option<ApiError>) -> Option<T> {
    answer.unwrap_or_else(|error| {
        first.get_or_insert(error);
        None
    })
}

async fn object(
    requests: &Requests,
    scope: &Scope,
    id: &ObjectId,
    depth: Depth,
    key: &DigestKey,
) -> Result<Seen<ObjectSeen>, ApiError> {
    let place = scope.place(id.kind.into(), &id.name);
    match depth {
        Depth::Absence if requests.was_absent(&place).await? => Ok(Seen::Absent),
        Depth::Absence | Depth::Metadata => Ok(found(
            requests.get_meta(&place).await?.map(|meta| meta.seen()),
        )),
        Depth::Content => match requests.get::<Stored>(&place).await? {
            None => Ok(Seen::Absent),
            Some(stored) => {
                let seen = content(stored, id, key).ok_or_else(|| unreadable(place, "data"))?;
                Ok(Seen::Present(seen))
            }
        },
    }
}

/// The object with a digest of each of its values.
fn content(stored: Stored, id: &ObjectId, key: &DigestKey) -> Option<ObjectSeen> {
    let mut seen = stored.metadata.seen();
    let meta = stored.metadata.clone();
    seen.immutable = stored.immutable.unwrap_or(false);
    seen.secret_type = stored.secret_type.clone();
    let values = stored.values(id.kind)?;
    seen.foreign_keys = meta.foreign_keys(values.keys());
    let digest = |(name, value): (String, Secret)| {
        let digest = value_digest(key, value.expose());
        (name, digest)
    };
    seen.keys = Some(values.into_iter().map(digest).collect());
    Some(seen)
}

async fn credentials(requests: &Requests, scope: &Scope) -> Result<Seen<ObjectSeen>, ApiError> {
    let meta = requests.get_meta(&scope.credentials()).await?;
    Ok(found(meta.map(|meta| meta.seen())))
}

fn found<T>(thing: Option<T>) -> Seen<T> {
    thing.map_or(Seen::Absent, Seen::Present)
}

async fn job(requests: &Requests, scope: &Scope, name: &str) -> Result<Seen<JobSeen>, ApiError> {
    let place = scope.place(Kind::Job, name);
    let Some(object) = requests.get::<Box<RawValue>>(&place).await? else {
        return Ok(Seen::Absent);
    };
    // What cannot be read may quote the pod template, so only that it is so is told.
    let job = extract::job(&*object).map_err(|_| unreadable(place, "status"))?;
    Ok(Seen::Present(job.1))
}

fn unreadable(place: Place, field: &str) -> ApiError {
    ApiError {
        verb: Verb::Get,
        place,
        code: 200,
        class: Class::Unreadable,
        field: Some(field.to_owned()),
        retry_after: None,
    }
}

/// When the containers of the pods that `selector` names have started.
async fn pods(requests: &Requests, scope: &Scope, selector: &str) -> Result<PodsSeen, ApiError> {
    if selector.is_empty() {
        // It would select every pod. Nothing is known, so they count as older than everything.
        return Ok(PodsSeen {
            starts: BTreeSet::from([Timestamp::UNIX_EPOCH]),
        });
    }
    let pods = list_pods(requests, scope, selector).await?;
    let starts = pods
        .iter()
        .filter(|pod| pod.is_alive())
        .flat_map(Pod::starts);
    Ok(PodsSeen {
        starts: starts.collect(),
    })
}

/// What the Job's program said in the pod that succeeded.
async fn word(requests: &Requests, scope: &Scope, job: &str) -> Result<Word, ApiError> {
    let pods = list_pods(requests, scope, &format!("{JOB_NAME}={job}")).await?;
    let said = pods
        .iter()
        .flat_map(Pod::ends)
        .find(|end| end.exit_code == 0);
    Ok(said.map_or(Word::Exists, |end| Word::read(&end.message)))
}

async fn list_pods(
    requests: &Requests,
    scope: &Scope,
    selector: &str,
) -> Result<Vec<Pod>, ApiError> {
    let query = format!("labelSelector={}", percent_encoded(selector));
    let list: PodList = requests
        .list(Kind::Pod, Some(&scope.namespace), &query)
        .await?;
    Ok(list.items)
}

/// RFC 3986: everything but the unreserved characters.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[derive(Deserialize)]
struct PodList {
    items: Vec<Pod>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pod {
    metadata: Meta,
    status: PodStatus,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    phase: String,
    init_container_statuses: Vec<ContainerStatus>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContainerStatus {
    state: ContainerState,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContainerState {
    running: Option<Started>,
    terminated: Option<Ended>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Started {
    started_at: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Ended {
    started_at: Option<String>,
    exit_code: i32,
    message: String,
}

impl Pod {
    /// Whether it will go on running: one that has ended, or is about to, is replaced by another.
    fn is_alive(&self) -> bool {
        self.metadata.deletion_timestamp.is_none()
            && !matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    /// Starts of its containers, init containers included. A container that was started again has read
    /// everything again, so only its last start counts.
    fn starts(&self) -> impl Iterator<Item = Timestamp> {
        let init = self.status.init_container_statuses.iter();
        let all = init.chain(&self.status.container_statuses);
        all.filter_map(|container| {
            let state = &container.state;
            let running = state.running.as_ref().map(|running| &running.started_at);
            let ended = || state.terminated.as_ref().map(|ended| &ended.started_at);
            // A time that cannot be read proves nothing.
            let text = running.or_else(ended)?.as_ref();
            let time = text.and_then(|text| text.parse().ok());
            Some(time.unwrap_or(Timestamp::UNIX_EPOCH))
        })
    }

    fn ends(&self) -> impl Iterator<Item = &Ended> {
        let containers = self.status.container_statuses.iter();
        containers.filter_map(|container| container.state.terminated.as_ref())
    }
}

#[cfg(test)]
mod tests;
