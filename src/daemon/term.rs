//! Terms of leadership: what runs while this process leads, and nothing while it does not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::info;

use super::STOP;
use super::config::Config;
use super::index::Index;
use super::mirroring::Mirror;
use super::report::Managed;
use super::router::{Collection, Router};
use super::shared::{Claims, Slots, Tally};
use super::shell::Shell;
use crate::cluster::client::Requests;
use crate::cluster::events::Events;
use crate::cluster::lease::Leadership;
use crate::cluster::limiter::CEILING;
use crate::cluster::mirror::{Mirroring, Sources};
use crate::cluster::watch::{self as watching, Watched};
use crate::env::WorkloadKind;
use crate::reason::Reason;
use crate::source::directory::Directory;
use crate::telemetry::health::Checks;
use crate::telemetry::metrics::Metrics;

/// What outlives a term.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) config: Arc<Config>,
    pub(super) requests: Requests,
    pub(super) metrics: Metrics,
    pub(super) checks: Checks,
    pub(super) events: Events,
    pub(super) leadership: watch::Receiver<Leadership>,
    pub(super) stopping: watch::Receiver<bool>,
}

/// Things that a watch has seen and the router has not taken yet. Small: a full queue makes the watch
/// wait, and the API server with it.
const QUEUE: usize = 256;

/// Leads whenever it may, until the process is asked to stop. Gives the exit code.
pub(super) async fn serve(parts: Parts) -> u8 {
    let mut leadership = parts.leadership.clone();
    let mut stopping = parts.stopping.clone();
    loop {
        show_leadership(&parts, &leadership.borrow());
        if *stopping.borrow() {
            return 0;
        }
        if leadership.borrow().holds() {
            info!("Leading");
            if lead(parts.clone()).await == End::WatchEnded {
                return super::broken("watches");
            }
            parts.metrics.clear_managed();
            info!("Not leading any more");
            continue;
        }
        tokio::select! {
            changed = leadership.changed() => if changed.is_err() { return super::broken("leader election") },
            _ = stopping.changed() => {}
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    TermOver,
    WatchEnded,
}

async fn lead(parts: Parts) -> End {
    let Parts {
        config,
        requests,
        metrics,
        checks,
        events,
        leadership,
        stopping,
    } = parts;
    let sources = Sources::default();
    let shell = Arc::new(Shell {
        slots: Slots::new(config.rollouts),
        config: config.clone(),
        requests: requests.clone(),
        leadership: leadership.clone(),
        stopping: stopping.clone(),
        events,
        index: Index::default(),
        sources: sources.clone(),
        managed: Managed::default(),
        claims: Claims::default(),
        pending: Tally::default(),
        working: Arc::new(Semaphore::new(CEILING as usize)),
        resolving: Semaphore::new(std::thread::available_parallelism().map_or(2, Into::into)),
        metrics: metrics.clone(),
    });
    let (sender, mut seen) = mpsc::channel::<Watched>(QUEUE);
    let _watches = watching::spawn(&requests, &config.environments, &config.namespaces, &sender);
    drop(sender);
    let _mirror = mirror(&shell, &checks).map(AbortOnDrop);
    let mut router = Router::new(shell, collections(&config), checks.clone());
    let mut leadership = leadership;
    let mut stopping = stopping;
    checks.set("caches", Err("collections are being listed".into()));
    let end = loop {
        let deadline = leadership
            .borrow()
            .valid_until()
            .unwrap_or_else(Instant::now);
        tokio::select! {
            watched = seen.recv() => match watched {
                Some(watched) => {
                    sources.saw(&watched);
                    router.take(watched);
                    if router.is_synced() {
                        checks.set("caches", Ok(()));
                    }
                }
                None => break End::WatchEnded,
            },
            () = sources.changed() => router.source_changed(),
            _ = leadership.changed() => if !leadership.borrow().holds() {
                break End::TermOver;
            },
            // Without a renewal the term ends at its deadline.
            () = tokio::time::sleep_until(deadline) => if !leadership.borrow().holds() {
                break End::TermOver;
            },
            _ = stopping.changed() => break End::TermOver,
            () = tokio::time::sleep(Duration::from_secs(60)) => router.reap(),
        }
    };
    let _ = tokio::time::timeout(STOP, router.stop()).await;
    end
}

/// A task that ends with its owner.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts the mirror of the directory, where there is one.
fn mirror(shell: &Arc<Shell>, checks: &Checks) -> Option<JoinHandle<()>> {
    let config = shell.config.clone();
    let root = config.source.clone()?;
    let mirroring = Mirroring {
        requests: shell.requests.clone(),
        sources: shell.sources.clone(),
        create_namespaces: config.create_namespaces,
    };
    let leader = shell.clone();
    let mirror = Mirror {
        directory: Directory::new(root, config.environments.clone()),
        environments: config.environments.clone(),
        collections: config.environments.len() * config.namespaces.len().max(1),
        mirroring,
        check: Arc::new(move |file| super::resolving::check(&config, file)),
        leads: Arc::new(move || leader.may_write()),
        metrics: shell.metrics.clone(),
        checks: checks.clone(),
    };
    Some(mirror.spawn())
}

/// The collections that must have been listed before anything is decided.
fn collections(config: &Config) -> BTreeSet<Collection> {
    let spaces: Vec<Option<String>> = if config.namespaces.is_empty() {
        vec![None]
    } else {
        config
            .namespaces
            .iter()
            .map(|namespace| Some(namespace.as_str().to_owned()))
            .collect()
    };
    let kinds = [
        WorkloadKind::Deployment,
        WorkloadKind::DaemonSet,
        WorkloadKind::StatefulSet,
    ];
    let of = |space: &Option<String>| {
        let workloads = kinds.map(|kind| Collection::Workloads(kind, space.clone()));
        workloads
            .into_iter()
            .chain([Collection::Jobs(space.clone())])
            .collect::<Vec<_>>()
    };
    spaces.iter().flat_map(of).collect()
}

fn show_leadership(parts: &Parts, leadership: &Leadership) {
    let leads = leadership.holds();
    parts.metrics.leader.set(i64::from(leads));
    parts
        .checks
        .note("leader", if leads { "this one" } else { "NotLeader" });
    if !leads {
        // A standby has no caches; that it can read the Lease is what it needs to take over.
        let reached = leadership.holder.is_some();
        let outcome = reached.then_some(()).ok_or_else(|| {
            format!(
                "{}: the Lease has not been read yet",
                Reason::ApiUnavailable
            )
        });
        parts.checks.set("caches", outcome);
    }
}

/// How often the identities are looked at: while one is missing, and otherwise.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// Keeps the check of the identities up to date, for as long as the process lives.
pub(super) async fn watch_identities(config: Arc<Config>, checks: Checks) {
    loop {
        let mut problems = config.environments.iter().filter_map(|environment| {
            let found = super::resolving::identities(&config, environment);
            found.err()
        });
        let outcome = problems.next().map_or(Ok(()), |problem| {
            Err(format!("{}: {problem}", Reason::NoIdentity))
        });
        let pause = if outcome.is_ok() {
            LOOK_AGAIN.1
        } else {
            LOOK_AGAIN.0
        };
        checks.set("identity", outcome);
        tokio::time::sleep(pause).await;
    }
}
