//! Roles: what seald may do for a document, and what its installation needs.
//!
//! Rights go by name wherever names are known: a Role for a document names its objects, and nowhere is
//! there a right to list or watch Secrets. Pure; the same code serves `sealctl rbac` and the manifests.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::kind::Kind;
use crate::env::ObjectKind;
use crate::name::{AppName, EnvName, Namespace, ObjectName};
use crate::vocabulary;

/// Namespace and name of seald's ServiceAccount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// How the rights on ConfigMaps and Secrets are limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// To the objects that the document names.
    Name,
    /// To the namespace, so that a new target needs no new role.
    Namespace,
}

/// Whether seald may delete what a document no longer names, and with `deletionPolicy: Delete` all that
/// belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prune {
    /// It may.
    Allowed,
    /// It may not.
    Refused,
}

/// Which objects a document writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// App of the document.
    pub app: AppName,
    /// Its environment.
    pub environment: EnvName,
    /// Where its objects go.
    pub namespace: Namespace,
    /// The objects.
    pub objects: Vec<(ObjectKind, ObjectName)>,
}

/// Role and RoleBinding for one document.
#[must_use]
pub fn for_document(
    targets: &Targets,
    account: &ServiceAccount,
    by: By,
    prune: Prune,
) -> [Value; 2] {
    let name = format!("seald-{}-{}", targets.app, targets.environment);
    let namespace = targets.namespace.as_str();
    let rules: Vec<Value> = object_rules(targets, by, prune)
        .into_iter()
        .chain(workload_rules())
        .collect();
    [
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": { "name": name, "namespace": namespace, "labels": labels(targets) },
            "rules": rules
        }),
        binding(
            "RoleBinding",
            &name,
            Some(namespace),
            &labels(targets),
            account,
        ),
    ]
}

fn labels(targets: &Targets) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        (vocabulary::LABEL_ENV, targets.environment.to_string()),
        (vocabulary::LABEL_PART_OF, targets.app.to_string()),
    ])
}

/// Rights on ConfigMaps and Secrets.
fn object_rules(targets: &Targets, by: By, prune: Prune) -> Vec<Value> {
    let app = targets.app.as_str();
    let names = |wanted: ObjectKind| {
        let found = targets.objects.iter().filter(|(kind, _)| *kind == wanted);
        found.map(|(_, name)| name.to_string()).collect::<Vec<_>>()
    };
    let config_maps = names(ObjectKind::ConfigMap);
    let deliveries = names(ObjectKind::Secret);
    let mut secrets = deliveries.clone();
    secrets.extend([
        vocabulary::state_secret(app),
        vocabulary::bootstrap_secret(app),
    ]);
    let mut removable = vec![vocabulary::bootstrap_secret(app)];
    let write = ["get", "create", "patch"];
    let mut rules = match by {
        By::Namespace => vec![
            rule(Kind::Secret, &write, &[]),
            rule(Kind::ConfigMap, &write, &[]),
        ],
        By::Name if config_maps.is_empty() => vec![rule(Kind::Secret, &write, &secrets)],
        By::Name => vec![
            rule(Kind::Secret, &write, &secrets),
            rule(Kind::ConfigMap, &write, &config_maps),
        ],
    };
    if prune == Prune::Allowed {
        removable.splice(0..0, deliveries);
        removable.push(vocabulary::state_secret(app));
        if !config_maps.is_empty() {
            rules.push(rule(Kind::ConfigMap, &["delete"], &config_maps));
        }
    }
    rules.push(rule(Kind::Secret, &["delete"], &removable));
    rules
}

/// Rights that cannot go by name, since the names are not known before.
fn workload_rules() -> Vec<Value> {
    let mut rules = read_rules();
    rules.push(json!({
        "apiGroups": ["apps"],
        "resources": ["deployments", "daemonsets", "statefulsets"],
        "verbs": ["patch"]
    }));
    rules.push(rule(Kind::Job, &["create", "patch", "delete"], &[]));
    rules
}

/// What is watched or looked at in every served namespace.
fn read_rules() -> Vec<Value> {
    vec![
        json!({
            "apiGroups": ["apps"],
            "resources": ["deployments", "daemonsets", "statefulsets"],
            "verbs": ["get", "list", "watch"]
        }),
        rule(Kind::Pod, &["list"], &[]),
        rule(Kind::Job, &["get", "list", "watch"], &[]),
    ]
}

/// Which namespaces an installation serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// All: what is watched goes into a ClusterRole.
    All,
    /// These only: Roles in each.
    These(Vec<String>),
}

/// Who makes the SealedEnvs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Somebody else.
    External,
    /// seald, from a directory.
    Directory {
        /// Whether it may create namespaces (`--create-namespaces`).
        creates_namespaces: bool,
    },
}

/// An installation of seald.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Its ServiceAccount; Lease and ConfigMaps lie in the same namespace.
    pub account: ServiceAccount,
    /// Which namespaces it serves.
    pub served: Served,
    /// How it gets its documents.
    pub source: Source,
}

/// Roles and bindings of an installation, without those for documents.
#[must_use]
pub fn for_installation(installation: &Installation) -> Vec<Value> {
    let account = &installation.account;
    let mut manifests = match &installation.served {
        Served::All => pair("ClusterRole", "seald", None, account, {
            let mut rules = resource_rules();
            rules.extend(read_rules());
            rules
        }),
        Served::These(namespaces) => namespaces
            .iter()
            .flat_map(|namespace| {
                let mut rules = resource_rules();
                rules.extend(read_rules());
                pair("Role", "seald", Some(namespace), account, rules)
            })
            .collect(),
    };
    let own = Some(account.namespace.as_str());
    manifests.extend(pair("Role", "seald-own", own, account, own_rules()));
    manifests.extend(for_mirroring(installation));
    manifests
}

/// Roles and bindings that mirroring a directory needs besides; none where somebody else makes SealedEnvs.
#[must_use]
pub fn for_mirroring(installation: &Installation) -> Vec<Value> {
    let Source::Directory { creates_namespaces } = installation.source else {
        return Vec::new();
    };
    let account = &installation.account;
    let mirrored = rule(Kind::SealedEnv, &["create", "delete"], &[]);
    let namespaces = creates_namespaces.then(|| rule(Kind::Namespace, &["create"], &[]));
    match &installation.served {
        Served::All => {
            let rules = [mirrored].into_iter().chain(namespaces).collect();
            pair("ClusterRole", "seald-mirror", None, account, rules)
        }
        // Namespaces that are named exist.
        Served::These(named) => named
            .iter()
            .flat_map(|namespace| {
                let rules = vec![mirrored.clone()];
                pair("Role", "seald-mirror", Some(namespace), account, rules)
            })
            .collect(),
    }
}

/// The custom resource, its status, and Events about it.
fn resource_rules() -> Vec<Value> {
    let mut rules = vec![rule(
        Kind::SealedEnv,
        &["get", "list", "watch", "patch"],
        &[],
    )];
    rules.push(json!({
        "apiGroups": [vocabulary::API_GROUP],
        "resources": [format!("{}/status", vocabulary::PLURAL)],
        "verbs": ["patch"]
    }));
    rules.push(rule(Kind::Event, &["create", "patch"], &[]));
    rules
}

/// What lies in seald's own namespace.
fn own_rules() -> Vec<Value> {
    vec![
        rule(
            Kind::Lease,
            &["get", "create", "patch", "update"],
            &[vocabulary::LEASE.to_owned()],
        ),
        rule(Kind::Event, &["create", "patch"], &[]),
    ]
}

fn pair(
    kind: &str,
    name: &str,
    namespace: Option<&str>,
    account: &ServiceAccount,
    rules: Vec<Value>,
) -> Vec<Value> {
    let labels = BTreeMap::from([("app.kubernetes.io/name", "seald".to_owned())]);
    let mut metadata = json!({ "name": name, "labels": labels });
    if let (Some(namespace), Some(metadata)) = (namespace, metadata.as_object_mut()) {
        metadata.insert("namespace".into(), namespace.into());
    }
    vec![
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": metadata,
            "rules": rules
        }),
        binding(&format!("{kind}Binding"), name, namespace, &labels, account),
    ]
}

fn binding(
    kind: &str,
    name: &str,
    namespace: Option<&str>,
    labels: &BTreeMap<&'static str, String>,
    account: &ServiceAccount,
) -> Value {
    let mut metadata = json!({ "name": name, "labels": labels });
    if let (Some(namespace), Some(metadata)) = (namespace, metadata.as_object_mut()) {
        metadata.insert("namespace".into(), namespace.into());
    }
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": metadata,
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": kind.trim_end_matches("Binding"),
            "name": name
        },
        "subjects": [
            { "kind": "ServiceAccount", "name": account.name, "namespace": account.namespace }
        ]
    })
}

/// `verbs` on a kind; on `names` only, where there are any.
fn rule(kind: Kind, verbs: &[&str], names: &[String]) -> Value {
    let mut rule = json!({
        "apiGroups": [kind.group()],
        "resources": [kind.plural()],
        "verbs": verbs
    });
    if let (false, Some(rule)) = (names.is_empty(), rule.as_object_mut()) {
        rule.insert("resourceNames".into(), json!(names));
    }
    rule
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets() -> Targets {
        Targets {
            app: "web".parse().unwrap(),
            environment: "prod".parse().unwrap(),
            namespace: "shop".parse().unwrap(),
            objects: vec![
                (ObjectKind::ConfigMap, "web-config".parse().unwrap()),
                (ObjectKind::Secret, "web-secrets".parse().unwrap()),
            ],
        }
    }

    fn account() -> ServiceAccount {
        ServiceAccount {
            namespace: "seald".into(),
            name: "seald".into(),
        }
    }

    /// Every (verb, resource, names) of a role.
    fn rights(role: &Value) -> Vec<(String, String, Value)> {
        let words = |value: &Value| -> Vec<String> {
            value
                .as_array()
                .unwrap()
                .iter()
                .map(|word| word.as_str().unwrap().to_owned())
                .collect()
        };
        let mut rights = Vec::new();
        for rule in role["rules"].as_array().unwrap() {
            for verb in words(&rule["verbs"]) {
                for resource in words(&rule["resources"]) {
                    rights.push((verb.clone(), resource, rule["resourceNames"].clone()));
                }
            }
        }
        rights
    }

    #[test]
    fn secrets_are_never_listed_or_watched_and_only_named_ones_are_touched() {
        for by in [By::Name, By::Namespace] {
            for prune in [Prune::Allowed, Prune::Refused] {
                let [role, _] = for_document(&targets(), &account(), by, prune);
                for (verb, resource, names) in rights(&role) {
                    if resource == "secrets" {
                        assert!(["get", "create", "patch", "delete"].contains(&verb.as_str()));
                        assert!(names.is_array() || (by == By::Namespace && verb != "delete"));
                    }
                }
            }
        }
        let installation = Installation {
            account: account(),
            served: Served::All,
            source: Source::External,
        };
        for manifest in for_installation(&installation) {
            assert!(!manifest.to_string().contains("\"secrets\""));
        }
    }

    #[test]
    fn a_role_by_name_holds_the_objects_and_what_belongs_to_them() {
        let [role, binding] = for_document(&targets(), &account(), By::Name, Prune::Refused);
        assert_eq!(role["metadata"]["name"], "seald-web-prod");
        assert_eq!(role["metadata"]["namespace"], "shop");
        assert_eq!(
            role["rules"][0],
            json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create", "patch"],
                   "resourceNames": ["web-secrets", "seald-state-web", "seald-bootstrap-web"]})
        );
        assert_eq!(
            role["rules"][2]["resourceNames"],
            json!(["seald-bootstrap-web"])
        );
        assert_eq!(binding["roleRef"]["name"], "seald-web-prod");
        assert_eq!(binding["subjects"][0]["namespace"], "seald");
    }

    #[test]
    fn delete_on_targets_needs_prune() {
        let deletable = |prune| {
            let [role, _] = for_document(&targets(), &account(), By::Name, prune);
            rights(&role)
                .into_iter()
                .filter(|(verb, resource, _)| verb == "delete" && resource != "jobs")
                .map(|(_, _, names)| names)
                .collect::<Vec<_>>()
        };
        assert_eq!(deletable(Prune::Refused), [json!(["seald-bootstrap-web"])]);
        assert_eq!(
            deletable(Prune::Allowed),
            [
                json!(["web-config"]),
                json!(["web-secrets", "seald-bootstrap-web", "seald-state-web"])
            ]
        );
    }

    #[test]
    fn with_named_namespaces_nothing_is_cluster_wide() {
        let installation = Installation {
            account: account(),
            served: Served::These(vec!["a".into(), "b".into()]),
            source: Source::Directory {
                creates_namespaces: true,
            },
        };
        for manifest in for_installation(&installation) {
            assert!(!manifest["kind"].as_str().unwrap().starts_with("Cluster"));
        }
    }
}
