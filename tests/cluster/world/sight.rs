//! What a test sees of its world: conditions, Events, contents of objects, and snapshots that show whether anything changed.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use super::{SOON, World};

/// One condition of a SealedEnv.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) observed: i64,
}

/// What is there, with versions: `Secret/web-secrets` → resourceVersion; of workloads the generation, since their status moves.
pub(crate) type Snapshot = BTreeMap<String, String>;

/// The custom resource.
pub(crate) fn sealed_envs() -> ApiResource {
    let kind = GroupVersionKind::gvk("sealctl.dev", "v1alpha1", "SealedEnv");
    ApiResource::from_gvk_with_plural(&kind, "sealedenvs")
}

/// Name of the state Secret of an app.
pub(crate) fn state_secret(app: &str) -> String {
    format!("seald-state-{app}")
}

impl World {
    /// The SealedEnv as JSON, when it is there.
    pub(crate) async fn sealed_env(&self, app: &str) -> Option<Value> {
        let found = self.sealed_envs().get_opt(app).await.ok()??;
        serde_json::to_value(found).ok()
    }

    /// A condition of a SealedEnv.
    pub(crate) async fn condition(&self, app: &str, kind: &str) -> Option<Condition> {
        condition(&self.sealed_env(app).await?, kind)
    }

    /// Waits until seald says that this revision is in place, and all is well.
    pub(crate) async fn synced(&self, app: &str, revision: u64) {
        let what = format!("SealedEnv {app} to be Synced at revision {revision}");
        let synced = self
            .cluster
            .eventually(&what, SOON, &self.namespace, async || {
                let found = self.sealed_env(app).await?;
                let ready = condition(&found, "Ready")?;
                let done = found["status"]["lastAppliedRevision"] == json!(revision)
                    && found["status"]["observedGeneration"] == found["metadata"]["generation"]
                    && ready.status == "True"
                    && ready.reason == "Synced";
                done.then_some(())
            });
        synced.await;
    }

    /// Waits until a condition of a SealedEnv has this reason, for the SealedEnv as it is now; gives the condition.
    pub(crate) async fn says(&self, app: &str, kind: &str, reason: &str) -> Condition {
        let what = format!("condition {kind} of SealedEnv {app} with reason {reason}");
        let says = self
            .cluster
            .eventually(&what, SOON, &self.namespace, async || {
                let found = self.sealed_env(app).await?;
                let condition = condition(&found, kind)?;
                let now = json!(condition.observed) == found["metadata"]["generation"];
                (now && condition.reason == reason).then_some(condition)
            });
        says.await
    }

    /// Waits for an Event about a SealedEnv with this reason; gives its type and note.
    pub(crate) async fn event(&self, app: &str, reason: &str) -> (String, String) {
        let what = format!("Event {reason} about {app}");
        let event = self
            .cluster
            .eventually(&what, SOON, &self.namespace, async || {
                self.events().await.into_iter().rev().find_map(|event| {
                    let about = event.regarding.as_ref()?;
                    let fits = event.reason.as_deref() == Some(reason)
                        && about.name.as_deref() == Some(app);
                    fits.then(|| {
                        (
                            event.type_.unwrap_or_default(),
                            event.note.unwrap_or_default(),
                        )
                    })
                })
            });
        event.await
    }

    /// All Events of the namespace.
    pub(crate) async fn events(&self) -> Vec<Event> {
        let api: Api<Event> = Api::namespaced(self.cluster.client(), &self.namespace);
        api.list(&ListParams::default())
            .await
            .map(|list| list.items)
            .unwrap_or_default()
    }

    /// The content of `Secret/NAME` or `ConfigMap/NAME`, when it is there.
    pub(crate) async fn data(&self, object: &str) -> Option<BTreeMap<String, String>> {
        let (kind, name) = object.split_once('/').expect("kind/name");
        let client = self.cluster.client();
        if kind == "ConfigMap" {
            let api: Api<ConfigMap> = Api::namespaced(client, &self.namespace);
            return Some(api.get_opt(name).await.ok()??.data.unwrap_or_default());
        }
        let api: Api<Secret> = Api::namespaced(client, &self.namespace);
        let data = api.get_opt(name).await.ok()??.data.unwrap_or_default();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Some(
            data.into_iter()
                .map(|(key, value)| (key, text(value.0)))
                .collect(),
        )
    }

    /// Waits until an object holds exactly this.
    pub(crate) async fn holds(&self, object: &str, wanted: &[(&str, &str)]) {
        let wanted: BTreeMap<String, String> = wanted
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let what = format!("{object} with the wanted content");
        let holds = self
            .cluster
            .eventually(&what, SOON, &self.namespace, async || {
                (self.data(object).await.as_ref() == Some(&wanted)).then_some(())
            });
        holds.await;
    }

    /// Waits until an object is gone.
    pub(crate) async fn gone(&self, object: &str) {
        let what = format!("{object} to be gone");
        let gone = self
            .cluster
            .eventually(&what, SOON, &self.namespace, async || {
                self.data(object).await.is_none().then_some(())
            });
        gone.await;
    }

    pub(crate) async fn deployment(&self, name: &str) -> Deployment {
        let api: Api<Deployment> = Api::namespaced(self.cluster.client(), &self.namespace);
        api.get(name).await.expect("the Deployment is there")
    }

    /// The annotations of a Deployment's pod template.
    pub(crate) async fn template_annotations(&self, name: &str) -> BTreeMap<String, String> {
        let template = self.deployment(name).await.spec.expect("a spec").template;
        template
            .metadata
            .and_then(|metadata| metadata.annotations)
            .unwrap_or_default()
    }

    pub(crate) async fn jobs(&self) -> Vec<Job> {
        let api: Api<Job> = Api::namespaced(self.cluster.client(), &self.namespace);
        api.list(&ListParams::default())
            .await
            .expect("a list")
            .items
    }

    /// Everything that seald could have changed, state and SealedEnvs apart.
    pub(crate) async fn snapshot(&self) -> Snapshot {
        let mut all = Snapshot::new();
        let client = self.cluster.client();
        let list = ListParams::default();
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &self.namespace);
        for found in secrets.list(&list).await.expect("a list") {
            if found.name_any().starts_with("seald-state-") {
                continue;
            }
            all.insert(
                format!("Secret/{}", found.name_any()),
                found.resource_version().unwrap_or_default(),
            );
        }
        let config_maps: Api<ConfigMap> = Api::namespaced(client.clone(), &self.namespace);
        for found in config_maps.list(&list).await.expect("a list") {
            all.insert(
                format!("ConfigMap/{}", found.name_any()),
                found.resource_version().unwrap_or_default(),
            );
        }
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), &self.namespace);
        for found in deployments.list(&list).await.expect("a list") {
            let generation = found.metadata.generation.unwrap_or_default();
            all.insert(
                format!("Deployment/{}", found.name_any()),
                generation.to_string(),
            );
        }
        for found in self.jobs().await {
            all.insert(
                format!("Job/{}", found.name_any()),
                found.metadata.uid.unwrap_or_default(),
            );
        }
        all
    }

    /// Asks for a pass of this SealedEnv and waits until seald has made it, so that everything before it has been seen.
    pub(crate) async fn pass(&self, app: &str) {
        let now = self.ask(app).await;
        let passed = self.cluster.eventually(
            "the pass that was asked for",
            SOON,
            &self.namespace,
            async || {
                (self.sealed_env(app).await?["status"]["lastHandledReconcileAt"] == json!(now))
                    .then_some(())
            },
        );
        passed.await;
    }

    /// Asks for a pass of this SealedEnv, as `sealctl cluster sync` does; gives the time that stands in it.
    pub(crate) async fn ask(&self, app: &str) -> String {
        let now = jiff::Timestamp::now().to_string();
        let asked = json!({"metadata": {"annotations": {"sealctl.dev/requested-at": now}}});
        let patch = kube::api::Patch::Merge(asked);
        self.sealed_envs()
            .patch(app, &kube::api::PatchParams::default(), &patch)
            .await
            .expect("the SealedEnv is there");
        now
    }
}

fn condition(sealed_env: &Value, kind: &str) -> Option<Condition> {
    let conditions = sealed_env["status"]["conditions"].as_array()?;
    let found = conditions
        .iter()
        .find(|condition| condition["type"] == kind)?;
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Some(Condition {
        status: text("status"),
        reason: text("reason"),
        message: text("message"),
        observed: found["observedGeneration"].as_i64().unwrap_or_default(),
    })
}
