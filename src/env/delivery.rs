//! What a validated document asks for: values, objects, restart rules and the superuser.
//!
//! Built only by the check of a document, so whoever holds a [`Delivery`] holds something that obeys
//! every rule of the grammar. It knows neither SOPS nor Kubernetes types.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::name::{AppName, EnvName, KeyName, Namespace, ObjectKey, ObjectName};
use crate::secret::Secret;

/// Everything that one document asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The app, and so the name of the SealedEnv.
    pub app: AppName,
    /// The environment.
    pub environment: EnvName,
    /// Where the objects go.
    pub namespace: Namespace,
    /// Every value by name, derived ones included, as a process gets it.
    pub values: BTreeMap<KeyName, Value>,
    /// The objects, in the order of the document.
    pub objects: Vec<Object>,
    /// How workloads are restarted.
    pub workloads: Workloads,
    /// The superuser, when one is asked for.
    pub superuser: Option<Superuser>,
}

/// One value, ready for a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The delivered text.
    pub text: Secret,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether it must be masked: it stands in `secrets`, or is derived from one that does.
    pub secret: bool,
}

/// The section that a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Clear.
    Config,
    /// Sealed.
    Secrets,
    /// Composed from others by a template.
    Derived,
}

/// A ConfigMap or Secret as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// ConfigMap or Secret.
    pub kind: ObjectKind,
    /// Its name.
    pub name: ObjectName,
    /// Type of a Secret, such as `Opaque`; `Opaque` for a ConfigMap, where it means nothing.
    pub secret_type: SecretType,
    /// Its content.
    pub data: BTreeMap<ObjectKey, Content>,
    /// Labels that the document adds.
    pub labels: BTreeMap<String, String>,
    /// Annotations that the document adds.
    pub annotations: BTreeMap<String, String>,
    /// Whether seald may delete it when the document no longer names it.
    pub prune: bool,
}

/// Content of one key of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The bytes.
    pub bytes: Secret,
    /// Whether they were decoded from base64, and so go to `binaryData` of a ConfigMap.
    pub binary: bool,
}

/// Kind of a delivered object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// For clear values.
    ConfigMap,
    /// For sealed values.
    Secret,
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        })
    }
}

/// The Secret types that a document may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretType {
    /// Anything.
    Opaque,
    /// A certificate and its key.
    Tls,
    /// Credentials for a registry.
    DockerConfigJson,
    /// A user name and a password.
    BasicAuth,
    /// An SSH private key.
    SshAuth,
}

impl SecretType {
    /// The type as Kubernetes spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opaque => "Opaque",
            Self::Tls => "kubernetes.io/tls",
            Self::DockerConfigJson => "kubernetes.io/dockerconfigjson",
            Self::BasicAuth => "kubernetes.io/basic-auth",
            Self::SshAuth => "kubernetes.io/ssh-auth",
        }
    }
}

/// How workloads are restarted when content changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workloads {
    /// Wait after the last change of an object before the first restart.
    pub settle: Duration,
    /// Whether anything is restarted at all.
    pub restart: Restart,
    /// Workloads of kinds that are not restarted by default, and the order of restarts.
    pub include: Vec<WorkloadRef>,
    /// Workloads that are never restarted.
    pub exclude: Vec<WorkloadRef>,
    /// What to do when a rollout fails.
    pub on_failure: OnFailure,
    /// How many are rolled at a time after the first one, 1 to 1000.
    pub parallel: u16,
    /// After this a rollout that reports nothing has timed out.
    pub timeout: Duration,
}

impl Default for Workloads {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(10),
            restart: Restart::Auto,
            include: Vec::new(),
            exclude: Vec::new(),
            on_failure: OnFailure::Hold,
            parallel: 10,
            timeout: Duration::from_mins(10),
        }
    }
}

/// Whether workloads are restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Those that read what changed.
    Auto,
    /// None.
    Never,
}

/// What happens when a rollout fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Stop; what runs keeps running.
    Hold,
    /// Restore the former content and roll back to it.
    Rollback,
}

/// A workload by kind and name, in the namespace of the document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadRef {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: ObjectName,
}

impl fmt::Display for WorkloadRef {
    /// `deployment/web`, as in a document.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.kind.word(), self.name)
    }
}

/// Kinds of workloads that can be restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkloadKind {
    /// By default.
    Deployment,
    /// By default.
    DaemonSet,
    /// Only when included.
    StatefulSet,
    /// Of Argo Rollouts; only when included.
    Rollout,
}

impl WorkloadKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [
        Self::Deployment,
        Self::DaemonSet,
        Self::StatefulSet,
        Self::Rollout,
    ];

    /// The word in a document, such as `deployment`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::DaemonSet => "daemonset",
            Self::StatefulSet => "statefulset",
            Self::Rollout => "rollout",
        }
    }

    /// The kind as Kubernetes spells it, such as `Deployment`.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::DaemonSet => "DaemonSet",
            Self::StatefulSet => "StatefulSet",
            Self::Rollout => "Rollout",
        }
    }
}

/// Django's first superuser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superuser {
    /// The workload whose container the Job clones.
    pub from: WorkloadRef,
    /// Which container, where there are several.
    pub container: Option<String>,
    /// Login name.
    pub username: Option<Secret>,
    /// Mail address.
    pub email: Option<Secret>,
    /// Password; never empty, without a newline at its end.
    pub password: Secret,
    /// Further required fields of the user model.
    pub fields: BTreeMap<String, Secret>,
    /// Alias of the database.
    pub database: String,
    /// Path of `manage.py` in the image.
    pub manage: String,
    /// Whether a changed password is applied.
    pub policy: Policy,
    /// When the Job may run.
    pub after: After,
}

/// What happens to an existing superuser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It is left alone.
    CreateOnly,
    /// A password that changed in the document is set.
    ResetOnChange,
}

/// What the superuser Job waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// The rollout of the workloads.
    Rollout,
    /// The Job's own program waits until the migrations are applied.
    Migrated,
    /// The end of a Job.
    Job(ObjectName),
}
