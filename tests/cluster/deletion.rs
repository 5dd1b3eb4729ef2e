//! What goes with a SealedEnv under `deletionPolicy: Delete`, and that nothing else does.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::Role;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::rig::Cluster;
use super::world::{Doc, SOON, Seald, World};

const OBJECTS: [&str; 3] = [
    "ConfigMap/web-config",
    "Secret/web-secrets",
    "Secret/seald-state-web",
];

/// A SealedEnv that takes its objects with it, in place.
async fn in_place() -> (World, Seald) {
    let world = World::on(Cluster::api().await).await;
    let doc = Doc::web("x");
    world.grant(&doc).await;
    let document = world.seal(&doc.text(&world));
    let spec = json!({
        "environment": world.environment, "document": document, "deletionPolicy": "Delete"
    });
    world.push_spec("web", spec).await;
    let seald = world.seald().start().await;
    world.synced("web", world.revision()).await;
    assert_eq!(finalizers(&world).await, json!(["sealctl.dev/cleanup"]));
    (world, seald)
}

async fn finalizers(world: &World) -> serde_json::Value {
    let found = world.sealed_env("web").await.expect("the SealedEnv");
    found["metadata"]["finalizers"].clone()
}

async fn delete(world: &World) {
    let (api, params) = (world.sealed_envs(), DeleteParams::default());
    api.delete("web", &params).await.expect("the SealedEnv");
}

async fn is_gone(world: &World, within: Duration) {
    let what = "the SealedEnv to be gone";
    let gone = world
        .cluster
        .eventually(what, within, &world.namespace, async || {
            let api = world.sealed_envs();
            api.get_opt("web").await.ok()?.is_none().then_some(())
        });
    gone.await;
    for object in OBJECTS {
        world.gone(object).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_a_sealed_env_takes_its_objects_with_it_and_nothing_else() {
    let (world, seald) = in_place().await;
    let foreign = json!({"metadata": {"name": "mine"}, "stringData": {"MINE": "foreign"}});
    let foreign: Secret = serde_json::from_value(foreign).expect("a Secret");
    world.cluster.create(&world.namespace, &foreign).await;
    // What cannot be opened any more goes all the same: the status knows what was written.
    let broken = world
        .seal(&Doc::web("y").text(&world))
        .replace("mac: ENC[", "mac: ENC[x");
    let spec = json!({
        "environment": world.environment, "document": broken, "deletionPolicy": "Delete"
    });
    world.push_spec("web", spec).await;
    world.says("web", "Decrypted", "IntegrityFailed").await;
    delete(&world).await;
    is_gone(&world, SOON).await;
    world.holds("Secret/mine", &[("MINE", "foreign")]).await;
    seald.assert_never_forbidden();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_without_the_right_to_delete_a_sealed_env_stays_and_says_what_to_grant() {
    let (world, _seald) = in_place().await;
    let roles: Api<Role> = Api::namespaced(world.cluster.client(), &world.namespace);
    let name = format!("seald-web-{}", world.environment);
    let role = roles.get(&name).await.expect("the Role");
    let all = role.rules.unwrap_or_default();
    let mut fewer = all.clone();
    fewer.retain(|rule| !rule.verbs.iter().any(|verb| verb == "delete"));
    let allow = async |rules| {
        let patch = Patch::Merge(json!({ "rules": rules }));
        let params = PatchParams::default();
        let patched = roles.patch(&name, &params, &patch).await;
        patched.expect("our own Role");
    };
    allow(fewer).await;
    delete(&world).await;
    let refused = world.says("web", "Applied", "Forbidden").await;
    assert!(
        refused.message.contains("sealctl rbac --prune"),
        "{}",
        refused.message
    );
    assert_eq!(finalizers(&world).await, json!(["sealctl.dev/cleanup"]));
    allow(all).await;
    // What was forbidden is tried again after half a minute.
    is_gone(&world, Duration::from_secs(90)).await;
}
