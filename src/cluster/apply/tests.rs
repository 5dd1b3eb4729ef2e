//! Answers that a real server gives only on a bad day, and what is asked of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http::{Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use tower_test::mock::Handle;

use super::*;
use crate::cluster::connection::Connection;
use crate::cluster::limiter::Limiter;
use crate::digest::DigestKey;
use crate::env::{
    After, Content as Item, Object, ObjectKind, Policy, SecretType, Superuser, Workloads,
};
use crate::telemetry::metrics::Metrics;

const CANARY: &str = "canary-5e1f";
/// The same in base64, as an API server would quote it.
const CANARY_BASE64: &str = "Y2FuYXJ5LTVlMWY=";

/// A document with one Secret and a superuser, and everything that is written of it.
struct World {
    scope: Scope,
    delivery: Delivery,
    desired: Desired,
    keys: StateKeys,
}

fn workload() -> WorkloadRef {
    WorkloadRef {
        kind: WorkloadKind::Deployment,
        name: "web".parse().unwrap(),
    }
}

fn object_id() -> ObjectId {
    ObjectId {
        kind: ObjectKind::Secret,
        name: "polls-secrets".into(),
    }
}

fn version() -> Version {
    Version {
        uid: "o1".into(),
        resource: "5".into(),
    }
}

impl World {
    fn new() -> Self {
        let key = DigestKey::new(Secret::new(vec![7; DigestKey::LENGTH])).unwrap();
        let object = Object {
            kind: ObjectKind::Secret,
            name: "polls-secrets".parse().unwrap(),
            secret_type: SecretType::Opaque,
            data: BTreeMap::from([(
                "A".parse().unwrap(),
                Item {
                    bytes: Secret::from_text(CANARY),
                    binary: false,
                },
            )]),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            prune: true,
        };
        let superuser = Superuser {
            from: workload(),
            container: None,
            username: Some(Secret::from_text("root")),
            email: None,
            password: Secret::from_text(CANARY),
            fields: BTreeMap::new(),
            database: "default".into(),
            manage: "manage.py".into(),
            policy: Policy::CreateOnly,
            after: After::Rollout,
        };
        let delivery = Delivery {
            app: "polls".parse().unwrap(),
            environment: "prod".parse().unwrap(),
            namespace: "shop".parse().unwrap(),
            values: BTreeMap::new(),
            objects: vec![object],
            workloads: Workloads::default(),
            superuser: Some(superuser),
        };
        Self {
            scope: Scope {
                namespace: "shop".into(),
                name: "polls".into(),
                uid: "u1".into(),
                environment: "prod".into(),
            },
            desired: Desired::of(&delivery, Some(1), &key, BTreeMap::new()),
            delivery,
            keys: StateKeys {
                current: key,
                previous: None,
            },
        }
    }

    fn apply_object(&self, guard: Guard, remove: &[&str]) -> Effect {
        Effect::ApplyObject {
            id: object_id(),
            content: self.desired.objects[0].content,
            guard,
            remove: remove.iter().map(|&key| key.to_owned()).collect(),
        }
    }

    fn create_job(&self) -> Effect {
        Effect::CreateJob {
            id: self.desired.superuser.as_ref().unwrap().id.clone(),
            from: workload(),
        }
    }

    fn stamps(&self, names: &[&str]) -> Effect {
        let stamp = |name: &&str| Stamp {
            workload: WorkloadRef {
                kind: WorkloadKind::Deployment,
                name: name.parse().unwrap(),
            },
            version: version(),
            marker: self.desired.content,
        };
        Effect::Stamp(names.iter().map(stamp).collect())
    }

    /// Performs `effect` against a server that gives `answers` in order: the answer, and what was asked.
    async fn perform(&self, effect: &Effect, answers: Vec<(u16, String)>) -> (Answer, Vec<Asked>) {
        let (service, server) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let server = tokio::spawn(serve(server, answers, Arc::clone(&asked)));
        let connection = Connection::with_client(Client::new(service, "seald"));
        let requests = Requests::new(connection, Limiter::new(None), Metrics::new("test", ""));
        let content = Content {
            delivery: &self.delivery,
            desired: &self.desired,
            keys: &self.keys,
        };
        let answer = perform(&requests, &self.scope, effect, "seald", Some(&content)).await;
        server.abort();
        let asked = asked.lock().unwrap().drain(..).collect();
        (answer, asked)
    }
}

struct Asked {
    line: String,
    body: Value,
}

async fn serve(
    mut server: Handle<Request<Body>, Response<Body>>,
    answers: Vec<(u16, String)>,
    asked: Arc<Mutex<Vec<Asked>>>,
) {
    for (code, text) in answers {
        let Some((request, send)) = server.next_request().await else {
            return;
        };
        let line = format!("{} {}", request.method(), request.uri());
        let body = request.into_body().collect_bytes().await.unwrap();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        asked.lock().unwrap().push(Asked { line, body });
        let mut response = Response::new(Body::from(text.into_bytes()));
        *response.status_mut() = StatusCode::from_u16(code).unwrap();
        send.send_response(response);
    }
}

fn good(version: &str) -> (u16, String) {
    let entry = json!({"manager": "seald", "operation": "Apply", "time": "2026-01-01T00:00:00Z"});
    let meta = json!({"uid": "o1", "resourceVersion": version, "managedFields": [entry]});
    (200, json!({ "metadata": meta }).to_string())
}

fn bad(code: u16, body: Value) -> (u16, String) {
    (code, body.to_string())
}

fn failure(answer: Answer) -> Failure {
    match answer {
        Answer::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_object_is_applied_under_its_guard_and_the_answer_tells_its_version() {
    let world = World::new();
    let effect = world.apply_object(Guard::Update(version()), &[]);
    let (answer, asked) = world.perform(&effect, vec![good("6")]).await;
    let wrote = Answer::Wrote {
        version: Version {
            uid: "o1".into(),
            resource: "6".into(),
        },
        changed_at: "2026-01-01T00:00:00Z".parse().ok(),
    };
    assert_eq!(answer, wrote);
    let path = "/api/v1/namespaces/shop/secrets/polls-secrets?fieldManager=seald&force=true";
    assert_eq!(asked[0].line, format!("PATCH {path}"));
    assert_eq!(asked[0].body["metadata"]["uid"], "o1");
    assert_eq!(asked[0].body["metadata"]["resourceVersion"], "5");
    assert_eq!(asked[0].body["data"]["A"], CANARY_BASE64);
}

#[tokio::test]
async fn keys_of_others_are_removed_after_the_apply_under_its_version() {
    let world = World::new();
    let effect = world.apply_object(Guard::Update(version()), &["THEIRS"]);
    let (answer, asked) = world.perform(&effect, vec![good("6"), good("7")]).await;
    let Answer::Wrote { version, .. } = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(version.resource, "7");
    let patch =
        json!({"metadata": {"uid": "o1", "resourceVersion": "6"}, "data": {"THEIRS": null}});
    assert_eq!(asked[1].body, patch);
}

#[tokio::test]
async fn what_an_effect_does_not_mean_any_more_is_not_written() {
    let world = World::new();
    let other = Digest::combine([&b"other"[..]]);
    let effects = [
        Effect::ApplyObject {
            id: object_id(),
            content: other,
            guard: Guard::Create,
            remove: Vec::new(),
        },
        Effect::WriteCredentials {
            credentials: other,
            guard: Guard::Create,
        },
        Effect::CreateJob {
            id: "00000000".into(),
            from: workload(),
        },
    ];
    for effect in effects {
        let (answer, asked) = world.perform(&effect, Vec::new()).await;
        assert_eq!(failure(answer).kind, FailureKind::Stale);
        assert!(asked.is_empty());
    }
}

#[tokio::test]
async fn answers_of_the_server_lead_to_looking_again_waiting_or_a_person() {
    let world = World::new();
    let reason = |reason: &str, field: &str| json!({"details": {"causes": [{"reason": reason, "field": field}]}});
    for (code, body, kind, expected) in [
        (
            409,
            json!({"reason": "Conflict"}),
            FailureKind::Stale,
            Reason::Conflict,
        ),
        (
            422,
            reason("FieldValueInvalid", "metadata.uid"),
            FailureKind::Stale,
            Reason::Conflict,
        ),
        (504, json!({}), FailureKind::Transient, Reason::ApiSlow),
        (
            200,
            json!("<html>"),
            FailureKind::Transient,
            Reason::ApiError,
        ),
        (500, json!({}), FailureKind::Transient, Reason::ApiError),
        (
            404,
            json!({"details": {"kind": "namespaces"}}),
            FailureKind::Transient,
            Reason::NamespaceMissing,
        ),
        (
            403,
            json!({"message": "exceeded quota: x"}),
            FailureKind::Refused,
            Reason::QuotaExceeded,
        ),
        (
            422,
            reason("FieldValueForbidden", "data"),
            FailureKind::Refused,
            Reason::ImmutableObject,
        ),
    ] {
        let effect = world.apply_object(Guard::Create, &[]);
        let (answer, asked) = world.perform(&effect, vec![bad(code, body)]).await;
        let failure = failure(answer);
        assert_eq!(
            (failure.kind, failure.outcome.reason),
            (kind, expected),
            "{code}"
        );
        assert!(
            failure
                .outcome
                .message
                .contains("Secret shop/polls-secrets")
        );
        assert_eq!(
            asked.len(),
            1,
            "a write of unknown outcome is not sent again"
        );
    }
}

#[tokio::test]
async fn missing_rights_are_told_with_the_command_that_grants_them() {
    let world = World::new();
    let denied = json!({"message": format!("secrets is forbidden: {CANARY}")});
    let effect = world.apply_object(Guard::Create, &[]);
    let (answer, _) = world.perform(&effect, vec![bad(403, denied)]).await;
    let failure = failure(answer);
    assert_eq!(failure.kind, FailureKind::Refused);
    let message = failure.outcome.message;
    assert!(
        message.contains("patch Secret shop/polls-secrets"),
        "{message}"
    );
    assert!(
        message.contains("sealctl rbac -e prod -a polls | kubectl apply -f -"),
        "{message}"
    );
    assert!(!message.contains("canary"));
}

#[tokio::test]
async fn what_a_server_quotes_is_told_nowhere() {
    let world = World::new();
    let quoted = |code: u16| {
        let message = format!("spec.template: Invalid value: {CANARY} {CANARY_BASE64}");
        let cause =
            json!({"reason": "FieldValueInvalid", "message": CANARY, "field": "spec.template"});
        bad(
            code,
            json!({"message": message, "details": {"causes": [cause]}}),
        )
    };
    let deployment = json!({"metadata": {"uid": "w"}, "spec": {"template": {"spec": {"containers": [
        {"name": "web", "env": [{"name": "X", "value": CANARY}]}
    ]}}}});
    let credentials = world.desired.superuser.as_ref().unwrap().credentials;
    for code in [400, 403, 409, 422, 500] {
        let record = Effect::WriteRecord {
            record: Record::default(),
            guard: Guard::Create,
        };
        let secret = Effect::WriteCredentials {
            credentials,
            guard: Guard::Create,
        };
        let plain = vec![quoted(code)];
        let job = vec![(200, deployment.to_string()), quoted(code)];
        for (effect, answers) in [
            (world.apply_object(Guard::Create, &[]), plain.clone()),
            (record, plain.clone()),
            (secret, plain.clone()),
            (world.stamps(&["web"]), plain),
            (world.create_job(), job),
        ] {
            let (answer, asked) = world.perform(&effect, answers).await;
            let text = format!("{answer:?}");
            assert!(
                !text.contains("canary") && !text.contains(CANARY_BASE64),
                "{text}"
            );
            assert!(!asked.is_empty());
        }
    }
    assert!(!format!("{:?}", world.delivery).contains("canary"));
}

#[tokio::test]
async fn a_stamp_writes_one_annotation_as_a_manager_of_its_own() {
    let world = World::new();
    let (answer, asked) = world
        .perform(&world.stamps(&["web"]), vec![good("6")])
        .await;
    assert!(matches!(answer, Answer::Stamped(outcomes) if outcomes[0].1.is_ok()));
    let path = "/apis/apps/v1/namespaces/shop/deployments/web?fieldManager=seald-polls&force=true";
    assert_eq!(asked[0].line, format!("PATCH {path}"));
    let marker = world.desired.content.to_string();
    assert_eq!(
        asked[0].body,
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"uid": "o1", "resourceVersion": "5", "name": "web"},
            "spec": {"template": {"metadata": {"annotations": {"sealctl.dev/content-hash.polls": marker}}}}
        })
    );
}

#[tokio::test]
async fn each_stamp_of_a_wave_has_its_own_outcome() {
    let world = World::new();
    let answers = vec![good("6"), bad(409, json!({})), good("7")];
    let (answer, _) = world
        .perform(&world.stamps(&["a", "b", "c"]), answers)
        .await;
    let Answer::Stamped(outcomes) = answer else {
        panic!("{answer:?}")
    };
    let stale = outcomes.iter().filter(
        |(_, outcome)| matches!(outcome, Err(failure) if failure.kind == FailureKind::Stale),
    );
    assert_eq!((outcomes.len(), stale.count()), (3, 1));
}

#[tokio::test]
async fn a_job_that_exists_is_success_when_it_is_ours() {
    let world = World::new();
    let id = world.desired.superuser.as_ref().unwrap().id.clone();
    let deployment = json!({"spec": {"template": {"spec": {"containers": [{"name": "web"}]}}}});
    let exists = bad(409, json!({"reason": "AlreadyExists"}));
    let job = |uid: &str| {
        let marks = json!({"sealctl.dev/owner-uid": uid, "sealctl.dev/bootstrap-id": id});
        let meta = json!({"uid": "j1", "resourceVersion": "9", "annotations": marks});
        (200, json!({ "metadata": meta }).to_string())
    };
    let answers = |uid: &str| vec![(200, deployment.to_string()), exists.clone(), job(uid)];
    let (answer, asked) = world.perform(&world.create_job(), answers("u1")).await;
    let Answer::Wrote { version, .. } = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(version.uid, "j1");
    assert_eq!(
        asked[1].line,
        "POST /apis/batch/v1/namespaces/shop/jobs?fieldManager=seald"
    );
    assert!(!asked[1].body.to_string().contains("canary"));
    let (answer, _) = world.perform(&world.create_job(), answers("u0")).await;
    let failure = failure(answer);
    assert_eq!(failure.outcome.reason, Reason::BootstrapFailed);
    assert_eq!(failure.kind, FailureKind::Refused);
}

#[tokio::test]
async fn a_workload_that_cannot_be_cloned_is_told_as_the_document_would_have_to_change() {
    let world = World::new();
    let two =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}}});
    let (answer, asked) = world
        .perform(&world.create_job(), vec![(200, two.to_string())])
        .await;
    let failure = failure(answer);
    assert_eq!(failure.outcome.reason, Reason::BootstrapFailed);
    assert_eq!(
        failure.outcome.message,
        "deployment/web has 2 containers; name one"
    );
    assert_eq!(asked.len(), 1);
}

#[tokio::test]
async fn a_job_is_released_without_touching_the_finalizers_of_others() {
    let world = World::new();
    let meta = json!({
        "uid": "o1", "resourceVersion": "8",
        "finalizers": ["foregroundDeletion", "sealctl.dev/bootstrap"]
    });
    let effect = Effect::ReleaseJob {
        name: "job".into(),
        version: version(),
    };
    let answers = vec![(200, json!({ "metadata": meta }).to_string()), good("9")];
    let (answer, asked) = world.perform(&effect, answers).await;
    assert!(matches!(answer, Answer::Wrote { .. }), "{answer:?}");
    let patch = json!({"metadata": {"uid": "o1", "resourceVersion": "8", "finalizers": ["foregroundDeletion"]}});
    assert_eq!(asked[1].body, patch);
    let other = json!({"metadata": {"uid": "o2", "resourceVersion": "8"}});
    let (answer, asked) = world.perform(&effect, vec![bad(200, other)]).await;
    assert_eq!(failure(answer).kind, FailureKind::Stale);
    assert_eq!(asked.len(), 1);
}

#[tokio::test]
async fn the_finalizer_of_a_sealed_env_comes_and_goes_and_those_of_others_stay() {
    let world = World::new();
    let seen = |finalizers: Value| {
        let meta = json!({"uid": "u1", "resourceVersion": "8", "finalizers": finalizers});
        (200, json!({ "metadata": meta }).to_string())
    };
    for (present, before, after) in [
        (
            true,
            json!(["theirs"]),
            json!(["theirs", "sealctl.dev/cleanup"]),
        ),
        (
            false,
            json!(["sealctl.dev/cleanup", "theirs"]),
            json!(["theirs"]),
        ),
    ] {
        let effect = Effect::WriteFinalizer { present };
        let (answer, asked) = world.perform(&effect, vec![seen(before), good("9")]).await;
        assert!(matches!(answer, Answer::Wrote { .. }), "{answer:?}");
        let patch = json!({"metadata": {"uid": "u1", "resourceVersion": "8", "finalizers": after}});
        assert_eq!(asked[1].body, patch);
        let (_, asked) = world.perform(&effect, vec![seen(after)]).await;
        assert_eq!(asked.len(), 1, "it is so already");
        let other = json!({"metadata": {"uid": "u2", "finalizers": ["sealctl.dev/cleanup"]}});
        let (answer, _) = world.perform(&effect, vec![bad(200, other)]).await;
        assert_eq!(answer, Answer::Deleted);
    }
}

#[tokio::test]
async fn the_record_of_another_sealed_env_is_not_deleted() {
    let world = World::new();
    let record = |owner: &str, uid: &str| {
        let meta = json!({
            "uid": "s1", "labels": {"sealctl.dev/owner": owner}, "annotations": {"sealctl.dev/owner-uid": uid}
        });
        (200, json!({ "metadata": meta }).to_string())
    };
    for (owner, uid, requests) in [("polls", "u1", 2), ("polls", "u0", 1), ("other", "u1", 1)] {
        let answers = vec![record(owner, uid), good("9")];
        let (answer, asked) = world.perform(&Effect::DeleteRecord, answers).await;
        assert_eq!(answer, Answer::Deleted);
        assert_eq!(asked.len(), requests, "{owner} {uid}");
    }
}

#[tokio::test]
async fn what_is_gone_already_counts_as_deleted_and_another_uid_does_not() {
    let world = World::new();
    let effect = Effect::DeleteObject {
        id: object_id(),
        version: version(),
    };
    let gone = bad(404, json!({"details": {"kind": "secrets"}}));
    let (answer, asked) = world.perform(&effect, vec![gone]).await;
    assert_eq!(answer, Answer::Deleted);
    assert_eq!(asked[0].body["preconditions"]["uid"], "o1");
    let effect = Effect::DeleteCredentials(version());
    let (answer, asked) = world.perform(&effect, vec![bad(409, json!({}))]).await;
    assert_eq!(failure(answer).kind, FailureKind::Stale);
    assert!(asked[0].line.contains("/secrets/seald-bootstrap-polls"));
}

#[tokio::test]
async fn a_status_is_written_for_this_very_sealed_env() {
    let world = World::new();
    let effect = Effect::WriteStatus(Box::default());
    let (answer, asked) = world.perform(&effect, vec![good("6")]).await;
    assert!(matches!(answer, Answer::Wrote { .. }), "{answer:?}");
    let path = "/apis/sealctl.dev/v1alpha1/namespaces/shop/sealedenvs/polls/status";
    assert_eq!(
        asked[0].line,
        format!("PATCH {path}?fieldManager=seald-status&force=true")
    );
    assert_eq!(
        asked[0].body["metadata"],
        json!({"name": "polls", "uid": "u1"})
    );
}
