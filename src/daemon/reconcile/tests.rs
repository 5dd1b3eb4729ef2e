//! Beginning again after a panic.

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::cluster::status::to_resource;
use crate::crypto::Identity;
use crate::daemon::shell::scripted::{PLAIN, Server, answer, config, seal, sealed_env, shell};
use crate::env::ObjectKind;
use crate::plan::conditions::{Status, Target, TargetState};
use crate::plan::snapshot::ObjectId;

struct Case {
    reconciler: Reconciler,
    server: Server,
    /// The SealedEnv as the API server has it now: with a status.
    object: Value,
    status: Status,
    _folder: tempfile::TempDir,
}

/// A SealedEnv that this process has seen with a blank status, and whose status it has written since.
async fn case() -> Case {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::generate();
    let (shell, server) = shell(config(folder.path(), Some(&identity), "warn"));
    let seen = sealed_env(seal(&identity, PLAIN, 1));
    let mut reconciler = Reconciler::new(shell, &seen, Arc::default());
    reconciler.take(Box::new(seen.clone())).await;
    let status = Status {
        observed_generation: 1,
        last_applied_revision: Some(1),
        targets: vec![Target {
            id: ObjectId {
                kind: ObjectKind::Secret,
                name: "no-longer-named".into(),
            },
            uid: "t".into(),
            resource_version: "7".into(),
            keys: 1,
            state: TargetState::Applied,
            content_hash: None,
        }],
        ..Status::default()
    };
    let object = json!({
        "metadata": { "namespace": "apps", "name": "web", "uid": "u", "generation": 1, "resourceVersion": "2" },
        "spec": { "environment": "prod", "document": seen.document },
        "status": to_resource(&status),
    });
    Case {
        reconciler,
        server,
        object,
        status,
        _folder: folder,
    }
}

#[tokio::test]
async fn after_a_panic_it_begins_with_the_status_that_the_cluster_has() {
    let mut case = case().await;
    case.reconciler.forget();
    let answered = answer(&mut case.server, 200, &case.object);
    let (events, _) = tokio::join!(case.reconciler.recover(), answered);
    let state = case.reconciler.state.unwrap();
    assert_eq!(*state.status(), case.status);
    assert!(matches!(events.last(), Some(Event::Document(_))));
}

#[tokio::test]
async fn a_sealed_env_that_cannot_be_read_after_a_panic_is_read_later() {
    let mut case = case().await;
    case.reconciler.forget();
    let missing = json!({ "kind": "Status", "code": 404, "reason": "NotFound" });
    let (_sender, mut inbox) = mpsc::unbounded_channel();
    let Case {
        reconciler,
        server,
        object,
        ..
    } = &mut case;
    let turn = reconciler.work(None, &mut inbox);
    let (turn, _) = tokio::join!(turn, answer(server, 404, &missing));
    assert!(matches!(turn, Turn::Done) && reconciler.state.is_none());
    let later = reconciler.next_moment();
    assert!(later > Instant::now(), "not without a pause");
    // Nothing that is told brings the state back, and nothing is asked for it.
    let told = reconciler.work(Some(Notice::Reconnected), &mut inbox).await;
    assert!(matches!(told, Turn::Done) && reconciler.state.is_none());
    assert_eq!(reconciler.next_moment(), later);
    let (events, _) = tokio::join!(reconciler.recover(), answer(server, 200, object));
    assert!(reconciler.state.is_some() && !events.is_empty());
}
