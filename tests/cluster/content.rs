//! Which content do the pods run? Every way in which a workload comes to read something new, and who rolls it then: it itself,
//! somebody else, or seald, and never twice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams};
use serde_json::json;

use super::main_job::QUIET;
use super::rig::{Boundary, Observer, Proxy, deployment, pods};
use super::world::{Doc, SOON, World, state_secret};

const WEB: &str = "deployment/web";

/// A world with a running seald, `web` reading `web-secrets`, everything in place, and an observer from before.
async fn settled() -> (World, Observer, super::world::Seald) {
    let world = World::new().await;
    let observer = Observer::of(&world.cluster, &world.namespace).await;
    let web = deployment("web").reads_env_from_secret("web-secrets");
    world.runs(web).await;
    let revision = world.grant_and_push(&Doc::web("1")).await;
    let seald = world.seald().start().await;
    world.synced("web", revision).await;
    world.rolled_out(WEB).await;
    (world, observer, seald)
}

/// Lets a whole second pass since the last write: Kubernetes keeps no finer time.
async fn next_second() {
    tokio::time::sleep(Duration::from_millis(1100)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_an_object_changes_only_when_its_readers_are_recorded_so_a_crash_before_the_stamp_is_seen()
 {
    let (world, observer, mut first) = settled().await;
    first.stop(Duration::from_secs(10)).await;
    let proxy = Proxy::start(&world.cluster).await;
    // From the write of the Secret on nothing passes: the killing must not race with the stamp.
    let written = AtomicBool::new(false);
    proxy.count(move |record| {
        let secret = record.is_write() && record.path.ends_with("/secrets/web-secrets");
        written.fetch_or(secret, Ordering::SeqCst) || secret
    });
    let seald = world
        .seald()
        .through(&proxy)
        .await
        .pod("seald-1")
        .start()
        .await;
    proxy.arm(1, Boundary::Answered, seald.killer());
    let revision = world.push(&Doc::web("2")).await;
    proxy.fired(SOON).await;
    assert_eq!(
        world.data("Secret/web-secrets").await.expect("the Secret")["PASSWORD"],
        "2"
    );
    assert_eq!(
        observer.restarts(&world.namespace, WEB),
        0,
        "killed before the stamp"
    );
    let recorded = world
        .data(&format!("Secret/{}", state_secret("web")))
        .await
        .expect("the state");
    assert!(
        recorded["workloads"].to_lowercase().contains(WEB),
        "{}",
        recorded["workloads"]
    );
    drop(seald);

    world
        .cluster
        .forget_lease(&world.home, "seald-controller")
        .await;
    let _seald = world.seald().pod("seald-2").start().await;
    world.synced("web", revision).await;
    world.rolled_out(WEB).await;
    observer.quiet_for(QUIET).await;
    assert_eq!(observer.restarts(&world.namespace, WEB), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_template_that_somebody_else_edits_has_rolled_by_that_alone() {
    let (world, observer, _seald) = settled().await;
    let has_rolled = async |times: usize, why: &str| {
        world.rolled_out(WEB).await;
        world.pass("web").await;
        observer.quiet_for(QUIET).await;
        assert_eq!(observer.restarts(&world.namespace, WEB), times, "{why}");
    };
    let first = world.push(&Doc::web("2")).await;
    world.synced("web", first).await;
    world.rolled_out(WEB).await;
    assert_eq!(observer.restarts(&world.namespace, WEB), 1);

    // A new reference.
    let both =
        json!([{"secretRef": {"name": "web-secrets"}}, {"configMapRef": {"name": "web-config"}}]);
    let containers = json!([{"name": "app", "image": "sealctl.test/app:1", "envFrom": both}]);
    let edit = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    world
        .cluster
        .merge::<Deployment>(&world.namespace, "web", edit)
        .await;
    has_rolled(2, "the edit alone").await;

    // Back to the former template.
    world
        .cluster
        .kubectl_ok(&["-n", &world.namespace, "rollout", "undo", WEB])
        .await;
    has_rolled(3, "the undo alone").await;

    // Somebody who knows nothing of the marker takes it away.
    let without = json!({"spec": {"template": {"metadata": {"annotations": {"sealctl.dev/content-hash.web": null}}}}});
    world
        .cluster
        .merge::<Deployment>(&world.namespace, "web", without)
        .await;
    has_rolled(4, "taking the marker away alone").await;

    let last = world.push(&Doc::web("3")).await;
    world.synced("web", last).await;
    world.rolled_out(WEB).await;
    observer.quiet_for(QUIET).await;
    assert_eq!(
        observer.restarts(&world.namespace, WEB),
        5,
        "and then the new value"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_new_reference_counts_from_the_next_change_on() {
    let (world, observer, _seald) = settled().await;
    let other = deployment("other");
    world.runs(other).await;
    world.rolled_out("deployment/other").await;
    let containers = json!([{"name": "app", "image": "sealctl.test/app:1", "envFrom": [{"secretRef": {"name": "web-secrets"}}]}]);
    let edit = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    next_second().await;
    world
        .cluster
        .merge::<Deployment>(&world.namespace, "other", edit)
        .await;
    world.rolled_out("deployment/other").await;
    world.pass("web").await;
    observer.quiet_for(QUIET).await;
    assert_eq!(
        observer.restarts(&world.namespace, "deployment/other"),
        1,
        "by the edit"
    );
    let revision = world.push(&Doc::web("2")).await;
    world.synced("web", revision).await;
    world.rolled_out("deployment/other").await;
    observer.quiet_for(QUIET).await;
    assert_eq!(observer.restarts(&world.namespace, "deployment/other"), 2);
    assert_eq!(observer.restarts(&world.namespace, WEB), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_new_workload_whose_pods_started_after_the_content_is_not_restarted() {
    let (world, observer, _seald) = settled().await;
    next_second().await;
    let late = deployment("late").reads_env_from_secret("web-secrets");
    world.runs(late).await;
    world.rolled_out("deployment/late").await;
    world.pass("web").await;
    observer.quiet_for(QUIET).await;
    assert_eq!(observer.restarts(&world.namespace, "deployment/late"), 0);
    assert_eq!(
        observer.restarts(&world.namespace, WEB),
        0,
        "its Secret was made after it, and it could not start without"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_workload_that_may_have_started_without_the_content_is_restarted_once() {
    let world = World::new().await;
    let observer = Observer::of(&world.cluster, &world.namespace).await;
    // It may start without the Secret, and has.
    let optional = json!([{"secretRef": {"name": "web-secrets", "optional": true}}]);
    let web = deployment("web").container("image", json!("sealctl.test/app:1"));
    let mut web = web.json();
    web["spec"]["template"]["spec"]["containers"][0]["envFrom"] = optional;
    let web: Deployment = serde_json::from_value(web).expect("a Deployment");
    world.cluster.create(&world.namespace, &web).await;
    world.rolled_out(WEB).await;
    let revision = world.grant_and_push(&Doc::web("1")).await;
    let _seald = world.seald().start().await;
    world.synced("web", revision).await;
    world.rolled_out(WEB).await;
    observer.quiet_for(QUIET).await;
    assert_eq!(observer.restarts(&world.namespace, WEB), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_when_the_state_is_lost_pods_with_the_wanted_marker_or_young_enough_stay() {
    let (world, observer, mut seald) = settled().await;
    let revision = world.push(&Doc::web("2")).await;
    world.synced("web", revision).await;
    world.rolled_out(WEB).await;
    next_second().await;
    let young = deployment("young").reads_env_from_secret("web-secrets");
    world.runs(young).await;
    world.rolled_out("deployment/young").await;
    world.pass("web").await;
    seald.stop(Duration::from_secs(10)).await;
    let secrets: Api<Secret> = Api::namespaced(world.cluster.client(), &world.namespace);
    secrets
        .delete(&state_secret("web"), &DeleteParams::default())
        .await
        .expect("the state is there");
    let _seald = world.seald().pod("seald-1").start().await;
    world.synced("web", revision).await;
    world.pass("web").await;
    observer.quiet_for(QUIET).await;
    assert!(
        world
            .data(&format!("Secret/{}", state_secret("web")))
            .await
            .is_some(),
        "the state is there again"
    );
    assert_eq!(observer.restarts(&world.namespace, "deployment/young"), 0);
    // Its pods were started by the change itself, within the same second perhaps: then once more, and no more.
    assert!(observer.restarts(&world.namespace, WEB) <= 2);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_deployment_that_reads_two_sealed_envs_rolls_once_for_each_change_of_each() {
    let world = World::new().await;
    let observer = Observer::of(&world.cluster, &world.namespace).await;
    let web = deployment("web")
        .reads_env_from_secret("web-secrets")
        .mounts_secret("jobs-secrets", "/jobs");
    world.runs(web).await;
    let jobs = |value: &str| Doc::of("jobs").secret("TOKEN", value);
    let first = world.grant_and_push(&Doc::web("1")).await;
    let second = world.grant_and_push(&jobs("1")).await;
    let _seald = world.seald().start().await;
    world.synced("web", first).await;
    world.synced("jobs", second).await;
    assert_eq!(observer.restarts(&world.namespace, WEB), 0);
    for (round, doc) in [Doc::web("2"), jobs("2"), Doc::web("3"), jobs("3")]
        .into_iter()
        .enumerate()
    {
        let revision = world.push(&doc).await;
        world.synced(&doc.app, revision).await;
        world.rolled_out(WEB).await;
        observer.quiet_for(QUIET).await;
        assert_eq!(
            observer.restarts(&world.namespace, WEB),
            round + 1,
            "after {} changed",
            doc.app
        );
    }
    let annotations = world.template_annotations("web").await;
    for app in ["web", "jobs"] {
        assert!(
            annotations.contains_key(&format!("sealctl.dev/content-hash.{app}")),
            "{annotations:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_every_way_of_reading_a_key_counts_and_nothing_else() {
    let world = World::new().await;
    let observer = Observer::of(&world.cluster, &world.namespace).await;
    let doc = |value: &str| {
        Doc::of("web")
            .secret("PASSWORD", value)
            .secret("OTHER", "same")
    };
    let readers = [
        deployment("env-from").reads_env_from_secret("web-secrets"),
        deployment("env").reads_key("P", "web-secrets", "PASSWORD"),
        deployment("volume").mounts_secret("web-secrets", "/s"),
        deployment("item").mounts_keys("web-secrets", &["PASSWORD"], "/s"),
        deployment("projected").projected(&["web-secrets"], "/s"),
        deployment("init").init_container("migrate", "web-secrets"),
    ];
    let others = [
        deployment("other-key").reads_key("O", "web-secrets", "OTHER"),
        deployment("other-item").mounts_keys("web-secrets", &["OTHER"], "/s"),
        deployment("pull").pod("imagePullSecrets", json!([{"name": "web-secrets"}])),
        deployment("opted-out")
            .reads_env_from_secret("web-secrets")
            .annotate_workload("sealctl.dev/restart", "false"),
        deployment("paused")
            .reads_env_from_secret("web-secrets")
            .spec("paused", json!(true)),
        deployment("nothing"),
    ];
    let names = |of: &[super::rig::Pods]| -> Vec<String> {
        of.iter()
            .map(|one| {
                one.clone().json()["metadata"]["name"]
                    .as_str()
                    .expect("a name")
                    .to_owned()
            })
            .collect()
    };
    let (read, unread) = (names(&readers), names(&others));
    for workload in readers.into_iter().chain(others) {
        world.runs(workload).await;
    }
    let agent = pods("DaemonSet", "agent").reads_env_from_secret("web-secrets");
    world
        .cluster
        .create::<DaemonSet>(&world.namespace, &agent.build())
        .await;
    let first = world.grant_and_push(&doc("1")).await;
    let _seald = world.seald().start().await;
    world
        .holds(
            "Secret/web-secrets",
            &[("OTHER", "same"), ("PASSWORD", "1")],
        )
        .await;
    world.pass("web").await;
    assert!(first > 0);
    for name in &read {
        world.rolled_out(&format!("deployment/{name}")).await;
    }
    world.rolled_out("daemonset/agent").await;
    world.push(&doc("2")).await;
    let rolled = world.cluster.eventually(
        "every reader to be rolled",
        SOON,
        &world.namespace,
        async || {
            let all = read.iter().all(|name| {
                observer.restarts(&world.namespace, &format!("deployment/{name}")) == 1
            });
            (all && observer.restarts(&world.namespace, "daemonset/agent") == 1).then_some(())
        },
    );
    rolled.await;
    for name in &read {
        world.rolled_out(&format!("deployment/{name}")).await;
    }
    observer.quiet_for(QUIET).await;
    for name in &read {
        assert_eq!(
            observer.restarts(&world.namespace, &format!("deployment/{name}")),
            1,
            "{name}"
        );
    }
    for name in &unread {
        assert_eq!(
            observer.restarts(&world.namespace, &format!("deployment/{name}")),
            0,
            "{name}"
        );
    }
    assert_eq!(observer.restarts(&world.namespace, "daemonset/agent"), 1);
}
