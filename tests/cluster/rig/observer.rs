//! Counts what really happened in a cluster, from before the first write: rollouts, Jobs, changed objects.
//!
//! It watches metadata only: no value ever reaches it. It believes the API server and nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::api::{Api, ApiResource, DynamicObject, PartialObjectMeta};
use kube::runtime::watcher::{self, Event};
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::cluster::Cluster;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    Created,
    Modified,
    Deleted,
}

/// One change of one object: its resourceVersion moved, or it came or went. A write that changes nothing is none.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) at: Instant,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) happened: Happened,
    pub(crate) resource_version: String,
    /// Field managers whose entry is not what it was. Empty when a manager changed the same fields twice in one second:
    /// Kubernetes keeps no finer time.
    pub(crate) managers: Vec<String>,
}

/// Watches a namespace, or all of them, as long as it lives.
#[derive(Debug)]
pub(crate) struct Observer {
    seen: Arc<Mutex<Seen>>,
    watches: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Seen {
    /// By `namespace/kind/name` of the owner: each distinct pod template that was rolled, going back to a former one included.
    rollouts: BTreeMap<String, BTreeSet<(String, String)>>,
    /// By uid: namespace and name.
    jobs: BTreeMap<String, (String, String)>,
    changes: Vec<Change>,
    managed_fields: BTreeMap<String, Vec<ManagedFieldsEntry>>,
    last: Instant,
}

impl Observer {
    /// Watches ReplicaSets, ControllerRevisions, Jobs, Deployments, DaemonSets, ConfigMaps and Secrets of a namespace. When
    /// it returns, the watches stand: nothing that is written later is missed.
    pub(crate) async fn of(cluster: &Cluster, namespace: &str) -> Self {
        Self::start(cluster.client(), Some(namespace), &[]).await
    }

    /// The same in all namespaces, and custom kinds as well.
    pub(crate) async fn everywhere(cluster: &Cluster, custom: &[ApiResource]) -> Self {
        Self::start(cluster.client(), None, custom).await
    }

    /// The same in one namespace, and custom kinds as well.
    pub(crate) async fn of_kinds(
        cluster: &Cluster,
        namespace: &str,
        custom: &[ApiResource],
    ) -> Self {
        Self::start(cluster.client(), Some(namespace), custom).await
    }

    async fn start(client: Client, namespace: Option<&str>, custom: &[ApiResource]) -> Self {
        let seen = Arc::new(Mutex::new(Seen {
            rollouts: BTreeMap::new(),
            jobs: BTreeMap::new(),
            changes: Vec::new(),
            managed_fields: BTreeMap::new(),
            last: Instant::now(),
        }));
        let mut observer = Self {
            seen,
            watches: Vec::new(),
        };
        observer.watch::<ReplicaSet>(api(&client, namespace)).await;
        observer.watch::<Job>(api(&client, namespace)).await;
        observer.watch::<Deployment>(api(&client, namespace)).await;
        observer.watch::<DaemonSet>(api(&client, namespace)).await;
        observer.watch::<ConfigMap>(api(&client, namespace)).await;
        observer.watch::<Secret>(api(&client, namespace)).await;
        observer.watch_revisions(api(&client, namespace)).await;
        for kind in custom {
            let api: Api<PartialObjectMeta<DynamicObject>> = match namespace {
                Some(namespace) => Api::namespaced_with(client.clone(), namespace, kind),
                None => Api::all_with(client.clone(), kind),
            };
            observer.watch_metadata(api, kind.kind.clone()).await;
        }
        observer
    }

    /// How many pod templates a workload (`deployment/web`, `daemonset/agent`, `statefulset/db`) has rolled, the first one
    /// included. A return to a former template counts too.
    pub(crate) fn rollouts(&self, namespace: &str, workload: &str) -> usize {
        self.seen()
            .rollouts
            .get(&format!("{namespace}/{workload}"))
            .map_or(0, BTreeSet::len)
    }

    /// How often a workload was rolled after its first template.
    pub(crate) fn restarts(&self, namespace: &str, workload: &str) -> usize {
        self.rollouts(namespace, workload).saturating_sub(1)
    }

    /// Names of all Jobs that ever existed, one entry per object: a Job made twice stands here twice.
    pub(crate) fn jobs(&self, namespace: &str) -> Vec<String> {
        self.seen()
            .jobs
            .values()
            .filter(|(of, _)| of == namespace)
            .map(|(_, name)| name.clone())
            .collect()
    }

    /// All changes since the observer stands, in the order in which they were seen.
    pub(crate) fn changes(&self) -> Vec<Change> {
        self.seen().changes.clone()
    }

    /// Changes of one kind (`Secret`).
    pub(crate) fn changes_of(&self, kind: &str) -> Vec<Change> {
        self.changes()
            .into_iter()
            .filter(|change| change.kind == kind)
            .collect()
    }

    /// Changes in which this field manager took part, or in which it is unknown who did.
    pub(crate) fn changes_by(&self, manager: &str) -> Vec<Change> {
        let by = |change: &Change| {
            change.managers.is_empty() || change.managers.iter().any(|other| other == manager)
        };
        self.changes().into_iter().filter(by).collect()
    }

    /// Returns when nothing has changed for this long.
    ///
    /// # Panics
    /// When it is never quiet within a minute.
    pub(crate) async fn quiet_for(&self, quiet: Duration) {
        let begin = Instant::now();
        loop {
            let since = self.seen().last.max(begin).elapsed();
            if since >= quiet {
                return;
            }
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "never quiet; last: {:?}",
                self.seen().changes.last()
            );
            tokio::time::sleep(quiet.saturating_sub(since)).await;
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn watch<K>(&mut self, api: Api<PartialObjectMeta<K>>)
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        self.watch_metadata(api, K::kind(&()).into_owned()).await;
    }

    async fn watch_metadata<K>(&mut self, api: Api<PartialObjectMeta<K>>, kind: String)
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
        PartialObjectMeta<K>: Resource,
    {
        let stream = watcher::watcher(api, watcher::Config::default());
        self.follow(stream, move |object, seen, happened| {
            seen.note(&kind, &object.metadata, happened, None);
        })
        .await;
    }

    async fn watch_revisions(&mut self, api: Api<ControllerRevision>) {
        let stream = watcher::watcher(api, watcher::Config::default());
        self.follow(stream, |object, seen, happened| {
            seen.note(
                "ControllerRevision",
                &object.metadata,
                happened,
                Some(object.revision),
            );
        })
        .await;
    }

    async fn follow<T: Send + 'static>(
        &mut self,
        stream: impl futures::Stream<Item = watcher::Result<Event<T>>> + Send + 'static,
        note: impl Fn(&T, &mut Seen, Option<Happened>) + Send + 'static,
    ) {
        let (listed, is_listed) = oneshot::channel();
        let mut listed = Some(listed);
        let seen = Arc::clone(&self.seen);
        self.watches.push(tokio::spawn(async move {
            let mut stream = std::pin::pin!(stream);
            while let Some(event) = stream.next().await {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                match event {
                    // An object of a later list was perhaps changed while the watch was away.
                    Ok(Event::InitApply(object)) => note(
                        &object,
                        &mut seen,
                        listed.is_none().then_some(Happened::Modified),
                    ),
                    Ok(Event::Apply(object)) => note(&object, &mut seen, Some(Happened::Modified)),
                    Ok(Event::Delete(object)) => note(&object, &mut seen, Some(Happened::Deleted)),
                    Ok(Event::InitDone) => {
                        if let Some(listed) = listed.take() {
                            let _ = listed.send(());
                        }
                    }
                    // The watcher tries again by itself, from where it was.
                    Ok(Event::Init) | Err(_) => {}
                }
            }
        }));
        tokio::time::timeout(Duration::from_secs(20), is_listed)
            .await
            .expect("the API server lists")
            .expect("a first list");
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        for watch in &self.watches {
            watch.abort();
        }
    }
}

impl Seen {
    /// Takes up one object of a watch. `happened` is nothing for what was there before the observer.
    fn note(
        &mut self,
        kind: &str,
        metadata: &ObjectMeta,
        happened: Option<Happened>,
        revision: Option<i64>,
    ) {
        let uid = metadata.uid.clone().unwrap_or_default();
        let namespace = metadata.namespace.clone().unwrap_or_default();
        let name = metadata.name.clone().unwrap_or_default();
        if kind == "Job" {
            self.jobs
                .insert(uid.clone(), (namespace.clone(), name.clone()));
        }
        let revision = revision.map(|revision| revision.to_string());
        let revision = revision.or_else(|| metadata.annotations.as_ref()?.get(REVISION).cloned());
        if ["ReplicaSet", "ControllerRevision"].contains(&kind)
            && happened != Some(Happened::Deleted)
        {
            for owner in metadata.owner_references.iter().flatten() {
                let owner = format!("{namespace}/{}/{}", owner.kind.to_lowercase(), owner.name);
                self.rollouts
                    .entry(owner)
                    .or_default()
                    .insert((uid.clone(), revision.clone().unwrap_or_default()));
            }
        }
        let fields = metadata.managed_fields.clone().unwrap_or_default();
        let before = self.managed_fields.insert(uid, fields.clone());
        let Some(happened) = happened else { return };
        let happened = if before.is_none() && happened == Happened::Modified {
            Happened::Created
        } else {
            happened
        };
        let before = before.unwrap_or_default();
        let managers = fields
            .iter()
            .filter(|entry| !before.contains(entry))
            .filter_map(|entry| entry.manager.clone());
        let resource_version = metadata.resource_version.clone().unwrap_or_default();
        let managers = managers.collect();
        let at = Instant::now();
        self.last = at;
        self.changes.push(Change {
            at,
            kind: kind.to_owned(),
            namespace,
            name,
            happened,
            resource_version,
            managers,
        });
    }
}

/// Counts up with every template that the Deployment controller rolls; a return to a former ReplicaSet moves it too.
const REVISION: &str = "deployment.kubernetes.io/revision";

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}
