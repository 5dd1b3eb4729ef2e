//! The Kubernetes edge of seald against a real API server: what the server takes and refuses, which
//! rights are enough, who leads, what watches see.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams, ObjectMeta};
use sealctl::cluster::client::{Force, Requests};
use sealctl::cluster::connection::{Access, Connection};
use sealctl::cluster::error::Class;
use sealctl::cluster::events::{self, events};
use sealctl::cluster::kind::{Kind, Place};
use sealctl::cluster::lease::{Elector, Leadership};
use sealctl::cluster::limiter::Limiter;
use sealctl::cluster::mirror::{self, Action, File, Mirroring, Sources};
use sealctl::cluster::roles::{self, By, Prune, ServiceAccount as Account, Targets};
use sealctl::cluster::watch::{self, SealedEnvChange, Watched};
use sealctl::cluster::{crd, manifest, sealed_env};
use sealctl::env::ObjectKind;
use sealctl::name::EnvName;
use sealctl::secret::Secret;
use sealctl::telemetry::metrics::Metrics;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::rig::Cluster;

const LONG: Duration = Duration::from_secs(30);
const DOCUMENT: &str = "sealctl: v1\nsops:\n    mac: ENC[AES256_GCM]\n";

async fn requests(kubeconfig: &Path) -> Requests {
    let access = Access {
        kubeconfig: Some(kubeconfig.to_owned()),
        context: None,
        user_agent: "seald/test".into(),
    };
    let connection = Connection::open(access).await.unwrap();
    Requests::new(connection, Limiter::new(None), Metrics::new("test", ""))
}

async fn admin(cluster: &Cluster) -> Requests {
    requests(cluster.kubeconfig()).await
}

/// Installs the definition and waits until the server serves it.
async fn install(cluster: &Cluster, requests: &Requests) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/crd/sealedenv.yaml");
    let file = folder.to_string_lossy().into_owned();
    cluster
        .kubectl_ok(&["apply", "--server-side", "-f", &file])
        .await;
    let established = [
        "wait",
        "--for=condition=Established",
        "crd/sealedenvs.sealctl.dev",
    ];
    cluster.kubectl_ok(&established).await;
    let served = cluster
        .eventually("the kind", LONG, "default", async || {
            requests
                .list::<Value>(Kind::SealedEnv, None, "limit=1")
                .await
                .ok()
        })
        .await;
    assert_eq!(served["items"], json!([]));
}

fn body(place: &Place, fields: &Value) -> Secret {
    let mut body = json!({
        "apiVersion": place.kind.api_version(),
        "kind": place.kind.name(),
        "metadata": { "name": place.name, "namespace": place.namespace }
    });
    for (key, value) in fields.as_object().unwrap() {
        match key.as_str() {
            "guard" => {
                for (key, value) in value.as_object().unwrap() {
                    body["metadata"][key] = value.clone();
                }
            }
            _ => body[key] = value.clone(),
        }
    }
    Secret::from(body.to_string())
}

async fn apply(
    requests: &Requests,
    place: &Place,
    fields: &Value,
) -> Result<(String, String), Class> {
    let written = requests
        .apply(place, "seald", Force::Yes, body(place, fields))
        .await;
    written
        .map(|meta| (meta.uid, meta.resource_version))
        .map_err(|error| error.class)
}

fn sealed_env(namespace: &str, name: &str) -> Place {
    Place::new(Kind::SealedEnv, namespace, name)
}

fn spec(environment: &str, document: &str) -> Value {
    json!({ "spec": { "environment": environment, "document": document } })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_the_definition_is_taken_and_enforces_its_rules() {
    let cluster = Cluster::api().await;
    let requests = admin(&cluster).await;
    install(&cluster, &requests).await;
    let place = sealed_env("default", "web");
    apply(&requests, &place, &spec("prod", DOCUMENT))
        .await
        .unwrap();
    let object: Value = requests.get(&place).await.unwrap().unwrap();
    assert_eq!(object["status"]["observedGeneration"], -1);
    assert_eq!(object["spec"]["deletionPolicy"], "Retain");
    for (name, environment, document) in [
        ("web", "dev", DOCUMENT),
        ("clear", "prod", "config: {}\n"),
        ("no-mac", "prod", "a: 1\nsops:\n    age: []\n"),
        (&"a".repeat(39), "prod", DOCUMENT),
        ("empty", "", DOCUMENT),
    ] {
        let place = sealed_env("default", name);
        let refused = apply(&requests, &place, &spec(environment, document)).await;
        assert_eq!(refused, Err(Class::Invalid), "{name} {environment}");
    }
    let query = |environment: &str| format!("fieldSelector=spec.environment%3D{environment}");
    for (environment, count) in [("prod", 1), ("dev", 0)] {
        let query = query(environment);
        let found = requests
            .list::<Value>(Kind::SealedEnv, None, &query)
            .await
            .unwrap();
        assert_eq!(found["items"].as_array().unwrap().len(), count);
    }
    let seen = sealed_env::read_sealed_env(&requests, "default", "web")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(seen.document, DOCUMENT);
    assert_eq!(
        crd::definition()["metadata"]["name"],
        "sealedenvs.sealctl.dev"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_guards_of_server_side_apply_hold() {
    let cluster = Cluster::api().await;
    let requests = admin(&cluster).await;
    let place = Place::new(Kind::Secret, "default", "web");
    let data = |guard: Value| json!({ "guard": guard, "data": { "A": "eA==" } });
    let created = data(json!({ "resourceVersion": "1" }));
    let (uid, version) = apply(&requests, &place, &created).await.unwrap();
    // The same again would merge into a foreign object: the guard says that there is one.
    assert_eq!(
        apply(&requests, &place, &created).await,
        Err(Class::Conflict)
    );
    let current = data(json!({ "uid": uid, "resourceVersion": version }));
    let (_, unchanged) = apply(&requests, &place, &current).await.unwrap();
    assert_eq!(unchanged, version, "nothing changed, nothing was written");
    let stale = data(json!({ "uid": uid, "resourceVersion": "2" }));
    assert_eq!(apply(&requests, &place, &stale).await, Err(Class::Conflict));
    let other =
        json!({ "uid": "11111111-1111-1111-1111-111111111111", "resourceVersion": version });
    let other = apply(&requests, &place, &data(other)).await.unwrap_err();
    assert!(
        matches!(other, Class::Conflict | Class::UidMismatch),
        "{other:?}"
    );
    let nowhere = Place::new(Kind::Secret, "nowhere", "web");
    assert_eq!(
        apply(&requests, &nowhere, &created).await,
        Err(Class::NamespaceMissing)
    );
    let retyped = json!({ "type": "kubernetes.io/basic-auth", "data": { "username": "eA==" } });
    assert_eq!(
        apply(&requests, &place, &retyped).await,
        Err(Class::Immutable)
    );
    let big = json!({ "data": { "A": "eHh4".repeat(350_000) } });
    assert_eq!(apply(&requests, &place, &big).await, Err(Class::TooLarge));
    let deleted = requests.delete(&place, "another-uid").await.unwrap_err();
    assert_eq!(deleted.class, Class::Conflict);
    requests.delete(&place, &uid).await.unwrap();
    requests.delete(&place, &uid).await.unwrap();
    let unknown = requests
        .get_meta(&sealed_env("default", "web"))
        .await
        .unwrap_err();
    assert_eq!(
        unknown.class,
        Class::KindMissing,
        "the definition is not installed"
    );
}

/// A client that may do what `manifests` say, and nothing else.
async fn with_rights(cluster: &Cluster, manifests: &[Value]) -> Requests {
    let account = ServiceAccount {
        metadata: ObjectMeta {
            name: Some("seald".into()),
            ..ObjectMeta::default()
        },
        ..ServiceAccount::default()
    };
    cluster.create("default", &account).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(
        &mut file.as_file(),
        manifest::documents(manifests).as_bytes(),
    )
    .unwrap();
    let path = file.path().to_string_lossy().into_owned();
    cluster.kubectl_ok(&["apply", "-f", &path]).await;
    let token = cluster.token_of("default", "seald").await;
    requests(&cluster.kubeconfig_for(&token)).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_a_role_by_name_is_enough_and_not_more() {
    let cluster = Cluster::api().await;
    let targets = Targets {
        app: "web".parse().unwrap(),
        environment: "prod".parse().unwrap(),
        namespace: "default".parse().unwrap(),
        objects: vec![
            (ObjectKind::ConfigMap, "web-config".parse().unwrap()),
            (ObjectKind::Secret, "web-secrets".parse().unwrap()),
        ],
    };
    let account = Account {
        namespace: "default".into(),
        name: "seald".into(),
    };
    let manifests = roles::for_document(&targets, &account, By::Name, Prune::Refused);
    let requests = with_rights(&cluster, &manifests).await;
    let create = json!({ "guard": { "resourceVersion": "1" } });
    let mut uids = BTreeMap::new();
    for (kind, name, allowed) in [
        (Kind::ConfigMap, "web-config", true),
        (Kind::Secret, "web-secrets", true),
        (Kind::Secret, "seald-state-web", true),
        (Kind::Secret, "seald-bootstrap-web", true),
        (Kind::Secret, "other", false),
        (Kind::ConfigMap, "other", false),
    ] {
        let place = Place::new(kind, "default", name);
        // Rights are known to the server a moment after the role was written.
        let written = cluster
            .eventually("rights", LONG, "default", async || {
                match apply(&requests, &place, &create).await {
                    Err(Class::Forbidden) if allowed => None,
                    other => Some(other),
                }
            })
            .await;
        match written {
            Ok((uid, _)) if allowed => {
                assert!(requests.get_meta(&place).await.unwrap().is_some());
                uids.insert(name, uid);
            }
            Err(Class::Forbidden) if !allowed => {
                let error = requests.get_meta(&place).await.unwrap_err();
                assert_eq!(error.class, Class::Forbidden);
            }
            other => panic!("{kind} {name}: {other:?}"),
        }
    }
    let listed = requests
        .list::<Value>(Kind::Secret, Some("default"), "")
        .await
        .unwrap_err();
    assert_eq!(listed.class, Class::Forbidden);
    for kind in [
        Kind::Deployment,
        Kind::DaemonSet,
        Kind::StatefulSet,
        Kind::Job,
        Kind::Pod,
    ] {
        requests
            .list::<Value>(kind, Some("default"), "")
            .await
            .unwrap();
    }
    for (name, class) in [
        ("seald-bootstrap-web", None),
        ("web-secrets", Some(Class::Forbidden)),
    ] {
        let place = Place::new(Kind::Secret, "default", name);
        let deleted = requests.delete(&place, &uids[name]).await;
        assert_eq!(deleted.err().map(|error| error.class), class, "{name}");
    }
}

async fn until_leading(leadership: &mut tokio::sync::watch::Receiver<Leadership>) {
    timeout(LONG, leadership.wait_for(Leadership::holds))
        .await
        .expect("a leader")
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_of_two_candidates_one_leads_and_hands_over_when_it_stops() {
    let cluster = Cluster::api().await;
    let requests = admin(&cluster).await;
    let candidate = |name: &str| {
        let (elector, leadership) = Elector::new(requests.clone(), "default", name.to_owned());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(elector.run(async {
            let _ = stopped.await;
        }));
        (leadership, stop, task)
    };
    let (mut first, stop_first, first_task) = candidate("first");
    until_leading(&mut first).await;
    let (mut second, stop_second, second_task) = candidate("second");
    let followed = |leadership: &Leadership| leadership.holder.as_deref() == Some("first");
    timeout(LONG, second.wait_for(followed))
        .await
        .expect("a follower")
        .unwrap();
    assert!(first.borrow().holds() && !second.borrow().holds());
    stop_first.send(()).unwrap();
    first_task.await.unwrap();
    // The Lease was given up, so its duration of 15 s need not pass.
    until_leading(&mut second).await;
    let lease: Value = requests
        .get(&Place::new(Kind::Lease, "default", "seald-controller"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "second");
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
    stop_second.send(()).unwrap();
    second_task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_an_event_arrives_as_it_was_sent() {
    let cluster = Cluster::api().await;
    let (events, recorder) = events(admin(&cluster).await, "pod-1".into());
    let recorder = tokio::spawn(recorder.run());
    events.emit(events::Note {
        regarding: events::Regarding {
            place: sealed_env("default", "web"),
            uid: "u".into(),
        },
        severity: events::Severity::Warning,
        reason: "IntegrityFailed".into(),
        action: "Resolve".into(),
        text: "\u{20ac}".repeat(1000),
    });
    drop(events);
    recorder.await.unwrap();
    let api: Api<Event> = Api::namespaced(cluster.client(), "default");
    let found = api.list(&ListParams::default()).await.unwrap().items;
    let event = found
        .iter()
        .find(|event| event.reason.as_deref() == Some("IntegrityFailed"))
        .unwrap();
    assert_eq!(event.note.as_ref().unwrap().len(), 1023);
    assert_eq!(
        event.reporting_controller.as_deref(),
        Some("sealctl.dev/seald")
    );
    assert_eq!(event.type_.as_deref(), Some("Warning"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_watches_see_what_comes_changes_and_goes() {
    let cluster = Cluster::api().await;
    let requests = admin(&cluster).await;
    install(&cluster, &requests).await;
    let environment: EnvName = "prod".parse().unwrap();
    let (sender, mut seen) = mpsc::channel(64);
    let _watches = watch::spawn(&requests, &[environment], &[], &sender);
    let mut next = async || loop {
        let watched = timeout(LONG, seen.recv()).await.expect("a change").unwrap();
        if let Watched::SealedEnv { change, .. } = watched {
            return match change {
                SealedEnvChange::Put(seen) => format!("put {}", seen.scope.name),
                SealedEnvChange::Gone { name, .. } => format!("gone {name}"),
                SealedEnvChange::Listed(names) => format!("listed {}", names.len()),
            };
        }
    };
    assert_eq!(next().await, "listed 0");
    let place = sealed_env("default", "web");
    // One of another environment is not seen at all.
    let other = sealed_env("default", "other");
    apply(&requests, &other, &spec("dev", DOCUMENT))
        .await
        .unwrap();
    let (uid, _) = apply(&requests, &place, &spec("prod", DOCUMENT))
        .await
        .unwrap();
    assert_eq!(next().await, "put web");
    let changed = format!("{DOCUMENT}# changed\n");
    apply(&requests, &place, &spec("prod", &changed))
        .await
        .unwrap();
    assert_eq!(next().await, "put web");
    requests.delete(&place, &uid).await.unwrap();
    assert_eq!(next().await, "gone web");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_the_mirror_creates_namespaces_only_when_asked_and_leaves_foreign_ones_alone() {
    let cluster = Cluster::api().await;
    let requests = admin(&cluster).await;
    install(&cluster, &requests).await;
    let path = "envs/prod/web.yaml".to_owned();
    let file = File {
        environment: None,
        text: DOCUMENT.into(),
        commit: Some("abc".into()),
    };
    let files = BTreeMap::from([(path.clone(), file)]);
    let action = |namespace: &str| {
        vec![Action::Apply {
            path: path.clone(),
            key: (namespace.into(), "web".into()),
            environment: "prod".parse().unwrap(),
        }]
    };
    let write = async |namespace: &str, create_namespaces| {
        let mirroring = Mirroring {
            requests: requests.clone(),
            sources: Sources::default(),
            create_namespaces,
        };
        let failed = mirror::perform(
            &mirroring,
            action(namespace),
            &files,
            &BTreeMap::new(),
            || true,
        )
        .await;
        failed.get(&path).map(|outcome| outcome.reason.to_string())
    };
    assert_eq!(
        write("shop", false).await.as_deref(),
        Some("NamespaceMissing")
    );
    assert_eq!(write("shop", true).await, None);
    let object: Value = requests
        .get(&sealed_env("shop", "web"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(object["spec"]["document"], DOCUMENT);
    assert_eq!(
        object["metadata"]["annotations"]["sealctl.dev/source-path"],
        path
    );
    assert_eq!(
        object["metadata"]["annotations"]["sealctl.dev/commit"],
        "abc"
    );
    // Ours, written a moment ago and not seen yet: the same file is no conflict.
    assert_eq!(write("shop", false).await, None);
    apply(
        &requests,
        &sealed_env("default", "web"),
        &spec("prod", &format!("{DOCUMENT}#\n")),
    )
    .await
    .unwrap();
    assert_eq!(write("default", false).await.as_deref(), Some("Conflict"));
}
