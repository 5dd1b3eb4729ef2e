//! Kills seald with SIGKILL at every write of the main job, at three moments of each: before it is sent, when it is applied but not
//! answered, and when it is answered. After a restart the end must always be the same.
//!
//! The killing is driven by the write itself, in a proxy. Leases and Events are not counted: they belong to no content.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::main_job::QUIET;
use super::rig::{Boundary, Observer, Proxy, Record, deployment};
use super::world::{Doc, SOON, World};

/// Runs at a time: what takes time in one is waiting for controllers.
const AT_ONCE: usize = 4;
/// How long the rollout and the superuser's Job are under way: long enough for a report of each, also when much runs beside.
const UNDER_WAY: std::time::Duration = std::time::Duration::from_millis(800);
/// A report of progress that a quick run has not made is looked for in as many further runs.
const RUNS: usize = 4;

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
            .ready_after(UNDER_WAY)
            .clones_run_for(UNDER_WAY)
            .clones_say("created");
        world.runs(web).await;
        let other = deployment("other").reads_env_from_config_map("web-config");
        world.runs(other).await;
        for name in ["deployment/web", "deployment/other"] {
            world.rolled_out(name).await;
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
        world.rolled_out("deployment/web").await;
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

/// A write of the main job by what it writes, so that it is the same one in every run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    /// Method and path, without what differs from run to run.
    what: String,
    /// Which one of those, from 1.
    nth: usize,
}

impl Step {
    /// Reports of progress: how many there are depends on what a pass happens to meet.
    fn is_report(&self) -> bool {
        self.what.ends_with("/status")
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} #{}", self.what, self.nth)
    }
}

/// Method and path of a write without the namespace, and without the hash in a Job's name.
fn what(record: &Record) -> String {
    let path = match record.path.split_once("/namespaces/") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => &record.path,
    };
    let path = match path.rsplit_once('-') {
        Some((name, _)) if path.starts_with("jobs/") => name,
        _ => path,
    };
    format!("{} {path}", record.method)
}

/// The end of a run without any fault, and its writes.
async fn undisturbed() -> (Value, Vec<Step>) {
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
    let mut steps: Vec<Step> = Vec::new();
    for record in run.proxy.records().iter().filter(|record| record.is_work()) {
        let what = what(record);
        let before = steps.iter().filter(|step| step.what == what).count();
        steps.push(Step {
            what,
            nth: before + 1,
        });
    }
    println!(
        "the undisturbed main job makes {} writes:\n{}",
        steps.len(),
        run.proxy.told()
    );
    (end, steps)
}

/// A run that is to be killed at one boundary: its end, and whether the boundary came.
async fn killed(step: Step, boundary: Boundary) -> (Value, bool) {
    let run = Run::new().await;
    let seald = run
        .world
        .seald_on_folder()
        .through(&run.proxy)
        .await
        .start()
        .await;
    let about = move |record: &Record| what(record) == step.what;
    run.proxy.arm_at(step.nth, about, boundary, seald.killer());
    let restarted = run.killed_and_restarted(seald);
    tokio::pin!(restarted);
    let main_job = run.main_job();
    tokio::pin!(main_job);
    let _second = tokio::select! {
        second = &mut restarted => { main_job.await; second }
        () = &mut main_job => {
            // The last writes may come after everything that a user sees.
            run.observer.quiet_for(QUIET).await;
            if run.proxy.is_armed() {
                return (run.end().await, false);
            }
            let second = restarted.await;
            run.in_place(run.world.revision()).await;
            second
        }
    };
    (run.end().await, true)
}

/// What is wrong with a run that was killed here; nothing when its end is the wanted one.
async fn wrong_at(step: &Step, boundary: Boundary, wanted: &Value) -> Option<String> {
    for _ in 0..RUNS {
        let (end, came) = killed(step.clone(), boundary).await;
        let verdict = match (end == *wanted, came) {
            (false, _) => "ANOTHER END",
            (true, true) => "same end",
            (true, false) => "not made this time; same end",
        };
        println!("{boundary:?} {step}: {verdict}");
        match (end == *wanted, came) {
            (false, _) => return Some(format!("{boundary:?} {step}: {end:#}")),
            (true, true) => return None,
            // Every other write must be made in every run.
            (true, false) if step.is_report() => {}
            (true, false) => break,
        }
    }
    Some(format!("{boundary:?} {step}: never made"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_killed_at_any_write_the_main_job_ends_the_same() {
    // A run that a busy machine slowed down makes a report more: the quicker of two is walked.
    let (one, other) = futures::future::join(undisturbed(), undisturbed()).await;
    assert_eq!(one.0, other.0, "two undisturbed runs end differently");
    let (wanted, steps) = if one.1.len() < other.1.len() {
        one
    } else {
        other
    };
    assert_eq!(wanted["restarts of web"], 1, "{wanted:#}");
    assert_eq!(wanted["restarts of other"], 0, "{wanted:#}");
    assert_eq!(wanted["jobs"], 1, "{wanted:#}");
    let boundaries: Vec<(&Step, Boundary)> = steps
        .iter()
        .flat_map(|step| Boundary::ALL.map(|boundary| (step, boundary)))
        .collect();
    let next = AtomicUsize::new(0);
    let wrong = std::sync::Mutex::new(Vec::new());
    let walk = async || {
        while let Some(&(step, boundary)) = boundaries.get(next.fetch_add(1, Ordering::SeqCst)) {
            if let Some(told) = wrong_at(step, boundary, &wanted).await {
                wrong.lock().expect("no panic").push(told);
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
    println!(
        "walked {} boundaries, three of each write",
        boundaries.len()
    );
}
