//! The one layer that every call to an API server goes through.
//!
//! Each call has a deadline, few tries with jitter, and a place among the requests in flight. Answers
//! are read as small types of our own, so that a Secret does not come back when only its version is
//! wanted.

use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{Method, Request};
use kube::client::Body;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};
use zeroize::Zeroize as _;

use super::connection::Connection;
use super::error::{ApiError, Class, Refusal, Verb};
use super::kind::{Kind, Place};
use super::limiter::{Limiter, Load};
use crate::secret::Secret;
use crate::telemetry::metrics::{ByRequest, Metrics};

/// Total deadline of a read.
const READ: Duration = Duration::from_secs(10);
/// Total deadline of a write.
const WRITE: Duration = Duration::from_secs(30);
/// No try begins later than this after the first one.
const TRYING: Duration = Duration::from_secs(10);
/// Most tries of one request.
const TRIES: u32 = 3;
/// A longer `Retry-After` is cut to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Asks for the metadata of an object only, so that no values come back.
const METADATA_ONLY: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json";

/// Sends requests. Clones share connection, limiter and metrics.
#[derive(Clone)]
pub struct Requests {
    connection: Connection,
    limiter: Limiter,
    metrics: Metrics,
}

/// What a metadata-only answer tells about an object.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// UID.
    pub uid: String,
    /// Version.
    pub resource_version: String,
    /// Labels.
    pub labels: std::collections::BTreeMap<String, String>,
    /// Annotations.
    pub annotations: std::collections::BTreeMap<String, String>,
    /// Who owns which fields, and since when.
    pub managed_fields: Vec<ManagedFields>,
    /// When it was created, RFC 3339.
    pub creation_timestamp: Option<String>,
    /// When its deletion began.
    pub deletion_timestamp: Option<String>,
    /// Finalizers.
    pub finalizers: Vec<String>,
}

/// The fields of one manager.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedFields {
    /// Its name.
    pub manager: String,
    /// `status` for the status.
    pub subresource: Option<String>,
    /// Its last change, RFC 3339.
    pub time: Option<String>,
    /// The fields as a set of paths.
    pub fields_v1: Value,
}

/// An object of which only the metadata is read.
#[derive(Deserialize)]
struct MetadataOnly {
    metadata: Meta,
}

/// What an apply may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// Fields of other managers too. Only after the ownership was checked.
    Yes,
    /// A field of another manager is an error.
    No,
}

/// One request before it is sent, possibly several times.
struct Call {
    verb: Verb,
    place: Place,
    method: Method,
    path: String,
    accept: &'static str,
    body: Option<(&'static str, Secret)>,
}

impl Requests {
    /// Sends through `connection`.
    #[must_use]
    pub fn new(connection: Connection, limiter: Limiter, metrics: Metrics) -> Self {
        Self {
            connection,
            limiter,
            metrics,
        }
    }

    /// The connection, for watches.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The same with another limiter: for requests that must not wait for others.
    #[must_use]
    pub fn with_limiter(&self, limiter: Limiter) -> Self {
        Self {
            limiter,
            ..self.clone()
        }
    }

    /// The metrics that requests are counted in.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The limiter that all requests share.
    #[must_use]
    pub fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// Applies `body` (JSON with `apiVersion` and `kind`) by server-side apply as `manager`.
    ///
    /// # Errors
    /// Any refusal; after [`ApiError::is_outcome_unknown`] and after a conflict read back.
    pub async fn apply(
        &self,
        place: &Place,
        manager: &str,
        force: Force,
        body: Secret,
    ) -> Result<Meta, ApiError> {
        let force = if force == Force::Yes {
            "&force=true"
        } else {
            ""
        };
        let query = format!("?fieldManager={manager}{force}");
        self.patch(place, &query, "application/apply-patch+yaml", body)
            .await
    }

    /// Applies `body` to the status of `place` as `manager`, forced.
    ///
    /// # Errors
    /// Any refusal.
    pub async fn apply_status(
        &self,
        place: &Place,
        manager: &str,
        body: Secret,
    ) -> Result<Meta, ApiError> {
        let query = format!("/status?fieldManager={manager}&force=true");
        self.patch(place, &query, "application/apply-patch+yaml", body)
            .await
    }

    /// Changes `place` by a JSON merge patch as `manager`.
    ///
    /// # Errors
    /// Any refusal.
    pub async fn merge(
        &self,
        place: &Place,
        manager: &str,
        body: &Value,
    ) -> Result<Meta, ApiError> {
        let query = format!("?fieldManager={manager}");
        let body = Secret::from(body.to_string());
        self.patch(place, &query, "application/merge-patch+json", body)
            .await
    }

    /// Replaces `place` by `body`, which holds the version that was read.
    ///
    /// # Errors
    /// Any refusal; a conflict when somebody was faster.
    pub async fn replace(
        &self,
        place: &Place,
        manager: &str,
        body: &Value,
    ) -> Result<Meta, ApiError> {
        let call = Call {
            verb: Verb::Update,
            place: place.clone(),
            method: Method::PUT,
            path: format!("{}?fieldManager={manager}", place.path()),
            accept: METADATA_ONLY,
            body: Some(("application/json", Secret::from(body.to_string()))),
        };
        self.send::<MetadataOnly>(&call)
            .await
            .map(|object| object.metadata)
    }

    /// Creates the object of `body` in the collection of `place`.
    ///
    /// # Errors
    /// Any refusal; "exists already" may be our own earlier try.
    pub async fn create(
        &self,
        place: &Place,
        manager: &str,
        body: Secret,
    ) -> Result<Meta, ApiError> {
        let collection = place.kind.path(place.namespace.as_deref());
        let call = Call {
            verb: Verb::Create,
            place: place.clone(),
            method: Method::POST,
            path: format!("{collection}?fieldManager={manager}"),
            accept: METADATA_ONLY,
            body: Some(("application/json", body)),
        };
        self.send::<MetadataOnly>(&call)
            .await
            .map(|object| object.metadata)
    }

    /// The object, or `None` when it does not exist.
    ///
    /// # Errors
    /// Any other refusal; a missing namespace is one.
    pub async fn get<T: DeserializeOwned>(&self, place: &Place) -> Result<Option<T>, ApiError> {
        absent_as_none(self.send(&Call::get(place, "application/json")).await)
    }

    /// Its metadata, or `None` when it does not exist. No value comes over the wire.
    ///
    /// # Errors
    /// Any other refusal; a missing namespace is one.
    pub async fn get_meta(&self, place: &Place) -> Result<Option<Meta>, ApiError> {
        let answer = self
            .send::<MetadataOnly>(&Call::get(place, METADATA_ONLY))
            .await;
        absent_as_none(answer.map(|object| object.metadata))
    }

    /// Whether it did not exist at some moment in the past, mostly a few milliseconds ago: answered from
    /// the server's memory, without its database.
    ///
    /// # Errors
    /// Any refusal other than that it does not exist; a missing namespace is one.
    pub async fn was_absent(&self, place: &Place) -> Result<bool, ApiError> {
        let mut call = Call::get(place, METADATA_ONLY);
        call.path.push_str("?resourceVersion=0");
        let answer = self.send::<serde::de::IgnoredAny>(&call).await;
        absent_as_none(answer).map(|found| found.is_none())
    }

    /// A collection in `namespace`, with a query such as `labelSelector=a%3Db`.
    ///
    /// # Errors
    /// Any refusal.
    pub async fn list<T: DeserializeOwned>(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        query: &str,
    ) -> Result<T, ApiError> {
        let place = Place {
            kind,
            namespace: namespace.map(str::to_owned),
            name: String::new(),
        };
        let call = Call {
            verb: Verb::List,
            path: format!("{}?{query}", kind.path(namespace)),
            method: Method::GET,
            accept: "application/json",
            body: None,
            place,
        };
        self.send(&call).await
    }

    /// Deletes the object with that UID, its dependents in the background. An object that is gone
    /// already counts as deleted.
    ///
    /// # Errors
    /// Any other refusal; a conflict when the UID is another one.
    pub async fn delete(&self, place: &Place, uid: &str) -> Result<(), ApiError> {
        let options = serde_json::json!({
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": "Background",
            "preconditions": { "uid": uid }
        });
        let call = Call {
            verb: Verb::Delete,
            place: place.clone(),
            method: Method::DELETE,
            path: place.path(),
            accept: METADATA_ONLY,
            body: Some(("application/json", Secret::from(options.to_string()))),
        };
        absent_as_none(self.send::<serde::de::IgnoredAny>(&call).await).map(|_| ())
    }

    async fn patch(
        &self,
        place: &Place,
        query: &str,
        content_type: &'static str,
        body: Secret,
    ) -> Result<Meta, ApiError> {
        let call = Call {
            verb: Verb::Patch,
            place: place.clone(),
            method: Method::PATCH,
            path: format!("{}{query}", place.path()),
            accept: METADATA_ONLY,
            body: Some((content_type, body)),
        };
        self.send::<MetadataOnly>(&call)
            .await
            .map(|object| object.metadata)
    }

    /// Tries until there is an answer that no further try would better, or time is up.
    async fn send<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ApiError> {
        let mut started = None;
        let mut tries = 0;
        loop {
            let permit = self.limiter.acquire().await;
            let start = *started.get_or_insert_with(Instant::now);
            let deadline = start + if call.verb.is_write() { WRITE } else { READ };
            let answer = match timeout_at(deadline, self.send_once(call)).await {
                Ok(answer) => answer,
                Err(_) => Err(call.error(0, Class::Timeout)),
            };
            permit.finish(load(&answer));
            tries += 1;
            let error = match answer {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let pause = pause(tries, error.retry_after);
            let in_time = start.elapsed() + pause < TRYING.min(deadline - start);
            if tries >= TRIES || !is_worth_another_try(&error) || !in_time {
                return Err(error);
            }
            sleep(pause).await;
        }
    }

    async fn send_once<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ApiError> {
        let failed = |class| call.error(0, class);
        let request = call.request().map_err(|_| failed(Class::Invalid))?;
        let answer = self.connection.client().send(request).await;
        // The text of a transport error is not kept either: it may quote an answer.
        let answer = answer.map_err(|_| {
            self.count(call.verb, 0);
            failed(Class::Unavailable)
        })?;
        let code = answer.status().as_u16();
        self.count(call.verb, code);
        let retry_after = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let body = answer.into_body().collect_bytes().await;
        let body = body.map_err(|_| failed(Class::Unreadable))?;
        if code == 401 {
            self.connection.renew().await;
        }
        if !(200..300).contains(&code) {
            let refusal = Refusal {
                code,
                body: &body,
                retry_after,
            };
            return Err(refusal.classify(call.verb, &call.place));
        }
        let read = serde_json::from_slice(&body);
        // It may be a Secret. Where the connection still holds a part of it, that is beyond us.
        if let Ok(mut body) = body.try_into_mut() {
            body.as_mut().zeroize();
        }
        read.map_err(|_| call.error(code, Class::Unreadable))
    }

    fn count(&self, verb: Verb, code: u16) {
        let labels = ByRequest::new(verb.as_str(), code.to_string());
        self.metrics.api_requests.get_or_create(&labels).inc();
    }
}

impl Call {
    fn get(place: &Place, accept: &'static str) -> Self {
        Self {
            verb: Verb::Get,
            place: place.clone(),
            method: Method::GET,
            path: place.path(),
            accept,
            body: None,
        }
    }

    fn request(&self) -> Result<Request<Body>, http::Error> {
        let request = Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
            .header(ACCEPT, self.accept);
        match &self.body {
            Some((content_type, body)) => request
                .header(CONTENT_TYPE, *content_type)
                .body(Body::from(body.expose().to_vec())),
            None => request.body(Body::empty()),
        }
    }

    fn error(&self, code: u16, class: Class) -> ApiError {
        ApiError {
            code,
            ..ApiError::new(self.verb, &self.place, class)
        }
    }
}

fn absent_as_none<T>(answer: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.class == Class::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Refusals for load, missing answers, and a token that may have been renewed.
fn is_worth_another_try(error: &ApiError) -> bool {
    match error.class {
        Class::Throttled | Class::Unavailable | Class::Unauthorized => true,
        // A read has done no harm; a write must be read back first.
        Class::Timeout | Class::Unreadable => error.code != 0 && !error.verb.is_write(),
        _ => false,
    }
}

fn load<T>(answer: &Result<T, ApiError>) -> Load {
    match answer {
        Ok(_) => Load::Good,
        Err(error) => match error.class {
            Class::Throttled | Class::Unavailable | Class::Timeout => Load::Overloaded,
            _ if error.code == 0 => Load::Unknown,
            _ => Load::Good,
        },
    }
}

/// What the server asks for, or 100 ms, 400 ms …; a quarter more or less at random, so that many who
/// failed together do not come back together.
fn pause(tries: u32, wait: Option<Duration>) -> Duration {
    let wait =
        wait.unwrap_or_else(|| Duration::from_millis(100) * 4_u32.pow(tries.saturating_sub(1)));
    jitter(wait.min(LONGEST_PAUSE))
}

/// `duration`, up to a quarter longer or shorter.
pub(super) fn jitter(duration: Duration) -> Duration {
    let factor = 0.75 + 0.5 * chance();
    duration.mul_f64(factor)
}

/// A number from 0 up to 1, good enough to spread waiting.
fn chance() -> f64 {
    use std::hash::{BuildHasher as _, RandomState};
    let bits = RandomState::new().hash_one(0_u8) >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let chance = bits as f64 / (1_u64 << 53) as f64;
    chance
}

#[cfg(test)]
mod tests;
