//! From objects of the API server to what is kept of them.
//!
//! Small types of our own read only the fields that decide something; everything else of an object is
//! skipped while it is decoded. Unknown fields and kinds of volumes read nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::client::Meta;
use crate::env::{ObjectKind, WorkloadKind, WorkloadRef};
use crate::plan::snapshot::{JobSeen, JobState, ObjectId, Reference, Version, Workload};
use crate::vocabulary;

/// Name and namespace, and the rest of the metadata.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NamedMeta {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// The rest.
    #[serde(flatten)]
    pub meta: Meta,
}

impl From<&Meta> for Version {
    fn from(meta: &Meta) -> Self {
        Self {
            uid: meta.uid.clone(),
            resource: meta.resource_version.clone(),
        }
    }
}

// === workloads ===

/// A Deployment, DaemonSet or StatefulSet as far as it matters.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RawWorkload {
    metadata: RawMeta,
    spec: RawSpec,
    status: RawStatus,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawMeta {
    name: String,
    namespace: String,
    uid: String,
    resource_version: String,
    generation: i64,
    annotations: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawSpec {
    replicas: Option<i32>,
    paused: bool,
    selector: Selector,
    template: Template,
    update_strategy: Strategy,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Strategy {
    r#type: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawStatus {
    observed_generation: i64,
    replicas: i32,
    updated_replicas: i32,
    ready_replicas: i32,
    available_replicas: i32,
    desired_number_scheduled: i32,
    current_number_scheduled: i32,
    updated_number_scheduled: i32,
    number_ready: i32,
    number_available: i32,
    conditions: Vec<RawCondition>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawCondition {
    r#type: String,
    status: String,
    reason: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Selector {
    match_labels: BTreeMap<String, String>,
    match_expressions: Vec<Requirement>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Requirement {
    key: String,
    operator: String,
    values: Vec<String>,
}

/// The workload in `object`, with its namespace.
///
/// # Errors
/// When the object is not what its kind says. The error may quote it and must not be shown.
pub fn workload<'de, D: Deserializer<'de>>(
    kind: WorkloadKind,
    object: D,
) -> Result<(String, Workload), D::Error> {
    let RawWorkload {
        metadata,
        spec,
        status,
    } = RawWorkload::deserialize(object)?;
    let name = metadata.name.parse().map_err(serde::de::Error::custom)?;
    let counts = Counts::of(kind, &spec, &status);
    let workload = Workload {
        id: WorkloadRef { kind, name },
        version: Version {
            uid: metadata.uid,
            resource: metadata.resource_version,
        },
        generation: metadata.generation,
        observed_generation: status.observed_generation,
        references: spec.template.spec.references(),
        markers: markers(&spec.template.metadata.annotations),
        paused: spec.paused,
        on_delete: spec.update_strategy.r#type == "OnDelete",
        opted_out: opted_out(&metadata.annotations)
            .or_else(|| opted_out(&spec.template.metadata.annotations)),
        selector: spec.selector.text(),
        desired: counts.desired,
        updated: counts.updated,
        ready: counts.ready,
        available: counts.available,
        total: counts.total,
        failed: failure(&status.conditions),
    };
    Ok((metadata.namespace, workload))
}

struct Counts {
    desired: i32,
    updated: i32,
    ready: i32,
    available: i32,
    total: i32,
}

impl Counts {
    fn of(kind: WorkloadKind, spec: &RawSpec, status: &RawStatus) -> Self {
        match kind {
            WorkloadKind::DaemonSet => Self {
                desired: status.desired_number_scheduled,
                updated: status.updated_number_scheduled,
                ready: status.number_ready,
                available: status.number_available,
                total: status.current_number_scheduled,
            },
            WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::Rollout => Self {
                desired: spec.replicas.unwrap_or(1),
                updated: status.updated_replicas,
                ready: status.ready_replicas,
                available: status.available_replicas,
                total: status.replicas,
            },
        }
    }
}

/// Markers by the name of their SealedEnv.
fn markers(annotations: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let prefix = vocabulary::marker("");
    let marker = |(key, text): (&String, &String)| {
        Some((key.strip_prefix(&prefix)?.to_owned(), text.clone()))
    };
    annotations.iter().filter_map(marker).collect()
}

/// Why somebody does not want seald to restart it. What another restarter does, seald leaves to it:
/// two would roll twice.
fn opted_out(annotations: &BTreeMap<String, String>) -> Option<String> {
    const OTHERS: [(&str, &str); 2] = [
        ("reloader.stakater.com/", "Reloader restarts it"),
        ("wave.pusher.com/", "Wave restarts it"),
    ];
    annotations.iter().find_map(|(key, text)| {
        if key == vocabulary::RESTART && text == "false" {
            return Some(format!("it is annotated {key}=false"));
        }
        let other = OTHERS
            .iter()
            .find(|(mark, _)| key.contains(mark) && text != "false");
        other.map(|(_, why)| (*why).to_owned())
    })
}

fn failure(conditions: &[RawCondition]) -> Option<String> {
    let stuck = conditions
        .iter()
        .find(|condition| condition.r#type == "Progressing" && condition.status == "False");
    stuck.map(|condition| condition.reason.clone())
}

impl Selector {
    /// As text for a query, such as `app=web,tier in (a,b)`.
    fn text(&self) -> String {
        let labels = self
            .match_labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        let expressions = self.match_expressions.iter().map(Requirement::text);
        labels.chain(expressions).collect::<Vec<_>>().join(",")
    }
}

impl Requirement {
    fn text(&self) -> String {
        let Self {
            key,
            operator,
            values,
        } = self;
        let values = values.join(",");
        match operator.as_str() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.clone(),
        }
    }
}

// === pod templates ===

#[derive(Default, Deserialize)]
#[serde(default)]
struct Template {
    metadata: TemplateMeta,
    spec: PodSpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TemplateMeta {
    annotations: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodSpec {
    containers: Vec<Container>,
    init_containers: Vec<Container>,
    volumes: Vec<Volume>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    env: Vec<EnvVar>,
    env_from: Vec<EnvFrom>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EnvVar {
    value_from: Option<ValueFrom>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ValueFrom {
    config_map_key_ref: Option<Source>,
    secret_key_ref: Option<Source>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EnvFrom {
    config_map_ref: Option<Source>,
    secret_ref: Option<Source>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Volume {
    config_map: Option<Source>,
    secret: Option<Source>,
    projected: Option<Projected>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Projected {
    sources: Vec<Projection>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Projection {
    config_map: Option<Source>,
    secret: Option<Source>,
}

/// Every way in which a template names a ConfigMap or Secret: whole, one key, or some keys.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Source {
    #[serde(alias = "secretName")]
    name: String,
    key: Option<String>,
    items: Option<Vec<Item>>,
    optional: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Item {
    key: String,
}

impl PodSpec {
    /// What its pods read, sorted and each once. `imagePullSecrets` are read at the next pull and are
    /// not among them.
    fn references(&self) -> Vec<Reference> {
        let mut references = Vec::new();
        let mut add = |config_map: &Option<Source>, secret: &Option<Source>| {
            for (kind, source) in [
                (ObjectKind::ConfigMap, config_map),
                (ObjectKind::Secret, secret),
            ] {
                if let Some(source) = source {
                    references.extend(source.references(kind));
                }
            }
        };
        for container in self.containers.iter().chain(&self.init_containers) {
            for from in container
                .env
                .iter()
                .filter_map(|variable| variable.value_from.as_ref())
            {
                add(&from.config_map_key_ref, &from.secret_key_ref);
            }
            for from in &container.env_from {
                add(&from.config_map_ref, &from.secret_ref);
            }
        }
        for volume in &self.volumes {
            add(&volume.config_map, &volume.secret);
            for source in volume
                .projected
                .iter()
                .flat_map(|projected| &projected.sources)
            {
                add(&source.config_map, &source.secret);
            }
        }
        references.sort();
        references.dedup();
        references
    }
}

impl Source {
    fn references(&self, kind: ObjectKind) -> Vec<Reference> {
        let reference = |key: Option<&String>| Reference {
            object: ObjectId {
                kind,
                name: self.name.clone(),
            },
            key: key.cloned(),
            optional: self.optional,
        };
        match &self.items {
            Some(items) if !items.is_empty() => items
                .iter()
                .map(|item| reference(Some(&item.key)))
                .collect(),
            _ => vec![reference(self.key.as_ref())],
        }
    }
}

// === Jobs ===

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawJob {
    metadata: NamedMeta,
    status: RawStatus,
}

/// The Job in `object`, with its namespace.
///
/// # Errors
/// When the object is no Job. The error may quote it and must not be shown.
pub fn job<'de, D: Deserializer<'de>>(object: D) -> Result<(String, JobSeen), D::Error> {
    let RawJob { metadata, status } = RawJob::deserialize(object)?;
    let NamedMeta {
        name,
        namespace,
        meta,
    } = metadata;
    let annotation = |key: &str| meta.annotations.get(key).cloned();
    let job = JobSeen {
        name,
        version: Version::from(&meta),
        owner: meta.labels.get(vocabulary::LABEL_OWNER).cloned(),
        owner_uid: annotation(vocabulary::OWNER_UID),
        bootstrap_id: annotation(vocabulary::BOOTSTRAP_ID),
        state: job_state(&status.conditions),
        held: meta
            .finalizers
            .iter()
            .any(|finalizer| finalizer == vocabulary::FINALIZER_BOOTSTRAP),
        deleting: meta.deletion_timestamp.is_some(),
    };
    Ok((namespace, job))
}

fn job_state(conditions: &[RawCondition]) -> JobState {
    let found = |kind: &str| {
        conditions
            .iter()
            .find(|condition| condition.r#type == kind && condition.status == "True")
    };
    if let Some(failed) = found("Failed") {
        JobState::Failed(failed.reason.clone())
    } else if found("Complete").is_some() {
        JobState::Succeeded
    } else {
        JobState::Running
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn deployment() -> Value {
        json!({
            "metadata": {
                "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "9", "generation": 4,
                "annotations": { "a": "b" }, "managedFields": [{}]
            },
            "spec": {
                "replicas": 3,
                "selector": {
                    "matchLabels": { "app": "web" },
                    "matchExpressions": [{ "key": "tier", "operator": "In", "values": ["a", "b"] }]
                },
                "strategy": { "type": "RollingUpdate" },
                "template": {
                    "metadata": { "annotations": {
                        "sealctl.dev/content-hash.web": "v1:00", "sealctl.dev/content-hash": "x", "z": "y"
                    } },
                    "spec": {
                        "imagePullSecrets": [{ "name": "registry" }],
                        "initContainers": [{ "envFrom": [{ "secretRef": { "name": "init" } }] }],
                        "containers": [{
                            "envFrom": [
                                { "configMapRef": { "name": "config" } },
                                { "secretRef": { "name": "maybe", "optional": true } }
                            ],
                            "env": [
                                { "name": "A", "value": "plain" },
                                { "name": "B", "valueFrom": { "secretKeyRef": { "name": "secrets", "key": "B" } } },
                                { "name": "C", "valueFrom": { "fieldRef": { "fieldPath": "x" } } }
                            ]
                        }],
                        "volumes": [
                            { "name": "v", "secret": { "secretName": "tls", "items": [{ "key": "tls.crt", "path": "c" }] } },
                            { "name": "e", "emptyDir": {} },
                            { "name": "p", "projected": { "sources": [
                                { "configMap": { "name": "projected" } }, { "serviceAccountToken": {} }
                            ] } }
                        ]
                    }
                }
            },
            "status": {
                "observedGeneration": 4, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 2,
                "availableReplicas": 2,
                "conditions": [{ "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded" }]
            }
        })
    }

    fn seen(object: Value) -> Workload {
        workload(WorkloadKind::Deployment, object).unwrap().1
    }

    #[test]
    fn every_way_to_read_an_object_is_found_and_pull_secrets_are_not() {
        let references: Vec<_> = seen(deployment())
            .references
            .iter()
            .map(|found| format!("{} {:?} {}", found.object, found.key, found.optional))
            .collect();
        assert_eq!(
            references,
            [
                "ConfigMap/config None false",
                "ConfigMap/projected None false",
                "Secret/init None false",
                "Secret/maybe None true",
                "Secret/secrets Some(\"B\") false",
                "Secret/tls Some(\"tls.crt\") false",
            ]
        );
    }

    #[test]
    fn counts_markers_and_failure_are_those_of_the_workload() {
        let web = seen(deployment());
        assert_eq!(
            (web.desired, web.updated, web.available, web.total),
            (3, 3, 2, 3)
        );
        assert!(!web.is_complete());
        assert_eq!(
            web.markers,
            BTreeMap::from([("web".into(), "v1:00".into())])
        );
        assert_eq!(web.failed.as_deref(), Some("ProgressDeadlineExceeded"));
        assert_eq!(web.selector, "app=web,tier in (a,b)");
        assert_eq!(web.opted_out, None);
    }

    #[test]
    fn its_own_annotation_or_another_restarter_opts_it_out() {
        for (key, text, out) in [
            ("sealctl.dev/restart", "false", true),
            ("sealctl.dev/restart", "true", false),
            ("secret.reloader.stakater.com/reload", "web", true),
            ("reloader.stakater.com/auto", "false", false),
        ] {
            let mut object = deployment();
            object["metadata"]["annotations"][key] = text.into();
            assert_eq!(seen(object).opted_out.is_some(), out, "{key}={text}");
        }
    }

    #[test]
    fn a_daemon_set_counts_nodes() {
        let object = json!({
            "metadata": { "name": "agent", "namespace": "shop", "generation": 1 },
            "spec": { "updateStrategy": { "type": "OnDelete" } },
            "status": { "observedGeneration": 1, "desiredNumberScheduled": 2, "currentNumberScheduled": 2,
                        "updatedNumberScheduled": 2, "numberReady": 2, "numberAvailable": 2 }
        });
        let (_, agent) = workload(WorkloadKind::DaemonSet, object).unwrap();
        assert!(agent.is_complete() && agent.on_delete);
    }

    #[test]
    fn a_job_tells_whose_it_is_and_how_it_ended() {
        let object = json!({
            "metadata": {
                "name": "seald-bootstrap-web-1", "namespace": "shop", "uid": "u", "resourceVersion": "3",
                "labels": { "sealctl.dev/owner": "web" },
                "annotations": { "sealctl.dev/owner-uid": "o", "sealctl.dev/bootstrap-id": "1" },
                "finalizers": ["sealctl.dev/bootstrap"]
            },
            "status": { "conditions": [
                { "type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded" },
                { "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded" }
            ] }
        });
        let (namespace, job) = job(object).unwrap();
        assert_eq!(namespace, "shop");
        assert_eq!(job.state, JobState::Failed("BackoffLimitExceeded".into()));
        assert_eq!(
            job.version,
            Version {
                uid: "u".into(),
                resource: "3".into()
            }
        );
        assert_eq!(job.owner_uid.as_deref(), Some("o"));
        assert!(job.held && !job.deleting);
    }
}
