//! Cold start: 1,000 SealedEnvs lie in the cluster, seald starts. And the restart when everything is in place.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::documents::{self, NAMESPACES};
use super::loader::{Loader, Prepared};
use super::log::{AuditLog, Write, span};
use super::report::{Row, median, progress, shown};
use super::rig::{Cluster, Observer};
use super::stage::{ACCOUNT, Seald, Stage};

const FIGURE: &str = "cold-start";
const RESTART: &str = "restart";
/// How many SealedEnvs.
const COUNT: usize = 1000;
/// What seald may have in flight at most.
const CONNECTIONS: usize = 64;
/// Applies per second that the API server bears on two cores by other measurements.
const EXPECTED: f64 = 1700.0;
const FOREIGN: usize = 5000;

/// What one cold start gave.
struct Run {
    rate: f64,
    rate_from_start: f64,
    seconds: f64,
    writes: f64,
    processor: f64,
    peak: f64,
    loader: f64,
    /// What the loader reaches with all five writes that seald makes.
    loader_all: f64,
}

/// Measures `runs` cold starts, each on an API server of its own; the restart on that of the last one.
pub(crate) async fn measure(runs: usize, restart: bool) -> Vec<Row> {
    let mut measured = Vec::new();
    let mut rows = Vec::new();
    for run in 1..=runs {
        progress(&format!(
            "cold start {run} of {runs}: {COUNT} SealedEnvs in {NAMESPACES} namespaces"
        ));
        let stage = prepare().await;
        let mut loader = 0.0;
        // The order changes, so that a fuller server is nobody's disadvantage.
        let loader_first = run % 2 == 1;
        if loader_first {
            loader = load(&stage).await;
        }
        let mut result = cold_start(&stage).await;
        if !loader_first {
            loader = load(&stage).await;
        }
        result.loader = loader;
        let objects = as_number(3 * COUNT) / loader;
        result.loader_all = as_number(5 * COUNT) / (objects + report(&stage).await.as_secs_f64());
        progress(&format!(
            "  seald {:.0}/s ({:.0}/s from its start), loader {loader:.0}/s, {:.0}/s with status and Event",
            result.rate, result.rate_from_start, result.loader_all
        ));
        measured.push(result);
        if restart && run == runs {
            rows = measure_restart(&stage).await;
        }
    }
    let mut all = cold_rows(&measured);
    all.append(&mut rows);
    all
}

async fn prepare() -> Stage {
    let stage = Stage::set(Cluster::api().await, COUNT, "").await;
    stage.add_namespaces("load").await;
    // The loader acts as seald's ServiceAccount, with the same roles in namespaces of its own.
    stage
        .grant(
            &stage
                .roles()
                .replace("namespace: bench-", "namespace: load-"),
        )
        .await;
    stage.apply_documents().await;
    stage
}

async fn cold_start(stage: &Stage) -> Run {
    let mut log = AuditLog::of(&stage.cluster);
    let begin = jiff::Timestamp::now();
    let mut seald = stage.start_seald(&[]);
    let writes = await_all(&mut seald, &mut log).await;
    let processor = seald.processor().as_secs_f64();
    let peak = seald.peak();
    progress(&format!("  {}", by_resource(&writes)));
    check_ready(stage).await;
    seald.stop().await;
    let last = writes
        .iter()
        .map(|write| write.answered)
        .max()
        .unwrap_or(begin);
    let count = as_number(writes.len());
    let whole = last.duration_since(begin).as_secs_f64();
    Run {
        rate: count / span(&writes),
        rate_from_start: count / whole,
        seconds: whole,
        writes: count / as_number(COUNT),
        processor: processor * 1000.0 / as_number(COUNT),
        peak,
        loader: 0.0,
        loader_all: 0.0,
    }
}

/// All writes of seald but those of leader election, once there are no more.
async fn await_all(seald: &mut Seald, log: &mut AuditLog) -> Vec<Write> {
    let begin = Instant::now();
    let mut writes: Vec<Write> = Vec::new();
    let mut quiet = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let news = log.news_by(ACCOUNT);
        let news: Vec<_> = news
            .into_iter()
            .filter(|write| !write.is_election())
            .collect();
        if !news.is_empty() {
            quiet = Instant::now();
        }
        writes.extend(news);
        let statuses = writes
            .iter()
            .filter(|write| write.resource == "sealedenvs/status")
            .count();
        if statuses >= COUNT && quiet.elapsed() > Duration::from_secs(2) {
            return writes;
        }
        assert!(
            seald.process.is_running(),
            "seald ended\n{}",
            seald.process.log()
        );
        assert!(
            begin.elapsed() < Duration::from_secs(180),
            "{} writes, {statuses} of the status\n{}",
            writes.len(),
            seald.process.log()
        );
    }
}

/// How many writes of which kind, with the status of those that were refused.
fn by_resource(writes: &[Write]) -> String {
    let mut counts = BTreeMap::new();
    for write in writes {
        let refused = match write.status {
            200..300 => String::new(),
            status => format!(" ({status})"),
        };
        *counts
            .entry(format!("{}{refused}", write.resource))
            .or_insert(0) += 1;
    }
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(resource, count)| format!("{count} {resource}"))
        .collect();
    counts.join(", ")
}

/// Every SealedEnv says that it is ready, and every Secret is there.
async fn check_ready(stage: &Stage) {
    let path = "{range .items[*]}{.status.conditions[?(@.type==\"Ready\")].status}{\"\\n\"}{end}";
    let output = ["get", "sealedenvs", "-A", "-o", &format!("jsonpath={path}")];
    let states = stage.cluster.kubectl_ok(&output).await;
    let ready = states.lines().filter(|line| *line == "True").count();
    assert_eq!(ready, COUNT, "of {COUNT} SealedEnvs {ready} are ready");
}

/// What the loader reaches with ConfigMaps and Secrets, in writes per second. Its connections and the caches of
/// the authorizer are cold at first, as they are for seald.
async fn load(stage: &Stage) -> f64 {
    let loader = Loader::new(&stage.cluster, &stage.token);
    let mut log = AuditLog::of(&stage.cluster);
    loader
        .send(CONNECTIONS, (0..COUNT).flat_map(objects).collect())
        .await;
    let writes: Vec<_> = log
        .news()
        .into_iter()
        .filter(|write| write.agent == "bench-loader")
        .collect();
    assert_eq!(writes.len(), 3 * COUNT);
    as_number(writes.len()) / span(&writes)
}

/// How long the loader takes for the other two writes of each SealedEnv: its status, as seald has written it but at another
/// time, and an Event.
async fn report(stage: &Stage) -> Duration {
    let path = "/apis/sealctl.dev/v1alpha1/sealedenvs";
    let request = http::Request::get(path).body(Vec::new());
    let all: Value = stage
        .cluster
        .client()
        .request(request.expect("a valid request"))
        .await
        .expect("a list");
    let reports = all["items"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|item| {
            let mut status = item["status"].clone();
            status["lastVerifiedTime"] = json!("2030-01-01T00:00:00Z");
            let (name, namespace) = (&item["metadata"]["name"], &item["metadata"]["namespace"]);
            let body = json!({
                "apiVersion": item["apiVersion"],
                "kind": item["kind"],
                "metadata": { "name": name, "namespace": namespace },
                "status": status
            });
            let event = json!({
                "apiVersion": "events.k8s.io/v1",
                "kind": "Event",
                "metadata": { "generateName": "bench-" },
                "eventTime": "2030-01-01T00:00:00.000000Z",
                "reportingController": "sealctl.dev/seald",
                "reportingInstance": "bench",
                "action": "Apply",
                "reason": "Applied",
                "type": "Normal",
                "note": "ConfigMap and Secret were written; the message is as long as that of seald",
                "regarding": {
                    "apiVersion": item["apiVersion"],
                    "kind": item["kind"],
                    "name": name,
                    "namespace": namespace,
                    "uid": item["metadata"]["uid"]
                }
            });
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            let (name, namespace) = (text(name), text(namespace));
            let group = "/apis/sealctl.dev/v1alpha1/namespaces";
            let events = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
            [
                Prepared::apply(
                    &format!("{group}/{namespace}/sealedenvs/{name}/status"),
                    "seald",
                    body.to_string(),
                ),
                Prepared::create(&events, event.to_string()),
            ]
        })
        .collect();
    stage.admin.send(CONNECTIONS, reports).await
}

/// ConfigMap, Secret and state Secret of a document as seald writes them, in the loader's namespace.
fn objects(number: usize) -> [Prepared; 3] {
    let app = documents::app(number);
    let namespace = documents::namespace(number).replace("bench-", "load-");
    let object = |kind: &str, name: &str, data: Value| {
        let plural = if kind == "Secret" {
            "secrets"
        } else {
            "configmaps"
        };
        let body = json!({
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": namespace,
                "resourceVersion": "1",
                "labels": {
                    "app.kubernetes.io/managed-by": "seald",
                    "app.kubernetes.io/part-of": app,
                    "sealctl.dev/env": "bench",
                    "sealctl.dev/owner": app
                },
                "annotations": {
                    "sealctl.dev/owner-uid": "6c9e4f1e-7d6e-4b8f-9f54-0d3c5f1f0a11",
                    "sealctl.dev/content-hash": "0123456789abcdef0123456789abcdef"
                }
            },
            "data": data
        });
        let path = format!("/api/v1/namespaces/{namespace}/{plural}/{name}");
        Prepared::apply(&path, "seald", body.to_string())
    };
    let value = |name: &str| format!("{name}-{number}-").repeat(2);
    let config = json!({
        "DJANGO_SETTINGS_MODULE": "polls.settings", "DATABASE_HOST": namespace, "DATABASE_PORT": "5432",
        "DATABASE_NAME": app, "LOG_LEVEL": "info"
    });
    let names = [
        "DATABASE_PASSWORD",
        "DJANGO_SECRET_KEY",
        "SENTRY_DSN",
        "EMAIL_PASSWORD",
        "API_TOKEN",
    ];
    let secret: Value = names
        .into_iter()
        .map(|name| (name.to_owned(), json!(STANDARD.encode(value(name)))))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let state = json!({ "state": STANDARD.encode("s".repeat(400)) });
    [
        object("ConfigMap", &format!("{app}-config"), config),
        object("Secret", &format!("{app}-secrets"), secret),
        object("Secret", &format!("seald-state-{app}"), state),
    ]
}

fn cold_rows(runs: &[Run]) -> Vec<Row> {
    let of = |field: fn(&Run) -> f64| runs.iter().map(field).collect::<Vec<f64>>();
    let (rate, loader) = (of(|run| run.rate), of(|run| run.loader));
    let ratios: Vec<f64> = runs.iter().map(|run| run.rate / run.loader).collect();
    let ratio = median(&ratios);
    let writes = of(|run| run.writes);
    let text = format!("cold start, {COUNT} SealedEnvs: writes");
    vec![
        Row::note(
            FIGURE,
            &text,
            shown(&rate, 0, "/s"),
            json!({
                "rate": rate, "rate_from_start": of(|run| run.rate_from_start), "loader": loader,
                "ratios": ratios, "connections": CONNECTIONS
            }),
        )
        .peer(format!(
            "bare loader, {CONNECTIONS} connections: {} (expected {EXPECTED:.0}/s)",
            shown(&loader, 0, "/s")
        ))
        .aim(format!("{:.0} %, ≥ 80 %", ratio * 100.0), ratio >= 0.8),
        Row::note(
            FIGURE,
            "  the same beside all five writes of a SealedEnv",
            shown(&rate, 0, "/s"),
            json!({ "loader": of(|run| run.loader_all) }),
        )
        .peer(format!(
            "bare loader, status and Event too: {}",
            shown(&of(|run| run.loader_all), 0, "/s")
        ))
        .ratio(format!(
            "{:.0} %",
            median(&of(|run| run.rate / run.loader_all)) * 100.0
        )),
        Row::note(
            FIGURE,
            "  from start of the process to the last write",
            shown(&of(|run| run.seconds), 2, "s"),
            json!(of(|run| run.seconds)),
        ),
        Row::note(
            FIGURE,
            "  writes per SealedEnv",
            shown(&writes, 2, ""),
            json!(writes),
        )
        .aim("≤ 5", median(&writes) <= 5.0),
        Row::note(
            FIGURE,
            "  CPU time of seald per SealedEnv",
            shown(&of(|run| run.processor), 2, "ms"),
            json!(of(|run| run.processor)),
        ),
        Row::note(
            FIGURE,
            "  peak memory of seald",
            shown(&of(|run| run.peak), 1, "MiB"),
            json!(of(|run| run.peak)),
        ),
    ]
}

/// seald starts three times more: everything is as it wants it, and strangers have filled the namespaces.
async fn measure_restart(stage: &Stage) -> Vec<Row> {
    progress(&format!(
        "restart with nothing changed, and {FOREIGN} foreign Secrets of 10 KiB"
    ));
    let strangers = (0..FOREIGN).map(|number| {
        let namespace = documents::namespace(number);
        let body = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": format!("foreign-{number}") },
            "data": { "value": STANDARD.encode("x".repeat(10 * 1024)) }
        });
        Prepared::create(
            &format!("/api/v1/namespaces/{namespace}/secrets"),
            body.to_string(),
        )
    });
    stage.admin.send(16, strangers.collect()).await;
    let kind = kube::api::ApiResource::erase::<sealctl::cluster::crd::SealedEnv>(&());
    let observer = Observer::everywhere(&stage.cluster, &[kind]).await;
    let (mut changes, mut requests, mut peaks, mut seconds) = (vec![], vec![], vec![], vec![]);
    for _ in 0..3 {
        let before = observer.changes().len();
        let mut log = AuditLog::of(&stage.cluster);
        let begin = Instant::now();
        let mut seald = stage.start_seald(&[]);
        seald.idle(Duration::from_secs(2)).await;
        seconds.push(begin.elapsed().as_secs_f64() - 2.0);
        peaks.push(seald.peak());
        seald.stop().await;
        let writes = log.news_by(ACCOUNT);
        requests.push(as_number(
            writes.iter().filter(|write| !write.is_election()).count(),
        ));
        changes.push(as_number(observer.changes().len() - before));
    }
    let changed = changes.iter().copied().fold(0.0, f64::max);
    let peak = peaks.iter().copied().fold(0.0, f64::max);
    vec![
        Row::note(
            RESTART,
            "restart with nothing changed: writes that change an object",
            format!("{changed:.0}, by {:.0} write requests", median(&requests)),
            json!({ "changes": changes, "write_requests": requests, "seconds": seconds }),
        )
        .aim("0", changed == 0.0),
        Row::note(
            RESTART,
            &format!("  peak memory, {COUNT} SealedEnvs and {FOREIGN} foreign Secrets of 10 KiB"),
            shown(&peaks, 1, "MiB"),
            json!(peaks),
        )
        .aim("< 40 MiB", peak < 40.0),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn as_number(count: usize) -> f64 {
    count as f64
}
