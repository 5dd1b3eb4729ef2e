//! The files of `deploy/manifests` say what the code says: roles, names, image.

use sealctl::cluster::roles::{
    Installation, Served, ServiceAccount, Source, for_installation, for_mirroring,
};
use sealctl::vocabulary;
use serde_json::Value;

const RBAC: &str = include_str!("../../deploy/manifests/base/rbac.yaml");
const DIRECTORY: &str = include_str!("../../deploy/manifests/directory/rbac.yaml");
const DEPLOYMENT: &str = include_str!("../../deploy/manifests/deployment/deployment.yaml");
const DAEMONSET: &str = include_str!("../../deploy/manifests/daemonset/daemonset.yaml");

fn documents(file: &str) -> Vec<Value> {
    file.split("\n---\n")
        .map(|text| serde_saphyr::from_str(text).unwrap())
        .collect()
}

#[test]
fn the_roles_of_the_manifests_are_those_of_the_code() {
    let (namespace, name) = vocabulary::SERVICE_ACCOUNT.split_once('/').unwrap();
    let mut installation = Installation {
        account: ServiceAccount {
            namespace: namespace.into(),
            name: name.into(),
        },
        served: Served::All,
        source: Source::External,
    };
    assert_eq!(documents(RBAC), for_installation(&installation));
    installation.source = Source::Directory {
        creates_namespaces: false,
    };
    assert_eq!(documents(DIRECTORY), for_mirroring(&installation));
}

#[test]
fn deployment_and_daemonset_run_the_same_pod() {
    let pod = |file: &str| {
        let mut pod = documents(file)[0]["spec"]["template"].clone();
        // Spreading is for replicas; a DaemonSet spreads by itself.
        pod["spec"]
            .as_object_mut()
            .unwrap()
            .remove("topologySpreadConstraints");
        pod
    };
    assert_eq!(pod(DEPLOYMENT), pod(DAEMONSET));
}

#[test]
fn the_pod_runs_this_version_and_mounts_what_seald_reads() {
    let pod = &documents(DEPLOYMENT)[0]["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(
        container["image"],
        concat!("seald:", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(
        container["volumeMounts"][0]["mountPath"],
        vocabulary::IDENTITY_PATH
    );
    assert_eq!(
        pod["volumes"][0]["secret"]["secretName"],
        vocabulary::IDENTITY_SECRET
    );
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
}
