//! Kills seald with SIGKILL at every write of the main job, at three moments of each: before it is sent, when it is applied but not
//! answered, and when it is answered. After a restart the end must always be the same.
//!
//! The killing is driven by the write itself, in a proxy. Leases and Events are not counted: they belong to no content.

use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};

use super::main_job::QUIET;
use super::rig::{Boundary, Observer, Proxy, deployment};
use super::world::{Doc, SOON, World};

/// Runs at a time: what takes time in one is waiting for controllers.
const AT_ONCE: usize = 4;
/// How long a rollout is under way.
const UNDER_WAY: std::time::Duration = std::time::Duration::from_millis(500);

fn doc(password: &str) -> Doc {
    Doc::web(password).superuser("of-the-superuser")
}

/// One run of the main job, undisturbed or killed once.
struct Run {
    world: World,
    observer: Observer,
    proxy: Proxy,
}

impl Run {
    async fn new() -> Self {
        let world = World::new().await;
        let observer = Observer::of(&world.cluster, &world.namespace).await;
        let proxy = Proxy::start(&world.cluster).await;
        let web = deployment("web")
            .reads_env_from_secret("web-secrets")
            // Long enough for one report of the rollout under way, too short for two: so the number of
            // writes is the same in every run.
            .ready_after(UNDER_WAY)
            .clones_say("created");
        world
            .cluster
            .create::<Deployment>(&world.namespace, &web.build())
            .await;
        let other = deployment("other").reads_env_from_config_map("web-config");
        world
            .cluster
            .create::<Deployment>(&world.namespace, &other.build())
            .await;
        for name in ["deployment/web", "deployment/other"] {
            world.cluster.rolled_out(&world.namespace, name).await;
        }
        Self {
            world,
            observer,
            proxy,
        }
    }

    /// The main job as a user sees it: a file, then the same file with one value changed.
    async fn main_job(&self) {
        let world = &self.world;
        let first = world.grant_and_store(&doc("1")).await;
        self.in_place(first).await;
        let second = world.store(&doc("2"));
        self.in_place(second).await;
        world
            .cluster
            .rolled_out(&world.namespace, "deployment/web")
            .await;
    }

    async fn in_place(&self, revision: u64) {
        self.world.synced("web", revision).await;
        self.world.gone("Secret/seald-bootstrap-web").await;
        let released = self.world.cluster.eventually(
            "the Job to be released",
            SOON,
            &self.world.namespace,
            async || {
                let jobs = self.world.jobs().await;
                (!jobs.is_empty()
                    && jobs
                        .iter()
                        .all(|job| job.metadata.finalizers.as_ref().is_none_or(Vec::is_empty)))
                .then_some(())
            },
        );
        released.await;
    }

    /// Kills seald when the armed write comes, and starts it again.
    async fn killed_and_restarted(&self, mut seald: super::world::Seald) -> super::world::Seald {
        self.proxy.fired(SOON * 2).await;
        seald.kill().await;
        self.proxy.reset();
        self.world
            .cluster
            .forget_lease(&self.world.home, "seald-controller")
            .await;
        self.world
            .seald_on_folder()
            .through(&self.proxy)
            .await
            .start()
            .await
    }

    /// Everything that must be the same at the end of every run, whatever happened on the way.
    async fn end(&self) -> Value {
        let world = &self.world;
        self.observer.quiet_for(QUIET).await;
        let sealed_env = world.sealed_env("web").await.expect("the SealedEnv");
        let status = &sealed_env["status"];
        let conditions: Vec<Value> = status["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|condition| json!([condition["type"], condition["status"], condition["reason"]]))
            .collect();
        let targets: Vec<Value> = status["targets"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|target| {
                json!([
                    target["kind"],
                    target["name"],
                    target["state"],
                    target["keys"]
                ])
            })
            .collect();
        let rollouts: Vec<Value> = status["rollouts"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|rollout| {
                json!([
                    rollout["kind"],
                    rollout["name"],
                    rollout["state"],
                    rollout["ready"]
                ])
            })
            .collect();
        let snapshot = world.snapshot().await;
        let names: Vec<&String> = snapshot
            .keys()
            .filter(|name| !name.starts_with("Job/"))
            .collect();
        let markers: Vec<String> = world
            .template_annotations("web")
            .await
            .into_keys()
            .collect();
        json!({
            "secret": world.data("Secret/web-secrets").await,
            "configMap": world.data("ConfigMap/web-config").await,
            "conditions": conditions,
            "targets": targets,
            "rollouts": rollouts,
            "bootstrap": status["bootstrap"]["state"],
            "revision": status["lastAppliedRevision"],
            "there": names,
            "markers": markers,
            "restarts of web": self.observer.restarts(&world.namespace, "deployment/web"),
            "restarts of other": self.observer.restarts(&world.namespace, "deployment/other"),
            "jobs": self.observer.jobs(&world.namespace).len(),
        })
    }
}

/// The end of a run without any fault, and the number of its writes.
async fn undisturbed() -> (Value, usize, String) {
    let run = Run::new().await;
    let _seald = run
        .world
        .seald_on_folder()
        .through(&run.proxy)
        .await
        .start()
        .await;
    run.main_job().await;
    let end = run.end().await;
    (end, run.proxy.writes(), run.proxy.told())
}

/// A run that is killed at one boundary; its end, and what was killed. Nothing when there was no such write this time.
async fn killed(write: usize, boundary: Boundary) -> Option<(Value, String)> {
    let run = Run::new().await;
    let seald = run
        .world
        .seald_on_folder()
        .through(&run.proxy)
        .await
        .start()
        .await;
    run.proxy.arm(write, boundary, seald.killer());
    let restarted = run.killed_and_restarted(seald);
    tokio::pin!(restarted);
    let main_job = run.main_job();
    tokio::pin!(main_job);
    let _second = tokio::select! {
        second = &mut restarted => { main_job.await; second }
        () = &mut main_job => {
            // The last writes may come after everything that a user sees.
            run.observer.quiet_for(QUIET).await;
            if run.proxy.writes() < write {
                return None;
            }
            let second = restarted.await;
            run.in_place(run.world.revision()).await;
            second
        }
    };
    let records = run.proxy.records();
    let stopped = records
        .iter()
        .filter(|record| record.is_work())
        .find(|record| record.write == Some(write));
    let what = stopped
        .map(|record| format!("{} {}", record.method, record.path))
        .unwrap_or_default();
    Some((run.end().await, what))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_killed_at_any_write_the_main_job_ends_the_same() {
    let (wanted, writes, told) = undisturbed().await;
    assert_eq!(wanted["restarts of web"], 1, "{wanted:#}");
    assert_eq!(wanted["restarts of other"], 0, "{wanted:#}");
    assert_eq!(wanted["jobs"], 1, "{wanted:#}");
    println!("the undisturbed main job makes {writes} writes:\n{told}");
    let boundaries: Vec<(usize, Boundary)> = (1..=writes)
        .flat_map(|write| Boundary::ALL.map(|boundary| (write, boundary)))
        .collect();
    let next = AtomicUsize::new(0);
    let wrong = std::sync::Mutex::new(Vec::new());
    let walked = AtomicUsize::new(0);
    let walk = async || {
        while let Some(&(write, boundary)) = boundaries.get(next.fetch_add(1, Ordering::SeqCst)) {
            let name = format!("write {write:>2} {boundary:?}");
            // How many reports of progress there are depends on the moment; a run that was quicker is made again.
            let mut found = None;
            for _ in 0..3 {
                found = killed(write, boundary).await;
                if found.is_some() {
                    break;
                }
            }
            let Some((end, what)) = found else {
                println!("{name}: not reached");
                wrong
                    .lock()
                    .expect("no panic")
                    .push(format!("{name}: no such write in three runs"));
                continue;
            };
            walked.fetch_add(1, Ordering::SeqCst);
            let same = end == wanted;
            println!(
                "{name} {what}: {}",
                if same { "same end" } else { "ANOTHER END" }
            );
            if !same {
                wrong
                    .lock()
                    .expect("no panic")
                    .push(format!("{name} {what}: {end:#}"));
            }
        }
    };
    futures::future::join_all((0..AT_ONCE).map(|_| walk())).await;
    let wrong = wrong.into_inner().expect("no panic");
    assert!(
        wrong.is_empty(),
        "wanted {wanted:#}\nbut\n{}",
        wrong.join("\n")
    );
    let walked = walked.into_inner();
    println!("walked {walked} boundaries: {writes} writes, three of each");
    assert_eq!(walked, 3 * writes);
}
