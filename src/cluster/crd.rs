//! The custom resource SealedEnv: one sealed document as the cluster sees it.
//!
//! Schemas only: what the fields mean is decided elsewhere. The definition for a cluster is generated
//! from these types ([`definition`]) and lies in `deploy/crd/`; a test keeps it fresh.

#![expect(
    unreachable_pub,
    reason = "the derive repeats the types inside functions"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, CustomResourceExt as _, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::manifest;

/// What a person or the mirror asks for.
#[derive(CustomResource, KubeSchema, Deserialize, Serialize, Clone, PartialEq)]
#[kube(
    group = "sealctl.dev",
    version = "v1alpha1",
    kind = "SealedEnv",
    plural = "sealedenvs",
    singular = "sealedenv",
    shortname = "senv",
    category = "sealctl",
    namespaced,
    status = "SealedEnvStatus",
    derive = "PartialEq",
    doc = "A sealed environment document. seald turns it into ConfigMaps and Secrets and restarts what reads them.",
    selectable = ".spec.environment",
    validation = kube::core::Rule::new("self.metadata.name.size() <= 38")
        .message("name is at most 38 characters"),
    printcolumn(name = "READY", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "STATUS", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "ENV", type_ = "string", json_path = ".spec.environment"),
    printcolumn(name = "COMMIT", type_ = "string", json_path = ".status.lastAppliedCommit"),
    printcolumn(name = "KEYS", type_ = "integer", json_path = ".status.keys"),
    printcolumn(name = "LAST-SYNC", type_ = "date", json_path = ".status.lastVerifiedTime"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "REVISION", type_ = "integer", json_path = ".status.lastAppliedRevision", priority = 1),
    printcolumn(name = "MESSAGE", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = kube::core::Rule::new(r"self.document.contains('\nsops:')")
        .message("spec.document must be a sealed document; run sealctl encrypt"),
    validation = kube::core::Rule::new("self.document.contains('mac: ')")
        .message("spec.document has no MAC; run sealctl encrypt")
)]
pub struct SealedEnvSpec {
    /// The environment, as the document says. Each seald watches its own.
    #[x_kube(validation = kube::core::Rule::new("self == oldSelf")
        .message("environment cannot be changed; make a new SealedEnv"))]
    #[schemars(length(min = 1, max = 63))]
    pub environment: String,
    /// The sealed file, verbatim.
    #[schemars(length(min = 1, max = 1_048_576))]
    pub document: String,
    /// The clear contract, verbatim. It can refuse a document, never change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 262_144))]
    pub contract: Option<String>,
    /// Stops writing.
    #[serde(default)]
    pub suspend: bool,
    /// What happens to the generated objects when the SealedEnv is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

impl std::fmt::Debug for SealedEnvSpec {
    /// Without the document: config values in it are clear.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SealedEnvSpec")
            .field("environment", &self.environment)
            .field("suspend", &self.suspend)
            .field("deletion_policy", &self.deletion_policy)
            .finish_non_exhaustive()
    }
}

/// What happens to the generated objects when the SealedEnv is deleted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum DeletionPolicy {
    /// They stay.
    #[default]
    Retain,
    /// They go with it.
    Delete,
}

/// What seald found and did. Holds no values, and no key names but in messages.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SealedEnvStatus {
    /// Generation of the spec that a pass began with; -1 before the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions as kstatus reads them, and one per stage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Counter of the seal in the last document that was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_revision: Option<i64>,
    /// Counter of the seal in the last document that is in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_applied_revision: Option<i64>,
    /// Commit of the last document that was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_commit: Option<String>,
    /// Commit of the last document that is in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_applied_commit: Option<String>,
    /// Last pass that changed anything and found everything in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub last_verified_time: Option<Time>,
    /// Copy of the annotation that asked for the last pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Next try while failing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub next_retry_time: Option<Time>,
    /// Number of values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<i32>,
    /// Keyed digest of everything delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_hash: Option<String>,
    /// The generated objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["kind".into(), "name".into()]))]
    pub targets: Vec<Target>,
    /// The workloads that read them: at most 50, failing ones first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["kind".into(), "name".into()]))]
    pub rollouts: Vec<Rollout>,
    /// The superuser Job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Bootstrap>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Type, such as `Ready`.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: ConditionStatus,
    /// One word from a closed list.
    pub reason: String,
    /// One sentence with file and key name, never a value.
    pub message: String,
    /// When the status last changed.
    #[schemars(schema_with = "time")]
    pub last_transition_time: Time,
    /// Generation that the condition speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// Status of a condition.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody knows yet.
    Unknown,
}

/// A generated object as it was last written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// `ConfigMap` or `Secret`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Its version as our last write returned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// Number of keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<i32>,
    /// Keyed digest of its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_hash: Option<String>,
    /// Whether it is in place.
    pub state: TargetState,
}

/// Whether a generated object is in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum TargetState {
    /// It is.
    Applied,
    /// Not yet, or it waits for its deletion.
    Pending,
    /// A foreign object has its name.
    Foreign,
}

/// A workload and how far its rollout is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// `Deployment`, `DaemonSet` or `StatefulSet`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Keyed digest of what its pods run or are about to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_hash: Option<String>,
    /// Pods that it should have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<i32>,
    /// Pods that are ready with the new content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<i32>,
    /// How far it is.
    pub state: RolloutState,
    /// Why it failed or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How far a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum RolloutState {
    /// Its turn has not come.
    Waiting,
    /// Pods are being replaced.
    Rolling,
    /// Every pod runs the content.
    Done,
    /// The workload reports failure, or nothing in time.
    Failed,
    /// It is not restarted; the reason says why.
    Skipped,
}

/// The superuser Job.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bootstrap {
    /// Id of the run.
    pub id: String,
    /// Name of the Job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// How far it is.
    pub state: BootstrapState,
    /// When it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub completed_at: Option<Time>,
    /// Whether it is the try that the annotation bootstrap-id asks for; no other one is made for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub requested: bool,
}

/// How far the superuser Job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum BootstrapState {
    /// For rollout, migrations or another Job.
    Waiting,
    /// The Job exists.
    Running,
    /// A usable superuser exists.
    Done,
    /// The Job failed.
    Failed,
    /// The Job was gone before its end was seen.
    Lost,
}

/// The CustomResourceDefinition as JSON, ready to be applied.
#[must_use]
pub fn definition() -> Value {
    let mut definition = json!(SealedEnv::crd());
    let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status";
    if let Some(Value::Object(status)) = definition.pointer_mut(status) {
        // kstatus then says "in progress" before seald has seen the object.
        status.insert("default".into(), json!({ "observedGeneration": -1 }));
        status.shift_remove("nullable");
    }
    definition
}

/// The definition as the YAML file of `deploy/crd/`.
#[must_use]
pub fn definition_yaml() -> String {
    format!(
        "# Generated by \"sealctl generate crd\" from src/cluster/crd.rs; do not edit.\n{}",
        manifest::yaml(&definition())
    )
}

/// Schema of a time as Kubernetes writes it.
fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

#[cfg(test)]
mod tests {
    use kube::Resource as _;

    use super::*;
    use crate::vocabulary;

    #[test]
    fn group_version_and_names_are_those_of_the_vocabulary() {
        assert_eq!(SealedEnv::group(&()), vocabulary::API_GROUP);
        assert_eq!(SealedEnv::version(&()), vocabulary::API_VERSION);
        assert_eq!(SealedEnv::kind(&()), vocabulary::KIND);
        assert_eq!(SealedEnv::plural(&()), vocabulary::PLURAL);
    }

    #[test]
    fn the_committed_definition_is_fresh() {
        let committed = include_str!("../../deploy/crd/sealedenv.yaml");
        assert!(committed == definition_yaml(), "run make crd");
    }

    #[test]
    fn lists_are_maps_and_the_status_has_its_default() {
        let definition = definition();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let status = &schema["properties"]["status"];
        assert_eq!(status["default"]["observedGeneration"], -1);
        for (list, keys) in [
            ("conditions", json!(["type"])),
            ("targets", json!(["kind", "name"])),
            ("rollouts", json!(["kind", "name"])),
        ] {
            let list = &status["properties"][list];
            assert_eq!(list["x-kubernetes-list-type"], "map");
            assert_eq!(list["x-kubernetes-list-map-keys"], keys);
        }
        assert_eq!(
            definition["spec"]["versions"][0]["selectableFields"],
            json!([{ "jsonPath": ".spec.environment" }])
        );
    }

    #[test]
    fn an_empty_status_needs_nothing() {
        let status: SealedEnvStatus = serde_json::from_value(json!({})).unwrap();
        assert_eq!(status, SealedEnvStatus::default());
        assert_eq!(json!(status), json!({}));
    }

    #[test]
    fn debug_of_a_spec_shows_no_document() {
        let spec = SealedEnvSpec {
            environment: "prod".into(),
            document: "config:\n  HOST: canary".into(),
            contract: None,
            suspend: false,
            deletion_policy: DeletionPolicy::Retain,
        };
        assert!(!format!("{spec:?}").contains("canary"));
    }
}
