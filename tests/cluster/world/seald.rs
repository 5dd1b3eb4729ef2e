//! seald as a process of a world: its flags, its probes and metrics.

use std::net::{SocketAddr, TcpListener};
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{SOON, World};
use crate::rig::{Process, Proxy};

/// A seald that is about to be started.
pub(crate) struct Setup<'a> {
    world: &'a World,
    kubeconfig: Option<PathBuf>,
    source: String,
    pod: String,
    level: String,
    flags: Vec<String>,
}

impl World {
    /// seald on the SealedEnvs that the test applies itself.
    pub(crate) fn seald(&self) -> Setup<'_> {
        Setup {
            world: self,
            kubeconfig: None,
            source: "none".to_owned(),
            pod: "seald-0".to_owned(),
            level: "debug".to_owned(),
            flags: Vec::new(),
        }
    }

    /// seald on the project's folder.
    pub(crate) fn seald_on_folder(&self) -> Setup<'_> {
        let mut setup = self.seald();
        setup.source = format!("dir:{}", self.project.display());
        setup
    }
}

impl Setup<'_> {
    /// Talks to the API server through a proxy.
    pub(crate) async fn through(mut self, proxy: &Proxy) -> Self {
        let token = self.world.token().await;
        self.kubeconfig = Some(proxy.kubeconfig(&self.world.cluster, &token));
        self
    }

    /// Another pod of the same installation.
    pub(crate) fn pod(mut self, name: &str) -> Self {
        self.pod = name.to_owned();
        self
    }

    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// `--log-level`; `debug` unless said otherwise.
    pub(crate) fn level(mut self, level: &str) -> Self {
        self.level = level.to_owned();
        self
    }

    /// Starts the process with a token of its ServiceAccount, and does not wait for anything.
    pub(crate) async fn start(self) -> Seald {
        let world = self.world;
        if self.source != "none" {
            world.install_mirror_roles().await;
        }
        let kubeconfig = match self.kubeconfig {
            Some(kubeconfig) => kubeconfig,
            None => world.cluster.kubeconfig_for(&world.token().await),
        };
        let (metrics, probes) = (free_address(), free_address());
        let process = world
            .cluster
            .program(&world.namespace, &self.pod, env!("CARGO_BIN_EXE_seald"))
            .args([
                "--environment",
                &world.environment,
                "--source",
                &self.source,
            ])
            .args(["--log-level", &self.level, "--log-format", "json"])
            .arg("--identity")
            .arg(world.identity_folder())
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .args([
                "--listen-metrics",
                &metrics.to_string(),
                "--listen-probes",
                &probes.to_string(),
            ])
            .args(&self.flags)
            .env("POD_NAMESPACE", &world.home)
            .env("POD_NAME", &self.pod)
            .start();
        Seald {
            process,
            metrics,
            probes,
        }
    }
}

/// A running seald. It is killed when the value is dropped.
#[derive(Debug)]
pub(crate) struct Seald {
    process: Process,
    pub(crate) metrics: SocketAddr,
    pub(crate) probes: SocketAddr,
}

impl Deref for Seald {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Seald {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Seald {
    /// The answer of a probe, such as `/readyz?verbose`; nothing while nobody listens.
    pub(crate) async fn probe(&self, path: &str) -> Option<Answer> {
        get(self.probes, path).await
    }

    /// Everything that `/metrics` says.
    pub(crate) async fn metrics(&self) -> String {
        get(self.metrics, "/metrics")
            .await
            .map(|answer| answer.body)
            .unwrap_or_default()
    }

    /// The value of one line of the metrics that holds all of these words; 0 when there is none.
    pub(crate) async fn metric(&self, words: &[&str]) -> f64 {
        let text = self.metrics().await;
        let line = text
            .lines()
            .find(|line| !line.starts_with('#') && words.iter().all(|word| line.contains(word)));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or(0.0)
    }

    /// Waits until `/readyz` answers with this status code; gives what it says.
    pub(crate) async fn ready_is(&self, world: &World, status: u16) -> String {
        let what = format!("/readyz with status {status}");
        let answer = world
            .cluster
            .eventually(&what, SOON, &world.namespace, async || {
                self.probe("/readyz?verbose")
                    .await
                    .filter(|answer| answer.status == status)
            });
        answer.await.body
    }

    /// Waits until it leads.
    pub(crate) async fn leads(&self, world: &World) {
        let leads = world
            .cluster
            .eventually("seald to lead", SOON, &world.namespace, async || {
                (self.metric(&["seald_leader"]).await > 0.5).then_some(())
            });
        leads.await;
    }

    /// No request was refused for want of a right.
    pub(crate) fn assert_never_forbidden(&self) {
        let log = self.log();
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("Forbidden") || line.contains("forbidden"))
            .collect();
        assert!(
            lines.is_empty(),
            "refused for want of a right:\n{}",
            lines.join("\n")
        );
    }
}

/// The answer to a GET.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// A plain GET; nothing when nobody answers within two seconds.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Option<Answer> {
    let ask = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut text = Vec::new();
        stream.read_to_end(&mut text).await.ok()?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Answer {
            status,
            body: body.to_owned(),
        })
    };
    tokio::time::timeout(Duration::from_secs(2), ask)
        .await
        .ok()?
}

/// A port that nobody listens on. Somebody else may take it before seald does; ports are handed out in turn, so that is rare.
fn free_address() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("a bound socket")
}
