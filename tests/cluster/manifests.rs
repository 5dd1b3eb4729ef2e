//! The very files of `deploy/manifests`, applied with kubectl: they install under Pod Security
//! `restricted`, twice without a change, and give no right that seald does not need.

use std::path::Path;

use super::rig::Cluster;

const KINDS: [&str; 2] = ["deployment", "daemonset"];
const ACCOUNT: &str = "system:serviceaccount:seald:seald";

fn folder(kind: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy/manifests")
        .join(kind);
    path.to_string_lossy().into_owned()
}

async fn apply(cluster: &Cluster, kind: &str) -> String {
    let output = cluster.kubectl(&["apply", "-k", &folder(kind)]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    // Pod Security warns about what it would refuse.
    assert_eq!(said, "");
    String::from_utf8(output.stdout).unwrap()
}

/// Whether seald's ServiceAccount may do this, by what has been applied.
async fn may(cluster: &Cluster, request: &[&str]) -> bool {
    let arguments = [&["auth", "can-i", "--quiet", "--as", ACCOUNT], request].concat();
    cluster.kubectl(&arguments).await.status.success()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane (make test)"]
async fn k8s_c_the_manifests_install_and_their_pods_become_ready() {
    let cluster = Cluster::control_plane().await;
    for kind in KINDS {
        let said = apply(&cluster, kind).await;
        assert!(said.contains("sealedenvs.sealctl.dev"), "{said}");
        assert!(
            said.contains(&format!("{kind}.apps/seald created")),
            "{said}"
        );
        let said = apply(&cluster, kind).await;
        assert!(
            said.lines().all(|line| line.ends_with(" unchanged")),
            "{said}"
        );
    }
    // A real node would wait for the identity; a fake one mounts nothing.
    for kind in KINDS {
        let workload = format!("{kind}/seald");
        cluster
            .kubectl_ok(&[
                "-n",
                "seald",
                "rollout",
                "status",
                &workload,
                "--timeout=60s",
            ])
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane (make test)"]
async fn k8s_a_the_manifests_give_seald_no_right_too_many() {
    let cluster = Cluster::api().await;
    apply(&cluster, "deployment").await;
    for allowed in [
        &["list", "sealedenvs.sealctl.dev", "-A"][..],
        &[
            "patch",
            "sealedenvs.sealctl.dev",
            "--subresource=status",
            "-A",
        ],
        &["watch", "deployments.apps", "-A"],
        &[
            "patch",
            "leases.coordination.k8s.io/seald-controller",
            "-n",
            "seald",
        ],
        &["create", "events.events.k8s.io", "-A"],
    ] {
        assert!(may(&cluster, allowed).await, "seald may not {allowed:?}");
    }
    for refused in [
        &["get", "secrets", "-n", "seald"][..],
        &["get", "pods", "-A"],
        &["get", "namespaces"],
        &["create", "sealedenvs.sealctl.dev", "-A"],
        &["delete", "sealedenvs.sealctl.dev", "-A"],
        &["get", "secrets/seald-identity", "-n", "seald"],
        &["list", "secrets", "-A"],
        &["watch", "secrets", "-A"],
        &["create", "secrets", "-A"],
        &["patch", "configmaps", "-A"],
        &["patch", "deployments.apps", "-A"],
        &["create", "jobs.batch", "-A"],
        &["create", "pods", "-A"],
        &["create", "pods", "--subresource=exec", "-A"],
        &["patch", "leases.coordination.k8s.io/other", "-n", "seald"],
        &["patch", "customresourcedefinitions", "-A"],
        &["create", "namespaces"],
        &["escalate", "clusterroles"],
        &["impersonate", "users"],
    ] {
        assert!(!may(&cluster, refused).await, "seald may {refused:?}");
    }
}
