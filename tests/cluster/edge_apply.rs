//! The one writer and the looker against a real API server: guards, exact content, state, markers, the Job.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Secret as KubeSecret};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use sealctl::cluster::apply::{Content, perform};
use sealctl::cluster::client::Requests;
use sealctl::cluster::connection::Connection;
use sealctl::cluster::limiter::Limiter;
use sealctl::cluster::observe::look;
use sealctl::cluster::scope::Scope;
use sealctl::cluster::state::{self, StateKeys};
use sealctl::digest::{Digest, DigestKey};
use sealctl::env::{
    After, Content as Item, Delivery, Object, ObjectKind, Policy, SecretType, Superuser,
    WorkloadKind, WorkloadRef, Workloads,
};
use sealctl::plan::desired::{Desired, value_digest};
use sealctl::plan::effect::{Answer, Depth, Effect, FailureKind, Guard, Look, Stamp};
use sealctl::plan::record::{Bootstrapped, Entry, Keys, Read, Record, Word};
use sealctl::plan::snapshot::{JobState, ObjectId, ObjectSeen, Seen, Version};
use sealctl::reason::Reason;
use sealctl::secret::Secret;
use sealctl::telemetry::metrics::Metrics;
use serde_json::json;

use crate::rig::{Cluster, deployment, pods};

const NAME: &str = "polls-values";

/// The writer of one SealedEnv, as administrator.
struct Writer {
    requests: Requests,
    scope: Scope,
    keys: StateKeys,
}

impl Writer {
    async fn on(cluster: &Cluster) -> Self {
        let connection = Connection::with_client(cluster.client());
        let key = DigestKey::new(Secret::new(vec![7; DigestKey::LENGTH])).unwrap();
        Self {
            requests: Requests::new(connection, Limiter::new(None), Metrics::new("test", "")),
            scope: Scope {
                namespace: cluster.namespace().await,
                name: "polls".into(),
                uid: "11111111-2222-3333-4444-555555555555".into(),
                environment: "prod".into(),
            },
            keys: StateKeys {
                current: key,
                previous: None,
            },
        }
    }

    async fn perform(&self, effect: &Effect, delivery: &Delivery) -> Answer {
        let desired = self.desired(delivery);
        let content = Content {
            delivery,
            desired: &desired,
            keys: &self.keys,
        };
        perform(&self.requests, &self.scope, effect, "seald", Some(&content)).await
    }

    fn desired(&self, delivery: &Delivery) -> Desired {
        Desired::of(delivery, Some(1), &self.keys.current, BTreeMap::new())
    }

    async fn apply(
        &self,
        kind: ObjectKind,
        delivery: &Delivery,
        guard: Guard,
        remove: &[&str],
    ) -> Answer {
        let id = id(kind);
        let effect = Effect::ApplyObject {
            content: self.desired(delivery).object(&id).unwrap().content,
            id,
            guard,
            remove: remove.iter().map(|&key| key.to_owned()).collect(),
        };
        self.perform(&effect, delivery).await
    }

    async fn look(&self, asked: &Look) -> sealctl::plan::effect::Observation {
        look(&self.requests, &self.scope, asked, &self.keys.current).await
    }

    async fn seen(&self, kind: ObjectKind) -> Seen<ObjectSeen> {
        let asked = Look {
            objects: BTreeMap::from([(id(kind), Depth::Content)]),
            ..Look::default()
        };
        let observation = self.look(&asked).await;
        assert_eq!(observation.failure, None);
        observation.objects[&id(kind)].clone()
    }
}

fn id(kind: ObjectKind) -> ObjectId {
    ObjectId {
        kind,
        name: NAME.into(),
    }
}

fn workload(kind: WorkloadKind, name: &str) -> WorkloadRef {
    WorkloadRef {
        kind,
        name: name.parse().unwrap(),
    }
}

/// A document with one object of these values, and a superuser.
fn document(kind: ObjectKind, values: &[(&str, &[u8])]) -> Delivery {
    let item = |&(key, bytes): &(&str, &[u8])| {
        let bytes = Secret::new(bytes.to_vec());
        let item = Item {
            binary: bytes.expose_text().is_none(),
            bytes,
        };
        (key.parse().unwrap(), item)
    };
    let object = Object {
        kind,
        name: NAME.parse().unwrap(),
        secret_type: SecretType::Opaque,
        data: values.iter().map(item).collect(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        prune: true,
    };
    let superuser = Superuser {
        from: workload(WorkloadKind::Deployment, "web"),
        container: None,
        username: Some(Secret::from_text("root")),
        email: None,
        password: Secret::from_text("canary-password"),
        fields: BTreeMap::new(),
        database: "default".into(),
        manage: "manage.py".into(),
        policy: Policy::CreateOnly,
        after: After::Rollout,
    };
    Delivery {
        app: "polls".parse().unwrap(),
        environment: "prod".parse().unwrap(),
        namespace: "shop".parse().unwrap(),
        values: BTreeMap::new(),
        objects: vec![object],
        workloads: Workloads::default(),
        superuser: Some(superuser),
    }
}

fn wrote(answer: Answer) -> Version {
    match answer {
        Answer::Wrote { version, .. } => version,
        other => panic!("{other:?}"),
    }
}

fn refused(answer: Answer) -> FailureKind {
    match answer {
        Answer::Failed(failure) => failure.kind,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_a_write_happens_only_under_its_guard() {
    let cluster = Cluster::api().await;
    let writer = Writer::on(&cluster).await;
    let secrets: Api<KubeSecret> = Api::namespaced(cluster.client(), &writer.scope.namespace);
    let kind = ObjectKind::Secret;
    let first = document(kind, &[("A", b"1"), ("B", b"2")]);
    let second = document(kind, &[("A", b"1")]);
    assert_eq!(writer.seen(kind).await, Seen::Absent);

    // Meant to change something that is not there: neither created nor taken for done.
    let nowhere = Guard::Update(Version {
        uid: "22222222-2222-3333-4444-555555555555".into(),
        resource: "1".into(),
    });
    let answer = writer.apply(kind, &first, nowhere.clone(), &[]).await;
    assert_eq!(refused(answer), FailureKind::Stale);
    assert_eq!(writer.seen(kind).await, Seen::Absent);

    let created = wrote(writer.apply(kind, &first, Guard::Create, &[]).await);
    let answer = writer.apply(kind, &second, Guard::Create, &[]).await;
    assert_eq!(refused(answer), FailureKind::Stale, "created in between");
    let answer = writer.apply(kind, &second, nowhere, &[]).await;
    assert_eq!(refused(answer), FailureKind::Stale, "another UID");

    // The same content again is no write, a key that is no longer sent goes.
    let update = Guard::Update(created.clone());
    let again = wrote(writer.apply(kind, &first, update.clone(), &[]).await);
    assert_eq!(again, created);
    let changed = wrote(writer.apply(kind, &second, update.clone(), &[]).await);
    assert_ne!(changed.resource, created.resource);
    let answer = writer.apply(kind, &first, update, &[]).await;
    assert_eq!(refused(answer), FailureKind::Stale, "an old version");
    let data = secrets.get(NAME).await.unwrap().data.unwrap();
    assert_eq!(data.into_keys().collect::<Vec<_>>(), ["A"]);

    let delete = |version: &Version| Effect::DeleteObject {
        id: id(kind),
        version: version.clone(),
    };
    let other = Version {
        uid: "22222222-2222-3333-4444-555555555555".into(),
        ..changed.clone()
    };
    let answer = writer.perform(&delete(&other), &second).await;
    assert_eq!(refused(answer), FailureKind::Stale);
    for _ in 0..2 {
        let answer = writer.perform(&delete(&changed), &second).await;
        assert_eq!(answer, Answer::Deleted);
    }
    assert_eq!(writer.seen(kind).await, Seen::Absent);
}

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_what_is_seen_of_an_object_is_what_was_written_and_keys_of_others_go() {
    let cluster = Cluster::api().await;
    let writer = Writer::on(&cluster).await;
    let namespace = writer.scope.namespace.clone();
    let key = writer.keys.current.clone();
    for kind in [ObjectKind::Secret, ObjectKind::ConfigMap] {
        let values: [(&str, &[u8]); 3] = [("A", b"one"), ("B", &[0, 255]), ("EMPTY", b"")];
        let delivery = document(kind, &values);
        let version = wrote(writer.apply(kind, &delivery, Guard::Create, &[]).await);
        let seen = writer.seen(kind).await;
        let seen = seen.present().unwrap();
        assert_eq!(seen.version, version);
        assert_eq!(seen.owner_uid.as_ref(), Some(&writer.scope.uid));
        assert_eq!(seen.environment.as_deref(), Some("prod"));
        let desired = writer.desired(&delivery);
        assert_eq!(seen.content, Some(desired.objects[0].content));
        assert_eq!(seen.keys.as_ref(), Some(&desired.objects[0].keys));
        assert!(seen.managed && seen.changed_at.is_some());
        assert!(seen.foreign_keys.is_empty());

        // Somebody adds a key, writes one of ours with the same value, and changes another.
        let theirs = match kind {
            ObjectKind::Secret => json!({"data": {"THEIRS": "eA==", "A": "b25l", "EMPTY": "eA=="}}),
            ObjectKind::ConfigMap => json!({"data": {"THEIRS": "x", "A": "one", "EMPTY": "x"}}),
        };
        let parameters = PatchParams::apply("kubectl-edit").force();
        let api_version = json!("v1");
        let mut body = theirs;
        body["apiVersion"] = api_version;
        body["kind"] = json!(kind.to_string());
        match kind {
            ObjectKind::Secret => {
                let api: Api<KubeSecret> = Api::namespaced(cluster.client(), &namespace);
                api.patch(NAME, &parameters, &Patch::Apply(body))
                    .await
                    .unwrap();
            }
            ObjectKind::ConfigMap => {
                let api: Api<ConfigMap> = Api::namespaced(cluster.client(), &namespace);
                api.patch(NAME, &parameters, &Patch::Apply(body))
                    .await
                    .unwrap();
            }
        }
        let edited = writer.seen(kind).await;
        let edited = edited.present().unwrap();
        let foreign: Vec<&str> = edited.foreign_keys.iter().map(String::as_str).collect();
        assert_eq!(foreign, ["A", "EMPTY", "THEIRS"], "{kind}");
        let keys = edited.keys.as_ref().unwrap();
        assert_eq!(keys["THEIRS"], value_digest(&key, b"x"));
        assert_eq!(
            edited.changed_at, seen.changed_at,
            "the time is that of seald"
        );

        // The document drops a key that somebody else holds too: it goes all the same.
        let smaller = document(kind, &[("B", &[0, 255]), ("EMPTY", b"")]);
        let guard = Guard::Update(edited.version.clone());
        let answer = writer.apply(kind, &smaller, guard, &["A", "THEIRS"]).await;
        let version = wrote(answer);
        let restored = writer.seen(kind).await;
        let restored = restored.present().unwrap();
        assert_eq!(restored.version, version);
        let wanted = writer.desired(&smaller);
        assert_eq!(restored.keys.as_ref(), Some(&wanted.objects[0].keys));
    }
}

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_the_state_secret_is_read_as_it_was_written_and_a_spoilt_one_is_told() {
    let cluster = Cluster::api().await;
    let writer = Writer::on(&cluster).await;
    let delivery = document(ObjectKind::Secret, &[]);
    let read = async || state::read(&writer.requests, &writer.scope).await;
    assert_eq!(read().await, Ok(None));
    let entry = Entry {
        uid: "w1".into(),
        marker: Some("v1:00".into()),
        reads: BTreeMap::from([(
            id(ObjectKind::Secret),
            Read {
                keys: Keys::All,
                digest: Digest::combine([&b"x"[..]]),
                left: None,
            },
        )]),
    };
    let record = Record {
        revision: 7,
        bootstrap: BTreeMap::from([(
            "1a2b3c4d".into(),
            Bootstrapped {
                word: Word::Created,
                uid: "u1".into(),
            },
        )]),
        workloads: BTreeMap::from([(workload(WorkloadKind::Deployment, "web"), entry)]),
    };
    let write = |guard: Guard| Effect::WriteRecord {
        record: record.clone(),
        guard,
    };
    let version = wrote(writer.perform(&write(Guard::Create), &delivery).await);
    let answer = writer.perform(&write(Guard::Create), &delivery).await;
    assert_eq!(
        refused(answer),
        FailureKind::Stale,
        "of two leaders one loses"
    );
    let state = read().await.unwrap().unwrap();
    assert_eq!(state.seen.record, record);
    assert_eq!(state.seen.version, version);
    assert_eq!(state.keys, writer.keys);

    let spoilt = json!({"data": {"workloads": "e30="}});
    let namespace = &writer.scope.namespace;
    cluster
        .merge::<KubeSecret>(namespace, "seald-state-polls", spoilt)
        .await;
    let failure = read().await.unwrap_err().failure(&writer.scope);
    assert_eq!(failure.kind, FailureKind::Refused);
    assert_eq!(failure.outcome.reason, Reason::ObjectNotOwned);
    assert!(
        failure.outcome.message.contains("workloads"),
        "{}",
        failure.outcome.message
    );
}

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_a_wave_stamps_templates_without_touching_anything_else() {
    let cluster = Cluster::api().await;
    let writer = Writer::on(&cluster).await;
    let namespace = writer.scope.namespace.clone();
    let web: Deployment = deployment("web").annotate("theirs", "1").build();
    let web = cluster.create(&namespace, &web).await.metadata;
    let agent: DaemonSet = pods("DaemonSet", "agent").build();
    let agent = cluster.create(&namespace, &agent).await.metadata;
    let db: StatefulSet = pods("StatefulSet", "db").build();
    let db = cluster.create(&namespace, &db).await.metadata;
    let marker = Digest::combine([&b"content"[..]]);
    let stamp =
        |kind, name: &str, meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta| {
            Stamp {
                workload: workload(kind, name),
                version: Version {
                    uid: meta.uid.clone().unwrap(),
                    resource: meta.resource_version.clone().unwrap(),
                },
                marker,
            }
        };
    let gone = Stamp {
        workload: workload(WorkloadKind::Deployment, "gone"),
        ..stamp(WorkloadKind::Deployment, "web", &web)
    };
    let wave = Effect::Stamp(vec![
        stamp(WorkloadKind::Deployment, "web", &web),
        stamp(WorkloadKind::DaemonSet, "agent", &agent),
        stamp(WorkloadKind::StatefulSet, "db", &db),
        gone,
    ]);
    // Neither needs the document.
    let Answer::Stamped(outcomes) =
        perform(&writer.requests, &writer.scope, &wave, "seald", None).await
    else {
        panic!("a wave is answered by outcomes")
    };
    let fine: Vec<bool> = outcomes
        .iter()
        .map(|(_, outcome)| outcome.is_ok())
        .collect();
    assert_eq!(
        fine,
        [true, true, true, false],
        "a missing workload is not created"
    );
    let other = Scope {
        name: "other".into(),
        ..writer.scope.clone()
    };
    let deployments: Api<Deployment> = Api::namespaced(cluster.client(), &namespace);
    let meta = deployments.get("web").await.unwrap().metadata;
    let second = Effect::Stamp(vec![stamp(WorkloadKind::Deployment, "web", &meta)]);
    perform(&writer.requests, &other, &second, "seald", None).await;
    let web = deployments.get("web").await.unwrap();
    let annotations = web
        .spec
        .unwrap()
        .template
        .metadata
        .unwrap()
        .annotations
        .unwrap();
    let expected = [
        ("sealctl.dev/content-hash.other", marker.to_string()),
        ("sealctl.dev/content-hash.polls", marker.to_string()),
        ("theirs", "1".to_owned()),
    ];
    let expected = expected.map(|(key, text)| (key.to_owned(), text));
    assert_eq!(
        annotations,
        BTreeMap::from(expected),
        "each SealedEnv has its own"
    );
    assert!(deployments.get_opt("gone").await.unwrap().is_none());
}

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_the_superuser_job_is_made_once_and_released() {
    let cluster = Cluster::api().await;
    let writer = Writer::on(&cluster).await;
    let namespace = writer.scope.namespace.clone();
    let delivery = document(ObjectKind::Secret, &[]);
    let user = writer.desired(&delivery).superuser.unwrap();
    let web: Deployment = deployment("web")
        .mounts_secret("files", "/files")
        .container("ports", json!([{"containerPort": 8000}]))
        .build();
    cluster.create(&namespace, &web).await;
    let credentials = Effect::WriteCredentials {
        credentials: user.credentials,
        guard: Guard::Create,
    };
    let credentials = wrote(writer.perform(&credentials, &delivery).await);
    let create = Effect::CreateJob {
        id: user.id.clone(),
        from: user.from.clone(),
    };
    let first = wrote(writer.perform(&create, &delivery).await);
    let again = wrote(writer.perform(&create, &delivery).await);
    assert_eq!(first, again, "an earlier try is success");
    let name = format!("seald-bootstrap-polls-{}", user.id);
    let jobs: Api<Job> = Api::namespaced(cluster.client(), &namespace);
    let job = jobs.get(&name).await.unwrap();
    assert!(!serde_json::to_string(&job).unwrap().contains("canary"));
    let pod = job.spec.unwrap().template.spec.unwrap();
    assert_eq!(pod.volumes.unwrap().len(), 1);

    let asked = Look {
        job: Some(name.clone()),
        credentials: true,
        ..Look::default()
    };
    let observation = writer.look(&asked).await;
    let seen = observation.credentials.unwrap();
    assert_eq!(seen.present().unwrap().content, Some(user.credentials));
    let (_, seen) = observation.job.unwrap();
    let seen = seen.present().unwrap();
    assert_eq!(seen.state, JobState::Running);
    assert_eq!(seen.owner_uid.as_ref(), Some(&writer.scope.uid));
    assert_eq!(seen.bootstrap_id.as_ref(), Some(&user.id));
    assert!(seen.held && !seen.deleting);

    // Held until released, by whomever it is deleted.
    jobs.delete(&name, &DeleteParams::background())
        .await
        .unwrap();
    assert!(jobs.get_opt(&name).await.unwrap().is_some());
    let release = Effect::ReleaseJob {
        name: name.clone(),
        version: first,
    };
    assert!(matches!(
        writer.perform(&release, &delivery).await,
        Answer::Wrote { .. }
    ));
    assert!(jobs.get_opt(&name).await.unwrap().is_none());
    assert_eq!(
        refused(writer.perform(&release, &delivery).await),
        FailureKind::Stale
    );

    let delete = Effect::DeleteCredentials(credentials);
    assert_eq!(writer.perform(&delete, &delivery).await, Answer::Deleted);
    let observation = writer.look(&asked).await;
    assert_eq!(observation.credentials, Some(Seen::Absent));
    assert_eq!(observation.job, Some((name, Seen::Absent)));
}
