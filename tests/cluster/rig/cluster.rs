//! A cluster as a test sees it: clients, namespaces of one's own, tokens, kubeconfig files, kubectl.

use std::fmt::Debug;
use std::fs;
use std::io::Write as _;
use std::ops::Deref;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::control_plane::{ControlPlane, Kind, Tier, test_name};
use super::process::Program;

/// A control plane and an administrator's client for it. Clients belong to the runtime of the test that made them, so each
/// test starts its own `Cluster`; the control plane behind `start` is shared by the tests of one process.
pub(crate) struct Cluster {
    plane: Plane,
    client: Client,
}

enum Plane {
    Shared(&'static ControlPlane),
    Own(ControlPlane),
}

impl Deref for Plane {
    type Target = ControlPlane;

    fn deref(&self) -> &ControlPlane {
        match self {
            Self::Shared(plane) => plane,
            Self::Own(plane) => plane,
        }
    }
}

impl Cluster {
    /// What most tests want: the full control plane that the tests of this process share. Keep to namespaces of your own.
    pub(crate) async fn start() -> Self {
        Self::on(Plane::Shared(ControlPlane::shared())).await
    }

    /// The same as `start`.
    pub(crate) async fn shared() -> Self {
        Self::start().await
    }

    /// An API server and etcd for this test alone: no controllers, nothing happens by itself.
    pub(crate) async fn api() -> Self {
        Self::on(Plane::Own(ControlPlane::start(Tier::Api))).await
    }

    /// A full control plane for this test alone.
    pub(crate) async fn control_plane() -> Self {
        Self::on(Plane::Own(ControlPlane::start(Tier::ControlPlane))).await
    }

    async fn on(plane: Plane) -> Self {
        let client = Client::try_from(config(plane.kubeconfig()).await)
            .expect("a client from the administrator's kubeconfig");
        Self { plane, client }
    }

    /// The control plane: scratch folder, logs, process ids.
    pub(crate) fn plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// Client of the administrator, without retries.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Client with this bearer token, without retries.
    pub(crate) async fn client_for(&self, token: &str) -> Client {
        let mut config = config(self.plane.kubeconfig()).await;
        config.auth_info = AuthInfo {
            token: Some(token.to_owned().into()),
            ..AuthInfo::default()
        };
        Client::try_from(config).expect("a client with a token")
    }

    /// Configuration that trusts the API server, without any credential.
    pub(crate) async fn anonymous(&self) -> Config {
        let mut config = config(self.plane.kubeconfig()).await;
        config.auth_info = AuthInfo::default();
        config
    }

    /// Kubeconfig file of the administrator.
    pub(crate) fn kubeconfig(&self) -> &Path {
        self.plane.kubeconfig()
    }

    /// A kubeconfig file (mode 0600, in the scratch folder) with this bearer token.
    pub(crate) fn kubeconfig_for(&self, token: &str) -> PathBuf {
        let admin = Kubeconfig::read_from(self.plane.kubeconfig()).expect("up.sh wrote it");
        let cluster = admin.clusters[0].cluster.clone().expect("up.sh wrote it");
        let server = cluster.server.expect("up.sh wrote it");
        let authority = cluster
            .certificate_authority_data
            .map(|data| format!(", certificate-authority-data: {data}"));
        self.write_kubeconfig(&server, &authority.unwrap_or_default(), token)
    }

    pub(super) fn write_kubeconfig(&self, server: &str, authority: &str, token: &str) -> PathBuf {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("kubeconfig-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let path = self.plane.dir().join(name);
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: test\n  cluster: {{server: \"{server}\"{authority}}}\n\
             users:\n- name: test\n  user: {{token: \"{token}\"}}\n\
             contexts:\n- name: test\n  context: {{cluster: test, user: test}}\ncurrent-context: test\n"
        );
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .expect("a fresh file");
        file.write_all(text.as_bytes())
            .expect("the scratch folder has room");
        path
    }

    /// A new namespace, named after the test; its service account `default` exists (where controllers run), so pods can start.
    pub(crate) async fn namespace(&self) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let test = test_name().unwrap_or_else(|| "test".to_owned());
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = match self.plane.kind() {
            Kind::Ours(_) => format!("{test}-{count}"),
            Kind::Foreign => format!("{test}-{}-{count}", std::process::id()),
        };
        self.namespace_called(&name).await;
        name
    }

    /// A namespace of this name, for tests that need a certain one.
    pub(crate) async fn namespace_called(&self, name: &str) {
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        };
        let namespace = Namespace {
            metadata,
            ..Namespace::default()
        };
        Api::all(self.client())
            .create(&PostParams::default(), &namespace)
            .await
            .expect("a new namespace");
        if self.plane.kind() != Kind::Ours(Tier::Api) {
            let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), name);
            self.eventually(
                "service account default",
                Duration::from_secs(20),
                name,
                async || {
                    accounts
                        .get_opt("default")
                        .await
                        .expect("the API server answers")
                },
            )
            .await;
        }
    }

    /// Deletes a Lease, so that the next leader need not wait until it runs out. A missing one is no error.
    pub(crate) async fn forget_lease(&self, namespace: &str, name: &str) {
        let leases: Api<Lease> = Api::namespaced(self.client(), namespace);
        match leases.delete(name, &DeleteParams::default()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => panic!("delete lease {name}: {error}"),
        }
    }

    /// A token of a service account, valid for an hour.
    pub(crate) async fn token_of(&self, namespace: &str, service_account: &str) -> String {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        let spec = TokenRequestSpec {
            expiration_seconds: Some(3600),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest {
            spec,
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(service_account, &PostParams::default(), &request)
            .await
            .expect("the service account exists");
        answer.status.expect("a token").token
    }

    /// Creates an object in a namespace, as administrator.
    ///
    /// # Panics
    /// When the API server refuses.
    pub(crate) async fn create<K>(&self, namespace: &str, object: &K) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Serialize,
    {
        let api: Api<K> = Api::namespaced(self.client(), namespace);
        api.create(&PostParams::default(), object)
            .await
            .unwrap_or_else(|error| {
                panic!("create {} {}: {error}", K::kind(&()), object.name_any())
            })
    }

    /// Merges a change into an object, as administrator.
    ///
    /// # Panics
    /// When the API server refuses.
    pub(crate) async fn merge<K>(&self, namespace: &str, name: &str, change: serde_json::Value) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client(), namespace);
        api.patch(name, &PatchParams::default(), &Patch::Merge(change))
            .await
            .unwrap_or_else(|error| panic!("patch {} {name}: {error}", K::kind(&())))
    }

    /// Runs kubectl as administrator.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> Output {
        tokio::process::Command::new(self.plane.dir().join("bin/kubectl"))
            .arg("--kubeconfig")
            .arg(self.plane.kubeconfig())
            .args(args)
            .env("HOME", self.plane.dir())
            .stdin(std::process::Stdio::null())
            .output()
            .await
            .expect("kubectl runs")
    }

    /// Runs kubectl as administrator and gives what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub(crate) async fn kubectl_ok(&self, args: &[&str]) -> String {
        let output = self.kubectl(args).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "kubectl {} failed: {errors}",
            args.join(" ")
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A program under test; its log lies beside the servers' and is shown when a wait in this namespace fails.
    pub(crate) fn program(&self, namespace: &str, name: &str, path: impl AsRef<Path>) -> Program {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let log = format!(
            "{namespace}.{name}.{}.log",
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        Program::new(path.as_ref(), self.plane.dir().join("logs").join(log))
    }
}

async fn config(kubeconfig: &Path) -> Config {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig file");
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("a configuration");
    config.default_retry = false;
    config
}
