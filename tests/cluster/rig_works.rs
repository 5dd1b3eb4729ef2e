//! The rig itself, tried on a real control plane: what it promises to the other tests it keeps.

#![expect(
    clippy::disallowed_methods,
    reason = "tests of the rig look at files, processes and the clock"
)]

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Client;
use kube::api::{Api, ListParams, PostParams, WatchEvent, WatchParams};
use rustix::process::Signal;
use serde_json::json;

use crate::rig::process::ended_by;
use crate::rig::proxy::Record;
use crate::rig::{Boundary, Cluster, Observer, Process, Proxy, deployment, job, pods};

const TEMPLATE: &str = "kubectl.kubernetes.io/restartedAt";

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_deployment_rolls_out_and_a_job_completes() {
    let cluster = Cluster::start().await;
    let namespace = cluster.namespace().await;
    cluster
        .create::<Deployment>(&namespace, &deployment("web").replicas(2).build())
        .await;
    cluster
        .create::<Job>(&namespace, &job("once").says("created").build())
        .await;
    cluster.rolled_out(&namespace, "deployment/web").await;
    cluster.job_completes(&namespace, "once").await;
    assert_eq!(
        termination(&cluster, &namespace, "once").await,
        (0, Some("created".to_owned()))
    );
}

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_daemon_set_runs_on_both_fake_nodes() {
    let cluster = Cluster::start().await;
    let namespace = cluster.namespace().await;
    let observer = Observer::of(&cluster, &namespace).await;
    cluster
        .create::<DaemonSet>(&namespace, &pods("DaemonSet", "agent").build())
        .await;
    cluster.rolled_out(&namespace, "daemonset/agent").await;
    assert_eq!(pod_count(&cluster, &namespace).await, 2);
    cluster
        .merge::<DaemonSet>(&namespace, "agent", template("1"))
        .await;
    cluster.rolled_out(&namespace, "daemonset/agent").await;
    assert_eq!(observer.restarts(&namespace, "daemonset/agent"), 1);
}

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_never_ready_pods_stall_a_rollout_and_old_pods_stay() {
    let cluster = Cluster::start().await;
    let namespace = cluster.namespace().await;
    let web = deployment("web").spec("progressDeadlineSeconds", json!(2));
    cluster.create::<Deployment>(&namespace, &web.build()).await;
    cluster.rolled_out(&namespace, "deployment/web").await;
    let bad = json!({"spec": {"template": {"metadata": {"annotations": {"test.sealctl.dev/pod": "never-ready"}}}}});
    cluster.merge::<Deployment>(&namespace, "web", bad).await;
    let deployments: Api<Deployment> = Api::namespaced(cluster.client(), &namespace);
    let stalled = cluster
        .eventually(
            "a stalled rollout",
            Duration::from_secs(15),
            &namespace,
            async || {
                let found = deployments.get("web").await.ok()?.status?;
                let reasons = found
                    .conditions
                    .iter()
                    .flatten()
                    .filter_map(|condition| condition.reason.as_deref());
                reasons
                    .into_iter()
                    .any(|reason| reason == "ProgressDeadlineExceeded")
                    .then_some(found.clone())
            },
        )
        .await;
    assert_eq!(stalled.available_replicas, Some(1));
}

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_rollout_can_be_watched_under_way() {
    let cluster = Cluster::start().await;
    let namespace = cluster.namespace().await;
    let begin = Instant::now();
    let web = deployment("web").ready_after(Duration::from_millis(1500));
    cluster.create::<Deployment>(&namespace, &web.build()).await;
    let pods: Api<Pod> = Api::namespaced(cluster.client(), &namespace);
    let pod = cluster
        .eventually(
            "a running pod",
            Duration::from_secs(10),
            &namespace,
            async || {
                let pods = pods.list(&ListParams::default()).await.ok()?;
                pods.items.into_iter().find(|pod| phase(pod) == "Running")
            },
        )
        .await;
    let started = |pod: &Pod| {
        pod.status
            .clone()?
            .container_statuses?
            .pop()?
            .state?
            .running?
            .started_at
    };
    assert!(!is_ready(&pod), "running, but not ready yet");
    cluster.rolled_out(&namespace, "deployment/web").await;
    assert!(begin.elapsed() >= Duration::from_millis(1500));
    let ready = pods
        .list(&ListParams::default())
        .await
        .expect("pods")
        .items
        .remove(0);
    assert!(started(&ready).is_some());
    assert_eq!(
        started(&ready),
        started(&pod),
        "becoming ready is no new start"
    );
}

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_jobs_fail_hang_and_take_their_time_as_asked() {
    let cluster = Cluster::start().await;
    let namespace = cluster.namespace().await;
    for asked in [
        job("fails").fails_with(3).says("no such table"),
        job("hangs").never_ready(),
        job("takes-time").runs_for(Duration::from_millis(1500)),
        job("clone-fails")
            .clones_fail_with(4)
            .clones_say("no such user"),
        job("clone-hangs").clones_hang(),
    ] {
        cluster.create::<Job>(&namespace, &asked.build()).await;
    }
    assert_eq!(cluster.job_ends(&namespace, "fails").await, "Failed");
    assert_eq!(
        termination(&cluster, &namespace, "fails").await,
        (3, Some("no such table".to_owned()))
    );
    assert_eq!(cluster.job_ends(&namespace, "clone-fails").await, "Failed");
    assert_eq!(
        termination(&cluster, &namespace, "clone-fails").await,
        (4, Some("no such user".to_owned()))
    );
    cluster.job_completes(&namespace, "takes-time").await;
    let jobs: Api<Job> = Api::namespaced(cluster.client(), &namespace);
    for hanging in ["hangs", "clone-hangs"] {
        let status = jobs
            .get(hanging)
            .await
            .expect("the job")
            .status
            .expect("a status");
        assert_eq!(
            (status.active, status.succeeded, status.failed),
            (Some(1), None, None),
            "{hanging}"
        );
    }
}

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_marks_for_clones_leave_the_workload_alone() {
    let cluster = Cluster::start().await;
    let namespace = cluster.namespace().await;
    cluster
        .create::<Deployment>(&namespace, &deployment("web").clones_fail_with(1).build())
        .await;
    cluster.rolled_out(&namespace, "deployment/web").await;
}

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_the_observer_counts_rollouts_jobs_and_real_changes() {
    let cluster = Cluster::start().await;
    let namespace = cluster.namespace().await;
    let observer = Observer::of(&cluster, &namespace).await;
    for name in ["web", "other"] {
        cluster
            .create::<Deployment>(&namespace, &deployment(name).build())
            .await;
        cluster
            .rolled_out(&namespace, &format!("deployment/{name}"))
            .await;
    }
    // 1 -> 2 -> 1: going back reuses a ReplicaSet, and is a rollout all the same.
    for annotation in ["1", "2", "1"] {
        cluster
            .merge::<Deployment>(&namespace, "web", template(annotation))
            .await;
        cluster.rolled_out(&namespace, "deployment/web").await;
    }
    cluster
        .merge::<Deployment>(
            &namespace,
            "other",
            json!({"metadata": {"annotations": {"note": "no rollout"}}}),
        )
        .await;
    for _ in 0..2 {
        cluster
            .create::<Job>(&namespace, &job("once").build())
            .await;
        cluster
            .kubectl_ok(&["-n", &namespace, "delete", "job", "once"])
            .await;
    }
    let config: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "c"}, "data": {"A": "1"}}))
            .expect("valid");
    cluster.create::<ConfigMap>(&namespace, &config).await;
    observer.quiet_for(Duration::from_millis(500)).await;
    let before = observer.changes_of("ConfigMap").len();
    cluster
        .merge::<ConfigMap>(&namespace, "c", json!({"data": {"A": "1"}}))
        .await;
    observer.quiet_for(Duration::from_millis(500)).await;
    assert_eq!(
        observer.changes_of("ConfigMap").len(),
        before,
        "a write that changes nothing is no change"
    );
    cluster
        .merge::<ConfigMap>(&namespace, "c", json!({"data": {"A": "2"}}))
        .await;
    observer.quiet_for(Duration::from_millis(500)).await;
    assert_eq!(observer.changes_of("ConfigMap").len(), before + 1);
    assert_eq!(observer.restarts(&namespace, "deployment/web"), 3);
    assert_eq!(observer.restarts(&namespace, "deployment/other"), 0);
    assert_eq!(observer.jobs(&namespace), ["once", "once"]);
}

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_the_audit_log_counts_writes_by_user_and_resource() {
    let cluster = Cluster::start().await;
    let namespace = cluster.namespace().await;
    let client = client_of_an_editor(&cluster, &namespace).await;
    let user = format!("system:serviceaccount:{namespace}:editor");
    let mark = cluster.mark().await;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    for name in ["a", "b", "c"] {
        secrets
            .create(&PostParams::default(), &secret(name))
            .await
            .expect("the role allows it");
    }
    secrets.get("a").await.expect("reads are not counted");
    let outside: Api<Secret> = Api::namespaced(client, "default");
    outside
        .create(&PostParams::default(), &secret("a"))
        .await
        .expect_err("RBAC is on");
    cluster.create::<Secret>(&namespace, &secret("d")).await;
    let writes = cluster.writes_by(&user, mark).await;
    assert_eq!(writes.of("secrets").in_namespace(&namespace).count(), 3);
    assert_eq!(writes.only(|write| write.status == 403).count(), 1);
    let all = cluster
        .writes_since(mark)
        .await
        .of("secrets")
        .in_namespace(&namespace);
    assert_eq!(all.by("admin").count(), 1);
    assert_eq!(
        cluster.writes_by(&user, cluster.mark().await).await.count(),
        0
    );
}

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_the_proxy_stops_a_write_at_each_boundary() {
    let cluster = Cluster::start().await;
    let namespace = cluster.namespace().await;
    let token = editor(&cluster, &namespace).await;
    let proxy = Proxy::start(&cluster).await;
    for (boundary, reached, answered) in [
        (Boundary::BeforeSent, 1, 1),
        (Boundary::AppliedNotAnswered, 2, 1),
        (Boundary::Answered, 2, 2),
    ] {
        let secrets: Api<Secret> =
            Api::namespaced(client_through(&proxy, &token).await, &namespace);
        proxy.reset();
        let (told, hook) = std::sync::mpsc::channel();
        proxy.arm(2, boundary, move || {
            told.send(()).expect("the test listens");
        });
        let mut answers = 0;
        for name in ["one", "two", "three"] {
            answers += usize::from(
                secrets
                    .create(&PostParams::default(), &secret(name))
                    .await
                    .is_ok(),
            );
        }
        proxy.fired(Duration::from_secs(5)).await;
        hook.try_recv().expect("the hook ran");
        let direct: Api<Secret> = Api::namespaced(cluster.client(), &namespace);
        let mine = direct
            .list(&ListParams::default())
            .await
            .expect("a list")
            .items
            .len();
        assert_eq!(
            (mine, answers),
            (reached, answered),
            "{boundary:?}\n{}",
            proxy.told()
        );
        cluster
            .kubectl_ok(&["-n", &namespace, "delete", "secrets", "--all"])
            .await;
    }
    assert!(
        proxy
            .records()
            .iter()
            .all(|record| !record.is_write() || record.body_bytes > 0)
    );
}

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_watches_stream_through_the_proxy_and_a_cut_is_a_cut() {
    let cluster = Cluster::start().await;
    let namespace = cluster.namespace().await;
    let token = editor(&cluster, &namespace).await;
    let proxy = Proxy::start(&cluster).await;
    let client = client_through(&proxy, &token).await;
    let secrets: Api<Secret> = Api::namespaced(client, &namespace);
    let mut events = secrets
        .watch(&WatchParams::default(), "0")
        .await
        .expect("a watch")
        .boxed();
    cluster.create::<Secret>(&namespace, &secret("seen")).await;
    let added = tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            match events.next().await {
                Some(Ok(WatchEvent::Added(found))) => return found.metadata.name,
                Some(Ok(WatchEvent::Bookmark(_))) => {}
                _ => panic!("not an object"),
            }
        }
    });
    let added = added.await.expect("in time");
    assert_eq!(added.as_deref(), Some("seen"));

    proxy.cut_off().await;
    let rest = tokio::time::timeout(Duration::from_secs(5), events.count())
        .await
        .expect("the stream ends");
    assert!(rest <= 1, "at most the error that ends it");
    secrets.get("seen").await.expect_err("refused");
    proxy.restore().await;
    secrets.get("seen").await.expect("back at the same address");

    proxy.answer_with(2, 429, &[("Retry-After", "1")], Record::is_write);
    for wanted in [429, 429, 201] {
        let answer = secrets
            .create(&PostParams::default(), &secret("late"))
            .await;
        let code = answer.map_or_else(|error| status_of(&error), |_| 201);
        assert_eq!(code, wanted);
    }
    proxy.latency(Duration::from_millis(300));
    let begin = Instant::now();
    secrets.get("seen").await.expect("slowly");
    assert!(begin.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_program_has_a_clean_environment_and_obeys_signals() {
    let cluster = Cluster::start().await;
    let script = "echo \"secret: ${CARGO_MANIFEST_DIR:-none}, given: $GIVEN\"; trap 'echo bye; exit 3' TERM; while :; do sleep 0.05; done";
    let shell = || {
        cluster
            .program("default", "shell", "/bin/sh")
            .args(["-c", script])
            .env("GIVEN", "yes")
    };
    let mut orderly: Process = shell().start();
    orderly
        .logs("secret: none, given: yes", Duration::from_secs(5))
        .await;
    let usage = orderly.usage().expect("it runs");
    assert!(usage.resident > 0 && usage.peak >= usage.resident);
    assert!(orderly.command_line().starts_with("/bin/sh -c"));
    assert_eq!(orderly.stop(Duration::from_secs(5)).await.code(), Some(3));
    assert!(orderly.log().contains("bye"));
    let mut killed = shell().start();
    killed.signal(Signal::STOP);
    assert!(ended_by(killed.kill().await, Signal::KILL));
}

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_failed_wait_tells_what_is_there_but_no_secret() {
    let cluster = Cluster::start().await;
    let namespace = cluster.namespace().await;
    cluster
        .create::<Secret>(&namespace, &secret("hidden"))
        .await;
    cluster
        .create::<Deployment>(&namespace, &deployment("web").never_ready().build())
        .await;
    let mut noisy = cluster
        .program(&namespace, "noisy", "/bin/echo")
        .arg("a line of the program")
        .start();
    noisy.ends_within(Duration::from_secs(5)).await;
    let text = cluster.explain(&namespace).await;
    for wanted in [
        "deployment.apps/web",
        "hidden (Opaque",
        "password=***",
        "a line of the program",
        "all logs: ",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in:\n{text}");
    }
    assert!(!text.contains("aHVudGVyMg") && !text.contains("hunter2"));
}

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_a_cluster_of_ones_own_leaves_nothing_behind() {
    let cluster = Cluster::api().await;
    let namespace = cluster.namespace().await;
    cluster.create::<Secret>(&namespace, &secret("any")).await;
    assert_eq!(
        cluster.plane().pids().len(),
        3,
        "supervisor, etcd, kube-apiserver"
    );
    let (dir, pids) = (cluster.plane().dir().to_owned(), cluster.plane().pids());
    drop(cluster);
    assert!(pids.iter().all(|(_, pid)| !is_alive(*pid)));
    assert!(!dir.is_dir());
}

/// What the next test runs in a process of its own and kills: a control plane and a program, held for ever.
#[tokio::test]
#[ignore = "part of k8s_a_nothing_survives_a_killed_test_process"]
async fn k8s_a_holds_a_cluster_until_it_is_killed() {
    let Some(report) = std::env::var_os("SEALCTL_RIG_REPORT") else {
        return;
    };
    let cluster = Cluster::api().await;
    let program = cluster
        .program("default", "sleep", "/bin/sleep")
        .arg("600")
        .start();
    let mut pids = cluster.plane().pids();
    pids.push(("sleep".to_owned(), program.pid()));
    let report = std::path::PathBuf::from(report);
    let text = json!({"dir": cluster.plane().dir(), "pids": pids}).to_string();
    std::fs::write(report.with_extension("new"), text).expect("a scratch folder");
    std::fs::rename(report.with_extension("new"), report).expect("a scratch folder");
    std::future::pending::<()>().await;
}

#[tokio::test]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_nothing_survives_a_killed_test_process() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let report = folder.path().join("report");
    let mut child = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--ignored",
            "--exact",
            "rig_works::k8s_a_holds_a_cluster_until_it_is_killed",
        ])
        .env("SEALCTL_RIG_REPORT", &report)
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("this test again");
    let begin = Instant::now();
    while !report.is_file() {
        assert!(
            begin.elapsed() < Duration::from_secs(60)
                && child.try_wait().expect("our child").is_none(),
            "no cluster"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let text = std::fs::read_to_string(&report).expect("a report");
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let pids: Vec<(String, u32)> = serde_json::from_value(report["pids"].clone()).expect("pids");
    assert_eq!(pids.len(), 4);
    assert!(pids.iter().all(|(_, pid)| is_alive(*pid)));
    child.kill().expect("SIGKILL");
    child.wait().expect("our child");
    let begin = Instant::now();
    let dir = std::path::PathBuf::from(report["dir"].as_str().expect("a folder"));
    while dir.is_dir() || pids.iter().any(|(_, pid)| is_alive(*pid)) {
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "still there: {pids:?}, {}",
            dir.display()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn template(annotation: &str) -> serde_json::Value {
    json!({"spec": {"template": {"metadata": {"annotations": {TEMPLATE: annotation}}}}})
}

fn secret(name: &str) -> Secret {
    serde_json::from_value(
        json!({"metadata": {"name": name}, "stringData": {"password": "hunter2"}}),
    )
    .expect("valid")
}

/// Token of a service account that may edit its namespace and nothing else.
async fn editor(cluster: &Cluster, namespace: &str) -> String {
    let account: ServiceAccount =
        serde_json::from_value(json!({"metadata": {"name": "editor"}})).expect("valid");
    cluster.create(namespace, &account).await;
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "editor"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "editor", "namespace": namespace}],
    }))
    .expect("valid");
    cluster.create(namespace, &binding).await;
    cluster.token_of(namespace, "editor").await
}

async fn client_of_an_editor(cluster: &Cluster, namespace: &str) -> Client {
    let token = editor(cluster, namespace).await;
    cluster.client_for(&token).await
}

async fn client_through(proxy: &Proxy, token: &str) -> Client {
    let mut config = kube::Config::new(proxy.url().parse().expect("a URL"));
    config.auth_info.token = Some(token.to_owned().into());
    config.default_retry = false;
    Client::try_from(config).expect("a client")
}

fn status_of(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        _ => 0,
    }
}

/// Exit code and termination message of a Job's pod.
async fn termination(cluster: &Cluster, namespace: &str, job: &str) -> (i32, Option<String>) {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    let label = format!("batch.kubernetes.io/job-name={job}");
    let mut found = pods
        .list(&ListParams::default().labels(&label))
        .await
        .expect("pods")
        .items;
    let state = found
        .pop()
        .and_then(|pod| pod.status?.container_statuses?.pop()?.state?.terminated)
        .expect("an end");
    (state.exit_code, state.message)
}

fn phase(pod: &Pod) -> &str {
    pod.status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .unwrap_or_default()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn is_alive(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = state
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|state| state != 'Z')
}

async fn pod_count(cluster: &Cluster, namespace: &str) -> usize {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    pods.list(&ListParams::default())
        .await
        .expect("pods")
        .items
        .len()
}
