//! Whose object is it? What is foreign is never touched, what is ours comes back, what the document no longer names goes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};

use super::main_job::QUIET;
use super::rig::{Observer, deployment};
use super::world::{Doc, SOON, Seald, World};

async fn synced(doc: &Doc) -> (World, Seald) {
    let world = World::new().await;
    let revision = world.grant_and_push(doc).await;
    let seald = world.seald().start().await;
    world.synced(&doc.app, revision).await;
    (world, seald)
}

fn secrets(world: &World) -> Api<Secret> {
    Api::namespaced(world.cluster.client(), &world.namespace)
}

async fn foreign_secret(world: &World, annotations: Value) {
    let foreign = json!({"metadata": {"name": "web-secrets", "annotations": annotations}, "stringData": {"MINE": "foreign"}});
    let foreign: Secret = serde_json::from_value(foreign).expect("a Secret");
    world.cluster.create(&world.namespace, &foreign).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_foreign_object_of_the_name_is_never_touched_and_stops_the_whole_document() {
    let world = World::new().await;
    foreign_secret(&world, json!({})).await;
    let before = world.snapshot().await;
    world.grant_and_push(&Doc::web("x")).await;
    let _seald = world.seald().start().await;
    let refused = world.says("web", "Applied", "ObjectNotOwned").await;
    assert!(
        refused.message.contains("web-secrets"),
        "{}",
        refused.message
    );
    assert_eq!(world.event("web", "ObjectNotOwned").await.0, "Warning");
    world.pass("web").await;
    let mut after = world.snapshot().await;
    after.remove("Secret/seald-state-web");
    assert_eq!(
        after, before,
        "neither the foreign object nor the other one of the document"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_foreign_object_that_names_the_sealed_env_is_adopted() {
    let world = World::new().await;
    foreign_secret(&world, json!({"sealctl.dev/adopt": "web"})).await;
    let revision = world.grant_and_push(&Doc::web("x")).await;
    let _seald = world.seald().start().await;
    world.synced("web", revision).await;
    world
        .holds("Secret/web-secrets", &[("PASSWORD", "x")])
        .await;
    world.event("web", "ObjectAdopted").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_objects_of_a_deleted_sealed_env_are_taken_back_by_its_successor_without_a_restart() {
    let doc = Doc::web("x");
    let (world, _seald) = synced(&doc).await;
    let web = deployment("web").reads_env_from_secret("web-secrets");
    world.runs(web).await;
    world.rolled_out("deployment/web").await;
    world.pass("web").await;
    let observer = Observer::of(&world.cluster, &world.namespace).await;
    let uid = secrets(&world)
        .get("web-secrets")
        .await
        .expect("the Secret")
        .metadata
        .uid;
    let before = observer.restarts(&world.namespace, "deployment/web");
    world
        .sealed_envs()
        .delete("web", &DeleteParams::default())
        .await
        .expect("the SealedEnv");
    world
        .cluster
        .eventually(
            "the SealedEnv to be gone",
            SOON,
            &world.namespace,
            async || world.sealed_env("web").await.is_none().then_some(()),
        )
        .await;
    world
        .holds("Secret/web-secrets", &[("PASSWORD", "x")])
        .await;
    let revision = world.push(&doc).await;
    world.synced("web", revision).await;
    world.event("web", "ObjectAdopted").await;
    observer.quiet_for(QUIET).await;
    assert_eq!(
        secrets(&world)
            .get("web-secrets")
            .await
            .expect("the Secret")
            .metadata
            .uid,
        uid
    );
    assert_eq!(
        observer.restarts(&world.namespace, "deployment/web"),
        before
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_of_two_documents_that_claim_one_object_the_second_changes_nothing() {
    let deliver = "deliver:\n- secret: shared\n  keys: [TOKEN]\n";
    let first = Doc::of("first").secret("TOKEN", "of-first").with(deliver);
    let second = Doc::of("second")
        .secret("TOKEN", "of-second")
        .config("A", "b")
        .with("deliver:\n- configMap: second-config\n- secret: shared\n  keys: [TOKEN]\n");
    let (world, _seald) = synced(&first).await;
    let before = world.snapshot().await;
    world.grant_and_push(&second).await;
    let refused = world.says("second", "Applied", "DuplicateTarget").await;
    assert!(refused.message.contains("shared"), "{}", refused.message);
    assert_eq!(world.event("second", "DuplicateTarget").await.0, "Warning");
    world.pass("first").await;
    let mut after = world.snapshot().await;
    after.remove("Secret/seald-state-second");
    assert_eq!(after, before);
    world.holds("Secret/shared", &[("TOKEN", "of-first")]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_deleted_object_comes_back_and_a_hand_edit_is_reverted() {
    let (world, _seald) = synced(&Doc::web("x")).await;
    secrets(&world)
        .delete("web-secrets", &DeleteParams::default())
        .await
        .expect("the Secret");
    world.pass("web").await;
    world
        .holds("Secret/web-secrets", &[("PASSWORD", "x")])
        .await;
    let edit = json!({"data": {"HOST": "elsewhere", "ADDED": "by hand"}});
    world
        .cluster
        .merge::<ConfigMap>(&world.namespace, "web-config", edit)
        .await;
    world.pass("web").await;
    world.holds("ConfigMap/web-config", &[("HOST", "db")]).await;
    assert_eq!(world.event("web", "DriftCorrected").await.0, "Warning");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_an_object_that_the_document_no_longer_names_goes_unless_it_says_prune_false() {
    let all = "deliver:\n- secret: one\n- secret: two\n  prune: false\n- secret: three\n";
    let fewer = "deliver:\n- secret: one\n";
    let doc = |deliver: &str| Doc::of("web").secret("TOKEN", "t").with(deliver);
    let (world, _seald) = synced(&doc(all)).await;
    // The rights of the fuller document stay.
    let revision = world.push(&doc(fewer)).await;
    world.synced("web", revision).await;
    world.gone("Secret/three").await;
    world.event("web", "ObjectPruned").await;
    for kept in ["Secret/one", "Secret/two"] {
        assert!(world.data(kept).await.is_some(), "{kept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_objects_carry_the_marks_of_their_owner_and_an_exact_content() {
    let (world, _seald) = synced(&Doc::web("x")).await;
    let secret = secrets(&world)
        .get("web-secrets")
        .await
        .expect("the Secret");
    let uid = world.sealed_env("web").await.expect("the SealedEnv")["metadata"]["uid"].clone();
    let labels = secret.metadata.labels.unwrap_or_default();
    let wanted = [
        ("app.kubernetes.io/managed-by", "seald"),
        ("app.kubernetes.io/part-of", "web"),
        ("sealctl.dev/env", &*world.environment),
        ("sealctl.dev/owner", "web"),
    ];
    let wanted: BTreeMap<String, String> = wanted
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    assert_eq!(labels, wanted);
    let annotations = secret.metadata.annotations.unwrap_or_default();
    assert_eq!(json!(annotations["sealctl.dev/owner-uid"]), uid);
    assert!(annotations["sealctl.dev/content-hash"].starts_with("v1:"));
    assert_eq!(
        secret.metadata.owner_references, None,
        "no owner references on data"
    );
    assert_eq!(secret.type_.as_deref(), Some("Opaque"));
}
