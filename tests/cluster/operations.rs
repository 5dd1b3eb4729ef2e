//! seald as a program in a cluster: probes, metrics, the second replica, the orderly stop, and rights that suffice and are least.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, ListParams};
use rustix::process::Signal;

use super::main_job::QUIET;
use super::rig::{Observer, deployment};
use super::world::{Doc, SOON, World};

impl World {
    async fn lease(&self) -> Option<Lease> {
        let leases: Api<Lease> = Api::namespaced(self.cluster.client(), &self.home);
        leases
            .get_opt("seald-controller")
            .await
            .expect("the API server answers")
    }

    async fn leader(&self) -> Option<String> {
        self.lease()
            .await?
            .spec?
            .holder_identity
            .filter(|holder| !holder.is_empty())
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_second_replica_is_ready_writes_nothing_and_takes_over() {
    let world = World::new().await;
    let revision = world.grant_and_push(&Doc::web("1")).await;
    let mut first = world.seald().start().await;
    world.synced("web", revision).await;
    let second = world.seald().pod("seald-1").start().await;
    let said = second.ready_is(&world, 200).await;
    assert!(said.contains("NotLeader"), "{said}");
    assert!(second.metric(&["seald_leader"]).await < 0.5);
    let metrics = second.metrics().await;
    assert!(
        !metrics.contains("name=\"web\""),
        "a standby tells nothing of resources:\n{metrics}"
    );
    let leader = world.leader().await.expect("a leader");
    assert!(leader.starts_with("seald-0"), "{leader}");

    let status = first.stop(Duration::from_secs(10)).await;
    assert_eq!(status.code(), Some(0), "an orderly stop");
    second.leads(&world).await;
    let revision = world.push(&Doc::web("2")).await;
    world.synced("web", revision).await;
    world
        .holds("Secret/web-secrets", &[("PASSWORD", "2")])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_two_leaders_at_once_do_no_harm() {
    let world = World::new().await;
    let observer = Observer::of(&world.cluster, &world.namespace).await;
    let web = deployment("web")
        .reads_env_from_secret("web-secrets")
        .clones_say("created");
    world.runs(web).await;
    let doc = |value: &str| Doc::web(value).superuser("p");
    let first = world.grant_and_push(&doc("1")).await;
    let _one = world.seald().flag("--leader-elect=false").start().await;
    let _two = world
        .seald()
        .flag("--leader-elect=false")
        .pod("seald-1")
        .start()
        .await;
    world.synced("web", first).await;
    for value in ["2", "3"] {
        let revision = world.push(&doc(value)).await;
        world.synced("web", revision).await;
        world.rolled_out("deployment/web").await;
        observer.quiet_for(QUIET).await;
    }
    world
        .holds("Secret/web-secrets", &[("PASSWORD", "3")])
        .await;
    assert_eq!(
        observer.restarts(&world.namespace, "deployment/web"),
        2,
        "once for each content"
    );
    assert_eq!(observer.jobs(&world.namespace).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_sigterm_ends_seald_within_ten_seconds_with_code_0_and_frees_the_lease() {
    let world = World::new().await;
    let revision = world.grant_and_push(&Doc::web("1")).await;
    let mut seald = world.seald().start().await;
    world.synced("web", revision).await;
    assert!(world.leader().await.is_some());
    // Work is under way, and the signal comes twice.
    world.push(&Doc::web("2")).await;
    seald.signal(Signal::TERM);
    let status = seald.stop(Duration::from_secs(10)).await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(world.leader().await, None, "the Lease is free");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_probes_and_metrics_stand_on_two_ports_and_say_what_is() {
    let world = World::new().await;
    let revision = world.grant_and_push(&Doc::web("1")).await;
    let seald = world.seald().start().await;
    world.synced("web", revision).await;
    let ready = seald.ready_is(&world, 200).await;
    assert!(ready.contains("[+]"), "{ready}");
    for path in ["/livez", "/healthz"] {
        assert_eq!(
            seald.probe(path).await.expect("an answer").status,
            200,
            "{path}"
        );
    }
    assert_eq!(
        seald.probe("/metrics").await.expect("an answer").status,
        404
    );
    let wanted = [
        "seald_build_info",
        "seald_reconcile_total",
        "seald_resource_condition",
        "seald_last_success_timestamp_seconds",
        "seald_api_requests_total",
        "seald_managed_objects",
        "seald_leader",
    ];
    let told = world.cluster.eventually(
        "the metrics of the main job",
        SOON,
        &world.namespace,
        async || {
            let metrics = seald.metrics().await;
            wanted
                .iter()
                .all(|name| metrics.contains(name))
                .then_some(metrics)
        },
    );
    let metrics = told.await;
    let ready = metrics.lines().find(|line| {
        let words = [
            "seald_resource_condition{",
            "name=\"web\"",
            "type=\"Ready\"",
            "status=\"True\"",
            &world.namespace,
        ];
        words.iter().all(|word| line.contains(word))
    });
    assert!(ready.is_some_and(|line| line.ends_with(" 1")), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_the_roles_suffice_for_the_main_job_and_open_no_other_secret() {
    let world = World::new().await;
    let web = deployment("web")
        .reads_env_from_secret("web-secrets")
        .clones_say("created");
    world.runs(web).await;
    let revision = world.grant_and_store(&Doc::web("1").superuser("p")).await;
    let seald = world.seald_on_folder().start().await;
    world.synced("web", revision).await;
    let revision = world.store(&Doc::web("2").superuser("p"));
    world.synced("web", revision).await;
    seald.assert_never_forbidden();

    let client = world.cluster.client_for(&world.token().await).await;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &world.namespace);
    secrets.get("web-secrets").await.expect("its own object");
    let forbidden = |error: kube::Error| match error {
        kube::Error::Api(status) => assert_eq!(status.code, 403, "{status:?}"),
        other => panic!("{other}"),
    };
    forbidden(
        secrets
            .list(&ListParams::default())
            .await
            .expect_err("no list of Secrets"),
    );
    forbidden(secrets.get("another").await.expect_err("no other Secret"));
    forbidden(
        Api::<Secret>::all(client.clone())
            .list(&ListParams::default())
            .await
            .expect_err("nowhere"),
    );
    let own: Api<Secret> = Api::namespaced(client.clone(), &world.home);
    forbidden(
        own.get("seald-identity")
            .await
            .expect_err("the identity is mounted, never read"),
    );
    let others: Api<ConfigMap> = Api::namespaced(client, "kube-system");
    forbidden(
        others
            .list(&ListParams::default())
            .await
            .expect_err("no ConfigMaps of others"),
    );
}
