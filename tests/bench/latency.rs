//! How long a change takes: SealedEnv changed → Secret changed, file changed → Secret changed.
//!
//! Both ends are seen by watches of the bench's own. A change comes when the former one has long been dealt with.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;

use super::documents;
use super::loader::Prepared;
use super::report::{Row, median, progress, quantile};
use super::rig::Cluster;
use super::stage::Stage;

const FIGURE: &str = "latency";
const SAMPLES: u64 = 50;
const RUNS: usize = 3;
/// How many SealedEnvs there are while one of them is changed.
const COUNT: usize = 1000;
/// How many files the directory holds while one of them is changed.
const FILES: usize = 20;
/// More than seald's debounce of a file's second event, and a little different each time.
const BETWEEN: Duration = Duration::from_millis(550);

/// Times of one run, in milliseconds.
struct Run {
    /// From the moment the change was stored and seen by a watch.
    seen: Vec<f64>,
    /// From the moment before the change was sent, or the file renamed.
    sent: Vec<f64>,
}

/// Measures both.
pub(crate) async fn measure() -> Vec<Row> {
    let mut rows = resource().await;
    rows.extend(file().await);
    rows
}

async fn resource() -> Vec<Row> {
    progress(&format!(
        "latency: SealedEnv changed → Secret changed, {COUNT} SealedEnvs"
    ));
    let stage = Stage::set(Cluster::api().await, COUNT, "").await;
    stage.apply_documents().await;
    let mut seald = stage.start_seald(&[]);
    seald.idle(Duration::from_secs(1)).await;
    let mut runs = Vec::new();
    for run in 0..RUNS {
        runs.push(resource_run(&stage, run).await);
    }
    seald.stop().await;
    rows("SealedEnv changed → Secret changed", &runs, Some(8.0))
}

async fn resource_run(stage: &Stage, run: usize) -> Run {
    let (namespace, app) = (documents::namespace(run), documents::app(run));
    let mut secrets = watch(
        stage,
        "/api/v1",
        &namespace,
        "secrets",
        &format!("{app}-secrets"),
    )
    .await;
    let group = "/apis/sealctl.dev/v1alpha1";
    let mut sealed = watch(stage, group, &namespace, "sealedenvs", &app).await;
    let mut times = Run {
        seen: Vec::new(),
        sent: Vec::new(),
    };
    for version in 1..=SAMPLES {
        let text = stage
            .readers
            .seal(&documents::plain(run, version, ""), version + 1);
        let body = documents::sealed_env(run, &text);
        let change = Prepared::apply(&documents::sealed_env_path(run), "bench", body);
        tokio::time::sleep(BETWEEN + Duration::from_millis(version % 10)).await;
        drain(&mut secrets);
        drain(&mut sealed);
        let sender = stage.admin.connected().await;
        let begin = Instant::now();
        let sent = tokio::spawn(sender.send(change));
        let stored = next(&mut sealed).await;
        let written = next(&mut secrets).await;
        sent.await.expect("the change is stored");
        times.seen.push(milliseconds(written - stored));
        times.sent.push(milliseconds(written - begin));
    }
    times
}

async fn file() -> Vec<Row> {
    progress(&format!(
        "latency: file changed → Secret changed, {FILES} files"
    ));
    let stage = Stage::set(Cluster::api().await, FILES, "").await;
    stage.grant_directory().await;
    let source = format!("dir:{}", stage.project().display());
    let mut seald = stage.start_seald(&["--source", &source]);
    seald.idle(Duration::from_secs(1)).await;
    let mut runs = Vec::new();
    for run in 0..RUNS {
        runs.push(file_run(&stage, run).await);
    }
    seald.stop().await;
    rows(
        "file changed → Secret changed (debounce apart)",
        &runs,
        None,
    )
}

async fn file_run(stage: &Stage, run: usize) -> Run {
    let (namespace, app) = (documents::namespace(run), documents::app(run));
    let mut secrets = watch(
        stage,
        "/api/v1",
        &namespace,
        "secrets",
        &format!("{app}-secrets"),
    )
    .await;
    let path = documents::file_of(stage.project(), run);
    // Outside of what seald watches.
    let beside = stage.cluster.plane().dir().join("new");
    let mut times = Run {
        seen: Vec::new(),
        sent: Vec::new(),
    };
    for version in 1..=SAMPLES {
        let text = stage
            .readers
            .seal(&documents::plain(run, version, ""), version + 1);
        fs::write(&beside, text).expect("room");
        tokio::time::sleep(BETWEEN + Duration::from_millis(version % 10)).await;
        drain(&mut secrets);
        let begin = Instant::now();
        fs::rename(&beside, &path).expect("the same file system");
        let written = next(&mut secrets).await;
        times.sent.push(milliseconds(written - begin));
    }
    times.seen.clone_from(&times.sent);
    times
}

fn rows(what: &str, runs: &[Run], aim: Option<f64>) -> Vec<Row> {
    let over = |part: f64, field: fn(&Run) -> &Vec<f64>| {
        let values: Vec<f64> = runs.iter().map(|run| quantile(field(run), part)).collect();
        median(&values)
    };
    let (p50, p99) = (over(0.5, |run| &run.seen), over(0.99, |run| &run.seen));
    let (sent50, sent99) = (over(0.5, |run| &run.sent), over(0.99, |run| &run.sent));
    let per_run: BTreeMap<String, f64> = runs
        .iter()
        .enumerate()
        .map(|(number, run)| {
            (
                format!("p50 of run {}", number + 1),
                quantile(&run.seen, 0.5),
            )
        })
        .collect();
    let numbers = json!({
        "p50_ms": p50, "p99_ms": p99, "with_request_p50_ms": sent50, "with_request_p99_ms": sent99,
        "runs": per_run, "samples": runs.iter().map(|run| run.seen.len()).sum::<usize>()
    });
    let mut row = Row::note(
        FIGURE,
        what,
        format!("p50 {p50:.1} ms, p99 {p99:.1} ms"),
        numbers,
    );
    if let Some(aim) = aim {
        row = row
            .peer(format!(
                "request of the change included: p50 {sent50:.1} ms, p99 {sent99:.1} ms"
            ))
            .aim(format!("p50 ≤ {aim:.0} ms"), p50 <= aim);
    }
    vec![row]
}

/// An object of which nothing is read but that it changed.
#[derive(Clone, Debug, Deserialize)]
struct Anything {}

/// When an object changes, from now on.
async fn watch(
    stage: &Stage,
    group: &str,
    namespace: &str,
    plural: &str,
    name: &str,
) -> UnboundedReceiver<Instant> {
    let path = format!(
        "{group}/namespaces/{namespace}/{plural}?watch=1&fieldSelector=metadata.name%3D{name}&timeoutSeconds=3600"
    );
    stage.watch(path, |_: Anything| Instant::now()).await
}

fn drain(changes: &mut UnboundedReceiver<Instant>) {
    while changes.try_recv().is_ok() {}
}

async fn next(changes: &mut UnboundedReceiver<Instant>) -> Instant {
    let change = tokio::time::timeout(Duration::from_secs(20), changes.recv()).await;
    change
        .expect("the change arrives within 20 s")
        .expect("the watch stands")
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
