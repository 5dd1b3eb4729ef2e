//! What can be counted and measured, and its text for Prometheus.
//!
//! Labels are words from closed lists, or names of what seald manages; never a key, a path, a commit
//! or a person. Every room may count; nothing here knows what the numbers are for.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// A gauge of seconds.
pub type Seconds = Gauge<f64, AtomicU64>;

/// Declares a set of labels, all text.
macro_rules! labels {
    ($(#[$doc:meta])* $type:ident { $($label:ident),* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub struct $type {
            $(#[doc = concat!("Label `", stringify!($label), "`.")] pub $label: String,)*
        }

        impl $type {
            /// Takes the labels in their order.
            #[must_use]
            pub fn new($($label: impl Into<String>),*) -> Self {
                Self { $($label: $label.into()),* }
            }
        }
    };
}

labels!(
    /// How something ended.
    ByResult { result }
);
labels!(
    /// How something ended, and why.
    ByOutcome { result, reason }
);
labels!(
    /// Why.
    ByReason { reason }
);
labels!(
    /// Which request got which answer.
    ByRequest { verb, code }
);
labels!(
    /// Which kind of object was listed again, and why.
    ByRelist { kind, reason }
);
labels!(
    /// Which kind of object, where.
    ByPlace { namespace, kind }
);
labels!(
    /// Which SealedEnv.
    BySealedEnv { namespace, name }
);
labels!(
    /// Which condition of which SealedEnv.
    ByCondition { namespace, name, r#type, status }
);

/// All metrics of seald. Clones share the numbers.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// Passes over a SealedEnv.
    pub reconciles: Family<ByOutcome, Counter>,
    /// How long a pass takes.
    pub reconcile_seconds: Family<ByResult, Histogram, fn() -> Histogram>,
    /// Conditions, 1 for the status that holds.
    pub conditions: Family<ByCondition, Gauge>,
    /// Last pass that found everything in place, in seconds since 1970.
    pub last_success: Family<BySealedEnv, Seconds>,
    /// Reads of the source.
    pub source_fetches: Family<ByResult, Counter>,
    /// Last complete read of the source, in seconds since 1970.
    pub source_last_success: Seconds,
    /// Reads that no event asked for.
    pub source_rescans: Family<ByReason, Counter>,
    /// Files of the source by what became of them.
    pub source_documents: Family<ByReason, Gauge>,
    /// Opened documents.
    pub decrypts: Family<ByOutcome, Counter>,
    /// Objects in place.
    pub managed_objects: Family<ByPlace, Gauge>,
    /// Objects that were not as they should be and were restored.
    pub drift_corrections: Family<ByPlace, Counter>,
    /// Workloads that wait for their turn.
    pub rollouts_pending: Gauge,
    /// 1 for the leader.
    pub leader: Gauge,
    /// Effects that were not performed.
    pub effects_dropped: Family<ByReason, Counter>,
    /// Requests to the API server.
    pub api_requests: Family<ByRequest, Counter>,
    /// Collections that were listed again.
    pub relists: Family<ByRelist, Counter>,
    /// Events that found no room.
    pub events_dropped: Counter,
    /// Panics that were caught.
    pub panics: Counter,
    /// Processor time of this process.
    process_cpu: Counter<f64, AtomicU64>,
    /// Resident memory of this process.
    process_memory: Gauge,
}

impl Metrics {
    /// New metrics, all 0, with `seald_build_info` of `version`.
    #[must_use]
    pub fn new(version: &str, commit: &str) -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            reconciles: Family::default(),
            reconcile_seconds: Family::new_with_constructor(seconds_histogram),
            conditions: Family::default(),
            last_success: Family::default(),
            source_fetches: Family::default(),
            source_last_success: Seconds::default(),
            source_rescans: Family::default(),
            source_documents: Family::default(),
            decrypts: Family::default(),
            managed_objects: Family::default(),
            drift_corrections: Family::default(),
            rollouts_pending: Gauge::default(),
            leader: Gauge::default(),
            effects_dropped: Family::default(),
            api_requests: Family::default(),
            relists: Family::default(),
            events_dropped: Counter::default(),
            panics: Counter::default(),
            process_cpu: Counter::default(),
            process_memory: Gauge::default(),
        };
        let mut registry = Registry::default();
        let build = Info::new(vec![
            ("version".to_owned(), version.to_owned()),
            ("commit".to_owned(), commit.to_owned()),
        ]);
        // The encoder adds `_info` to the name of an Info and `_total` to that of a Counter.
        registry.register("seald_build", "Version of this program", build);
        metrics.register_passes(&mut registry);
        metrics.register_edges(&mut registry);
        metrics.registry = Arc::new(registry);
        metrics
    }

    /// All metrics in the text format that Prometheus reads.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }

    /// Takes over what the operating system says about this process.
    pub fn set_process(&self, cpu_seconds: f64, resident_bytes: i64) {
        let before = self.process_cpu.get();
        if cpu_seconds > before {
            self.process_cpu.inc_by(cpu_seconds - before);
        }
        self.process_memory.set(resident_bytes);
    }

    /// Drops what only a leader shows.
    pub fn clear_managed(&self) {
        self.conditions.clear();
        self.last_success.clear();
        self.managed_objects.clear();
        self.rollouts_pending.set(0);
    }

    fn register_passes(&self, registry: &mut Registry) {
        let mut add = |name: &str, help: &str, metric: Box<dyn Register>| {
            metric.register(registry, name, help);
        };
        add(
            "reconcile",
            "Passes over a SealedEnv",
            boxed(&self.reconciles),
        );
        add(
            "reconcile_duration_seconds",
            "How long a pass takes",
            boxed(&self.reconcile_seconds),
        );
        add(
            "resource_condition",
            "Conditions of SealedEnvs",
            boxed(&self.conditions),
        );
        add(
            "last_success_timestamp_seconds",
            "Last good pass",
            boxed(&self.last_success),
        );
        add("decrypt", "Opened documents", boxed(&self.decrypts));
        add(
            "managed_objects",
            "Objects in place",
            boxed(&self.managed_objects),
        );
        add(
            "drift_corrections",
            "Objects that were restored",
            boxed(&self.drift_corrections),
        );
        add(
            "rollouts_pending",
            "Workloads that wait for their turn",
            boxed(&self.rollouts_pending),
        );
        add("panics", "Panics that were caught", boxed(&self.panics));
    }

    fn register_edges(&self, registry: &mut Registry) {
        registry.register(
            "process_cpu_seconds",
            "Processor time",
            self.process_cpu.clone(),
        );
        registry.register(
            "process_resident_memory_bytes",
            "Memory",
            self.process_memory.clone(),
        );
        let mut add = |name: &str, help: &str, metric: Box<dyn Register>| {
            metric.register(registry, name, help);
        };
        add(
            "source_fetch",
            "Reads of the source",
            boxed(&self.source_fetches),
        );
        add(
            "source_last_success_timestamp_seconds",
            "Last good read",
            boxed(&self.source_last_success),
        );
        add(
            "source_rescan",
            "Reads that no event asked for",
            boxed(&self.source_rescans),
        );
        add(
            "source_documents",
            "Files of the source",
            boxed(&self.source_documents),
        );
        add("leader", "1 for the leader", boxed(&self.leader));
        add(
            "effects_dropped",
            "Effects not performed",
            boxed(&self.effects_dropped),
        );
        add(
            "api_requests",
            "Requests to the API server",
            boxed(&self.api_requests),
        );
        add("relists", "Collections listed again", boxed(&self.relists));
        add(
            "events_dropped",
            "Events that found no room",
            boxed(&self.events_dropped),
        );
    }
}

/// A metric that can be registered under `seald_…`.
trait Register {
    fn register(self: Box<Self>, registry: &mut Registry, name: &str, help: &str);
}

impl<M: prometheus_client::registry::Metric> Register for M {
    fn register(self: Box<Self>, registry: &mut Registry, name: &str, help: &str) {
        registry.register(format!("seald_{name}"), help, *self);
    }
}

fn boxed<M: prometheus_client::registry::Metric + Clone>(metric: &M) -> Box<dyn Register> {
    Box::new(metric.clone())
}

/// From 1 ms to about 65 s.
fn seconds_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_alerts_use() {
        let metrics = Metrics::new("1.2.3", "abc");
        metrics
            .reconciles
            .get_or_create(&ByOutcome::new("ok", "Synced"))
            .inc();
        metrics
            .api_requests
            .get_or_create(&ByRequest::new("patch", "200"))
            .inc();
        metrics.leader.set(1);
        metrics
            .conditions
            .get_or_create(&ByCondition::new("web", "web", "Ready", "True"))
            .set(1);
        let text = metrics.encode();
        for line in [
            "seald_build_info{version=\"1.2.3\",commit=\"abc\"} 1",
            "seald_reconcile_total{result=\"ok\",reason=\"Synced\"} 1",
            "seald_api_requests_total{verb=\"patch\",code=\"200\"} 1",
            "seald_leader 1",
            "seald_resource_condition{namespace=\"web\",name=\"web\",type=\"Ready\",status=\"True\"} 1",
            "seald_events_dropped_total 0",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "no {line} in\n{text}"
            );
        }
    }

    #[test]
    fn a_leader_that_steps_down_shows_no_objects() {
        let metrics = Metrics::new("1", "");
        metrics
            .managed_objects
            .get_or_create(&ByPlace::new("web", "Secret"))
            .set(3);
        metrics.clear_managed();
        assert!(!metrics.encode().contains("namespace=\"web\""));
    }
}
