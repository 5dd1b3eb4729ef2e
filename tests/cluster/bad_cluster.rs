//! A cluster that is not as it should be: the definition, the API server, a namespace or a right is missing. seald says so, changes
//! nothing that it should not, and goes on by itself when it is mended.

use std::time::{Duration, Instant};

use k8s_openapi::api::rbac::v1::Role;
use kube::api::{Api, DeleteParams};

use super::rig::{Cluster, Proxy};
use super::world::{Doc, SOON, World, install_definition};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_without_the_definition_seald_is_not_ready_and_goes_on_when_it_is_installed() {
    let world = World::without_definition(Cluster::api().await).await;
    let mut seald = world.seald().start().await;
    let said = seald.ready_is(&world, 503).await;
    let missing = world.cluster.eventually(
        "/readyz to name the missing definition",
        SOON,
        &world.namespace,
        async || {
            seald
                .probe("/readyz?verbose")
                .await
                .filter(|answer| answer.body.contains("CrdMissing"))
        },
    );
    assert!(said.contains("[-]"), "{said}");
    missing.await;
    assert!(seald.is_running());
    assert_eq!(seald.probe("/livez").await.expect("an answer").status, 200);
    install_definition(&world.cluster).await;
    seald.ready_is(&world, 200).await;
    let revision = world.grant_and_push(&Doc::web("x")).await;
    world.synced("web", revision).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_seald_waits_for_an_api_server_that_is_away_at_the_start() {
    let world = World::on(Cluster::api().await).await;
    let revision = world.grant_and_push(&Doc::web("x")).await;
    let proxy = Proxy::start(&world.cluster).await;
    proxy.cut_off().await;
    let mut seald = world.seald().through(&proxy).await.start().await;
    let said = seald.ready_is(&world, 503).await;
    assert!(said.contains("ApiUnavailable"), "{said}");
    assert!(seald.is_running());
    proxy.restore().await;
    let back = Instant::now();
    world.synced("web", revision).await;
    assert!(
        back.elapsed() < Duration::from_secs(30),
        "{:?}",
        back.elapsed()
    );
    seald.ready_is(&world, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_what_changed_while_the_api_server_was_away_is_done_when_it_is_back() {
    let world = World::on(Cluster::api().await).await;
    let proxy = Proxy::start(&world.cluster).await;
    let first = world.grant_and_store(&Doc::web("1")).await;
    let mut seald = world.seald_on_folder().through(&proxy).await.start().await;
    world.synced("web", first).await;
    proxy.cut_off().await;
    let second = world.store(&Doc::web("2"));
    // Longer than the deadline of the Lease: it must give up leading, and not its life.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(seald.is_running());
    assert_eq!(seald.probe("/livez").await.expect("an answer").status, 200);
    proxy.restore().await;
    let back = Instant::now();
    world.synced("web", second).await;
    assert!(
        back.elapsed() < Duration::from_secs(30),
        "{:?}",
        back.elapsed()
    );
    world
        .holds("Secret/web-secrets", &[("PASSWORD", "2")])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_answers_of_a_troubled_api_server_are_tried_again() {
    let world = World::on(Cluster::api().await).await;
    let proxy = Proxy::start(&world.cluster).await;
    for status in [429, 500, 503, 409] {
        proxy.answer(2, status, |record| record.is_work());
    }
    proxy.answer_with(1, 429, &[("Retry-After", "1")], |record| record.is_work());
    let first = world.grant_and_push(&Doc::web("1")).await;
    let _seald = world.seald().through(&proxy).await.start().await;
    world.synced("web", first).await;
    world
        .holds("Secret/web-secrets", &[("PASSWORD", "1")])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_file_for_a_missing_namespace_is_named_and_applied_when_it_is_there() {
    let world = World::new().await;
    let later = format!("{}-later", world.namespace);
    let doc = Doc::of("late").secret("PASSWORD", "x");
    let sealed = world.seal(&doc.text_in(&world.environment, &later));
    let neighbour = world.grant_and_store(&Doc::web("1")).await;
    world.store_text("late", &sealed);
    let seald = world.seald_on_folder().start().await;
    world.synced("web", neighbour).await;
    let named = world.cluster.eventually(
        "the file in /readyz?verbose",
        SOON,
        &world.namespace,
        async || {
            seald
                .probe("/readyz?verbose")
                .await
                .filter(|answer| answer.body.contains("NamespaceMissing"))
        },
    );
    let said = named.await;
    assert!(said.body.contains("late"), "{}", said.body);
    assert_eq!(
        said.status, 200,
        "one file does not take the others' seald away:\n{}",
        said.body
    );
    world.cluster.namespace_called(&later).await;
    let roles = world.roles_of_text(&doc.app, &doc.text_in(&world.environment, &later));
    world.apply_text("rbac-late.yaml", &roles).await;
    let api: Api<k8s_openapi::api::core::v1::Secret> =
        Api::namespaced(world.cluster.client(), &later);
    let there = world
        .cluster
        .eventually("its Secret", SOON, &later, async || {
            api.get_opt("late-secrets").await.ok()?
        });
    there.await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_missing_right_is_said_with_the_line_that_mends_it() {
    let world = World::new().await;
    let doc = Doc::web("x");
    let before = world.snapshot().await;
    let revision = world.push(&doc).await;
    let _seald = world.seald().start().await;
    let said = world.says("web", "Ready", "Forbidden").await;
    let line = format!("sealctl rbac -e {} -a web", world.environment);
    assert!(said.message.contains(&line), "{}", said.message);
    let (kind, note) = world.event("web", "Forbidden").await;
    assert_eq!(kind, "Warning");
    assert!(note.contains(&line), "{note}");
    assert_eq!(world.snapshot().await, before);
    world.grant(&doc).await;
    world.ask("web").await;
    world.synced("web", revision).await;
    world
        .holds("Secret/web-secrets", &[("PASSWORD", "x")])
        .await;

    let roles: Api<Role> = Api::namespaced(world.cluster.client(), &world.namespace);
    let role = format!("seald-web-{}", world.environment);
    roles
        .delete(&role, &DeleteParams::default())
        .await
        .expect("the role of sealctl rbac");
    let again = world.push(&Doc::web("y")).await;
    world.says("web", "Ready", "Forbidden").await;
    world
        .holds("Secret/web-secrets", &[("PASSWORD", "x")])
        .await;
    world.grant(&doc).await;
    // And by itself, when the pause after the last try is over.
    world.synced("web", again).await;
    world
        .holds("Secret/web-secrets", &[("PASSWORD", "y")])
        .await;
}
