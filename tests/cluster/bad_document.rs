//! Documents that must not be applied: each has its reason and its Event, and changes nothing.

use std::io::Write as _;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use sealctl::crypto::Identity;

use super::main_job::QUIET;
use super::rig::{Observer, deployment};
use super::world::{Doc, SOON, Seald, Snapshot, World, seal};

/// A world where `web` is in place with the password `good`, and a Deployment reads it.
struct Good {
    world: World,
    observer: Observer,
    before: Snapshot,
    _seald: Seald,
}

impl Good {
    async fn new() -> Self {
        let world = World::new().await;
        let web = deployment("web").reads_env_from_secret("web-secrets");
        world.runs(web).await;
        let revision = world
            .grant_and_push(&Doc::web("good").secret("TOKEN", "other"))
            .await;
        let seald = world.seald().start().await;
        world.synced("web", revision).await;
        world.rolled_out("deployment/web").await;
        let observer = Observer::of(&world.cluster, &world.namespace).await;
        let before = world.snapshot().await;
        Self {
            world,
            observer,
            before,
            _seald: seald,
        }
    }

    /// Applies a document, and shows that it is refused with this condition, reason and message, and changes nothing.
    async fn refuses(&self, document: &str, condition: &str, reason: &str, words: &[&str]) {
        self.world.push_text("web", document).await;
        self.refused(condition, reason, words).await;
    }

    /// The same for a plaintext that is no document, once it is sealed.
    async fn refuses_plain(&self, plain: String, words: &[&str]) {
        let sealed = self.world.seal(&plain);
        self.refuses(&sealed, "Decrypted", "InvalidDocument", words)
            .await;
    }

    async fn refused(&self, condition: &str, reason: &str, words: &[&str]) {
        let said = self.world.says("web", condition, reason).await;
        assert_ne!(said.status, "True", "{said:?}");
        for word in words {
            assert!(
                said.message.contains(word),
                "{word:?} is not in: {}",
                said.message
            );
        }
        let ready = self.world.says("web", "Ready", reason).await;
        assert_eq!(ready.status, "False", "{ready:?}");
        let (kind, note) = self.world.event("web", reason).await;
        assert_eq!(kind, "Warning", "{note}");
        self.unchanged().await;
    }

    async fn unchanged(&self) {
        self.observer.quiet_for(QUIET).await;
        assert_eq!(
            self.world.snapshot().await,
            self.before,
            "nothing may change"
        );
        assert_eq!(
            self.observer
                .restarts(&self.world.namespace, "deployment/web"),
            0
        );
    }

    /// The good document, sealed with the next revision.
    fn good(&self) -> String {
        self.world.seal(&self.plain())
    }

    fn plain(&self) -> String {
        Doc::web("good").secret("TOKEN", "other").text(&self.world)
    }

    /// The good document is applied again, and all is well.
    async fn recovers(&self) {
        let revision = self
            .world
            .push(&Doc::web("good").secret("TOKEN", "other"))
            .await;
        self.world.synced("web", revision).await;
        self.unchanged().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_changed_swapped_and_truncated_ciphertext_is_refused() {
    let good = Good::new().await;
    let text = good.good();
    let mac = text.replace("HOST: \"db\"", "HOST: \"evil\"");
    good.refuses(&mac, "Decrypted", "IntegrityFailed", &[])
        .await;

    let swapped = swap(&text, "PASSWORD: ", "TOKEN: ");
    assert_ne!(swapped, text);
    good.refuses(&swapped, "Decrypted", "IntegrityFailed", &[])
        .await;

    // The last lines are missing: what is left still looks like a sealed document to the API server.
    let end = text.find("mac: ").expect("a MAC") + 20;
    good.refuses(&text[..end], "Decrypted", "InvalidDocument", &[])
        .await;
    good.recovers().await;
}

impl World {
    /// Makes seald compare its objects with the cluster: a marker of its name that is not its own. The SealedEnv does not change.
    async fn make_it_look(&self) {
        let marker = serde_json::json!({"spec": {"template": {"metadata": {"annotations": {
            "sealctl.dev/content-hash.web": "v1:00000000000000000000000000000000"
        }}}}});
        self.cluster
            .merge::<Deployment>(&self.namespace, "web", marker)
            .await;
    }
}

/// Exchanges what follows two words on their lines.
fn swap(text: &str, one: &str, two: &str) -> String {
    let value = |word: &str| {
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(word))
            .expect("a line");
        line.split_once(word).expect("the word").1.to_owned()
    };
    let (first, second) = (value(one), value(two));
    text.replace(&format!("{one}{first}"), "@first@")
        .replace(&format!("{two}{second}"), &format!("{two}{first}"))
        .replace("@first@", &format!("{one}{second}"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_unknown_fields_duplicate_keys_and_invalid_names_are_refused() {
    let good = Good::new().await;
    good.refuses_plain(
        good.plain().replace("config:", "confg:"),
        &["confg", "config"],
    )
    .await;
    good.refuses_plain(
        good.plain()
            .replace("  settle: 0s", "  settle: 0s\n  onFailur: hold"),
        &["onFailur", "onFailure"],
    )
    .await;
    good.refuses_plain(
        good.plain().replace("  HOST: \"db\"", "  HO=ST: \"db\""),
        &["HO=ST"],
    )
    .await;
    good.refuses_plain(
        good.plain() + "deliver:\n- secret: Not_A_Name\n",
        &["Not_A_Name"],
    )
    .await;
    good.refuses_plain(
        good.plain().replace("  HOST: \"db\"", "  HOST: 0123"),
        &["HOST", "quote it"],
    )
    .await;
    let doubled = good
        .good()
        .replace("  HOST: \"db\"", "  HOST: \"db\"\n  HOST: \"db\"");
    good.refuses(
        &doubled,
        "Decrypted",
        "InvalidDocument",
        &["line 8", "twice"],
    )
    .await;
    good.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_plaintext_where_ciphertext_must_be_is_refused_and_never_repeated() {
    let good = Good::new().await;
    let sealed = good.good();
    let line = sealed
        .lines()
        .find(|line| line.trim_start().starts_with("TOKEN: "))
        .expect("a line");
    let plain = sealed.replace(line, "  TOKEN: in-the-clear-by-mistake");
    good.refuses(&plain, "Decrypted", "InvalidDocument", &["TOKEN"])
        .await;
    let status = good.world.sealed_env("web").await.expect("the SealedEnv")["status"].to_string();
    assert!(!status.contains("in-the-clear"), "{status}");
    good.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_values_that_no_variable_or_object_can_hold_are_refused() {
    let good = Good::new().await;
    good.refuses_plain(
        good.plain().replace("\"other\"", "\"a\\0b\""),
        &["TOKEN", "NUL"],
    )
    .await;
    good.refuses_plain(
        good.plain()
            .replace("\"other\"", &format!("\"{}\"", "x".repeat(140_000))),
        &["TOKEN", "131071"],
    )
    .await;
    // Small in the file, too big in the object: three copies of one value, each one fit for a file.
    let big = "y".repeat(500_000);
    let many = good.plain().replace("\"other\"", &format!("\"{big}\""))
        + "deliver:\n- secret: web-secrets\n  type: kubernetes.io/tls\n  keys: {tls.crt: TOKEN, tls.key: TOKEN, ca.crt: TOKEN}\n";
    good.refuses_plain(many, &["web-secrets", "1048576"]).await;
    good.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_document_of_another_place_is_refused() {
    let good = Good::new().await;
    let world = &good.world;
    let elsewhere = [
        Doc::web("evil").text_in("another-environment", &world.namespace),
        Doc::web("evil").text_in(&world.environment, "another-namespace"),
        Doc::of("another-app")
            .secret("PASSWORD", "evil")
            .text(world),
    ];
    for plain in elsewhere {
        good.refuses(
            &world.seal(&plain),
            "Verified",
            "WrongTarget",
            &["another-"],
        )
        .await;
    }
    good.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_lower_revision_is_refused() {
    let good = Good::new().await;
    let old = seal(
        &Doc::web("old").text(&good.world),
        0,
        &[good.world.identity.recipient()],
    );
    drop(old);
    // Two further ones, then the first of them again.
    let plain = good.plain();
    let (earlier, later) = (good.world.seal(&plain), good.world.seal(&plain));
    good.world.push_text("web", &later).await;
    good.world.synced("web", good.world.revision()).await;
    good.refuses(&earlier, "Verified", "RevisionTooOld", &[])
        .await;
    good.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_document_for_other_readers_is_refused() {
    let good = Good::new().await;
    let revision = good.world.next_revision();
    let foreign = seal(&good.plain(), revision, &[Identity::generate().recipient()]);
    good.refuses(&foreign, "Decrypted", "NotRecipient", &[])
        .await;
    let verified = good
        .world
        .condition("web", "Verified")
        .await
        .expect("the condition");
    assert_ne!(
        verified.status, "False",
        "the seal hangs on the data key: nothing is known of it"
    );
    good.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_wrong_or_missing_identity_is_said_and_a_right_one_mends_it() {
    let mends = async |identity: &[u8]| {
        let world = World::new().await;
        world.put_identity(identity);
        let before = world.snapshot().await;
        let revision = world.grant_and_push(&Doc::web("x")).await;
        let seald = world.seald().start().await;
        world.says("web", "Decrypted", "NoIdentity").await;
        assert_eq!(world.event("web", "NoIdentity").await.0, "Warning");
        let said = seald.ready_is(&world, 503).await;
        assert!(said.contains("NoIdentity"), "{said}");
        assert_eq!(world.snapshot().await, before);
        world.put_identity(world.identity.text().expose());
        world.synced("web", revision).await;
        world
            .holds("Secret/web-secrets", &[("PASSWORD", "x")])
            .await;
        seald.ready_is(&world, 200).await;
    };
    tokio::join!(
        mends(b""),
        mends(b"# nothing yet\n"),
        mends(b"AGE-SECRET-KEY-1WRONG\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_an_identity_that_goes_after_the_first_sync_is_said_when_it_is_needed() {
    let world = World::new().await;
    let web = deployment("web").reads_env_from_secret("web-secrets");
    world.runs(web).await;
    let revision = world.grant_and_push(&Doc::web("x")).await;
    let _seald = world.seald().start().await;
    world.synced("web", revision).await;
    world.put_identity(b"# gone\n");
    // Somebody deletes an object: to make it again, the document has to be opened again.
    let secret = ["-n", &world.namespace, "delete", "secret", "web-secrets"];
    world.cluster.kubectl_ok(&secret).await;
    world.make_it_look().await;
    let said = world.says("web", "Decrypted", "NoIdentity").await;
    assert_eq!(said.status, "False");
    world.says("web", "Ready", "NoIdentity").await;
    world.holds("ConfigMap/web-config", &[("HOST", "db")]).await;
    world.put_identity(world.identity.text().expose());
    world.synced("web", revision).await;
    world
        .holds("Secret/web-secrets", &[("PASSWORD", "x")])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_file_with_plaintext_among_its_secrets_is_refused_and_not_mirrored() {
    let world = World::new().await;
    let first = world.grant_and_store(&Doc::web("good")).await;
    let _seald = world.seald_on_folder().start().await;
    world.synced("web", first).await;
    let before = world.snapshot().await;
    // Without the identity the document cannot be opened, and yet nothing of it may travel.
    world.put_identity(b"# gone\n");
    let sealed = world.seal(&Doc::web("better").text(&world));
    let leaking = sealed.replacen("secrets:\n", "secrets:\n  LEAKED: plain-5e1f\n", 1);
    assert_ne!(leaking, sealed);
    world.store_text("web", &leaking);
    let said = world.says("web", "SourceReady", "SourceInvalid").await;
    assert_eq!(said.status, "False");
    assert!(said.message.contains("LEAKED"), "{}", said.message);
    let mirrored = world.sealed_env("web").await.expect("a SealedEnv");
    assert!(!mirrored.to_string().contains("plain-5e1f"));
    assert_eq!(world.snapshot().await, before);
    world.put_identity(world.identity.text().expose());
    let second = world.store(&Doc::web("better"));
    world.synced("web", second).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_restarted_seald_puts_objects_right_while_the_file_is_broken() {
    let world = World::new().await;
    let web = deployment("web").reads_env_from_secret("web-secrets");
    world.runs(web).await;
    let first = world.grant_and_store(&Doc::web("good")).await;
    let mut seald = world.seald_on_folder().start().await;
    world.synced("web", first).await;
    seald.stop(Duration::from_secs(10)).await;
    let seald = world.seald_on_folder().pod("seald-1").start().await;
    let synced = world
        .cluster
        .eventually("a first pass", SOON, &world.namespace, async || {
            let passes = seald.metric(&["seald_reconcile_total", "Synced"]).await;
            (passes > 0.5).then_some(())
        });
    synced.await;
    world.store_text("web", "this: is\nno: sealed document\n");
    world.says("web", "SourceReady", "SourceInvalid").await;
    let secret = ["-n", &world.namespace, "delete", "secret", "web-secrets"];
    world.cluster.kubectl_ok(&secret).await;
    world.make_it_look().await;
    world
        .holds("Secret/web-secrets", &[("PASSWORD", "good")])
        .await;
    assert_eq!(world.says("web", "Applied", "Applied").await.status, "True");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_file_that_is_read_while_it_is_written_is_taken_when_it_is_whole() {
    let world = World::new().await;
    let first = world.grant_and_store(&Doc::web("good")).await;
    let _seald = world.seald_on_folder().start().await;
    world.synced("web", first).await;
    let observer = Observer::of(&world.cluster, &world.namespace).await;
    let sealed = world.seal(&Doc::web("better").text(&world));
    // A slow writer: the file is cut to nothing and grows in pieces, each one seen by the watch of the folder.
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(world.file("web"))
        .expect("the file");
    for piece in sealed.as_bytes().chunks(sealed.len() / 8 + 1) {
        tokio::time::sleep(Duration::from_millis(80)).await;
        file.write_all(piece).expect("room in the scratch folder");
        file.flush().expect("room in the scratch folder");
    }
    drop(file);
    world.synced("web", world.revision()).await;
    world
        .holds("Secret/web-secrets", &[("PASSWORD", "better")])
        .await;
    observer.quiet_for(QUIET).await;
    let versions = observer
        .changes_of("Secret")
        .into_iter()
        .filter(|change| change.name == "web-secrets")
        .count();
    assert_eq!(versions, 1, "nothing but the whole file was ever applied");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_a_file_that_is_no_document_keeps_the_former_one_and_says_so() {
    let world = World::new().await;
    let first = world.grant_and_store(&Doc::web("good")).await;
    let seald = world.seald_on_folder().start().await;
    world.synced("web", first).await;
    let before = world.snapshot().await;
    world.store_text("web", "this: is\nno: sealed document\n");
    let said = world.says("web", "SourceReady", "SourceInvalid").await;
    assert_eq!(said.status, "False");
    assert_eq!(world.event("web", "SourceInvalid").await.0, "Warning");
    assert_eq!(world.snapshot().await, before);
    world.store_text("new", "this: is\nno: sealed document\n");
    let named = world.cluster.eventually(
        "the new file in /readyz?verbose",
        SOON,
        &world.namespace,
        async || {
            seald
                .probe("/readyz?verbose")
                .await
                .filter(|answer| answer.body.contains("new.yaml"))
        },
    );
    named.await;
    let second = world.store(&Doc::web("better"));
    world.synced("web", second).await;
}
