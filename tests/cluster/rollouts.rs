//! The rules below `workloads:` who is rolled, how many at a time, and what stops the rest.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::{Api, DeleteParams};
use serde_json::json;

use super::main_job::QUIET;
use super::rig::{Observer, deployment, pods};
use super::world::{Doc, SOON, Seald, World};

/// Deployments that read `web-secrets`, in place at their first content.
async fn rolled(doc: &Doc, workloads: Vec<super::rig::Pods>) -> (World, Observer, Seald) {
    let world = World::new().await;
    let observer = Observer::of(&world.cluster, &world.namespace).await;
    let mut names = Vec::new();
    for workload in workloads {
        let workload: Deployment = workload.reads_env_from_secret("web-secrets").build();
        names.push(workload.metadata.name.clone().expect("a name"));
        world.cluster.create(&world.namespace, &workload).await;
    }
    for name in names {
        world.rolled_out(&format!("deployment/{name}")).await;
    }
    let revision = world.grant_and_push(doc).await;
    let seald = world.seald().start().await;
    world.synced("web", revision).await;
    (world, observer, seald)
}

impl World {
    /// No more than `count` pods from now on.
    async fn allow_pods(&self, count: u32) -> Api<ResourceQuota> {
        let hard = json!({ "pods": count.to_string() });
        let quota = json!({ "metadata": { "name": "full" }, "spec": { "hard": hard } });
        let quota: ResourceQuota = serde_json::from_value(quota).expect("a quota");
        self.cluster.create(&self.namespace, &quota).await;
        let quotas: Api<ResourceQuota> = Api::namespaced(self.cluster.client(), &self.namespace);
        let counted = self.cluster.eventually(
            "the quota to be counted",
            SOON,
            &self.namespace,
            async || {
                let status = quotas.get("full").await.ok()?.status?;
                status.used.filter(|used| !used.is_empty()).map(|_| ())
            },
        );
        counted.await;
        quotas
    }

    /// `state` and `reason` of a workload in the status of SealedEnv `web`.
    async fn rollout(&self, name: &str) -> Option<(String, String)> {
        let found = self.sealed_env("web").await?;
        let rollout = found["status"]["rollouts"]
            .as_array()?
            .iter()
            .find(|rollout| rollout["name"] == name)?
            .clone();
        let text = |field: &str| rollout[field].as_str().unwrap_or_default().to_owned();
        Some((text("state"), text("reason")))
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_excluded_workloads_keep_their_pods_and_included_stateful_sets_roll() {
    let doc = |value: &str| {
        Doc::web(value)
            .workloads("include: [statefulset/queue]")
            .workloads("exclude: [deployment/legacy]")
    };
    let (world, observer, _seald) =
        rolled(&doc("1"), vec![deployment("api"), deployment("legacy")]).await;
    for name in ["queue", "db"] {
        let set = pods("StatefulSet", name).reads_env_from_secret("web-secrets");
        world
            .cluster
            .create::<StatefulSet>(&world.namespace, &set.build())
            .await;
        world
            .cluster
            .kubectl_ok(&[
                "-n",
                &world.namespace,
                "rollout",
                "status",
                &format!("statefulset/{name}"),
                "--timeout=30s",
            ])
            .await;
    }
    world.pass("web").await;
    let before = observer.restarts(&world.namespace, "statefulset/queue");
    let revision = world.push(&doc("2")).await;
    world.says("web", "Verified", "Verified").await;
    world
        .cluster
        .eventually(
            "the included set to roll",
            SOON,
            &world.namespace,
            async || {
                (observer.restarts(&world.namespace, "statefulset/queue") == before + 1)
                    .then_some(())
            },
        )
        .await;
    world.synced("web", revision).await;
    observer.quiet_for(QUIET).await;
    assert_eq!(observer.restarts(&world.namespace, "deployment/api"), 1);
    assert_eq!(observer.restarts(&world.namespace, "deployment/legacy"), 0);
    assert_eq!(
        observer.restarts(&world.namespace, "statefulset/db"),
        0,
        "not included"
    );
    assert_eq!(
        world
            .rollout("legacy")
            .await
            .map(|(state, _)| state)
            .as_deref(),
        Some("Skipped")
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_restart_never_changes_the_objects_and_rolls_nobody() {
    let doc = |value: &str| Doc::web(value).workloads("restart: never");
    let (world, observer, _seald) = rolled(&doc("1"), vec![deployment("api")]).await;
    let revision = world.push(&doc("2")).await;
    world
        .holds("Secret/web-secrets", &[("PASSWORD", "2")])
        .await;
    world.synced("web", revision).await;
    world.says("web", "RolledOut", "NotRequested").await;
    observer.quiet_for(QUIET).await;
    assert_eq!(observer.restarts(&world.namespace, "deployment/api"), 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_the_first_workload_goes_alone_and_then_no_more_than_parallel_at_a_time() {
    const SLOW: Duration = Duration::from_millis(1500);
    let doc = |value: &str| Doc::web(value).workloads("parallel: 2");
    let names = ["a", "b", "c", "d", "e"];
    let workloads = names
        .map(|name| deployment(name).ready_after(SLOW))
        .to_vec();
    let (world, observer, _seald) = rolled(&doc("1"), workloads).await;
    let revision = world.push(&doc("2")).await;
    world.synced("web", revision).await;
    let mut begun: Vec<_> = observer
        .changes_of("ReplicaSet")
        .into_iter()
        .filter(|change| change.happened == super::rig::Happened::Created)
        .collect();
    // The first five are those that the Deployments began with.
    let begun = begun.split_off(names.len());
    assert_eq!(begun.len(), names.len(), "each was rolled once: {begun:?}");
    let after = |later: usize, earlier: usize| begun[later].at.duration_since(begun[earlier].at);
    assert!(
        begun[0].name.starts_with("a-"),
        "in the order of their names: {begun:?}"
    );
    // A rollout takes at least SLOW; the watch may be late by a little.
    let whole = SLOW - Duration::from_millis(100);
    assert!(after(1, 0) >= whole, "the first one goes alone: {begun:?}");
    assert!(
        after(3, 1) >= whole && after(4, 2) >= whole,
        "two at a time: {begun:?}"
    );
    assert!(
        after(2, 1) < whole,
        "and not one after the other: {begun:?}"
    );
    for name in names {
        assert_eq!(
            observer.restarts(&world.namespace, &format!("deployment/{name}")),
            1,
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_many_documents_that_change_at_once_keep_within_the_limit_of_rollouts() {
    const SLOW: Duration = Duration::from_millis(1500);
    let names = ["a", "b", "c", "d"];
    let doc = |name: &str, value: &str| Doc::of(name).secret("PASSWORD", value);
    let world = World::new().await;
    let observer = Observer::of(&world.cluster, &world.namespace).await;
    let mut revision = 0;
    for name in names {
        let workload = deployment(name)
            .ready_after(SLOW)
            .reads_env_from_secret(&format!("{name}-secrets"));
        world.runs(workload).await;
        revision = world.grant_and_push(&doc(name, "1")).await;
    }
    let seald = world.seald().flag("--rollouts=1").start().await;
    for (at, name) in (1..).zip(names) {
        world.synced(name, at).await;
    }
    assert_eq!(revision, 4, "one revision for each document");
    for name in names {
        world.push(&doc(name, "2")).await;
    }
    for (at, name) in (5..).zip(names) {
        world.synced(name, at).await;
    }
    let begun = observer.changes_of("ReplicaSet").into_iter();
    let mut begun: Vec<_> = begun
        .filter(|change| change.happened == super::rig::Happened::Created)
        .collect();
    let begun = begun.split_off(names.len());
    assert_eq!(begun.len(), names.len(), "each was rolled once: {begun:?}");
    // A rollout takes at least SLOW; the watch may be late by a little.
    let whole = SLOW - Duration::from_millis(100);
    for pair in begun.windows(2) {
        let after = pair[1].at.duration_since(pair[0].at);
        assert!(after >= whole, "one at a time: {begun:?}");
    }
    seald.assert_never_forbidden();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_stateful_set_that_hangs_is_rolled_to_the_fix_in_the_only_place() {
    let doc = |value: &str| Doc::web(value).workloads("include: [statefulset/queue]");
    let world = World::new().await;
    let observer = Observer::of(&world.cluster, &world.namespace).await;
    let queue = pods("StatefulSet", "queue").reads_env_from_secret("web-secrets");
    world
        .cluster
        .create::<StatefulSet>(&world.namespace, &queue.build())
        .await;
    let first = world.grant_and_push(&doc("1")).await;
    let seald = world.seald().flag("--rollouts=1").start().await;
    world.synced("web", first).await;
    let before = observer.restarts(&world.namespace, "statefulset/queue");
    // No new pod can be made, and a StatefulSet never says that it has failed.
    let quotas = world.allow_pods(0).await;
    for (rolled, value) in (1..).zip(["bad", "good"]) {
        world.push(&doc(value)).await;
        world
            .cluster
            .eventually("its restart", SOON, &world.namespace, async || {
                let restarts = observer.restarts(&world.namespace, "statefulset/queue");
                (restarts == before + rolled).then_some(())
            })
            .await;
    }
    quotas
        .delete("full", &DeleteParams::default())
        .await
        .expect("the quota is there");
    let revision = world.revision();
    world.synced("web", revision).await;
    seald.assert_never_forbidden();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_the_first_failure_holds_the_others_back_and_its_mending_lets_them_go() {
    let slow = |name| deployment(name).spec("progressDeadlineSeconds", json!(2));
    let (world, observer, _seald) =
        rolled(&Doc::web("1"), vec![slow("a"), slow("b"), slow("c")]).await;
    // No room for a new pod: the old ones stay, and the rollout hangs.
    let quotas = world.allow_pods(3).await;
    world.push(&Doc::web("2")).await;
    let failed = world.says("web", "RolledOut", "RolloutFailed").await;
    assert_eq!(failed.status, "False");
    assert!(
        failed.message.contains("deployment/a"),
        "{}",
        failed.message
    );
    assert_eq!(world.event("web", "RolloutFailed").await.0, "Warning");
    observer.quiet_for(QUIET).await;
    assert_eq!(observer.restarts(&world.namespace, "deployment/a"), 1);
    for held in ["b", "c"] {
        assert_eq!(
            observer.restarts(&world.namespace, &format!("deployment/{held}")),
            0,
            "{held} is held back"
        );
    }
    quotas
        .delete("full", &DeleteParams::default())
        .await
        .expect("the quota is there");
    let revision = world.revision();
    world.synced("web", revision).await;
    observer.quiet_for(QUIET).await;
    for name in ["a", "b", "c"] {
        assert_eq!(
            observer.restarts(&world.namespace, &format!("deployment/{name}")),
            1,
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_the_superuser_job_waits_for_the_rollout_and_its_failure_is_said() {
    let world = World::new().await;
    let observer = Observer::of(&world.cluster, &world.namespace).await;
    let web = deployment("web")
        .reads_env_from_secret("web-secrets")
        .clones_fail_with(3)
        .ready_after(Duration::from_secs(2));
    world.runs(web).await;
    world.grant_and_push(&Doc::web("1").superuser("p")).await;
    let _seald = world.seald().start().await;
    world.says("web", "Bootstrapped", "BootstrapWaiting").await;
    assert_eq!(observer.jobs(&world.namespace).len(), 0);
    let made = world
        .cluster
        .eventually("the Job", SOON, &world.namespace, async || {
            observer.jobs(&world.namespace).into_iter().next()
        });
    let job = made.await;
    assert!(job.starts_with("seald-bootstrap-web-"), "{job}");
    let deployment = world.deployment("web").await.status.expect("a status");
    assert_eq!(
        deployment.available_replicas,
        Some(1),
        "the Job came after the rollout"
    );
    // Its seven tries would take minutes.
    let now = json!({"spec": {"activeDeadlineSeconds": 1}});
    world
        .cluster
        .merge::<Job>(&world.namespace, &job, now)
        .await;
    let failed = world.says("web", "Bootstrapped", "BootstrapFailed").await;
    assert_eq!(failed.status, "False");
    assert_eq!(world.event("web", "BootstrapFailed").await.0, "Warning");
    world.gone("Secret/seald-bootstrap-web").await;
    observer.quiet_for(QUIET).await;
    assert_eq!(
        observer.jobs(&world.namespace).len(),
        1,
        "it is not made again"
    );
    // Unless somebody asks for it, and then it does not wait until the failed one is collected.
    let id = job.trim_start_matches("seald-bootstrap-web-");
    let annotation = format!("sealctl.dev/bootstrap-id={id}");
    let annotate = ["annotate", "sealedenv", "web", &annotation];
    let namespace = ["-n", &world.namespace];
    world
        .cluster
        .kubectl_ok(&[&namespace[..], &annotate[..]].concat())
        .await;
    let again = world
        .cluster
        .eventually("another try", SOON, &world.namespace, async || {
            let jobs = observer.jobs(&world.namespace);
            (jobs.len() > 1).then_some(jobs)
        });
    assert_eq!(again.await, [job.clone(), job]);
    world.says("web", "Bootstrapped", "BootstrapWaiting").await;
}
