//! A world for tests of seald: namespaces, identity and project of an environment of its own, the roles of the manifests, and
//! seald as a process with a token of its ServiceAccount. Nothing in it is an administrator but the test itself.
//!
//! Worlds do not meet: each has its own environment, its own namespace for seald (and so its own Lease) and its own ports.
#![expect(
    clippy::disallowed_methods,
    reason = "an edge: files, processes, ports"
)]
#![allow(
    dead_code,
    unused_imports,
    reason = "a toolbox: not every test uses every tool"
)]

mod documents;
mod seald;
mod sight;

pub(crate) use documents::{Doc, seal, sealctl};
pub(crate) use seald::{Answer, Seald, Setup, get};
pub(crate) use sight::{Condition, Snapshot, sealed_envs, state_secret};

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use sealctl::crypto::Identity;

use super::rig::{Cluster, Pods};

/// How long what needs a few requests may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(40);

/// The ClusterRole of the manifests keeps its name; everything else of them gets names of this world.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    /// Where the documents' objects and workloads are.
    pub(crate) namespace: String,
    /// seald's own namespace.
    pub(crate) home: String,
    pub(crate) environment: String,
    /// `keys/`, `envs/`, `identity/`.
    pub(crate) project: PathBuf,
    pub(crate) identity: Identity,
    revision: AtomicU64,
}

impl World {
    /// A world on the control plane that all tests share.
    pub(crate) async fn new() -> Self {
        Self::on(Cluster::start().await).await
    }

    /// A world on this control plane.
    pub(crate) async fn on(cluster: Cluster) -> Self {
        install_definition(&cluster).await;
        Self::without_definition(cluster).await
    }

    /// A world on a control plane that does not know SealedEnvs.
    pub(crate) async fn without_definition(cluster: Cluster) -> Self {
        let namespace = cluster.namespace().await;
        let world = Self::in_namespace(cluster, namespace).await;
        world.keys();
        world
    }

    async fn in_namespace(cluster: Cluster, namespace: String) -> Self {
        let home = format!("{namespace}-seald");
        let project = cluster.plane().dir().join(format!("{namespace}.project"));
        fs::create_dir_all(project.join("envs").join(&namespace))
            .expect("room in the scratch folder");
        let world = Self {
            environment: namespace.clone(),
            revision: AtomicU64::new(0),
            identity: Identity::generate(),
            cluster,
            namespace,
            home,
            project,
        };
        world.install_roles().await;
        world
    }

    /// seald's user, as the audit log names it.
    pub(crate) fn user(&self) -> String {
        format!("system:serviceaccount:{}:seald", self.home)
    }

    /// A fresh token of seald's ServiceAccount.
    pub(crate) async fn token(&self) -> String {
        self.cluster.token_of(&self.home, "seald").await
    }

    /// The folder that seald reads its identity from.
    pub(crate) fn identity_folder(&self) -> PathBuf {
        self.project.join("identity")
    }

    /// Writes an identity (or what is to be taken for one) where seald reads it.
    pub(crate) fn put_identity(&self, text: &[u8]) {
        let folder = self.identity_folder();
        fs::create_dir_all(&folder).expect("room in the scratch folder");
        let file = folder.join(&self.environment);
        let fresh = folder.join("..fresh");
        fs::write(&fresh, text).expect("room in the scratch folder");
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600)).expect("our own file");
        fs::rename(fresh, file).expect("our own folder");
    }

    fn keys(&self) {
        self.put_identity(self.identity.text().expose());
        let keys = self.project.join("keys").join(&self.environment);
        fs::create_dir_all(&keys).expect("room in the scratch folder");
        let line = format!("{}\n", self.identity.recipient().as_str());
        fs::write(keys.join("cluster.pub"), line).expect("room in the scratch folder");
    }

    /// The next revision of this world's documents.
    pub(crate) fn next_revision(&self) -> u64 {
        self.revision.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The revision that was given out last.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::SeqCst)
    }

    /// Namespace, ServiceAccount, roles and bindings of the manifests, with this world's names.
    async fn install_roles(&self) {
        let text = kustomized(&self.cluster, "deployment").await;
        let wanted = [
            "Namespace",
            "ServiceAccount",
            "Role",
            "RoleBinding",
            "ClusterRole",
            "ClusterRoleBinding",
        ];
        let own: Vec<String> = text
            .split("\n---\n")
            .filter(|one| {
                wanted
                    .iter()
                    .any(|kind| one.contains(&format!("\nkind: {kind}\n")))
            })
            .map(|one| self.renamed(one))
            .collect();
        assert_eq!(own.len(), 6, "the manifests hold one of each of {wanted:?}");
        self.apply_text("roles.yaml", &own.join("\n---\n")).await;
    }

    /// What mirroring a directory needs besides.
    pub(crate) async fn install_mirror_roles(&self) {
        let path = Path::new(&manifests("directory")).join("rbac.yaml");
        let text = fs::read_to_string(path).expect("a file of the project");
        let own = text
            .replace("seald-mirror", &format!("{}-mirror", self.home))
            .replace("namespace: seald\n", &format!("namespace: {}\n", self.home));
        self.apply_text("mirror.yaml", &own).await;
    }

    /// One manifest with this world's namespace, and a name of its own where it has none.
    fn renamed(&self, manifest: &str) -> String {
        let manifest = format!("{manifest}\n").replace(
            "  namespace: seald\n",
            &format!("  namespace: {}\n", self.home),
        );
        if manifest.contains("kind: Namespace\n") || manifest.contains("kind: ClusterRole") {
            // The first name is that of the object itself.
            let own = manifest.replacen("  name: seald\n", &format!("  name: {}\n", self.home), 1);
            return own.replace(
                "kind: ClusterRole\n  name: seald\n",
                &format!("kind: ClusterRole\n  name: {}\n", self.home),
            );
        }
        manifest
    }

    /// Makes a Deployment in the namespace of the world.
    pub(crate) async fn runs(&self, deployment: Pods) {
        self.cluster
            .create::<Deployment>(&self.namespace, &deployment.build())
            .await;
    }

    /// Waits until `workload`, such as `deployment/web`, runs its current template, and only that.
    pub(crate) async fn rolled_out(&self, workload: &str) {
        self.cluster.rolled_out(&self.namespace, workload).await;
    }

    /// `kubectl apply -f`, as administrator.
    pub(crate) async fn apply_text(&self, name: &str, text: &str) {
        let path = self.project.join(name);
        fs::write(&path, text).expect("room in the scratch folder");
        let path = path.to_string_lossy().into_owned();
        self.cluster
            .kubectl_ok(&["apply", "--server-side", "-f", &path])
            .await;
    }
}

/// Folder of a flavour of the manifests.
pub(crate) fn manifests(flavour: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy/manifests")
        .join(flavour);
    path.to_string_lossy().into_owned()
}

/// The text that `kubectl apply -k` would apply.
async fn kustomized(cluster: &Cluster, flavour: &str) -> String {
    static TEXT: tokio::sync::OnceCell<String> = tokio::sync::OnceCell::const_new();
    TEXT.get_or_init(async || {
        cluster
            .kubectl_ok(&["kustomize", &manifests(flavour)])
            .await
    })
    .await
    .clone()
}

/// Installs the SealedEnv definition, once per control plane, and waits until it is served.
pub(crate) async fn install_definition(cluster: &Cluster) {
    static DONE: tokio::sync::Mutex<BTreeSet<PathBuf>> =
        tokio::sync::Mutex::const_new(BTreeSet::new());
    let mut done = DONE.lock().await;
    if done.contains(cluster.plane().dir()) {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/crd");
    cluster
        .kubectl_ok(&["apply", "--server-side", "-k", &folder.to_string_lossy()])
        .await;
    cluster
        .kubectl_ok(&[
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            "crd/sealedenvs.sealctl.dev",
        ])
        .await;
    done.insert(cluster.plane().dir().to_owned());
}
