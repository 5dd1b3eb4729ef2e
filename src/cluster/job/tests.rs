//! What is cloned, what is not, and what is added.

use std::collections::BTreeMap;

use super::*;
use crate::digest::Digest;
use crate::env::WorkloadKind;
use crate::plan::effect::Guard;
use crate::secret::Secret;

fn scope() -> Scope {
    Scope {
        namespace: "shop".into(),
        name: "polls".into(),
        uid: "u1".into(),
        environment: "prod".into(),
    }
}

fn user() -> Superuser {
    Superuser {
        from: WorkloadRef {
            kind: WorkloadKind::Deployment,
            name: "polls".parse().unwrap(),
        },
        container: None,
        username: Some(Secret::from_text("canary-user")),
        email: None,
        password: Secret::from_text("canary-password"),
        fields: BTreeMap::from([("Team".into(), Secret::from_text("canary-team"))]),
        database: "default".into(),
        manage: "app/manage.py".into(),
        policy: Policy::CreateOnly,
        after: After::Rollout,
    }
}

fn run() -> Run {
    Run::of(&scope(), "1a2b3c4d", &user())
}

/// A Deployment with everything that a Job must not have, and much that it must.
fn workload() -> Value {
    json!({"spec": {"replicas": 3, "template": {
        "metadata": {
            "labels": {"app": "polls", "sealctl.dev/owner": "other"},
            "annotations": {"sidecar.istio.io/inject": "true"}
        },
        "spec": {
            "containers": [{
                "name": "web",
                "image": "polls:7",
                "imagePullPolicy": "Always",
                "command": ["gunicorn"],
                "args": ["polls.wsgi"],
                "workingDir": "/srv",
                "env": [
                    {"name": "DEBUG", "value": "0"},
                    {"name": "SEALCTL_SUPERUSER_POLICY", "value": "mine"}
                ],
                "envFrom": [{"secretRef": {"name": "polls-secrets"}}],
                "volumeMounts": [
                    {"name": "media", "mountPath": "/media"},
                    {"name": "claimed", "mountPath": "/data"}
                ],
                "resources": {"limits": {"memory": "1Gi"}},
                "securityContext": {"readOnlyRootFilesystem": true},
                "ports": [{"containerPort": 8000}],
                "livenessProbe": {"httpGet": {"port": 8000}},
                "readinessProbe": {"httpGet": {"port": 8000}},
                "startupProbe": {"httpGet": {"port": 8000}},
                "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
                "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
                "terminationMessagePath": "/tmp/message",
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "fieldOfTomorrow": {"kept": true}
            }],
            "initContainers": [{"name": "migrate", "image": "polls:7"}],
            "volumes": [{"name": "media", "emptyDir": {}}],
            "serviceAccountName": "polls",
            "imagePullSecrets": [{"name": "registry"}],
            "securityContext": {"runAsNonRoot": true},
            "nodeSelector": {"disk": "fast"},
            "tolerations": [{"operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["db"]}],
            "dnsConfig": {"searches": ["shop"]},
            "restartPolicy": "Always",
            "hostname": "polls",
            "podFieldOfTomorrow": 1
        }
    }}})
}

fn built() -> Value {
    build(&workload(), &run()).unwrap()
}

#[test]
fn the_container_is_cloned_without_what_serves_requests() {
    let job = built();
    let containers = job["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap();
    assert_eq!(containers.len(), 1);
    let container = containers[0].as_object().unwrap();
    let names: Vec<&str> = container.keys().map(String::as_str).collect();
    let kept = [
        "name",
        "image",
        "imagePullPolicy",
        "workingDir",
        "env",
        "envFrom",
        "volumeMounts",
        "resources",
        "securityContext",
        "fieldOfTomorrow",
        "command",
        "terminationMessagePolicy",
    ];
    assert_eq!(names.len(), kept.len(), "{names:?}");
    assert!(kept.iter().all(|name| names.contains(name)), "{names:?}");
    assert_eq!(container["image"], "polls:7");
    assert_eq!(container["fieldOfTomorrow"], json!({"kept": true}));
    assert_eq!(container["terminationMessagePolicy"], "File");
    let command = container["command"].as_array().unwrap();
    assert_eq!(
        command[..4],
        [
            json!("python"),
            json!("app/manage.py"),
            json!("shell"),
            json!("-c")
        ]
    );
}

#[test]
fn the_pod_is_cloned_without_other_containers_and_without_a_token() {
    let job = built();
    let pod = &job["spec"]["template"]["spec"];
    let original = &workload()["spec"]["template"]["spec"];
    for field in [
        "volumes",
        "serviceAccountName",
        "imagePullSecrets",
        "securityContext",
        "nodeSelector",
        "tolerations",
        "affinity",
        "hostAliases",
        "dnsConfig",
        "podFieldOfTomorrow",
    ] {
        assert_eq!(pod[field], original[field], "{field}");
    }
    for field in ["initContainers", "hostname"] {
        assert_eq!(pod.get(field), None, "{field}");
    }
    assert_eq!(pod["restartPolicy"], "Never");
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(
        pod["readinessGates"][0]["conditionType"],
        vocabulary::GATE_NEVER
    );
}

#[test]
fn a_job_is_known_by_name_owner_and_id_and_is_held_until_its_end_is_recorded() {
    let job = built();
    let metadata = &job["metadata"];
    assert_eq!(metadata["name"], "seald-bootstrap-polls-1a2b3c4d");
    assert_eq!(metadata["namespace"], "shop");
    assert_eq!(metadata["labels"][vocabulary::LABEL_OWNER], "polls");
    assert_eq!(metadata["annotations"][vocabulary::OWNER_UID], "u1");
    assert_eq!(
        metadata["annotations"][vocabulary::BOOTSTRAP_ID],
        "1a2b3c4d"
    );
    assert_eq!(
        metadata["finalizers"],
        json!([vocabulary::FINALIZER_BOOTSTRAP])
    );
    let spec = &job["spec"];
    assert_eq!(
        (
            &spec["backoffLimit"],
            &spec["activeDeadlineSeconds"],
            &spec["ttlSecondsAfterFinished"]
        ),
        (&json!(6), &json!(900), &json!(600))
    );
    let template = &spec["template"]["metadata"];
    assert_eq!(
        template["labels"]["app"], "polls",
        "network policies select by it"
    );
    assert_eq!(
        template["labels"][vocabulary::LABEL_OWNER],
        "polls",
        "ours count"
    );
    assert_eq!(template["annotations"].get("sidecar.istio.io/inject"), None);
}

#[test]
fn credentials_come_by_reference_to_keys_that_their_secret_has() {
    let job = built();
    assert!(!job.to_string().contains("canary"));
    let env = job["spec"]["template"]["spec"]["containers"][0]["env"]
        .as_array()
        .unwrap();
    let variable = |name: &str| {
        let mut found = env
            .iter()
            .filter(|variable| variable["name"] == format!("{PREFIX}{name}"));
        let one = found.next().unwrap_or(&Value::Null);
        assert!(found.next().is_none(), "{name} twice");
        one
    };
    assert_eq!(env[0], json!({"name": "DEBUG", "value": "0"}));
    assert_eq!(variable("POLICY")["value"], "create-only");
    assert_eq!(variable("DATABASE")["value"], "default");
    assert_eq!(variable("EMAIL"), &Value::Null);
    let secret = objects::credentials(&scope(), &user(), Digest::combine([]), &Guard::Create);
    let secret: Value = serde_json::from_slice(secret.expose()).unwrap();
    let mut asked: Vec<&str> = Vec::new();
    for name in ["USERNAME", "PASSWORD", "FIELD_Team"] {
        let source = &variable(name)["valueFrom"]["secretKeyRef"];
        assert_eq!(source["name"], secret["metadata"]["name"]);
        assert_eq!(source.get("optional"), None);
        asked.push(source["key"].as_str().unwrap());
    }
    asked.sort_unstable();
    let held: Vec<&String> = secret["data"].as_object().unwrap().keys().collect();
    assert_eq!(asked, held);
}

#[test]
fn only_mounts_of_volumes_that_the_template_defines_are_kept() {
    let job = built();
    let mounts = &job["spec"]["template"]["spec"]["containers"][0]["volumeMounts"];
    assert_eq!(mounts, &json!([{"name": "media", "mountPath": "/media"}]));
}

#[test]
fn the_program_has_no_variable_that_kubernetes_would_replace() {
    assert!(!PROGRAM.contains('$'));
    assert!(PROGRAM.len() < 16 * 1024);
}

#[test]
fn one_of_several_containers_has_to_be_named() {
    let mut workload = workload();
    let containers = &mut workload["spec"]["template"]["spec"]["containers"];
    containers
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "proxy", "image": "proxy:1"}));
    let error = build(&workload, &run()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "deployment/polls has 2 containers; name one"
    );
    let named = |name: &str| {
        let user = Superuser {
            container: Some(name.into()),
            ..user()
        };
        build(&workload, &Run::of(&scope(), "1a2b3c4d", &user))
    };
    let job = named("proxy").unwrap();
    assert_eq!(
        job["spec"]["template"]["spec"]["containers"][0]["image"],
        "proxy:1"
    );
    let error = named("other").unwrap_err();
    assert_eq!(error.to_string(), "deployment/polls has no container other");
}

#[test]
fn a_workload_without_a_template_of_its_own_is_refused() {
    let rollout = json!({"spec": {"workloadRef": {"kind": "Deployment", "name": "polls"}}});
    let error = build(&rollout, &run()).unwrap_err();
    assert_eq!(error, JobError::NoTemplate(run().from));
}
