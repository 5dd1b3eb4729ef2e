//! Waiting with a deadline, and telling everything that is known when it passes: the object, its neighbours, events, logs.
//! Values of Secrets are masked.

use std::future::Future;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::batch::v1::Job;
use kube::api::Api;

use super::cluster::Cluster;
use super::control_plane::log_tails;

impl Cluster {
    /// Asks `probe` until it gives something.
    ///
    /// # Panics
    /// After `deadline`, with the state of the namespace.
    pub(crate) async fn eventually<T>(
        &self,
        what: &str,
        deadline: Duration,
        namespace: &str,
        mut probe: impl AsyncFnMut() -> Option<T>,
    ) -> T {
        let begin = Instant::now();
        let mut pause = Duration::from_millis(5);
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            if begin.elapsed() > deadline {
                let state = self.explain(namespace).await;
                panic!("{what}: not within {deadline:?}\n{state}");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    /// Waits until a Deployment (`deployment/web`) or DaemonSet runs its current template, and only that.
    pub(crate) async fn rolled_out(&self, namespace: &str, workload: &str) {
        let (kind, name) = workload.split_once('/').expect("kind/name");
        let deployments: Api<Deployment> = Api::namespaced(self.client(), namespace);
        let daemon_sets: Api<DaemonSet> = Api::namespaced(self.client(), namespace);
        let what = format!("rollout of {workload}");
        self.eventually(&what, Duration::from_secs(30), namespace, async || {
            let done = match kind {
                "deployment" => deployments
                    .get_opt(name)
                    .await
                    .ok()?
                    .is_some_and(|found| deployment_is_done(&found)),
                "daemonset" => daemon_sets
                    .get_opt(name)
                    .await
                    .ok()?
                    .is_some_and(|found| daemon_set_is_done(&found)),
                other => panic!("rolled_out knows deployment and daemonset, not {other}"),
            };
            done.then_some(())
        })
        .await;
    }

    /// Waits until a Job is complete; fails at once when it has failed.
    pub(crate) async fn job_completes(&self, namespace: &str, name: &str) {
        let condition = self.job_ends(namespace, name).await;
        assert_eq!(
            condition,
            "Complete",
            "job {name}\n{}",
            self.explain(namespace).await
        );
    }

    /// Waits until a Job has ended; gives `Complete` or `Failed`.
    pub(crate) async fn job_ends(&self, namespace: &str, name: &str) -> String {
        let jobs: Api<Job> = Api::namespaced(self.client(), namespace);
        self.eventually(
            &format!("end of job {name}"),
            Duration::from_secs(30),
            namespace,
            async || {
                let conditions = jobs.get_opt(name).await.ok()??.status?.conditions?;
                let end = conditions
                    .into_iter()
                    .find(|c| ["Complete", "Failed"].contains(&&*c.type_) && c.status == "True")?;
                Some(end.type_)
            },
        )
        .await
    }

    /// Everything that helps to understand a failure in this namespace.
    pub(crate) async fn explain(&self, namespace: &str) -> String {
        let mut text = String::new();
        let kinds = "deployments,statefulsets,daemonsets,replicasets,jobs,pods,configmaps";
        for args in [
            &["get", kinds, "-o", "wide"] as &[&str],
            &["get", "deployments,daemonsets,jobs", "-o", "yaml"],
            &["get", "sealedenvs", "-o", "yaml"],
            &["get", "secrets", "-o", SECRETS_MASKED],
            &["get", "events", "--sort-by=.metadata.creationTimestamp"],
        ] {
            let args = [&["-n", namespace], args].concat();
            let output = self.kubectl(&args).await;
            // A kind that is not installed is no news.
            if output.status.success() && !output.stdout.is_empty() {
                text += &[
                    "--- kubectl ",
                    &args.join(" "),
                    "\n",
                    &String::from_utf8_lossy(&output.stdout),
                ]
                .concat();
            }
        }
        let own = format!("{namespace}.");
        let servers = [
            "kube-apiserver.log",
            "kube-controller-manager.log",
            "kwok.log",
            "supervisor.log",
        ];
        let logs = self.plane().dir().join("logs");
        text += &log_tails(&logs, 8, |name| servers.contains(&name));
        text += &log_tails(&logs, 40, |name| name.starts_with(&own));
        text + &format!("--- all logs: {}\n", logs.display())
    }
}

const SECRETS_MASKED: &str = "go-template={{range .items}}{{.metadata.name}} ({{.type}}, resourceVersion \
    {{.metadata.resourceVersion}}):{{range $key, $value := .data}} {{$key}}=***{{end}}{{\"\\n\"}}{{end}}";

fn deployment_is_done(found: &Deployment) -> bool {
    let (Some(spec), Some(status)) = (&found.spec, &found.status) else {
        return false;
    };
    let wanted = spec.replicas.unwrap_or(1);
    status.observed_generation >= found.metadata.generation
        && status.updated_replicas.unwrap_or(0) == wanted
        && status.replicas.unwrap_or(0) == wanted
        && status.available_replicas.unwrap_or(0) == wanted
}

fn daemon_set_is_done(found: &DaemonSet) -> bool {
    let Some(status) = &found.status else {
        return false;
    };
    let wanted = status.desired_number_scheduled;
    status.observed_generation >= found.metadata.generation
        && wanted > 0
        && status.updated_number_scheduled.unwrap_or(0) == wanted
        && status.number_available.unwrap_or(0) == wanted
}
