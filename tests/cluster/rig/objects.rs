//! Test workloads in English: `deployment("web").replicas(2).reads_env_from_secret("db").build()`.
//!
//! Marks (`never_ready`, `ready_after`, ...) tell the fake nodes how to play the pods; `tools/stages.yaml` explains them.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Pods of a workload that is being described; `build` gives it as the kind that the left side asks for.
#[derive(Clone, Debug)]
pub(crate) struct Pods {
    kind: &'static str,
    name: String,
    replicas: u32,
    labels: Map<String, Value>,
    annotations: Map<String, Value>,
    own_annotations: Map<String, Value>,
    container: Map<String, Value>,
    env: Vec<Value>,
    env_from: Vec<Value>,
    volumes: Vec<Value>,
    mounts: Vec<Value>,
    init_containers: Vec<Value>,
    pod: Map<String, Value>,
    spec: Map<String, Value>,
}

/// A Deployment of one replica.
pub(crate) fn deployment(name: &str) -> Pods {
    pods("Deployment", name)
}

/// A Job that completes at once.
pub(crate) fn job(name: &str) -> Pods {
    let mut job = pods("Job", name);
    job.pod.insert("restartPolicy".to_owned(), json!("Never"));
    job.spec.insert("backoffLimit".to_owned(), json!(0));
    job
}

/// A workload of any kind that this file knows: Deployment, DaemonSet, StatefulSet, Job.
pub(crate) fn pods(kind: &'static str, name: &str) -> Pods {
    Pods {
        kind,
        name: name.to_owned(),
        replicas: 1,
        labels: Map::from_iter([("app".to_owned(), json!(name))]),
        annotations: Map::new(),
        own_annotations: Map::new(),
        container: Map::from_iter([
            ("name".to_owned(), json!("app")),
            ("image".to_owned(), json!("sealctl.test/app:1")),
        ]),
        env: Vec::new(),
        env_from: Vec::new(),
        volumes: Vec::new(),
        mounts: Vec::new(),
        init_containers: Vec::new(),
        pod: Map::new(),
        spec: Map::new(),
    }
}

impl Pods {
    pub(crate) fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// `envFrom` a whole Secret.
    pub(crate) fn reads_env_from_secret(mut self, secret: &str) -> Self {
        self.env_from.push(json!({"secretRef": {"name": secret}}));
        self
    }

    /// `envFrom` a whole ConfigMap.
    pub(crate) fn reads_env_from_config_map(mut self, config_map: &str) -> Self {
        self.env_from
            .push(json!({"configMapRef": {"name": config_map}}));
        self
    }

    /// One variable from one key of a Secret.
    pub(crate) fn reads_key(mut self, variable: &str, secret: &str, key: &str) -> Self {
        self.env.push(
            json!({"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}),
        );
        self
    }

    /// One variable from one key of a ConfigMap.
    pub(crate) fn reads_config_key(mut self, variable: &str, config_map: &str, key: &str) -> Self {
        self.env.push(json!({"name": variable, "valueFrom": {"configMapKeyRef": {"name": config_map, "key": key}}}));
        self
    }

    /// One variable with a fixed value.
    pub(crate) fn env(mut self, variable: &str, value: &str) -> Self {
        self.env.push(json!({"name": variable, "value": value}));
        self
    }

    /// A volume of a Secret, mounted at `path`.
    pub(crate) fn mounts_secret(self, secret: &str, path: &str) -> Self {
        self.volume(json!({"secret": {"secretName": secret}}), path)
    }

    /// Some keys of a Secret as files at `path`.
    pub(crate) fn mounts_keys(self, secret: &str, keys: &[&str], path: &str) -> Self {
        let items: Vec<Value> = keys
            .iter()
            .map(|key| json!({"key": key, "path": key}))
            .collect();
        self.volume(
            json!({"secret": {"secretName": secret, "items": items}}),
            path,
        )
    }

    /// A volume of a ConfigMap, mounted at `path`.
    pub(crate) fn mounts_config_map(self, config_map: &str, path: &str) -> Self {
        self.volume(json!({"configMap": {"name": config_map}}), path)
    }

    /// A projected volume of several Secrets.
    pub(crate) fn projected(self, secrets: &[&str], path: &str) -> Self {
        let sources: Vec<Value> = secrets
            .iter()
            .map(|secret| json!({"secret": {"name": secret}}))
            .collect();
        self.volume(json!({"projected": {"sources": sources}}), path)
    }

    /// A volume of any source.
    pub(crate) fn volume(mut self, source: Value, path: &str) -> Self {
        let name = format!("volume-{}", self.volumes.len());
        let mut volume = source;
        volume["name"] = json!(name);
        self.volumes.push(volume);
        self.mounts
            .push(json!({"name": name, "mountPath": path, "readOnly": true}));
        self
    }

    /// An init container that reads the environment from a Secret.
    pub(crate) fn init_container(mut self, name: &str, secret: &str) -> Self {
        let env_from = json!([{"secretRef": {"name": secret}}]);
        self.init_containers
            .push(json!({"name": name, "image": "sealctl.test/app:1", "envFrom": env_from}));
        self
    }

    /// An annotation of the pod template.
    pub(crate) fn annotate(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), json!(value));
        self
    }

    /// An annotation of the workload itself.
    pub(crate) fn annotate_workload(mut self, key: &str, value: &str) -> Self {
        self.own_annotations.insert(key.to_owned(), json!(value));
        self
    }

    pub(crate) fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), json!(value));
        self
    }

    /// Pods run but never become ready; a Job hangs.
    pub(crate) fn never_ready(self) -> Self {
        self.annotate("test.sealctl.dev/pod", "never-ready")
    }

    /// Pods run at once and become ready after this time, so that a rollout can be watched under way.
    pub(crate) fn ready_after(self, delay: Duration) -> Self {
        self.annotate(
            "test.sealctl.dev/ready-after",
            &format!("{}ms", delay.as_millis()),
        )
    }

    /// The Job's container runs this long.
    pub(crate) fn runs_for(self, time: Duration) -> Self {
        self.annotate(
            "test.sealctl.dev/runs-for",
            &format!("{}ms", time.as_millis()),
        )
    }

    /// The Job's container fails with this code. For Jobs only: a Deployment would make new pods without pause.
    pub(crate) fn fails_with(self, code: u8) -> Self {
        self.annotate("test.sealctl.dev/pod", "failed")
            .annotate("test.sealctl.dev/exit-code", &code.to_string())
    }

    /// The termination message of the Job's container.
    pub(crate) fn says(self, message: &str) -> Self {
        self.annotate("test.sealctl.dev/message", message)
    }

    /// The same three for Jobs that somebody will clone from this workload: the marks stand in the environment, which a clone
    /// keeps, and say nothing to the workload's own pods.
    pub(crate) fn clones_run_for(self, time: Duration) -> Self {
        self.env("TEST_SEALCTL_RUNS_FOR", &format!("{}ms", time.as_millis()))
    }

    pub(crate) fn clones_fail_with(self, code: u8) -> Self {
        self.env("TEST_SEALCTL_POD", "failed")
            .env("TEST_SEALCTL_EXIT_CODE", &code.to_string())
    }

    pub(crate) fn clones_hang(self) -> Self {
        self.env("TEST_SEALCTL_POD", "never-ready")
    }

    pub(crate) fn clones_say(self, message: &str) -> Self {
        self.env("TEST_SEALCTL_MESSAGE", message)
    }

    /// A field of the workload's `spec`: `paused`, `strategy`, `updateStrategy`, `progressDeadlineSeconds`, ...
    pub(crate) fn spec(mut self, field: &str, value: Value) -> Self {
        self.spec.insert(field.to_owned(), value);
        self
    }

    /// A field of the pod: `securityContext`, `serviceAccountName`, `imagePullSecrets`, ...
    pub(crate) fn pod(mut self, field: &str, value: Value) -> Self {
        self.pod.insert(field.to_owned(), value);
        self
    }

    /// A field of the container: `command`, `image`, `resources`, ...
    pub(crate) fn container(mut self, field: &str, value: Value) -> Self {
        self.container.insert(field.to_owned(), value);
        self
    }

    /// The object as JSON.
    pub(crate) fn json(self) -> Value {
        let mut container = self.container;
        container.insert("env".to_owned(), json!(self.env));
        container.insert("envFrom".to_owned(), json!(self.env_from));
        container.insert("volumeMounts".to_owned(), json!(self.mounts));
        let mut pod = self.pod;
        pod.insert("containers".to_owned(), json!([container]));
        pod.insert("initContainers".to_owned(), json!(self.init_containers));
        pod.insert("volumes".to_owned(), json!(self.volumes));
        let mut spec = self.spec;
        let template = json!({"metadata": {"labels": self.labels, "annotations": self.annotations}, "spec": pod});
        spec.insert("template".to_owned(), template);
        if self.kind != "Job" {
            spec.insert(
                "selector".to_owned(),
                json!({"matchLabels": {"app": self.name}}),
            );
        }
        match self.kind {
            "Deployment" => drop(spec.insert("replicas".to_owned(), json!(self.replicas))),
            "StatefulSet" => {
                spec.insert("replicas".to_owned(), json!(self.replicas));
                spec.insert("serviceName".to_owned(), json!(self.name));
            }
            _ => {}
        }
        let group = if self.kind == "Job" {
            "batch/v1"
        } else {
            "apps/v1"
        };
        let metadata = json!({"name": self.name, "annotations": self.own_annotations});
        json!({"apiVersion": group, "kind": self.kind, "metadata": metadata, "spec": spec})
    }

    /// The object as a type of k8s-openapi: `let web: Deployment = deployment("web").build();`
    pub(crate) fn build<K: DeserializeOwned>(self) -> K {
        serde_json::from_value(self.json()).expect("a valid workload")
    }
}
