//! One Secret, read by 500 Deployments, is changed: how long from the canary's success to the last restart.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;

use super::documents;
use super::loader::Prepared;
use super::log::{AuditLog, Write};
use super::report::{Row, median, progress, shown};
use super::rig::{Cluster, Observer, deployment};
use super::stage::{ACCOUNT, Seald, Stage};

const FIGURE: &str = "wave";
const COUNT: usize = 500;
const RUNS: usize = 3;
/// Of the bare loader: as many as seald has requests in flight at most.
const CONNECTIONS: usize = 64;
const WORKLOADS: &str = "\nworkloads:\n  settle: 0s\n  parallel: 500\n";

struct Run {
    /// From the canary's success to the answer to the last patch, seconds.
    wave: f64,
    /// From the patch of the canary to its success.
    canary: f64,
    /// From the change to the last patch.
    whole: f64,
    requests: f64,
    patches: f64,
}

/// Measures three changes of the same Secret.
pub(crate) async fn measure() -> Vec<Row> {
    progress(&format!("wave: one Secret, read by {COUNT} Deployments"));
    let stage = Stage::set(Cluster::control_plane().await, 1, WORKLOADS).await;
    stage.apply_documents().await;
    let mut seald = stage.start_seald(&["--rollouts", "500"]);
    seald.idle(Duration::from_secs(1)).await;
    // Pods that start later than the Secret was written run its content.
    tokio::time::sleep(Duration::from_secs(2)).await;
    add_deployments(&stage).await;
    let namespace = documents::namespace(0);
    let observer = Observer::of(&stage.cluster, &namespace).await;
    observer.quiet_for(Duration::from_secs(5)).await;
    let mut runs = Vec::new();
    for version in 1..=RUNS as u64 {
        runs.push(change(&stage, &seald, &observer, version).await);
    }
    seald.stop().await;
    let restarts: BTreeSet<usize> = (0..COUNT)
        .map(|number| observer.restarts(&namespace, &format!("deployment/web-{number:03}")))
        .collect();
    let mut bare = Vec::new();
    for version in 1..=RUNS {
        bare.push(bare_wave(&stage, &observer, version).await);
    }
    rows(&runs, &restarts, &bare)
}

/// How long the same patches take when a bare loader sends them: the ceiling. Rolls every Deployment once more.
async fn bare_wave(stage: &Stage, observer: &Observer, version: usize) -> f64 {
    let namespace = documents::namespace(0);
    let patch = |number: usize| {
        let name = format!("web-{number:03}");
        let body = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": name },
            "spec": { "template": { "metadata": { "annotations": { "bench/restart": version.to_string() } } } },
        });
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
        Prepared::apply(&path, "bench", body.to_string())
    };
    let patches = (0..COUNT).map(patch).collect();
    let bare = stage.admin.send(CONNECTIONS, patches).await.as_secs_f64();
    observer.quiet_for(Duration::from_secs(3)).await;
    progress(&format!("  the same patches by a bare loader: {bare:.2} s"));
    bare
}

async fn add_deployments(stage: &Stage) {
    let namespace = documents::namespace(0);
    let secret = format!("{}-secrets", documents::app(0));
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    let create = |number: usize| {
        let web = deployment(&format!("web-{number:03}")).reads_env_from_secret(&secret);
        Prepared::create(&path, web.json().to_string())
    };
    stage.admin.send(16, (0..COUNT).map(create).collect()).await;
    let mut states = watch(stage, &namespace).await;
    let mut ready = BTreeSet::new();
    while ready.len() < COUNT {
        let state = next(&mut states).await;
        if state.is_complete {
            ready.insert(state.name);
        }
    }
}

async fn change(stage: &Stage, seald: &Seald, observer: &Observer, version: u64) -> Run {
    let namespace = documents::namespace(0);
    let mut states = watch(stage, &namespace).await;
    let mut log = AuditLog::of(&stage.cluster);
    let requests = seald.counter("seald_api_requests_total", "").await;
    let text = stage
        .readers
        .seal(&documents::plain(0, version, WORKLOADS), version + 1);
    let body = documents::sealed_env(0, &text);
    let change = Prepared::apply(&documents::sealed_env_path(0), "bench", body);
    let begin = jiff::Timestamp::now();
    stage.admin.send(1, vec![change]).await;
    let mut patches = Vec::new();
    let begin_waiting = Instant::now();
    while patches.len() < COUNT {
        tokio::time::sleep(Duration::from_millis(50)).await;
        patches.extend(log.news_by(ACCOUNT).into_iter().filter(is_restart));
        assert!(
            begin_waiting.elapsed() < Duration::from_secs(120),
            "{} of {COUNT} Deployments were restarted\n{}",
            patches.len(),
            seald.process.log()
        );
    }
    observer.quiet_for(Duration::from_secs(3)).await;
    patches.extend(log.news_by(ACCOUNT).into_iter().filter(is_restart));
    let used = seald.counter("seald_api_requests_total", "").await - requests;
    patches.sort_by_key(|patch| patch.received);
    let canary = &patches[0];
    let mut seen = Vec::new();
    while let Ok(state) = states.try_recv() {
        seen.push(state);
    }
    let ready = seen
        .iter()
        .find(|state| state.name == canary.name && state.is_complete && state.at > canary.answered)
        .expect("the canary becomes ready")
        .at;
    let last = patches
        .iter()
        .map(|patch| patch.answered)
        .max()
        .expect("patches");
    let between =
        |from: jiff::Timestamp, to: jiff::Timestamp| to.duration_since(from).as_secs_f64();
    let run = Run {
        wave: between(ready, last),
        canary: between(canary.received, ready),
        whole: between(begin, last),
        requests: used,
        patches: f64::from(u32::try_from(patches.len()).unwrap_or(u32::MAX)),
    };
    progress(&format!(
        "  change {version}: wave {:.2} s, canary {:.2} s, {:.0} patches, {used:.0} requests",
        run.wave, run.canary, run.patches
    ));
    run
}

fn is_restart(write: &Write) -> bool {
    write.resource == "deployments" && write.status == 200
}

fn rows(runs: &[Run], restarts: &BTreeSet<usize>, bare: &[f64]) -> Vec<Row> {
    let of = |field: fn(&Run) -> f64| runs.iter().map(field).collect::<Vec<f64>>();
    let wave = of(|run| run.wave);
    let canary = of(|run| run.canary);
    let each = restarts
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" to ");
    vec![
        Row::note(
            FIGURE,
            &format!("one Secret, {COUNT} Deployments: canary ready → last patch"),
            shown(&wave, 2, "s"),
            json!({ "wave": wave, "canary": canary, "whole": of(|run| run.whole), "bare": bare }),
        )
        .peer(format!(
            "a bare loader's patches: {}; the canary alone: {}",
            shown(bare, 2, "s"),
            shown(&canary, 2, "s")
        ))
        .aim("≤ 1 s", median(&wave) <= 1.0),
        Row::note(
            FIGURE,
            "  API requests of seald per change",
            shown(&of(|run| run.requests), 0, ""),
            json!({ "requests": of(|run| run.requests), "patches": of(|run| run.patches) }),
        )
        .peer(format!("{COUNT} patches")),
        Row::note(
            FIGURE,
            &format!("  restarts of each Deployment after {RUNS} changes, by its ReplicaSets"),
            each,
            json!(restarts),
        )
        .aim(format!("{RUNS}"), *restarts == BTreeSet::from([RUNS])),
    ]
}

/// A Deployment as its watch tells it.
struct State {
    at: jiff::Timestamp,
    name: String,
    is_complete: bool,
}

#[derive(Clone, Deserialize)]
struct Seen {
    metadata: Metadata,
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Deserialize)]
struct Metadata {
    name: String,
    generation: i64,
}

#[derive(Clone, Deserialize)]
struct Spec {
    replicas: i64,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: i64,
    replicas: i64,
    updated_replicas: i64,
    available_replicas: i64,
}

async fn watch(stage: &Stage, namespace: &str) -> UnboundedReceiver<State> {
    let path =
        format!("/apis/apps/v1/namespaces/{namespace}/deployments?watch=1&timeoutSeconds=3600");
    stage.watch(path, state).await
}

fn state(seen: Seen) -> State {
    let Seen {
        metadata,
        spec,
        status,
    } = seen;
    let counts = [
        status.replicas,
        status.updated_replicas,
        status.available_replicas,
    ];
    State {
        at: jiff::Timestamp::now(),
        name: metadata.name,
        is_complete: status.observed_generation >= metadata.generation
            && counts.iter().all(|count| *count == spec.replicas),
    }
}

async fn next(states: &mut UnboundedReceiver<State>) -> State {
    let state = tokio::time::timeout(Duration::from_secs(60), states.recv()).await;
    state
        .expect("the Deployments become ready")
        .expect("the watch stands")
}
