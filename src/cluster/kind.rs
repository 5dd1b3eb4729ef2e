//! The kinds of objects that are read or written, and where the API server keeps them.
//!
//! One closed list: no call can go anywhere else. Knows paths and names, no content.

use std::fmt;

use crate::vocabulary;

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Clear values.
    ConfigMap,
    /// Sealed values, state, credentials.
    Secret,
    /// Workload.
    Deployment,
    /// Workload.
    DaemonSet,
    /// Workload.
    StatefulSet,
    /// Workload of Argo Rollouts, where that is installed.
    Rollout,
    /// For the superuser, or one that it waits for.
    Job,
    /// Read only: when containers started, why they ended.
    Pod,
    /// Leadership.
    Lease,
    /// Of `events.k8s.io`.
    Event,
    /// Read, or created when asked for.
    Namespace,
    /// The custom resource.
    SealedEnv,
}

impl Kind {
    /// The kind as Kubernetes spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
            Self::Deployment => "Deployment",
            Self::DaemonSet => "DaemonSet",
            Self::StatefulSet => "StatefulSet",
            Self::Rollout => "Rollout",
            Self::Job => "Job",
            Self::Pod => "Pod",
            Self::Lease => "Lease",
            Self::Event => "Event",
            Self::Namespace => "Namespace",
            Self::SealedEnv => vocabulary::KIND,
        }
    }

    /// Its plural, as in paths and roles.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmaps",
            Self::Secret => "secrets",
            Self::Deployment => "deployments",
            Self::DaemonSet => "daemonsets",
            Self::StatefulSet => "statefulsets",
            Self::Rollout => "rollouts",
            Self::Job => "jobs",
            Self::Pod => "pods",
            Self::Lease => "leases",
            Self::Event => "events",
            Self::Namespace => "namespaces",
            Self::SealedEnv => vocabulary::PLURAL,
        }
    }

    /// Its API group; empty for the core group.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::ConfigMap | Self::Secret | Self::Pod | Self::Namespace => "",
            Self::Deployment | Self::DaemonSet | Self::StatefulSet => "apps",
            Self::Rollout => "argoproj.io",
            Self::Job => "batch",
            Self::Lease => "coordination.k8s.io",
            Self::Event => "events.k8s.io",
            Self::SealedEnv => vocabulary::API_GROUP,
        }
    }

    /// Group and version, as in the field `apiVersion`.
    #[must_use]
    pub fn api_version(self) -> String {
        let version = match self {
            Self::SealedEnv => vocabulary::API_VERSION,
            Self::Rollout => "v1alpha1",
            _ => "v1",
        };
        match self.group() {
            "" => version.to_owned(),
            group => format!("{group}/{version}"),
        }
    }

    /// Path of the collection: in `namespace`, or in the whole cluster.
    #[must_use]
    pub fn path(self, namespace: Option<&str>) -> String {
        let root = if self.group().is_empty() {
            "/api"
        } else {
            "/apis"
        };
        let api_version = self.api_version();
        let plural = self.plural();
        match namespace {
            Some(namespace) => format!("{root}/{api_version}/namespaces/{namespace}/{plural}"),
            None => format!("{root}/{api_version}/{plural}"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// One object: where a call goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; none for a namespace itself.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl Place {
    /// An object in a namespace.
    #[must_use]
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind,
            namespace: Some(namespace.into()),
            name: name.into(),
        }
    }

    /// The namespace `name` itself.
    #[must_use]
    pub fn namespace(name: impl Into<String>) -> Self {
        Self {
            kind: Kind::Namespace,
            namespace: None,
            name: name.into(),
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> String {
        format!(
            "{}/{}",
            self.kind.path(self.namespace.as_deref()),
            self.name
        )
    }
}

impl fmt::Display for Place {
    /// `Secret web/web-secrets`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(formatter, "{} {namespace}/{}", self.kind, self.name),
            None => write!(formatter, "{} {}", self.kind, self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_api_server() {
        let path = |kind, namespace, name| Place::new(kind, namespace, name).path();
        assert_eq!(
            path(Kind::Secret, "web", "a"),
            "/api/v1/namespaces/web/secrets/a"
        );
        assert_eq!(
            path(Kind::SealedEnv, "web", "web"),
            "/apis/sealctl.dev/v1alpha1/namespaces/web/sealedenvs/web"
        );
        assert_eq!(Place::namespace("web").path(), "/api/v1/namespaces/web");
        assert_eq!(Kind::Job.path(None), "/apis/batch/v1/jobs");
    }
}
