//! What is made of the answers of an API server.

use std::collections::{BTreeMap, BTreeSet};

use http::{Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower_test::mock::Handle;

use super::*;
use crate::cluster::connection::Connection;
use crate::cluster::limiter::Limiter;
use crate::env::{ObjectKind, WorkloadKind, WorkloadRef};
use crate::reason::Reason;
use crate::telemetry::metrics::Metrics;

const CANARY: &str = "canary-5e1f";

fn scope() -> Scope {
    Scope {
        namespace: "shop".into(),
        name: "polls".into(),
        uid: "u1".into(),
        environment: "prod".into(),
    }
}

fn key() -> DigestKey {
    DigestKey::new(Secret::new(vec![7; DigestKey::LENGTH])).unwrap()
}

fn id(kind: ObjectKind, name: &str) -> ObjectId {
    ObjectId {
        kind,
        name: name.into(),
    }
}

fn web() -> WorkloadRef {
    WorkloadRef {
        kind: WorkloadKind::Deployment,
        name: "web".parse().unwrap(),
    }
}

/// Answers every request by the first pair whose text stands in its path; others with 404.
async fn serve(
    mut server: Handle<Request<Body>, Response<Body>>,
    answers: Vec<(&'static str, u16, Value)>,
) {
    while let Some((request, send)) = server.next_request().await {
        let path = request.uri().to_string();
        let found = answers.iter().find(|(part, ..)| path.contains(part));
        let missing = json!({"details": {"kind": "things"}});
        let (code, body) = found.map_or((404, &missing), |(_, code, body)| (*code, body));
        let mut response = Response::new(Body::from(body.to_string().into_bytes()));
        *response.status_mut() = StatusCode::from_u16(code).unwrap();
        send.send_response(response);
    }
}

async fn seen(asked: Look, answers: Vec<(&'static str, u16, Value)>) -> Observation {
    let (service, server) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
    let server = tokio::spawn(serve(server, answers));
    let connection = Connection::with_client(Client::new(service, "seald"));
    let requests = Requests::new(connection, Limiter::new(None), Metrics::new("test", ""));
    let observation = look(&requests, &scope(), &asked, &key()).await;
    server.abort();
    observation
}

fn pod(started: &str, also: Value) -> Value {
    let mut pod = json!({"metadata": {}, "status": {
        "phase": "Running",
        "containerStatuses": [{"state": {"running": {"startedAt": started}}}]
    }});
    if let (Value::Object(pod), Value::Object(also)) = (&mut pod, also) {
        pod.extend(also);
    }
    pod
}

#[tokio::test]
async fn values_become_digests_and_are_told_nowhere() {
    let secret = json!({
        "metadata": {
            "uid": "s1", "resourceVersion": "5",
            "labels": {"sealctl.dev/owner": "polls", "sealctl.dev/env": "prod"},
            "annotations": {"sealctl.dev/owner-uid": "u1", "sealctl.dev/prune": "false"},
            "managedFields": [
                {"manager": "seald", "operation": "Apply", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:data": {"f:A": {}}}},
                {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-02T00:00:00Z", "fieldsV1": {"f:data": {"f:B": {}}}}
            ]
        },
        "type": "Opaque", "immutable": true,
        "data": {"A": "Y2FuYXJ5LTVlMWY=", "B": ""}
    });
    let name = id(ObjectKind::Secret, "polls-secrets");
    let asked = Look {
        objects: BTreeMap::from([(name.clone(), Depth::Content)]),
        ..Look::default()
    };
    let observation = seen(asked, vec![("polls-secrets", 200, secret)]).await;
    assert!(!format!("{observation:?}").contains("canary"));
    let object = observation.objects[&name].present().unwrap();
    let keys = object.keys.as_ref().unwrap();
    assert_eq!(keys["A"], value_digest(&key(), CANARY.as_bytes()));
    assert_eq!(keys["B"], value_digest(&key(), b""));
    assert_eq!(object.foreign_keys, BTreeSet::from(["B".to_owned()]));
    assert_eq!(object.owner.as_deref(), Some("polls"));
    assert_eq!(object.owner_uid.as_deref(), Some("u1"));
    assert_eq!(object.environment.as_deref(), Some("prod"));
    assert_eq!(object.changed_at, "2026-01-01T00:00:00Z".parse().ok());
    assert!(object.immutable && object.keep && object.managed);
    assert_eq!(object.secret_type, "Opaque");
}

#[tokio::test]
async fn what_is_missing_is_absent_and_what_fails_is_left_out() {
    let denied = json!({"message": format!("secrets is forbidden {CANARY}")});
    let asked = Look {
        objects: BTreeMap::from([
            (id(ObjectKind::ConfigMap, "gone"), Depth::Metadata),
            (id(ObjectKind::Secret, "denied"), Depth::Content),
        ]),
        job: Some("job".into()),
        credentials: true,
        ..Look::default()
    };
    let observation = seen(asked, vec![("denied", 403, denied)]).await;
    assert_eq!(
        observation.objects,
        BTreeMap::from([(id(ObjectKind::ConfigMap, "gone"), Seen::Absent)])
    );
    assert_eq!(observation.job, Some(("job".into(), Seen::Absent)));
    assert_eq!(observation.credentials, Some(Seen::Absent));
    let failure = observation.failure.unwrap();
    assert_eq!(failure.outcome.reason, Reason::Forbidden);
    let message = failure.outcome.message;
    assert!(message.contains("get Secret shop/denied"), "{message}");
    assert!(!message.contains("canary"), "{message}");
}

#[tokio::test]
async fn a_missing_namespace_is_no_absent_object() {
    let missing = json!({"details": {"kind": "namespaces"}});
    let asked = Look {
        credentials: true,
        ..Look::default()
    };
    let observation = seen(asked, vec![("seald-bootstrap-polls", 404, missing)]).await;
    assert_eq!(observation.credentials, None);
    let reason = observation.failure.unwrap().outcome.reason;
    assert_eq!(reason, Reason::NamespaceMissing);
}

#[tokio::test]
async fn the_oldest_living_container_counts() {
    let init = json!({"status": {
        "phase": "Running",
        "initContainerStatuses": [{"state": {"terminated": {"startedAt": "2026-01-03T00:00:00Z"}}}],
        "containerStatuses": [{"state": {"running": {"startedAt": "2026-01-04T00:00:00Z"}}}]
    }});
    let pods = json!({"items": [
        pod("2026-01-01T00:00:00Z", json!({"metadata": {"deletionTimestamp": "2026-01-09T00:00:00Z"}})),
        pod("2026-01-02T00:00:00Z", json!({"status": {"phase": "Failed"}})),
        pod("2026-01-05T00:00:00Z", json!({})),
        pod("", init),
        pod("", json!({"status": {"containerStatuses": [{"state": {"waiting": {}}}]}})),
    ]});
    let asked = Look {
        pods: BTreeMap::from([(web(), "app in (a,b)".to_owned())]),
        ..Look::default()
    };
    let query = "/pods?labelSelector=app%20in%20%28a%2Cb%29";
    let observation = seen(asked, vec![(query, 200, pods)]).await;
    assert_eq!(observation.failure, None);
    let first = observation.pods[&web()].starts.first().copied();
    assert_eq!(first, "2026-01-03T00:00:00Z".parse().ok());
}

#[tokio::test]
async fn a_workload_without_pods_has_no_start_and_one_without_selector_proves_nothing() {
    let asked = |selector: &str| Look {
        pods: BTreeMap::from([(web(), selector.to_owned())]),
        ..Look::default()
    };
    let none = seen(
        asked("app=web"),
        vec![("/pods?", 200, json!({"items": []}))],
    )
    .await;
    assert_eq!(none.pods[&web()].starts.first(), None);
    let unknown = seen(asked(""), Vec::new()).await;
    assert_eq!(
        unknown.pods[&web()].starts.first().copied(),
        Some(Timestamp::UNIX_EPOCH)
    );
}

#[tokio::test]
async fn the_word_is_that_of_the_pod_that_succeeded() {
    let ended = |code: i32, message: &str| {
        json!({"status": {"containerStatuses": [
            {"state": {"terminated": {"exitCode": code, "message": message}}}
        ]}})
    };
    let asked = Look {
        word: Some("seald-bootstrap-polls-1".into()),
        ..Look::default()
    };
    let query = "labelSelector=batch.kubernetes.io%2Fjob-name%3Dseald-bootstrap-polls-1";
    for (pods, word) in [
        (
            json!([ended(1, "created"), ended(0, "password-not-applied")]),
            Word::PasswordNotApplied,
        ),
        (json!([ended(0, "created\n")]), Word::Created),
        (json!([ended(0, "")]), Word::Exists),
        (json!([]), Word::Exists),
    ] {
        let answers = vec![(query, 200, json!({"items": pods}))];
        assert_eq!(seen(asked.clone(), answers).await.word, Some(word));
    }
}

#[tokio::test]
async fn a_job_is_told_by_its_marks_and_conditions() {
    let job = json!({
        "metadata": {
            "name": "job", "namespace": "shop", "uid": "j1", "resourceVersion": "3",
            "annotations": {"sealctl.dev/owner-uid": "u1", "sealctl.dev/bootstrap-id": "1a"},
            "finalizers": ["sealctl.dev/bootstrap"]
        },
        "status": {"conditions": [{"type": "Complete", "status": "True"}]}
    });
    let asked = Look {
        job: Some("job".into()),
        ..Look::default()
    };
    let (_, seen) = seen(asked, vec![("/jobs/job", 200, job)])
        .await
        .job
        .unwrap();
    let job = seen.present().unwrap();
    assert_eq!(job.state, crate::plan::snapshot::JobState::Succeeded);
    assert_eq!(job.bootstrap_id.as_deref(), Some("1a"));
    assert!(job.held && !job.deleting);
}
