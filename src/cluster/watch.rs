//! Watches: what exists and changes, as extracts, one task per kind (and namespace).
//!
//! List, then watch from there, over and over. A list replaces what was known, so that deletions that
//! nobody saw are noticed. Each watch has a back-off of its own; a kind that is forbidden slows no
//! other. An object that cannot be read is named and skipped.

mod target;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{AsyncBufReadExt as _, StreamExt as _};
use http::Request;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

pub use self::target::{Change, SealedEnvChange, Watched};
use self::target::{NameOf, Target};
use super::client::{Requests, jitter};
use super::error::{ApiError, Class, Verb};
use super::kind::{Kind, Place};
use crate::env::WorkloadKind;
use crate::name::{EnvName, Namespace};
use crate::telemetry::metrics::ByRelist;

/// First pause after an error.
const SHORTEST_PAUSE: Duration = Duration::from_millis(800);
/// Longest pause between errors.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A watch must begin to answer within this time.
const START: Duration = Duration::from_secs(10);
/// About how long one watch request lives. Load balancers drop quiet connections later than this.
const WATCH: Duration = Duration::from_secs(95);
/// A watch that ends earlier was cut by something on the way.
const SHORTEST_WATCH: Duration = Duration::from_secs(1);
/// Silence beyond the end of a watch request means a dead connection.
const GRACE: Duration = Duration::from_secs(10);
/// Objects in a page of a list.
const PAGE: u32 = 500;
/// SealedEnvs in a page: each may be 1 MiB.
const SEALED_ENV_PAGE: u32 = 16;

/// Starts all watches: SealedEnvs of each environment, workloads and Jobs; in each of `namespaces`, or
/// everywhere when there are none. They end when the receiver is dropped or the set is.
#[must_use]
pub fn spawn(
    requests: &Requests,
    environments: &[EnvName],
    namespaces: &[Namespace],
    sender: &mpsc::Sender<Watched>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let everywhere = namespaces.is_empty().then_some(None);
    let named = namespaces
        .iter()
        .map(|namespace| Some(namespace.to_string()));
    for namespace in everywhere.into_iter().chain(named) {
        let mut start = |kind, target: Target| {
            let watch = Watch {
                requests: requests.clone(),
                kind,
                namespace: namespace.clone(),
                target,
                sender: sender.clone(),
            };
            tasks.spawn(watch.run());
        };
        for environment in environments {
            let names = BTreeSet::new();
            start(
                Kind::SealedEnv,
                Target::SealedEnvs {
                    environment: environment.clone(),
                    names,
                },
            );
        }
        for (kind, workload) in [
            (Kind::Deployment, WorkloadKind::Deployment),
            (Kind::DaemonSet, WorkloadKind::DaemonSet),
            (Kind::StatefulSet, WorkloadKind::StatefulSet),
        ] {
            start(
                kind,
                Target::Workloads {
                    kind: workload,
                    list: Some(Vec::new()),
                },
            );
        }
        start(
            Kind::Job,
            Target::Jobs {
                list: Some(Vec::new()),
            },
        );
    }
    tasks
}

/// One watch.
struct Watch {
    requests: Requests,
    kind: Kind,
    namespace: Option<String>,
    target: Target,
    sender: mpsc::Sender<Watched>,
}

/// Why following ends.
enum End {
    /// Nobody listens any more.
    Closed,
    /// The view is lost: list again.
    Relist,
    /// A request failed; what is known stays valid.
    Failed(ApiError),
}

/// A page of a list.
#[derive(Deserialize)]
struct Page {
    metadata: PageMeta,
    #[serde(default)]
    items: Vec<Box<RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PageMeta {
    resource_version: String,
    r#continue: String,
}

/// A line of a watch. The object is read once its kind is known, straight into what is kept of it.
#[derive(Deserialize)]
struct Line<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// What the API server says instead of an object when a watch goes wrong.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fault {
    code: u16,
}

impl Watch {
    async fn run(mut self) {
        let mut pause = SHORTEST_PAUSE;
        let mut failing = false;
        // Where to watch from; none before the first list.
        let mut version = None;
        loop {
            match self.follow(&mut version, &mut failing, &mut pause).await {
                End::Closed => return,
                End::Relist => self.forget(&mut version, "expired"),
                End::Failed(error) => {
                    // A server that was restored from a backup may not know our version.
                    if error.class == Class::Expired {
                        self.forget(&mut version, "expired");
                    }
                    if error.class == Class::Unauthorized {
                        self.requests.connection().renew().await;
                    }
                    failing = true;
                    if self.send(self.failing(error)).await.is_err() {
                        return;
                    }
                }
            }
            sleep(jitter(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Lists when there is no version to watch from, then watches until something goes wrong.
    async fn follow(
        &mut self,
        version: &mut Option<String>,
        failing: &mut bool,
        pause: &mut Duration,
    ) -> End {
        loop {
            if version.is_none() {
                match self.list().await {
                    Ok(listed) => *version = Some(listed),
                    Err(end) => return end,
                }
            }
            let Some(from) = version else { continue };
            let (before, started) = (from.clone(), Instant::now());
            if let Err(end) = self.watch(from, failing, pause).await {
                return end;
            }
            // The server ends each watch after a while: go on from where it was. What is cut at once and
            // brings nothing would be asked for without end.
            if *from == before && started.elapsed() < SHORTEST_WATCH {
                sleep(jitter(SHORTEST_PAUSE)).await;
            }
        }
    }

    fn forget(&self, version: &mut Option<String>, reason: &str) {
        *version = None;
        let labels = ByRelist::new(self.kind.name(), reason);
        self.requests.metrics().relists.get_or_create(&labels).inc();
    }

    /// Reads all pages; the version to watch from.
    async fn list(&mut self) -> Result<String, End> {
        self.target.begin();
        let mut next = String::new();
        loop {
            let query = self.list_query(&next);
            let namespace = self.namespace.as_deref();
            let page = self
                .requests
                .list::<Page>(self.kind, namespace, &query)
                .await;
            let page = page.map_err(|error| match error.class {
                // The next page of a list that took too long: begin again.
                Class::Expired => End::Relist,
                _ => End::Failed(error),
            })?;
            for object in page.items {
                self.put(&object).await?;
            }
            if page.metadata.r#continue.is_empty() {
                let namespace = self.namespace.clone();
                if let Some(complete) = self.target.end(namespace) {
                    self.send(complete).await?;
                }
                return Ok(page.metadata.resource_version);
            }
            next = page.metadata.r#continue;
        }
    }

    /// Follows one watch request to its end, moving `version` along.
    async fn watch(
        &mut self,
        version: &mut String,
        failing: &mut bool,
        pause: &mut Duration,
    ) -> Result<(), End> {
        let life = jitter(WATCH);
        let path = self.kind.path(self.namespace.as_deref());
        let seconds = life.as_secs();
        let selector = self.target.selector();
        let query = format!(
            "watch=1&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={version}{selector}"
        );
        let request = Request::get(format!("{path}?{query}")).body(Vec::new());
        let request = request.map_err(|_| End::Failed(self.error(Class::Invalid)))?;
        let client = self.requests.connection().client();
        let stream = timeout(START, client.request_stream(request)).await;
        let stream = stream.map_err(|_| End::Failed(self.error(Class::Timeout)))?;
        let stream = stream.map_err(|error| self.refused(&error))?;
        if std::mem::take(failing) {
            self.send(self.recovered()).await?;
        }
        *pause = SHORTEST_PAUSE;
        let mut lines = std::pin::pin!(stream.lines());
        loop {
            match timeout(life + GRACE, lines.next()).await {
                Ok(Some(Ok(line))) => self.line(&line, version).await?,
                // The end, a broken connection and silence are alike: go on from the last version.
                Ok(None) => return Ok(()),
                Ok(Some(Err(_))) | Err(_) => {
                    return Err(End::Failed(self.error(Class::Unavailable)));
                }
            }
        }
    }

    async fn line(&mut self, line: &str, version: &mut String) -> Result<(), End> {
        // A line that is cut off or no JSON: the connection broke in the middle of it.
        let Ok(line) = serde_json::from_str::<Line<'_>>(line) else {
            return Err(End::Failed(self.error(Class::Unreadable)));
        };
        let Line { r#type, object } = line;
        let moved = match r#type {
            "ERROR" => return Err(self.fault(object)),
            "ADDED" | "MODIFIED" => self.put(object).await?,
            "DELETED" => self.gone(object).await?,
            _ => NameOf::of(object).resource_version,
        };
        if let Some(moved) = moved {
            *version = moved;
        }
        Ok(())
    }

    fn fault(&self, object: &RawValue) -> End {
        match serde_json::from_str(object.get()) {
            Ok(Fault { code: 410 }) => End::Relist,
            _ => End::Failed(self.error(Class::Unexpected)),
        }
    }

    /// Hands on what an object has become; its version.
    async fn put(&mut self, object: &RawValue) -> Result<Option<String>, End> {
        let name = NameOf::of(object);
        let namespace = self.namespace.clone();
        match self.target.put(namespace, &name, object) {
            Ok(Some(watched)) => self.send(watched).await?,
            Ok(None) => {}
            // The text of the error may quote the object.
            Err(_) => {
                let place = Place::new(self.kind, name.namespace, name.name);
                self.send(Watched::Unreadable(place)).await?;
            }
        }
        Ok(name.resource_version)
    }

    async fn gone(&self, object: &RawValue) -> Result<Option<String>, End> {
        let NameOf {
            namespace,
            name,
            resource_version,
        } = NameOf::of(object);
        let watched = self.target.gone(self.namespace.clone(), namespace, name);
        self.send(watched).await?;
        Ok(resource_version)
    }

    async fn send(&self, watched: Watched) -> Result<(), End> {
        self.sender.send(watched).await.map_err(|_| End::Closed)
    }

    fn list_query(&self, next: &str) -> String {
        let page = match self.target {
            Target::SealedEnvs { .. } => SEALED_ENV_PAGE,
            Target::Workloads { .. } | Target::Jobs { .. } => PAGE,
        };
        let selector = self.target.selector();
        // A continue token is base64 for URLs, which needs no escaping.
        match next {
            "" => format!("limit={page}{selector}"),
            next => format!("limit={page}&continue={next}{selector}"),
        }
    }

    fn failing(&self, error: ApiError) -> Watched {
        Watched::Failing {
            kind: self.kind,
            namespace: self.namespace.clone(),
            error,
        }
    }

    fn recovered(&self) -> Watched {
        Watched::Recovered {
            kind: self.kind,
            namespace: self.namespace.clone(),
        }
    }

    fn place(&self) -> Place {
        Place {
            kind: self.kind,
            namespace: self.namespace.clone(),
            name: String::new(),
        }
    }

    fn error(&self, class: Class) -> ApiError {
        ApiError::new(Verb::Watch, &self.place(), class)
    }

    fn refused(&self, error: &kube::Error) -> End {
        let error = ApiError::from_client(Verb::Watch, &self.place(), error);
        if error.class == Class::Expired {
            End::Relist
        } else {
            End::Failed(error)
        }
    }
}

#[cfg(test)]
mod tests;
