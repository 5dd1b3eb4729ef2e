//! `sealctl cluster push`, `status` and `sync` against a real API server, without seald: what they write,
//! and the exit code of each way in which they can end.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use crate::rig::Cluster;

/// A project with one document for the namespace `namespace`, and the way to the cluster.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new(cluster: &Cluster, namespace: &str) -> Self {
        let project = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let init = [
            "init",
            "--app",
            "web",
            "--env",
            "dev",
            "--name",
            "alice",
            "--recovery-key",
            "skip",
        ];
        assert!(
            project
                .sealctl(cluster.kubeconfig(), &init)
                .status
                .success()
        );
        let path = project.folder.path().join("envs/dev/web.yaml");
        let text = format!(
            "sealctl: v1\napp: web\nenvironment: dev\nnamespace: {namespace}\nsecrets:\n  TOKEN: hidden\n"
        );
        std::fs::write(path, text).unwrap();
        assert!(
            project
                .sealctl(cluster.kubeconfig(), &["encrypt"])
                .status
                .success()
        );
        project
    }

    fn sealctl(&self, kubeconfig: &Path, arguments: &[&str]) -> Output {
        let identity = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys/alice.txt");
        Command::new(env!("CARGO_BIN_EXE_sealctl"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", "/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .env("SOPS_AGE_KEY_FILE", identity)
            .env("KUBECONFIG", kubeconfig)
            .output()
            .unwrap()
    }

    /// The exit code of a verb, and everything that it said.
    fn ends(&self, kubeconfig: &Path, arguments: &[&str]) -> (i32, String) {
        let output = self.sealctl(kubeconfig, arguments);
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(said).unwrap(),
        )
    }
}

const SYNC: [&str; 6] = ["cluster", "sync", "-e", "dev", "--wait", "--timeout"];

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_a_sealed_document_is_pushed_and_its_status_is_read() {
    let cluster = Cluster::start().await;
    let namespace = cluster.namespace().await;
    cluster
        .kubectl_ok(&["apply", "--server-side", "-k", "deploy/crd"])
        .await;
    let project = Project::new(&cluster, &namespace);
    let kubeconfig = cluster.kubeconfig();
    let (code, said) = project.ends(kubeconfig, &["cluster", "push", "-e", "dev"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("/web applied") && !said.contains("hidden"),
        "{said}"
    );
    let stored = [
        "get",
        "senv",
        "web",
        "-n",
        &namespace,
        "-o",
        "jsonpath={.spec.document}",
    ];
    let file = std::fs::read_to_string(project.folder.path().join("envs/dev/web.yaml")).unwrap();
    assert_eq!(cluster.kubectl_ok(&stored).await, file, "verbatim");
    let (code, said) = project.ends(kubeconfig, &["cluster", "status", "-n", &namespace]);
    assert!(
        code == 0 && said.contains("web") && said.contains("<unknown>"),
        "{said}"
    );
    let status = ["cluster", "status", "-n", &namespace, "--exit-code"];
    assert_eq!(project.ends(kubeconfig, &status).0, 1);
    let again = ["cluster", "push", "-e", "dev", "--error-unchanged"];
    let (code, said) = project.ends(kubeconfig, &again);
    assert!(
        code == 3 && said.contains("/web unchanged"),
        "{code} {said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_a_wait_ends_by_time_by_success_and_as_soon_as_a_person_is_needed() {
    let cluster = Cluster::start().await;
    let namespace = cluster.namespace().await;
    cluster
        .kubectl_ok(&["apply", "--server-side", "-k", "deploy/crd"])
        .await;
    let project = Project::new(&cluster, &namespace);
    let kubeconfig = cluster.kubeconfig();
    assert_eq!(
        project
            .ends(kubeconfig, &["cluster", "push", "-e", "dev"])
            .0,
        0
    );
    assert_eq!(
        project.ends(kubeconfig, &[&SYNC[..], &["1s"]].concat()).0,
        22
    );
    for (conditions, code) in [
        (json!([condition("Ready", "True", "Synced")]), 0),
        (
            json!([
                condition("Ready", "False", "NoIdentity"),
                condition("Stalled", "True", "NoIdentity")
            ]),
            23,
        ),
        (json!([condition("Ready", "False", "Pending")]), 15),
    ] {
        let answer = answer(&cluster, &namespace, &conditions);
        let wait = tokio::task::block_in_place(|| {
            let handle = tokio::runtime::Handle::current();
            let answering = handle.spawn(answer);
            let ended = project.ends(kubeconfig, &[&SYNC[..], &["30s"]].concat());
            answering.abort();
            ended
        });
        assert_eq!(wait.0, code, "{}", wait.1);
    }
}

fn condition(kind: &str, status: &str, reason: &str) -> serde_json::Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": "said by the test",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    })
}

/// Plays seald: answers every request for a pass with `conditions`, until it is aborted.
fn answer(
    cluster: &Cluster,
    namespace: &str,
    conditions: &serde_json::Value,
) -> impl Future<Output = ()> + Send + use<> {
    use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
    let kind = kube::core::GroupVersionKind::gvk("sealctl.dev", "v1alpha1", "SealedEnv");
    let resource = ApiResource::from_gvk_with_plural(&kind, "sealedenvs");
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client(), namespace, &resource);
    let conditions = conditions.clone();
    async move {
        loop {
            let seen = api.get("web").await.unwrap();
            let asked = seen.metadata.annotations.as_ref();
            let asked = asked.and_then(|all| all.get("sealctl.dev/requested-at"));
            let status = json!({ "status": {
                "observedGeneration": seen.metadata.generation,
                "lastHandledReconcileAt": asked, "conditions": conditions,
            }});
            let patch = Patch::Merge(status);
            api.patch_status("web", &PatchParams::default(), &patch)
                .await
                .unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_missing_rights_definition_object_and_server_have_their_own_ends() {
    let cluster = Cluster::api().await;
    let namespace = cluster.namespace().await;
    let project = Project::new(&cluster, &namespace);
    let push = ["cluster", "push", "-e", "dev"];
    let kubeconfig = cluster.kubeconfig();
    let (code, said) = project.ends(kubeconfig, &push);
    assert!(
        code == 1 && said.contains("E0605") && said.contains("deploy/crd"),
        "{said}"
    );
    cluster
        .kubectl_ok(&["apply", "--server-side", "-k", "deploy/crd"])
        .await;
    cluster
        .kubectl_ok(&[
            "wait",
            "--for=condition=Established",
            "crd",
            "--all",
            "--timeout=30s",
        ])
        .await;
    let sync = ["cluster", "sync", "nothing", "-n", &namespace];
    let (code, said) = project.ends(kubeconfig, &sync);
    assert!(code == 1 && said.contains("E0608"), "{said}");
    cluster
        .kubectl_ok(&["create", "serviceaccount", "powerless", "-n", &namespace])
        .await;
    let token = cluster.token_of(&namespace, "powerless").await;
    let (code, said) = project.ends(&cluster.kubeconfig_for(&token), &push);
    assert!(code == 21 && said.contains("E0604"), "{said}");
    let (code, said) = project.ends(Path::new("/nowhere/kubeconfig"), &push);
    assert!(code == 20 && said.contains("E0601"), "{said}");
}
