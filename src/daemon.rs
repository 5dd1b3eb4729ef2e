//! seald: start, lead, stop. Who owns which task, and in which order they end.
//!
//! One term of leadership owns the watches, the router and with it every reconciler, and the mirror of
//! the source. When the term ends all of them are dropped, so a standby holds nothing but its place in
//! the queue. At the end of the process the Lease is given up last.

mod args;
mod config;
mod desks;
mod document;
mod index;
mod interest;
mod mirroring;

mod process;
mod reconcile;
mod report;
mod resolving;
mod router;
mod shared;
mod shell;
mod term;
mod turns;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tracing::{error, info};

use self::config::Config;
use crate::cluster::client::Requests;
use crate::cluster::connection::Connection;
use crate::cluster::events::events;
use crate::cluster::lease::{Elector, Leadership};
use crate::cluster::limiter::Limiter;
use crate::crypto;
use crate::digest;
use crate::telemetry::health::{self, Checks};
use crate::telemetry::log;
use crate::telemetry::metrics::Metrics;

/// Failure at start.
const FAILED: u8 = 1;
/// Wrong usage.
const USAGE: u8 = 2;
/// A task ended unexpectedly.
const BROKEN: u8 = 70;
/// Longest orderly stop.
const STOP: Duration = Duration::from_secs(9);

/// Runs seald with the command line `arguments` and gives its exit code: 0 after an orderly stop, 1
/// after a failure at start, 2 for wrong usage, 70 when a task ended unexpectedly.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match args::read(arguments) {
        Ok(args) => args,
        Err(code) => return ExitCode::from(code),
    };
    if let Err(problem) = log::start(&args.log_level, args.log_format.as_deref()) {
        log::complain(&format!("seald: {problem}"));
        return ExitCode::from(USAGE);
    }
    let config = match Config::try_from(args) {
        Ok(config) => config,
        Err(error) => {
            error!(why = %error, "Flags cannot be used");
            return ExitCode::from(USAGE);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        error!("Threads could not be started");
        return ExitCode::from(FAILED);
    };
    let code = runtime.block_on(run(Arc::new(config)));
    runtime.shutdown_timeout(Duration::from_millis(500));
    ExitCode::from(code)
}

async fn run(config: Arc<Config>) -> u8 {
    let metrics = Metrics::new(
        env!("CARGO_PKG_VERSION"),
        option_env!("SEALCTL_COMMIT").unwrap_or("unknown"),
    );
    let checks = Checks::default();
    // Probes are answered before anything was tried: until then nothing is ready.
    checks.set("caches", Err("nothing has been read yet".into()));
    let connection = match Connection::open(config.access.clone()).await {
        Ok(connection) => connection,
        Err(error) => {
            error!(why = %error, "API server cannot be reached");
            return FAILED;
        }
    };
    let probes = health::serve_probes(config.listen_probes, checks.clone()).await;
    let numbers = health::serve_metrics(config.listen_metrics, metrics.clone()).await;
    let (probes, numbers) = match (probes, numbers) {
        (Ok(probes), Ok(numbers)) => (probes, numbers),
        (Err(error), _) | (_, Err(error)) => {
            error!(why = %error, "Port cannot be opened");
            return FAILED;
        }
    };
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(wait_for_signal(stop));
    let namespace = config
        .pod_namespace
        .clone()
        .unwrap_or_else(|| connection.namespace());
    let limiter = Limiter::new(config.api_qps);
    let requests = Requests::new(connection, limiter, metrics.clone());
    let (sender, recorder) = events(requests.clone(), config.pod_name.clone());
    let recorder = tokio::spawn(recorder.run());
    tokio::spawn(process::watch(metrics.clone()));
    let (release, released) = oneshot::channel();
    let (leadership, elector) = elect(&config, &requests, namespace, released);
    info!(environments = ?config.environments.iter().map(|e| e.as_str()).collect::<Vec<_>>(), "Started");

    tokio::spawn(term::watch_identities(config.clone(), checks.clone()));
    let parts = term::Parts {
        config,
        requests,
        metrics,
        checks,
        events: sender,
        leadership,
        stopping,
    };
    let code = tokio::select! {
        code = term::serve(parts) => code,
        () = ended(probes) => broken("probes"),
        () = ended(numbers) => broken("metrics"),
        () = ended(recorder) => broken("Events"),
    };
    // The Lease is given up last, after every write has ended.
    if let Some(elector) = elector {
        let _ = release.send(());
        let _ = tokio::time::timeout(Duration::from_secs(2), elector).await;
    }
    info!("Stopped");
    code
}

fn elect(
    config: &Config,
    requests: &Requests,
    namespace: String,
    released: oneshot::Receiver<()>,
) -> (
    watch::Receiver<Leadership>,
    Option<tokio::task::JoinHandle<()>>,
) {
    if !config.leader_elect {
        let (sender, leadership) = watch::channel(Leadership::unchallenged());
        // Nobody will ever challenge it; the sender only has to live on.
        tokio::spawn(async move { sender.closed().await });
        return (leadership, None);
    }
    // The Lease must not wait behind other requests.
    let own = requests.with_limiter(Limiter::new(None));
    let (elector, leadership) = Elector::new(own, &namespace, unique(&config.pod_name));
    let released = async move {
        let _ = released.await;
    };
    (leadership, Some(tokio::spawn(elector.run(released))))
}

/// A name for this very process: one that is started again must not take itself for the former one.
fn unique(pod_name: &str) -> String {
    let suffix = crypto::random::bytes::<4>().map_or_else(
        |_| std::process::id().to_string(),
        |bytes| digest::hex(&bytes),
    );
    format!("{pod_name}-{suffix}")
}

async fn ended(task: tokio::task::JoinHandle<()>) {
    let _ = task.await;
}

fn broken(what: &str) -> u8 {
    error!(what, "Task ended unexpectedly");
    BROKEN
}

/// Waits for SIGTERM or SIGINT and says so once.
async fn wait_for_signal(stop: watch::Sender<bool>) {
    let (terminate, interrupt) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    );
    let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) else {
        error!("Signals cannot be caught");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!("Stopping");
    let _ = stop.send(true);
    stop.closed().await;
}
