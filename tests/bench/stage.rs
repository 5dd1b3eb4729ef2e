//! A control plane with seald installed as its manifests do it, and documents in place.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::api::WatchEvent;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::documents::{self, ENVIRONMENT, NAMESPACES, Readers};
use super::loader::{Loader, Prepared};
use super::report::progress;
use super::rig::{Cluster, Process};

/// User name of seald's ServiceAccount.
pub(crate) const ACCOUNT: &str = "system:serviceaccount:seald:seald";

/// Manifests of the project.
const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/manifests/base");
/// For a seald with `--source dir:PATH`.
const DIRECTORY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/deploy/manifests/directory/rbac.yaml"
);

/// The stage.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) admin: Loader,
    pub(crate) readers: Readers,
    pub(crate) token: String,
    pub(crate) documents: Vec<(usize, String)>,
    folder: PathBuf,
}

impl Stage {
    /// Installs seald's manifests in `cluster`, makes `count` documents, and gives seald the rights that `sealctl rbac`
    /// prints for them. `more` stands at the end of every document.
    pub(crate) async fn set(cluster: Cluster, count: usize, more: &str) -> Self {
        cluster.kubectl_ok(&["apply", "-k", MANIFESTS]).await;
        let established = [
            "wait",
            "--for=condition=Established",
            "crd/sealedenvs.sealctl.dev",
        ];
        cluster.kubectl_ok(&established).await;
        let token = cluster.token_of("seald", "seald").await;
        let folder = cluster.plane().dir().join("project");
        let readers = Readers::generate();
        let documents: Vec<_> = (0..count)
            .map(|number| (number, readers.seal(&documents::plain(number, 0, more), 1)))
            .collect();
        documents::write_project(&folder, &readers, &documents);
        readers.write_identity(&cluster.plane().dir().join("identity"));
        let admin = Loader::admin(&cluster);
        let stage = Self {
            cluster,
            admin,
            readers,
            token,
            documents,
            folder,
        };
        stage.add_namespaces("bench").await;
        stage.grant(&stage.roles()).await;
        stage
    }

    /// Folder of the project that the documents lie in.
    pub(crate) fn project(&self) -> &Path {
        &self.folder
    }

    /// Creates the namespaces `prefix-00` and so on.
    pub(crate) async fn add_namespaces(&self, prefix: &str) {
        let namespace = |number: usize| {
            let body = format!(
                r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{prefix}-{number:02}"}}}}"#
            );
            Prepared::create("/api/v1/namespaces", body)
        };
        self.admin
            .send(16, (0..NAMESPACES).map(namespace).collect())
            .await;
    }

    /// What `sealctl rbac` prints for the documents.
    pub(crate) fn roles(&self) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_sealctl"))
            .args(["rbac", "-e", ENVIRONMENT, "-C"])
            .arg(&self.folder)
            .env_clear()
            .env("HOME", self.cluster.plane().dir())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .expect("sealctl runs");
        assert!(
            output.status.success(),
            "sealctl rbac failed; what it said stands above"
        );
        String::from_utf8(output.stdout).expect("YAML")
    }

    /// Applies roles and bindings.
    pub(crate) async fn grant(&self, roles: &str) {
        let field = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        let prepared = roles.split("---\n").map(|role| {
            let (namespace, name) = (field(role, "  namespace:"), field(role, "  name:"));
            let plural = field(role, "kind:").to_lowercase() + "s";
            let path = format!(
                "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/{plural}/{name}"
            );
            Prepared::apply(&path, "bench", role.to_owned())
        });
        self.admin.send(16, prepared.collect()).await;
    }

    /// Grants what a seald that mirrors a directory needs besides.
    pub(crate) async fn grant_directory(&self) {
        self.cluster.kubectl_ok(&["apply", "-f", DIRECTORY]).await;
    }

    /// Applies the SealedEnvs of all documents, as whoever delivers by GitOps does.
    pub(crate) async fn apply_documents(&self) {
        let prepared = self.documents.iter().map(|(number, text)| {
            let path = documents::sealed_env_path(*number);
            Prepared::apply(&path, "bench", documents::sealed_env(*number, text))
        });
        self.admin.send(16, prepared.collect()).await;
    }

    /// Starts seald with nothing but its own token, and waits until it serves its probes.
    pub(crate) fn start_seald(&self, arguments: &[&str]) -> Seald {
        let (metrics, probes) = (free_address(), free_address());
        let kubeconfig = self.cluster.kubeconfig_for(&self.token);
        let program = self
            .cluster
            .program("bench", "seald", env!("CARGO_BIN_EXE_seald"));
        let process = program
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(["--environment", ENVIRONMENT, "--identity"])
            .arg(self.cluster.plane().dir().join("identity"))
            .args(["--listen-metrics", &metrics.to_string()])
            .args(["--listen-probes", &probes.to_string()])
            .args(["--log-level", "warn"])
            .args(arguments)
            .env("POD_NAME", "bench")
            .env("POD_NAMESPACE", "seald")
            .start();
        Seald {
            process,
            metrics,
            probes,
        }
    }

    /// Watches `path`, from now on: what `read` makes of each object that is new or has changed.
    pub(crate) async fn watch<K, T>(&self, path: String, read: fn(K) -> T) -> UnboundedReceiver<T>
    where
        K: Clone + DeserializeOwned + Send + 'static,
        T: Send + 'static,
    {
        let request = http::Request::get(path)
            .body(Vec::new())
            .expect("a valid request");
        let client = self.cluster.client();
        let events = client.request_events::<K>(request).await.expect("a watch");
        let (sender, receiver) = unbounded_channel();
        tokio::spawn(async move {
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.next().await {
                if let Ok(WatchEvent::Modified(object) | WatchEvent::Added(object)) = event
                    && sender.send(read(object)).is_err()
                {
                    return;
                }
            }
        });
        // What is there already comes first.
        tokio::time::sleep(Duration::from_millis(300)).await;
        receiver
    }
}

/// A running seald.
pub(crate) struct Seald {
    pub(crate) process: Process,
    metrics: SocketAddr,
    probes: SocketAddr,
}

impl Seald {
    /// Waits until seald is ready.
    pub(crate) async fn ready(&mut self) {
        let begin = Instant::now();
        while !get(self.probes, "/readyz")
            .await
            .is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
        {
            assert!(
                self.process.is_running(),
                "seald ended\n{}",
                self.process.log()
            );
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "never ready\n{}",
                self.process.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until seald is ready and has used next to no processor time for `quiet`.
    pub(crate) async fn idle(&mut self, quiet: Duration) {
        self.ready().await;
        loop {
            let before = self.processor();
            tokio::time::sleep(quiet).await;
            if self.processor().saturating_sub(before) <= quiet / 50 {
                return;
            }
        }
    }

    /// Sum of a counter over all labels that hold `label`.
    pub(crate) async fn counter(&self, name: &str, label: &str) -> f64 {
        let text = get(self.metrics, "/metrics").await.unwrap_or_default();
        let lines = text
            .lines()
            .filter(|line| line.starts_with(name) && line.contains(label));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Processor time so far.
    pub(crate) fn processor(&self) -> Duration {
        self.process
            .usage()
            .map(|usage| usage.processor)
            .unwrap_or_default()
    }

    /// Peak memory so far, MiB.
    pub(crate) fn peak(&self) -> f64 {
        let peak = self.process.usage().map_or(0, |usage| usage.peak);
        f64::from(u32::try_from(peak).unwrap_or(u32::MAX)) / 1024.0
    }

    /// Stops it in order.
    pub(crate) async fn stop(mut self) {
        if !self.process.log().is_empty() {
            let log = self.process.log();
            let lines: Vec<_> = log.lines().take(3).collect();
            progress(&format!("seald complained: {}", lines.join("\n    ")));
        }
        let status = self.process.stop(Duration::from_secs(15)).await;
        assert!(status.success(), "seald ended with {status}");
    }
}

async fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}
