//! The main job: a sealed file becomes ConfigMap and Secret, the workloads run with them, the superuser exists; a changed value
//! rolls exactly its readers; nothing else moves anything.

use std::fs;
use std::time::Duration;

use serde_json::json;

use super::rig::{Observer, deployment};
use super::world::{Doc, World};

/// Long enough for what must not happen to happen, on a busy machine as well: what seald does follows within milliseconds.
pub(crate) const QUIET: Duration = Duration::from_millis(400);

fn polls(password: &str) -> Doc {
    Doc::of("polls")
        .config("HOST", "postgres")
        .config("PORT", "5432")
        .secret("PASSWORD", password)
        .secret("KEY", "k")
        .derived(
            "URL",
            "postgres://polls:{{ PASSWORD | urlencode }}@{{ HOST }}:{{ PORT }}/polls",
        )
        .superuser("first-password")
}

/// `web` reads the Secret; `other` reads nothing that seald writes.
async fn readers(world: &World) {
    let web = deployment("web")
        .reads_env_from_secret("polls-secrets")
        .reads_env_from_config_map("polls-config")
        .clones_say("created");
    world.runs(web).await;
    let other = deployment("other").reads_config_key("HOST", "polls-config", "HOST");
    world.runs(other).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_sealed_file_becomes_objects_one_rollout_and_a_superuser() {
    let world = World::new().await;
    let observer = Observer::of(&world.cluster, &world.namespace).await;
    let mut seald = world.seald_on_folder().start().await;
    let revision = world.grant_and_store(&polls("a b")).await;
    world
        .holds(
            "ConfigMap/polls-config",
            &[("HOST", "postgres"), ("PORT", "5432")],
        )
        .await;
    world
        .holds(
            "Secret/polls-secrets",
            &[
                ("KEY", "k"),
                ("PASSWORD", "a b"),
                ("URL", "postgres://polls:a%20b@postgres:5432/polls"),
            ],
        )
        .await;
    world
        .says("polls", "Bootstrapped", "BootstrapWaiting")
        .await;
    assert_eq!(
        observer.jobs(&world.namespace),
        Vec::<String>::new(),
        "there is nothing to clone yet"
    );
    readers(&world).await;
    world.synced("polls", revision).await;
    let created = world
        .says("polls", "Bootstrapped", "SuperuserCreated")
        .await;
    assert_eq!(created.status, "True");
    for name in ["web", "other"] {
        world.rolled_out(&format!("deployment/{name}")).await;
    }
    world.gone("Secret/seald-bootstrap-polls").await;
    let jobs = world.jobs().await;
    assert_eq!(jobs.len(), 1);
    assert_eq!(
        jobs[0].metadata.finalizers, None,
        "the Job's end is recorded: it may be collected"
    );
    let template = &jobs[0].spec.as_ref().expect("a spec").template;
    let pod = template.spec.as_ref().expect("a pod");
    assert_eq!(pod.automount_service_account_token, Some(false));
    assert_eq!(
        pod.containers[0].image.as_deref(),
        Some("sealctl.test/app:1")
    );
    assert!(!json!(jobs).to_string().contains("first-password"));

    let changed = world.store(&polls("c d"));
    world.synced("polls", changed).await;
    world.rolled_out("deployment/web").await;
    observer.quiet_for(QUIET).await;
    assert_eq!(
        world
            .data("Secret/polls-secrets")
            .await
            .expect("the Secret")["PASSWORD"],
        "c d"
    );
    assert_eq!(observer.restarts(&world.namespace, "deployment/web"), 1);
    assert_eq!(
        observer.restarts(&world.namespace, "deployment/other"),
        0,
        "it does not read what changed"
    );
    assert_eq!(
        observer.jobs(&world.namespace).len(),
        1,
        "a change of the content makes no superuser again"
    );
    for reason in ["RolloutTriggered", "RolloutFinished", "SuperuserCreated"] {
        world.event("polls", reason).await;
    }
    seald.assert_never_forbidden();
    let status = seald.stop(Duration::from_secs(10)).await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_file_that_is_touched_or_sealed_anew_with_the_same_values_moves_nothing() {
    let world = World::new().await;
    let doc = Doc::web("x");
    world.grant(&Doc::of("fence").config("N", "0")).await;
    let web = deployment("web").reads_env_from_secret("web-secrets");
    world.runs(web).await;
    let revision = world.grant_and_store(&doc).await;
    let _seald = world.seald_on_folder().start().await;
    world.synced("web", revision).await;
    let observer = Observer::of(&world.cluster, &world.namespace).await;
    let before = world.snapshot().await;
    let mark = world.cluster.mark().await;

    let text = fs::read_to_string(world.file("web")).expect("the file");
    world.store_text("web", &text);
    // The folder is read as a whole: when the other document is in place, the touched file has been read.
    let fence = world.store(&Doc::of("fence").config("N", "1"));
    world.synced("fence", fence).await;
    observer.quiet_for(QUIET).await;
    let writes = world
        .cluster
        .writes_by(&world.user(), mark)
        .await
        .without_leases_and_events();
    let about_web = writes.only(|write| write.name.contains("web"));
    assert_eq!(about_web.count(), 0, "{about_web:?}");

    let again = world.store(&doc);
    world.synced("web", again).await;
    observer.quiet_for(QUIET).await;
    assert_eq!(observer.restarts(&world.namespace, "deployment/web"), 0);
    let after = world.snapshot().await;
    for object in [
        "Secret/web-secrets",
        "ConfigMap/web-config",
        "Deployment/web",
    ] {
        assert_eq!(
            after[object], before[object],
            "{object}: the same content under a new data key"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_restart_of_seald_with_nothing_changed_writes_nothing() {
    let world = World::new().await;
    let web = deployment("web")
        .reads_env_from_secret("web-secrets")
        .clones_say("created");
    world.runs(web).await;
    let revision = world.grant_and_store(&Doc::web("x").superuser("p")).await;
    let mut seald = world.seald_on_folder().start().await;
    world.synced("web", revision).await;
    seald.stop(Duration::from_secs(10)).await;

    let observer = Observer::of_kinds(
        &world.cluster,
        &world.namespace,
        &[super::world::sealed_envs()],
    )
    .await;
    let mark = world.cluster.mark().await;
    let seald = world.seald_on_folder().pod("seald-1").start().await;
    seald.leads(&world).await;
    world
        .cluster
        .eventually(
            "the first pass after the restart",
            super::world::SOON,
            &world.namespace,
            async || {
                (seald.metric(&["seald_reconcile_total", "success"]).await > 0.0).then_some(())
            },
        )
        .await;
    observer.quiet_for(QUIET).await;
    let changes: Vec<_> = observer.changes();
    assert!(changes.is_empty(), "{changes:?}");
    let writes = world
        .cluster
        .writes_by(&world.user(), mark)
        .await
        .without_leases_and_events();
    assert_eq!(writes.count(), 0, "{writes:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_broken_file_is_said_and_the_last_good_content_stays() {
    let world = World::new().await;
    let web = deployment("web").reads_env_from_secret("web-secrets");
    world.runs(web).await;
    let revision = world.grant_and_store(&Doc::web("good")).await;
    let _seald = world.seald_on_folder().start().await;
    world.synced("web", revision).await;
    let observer = Observer::of(&world.cluster, &world.namespace).await;
    let before = world.snapshot().await;

    let text = fs::read_to_string(world.file("web")).expect("the file");
    world.store_text("web", &text.replace("HOST: \"db\"", "HOST: \"dc\""));
    let condition = world.says("web", "Decrypted", "IntegrityFailed").await;
    assert_eq!(condition.status, "False");
    let ready = world.says("web", "Ready", "IntegrityFailed").await;
    assert_eq!(ready.status, "False");
    assert_eq!(world.event("web", "IntegrityFailed").await.0, "Warning");
    observer.quiet_for(QUIET).await;
    assert_eq!(world.snapshot().await, before);
    assert_eq!(
        world.data("Secret/web-secrets").await.expect("the Secret")["PASSWORD"],
        "good"
    );

    let mended = world.store(&Doc::web("better"));
    world.synced("web", mended).await;
    world.rolled_out("deployment/web").await;
    assert_eq!(observer.restarts(&world.namespace, "deployment/web"), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_several_changes_within_the_settling_time_make_one_restart() {
    let world = World::new().await;
    let web = deployment("web").reads_env_from_secret("web-secrets");
    world.runs(web).await;
    let settling = |value: &str| {
        let text = Doc::web(value)
            .text(&world)
            .replace("settle: 0s", "settle: 2s");
        (text, value.to_owned())
    };
    let push = async |value: &str| {
        let sealed = world.seal(&settling(value).0);
        world.push_text("web", &sealed).await;
        world
            .holds("Secret/web-secrets", &[("PASSWORD", value)])
            .await;
    };
    world.grant(&Doc::web("x")).await;
    let observer = Observer::of(&world.cluster, &world.namespace).await;
    let _seald = world.seald().start().await;
    push("0").await;
    world.synced("web", world.revision()).await;
    for value in ["1", "2", "3"] {
        push(value).await;
    }
    world.synced("web", world.revision()).await;
    world.rolled_out("deployment/web").await;
    observer.quiet_for(QUIET).await;
    assert_eq!(observer.restarts(&world.namespace, "deployment/web"), 1);
}
