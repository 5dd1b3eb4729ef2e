//! The superuser Job as JSON: one container of a workload, cloned, with another command.
//!
//! Pure. It works on the pod template as JSON, so fields that this program has never heard of are
//! carried over. It names the Secret with the credentials and never holds one of them.

use serde_json::{Map, Value, json};

use super::kind::Kind;
use super::objects::{self, EMAIL, PASSWORD, USERNAME};
use super::scope::Scope;
use crate::env::{After, Policy, Superuser, WorkloadRef};
use crate::vocabulary;

/// What the Job's container runs.
const PROGRAM: &str = include_str!("job/superuser.py");
/// Beginning of the names of its environment variables.
const PREFIX: &str = "SEALCTL_SUPERUSER_";

/// Tries after the first one.
const BACK_OFF_LIMIT: u32 = 6;
/// Seconds that all tries together may take.
const DEADLINE: u32 = 900;
/// Seconds after which Kubernetes deletes an ended Job. The finalizer holds it until its end is recorded.
const KEPT: u32 = 600;

/// Fields of a pod that are not cloned. Init and other containers are left out, since a sidecar that
/// goes on running would keep the Job from completing, and init containers wait for things or migrate,
/// which the running workload has behind it. Host name and sub-domain would give the Job's pod the address of one
/// of the workload's; a scheduling gate would hold it for ever.
const POD_FIELDS: [&str; 8] = [
    "initContainers",
    "containers",
    "ephemeralContainers",
    "activeDeadlineSeconds",
    "restartPolicy",
    "hostname",
    "subdomain",
    "schedulingGates",
];

/// Fields of a container that are not cloned: a Job serves nobody, and is judged by its exit code. The
/// last two are refused by the API server in a pod that is not restarted.
const CONTAINER_FIELDS: [&str; 15] = [
    "command",
    "args",
    "ports",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "stdin",
    "stdinOnce",
    "tty",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "resizePolicy",
];

/// What is asked of the Job, without any secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    scope: Scope,
    id: String,
    from: WorkloadRef,
    container: Option<String>,
    /// Keys of the credentials Secret that exist, with the end of the variable that takes each.
    credentials: Vec<(String, String)>,
    database: String,
    manage: String,
    policy: Policy,
    after: After,
}

impl Run {
    /// The run `id` of the superuser `user` of `scope`.
    #[must_use]
    pub fn of(scope: &Scope, id: &str, user: &Superuser) -> Self {
        let pair = |key: &str| (key.to_owned(), key.to_uppercase());
        let mut credentials = vec![pair(PASSWORD)];
        credentials.extend(user.username.as_ref().map(|_| pair(USERNAME)));
        credentials.extend(user.email.as_ref().map(|_| pair(EMAIL)));
        // Names of fields are identifiers and keep their case.
        let fields = user.fields.keys();
        credentials.extend(fields.map(|name| (objects::field_key(name), format!("FIELD_{name}"))));
        Self {
            scope: scope.clone(),
            id: id.to_owned(),
            from: user.from.clone(),
            container: user.container.clone(),
            credentials,
            database: user.database.clone(),
            manage: user.manage.clone(),
            policy: user.policy,
            after: user.after.clone(),
        }
    }
}

/// Why a workload cannot be cloned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// The document must say which container.
    #[error("{0} has {1} containers; name one")]
    Ambiguous(WorkloadRef, usize),
    /// The container that the document names is not there.
    #[error("{0} has no container {1}")]
    NoSuchContainer(WorkloadRef, String),
    /// The workload takes its pod template from elsewhere.
    #[error("{0} has no pod template of its own")]
    NoTemplate(WorkloadRef),
}

/// The Job of `run`, cloned from `workload` as the API server gave it.
///
/// # Errors
/// When it is not clear which container is meant.
pub fn build(workload: &Value, run: &Run) -> Result<Value, JobError> {
    let template = &workload["spec"]["template"];
    let Some(source) = template["spec"].as_object() else {
        return Err(JobError::NoTemplate(run.from.clone()));
    };
    let mut container = choose(source, run)?;
    let mut pod = source.clone();
    for field in POD_FIELDS {
        pod.shift_remove(field);
    }
    prepare(&mut container, run, source);
    pod.insert("containers".to_owned(), json!([container]));
    pod.insert("restartPolicy".to_owned(), json!("Never"));
    // The service account stays, for what it may pull and where it may run; its token is not needed.
    pod.insert("automountServiceAccountToken".to_owned(), json!(false));
    // The labels match the app's Service. A gate that nobody sets keeps the pod out of its endpoints.
    pod.insert(
        "readinessGates".to_owned(),
        json!([{ "conditionType": vocabulary::GATE_NEVER }]),
    );
    let mut labels = template["metadata"]["labels"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    labels.extend(
        objects::labels(&run.scope)
            .into_iter()
            .map(|(key, text)| (key, json!(text))),
    );
    let spec = json!({
        "backoffLimit": BACK_OFF_LIMIT,
        "activeDeadlineSeconds": DEADLINE,
        "ttlSecondsAfterFinished": KEPT,
        "template": { "metadata": { "labels": labels, "annotations": annotations(run) }, "spec": pod }
    });
    Ok(json!({
        "apiVersion": Kind::Job.api_version(),
        "kind": Kind::Job.name(),
        "metadata": {
            "name": vocabulary::bootstrap_job(&run.scope.name, &run.id),
            "namespace": run.scope.namespace,
            "labels": objects::labels(&run.scope),
            "annotations": annotations(run),
            "finalizers": [vocabulary::FINALIZER_BOOTSTRAP]
        },
        "spec": spec
    }))
}

fn annotations(run: &Run) -> Value {
    json!({ vocabulary::OWNER_UID: run.scope.uid, vocabulary::BOOTSTRAP_ID: run.id })
}

/// The container that is meant: the one that is named, or the only one.
fn choose(pod: &Map<String, Value>, run: &Run) -> Result<Map<String, Value>, JobError> {
    let containers = pod.get("containers").and_then(Value::as_array);
    let all: Vec<_> = containers
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .collect();
    let chosen = match (&run.container, all.as_slice()) {
        (Some(name), all) => {
            let found = all
                .iter()
                .find(|container| container.get("name") == Some(&json!(name)));
            found.ok_or_else(|| JobError::NoSuchContainer(run.from.clone(), name.clone()))?
        }
        (None, [only]) => only,
        (None, all) => return Err(JobError::Ambiguous(run.from.clone(), all.len())),
    };
    Ok((*chosen).clone())
}

fn prepare(container: &mut Map<String, Value>, run: &Run, pod: &Map<String, Value>) {
    for field in CONTAINER_FIELDS {
        container.shift_remove(field);
    }
    let command = json!(["python", run.manage, "shell", "-c", PROGRAM]);
    container.insert("command".to_owned(), command);
    // Never the log: the app's own output does not belong into the status of a pod.
    container.insert("terminationMessagePolicy".to_owned(), json!("File"));
    let own = container
        .get("env")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut env: Vec<Value> = own
        .into_iter()
        .filter(|variable| !is_ours(variable))
        .collect();
    env.extend(variables(run));
    container.insert("env".to_owned(), json!(env));
    for list in ["volumeMounts", "volumeDevices"] {
        keep_known(container, list, pod.get("volumes"));
    }
}

fn is_ours(variable: &Value) -> bool {
    variable["name"]
        .as_str()
        .is_some_and(|name| name.starts_with(PREFIX))
}

/// Our environment variables: credentials by reference, the rest as it is.
fn variables(run: &Run) -> Vec<Value> {
    let secret = vocabulary::bootstrap_secret(&run.scope.name);
    let policy = match run.policy {
        Policy::CreateOnly => "create-only",
        Policy::ResetOnChange => "reset-on-change",
    };
    let after = match run.after {
        After::Migrated => "migrated",
        // What else it waits for is over when the Job is made.
        After::Rollout | After::Job(_) => "",
    };
    let plain = [
        ("DATABASE", run.database.as_str()),
        ("POLICY", policy),
        ("AFTER", after),
    ];
    let plain =
        plain.map(|(name, text)| json!({ "name": format!("{PREFIX}{name}"), "value": text }));
    let sealed = run.credentials.iter().map(|(key, name)| {
        let source = json!({ "secretKeyRef": { "name": secret, "key": key } });
        json!({ "name": format!("{PREFIX}{name}"), "valueFrom": source })
    });
    sealed.chain(plain).collect()
}

/// Drops mounts of volumes that the template does not define: a StatefulSet adds those of its claims
/// itself, one for each pod, and a pod of another owner cannot share them.
fn keep_known(container: &mut Map<String, Value>, list: &str, volumes: Option<&Value>) {
    let Some(Value::Array(mounts)) = container.get_mut(list) else {
        return;
    };
    let known = |mount: &Value| {
        let mut volumes = volumes.and_then(Value::as_array).into_iter().flatten();
        volumes.any(|volume| volume["name"] == mount["name"])
    };
    mounts.retain(known);
}

#[cfg(test)]
mod tests;
