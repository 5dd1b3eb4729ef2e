//! The blocks of kind `console cluster` in the README and the installation guide, run in order against
//! a control plane: with the manifests, roles and keys that they make, and seald as a process in place
//! of the pod, since the nodes are fake.
#![expect(
    clippy::disallowed_methods,
    reason = "makes a home and a project to run the commands in"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;

use super::console::{Setting, blocks};
use super::rig::{Cluster, Process};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The identity that a block has put into the Secret, as the pod would see it mounted.
async fn mounted_identity(cluster: &Cluster, folder: &Path) -> Option<PathBuf> {
    let get = [
        "-n",
        "seald",
        "get",
        "secret",
        "seald-identity",
        "-o",
        "jsonpath={.data.prod}",
    ];
    let output = cluster.kubectl(&get).await;
    if !output.status.success() {
        return None;
    }
    let identity = folder.join("identity");
    fs::create_dir(&identity).unwrap();
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(&output.stdout)
        .unwrap();
    assert!(decoded.starts_with(b"# ") || decoded.starts_with(b"AGE-SECRET-KEY-"));
    fs::write(identity.join("prod"), decoded).unwrap();
    Some(identity)
}

async fn start_seald(cluster: &Cluster, identity: &Path) -> Process {
    let token = cluster.token_of("seald", "seald").await;
    cluster
        .program("seald", "seald", env!("CARGO_BIN_EXE_seald"))
        .args(["--environment", "prod", "--listen-metrics", "127.0.0.1:0"])
        .args(["--listen-probes", "127.0.0.1:0", "--identity"])
        .arg(identity)
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig_for(&token))
        .env("POD_NAME", "seald-0")
        .env("POD_NAMESPACE", "seald")
        .start()
}

/// An empty home, and a project that has the `deploy` of this one.
fn setting(cluster: &Cluster, folder: &Path) -> Setting {
    let (home, project) = (folder.join("home"), folder.join("project"));
    fs::create_dir(&home).unwrap();
    fs::create_dir(&project).unwrap();
    symlink(root().join("deploy"), project.join("deploy")).unwrap();
    let sealctl = Path::new(env!("CARGO_BIN_EXE_sealctl")).parent().unwrap();
    let kubectl = cluster.plane().dir().join("bin");
    Setting::new(home, project, &[sealctl, &kubectl])
        .with("KUBECONFIG", cluster.kubeconfig().to_string_lossy())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane (make test)"]
async fn k8s_c_every_console_block_for_a_cluster_does_what_it_says() {
    for name in ["README.md", "deploy/README.md"] {
        let text = fs::read_to_string(root().join(name)).unwrap();
        let blocks = blocks(&text);
        let mut told = blocks
            .iter()
            .filter(|block| block.kind == "console cluster")
            .peekable();
        if told.peek().is_none() {
            continue;
        }
        let cluster = Cluster::control_plane().await;
        let folder = tempfile::tempdir().unwrap();
        let setting = setting(&cluster, folder.path());
        let mut seald = None;
        for block in told {
            let ran = tokio::task::block_in_place(|| setting.run(block));
            if let (Err(wrong), Some(seald)) = (&ran, &seald) {
                panic!("{name}:{wrong}\nseald said:\n{}", log_of(seald));
            }
            ran.unwrap_or_else(|wrong| panic!("{name}:{wrong}"));
            if seald.is_none()
                && let Some(identity) = mounted_identity(&cluster, folder.path()).await
            {
                seald = Some(start_seald(&cluster, &identity).await);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        assert!(
            seald.is_some(),
            "{name}: no block makes the Secret seald-identity"
        );
    }
}

fn log_of(seald: &Process) -> String {
    seald
        .log()
        .lines()
        .rev()
        .take(20)
        .collect::<Vec<_>>()
        .join("\n")
}
