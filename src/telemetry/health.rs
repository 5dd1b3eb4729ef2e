//! Liveness, readiness and metrics over HTTP.
//!
//! Liveness asks nothing of anybody: an outage of the API server must not end the process. Readiness is
//! the sum of named checks, which the parts of the program set themselves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::metrics::Metrics;

/// The type of the text that Prometheus reads.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Named checks. Clones share them.
#[derive(Clone, Default)]
pub struct Checks {
    all: Arc<RwLock<BTreeMap<&'static str, Check>>>,
}

#[derive(Clone)]
enum Check {
    /// Counts.
    Outcome(Result<(), String>),
    /// Only shown.
    Note(String),
}

impl Checks {
    /// Sets the check `name`: what fails is said in one sentence.
    pub fn set(&self, name: &'static str, outcome: Result<(), String>) {
        self.put(name, Check::Outcome(outcome));
    }

    /// Shows something beside the checks that makes nobody unready.
    pub fn note(&self, name: &'static str, text: impl Into<String>) {
        self.put(name, Check::Note(text.into()));
    }

    /// Whether all checks hold, those named in `excluded` apart, and a line for each.
    fn report(&self, excluded: &[&str]) -> (bool, String) {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let mut ready = true;
        let mut lines = String::new();
        for (name, check) in all.iter().filter(|(name, _)| !excluded.contains(name)) {
            let _ = match check {
                Check::Outcome(Ok(())) => writeln!(lines, "[+]{name} ok"),
                Check::Outcome(Err(why)) => {
                    ready = false;
                    writeln!(lines, "[-]{name} failed: {why}")
                }
                Check::Note(text) => writeln!(lines, "[+]{name} {text}"),
            };
        }
        (ready, lines)
    }

    fn put(&self, name: &'static str, check: Check) {
        self.all
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, check);
    }
}

/// Serves `/livez`, `/healthz` and `/readyz` until the task is dropped.
///
/// # Errors
/// When the port cannot be opened.
pub async fn serve_probes(address: SocketAddr, checks: Checks) -> std::io::Result<JoinHandle<()>> {
    let app = Router::new()
        .route("/livez", get(async || "ok"))
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(readyz))
        .with_state(checks);
    serve(address, app).await
}

/// Serves `/metrics` until the task is dropped.
///
/// # Errors
/// When the port cannot be opened.
pub async fn serve_metrics(
    address: SocketAddr,
    metrics: Metrics,
) -> std::io::Result<JoinHandle<()>> {
    let app = Router::new()
        .route("/metrics", get(numbers))
        .with_state(metrics);
    serve(address, app).await
}

async fn serve(address: SocketAddr, app: Router) -> std::io::Result<JoinHandle<()>> {
    let listener = TcpListener::bind(address).await?;
    Ok(tokio::spawn(async move {
        // Ends only with an error of the listener; the daemon notices that the task has ended.
        let _ = axum::serve(listener, app).await;
    }))
}

async fn readyz(State(checks): State<Checks>, RawQuery(query): RawQuery) -> impl IntoResponse {
    let query = query.unwrap_or_default();
    let words = || query.split('&');
    let verbose = words().any(|word| word == "verbose" || word.starts_with("verbose="));
    let excluded: Vec<_> = words()
        .filter_map(|word| word.strip_prefix("exclude="))
        .collect();
    let (ready, lines) = checks.report(&excluded);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let text = match (ready, verbose) {
        (true, false) => "ok".to_owned(),
        (true, true) => lines + "readyz check passed\n",
        (false, _) => lines + "readyz check failed\n",
    };
    (status, text)
}

async fn numbers(State(metrics): State<Metrics>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics.encode())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_check_makes_unready_unless_it_is_excluded() {
        let checks = Checks::default();
        checks.set("caches", Ok(()));
        checks.note("leader", "NotLeader");
        assert!(checks.report(&[]).0);
        checks.set("watches", Err("CrdMissing".into()));
        let (ready, lines) = checks.report(&[]);
        assert!(!ready);
        assert_eq!(
            lines,
            "[+]caches ok\n[+]leader NotLeader\n[-]watches failed: CrdMissing\n"
        );
        assert!(checks.report(&["watches"]).0);
    }
}
